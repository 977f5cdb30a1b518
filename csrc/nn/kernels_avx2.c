/* The kernels for AVX2 with FMA: the tile; the rest is nn/kernel_vectors.h.
 *
 * Tile 6 x 16: 12 accumulators, two vectors of B and two broadcast A elements fill the 16 registers. Accumulators are
 * named one by one: compilers put arrays of them on the stack. Each count of rows has a function of its own. */
#include "nn/kernel_rows.h"
#include "nn/kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#pragma GCC target("avx2,fma")

#include "nn/kernel_loops.h"
#include "nn/vector_avx2.h"

enum { MR = 6, NR = 16 };

/* Rows 0, 1, 2 of A stand behind p, rows 3, 4, 5 behind q. */
#define A_AT(i) a##i
#define a0 p
#define a1 p + a_row
#define a2 p + 2 * a_row
#define a3 q
#define a4 q + a_row
#define a5 q + 2 * a_row

/* C is wanted at the end of the sums: ask for it at their beginning. */
#define CLEAR(i)                                                    \
    __m256 s##i = _mm256_setzero_ps(), t##i = _mm256_setzero_ps();  \
    _mm_prefetch((const char *)(c + (i) * c_stride), _MM_HINT_T0);
#define STEP(i)                                         \
    {                                                   \
        const __m256 e = _mm256_broadcast_ss(A_AT(i));  \
        s##i = _mm256_fmadd_ps(e, b0, s##i);            \
        t##i = _mm256_fmadd_ps(e, b1, t##i);            \
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
#define STORE_PART(i)                                                       \
    {                                                                       \
        float *at = c + (i) * c_stride;                                     \
        if (add) {                                                          \
            s##i = _mm256_add_ps(s##i, _mm256_maskload_ps(at, mask0));      \
            t##i = _mm256_add_ps(t##i, _mm256_maskload_ps(at + W, mask1));  \
        }                                                                   \
        _mm256_maskstore_ps(at, mask0, s##i);                               \
        _mm256_maskstore_ps(at + W, mask1, t##i);                           \
    }

#define TILE_FUNCTION(m)                                                                                                   \
    static void tile_##m(float *c, size_t c_stride, const float *a, size_t a_row, size_t a_k, const float *b, size_t b_k,  \
                         size_t k, size_t n, bool add) {                                                                   \
        const float *p = a, *q = a + 3 * a_row;                                                                            \
        ROWS_##m(CLEAR) if (n == NR) {                                                                                     \
            for (size_t kk = 0; kk < k; kk++, p += a_k, q += a_k, b += b_k) {                                              \
                _mm_prefetch((const char *)(b + AHEAD * b_k), _MM_HINT_T1);                                                \
                const __m256 b0 = _mm256_loadu_ps(b), b1 = _mm256_loadu_ps(b + W);                                         \
                ROWS_##m(STEP)                                                                                             \
            }                                                                                                              \
            ROWS_##m(STORE_FULL)                                                                                           \
        } else {                                                                                                           \
            const __m256i mask0 = first_lanes(n), mask1 = first_lanes(n > W ? n - W : 0);                                  \
            for (size_t kk = 0; kk < k; kk++, p += a_k, q += a_k, b += b_k) {                                              \
                const __m256 b0 = LOAD_MASKED(mask0, b), b1 = LOAD_MASKED(mask1, b + W);                                   \
                ROWS_##m(STEP)                                                                                             \
            }                                                                                                              \
            ROWS_##m(STORE_PART)                                                                                           \
        }                                                                                                                  \
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

#include "nn/kernel_vectors.h"

extern const t0_dense_kernels t0_dense_avx2;
extern const t0_probe t0_probe_avx2;

const t0_kernels t0_kernels_avx2 = {
    .name = "avx2",
    .needs = {.avx2 = true},
    .dense = &t0_dense_avx2,
    .probe = &t0_probe_avx2,
    .mr = MR,
    .nr = NR,
    .gemm_tile = gemm_tile,
    T0_KERNEL_VECTORS,
    T0_KERNEL_PASSES,
};

#endif
