#ifndef PEFT_BLOCKS_H
#define PEFT_BLOCKS_H

/// How the elements of a matrix are kept.
enum { PEFT_FLOAT = 0, PEFT_BFLOAT16 = 1, PEFT_FLOAT16 = 2 };

/// How a matrix B [depth, columns] lies in memory.
enum {
    /// Row after row.
    PEFT_BY_DEPTH = 0,
    /// Column after column.
    PEFT_BY_COLUMNS = 1,
    /// In panels of sixteen columns: element (k, j) at `j / 16 * stride + k * 16 + j % 16`, the last filled up with zeros.
    PEFT_IN_PANELS = 2,
    /// B's transpose in such panels: element (k, j) at `k / 16 * stride + j * 16 + k % 16`.
    PEFT_ACROSS_PANELS = 3,
};

/// A part of C (+)= A · B: some rows, some columns, and so much of the depth as is summed up at once.
struct peft_block {
    /// [rows, depth], `a_stride` elements from row to row; from column to column where `a_by_columns`.
    const float *a;
    long a_stride;
    int a_by_columns;
    /// The block's first element, in `b_format` and `b_layout`; a block begins with a panel, where there are some.
    const void *b;
    long b_stride;
    int b_format, b_layout;
    /// [rows, columns], `c_stride` elements from row to row.
    float *c;
    long c_stride;
    long rows, columns, depth;
    /// How much of the depth follows in B after this block.
    long depth_after;
    /// Whether C has the sums of what is before this block already.
    int adds;
    /// Whether B is to be copied into this thread's memory first; otherwise the block before had the same B.
    int copies;
};

/// The sums run over the depth from the first to the last product of an element, whatever block it is in, with any width
/// of vectors. 0 where there is no memory for the copy of B.
int peft_block_product(const struct peft_block *block);

/// B [depth, columns], by depth or by columns, in panels `16 * depth` elements apart, in its own format.
void peft_pack_panels(const void *b, long b_stride, int b_format, int b_layout, long depth, long columns, void *panels);

/// Some columns of a block's B, from `column` on, as panels of floats `to_stride` elements apart.
void peft_copy_panels(const struct peft_block *block, long column, long columns, float *to, long to_stride);

#endif
