/* Packed weights, their products and the attention of inference: against plain sums in double, every kernel set against the
 * portable one, alone against in company. Sizes are awkward on purpose. */
#include "nn_blocks.h"

#include "nn/attend.h"
#include "nn/gemm.h"
#include "nn/product.h"

#include <stdlib.h>

static const t0_dtype DTYPES[] = {T0_FLOAT32, T0_BFLOAT16, T0_INT8};
enum { N_DTYPES = 3 };

/* A matrix [out, in] in a block of its own; free the words. Rows go in backwards, a few at a time. */
static t0_packed packed_of(t0_dtype dtype, const float *w, size_t out, size_t in) {
    t0_packed p = {.dtype = dtype, .out = out, .in = in};
    t0_packed_at(&p, t0_alloc_zero(t0_packed_bytes(&p)));
    for (size_t end = out; end > 0;) {
        const size_t n = end % 7 + 1 < end ? end % 7 + 1 : end;
        end -= n;
        CHECK(t0_packed_put(&p, (t0_packed_place){0, 1}, end, n, w + end * in, T0_FLOAT32) == SIZE_MAX);
    }
    return p;
}

static void rows_come_back_as_their_type_holds_them(void) {
    const size_t sizes[][2] = {{1, 1}, {33, 7}, {64, 300}, {70, 1025}};
    for (size_t s = 0; s < 4; s++) {
        const size_t out = sizes[s][0], in = sizes[s][1];
        float *w = draw(out * in), *row = draw(in);
        for (size_t d = 0; d < N_DTYPES; d++) {
            t0_packed p = packed_of(DTYPES[d], w, out, in);
            for (size_t r = 0; r < out; r++) {
                float most = 0;
                t0_packed_get(row, &p, (t0_packed_place){0, 1}, r);
                for (size_t i = 0; i < in; i++) most = fmaxf(most, fabsf(w[r * in + i]));
                for (size_t i = 0; i < in; i++) {
                    const float x = w[r * in + i], allowed = d == 0 ? 0 : d == 1 ? fabsf(x) / 256 : most / 254 * 1.0001f;
                    CHECK(fabsf(row[i] - x) <= allowed);
                }
            }
            t0_free(p.words);
        }
        t0_free(w), t0_free(row);
    }
}

static void half_and_brain_floats_are_widened_exactly(void) {
    const uint16_t half[] = {0x3c00, 0xc000, 0x0001, 0x03ff, 0x7bff, 0x8000, 0x7c00, 0x7e00};
    const float expected[] = {1, -2, 0x1p-24f, 1023 * 0x1p-24f, 65504, -0.0f};
    float y[8];
    CHECK(t0_widen(y, half, T0_FLOAT16, 8) == 6 && isinf(y[6]) && isnan(y[7]));
    for (size_t i = 0; i < 6; i++) CHECK(y[i] == expected[i]);
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        const uint16_t x = (uint16_t)bits;
        CHECK(isnan(t0_from_bfloat16(x)) ? isnan(t0_from_bfloat16(t0_to_bfloat16(t0_from_bfloat16(x))))
                                         : t0_to_bfloat16(t0_from_bfloat16(x)) == x);
    }
    CHECK(t0_to_bfloat16(1.00390625f) == 0x3f80 && t0_to_bfloat16(1.01171875f) == 0x3f82); /* ties to even */
}

static void what_is_not_finite_is_told_and_never_a_number(void) {
    float w[3 * 5] = {0}, row[5];
    w[7] = NAN, w[13] = INFINITY;
    for (size_t d = 0; d < N_DTYPES; d++) {
        t0_packed p = {.dtype = DTYPES[d], .out = 3, .in = 5};
        t0_packed_at(&p, t0_alloc_zero(t0_packed_bytes(&p)));
        CHECK(t0_packed_put(&p, (t0_packed_place){0, 1}, 0, 3, w, T0_FLOAT32) == 7);
        t0_packed_get(row, &p, (t0_packed_place){0, 1}, 1);
        CHECK(isnan(row[2]));
        t0_packed_get(row, &p, (t0_packed_place){0, 1}, 2);
        CHECK(!isfinite(row[3]));
        t0_free(p.words);
    }
}

