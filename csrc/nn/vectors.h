/* What many need of plain vectors of floats x[n]: are they finite, their mean, norm, sum, a factor.
 *
 * An exec where the work is worth threads; sums are in double and in a fixed order, whatever their number. */
#ifndef T0_NN_VECTORS_H
#define T0_NN_VECTORS_H

#include "nn/exec.h"

#include <string.h>

/* By its bits: an exponent of all ones is a NaN or an infinity. Loops over it compile to vector code, unlike isfinite. */
static inline bool t0_is_finite(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (bits & 0x7f800000u) != 0x7f800000u;
}

static inline bool t0_all_finite(const float *x, size_t n) {
    uint32_t bad = 0;
    for (size_t i = 0; i < n; i++) bad |= !t0_is_finite(x[i]);
    return !bad;
}

/* Index of the first element that is not finite, or n. */
static inline size_t t0_first_not_finite(const float *x, size_t n) {
    if (t0_all_finite(x, n)) return n;
    size_t i = 0;
    while (t0_is_finite(x[i])) i++;
    return i;
}

/* Mean in index order, n at least 1. */
double t0_mean(const float *x, size_t n);
/* Sum of squares; NaN and infinity propagate. */
double t0_norm_squared(t0_exec *exec, const float *x, size_t n);
/* x *= factor */
void t0_scale(t0_exec *exec, float *x, size_t n, float factor);

/* A sum from its end: x[0] = x[0] + (x[1] + ( ... + x[n_parts - 1])), vectors [n] that do not overlap, of which x[0] alone changes.
 * rounded: each sum is the nearest bfloat16 (ties to even; NaN stays), and so is the last part before it is added; but the whole, where
 * it is the root of a tree, stays a float. Watched: unfinished where the exec is stopped. */
typedef struct t0_chain {
    float *const *x; /* [n_parts] */
    size_t n_parts, n;
    bool rounded, root;
} t0_chain;
void t0_chain_sum(t0_exec *exec, const t0_chain *s);

#endif
