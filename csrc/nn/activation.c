/* The feed-forward activation: f(h0) * h1 where it is gated (Shazeer 2020, as T5 v1.1), or f(h) (T5 v1.0). */
#include "nn/layers.h"

#include <assert.h>

enum { GRAIN = 4096 }; /* elements a thread */

typedef struct activation {
    const t0_activation_kernels *kernels;
    float *a, *dh;
    const float *h, *da;
    size_t n_rows, d_ff, parts;
    bool gated;
} activation;

static void forward_rows(void *context, size_t index, size_t worker) {
    (void)worker;
    const activation *s = context;
    const size_t f = s->d_ff;
    const t0_range rows = t0_range_of(s->n_rows, s->parts, index);
    if (s->gated)
        for (size_t n = rows.begin; n < rows.end; n++) s->kernels->gate(s->a + n * f, s->h + n * 2 * f, s->h + n * 2 * f + f, f);
    else s->kernels->apply(s->a + rows.begin * f, s->h + rows.begin * f, (rows.end - rows.begin) * f);
}

static void run(t0_exec *exec, t0_task task, activation *s, t0_activation f) {
    assert(s->d_ff >= 1 && f < T0_ACTIVATIONS);
    s->kernels = &t0_exec_kernels(exec)->activations[f];
    s->parts = t0_exec_parts(exec, s->n_rows, GRAIN / s->d_ff + 1);
    t0_exec_run(exec, task, s, s->parts);
}

void t0_activation_forward(t0_exec *exec, float *a, const float *h, size_t n_rows, size_t d_ff, t0_activation f, bool gated) {
    activation s = {.a = a, .h = h, .n_rows = n_rows, .d_ff = d_ff, .gated = gated};
    run(exec, forward_rows, &s, f);
}

static void backward_rows(void *context, size_t index, size_t worker) {
    (void)worker;
    const activation *s = context;
    const size_t f = s->d_ff;
    const t0_range rows = t0_range_of(s->n_rows, s->parts, index);
    if (!s->gated)
        s->kernels->apply_backward(s->dh + rows.begin * f, s->da + rows.begin * f, s->h + rows.begin * f, (rows.end - rows.begin) * f);
    for (size_t n = rows.begin; s->gated && n < rows.end; n++) {
        const size_t at = n * 2 * f;
        s->kernels->gate_backward(s->dh + at, s->dh + at + f, s->da + n * f, s->h + at, s->h + at + f, f);
    }
}

void t0_activation_backward(t0_exec *exec, float *dh, const float *da, const float *h, size_t n_rows, size_t d_ff, t0_activation f,
                            bool gated) {
    activation s = {.dh = dh, .da = da, .h = h, .n_rows = n_rows, .d_ff = d_ff, .gated = gated};
    run(exec, backward_rows, &s, f);
}