/* ---- products ------------------------------------------------------------------------------------------------------- */

/* f: of T0_APPLY and T0_GATE. */
static float *activated(t0_exec *exec, const float *x, size_t n, const t0_packed *w, size_t out, t0_finish finish, t0_activation f,
                        float start) {
    const t0_dtype dtype = t0_rows_dtype(t0_exec_kernels(exec), w->dtype);
    float *memory = t0_alloc((t0_rows_floats(dtype, n, w->in) + 16) * sizeof *memory), *y = t0_alloc(n * (out + 3) * sizeof *y);
    t0_rows rows = t0_rows_at(dtype, n, w->in, memory);
    for (size_t i = 0; i < n * (out + 3); i++) y[i] = start;
    t0_rows_fill(exec, &rows, x, w->in);
    if (finish == T0_STORE || finish == T0_ADD) t0_product(exec, y, out + 3, out, &rows, w, finish);
    else t0_product_activated(exec, y, out + 3, out, &rows, w, f, finish == T0_GATE);
    for (size_t i = 0; i < n; i++)
        for (size_t j = out; j < out + 3; j++) CHECK(y[i * (out + 3) + j] == start); /* nothing beside the columns is touched */
    t0_free(memory);
    return y;
}

static float *multiplied(t0_exec *exec, const float *x, size_t n, const t0_packed *w, size_t out, t0_finish finish, float start) {
    return activated(exec, x, n, w, out, finish, T0_RELU, start);
}

static void products_agree_with_sums_of_what_is_packed(void) {
    const size_t sizes[][3] = {{1, 1, 1}, {5, 33, 7}, {13, 64, 130}, {30, 100, 771}, {97, 31, 64}};
    FOR_KERNELS(kernels) {
        t0_exec *exec = make_exec(kernels, 1);
        for (size_t s = 0; s < 5; s++) {
            const size_t n = sizes[s][0], out = sizes[s][1], in = sizes[s][2];
            float *x = draw(n * in), *w = draw(out * in), *row = draw(in);
            for (size_t d = 0; d < N_DTYPES; d++) {
                t0_packed p = packed_of(DTYPES[d], w, out, in);
                float *y = multiplied(exec, x, n, &p, out, T0_ADD, 0.5f);
                for (size_t j = 0; j < out; j++) {
                    t0_packed_get(row, &p, (t0_packed_place){0, 1}, j);
                    for (size_t i = 0; i < n; i++) {
                        double sum = 0.5, size = 0, most = 0;
                        for (size_t k = 0; k < in; k++) {
                            sum += (double)x[i * in + k] * row[k];
                            size += fabs((double)x[i * in + k] * row[k]);
                            most = fmax(most, fabs(x[i * in + k]));
                        }
                        double width = 0;
                        for (size_t k = 0; k < in; k++) width += fabs(row[k]);
                        const double allowed = d == 0 ? 1e-6 * size : d == 1 ? size / 250 : most / 254 * width;
                        CHECK_NEAR(y[i * (out + 3) + j], sum, allowed * 1.001 + 1e-6, 1e-6);
                    }
                }
                t0_free(y), t0_free(p.words);
            }
            t0_free(x), t0_free(w), t0_free(row);
        }
        t0_exec_free(exec);
    }
}

