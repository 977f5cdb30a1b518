/* Dropout whose masks are a pure function of (seed, site, element): nothing is stored, backward is forward again. */
#include "nn/layers.h"

#include "base/random.h"

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
    s->kernels->dropout(s->y + part.begin, s->x + part.begin, part.end - part.begin, s->rate, s->seed, s->purpose,
                        s->first + part.begin);
}

void t0_dropout(t0_exec *exec, float *y, const float *x, size_t n, float rate, uint64_t seed, uint64_t site, uint64_t first) {
    if (rate <= 0.0f) {
        if (y != x) memcpy(y, x, n * sizeof *y);
        return;
    }
    dropout s = {t0_exec_kernels(exec), y, x, n, t0_exec_parts(exec, n, 8192), rate, seed, T0_RANDOM_DROPOUT + (site << 8), first};
    t0_exec_run(exec, drop_range, &s, s.parts);
}
