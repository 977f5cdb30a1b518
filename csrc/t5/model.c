/* The tensor table of a T5 and the block of weights that it describes.
 *
 *     shared
 *     encoder block l:  q k v o [bias, l = 0 or each] norm   wi_0 wi_1 (or wi) wo norm            then the final norm
 *     decoder block l:  q k v o [bias, l = 0 or each] norm   q k v o norm (cross)   wi.. wo norm  then the final norm
 *     lm_head, unless tied; of an encoder alone neither decoder nor head
 *
 * The same walk is made twice: first to count tensors and bytes, then to fill the tables. */
#include "t5/model.h"

#include "nn/vectors.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* ---- the walk over all tensors ---------------------------------------------------------------------------------- */

/* tensors, matrices NULL: only counts. `overflow` sticks. */
typedef struct walk {
    const t0_config *config;
    bool packed;
    t0_dtype dtype;
    t0_tensor *tensors;
    t0_packed *matrices;
    size_t n_tensors, n_weights, n_floats, n_matrices;
    size_t matrix_bytes;
    bool overflow;
    char prefix[40]; /* "encoder.block.3.layer.0." */
} walk;

static t0_tensor *next_tensor(walk *at, const char *name, int32_t rows, int32_t columns) {
    static const t0_tensor NOWHERE = {.offset = SIZE_MAX, .matrix = SIZE_MAX};
    t0_tensor *tensor = at->tensors ? &at->tensors[at->n_tensors] : NULL;
    if (tensor) {
        *tensor = NOWHERE;
        snprintf(tensor->name, sizeof tensor->name, "%s%s.weight", at->prefix, name);
        tensor->rows = (size_t)rows;
        tensor->columns = (size_t)columns;
        tensor->first = at->n_weights;
    }
    size_t size;
    if (!t0_size_mul((size_t)rows, (size_t)columns, &size) || !t0_size_add(at->n_weights, size, &at->n_weights)) at->overflow = true;
    at->n_tensors++;
    return tensor;
}

/* A tensor of floats behind the last ones; returns its offset. */
static size_t add_floats(walk *at, const char *name, int32_t rows, int32_t columns, bool is_vector) {
    const size_t offset = at->n_floats;
    t0_tensor *tensor = next_tensor(at, name, rows, columns);
    at->n_floats += (size_t)rows * (size_t)columns; /* where this overflows, so did the number of weights */
    if (tensor) {
        tensor->is_vector = is_vector;
        tensor->offset = offset;
    }
    return offset;
}

/* Begins a matrix of some tensors, which add_rows then names; returns how it is found. */
static size_t open_matrix(walk *at, size_t out, int32_t in, bool is_table) {
    if (!at->packed) return at->n_floats;
    const t0_dtype dtype = is_table && at->dtype == T0_INT8 ? T0_BFLOAT16 : at->dtype;
    const t0_packed matrix = {.dtype = dtype, .is_table = is_table, .out = out, .in = (size_t)in};
    if (at->matrices) at->matrices[at->n_matrices] = matrix;
    at->matrix_bytes += t0_packed_bytes(&matrix);
    return at->n_matrices++;
}

static void add_rows(walk *at, const char *name, int32_t rows, int32_t columns, size_t first, size_t step) {
    if (!at->packed) {
        add_floats(at, name, rows, columns, false);
        return;
    }
    t0_tensor *tensor = next_tensor(at, name, rows, columns);
    if (!tensor) return;
    tensor->matrix = at->n_matrices - 1;
    tensor->place = (t0_packed_place){first, step};
}

static size_t add_matrix(walk *at, const char *name, int32_t rows, int32_t columns, bool is_table) {
    const size_t found = open_matrix(at, (size_t)rows, columns, is_table);
    add_rows(at, name, rows, columns, 0, 1);
    return found;
}

static size_t add_norm(walk *at, const char *name) { return add_floats(at, name, 1, at->config->d_model, true); }

static void enter(walk *at, const char *stack, size_t block, uint8_t layer) {
    snprintf(at->prefix, sizeof at->prefix, "%s.block.%u.layer.%u.", stack, (unsigned)(uint16_t)block, (unsigned)layer);
}

static void walk_self(walk *at, t0_stack *stack, size_t block) {
    const int32_t d = at->config->d_model, inner = at->config->n_heads * at->config->d_kv;
    const size_t rows = (size_t)inner;
    t0_block *to = &stack->blocks[block];
    to->self_qkv = open_matrix(at, 3 * rows, d, false);
    add_rows(at, "SelfAttention.q", inner, d, 0, 1);
    add_rows(at, "SelfAttention.k", inner, d, rows, 1);
    add_rows(at, "SelfAttention.v", inner, d, 2 * rows, 1);
    to->self_o = add_matrix(at, "SelfAttention.o", d, inner, false);
    to->bias_table = stack->blocks[0].bias_table;
    if (t0_config_has_bias(at->config, block))
        to->bias_table = add_floats(at, "SelfAttention.relative_attention_bias", at->config->n_buckets, at->config->n_heads, false);
    to->self_norm = add_norm(at, "layer_norm");
}