/* Extreme integers, which saturate a careless AVX2 kernel: the same bits on every set. */
static void int8_products_are_the_same_on_every_set(void) {
    const size_t n = 13, out = 70, in = 1030;
    float *x = draw(n * in), *w = draw(out * in);
    for (size_t i = 0; i < n * in; i++) x[i] = i % 3 ? x[i] : i % 2 ? 4.0f : -4.0f;
    for (size_t k = 0; k < in; k++) x[k] = 4.0f, w[k] = -4.0f, w[in + k] = 4.0f, x[in + k] = k % 2 ? 4.0f : -4.0f;
    t0_packed p = packed_of(T0_INT8, w, out, in);
    t0_exec *portable = make_exec(t0_kernels_at(0), 1);
    float *expected = multiplied(portable, x, n, &p, out, T0_STORE, 0);
    CHECK_NEAR(expected[0], -16.0 * (double)in, 0.01, 0);
    FOR_KERNELS(kernels) {
        t0_exec *exec = make_exec(kernels, 2);
        float *y = multiplied(exec, x, n, &p, out, T0_STORE, 0);
        CHECK(same_bits(y, expected, n * (out + 3)));
        t0_free(y), t0_exec_free(exec);
    }
    t0_free(expected), t0_free(p.words), t0_free(x), t0_free(w), t0_exec_free(portable);
}

static void packed_floats_have_the_bits_of_plain_ones(void) {
    const size_t n = 31, out = 77, in = 900;
    float *x = draw(n * in), *w = draw(out * in);
    t0_packed p = packed_of(T0_FLOAT32, w, out, in);
    FOR_KERNELS(kernels) {
        t0_exec *exec = make_exec(kernels, 1);
        for (int add = 0; add < 2; add++) {
            float *y = multiplied(exec, x, n, &p, out, add ? T0_ADD : T0_STORE, 0.25f), *plain = t0_alloc(n * (out + 3) * sizeof *plain);
            for (size_t i = 0; i < n * (out + 3); i++) plain[i] = 0.25f;
            t0_gemm(exec, plain, out + 3, (t0_operand){x, in, 1}, (t0_operand){w, 1, in}, n, out, in, add);
            CHECK(same_bits(y, plain, n * (out + 3)));
            t0_free(y), t0_free(plain);
        }
        t0_exec_free(exec);
    }
    t0_free(p.words), t0_free(x), t0_free(w);
}

static void gates_take_their_factors_in_turn_and_rectifiers_keep_nan(void) {
    enum { N = 14, F = 45, IN = 19, PANELS = 2 }; /* panels of each factor */
    float *x = draw(N * IN), *w = draw(2 * F * IN), *h = draw(N * 2 * F), *a = draw(N * F);
    FOR_KERNELS(kernels) {
        t0_exec *exec = make_exec(kernels, 1);
        t0_packed p = {.dtype = T0_FLOAT32, .out = 2 * PANELS * T0_PANEL, .in = IN};
        t0_packed_at(&p, t0_alloc_zero(t0_packed_bytes(&p)));
        for (size_t half = 0; half < 2; half++) t0_packed_put(&p, (t0_packed_place){half, 2}, 0, F, w + half * F * IN, T0_FLOAT32);
        t0_gemm(exec, h, 2 * F, (t0_operand){x, IN, 1}, (t0_operand){w, 1, IN}, N, 2 * F, IN, false);
        for (t0_activation kind = 0; kind < T0_ACTIVATIONS; kind++) {
            float *gated = activated(exec, x, N, &p, F, T0_GATE, kind, 0);
            for (size_t i = 0; i < N; i++) kernels->activations[kind].gate(a + i * F, h + i * 2 * F, h + i * 2 * F + F, F);
            for (size_t i = 0; i < N * F; i++) CHECK_NEAR(gated[i / F * (F + 3) + i % F], a[i], 1e-6, 1e-6);
            t0_free(gated);
        }
        t0_free(p.words);
        for (size_t d = 0; d < N_DTYPES; d++) {
            t0_packed r = packed_of(DTYPES[d], w, F, IN);
            const float kept = x[3];
            x[3] = NAN;
            float *y = multiplied(exec, x, N, &r, F, T0_APPLY, 0);
            for (size_t j = 0; j < F; j++) CHECK(isnan(y[j]) && y[F + 3 + j] >= 0);
            t0_free(y);
            x[3] = kept;
            float *plain = multiplied(exec, x, N, &r, F, T0_STORE, 0);
            for (t0_activation kind = 0; kind < T0_ACTIVATIONS; kind++) { /* the product's own numbers, through the kernel */
                y = activated(exec, x, N, &r, F, T0_APPLY, kind, 0);
                for (size_t i = 0; i < N; i++) kernels->activations[kind].apply(a + i * F, plain + i * (F + 3), F);
                for (size_t i = 0; i < N * F; i++) CHECK_NEAR(y[i / F * (F + 3) + i % F], a[i], 1e-6, 1e-6);
                t0_free(y);
            }
            t0_free(plain), t0_free(r.words);
        }
        t0_exec_free(exec);
    }
    t0_free(x), t0_free(w), t0_free(h), t0_free(a);
}

