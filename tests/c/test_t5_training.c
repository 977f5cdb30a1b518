/* The backward pass and the training step against finite differences and themselves in parts, where dropout stands, and what
 * is promised when stopped, short of memory or given numbers that are not finite. */
#include "t5_models.h"

#include "t5/forward.h"

#include <stdlib.h>

static const t0_trainer_options PLAIN = {.optimizer = T0_ADAFACTOR, .scale_parameter = true, .n_shards = 1};

static t0_trainer *make_trainer_on(const t0_kernels *kernels, t0_model *model, t0_trainer_options options, size_t n_threads) {
    t0_trainer *trainer = NULL;
    t0_error err;
    const t0_status status = t0_trainer_new(&trainer, model, &options, kernels, n_threads, &err);
    if (status != T0_OK) fprintf(stderr, "%s\n", err.message);
    CHECK(status == T0_OK);
    return trainer;
}

static t0_trainer *make_trainer(t0_model *model, t0_trainer_options options, size_t n_threads) {
    return make_trainer_on(t0_kernels_at(0), model, options, n_threads);
}

static t0_step_result gradients(t0_trainer *trainer, const sequences *sources, const sequences *targets, uint64_t step) {
    t0_step_result result = {0};
    t0_error err;
    const t0_status status = t0_trainer_gradients(trainer, &result, &sources->batch, &targets->batch, step, NULL, &err);
    if (status != T0_OK) fprintf(stderr, "%s\n", err.message);
    CHECK(status == T0_OK);
    return result;
}

/* ---- the backward pass ------------------------------------------------------------------------------------------- */

/* For each tensor, along v = (g / |g| + random direction): (loss(w + h v) - loss(w - h v)) / 2h against g . v. The loss is
 * computed in float: noise of 2e-7 over h = 1e-3 leaves some 1e-4, and a larger h meets the third derivative. */
static void check_differences(t0_config config, t0_trainer_options options) {
    static sequences sources, targets;
    draw(&sources, 5, 1, 8, config.vocab_size, 21);
    draw(&targets, 5, 1, 5, config.vocab_size, 22);
    t0_model *model = make_model(config, 9);
    t0_trainer *trainer = make_trainer(model, options, 1);
    gradients(trainer, &sources, &targets, 3);
    float *g = malloc(model->n_weights * sizeof *g), *saved = malloc(model->n_weights * sizeof *saved);
    float *v = malloc(model->n_weights * sizeof *v);
    memcpy(g, t0_trainer_gradient_block(trainer), model->n_weights * sizeof *g);
    memcpy(saved, model->weights, model->n_weights * sizeof *saved);
    for (size_t i = 0; i < model->n_tensors; i++) {
        const t0_tensor *t = &model->tensors[i];
        const size_t n = t->rows * t->columns, at = t->offset;
        double gg = 0, rr = 0, slope = 0, loss[2];
        t0_random_normal(v, n, 77, 96, at);
        for (size_t j = 0; j < n; j++) gg += (double)g[at + j] * g[at + j], rr += (double)v[j] * v[j];
        CHECK(gg > 1e-10 || strstr(t->name, "bias")); /* a bias without any distance seen may have none */
        for (size_t j = 0; j < n; j++) {
            v[j] = (float)(v[j] / sqrt(rr) + (gg > 0 ? g[at + j] / sqrt(gg) : 0));
            slope += (double)v[j] * g[at + j];
        }
        const float h = 1e-3f;
        for (int side = 0; side < 2; side++) {
            for (size_t j = 0; j < n; j++) model->weights[at + j] = saved[at + j] + (side ? h : -h) * v[j];
            loss[side] = gradients(trainer, &sources, &targets, 3).loss;
        }
        memcpy(model->weights + at, saved + at, n * sizeof *saved);
        const double difference = (loss[1] - loss[0]) / (2.0 * (double)h);
        if (!(fabs(difference - slope) <= 1e-3 + 0.01 * fabs(slope))) fprintf(stderr, "%s:\n", t->name);
        CHECK_NEAR(difference, slope, 1e-3, 0.01);
    }
    free(g), free(saved), free(v);
    t0_trainer_free(trainer);
    t0_model_free(model);
}

