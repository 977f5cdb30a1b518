/* Training's beginning: first weights. Every weight is a pure function of (seed, its place in the table), whatever the order of filling:
 *
 *     w[i] = std * normal(seed, T0_RANDOM_INIT, first + i)
 *
 * T0_INIT_T5 (Raffel et al. 2020, Mesh TensorFlow): std 1 for shared; (D K)^-0.5 for q, which holds attention's missing
 * 1/sqrt(K); D^-0.5 for k, v, wi, the bias table and the head; I^-0.5 for o; F^-0.5 for wo; norms are 1. The head's D^-0.5
 * is Mesh's, whose logits then begin with a deviation near 1; transformers draws its head with std 1.
 *
 * T0_INIT_MATCHING: T0_INIT_T5, then the encoder's heads are given roles. Looking a fact up means finding an earlier
 * mention of the same word and what stands beside it; small models find these two steps late, so they begin with them.
 * Heads h < (H + 1) / 2 match like with like. With x the normed state (|x|^2 = D) and W_q as above, |W_q x|^2 is about 1:
 *
 *     W_k = 1.5 sqrt(K) W_q    =>   q.k = 1.5 sqrt(K) on the same word, and 1.5 normal(0, 1) between two others
 *     W_o = 1.5 W_v^T          =>   adds 1.5 W_v^T W_v x', a projection of the word found, to the residual stream
 *     bias = -4 at distance 0  =>   the word itself is passed over for its other mentions
 *
 * The other heads look to neighbours, alternately left and right: bias 4 - (d - 1) at distances d = 1 .. 4 on their side.
 * A head has the same role in each block, whether the bias table is shared by all or each has one. Only the encoder is changed. */
#include "base/random.h"
#include "nn/layers.h"
#include "t5/model.h"

#include <math.h>
#include <string.h>

static const float MATCH = 1.5f, SELF_BIAS = -4.0f, NEAR_BIAS = 4.0f;
enum { NEAR = 4, ROWS = T0_PANEL };

static bool ends_with(const char *name, const char *end) {
    const size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

/* Standard deviation of a matrix by its name. */
static double deviation(const t0_config *c, const char *name) {
    const double d = c->d_model, inner = (double)c->n_heads * c->d_kv;
    if (strcmp(name, "shared.weight") == 0) return 1.0;
    if (ends_with(name, "Attention.q.weight")) return 1.0 / sqrt(d * c->d_kv);
    if (ends_with(name, "Attention.o.weight")) return 1.0 / sqrt(inner);
    if (ends_with(name, ".wo.weight")) return 1.0 / sqrt((double)c->d_ff);
    return 1.0 / sqrt(d);
}

/* What the tasks of t0_model_init share: a task is a tensor. */
typedef struct filling {
    t0_model *model;
    t0_exec *exec;
    uint64_t seed;
    size_t worker_floats;
    float *rows; /* [workers][ROWS][most columns] for packed matrices */
} filling;

/* n values of a tensor from its element `first` on. */
static void draw(float *w, const filling *f, const t0_tensor *tensor, size_t first, size_t n) {
    t0_random_normal(w, n, f->seed, T0_RANDOM_INIT, tensor->first + first);
    const float std = (float)deviation(&f->model->config, tensor->name);
    for (size_t i = 0; i < n; i++) w[i] *= std;
}

static void fill(void *context, size_t index, size_t worker) {
    const filling *f = context;
    const t0_tensor *tensor = &f->model->tensors[index];
    float *own = f->model->weights + tensor->offset, *rows = f->rows + worker * f->worker_floats;
    if (tensor->is_vector)
        for (size_t i = 0; i < tensor->columns; i++) own[i] = 1.0f;
    else
        for (size_t r = 0; r < tensor->rows && !t0_exec_stops(f->exec, worker); r += ROWS) {
            const size_t some = tensor->rows - r < ROWS ? tensor->rows - r : ROWS, first = r * tensor->columns, n = some * tensor->columns;
            if (tensor->matrix == SIZE_MAX) {
                draw(own + first, f, tensor, first, n);
            } else {
                draw(rows, f, tensor, first, n);
                t0_model_put(f->model, tensor, r, some, rows, T0_FLOAT32);
            }
        }
}

/* Head h of one block: qkv [3I,D], o [D,I]. */
static void match_like_with_like(const t0_config *c, float *qkv, float *o, size_t h) {
    const size_t d = (size_t)c->d_model, k = (size_t)c->d_kv, inner = t0_config_inner(c);
    const float *wq = qkv + h * k * d, *wv = qkv + (2 * inner + h * k) * d;
    float *wk = qkv + (inner + h * k) * d;
    const float scale = MATCH * sqrtf((float)k);
    for (size_t i = 0; i < k * d; i++) wk[i] = scale * wq[i];
    for (size_t row = 0; row < d; row++)
        for (size_t i = 0; i < k; i++) o[row * inner + h * k + i] = MATCH * wv[i * d + row];
}

static float *bias_at(t0_model *model, size_t table, int64_t distance, size_t h) {
    const t0_config *c = &model->config;
    const size_t bucket = (size_t)t0_relative_bucket(distance, true, c->n_buckets, c->max_distance);
    return model->weights + table + bucket * (size_t)c->n_heads + h;
}

/* Heads from n_matching on look to neighbours, those before past themselves. */
static void give_biases(t0_model *model, size_t table, size_t n_matching) {
    for (size_t h = 0; h < n_matching; h++) *bias_at(model, table, 0, h) = SELF_BIAS;
    for (size_t h = n_matching; h < (size_t)model->config.n_heads; h++) {
        const int side = (h - n_matching) % 2 == 0 ? -1 : 1;
        for (int d = NEAR; d >= 1; d--) /* far first: where distances share a bucket the nearest one counts */
            *bias_at(model, table, side * d, h) = NEAR_BIAS - (float)(d - 1);
    }
}

static void give_roles(t0_model *model) {
    const size_t n_matching = ((size_t)model->config.n_heads + 1) / 2;
    for (size_t l = 0; l < model->encoder.n_blocks; l++) {
        const t0_block *block = &model->encoder.blocks[l];
        for (size_t h = 0; h < n_matching; h++)
            match_like_with_like(&model->config, model->weights + block->self_qkv, model->weights + block->self_o, h);
        if (t0_config_has_bias(&model->config, l)) give_biases(model, block->bias_table, n_matching);
    }
}

t0_status t0_model_init(t0_model *model, t0_exec *exec, t0_init how, uint64_t seed, const t0_poll *poll, t0_error *err) {
    if (how == T0_INIT_MATCHING && model->packed) return t0_fail(err, T0_EVALUE, "initializer 'matching': only for flat float32 models");
    filling f = {.model = model, .exec = exec, .seed = seed};
    if (model->packed)
        for (size_t i = 0; i < model->n_tensors; i++) f.worker_floats = t0_size_max(f.worker_floats, ROWS * model->tensors[i].columns);
    const size_t n = t0_exec_threads(exec) * f.worker_floats;
    f.rows = t0_alloc(n * sizeof *f.rows);
    if (!f.rows) return t0_fail_memory(err, n * sizeof *f.rows);
    t0_exec_watch(exec, poll);
    t0_exec_run(exec, fill, &f, model->n_tensors);
    const t0_status status = t0_exec_unwatch(exec, T0_OK, err);
    t0_free(f.rows);
    if (status == T0_OK && how == T0_INIT_MATCHING) give_roles(model);
    return status;
}
