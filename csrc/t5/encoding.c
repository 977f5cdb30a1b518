/* Inference: groups of sequences through the encoder (see encoding.h). Every group uses the same memory, sized for the largest. */
#include "t5/encoding.h"

#include "t5/groups.h"
#include "t5/infer.h"

static size_t group_end(const t0_encoding *e, size_t first) {
    return t0_group_end(e->sources->offsets, e->end, first, t0_pass_rows(e->model));
}

/* Sequences first .. end - 1 as one pass; encoding->rows is filled where it has its place. */
static t0_infer_pass encoder_pass(const t0_encoding *e, size_t first, size_t end) {
    const int64_t *offsets = e->sources->offsets;
    if (e->rows) t0_group_ranges(e->rows, offsets, first, end);
    t0_adapted adapted = {.needs = t0_adapter_needs_of(e->sources->adapters, e->sources->n), .runs = e->runs};
    for (size_t i = first; e->runs && i < end; i++) t0_adapted_push(&adapted, e->rows[i - first], e->sources->adapters[i]);
    return (t0_infer_pass){
        .model = e->model,
        .exec = e->exec,
        .adapted = adapted,
        .rows = {.n = (size_t)(offsets[end] - offsets[first]), .n_sequences = end - first, .queries = e->rows},
        .self = {.most_keys = t0_group_longest(offsets, first, end)},
    };
}

void t0_encoding_carve(t0_encoding *e, t0_carver *at) {
    size_t floats = 0, most = 0;
    e->rows = NULL;
    e->runs = NULL;
    for (size_t first = e->first, end; first < e->end; first = end) {
        end = group_end(e, first);
        t0_infer_pass pass = encoder_pass(e, first, end);
        t0_carver size = {0};
        t0_infer_carve(&pass, &size);
        floats = t0_size_max(floats, size.used);
        most = t0_size_max(most, end - first);
    }
    e->rows = t0_carve_items(at, most, sizeof *e->rows);
    if (t0_adapter_needs_of(e->sources->adapters, e->sources->n).any) e->runs = t0_carve_items(at, most, sizeof *e->runs);
    e->memory = t0_carve(at, 1, floats);
}

t0_status t0_encode_groups(const t0_encoding *e, float *out, t0_error *err) {
    const size_t dim = (size_t)e->model->config.d_model;
    const int64_t *offsets = e->sources->offsets;
    for (size_t first = e->first, end; first < e->end; first = end) {
        end = group_end(e, first);
        t0_infer_pass pass = encoder_pass(e, first, end);
        t0_carver at = {.base = e->memory};
        t0_infer_carve(&pass, &at);
        float *states = out + (size_t)(offsets[first] - offsets[e->first]) * dim;
        T0_TRY(t0_infer_forward(&pass, states, e->sources->ids + offsets[first], err));
    }
    return T0_OK;
}
