// The kernels for one width of vectors: included with PEFT_NAME, which names it, PEFT_TARGET, the instructions that it may
// use, PEFT_WIDTH, the lanes of a vector, PEFT_ROWS, the rows of a tile, and PEFT_PANELS(rows), the panels that so many rows
// are multiplied by at once.

#define PEFT_JOIN2(a, b) a##_##b
#define PEFT_JOIN(a, b) PEFT_JOIN2(a, b)
#define PEFT_LOCAL(name) PEFT_JOIN(name, PEFT_NAME)
#define PEFT_KERNEL PEFT_TARGET static inline __attribute__((always_inline))
#define VECTOR PEFT_LOCAL(block_vector)
#define LOOSE PEFT_LOCAL(loose_vector)
#define HALVES PEFT_LOCAL(halves)
#define WORDS PEFT_LOCAL(words)
/// Vectors of a panel.
#define PARTS (16 / PEFT_WIDTH)

typedef float VECTOR __attribute__((ext_vector_type(PEFT_WIDTH)));
typedef float LOOSE __attribute__((ext_vector_type(PEFT_WIDTH), aligned(4)));
typedef unsigned short HALVES __attribute__((ext_vector_type(PEFT_WIDTH), aligned(2)));
typedef unsigned WORDS __attribute__((ext_vector_type(PEFT_WIDTH)));

/// sums += one column of a times one row of some panels.
PEFT_KERNEL void PEFT_LOCAL(block_step)(const float *a, long a_stride, const void *panel, long panel_stride,
                                        VECTOR sums[PEFT_ROWS][4][PARTS], const int rows, const int panels,
                                        const int isHalf) {
    VECTOR right[4][PARTS];
#pragma clang loop unroll(full)
    for (int q = 0; q < panels; q++) {
#pragma clang loop unroll(full)
        for (int h = 0; h < PARTS; h++) {
            const long index = q * panel_stride + h * PEFT_WIDTH;
            if (isHalf) {
                const HALVES half = *(const HALVES *)((const unsigned short *)panel + index);
                right[q][h] = (VECTOR)(__builtin_convertvector(half, WORDS) << 16);
            } else {
                right[q][h] = *(const LOOSE *)((const float *)panel + index);
            }
        }
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
        const VECTOR factor = (VECTOR)(a[i * a_stride]);
#pragma clang loop unroll(full)
        for (int q = 0; q < panels; q++) {
#pragma clang loop unroll(full)
            for (int h = 0; h < PARTS; h++) sums[i][q][h] = __builtin_elementwise_fma(factor, right[q][h], sums[i][q][h]);
        }
    }
}

/// c (+)= a · panels for `rows` rows; the panels hold floats, or BF16. Meanwhile memory sends a line at each step, where
/// `asks`.
PEFT_KERNEL void PEFT_LOCAL(block_tile)(const float *a, long a_stride, const void *panel, long panel_stride, long depth,
                                        float *c, long c_stride, int adds, struct peft_lines lines, const int asks,
                                        const int rows, const int panels, const int isHalf) {
    const long element = isHalf ? 2 : 4;
    VECTOR sums[PEFT_ROWS][4][PARTS];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
#pragma clang loop unroll(full)
        for (int q = 0; q < panels; q++) {
#pragma clang loop unroll(full)
            for (int h = 0; h < PARTS; h++) sums[i][q][h] = (VECTOR)(0.0f);
        }
    }
    long p = 0;
    for (; p + 16 <= depth; p += 16) {
        const char *line = lines.next + p / 16 * lines.sixteen;
#pragma clang loop unroll_count(4)
        for (int step = 0; step < 16; step++) {
            if (asks) {
                __builtin_prefetch(line, 0, 2);
                line += lines.one;
            }
            PEFT_LOCAL(block_step)(a + p + step, a_stride, (const char *)panel + (p + step) * 16 * element, panel_stride,
                                   sums, rows, panels, isHalf);
        }
    }
    for (; p < depth; p++)
        PEFT_LOCAL(block_step)(a + p, a_stride, (const char *)panel + p * 16 * element, panel_stride, sums, rows, panels,
                               isHalf);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
