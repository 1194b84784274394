#include "scratch.h"
#include <stddef.h>

// Everything that passes vectors is inlined, so that no calling convention is at stake.
#pragma clang diagnostic ignored "-Wpsabi"

// The header's vectors of eight floats are compiled for the instructions that these kernels need anyway.
#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("arch=x86-64-v3"))), apply_to = function)
#include "CVectors.h"
#pragma clang attribute pop
#else
#include "CVectors.h"
#endif

// Sums are taken as written; products and sums join in one rounding only where it says so.
#pragma STDC FP_CONTRACT OFF

#if defined(__x86_64__)
#define PEFT_COPY __attribute__((target("arch=x86-64-v3"))) static
#else
#define PEFT_COPY static
#endif
#define PEFT_COPY_INLINE PEFT_COPY inline __attribute__((always_inline))

/// Lines of memory that are wanted soon: one for each of sixteen steps, `one` byte distance apart, and the next sixteen
/// `sixteen` further on.
struct peft_lines {
    const char *next;
    long one, sixteen;
};

typedef float peft_loose __attribute__((ext_vector_type(8), aligned(4)));
typedef unsigned short peft_shorts __attribute__((ext_vector_type(8), aligned(2)));
typedef unsigned peft_bits __attribute__((ext_vector_type(8)));

static inline long peft_bytes(int format) { return format == PEFT_FLOAT ? 4 : 2; }

/// Eight elements as floats; Float16 as `HalfFormat` says.
PEFT_COPY_INLINE peft_lanes peft_widened(peft_shorts from, const int format) {
    const peft_bits half = __builtin_convertvector(from, peft_bits);
    if (format == PEFT_BFLOAT16) return (peft_lanes)(half << 16);
    const peft_bits magnitude = (half & 0x7FFF) << 13;
    const peft_bits scaled = (peft_bits)((peft_lanes)magnitude * (peft_lanes)(0x1p112f));
    const peft_bits special = (peft_bits)(magnitude >= (peft_bits)(0x7C00u << 13));
    return (peft_lanes)((special & (magnitude | 0x7F800000u)) | (~special & scaled) | ((half & 0x8000) << 16));
}

PEFT_COPY_INLINE peft_lanes peft_eight_of(const void *from, long index, const int format) {
    if (format == PEFT_FLOAT) return *(const peft_loose *)((const float *)from + index);
    return peft_widened(*(const peft_shorts *)((const unsigned short *)from + index), format);
}

PEFT_COPY_INLINE float peft_one_of(const void *from, long index, const int format) {
    if (format == PEFT_FLOAT) return ((const float *)from)[index];
    return peft_widened((peft_shorts)(((const unsigned short *)from)[index]), format)[0];
}

/// Rows of memory side by side into panels, `columns` of them from `first` on.
PEFT_COPY_INLINE void peft_copy_by_depth(const void *b, long stride, long depth, long columns, float *to, long to_stride,
                                         const int format) {
    for (long p = 0; p < depth; p++) {
        const long start = p * stride;
        // Rows that lie far apart are no pattern that memory would see by itself.
        const char *ahead = (const char *)b + (start + 12 * stride) * peft_bytes(format);
        if (p + 12 < depth) {
            for (long byte = 0; byte < columns * peft_bytes(format); byte += 64) __builtin_prefetch(ahead + byte, 0, 3);
        }
        long j = 0;
        for (; j + 16 <= columns; j += 16) {
            const peft_lanes x = peft_eight_of(b, start + j, format), y = peft_eight_of(b, start + j + 8, format);
            float *panel = to + j / 16 * to_stride + p * 16;
            peft_store(panel, x);
            peft_store(panel + 8, y);
        }
        if (j < columns) {
            float *panel = to + j / 16 * to_stride + p * 16;
            for (long q = 0; q < 16; q++) panel[q] = j + q < columns ? peft_one_of(b, start + j + q, format) : 0;
        }
    }
}

