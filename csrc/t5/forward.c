/* The forward pass of training through both stacks (Raffel et al. 2020; T5 1.1 where gated): pre-norm, no biases, no absolute positions.
 *
 *     x0 = drop(shared[ids])
 *     x += drop(Wo drop-attention(Wqkv norm(x)))            self; the bias table of block 0 serves all blocks
 *     x += drop(Wo drop-attention(Wq norm(x), cross_kv))    decoder only; no bias
 *     x += drop(wo drop(gelu(wi_0 norm(x)) * wi_1 norm(x))) or, not gated, drop(wo drop(max(0, wi norm(x))))
 *     out = drop(norm(x)), in a decoder with a tied head times D^-0.5
 *
 * q|k|v, cross k|v and wi_0|wi_1 are one product each. Inference has a pass of its own, infer.c. */
#include "t5/forward.h"

#include "nn/vectors.h"

#include <math.h>
#include <string.h>

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* From this size on a workspace is pages of its own, large ones where the system has them. */
enum { MAPPED_FLOATS = 1 << 21 };

t0_status t0_workspace_reserve(t0_workspace *workspace, size_t n_floats, t0_error *err) {
    if (n_floats <= workspace->capacity) return T0_OK;
    if (n_floats > SIZE_MAX / 2 / sizeof(float)) return t0_fail_memory(err, SIZE_MAX);
    const size_t size = n_floats * sizeof(float);
    float *data = n_floats < MAPPED_FLOATS ? t0_alloc(size) : t0_map_zero(size);
    if (!data) return t0_fail_memory(err, size);
    t0_workspace_free(workspace);
    workspace->data = data;
    workspace->capacity = n_floats;
    return T0_OK;
}

void t0_workspace_free(t0_workspace *workspace) {
    if (workspace->capacity < MAPPED_FLOATS)
        t0_free(workspace->data);
    else
        t0_unmap(workspace->data, workspace->capacity * sizeof(float));
    *workspace = (t0_workspace){0};
}

float *t0_carve(t0_carver *carver, size_t rows, size_t columns) {
    const size_t unit = T0_ALIGN / sizeof(float);
    float *piece = carver->base ? carver->base + carver->used : NULL;
    size_t size, end;
    if (!t0_size_mul(rows, columns, &size) || size > SIZE_MAX - unit || !t0_size_add(carver->used, (size + unit - 1) / unit * unit, &end)) {
        carver->used = SIZE_MAX;
        return NULL;
    }
    carver->used = end;
    return piece;
}

/* ---- plan -------------------------------------------------------------------------------------------------------- */

/* Buffers of one block but for self_x, cut from `at`. */
static t0_block_buffers carve_block(const t0_stack_run *run, t0_carver *at) {
    const t0_config *c = &run->pass->model->config;
    const size_t n = run->n_rows, d = (size_t)c->d_model, inner = t0_config_inner(c);
    t0_block_buffers b = {0};
    b.self_r = t0_carve(at, n, 1);
    b.qkv = t0_carve(at, n, 3 * inner);
    b.self_p = t0_carve(at, run->self_p_size, 1);
    b.self_o = t0_carve(at, n, inner);
    if (run->shape->decoder) {
        b.cross_x = t0_carve(at, n, d);
        b.cross_r = t0_carve(at, n, 1);
            b.cross_q = t0_carve(at, n, inner);
        b.cross_p = t0_carve(at, run->cross_p_size, 1);
        b.cross_o = t0_carve(at, n, inner);
    }
    b.ffn_x = t0_carve(at, n, d);
    b.ffn_r = t0_carve(at, n, 1);
    b.h = t0_carve(at, n, t0_config_hidden(c));
    return b;
}

t0_block_buffers t0_stack_block(const t0_stack_run *run, size_t block) {
    t0_carver at = {.base = run->blocks + (run->pass->recompute ? 0 : block * run->block_size)};
    t0_block_buffers b = carve_block(run, &at);
    b.self_x = run->inputs + block * run->input_size;
    return b;
}

/* Everything of a run behind `at`; with a NULL base only counts. */
static void carve_run(t0_stack_run *run, t0_carver *at) {
    const t0_config *c = &run->pass->model->config;
    const size_t d = (size_t)c->d_model;
    run->x = t0_carve(at, run->n_rows, d);
    run->final_r = t0_carve(at, run->n_rows, 1);
    run->dropped = run->pass->dropout > 0.0f ? t0_carve(at, run->n_rows, d) : NULL;
    run->y = t0_carve(at, run->n_rows, d);
    run->a = t0_carve(at, run->n_rows, (size_t)c->d_ff);
    run->bias = t0_carve(at, (size_t)c->n_heads, run->bias_width);
    run->inputs = t0_carve(at, run->stack->n_blocks, run->input_size);
    run->blocks = t0_carve(at, run->pass->recompute ? 1 : run->stack->n_blocks, run->block_size);
}

