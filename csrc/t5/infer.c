/* Inference: the pass of infer.h (equations in forward.c, without dropout). Each sub-layer reads the residual stream x and adds
 * to it in place:
 *
 *     rows = norm(x) in the products' number type;   qkv = rows W;   o = attention;   rows = o;    x += rows Wo
 *     rows = norm(x);   a = f(rows wi_0) * (rows wi_1), in the product's finish;   rows = a;    x += rows wo
 *
 * A flat model goes the same way with its plain matrices (nn/gemm.h), whose sums have the same order: the same bits.
 *
 * Adapters (adapter.h) change rows of their own behind a product that all rows share, from floats that are not rounded:
 *
 *     qkv += s B (A norm(x)),  qkv = l qkv;      o = l o before rows = o;      x += s B (A o) behind x += rows Wo
 *
 * Where one scales what goes into q, k, v or wi, or what comes out of an o or wo, the product of its rows is done apart. Rows of no
 * adapter have the bits that they have without any.
 *
 * Memory: x | rows | the greater of qkv + o and h + a | bias | attention's scratch | for adapters: norm(x), the rest of
 * t0_infer_adapting. */
#include "t5/infer.h"

#include "nn/gemm.h"
#include "nn/layers.h"
#include "nn/vectors.h"
#include "t5/groups.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static size_t dim_of(const t0_model *model) { return (size_t)model->config.d_model; }

/* ---- products with either form of weights --------------------------------------------------------------------------- */

static t0_dtype rows_dtype(const t0_model *model, const t0_exec *exec) { return t0_rows_dtype(t0_exec_kernels(exec), model->dtype); }

static t0_rows rows_at(const t0_model *model, const t0_exec *exec, size_t n, size_t in, float *memory) {
    return t0_rows_at(rows_dtype(model, exec), n, in, memory);
}

/* y[n, out] (+)= rows W^T. weight: how the model finds it. T0_SPLIT of a flat model, whose wi is wi_0 | wi_1, is T0_STORE. */
static void multiply(const t0_model *model, t0_exec *exec, float *y, size_t out, const t0_rows *rows, size_t weight, t0_finish finish) {
    if (model->packed) {
        t0_product(exec, y, out, out, rows, &model->matrices[weight], finish);
        return;
    }
    const t0_operand a = {(const float *)(const void *)rows->data, rows->stride / sizeof(float), 1};
    const t0_operand b = {model->weights + weight, 1, rows->in};
    t0_gemm(exec, y, out, a, b, rows->n, out, rows->in, finish == T0_ADD);
}

static t0_rows rows_of(const t0_rows *rows, t0_range range) {
    t0_rows some = *rows;
    some.n = range.end - range.begin;
    some.data += range.begin * rows->stride;
    if (some.scale) some.scale += range.begin;
    return some;
}

/* rows = x as the products take it. */
static t0_rows take(const t0_infer_pass *pass, const float *x, size_t in) {
    t0_rows rows = rows_at(pass->model, pass->exec, pass->rows.n, in, pass->places.rows);
    t0_rows_fill(pass->exec, &rows, x, in);
    return rows;
}

/* ---- adapters ------------------------------------------------------------------------------------------------------- */

/* What adapters need beside the rows that they change: [n, rank]; and for products apart [n,D], rows of it, [n, widest product]. */
typedef struct adapting {
    float *low, *x, *rows, *y;
} adapting;

static adapting carve_adapting(const t0_model *model, const t0_exec *exec, const t0_adapter_needs *needs, size_t n, t0_carver *at) {
    const t0_config *c = &model->config;
    adapting a = {0};
    if (!needs->any) return a;
    const size_t widest = t0_size_max(dim_of(model), t0_size_max(3 * t0_config_inner(c), t0_config_hidden(c)));
    a.low = t0_carve(at, n, needs->rank);
    if (!needs->apart) return a;
    a.x = t0_carve(at, n, dim_of(model));
    a.rows = t0_carve(at, 1, t0_rows_floats(rows_dtype(model, exec), n, dim_of(model)));
    a.y = t0_carve(at, n, widest);
    return a;
}

