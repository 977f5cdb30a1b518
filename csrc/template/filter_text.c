/* Filters on text. Each applies str() first, as Jinja's soft_str does, then CPython's own str method. */
#include "template/allowed.h"
#include "template/budget.h"
#include "template/lookup.h"
#include "template/operators.h"
#include "template/subclass.h"

/* A subclass of str that has a method of its own for what a filter does: Jinja would call it. */
static int refuse_own_method(t0_context *c, PyObject *value, PyObject *method) {
    uint16_t type;
    const int inherits = t0_inherits(value, method, &type);
    if (inherits != 0) return inherits < 0 ? -1 : 0;
    return t0_refuse(c, "%s has a method %U of its own: put |string before the filter", Py_TYPE(value)->tp_name, method);
}

static PyObject *call(t0_context *c, PyObject *value, const char *name, PyObject *argument) {
    PyObject *text = t0_soft_text(c, value), *out = NULL;
    PyObject *method = text ? PyUnicode_InternFromString(name) : NULL;
    if (method && PyUnicode_Check(value) && !PyUnicode_CheckExact(value) && refuse_own_method(c, value, method) < 0) Py_CLEAR(method);
    if (method && t0_charge(c, (uint64_t)PyUnicode_GET_LENGTH(text) / 64) == 0)
        out = argument ? PyObject_CallMethodOneArg(text, method, argument) : PyObject_CallMethodNoArgs(text, method);
    Py_XDECREF(method);
    Py_XDECREF(text);
    return out;
}

static PyObject *given(const t0_arguments *args, uint32_t i) { return i < args->count ? args->items[i] : NULL; }

T0_FILTER(lower) { return (void)args, call(c, value, "lower", NULL); }
T0_FILTER(upper) { return (void)args, call(c, value, "upper", NULL); }
T0_FILTER(capitalize) { return (void)args, call(c, value, "capitalize", NULL); }
T0_FILTER(trim) { return call(c, value, "strip", given(args, 0)); }
T0_FILTER(string) { return (void)args, PyUnicode_Check(value) ? Py_NewRef(value) : t0_text(c, value); }

/* A number argument of at most `max`, or -1 with an exception set; `fallback` where it is not given. */
static Py_ssize_t size_argument(t0_context *c, const t0_arguments *args, uint32_t i, Py_ssize_t fallback, Py_ssize_t max) {
    PyObject *value = given(args, i);
    if (!value) return fallback;
    const Py_ssize_t size = PyNumber_AsSsize_t(value, PyExc_OverflowError);
    if (size == -1 && PyErr_Occurred()) return -1;
    return size > max ? t0_refuse(c, "a width of %zd: at most %zd", size, max) : size < 0 ? 0 : size;
}

T0_FILTER(center) {
    const Py_ssize_t width = size_argument(c, args, 0, 80, 100000);
    if (width < 0) return NULL;
    PyObject *number = PyLong_FromSsize_t(width);
    PyObject *out = number && t0_charge_size(c, (uint64_t)width) == 0 ? call(c, value, "center", number) : NULL;
    Py_XDECREF(number);
    return out;
}

T0_FILTER(replace) {
    PyObject *text = t0_text(c, value), *old = text ? t0_text(c, args->items[0]) : NULL, *new = old ? t0_text(c, args->items[1]) : NULL,
             *out = NULL;
    Py_ssize_t count = -1;
    if (new && given(args, 2) && args->items[2] != Py_None) count = PyNumber_AsSsize_t(args->items[2], PyExc_OverflowError);
    if (new && !PyErr_Occurred() && t0_charge_replace(c, text, old, new) == 0) out = PyUnicode_Replace(text, old, new, count);
    Py_XDECREF(text);
    Py_XDECREF(old);
    Py_XDECREF(new);
    return out;
}

T0_FILTER(highlight) {
    (void)args;
    if (!PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError, "highlight needs a text, not %s", Py_TYPE(value)->tp_name);
        return NULL;
    }
    if (t0_charge_size(c, (uint64_t)PyUnicode_GET_LENGTH(value)) < 0) return NULL;
    return PyUnicode_FromFormat("<span style='color: #F08080'>%U</span>", value);
}

/* The first `cut` characters, or up to the last blank in them, and what marks the end. */
static PyObject *cut_off(t0_context *c, PyObject *text, Py_ssize_t cut, bool cuts_words, PyObject *end) {
    if (t0_charge(c, (uint64_t)cut / 32) < 0) return NULL;
    const Py_ssize_t blank = cuts_words ? -1 : PyUnicode_FindChar(text, ' ', 0, cut, -1);
    PyObject *head = PyUnicode_Substring(text, 0, blank >= 0 ? blank : cut);
    PyObject *out = head ? end ? PyUnicode_Concat(head, end) : PyUnicode_FromFormat("%U...", head) : NULL;
    Py_XDECREF(head);
    return out;
}

