#define _GNU_SOURCE
#include "COpenBLAS.h"
#include <sched.h>
#include <stdlib.h>
#include <string.h>
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

/// Tells OpenBLAS's start-up code, which asks the environment before `main` runs, to use one thread, whatever the user
/// set: the split over cores is ours, and its own would change the bits of results. The linker sends every `getenv` of
/// the program here (`--wrap=getenv`); changing the environment itself would move it, and Swift's standard library
/// finds the command line beside it.
char *__real_getenv(const char *name);

char *__wrap_getenv(const char *name) {
    static char one[] = "1";
    return strcmp(name, "OPENBLAS_NUM_THREADS") == 0 ? one : __real_getenv(name);
}
