#include "scratch.h"
#include <stdlib.h>

float *peft_scratch(long count) {
    static _Thread_local float *memory;
    static _Thread_local long size;
    if (count > size) {
        free(memory);
        void *fresh = NULL;
        const int failure = posix_memalign(&fresh, 64, count * sizeof(float));
        memory = failure ? NULL : fresh;
        size = failure ? 0 : count;
    }
    return memory;
}
