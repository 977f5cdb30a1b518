/* Arithmetic of sizes: checked, and rounded up to whole units. */
#ifndef T0_BASE_SIZES_H
#define T0_BASE_SIZES_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False on overflow, and *out is then left alone. */
static inline bool t0_size_mul(size_t a, size_t b, size_t *out) {
    if (b != 0 && a > SIZE_MAX / b) return false;
    *out = a * b;
    return true;
}
static inline bool t0_size_add(size_t a, size_t b, size_t *out) {
    if (a > SIZE_MAX - b) return false;
    *out = a + b;
    return true;
}

static inline size_t t0_size_max(size_t a, size_t b) { return a > b ? a : b; }
static inline size_t t0_size_min(size_t a, size_t b) { return a < b ? a : b; }

/* Units that n takes: n / unit, rounded up. unit > 0, and n at most SIZE_MAX - unit + 1, as of anything that lies in memory. */
static inline size_t t0_size_units(size_t n, size_t unit) {
    assert(unit > 0 && n <= SIZE_MAX - (unit - 1));
    return (n + unit - 1) / unit;
}
/* n rounded up to a whole number of units. */
static inline size_t t0_size_round(size_t n, size_t unit) { return t0_size_units(n, unit) * unit; }

#endif
