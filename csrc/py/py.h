/* What the binding's files share: Python, NumPy (which no other file includes), the module's state and its parts. Helpers: py/support.h.
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
    PyTypeObject *tokenizer_type, *template_type, *model_type, *trainer_type, *decoder_type, *adapter_type;
} t0py_state;

extern struct PyModuleDef t0py_module;

static inline t0py_state *t0py_state_of(PyObject *module) { return PyModule_GetState(module); }
/* The state behind an instance of one of our heap types (defined with PyType_FromModuleAndSpec). */
static inline t0py_state *t0py_state_of_type(PyTypeObject *type) {
    PyObject *module = PyType_GetModuleByDef(type, &t0py_module);
    return module ? PyModule_GetState(module) : NULL;
}

/* Each part adds its types and functions to the module; -1 with an exception set on failure. */
int t0py_text_exec(PyObject *module, t0py_state *state);
int t0py_template_exec(PyObject *module, t0py_state *state);
int t0py_prompt_exec(PyObject *module, t0py_state *state);
int t0py_options_exec(PyObject *module);
int t0py_model_exec(PyObject *module, t0py_state *state);
int t0py_decoder_exec(PyObject *module, t0py_state *state);
int t0py_adapter_exec(PyObject *module, t0py_state *state);
int t0py_trainer_exec(PyObject *module, t0py_state *state);
int t0py_bench_exec(PyObject *module);
int t0py_plan_exec(PyObject *module);

#endif
