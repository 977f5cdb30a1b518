/* The portable probes: plain loops over 4 words at a time, which every compiler makes vectors of.
 *
 *     float32: s = s * 0.5 + 0.5, a multiplication and an addition where the processor has no fused instruction */
#include "nn/probe.h"

#include <string.h>

enum { LANES = 4 };

/* The chains stand in one array: its last dimension is one vector, its first is unrolled by the compiler. */
static float float32(size_t rounds) {
    float s[T0_PROBE_CHAINS][LANES];
    for (size_t i = 0; i < T0_PROBE_CHAINS; i++)
        for (size_t l = 0; l < LANES; l++) s[i][l] = (float)(i + l);
    for (size_t r = 0; r < rounds; r++)
        for (size_t i = 0; i < T0_PROBE_CHAINS; i++)
            for (size_t l = 0; l < LANES; l++) s[i][l] = s[i][l] * 0.5f + 0.5f;
    float sum = 0.0f;
    for (size_t i = 0; i < T0_PROBE_CHAINS; i++)
        for (size_t l = 0; l < LANES; l++) sum += s[i][l];
    return sum;
}

static uint64_t read_bytes(const uint8_t *data, size_t size) {
    uint64_t sum = 0;
    for (size_t at = 0; at + sizeof sum <= size; at += sizeof sum) {
        uint64_t word;
        memcpy(&word, data + at, sizeof word);
        sum += word;
    }
    return sum;
}

extern const t0_probe t0_probe_portable;
const t0_probe t0_probe_portable = {{float32, 2 * LANES * T0_PROBE_CHAINS}, {NULL, 0}, {NULL, 0}, read_bytes};
