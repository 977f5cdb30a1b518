/* x[n] = table[ids[n]] and its gradient dtable[ids[n]] += dx[n].
 *
 * Backward: several rows may have one id, so the threads share the columns and each takes the rows in order. */
#include "nn/layers.h"

#include <assert.h>
#include <string.h>

typedef struct embedding {
    const t0_kernels *kernels;
    float *to;
    const float *from;
    const int32_t *ids;
    size_t n_rows, dim, parts;
} embedding;

static void gather_rows(void *context, size_t index, size_t worker) {
    (void)worker;
    const embedding *s = context;
    const t0_range rows = t0_range_of(s->n_rows, s->parts, index);
    for (size_t n = rows.begin; n < rows.end; n++) {
        assert(s->ids[n] >= 0);
        memcpy(s->to + n * s->dim, s->from + (size_t)s->ids[n] * s->dim, s->dim * sizeof *s->to);
    }
}

void t0_embedding_forward(t0_exec *exec, float *x, const float *table, const int32_t *ids, size_t n_rows, size_t dim) {
    embedding s = {t0_exec_kernels(exec), x, table, ids, n_rows, dim, t0_exec_parts(exec, n_rows, 256)};
    t0_exec_run(exec, gather_rows, &s, s.parts);
}

static void add_columns(void *context, size_t index, size_t worker) {
    (void)worker;
    const embedding *s = context;
    const t0_range columns = t0_range_of(s->dim, s->parts, index);
    for (size_t n = 0; n < s->n_rows; n++)
        s->kernels->axpy(s->to + (size_t)s->ids[n] * s->dim + columns.begin, 1.0f, s->from + n * s->dim + columns.begin,
                         columns.end - columns.begin);
}

void t0_embedding_backward(t0_exec *exec, float *dtable, const float *dx, const int32_t *ids, size_t n_rows, size_t dim) {
    embedding s = {t0_exec_kernels(exec), dtable, dx, ids, n_rows, dim, t0_exec_parts(exec, dim, 64)};
    t0_exec_run(exec, add_columns, &s, s.parts);
}
