/* Inference: log-likelihoods of targets given sources, rank classification's work.
 *
 *     decoder inputs of target y[0..T-1]:  start, y[0], ..., y[T-2]
 *     token score n:  log p(y[n] | y[<n], source) = z[n, y[n]] - log sum_v exp z[n,v],     score = their sum
 *
 * Targets are ordered by source. A group of sources is encoded and its cross-attention keys and values are projected once;
 * its targets are then decoded in chunks. Targets of one source share the row of the start token, which predicts the first
 * token of each:
 *
 *     rows of a chunk:   start | y[0] .. y[T-2] of its first target | of its second | ...    for each source
 *     keys of a target:  the source's start row, then its own rows
 *
 * Memory of a group: states [N,D] | cross keys and values [L,N,2I] | the encoder's, later decoder pass | its output [M,D] | the
 * head's sums. All of it is sized for the largest group before anything is computed. */
#include "t5/encoding.h"
#include "t5/groups.h"
#include "t5/infer.h"

#include <assert.h>

/* One chunk of the decoder: arrays are sized for the whole call. */
typedef struct chunk {
    size_t n_rows, n_sequences, n_cross, n_labels, most_keys, most_sources;
    size_t most_rows;       /* room: tokens and targets of the call together */
    int32_t *ids;           /* [rows] */
    t0_range *queries, *keys; /* [sequences] */
    int64_t *key_rows;      /* [keys of all sequences] */
    t0_range *cross_queries, *cross_keys; /* [sources] */
    int64_t *label_offsets; /* [rows + 1] */
    int32_t *labels;        /* [target tokens] */
    size_t *tokens;         /* [target tokens] which token of the call each label is, in this file's order */
    float *log_p;           /* [target tokens] */
} chunk;

typedef struct score_call {
    const t0_model *model;
    t0_exec *exec;
    const t0_ragged *sources, *targets;
    /* Targets ordered by source: place k holds target order[k] (all owned). */
    size_t *order;           /* [n targets] */
    size_t *first_of_source; /* [n sources + 1] into order */
    int64_t *offsets;        /* [n targets + 1]: tokens in this order */
    chunk chunk;
    double *scores;          /* out, caller's order */
    float *token_scores;     /* out, caller's order; borrowed */
    float *sorted_scores;    /* [target tokens] in this file's order */
} score_call;

/* Where a group's numbers lie. */
typedef struct group_memory {
    t0_encoding encoding;
    float *states, *cross;  /* [N,D], [layers][N][2I] */
    float *pass;            /* of a chunk's pass; before, of the product that gives `cross` */
    float *decoded, *head;  /* [rows of a chunk, D], of the head's sums */
} group_memory;

/* ---- ordering ------------------------------------------------------------------------------------------------------ */

/* Counting sort of targets by source, stable. */
static void order_targets(score_call *call, const int32_t *source_of) {
    const t0_ragged *targets = call->targets;
    for (size_t s = 0; s <= call->sources->n; s++) call->first_of_source[s] = 0;
    for (size_t t = 0; t < targets->n; t++) call->first_of_source[source_of[t] + 1]++;
    for (size_t s = 0; s < call->sources->n; s++) call->first_of_source[s + 1] += call->first_of_source[s];
    for (size_t t = 0; t < targets->n; t++) call->order[call->first_of_source[source_of[t]]++] = t;
    for (size_t s = call->sources->n; s > 0; s--) call->first_of_source[s] = call->first_of_source[s - 1];
    call->first_of_source[0] = 0;
    assert(call->first_of_source[call->sources->n] == targets->n);
    call->offsets[0] = 0;
    for (size_t k = 0; k < targets->n; k++)
        call->offsets[k + 1] = call->offsets[k] + targets->offsets[call->order[k] + 1] - targets->offsets[call->order[k]];
}

/* ---- one group ------------------------------------------------------------------------------------------------------ */

static void add_label(chunk *c, int32_t label, size_t token) {
    c->labels[c->n_labels] = label;
    c->tokens[c->n_labels++] = token;
}

/* A sequence whose queries are rows begin .. end - 1 and whose keys are the source's start row and these. */
static void add_sequence(chunk *c, size_t start_row, size_t begin, size_t end) {
    const size_t first = c->n_sequences ? c->keys[c->n_sequences - 1].end : 0;
    size_t at = first;
    if (begin != start_row) c->key_rows[at++] = (int64_t)start_row;
    for (size_t row = begin; row < end; row++) c->key_rows[at++] = (int64_t)row;
    c->queries[c->n_sequences] = (t0_range){begin, end};
    c->keys[c->n_sequences++] = (t0_range){first, at};
    c->most_keys = t0_size_max(c->most_keys, at - first);
}

