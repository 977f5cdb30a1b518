/* How a packed product runs:
 *
 *     for each block of 4 panels (128 columns; 8 for likelihoods)     weights: in the second-level cache
 *       for each mr rows of x                                         rows: in the first- or second-level cache
 *         for each panel: the tile over the whole depth; then the block's finish on the mr x 128 results
 *
 * Threads take blocks, so each reads its own share of the weights; where there are too few, they take rows. */
#include "nn/product.h"

#include "nn/gemm.h"

#include <assert.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

enum {
    BLOCK = 4,             /* panels of a block: even, for gates come in pairs */
    LIKELIHOOD_BLOCK = 8,  /* fixed, since the order of a sum depends on it */
    MOST_ROWS = 96,        /* that a block's results are held of: tiles of any kernel set */
    WIDENED = 192,         /* depth of a widened piece: 24 KB */
    POLL_TILES = 8,        /* between two polls: less than a millisecond of a vector kernel */
    LINE = 64,
    SPLIT = 1 << 18,       /* words times rows worth waking another thread */
    NORM_GRAIN = 8192
};

/* ---- rows ----------------------------------------------------------------------------------------------------------- */

t0_dtype t0_rows_dtype(const t0_kernels *kernels, t0_dtype weights) {
    return weights == T0_BFLOAT16 && !kernels->dense->tile_bfloat16 ? T0_FLOAT32 : weights;
}

static size_t row_bytes(t0_dtype dtype, size_t in) {
    const size_t size = dtype == T0_FLOAT32 ? 4 : dtype == T0_BFLOAT16 ? 2 : 1;
    const size_t lines = t0_size_units(in * size, LINE) + 1; /* one more: rows must not be a power of two apart */
    return lines * LINE % 4096 == 0 ? (lines + 1) * LINE : lines * LINE;
}

size_t t0_rows_floats(t0_dtype dtype, size_t n, size_t in) {
    size_t bytes, all;
    if (in > SIZE_MAX / 8 || !t0_size_mul(n, row_bytes(dtype, in), &bytes)) return SIZE_MAX;
    return t0_size_add(bytes, n * sizeof(float) + LINE, &all) ? all / sizeof(float) : SIZE_MAX;
}

t0_rows t0_rows_at(t0_dtype dtype, size_t n, size_t in, float *memory) {
    const size_t stride = row_bytes(dtype, in);
    return (t0_rows){dtype, n, in, stride, (uint8_t *)(void *)memory, memory ? memory + n * stride / sizeof *memory : NULL};
}

typedef struct fill {
    const t0_kernels *kernels;
    t0_rows *rows;
    const float *x, *g; /* g NULL: no norm */
    size_t x_stride, parts;
    float eps;
    t0_exec *exec;
    atomic_bool bad;
} fill;

static void encode_row(const fill *s, size_t n, const float *x) {
    t0_rows *rows = s->rows;
    uint8_t *to = rows->data + n * rows->stride;
    if (rows->dtype == T0_INT8) {
        rows->scale[n] = s->kernels->dense->quantise(to, x, rows->in);
        if (rows->in % 4) memset(to + rows->in, 0, 4 - rows->in % 4);
    } else if (rows->dtype == T0_BFLOAT16) {
        s->kernels->dense->to_bfloat16((uint16_t *)(void *)to, x, rows->in);
        if (rows->in % 2) memset(to + rows->in * 2, 0, 2);
    } else if ((const void *)to != (const void *)x) {
        memcpy(to, x, rows->in * sizeof *x);
    }
}

/* A normed row on its way to fewer bits lies in the worker's scratch, which stays near; a float row is its own. */
static void fill_rows(void *context, size_t index, size_t worker) {
    fill *s = context;
    const size_t dim = s->rows->in;
    const t0_range range = t0_range_of(s->rows->n, s->parts, index);
    for (size_t n = range.begin; n < range.end; n++) {
        const float *x = s->x + n * s->x_stride;
        if (s->g) {
            const float r = 1.0f / sqrtf(s->kernels->sum_squares(x, dim) / (float)dim + s->eps);
            if (!(r > 0.0f && r <= 3.4028234e38f)) atomic_store(&s->bad, true);
            float *y = t0_exec_scratch(s->exec, worker);
            if (s->rows->dtype == T0_FLOAT32) y = (float *)(void *)(s->rows->data + n * s->rows->stride);
            s->kernels->scale_mul(y, x, s->g, r, dim);
            x = y;
        }
        encode_row(s, n, x);
    }
}

static bool run_fill(fill *s, t0_exec *exec) {
    assert(s->rows->in >= 1 && s->x_stride >= s->rows->in);
    s->exec = exec;
    s->kernels = t0_exec_kernels(exec);
    s->parts = t0_exec_parts(exec, s->rows->n, NORM_GRAIN / s->rows->in + 1);
    t0_exec_run(exec, fill_rows, s, s->parts);
    return !atomic_load(&s->bad);
}