static size_t longest_sequence(const t0_stack_shape *s) {
    int64_t most = 1;
    for (size_t b = 0; b < s->n_sequences; b++)
        if (s->offsets[b + 1] - s->offsets[b] > most) most = s->offsets[b + 1] - s->offsets[b];
    return (size_t)most;
}

void t0_stack_plan(t0_stack_run *run, const t0_pass *pass, const t0_stack_shape *shape) {
    const t0_model *model = pass->model;
    *run = (t0_stack_run){.pass = pass, .shape = shape, .stack = shape->decoder ? &model->decoder : &model->encoder};
    run->n_rows = (size_t)shape->offsets[shape->n_sequences];
    const size_t keys = longest_sequence(shape);
    run->bias_center = keys - 1;
    run->bias_width = shape->decoder ? keys : 2 * keys - 1;
    const t0_attention self = t0_stack_self_attention(run, 0);
    run->self_p_size = t0_attention_p_size(&self);
    if (shape->decoder) {
        const t0_attention cross = t0_stack_cross_attention(run, 0);
        run->cross_p_size = t0_attention_p_size(&cross);
    }
    t0_carver input = {0}, block = {0}, all = {0};
    t0_carve(&input, run->n_rows, (size_t)model->config.d_model);
    run->input_size = input.used;
    carve_block(run, &block);
    run->block_size = block.used;
    carve_run(run, &all);
    run->n_floats = all.used;
}

void t0_stack_place(t0_stack_run *run, float *memory) {
    t0_carver at = {.base = memory};
    carve_run(run, &at);
}

/* ---- attention and dropout by place ------------------------------------------------------------------------------ */

static uint64_t dropout_site(const t0_stack_run *run, size_t block, t0_dropout_place place) {
    return (uint64_t)block << 4 | (uint64_t)run->shape->decoder << 3 | (uint64_t)place;
}

void t0_stack_dropout(const t0_stack_run *run, float *y, const float *x, size_t columns, size_t block, t0_dropout_place place) {
    const t0_pass *pass = run->pass;
    const uint64_t site = dropout_site(run, block, place), first = run->first_row * columns;
    if (pass->broadcast)
        t0_dropout_broadcast(pass->exec, y, x, run->shape->offsets, run->shape->n_sequences, columns, pass->dropout, pass->seed, site, first);
    else
        t0_dropout(pass->exec, y, x, run->n_rows * columns, pass->dropout, pass->seed, site, first);
}

static t0_attention attention_of(const t0_stack_run *run, size_t block, t0_dropout_place place) {
    const t0_config *c = &run->pass->model->config;
    const size_t inner = t0_config_inner(c);
    return (t0_attention){
        .n_sequences = run->shape->n_sequences,
        .n_heads = (size_t)c->n_heads,
        .head_dim = (size_t)c->d_kv,
        .query_offsets = run->shape->offsets,
        .o_stride = inner,
        .dropout = run->pass->dropout,
        .broadcast = run->pass->broadcast,
        .seed = run->pass->seed,
        .site = dropout_site(run, block, place),
    };
}

t0_attention t0_stack_self_attention(const t0_stack_run *run, size_t block) {
    const size_t inner = t0_config_inner(&run->pass->model->config);
    t0_attention s = attention_of(run, block, T0_DROP_SELF_P);
    s.key_offsets = run->shape->offsets;
    s.q_stride = s.k_stride = s.v_stride = 3 * inner;
    s.first = run->first_self_p;
    s.causal = run->shape->decoder;
    s.has_bias = true;
    s.bias = run->bias;
    s.bias_width = run->bias_width;
    s.bias_center = run->bias_center;
    return s;
}

t0_attention t0_stack_cross_attention(const t0_stack_run *run, size_t block) {
    const size_t inner = t0_config_inner(&run->pass->model->config);
    t0_attention s = attention_of(run, block, T0_DROP_CROSS_P);
    s.key_offsets = run->shape->source_offsets;
    s.first = run->first_cross_p;
    s.q_stride = inner;
    s.k_stride = s.v_stride = 2 * inner;
    return s;
}

