/* What map, select, reject, selectattr, rejectattr, unique and zip give: an iterator that works when it is read, is true,
 * has no length and can be read once, as Python's generators are. A false source gives nothing (unique and zip aside).
 *
 * `level` counts lazy values over lazy values: it bounds the recursion of reading and of freeing them. */
#include "template/lazy.h"

#include "template/budget.h"
#include "template/lookup.h"
#include "template/operators.h"
#include "template/owned.h"
#include "template/values.h"

#include <assert.h>

enum { LEVEL_MAX = 60 };
_Static_assert(T0_ROOM <= 64, "one bit of lazy.given an argument");

const t0_filter t0_filter_map = {"map", NULL, 0, T0_CALL_LAZY, {NULL}};
const t0_filter t0_filter_map_attribute = {"map", NULL, 1, T0_CALL_LAZY, {"attribute", "default"}};
const t0_filter t0_filter_select = {"select", NULL, 0, T0_CALL_LAZY, {NULL}};
const t0_filter t0_filter_reject = {"reject", NULL, 0, T0_CALL_LAZY, {NULL}};
const t0_filter t0_filter_selectattr = {"selectattr", NULL, 0, T0_CALL_LAZY, {NULL}};
const t0_filter t0_filter_rejectattr = {"rejectattr", NULL, 0, T0_CALL_LAZY, {NULL}};

typedef struct lazy {
    PyObject_HEAD
    t0_life *life;
    const t0_node *inner;    /* the filter or test applied to each item; NULL: none; valid while the rendering lasts */
    PyObject *source;        /* the value; for zip a tuple of iterators */
    PyObject *iterator, *path, *fallback, *seen;
    PyObject *args;          /* tuple of the inner call's arguments; None stands for NULL where `given` lacks the bit */
    uint64_t given;
    int kind, level;
    bool ended, running;
} lazy;

static int level_of(const t0_context *c, PyObject *value) { return Py_TYPE(value) == c->runtime->lazy_type ? ((lazy *)value)->level : 0; }

