#include "CVectors.h"

#if defined(__x86_64__)
#include <immintrin.h>

// Sums are taken as written; products and sums join in one rounding only where it says so.
#pragma STDC FP_CONTRACT OFF

#define PEFT_WIDE __attribute__((target("avx512f")))
#define PEFT_WIDE_INLINE PEFT_WIDE static inline __attribute__((always_inline))

/// `exponentialOfNonPositive` of `VectorMath.swift`.
PEFT_WIDE_INLINE __m512 exponential_of_non_positive(__m512 x) {
    const __m512 least = _mm512_set1_ps(-87.33654f), magic = _mm512_set1_ps(12582912.0f);
    const __m512 limited = _mm512_max_ps(least, x);
    const __m512 shifted = _mm512_fmadd_ps(limited, _mm512_set1_ps(1.44269504f), magic);
    const __m512 n = _mm512_sub_ps(shifted, magic);
    __m512 r = _mm512_fmadd_ps(n, _mm512_set1_ps(-0.693359375f), limited);
    r = _mm512_fmadd_ps(n, _mm512_set1_ps(2.1219444e-4f), r);
    __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(0.0013814558f), r, _mm512_set1_ps(0.008368736f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.04166839f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.16666521f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.49999994f));
    const __m512 fraction = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), _mm512_add_ps(r, _mm512_set1_ps(1)));
    // The rounded integer is in the lowest bits of the sum; 127 is the exponent's bias.
    const __m512i exponent = _mm512_add_epi32(_mm512_castps_si512(shifted), _mm512_set1_epi32(127 - 0x4B400000));
    const __m512 power = _mm512_castsi512_ps(_mm512_slli_epi32(exponent, 23));
    return _mm512_maskz_mul_ps(_mm512_cmp_ps_mask(x, least, _CMP_NLT_UQ), fraction, power);
}

/// `Dropout.factors`, for sixteen elements.
PEFT_WIDE_INLINE __m512 factors(const struct peft_scores *block, unsigned number) {
    const __m512i places = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    __m512i x = _mm512_add_epi32(_mm512_set1_epi32((int)number), places);
    x = _mm512_add_epi32(_mm512_mullo_epi32(x, _mm512_set1_epi32((int)0x9E3779B9)), _mm512_set1_epi32((int)block->low));
    x = _mm512_xor_si512(x, _mm512_srli_epi32(x, 16));
    x = _mm512_mullo_epi32(_mm512_xor_si512(x, _mm512_set1_epi32((int)block->high)), _mm512_set1_epi32(0x7FEB352D));
    x = _mm512_xor_si512(x, _mm512_srli_epi32(x, 15));
    x = _mm512_mullo_epi32(x, _mm512_set1_epi32((int)0x846CA68B));
    x = _mm512_xor_si512(x, _mm512_srli_epi32(x, 16));
    const __mmask16 kept = _mm512_cmpge_epi32_mask(_mm512_srli_epi32(x, 1), _mm512_set1_epi32(block->threshold));
    return _mm512_maskz_mov_ps(kept, _mm512_set1_ps(block->scale));
}

/// Which of the sixteen columns from `column` on a row sees that sees `seen` in all.
PEFT_WIDE_INLINE __mmask16 visible(long seen, long column) {
    const long count = seen - column;
    return count >= 16 ? 0xFFFF : count <= 0 ? 0 : (__mmask16)((1u << count) - 1);
}

/// The scores from `column` on, −∞ where the row doesn't see them.
PEFT_WIDE_INLINE __m512 seen_scores(const float *scores, long seen, long column) {
    const __m512 none = _mm512_set1_ps(-__builtin_inff());
    return _mm512_mask_loadu_ps(none, visible(seen, column), scores + column);
}

PEFT_WIDE_INLINE long seen_by(const struct peft_scores *block, long row) {
    const long seen = block->seen + row * block->seen_step;
    return seen < 0 ? 0 : seen > block->keys ? block->keys : seen;
}

