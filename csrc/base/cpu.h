/* What this processor and operating system can run. Registers that the system does not save do not count. */
#ifndef T0_BASE_CPU_H
#define T0_BASE_CPU_H

#include <stdbool.h>

typedef struct t0_cpu {
    bool avx2;   /* AVX2 and FMA, ymm saved */
    bool avx512; /* F, BW, DQ, VL, zmm saved */
    bool avx512_vnni; /* and VNNI and BF16 */
} t0_cpu;

t0_cpu t0_cpu_detect(void);
int t0_cpu_count(void); /* processors this process may run on; at least 1 */

#endif
