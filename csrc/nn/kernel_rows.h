/* ROWS_m(X) writes X(0) X(1) ... X(m - 1): the rows of a tile, whose accumulators kernels name one by one.
 *
 * AHEAD steps of depth before they are used, tiles ask for operands that come from memory; an address behind the end does no harm.
 * FETCH of AVX-512: few rows, which only read, fetch into the first cache; more, whose products would wait for its few open lines,
 * into the second. */
#ifndef T0_NN_KERNEL_ROWS_H
#define T0_NN_KERNEL_ROWS_H

enum { AHEAD = 64 };
#define FETCH(m, address) _mm_prefetch((const char *)(address), (m) > 4 ? _MM_HINT_T1 : _MM_HINT_T0);

#define ROWS_1(X) X(0)
#define ROWS_2(X) ROWS_1(X) X(1)
#define ROWS_3(X) ROWS_2(X) X(2)
#define ROWS_4(X) ROWS_3(X) X(3)
#define ROWS_5(X) ROWS_4(X) X(4)
#define ROWS_6(X) ROWS_5(X) X(5)
#define ROWS_7(X) ROWS_6(X) X(6)
#define ROWS_8(X) ROWS_7(X) X(7)
#define ROWS_9(X) ROWS_8(X) X(8)
#define ROWS_10(X) ROWS_9(X) X(9)
#define ROWS_11(X) ROWS_10(X) X(10)
#define ROWS_12(X) ROWS_11(X) X(11)

#endif
