/* Log-likelihoods of targets given sources: rank classification's work.
 *
 *     decoder inputs of target y[0..T-1]:  start, y[0], ..., y[T-2]
 *     token score n:  log p(y[n] | y[<n], source) = z[n, y[n]] - log sum_v exp z[n,v],     score = their sum
 *
 * Targets are ordered by source. A group of sources is encoded and its cross-attention keys and values are projected
 * once; its targets are then decoded in chunks of rows, and the logits of a few rows at a time are held.
 * Memory of a group: states [N,D] | cross keys and values [L,N,2I] | encoder pass, later decoder pass + its output [M,D]
 * + some logits. All of it is sized for the largest group before anything is computed. */
#include "t5/groups.h"

#include <math.h>

typedef struct score_call {
    t0_pass pass;
    const t0_ragged *sources, *targets;
    /* Targets ordered by source: place k holds target order[k] (all owned). */
    size_t *order;           /* [n targets] */
    size_t *first_of_source; /* [n sources + 1] into order */
    int32_t *ids;            /* [target tokens] decoder inputs, in this order */
    int32_t *labels;         /* [target tokens] */
    int64_t *offsets;        /* [n targets + 1] */
    int64_t *local_sources;  /* [n sources + 1] offsets of the group of n_local sources */
    size_t n_local;
    int64_t *local_targets;  /* [n targets + 1] offsets of a chunk */
    int32_t *local_source_of; /* [n targets] */
    double *scores;          /* out, caller's order */
    float *token_scores;     /* out, caller's order; borrowed */
    float *sorted_scores;    /* [target tokens] in this file's order */
} score_call;

/* Where a group's numbers lie. */
typedef struct group_memory {
    float *states, *cross, *run, *decoded, *logits;
} group_memory;

/* ---- ordering ------------------------------------------------------------------------------------------------------ */

/* Counting sort of targets by source, stable; then their decoder inputs and labels end to end. */
static void order_targets(score_call *call, const int32_t *source_of) {
    const t0_ragged *targets = call->targets;
    for (size_t s = 0; s <= call->sources->n; s++) call->first_of_source[s] = 0;
    for (size_t t = 0; t < targets->n; t++) call->first_of_source[source_of[t] + 1]++;
    for (size_t s = 0; s < call->sources->n; s++) call->first_of_source[s + 1] += call->first_of_source[s];
    for (size_t t = 0; t < targets->n; t++) call->order[call->first_of_source[source_of[t]]++] = t;
    for (size_t s = call->sources->n; s > 0; s--) call->first_of_source[s] = call->first_of_source[s - 1];
    call->first_of_source[0] = 0;

    const int32_t start_id = call->pass.model->config.decoder_start_id;
    int64_t at = 0;
    call->offsets[0] = 0;
    for (size_t k = 0; k < targets->n; k++) {
        const size_t t = call->order[k];
        for (int64_t n = targets->offsets[t]; n < targets->offsets[t + 1]; n++, at++) {
            call->labels[at] = targets->ids[n];
            call->ids[at] = n == targets->offsets[t] ? start_id : targets->ids[n - 1];
        }
        call->offsets[k + 1] = at;
    }
}

/* ---- one group ------------------------------------------------------------------------------------------------------ */

static void take_sources(score_call *call, size_t first, size_t end) {
    t0_group_offsets(call->local_sources, call->sources->offsets, first, end);
    call->n_local = end - first;
}

/* Prepares the decoder shape of targets first..end-1 (places in order), whose sources begin at first_source. */
static t0_stack_shape chunk_shape(score_call *call, size_t first, size_t end, size_t first_source) {
    t0_group_offsets(call->local_targets, call->offsets, first, end);
    size_t source = first_source;
    for (size_t k = first; k < end; k++) {
        while (call->first_of_source[source + 1] <= k) source++;
        call->local_source_of[k - first] = (int32_t)(source - first_source);
    }
    return (t0_stack_shape){.decoder = true, .n_sequences = end - first, .offsets = call->local_targets,
                            .n_sources = call->n_local, .source_offsets = call->local_sources, .source_of = call->local_source_of};
}

