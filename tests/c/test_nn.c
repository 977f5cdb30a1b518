/* Layers and kernels: every set against plain sums in double, every backward pass against differences. Sizes are awkward
 * on purpose: 1, primes, one more and one less than a vector or a tile. */
#include "nn_blocks.h"

#include "nn/gemm.h"
#include "nn/layers.h"
#include "nn/packed.h"

#include <stdlib.h>

/* ---- products ------------------------------------------------------------------------------------------------------ */

static bool halves_only; /* operands that bfloat16 holds */

static void check_product(t0_exec *exec, size_t m, size_t n, size_t k, bool a_turned, bool b_turned, bool add) {
    const size_t c_stride = n + 3, a_ld = (a_turned ? m : k) + 1, b_ld = (b_turned ? k : n) + 2;
    float *a = draw(a_ld * (a_turned ? k : m)), *b = draw(b_ld * (b_turned ? n : k)), *c = draw(m * c_stride);
    float *before = copy(c, m * c_stride);
    for (size_t i = 0; halves_only && i < a_ld * (a_turned ? k : m); i++) a[i] = t0_from_bfloat16(t0_to_bfloat16(a[i]));
    for (size_t i = 0; halves_only && i < b_ld * (b_turned ? n : k); i++) b[i] = t0_from_bfloat16(t0_to_bfloat16(b[i]));
    const t0_operand va = {a, a_turned ? 1 : a_ld, a_turned ? a_ld : 1}, vb = {b, b_turned ? 1 : b_ld, b_turned ? b_ld : 1};
    t0_gemm(exec, c, c_stride, va, vb, m, n, k, add);
    double worst = 0;
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < c_stride; j++) {
            double sum = j >= n || add ? before[i * c_stride + j] : 0;
            for (size_t kk = 0; kk < k && j < n; kk++) sum += (double)a[i * va.row + kk * va.column] * b[kk * vb.row + j * vb.column];
            const double d = fabs(sum - c[i * c_stride + j]);
            if (!(d <= worst)) worst = d;
        }
    CHECK_NEAR(worst, 0, 2e-6 * sqrt((double)k + 1) * 4, 0);
    t0_free(a), t0_free(b), t0_free(c), t0_free(before);
}

static void products_agree_with_sums(void) {
    const size_t sizes[][3] = {{1, 1, 1},     {1, 7, 5},     {13, 33, 64}, {12, 32, 16}, {11, 31, 17}, {25, 257, 3},
                               {5, 300, 385}, {70, 65, 770}, {3, 48, 0},   {49, 15, 31}, {4, 8, 400},  {6, 17, 9}};
    FOR_KERNELS(kernels) {
        for (size_t threads = 1; threads <= 3; threads++) {
            t0_exec *exec = make_exec(kernels, threads);
            for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
                for (int turned = 0; turned < 8; turned++)
                    check_product(exec, sizes[s][0], sizes[s][1], sizes[s][2], turned & 1, turned >> 1 & 1, turned >> 2);
            t0_exec_free(exec);
        }
    }
}

/* In bfloat16: against the product in float32 of operands that hold bfloat16s already. */
static void bfloat16_products_agree_with_sums(void) {
    const size_t sizes[][3] = {{1, 1, 1}, {13, 33, 64}, {25, 257, 3}, {5, 300, 385}, {109, 65, 770}, {30, 40, 1601}, {3, 48, 0}};
    FOR_KERNELS(kernels) {
        if (!kernels->dense->tile_bfloat16) continue;
        for (size_t threads = 1; threads <= 2; threads++) {
            t0_exec *exec = make_exec(kernels, threads);
            CHECK(t0_exec_use_bfloat16(exec, NULL) == T0_OK);
            halves_only = true;
            for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
                for (int turned = 0; turned < 8; turned++)
                    check_product(exec, sizes[s][0], sizes[s][1], sizes[s][2], turned & 1, turned >> 1 & 1, turned >> 2);
            halves_only = false;
            t0_exec_free(exec);
        }
    }
}

static void every_tile_height_is_right(void) {
    FOR_KERNELS(kernels) {
        t0_exec *exec = make_exec(kernels, 1);
        for (size_t m = 1; m <= 2 * kernels->mr + 1; m++)
            for (size_t n = 1; n <= kernels->nr + 1; n++) check_product(exec, m, n, 5, m & 1, n & 1, (m + n) & 2);
        t0_exec_free(exec);
    }
}

