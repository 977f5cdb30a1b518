/* What a template may call: the allow-lists of filters, tests, functions and methods. */
#ifndef T0_TEMPLATE_ALLOWED_H
#define T0_TEMPLATE_ALLOWED_H

#include "template/context.h"

enum { T0_ROOM = 64 }; /* arguments of one call: at most 60 written out, and an attribute and a default */

typedef struct t0_arguments {
    PyObject **items; /* [count] borrowed; NULL: not given */
    uint32_t count;
} t0_arguments;

typedef PyObject *(*t0_filter_run)(t0_context *c, PyObject *value, const t0_arguments *args); /* new; NULL: exception set */
typedef int (*t0_test_run)(t0_context *c, PyObject *value, const t0_arguments *args);         /* 1, 0, -1: exception set */
typedef PyObject *(*t0_function_run)(t0_context *c, const t0_arguments *args,
                                     PyObject *keywords); /* keywords: tuple of the last ones' names, or NULL */

enum { T0_CALL_FRESH = 1, T0_CALL_ANY_COUNT = 2, T0_CALL_RANDOM = 4, T0_CALL_LAZY = 8, T0_CALL_KEYWORDS = 16, T0_CALL_MUTATES = 32 };

typedef struct t0_filter {
    const char *name;
    t0_filter_run run; /* NULL where T0_CALL_LAZY */
    uint8_t required, flags;
    const char *parameters[5]; /* names, in order; NULL ends */
} t0_filter;

typedef struct t0_test {
    const char *name;
    t0_test_run run;
    uint8_t count; /* arguments beside the value */
} t0_test;

typedef struct t0_function {
    const char *name;
    t0_function_run run;
    uint8_t flags;
} t0_function;

enum {
    T0_TYPE_STR = 1,
    T0_TYPE_LIST = 2,
    T0_TYPE_DICT = 4,
    T0_TYPE_TUPLE = 8,
    T0_TYPE_INT = 16,
    T0_TYPE_FLOAT = 32,
    T0_TYPE_BOOL = 64,
    T0_TYPE_NONE = 128,
    T0_TYPE_RANGE = 256,
    T0_TYPE_LOOP = 512,
    T0_TYPE_HELPER = 1024,
    T0_TYPE_OTHER = 2048
};

typedef struct t0_method {
    const char *name;
    uint16_t types; /* bit set of receivers */
    uint8_t flags, price; /* price: of methods.c */
} t0_method;

/* By name, a str; NULL: not allowed, no exception. */
const t0_filter *t0_filter_find(PyObject *name);
const t0_test *t0_test_find(PyObject *name);
const t0_function *t0_function_find(PyObject *name);
const t0_method *t0_method_find(PyObject *name);
bool t0_filter_is_jinja(PyObject *name); /* a filter of Jinja's that is refused here */

/* Filters that are known by more than their names. */
extern const t0_filter *const t0_filter_string, *const t0_filter_format;
extern const t0_filter t0_filter_map, t0_filter_map_attribute, t0_filter_select, t0_filter_reject, t0_filter_selectattr,
    t0_filter_rejectattr;

/* The function of a filter, defined in the file of its kind and listed in filters.c. */
#define T0_FILTER(name) PyObject *t0_run_##name(t0_context *c, PyObject *value, const t0_arguments *args)

#endif