static void gradients_agree_with_differences(void) {
    check_differences(varied(true, false, 3, 2, 3), PLAIN);
    check_differences(as_umt5(varied(true, false, 2, 2, 2)), PLAIN);
    check_differences(varied(true, true, 3, 3, 1), PLAIN);
    check_differences(varied(false, true, 1, 1, 2), PLAIN);
    t0_config tied_unscaled = varied(true, true, 3, 2, 1), own_scaled = varied(false, false, 2, 1, 2);
    tied_unscaled.scaled = false, own_scaled.scaled = true;
    check_differences(tied_unscaled, PLAIN);
    check_differences(own_scaled, PLAIN);
    t0_trainer_options terms = PLAIN;
    terms.label_smoothing = 0.1f;
    terms.z_loss = 0.01f;
    check_differences(varied(true, false, 2, 1, 1), terms);
}

static void gradients_agree_with_differences_under_dropout(void) {
    t0_trainer_options options = PLAIN;
    options.dropout = 0.25f;
    options.seed = 5;
    check_differences(varied(true, false, 3, 2, 3), options);
    options.n_shards = 3;
    check_differences(varied(false, true, 2, 2, 2), options);
    options.broadcast_dropout = true;
    check_differences(varied(true, false, 3, 2, 2), options);
}

/* ---- where dropout stands --------------------------------------------------------------------------------------- */

enum { MAX_SITES = 4 << 4 };
static size_t asked[MAX_SITES]; /* elements whose masks were drawn, by site */

static void counting_dropout(float *y, const float *x, size_t n, float rate, uint64_t seed, uint64_t purpose, uint64_t first) {
    const uint64_t site = purpose >> 8;
    CHECK((purpose & 0xff) == T0_RANDOM_DROPOUT && site < MAX_SITES);
    if (site < MAX_SITES) asked[site] += n;
    t0_kernels_at(0)->dropout(y, x, n, rate, seed, purpose, first);
}

/* Each element's mask is drawn `times` times at this place, which is then crossed off. */
static void check_place(bool decoder, size_t block, t0_dropout_place place, size_t elements, size_t times) {
    const size_t site = block << 4 | (size_t)decoder << 3 | (size_t)place;
    if (asked[site] != times * elements) fprintf(stderr, "decoder %d, block %zu, place %d:\n", decoder, block, (int)place);
    CHECK(asked[site] == times * elements);
    asked[site] = 0;
}

/* Attention weights of one head: the sum of queries times keys. */
static size_t pairs(const t0_ragged *queries, const t0_ragged *keys) {
    size_t sum = 0;
    for (size_t b = 0; b < queries->n; b++)
        sum += (size_t)(queries->offsets[b + 1] - queries->offsets[b]) * (size_t)(keys->offsets[b + 1] - keys->offsets[b]);
    return sum;
}

static void check_places(const t0_config *c, bool decoder, const t0_ragged *own, const t0_ragged *sources) {
    const size_t rows = (size_t)own->offsets[own->n], d = (size_t)c->d_model, f = (size_t)c->d_ff, h = (size_t)c->n_heads;
    const size_t n_blocks = (size_t)(decoder ? c->n_decoder_layers : c->n_layers);
    /* A sub-layer's mask serves its forward and its backward pass; attention weights and activations, which are made again, need theirs
     * twice on the way back. */
    check_place(decoder, 0, T0_DROP_EMBEDDING, rows * d, 2);
    for (size_t l = 0; l < n_blocks; l++) {
        check_place(decoder, l, T0_DROP_SELF_P, h * pairs(own, own), 3);
        check_place(decoder, l, T0_DROP_SELF, rows * d, 2);
        if (decoder) check_place(decoder, l, T0_DROP_CROSS_P, h * pairs(own, sources), 3);
        if (decoder) check_place(decoder, l, T0_DROP_CROSS, rows * d, 2);
        check_place(decoder, l, T0_DROP_INNER, rows * f, 3);
        check_place(decoder, l, T0_DROP_FFN, rows * d, 2);
    }
    check_place(decoder, n_blocks, T0_DROP_FINAL, rows * d, 2);
}

