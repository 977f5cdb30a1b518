/* A pass of one stack over ragged rows for inference: flat or packed weights, nothing kept. Only csrc/t5 includes this.
 *
 *     t0_infer run = {.model = ..., .exec = ..., queries and keys};
 *     size_t floats = t0_infer_place(&run, NULL);                 sizes only
 *     t0_infer_place(&run, memory);                               floats of T0_ALIGN-aligned memory
 *     t0_infer_run(&run, out, ids, err);
 *
 * Sequence b has rows queries[b] of the pass. In an encoder its keys are the same rows. In a decoder they are entries
 * keys[b] of the list key_rows: rows of the pass, or with `store` rows of the store, which then also receives the pass's new
 * keys and values. A sequence's last query stands at its last key. Cross-attention has groups of its own: all rows of one
 * source make one, so that each source's keys are packed once.
 *
 * Failures: T0_EINTERRUPT, and T0_ENUMERIC naming the layer that gave what is not finite. */
#ifndef T0_T5_INFER_H
#define T0_T5_INFER_H

#include "nn/attend.h"
#include "nn/product.h"
#include "t5/forward.h"

typedef struct t0_infer {
    const t0_model *model;
    t0_exec *exec;
    bool decoder, single; /* single: one query a sequence and a group */
    size_t n_rows, n_sequences;
    const t0_range *queries, *keys; /* [n_sequences]; encoder: keys may be NULL */
    const int64_t *key_rows;
    size_t most_keys, most_sources; /* most keys of any sequence, of any cross group */
    float *store;                   /* [rows][layers][2I] k|v, or NULL */
    const int64_t *write_rows;      /* [n_rows] of the store */
    size_t n_cross, n_source_rows;
    const t0_range *cross_queries, *cross_keys; /* [n_cross] */
    const float *cross_kv;          /* [layers][n_source_rows][2I], or as t0_infer_pack_cross leaves it */
    bool cross_packed;

    float *x, *rows, *qkv, *o, *h, *a, *bias, *scratch; /* places */
    size_t bias_width, bias_center;
} t0_infer;

size_t t0_infer_place(t0_infer *run, float *memory);
/* out [n_rows, D]: states after the final norm; of a tied decoder scaled by D^-0.5. */
t0_status t0_infer_run(t0_infer *run, float *out, const int32_t *ids, t0_error *err);

/* What every pass over `n_rows` states needs to multiply them: t0_infer_rows_floats of `memory`. */
size_t t0_infer_rows_floats(const t0_model *model, const t0_exec *exec, size_t n_rows);
/* Encoder states [n_rows, D] as rows for the cross-attention products, and one layer's keys and values of them, [n_rows][2I]. */
t0_rows t0_infer_cross_rows(const t0_model *model, t0_exec *exec, const float *states, size_t n_rows, float *memory);
void t0_infer_cross_layer(const t0_model *model, t0_exec *exec, float *kv, const t0_rows *rows, size_t layer);
/* The two for all layers: cross_kv [decoder layers][n_rows][2I]. */
void t0_infer_cross(const t0_model *model, t0_exec *exec, float *cross_kv, const float *states, size_t n_rows, float *memory);
/* One layer of the same, laid out for decoding token by token (t0_attend_pack): source s's rows from[s] become rows to[s], of
 * t0_infer_packed_row floats each, which begin at multiples of the set's nr. */
size_t t0_infer_packed_row(const t0_model *model, const t0_exec *exec);
void t0_infer_pack_cross(const t0_model *model, const t0_exec *exec, float *packed, const float *cross, size_t n_sources, const t0_range *from,
                         const t0_range *to);
/* logits [n_rows, V]. */
t0_status t0_infer_logits(const t0_model *model, t0_exec *exec, float *logits, const float *states, size_t n_rows, float *memory, t0_error *err);

/* log p of some tokens given the rows before them: log_p[i] = z[n, labels[i]] - log sum exp z[n], for
 * label_offsets[n] <= i < label_offsets[n+1]. memory: t0_infer_likelihood_floats. */
size_t t0_infer_likelihood_floats(const t0_model *model, const t0_exec *exec, size_t n_rows);
t0_status t0_infer_likelihood(const t0_model *model, t0_exec *exec, float *log_p, const float *states, size_t n_rows,
                              const int64_t *label_offsets, const int32_t *labels, float *memory, t0_error *err);

#endif
