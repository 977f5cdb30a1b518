/* The call of a method. */
#ifndef T0_TEMPLATE_METHODS_H
#define T0_TEMPLATE_METHODS_H

#include "template/allowed.h"

/* node: T_METHOD. args: its values, each given; some may be replaced by a new reference. New; NULL: exception set. */
PyObject *t0_call_method(t0_context *c, const t0_node *node, PyObject *self, t0_arguments *args);

#endif
