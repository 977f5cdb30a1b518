/* Inference: the row store of a decoder. Row r holds, for each layer, its key and value, k|v [2I]; beside it its parent, its depth and its
 * source. A step walks each new row's ancestors into a list of keys, oldest first, and runs one pass of one query a sequence. */
#include "t5/decoder.h"

#include "t5/encoding.h"
#include "t5/infer.h"

#include <assert.h>
#include <string.h>

struct t0_decoder {
    const t0_model *model; /* borrowed */
    size_t n_sources, n_source_rows, longest_source;
    t0_range *sources;     /* [n_sources] rows of the encoder's states */
    size_t n_packed_rows;
    t0_range *packed;      /* [n_sources] rows of cross */
    t0_workspace cross;    /* [layers][n_packed_rows], as t0_infer_pack_cross leaves them */
    t0_workspace memory;   /* of a pass, with its states */
    size_t n_rows, capacity;
    float *store;          /* [capacity][layers][2I] */
    int64_t *parents;      /* [capacity] */
    int32_t *depths, *source_of;
    t0_adapter_needs needs;
    const t0_adapter **adapters; /* [n_sources], or NULL; what they point to is borrowed */
    t0_buffer lists;       /* of a step */
};

/* What a step hands to the pass, out of `lists`. */
typedef struct step_lists {
    t0_range *queries, *keys, *source_rows; /* [n] */
    int64_t *write_rows, *key_rows;         /* [n], [keys of all] */
    t0_adapter_run *runs;                   /* [n], where there are adapters */
} step_lists;

static size_t row_floats(const t0_model *model) { return t0_cross_size(model, 1); }

/* ---- source_memory --------------------------------------------------------------------------------------------------------- */

/* Where the numbers lie while a decoder is made. */
typedef struct source_memory {
    t0_encoding encoding;
    float *states, *layer; /* [n_source_rows, D], keys and values of one layer, [n_source_rows][2I] */
    float *products;       /* of the states' products */
    t0_adapter_run *runs;  /* [n_sources] */
} source_memory;

static void carve_sources(source_memory *m, const t0_decoder *d, t0_exec *exec, t0_carver *at) {
    m->states = t0_carve(at, d->n_source_rows, (size_t)d->model->config.d_model);
    m->layer = t0_carve(at, 1, t0_cross_size(d->model, d->n_source_rows) / d->model->decoder.n_blocks);
    m->runs = t0_carve_items(at, d->needs.any ? d->n_sources : 0, sizeof *m->runs);
    t0_carver encoding = *at, products = *at;
    t0_encoding_carve(&m->encoding, &encoding);
    m->products = t0_carve(&products, 1, t0_infer_rows_floats(d->model, exec, &d->needs, d->n_source_rows));
    at->used = t0_size_max(encoding.used, products.used);
}

/* Keys and values of all layers, each projected into m->layer and packed from there. */
static t0_status project(t0_decoder *d, t0_exec *exec, const source_memory *m, t0_error *err) {
    const size_t size = d->n_packed_rows * t0_infer_packed_row(d->model, exec);
    t0_adapted adapted = {.needs = d->needs, .runs = m->runs};
    for (size_t s = 0; d->needs.any && s < d->n_sources; s++) t0_adapted_push(&adapted, d->sources[s], d->adapters[s]);
    const t0_infer_states states = t0_infer_cross_rows(d->model, exec, m->states, d->n_source_rows, &adapted, m->products);
    for (size_t l = 0; l < d->model->decoder.n_blocks; l++) {
        t0_infer_cross_layer(d->model, exec, m->layer, &states, l);
        T0_TRY(t0_exec_check(exec, err));
        t0_infer_pack_cross(d->model, exec, d->cross.data + l * size, m->layer, d->n_sources, d->sources, d->packed);
    }
    return T0_OK;
}