/* A row's result has the same bits alone, among others, and with any number of threads. */
static void products_do_not_depend_on_company(void) {
    const size_t m = 131, n = 300, k = 500;
    float *x = draw(m * k), *w = draw(n * k), *all = draw(m * n), *some = draw(m * n);
    FOR_KERNELS(kernels) {
        t0_exec *one = make_exec(kernels, 1), *three = make_exec(kernels, 3);
        const t0_linear s = {m, k, n, k, n};
        t0_linear_forward(one, &s, all, x, w, false);
        t0_linear_forward(three, &s, some, x, w, false);
        CHECK(same_bits(all, some, m * n));
        for (size_t rows = 1; rows < 30; rows += 4) {
            const t0_linear few = {rows, k, n, k, n};
            t0_linear_forward(one, &few, some, x + 7 * k, w, false);
            CHECK(same_bits(all + 7 * n, some, rows * n));
        }
        const t0_linear back = {m, k, n, k, n};
        float *dw = t0_alloc_zero(n * k * sizeof *dw), *dw3 = t0_alloc_zero(n * k * sizeof *dw);
        t0_linear_backward_weight(one, &back, dw, all, x, true);
        t0_linear_backward_weight(three, &back, dw3, all, x, true);
        CHECK(same_bits(dw, dw3, n * k));
        t0_free(dw), t0_free(dw3);
        t0_exec_free(one), t0_exec_free(three);
    }
    t0_free(x), t0_free(w), t0_free(all), t0_free(some);
}

/* ---- kernels ------------------------------------------------------------------------------------------------------- */

static const size_t LENGTHS[] = {1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 64, 127, 1003};
enum { N_LENGTHS = sizeof LENGTHS / sizeof *LENGTHS, LONGEST = 1003 };

static void check_sums(const t0_kernels *k, size_t n) {
    float *a = draw(n), *b = draw(n), *c = draw(n), *y = draw(n), *z = copy(y, n);
    double dot = 0, dot3 = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        dot += (double)a[i] * b[i];
        dot3 += (double)a[i] * b[i] * c[i];
        squares += (double)a[i] * a[i];
    }
    CHECK_NEAR(k->dot(a, b, n), dot, 1e-5 * sqrt((double)n), 0);
    CHECK_NEAR(k->dot3(a, b, c, n), dot3, 1e-5 * sqrt((double)n), 0);
    CHECK_NEAR(k->sum_squares(a, n), squares, 0, 1e-5);
    CHECK_NEAR(k->sum_squares_double(a, n), squares, 0, 1e-14);
    k->axpy(y, 0.5f, a, n);
    for (size_t i = 0; i < n; i++) CHECK_NEAR(y[i], z[i] + 0.5 * a[i], 1e-6, 1e-6);
    k->scale_mul(y, a, b, 0.3f, n);
    for (size_t i = 0; i < n; i++) CHECK_NEAR(y[i], 0.3 * a[i] * b[i], 1e-6, 1e-6);
    t0_free(a), t0_free(b), t0_free(c), t0_free(y), t0_free(z);
}

static void check_softmax(const t0_kernels *k, size_t n, float spread) {
    float *x = draw(n), *p = copy(x, n);
    double most = -1e30, sum = 0;
    for (size_t i = 0; i < n; i++) {
        p[i] = x[i] *= spread;
        most = fmax(most, x[i]);
    }
    for (size_t i = 0; i < n; i++) sum += exp(x[i] - most);
    const double lse = most + log(sum);
    CHECK_NEAR(k->log_sum_exp(x, n), lse, 1e-6, 4e-7);
    CHECK_NEAR(k->softmax(p, n), lse, 1e-6, 4e-7);
    for (size_t i = 0; i < n; i++) CHECK_NEAR(p[i], exp(x[i] - lse), 1e-30, 1e-6 * (1 + spread));
    t0_free(x), t0_free(p);
}

static void kernels_agree_with_double(void) {
    FOR_KERNELS(k) {
        for (size_t l = 0; l < N_LENGTHS; l++) {
            check_sums(k, LENGTHS[l]);
            check_softmax(k, LENGTHS[l], 1.0f);
            check_softmax(k, LENGTHS[l], 30.0f);
        }
        CHECK(k->log_sum_exp(NULL, 0) == -INFINITY);
    }
}

