/* Training: the forward pass through both stacks (Raffel et al. 2020; T5 1.1 where gated), pre-norm, no biases, no absolute
 * positions.
 *
 *     x0 = drop(shared[ids])
 *     x += drop(Wo drop-attention(Wqkv norm(x)))            self; the bias table is the block's, or block 0's for all
 *     x += drop(Wo drop-attention(Wq norm(x), cross_kv))    decoder only; no bias
 *     x += drop(wo drop(f(wi_0 norm(x)) * wi_1 norm(x)))    or, not gated, drop(wo drop(f(wi norm(x))))
 *     out = drop(norm(x)), in a decoder with a scaled head times D^-0.5
 *
 * q|k|v, cross k|v and wi_0|wi_1 are one product each. Inference has a pass of its own, infer.c. */
#include "t5/forward.h"

#include "nn/vectors.h"
#include "t5/frozen.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- plan -------------------------------------------------------------------------------------------------------- */

/* Buffers of one block but for self_x, cut from `at`. */
static t0_block_buffers carve_block(const t0_stack_forward *forward, t0_carver *at) {
    const t0_config *c = &forward->pass->model->config;
    const size_t n = forward->n_rows, d = (size_t)c->d_model, inner = t0_config_inner(c);
    t0_block_buffers b = {0};
    b.self_r = t0_carve(at, n, 1);
    b.qkv = t0_carve(at, n, 3 * inner);
    b.self_p = t0_carve(at, forward->self_p_size, 1);
    b.self_o = t0_carve(at, n, inner);
    if (forward->shape->decoder) {
        b.cross_x = t0_carve(at, n, d);
        b.cross_r = t0_carve(at, n, 1);
        b.cross_q = t0_carve(at, n, inner);
        b.cross_p = t0_carve(at, forward->cross_p_size, 1);
        b.cross_o = t0_carve(at, n, inner);
    }
    b.ffn_x = t0_carve(at, n, d);
    b.ffn_r = t0_carve(at, n, 1);
    b.h = t0_carve(at, n, t0_config_hidden(c));
    return b;
}

t0_block_buffers t0_stack_block(const t0_stack_forward *forward, size_t block) {
    assert(block < forward->stack->n_blocks);
    t0_carver at = {.base = forward->blocks + (forward->pass->recompute ? 0 : block * forward->block_size)};
    t0_block_buffers b = carve_block(forward, &at);
    assert(at.used == forward->block_size);
    b.self_x = forward->inputs + block * forward->input_size;
    return b;
}

static size_t longest_sequence(const t0_stack_shape *s) {
    int64_t most = 1;
    for (size_t b = 0; b < s->n_sequences; b++)
        if (s->offsets[b + 1] - s->offsets[b] > most) most = s->offsets[b + 1] - s->offsets[b];
    return (size_t)most;
}

void t0_stack_plan(t0_stack_forward *forward, const t0_pass *pass, const t0_stack_shape *shape) {
    const t0_model *model = pass->model;
    assert((!model->packed || pass->adapter) && shape->offsets[0] == 0 && shape->decoder == (shape->source_offsets != NULL));
    *forward = (t0_stack_forward){.pass = pass, .shape = shape, .stack = shape->decoder ? &model->decoder : &model->encoder};
    forward->n_rows = (size_t)shape->offsets[shape->n_sequences];
    const size_t keys = longest_sequence(shape);
    forward->bias_center = keys - 1;
    forward->bias_width = shape->decoder ? keys : 2 * keys - 1;
    const t0_attention self = t0_stack_self_attention(forward, 0);
    forward->self_p_size = t0_attention_p_size(&self);
    if (shape->decoder) {
        const t0_attention cross = t0_stack_cross_attention(forward, 0);
        forward->cross_p_size = t0_attention_p_size(&cross);
    }
    t0_carver input = {0}, block = {0};
    t0_carve(&input, forward->n_rows, (size_t)model->config.d_model);
    forward->input_size = input.used;
    carve_block(forward, &block);
    forward->block_size = block.used;
}

