/* Subclasses of Python's own types, as rows hold them: numpy.str_, OrderedDict, defaultdict, enums of texts.
 *
 *     value.name(...)   allowed where looking the method up on the value gives the base type's own C function, bound to it: a method
 *                       that is overridden, in the class or on the object, is another one
 *     value[key]        of a dict with __missing__, as defaultdict: what that makes is made in a shallow copy, so that no row changes */
#include "template/subclass.h"

#include "template/attempts.h"
#include "template/allowed.h"
#include "template/budget.h"

/* Is `bound` the method that this type of Python's own has by this name? Leaves the exception of looking for it. */
static bool is_method_of(PyTypeObject *type, PyObject *name, PyObject *bound) {
    PyObject *method = PyObject_GetAttr((PyObject *)type, name);
    const bool same = method && Py_IS_TYPE(method, &PyMethodDescr_Type) &&
                      ((PyCFunctionObject *)bound)->m_ml == ((PyMethodDescrObject *)method)->d_method;
    Py_XDECREF(method);
    return same;
}

int t0_inherits(PyObject *value, PyObject *name, uint16_t *type) {
    static const struct {
        PyTypeObject *type;
        uint16_t bit;
    } bases[] = {{&PyUnicode_Type, T0_TYPE_STR}, {&PyODict_Type, T0_TYPE_DICT}, {&PyDict_Type, T0_TYPE_DICT},  {&PyList_Type, T0_TYPE_LIST},
                 {&PyTuple_Type, T0_TYPE_TUPLE}, {&PyLong_Type, T0_TYPE_INT},   {&PyFloat_Type, T0_TYPE_FLOAT}};
    PyObject *bound = PyObject_GetAttr(value, name);
    bool inherits = false;
    const bool whole = bound && PyCFunction_CheckExact(bound) && PyCFunction_GET_SELF(bound) == value;
    for (size_t i = 0; whole && !inherits && i < sizeof bases / sizeof *bases && t0_forgive(); i++)
        if (PyObject_TypeCheck(value, bases[i].type) && (inherits = is_method_of(bases[i].type, name, bound))) *type = bases[i].bit;
    Py_XDECREF(bound);
    return inherits ? 1 : t0_forgive() ? 0 : -1;
}

/* Does the type of a dict read items by dict's own __getitem__, and make those that are not there by a __missing__? -1: as t0_inherits. */
static int grows(PyObject *value) {
    if (!PyDict_Check(value) || PyDict_CheckExact(value)) return 0;
    PyObject *const type = (PyObject *)Py_TYPE(value);
    PyObject *missing = PyObject_GetAttrString(type, "__missing__");
    PyObject *own = missing ? PyObject_GetAttrString(type, "__getitem__") : NULL;
    PyObject *of_dict = own ? PyObject_GetAttrString((PyObject *)&PyDict_Type, "__getitem__") : NULL;
    const int same = own && own == of_dict;
    Py_XDECREF(missing);
    Py_XDECREF(own);
    Py_XDECREF(of_dict);
    return t0_forgive() ? same : -1;
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
