/* Kernels of any vector set, over the names that nn/vector_avx2.h and nn/vector_avx512.h give to its instructions. Each
 * kernels_*.c includes this once, below its target pragma, its vectors, NR and nn/kernel_loops.h; everything is static.
 *
 *     VECTOR, MASK               W floats, in 128-bit parts of four; which of its lanes take part
 *     FMA, FNMA, ROUND           a b + c;  c - a b;  to the nearest whole number, ties to even
 *     MAX, MIN                   the second operand where one is NaN
 *     first_lanes(n)             the lanes below n: all from n = W on, as in what follows
 *     load, store (x, left)      the first min(left, W) floats at x; the other lanes are zeros and stay unwritten
 *     load_or, add_first         the same, but the other lanes are of `otherwise`, or of `sums`
 *     scale_by_power(x, n)       x 2^n, n whole, -150 <= n <= 128, rounded once where it falls below the normal range
 *     where_negative(x, a, b)    a where x has the sign bit, else b
 *     sum_lanes, max_lane        of all lanes, in the set's own order
 *     UNPACK_LOW, _HIGH, SHUFFLE, join_parts      what transposes, see there
 *     DOUBLES                    W / 2 doubles; _LOW and _HIGH: of the first and of the last half of a VECTOR
 *     WORDS, PAIRS               W words of 32 bits, and the same as W / 2 of 64; _UP and _DOWN: by 32 bits
 *     PAIRS_COUNT                0 .. W / 2 - 1 in the order from which the two unpackings below make a row
 *
 * Sums run in W lanes, or two times W, so they differ from set to set in their last bits.
 *
 *     exp x = 2^n e^r, n = round(x / ln 2), |r| <= ln 2 / 2, e^r by a polynomial of degree 6: relative error below 1e-7 */
#ifndef T0_NN_KERNEL_VECTORS_H
#define T0_NN_KERNEL_VECTORS_H

#include <math.h>

/* ---- transposing ----------------------------------------------------------------------------------------------------- */

/* Transposes W x W floats in registers: rows of src (stride apart, `rows` of them, `columns` floats each) become columns
 * of out (NR apart). */
