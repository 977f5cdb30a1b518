/* What all parts of the binding stand on: the one place where a status becomes a Python exception, Ctrl-C during calls without
 * the GIL, arrays from arguments. */
#include "py/support.h"

#include "base/pool.h"

#include <assert.h>
#include <string.h>
#include <time.h>

static void raise_template_error(PyObject *type, PyObject *message, const t0_error *err) {
    PyObject *error = PyObject_CallOneArg(type, message);
    PyObject *line = PyLong_FromLong(err->line), *column = PyLong_FromLong(err->column);
    if (error && line && column && PyObject_SetAttrString(error, "line", line) == 0 && PyObject_SetAttrString(error, "column", column) == 0)
        PyErr_SetObject(type, error);
    Py_XDECREF(error);
    Py_XDECREF(line);
    Py_XDECREF(column);
}

PyObject *t0py_raise(t0py_state *state, const t0_error *err) {
    assert(PyGILState_Check() && err->status != T0_OK);
    if (err->status == T0_EINTERRUPT || err->status == T0_EPYTHON) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_KeyboardInterrupt, "stopped");
        return NULL;
    }
    /* a message cut to fit may end inside a character */
    PyObject *message = PyUnicode_DecodeUTF8(err->message, (Py_ssize_t)strlen(err->message), "replace");
    if (!message) return NULL;
    switch (err->status) {
    case T0_ENOMEM: PyErr_SetObject(PyExc_MemoryError, message); break;
    case T0_EFORMAT: PyErr_SetObject(state->FormatError, message); break;
    case T0_ENUMERIC: PyErr_SetObject(state->NumericError, message); break;
    case T0_ETEMPLATE: raise_template_error(state->TemplateError, message, err); break;
    case T0_EVALUE: PyErr_SetObject(PyExc_ValueError, message); break;
    default: PyErr_SetString(PyExc_SystemError, "an error without a cause"); break;
    }
    Py_DECREF(message);
    return NULL;
}

PyObject *t0py_dict_get(PyObject *dict, const char *key) {
    assert(PyDict_Check(dict));
    PyObject *name = PyUnicode_FromString(key);
    PyObject *value = name ? PyDict_GetItemWithError(dict, name) : NULL;
    Py_XDECREF(name);
    return value;
}

bool t0py_threads_valid(t0py_state *state, Py_ssize_t n_threads) {
    t0_error err;
    return t0_threads_check(n_threads, &err) == T0_OK || t0py_raise(state, &err);
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Well below the tenth of a second within which Ctrl-C stops a call; each time, a busy Python thread may keep us waiting. */
enum { SIGNAL_INTERVAL_NS = 30 * 1000 * 1000 };

static bool interrupt_check(void *context) {
    t0py_interrupt *interrupt = context;
    const int64_t now = now_ns();
    if (now < interrupt->next_ns) return false;
    interrupt->next_ns = now + SIGNAL_INTERVAL_NS;
    const PyGILState_STATE gil = PyGILState_Ensure();
    const bool stop = PyErr_CheckSignals() != 0;
    PyGILState_Release(gil);
    return stop;
}

t0_poll t0py_poll(t0py_interrupt *interrupt) {
    assert(PyGILState_Check());
    interrupt->next_ns = now_ns() + SIGNAL_INTERVAL_NS;
    return (t0_poll){interrupt_check, interrupt};
}

PyArrayObject *t0py_array(PyObject *value, int npy_type, int ndim, const char *name) {
    /* never a subclass: what its comparison gives below need not be an array */
    PyArrayObject *any = (PyArrayObject *)PyArray_FromAny(value, NULL, 0, 0, NPY_ARRAY_ENSUREARRAY, NULL);
    if (!any) return NULL;
    if (PyArray_NDIM(any) != ndim) {
        PyErr_Format(PyExc_ValueError, "%s: %d dimensions, must have %d", name, PyArray_NDIM(any), ndim);
        Py_DECREF(any);
        return NULL;
    }
    PyArray_Descr *wanted = PyArray_DescrFromType(npy_type);
    const bool empty = PyArray_SIZE(any) == 0; /* np.array([]) is float64, yet holds nothing that could change */
    if (!empty && !PyArray_CanCastArrayTo(any, wanted, NPY_SAME_KIND_CASTING)) {
        PyErr_Format(PyExc_TypeError, "%s: %S cannot become %S", name, (PyObject *)PyArray_DESCR(any), (PyObject *)wanted);
        Py_DECREF(any);
        Py_DECREF(wanted);
        return NULL;
    }
    PyArrayObject *out = (PyArrayObject *)PyArray_FromArray(any, wanted, NPY_ARRAY_CARRAY_RO | NPY_ARRAY_FORCECAST);
    if (out && out != any && PyTypeNum_ISINTEGER(npy_type) && PyArray_DESCR(any)->type_num != npy_type && !empty) {
        /* int64 ids that do not fit int32 must not wrap around in silence */
        PyObject *equal = PyObject_RichCompare((PyObject *)any, (PyObject *)out, Py_EQ);
        PyObject *all = equal ? PyArray_All((PyArrayObject *)equal, NPY_RAVEL_AXIS, NULL) : NULL;
        const int same = all ? PyObject_IsTrue(all) : -1;
        Py_XDECREF(equal);
        Py_XDECREF(all);
        if (same != 1) {
            if (same == 0) PyErr_Format(PyExc_ValueError, "%s: a value does not fit %S", name, (PyObject *)PyArray_DESCR(out));
            Py_CLEAR(out);
        }
    }
    Py_DECREF(any);
    return out;
}

PyArrayObject *t0py_private_copy(PyObject *value, int npy_type, const char *name) {
    PyArrayObject *array = t0py_array(value, npy_type, 1, name);
    if (!array) return NULL;
    PyArrayObject *copy = (PyArrayObject *)PyArray_NewCopy(array, NPY_CORDER);
    Py_DECREF(array);
    return copy;
}
