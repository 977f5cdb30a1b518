/* The `loop` variable, and the items of a for loop. */
#ifndef T0_TEMPLATE_LOOP_H
#define T0_TEMPLATE_LOOP_H

#include "template/allowed.h"

PyObject *t0_loop_new(t0_context *c, const t0_node *node, PyObject *iterable, PyObject *iterator, long depth0); /* node: T_FOR */
const t0_node *t0_loop_recursion(t0_context *c, PyObject *loop, long *depth0); /* NULL: exception set */
int t0_loop_next(t0_context *c, PyObject *loop, PyObject **item);              /* 1: *item new; 0: end; -1: exception set */
int t0_source_next(t0_context *c, const t0_loop_parts *parts, PyObject *iterator, PyObject **item); /* the same */
PyObject *t0_loop_attribute(t0_context *c, PyObject *loop, PyObject *name);    /* NULL without exception: no such attribute */
PyObject *t0_loop_call(t0_context *c, PyObject *loop, PyObject *name, const t0_arguments *args); /* cycle or changed */
PyType_Spec *t0_loop_spec(void);

#endif
