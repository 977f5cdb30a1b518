/* Adapters: their tensors and what they compute (equations in adapter.h). Memory: all tensors end to end, in the order asked for, each
 * from a multiple of T0_ALIGN bytes on. */
#include "t5/adapter.h"

#include "nn/gemm.h"
#include "nn/vectors.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* ---- sites --------------------------------------------------------------------------------------------------------- */

static size_t blocks_of(const t0_config *c) { return (size_t)c->n_layers + (c->encoder_only ? 0 : (size_t)c->n_decoder_layers); }

static size_t number_of(const t0_config *c, bool decoder, size_t block, t0_part part) {
    return part == T0_HEAD ? blocks_of(c) * T0_PARTS : ((decoder ? (size_t)c->n_layers : 0) + block) * T0_PARTS + part;
}

/* Whether a model of this configuration has such a layer; its sizes. */
static bool has_part(const t0_config *c, bool decoder, size_t block, t0_part part, size_t *in, size_t *out) {
    const size_t d = (size_t)c->d_model, inner = t0_config_inner(c), f = (size_t)c->d_ff;
    const bool crosses = part >= T0_CROSS_Q && part <= T0_CROSS_O;
    *in = part == T0_WO ? f : part == T0_O || part == T0_CROSS_O ? inner : d;
    *out = part == T0_WO || part == T0_O || part == T0_CROSS_O ? d : part == T0_WI_0 || part == T0_WI_1 ? f : inner;
    if (part == T0_HEAD) *out = (size_t)c->vocab_size;
    if (part == T0_HEAD) return !c->encoder_only;
    if (part > T0_HEAD || (part == T0_WI_1 && !c->gated) || (decoder && c->encoder_only) || (crosses && !decoder)) return false;
    return block < (size_t)(decoder ? c->n_decoder_layers : c->n_layers);
}

const t0_adapter_site *t0_adapter_at(const t0_adapter *adapter, bool decoder, size_t block, t0_part part) {
    const size_t i = number_of(&adapter->config, decoder, block, part);
    assert(i < adapter->n_sites);
    const t0_adapter_site *site = &adapter->sites[i];
    return site->rank > 0 || site->from != SIZE_MAX || site->to != SIZE_MAX ? site : NULL;
}

/* ---- making -------------------------------------------------------------------------------------------------------- */

static t0_status wrong_shape(const t0_adapter_spec *spec, size_t rows, size_t columns, t0_error *err) {
    return t0_fail(err, T0_EVALUE, "%s: shape [%zu, %zu], but this model needs [%zu, %zu]", spec->name, spec->rows, spec->columns, rows,
                   columns);
}

static t0_status twice(const t0_adapter_spec *spec, t0_error *err) {
    return t0_fail(err, T0_EVALUE, "%s: its place has such a tensor already", spec->name);
}

static t0_status check_rank(const t0_adapter_spec *spec, size_t rank, t0_error *err) {
    if (rank >= 1 && rank <= T0_MOST_RANK) return T0_OK;
    return t0_fail(err, T0_EVALUE, "%s: rank %zu: must be from 1 to %d", spec->name, rank, T0_MOST_RANK);
}

static t0_status place_lora(t0_adapter_site *site, const t0_adapter_spec *spec, size_t offset, t0_error *err) {
    const bool a = spec->role == T0_LORA_A;
    const size_t rank = a ? spec->rows : spec->columns;
    T0_TRY(check_rank(spec, rank, err));
    if ((a ? site->a : site->b) != SIZE_MAX) return twice(spec, err);
    if (site->rank > 0 && site->rank != rank)
        return t0_fail(err, T0_EVALUE, "%s: rank %zu, but the other matrix of its layer has %zu", spec->name, rank, site->rank);
    if (a && spec->columns != site->in) return wrong_shape(spec, rank, site->in, err);
    if (!a && spec->rows != site->out) return wrong_shape(spec, site->out, rank, err);
    site->rank = rank;
    if (a) site->scale = spec->scale;
    *(a ? &site->a : &site->b) = offset;
    return T0_OK;
}

