/* Methods: an allow-list by receiver type; the call itself is CPython's. A method that changes its receiver works only
 * on a container that the template made; what could make a long text or a long list is charged first. */
#include "template/methods.h"

#include "template/budget.h"
#include "template/helper.h"
#include "template/lookup.h"
#include "template/loop.h"
#include "template/operators.h"
#include "template/owned.h"
#include "template/subclass.h"
#include "template/values.h"

#include <assert.h>
#include <string.h>

enum { WIDTH_MAX = 100000 };
/* Methods whose price depends on more than the receiver's size. */
enum { PLAIN, JOIN, REPLACE, WIDTH, EXTEND, APPEND, SHIFT, COPY, UPDATE, SORT };
#define S T0_TYPE_STR
#define L T0_TYPE_LIST
#define D T0_TYPE_DICT
#define T T0_TYPE_TUPLE
#define R T0_TYPE_RANGE
#define KW T0_CALL_KEYWORDS
#define MUT T0_CALL_MUTATES
#define NEW_LIST T0_CALL_FRESH

static const t0_method methods[] = {
    {"split", S, KW | NEW_LIST, PLAIN},
    {"append", L, MUT, APPEND},
    {"lower", S, 0, PLAIN},
    {"replace", S, 0, REPLACE},
    {"index", S | L | T | R, 0, PLAIN},
    {"join", S, 0, JOIN},
    {"update", D, MUT | KW, UPDATE},
    {"strip", S, 0, PLAIN},
    {"pop", L | D, MUT, SHIFT},
    {"items", D, 0, PLAIN},
    {"keys", D, 0, PLAIN},
    {"values", D, 0, PLAIN},
    {"startswith", S, 0, PLAIN},
    {"endswith", S, 0, PLAIN},
    {"capitalize", S, 0, PLAIN},
    {"upper", S, 0, PLAIN},
    {"title", S, 0, PLAIN},
    {"lstrip", S, 0, PLAIN},
    {"rstrip", S, 0, PLAIN},
    {"rsplit", S, KW | NEW_LIST, PLAIN},
    {"splitlines", S, KW | NEW_LIST, PLAIN},
    {"find", S, 0, PLAIN},
    {"rfind", S, 0, PLAIN},
    {"rindex", S, 0, PLAIN},
    {"count", S | L | T | R, 0, PLAIN},
    {"isdigit", S, 0, PLAIN},
    {"isalpha", S, 0, PLAIN},
    {"isalnum", S, 0, PLAIN},
    {"isnumeric", S, 0, PLAIN},
    {"isdecimal", S, 0, PLAIN},
    {"isupper", S, 0, PLAIN},
    {"islower", S, 0, PLAIN},
    {"isspace", S, 0, PLAIN},
    {"istitle", S, 0, PLAIN},
    {"swapcase", S, 0, PLAIN},
    {"casefold", S, 0, PLAIN},
    {"center", S, 0, WIDTH},
    {"ljust", S, 0, WIDTH},
    {"rjust", S, 0, WIDTH},
    {"zfill", S, 0, WIDTH},
    {"partition", S, 0, PLAIN},
    {"rpartition", S, 0, PLAIN},
    {"removeprefix", S, 0, PLAIN},
    {"removesuffix", S, 0, PLAIN},
    {"get", D, 0, PLAIN},
    {"setdefault", D, MUT, PLAIN},
    {"extend", L, MUT, EXTEND},
    {"insert", L, MUT, SHIFT},
    {"remove", L, MUT, PLAIN},
    {"reverse", L, MUT, SHIFT},
    {"clear", L | D, MUT, SHIFT},
    {"copy", L | D, NEW_LIST, COPY},
    {"cycle", T0_TYPE_LOOP, 0, PLAIN},
    {"changed", T0_TYPE_LOOP, 0, PLAIN},
    {"next", T0_TYPE_HELPER, 0, PLAIN},
    {"reset", T0_TYPE_HELPER, 0, PLAIN},
    {"sort", L, MUT | KW, SORT},
    {"popitem", D, MUT, PLAIN},
    {"isascii", S, 0, PLAIN},
    {"isidentifier", S, 0, PLAIN},
    {"isprintable", S, 0, PLAIN},
    {"is_integer", T0_TYPE_FLOAT, 0, PLAIN},
    {"bit_length", T0_TYPE_INT | T0_TYPE_BOOL, 0, PLAIN},
};

