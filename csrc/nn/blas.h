/* OpenBLAS, when the build has it: the only place that calls it. t0_gemm does, for large products of the portable kernels
 * alone; benchmarks/c/gemm.c, to compare. */
#ifndef T0_NN_BLAS_H
#define T0_NN_BLAS_H

#include "nn/gemm.h"

/* C[m,n] (+)= A[m,k] B[k,n] with so many of OpenBLAS's threads; one caller at a time in the process, the others wait.
 * false, and nothing done, when there is no BLAS or it cannot take the operands (a stride of 1 one way, sizes in int). */
bool t0_blas_gemm(size_t n_threads, float *c, size_t c_stride, t0_operand a, t0_operand b, size_t m, size_t n, size_t k, bool add);

#endif
