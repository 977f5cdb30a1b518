/* Vectors of AVX2 with FMA, eight floats, under the names of nn/kernel_vectors.h. Included below a file's target pragma. */
#ifndef T0_NN_VECTOR_AVX2_H
#define T0_NN_VECTOR_AVX2_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

enum { W = 8 };

#define VECTOR __m256
#define MASK __m256i
#define ZERO _mm256_setzero_ps()
#define SPLAT _mm256_set1_ps
#define ADD _mm256_add_ps
#define SUB _mm256_sub_ps
#define MUL _mm256_mul_ps
#define DIV _mm256_div_ps
#define MAX _mm256_max_ps
#define MIN _mm256_min_ps
#define FMA _mm256_fmadd_ps
#define FNMA _mm256_fnmadd_ps
#define ROUND(x) _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define LOAD _mm256_loadu_ps
#define STORE _mm256_storeu_ps
#define LOAD_MASKED(mask, x) _mm256_maskload_ps(x, mask)
#define STORE_MASKED(x, mask, v) _mm256_maskstore_ps(x, mask, v)
#define UNPACK_LOW _mm256_unpacklo_ps
#define UNPACK_HIGH _mm256_unpackhi_ps
#define SHUFFLE _mm256_shuffle_ps
#define DOUBLES __m256d
#define DOUBLES_ZERO _mm256_setzero_pd()
#define DOUBLES_ADD _mm256_add_pd
#define DOUBLES_FMA _mm256_fmadd_pd
#define DOUBLES_LOW(v) _mm256_cvtps_pd(_mm256_castps256_ps128(v))
#define DOUBLES_HIGH(v) _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1))
#define WORDS __m256i
#define WORDS_ZERO _mm256_setzero_si256()
#define WORDS_SPLAT _mm256_set1_epi32
#define WORDS_ADD _mm256_add_epi32
#define WORDS_XOR _mm256_xor_si256
#define WORDS_LOAD_ALIGNED(at) _mm256_load_si256((const __m256i *)(const void *)(at))
#define WORDS_STORE(at, v) _mm256_storeu_si256((__m256i *)(void *)(at), v)
#define PAIRS_SPLAT(x) _mm256_set1_epi64x((int64_t)(x))
#define PAIRS_COUNT _mm256_set_epi64x(3, 1, 2, 0)
#define PAIRS_ADD _mm256_add_epi64
#define PAIRS_MUL _mm256_mul_epu32
#define PAIRS_UP(v) _mm256_slli_epi64(v, 32)
#define PAIRS_DOWN(v) _mm256_srli_epi64(v, 32)
#define PAIRS_XOR3(a, b, c) _mm256_xor_si256(_mm256_xor_si256(a, b), c)
#define PAIRS_JOIN(low, high) _mm256_blend_epi32(low, high, 0xaa)
#define PAIRS_UNPACK_LOW _mm256_unpacklo_epi64
#define PAIRS_UNPACK_HIGH _mm256_unpackhi_epi64

/* A window on eight times -1, eight times 0. */
static const int32_t WINDOW[2 * W] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

static inline MASK first_lanes(size_t n) { return _mm256_loadu_si256((const __m256i *)(WINDOW + W - (n < W ? n : W))); }

/* A masked store is slow on some processors: only the last vector of a row has one. */
static inline VECTOR load(const float *x, size_t left) { return left >= W ? LOAD(x) : LOAD_MASKED(first_lanes(left), x); }

static inline void store(float *x, size_t left, VECTOR value) {
    if (left >= W) STORE(x, value);
    else STORE_MASKED(x, first_lanes(left), value);
}

static inline VECTOR load_or(VECTOR otherwise, const float *x, size_t left) {
    const MASK mask = first_lanes(left);
    return _mm256_blendv_ps(otherwise, load(x, left), _mm256_castsi256_ps(mask));
}

static inline VECTOR add_first(VECTOR sums, size_t left, VECTOR more) {
    return ADD(sums, _mm256_and_ps(more, _mm256_castsi256_ps(first_lanes(left))));
}

static inline VECTOR where_negative(VECTOR x, VECTOR a, VECTOR b) { return _mm256_blendv_ps(b, a, x); }

static inline VECTOR power_of_two(WORDS n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}

/* In two factors, so that results below the normal range come out right. */
static inline VECTOR scale_by_power(VECTOR x, VECTOR n) {
    const WORDS whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    return MUL(MUL(x, power_of_two(half)), power_of_two(_mm256_sub_epi32(whole, half)));
}

static inline float sum_lanes(VECTOR v) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

static inline float max_lane(VECTOR v) {
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

static inline double sum_doubles(DOUBLES v) {
    const __m128d s = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}

static inline uint64_t xor_pairs(WORDS v) {
    const __m128i x = _mm_xor_si128(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    return (uint64_t)_mm_cvtsi128_si64(x) ^ (uint64_t)_mm_extract_epi64(x, 1);
}

static inline void join_parts(VECTOR *t, const VECTOR *r) {
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
        t[i] = _mm256_permute2f128_ps(r[i], r[4 + i], 0x20);
        t[4 + i] = _mm256_permute2f128_ps(r[i], r[4 + i], 0x31);
    }
}

#endif
