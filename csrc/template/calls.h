/* What a template may call: the allow-lists of filters, tests, functions and methods, and the state of one rendering.
 *
 * Every function here returns a new reference, or NULL with a Python exception set. */
#ifndef T0_TEMPLATE_CALLS_H
#define T0_TEMPLATE_CALLS_H

#include "template/node.h"
#include "template/writer.h"

typedef struct t0_runtime t0_runtime;

enum { T0_PICK_RANDOM, T0_PICK_FIRST, T0_PICK_LAST };

typedef struct t0_owned {
    PyObject **slots; /* open addressing, strong references: a pointer in here is never reused */
    size_t used, capacity;
} t0_owned;

/* What a lazy value or a loop knows of its rendering: an object of the example may keep one for longer than that lasts. */
typedef struct t0_life {
    size_t holders;
    unsigned long thread;
    struct t0_context *c; /* NULL once the rendering has ended */
} t0_life;

typedef struct t0_context {
    const t0_template *template;
    t0_runtime *runtime;
    PyObject *example;        /* mapping; borrowed */
    PyObject *answer_choices; /* borrowed, NULL: not given */
    bool escapes;             /* replace ||| in top-level strings of the example by the marker */
    t0_writer *noted;         /* the writer that notes the template's own |||; NULL: none */
    PyObject **locals;        /* [n_slots] strong, NULL: missing */
    PyObject **globals;       /* [n_names] strong, NULL: not looked up yet */
    t0_writer *out;
    uint64_t steps, max_steps, nodes; /* nodes: the steps that hold no memory */
    uint64_t pause, yielded;  /* steps at which t0_charge does more than count; at the last turn of other threads */
    size_t max_output, max_memory;
    double max_seconds, deadline; /* 0: none; deadline: on the monotonic clock */
    const t0_node *where;     /* the node at work, for messages */
    t0_owned owned;           /* containers the template made; kept only where the template mutates */
    uint64_t seed, index, draws;
    int pick;
    t0_life *life;            /* NULL until something shares it */
    PyObject *captured;       /* borrowed: the text that a block's filters are applied to */
    const char *stack;        /* where the rendering's stack began */
} t0_context;

typedef struct t0_arguments {
    PyObject **items; /* borrowed; NULL: not given */
    uint32_t count;
} t0_arguments;

typedef PyObject *(*t0_filter_run)(t0_context *c, PyObject *value, const t0_arguments *args);
typedef struct t0_filter t0_filter;
typedef int (*t0_test_run)(t0_context *c, PyObject *value, const t0_arguments *args); /* 1, 0, -1: exception set */
typedef PyObject *(*t0_function_run)(t0_context *c, const t0_arguments *args, PyObject *keywords);

enum { T0_CALL_FRESH = 1, T0_CALL_ANY_COUNT = 2, T0_CALL_RANDOM = 4, T0_CALL_LAZY = 8, T0_CALL_KEYWORDS = 16, T0_CALL_MUTATES = 32 };

struct t0_filter {
    const char *name;
    t0_filter_run run;
    uint8_t required, flags;
    const char *parameters[5]; /* names, in order; NULL ends */
};

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

enum { T0_TYPE_STR = 1, T0_TYPE_LIST = 2, T0_TYPE_DICT = 4, T0_TYPE_TUPLE = 8, T0_TYPE_INT = 16, T0_TYPE_FLOAT = 32,
       T0_TYPE_BOOL = 64, T0_TYPE_NONE = 128, T0_TYPE_RANGE = 256, T0_TYPE_LOOP = 512, T0_TYPE_HELPER = 1024, T0_TYPE_OTHER = 2048 };

typedef struct t0_method {
    const char *name;
    uint16_t types; /* bit set of receivers */
    uint8_t flags, price; /* price: of methods.c */
} t0_method;

const t0_filter *t0_filter_find(PyObject *name); /* NULL: not allowed, no exception */
const t0_test *t0_test_find(PyObject *name);
const t0_function *t0_function_find(PyObject *name);
const t0_method *t0_method_find(PyObject *name);
bool t0_filter_is_jinja(PyObject *name); /* a filter of Jinja's that is refused here */
extern const t0_filter *const t0_filter_string, *const t0_filter_format;
extern const t0_filter t0_filter_map, t0_filter_map_attribute, t0_filter_select, t0_filter_reject, t0_filter_selectattr,
    t0_filter_rejectattr;

