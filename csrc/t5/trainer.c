/* Training: the step, which is gradients of a batch, clipping, the optimiser; and how much memory it takes.
 *
 *     loss = mean over the target tokens of the batch;  g = d loss / d w
 *     c = min(1, clip_norm / (|g| + 1e-6)),  w = optimiser(w, c g),  tensor by tensor of the table; |g| and the optimiser
 *     leave frozen tensors out, though g has their gradients too
 *
 * Two ways to g behind one interface, chosen by the size of the model alone:
 * - sharded (fewer than 4 million weights): the batch is cut into 4 shards of whole examples (fewer where there are not
 *   so many), balanced by tokens; each runs on one thread with its own gradients and workspace; gradients are summed in
 *   the order of the shards. A small model's products are too small to be worth sharing out.
 * - wide: one shard, every layer on all threads; one set of gradients. Where there are only the portable kernels, BLAS
 *   takes the large products, and then its threads may change last bits.
 * Else neither depends on the number of threads: the cut is fixed, and layers never split a sum. Dropout masks are those of
 * (seed, step, place, element of the batch) in both.
 *
 * Of a batch that several processes share, or that is summed in lots, t0_trainer_share gives the part of some of its examples, scaled
 * as the whole; a tensor that another process applies (`elsewhere`) has no state here, and its norm is the other's to tell. */
#include "t5/shard.h"

#include "base/random.h"
#include "nn/optimizer.h"
#include "nn/product.h"
#include "nn/vectors.h"
#include "t5/frozen.h"
#include "t5/groups.h"

#include <assert.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

enum { MAX_SHARDS = 4, SHARDED_BELOW = 4000000 };
/* Rows of the microbatches of a shard (t5/shard.h). Wide: enough for products at full speed, since every microbatch reads all
 * weights. Sharded: activations of a small model stay within the caches. */
enum { WIDE_ROWS = 768, SHARDED_ROWS = 256 };

/* A shard's poll: the one on the calling thread asks the caller's, all watch the flag that it sets. */
typedef struct watch {
    const t0_poll *outer;
    atomic_bool *stop;
    bool asks;
} watch;

/* What is trained: a model's tensors, or an adapter's. */
typedef struct trained {
    const t0_tensor *tensors; /* [n_tensors], borrowed, and the weights that they are of */
    size_t n_tensors, n_weights;
    float *weights;
} trained;

struct t0_trainer {
    t0_model *model; /* borrowed */
    trained trained;
    t0_trainer_options options;
    bool *frozen;    /* [n_tensors] */
    bool *elsewhere; /* [n_tensors] */
    t0_exec *exec;   /* all threads */
    size_t n_threads;
    size_t n_shards; /* at most: 1 when wide */
    t0_shard shards[MAX_SHARDS];
    watch watches[MAX_SHARDS];
    t0_poll polls[MAX_SHARDS];
    size_t n_used; /* shards of the last batch */
    atomic_bool stop;
    bool tells;               /* whether the next share tells which gradients are final, from this offset on: */
    atomic_size_t final_from;
    t0_exec *side;            /* one thread: sums beside a share */

    float *gradients;     /* [n_weights]; shard 0 writes here */
    float *shard_block;   /* [n_shards - 1][n_weights] */
    float *states;        /* [n_states] */
    size_t *state_offsets; /* [n_tensors] */
    double *norms;        /* [n_tensors]: squared norms of the gradients */
    t0_dtype rows_dtype;  /* of a packed model's products */
    size_t n_states;
    float learning_rate, clip; /* of the step that is being applied */
    uint64_t step;
};

/* ---- making and freeing ------------------------------------------------------------------------------------------ */

static t0_adafactor adafactor_of(const t0_trainer *trainer) {
    return (t0_adafactor){.learning_rate = trainer->learning_rate,
                          .decay = 0.8f,
                          .clip = 1.0f,
                          .epsilon1 = 1e-30f,
                          .epsilon2 = 1e-3f,
                          .scale_parameter = trainer->options.scale_parameter,
                          .min_factored = 128};
}

static t0_adamw adamw_of(const t0_trainer *trainer) {
    const t0_trainer_options *o = &trainer->options;
    return (t0_adamw){trainer->learning_rate, o->beta1, o->beta2, o->epsilon, o->weight_decay};
}