void t0_stack_carve(t0_stack_forward *forward, t0_carver *at) {
    const t0_config *c = &forward->pass->model->config;
    const size_t d = (size_t)c->d_model;
    forward->x = t0_carve(at, forward->n_rows, d);
    forward->final_r = t0_carve(at, forward->n_rows, 1);
    forward->dropped = forward->pass->dropout > 0.0f ? t0_carve(at, forward->n_rows, d) : NULL;
    forward->y = t0_carve(at, forward->n_rows, d);
    forward->a = t0_carve(at, forward->n_rows, (size_t)c->d_ff);
    forward->bias = t0_carve(at, (size_t)c->n_heads, forward->bias_width);
    forward->inputs = t0_carve(at, forward->stack->n_blocks, forward->input_size);
    forward->blocks = t0_carve(at, forward->pass->recompute ? 1 : forward->stack->n_blocks, forward->block_size);
}

/* ---- attention and dropout by place ------------------------------------------------------------------------------ */

static uint64_t dropout_site(const t0_stack_forward *forward, size_t block, t0_dropout_place place) {
    return (uint64_t)block << 4 | (uint64_t)forward->shape->decoder << 3 | (uint64_t)place;
}

void t0_stack_dropout(const t0_stack_forward *forward, float *y, const float *x, size_t columns, size_t block, t0_dropout_place place) {
    const t0_pass *pass = forward->pass;
    const uint64_t site = dropout_site(forward, block, place), first = forward->first_row * columns;
    if (pass->broadcast)
        t0_dropout_broadcast(pass->exec, y, x, forward->shape->offsets, forward->shape->n_sequences, columns, pass->dropout, pass->seed,
                             site, first);
    else t0_dropout(pass->exec, y, x, forward->n_rows * columns, pass->dropout, pass->seed, site, first);
}

static t0_attention attention_of(const t0_stack_forward *forward, size_t block, t0_dropout_place place) {
    const t0_config *c = &forward->pass->model->config;
    const size_t inner = t0_config_inner(c);
    return (t0_attention){
        .n_sequences = forward->shape->n_sequences,
        .n_heads = (size_t)c->n_heads,
        .head_dim = (size_t)c->d_kv,
        .query_offsets = forward->shape->offsets,
        .o_stride = inner,
        .dropout = forward->pass->dropout,
        .broadcast = forward->pass->broadcast,
        .seed = forward->pass->seed,
        .site = dropout_site(forward, block, place),
    };
}

t0_attention t0_stack_self_attention(const t0_stack_forward *forward, size_t block) {
    const size_t inner = t0_config_inner(&forward->pass->model->config);
    t0_attention s = attention_of(forward, block, T0_DROP_SELF_P);
    s.key_offsets = forward->shape->offsets;
    s.q_stride = s.k_stride = s.v_stride = 3 * inner;
    s.first = forward->first_self_p;
    s.causal = forward->shape->decoder;
    s.has_bias = true;
    s.bias = forward->bias;
    s.bias_width = forward->bias_width;
    s.bias_center = forward->bias_center;
    return s;
}

t0_attention t0_stack_cross_attention(const t0_stack_forward *forward, size_t block) {
    const size_t inner = t0_config_inner(&forward->pass->model->config);
    t0_attention s = attention_of(forward, block, T0_DROP_CROSS_P);
    s.key_offsets = forward->shape->source_offsets;
    s.first = forward->first_cross_p;
    s.q_stride = inner;
    s.k_stride = s.v_stride = 2 * inner;
    return s;
}

/* ---- sub-layers: each reads x and leaves the next x in `out` ----------------------------------------------------- */

