/* Probes of AVX2 with FMA.
 *
 *     float32  vfmadd231ps                                            8 lanes
 *     int8     vpsignb, vpmaddubsw, vpmaddwd, vpaddd: exact products  32 lanes
 * (the sequence of the int8 product; bfloat16 is widened to float32 and has no peak of its own). */
#include "nn/probe.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#pragma GCC target("avx2,fma")

#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
enum { W = 8 };

static float float32(size_t rounds) {
#define BEGIN(i) __m256 s##i = _mm256_set1_ps((float)i);
#define STEP(i) s##i = _mm256_fmadd_ps(s##i, half, half);
#define SUM(i) sum = _mm256_add_ps(sum, s##i);
    const __m256 half = _mm256_set1_ps(0.5f);
    CHAINS(BEGIN)
    for (size_t r = 0; r < rounds; r++) { CHAINS(STEP) }
    __m256 sum = _mm256_setzero_ps();
    CHAINS(SUM)
    return _mm256_cvtss_f32(sum);
#undef BEGIN
#undef STEP
#undef SUM
}

float t0_probe_int8_avx2(size_t rounds); /* of AVX-512 without VNNI too */
float t0_probe_int8_avx2(size_t rounds) {
#define BEGIN(i) __m256i s##i = _mm256_set1_epi32(i);
/* the operand is hidden from the compiler, or it would move what does not change out of the loop */
#define STEP(i)                                                                                                             \
    __asm__("" : "+x"(b));                                                                                                  \
    s##i = _mm256_add_epi32(s##i, _mm256_madd_epi16(_mm256_maddubs_epi16(size, _mm256_sign_epi8(b, size)), ones));
#define SUM(i) sum = _mm256_add_epi32(sum, s##i);
    const __m256i size = _mm256_set1_epi8(3), ones = _mm256_set1_epi16(1);
    __m256i b = _mm256_set1_epi8(-5);
    CHAINS(BEGIN)
    for (size_t r = 0; r < rounds; r++) { CHAINS(STEP) }
    __m256i sum = _mm256_setzero_si256();
    CHAINS(SUM)
    return (float)_mm256_extract_epi32(sum, 0);
#undef BEGIN
#undef STEP
#undef SUM
}

static uint64_t read_bytes(const uint8_t *data, size_t size) {
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    const __m256i *at = (const __m256i *)(const void *)data, *end = at + size / sizeof *at;
    for (; at < end; at += 4) {
        a = _mm256_xor_si256(a, _mm256_load_si256(at));
        b = _mm256_xor_si256(b, _mm256_load_si256(at + 1));
        c = _mm256_xor_si256(c, _mm256_load_si256(at + 2));
        d = _mm256_xor_si256(d, _mm256_load_si256(at + 3));
    }
    return (uint64_t)_mm256_extract_epi64(_mm256_xor_si256(_mm256_xor_si256(a, b), _mm256_xor_si256(c, d)), 0);
}

extern const t0_probe t0_probe_avx2;
const t0_probe t0_probe_avx2 = {
    "avx2", {float32, 2 * W * T0_PROBE_CHAINS}, {NULL, 0}, {t0_probe_int8_avx2, 2 * 4 * W * T0_PROBE_CHAINS}, read_bytes,
};

#endif
