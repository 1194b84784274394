#ifndef PEFT_PRODUCTS_H
#define PEFT_PRODUCTS_H

/// A part of C ← α · A · B + β · C for some rows of A and some columns of B. The kernels exist for several widths of
/// vectors; all take the same sums in the same order, so that the width shows in the time alone.
struct peft_product {
    /// [rows, depth], `a_stride` elements from row to row.
    const float *a;
    long a_stride;
    /// The block's first element; 32-bit floats, or the upper halves of such (BF16) where `b_is_half`.
    const void *b;
    long b_stride;
    int b_is_half;
    /// [rows, columns], `c_stride` elements from row to row.
    float *c;
    long c_stride;
    long rows, columns, depth;
    float alpha, beta;
};

/// B lies as [depth, columns]. Every `step` numbers of the depth are summed on their own, from the first to the last, and
/// their sums then in turn. Each thread keeps the memory that it needs for this. 0 where there is none to be had.
int peft_product_by_depth(const struct peft_product *product, long step);

/// B lies as [columns, depth]. Sixteen sums take every sixteenth product each; then the halves are added, their halves
/// and so on, and what is left of the depth at the end.
void peft_product_by_columns(const struct peft_product *product);

#endif
