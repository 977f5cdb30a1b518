/* A pool of threads that runs numbered tasks; the caller takes part as worker 0.
 *
 *     t0_pool_run(pool, task, context, n)    calls task(context, i, worker) once for every i < n and returns when all are done
 *
 * Task i runs on worker i % size: a fixed assignment, so per-worker buffers see the same tasks in the same order each run.
 * Callers are serialised. A task must not call t0_pool_run on the same pool, nor BLAS. After fork() the child's pool
 * has no threads and runs everything on the caller. A NULL pool runs on the caller too. */
#ifndef T0_BASE_POOL_H
#define T0_BASE_POOL_H

#include "base/status.h"

typedef struct t0_pool t0_pool;
typedef void (*t0_task)(void *context, size_t index, size_t worker);

enum { T0_MAX_THREADS = 256 };
t0_status t0_threads_check(int64_t n_threads, t0_error *err); /* from 1 to T0_MAX_THREADS, else T0_EVALUE */

t0_status t0_pool_new(t0_pool **out, size_t n_threads, t0_error *err); /* n_threads counts the caller: 1 starts none */
size_t t0_pool_size(const t0_pool *pool);                             /* 1 for NULL */
void t0_pool_run(t0_pool *pool, t0_task task, void *context, size_t n_tasks);
/* t0_pool_run whose caller, while it waits for the others, asks the poll now and then. What the poll answers is between it and the
 * tasks, which must end soon when it has said stop. */
void t0_pool_run_polled(t0_pool *pool, t0_task task, void *context, size_t n_tasks, const t0_poll *poll);
void t0_pool_free(t0_pool *pool);

#endif
