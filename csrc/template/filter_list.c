/* Filters on sequences. Sorting and comparing follow Jinja: texts by lower case unless case_sensitive. */
#include "template/allowed.h"
#include "template/budget.h"
#include "template/lazy.h"
#include "template/lookup.h"
#include "template/operators.h"
#include "template/sort.h"
#include "template/values.h"

static PyObject *given(const t0_arguments *args, uint32_t i) {
    return i < args->count && args->items[i] != Py_None ? args->items[i] : NULL;
}

T0_FILTER(length) {
    (void)c;
    (void)args;
    const Py_ssize_t size = PyObject_Size(value);
    return size < 0 ? NULL : PyLong_FromSsize_t(size);
}

T0_FILTER(list) { return (void)args, t0_list(c, value); }

T0_FILTER(first) {
    (void)args;
    PyObject *iterator = PyObject_GetIter(value);
    PyObject *item = iterator ? PyIter_Next(iterator) : NULL;
    Py_XDECREF(iterator);
    return item || PyErr_Occurred() ? item : t0_undefined(c, NULL);
}

T0_FILTER(last) {
    (void)args;
    if (t0_is_undefined(c, value)) return t0_undefined(c, NULL);
    PyObject *iterator = PyObject_CallOneArg((PyObject *)&PyReversed_Type, value);
    PyObject *item = iterator ? PyIter_Next(iterator) : NULL;
    Py_XDECREF(iterator);
    return item || PyErr_Occurred() ? item : t0_undefined(c, NULL);
}

T0_FILTER(reverse) { /* a text turned round, or a list (Jinja gives an iterator, which prints no items either) */
    (void)args;
    if (PyUnicode_Check(value)) {
        PyObject *minus = PyLong_FromLong(-1), *slice = minus ? PySlice_New(NULL, NULL, minus) : NULL;
        PyObject *out = slice && t0_charge(c, (uint64_t)PyUnicode_GET_LENGTH(value) / 64) == 0 ? PyObject_GetItem(value, slice) : NULL;
        Py_XDECREF(minus);
        Py_XDECREF(slice);
        return out;
    }
    PyObject *list = t0_list(c, value), *out = NULL;
    if (list && PyList_Reverse(list) == 0) out = PyObject_GetIter(list);
    Py_XDECREF(list);
    return out;
}

T0_FILTER(choice) { return (void)args, t0_pick(c, value); }

T0_FILTER(random) {
    (void)args;
    PyObject *item = t0_pick(c, value);
    if (item || !PyErr_ExceptionMatches(PyExc_IndexError)) return item;
    PyErr_Clear();
    return t0_undefined(c, NULL);
}

/* How often each item occurs, in order of first appearance; a dict holds counts already, as Counter takes it. */
static PyObject *count_items(t0_context *c, PyObject *value) {
    if (PyDict_Check(value)) return t0_charge_tree(c, value) < 0 ? NULL : PyDict_Copy(value);
    PyObject *items = t0_list(c, value), *counts = items ? PyDict_New() : NULL;
    if (counts && t0_charge_tree(c, items) < 0) Py_CLEAR(counts);
    for (Py_ssize_t i = 0; counts && i < PyList_GET_SIZE(items); i++) {
        PyObject *item = PyList_GET_ITEM(items, i), *count = t0_charge(c, 1) < 0 ? NULL : PyDict_GetItemWithError(counts, item);
        PyObject *number = PyErr_Occurred() ? NULL : PyLong_FromLong(count ? PyLong_AsLong(count) + 1 : 1);
        if (!number || PyDict_SetItem(counts, item, number) < 0) Py_CLEAR(counts);
        Py_XDECREF(number);
    }
    Py_XDECREF(items);
    return counts;
}

/* The most frequent items; None for a false value. Counts that came as a dict's values may be of any type. */
T0_FILTER(most_frequent) {
    (void)args;
    const int some = t0_truth(value);
    if (some <= 0) return some < 0 ? NULL : Py_NewRef(Py_None);
    PyObject *counts = count_items(c, value), *out = counts ? PyList_New(0) : NULL, *key, *count, *most = NULL;
    for (Py_ssize_t at = 0; out && PyDict_Next(counts, &at, &key, &count);) {
        const int more = most ? PyObject_RichCompareBool(most, count, Py_LT) : 1;
        if (more < 0) Py_CLEAR(out);
        if (more > 0) most = count;
    }
    for (Py_ssize_t at = 0; out && PyDict_Next(counts, &at, &key, &count);) {
        const int same = PyObject_RichCompareBool(count, most, Py_EQ);
        if (same < 0 || (same && PyList_Append(out, key) < 0)) Py_CLEAR(out);
    }
    Py_XDECREF(counts);
    return out;
}

