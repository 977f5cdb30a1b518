/* Speed of the matrix products of training: ours beside OpenBLAS's, in one run, shape by shape.
 *
 *     gemm [kernel set] [threads]        defaults: the best set, 1
 *
 * First line: the multiply-add rate of registers alone, which nothing here can pass. Then, for each product of a linear
 * layer x[N,I] w[O,I]^T (forward), dy w (input), dy^T x (weight): the best of several timings, GFLOP/s.
 * OpenBLAS is 0 where the build has none:  make -C benchmarks/c BLAS_FOLDER=... links the one in that folder. */
#define _GNU_SOURCE
#include "base/memory.h"
#include "base/random.h"
#include "nn/blas.h"
#include "nn/layers.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct product {
    float *c;
    size_t c_stride;
    t0_operand a, b;
    size_t m, n, k;
    bool add;
} product;

/* Seconds of `repeats` calls; exec NULL: OpenBLAS; a negative number when it is not there. */
static double seconds_of(t0_exec *exec, size_t threads, const product *p, int repeats) {
    const double start = now();
    for (int i = 0; i < repeats; i++) {
        if (exec) t0_gemm(exec, p->c, p->c_stride, p->a, p->b, p->m, p->n, p->k, p->add);
        else if (!t0_blas_gemm(threads, p->c, p->c_stride, p->a, p->b, p->m, p->n, p->k, p->add)) return -1.0;
    }
    return (now() - start) / repeats;
}

/* Best GFLOP/s of ours and of OpenBLAS, taking turns, for other work on the machine only slows one down. */
static void rates(t0_exec *exec, const product *p, double *ours, double *theirs) {
    const double work = 2.0 * (double)p->m * (double)p->n * (double)p->k;
    const int repeats = work < 2e8 ? (int)(2e8 / work) : 1;
    double best[2] = {1e30, 1e30};
    for (int round = 0; round < 10; round++) {
        for (int side = 0; side < 2; side++) {
            const double seconds = seconds_of(side ? NULL : exec, t0_exec_threads(exec), p, repeats);
            if (seconds < best[side]) best[side] = seconds;
        }
    }
    *ours = work / best[0] * 1e-9;
    *theirs = best[1] > 0 ? work / best[1] * 1e-9 : 0.0;
}

/* The micro kernel on operands that stay in the first-level cache: 2 * mr * nr * 256 operations a call. */
static double peak(const t0_kernels *k) {
    float *a = t0_alloc_zero(k->mr * 64 * sizeof *a), *b = t0_alloc_zero(k->nr * 64 * sizeof *b),
          *c = t0_alloc_zero(k->mr * k->nr * sizeof *c);
    double best = 1e30;
    for (int round = 0; round < 7; round++) {
        const double start = now();
        for (int i = 0; i < 20000; i++) k->gemm_tile(c, k->nr, a, 1, k->mr, b, k->nr, 64, k->mr, k->nr, true);
        best = now() - start < best ? now() - start : best;
    }
    const double work = 2.0 * 64 * 20000 * (double)(k->mr * k->nr);
    t0_free(a), t0_free(b), t0_free(c);
    return work / best * 1e-9;
}

static void compare(t0_exec *exec, const char *what, size_t rows, size_t in, size_t out) {
    float *x = t0_alloc(rows * in * sizeof *x), *y = t0_alloc(rows * out * sizeof *y), *w = t0_alloc(in * out * sizeof *w);
    if (!x || !y || !w) exit(1);
    t0_random_normal(x, rows * in, 1, 99, 0);
    t0_random_normal(y, rows * out, 2, 99, 0);
    t0_random_normal(w, in * out, 3, 99, 0);
    const product forward = {y, out, {x, in, 1}, {w, 1, in}, rows, out, in, false};
    const product input = {x, in, {y, out, 1}, {w, in, 1}, rows, in, out, false};
    const product weight = {w, in, {y, 1, out}, {x, in, 1}, out, in, rows, true};
    const product *all[] = {&forward, &input, &weight};
    const char *names[] = {"forward", "input", "weight"};
    for (size_t i = 0; i < 3; i++) {
        double ours, theirs;
        rates(exec, all[i], &ours, &theirs);
        printf("%-12s %5zu x %5zu -> %5zu %-8s ours %7.1f  openblas %7.1f  ratio %5.2f\n", what, rows, in, out, names[i], ours, theirs,
               theirs > 0 ? ours / theirs : 0);
    }
    t0_free(x), t0_free(y), t0_free(w);
}

int main(int argc, char **argv) {
    const t0_kernels *kernels = t0_kernels_find(argc > 1 ? argv[1] : NULL);
    const size_t threads = argc > 2 ? (size_t)atoi(argv[2]) : 1;
    t0_exec *exec;
    t0_error err;
    if (!kernels || t0_exec_new(&exec, kernels, threads, false, &err) != T0_OK) return fprintf(stderr, "gemm [kernel set] [threads]\n"), 2;
    printf("%s, %zu threads; micro kernel in cache: %.1f GFLOP/s a thread\n", kernels->name, threads, peak(kernels));
    /* The miniature: pieces of 256 rows (t5/shard.h), about 234 of them of sources. */
    compare(exec, "mini qkv", 234, 64, 192);
    compare(exec, "mini o", 234, 64, 64);
    compare(exec, "mini wi", 234, 64, 512);
    compare(exec, "mini wo", 234, 256, 64);
    compare(exec, "mini decoder", 22, 64, 192);
    compare(exec, "mini head", 22, 64, 2551);
    compare(exec, "base qkv", 1024, 768, 2304);
    compare(exec, "base o", 1024, 768, 768);
    compare(exec, "base wi", 1024, 768, 4096);
    compare(exec, "base wo", 1024, 2048, 768);
    compare(exec, "base head", 128, 768, 32128);
    compare(exec, "large wi", 512, 1024, 5632);
    compare(exec, "decode wi", 1, 768, 4096);
    compare(exec, "decode wi 8", 8, 768, 4096);
    t0_exec_free(exec);
    return 0;
}
