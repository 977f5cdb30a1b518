/* The kernels in plain C: the oracle of the others, and all there is on other processors.
 *
 *     gelu_new(u) = u (1 + tanh y) / 2,  y = sqrt(2/pi) (u + 0.044715 u^3)      (Hendrycks & Gimpel 2016, tanh form)
 *                 = u q,  q = 1 / (1 + exp(-2 y))
 *     gelu_new'(u) = q + 2 u q (1-q) y',  y' = sqrt(2/pi) (1 + 3 * 0.044715 u^2)
 *     gelu(u) = u P(u),  P(u) = erfc(-u / sqrt 2) / 2,  gelu'(u) = P(u) + u e^(-u^2/2) / sqrt(2 pi)       (ibid., exact form)
 *     silu(u) = u q,  q = 1 / (1 + e^-u),  silu'(u) = q + u q (1-q)                                       (Elfwing et al. 2018)
 *     relu(u) = max(u, 0): nn/kernel_loops.h */
#include "nn/kernels.h"

#define T0_KERNEL_PLAIN
#include "nn/kernel_loops.h"

#include <math.h>

enum { MR = 4, NR = 8 };

#if defined(__GNUC__)
/* Four floats that compilers keep in a register of whatever the processor has; at any address. */
typedef float four __attribute__((vector_size(16), aligned(4), may_alias));
#define STORE(row, s, t)                                 \
    {                                                    \
        four *at = (four *)(c + (row) * c_stride);       \
        if (add) s += at[0], t += at[1];                 \
        at[0] = s;                                       \
        at[1] = t;                                       \
    }

/* A full tile, in the order of sums of the plain loops below. */
static void full_tile(float *c, size_t c_stride, const float *a, size_t a_row, size_t a_k, const float *b, size_t b_k, size_t k, bool add) {
    four s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0}, t0 = {0}, t1 = {0}, t2 = {0}, t3 = {0};
    for (size_t kk = 0; kk < k; kk++, a += a_k, b += b_k) {
        const four low = ((const four *)b)[0], high = ((const four *)b)[1];
        s0 += a[0] * low;
        t0 += a[0] * high;
        s1 += a[a_row] * low;
        t1 += a[a_row] * high;
        s2 += a[2 * a_row] * low;
        t2 += a[2 * a_row] * high;
        s3 += a[3 * a_row] * low;
        t3 += a[3 * a_row] * high;
    }
    STORE(0, s0, t0)
    STORE(1, s1, t1)
    STORE(2, s2, t2)
    STORE(3, s3, t3)
}
#endif

static void gemm_tile(float *c, size_t c_stride, const float *a, size_t a_row, size_t a_k, const float *b, size_t b_k, size_t k, size_t m,
                      size_t n, bool add) {
#if defined(__GNUC__)
    if (m == MR && n == NR) {
        full_tile(c, c_stride, a, a_row, a_k, b, b_k, k, add);
        return;
    }
#endif
    float sum[MR][NR] = {{0}};
    for (size_t kk = 0; kk < k; kk++)
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < n; j++) sum[i][j] += a[i * a_row + kk * a_k] * b[kk * b_k + j];
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) c[i * c_stride + j] = add ? c[i * c_stride + j] + sum[i][j] : sum[i][j];
}

static void pack_transposed(float *panel, const float *src, size_t stride, size_t k, size_t n) {
    for (size_t kk = 0; kk < k; kk++)
        for (size_t j = 0; j < NR; j++) panel[kk * NR + j] = j < n ? src[j * stride + kk] : 0.0f;
}

static float max_of(const float *x, size_t n) {
    float most = -INFINITY;
    for (size_t i = 0; i < n; i++) most = x[i] > most ? x[i] : most;
    return most;
}

static float softmax(float *x, size_t n) {
    if (n == 0) return -INFINITY;
    const float most = max_of(x, n);
    float sum = 0.0f;
    for (size_t i = 0; i < n; i++) sum += x[i] = expf(x[i] - most);
    for (size_t i = 0; i < n; i++) x[i] *= 1.0f / sum;
    return most + logf(sum);
}

static float log_sum_exp(const float *x, size_t n) {
    if (n == 0) return -INFINITY;
    const float most = max_of(x, n);
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) sum += expf(x[i] - most);
    return most + (float)log(sum);
}

static void exp_affine(float *y, const float *x, float shift, float scale, float offset, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] = scale * expf(x[i] - shift) + offset;
}

static const float ROOT_2_PI = 0.79788456f, CUBIC = 0.044715f;

static float gelu_sigmoid(float u) { return 1.0f / (1.0f + expf(-2.0f * ROOT_2_PI * (u + CUBIC * u * u * u))); }

static float gelu_new_value(float u) { return u * gelu_sigmoid(u); }

static float gelu_new_slope(float u) {
    const float q = gelu_sigmoid(u), slope = ROOT_2_PI * (1.0f + 3.0f * CUBIC * u * u);
    return q + 2.0f * u * q * (1.0f - q) * slope;
}

static float normal_below(float u) { return 0.5f * erfcf(-0.70710678f * u); }

static float gelu_value(float u) { return u * normal_below(u); }

static float gelu_slope(float u) { return normal_below(u) + u * 0.39894228f * expf(-0.5f * u * u); }

static float logistic(float u) { return 1.0f / (1.0f + expf(-u)); }

static float silu_value(float u) { return u * logistic(u); }

static float silu_slope(float u) {
    const float q = logistic(u);
    return q + u * q * (1.0f - q);
}

#define ACTIVATION(name)                                                                                                 \
    static void name(float *a, const float *u, size_t n) {                                                               \
        for (size_t i = 0; i < n; i++) a[i] = name##_value(u[i]);                                                        \
    }                                                                                                                    \
    static void name##_backward(float *du, const float *da, const float *u, size_t n) {                                  \
        for (size_t i = 0; i < n; i++) du[i] = da[i] * name##_slope(u[i]);                                               \
    }                                                                                                                    \
    static void name##_gate(float *a, const float *u, const float *v, size_t n) {                                        \
        for (size_t i = 0; i < n; i++) a[i] = name##_value(u[i]) * v[i];                                                 \
    }                                                                                                                    \
    static void name##_gate_backward(float *du, float *dv, const float *da, const float *u, const float *v, size_t n) {  \
        for (size_t i = 0; i < n; i++) {                                                                                 \
            const float d = da[i], gate = v[i];                                                                          \
            dv[i] = DV(name, d, u[i]);                                                                                   \
            du[i] = d * gate * name##_slope(u[i]);                                                                       \
        }                                                                                                                \
    }
#define DV(name, d, u) ((d) * name##_value(u))
ACTIVATION(gelu)
ACTIVATION(silu)
#undef DV
#define DV(name, d, u) ((d) * (u)*gelu_sigmoid(u)) /* in the order of the first version's products */
ACTIVATION(gelu_new)

extern const t0_dense_kernels t0_dense_portable;
extern const t0_probe t0_probe_portable;

const t0_kernels t0_kernels_portable = {
    .name = "portable",
    .yields_to_blas = true,
    .dense = &t0_dense_portable,
    .probe = &t0_probe_portable,
    .mr = MR,
    .nr = NR,
    .gemm_tile = gemm_tile,
    .pack_transposed = pack_transposed,
    .softmax = softmax,
    .log_sum_exp = log_sum_exp,
    .exp_affine = exp_affine,
    T0_KERNEL_ACTIVATIONS,
    T0_KERNEL_SUMS,
    T0_KERNEL_PASSES,
};