static void exponential_is_right_over_its_range(void) {
    float x[LONGEST], y[LONGEST];
    FOR_KERNELS(k) {
        for (size_t i = 0; i < LONGEST; i++) x[i] = -87.0f + 175.0f * (float)i / LONGEST;
        k->exp_affine(y, x, 0.0f, 1.0f, 0.0f, LONGEST);
        for (size_t i = 0; i < LONGEST; i++) CHECK_NEAR(y[i], exp(x[i]), 1e-37, 3e-7);
        const float edges[] = {-200.0f, -INFINITY, 200.0f, INFINITY, NAN, -100.0f, 0.0f};
        k->exp_affine(y, edges, 0.0f, 1.0f, 0.0f, 7);
        CHECK(y[0] < 1e-44f && y[1] < 1e-44f && y[2] == INFINITY && y[3] == INFINITY && isnan(y[4]) && y[6] == 1.0f);
        CHECK_NEAR(y[5], exp(-100.0), 2e-45, 0);
        float row[20] = {0};
        row[13] = NAN;
        CHECK(isnan(k->log_sum_exp(row, 20)));
        CHECK(isnan(k->softmax(row, 20)) && isnan(row[0]));
    }
}

static double relu_of(double u) { return u > 0 ? u : 0; }
static double gelu_of(double u) { return 0.5 * u * erfc(-u / sqrt(2)); }
static double gelu_new_of(double u) { return 0.5 * u * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (u + 0.044715 * u * u * u))); }
static double silu_of(double u) { return u / (1 + exp(-u)); }
static double (*const ACTIVATION[T0_ACTIVATIONS])(double) = {
    [T0_GELU_NEW] = gelu_new_of, [T0_RELU] = relu_of, [T0_GELU] = gelu_of, [T0_SILU] = silu_of};

static void check_gated(t0_exec *exec, t0_activation kind, const float *h, const float *da, size_t rows, size_t f) {
    double (*const of)(double) = ACTIVATION[kind];
    float *a = t0_alloc(rows * f * sizeof *a), *dh = t0_alloc(rows * 2 * f * sizeof *dh);
    t0_activation_forward(exec, a, h, rows, f, kind, true);
    t0_activation_backward(exec, dh, da, h, rows, f, kind, true);
    for (size_t i = 0; i < rows * f; i++) {
        const size_t at = i / f * 2 * f + i % f;
        const double u = h[at], v = h[at + f], slope = (of(u + 1e-5) - of(u - 1e-5)) / 2e-5;
        CHECK_NEAR(a[i], of(u) * v, 1e-6, 2e-6);
        CHECK_NEAR(dh[at], da[i] * v * slope, 1e-5, 1e-5);
        CHECK_NEAR(dh[at + f], da[i] * of(u), 1e-6, 2e-6);
    }
    t0_free(a), t0_free(dh);
}

static void check_plain(t0_exec *exec, t0_activation kind, const float *h, const float *da, size_t rows, size_t f) {
    double (*const of)(double) = ACTIVATION[kind];
    float *a = t0_alloc(rows * f * sizeof *a), *dh = t0_alloc(rows * f * sizeof *dh);
    t0_activation_forward(exec, a, h, rows, f, kind, false);
    t0_activation_backward(exec, dh, da, h, rows, f, kind, false);
    for (size_t i = 0; i < rows * f; i++) {
        const double u = h[i], slope = (of(u + 1e-5) - of(u - 1e-5)) / 2e-5;
        CHECK_NEAR(a[i], of(u), 1e-6, 1e-6);
        CHECK_NEAR(dh[i], da[i] * slope, 1e-5, 1e-5);
        if (kind == T0_RELU) CHECK(a[i] == (h[i] > 0 ? h[i] : 0) && dh[i] == (h[i] > 0 ? da[i] : 0));
    }
    t0_free(a), t0_free(dh);
}

static void activations_agree_with_double_and_differences(void) {
    FOR_KERNELS(k) {
        t0_exec *exec = make_exec(k, 2);
        for (size_t l = 0; l < N_LENGTHS; l++)
            for (t0_activation kind = 0; kind < T0_ACTIVATIONS; kind++) {
                const size_t f = LENGTHS[l], rows = 3;
                float *h = draw(rows * 2 * f), *da = draw(rows * f);
                for (size_t i = 0; i < rows * 2 * f; i++) h[i] *= 3.0f;
                check_gated(exec, kind, h, da, rows, f);
                check_plain(exec, kind, h, da, rows, f);
                t0_free(h), t0_free(da);
            }
        t0_exec_free(exec);
    }
}

