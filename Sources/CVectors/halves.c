#include "CHalves.h"
#include "scratch.h"
#include <stddef.h>

// Everything that passes vectors is inlined, so that no calling convention is at stake.
#pragma clang diagnostic ignored "-Wpsabi"

#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("arch=x86-64-v4,avx512bf16"))), apply_to = function)
#include "CVectors.h"

#define PEFT_LOCAL static inline __attribute__((always_inline))

/// Rows of a tile, of two panels.
enum { ROWS = 12 };

/// Sixteen pairs, (a0, b0), (a1, b1) and so on, of the elements of two vectors as BF16.
PEFT_LOCAL __m512i peft_pairs(__m512 a, __m512 b) {
    const __m512i order = _mm512_set_epi16(
        31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(b, a));
}

PEFT_LOCAL __m512 peft_sixteen_of(const void *from, long index, int isHalf) {
    if (!isHalf) return _mm512_loadu_ps((const float *)from + index);
    const __m256i half = _mm256_loadu_si256((const __m256i *)((const unsigned short *)from + index));
    return (__m512)_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16);
}

PEFT_LOCAL float peft_float_of(const void *from, long index, int isHalf) {
    if (!isHalf) return ((const float *)from)[index];
    const unsigned bits = (unsigned)((const unsigned short *)from)[index] << 16;
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}

/// Some columns of B, which lie by depth, as one panel of pairs.
PEFT_LOCAL void peft_pair_by_depth(const void *b, long stride, long depth, long columns, unsigned short *to, int isHalf) {
    for (long k = 0; k < depth; k += 2) {
        __m512 x, y = _mm512_setzero_ps();
        if (columns == 16) {
            x = peft_sixteen_of(b, k * stride, isHalf);
            if (k + 1 < depth) y = peft_sixteen_of(b, (k + 1) * stride, isHalf);
        } else {
            float rows[32] = {0};
            for (long j = 0; j < columns; j++) {
                rows[j] = peft_float_of(b, k * stride + j, isHalf);
                if (k + 1 < depth) rows[16 + j] = peft_float_of(b, (k + 1) * stride + j, isHalf);
            }
            x = _mm512_loadu_ps(rows);
            y = _mm512_loadu_ps(rows + 16);
        }
        _mm512_storeu_si512(to + 16 * k, peft_pairs(x, y));
    }
}

/// Up to sixteen elements of a row as BF16, two in each lane.
PEFT_LOCAL __m256i peft_row_of_pairs(const void *from, long index, long count, int isHalf) {
    if (count >= 16) {
        if (isHalf) return _mm256_loadu_si256((const __m256i *)((const unsigned short *)from + index));
        return (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps((const float *)from + index));
    }
    const __mmask16 mask = (__mmask16)((1u << count) - 1);
    if (isHalf) return _mm256_maskz_loadu_epi16(mask, (const unsigned short *)from + index);
    return (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, (const float *)from + index));
}

/// The same where columns lie one after the other: eight rows of memory are transposed, two elements as if they were one.
PEFT_LOCAL void peft_pair_by_columns(const void *b, long stride, long depth, long columns, unsigned short *to, int isHalf) {
    for (long j = 0; j < 16; j += 8) {
        for (long k = 0; k < depth; k += 16) {
            float block[64];
            for (long i = 0; i < 8; i++) {
                const __m256i row = j + i < columns ? peft_row_of_pairs(b, (j + i) * stride + k, depth - k, isHalf)
                                                    : _mm256_setzero_si256();
                _mm256_storeu_si256((__m256i *)(block + 8 * i), row);
            }
            float *target = (float *)to + j + 8 * k;
            if (k + 16 <= depth) {
                peft_transpose(block, 8, target, 16);
            } else {
                for (long pair = 0; pair < (depth - k + 1) / 2; pair++) {
                    for (long i = 0; i < 8; i++) target[16 * pair + i] = block[8 * i + pair];
                }
            }
        }
    }
}

/// Copies `columns` columns of B from `column` on into panels of pairs, each `16 * depth` elements with the depth made even.
static void peft_pair(const struct peft_block *block, long column, long columns, unsigned short *to, float *scratch) {
    const long depth = block->depth, even = (depth + 1) / 2 * 2, stride = block->b_stride;
    const int isHalf = block->b_format == PEFT_BFLOAT16;
    for (long j = 0; j < columns; j += 16, to += 16 * even) {
        const long count = columns - j < 16 ? columns - j : 16;
        if (block->b_format != PEFT_FLOAT16 && block->b_layout == PEFT_BY_DEPTH) {
            const char *from = (const char *)block->b + (column + j) * (isHalf ? 2 : 4);
            if (isHalf) peft_pair_by_depth(from, stride, depth, count, to, 1);
            else peft_pair_by_depth(from, stride, depth, count, to, 0);
        } else if (block->b_format != PEFT_FLOAT16 && block->b_layout == PEFT_BY_COLUMNS) {
            const char *from = (const char *)block->b + (column + j) * stride * (isHalf ? 2 : 4);
            if (isHalf) peft_pair_by_columns(from, stride, depth, count, to, 1);
            else peft_pair_by_columns(from, stride, depth, count, to, 0);
        } else {
            peft_copy_panels(block, column + j, count, scratch, 16 * depth);
            peft_pair_by_depth(scratch, 16, depth, 16, to, 0);
        }
    }
}

