/* Growing text, splitting it into parts, and promptsource's escape of the separator inside data:
 *
 *     "a|||b"  ->  "a" marker "b"     marker = 3ed2dface8203c4c9dfb1a5dc58e41e0, left to right, not overlapping
 *     parts    =   split at |||, then per part strip and unescape (the order does not matter: neither is white space) */
#include "template/writer.h"

#include <assert.h>
#include <string.h>

#define MARKER "3ed2dface8203c4c9dfb1a5dc58e41e0"
enum { MARKER_SIZE = 32, SEPARATOR_SIZE = 3 };

void t0_writer_close(t0_writer *w) {
    if (w->data != w->room) PyMem_Free(w->data);
    PyMem_Free(w->cuts);
    w->data = w->room;
    w->cuts = NULL;
}

static void widen_copy(void *out, int out_kind, const void *in, int kind, Py_ssize_t n) {
    assert(kind < out_kind);
    if (out_kind == 2)
        for (Py_ssize_t i = 0; i < n; i++) ((Py_UCS2 *)out)[i] = ((const Py_UCS1 *)in)[i];
    else if (kind == 1)
        for (Py_ssize_t i = 0; i < n; i++) ((Py_UCS4 *)out)[i] = ((const Py_UCS1 *)in)[i];
    else
        for (Py_ssize_t i = 0; i < n; i++) ((Py_UCS4 *)out)[i] = ((const Py_UCS2 *)in)[i];
}

static void copy(void *out, int out_kind, const void *in, int kind, Py_ssize_t n) {
    if (kind == out_kind) memcpy(out, in, (size_t)n * (size_t)kind);
    else widen_copy(out, out_kind, in, kind, n);
}

/* Room for `more` characters of this kind. The first room counts as one of single bytes. */
static int grow(t0_writer *w, Py_ssize_t more, int kind) {
    if (kind < w->kind) kind = w->kind;
    const Py_ssize_t needed = w->size + more, capacity = needed > w->capacity ? needed + needed / 2 : w->capacity;
    void *data = PyMem_Malloc((size_t)capacity * (size_t)kind);
    if (!data) {
        PyErr_NoMemory();
        return -1;
    }
    copy(data, kind, w->data, w->kind, w->size);
    if (w->data != w->room) PyMem_Free(w->data);
    w->data = data;
    w->kind = kind;
    w->capacity = capacity;
    return 0;
}

int t0_writer_add(t0_writer *w, PyObject *text, Py_ssize_t from, Py_ssize_t to) {
    assert(0 <= from && from <= to && to <= PyUnicode_GET_LENGTH(text));
    const int kind = (int)PyUnicode_KIND(text);
    if ((w->size + to - from > w->capacity || kind > w->kind) && grow(w, to - from, kind) < 0) return -1;
    copy((char *)w->data + w->size * w->kind, w->kind, (const char *)PyUnicode_DATA(text) + from * kind, kind, to - from);
    w->size += to - from;
    w->ascii = w->ascii && PyUnicode_IS_ASCII(text);
    return 0;
}

PyObject *t0_writer_text(const t0_writer *w, Py_ssize_t from, Py_ssize_t to) {
    assert(0 <= from && from <= to && to <= w->size);
    const char *data = (const char *)w->data + from * w->kind;
    if (!w->ascii) return PyUnicode_FromKindAndData(w->kind, data, to - from);
    PyObject *text = PyUnicode_New(to - from, 127);
    if (text) memcpy(PyUnicode_DATA(text), data, (size_t)(to - from));
    return text;
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
    const Py_ssize_t first = find_separator(w, 0);
    Py_ssize_t n = 1, end = first;
    while (end >= 0) end = find_separator(w, end + SEPARATOR_SIZE), n++;
    PyObject *parts = PyList_New(n);
    for (Py_ssize_t i = 0, from = 0; parts && i < n; i++, from = end + SEPARATOR_SIZE) {
        end = i + 1 == n ? w->size : i == 0 ? first : find_separator(w, from);
        PyObject *text = part(w, from, end);
        if (text) PyList_SET_ITEM(parts, i, text);
        else Py_CLEAR(parts);
    }
    return parts;
}

Py_ssize_t t0_writer_part_of(const t0_writer *w, Py_ssize_t at) {
    Py_ssize_t n = 0;
    for (Py_ssize_t end = find_separator(w, 0); end >= 0 && end < at; end = find_separator(w, end + SEPARATOR_SIZE)) n++;
    return n;
}

static t0_writer view_of(PyObject *text) {
    return (t0_writer){.data = PyUnicode_DATA(text), .size = PyUnicode_GET_LENGTH(text), .kind = (int)PyUnicode_KIND(text)};
}

int t0_writer_mark(t0_writer *w, PyObject *text) {
    const t0_writer view = view_of(text);
    for (Py_ssize_t at = find_separator(&view, 0); at >= 0; at = find_separator(&view, at + SEPARATOR_SIZE)) {
        Py_ssize_t *cuts = PyMem_Realloc(w->cuts, ((size_t)w->n_cuts + 1) * sizeof *cuts);
        if (!cuts) {
            PyErr_NoMemory();
            return -1;
        }
        w->cuts = cuts;
        cuts[w->n_cuts++] = w->size + at;
    }
    return 0;
}

PyObject *t0_writer_marked_parts(const t0_writer *w) {
    PyObject *parts = PyList_New(w->n_cuts + 1);
    for (Py_ssize_t i = 0, from = 0; parts && i <= w->n_cuts; i++) {
        Py_ssize_t begin = from, end = i < w->n_cuts ? w->cuts[i] : w->size;
        from = end + SEPARATOR_SIZE;
        strip(w, &begin, &end);
        PyObject *text = t0_writer_text(w, begin, end);
        if (text) PyList_SET_ITEM(parts, i, text);
        else Py_CLEAR(parts);
    }
    return parts;
}

PyObject *t0_escape_separators(PyObject *text) {
    const t0_writer view = view_of(text);
    return find_separator(&view, 0) < 0 ? Py_NewRef(text) : replace(text, "|||", MARKER);
}
