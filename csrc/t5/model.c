/* The tensor table of a T5 and the block of weights that it describes.
 *
 *     shared
 *     encoder block l:  q k v o [bias, l = 0] norm   wi_0 wi_1 (or wi) wo norm            then the final norm
 *     decoder block l:  q k v o [bias, l = 0] norm   q k v o norm (cross)   wi.. wo norm  then the final norm
 *     lm_head, unless tied
 *
 * The same walk is made twice: first to count tensors and floats, then to fill the table. */
#include "t5/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_LAYERS = 1 << 12, MAX_DIM = 1 << 24, MAX_VOCAB = 1 << 28, MAX_BUCKETS = 1 << 16 };

static t0_status check_range(const char *name, int64_t value, int64_t low, int64_t high, t0_error *err) {
    if (value >= low && value <= high) return T0_OK;
    return t0_fail(err, T0_EVALUE, "config: %s is %lld: it must be from %lld to %lld", name, (long long)value, (long long)low,
                   (long long)high);
}

/* ---- the walk over all tensors ---------------------------------------------------------------------------------- */

/* tensors NULL: only counts. `overflow` sticks. */
typedef struct walk {
    const t0_config *config;
    t0_tensor *tensors;
    size_t n_tensors, n_weights;
    bool overflow;
    char prefix[40]; /* "encoder.block.3.layer.0." */
} walk;

/* Adds one tensor behind the last and returns its offset. */
static size_t add(walk *at, const char *name, int32_t rows, int32_t columns, bool is_vector) {
    const size_t offset = at->n_weights;
    size_t size = 0;
    if (!t0_size_mul((size_t)rows, (size_t)columns, &size) || !t0_size_add(offset, size, &at->n_weights)) at->overflow = true;
    if (at->tensors) {
        t0_tensor *tensor = &at->tensors[at->n_tensors];
        snprintf(tensor->name, sizeof tensor->name, "%s%s.weight", at->prefix, name);
        tensor->rows = (size_t)rows;
        tensor->columns = (size_t)columns;
        tensor->is_vector = is_vector;
        tensor->offset = offset;
    }
    at->n_tensors++;
    return offset;
}

static size_t add_norm(walk *at, const char *name) { return add(at, name, 1, at->config->d_model, true); }

static void enter(walk *at, const char *stack, size_t block, uint8_t layer) {
    snprintf(at->prefix, sizeof at->prefix, "%s.block.%u.layer.%u.", stack, (unsigned)(uint16_t)block, (unsigned)layer);
}

static void walk_self(walk *at, t0_stack *stack, size_t block) {
    const int32_t d = at->config->d_model, inner = at->config->n_heads * at->config->d_kv;
    t0_block *to = &stack->blocks[block];
    to->self_qkv = add(at, "SelfAttention.q", inner, d, false);
    add(at, "SelfAttention.k", inner, d, false);
    add(at, "SelfAttention.v", inner, d, false);
    to->self_o = add(at, "SelfAttention.o", d, inner, false);
    if (block == 0)
        stack->bias_table = add(at, "SelfAttention.relative_attention_bias", at->config->n_buckets, at->config->n_heads, false);
    to->self_norm = add_norm(at, "layer_norm");
}

static void walk_cross(walk *at, t0_block *to) {
    const int32_t d = at->config->d_model, inner = at->config->n_heads * at->config->d_kv;
    to->cross_q = add(at, "EncDecAttention.q", inner, d, false);
    to->cross_kv = add(at, "EncDecAttention.k", inner, d, false);
    add(at, "EncDecAttention.v", inner, d, false);
    to->cross_o = add(at, "EncDecAttention.o", d, inner, false);
    to->cross_norm = add_norm(at, "layer_norm");
}