/* Targets first .. end - 1 (places in order), all of one source, behind what the chunk holds. */
static void add_source(score_call *call, size_t first, size_t end) {
    chunk *c = &call->chunk;
    const t0_ragged *targets = call->targets;
    const size_t start = c->n_rows;
    c->ids[c->n_rows] = call->model->config.decoder_start_id;
    c->label_offsets[c->n_rows++] = (int64_t)c->n_labels;
    for (size_t k = first; k < end; k++) add_label(c, targets->ids[targets->offsets[call->order[k]]], (size_t)call->offsets[k]);
    add_sequence(c, start, start, start + 1);
    for (size_t k = first; k < end; k++) {
        const int32_t *y = targets->ids + targets->offsets[call->order[k]];
        const size_t length = (size_t)(call->offsets[k + 1] - call->offsets[k]), begin = c->n_rows;
        for (size_t n = 1; n < length; n++) {
            c->ids[c->n_rows] = y[n - 1];
            c->label_offsets[c->n_rows++] = (int64_t)c->n_labels;
            add_label(c, y[n], (size_t)call->offsets[k] + n);
        }
        if (c->n_rows > begin) add_sequence(c, start, begin, c->n_rows);
    }
    c->cross_queries[c->n_cross] = (t0_range){start, c->n_rows};
}

