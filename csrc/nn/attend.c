/* One task is a (sequence, head). Its keys are packed as a product's panels and its values copied side by side once, then
 * queries go through in tiles of a few rows whose scores stay in the first-level cache:
 *
 *     scores[m, keys] = q k^T + bias,   softmax of each row,   o[m, K] = scores v
 *
 * A worker's scratch: keys | values | a tile's scores | its weights in bfloat16 | its queries | its results. */
#include "nn/attend.h"

#include "nn/packed.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { HEADS = 8 /* of a single query at a time */, PAD = 16, POLL_TASKS = 16 };
_Static_assert((int)HEADS <= (int)T0_TILE_ROWS, "their scores lie in the rows of a tile");

typedef struct attend {
    const t0_attend *s;
    t0_exec *exec;
    const t0_kernels *kernels;
    float *scratch;
    size_t worker_floats, most_keys;
    bool bfloat16;
} attend;

/* A worker's pieces. */
typedef struct room {
    float *keys, *values, *scores, *weights, *queries, *results;
} room;

static size_t place(room *at, float *base, size_t head_dim, size_t most_keys) {
    const size_t keys = t0_size_round(most_keys, T0_PANEL), dim = t0_size_round(head_dim, T0_PANEL), row = keys + PAD;
    const size_t sizes[] = {
        keys * dim, keys * dim, T0_TILE_ROWS * row, T0_TILE_ROWS * row / 2, T0_TILE_ROWS * (dim + PAD), T0_TILE_ROWS * T0_PANEL};
    float **pieces[] = {&at->keys, &at->values, &at->scores, &at->weights, &at->queries, &at->results};
    size_t used = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        *pieces[i] = base ? base + used : NULL;
        used += t0_size_round(sizes[i], 16);
    }
    return used;
}

size_t t0_attend_scratch(size_t n_threads, size_t head_dim, size_t most_keys) {
    room at;
    size_t all;
    if (most_keys > SIZE_MAX / 64 / (head_dim + 64)) return SIZE_MAX;
    return t0_size_mul(n_threads, place(&at, NULL, head_dim, most_keys), &all) ? all : SIZE_MAX;
}

static const float *row_of(const t0_attend *s, const float *rows, size_t entry) {
    return rows + (s->key_rows ? (size_t)s->key_rows[entry] : entry) * s->kv_stride;
}

/* Keys query i may see. */
static size_t visible(const t0_attend *s, t0_range queries, t0_range keys, size_t i) {
    const size_t n = keys.end - keys.begin, hidden = s->causal ? queries.end - queries.begin - 1 - i : 0;
    return n > hidden ? n - hidden : 0;
}

/* row[j] += bias of query i to key j, then softmax over the n keys that it sees. */
static void finish_row(const attend *a, t0_range queries, t0_range keys, size_t h, size_t i, float *row, size_t n) {
    const t0_attend *s = a->s;
    if (s->bias) {
        const size_t position = s->causal ? i + (keys.end - keys.begin) - (queries.end - queries.begin) : i;
        assert(n == 0 || (position <= s->bias_center && s->bias_center - position + n <= s->bias_width));
        a->kernels->axpy(row, 1.0f, s->bias + h * s->bias_width + s->bias_center - position, n);
    }
    a->kernels->softmax(row, n);
}

/* ---- float32 -------------------------------------------------------------------------------------------------------- */

/* keys: panels [d][nr] of nr keys; values: [n][d]. */
static void pack_floats(const attend *a, const room *at, t0_range keys, size_t h) {
    const t0_attend *s = a->s;
    const size_t d = s->head_dim, nr = a->kernels->nr, n = keys.end - keys.begin, column = h * s->kv_head;
    for (size_t j = 0; j < n; j += nr) {
        const size_t width = n - j < nr ? n - j : nr;
        const float *from = row_of(s, s->k, keys.begin + j) + column;
        size_t stride = s->kv_stride;
        if (s->key_rows) { /* scattered: side by side first, where the values will lie */
            for (size_t e = 0; e < width; e++) memcpy(at->values + e * d, row_of(s, s->k, keys.begin + j + e) + column, d * sizeof *from);
            from = at->values;
            stride = d;
        }
        a->kernels->pack_transposed(at->keys + j * d, from, stride, d, width);
    }
    for (size_t j = 0; j < n; j++) memcpy(at->values + j * d, row_of(s, s->v, keys.begin + j) + column, d * sizeof *s->v);
}

