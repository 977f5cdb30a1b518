/* The three products of a linear layer without bias:
 *
 *     y[N,O] = x[N,I] w[O,I]^T,   dx[N,I] = dy[N,O] w[O,I],   dw[O,I] = dy[N,O]^T x[N,I]
 *
 * each added to what is there, with `add`. */
#include "nn/gemm.h"
#include "nn/layers.h"

#include <assert.h>

void t0_linear_forward(t0_exec *exec, const t0_linear *s, float *y, const float *x, const float *w, bool add) {
    assert(s->x_stride >= s->in && s->y_stride >= s->out);
    t0_gemm(exec, y, s->y_stride, (t0_operand){x, s->x_stride, 1}, (t0_operand){w, 1, s->in}, s->n_rows, s->out, s->in, add);
}

void t0_linear_backward_input(t0_exec *exec, const t0_linear *s, float *dx, const float *dy, const float *w, bool add) {
    assert(s->x_stride >= s->in && s->y_stride >= s->out);
    t0_gemm(exec, dx, s->x_stride, (t0_operand){dy, s->y_stride, 1}, (t0_operand){w, s->in, 1}, s->n_rows, s->in, s->out, add);
}

void t0_linear_backward_weight(t0_exec *exec, const t0_linear *s, float *dw, const float *dy, const float *x, bool add) {
    assert(s->x_stride >= s->in && s->y_stride >= s->out);
    t0_gemm(exec, dw, s->in, (t0_operand){dy, 1, s->y_stride}, (t0_operand){x, s->x_stride, 1}, s->out, s->in, s->n_rows, add);
}