static adapting adapting_at(const t0_model *model, const t0_exec *exec, const t0_adapter_needs *needs, size_t n, float *memory) {
    t0_carver at = {.base = memory};
    return carve_adapting(model, exec, needs, n, &at);
}

/* A product of one matrix for several parts side by side, and the floats that went in. */
typedef struct fused {
    const t0_model *model;
    t0_exec *exec;
    const t0_adapted *adapted;
    bool decoder;
    size_t block, weight;
    t0_part first;           /* of n_parts parts of `width` columns each */
    size_t n_parts, width;
    float *y;                /* [n, n_parts width] */
    const float *x;          /* [n, D], x_stride apart */
    size_t x_stride, n;
    t0_finish finish;
} fused;

/* Of one run of rows, the columns of a part whose input the adapter scales: the product again, of scaled rows. */
static void multiply_scaled(const fused *f, const adapting *at, const t0_adapter_run *run, size_t part, size_t factors) {
    const size_t n = run->rows.end - run->rows.begin, d = dim_of(f->model), out = f->n_parts * f->width;
    t0_adapter_scale(f->exec, run->adapter, factors, at->x, d, f->x + run->rows.begin * f->x_stride, f->x_stride, n, d);
    t0_rows rows = rows_at(f->model, f->exec, n, d, at->rows);
    t0_rows_fill(f->exec, &rows, at->x, d);
    multiply(f->model, f->exec, at->y, out, &rows, f->weight, f->finish);
    for (size_t i = 0; i < n; i++)
        memcpy(f->y + (run->rows.begin + i) * out + part * f->width, at->y + i * out + part * f->width, f->width * sizeof(float));
}

/* What adapters change of a fused product that is there. */
static void adapt_fused(const fused *f, float *memory) {
    const t0_adapted *adapted = f->adapted;
    if (!adapted->needs.any) return;
    const adapting at = adapting_at(f->model, f->exec, &adapted->needs, f->n, memory);
    const size_t out = f->n_parts * f->width;
    for (size_t i = 0; i < f->n_parts; i++) {
        const t0_part part = (t0_part)(f->first + i);
        for (size_t r = 0; adapted->needs.apart && r < adapted->n_runs; r++) {
            const t0_adapter_site *site = t0_adapter_at(adapted->runs[r].adapter, f->decoder, f->block, part);
            if (site && site->from != SIZE_MAX) multiply_scaled(f, &at, &adapted->runs[r], i, site->from);
        }
        const t0_range all = {0, f->n};
        float *y = f->y + i * f->width;
        t0_adapted_add(f->exec, adapted, f->decoder, f->block, part, y, out, f->x, f->x_stride, all, at.low);
        t0_adapted_scale(f->exec, adapted, f->decoder, f->block, part, T0_SCALE_OUT, y, out, all);
    }
}

/* ---- places --------------------------------------------------------------------------------------------------------- */

size_t t0_infer_rows_floats(const t0_model *model, const t0_exec *exec, const t0_adapter_needs *needs, size_t n_rows) {
    t0_carver size = {0};
    t0_carve(&size, 1, t0_rows_floats(rows_dtype(model, exec), n_rows, dim_of(model)));
    carve_adapting(model, exec, needs, n_rows, &size);
    return size.used;
}