static t0_status encode(t0_decoder *d, t0_exec *exec, const t0_ragged *sources, t0_error *err) {
    source_memory m = {.encoding = {.model = d->model, .exec = exec, .sources = sources, .end = sources->n}};
    t0_carver size = {0};
    carve_sources(&m, d, exec, &size);
    T0_TRY(t0_workspace_reserve(&d->memory, size.used, err));
    T0_TRY(t0_workspace_reserve(&d->cross, d->model->decoder.n_blocks * d->n_packed_rows * t0_infer_packed_row(d->model, exec), err));
    t0_carver at = {.base = d->memory.data};
    carve_sources(&m, d, exec, &at);
    T0_TRY(t0_encode_groups(&m.encoding, m.states, err));
    return project(d, exec, &m, err);
}

/* Where each source's rows lie among the states, and packed: there they begin at multiples of nr. */
static void take_sources(t0_decoder *d, const t0_ragged *sources, size_t nr) {
    for (size_t s = 0; s < sources->n; s++) {
        const size_t begin = (size_t)sources->offsets[s], end = (size_t)sources->offsets[s + 1], n = end - begin;
        d->sources[s] = (t0_range){begin, end};
        d->packed[s] = (t0_range){d->n_packed_rows, d->n_packed_rows + n};
        d->n_packed_rows += t0_size_round(n, nr);
        d->longest_source = t0_size_max(d->longest_source, n);
    }
}

static t0_status prepare(t0_decoder *d, t0_exec *exec, const t0_ragged *sources, t0_error *err) {
    d->n_sources = sources->n;
    d->n_source_rows = (size_t)sources->offsets[sources->n];
    d->sources = t0_alloc(sources->n * sizeof *d->sources);
    d->packed = t0_alloc(sources->n * sizeof *d->packed);
    d->needs = t0_adapter_needs_of(sources->adapters, sources->n);
    d->adapters = d->needs.any ? t0_alloc(sources->n * sizeof *d->adapters) : NULL;
    if (!d->sources || !d->packed || (d->needs.any && !d->adapters)) return t0_fail_memory(err, sources->n * sizeof *d->packed);
    for (size_t s = 0; d->needs.any && s < sources->n; s++) d->adapters[s] = sources->adapters[s];
    take_sources(d, sources, t0_exec_kernels(exec)->nr);
    return encode(d, exec, sources, err);
}

t0_status t0_decoder_new(t0_decoder **out, const t0_model *model, t0_exec *exec, const t0_ragged *sources, const t0_poll *poll,
                         t0_error *err) {
    T0_TRY(t0_model_check_decoder(model, err));
    T0_TRY(t0_ragged_check(sources, "sources", model->config.vocab_size, err));
    t0_decoder *decoder = t0_alloc_zero(sizeof *decoder);
    if (!decoder) return t0_fail_memory(err, sizeof *decoder);
    decoder->model = model;
    t0_exec_watch(exec, poll);
    const t0_status status = t0_exec_unwatch(exec, prepare(decoder, exec, sources, err), err);
    if (status == T0_OK) *out = decoder;
    else t0_decoder_free(decoder);
    return status;
}

void t0_decoder_free(t0_decoder *decoder) {
    if (!decoder) return;
    t0_free(decoder->sources);
    t0_free(decoder->packed);
    t0_free(decoder->adapters);
    t0_workspace_free(&decoder->cross);
    t0_workspace_free(&decoder->memory);
    t0_free(decoder->store);
    t0_free(decoder->parents);
    t0_free(decoder->depths);
    t0_free(decoder->source_of);
    t0_buffer_free(&decoder->lists);
    t0_free(decoder);
}

size_t t0_decoder_rows(const t0_decoder *decoder) { return decoder->n_rows; }

/* ---- a step --------------------------------------------------------------------------------------------------------- */

