/* What the tests of layers and optimisers share: blocks of random numbers. */
#ifndef T0_NN_BLOCKS_H
#define T0_NN_BLOCKS_H

#include "kernel_sets.h"

#include "base/memory.h"
#include "base/random.h"

static uint64_t drawn;

/* n normal numbers in a block of their own; freed by the caller. */
static inline float *draw(size_t n) {
    float *x = t0_alloc((n + 1) * sizeof *x);
    t0_random_normal(x, n, 11, 97, drawn);
    drawn += n;
    return x;
}

static inline float *copy(const float *x, size_t n) {
    float *y = t0_alloc((n + 1) * sizeof *y);
    memcpy(y, x, n * sizeof *y);
    return y;
}

#endif
