/* Training: the forward pass of the two stacks on ragged rows. Everything that a backward pass needs is kept, or, to save memory,
 * only what goes into each block, from which the rest is computed again. Inference has a pass of its own, infer.h.
 * Only csrc/t5 includes this.
 *
 *     t0_stack_forward forward;
 *     t0_stack_plan(&forward, &pass, &shape);                     nothing is computed
 *     t0_stack_carve(&forward, &at);                              for sizes, then for places: see workspace.h
 *     t0_encoder_forward(&forward, states, ids, err);
 *
 * A decoder also needs its cross-attention keys and values, [decoder layers][source rows][2I]:
 *
 *     t0_cross_forward(&pass, cross_kv, states, n_source_rows, 0);   once a source
 *     t0_decoder_forward(&forward, out, ids, cross_kv, err);      as often as wanted
 *     t0_head_forward(&pass, logits, out, n_rows, 0);
 *
 * Pass, shape and what they point to are borrowed and must outlive the forward pass. The only failure is T0_EINTERRUPT, asked
 * for between sub-layers. Rows of a sequence depend on that sequence alone. */
#ifndef T0_T5_FORWARD_H
#define T0_T5_FORWARD_H

#include "nn/layers.h"
#include "t5/adapter.h"
#include "t5/model.h"
#include "t5/workspace.h"

#include <stdatomic.h>

/* ---- a pass ------------------------------------------------------------------------------------------------------ */

/* What all passes of a training step share. */
typedef struct t0_pass {
    const t0_model *model;
    t0_exec *exec;       /* NULL where sizes alone are asked for */
    size_t n_threads;    /* of the exec */
    float dropout;       /* 0 but in training */
    bool broadcast;      /* of dropout, along sequences */
    uint64_t seed;       /* of this step's masks */
    bool fresh;          /* in training: products overwrite gradients of weights, and add nothing to them */
    atomic_size_t *final_from; /* NULL, or where the backward pass tells from which offset on gradients are final: it goes through the
                                * table from its end */
    bool recompute;      /* blocks share their buffers, but for self_x; the backward pass fills them again */
    /* What is trained beside a frozen model, which may be packed; NULL: the model is, and the rest says nothing (frozen.h). */
    const t0_adapter *adapter;
    float adapter_dropout;
    t0_dtype rows_dtype; /* of packed products */
    struct {
        float *low, *dlow, *x; /* [rows, rank] twice, [rows, widest] */
        float *rows, *panels;  /* of packed products, forwards and back */
    } scratch;
} t0_pass;

typedef struct t0_stack_shape {
    bool decoder;
    size_t n_sequences;
    const int64_t *offsets;        /* [n_sequences + 1], from 0 */
    const int64_t *source_offsets; /* [n_sequences + 1], decoder only: sequence b attends to source b */
} t0_stack_shape;

/* What one block leaves behind, N rows. x: the residual stream before the sub-layer; r: 1 / RMS of x. */
typedef struct t0_block_buffers {
    float *self_x, *self_r;             /* [N,D], [N] */
    float *qkv, *self_p, *self_o;       /* [N,3I], attention weights, [N,I] */
    float *cross_x, *cross_r;
    float *cross_q, *cross_p, *cross_o; /* [N,I], attention weights, [N,I] */
    float *ffn_x, *ffn_r;
    float *h;                           /* [N,2F or F] */
} t0_block_buffers;

typedef struct t0_stack_forward {
    const t0_pass *pass;
    const t0_stack_shape *shape;
    const t0_stack *stack;
    size_t n_rows;
    size_t self_p_size, cross_p_size;        /* floats of the attention weights of one block */
    size_t input_size, block_size;           /* floats of one block's self_x and of its other buffers */
    float *inputs;                           /* [n_blocks][input_size] */
    float *blocks;                           /* [n_blocks, or 1 when recomputing][block_size] */
    float *y, *a;                            /* [N,D], [N,F]: of the last t0_stack_norm and t0_stack_activation */
    float *bias;                             /* [H, bias_width] */
    size_t bias_width, bias_center;
    float *x, *final_r;                      /* [N,D] before the final norm, [N] */
    float *dropped;                          /* [N,D], only with dropout */
    /* Numbers of this pass's first row and attention weights in the whole step's, for dropout masks; 0 from the plan. */
    uint64_t first_row, first_self_p, first_cross_p;
} t0_stack_forward;

void t0_stack_plan(t0_stack_forward *forward, const t0_pass *pass, const t0_stack_shape *shape);
void t0_stack_carve(t0_stack_forward *forward, t0_carver *at);
t0_block_buffers t0_stack_block(const t0_stack_forward *forward, size_t block);
/* Sees to it that the block's buffers hold what its forward pass left there, to the bit. From the last block to the first; cross_kv:
 * of this block. */
t0_status t0_stack_recall(const t0_stack_forward *forward, const float *cross_kv, size_t block, t0_error *err);

/* What is cheap is not kept, but computed again on the way back: forward->y = normed x, forward->a = the activation of h after dropout. */
void t0_stack_norm(const t0_stack_forward *forward, float *r, const float *x, size_t gain);
void t0_stack_activation(const t0_stack_forward *forward, const float *h, size_t block);

/* Attention of one block; q, k, v, o and p are given to the layer beside it. */
t0_attention t0_stack_self_attention(const t0_stack_forward *forward, size_t block);
t0_attention t0_stack_cross_attention(const t0_stack_forward *forward, size_t block);

/* Places with dropout, in the order of a pass. */
typedef enum t0_dropout_place {
    T0_DROP_EMBEDDING,
    T0_DROP_SELF_P,
    T0_DROP_SELF,
    T0_DROP_CROSS_P,
    T0_DROP_CROSS,
    T0_DROP_INNER,
    T0_DROP_FFN,
    T0_DROP_FINAL
} t0_dropout_place;
/* y = dropped x, [n_rows, columns]; the same call forward and backward. y may be x. */
void t0_stack_dropout(const t0_stack_forward *forward, float *y, const float *x, size_t columns, size_t block, t0_dropout_place place);

/* out [N,D]: states after the final norm. ids [N] checked by the caller. */
t0_status t0_encoder_forward(t0_stack_forward *forward, float *out, const int32_t *ids, t0_error *err);
/* cross_kv [decoder layers][n_rows][2I] from encoder states [n_rows, D], the first of which has this number in the step. */
void t0_cross_forward(const t0_pass *pass, float *cross_kv, const float *states, size_t n_rows, uint64_t first_row);
/* out [N,D]: what the head multiplies (after the final norm, and times D^-0.5 where the configuration says scaled). */
t0_status t0_decoder_forward(t0_stack_forward *forward, float *out, const int32_t *ids, const float *cross_kv, t0_error *err);
/* logits [n_rows, V]; first_row: the number of their first in the step. */
void t0_head_forward(const t0_pass *pass, float *logits, const float *states, size_t n_rows, uint64_t first_row);

#endif
