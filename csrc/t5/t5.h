/* What a T5 can do: inference (encode, score, generate) and training (the step, its memory). The face of csrc/t5, with model.h.
 *
 * Ragged batches: ids of all sequences end to end, offsets [B+1] from 0; every sequence has at least one token; ids are
 * checked here against the vocabulary (the error names sequence, position, id). Models are only read; each call brings
 * its own workspace, and memory is asked for before any number is computed. */
#ifndef T0_T5_T5_H
#define T0_T5_T5_H

#include "nn/exec.h"
#include "nn/vectors.h"
#include "t5/adapter.h"
#include "t5/model.h"

typedef struct t0_ragged {
    const int32_t *ids;
    const int64_t *offsets; /* [n + 1] */
    size_t n;
    const t0_adapter *const *adapters; /* [n], NULL where a sequence has none; or NULL. Of sources: their targets have the same */
} t0_ragged;

/* Ids behind the vocabulary are rows of prompts of the sequence's adapter (adapter.h). */
t0_status t0_ragged_check(const t0_ragged *batch, const char *what, int32_t vocab_size, t0_error *err);
/* The same but for ids, which may be NULL. */
t0_status t0_ragged_check_offsets(const t0_ragged *batch, const char *what, t0_error *err);

/* ---- inference --------------------------------------------------------------------------------------------------
 * Encoder states, out [N, D] after the final norm. */
t0_status t0_encode_states(const t0_model *model, t0_exec *exec, float *out, const t0_ragged *sources, const t0_poll *poll, t0_error *err);

/* Logits [sum of target rows, V] of a teacher-forced decoder, whose inputs are given as they are (no shift). */
t0_status t0_logits(const t0_model *model, t0_exec *exec, float *out, const t0_ragged *sources, const t0_ragged *decoder_inputs,
                    const t0_poll *poll, t0_error *err);

/* Log-likelihoods of targets: target t belongs to source source_of[t]. Every source is encoded once, its cross keys and
 * values projected once, and all targets are decoded in one ragged batch (cut by rows inside to bound memory), those of one
 * source sharing the rows of what they begin with. apart: each has rows of its own, for tests: more work, the same bits.
 * token_scores [target tokens] out: log p of each target token; scores [n targets] out: their sums, in double.
 * T0_ENUMERIC if any is not finite. */
t0_status t0_score(const t0_model *model, t0_exec *exec, double *scores, float *token_scores, const t0_ragged *sources,
                   const t0_ragged *targets, const int32_t *source_of, bool apart, const t0_poll *poll, t0_error *err);

/* Greedy generation with cached keys and values. ids_out [B, max_new_tokens], lengths_out [B] (eos included when reached),
 * scores_out [B] sums of log p. Stops a sequence at eos; min_new_tokens forbids eos before. */
typedef struct t0_generation {
    int32_t max_new_tokens, min_new_tokens;
} t0_generation;
t0_status t0_generate(const t0_model *model, t0_exec *exec, int32_t *ids_out, int32_t *lengths_out, double *scores_out,
                      const t0_ragged *sources, const t0_generation *options, const t0_poll *poll, t0_error *err);

/* ---- training ---------------------------------------------------------------------------------------------------
 * A trainer owns gradients, optimiser states and workspaces, and changes its model's weights in place. */
typedef struct t0_trainer t0_trainer;
typedef enum t0_optimizer_kind { T0_ADAFACTOR, T0_ADAMW, T0_SGD } t0_optimizer_kind;

typedef struct t0_trainer_options {
    t0_optimizer_kind optimizer;
    float beta1, beta2, epsilon;               /* AdamW */
    float weight_decay;                        /* AdamW, SGD */
    float momentum;                            /* SGD */
    bool scale_parameter;                      /* Adafactor */
    uint64_t step_offset;                      /* Adafactor's decay counts from here */
    float clip_norm;                           /* global; 0: none */
    float dropout, label_smoothing, z_loss;
    bool bfloat16; /* matrix products of bfloat16s; weights, sums and all else stay float32 */
    uint64_t seed; /* of dropout */
    bool broadcast_dropout; /* one mask along a sequence, as T5X: nn/layers.h */
    bool recompute; /* keep of each block what goes in, and compute the rest again on the way back: less memory, more time, the same bits */
    const t0_adapter
        *adapter; /* borrowed as long as the trainer; NULL, or what is trained in the model's place, whose weights are then only
                                * read, flat or packed. Tensors, gradients and states are the adapter's, and so are those of frozen below.
                                * Sources begin with its prompts, where it has some: ids behind the vocabulary (adapter.h) */
    float adapter_dropout; /* of what goes into LoRA */
    const bool *frozen; /* [n_tensors], copied, or NULL: these keep their bits, and need no optimiser state */
    const bool *elsewhere; /* [n_tensors], copied, or NULL: another process applies these; they have no state here */
    size_t n_shards; /* 0: by the model's size (see trainer.c); 1: wide; 2 to 4: sharded */
} t0_trainer_options;

