/* str, bytes and sequences of them as views of UTF-8. Arrow's arrays: py_arrow.c. */
#include "py/py_texts.h"

#include "text/utf8.h"

#include <assert.h>
#include <string.h>

static Py_ssize_t find_surrogate(PyObject *text, Py_ssize_t from) {
    const Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    const int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    for (Py_ssize_t i = from; i < length; i++)
        if (Py_UNICODE_IS_SURROGATE(PyUnicode_READ(kind, data, i))) return i;
    return -1;
}

/* The text with U+FFFD for each lone surrogate. */
static PyObject *without_surrogates(PyObject *text) {
    const Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    PyObject *out = PyUnicode_New(length, 0x10FFFF);
    if (!out || PyUnicode_CopyCharacters(out, 0, text, 0, length) < 0) {
        Py_XDECREF(out);
        return NULL;
    }
    for (Py_ssize_t i = find_surrogate(out, 0); i >= 0; i = find_surrogate(out, i + 1))
        PyUnicode_WRITE(PyUnicode_KIND(out), PyUnicode_DATA(out), i, 0xFFFD);
    PyObject *bytes = PyUnicode_AsUTF8String(out);
    Py_DECREF(out);
    return bytes;
}

/* The name of an argument for messages; item: its place in a batch, or -1. */
static const char *name_of(Py_ssize_t item, char *buffer, size_t size) {
    if (item < 0) return "text";
    PyOS_snprintf(buffer, size, "texts[%zd]", item);
    return buffer;
}

/* PyUnicode_AsUTF8AndSize has failed for `text`. */
static int view_surrogates(PyObject *text, bool replace, const char *name, t0py_text *out) {
    assert(PyErr_Occurred());
    const Py_ssize_t at = PyErr_ExceptionMatches(PyExc_UnicodeEncodeError) ? find_surrogate(text, 0) : -1;
    if (at < 0) return -1;
    PyErr_Clear();
    if (!replace) {
        PyErr_Format(PyExc_ValueError, "%s: lone surrogate U+%x at index %zd; errors=\"replace\" turns it into U+FFFD", name,
                     (int)PyUnicode_READ_CHAR(text, at), at);
        return -1;
    }
    if (!(out->owner = without_surrogates(text))) return -1;
    out->bytes = (t0_bytes){(const uint8_t *)PyBytes_AS_STRING(out->owner), (size_t)PyBytes_GET_SIZE(out->owner)};
    return 0;
}

/* t0_utf8_broken in parts, between which signals are looked at; -1 with an exception. */
static int find_broken(t0_bytes given, size_t *broken) {
    enum { PART = 1 << 22, CHARACTER_MAX = 4 };
    for (*broken = 0; *broken < given.size;) {
        const size_t left = given.size - *broken, part = left < PART ? left : PART;
        const size_t sound = t0_utf8_broken((t0_bytes){given.data + *broken, part});
        *broken += sound;
        if (sound < part && (part == left || part - sound >= CHARACTER_MAX)) return 0; /* else the part cut a character */
        if (*broken < given.size && PyErr_CheckSignals() < 0) return -1;
    }
    return 0;
}

/* `given` as it is where it is UTF-8. */
static int view_bytes(t0_bytes given, bool replace, const char *name, t0py_text *out) {
    size_t broken;
    if (find_broken(given, &broken) < 0) return -1;
    *out = (t0py_text){given, NULL};
    if (broken == given.size) return 0;
    if (!replace) {
        PyErr_Format(PyExc_ValueError, "%s: byte 0x%02x at offset %zu is not UTF-8; errors=\"replace\" turns it into U+FFFD", name,
                     given.data[broken], broken);
        return -1;
    }
    PyObject *text = PyUnicode_DecodeUTF8((const char *)given.data, (Py_ssize_t)given.size, "replace");
    out->owner = text ? PyUnicode_AsUTF8String(text) : NULL;
    Py_XDECREF(text);
    if (!out->owner) return -1;
    out->bytes = (t0_bytes){(const uint8_t *)PyBytes_AS_STRING(out->owner), (size_t)PyBytes_GET_SIZE(out->owner)};
    return 0;
}

