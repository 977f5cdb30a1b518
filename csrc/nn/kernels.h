/* The kernel table: one constant instance an instruction set, the portable one being the oracle for ever. All that the code
 * around the kernels must know of a set stands in its table; nothing asks for a set by its name.
 *
 * Rules: no kernel allocates, fails, or touches anything but its arguments; every output element is reduced in one
 * order that depends on its own row or column alone (never on how many rows the call has). Arguments need no alignment beyond
 * their type's. Pointers are [n] of the n beside them where nothing else is said. No output overlaps an input, but y of
 * scale_mul, exp_affine and dropout may be x. n and k may be 0, the m and n of a tile may not.
 *
 * A new set: a nn/vector_*.h with its instructions under the names of nn/kernel_vectors.h, a nn/kernels_*.c with its tile,
 * a line in nn/kernels.c and its features in base/cpu.h. The tests of tests/c run every set against the portable one. */
#ifndef T0_NN_KERNELS_H
#define T0_NN_KERNELS_H

#include "base/cpu.h"
#include "base/status.h"
#include "nn/probe.h"

enum { T0_TILE_ROWS = 12 }; /* bound of every set's mr, rows_bfloat16 and rows_int8; nr divides 32, a panel of packed weights */

/* One AdamW step in the numbers its inner loop needs. */
typedef struct t0_adamw_pass {
    float keep;                /* 1 - lr * decay: what weight decay leaves of a weight */
    float beta1, beta2;        /* of the two moments */
    float rate, root, epsilon; /* lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t), and what is added to the root */
} t0_adamw_pass;

/* The f of a feed-forward, f(h) or f(h0) h1. The order is no file's. */
typedef enum t0_activation { T0_GELU_NEW, T0_RELU, T0_GELU, T0_SILU, T0_ACTIVATIONS } t0_activation;

/* One f (the equations: kernels_portable.c). NaN stays NaN, and what is infinite does not become finite. */
typedef struct t0_activation_kernels {
    void (*apply)(float *a, const float *u, size_t n);                            /* a = f(u) */
    void (*apply_backward)(float *du, const float *da, const float *u, size_t n); /* du = da f'(u) */
    void (*gate)(float *a, const float *u, const float *v, size_t n);             /* a = f(u) v */
    /* du = da v f'(u), dv = da f(u). */
    void (*gate_backward)(float *du, float *dv, const float *da, const float *u, const float *v, size_t n);
} t0_activation_kernels;

/* Products with packed weights (nn/product.c). `panel` is one panel [groups][32] of nn/packed.h, where both panels are drawn.
 * Row i of m <= rows_* rows of activations begins at a + i * a_row, a_row in elements of a, and is filled up with zeros to whole
 * words: 2 groups bfloat16s, or 4 groups bytes. A tile's results are stored as c[m][32], all 32 columns of them. */
typedef struct t0_dense_kernels {
    size_t rows_bfloat16, rows_int8; /* the tallest tiles */
    /* c[i,j] = sum over g in order of  a[i,2g] w[2g,j] + a[i,2g+1] w[2g+1,j],  in float32; how a pair is rounded is the
     * processor's affair. NULL where float32 is as fast: panels are then widened, and to_bfloat16 and pair_bfloat16 are NULL. */
    void (*tile_bfloat16)(float *c, const uint16_t *a, size_t a_row, const uint32_t *panel, size_t groups, size_t m);
    /* c[i,j] = sum over 4 groups of  a[i,k] w[k,j],  a as `quantise` leaves it (q + offset), w in [-127, 127]: exact for any
     * order, groups <= T0_INT8_DEPTH / 4. finish_int8 takes the offset off again. */
    void (*tile_int8)(int32_t *c, const uint8_t *a, size_t a_row, const uint32_t *panel, size_t groups, size_t m);
    int32_t offset; /* 0: bytes of a are signed; 128: unsigned */
    /* y[2 groups][32] floats of a bfloat16 panel. NULL where there is tile_bfloat16. */
    void (*widen_pairs)(float *y, const uint32_t *panel, size_t groups);
    /* Nearest, ties to even; subnormals may become zeros, here and in pairs. */
    void (*to_bfloat16)(uint16_t *y, const float *x, size_t n);
    /* y[i] = low[i] in the lower half of a word, high[i] in the upper; high NULL: zeros. */
    void (*pair_bfloat16)(uint32_t *y, const float *low, const float *high, size_t n);
    /* y = offset + round(x 127 / max|x|), ties to even; returns max|x| / 127, or NaN (and zeros for q) where an x is not
     * finite, and 0 (and zeros) where 127 / max|x| is not. */
    float (*quantise)(uint8_t *y, const float *x, size_t n);
    /* y[i,j] = (c[i,j] - offset sum[j]) (row_scale[i] scale[j])  for i < m, j < n <= 32; with add, added to y. Rows of y lie
     * y_stride floats apart; c is [m][32], scale and sum are [32] whatever n is. */
    void (*finish_int8)(float *y, size_t y_stride, const int32_t *c, size_t m, size_t n, const float *row_scale, const float *scale,
                        const int32_t *sum, bool add);
} t0_dense_kernels;

