/* The `loop` variable: where a for loop stands. It looks one item ahead only when it is asked to (last, nextitem), and
 * reads the rest only for length. With `for .. if`, it counts the items that pass the test. */
#include "template/loop.h"

#include "template/budget.h"
#include "template/evaluate.h"
#include "template/operators.h"
#include "template/values.h"

#include <assert.h>

typedef struct t0_loop {
    PyObject_HEAD
    t0_life *life;
    const t0_node *node;          /* of the loop; valid while the rendering lasts */
    const t0_loop_parts *parts;
    PyObject *iterable, *iterator, *before, *current, *after, *changed;
    Py_ssize_t index0, length;    /* length -1: not known */
    long depth0;
    bool drained;                 /* iterator is over items that passed the test */
} t0_loop;

/* The next item of the source that passes the loop's test. */
int t0_source_next(t0_context *c, const t0_loop_parts *parts, PyObject *iterator, PyObject **item) {
    for (;;) {
        if (t0_charge_node(c) < 0) return -1;
        *item = PyIter_Next(iterator);
        if (!*item) return PyErr_Occurred() ? -1 : 0;
        if (!parts->test) return 1;
        PyObject *test = t0_assign(c, parts->test_target, *item) < 0 ? NULL : t0_evaluate(c, parts->test);
        const int passes = test ? t0_truth(test) : -1;
        Py_XDECREF(test);
        if (passes > 0 && parts->target->kind == T_TUPLE) Py_SETREF(*item, t0_evaluate(c, parts->test_target));
        if (passes > 0 && *item) return 1;
        Py_CLEAR(*item);
        if (passes) return -1;
    }
}

PyObject *t0_loop_new(t0_context *c, const t0_node *node, PyObject *iterable, PyObject *iterator, long depth0) {
    PyTypeObject *type = c->runtime->loop_type;
    t0_loop *loop = (t0_loop *)type->tp_alloc(type, 0);
    if (!loop) return NULL;
    loop->node = node;
    loop->parts = node->loop;
    loop->depth0 = depth0;
    loop->iterable = Py_NewRef(iterable);
    loop->iterator = Py_NewRef(iterator);
    loop->index0 = loop->length = -1;
    if (!(loop->life = t0_life_share(c))) Py_CLEAR(loop);
    return (PyObject *)loop;
}

static int pull(t0_context *c, t0_loop *loop, PyObject **item) {
    if (!loop->drained) return t0_source_next(c, loop->parts, loop->iterator, item);
    *item = PyIter_Next(loop->iterator);
    return *item ? 1 : PyErr_Occurred() ? -1 : 0;
}

int t0_loop_next(t0_context *c, PyObject *self, PyObject **item) {
    t0_loop *loop = (t0_loop *)self;
    int status = 1;
    if (loop->after) {
        *item = loop->after;
        loop->after = NULL;
    } else status = pull(c, loop, item);
    if (status <= 0) return status;
    loop->index0++;
    Py_XSETREF(loop->before, loop->current);
    loop->current = Py_NewRef(*item);
    return 1;
}

static int peek(t0_context *c, t0_loop *loop) { return loop->after ? 1 : pull(c, loop, &loop->after); }

static int measure(t0_context *c, t0_loop *loop) {
    if (loop->length >= 0) return 0;
    if (!loop->parts->test) {
        loop->length = PyObject_Size(loop->iterable);
        if (loop->length >= 0) return 0;
        if (!PyErr_ExceptionMatches(PyExc_TypeError)) return -1;
        PyErr_Clear();
    }
    PyObject *rest = PyList_New(0), *item;
    int status = rest ? 1 : -1;
    while (status > 0 && (status = pull(c, loop, &item)) > 0) {
        if (PyList_Append(rest, item) < 0) status = -1;
        Py_DECREF(item);
    }
    if (status == 0) {
        loop->length = PyList_GET_SIZE(rest) + loop->index0 + 1 + (loop->after != NULL);
        Py_SETREF(loop->iterator, PyObject_GetIter(rest));
        loop->drained = true;
        if (!loop->iterator) status = -1;
    }
    Py_XDECREF(rest);
    return status;
}

/* An object of the example may have kept the loop of another rendering. */
static int is_ours(t0_context *c, const t0_loop *loop) {
    return loop->life == c->life ? 0 : t0_refuse(c, "the loop variable of another rendering");
}