static void masks_are_drawn_at_every_place_of_t5_and_nowhere_else(void) {
    static sequences sources, targets;
    draw(&sources, 5, 1, 8, 29, 21);
    draw(&targets, 5, 1, 5, 29, 22);
    t0_kernels counting = *t0_kernels_at(0);
    counting.dropout = counting_dropout;
    t0_trainer_options options = PLAIN;
    options.dropout = 0.25f;
    for (int gated = 0; gated < 2; gated++) {
        const t0_config config = varied(gated, gated, 3, 2, 3);
        t0_model *model = make_model(config, 9);
        t0_trainer *trainer = make_trainer_on(&counting, model, options, 1);
        gradients(trainer, &sources, &targets, 1);
        check_places(&config, false, &sources.batch, &sources.batch);
        check_places(&config, true, &targets.batch, &sources.batch);
        for (size_t site = 0; site < MAX_SITES; site++) CHECK(asked[site] == 0);
        t0_trainer_free(trainer);
        t0_model_free(model);
    }
}

/* ---- the training step ------------------------------------------------------------------------------------------- */

/* About 1200 rows: each way cuts them into other pieces. */
static void check_shards(bool broadcast) {
    static sequences sources, targets;
    draw(&sources, 61, 1, 30, 29, 31);
    draw(&targets, 61, 1, 8, 29, 32);
    t0_model *model = make_model(PRIMES, 10);
    t0_trainer_options options = PLAIN;
    options.dropout = 0.2f;
    options.broadcast_dropout = broadcast;
    t0_trainer *wide = make_trainer(model, options, 1);
    const t0_step_result expected = gradients(wide, &sources, &targets, 1);
    const float *e = t0_trainer_gradient_block(wide);
    for (size_t shards = 2; shards <= 4; shards++) {
        options.n_shards = shards;
        t0_trainer *sharded = make_trainer(model, options, 2);
        const t0_step_result result = gradients(sharded, &sources, &targets, 1);
        CHECK_NEAR(result.loss, expected.loss, 0, 1e-6);
        CHECK_NEAR(result.grad_norm, expected.grad_norm, 0, 1e-5);
        CHECK(result.source_tokens == (size_t)sources.offsets[61] && result.target_tokens == (size_t)targets.offsets[61]);
        const float *g = t0_trainer_gradient_block(sharded);
        for (size_t i = 0; i < model->n_weights; i++) CHECK_NEAR(g[i], e[i], 1e-5, 1e-5);
        t0_trainer_free(sharded);
    }
    t0_trainer_free(wide);
    t0_model_free(model);
}

static void sharded_gradients_are_wide_gradients(void) {
    check_shards(false);
    check_shards(true);
}

/* Blocks that share their buffers: the same bits, one block's activations and the inputs of all. */
static void recomputed_activations_are_the_same(void) {
    static sequences sources, targets;
    draw(&sources, 7, 1, 60, 29, 33);
    draw(&targets, 7, 1, 40, 29, 34);
    t0_model *model = make_model(as_umt5(varied(true, false, 3, 6, 6)), 18); /* whose biases are laid out again too */
    FOR_KERNELS(kernels) {
        for (size_t shards = 1; shards <= 3; shards += 2) {
            t0_trainer_options options = {.scale_parameter = true, .n_shards = shards, .dropout = 0.2f, .seed = 5};
            options.bfloat16 = shards == 3 && kernels->dense->tile_bfloat16;
            t0_trainer *kept = make_trainer_on(kernels, model, options, 2);
            options.recompute = true;
            t0_trainer *again = make_trainer_on(kernels, model, options, 2);
            CHECK(t0_trainer_workspace_bytes(kept) == 0);
            CHECK_NEAR(gradients(again, &sources, &targets, 4).loss, gradients(kept, &sources, &targets, 4).loss, 0, 0);
            CHECK(same_bits(t0_trainer_gradient_block(again), t0_trainer_gradient_block(kept), model->n_weights));
            CHECK(2 * t0_trainer_workspace_bytes(again) < t0_trainer_workspace_bytes(kept));
            t0_trainer_free(kept), t0_trainer_free(again);
        }
    }
    t0_model_free(model);
}

/* Batch gradients are the mean of the examples', weighted by target tokens; each example gets a trainer of its own, whose
 * memory is as small as its plan says (the sanitizer sees what goes beyond). */
