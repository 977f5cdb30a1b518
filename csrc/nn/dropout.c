/* Dropout whose masks are a pure function of (seed, site, element): nothing is stored, backward is forward again.
 *
 *     y[i] = x[i] mask(first + i) / (1 - rate)                           each element its own
 *     y[r,d] = x[r,d] mask(first + offset of r's sequence * D + d) / (1 - rate)     broadcast along the sequence */
#include "nn/layers.h"

#include "base/random.h"

#include <assert.h>
#include <string.h>

typedef struct dropout {
    const t0_kernels *kernels;
    float *y;
    const float *x;
    size_t n, parts;
    float rate;
    uint64_t seed, purpose, first;
} dropout;

static void drop_range(void *context, size_t index, size_t worker) {
    (void)worker;
    const dropout *s = context;
    const t0_range part = t0_range_of(s->n, s->parts, index);
    s->kernels->dropout(s->y + part.begin, s->x + part.begin, part.end - part.begin, s->rate, s->seed, s->purpose, s->first + part.begin);
}

void t0_dropout(t0_exec *exec, float *y, const float *x, size_t n, float rate, uint64_t seed, uint64_t site, uint64_t first) {
    if (rate <= 0.0f) {
        if (y != x) memcpy(y, x, n * sizeof *y);
        return;
    }
    assert(rate < 1.0f);
    dropout s = {t0_exec_kernels(exec), y, x, n, t0_exec_parts(exec, n, 8192), rate, seed, T0_RANDOM_DROPOUT + (site << 8), first};
    t0_exec_run(exec, drop_range, &s, s.parts);
}

typedef struct broadcast {
    const t0_kernels *kernels;
    float *y;
    const float *x;
    const int64_t *offsets;
    size_t n_rows, columns, parts;
    float rate;
    uint64_t seed, purpose, first;
} broadcast;

static void drop_rows(void *context, size_t index, size_t worker) {
    (void)worker;
    const broadcast *s = context;
    const t0_range part = t0_range_of(s->n_rows, s->parts, index);
    size_t b = 0;
    for (size_t r = part.begin; r < part.end; r++) {
        while ((size_t)s->offsets[b + 1] <= r) b++;
        s->kernels->dropout(s->y + r * s->columns, s->x + r * s->columns, s->columns, s->rate, s->seed, s->purpose,
                            s->first + (uint64_t)s->offsets[b] * s->columns);
    }
}

void t0_dropout_broadcast(t0_exec *exec, float *y, const float *x, const int64_t *offsets, size_t n_sequences, size_t columns, float rate,
                          uint64_t seed, uint64_t site, uint64_t first) {
    const size_t n_rows = (size_t)offsets[n_sequences];
    assert(rate >= 0.0f && rate < 1.0f && offsets[0] == 0);
    broadcast s = {
        t0_exec_kernels(exec),           y,    x, offsets, n_rows, columns, t0_exec_parts(exec, n_rows * columns, 8192), rate, seed,
        T0_RANDOM_DROPOUT + (site << 8), first};
    t0_exec_run(exec, drop_rows, &s, s.parts);
}
