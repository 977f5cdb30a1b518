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
    bool panels;   /* single, with k as t0_attend_pack leaves it; v, kv_stride and kv_head are not used */
} t0_attend;

/* Keys and values for single queries, in the order in which these read them. n: a sequence's keys; N: n rounded up to the set's
 * nr; keys[b] begin at multiples of nr. Head h of sequence b lies from (keys[b].begin H + h N) t0_attend_packed on:
 *
 *     keys, [N / nr][K][nr] | values, [ceil(K / nr)][N][nr]
 */
static inline size_t t0_attend_packed(const t0_kernels *kernels, size_t head_dim) { /* floats of a key with its value */
    return head_dim + t0_size_round(head_dim, kernels->nr);
}
/* One head of one sequence to where it lies; k and v: rows `stride` apart. */
void t0_attend_pack(const t0_kernels *kernels, float *packed, const float *k, const float *v, size_t stride, size_t n, size_t head_dim);

size_t t0_attend_scratch(size_t n_threads, size_t head_dim, size_t most_keys); /* floats; SIZE_MAX on overflow */
void t0_attend_forward(t0_exec *exec, const t0_attend *s, float *scratch, size_t most_keys);

#endif
