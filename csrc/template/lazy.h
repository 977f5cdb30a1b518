/* What map, select, reject, unique and zip give: an iterator that is used once. New references; NULL: exception set. */
#ifndef T0_TEMPLATE_LAZY_H
#define T0_TEMPLATE_LAZY_H

#include "template/allowed.h"

enum { T0_LAZY_MAP, T0_LAZY_MAP_PATH, T0_LAZY_SELECT, T0_LAZY_REJECT, T0_LAZY_UNIQUE, T0_LAZY_ZIP };

PyObject *t0_lazy_filter(t0_context *c, const t0_node *node, PyObject *value, const t0_arguments *args); /* args: of all filters in there */
PyObject *t0_lazy_new(t0_context *c, int kind, PyObject *value, PyObject *path, PyObject *fallback, const t0_node *inner,
                      const t0_arguments *args);
PyObject *t0_zip_new(t0_context *c, const t0_arguments *sources);
PyType_Spec *t0_lazy_spec(void);

#endif