static t0_status place_scale(t0_adapter_site *site, const t0_adapter_spec *spec, size_t offset, t0_error *err) {
    size_t *to = spec->role == T0_SCALE_IN ? &site->from : &site->to;
    const size_t width = spec->role == T0_SCALE_IN ? site->in : site->out;
    if (spec->rows != 1 || spec->columns != width) return wrong_shape(spec, 1, width, err);
    if (spec->part == T0_HEAD && spec->role == T0_SCALE_IN)
        return t0_fail(err, T0_EVALUE, "%s: factors of what goes into the head are not computed", spec->name);
    if (*to != SIZE_MAX) return twice(spec, err);
    *to = offset;
    return T0_OK;
}

static t0_status place_prompts(t0_adapter *adapter, const t0_adapter_spec *spec, size_t offset, t0_error *err) {
    const size_t d = (size_t)adapter->config.d_model;
    if (spec->columns != d) return wrong_shape(spec, spec->rows, d, err);
    if (spec->rows < 1 || spec->rows > T0_MOST_PROMPTS)
        return t0_fail(err, T0_EVALUE, "%s: %zu rows: must be from 1 to %d", spec->name, spec->rows, T0_MOST_PROMPTS);
    if (adapter->n_prompts > 0) return twice(spec, err);
    adapter->prompts = offset;
    adapter->n_prompts = spec->rows;
    return T0_OK;
}

static t0_status place(t0_adapter *adapter, const t0_adapter_spec *spec, size_t offset, t0_error *err) {
    size_t in, out;
    if (spec->role == T0_PROMPT) return place_prompts(adapter, spec, offset, err);
    if (!has_part(&adapter->config, spec->decoder, spec->block, spec->part, &in, &out))
        return t0_fail(err, T0_EVALUE, "%s: this model has no such layer", spec->name);
    t0_adapter_site *site = &adapter->sites[number_of(&adapter->config, spec->decoder, spec->block, spec->part)];
    site->in = in;
    site->out = out;
    const bool lora = spec->role == T0_LORA_A || spec->role == T0_LORA_B;
    return lora ? place_lora(site, spec, offset, err) : place_scale(site, spec, offset, err);
}

static bool is_fused(t0_part part) { return part < T0_HEAD && part != T0_O && part != T0_CROSS_O && part != T0_WO; }

/* Both halves of each LoRA are there; what the sites need. */
static t0_status finish(t0_adapter *adapter, t0_error *err) {
    for (size_t i = 0; i < adapter->n_sites; i++) {
        const t0_adapter_site *site = &adapter->sites[i];
        const bool used = site->rank > 0 || site->from != SIZE_MAX || site->to != SIZE_MAX, head = i + 1 == adapter->n_sites;
        const t0_part part = head ? T0_HEAD : (t0_part)(i % T0_PARTS);
        if (site->rank > 0 && (site->a == SIZE_MAX || site->b == SIZE_MAX)) {
            size_t t = 0;
            while (adapter->tensors[t].offset != (site->a == SIZE_MAX ? site->b : site->a)) t++;
            return t0_fail(err, T0_EVALUE, "%s: the other matrix of its layer is not there", adapter->tensors[t].name);
        }
        adapter->rank = t0_size_max(adapter->rank, site->rank);
        adapter->head |= used && head;
        if (site->from != SIZE_MAX && is_fused(part)) adapter->apart = true;
        if (site->to != SIZE_MAX && !head && !is_fused(part)) adapter->apart = true;
    }
    return T0_OK;
}