static void norm(const t0_stack_forward *forward, float *y, float *r, const float *x, size_t gain) {
    const t0_model *model = forward->pass->model;
    t0_rmsnorm_forward(forward->pass->exec, y, r, x, model->weights + gain, forward->n_rows, (size_t)model->config.d_model,
                       model->config.norm_epsilon);
}

void t0_stack_norm(const t0_stack_forward *forward, float *r, const float *x, size_t gain) { norm(forward, forward->y, r, x, gain); }

void t0_stack_activation(const t0_stack_forward *forward, const float *h, size_t block) {
    const t0_config *c = &forward->pass->model->config;
    t0_activation_forward(forward->pass->exec, forward->a, h, forward->n_rows, (size_t)c->d_ff, c->activation, c->gated);
    if (forward->pass->dropout > 0.0f) t0_stack_dropout(forward, forward->a, forward->a, (size_t)c->d_ff, block, T0_DROP_INNER);
}

static void linear(const t0_pass *pass, float *y, const float *x, size_t weight, size_t n_rows, size_t in, size_t out, bool add) {
    if (pass->model->packed) {
        t0_frozen_multiply(pass, y, x, weight, n_rows, in, out, add, false);
        return;
    }
    const t0_linear s = {.n_rows = n_rows, .in = in, .out = out, .x_stride = in, .y_stride = out};
    t0_linear_forward(pass->exec, &s, y, x, pass->model->weights + weight, add);
}

t0_adapted_site t0_stack_site(const t0_stack_forward *forward, size_t block, t0_part part) {
    return (t0_adapted_site){forward->shape->decoder, block, part, forward->first_row};
}

/* What the adapter changes of n_parts products side by side, each of `width` columns; x [N,D] went in. */
static void adapt(const t0_stack_forward *forward, float *y, const float *x, size_t block, t0_part first, size_t n_parts, size_t width) {
    for (size_t i = 0; forward->pass->adapter && i < n_parts; i++)
        t0_frozen_adapt(forward->pass, t0_stack_site(forward, block, (t0_part)(first + i)), y + i * width, n_parts * width, x,
                        forward->n_rows);
}

/* out = x + drop(W in); in [N, columns]. */
static void add_residual(const t0_stack_forward *forward, float *out, const float *x, const float *unscaled, size_t weight, size_t columns,
                         size_t block, t0_part part, t0_dropout_place place) {
    const size_t d = (size_t)forward->pass->model->config.d_model, n = forward->n_rows * d;
    const t0_adapted_site at = t0_stack_site(forward, block, part);
    const float *in = t0_frozen_scale_in(forward->pass, at, unscaled, forward->n_rows);
    memcpy(out, x, n * sizeof *out);
    if (forward->pass->dropout > 0.0f) {
        linear(forward->pass, forward->dropped, in, weight, forward->n_rows, columns, d, false);
        t0_frozen_adapt(forward->pass, at, forward->dropped, d, in, forward->n_rows);
        t0_stack_dropout(forward, forward->dropped, forward->dropped, d, block, place);
        t0_exec_kernels(forward->pass->exec)->axpy(out, 1.0f, forward->dropped, n);
    } else {
        linear(forward->pass, out, in, weight, forward->n_rows, columns, d, true);
        t0_frozen_adapt(forward->pass, at, out, d, in, forward->n_rows);
    }
}

/* The distances' biases of a block, for it and those after it that have no table of their own. */
static void place_biases(const t0_stack_forward *forward, size_t block) {
    const t0_model *model = forward->pass->model;
    const t0_config *c = &model->config;
    if (!t0_config_has_bias(c, block)) return;
    t0_bias_forward(forward->bias, model->weights + forward->stack->blocks[block].bias_table, (size_t)c->n_heads, forward->bias_width,
                    forward->bias_center, !forward->shape->decoder, c->n_buckets, c->max_distance);
}