void t0_infer_carve(t0_infer_pass *pass, t0_carver *at) {
    const t0_config *c = &pass->model->config;
    const size_t n = pass->rows.n, d = dim_of(pass->model), inner = t0_config_inner(c), f = (size_t)c->d_ff;
    const size_t keys = t0_size_max(pass->self.most_keys, 1), widest = t0_size_max(d, t0_size_max(inner, f));
    const size_t most = t0_size_max(keys, pass->cross.most_keys);
    pass->places.bias_center = keys - 1;
    pass->places.bias_width = pass->decoder ? keys : 2 * keys - 1;
    pass->places.x = t0_carve(at, n, d);
    pass->places.rows = t0_carve(at, 1, t0_rows_floats(rows_dtype(pass->model, pass->exec), n, widest));
    t0_carver attention = *at, feed_forward = *at;
    pass->places.qkv = t0_carve(&attention, n, 3 * inner);
    pass->places.o = t0_carve(&attention, n, inner);
    pass->places.a = t0_carve(&feed_forward, n, f);
    const t0_adapter_needs *needs = &pass->adapted.needs;
    pass->places.h = pass->model->packed && !needs->any ? NULL : t0_carve(&feed_forward, n, t0_config_hidden(c));
    at->used = t0_size_max(attention.used, feed_forward.used);
    pass->places.bias = t0_carve(at, (size_t)c->n_heads, pass->places.bias_width);
    pass->places.scratch = t0_carve(at, 1, t0_attend_scratch(t0_exec_threads(pass->exec), (size_t)c->d_kv, most));
    if (!needs->any) return;
    pass->places.normed = t0_carve(at, n, d);
    t0_carver adapters = {0};
    carve_adapting(pass->model, pass->exec, needs, n, &adapters);
    pass->places.adapting = t0_carve(at, 1, adapters.used);
}

/* ---- sub-layers ----------------------------------------------------------------------------------------------------- */

static const char *stack_name(const t0_infer_pass *pass) { return pass->decoder ? "decoder" : "encoder"; }

static t0_status not_finite(const t0_infer_pass *pass, size_t block, const char *layer, t0_error *err) {
    return t0_fail(err, T0_ENUMERIC, "%s, block %zu, %s: its result is not finite; the model's weights or activations are not",
                   stack_name(pass), block, layer);
}

/* rows = norm(x), for adapters in floats too; false where x is not finite. */
static bool norm(const t0_infer_pass *pass, t0_rows *rows, size_t gain) {
    const float *g = pass->model->weights + gain, eps = pass->model->config.norm_epsilon;
    const size_t d = dim_of(pass->model);
    *rows = rows_at(pass->model, pass->exec, pass->rows.n, d, pass->places.rows);
    if (pass->adapted.needs.any) {
        t0_rows floats = {.dtype = T0_FLOAT32, .n = pass->rows.n, .in = d, .stride = d * sizeof(float)};
        floats.data = (uint8_t *)(void *)pass->places.normed;
        t0_rows_norm(pass->exec, &floats, pass->places.x, g, eps);
    }
    return t0_rows_norm(pass->exec, rows, pass->places.x, g, eps);
}

/* What adapters change of a product of norm(x). */
static void adapt_normed(const t0_infer_pass *pass, float *y, size_t block, size_t weight, t0_part first, size_t n_parts, size_t width) {
    if (!pass->adapted.needs.any) return;
    const fused f = {.model = pass->model,
                     .exec = pass->exec,
                     .adapted = &pass->adapted,
                     .decoder = pass->decoder,
                     .block = block,
                     .weight = weight,
                     .first = first,
                     .n_parts = n_parts,
                     .width = width,
                     .y = y,
                     .x = pass->places.normed,
                     .x_stride = dim_of(pass->model),
                     .n = pass->rows.n,
                     .finish = n_parts == 2 ? T0_SPLIT : T0_STORE};
    adapt_fused(&f, pass->places.adapting);
}

/* x += rows W^T, l times that for the rows whose adapter scales what comes out. */
static void add_scaled(const t0_infer_pass *pass, const t0_rows *rows, size_t weight, size_t block, t0_part part) {
    const size_t d = dim_of(pass->model);
    const adapting at = adapting_at(pass->model, pass->exec, &pass->adapted.needs, pass->rows.n, pass->places.adapting);
    size_t done = 0;
    for (size_t i = 0; i < pass->adapted.n_runs; i++) {
        const t0_adapter_run *run = &pass->adapted.runs[i];
        const t0_adapter_site *site = t0_adapter_at(run->adapter, pass->decoder, block, part);
        if (!site || site->to == SIZE_MAX) continue;
        const t0_rows before = rows_of(rows, (t0_range){done, run->rows.begin}), own = rows_of(rows, run->rows);
        multiply(pass->model, pass->exec, pass->places.x + done * d, d, &before, weight, T0_ADD);
        multiply(pass->model, pass->exec, at.y, d, &own, weight, T0_STORE);
        t0_adapter_scale(pass->exec, run->adapter, site->to, at.y, d, at.y, d, own.n, d);
        t0_exec_kernels(pass->exec)->axpy(pass->places.x + run->rows.begin * d, 1.0f, at.y, own.n * d);
        done = run->rows.end;
    }
    const t0_rows rest = rows_of(rows, (t0_range){done, pass->rows.n});
    multiply(pass->model, pass->exec, pass->places.x + done * d, d, &rest, weight, T0_ADD);
}

