/* Inference: log-likelihoods of targets given sources, rank classification's work.
 *
 *     decoder inputs of target y[0..T-1]:  start, y[0], ..., y[T-2]
 *     token score n:  log p(y[n] | y[<n], source) = z[n, y[n]] - log sum_v exp z[n,v],     score = their sum
 *
 * Targets are ordered by source, those of one source so that what begins alike stands together (choices.h). A group of sources is
 * encoded and its cross-attention keys and values are projected once; its targets are then decoded in chunks, in which targets of
 * one source share the rows, and everywhere the scores, of the tokens they have in common.
 *
 * Memory of a group: states [N,D] | cross keys and values [L,N,2I] | the encoder's, later decoder pass | its output [M,D] | the
 * head's sums. All of it is sized for the largest group before anything is computed. */
#include "t5/choices.h"
#include "t5/encoding.h"
#include "t5/groups.h"
#include "t5/infer.h"

#include <string.h>

typedef struct score_call {
    const t0_model *model;
    t0_exec *exec;
    t0_adapter_needs needs;  /* of the sources' adapters */
    t0_adapter_run *runs;    /* [sources] of a chunk; owned */
    const t0_ragged *sources, *targets;
    t0_choices choices;      /* owned, and so are the chunk and what follows it */
    t0_chunk chunk;
    float *log_p;            /* [target tokens] of a chunk's labels */
    float *sorted_scores;    /* [target tokens] in the order of choices */
    double *scores;          /* out, caller's order; borrowed */
    float *token_scores;     /* out, caller's order; borrowed */
} score_call;

/* Where a group's numbers lie. */
typedef struct group_memory {
    t0_encoding encoding;
    float *states, *cross;  /* [N,D], [layers][N][2I] */
    t0_adapter_run *runs;   /* [sources of the group] rows of the states */
    float *pass;            /* of a chunk's pass; before, of the product that gives `cross` */
    float *decoded, *head;  /* [rows of a chunk, D], of the head's sums */
} group_memory;

/* ---- one group ------------------------------------------------------------------------------------------------------ */

/* The pass of places first .. *end - 1, which fit the rows of one; `last`: of the group, whose sources begin at first_source. */
static t0_infer_pass decoder_pass(score_call *call, size_t *end, size_t first, size_t last, size_t first_source) {
    t0_chunk *c = &call->chunk;
    *end = t0_chunk_fill(c, &call->choices, call->sources, call->model->config.decoder_start_id, first, last, first_source,
                         t0_pass_rows(call->model));
    t0_adapted adapted = {.needs = call->needs, .runs = call->runs};
    const int64_t *offsets = call->sources->offsets + first_source;
    for (size_t i = 0, s = 0; call->needs.any && i < c->n_cross; i++) { /* sources come in their order */
        while ((size_t)(offsets[s] - offsets[0]) != c->cross_keys[i].begin) s++;
        t0_adapted_push(&adapted, c->cross_queries[i], call->sources->adapters[first_source + s]);
    }
    return (t0_infer_pass){
        .model = call->model,
        .adapted = adapted,
        .exec = call->exec,
        .decoder = true,
        .rows = {.n = c->n_rows, .n_sequences = c->n_sequences, .queries = c->queries},
        .self = {.keys = c->keys, .key_rows = c->key_rows, .most_keys = c->most_keys},
        .cross = {.n_groups = c->n_cross, .queries = c->cross_queries, .keys = c->cross_keys, .most_keys = c->most_sources},
    };
}

static size_t source_tokens(const score_call *call, size_t first, size_t end) {
    return (size_t)(call->sources->offsets[end] - call->sources->offsets[first]);
}