static void float_tile(const attend *a, const room *at, t0_range queries, t0_range keys, size_t h, t0_range rows) {
    const t0_attend *s = a->s;
    const size_t d = s->head_dim, nr = a->kernels->nr, m = rows.end - rows.begin, q_stride = d + PAD;
    const size_t n = visible(s, queries, keys, rows.end - 1), stride = t0_size_round(n, T0_PANEL) + PAD;
    for (size_t i = 0; i < m; i++)
        memcpy(at->queries + i * q_stride, s->q + (queries.begin + rows.begin + i) * s->q_stride + h * d, d * sizeof *s->q);
    for (size_t j = 0; j < n; j += nr)
        a->kernels->gemm_tile(at->scores + j, stride, at->queries, q_stride, 1, at->keys + j * d, nr, d, m, n - j < nr ? n - j : nr, false);
    for (size_t i = 0; i < m; i++) {
        const size_t seen = visible(s, queries, keys, rows.begin + i);
        finish_row(a, queries, keys, h, rows.begin + i, at->scores + i * stride, seen);
        memset(at->scores + i * stride + seen, 0, (n - seen) * sizeof *at->scores);
    }
    float *o = s->o + (queries.begin + rows.begin) * s->o_stride + h * d;
    for (size_t c = 0; c < d; c += nr)
        a->kernels->gemm_tile(o + c, s->o_stride, at->scores, stride, 1, at->values + c, d, n, m, d - c < nr ? d - c : nr, false);
}

/* ---- bfloat16 ------------------------------------------------------------------------------------------------------- */

/* keys: panels [ceil(d / 2)][32] words of 32 keys; values: panels [ceil(n / 2)][32] words of 32 columns, pairs of keys in a word. */
static void pack_halves(const attend *a, const room *at, t0_range keys, size_t h) {
    const t0_attend *s = a->s;
    const size_t d = s->head_dim, n = keys.end - keys.begin, column = h * s->kv_head;
    const size_t words = t0_size_units(d, 2), pairs = t0_size_units(n, 2);
    float *rows = at->values; /* 32 keys as bfloat16s, before the values come */
    for (size_t j = 0; j < n; j += T0_PANEL) {
        const size_t width = n - j < T0_PANEL ? n - j : T0_PANEL;
        for (size_t e = 0; e < width; e++) {
            uint16_t *to = (uint16_t *)(void *)(rows + e * words);
            a->kernels->dense->to_bfloat16(to, row_of(s, s->k, keys.begin + j + e) + column, d);
            if (d % 2) to[d] = 0;
        }
        a->kernels->pack_transposed(at->keys + j * words, rows, words, words, width);
    }
    for (size_t pair = 0; pair < pairs; pair++) {
        const float *low = row_of(s, s->v, keys.begin + 2 * pair) + column;
        const float *high = 2 * pair + 1 < n ? row_of(s, s->v, keys.begin + 2 * pair + 1) + column : NULL;
        for (size_t c = 0; c < d; c += T0_PANEL)
            a->kernels->dense->pair_bfloat16((uint32_t *)(void *)at->values + (c * pairs + pair * T0_PANEL), low + c,
                                             high ? high + c : NULL, t0_size_min(d - c, T0_PANEL));
    }
}