PyObject *t0_loop_attribute(t0_context *c, PyObject *self, PyObject *name) {
    t0_loop *loop = (t0_loop *)self;
    if (is_ours(c, loop) < 0) return NULL;
    static const char *const names[] = {"index",     "index0",   "first",    "last",  "length", "revindex",
                                        "revindex0", "previtem", "nextitem", "depth", "depth0"};
    int which = 0;
    while (which < 11 && PyUnicode_CompareWithASCIIString(name, names[which]) != 0) which++;
    if (which >= 4 && which <= 6 && measure(c, loop) < 0) return NULL;
    const int next = which == 3 || which == 8 ? peek(c, loop) : 0;
    if (next < 0) return NULL;
    switch (which) {
    case 0: return PyLong_FromSsize_t(loop->index0 + 1);
    case 1: return PyLong_FromSsize_t(loop->index0);
    case 2: return PyBool_FromLong(loop->index0 == 0);
    case 3: return PyBool_FromLong(!next);
    case 4: return PyLong_FromSsize_t(loop->length);
    case 5: return PyLong_FromSsize_t(loop->length - loop->index0);
    case 6: return PyLong_FromSsize_t(loop->length - loop->index0 - 1);
    case 7: return loop->index0 == 0 || !loop->before ? t0_undefined(c, name) : Py_NewRef(loop->before);
    case 8: return next ? Py_NewRef(loop->after) : t0_undefined(c, name);
    case 9: return PyLong_FromLong(loop->depth0 + 1);
    case 10: return PyLong_FromLong(loop->depth0);
    default: break;
    }
    if (PyUnicode_CompareWithASCIIString(name, "cycle") == 0 || PyUnicode_CompareWithASCIIString(name, "changed") == 0)
        t0_refuse(c, "loop.%U must be called", name);
    return NULL;
}

const t0_node *t0_loop_recursion(t0_context *c, PyObject *self, long *depth0) {
    t0_loop *loop = (t0_loop *)self;
    if (is_ours(c, loop) < 0) return NULL;
    *depth0 = loop->depth0 + 1;
    if (loop->parts->recursive) return loop->node;
    PyErr_SetString(PyExc_TypeError, "only a loop with the word recursive can be called");
    return NULL;
}

PyObject *t0_loop_call(t0_context *c, PyObject *self, PyObject *name, const t0_arguments *args) {
    t0_loop *loop = (t0_loop *)self;
    if (is_ours(c, loop) < 0) return NULL;
    assert(loop->index0 >= 0); /* a template sees a loop from its first item on */
    if (PyUnicode_CompareWithASCIIString(name, "cycle") == 0) {
        if (args->count) return Py_NewRef(args->items[loop->index0 % args->count]);
        PyErr_SetString(PyExc_TypeError, "no items for cycling given");
        return NULL;
    }
    PyObject *now = PyTuple_New(args->count);
    if (!now) return NULL;
    for (uint32_t i = 0; i < args->count; i++) PyTuple_SET_ITEM(now, i, Py_NewRef(args->items[i]));
    const int same = t0_charge_tree(c, now) < 0 ? -1 : loop->changed ? PyObject_RichCompareBool(loop->changed, now, Py_EQ) : 0;
    Py_XSETREF(loop->changed, now);
    return same < 0 ? NULL : PyBool_FromLong(!same);
}

/* To a template that iterates over `loop` itself, each item is a pair of the item and the loop, which goes on. */
static PyObject *loop_iternext(PyObject *self) {
    t0_context *c = t0_life_context(((t0_loop *)self)->life);
    PyObject *item;
    if (!c || t0_loop_next(c, self, &item) <= 0) return NULL;
    PyObject *pair = PyTuple_Pack(2, item, self);
    Py_DECREF(item);
    return pair;
}

static Py_ssize_t loop_length(PyObject *self) {
    t0_loop *loop = (t0_loop *)self;
    t0_context *c = t0_life_context(loop->life);
    return !c || measure(c, loop) < 0 ? -1 : loop->length;
}

static int loop_traverse(PyObject *self, visitproc visit, void *arg) {
    t0_loop *loop = (t0_loop *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(loop->iterable);
    Py_VISIT(loop->iterator);
    Py_VISIT(loop->before);
    Py_VISIT(loop->current);
    Py_VISIT(loop->after);
    Py_VISIT(loop->changed);
    return 0;
}

static int loop_clear(PyObject *self) {
    t0_loop *loop = (t0_loop *)self;
    Py_CLEAR(loop->iterable);
    Py_CLEAR(loop->iterator);
    Py_CLEAR(loop->before);
    Py_CLEAR(loop->current);
    Py_CLEAR(loop->after);
    Py_CLEAR(loop->changed);
    return 0;
}

static void loop_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_TRASHCAN_BEGIN(self, loop_dealloc) /* loops may be items of loops, in a chain of any length */
        loop_clear(self);
    t0_life_drop(((t0_loop *)self)->life);
    type->tp_free(self);
    Py_DECREF(type);
    Py_TRASHCAN_END
}

static PyObject *loop_repr(PyObject *self) {
    (void)self;
    PyErr_SetString(PyExc_TypeError, "the loop variable itself cannot be printed: print loop.index");
    return NULL;
}

PyType_Spec *t0_loop_spec(void) {
    static PyType_Slot slots[] = {
        {Py_tp_dealloc, loop_dealloc},   {Py_tp_traverse, loop_traverse}, {Py_tp_clear, loop_clear},   {Py_tp_repr, loop_repr},
        {Py_tp_iter, PyObject_SelfIter}, {Py_tp_iternext, loop_iternext}, {Py_mp_length, loop_length}, {0, NULL}};
    static PyType_Spec spec = {"t0native._core.Loop", sizeof(t0_loop), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
    return &spec;
}