static void batch_gradients_are_those_of_single_examples(void) {
    static sequences sources, targets;
    draw(&sources, 6, 1, 5, 29, 35);
    draw(&targets, 6, 1, 4, 29, 36);
    sources.offsets[1] = 1, targets.offsets[1] = 2; /* one source token, two target tokens */
    t0_model *model = make_model(PRIMES, 11);
    t0_trainer *whole = make_trainer(model, PLAIN, 1);
    gradients(whole, &sources, &targets, 1);
    double *sum = calloc(model->n_weights, sizeof *sum);
    for (size_t b = 0; b < 6; b++) {
        int64_t at_source[2], at_target[2];
        const t0_ragged source = one_of(&sources.batch, b, at_source), target = one_of(&targets.batch, b, at_target);
        t0_trainer *one = make_trainer(model, PLAIN, 1);
        t0_step_result result;
        t0_error err;
        CHECK(t0_trainer_gradients(one, &result, &source, &target, 1, NULL, &err) == T0_OK);
        const double weight = (double)at_target[1] / (double)targets.offsets[6];
        for (size_t i = 0; i < model->n_weights; i++) sum[i] += weight * (double)t0_trainer_gradient_block(one)[i];
        t0_trainer_free(one);
    }
    for (size_t i = 0; i < model->n_weights; i++) CHECK_NEAR(t0_trainer_gradient_block(whole)[i], sum[i], 1e-5, 1e-5);
    free(sum);
    t0_trainer_free(whole);
    t0_model_free(model);
}

static const float RATES[] = {[T0_ADAFACTOR] = 0.05f, [T0_ADAMW] = 0.01f, [T0_SGD] = 0.1f};

/* Weights after some steps with this many shards and threads. Free them. */
static float *train(const t0_kernels *kernels, size_t n_shards, size_t n_threads, t0_optimizer_kind kind, size_t steps, double *last_loss) {
    static sequences sources, targets;
    t0_model *model = make_model(varied(true, false, 3, 2, 2), 12);
    t0_trainer_options options = {.optimizer = kind,
                                  .scale_parameter = true,
                                  .beta1 = 0.9f,
                                  .beta2 = 0.99f,
                                  .epsilon = 1e-8f,
                                  .momentum = 0.9f,
                                  .clip_norm = 1.0f,
                                  .dropout = 0.1f,
                                  .seed = 3,
                                  .n_shards = n_shards};
    t0_trainer *trainer = make_trainer_on(kernels, model, options, n_threads);
    t0_error err;
    for (size_t step = 1; step <= steps; step++) {
        draw(&sources, 13, 2, 7, 29, step % 4);
        draw(&targets, 13, 1, 3, 29, step % 4 + 50);
        t0_step_result result = gradients(trainer, &sources, &targets, step);
        CHECK(t0_trainer_apply(trainer, &result, RATES[kind], step, NULL, NULL, &err) == T0_OK);
        *last_loss = result.loss;
    }
    float *weights = malloc(model->n_weights * sizeof *weights);
    memcpy(weights, model->weights, model->n_weights * sizeof *weights);
    t0_trainer_free(trainer);
    t0_model_free(model);
    return weights;
}

static void threads_do_not_change_a_bit(void) {
    t0_model *shape = make_model(varied(true, false, 3, 2, 2), 12);
    FOR_KERNELS(kernels) {
        for (size_t shards = 0; shards <= 1; shards++) {
            double loss;
            float *one = train(kernels, shards, 1, T0_ADAFACTOR, 5, &loss);
            for (size_t threads = 2; threads <= 3; threads++) {
                float *more = train(kernels, shards, threads, T0_ADAFACTOR, 5, &loss);
                CHECK(same_bits(one, more, shape->n_weights));
                free(more);
            }
            free(one);
        }
    }
    t0_model_free(shape);
}