/* A row has the same bits alone, among others, and with any number of threads. */
static void rows_do_not_depend_on_company(void) {
    const size_t n = 120, out = 301, in = 500;
    float *x = draw(n * in), *w = draw(out * in);
    FOR_KERNELS(kernels) {
        t0_exec *one = make_exec(kernels, 1), *three = make_exec(kernels, 3);
        for (size_t d = 0; d < N_DTYPES; d++) {
            t0_packed p = packed_of(DTYPES[d], w, out, in);
            float *all = multiplied(one, x, n, &p, out, T0_STORE, 0), *shared = multiplied(three, x, n, &p, out, T0_STORE, 0);
            CHECK(same_bits(all, shared, n * (out + 3)));
            for (size_t rows = 1; rows < 30; rows += 7) {
                float *few = multiplied(three, x + 5 * in, rows, &p, out, T0_STORE, 0);
                CHECK(same_bits(few, all + 5 * (out + 3), rows * (out + 3)));
                t0_free(few);
            }
            t0_free(all), t0_free(shared), t0_free(p.words);
        }
        t0_exec_free(one), t0_exec_free(three);
    }
    t0_free(x), t0_free(w);
}

static void likelihoods_are_those_of_stored_logits(void) {
    enum { N = 9, V = 601, IN = 40 };
    float *x = draw(N * IN), *w = draw(V * IN), lse[N], picked[2 * N], parts[N * 8], alone[8];
    int64_t offsets[N + 1];
    int32_t labels[2 * N];
    for (int n = 0; n <= N; n++) offsets[n] = 2 * n;
    for (int i = 0; i < 2 * N; i++) labels[i] = i * 67 % V;
    CHECK(t0_likelihood_parts(V) <= 8);
    FOR_KERNELS(kernels) {
        for (size_t threads = 1; threads <= 2; threads++)
            for (size_t d = 0; d < N_DTYPES; d++) {
                t0_exec *exec = make_exec(kernels, threads);
                t0_packed p = packed_of(DTYPES[d], w, V, IN);
                float *z = multiplied(exec, x, N, &p, V, T0_STORE, 0),
                      *memory = t0_alloc((t0_rows_floats(DTYPES[d], N, IN) + t0_rows_floats(T0_FLOAT32, N, IN)) * sizeof *memory);
                t0_rows rows = t0_rows_at(t0_rows_dtype(kernels, DTYPES[d]), N, IN, memory);
                t0_rows_fill(exec, &rows, x, IN);
                t0_product_likelihood(exec, lse, picked, parts, &rows, &p, offsets, labels);
                for (int n = 0; n < N; n++) {
                    CHECK(lse[n] == t0_row_log_sum_exp(kernels, z + n * (V + 3), V, alone));
                    CHECK(picked[2 * n] == z[n * (V + 3) + labels[2 * n]] && picked[2 * n + 1] == z[n * (V + 3) + labels[2 * n + 1]]);
                }
                t0_free(z), t0_free(memory), t0_free(p.words), t0_exec_free(exec);
            }
    }
    t0_free(x), t0_free(w);
}

/* ---- attention ------------------------------------------------------------------------------------------------------ */

enum { HEADS = 2, SEQUENCES = 3, ROWS = 200 };