static void walk_ffn(walk *at, t0_block *to) {
    const int32_t d = at->config->d_model, f = at->config->d_ff;
    to->wi = add(at, at->config->gated ? "DenseReluDense.wi_0" : "DenseReluDense.wi", f, d, false);
    if (at->config->gated) add(at, "DenseReluDense.wi_1", f, d, false);
    to->wo = add(at, "DenseReluDense.wo", d, f, false);
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

/* Fills the offsets of `model`, and its table when there is one. */
static walk walk_model(t0_model *model) {
    const t0_config *config = &model->config;
    walk at = {.config = config, .tensors = model->tensors};
    model->shared = add(&at, "shared", config->vocab_size, config->d_model, false);
    walk_stack(&at, &model->encoder, "encoder", false);
    walk_stack(&at, &model->decoder, "decoder", true);
    at.prefix[0] = 0;
    model->head = config->tied ? model->shared : add(&at, "lm_head", config->vocab_size, config->d_model, false);
    return at;
}

/* ---- configuration ---------------------------------------------------------------------------------------------- */

/* Floats of all tensors; false on overflow. No block is needed: each has the same size. */
static bool count_weights(const t0_config *c, size_t *out) {
    const size_t d = (size_t)c->d_model, inner = t0_config_inner(c), f = (size_t)c->d_ff;
    const size_t matrices = c->gated ? 3 : 2, v = (size_t)c->vocab_size * (c->tied ? 1 : 2);
    const size_t ffn = matrices * f * d + d, attention = 4 * inner * d + d; /* < 2^53: dimensions are < 2^25 here */
    size_t encoder, decoder, tables;
    if (!t0_size_mul(attention + ffn, (size_t)c->n_layers, &encoder)) return false;
    if (!t0_size_mul(2 * attention + ffn, (size_t)c->n_decoder_layers, &decoder)) return false;
    if (!t0_size_mul(v, d, &tables)) return false;
    const size_t rest = 2 * d + 2 * (size_t)c->n_buckets * (size_t)c->n_heads;
    if (!t0_size_add(encoder, decoder, out) || !t0_size_add(*out, tables, out) || !t0_size_add(*out, rest, out)) return false;
    return *out <= SIZE_MAX / 8 / sizeof(float);
}

static t0_status check_floats(const t0_config *c, t0_error *err) {
    if (!isfinite(c->norm_epsilon) || c->norm_epsilon <= 0.0f)
        return t0_fail(err, T0_EVALUE, "config: norm_epsilon is %g: it must be above 0", (double)c->norm_epsilon);
    if (!(c->dropout >= 0.0f && c->dropout < 1.0f))
        return t0_fail(err, T0_EVALUE, "config: dropout is %g: it must be in [0, 1)", (double)c->dropout);
    return T0_OK;
}

t0_status t0_config_check(const t0_config *c, t0_error *err) {
    T0_TRY(check_range("vocab_size", c->vocab_size, 1, MAX_VOCAB, err));
    T0_TRY(check_range("d_model", c->d_model, 1, MAX_DIM, err));
    T0_TRY(check_range("d_kv", c->d_kv, 1, MAX_DIM, err));
    T0_TRY(check_range("d_ff", c->d_ff, 1, MAX_DIM, err));
    T0_TRY(check_range("n_heads", c->n_heads, 1, MAX_DIM, err));
    T0_TRY(check_range("n_heads * d_kv", (int64_t)c->n_heads * c->d_kv, 1, MAX_DIM, err));
    T0_TRY(check_range("n_layers", c->n_layers, 1, MAX_LAYERS, err));
    T0_TRY(check_range("n_decoder_layers", c->n_decoder_layers, 1, MAX_LAYERS, err));
    T0_TRY(check_range("n_buckets", c->n_buckets, 4, MAX_BUCKETS, err)); /* a sign, one exact bucket, one beyond */
    T0_TRY(check_range("max_distance", c->max_distance, c->n_buckets / 2 + 1, INT32_MAX, err));
    T0_TRY(check_range("pad_id", c->pad_id, 0, c->vocab_size - 1, err));
    T0_TRY(check_range("eos_id", c->eos_id, 0, c->vocab_size - 1, err));
    T0_TRY(check_range("decoder_start_id", c->decoder_start_id, 0, c->vocab_size - 1, err));
    T0_TRY(check_floats(c, err));
    size_t n_weights;
    if (!count_weights(c, &n_weights)) return t0_fail(err, T0_EVALUE, "config: the weights would not fit into this machine's addresses");
    return T0_OK;
}

/* ---- the model -------------------------------------------------------------------------------------------------- */

static bool allocate_blocks(t0_stack *stack, int32_t n_blocks) {
    stack->n_blocks = (size_t)n_blocks;
    stack->blocks = t0_alloc_zero(stack->n_blocks * sizeof *stack->blocks);
    return stack->blocks != NULL;
}

static t0_status allocate(t0_model *model, t0_error *err) {
    if (!allocate_blocks(&model->encoder, model->config.n_layers) || !allocate_blocks(&model->decoder, model->config.n_decoder_layers))
        return t0_fail_memory(err, sizeof(t0_block));
    const walk sizes = walk_model(model);
    if (sizes.overflow) return t0_fail(err, T0_EVALUE, "config: the weights would not fit into this machine's addresses");
    model->n_tensors = sizes.n_tensors;
    model->n_weights = sizes.n_weights;
    model->tensors = t0_alloc_zero(model->n_tensors * sizeof *model->tensors);
    if (!model->tensors) return t0_fail_memory(err, model->n_tensors * sizeof *model->tensors);
    walk_model(model);
    model->weights = t0_alloc_zero(model->n_weights * sizeof *model->weights);
    return model->weights ? T0_OK : t0_fail_memory(err, model->n_weights * sizeof *model->weights);
}

t0_status t0_model_new(t0_model **out, const t0_config *config, t0_error *err) {
    T0_TRY(t0_config_check(config, err));
    t0_model *model = t0_alloc_zero(sizeof *model);
    if (!model) return t0_fail_memory(err, sizeof *model);
    model->config = *config;
    const t0_status status = allocate(model, err);
    if (status != T0_OK) {
        t0_model_free(model);
        return status;
    }
    *out = model;
    return T0_OK;
}

void t0_model_free(t0_model *model) {
    if (!model) return;
    t0_free(model->encoder.blocks);
    t0_free(model->decoder.blocks);
    t0_free(model->tensors);
    t0_free(model->weights);
    t0_free(model);
}

const t0_tensor *t0_model_find(const t0_model *model, const char *name) {
    for (size_t i = 0; i < model->n_tensors; i++)
        if (strcmp(model->tensors[i].name, name) == 0) return &model->tensors[i];
    return NULL;
}

/* On bit patterns: an exponent of all ones is a NaN or an infinity. Compiles to vector code, unlike a float sum. */
static bool all_finite(const float *x, size_t n) {
    const uint32_t exponent = 0x7f800000u;
    uint32_t bad = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bad |= (bits & exponent) == exponent;
    }
    return !bad;
}

const t0_tensor *t0_model_find_nonfinite(const t0_model *model) {
    for (size_t i = 0; i < model->n_tensors; i++) {
        const t0_tensor *tensor = &model->tensors[i];
        if (!all_finite(model->weights + tensor->offset, tensor->rows * tensor->columns)) return tensor;
    }
    return NULL;
}
