/* Detection of instruction sets and of the processors a process may use.
 *
 *     x86-64: the compiler's CPUID and XGETBV reader; elsewhere no vector set is claimed
 *     processors: the affinity mask, else the number that are online */
#define _GNU_SOURCE
#include "base/cpu.h"

#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
#endif

t0_cpu t0_cpu_detect(void) {
    t0_cpu cpu = {0};
#if defined(__x86_64__)
    /* GCC and Clang read XGETBV too: a feature counts only where the system saves its registers. */
    __builtin_cpu_init();
    cpu.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    cpu.avx512 = cpu.avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    cpu.avx512_vnni = cpu.avx512 && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16");
#endif
    return cpu;
}

int t0_cpu_count(void) {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        const int count = CPU_COUNT(&set);
        if (count > 0) return count;
    }
#endif
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (int)count : 1;
}