/// Rows of A as BF16, `stride` elements apart, the last of an odd depth with a zero behind it.
static void peft_left(const struct peft_block *block, unsigned short *to, long stride) {
    const long depth = block->depth;
    if (block->a_by_columns) {
        for (long i = 0; i < block->rows; i += 16) {
            const long rows = block->rows - i < 16 ? block->rows - i : 16;
            const __mmask16 mask = (__mmask16)((1u << rows) - 1);
            for (long k = 0; k < depth; k++) {
                unsigned short column[16];
                _mm256_storeu_si256(
                    (__m256i *)column,
                    (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, block->a + k * block->a_stride + i)));
                for (long r = 0; r < rows; r++) to[(i + r) * stride + k] = column[r];
            }
        }
        if (depth % 2) {
            for (long i = 0; i < block->rows; i++) to[i * stride + depth] = 0;
        }
        return;
    }
    for (long i = 0; i < block->rows; i++) {
        const float *from = block->a + i * block->a_stride;
        for (long k = 0; k < depth; k += 16)
            _mm256_storeu_si256((__m256i *)(to + i * stride + k), peft_row_of_pairs(from, k, depth - k, 0));
    }
}

/// c (+)= a · panels for `rows` rows and one or two panels, of which `columns` columns are C's.
PEFT_LOCAL void peft_pair_tile(const unsigned short *a, long a_stride, const unsigned short *panel, long even, float *c,
                               long c_stride, int adds, long columns, const int rows, const int panels) {
    __m512 sums[ROWS][2];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
#pragma clang loop unroll(full)
        for (int q = 0; q < panels; q++) sums[i][q] = _mm512_setzero_ps();
    }
#pragma clang loop unroll(disable)
    for (long k = 0; k < even; k += 2) {
        __m512bh right[2];
#pragma clang loop unroll(full)
        for (int q = 0; q < panels; q++) right[q] = (__m512bh)_mm512_loadu_si512(panel + 16 * (q * even + k));
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) {
            int pair;
            __builtin_memcpy(&pair, a + i * a_stride + k, sizeof pair);
            const __m512bh left = (__m512bh)_mm512_set1_epi32(pair);
#pragma clang loop unroll(full)
            for (int q = 0; q < panels; q++) sums[i][q] = _mm512_dpbf16_ps(sums[i][q], left, right[q]);
        }
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
#pragma clang loop unroll(full)
        for (int q = 0; q < panels; q++) {
            const long count = columns - 16 * q;
            const __mmask16 mask = count >= 16 ? (__mmask16)0xFFFF : (__mmask16)((1u << count) - 1);
            float *to = c + i * c_stride + 16 * q;
            __m512 sum = sums[i][q];
            if (adds) sum = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, to), sum);
            _mm512_mask_storeu_ps(to, mask, sum);
        }
    }
}

static void peft_pair_rows(const struct peft_block *block, const unsigned short *a, long a_stride,
                           const unsigned short *panel, long even, float *c, long columns) {
    for (long i = 0; i < block->rows; i += ROWS) {
        const long rows = block->rows - i < ROWS ? block->rows - i : ROWS;
        const unsigned short *left = a + i * a_stride;
        float *to = c + i * block->c_stride;
#define PEFT_TILE(n)                                                                                                \
    case n:                                                                                                         \
        if (columns > 16) peft_pair_tile(left, a_stride, panel, even, to, block->c_stride, block->adds, columns, n, 2); \
        else peft_pair_tile(left, a_stride, panel, even, to, block->c_stride, block->adds, columns, n, 1);          \
        break;
        switch (rows) {
            PEFT_TILE(1) PEFT_TILE(2) PEFT_TILE(3) PEFT_TILE(4) PEFT_TILE(5) PEFT_TILE(6)
            PEFT_TILE(7) PEFT_TILE(8) PEFT_TILE(9) PEFT_TILE(10) PEFT_TILE(11) PEFT_TILE(12)
        }
#undef PEFT_TILE
    }
}

int peft_half_block_product(const struct peft_block *block) {
    const long even = (block->depth + 1) / 2 * 2, stride = (block->depth + 15) / 16 * 16;
    const long padded = (block->columns + 15) / 16 * 16;
    const long right = padded * even, left = block->rows * stride;
    // Two elements take a float's room.
    float *memory = peft_scratch(PEFT_HALVES, (right + left) / 2 + 16 * block->depth + 1);
    if (memory == NULL) return 0;
    unsigned short *panels = (unsigned short *)memory, *rows = panels + right;
    float *scratch = memory + (right + left) / 2;
    peft_left(block, rows, stride);
    for (long j = 0; j < block->columns; j += 32) {
        const long columns = block->columns - j < 32 ? block->columns - j : 32;
        if (block->copies) peft_pair(block, j, columns, panels + j * even, scratch);
        peft_pair_rows(block, rows, stride, panels + j * even, even, block->c + j, columns);
    }
    return 1;
}
#pragma clang attribute pop

int peft_has_half_products(void) {
    return peft_has_wide_vectors() && !peft_is_kept_narrow() && __builtin_cpu_supports("avx512bf16");
}
#else
#include "CVectors.h"

int peft_half_block_product(const struct peft_block *block) { __builtin_trap(); }
int peft_has_half_products(void) { return 0; }
#endif
