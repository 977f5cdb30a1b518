/* Configuration and tensors of a T5 (Raffel et al. 2020; v1.1 as T0 uses it), and the weights themselves.
 *
 * One table (name, rows, columns, offset) drives allocation, loading, saving, gradients, optimiser states and tests.
 * Names are the hub's. Order: shared; encoder blocks (q k v o bias norm, then wi wo norm), final norm; decoder the same
 * with cross-attention between; lm_head. Tensors lie end to end, so q|k|v, cross k|v and wi_0|wi_1 are one matrix each. */
#ifndef T0_T5_MODEL_H
#define T0_T5_MODEL_H

#include "base/memory.h"
#include "base/status.h"

/* Dimensions: B examples, N tokens, S source, T target, C choices, D model, H heads, K head size, I = H K, F feed-forward,
 * V vocabulary, L layers. */
typedef struct t0_config {
    int32_t vocab_size, d_model, d_kv, d_ff;
    int32_t n_layers, n_decoder_layers, n_heads;
    int32_t n_buckets, max_distance;
    float norm_epsilon, dropout;
    bool gated; /* gated-gelu (v1.1) or relu (v1.0) */
    bool tied;  /* head = shared, its input scaled by D^-0.5 */
    int32_t pad_id, eos_id, decoder_start_id;
} t0_config;

static inline size_t t0_config_inner(const t0_config *c) { return (size_t)c->n_heads * (size_t)c->d_kv; } /* I */
static inline size_t t0_config_hidden(const t0_config *c) { return (size_t)c->d_ff * (c->gated ? 2 : 1); } /* columns of wi */

t0_status t0_config_check(const t0_config *config, t0_error *err); /* ranges, and that sizes cannot overflow */

typedef struct t0_tensor {
    char name[96];
    size_t rows, columns; /* rows 1 and is_vector for norms */
    bool is_vector;
    size_t offset;        /* in floats, into the weights block */
} t0_tensor;

/* Offsets of what forward and backward need of a block; SIZE_MAX where it does not exist. */
typedef struct t0_block {
    size_t self_norm, self_qkv, self_o;      /* [D], [3I,D], [D,I] */
    size_t cross_norm, cross_q, cross_kv, cross_o; /* decoder: [D], [I,D], [2I,D], [D,I] */
    size_t ffn_norm, wi, wo;                 /* [D], [2F or F, D], [D,F] */
} t0_block;

typedef struct t0_stack {
    size_t n_blocks;
    t0_block *blocks;
    size_t bias_table, final_norm; /* [buckets,H] of block 0, [D] */
} t0_stack;

typedef struct t0_model {
    t0_config config;
    size_t n_tensors, n_weights; /* n_weights: floats in all */
    t0_tensor *tensors;
    t0_stack encoder, decoder;
    size_t shared, head; /* [V,D] each; head == shared when tied */
    float *weights;      /* [n_weights], owned, T0_ALIGN-aligned */
} t0_model;

t0_status t0_model_new(t0_model **out, const t0_config *config, t0_error *err); /* weights cleared */
void t0_model_free(t0_model *model);
const t0_tensor *t0_model_find(const t0_model *model, const char *name);        /* NULL if there is none */

typedef enum t0_init {
    T0_INIT_T5,      /* shared 1; q (D K)^-0.5; k, v, wi D^-0.5; o I^-0.5; wo F^-0.5; bias D^-0.5; head D^-0.5; norms 1 */
    T0_INIT_MATCHING /* the same, but half of the encoder's heads match like with like, the rest look to neighbours (see init.c) */
} t0_init;

void t0_model_init(t0_model *model, t0_init how, uint64_t seed);

/* Name of the first tensor with a NaN or infinity, or NULL. */
const t0_tensor *t0_model_find_nonfinite(const t0_model *model);

#endif