/* The types of filters by what they take; filter_*.c define them, filters.c lists them. */
#define T0_FILTER(name) PyObject *t0_run_##name(t0_context *c, PyObject *value, const t0_arguments *args)

/* evaluate.c */
PyObject *t0_evaluate(t0_context *c, const t0_node *node);
int t0_execute(t0_context *c, const t0_node *body); /* -1: exception set */
/* The text that a body prints, its frame entered; with `iterable`, body is a for loop and goes over that. */
PyObject *t0_capture(t0_context *c, const t0_node *body, PyObject *iterable, long depth0);
PyObject *t0_evaluate_method(t0_context *c, const t0_node *node);
int t0_assign(t0_context *c, const t0_node *target, PyObject *value);
PyObject *t0_read_name(t0_context *c, const t0_node *node);
PyObject *t0_peek_name(t0_context *c, const t0_node *node); /* borrowed; NULL: exception set, or no value yet */
int t0_enter(t0_context *c, const t0_slot_init *inits, uint32_t n);
bool t0_evaluate_arguments(t0_context *c, const t0_node *node, PyObject **room, t0_arguments *out);
void t0_arguments_free(const t0_arguments *args);

/* budget.c: every cost is charged as steps; -1 with TemplateError set when a budget is used up. */
int t0_pause(t0_context *c);
static inline int t0_charge(t0_context *c, uint64_t steps) {
    c->steps += steps;
    return c->steps <= c->pause ? 0 : t0_pause(c);
}
static inline int t0_charge_node(t0_context *c) {
    c->nodes++;
    return t0_charge(c, 1);
}
void t0_budget_open(t0_context *c); /* max_... are set */
int t0_charge_size(t0_context *c, uint64_t characters); /* before a string of this length is made */
int t0_charge_tree(t0_context *c, PyObject *value);      /* before a value is compared or hashed */
int t0_charge_print(t0_context *c, PyObject *value);     /* before a container is printed */
PyObject *t0_settle_wide(t0_context *c, PyObject *text);
static inline PyObject *t0_settle(t0_context *c, PyObject *out) { /* the rest of the price of a text just made; passes `out` on, NULL too */
    return !out || !PyUnicode_CheckExact(out) || PyUnicode_KIND(out) == PyUnicode_1BYTE_KIND ? out : t0_settle_wide(c, out);
}
int t0_refuse(t0_context *c, const char *format, ...);   /* always -1 */
int t0_own_container(t0_context *c, PyObject *container);
static inline int t0_own(t0_context *c, PyObject *made) { /* notes a container that the template made; anything else passes */
    const bool noted = c->template->mutates && (PyList_CheckExact(made) || PyDict_CheckExact(made));
    return noted ? t0_own_container(c, made) : 0;
}
bool t0_owns(const t0_context *c, PyObject *container);
void t0_owned_free(t0_owned *owned);

/* lookup.c */
uint16_t t0_type_of(const t0_context *c, PyObject *value);
uint32_t t0_attribute_types(PyObject *name);
PyObject *t0_get_attribute(t0_context *c, PyObject *base, PyObject *name, uint32_t types);
PyObject *t0_get_item(t0_context *c, PyObject *base, PyObject *key);
PyObject *t0_path_parse(t0_context *c, PyObject *attribute);               /* str or int -> tuple of keys */
PyObject *t0_path_get(t0_context *c, PyObject *base, PyObject *path, PyObject *fallback); /* fallback: NULL or borrowed */

/* values.c: types that live inside one rendering */
struct t0_runtime {
    PyObject_HEAD
    PyObject *TemplateError, *empty, *round, *number; /* number: numbers.Number */
    PyObject *answer_choices;                         /* that text, interned */
    PyTypeObject *undefined_type, *namespace_type, *loop_type, *lazy_type, *macro_type, *helper_type, *group_type;
};
PyObject *t0_runtime_new(PyObject *TemplateError);
PyObject *t0_undefined(t0_context *c, PyObject *name); /* name may be NULL */
static inline bool t0_is_undefined(const t0_context *c, PyObject *value) { return Py_TYPE(value) == c->runtime->undefined_type; }
int t0_raise_undefined(PyObject *value); /* always -1: says what is undefined */
PyObject *t0_namespace_new(t0_context *c, PyObject *attributes);
PyObject *t0_namespace_attributes(PyObject *value); /* borrowed */
t0_life *t0_life_share(t0_context *c);             /* a holder more; NULL: MemoryError is set */
void t0_life_drop(t0_life *life);                  /* NULL is fine */
t0_context *t0_life_context(const t0_life *life);  /* NULL: RuntimeError is set */

