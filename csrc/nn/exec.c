/* An exec: a pool where there are several threads, and one block of scratch cut evenly among them. */
#include "nn/exec.h"

#include "base/memory.h"
#include "nn/gemm.h"

#include <assert.h>
#include <stdatomic.h>

struct t0_exec {
    const t0_kernels *kernels;
    t0_pool *pool; /* NULL when there is one thread */
    size_t n_threads;
    bool blas;
    float *scratch; /* [n_threads][T0_WORKER_SCRATCH] */
    uint32_t *halves; /* [n_threads][T0_HALVES], or NULL */
    const t0_poll *poll; /* borrowed, of the call that runs */
    atomic_bool stopped; /* what it has answered */
};

t0_status t0_exec_new(t0_exec **out, const t0_kernels *kernels, size_t n_threads, bool blas, t0_error *err) {
    T0_TRY(t0_threads_check((int64_t)n_threads, err));
    assert(kernels->mr <= T0_TILE_ROWS && kernels->dense->rows_int8 <= T0_TILE_ROWS && kernels->dense->rows_bfloat16 <= T0_TILE_ROWS);
    assert(kernels->dense->tile_bfloat16 ? kernels->dense->to_bfloat16 && kernels->dense->pair_bfloat16 : !!kernels->dense->widen_pairs);
    t0_exec *exec = t0_alloc_zero(sizeof *exec);
    if (!exec) return t0_fail_memory(err, sizeof *exec);
    exec->kernels = kernels;
    exec->n_threads = n_threads;
    exec->blas = blas;
    const size_t size = n_threads * T0_WORKER_SCRATCH * sizeof(float);
    exec->scratch = t0_alloc(size);
    t0_status status = exec->scratch ? T0_OK : t0_fail_memory(err, size);
    if (status == T0_OK && n_threads > 1) status = t0_pool_new(&exec->pool, n_threads, err);
    if (status != T0_OK) {
        t0_exec_free(exec);
        return status;
    }
    *out = exec;
    return T0_OK;
}

void t0_exec_free(t0_exec *exec) {
    if (!exec) return;
    t0_pool_free(exec->pool);
    t0_free(exec->scratch);
    t0_free(exec->halves);
    t0_free(exec);
}

size_t t0_exec_threads(const t0_exec *exec) { return exec->n_threads; }

const t0_kernels *t0_exec_kernels(const t0_exec *exec) { return exec->kernels; }

bool t0_exec_blas(const t0_exec *exec) { return exec->blas; }

t0_status t0_exec_use_bfloat16(t0_exec *exec, t0_error *err) {
    const size_t size = exec->n_threads * T0_HALVES * sizeof *exec->halves;
    assert(exec->kernels->dense->tile_bfloat16);
    if (!exec->halves) exec->halves = t0_alloc(size);
    return exec->halves ? T0_OK : t0_fail_memory(err, size);
}

uint32_t *t0_exec_halves(t0_exec *exec, size_t worker) { return exec->halves ? exec->halves + worker * T0_HALVES : NULL; }

float *t0_exec_scratch(t0_exec *exec, size_t worker) {
    assert(worker < exec->n_threads);
    return exec->scratch + worker * T0_WORKER_SCRATCH;
}

void t0_exec_watch(t0_exec *exec, const t0_poll *poll) {
    exec->poll = poll;
    atomic_store(&exec->stopped, false);
}

bool t0_exec_stops(t0_exec *exec, size_t worker) {
    if (atomic_load_explicit(&exec->stopped, memory_order_relaxed)) return true;
    if (worker != 0 || !t0_poll_stops(exec->poll)) return false;
    atomic_store(&exec->stopped, true);
    return true;
}

t0_status t0_exec_check(t0_exec *exec, t0_error *err) { return t0_exec_stops(exec, 0) ? t0_fail(err, T0_EINTERRUPT, "stopped") : T0_OK; }

t0_status t0_exec_unwatch(t0_exec *exec, t0_status status, t0_error *err) {
    exec->poll = NULL;
    return atomic_load(&exec->stopped) ? t0_fail(err, T0_EINTERRUPT, "stopped") : status;
}

void t0_exec_run(t0_exec *exec, t0_task task, void *context, size_t n_tasks) { t0_pool_run(exec->pool, task, context, n_tasks); }

size_t t0_exec_parts(const t0_exec *exec, size_t n, size_t grain) {
    const size_t most = grain ? n / grain : n;
    return most < 1 ? 1 : most < exec->n_threads ? most : exec->n_threads;
}
