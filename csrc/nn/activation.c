/* The feed-forward activation: gelu_new(h0) * h1 (Shazeer 2020, as T5 v1.1) or max(h, 0) (T5 v1.0). */
#include "nn/layers.h"

#include <assert.h>

enum { GRAIN = 4096 }; /* elements a thread */

typedef struct activation {
    const t0_kernels *kernels;
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
    if (s->gated) {
        for (size_t n = rows.begin; n < rows.end; n++) s->kernels->gelu_gate(s->a + n * f, s->h + n * 2 * f, s->h + n * 2 * f + f, f);
    } else {
        for (size_t i = rows.begin * f; i < rows.end * f; i++) s->a[i] = s->h[i] < 0.0f ? 0.0f : s->h[i]; /* NaN stays */
    }
}

void t0_activation_forward(t0_exec *exec, float *a, const float *h, size_t n_rows, size_t d_ff, bool gated) {
    activation s = {.kernels = t0_exec_kernels(exec), .a = a, .h = h, .n_rows = n_rows, .d_ff = d_ff, .gated = gated};
    assert(d_ff >= 1);
    s.parts = t0_exec_parts(exec, n_rows, GRAIN / d_ff + 1);
    t0_exec_run(exec, forward_rows, &s, s.parts);
}

static void backward_rows(void *context, size_t index, size_t worker) {
    (void)worker;
    const activation *s = context;
    const size_t f = s->d_ff;
    const t0_range rows = t0_range_of(s->n_rows, s->parts, index);
    if (s->gated) {
        for (size_t n = rows.begin; n < rows.end; n++) {
            const size_t at = n * 2 * f;
            s->kernels->gelu_gate_backward(s->dh + at, s->dh + at + f, s->da + n * f, s->h + at, s->h + at + f, f);
        }
    } else {
        for (size_t i = rows.begin * f; i < rows.end * f; i++) s->dh[i] = s->h[i] > 0.0f ? s->da[i] : 0.0f;
    }
}

void t0_activation_backward(t0_exec *exec, float *dh, const float *da, const float *h, size_t n_rows, size_t d_ff, bool gated) {
    activation s = {.kernels = t0_exec_kernels(exec), .dh = dh, .da = da, .h = h, .n_rows = n_rows, .d_ff = d_ff, .gated = gated};
    assert(d_ff >= 1);
    s.parts = t0_exec_parts(exec, n_rows, GRAIN / d_ff + 1);
    t0_exec_run(exec, backward_rows, &s, s.parts);
}