/* Heads of 16 and vectors of 64: the kernels' straight paths, beside the remainders of PRIMES. */
static void kernel_sets_agree_on_gradients(void) {
    static sequences sources, targets;
    draw(&sources, 9, 1, 70, 101, 61);
    draw(&targets, 9, 1, 20, 101, 62);
    t0_config straight = PRIMES;
    straight.vocab_size = 101, straight.d_model = 64, straight.d_kv = 16, straight.n_heads = 4, straight.d_ff = 96;
    for (int which = 0; which < 2; which++) {
        t0_config config = which ? straight : PRIMES;
        config.vocab_size = 101;
        t0_model *model = make_model(config, 16);
        t0_trainer *plain = make_trainer(model, PLAIN, 1);
        const double norm = gradients(plain, &sources, &targets, 1).grad_norm;
        const float *expected = t0_trainer_gradient_block(plain);
        for (size_t i = 1; t0_kernels_at(i); i++) {
            if (!t0_kernels_available(t0_kernels_at(i))) continue;
            t0_trainer *other = make_trainer_on(t0_kernels_at(i), model, PLAIN, 1);
            gradients(other, &sources, &targets, 1);
            const float *g = t0_trainer_gradient_block(other);
            double difference = 0;
            for (size_t j = 0; j < model->n_weights; j++) difference += ((double)g[j] - expected[j]) * ((double)g[j] - expected[j]);
            CHECK_NEAR(sqrt(difference), 0, 2e-5 * norm, 0);
            t0_trainer_free(other);
        }
        t0_trainer_free(plain);
        t0_model_free(model);
    }
}

static void training_learns_a_small_set_by_heart(void) {
    for (int kind = T0_ADAFACTOR; kind <= T0_SGD; kind++) {
        double first = 0, last = 0;
        free(train(t0_kernels_at(0), 0, 1, (t0_optimizer_kind)kind, 1, &first));
        free(train(t0_kernels_at(0), 0, 1, (t0_optimizer_kind)kind, 300, &last));
        CHECK(first > 2.5);
        CHECK(last < 0.7 * first);
    }
}

static size_t n_states(t0_trainer *trainer) {
    size_t n;
    t0_trainer_state_block(trainer, &n);
    return n;
}

/* Every third tensor frozen: it keeps its bits, whatever its gradient, and counts neither in the norm nor in the state. */
static void frozen_tensors_are_left_out_of_the_step(void) {
    static sequences sources, targets;
    draw(&sources, 9, 2, 9, 29, 41);
    draw(&targets, 9, 1, 4, 29, 42);
    for (size_t shards = 1; shards <= 3; shards += 2) {
        t0_model *model = make_model(varied(true, true, 3, 2, 2), 17);
        bool frozen[100] = {0};
        size_t frozen_weights = 0;
        for (size_t i = 0; i < model->n_tensors; i += 3) {
            frozen[i] = true;
            frozen_weights += model->tensors[i].rows * model->tensors[i].columns;
        }
        t0_trainer_options options = {.optimizer = T0_ADAMW,
                                      .beta1 = 0.9f,
                                      .beta2 = 0.99f,
                                      .epsilon = 1e-8f,
                                      .weight_decay = 0.1f,
                                      .clip_norm = 0.01f,
                                      .n_shards = shards,
                                      .frozen = frozen};
        t0_trainer *trainer = make_trainer(model, options, 2);
        CHECK(n_states(trainer) == 2 * (model->n_weights - frozen_weights));
        t0_step_result result = gradients(trainer, &sources, &targets, 1);
        float *g = t0_trainer_gradient_block(trainer), *w = malloc(model->n_weights * sizeof *w);
        memcpy(w, model->weights, model->n_weights * sizeof *w);
        double sum = 0;
        for (size_t i = 0; i < model->n_tensors; i++)
            for (size_t j = 0; !frozen[i] && j < model->tensors[i].rows * model->tensors[i].columns; j++)
                sum += (double)g[model->tensors[i].offset + j] * g[model->tensors[i].offset + j];
        CHECK_NEAR(result.grad_norm, sqrt(sum), 0, 1e-6);
        g[model->tensors[0].offset] = NAN;
        t0_error err;
        CHECK(t0_trainer_apply(trainer, &result, 0.01f, 1, NULL, NULL, &err) == T0_OK);
        CHECK_NEAR(result.grad_norm, sqrt(sum), 0, 1e-6);
        for (size_t i = 0; i < model->n_tensors; i++) {
            const size_t at = model->tensors[i].offset;
            CHECK(same_bits(w + at, model->weights + at, model->tensors[i].rows * model->tensors[i].columns) == frozen[i]);
        }
        memset(frozen, true, sizeof frozen); /* the trainer has its own */
        CHECK(t0_trainer_apply(trainer, &result, 0.01f, 2, NULL, NULL, &err) == T0_OK && !same_bits(w, model->weights, model->n_weights));
        t0_trainer *none = NULL;
        CHECK(t0_trainer_new(&none, model, &options, t0_kernels_at(0), 1, &err) == T0_EVALUE && strstr(err.message, "at least one"));
        free(w);
        t0_trainer_free(trainer);
        t0_model_free(model);
    }
}

