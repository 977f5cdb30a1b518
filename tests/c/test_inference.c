/* Scoring, generation and encoding against teacher-forced logits, over many shapes of batches; every allocation failing. */
#include "check.h"

#include "base/memory.h"
#include "base/random.h"
#include "t5/decoder.h"
#include "t5/t5.h"

#include <string.h>

static const t0_config CONFIGS[] = {
    {.vocab_size = 23,
     .d_model = 12,
     .d_kv = 5,
     .d_ff = 14,
     .n_layers = 2,
     .n_decoder_layers = 3,
     .n_heads = 2,
     .n_buckets = 8,
     .max_distance = 20,
     .norm_epsilon = 1e-6f,
     .gated = true,
     .tied = false,
     .pad_id = 0,
     .eos_id = 1,
     .decoder_start_id = 0},
    {.vocab_size = 17,
     .d_model = 7,
     .d_kv = 3,
     .d_ff = 11,
     .n_layers = 1,
     .n_decoder_layers = 1,
     .n_heads = 1,
     .n_buckets = 32,
     .max_distance = 128,
     .norm_epsilon = 1e-6f,
     .activation = T0_RELU,
     .gated = false,
     .tied = true,
     .scaled = true,
     .pad_id = 0,
     .eos_id = 1,
     .decoder_start_id = 0},
    {.vocab_size = 19,
     .d_model = 9,
     .d_kv = 4,
     .d_ff = 10,
     .n_layers = 3,
     .n_decoder_layers = 2,
     .n_heads = 2,
     .n_buckets = 6,
     .max_distance = 11,
     .norm_epsilon = 1e-6f,
     .activation = T0_SILU,
     .gated = true,
     .bias_every_layer = true,
     .pad_id = 0,
     .eos_id = 1,
     .decoder_start_id = 0},
};
enum { N_CONFIGS = 3, MOST = 4096 };

static t0_error err;

static t0_exec *exec_of(size_t threads) {
    t0_exec *exec = NULL;
    CHECK(t0_exec_new(&exec, t0_kernels_best(), threads, true, &err) == T0_OK);
    return exec;
}

static t0_model *model_of(size_t i, uint64_t seed) {
    t0_model *model = NULL;
    t0_exec *exec = exec_of(1);
    CHECK(t0_model_new(&model, &CONFIGS[i], &err) == T0_OK);
    CHECK(t0_model_init(model, exec, T0_INIT_T5, seed, NULL, &err) == T0_OK);
    t0_exec_free(exec);
    return model;
}

typedef struct batch {
    int32_t ids[MOST];
    int64_t offsets[64];
    t0_ragged ragged;
} batch;

/* n sequences of 1 .. longest tokens, by the counter-based generator. */
static void fill(batch *b, size_t n, size_t longest, int32_t vocab, uint64_t seed) {
    size_t at = 0;
    b->offsets[0] = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t length = 1 + t0_random_u64(seed, 50, i) % longest;
        for (size_t k = 0; k < length; k++, at++) b->ids[at] = (int32_t)(t0_random_u64(seed, 51, at) % (uint64_t)vocab);
        b->offsets[i + 1] = (int64_t)at;
    }
    b->ragged = (t0_ragged){.ids = b->ids, .offsets = b->offsets, .n = n};
}

/* log p of `target` after `inputs` of one sequence, from logits, in double. */
static double log_p(const float *logits, int32_t vocab, int32_t target) {
    double most = -INFINITY, sum = 0.0;
    for (int32_t v = 0; v < vocab; v++) most = fmax(most, (double)logits[v]);
    for (int32_t v = 0; v < vocab; v++) sum += exp((double)logits[v] - most);
    return (double)logits[target] - most - log(sum);
}

static t0_ragged one(const batch *b, size_t i, int64_t offsets[2]) {
    offsets[0] = 0;
    offsets[1] = b->offsets[i + 1] - b->offsets[i];
    return (t0_ragged){.ids = b->ids + b->offsets[i], .offsets = offsets, .n = 1};
}

