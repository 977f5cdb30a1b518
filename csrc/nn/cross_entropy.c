/* Softmax cross-entropy with label smoothing e and z-loss c, on rows of logits z:
 *
 *     lse = log sum_v exp z_v,   loss = (1-e)(lse - z_t) + e (lse - mean z) + c lse^2
 *     d loss / d z_v = exp(z_v - lse) (1 + 2 c lse) - (1-e) [v = t] - e / V
 *
 * Rows are cut into a fixed number of runs; each run's losses are summed in order, then the runs: in double. */
#include "nn/layers.h"

#include "nn/vectors.h"

#include <assert.h>

enum { RUNS = 64 };

typedef struct entropy {
    const t0_kernels *kernels;
    float *dlogits, *log_likelihood;
    const float *logits;
    const int32_t *targets;
    size_t n_rows, vocab, runs;
    float scale, smoothing, z_loss;
    double losses[RUNS];
} entropy;

static double row_loss(const entropy *s, size_t n) {
    const float *z = s->logits + n * s->vocab;
    const size_t t = (size_t)s->targets[n];
    assert(s->targets[n] >= 0 && t < s->vocab);
    const float zt = z[t], lse = s->kernels->log_sum_exp(z, s->vocab), e = s->smoothing;
    double loss = (1.0 - (double)e) * ((double)lse - zt) + (double)s->z_loss * lse * lse;
    if (e != 0.0f) loss += e * (lse - t0_mean(z, s->vocab));
    if (s->log_likelihood) s->log_likelihood[n] = zt - lse;
    if (s->dlogits) {
        float *dz = s->dlogits + n * s->vocab;
        s->kernels->exp_affine(dz, z, lse, s->scale * (1.0f + 2.0f * s->z_loss * lse), -s->scale * e / (float)s->vocab, s->vocab);
        dz[t] -= s->scale * (1.0f - e);
    }
    return loss;
}

static void run_rows(void *context, size_t index, size_t worker) {
    (void)worker;
    entropy *s = context;
    const t0_range rows = t0_range_of(s->n_rows, s->runs, index);
    double sum = 0.0;
    for (size_t n = rows.begin; n < rows.end; n++) sum += row_loss(s, n);
    s->losses[index] = sum;
}

double t0_cross_entropy(t0_exec *exec, float *dlogits, float *log_likelihood, const float *logits, const int32_t *targets, size_t n_rows,
                        size_t vocab, float scale, float label_smoothing, float z_loss) {
    entropy s = {t0_exec_kernels(exec),         dlogits, log_likelihood,  logits, targets, n_rows, vocab,
                 n_rows < RUNS ? n_rows : RUNS, scale,   label_smoothing, z_loss, {0}};
    if (n_rows == 0) return 0.0;
    t0_exec_run(exec, run_rows, &s, s.runs);
    double loss = 0.0;
    for (size_t i = 0; i < s.runs; i++) loss += s.losses[i];
    return loss;
}
