/* Attempts that may come to nothing: what an object of a row raises where it is asked for an attribute, a length or an index. */
#ifndef T0_TEMPLATE_ATTEMPTS_H
#define T0_TEMPLATE_ATTEMPTS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

/* Clears the exception of an attempt, if there is one. False, and it stays, where memory ran out or a signal came. */
bool t0_forgive(void);
/* Whether a value has an attribute, of which code of its own may run: 1, 0, or -1 where t0_forgive does not. */
int t0_has_attribute(PyObject *value, PyObject *name);

#endif
