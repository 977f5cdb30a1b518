/* Products with packed weights: y[N, out] = x[N, in] W^T, the passes before and after being part of it.
 *
 * Rows x are first brought into the weights' number type (t0_rows): from a buffer, or straight out of the norm. Results leave
 * through a finish: stored, added to the residual stream, through an activation, gated, or only as log-likelihoods.
 * Each element is reduced over the depth in one order, whatever N, its neighbours or the threads; int8 sums are exact.
 * float32 sums have the order of nn/gemm.h, so a packed matrix gives the bits of a plain one. */
#ifndef T0_NN_PRODUCT_H
#define T0_NN_PRODUCT_H

#include "nn/exec.h"
#include "nn/packed.h"

/* The number type in which a kernel set takes activations for weights of this one: float32 for bfloat16 where there are no
 * bfloat16 products. */
t0_dtype t0_rows_dtype(const t0_kernels *kernels, t0_dtype weights);

/* Activations ready to be multiplied; strides keep rows out of each other's cache lines. */
typedef struct t0_rows {
    t0_dtype dtype;
    size_t n, in, stride; /* stride: bytes between rows */
    uint8_t *data;
    float *scale; /* int8: [n] */
} t0_rows;

size_t t0_rows_floats(t0_dtype dtype, size_t n, size_t in); /* memory for them; SIZE_MAX on overflow */
t0_rows t0_rows_at(t0_dtype dtype, size_t n, size_t in, float *memory);

void t0_rows_fill(t0_exec *exec, t0_rows *rows, const float *x, size_t x_stride);
/* rows = x r g, r = 1 / sqrt(mean x^2 + eps) of each row of x[n, in]. False where a row of x is not finite. */
bool t0_rows_norm(t0_exec *exec, t0_rows *rows, const float *x, const float *g, float eps);

typedef enum t0_finish {
    T0_STORE, /* y = x W^T */
    T0_ADD,   /* y += x W^T */
    T0_SPLIT, /* y = x W^T, panels of W being wi_0's and wi_1's in turn: the halves of a row of y are what each gives */
    T0_APPLY, /* y = f(x W^T) */
    T0_GATE   /* y[n, out] = f(h0) h1, panels of W being wi_0's and wi_1's in turn */
} t0_finish;

/* out: columns of y that are written. finish: T0_STORE, T0_ADD or T0_SPLIT. */
void t0_product(t0_exec *exec, float *y, size_t y_stride, size_t out, const t0_rows *x, const t0_packed *w, t0_finish finish);
/* The same with T0_APPLY or, gated, T0_GATE. */
void t0_product_activated(t0_exec *exec, float *y, size_t y_stride, size_t out, const t0_rows *x, const t0_packed *w, t0_activation f,
                          bool gated);

/* Of z[N, V] = x W^T, without storing it: lse[n] = log sum_v exp z[n,v], and picked[i] = z[n, labels[i]] for
 * label_offsets[n] <= i < label_offsets[n + 1]. parts: t0_likelihood_parts(V) floats a row. */
void t0_product_likelihood(t0_exec *exec, float *lse, float *picked, float *parts, const t0_rows *x, const t0_packed *w,
                           const int64_t *label_offsets, const int32_t *labels);
size_t t0_likelihood_parts(size_t vocab);
/* The same sums in the same order, from logits z[V] that are there; parts: t0_likelihood_parts(V) floats. */
float t0_row_log_sum_exp(const t0_kernels *kernels, const float *z, size_t vocab, float *parts);

#endif