static void half_tile(const attend *a, const room *at, t0_range queries, t0_range keys, size_t h, t0_range rows) {
    const t0_attend *s = a->s;
    const t0_dense_kernels *dense = a->kernels->dense;
    const size_t d = s->head_dim, words = t0_size_units(d, 2), m = rows.end - rows.begin;
    const size_t pairs_of_all = t0_size_units(keys.end - keys.begin, 2);
    const size_t n = visible(s, queries, keys, rows.end - 1), stride = t0_size_round(n, T0_PANEL) + PAD, q_stride = 2 * words + PAD;
    uint16_t *q = (uint16_t *)(void *)at->queries, *weights = (uint16_t *)(void *)at->weights;
    for (size_t i = 0; i < m; i++) {
        dense->to_bfloat16(q + i * q_stride, s->q + (queries.begin + rows.begin + i) * s->q_stride + h * d, d);
        if (d % 2) q[i * q_stride + d] = 0;
    }
    for (size_t j = 0; j < n; j += T0_PANEL) {
        dense->tile_bfloat16(at->results, q, q_stride, (const uint32_t *)(const void *)at->keys + j * words, words, m);
        for (size_t i = 0; i < m; i++) memcpy(at->scores + i * stride + j, at->results + i * T0_PANEL, T0_PANEL * sizeof(float));
    }
    for (size_t i = 0; i < m; i++) {
        const size_t seen = visible(s, queries, keys, rows.begin + i);
        finish_row(a, queries, keys, h, rows.begin + i, at->scores + i * stride, seen);
        dense->to_bfloat16(weights + i * stride, at->scores + i * stride, seen);
        memset(weights + i * stride + seen, 0, (n + n % 2 - seen) * sizeof *weights);
    }
    for (size_t c = 0; c < d; c += T0_PANEL) {
        const size_t width = d - c < T0_PANEL ? d - c : T0_PANEL;
        float *o = s->o + (queries.begin + rows.begin) * s->o_stride + h * d + c;
        dense->tile_bfloat16(at->results, weights, stride, (const uint32_t *)(const void *)at->values + c * pairs_of_all,
                             t0_size_units(n, 2), m);
        for (size_t i = 0; i < m; i++) memcpy(o + i * s->o_stride, at->results + i * T0_PANEL, width * sizeof *o);
    }
}

/* ---- tasks ---------------------------------------------------------------------------------------------------------- */

/* Heads first .. end - 1 of one query, key after key: a key's heads lie side by side. */
static void single_query(const attend *a, const room *at, t0_range queries, t0_range keys, t0_range heads) {
    const t0_attend *s = a->s;
    const size_t d = s->head_dim, n = keys.end - keys.begin, stride = t0_size_round(n, T0_PANEL) + PAD;
    const float *q = s->q + queries.begin * s->q_stride;
    float *o = s->o + queries.begin * s->o_stride;
    for (size_t j = 0; j < n; j++) {
        const float *k = row_of(s, s->k, keys.begin + j);
        for (size_t h = heads.begin; h < heads.end; h++)
            at->scores[(h - heads.begin) * stride + j] = a->kernels->dot(q + h * d, k + h * s->kv_head, d);
    }
    for (size_t h = heads.begin; h < heads.end; h++) finish_row(a, queries, keys, h, 0, at->scores + (h - heads.begin) * stride, n);
    memset(o + heads.begin * d, 0, (heads.end - heads.begin) * d * sizeof *o);
    for (size_t j = 0; j < n; j++) {
        const float *v = row_of(s, s->v, keys.begin + j);
        for (size_t h = heads.begin; h < heads.end; h++)
            a->kernels->axpy(o + h * d, at->scores[(h - heads.begin) * stride + j], v + h * s->kv_head, d);
    }
}

void t0_attend_pack(const t0_kernels *kernels, float *packed, const float *k, const float *v, size_t stride, size_t n, size_t d) {
    const size_t nr = kernels->nr, whole = t0_size_round(n, nr);
    for (size_t j = 0; j < n; j += nr) kernels->pack_transposed(packed + j * d, k + j * stride, stride, d, n - j < nr ? n - j : nr);
    for (size_t c = 0; c < d; c += nr) {
        float *values = packed + whole * (d + c);
        for (size_t j = 0; j < n; j++) memcpy(values + j * nr, v + j * stride + c, (d - c < nr ? d - c : nr) * sizeof *values);
    }
}

