/* Filters on numbers: int, float, round, abs, sum, and default. */
#include "template/allowed.h"
#include "template/budget.h"
#include "template/lookup.h"
#include "template/operators.h"
#include "template/values.h"

enum { PRECISION_MAX = 300 };

static PyObject *given(const t0_arguments *args, uint32_t i) { return i < args->count ? args->items[i] : NULL; }

static bool recover(bool overflow_too) {
    if (PyErr_ExceptionMatches(PyExc_TypeError) || PyErr_ExceptionMatches(PyExc_ValueError) ||
        (overflow_too && PyErr_ExceptionMatches(PyExc_OverflowError))) {
        PyErr_Clear();
        return true;
    }
    return false;
}

/* int(value), a str in `base`; else int(float(value)); else the default. */
T0_FILTER(int) {
    PyObject *fallback = given(args, 0), *base = given(args, 1), *out;
    if (t0_is_undefined(c, value)) return PyNumber_Long(value);
    if (PyUnicode_Check(value)) {
        if (t0_charge(c, (uint64_t)PyUnicode_GET_LENGTH(value) / 16) < 0) return NULL;
        const long radix = base ? PyLong_AsLong(base) : 10;
        out = radix == -1 && PyErr_Occurred() ? NULL : PyLong_FromUnicodeObject(value, (int)radix);
        if (out && t0_check_integer(c, out) < 0) return Py_DECREF(out), NULL;
    } else out = PyNumber_Long(value);
    if (out || !recover(false)) return out;
    PyObject *number = PyNumber_Float(value);
    out = number ? PyNumber_Long(number) : NULL;
    Py_XDECREF(number);
    if (out || !recover(true)) return out;
    return fallback ? Py_NewRef(fallback) : PyLong_FromLong(0);
}

T0_FILTER(float) {
    if (t0_is_undefined(c, value)) return PyNumber_Float(value);
    PyObject *out = PyNumber_Float(value);
    if (out || !recover(false)) return out;
    return given(args, 0) ? Py_NewRef(args->items[0]) : PyFloat_FromDouble(0.0);
}

T0_FILTER(abs) {
    (void)args;
    if (t0_is_undefined(c, value)) {
        PyErr_SetString(PyExc_TypeError, "abs needs a number");
        return NULL;
    }
    return PyNumber_Absolute(value);
}

/* ceil or floor of value * 10 ** precision, over 10 ** precision. */
static PyObject *round_to(t0_context *c, PyObject *value, PyObject *precision, const char *method) {
    PyObject *ten = PyLong_FromLong(10), *scale = ten ? t0_binary(c, OP_POW, ten, precision) : NULL;
    PyObject *scaled = scale ? t0_binary(c, OP_MUL, value, scale) : NULL, *math = scaled ? PyImport_ImportModule("math") : NULL;
    PyObject *whole = math ? PyObject_CallMethod(math, method, "O", scaled) : NULL,
             *out = whole ? t0_binary(c, OP_DIV, whole, scale) : NULL;
    Py_XDECREF(ten);
    Py_XDECREF(scale);
    Py_XDECREF(scaled);
    Py_XDECREF(math);
    Py_XDECREF(whole);
    return out;
}

static bool is_word(PyObject *value, const char *word) {
    return PyUnicode_Check(value) && PyUnicode_CompareWithASCIIString(value, word) == 0;
}

/* round(value, precision), or ceil / floor of value * 10 ** precision, over it. */
T0_FILTER(round) {
    PyObject *precision = given(args, 0), *method = given(args, 1);
    const long digits = precision && PyLong_Check(precision) ? PyLong_AsLong(precision) : 0;
    if (PyErr_Occurred() || digits > PRECISION_MAX || digits < -PRECISION_MAX) {
        PyErr_Clear();
        t0_refuse(c, "round: a precision beyond %d digits", PRECISION_MAX);
        return NULL;
    }
    PyObject *zero = PyLong_FromLong(0), *out = NULL;
    if (!zero) return NULL;
    if (!method || is_word(method, "common"))
        out = PyObject_CallFunctionObjArgs(c->runtime->round, value, precision ? precision : zero, NULL);
    else if (is_word(method, "ceil") || is_word(method, "floor"))
        out = round_to(c, value, precision ? precision : zero, is_word(method, "ceil") ? "ceil" : "floor");
    else t0_refuse(c, "round: the method is common, ceil or floor");
    Py_DECREF(zero);
    return out;
}

T0_FILTER(default) {
    PyObject *boolean = given(args, 1);
    int replaces = t0_is_undefined(c, value);
    if (!replaces && boolean) {
        replaces = t0_truth(boolean);
        if (replaces > 0) {
            const int truth = t0_truth(value);
            replaces = truth < 0 ? -1 : !truth;
        }
        if (replaces < 0) return NULL;
    }
    if (!replaces) return Py_NewRef(value);
    return Py_NewRef(given(args, 0) ? args->items[0] : c->runtime->empty);
}

T0_FILTER(sum) {
    PyObject *items = t0_list(c, value), *path = NULL, *total = NULL;
    if (!items) return NULL;
    if (!given(args, 0) || args->items[0] == Py_None || (path = t0_path_parse(c, args->items[0])))
        total = given(args, 1) ? Py_NewRef(args->items[1]) : PyLong_FromLong(0);
    if (total && PyUnicode_Check(total)) {
        PyErr_SetString(PyExc_TypeError, "sum cannot add texts: use join");
        Py_CLEAR(total);
    }
    for (Py_ssize_t i = 0; total && i < PyList_GET_SIZE(items); i++) {
        PyObject *item = PyList_GET_ITEM(items, i);
        PyObject *number = path ? t0_path_get(c, item, path, NULL) : Py_NewRef(item);
        Py_SETREF(total, number ? t0_binary(c, OP_ADD, total, number) : NULL);
        Py_XDECREF(number);
    }
    Py_XDECREF(items);
    Py_XDECREF(path);
    return total;
}