static void self_forward(const t0_stack_forward *forward, const t0_block_buffers *b, float *out, size_t block) {
    const t0_block *w = &forward->stack->blocks[block];
    const size_t d = (size_t)forward->pass->model->config.d_model, inner = t0_config_inner(&forward->pass->model->config);
    t0_stack_norm(forward, b->self_r, b->self_x, w->self_norm);
    linear(forward->pass, b->qkv, forward->y, w->self_qkv, forward->n_rows, d, 3 * inner, false);
    adapt(forward, b->qkv, forward->y, block, T0_Q, 3, inner);
    place_biases(forward, block);
    const t0_attention s = t0_stack_self_attention(forward, block);
    t0_attention_forward(forward->pass->exec, &s, b->self_o, b->self_p, b->qkv, b->qkv + inner, b->qkv + 2 * inner);
    add_residual(forward, out, b->self_x, b->self_o, w->self_o, inner, block, T0_O, T0_DROP_SELF);
}

static void cross_forward(const t0_stack_forward *forward, const t0_block_buffers *b, float *out, const float *kv, size_t block) {
    const t0_block *w = &forward->stack->blocks[block];
    const size_t d = (size_t)forward->pass->model->config.d_model, inner = t0_config_inner(&forward->pass->model->config);
    t0_stack_norm(forward, b->cross_r, b->cross_x, w->cross_norm);
    linear(forward->pass, b->cross_q, forward->y, w->cross_q, forward->n_rows, d, inner, false);
    adapt(forward, b->cross_q, forward->y, block, T0_CROSS_Q, 1, inner);
    const t0_attention s = t0_stack_cross_attention(forward, block);
    t0_attention_forward(forward->pass->exec, &s, b->cross_o, b->cross_p, b->cross_q, kv, kv + inner);
    add_residual(forward, out, b->cross_x, b->cross_o, w->cross_o, inner, block, T0_CROSS_O, T0_DROP_CROSS);
}

static void ffn_forward(const t0_stack_forward *forward, const t0_block_buffers *b, float *out, size_t block) {
    const t0_config *c = &forward->pass->model->config;
    const t0_block *w = &forward->stack->blocks[block];
    t0_stack_norm(forward, b->ffn_r, b->ffn_x, w->ffn_norm);
    if (forward->pass->model->packed)
        t0_frozen_multiply(forward->pass, b->h, forward->y, w->wi, forward->n_rows, (size_t)c->d_model, t0_config_hidden(c), false,
                           c->gated);
    else linear(forward->pass, b->h, forward->y, w->wi, forward->n_rows, (size_t)c->d_model, t0_config_hidden(c), false);
    adapt(forward, b->h, forward->y, block, T0_WI_0, c->gated ? 2 : 1, (size_t)c->d_ff);
    if (!out) return;
    t0_stack_activation(forward, b->h, block);
    add_residual(forward, out, b->ffn_x, forward->a, w->wo, (size_t)c->d_ff, block, T0_WO, T0_DROP_FFN);
}

/* ---- stacks ------------------------------------------------------------------------------------------------------ */

/* next: for what the block gives, or NULL where that is known already. */
static t0_status block_forward(const t0_stack_forward *forward, float *next, const float *cross_kv, size_t block, t0_error *err) {
    const t0_block_buffers b = t0_stack_block(forward, block);
    T0_TRY(t0_exec_check(forward->pass->exec, err));
    self_forward(forward, &b, forward->shape->decoder ? b.cross_x : b.ffn_x, block);
    T0_TRY(t0_exec_check(forward->pass->exec, err));
    if (forward->shape->decoder) {
        cross_forward(forward, &b, b.ffn_x, cross_kv, block);
        T0_TRY(t0_exec_check(forward->pass->exec, err));
    }
    ffn_forward(forward, &b, next, block);
    return T0_OK;
}

t0_status t0_stack_recall(const t0_stack_forward *forward, const float *cross_kv, size_t block, t0_error *err) {
    assert(!cross_kv == !forward->shape->decoder);
    const bool there = !forward->pass->recompute || block + 1 == forward->stack->n_blocks;
    return there ? T0_OK : block_forward(forward, NULL, cross_kv, block, err);
}

