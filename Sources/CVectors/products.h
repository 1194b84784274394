// The kernels for one width of vectors: included with PEFT_NAME, which names it, PEFT_TARGET, the instructions that it may
// use, PEFT_WIDTH, the lanes of a vector, PEFT_ROWS, the rows of a tile by depth (of three vectors), PEFT_DOT_ROWS and
// PEFT_DOT_COLUMNS, the tile by columns (of sixteen lanes).

#define PEFT_JOIN2(a, b) a##_##b
#define PEFT_JOIN(a, b) PEFT_JOIN2(a, b)
#define PEFT_LOCAL(name) PEFT_JOIN(name, PEFT_NAME)
#define PEFT_KERNEL PEFT_TARGET static inline __attribute__((always_inline))
#define VECTOR PEFT_LOCAL(vector)

typedef float VECTOR __attribute__((ext_vector_type(PEFT_WIDTH), aligned(4)));

// MARK: By depth

/// c (+)= a · panel for `rows` rows and three vectors of columns. Meanwhile memory sends what `ahead` names.
PEFT_KERNEL void PEFT_LOCAL(depth_tile)(const float *a, long a_stride, const float *panel, long depth, float *c,
                                        long c_stride, int adding, struct peft_ahead ahead, const int rows) {
    VECTOR sums[PEFT_ROWS][3];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) sums[i][0] = sums[i][1] = sums[i][2] = (VECTOR)(0.0f);
    for (long p = 0; p < depth;) {
        for (long row = 0; row < ahead.rows_at_once && ahead.next < ahead.end; row++) {
            for (long byte = 0; byte < ahead.bytes; byte += 64) __builtin_prefetch(ahead.next + byte, 0, 2);
            ahead.next += ahead.stride;
        }
        const long end = p + 8 < depth ? p + 8 : depth;
        for (; p < end; p++) {
            const VECTOR *from = (const VECTOR *)(panel + p * 3 * PEFT_WIDTH);
            VECTOR x = from[0], y = from[1], z = from[2];
#pragma clang loop unroll(full)
            for (int i = 0; i < rows; i++) {
                VECTOR factor = (VECTOR)(a[i * a_stride + p]);
                sums[i][0] = __builtin_elementwise_fma(factor, x, sums[i][0]);
                sums[i][1] = __builtin_elementwise_fma(factor, y, sums[i][1]);
                sums[i][2] = __builtin_elementwise_fma(factor, z, sums[i][2]);
            }
        }
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
        VECTOR *to = (VECTOR *)(c + i * c_stride);
#pragma clang loop unroll(full)
        for (int j = 0; j < 3; j++) to[j] = adding ? to[j] + sums[i][j] : sums[i][j];
    }
}

/// The rows `depth` of a block of B, widened to 32 bits, as panels of three vectors, the last padded with zeros.
PEFT_KERNEL void PEFT_LOCAL(pack)(const struct peft_product *product, long first, long depth, float *panels) {
    const long width = 3 * PEFT_WIDTH;
    for (long p = 0; p < depth; p++) {
        for (long j = 0; j < product->columns; j += width) {
            float *to = panels + j * depth + p * width;
            long count = product->columns - j < width ? product->columns - j : width;
            long start = (first + p) * product->b_stride + j;
            if (product->b_is_half) {
                const unsigned short *from = (const unsigned short *)product->b + start;
                for (long i = 0; i < count; i++) {
                    unsigned bits = (unsigned)from[i] << 16;
                    __builtin_memcpy(to + i, &bits, 4);
                }
            } else {
                const float *from = (const float *)product->b + start;
                if (count == width) {
                    VECTOR x = ((const VECTOR *)from)[0], y = ((const VECTOR *)from)[1], z = ((const VECTOR *)from)[2];
                    ((VECTOR *)to)[0] = x;
                    ((VECTOR *)to)[1] = y;
                    ((VECTOR *)to)[2] = z;
                } else {
                    for (long i = 0; i < count; i++) to[i] = from[i];
                }
            }
            for (long i = count; i < width; i++) to[i] = 0;
        }
    }
}

