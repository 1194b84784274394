#include <math.h>
#include <string.h>

// Everything that passes vectors is inlined, so that no calling convention is at stake.
#pragma clang diagnostic ignored "-Wpsabi"

#if defined(__x86_64__)
#include <immintrin.h>
#define PEFT_TARGET __attribute__((target("arch=x86-64-v3")))
#pragma clang attribute push(PEFT_TARGET, apply_to = function)
#include "CVectors.h"
#pragma clang attribute pop
#else
#define PEFT_TARGET
#include "CVectors.h"
#endif

// Sums are taken as written; products and sums join in one rounding only where it says so.
#pragma STDC FP_CONTRACT OFF

#define PEFT_LOCAL PEFT_TARGET static inline __attribute__((always_inline))

/// What 8-bit codes are multiplied by beside their row's magnitude: 1/127 as bitsandbytes has it.
static const float peft_hundred_and_twenty_seventh = 7.874015718698502e-3f;

PEFT_TARGET void peft_set_table(struct peft_quantized *weight, const float *table) {
    for (int code = 0; code < 16; code++) {
        unsigned bits;
        memcpy(&bits, table + code, 4);
        weight->table[code] = table[code];
        for (int byte = 0; byte < 4; byte++) weight->planes[byte][code] = bits >> 8 * byte;
    }
}

PEFT_TARGET long peft_quantized_chunk(const struct peft_quantized *weight) {
    return weight->bits == 4 && weight->block_shift < 6 ? 32 : 64;
}

// MARK: One by one

PEFT_LOCAL float peft_block_scale(const struct peft_quantized *weight, long block) {
    if (weight->scales) return weight->scales[block];
    const float scale = weight->scale_map[weight->scale_codes[block]] * weight->nested_scales[block >> 8];
    return scale + weight->offset;
}

/// Of the 64 outputs of a panel, the place in a panel's 32 bytes; outputs from 32 on are the upper halves.
PEFT_LOCAL int peft_place(int output) {
    return output % 32 / 16 * 8 + output % 4 * 2 + output % 16 / 8 + output % 8 / 4 * 16;
}

#if defined(__x86_64__)
/// The floats of 32 codes in the lower halves of bytes, from the four bytes of each.
PEFT_LOCAL void peft_floats(const __m256i plane[4], __m256i code, __m256 to[4]) {
    const __m256i a = _mm256_shuffle_epi8(plane[0], code), b = _mm256_shuffle_epi8(plane[1], code);
    const __m256i c = _mm256_shuffle_epi8(plane[2], code), d = _mm256_shuffle_epi8(plane[3], code);
    const __m256i second = _mm256_set1_epi32(1 << 16);
#pragma clang loop unroll(full)
    for (int half = 0; half < 2; half++) {
        const __m256i low = half ? _mm256_unpackhi_epi8(a, b) : _mm256_unpacklo_epi8(a, b);
        const __m256i high = half ? _mm256_unpackhi_epi8(c, d) : _mm256_unpacklo_epi8(c, d);
        // Two neighbours' halves meet by other units than those that shuffle, which have enough to do. What the product
        // leaves in the upper half is overwritten.
        to[2 * half] = _mm256_castsi256_ps(_mm256_blend_epi16(low, _mm256_slli_epi32(high, 16), 0xAA));
        to[2 * half + 1] = _mm256_castsi256_ps(_mm256_blend_epi16(_mm256_madd_epi16(low, second), high, 0xAA));
    }
}

PEFT_LOCAL void peft_planes(const struct peft_quantized *weight, __m256i plane[4]) {
    for (int i = 0; i < 4; i++)
        plane[i] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)weight->planes[i]));
}
#endif

PEFT_LOCAL int peft_code(const struct peft_quantized *weight, long output, long input) {
    if (weight->in_panels) {
        const long panel = output / 64 * weight->inputs + input;
        if (weight->bits == 8) return (signed char)weight->codes[panel * 64 + output % 64];
        return weight->codes[panel * 32 + peft_place(output % 64)] >> (output % 64 < 32 ? 0 : 4) & 15;
    }
    const long index = output * weight->inputs + input;
    if (weight->bits == 8) return (signed char)weight->codes[index];
    return weight->codes[index / 2] >> (index % 2 ? 0 : 4) & 15;
}

