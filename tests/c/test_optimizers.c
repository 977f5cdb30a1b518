/* Optimisers against their formulas in double, and the norm and scale of a gradient. */
#include "nn_blocks.h"

#include "nn/optimizer.h"
#include "nn/vectors.h"

#include <stdlib.h>

static double rms(const double *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] * x[i];
    return sqrt(sum / (double)n);
}

/* The header's rule in double. state: r and c, or v. */
static void plain_adafactor(const t0_adafactor *s, double *w, double *state, const float *g, size_t rows, size_t columns, double t) {
    const size_t n = rows * columns;
    const double b = 1 - pow(t, -(double)s->decay);
    double *u = malloc(n * sizeof *u);
    if (rows >= s->min_factored && columns >= s->min_factored) {
        double *r = state, *c = state + rows, mean = 0;
        for (size_t i = 0; i < rows + columns; i++) state[i] *= b;
        for (size_t i = 0; i < n; i++) {
            const double g2 = (double)g[i] * g[i] + 1e-30;
            r[i / columns] += (1 - b) * g2 / (double)columns;
            c[i % columns] += (1 - b) * g2 / (double)rows;
        }
        for (size_t i = 0; i < rows; i++) mean += r[i] / (double)rows;
        for (size_t i = 0; i < n; i++) u[i] = g[i] / sqrt(r[i / columns] * c[i % columns] / mean);
    } else {
        for (size_t i = 0; i < n; i++) {
            state[i] = b * state[i] + (1 - b) * ((double)g[i] * g[i] + 1e-30);
            u[i] = g[i] / sqrt(state[i]);
        }
    }
    const double scale = s->scale_parameter ? fmax(1e-3, rms(w, n)) : 1, clip = fmax(1, rms(u, n) / s->clip);
    for (size_t i = 0; i < n; i++) w[i] -= s->learning_rate * scale * u[i] / clip;
    free(u);
}

/* size: deviation of the first weights. Below epsilon2, 1e-3, steps are of that size whatever the weights are. */
static void check_adafactor(t0_exec *exec, size_t rows, size_t columns, bool scaled, float size) {
    const t0_adafactor s = {0.05f, 0.8f, 1.0f, 1e-30f, 1e-3f, scaled, 128};
    const size_t n = rows * columns, n_states = t0_adafactor_state_size(&s, rows, columns);
    CHECK(n_states == (rows >= 128 && columns >= 128 ? rows + columns : n));
    float *w = draw(n), *state = t0_alloc_zero(n_states * sizeof *state);
    double *plain = malloc(n * sizeof *plain), *plain_state = calloc(n_states, sizeof *plain_state);
    for (size_t i = 0; i < n; i++) plain[i] = w[i] *= size;
    for (uint64_t step = 1; step <= 3; step++) {
        float *g = draw(n);
        for (size_t i = 0; i < n; i++) g[i] *= step == 2 ? 10.0f : 0.1f;
        t0_adafactor_step(exec, &s, w, state, g, rows, columns, step);
        plain_adafactor(&s, plain, plain_state, g, rows, columns, (double)step);
        t0_free(g);
    }
    double worst = 0;
    for (size_t i = 0; i < n; i++) worst = fmax(worst, fabs(w[i] - plain[i]));
    CHECK_NEAR(worst, 0, 2e-6 * (scaled ? fmax(size, 1e-3) : 1), 0);
    free(plain), free(plain_state);
    t0_free(w), t0_free(state);
}

static void adafactor_is_its_formula(void) {
    FOR_KERNELS(k) {
        t0_exec *exec = make_exec(k, 2);
        check_adafactor(exec, 1, 700, true, 1.0f);
        check_adafactor(exec, 127, 300, true, 1.0f);
        check_adafactor(exec, 128, 131, true, 1.0f);
        check_adafactor(exec, 150, 1030, false, 1.0f);
        check_adafactor(exec, 1, 1, true, 1.0f);
        check_adafactor(exec, 1, 700, true, 1e-5f);
        check_adafactor(exec, 128, 131, true, 1e-5f);
        check_adafactor(exec, 1, 700, true, 0.0f);
        t0_exec_free(exec);
    }
}

static void adamw_is_its_formula(void) {
    const t0_adamw s = {0.01f, 0.9f, 0.999f, 1e-8f, 0.1f};
    FOR_KERNELS(k) {
        t0_exec *exec = make_exec(k, 2);
        enum { N = 1003 };
        float *w = draw(N), *m = t0_alloc_zero(N * sizeof *m), *v = t0_alloc_zero(N * sizeof *v);
        double pw[N], pm[N] = {0}, pv[N] = {0};
        for (size_t i = 0; i < N; i++) pw[i] = w[i];
        for (uint64_t step = 1; step <= 3; step++) {
            float *g = draw(N);
            t0_adamw_step(exec, &s, w, m, v, g, N, step);
            for (size_t i = 0; i < N; i++) {
                pw[i] *= 1 - 0.01 * 0.1;
                pm[i] = 0.9 * pm[i] + 0.1 * g[i];
                pv[i] = 0.999 * pv[i] + 0.001 * (double)g[i] * g[i];
                pw[i] -= 0.01 / (1 - pow(0.9, (double)step)) * pm[i] / (sqrt(pv[i]) / sqrt(1 - pow(0.999, (double)step)) + 1e-8);
            }
            t0_free(g);
        }
        for (size_t i = 0; i < N; i++) CHECK_NEAR(w[i], pw[i], 2e-6, 0);
        t0_free(w), t0_free(m), t0_free(v);
        t0_exec_free(exec);
    }
}