/* The tile's sums for one query on keys that were packed before. */
static void panel_query(const attend *a, const room *at, t0_range queries, t0_range keys, size_t h) {
    const t0_attend *s = a->s;
    const size_t d = s->head_dim, n = keys.end - keys.begin, nr = a->kernels->nr, whole = t0_size_round(n, nr);
    const float *q = s->q + queries.begin * s->q_stride + h * d;
    assert(keys.begin % nr == 0);
    const float *k = s->k + (keys.begin * s->n_heads + h * whole) * t0_attend_packed(a->kernels, d), *v = k + whole * d;
    float *o = s->o + queries.begin * s->o_stride + h * d;
    for (size_t j = 0; j < n; j += nr)
        a->kernels->gemm_tile(at->scores + j, 0, q, 0, 1, k + j * d, nr, d, 1, n - j < nr ? n - j : nr, false);
    finish_row(a, queries, keys, h, 0, at->scores, n);
    for (size_t c = 0; c < d; c += nr)
        a->kernels->gemm_tile(o + c, 0, at->scores, 0, 1, v + whole * c, nr, n, 1, d - c < nr ? d - c : nr, false);
}

/* One query a sequence: a task is some of its heads. */
static void run_single(void *context, size_t index, size_t worker) {
    const attend *a = context;
    const t0_attend *s = a->s;
    const size_t groups = t0_size_units(s->n_heads, HEADS), b = index / groups, first = index % groups * HEADS;
    const t0_range heads = {first, first + HEADS < s->n_heads ? first + HEADS : s->n_heads};
    room at;
    assert(s->queries[b].end - s->queries[b].begin == 1 && s->keys[b].end - s->keys[b].begin <= a->most_keys);
    if (index % POLL_TASKS == 0 && t0_exec_stops(a->exec, worker)) return;
    place(&at, a->scratch + worker * a->worker_floats, s->head_dim, a->most_keys);
    if (!s->panels) {
        single_query(a, &at, s->queries[b], s->keys[b], heads);
        return;
    }
    for (size_t h = heads.begin; h < heads.end; h++) panel_query(a, &at, s->queries[b], s->keys[b], h);
}

static void run_head(void *context, size_t index, size_t worker) {
    const attend *a = context;
    const t0_attend *s = a->s;
    const size_t b = index / s->n_heads, h = index % s->n_heads, n = s->queries[b].end - s->queries[b].begin;
    const t0_range queries = s->queries[b], keys = s->keys[b];
    room at;
    assert(keys.end - keys.begin <= a->most_keys);
    if (n == 0 || (index % POLL_TASKS == 0 && t0_exec_stops(a->exec, worker))) return;
    place(&at, a->scratch + worker * a->worker_floats, s->head_dim, a->most_keys);
    if (a->bfloat16) pack_halves(a, &at, keys, h);
    else pack_floats(a, &at, keys, h);
    const size_t mr = a->bfloat16 ? a->kernels->dense->rows_bfloat16 : a->kernels->mr, tiles = t0_size_units(n, mr);
    for (size_t i = 0; i < tiles; i++) {
        const t0_range rows = t0_range_of(n, tiles, i);
        if (i % POLL_TASKS == POLL_TASKS - 1 && t0_exec_stops(a->exec, worker)) return;
        if (a->bfloat16) half_tile(a, &at, queries, keys, h, rows);
        else float_tile(a, &at, queries, keys, h, rows);
    }
}

void t0_attend_forward(t0_exec *exec, const t0_attend *s, float *scratch, size_t most_keys) {
    const t0_kernels *kernels = t0_exec_kernels(exec);
    room at;
    assert((!s->panels || s->single) && kernels->mr <= T0_TILE_ROWS && T0_PANEL % kernels->nr == 0);
    attend a = {.s = s, .exec = exec, .kernels = kernels, .scratch = scratch, .most_keys = most_keys};
    a.worker_floats = place(&at, NULL, s->head_dim, most_keys);
    a.bfloat16 = s->bfloat16 && kernels->dense->tile_bfloat16;
    if (s->single) t0_exec_run(exec, run_single, &a, s->n_sequences * (t0_size_units(s->n_heads, HEADS)));
    else t0_exec_run(exec, run_head, &a, s->n_sequences * s->n_heads);
}