PEFT_LOCAL float peft_element(const struct peft_quantized *weight, long output, long input) {
    const int code = peft_code(weight, output, input);
    if (weight->bits == 8) return code * weight->scales[output] * peft_hundred_and_twenty_seventh;
    return weight->table[code] * peft_block_scale(weight, (output * weight->inputs + input) >> weight->block_shift);
}

PEFT_TARGET float peft_quantized_element(const struct peft_quantized *weight, long output, long input) {
    return peft_element(weight, output, input);
}

// MARK: Sixty-four outputs

/// The values of the 4-bit codes of twice sixteen outputs without their scales: those in the lower halves of the bytes, or in
/// the upper.
PEFT_LOCAL void peft_values(const struct peft_quantized *weight, const unsigned char *codes, const int upper, float *first,
                            float *second) {
#if defined(__x86_64__)
    __m256i plane[4];
    __m256 value[4];
    peft_planes(weight, plane);
    __m256i code = _mm256_loadu_si256((const __m256i *)codes);
    if (upper) code = _mm256_srli_epi16(code, 4);
    peft_floats(plane, _mm256_and_si256(code, _mm256_set1_epi8(15)), value);
    for (int i = 0; i < 2; i++) {
        _mm256_storeu_ps(first + 8 * i, value[i]);
        _mm256_storeu_ps(second + 8 * i, value[2 + i]);
    }
#else
    for (int output = 0; output < 32; output++)
        (output < 16 ? first : second - 16)[output] = weight->table[codes[peft_place(output)] >> (upper ? 4 : 0) & 15];
#endif
}

/// The values of one input for the outputs of a panel without their scales, sixteen by sixteen `stride` apart.
PEFT_LOCAL void peft_unpack_input(const struct peft_quantized *weight, long panel, long input, float *to, long stride) {
    if (weight->bits == 8) {
        const signed char *codes = (const signed char *)weight->codes + (panel * weight->inputs + input) * 64;
        for (int part = 0; part < 4; part++) {
            for (int output = 0; output < 16; output++) to[part * stride + output] = codes[part * 16 + output];
        }
        return;
    }
    const unsigned char *codes = weight->codes + (panel * weight->inputs + input) * 32;
    peft_values(weight, codes, 0, to, to + stride);
    peft_values(weight, codes, 1, to + 2 * stride, to + 3 * stride);
}

PEFT_TARGET void peft_quantized_scales(const struct peft_quantized *weight, long input, long first_output, long outputs,
                                       float *scales) {
    if (weight->bits == 8) {
        for (long i = 0; i < outputs; i++) scales[i] = weight->scales[first_output + i] * peft_hundred_and_twenty_seventh;
        return;
    }
    long element = first_output * weight->inputs + input;
    for (long i = 0; i < outputs; i++, element += weight->inputs)
        scales[i] = peft_block_scale(weight, element >> weight->block_shift);
}

/// The same for a whole panel, of which there may be less outputs.
PEFT_LOCAL void peft_panel_scales(const struct peft_quantized *weight, long panel, long input, float *scales) {
    const long left = weight->outputs - panel * 64;
    const long count = left < 64 ? left : 64;
    peft_quantized_scales(weight, input, panel * 64, count, scales);
    for (long i = count; i < 64; i++) scales[i] = 0;
}

/// Codes times scales, of 8 bits as they are rounded one by one.
PEFT_LOCAL void peft_scale(const struct peft_quantized *weight, long panel, const float *scales, float *values) {
    if (weight->bits == 8) {
        for (long i = 0; i < 64; i++) {
            const long output = panel * 64 + i;
            values[i] = output < weight->outputs ? values[i] * weight->scales[output] * peft_hundred_and_twenty_seventh : 0;
        }
        return;
    }
    for (int i = 0; i < 64; i++) values[i] *= scales[i];
}

// MARK: Panels of floats

