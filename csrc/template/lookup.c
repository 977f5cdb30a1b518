/* a.b and a["b"].
 *
 *     a.b      attribute, then item, then undefined          a["b"]   item, then attribute, then undefined
 *
 * Attributes of data are methods only; they exist to be called (methods.c), so a method that is named but not called is
 * refused, and before any code of the object runs (attribute.c): nothing else of it can be reached. The item lookup of str, list, tuple,
 * dict is their own; an object of another kind has its __getitem__ called. */
#include "template/lookup.h"

#include "template/allowed.h"
#include "template/attribute.h"
#include "template/budget.h"
#include "template/helper.h"
#include "template/loop.h"
#include "template/subclass.h"
#include "template/values.h"

#include <assert.h>

uint16_t t0_type_of(const t0_context *c, PyObject *value) {
    const PyTypeObject *type = Py_TYPE(value);
    if (type == &PyUnicode_Type) return T0_TYPE_STR;
    if (type == &PyDict_Type) return T0_TYPE_DICT;
    if (type == &PyList_Type) return T0_TYPE_LIST;
    if (type == &PyLong_Type) return T0_TYPE_INT;
    if (type == &PyFloat_Type) return T0_TYPE_FLOAT;
    if (type == &PyBool_Type) return T0_TYPE_BOOL;
    if (type == &PyTuple_Type) return T0_TYPE_TUPLE;
    if (value == Py_None) return T0_TYPE_NONE;
    if (type == &PyRange_Type) return T0_TYPE_RANGE;
    if (type == c->runtime->helper_type) return T0_TYPE_HELPER;
    return type == c->runtime->loop_type ? T0_TYPE_LOOP : T0_TYPE_OTHER;
}

int64_t t0_attribute_types(PyObject *name) {
    PyObject *samples[9] = {PyUnicode_New(0, 0),
                            PyDict_New(),
                            PyList_New(0),
                            PyLong_FromLong(0),
                            PyFloat_FromDouble(0.0),
                            Py_NewRef(Py_True),
                            PyTuple_New(0),
                            Py_NewRef(Py_None),
                            PyObject_CallFunction((PyObject *)&PyRange_Type, "i", 0)};
    static const uint16_t bits[9] = {T0_TYPE_STR,  T0_TYPE_DICT,  T0_TYPE_LIST, T0_TYPE_INT,  T0_TYPE_FLOAT,
                                     T0_TYPE_BOOL, T0_TYPE_TUPLE, T0_TYPE_NONE, T0_TYPE_RANGE};
    int64_t types = PyErr_Occurred() ? -1 : 0; /* nothing is asked while an exception is set */
    for (int i = 0; i < 9 && types >= 0; i++) {
        const int has = t0_has_attribute(samples[i], name);
        types = has < 0 ? -1 : has ? types | bits[i] : types;
    }
    for (int i = 0; i < 9; i++) Py_XDECREF(samples[i]);
    return types;
}

static PyObject *refuse_attribute(t0_context *c, PyObject *base, PyObject *name) {
    if (t0_is_dynamic(Py_TYPE(base)))
        return t0_refuse(c, "attribute %R of %s would be looked up by code of its own: rows are plain data", name, Py_TYPE(base)->tp_name),
               NULL;
    t0_refuse(c, "attribute %R of %s cannot be used like this: a method must be called, and nothing else is reachable", name,
              Py_TYPE(base)->tp_name);
    return NULL;
}

/* An attribute that the value has is refused; one that it lacks is undefined. */
static PyObject *refuse_or_undefined(t0_context *c, PyObject *base, PyObject *name) {
    const int has = t0_has_attribute(base, name);
    return has < 0 ? NULL : has ? refuse_attribute(c, base, name) : t0_undefined(c, name);
}

static PyObject *undefined_base(PyObject *base) { return PyObject_GetItem(base, Py_None); /* raises what is undefined */ }