static t0_sgd sgd_of(const t0_trainer *trainer) {
    return (t0_sgd){trainer->learning_rate, trainer->options.momentum, trainer->options.weight_decay};
}

/* Whether this trainer changes tensor i. */
static bool applies(const t0_trainer *trainer, size_t i) { return !trainer->frozen[i] && !trainer->elsewhere[i]; }

static size_t state_size(const t0_trainer *trainer, size_t i) {
    const t0_tensor *tensor = &trainer->trained.tensors[i];
    const size_t n = tensor->rows * tensor->columns;
    const t0_adafactor adafactor = adafactor_of(trainer);
    const t0_sgd sgd = sgd_of(trainer);
    if (!applies(trainer, i)) return 0;
    switch (trainer->options.optimizer) {
    case T0_ADAMW: return 2 * n;
    case T0_SGD: return t0_sgd_state_size(&sgd, n);
    default: return t0_adafactor_state_size(&adafactor, tensor->rows, tensor->columns);
    }
}

static t0_status allocate_floats(float **out, size_t n, t0_error *err) {
    *out = n <= SIZE_MAX / sizeof **out ? t0_map_zero(n * sizeof **out) : NULL;
    return *out ? T0_OK : t0_fail_memory(err, n * sizeof **out);
}

/* Copies the caller's flags; there must be something left to train. */
static t0_status take_flags(t0_trainer *trainer, const t0_trainer_options *given, t0_error *err) {
    const size_t n = trainer->trained.n_tensors;
    trainer->frozen = t0_alloc_zero(n * sizeof *trainer->frozen);
    trainer->elsewhere = t0_alloc_zero(n * sizeof *trainer->elsewhere);
    if (!trainer->frozen || !trainer->elsewhere) return t0_fail_memory(err, n * sizeof *trainer->frozen);
    size_t n_frozen = 0;
    for (size_t i = 0; given->frozen && i < n; i++) n_frozen += trainer->frozen[i] = given->frozen[i];
    if (given->elsewhere) memcpy(trainer->elsewhere, given->elsewhere, n * sizeof *trainer->elsewhere);
    if (n_frozen == n) return t0_fail(err, T0_EVALUE, "all %zu tensors are frozen: leave at least one to train", n);
    return T0_OK;
}

/* Where each tensor's state begins. */
static t0_status lay_out_states(t0_trainer *trainer, t0_error *err) {
    const size_t n = trainer->trained.n_tensors;
    trainer->state_offsets = t0_alloc_zero(n * sizeof *trainer->state_offsets);
    if (!trainer->state_offsets) return t0_fail_memory(err, n * sizeof *trainer->state_offsets);
    for (size_t i = 0; i < n; i++) {
        trainer->state_offsets[i] = trainer->n_states;
        trainer->n_states += state_size(trainer, i);
    }
    return T0_OK;
}

/* A trainer with all its sizes, but without threads, gradients and states; the options are checked. */
static t0_status plan_trainer(t0_trainer **out, t0_model *model, const t0_trainer_options *options, size_t n_threads, t0_error *err) {
    const t0_adapter *adapter = options->adapter;
    if (model->packed && !adapter) return t0_fail(err, T0_EVALUE, "a packed model cannot be trained: load it flat");
    T0_TRY(t0_model_check_decoder(model, err));
    if (adapter && !t0_adapter_fits(adapter, &model->config)) return t0_fail(err, T0_EVALUE, "an adapter of a model of another shape");
    if (adapter) T0_TRY(t0_frozen_check(adapter, err));
    T0_TRY(t0_trainer_options_check(options, err));
    if (options->n_shards > MAX_SHARDS) return t0_fail(err, T0_EVALUE, "%zu shards: at most %d", options->n_shards, MAX_SHARDS);
    t0_trainer *trainer = t0_alloc_zero(sizeof *trainer);
    if (!trainer) return t0_fail_memory(err, sizeof *trainer);
    trainer->model = model;
    trainer->trained = adapter ? (trained){adapter->tensors, adapter->n_tensors, adapter->n_weights, adapter->weights}
                               : (trained){model->tensors, model->n_tensors, model->n_weights, model->weights};
    trainer->options = *options;
    trainer->options.frozen = trainer->options.elsewhere = NULL; /* borrowed by this call alone */
    trainer->n_threads = n_threads;
    trainer->n_shards = options->n_shards ? options->n_shards : model->n_weights < SHARDED_BELOW ? MAX_SHARDS : 1;
    for (size_t i = 0; i < trainer->n_shards; i++) trainer->shards[i].microbatch_rows = trainer->n_shards == 1 ? WIDE_ROWS : SHARDED_ROWS;
    t0_status status = take_flags(trainer, options, err);
    if (status == T0_OK) status = lay_out_states(trainer, err);
    if (status == T0_OK) *out = trainer;
    else t0_trainer_free(trainer);
    return status;
}

