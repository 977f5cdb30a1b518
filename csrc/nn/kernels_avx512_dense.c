/* Packed products for AVX-512 with VNNI and BF16.
 *
 * Tile 12 x 32: 24 accumulators of 16 words, two vectors of the panel and one broadcast word of a row fill the registers; per
 * word of depth 24 vpdpbusd (int8) or vdpbf16ps (bfloat16). vpdpbusd takes unsigned by signed bytes: a row holds its
 * integers plus 128, and what that adds, 128 times the sum of the weights' integers, is taken off at the end. */
#include "nn/kernel_rows.h"
#include "nn/kernels.h"
#include "nn/packed.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>
#include <math.h>
#include <string.h>

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,avx2,fma,prefer-vector-width=512")

#include "nn/vector_avx512.h"

enum { MR = 12, OFFSET = 128 };

/* Row i of a: four pointers and two offsets serve twelve rows. The index is a constant in every use. */
#define WORD_AT(i) (*(const int32_t *)(const void *)(((i) < 3 ? p0 : (i) < 6 ? p1 : (i) < 9 ? p2 : p3) + (i) % 3 * a_bytes))

#define CLEAR_INT(i) __m512i s##i = _mm512_setzero_si512(), t##i = s##i;
#define STEP_INT(i)                                       \
    {                                                     \
        const __m512i e = _mm512_set1_epi32(WORD_AT(i));  \
        s##i = _mm512_dpbusd_epi32(s##i, e, b0);          \
        t##i = _mm512_dpbusd_epi32(t##i, e, b1);          \
    }