static double score_by_logits(const t0_model *model, t0_exec *exec, const batch *sources, size_t s, const batch *targets, size_t t) {
    static float logits[MOST];
    static int32_t inputs[MOST];
    int64_t source_offsets[2], target_offsets[2];
    const t0_ragged source = one(sources, s, source_offsets), target = one(targets, t, target_offsets);
    const int32_t vocab = model->config.vocab_size;
    for (int64_t n = 0; n < target_offsets[1]; n++) inputs[n] = n ? target.ids[n - 1] : model->config.decoder_start_id;
    const t0_ragged shifted = {.ids = inputs, .offsets = target_offsets, .n = 1};
    CHECK(t0_logits(model, exec, logits, &source, &shifted, NULL, &err) == T0_OK);
    double sum = 0.0;
    for (int64_t n = 0; n < target_offsets[1]; n++) sum += log_p(logits + n * vocab, vocab, target.ids[n]);
    return sum;
}

static void scores_equal_teacher_forced_logits(void) {
    static batch sources, targets;
    static float token_scores[MOST];
    double scores[64];
    int32_t source_of[64];
    for (size_t c = 0; c < N_CONFIGS; c++)
        for (size_t threads = 1; threads <= 2; threads++) {
            t0_model *model = model_of(c, 5);
            t0_exec *exec = exec_of(threads);
            fill(&sources, 5, 9, model->config.vocab_size, 1);
            fill(&targets, 21, 6, model->config.vocab_size, 2);
            for (size_t t = 0; t < 21; t++) source_of[t] = (int32_t)(t * 7 % 5 == 3 ? 1 : t * 7 % 5); /* source 3 has none */
            CHECK(t0_score(model, exec, scores, token_scores, &sources.ragged, &targets.ragged, source_of, false, NULL, &err) == T0_OK);
            for (size_t t = 0; t < 21; t++)
                CHECK_NEAR(scores[t], score_by_logits(model, exec, &sources, (size_t)source_of[t], &targets, t), 1e-4, 1e-5);
            t0_exec_free(exec);
            t0_model_free(model);
        }
}

static void generation_takes_the_best_token(void) {
    static batch sources;
    static float logits[MOST];
    enum { N = 4, NEW = 7 };
    int32_t ids[N * NEW], lengths[N], inputs[NEW + 1];
    double scores[N];
    const t0_generation options = {.max_new_tokens = NEW};
    for (size_t c = 0; c < N_CONFIGS; c++) {
        t0_model *model = model_of(c, 8);
        t0_exec *exec = exec_of(1);
        const int32_t vocab = model->config.vocab_size;
        fill(&sources, N, 12, vocab, 3);
        CHECK(t0_generate(model, exec, ids, lengths, scores, &sources.ragged, &options, NULL, &err) == T0_OK);
        for (size_t b = 0; b < N; b++) {
            int64_t source_offsets[2];
            const t0_ragged source = one(&sources, b, source_offsets);
            CHECK(lengths[b] >= 1 && lengths[b] <= NEW);
            CHECK(lengths[b] == NEW || ids[b * NEW + (size_t)lengths[b] - 1] == 1);
            inputs[0] = 0;
            memcpy(inputs + 1, ids + b * NEW, (size_t)(lengths[b] - 1) * sizeof *ids);
            const int64_t offsets[2] = {0, lengths[b]};
            const t0_ragged shifted = {.ids = inputs, .offsets = offsets, .n = 1};
            CHECK(t0_logits(model, exec, logits, &source, &shifted, NULL, &err) == T0_OK);
            double sum = 0.0;
            for (int32_t t = 0; t < lengths[b]; t++) {
                const float *row = logits + t * vocab;
                for (int32_t v = 0; v < vocab; v++) CHECK(row[v] <= row[ids[b * NEW + (size_t)t]] + 1e-4f);
                sum += log_p(row, vocab, ids[b * NEW + (size_t)t]);
            }
            CHECK_NEAR(scores[b], sum, 1e-4, 1e-5);
        }
        t0_exec_free(exec);
        t0_model_free(model);
    }
}

static void states_do_not_depend_on_the_company(void) {
    static batch sources;
    static float together[MOST * 12], alone[MOST];
    t0_model *model = model_of(0, 8);
    t0_exec *exec = exec_of(1);
    fill(&sources, 60, 60, model->config.vocab_size, 4);
    CHECK(t0_encode_states(model, exec, together, &sources.ragged, NULL, &err) == T0_OK);
    for (size_t i = 0; i < 60; i++) {
        int64_t offsets[2];
        const t0_ragged source = one(&sources, i, offsets);
        CHECK(t0_encode_states(model, exec, alone, &source, NULL, &err) == T0_OK);
        for (int64_t n = 0; n < offsets[1] * 12; n++) CHECK_NEAR(alone[n], together[sources.offsets[i] * 12 + n], 1e-6, 1e-5);
    }
    t0_exec_free(exec);
    t0_model_free(model);
}

