/* AdamW (Loshchilov & Hutter 2019), and what both optimisers need of a gradient: its norm and a scale.
 *
 *     w *= 1 - lr decay;  m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2
 *     w -= lr / (1 - b1^t)  m / (sqrt(v) / sqrt(1 - b2^t) + eps) */
#include "nn/optimizer.h"

#include <math.h>

enum { PARTS = 64, GRAIN = 8192 };

typedef struct adamw {
    const t0_kernels *kernels;
    float *w, *m, *v;
    const float *g;
    size_t n, parts;
    t0_adamw_pass pass;
} adamw;

static void step_range(void *context, size_t index, size_t worker) {
    (void)worker;
    const adamw *s = context;
    const t0_range part = t0_range_of(s->n, s->parts, index);
    const size_t at = part.begin;
    s->kernels->adamw(s->w + at, s->m + at, s->v + at, s->g + at, part.end - at, &s->pass);
}

void t0_adamw_step(t0_exec *exec, const t0_adamw *s, float *w, float *m, float *v, const float *g, size_t n, uint64_t step) {
    const double correction1 = 1.0 - pow(s->beta1, (double)step), correction2 = 1.0 - pow(s->beta2, (double)step);
    adamw a = {.kernels = t0_exec_kernels(exec), .w = w, .m = m, .v = v, .g = g, .n = n, .parts = t0_exec_parts(exec, n, GRAIN)};
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

typedef struct norm {
    const t0_kernels *kernels;
    const float *x;
    size_t n, parts;
    double sums[PARTS];
} norm;

static void sum_range(void *context, size_t index, size_t worker) {
    (void)worker;
    norm *s = context;
    const t0_range part = t0_range_of(s->n, s->parts, index);
    s->sums[index] = s->kernels->sum_squares_double(s->x + part.begin, part.end - part.begin);
}

double t0_norm_squared(t0_exec *exec, const float *x, size_t n) {
    norm s = {.kernels = t0_exec_kernels(exec), .x = x, .n = n, .parts = n < GRAIN ? 1 : PARTS};
    t0_exec_run(exec, sum_range, &s, s.parts);
    double sum = 0.0;
    for (size_t i = 0; i < s.parts; i++) sum += s.sums[i];
    return sum;
}

typedef struct scaling {
    float *x, factor;
    size_t n, parts;
} scaling;

static void scale_range(void *context, size_t index, size_t worker) {
    (void)worker;
    const scaling *s = context;
    const t0_range part = t0_range_of(s->n, s->parts, index);
    for (size_t i = part.begin; i < part.end; i++) s->x[i] *= s->factor;
}

void t0_scale(t0_exec *exec, float *x, size_t n, float factor) {
    scaling s = {x, factor, n, t0_exec_parts(exec, n, GRAIN)};
    t0_exec_run(exec, scale_range, &s, s.parts);
}