static void sgd_is_its_formula(void) {
    const t0_sgd kinds[] = {{0.1f, 0.0f, 0.0f}, {0.1f, 0.9f, 0.0f}, {0.1f, 0.5f, 0.02f}};
    enum { N = 20011 };
    t0_exec *one = make_exec(t0_kernels_at(0), 1), *three = make_exec(t0_kernels_at(0), 3);
    for (size_t k = 0; k < 3; k++) {
        const t0_sgd *s = &kinds[k];
        CHECK(t0_sgd_state_size(s, N) == (s->momentum > 0 ? N : 0));
        float *w = draw(N), *same = copy(w, N), *m = t0_alloc_zero(N * sizeof *m), *m3 = t0_alloc_zero(N * sizeof *m3);
        double *pw = malloc(N * sizeof *pw), *pm = calloc(N, sizeof *pm);
        for (size_t i = 0; i < N; i++) pw[i] = w[i];
        for (int step = 0; step < 3; step++) {
            float *g = draw(N);
            t0_sgd_step(one, s, w, m, g, N);
            t0_sgd_step(three, s, same, m3, g, N);
            for (size_t i = 0; i < N; i++) {
                pm[i] = (double)s->momentum * pm[i] + g[i] + (double)s->weight_decay * pw[i];
                pw[i] -= (double)s->learning_rate * pm[i];
            }
            t0_free(g);
        }
        double worst = 0;
        for (size_t i = 0; i < N; i++) worst = fmax(worst, fabs(w[i] - pw[i]));
        CHECK_NEAR(worst, 0, 1e-6, 0);
        CHECK(same_bits(w, same, N));
        t0_free(w), t0_free(same), t0_free(m), t0_free(m3);
        free(pw), free(pm);
    }
    t0_exec_free(one), t0_exec_free(three);
}

static void norms_of_gradients_keep_what_is_not_finite(void) {
    enum { N = 20011 };
    float *x = draw(N), *y = copy(x, N);
    FOR_KERNELS(k) {
        t0_exec *one = make_exec(k, 1), *three = make_exec(k, 3);
        double sum = 0;
        for (size_t i = 0; i < N; i++) sum += (double)x[i] * x[i];
        CHECK_NEAR(t0_norm_squared(one, x, N), sum, 0, 1e-13);
        CHECK(t0_norm_squared(one, x, N) == t0_norm_squared(three, x, N));
        y[N - 2] = NAN;
        CHECK(isnan(t0_norm_squared(three, y, N)));
        y[N - 2] = -INFINITY;
        CHECK(isinf(t0_norm_squared(three, y, N)));
        t0_scale(three, y, N - 2, 0.5f);
        CHECK(y[0] == 0.5f * x[0] && y[N - 3] == 0.5f * x[N - 3] && y[N - 1] == x[N - 1]);
        memcpy(y, x, N * sizeof *y);
        t0_exec_free(one), t0_exec_free(three);
    }
    t0_free(x), t0_free(y);
}

static void the_first_number_that_is_not_finite_is_found(void) {
    enum { N = 1000 };
    const float bad[] = {INFINITY, -INFINITY, NAN}, extremes[] = {3.4028235e38f, -3.4028235e38f, 1e-45f, -0.0f};
    float *x = draw(N);
    for (size_t i = 0; i < 4; i++) x[100 * i] = extremes[i];
    CHECK(t0_all_finite(x, N) && t0_first_not_finite(x, N) == N && t0_all_finite(x, 0) && t0_first_not_finite(x, 0) == 0);
    for (size_t at = 0; at < N; at += 37)
        for (size_t i = 0; i < 3; i++) {
            const float kept = x[at], last = x[N - 1];
            x[at] = x[N - 1] = bad[i];
            CHECK(!t0_all_finite(x, N) && t0_first_not_finite(x, N) == at && t0_first_not_finite(x, at) == at);
            x[at] = kept, x[N - 1] = last;
        }
    for (size_t i = 0; i < 8; i++) x[i] = (float)i;
    CHECK(t0_mean(x, 8) == 3.5);
    t0_free(x);
}

int main(void) {
    T0_RUN(the_first_number_that_is_not_finite_is_found);
    T0_RUN(adafactor_is_its_formula);
    T0_RUN(adamw_is_its_formula);
    T0_RUN(sgd_is_its_formula);
    T0_RUN(norms_of_gradients_keep_what_is_not_finite);
    return t0_report();
}
