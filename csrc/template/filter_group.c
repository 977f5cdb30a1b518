/* Filters that cut a sequence into lists, after Jinja's batch, slice, groupby and items.
 *
 *     [1..7]|batch(3)   [1,2,3] [4,5,6] [7]         rows of n; the last filled up where a filler is given
 *     [1..7]|slice(3)   [1,2,3] [4,5]   [6,7]       n columns, the first ones longer
 *     xs|groupby("a")   (grouper, list) for each value of the key, in order of the sorted keys
 *     d|items           (key, value) pairs
 *
 * Where Jinja gives a generator, these give the iterator of a list. */
#include "template/allowed.h"
#include "template/budget.h"
#include "template/lookup.h"
#include "template/operators.h"
#include "template/owned.h"
#include "template/sort.h"
#include "template/values.h"

static PyObject *given(const t0_arguments *args, uint32_t i) { return i < args->count && args->items[i] != Py_None ? args->items[i] : NULL; }

/* The iterator of a list, which it takes over; NULL passes. */
static PyObject *iterator_of(PyObject *list) {
    PyObject *out = list ? PyObject_GetIter(list) : NULL;
    Py_XDECREF(list);
    return out;
}

static int fill(t0_context *c, PyObject *row, Py_ssize_t more, PyObject *filler) {
    if (more > 0 && t0_charge(c, (uint64_t)more / 8) < 0) return -1;
    for (; more > 0; more--)
        if (PyList_Append(row, filler) < 0) return -1;
    return 0;
}

/* rows += a row of items[from .. to - 1]. */
static PyObject *add_row(t0_context *c, PyObject *rows, PyObject *items, Py_ssize_t from, Py_ssize_t to) {
    PyObject *row = t0_charge(c, 2 + (uint64_t)(to - from) / 8) < 0 ? NULL : PyList_GetSlice(items, from, to);
    if (row && (PyList_Append(rows, row) < 0 || t0_own(c, row) < 0)) Py_CLEAR(row);
    Py_XDECREF(row); /* rows holds it */
    return row;
}

static PyObject *batches(t0_context *c, PyObject *items, Py_ssize_t size, PyObject *filler) {
    PyObject *rows = PyList_New(0);
    const Py_ssize_t n = PyList_GET_SIZE(items);
    if (rows && size == 0 && n && !add_row(c, rows, items, 0, 0)) Py_CLEAR(rows); /* as Jinja: an empty row, then all */
    for (Py_ssize_t from = 0, to; rows && from < n; from = to) {
        to = size > 0 && n - from > size ? from + size : n;
        PyObject *row = add_row(c, rows, items, from, to);
        if (!row || (filler && fill(c, row, size - (to - from), filler) < 0)) Py_CLEAR(rows);
    }
    return rows;
}

T0_FILTER(batch) { /* linecount, fill_with */
    const Py_ssize_t size = PyNumber_AsSsize_t(args->items[0], PyExc_OverflowError);
    PyObject *items = size == -1 && PyErr_Occurred() ? NULL : t0_list(c, value);
    PyObject *out = items ? iterator_of(batches(c, items, size, given(args, 1))) : NULL;
    Py_XDECREF(items);
    return out;
}

static PyObject *columns(t0_context *c, PyObject *items, Py_ssize_t count, PyObject *filler) {
    const Py_ssize_t n = PyList_GET_SIZE(items), each = count > 0 ? n / count : 0, longer = count > 0 ? n % count : 0;
    PyObject *rows = PyList_New(0);
    for (Py_ssize_t i = 0, from = 0, to; rows && i < count; i++, from = to) {
        to = from + each + (i < longer);
        PyObject *row = add_row(c, rows, items, from, to);
        if (!row || (filler && i >= longer && fill(c, row, 1, filler) < 0)) Py_CLEAR(rows);
    }
    return rows;
}

T0_FILTER(slice) { /* slices, fill_with */
    const Py_ssize_t count = PyNumber_AsSsize_t(args->items[0], PyExc_OverflowError);
    PyObject *items = count == -1 && PyErr_Occurred() ? NULL : t0_list(c, value), *out = NULL;
    if (items && count == 0) PyErr_SetString(PyExc_ZeroDivisionError, "slice into 0 lists");
    else if (items) out = iterator_of(columns(c, items, count, given(args, 1)));
    Py_XDECREF(items);
    return out;
}

T0_FILTER(items) {
    (void)args;
    if (t0_is_undefined(c, value)) return iterator_of(PyList_New(0));
    if (PyDict_Check(value)) return t0_charge(c, 1 + (uint64_t)PyDict_GET_SIZE(value)) < 0 ? NULL : iterator_of(PyDict_Items(value));
    PyErr_SetString(PyExc_TypeError, "items needs a dict");
    return NULL;
}

/* ---- groupby ------------------------------------------------------------------------------------------------------ */

/* One more item: into the last group where its key equals that one's, else into a new one. */
static int add_to_group(t0_context *c, PyObject *groups, PyObject *item, PyObject *path, PyObject *fallback, bool sensitive, PyObject **last) {
    PyObject *key = t0_charge(c, 2) < 0 ? NULL : t0_sort_key(c, item, path, fallback, sensitive);
    int same = !key ? -1 : *last ? PyObject_RichCompareBool(*last, key, Py_EQ) : 0;
    if (same == 0) {
        PyObject *grouper = t0_path_get(c, item, path, fallback), *group = t0_group_new(c, grouper);
        if (!group || PyList_Append(groups, group) < 0 || t0_own(c, PyTuple_GET_ITEM(group, 1)) < 0) same = -1;
        Py_XDECREF(grouper);
        Py_XDECREF(group);
        Py_XSETREF(*last, Py_XNewRef(key));
    }
    Py_XDECREF(key);
    if (same < 0) return -1;
    PyObject *group = PyList_GET_ITEM(groups, PyList_GET_SIZE(groups) - 1);
    return PyList_Append(PyTuple_GET_ITEM(group, 1), item);
}

T0_FILTER(groupby) { /* attribute, default, case_sensitive */
    const int sensitive = given(args, 2) ? t0_truth(args->items[2]) : 0;
    PyObject *path = sensitive < 0 ? NULL : t0_path_parse(c, args->items[0]), *fallback = given(args, 1), *last = NULL;
    PyObject *items = path ? t0_sorted(c, value, path, fallback, sensitive, false) : NULL, *groups = items ? PyList_New(0) : NULL;
    for (Py_ssize_t i = 0; groups && i < PyList_GET_SIZE(items); i++)
        if (add_to_group(c, groups, PyList_GET_ITEM(items, i), path, fallback, sensitive, &last) < 0) Py_CLEAR(groups);
    Py_XDECREF(path);
    Py_XDECREF(items);
    Py_XDECREF(last);
    return groups;
}