typedef struct stop_after {
    int left;
} stop_after;
static bool stops(void *context) { return ((stop_after *)context)->left-- <= 0; }

static void an_interrupted_step_changes_nothing(void) {
    static sequences sources, targets;
    draw(&sources, 9, 2, 9, 29, 41);
    draw(&targets, 9, 1, 4, 29, 42);
    for (size_t shards = 0; shards <= 1; shards++) {
        t0_model *model = make_model(PRIMES, 13);
        t0_trainer_options options = PLAIN;
        options.n_shards = shards;
        t0_trainer *trainer = make_trainer(model, options, 2);
        gradients(trainer, &sources, &targets, 1);
        float *g = malloc(model->n_weights * sizeof *g), *w = malloc(model->n_weights * sizeof *w);
        memcpy(g, t0_trainer_gradient_block(trainer), model->n_weights * sizeof *g);
        memcpy(w, model->weights, model->n_weights * sizeof *w);
        for (int after = 0; after < 20; after += 3) {
            stop_after left = {after};
            const t0_poll poll = {stops, &left};
            t0_step_result result;
            t0_error err;
            CHECK(t0_trainer_gradients(trainer, &result, &sources.batch, &targets.batch, 1, &poll, &err) == T0_EINTERRUPT);
            CHECK(same_bits(w, model->weights, model->n_weights));
        }
        gradients(trainer, &sources, &targets, 1);
        CHECK(same_bits(g, t0_trainer_gradient_block(trainer), model->n_weights));
        free(g), free(w);
        t0_trainer_free(trainer);
        t0_model_free(model);
    }
}

/* Stopped at the n-th question: nothing, or a part of the weights has changed; the same step, made anew, is none the worse. */
static void an_abandoned_optimizer_step_harms_no_other(void) {
    static sequences sources, targets;
    draw(&sources, 9, 2, 9, 29, 41);
    draw(&targets, 9, 1, 4, 29, 42);
    t0_model *model = make_model(varied(true, false, 3, 2, 2), 12);
    t0_trainer *trainer = make_trainer(model, (t0_trainer_options){.optimizer = T0_SGD, .n_shards = 1}, 2);
    t0_step_result result = gradients(trainer, &sources, &targets, 1);
    const size_t size = model->n_weights * sizeof(float);
    float *before = memcpy(malloc(size), model->weights, size), *after = malloc(size);
    t0_error err;
    CHECK(t0_trainer_apply(trainer, &result, 0.01f, 1, NULL, NULL, &err) == T0_OK);
    memcpy(after, model->weights, size);
    for (int n = 0, status = T0_EINTERRUPT; status == T0_EINTERRUPT; n = n < 5 ? n + 1 : 2 * n) {
        memcpy(model->weights, before, size);
        status = t0_trainer_apply(trainer, &result, 0.01f, 1, NULL, &(t0_poll){stops, &(stop_after){n}}, &err);
        CHECK((status == T0_OK) == same_bits(after, model->weights, model->n_weights));
    }
    free(before), free(after);
    t0_trainer_free(trainer);
    t0_model_free(model);
}

