/* What the Model and Trainer types share. */
#ifndef T0_PY_MODEL_H
#define T0_PY_MODEL_H

#include "py/py.h"
#include "t5/run.h"

enum { T0PY_SPARE_EXECS = 8 };

/* An exec with its threads is made once and kept for the next call with as many threads. Touched with the GIL held only. */
typedef struct t0py_model {
    PyObject_HEAD
    t0_model *model;           /* owned */
    const t0_kernels *kernels; /* constant */
    t0_exec *spare[T0PY_SPARE_EXECS]; /* owned, idle; NULL where empty */
} t0py_model;

/* A ragged batch with the arrays that hold it: private copies, which no other thread can change during the call. */
typedef struct t0py_ragged {
    PyArrayObject *ids, *offsets; /* int32 [N], int64 [n + 1]; strong */
    t0_ragged batch;
} t0py_ragged;

/* False with an exception set when the arrays do not form a batch; `what` names them. A cleared one may be released. */
bool t0py_ragged_take(t0py_ragged *out, PyObject *ids, PyObject *offsets, const char *what);
void t0py_ragged_release(t0py_ragged *ragged);

/* A NumPy view of floats that live in `owner`, which it keeps alive. */
PyObject *t0py_float_view(PyObject *owner, float *data, int ndim, const npy_intp *shape, bool writable);
/* The tensor `name` of the table, at block + its offset; KeyError if there is none. */
PyObject *t0py_tensor_view(PyObject *owner, const t0_model *model, float *block, PyObject *name, bool writable);

bool t0py_threads_valid(Py_ssize_t n_threads); /* else ValueError is set */
const t0_kernels *t0py_kernels_named(const char *name); /* NULL name: the best; NULL with ValueError set where it cannot run here */

int t0py_trainer_exec(PyObject *module, t0py_state *state);

#endif
