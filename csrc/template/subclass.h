/* Values of subclasses of Python's own types: which methods they inherit, and reading a dict that grows where it is read. */
#ifndef T0_TEMPLATE_SUBCLASS_H
#define T0_TEMPLATE_SUBCLASS_H

#include "template/context.h"

/* Whether value.name is the method that str, dict, OrderedDict, list, tuple, int or float has; *type: the T0_TYPE_... of which one.
 * Runs no code of the value. -1: memory ran out. */
int t0_inherits(PyObject *value, PyObject *name, uint16_t *type);

/* New references; NULL: exception set. */
PyObject *t0_item_of(t0_context *c, PyObject *base, PyObject *key); /* base[key]; a dict's __missing__ works on a copy of it */
PyObject *t0_unchanging(t0_context *c, PyObject *value);            /* itself, or a copy of a dict that grows where it is read */

#endif