/* x += u W^T, u [n, in]; u is scaled in place where an adapter says so. */
static void add_to_residual(const t0_infer_pass *pass, float *u, size_t in, size_t weight, size_t block, t0_part part) {
    const size_t d = dim_of(pass->model);
    const t0_adapted *adapted = &pass->adapted;
    const t0_range all = {0, pass->rows.n};
    if (adapted->needs.any) t0_adapted_scale(pass->exec, adapted, pass->decoder, block, part, T0_SCALE_IN, u, in, all);
    const t0_rows rows = take(pass, u, in);
    if (adapted->needs.apart) add_scaled(pass, &rows, weight, block, part);
    else multiply(pass->model, pass->exec, pass->places.x, d, &rows, weight, T0_ADD);
    if (adapted->needs.any)
        t0_adapted_add(pass->exec, adapted, pass->decoder, block, part, pass->places.x, d, u, in, all,
                       adapting_at(pass->model, pass->exec, &adapted->needs, pass->rows.n, pass->places.adapting).low);
}

static t0_attend attention(const t0_infer_pass *pass, const float *q, size_t q_stride) {
    const t0_config *c = &pass->model->config;
    return (t0_attend){
        .n_heads = (size_t)c->n_heads,
        .head_dim = (size_t)c->d_kv,
        .q = q,
        .q_stride = q_stride,
        .o = pass->places.o,
        .o_stride = t0_config_inner(c),
        .kv_head = (size_t)c->d_kv,
        .bfloat16 = pass->model->dtype != T0_FLOAT32,
        .single = pass->single,
    };
}

/* New keys and values to their rows of the store. */
static void store_keys(const t0_infer_pass *pass, size_t block) {
    const size_t inner = t0_config_inner(&pass->model->config), layers = pass->model->decoder.n_blocks;
    for (size_t n = 0; n < pass->rows.n; n++) {
        float *row = pass->self.store + ((size_t)pass->self.write_rows[n] * layers + block) * 2 * inner;
        memcpy(row, pass->places.qkv + (3 * n + 1) * inner, 2 * inner * sizeof *row);
    }
}

/* The distances' biases of a block, for it and those after it that have no table of their own. */
static void place_biases(const t0_infer_pass *pass, const t0_block *w) {
    const t0_config *c = &pass->model->config;
    t0_bias_forward(pass->places.bias, pass->model->weights + w->bias_table, (size_t)c->n_heads, pass->places.bias_width,
                    pass->places.bias_center, !pass->decoder, c->n_buckets, c->max_distance);
}

static void attend_to_self(const t0_infer_pass *pass, size_t block) {
    const size_t inner = t0_config_inner(&pass->model->config);
    t0_attend s = attention(pass, pass->places.qkv, 3 * inner);
    s.n_sequences = pass->rows.n_sequences;
    s.queries = pass->rows.queries;
    s.keys = pass->self.keys ? pass->self.keys : pass->rows.queries;
    s.key_rows = pass->self.key_rows;
    s.k = pass->places.qkv + inner;
    s.kv_stride = 3 * inner;
    if (pass->self.store) {
        store_keys(pass, block);
        s.k = pass->self.store + block * 2 * inner;
        s.kv_stride = pass->model->decoder.n_blocks * 2 * inner;
    }
    s.v = s.k + inner;
    s.causal = pass->decoder;
    s.bias = pass->places.bias;
    s.bias_width = pass->places.bias_width;
    s.bias_center = pass->places.bias_center;
    t0_attend_forward(pass->exec, &s, pass->places.scratch, pass->self.most_keys);
}

