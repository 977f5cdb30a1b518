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
    Py_buffer panels;          /* held while the model borrows it */
} t0py_model;

/* An exec of this many threads, for one call; NULL with an exception set. */
t0_exec *t0py_exec_take(t0py_model *self, Py_ssize_t n_threads);
/* Ends a call: the exec goes back; true if it succeeded, else the exception is set. */
bool t0py_call_ends(t0py_model *self, t0_exec *exec, t0_status status, const t0_error *err);
/* A copy that no other thread can change; NULL with an exception naming `name`. */
PyArrayObject *t0py_private_copy(PyObject *value, int npy_type, const char *name);

/* Methods of the type that have files of their own: py_weights.c, py_decoder.c. */
PyObject *t0py_model_tensors(PyObject *object, PyObject *unused);
PyObject *t0py_model_tensor(PyObject *object, PyObject *name);
PyObject *t0py_model_writable(PyObject *object, PyObject *name);
PyObject *t0py_model_put(PyObject *object, PyObject *args);
PyObject *t0py_model_panels(PyObject *object, PyObject *unused);
PyObject *t0py_model_init(PyObject *object, PyObject *args, PyObject *kwargs);
PyObject *t0py_model_find_nonfinite(PyObject *object, PyObject *unused);
PyObject *t0py_model_decoder(PyObject *object, PyObject *args, PyObject *kwargs);
extern const char t0py_tensors_doc[], t0py_tensor_doc[], t0py_writable_doc[], t0py_put_doc[], t0py_panels_doc[], t0py_init_doc[],
    t0py_find_nonfinite_doc[], t0py_decoder_doc[];

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

bool t0py_dtype_named(const char *name, t0_dtype *dtype); /* false with ValueError set for a name that is none */
bool t0py_threads_valid(Py_ssize_t n_threads); /* else ValueError is set */
const t0_kernels *t0py_kernels_named(const char *name); /* NULL name: the best; NULL with ValueError set where it cannot run here */

int t0py_trainer_exec(PyObject *module, t0py_state *state);
int t0py_decoder_exec(PyObject *module, t0py_state *state);

#endif
