/* What the types Model, Decoder and Trainer share. */
#ifndef T0_PY_MODEL_H
#define T0_PY_MODEL_H

#include "py/py_calls.h"

typedef struct t0py_model {
    PyObject_HEAD
    t0_model *model;   /* owned */
    t0py_execs execs;
    Py_buffer panels;  /* held while the model borrows it */
    size_t changes;    /* how often the weights were written, or given to be written; under the GIL */
} t0py_model;

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

/* A NumPy view [shape] of floats that live in `owner`, which it keeps alive. */
PyObject *t0py_float_view(PyObject *owner, float *data, int ndim, const npy_intp *shape, bool writable);

/* The tensor `name` of the table, at block + its offset; KeyError if there is none. */
PyObject *t0py_tensor_view(PyObject *owner, const t0_model *model, float *block, PyObject *name, bool writable);

#endif