/* ---- sub-layers: each reads x and leaves the next x in `out` ----------------------------------------------------- */

static void norm(const t0_stack_run *run, float *y, float *r, const float *x, size_t gain) {
    const t0_model *model = run->pass->model;
    t0_rmsnorm_forward(run->pass->exec, y, r, x, model->weights + gain, run->n_rows, (size_t)model->config.d_model,
                       model->config.norm_epsilon);
}

void t0_stack_norm(const t0_stack_run *run, float *r, const float *x, size_t gain) { norm(run, run->y, r, x, gain); }

void t0_stack_activation(const t0_stack_run *run, const float *h, size_t block) {
    const t0_config *c = &run->pass->model->config;
    t0_activation_forward(run->pass->exec, run->a, h, run->n_rows, (size_t)c->d_ff, c->gated);
    if (run->pass->dropout > 0.0f) t0_stack_dropout(run, run->a, run->a, (size_t)c->d_ff, block, T0_DROP_INNER);
}

static void linear(const t0_pass *pass, float *y, const float *x, size_t weight, size_t n_rows, size_t in, size_t out, bool add) {
    const t0_linear s = {.n_rows = n_rows, .in = in, .out = out, .x_stride = in, .y_stride = out};
    t0_linear_forward(pass->exec, &s, y, x, pass->model->weights + weight, add);
}

/* out = x + drop(W in); in [N, columns]. */
static void add_residual(const t0_stack_run *run, float *out, const float *x, const float *in, size_t weight, size_t columns,
                         size_t block, t0_dropout_place place) {
    const size_t d = (size_t)run->pass->model->config.d_model, n = run->n_rows * d;
    memcpy(out, x, n * sizeof *out);
    if (run->pass->dropout > 0.0f) {
        linear(run->pass, run->dropped, in, weight, run->n_rows, columns, d, false);
        t0_stack_dropout(run, run->dropped, run->dropped, d, block, place);
        t0_exec_kernels(run->pass->exec)->axpy(out, 1.0f, run->dropped, n);
    } else {
        linear(run->pass, out, in, weight, run->n_rows, columns, d, true);
    }
}

static void self_forward(const t0_stack_run *run, const t0_block_buffers *b, float *out, size_t block) {
    const t0_block *w = &run->stack->blocks[block];
    const size_t d = (size_t)run->pass->model->config.d_model, inner = t0_config_inner(&run->pass->model->config);
    t0_stack_norm(run, b->self_r, b->self_x, w->self_norm);
    linear(run->pass, b->qkv, run->y, w->self_qkv, run->n_rows, d, 3 * inner, false);
    const t0_attention s = t0_stack_self_attention(run, block);
    t0_attention_forward(run->pass->exec, &s, b->self_o, b->self_p, b->qkv, b->qkv + inner, b->qkv + 2 * inner);
    add_residual(run, out, b->self_x, b->self_o, w->self_o, inner, block, T0_DROP_SELF);
}

static void cross_forward(const t0_stack_run *run, const t0_block_buffers *b, float *out, const float *kv, size_t block) {
    const t0_block *w = &run->stack->blocks[block];
    const size_t d = (size_t)run->pass->model->config.d_model, inner = t0_config_inner(&run->pass->model->config);
    t0_stack_norm(run, b->cross_r, b->cross_x, w->cross_norm);
    linear(run->pass, b->cross_q, run->y, w->cross_q, run->n_rows, d, inner, false);
    const t0_attention s = t0_stack_cross_attention(run, block);
    t0_attention_forward(run->pass->exec, &s, b->cross_o, b->cross_p, b->cross_q, kv, kv + inner);
    add_residual(run, out, b->cross_x, b->cross_o, w->cross_o, inner, block, T0_DROP_CROSS);
}

static void ffn_forward(const t0_stack_run *run, const t0_block_buffers *b, float *out, size_t block) {
    const t0_config *c = &run->pass->model->config;
    const t0_block *w = &run->stack->blocks[block];
    t0_stack_norm(run, b->ffn_r, b->ffn_x, w->ffn_norm);
    linear(run->pass, b->h, run->y, w->wi, run->n_rows, (size_t)c->d_model, t0_config_hidden(c), false);
    if (!out) return;
    t0_stack_activation(run, b->h, block);
    add_residual(run, out, b->ffn_x, run->a, w->wo, (size_t)c->d_ff, block, T0_DROP_FFN);
}

