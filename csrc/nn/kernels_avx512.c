/* The kernels for AVX-512 (F, BW, DQ, VL).
 *
 * Tile 12 x 32: 24 accumulators, two vectors of B and a broadcast A element live in the 32 registers. Accumulators are
 * named one by one: compilers put arrays of them on the stack. Each count of rows has a function of its own.
 *
 * exp x = 2^n e^r, n = round(x / ln 2), |r| <= ln 2 / 2, e^r by a polynomial of degree 6: relative error below 1e-7. */
#include "nn/kernel_rows.h"
#include "nn/kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")

#include "nn/kernel_loops.h"

enum { MR = 12, NR = 32, W = 16 };

static inline __mmask16 first_lanes(size_t n) { return n >= W ? (__mmask16)0xffff : (__mmask16)((1u << n) - 1); }

/* ---- product ------------------------------------------------------------------------------------------------------ */

/* Row i of A stands at base i / 3 plus i % 3 rows: four pointers and two offsets serve twelve rows. */
#define A_AT(i) *(a##i##_base + a##i##_row)
#define a0_base p0
#define a1_base p0
#define a2_base p0
#define a3_base p1
#define a4_base p1
#define a5_base p1
#define a6_base p2
#define a7_base p2
#define a8_base p2
#define a9_base p3
#define a10_base p3
#define a11_base p3
#define a0_row 0
#define a1_row a_row
#define a2_row 2 * a_row
#define a3_row 0
#define a4_row a_row
#define a5_row 2 * a_row
#define a6_row 0
#define a7_row a_row
#define a8_row 2 * a_row
#define a9_row 0
#define a10_row a_row
#define a11_row 2 * a_row

/* C is wanted at the end of the sums: ask for it at their beginning. */
#define CLEAR_2(i)                                                         \
    __m512 s##i = _mm512_setzero_ps(), t##i = _mm512_setzero_ps();         \
    _mm_prefetch((const char *)(c + (i) * c_stride), _MM_HINT_T0);         \
    _mm_prefetch((const char *)(c + (i) * c_stride + W), _MM_HINT_T0);
#define CLEAR_1(i) __m512 s##i = _mm512_setzero_ps();
#define STEP_2(i)                                   \
    {                                               \
        const __m512 e = _mm512_set1_ps(A_AT(i));   \
        s##i = _mm512_fmadd_ps(e, b0, s##i);        \
        t##i = _mm512_fmadd_ps(e, b1, t##i);        \
    }
#define STEP_1(i) s##i = _mm512_fmadd_ps(_mm512_set1_ps(A_AT(i)), b0, s##i);
#define STORE_1(i)                                                                                             \
    {                                                                                                          \
        float *at = c + (i) * c_stride;                                                                        \
        if (add) s##i = _mm512_add_ps(s##i, _mm512_maskz_loadu_ps(mask0, at));                                 \
        _mm512_mask_storeu_ps(at, mask0, s##i);                                                                \
    }
#define STORE_2(i)                                                                                             \
    {                                                                                                          \
        float *at = c + (i) * c_stride;                                                                        \
        if (add) {                                                                                             \
            s##i = _mm512_add_ps(s##i, _mm512_loadu_ps(at));                                                   \
            t##i = _mm512_add_ps(t##i, _mm512_maskz_loadu_ps(mask1, at + W));                                  \
        }                                                                                                      \
        _mm512_storeu_ps(at, s##i);                                                                            \
        _mm512_mask_storeu_ps(at + W, mask1, t##i);                                                            \
    }

#define ADVANCE            \
    p0 += a_k, p1 += a_k;  \
    p2 += a_k, p3 += a_k;  \
    b += b_k;

#define TILE_FUNCTION(m)                                                                                                         \
    static void tile_##m##_2(float *c, size_t c_stride, const float *a, size_t a_row, size_t a_k, const float *b, size_t b_k,    \
                             size_t k, __mmask16 mask1, bool add) {                                                              \
        const float *p0 = a, *p1 = a + 3 * a_row, *p2 = a + 6 * a_row, *p3 = a + 9 * a_row;                                      \
        ROWS_##m(CLEAR_2) for (size_t kk = 0; kk < k; kk++) {                                                                    \
            FETCH(m, b + AHEAD * b_k)                                                                                            \
            FETCH(m, b + AHEAD * b_k + W)                                                                                        \
            const __m512 b0 = _mm512_loadu_ps(b), b1 = _mm512_maskz_loadu_ps(mask1, b + W);                                      \
            ROWS_##m(STEP_2) ADVANCE                                                                                             \
        }                                                                                                                        \
        ROWS_##m(STORE_2)                                                                                                        \
    }                                                                                                                            \
    static void tile_##m##_1(float *c, size_t c_stride, const float *a, size_t a_row, size_t a_k, const float *b, size_t b_k,    \
                             size_t k, __mmask16 mask0, bool add) {                                                              \
        const float *p0 = a, *p1 = a + 3 * a_row, *p2 = a + 6 * a_row, *p3 = a + 9 * a_row;                                      \
        ROWS_##m(CLEAR_1) for (size_t kk = 0; kk < k; kk++) {                                                                    \
            const __m512 b0 = _mm512_maskz_loadu_ps(mask0, b);                                                                   \
            ROWS_##m(STEP_1) ADVANCE                                                                                             \
        }                                                                                                                        \
        ROWS_##m(STORE_1)                                                                                                        \
    }