/* From far below to far above, where exponentials end, and every sign of zero; the sets beside the portable one. */
static void activations_agree_everywhere_and_keep_what_is_not_finite(void) {
    enum { N = 4003 };
    float *u = t0_alloc(N * sizeof *u), *ones = t0_alloc(N * sizeof *ones), *a = t0_alloc(N * sizeof *a), *b = t0_alloc(N * sizeof *b);
    for (size_t i = 0; i < N; i++) u[i] = ((float)i - N / 2.0f) / 16.0f, ones[i] = 1.0f;
    u[0] = 0.0f, u[1] = -0.0f, u[2] = 1e-30f, u[3] = -3e38f, u[4] = 3e38f;
    FOR_KERNELS(k) {
        for (t0_activation kind = 0; kind < T0_ACTIVATIONS; kind++) {
            const t0_activation_kernels *f = &k->activations[kind], *portable = &t0_kernels_at(0)->activations[kind];
            f->apply(a, u, N), portable->apply(b, u, N);
            for (size_t i = 0; i < N; i++) {
                CHECK_NEAR(a[i], b[i], 3e-7, 1e-6);
                CHECK_NEAR(a[i], ACTIVATION[kind](u[i]), 3e-7, 1e-6);
            }
            f->apply_backward(a, ones, u + 5, N - 5), portable->apply_backward(b, ones, u + 5, N - 5);
            for (size_t i = 0; i < N - 5; i++) CHECK_NEAR(a[i], b[i], 2e-6, 1e-6);
            for (size_t i = 0; i < 3; i++) {
                const float odd[] = {NAN, INFINITY, -INFINITY};
                float in[20] = {0}, out[20], slope[20];
                in[7] = in[18] = odd[i];
                f->apply(out, in, 20), f->gate(slope, in, ones, 20);
                const bool may_end = odd[i] < 0; /* whose limit is 0 */
                CHECK((!isfinite(out[7]) && !isfinite(out[18]) && !isfinite(slope[7])) || may_end);
                CHECK(out[6] == 0 && out[8] == 0);
            }
        }
    }
    t0_free(u), t0_free(ones), t0_free(a), t0_free(b);
}

/* Whether the mask of element `index` keeps it, by the header's rule. */
static bool is_kept(uint64_t seed, uint64_t site, uint64_t index, float rate) {
    const t0_random4 r = t0_random(seed, T0_RANDOM_DROPOUT + (site << 8), index / 4);
    return (float)(r.word[index % 4] >> 8) * 0x1p-24f >= rate;
}

static void dropout_masks_are_the_generators(void) {
    const float rate = 0.3f;
    const uint64_t seed = 0x123456789abcull, site = 77;
    float *x = draw(LONGEST), *y = draw(LONGEST);
    FOR_KERNELS(k) {
        t0_exec *exec = make_exec(k, 3);
        for (size_t l = 0; l < N_LENGTHS; l++)
            for (uint64_t first = (1ull << 34) - 5; first < (1ull << 34) + 4; first++) {
                t0_dropout(exec, y, x, LENGTHS[l], rate, seed, site, first);
                bool right = true;
                for (size_t i = 0; i < LENGTHS[l]; i++) {
                    const float expected = is_kept(seed, site, first + i, rate) ? x[i] * (1.0f / (1.0f - rate)) : 0.0f;
                    right = right && fabsf(y[i] - expected) <= 1e-6f * fabsf(expected);
                }
                CHECK(right);
            }
        t0_dropout(exec, y, x, LONGEST, 0.0f, seed, site, 0);
        CHECK(same_bits(x, y, LONGEST));
        enum { COLUMNS = 7 };
        const int64_t offsets[] = {0, 1, 9, 9 + LONGEST / 2 / COLUMNS};
        bool right = true;
        t0_dropout_broadcast(exec, y, x, offsets, 3, COLUMNS, rate, seed, site, 1001);
        for (size_t b = 0; b < 3; b++)
            for (size_t i = (size_t)offsets[b] * COLUMNS; i < (size_t)offsets[b + 1] * COLUMNS; i++) {
                const bool kept = is_kept(seed, site, 1001 + (size_t)offsets[b] * COLUMNS + i % COLUMNS, rate);
                right = right && fabsf(y[i] - (kept ? x[i] / (1.0f - rate) : 0.0f)) <= 1e-6f * fabsf(x[i]);
            }
        CHECK(right);
        t0_exec_free(exec);
    }
    t0_free(x), t0_free(y);
}

