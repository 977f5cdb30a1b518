/* Inference: encoder states and teacher-forced logits.
 *
 *     states[N,D] = encoder(sources)                    group by group of sequences
 *     logits[M,V] = head(decoder(inputs, states))       one decoder sequence a source */
#include "t5/encoding.h"
#include "t5/groups.h"
#include "t5/infer.h"

/* ---- encode ------------------------------------------------------------------------------------------------------ */

static t0_status encode(t0_encoding *encoding, t0_workspace *workspace, float *out, t0_error *err) {
    t0_carver size = {0};
    t0_encoding_carve(encoding, &size);
    T0_TRY(t0_workspace_reserve(workspace, size.used, err));
    t0_carver at = {.base = workspace->data};
    t0_encoding_carve(encoding, &at);
    return t0_encode_groups(encoding, out, err);
}

t0_status t0_encode_states(const t0_model *model, t0_exec *exec, float *out, const t0_ragged *sources, const t0_poll *poll, t0_error *err) {
    T0_TRY(t0_ragged_check(sources, "sources", model->config.vocab_size, err));
    t0_encoding encoding = {.model = model, .exec = exec, .sources = sources, .end = sources->n};
    t0_workspace workspace = {0};
    t0_exec_watch(exec, poll);
    const t0_status status = encode(&encoding, &workspace, out, err);
    t0_workspace_free(&workspace);
    return t0_exec_unwatch(exec, status, err);
}

/* ---- logits: for inspection, so one decoder pass over everything ------------------------------------------------------ */

typedef struct logits_call {
    const t0_ragged *sources, *inputs; /* borrowed, as many of each */
    t0_encoding encoding;
    t0_infer_pass decoder;
    /* Places. */
    t0_range *source_rows, *input_rows; /* [sequences] */
    t0_adapter_run *source_runs, *input_runs; /* [sequences], where some have adapters */
    float *states, *cross, *decoded;    /* [S,D], [layers,S,2I], [M,D] */
    float *products;                    /* of the products with states and with what is decoded */
} logits_call;

static void carve_logits(logits_call *call, t0_carver *at) {
    const t0_model *model = call->decoder.model;
    const size_t n = call->sources->n, n_source_rows = call->decoder.cross.n_source_rows, n_rows = call->decoder.rows.n;
    const size_t dim = (size_t)model->config.d_model;
    call->source_rows = t0_carve_items(at, n, sizeof *call->source_rows);
    call->input_rows = t0_carve_items(at, n, sizeof *call->input_rows);
    const t0_adapter_needs *needs = &call->decoder.adapted.needs;
    call->source_runs = t0_carve_items(at, needs->any ? n : 0, sizeof *call->source_runs);
    call->input_runs = t0_carve_items(at, needs->any ? n : 0, sizeof *call->input_runs);
    call->states = t0_carve(at, n_source_rows, dim);
    call->cross = t0_carve(at, 1, t0_cross_size(model, n_source_rows));
    call->decoded = t0_carve(at, n_rows, dim);
    t0_carver encoding = *at, decoding = *at, products = *at;
    t0_encoding_carve(&call->encoding, &encoding);
    t0_infer_carve(&call->decoder, &decoding);
    call->products = t0_carve(&products, 1, t0_infer_rows_floats(model, call->decoder.exec, needs, t0_size_max(n_source_rows, n_rows)));
    at->used = t0_size_max(encoding.used, t0_size_max(decoding.used, products.used));
}

static t0_status run_logits(logits_call *call, t0_workspace *workspace, float *out, t0_error *err) {
    const size_t n = call->sources->n;
    t0_infer_pass *decoder = &call->decoder;
    t0_carver size = {0};
    carve_logits(call, &size);
    T0_TRY(t0_workspace_reserve(workspace, size.used, err));
    t0_carver at = {.base = workspace->data};
    carve_logits(call, &at);
    t0_group_ranges(call->source_rows, call->sources->offsets, 0, n);
    t0_group_ranges(call->input_rows, call->inputs->offsets, 0, n);
    t0_adapted sources = {.needs = decoder->adapted.needs, .runs = call->source_runs};
    decoder->adapted.runs = call->input_runs;
    for (size_t i = 0; sources.needs.any && i < n; i++) {
        t0_adapted_push(&sources, call->source_rows[i], call->sources->adapters[i]);
        t0_adapted_push(&decoder->adapted, call->input_rows[i], call->sources->adapters[i]);
    }
    decoder->rows.queries = decoder->cross.queries = call->input_rows;
    decoder->cross.keys = call->source_rows;
    decoder->cross.kv = call->cross;
    T0_TRY(t0_encode_groups(&call->encoding, call->states, err));
    const t0_infer_states states = t0_infer_cross_rows(decoder->model, decoder->exec, call->states, decoder->cross.n_source_rows, &sources,
                                                       call->products);
    t0_infer_cross(decoder->model, decoder->exec, call->cross, &states);
    T0_TRY(t0_infer_forward(decoder, call->decoded, call->inputs->ids, err));
    return t0_infer_logits(decoder->model, decoder->exec, out, call->decoded, decoder->rows.n, &decoder->adapted, call->products, err);
}

t0_status t0_logits(const t0_model *model, t0_exec *exec, float *out, const t0_ragged *sources, const t0_ragged *decoder_inputs,
                    const t0_poll *poll, t0_error *err) {
    T0_TRY(t0_model_check_decoder(model, err));
    T0_TRY(t0_ragged_check(sources, "input_ids", model->config.vocab_size, err));
    T0_TRY(t0_ragged_check(decoder_inputs, "decoder_input_ids", model->config.vocab_size, err));
    const size_t n = sources->n;
    if (n != decoder_inputs->n)
        return t0_fail(err, T0_EVALUE, "%zu decoder sequences for %zu inputs: there must be one for each", decoder_inputs->n, n);
    if (n == 0) return T0_OK;
    logits_call call = {
        .sources = sources,
        .inputs = decoder_inputs,
        .encoding = {.model = model, .exec = exec, .sources = sources, .end = n},
        .decoder = {.model = model,
                    .exec = exec,
                    .decoder = true,
                    .adapted = {.needs = t0_adapter_needs_of(sources->adapters, n)},
                    .rows = {.n = (size_t)decoder_inputs->offsets[n], .n_sequences = n},
                    .self = {.most_keys = t0_group_longest(decoder_inputs->offsets, 0, n)},
                    .cross = {.n_groups = n,
                              .n_source_rows = (size_t)sources->offsets[n],
                              .most_keys = t0_group_longest(sources->offsets, 0, n)}},
    };
    t0_workspace workspace = {0};
    t0_exec_watch(exec, poll);
    const t0_status status = run_logits(&call, &workspace, out, err);
    t0_workspace_free(&workspace);
    return t0_exec_unwatch(exec, status, err);
}
