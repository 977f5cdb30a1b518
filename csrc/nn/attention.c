/* Attention forward and backward; the equations stand in nn/layers.h.
 *
 *     dP[h,i,j] = mask (d_o[i,h,:] . v[j,h,:]),   dS = p (dP - sum_j p dP),   with P' = mask p:
 *     dq[i] = sum_j dS[i,j] k[j],   dk[j] += sum_i dS[i,j] q[i],   dv[j] += sum_i P'[i,j] d_o[i],   dbias[h, j-i] += dS[i,j]
 *
 * One task is a (sequence, head). Queries go in blocks of 64, so a score block stays in the second-level cache.
 * Bias gradients are first kept apart for each sequence, then added in order, so no result depends on threads.
 *
 * Scratch of a backward pass, floats: [threads][2][64][longest keys] and, with a bias, [sequences][H][bias_width] */
#include "nn/gemm.h"
#include "nn/layers.h"

#include "base/random.h"

#include <assert.h>
#include <string.h>

enum { BLOCK = T0_ATTENTION_ROWS, POLL_HEADS = 16 /* heads of short sequences between two polls */ };

typedef struct attention {
    const t0_attention *s;
    t0_exec *exec;
    const t0_kernels *kernels;
    float *o, *p, *scratch;
    const float *q, *k, *v, *d_o;
    float *dq, *dk, *dv, *dbias; /* dbias: the part of each sequence */
    size_t longest;
} attention;

/* Queries [row, row + queries) and keys of one sequence; p_at: its first float of p. */
typedef struct sequence {
    size_t query_row, queries, key_row, keys, p_at;
} sequence;

static size_t count(const int64_t *offsets, size_t b) {
    assert(offsets[b] >= 0 && offsets[b] <= offsets[b + 1]);
    return (size_t)(offsets[b + 1] - offsets[b]);
}

static size_t longest_keys(const t0_attention *s) {
    size_t longest = 0;
    for (size_t b = 0; b < s->n_sequences; b++) {
        longest = t0_size_max(longest, count(s->key_offsets, b));
    }
    return longest;
}

/* Floats of p before sequence b. */
static size_t p_offset(const t0_attention *s, size_t b) {
    size_t at = 0;
    for (size_t i = 0; i < b; i++) at += s->n_heads * count(s->query_offsets, i) * count(s->key_offsets, i);
    return at;
}

static sequence sequence_of(const t0_attention *s, size_t b) {
    return (sequence){(size_t)s->query_offsets[b], count(s->query_offsets, b), (size_t)s->key_offsets[b], count(s->key_offsets, b),
                      p_offset(s, b)};
}

/* How many keys query i may see. */
static size_t visible(const t0_attention *s, const sequence *at, size_t i) {
    if (!s->causal) return at->keys;
    const size_t n = i + 1 + at->keys;
    return n <= at->queries ? 0 : n - at->queries < at->keys ? n - at->queries : at->keys;
}

size_t t0_attention_p_size(const t0_attention *s) { return p_offset(s, s->n_sequences); }

size_t t0_attention_backward_scratch_size(const t0_attention *s, size_t n_threads) {
    const size_t bias = s->has_bias ? s->n_sequences * s->n_heads * s->bias_width : 0;
    return 2 * n_threads * BLOCK * longest_keys(s) + bias;
}

/* p[rows, keys]: scores of queries first .. first+rows-1 become probabilities; hidden keys get 0. */
static void finish_scores(const attention *a, const sequence *at, size_t h, float *p, size_t first, size_t rows) {
    const t0_attention *s = a->s;
    for (size_t r = 0; r < rows; r++) {
        const size_t i = first + r, n = visible(s, at, i);
        float *row = p + r * at->keys;
        if (s->has_bias) {
            const size_t position = s->causal ? i + at->keys - at->queries : i;
            assert(n == 0 || (position <= s->bias_center && s->bias_center - position + n <= s->bias_width));
            a->kernels->axpy(row, 1.0f, s->bias + h * s->bias_width + s->bias_center - position, n);
        }
        a->kernels->softmax(row, n);
        memset(row + n, 0, (at->keys - n) * sizeof *row);
    }
}

/* Mask number of the first weight of query i of head h. */
static uint64_t mask_of(const t0_attention *s, const sequence *at, size_t h, size_t i) {
    return s->first + at->p_at + (h * at->queries + (s->broadcast ? 0 : i)) * at->keys;
}

