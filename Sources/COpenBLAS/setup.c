#include "COpenBLAS.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int peft_processor_is_supported(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
#else
    return 1;
#endif
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

/// Ends the process where memory is short, as OpenBLAS does not: each thread that multiplies gets its buffer by `mmap`, and
/// where there is none it asks again for ever. The linker sends every `mmap` of the program here (`--wrap=mmap`); a file
/// that can't be mapped is its reader's to tell.
void *__real_mmap(void *address, size_t size, int protection, int flags, int descriptor, off_t offset);

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int descriptor, off_t offset) {
    void *memory = __real_mmap(address, size, protection, flags, descriptor, offset);
    if (memory == MAP_FAILED && descriptor == -1 && (errno == ENOMEM || errno == EAGAIN)) {
        char message[96];
        int length = snprintf(message, sizeof message, "peft: error: out of memory: %zu bytes could not be had\n", size);
        if (length > 0 && write(STDERR_FILENO, message, (size_t)length) < 0) _exit(71);
        _exit(71);
    }
    return memory;
}