static void attend_to_source(const t0_infer_pass *pass, size_t block) {
    const size_t inner = t0_config_inner(&pass->model->config);
    t0_attend s = attention(pass, pass->places.qkv, inner);
    s.n_sequences = pass->cross.n_groups;
    s.queries = pass->cross.queries;
    s.keys = pass->cross.keys;
    s.panels = pass->cross.packed;
    s.k = pass->cross.kv + block * pass->cross.n_source_rows * (s.panels ? t0_infer_packed_row(pass->model, pass->exec) : 2 * inner);
    s.v = s.k + inner;
    s.kv_stride = 2 * inner;
    t0_attend_forward(pass->exec, &s, pass->places.scratch, pass->cross.most_keys);
}

/* Whether an adapter does something at a block's wi. */
static bool adapts_wi(const t0_infer_pass *pass, size_t block) {
    bool adapts = false;
    for (size_t i = 0; i < pass->adapted.n_runs; i++)
        for (t0_part part = T0_WI_0; part <= T0_WI_1; part++)
            adapts |= t0_adapter_at(pass->adapted.runs[i].adapter, pass->decoder, block, part) != NULL;
    return adapts;
}

static void feed_forward(const t0_infer_pass *pass, const t0_rows *rows, const t0_block *w, size_t block) {
    const t0_config *c = &pass->model->config;
    const size_t f = (size_t)c->d_ff;
    if (pass->model->packed && !adapts_wi(pass, block)) {
        t0_product_activated(pass->exec, pass->places.a, f, f, rows, &pass->model->matrices[w->wi], c->activation, c->gated);
    } else {
        multiply(pass->model, pass->exec, pass->places.h, t0_config_hidden(c), rows, w->wi, c->gated ? T0_SPLIT : T0_STORE);
        adapt_normed(pass, pass->places.h, block, w->wi, T0_WI_0, c->gated ? 2 : 1, f);
        t0_activation_forward(pass->exec, pass->places.a, pass->places.h, pass->rows.n, f, c->activation, c->gated);
    }
    add_to_residual(pass, pass->places.a, f, w->wo, block, T0_WO);
}

/* ---- stacks --------------------------------------------------------------------------------------------------------- */

static t0_status block_forward(const t0_infer_pass *pass, const t0_block *w, size_t block, t0_error *err) {
    const t0_model *model = pass->model;
    const size_t inner = t0_config_inner(&model->config);
    t0_rows rows;
    T0_TRY(t0_exec_check(pass->exec, err));
    if (!norm(pass, &rows, w->self_norm))
        return block == 0 ? t0_fail(err, T0_ENUMERIC, "%s, embedding: a token's vector is not finite", stack_name(pass))
                          : not_finite(pass, block - 1, "feed-forward", err);
    multiply(model, pass->exec, pass->places.qkv, 3 * inner, &rows, w->self_qkv, T0_STORE);
    adapt_normed(pass, pass->places.qkv, block, w->self_qkv, T0_Q, 3, inner);
    if (t0_config_has_bias(&model->config, block)) place_biases(pass, w);
    attend_to_self(pass, block);
    add_to_residual(pass, pass->places.o, inner, w->self_o, block, T0_O);
    T0_TRY(t0_exec_check(pass->exec, err));
    if (pass->decoder) {
        if (!norm(pass, &rows, w->cross_norm)) return not_finite(pass, block, "self-attention", err);
        multiply(model, pass->exec, pass->places.qkv, inner, &rows, w->cross_q, T0_STORE);
        adapt_normed(pass, pass->places.qkv, block, w->cross_q, T0_CROSS_Q, 1, inner);
        attend_to_source(pass, block);
        add_to_residual(pass, pass->places.o, inner, w->cross_o, block, T0_CROSS_O);
        T0_TRY(t0_exec_check(pass->exec, err));
    }
    if (!norm(pass, &rows, w->ffn_norm)) return not_finite(pass, block, pass->decoder ? "cross-attention" : "self-attention", err);
    feed_forward(pass, &rows, w, block);
    return T0_OK;
}

#ifndef NDEBUG
static bool within(t0_range range, size_t n) { return range.begin < range.end && range.end <= n; }

