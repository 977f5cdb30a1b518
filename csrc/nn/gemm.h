/* Single-precision matrix products, C[m,n] (+)= A[m,k] B[k,n], on strided operands.
 *
 * Every element is reduced over k in one order, which depends on k alone: not on m, n, the place in C or the threads. The
 * exception is what t0_gemm leaves to OpenBLAS, whose order is its own. */
#ifndef T0_NN_GEMM_H
#define T0_NN_GEMM_H

#include "nn/exec.h"

/* A borrowed matrix: element (i,j) at data[i * row + j * column]. A transposed view swaps the two. */
typedef struct t0_operand {
    const float *data;
    size_t row, column;
} t0_operand;

/* Bounds of a block: depth, columns, rows of A copied at a time (whole panels), and the widest tile of any kernel set. */
enum { T0_GEMM_K = 384, T0_GEMM_N = 256, T0_GEMM_M = 96, T0_GEMM_TILE = 64, T0_GEMM_PAD = 16 };
enum { T0_GEMM_SCRATCH = T0_GEMM_K * (T0_GEMM_N + T0_GEMM_TILE) + T0_GEMM_M * (T0_GEMM_K + T0_GEMM_PAD) };
/* What an exec holds for each worker: that, and behind it a block of dropped attention weights. */
enum { T0_ATTENTION_ROWS = 64, T0_ATTENTION_KEYS = 256 };
enum { T0_WORKER_SCRATCH = T0_GEMM_SCRATCH + T0_ATTENTION_ROWS * T0_ATTENTION_KEYS };
/* Rows of A in bfloat16 that a worker holds at a time, and words from one to the next. */
enum { T0_HALF_ROWS = 1024, T0_HALF_ROW = 400, T0_HALVES = T0_HALF_ROWS * T0_HALF_ROW };

/* On the calling thread, never stopped. scratch: T0_GEMM_SCRATCH floats. */
void t0_gemm_serial(const t0_kernels *kernels, float *scratch, float *c, size_t c_stride, t0_operand a, t0_operand b, size_t m, size_t n,
                    size_t k, bool add);

/* In bfloat16 (gemm_bfloat16.c), k > 0, on one worker of the exec, whose kernels must have tile_bfloat16. */
void t0_gemm_bfloat16(t0_exec *exec, size_t worker, float *c, size_t c_stride, t0_operand a, t0_operand b, size_t m, size_t n, size_t k,
                      bool add);

/* Over the exec's threads, in bfloat16 where the exec is told so; unfinished where the exec is stopped. Large products of kernels
 * that yield to it (the portable ones) go to OpenBLAS, where the build has it and the exec allows it. */
void t0_gemm(t0_exec *exec, float *c, size_t c_stride, t0_operand a, t0_operand b, size_t m, size_t n, size_t k, bool add);
/* The same of floats, whatever the exec multiplies; never OpenBLAS's. */
void t0_gemm_floats(t0_exec *exec, float *c, size_t c_stride, t0_operand a, t0_operand b, size_t m, size_t n, size_t k, bool add);

#endif
