/* Training: the backward pass of the two stacks, behind a forward pass, whose activations it reads.
 * Only csrc/t5 includes this. Gradients of weights are added to `gradients` [n_weights], at the model's offsets; of a fresh pass those
 * of the matrices that products read are overwritten instead. */
#ifndef T0_T5_BACKWARD_H
#define T0_T5_BACKWARD_H

#include "t5/forward.h"

typedef struct t0_stack_backward {
    const t0_stack_forward *forward; /* borrowed */
    float *dx, *dy;   /* [N,D]: of the residual stream, of a normed state */
    float *dropped;   /* [N,D], only with dropout */
    float *wide;      /* [N, max(3I, 2F or F)]: of q|k|v, of q, of h */
    float *narrow;    /* [N, max(I, F)]: of o, of a */
    float *dbias;     /* [H, bias_width] */
    float *scratch;   /* of attention */
} t0_stack_backward;

/* Its places; `forward` is planned, and where there is memory has places too. */
void t0_backward_carve(t0_stack_backward *backward, const t0_stack_forward *forward, t0_carver *at);

/* Between the stacks: what decoders read of the encoder, and its gradient. dkv serves one block after the other. */
typedef struct t0_cross {
    const float *kv, *states; /* [decoder layers][source rows][2I], [source rows, D] */
    float *dkv, *dstates;     /* [source rows][2I], [source rows, D]; both overwritten */
    uint64_t first_row;       /* number of the first source row in the step */
} t0_cross;

/* dout [N,D]: gradient of what the forward pass gave; overwritten. ids: as given to the forward pass. */
t0_status t0_encoder_backward(t0_stack_backward *backward, float *gradients, float *dout, const int32_t *ids, t0_error *err);
t0_status t0_decoder_backward(t0_stack_backward *backward, float *gradients, const t0_cross *cross, float *dout, const int32_t *ids,
                              t0_error *err);

/* Gradients at `offset` and behind it are final. */
static inline void t0_pass_finish(const t0_pass *pass, size_t offset) {
    if (pass->final_from) atomic_store_explicit(pass->final_from, offset, memory_order_release);
}

/* Head and loss, `chunk_rows` rows at a time so that logits [chunk_rows, V] are all that is ever stored. */
typedef struct t0_loss {
    float scale; /* of the gradient: 1 / target tokens of the batch */
    float label_smoothing, z_loss;
    size_t chunk_rows;
    uint64_t first_row; /* number of the first row in the step */
    float *logits, *log_likelihood; /* [chunk_rows, V], [chunk_rows] */
} t0_loss;
/* Adds the sum of losses to *sum; dstates [n_rows, D] overwritten; states: out of t0_decoder_forward. */
t0_status t0_loss_backward(const t0_pass *pass, const t0_loss *loss, double *sum, float *gradients, float *dstates, const float *states,
                           const int32_t *targets, size_t n_rows, t0_error *err);

#endif
