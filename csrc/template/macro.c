/* Values that are called by their names: macros, and loops that call themselves for other items. What the body prints is
 * the value of the call.
 *
 *     call:  slots of the body put aside (it may call itself) -> inits -> parameters -> defaults -> body -> slots back
 *
 * A macro reads the variables around it as they are when it is called. A parameter without argument and default is
 * undefined. The stack that a call may use is bounded, not the number of calls within calls. */
#include "template/macro.h"

#include "template/budget.h"
#include "template/evaluate.h"
#include "template/execute.h"
#include "template/helper.h"
#include "template/loop.h"
#include "template/values.h"

#include <assert.h>
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

/* The slots of a call, put aside while another one of the same macro or loop uses them; false with an exception set. */
typedef struct aside {
    PyObject *room[16], **saved, **slots;
    size_t n;
} aside;

static bool put_aside(t0_context *c, const t0_loop_parts *parts, aside *out) {
    const char *here = __builtin_frame_address(0);
    if ((here < c->stack ? c->stack - here : here - c->stack) > STACK_MAX)
        return t0_refuse(c, "macros or loops that call themselves too deeply"), false;
    assert(parts->first <= parts->end && parts->end <= c->template->n_slots);
    out->n = parts->end - parts->first;
    out->slots = c->locals + parts->first;
    if (t0_charge(c, 1 + out->n / 8) < 0) return false;
    out->saved = out->n <= 16 ? out->room : PyMem_Malloc(out->n * sizeof *out->saved);
    if (!out->saved) return PyErr_NoMemory(), false;
    if (out->n) memcpy(out->saved, out->slots, out->n * sizeof *out->saved);
    if (out->n) memset(out->slots, 0, out->n * sizeof *out->slots);
    return true;
}

static void put_back(aside *kept) {
    for (size_t i = 0; i < kept->n; i++) Py_XSETREF(kept->slots[i], kept->saved[i]);
    if (kept->saved != kept->room) PyMem_Free(kept->saved);
}

static PyObject *call_macro(t0_context *c, const t0_node *node, const t0_arguments *args, PyObject *keywords) {
    aside kept;
    if (!put_aside(c, node->loop, &kept)) return NULL;
    int status = t0_enter(c, node->loop->inits, node->loop->n_inits);
    if (status == 0) status = set_parameters(c, node, args, keywords);
    PyObject *text = status == 0 ? t0_capture(c, node->loop->body, NULL, 0) : NULL;
    put_back(&kept);
    return text;
}

static PyObject *call_loop(t0_context *c, PyObject *loop, const t0_arguments *args, PyObject *keywords) {
    long depth0;
    aside kept;
    const t0_node *node = t0_loop_recursion(c, loop, &depth0);
    if (!node) return NULL;
    if (args->count != 1 || keywords) return PyErr_Format(PyExc_TypeError, "loop(items) takes one argument, got %u", args->count);
    if (!put_aside(c, node->loop, &kept)) return NULL;
    PyObject *text = t0_capture(c, node, args->items[0], depth0);
    put_back(&kept);
    return text;
}

PyObject *t0_call_value(t0_context *c, const t0_node *call, PyObject *value, const t0_arguments *args) {
    assert(call->kind == T_CALL);
    PyObject *const keywords = call->value;
    const PyTypeObject *type = Py_TYPE(value);
    if (t0_is_undefined(c, value)) return t0_raise_undefined(value), NULL;
    if (type == c->runtime->loop_type) return call_loop(c, value, args, keywords);
    if (t0_is_joiner(c, value)) return t0_joiner_call(c, value, args);
    if (type == c->runtime->macro_type && ((macro *)value)->life == c->life) return call_macro(c, ((macro *)value)->node, args, keywords);
    t0_refuse(c, "%U is not a macro here: rename the field or the variable", call->a->value);
    return NULL;
}

static void macro_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    t0_life_drop(((macro *)self)->life);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *macro_repr(PyObject *object) {
    macro *self = (macro *)object;
    return t0_life_context(self->life) ? PyUnicode_FromFormat("<Macro %R>", self->node->a->value) : NULL;
}

PyType_Spec *t0_macro_spec(void) {
    static PyType_Slot slots[] = {{Py_tp_dealloc, macro_dealloc}, {Py_tp_repr, macro_repr}, {0, NULL}};
    static PyType_Spec spec = {"t0native._core.Macro", sizeof(macro), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
    return &spec;
}