/* o[row, h, :] in double, of query i of a sequence. */
static void plain_query(double *o, const t0_attend *s, t0_range queries, t0_range keys, size_t h, size_t i) {
    const size_t n = keys.end - keys.begin, queries_n = queries.end - queries.begin, position = s->causal ? i + n - queries_n : i;
    double p[ROWS], sum = 0;
    for (size_t d = 0; d < s->head_dim; d++) o[d] = 0;
    for (size_t j = 0; j < n; j++) {
        const size_t row = s->key_rows ? (size_t)s->key_rows[keys.begin + j] : keys.begin + j;
        double score = s->bias ? s->bias[h * s->bias_width + s->bias_center + j - position] : 0;
        for (size_t d = 0; d < s->head_dim; d++)
            score += (double)s->q[(queries.begin + i) * s->q_stride + h * s->head_dim + d] * s->k[row * s->kv_stride + h * s->kv_head + d];
        sum += p[j] = s->causal && j > position ? 0 : exp(score);
    }
    for (size_t j = 0; j < n; j++) {
        const size_t row = s->key_rows ? (size_t)s->key_rows[keys.begin + j] : keys.begin + j;
        for (size_t d = 0; d < s->head_dim; d++) o[d] += p[j] / sum * s->v[row * s->kv_stride + h * s->kv_head + d];
    }
}

static void check_attend(const t0_kernels *kernels, t0_attend *s, double tolerance) {
    const size_t most = 90;
    double expected[64];
    for (size_t threads = 1; threads <= 2; threads++) {
        t0_exec *exec = make_exec(kernels, threads);
        float *scratch = t0_alloc(t0_attend_scratch(threads, s->head_dim, most) * sizeof *scratch);
        memset(scratch, 0xff,
               t0_attend_scratch(threads, s->head_dim, most) * sizeof *scratch); /* NaN: nothing may be read before it is written */
        t0_attend_forward(exec, s, scratch, most);
        for (size_t b = 0; b < s->n_sequences; b++)
            for (size_t h = 0; h < s->n_heads; h++)
                for (size_t i = 0; i < s->queries[b].end - s->queries[b].begin; i++) {
                    plain_query(expected, s, s->queries[b], s->keys[b], h, i);
                    for (size_t d = 0; d < s->head_dim; d++)
                        CHECK_NEAR(s->o[(s->queries[b].begin + i) * s->o_stride + h * s->head_dim + d], expected[d], tolerance, tolerance);
                }
        t0_free(scratch), t0_exec_free(exec);
    }
}

static void attention_agrees_with_its_definition(void) {
    const size_t dims[] = {1, 7, 16, 64};
    const t0_range rows[SEQUENCES] = {{0, 1}, {1, 40}, {40, 130}}, singles[SEQUENCES] = {{0, 1}, {1, 2}, {2, 3}},
                   lists[SEQUENCES] = {{0, 3}, {3, 48}, {48, 110}};
    const t0_range few[SEQUENCES] = {{0, 2}, {2, 15}, {15, 16}};
    int64_t key_rows[110];
    for (size_t e = 0; e < 110; e++) key_rows[e] = (int64_t)(e * 37 % ROWS);
    FOR_KERNELS(kernels) {
        for (size_t i = 0; i < 4; i++)
            for (int which = 0; which < 10; which++) {
                const size_t d = dims[i], wide = HEADS * d;
                float *q = draw(ROWS * (wide + 1)), *k = draw(ROWS * 2 * wide), *bias = draw(HEADS * 200), *o = draw(ROWS * wide);
                t0_attend s = {.n_sequences = SEQUENCES,
                               .n_heads = HEADS,
                               .head_dim = d,
                               .queries = rows,
                               .keys = rows,
                               .q = q,
                               .k = k,
                               .v = k + wide,
                               .o = o,
                               .q_stride = wide + 1,
                               .kv_stride = 2 * wide,
                               .kv_head = d,
                               .o_stride = wide,
                               .bias = bias,
                               .bias_width = 200,
                               .bias_center = 95,
                               .bfloat16 = which % 2};
                if (which / 2 == 1) s.causal = true;
                if (which / 2 == 2) s.bias = NULL, s.queries = few, s.keys = rows;
                if (which / 2 == 3) s.causal = true, s.queries = few, s.keys = lists, s.key_rows = key_rows;
                if (which / 2 == 4) s.causal = s.single = true, s.queries = singles, s.keys = lists, s.key_rows = key_rows;
                if (which / 2 == 2) s.kv_stride = d, s.kv_head = ROWS * d, s.v = k + ROWS * wide; /* each head's keys in a row */
                check_attend(kernels, &s, s.bfloat16 && kernels->dense->tile_bfloat16 && !s.single ? 0.08 : 4e-5);
                t0_free(q), t0_free(k), t0_free(bias), t0_free(o);
            }
    }
}