static t0_status allocate(t0_trainer *trainer, t0_error *err) {
    const trained *of = &trainer->trained;
    trainer->norms = t0_alloc_zero(of->n_tensors * sizeof *trainer->norms);
    if (!trainer->norms) return t0_fail_memory(err, of->n_tensors * sizeof *trainer->norms);
    T0_TRY(allocate_floats(&trainer->states, trainer->n_states, err));
    T0_TRY(allocate_floats(&trainer->gradients, of->n_weights, err));
    return allocate_floats(&trainer->shard_block, (trainer->n_shards - 1) * of->n_weights, err);
}

/* Threads and memory of a planned trainer. */
static t0_status build(t0_trainer *trainer, const t0_kernels *kernels, t0_error *err) {
    const size_t n_weights = trainer->trained.n_weights;
    const bool wide = trainer->n_shards == 1;
    trainer->rows_dtype = t0_rows_dtype(kernels, trainer->model->dtype);
    if (trainer->options.bfloat16 && !kernels->dense->tile_bfloat16)
        return t0_fail(err, T0_EVALUE, "precision 'bfloat16': the kernels %s do not multiply it; take 'float32'", kernels->name);
    T0_TRY(t0_exec_new(&trainer->exec, kernels, trainer->n_threads, wide, err));
    T0_TRY(t0_exec_new(&trainer->side, kernels, 1, false, err));
    T0_TRY(allocate(trainer, err));
    for (size_t i = 0; i < trainer->n_shards; i++) {
        t0_shard *shard = &trainer->shards[i];
        shard->gradients = i == 0 ? trainer->gradients : trainer->shard_block + (i - 1) * n_weights;
        shard->n_gradients = n_weights;
        if (wide) shard->exec = trainer->exec;
        else T0_TRY(t0_exec_new(&shard->exec, kernels, 1, false, err));
        if (trainer->options.bfloat16) T0_TRY(t0_exec_use_bfloat16(shard->exec, err));
    }
    return T0_OK;
}

t0_status t0_trainer_new(t0_trainer **out, t0_model *model, const t0_trainer_options *options, const t0_kernels *kernels, size_t n_threads,
                         t0_error *err) {
    t0_trainer *trainer;
    T0_TRY(plan_trainer(&trainer, model, options, n_threads, err));
    const t0_status status = build(trainer, kernels, err);
    if (status != T0_OK) {
        t0_trainer_free(trainer);
        return status;
    }
    *out = trainer;
    return T0_OK;
}

void t0_trainer_free(t0_trainer *trainer) {
    if (!trainer) return;
    for (size_t i = 0; i < trainer->n_shards; i++) {
        t0_shard_free(&trainer->shards[i]);
        if (trainer->shards[i].exec && trainer->shards[i].exec != trainer->exec) t0_exec_free(trainer->shards[i].exec);
    }
    if (trainer->exec) t0_exec_free(trainer->exec);
    if (trainer->side) t0_exec_free(trainer->side);
    t0_unmap(trainer->gradients, trainer->trained.n_weights * sizeof *trainer->gradients);
    t0_unmap(trainer->shard_block, (trainer->n_shards - 1) * trainer->trained.n_weights * sizeof *trainer->shard_block);
    t0_unmap(trainer->states, trainer->n_states * sizeof *trainer->states);
    t0_free(trainer->state_offsets);
    t0_free(trainer->norms);
    t0_free(trainer->frozen);
    t0_free(trainer->elsewhere);
    t0_free(trainer);
}