/* Fills the chunk with targets first .. end - 1, whose sources begin at first_source. */
static t0_infer_pass decoder_pass(score_call *call, size_t first, size_t end, size_t first_source) {
    chunk *c = &call->chunk;
    const int64_t *sources = call->sources->offsets;
    c->n_rows = c->n_sequences = c->n_cross = c->n_labels = c->most_keys = c->most_sources = 0;
    size_t source = first_source;
    for (size_t k = first, stop; k < end; k = stop, c->n_cross++) {
        while (call->first_of_source[source + 1] <= k) source++;
        stop = call->first_of_source[source + 1] < end ? call->first_of_source[source + 1] : end;
        add_source(call, k, stop);
        c->cross_keys[c->n_cross] = (t0_range){(size_t)(sources[source] - sources[first_source]),
                                               (size_t)(sources[source + 1] - sources[first_source])};
        c->most_sources = t0_size_max(c->most_sources, (size_t)(sources[source + 1] - sources[source]));
    }
    c->label_offsets[c->n_rows] = (int64_t)c->n_labels;
    assert(c->n_rows <= c->most_rows && c->n_labels <= c->most_rows && c->n_sequences <= 2 * call->targets->n);
    return (t0_infer_pass){
        .model = call->model,
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
    const size_t dim = (size_t)model->config.d_model, n_source_rows = source_tokens(call, first, end), last = call->first_of_source[end];
    size_t pass_floats = t0_infer_rows_floats(model, call->exec, n_source_rows), target_rows = 0;
    for (size_t k = call->first_of_source[first], stop; k < last; k = stop) {
        stop = t0_group_end(call->offsets, last, k, t0_pass_rows(model));
        t0_infer_pass decoder = decoder_pass(call, k, stop, first);
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
    memory->head = t0_carve(at, 1, t0_infer_likelihood_floats(model, call->exec, target_rows));
    at->used = t0_size_max(at->used, encoding.used);
}

static t0_status decode_chunk(score_call *call, const group_memory *memory, size_t n_source_rows, size_t first, size_t end,
                              size_t first_source, t0_error *err) {
    chunk *c = &call->chunk;
    t0_infer_pass pass = decoder_pass(call, first, end, first_source);
    pass.cross.kv = memory->cross;
    pass.cross.n_source_rows = n_source_rows;
    t0_carver at = {.base = memory->pass};
    t0_infer_carve(&pass, &at);
    T0_TRY(t0_infer_forward(&pass, memory->decoded, c->ids, err));
    T0_TRY(
        t0_infer_likelihood(call->model, call->exec, c->log_p, memory->decoded, c->n_rows, c->label_offsets, c->labels, memory->head, err));
    for (size_t i = 0; i < c->n_labels; i++) call->sorted_scores[c->tokens[i]] = c->log_p[i];
    return T0_OK;
}

static t0_status score_group(score_call *call, float *base, size_t first, size_t end, t0_error *err) {
    const size_t n_source_rows = source_tokens(call, first, end), last = call->first_of_source[end];
    group_memory memory;
    t0_carver at = {.base = base};
    carve_group(call, &memory, &at, first, end);
    T0_TRY(t0_encode_groups(&memory.encoding, memory.states, err));
    t0_infer_cross(call->model, call->exec, memory.cross, memory.states, n_source_rows, memory.pass);
    for (size_t k = call->first_of_source[first], stop; k < last; k = stop) {
        stop = t0_group_end(call->offsets, last, k, t0_pass_rows(call->model));
        T0_TRY(decode_chunk(call, &memory, n_source_rows, k, stop, first, err));
    }
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

/* Back to the caller's order; a target's tokens are summed in order, in double. */
static void hand_out(score_call *call) {
    for (size_t k = 0; k < call->targets->n; k++) {
        const size_t t = call->order[k];
        const int64_t length = call->offsets[k + 1] - call->offsets[k];
        double sum = 0.0;
        for (int64_t n = 0; n < length; n++) {
            const float score = call->sorted_scores[call->offsets[k] + n];
            call->token_scores[call->targets->offsets[t] + n] = score;
            sum += (double)score;
        }
        call->scores[t] = sum;
    }
}

/* A chunk has at most as many start rows as targets, so rows are fewer than tokens and targets together. */
static bool chunk_allocate(chunk *c, size_t n_sources, size_t n_targets, size_t tokens) {
    c->most_rows = tokens + n_targets;
    c->ids = t0_alloc((tokens + n_targets) * sizeof *c->ids);
    c->queries = t0_alloc(2 * n_targets * sizeof *c->queries);
    c->keys = t0_alloc(2 * n_targets * sizeof *c->keys);
    c->key_rows = t0_alloc((tokens + n_targets) * sizeof *c->key_rows);
    c->cross_queries = t0_alloc(n_sources * sizeof *c->cross_queries);
    c->cross_keys = t0_alloc(n_sources * sizeof *c->cross_keys);
    c->label_offsets = t0_alloc((tokens + n_targets + 1) * sizeof *c->label_offsets);
    c->labels = t0_alloc(tokens * sizeof *c->labels);
    c->tokens = t0_alloc(tokens * sizeof *c->tokens);
    c->log_p = t0_alloc(tokens * sizeof *c->log_p);
    return c->ids && c->queries && c->keys && c->key_rows && c->cross_queries && c->cross_keys && c->label_offsets && c->labels &&
           c->tokens && c->log_p;
}

static void chunk_free(chunk *c) {
    t0_free(c->ids);
    t0_free(c->queries);
    t0_free(c->keys);
    t0_free(c->key_rows);
    t0_free(c->cross_queries);
    t0_free(c->cross_keys);
    t0_free(c->label_offsets);
    t0_free(c->labels);
    t0_free(c->tokens);
    t0_free(c->log_p);
}

static bool score_allocate(score_call *call) {
    const size_t n_targets = call->targets->n, n_sources = call->sources->n, tokens = (size_t)call->targets->offsets[n_targets];
    call->order = t0_alloc(n_targets * sizeof *call->order);
    call->first_of_source = t0_alloc((n_sources + 1) * sizeof *call->first_of_source);
    call->offsets = t0_alloc((n_targets + 1) * sizeof *call->offsets);
    call->sorted_scores = t0_alloc(tokens * sizeof *call->sorted_scores);
    return call->order && call->first_of_source && call->offsets && call->sorted_scores &&
           chunk_allocate(&call->chunk, n_sources, n_targets, tokens);
}

static void score_free(score_call *call) {
    t0_free(call->order);
    t0_free(call->first_of_source);
    t0_free(call->offsets);
    t0_free(call->sorted_scores);
    chunk_free(&call->chunk);
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
                   const t0_ragged *targets, const int32_t *source_of, const t0_poll *poll, t0_error *err) {
    T0_TRY(score_check(model, sources, targets, source_of, err));
    score_call call =
        {.model = model, .exec = exec, .sources = sources, .targets = targets, .scores = scores, .token_scores = token_scores};
    t0_workspace workspace = {0};
    t0_status status = T0_OK;
    t0_exec_watch(exec, poll);
    if (!score_allocate(&call)) status = t0_fail_memory(err, (size_t)targets->offsets[targets->n] * 64);
    if (status == T0_OK) {
        order_targets(&call, source_of);
        status = score_groups(&call, &workspace, err);
    }
    status = t0_exec_unwatch(exec, status, err);
    if (status == T0_OK) hand_out(&call);
    t0_workspace_free(&workspace);
    score_free(&call);
    return status;
}