PEFT_TARGET static void PEFT_LOCAL(by_depth)(const struct peft_product *product, long step, float *scratch) {
    const long width = 3 * PEFT_WIDTH;
    const long padded = (product->columns + width - 1) / width * width;
    const long element = product->b_is_half ? 2 : 4;
    const long groups = (product->rows + PEFT_ROWS - 1) / PEFT_ROWS;
    float *sums = scratch, *panels = scratch + product->rows * padded;
    for (long first = 0; first < product->depth; first += step) {
        long depth = product->depth - first < step ? product->depth - first : step;
        const long following = product->depth - first - depth < step ? product->depth - first - depth : step;
        PEFT_LOCAL(pack)(product, first, depth, panels);
        for (long j = 0; j < padded; j += width) {
            const long columns = product->columns - j < width ? product->columns - j : width;
            // The same columns of the next step, shared out over the tiles between here and there.
            const long share = (following + groups - 1) / groups;
            for (long i = 0; i < product->rows; i += PEFT_ROWS) {
                const long start = i / PEFT_ROWS * share;
                const long end = start + share < following ? start + share : following;
                const char *b = (const char *)product->b + ((first + depth) * product->b_stride + j) * element;
                const struct peft_ahead ahead = {
                    .next = b + start * product->b_stride * element,
                    .end = b + end * product->b_stride * element,
                    .stride = product->b_stride * element,
                    .bytes = columns * element,
                    .rows_at_once = (8 + groups - 1) / groups,
                };
                const float *a = product->a + i * product->a_stride + first;
                const float *panel = panels + j * depth;
                float *c = sums + i * padded + j;
                long rows = product->rows - i < PEFT_ROWS ? product->rows - i : PEFT_ROWS;
#define PEFT_TILE(n) \
    case n: PEFT_LOCAL(depth_tile)(a, product->a_stride, panel, depth, c, padded, first > 0, ahead, n); break;
                switch (rows) {
                    PEFT_TILE(1) PEFT_TILE(2) PEFT_TILE(3) PEFT_TILE(4)
#if PEFT_ROWS > 4
                    PEFT_TILE(5) PEFT_TILE(6) PEFT_TILE(7) PEFT_TILE(8)
#endif
                }
#undef PEFT_TILE
            }
        }
    }
    const float alpha = product->alpha, beta = product->beta;
    for (long i = 0; i < product->rows; i++) {
        const float *from = sums + i * padded;
        float *to = product->c + i * product->c_stride;
        if (beta == 0) {
            for (long j = 0; j < product->columns; j++) to[j] = alpha * from[j];
        } else {
            for (long j = 0; j < product->columns; j++) to[j] = alpha * from[j] + beta * to[j];
        }
    }
}

// MARK: By columns

PEFT_KERNEL peft_sixteen PEFT_LOCAL(load)(const void *from, long index, int is_half) {
    if (is_half) {
        peft_halves bits = *(const peft_halves *)((const unsigned short *)from + index);
        return (peft_sixteen)(__builtin_convertvector(bits, peft_words) << 16);
    }
    return *(const peft_sixteen *)((const float *)from + index);
}

/// Eight elements, and eight zeros.
PEFT_KERNEL peft_sixteen PEFT_LOCAL(eight)(const void *from, long index, int is_half) {
    peft_eight x;
    if (is_half) {
        typedef unsigned short halves __attribute__((ext_vector_type(8), aligned(2)));
        typedef unsigned words __attribute__((ext_vector_type(8)));
        x = (peft_eight)(__builtin_convertvector(*(const halves *)((const unsigned short *)from + index), words) << 16);
    } else {
        x = *(const peft_eight *)((const float *)from + index);
    }
    return __builtin_shufflevector(x, (peft_eight)(0.0f), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

PEFT_KERNEL float PEFT_LOCAL(total)(peft_sixteen x) {
    float a[8];
    for (int i = 0; i < 8; i++) a[i] = x[i] + x[i + 8];
    return ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]));
}

PEFT_KERNEL float PEFT_LOCAL(element)(const void *from, long index, int is_half) {
    if (!is_half) return ((const float *)from)[index];
    unsigned bits = (unsigned)((const unsigned short *)from)[index] << 16;
    float value;
    __builtin_memcpy(&value, &bits, 4);
    return value;
}

