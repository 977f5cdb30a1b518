/* Growing text, splitting it into parts, and promptsource's escape of the separator inside data:
 *
 *     "a|||b"  ->  "a" marker "b"     marker = 3ed2dface8203c4c9dfb1a5dc58e41e0, left to right, not overlapping
 *     parts    =   split at |||, then per part strip and unescape (the order does not matter: neither is white space) */
#include "template/writer.h"

#include <string.h>

#define MARKER "3ed2dface8203c4c9dfb1a5dc58e41e0"
enum { MARKER_SIZE = 32, SEPARATOR_SIZE = 3 };

int t0_writer_open(t0_writer *w) {
    w->size = 0;
    w->kind = 1;
    w->capacity = 1000;
    w->data = PyMem_Malloc((size_t)w->capacity);
    if (w->data) return 0;
    PyErr_NoMemory();
    return -1;
}

void t0_writer_close(t0_writer *w) {
    PyMem_Free(w->data);
    w->data = NULL;
}

static void widen_copy(void *out, int out_kind, const void *in, int kind, Py_ssize_t n) {
    if (out_kind == 2)
        for (Py_ssize_t i = 0; i < n; i++) ((Py_UCS2 *)out)[i] = ((const Py_UCS1 *)in)[i];
    else if (kind == 1)
        for (Py_ssize_t i = 0; i < n; i++) ((Py_UCS4 *)out)[i] = ((const Py_UCS1 *)in)[i];
    else
        for (Py_ssize_t i = 0; i < n; i++) ((Py_UCS4 *)out)[i] = ((const Py_UCS2 *)in)[i];
}

static int reserve(t0_writer *w, Py_ssize_t more, int kind) {
    const Py_ssize_t needed = w->size + more;
    if (needed <= w->capacity && kind <= w->kind) return 0;
    const Py_ssize_t capacity = needed > w->capacity ? needed + needed / 2 : w->capacity;
    if (kind <= w->kind) {
        void *data = PyMem_Realloc(w->data, (size_t)capacity * (size_t)w->kind);
        if (!data) goto no_memory;
        w->data = data;
    } else {
        void *data = PyMem_Malloc((size_t)capacity * (size_t)kind);
        if (!data) goto no_memory;
        widen_copy(data, kind, w->data, w->kind, w->size);
        PyMem_Free(w->data);
        w->data = data;
        w->kind = kind;
    }
    w->capacity = capacity;
    return 0;
no_memory:
    PyErr_NoMemory();
    return -1;
}

int t0_writer_add(t0_writer *w, PyObject *text, Py_ssize_t from, Py_ssize_t to) {
    const int kind = (int)PyUnicode_KIND(text);
    if (reserve(w, to - from, kind) < 0) return -1;
    const char *in = (const char *)PyUnicode_DATA(text) + from * kind;
    char *out = (char *)w->data + w->size * w->kind;
    if (kind == w->kind) memcpy(out, in, (size_t)(to - from) * (size_t)kind);
    else widen_copy(out, w->kind, in, kind, to - from);
    w->size += to - from;
    return 0;
}

PyObject *t0_writer_text(const t0_writer *w, Py_ssize_t from, Py_ssize_t to) {
    return PyUnicode_FromKindAndData(w->kind, (const char *)w->data + from * w->kind, to - from);
}

static Py_UCS4 at(const t0_writer *w, Py_ssize_t i) { return PyUnicode_READ(w->kind, w->data, i); }

/* The next ||| at or after `from`, or -1. */
static Py_ssize_t find_separator(const t0_writer *w, Py_ssize_t from) {
    if (w->kind == 1) {
        const char *data = w->data, *end = data + w->size;
        for (const char *p = data + from; p + SEPARATOR_SIZE <= end; p++) {
            p = memchr(p, '|', (size_t)(end - p));
            if (!p || p + SEPARATOR_SIZE > end) return -1;
            if (p[1] == '|' && p[2] == '|') return p - data;
        }
        return -1;
    }
    for (Py_ssize_t i = from; i + SEPARATOR_SIZE <= w->size; i++)
        if (at(w, i) == '|' && at(w, i + 1) == '|' && at(w, i + 2) == '|') return i;
    return -1;
}

static int has_marker(const t0_writer *w, Py_ssize_t from, Py_ssize_t to) {
    for (Py_ssize_t i = from; i + MARKER_SIZE <= to; i++) {
        if (w->kind == 1) {
            const char *hit = memchr((const char *)w->data + i, MARKER[0], (size_t)(to - i));
            if (!hit) return 0;
            i = hit - (const char *)w->data;
            if (i + MARKER_SIZE <= to && memcmp(hit, MARKER, MARKER_SIZE) == 0) return 1;
        } else {
            int k = 0;
            while (k < MARKER_SIZE && at(w, i + k) == (Py_UCS4)MARKER[k]) k++;
            if (k == MARKER_SIZE) return 1;
        }
    }
    return 0;
}

static PyObject *replace(PyObject *text, const char *old, const char *new) {
    PyObject *a = PyUnicode_FromString(old), *b = PyUnicode_FromString(new);
    PyObject *out = a && b ? PyUnicode_Replace(text, a, b, -1) : NULL;
    Py_XDECREF(a);
    Py_XDECREF(b);
    return out;
}

static void strip(const t0_writer *w, Py_ssize_t *from, Py_ssize_t *to) {
    while (*from < *to && Py_UNICODE_ISSPACE(at(w, *from))) ++*from;
    while (*to > *from && Py_UNICODE_ISSPACE(at(w, *to - 1))) --*to;
}

static PyObject *part(const t0_writer *w, Py_ssize_t from, Py_ssize_t to) {
    strip(w, &from, &to);
    PyObject *text = t0_writer_text(w, from, to);
    if (text && has_marker(w, from, to)) Py_SETREF(text, replace(text, MARKER, "|||"));
    return text;
}

PyObject *t0_writer_parts(const t0_writer *w) {
    PyObject *parts = PyList_New(0);
    for (Py_ssize_t from = 0; parts;) {
        const Py_ssize_t end = find_separator(w, from);
        PyObject *text = part(w, from, end < 0 ? w->size : end);
        if (!text || PyList_Append(parts, text) < 0) Py_CLEAR(parts);
        Py_XDECREF(text);
        if (end < 0) break;
        from = end + SEPARATOR_SIZE;
    }
    return parts;
}

PyObject *t0_escape_separators(PyObject *text) {
    const t0_writer view = {PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text), 0, (int)PyUnicode_KIND(text)};
    return find_separator(&view, 0) < 0 ? Py_NewRef(text) : replace(text, "|||", MARKER);
}
