/* Training beside a frozen model (equations in frozen.h). A packed matrix goes backwards in groups of panels: their words as floats
 * [in][T0_GEMM_K], a column a row of W, which a product of floats or bfloat16s takes as it lies. */
#include "t5/frozen.h"

#include "nn/gemm.h"
#include "nn/product.h"
#include "nn/vectors.h"

#include <assert.h>
#include <string.h>

enum { GROUP = T0_GEMM_K / T0_PANEL }; /* panels */

t0_status t0_frozen_check(const t0_adapter *adapter, t0_error *err) {
    const t0_adapter_site *head = t0_adapter_at(adapter, false, 0, T0_HEAD);
    if (!adapter->apart && !(head && head->to != SIZE_MAX)) return T0_OK;
    return t0_fail(
        err, T0_EVALUE,
        "factors of what goes into q, k, v or wi, or of what comes out of o, wo or the head, are computed, but not trained; take "
        "k, v, wi_1, and o and wo as feedforward modules");
}

static size_t widest_in(const t0_config *c) { return t0_size_max((size_t)c->d_model, t0_size_max(t0_config_inner(c), (size_t)c->d_ff)); }

void t0_frozen_carve(t0_pass *pass, size_t n_rows, t0_carver *at) {
    const t0_config *c = &pass->model->config;
    const size_t widest = widest_in(c);
    if (!pass->adapter) return;
    pass->scratch.low = t0_carve(at, n_rows, pass->adapter->rank);
    pass->scratch.dlow = t0_carve(at, n_rows, pass->adapter->rank);
    pass->scratch.x = t0_carve(at, n_rows, widest);
    pass->scratch.rows = NULL;
    pass->scratch.panels = NULL;
    if (!pass->model->packed) return;
    pass->scratch.rows = t0_carve(at, 1, t0_rows_floats(pass->rows_dtype, n_rows, widest));
    pass->scratch.panels = t0_carve(at, widest, T0_GEMM_K);
}

/* ---- the frozen weights -------------------------------------------------------------------------------------------- */

void t0_frozen_multiply(const t0_pass *pass, float *y, const float *x, size_t weight, size_t n, size_t in, size_t out, bool add,
                        bool split) {
    t0_rows rows = t0_rows_at(pass->rows_dtype, n, in, pass->scratch.rows);
    t0_rows_fill(pass->exec, &rows, x, in);
    t0_product(pass->exec, y, out, out, &rows, &pass->model->matrices[weight], split ? T0_SPLIT : add ? T0_ADD : T0_STORE);
}

/* y[in][y_stride] = the words of a panel as floats, row o of W in column o. */
static void unpack_panel(float *y, size_t y_stride, const t0_packed *w, size_t panel) {
    const uint32_t *words = t0_packed_panel(w, panel);
    const float *scale = w->scale ? w->scale + panel * T0_PANEL : NULL;
    const size_t group = t0_packed_group(w->dtype);
    for (size_t i = 0; i < w->in; i++) {
        const uint32_t *from = words + i / group * T0_PANEL;
        float *to = y + i * y_stride;
        const unsigned shift = (unsigned)(i % group);
        if (w->dtype == T0_FLOAT32) memcpy(to, from, T0_PANEL * sizeof *to);
        else if (w->dtype == T0_BFLOAT16)
            for (size_t o = 0; o < T0_PANEL; o++) to[o] = t0_from_bfloat16((uint16_t)(from[o] >> shift * 16));
        else
            for (size_t o = 0; o < T0_PANEL; o++) to[o] = (float)(int8_t)(uint8_t)(from[o] >> shift * 8) * scale[o];
    }
}

typedef struct unpacking {
    const t0_packed *w;
    float *to;
    size_t first, step; /* panel first + i step to columns 32 i */
} unpacking;

static void unpack_one(void *context, size_t index, size_t worker) {
    (void)worker;
    const unpacking *u = context;
    unpack_panel(u->to + index * T0_PANEL, T0_GEMM_K, u->w, u->first + index * u->step);
}