/* dropped[rows, n] = dropped columns j .. j+n-1 of p[rows, stride], whose first element has mask number `first`. */
static void drop_block(const attention *a, float *dropped, const float *p, size_t stride, uint64_t first, size_t rows, size_t j, size_t n) {
    const t0_attention *s = a->s;
    const uint64_t purpose = T0_RANDOM_DROPOUT + (s->site << 8);
    if (n == stride && !s->broadcast) {
        a->kernels->dropout(dropped, p, rows * n, s->dropout, s->seed, purpose, first);
        return;
    }
    for (size_t r = 0; r < rows; r++)
        a->kernels->dropout(dropped + r * n, p + r * stride + j, n, s->dropout, s->seed, purpose,
                            first + (s->broadcast ? 0 : r * stride) + j);
}

/* o[rows, K] = drop(p)[rows, keys] v[keys, K]; with dropout in blocks of keys, because p itself is kept undropped. */
static void weigh_values(const attention *a, float *o, const float *p, size_t p_stride, uint64_t first, const float *v, size_t rows,
                         size_t keys, float *pack) {
    const t0_attention *s = a->s;
    float *dropped = pack + T0_GEMM_SCRATCH;
    const bool drops = s->dropout > 0.0f;
    size_t j = 0;
    do {
        const size_t n = drops && keys - j > T0_ATTENTION_KEYS ? T0_ATTENTION_KEYS : keys - j;
        t0_operand weights = {p + j, p_stride, 1};
        if (drops) {
            drop_block(a, dropped, p, p_stride, first, rows, j, n);
            weights = (t0_operand){dropped, n, 1};
        }
        t0_gemm_serial(a->kernels, pack, o, s->o_stride, weights, (t0_operand){v + j * s->v_stride, s->v_stride, 1}, rows, s->head_dim, n,
                       j > 0);
        j += n;
    } while (j < keys);
}

static void forward_head(void *context, size_t index, size_t worker) {
    const attention *a = context;
    const t0_attention *s = a->s;
    const size_t b = index / s->n_heads, h = index % s->n_heads, d = s->head_dim;
    const sequence at = sequence_of(s, b);
    float *pack = t0_exec_scratch(a->exec, worker);
    const float *k = a->k + at.key_row * s->k_stride + h * d, *v = a->v + at.key_row * s->v_stride + h * d;
    for (size_t first = 0; first < at.queries; first += BLOCK) {
        if ((first > 0 || index % POLL_HEADS == 0) && t0_exec_stops(a->exec, worker)) return;
        const size_t rows = at.queries - first < BLOCK ? at.queries - first : BLOCK, row = at.query_row + first;
        const size_t keys = visible(s, &at, first + rows - 1), e = at.p_at + (h * at.queries + first) * at.keys;
        float *p = a->p + e;
        t0_gemm_serial(a->kernels, pack, p, at.keys, (t0_operand){a->q + row * s->q_stride + h * d, s->q_stride, 1},
                       (t0_operand){k, 1, s->k_stride}, rows, keys, d, false);
        finish_scores(a, &at, h, p, first, rows);
        weigh_values(a, a->o + row * s->o_stride + h * d, p, at.keys, mask_of(s, &at, h, first), v, rows, keys, pack);
    }
}

void t0_attention_forward(t0_exec *exec, const t0_attention *s, float *o, float *p, const float *q, const float *k, const float *v) {
    attention a = {.s = s, .exec = exec, .kernels = t0_exec_kernels(exec), .o = o, .p = p, .q = q, .k = k, .v = v};
    assert(s->has_bias == (s->bias != NULL) && s->dropout >= 0.0f && s->dropout < 1.0f);
    t0_exec_run(exec, forward_head, &a, s->n_sequences * s->n_heads);
}

/* ds[rows, keys]: from dP to dS in place; the bias gradient of this sequence and head collects it. */
static void finish_gradients(const attention *a, const sequence *at, float *dbias, float *ds, const float *p, size_t first, size_t rows) {
    const t0_attention *s = a->s;
    for (size_t r = 0; r < rows; r++) {
        const size_t i = first + r, n = visible(s, at, i);
        float *row = ds + r * at->keys;
        const float *pr = p + r * at->keys;
        const float mean = a->kernels->dot(pr, row, n);
        for (size_t j = 0; j < n; j++) row[j] = pr[j] * (row[j] - mean);
        memset(row + n, 0, (at->keys - n) * sizeof *row);
        if (dbias) a->kernels->axpy(dbias + s->bias_center - (s->causal ? i + at->keys - at->queries : i), 1.0f, row, n);
    }
}