const t0_method *t0_method_find(PyObject *name) {
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (PyUnicode_CompareWithASCIIString(name, methods[i].name) == 0) return &methods[i];
    return NULL;
}

/* str.join: a charged list of the items instead of any iterable. */
static int prepare_join(t0_context *c, PyObject *glue, t0_arguments *args) {
    if (args->count != 1) return 0;
    PyObject *items = t0_list(c, args->items[0]);
    if (!items) return -1;
    Py_SETREF(args->items[0], items);
    uint64_t total = (uint64_t)PyList_GET_SIZE(items) * (uint64_t)PyUnicode_GET_LENGTH(glue);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items); i++)
        if (PyUnicode_Check(PyList_GET_ITEM(items, i))) total += (uint64_t)PyUnicode_GET_LENGTH(PyList_GET_ITEM(items, i));
    return t0_charge_size(c, total);
}

static int prepare_text(t0_context *c, const t0_method *method, PyObject *self, t0_arguments *args) {
    const uint64_t size = (uint64_t)PyUnicode_GET_LENGTH(self); /* every second character may become a text of its own */
    if (t0_charge(c, method->flags & NEW_LIST ? size / 4 : size / 32) < 0) return -1;
    if (method->price == JOIN) return prepare_join(c, self, args);
    if (method->price == REPLACE && args->count >= 2 && PyUnicode_Check(args->items[0]) && PyUnicode_Check(args->items[1]))
        return t0_charge_replace(c, self, args->items[0], args->items[1]);
    if (method->price != WIDTH || !args->count || !PyLong_Check(args->items[0])) return 0;
    int overflow;
    const long long width = PyLong_AsLongLongAndOverflow(args->items[0], &overflow);
    if (overflow > 0 || width > WIDTH_MAX) return t0_refuse(c, "a width of more than %d", WIDTH_MAX);
    return width > 0 ? t0_charge_size(c, (uint64_t)width) : 0;
}

/* Each item is compared some log2(size) times; what it costs is known once the whole has been weighed. */
static int charge_sort(t0_context *c, PyObject *list, uint64_t size) {
    const uint64_t before = c->steps;
    uint64_t rounds = 1;
    while (size >> rounds) rounds++;
    return t0_charge_tree(c, list) < 0 ? -1 : t0_charge(c, rounds * (c->steps - before + size / 16));
}

static int prepare_list(t0_context *c, const t0_method *method, PyObject *self, t0_arguments *args) {
    const uint64_t size = PyList_Check(self) ? (uint64_t)PyList_GET_SIZE(self) : 0;
    if (method->price == EXTEND && args->count == 1) {
        PyObject *items = t0_list(c, args->items[0]);
        if (!items) return -1;
        Py_SETREF(args->items[0], items);
        return 0;
    }
    if (method->price == APPEND) return 0;
    if (method->price == SHIFT) return t0_charge(c, size / 512);
    if (method->price == SORT) return charge_sort(c, self, size);
    if (PyLong_Check(self) || PyFloat_Check(self)) return 0;
    if (PyRange_Check(self)) { /* searching a range for anything but an int walks through it */
        if (args->count == 1 && !PyLong_CheckExact(args->items[0])) return t0_refuse(c, "range.%s needs an int", method->name);
        return 0;
    }
    return t0_charge_tree(c, self) < 0 || (args->count && t0_charge_tree(c, args->items[0]) < 0) ? -1 : 0;
}