/* dx (+)= dy[n, out] times every step-th panel from the first on. */
static void back_through(const t0_pass *pass, float *dx, const float *dy, size_t dy_stride, const t0_packed *w, size_t first, size_t step,
                         size_t n, size_t out, bool add) {
    const size_t panels = t0_size_units(out, T0_PANEL);
    for (size_t p = 0; p < panels; p += GROUP) {
        const size_t some = t0_size_min(GROUP, panels - p), columns = t0_size_min(some * T0_PANEL, out - p * T0_PANEL);
        unpacking u = {w, pass->scratch.panels, first + p * step, step};
        t0_exec_run(pass->exec, unpack_one, &u, some);
        t0_gemm(pass->exec, dx, w->in, (t0_operand){dy + p * T0_PANEL, dy_stride, 1}, (t0_operand){u.to, 1, T0_GEMM_K}, n, w->in, columns,
                add || p > 0);
    }
}

void t0_frozen_multiply_back(const t0_pass *pass, float *dx, const float *dy, size_t weight, size_t n, size_t in, size_t out, bool add,
                             bool split) {
    const t0_packed *w = &pass->model->matrices[weight];
    assert(w->in == in && !w->is_table);
    (void)in;
    if (!split) {
        back_through(pass, dx, dy, out, w, 0, 1, n, out, add);
        return;
    }
    back_through(pass, dx, dy, out, w, 0, 2, n, out / 2, add);
    back_through(pass, dx, dy + out / 2, out, w, 1, 2, n, out / 2, true);
}

/* ---- the adapter --------------------------------------------------------------------------------------------------- */

static const t0_adapter_site *site_at(const t0_pass *pass, t0_adapted_site at) {
    return pass->adapter ? t0_adapter_at(pass->adapter, at.decoder, at.block, at.part) : NULL;
}

/* y[n, columns] = x under this site's mask; y may be x. */
static void drop(const t0_pass *pass, t0_adapted_site at, float *y, const float *x, size_t n, size_t columns) {
    const uint64_t place = (uint64_t)1 << 32 | (uint64_t)at.block << 8 | (uint64_t)at.decoder << 7 | (uint64_t)at.part;
    t0_dropout(pass->exec, y, x, n * columns, pass->adapter_dropout, pass->seed, place, at.first_row * columns);
}

static const float *dropped(const t0_pass *pass, t0_adapted_site at, const float *x, size_t n, size_t columns) {
    if (pass->adapter_dropout == 0.0f) return x;
    drop(pass, at, pass->scratch.x, x, n, columns);
    return pass->scratch.x;
}

void t0_frozen_adapt(const t0_pass *pass, t0_adapted_site at, float *y, size_t y_stride, const float *x, size_t n) {
    const t0_adapter_site *site = site_at(pass, at);
    if (!site) return;
    if (site->rank > 0)
        t0_adapter_add(pass->exec, pass->adapter, site, y, y_stride, dropped(pass, at, x, n, site->in), site->in, n, pass->scratch.low);
    if (site->to != SIZE_MAX) t0_adapter_scale(pass->exec, pass->adapter, site->to, y, y_stride, y, y_stride, n, site->out);
}

void t0_frozen_adapt_back(const t0_pass *pass, float *gradients, t0_adapted_site at, float *dy, size_t dy_stride, const float *y,
                          size_t y_stride, size_t n) {
    const t0_adapter_site *site = site_at(pass, at);
    if (!site || site->to == SIZE_MAX) return;
    const float *l = pass->adapter->weights + site->to;
    float *dl = gradients + site->to;
    for (size_t i = 0; i < n; i++, dy += dy_stride, y += y_stride)
        for (size_t o = 0; o < site->out; o++) {
            if (l[o] != 0.0f) dl[o] += dy[o] * (y[o] / l[o]);
            dy[o] *= l[o];
        }
}