size_t t0_trainer_workspace_bytes(const t0_trainer *trainer) {
    size_t n_floats = 0;
    for (size_t i = 0; i < trainer->n_shards; i++)
        n_floats += trainer->shards[i].sequences.capacity + trainer->shards[i].workspace.capacity;
    return n_floats * sizeof(float);
}

size_t t0_trainer_tensors(const t0_trainer *trainer, size_t *n_weights) {
    if (n_weights) *n_weights = trainer->trained.n_weights;
    return trainer->trained.n_tensors;
}

float *t0_trainer_gradient_block(t0_trainer *trainer) { return trainer->gradients; }

size_t t0_trainer_state_size(const t0_trainer *trainer, size_t i) {
    assert(i < trainer->trained.n_tensors);
    return state_size(trainer, i);
}

float *t0_trainer_state_block(t0_trainer *trainer, size_t *n_floats) {
    *n_floats = trainer->n_states;
    return trainer->states;
}

/* ---- gradients --------------------------------------------------------------------------------------------------- */

static bool watch_check(void *context) {
    const watch *self = context;
    if (self->asks && t0_poll_stops(self->outer)) atomic_store(self->stop, true);
    return atomic_load(self->stop);
}

/* First example of shard i of n among some examples of the batch: the first at which at least i / n of their tokens lie behind,
 * leaving one for each later shard. From the offsets alone. */
static size_t cut(const t0_ragged *sources, const t0_ragged *targets, t0_range of, size_t i, size_t n, size_t after) {
    if (i == 0 || i == n) return i == 0 ? of.begin : of.end;
    const int64_t behind = sources->offsets[of.begin] + targets->offsets[of.begin];
    const double total = (double)(sources->offsets[of.end] + targets->offsets[of.end] - behind);
    size_t at = after;
    while (at < of.end - (n - i) && (double)(sources->offsets[at] + targets->offsets[at] - behind) * (double)n < total * (double)i) at++;
    return at;
}

/* Where the attention weights of example n begin. */
static t0_mask_position masks_before(const t0_pass *pass, const t0_ragged *sources, const t0_ragged *targets, size_t n) {
    if (n == 0) return (t0_mask_position){0};
    const t0_stack_shape encoder_shape = {.n_sequences = n, .offsets = sources->offsets};
    const t0_stack_shape decoder_shape = {.decoder = true,
                                          .n_sequences = n,
                                          .offsets = targets->offsets,
                                          .source_offsets = sources->offsets};
    t0_stack_forward encoder, decoder;
    t0_stack_plan(&encoder, pass, &encoder_shape);
    t0_stack_plan(&decoder, pass, &decoder_shape);
    return (t0_mask_position){encoder.self_p_size, decoder.self_p_size, decoder.cross_p_size};
}

static t0_pass pass_of(const t0_trainer *trainer, uint64_t step) {
    const t0_trainer_options *o = &trainer->options;
    return (t0_pass){.model = trainer->model,
                     .n_threads = trainer->n_shards == 1 ? trainer->n_threads : 1,
                     .dropout = o->dropout,
                     .broadcast = o->broadcast_dropout,
                     .seed = t0_random_u64(o->seed, T0_RANDOM_DROPOUT, step),
                     .recompute = o->recompute,
                     .adapter = o->adapter,
                     .adapter_dropout = o->adapter ? o->adapter_dropout : 0.0f,
                     .rows_dtype = trainer->rows_dtype};
}