static inline void transpose_block(float *out, const float *src, size_t stride, size_t rows, size_t columns) {
    const MASK mask = first_lanes(columns);
    VECTOR r[W], t[W];
#pragma GCC unroll W
    for (size_t i = 0; i < W; i++) r[i] = i < rows ? LOAD_MASKED(mask, src + i * stride) : ZERO;
#pragma GCC unroll W / 2
    for (size_t i = 0; i < W; i += 2) {
        t[i] = UNPACK_LOW(r[i], r[i + 1]);
        t[i + 1] = UNPACK_HIGH(r[i], r[i + 1]);
    }
#pragma GCC unroll W / 4
    for (size_t i = 0; i < W; i += 4) {
        r[i] = SHUFFLE(t[i], t[i + 2], 0x44);
        r[i + 1] = SHUFFLE(t[i], t[i + 2], 0xee);
        r[i + 2] = SHUFFLE(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = SHUFFLE(t[i + 1], t[i + 3], 0xee);
    }
    join_parts(t, r); /* r[4 g + c] holds, in part l, column 4 l + c of rows 4 g .. 4 g + 3; t[column] all rows */
    if (columns >= W) {
#pragma GCC unroll W
        for (size_t i = 0; i < W; i++) STORE(out + i * NR, t[i]);
    } else {
        for (size_t i = 0; i < columns; i++) STORE(out + i * NR, t[i]);
    }
}

static void pack_transposed(float *panel, const float *src, size_t stride, size_t k, size_t n) {
    for (size_t kk = 0; kk < k; kk += W) {
        const size_t columns = k - kk < W ? k - kk : W;
        for (size_t j = 0; j < NR; j += W) {
            const size_t rows = j >= n ? 0 : n - j < W ? n - j : W;
            if (rows == W) transpose_block(panel + kk * NR + j, src + j * stride + kk, stride, W, columns);
            else transpose_block(panel + kk * NR + j, src + (rows ? j * stride + kk : 0), stride, rows, columns);
        }
    }
}

/* ---- exponentials -------------------------------------------------------------------------------------------------- */

static inline VECTOR exp_vector(VECTOR x) {
    x = MAX(SPLAT(-104.0f), MIN(SPLAT(89.0f), x)); /* NaN stays */
    const VECTOR n = ROUND(MUL(x, SPLAT(1.44269504f)));
    VECTOR r = FNMA(n, SPLAT(0.693359375f), x);
    r = FNMA(n, SPLAT(-2.12194440e-4f), r);
    VECTOR p = SPLAT(1.0f / 720.0f);
    p = FMA(p, r, SPLAT(1.0f / 120.0f));
    p = FMA(p, r, SPLAT(1.0f / 24.0f));
    p = FMA(p, r, SPLAT(1.0f / 6.0f));
    p = FMA(p, r, SPLAT(0.5f));
    p = FMA(p, r, SPLAT(1.0f));
    p = FMA(p, r, SPLAT(1.0f));
    return scale_by_power(p, n);
}

static inline float max_of(const float *x, size_t n) {
    const VECTOR least = SPLAT(-INFINITY);
    VECTOR most = least;
    for (size_t i = 0; i < n; i += W) most = MAX(most, load_or(least, x + i, n - i));
    return max_lane(most);
}

/* sum exp(x - most), n at least 1; `stores`: its terms go to out, which may be x. */
static inline float sum_exp(float *out, const float *x, size_t n, float most, bool stores) {
    const VECTOR shift = SPLAT(most);
    VECTOR sums = ZERO;
    for (size_t i = 0; i < n; i += W) {
        const VECTOR e = exp_vector(SUB(load(x + i, n - i), shift));
        sums = add_first(sums, n - i, e);
        if (stores) store(out + i, n - i, e);
    }
    return sum_lanes(sums);
}

static float softmax(float *x, size_t n) {
    if (n == 0) return -INFINITY;
    const float most = max_of(x, n), sum = sum_exp(x, x, n, most, true);
    const VECTOR scale = SPLAT(1.0f / sum);
    for (size_t i = 0; i < n; i += W) store(x + i, n - i, MUL(load(x + i, n - i), scale));
    return most + logf(sum);
}

static float log_sum_exp(const float *x, size_t n) {
    if (n == 0) return -INFINITY;
    const float most = max_of(x, n);
    return most + logf(sum_exp(NULL, x, n, most, false));
}

static void exp_affine(float *y, const float *x, float shift, float scale, float offset, size_t n) {
    const VECTOR s = SPLAT(shift), a = SPLAT(scale), b = SPLAT(offset);
    for (size_t i = 0; i < n; i += W) store(y + i, n - i, FMA(exp_vector(SUB(load(x + i, n - i), s)), a, b));
}

/* ---- activations: NAME_value(u) = f(u), and NAME_slope(u, &value) = f'(u) with f(u) beside it ----------------------------- */

/* 1 / (1 + exp(-2 sqrt(2/pi) (u + 0.044715 u^3))), as in kernels_portable.c; u2 = u^2. */
static inline VECTOR gelu_sigmoid(VECTOR u, VECTOR u2) {
    const VECTOR one = SPLAT(1.0f);
    const VECTOR y = MUL(u, FMA(u2, SPLAT(-2.0f * 0.79788456f * 0.044715f), SPLAT(-2.0f * 0.79788456f)));
    return DIV(one, ADD(one, exp_vector(y)));
}

static inline VECTOR gelu_new_value(VECTOR u) { return MUL(u, gelu_sigmoid(u, MUL(u, u))); }

static inline VECTOR gelu_new_slope(VECTOR u, VECTOR *value) {
    const VECTOR one = SPLAT(1.0f), two = SPLAT(2.0f);
    const VECTOR root = SPLAT(0.79788456f), cubic = SPLAT(0.79788456f * 3.0f * 0.044715f);
    const VECTOR u2 = MUL(u, u), q = gelu_sigmoid(u, u2), slope = FMA(u2, cubic, root), uq = MUL(u, q);
    *value = uq;
    return ADD(q, MUL(MUL(two, uq), MUL(SUB(one, q), slope)));
}

/* P(-|u|) of the normal distribution, and e^(-u^2/2): their quotient is t times a polynomial of degree 8 in t = 1 / (1 + 0.35 |u|),
 * fitted for |u| <= 15 with a relative error below 4e-8. */
static inline VECTOR normal_tail(VECTOR u, VECTOR *density) {
    const VECTOR one = SPLAT(1.0f), t = DIV(one, FMA(SPLAT(0.35f), MAX(SUB(ZERO, u), u), one));
    VECTOR p = SPLAT(-0.0291643962f);
    p = FMA(p, t, SPLAT(0.144063056f));
    p = FMA(p, t, SPLAT(-0.255906403f));
    p = FMA(p, t, SPLAT(0.15939796f));
    p = FMA(p, t, SPLAT(-0.0232671984f));
    p = FMA(p, t, SPLAT(0.105576172f));
    p = FMA(p, t, SPLAT(0.119815171f));
    p = FMA(p, t, SPLAT(0.139864385f));
    p = FMA(p, t, SPLAT(0.139621258f));
    *density = exp_vector(MUL(MUL(u, u), SPLAT(-0.5f)));
    return MUL(MUL(*density, t), p);
}

/* u P(u) = max(u, 0) - |u| P(-|u|). */
static inline VECTOR gelu_of(VECTOR u, VECTOR tail) { return FNMA(MAX(SUB(ZERO, u), u), tail, MAX(ZERO, u)); }

static inline VECTOR gelu_value(VECTOR u) {
    VECTOR density;
    return gelu_of(u, normal_tail(u, &density));
}

static inline VECTOR gelu_slope(VECTOR u, VECTOR *value) {
    VECTOR density;
    const VECTOR tail = normal_tail(u, &density);
    *value = gelu_of(u, tail);
    return FMA(MUL(u, SPLAT(0.39894228f)), density, where_negative(u, tail, SUB(SPLAT(1.0f), tail)));
}

static inline VECTOR logistic(VECTOR u) {
    const VECTOR one = SPLAT(1.0f);
    return DIV(one, ADD(one, exp_vector(SUB(ZERO, u))));
}

static inline VECTOR silu_value(VECTOR u) { return MUL(u, logistic(u)); }

static inline VECTOR silu_slope(VECTOR u, VECTOR *value) {
    const VECTOR q = logistic(u);
    *value = MUL(u, q);
    return FMA(*value, SUB(SPLAT(1.0f), q), q);
}

/* The four kernels of an activation. */
#define ACTIVATION(name)                                                                                                        \
    static void name(float *a, const float *u, size_t n) {                                                                      \
        for (size_t i = 0; i < n; i += W) store(a + i, n - i, name##_value(load(u + i, n - i)));                                \
    }                                                                                                                           \
    static void name##_backward(float *du, const float *da, const float *u, size_t n) {                                         \
        VECTOR value;                                                                                                           \
        for (size_t i = 0; i < n; i += W) store(du + i, n - i, MUL(load(da + i, n - i), name##_slope(load(u + i, n - i), &value)));  \
    }                                                                                                                           \
    static void name##_gate(float *a, const float *u, const float *v, size_t n) {                                               \
        for (size_t i = 0; i < n; i += W) {                                                                                     \
            const VECTOR ui = load(u + i, n - i), vi = load(v + i, n - i);                                                      \
            store(a + i, n - i, MUL(name##_value(ui), vi));                                                                     \
        }                                                                                                                       \
    }                                                                                                                           \
    static void name##_gate_backward(float *du, float *dv, const float *da, const float *u, const float *v, size_t n) {         \
        VECTOR value;                                                                                                           \
        for (size_t i = 0; i < n; i += W) {                                                                                     \
            const VECTOR vi = load(v + i, n - i), d = load(da + i, n - i), slope = name##_slope(load(u + i, n - i), &value);    \
            store(dv + i, n - i, MUL(d, value));                                                                                \
            store(du + i, n - i, MUL(MUL(d, vi), slope));                                                                       \
        }                                                                                                                       \
    }
ACTIVATION(gelu_new)
ACTIVATION(gelu)
ACTIVATION(silu)
#undef ACTIVATION

/* ---- sums ----------------------------------------------------------------------------------------------------------- */

static float dot(const float *a, const float *b, size_t n) {
    VECTOR s = ZERO, t = s;
    size_t i = 0;
    for (; i + 2 * W <= n; i += 2 * W) {
        s = FMA(LOAD(a + i), LOAD(b + i), s);
        t = FMA(LOAD(a + i + W), LOAD(b + i + W), t);
    }
    for (; i < n; i += W) s = FMA(load(a + i, n - i), load(b + i, n - i), s);
    return sum_lanes(ADD(s, t));
}

static float sum_squares(const float *x, size_t n) { return dot(x, x, n); }

static float dot3(const float *a, const float *b, const float *c, size_t n) {
    VECTOR s = ZERO;
    for (size_t i = 0; i < n; i += W) s = FMA(MUL(load(a + i, n - i), load(b + i, n - i)), load(c + i, n - i), s);
    return sum_lanes(s);
}

static void axpy(float *y, float alpha, const float *x, size_t n) {
    const VECTOR factor = SPLAT(alpha);
    for (size_t i = 0; i < n; i += W) store(y + i, n - i, FMA(factor, load(x + i, n - i), load(y + i, n - i)));
}

static double sum_squares_double(const float *x, size_t n) {
    DOUBLES s = DOUBLES_ZERO, t = s;
    for (size_t i = 0; i < n; i += W) {
        const VECTOR v = load(x + i, n - i);
        const DOUBLES low = DOUBLES_LOW(v), high = DOUBLES_HIGH(v);
        s = DOUBLES_FMA(low, low, s);
        t = DOUBLES_FMA(high, high, t);
    }
    return sum_doubles(DOUBLES_ADD(s, t));
}

/* ---- random words ---------------------------------------------------------------------------------------------------- */

/* Philox (base/random.h) on W / 2 counters, one in each 64-bit lane: a word fills the low half and what stands above it is
 * ignored by the next multiplication. Lanes are ordered so that the two unpackings store counters in order. */
static void philox_words(uint32_t *restrict out, uint64_t seed, uint64_t purpose, uint64_t index) {
    const WORDS m0 = PAIRS_SPLAT(0xD2511F53u), m1 = PAIRS_SPLAT(0xCD9E8D57u);
    for (size_t i = 0; i < PHILOX; i += W / 2, out += 2 * W) {
        WORDS c0 = PAIRS_ADD(PAIRS_SPLAT(index + i), PAIRS_COUNT);
        WORDS c1 = PAIRS_DOWN(c0), c2 = PAIRS_SPLAT(purpose), c3 = PAIRS_DOWN(c2);
        uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
        for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
            const WORDS p0 = PAIRS_MUL(c0, m0), p1 = PAIRS_MUL(c2, m1);
            c0 = PAIRS_XOR3(PAIRS_DOWN(p1), c1, PAIRS_SPLAT(k0));
            c2 = PAIRS_XOR3(PAIRS_DOWN(p0), c3, PAIRS_SPLAT(k1));
            c1 = p1;
            c3 = p0;
        }
        const WORDS low = PAIRS_JOIN(c0, PAIRS_UP(c1)), high = PAIRS_JOIN(c2, PAIRS_UP(c3));
        WORDS_STORE(out, PAIRS_UNPACK_LOW(low, high));
        WORDS_STORE(out + W, PAIRS_UNPACK_HIGH(low, high));
    }
}

/* Entries that every vector set takes from here. */
#define T0_KERNEL_VECTORS                                                                                    \
    .pack_transposed = pack_transposed, .dot = dot, .dot3 = dot3, .axpy = axpy, .sum_squares = sum_squares,  \
    .softmax = softmax, .log_sum_exp = log_sum_exp, .exp_affine = exp_affine,                                \
    .sum_squares_double = sum_squares_double, T0_KERNEL_ACTIVATIONS

#endif
