/* The kernels for AVX2 with FMA.
 *
 * Tile 6 x 16: 12 accumulators, two vectors of B and two broadcast A elements fill the 16 registers. Accumulators are
 * named one by one: compilers put arrays of them on the stack. Each count of rows has a function of its own.
 *
 * exp x = 2^n e^r, n = round(x / ln 2), |r| <= ln 2 / 2, e^r by a polynomial of degree 6: relative error below 1e-7;
 * 2^n in two factors, so that results below the normal range come out right. */
#include "nn/kernel_rows.h"
#include "nn/kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#pragma GCC target("avx2,fma")

#include "nn/kernel_loops.h"

enum { MR = 6, NR = 16, W = 8 };

/* Lanes below n, all of them from n = 8 on: a window on eight times -1, eight times 0. */
static const int32_t WINDOW[2 * W] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

static inline __m256i first_lanes(size_t n) { return _mm256_loadu_si256((const __m256i *)(WINDOW + W - (n < W ? n : W))); }

/* The first min(left, 8) floats at x. A masked store is slow on some processors: only the last vector of a row has one. */
static inline __m256 load(const float *x, size_t left) {
    return left >= W ? _mm256_loadu_ps(x) : _mm256_maskload_ps(x, first_lanes(left));
}

static inline void store(float *x, size_t left, __m256 value) {
    if (left >= W)
        _mm256_storeu_ps(x, value);
    else
        _mm256_maskstore_ps(x, first_lanes(left), value);
}

/* ---- product ------------------------------------------------------------------------------------------------------ */

/* Rows 0, 1, 2 of A stand behind p, rows 3, 4, 5 behind q. */
#define A_AT(i) a##i
#define a0 p
#define a1 p + a_row
#define a2 p + 2 * a_row
#define a3 q
#define a4 q + a_row
#define a5 q + 2 * a_row

/* C is wanted at the end of the sums: ask for it at their beginning. */
#define CLEAR(i)                                                       \
    __m256 s##i = _mm256_setzero_ps(), t##i = _mm256_setzero_ps();     \
    _mm_prefetch((const char *)(c + (i) * c_stride), _MM_HINT_T0);
#define STEP(i)                                       \
    {                                                 \
        const __m256 e = _mm256_broadcast_ss(A_AT(i)); \
        s##i = _mm256_fmadd_ps(e, b0, s##i);          \
        t##i = _mm256_fmadd_ps(e, b1, t##i);          \
    }