static void without_memory_a_trainer_stays_usable(void) {
    static sequences sources, targets;
    draw(&sources, 9, 2, 9, 29, 41);
    draw(&targets, 9, 1, 4, 29, 42);
    t0_model *model = make_model(PRIMES, 14);
    t0_error err;
    long needed = 0;
    t0_trainer *trainer = NULL;
    for (t0_status status = T0_ENOMEM; status != T0_OK; needed++) {
        t0_trainer_options options = PLAIN;
        options.n_shards = 4;
        t0_alloc_fail_after(needed);
        status = t0_trainer_new(&trainer, model, &options, t0_kernels_at(0), 1, &err);
        t0_alloc_fail_after(-1);
        CHECK(status == T0_OK || (status == T0_ENOMEM && !trainer));
        if (needed > 1000) return;
    }
    CHECK(needed > 8);
    t0_step_result result;
    for (long after = 0; after < 8; after++) {
        t0_alloc_fail_after(after);
        CHECK(t0_trainer_gradients(trainer, &result, &sources.batch, &targets.batch, 1, NULL, &err) == T0_ENOMEM);
        t0_alloc_fail_after(-1);
        t0_trainer_free(trainer);
        t0_trainer_options options = PLAIN;
        options.n_shards = 4;
        trainer = make_trainer(model, options, 1);
    }
    t0_alloc_fail_after(2);
    CHECK(t0_trainer_gradients(trainer, &result, &sources.batch, &targets.batch, 1, NULL, &err) == T0_ENOMEM);
    t0_alloc_fail_after(-1);
    const double loss = gradients(trainer, &sources, &targets, 1).loss;
    t0_alloc_fail_after(0); /* a batch of the same size asks for nothing more */
    CHECK_NEAR(gradients(trainer, &sources, &targets, 1).loss, loss, 0, 0);
    t0_alloc_fail_after(-1);
    t0_trainer_free(trainer);
    t0_model_free(model);
}

/* The plan of the outline of a model for offsets alone, against a trainer that has had the batch. */
static void check_plan(t0_config config, t0_trainer_options options, size_t n_threads) {
    static sequences sources, targets;
    draw(&sources, 11, 1, 60, 29, 51);
    draw(&targets, 11, 1, 25, 29, 52);
    t0_model *model = make_model(config, 16), *outline = NULL;
    t0_error err;
    CHECK(t0_model_outline(&outline, &config, false, T0_FLOAT32, &err) == T0_OK && !outline->weights);
    const t0_ragged lengths[2] = {{.offsets = sources.offsets, .n = 11}, {.offsets = targets.offsets, .n = 11}};
    t0_training_bytes plan, empty;
    CHECK(t0_trainer_plan(&plan, outline, &options, n_threads, &lengths[0], &lengths[1], &err) == T0_OK);
    t0_trainer *trainer = make_trainer(model, options, n_threads);
    gradients(trainer, &sources, &targets, 1);
    size_t n_states;
    t0_trainer_state_block(trainer, &n_states);
    CHECK(plan.activations == t0_trainer_workspace_bytes(trainer) && plan.states == n_states * sizeof(float));
    CHECK(plan.gradients == options.n_shards * model->n_weights * sizeof(float));
    const int64_t none[1] = {0};
    const t0_ragged nothing = {.ids = NULL, .offsets = none, .n = 0};
    CHECK(t0_trainer_plan(&empty, outline, &options, n_threads, &nothing, &nothing, &err) == T0_OK);
    CHECK(empty.activations == 0 && empty.states == plan.states && empty.gradients == plan.gradients && empty.tokens == plan.tokens);
    t0_trainer_free(trainer);
    t0_model_free(outline);
    t0_model_free(model);
}

static void the_plan_of_a_training_is_what_it_holds(void) {
    for (int i = 0; i < 16; i++) {
        t0_trainer_options options = PLAIN;
        options.n_shards = i & 1 ? 4 : 1;
        options.recompute = i & 2;
        options.dropout = i & 4 ? 0.1f : 0.0f;
        options.optimizer = i & 8 ? T0_ADAMW : T0_ADAFACTOR;
        check_plan(varied(i & 1, i & 4, 2 + (i & 1), 1 + i % 3, 3 - i % 3), options, 1 + (size_t)i % 2);
    }
}

