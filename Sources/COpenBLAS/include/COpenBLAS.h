#ifndef COPENBLAS_H
#define COPENBLAS_H

#include <stdint.h>

/// OpenBLAS's entry points that are called, declared here so that no header of Debian's
/// architecture-dependent folders has to be found. The values of the enumerations are those of the CBLAS standard.
enum { PEFTBlasRowMajor = 101, PEFTBlasNoTrans = 111, PEFTBlasTrans = 112 };

void cblas_sgemm(int order, int transA, int transB, int m, int n, int k, float alpha, const float *a, int lda,
                 const float *b, int ldb, float beta, float *c, int ldc);

void cblas_dgemm(int order, int transA, int transB, int m, int n, int k, double alpha, const double *a, int lda,
                 const double *b, int ldb, double beta, double *c, int ldc);

/// How many threads OpenBLAS itself uses. The engine leaves it at one; the benchmark compares.
void openblas_set_num_threads(int count);

/// The name of the kernel set that OpenBLAS chose for this processor, such as "Haswell" or "SkylakeX".
char *openblas_get_corename(void);

/// Whether this processor runs the instructions that the kernels were compiled for (AVX2 and FMA on x86-64).
int peft_processor_is_supported(void);

/// Tells the processor that the caller spins.
static inline void peft_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
