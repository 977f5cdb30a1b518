/* Inference: greedy generation on a decoder (t5/decoder.h).
 *
 *     y[0] = argmax_v z(start)[v],  y[t] = argmax_v z(start, y[0..t-1])[v],  until eos or max_new_tokens
 *
 * Sources go in groups: every step adds one row for each sequence that has not ended. The first of several equal maxima wins. */
#include "t5/decoder.h"
#include "t5/groups.h"

typedef struct generate_call {
    const t0_model *model;
    t0_exec *exec;
    const t0_poll *poll;
    const t0_ragged *sources;
    const t0_generation *options;
    int32_t *ids_out, *lengths_out; /* [B, M], [B] */
    double *scores_out;             /* [B] */
    /* Sequences of a group that go on, sized for the largest group (owned). */
    size_t n_active;
    int32_t *active;  /* [B] source of each */
    int32_t *ids;     /* [B] its last token */
    int64_t *parents; /* [B] the row of the one before */
    float *logits;    /* [rows, V]: of as many sequences as are held at a time */
} generate_call;

static size_t new_tokens(const generate_call *call) { return (size_t)call->options->max_new_tokens; }

/* The best token of one row of logits and its log p. */
static void pick(const generate_call *call, const float *logits, bool may_end, int32_t *id, double *score) {
    const t0_config *config = &call->model->config;
    int32_t best = -1;
    for (int32_t v = 0; v < config->vocab_size; v++) {
        if (!may_end && v == config->eos_id) continue;
        if (best < 0 || logits[v] > logits[best]) best = v;
    }
    if (best < 0) best = config->eos_id; /* a vocabulary of one */
    const float norm = t0_exec_kernels(call->exec)->log_sum_exp(logits, (size_t)config->vocab_size);
    *id = best;
    *score = (double)logits[best] - (double)norm;
}

/* Takes the step's tokens of sequences begin .. end - 1, whose new rows begin at `row`; those that go on stay. */
static void take_tokens(generate_call *call, size_t first, size_t begin, size_t end, size_t row, size_t t, size_t *stay) {
    const t0_config *config = &call->model->config;
    const bool may_end = t >= (size_t)call->options->min_new_tokens;
    for (size_t a = begin; a < end; a++) {
        const size_t b = first + (size_t)call->active[a];
        int32_t id;
        double score;
        pick(call, call->logits + (a - begin) * (size_t)config->vocab_size, may_end, &id, &score);
        call->ids_out[b * new_tokens(call) + t] = id;
        call->lengths_out[b] = (int32_t)(t + 1);
        call->scores_out[b] += score;
        if (id == config->eos_id) continue;
        call->ids[*stay] = id;
        call->parents[*stay] = (int64_t)(row + a - begin);
        call->active[(*stay)++] = call->active[a];
    }
}

static t0_status generate_steps(generate_call *call, t0_decoder *decoder, size_t first, t0_error *err) {
    const size_t most = t0_logit_rows(call->model, call->n_active);
    for (size_t t = 0; t < new_tokens(call) && call->n_active > 0; t++) {
        size_t stay = 0;
        for (size_t begin = 0; begin < call->n_active; begin += most) {
            const size_t n = call->n_active - begin < most ? call->n_active - begin : most, row = t0_decoder_rows(decoder);
            T0_TRY(t0_decoder_step(decoder, call->exec, call->logits, n, call->ids + begin, call->active + begin, call->parents + begin,
                                   call->poll, err));
            take_tokens(call, first, begin, begin + n, row, t, &stay);
        }
        call->n_active = stay;
    }
    return T0_OK;
}

static t0_status generate_group(generate_call *call, size_t first, size_t end, int64_t *local, t0_error *err) {
    t0_group_offsets(local, call->sources->offsets, first, end);
    const t0_ragged *all = call->sources;
    const t0_ragged group = {all->ids + all->offsets[first], local, end - first, all->adapters ? all->adapters + first : NULL};
    call->n_active = end - first;
    for (size_t b = 0; b < call->n_active; b++) {
        call->active[b] = (int32_t)b;
        call->ids[b] = call->model->config.decoder_start_id;
        call->parents[b] = -1;
    }
    t0_decoder *decoder = NULL;
    T0_TRY(t0_decoder_new(&decoder, call->model, call->exec, &group, call->poll, err));
    const t0_status status = generate_steps(call, decoder, first, err);
    t0_decoder_free(decoder);
    return status;
}

/* The end of the group from `first`: source and new tokens within the bound of cross keys and values. */
static size_t group_end(const generate_call *call, size_t first) {
    const size_t limit = t0_held_tokens(call->model);
    const int64_t *offsets = call->sources->offsets;
    size_t end = first + 1;
    while (end < call->sources->n && (size_t)(offsets[end + 1] - offsets[first]) + (end + 1 - first) * new_tokens(call) <= limit) end++;
    return end;
}

static t0_status generate_groups(generate_call *call, t0_error *err) {
    const size_t n = call->sources->n, vocab = (size_t)call->model->config.vocab_size, rows = t0_logit_rows(call->model, n ? n : 1);
    int64_t *local = t0_alloc((n + 1) * sizeof *local);
    call->active = t0_alloc(n * sizeof *call->active);
    call->ids = t0_alloc(n * sizeof *call->ids);
    call->parents = t0_alloc(n * sizeof *call->parents);
    call->logits = t0_alloc(rows * vocab * sizeof *call->logits);
    t0_status status = T0_OK;
    if (!local || !call->active || !call->ids || !call->parents || !call->logits)
        status = t0_fail_memory(err, n * 24 + rows * vocab * sizeof *call->logits);
    for (size_t first = 0, end; first < n && status == T0_OK; first = end) {
        end = group_end(call, first);
        status = generate_group(call, first, end, local, err);
    }
    t0_free(local);
    t0_free(call->active);
    t0_free(call->ids);
    t0_free(call->parents);
    t0_free(call->logits);
    return status;
}

static t0_status generate_check(const t0_model *model, const t0_ragged *sources, const t0_generation *options, t0_error *err) {
    T0_TRY(t0_model_check_decoder(model, err));
    T0_TRY(t0_ragged_check(sources, "sources", model->config.vocab_size, err));
    if (options->max_new_tokens < 1) return t0_fail(err, T0_EVALUE, "max_new_tokens %d: at least 1", options->max_new_tokens);
    if (options->min_new_tokens < 0 || options->min_new_tokens > options->max_new_tokens)
        return t0_fail(err, T0_EVALUE, "min_new_tokens %d: from 0 to max_new_tokens, %d", options->min_new_tokens, options->max_new_tokens);
    return T0_OK;
}

t0_status t0_generate(const t0_model *model, t0_exec *exec, int32_t *ids_out, int32_t *lengths_out, double *scores_out,
                      const t0_ragged *sources, const t0_generation *options, const t0_poll *poll, t0_error *err) {
    T0_TRY(generate_check(model, sources, options, err));
    generate_call call = {.model = model,
                          .exec = exec,
                          .poll = poll,
                          .sources = sources,
                          .options = options,
                          .ids_out = ids_out,
                          .lengths_out = lengths_out,
                          .scores_out = scores_out};
    for (size_t b = 0; b < sources->n; b++) scores_out[b] = 0.0;
    return generate_groups(&call, err);
}
