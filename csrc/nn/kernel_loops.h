/* Kernels that compilers vectorise well by themselves. Each kernels_*.c includes this once, below its target pragma, so
 * the same loops exist once for each instruction set; everything is static for that reason.
 *
 * Sums run in LANES lanes, element i in lane i % LANES, the lanes being added pairwise at the end. */
#ifndef T0_NN_KERNEL_LOOPS_H
#define T0_NN_KERNEL_LOOPS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

enum { LANES = 16, PHILOX = 16 };

static inline double add_lanes_double(double *lane) {
    for (size_t width = LANES / 2; width > 0; width /= 2)
        for (size_t i = 0; i < width; i++) lane[i] += lane[i + width];
    return lane[0];
}

#ifdef T0_KERNEL_PLAIN
static inline float add_lanes(float *lane) {
    for (size_t width = LANES / 2; width > 0; width /= 2)
        for (size_t i = 0; i < width; i++) lane[i] += lane[i + width];
    return lane[0];
}

static float loop_dot(const float *a, const float *b, size_t n) {
    float lane[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t l = 0; l < LANES; l++) lane[l] += a[i + l] * b[i + l];
    for (size_t l = 0; i < n; i++, l++) lane[l] += a[i] * b[i];
    return add_lanes(lane);
}

static float loop_dot3(const float *a, const float *b, const float *c, size_t n) {
    float lane[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t l = 0; l < LANES; l++) lane[l] += a[i + l] * b[i + l] * c[i + l];
    for (size_t l = 0; i < n; i++, l++) lane[l] += a[i] * b[i] * c[i];
    return add_lanes(lane);
}

static float loop_sum_squares(const float *x, size_t n) { return loop_dot(x, x, n); }

static double loop_sum_squares_double(const float *x, size_t n) {
    double lane[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t l = 0; l < LANES; l++) lane[l] += (double)x[i + l] * (double)x[i + l];
    for (size_t l = 0; i < n; i++, l++) lane[l] += (double)x[i] * (double)x[i];
    return add_lanes_double(lane);
}

static void loop_axpy(float *y, float alpha, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] += alpha * x[i];
}
#endif

static void loop_add_squares(double *restrict sum, const float *restrict x, size_t n) {
    for (size_t i = 0; i < n; i++) sum[i] += (double)x[i] * (double)x[i];
}

static void loop_scale_mul(float *y, const float *x, const float *g, float r, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] = x[i] * r * g[i];
}

static void loop_norm_backward(float *restrict dx, const float *dy, const float *x, const float *g, float r, float c, size_t n) {
    for (size_t i = 0; i < n; i++) dx[i] += r * dy[i] * g[i] - c * x[i];
}

static void loop_adamw(float *restrict w, float *restrict m, float *restrict v, const float *restrict g, size_t n, const t0_adamw_pass *s) {
    const t0_adamw_pass p = *s;
    for (size_t i = 0; i < n; i++) {
        m[i] += (1.0f - p.beta1) * (g[i] - m[i]);
        v[i] = p.beta2 * v[i] + (1.0f - p.beta2) * g[i] * g[i];
        w[i] = p.keep * w[i] - p.rate * m[i] / (sqrtf(v[i]) * p.root + p.epsilon);
    }
}

static double loop_adafactor_moment(float *restrict v, const float *restrict g, size_t n, float b, float eps) {
    double lane[LANES] = {0};
    for (size_t i = 0; i < n; i += LANES) {
        const size_t width = n - i < LANES ? n - i : LANES;
        for (size_t l = 0; l < width; l++) {
            const float square = g[i + l] * g[i + l];
            const float moment = b * v[i + l] + (1.0f - b) * (square + eps);
            v[i + l] = moment;
            lane[l] += (double)(square / moment);
        }
    }
    return add_lanes_double(lane);
}

static void loop_adafactor_apply(float *restrict w, const float *restrict v, const float *restrict g, size_t n, float factor) {
    for (size_t i = 0; i < n; i++) w[i] -= factor * (g[i] / sqrtf(v[i]));
}

/* Words of counters index .. index + PHILOX - 1 (base/random.h), in element order: out[4 i + w]. Compilers do not find the
 * wide multiplication in it, so sets bring their own. */
