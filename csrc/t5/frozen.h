/* Training: a pass over a model whose own weights are frozen, flat or packed, and the adapter that is trained beside it (adapter.h).
 * Only csrc/t5 includes this.
 *
 *     y = W x + s B (A drop(x))        dB += s dy^T (A drop(x)),  dt = s dy B,  dA += dt^T drop(x),  dx += drop(dt A)
 *     y = l (W x)                      dl += sum_n dy (y / l),    dy = l dy                 where a factor is 0, it stays 0
 *     y = W (l x)                      dl += sum_n (dy W) x,      dx = l (dy W)
 *
 * W x as inference has it: int8 and bfloat16 models round rows x. Backwards W stands for the numbers that its panels mean, and
 * rounding is passed straight through. There is no product for dW. An adapter's products are of floats, whatever the exec multiplies. */
#ifndef T0_T5_FROZEN_H
#define T0_T5_FROZEN_H

#include "t5/forward.h"

/* T0_EVALUE naming what only inference computes: factors of what goes into q, k, v or wi, of what comes out of o, wo or the head. */
t0_status t0_frozen_check(const t0_adapter *adapter, t0_error *err);

/* Memory of both ways for at most so many rows: pass->scratch. */
void t0_frozen_carve(t0_pass *pass, size_t n_rows, t0_carver *at);

/* y[n, out] (+)= W x of packed weights; wi: `split`, the halves of a row of y are wi_0's and wi_1's. */
void t0_frozen_multiply(const t0_pass *pass, float *y, const float *x, size_t weight, size_t n, size_t in, size_t out, bool add,
                        bool split);
/* dx[n, in] (+)= dy W. */
void t0_frozen_multiply_back(const t0_pass *pass, float *dx, const float *dy, size_t weight, size_t n, size_t in, size_t out, bool add,
                             bool split);

/* A site of the pass, and which rows of the step its rows are, for dropout masks. */
typedef struct t0_adapted_site {
    bool decoder;
    size_t block;
    t0_part part;
    uint64_t first_row;
} t0_adapted_site;

t0_adapted_site t0_stack_site(const t0_stack_forward *forward, size_t block, t0_part part);
t0_adapted_site t0_cross_site(size_t block, t0_part part, uint64_t first_row); /* of cross-attention's k and v, whose rows are sources */

/* What the adapter changes of y = W x, [n, width] at y_stride; x[n, in]. */
void t0_frozen_adapt(const t0_pass *pass, t0_adapted_site at, float *y, size_t y_stride, const float *x, size_t n);
/* The way back in two steps. First (IA)3: dy becomes the gradient of W x; y: as t0_frozen_adapt left it. Then, behind dx = dy W,
 * LoRA: dx[n, in] += what goes through A. */
void t0_frozen_adapt_back(const t0_pass *pass, float *gradients, t0_adapted_site at, float *dy, size_t dy_stride, const float *y,
                          size_t y_stride, size_t n);
void t0_frozen_lora_back(const t0_pass *pass, float *gradients, t0_adapted_site at, float *dx, const float *dy, size_t dy_stride,
                         const float *x, size_t n);
/* What goes into o or wo, scaled: u itself where the adapter does not, else a copy. Backwards: du = l du and dl, u not scaled. */
const float *t0_frozen_scale_in(const t0_pass *pass, t0_adapted_site at, const float *u, size_t n);
void t0_frozen_scale_in_back(const t0_pass *pass, float *gradients, t0_adapted_site at, float *du, const float *u, size_t n);

/* x[n] = the row of the table, or of the prompts where ids[n] lies behind the vocabulary; and the prompts' gradient. */
void t0_frozen_embed(const t0_pass *pass, float *x, const int32_t *ids, size_t n);
void t0_frozen_embed_back(const t0_pass *pass, float *gradients, const float *dx, const int32_t *ids, size_t n);

#endif