static t0_status check_step(const t0_decoder *d, size_t n, const int32_t *ids, const int32_t *source_of, const int64_t *parents,
                            t0_error *err) {
    const int32_t vocab = d->model->config.vocab_size;
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= vocab)
            return t0_fail(err, T0_EVALUE, "row %zu: id %d: the vocabulary has ids from 0 to %d", i, ids[i], vocab - 1);
        if (source_of[i] < 0 || (size_t)source_of[i] >= d->n_sources)
            return t0_fail(err, T0_EVALUE, "row %zu: source %d: there are %zu", i, source_of[i], d->n_sources);
        if (parents[i] < -1 || (parents[i] >= 0 && (size_t)parents[i] >= d->n_rows))
            return t0_fail(err, T0_EVALUE, "row %zu: parent %lld: -1, or one of %zu rows", i, (long long)parents[i], d->n_rows);
        if (parents[i] >= 0 && d->source_of[parents[i]] != source_of[i])
            return t0_fail(err, T0_EVALUE, "row %zu: source %d, but its parent belongs to source %d", i, source_of[i],
                           d->source_of[parents[i]]);
    }
    return T0_OK;
}

/* Room for n more rows. What has grown already stays so where another array cannot. */
static t0_status reserve_rows(t0_decoder *d, size_t n, t0_error *err) {
    const size_t wanted = d->n_rows + n, size = row_floats(d->model) * sizeof *d->store, old = d->capacity;
    if (wanted <= old) return T0_OK;
    const size_t capacity = old ? t0_size_max(wanted, 2 * old) : wanted + 31 * n; /* what is never touched costs nothing */
    size_t bytes;
    if (!t0_size_mul(capacity, size, &bytes)) return t0_fail_memory(err, SIZE_MAX);
    float *store = t0_realloc(d->store, old * size, bytes);
    if (store) d->store = store;
    int64_t *parents = t0_realloc(d->parents, old * sizeof *parents, capacity * sizeof *parents);
    if (parents) d->parents = parents;
    int32_t *depths = t0_realloc(d->depths, old * sizeof *depths, capacity * sizeof *depths);
    if (depths) d->depths = depths;
    int32_t *source_of = t0_realloc(d->source_of, old * sizeof *source_of, capacity * sizeof *source_of);
    if (source_of) d->source_of = source_of;
    if (!store || !parents || !depths || !source_of) return t0_fail_memory(err, bytes);
    d->capacity = capacity;
    return T0_OK;
}

static size_t depth_of(const t0_decoder *d, int64_t parent) { return parent < 0 ? 1 : (size_t)d->depths[parent] + 1; }

/* The lists of a step; most: the longest history. */
static t0_status make_lists(t0_decoder *d, step_lists *s, size_t *most, size_t n, const int32_t *source_of, const int64_t *parents,
                            t0_error *err) {
    size_t keys = 0;
    for (size_t i = 0; i < n; i++) keys += depth_of(d, parents[i]);
    const size_t bytes = 3 * n * sizeof(t0_range) + (n + keys) * sizeof(int64_t) + (d->needs.any ? n * sizeof *s->runs : 0);
    d->lists.size = 0;
    if (!t0_buffer_reserve(&d->lists, bytes)) return t0_fail_memory(err, bytes);
    s->queries = (t0_range *)(void *)d->lists.data;
    s->keys = s->queries + n;
    s->source_rows = s->keys + n;
    s->write_rows = (int64_t *)(void *)(s->source_rows + n);
    s->key_rows = s->write_rows + n;
    s->runs = (t0_adapter_run *)(void *)(s->key_rows + keys);
    *most = 0;
    for (size_t i = 0, at = 0; i < n; i++) {
        const size_t depth = depth_of(d, parents[i]);
        s->queries[i] = (t0_range){i, i + 1};
        s->keys[i] = (t0_range){at, at + depth};
        s->source_rows[i] = d->packed[source_of[i]];
        s->write_rows[i] = (int64_t)(d->n_rows + i);
        at += depth;
        s->key_rows[at - 1] = s->write_rows[i];
        int64_t row = parents[i];
        for (size_t back = 2; back <= depth; back++, row = d->parents[row]) s->key_rows[at - back] = row;
        assert(row == -1); /* a depth counts the ancestors */
        *most = t0_size_max(*most, depth);
    }
    return T0_OK;
}

