/* What the tests of the model share: small models, random ragged batches, comparisons. */
#ifndef T0_T5_MODELS_H
#define T0_T5_MODELS_H

#include "kernel_sets.h"

#include "base/random.h"
#include "t5/t5.h"

static const t0_config PRIMES = {.vocab_size = 29,
                                 .d_model = 11,
                                 .d_kv = 5,
                                 .d_ff = 13,
                                 .n_layers = 2,
                                 .n_decoder_layers = 3,
                                 .n_heads = 3,
                                 .n_buckets = 8,
                                 .max_distance = 9,
                                 .norm_epsilon = 1e-6f,
                                 .gated = true,
                                 .eos_id = 1};

static inline t0_config varied(bool gated, bool tied, int n_heads, int n_layers, int n_decoder_layers) {
    t0_config c = PRIMES;
    c.gated = gated;
    c.activation = gated ? T0_GELU_NEW : T0_RELU;
    c.tied = tied;
    c.scaled = tied;
    c.n_heads = n_heads;
    c.n_layers = n_layers;
    c.n_decoder_layers = n_decoder_layers;
    return c;
}

/* With a bias table in each layer, and silu. */
static inline t0_config as_umt5(t0_config c) {
    c.bias_every_layer = true;
    c.activation = T0_SILU;
    return c;
}

static inline void init_model(t0_model *model, t0_init how, uint64_t seed) {
    t0_exec *exec = NULL;
    t0_error err;
    CHECK(t0_exec_new(&exec, t0_kernels_best(), 2, false, &err) == T0_OK);
    CHECK(t0_model_init(model, exec, how, seed, NULL, &err) == T0_OK);
    t0_exec_free(exec);
}

/* T5's initialisation with livelier queries, biases and gains, so that no gradient is nearly nothing. */
static inline t0_model *make_model(t0_config config, uint64_t seed) {
    t0_model *model = NULL;
    t0_error err;
    CHECK(t0_model_new(&model, &config, &err) == T0_OK);
    init_model(model, T0_INIT_T5, seed);
    for (size_t i = 0; i < model->n_tensors; i++) {
        const t0_tensor *t = &model->tensors[i];
        float *w = model->weights + t->offset;
        const bool lively = strstr(t->name, ".q.") || strstr(t->name, "bias");
        for (size_t j = 0; j < t->rows * t->columns; j++) {
            if (lively) w[j] *= 3.0f;
            if (t->is_vector) w[j] += 0.3f * ((float)(j % 5) - 2.0f) / 2.0f;
        }
    }
    return model;
}

enum { MAX_TOKENS = 4000, MAX_EXAMPLES = 100 };
typedef struct sequences {
    int32_t ids[MAX_TOKENS];
    int64_t offsets[MAX_EXAMPLES + 1];
    t0_ragged batch;
} sequences;

/* n sequences of low .. low + spread - 1 tokens. */
static inline void draw(sequences *to, size_t n, size_t low, size_t spread, int32_t vocab, uint64_t seed) {
    to->offsets[0] = 0;
    for (size_t b = 0; b < n; b++) {
        const size_t length = low + t0_random_u64(seed, 99, b) % spread;
        to->offsets[b + 1] = to->offsets[b] + (int64_t)length;
    }
    for (int64_t i = 0; i < to->offsets[n]; i++) to->ids[i] = (int32_t)(t0_random_u64(seed, 98, (uint64_t)i) % (uint64_t)vocab);
    to->batch = (t0_ragged){.ids = to->ids, .offsets = to->offsets, .n = n};
}

static inline t0_ragged one_of(const t0_ragged *batch, size_t b, int64_t offsets[2]) {
    offsets[0] = 0;
    offsets[1] = batch->offsets[b + 1] - batch->offsets[b];
    return (t0_ragged){.ids = batch->ids + batch->offsets[b], .offsets = offsets, .n = 1};
}

#endif
