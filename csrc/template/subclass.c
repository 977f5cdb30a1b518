/* Subclasses of Python's own types, as rows hold them: numpy.str_, OrderedDict, defaultdict, enums of texts.
 *
 *     value.name(...)   allowed where looking the method up on the value gives the base type's own C function, bound to it: a method
 *                       that is overridden, in the class or on the object, is another one
 *     value[key]        of a dict with __missing__, as defaultdict: what that makes is made in a shallow copy, so that no row changes */
#include "template/subclass.h"

#include "template/allowed.h"
#include "template/budget.h"

/* Is `bound` the method that this type of Python's own has by this name? */
static bool is_method_of(PyTypeObject *type, PyObject *name, PyObject *bound) {
    PyObject *method = PyObject_GetAttr((PyObject *)type, name);
    const bool same = method && Py_IS_TYPE(method, &PyMethodDescr_Type) &&
                      ((PyCFunctionObject *)bound)->m_ml == ((PyMethodDescrObject *)method)->d_method;
    Py_XDECREF(method);
    PyErr_Clear();
    return same;
}

bool t0_inherits(PyObject *value, PyObject *name, uint16_t *type) {
    static const struct {
        PyTypeObject *type;
        uint16_t bit;
    } bases[] = {{&PyUnicode_Type, T0_TYPE_STR}, {&PyODict_Type, T0_TYPE_DICT}, {&PyDict_Type, T0_TYPE_DICT},  {&PyList_Type, T0_TYPE_LIST},
                 {&PyTuple_Type, T0_TYPE_TUPLE}, {&PyLong_Type, T0_TYPE_INT},   {&PyFloat_Type, T0_TYPE_FLOAT}};
    PyObject *bound = PyObject_GetAttr(value, name);
    bool inherits = false;
    const bool whole = bound && PyCFunction_CheckExact(bound) && PyCFunction_GET_SELF(bound) == value;
    for (size_t i = 0; whole && !inherits && i < sizeof bases / sizeof *bases; i++)
        if (PyObject_TypeCheck(value, bases[i].type) && (inherits = is_method_of(bases[i].type, name, bound))) *type = bases[i].bit;
    Py_XDECREF(bound);
    PyErr_Clear();
    return inherits;
}

/* Does the type of a dict read items by dict's own __getitem__, and make those that are not there by a __missing__? */
static bool grows(PyObject *value) {
    if (!PyDict_Check(value) || PyDict_CheckExact(value)) return false;
    PyObject *const type = (PyObject *)Py_TYPE(value);
    if (!PyObject_HasAttrString(type, "__missing__")) return false;
    PyObject *own = PyObject_GetAttrString(type, "__getitem__"), *of_dict = PyObject_GetAttrString((PyObject *)&PyDict_Type, "__getitem__");
    const bool same = own && own == of_dict;
    Py_XDECREF(own);
    Py_XDECREF(of_dict);
    PyErr_Clear();
    return same;
}

PyObject *t0_unchanging(t0_context *c, PyObject *value) {
    if (!grows(value)) return Py_NewRef(value);
    return t0_charge(c, 1 + (uint64_t)PyDict_GET_SIZE(value) / 4) < 0 ? NULL : PyObject_CallOneArg(c->runtime->copy, value);
}

PyObject *t0_item_of(t0_context *c, PyObject *base, PyObject *key) {
    if (!grows(base)) return PyObject_GetItem(base, key);
    PyObject *item = PyDict_GetItemWithError(base, key);
    if (item || PyErr_Occurred()) return Py_XNewRef(item);
    PyObject *copy = t0_unchanging(c, base);
    item = copy ? PyObject_GetItem(copy, key) : NULL;
    Py_XDECREF(copy);
    return item;
}