TILE_FUNCTION(1)
TILE_FUNCTION(2)
TILE_FUNCTION(3)
TILE_FUNCTION(4)
TILE_FUNCTION(5)
TILE_FUNCTION(6)
TILE_FUNCTION(7)
TILE_FUNCTION(8)
TILE_FUNCTION(9)
TILE_FUNCTION(10)
TILE_FUNCTION(11)
TILE_FUNCTION(12)

typedef void (*tile)(float *, size_t, const float *, size_t, size_t, const float *, size_t, size_t, __mmask16, bool);

static const tile TILES[2][MR + 1] = {
    {NULL, tile_1_1, tile_2_1, tile_3_1, tile_4_1, tile_5_1, tile_6_1, tile_7_1, tile_8_1, tile_9_1, tile_10_1, tile_11_1, tile_12_1},
    {NULL, tile_1_2, tile_2_2, tile_3_2, tile_4_2, tile_5_2, tile_6_2, tile_7_2, tile_8_2, tile_9_2, tile_10_2, tile_11_2, tile_12_2},
};

static void gemm_tile(float *c, size_t c_stride, const float *a, size_t a_row, size_t a_k, const float *b, size_t b_k, size_t k, size_t m,
                      size_t n, bool add) {
    const bool wide = n > W;
    TILES[wide][m](c, c_stride, a, a_row, a_k, b, b_k, k, first_lanes(wide ? n - W : n), add);
}

/* Transposes 16 x 16 floats in registers: rows of src (stride apart, `rows` of them, `columns` floats each) become
 * columns of out (NR apart). */
static inline void transpose_block(float *out, const float *src, size_t stride, size_t rows, size_t columns) {
    const __mmask16 mask = first_lanes(columns);
    __m512 r[W], t[W];
#pragma GCC unroll 16
    for (size_t i = 0; i < W; i++) r[i] = i < rows ? _mm512_maskz_loadu_ps(mask, src + i * stride) : _mm512_setzero_ps();
#pragma GCC unroll 8
    for (size_t i = 0; i < W; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < W; i += 4) {
        r[i] = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm512_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    /* r[4 g + c] holds, in 128-bit lane l, column 4 l + c of rows 4 g .. 4 g + 3. */
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
        const __m512 low01 = _mm512_shuffle_f32x4(r[i], r[4 + i], 0x44), high01 = _mm512_shuffle_f32x4(r[i], r[4 + i], 0xee);
        const __m512 low23 = _mm512_shuffle_f32x4(r[8 + i], r[12 + i], 0x44), high23 = _mm512_shuffle_f32x4(r[8 + i], r[12 + i], 0xee);
        t[i] = _mm512_shuffle_f32x4(low01, low23, 0x88);
        t[4 + i] = _mm512_shuffle_f32x4(low01, low23, 0xdd);
        t[8 + i] = _mm512_shuffle_f32x4(high01, high23, 0x88);
        t[12 + i] = _mm512_shuffle_f32x4(high01, high23, 0xdd);
    }
    if (columns >= W) {
#pragma GCC unroll 16
        for (size_t i = 0; i < W; i++) _mm512_storeu_ps(out + i * NR, t[i]);
    } else {
        for (size_t i = 0; i < columns; i++) _mm512_storeu_ps(out + i * NR, t[i]);
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

static inline __m512 exp_ps(__m512 x) {
    x = _mm512_max_ps(_mm512_set1_ps(-104.0f), _mm512_min_ps(_mm512_set1_ps(89.0f), x)); /* the second operand if x is NaN */
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
    __m512 p = _mm512_set1_ps(1.0f / 720.0f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 120.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 24.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 6.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, n);
}

static inline float max_of(const float *x, size_t n) {
    const __m512 least = _mm512_set1_ps(-INFINITY);
    __m512 most = least;
    for (size_t i = 0; i < n; i += W) most = _mm512_max_ps(most, _mm512_mask_loadu_ps(least, first_lanes(n - i), x + i));
    return _mm512_reduce_max_ps(most);
}

static float softmax(float *x, size_t n) {
    if (n == 0) return -INFINITY;
    const float most = max_of(x, n);
    const __m512 shift = _mm512_set1_ps(most);
    __m512 sums = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += W) {
        const __mmask16 mask = first_lanes(n - i);
        const __m512 e = exp_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + i), shift));
        sums = _mm512_mask_add_ps(sums, mask, sums, e);
        _mm512_mask_storeu_ps(x + i, mask, e);
    }
    const float sum = _mm512_reduce_add_ps(sums);
    const __m512 scale = _mm512_set1_ps(1.0f / sum);
    for (size_t i = 0; i < n; i += W) {
        const __mmask16 mask = first_lanes(n - i);
        _mm512_mask_storeu_ps(x + i, mask, _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + i), scale));
    }
    return most + logf(sum);
}

