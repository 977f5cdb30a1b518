/* Root-mean-square norm (Zhang & Sennrich 2019), T5's only normalisation: no mean, no bias.
 *
 *     r_n  = 1 / sqrt(mean_d x[n,d]^2 + eps),   y[n,d] = x[n,d] r_n g[d]
 *     dx[n,d] += r_n dy[n,d] g[d]  -  x[n,d] r_n^3 mean_e(dy[n,e] g[e] x[n,e])
 *     dg[d]   += sum_n dy[n,d] x[n,d] r_n          columns over the threads, rows in order */
#include "nn/layers.h"

#include <assert.h>
#include <math.h>

enum { GRAIN = 8192 }; /* elements a thread */

typedef struct norm {
    const t0_kernels *kernels;
    float *y, *r, *dx, *dg;
    const float *dy, *x, *g;
    size_t n_rows, dim, parts;
    float eps;
} norm;

static void forward_rows(void *context, size_t index, size_t worker) {
    (void)worker;
    const norm *s = context;
    const t0_range rows = t0_range_of(s->n_rows, s->parts, index);
    for (size_t n = rows.begin; n < rows.end; n++) {
        const float *x = s->x + n * s->dim;
        const float r = 1.0f / sqrtf(s->kernels->sum_squares(x, s->dim) / (float)s->dim + s->eps);
        if (s->r) s->r[n] = r;
        s->kernels->scale_mul(s->y + n * s->dim, x, s->g, r, s->dim);
    }
}

void t0_rmsnorm_forward(t0_exec *exec, float *y, float *r, const float *x, const float *g, size_t n_rows, size_t dim, float eps) {
    norm s = {.kernels = t0_exec_kernels(exec), .y = y, .r = r, .x = x, .g = g, .n_rows = n_rows, .dim = dim, .eps = eps};
    assert(dim >= 1);
    s.parts = t0_exec_parts(exec, n_rows, GRAIN / dim + 1);
    t0_exec_run(exec, forward_rows, &s, s.parts);
}

static void backward_rows(void *context, size_t index, size_t worker) {
    (void)worker;
    const norm *s = context;
    const t0_range rows = t0_range_of(s->n_rows, s->parts, index);
    for (size_t n = rows.begin; n < rows.end; n++) {
        const float *x = s->x + n * s->dim, *dy = s->dy + n * s->dim;
        const float r = s->r[n], c = r * r * r * s->kernels->dot3(dy, s->g, x, s->dim) / (float)s->dim;
        s->kernels->norm_backward(s->dx + n * s->dim, dy, x, s->g, r, c, s->dim);
    }
}

static void backward_columns(void *context, size_t index, size_t worker) {
    (void)worker;
    const norm *s = context;
    const t0_range columns = t0_range_of(s->dim, s->parts, index);
    for (size_t n = 0; n < s->n_rows; n++) {
        const float r = s->r[n];
        const float *x = s->x + n * s->dim, *dy = s->dy + n * s->dim;
        for (size_t d = columns.begin; d < columns.end; d++) s->dg[d] += dy[d] * x[d] * r;
    }
}

void t0_rmsnorm_backward(t0_exec *exec, float *dx, float *dg, const float *dy, const float *x, const float *r, const float *g,
                         size_t n_rows, size_t dim) {
    norm s =
        {.kernels = t0_exec_kernels(exec), .r = (float *)r, .dx = dx, .dg = dg, .dy = dy, .x = x, .g = g, .n_rows = n_rows, .dim = dim};
    assert(dim >= 1);
    s.parts = n_rows * dim < GRAIN ? 1 : t0_exec_parts(exec, dim, 16);
    if (dg) t0_exec_run(exec, backward_columns, &s, s.parts);
    s.parts = t0_exec_parts(exec, n_rows, GRAIN / dim + 1);
    t0_exec_run(exec, backward_rows, &s, s.parts);
}
