/* Packed products in plain C: the oracle. Activations are signed bytes as they are: no offset. */
#include "nn/kernels.h"
#include "nn/packed.h"

#include <math.h>
#include <string.h>

enum { MR = 4 };

static void tile_int8(int32_t *c, const uint8_t *a, size_t a_row, const uint32_t *panel, size_t groups, size_t m) {
    for (size_t i = 0; i < m; i++) {
        int32_t *out = c + i * T0_PANEL;
        memset(out, 0, T0_PANEL * sizeof *out);
        for (size_t k = 0; k < groups; k++) {
            const int8_t *x = (const int8_t *)a + i * a_row + 4 * k;
            for (size_t j = 0; j < T0_PANEL; j++) {
                const int8_t *w = (const int8_t *)(panel + k * T0_PANEL + j);
                out[j] += x[0] * w[0] + x[1] * w[1] + x[2] * w[2] + x[3] * w[3];
            }
        }
    }
}

static void widen_pairs(float *y, const uint32_t *panel, size_t groups) {
    for (size_t k = 0; k < groups; k++)
        for (size_t j = 0; j < T0_PANEL; j++) {
            const uint32_t word = panel[k * T0_PANEL + j];
            y[2 * k * T0_PANEL + j] = t0_from_bfloat16((uint16_t)word);
            y[(2 * k + 1) * T0_PANEL + j] = t0_from_bfloat16((uint16_t)(word >> 16));
        }
}

static float quantise(uint8_t *y, const float *x, size_t n) {
    float most = 0.0f;
    bool finite = true;
    for (size_t i = 0; i < n; i++) {
        const float size = fabsf(x[i]);
        finite = finite && size <= 3.4028234e38f; /* false for NaN too */
        most = size > most ? size : most;
    }
    const float factor = 127.0f / most;
    if (!finite || !(factor <= 3.4028234e38f)) {
        memset(y, 0, n);
        return finite ? 0.0f : NAN;
    }
    for (size_t i = 0; i < n; i++) y[i] = (uint8_t)(int8_t)lrintf(x[i] * factor);
    return most / 127.0f;
}

static void finish_int8(float *y, size_t y_stride, const int32_t *c, size_t m, size_t n, const float *row_scale, const float *scale,
                        const int32_t *sum, bool add) {
    (void)sum;
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            const float value = (float)c[i * T0_PANEL + j] * (row_scale[i] * scale[j]);
            y[i * y_stride + j] = add ? y[i * y_stride + j] + value : value;
        }
}

const t0_dense_kernels t0_dense_portable = {
    .rows_int8 = MR, .tile_int8 = tile_int8, .widen_pairs = widen_pairs, .quantise = quantise, .finish_int8 = finish_int8};
