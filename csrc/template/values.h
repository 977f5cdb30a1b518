/* Values that live inside one rendering: undefined, the namespace, groupby's group; and how long a rendering lives.
 *
 * What gives a PyObject * gives a new reference, or NULL with an exception set, unless it says otherwise. */
#ifndef T0_TEMPLATE_VALUES_H
#define T0_TEMPLATE_VALUES_H

#include "template/context.h"

PyObject *t0_undefined(t0_context *c, PyObject *name); /* name may be NULL */
static inline bool t0_is_undefined(const t0_context *c, PyObject *value) { return Py_TYPE(value) == c->runtime->undefined_type; }
/* Where an undefined value came from, beside its name; NULL and -1: nothing. Takes new references; recall gives such. */
void t0_undefined_remember(PyObject *value, PyObject *of, PyObject *key, PyObject *field, Py_ssize_t size);
void t0_undefined_recall(PyObject *value, PyObject **of, PyObject **key, PyObject **field, Py_ssize_t *size);
int t0_raise_undefined(PyObject *value); /* always -1: says what is undefined */
PyType_Spec *t0_undefined_spec(void);

PyObject *t0_namespace_new(t0_context *c, PyObject *attributes); /* a dict, shared */
PyObject *t0_namespace_attributes(PyObject *value);              /* borrowed dict */
PyType_Spec *t0_namespace_spec(void);

/* A pair (grouper, empty list) whose parts have these names. */
PyObject *t0_group_new(t0_context *c, PyObject *grouper);
PyObject *t0_group_attribute(PyObject *group, PyObject *name); /* NULL without exception: another name */
PyType_Spec *t0_group_spec(void);

/* After an attempt that may come to nothing: clears its exception. False, and it stays, where memory ran out or a signal came. */
bool t0_forgive(void);

t0_life *t0_life_share(t0_context *c);            /* a holder more; NULL: MemoryError is set */
void t0_life_drop(t0_life *life);                 /* NULL is fine */
t0_context *t0_life_context(const t0_life *life); /* NULL: RuntimeError is set */

#endif
