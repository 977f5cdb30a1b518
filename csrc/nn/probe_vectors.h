/* Probes of any vector set, over the names of nn/kernel_vectors.h. Each probe_*.c includes this once, below its target pragma
 * and its vectors; everything is static.
 *
 * A probe of its own is a function of `size_t rounds` that defines STEP(i), what chain s##i becomes in a round, and then runs
 * FLOAT_CHAINS or WORD_CHAINS. Chains are named one by one: compilers put arrays of them on the stack. */
#ifndef T0_NN_PROBE_VECTORS_H
#define T0_NN_PROBE_VECTORS_H

#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)

#define FLOAT_BEGIN(i) VECTOR s##i = SPLAT((float)i);
#define FLOAT_ADD(i) sum = ADD(sum, s##i);
#define FLOAT_CHAINS                                      \
    CHAINS(FLOAT_BEGIN)                                   \
    for (size_t r = 0; r < rounds; r++) { CHAINS(STEP) }  \
    VECTOR sum = ZERO;                                    \
    CHAINS(FLOAT_ADD)                                     \
    return sum_lanes(sum);

#define WORD_BEGIN(i) WORDS s##i = WORDS_SPLAT(i);
#define WORD_ADD(i) sum = WORDS_ADD(sum, s##i);
#define WORD_CHAINS                                       \
    CHAINS(WORD_BEGIN)                                    \
    for (size_t r = 0; r < rounds; r++) { CHAINS(STEP) }  \
    WORDS sum = WORDS_ZERO;                               \
    CHAINS(WORD_ADD)                                      \
    return (float)xor_pairs(sum);

static float float32(size_t rounds) {
#define STEP(i) s##i = FMA(s##i, half, half);
    const VECTOR half = SPLAT(0.5f);
    FLOAT_CHAINS
#undef STEP
}

static uint64_t read_bytes(const uint8_t *data, size_t size) {
    WORDS a = WORDS_ZERO, b = a, c = a, d = a;
    for (const uint8_t *at = data, *end = data + size; at < end; at += 4 * sizeof a) {
        a = WORDS_XOR(a, WORDS_LOAD_ALIGNED(at));
        b = WORDS_XOR(b, WORDS_LOAD_ALIGNED(at + sizeof a));
        c = WORDS_XOR(c, WORDS_LOAD_ALIGNED(at + 2 * sizeof a));
        d = WORDS_XOR(d, WORDS_LOAD_ALIGNED(at + 3 * sizeof a));
    }
    return xor_pairs(WORDS_XOR(WORDS_XOR(a, b), WORDS_XOR(c, d)));
}

#endif