PEFT_TARGET void peft_unpack_by_inputs(const struct peft_quantized *weight, long first_input, long inputs,
                                       long first_output, long outputs, int scaled, float *panels) {
    if (!weight->in_panels) {
        for (long j = 0; j < (outputs + 15) / 16 * 16; j++) {
            float *to = panels + j / 16 * 16 * inputs + j % 16;
            for (long p = 0; p < inputs; p++)
                to[p * 16] = j < outputs ? peft_element(weight, first_output + j, first_input + p) : 0;
        }
        return;
    }
    const long chunk = peft_quantized_chunk(weight);
    float scales[64], values[64];
    for (long j = 0; j < outputs;) {
        const long panel = (first_output + j) / 64, from = (first_output + j) % 64;
        const long count = 64 - from < outputs - j ? 64 - from : (outputs - j + 15) / 16 * 16;
        if (count == 64 && !scaled) {
            for (long p = 0; p < inputs; p++)
                peft_unpack_input(weight, panel, first_input + p, panels + j * inputs + p * 16, 16 * inputs);
            j += 64;
            continue;
        }
        for (long p = 0; p < inputs; p++) {
            const long input = first_input + p;
            peft_unpack_input(weight, panel, input, values, 16);
            if (scaled) {
                if (p == 0 || input % chunk == 0) peft_panel_scales(weight, panel, input, scales);
                peft_scale(weight, panel, scales, values);
            }
            for (long i = 0; i < count; i += 16) {
                float *to = panels + (j + i) * inputs + p * 16;
                for (long k = 0; k < 16; k++) to[k] = values[from + i + k];
            }
        }
        j += count;
    }
}

PEFT_TARGET void peft_unpack_by_outputs(const struct peft_quantized *weight, long first_output, long outputs,
                                        long first_input, long inputs, float *panels) {
    const long width = (inputs + 15) / 16 * 16;
    if (!weight->in_panels) {
        for (long p = 0; p < outputs; p++) {
            for (long j = 0; j < width; j++)
                panels[j / 16 * 16 * outputs + p * 16 + j % 16] =
                    j < inputs ? peft_element(weight, first_output + p, first_input + j) : 0;
        }
        return;
    }
    const long chunk = peft_quantized_chunk(weight);
    float scales[64];
    __attribute__((aligned(32))) float values[8][64];
    for (long p = 0; p < outputs; p += 64) {
        const long panel = (first_output + p) / 64, count = outputs - p < 64 ? outputs - p : 64;
        for (long j = 0; j < width; j += 8) {
            float *to = panels + j / 16 * 16 * outputs + p * 16 + j % 16;
            for (long i = 0; i < 8; i++) {
                const long input = first_input + j + i;
                if (j + i >= inputs) {
                    memset(values[i], 0, sizeof values[i]);
                    continue;
                }
                peft_unpack_input(weight, panel, input, values[i], 16);
                if (j + i == 0 || input % chunk == 0) peft_panel_scales(weight, panel, input, scales);
                peft_scale(weight, panel, scales, values[i]);
            }
            long k = 0;
            for (; k + 8 <= count; k += 8) peft_transpose(values[0] + k, 64, to + k * 16, 16);
            for (; k < count; k++) {
                for (long i = 0; i < 8; i++) to[k * 16 + i] = values[i][k];
            }
        }
    }
}

PEFT_TARGET void peft_unpack_rows(const struct peft_quantized *weight, long first_output, long outputs, float *rows) {
    const long inputs = weight->inputs;
    if (!weight->in_panels) {
        for (long i = 0; i < outputs; i++) {
            for (long p = 0; p < inputs; p++) rows[i * inputs + p] = peft_element(weight, first_output + i, p);
        }
        return;
    }
    const long chunk = peft_quantized_chunk(weight);
    float scales[64];
    __attribute__((aligned(32))) float values[8][64];
    for (long i = 0; i < outputs; i += 64) {
        const long panel = (first_output + i) / 64, count = outputs - i < 64 ? outputs - i : 64;
        for (long p = 0; p < inputs; p += 8) {
            const long width = inputs - p < 8 ? inputs - p : 8;
            for (long k = 0; k < width; k++) {
                peft_unpack_input(weight, panel, p + k, values[k], 16);
                if ((p + k) % chunk == 0) peft_panel_scales(weight, panel, p + k, scales);
                peft_scale(weight, panel, scales, values[k]);
            }
            long o = 0;
            if (width == 8) {
                for (; o + 8 <= count; o += 8) peft_transpose(values[0] + o, 64, rows + (i + o) * inputs + p, inputs);
            }
            for (; o < count; o++) {
                for (long k = 0; k < width; k++) rows[(i + o) * inputs + p + k] = values[k][o];
            }
        }
    }
}

