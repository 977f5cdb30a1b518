/* joiner and cycler. New references; NULL: exception set. */
#ifndef T0_TEMPLATE_HELPER_H
#define T0_TEMPLATE_HELPER_H

#include "template/allowed.h"

PyObject *t0_helper_new(t0_context *c, const t0_arguments *items, bool joins);  /* joiner of its text; else cycler of one item or more */
PyObject *t0_helper_attribute(t0_context *c, PyObject *helper, PyObject *name); /* NULL without exception: no such attribute */
PyObject *t0_helper_call(PyObject *helper, PyObject *name);                     /* next or reset */
bool t0_is_joiner(const t0_context *c, PyObject *value);
PyObject *t0_joiner_call(t0_context *c, PyObject *joiner, const t0_arguments *args);
PyType_Spec *t0_helper_spec(void);

#endif