/* macro.c */
PyObject *t0_macro_new(t0_context *c, const t0_node *node);
PyObject *t0_call_value(t0_context *c, const t0_node *call, PyObject *value, const t0_arguments *args);
PyType_Spec *t0_macro_spec(void);

/* helper.c */
PyObject *t0_helper_new(t0_context *c, const t0_arguments *items, bool joins); /* joiner; else cycler */
PyObject *t0_helper_attribute(t0_context *c, PyObject *helper, PyObject *name); /* NULL without exception: no such attribute */
PyObject *t0_helper_call(t0_context *c, PyObject *helper, PyObject *name);
bool t0_is_joiner(const t0_context *c, PyObject *value);
PyObject *t0_joiner_call(t0_context *c, PyObject *joiner, const t0_arguments *args);
PyType_Spec *t0_helper_spec(void);

/* loop.c */
typedef struct t0_loop t0_loop;
PyObject *t0_loop_new(t0_context *c, const t0_node *node, PyObject *iterable, PyObject *iterator, long depth0);
const t0_node *t0_loop_recursion(t0_context *c, PyObject *loop, long *depth0); /* NULL: exception set */
int t0_loop_next(t0_context *c, PyObject *loop, PyObject **item); /* 1: *item new; 0: end; -1 */
int t0_source_next(t0_context *c, const t0_loop_parts *parts, PyObject *iterator, PyObject **item);
PyObject *t0_loop_attribute(t0_context *c, PyObject *loop, PyObject *name); /* NULL without exception: no such attribute */
PyObject *t0_loop_call(t0_context *c, PyObject *loop, PyObject *name, const t0_arguments *args);
PyType_Spec *t0_loop_spec(void);

/* lazy.c: what map, select, reject and unique give: an iterator that is used once */
PyObject *t0_lazy_filter(t0_context *c, const t0_node *node, PyObject *value, const t0_arguments *args); /* args: of all filters in there */
PyObject *t0_lazy_new(t0_context *c, int kind, PyObject *value, PyObject *path, PyObject *fallback, const t0_node *inner,
                      const t0_arguments *args);
PyObject *t0_zip_new(t0_context *c, const t0_arguments *sources);
enum { T0_LAZY_MAP, T0_LAZY_MAP_PATH, T0_LAZY_SELECT, T0_LAZY_REJECT, T0_LAZY_UNIQUE, T0_LAZY_ZIP };
PyType_Spec *t0_lazy_spec(void);

/* filter_list.c: items sorted by the key at a path (a tuple) or by the keys at several (a list); fallback: NULL or borrowed,
 * for missing keys. */
PyObject *t0_sorted(t0_context *c, PyObject *value, PyObject *paths, PyObject *fallback, bool sensitive, bool reverse);
PyObject *t0_sort_key(t0_context *c, PyObject *item, PyObject *path, PyObject *fallback, bool sensitive);

/* filter_group.c: a pair (grouper, list) whose parts have these names. NULL without exception: another name. */
PyObject *t0_group_attribute(PyObject *group, PyObject *name);
PyType_Spec *t0_group_spec(void);

/* text.c: str(value) as a template prints it, and lists out of anything iterable, within the budgets */
PyObject *t0_text(t0_context *c, PyObject *value);
PyObject *t0_list(t0_context *c, PyObject *iterable);
PyObject *t0_lower_key(t0_context *c, PyObject *value); /* a str in lower case, anything else itself */
int t0_truth(t0_context *c, PyObject *value);
int t0_check_integer(t0_context *c, PyObject *value); /* refuses an int of too many bits */
PyObject *t0_binary(t0_context *c, int op, PyObject *a, PyObject *b);
int t0_compare(t0_context *c, int op, PyObject *a, PyObject *b);
PyObject *t0_pick(t0_context *c, PyObject *sequence);

#endif