/* An item, or undefined where the lookup fails as Jinja lets it fail. To an array an undefined index is one of no places. */
static PyObject *item_or_undefined(t0_context *c, PyObject *base, PyObject *key) {
    PyObject *const none = t0_is_undefined(c, key) && !PyDict_Check(base) ? PyList_New(0) : NULL;
    if (PyErr_Occurred()) return NULL;
    PyObject *item = none ? PyObject_GetItem(base, none) : t0_item_of(c, base, key);
    Py_XDECREF(none);
    if (item) return item;
    if (!PyErr_ExceptionMatches(PyExc_LookupError) && !PyErr_ExceptionMatches(PyExc_TypeError) &&
        !PyErr_ExceptionMatches(PyExc_AttributeError))
        return NULL;
    PyErr_Clear();
    return t0_undefined(c, key);
}

PyObject *t0_get_attribute(t0_context *c, PyObject *base, PyObject *name, uint32_t types) {
    assert(PyUnicode_Check(name));
    if (t0_is_undefined(c, base)) return undefined_base(base);
    const uint16_t type = t0_type_of(c, base);
    if (type & types) return refuse_attribute(c, base, name);
    if (type == T0_TYPE_DICT) {
        PyObject *item = PyDict_GetItemWithError(base, name);
        return item ? Py_NewRef(item) : PyErr_Occurred() ? NULL : t0_undefined(c, name);
    }
    if (type & (T0_TYPE_LOOP | T0_TYPE_HELPER)) {
        PyObject *value = type == T0_TYPE_LOOP ? t0_loop_attribute(c, base, name) : t0_helper_attribute(c, base, name);
        return value || PyErr_Occurred() ? value : t0_undefined(c, name);
    }
    if (type != T0_TYPE_OTHER) return t0_undefined(c, name);
    if (Py_TYPE(base) == c->runtime->namespace_type) {
        PyObject *value = PyDict_GetItemWithError(t0_namespace_attributes(base), name);
        return value ? Py_NewRef(value) : PyErr_Occurred() ? NULL : t0_undefined(c, name);
    }
    if (Py_TYPE(base) == c->runtime->group_type) {
        PyObject *part = t0_group_attribute(base, name);
        if (part) return part;
    }
    const int has = Py_TYPE(base) == c->runtime->macro_type ? 1 : t0_has_attribute(base, name);
    return has < 0 ? NULL : has ? refuse_attribute(c, base, name) : item_or_undefined(c, base, name);
}

/* Values whose attributes are their own: none is reached by its name in Python. */
static bool is_ours(const t0_context *c, PyObject *value) {
    const PyTypeObject *type = Py_TYPE(value);
    const t0_runtime *r = c->runtime;
    return type == r->loop_type || type == r->helper_type || type == r->namespace_type || type == r->macro_type || type == r->group_type;
}

/* Jinja's filter attr: the attribute alone, never an item. */
T0_FILTER(attr) {
    PyObject *name = args->items[0];
    if (!PyUnicode_Check(name)) return PyErr_Format(PyExc_TypeError, "attr needs the name of an attribute, not %s", Py_TYPE(name)->tp_name);
    if (t0_is_undefined(c, value)) return undefined_base(value);
    if (is_ours(c, value)) return t0_get_attribute(c, value, name, 0);
    return refuse_or_undefined(c, value, name);
}

static PyObject *sequence_item(t0_context *c, PyObject *base, PyObject *key, uint16_t type) {
    const Py_ssize_t size = type == T0_TYPE_LIST    ? PyList_GET_SIZE(base)
                            : type == T0_TYPE_TUPLE ? PyTuple_GET_SIZE(base)
                                                    : PyUnicode_GET_LENGTH(base);
    int overflow;
    long long at = PyLong_AsLongLongAndOverflow(key, &overflow);
    if (at < 0) at += size;
    if (overflow || at < 0 || at >= size) return t0_undefined(c, key);
    if (type == T0_TYPE_LIST) return Py_NewRef(PyList_GET_ITEM(base, at));
    if (type == T0_TYPE_TUPLE) return Py_NewRef(PyTuple_GET_ITEM(base, at));
    return PyUnicode_Substring(base, at, at + 1);
}

