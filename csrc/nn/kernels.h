/* The kernel table: one constant instance an instruction set, the portable one being the oracle for ever.
 *
 * Rules: no kernel allocates, fails, or touches anything but its arguments; every output element is reduced in one
 * order that depends on its own row or column alone (never on how many rows the call has). */
#ifndef T0_NN_KERNELS_H
#define T0_NN_KERNELS_H

#include "base/status.h"

/* One AdamW step in the numbers its inner loop needs. */
typedef struct t0_adamw_pass {
    float keep, beta1, beta2;     /* 1 - lr * decay */
    float rate, root, epsilon;    /* lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t) */
} t0_adamw_pass;

/* Products with packed weights (nn/packed.h, nn/product.c). A panel is [groups][32] words; a tile's results c are [m][32], m at
 * most the set's rows. Rows of a have a_row elements between them; what a quantised row looks like is the set's own affair. */
typedef struct t0_dense_kernels {
    size_t rows_bfloat16, rows_int8;
    /* c = the panel's products in float32. a: [m][2 groups] bfloat16. NULL where float32 is as fast: panels are then widened. */
    void (*tile_bfloat16)(float *c, const uint16_t *a, size_t a_row, const uint32_t *panel, size_t groups, size_t m);
    /* c = the exact integers plus offset times the sums of the panel's rows. */
    void (*tile_int8)(int32_t *c, const uint8_t *a, size_t a_row, const uint32_t *panel, size_t groups, size_t m);
    int32_t offset;
    void (*widen_pairs)(float *y, const uint32_t *panel, size_t groups); /* [groups][32] words to [2 groups][32] floats */
    void (*to_bfloat16)(uint16_t *y, const float *x, size_t n); /* nearest, ties to even; subnormals may become zeros, here and in pairs */
    void (*pair_bfloat16)(uint32_t *y, const float *low, const float *high, size_t n); /* both in a word; high NULL: zeros */
    /* y = round(x 127 / max|x|), symmetric; returns max|x| / 127, or NaN (and zeros) where an x is not finite. */
    float (*quantise)(uint8_t *y, const float *x, size_t n);
    /* y[i,j] = (c[i,j] - offset sum[j]) * (row_scale[i] * scale[j]) for j < n <= 32; with add, added to y. */
    void (*finish_int8)(float *y, size_t y_stride, const int32_t *c, size_t m, size_t n, const float *row_scale, const float *scale,
                        const int32_t *sum, bool add);
} t0_dense_kernels;

typedef struct t0_kernels {
    const char *name; /* "portable", "avx2", "avx512", "avx512-vnni" */
    const t0_dense_kernels *dense;

    /* The micro kernel of nn/gemm.c: c[m,n] (+)= a[m,k] b[k,n] for m <= mr, n <= nr. Element (i,kk) of a stands at
     * a[i * a_row + kk * a_k], row kk of b at b + kk * b_k, row i of c at c + i * c_stride. Each element is the sum over
     * kk in order, then added to c (add) or stored. Only the n columns of b and c are touched. */
    size_t mr, nr;
    void (*gemm_tile)(float *c, size_t c_stride, const float *a, size_t a_row, size_t a_k, const float *b, size_t b_k, size_t k,
                      size_t m, size_t n, bool add);
    /* panel[kk * nr + j] = src[j * stride + kk] for j < n <= nr, 0 for the other j < nr. */
    void (*pack_transposed)(float *panel, const float *src, size_t stride, size_t k, size_t n);

    float (*dot)(const float *a, const float *b, size_t n);
    float (*dot3)(const float *a, const float *b, const float *c, size_t n);        /* sum a b c */
    void (*axpy)(float *y, float alpha, const float *x, size_t n);                  /* y += alpha x */
    float (*sum_squares)(const float *x, size_t n);
    void (*scale_mul)(float *y, const float *x, const float *g, float r, size_t n); /* y = x * r * g */
    void (*norm_backward)(float *dx, const float *dy, const float *x, const float *g, float r, float c, size_t n); /* dx += r dy g - c x */
    float (*softmax)(float *x, size_t n);                                           /* in place; returns log-sum-exp */
    float (*log_sum_exp)(const float *x, size_t n);                                 /* -infinity for n 0 */
    void (*exp_affine)(float *y, const float *x, float shift, float scale, float offset, size_t n); /* y = scale exp(x - shift) + offset */
    void (*gelu_gate)(float *a, const float *u, const float *v, size_t n);          /* a = gelu_new(u) * v */
    void (*gelu_gate_backward)(float *du, float *dv, const float *da, const float *u, const float *v, size_t n);
    /* y = x * mask / (1 - rate): nn/layers.h. */
    void (*dropout)(float *y, const float *x, size_t n, float rate, uint64_t seed, uint64_t purpose, uint64_t first);

    /* Optimiser passes (nn/optimizer.h); sums in double. */
    void (*adamw)(float *w, float *m, float *v, const float *g, size_t n, const t0_adamw_pass *s);
    double (*adafactor_moment)(float *v, const float *g, size_t n, float b, float eps); /* v = b v + (1-b)(g^2 + eps); sum g^2 / v */
    void (*adafactor_apply)(float *w, const float *v, const float *g, size_t n, float factor); /* w -= factor g / sqrt(v) */
    double (*sum_squares_double)(const float *x, size_t n);
    void (*add_squares)(double *sum, const float *x, size_t n);                     /* sum[i] += x[i]^2 */
} t0_kernels;

/* Mean in double, in index order. */
static inline double t0_mean(const float *x, size_t n) {
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    return sum / (double)n;
}

/* All sets compiled in, portable first; NULL beyond the last. */
const t0_kernels *t0_kernels_at(size_t i);
bool t0_kernels_available(const t0_kernels *kernels); /* this processor and system can run it */
const t0_kernels *t0_kernels_best(void);
/* name NULL: the environment's T0NATIVE_KERNELS is the binding's business; here it means the best. NULL if unknown. */
const t0_kernels *t0_kernels_find(const char *name);

#endif