/* ---- norm, embedding ------------------------------------------------------------------------------------------------- */

static void norms_agree_with_double_and_differences(void) {
    FOR_KERNELS(k) {
        t0_exec *exec = make_exec(k, 2);
        for (size_t l = 0; l < N_LENGTHS; l++) {
            const size_t d = LENGTHS[l], rows = 5;
            float *x = draw(rows * d), *g = draw(d), *dy = draw(rows * d), *y = draw(rows * d), r[5];
            float *dx = t0_alloc_zero(rows * d * sizeof *dx), *dg = t0_alloc_zero(d * sizeof *dg);
            t0_rmsnorm_forward(exec, y, r, x, g, rows, d, 1e-6f);
            t0_rmsnorm_backward(exec, dx, dg, dy, x, r, g, rows, d);
            for (size_t n = 0; n < rows; n++) {
                double squares = 0, mixed = 0;
                for (size_t i = 0; i < d; i++) {
                    squares += (double)x[n * d + i] * x[n * d + i];
                    mixed += (double)dy[n * d + i] * g[i] * x[n * d + i];
                }
                const double root = 1 / sqrt(squares / (double)d + 1e-6);
                for (size_t i = 0; i < d; i++) {
                    CHECK_NEAR(y[n * d + i], x[n * d + i] * root * g[i], 1e-6, 2e-6);
                    const double e = root * dy[n * d + i] * g[i] - x[n * d + i] * root * root * root * mixed / (double)d;
                    CHECK_NEAR(dx[n * d + i], e, 1e-5 * (1 + root), 1e-5 + (d == 1));
                }
            }
            for (size_t i = 0; i < d; i++) {
                double sum = 0;
                for (size_t n = 0; n < rows; n++) sum += (double)dy[n * d + i] * x[n * d + i] * r[n];
                CHECK_NEAR(dg[i], sum, 1e-5, 1e-5);
            }
            t0_free(x), t0_free(g), t0_free(dy), t0_free(y), t0_free(dx), t0_free(dg);
        }
        t0_exec_free(exec);
    }
}

static void embeddings_gather_and_collect(void) {
    const int32_t ids[] = {3, 0, 3, 6, 3, 1};
    enum { N = 6, V = 7, D = 131 };
    float *table = draw(V * D), *x = draw(N * D), *d = t0_alloc_zero(V * D * sizeof *d);
    t0_exec *exec = make_exec(t0_kernels_best(), 2);
    t0_embedding_forward(exec, x, table, ids, N, D);
    for (size_t n = 0; n < N; n++) CHECK(same_bits(x + n * D, table + (size_t)ids[n] * D, D));
    t0_embedding_backward(exec, d, x, ids, N, D);
    for (size_t i = 0; i < D; i++) CHECK(d[3 * D + i] == 3 * table[3 * D + i] && d[2 * D + i] == 0 && d[6 * D + i] == table[6 * D + i]);
    t0_exec_free(exec);
    t0_free(table), t0_free(x), t0_free(d);
}

/* ---- cross-entropy --------------------------------------------------------------------------------------------------- */