/* What infer.h asks of a pass: ranges that lie where they should, no more keys than scratch was sized for. */
static bool is_consistent(const t0_infer_pass *pass) {
    const t0_range *keys = pass->self.keys ? pass->self.keys : pass->rows.queries;
    bool good = pass->places.x && !pass->self.store == !pass->self.write_rows && (!pass->self.store || pass->self.key_rows);
    for (size_t b = 0; good && b < pass->rows.n_sequences; b++) {
        const size_t n_queries = pass->rows.queries[b].end - pass->rows.queries[b].begin, n_keys = keys[b].end - keys[b].begin;
        good = within(pass->rows.queries[b], pass->rows.n) && n_queries <= n_keys && n_keys <= pass->self.most_keys &&
               (!pass->single || n_queries == 1);
    }
    for (size_t g = 0; good && g < pass->cross.n_groups; g++) {
        const t0_range sources = pass->cross.keys[g];
        good = pass->decoder && within(pass->cross.queries[g], pass->rows.n) && within(sources, pass->cross.n_source_rows) &&
               sources.end - sources.begin <= pass->cross.most_keys;
    }
    return good;
}
#endif

/* Rows of prompts, ids behind the vocabulary, of the rows with adapters. */
static void embed_prompts(const t0_infer_pass *pass, const int32_t *ids) {
    const size_t d = dim_of(pass->model);
    for (size_t i = 0; i < pass->adapted.n_runs; i++) {
        const t0_adapter_run *run = &pass->adapted.runs[i];
        for (size_t n = run->rows.begin; n < run->rows.end; n++) {
            if (ids[n] < pass->model->config.vocab_size) continue;
            const size_t row = (size_t)(ids[n] - pass->model->config.vocab_size);
            assert(row < run->adapter->n_prompts);
            memcpy(pass->places.x + n * d, run->adapter->weights + run->adapter->prompts + row * d, d * sizeof(float));
        }
    }
}

static void embed(const t0_infer_pass *pass, const int32_t *ids) {
    const t0_model *model = pass->model;
    const size_t d = dim_of(model);
    embed_prompts(pass, ids);
    for (size_t n = 0; n < pass->rows.n; n++) {
        float *x = pass->places.x + n * d;
        assert(ids[n] >= 0 && (ids[n] < model->config.vocab_size || pass->adapted.needs.any));
        if (ids[n] >= model->config.vocab_size) continue;
        if (model->packed) t0_packed_get(x, &model->matrices[model->shared], (t0_packed_place){0, 1}, (size_t)ids[n]);
        else memcpy(x, model->weights + model->shared + (size_t)ids[n] * d, d * sizeof *x);
    }
}

t0_status t0_infer_forward(t0_infer_pass *pass, float *out, const int32_t *ids, t0_error *err) {
    const t0_model *model = pass->model;
    const t0_config *c = &model->config;
    const t0_stack *stack = pass->decoder ? &model->decoder : &model->encoder;
    const size_t d = dim_of(model), n = pass->rows.n;
    assert(is_consistent(pass));
    embed(pass, ids);
    for (size_t l = 0; l < stack->n_blocks; l++) T0_TRY(block_forward(pass, &stack->blocks[l], l, err));
    T0_TRY(t0_exec_check(pass->exec, err));
    t0_rows rows = t0_rows_at(T0_FLOAT32, n, d, out);
    rows.stride = d * sizeof *out;
    if (!t0_rows_norm(pass->exec, &rows, pass->places.x, model->weights + stack->final_norm, c->norm_epsilon))
        return not_finite(pass, stack->n_blocks - 1, "feed-forward", err);
    if (!t0_all_finite(out, n * d))
        return t0_fail(err, T0_ENUMERIC, "%s, final norm: its result is not finite; its weights are not", stack_name(pass));
    if (pass->decoder && c->scaled) t0_scale(pass->exec, out, n * d, 1.0f / sqrtf((float)d));
    return T0_OK;
}

