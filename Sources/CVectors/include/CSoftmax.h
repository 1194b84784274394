#ifndef PEFT_SOFTMAX_H
#define PEFT_SOFTMAX_H

/// Some rows of a block of scores on their way through attention's softmax.
struct peft_scores {
    /// [rows, columns], `stride` elements from row to row; the columns are a multiple of 16.
    float *scores;
    long stride, rows, columns;
    /// How many columns the first row sees, and how many more each further row; never fewer than 0 or more than `keys`.
    long seen, seen_step, keys;
    /// The choice of `Dropout.swift`: its key, and the number of the first row's first element; each row's is
    /// `number_step` further. Without dropout `drops` is 0.
    int drops, threshold;
    unsigned low, high, number, number_step;
    float scale;
};

/// `softmaxStep` for all rows, of the same bits, sixteen floats at a time; only where `peft_has_wide_vectors`.
/// `width` columns of the sums, which lie as many elements apart, are a multiple of 16.
void peft_wide_softmax(const struct peft_scores *block, float *maxima, float *totals, float *sums, long width);

/// `softmaxBackward` for all rows, likewise; the gradients lie as the scores do.
void peft_wide_softmax_backward(
    const struct peft_scores *block, float *score_gradients, const float *log_sums, const float *dots);

#endif