int t0py_text_view(PyObject *text, bool replace, Py_ssize_t item, t0py_text *out) {
    char buffer[48];
    *out = (t0py_text){{NULL, 0}, NULL};
    if (PyBytes_Check(text)) {
        const t0_bytes given = {(const uint8_t *)PyBytes_AS_STRING(text), (size_t)PyBytes_GET_SIZE(text)};
        return view_bytes(given, replace, name_of(item, buffer, sizeof buffer), out);
    }
    if (!PyUnicode_Check(text)) {
        PyErr_Format(PyExc_TypeError, "%s: %.100s, must be str or bytes", name_of(item, buffer, sizeof buffer), Py_TYPE(text)->tp_name);
        return -1;
    }
    Py_ssize_t size;
    const char *data = PyUnicode_AsUTF8AndSize(text, &size);
    if (!data) return view_surrogates(text, replace, name_of(item, buffer, sizeof buffer), out);
    out->bytes = (t0_bytes){(const uint8_t *)data, (size_t)size};
    return 0;
}

int t0py_parse_errors(const char *errors, bool *replace) {
    *replace = strcmp(errors, "replace") == 0;
    if (*replace || strcmp(errors, "strict") == 0) return 0;
    PyErr_Format(PyExc_ValueError, "errors \"%.100s\": must be \"strict\" or \"replace\"", errors);
    return -1;
}

int t0py_texts_keep(t0py_texts *out, PyObject *owner) {
    if (!owner || (!out->owners && !(out->owners = PyList_New(0)))) return -1;
    const int added = PyList_Append(out->owners, owner);
    Py_DECREF(owner);
    return added;
}

int t0py_texts_reserve(t0py_texts *out, size_t n) {
    const size_t most = SIZE_MAX / sizeof *out->texts;
    if (n <= out->room - out->n) return 0;
    size_t room = n > most - out->n ? most : out->n + n;
    if (out->n > 0 && room < 2 * out->room) room = 2 * out->room; /* a stream of many small arrays: each text moves but a few times */
    t0_bytes *texts = room < most ? t0_alloc(room * sizeof *texts) : NULL;
    if (!texts) {
        PyErr_NoMemory();
        return -1;
    }
    if (out->n) memcpy(texts, out->texts, out->n * sizeof *texts);
    t0_free(out->texts);
    out->texts = texts;
    out->room = room;
    return 0;
}

static int add_view(t0py_texts *out, t0py_text view) {
    assert(out->n < out->room);
    out->texts[out->n++] = view.bytes;
    out->total += view.bytes.size;
    return view.owner ? t0py_texts_keep(out, view.owner) : 0;
}

int t0py_texts_add(t0py_texts *out, t0_bytes text, bool replace) {
    char buffer[48];
    t0py_text view;
    if (view_bytes(text, replace, name_of((Py_ssize_t)out->n, buffer, sizeof buffer), &view) < 0) return -1;
    return add_view(out, view);
}

int t0py_sequence_view(t0py_texts *out, PyObject *source, bool replace) {
    assert(out->n == 0 && !out->texts);
    PyObject *items = PySequence_Tuple(source);
    if (!items || t0py_texts_keep(out, items) < 0) return -1; /* the list holds it from here on */
    if (t0py_texts_reserve(out, (size_t)PyTuple_GET_SIZE(items)) < 0) return -1;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items); i++) {
        t0py_text view;
        if (t0py_interrupted(i)) return -1;
        if (t0py_text_view(PyTuple_GET_ITEM(items, i), replace, i, &view) < 0 || add_view(out, view) < 0) return -1;
    }
    return 0;
}

void t0py_texts_free(t0py_texts *texts) {
    PyObject *type, *value, *trace; /* an exception on its way: owners may run Python code when they go */
    PyErr_Fetch(&type, &value, &trace);
    t0_free(texts->texts);
    Py_CLEAR(texts->owners);
    PyErr_Restore(type, value, trace);
}
