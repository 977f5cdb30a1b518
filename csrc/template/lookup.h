/* Attributes, items and paths of them. New references; NULL: exception set. */
#ifndef T0_TEMPLATE_LOOKUP_H
#define T0_TEMPLATE_LOOKUP_H

#include "template/context.h"

uint16_t t0_type_of(const t0_context *c, PyObject *value); /* one of T0_TYPE_... */
int64_t t0_attribute_types(PyObject *name);                /* bit set of the built-in types that have it, or -1 with an exception */
PyObject *t0_get_attribute(t0_context *c, PyObject *base, PyObject *name, uint32_t types); /* types: t0_attribute_types(name) */
PyObject *t0_get_item(t0_context *c, PyObject *base, PyObject *key);
PyObject *t0_path_parse(t0_context *c, PyObject *attribute); /* str, int or None -> tuple of keys */
PyObject *t0_path_get(t0_context *c, PyObject *base, PyObject *path, PyObject *fallback); /* fallback: NULL or borrowed */

#endif