static void walk_cross(walk *at, t0_block *to) {
    const int32_t d = at->config->d_model, inner = at->config->n_heads * at->config->d_kv;
    to->cross_q = add_matrix(at, "EncDecAttention.q", inner, d, false);
    to->cross_kv = open_matrix(at, 2 * (size_t)inner, d, false);
    add_rows(at, "EncDecAttention.k", inner, d, 0, 1);
    add_rows(at, "EncDecAttention.v", inner, d, (size_t)inner, 1);
    to->cross_o = add_matrix(at, "EncDecAttention.o", d, inner, false);
    to->cross_norm = add_norm(at, "layer_norm");
}

static void walk_ffn(walk *at, t0_block *to) {
    const int32_t d = at->config->d_model, f = at->config->d_ff;
    const size_t panels = t0_size_units((size_t)f, T0_PANEL);
    to->wi = open_matrix(at, at->config->gated ? 2 * panels * T0_PANEL : (size_t)f, d, false);
    add_rows(at, at->config->gated ? "DenseReluDense.wi_0" : "DenseReluDense.wi", f, d, 0, at->config->gated ? 2 : 1);
    if (at->config->gated) add_rows(at, "DenseReluDense.wi_1", f, d, 1, 2);
    to->wo = add_matrix(at, "DenseReluDense.wo", d, f, false);
    to->ffn_norm = add_norm(at, "layer_norm");
}

static void walk_stack(walk *at, t0_stack *stack, const char *name, bool decoder) {
    for (size_t l = 0; l < stack->n_blocks; l++) {
        t0_block *to = &stack->blocks[l];
        uint8_t layer = 0;
        enter(at, name, l, layer++);
        walk_self(at, stack, l);
        if (decoder) {
            enter(at, name, l, layer++);
            walk_cross(at, to);
        } else {
            to->cross_norm = to->cross_q = to->cross_kv = to->cross_o = SIZE_MAX;
        }
        enter(at, name, l, layer);
        walk_ffn(at, to);
    }
    snprintf(at->prefix, sizeof at->prefix, "%s.", name);
    stack->final_norm = add_norm(at, "final_layer_norm");
}

/* Fills the places of `model`, and its tables when there are any. */
static walk walk_model(t0_model *model) {
    const t0_config *config = &model->config;
    walk at = {.config = config, .packed = model->packed, .dtype = model->dtype, .tensors = model->tensors, .matrices = model->matrices};
    model->shared = add_matrix(&at, "shared", config->vocab_size, config->d_model, !config->tied || config->encoder_only);
    walk_stack(&at, &model->encoder, "encoder", false);
    model->head = SIZE_MAX;
    if (config->encoder_only) return at;
    walk_stack(&at, &model->decoder, "decoder", true);
    at.prefix[0] = 0;
    model->head = config->tied ? model->shared : add_matrix(&at, "lm_head", config->vocab_size, config->d_model, false);
    return at;
}

/* ---- the model -------------------------------------------------------------------------------------------------- */

static bool allocate_blocks(t0_stack *stack, int32_t n_blocks) {
    stack->n_blocks = (size_t)n_blocks;
    stack->blocks = t0_alloc_zero(stack->n_blocks * sizeof *stack->blocks);
    return stack->blocks != NULL;
}

/* Bytes of the block before its matrices. */
static size_t floats_bytes(const t0_model *model) { return t0_size_round(model->n_floats * sizeof(float), T0_ALIGN); }

/* Tables and places; the block is left to the caller. */
static t0_status lay_out(t0_model *model, t0_error *err) {
    if (!allocate_blocks(&model->encoder, model->config.n_layers) ||
        (!model->config.encoder_only && !allocate_blocks(&model->decoder, model->config.n_decoder_layers)))
        return t0_fail_memory(err, sizeof(t0_block));
    const walk sizes = walk_model(model);
    if (sizes.overflow) return t0_fail(err, T0_EVALUE, "configuration: the weights would not fit into this machine's addresses");
    model->n_tensors = sizes.n_tensors;
    model->n_weights = sizes.n_weights;
    model->n_floats = sizes.n_floats;
    model->n_matrices = sizes.n_matrices;
    model->tensors = t0_alloc_zero(model->n_tensors * sizeof *model->tensors);
    model->matrices = t0_alloc_zero(model->n_matrices * sizeof *model->matrices);
    if (!model->tensors || !model->matrices) return t0_fail_memory(err, model->n_tensors * sizeof *model->tensors);
    const walk filled = walk_model(model);
    assert(filled.n_tensors == sizes.n_tensors && filled.n_matrices == sizes.n_matrices && filled.n_floats == sizes.n_floats);
    (void)filled;
    model->n_bytes = floats_bytes(model) + sizes.matrix_bytes;
    return T0_OK;
}

