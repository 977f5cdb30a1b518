/* Training: the backward pass, t5/forward.c read from its end, the gradient dx of the residual stream running along.
 *
 * A sub-layer x' = x + drop(W u), u = f(norm(x)):
 *     e = drop(dx'),   dW += e^T u,   du = e W,   (f backward) dy,   dx = dx' + (norm backward) dy
 * dx is updated in place. Dropout masks are drawn again, never stored. The encoder's states get their gradient from the
 * keys and values of every decoder block, block by block. A bias table gets its own, by distance, from the blocks
 * that it serves. */
#include "t5/backward.h"

#include "nn/vectors.h"
#include "t5/frozen.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- places ------------------------------------------------------------------------------------------------------ */

void t0_backward_carve(t0_stack_backward *backward, const t0_stack_forward *forward, t0_carver *at) {
    const t0_config *c = &forward->pass->model->config;
    const size_t n = forward->n_rows, d = (size_t)c->d_model, inner = t0_config_inner(c), n_threads = forward->pass->n_threads;
    assert(n_threads >= 1);
    backward->forward = forward;
    backward->dx = t0_carve(at, n, d);
    backward->dy = t0_carve(at, n, d);
    backward->dropped = forward->pass->dropout > 0.0f ? t0_carve(at, n, d) : NULL;
    backward->wide = t0_carve(at, n, t0_size_max(3 * inner, t0_config_hidden(c)));
    backward->narrow = t0_carve(at, n, t0_size_max(inner, (size_t)c->d_ff));
    backward->dbias = t0_carve(at, (size_t)c->n_heads, forward->bias_width);
    const t0_attention self = t0_stack_self_attention(forward, 0);
    size_t scratch = t0_attention_backward_scratch_size(&self, n_threads);
    if (forward->shape->decoder) {
        const t0_attention cross = t0_stack_cross_attention(forward, 0);
        scratch = t0_size_max(scratch, t0_attention_backward_scratch_size(&cross, n_threads));
    }
    backward->scratch = t0_carve(at, scratch, 1);
}

/* ---- sub-layers -------------------------------------------------------------------------------------------------- */

/* y = x W^T backwards: dW (+)= dy^T x and dx (+)= dy W. */
static void linear_backward(const t0_pass *pass, float *gradients, float *dx, const float *dy, const float *x, size_t weight, size_t n_rows,
                            size_t in, size_t out, bool add) {
    const t0_linear s = {.n_rows = n_rows, .in = in, .out = out, .x_stride = in, .y_stride = out};
    if (pass->model->packed) {
        t0_frozen_multiply_back(pass, dx, dy, weight, n_rows, in, out, add, false);
        return;
    }
    if (!pass->adapter) t0_linear_backward_weight(pass->exec, &s, gradients + weight, dy, x, !pass->fresh);
    t0_linear_backward_input(pass->exec, &s, dx, dy, pass->model->weights + weight, add);
}

/* Parts of a fused product: what (IA)3 makes of dy, behind which dx = dy W is computed; then what LoRA adds to dx. */
static void adapt_back(const t0_stack_forward *forward, float *gradients, float *dy, const float *y, size_t block, t0_part first,
                       size_t n_parts, size_t width) {
    for (size_t i = 0; forward->pass->adapter && i < n_parts; i++)
        t0_frozen_adapt_back(forward->pass, gradients, t0_stack_site(forward, block, (t0_part)(first + i)), dy + i * width, n_parts * width,
                             y + i * width, n_parts * width, forward->n_rows);
}

static void lora_back(const t0_stack_forward *forward, float *gradients, float *dx, const float *dy, const float *x, size_t block,
                      t0_part first, size_t n_parts, size_t width) {
    for (size_t i = 0; forward->pass->adapter && i < n_parts; i++)
        t0_frozen_lora_back(forward->pass, gradients, t0_stack_site(forward, block, (t0_part)(first + i)), dx, dy + i * width,
                            n_parts * width, x, forward->n_rows);
}

/* u [N, in] of o or wo, du its gradient: what LoRA adds, then what (IA)3 makes of it. */
static void residual_back(const t0_stack_forward *forward, float *gradients, float *du, const float *e, const float *u, size_t block,
                          t0_part part) {
    const t0_adapted_site at = t0_stack_site(forward, block, part);
    if (!forward->pass->adapter) return;
    t0_frozen_lora_back(forward->pass, gradients, at, du, e, (size_t)forward->pass->model->config.d_model, u, forward->n_rows);
    t0_frozen_scale_in_back(forward->pass, gradients, at, du, u, forward->n_rows);
}

