/* What one core of this machine can do at most: multiplications with additions in registers, and bytes read.
 *
 * A probe is the innermost instruction of a product with nothing around it. A round is T0_PROBE_CHAINS of them, which depend
 * on nothing but themselves a round before, more than a core can have under way; results are returned so that none is left
 * out. The caller takes the time. Each kernel set points to its table; nothing here allocates or fails. */
#ifndef T0_NN_PROBE_H
#define T0_NN_PROBE_H

#include <stddef.h>
#include <stdint.h>

enum { T0_PROBE_CHAINS = 12 };

/* Runs `rounds` rounds; operations (2 a multiplication with its addition) of a round are beside it. */
typedef struct t0_probe_rate {
    float (*run)(size_t rounds); /* NULL: the set has no such instruction of its own */
    size_t operations;
} t0_probe_rate;

typedef struct t0_probe {
    t0_probe_rate float32, bfloat16, int8;
    /* Reads size bytes in order, size a multiple of 512 at a 64-aligned place; returns a sum of them. */
    uint64_t (*read)(const uint8_t *data, size_t size);
} t0_probe;

#endif