static t0_status take_block(t0_model *model, const uint8_t *memory, size_t n_bytes, t0_error *err) {
    if (memory && (n_bytes != model->n_bytes || (uintptr_t)memory % T0_ALIGN != 0))
        return t0_fail(err, T0_EVALUE,
                       "packed weights: %zu bytes, %zu beyond a multiple of %d: this configuration takes %zu bytes on a multiple", n_bytes,
                       (size_t)((uintptr_t)memory % T0_ALIGN), T0_ALIGN, model->n_bytes);
    model->borrowed = memory != NULL;
    model->block = memory ? (uint8_t *)(uintptr_t)memory : t0_map_zero(model->n_bytes);
    if (!model->block) return t0_fail_memory(err, model->n_bytes);
    model->weights = (float *)(void *)model->block;
    uint8_t *at = model->block + floats_bytes(model);
    for (size_t i = 0; i < model->n_matrices; i++) {
        t0_packed_at(&model->matrices[i], at);
        at += t0_packed_bytes(&model->matrices[i]);
    }
    return T0_OK;
}

/* A model with tables and no block. */
static t0_status make(t0_model **out, const t0_model *wanted, t0_error *err) {
    t0_model *model = t0_alloc_zero(sizeof *model);
    if (!model) return t0_fail_memory(err, sizeof *model);
    *model = *wanted;
    const t0_status status = lay_out(model, err);
    if (status != T0_OK) {
        t0_model_free(model);
        return status;
    }
    *out = model;
    return T0_OK;
}

static t0_status make_with_block(t0_model **out, const t0_model *wanted, const uint8_t *memory, size_t n_bytes, t0_error *err) {
    t0_model *model;
    T0_TRY(make(&model, wanted, err));
    const t0_status status = take_block(model, memory, n_bytes, err);
    if (status != T0_OK) {
        t0_model_free(model);
        return status;
    }
    *out = model;
    return T0_OK;
}

t0_status t0_model_new(t0_model **out, const t0_config *config, t0_error *err) {
    T0_TRY(t0_config_check(config, T0_FLOAT32, err));
    return make_with_block(out, &(t0_model){.config = *config}, NULL, 0, err);
}

t0_status t0_model_new_packed(t0_model **out, const t0_config *config, t0_dtype dtype, const uint8_t *memory, size_t n_bytes,
                              t0_error *err) {
    T0_TRY(t0_config_check(config, dtype, err));
    return make_with_block(out, &(t0_model){.config = *config, .packed = true, .dtype = dtype}, memory, n_bytes, err);
}

t0_status t0_model_outline(t0_model **out, const t0_config *config, bool packed, t0_dtype dtype, t0_error *err) {
    T0_TRY(t0_config_check(config, packed ? dtype : T0_FLOAT32, err));
    return make(out, &(t0_model){.config = *config, .packed = packed, .dtype = dtype}, err);
}

t0_status t0_model_bytes(size_t *out, const t0_config *config, bool packed, t0_dtype dtype, t0_error *err) {
    t0_model *outline;
    T0_TRY(t0_model_outline(&outline, config, packed, dtype, err));
    *out = outline->n_bytes;
    t0_model_free(outline);
    return T0_OK;
}

void t0_model_free(t0_model *model) {
    if (!model) return;
    t0_free(model->encoder.blocks);
    t0_free(model->decoder.blocks);
    t0_free(model->tensors);
    t0_free(model->matrices);
    if (!model->borrowed) t0_unmap(model->block, model->n_bytes);
    t0_free(model);
}

size_t t0_cross_size(const t0_model *model, size_t n_rows) {
    size_t size;
    const bool fits = t0_size_mul(n_rows, 2 * t0_config_inner(&model->config), &size) && t0_size_mul(size, model->decoder.n_blocks, &size);
    return fits ? size : SIZE_MAX;
}

t0_status t0_model_check_decoder(const t0_model *model, t0_error *err) {
    if (!model->config.encoder_only) return T0_OK;
    return t0_fail(err, T0_EVALUE, "this model is an encoder alone, without a decoder and a head: it encodes, and nothing else");
}

size_t t0_model_put(t0_model *model, const t0_tensor *tensor, size_t first_row, size_t n, const void *src, t0_dtype from) {
    if (tensor->matrix != SIZE_MAX) return t0_packed_put(&model->matrices[tensor->matrix], tensor->place, first_row, n, src, from);
    float *to = model->weights + tensor->offset + first_row * tensor->columns;
    const size_t count = n * tensor->columns, bad = t0_widen(to, src, from, count);
    return bad < count ? bad : SIZE_MAX;
}

void t0_model_get(float *row, const t0_model *model, const t0_tensor *tensor, size_t r) {
    if (tensor->matrix != SIZE_MAX) t0_packed_get(row, &model->matrices[tensor->matrix], tensor->place, r);
    else memcpy(row, model->weights + tensor->offset + r * tensor->columns, tensor->columns * sizeof *row);
}

const t0_tensor *t0_model_find(const t0_model *model, const char *name) {
    for (size_t i = 0; i < model->n_tensors; i++)
        if (strcmp(model->tensors[i].name, name) == 0) return &model->tensors[i];
    return NULL;
}

const t0_tensor *t0_model_find_nonfinite(const t0_model *model) {
    for (size_t i = 0; i < model->n_tensors; i++) {
        const t0_tensor *tensor = &model->tensors[i];
        if (!t0_all_finite(model->weights + tensor->offset, tensor->rows * tensor->columns)) return tensor;
    }
    return NULL;
}
