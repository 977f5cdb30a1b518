/* Philox4x32-10 in plain C (nn/kernel_loops.h has it for many counters at once). One round, on counter c and key k:
 *
 *     c' = (hi(M1 c2) ^ c1 ^ k0,  lo(M1 c2),  hi(M0 c0) ^ c3 ^ k1,  lo(M0 c0)),    k' = k + (W0, W1)
 *
 * and Box-Muller on its words u, v in (0, 1):  normal = sqrt(-2 ln u) cos(2 pi v). */
#include "base/random.h"

#include <math.h>

static const uint32_t MULTIPLIER[2] = {0xD2511F53u, 0xCD9E8D57u};
static const uint32_t WEYL[2] = {0x9E3779B9u, 0xBB67AE85u}; /* golden ratio, sqrt(3) - 1 */

t0_random4 t0_random(uint64_t seed, uint64_t purpose, uint64_t index) {
    uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32);
    uint32_t c2 = (uint32_t)purpose, c3 = (uint32_t)(purpose >> 32);
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)MULTIPLIER[0] * c0, p1 = (uint64_t)MULTIPLIER[1] * c2;
        const uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c0 = n0;
        c1 = (uint32_t)p1;
        c2 = n2;
        c3 = (uint32_t)p0;
        k0 += WEYL[0];
        k1 += WEYL[1];
    }
    return (t0_random4){{c0, c1, c2, c3}};
}

void t0_random_normal(float *out, size_t n, uint64_t seed, uint64_t purpose, uint64_t first) {
    const double two_pi = 6.283185307179586477;
    for (size_t i = 0; i < n; i++) {
        const t0_random4 r = t0_random(seed, purpose, first + i);
        const double u = ((double)r.word[0] + 0.5) * 0x1p-32, v = (double)r.word[1] * 0x1p-32;
        out[i] = (float)(sqrt(-2.0 * log(u)) * cos(two_pi * v));
    }
}
