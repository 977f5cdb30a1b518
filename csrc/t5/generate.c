/* Greedy generation with cached keys and values.
 *
 *     y[0] = argmax_v z(start)[v],  y[t] = argmax_v z(start, y[0..t-1])[v],  until eos or max_new_tokens
 *
 * Sources go in groups: one is encoded, its cross-attention keys and values are projected once, then every step decodes one
 * new row for each sequence that has not ended. The first of several equal maxima wins.
 * Self-attention cache of a group of B: layer l, sequence b, position t at  kv + l * layer_stride + (b * M + t) * 2I,  M the
 * most new tokens. Everything is sized for the longest step before anything is computed. */
#include "t5/groups.h"

#include <math.h>

typedef struct generate_call {
    t0_pass pass;
    const t0_ragged *sources;
    const t0_generation *options;
    int32_t *ids_out, *lengths_out; /* [B, M], [B] */
    double *scores_out;             /* [B] */
    /* Per group, all sized for all sources (owned). Active sequences: a < n_active, each a number within the group. */
    size_t n_local;
    int64_t *local_sources; /* [n_local + 1] offsets of the group's sources */
    int64_t *offsets;       /* [B + 1] 0, 1, 2, ...: one row a sequence */
    int64_t *write_rows;    /* [B] */
    int64_t *key_offsets;   /* [2B + 1] begin and end of sequence b at 2b and 2b + 1 */
    int32_t *key_of;        /* [B] */
    int32_t *active;        /* [B] */
    int32_t *ids;           /* [B] last tokens of the active ones */
} generate_call;

typedef struct generate_memory {
    float *states, *cross, *cache, *run, *decoded, *logits;
} generate_memory;

static size_t new_tokens(const generate_call *call) { return (size_t)call->options->max_new_tokens; }

/* Floats of one layer's cache of B sequences; SIZE_MAX on overflow. */
static size_t layer_floats(const generate_call *call, size_t n_sequences) {
    const t0_config *config = &call->pass.model->config;
    size_t rows, floats;
    if (!t0_size_mul(n_sequences, new_tokens(call), &rows)) return SIZE_MAX;
    if (!t0_size_mul(rows, 2 * t0_config_inner(config), &floats)) return SIZE_MAX;
    return floats;
}

/* ---- one step --------------------------------------------------------------------------------------------------------- */

/* Shape of the step at position t of the active sequences. */
static t0_stack_shape step_shape(generate_call *call, t0_key_cache *cache, size_t n_active, size_t t) {
    const size_t m = new_tokens(call);
    for (size_t a = 0; a < n_active; a++) {
        const size_t b = (size_t)call->active[a];
        call->write_rows[a] = (int64_t)(b * m + t);
        call->key_offsets[2 * b] = (int64_t)(b * m);
        call->key_offsets[2 * b + 1] = (int64_t)(b * m + t + 1);
        call->key_of[a] = (int32_t)(2 * b);
    }
    cache->write_rows = call->write_rows;
    cache->key_offsets = call->key_offsets;
    cache->key_of = call->key_of;
    return (t0_stack_shape){.decoder = true, .n_sequences = n_active, .offsets = call->offsets, .n_sources = call->n_local,
                            .source_offsets = call->local_sources, .source_of = call->active, .cache = cache};
}

/* The best token of one row of logits and its log p. False if a logit is not a number or the row has no finite maximum. */
static bool pick(const generate_call *call, const float *logits, bool may_end, int32_t *id, double *score) {
    const t0_config *config = &call->pass.model->config;
    int32_t best = -1;
    for (int32_t v = 0; v < config->vocab_size; v++) {
        if (!may_end && v == config->eos_id) continue;
        if (best < 0 || logits[v] > logits[best]) best = v;
    }
    if (best < 0) best = config->eos_id; /* a vocabulary of one */
    const float norm = t0_exec_kernels(call->pass.exec)->log_sum_exp(logits, (size_t)config->vocab_size);
    *id = best;
    *score = (double)logits[best] - (double)norm;
    return isfinite(*score);
}

