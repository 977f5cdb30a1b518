/* Printing, truth, lists, arithmetic, comparison and choice, within the budgets. New references; NULL: exception set. */
#ifndef T0_TEMPLATE_OPERATORS_H
#define T0_TEMPLATE_OPERATORS_H

#include "template/context.h"

PyObject *t0_text(t0_context *c, PyObject *value);      /* str(value) as a template prints it */
PyObject *t0_soft_text(t0_context *c, PyObject *value); /* a str as it is, of a subclass too; else as t0_text */
PyObject *t0_list(t0_context *c, PyObject *iterable);
PyObject *t0_lower_key(t0_context *c, PyObject *value); /* a str in lower case, anything else itself */
int t0_truth(PyObject *value);                          /* 1, 0, -1: exception set */
int t0_check_integer(t0_context *c, PyObject *value);   /* an int; refuses one of too many bits */
PyObject *t0_binary(t0_context *c, int op, PyObject *a, PyObject *b); /* op: OP_ADD .. OP_POW */
int t0_compare(t0_context *c, int op, PyObject *a, PyObject *b);      /* op: OP_EQ .. OP_NOT_IN; 1, 0, -1: exception set */
PyObject *t0_pick(t0_context *c, PyObject *sequence);   /* a random item, the first or the last */

#endif
