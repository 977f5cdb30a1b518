/* Probes of AVX2 with FMA.
 *
 *     float32  vfmadd231ps                                            8 lanes
 *     int8     vpsignb, vpmaddubsw, vpmaddwd, vpaddd: exact products  32 lanes
 * (the sequence of the int8 product; bfloat16 is widened to float32 and has no peak of its own). */
#include "nn/probe.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#pragma GCC target("avx2,fma")

#include "nn/vector_avx2.h"

#include "nn/probe_vectors.h"

float t0_probe_int8_avx2(size_t rounds); /* of AVX-512 without VNNI too */
float t0_probe_int8_avx2(size_t rounds) {
/* the operand is hidden from the compiler, or it would move what does not change out of the loop */
#define STEP(i)             \
    __asm__("" : "+x"(b));  \
    s##i = _mm256_add_epi32(s##i, _mm256_madd_epi16(_mm256_maddubs_epi16(size, _mm256_sign_epi8(b, size)), ones));
    const __m256i size = _mm256_set1_epi8(3), ones = _mm256_set1_epi16(1);
    __m256i b = _mm256_set1_epi8(-5);
    WORD_CHAINS
#undef STEP
}

extern const t0_probe t0_probe_avx2;
const t0_probe t0_probe_avx2 = {
    {float32, 2 * W * T0_PROBE_CHAINS},
    {NULL, 0},
    {t0_probe_int8_avx2, 2 * 4 * W * T0_PROBE_CHAINS},
    read_bytes,
};

#endif
