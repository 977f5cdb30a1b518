/* Vectors of AVX-512 (F, BW, DQ, VL), sixteen floats, under the names of nn/kernel_vectors.h. Included below a file's target pragma. */
#ifndef T0_NN_VECTOR_AVX512_H
#define T0_NN_VECTOR_AVX512_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

enum { W = 16 };

#define VECTOR __m512
#define MASK __mmask16
#define ZERO _mm512_setzero_ps()
#define SPLAT _mm512_set1_ps
#define ADD _mm512_add_ps
#define SUB _mm512_sub_ps
#define MUL _mm512_mul_ps
#define DIV _mm512_div_ps
#define MAX _mm512_max_ps
#define MIN _mm512_min_ps
#define FMA _mm512_fmadd_ps
#define FNMA _mm512_fnmadd_ps
#define ROUND(x) _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define LOAD _mm512_loadu_ps
#define STORE _mm512_storeu_ps
#define LOAD_MASKED _mm512_maskz_loadu_ps
#define STORE_MASKED _mm512_mask_storeu_ps
#define UNPACK_LOW _mm512_unpacklo_ps
#define UNPACK_HIGH _mm512_unpackhi_ps
#define SHUFFLE _mm512_shuffle_ps
#define DOUBLES __m512d
#define DOUBLES_ZERO _mm512_setzero_pd()
#define DOUBLES_ADD _mm512_add_pd
#define DOUBLES_FMA _mm512_fmadd_pd
#define DOUBLES_LOW(v) _mm512_cvtps_pd(_mm512_castps512_ps256(v))
#define DOUBLES_HIGH(v) _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1))
#define WORDS __m512i
#define WORDS_ZERO _mm512_setzero_si512()
#define WORDS_SPLAT _mm512_set1_epi32
#define WORDS_ADD _mm512_add_epi32
#define WORDS_XOR _mm512_xor_si512
#define WORDS_LOAD_ALIGNED _mm512_load_si512
#define WORDS_STORE _mm512_storeu_si512
#define PAIRS_SPLAT(x) _mm512_set1_epi64((int64_t)(x))
#define PAIRS_COUNT _mm512_set_epi64(7, 3, 6, 2, 5, 1, 4, 0)
#define PAIRS_ADD _mm512_add_epi64
#define PAIRS_MUL _mm512_mul_epu32
#define PAIRS_UP(v) _mm512_slli_epi64(v, 32)
#define PAIRS_DOWN(v) _mm512_srli_epi64(v, 32)
#define PAIRS_XOR3(a, b, c) _mm512_ternarylogic_epi64(a, b, c, 0x96)
#define PAIRS_JOIN(low, high) _mm512_mask_blend_epi32(0xaaaa, low, high)
#define PAIRS_UNPACK_LOW _mm512_unpacklo_epi64
#define PAIRS_UNPACK_HIGH _mm512_unpackhi_epi64

static inline MASK first_lanes(size_t n) { return n >= W ? (MASK)0xffff : (MASK)((1u << n) - 1); }

static inline VECTOR load(const float *x, size_t left) { return LOAD_MASKED(first_lanes(left), x); }

static inline void store(float *x, size_t left, VECTOR value) { STORE_MASKED(x, first_lanes(left), value); }

static inline VECTOR load_or(VECTOR otherwise, const float *x, size_t left) {
    return _mm512_mask_loadu_ps(otherwise, first_lanes(left), x);
}

static inline VECTOR add_first(VECTOR sums, size_t left, VECTOR more) { return _mm512_mask_add_ps(sums, first_lanes(left), sums, more); }

static inline VECTOR where_negative(VECTOR x, VECTOR a, VECTOR b) {
    return _mm512_mask_blend_ps(_mm512_movepi32_mask(_mm512_castps_si512(x)), b, a);
}

static inline VECTOR scale_by_power(VECTOR x, VECTOR n) { return _mm512_scalef_ps(x, n); }

static inline float sum_lanes(VECTOR v) { return _mm512_reduce_add_ps(v); }

static inline float max_lane(VECTOR v) { return _mm512_reduce_max_ps(v); }

static inline double sum_doubles(DOUBLES v) { return _mm512_reduce_add_pd(v); }

static inline uint64_t xor_pairs(WORDS v) {
    uint64_t pairs[8], all = 0;
    WORDS_STORE(pairs, v);
    for (size_t i = 0; i < 8; i++) all ^= pairs[i];
    return all;
}

static inline void join_parts(VECTOR *t, const VECTOR *r) {
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
        const VECTOR low01 = _mm512_shuffle_f32x4(r[i], r[4 + i], 0x44), high01 = _mm512_shuffle_f32x4(r[i], r[4 + i], 0xee);
        const VECTOR low23 = _mm512_shuffle_f32x4(r[8 + i], r[12 + i], 0x44), high23 = _mm512_shuffle_f32x4(r[8 + i], r[12 + i], 0xee);
        t[i] = _mm512_shuffle_f32x4(low01, low23, 0x88);
        t[4 + i] = _mm512_shuffle_f32x4(low01, low23, 0xdd);
        t[8 + i] = _mm512_shuffle_f32x4(high01, high23, 0x88);
        t[12 + i] = _mm512_shuffle_f32x4(high01, high23, 0xdd);
    }
}

#endif
