/* Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
 *
 *     bits = philox(key = seed, counter = (index, purpose))
 *
 * A pure function: the same (seed, purpose, index) gives the same 128 bits on any machine, thread and order, so nothing
 * needs a generator state and everything can be resumed.
 *
 *     purpose = number below (bits 0-7) | site << 8
 *
 * No two of these uses share a stream: they have numbers of their own, or sites of one number, or, where both are one, ranges of the index
 * or another seed, as told below. All of these stay as they are: others would change every seed's results. */
#ifndef T0_BASE_RANDOM_H
#define T0_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

enum {
    T0_RANDOM_INIT = 1,     /* model initialisation; index = flat parameter number */
    T0_RANDOM_DROPOUT = 2,  /* masks of a training step; site = the place in the model, element e of the step has word e % 4 of
                             * index e / 4. Their seed is drawn from the run's: site 0, index = step */
    T0_RANDOM_MIXTURE = 3,  /* which component; index = example number of the run */
    T0_RANDOM_ROW = 4,      /* site 0: which row of the component; index = example number + (attempt << 40)
                             * site 7: objectives on text; index = (example << 20) + draw
                             * site 8: few-shot examples; index = (row << 20) + draw
                             * site 9: order of BIG-bench's choices; index = (example << 20) + choice
                             * site 10: order of an epoch's rows; index = (epoch << 40) + row */
    T0_RANDOM_TEMPLATE = 5, /* choice/random inside a template; site = number of the draw, index = the caller's, as a row's */
    T0_RANDOM_SAMPLE = 6,   /* sampling of answers; site = input, index = (sequence << 32) + token number */
    T0_RANDOM_BOOTSTRAP = 9 /* resampling in reports; index: rows from 0, prompts from 2^60, swaps from 2^61, splits from 2^62 */
};

typedef struct t0_random4 {
    uint32_t word[4];
} t0_random4;

t0_random4 t0_random(uint64_t seed, uint64_t purpose, uint64_t index);

/* 64 bits at (seed, purpose, index). */
static inline uint64_t t0_random_u64(uint64_t seed, uint64_t purpose, uint64_t index) {
    const t0_random4 r = t0_random(seed, purpose, index);
    return (uint64_t)r.word[1] << 32 | r.word[0];
}

/* out[i] = normal(0, 1) at index first + i, i < n (Box-Muller in double, so that a libm's last bit seldom shows). */
void t0_random_normal(float *out, size_t n, uint64_t seed, uint64_t purpose, uint64_t first);

#endif