/* Cuts these examples of the batch among the shards and plans each of them. Reads offsets, no ids. */
static t0_status plan_shards(t0_trainer *trainer, const t0_ragged *sources, const t0_ragged *targets, t0_range of, uint64_t step,
                             t0_error *err) {
    const t0_trainer_options *o = &trainer->options;
    const double tokens = (double)targets->offsets[targets->n];
    const t0_loss loss = {.scale = (float)(1.0 / tokens), .label_smoothing = o->label_smoothing, .z_loss = o->z_loss};
    const t0_pass pass = pass_of(trainer, step);
    assert(of.begin < of.end && of.end <= sources->n && sources->n == targets->n);
    trainer->n_used = t0_size_min(of.end - of.begin, trainer->n_shards);
    t0_mask_position masks = masks_before(&pass, sources, targets, of.begin);
    for (size_t i = 0, first = of.begin; i < trainer->n_used; i++) {
        t0_shard *shard = &trainer->shards[i];
        shard->sources = *sources;
        shard->targets = *targets;
        shard->loss = loss;
        shard->start = masks;
        shard->first = first;
        shard->end = first = cut(sources, targets, of, i + 1, trainer->n_used, first + 1);
        T0_TRY(t0_shard_plan(shard, &pass, err));
        masks = shard->stop;
    }
    assert(trainer->shards[trainer->n_used - 1].end == of.end);
    return T0_OK;
}

static t0_status prepare(t0_trainer *trainer, const t0_ragged *sources, const t0_ragged *targets, t0_range of, uint64_t step,
                         const t0_poll *poll, t0_error *err) {
    T0_TRY(plan_shards(trainer, sources, targets, of, step, err));
    atomic_store(&trainer->stop, false);
    for (size_t i = 0; i < trainer->n_used; i++) {
        trainer->watches[i] = (watch){.outer = poll, .stop = &trainer->stop};
        trainer->polls[i] = (t0_poll){.check = watch_check, .context = &trainer->watches[i]};
        T0_TRY(t0_shard_reserve(&trainer->shards[i], err));
    }
    return T0_OK;
}

static void run_shard(void *context, size_t index, size_t worker) {
    t0_trainer *trainer = context;
    trainer->watches[index].asks = worker == 0; /* worker 0 is the calling thread */
    t0_shard *shard = &trainer->shards[index];
    assert(index < trainer->n_used && shard->exec && shard->gradients);
    t0_exec_watch(shard->exec, &trainer->polls[index]);
    t0_shard_run(shard);
    shard->status = t0_exec_unwatch(shard->exec, shard->status, &shard->error);
}

/* Tensors are dealt out to tasks; task t has shard t's exec, or, when wide, the one task has all threads. */
static t0_exec *task_exec(const t0_trainer *trainer, size_t task) { return trainer->shards[task].exec; }

static void run_tasks(t0_trainer *trainer, t0_task task, size_t n) {
    if (trainer->n_shards == 1) task(trainer, 0, 0); /* uses the pool itself */
    else t0_exec_run(trainer->exec, task, trainer, n);
}

/* Passes over all gradients or weights ask `poll` until watch_ends; of a model that is cut into shards they take a moment. */
static void watch_begins(t0_trainer *trainer, const t0_poll *poll) {
    for (size_t i = 0; i < trainer->n_shards; i++) t0_exec_watch(trainer->shards[i].exec, trainer->n_shards == 1 ? poll : NULL);
}

static t0_status watch_ends(t0_trainer *trainer, t0_status status, t0_error *err) {
    return t0_exec_unwatch(trainer->shards[0].exec, status, err);
}

/* gradients += those of shards 1, 2, ..., in this order; then their squared norms by tensor. */
static void reduce_tensors(void *context, size_t index, size_t worker) {
    t0_trainer *trainer = context;
    (void)worker;
    const t0_kernels *kernels = t0_exec_kernels(trainer->exec);
    for (size_t i = index; i < trainer->trained.n_tensors; i += trainer->n_shards) {
        const t0_tensor *tensor = &trainer->trained.tensors[i];
        const size_t n = tensor->rows * tensor->columns;
        for (size_t s = 1; s < trainer->n_used; s++)
            kernels->axpy(trainer->shards[0].gradients + tensor->offset, 1.0f, trainer->shards[s].gradients + tensor->offset, n);
    }
}

static void measure_tensors(void *context, size_t index, size_t worker) {
    t0_trainer *trainer = context;
    (void)worker;
    for (size_t i = index; i < trainer->trained.n_tensors; i += trainer->n_shards) {
        const t0_tensor *tensor = &trainer->trained.tensors[i];
        if (!applies(trainer, i) || t0_exec_stops(task_exec(trainer, index), 0)) continue; /* of another its norm stays 0 */
        trainer->norms[i] = t0_norm_squared(task_exec(trainer, index), trainer->gradients + tensor->offset, tensor->rows * tensor->columns);
    }
}

