/* Sorting by keys. New references; NULL: exception set. */
#ifndef T0_TEMPLATE_SORT_H
#define T0_TEMPLATE_SORT_H

#include "template/context.h"

/* The items sorted by the key at a path (a tuple) or by the keys at several (a list); fallback: NULL or borrowed, for
 * missing keys. */
PyObject *t0_sorted(t0_context *c, PyObject *value, PyObject *paths, PyObject *fallback, bool sensitive, bool reverse);
PyObject *t0_sort_key(t0_context *c, PyObject *item, PyObject *path, PyObject *fallback, bool sensitive); /* path: a tuple */

#endif
