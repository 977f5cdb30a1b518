/* Training speed of the miniature: real tokens a second (source and target, no padding exists), for each kernel set and 1
 * and 2 threads, on ragged batches of random ids; forward, backward and Adafactor, dropout off.
 *
 *     make -C benchmarks/c && build/c/bench_train [seconds a measurement, default 3] [kernels]
 *
 * Model and batch are those of t0native/mini/training.py: D 64, 4 heads of 16, F 256 gated, 3 + 2 layers, V 2,551; 64
 * examples, whose lengths are 20 equally likely values each, means of twentieths of those of the recipe's last stage (38.2 and
 * 3.5 on average; independent here, there with a correlation of -0.1). Prints the best of three measurements, for other work
 * on the machine only slows one down; tokens a second of processor time are less disturbed by it. */
#define _POSIX_C_SOURCE 200809L
#include "base/random.h"
#include "t5/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { B = 64, V = 2551, BATCHES = 8, N_LENGTHS = 20, LONGEST = 79 };
static const int SOURCE_LENGTHS[N_LENGTHS] = {16, 20, 23, 25, 27, 28, 29, 31, 32, 34, 36, 38, 40, 43, 45, 48, 52, 56, 63, LONGEST};
static const int TARGET_LENGTHS[N_LENGTHS] = {2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 6, 7, 9, 15};

typedef struct sequences {
    int32_t ids[B * LONGEST];
    int64_t offsets[B + 1];
    t0_ragged batch;
} sequences;

static void draw(sequences *to, const int *lengths, uint64_t seed) {
    to->offsets[0] = 0;
    for (int b = 0; b < B; b++) to->offsets[b + 1] = to->offsets[b] + lengths[t0_random_u64(seed, 1, (uint64_t)b) % N_LENGTHS];
    for (int64_t i = 0; i < to->offsets[B]; i++) to->ids[i] = (int32_t)(t0_random_u64(seed, 2, (uint64_t)i) % V);
    to->batch = (t0_ragged){to->ids, to->offsets, B};
}

static double now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(t0_status status, const t0_error *err) {
    if (status == T0_OK) return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

static sequences sources[BATCHES], targets[BATCHES];

typedef struct speed {
    double wall, cpu;            /* tokens a second of either */
    double gradients, optimiser; /* seconds */
    uint64_t steps;
} speed;

static speed measure(t0_trainer *trainer, double seconds, uint64_t first_step) {
    t0_error err;
    t0_step_result result;
    speed to = {0};
    size_t tokens = 0;
    const double start = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    while (now(CLOCK_MONOTONIC) - start < seconds) {
        const uint64_t step = first_step + to.steps++;
        const size_t i = step % BATCHES;
        const double a = now(CLOCK_MONOTONIC);
        must(t0_trainer_gradients(trainer, &result, &sources[i].batch, &targets[i].batch, step, NULL, &err), &err);
        const double b = now(CLOCK_MONOTONIC);
        must(t0_trainer_apply(trainer, &result, 1e-4f, step, NULL, NULL, &err), &err);
        to.gradients += b - a;
        to.optimiser += now(CLOCK_MONOTONIC) - b;
        tokens += result.source_tokens + result.target_tokens;
    }
    to.wall = (double)tokens / (now(CLOCK_MONOTONIC) - start);
    to.cpu = (double)tokens / (now(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    return to;
}

static void run(const t0_kernels *kernels, size_t threads, double seconds) {
    const t0_config config = {.vocab_size = V,
                              .d_model = 64,
                              .d_kv = 16,
                              .d_ff = 256,
                              .n_layers = 3,
                              .n_decoder_layers = 2,
                              .n_heads = 4,
                              .n_buckets = 32,
                              .max_distance = 128,
                              .norm_epsilon = 1e-6f,
                              .gated = true,
                              .eos_id = 1};
    const t0_trainer_options options = {.optimizer = T0_ADAFACTOR, .scale_parameter = true, .clip_norm = 1.0f};
    t0_error err;
    t0_model *model = NULL;
    t0_trainer *trainer = NULL;
    must(t0_model_new(&model, &config, &err), &err);
    t0_exec *exec = NULL;
    must(t0_exec_new(&exec, kernels, threads, false, &err), &err);
    must(t0_model_init(model, exec, T0_INIT_MATCHING, 1, NULL, &err), &err);
    t0_exec_free(exec);
    must(t0_trainer_new(&trainer, model, &options, kernels, threads, &err), &err);
    speed best = {0}, one = measure(trainer, 0.2, 1);
    for (uint64_t i = 0, step = 1 + one.steps; i < 3; i++, step += one.steps) {
        one = measure(trainer, seconds, step);
        const double cpu = one.cpu > best.cpu ? one.cpu : best.cpu;
        if (one.wall > best.wall) best = one;
        best.cpu = cpu;
    }
    const double steps = (double)best.steps;
    printf("%-10s %8zu %12.0f %16.0f %14.2f %14.2f\n", kernels->name, threads, best.wall, best.cpu, 1e3 * best.gradients / steps,
           1e3 * best.optimiser / steps);
    fflush(stdout);
    t0_trainer_free(trainer);
    t0_model_free(model);
}

int main(int argc, char **argv) {
    const double seconds = argc > 1 ? atof(argv[1]) : 3.0;
    const char *only = argc > 2 ? argv[2] : NULL;
    for (int i = 0; i < BATCHES; i++) {
        draw(&sources[i], SOURCE_LENGTHS, (uint64_t)i);
        draw(&targets[i], TARGET_LENGTHS, (uint64_t)i + 100);
    }
    printf("%-10s %8s %12s %16s %14s %14s\n", "kernels", "threads", "tokens/s", "tokens/CPU s", "gradients ms", "optimiser ms");
    for (size_t set = 0; t0_kernels_at(set); set++) {
        const t0_kernels *kernels = t0_kernels_at(set);
        if (!t0_kernels_available(kernels) || (only && t0_kernels_find(only) != kernels)) continue;
        for (size_t threads = 1; threads <= 2; threads++) run(kernels, threads, seconds);
    }
    return 0;
}