/* Squared norms of the tensors that are applied here. Watched. */
static t0_status measure(t0_trainer *trainer, t0_error *err) {
    run_tasks(trainer, measure_tensors, trainer->n_shards);
    return t0_exec_check(trainer->shards[0].exec, err);
}

/* Norm of all gradients from squared norms [n_tensors]; T0_ENUMERIC with the first tensor whose own is not finite. */
static t0_status add_norms(const t0_trainer *trainer, const double *norms, double *norm, uint64_t step, t0_error *err) {
    double sum = 0.0;
    for (size_t i = 0; i < trainer->trained.n_tensors; i++) {
        if (!isfinite(norms[i]))
            return t0_fail(err, T0_ENUMERIC,
                           "step %llu: the gradient of %s is not finite; nothing was changed. A lower learning rate, clipping "
                           "or other data may help",
                           (unsigned long long)step, trainer->trained.tensors[i].name);
        sum += norms[i];
    }
    *norm = sqrt(sum);
    return T0_OK;
}

static t0_status measure_all(t0_trainer *trainer, double *norm, uint64_t step, const t0_poll *poll, t0_error *err) {
    watch_begins(trainer, poll);
    T0_TRY(watch_ends(trainer, measure(trainer, err), err));
    return add_norms(trainer, trainer->norms, norm, step, err);
}

t0_status t0_trainer_norms(t0_trainer *trainer, double *norms, const t0_poll *poll, t0_error *err) {
    watch_begins(trainer, poll);
    T0_TRY(watch_ends(trainer, measure(trainer, err), err));
    memcpy(norms, trainer->norms, trainer->trained.n_tensors * sizeof *norms);
    return T0_OK;
}

/* Sum of the target tokens' losses, in the order of the shards; the first shard's error. */
static t0_status sum_losses(const t0_trainer *trainer, double *loss, t0_error *err) {
    *loss = 0.0;
    for (size_t i = 0; i < trainer->n_used; i++) {
        if (trainer->shards[i].status != T0_OK) {
            if (err) *err = trainer->shards[i].error;
            return trainer->shards[i].status;
        }
        *loss += trainer->shards[i].loss_sum;
    }
    return T0_OK;
}

t0_status t0_trainer_check_loss(const t0_trainer *trainer, double loss, uint64_t step, t0_error *err) {
    if (isfinite(loss)) return T0_OK;
    const t0_tensor *bad = NULL;
    for (size_t i = 0; i < trainer->trained.n_tensors && !bad; i++) {
        const t0_tensor *tensor = &trainer->trained.tensors[i];
        if (!t0_all_finite(trainer->trained.weights + tensor->offset, tensor->rows * tensor->columns)) bad = tensor;
    }
    return t0_fail(err, T0_ENUMERIC, "step %llu: the loss is not finite; %s%s", (unsigned long long)step,
                   bad ? "the weights have a NaN or an infinity, first in " : "all weights are finite, but too large for this batch",
                   bad ? bad->name : "");
}

static t0_status check_batch(const t0_trainer *trainer, const t0_ragged *sources, const t0_ragged *targets, t0_error *err) {
    const int32_t vocab = trainer->model->config.vocab_size;
    if (sources->n != targets->n || sources->n == 0)
        return t0_fail(err, T0_EVALUE, "a batch of %zu sources and %zu targets: as many of each, and at least one", sources->n, targets->n);
    T0_TRY(t0_ragged_check(sources, "sources", vocab, err));
    return t0_ragged_check(targets, "targets", vocab, err);
}

/* Gradients of these examples into the shards' blocks, and their sum into the first's. fresh: written anew, where else they are added to
 * zeros, which takes a pass more, and a negative zero its sign. */