/* Sort keys: attribute "a,b" gives a list of keys, one path gives the key itself within a list of one. */
static PyObject *sort_paths(t0_context *c, PyObject *attribute) {
    PyObject *paths = PyList_New(0), *names = NULL, *comma = NULL;
    if (!attribute || !PyUnicode_Check(attribute)) names = PyTuple_Pack(1, attribute ? attribute : Py_None);
    else if ((comma = PyUnicode_FromString(","))) names = PyUnicode_Split(attribute, comma, -1);
    for (Py_ssize_t i = 0; paths && names && i < PySequence_Size(names); i++) {
        PyObject *name = PySequence_GetItem(names, i), *path = name ? t0_path_parse(c, name) : NULL;
        if (!path || PyList_Append(paths, path) < 0) Py_CLEAR(paths);
        Py_XDECREF(name);
        Py_XDECREF(path);
    }
    if (!names) Py_CLEAR(paths);
    Py_XDECREF(comma);
    Py_XDECREF(names);
    return paths;
}

static int flag(const t0_arguments *args, uint32_t i) { return given(args, i) ? t0_truth(args->items[i]) : 0; }

T0_FILTER(sort) { /* reverse, case_sensitive, attribute */
    const int reverse = flag(args, 0), sensitive = flag(args, 1);
    PyObject *paths = reverse < 0 || sensitive < 0 ? NULL : sort_paths(c, given(args, 2));
    PyObject *out = paths ? t0_sorted(c, value, paths, NULL, sensitive, reverse) : NULL;
    Py_XDECREF(paths);
    return out;
}

T0_FILTER(dictsort) { /* case_sensitive, by, reverse */
    const int sensitive = flag(args, 0), reverse = flag(args, 2);
    if (sensitive < 0 || reverse < 0) return NULL;
    PyObject *by = given(args, 1);
    const bool by_value = by && PyUnicode_Check(by) && PyUnicode_CompareWithASCIIString(by, "value") == 0;
    if (!PyDict_Check(value) || (by && !by_value && !(PyUnicode_Check(by) && PyUnicode_CompareWithASCIIString(by, "key") == 0))) {
        PyErr_SetString(PyExc_TypeError, "dictsort needs a dict, and by='key' or by='value'");
        return NULL;
    }
    PyObject *items = PyDict_Items(value), *path = Py_BuildValue("(i)", by_value);
    PyObject *out = items && path ? t0_sorted(c, items, path, NULL, sensitive, reverse) : NULL;
    Py_XDECREF(items);
    Py_XDECREF(path);
    return out;
}

T0_FILTER(unique) { /* case_sensitive, attribute */
    const int sensitive = flag(args, 0);
    PyObject *path = given(args, 1) ? t0_path_parse(c, args->items[1]) : PyTuple_New(0), *out = NULL;
    /* the fallback of a unique value says only: case sensitive */
    if (path && sensitive >= 0) out = t0_lazy_new(c, T0_LAZY_UNIQUE, value, path, sensitive ? Py_True : NULL, NULL, NULL);
    Py_XDECREF(path);
    return out;
}

static PyObject *extreme(t0_context *c, PyObject *value, const t0_arguments *args, int op) {
    const int sensitive = flag(args, 0);
    PyObject *items = sensitive < 0 ? NULL : t0_list(c, value), *path = NULL, *best = NULL, *best_key = NULL;
    if (!items || !(path = given(args, 1) ? t0_path_parse(c, args->items[1]) : PyTuple_New(0))) goto failed;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items); i++) {
        PyObject *item = PyList_GET_ITEM(items, i), *key = t0_charge(c, 1) < 0 ? NULL : t0_sort_key(c, item, path, NULL, sensitive);
        const int better = !key ? -1 : best ? PyObject_RichCompareBool(key, best_key, op) : 1;
        if (better > 0) {
            Py_XSETREF(best, Py_NewRef(item));
            Py_XSETREF(best_key, Py_NewRef(key));
        }
        Py_XDECREF(key);
        if (better < 0) goto failed;
    }
    if (!best) best = t0_undefined(c, NULL);
    goto done;
failed:
    Py_CLEAR(best);
done:
    Py_XDECREF(items);
    Py_XDECREF(path);
    Py_XDECREF(best_key);
    return best;
}

T0_FILTER(min) { return extreme(c, value, args, Py_LT); }
T0_FILTER(max) { return extreme(c, value, args, Py_GT); }