/* Packed keys, each sequence's from a multiple of nr on, give what their rows give. */
static void packed_keys_give_what_rows_give(void) {
    enum { D = 19, MOST = 50 };
    const t0_range singles[SEQUENCES] = {{0, 1}, {1, 2}, {2, 3}}, rows[SEQUENCES] = {{0, 1}, {1, 34}, {34, 84}};
    FOR_KERNELS(kernels) {
        const size_t nr = kernels->nr, packed_row = HEADS * t0_attend_packed(kernels, D);
        float *q = draw(SEQUENCES * HEADS * D), *k = draw(84 * HEADS * D), *v = draw(84 * HEADS * D),
              *packed = draw((84 + SEQUENCES * nr) * packed_row);
        float expected[SEQUENCES * HEADS * D], o[SEQUENCES * HEADS * D],
            *scratch = t0_alloc(t0_attend_scratch(2, D, MOST) * sizeof *scratch);
        t0_exec *exec = make_exec(kernels, 2);
        t0_attend s = {.n_sequences = SEQUENCES,
                       .n_heads = HEADS,
                       .head_dim = D,
                       .queries = singles,
                       .keys = rows,
                       .q = q,
                       .k = k,
                       .v = v,
                       .o = expected,
                       .q_stride = HEADS * D,
                       .kv_stride = HEADS * D,
                       .kv_head = D,
                       .o_stride = HEADS * D,
                       .single = true};
        t0_attend_forward(exec, &s, scratch, MOST);
        t0_range at[SEQUENCES];
        for (size_t b = 0, begin = 0; b < SEQUENCES; b++) {
            const size_t n = rows[b].end - rows[b].begin, whole = (n + nr - 1) / nr * nr, from = rows[b].begin * s.kv_stride;
            at[b] = (t0_range){begin, begin + n};
            for (size_t h = 0; h < HEADS; h++)
                t0_attend_pack(kernels, packed + begin * packed_row + h * whole * packed_row / HEADS, k + from + h * D, v + from + h * D,
                               s.kv_stride, n, D);
            begin += whole;
        }
        s.panels = true, s.keys = at, s.k = packed, s.o = o;
        t0_attend_forward(exec, &s, scratch, MOST);
        for (size_t i = 0; i < SEQUENCES * HEADS * D; i++) CHECK_NEAR(o[i], expected[i], 1e-5, 1e-5);
        t0_free(q), t0_free(k), t0_free(v), t0_free(packed), t0_free(scratch), t0_exec_free(exec);
    }
}

int main(void) {
    T0_RUN(rows_come_back_as_their_type_holds_them);
    T0_RUN(half_and_brain_floats_are_widened_exactly);
    T0_RUN(what_is_not_finite_is_told_and_never_a_number);
    T0_RUN(products_agree_with_sums_of_what_is_packed);
    T0_RUN(int8_products_are_the_same_on_every_set);
    T0_RUN(packed_floats_have_the_bits_of_plain_ones);
    T0_RUN(gates_take_their_factors_in_turn_and_rectifiers_keep_nan);
    T0_RUN(rows_do_not_depend_on_company);
    T0_RUN(likelihoods_are_those_of_stored_logits);
    T0_RUN(attention_agrees_with_its_definition);
    T0_RUN(packed_keys_give_what_rows_give);
    return t0_report();
}