static float log_sum_exp(const float *x, size_t n) {
    if (n == 0) return -INFINITY;
    const float most = max_of(x, n);
    const __m512 shift = _mm512_set1_ps(most);
    __m512 sums = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += W) {
        const __mmask16 mask = first_lanes(n - i);
        sums = _mm512_mask_add_ps(sums, mask, sums, exp_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + i), shift)));
    }
    return most + logf(_mm512_reduce_add_ps(sums));
}

static void exp_affine(float *y, const float *x, float shift, float scale, float offset, size_t n) {
    const __m512 s = _mm512_set1_ps(shift), a = _mm512_set1_ps(scale), b = _mm512_set1_ps(offset);
    for (size_t i = 0; i < n; i += W) {
        const __mmask16 mask = first_lanes(n - i);
        _mm512_mask_storeu_ps(y + i, mask, _mm512_fmadd_ps(exp_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + i), s)), a, b));
    }
}

/* 1 / (1 + exp(-2 sqrt(2/pi) (u + 0.044715 u^3))), as in kernels_portable.c. */
static inline __m512 gelu_sigmoid(__m512 u, __m512 u2) {
    const __m512 one = _mm512_set1_ps(1.0f);
    const __m512 y = _mm512_mul_ps(u, _mm512_fmadd_ps(u2, _mm512_set1_ps(-2.0f * 0.79788456f * 0.044715f), _mm512_set1_ps(-2.0f * 0.79788456f)));
    return _mm512_div_ps(one, _mm512_add_ps(one, exp_ps(y)));
}

static void gelu_gate(float *a, const float *u, const float *v, size_t n) {
    for (size_t i = 0; i < n; i += W) {
        const __mmask16 mask = first_lanes(n - i);
        const __m512 ui = _mm512_maskz_loadu_ps(mask, u + i), vi = _mm512_maskz_loadu_ps(mask, v + i);
        _mm512_mask_storeu_ps(a + i, mask, _mm512_mul_ps(_mm512_mul_ps(ui, gelu_sigmoid(ui, _mm512_mul_ps(ui, ui))), vi));
    }
}

static void gelu_gate_backward(float *du, float *dv, const float *da, const float *u, const float *v, size_t n) {
    const __m512 one = _mm512_set1_ps(1.0f), two = _mm512_set1_ps(2.0f);
    const __m512 root = _mm512_set1_ps(0.79788456f), cubic = _mm512_set1_ps(0.79788456f * 3.0f * 0.044715f);
    for (size_t i = 0; i < n; i += W) {
        const __mmask16 mask = first_lanes(n - i);
        const __m512 ui = _mm512_maskz_loadu_ps(mask, u + i), vi = _mm512_maskz_loadu_ps(mask, v + i);
        const __m512 d = _mm512_maskz_loadu_ps(mask, da + i), u2 = _mm512_mul_ps(ui, ui), q = gelu_sigmoid(ui, u2);
        const __m512 slope = _mm512_fmadd_ps(u2, cubic, root), uq = _mm512_mul_ps(ui, q);
        const __m512 bend = _mm512_mul_ps(_mm512_mul_ps(two, uq), _mm512_mul_ps(_mm512_sub_ps(one, q), slope));
        _mm512_mask_storeu_ps(dv + i, mask, _mm512_mul_ps(d, uq));
        _mm512_mask_storeu_ps(du + i, mask, _mm512_mul_ps(_mm512_mul_ps(d, vi), _mm512_add_ps(q, bend)));
    }
}

/* ---- sums ----------------------------------------------------------------------------------------------------------- */