/* The memory of the group of sources first .. end - 1. */
static void carve_group(score_call *call, group_memory *memory, t0_carver *at, size_t first, size_t end) {
    const t0_model *model = call->model;
    const size_t dim = (size_t)model->config.d_model, n_source_rows = source_tokens(call, first, end),
                 last = call->choices.first_of_source[end];
    size_t pass_floats = t0_infer_rows_floats(model, call->exec, &call->needs, n_source_rows), target_rows = 0;
    for (size_t k = call->choices.first_of_source[first], stop; k < last; k = stop) {
        t0_infer_pass decoder = decoder_pass(call, &stop, k, last, first);
        t0_carver size = {0};
        t0_infer_carve(&decoder, &size);
        pass_floats = t0_size_max(pass_floats, size.used);
        target_rows = t0_size_max(target_rows, decoder.rows.n);
    }
    memory->encoding = (t0_encoding){.model = model, .exec = call->exec, .sources = call->sources, .first = first, .end = end};
    memory->states = t0_carve(at, n_source_rows, dim);
    memory->cross = t0_carve(at, 1, t0_cross_size(model, n_source_rows));
    t0_carver encoding = *at;
    t0_encoding_carve(&memory->encoding, &encoding);
    memory->pass = t0_carve(at, 1, pass_floats);
    memory->decoded = t0_carve(at, target_rows, dim);
    memory->head = t0_carve(at, 1, t0_infer_likelihood_floats(model, call->exec, &call->needs, target_rows));
    memory->runs = t0_carve_items(at, call->needs.any ? end - first : 0, sizeof *memory->runs);
    at->used = t0_size_max(at->used, encoding.used);
}

/* Places first .. *end - 1 (see decoder_pass). */
static t0_status decode_chunk(score_call *call, const group_memory *memory, size_t *end, size_t first, size_t last, size_t first_source,
                              t0_error *err) {
    t0_chunk *c = &call->chunk;
    t0_infer_pass pass = decoder_pass(call, end, first, last, first_source);
    pass.cross.kv = memory->cross;
    pass.cross.n_source_rows = source_tokens(call, first_source, memory->encoding.end);
    t0_carver at = {.base = memory->pass};
    t0_infer_carve(&pass, &at);
    T0_TRY(t0_infer_forward(&pass, memory->decoded, c->ids, err));
    T0_TRY(t0_infer_likelihood(call->model, call->exec, call->log_p, memory->decoded, c->n_rows, &pass.adapted, c->label_offsets, c->labels,
                               memory->head, err));
    for (size_t i = 0; i < c->n_labels; i++) call->sorted_scores[c->tokens[i]] = call->log_p[i];
    return T0_OK;
}

static t0_status score_group(score_call *call, float *base, size_t first, size_t end, t0_error *err) {
    const size_t n_source_rows = source_tokens(call, first, end), last = call->choices.first_of_source[end];
    group_memory memory;
    t0_carver at = {.base = base};
    carve_group(call, &memory, &at, first, end);
    T0_TRY(t0_encode_groups(&memory.encoding, memory.states, err));
    t0_adapted adapted = {.needs = call->needs, .runs = memory.runs};
    const int64_t *offsets = call->sources->offsets;
    for (size_t s = first; call->needs.any && s < end; s++)
        t0_adapted_push(&adapted, (t0_range){(size_t)(offsets[s] - offsets[first]), (size_t)(offsets[s + 1] - offsets[first])},
                        call->sources->adapters[s]);
    const t0_infer_states states = t0_infer_cross_rows(call->model, call->exec, memory.states, n_source_rows, &adapted, memory.pass);
    t0_infer_cross(call->model, call->exec, memory.cross, &states);
    for (size_t k = call->choices.first_of_source[first], stop; k < last; k = stop)
        T0_TRY(decode_chunk(call, &memory, &stop, k, last, first, err));
    return T0_OK;
}

/* ---- the call -------------------------------------------------------------------------------------------------------- */

