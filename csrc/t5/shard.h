/* Training: one shard of a batch, which is some examples with a set of gradients. Only csrc/t5 includes this. */
#ifndef T0_T5_SHARD_H
#define T0_T5_SHARD_H

#include "t5/backward.h"
#include "t5/t5.h"

/* How many attention weights of the batch lie in front: dropout numbers them through the batch. */
typedef struct t0_mask_position {
    uint64_t encoder_p, decoder_p, cross_p;
} t0_mask_position;

/* The examples that run at once, and everything between their forward and their backward pass. */
typedef struct t0_microbatch {
    size_t n_examples, n_source_rows, n_target_rows;
    const int32_t *source_ids, *targets;      /* in the caller's batch */
    int64_t *source_offsets, *target_offsets; /* [n_examples + 1], from 0 */
    int32_t *decoder_ids;                     /* [n_target_rows]: targets shifted right */
    t0_stack_shape encoder_shape, decoder_shape;
    t0_stack_forward encoder, decoder;
    t0_stack_backward encoder_back, decoder_back;
    t0_loss loss;
    float *states, *cross_kv, *out;           /* [S,D], [layers][S][2I], [T,D] */
    float *dstates, *dkv, *dout;              /* [S,D], [S][2I] of one layer, [T,D] */
} t0_microbatch;

typedef struct t0_shard {
    t0_exec *exec;    /* owned by the trainer */
    float *gradients; /* [n_gradients], owned by the trainer */
    size_t n_gradients;
    t0_workspace sequences, workspace; /* owned: a microbatch's offsets and ids, its floats */

    t0_pass pass;
    t0_loss loss;               /* scale and terms */
    t0_ragged sources, targets; /* the whole batch, borrowed */
    size_t first, end;          /* examples of it */
    size_t microbatch_rows;     /* a microbatch takes examples until it has this many source and target rows */
    t0_mask_position start, stop;
    atomic_size_t *final_from;  /* NULL, or where it is told which gradients are final (t5/forward.h) */
    bool fresh;                 /* whether `gradients` are written anew rather than cleared and added to */
    size_t n_floats;            /* of the largest microbatch */
    t0_microbatch microbatch;

    double loss_sum; /* of the target tokens */
    t0_status status;
    t0_error error;
} t0_shard;

/* Takes examples shard->first .. shard->end - 1 of shard->sources and targets, which with loss, microbatch_rows, start, fresh and final_from are set
 * already; sets n_floats and `stop`. Reads offsets, no ids. `pass` is copied, with the shard's exec. */
t0_status t0_shard_plan(t0_shard *shard, const t0_pass *pass, t0_error *err);
/* Behind the plan: asks for all the memory that running needs. */
t0_status t0_shard_reserve(t0_shard *shard, t0_error *err);
/* Overwrites gradients; sets loss_sum, status and error. */
void t0_shard_run(t0_shard *shard);
void t0_shard_free(t0_shard *shard);

#endif