static lazy *lazy_alloc(t0_context *c, int kind, int level) {
    if (level > LEVEL_MAX) {
        t0_refuse(c, "more than %d lazy filters over one another: put |list between them", LEVEL_MAX);
        return NULL;
    }
    PyTypeObject *type = c->runtime->lazy_type;
    lazy *self = (lazy *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    self->kind = kind;
    self->level = level;
    if (!(self->life = t0_life_share(c))) Py_CLEAR(self);
    return self;
}

PyObject *t0_lazy_new(t0_context *c, int kind, PyObject *value, PyObject *path, PyObject *fallback, const t0_node *inner,
                      const t0_arguments *args) {
    lazy *self = lazy_alloc(c, kind, level_of(c, value) + 1);
    if (!self) return NULL;
    self->source = Py_NewRef(value);
    self->path = Py_XNewRef(path);
    self->fallback = Py_XNewRef(fallback);
    self->inner = inner;
    const uint32_t n = args ? args->count : 0;
    assert(n <= T0_ROOM);
    self->args = PyTuple_New(n);
    for (uint32_t i = 0; self->args && i < n; i++) {
        PyTuple_SET_ITEM(self->args, i, Py_NewRef(args->items[i] ? args->items[i] : Py_None));
        if (args->items[i]) self->given |= (uint64_t)1 << i;
    }
    if (kind == T0_LAZY_UNIQUE) self->seen = PySet_New(NULL);
    if (self->args && (kind != T0_LAZY_UNIQUE || self->seen)) return (PyObject *)self;
    Py_DECREF(self);
    return NULL;
}

PyObject *t0_lazy_filter(t0_context *c, const t0_node *node, PyObject *value, const t0_arguments *args) {
    assert(node->count <= args->count);
    const t0_filter *filter = node->fn;
    const t0_arguments inner = {args->items + node->count, args->count - node->count};
    const int kind = filter == &t0_filter_map_attribute                               ? T0_LAZY_MAP_PATH
                     : filter == &t0_filter_map                                       ? T0_LAZY_MAP
                     : filter == &t0_filter_select || filter == &t0_filter_selectattr ? T0_LAZY_SELECT
                                                                                      : T0_LAZY_REJECT;
    PyObject *fallback = node->count > 1 && args->items[1] != Py_None ? args->items[1] : NULL, *path = NULL, *out = NULL;
    if (!node->count || (path = t0_path_parse(c, args->items[0]))) out = t0_lazy_new(c, kind, value, path, fallback, node->b, &inner);
    Py_XDECREF(path);
    return out;
}

static PyObject *map_item(t0_context *c, const t0_node *inner, PyObject *item, const t0_arguments *args) {
    const t0_filter *filter = inner->fn;
    if (filter->flags & T0_CALL_LAZY) return t0_lazy_filter(c, inner, item, args);
    PyObject *out = t0_settle(c, filter->run(c, item, args));
    if (out && filter->flags & T0_CALL_FRESH && t0_own(c, out) < 0) Py_CLEAR(out);
    return out;
}

PyObject *t0_zip_new(t0_context *c, const t0_arguments *sources) {
    int level = 0;
    for (uint32_t i = 0; i < sources->count; i++)
        if (level_of(c, sources->items[i]) > level) level = level_of(c, sources->items[i]);
    lazy *self = lazy_alloc(c, T0_LAZY_ZIP, level + 1);
    if (!self) return NULL;
    self->ended = !sources->count;
    if (!(self->source = PyTuple_New(sources->count))) Py_CLEAR(self);
    for (uint32_t i = 0; self && i < sources->count; i++) {
        PyObject *iterator = PyObject_GetIter(sources->items[i]);
        if (!iterator) {
            Py_DECREF(self);
            return NULL;
        }
        PyTuple_SET_ITEM(self->source, i, iterator);
    }
    return (PyObject *)self;
}

static PyObject *zip_next(lazy *self) {
    const Py_ssize_t n = PyTuple_GET_SIZE(self->source);
    PyObject *row = PyTuple_New(n);
    for (Py_ssize_t i = 0; row && i < n; i++) {
        PyObject *item = PyIter_Next(PyTuple_GET_ITEM(self->source, i));
        if (!item) {
            self->ended = true;
            Py_CLEAR(row);
        } else PyTuple_SET_ITEM(row, i, item);
    }
    return row;
}

static int start(lazy *self) {
    const int some = self->kind == T0_LAZY_UNIQUE ? 1 : t0_truth(self->source);
    if (some < 0) return -1;
    if (some) return (self->iterator = PyObject_GetIter(self->source)) ? 0 : -1;
    self->ended = true;
    return 0;
}

static t0_arguments inner_arguments(lazy *self, PyObject **room) {
    const uint32_t n = (uint32_t)PyTuple_GET_SIZE(self->args);
    for (uint32_t i = 0; i < n; i++) room[i] = self->given >> i & 1 ? PyTuple_GET_ITEM(self->args, i) : NULL;
    return (t0_arguments){room, n};
}

/* 1: keep the item, 0: drop it, -1 */
static int selects(t0_context *c, lazy *self, PyObject *item, const t0_arguments *args) {
    PyObject *value = self->path ? t0_path_get(c, item, self->path, NULL) : Py_NewRef(item);
    if (!value) return -1;
    const int passes = self->inner ? ((const t0_test *)self->inner->fn)->run(c, value, args) : t0_truth(value);
    Py_DECREF(value);
    return passes < 0 ? -1 : passes == (self->kind == T0_LAZY_SELECT);
}

static int is_new(t0_context *c, lazy *self, PyObject *item) {
    PyObject *value = self->path ? t0_path_get(c, item, self->path, NULL) : Py_NewRef(item);
    PyObject *key = value && !self->fallback ? t0_lower_key(c, value) : Py_XNewRef(value); /* fallback set: case sensitive */
    Py_XDECREF(value);
    if (!key || t0_charge_tree(c, key) < 0) {
        Py_XDECREF(key);
        return -1;
    }
    const int known = PySet_Contains(self->seen, key);
    const int status = known ? known : PySet_Add(self->seen, key);
    Py_DECREF(key);
    return status < 0 ? -1 : !known;
}

static PyObject *next_item(t0_context *c, lazy *self) {
    PyObject *room[T0_ROOM];
    if (self->kind == T0_LAZY_ZIP)
        return self->ended || t0_charge(c, 1 + (uint64_t)PyTuple_GET_SIZE(self->source)) < 0 ? NULL : zip_next(self);
    if (!self->ended && !self->iterator && start(self) < 0) return NULL;
    const t0_arguments args = inner_arguments(self, room);
    while (!self->ended) {
        if (t0_charge(c, 2) < 0) return NULL;
        PyObject *item = PyIter_Next(self->iterator), *out = NULL;
        if (!item) break;
        int keep = 0;
        if (self->kind == T0_LAZY_MAP) out = map_item(c, self->inner, item, &args);
        else if (self->kind == T0_LAZY_MAP_PATH) out = t0_path_get(c, item, self->path, self->fallback);
        else if ((keep = self->kind == T0_LAZY_UNIQUE ? is_new(c, self, item) : selects(c, self, item, &args)) > 0) out = Py_NewRef(item);
        Py_DECREF(item);
        if (out) return out;
        if (keep < 0 || PyErr_Occurred()) break;
    }
    self->ended = true; /* as a generator: after an error too */
    return NULL;
}

/* The items of a lazy value may be lazy in turn, to any depth; one that comes upon itself is refused as a generator is. */
static PyObject *lazy_next(PyObject *object) {
    lazy *self = (lazy *)object;
    t0_context *c = t0_life_context(self->life);
    if (!c || Py_EnterRecursiveCall(" in lazy filters")) return NULL;
    PyObject *item = NULL;
    if (self->running) PyErr_SetString(PyExc_ValueError, "a lazy value that is being read cannot be read by itself");
    else {
        self->running = true;
        item = next_item(c, self);
        self->running = false;
    }
    Py_LeaveRecursiveCall();
    return item;
}

static int lazy_traverse(PyObject *object, visitproc visit, void *arg) {
    lazy *self = (lazy *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->source);
    Py_VISIT(self->iterator);
    Py_VISIT(self->path);
    Py_VISIT(self->fallback);
    Py_VISIT(self->seen);
    Py_VISIT(self->args);
    return 0;
}

static int lazy_clear(PyObject *object) {
    lazy *self = (lazy *)object;
    Py_CLEAR(self->source);
    Py_CLEAR(self->iterator);
    Py_CLEAR(self->path);
    Py_CLEAR(self->fallback);
    Py_CLEAR(self->seen);
    Py_CLEAR(self->args);
    return 0;
}

static void lazy_dealloc(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    Py_TRASHCAN_BEGIN(object, lazy_dealloc) /* a template can chain any number of them by their fallbacks */
        lazy_clear(object);
    t0_life_drop(((lazy *)object)->life);
    type->tp_free(object);
    Py_DECREF(type);
    Py_TRASHCAN_END
}

static PyObject *lazy_repr(PyObject *object) {
    (void)object;
    PyErr_SetString(PyExc_TypeError, "the result of map, select, reject, unique or zip cannot be printed: put |list or |join after it");
    return NULL;
}

PyType_Spec *t0_lazy_spec(void) {
    static PyType_Slot slots[] = {{Py_tp_dealloc, lazy_dealloc},
                                  {Py_tp_traverse, lazy_traverse},
                                  {Py_tp_clear, lazy_clear},
                                  {Py_tp_repr, lazy_repr},
                                  {Py_tp_iter, PyObject_SelfIter},
                                  {Py_tp_iternext, lazy_next},
                                  {0, NULL}};
    static PyType_Spec spec = {"t0native._core.Lazy", sizeof(lazy), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
    return &spec;
}
