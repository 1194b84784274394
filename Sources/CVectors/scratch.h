/// Who has memory in each thread that its next product uses again, so that it stays in cache.
enum { PEFT_PRODUCTS, PEFT_BLOCKS, PEFT_HALVES, PEFT_SCRATCH_COUNT };

/// This thread's memory of one of them, for `count` floats; its content lasts until more is asked for. NULL where there is
/// none to be had.
float *peft_scratch(int owner, long count);