static void norm_backward(const t0_stack_backward *backward, float *gradients, const float *dy, const float *x, const float *r,
                          size_t gain) {
    const t0_pass *pass = backward->forward->pass;
    t0_rmsnorm_backward(pass->exec, backward->dx, pass->adapter ? NULL : gradients + gain, dy, x, r, pass->model->weights + gain,
                        backward->forward->n_rows, (size_t)pass->model->config.d_model);
}

/* The gradient that reaches a sub-layer's last product: dx through its dropout. */
static const float *through_dropout(const t0_stack_backward *backward, size_t block, t0_dropout_place place) {
    const t0_stack_forward *forward = backward->forward;
    if (forward->pass->dropout == 0.0f) return backward->dx;
    t0_stack_dropout(forward, backward->dropped, backward->dx, (size_t)forward->pass->model->config.d_model, block, place);
    return backward->dropped;
}

static void ffn_backward(const t0_stack_backward *backward, float *gradients, const t0_block_buffers *b, size_t block) {
    const t0_stack_forward *forward = backward->forward;
    const t0_pass *pass = forward->pass;
    const t0_config *c = &pass->model->config;
    const t0_block *w = &forward->stack->blocks[block];
    const size_t d = (size_t)c->d_model, f = (size_t)c->d_ff, n = forward->n_rows;
    const float *e = through_dropout(backward, block, T0_DROP_FFN);
    t0_stack_activation(forward, b->h, block);
    linear_backward(pass, gradients, backward->narrow, e, forward->a, w->wo, n, f, d, false);
    residual_back(forward, gradients, backward->narrow, e, forward->a, block, T0_WO);
    if (pass->dropout > 0.0f) t0_stack_dropout(forward, backward->narrow, backward->narrow, f, block, T0_DROP_INNER);
    t0_activation_backward(pass->exec, backward->wide, backward->narrow, b->h, n, f, c->activation, c->gated);
    t0_stack_norm(forward, b->ffn_r, b->ffn_x, w->ffn_norm);
    const size_t parts = c->gated ? 2 : 1;
    adapt_back(forward, gradients, backward->wide, b->h, block, T0_WI_0, parts, f);
    if (pass->model->packed) t0_frozen_multiply_back(pass, backward->dy, backward->wide, w->wi, n, d, t0_config_hidden(c), false, c->gated);
    else linear_backward(pass, gradients, backward->dy, backward->wide, forward->y, w->wi, n, d, t0_config_hidden(c), false);
    lora_back(forward, gradients, backward->dy, backward->wide, forward->y, block, T0_WI_0, parts, f);
    norm_backward(backward, gradients, backward->dy, b->ffn_x, b->ffn_r, w->ffn_norm);
}

static size_t source_rows(const t0_stack_forward *decoder) { return (size_t)decoder->shape->source_offsets[decoder->shape->n_sequences]; }

