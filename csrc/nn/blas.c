/* Calls of cblas_sgemm. The build names the library's prefix in T0_BLAS_PREFIX; without it there is no BLAS. No header of a
 * vendor is needed: the two functions are declared here as the CBLAS standard and OpenBLAS document them (32-bit int). */
#include "nn/blas.h"

#ifdef T0_BLAS_PREFIX

#include <limits.h>
#include <pthread.h>

#define JOIN_NAMES(prefix, name) prefix##name
#define JOIN(prefix, name) JOIN_NAMES(prefix, name)
#define SGEMM JOIN(T0_BLAS_PREFIX, cblas_sgemm)
#define SET_THREADS JOIN(T0_BLAS_PREFIX, openblas_set_num_threads)

enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112 };

void SGEMM(int order, int trans_a, int trans_b, int m, int n, int k, float alpha, const float *a, int lda, const float *b, int ldb,
           float beta, float *c, int ldc);
void SET_THREADS(int n_threads);

static pthread_mutex_t callers = PTHREAD_MUTEX_INITIALIZER; /* OpenBLAS's number of threads is the process's */

/* Sets how OpenBLAS sees a rows x columns operand; false if neither direction is contiguous. */
static bool view(t0_operand x, size_t rows, size_t columns, int *trans, int *ld) {
    const bool plain = x.column == 1 && x.row >= columns, turned = x.row == 1 && x.column >= rows;
    const size_t stride = plain ? x.row : x.column;
    *trans = plain ? NO_TRANS : TRANS;
    *ld = (int)stride;
    return (plain || turned) && stride <= INT_MAX && stride > 0;
}

bool t0_blas_gemm(size_t n_threads, float *c, size_t c_stride, t0_operand a, t0_operand b, size_t m, size_t n, size_t k, bool add) {
    int trans_a, trans_b, lda, ldb;
    if (m > INT_MAX || n > INT_MAX || k > INT_MAX || c_stride > INT_MAX || m == 0 || n == 0 || k == 0) return false;
    if (!view(a, m, k, &trans_a, &lda) || !view(b, k, n, &trans_b, &ldb)) return false;
    pthread_mutex_lock(&callers);
    SET_THREADS((int)n_threads);
    SGEMM(ROW_MAJOR, trans_a, trans_b, (int)m, (int)n, (int)k, 1.0f, a.data, lda, b.data, ldb, add ? 1.0f : 0.0f, c, (int)c_stride);
    pthread_mutex_unlock(&callers);
    return true;
}

#else

bool t0_blas_gemm(size_t n_threads, float *c, size_t c_stride, t0_operand a, t0_operand b, size_t m, size_t n, size_t k, bool add) {
    (void)n_threads, (void)c, (void)c_stride, (void)a, (void)b, (void)m, (void)n, (void)k, (void)add;
    return false;
}

#endif
