#define _GNU_SOURCE
#include "CHost.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <unistd.h>

static int argument_count = 0;
static char **argument_values = NULL;

__attribute__((constructor)) static void keep_arguments(int count, char **arguments, char **environment) {
    (void)environment;
    argument_count = count;
    argument_values = arguments;
}

int peft_argument_count(void) { return argument_count; }

const char *peft_argument(int index) { return index < argument_count ? argument_values[index] : NULL; }

const char *peft_executable(void) { return (const char *)getauxval(AT_EXECFN); }

void peft_occupy_standard_streams(void) {
    for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; descriptor++) {
        if (fcntl(descriptor, F_GETFD) != -1 || errno != EBADF) continue;
        // The wrong direction, so that a result that nobody gets is an error as it is without a descriptor. The lowest
        // free number is taken, which is this one.
        int taken = open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        if (taken < 0) open("/", O_RDONLY | O_DIRECTORY);
    }
}

int peft_available_processors(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : (int)count;
}

/// Ends the process where memory is short, with words and a status that say so: Swift's runtime, whose objects and arrays
/// come from here, would abort. The linker sends every `malloc` of the program here (`--wrap=malloc`).
void *__real_malloc(size_t size);

void *__wrap_malloc(size_t size) {
    void *memory = __real_malloc(size);
    if (memory == NULL && size > 0) {
        char message[96];
        int length = snprintf(message, sizeof message, "peft: error: out of memory: %zu bytes could not be had\n", size);
        if (length > 0 && write(STDERR_FILENO, message, (size_t)length) < 0) _exit(71);
        _exit(71);
    }
    return memory;
}