/// Rows of memory as columns of panels, eight by eight; or the other way round, `across` panels.
PEFT_COPY_INLINE void peft_copy_by_columns(const void *b, long stride, long depth, long columns, float *to, long to_stride,
                                           const int format, const int across) {
    const long column_stride = across ? 16 : stride;
    for (long j = 0; j < columns; j += 8) {
        float *panel = to + j / 16 * to_stride + j % 16;
        long p = 0;
        if (j + 8 <= columns) {
            for (; p + 8 <= depth; p += 8) {
                const long start = j * column_stride + (across ? p / 16 * stride + p % 16 : p);
                if (format == PEFT_FLOAT) {
                    peft_transpose((const float *)b + start, column_stride, panel + p * 16, 16);
                } else {
                    float block[64];
                    for (int i = 0; i < 8; i++) peft_store(block + 8 * i, peft_eight_of(b, start + i * column_stride, format));
                    peft_transpose(block, 8, panel + p * 16, 16);
                }
            }
        }
        for (; p < depth; p++) {
            const long start = j * column_stride + (across ? p / 16 * stride + p % 16 : p);
            for (long i = 0; i < 8; i++)
                panel[p * 16 + i] = j + i < columns ? peft_one_of(b, start + i * column_stride, format) : 0;
        }
    }
    // A last panel of eight columns or fewer has another half.
    const long last = columns % 16;
    if (last > 0 && last <= 8) {
        float *panel = to + columns / 16 * to_stride + 8;
        for (long p = 0; p < depth; p++) peft_store(panel + p * 16, (peft_lanes)(0.0f));
    }
}

PEFT_COPY_INLINE void peft_copy_of(const struct peft_block *block, long column, long columns, float *to, long to_stride,
                                   const int format) {
    const char *b = (const char *)block->b;
    const long stride = block->b_stride, depth = block->depth, bytes = peft_bytes(format);
    switch (block->b_layout) {
        case PEFT_BY_DEPTH:
            return peft_copy_by_depth(b + column * bytes, stride, depth, columns, to, to_stride, format);
        case PEFT_BY_COLUMNS:
            return peft_copy_by_columns(b + column * stride * bytes, stride, depth, columns, to, to_stride, format, 0);
        case PEFT_ACROSS_PANELS:
            return peft_copy_by_columns(b + column * 16 * bytes, stride, depth, columns, to, to_stride, format, 1);
        default:
            for (long j = 0; j < columns; j += 16) {
                const long start = (column + j) / 16 * stride;
                float *panel = to + j / 16 * to_stride;
                for (long i = 0; i < 16 * depth; i += 8) peft_store(panel + i, peft_eight_of(b, start + i, format));
            }
    }
}

/// Copies `columns` columns of B from `column` on into panels of floats.
PEFT_COPY void peft_copy(const struct peft_block *block, long column, long columns, float *to, long to_stride) {
    switch (block->b_format) {
        case PEFT_BFLOAT16: peft_copy_of(block, column, columns, to, to_stride, PEFT_BFLOAT16); break;
        case PEFT_FLOAT16: peft_copy_of(block, column, columns, to, to_stride, PEFT_FLOAT16); break;
        default: peft_copy_of(block, column, columns, to, to_stride, PEFT_FLOAT); break;
    }
}

void peft_copy_panels(const struct peft_block *block, long column, long columns, float *to, long to_stride) {
    peft_copy(block, column, columns, to, to_stride);
}

/// What will be read after the panels at `column`: those `further` columns on, or the first of the depth that follows.
static struct peft_lines peft_coming(const struct peft_block *block, long column, long further) {
    const long bytes = peft_bytes(block->b_format);
    long row = 0;
    column += further;
    if (column >= block->columns) {
        if (block->depth_after == 0) return (struct peft_lines){0};
        column %= further;
        row = block->depth;
    }
    const char *b = (const char *)block->b;
    switch (block->b_layout) {
        case PEFT_BY_DEPTH:
            return (struct peft_lines){
                b + (row * block->b_stride + column) * bytes, block->b_stride * bytes, 16 * block->b_stride * bytes};
        case PEFT_BY_COLUMNS:
            return (struct peft_lines){b + (column * block->b_stride + row) * bytes, block->b_stride * bytes, 16 * bytes};
        case PEFT_ACROSS_PANELS:
            return (struct peft_lines){
                b + (row / 16 * block->b_stride + column * 16) * bytes, 16 * bytes, block->b_stride * bytes};
        default:
            return (struct peft_lines){b + (column / 16 * block->b_stride + 16 * row) * bytes, 16 * bytes, 256 * bytes};
    }
}