void t0_rows_fill(t0_exec *exec, t0_rows *rows, const float *x, size_t x_stride) {
    fill s = {.rows = rows, .x = x, .x_stride = x_stride};
    run_fill(&s, exec);
}

bool t0_rows_norm(t0_exec *exec, t0_rows *rows, const float *x, const float *g, float eps) {
    fill s = {.rows = rows, .x = x, .x_stride = rows->in, .g = g, .eps = eps};
    return run_fill(&s, exec);
}

/* ---- products ------------------------------------------------------------------------------------------------------- */

typedef struct likelihood {
    float *parts, *picked; /* parts: [n][blocks] log-sum-exps */
    const int64_t *label_offsets;
    const int32_t *labels;
    size_t n_blocks;
} likelihood;

typedef struct product {
    t0_exec *exec;
    const t0_kernels *kernels;
    const t0_rows *x;
    const t0_packed *w;
    float *y;
    size_t y_stride, out;
    t0_finish finish;
    t0_activation f;              /* of T0_APPLY and T0_GATE */
    const likelihood *likelihood; /* NULL: y is written */
    size_t parts;
    bool by_rows;
} product;

/* Results of a block of panels for the rows of a tile, on their way out: floats, or int8's integers beside them. */
typedef struct tile {
    _Alignas(LINE) float values[LIKELIHOOD_BLOCK][MOST_ROWS * T0_PANEL];
    _Alignas(LINE) int32_t integers[MOST_ROWS * T0_PANEL];
    float *scratch; /* the worker's */
} tile;

/* Panels of fewer bits than the rows: widened as they come. */
static bool widens(const product *p) { return p->x->dtype == T0_FLOAT32 && p->w->dtype == T0_BFLOAT16; }

/* Rows of a tile; of several, where a widened piece of a panel should serve more of them. */
static size_t tile_rows(const product *p) {
    if (widens(p)) return MOST_ROWS / p->kernels->mr * p->kernels->mr;
    switch (p->x->dtype) {
    case T0_INT8: return p->kernels->dense->rows_int8;
    case T0_BFLOAT16: return p->kernels->dense->rows_bfloat16;
    default: return p->kernels->mr;
    }
}

/* c[m, n] (+)= m rows of a times a piece of a panel, [k][32] floats. */
static void float_piece(const product *p, float *c, size_t c_stride, size_t n, const float *a, size_t stride, const float *piece, size_t k,
                        size_t m, bool add) {
    const size_t nr = p->kernels->nr, tiles = t0_size_units(m, p->kernels->mr);
    for (size_t i = 0; i < tiles; i++) {
        const t0_range rows = t0_range_of(m, tiles, i);
        for (size_t column = 0; column < n; column += nr)
            p->kernels->gemm_tile(c + rows.begin * c_stride + column, c_stride, a + rows.begin * stride, stride, 1, piece + column,
                                  T0_PANEL, k, rows.end - rows.begin, t0_size_min(n - column, nr), add);
    }
}

/* Panel j times rows first .. first + m - 1 in float32, in the steps of nn/gemm.c; a bfloat16 panel through `scratch`. */
static void float_tile(const product *p, float *scratch, float *c, size_t c_stride, size_t n, bool add, size_t first, size_t m, size_t j) {
    const size_t stride = p->x->stride / sizeof(float), depth = p->x->in;
    const size_t blocks = t0_size_units(depth, widens(p) ? WIDENED : T0_GEMM_K);
    const float *a = (const float *)(const void *)p->x->data + first * stride;
    const uint32_t *panel = t0_packed_panel(p->w, j);
    for (size_t block = 0; block < blocks; block++) {
        t0_range k = t0_range_of(depth, blocks, block);
        const float *piece = (const float *)(const void *)panel + k.begin * T0_PANEL;
        if (widens(p)) { /* whole words */
            k = (t0_range){k.begin + k.begin % 2, block + 1 < blocks ? k.end + k.end % 2 : k.end};
            p->kernels->dense->widen_pairs(scratch, panel + k.begin / 2 * T0_PANEL, (k.end - k.begin + 1) / 2);
            piece = scratch;
        }
        float_piece(p, c, c_stride, n, a + k.begin, stride, piece, k.end - k.begin, m, add || block > 0);
    }
}

