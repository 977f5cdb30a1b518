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

/* 1 / (1 + exp(-2 sqrt(2/pi) (u + 0.044715 u^3))), as in kernels_portable.c; u2 = u^2. */
static inline VECTOR gelu_sigmoid(VECTOR u, VECTOR u2) {
    const VECTOR one = SPLAT(1.0f);
    const VECTOR y = MUL(u, FMA(u2, SPLAT(-2.0f * 0.79788456f * 0.044715f), SPLAT(-2.0f * 0.79788456f)));
    return DIV(one, ADD(one, exp_vector(y)));
}

static void gelu_gate(float *a, const float *u, const float *v, size_t n) {
    for (size_t i = 0; i < n; i += W) {
        const VECTOR ui = load(u + i, n - i), vi = load(v + i, n - i);
        store(a + i, n - i, MUL(MUL(ui, gelu_sigmoid(ui, MUL(ui, ui))), vi));
    }
}

static void gelu_gate_backward(float *du, float *dv, const float *da, const float *u, const float *v, size_t n) {
    const VECTOR one = SPLAT(1.0f), two = SPLAT(2.0f);
    const VECTOR root = SPLAT(0.79788456f), cubic = SPLAT(0.79788456f * 3.0f * 0.044715f);
    for (size_t i = 0; i < n; i += W) {
        const VECTOR ui = load(u + i, n - i), vi = load(v + i, n - i);
        const VECTOR d = load(da + i, n - i), u2 = MUL(ui, ui), q = gelu_sigmoid(ui, u2);
        const VECTOR slope = FMA(u2, cubic, root), uq = MUL(ui, q);
        const VECTOR bend = MUL(MUL(two, uq), MUL(SUB(one, q), slope));
        store(dv + i, n - i, MUL(d, uq));
        store(du + i, n - i, MUL(MUL(d, vi), ADD(q, bend)));
    }
}

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
    .softmax = softmax, .log_sum_exp = log_sum_exp, .exp_affine = exp_affine, .gelu_gate = gelu_gate,        \
    .gelu_gate_backward = gelu_gate_backward, .sum_squares_double = sum_squares_double

#endif