// MARK: One row

/// Bytes of codes that are asked for before they are read.
enum { PEFT_CODES_AHEAD = 2048 };

/// The sums over a chunk of inputs, 32 at least, for 32 outputs. Meanwhile the scales of elements from `next` on are made,
/// one for each output, by units that have nothing else to do.
PEFT_LOCAL void peft_half_sums(const struct peft_quantized *weight, const unsigned char *codes, const float *x, long count,
                               const int upper, long next, float *scales, peft_lanes sums[4]) {
#if defined(__x86_64__)
    __m256i plane[4];
    peft_planes(weight, plane);
    const __m256i lower_half = _mm256_set1_epi8(15);
#endif
    for (int i = 0; i < 4; i++) sums[i] = (peft_lanes)(0.0f);
    for (long p = 0; p < count; p++) {
#if defined(__x86_64__)
        __m256i code = _mm256_loadu_si256((const __m256i *)(codes + p * 32));
        if (upper) code = _mm256_srli_epi16(code, 4);
        __m256 value[4];
        peft_floats(plane, _mm256_and_si256(code, lower_half), value);
#else
        __attribute__((aligned(32))) float value[4][8];
        peft_values(weight, codes + p * 32, upper, value[0], value[2]);
#endif
        const peft_lanes factor = (peft_lanes)(x[p]);
#pragma clang loop unroll(full)
        for (int i = 0; i < 4; i++) {
            peft_lanes w;
            memcpy(&w, value + i, sizeof w);
            sums[i] = __builtin_elementwise_fma(factor, w, sums[i]);
        }
        // Memory follows rows of codes only as far as a page goes.
        if (!upper && p % 2 == 0) __builtin_prefetch(codes + p * 32 + PEFT_CODES_AHEAD, 0, 3);
        if (p < 32) {
            scales[p] = peft_block_scale(weight, next >> weight->block_shift);
            next += weight->inputs;
        }
    }
}

PEFT_LOCAL void peft_byte_sums(const signed char *codes, const float *x, long count, peft_lanes sums[4]) {
    typedef signed char bytes __attribute__((ext_vector_type(8), aligned(1)));
    for (int i = 0; i < 4; i++) sums[i] = (peft_lanes)(0.0f);
    for (long p = 0; p < count; p++) {
        for (int i = 0; i < 4; i++) {
            const peft_lanes value = __builtin_convertvector(*(const bytes *)(codes + p * 64 + i * 8), peft_lanes);
            sums[i] = __builtin_elementwise_fma((peft_lanes)(x[p]), value, sums[i]);
        }
    }
}

/// The same one by one, for outputs that end amid a half.
PEFT_LOCAL void peft_last_sums(const struct peft_quantized *weight, const unsigned char *codes, const float *x, long count,
                               const int upper, peft_lanes sums[4]) {
    __attribute__((aligned(32))) float values[32];
    for (int i = 0; i < 4; i++) sums[i] = (peft_lanes)(0.0f);
    for (long p = 0; p < count; p++) {
        peft_values(weight, codes + p * 32, upper, values, values + 16);
        for (int i = 0; i < 4; i++)
            sums[i] = __builtin_elementwise_fma((peft_lanes)(x[p]), peft_load(values + 8 * i), sums[i]);
    }
}

