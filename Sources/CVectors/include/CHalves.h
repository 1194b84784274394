#ifndef PEFT_HALVES_H
#define PEFT_HALVES_H

#include "CBlocks.h"

/// Whether this processor multiplies BF16 (AVX512-BF16).
int peft_has_half_products(void);

/// `peft_block_product` with A's and B's elements rounded to BF16, the nearest, of two the even one. Products of two
/// neighbours of the depth are added to the sum together; an element's sum runs over the depth from the first to the last,
/// whatever block it is in. Only where `peft_has_half_products`. 0 where there is no memory for the copies.
int peft_half_block_product(const struct peft_block *block);

#endif
