/* Encoder states and teacher-forced logits.
 *
 *     states[N,D] = encoder(sources)                    group by group of sequences
 *     logits[M,V] = head(decoder(inputs, states))       one decoder sequence a source */
#include "t5/groups.h"

/* ---- encode ------------------------------------------------------------------------------------------------------ */

/* Most floats that a group's pass needs; SIZE_MAX on overflow. local: [n + 1] scratch. */
static size_t encode_floats(const t0_pass *pass, const t0_ragged *sources, int64_t *local) {
    size_t most = 0;
    for (size_t first = 0, end; first < sources->n; first = end) {
        end = t0_group_end(sources->offsets, sources->n, first, t0_pass_rows(pass->model));
        t0_group_offsets(local, sources->offsets, first, end);
        const t0_stack_shape shape = t0_encoder_shape(local, end - first);
        t0_stack_run run;
        t0_stack_plan(&run, pass, &shape);
        most = t0_size_max(most, run.n_floats);
    }
    return most;
}

static t0_status encode_groups(const t0_pass *pass, float *out, const t0_ragged *sources, int64_t *local, float *memory, t0_error *err) {
    const size_t dim = (size_t)pass->model->config.d_model;
    for (size_t first = 0, end; first < sources->n; first = end) {
        end = t0_group_end(sources->offsets, sources->n, first, t0_pass_rows(pass->model));
        t0_group_offsets(local, sources->offsets, first, end);
        const t0_stack_shape shape = t0_encoder_shape(local, end - first);
        t0_stack_run run;
        t0_stack_plan(&run, pass, &shape);
        t0_stack_place(&run, memory);
        const size_t row = (size_t)sources->offsets[first];
        T0_TRY(t0_encoder_forward(&run, out + row * dim, sources->ids + row, err));
    }
    return T0_OK;
}

t0_status t0_encode_states(const t0_model *model, t0_exec *exec, float *out, const t0_ragged *sources, const t0_poll *poll,
                           t0_error *err) {
    T0_TRY(t0_ragged_check(sources, "sources", model->config.vocab_size, err));
    const t0_pass pass = {.model = model, .exec = exec};
    int64_t *local = t0_alloc((sources->n + 1) * sizeof *local);
    if (!local) return t0_fail_memory(err, (sources->n + 1) * sizeof *local);
    t0_workspace workspace = {0};
    t0_exec_watch(exec, poll);
    t0_status status = t0_workspace_reserve(&workspace, encode_floats(&pass, sources, local), err);
    if (status == T0_OK) status = encode_groups(&pass, out, sources, local, workspace.data, err);
    t0_workspace_free(&workspace);
    t0_free(local);
    return t0_exec_unwatch(exec, status, err);
}

/* ---- logits: for inspection, so one pass over everything ------------------------------------------------------------ */

static t0_status logits_pass(const t0_pass *pass, t0_workspace *workspace, float *out, const t0_ragged *sources, const t0_ragged *inputs,
                             t0_error *err) {
    const t0_model *model = pass->model;
    const size_t n_source = (size_t)sources->offsets[sources->n], n_rows = (size_t)inputs->offsets[inputs->n];
    const size_t dim = (size_t)model->config.d_model;
    const t0_stack_shape encoder_shape = t0_encoder_shape(sources->offsets, sources->n);
    t0_stack_shape decoder_shape = t0_encoder_shape(inputs->offsets, inputs->n);
    decoder_shape.decoder = true;
    decoder_shape.n_sources = sources->n;
    decoder_shape.source_offsets = sources->offsets;
    t0_stack_run encoder, decoder;
    t0_stack_plan(&encoder, pass, &encoder_shape);
    t0_stack_plan(&decoder, pass, &decoder_shape);

    t0_carver carver = {0};
    float *states = NULL, *cross = NULL, *decoded = NULL, *memory = NULL;
    for (int placing = 0; placing < 2; placing++) { /* sizes first, addresses then */
        states = t0_carve(&carver, n_source, dim);
        cross = t0_carve(&carver, 1, t0_cross_size(model, n_source));
        decoded = t0_carve(&carver, n_rows, dim);
        memory = t0_carve(&carver, 1, t0_size_max(encoder.n_floats, decoder.n_floats));
        if (placing) break;
        T0_TRY(t0_workspace_reserve(workspace, carver.used, err));
        carver = (t0_carver){.base = workspace->data};
    }
    t0_stack_place(&encoder, memory);
    T0_TRY(t0_encoder_forward(&encoder, states, sources->ids, err));
    t0_cross_forward(pass, cross, states, n_source);
    t0_stack_place(&decoder, memory);
    T0_TRY(t0_decoder_forward(&decoder, decoded, inputs->ids, cross, err));
    t0_head_forward(pass, out, decoded, n_rows);
    return T0_OK;
}

t0_status t0_logits(const t0_model *model, t0_exec *exec, float *out, const t0_ragged *sources, const t0_ragged *decoder_inputs,
                    const t0_poll *poll, t0_error *err) {
    T0_TRY(t0_ragged_check(sources, "input_ids", model->config.vocab_size, err));
    T0_TRY(t0_ragged_check(decoder_inputs, "decoder_input_ids", model->config.vocab_size, err));
    if (sources->n != decoder_inputs->n)
        return t0_fail(err, T0_EVALUE, "%zu decoder sequences for %zu inputs: there must be one for each", decoder_inputs->n, sources->n);
    if (sources->n == 0) return T0_OK;
    const t0_pass pass = {.model = model, .exec = exec};
    t0_workspace workspace = {0};
    t0_exec_watch(exec, poll);
    const t0_status status = logits_pass(&pass, &workspace, out, sources, decoder_inputs, err);
    t0_workspace_free(&workspace);
    return t0_exec_unwatch(exec, status, err);
}
