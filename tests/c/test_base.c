/* Random numbers against published answers, memory, threads, errors. */
#define _GNU_SOURCE
#include "check.h"

#include "base/cpu.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/random.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Known answers of the paper's reference implementation (Random123, kat_vectors: philox4x32 10). */
static void philox_gives_the_published_answers(void) {
    const t0_random4 zero = t0_random(0, 0, 0);
    CHECK(zero.word[0] == 0x6627e8d5u && zero.word[1] == 0xe169c58du && zero.word[2] == 0xbc57ac4cu && zero.word[3] == 0x9b00dbd8u);
    const t0_random4 ones = t0_random(UINT64_MAX, UINT64_MAX, UINT64_MAX);
    CHECK(ones.word[0] == 0x408f276du && ones.word[1] == 0x41c83b0eu && ones.word[2] == 0xa20bc7c6u && ones.word[3] == 0x6d5451fdu);
}

static void normals_have_the_right_moments(void) {
    enum { N = 100000 };
    static float x[N];
    t0_random_normal(x, N, 7, T0_RANDOM_INIT, 0);
    double sum = 0, squares = 0;
    for (int i = 0; i < N; i++) sum += x[i], squares += (double)x[i] * x[i];
    CHECK_NEAR(sum / N, 0, 0.015, 0);
    CHECK_NEAR(squares / N, 1, 0.02, 0);
    float again[3];
    t0_random_normal(again, 3, 7, T0_RANDOM_INIT, 5000);
    CHECK(memcmp(again, x + 5000, sizeof again) == 0);
}

static void an_arena_gives_aligned_memory_that_lasts(void) {
    t0_arena arena = {0};
    uint8_t *first = t0_arena_get(&arena, 100), *big = t0_arena_get(&arena, 1 << 20), *second = t0_arena_get(&arena, 1);
    CHECK(first && big && second);
    CHECK((uintptr_t)first % T0_ALIGN == 0 && (uintptr_t)big % T0_ALIGN == 0 && (uintptr_t)second % T0_ALIGN == 0);
    memset(first, 1, 100), memset(big, 2, 1 << 20), memset(second, 3, 1);
    CHECK(first[0] == 1 && first[99] == 1 && big[0] == 2 && big[(1 << 20) - 1] == 2 && second[0] == 3);
    CHECK(!t0_arena_get(&arena, SIZE_MAX - 10));
    t0_alloc_fail_after(0);
    CHECK(!t0_arena_get(&arena, 1 << 20));
    CHECK(t0_arena_get(&arena, 1) == second + T0_ALIGN); /* there is room left where `second` lies */
    t0_alloc_fail_after(-1);
    t0_arena_free(&arena);
}

static void allocation_fails_when_told(void) {
    t0_alloc_fail_after(1);
    void *one = t0_alloc(8), *two = t0_alloc(8);
    t0_alloc_fail_after(-1);
    CHECK(one && !two);
    t0_buffer buffer = {0};
    CHECK(t0_buffer_add(&buffer, "abc", 3));
    t0_alloc_fail_after(0);
    CHECK(!t0_buffer_reserve(&buffer, 1000));
    t0_alloc_fail_after(-1);
    CHECK(buffer.size == 3 && memcmp(buffer.data, "abc", 3) == 0);
    t0_buffer_free(&buffer);
    t0_free(one);
}

typedef struct count {
    atomic_size_t done[64];
    size_t worker[64];
} count;

static void count_task(void *context, size_t index, size_t worker) {
    count *counts = context;
    atomic_fetch_add(&counts->done[index], 1);
    counts->worker[index] = worker;
}

static void a_pool_runs_each_task_once_on_its_worker(void) {
    for (size_t threads = 1; threads <= 5; threads++) {
        t0_pool *pool = NULL;
        t0_error err;
        CHECK(t0_pool_new(&pool, threads, &err) == T0_OK);
        for (size_t round = 0; round < 300; round++) {
            count counts = {0};
            const size_t n = round % 64;
            t0_pool_run(pool, count_task, &counts, n);
            for (size_t i = 0; i < n; i++) CHECK(counts.done[i] == 1 && counts.worker[i] == i % threads);
        }
        t0_pool_free(pool);
    }
    t0_pool *pool = NULL;
    t0_error err;
    CHECK(t0_pool_new(&pool, 0, &err) == T0_EVALUE && strcmp(err.message, "threads 0: must be a whole number from 1 to 256") == 0);
    CHECK(t0_pool_new(&pool, T0_MAX_THREADS + 1, &err) == T0_EVALUE && strncmp(err.message, "threads 257: ", 13) == 0);
}

static void a_forked_child_runs_its_tasks_alone(void) {
    t0_pool *pool = NULL;
    t0_error err;
    CHECK(t0_pool_new(&pool, 3, &err) == T0_OK);
    count counts = {0};
    t0_pool_run(pool, count_task, &counts, 8);
    const pid_t child = fork();
    if (child == 0) {
        alarm(5); /* a hang ends the child by a signal */
        count own = {0};
        t0_pool_run(pool, count_task, &own, 8);
        bool all = true;
        for (int i = 0; i < 8; i++) all = all && own.done[i] == 1;
        _exit(all ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    t0_pool_free(pool);
}

static void an_error_is_cut_to_fit_and_sizes_are_checked(void) {
    t0_error err;
    char longer[3000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    CHECK(t0_fail(&err, T0_EVALUE, "%s", longer) == T0_EVALUE && strlen(err.message) == sizeof err.message - 1);
    CHECK(t0_fail(NULL, T0_ENOMEM, "nobody listens") == T0_ENOMEM);
    size_t out = 5;
    CHECK(!t0_size_mul(SIZE_MAX / 2, 3, &out) && !t0_size_add(SIZE_MAX, 1, &out) && out == 5);
    CHECK(t0_size_mul(6, 7, &out) && out == 42);
    CHECK(t0_cpu_count() >= 1);
}

static void sizes_are_rounded_up(void) {
    const size_t cases[][4] = {{0, 7, 0, 0}, {1, 7, 1, 7}, {7, 7, 1, 7}, {8, 7, 2, 14}, {5, 1, 5, 5}, {1 << 20, 64, 1 << 14, 1 << 20}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK(t0_size_units(cases[i][0], cases[i][1]) == cases[i][2]);
        CHECK(t0_size_round(cases[i][0], cases[i][1]) == cases[i][3]);
    }
    CHECK(t0_size_units(SIZE_MAX, 1) == SIZE_MAX && t0_size_min(3, 4) == 3 && t0_size_max(3, 4) == 4);
}

int main(void) {
    T0_RUN(sizes_are_rounded_up);
    T0_RUN(philox_gives_the_published_answers);
    T0_RUN(normals_have_the_right_moments);
    T0_RUN(an_arena_gives_aligned_memory_that_lasts);
    T0_RUN(allocation_fails_when_told);
    T0_RUN(a_pool_runs_each_task_once_on_its_worker);
    T0_RUN(a_forked_child_runs_its_tasks_alone);
    T0_RUN(an_error_is_cut_to_fit_and_sizes_are_checked);
    return t0_report();
}
