/* Configuration and tensors of a T5 (Raffel et al. 2020; v1.1 as T0 uses it), and the weights themselves.
 *
 * One table (name, rows, columns, offset) drives allocation, loading, saving, gradients, optimiser states and tests.
 * Names are the hub's. Order: shared; encoder blocks (q k v o bias norm, then wi wo norm), final norm; decoder the same
 * with cross-attention between; lm_head. The bias stands in block 0 of a stack, or, as umT5 has it, in every block. Of an encoder alone
 * there are shared and the encoder.
 *
 * A flat model holds all tensors end to end as floats, so that q|k|v, cross k|v and wi_0|wi_1 are one matrix each: the form
 * that training changes. A packed model is for inference alone: matrices in panels of a number type (nn/packed.h), norms and
 * bias tables as floats, all in one block, which may be a file's:
 *
 *     floats | shared | encoder block 0: qkv o wi wo | ... | decoder block 0: qkv o cross_q cross_kv cross_o wi wo | ... | lm_head
 *
 * each matrix on a multiple of 64 bytes. shared is a table of rows (bfloat16 where the model is int8); tied to a head, it is the
 * head's panels instead. */
#ifndef T0_T5_MODEL_H
#define T0_T5_MODEL_H

#include "base/memory.h"
#include "base/status.h"
#include "nn/exec.h"
#include "nn/packed.h"

/* Dimensions: B examples, N tokens, S source, T target, C choices, D model, H heads, K head size, I = H K, F feed-forward,
 * V vocabulary, L layers. */
typedef struct t0_config {
    int32_t vocab_size, d_model, d_kv, d_ff;
    int32_t n_layers, n_decoder_layers, n_heads;
    int32_t n_buckets, max_distance;
    float norm_epsilon, dropout;
    t0_activation activation; /* of the feed-forward: gelu_new, gated, in v1.1; relu in v1.0 */
    bool gated;
    bool tied;   /* head = shared */
    bool scaled; /* the head's input by D^-0.5, as T5 1.0 has it, whose head is tied */
    bool bias_every_layer; /* a bias table a layer, as umT5 has it; else block 0's serves its stack */
    bool encoder_only;     /* neither decoder nor head: their keys say nothing */
    int32_t pad_id, eos_id, decoder_start_id;
} t0_config;

static inline size_t t0_config_inner(const t0_config *c) { return (size_t)c->n_heads * (size_t)c->d_kv; } /* I */
/* Columns of wi. */
static inline size_t t0_config_hidden(const t0_config *c) { return (size_t)c->d_ff * (c->gated ? 2 : 1); }
/* Whether block l of a stack has a bias table of its own. */
static inline bool t0_config_has_bias(const t0_config *c, size_t l) { return l == 0 || c->bias_every_layer; }

/* A whole number (int32_t) of a configuration: the hub's name of it, where it lies, and its limits (limits.c). An id must be below
 * vocab_size too. */
typedef struct t0_config_number {
    const char *name;
    size_t offset; /* in t0_config */
    int32_t least, most;
    bool is_id;
    const char *note; /* behind the limits in a refusal */
} t0_config_number;
const t0_config_number *t0_config_number_at(size_t i); /* NULL behind the last */

/* Ranges, and that sizes cannot overflow; T0_EVALUE tells all that is wrong. dtype: of products; with fewer bits than float32 rows must
 * be shorter. */
t0_status t0_config_check(const t0_config *config, t0_dtype dtype, t0_error *err);

typedef struct t0_tensor {
    char name[96];
    size_t rows, columns; /* rows 1 and is_vector for norms */
    bool is_vector;
    size_t first;         /* weights before it in the table: numbers its random first values */
    size_t offset;        /* in floats, into the weights block; SIZE_MAX in a packed matrix */
    size_t matrix;        /* number of the packed matrix, or SIZE_MAX */
    t0_packed_place place; /* its rows there */
} t0_tensor;

/* Where the tensors of a block are: offsets into the floats, of a packed model's matrices their numbers; SIZE_MAX where there is
 * none. */
