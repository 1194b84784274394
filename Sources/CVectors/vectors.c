#include "CVectors.h"
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>

#define PEFT_WIDE __attribute__((target("avx512f")))

/// C (+)= A · B for `rows` rows and `panels` panels of 16 columns, which are constants wherever this is inlined.
PEFT_WIDE __attribute__((always_inline)) static inline void wide_tile(
    const float *a, long row_step, long depth_step, const float *b, long panel_stride, float *c, long stride,
    const int rows, const int panels, long depth, int adding) {
    __m512 sums[8][2];
    for (int i = 0; i < rows; i++)
        for (int p = 0; p < panels; p++)
            sums[i][p] = adding ? _mm512_loadu_ps(c + i * stride + 16 * p) : _mm512_setzero_ps();
    for (long k = 0; k < depth; k++) {
        __m512 right[2];
        for (int p = 0; p < panels; p++) right[p] = _mm512_loadu_ps(b + p * panel_stride + 16 * k);
        for (int i = 0; i < rows; i++) {
            __m512 left = _mm512_set1_ps(a[i * row_step + k * depth_step]);
            for (int p = 0; p < panels; p++) sums[i][p] = _mm512_fmadd_ps(left, right[p], sums[i][p]);
        }
    }
    for (int i = 0; i < rows; i++)
        for (int p = 0; p < panels; p++) _mm512_storeu_ps(c + i * stride + 16 * p, sums[i][p]);
}

PEFT_WIDE void peft_wide_panel_product(
    const float *a, long row_step, long depth_step, const float *b, long panel_stride, float *c, long stride,
    long rows, long columns, long depth, int adding) {
    for (long j = 0; j < columns;) {
        const float *panel = b + j / 16 * panel_stride;
        int panels = j + 32 <= columns ? 2 : 1;
        for (long i = 0; i < rows;) {
            const float *left = a + i * row_step;
            float *target = c + i * stride + j;
            if (i + 8 > rows) {
                wide_tile(left, row_step, depth_step, panel, panel_stride, target, stride, 4, 1, depth, adding);
                if (panels == 2)
                    wide_tile(left, row_step, depth_step, panel + panel_stride, panel_stride, target + 16, stride, 4, 1,
                              depth, adding);
                i += 4;
            } else {
                if (panels == 2)
                    wide_tile(left, row_step, depth_step, panel, panel_stride, target, stride, 8, 2, depth, adding);
                else
                    wide_tile(left, row_step, depth_step, panel, panel_stride, target, stride, 8, 1, depth, adding);
                i += 8;
            }
        }
        j += 16 * panels;
    }
}

int peft_has_wide_vectors(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
}

#else

void peft_wide_panel_product(
    const float *a, long row_step, long depth_step, const float *b, long panel_stride, float *c, long stride,
    long rows, long columns, long depth, int adding) {
    __builtin_trap();
}

int peft_has_wide_vectors(void) { return 0; }

#endif

int peft_is_kept_narrow(void) {
    const char *kernels = getenv("PEFT_KERNELS");
    return kernels != NULL && strcmp(kernels, "avx2") == 0;
}

/// 1 where they are to be used, -1 as long as nobody asked.
static int wide = -1;

int peft_uses_wide_vectors(void) {
    int value = __atomic_load_n(&wide, __ATOMIC_RELAXED);
    if (value < 0) {
        value = peft_has_wide_vectors() && !peft_is_kept_narrow();
        __atomic_store_n(&wide, value, __ATOMIC_RELAXED);
    }
    return value;
}

void peft_use_narrow_vectors(int narrow) { __atomic_store_n(&wide, narrow ? 0 : -1, __ATOMIC_RELAXED); }
