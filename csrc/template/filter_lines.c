/* Filters on the lines of a text, as str.splitlines finds them, after Jinja's indent and wordwrap. */
#include "template/allowed.h"
#include "template/budget.h"
#include "template/operators.h"
#include "template/values.h"

enum { INDENT_MAX = 100000 };

static PyObject *given(const t0_arguments *args, uint32_t i) { return i < args->count ? args->items[i] : NULL; }
static int flag(const t0_arguments *args, uint32_t i, int fallback) { return given(args, i) ? t0_truth(args->items[i]) : fallback; }

/* Exactly a text, or NULL with an exception set: these filters do not apply str(). */
static PyObject *text_needed(PyObject *value, t0_context *c, const char *filter) {
    if (PyUnicode_Check(value)) return value;
    if (t0_is_undefined(c, value)) t0_raise_undefined(value);
    else PyErr_Format(PyExc_TypeError, "%s needs a text: put |string before it", filter);
    return NULL;
}

/* The lines of `text`, charged; with `ended`, as if one more line end stood behind it. */
static PyObject *lines_of(t0_context *c, PyObject *text, bool ended) {
    if (t0_charge(c, (uint64_t)PyUnicode_GET_LENGTH(text) / 4) < 0) return NULL;
    PyObject *whole = ended ? PyUnicode_FromFormat("%U\n", text) : Py_NewRef(text);
    PyObject *lines = whole ? PyUnicode_Splitlines(whole, 0) : NULL;
    Py_XDECREF(whole);
    return lines;
}

/* What is put before a line: a text, or so many blanks. */
static PyObject *indention_of(t0_context *c, PyObject *width) {
    if (width && PyUnicode_Check(width)) return Py_NewRef(width);
    const Py_ssize_t n = width ? PyNumber_AsSsize_t(width, PyExc_OverflowError) : 4;
    if (n == -1 && PyErr_Occurred()) return NULL;
    if (n > INDENT_MAX) return t0_refuse(c, "an indentation of more than %d", INDENT_MAX), NULL;
    PyObject *blanks = PyUnicode_New(n > 0 ? n : 0, 127);
    if (blanks && n > 0 && PyUnicode_Fill(blanks, 0, n, ' ') < 0) Py_CLEAR(blanks);
    return blanks;
}

T0_FILTER(indent) { /* width, first, blank */
    const int first = flag(args, 1, 0), blank = flag(args, 2, 0);
    if (first < 0 || blank < 0 || !text_needed(value, c, "indent")) return NULL;
    PyObject *before = indention_of(c, given(args, 0)), *lines = before ? lines_of(c, value, true) : NULL, *out = NULL, *newline = NULL;
    if (!lines) goto done;
    const Py_ssize_t n = PyList_GET_SIZE(lines);
    const uint64_t size = (uint64_t)PyUnicode_GET_LENGTH(value) + (uint64_t)n * (uint64_t)PyUnicode_GET_LENGTH(before);
    bool ready = t0_charge_size(c, size) == 0;
    for (Py_ssize_t i = 0; ready && i < n; i++) {
        PyObject *line = PyList_GET_ITEM(lines, i);
        if (i == 0 ? !first : !blank && PyUnicode_GET_LENGTH(line) == 0) continue;
        PyObject *moved = PyUnicode_Concat(before, line);
        ready = moved && PyList_SetItem(lines, i, moved) == 0;
    }
    if (ready && (newline = PyUnicode_FromString("\n"))) out = PyUnicode_Join(newline, lines);
done:
    Py_XDECREF(before);
    Py_XDECREF(lines);
    Py_XDECREF(newline);
    return out;
}

/* textwrap.wrap(line, width, ...) */
static PyObject *wrap_line(PyObject *wrap, PyObject *line, PyObject *width, int break_words, int break_hyphens) {
    PyObject *positional = PyTuple_Pack(1, line), *out = NULL;
    PyObject *options = Py_BuildValue("{s:O,s:O,s:O,s:O,s:O}", "width", width, "expand_tabs", Py_False, "replace_whitespace", Py_False,
                                      "break_long_words", break_words ? Py_True : Py_False, "break_on_hyphens",
                                      break_hyphens ? Py_True : Py_False);
    if (positional && options) out = PyObject_Call(wrap, positional, options);
    Py_XDECREF(positional);
    Py_XDECREF(options);
    return out;
}

/* Each line of `lines` in place by its wrapped lines, joined. A character costs a step: the wrapping is Python's. */
static int wrap_lines(t0_context *c, PyObject *lines, PyObject *wrap, PyObject *glue, PyObject *width, int break_words, int break_hyphens) {
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(lines); i++) {
        PyObject *line = PyList_GET_ITEM(lines, i);
        const uint64_t size = (uint64_t)PyUnicode_GET_LENGTH(line);
        PyObject *parts = t0_charge(c, 8 + size) < 0 ? NULL : wrap_line(wrap, line, width, break_words, break_hyphens);
        const uint64_t more = parts ? (uint64_t)PyList_GET_SIZE(parts) * (uint64_t)PyUnicode_GET_LENGTH(glue) : 0;
        PyObject *wrapped = parts && t0_charge_size(c, size + more) == 0 ? PyUnicode_Join(glue, parts) : NULL;
        Py_XDECREF(parts);
        if (!wrapped || PyList_SetItem(lines, i, wrapped) < 0) return -1;
    }
    return 0;
}

T0_FILTER(wordwrap) { /* width, break_long_words, wrapstring, break_on_hyphens */
    const int break_words = flag(args, 1, 1), break_hyphens = flag(args, 3, 1);
    if (break_words < 0 || break_hyphens < 0 || !text_needed(value, c, "wordwrap")) return NULL;
    const bool own = given(args, 2) && args->items[2] != Py_None;
    PyObject *glue = own ? text_needed(args->items[2], c, "wordwrap's wrapstring") : NULL;
    if (own && !glue) return NULL;
    glue = glue ? Py_NewRef(glue) : PyUnicode_FromString("\n");
    PyObject *width = given(args, 0) ? Py_NewRef(args->items[0]) : PyLong_FromLong(79), *lines = NULL, *module = NULL, *wrap = NULL,
             *out = NULL;
    if (glue && width && PyNumber_AsSsize_t(width, PyExc_OverflowError) == -1 && PyErr_Occurred()) goto done;
    if (glue && width) lines = lines_of(c, value, false);
    if (lines && (module = PyImport_ImportModule("textwrap"))) wrap = PyObject_GetAttrString(module, "wrap");
    if (wrap && wrap_lines(c, lines, wrap, glue, width, break_words, break_hyphens) == 0 &&
        t0_charge_size(c, (uint64_t)PyList_GET_SIZE(lines) * (uint64_t)PyUnicode_GET_LENGTH(glue)) == 0)
        out = PyUnicode_Join(glue, lines);
done:
    Py_XDECREF(glue);
    Py_XDECREF(width);
    Py_XDECREF(lines);
    Py_XDECREF(module);
    Py_XDECREF(wrap);
    return out;
}