/* truncate(length=255, killwords=False, end="...", leeway=5). What is short enough may be anything that has a length. */
T0_FILTER(truncate) {
    PyObject *end = given(args, 2);
    Py_ssize_t length = given(args, 0) ? PyNumber_AsSsize_t(args->items[0], PyExc_OverflowError) : 255;
    const bool default_leeway = !given(args, 3) || args->items[3] == Py_None;
    Py_ssize_t leeway = default_leeway ? 5 : PyNumber_AsSsize_t(args->items[3], PyExc_OverflowError);
    const int cuts_words = given(args, 1) ? t0_truth(args->items[1]) : 0;
    if (PyErr_Occurred()) return NULL;
    const Py_ssize_t end_size = end ? PyObject_Size(end) : 3, size = PyObject_Size(value);
    if (end_size < 0 || size < 0) return NULL;
    if (length < end_size || leeway < 0) {
        PyErr_Format(PyExc_AssertionError, "truncate: length %zd, at least %zd; leeway %zd, at least 0", length, end_size, leeway);
        return NULL;
    }
    if (size - leeway <= length) return Py_NewRef(value);
    if (PyUnicode_Check(value) && (!end || PyUnicode_Check(end))) return cut_off(c, value, length - end_size, cuts_words, end);
    PyErr_SetString(PyExc_TypeError, "truncate needs a text: put |string before it");
    return NULL;
}

/* "%s .." | format(a, b): Python's % with a tuple. */
T0_FILTER(format) {
    PyObject *text = PyUnicode_Check(value) ? Py_NewRef(value) : t0_text(c, value), *values = text ? PyTuple_New(args->count) : NULL,
             *out = NULL;
    for (uint32_t i = 0; values && i < args->count; i++) PyTuple_SET_ITEM(values, i, Py_NewRef(args->items[i]));
    if (values) out = t0_binary(c, OP_MOD, text, values);
    Py_XDECREF(text);
    Py_XDECREF(values);
    return out;
}

static bool starts_word(Py_UCS4 now) {
    return now == '-' || now == '(' || now == '{' || now == '[' || now == '<' || Py_UNICODE_ISSPACE(now);
}

/* title: split at runs of - ( { [ < and white space; each piece: first character upper(), the rest lower(). */
T0_FILTER(title) {
    (void)args;
    PyObject *text = t0_soft_text(c, value), *pieces = text ? PyList_New(0) : NULL, *out = NULL;
    if (!pieces || t0_charge(c, (uint64_t)PyUnicode_GET_LENGTH(text)) < 0) goto done;
    const Py_ssize_t size = PyUnicode_GET_LENGTH(text);
    for (Py_ssize_t from = 0, to; from < size; from = to) {
        const bool kind = starts_word(PyUnicode_READ_CHAR(text, from));
        for (to = from + 1; to < size && starts_word(PyUnicode_READ_CHAR(text, to)) == kind; to++) {}
        PyObject *head = PyUnicode_Substring(text, from, from + 1), *tail = PyUnicode_Substring(text, from + 1, to);
        PyObject *upper = head && tail ? call(c, head, "upper", NULL) : NULL, *lower = upper ? call(c, tail, "lower", NULL) : NULL;
        const int failed = !upper || !lower || PyList_Append(pieces, upper) < 0 || PyList_Append(pieces, lower) < 0;
        Py_XDECREF(head);
        Py_XDECREF(tail);
        Py_XDECREF(upper);
        Py_XDECREF(lower);
        if (failed) goto done;
    }
    out = PyUnicode_Join(c->runtime->empty, pieces);
done:
    Py_XDECREF(text);
    Py_XDECREF(pieces);
    return out;
}

T0_FILTER(wordcount) { /* runs of letters, digits and _ */
    (void)args;
    PyObject *text = t0_soft_text(c, value);
    if (!text || t0_charge(c, (uint64_t)PyUnicode_GET_LENGTH(text) / 16) < 0) return Py_XDECREF(text), NULL;
    long words = 0;
    bool inside = false;
    for (Py_ssize_t i = 0; i < PyUnicode_GET_LENGTH(text); i++) {
        const Py_UCS4 now = PyUnicode_READ_CHAR(text, i);
        const bool word = now == '_' || Py_UNICODE_ISALNUM(now);
        words += word && !inside;
        inside = word;
    }
    Py_DECREF(text);
    return PyLong_FromLong(words);
}

/* Texts of the items, joined. */
T0_FILTER(join) {
    PyObject *items = t0_list(c, value), *glue = NULL, *out = NULL, *path = NULL;
    if (!items) return NULL;
    uint64_t total = 0;
    const Py_ssize_t n = PyList_GET_SIZE(items);
    if (given(args, 1) && args->items[1] != Py_None && !(path = t0_path_parse(c, args->items[1]))) goto done;
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *item = PyList_GET_ITEM(items, i);
        if (PyUnicode_CheckExact(item) && !path) {
            total += (uint64_t)PyUnicode_GET_LENGTH(item);
            continue;
        }
        PyObject *got = path ? t0_path_get(c, item, path, NULL) : Py_NewRef(item);
        PyObject *text = got ? t0_text(c, got) : NULL;
        Py_XDECREF(got);
        if (!text) goto done;
        total += (uint64_t)PyUnicode_GET_LENGTH(text);
        PyList_SetItem(items, i, text);
    }
    glue = given(args, 0) ? t0_text(c, args->items[0]) : Py_NewRef(c->runtime->empty);
    if (!glue) goto done;
    if (n) total += (uint64_t)(n - 1) * (uint64_t)PyUnicode_GET_LENGTH(glue);
    if (t0_charge_size(c, total) == 0) out = PyUnicode_Join(glue, items);
done:
    Py_XDECREF(items);
    Py_XDECREF(glue);
    Py_XDECREF(path);
    return out;
}
