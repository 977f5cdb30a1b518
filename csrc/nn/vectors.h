/* What many need of a plain vector of floats x[n]: is it finite, its mean, its norm, a factor.
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

#endif
