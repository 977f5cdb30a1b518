/* Filters that write a value in another notation: tojson, filesizeformat, urlencode, striptags. What Jinja leaves to
 * Python's json and html is left to them here, after its cost is charged. */
#include "template/allowed.h"
#include "template/budget.h"
#include "template/operators.h"
#include "template/values.h"
#include "template/writer.h"

#include <math.h>
#include <string.h>

enum { JSON_INDENT_MAX = 100 };

static PyObject *given(const t0_arguments *args, uint32_t i) {
    return i < args->count && args->items[i] != Py_None ? args->items[i] : NULL;
}

static PyObject *join_lines(PyObject *lines, const char *end) {
    PyObject *glue = PyUnicode_FromString(end), *out = glue ? PyUnicode_Join(glue, lines) : NULL;
    Py_XDECREF(glue);
    return out;
}

/* The sum of the depths of all that `value` holds: half of what indenting by one column adds at most. */
static uint64_t sum_depths(PyObject *value, uint64_t depth) {
    uint64_t sum = depth;
    PyObject *key, *item;
    if (PyDict_CheckExact(value)) /* the types that t0_charge_print looks into, no others: these may hold themselves */
        for (Py_ssize_t at = 0; PyDict_Next(value, &at, &key, &item);) sum += sum_depths(item, depth + 1);
    const Py_ssize_t n = PyList_CheckExact(value) ? PyList_GET_SIZE(value) : PyTuple_Check(value) ? PyTuple_GET_SIZE(value) : 0;
    for (Py_ssize_t i = 0; i < n; i++)
        sum += sum_depths(PyList_CheckExact(value) ? PyList_GET_ITEM(value, i) : PyTuple_GET_ITEM(value, i), depth + 1);
    return sum;
}

static int charge_json(t0_context *c, PyObject *value, PyObject *indent) {
    if (t0_charge_print(c, value) < 0) return -1; /* refuses what is nested too deep for sum_depths, or a cycle */
    if (!indent) return 0;
    const Py_ssize_t width = PyUnicode_Check(indent) ? PyUnicode_GET_LENGTH(indent) : PyLong_Check(indent) ? PyLong_AsSsize_t(indent) : 0;
    if (width == -1 && PyErr_Occurred()) return -1;
    if (width > JSON_INDENT_MAX) return t0_refuse(c, "tojson: an indent of more than %d", JSON_INDENT_MAX);
    return width > 0 ? t0_charge_size(c, 2 * (uint64_t)width * sum_depths(value, 1)) : 0;
}

static PyObject *replace_character(PyObject *text, const char *old, const char *new) {
    PyObject *a = text ? PyUnicode_FromString(old) : NULL, *b = a ? PyUnicode_FromString(new) : NULL;
    PyObject *out = b ? PyUnicode_Replace(text, a, b, -1) : NULL;
    Py_XDECREF(a);
    Py_XDECREF(b);
    Py_XDECREF(text);
    return out;
}

/* tojson(indent=None): json.dumps with sorted keys, and < > & ' as escapes. Jinja's Markup is a plain text here. */
T0_FILTER(tojson) {
    PyObject *indent = given(args, 0);
    if (charge_json(c, value, indent) < 0) return NULL;
    PyObject *module = PyImport_ImportModule("json"), *dumps = module ? PyObject_GetAttrString(module, "dumps") : NULL;
    PyObject *options = Py_BuildValue("{s:O,s:O}", "sort_keys", Py_True, "indent", indent ? indent : Py_None),
             *one = PyTuple_Pack(1, value);
    PyObject *text = dumps && options && one ? PyObject_Call(dumps, one, options) : NULL;
    static const char *const escapes[][2] = {{"<", "\\u003c"}, {">", "\\u003e"}, {"&", "\\u0026"}, {"'", "\\u0027"}};
    if (text && t0_charge_size(c, (uint64_t)PyUnicode_GET_LENGTH(text)) < 0) Py_CLEAR(text);
    for (int i = 0; text && i < 4; i++) text = replace_character(text, escapes[i][0], escapes[i][1]);
    if (text && t0_charge_size(c, (uint64_t)PyUnicode_GET_LENGTH(text)) < 0) Py_CLEAR(text);
    Py_XDECREF(module);
    Py_XDECREF(dumps);
    Py_XDECREF(options);
    Py_XDECREF(one);
    return text;
}

static PyObject *size_text(double size, const char *unit) {
    char *digits = PyOS_double_to_string(size, 'f', 1, 0, NULL);
    PyObject *out = digits ? PyUnicode_FromFormat("%s %s", digits, unit) : NULL;
    PyMem_Free(digits);
    return out;
}

