/* Probes of AVX-512, and of its VNNI and BF16.
 *
 *     float32   vfmadd231ps  16 lanes
 *     bfloat16  vdpbf16ps    32 lanes
 *     int8      vpdpbusd     64 lanes
 * Without VNNI and BF16, int8 products are those of AVX2. */
#include "nn/probe.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,avx2,fma,prefer-vector-width=512")

#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
enum { W = 16 };

#define BEGIN(i) __m512 s##i = _mm512_set1_ps((float)i);
#define SUM(i) sum = _mm512_add_ps(sum, s##i);

/* Instructions of AVX-512 F alone, so that both sets can use it. */
static float float32(size_t rounds) {
#define STEP(i) s##i = _mm512_fmadd_ps(s##i, half, half);
    const __m512 half = _mm512_set1_ps(0.5f);
    CHAINS(BEGIN)
    for (size_t r = 0; r < rounds; r++) { CHAINS(STEP) }
    __m512 sum = _mm512_setzero_ps();
    CHAINS(SUM)
    return _mm512_cvtss_f32(sum);
#undef STEP
}

static float bfloat16(size_t rounds) {
#define STEP(i) s##i = _mm512_dpbf16_ps(s##i, half, half);
    const __m512bh half = (__m512bh)_mm512_set1_epi16(0x3f00); /* 0.5 */
    CHAINS(BEGIN)
    for (size_t r = 0; r < rounds; r++) { CHAINS(STEP) }
    __m512 sum = _mm512_setzero_ps();
    CHAINS(SUM)
    return _mm512_cvtss_f32(sum);
#undef STEP
}

#undef BEGIN
#undef SUM

static float int8(size_t rounds) {
#define BEGIN(i) __m512i s##i = _mm512_set1_epi32(i);
#define STEP(i) s##i = _mm512_dpbusd_epi32(s##i, a, b);
#define SUM(i) sum = _mm512_add_epi32(sum, s##i);
    const __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(-5);
    CHAINS(BEGIN)
    for (size_t r = 0; r < rounds; r++) { CHAINS(STEP) }
    __m512i sum = _mm512_setzero_si512();
    CHAINS(SUM)
    return (float)_mm512_cvtsi512_si32(sum);
#undef BEGIN
#undef STEP
#undef SUM
}

static uint64_t read_bytes(const uint8_t *data, size_t size) {
    __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
    const __m512i *at = (const __m512i *)(const void *)data, *end = at + size / sizeof *at;
    for (; at < end; at += 4) {
        a = _mm512_xor_si512(a, _mm512_load_si512(at));
        b = _mm512_xor_si512(b, _mm512_load_si512(at + 1));
        c = _mm512_xor_si512(c, _mm512_load_si512(at + 2));
        d = _mm512_xor_si512(d, _mm512_load_si512(at + 3));
    }
    return (uint64_t)_mm512_reduce_add_epi64(_mm512_xor_si512(_mm512_xor_si512(a, b), _mm512_xor_si512(c, d)));
}

float t0_probe_int8_avx2(size_t rounds); /* probe_avx2.c */
enum { AVX2_INT8 = 2 * 32 };

extern const t0_probe t0_probe_avx512, t0_probe_avx512_vnni;
const t0_probe t0_probe_avx512_vnni = {
    "avx512-vnni",
    {float32, 2 * W * T0_PROBE_CHAINS},
    {bfloat16, 2 * 2 * W * T0_PROBE_CHAINS},
    {int8, 2 * 4 * W * T0_PROBE_CHAINS},
    read_bytes,
};
const t0_probe t0_probe_avx512 = {
    "avx512", {float32, 2 * W * T0_PROBE_CHAINS}, {NULL, 0}, {t0_probe_int8_avx2, AVX2_INT8 * T0_PROBE_CHAINS}, read_bytes,
};

#endif
