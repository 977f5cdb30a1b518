/* Stochastic gradient descent with momentum (Polyak 1964); the rule stands in nn/optimizer.h. */
#include "nn/optimizer.h"

#include <assert.h>

enum { GRAIN = 8192, RUN = 1 << 16 /* between two questions whether to stop */ };

typedef struct sgd {
    t0_exec *exec;
    const t0_sgd *s;
    float *w, *m;
    const float *g;
    size_t n, parts;
} sgd;

static void step_run(const sgd *a, size_t begin, size_t end) {
    const float rate = a->s->learning_rate, momentum = a->s->momentum, decay = a->s->weight_decay;
    for (size_t i = begin; i < end; i++) {
        float step = a->g[i] + decay * a->w[i];
        if (a->m) step = a->m[i] = momentum * a->m[i] + step;
        a->w[i] -= rate * step;
    }
}

static void step_range(void *context, size_t index, size_t worker) {
    const sgd *a = context;
    const t0_range part = t0_range_of(a->n, a->parts, index);
    for (size_t at = part.begin; at < part.end && !t0_exec_stops(a->exec, worker); at += RUN)
        step_run(a, at, part.end - at < RUN ? part.end : at + RUN);
}

size_t t0_sgd_state_size(const t0_sgd *s, size_t n) { return s->momentum > 0.0f ? n : 0; }

void t0_sgd_step(t0_exec *exec, const t0_sgd *s, float *w, float *m, const float *g, size_t n) {
    assert(s->momentum <= 0.0f || m);
    sgd a = {exec, s, w, s->momentum > 0.0f ? m : NULL, g, n, t0_exec_parts(exec, n, GRAIN)};
    t0_exec_run(exec, step_range, &a, a.parts);
}
