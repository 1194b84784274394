#define _GNU_SOURCE
#include "COpenBLAS.h"
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

int peft_processor_is_supported(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
#else
    return 1;
#endif
}

int peft_available_processors(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : (int)count;
}

/// Runs before OpenBLAS's own start-up code, which has the default priority.
///
/// OpenBLAS would start a thread for each core; the split over cores is ours, so it gets one. And releases older than
/// a processor take it for the oldest of its kind: 0.3.21 uses its AVX2 kernels on Zen 4 and 5, where its AVX-512
/// kernels reach nearly twice the rate on Zen 5. What the user set stays.
__attribute__((constructor(101))) static void prepare_openblas(void) {
    setenv("OPENBLAS_NUM_THREADS", "1", 0);
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
        setenv("OPENBLAS_CORETYPE", "SkylakeX", 0);
#endif
}