static void backward_sequence(const attention *a, size_t b, size_t h, float *dbias, size_t worker) {
    const t0_attention *s = a->s;
    const size_t d = s->head_dim;
    const sequence at = sequence_of(s, b);
    float *pack = t0_exec_scratch(a->exec, worker), *ds = a->scratch + 2 * worker * BLOCK * a->longest, *dropped = ds + BLOCK * a->longest;
    const size_t k_at = at.key_row * s->k_stride + h * d, v_at = at.key_row * s->v_stride + h * d;
    for (size_t first = 0; first < at.queries; first += BLOCK) {
        if ((first > 0 || (b + h) % POLL_HEADS == 0) && t0_exec_stops(a->exec, worker)) return;
        const size_t rows = at.queries - first < BLOCK ? at.queries - first : BLOCK, row = at.query_row + first;
        const size_t keys = visible(s, &at, first + rows - 1), e = at.p_at + (h * at.queries + first) * at.keys;
        const float *p = a->p + e, *used = p;
        const t0_operand d_o = {a->d_o + row * s->o_stride + h * d, s->o_stride, 1};
        const t0_operand q = {a->q + row * s->q_stride + h * d, s->q_stride, 1};
        t0_gemm_serial(a->kernels, pack, ds, at.keys, d_o, (t0_operand){a->v + v_at, 1, s->v_stride}, rows, keys, d, false);
        if (s->dropout > 0.0f) {
            for (size_t r = 0; r < rows; r++) memset(ds + r * at.keys + keys, 0, (at.keys - keys) * sizeof *ds);
            drop_block(a, dropped, p, at.keys, mask_of(s, &at, h, first), rows, 0, at.keys);
            drop_block(a, ds, ds, at.keys, mask_of(s, &at, h, first), rows, 0, at.keys);
            used = dropped;
        }
        t0_gemm_serial(a->kernels, pack, a->dv + v_at, s->v_stride, (t0_operand){used, 1, at.keys}, d_o, keys, d, rows, true);
        finish_gradients(a, &at, dbias, ds, p, first, rows);
        t0_gemm_serial(a->kernels, pack, a->dq + row * s->q_stride + h * d, s->q_stride, (t0_operand){ds, at.keys, 1},
                       (t0_operand){a->k + k_at, s->k_stride, 1}, rows, d, keys, false);
        t0_gemm_serial(a->kernels, pack, a->dk + k_at, s->k_stride, (t0_operand){ds, 1, at.keys}, q, keys, d, rows, true);
    }
}

static void backward_head(void *context, size_t index, size_t worker) {
    const attention *a = context;
    const t0_attention *s = a->s;
    float *dbias = a->dbias ? a->dbias + index * s->bias_width : NULL;
    if (dbias) memset(dbias, 0, s->bias_width * sizeof *dbias);
    backward_sequence(a, index / s->n_heads, index % s->n_heads, dbias, worker);
}

void t0_attention_backward(t0_exec *exec, const t0_attention *s, float *dq, float *dk, float *dv, float *dbias, float *scratch,
                           const float *d_o, const float *p, const float *q, const float *k, const float *v) {
    attention a = {.s = s,
                   .exec = exec,
                   .kernels = t0_exec_kernels(exec),
                   .p = (float *)p,
                   .scratch = scratch,
                   .q = q,
                   .k = k,
                   .v = v,
                   .d_o = d_o,
                   .dq = dq,
                   .dk = dk,
                   .dv = dv};
    a.longest = longest_keys(s);
    if (!s->has_bias) dbias = NULL;
    if (dbias) a.dbias = scratch + 2 * t0_exec_threads(exec) * BLOCK * a.longest;
    t0_exec_run(exec, backward_head, &a, s->n_sequences * s->n_heads);
    if (!dbias) return;
    const size_t size = s->n_heads * s->bias_width;
    for (size_t b = 0; b < s->n_sequences; b++) a.kernels->axpy(dbias, 1.0f, a.dbias + b * size, size);
}