t0_infer_states t0_infer_cross_rows(const t0_model *model, t0_exec *exec, const float *states, size_t n_rows, const t0_adapted *adapted,
                                    float *memory) {
    t0_carver at = {.base = memory};
    float *rows = t0_carve(&at, 1, t0_rows_floats(rows_dtype(model, exec), n_rows, dim_of(model)));
    t0_infer_states s = {.x = states, .rows = rows_at(model, exec, n_rows, dim_of(model), rows), .adapted = *adapted};
    s.adapting = memory + at.used;
    t0_rows_fill(exec, &s.rows, states, dim_of(model));
    return s;
}

void t0_infer_cross_layer(const t0_model *model, t0_exec *exec, float *kv, const t0_infer_states *states, size_t layer) {
    const size_t inner = t0_config_inner(&model->config), weight = model->decoder.blocks[layer].cross_kv;
    multiply(model, exec, kv, 2 * inner, &states->rows, weight, T0_STORE);
    if (!states->adapted.needs.any) return;
    const fused f = {.model = model,
                     .exec = exec,
                     .adapted = &states->adapted,
                     .decoder = true,
                     .block = layer,
                     .weight = weight,
                     .first = T0_CROSS_K,
                     .n_parts = 2,
                     .width = inner,
                     .y = kv,
                     .x = states->x,
                     .x_stride = dim_of(model),
                     .n = states->rows.n,
                     .finish = T0_STORE};
    adapt_fused(&f, states->adapting);
}

void t0_infer_cross(const t0_model *model, t0_exec *exec, float *cross_kv, const t0_infer_states *states) {
    const size_t size = states->rows.n * 2 * t0_config_inner(&model->config);
    for (size_t l = 0; l < model->decoder.n_blocks; l++) t0_infer_cross_layer(model, exec, cross_kv + l * size, states, l);
}

size_t t0_infer_packed_row(const t0_model *model, const t0_exec *exec) {
    return (size_t)model->config.n_heads * t0_attend_packed(t0_exec_kernels(exec), (size_t)model->config.d_kv);
}

void t0_infer_pack_cross(const t0_model *model, const t0_exec *exec, float *packed, const float *cross, size_t n_sources,
                         const t0_range *from, const t0_range *to) {
    const t0_kernels *kernels = t0_exec_kernels(exec);
    const size_t d = (size_t)model->config.d_kv, inner = t0_config_inner(&model->config), row = t0_infer_packed_row(model, exec);
    for (size_t s = 0; s < n_sources; s++) {
        const size_t n = from[s].end - from[s].begin, whole = t0_size_round(n, kernels->nr);
        for (size_t h = 0; h < (size_t)model->config.n_heads; h++) {
            const float *k = cross + from[s].begin * 2 * inner + h * d;
            float *head = packed + to[s].begin * row + h * whole * t0_attend_packed(kernels, d);
            t0_attend_pack(kernels, head, k, k + inner, 2 * inner, n, d);
        }
    }
}

/* ---- the head ------------------------------------------------------------------------------------------------------- */

static const char NOT_FINITE[] = "head: a logit is not finite; its weights are not";

/* Of rows `range` of the pass that the states are of, the whole of it or a piece; memory: t0_infer_rows_floats. */
static void head_logits(const t0_model *model, t0_exec *exec, float *logits, const float *states, t0_range range, const t0_adapted *adapted,
                        float *memory) {
    const size_t n = range.end - range.begin, d = dim_of(model), vocab = (size_t)model->config.vocab_size;
    t0_carver at = {.base = memory};
    t0_rows rows = rows_at(model, exec, n, d, t0_carve(&at, 1, t0_rows_floats(rows_dtype(model, exec), n, d)));
    const float *x = states + range.begin * d;
    t0_rows_fill(exec, &rows, x, d);
    multiply(model, exec, logits, vocab, &rows, model->head, T0_STORE);
    if (!adapted->needs.head) return;
    const adapting a = carve_adapting(model, exec, &(t0_adapter_needs){.any = true, .rank = adapted->needs.rank}, n, &at);
    t0_adapted_add(exec, adapted, false, 0, T0_HEAD, logits, vocab, x, d, range, a.low);
    t0_adapted_scale(exec, adapted, false, 0, T0_HEAD, T0_SCALE_OUT, logits, vocab, range);
}

