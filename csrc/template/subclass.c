/* Subclasses of Python's own types, as rows hold them: numpy.str_, OrderedDict, defaultdict, enums of texts.
 *
 *     value.name(...)   allowed where what the class has under the name is the base type's own method: one that is overridden, in a class or on the
 *                       object, is another one, and a class that looks attributes up by code of its own has none
 *     value[key]        of a dict with __missing__, as defaultdict: what that makes is made in a shallow copy, so that no row changes */
#include "template/subclass.h"

#include "template/allowed.h"
#include "template/attempts.h"
#include "template/attribute.h"
#include "template/budget.h"

int t0_inherits(PyObject *value, PyObject *name, uint16_t *type) {
    static const struct {
        PyTypeObject *type;
        uint16_t bit;
    } bases[] = {{&PyUnicode_Type, T0_TYPE_STR}, {&PyODict_Type, T0_TYPE_DICT}, {&PyDict_Type, T0_TYPE_DICT},  {&PyList_Type, T0_TYPE_LIST},
                 {&PyTuple_Type, T0_TYPE_TUPLE}, {&PyLong_Type, T0_TYPE_INT},   {&PyFloat_Type, T0_TYPE_FLOAT}};
    const int own = t0_is_dynamic(Py_TYPE(value)) ? 1 : t0_own_attribute(value, name);
    if (own) return own < 0 && !t0_forgive() ? -1 : 0;
    PyObject *const method = t0_type_attribute(Py_TYPE(value), name);
    bool inherits = false;
    for (size_t i = 0; method && Py_IS_TYPE(method, &PyMethodDescr_Type) && !inherits && i < sizeof bases / sizeof *bases; i++) {
        inherits = PyObject_TypeCheck(value, bases[i].type) && t0_type_attribute(bases[i].type, name) == method;
        if (inherits) *type = bases[i].bit;
    }
    return t0_forgive() ? inherits : -1;
}

/* Does the type of a dict read items by dict's own __getitem__, and make those that are not there by a __missing__? -1: as t0_inherits. */
static int grows(PyObject *value) {
    if (!PyDict_Check(value) || PyDict_CheckExact(value)) return 0;
    PyObject *const missing = PyUnicode_InternFromString("__missing__");
    PyObject *const item = missing ? PyUnicode_InternFromString("__getitem__") : NULL;
    const bool grows = item && t0_type_attribute(Py_TYPE(value), missing) &&
                       t0_type_attribute(Py_TYPE(value), item) == t0_type_attribute(&PyDict_Type, item);
    Py_XDECREF(missing);
    Py_XDECREF(item);
    return t0_forgive() ? grows : -1;
}

PyObject *t0_unchanging(t0_context *c, PyObject *value) {
    const int copied = grows(value);
    if (copied <= 0) return copied < 0 ? NULL : Py_NewRef(value);
    return t0_charge(c, 1 + (uint64_t)PyDict_GET_SIZE(value) / 4) < 0 ? NULL : PyObject_CallOneArg(c->runtime->copy, value);
}

PyObject *t0_item_of(t0_context *c, PyObject *base, PyObject *key) {
    const int copied = grows(base);
    if (copied <= 0) return copied < 0 ? NULL : PyObject_GetItem(base, key);
    PyObject *item = PyDict_GetItemWithError(base, key);
    if (item || PyErr_Occurred()) return Py_XNewRef(item);
    PyObject *copy = t0_unchanging(c, base);
    item = copy ? PyObject_GetItem(copy, key) : NULL;
    Py_XDECREF(copy);
    return item;
}