/* Lays out the memory of the group of sources first..end-1; with base NULL only counts. Returns the floats needed. */
static size_t place_group(score_call *call, group_memory *memory, float *base, size_t first, size_t end) {
    const t0_model *model = call->pass.model;
    const size_t dim = (size_t)model->config.d_model, rows = (size_t)(call->sources->offsets[end] - call->sources->offsets[first]);
    take_sources(call, first, end);
    const t0_stack_shape shape = t0_encoder_shape(call->local_sources, end - first);
    t0_stack_run run;
    t0_stack_plan(&run, &call->pass, &shape);
    size_t run_floats = run.n_floats, target_rows = 0;
    const size_t last = call->first_of_source[end];
    for (size_t k = call->first_of_source[first], stop; k < last; k = stop) {
        stop = t0_group_end(call->offsets, last, k, t0_pass_rows(call->pass.model));
        const t0_stack_shape chunk = chunk_shape(call, k, stop, first);
        t0_stack_plan(&run, &call->pass, &chunk);
        run_floats = t0_size_max(run_floats, run.n_floats);
        target_rows = t0_size_max(target_rows, run.n_rows);
    }
    t0_carver carver = {.base = base};
    memory->states = t0_carve(&carver, rows, dim);
    memory->cross = t0_carve(&carver, 1, t0_cross_size(model, rows));
    memory->run = t0_carve(&carver, 1, run_floats);
    memory->decoded = t0_carve(&carver, target_rows, dim);
    memory->logits = t0_carve(&carver, t0_logit_rows(model, target_rows), (size_t)model->config.vocab_size);
    return carver.used;
}

static t0_status decode_chunk(score_call *call, const group_memory *memory, size_t first, size_t end, size_t first_source,
                              t0_error *err) {
    const t0_pass *pass = &call->pass;
    const size_t dim = (size_t)pass->model->config.d_model, vocab = (size_t)pass->model->config.vocab_size;
    const t0_stack_shape shape = chunk_shape(call, first, end, first_source);
    t0_stack_run run;
    t0_stack_plan(&run, pass, &shape);
    t0_stack_place(&run, memory->run);
    const size_t begin = (size_t)call->offsets[first];
    T0_TRY(t0_decoder_forward(&run, memory->decoded, call->ids + begin, memory->cross, err));
    const size_t step = t0_logit_rows(pass->model, run.n_rows);
    for (size_t row = 0; row < run.n_rows; row += step) {
        T0_TRY(t0_exec_check(pass->exec, err));
        const size_t rows = run.n_rows - row < step ? run.n_rows - row : step;
        t0_head_forward(pass, memory->logits, memory->decoded + row * dim, rows);
        t0_cross_entropy(pass->exec, NULL, call->sorted_scores + begin + row, memory->logits, call->labels + begin + row, rows, vocab,
                         1.0f, 0.0f, 0.0f);
    }
    return T0_OK;
}

static t0_status score_group(score_call *call, float *base, size_t first, size_t end, t0_error *err) {
    const t0_pass *pass = &call->pass;
    group_memory memory;
    place_group(call, &memory, base, first, end);
    take_sources(call, first, end);
    const t0_stack_shape shape = t0_encoder_shape(call->local_sources, end - first);
    t0_stack_run run;
    t0_stack_plan(&run, pass, &shape);
    t0_stack_place(&run, memory.run);
    T0_TRY(t0_encoder_forward(&run, memory.states, call->sources->ids + call->sources->offsets[first], err));
    t0_cross_forward(pass, memory.cross, memory.states, run.n_rows);
    const size_t last = call->first_of_source[end];
    for (size_t k = call->first_of_source[first], stop; k < last; k = stop) {
        stop = t0_group_end(call->offsets, last, k, t0_pass_rows(call->pass.model));
        T0_TRY(decode_chunk(call, &memory, k, stop, first, err));
    }
    return T0_OK;
}

/* ---- the call -------------------------------------------------------------------------------------------------------- */

static t0_status score_groups(score_call *call, t0_workspace *workspace, t0_error *err) {
    const size_t limit = t0_source_tokens(call->pass.model), n = call->sources->n;
    size_t floats = 0;
    for (size_t first = 0, end; first < n; first = end) {
        end = t0_group_end(call->sources->offsets, n, first, limit);
        group_memory memory;
        floats = t0_size_max(floats, place_group(call, &memory, NULL, first, end));
    }
    T0_TRY(t0_workspace_reserve(workspace, floats, err));
    for (size_t first = 0, end; first < n; first = end) {
        end = t0_group_end(call->sources->offsets, n, first, limit);
        T0_TRY(score_group(call, workspace->data, first, end, err));
    }
    return T0_OK;
}