/* Takes the step's tokens; the sequences that ended leave. Returns how many stay, or SIZE_MAX after an error. */
static size_t take_tokens(generate_call *call, const generate_memory *memory, size_t first, size_t n_active, size_t t, t0_error *err) {
    const t0_config *config = &call->pass.model->config;
    const size_t step = t0_logit_rows(call->pass.model, n_active), m = new_tokens(call);
    const bool may_end = t >= (size_t)call->options->min_new_tokens;
    size_t stay = 0;
    for (size_t row = 0; row < n_active; row += step) {
        const size_t rows = n_active - row < step ? n_active - row : step;
        t0_head_forward(&call->pass, memory->logits, memory->decoded + row * (size_t)config->d_model, rows);
        for (size_t a = row; a < row + rows; a++) {
            const size_t b = first + (size_t)call->active[a];
            int32_t id;
            double score;
            if (!pick(call, memory->logits + (a - row) * (size_t)config->vocab_size, may_end, &id, &score)) {
                t0_fail(err, T0_ENUMERIC, "sequence %zu, position %zu: the logits are not finite", b, t);
                return SIZE_MAX;
            }
            call->ids_out[b * m + t] = id;
            call->lengths_out[b] = (int32_t)(t + 1);
            call->scores_out[b] += score;
            if (id == config->eos_id) continue;
            call->ids[stay] = id;
            call->active[stay++] = call->active[a];
        }
    }
    return stay;
}

/* ---- one group --------------------------------------------------------------------------------------------------------- */

/* Lays out the memory of the group first..end-1; with base NULL only counts. Returns the floats needed. */
static size_t place_group(generate_call *call, generate_memory *memory, float *base, size_t first, size_t end) {
    const t0_model *model = call->pass.model;
    const size_t n = end - first, dim = (size_t)model->config.d_model;
    const size_t rows = (size_t)(call->sources->offsets[end] - call->sources->offsets[first]);
    t0_group_offsets(call->local_sources, call->sources->offsets, first, end);
    call->n_local = n;
    const t0_stack_shape encoder_shape = t0_encoder_shape(call->local_sources, n);
    t0_stack_run encoder, decoder;
    t0_stack_plan(&encoder, &call->pass, &encoder_shape);
    t0_key_cache cache = {.layer_stride = layer_floats(call, n)};
    for (size_t b = 0; b < n; b++) call->active[b] = (int32_t)b;
    const t0_stack_shape last_step = step_shape(call, &cache, n, new_tokens(call) - 1);
    t0_stack_plan(&decoder, &call->pass, &last_step);

    t0_carver carver = {.base = base};
    memory->states = t0_carve(&carver, rows, dim);
    memory->cross = t0_carve(&carver, 1, t0_cross_size(model, rows));
    memory->cache = t0_carve(&carver, model->decoder.n_blocks, cache.layer_stride);
    memory->run = t0_carve(&carver, 1, t0_size_max(encoder.n_floats, decoder.n_floats));
    memory->decoded = t0_carve(&carver, n, dim);
    memory->logits = t0_carve(&carver, t0_logit_rows(model, n), (size_t)model->config.vocab_size);
    return carver.used;
}

static t0_status encode_group(generate_call *call, const generate_memory *memory, size_t first, size_t end, t0_error *err) {
    t0_group_offsets(call->local_sources, call->sources->offsets, first, end);
    const t0_stack_shape shape = t0_encoder_shape(call->local_sources, end - first);
    t0_stack_run run;
    t0_stack_plan(&run, &call->pass, &shape);
    t0_stack_place(&run, memory->run);
    T0_TRY(t0_encoder_forward(&run, memory->states, call->sources->ids + call->sources->offsets[first], err));
    t0_cross_forward(&call->pass, memory->cross, memory->states, run.n_rows);
    return T0_OK;
}

static t0_status generate_group(generate_call *call, float *base, size_t first, size_t end, t0_error *err) {
    generate_memory memory;
    place_group(call, &memory, base, first, end);
    T0_TRY(encode_group(call, &memory, first, end, err));
    t0_key_cache cache = {.kv = memory.cache, .layer_stride = layer_floats(call, end - first)};
    size_t n_active = end - first;
    for (size_t b = 0; b < n_active; b++) {
        call->active[b] = (int32_t)b;
        call->ids[b] = call->pass.model->config.decoder_start_id;
    }
    for (size_t t = 0; t < new_tokens(call) && n_active > 0; t++) {
        const t0_stack_shape shape = step_shape(call, &cache, n_active, t);
        t0_stack_run run;
        t0_stack_plan(&run, &call->pass, &shape);
        t0_stack_place(&run, memory.run);
        T0_TRY(t0_decoder_forward(&run, memory.decoded, call->ids, memory.cross, err));
        n_active = take_tokens(call, &memory, first, n_active, t, err);
        if (n_active == SIZE_MAX) return T0_ENUMERIC;
    }
    return T0_OK;
}

