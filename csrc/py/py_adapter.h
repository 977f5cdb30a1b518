/* Adapters of Python, and what they are to a batch. */
#ifndef T0_PY_ADAPTER_H
#define T0_PY_ADAPTER_H

#include "py/py_calls.h"

typedef struct t0py_adapter {
    PyObject_HEAD
    t0_adapter *adapter; /* owned */
    size_t changes;      /* how often its tensors were given to be written; under the GIL */
} t0py_adapter;

/* The tensor `name` of the adapter's table, at block + its offset; KeyError if there is none. */
PyObject *t0py_adapter_view(PyObject *owner, const t0_adapter *adapter, float *block, PyObject *name, bool writable);

/* Gives each sequence of the batch its adapter. adapters: a sequence of Adapter or None, one a sequence; or None. Sequences whose adapter
 * has prompts get these before their own ids. False with an exception set. */
bool t0py_ragged_adapt(t0py_ragged *batch, PyObject *adapters, t0py_state *state, const t0_model *model);

/* rows [tokens of the batch, width] without those of prompts: the same array, or a new one in its place. NULL with an exception set. */
PyObject *t0py_ragged_strip(const t0py_ragged *batch, PyObject *rows);

#endif
