/* Blocking (after Goto & van de Geijn 2008, rows and columns swapped, because vectors lie along n):
 *
 *     for each block of <= 384 of k                   one pass over C each
 *       for each block of <= 256 columns              B block: in the second-level cache, panels [k][nr]
 *         for each mr rows                            A panel: in the first-level cache
 *           for each nr columns: the micro kernel
 *
 * The micro kernel takes A and B by strides, so an operand is copied only where that pays: B when its columns are not
 * contiguous or its rows lie far apart, A when its elements are far apart and it is used for several panels. A copy
 * never changes a result. Rows are cut evenly (13 = 7 + 6, not 12 + 1): a short tile leaves the multipliers idle. */
#include "nn/gemm.h"

#include "nn/blas.h"

#include <assert.h>
#include <string.h>

enum {
    NEAR = 256,    /* rows of B that are at most so many floats apart need no copy */
    SPLIT = 1 << 20, /* multiplications that are worth waking another thread */
    BLAS_LEAST = 32, /* of each size, for a call of OpenBLAS to pay */
    POLL_GROUPS = 8  /* groups of rows between two polls: less than a millisecond of a vector kernel */
};

typedef struct product {
    const t0_kernels *kernels;
    float *c;
    size_t c_stride;
    t0_operand a, b;
    size_t m, n, k;
    bool add;
    t0_exec *exec; /* asked now and then whether to stop, as `worker`; NULL: never */
    size_t worker;
    bool floats;   /* of floats, whatever the exec multiplies */
} product;

/* Copies B[k, n] as panels [k][nr], the last filled up with zeros. */
static void pack_b(const t0_kernels *kernels, float *out, t0_operand b, size_t k, size_t n) {
    const size_t nr = kernels->nr;
    for (size_t j = 0; j < n; j += nr, out += k * nr) {
        const size_t width = n - j < nr ? n - j : nr;
        const float *from = b.data + j * b.column;
        if (b.row == 1) {
            kernels->pack_transposed(out, from, b.column, k, width);
        } else if (b.column == 1) {
            for (size_t kk = 0; kk < k; kk++) {
                memcpy(out + kk * nr, from + kk * b.row, width * sizeof *out);
                if (width < nr) memset(out + kk * nr + width, 0, (nr - width) * sizeof *out);
            }
        } else {
            for (size_t kk = 0; kk < k; kk++)
                for (size_t jj = 0; jj < nr; jj++) out[kk * nr + jj] = jj < width ? from[kk * b.row + jj * b.column] : 0.0f;
        }
    }
}

/* Copies columns of a turned A: out = panels [k][rows of the panel], rows cut as t0_range_of(m, panels, i) says. Several
 * panels at a time, so that each cache line of A is read once. */
static void copy_turned(float *out, t0_operand a, size_t m, size_t panels, size_t k) {
    for (size_t kk = 0; kk < k; kk++) {
        const float *from = a.data + kk * a.column;
        for (size_t i = 0; i < panels; i++) {
            const t0_range rows = t0_range_of(m, panels, i);
            const size_t n = rows.end - rows.begin;
            float *to = out + rows.begin * k + kk * n;
            if (n == 12) memcpy(to, from + rows.begin, 12 * sizeof *to); /* a size the compiler knows */
            else
                for (size_t r = 0; r < n; r++) to[r] = from[rows.begin + r];
        }
    }
}

typedef struct b_view {
    const float *data;
    size_t row, panel; /* floats between rows, and between panels of nr columns */
} b_view;

/* C rows of one panel of A, all panels of B. */
static void run_panel(const product *p, const b_view *b, float *c, t0_operand a, size_t m) {
    const size_t nr = p->kernels->nr;
    assert(m >= 1 && m <= p->kernels->mr);
    for (size_t j = 0; j < p->n; j += nr)
        p->kernels->gemm_tile(c + j, p->c_stride, a.data, a.row, a.column, b->data + j / nr * b->panel, b->row, p->k, m,
                              p->n - j < nr ? p->n - j : nr, p->add);
}

/* The same for `panels` panels of A, m rows in all, A being copied first: far apart, its elements would miss the cache. */
static void run_copied(const product *p, const b_view *b, float *copy, float *c, t0_operand a, size_t m, size_t panels) {
    const bool turned = a.column != 1;
    if (turned) copy_turned(copy, a, m, panels, p->k);
    for (size_t i = 0; i < panels; i++) {
        const t0_range rows = t0_range_of(m, panels, i);
        const size_t n = rows.end - rows.begin;
        t0_operand view = {copy + rows.begin * p->k, 1, n};
        if (!turned) {
            view = (t0_operand){copy, T0_GEMM_K + T0_GEMM_PAD, 1};
            for (size_t r = 0; r < n; r++) memcpy(copy + r * view.row, a.data + (rows.begin + r) * a.row, p->k * sizeof *copy);
        }
        run_panel(p, b, c + rows.begin * p->c_stride, view, n);
    }
}