/* Ranges (limits.c); T0_EVALUE names the first option that is out of its own. */
t0_status t0_trainer_options_check(const t0_trainer_options *options, t0_error *err);

typedef struct t0_step_result {
    double loss; /* mean over target tokens, of this batch */
    double grad_norm; /* before clipping, of the tensors that are not frozen */
    size_t source_tokens, target_tokens;
} t0_step_result;

t0_status t0_trainer_new(t0_trainer **out, t0_model *model, const t0_trainer_options *options, const t0_kernels *kernels, size_t n_threads,
                         t0_error *err); /* borrows the model */
void t0_trainer_free(t0_trainer *trainer);

/* Forward and backward only: trainer gradients = d(mean loss)/dw of this batch. Decoder inputs are the targets shifted
 * right behind decoder_start_id. `step` keys the dropout masks. Weights and optimiser states are
 * untouched whatever it returns. T0_ENUMERIC when the loss or a gradient is not finite. */
t0_status t0_trainer_gradients(t0_trainer *trainer, t0_step_result *result, const t0_ragged *sources, const t0_ragged *targets,
                               uint64_t step, const t0_poll *poll, t0_error *err);
/* The share that examples begin .. end - 1 have in a batch's mean loss and in its gradients; shares of all examples add up to those.
 * out [n_weights]: overwritten; NULL: the trainer's own block. *loss may be infinite or NaN: the sum is what t0_trainer_check_loss
 * judges. Dropout is that of their places in the batch. */
t0_status t0_trainer_share(t0_trainer *trainer, float *out, double *loss, const t0_ragged *sources, const t0_ragged *targets,
                           t0_range examples, uint64_t step, const t0_poll *poll, t0_error *err);
/* A chain of vectors, sums of shares, on the trainer's threads; or aside, on the calling thread alone, while a share runs: one at a time. */
t0_status t0_trainer_sum(t0_trainer *trainer, const t0_chain *chain, bool aside, const t0_poll *poll, t0_error *err);
/* The next share tells, while it runs, from which offset on the gradients in its block are final: n_weights at first, 0 at its end; in
 * between only where one shard does it all. Any thread may ask. */
void t0_trainer_tell_final(t0_trainer *trainer);
size_t t0_trainer_final_from(t0_trainer *trainer);
t0_status t0_trainer_check_loss(const t0_trainer *trainer, double loss, uint64_t step, t0_error *err);
/* norms [n_tensors]: squared norms of the gradients in the trainer's own block; 0 for tensors that are frozen or applied elsewhere. */
t0_status t0_trainer_norms(t0_trainer *trainer, double *norms, const t0_poll *poll, t0_error *err);
/* Clips and applies the gradients in place. norms [n_tensors]: squared, of all tensors; NULL: those that are measured here. Does nothing and returns T0_ENUMERIC when their norm is not finite (the
 * tensor is named). Steps count from 1. poll: NULL, and it runs to its end; or what may end it in the midst with T0_EINTERRUPT:
 * weights, states and gradients are then those of no step. */
t0_status t0_trainer_apply(t0_trainer *trainer, t0_step_result *result, float learning_rate, uint64_t step, const double *norms,
                           const t0_poll *poll, t0_error *err);

/* Bytes that such a trainer of this model, of which nothing but the tables is read (t0_model_outline), holds beside the weights and
 * what its threads need; activations: for this batch, of which offsets alone are read; 0 for an empty one. */
typedef struct t0_training_bytes {
    size_t gradients, states, activations;
    size_t tokens; /* not bytes: source and target tokens that are worked on at once, or those of one longer example */
} t0_training_bytes;
t0_status t0_trainer_plan(t0_training_bytes *out, t0_model *model, const t0_trainer_options *options, size_t n_threads,
                          const t0_ragged *sources, const t0_ragged *targets, t0_error *err);

size_t t0_trainer_workspace_bytes(const t0_trainer *trainer); /* held for activations: as the largest batch so far has needed */
float *t0_trainer_gradient_block(t0_trainer *trainer); /* [n_weights], the model's offsets */
/* Tensors of what is trained, and floats of their gradients: the model's, or its adapter's. */
size_t t0_trainer_tensors(const t0_trainer *trainer, size_t *n_weights);
size_t t0_trainer_state_size(const t0_trainer *trainer, size_t i); /* floats of tensor i's */
float *t0_trainer_state_block(t0_trainer *trainer, size_t *n_floats); /* optimiser states of all tensors, in table order */

#endif