/// A tile of `rows` rows and `columns` columns. Meanwhile memory sends `ahead_columns` columns from `ahead` on.
PEFT_KERNEL void PEFT_LOCAL(column_tile)(const struct peft_product *product, long row, long column, long ahead,
                                         long ahead_columns, const int rows, const int columns, const int is_half) {
    peft_sixteen sums[PEFT_DOT_ROWS][PEFT_DOT_COLUMNS];
    const float *a = product->a + row * product->a_stride;
    const long depth = product->depth, a_stride = product->a_stride, b_stride = product->b_stride;
    const void *b = is_half ? (const void *)((const unsigned short *)product->b + column * b_stride)
                            : (const void *)((const float *)product->b + column * b_stride);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
#pragma clang loop unroll(full)
        for (int j = 0; j < columns; j++) sums[i][j] = (peft_sixteen)(0.0f);
    }
    const long element = is_half ? 2 : 4;
    const char *coming = (const char *)product->b + ahead * b_stride * element;
    long p = 0;
    for (; p + 16 <= depth; p += 16) {
        for (long j = 0; j < ahead_columns; j++) __builtin_prefetch(coming + (j * b_stride + p) * element, 0, 2);
        peft_sixteen x[PEFT_DOT_ROWS];
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) x[i] = *(const peft_sixteen *)(a + i * a_stride + p);
#pragma clang loop unroll(full)
        for (int j = 0; j < columns; j++) {
            peft_sixteen y = PEFT_LOCAL(load)(b, j * b_stride + p, is_half);
#pragma clang loop unroll(full)
            for (int i = 0; i < rows; i++) sums[i][j] = __builtin_elementwise_fma(x[i], y, sums[i][j]);
        }
    }
    const long rest = p;
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
        float *to = product->c + (row + i) * product->c_stride + column;
#pragma clang loop unroll(full)
        for (int j = 0; j < columns; j++) {
            peft_sixteen sum = sums[i][j];
            p = rest;
            if (p + 8 <= depth) {
                sum = __builtin_elementwise_fma(PEFT_LOCAL(eight)(a, i * a_stride + p, 0),
                                                PEFT_LOCAL(eight)(b, j * b_stride + p, is_half), sum);
                p += 8;
            }
            float total = PEFT_LOCAL(total)(sum);
            for (; p < depth; p++) {
                total = __builtin_fmaf(PEFT_LOCAL(element)(b, j * b_stride + p, is_half), a[i * a_stride + p], total);
            }
            to[j] = product->alpha * total + (product->beta == 0 ? 0 : product->beta * to[j]);
        }
    }
}

PEFT_KERNEL void PEFT_LOCAL(column_tiles)(const struct peft_product *product, const int is_half) {
    const long groups = product->rows / PEFT_DOT_ROWS;
    // The first rows would wait for memory, so the columns that follow are shared out over the tiles before.
    const long share = groups < 2 ? 0 : (PEFT_DOT_COLUMNS + groups - 1) / groups;
    long j = 0;
    for (; j + PEFT_DOT_COLUMNS <= product->columns; j += PEFT_DOT_COLUMNS) {
        long ahead = j + PEFT_DOT_COLUMNS;
        const long end = ahead + PEFT_DOT_COLUMNS < product->columns ? ahead + PEFT_DOT_COLUMNS : product->columns;
        long i = 0;
        for (; i + PEFT_DOT_ROWS <= product->rows; i += PEFT_DOT_ROWS) {
            const long count = end - ahead < share ? end - ahead : share;
            PEFT_LOCAL(column_tile)(product, i, j, ahead, count, PEFT_DOT_ROWS, PEFT_DOT_COLUMNS, is_half);
            ahead += count;
        }
        for (; i < product->rows; i++) {
            const long count = i == 0 ? end - ahead : 0;
            PEFT_LOCAL(column_tile)(product, i, j, ahead, count, 1, PEFT_DOT_COLUMNS, is_half);
        }
    }
    for (; j < product->columns; j++) {
        for (long i = 0; i < product->rows; i++) PEFT_LOCAL(column_tile)(product, i, j, 0, 0, 1, 1, is_half);
    }
}

PEFT_TARGET static void PEFT_LOCAL(by_columns)(const struct peft_product *product) {
    if (product->b_is_half) {
        PEFT_LOCAL(column_tiles)(product, 1);
    } else {
        PEFT_LOCAL(column_tiles)(product, 0);
    }
}

#undef PEFT_JOIN2
#undef PEFT_JOIN
#undef PEFT_LOCAL
#undef PEFT_KERNEL
#undef VECTOR
#undef PEFT_NAME
#undef PEFT_TARGET
#undef PEFT_WIDTH
#undef PEFT_ROWS
#undef PEFT_DOT_ROWS
#undef PEFT_DOT_COLUMNS
