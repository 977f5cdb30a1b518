/* What the tests of layers and of the model share: every kernel set of this machine, an exec on one, equality of bits. */
#ifndef T0_KERNEL_SETS_H
#define T0_KERNEL_SETS_H

#include "check.h"

#include "nn/exec.h"

#include <string.h>

#define FOR_KERNELS(k)                                                                 \
    for (size_t set = 0; t0_kernels_at(set); set++)                                    \
        for (const t0_kernels *k = t0_kernels_at(set); k && t0_kernels_available(k); k = NULL)

static inline t0_exec *make_exec(const t0_kernels *kernels, size_t n_threads) {
    t0_exec *exec = NULL;
    t0_error err;
    CHECK(t0_exec_new(&exec, kernels, n_threads, false, &err) == T0_OK);
    return exec;
}

static inline bool same_bits(const float *x, const float *y, size_t n) { return memcmp(x, y, n * sizeof *x) == 0; }

#endif