t0_status t0_infer_logits(const t0_model *model, t0_exec *exec, float *logits, const float *states, size_t n_rows,
                          const t0_adapted *adapted, float *memory, t0_error *err) {
    head_logits(model, exec, logits, states, (t0_range){0, n_rows}, adapted, memory);
    T0_TRY(t0_exec_check(exec, err));
    return t0_all_finite(logits, n_rows * (size_t)model->config.vocab_size) ? T0_OK : t0_fail(err, T0_ENUMERIC, NOT_FINITE);
}

/* lse[n] | sums of parts of the vocabulary, [n] where logits are not stored, else [1] | rows of the head | some logits, or none */
typedef struct head_memory {
    float *lse, *parts, *rows, *logits;
} head_memory;

/* A packed head's logits need no place, but where an adapter changes them. */
static bool stores_logits(const t0_model *model, const t0_adapter_needs *needs) { return !model->packed || needs->head; }

static head_memory carve_head(const t0_model *model, const t0_exec *exec, const t0_adapter_needs *needs, size_t n_rows, t0_carver *at) {
    const size_t vocab = (size_t)model->config.vocab_size;
    const bool stores = stores_logits(model, needs);
    head_memory head;
    head.lse = t0_carve(at, n_rows, 1);
    head.parts = t0_carve(at, stores ? 1 : n_rows, t0_likelihood_parts(vocab));
    head.rows = t0_carve(at, 1, t0_infer_rows_floats(model, exec, needs, n_rows));
    head.logits = stores ? t0_carve(at, t0_logit_rows(model, n_rows), vocab) : NULL;
    return head;
}

size_t t0_infer_likelihood_floats(const t0_model *model, const t0_exec *exec, const t0_adapter_needs *needs, size_t n_rows) {
    t0_carver size = {0};
    carve_head(model, exec, needs, n_rows, &size);
    return size.used;
}

static void stored_likelihood(const t0_model *model, t0_exec *exec, const head_memory *at, float *log_p, const float *states, size_t n_rows,
                              const t0_adapted *adapted, const int64_t *label_offsets, const int32_t *labels) {
    const size_t step = t0_logit_rows(model, n_rows), vocab = (size_t)model->config.vocab_size;
    for (size_t first = 0; first < n_rows; first += step) {
        const size_t some = n_rows - first < step ? n_rows - first : step;
        head_logits(model, exec, at->logits, states, (t0_range){first, first + some}, adapted, at->rows);
        for (size_t n = first; n < first + some; n++) {
            const float *z = at->logits + (n - first) * vocab;
            at->lse[n] = t0_row_log_sum_exp(t0_exec_kernels(exec), z, vocab, at->parts);
            for (int64_t i = label_offsets[n]; i < label_offsets[n + 1]; i++) log_p[i] = z[labels[i]];
        }
    }
}

t0_status t0_infer_likelihood(const t0_model *model, t0_exec *exec, float *log_p, const float *states, size_t n_rows,
                              const t0_adapted *adapted, const int64_t *label_offsets, const int32_t *labels, float *memory,
                              t0_error *err) {
    t0_carver carver = {.base = memory};
    const head_memory at = carve_head(model, exec, &adapted->needs, n_rows, &carver);
    if (stores_logits(model, &adapted->needs)) {
        stored_likelihood(model, exec, &at, log_p, states, n_rows, adapted, label_offsets, labels);
    } else {
        t0_rows rows = rows_at(model, exec, n_rows, dim_of(model), at.rows);
        t0_rows_fill(exec, &rows, states, dim_of(model));
        t0_product_likelihood(exec, at.lse, log_p, at.parts, &rows, &model->matrices[model->head], label_offsets, labels);
    }
    T0_TRY(t0_exec_check(exec, err));
    for (size_t n = 0; n < n_rows; n++)
        for (int64_t i = label_offsets[n]; i < label_offsets[n + 1]; i++) {
            log_p[i] -= at.lse[n];
            if (!isfinite(log_p[i])) return t0_fail(err, T0_ENUMERIC, NOT_FINITE);
        }
    return T0_OK;
}