/* C[m, n] (+)= A[m, k] B[k, n] with k and n inside one block. */
static void run_block(const product *p, float *scratch) {
    const size_t mr = p->kernels->mr, nr = p->kernels->nr;
    assert(p->k <= T0_GEMM_K && p->n <= T0_GEMM_N);
    b_view b = {p->b.data, p->b.row, nr};
    if (p->b.column != 1 || p->b.row > NEAR) {
        pack_b(p->kernels, scratch, p->b, p->k, p->n);
        b = (b_view){scratch, nr, p->k * nr};
    }
    const bool copied = p->n > 2 * nr && (p->a.column == 1 ? p->a.row : p->a.column) > NEAR;
    const size_t panels = t0_size_units(p->m, mr), group = copied ? T0_GEMM_M / mr : 1, groups = t0_size_units(panels, group);
    for (size_t i = 0; i < groups; i++) {
        if (i % POLL_GROUPS == 0 && p->exec && t0_exec_stops(p->exec, p->worker)) return;
        const t0_range rows = t0_range_of(p->m, groups, i);
        const t0_operand a = {p->a.data + rows.begin * p->a.row, p->a.row, p->a.column};
        const size_t m = rows.end - rows.begin;
        float *c = p->c + rows.begin * p->c_stride;
        if (copied) run_copied(p, &b, scratch + T0_GEMM_K * (T0_GEMM_N + T0_GEMM_TILE), c, a, m, t0_size_units(m, mr));
        else run_panel(p, &b, c, a, m);
    }
}

/* C (+)= A B, block by block. scratch: T0_GEMM_SCRATCH floats. */
static void run_blocks(const product *p, float *scratch) {
    if (p->exec && !p->floats && p->k > 0 && t0_exec_halves(p->exec, p->worker)) {
        t0_gemm_bfloat16(p->exec, p->worker, p->c, p->c_stride, p->a, p->b, p->m, p->n, p->k, p->add);
        return;
    }
    if (p->k == 0 && !p->add)
        for (size_t i = 0; i < p->m; i++) memset(p->c + i * p->c_stride, 0, p->n * sizeof *p->c);
    const size_t k_blocks = t0_size_units(p->k, T0_GEMM_K);
    for (size_t block = 0; block < k_blocks; block++) {
        const t0_range depth = t0_range_of(p->k, k_blocks, block);
        for (size_t j = 0; j < p->n; j += T0_GEMM_N) {
            product part = *p;
            part.c += j;
            part.a.data += depth.begin * p->a.column;
            part.b.data += depth.begin * p->b.row + j * p->b.column;
            part.n = p->n - j < T0_GEMM_N ? p->n - j : T0_GEMM_N;
            part.k = depth.end - depth.begin;
            part.add = p->add || block > 0;
            run_block(&part, scratch);
        }
    }
}

void t0_gemm_serial(const t0_kernels *kernels, float *scratch, float *c, size_t c_stride, t0_operand a, t0_operand b, size_t m, size_t n,
                    size_t k, bool add) {
    const product whole = {kernels, c, c_stride, a, b, m, n, k, add, NULL, 0, true};
    assert(m <= 1 || c_stride >= n);
    run_blocks(&whole, scratch);
}

typedef struct split {
    const product *whole;
    size_t parts;
    bool by_rows;
} split;

static void run_part(void *context, size_t index, size_t worker) {
    const split *s = context;
    product p = *s->whole;
    p.worker = worker;
    if (s->by_rows) {
        const t0_range rows = t0_range_of(p.m, s->parts, index);
        p.a.data += rows.begin * p.a.row;
        p.c += rows.begin * p.c_stride;
        p.m = rows.end - rows.begin;
    } else {
        const size_t panels = t0_size_units(p.n, p.kernels->nr);
        const t0_range columns = t0_range_of(panels, s->parts, index);
        const size_t begin = columns.begin * p.kernels->nr;
        const size_t end = columns.end * p.kernels->nr;
        p.b.data += begin * p.b.column;
        p.c += begin;
        p.n = (end < p.n ? end : p.n) - begin;
    }
    run_blocks(&p, t0_exec_scratch(p.exec, worker));
}

/* Plain C is slower than OpenBLAS by far; the vector kernels hold their own (benchmarks/c/gemm.c) and are never replaced, since
 * OpenBLAS sums in an order that depends on the other rows and on its threads. */
static void run_gemm(t0_exec *exec, float *c, size_t c_stride, t0_operand a, t0_operand b, size_t m, size_t n, size_t k, bool add,
                     bool floats) {
    const product whole = {t0_exec_kernels(exec), c, c_stride, a, b, m, n, k, add, exec, 0, floats};
    split s = {&whole, t0_exec_threads(exec), false};
    const size_t panels = t0_size_units(n, whole.kernels->nr);
    assert(m <= 1 || c_stride >= n);
    if (m == 0 || n == 0) return;
    if (!floats && t0_exec_blas(exec) && whole.kernels->yields_to_blas && m >= BLAS_LEAST && n >= BLAS_LEAST && k >= BLAS_LEAST &&
        t0_blas_gemm(s.parts, c, c_stride, a, b, m, n, k, add))
        return;
    if (s.parts == 1 || m * n < SPLIT / (k + 1)) {
        run_blocks(&whole, t0_exec_scratch(exec, 0));
        return;
    }
    s.by_rows = m > n || panels < s.parts; /* the longer side: what both threads copy of the other operand is the least */
    const size_t most = s.by_rows ? t0_size_units(m, whole.kernels->mr) : panels;
    if (s.parts > most) s.parts = most;
    t0_exec_run(exec, run_part, &s, s.parts);
}

void t0_gemm(t0_exec *exec, float *c, size_t c_stride, t0_operand a, t0_operand b, size_t m, size_t n, size_t k, bool add) {
    run_gemm(exec, c, c_stride, a, b, m, n, k, add, false);
}

void t0_gemm_floats(t0_exec *exec, float *c, size_t c_stride, t0_operand a, t0_operand b, size_t m, size_t n, size_t k, bool add) {
    run_gemm(exec, c, c_stride, a, b, m, n, k, add, true);
}