static t0_status lay_out(t0_adapter *adapter, const t0_adapter_spec *specs, size_t n, t0_error *err) {
    const size_t unit = T0_ALIGN / sizeof(float);
    for (size_t i = 0; i < n; i++) {
        const t0_adapter_spec *spec = &specs[i];
        size_t size;
        if (!t0_size_mul(spec->rows, spec->columns, &size) || size > SIZE_MAX / 16 - adapter->n_weights || size == 0)
            return t0_fail(err, T0_EVALUE, "%s: shape [%zu, %zu]", spec->name, spec->rows, spec->columns);
        t0_tensor *tensor = &adapter->tensors[i];
        *tensor = (t0_tensor){.rows = spec->rows, .columns = spec->columns, .is_vector = spec->rows == 1, .matrix = SIZE_MAX};
        if (snprintf(tensor->name, sizeof tensor->name, "%s", spec->name) >= (int)sizeof tensor->name)
            return t0_fail(err, T0_EVALUE, "%s: a name of more than %zu bytes", spec->name, sizeof tensor->name - 1);
        tensor->first = tensor->offset = adapter->n_weights;
        T0_TRY(place(adapter, spec, tensor->offset, err));
        adapter->n_weights += t0_size_round(size, unit);
    }
    return finish(adapter, err);
}

static t0_status build(t0_adapter *adapter, const t0_adapter_spec *specs, size_t n, t0_error *err) {
    adapter->n_tensors = n;
    adapter->n_sites = blocks_of(&adapter->config) * T0_PARTS + 1;
    adapter->tensors = t0_alloc_zero(n * sizeof *adapter->tensors);
    adapter->sites = t0_alloc_zero(adapter->n_sites * sizeof *adapter->sites);
    if (!adapter->tensors || !adapter->sites) return t0_fail_memory(err, n * sizeof *adapter->tensors);
    for (size_t i = 0; i < adapter->n_sites; i++)
        adapter->sites[i].a = adapter->sites[i].b = adapter->sites[i].from = adapter->sites[i].to = SIZE_MAX;
    T0_TRY(lay_out(adapter, specs, n, err));
    adapter->weights = t0_alloc_zero(adapter->n_weights * sizeof *adapter->weights);
    return adapter->weights ? T0_OK : t0_fail_memory(err, adapter->n_weights * sizeof *adapter->weights);
}

t0_status t0_adapter_new(t0_adapter **out, const t0_config *config, const t0_adapter_spec *specs, size_t n, t0_error *err) {
    if (n == 0) return t0_fail(err, T0_EVALUE, "an adapter without tensors does nothing");
    t0_adapter *adapter = t0_alloc_zero(sizeof *adapter);
    if (!adapter) return t0_fail_memory(err, sizeof *adapter);
    adapter->config = *config;
    const t0_status status = build(adapter, specs, n, err);
    if (status == T0_OK) *out = adapter;
    else t0_adapter_free(adapter);
    return status;
}

void t0_adapter_free(t0_adapter *adapter) {
    if (!adapter) return;
    t0_free(adapter->tensors);
    t0_free(adapter->sites);
    t0_free(adapter->weights);
    t0_free(adapter);
}

bool t0_adapter_fits(const t0_adapter *adapter, const t0_config *config) {
    const t0_config *c = &adapter->config;
    return c->d_model == config->d_model && t0_config_inner(c) == t0_config_inner(config) && c->d_ff == config->d_ff &&
           c->n_layers == config->n_layers && c->n_decoder_layers == config->n_decoder_layers && c->gated == config->gated &&
           c->encoder_only == config->encoder_only && c->vocab_size == config->vocab_size;
}

/* ---- computing ----------------------------------------------------------------------------------------------------- */

void t0_adapter_add(t0_exec *exec, const t0_adapter *adapter, const t0_adapter_site *site, float *y, size_t y_stride, const float *x,
                    size_t x_stride, size_t n, float *low) {
    const size_t r = site->rank;
    assert(r >= 1 && low && x_stride >= site->in && y_stride >= site->out);
    t0_gemm_floats(exec, low, r, (t0_operand){x, x_stride, 1}, (t0_operand){adapter->weights + site->a, 1, site->in}, n, r, site->in,
                   false);
    t0_scale(exec, low, n * r, site->scale);
    t0_gemm_floats(exec, y, y_stride, (t0_operand){low, r, 1}, (t0_operand){adapter->weights + site->b, 1, r}, n, site->out, r, true);
}