/* kv: of this block. */
static void cross_backward(const t0_stack_backward *backward, float *gradients, const t0_cross *cross, const t0_block_buffers *b,
                           const float *kv, size_t block) {
    const t0_stack_forward *forward = backward->forward;
    const t0_pass *pass = forward->pass;
    const t0_block *w = &forward->stack->blocks[block];
    const size_t d = (size_t)pass->model->config.d_model, inner = t0_config_inner(&pass->model->config), n = forward->n_rows;
    const float *e = through_dropout(backward, block, T0_DROP_CROSS);
    linear_backward(pass, gradients, backward->narrow, e, b->cross_o, w->cross_o, n, inner, d, false);
    residual_back(forward, gradients, backward->narrow, e, b->cross_o, block, T0_CROSS_O);
    const t0_attention s = t0_stack_cross_attention(forward, block);
    const size_t n_keys = source_rows(forward);
    memset(cross->dkv, 0, n_keys * 2 * inner * sizeof *cross->dkv);
    t0_attention_backward(pass->exec, &s, backward->wide, cross->dkv, cross->dkv + inner, NULL, backward->scratch, backward->narrow,
                          b->cross_p, b->cross_q, kv, kv + inner);
    t0_stack_norm(forward, b->cross_r, b->cross_x, w->cross_norm);
    adapt_back(forward, gradients, backward->wide, b->cross_q, block, T0_CROSS_Q, 1, inner);
    linear_backward(pass, gradients, backward->dy, backward->wide, forward->y, w->cross_q, n, d, inner, false);
    lora_back(forward, gradients, backward->dy, backward->wide, forward->y, block, T0_CROSS_Q, 1, inner);
    norm_backward(backward, gradients, backward->dy, b->cross_x, b->cross_r, w->cross_norm);
    for (t0_part part = T0_CROSS_K; pass->adapter && part <= T0_CROSS_V; part++) {
        const size_t column = part == T0_CROSS_V ? inner : 0;
        t0_frozen_adapt_back(pass, gradients, t0_cross_site(block, part, cross->first_row), cross->dkv + column, 2 * inner, kv + column,
                             2 * inner, n_keys);
    }
    linear_backward(pass, gradients, cross->dstates, cross->dkv, cross->states, w->cross_kv, n_keys, d, 2 * inner,
                    block + 1 < forward->stack->n_blocks);
    for (t0_part part = T0_CROSS_K; pass->adapter && part <= T0_CROSS_V; part++)
        t0_frozen_lora_back(pass, gradients, t0_cross_site(block, part, cross->first_row), cross->dstates,
                            cross->dkv + (part == T0_CROSS_V ? inner : 0), 2 * inner, cross->states, n_keys);
}

/* What has been gathered by distance since the last table that was met, to the table of this block, if it has one. */
static void biases_backward(const t0_stack_backward *backward, float *gradients, size_t block) {
    const t0_stack_forward *forward = backward->forward;
    const t0_config *c = &forward->pass->model->config;
    const size_t n_heads = (size_t)c->n_heads;
    if (forward->pass->adapter || !t0_config_has_bias(c, block)) return;
    t0_bias_backward(gradients + forward->stack->blocks[block].bias_table, backward->dbias, n_heads, forward->bias_width,
                     forward->bias_center, !forward->shape->decoder, c->n_buckets, c->max_distance);
    memset(backward->dbias, 0, n_heads * forward->bias_width * sizeof *backward->dbias);
}

static void self_backward(const t0_stack_backward *backward, float *gradients, const t0_block_buffers *b, size_t block) {
    const t0_stack_forward *forward = backward->forward;
    const t0_pass *pass = forward->pass;
    const t0_block *w = &forward->stack->blocks[block];
    const size_t d = (size_t)pass->model->config.d_model, inner = t0_config_inner(&pass->model->config), n = forward->n_rows;
    const float *e = through_dropout(backward, block, T0_DROP_SELF);
    linear_backward(pass, gradients, backward->narrow, e, b->self_o, w->self_o, n, inner, d, false);
    residual_back(forward, gradients, backward->narrow, e, b->self_o, block, T0_O);
    const t0_attention s = t0_stack_self_attention(forward, block);
    const float *q = b->qkv;
    float *dq = backward->wide;
    memset(dq, 0, n * 3 * inner * sizeof *dq);
    t0_attention_backward(pass->exec, &s, dq, dq + inner, dq + 2 * inner, backward->dbias, backward->scratch, backward->narrow, b->self_p,
                          q, q + inner, q + 2 * inner);
    t0_stack_norm(forward, b->self_r, b->self_x, w->self_norm);
    adapt_back(forward, gradients, dq, b->qkv, block, T0_Q, 3, inner);
    linear_backward(pass, gradients, backward->dy, dq, forward->y, w->self_qkv, n, d, 3 * inner, false);
    lora_back(forward, gradients, backward->dy, dq, forward->y, block, T0_Q, 3, inner);
    norm_backward(backward, gradients, backward->dy, b->self_x, b->self_r, w->self_norm);
}

/* ---- stacks ------------------------------------------------------------------------------------------------------ */

