/* The allow-list of filters; filter_*.c, lookup.c and lazy.c define them. */
#include "template/allowed.h"

#define DECLARE(name) T0_FILTER(name);
#define FOR_EACH(X)                                                                                                            \
    X(attr) X(filesizeformat) X(striptags) X(tojson) X(urlencode)                                                              \
    X(abs) X(batch) X(capitalize) X(center) X(choice) X(default) X(dictsort) X(first) X(float) X(format) X(groupby) X(highlight) X(indent) X(int) X(items) X(join)    \
    X(last) X(length) X(list) X(lower) X(max) X(min) X(most_frequent) X(random) X(replace) X(reverse) X(round) X(slice) X(sort)         \
    X(string) X(sum) X(title) X(trim) X(truncate) X(unique) X(upper) X(wordcount) X(wordwrap)
FOR_EACH(DECLARE)

static const t0_filter *const lazy_filters[] = {&t0_filter_map,        &t0_filter_select,     &t0_filter_reject,
                                                &t0_filter_selectattr, &t0_filter_rejectattr, NULL};

enum { STRING, FORMAT };
static const t0_filter filters[] = {
    [STRING] = {"string", t0_run_string, 0, 0, {NULL}},
    [FORMAT] = {"format", t0_run_format, 0, T0_CALL_ANY_COUNT, {NULL}},
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

const t0_filter *const t0_filter_string = &filters[STRING], *const t0_filter_format = &filters[FORMAT];

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