static void cross_entropy_agrees_with_double(void) {
    FOR_KERNELS(k) {
        t0_exec *exec = make_exec(k, 2);
        for (size_t l = 0; l < N_LENGTHS; l++) {
            const size_t v = LENGTHS[l], rows = 70;
            const double e = 0.1, c = 0.02, scale = 0.25;
            float *z = draw(rows * v), *dz = draw(rows * v), ll[70];
            int32_t t[70];
            for (size_t n = 0; n < rows; n++) t[n] = (int32_t)((n * 37) % v);
            const double got = t0_cross_entropy(exec, dz, ll, z, t, rows, v, (float)scale, (float)e, (float)c);
            double loss = 0;
            for (size_t n = 0; n < rows; n++) {
                const float *row = z + n * v;
                double sum = 0, mean = 0;
                for (size_t i = 0; i < v; i++) sum += exp(row[i]), mean += row[i] / (double)v;
                const double lse = log(sum);
                loss += (1 - e) * (lse - row[t[n]]) + e * (lse - mean) + c * lse * lse;
                CHECK_NEAR(ll[n], row[t[n]] - lse, 2e-6, 1e-6);
                for (size_t i = 0; i < v; i++) {
                    const double p = exp(row[i] - lse);
                    CHECK_NEAR(dz[n * v + i], scale * (p * (1 + 2 * c * lse) - (1 - e) * (i == (size_t)t[n]) - e / (double)v), 1e-6, 2e-6);
                }
            }
            CHECK_NEAR(got, loss, 1e-4, 1e-6);
            CHECK_NEAR(t0_cross_entropy(exec, z, NULL, z, t, rows, v, (float)scale, (float)e, (float)c), got, 0, 0);
            CHECK(same_bits(z, dz, rows * v));
            t0_free(z), t0_free(dz);
        }
        t0_exec_free(exec);
    }
}

/* ---- attention --------------------------------------------------------------------------------------------------------- */

/* A ragged batch: queries with `inner` + 1 floats between rows, keys and values with inner + 2. */
typedef struct batch {
    t0_attention s;
    int64_t query_offsets[8], key_offsets[8];
    size_t n_queries, n_keys, p_size, inner;
    float *q, *k, *v, *d_o, *bias;
} batch;

/* apart: keys of their own number, as of cross-attention. */
static void make_batch(batch *b, bool apart, bool causal, bool biased, size_t heads, size_t dim, float dropout) {
    const int64_t queries[] = {3, 1, 70, 17, 2}, keys[] = {331, 5, 9, 40, 331};
    memset(b, 0, sizeof *b);
    for (size_t i = 0; i < 5; i++) {
        b->query_offsets[i + 1] = b->query_offsets[i] + queries[i];
        b->key_offsets[i + 1] = b->key_offsets[i] + (apart ? keys[i] : queries[i]);
    }
    b->inner = heads * dim;
    b->n_queries = (size_t)b->query_offsets[5];
    b->n_keys = (size_t)b->key_offsets[5];
    b->q = draw(b->n_queries * (b->inner + 1));
    b->k = draw(b->n_keys * (b->inner + 2));
    b->v = draw(b->n_keys * (b->inner + 2));
    b->d_o = draw(b->n_queries * b->inner);
    b->bias = biased ? draw(heads * 800) : NULL;
    for (size_t i = 0; i < b->n_queries * (b->inner + 1); i++) b->q[i] *= 0.5f;
    b->s = (t0_attention){.n_sequences = 5,
                          .n_heads = heads,
                          .head_dim = dim,
                          .query_offsets = b->query_offsets,
                          .key_offsets = b->key_offsets,
                          .q_stride = b->inner + 1,
                          .k_stride = b->inner + 2,
                          .v_stride = b->inner + 2,
                          .o_stride = b->inner,
                          .causal = causal,
                          .has_bias = biased,
                          .bias = b->bias,
                          .bias_width = biased ? 800 : 0,
                          .bias_center = biased ? 400 : 0,
                          .dropout = dropout,
                          .seed = 5,
                          .site = 3,
                          .first = 1001};
    b->p_size = t0_attention_p_size(&b->s);
}

static void free_batch(batch *b) { t0_free(b->q), t0_free(b->k), t0_free(b->v), t0_free(b->d_o), t0_free(b->bias); }

