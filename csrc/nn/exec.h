/* How the layers run: which kernel set, which threads, whose scratch.
 *
 * A t0_exec owns its pool and the packing buffers of each worker, so kernels never allocate and never fail. It serves
 * one call at a time; make one per concurrent caller (they are cheap without threads). Layers split rows, columns or
 * (sequence, head) pairs over the pool, never a reduction: results do not depend on the number of threads, where OpenBLAS
 * takes no part. */
#ifndef T0_NN_EXEC_H
#define T0_NN_EXEC_H

#include "base/pool.h"
#include "nn/kernels.h"

#include <assert.h>

typedef struct t0_exec t0_exec;

/* kernels: from t0_kernels_find. n_threads: from 1 to T0_MAX_THREADS. blas: large products of the portable kernels go to OpenBLAS
 * (with n_threads of its own, one caller at a time in the process, and sums in its order); false: never, so the exec may be used
 * inside a pool task. */
t0_status t0_exec_new(t0_exec **out, const t0_kernels *kernels, size_t n_threads, bool blas, t0_error *err);
void t0_exec_free(t0_exec *exec);
size_t t0_exec_threads(const t0_exec *exec);
const t0_kernels *t0_exec_kernels(const t0_exec *exec);

/* From t0_exec_watch to t0_exec_unwatch, products and attention ask `poll` (borrowed; NULL: nothing stops them) every
 * millisecond or so. Once it stops, they leave their results unfinished: check before a number is used or told.
 * t0_exec_stops may be asked by any worker inside a task (worker 0, the calling thread, asks the poll, the others see its
 * answer); t0_exec_check and t0_exec_unwatch belong to the calling thread. Both give T0_EINTERRUPT after a stop. */
void t0_exec_watch(t0_exec *exec, const t0_poll *poll);
bool t0_exec_stops(t0_exec *exec, size_t worker);
t0_status t0_exec_check(t0_exec *exec, t0_error *err);
t0_status t0_exec_unwatch(t0_exec *exec, t0_status status, t0_error *err); /* `status` where nothing has stopped */

/* Runs tasks on the exec's pool (see base/pool.h). */
void t0_exec_run(t0_exec *exec, t0_task task, void *context, size_t n_tasks);
float *t0_exec_scratch(t0_exec *exec, size_t worker); /* a worker's own: T0_WORKER_SCRATCH floats (nn/gemm.h) */
bool t0_exec_blas(const t0_exec *exec);
/* From now on t0_gemm multiplies bfloat16s (nn/gemm_bfloat16.c). The kernels must have tile_bfloat16; T0_ENOMEM where rows find no room. */
t0_status t0_exec_use_bfloat16(t0_exec *exec, t0_error *err);
uint32_t *t0_exec_halves(t0_exec *exec, size_t worker); /* a worker's own: T0_HALVES words (nn/gemm.h); NULL: products are of floats */

/* How many tasks n items are worth when a task should have at least `grain` of them: 1 .. threads. */
size_t t0_exec_parts(const t0_exec *exec, size_t n, size_t grain);

/* Part i of n items cut into `parts` nearly equal runs. */
typedef struct t0_range {
    size_t begin, end;
} t0_range;
static inline t0_range t0_range_of(size_t n, size_t parts, size_t i) {
    assert(i < parts);
    const size_t each = n / parts, more = n % parts;
    const size_t begin = i * each + (i < more ? i : more);
    return (t0_range){begin, begin + each + (i < more)};
}

#endif
