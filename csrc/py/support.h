/* What all parts of the binding stand on: errors, interruption, arrays. It calls none of them. */
#ifndef T0_PY_SUPPORT_H
#define T0_PY_SUPPORT_H

#include "py/py.h"

/* A method that takes more than an object and its arguments, for a table of methods. */
#define T0PY_METHOD(function) ((PyCFunction)(void (*)(void))(function))

/* Sets the exception that belongs to err->status (leaves the one already set for T0_EINTERRUPT and T0_EPYTHON).
 * Always returns NULL. TemplateError gets attributes line and column. */
PyObject *t0py_raise(t0py_state *state, const t0_error *err);

/* A poll for GIL-free calls made on a thread that will take the GIL back: checks signals every 30 ms.
 *     t0py_interrupt stop; t0_poll poll = t0py_poll(&stop); Py_BEGIN_ALLOW_THREADS ... (&poll) ... Py_END_ALLOW_THREADS */
typedef struct t0py_interrupt {
    int64_t next_ns;
} t0py_interrupt;
t0_poll t0py_poll(t0py_interrupt *interrupt);

/* The same for loops that hold the GIL: true, with an exception set, when round i of them is to be the last. Asks every 65,536 rounds. */
static inline bool t0py_interrupted(Py_ssize_t i) { return (i & 0xFFFF) == 0xFFFF && PyErr_CheckSignals() < 0; }

/* A C-contiguous, aligned array of this type and number of dimensions, or NULL with TypeError/ValueError naming `name`.
 * New reference; converts lists and other integer types only where no value changes. */
PyArrayObject *t0py_array(PyObject *value, int npy_type, int ndim, const char *name);

/* The value of a key, borrowed; NULL where there is none, or, with an exception set, where looking has failed. */
PyObject *t0py_dict_get(PyObject *dict, const char *key);

/* A number of threads that the core takes; else ValueError is set. */
bool t0py_threads_valid(t0py_state *state, Py_ssize_t n_threads);

/* A one-dimensional copy that no other thread can change; NULL with an exception naming `name`. New reference. */
PyArrayObject *t0py_private_copy(PyObject *value, int npy_type, const char *name);

#endif
