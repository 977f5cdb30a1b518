/* Inference: a pass of one stack over ragged rows, with flat or packed weights; nothing is kept for a way back. Training has a
 * pass of its own, forward.h. Only csrc/t5 includes this.
 *
 *     t0_infer_pass pass = {.model = ..., .exec = ..., rows, self, in a decoder cross};
 *     t0_infer_carve(&pass, &at);                         for sizes, then for places: see workspace.h
 *     t0_infer_forward(&pass, out, ids, err);
 *
 * Sequence b has rows queries[b] of the pass. In an encoder its keys are the same rows. In a decoder they are entries
 * self.keys[b] of the list key_rows: rows of the pass, or with `store` rows of the store, which then also receives the pass's
 * new keys and values. A sequence's last query stands at its last key. Cross-attention has groups of its own: all rows of one
 * source make one, so that each source's keys are packed once.
 *
 * Failures: T0_EINTERRUPT, and T0_ENUMERIC naming the layer that gave what is not finite. */
#ifndef T0_T5_INFER_H
#define T0_T5_INFER_H

#include "nn/attend.h"
#include "nn/product.h"
#include "t5/adapter.h"
#include "t5/model.h"
#include "t5/workspace.h"

/* The caller fills all but the places; what it points to is borrowed. */
typedef struct t0_infer_pass {
    const t0_model *model;
    t0_exec *exec;
    bool decoder, single; /* single: one query a sequence and a group */
    t0_adapted adapted;   /* rows with adapters; cleared: none */

    struct {
        size_t n, n_sequences;
        const t0_range *queries; /* [n_sequences] */
    } rows;

    struct {
        const t0_range *keys;    /* [n_sequences]; NULL: the queries */
        const int64_t *key_rows; /* [keys of all sequences]; NULL: keys are rows */
        size_t most_keys;        /* of any sequence */
        float *store;            /* [rows][layers][2I] k|v, or NULL */
        const int64_t *write_rows; /* [n] of the store; NULL without one */
    } self;

    struct {                     /* a decoder's alone */
        size_t n_groups, n_source_rows;
        const t0_range *queries, *keys; /* [n_groups] rows of the pass, of the sources */
        size_t most_keys;        /* of any group */
        const float *kv;         /* [layers][n_source_rows][2I], or as t0_infer_pack_cross leaves it */
        bool packed;
    } cross;

    struct {
        float *x, *rows;         /* [n,D], [n, widest] in the products' number type */
        float *qkv, *o;          /* [n,3I], [n,I] */
        float *h, *a;            /* [n,2F or F] of flat models and where there are adapters, [n,F] */
        float *bias;             /* [H, bias_width] */
        float *scratch;          /* of attention */
        float *normed;           /* [n,D] floats for adapters, where the products' number type is another */
        float *adapting;         /* t0_infer_adapting_floats */
        size_t bias_width, bias_center;
    } places;
} t0_infer_pass;

void t0_infer_carve(t0_infer_pass *pass, t0_carver *at);
/* out [n, D]: states after the final norm; a decoder's times D^-0.5 where the configuration says scaled. ids [n]: checked by the caller. */
t0_status t0_infer_forward(t0_infer_pass *pass, float *out, const int32_t *ids, t0_error *err);

/* What every pass over `n_rows` states needs to multiply them: t0_infer_rows_floats of `memory`. */
size_t t0_infer_rows_floats(const t0_model *model, const t0_exec *exec, const t0_adapter_needs *needs, size_t n_rows);

/* Encoder states as they go into the cross-attention products of every layer. */
typedef struct t0_infer_states {
    const float *x; /* [n_rows, D], borrowed */
    t0_rows rows;
    t0_adapted adapted;
    float *adapting;
} t0_infer_states;
t0_infer_states t0_infer_cross_rows(const t0_model *model, t0_exec *exec, const float *states, size_t n_rows, const t0_adapted *adapted,
                                    float *memory);
/* One layer's keys and values of them, [n_rows][2I]; those of all layers, [decoder layers][n_rows][2I]. */
void t0_infer_cross_layer(const t0_model *model, t0_exec *exec, float *kv, const t0_infer_states *states, size_t layer);
void t0_infer_cross(const t0_model *model, t0_exec *exec, float *cross_kv, const t0_infer_states *states);
/* One layer of the same, laid out for decoding token by token (t0_attend_pack): source s's rows from[s] become rows to[s], of
 * t0_infer_packed_row floats each, which begin at multiples of the set's nr. */
size_t t0_infer_packed_row(const t0_model *model, const t0_exec *exec);
void t0_infer_pack_cross(const t0_model *model, const t0_exec *exec, float *packed, const float *cross, size_t n_sources,
                         const t0_range *from, const t0_range *to);
/* logits [n_rows, V]; adapted: the rows of the states. */
t0_status t0_infer_logits(const t0_model *model, t0_exec *exec, float *logits, const float *states, size_t n_rows,
                          const t0_adapted *adapted, float *memory, t0_error *err);

/* log p of some tokens given the rows before them: log_p[i] = z[n, labels[i]] - log sum exp z[n], for
 * label_offsets[n] <= i < label_offsets[n+1]. memory: t0_infer_likelihood_floats. */
size_t t0_infer_likelihood_floats(const t0_model *model, const t0_exec *exec, const t0_adapter_needs *needs, size_t n_rows);
t0_status t0_infer_likelihood(const t0_model *model, t0_exec *exec, float *log_p, const float *states, size_t n_rows,
                              const t0_adapted *adapted, const int64_t *label_offsets, const int32_t *labels, float *memory, t0_error *err);

#endif
