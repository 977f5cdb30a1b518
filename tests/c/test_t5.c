/* The model's table, its initialisation and its forward passes: known counts, stated deviations, and passes against
 * themselves in parts. */
#include "t5_models.h"

#include "t5/forward.h"

/* ---- the table --------------------------------------------------------------------------------------------------- */

static void the_table_has_the_hubs_names_and_counts(void) {
    const t0_config small = {.vocab_size = 32128,
                             .d_model = 512,
                             .d_kv = 64,
                             .d_ff = 1024,
                             .n_layers = 8,
                             .n_decoder_layers = 8,
                             .n_heads = 6,
                             .n_buckets = 32,
                             .max_distance = 128,
                             .norm_epsilon = 1e-6f,
                             .gated = true,
                             .eos_id = 1};
    t0_model *model = NULL;
    t0_error err;
    CHECK(t0_model_new(&model, &small, &err) == T0_OK);
    CHECK(model->n_weights == 76961152 && model->n_tensors == 190);
    const t0_tensor *k = t0_model_find(model, "decoder.block.3.layer.1.EncDecAttention.k.weight");
    CHECK(k && k->rows == 384 && k->columns == 512 && k->offset == model->decoder.blocks[3].cross_kv);
    const t0_tensor *bias = t0_model_find(model, "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight");
    CHECK(bias && bias->rows == 32 && bias->columns == 6);
    const t0_tensor *wi = t0_model_find(model, "decoder.block.7.layer.2.DenseReluDense.wi_1.weight");
    CHECK(wi && wi->offset == model->decoder.blocks[7].wi + 1024 * 512);
    const t0_tensor *norm = t0_model_find(model, "encoder.final_layer_norm.weight");
    CHECK(norm && norm->is_vector && norm->rows == 1 && norm->columns == 512);
    CHECK(t0_model_find(model, "lm_head.weight")->offset == model->head);
    CHECK(!t0_model_find(model, "decoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight"));
    size_t end = 0;
    for (size_t i = 0; i < model->n_tensors; i++) {
        CHECK(model->tensors[i].offset == end);
        end += model->tensors[i].rows * model->tensors[i].columns;
    }
    CHECK(end == model->n_weights);
    t0_model_free(model);
}

static void expect_refused(t0_config config, const char *name) {
    t0_error err;
    t0_model *model = NULL;
    CHECK(t0_model_new(&model, &config, &err) == T0_EVALUE && strstr(err.message, name) && !model);
}

static void bad_configurations_are_refused_by_name(void) {
    t0_config c;
    c = PRIMES, c.vocab_size = 0, expect_refused(c, "vocab_size 0: must be a whole number from 1 to 268435456");
    c = PRIMES, c.d_model = -3, expect_refused(c, "d_model -3: must be");
    c = PRIMES, c.d_kv = 1 << 23, c.n_heads = 1 << 23, expect_refused(c, "num_heads 8388608 x d_kv 8388608: must be at most 16777216");
    c = PRIMES, c.n_buckets = 3, expect_refused(c, "relative_attention_num_buckets 3: must be a whole number from 4 to 65536 (with fewer");
    c = PRIMES, c.max_distance = 4, expect_refused(c, "relative_attention_max_distance 4: must be above ");
    c = PRIMES, c.eos_id = 29, expect_refused(c, "eos_token_id 29: must be a whole number from 0 to 28, which is vocab_size - 1");
    c = PRIMES, c.norm_epsilon = NAN, expect_refused(c, "layer_norm_epsilon nan: must be above 0 and less than 1");
    c = PRIMES, c.dropout = 1.0f, expect_refused(c, "dropout_rate 1: must be at least 0 and less than 1");
    c = PRIMES, c.d_kv = 0, c.n_layers = 4097, c.pad_id = -1; /* all of the sizes at once, and the rest when they are right */
    expect_refused(
        c, "configuration: d_kv 0: must be a whole number from 1 to 16777216; num_layers 4097: must be a whole number from 1 to 4096");
    c = PRIMES, c.pad_id = -1, c.dropout = 2.0f;
    expect_refused(
        c,
        "configuration: pad_token_id -1: must be a whole number from 0 to 28, which is vocab_size - 1; dropout_rate 2: must be at least 0");
    c = PRIMES, c.d_model = c.d_ff = 1 << 24, c.n_layers = c.n_decoder_layers = 1 << 12, c.vocab_size = 1 << 28;
    t0_error err;
    t0_model *model = NULL;
    const t0_status status = t0_model_new(&model, &c, &err); /* 7e18 bytes and more */
    CHECK(status == T0_EVALUE || status == T0_ENOMEM);
}