static void plans_of_what_cannot_be_are_refused(void) {
    t0_model *outline = NULL;
    t0_error err;
    t0_training_bytes plan;
    CHECK(t0_model_outline(&outline, &PRIMES, false, T0_FLOAT32, &err) == T0_OK);
    const int64_t one[2] = {0, 1}, none[2] = {0, 0}, long_one[2] = {0, (int64_t)1 << 40}, two[3] = {0, 1, 2};
    const t0_ragged short_batch = {.ids = NULL, .offsets = one, .n = 1}, hollow = {.ids = NULL, .offsets = none, .n = 1},
                    huge = {.ids = NULL, .offsets = long_one, .n = 1}, other = {.ids = NULL, .offsets = two, .n = 2};
    CHECK(t0_trainer_plan(&plan, outline, &PLAIN, 1, &short_batch, &other, &err) == T0_EVALUE && strstr(err.message, "1 sources and 2"));
    CHECK(t0_trainer_plan(&plan, outline, &PLAIN, 1, &hollow, &short_batch, &err) == T0_EVALUE &&
          strstr(err.message, "sources: sequence 0"));
    CHECK(t0_trainer_plan(&plan, outline, &PLAIN, 1, &short_batch, &huge, &err) == T0_EVALUE &&
          strstr(err.message, "1099511627776 tokens"));
    t0_trainer_options wrong = PLAIN;
    wrong.dropout = 1.0f;
    CHECK(t0_trainer_plan(&plan, outline, &wrong, 1, &short_batch, &short_batch, &err) == T0_EVALUE && strstr(err.message, "dropout"));
    t0_status status = T0_ENOMEM;
    for (long allowed = 0; status != T0_OK && allowed < 100; allowed++) {
        t0_alloc_fail_after(allowed);
        status = t0_trainer_plan(&plan, outline, &PLAIN, 1, &short_batch, &short_batch, &err);
        t0_alloc_fail_after(-1);
        CHECK(status == T0_OK ? allowed > 2 : status == T0_ENOMEM);
    }
    CHECK(status == T0_OK);
    t0_model_free(outline);
    CHECK(t0_model_outline(&outline, &PRIMES, true, T0_INT8, &err) == T0_OK);
    CHECK(t0_trainer_plan(&plan, outline, &PLAIN, 1, &short_batch, &short_batch, &err) == T0_EVALUE && strstr(err.message, "packed"));
    t0_model_free(outline);
}

static void numbers_that_are_not_finite_are_named(void) {
    static sequences sources, targets;
    draw(&sources, 3, 2, 9, 29, 41);
    draw(&targets, 3, 1, 4, 29, 42);
    t0_model *model = make_model(PRIMES, 15);
    t0_trainer *trainer = make_trainer(model, PLAIN, 1);
    t0_step_result result = gradients(trainer, &sources, &targets, 1);
    t0_error err;
    const t0_tensor *wo = t0_model_find(model, "decoder.block.2.layer.2.DenseReluDense.wo.weight");
    float *g = t0_trainer_gradient_block(trainer), kept = g[wo->offset + 5], weight = model->weights[0];
    g[wo->offset + 5] = INFINITY;
    CHECK(t0_trainer_apply(trainer, &result, 0.01f, 17, NULL, NULL, &err) == T0_ENUMERIC && strstr(err.message, wo->name) &&
          strstr(err.message, "step 17"));
    CHECK(model->weights[0] == weight);
    g[wo->offset + 5] = kept;
    CHECK(t0_trainer_apply(trainer, &result, 0.01f, 17, NULL, NULL, &err) == T0_OK && model->weights[0] != weight);
    CHECK(!t0_model_find_nonfinite(model));
    model->weights[wo->offset + 3] = NAN;
    CHECK(t0_model_find_nonfinite(model) == wo);
    CHECK(t0_trainer_gradients(trainer, &result, &sources.batch, &targets.batch, 4, NULL, &err) == T0_ENUMERIC);
    CHECK(strstr(err.message, wo->name) && strstr(err.message, "step 4"));
    t0_trainer_free(trainer);
    t0_model_free(model);
}

int main(void) {
    T0_RUN(gradients_agree_with_differences);
    T0_RUN(gradients_agree_with_differences_under_dropout);
    T0_RUN(masks_are_drawn_at_every_place_of_t5_and_nowhere_else);
    T0_RUN(sharded_gradients_are_wide_gradients);
    T0_RUN(recomputed_activations_are_the_same);
    T0_RUN(batch_gradients_are_those_of_single_examples);
    T0_RUN(threads_do_not_change_a_bit);
    T0_RUN(kernel_sets_agree_on_gradients);
    T0_RUN(training_learns_a_small_set_by_heart);
    T0_RUN(frozen_tensors_are_left_out_of_the_step);
    T0_RUN(an_interrupted_step_changes_nothing);
    T0_RUN(an_abandoned_optimizer_step_harms_no_other);
    T0_RUN(without_memory_a_trainer_stays_usable);
    T0_RUN(the_plan_of_a_training_is_what_it_holds);
    T0_RUN(plans_of_what_cannot_be_are_refused);
    T0_RUN(numbers_that_are_not_finite_are_named);
    return t0_report();
}