/* The pass of a step, and where its numbers lie. */
typedef struct step_memory {
    t0_infer_pass pass;
    float *decoded, *products; /* [n, D], of the head's product */
} step_memory;

static void carve_step(step_memory *s, t0_carver *at) {
    const t0_infer_pass *pass = &s->pass;
    s->decoded = t0_carve(at, pass->rows.n, (size_t)pass->model->config.d_model);
    t0_carver forward = *at, head = *at;
    t0_infer_carve(&s->pass, &forward);
    s->products = t0_carve(&head, 1, t0_infer_rows_floats(pass->model, pass->exec, &pass->adapted.needs, pass->rows.n));
    at->used = t0_size_max(forward.used, head.used);
}

static t0_status compute_step(t0_decoder *d, t0_exec *exec, float *logits, size_t n, const int32_t *ids, const int32_t *source_of,
                              const int64_t *parents, t0_error *err) {
    step_lists lists = {0};
    size_t most = 0;
    T0_TRY(make_lists(d, &lists, &most, n, source_of, parents, err));
    step_memory s = {.pass = {.model = d->model, .exec = exec, .decoder = true, .single = true}};
    s.pass.rows.n = s.pass.rows.n_sequences = s.pass.cross.n_groups = n;
    s.pass.rows.queries = s.pass.cross.queries = lists.queries;
    s.pass.self.keys = lists.keys;
    s.pass.self.key_rows = lists.key_rows;
    s.pass.self.most_keys = most;
    s.pass.self.store = d->store;
    s.pass.self.write_rows = lists.write_rows;
    s.pass.cross.keys = lists.source_rows;
    s.pass.cross.most_keys = d->longest_source;
    s.pass.cross.n_source_rows = d->n_packed_rows;
    s.pass.cross.kv = d->cross.data;
    s.pass.cross.packed = true;
    s.pass.adapted = (t0_adapted){.needs = d->needs, .runs = lists.runs};
    for (size_t i = 0; d->needs.any && i < n; i++) t0_adapted_push(&s.pass.adapted, lists.queries[i], d->adapters[source_of[i]]);
    t0_carver size = {0};
    carve_step(&s, &size);
    T0_TRY(t0_workspace_reserve(&d->memory, size.used, err));
    t0_carver at = {.base = d->memory.data};
    carve_step(&s, &at);
    T0_TRY(t0_infer_forward(&s.pass, s.decoded, ids, err));
    return t0_infer_logits(d->model, exec, logits, s.decoded, n, &s.pass.adapted, s.products, err);
}

t0_status t0_decoder_step(t0_decoder *decoder, t0_exec *exec, float *logits, size_t n, const int32_t *ids, const int32_t *source_of,
                          const int64_t *parents, const t0_poll *poll, t0_error *err) {
    T0_TRY(check_step(decoder, n, ids, source_of, parents, err));
    T0_TRY(reserve_rows(decoder, n, err));
    t0_exec_watch(exec, poll);
    T0_TRY(t0_exec_unwatch(exec, compute_step(decoder, exec, logits, n, ids, source_of, parents, err), err));
    for (size_t i = 0; i < n; i++) {
        decoder->parents[decoder->n_rows + i] = parents[i];
        decoder->depths[decoder->n_rows + i] = (int32_t)depth_of(decoder, parents[i]);
        decoder->source_of[decoder->n_rows + i] = source_of[i];
    }
    decoder->n_rows += n;
    assert(decoder->n_rows <= decoder->capacity);
    return T0_OK;
}