/// The sum of the lanes, in the order of `Lanes.total` for the sum of both halves.
PEFT_WIDE_INLINE float total(__m512 x) {
    float a[16];
    _mm512_storeu_ps(a, x);
    float b[8];
    for (int i = 0; i < 8; i++) b[i] = a[i] + a[i + 8];
    return ((b[0] + b[4]) + (b[2] + b[6])) + ((b[1] + b[5]) + (b[3] + b[7]));
}

PEFT_WIDE_INLINE void softmax(
    const struct peft_scores *block, float *maxima, float *totals, float *sums, long width, const int drops) {
    for (long row = 0; row < block->rows; row++) {
        float *scores = block->scores + row * block->stride;
        const long seen = seen_by(block, row);
        __m512 largest = _mm512_set1_ps(-__builtin_inff());
        for (long j = 0; j < block->columns; j += 16) largest = _mm512_max_ps(largest, seen_scores(scores, seen, j));
        const float old = maxima[row], found = _mm512_reduce_max_ps(largest);
        const float new = found > old ? found : old;
        if (new > old) {
            const __m512 factor = exponential_of_non_positive(_mm512_set1_ps(old - new));
            totals[row] *= _mm512_cvtss_f32(factor);
            float *sum = sums + row * width;
            for (long j = 0; j < width; j += 16)
                _mm512_storeu_ps(sum + j, _mm512_mul_ps(_mm512_loadu_ps(sum + j), factor));
            maxima[row] = new;
        }
        // A row of nothing but −∞ so far keeps a maximum of −∞; its scores count 0.
        const __m512 shift = _mm512_set1_ps(new == -__builtin_inff() ? 0 : new);
        const unsigned number = block->number + (unsigned)row * block->number_step;
        __m512 sum = _mm512_setzero_ps();
        for (long j = 0; j < block->columns; j += 16) {
            __m512 p = exponential_of_non_positive(_mm512_sub_ps(seen_scores(scores, seen, j), shift));
            sum = _mm512_add_ps(sum, p);
            if (drops) p = _mm512_mul_ps(p, factors(block, number + (unsigned)j));
            _mm512_storeu_ps(scores + j, p);
        }
        totals[row] += total(sum);
    }
}

PEFT_WIDE void peft_wide_softmax(
    const struct peft_scores *block, float *maxima, float *totals, float *sums, long width) {
    if (block->drops)
        softmax(block, maxima, totals, sums, width, 1);
    else
        softmax(block, maxima, totals, sums, width, 0);
}

PEFT_WIDE_INLINE void softmax_backward(
    const struct peft_scores *block, float *score_gradients, const float *log_sums, const float *dots,
    const int drops) {
    for (long row = 0; row < block->rows; row++) {
        float *scores = block->scores + row * block->stride;
        float *gradients = score_gradients + row * block->stride;
        const long seen = seen_by(block, row);
        const __m512 log_sum = _mm512_set1_ps(log_sums[row]), dot = _mm512_set1_ps(dots[row]);
        const unsigned number = block->number + (unsigned)row * block->number_step;
        for (long j = 0; j < block->columns; j += 16) {
            const __m512 p = exponential_of_non_positive(_mm512_sub_ps(seen_scores(scores, seen, j), log_sum));
            __m512 dp = _mm512_loadu_ps(gradients + j), thinned = p;
            if (drops) {
                const __m512 factor = factors(block, number + (unsigned)j);
                dp = _mm512_mul_ps(dp, factor);
                thinned = _mm512_mul_ps(thinned, factor);
            }
            _mm512_storeu_ps(scores + j, thinned);
            _mm512_storeu_ps(gradients + j, _mm512_mul_ps(p, _mm512_sub_ps(dp, dot)));
        }
    }
}

PEFT_WIDE void peft_wide_softmax_backward(
    const struct peft_scores *block, float *score_gradients, const float *log_sums, const float *dots) {
    if (block->drops)
        softmax_backward(block, score_gradients, log_sums, dots, 1);
    else
        softmax_backward(block, score_gradients, log_sums, dots, 0);
}

#else

void peft_wide_softmax(const struct peft_scores *block, float *maxima, float *totals, float *sums, long width) {
    __builtin_trap();
}

void peft_wide_softmax_backward(
    const struct peft_scores *block, float *score_gradients, const float *log_sums, const float *dots) {
    __builtin_trap();
}

#endif
