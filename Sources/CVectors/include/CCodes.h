#ifndef PEFT_CODES_H
#define PEFT_CODES_H

/// The codes of 8 bits that `DynamicMap.swift` describes, eight at a time. Included by CVectors.h.

typedef int peft_integers __attribute__((ext_vector_type(8)));
typedef unsigned char peft_octets __attribute__((ext_vector_type(8)));

/// table[i] for each lane; four bytes an element.
PEFT_INLINE peft_integers peft_gather(const void *table, peft_integers index) {
#ifdef __AVX2__
    typedef int plain __attribute__((vector_size(32)));
    plain all = {-1, -1, -1, -1, -1, -1, -1, -1};
    return (peft_integers)__builtin_ia32_gatherd_d256(all, (const int *)table, (plain)index, all, 4);
#else
    peft_integers value;
    for (int i = 0; i < 8; i++) value[i] = ((const int *)table)[index[i]];
    return value;
#endif
}

/// The values of eight codes.
PEFT_INLINE peft_lanes peft_decode(const unsigned char *codes, const float *table) {
    peft_octets bytes;
    __builtin_memcpy(&bytes, codes, sizeof bytes);
    return (peft_lanes)peft_gather(table, __builtin_convertvector(bytes, peft_integers));
}

/// The ranks of eight magnitudes between that of the first cell and 1.
PEFT_INLINE peft_integers peft_ranks(peft_integers bits, const unsigned *cells, int first, const int shift) {
    peft_integers cell = peft_gather(cells, (bits >> shift) - first);
    const int mask = (1 << shift) - 1;
    return (cell >> shift) - ((bits & mask) > (cell & mask));
}

PEFT_INLINE void peft_store_codes(unsigned char *codes, peft_integers value) {
    peft_octets bytes = __builtin_convertvector(value, peft_octets);
    __builtin_memcpy(codes, &bytes, sizeof bytes);
}

/// The nearest codes to eight shares, of which −1 has none of its own.
PEFT_INLINE void peft_encode_signed(
    unsigned char *codes, peft_lanes shares, peft_lanes smallest, const unsigned *cells, int first) {
    peft_integers all = (peft_integers)shares;
    peft_integers sign = all >> 31;
    peft_lanes size = (peft_lanes)(all & 0x7FFFFFFF);
    peft_integers rank = peft_ranks((peft_integers)peft_min(peft_max(size, smallest), (peft_lanes)1), cells, first, 17);
    rank -= (rank >> 7) & sign;
    peft_store_codes(codes, 127 + ((rank ^ sign) - sign));
}

/// The nearest codes to eight shares that aren't negative, but not that of 0 for others.
PEFT_INLINE void peft_encode_unsigned(
    unsigned char *codes, peft_lanes shares, peft_lanes smallest, const unsigned *cells, int first) {
    peft_integers rank = peft_ranks((peft_integers)peft_min(peft_max(shares, smallest), (peft_lanes)1), cells, first, 16);
    peft_store_codes(codes, rank - ((rank == 0) & (shares > 0)));
}

#endif
