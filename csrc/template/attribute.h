/* Whether a value has an attribute, told without running code of the value. */
#ifndef T0_TEMPLATE_ATTRIBUTE_H
#define T0_TEMPLATE_ATTRIBUTE_H

#include "template/context.h"

/* What the type of an object, or the first of its base types that has the name, keeps under it: borrowed, NULL: nothing. */
PyObject *t0_type_attribute(PyTypeObject *type, PyObject *name);

/* Does the type look its objects' attributes up by code of its own: __getattr__, __getattribute__, modules, classes? */
bool t0_is_dynamic(const PyTypeObject *type);

/* Does the object itself, whose type is not dynamic, keep something under the name? 1, 0; -1: exception set. */
int t0_own_attribute(PyObject *value, PyObject *name);

/* 1: the value has the attribute, or its type is dynamic, so that only running code could tell; 0; -1: exception set. */
int t0_has_attribute(PyObject *value, PyObject *name);

#endif
