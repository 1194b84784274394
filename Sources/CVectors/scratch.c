#include "scratch.h"
#include <stdlib.h>

float *peft_scratch(int owner, long count) {
    static _Thread_local float *memory[PEFT_SCRATCH_COUNT];
    static _Thread_local long size[PEFT_SCRATCH_COUNT];
    if (count > size[owner]) {
        free(memory[owner]);
        void *fresh = NULL;
        const int failure = posix_memalign(&fresh, 64, count * sizeof(float));
        memory[owner] = failure ? NULL : fresh;
        size[owner] = failure ? 0 : count;
    }
    return memory[owner];
}
