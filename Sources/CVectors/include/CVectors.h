#ifndef PEFT_VECTORS_H
#define PEFT_VECTORS_H

#include "CBlocks.h"
#include "CHalves.h"
#include "CProducts.h"
#include "CQuantized.h"
#include "CSoftmax.h"

/// Eight floats, seen as SIMD8<Float> from Swift. Comparisons and selections between them are written here: through
/// Swift's masks the compiler falls back to one lane at a time.
typedef float peft_lanes __attribute__((ext_vector_type(8)));

#define PEFT_INLINE static inline __attribute__((always_inline))

/// The smaller and the larger of two values; b where one of them isn't a number.
PEFT_INLINE peft_lanes peft_min(peft_lanes a, peft_lanes b) { return a < b ? a : b; }
PEFT_INLINE peft_lanes peft_max(peft_lanes a, peft_lanes b) { return a > b ? a : b; }

/// x where a < b, y elsewhere.
PEFT_INLINE peft_lanes peft_where_less(peft_lanes a, peft_lanes b, peft_lanes x, peft_lanes y) {
    return a < b ? x : y;
}

PEFT_INLINE peft_lanes peft_load(const float *from) {
    peft_lanes value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
}

PEFT_INLINE void peft_store(float *to, peft_lanes value) { __builtin_memcpy(to, &value, sizeof value); }

/// to[j * to_stride + i] = from[i * from_stride + j] for i, j < 8: by pairs of floats, of pairs, of halves.
PEFT_INLINE void peft_transpose(const float *from, long from_stride, float *to, long to_stride) {
    peft_lanes a[8], b[8], c[8];
    for (int i = 0; i < 8; i++) a[i] = peft_load(from + i * from_stride);
    for (int i = 0; i < 8; i += 2) {
        b[i] = __builtin_shufflevector(a[i], a[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        b[i + 1] = __builtin_shufflevector(a[i], a[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    for (int i = 0; i < 8; i += 4) {
        for (int j = 0; j < 2; j++) {
            c[i + 2 * j] = __builtin_shufflevector(b[i + j], b[i + j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
            c[i + 2 * j + 1] = __builtin_shufflevector(b[i + j], b[i + j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        }
    }
    for (int i = 0; i < 4; i++) {
        peft_store(to + i * to_stride, __builtin_shufflevector(c[i], c[i + 4], 0, 1, 2, 3, 8, 9, 10, 11));
        peft_store(to + (i + 4) * to_stride, __builtin_shufflevector(c[i], c[i + 4], 4, 5, 6, 7, 12, 13, 14, 15));
    }
}

/// The place of the first of the largest values, or of the first that isn't a number.
PEFT_INLINE long peft_place_of_largest(const float *x, long count) {
    typedef int masks __attribute__((ext_vector_type(8)));
    masks strange = 0;
    float largest = -__builtin_inff();
    long i = 0;
    if (count >= 8) {
        peft_lanes a = peft_load(x);
        for (; i + 8 <= count; i += 8) {
            peft_lanes value = peft_load(x + i);
            strange |= value != value;
            a = peft_max(value, a);
        }
        for (int lane = 0; lane < 8; lane++) largest = a[lane] > largest ? a[lane] : largest;
    }
    int isStrange = 0;
    for (int lane = 0; lane < 8; lane++) isStrange |= strange[lane];
    for (; i < count; i++) {
        isStrange |= x[i] != x[i];
        largest = x[i] > largest ? x[i] : largest;
    }
    for (i = 0; i < count; i++) {
        if (isStrange ? x[i] != x[i] : x[i] == largest) return i;
    }
    return 0;
}

typedef double peft_double_lanes __attribute__((ext_vector_type(8)));

/// sum + x², exact for any x before the addition.
PEFT_INLINE peft_double_lanes peft_add_square(peft_double_lanes sum, peft_lanes x) {
    peft_double_lanes wide = __builtin_convertvector(x, peft_double_lanes);
    return sum + wide * wide;
}

/// Asks memory for the cache line at `from`, which will be read soon.
PEFT_INLINE void peft_prefetch(const void *from) { __builtin_prefetch(from, 0, 2); }

/// Whether this processor has vectors of sixteen floats (AVX-512 F, VL, BW and DQ).
int peft_has_wide_vectors(void);

/// Whether kernels take them.
int peft_uses_wide_vectors(void);

/// Whether the environment asks for the kernels of a processor without them (`PEFT_KERNELS=avx2`), to compare both kinds.
int peft_is_kept_narrow(void);

/// Keeps kernels to vectors of 256 bits on processors with wider ones too; no result depends on it.
void peft_use_narrow_vectors(int narrow);

/// The product of `PanelProduct.swift`, of the same bits, sixteen floats at a time; only where `peft_has_wide_vectors`.
void peft_wide_panel_product(
    const float *a, long row_step, long depth_step, const float *b, long panel_stride, float *c, long stride,
    long rows, long columns, long depth, int adding);

#include "CCodes.h"

#endif