static t0_status run_examples(t0_trainer *trainer, double *loss, const t0_ragged *sources, const t0_ragged *targets, t0_range examples,
                              bool fresh, uint64_t step, const t0_poll *poll, t0_error *err) {
    for (size_t i = 0; i < trainer->n_shards; i++) {
        trainer->shards[i].fresh = fresh;
        trainer->shards[i].final_from = trainer->tells && trainer->n_shards == 1 ? &trainer->final_from : NULL;
    }
    T0_TRY(prepare(trainer, sources, targets, examples, step, poll, err));
    if (trainer->n_shards == 1) run_shard(trainer, 0, 0);
    else t0_exec_run(trainer->exec, run_shard, trainer, trainer->n_used);
    T0_TRY(sum_losses(trainer, loss, err));
    *loss /= (double)targets->offsets[targets->n];
    run_tasks(trainer, reduce_tensors, trainer->n_shards);
    return T0_OK;
}

t0_status t0_trainer_share(t0_trainer *trainer, float *out, double *loss, const t0_ragged *sources, const t0_ragged *targets,
                           t0_range examples, uint64_t step, const t0_poll *poll, t0_error *err) {
    T0_TRY(check_batch(trainer, sources, targets, err));
    if (examples.begin >= examples.end || examples.end > sources->n)
        return t0_fail(err, T0_EVALUE, "examples %zu to %zu of a batch of %zu: at least one, of the batch", examples.begin, examples.end,
                       sources->n);
    trainer->shards[0].gradients = out ? out : trainer->gradients;
    const t0_status status = run_examples(trainer, loss, sources, targets, examples, true, step, poll, err);
    if (trainer->tells && status == T0_OK) atomic_store(&trainer->final_from, 0);
    trainer->tells = false;
    return status;
}

void t0_trainer_tell_final(t0_trainer *trainer) {
    trainer->tells = true;
    atomic_store(&trainer->final_from, trainer->trained.n_weights);
}

size_t t0_trainer_final_from(t0_trainer *trainer) { return atomic_load_explicit(&trainer->final_from, memory_order_acquire); }

t0_status t0_trainer_sum(t0_trainer *trainer, const t0_chain *chain, bool aside, const t0_poll *poll, t0_error *err) {
    t0_exec *exec = aside ? trainer->side : trainer->exec;
    t0_exec_watch(exec, poll);
    t0_chain_sum(exec, chain);
    return t0_exec_unwatch(exec, T0_OK, err);
}

t0_status t0_trainer_gradients(t0_trainer *trainer, t0_step_result *result, const t0_ragged *sources, const t0_ragged *targets,
                               uint64_t step, const t0_poll *poll, t0_error *err) {
    T0_TRY(check_batch(trainer, sources, targets, err));
    trainer->shards[0].gradients = trainer->gradients;
    T0_TRY(run_examples(trainer, &result->loss, sources, targets, (t0_range){0, sources->n}, false, step, poll, err));
    T0_TRY(t0_trainer_check_loss(trainer, result->loss, step, err));
    result->source_tokens = (size_t)sources->offsets[sources->n];
    result->target_tokens = (size_t)targets->offsets[targets->n];
    return measure_all(trainer, &result->grad_norm, step, poll, err);
}

/* ---- the plan of its memory -------------------------------------------------------------------------------------- */

/* Lengths that no batch in memory has could overflow a count of attention weights. */
static t0_status check_lengths(const t0_model *model, const t0_ragged *sources, const t0_ragged *targets, t0_error *err) {
    if (sources->n != targets->n)
        return t0_fail(err, T0_EVALUE, "%zu sources and %zu targets: there must be as many of each", sources->n, targets->n);
    T0_TRY(t0_ragged_check_offsets(sources, "sources", err));
    T0_TRY(t0_ragged_check_offsets(targets, "targets", err));
    const size_t most = (size_t)1 << 20, n = sources->n, heads = (size_t)model->config.n_heads;
    const size_t longest = t0_size_max(t0_group_longest(sources->offsets, 0, n), t0_group_longest(targets->offsets, 0, n));
    size_t weights;
    if (longest > most || !t0_size_mul(longest * longest, heads, &weights) || weights > SIZE_MAX / 64)
        return t0_fail(err, T0_EVALUE, "a sequence of %zu tokens: no memory holds its attention weights; cut it, to %zu tokens at most",
                       longest, most);
    return T0_OK;
}

