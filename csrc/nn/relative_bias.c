/* T5's relative position bias (Raffel et al. 2020): one learnt scalar a head for each bucket of distances.
 *
 *     d = j - i.  Bidirectional: half of the buckets for d > 0, half for d <= 0.  Causal: all for d <= 0, d > 0 as 0.
 *     With n buckets left: |d| < n/2 has a bucket of its own; beyond,  n/2 + floor(log(|d| / (n/2)) / log(max / (n/2)) n/2),
 *     at most n - 1. The logarithm is taken in float, as the reference models were trained. */
#include "nn/layers.h"

#include <assert.h>
#include <math.h>

int t0_relative_bucket(int64_t distance, bool bidirectional, int n_buckets, int max_distance) {
    assert(n_buckets >= 1 && max_distance >= 1);
    int base = 0;
    int64_t far = distance < 0 ? -distance : 0;
    if (bidirectional) {
        n_buckets /= 2;
        if (distance > 0) {
            base = n_buckets;
            far = distance;
        }
    }
    const int exact = n_buckets / 2;
    if (far < exact) return base + (int)far;
    if (exact < 1) return base + (n_buckets > 0 ? n_buckets - 1 : 0);
    const float ratio = logf((float)far / (float)exact) / (float)log((double)max_distance / exact);
    const float step = ratio * (float)(n_buckets - exact);
    if (!(step < (float)(n_buckets - exact))) return base + n_buckets - 1;
    return base + exact + (int)step;
}

void t0_bias_forward(float *bias, const float *table, size_t n_heads, size_t width, size_t center, bool bidirectional, int n_buckets,
                     int max_distance) {
    for (size_t c = 0; c < width; c++) {
        const int bucket = t0_relative_bucket((int64_t)c - (int64_t)center, bidirectional, n_buckets, max_distance);
        for (size_t h = 0; h < n_heads; h++) bias[h * width + c] = table[(size_t)bucket * n_heads + h];
    }
}

void t0_bias_backward(float *dtable, const float *dbias, size_t n_heads, size_t width, size_t center, bool bidirectional, int n_buckets,
                      int max_distance) {
    for (size_t c = 0; c < width; c++) {
        const int bucket = t0_relative_bucket((int64_t)c - (int64_t)center, bidirectional, n_buckets, max_distance);
        for (size_t h = 0; h < n_heads; h++) dtable[(size_t)bucket * n_heads + h] += dbias[h * width + c];
    }
}
