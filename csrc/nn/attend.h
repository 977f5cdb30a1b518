/* Attention of inference over ragged rows (the equations stand in nn/layers.h): no weights are kept, keys may lie anywhere.
 *
 * Sequence b's queries are rows queries[b] of q and o. Its keys are rows keys[b] of k and v or, with key_rows, the rows that
 * entries keys[b] of that list name: a row store from which decoders pick their history. Causal: a sequence's last query
 * stands at its last key. Results of a query depend on its keys alone, not on the other queries of the call. */
#ifndef T0_NN_ATTEND_H
#define T0_NN_ATTEND_H

#include "nn/exec.h"

typedef struct t0_attend {
    size_t n_sequences, n_heads, head_dim;
    const t0_range *queries, *keys; /* [n_sequences] */
    const int64_t *key_rows;        /* or NULL */
    const float *q, *k, *v;         /* head h of a row of q at column h * head_dim, of k and v at h * kv_head */
    float *o;
    size_t q_stride, kv_stride, kv_head, o_stride;
    bool causal;
    const float *bias; /* [H][bias_width], distance j - i at column bias_center + j - i; NULL: none */
    size_t bias_width, bias_center;
    bool bfloat16; /* products of bfloat16s where the kernel set has them; sums and softmax in float32 all the same */
    bool single;   /* each sequence has one query: keys are read once and never packed (sums in another order) */
    bool panels;   /* single, with keys that lie packed: keys[b] begin at a multiple of the set's nr, and k holds, for each nr of them,
                    * a panel [K][nr] where their rows would stand */
} t0_attend;

size_t t0_attend_scratch(size_t n_threads, size_t head_dim, size_t most_keys); /* floats; SIZE_MAX on overflow */
void t0_attend_forward(t0_exec *exec, const t0_attend *s, float *scratch, size_t most_keys);

#endif
