/* The allow-list of filters and of functions. */
#include "template/calls.h"

#define DECLARE(name) T0_FILTER(name);
#define FOR_EACH(X)                                                                                                            \
    X(attr) X(filesizeformat) X(striptags) X(tojson) X(urlencode)                                                              \
    X(abs) X(batch) X(capitalize) X(center) X(choice) X(default) X(dictsort) X(first) X(float) X(format) X(groupby) X(highlight) X(indent) X(int) X(items) X(join)    \
    X(last) X(length) X(list) X(lower) X(max) X(min) X(most_frequent) X(random) X(replace) X(reverse) X(round) X(slice) X(sort)         \
    X(string) X(sum) X(title) X(trim) X(truncate) X(unique) X(upper) X(wordcount) X(wordwrap)
FOR_EACH(DECLARE)

const t0_filter t0_filter_map = {"map", NULL, 0, T0_CALL_LAZY, {NULL}};
const t0_filter t0_filter_map_attribute = {"map", NULL, 1, T0_CALL_LAZY, {"attribute", "default"}};
const t0_filter t0_filter_select = {"select", NULL, 0, T0_CALL_LAZY, {NULL}};
const t0_filter t0_filter_reject = {"reject", NULL, 0, T0_CALL_LAZY, {NULL}};
const t0_filter t0_filter_selectattr = {"selectattr", NULL, 0, T0_CALL_LAZY, {NULL}};
const t0_filter t0_filter_rejectattr = {"rejectattr", NULL, 0, T0_CALL_LAZY, {NULL}};

static const t0_filter *const lazy_filters[] = {&t0_filter_map, &t0_filter_select, &t0_filter_reject, &t0_filter_selectattr, &t0_filter_rejectattr, NULL};

static const t0_filter filters[] = {
    {"string", t0_run_string, 0, 0, {NULL}}, /* the first two have names of their own below */
    {"format", t0_run_format, 0, T0_CALL_ANY_COUNT, {NULL}},
    {"abs", t0_run_abs, 0, 0, {NULL}},
    {"attr", t0_run_attr, 1, 0, {"name"}},
    {"batch", t0_run_batch, 1, 0, {"linecount", "fill_with"}},
    {"capitalize", t0_run_capitalize, 0, 0, {NULL}},
    {"center", t0_run_center, 0, 0, {"width"}},
    {"choice", t0_run_choice, 0, T0_CALL_RANDOM, {NULL}},
    {"count", t0_run_length, 0, 0, {NULL}},
    {"d", t0_run_default, 0, 0, {"default_value", "boolean"}},
    {"default", t0_run_default, 0, 0, {"default_value", "boolean"}},
    {"dictsort", t0_run_dictsort, 0, T0_CALL_FRESH, {"case_sensitive", "by", "reverse"}},
    {"filesizeformat", t0_run_filesizeformat, 0, 0, {"binary"}},
    {"first", t0_run_first, 0, 0, {NULL}},
    {"float", t0_run_float, 0, 0, {"default"}},
    {"groupby", t0_run_groupby, 1, T0_CALL_FRESH, {"attribute", "default", "case_sensitive"}},
    {"highlight", t0_run_highlight, 0, 0, {NULL}},
    {"indent", t0_run_indent, 0, 0, {"width", "first", "blank"}},
    {"int", t0_run_int, 0, 0, {"default", "base"}},
    {"items", t0_run_items, 0, 0, {NULL}},
    {"join", t0_run_join, 0, 0, {"d", "attribute"}},
    {"last", t0_run_last, 0, 0, {NULL}},
    {"length", t0_run_length, 0, 0, {NULL}},
    {"list", t0_run_list, 0, T0_CALL_FRESH, {NULL}},
    {"lower", t0_run_lower, 0, 0, {NULL}},
    {"max", t0_run_max, 0, 0, {"case_sensitive", "attribute"}},
    {"min", t0_run_min, 0, 0, {"case_sensitive", "attribute"}},
    {"most_frequent", t0_run_most_frequent, 0, T0_CALL_FRESH, {NULL}},
    {"random", t0_run_random, 0, T0_CALL_RANDOM, {NULL}},
    {"replace", t0_run_replace, 2, 0, {"old", "new", "count"}},
    {"reverse", t0_run_reverse, 0, 0, {NULL}},
    {"round", t0_run_round, 0, 0, {"precision", "method"}},
    {"slice", t0_run_slice, 1, 0, {"slices", "fill_with"}},
    {"sort", t0_run_sort, 0, T0_CALL_FRESH, {"reverse", "case_sensitive", "attribute"}},
    {"striptags", t0_run_striptags, 0, 0, {NULL}},
    {"sum", t0_run_sum, 0, 0, {"attribute", "start"}},
    {"tojson", t0_run_tojson, 0, 0, {"indent"}},
    {"title", t0_run_title, 0, 0, {NULL}},
    {"trim", t0_run_trim, 0, 0, {"chars"}},
    {"truncate", t0_run_truncate, 0, 0, {"length", "killwords", "end", "leeway"}},
    {"unique", t0_run_unique, 0, 0, {"case_sensitive", "attribute"}},
    {"upper", t0_run_upper, 0, 0, {NULL}},
    {"urlencode", t0_run_urlencode, 0, 0, {NULL}},
    {"wordcount", t0_run_wordcount, 0, 0, {NULL}},
    {"wordwrap", t0_run_wordwrap, 0, 0, {"width", "break_long_words", "wrapstring", "break_on_hyphens"}},
};

const t0_filter *const t0_filter_string = &filters[0], *const t0_filter_format = &filters[1];

const t0_filter *t0_filter_find(PyObject *name) {
    for (size_t i = 0; lazy_filters[i]; i++)
        if (PyUnicode_CompareWithASCIIString(name, lazy_filters[i]->name) == 0) return lazy_filters[i];
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        if (PyUnicode_CompareWithASCIIString(name, filters[i].name) == 0) return &filters[i];
    return NULL;
}

bool t0_filter_is_jinja(PyObject *name) {
    static const char *const refused[] = {"e", "escape", "forceescape", "pprint", "safe", "urlize", "xmlattr", NULL};
    for (size_t i = 0; refused[i]; i++)
        if (PyUnicode_CompareWithASCIIString(name, refused[i]) == 0) return true;
    return false;
}

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
    if (status == 0 && n && PyDict_CheckExact(args->items[0])) status = t0_charge_tree(c, args->items[0]) < 0 ? -1 : PyDict_Update(out, args->items[0]);
    else if (status == 0 && n) status = (pairs = t0_list(c, args->items[0])) && t0_charge_tree(c, pairs) == 0 ? PyDict_MergeFromSeq2(out, pairs, 1) : -1;
    for (Py_ssize_t i = 0; status == 0 && i < n_keywords; i++) status = PyDict_SetItem(out, PyTuple_GET_ITEM(keywords, i), args->items[n + i]);
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
    static const t0_function functions[] = {{"range", run_range, 0}, {"zip", run_zip, 0}, {"dict", run_dict, T0_CALL_KEYWORDS},
                                            {"namespace", run_namespace, T0_CALL_KEYWORDS},
                                            {"joiner", run_joiner, T0_CALL_KEYWORDS}, {"cycler", run_cycler, 0}};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (PyUnicode_CompareWithASCIIString(name, functions[i].name) == 0) return &functions[i];
    return NULL;
}