typedef struct t0_kernels {
    const char *name;              /* "portable", "avx2", "avx512", "avx512-vnni" */
    t0_cpu needs;                  /* what the processor must have */
    bool yields_to_blas;           /* large float32 products are slower than OpenBLAS's, where the build has it */
    const t0_dense_kernels *dense;
    const t0_probe *probe;         /* what the set's instructions can do at most */

    /* The micro kernel of nn/gemm.c, c[m,n] (+)= a[m,k] b[k,n] for 1 <= m <= mr, 1 <= n <= nr:
     *   a    element (i,kk) at a[i * a_row + kk * a_k]: rows as they lie, or a panel [k][m] (a_row 1, a_k m)
     *   b    row kk at b + kk * b_k, its n columns side by side: a panel [k][nr] (b_k nr), or rows of a matrix
     *   c    row i at c + i * c_stride
     * Each element is the sum over kk in order, in one accumulator, and then added to c (add) or stored; k 0 stores zeros.
     * Only the n columns of b and c are touched; addresses beyond may be prefetched. */
    size_t mr, nr;
    void (*gemm_tile)(float *c, size_t c_stride, const float *a, size_t a_row, size_t a_k, const float *b, size_t b_k, size_t k, size_t m,
                      size_t n, bool add);
    /* panel[kk * nr + j] = src[j * stride + kk] for j < n <= nr, 0 for the other j < nr. Copies bits, whatever they mean. */
    void (*pack_transposed)(float *panel, const float *src, size_t stride, size_t k, size_t n);

    float (*dot)(const float *a, const float *b, size_t n);
    float (*dot3)(const float *a, const float *b, const float *c, size_t n);        /* sum a b c */
    void (*axpy)(float *y, float alpha, const float *x, size_t n);                  /* y += alpha x */
    float (*sum_squares)(const float *x, size_t n);
    void (*scale_mul)(float *y, const float *x, const float *g, float r, size_t n); /* y = x * r * g */
    void (*norm_backward)(float *dx, const float *dy, const float *x, const float *g, float r, float c, size_t n); /* dx += r dy g - c x */
    float (*softmax)(float *x, size_t n); /* in place; returns log-sum-exp */
    float (*log_sum_exp)(const float *x, size_t n); /* -infinity for n 0 */
    void (*exp_affine)(float *y, const float *x, float shift, float scale, float offset, size_t n); /* y = scale exp(x - shift) + offset */
    t0_activation_kernels activations[T0_ACTIVATIONS];
    /* y[i] = x[i] * mask(first + i) / (1 - rate), 0 <= rate < 1; the mask is nn/layers.h's. */
    void (*dropout)(float *y, const float *x, size_t n, float rate, uint64_t seed, uint64_t purpose, uint64_t first);

    /* Optimiser passes (nn/optimizer.h); sums in double. */
    void (*adamw)(float *w, float *m, float *v, const float *g, size_t n, const t0_adamw_pass *s);
    double (*adafactor_moment)(float *v, const float *g, size_t n, float b, float eps); /* v = b v + (1-b)(g^2 + eps); sum g^2 / v */
    void (*adafactor_apply)(float *w, const float *v, const float *g, size_t n, float factor); /* w -= factor g / sqrt(v) */
    double (*sum_squares_double)(const float *x, size_t n);
    void (*add_squares)(double *sum, const float *x, size_t n); /* sum[i] += x[i]^2 */
} t0_kernels;

/* All sets compiled in, portable first; NULL beyond the last. */
const t0_kernels *t0_kernels_at(size_t i);
bool t0_kernels_available(const t0_kernels *kernels); /* this processor and system can run it */
const t0_kernels *t0_kernels_best(void);
/* name NULL: the environment's T0NATIVE_KERNELS is the binding's business; here it means the best. NULL if unknown. */
const t0_kernels *t0_kernels_find(const char *name);

#endif