/* Attention by its definition, in double; o [queries, inner]. Returns sum o d_o. */
static double plain_attention(const batch *b, double *o) {
    const t0_attention *s = &b->s;
    size_t e = 0;
    double total = 0;
    for (size_t n = 0; n < s->n_sequences; n++) {
        const size_t k0 = (size_t)s->key_offsets[n], q0 = (size_t)s->query_offsets[n];
        const size_t keys = (size_t)s->key_offsets[n + 1] - k0, queries = (size_t)s->query_offsets[n + 1] - q0;
        for (size_t h = 0; h < s->n_heads; h++)
            for (size_t i = 0; i < queries; i++, e += keys) {
                const long position = (long)i + (s->causal ? (long)keys - (long)queries : 0);
                double p[400], sum = 0;
                for (size_t j = 0; j < keys; j++) {
                    double score = s->has_bias ? s->bias[h * s->bias_width + s->bias_center + j - (size_t)position] : 0;
                    for (size_t d = 0; d < s->head_dim; d++)
                        score += (double)b->q[(q0 + i) * s->q_stride + h * s->head_dim + d] *
                                 b->k[(k0 + j) * s->k_stride + h * s->head_dim + d];
                    sum += p[j] = s->causal && (long)j > position ? 0 : exp(score);
                }
                for (size_t j = 0; j < keys; j++) {
                    const size_t mask = e + j - (s->broadcast ? i * keys : 0);
                    const bool kept = s->dropout == 0 || is_kept(s->seed, s->site, s->first + mask, s->dropout);
                    p[j] *= kept ? 1 / ((1 - (double)s->dropout) * sum) : 0;
                }
                for (size_t d = 0; d < s->head_dim; d++) {
                    double at = 0;
                    for (size_t j = 0; j < keys; j++) at += p[j] * b->v[(k0 + j) * s->v_stride + h * s->head_dim + d];
                    const size_t out = (q0 + i) * s->o_stride + h * s->head_dim + d;
                    if (o) o[out] = at;
                    total += at * b->d_o[out];
                }
            }
    }
    return total;
}

/* The slope of plain_attention at some elements of x against the gradient dx. */
static void check_slopes(const batch *b, float *x, const float *dx, size_t n, const char *what) {
    const size_t step = n / 12 + 1;
    for (size_t i = step / 2; i < n; i += step) {
        const float kept = x[i];
        x[i] = kept + 0.01f;
        const double high = x[i], above = plain_attention(b, NULL);
        x[i] = kept - 0.01f;
        const double slope = (above - plain_attention(b, NULL)) / (high - x[i]);
        x[i] = kept;
        if (!(fabs(dx[i] - slope) <= 2e-3 + 2e-3 * fabs(slope))) fprintf(stderr, "%s[%zu]:\n", what, i);
        CHECK_NEAR(dx[i], slope, 2e-3, 2e-3);
    }
}

static void check_attention(const t0_kernels *kernels, batch *b, bool slopes) {
    const size_t nq = b->n_queries, nk = b->n_keys * (b->inner + 2), n_bias = b->s.has_bias ? b->s.n_heads * b->s.bias_width : 0;
    double *expected = malloc(nq * b->inner * sizeof *expected);
    plain_attention(b, expected);
    float *kept[4] = {0};
    for (size_t threads = 1; threads <= 3; threads += 2) {
        t0_exec *exec = make_exec(kernels, threads);
        float *o = draw(nq * b->inner), *p = draw(b->p_size), *scratch = draw(t0_attention_backward_scratch_size(&b->s, threads));
        t0_attention_forward(exec, &b->s, o, p, b->q, b->k, b->v);
        for (size_t i = 0; i < nq * b->inner; i++) CHECK_NEAR(o[i], expected[i], 1e-5, 1e-5);
        float *dq = draw(nq * (b->inner + 1)), *dk = t0_alloc_zero(nk * sizeof *dk), *dv = t0_alloc_zero(nk * sizeof *dv);
        float *dbias = t0_alloc_zero((n_bias + 1) * sizeof *dbias);
        for (size_t i = 0; i < nq; i++) dq[i * (b->inner + 1) + b->inner] = 0;
        t0_attention_backward(exec, &b->s, dq, dk, dv, b->s.has_bias ? dbias : NULL, scratch, b->d_o, p, b->q, b->k, b->v);
        float *got[4] = {dq, dk, dv, dbias};
        const size_t size[4] = {nq * (b->inner + 1), nk, nk, n_bias};
        if (threads == 1 && slopes) {
            check_slopes(b, b->q, dq, size[0], "dq");
            check_slopes(b, b->k, dk, nk, "dk");
            check_slopes(b, b->v, dv, nk, "dv");
            if (b->s.has_bias) check_slopes(b, b->bias, dbias, n_bias, "dbias");
        }
        for (size_t i = 0; i < 4; i++) {
            if (threads == 1) {
                kept[i] = got[i];
                continue;
            }
            CHECK(same_bits(kept[i], got[i], size[i]));
            t0_free(got[i]), t0_free(kept[i]);
        }
        t0_free(o), t0_free(p), t0_free(scratch);
        t0_exec_free(exec);
    }
    free(expected);
}

