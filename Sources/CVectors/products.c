#include "CVectors.h"
#include "scratch.h"
#include <stddef.h>

// Everything that passes vectors is inlined, so that no calling convention is at stake.
#pragma clang diagnostic ignored "-Wpsabi"

// Sums are taken as written; products and sums join in one rounding only where it says so.
#pragma STDC FP_CONTRACT OFF

typedef float peft_sixteen __attribute__((ext_vector_type(16), aligned(4)));
typedef float peft_eight __attribute__((ext_vector_type(8), aligned(4)));
typedef unsigned peft_words __attribute__((ext_vector_type(16), aligned(4)));
typedef unsigned short peft_halves __attribute__((ext_vector_type(16), aligned(2)));

/// Rows of B that are wanted soon: `rows_at_once` of them are asked for in each round of eight steps.
struct peft_ahead {
    const char *next, *end;
    long stride, bytes, rows_at_once;
};

#if defined(__x86_64__)
#define PEFT_NAME wide
#define PEFT_TARGET __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")))
#define PEFT_WIDTH 16
#define PEFT_ROWS 8
#define PEFT_DOT_ROWS 4
#define PEFT_DOT_COLUMNS 6
#include "products.h"

#define PEFT_TARGET __attribute__((target("arch=x86-64-v3")))
#else
#define PEFT_TARGET
#endif

#define PEFT_NAME narrow
#define PEFT_WIDTH 8
#define PEFT_ROWS 4
#define PEFT_DOT_ROWS 2
#define PEFT_DOT_COLUMNS 3
#include "products.h"

int peft_product_by_depth(const struct peft_product *product, long step) {
    const long padded = (product->columns + 47) / 48 * 48;
    float *memory = peft_scratch(PEFT_PRODUCTS, (product->rows + step) * padded);
    if (memory == NULL) return 0;
#if defined(__x86_64__)
    if (peft_uses_wide_vectors()) {
        by_depth_wide(product, step, memory);
        return 1;
    }
#endif
    by_depth_narrow(product, step, memory);
    return 1;
}

void peft_product_by_columns(const struct peft_product *product) {
#if defined(__x86_64__)
    if (peft_uses_wide_vectors()) return by_columns_wide(product);
#endif
    by_columns_narrow(product);
}