/* ---- stacks ------------------------------------------------------------------------------------------------------ */

/* next: for what the block gives, or NULL where that is known already. */
static t0_status block_forward(const t0_stack_run *run, float *next, const float *cross_kv, size_t block, t0_error *err) {
    const t0_block_buffers b = t0_stack_block(run, block);
    T0_TRY(t0_exec_check(run->pass->exec, err));
    self_forward(run, &b, run->shape->decoder ? b.cross_x : b.ffn_x, block);
    T0_TRY(t0_exec_check(run->pass->exec, err));
    if (run->shape->decoder) {
        cross_forward(run, &b, b.ffn_x, cross_kv, block);
        T0_TRY(t0_exec_check(run->pass->exec, err));
    }
    ffn_forward(run, &b, next, block);
    return T0_OK;
}

t0_status t0_stack_recall(const t0_stack_run *run, const float *cross_kv, size_t block, t0_error *err) {
    const bool there = !run->pass->recompute || block + 1 == run->stack->n_blocks;
    return there ? T0_OK : block_forward(run, NULL, cross_kv, block, err);
}

/* Keys and values of one block out of those of all. */
static const float *cross_of(const t0_stack_run *run, const float *cross_kv, size_t block) {
    const t0_stack_shape *shape = run->shape;
    if (!shape->decoder) return NULL;
    return cross_kv + block * (size_t)shape->source_offsets[shape->n_sequences] * 2 * t0_config_inner(&run->pass->model->config);
}

static t0_status stack_forward(t0_stack_run *run, float *out, const int32_t *ids, const float *cross_kv, t0_error *err) {
    const t0_pass *pass = run->pass;
    const t0_model *model = pass->model;
    const t0_config *c = &model->config;
    const size_t d = (size_t)c->d_model;
    t0_bias_forward(run->bias, model->weights + run->stack->bias_table, (size_t)c->n_heads, run->bias_width, run->bias_center,
                    !run->shape->decoder, c->n_buckets, c->max_distance);
    float *x = t0_stack_block(run, 0).self_x;
    t0_embedding_forward(pass->exec, x, model->weights + model->shared, ids, run->n_rows, d);
    if (pass->dropout > 0.0f) t0_stack_dropout(run, x, x, d, 0, T0_DROP_EMBEDDING);
    for (size_t l = 0; l < run->stack->n_blocks; l++) {
        float *next = l + 1 < run->stack->n_blocks ? t0_stack_block(run, l + 1).self_x : run->x;
        T0_TRY(block_forward(run, next, cross_of(run, cross_kv, l), l, err));
    }
    norm(run, out, run->final_r, run->x, run->stack->final_norm);
    if (pass->dropout > 0.0f) t0_stack_dropout(run, out, out, d, run->stack->n_blocks, T0_DROP_FINAL);
    return T0_OK;
}

t0_status t0_encoder_forward(t0_stack_run *run, float *out, const int32_t *ids, t0_error *err) {
    return stack_forward(run, out, ids, NULL, err);
}

size_t t0_cross_size(const t0_model *model, size_t n_rows) {
    size_t size;
    if (!t0_size_mul(n_rows, 2 * t0_config_inner(&model->config), &size) || !t0_size_mul(size, model->decoder.n_blocks, &size)) return SIZE_MAX;
    return size;
}

void t0_cross_forward(const t0_pass *pass, float *cross_kv, const float *states, size_t n_rows) {
    const t0_model *model = pass->model;
    const size_t d = (size_t)model->config.d_model, wide = 2 * t0_config_inner(&model->config);
    for (size_t l = 0; l < model->decoder.n_blocks; l++)
        linear(pass, cross_kv + l * n_rows * wide, states, model->decoder.blocks[l].cross_kv, n_rows, d, wide, false);
}

t0_status t0_decoder_forward(t0_stack_run *run, float *out, const int32_t *ids, const float *cross_kv, t0_error *err) {
    T0_TRY(stack_forward(run, out, ids, cross_kv, err));
    const size_t d = (size_t)run->pass->model->config.d_model;
    if (run->pass->model->config.tied) t0_scale(run->pass->exec, out, run->n_rows * d, 1.0f / sqrtf((float)d));
    return T0_OK;
}

void t0_head_forward(const t0_pass *pass, float *logits, const float *states, size_t n_rows) {
    const t0_config *c = &pass->model->config;
    linear(pass, logits, states, pass->model->head, n_rows, (size_t)c->d_model, (size_t)c->vocab_size, false);
}