#define STORE_INT(i)                                \
    _mm512_storeu_si512(c + (i) * T0_PANEL, s##i);  \
    _mm512_storeu_si512(c + (i) * T0_PANEL + W, t##i);

#define CLEAR_FLOAT(i) __m512 s##i = _mm512_setzero_ps(), t##i = s##i;
#define STEP_FLOAT(i)                                                \
    {                                                                \
        const __m512bh e = (__m512bh)_mm512_set1_epi32(WORD_AT(i));  \
        s##i = _mm512_dpbf16_ps(s##i, e, (__m512bh)b0);              \
        t##i = _mm512_dpbf16_ps(t##i, e, (__m512bh)b1);              \
    }
#define STORE_FLOAT(i)                           \
    _mm512_storeu_ps(c + (i) * T0_PANEL, s##i);  \
    _mm512_storeu_ps(c + (i) * T0_PANEL + W, t##i);

#define TILE_FUNCTION(m, kind, type)                                                                           \
    static void kind##_##m(type *c, const uint8_t *a, size_t a_bytes, const uint32_t *panel, size_t groups) {  \
        const uint8_t *p0 = a, *p1 = a + 3 * a_bytes, *p2 = a + 6 * a_bytes, *p3 = a + 9 * a_bytes;            \
        ROWS_##m(CLEAR_##kind) for (size_t k = 0; k < groups; k++) {                                           \
            FETCH(m, panel + AHEAD * T0_PANEL)                                                                 \
            FETCH(m, panel + AHEAD * T0_PANEL + W)                                                             \
            const __m512i b0 = _mm512_loadu_si512(panel), b1 = _mm512_loadu_si512(panel + W);                  \
            ROWS_##m(STEP_##kind)                                                                              \
            panel += T0_PANEL;                                                                                 \
            p0 += 4;                                                                                           \
            p1 += 4;                                                                                           \
            p2 += 4;                                                                                           \
            p3 += 4;                                                                                           \
        }                                                                                                      \
        ROWS_##m(STORE_##kind)                                                                                 \
    }
#define TILE_FUNCTIONS(kind, type)                                                                                          \
    TILE_FUNCTION(1, kind, type) TILE_FUNCTION(2, kind, type) TILE_FUNCTION(3, kind, type) TILE_FUNCTION(4, kind, type)     \
    TILE_FUNCTION(5, kind, type) TILE_FUNCTION(6, kind, type) TILE_FUNCTION(7, kind, type) TILE_FUNCTION(8, kind, type)     \
    TILE_FUNCTION(9, kind, type) TILE_FUNCTION(10, kind, type) TILE_FUNCTION(11, kind, type) TILE_FUNCTION(12, kind, type)  \
    static void (*const kind##_TILES[MR + 1])(type *, const uint8_t *, size_t, const uint32_t *, size_t) = {                \
        NULL, kind##_1, kind##_2, kind##_3, kind##_4, kind##_5, kind##_6, kind##_7, kind##_8, kind##_9, kind##_10, kind##_11, kind##_12};

TILE_FUNCTIONS(INT, int32_t)
TILE_FUNCTIONS(FLOAT, float)

static void tile_int8(int32_t *c, const uint8_t *a, size_t a_row, const uint32_t *panel, size_t groups, size_t m) {
    INT_TILES[m](c, a, a_row, panel, groups);
}

static void tile_bfloat16(float *c, const uint16_t *a, size_t a_row, const uint32_t *panel, size_t groups, size_t m) {
    FLOAT_TILES[m](c, (const uint8_t *)a, a_row * sizeof *a, panel, groups);
}

/* The processor's own rounding: nearest, ties to even; subnormals become zeros. */
static void to_bfloat16(uint16_t *y, const float *x, size_t n) {
    for (size_t i = 0; i < n; i += W) {
        const __mmask16 mask = first_lanes(n - i);
        _mm256_mask_storeu_epi16(y + i, mask, (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, x + i)));
    }
}

static void pair_bfloat16(uint32_t *y, const float *low, const float *high, size_t n) {
    const __m512i number = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i turns = _mm512_or_si512(number, _mm512_slli_epi32(_mm512_add_epi32(number, _mm512_set1_epi32(W)), 16)); /* i, 16 + i */
    for (size_t i = 0; i < n; i += W) {
        const __mmask16 mask = first_lanes(n - i);
        const __m512 second = high ? _mm512_maskz_loadu_ps(mask, high + i) : _mm512_setzero_ps();
        const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(second, _mm512_maskz_loadu_ps(mask, low + i));
        _mm512_mask_storeu_epi32(y + i, mask, _mm512_permutexvar_epi16(turns, both));
    }
}

static float quantise(uint8_t *y, const float *x, size_t n) {
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    __m512i most = _mm512_setzero_si512(); /* patterns of |x| are ordered as the numbers; what is not finite stands above */
    for (size_t i = 0; i < n; i += W)
        most = _mm512_max_epu32(most, _mm512_and_si512(_mm512_maskz_loadu_epi32(first_lanes(n - i), x + i), magnitude));
    const uint32_t bits = _mm512_reduce_max_epu32(most);
    float largest;
    memcpy(&largest, &bits, sizeof largest);
    const float factor = 127.0f / largest;
    if (bits >= 0x7f800000u || !(factor <= 3.4028234e38f)) {
        memset(y, OFFSET, n);
        return bits >= 0x7f800000u ? NAN : 0.0f;
    }
    const __m512 scale = _mm512_set1_ps(factor);
    for (size_t i = 0; i < n; i += W) {
        const __mmask16 mask = first_lanes(n - i);
        const __m512i q = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + i), scale));
        _mm512_mask_cvtepi32_storeu_epi8(y + i, mask, _mm512_add_epi32(q, _mm512_set1_epi32(OFFSET)));
    }
    return largest / 127.0f;
}

static void finish_int8(float *y, size_t y_stride, const int32_t *c, size_t m, size_t n, const float *row_scale, const float *scale,
                        const int32_t *sum, bool add) {
    for (size_t j = 0; j < n; j += W) {
        const __mmask16 mask = first_lanes(n - j);
        const __m512 columns = _mm512_loadu_ps(scale + j);
        const __m512i sums = _mm512_slli_epi32(_mm512_loadu_si512(sum + j), 7);
        for (size_t i = 0; i < m; i++) {
            const __m512i exact = _mm512_sub_epi32(_mm512_loadu_si512(c + i * T0_PANEL + j), sums);
            __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(exact), _mm512_mul_ps(_mm512_set1_ps(row_scale[i]), columns));
            if (add) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, y + i * y_stride + j));
            _mm512_mask_storeu_ps(y + i * y_stride + j, mask, value);
        }
    }
}

const t0_dense_kernels t0_dense_avx512_vnni = {
    .rows_bfloat16 = MR,
    .rows_int8 = MR,
    .tile_bfloat16 = tile_bfloat16,
    .tile_int8 = tile_int8,
    .offset = OFFSET,
    .to_bfloat16 = to_bfloat16,
    .pair_bfloat16 = pair_bfloat16,
    .quantise = quantise,
    .finish_int8 = finish_int8,
};

#endif