#pragma clang loop unroll(full)
        for (int q = 0; q < panels; q++) {
#pragma clang loop unroll(full)
            for (int h = 0; h < PARTS; h++) {
                LOOSE *to = (LOOSE *)(c + i * c_stride + q * 16 + h * PEFT_WIDTH);
                *to = adds ? *to + sums[i][q][h] : sums[i][q][h];
            }
        }
    }
}

/// The same for any number of rows, `panels` panels at once where there are less rows than in a whole tile.
PEFT_TARGET static void PEFT_LOCAL(block_rows)(const float *a, long a_stride, const float *panel, long panel_stride,
                                               long depth, float *c, long c_stride, int adds, struct peft_lines lines,
                                               long rows, int panels) {
    if (rows >= PEFT_ROWS && panels == PEFT_PANELS(PEFT_ROWS)) {
        if (lines.next) {
            PEFT_LOCAL(block_tile)(a, a_stride, panel, panel_stride, depth, c, c_stride, adds, lines, 1, PEFT_ROWS,
                                   PEFT_PANELS(PEFT_ROWS), 0);
            lines.next = NULL;
            a += PEFT_ROWS * a_stride;
            c += PEFT_ROWS * c_stride;
            rows -= PEFT_ROWS;
        }
        for (; rows >= PEFT_ROWS; rows -= PEFT_ROWS) {
            PEFT_LOCAL(block_tile)(a, a_stride, panel, panel_stride, depth, c, c_stride, adds, lines, 0, PEFT_ROWS,
                                   PEFT_PANELS(PEFT_ROWS), 0);
            a += PEFT_ROWS * a_stride;
            c += PEFT_ROWS * c_stride;
        }
    }
#define PEFT_TILE(n, at_once, q)                                                                                         \
    if (lines.next)                                                                                                      \
        PEFT_LOCAL(block_tile)(a, a_stride, panel + (q) * panel_stride, panel_stride, depth, c + (q) * 16, c_stride,     \
                               adds, lines, 1, n, at_once, 0);                                                           \
    else                                                                                                                 \
        PEFT_LOCAL(block_tile)(a, a_stride, panel + (q) * panel_stride, panel_stride, depth, c + (q) * 16, c_stride,     \
                               adds, lines, 0, n, at_once, 0);
#define PEFT_TILES(n)                                                                                                    \
    case n:                                                                                                              \
        if (panels == PEFT_PANELS(n)) {                                                                                  \
            PEFT_TILE(n, PEFT_PANELS(n), 0)                                                                              \
        } else {                                                                                                         \
            for (long q = 0; q < panels; q++) { PEFT_TILE(n, 1, q) }                                                     \
        }                                                                                                                \
        break;
    while (rows > 0) {
        const long count = rows < PEFT_ROWS ? rows : PEFT_ROWS;
        switch (count) {
            PEFT_TILES(1) PEFT_TILES(2) PEFT_TILES(3) PEFT_TILES(4) PEFT_TILES(5) PEFT_TILES(6)
#if PEFT_ROWS > 6
            PEFT_TILES(7) PEFT_TILES(8) PEFT_TILES(9) PEFT_TILES(10) PEFT_TILES(11) PEFT_TILES(12)
#endif
        }
        lines.next = NULL;
        a += count * a_stride;
        c += count * c_stride;
        rows -= count;
    }
#undef PEFT_TILES
#undef PEFT_TILE
}

/// The same for the rows of one tile and panels of BF16.
PEFT_TARGET static void PEFT_LOCAL(block_few_rows)(const float *a, long a_stride, const unsigned short *panel,
                                                   long panel_stride, long depth, float *c, long c_stride, int adds,
                                                   struct peft_lines lines, long rows, int panels) {
#define PEFT_TILES(n)                                                                                                    \
    case n:                                                                                                              \
        if (panels == PEFT_PANELS(n)) {                                                                                  \
            PEFT_LOCAL(block_tile)(a, a_stride, panel, panel_stride, depth, c, c_stride, adds, lines, 0, n,              \
                                   PEFT_PANELS(n), 1);                                                                   \
        } else {                                                                                                         \
            for (long q = 0; q < panels; q++)                                                                            \
                PEFT_LOCAL(block_tile)(a, a_stride, panel + q * panel_stride, panel_stride, depth, c + q * 16, c_stride, \
                                       adds, lines, 0, n, 1, 1);                                                         \
        }                                                                                                                \
        break;
    switch (rows) {
        PEFT_TILES(1) PEFT_TILES(2) PEFT_TILES(3) PEFT_TILES(4) PEFT_TILES(5) PEFT_TILES(6)
    }
#undef PEFT_TILES
}

