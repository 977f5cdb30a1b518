/* AdamW (Loshchilov & Hutter 2019).
 *
 *     w *= 1 - lr decay;  m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2
 *     w -= lr / (1 - b1^t)  m / (sqrt(v) / sqrt(1 - b2^t) + eps) */
#include "nn/optimizer.h"

#include <assert.h>
#include <math.h>

enum { GRAIN = 8192, RUN = 1 << 16 /* between two questions whether to stop */ };

typedef struct adamw {
    t0_exec *exec;
    const t0_kernels *kernels;
    float *w, *m, *v;
    const float *g;
    size_t n, parts;
    t0_adamw_pass pass;
} adamw;

static void step_range(void *context, size_t index, size_t worker) {
    const adamw *s = context;
    const t0_range part = t0_range_of(s->n, s->parts, index);
    for (size_t at = part.begin; at < part.end && !t0_exec_stops(s->exec, worker); at += RUN)
        s->kernels->adamw(s->w + at, s->m + at, s->v + at, s->g + at, part.end - at < RUN ? part.end - at : RUN, &s->pass);
}

void t0_adamw_step(t0_exec *exec, const t0_adamw *s, float *w, float *m, float *v, const float *g, size_t n, uint64_t step) {
    assert(step >= 1 && s->beta1 < 1.0f && s->beta2 < 1.0f);
    const double correction1 = 1.0 - pow(s->beta1, (double)step), correction2 = 1.0 - pow(s->beta2, (double)step);
    adamw a =
        {.exec = exec, .kernels = t0_exec_kernels(exec), .w = w, .m = m, .v = v, .g = g, .n = n, .parts = t0_exec_parts(exec, n, GRAIN)};
    a.pass = (t0_adamw_pass){
        .keep = (float)(1.0 - (double)s->learning_rate * s->weight_decay),
        .beta1 = s->beta1,
        .beta2 = s->beta2,
        .rate = (float)(s->learning_rate / correction1),
        .root = (float)(1.0 / sqrt(correction2)),
        .epsilon = s->epsilon,
    };
    t0_exec_run(exec, step_range, &a, a.parts);
}
