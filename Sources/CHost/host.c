#define _GNU_SOURCE
#include "CHost.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
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

void peft_release_heap(void) { malloc_trim(0); }

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

void peft_processor_mask(unsigned long long *words) {
    cpu_set_t set;
    for (int word = 0; word < PEFT_MASK_WORDS; word++) words[word] = 0;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return;
    for (int processor = 0; processor < PEFT_MASK_WORDS * 64; processor++) {
        if (CPU_ISSET(processor, &set)) words[processor / 64] |= 1ULL << (processor % 64);
    }
}

int peft_reachable_processors(void) {
    cpu_set_t before, all, found;
    if (sched_getaffinity(0, sizeof before, &before) != 0) return peft_available_processors();
    int count = CPU_COUNT(&before);
    CPU_ZERO(&all);
    for (int processor = 0; processor < CPU_SETSIZE; processor++) CPU_SET(processor, &all);
    // The system leaves out those that the process can't have at all, as in a container.
    if (sched_setaffinity(0, sizeof all, &all) != 0) return count;
    if (sched_getaffinity(0, sizeof found, &found) == 0) count = CPU_COUNT(&found);
    sched_setaffinity(0, sizeof before, &before);
    return count;
}

const char *peft_library_path(const void *symbol) {
    Dl_info place;
    return dladdr(symbol, &place) != 0 ? place.dli_fname : NULL;
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