static void philox_words(uint32_t *restrict out, uint64_t seed, uint64_t purpose, uint64_t index);
#ifdef T0_KERNEL_PLAIN
static void philox_words(uint32_t *restrict out, uint64_t seed, uint64_t purpose, uint64_t index) {
    uint32_t c0[PHILOX], c1[PHILOX], c2[PHILOX], c3[PHILOX];
    for (size_t i = 0; i < PHILOX; i++) {
        c0[i] = (uint32_t)(index + i);
        c1[i] = (uint32_t)((index + i) >> 32);
        c2[i] = (uint32_t)purpose;
        c3[i] = (uint32_t)(purpose >> 32);
    }
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        for (size_t i = 0; i < PHILOX; i++) {
            const uint64_t p0 = (uint64_t)0xD2511F53u * c0[i], p1 = (uint64_t)0xCD9E8D57u * c2[i];
            const uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1[i] ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3[i] ^ k1;
            c1[i] = (uint32_t)p1;
            c3[i] = (uint32_t)p0;
            c0[i] = n0;
            c2[i] = n2;
        }
    }
    for (size_t i = 0; i < PHILOX; i++) {
        out[4 * i] = c0[i];
        out[4 * i + 1] = c1[i];
        out[4 * i + 2] = c2[i];
        out[4 * i + 3] = c3[i];
    }
}
#endif

static void loop_dropout(float *y, const float *x, size_t n, float rate, uint64_t seed, uint64_t purpose, uint64_t first) {
    const float scale = 1.0f / (1.0f - rate);
    uint32_t word[4 * PHILOX];
    size_t skip = (size_t)(first & 3);
    for (size_t i = 0; i < n; skip = 0) {
        philox_words(word, seed, purpose, (first + i) / 4);
        const size_t left = 4 * PHILOX - skip, width = n - i < left ? n - i : left;
        for (size_t l = 0; l < width; l++) {
            const float unit = (float)(int32_t)(word[skip + l] >> 8) * 0x1p-24f;
            y[i + l] = unit >= rate ? x[i + l] * scale : 0.0f;
        }
        i += width;
    }
}

static void loop_relu(float *restrict a, const float *restrict u, size_t n) {
    for (size_t i = 0; i < n; i++) a[i] = u[i] < 0.0f ? 0.0f : u[i]; /* NaN stays */
}

static void loop_relu_backward(float *restrict du, const float *restrict da, const float *restrict u, size_t n) {
    for (size_t i = 0; i < n; i++) du[i] = u[i] > 0.0f ? da[i] : 0.0f;
}

static void loop_relu_gate(float *restrict a, const float *restrict u, const float *restrict v, size_t n) {
    for (size_t i = 0; i < n; i++) a[i] = (u[i] < 0.0f ? 0.0f : u[i]) * v[i];
}

static void loop_relu_gate_backward(float *restrict du, float *restrict dv, const float *restrict da, const float *restrict u,
                                    const float *restrict v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        dv[i] = da[i] * (u[i] < 0.0f ? 0.0f : u[i]);
        du[i] = u[i] > 0.0f ? da[i] * v[i] : 0.0f;
    }
}

/* The activations of a set: relu from here, the others, named NAME, NAME_backward, NAME_gate and NAME_gate_backward, from where the
 * set has them. */
#define T0_KERNEL_ACTIVATIONS                                                                                                  \
    .activations = {[T0_GELU_NEW] = {gelu_new, gelu_new_backward, gelu_new_gate, gelu_new_gate_backward},                      \
                    [T0_RELU] = {loop_relu, loop_relu_backward, loop_relu_gate, loop_relu_gate_backward},                      \
                    [T0_GELU] = {gelu, gelu_backward, gelu_gate, gelu_gate_backward},                                          \
                    [T0_SILU] = {silu, silu_backward, silu_gate, silu_gate_backward}}

/* Entries that every set takes from here, and those that a set may bring itself. */
#define T0_KERNEL_PASSES                                                                                                       \
    .scale_mul = loop_scale_mul, .norm_backward = loop_norm_backward, .dropout = loop_dropout, .adamw = loop_adamw,            \
    .adafactor_moment = loop_adafactor_moment, .adafactor_apply = loop_adafactor_apply, .add_squares = loop_add_squares
#ifdef T0_KERNEL_PLAIN
#define T0_KERNEL_SUMS                                                                                                         \
    .dot = loop_dot, .dot3 = loop_dot3, .axpy = loop_axpy, .sum_squares = loop_sum_squares,                                    \
    .sum_squares_double = loop_sum_squares_double
#endif

#endif
