/* Passes over a vector, see the header.
 *
 *     norm^2 = sum over 64 equal runs, in order, of the kernels' sum of the run's squares        one run below 8,192 elements */
#include "nn/vectors.h"

#include <assert.h>

enum { PARTS = 64, GRAIN = 8192 };

double t0_mean(const float *x, size_t n) {
    assert(n > 0);
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    return sum / (double)n;
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