/// Halves of a panel's outputs at once, so that its codes come from memory once.
PEFT_LOCAL void peft_quantized_halves(const struct peft_quantized *weight, const float *x, long output, long count,
                                      float *y, int adding) {
    const long inputs = weight->inputs, chunk = peft_quantized_chunk(weight), panel = output / 64;
    const int first_half = output % 64 / 32, halves = (count + 31) / 32;
    __attribute__((aligned(32))) float scales[2][64] = {0}, whole[64] = {0};
    peft_lanes totals[2][4];
    if (adding) memcpy(whole, y, count * sizeof(float));
    for (int i = 0; i < 8; i++) totals[i / 4][i % 4] = peft_load(whole + 8 * i);
    peft_quantized_scales(weight, 0, output, count, scales[0]);
    for (long first = 0; first < inputs; first += chunk) {
        const long ahead = first + chunk < inputs ? first + chunk : first;
        float *own = scales[first / chunk % 2], *other = scales[first / chunk % 2 ^ 1];
        for (int half = 0; half < halves; half++) {
            const int upper = first_half + half;
            // There are no scales beyond the last outputs'.
            const int is_whole = count - 32 * half >= 32;
            peft_lanes sums[4];
            if (weight->bits == 8) {
                const signed char *codes = (const signed char *)weight->codes;
                peft_byte_sums(codes + (panel * inputs + first) * 64 + 32 * upper, x + first, chunk, sums);
                if (first == 0) memcpy(other + 32 * half, own + 32 * half, 32 * sizeof(float));
            } else {
                const unsigned char *codes = weight->codes + (panel * inputs + first) * 32;
                const long next = (output + 32 * half) * inputs + ahead;
                if (!is_whole) {
                    peft_last_sums(weight, codes, x + first, chunk, upper, sums);
                    peft_quantized_scales(weight, ahead, output + 32 * half, count - 32 * half, other + 32 * half);
                } else if (upper) {
                    peft_half_sums(weight, codes, x + first, chunk, 1, next, other + 32 * half, sums);
                } else {
                    peft_half_sums(weight, codes, x + first, chunk, 0, next, other + 32 * half, sums);
                }
            }
            for (int i = 0; i < 4; i++)
                totals[half][i] = __builtin_elementwise_fma(peft_load(own + 32 * half + 8 * i), sums[i], totals[half][i]);
        }
    }
    for (int i = 0; i < 8; i++) peft_store(whole + 8 * i, totals[i / 4][i % 4]);
    memcpy(y, whole, count * sizeof(float));
}

PEFT_TARGET void peft_quantized_row(const struct peft_quantized *weight, const float *x, long first_output, long outputs,
                                    float *y, int adding) {
    for (long j = 0; j < outputs;) {
        const long left = 64 - (first_output + j) % 64;
        const long count = outputs - j < left ? outputs - j : left;
        peft_quantized_halves(weight, x, first_output + j, count, y + j, adding);
        j += count;
    }
}

PEFT_TARGET void peft_add_scaled(const float *sums, long sums_stride, const float *scales, float *y, long y_stride,
                                 long rows, long outputs, int adding) {
    for (long i = 0; i < rows; i++) {
        const float *from = sums + i * sums_stride;
        float *to = y + i * y_stride;
        long j = 0;
        for (; j + 8 <= outputs; j += 8) {
            const peft_lanes before = adding ? peft_load(to + j) : (peft_lanes)(0.0f);
            peft_store(to + j, __builtin_elementwise_fma(peft_load(scales + j), peft_load(from + j), before));
        }
        for (; j < outputs; j++) to[j] = __builtin_fmaf(scales[j], from[j], adding ? to[j] : 0);
    }
}

// MARK: Codes

PEFT_TARGET void peft_codes_to_panel(const unsigned char *rows, long outputs, long inputs, int bits, unsigned char zero,
                         unsigned char *panel) {
    if (bits == 8) {
        for (long p = 0; p < inputs; p++) {
            for (long i = 0; i < 64; i++) panel[p * 64 + i] = i < outputs ? rows[i * inputs + p] : zero;
        }
        return;
    }
    // Where codes are in panels, rows are an even number of them.
    const long bytes = inputs / 2;
    const unsigned char filled = zero << 4 | zero;
    for (int output = 0; output < 32; output++) {
        const unsigned char *lower = output < outputs ? rows + output * bytes : NULL;
        const unsigned char *upper = output + 32 < outputs ? rows + (output + 32) * bytes : NULL;
        unsigned char *to = panel + peft_place(output);
        for (long p = 0; p < bytes; p++) {
            const unsigned a = lower ? lower[p] : filled, b = upper ? upper[p] : filled;
            to[64 * p] = a >> 4 | (b & 0xF0);
            to[64 * p + 32] = (a & 15) | b << 4;
        }
    }
}

