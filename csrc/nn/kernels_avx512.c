/* The kernels for AVX-512 (F, BW, DQ, VL): the tile; the rest is nn/kernel_vectors.h.
 *
 * Tile 12 x 32: 24 accumulators, two vectors of B and a broadcast A element live in the 32 registers. Accumulators are
 * named one by one: compilers put arrays of them on the stack. Each count of rows has a function of its own. */
#include "nn/kernel_rows.h"
#include "nn/kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")

#include "nn/kernel_loops.h"
#include "nn/vector_avx512.h"

enum { MR = 12, NR = 32 };

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
#define CLEAR_2(i)                                                  \
    __m512 s##i = _mm512_setzero_ps(), t##i = _mm512_setzero_ps();  \
    _mm_prefetch((const char *)(c + (i) * c_stride), _MM_HINT_T0);  \
    _mm_prefetch((const char *)(c + (i) * c_stride + W), _MM_HINT_T0);
#define CLEAR_1(i) __m512 s##i = _mm512_setzero_ps();
#define STEP_2(i)                                  \
    {                                              \
        const __m512 e = _mm512_set1_ps(A_AT(i));  \
        s##i = _mm512_fmadd_ps(e, b0, s##i);       \
        t##i = _mm512_fmadd_ps(e, b1, t##i);       \
    }
#define STEP_1(i) s##i = _mm512_fmadd_ps(_mm512_set1_ps(A_AT(i)), b0, s##i);
#define STORE_1(i)                                                              \
    {                                                                           \
        float *at = c + (i) * c_stride;                                         \
        if (add) s##i = _mm512_add_ps(s##i, _mm512_maskz_loadu_ps(mask0, at));  \
        _mm512_mask_storeu_ps(at, mask0, s##i);                                 \
    }
#define STORE_2(i)                                                             \
    {                                                                          \
        float *at = c + (i) * c_stride;                                        \
        if (add) {                                                             \
            s##i = _mm512_add_ps(s##i, _mm512_loadu_ps(at));                   \
            t##i = _mm512_add_ps(t##i, _mm512_maskz_loadu_ps(mask1, at + W));  \
        }                                                                      \
        _mm512_storeu_ps(at, s##i);                                            \
        _mm512_mask_storeu_ps(at + W, mask1, t##i);                            \
    }

#define ADVANCE            \
    p0 += a_k, p1 += a_k;  \
    p2 += a_k, p3 += a_k;  \
    b += b_k;

#define TILE_FUNCTION(m)                                                                                                       \
    static void tile_##m##_2(float *c, size_t c_stride, const float *a, size_t a_row, size_t a_k, const float *b, size_t b_k,  \
                             size_t k, __mmask16 mask1, bool add) {                                                            \
        const float *p0 = a, *p1 = a + 3 * a_row, *p2 = a + 6 * a_row, *p3 = a + 9 * a_row;                                    \
        ROWS_##m(CLEAR_2) for (size_t kk = 0; kk < k; kk++) {                                                                  \
            FETCH(m, b + AHEAD * b_k)                                                                                          \
            FETCH(m, b + AHEAD * b_k + W)                                                                                      \
            const __m512 b0 = _mm512_loadu_ps(b), b1 = _mm512_maskz_loadu_ps(mask1, b + W);                                    \
            ROWS_##m(STEP_2) ADVANCE                                                                                           \
        }                                                                                                                      \
        ROWS_##m(STORE_2)                                                                                                      \
    }                                                                                                                          \
    static void tile_##m##_1(float *c, size_t c_stride, const float *a, size_t a_row, size_t a_k, const float *b, size_t b_k,  \
                             size_t k, __mmask16 mask0, bool add) {                                                            \
        const float *p0 = a, *p1 = a + 3 * a_row, *p2 = a + 6 * a_row, *p3 = a + 9 * a_row;                                    \
        ROWS_##m(CLEAR_1) for (size_t kk = 0; kk < k; kk++) {                                                                  \
            const __m512 b0 = _mm512_maskz_loadu_ps(mask0, b);                                                                 \
            ROWS_##m(STEP_1) ADVANCE                                                                                           \
        }                                                                                                                      \
        ROWS_##m(STORE_1)                                                                                                      \
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
#include "nn/kernel_vectors.h"

extern const t0_dense_kernels t0_dense_avx2, t0_dense_avx512_vnni;
extern const t0_probe t0_probe_avx512, t0_probe_avx512_vnni;

#define COMMON .mr = MR, .nr = NR, .gemm_tile = gemm_tile, T0_KERNEL_VECTORS, T0_KERNEL_PASSES

/* Without VNNI and BF16, packed products are AVX2's. */
const t0_kernels t0_kernels_avx512 = {
    .name = "avx512", .needs = {.avx512 = true}, .dense = &t0_dense_avx2, .probe = &t0_probe_avx512, COMMON};
const t0_kernels t0_kernels_avx512_vnni = {
    .name = "avx512-vnni", .needs = {.avx512_vnni = true}, .dense = &t0_dense_avx512_vnni, .probe = &t0_probe_avx512_vnni, COMMON};

#endif
