/* The kernel sets compiled in, and the choice among them. */
#include "nn/kernels.h"

#include <string.h>

extern const t0_kernels t0_kernels_portable;
#if defined(__x86_64__) && defined(__GNUC__)
extern const t0_kernels t0_kernels_avx2, t0_kernels_avx512, t0_kernels_avx512_vnni;
static const t0_kernels *const SETS[] = {&t0_kernels_portable, &t0_kernels_avx2, &t0_kernels_avx512, &t0_kernels_avx512_vnni};
#else
static const t0_kernels *const SETS[] = {&t0_kernels_portable};
#endif
enum { N_SETS = sizeof SETS / sizeof *SETS };

const t0_kernels *t0_kernels_at(size_t i) { return i < N_SETS ? SETS[i] : NULL; }

bool t0_kernels_available(const t0_kernels *kernels) {
    const t0_cpu cpu = t0_cpu_detect(), needs = kernels->needs;
    return (cpu.avx2 || !needs.avx2) && (cpu.avx512 || !needs.avx512) && (cpu.avx512_vnni || !needs.avx512_vnni);
}

const t0_kernels *t0_kernels_best(void) {
    for (size_t i = N_SETS; i-- > 1;)
        if (t0_kernels_available(SETS[i])) return SETS[i];
    return SETS[0];
}

const t0_kernels *t0_kernels_find(const char *name) {
    if (!name) return t0_kernels_best();
    for (size_t i = 0; i < N_SETS; i++)
        if (strcmp(SETS[i]->name, name) == 0) return SETS[i];
    return NULL;
}