#define STORE_FULL(i)                                             \
    {                                                             \
        float *at = c + (i) * c_stride;                           \
        if (add) {                                                \
            s##i = _mm256_add_ps(s##i, _mm256_loadu_ps(at));      \
            t##i = _mm256_add_ps(t##i, _mm256_loadu_ps(at + W));  \
        }                                                         \
        _mm256_storeu_ps(at, s##i);                               \
        _mm256_storeu_ps(at + W, t##i);                           \
    }
#define STORE_PART(i)                                             \
    {                                                             \
        float *at = c + (i) * c_stride;                           \
        if (add) {                                                \
            s##i = _mm256_add_ps(s##i, _mm256_maskload_ps(at, mask0));          \
            t##i = _mm256_add_ps(t##i, _mm256_maskload_ps(at + W, mask1));      \
        }                                                         \
        _mm256_maskstore_ps(at, mask0, s##i);                     \
        _mm256_maskstore_ps(at + W, mask1, t##i);                 \
    }

#define TILE_FUNCTION(m)                                                                                                        \
    static void tile_##m(float *c, size_t c_stride, const float *a, size_t a_row, size_t a_k, const float *b, size_t b_k,       \
                         size_t k, size_t n, bool add) {                                                                        \
        const float *p = a, *q = a + 3 * a_row;                                                                                 \
        ROWS_##m(CLEAR) if (n == NR) {                                                                                          \
            for (size_t kk = 0; kk < k; kk++, p += a_k, q += a_k, b += b_k) {                                                   \
                _mm_prefetch((const char *)(b + AHEAD * b_k), _MM_HINT_T1);                                                     \
                const __m256 b0 = _mm256_loadu_ps(b), b1 = _mm256_loadu_ps(b + W);                                              \
                ROWS_##m(STEP)                                                                                                  \
            }                                                                                                                   \
            ROWS_##m(STORE_FULL)                                                                                                \
        } else {                                                                                                                \
            const __m256i mask0 = first_lanes(n), mask1 = first_lanes(n > W ? n - W : 0);                                       \
            for (size_t kk = 0; kk < k; kk++, p += a_k, q += a_k, b += b_k) {                                                   \
                const __m256 b0 = _mm256_maskload_ps(b, mask0), b1 = _mm256_maskload_ps(b + W, mask1);                                                      \
                ROWS_##m(STEP)                                                                                                  \
            }                                                                                                                   \
            ROWS_##m(STORE_PART)                                                                                                \
        }                                                                                                                       \
    }

TILE_FUNCTION(1)
TILE_FUNCTION(2)
TILE_FUNCTION(3)
TILE_FUNCTION(4)
TILE_FUNCTION(5)
TILE_FUNCTION(6)

typedef void (*tile)(float *, size_t, const float *, size_t, size_t, const float *, size_t, size_t, size_t, bool);
static const tile TILES[MR + 1] = {NULL, tile_1, tile_2, tile_3, tile_4, tile_5, tile_6};

static void gemm_tile(float *c, size_t c_stride, const float *a, size_t a_row, size_t a_k, const float *b, size_t b_k, size_t k, size_t m,
                      size_t n, bool add) {
    TILES[m](c, c_stride, a, a_row, a_k, b, b_k, k, n, add);
}

/* Transposes 8 x 8 floats in registers: rows of src (stride apart, `rows` of them, `columns` floats each) become columns
 * of out (NR apart). */
static inline void transpose_block(float *out, const float *src, size_t stride, size_t rows, size_t columns) {
    const __m256i mask = first_lanes(columns);
    __m256 r[W], t[W];
#pragma GCC unroll 8
    for (size_t i = 0; i < W; i++) r[i] = i < rows ? _mm256_maskload_ps(src + i * stride, mask) : _mm256_setzero_ps();
#pragma GCC unroll 4
    for (size_t i = 0; i < W; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 2
    for (size_t i = 0; i < W; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    /* r[4 g + c] holds, in 128-bit lane l, column 4 l + c of rows 4 g .. 4 g + 3. */
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
        t[i] = _mm256_permute2f128_ps(r[i], r[4 + i], 0x20);
        t[4 + i] = _mm256_permute2f128_ps(r[i], r[4 + i], 0x31);
    }
    if (columns >= W) {
#pragma GCC unroll 8
        for (size_t i = 0; i < W; i++) _mm256_storeu_ps(out + i * NR, t[i]);
    } else {
        for (size_t i = 0; i < columns; i++) _mm256_storeu_ps(out + i * NR, t[i]);
    }
}

static void pack_transposed(float *panel, const float *src, size_t stride, size_t k, size_t n) {
    for (size_t kk = 0; kk < k; kk += W) {
        const size_t columns = k - kk < W ? k - kk : W;
        for (size_t j = 0; j < NR; j += W) {
            const size_t rows = j >= n ? 0 : n - j < W ? n - j : W;
            if (rows == W)
                transpose_block(panel + kk * NR + j, src + j * stride + kk, stride, W, columns);
            else
                transpose_block(panel + kk * NR + j, src + (rows ? j * stride + kk : 0), stride, rows, columns);
        }
    }
}

/* ---- exponentials -------------------------------------------------------------------------------------------------- */

static inline __m256 power_of_two(__m256i n) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23)); }

static inline __m256 exp_ps(__m256 x) {
    x = _mm256_max_ps(_mm256_set1_ps(-104.0f), _mm256_min_ps(_mm256_set1_ps(89.0f), x)); /* the second operand if x is NaN */
    const __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375f), x);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.12194440e-4f), r);
    __m256 p = _mm256_set1_ps(1.0f / 720.0f);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 120.0f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 24.0f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 6.0f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.5f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
    const __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    return _mm256_mul_ps(_mm256_mul_ps(p, power_of_two(half)), power_of_two(_mm256_sub_epi32(whole, half)));
}

static inline float add_vector(__m256 v) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

static inline double add_vector_double(__m256d v) {
    const __m128d s = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}