#if defined(__x86_64__)
#define PEFT_NAME wide
#define PEFT_TARGET __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")))
#define PEFT_WIDTH 16
#define PEFT_ROWS 12
#define PEFT_PANELS(rows) ((rows) <= 6 ? 4 : 2)
#include "blocks.h"

#define PEFT_TARGET __attribute__((target("arch=x86-64-v3")))
#else
#define PEFT_TARGET
#endif

#define PEFT_NAME narrow
#define PEFT_WIDTH 8
#define PEFT_ROWS 6
#define PEFT_PANELS(rows) ((rows) == 1 ? 4 : (rows) == 2 ? 3 : (rows) == 3 ? 2 : 1)
#include "blocks.h"

/// A by rows, each with room for a multiple of eight elements.
PEFT_COPY void peft_copy_left(const float *a, long a_stride, long rows, long depth, float *to, long to_stride) {
    for (long i = 0; i < rows; i += 8) {
        long p = 0;
        if (i + 8 <= rows) {
            for (; p + 8 <= depth; p += 8) peft_transpose(a + p * a_stride + i, a_stride, to + i * to_stride + p, to_stride);
        }
        for (; p < depth; p++) {
            for (long r = i; r < i + 8 && r < rows; r++) to[r * to_stride + p] = a[p * a_stride + r];
        }
    }
}

int peft_block_product(const struct peft_block *whole) {
    struct peft_block block = *whole;
    const int isReady = block.b_layout == PEFT_IN_PANELS && block.b_format == PEFT_FLOAT;
    const long right = isReady ? 0 : (block.columns + 15) / 16 * 16 * block.depth;
    const long stride = (block.depth + 7) / 8 * 8;
    const long left = block.a_by_columns ? block.rows * stride : 0;
    float *memory = NULL;
    if (left + right > 0) {
        memory = peft_scratch(PEFT_BLOCKS, left + right);
        if (memory == NULL) return 0;
    }
    if (left > 0) {
        // Behind B's copy, which the next block may need again.
        peft_copy_left(block.a, block.a_stride, block.rows, block.depth, memory + right, stride);
        block.a = memory + right;
        block.a_stride = stride;
    }
#if defined(__x86_64__)
    // Zen 4 computes 512 bits in two halves, and with many rows panels for them leave the first level of cache: 5 % behind.
    const int isBehind = block.rows > 32 && __builtin_cpu_is("znver4");
    if (peft_uses_wide_vectors() && !isBehind) {
        block_product_wide(&block, memory);
        return 1;
    }
#endif
    block_product_narrow(&block, memory);
    return 1;
}

void peft_pack_panels(const void *b, long b_stride, int b_format, int b_layout, long depth, long columns, void *panels) {
    if (b_format == PEFT_FLOAT) {
        const struct peft_block block = {
            .b = b, .b_stride = b_stride, .b_format = b_format, .b_layout = b_layout, .depth = depth};
        return peft_copy(&block, 0, columns, panels, 16 * depth);
    }
    const unsigned short *from = b;
    for (long j = 0; j < columns; j += 16) {
        unsigned short *to = (unsigned short *)panels + j * depth;
        const long width = columns - j < 16 ? columns - j : 16;
        for (long p = 0; p < depth; p++) {
            for (long i = 0; i < 16; i++) {
                const long index = b_layout == PEFT_BY_DEPTH ? p * b_stride + j + i : (j + i) * b_stride + p;
                to[p * 16 + i] = i < width ? from[index] : 0;
            }
        }
    }
}