/* n_plain: arguments without a name; the first of update's is a dict or pairs. */
static int prepare_dict(t0_context *c, const t0_method *method, PyObject *self, t0_arguments *args, size_t n_plain) {
    if (method->price == COPY) return t0_charge_tree(c, self); /* a dict that lost keys is made anew, key by key */
    for (uint32_t i = 0; i < args->count; i++) {
        if (method->price == UPDATE && i == 0 && n_plain && !PyDict_CheckExact(args->items[i])) {
            if (t0_is_undefined(c, args->items[0])) return t0_raise_undefined(args->items[0]);
            PyObject *pairs = t0_list(c, args->items[0]);
            if (!pairs) return -1;
            Py_SETREF(args->items[0], pairs);
        }
        if (t0_charge_tree(c, args->items[i]) < 0) return -1;
    }
    return 0;
}

static int prepare(t0_context *c, const t0_method *method, PyObject *self, uint16_t type, t0_arguments *args, size_t n_plain) {
    if (method->flags & MUT && !t0_owns(c, self))
        return t0_refuse(c, "%s.%s: a template may change only what it made itself: copy it first with |list or dict()",
                         Py_TYPE(self)->tp_name, method->name);
    if (type == S) return prepare_text(c, method, self, args);
    return type == D ? prepare_dict(c, method, self, args, n_plain) : prepare_list(c, method, self, args);
}

static bool names_only(PyObject *names, const char *name) {
    return PyTuple_GET_SIZE(names) == 1 && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), name) == 0;
}

/* What the weighing of a value does not look into: the containers of a subclass. */
static int charge_subclass(t0_context *c, PyObject *self) {
    const Py_ssize_t size = PyList_Check(self)    ? PyList_GET_SIZE(self)
                            : PyDict_Check(self)  ? PyDict_GET_SIZE(self)
                            : PyTuple_Check(self) ? PyTuple_GET_SIZE(self)
                                                  : 0;
    return t0_charge(c, 1 + (uint64_t)size / 4);
}

PyObject *t0_call_method(t0_context *c, const t0_node *node, PyObject *self, t0_arguments *args) {
    const t0_method *method = node->fn;
    if (t0_is_undefined(c, self)) return PyObject_GetItem(self, Py_None);
    uint16_t type = t0_type_of(c, self);
    const int inherits = type == T0_TYPE_OTHER ? t0_inherits(self, node->value, &type) : 0;
    if (inherits < 0 || (inherits && charge_subclass(c, self) < 0)) return NULL;
    if (type == T0_TYPE_LOOP && method->types & T0_TYPE_LOOP) return t0_loop_call(c, self, node->value, args);
    if (type == T0_TYPE_HELPER && method->types & T0_TYPE_HELPER && !args->count) return t0_helper_call(self, node->value);
    if (!(method->types & type)) {
        PyErr_Format(PyExc_TypeError, "%s has no method %s that a template may call", Py_TYPE(self)->tp_name, method->name);
        return NULL;
    }
    if (method->price == SORT && node->b && !names_only(node->b->value, "reverse"))
        return t0_refuse(c, "sort takes reverse alone: a key would be called"), NULL;
    PyObject *stack[1 + T0_ROOM], *names = node->b ? node->b->value : NULL;
    const size_t n_plain = args->count - (names ? (size_t)PyTuple_GET_SIZE(names) : 0);
    assert(args->count <= T0_ROOM);
    if (prepare(c, method, self, type, args, n_plain) < 0) return NULL;
    if (method->price == APPEND && n_plain == 1 && !names) return PyList_Append(self, args->items[0]) < 0 ? NULL : Py_NewRef(Py_None);
    stack[0] = self;
    memcpy(stack + 1, args->items, args->count * sizeof *stack);
    PyObject *out = PyObject_VectorcallMethod(node->value, stack, 1 + n_plain, names);
    if (out && PyList_CheckExact(out) && method->flags & NEW_LIST && t0_charge(c, (uint64_t)PyList_GET_SIZE(out) / 8) < 0) Py_CLEAR(out);
    if (out && method->flags & NEW_LIST && t0_own(c, out) < 0) Py_CLEAR(out);
    return out;
}
