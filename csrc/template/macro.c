/* Macros: a body with parameters, called by name; what it prints is the value of the call.
 *
 *     call:  slots of the body put aside (a macro may call itself) -> inits -> parameters -> defaults -> body -> slots back
 *
 * A macro reads the variables around it as they are when it is called. A parameter without argument and default is
 * undefined. The stack that a call may use is bounded, not the number of calls within calls. */
#include "template/calls.h"

#include <string.h>

enum { STACK_MAX = 1 << 20 };

typedef struct macro {
    PyObject_HEAD
    t0_life *life;
    const t0_node *node; /* T_MACRO; valid while the rendering lasts */
} macro;

PyObject *t0_macro_new(t0_context *c, const t0_node *node) {
    PyTypeObject *type = c->runtime->macro_type;
    macro *self = (macro *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    self->node = node;
    if (!(self->life = t0_life_share(c))) Py_CLEAR(self);
    return (PyObject *)self;
}

static int refuse_argument(const t0_node *node, PyObject *keyword) {
    if (keyword) PyErr_Format(PyExc_TypeError, "macro %R takes no keyword argument %R", node->a->value, keyword);
    else PyErr_Format(PyExc_TypeError, "macro %R takes not more than %u argument(s)", node->a->value, node->count / 2);
    return -1;
}

/* The parameter that a keyword names, or that has this position; -1 with an exception set. */
static int parameter_of(const t0_node *node, PyObject *keyword, uint32_t position) {
    if (!keyword) return 2 * position < node->count ? (int)position : refuse_argument(node, NULL);
    for (uint32_t i = 0; i < node->count; i += 2)
        if (node->items[i]->value == keyword) return (int)(i / 2);
    return refuse_argument(node, keyword);
}

static int set_parameters(t0_context *c, const t0_node *node, const t0_arguments *args, PyObject *keywords) {
    const uint32_t n_plain = args->count - (keywords ? (uint32_t)PyTuple_GET_SIZE(keywords) : 0);
    for (uint32_t i = 0; i < args->count; i++) {
        const int which = parameter_of(node, i < n_plain ? NULL : PyTuple_GET_ITEM(keywords, i - n_plain), i);
        if (which < 0) return -1;
        PyObject **slot = &c->locals[node->items[2 * which]->slot];
        if (*slot) {
            PyErr_Format(PyExc_TypeError, "macro %R got several values for argument %R", node->a->value, node->items[2 * which]->value);
            return -1;
        }
        *slot = Py_NewRef(args->items[i]);
    }
    for (uint32_t i = 0; i < node->count; i += 2) {
        PyObject **slot = &c->locals[node->items[i]->slot];
        if (*slot) continue;
        PyObject *value = node->items[i + 1] ? t0_evaluate(c, node->items[i + 1]) : t0_undefined(c, node->items[i]->value);
        if (!value) return -1;
        Py_XSETREF(*slot, value);
    }
    return 0;
}

/* `saved` has room for the body's slots. */
static PyObject *run(t0_context *c, const t0_node *node, const t0_arguments *args, PyObject *keywords, PyObject **saved) {
    const t0_loop_parts *parts = node->loop;
    PyObject **slots = c->locals + parts->first;
    const size_t n = parts->end - parts->first;
    if (n) memcpy(saved, slots, n * sizeof *saved);
    if (n) memset(slots, 0, n * sizeof *slots);
    int status = t0_enter(c, parts->inits, parts->n_inits);
    if (status == 0) status = set_parameters(c, node, args, keywords);
    PyObject *text = status == 0 ? t0_capture(c, parts) : NULL;
    for (size_t i = 0; i < n; i++) Py_XSETREF(slots[i], saved[i]);
    return text;
}

static PyObject *invoke(t0_context *c, const t0_node *call, PyObject *value, const t0_arguments *args) {
    if (t0_is_undefined(c, value)) return t0_raise_undefined(value), NULL;
    if (Py_TYPE(value) != c->runtime->macro_type || ((macro *)value)->life != c->life) {
        t0_refuse(c, "%U is not a macro here: rename the field or the variable", call->a->value);
        return NULL;
    }
    const char *here = __builtin_frame_address(0);
    if ((here < c->stack ? c->stack - here : here - c->stack) > STACK_MAX) {
        t0_refuse(c, "macro %R calls itself or others too deeply", call->a->value);
        return NULL;
    }
    const t0_node *node = ((macro *)value)->node;
    const size_t n = node->loop->end - node->loop->first;
    PyObject *room[16], **saved = n <= 16 ? room : PyMem_Malloc(n * sizeof *saved);
    if (!saved) return PyErr_NoMemory();
    PyObject *text = t0_charge(c, 1 + n / 8) < 0 ? NULL : run(c, node, args, call->b ? call->b->value : NULL, saved);
    if (saved != room) PyMem_Free(saved);
    return text;
}

PyObject *t0_evaluate_invocation(t0_context *c, const t0_node *node) {
    PyObject *value = t0_evaluate(c, node->a), *room[64], *text = NULL;
    t0_arguments args;
    if (value && t0_evaluate_arguments(c, node, room, &args)) {
        c->where = node;
        text = invoke(c, node, value, &args);
        t0_arguments_free(&args);
    }
    Py_XDECREF(value);
    return text;
}

static void macro_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    t0_life_drop(((macro *)self)->life);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *macro_repr(PyObject *self) {
    (void)self;
    PyErr_SetString(PyExc_TypeError, "a macro cannot be printed: call it with ()");
    return NULL;
}

PyType_Spec *t0_macro_spec(void) {
    static PyType_Slot slots[] = {{Py_tp_dealloc, macro_dealloc}, {Py_tp_repr, macro_repr}, {0, NULL}};
    static PyType_Spec spec = {"t0native._core.Macro", sizeof(macro), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
    return &spec;
}