void t0_frozen_lora_back(const t0_pass *pass, float *gradients, t0_adapted_site at, float *dx, const float *dy, size_t dy_stride,
                         const float *x, size_t n) {
    const t0_adapter_site *site = site_at(pass, at);
    if (!site || site->rank == 0) return;
    const size_t r = site->rank, in = site->in, out = site->out;
    const float *a = pass->adapter->weights + site->a, *b = pass->adapter->weights + site->b;
    float *low = pass->scratch.low, *dlow = pass->scratch.dlow;
    const float *u = dropped(pass, at, x, n, in);
    t0_gemm_floats(pass->exec, low, r, (t0_operand){u, in, 1}, (t0_operand){a, 1, in}, n, r, in, false);
    t0_scale(pass->exec, low, n * r, site->scale);
    t0_gemm_floats(pass->exec, gradients + site->b, r, (t0_operand){dy, 1, dy_stride}, (t0_operand){low, r, 1}, out, r, n, true);
    t0_gemm_floats(pass->exec, dlow, r, (t0_operand){dy, dy_stride, 1}, (t0_operand){b, r, 1}, n, r, out, false);
    t0_scale(pass->exec, dlow, n * r, site->scale);
    t0_gemm_floats(pass->exec, gradients + site->a, in, (t0_operand){dlow, 1, r}, (t0_operand){u, in, 1}, r, in, n, true);
    if (pass->adapter_dropout == 0.0f) {
        t0_gemm_floats(pass->exec, dx, in, (t0_operand){dlow, r, 1}, (t0_operand){a, in, 1}, n, in, r, true);
        return;
    }
    t0_gemm_floats(pass->exec, pass->scratch.x, in, (t0_operand){dlow, r, 1}, (t0_operand){a, in, 1}, n, in, r, false);
    drop(pass, at, pass->scratch.x, pass->scratch.x, n, in);
    t0_exec_kernels(pass->exec)->axpy(dx, 1.0f, pass->scratch.x, n * in);
}

const float *t0_frozen_scale_in(const t0_pass *pass, t0_adapted_site at, const float *u, size_t n) {
    const t0_adapter_site *site = site_at(pass, at);
    if (!site || site->from == SIZE_MAX) return u;
    t0_adapter_scale(pass->exec, pass->adapter, site->from, pass->scratch.x, site->in, u, site->in, n, site->in);
    return pass->scratch.x;
}

void t0_frozen_scale_in_back(const t0_pass *pass, float *gradients, t0_adapted_site at, float *du, const float *u, size_t n) {
    const t0_adapter_site *site = site_at(pass, at);
    if (!site || site->from == SIZE_MAX) return;
    const float *l = pass->adapter->weights + site->from;
    float *dl = gradients + site->from;
    for (size_t i = 0; i < n; i++, du += site->in, u += site->in)
        for (size_t o = 0; o < site->in; o++) {
            dl[o] += du[o] * u[o];
            du[o] *= l[o];
        }
}

/* ---- embeddings ---------------------------------------------------------------------------------------------------- */

void t0_frozen_embed(const t0_pass *pass, float *x, const int32_t *ids, size_t n) {
    const t0_model *model = pass->model;
    const size_t d = (size_t)model->config.d_model;
    for (size_t i = 0; i < n; i++, x += d) {
        const size_t id = (size_t)ids[i], vocab = (size_t)model->config.vocab_size;
        if (id >= vocab) memcpy(x, pass->adapter->weights + pass->adapter->prompts + (id - vocab) * d, d * sizeof *x);
        else if (model->packed) t0_packed_get(x, &model->matrices[model->shared], (t0_packed_place){0, 1}, id);
        else memcpy(x, model->weights + model->shared + id * d, d * sizeof *x);
    }
}

void t0_frozen_embed_back(const t0_pass *pass, float *gradients, const float *dx, const int32_t *ids, size_t n) {
    const size_t d = (size_t)pass->model->config.d_model;
    const int32_t vocab = pass->model->config.vocab_size;
    for (size_t i = 0; i < n; i++)
        if (ids[i] >= vocab)
            t0_exec_kernels(pass->exec)->axpy(gradients + pass->adapter->prompts + (size_t)(ids[i] - vocab) * d, 1.0f, dx + i * d, d);
}