/* Keys and values of one block out of those of all. */
static const float *cross_of(const t0_stack_forward *forward, const float *cross_kv, size_t block) {
    const t0_stack_shape *shape = forward->shape;
    if (!shape->decoder) return NULL;
    return cross_kv + block * (size_t)shape->source_offsets[shape->n_sequences] * 2 * t0_config_inner(&forward->pass->model->config);
}

static t0_status stack_forward(t0_stack_forward *forward, float *out, const int32_t *ids, const float *cross_kv, t0_error *err) {
    const t0_pass *pass = forward->pass;
    const t0_model *model = pass->model;
    const t0_config *c = &model->config;
    const size_t d = (size_t)c->d_model;
    assert(forward->bias && pass->exec); /* it has its places */
    float *x = t0_stack_block(forward, 0).self_x;
    if (pass->adapter) t0_frozen_embed(pass, x, ids, forward->n_rows);
    else t0_embedding_forward(pass->exec, x, model->weights + model->shared, ids, forward->n_rows, d);
    if (pass->dropout > 0.0f) t0_stack_dropout(forward, x, x, d, 0, T0_DROP_EMBEDDING);
    for (size_t l = 0; l < forward->stack->n_blocks; l++) {
        float *next = l + 1 < forward->stack->n_blocks ? t0_stack_block(forward, l + 1).self_x : forward->x;
        T0_TRY(block_forward(forward, next, cross_of(forward, cross_kv, l), l, err));
    }
    norm(forward, out, forward->final_r, forward->x, forward->stack->final_norm);
    if (pass->dropout > 0.0f) t0_stack_dropout(forward, out, out, d, forward->stack->n_blocks, T0_DROP_FINAL);
    return T0_OK;
}

t0_status t0_encoder_forward(t0_stack_forward *forward, float *out, const int32_t *ids, t0_error *err) {
    return stack_forward(forward, out, ids, NULL, err);
}

t0_adapted_site t0_cross_site(size_t block, t0_part part, uint64_t first_row) { return (t0_adapted_site){true, block, part, first_row}; }

void t0_cross_forward(const t0_pass *pass, float *cross_kv, const float *states, size_t n_rows, uint64_t first_row) {
    const t0_model *model = pass->model;
    const size_t d = (size_t)model->config.d_model, wide = 2 * t0_config_inner(&model->config);
    for (size_t l = 0; l < model->decoder.n_blocks; l++) {
        float *kv = cross_kv + l * n_rows * wide;
        linear(pass, kv, states, model->decoder.blocks[l].cross_kv, n_rows, d, wide, false);
        t0_frozen_adapt(pass, t0_cross_site(l, T0_CROSS_K, first_row), kv, wide, states, n_rows);
        t0_frozen_adapt(pass, t0_cross_site(l, T0_CROSS_V, first_row), kv + wide / 2, wide, states, n_rows);
    }
}

t0_status t0_decoder_forward(t0_stack_forward *forward, float *out, const int32_t *ids, const float *cross_kv, t0_error *err) {
    T0_TRY(stack_forward(forward, out, ids, cross_kv, err));
    const size_t d = (size_t)forward->pass->model->config.d_model;
    if (forward->pass->model->config.scaled) t0_scale(forward->pass->exec, out, forward->n_rows * d, 1.0f / sqrtf((float)d));
    return T0_OK;
}

void t0_head_forward(const t0_pass *pass, float *logits, const float *states, size_t n_rows, uint64_t first_row) {
    const t0_config *c = &pass->model->config;
    linear(pass, logits, states, pass->model->head, n_rows, (size_t)c->d_model, (size_t)c->vocab_size, false);
    t0_frozen_adapt(pass, (t0_adapted_site){.part = T0_HEAD, .first_row = first_row}, logits, (size_t)c->vocab_size, states, n_rows);
}