/* T5's deviation of a matrix by the part of its name, of which it has one. */
static double stated_deviation(const t0_config *c, const char *name) {
    const double d = c->d_model, k = c->d_kv, inner = k * c->n_heads, f = c->d_ff;
    const struct {
        const char *part;
        double variance;
    } rule[] = {
        {"shared.", 1},    {".q.", 1 / (d * k)}, {".k.", 1 / d},  {".v.", 1 / d},      {".o.", 1 / inner},
        {"_bias.", 1 / d}, {".wi", 1 / d},       {".wo.", 1 / f}, {"lm_head.", 1 / d},
    };
    double found = NAN;
    for (size_t i = 0; i < sizeof rule / sizeof *rule; i++) {
        if (!strstr(name, rule[i].part)) continue;
        CHECK(isnan(found));
        found = sqrt(rule[i].variance);
    }
    return found;
}

/* Mean 0 and the stated deviation, within 4.5 standard errors of each; norms are 1. */
static void check_initial_tensor(const t0_model *model, const t0_tensor *t) {
    const float *w = model->weights + t->offset;
    const size_t n = t->rows * t->columns;
    double sum = 0, squares = 0;
    bool ones = true;
    for (size_t i = 0; i < n; i++) sum += w[i], squares += (double)w[i] * w[i], ones = ones && w[i] == 1.0f;
    CHECK(ones == t->is_vector);
    if (t->is_vector) return;
    const double std = stated_deviation(&model->config, t->name), count = (double)n;
    if (!(fabs(sqrt(squares / count) / std - 1) <= 4.5 / sqrt(2 * count))) fprintf(stderr, "%s:\n", t->name);
    CHECK_NEAR(sum / count, 0, 4.5 * std / sqrt(count), 0);
    CHECK_NEAR(sqrt(squares / count), std, 0, 4.5 / sqrt(2 * count));
}

/* D, I = H K and F differ, so that no deviation passes for another. */
static void initial_weights_have_the_stated_deviations(void) {
    for (int gated = 0; gated < 2; gated++) {
        t0_config c = varied(gated, false, 3, 2, 3);
        c.bias_every_layer = gated;
        c.d_model = 96, c.d_kv = 24, c.d_ff = 160, c.vocab_size = 300, c.n_buckets = 256, c.max_distance = 1024;
        t0_model *model = make_model(c, 0), *other = make_model(c, 0);
        init_model(model, T0_INIT_T5, 5);
        for (size_t i = 0; i < model->n_tensors; i++) check_initial_tensor(model, &model->tensors[i]);
        init_model(other, T0_INIT_T5, 5);
        CHECK(same_bits(model->weights, other->weights, model->n_weights));
        init_model(other, T0_INIT_T5, 6);
        CHECK(!same_bits(model->weights, other->weights, 100));
        t0_model_free(model);
        t0_model_free(other);
    }
}