/* A key that is no int but counts as one, as NumPy's integers do. */
static PyObject *indexed_item(t0_context *c, PyObject *base, PyObject *key, uint16_t type) {
    PyObject *number = PyNumber_Index(key);
    if (!number) {
        if (!PyErr_ExceptionMatches(PyExc_TypeError)) return NULL;
        PyErr_Clear();
        return t0_undefined(c, key);
    }
    PyObject *item = sequence_item(c, base, number, type);
    Py_DECREF(number);
    return item;
}

PyObject *t0_get_item(t0_context *c, PyObject *base, PyObject *key) {
    if (t0_is_undefined(c, base)) return undefined_base(base);
    const uint16_t type = t0_type_of(c, base);
    if (type == T0_TYPE_DICT) {
        if (!PyUnicode_CheckExact(key) && t0_charge_tree(c, key) < 0) return NULL;
        PyObject *item = PyDict_GetItemWithError(base, key);
        if (item) return Py_NewRef(item);
        if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_TypeError)) return NULL;
        PyErr_Clear(); /* an unhashable key is undefined */
    } else if ((type & (T0_TYPE_LIST | T0_TYPE_TUPLE | T0_TYPE_STR)) && PyLong_Check(key)) return sequence_item(c, base, key, type);
    else if ((type & (T0_TYPE_LIST | T0_TYPE_TUPLE | T0_TYPE_STR)) && PyIndex_Check(key)) return indexed_item(c, base, key, type);
    else if (type & (T0_TYPE_RANGE | T0_TYPE_OTHER) && Py_TYPE(base) != c->runtime->namespace_type) {
        PyObject *item = item_or_undefined(c, base, key);
        if (!item || !t0_is_undefined(c, item) || !PyUnicode_Check(key)) return item;
        Py_DECREF(item);
    }
    if (!PyUnicode_Check(key)) return t0_undefined(c, key);
    if (is_ours(c, base)) return t0_get_attribute(c, base, key, 0);
    return refuse_or_undefined(c, base, key);
}

PyObject *t0_path_parse(t0_context *c, PyObject *attribute) {
    if (!PyUnicode_Check(attribute)) return attribute == Py_None ? PyTuple_New(0) : PyTuple_Pack(1, attribute);
    if (t0_charge(c, (uint64_t)PyUnicode_GET_LENGTH(attribute) / 2) < 0) return NULL;
    PyObject *dot = PyUnicode_FromString(".");
    PyObject *parts = dot ? PyUnicode_Split(attribute, dot, -1) : NULL;
    Py_XDECREF(dot);
    if (!parts) return NULL;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(parts); i++) {
        PyObject *part = PyList_GET_ITEM(parts, i);
        bool digits = PyUnicode_GET_LENGTH(part) > 0;
        for (Py_ssize_t k = 0; digits && k < PyUnicode_GET_LENGTH(part); k++) digits = Py_UNICODE_ISDIGIT(PyUnicode_READ_CHAR(part, k));
        PyObject *number = digits ? PyLong_FromUnicodeObject(part, 10) : NULL;
        if (digits && (!number || PyList_SetItem(parts, i, number) < 0)) {
            Py_DECREF(parts);
            return NULL;
        }
    }
    PyObject *path = PyList_AsTuple(parts);
    Py_DECREF(parts);
    return path;
}

PyObject *t0_path_get(t0_context *c, PyObject *base, PyObject *path, PyObject *fallback) {
    assert(PyTuple_CheckExact(path));
    PyObject *item = Py_NewRef(base);
    for (Py_ssize_t i = 0; item && i < PyTuple_GET_SIZE(path); i++) {
        Py_SETREF(item, t0_charge(c, 1) < 0 ? NULL : t0_get_item(c, item, PyTuple_GET_ITEM(path, i)));
        if (item && fallback && t0_is_undefined(c, item)) Py_SETREF(item, Py_NewRef(fallback));
    }
    return item;
}