static void attention_agrees_with_its_definition(void) {
    FOR_KERNELS(kernels) {
        for (int which = 0; which < 8; which++) {
            const bool apart = which == 1 || which == 3 || which == 6, causal = which == 2 || which == 4 || which == 7,
                       biased = which != 1 && which != 5;
            batch b;
            make_batch(&b, apart, causal, biased, which == 5 ? 1 : 3, which == 3 ? 7 : which == 5 ? 1 : 16, which >= 3 ? 0.2f : 0.0f);
            b.s.broadcast = which >= 6;
            check_attention(kernels, &b, true);
            free_batch(&b);
        }
    }
}

/* Buckets of the reference models (32, 128): sampled from the published rule, worked by hand at the edges. */
static void buckets_are_the_reference_models(void) {
    const int both[][2] = {{0, 0},     {-1, 1},     {-7, 7}, {-8, 8}, {-11, 8}, {-12, 9}, {-15, 9}, {-16, 10}, {-127, 15},
                           {-128, 15}, {-4000, 15}, {1, 17}, {7, 23}, {8, 24},  {16, 26}, {23, 27}, {4000, 31}};
    for (size_t i = 0; i < sizeof both / sizeof *both; i++) CHECK(t0_relative_bucket(both[i][0], true, 32, 128) == both[i][1]);
    const int causal[][2] = {{5, 0}, {0, 0}, {-1, 1}, {-15, 15}, {-16, 16}, {-18, 16}, {-19, 17}, {-127, 31}, {-5000, 31}};
    for (size_t i = 0; i < sizeof causal / sizeof *causal; i++) CHECK(t0_relative_bucket(causal[i][0], false, 32, 128) == causal[i][1]);
    float table[32 * 3], bias[3 * 41], d[32 * 3] = {0};
    t0_random_normal(table, 96, 1, 98, 0);
    t0_bias_forward(bias, table, 3, 41, 20, true, 32, 128);
    for (size_t c = 0; c < 41; c++)
        for (size_t h = 0; h < 3; h++) CHECK(bias[h * 41 + c] == table[(size_t)t0_relative_bucket((int64_t)c - 20, true, 32, 128) * 3 + h]);
    for (size_t i = 0; i < 3 * 41; i++) bias[i] = 1.0f;
    t0_bias_backward(d, bias, 3, 41, 20, true, 32, 128);
    CHECK(d[0] == 1 && d[8 * 3] == 4 && d[24 * 3 + 2] == 4); /* distances 8..11 share a bucket */
}

static void sets_are_found_by_name(void) {
    CHECK(t0_kernels_find(NULL) == t0_kernels_best() && t0_kernels_available(t0_kernels_best()));
    CHECK(strcmp(t0_kernels_at(0)->name, "portable") == 0 && t0_kernels_find("sse9") == NULL);
    for (size_t i = 0; t0_kernels_at(i); i++) {
        CHECK(t0_kernels_find(t0_kernels_at(i)->name) == t0_kernels_at(i));
        if (!t0_kernels_available(t0_kernels_at(i))) printf("skipped: no %s on this machine\n", t0_kernels_at(i)->name);
    }
    t0_exec *exec;
    t0_error err;
    CHECK(t0_exec_new(&exec, t0_kernels_best(), 0, false, &err) == T0_EVALUE);
}

int main(void) {
    T0_RUN(sets_are_found_by_name);
    T0_RUN(products_agree_with_sums);
    T0_RUN(bfloat16_products_agree_with_sums);
    T0_RUN(every_tile_height_is_right);
    T0_RUN(products_do_not_depend_on_company);
    T0_RUN(kernels_agree_with_double);
    T0_RUN(exponential_is_right_over_its_range);
    T0_RUN(activations_agree_with_double_and_differences);
    T0_RUN(activations_agree_everywhere_and_keep_what_is_not_finite);
    T0_RUN(dropout_masks_are_the_generators);
    T0_RUN(norms_agree_with_double_and_differences);
    T0_RUN(embeddings_gather_and_collect);
    T0_RUN(cross_entropy_agrees_with_double);
    T0_RUN(attention_agrees_with_its_definition);
    T0_RUN(buckets_are_the_reference_models);
    return t0_report();
}
