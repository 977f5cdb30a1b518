/* Probes of AVX-512, and of its VNNI and BF16.
 *
 *     float32   vfmadd231ps  16 lanes
 *     bfloat16  vdpbf16ps    32 lanes
 *     int8      vpdpbusd     64 lanes
 * Without VNNI and BF16, int8 products are those of AVX2. What both sets use has no instruction of VNNI or BF16. */
#include "nn/probe.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,avx2,fma,prefer-vector-width=512")

#include "nn/vector_avx512.h"

#include "nn/probe_vectors.h"

static float bfloat16(size_t rounds) {
#define STEP(i) s##i = _mm512_dpbf16_ps(s##i, half, half);
    const __m512bh half = (__m512bh)_mm512_set1_epi16(0x3f00); /* 0.5 */
    FLOAT_CHAINS
#undef STEP
}

static float int8(size_t rounds) {
#define STEP(i) s##i = _mm512_dpbusd_epi32(s##i, a, b);
    const __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(-5);
    WORD_CHAINS
#undef STEP
}

float t0_probe_int8_avx2(size_t rounds); /* probe_avx2.c */
enum { AVX2_INT8 = 2 * 32 };

extern const t0_probe t0_probe_avx512, t0_probe_avx512_vnni;
const t0_probe t0_probe_avx512_vnni = {
    {float32, 2 * W * T0_PROBE_CHAINS},
    {bfloat16, 2 * 2 * W * T0_PROBE_CHAINS},
    {int8, 2 * 4 * W * T0_PROBE_CHAINS},
    read_bytes,
};
const t0_probe t0_probe_avx512 = {
    {float32, 2 * W * T0_PROBE_CHAINS},
    {NULL, 0},
    {t0_probe_int8_avx2, AVX2_INT8 * T0_PROBE_CHAINS},
    read_bytes,
};

#endif
