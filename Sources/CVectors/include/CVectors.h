#ifndef PEFT_VECTORS_H
#define PEFT_VECTORS_H

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

typedef double peft_double_lanes __attribute__((ext_vector_type(8)));

/// sum + x², exact for any x before the addition.
PEFT_INLINE peft_double_lanes peft_add_square(peft_double_lanes sum, peft_lanes x) {
    peft_double_lanes wide = __builtin_convertvector(x, peft_double_lanes);
    return sum + wide * wide;
}

#endif
