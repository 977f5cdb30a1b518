/* Sorting by keys, stable, as Python's sorted does it: only < is asked, and what a comparison costs is charged. */
#include "template/sort.h"

#include "template/budget.h"
#include "template/lookup.h"
#include "template/operators.h"

#include <assert.h>
#include <string.h>

PyObject *t0_sort_key(t0_context *c, PyObject *item, PyObject *path, PyObject *fallback, bool sensitive) {
    PyObject *value = t0_path_get(c, item, path, fallback);
    PyObject *key = value && !sensitive ? t0_lower_key(c, value) : Py_XNewRef(value);
    Py_XDECREF(value);
    if (key && t0_charge_tree(c, key) < 0) Py_CLEAR(key);
    return key;
}

typedef struct entry {
    PyObject *item, *key; /* key: a list of keys */
    uint64_t cost;        /* of comparing it */
} entry;

/* Stable merge sort of n entries; -1 where two keys do not compare. */
static int merge_sort(t0_context *c, entry *data, entry *room, Py_ssize_t n, bool reverse) {
    if (n < 2) return 0;
    const Py_ssize_t half = n / 2;
    if (merge_sort(c, data, room, half, reverse) < 0 || merge_sort(c, data + half, room, n - half, reverse) < 0) return -1;
    memcpy(room, data, (size_t)n * sizeof *data);
    Py_ssize_t i = 0, j = half;
    for (Py_ssize_t k = 0; k < n; k++) {
        int second = i == half;
        if (!second && j < n) {
            const entry *low = reverse ? &room[i] : &room[j], *high = reverse ? &room[j] : &room[i];
            second = t0_charge(c, 1 + (low->cost < high->cost ? low->cost : high->cost)) < 0
                         ? -1
                         : PyObject_RichCompareBool(low->key, high->key, Py_LT);
            if (second < 0) { /* half written, data names some entries twice and others never */
                memcpy(data, room, (size_t)n * sizeof *data);
                return -1;
            }
        }
        data[k] = room[second ? j++ : i++];
    }
    return 0;
}

/* What an item is sorted by: the value at a path, a tuple, or the list of those at several, a list. */
static PyObject *keys_of(t0_context *c, PyObject *item, PyObject *paths, PyObject *fallback, bool sensitive) {
    if (PyTuple_Check(paths)) return t0_sort_key(c, item, paths, fallback, sensitive);
    assert(PyList_CheckExact(paths));
    PyObject *keys = PyList_New(PyList_GET_SIZE(paths));
    for (Py_ssize_t i = 0; keys && i < PyList_GET_SIZE(paths); i++) {
        PyObject *key = t0_sort_key(c, item, PyList_GET_ITEM(paths, i), fallback, sensitive);
        if (key) PyList_SET_ITEM(keys, i, key);
        else Py_CLEAR(keys);
    }
    return keys;
}

/* As Python's sorted does: only < is asked. */
PyObject *t0_sorted(t0_context *c, PyObject *value, PyObject *paths, PyObject *fallback, bool sensitive, bool reverse) {
    PyObject *items = t0_list(c, value);
    const Py_ssize_t n = items ? PyList_GET_SIZE(items) : 0;
    if (items && t0_charge(c, 4 * (uint64_t)n) < 0) Py_CLEAR(items); /* an entry, its list and its key: some 200 bytes */
    entry *data = items ? PyMem_Calloc((size_t)n * 2 + 1, sizeof *data) : NULL;
    int status = data ? 0 : -1;
    for (Py_ssize_t i = 0; status == 0 && i < n; i++) {
        data[i].item = Py_NewRef(PyList_GET_ITEM(items, i));
        const uint64_t before = c->steps;
        if (!(data[i].key = keys_of(c, data[i].item, paths, fallback, sensitive))) status = -1;
        data[i].cost = c->steps - before;
    }
    if (status == 0) status = merge_sort(c, data, data + n, n, reverse);
    for (Py_ssize_t i = 0; data && i < n; i++) {
        if (data[i].item) PyList_SetItem(items, i, data[i].item);
        Py_XDECREF(data[i].key);
    }
    PyMem_Free(data);
    if (status < 0) {
        if (!PyErr_Occurred()) PyErr_NoMemory();
        Py_CLEAR(items);
    }
    return items;
}
