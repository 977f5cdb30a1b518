/* Encoder states and teacher-forced logits.
 *
 *     states[N,D] = encoder(sources)                    group by group of sequences
 *     logits[M,V] = head(decoder(inputs, states))       one decoder sequence a source */
#include "t5/groups.h"
#include "t5/infer.h"

/* Sequences of a batch, as rows of one pass. */
static size_t take_rows(t0_range *rows, const int64_t *offsets, size_t first, size_t end) {
    size_t longest = 0;
    for (size_t b = first; b < end; b++) {
        rows[b - first] = (t0_range){(size_t)(offsets[b] - offsets[first]), (size_t)(offsets[b + 1] - offsets[first])};
        longest = t0_size_max(longest, (size_t)(offsets[b + 1] - offsets[b]));
    }
    return longest;
}

/* ---- encode ------------------------------------------------------------------------------------------------------ */

static t0_infer encoder_pass(const t0_model *model, t0_exec *exec, const t0_ragged *sources, t0_range *rows, size_t first, size_t end) {
    t0_infer run = {.model = model, .exec = exec, .n_sequences = end - first, .queries = rows};
    run.most_keys = take_rows(rows, sources->offsets, first, end);
    run.n_rows = (size_t)(sources->offsets[end] - sources->offsets[first]);
    return run;
}

static t0_status encode_groups(const t0_model *model, t0_exec *exec, float *out, const t0_ragged *sources, t0_range *rows,
                               t0_workspace *workspace, t0_error *err) {
    const size_t dim = (size_t)model->config.d_model, limit = t0_pass_rows(model);
    size_t most = 0;
    for (size_t first = 0, end; first < sources->n; first = end) {
        end = t0_group_end(sources->offsets, sources->n, first, limit);
        t0_infer run = encoder_pass(model, exec, sources, rows, first, end);
        most = t0_size_max(most, t0_infer_place(&run, NULL));
    }
    T0_TRY(t0_workspace_reserve(workspace, most, err));
    for (size_t first = 0, end; first < sources->n; first = end) {
        end = t0_group_end(sources->offsets, sources->n, first, limit);
        t0_infer run = encoder_pass(model, exec, sources, rows, first, end);
        t0_infer_place(&run, workspace->data);
        const size_t row = (size_t)sources->offsets[first];
        T0_TRY(t0_infer_run(&run, out + row * dim, sources->ids + row, err));
    }
    return T0_OK;
}

t0_status t0_encode_states(const t0_model *model, t0_exec *exec, float *out, const t0_ragged *sources, const t0_poll *poll,
                           t0_error *err) {
    T0_TRY(t0_ragged_check(sources, "sources", model->config.vocab_size, err));
    t0_range *rows = t0_alloc(sources->n * sizeof *rows);
    if (!rows) return t0_fail_memory(err, sources->n * sizeof *rows);
    t0_workspace workspace = {0};
    t0_exec_watch(exec, poll);
    const t0_status status = encode_groups(model, exec, out, sources, rows, &workspace, err);
    t0_workspace_free(&workspace);
    t0_free(rows);
    return t0_exec_unwatch(exec, status, err);
}

/* ---- logits: for inspection, so one pass over everything ------------------------------------------------------------ */

/* rows: [2 n] scratch. */
static t0_status logits_pass(const t0_model *model, t0_exec *exec, t0_workspace *workspace, float *out, const t0_ragged *sources,
                             const t0_ragged *inputs, t0_range *rows, t0_error *err) {
    const size_t n_rows = (size_t)inputs->offsets[inputs->n], dim = (size_t)model->config.d_model;
    t0_range *targets = rows + sources->n;
    t0_infer encoder = encoder_pass(model, exec, sources, rows, 0, sources->n);
    t0_infer decoder = encoder_pass(model, exec, inputs, targets, 0, inputs->n);
    decoder.decoder = true;
    decoder.n_source_rows = encoder.n_rows;
    decoder.most_sources = encoder.most_keys;
    decoder.n_cross = sources->n;
    decoder.cross_queries = targets;
    decoder.cross_keys = rows;

    t0_carver carver = {0};
    float *states = NULL, *cross = NULL, *decoded = NULL, *memory = NULL;
    const size_t run_floats = t0_size_max(t0_infer_place(&encoder, NULL), t0_infer_place(&decoder, NULL));
    const size_t rows_floats = t0_infer_rows_floats(model, exec, t0_size_max(encoder.n_rows, n_rows));
    for (int placing = 0; placing < 2; placing++) { /* sizes first, addresses then */
        states = t0_carve(&carver, encoder.n_rows, dim);
        cross = t0_carve(&carver, 1, t0_cross_size(model, encoder.n_rows));
        decoded = t0_carve(&carver, n_rows, dim);
        memory = t0_carve(&carver, 1, t0_size_max(run_floats, rows_floats));
        if (placing) break;
        T0_TRY(t0_workspace_reserve(workspace, carver.used, err));
        carver = (t0_carver){.base = workspace->data};
    }
    t0_infer_place(&encoder, memory);
    T0_TRY(t0_infer_run(&encoder, states, sources->ids, err));
    t0_infer_cross(model, exec, cross, states, encoder.n_rows, memory);
    t0_infer_place(&decoder, memory);
    decoder.cross_kv = cross;
    T0_TRY(t0_infer_run(&decoder, decoded, inputs->ids, err));
    return t0_infer_logits(model, exec, out, decoded, n_rows, memory, err);
}

t0_status t0_logits(const t0_model *model, t0_exec *exec, float *out, const t0_ragged *sources, const t0_ragged *decoder_inputs,
                    const t0_poll *poll, t0_error *err) {
    T0_TRY(t0_ragged_check(sources, "input_ids", model->config.vocab_size, err));
    T0_TRY(t0_ragged_check(decoder_inputs, "decoder_input_ids", model->config.vocab_size, err));
    if (sources->n != decoder_inputs->n)
        return t0_fail(err, T0_EVALUE, "%zu decoder sequences for %zu inputs: there must be one for each", decoder_inputs->n, sources->n);
    if (sources->n == 0) return T0_OK;
    t0_range *rows = t0_alloc(2 * sources->n * sizeof *rows);
    if (!rows) return t0_fail_memory(err, 2 * sources->n * sizeof *rows);
    t0_workspace workspace = {0};
    t0_exec_watch(exec, poll);
    const t0_status status = logits_pass(model, exec, &workspace, out, sources, decoder_inputs, rows, err);
    t0_workspace_free(&workspace);
    t0_free(rows);
    return t0_exec_unwatch(exec, status, err);
}
