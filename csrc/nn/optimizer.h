/* Optimisers on one tensor at a time. States are caller's blocks, cleared before step 1. Where the exec is watched and stops, they
 * leave weights and states unfinished.
 *
 * Adafactor as T5 ran it (Shazeer & Stern 2018; Mesh TensorFlow's defaults for T5):
 *     g2 = g^2 + 1e-30;  b = 1 - t^-0.8 (t = step + offset, from 1)
 *     both dimensions >= 128: row r = b r + (1-b) mean_col g2, column c = b c + (1-b) mean_row g2,  v = r c / mean(r)
 *     else:                   v = b v + (1-b) g2
 *     u = g / sqrt(v);  u /= max(1, rms(u) / 1.0);  w -= lr * max(1e-3, rms(w)) * u
 * AdamW (Loshchilov & Hutter 2019) as torch runs it: decay first, bias correction, eps outside the root.
 * SGD as torch runs it, without dampening:  m = momentum m + g + decay w,  w -= lr m. */
#ifndef T0_NN_OPTIMIZER_H
#define T0_NN_OPTIMIZER_H

#include "nn/exec.h"

typedef struct t0_adafactor {
    float learning_rate; /* relative to rms(w) when scale_parameter */
    float decay;         /* 0.8 */
    float clip;          /* 1.0: update clipping */
    float epsilon1, epsilon2; /* 1e-30, 1e-3 */
    bool scale_parameter;
    size_t min_factored; /* 128 */
} t0_adafactor;

size_t t0_adafactor_state_size(const t0_adafactor *s, size_t rows, size_t columns); /* floats; rows 1 for a vector */
void t0_adafactor_step(t0_exec *exec, const t0_adafactor *s, float *w, float *state, const float *g, size_t rows, size_t columns,
                       uint64_t step); /* step >= 1 */

typedef struct t0_adamw {
    float learning_rate, beta1, beta2, epsilon, weight_decay;
} t0_adamw;

/* m, v: [n] each. */
void t0_adamw_step(t0_exec *exec, const t0_adamw *s, float *w, float *m, float *v, const float *g, size_t n, uint64_t step);

typedef struct t0_sgd {
    float learning_rate, momentum, weight_decay;
} t0_sgd;

size_t t0_sgd_state_size(const t0_sgd *s, size_t n); /* floats: none without momentum */
/* m: [n], read only with momentum. */
void t0_sgd_step(t0_exec *exec, const t0_sgd *s, float *w, float *m, const float *g, size_t n);

#endif
