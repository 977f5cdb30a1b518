/* Packed products for AVX2 with FMA.
 *
 * int8, tile 4 x 16 twice: |a| (unsigned) times sign(w, a) (signed) by vpmaddubsw: both sides lie within 127, so the sum of two
 * products, at most 2 * 127 * 127 = 32,258, cannot saturate; vpmaddwd with ones adds pairs, vpaddd accumulates: exact integers.
 * bfloat16 is widened to float32 by a shift and a mask, a piece of a panel at a time, and multiplied so. */
#include "nn/kernel_rows.h"
#include "nn/kernels.h"
#include "nn/packed.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>
#include <math.h>
#include <string.h>

#pragma GCC target("avx2,fma")

#include "nn/vector_avx2.h"

enum { MR_INT = 4 };

#define WORD_AT(i) (*(const int32_t *)(const void *)(((i) < 3 ? p : q) + (i) % 3 * a_bytes))

/* ---- int8 ----------------------------------------------------------------------------------------------------------- */

#define CLEAR_INT(i) __m256i s##i = _mm256_setzero_si256(), t##i = s##i;
#define STEP_INT(i)                                                                                                   \
    {                                                                                                                 \
        const __m256i e = _mm256_set1_epi32(WORD_AT(i)), size = _mm256_abs_epi8(e);                                   \
        s##i = _mm256_add_epi32(s##i, _mm256_madd_epi16(_mm256_maddubs_epi16(size, _mm256_sign_epi8(b0, e)), ones));  \
        t##i = _mm256_add_epi32(t##i, _mm256_madd_epi16(_mm256_maddubs_epi16(size, _mm256_sign_epi8(b1, e)), ones));  \
    }
#define STORE_INT(i)                                             \
    _mm256_storeu_si256((__m256i *)(c + (i) * T0_PANEL), s##i);  \
    _mm256_storeu_si256((__m256i *)(c + (i) * T0_PANEL + W), t##i);

#define INT_FUNCTION(m)                                                                                                            \
    static void int_##m(int32_t *c, const uint8_t *a, size_t a_bytes, const uint32_t *panel, size_t groups) {                      \
        const uint8_t *p = a, *q = a + 3 * a_bytes;                                                                                \
        const __m256i ones = _mm256_set1_epi16(1);                                                                                 \
        (void)q;                                                                                                                   \
        ROWS_##m(CLEAR_INT) for (size_t k = 0; k < groups; k++, panel += T0_PANEL, p += 4, q += 4) {                               \
            _mm_prefetch((const char *)(panel + AHEAD * T0_PANEL), _MM_HINT_T1);                                                   \
            _mm_prefetch((const char *)(panel + AHEAD * T0_PANEL + T0_PANEL / 2), _MM_HINT_T1);                                    \
            const __m256i b0 = _mm256_loadu_si256((const __m256i *)panel), b1 = _mm256_loadu_si256((const __m256i *)(panel + W));  \
            ROWS_##m(STEP_INT)                                                                                                     \
        }                                                                                                                          \
        ROWS_##m(STORE_INT)                                                                                                        \
    }

INT_FUNCTION(1)
INT_FUNCTION(2)
INT_FUNCTION(3)
INT_FUNCTION(4)

static void (*const INT_TILES[MR_INT + 1])(int32_t *, const uint8_t *, size_t, const uint32_t *, size_t) = {NULL, int_1, int_2, int_3,
                                                                                                            int_4};

static void tile_int8(int32_t *c, const uint8_t *a, size_t a_row, const uint32_t *panel, size_t groups, size_t m) {
    INT_TILES[m](c, a, a_row, panel, groups);
    INT_TILES[m](c + 2 * W, a, a_row, panel + 2 * W, groups);
}

/* ---- bfloat16 ------------------------------------------------------------------------------------------------------- */

static void widen_pairs(float *y, const uint32_t *panel, size_t groups) {
    const __m256i upper = _mm256_set1_epi32((int32_t)0xffff0000u);
    for (size_t k = 0; k < groups; k++, panel += T0_PANEL, y += 2 * T0_PANEL)
        for (size_t j = 0; j < T0_PANEL; j += W) {
            const __m256i words = _mm256_loadu_si256((const __m256i *)(panel + j));
            _mm256_storeu_ps(y + j, _mm256_castsi256_ps(_mm256_slli_epi32(words, 16)));
            _mm256_storeu_ps(y + T0_PANEL + j, _mm256_castsi256_ps(_mm256_and_si256(words, upper)));
        }
}

/* ---- int8's ends ---------------------------------------------------------------------------------------------------- */

static uint32_t largest_bits(const float *x, size_t n) {
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    __m256i most = _mm256_setzero_si256();
    for (size_t i = 0; i < n; i += W) {
        const __m256i bits = _mm256_maskload_epi32((const int *)(const void *)(x + i), first_lanes(n - i));
        most = _mm256_max_epu32(most, _mm256_and_si256(bits, magnitude));
    }
    uint32_t lanes[W], largest = 0;
    _mm256_storeu_si256((__m256i *)lanes, most);
    for (size_t l = 0; l < W; l++) largest = lanes[l] > largest ? lanes[l] : largest;
    return largest;
}

static float quantise(uint8_t *y, const float *x, size_t n) {
    const uint32_t bits = largest_bits(x, n); /* patterns of |x| are ordered as the numbers; what is not finite stands above */
    float largest;
    memcpy(&largest, &bits, sizeof largest);
    const float factor = 127.0f / largest;
    if (bits >= 0x7f800000u || !(factor <= 3.4028234e38f)) {
        memset(y, 0, n);
        return bits >= 0x7f800000u ? NAN : 0.0f;
    }
    const __m256 scale = _mm256_set1_ps(factor);
    size_t i = 0;
    for (; i + W <= n; i += W) {
        const __m256i q = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + i), scale));
        const __m128i half = _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
        _mm_storel_epi64((__m128i *)(void *)(y + i), _mm_packs_epi16(half, half));
    }
    for (; i < n; i++) y[i] = (uint8_t)(int8_t)_mm_cvtss_si32(_mm_set_ss(x[i] * factor));
    return largest / 127.0f;
}

static void finish_int8(float *y, size_t y_stride, const int32_t *c, size_t m, size_t n, const float *row_scale, const float *scale,
                        const int32_t *sum, bool add) {
    (void)sum;
    for (size_t j = 0; j < n; j += W) {
        const __m256i mask = first_lanes(n - j);
        const bool whole = n - j >= W;
        const __m256 columns = _mm256_loadu_ps(scale + j);
        for (size_t i = 0; i < m; i++) {
            const __m256 exact = _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)(c + i * T0_PANEL + j)));
            float *to = y + i * y_stride + j;
            __m256 value = _mm256_mul_ps(exact, _mm256_mul_ps(_mm256_set1_ps(row_scale[i]), columns));
            if (add) value = _mm256_add_ps(value, _mm256_maskload_ps(to, mask));
            if (whole) _mm256_storeu_ps(to, value);
            else _mm256_maskstore_ps(to, mask, value);
        }
    }
}

const t0_dense_kernels t0_dense_avx2 = {
    .rows_int8 = MR_INT, .tile_int8 = tile_int8, .widen_pairs = widen_pairs, .quantise = quantise, .finish_int8 = finish_int8};

#endif