void t0_adapter_scale(t0_exec *exec, const t0_adapter *adapter, size_t factors, float *y, size_t y_stride, const float *x, size_t x_stride,
                      size_t n, size_t width) {
    assert(factors != SIZE_MAX);
    for (size_t i = 0; i < n; i++)
        t0_exec_kernels(exec)->scale_mul(y + i * y_stride, x + i * x_stride, adapter->weights + factors, 1.0f, width);
}

/* ---- rows by their adapters ---------------------------------------------------------------------------------------- */

t0_adapter_needs t0_adapter_needs_of(const t0_adapter *const *adapters, size_t n) {
    t0_adapter_needs needs = {0};
    for (size_t i = 0; adapters && i < n; i++) {
        if (!adapters[i]) continue;
        needs.any = true;
        needs.apart |= adapters[i]->apart;
        needs.head |= adapters[i]->head;
        needs.rank = t0_size_max(needs.rank, adapters[i]->rank);
    }
    return needs;
}

void t0_adapted_push(t0_adapted *adapted, t0_range rows, const t0_adapter *adapter) {
    if (!adapter || rows.begin == rows.end) return;
    t0_adapter_run *last = adapted->n_runs > 0 ? &adapted->runs[adapted->n_runs - 1] : NULL;
    assert(adapted->needs.any && (!last || last->rows.end <= rows.begin));
    if (last && last->adapter == adapter && last->rows.end == rows.begin) last->rows.end = rows.end;
    else adapted->runs[adapted->n_runs++] = (t0_adapter_run){rows, adapter};
}

/* The rows of a run that lie in `rows`, counted from its beginning. */
static t0_range within(t0_adapter_run run, t0_range rows) {
    const size_t begin = t0_size_max(run.rows.begin, rows.begin), end = t0_size_min(run.rows.end, rows.end);
    return begin < end ? (t0_range){begin - rows.begin, end - rows.begin} : (t0_range){0, 0};
}

void t0_adapted_add(t0_exec *exec, const t0_adapted *adapted, bool decoder, size_t block, t0_part part, float *y, size_t y_stride,
                    const float *x, size_t x_stride, t0_range rows, float *low) {
    for (size_t i = 0; i < adapted->n_runs; i++) {
        const t0_adapter *adapter = adapted->runs[i].adapter;
        const t0_adapter_site *site = t0_adapter_at(adapter, decoder, block, part);
        const t0_range own = within(adapted->runs[i], rows);
        if (site && site->rank > 0 && own.end > own.begin)
            t0_adapter_add(exec, adapter, site, y + own.begin * y_stride, y_stride, x + own.begin * x_stride, x_stride, own.end - own.begin,
                           low);
    }
}

void t0_adapted_scale(t0_exec *exec, const t0_adapted *adapted, bool decoder, size_t block, t0_part part, t0_role role, float *y,
                      size_t y_stride, t0_range rows) {
    const bool in = role == T0_SCALE_IN;
    for (size_t i = 0; i < adapted->n_runs; i++) {
        const t0_adapter *adapter = adapted->runs[i].adapter;
        const t0_adapter_site *site = t0_adapter_at(adapter, decoder, block, part);
        const t0_range own = within(adapted->runs[i], rows);
        if (!site || own.end == own.begin || (in ? site->from : site->to) == SIZE_MAX) continue;
        float *at = y + own.begin * y_stride;
        t0_adapter_scale(exec, adapter, in ? site->from : site->to, at, y_stride, at, y_stride, own.end - own.begin,
                         in ? site->in : site->out);
    }
}