static inline float max_of(const float *x, size_t n) {
    const __m256 least = _mm256_set1_ps(-INFINITY);
    __m256 most = least;
    for (size_t i = 0; i < n; i += W) {
        const __m256i mask = first_lanes(n - i);
        most = _mm256_max_ps(most, _mm256_blendv_ps(least, load(x + i, n - i), _mm256_castsi256_ps(mask)));
    }
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(most), _mm256_extractf128_ps(most, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

static float softmax(float *x, size_t n) {
    if (n == 0) return -INFINITY;
    const float most = max_of(x, n);
    const __m256 shift = _mm256_set1_ps(most);
    __m256 sums = _mm256_setzero_ps();
    for (size_t i = 0; i < n; i += W) {
        const __m256i mask = first_lanes(n - i);
        const __m256 e = _mm256_and_ps(exp_ps(_mm256_sub_ps(load(x + i, n - i), shift)), _mm256_castsi256_ps(mask));
        sums = _mm256_add_ps(sums, e);
        store(x + i, n - i, e);
    }
    const float sum = add_vector(sums);
    const __m256 scale = _mm256_set1_ps(1.0f / sum);
    for (size_t i = 0; i < n; i += W) {
        store(x + i, n - i, _mm256_mul_ps(load(x + i, n - i), scale));
    }
    return most + logf(sum);
}

static float log_sum_exp(const float *x, size_t n) {
    if (n == 0) return -INFINITY;
    const float most = max_of(x, n);
    const __m256 shift = _mm256_set1_ps(most);
    __m256 sums = _mm256_setzero_ps();
    for (size_t i = 0; i < n; i += W) {
        const __m256i mask = first_lanes(n - i);
        sums = _mm256_add_ps(sums, _mm256_and_ps(exp_ps(_mm256_sub_ps(load(x + i, n - i), shift)), _mm256_castsi256_ps(mask)));
    }
    return most + logf(add_vector(sums));
}

static void exp_affine(float *y, const float *x, float shift, float scale, float offset, size_t n) {
    const __m256 s = _mm256_set1_ps(shift), a = _mm256_set1_ps(scale), b = _mm256_set1_ps(offset);
    for (size_t i = 0; i < n; i += W) {
        store(y + i, n - i, _mm256_fmadd_ps(exp_ps(_mm256_sub_ps(load(x + i, n - i), s)), a, b));
    }
}

/* 1 / (1 + exp(-2 sqrt(2/pi) (u + 0.044715 u^3))), as in kernels_portable.c. */
static inline __m256 gelu_sigmoid(__m256 u, __m256 u2) {
    const __m256 one = _mm256_set1_ps(1.0f);
    const __m256 y = _mm256_mul_ps(u, _mm256_fmadd_ps(u2, _mm256_set1_ps(-2.0f * 0.79788456f * 0.044715f), _mm256_set1_ps(-2.0f * 0.79788456f)));
    return _mm256_div_ps(one, _mm256_add_ps(one, exp_ps(y)));
}

static void gelu_gate(float *a, const float *u, const float *v, size_t n) {
    for (size_t i = 0; i < n; i += W) {
        const __m256 ui = load(u + i, n - i), vi = load(v + i, n - i);
        store(a + i, n - i, _mm256_mul_ps(_mm256_mul_ps(ui, gelu_sigmoid(ui, _mm256_mul_ps(ui, ui))), vi));
    }
}

static void gelu_gate_backward(float *du, float *dv, const float *da, const float *u, const float *v, size_t n) {
    const __m256 one = _mm256_set1_ps(1.0f), two = _mm256_set1_ps(2.0f);
    const __m256 root = _mm256_set1_ps(0.79788456f), cubic = _mm256_set1_ps(0.79788456f * 3.0f * 0.044715f);
    for (size_t i = 0; i < n; i += W) {
        const __m256 ui = load(u + i, n - i), vi = load(v + i, n - i);
        const __m256 d = load(da + i, n - i), u2 = _mm256_mul_ps(ui, ui), q = gelu_sigmoid(ui, u2);
        const __m256 slope = _mm256_fmadd_ps(u2, cubic, root), uq = _mm256_mul_ps(ui, q);
        const __m256 bend = _mm256_mul_ps(_mm256_mul_ps(two, uq), _mm256_mul_ps(_mm256_sub_ps(one, q), slope));
        store(dv + i, n - i, _mm256_mul_ps(d, uq));
        store(du + i, n - i, _mm256_mul_ps(_mm256_mul_ps(d, vi), _mm256_add_ps(q, bend)));
    }
}

/* ---- sums ----------------------------------------------------------------------------------------------------------- */

static float dot(const float *a, const float *b, size_t n) {
    __m256 s = _mm256_setzero_ps(), t = s;
    size_t i = 0;
    for (; i + 2 * W <= n; i += 2 * W) {
        s = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s);
        t = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + W), _mm256_loadu_ps(b + i + W), t);
    }
    for (; i < n; i += W) {
        s = _mm256_fmadd_ps(load(a + i, n - i), load(b + i, n - i), s);
    }
    return add_vector(_mm256_add_ps(s, t));
}