/* Attention of the first block on random states: a matching head prefers the other mention of a word. */
static void matching_heads_find_the_same_word(void) {
    t0_config c = PRIMES;
    c.d_model = 64, c.d_kv = 16, c.n_heads = 4;
    t0_model *model = make_model(c, 0);
    init_model(model, T0_INIT_MATCHING, 3);
    const float *wq = model->weights + model->encoder.blocks[1].self_qkv, *wk = wq + 64 * 64;
    for (size_t h = 0; h < 4; h++) {
        double same = 0, different = 0;
        for (int word = 0; word < 50; word++) {
            float x[2][64], q[16] = {0}, k[2][16] = {{0}};
            t0_random_normal(x[0], 128, 11, 97, (uint64_t)word * 128);
            for (size_t i = 0; i < 16; i++)
                for (size_t d = 0; d < 64; d++) {
                    q[i] += wq[(h * 16 + i) * 64 + d] * x[0][d];
                    for (int j = 0; j < 2; j++) k[j][i] += wk[(h * 16 + i) * 64 + d] * x[j][d];
                }
            for (size_t i = 0; i < 16; i++) same += q[i] * k[0][i] / 50, different += q[i] * k[1][i] / 50;
        }
        if (h < 2) CHECK(same > 4 && fabs(different) < 1.5);
        else CHECK(fabs(same) < 1.5 && fabs(different) < 1.5);
    }
    const float *bias = model->weights + model->encoder.blocks[0].bias_table; /* 8 buckets: 0, -1, -2, -3..; then 4: none, +1, +2.. */
    CHECK(bias[0] == -4.0f && bias[1] == -4.0f && bias[4 + 2] == 4.0f && bias[5 * 4 + 3] == 4.0f);
    t0_model_free(model);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static void a_carver_counts_what_it_hands_out(void) {
    static _Alignas(T0_ALIGN) float memory[256];
    t0_carver size = {0}, at = {.base = memory};
    CHECK(!t0_carve(&size, 3, 7) && !t0_carve_items(&size, 5, 8) && !t0_carve(&size, 0, 9) && !t0_carve(&size, 1, 16));
    CHECK(t0_carve(&at, 3, 7) == memory && t0_carve_items(&at, 5, 8) == (void *)(memory + 32) && t0_carve(&at, 0, 9) == memory + 48);
    CHECK(t0_carve(&at, 1, 16) == memory + 48 && at.used == 64 && size.used == 64);
    t0_carve(&size, SIZE_MAX / 2, 3);
    t0_carve(&size, 1, 1);
    t0_workspace workspace = {0};
    t0_error err;
    CHECK(size.used == SIZE_MAX && t0_workspace_reserve(&workspace, size.used, &err) == T0_ENOMEM && !workspace.data);
    CHECK(t0_workspace_reserve(&workspace, 100, &err) == T0_OK && workspace.capacity == 100);
    float *kept = workspace.data;
    CHECK(t0_workspace_reserve(&workspace, 50, &err) == T0_OK && workspace.data == kept);
    t0_alloc_fail_after(0);
    CHECK(t0_workspace_reserve(&workspace, 200, &err) == T0_ENOMEM && workspace.data == kept && workspace.capacity == 100);
    t0_alloc_fail_after(-1);
    t0_workspace_free(&workspace);
    CHECK(!workspace.data && workspace.capacity == 0);
}

/* ---- the forward pass -------------------------------------------------------------------------------------------- */

/* Encoder states, then decoder output, of one batch; free both. */
typedef struct passed {
    float *states, *out;
} passed;

static passed forward(const t0_model *model, t0_exec *exec, const t0_ragged *sources, const t0_ragged *inputs) {
    const t0_pass pass = {.model = model, .exec = exec};
    const size_t s = (size_t)sources->offsets[sources->n], t = (size_t)inputs->offsets[inputs->n], d = (size_t)model->config.d_model;
    const t0_stack_shape encoder_shape = {.n_sequences = sources->n, .offsets = sources->offsets};
    const t0_stack_shape decoder_shape = {.decoder = true,
                                          .n_sequences = inputs->n,
                                          .offsets = inputs->offsets,
                                          .source_offsets = sources->offsets};
    t0_stack_forward encoder, decoder;
    t0_workspace workspace = {0};
    t0_carver size = {0};
    t0_error err;
    t0_stack_plan(&encoder, &pass, &encoder_shape);
    t0_stack_plan(&decoder, &pass, &decoder_shape);
    t0_stack_carve(&encoder, &size);
    t0_stack_carve(&decoder, &size);
    CHECK(t0_workspace_reserve(&workspace, size.used, &err) == T0_OK);
    memset(workspace.data, 0xff, workspace.capacity * sizeof(float)); /* NaN: nothing may be read before it is written */
    t0_carver at = {.base = workspace.data};
    t0_stack_carve(&encoder, &at);
    t0_stack_carve(&decoder, &at);
    CHECK(at.used == size.used);
    passed to = {t0_alloc(s * d * sizeof(float)), t0_alloc(t * d * sizeof(float))};
    float *cross = t0_alloc(t0_cross_size(model, s) * sizeof(float));
    CHECK(t0_encoder_forward(&encoder, to.states, sources->ids, &err) == T0_OK);
    t0_cross_forward(&pass, cross, to.states, s, 0);
    CHECK(t0_decoder_forward(&decoder, to.out, inputs->ids, cross, &err) == T0_OK);
    t0_free(cross);
    t0_workspace_free(&workspace);
    return to;
}

static void rows_together_are_rows_one_by_one(void) {
    static sequences sources, targets;
    const size_t n = 7;
    draw(&sources, n, 1, 9, 29, 1);
    draw(&targets, n, 1, 6, 29, 2);
    t0_model *model = make_model(varied(true, true, 3, 2, 3), 4);
    const size_t d = (size_t)model->config.d_model;
    FOR_KERNELS(kernels) {
        t0_exec *exec = make_exec(kernels, 1), *two = make_exec(kernels, 2);
        passed all = forward(model, exec, &sources.batch, &targets.batch), again = forward(model, two, &sources.batch, &targets.batch);
        CHECK(same_bits(all.states, again.states, (size_t)sources.offsets[n] * d));
        CHECK(same_bits(all.out, again.out, (size_t)targets.offsets[n] * d));
        for (size_t b = 0; b < n; b++) {
            int64_t at_source[2], at_target[2];
            const t0_ragged source = one_of(&sources.batch, b, at_source), target = one_of(&targets.batch, b, at_target);
            passed alone = forward(model, exec, &source, &target);
            CHECK(same_bits(alone.states, all.states + (size_t)sources.offsets[b] * d, (size_t)at_source[1] * d));
            CHECK(same_bits(alone.out, all.out + (size_t)targets.offsets[b] * d, (size_t)at_target[1] * d));
            t0_free(alone.states), t0_free(alone.out);
        }
        t0_free(all.states), t0_free(all.out), t0_free(again.states), t0_free(again.out);
        t0_exec_free(exec), t0_exec_free(two);
    }
    t0_model_free(model);
}

static void dropout_masks_are_keyed_by_place_and_have_mean_one(void) {
    enum { N = 300, D = 11 };
    static float ones[N * D], y[N * D], z[N * D];
    for (int i = 0; i < N * D; i++) ones[i] = 1.0f;
    const int64_t offsets[2] = {0, N};
    t0_model *model = make_model(PRIMES, 8);
    t0_exec *exec = make_exec(t0_kernels_at(0), 1);
    const t0_pass pass = {.model = model, .exec = exec, .dropout = 0.3f, .seed = 12};
    const t0_stack_shape shape = {.n_sequences = 1, .offsets = offsets};
    t0_stack_forward stack;
    t0_stack_plan(&stack, &pass, &shape);
    t0_stack_dropout(&stack, y, ones, D, 1, T0_DROP_SELF);
    t0_stack_dropout(&stack, z, ones, D, 1, T0_DROP_SELF);
    CHECK(same_bits(y, z, N * D));
    double sum = 0;
    for (int i = 0; i < N * D; i++) {
        CHECK(y[i] == 0.0f || fabsf(y[i] - 1.0f / 0.7f) < 1e-5f);
        sum += y[i];
    }
    CHECK_NEAR(sum / (N * D), 1.0, 0.05, 0);
    t0_stack_dropout(&stack, z, ones, D, 1, T0_DROP_FFN);
    CHECK(!same_bits(y, z, N * D));
    t0_stack_dropout(&stack, z, ones, D, 0, T0_DROP_SELF);
    CHECK(!same_bits(y, z, N * D));
    t0_exec_free(exec);
    t0_model_free(model);
}

static void broken_batches_are_refused_with_their_place(void) {
    const int32_t ids[] = {3, 4, 5, 29};
    const int64_t good[] = {0, 1, 3}, empty[] = {0, 1, 1}, beyond[] = {0, 2, 4}, late[] = {1, 2, 3};
    t0_error err;
    t0_ragged batch = {.ids = ids, .offsets = good, .n = 2};
    CHECK(t0_ragged_check(&batch, "targets", 29, &err) == T0_OK);
    batch.offsets = empty;
    CHECK(t0_ragged_check(&batch, "targets", 29, &err) == T0_EVALUE && strstr(err.message, "targets: sequence 1"));
    batch.offsets = beyond;
    CHECK(t0_ragged_check(&batch, "targets", 29, &err) == T0_EVALUE && strstr(err.message, "sequence 1, position 1: id 29"));
    batch.offsets = late;
    CHECK(t0_ragged_check(&batch, "targets", 29, &err) == T0_EVALUE);
    CHECK(strstr(err.message, "must begin with 0"));
}

int main(void) {
    T0_RUN(a_carver_counts_what_it_hands_out);
    T0_RUN(the_table_has_the_hubs_names_and_counts);
    T0_RUN(bad_configurations_are_refused_by_name);
    T0_RUN(initial_weights_have_the_stated_deviations);
    T0_RUN(matching_heads_find_the_same_word);
    T0_RUN(rows_together_are_rows_one_by_one);
    T0_RUN(dropout_masks_are_keyed_by_place_and_have_mean_one);
    T0_RUN(broken_batches_are_refused_with_their_place);
    return t0_report();
}
