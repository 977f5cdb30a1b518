/* What the binding's files share: module state, status -> exception, argument helpers. The only file that includes NumPy.
 *
 * GIL: released around one C call at a time, with Py_BEGIN_ALLOW_THREADS; objects with mutable insides carry a lock. */
#ifndef T0_PY_H
#define T0_PY_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define PY_ARRAY_UNIQUE_SYMBOL t0_numpy_api
#ifndef T0PY_MODULE
#define NO_IMPORT_ARRAY
#endif
#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#include <numpy/arrayobject.h>

#include "base/memory.h"
#include "base/status.h"

typedef struct t0py_state {
    PyObject *Error, *FormatError, *TemplateError, *NumericError; /* strong */
    PyObject *answer_choices;   /* strong, the text "answer_choices" */
    PyObject *template_runtime; /* strong: the types that live inside renderings */
    PyTypeObject *tokenizer_type, *template_type, *model_type, *trainer_type, *decoder_type;
} t0py_state;

extern struct PyModuleDef t0py_module;

static inline t0py_state *t0py_state_of(PyObject *module) { return PyModule_GetState(module); }
/* The state behind an instance of one of our heap types (defined with PyType_FromModuleAndSpec). */
static inline t0py_state *t0py_state_of_type(PyTypeObject *type) {
    PyObject *module = PyType_GetModuleByDef(type, &t0py_module);
    return module ? PyModule_GetState(module) : NULL;
}

/* Sets the exception that belongs to err->status (leaves the one already set for T0_EINTERRUPT and T0_EPYTHON).
 * Always returns NULL. TemplateError gets attributes line and column. */
PyObject *t0py_raise(t0py_state *state, const t0_error *err);

/* A poll for GIL-free calls made on a thread that will take the GIL back: checks signals every 30 ms.
 *     t0py_interrupt stop; t0_poll poll = t0py_poll(&stop); Py_BEGIN_ALLOW_THREADS ... (&poll) ... Py_END_ALLOW_THREADS */
typedef struct t0py_interrupt {
    int64_t next_ns;
} t0py_interrupt;
t0_poll t0py_poll(t0py_interrupt *interrupt);

/* A C-contiguous, aligned array of this type and number of dimensions, or NULL with TypeError/ValueError naming `name`.
 * New reference; converts lists and other integer types only where no value changes. */
PyArrayObject *t0py_array(PyObject *value, int npy_type, int ndim, const char *name);

/* Each part adds its types and functions to the module; -1 with an exception set on failure. */
int t0py_text_exec(PyObject *module, t0py_state *state);
int t0py_template_exec(PyObject *module, t0py_state *state);
int t0py_prompt_exec(PyObject *module, t0py_state *state);
int t0py_model_exec(PyObject *module, t0py_state *state);
int t0py_bench_exec(PyObject *module);

#endif
