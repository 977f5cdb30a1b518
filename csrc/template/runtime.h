/* What all renderings of a module share: the types of values that live inside one, and a few objects of Python. */
#ifndef T0_TEMPLATE_RUNTIME_H
#define T0_TEMPLATE_RUNTIME_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

typedef struct t0_runtime { /* all strong */
    PyObject_HEAD
    PyObject *TemplateError, *empty, *round, *copy, *number; /* copy: copy.copy; number: numbers.Number */
    PyObject *answer_choices;                         /* that text, interned */
    PyTypeObject *undefined_type, *namespace_type, *loop_type, *lazy_type, *macro_type, *helper_type, *group_type;
} t0_runtime;

PyObject *t0_runtime_new(PyObject *TemplateError); /* NULL: exception set */

#endif