/* Panel j of rows first .. first + m - 1 to [m][n] floats at `to`, or added to them; bfloat16 products have n 32 and no add. */
static void run_tile(const product *p, tile *t, float *to, size_t to_stride, size_t n, bool add, size_t first, size_t m, size_t j) {
    const t0_rows *x = p->x;
    assert(m >= 1 && m <= MOST_ROWS && first + m <= x->n && n >= 1 && n <= T0_PANEL && j < t0_packed_panels(p->w));
    const t0_dense_kernels *dense = p->kernels->dense;
    const size_t groups = t0_packed_groups(p->w);
    if (x->dtype == T0_FLOAT32) {
        float_tile(p, t->scratch, to, to_stride, n, add, first, m, j);
    } else if (x->dtype == T0_BFLOAT16) {
        const size_t stride = x->stride / sizeof(uint16_t);
        assert(n == T0_PANEL && to_stride == T0_PANEL && !add);
        dense->tile_bfloat16(to, (const uint16_t *)(const void *)x->data + first * stride, stride, t0_packed_panel(p->w, j), groups, m);
    } else {
        dense->tile_int8(t->integers, x->data + first * x->stride, x->stride, t0_packed_panel(p->w, j), groups, m);
        dense->finish_int8(to, to_stride, t->integers, m, n, x->scale + first, p->w->scale + j * T0_PANEL, p->w->sum + j * T0_PANEL, add);
    }
}

/* Panel j of a product that is stored or added to y. */
static void run_plain(const product *p, tile *t, size_t first, size_t m, size_t j) {
    const bool split = p->finish == T0_SPLIT;
    const size_t half = split ? p->out / 2 : p->out, begin = (split ? j / 2 : j) * T0_PANEL;
    const size_t n = t0_size_min(half - begin, T0_PANEL);
    float *y = p->y + first * p->y_stride + (split && j % 2 ? half : 0) + begin, *c = t->values[0];
    if (p->x->dtype != T0_BFLOAT16 && p->finish != T0_APPLY) {
        run_tile(p, t, y, p->y_stride, n, p->finish == T0_ADD, first, m, j);
        return;
    }
    run_tile(p, t, c, T0_PANEL, T0_PANEL, false, first, m, j);
    for (size_t i = 0; i < m; i++, y += p->y_stride, c += T0_PANEL) {
        if (p->finish == T0_ADD)
            for (size_t e = 0; e < n; e++) y[e] += c[e];
        else if (p->finish == T0_APPLY) p->kernels->activations[p->f].apply(y, c, n);
        else memcpy(y, c, n * sizeof *y);
    }
}

/* Slots 2 i and 2 i + 1 hold h0 and h1 of the same columns. */
static void gate(const product *p, const tile *t, size_t slot, size_t first, size_t m, size_t pair) {
    const size_t begin = pair * T0_PANEL, n = t0_size_min(p->out - begin, T0_PANEL);
    assert(slot % 2 == 0 && begin < p->out);
    for (size_t i = 0; i < m; i++) {
        const float *h0 = t->values[slot] + i * T0_PANEL, *h1 = t->values[slot + 1] + i * T0_PANEL;
        p->kernels->activations[p->f].gate(p->y + (first + i) * p->y_stride + begin, h0, h1, n);
    }
}

/* The block's log-sum-exp of each row, and the logits of labels that lie in it. */
static void take_likelihoods(const product *p, const tile *t, size_t first, size_t m, size_t block, size_t panels) {
    const likelihood *l = p->likelihood;
    const size_t begin = block * LIKELIHOOD_BLOCK * T0_PANEL, left = p->w->out - begin;
    const size_t n = left < panels * T0_PANEL ? left : panels * T0_PANEL;
    float z[LIKELIHOOD_BLOCK * T0_PANEL];
    for (size_t i = 0; i < m; i++) {
        for (size_t slot = 0; slot < panels; slot++) memcpy(z + slot * T0_PANEL, t->values[slot] + i * T0_PANEL, T0_PANEL * sizeof *z);
        l->parts[(first + i) * l->n_blocks + block] = p->kernels->log_sum_exp(z, n);
        for (int64_t e = l->label_offsets[first + i]; e < l->label_offsets[first + i + 1]; e++) {
            assert(l->labels[e] >= 0 && (size_t)l->labels[e] < p->w->out);
            if ((size_t)l->labels[e] - begin < n) l->picked[e] = z[(size_t)l->labels[e] - begin];
        }
    }
}

