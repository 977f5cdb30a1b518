/* Passes over a vector, see the header.
 *
 *     norm^2 = sum over 64 equal runs, in order, of the kernels' sum of the run's squares        one run below 8,192 elements
 *     chain    piece by piece, so that all its sums but the outermost stay within the first cache */
#include "nn/vectors.h"

#include "nn/gemm.h"
#include "nn/packed.h"

#include <assert.h>

enum { PARTS = 64, GRAIN = 8192, PIECE = 4096, POLL_PIECES = 64 };
_Static_assert((int)PIECE <= (int)T0_WORKER_SCRATCH, "a worker's scratch holds a piece");

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

typedef struct chaining {
    t0_exec *exec;
    const t0_chain *chain;
    size_t parts;
} chaining;

static void round_all(float *x, size_t n) {
    for (size_t i = 0; i < n; i++) x[i] = t0_from_bfloat16(t0_to_bfloat16(x[i]));
}

/* Elements at .. at + n - 1; sum: room for them. */
static void sum_piece(const t0_kernels *kernels, float *sum, const t0_chain *s, size_t at, size_t n) {
    float *out = s->x[0] + at;
    if (s->n_parts > 1) {
        memcpy(sum, s->x[s->n_parts - 1] + at, n * sizeof *sum);
        if (s->rounded) round_all(sum, n);
        for (size_t i = s->n_parts - 2; i > 0; i--) {
            kernels->axpy(sum, 1.0f, s->x[i] + at, n);
            if (s->rounded) round_all(sum, n);
        }
        kernels->axpy(out, 1.0f, sum, n);
    }
    if (s->rounded && !s->root) round_all(out, n);
}

static void sum_range_of_chain(void *context, size_t index, size_t worker) {
    const chaining *c = context;
    const t0_range part = t0_range_of(c->chain->n, c->parts, index);
    for (size_t at = part.begin, i = 0; at < part.end; at += PIECE, i++) {
        if (i % POLL_PIECES == 0 && t0_exec_stops(c->exec, worker)) return;
        sum_piece(t0_exec_kernels(c->exec), t0_exec_scratch(c->exec, worker), c->chain, at, t0_size_min(part.end - at, PIECE));
    }
}

void t0_chain_sum(t0_exec *exec, const t0_chain *s) {
    assert(s->n_parts >= 1);
    chaining c = {exec, s, t0_exec_parts(exec, s->n, GRAIN)};
    t0_exec_run(exec, sum_range_of_chain, &c, c.parts);
}