/* cross: of a decoder; NULL in an encoder, here and below. */
static t0_status blocks_backward(const t0_stack_backward *backward, float *gradients, const t0_cross *cross, t0_error *err) {
    const t0_stack_forward *forward = backward->forward;
    const size_t stride = cross ? source_rows(forward) * 2 * t0_config_inner(&forward->pass->model->config) : 0;
    assert(!cross == !forward->shape->decoder);
    for (size_t l = forward->stack->n_blocks; l-- > 0;) {
        const t0_block_buffers b = t0_stack_block(forward, l);
        const float *kv = cross ? cross->kv + l * stride : NULL;
        T0_TRY(t0_stack_recall(forward, kv, l, err));
        T0_TRY(t0_exec_check(forward->pass->exec, err));
        ffn_backward(backward, gradients, &b, l);
        T0_TRY(t0_exec_check(forward->pass->exec, err));
        if (cross) {
            cross_backward(backward, gradients, cross, &b, kv, l);
            T0_TRY(t0_exec_check(forward->pass->exec, err));
        }
        self_backward(backward, gradients, &b, l);
        biases_backward(backward, gradients, l);
        t0_pass_finish(forward->pass, forward->stack->blocks[l].self_qkv); /* its first tensor */
    }
    return T0_OK;
}

static t0_status stack_backward(const t0_stack_backward *backward, float *gradients, const t0_cross *cross, float *dout, const int32_t *ids,
                                t0_error *err) {
    const t0_stack_forward *forward = backward->forward;
    const t0_pass *pass = forward->pass;
    const t0_config *c = &pass->model->config;
    const size_t d = (size_t)c->d_model, n = forward->n_rows, n_heads = (size_t)c->n_heads;
    assert(backward->dx && forward->x); /* both have their places */
    if (pass->dropout > 0.0f) t0_stack_dropout(forward, dout, dout, d, forward->stack->n_blocks, T0_DROP_FINAL);
    memset(backward->dx, 0, n * d * sizeof *backward->dx);
    memset(backward->dbias, 0, n_heads * forward->bias_width * sizeof *backward->dbias);
    norm_backward(backward, gradients, dout, forward->x, forward->final_r, forward->stack->final_norm);
    t0_pass_finish(pass, forward->stack->final_norm);
    T0_TRY(blocks_backward(backward, gradients, cross, err));
    if (pass->dropout > 0.0f) t0_stack_dropout(forward, backward->dx, backward->dx, d, 0, T0_DROP_EMBEDDING);
    if (pass->adapter) t0_frozen_embed_back(pass, gradients, backward->dx, ids, n);
    else t0_embedding_backward(pass->exec, gradients + pass->model->shared, backward->dx, ids, n, d);
    return T0_OK;
}

t0_status t0_encoder_backward(t0_stack_backward *backward, float *gradients, float *dout, const int32_t *ids, t0_error *err) {
    return stack_backward(backward, gradients, NULL, dout, ids, err);
}

t0_status t0_decoder_backward(t0_stack_backward *backward, float *gradients, const t0_cross *cross, float *dout, const int32_t *ids,
                              t0_error *err) {
    const t0_stack_forward *forward = backward->forward;
    const t0_model *model = forward->pass->model;
    const size_t d = (size_t)model->config.d_model;
    if (model->config.scaled) t0_scale(forward->pass->exec, dout, forward->n_rows * d, 1.0f / sqrtf((float)d));
    return stack_backward(backward, gradients, cross, dout, ids, err);
}

t0_status t0_loss_backward(const t0_pass *pass, const t0_loss *loss, double *sum, float *gradients, float *dstates, const float *states,
                           const int32_t *targets, size_t n_rows, t0_error *err) {
    const t0_model *model = pass->model;
    const size_t d = (size_t)model->config.d_model, v = (size_t)model->config.vocab_size;
    assert(loss->chunk_rows >= 1 && loss->logits && loss->log_likelihood);
    t0_pass chunk = *pass;
    for (size_t first = 0; first < n_rows; first += loss->chunk_rows) {
        const size_t n = n_rows - first < loss->chunk_rows ? n_rows - first : loss->chunk_rows;
        T0_TRY(t0_exec_check(pass->exec, err));
        t0_head_forward(pass, loss->logits, states + first * d, n, loss->first_row + first);
        *sum += t0_cross_entropy(pass->exec, loss->logits, loss->log_likelihood, loss->logits, targets + first, n, v, loss->scale,
                                 loss->label_smoothing, loss->z_loss);
        linear_backward(&chunk, gradients, dstates + first * d, loss->logits, states + first * d, model->head, n, d, v, false);
        chunk.fresh = false; /* the head's gradient has the first chunk's part */
        if (pass->adapter)
            t0_frozen_lora_back(pass, gradients, (t0_adapted_site){.part = T0_HEAD, .first_row = loss->first_row + first},
                                dstates + first * d, loss->logits, v, states + first * d, n);
    }
    return T0_OK;
}
