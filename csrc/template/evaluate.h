/* Expressions and the variables that they read and set. */
#ifndef T0_TEMPLATE_EVALUATE_H
#define T0_TEMPLATE_EVALUATE_H

#include "template/context.h"

PyObject *t0_evaluate(t0_context *c, const t0_node *node);  /* new; NULL: exception set */
PyObject *t0_peek_name(t0_context *c, const t0_node *node); /* borrowed; NULL: exception set, or no value yet */
int t0_assign(t0_context *c, const t0_node *target, PyObject *value);
int t0_enter(t0_context *c, const t0_slot_init *inits, uint32_t n); /* a frame; -1: exception set */

#endif