static t0_status plan_bytes(t0_trainer *trainer, t0_training_bytes *out, const t0_ragged *sources, const t0_ragged *targets,
                            t0_error *err) {
    size_t n_floats = 0;
    if (sources->n > 0) T0_TRY(plan_shards(trainer, sources, targets, (t0_range){0, sources->n}, 1, err));
    for (size_t i = 0; i < trainer->n_used; i++) {
        const t0_shard *shard = &trainer->shards[i];
        if (!t0_size_add(n_floats, shard->n_floats, &n_floats) || !t0_size_add(n_floats, shard->sequences.capacity, &n_floats) ||
            n_floats > SIZE_MAX / 2 / sizeof(float))
            return t0_fail_memory(err, SIZE_MAX);
    }
    *out = (t0_training_bytes){.gradients = trainer->n_shards * trainer->trained.n_weights * sizeof(float),
                               .states = trainer->n_states * sizeof(float),
                               .activations = n_floats * sizeof(float),
                               .tokens = trainer->n_shards * trainer->shards[0].microbatch_rows};
    return T0_OK;
}

t0_status t0_trainer_plan(t0_training_bytes *out, t0_model *model, const t0_trainer_options *options, size_t n_threads,
                          const t0_ragged *sources, const t0_ragged *targets, t0_error *err) {
    T0_TRY(check_lengths(model, sources, targets, err));
    t0_trainer *trainer;
    T0_TRY(plan_trainer(&trainer, model, options, n_threads, err));
    const t0_status status = plan_bytes(trainer, out, sources, targets, err);
    t0_trainer_free(trainer);
    return status;
}

/* ---- applying them ----------------------------------------------------------------------------------------------- */

static void apply_tensor(const t0_trainer *trainer, t0_exec *exec, size_t i) {
    const t0_tensor *tensor = &trainer->trained.tensors[i];
    const t0_trainer_options *o = &trainer->options;
    const size_t n = tensor->rows * tensor->columns;
    float *w = trainer->trained.weights + tensor->offset, *g = trainer->gradients + tensor->offset;
    float *state = trainer->states + trainer->state_offsets[i];
    if (trainer->clip < 1.0f) t0_scale(exec, g, n, trainer->clip);
    if (o->optimizer == T0_ADAFACTOR) {
        const t0_adafactor s = adafactor_of(trainer);
        t0_adafactor_step(exec, &s, w, state, g, tensor->rows, tensor->columns, trainer->step + o->step_offset);
    } else if (o->optimizer == T0_ADAMW) {
        const t0_adamw s = adamw_of(trainer);
        t0_adamw_step(exec, &s, w, state, state + n, g, n, trainer->step);
    } else {
        const t0_sgd s = sgd_of(trainer);
        t0_sgd_step(exec, &s, w, state, g, n);
    }
}

static void apply_tensors(void *context, size_t index, size_t worker) {
    t0_trainer *trainer = context;
    (void)worker;
    for (size_t i = index; i < trainer->trained.n_tensors; i += trainer->n_shards)
        if (applies(trainer, i) && !t0_exec_stops(task_exec(trainer, index), 0)) apply_tensor(trainer, task_exec(trainer, index), i);
}

t0_status t0_trainer_apply(t0_trainer *trainer, t0_step_result *result, float learning_rate, uint64_t step, const double *norms,
                           const t0_poll *poll, t0_error *err) {
    if (step < 1) return t0_fail(err, T0_EVALUE, "step 0: steps count from 1");
    if (!isfinite(learning_rate) || learning_rate < 0.0f)
        return t0_fail(err, T0_EVALUE, "learning rate %g: it must be finite and not below 0", (double)learning_rate);
    double norm = 0.0;
    T0_TRY(norms ? add_norms(trainer, norms, &norm, step, err) : measure_all(trainer, &norm, step, poll, err));
    result->grad_norm = norm;
    const double limit = trainer->options.clip_norm;
    trainer->clip = limit > 0.0 && norm + 1e-6 > limit ? (float)(limit / (norm + 1e-6)) : 1.0f;
    trainer->learning_rate = learning_rate;
    trainer->step = step;
    watch_begins(trainer, poll);
    run_tasks(trainer, apply_tensors, trainer->n_shards);
    return watch_ends(trainer, T0_OK, err);
}
