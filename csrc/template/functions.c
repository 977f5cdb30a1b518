/* The allow-list of functions: range, zip, dict, namespace, joiner and cycler. */
#include "template/allowed.h"
#include "template/budget.h"
#include "template/helper.h"
#include "template/lazy.h"
#include "template/operators.h"
#include "template/values.h"

static PyObject *run_range(t0_context *c, const t0_arguments *args, PyObject *keywords) {
    (void)c;
    (void)keywords;
    PyObject *tuple = PyTuple_New(args->count);
    for (uint32_t i = 0; tuple && i < args->count; i++) PyTuple_SET_ITEM(tuple, i, Py_NewRef(args->items[i]));
    PyObject *out = tuple ? PyObject_CallObject((PyObject *)&PyRange_Type, tuple) : NULL;
    Py_XDECREF(tuple);
    return out;
}

static PyObject *run_zip(t0_context *c, const t0_arguments *args, PyObject *keywords) { return (void)keywords, t0_zip_new(c, args); }

/* dict(mapping or pairs, key=value, ...) */
static PyObject *run_dict(t0_context *c, const t0_arguments *args, PyObject *keywords) {
    const Py_ssize_t n_keywords = keywords ? PyTuple_GET_SIZE(keywords) : 0, n = (Py_ssize_t)args->count - n_keywords;
    if (n > 1) {
        PyErr_Format(PyExc_TypeError, "at most 1 argument without a name, got %zd", n);
        return NULL;
    }
    if (n && t0_is_undefined(c, args->items[0])) return t0_raise_undefined(args->items[0]), NULL;
    PyObject *out = PyDict_New(), *pairs = NULL;
    int status = out ? 0 : -1;
    if (status == 0 && n && PyDict_CheckExact(args->items[0]))
        status = t0_charge_tree(c, args->items[0]) < 0 ? -1 : PyDict_Update(out, args->items[0]);
    else if (status == 0 && n)
        status = (pairs = t0_list(c, args->items[0])) && t0_charge_tree(c, pairs) == 0 ? PyDict_MergeFromSeq2(out, pairs, 1) : -1;
    for (Py_ssize_t i = 0; status == 0 && i < n_keywords; i++)
        status = PyDict_SetItem(out, PyTuple_GET_ITEM(keywords, i), args->items[n + i]);
    Py_XDECREF(pairs);
    if (status < 0) Py_CLEAR(out);
    return out;
}

static PyObject *run_namespace(t0_context *c, const t0_arguments *args, PyObject *keywords) {
    PyObject *attributes = run_dict(c, args, keywords);
    PyObject *out = attributes ? t0_namespace_new(c, attributes) : NULL;
    Py_XDECREF(attributes);
    return out;
}

/* joiner(sep=", ") and cycler(item, ...) */
static PyObject *run_joiner(t0_context *c, const t0_arguments *args, PyObject *keywords) {
    if (args->count > 1 || (keywords && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(keywords, 0), "sep") != 0))
        return PyErr_Format(PyExc_TypeError, "joiner takes one argument, sep");
    PyObject *comma = PyUnicode_FromString(", ");
    const t0_arguments otherwise = {&comma, 1};
    PyObject *out = comma ? t0_helper_new(c, args->count ? args : &otherwise, true) : NULL;
    Py_XDECREF(comma);
    return out;
}

static PyObject *run_cycler(t0_context *c, const t0_arguments *args, PyObject *keywords) {
    (void)keywords;
    return args->count ? t0_helper_new(c, args, false) : PyErr_Format(PyExc_RuntimeError, "cycler needs at least one item");
}

const t0_function *t0_function_find(PyObject *name) {
    static const t0_function functions[] = {{"range", run_range, 0},
                                            {"zip", run_zip, 0},
                                            {"dict", run_dict, T0_CALL_KEYWORDS},
                                            {"namespace", run_namespace, T0_CALL_KEYWORDS},
                                            {"joiner", run_joiner, T0_CALL_KEYWORDS},
                                            {"cycler", run_cycler, 0}};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (PyUnicode_CompareWithASCIIString(name, functions[i].name) == 0) return &functions[i];
    return NULL;
}
