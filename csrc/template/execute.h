/* Statements. */
#ifndef T0_TEMPLATE_EXECUTE_H
#define T0_TEMPLATE_EXECUTE_H

#include "template/context.h"

int t0_execute(t0_context *c, const t0_node *body); /* what is linked by `next`; -1: exception set */
/* The text that a body prints, its frame entered; with `iterable`, body is a for loop and goes over that. NULL: exception set. */
PyObject *t0_capture(t0_context *c, const t0_node *body, PyObject *iterable, long depth0);

#endif
