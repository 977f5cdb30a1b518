/* The pool's threads: POSIX threads that each take every size-th task of a round.
 *
 *     caller:  task, context, n; finished = 0; round + 1; own share; wait until finished = size - 1
 *     worker:  wait until round has changed; own share; finished + 1
 *
 * The round's number publishes the task (release), `finished` its results (release). */
#define _GNU_SOURCE
#include "base/pool.h"

#include "base/memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

/* Workers watch `round`: first spinning (a phase of a small model lasts microseconds), then asleep on the condition. */
enum { SPINS = 4000 };

typedef struct worker {
    t0_pool *pool;
    size_t number;
    pthread_t thread;
} worker;

struct t0_pool {
    size_t size;    /* workers, the caller included */
    size_t started; /* threads to join */
    pid_t owner;    /* the process that started them: after fork there are none */
    pthread_mutex_t callers, sleep;
    pthread_cond_t wake;
    atomic_uint round;      /* one more for each t0_pool_run */
    atomic_size_t finished; /* threads done with this round */
    atomic_bool stop;
    t0_task task;
    void *context;
    size_t n_tasks;
    worker workers[];
};

static inline void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void run_share(t0_pool *pool, size_t number) {
    for (size_t i = number; i < pool->n_tasks; i += pool->size) pool->task(pool->context, i, number);
}

static void wait_for_round(t0_pool *pool, unsigned seen) {
    for (int spin = 0; spin < SPINS; spin++) {
        if (atomic_load_explicit(&pool->round, memory_order_acquire) != seen) return;
        relax();
    }
    pthread_mutex_lock(&pool->sleep);
    while (atomic_load(&pool->round) == seen) pthread_cond_wait(&pool->wake, &pool->sleep);
    pthread_mutex_unlock(&pool->sleep);
}

static void *worker_main(void *argument) {
    const worker *self = argument;
    t0_pool *pool = self->pool;
    for (unsigned seen = 0;; seen++) {
        wait_for_round(pool, seen);
        if (atomic_load(&pool->stop)) return NULL;
        run_share(pool, self->number);
        atomic_fetch_add_explicit(&pool->finished, 1, memory_order_release);
    }
}

static void next_round(t0_pool *pool) {
    pthread_mutex_lock(&pool->sleep);
    atomic_fetch_add(&pool->round, 1);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->sleep);
}

t0_status t0_threads_check(int64_t n_threads, t0_error *err) {
    if (n_threads >= 1 && n_threads <= T0_MAX_THREADS) return T0_OK;
    return t0_fail(err, T0_EVALUE, "threads %lld: must be a whole number from 1 to %d", (long long)n_threads, T0_MAX_THREADS);
}

t0_status t0_pool_new(t0_pool **out, size_t n_threads, t0_error *err) {
    T0_TRY(t0_threads_check((int64_t)n_threads, err));
    const size_t size = sizeof(t0_pool) + n_threads * sizeof(worker);
    t0_pool *pool = t0_alloc_zero(size);
    if (!pool) return t0_fail_memory(err, size);
    pool->size = n_threads;
    pool->owner = getpid();
    pthread_mutex_init(&pool->callers, NULL);
    pthread_mutex_init(&pool->sleep, NULL);
    pthread_cond_init(&pool->wake, NULL);
    for (size_t i = 1; i < n_threads; i++) {
        pool->workers[i] = (worker){.pool = pool, .number = i};
        if (pthread_create(&pool->workers[i].thread, NULL, worker_main, &pool->workers[i]) != 0) {
            t0_pool_free(pool);
            return t0_fail(err, T0_ENOMEM, "thread %zu of %zu could not be started", i + 1, n_threads);
        }
        pool->started++;
    }
    *out = pool;
    return T0_OK;
}

size_t t0_pool_size(const t0_pool *pool) { return pool ? pool->size : 1; }

void t0_pool_run(t0_pool *pool, t0_task task, void *context, size_t n_tasks) { t0_pool_run_polled(pool, task, context, n_tasks, NULL); }

void t0_pool_run_polled(t0_pool *pool, t0_task task, void *context, size_t n_tasks, const t0_poll *poll) {
    const bool has_threads = pool && pool->size > 1 && getpid() == pool->owner;
    if (has_threads) pthread_mutex_lock(&pool->callers);
    if (!has_threads || n_tasks < 2) {
        for (size_t i = 0; i < n_tasks; i++) task(context, i, i % t0_pool_size(pool));
        if (has_threads) pthread_mutex_unlock(&pool->callers);
        return;
    }
    pool->task = task;
    pool->context = context;
    pool->n_tasks = n_tasks;
    atomic_store(&pool->finished, 0);
    next_round(pool);
    run_share(pool, 0);
    for (unsigned spin = 0; atomic_load_explicit(&pool->finished, memory_order_acquire) != pool->size - 1; spin++) {
        if (spin < SPINS) {
            relax();
            continue;
        }
        usleep(20); /* a worker lost its processor, or has more to do: let it have ours */
        t0_poll_stops(poll);
    }
    pthread_mutex_unlock(&pool->callers);
}

void t0_pool_free(t0_pool *pool) {
    if (!pool) return;
    if (getpid() == pool->owner) {
        atomic_store(&pool->stop, true);
        next_round(pool);
        for (size_t i = 1; i <= pool->started; i++) pthread_join(pool->workers[i].thread, NULL);
        pthread_cond_destroy(&pool->wake);
        pthread_mutex_destroy(&pool->sleep);
        pthread_mutex_destroy(&pool->callers);
    }
    t0_free(pool);
}