static void empty_batches_and_bad_ids(void) {
    t0_model *model = model_of(0, 8);
    t0_exec *exec = exec_of(1);
    const int64_t nothing[1] = {0}, offsets[2] = {0, 2}, empty[2] = {0, 0};
    const int32_t good[2] = {3, 4}, bad[2] = {3, 23}, owner[1] = {1};
    const t0_ragged none = {.ids = good, .offsets = nothing, .n = 0}, fine = {.ids = good, .offsets = offsets, .n = 1};
    const t0_ragged wrong = {.ids = bad, .offsets = offsets, .n = 1}, hollow = {.ids = good, .offsets = empty, .n = 1};
    const t0_generation options = {.max_new_tokens = 3}, impossible = {.max_new_tokens = 3, .min_new_tokens = 4};
    double scores[2];
    float token_scores[2], states[24];
    int32_t ids[3], lengths[1];
    CHECK(t0_score(model, exec, scores, token_scores, &none, &none, owner, false, NULL, &err) == T0_OK);
    CHECK(t0_encode_states(model, exec, states, &none, NULL, &err) == T0_OK);
    CHECK(t0_generate(model, exec, ids, lengths, scores, &none, &options, NULL, &err) == T0_OK);
    CHECK(t0_encode_states(model, exec, states, &wrong, NULL, &err) == T0_EVALUE && strstr(err.message, "id 23"));
    CHECK(t0_encode_states(model, exec, states, &hollow, NULL, &err) == T0_EVALUE && strstr(err.message, "at least one token"));
    CHECK(t0_score(model, exec, scores, token_scores, &fine, &fine, owner, false, NULL, &err) == T0_EVALUE &&
          strstr(err.message, "source 1"));
    CHECK(t0_generate(model, exec, ids, lengths, scores, &fine, &impossible, NULL, &err) == T0_EVALUE);
    t0_exec_free(exec);
    t0_model_free(model);
}

/* Every allocation of a call fails once: T0_ENOMEM each time (leaks show under the sanitizer), and then it works. */
static void each_allocation_may_fail(void) {
    static batch sources, targets;
    static float numbers[MOST];
    t0_model *model = model_of(0, 8);
    t0_exec *exec = exec_of(1);
    fill(&sources, 3, 6, model->config.vocab_size, 1);
    fill(&targets, 3, 6, model->config.vocab_size, 2);
    const int32_t owner[3] = {2, 0, 1};
    const t0_generation options = {.max_new_tokens = 4};
    double scores[3];
    int32_t ids[12], lengths[3];
    for (int call = 0; call < 4; call++) {
        t0_status status = T0_ENOMEM;
        long at = 0;
        for (; status == T0_ENOMEM && at < 100; at++) {
            t0_alloc_fail_after(at);
            if (call == 0) status = t0_score(model, exec, scores, numbers, &sources.ragged, &targets.ragged, owner, false, NULL, &err);
            if (call == 1) status = t0_generate(model, exec, ids, lengths, scores, &sources.ragged, &options, NULL, &err);
            if (call == 2) status = t0_encode_states(model, exec, numbers, &sources.ragged, NULL, &err);
            if (call == 3) status = t0_logits(model, exec, numbers, &sources.ragged, &targets.ragged, NULL, &err);
        }
        t0_alloc_fail_after(-1);
        CHECK(status == T0_OK && at > 1);
    }
    t0_exec_free(exec);
    t0_model_free(model);
}

typedef struct countdown {
    int left, asked;
} countdown;

/* Stops once: whoever was told must remember. */
static bool stop_when_out(void *context) {
    countdown *self = context;
    self->asked++;
    return self->left-- == 0;
}