static void run_blocks(const product *p, t0_range blocks, t0_range rows, size_t worker) {
    tile t;
    t.scratch = t0_exec_scratch(p->exec, worker);
    const size_t wide = p->likelihood ? LIKELIHOOD_BLOCK : BLOCK, panels = t0_packed_panels(p->w);
    const size_t n_rows = rows.end - rows.begin, tiles = t0_size_units(n_rows, tile_rows(p));
    for (size_t block = blocks.begin; block < blocks.end; block++) {
        const size_t first_panel = block * wide, n = panels - first_panel < wide ? panels - first_panel : wide;
        for (size_t i = 0; i < tiles; i++) {
            if (i % POLL_TILES == 0 && t0_exec_stops(p->exec, worker)) return;
            const t0_range part = t0_range_of(n_rows, tiles, i);
            const size_t first = rows.begin + part.begin, m = part.end - part.begin;
            const bool plain = !p->likelihood && p->finish != T0_GATE;
            for (size_t slot = 0; slot < n; slot++) {
                if (plain) run_plain(p, &t, first, m, first_panel + slot);
                else run_tile(p, &t, t.values[slot], T0_PANEL, T0_PANEL, false, first, m, first_panel + slot);
            }
            if (p->likelihood) take_likelihoods(p, &t, first, m, block, n);
            else if (p->finish == T0_GATE)
                for (size_t slot = 0; slot < n; slot += 2) gate(p, &t, slot, first, m, (first_panel + slot) / 2);
        }
    }
}

static void run_part(void *context, size_t index, size_t worker) {
    const product *p = context;
    const size_t n_blocks = t0_size_units(t0_packed_panels(p->w), p->likelihood ? LIKELIHOOD_BLOCK : BLOCK);
    if (p->by_rows) run_blocks(p, (t0_range){0, n_blocks}, t0_range_of(p->x->n, p->parts, index), worker);
    else run_blocks(p, t0_range_of(n_blocks, p->parts, index), (t0_range){0, p->x->n}, worker);
}

static void run_product(product *p) {
    const size_t n_blocks = t0_size_units(t0_packed_panels(p->w), p->likelihood ? LIKELIHOOD_BLOCK : BLOCK);
    p->kernels = t0_exec_kernels(p->exec);
    p->parts = t0_exec_threads(p->exec);
    assert(!p->w->is_table && p->x->in == p->w->in && p->x->dtype == t0_rows_dtype(p->kernels, p->w->dtype));
    assert(p->w->dtype != T0_INT8 || p->w->in <= T0_INT8_DEPTH);
    if (p->x->n == 0) return;
    if (p->x->n * t0_packed_panels(p->w) * T0_PANEL < SPLIT / (t0_packed_groups(p->w) + 1)) p->parts = 1;
    p->by_rows = n_blocks < 2 * p->parts && t0_size_units(p->x->n, tile_rows(p)) >= p->parts;
    if (!p->by_rows && n_blocks < p->parts) p->parts = n_blocks;
    t0_exec_run(p->exec, run_part, p, p->parts);
}

void t0_product(t0_exec *exec, float *y, size_t y_stride, size_t out, const t0_rows *x, const t0_packed *w, t0_finish finish) {
    product p = {.exec = exec, .x = x, .w = w, .y = y, .y_stride = y_stride, .out = out, .finish = finish};
    assert(out <= w->out && y_stride >= out && (finish == T0_STORE || finish == T0_ADD || finish == T0_SPLIT));
    assert(finish != T0_SPLIT || (out % 2 == 0 && t0_packed_panels(w) % 2 == 0));
    run_product(&p);
}

void t0_product_activated(t0_exec *exec, float *y, size_t y_stride, size_t out, const t0_rows *x, const t0_packed *w, t0_activation f,
                          bool gated) {
    product p = {.exec = exec, .x = x, .w = w, .y = y, .y_stride = y_stride, .out = out, .finish = gated ? T0_GATE : T0_APPLY, .f = f};
    assert(f < T0_ACTIVATIONS && y_stride >= out && out <= (gated ? w->out / 2 : w->out) && (!gated || t0_packed_panels(w) % 2 == 0));
    run_product(&p);
}

/* ---- likelihoods ---------------------------------------------------------------------------------------------------- */

size_t t0_likelihood_parts(size_t vocab) { return t0_size_units(vocab, LIKELIHOOD_BLOCK * T0_PANEL); }

void t0_product_likelihood(t0_exec *exec, float *lse, float *picked, float *parts, const t0_rows *x, const t0_packed *w,
                           const int64_t *label_offsets, const int32_t *labels) {
    const likelihood l = {parts, picked, label_offsets, labels, t0_likelihood_parts(w->out)};
    product p = {.exec = exec, .x = x, .w = w, .likelihood = &l};
    run_product(&p);
    for (size_t n = 0; n < x->n; n++) lse[n] = p.kernels->log_sum_exp(parts + n * l.n_blocks, l.n_blocks);
}

float t0_row_log_sum_exp(const t0_kernels *kernels, const float *z, size_t vocab, float *parts) {
    const size_t wide = LIKELIHOOD_BLOCK * T0_PANEL, n = t0_likelihood_parts(vocab);
    for (size_t i = 0; i < n; i++) parts[i] = kernels->log_sum_exp(z + i * wide, vocab - i * wide < wide ? vocab - i * wide : wide);
    return kernels->log_sum_exp(parts, n);
}
