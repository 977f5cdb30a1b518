/* Macros, and the call of any value by its name. */
#ifndef T0_TEMPLATE_MACRO_H
#define T0_TEMPLATE_MACRO_H

#include "template/allowed.h"

PyObject *t0_macro_new(t0_context *c, const t0_node *node); /* node: T_MACRO */
PyObject *t0_call_value(t0_context *c, const t0_node *call, PyObject *value, const t0_arguments *args); /* call: T_CALL */
PyType_Spec *t0_macro_spec(void);

#endif
