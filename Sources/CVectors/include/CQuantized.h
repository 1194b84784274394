#ifndef PEFT_QUANTIZED_H
#define PEFT_QUANTIZED_H

/// Outputs of a panel of codes.
enum { PEFT_PANEL_OUTPUTS = 64 };

/// A weight W [outputs, inputs] of 4 bits an element with a scale for each block of elements in the order of rows, or of 8
/// bits with a scale for each row.
struct peft_quantized {
    /// By rows, the first of two 4-bit elements in the upper half of a byte; or in panels of 64 outputs, one input after the
    /// other: 64 bytes each for 8 bits, and for 4 bits 32 bytes in the order that is quickly made floats of.
    const unsigned char *codes;
    /// One for each block, or row; NULL where they are `scale_codes`.
    const float *scales;
    /// Block k's scale is `scale_map[scale_codes[k]] * nested_scales[k / 256] + offset`, each rounded.
    const unsigned char *scale_codes;
    const float *nested_scales, *scale_map;
    float offset;
    long outputs, inputs;
    /// The binary logarithm of how many elements share a scale; of 4 bits only.
    int block_shift;
    int bits, in_panels;
    /// The value of each code of 4 bits, and byte by byte.
    float table[16];
    unsigned char planes[4][16];
};

/// Sets the values of the sixteen codes.
void peft_set_table(struct peft_quantized *weight, const float *table);

/// Elements of the inputs that are summed up before their scale is multiplied by, where codes lie in panels.
long peft_quantized_chunk(const struct peft_quantized *weight);

/// Wᵀ's rows `inputs` from `first_input` on and columns `outputs` from `first_output`, a multiple of 16, on in panels of
/// sixteen columns, `16 * inputs` elements apart; without their scales unless `scaled`, which codes in panels can do.
void peft_unpack_by_inputs(const struct peft_quantized *weight, long first_input, long inputs, long first_output,
                           long outputs, int scaled, float *panels);

/// W's rows `outputs` from `first_output`, a multiple of 64, on and columns `inputs` from `first_input`, a multiple of 16,
/// on in panels of sixteen columns, `16 * outputs` elements apart.
void peft_unpack_by_outputs(const struct peft_quantized *weight, long first_output, long outputs, long first_input,
                            long inputs, float *panels);

/// W's rows `outputs` from `first_output`, a multiple of 64 where codes lie in panels, on, by rows.
void peft_unpack_rows(const struct peft_quantized *weight, long first_output, long outputs, float *rows);

/// The scales of so many outputs for the inputs that begin with `input`.
void peft_quantized_scales(const struct peft_quantized *weight, long input, long first_output, long outputs,
                           float *scales);

/// y (+)= x · Wᵀ for one row x and the outputs from `first_output`, a multiple of 32, on; codes in panels. An element is
/// the sum over chunks of scale times the sum over the chunk's inputs, in their order.
void peft_quantized_row(const struct peft_quantized *weight, const float *x, long first_output, long outputs, float *y,
                        int adding);

/// y ← scales · sums, or y + scales · sums where `adding`, each element in one rounding; [rows, outputs].
void peft_add_scaled(const float *sums, long sums_stride, const float *scales, float *y, long y_stride, long rows,
                     long outputs, int adding);

/// One element of W.
float peft_quantized_element(const struct peft_quantized *weight, long output, long input);

/// Rows of codes, `outputs` of them, as one panel, the last filled up with codes of zero, and the other way round.
void peft_codes_to_panel(const unsigned char *rows, long outputs, long inputs, int bits, unsigned char zero,
                         unsigned char *panel);
void peft_codes_from_panel(const unsigned char *panel, long outputs, long inputs, int bits, unsigned char *rows);

/// `count` elements from the beginning of a block on as 4-bit codes, two in a byte, and the largest magnitude of each block,
/// which is NaN where an element is; a last block may be short. An element's code is `order[number of bounds below it]`.
void peft_quantize_blocks(const float *from, long count, long block, const float *bounds, const unsigned char *order,
                          unsigned char *codes, float *magnitudes);

/// A row as 8-bit codes by way of 16-bit floats; its largest magnitude among those, without codes where it isn't finite.
float peft_quantize_row(const float *from, long count, signed char *codes);

#endif