static float sum_squares(const float *x, size_t n) { return dot(x, x, n); }

static float dot3(const float *a, const float *b, const float *c, size_t n) {
    __m256 s = _mm256_setzero_ps();
    for (size_t i = 0; i < n; i += W) {
        s = _mm256_fmadd_ps(_mm256_mul_ps(load(a + i, n - i), load(b + i, n - i)), load(c + i, n - i), s);
    }
    return add_vector(s);
}

static void axpy(float *y, float alpha, const float *x, size_t n) {
    const __m256 factor = _mm256_set1_ps(alpha);
    for (size_t i = 0; i < n; i += W) {
        store(y + i, n - i, _mm256_fmadd_ps(factor, load(x + i, n - i), load(y + i, n - i)));
    }
}

static double sum_squares_double(const float *x, size_t n) {
    __m256d s = _mm256_setzero_pd(), t = s;
    for (size_t i = 0; i < n; i += W) {
        const __m256 v = load(x + i, n - i);
        const __m256d low = _mm256_cvtps_pd(_mm256_castps256_ps128(v)), high = _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
        s = _mm256_fmadd_pd(low, low, s);
        t = _mm256_fmadd_pd(high, high, t);
    }
    return add_vector_double(_mm256_add_pd(s, t));
}

/* ---- random words ---------------------------------------------------------------------------------------------------- */

/* Philox (base/random.h) on 4 counters, one in each 64-bit lane: a word fills the low half and what stands above it is
 * ignored by the next multiplication. Lanes are ordered so that the two unpackings store counters in order. */
static void philox_words(uint32_t *restrict out, uint64_t seed, uint64_t purpose, uint64_t index) {
    const __m256i m0 = _mm256_set1_epi64x((int64_t)0xD2511F53u), m1 = _mm256_set1_epi64x((int64_t)0xCD9E8D57u);
    for (size_t i = 0; i < PHILOX; i += 4, out += 16) {
        __m256i c0 = _mm256_add_epi64(_mm256_set1_epi64x((int64_t)(index + i)), _mm256_set_epi64x(3, 1, 2, 0));
        __m256i c1 = _mm256_srli_epi64(c0, 32), c2 = _mm256_set1_epi64x((int64_t)purpose), c3 = _mm256_srli_epi64(c2, 32);
        uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
        for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
            const __m256i p0 = _mm256_mul_epu32(c0, m0), p1 = _mm256_mul_epu32(c2, m1);
            c0 = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p1, 32), c1), _mm256_set1_epi64x((int64_t)k0));
            c2 = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p0, 32), c3), _mm256_set1_epi64x((int64_t)k1));
            c1 = p1;
            c3 = p0;
        }
        const __m256i low = _mm256_blend_epi32(c0, _mm256_slli_epi64(c1, 32), 0xaa), high = _mm256_blend_epi32(c2, _mm256_slli_epi64(c3, 32), 0xaa);
        _mm256_storeu_si256((__m256i *)(out), _mm256_unpacklo_epi64(low, high));
        _mm256_storeu_si256((__m256i *)(out + 8), _mm256_unpackhi_epi64(low, high));
    }
}

extern const t0_dense_kernels t0_dense_avx2;

const t0_kernels t0_kernels_avx2 = {
    .name = "avx2",
    .dense = &t0_dense_avx2,
    .mr = MR,
    .nr = NR,
    .gemm_tile = gemm_tile,
    .pack_transposed = pack_transposed,
    .dot = dot,
    .dot3 = dot3,
    .axpy = axpy,
    .sum_squares = sum_squares,
    .softmax = softmax,
    .log_sum_exp = log_sum_exp,
    .exp_affine = exp_affine,
    .gelu_gate = gelu_gate,
    .gelu_gate_backward = gelu_gate_backward,
    .sum_squares_double = sum_squares_double,
    T0_KERNEL_PASSES,
};

#endif