/* Back to the caller's order; a target's tokens are summed in order, in double. */
static t0_status hand_out(score_call *call, const int32_t *source_of, t0_error *err) {
    for (size_t k = 0; k < call->targets->n; k++) {
        const size_t t = call->order[k];
        const int64_t length = call->offsets[k + 1] - call->offsets[k];
        double sum = 0.0;
        for (int64_t n = 0; n < length; n++) {
            const float score = call->sorted_scores[call->offsets[k] + n];
            call->token_scores[call->targets->offsets[t] + n] = score;
            sum += (double)score;
        }
        if (!isfinite(sum))
            return t0_fail(err, T0_ENUMERIC,
                           "target %zu of source %d: its log-likelihood is %f; the model's weights or activations are not finite", t, source_of[t], sum);
        call->scores[t] = sum;
    }
    return T0_OK;
}

static bool score_allocate(score_call *call) {
    const size_t n_targets = call->targets->n, n_sources = call->sources->n, tokens = (size_t)call->targets->offsets[n_targets];
    call->order = t0_alloc(n_targets * sizeof *call->order);
    call->first_of_source = t0_alloc((n_sources + 1) * sizeof *call->first_of_source);
    call->ids = t0_alloc(tokens * sizeof *call->ids);
    call->labels = t0_alloc(tokens * sizeof *call->labels);
    call->offsets = t0_alloc((n_targets + 1) * sizeof *call->offsets);
    call->local_sources = t0_alloc((n_sources + 1) * sizeof *call->local_sources);
    call->local_targets = t0_alloc((n_targets + 1) * sizeof *call->local_targets);
    call->local_source_of = t0_alloc(n_targets * sizeof *call->local_source_of);
    call->sorted_scores = t0_alloc(tokens * sizeof *call->sorted_scores);
    return call->order && call->first_of_source && call->ids && call->labels && call->offsets && call->local_sources &&
           call->local_targets && call->local_source_of && call->sorted_scores;
}

static void score_free(score_call *call) {
    t0_free(call->order);
    t0_free(call->first_of_source);
    t0_free(call->ids);
    t0_free(call->labels);
    t0_free(call->offsets);
    t0_free(call->local_sources);
    t0_free(call->local_targets);
    t0_free(call->local_source_of);
    t0_free(call->sorted_scores);
}

static t0_status score_check(const t0_model *model, const t0_ragged *sources, const t0_ragged *targets, const int32_t *source_of,
                             t0_error *err) {
    T0_TRY(t0_ragged_check(sources, "sources", model->config.vocab_size, err));
    T0_TRY(t0_ragged_check(targets, "targets", model->config.vocab_size, err));
    for (size_t t = 0; t < targets->n; t++)
        if (source_of[t] < 0 || (size_t)source_of[t] >= sources->n)
            return t0_fail(err, T0_EVALUE, "target %zu belongs to source %d: there are %zu sources", t, source_of[t], sources->n);
    return T0_OK;
}

t0_status t0_score(const t0_model *model, t0_exec *exec, double *scores, float *token_scores, const t0_ragged *sources,
                   const t0_ragged *targets, const int32_t *source_of, const t0_poll *poll, t0_error *err) {
    T0_TRY(score_check(model, sources, targets, source_of, err));
    score_call call = {.pass = {.model = model, .exec = exec}, .sources = sources, .targets = targets, .scores = scores,
                       .token_scores = token_scores};
    t0_workspace workspace = {0};
    t0_status status = T0_OK;
    t0_exec_watch(exec, poll);
    if (!score_allocate(&call)) status = t0_fail_memory(err, (size_t)targets->offsets[targets->n] * 3 * sizeof(int32_t));
    if (status == T0_OK) {
        order_targets(&call, source_of);
        status = score_groups(&call, &workspace, err);
    }
    status = t0_exec_unwatch(exec, status, err);
    if (status == T0_OK) status = hand_out(&call, source_of, err);
    t0_workspace_free(&workspace);
    score_free(&call);
    return status;
}