static t0_status score_groups(score_call *call, t0_workspace *workspace, t0_error *err) {
    const size_t limit = t0_source_tokens(call->model), n = call->sources->n;
    size_t floats = 0;
    for (size_t first = 0, end; first < n; first = end) {
        end = t0_group_end(call->sources->offsets, n, first, limit);
        group_memory memory;
        t0_carver size = {0};
        carve_group(call, &memory, &size, first, end);
        floats = t0_size_max(floats, size.used);
    }
    T0_TRY(t0_workspace_reserve(workspace, floats, err));
    for (size_t first = 0, end; first < n; first = end) {
        end = t0_group_end(call->sources->offsets, n, first, limit);
        T0_TRY(score_group(call, workspace->data, first, end, err));
    }
    return T0_OK;
}

/* Back to the caller's order; what a place shares with the one before has that one's scores. A target's tokens are summed in order,
 * in double. */
static void hand_out(score_call *call) {
    const t0_choices *c = &call->choices;
    for (size_t k = 0; k < call->targets->n; k++) {
        const size_t t = c->order[k], length = (size_t)(c->offsets[k + 1] - c->offsets[k]);
        float *own = call->sorted_scores + c->offsets[k];
        double sum = 0.0;
        if (c->shared[k]) memcpy(own, call->sorted_scores + c->offsets[k - 1], c->shared[k] * sizeof *own);
        for (size_t n = 0; n < length; n++) {
            call->token_scores[(size_t)call->targets->offsets[t] + n] = own[n];
            sum += (double)own[n];
        }
        call->scores[t] = sum;
    }
}

static t0_status score_allocate(score_call *call, const int32_t *source_of, bool apart, t0_error *err) {
    const size_t n_sources = call->sources->n, tokens = (size_t)call->targets->offsets[call->targets->n];
    T0_TRY(t0_choices_order(&call->choices, call->targets, source_of, n_sources, apart, err));
    call->log_p = t0_alloc(tokens * sizeof *call->log_p);
    call->sorted_scores = t0_alloc(tokens * sizeof *call->sorted_scores);
    call->runs = t0_alloc((call->needs.any ? n_sources : 0) * sizeof *call->runs);
    return t0_chunk_allocate(&call->chunk, &call->choices, n_sources) && call->log_p && call->sorted_scores && call->runs
               ? T0_OK
               : t0_fail_memory(err, tokens * 64);
}

static void score_free(score_call *call) {
    t0_choices_free(&call->choices);
    t0_chunk_free(&call->chunk);
    t0_free(call->log_p);
    t0_free(call->runs);
    t0_free(call->sorted_scores);
}

static t0_status score_check(const t0_model *model, const t0_ragged *sources, const t0_ragged *targets, const int32_t *source_of,
                             t0_error *err) {
    T0_TRY(t0_model_check_decoder(model, err));
    T0_TRY(t0_ragged_check(sources, "sources", model->config.vocab_size, err));
    T0_TRY(t0_ragged_check(targets, "targets", model->config.vocab_size, err));
    for (size_t t = 0; t < targets->n; t++)
        if (source_of[t] < 0 || (size_t)source_of[t] >= sources->n)
            return t0_fail(err, T0_EVALUE, "target %zu belongs to source %d: there are %zu sources", t, source_of[t], sources->n);
    return T0_OK;
}

t0_status t0_score(const t0_model *model, t0_exec *exec, double *scores, float *token_scores, const t0_ragged *sources,
                   const t0_ragged *targets, const int32_t *source_of, bool apart, const t0_poll *poll, t0_error *err) {
    T0_TRY(score_check(model, sources, targets, source_of, err));
    score_call call = {.model = model,
                       .exec = exec,
                       .sources = sources,
                       .targets = targets,
                       .scores = scores,
                       .token_scores = token_scores,
                       .needs = t0_adapter_needs_of(sources->adapters, sources->n)};
    t0_workspace workspace = {0};
    t0_exec_watch(exec, poll);
    t0_status status = score_allocate(&call, source_of, apart, err);
    if (status == T0_OK) status = score_groups(&call, &workspace, err);
    status = t0_exec_unwatch(exec, status, err);
    if (status == T0_OK) hand_out(&call);
    t0_workspace_free(&workspace);
    score_free(&call);
    return status;
}
