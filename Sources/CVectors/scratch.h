/// This thread's memory for sums and panels; it is used again by the next product, and so stays in cache.
float *peft_scratch(long count);