typedef struct t0_block {
    size_t self_norm, self_qkv, self_o;      /* [D], [3I,D], [D,I] */
    size_t bias_table;                       /* [buckets,H]: its own, or block 0's */
    size_t cross_norm, cross_q, cross_kv, cross_o; /* decoder: [D], [I,D], [2I,D], [D,I] */
    size_t ffn_norm, wi, wo;                 /* [D], [2F or F, D], [D,F] */
} t0_block;

typedef struct t0_stack {
    size_t n_blocks;
    t0_block *blocks;
    size_t final_norm; /* [D] */
} t0_stack;

typedef struct t0_model {
    t0_config config;
    size_t n_tensors, n_weights; /* n_weights: of all tensors */
    t0_tensor *tensors;
    t0_stack encoder, decoder;
    size_t shared, head; /* [V,D] each; head == shared when tied; SIZE_MAX where there is none */
    bool packed;
    t0_dtype dtype;      /* of products: float32 where flat */
    size_t n_floats;     /* of `weights`: n_weights where flat */
    float *weights;      /* T0_ALIGN-aligned, the beginning of the block */
    size_t n_matrices;
    t0_packed *matrices;
    size_t n_bytes;      /* of the block */
    uint8_t *block;      /* owned, or borrowed and then only read */
    bool borrowed;
} t0_model;

t0_status t0_model_new(t0_model **out, const t0_config *config, t0_error *err); /* flat, weights cleared */
/* Packed. memory: a block that was filled by a model of the same configuration and type, T0_ALIGN-aligned, of n_bytes bytes,
 * which must be right; it is borrowed. NULL: a cleared block of its own. */
t0_status t0_model_new_packed(t0_model **out, const t0_config *config, t0_dtype dtype, const uint8_t *memory, size_t n_bytes,
                              t0_error *err);
/* The tables of such a model alone: there is no memory for weights, which are NULL. For sizes: n_bytes, t0_trainer_plan. */
t0_status t0_model_outline(t0_model **out, const t0_config *config, bool packed, t0_dtype dtype, t0_error *err);
/* Bytes of the weights of such a model. */
t0_status t0_model_bytes(size_t *out, const t0_config *config, bool packed, t0_dtype dtype, t0_error *err);
/* Rows first_row .. first_row + n - 1 of a tensor from numbers of another type; returns the first element that is not finite,
 * counted from src, or SIZE_MAX. */
size_t t0_model_put(t0_model *model, const t0_tensor *tensor, size_t first_row, size_t n, const void *src, t0_dtype from);
void t0_model_get(float *row, const t0_model *model, const t0_tensor *tensor, size_t r); /* one row as floats */
void t0_model_free(t0_model *model);
/* Floats of the cross-attention keys and values of all layers, [decoder layers][n_rows][2I]; SIZE_MAX on overflow. */
size_t t0_cross_size(const t0_model *model, size_t n_rows);
const t0_tensor *t0_model_find(const t0_model *model, const char *name);        /* NULL if there is none */

typedef enum t0_init {
    T0_INIT_T5,      /* shared 1; q (D K)^-0.5; k, v, wi D^-0.5; o I^-0.5; wo F^-0.5; bias D^-0.5; head D^-0.5; norms 1 */
    T0_INIT_MATCHING /* the same, but half of the encoder's heads match like with like, the rest look to neighbours (see init.c) */
} t0_init;

/* T0_INIT_MATCHING is for flat models. `poll` may stop it (T0_EINTERRUPT), with the weights half filled; only a packed model can
 * lack memory, for a few rows. */
t0_status t0_model_init(t0_model *model, t0_exec *exec, t0_init how, uint64_t seed, const t0_poll *poll, t0_error *err);

/* T0_EVALUE for a model without a decoder. */
t0_status t0_model_check_decoder(const t0_model *model, t0_error *err);
/* The first tensor of a flat model with a NaN or infinity, or NULL. */
const t0_tensor *t0_model_find_nonfinite(const t0_model *model);

#endif