/* ---- the call ---------------------------------------------------------------------------------------------------------- */

/* The end of the group from `first`: source and new tokens within the bound of cross keys and values. */
static size_t group_end(const generate_call *call, size_t first) {
    const size_t limit = t0_source_tokens(call->pass.model);
    const int64_t *offsets = call->sources->offsets;
    size_t end = first + 1;
    while (end < call->sources->n && (size_t)(offsets[end + 1] - offsets[first]) + (end + 1 - first) * new_tokens(call) <= limit) end++;
    return end;
}

static t0_status generate_groups(generate_call *call, t0_workspace *workspace, t0_error *err) {
    size_t floats = 0;
    for (size_t first = 0, end; first < call->sources->n; first = end) {
        end = group_end(call, first);
        generate_memory memory;
        floats = t0_size_max(floats, place_group(call, &memory, NULL, first, end));
    }
    T0_TRY(t0_workspace_reserve(workspace, floats, err));
    for (size_t first = 0, end; first < call->sources->n; first = end) {
        end = group_end(call, first);
        T0_TRY(generate_group(call, workspace->data, first, end, err));
    }
    return T0_OK;
}

static bool generate_allocate(generate_call *call) {
    const size_t n = call->sources->n;
    call->local_sources = t0_alloc((n + 1) * sizeof *call->local_sources);
    call->offsets = t0_alloc((n + 1) * sizeof *call->offsets);
    call->write_rows = t0_alloc(n * sizeof *call->write_rows);
    call->key_offsets = t0_alloc_zero((2 * n + 1) * sizeof *call->key_offsets);
    call->key_of = t0_alloc(n * sizeof *call->key_of);
    call->active = t0_alloc(n * sizeof *call->active);
    call->ids = t0_alloc(n * sizeof *call->ids);
    if (!call->local_sources || !call->offsets || !call->write_rows || !call->key_offsets || !call->key_of || !call->active || !call->ids)
        return false;
    for (size_t i = 0; i <= n; i++) call->offsets[i] = (int64_t)i;
    return true;
}

static void generate_free(generate_call *call) {
    t0_free(call->local_sources);
    t0_free(call->offsets);
    t0_free(call->write_rows);
    t0_free(call->key_offsets);
    t0_free(call->key_of);
    t0_free(call->active);
    t0_free(call->ids);
}

static t0_status generate_check(const t0_model *model, const t0_ragged *sources, const t0_generation *options, t0_error *err) {
    T0_TRY(t0_ragged_check(sources, "sources", model->config.vocab_size, err));
    if (options->max_new_tokens < 1) return t0_fail(err, T0_EVALUE, "max_new_tokens %d: at least 1", options->max_new_tokens);
    if (options->min_new_tokens < 0 || options->min_new_tokens > options->max_new_tokens)
        return t0_fail(err, T0_EVALUE, "min_new_tokens %d: from 0 to max_new_tokens, %d",
                       options->min_new_tokens, options->max_new_tokens);
    return T0_OK;
}

t0_status t0_generate(const t0_model *model, t0_exec *exec, int32_t *ids_out, int32_t *lengths_out, double *scores_out,
                      const t0_ragged *sources, const t0_generation *options, const t0_poll *poll, t0_error *err) {
    T0_TRY(generate_check(model, sources, options, err));
    generate_call call = {.pass = {.model = model, .exec = exec}, .sources = sources, .options = options,
                          .ids_out = ids_out, .lengths_out = lengths_out, .scores_out = scores_out};
    for (size_t b = 0; b < sources->n; b++) scores_out[b] = 0.0;
    t0_workspace workspace = {0};
    t0_exec_watch(exec, poll);
    t0_status status = generate_allocate(&call) ? T0_OK : t0_fail_memory(err, sources->n * 48);
    if (status == T0_OK) status = generate_groups(&call, &workspace, err);
    t0_workspace_free(&workspace);
    generate_free(&call);
    return t0_exec_unwatch(exec, status, err);
}