static float dot(const float *a, const float *b, size_t n) {
    __m512 s = _mm512_setzero_ps(), t = s;
    size_t i = 0;
    for (; i + 2 * W <= n; i += 2 * W) {
        s = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), s);
        t = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + W), _mm512_loadu_ps(b + i + W), t);
    }
    for (; i < n; i += W) {
        const __mmask16 mask = first_lanes(n - i);
        s = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, a + i), _mm512_maskz_loadu_ps(mask, b + i), s);
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(s, t));
}

static float sum_squares(const float *x, size_t n) { return dot(x, x, n); }

static float dot3(const float *a, const float *b, const float *c, size_t n) {
    __m512 s = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += W) {
        const __mmask16 mask = first_lanes(n - i);
        const __m512 ab = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, a + i), _mm512_maskz_loadu_ps(mask, b + i));
        s = _mm512_fmadd_ps(ab, _mm512_maskz_loadu_ps(mask, c + i), s);
    }
    return _mm512_reduce_add_ps(s);
}

static void axpy(float *y, float alpha, const float *x, size_t n) {
    const __m512 factor = _mm512_set1_ps(alpha);
    for (size_t i = 0; i < n; i += W) {
        const __mmask16 mask = first_lanes(n - i);
        const __m512 sum = _mm512_fmadd_ps(factor, _mm512_maskz_loadu_ps(mask, x + i), _mm512_maskz_loadu_ps(mask, y + i));
        _mm512_mask_storeu_ps(y + i, mask, sum);
    }
}

static double sum_squares_double(const float *x, size_t n) {
    __m512d s = _mm512_setzero_pd(), t = s;
    for (size_t i = 0; i < n; i += W) {
        const __m512 v = _mm512_maskz_loadu_ps(first_lanes(n - i), x + i);
        const __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(v)), high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
        s = _mm512_fmadd_pd(low, low, s);
        t = _mm512_fmadd_pd(high, high, t);
    }
    return _mm512_reduce_add_pd(_mm512_add_pd(s, t));
}

/* ---- random words ---------------------------------------------------------------------------------------------------- */

/* Philox (base/random.h) on 8 counters, one in each 64-bit lane: a word fills the low half and what stands above it is
 * ignored by the next multiplication. Lanes are ordered so that the two unpackings store counters in order. */
static void philox_words(uint32_t *restrict out, uint64_t seed, uint64_t purpose, uint64_t index) {
    const __m512i m0 = _mm512_set1_epi64((int64_t)0xD2511F53u), m1 = _mm512_set1_epi64((int64_t)0xCD9E8D57u);
    for (size_t i = 0; i < PHILOX; i += 8, out += 32) {
        __m512i c0 = _mm512_add_epi64(_mm512_set1_epi64((int64_t)(index + i)), _mm512_set_epi64(7, 3, 6, 2, 5, 1, 4, 0));
        __m512i c1 = _mm512_srli_epi64(c0, 32), c2 = _mm512_set1_epi64((int64_t)purpose), c3 = _mm512_srli_epi64(c2, 32);
        uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
        for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
            const __m512i p0 = _mm512_mul_epu32(c0, m0), p1 = _mm512_mul_epu32(c2, m1);
            c0 = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p1, 32), c1, _mm512_set1_epi64((int64_t)k0), 0x96);
            c2 = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p0, 32), c3, _mm512_set1_epi64((int64_t)k1), 0x96);
            c1 = p1;
            c3 = p0;
        }
        const __m512i low = _mm512_mask_blend_epi32(0xaaaa, c0, _mm512_slli_epi64(c1, 32)), high = _mm512_mask_blend_epi32(0xaaaa, c2, _mm512_slli_epi64(c3, 32));
        _mm512_storeu_si512(out, _mm512_unpacklo_epi64(low, high));
        _mm512_storeu_si512(out + 16, _mm512_unpackhi_epi64(low, high));
    }
}

extern const t0_dense_kernels t0_dense_avx2, t0_dense_avx512_vnni;

#define COMMON                                                                                                              \
    .mr = MR, .nr = NR, .gemm_tile = gemm_tile, .pack_transposed = pack_transposed, .dot = dot, .dot3 = dot3, .axpy = axpy, \
    .sum_squares = sum_squares, .softmax = softmax, .log_sum_exp = log_sum_exp, .exp_affine = exp_affine,                   \
    .gelu_gate = gelu_gate, .gelu_gate_backward = gelu_gate_backward, .sum_squares_double = sum_squares_double, T0_KERNEL_PASSES

/* Without VNNI and BF16, packed products are AVX2's. */
const t0_kernels t0_kernels_avx512 = {.name = "avx512", .dense = &t0_dense_avx2, COMMON};
const t0_kernels t0_kernels_avx512_vnni = {.name = "avx512-vnni", .dense = &t0_dense_avx512_vnni, COMMON};

#endif