/// A panel of which only some columns are C's.
PEFT_TARGET static void PEFT_LOCAL(block_edge)(const struct peft_block *block, const void *panel, float *c, long columns,
                                               int isHalf) {
    float tile[PEFT_ROWS * 16];
    for (long i = 0; i < block->rows; i += PEFT_ROWS) {
        const long rows = block->rows - i < PEFT_ROWS ? block->rows - i : PEFT_ROWS;
        if (isHalf)
            PEFT_LOCAL(block_few_rows)(block->a, block->a_stride, panel, 0, block->depth, tile, 16, 0,
                                       (struct peft_lines){0}, rows, 1);
        else
            PEFT_LOCAL(block_rows)(block->a + i * block->a_stride, block->a_stride, panel, 0, block->depth, tile, 16, 0,
                                   (struct peft_lines){0}, rows, 1);
        for (long r = 0; r < rows; r++) {
            float *to = c + (i + r) * block->c_stride;
            for (long j = 0; j < columns; j++) to[j] = block->adds ? to[j] + tile[r * 16 + j] : tile[r * 16 + j];
        }
    }
}

PEFT_TARGET static void PEFT_LOCAL(block_product)(const struct peft_block *block, float *scratch) {
    const int isFloat = block->b_format == PEFT_FLOAT;
    // Panels of BF16 are converted as they are read where that happens once.
    const int isHalf = block->b_layout == PEFT_IN_PANELS && block->b_format == PEFT_BFLOAT16 && block->rows <= 6;
    const int isReady = isHalf || (block->b_layout == PEFT_IN_PANELS && isFloat);
    const char *panels = isReady ? block->b : (const char *)scratch;
    const long stride = isReady ? block->b_stride : 16 * block->depth;
    const long most = PEFT_PANELS(block->rows < PEFT_ROWS ? block->rows : PEFT_ROWS);
    // Panels that are copied together: a row of memory is read for several of them at once.
    const long together = block->b_layout == PEFT_BY_DEPTH ? 24 / most * most : most;
    for (long j = 0; j < block->columns;) {
        const long left = block->columns - j;
        const long whole = left / 16;
        if (block->copies && !isReady && j / 16 % together == 0)
            peft_copy(block, j, left < 16 * together ? left : 16 * together, scratch + j / 16 * stride, stride);
        const void *panel = panels + j / 16 * stride * (isHalf ? 2 : 4);
        if (whole == 0) {
            PEFT_LOCAL(block_edge)(block, panel, block->c + j, left, isHalf);
            break;
        }
        const long count = whole < most ? 1 : most;
        struct peft_lines lines = {0};
        if (isHalf) {
            PEFT_LOCAL(block_few_rows)(block->a, block->a_stride, panel, stride, block->depth, block->c + j,
                                       block->c_stride, block->adds, lines, block->rows, count);
        } else {
            if (block->copies) lines = peft_coming(block, j, 16 * together);
            PEFT_LOCAL(block_rows)(block->a, block->a_stride, panel, stride, block->depth, block->c + j, block->c_stride,
                                   block->adds, lines, block->rows, count);
        }
        j += 16 * count;
    }
}

#undef PEFT_JOIN2
#undef PEFT_JOIN
#undef PEFT_LOCAL
#undef PEFT_KERNEL
#undef VECTOR
#undef LOOSE
#undef HALVES
#undef WORDS
#undef PARTS
#undef PEFT_NAME
#undef PEFT_TARGET
#undef PEFT_WIDTH
#undef PEFT_ROWS
#undef PEFT_PANELS