static void a_poll_stops_each_call_wherever_it_is(void) {
    static batch sources;
    static float numbers[MOST];
    t0_model *model = model_of(0, 8);
    t0_exec *exec = exec_of(1);
    fill(&sources, 3, 6, model->config.vocab_size, 1);
    const int32_t owner[3] = {0, 1, 2};
    const t0_generation options = {.max_new_tokens = 4};
    double scores[3];
    int32_t ids[12], lengths[3];
    for (int call = 0; call < 4; call++) {
        t0_status status = T0_EINTERRUPT;
        int after = 0;
        for (; status == T0_EINTERRUPT; after++) {
            countdown self = {after, 0};
            const t0_poll poll = {stop_when_out, &self};
            if (call == 0) status = t0_score(model, exec, scores, numbers, &sources.ragged, &sources.ragged, owner, false, &poll, &err);
            if (call == 1) status = t0_generate(model, exec, ids, lengths, scores, &sources.ragged, &options, &poll, &err);
            if (call == 2) status = t0_encode_states(model, exec, numbers, &sources.ragged, &poll, &err);
            if (call == 3) status = t0_logits(model, exec, numbers, &sources.ragged, &sources.ragged, &poll, &err);
            CHECK(status == (self.asked > after ? T0_EINTERRUPT : T0_OK));
        }
        CHECK(after > 10);
    }
    t0_exec_free(exec);
    t0_model_free(model);
}

/* The same states as the whole model's, flat and packed; what needs a decoder is refused. */
static void an_encoder_alone_encodes_and_nothing_else(void) {
    static batch sources;
    static float states[MOST], alone[MOST], logits[MOST];
    double scores[64];
    int32_t ids[64], lengths[64], source_of[1] = {0};
    fill(&sources, 5, 9, CONFIGS[2].vocab_size, 77);
    t0_exec *exec = exec_of(1);
    for (size_t c = 0; c < N_CONFIGS; c++) {
        t0_config config = CONFIGS[c];
        config.encoder_only = true;
        t0_model *whole = model_of(c, 21), *encoder = NULL, *packed = NULL;
        CHECK(t0_model_new(&encoder, &config, &err) == T0_OK && t0_model_new_packed(&packed, &config, T0_FLOAT32, NULL, 0, &err) == T0_OK);
        CHECK(encoder->n_weights < whole->n_weights && encoder->head == SIZE_MAX && encoder->decoder.n_blocks == 0);
        for (size_t i = 0; i < encoder->n_tensors; i++) {
            const t0_tensor *tensor = &encoder->tensors[i], *from = t0_model_find(whole, tensor->name);
            t0_model_put(encoder, tensor, 0, tensor->rows, whole->weights + from->offset, T0_FLOAT32);
            t0_model_put(packed, t0_model_find(packed, tensor->name), 0, tensor->rows, whole->weights + from->offset, T0_FLOAT32);
        }
        const size_t n = (size_t)sources.offsets[5] * (size_t)config.d_model * sizeof *states;
        for (int64_t i = 0; i < sources.offsets[5]; i++) sources.ids[i] %= config.vocab_size;
        CHECK(t0_encode_states(whole, exec, states, &sources.ragged, NULL, &err) == T0_OK);
        CHECK(t0_encode_states(encoder, exec, alone, &sources.ragged, NULL, &err) == T0_OK && memcmp(alone, states, n) == 0);
        CHECK(t0_encode_states(packed, exec, alone, &sources.ragged, NULL, &err) == T0_OK && memcmp(alone, states, n) == 0);
        const t0_generation options = {.max_new_tokens = 2};
        t0_decoder *decoder = NULL;
        t0_trainer *trainer = NULL;
        const t0_trainer_options plain = {.optimizer = T0_SGD};
        CHECK(t0_logits(encoder, exec, logits, &sources.ragged, &sources.ragged, NULL, &err) == T0_EVALUE);
        CHECK(t0_score(packed, exec, scores, logits, &sources.ragged, &sources.ragged, source_of, false, NULL, &err) == T0_EVALUE);
        CHECK(t0_generate(packed, exec, ids, lengths, scores, &sources.ragged, &options, NULL, &err) == T0_EVALUE);
        CHECK(t0_decoder_new(&decoder, packed, exec, &sources.ragged, NULL, &err) == T0_EVALUE);
        CHECK(t0_trainer_new(&trainer, encoder, &plain, t0_kernels_at(0), 1, &err) == T0_EVALUE && strstr(err.message, "an encoder alone"));
        t0_model_free(whole), t0_model_free(encoder), t0_model_free(packed);
    }
    t0_exec_free(exec);
}

int main(void) {
    T0_RUN(scores_equal_teacher_forced_logits);
    T0_RUN(generation_takes_the_best_token);
    T0_RUN(states_do_not_depend_on_the_company);
    T0_RUN(an_encoder_alone_encodes_and_nothing_else);
    T0_RUN(empty_batches_and_bad_ids);
    T0_RUN(each_allocation_may_fail);
    T0_RUN(a_poll_stops_each_call_wherever_it_is);
    return t0_report();
}