/* filesizeformat(binary=False): 1 Byte, 12 Bytes, 1.2 kB, ... by thousands, or by 1,024. */
T0_FILTER(filesizeformat) {
    (void)c;
    static const double thousands[] = {1e3, 1e6, 1e9, 1e12, 1e15, 1e18, 1e21, 1e24, 1e27};
    static const char *const units[2][8] = {{"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"},
                                            {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"}};
    const int binary = given(args, 0) ? t0_truth(args->items[0]) : 0;
    PyObject *number = binary < 0 ? NULL : PyNumber_Float(value);
    if (!number) return NULL;
    const double bytes = PyFloat_AS_DOUBLE(number), base = binary ? 1024.0 : 1000.0;
    Py_DECREF(number);
    if (bytes == 1) return PyUnicode_FromString("1 Byte");
    if (bytes < base) {
        PyObject *whole = PyLong_FromDouble(bytes), *out = whole ? PyUnicode_FromFormat("%S Bytes", whole) : NULL;
        Py_XDECREF(whole);
        return out;
    }
    int i;
    double unit = 0;
    for (i = 0; i < 8; i++) {
        unit = binary ? ldexp(1.0, 10 * (i + 2)) : thousands[i + 1];
        if (bytes < unit || i == 7 || (bytes == unit && unit == 1e24)) break; /* the double 1e24 is a little less than 10^24 */
    }
    return size_text(base * bytes / unit, units[binary][i]);
}

/* Percent signs for all but letters, digits and _.-~; outside of a query / stays, in it a blank becomes +. */
static PyObject *quote(t0_context *c, PyObject *value, bool query) {
    PyObject *text = t0_soft_text(c, value);
    Py_ssize_t size = 0, n = 0;
    const char *in = text && t0_charge_size(c, 12 * (uint64_t)PyUnicode_GET_LENGTH(text)) == 0 ? PyUnicode_AsUTF8AndSize(text, &size)
                                                                                               : NULL;
    char *room = in ? PyMem_Malloc((size_t)size * 3 + 1) : NULL;
    if (in && !room) PyErr_NoMemory();
    for (Py_ssize_t i = 0; room && i < size; i++) {
        const unsigned char now = (unsigned char)in[i];
        if (Py_ISALNUM(now) || (now && strchr("_.-~", now)) || (now == '/' && !query)) room[n++] = (char)now;
        else if (now == ' ' && query) room[n++] = '+';
        else n += sprintf(room + n, "%%%02X", now);
    }
    PyObject *out = room ? PyUnicode_FromStringAndSize(room, n) : NULL;
    PyMem_Free(room);
    Py_XDECREF(text);
    return out;
}

static PyObject *quote_pair(t0_context *c, PyObject *pair) {
    PyObject *both = t0_list(c, pair);
    if (both && PyList_GET_SIZE(both) != 2) {
        PyErr_Format(PyExc_ValueError, "urlencode needs pairs, got %zd values", PyList_GET_SIZE(both));
        Py_CLEAR(both);
    }
    PyObject *key = both ? quote(c, PyList_GET_ITEM(both, 0), true) : NULL, *value = key ? quote(c, PyList_GET_ITEM(both, 1), true) : NULL;
    PyObject *out = value ? PyUnicode_FromFormat("%U=%U", key, value) : NULL;
    Py_XDECREF(both);
    Py_XDECREF(key);
    Py_XDECREF(value);
    return out;
}

/* A text, or a dict or pairs as the query of an address. */
T0_FILTER(urlencode) {
    (void)args;
    if (PyUnicode_Check(value) || (!Py_TYPE(value)->tp_iter && !t0_is_undefined(c, value))) return quote(c, value, false);
    PyObject *source = PyDict_Check(value) ? PyDict_Items(value) : Py_NewRef(value), *pairs = source ? t0_list(c, source) : NULL;
    bool failed = !pairs;
    for (Py_ssize_t i = 0; !failed && i < PyList_GET_SIZE(pairs); i++) {
        PyObject *text = quote_pair(c, PyList_GET_ITEM(pairs, i));
        failed = !text || PyList_SetItem(pairs, i, text) < 0;
    }
    PyObject *out = failed ? NULL : join_lines(pairs, "&");
    Py_XDECREF(source);
    Py_XDECREF(pairs);
    return out;
}

static Py_ssize_t find(PyObject *text, const char *what, Py_ssize_t from) {
    PyObject *word = PyUnicode_FromString(what);
    const Py_ssize_t at = word ? PyUnicode_Find(text, word, from, PY_SSIZE_T_MAX, 1) : -2;
    Py_XDECREF(word);
    return at;
}

static bool starts_comment(PyObject *text, Py_ssize_t from, Py_ssize_t to) {
    static const char begin[] = "<!--";
    for (Py_ssize_t i = from; i < to; i++)
        if (PyUnicode_READ_CHAR(text, i) != (Py_UCS4)begin[i - from]) return false;
    return to - from == 4;
}

/* The text without <!-- comments --> and <tags>, up to the first one that does not end; -1 with an exception set. */
static int drop_tags(PyObject *text, t0_writer *out) {
    const Py_ssize_t size = PyUnicode_GET_LENGTH(text);
    Py_ssize_t from = 0;
    for (;;) {
        const Py_ssize_t tag = find(text, "<", from), past = tag + 4 < size ? tag + 4 : size;
        if (tag == -2) return -1;
        const bool is_comment = tag >= 0 && starts_comment(text, tag, past);
        const Py_ssize_t end = tag < 0 ? -1 : is_comment ? find(text, "-->", tag + 4) : find(text, ">", tag);
        if (end == -2 || t0_writer_add(out, text, from, end < 0 ? size : tag) < 0) return -1;
        if (end < 0) return 0;
        from = end + (is_comment ? 3 : 1);
    }
}

/* Without comments and tags, white space made single, &amp; and its like turned back. */
T0_FILTER(striptags) {
    (void)args;
    char room[256];
    t0_writer left = t0_writer_open(room, sizeof room);
    PyObject *text = t0_text(c, value), *bare = NULL;
    if (text && t0_charge(c, (uint64_t)PyUnicode_GET_LENGTH(text) / 4) == 0 && drop_tags(text, &left) == 0)
        bare = t0_writer_text(&left, 0, left.size);
    t0_writer_close(&left);
    PyObject *words = bare ? PyUnicode_Split(bare, NULL, -1) : NULL;
    PyObject *line = words ? join_lines(words, " ") : NULL, *module = line ? PyImport_ImportModule("html") : NULL;
    PyObject *out = module ? PyObject_CallMethod(module, "unescape", "O", line) : NULL;
    Py_XDECREF(text);
    Py_XDECREF(bare);
    Py_XDECREF(words);
    Py_XDECREF(line);
    Py_XDECREF(module);
    return out;
}