PEFT_TARGET void peft_codes_from_panel(const unsigned char *panel, long outputs, long inputs, int bits, unsigned char *rows) {
    if (bits == 8) {
        for (long i = 0; i < outputs; i++) {
            for (long p = 0; p < inputs; p++) rows[i * inputs + p] = panel[p * 64 + i];
        }
        return;
    }
    const long bytes = inputs / 2;
    for (long output = 0; output < outputs; output++) {
        const unsigned char *from = panel + peft_place(output % 32);
        const int shift = output < 32 ? 0 : 4;
        for (long p = 0; p < bytes; p++)
            rows[output * bytes + p] = (from[64 * p] >> shift & 15) << 4 | (from[64 * p + 32] >> shift & 15);
    }
}

// MARK: Quantization

PEFT_TARGET void peft_quantize_blocks(const float *from, long count, long block, const float *bounds,
                                      const unsigned char *order, unsigned char *codes, float *magnitudes) {
    typedef int masks __attribute__((ext_vector_type(8)));
    const float least = 1e-38f;
    int is_sorted = 1;
    for (int place = 0; place < 16; place++) is_sorted &= order[place] == place;
    for (long first = 0; first < count; first += block) {
        const long length = count - first < block ? count - first : block;
        const float *x = from + first;
        peft_lanes most = (peft_lanes)(0.0f);
        masks strange = 0;
        long i = 0;
        for (; i + 8 <= length; i += 8) {
            const peft_lanes value = peft_load(x + i);
            strange |= value != value;
            most = peft_max(__builtin_elementwise_abs(value), most);
        }
        float magnitude = 0;
        int is_strange = 0;
        for (int lane = 0; lane < 8; lane++) {
            magnitude = most[lane] > magnitude ? most[lane] : magnitude;
            is_strange |= strange[lane];
        }
        for (; i < length; i++) {
            magnitude = fabsf(x[i]) > magnitude ? fabsf(x[i]) : magnitude;
            is_strange |= x[i] != x[i];
        }
        const int is_short = length < block;
        const float divisor = magnitude > least ? magnitude : least;
        magnitudes[first / block] = is_strange ? NAN : is_short ? divisor : magnitude;
        const float factor = 1 / divisor;
        unsigned char *to = codes + first / 2;
        for (i = 0; i < length; i += 8) {
            const long width = length - i < 8 ? length - i : 8;
            peft_lanes value;
            if (width == 8) {
                value = peft_load(x + i);
            } else {
                float values[8] = {0};
                for (long lane = 0; lane < width; lane++) values[lane] = x[i + lane];
                value = peft_load(values);
            }
            value = is_short ? value / divisor : value * factor;
            masks index = 0;
            for (int bound = 0; bound < 15; bound++) index -= value > (peft_lanes)(bounds[bound]);
            if (is_sorted && width == 8) {
                typedef unsigned long pairs __attribute__((ext_vector_type(4)));
                typedef unsigned char bytes __attribute__((ext_vector_type(4), aligned(1)));
                const pairs pair = (pairs)index;
                *(bytes *)(to + i / 2) = __builtin_convertvector((pair << 4 | pair >> 32) & 255, bytes);
                continue;
            }
            for (long lane = 0; lane < width; lane += 2) to[(i + lane) / 2] = order[index[lane]] << 4 | order[index[lane + 1]];
        }
    }
}

PEFT_TARGET float peft_quantize_row(const float *from, long count, signed char *codes) {
    float magnitude = 0;
    for (long i = 0; i < count; i++) {
        const float half = (_Float16)from[i];
        if (half != half) return NAN;
        magnitude = fabsf(half) > magnitude ? fabsf(half) : magnitude;
    }
    if (isinf(magnitude)) return magnitude;
    // Torch takes a number divided by a tensor for the product with its reciprocal.
    const float factor = magnitude > 0 ? 127 * (1 / magnitude) : 0;
    for (long i = 0; i < count; i++) codes[i] = (signed char)rintf((float)(_Float16)from[i] * factor);
    return magnitude;
}
