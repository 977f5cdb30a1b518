/* Attributes are looked up as inspect.getattr_static does it, for a property runs when it is only asked for:
 *
 *     an object has a name where its own dict has it, or the dict of one of its type's bases, in the order of the mro
 *
 * Neither the dict that __dict__ gives nor the class that __class__ gives is asked for: both can be code. What a slot, a property or
 * another descriptor would give is not looked at. */
#include "template/attribute.h"

#include <assert.h>

/* The dict of a type: strong, or NULL without an exception. Static types of CPython 3.12 and later have one an interpreter. */
static PyObject *dict_of(PyTypeObject *type) {
#if PY_VERSION_HEX >= 0x030c0000
    return PyType_GetDict(type);
#else
    return Py_XNewRef(type->tp_dict);
#endif
}

PyObject *t0_type_attribute(PyTypeObject *type, PyObject *name) {
    assert(PyUnicode_Check(name) && PyTuple_Check(type->tp_mro));
    PyObject *item = NULL;
    for (Py_ssize_t i = 0; !item && i < PyTuple_GET_SIZE(type->tp_mro); i++) {
        PyObject *dict = dict_of((PyTypeObject *)PyTuple_GET_ITEM(type->tp_mro, i));
        item = dict ? PyDict_GetItemWithError(dict, name) : NULL;
        Py_XDECREF(dict); /* the type holds it, and what is in it */
        if (!item && PyErr_Occurred()) return NULL;
    }
    return item;
}

bool t0_is_dynamic(const PyTypeObject *type) { return type->tp_getattro != PyObject_GenericGetAttr || type->tp_getattr; }

int t0_own_attribute(PyObject *value, PyObject *name) {
    assert(!t0_is_dynamic(Py_TYPE(value)));
    if (!Py_TYPE(value)->tp_dictoffset) return 0;
    PyObject *dict = PyObject_GenericGetDict(value, NULL); /* whatever its class calls __dict__ */
    const int has = dict ? PyDict_Contains(dict, name) : -1;
    Py_XDECREF(dict);
    return has;
}

int t0_has_attribute(PyObject *value, PyObject *name) {
    if (t0_is_dynamic(Py_TYPE(value)) || t0_type_attribute(Py_TYPE(value), name)) return 1;
    return PyErr_Occurred() ? -1 : t0_own_attribute(value, name);
}
