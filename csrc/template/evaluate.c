/* Expressions: a walk over the compiled tree. Each case evaluates its children left to right, as Jinja's generated
 * Python does, charges a step, and leaves the work to CPython's own routines. */
#include "template/evaluate.h"

#include "template/allowed.h"
#include "template/budget.h"
#include "template/lazy.h"
#include "template/lookup.h"
#include "template/macro.h"
#include "template/methods.h"
#include "template/notes.h"
#include "template/operators.h"
#include "template/owned.h"
#include "template/subclass.h"
#include "template/values.h"

#include <assert.h>

enum { UNPACK_MAX = 64 };

static PyObject *read_example(t0_context *c, int32_t number) {
    PyObject *name = c->template->names[number], *value;
    if (c->answer_choices && name == c->runtime->answer_choices) value = c->answer_choices;
    else value = PyDict_GetItemWithError(c->example, name);
    if (!value) {
        if (PyErr_Occurred()) return NULL;
        if (t0_function_find(name)) {
            t0_refuse(c, "%U is a function here: call it", name);
            return NULL;
        }
        return c->globals[number] = t0_undefined(c, name);
    }
    return c->globals[number] = c->escapes && PyUnicode_Check(value) ? t0_escape_separators(value) : Py_NewRef(value);
}

/* Borrowed; NULL with an exception, or NULL without one where the name has no value yet. */
static PyObject *slot_value(t0_context *c, int32_t slot) {
    assert(slot >= 0 ? (uint32_t)slot < c->template->n_slots : (uint32_t)~slot < c->template->n_names);
    if (slot >= 0) return c->locals[slot];
    PyObject *value = c->globals[~slot];
    return value ? value : read_example(c, ~slot);
}

PyObject *t0_peek_name(t0_context *c, const t0_node *node) {
    c->where = node;
    return slot_value(c, node->slot);
}

static PyObject *read_name(t0_context *c, const t0_node *node) {
    PyObject *value = slot_value(c, node->slot);
    if (value) return Py_NewRef(value);
    return PyErr_Occurred() ? NULL : t0_undefined(c, node->value);
}

int t0_enter(t0_context *c, const t0_slot_init *inits, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        PyObject *value = inits[i].from == T0_NO_SLOT ? NULL : slot_value(c, inits[i].from);
        if (!value && PyErr_Occurred()) return -1;
        assert(inits[i].slot >= 0 && (uint32_t)inits[i].slot < c->template->n_slots);
        if (value && t0_is_undefined(c, value) && inits[i].from < 0) value = NULL; /* missing: named anew where it is read */
        Py_XSETREF(c->locals[inits[i].slot], Py_XNewRef(value));
    }
    return 0;
}

static int assign_tuple(t0_context *c, const t0_node *target, PyObject *value) {
    PyObject *iterator = PyObject_GetIter(value);
    if (!iterator) return -1;
    PyObject *items[UNPACK_MAX], *extra = NULL;
    uint32_t n = 0;
    int status = target->count <= UNPACK_MAX ? 0 : t0_refuse(c, "more than %d names to assign at once", UNPACK_MAX);
    while (status == 0 && n < target->count && (items[n] = PyIter_Next(iterator))) n++;
    if (status == 0 && !PyErr_Occurred()) {
        if (n < target->count) PyErr_Format(PyExc_ValueError, "not enough values to unpack (expected %u, got %u)", target->count, n);
        else if ((extra = PyIter_Next(iterator))) PyErr_Format(PyExc_ValueError, "too many values to unpack (expected %u)", target->count);
    }
    Py_XDECREF(extra);
    Py_DECREF(iterator);
    if (PyErr_Occurred()) status = -1;
    for (uint32_t i = 0; i < n; i++) {
        if (status == 0) status = t0_assign(c, target->items[i], items[i]);
        Py_DECREF(items[i]);
    }
    return status;
}

static PyObject *namespace_of(t0_context *c, const t0_node *target) {
    PyObject *base = slot_value(c, target->a->slot);
    if (base && Py_TYPE(base) == c->runtime->namespace_type) return t0_namespace_attributes(base);
    if (!PyErr_Occurred()) t0_refuse(c, "%U is not a namespace: its attributes cannot be set", target->a->value);
    return NULL;
}

int t0_assign(t0_context *c, const t0_node *target, PyObject *value) {
    if (target->kind == T_TUPLE) return assign_tuple(c, target, value);
    if (target->kind == T_NAME) {
        assert(target->slot >= 0 && (uint32_t)target->slot < c->template->n_slots);
        Py_XSETREF(c->locals[target->slot], Py_NewRef(value));
        return 0;
    }
    assert(target->kind == T_FIELD);
    PyObject *attributes = namespace_of(c, target);
    return attributes ? PyDict_SetItem(attributes, target->value, value) : -1;
}

static PyObject *evaluate_sequence(t0_context *c, const t0_node *node, bool list) {
    PyObject *out = list ? PyList_New(node->count) : PyTuple_New(node->count);
    for (uint32_t i = 0; out && i < node->count; i++) {
        PyObject *item = t0_evaluate(c, node->items[i]);
        if (!item) Py_CLEAR(out);
        else if (list) PyList_SET_ITEM(out, i, item);
        else PyTuple_SET_ITEM(out, i, item);
    }
    if (out && list && t0_own(c, out) < 0) Py_CLEAR(out);
    return out;
}

static PyObject *evaluate_dict(t0_context *c, const t0_node *node) {
    PyObject *out = PyDict_New();
    for (uint32_t i = 0; out && i < node->count; i += 2) {
        PyObject *key = t0_evaluate(c, node->items[i]);
        PyObject *value = key ? t0_evaluate(c, node->items[i + 1]) : NULL;
        if (!value || t0_charge_tree(c, key) < 0 || PyDict_SetItem(out, key, value) < 0) Py_CLEAR(out);
        Py_XDECREF(key);
        Py_XDECREF(value);
    }
    if (out && t0_own(c, out) < 0) Py_CLEAR(out);
    return out;
}

static PyObject *evaluate_slice(t0_context *c, const t0_node *node) {
    PyObject *base = t0_evaluate(c, node->a), *parts[3] = {NULL, NULL, NULL}, *out = NULL;
    bool ready = base != NULL;
    for (int i = 0; ready && i < 3; i++) {
        parts[i] = node->items[i] ? t0_evaluate(c, node->items[i]) : Py_NewRef(Py_None);
        ready = parts[i] != NULL;
    }
    c->where = node;
    PyObject *slice = ready ? PySlice_New(parts[0], parts[1], parts[2]) : NULL;
    if (slice) {
        const bool sized = PyList_Check(base) || PyTuple_Check(base) || PyUnicode_Check(base);
        if (sized && t0_charge(c, (uint64_t)PyObject_Size(base) / 64) < 0) out = NULL;
        else out = t0_item_of(c, base, slice);
        const Py_ssize_t size = !out                      ? 0
                                : PyList_CheckExact(out)  ? PyList_GET_SIZE(out)
                                : PyTuple_CheckExact(out) ? PyTuple_GET_SIZE(out)
                                                          : 0;
        if (t0_charge(c, (uint64_t)size / 8) < 0) Py_CLEAR(out);
    }
    if (out && t0_own(c, out) < 0) Py_CLEAR(out);
    Py_XDECREF(slice);
    Py_XDECREF(base);
    for (int i = 0; i < 3; i++) Py_XDECREF(parts[i]);
    return out;
}

/* Evaluates the arguments into room[count], at most T0_ROOM; false with an exception set and nothing held. */
static bool evaluate_arguments(t0_context *c, const t0_node *node, PyObject **room, t0_arguments *out) {
    assert(node->count <= T0_ROOM);
    out->items = room;
    out->count = node->count;
    for (uint32_t i = 0; i < node->count; i++) {
        room[i] = node->items[i] ? t0_evaluate(c, node->items[i]) : NULL;
        if (room[i] || !node->items[i]) continue;
        while (i--) Py_XDECREF(room[i]);
        return false;
    }
    return true;
}

static void free_arguments(const t0_arguments *args) {
    for (uint32_t i = 0; i < args->count; i++) Py_XDECREF(args->items[i]);
}

/* The arguments of a lazy filter and of what it names, map('map', 'replace', 'a', 'b'), one after the other. */
static PyObject *evaluate_lazy(t0_context *c, const t0_node *node, PyObject *value) {
    PyObject *room[T0_ROOM], *out = NULL;
    t0_arguments args = {room, 0}, more;
    const t0_node *inner = node;
    for (; inner; inner = inner->b, args.count += more.count) {
        assert(args.count + inner->count <= T0_ROOM); /* all were written in one call */
        if (!evaluate_arguments(c, inner, room + args.count, &more)) break;
    }
    if (!inner) out = t0_lazy_filter(c, node, value, &args);
    free_arguments(&args);
    return out;
}

static PyObject *evaluate_filter(t0_context *c, const t0_node *node) {
    const t0_filter *filter = node->fn;
    PyObject *room[T0_ROOM], *value = t0_evaluate(c, node->a), *out = NULL;
    t0_arguments args;
    if (!value) return NULL;
    if (filter->flags & T0_CALL_LAZY) {
        out = evaluate_lazy(c, node, value);
        c->where = node;
    } else if (evaluate_arguments(c, node, room, &args)) {
        c->where = node;
        out = filter->run(c, value, &args);
        if (node->truncates && out && out != value) t0_note_cut(c);
        free_arguments(&args);
    }
    Py_DECREF(value);
    if (out && filter->flags & T0_CALL_FRESH && t0_own(c, out) < 0) Py_CLEAR(out);
    return out;
}

static PyObject *evaluate_test(t0_context *c, const t0_node *node) {
    PyObject *room[T0_ROOM], *value = t0_evaluate(c, node->a);
    t0_arguments args;
    int passes = -1;
    if (value && evaluate_arguments(c, node, room, &args)) {
        c->where = node;
        passes = ((const t0_test *)node->fn)->run(c, value, &args);
        free_arguments(&args);
    }
    Py_XDECREF(value);
    return passes < 0 ? NULL : PyBool_FromLong(passes);
}

static PyObject *evaluate_call(t0_context *c, const t0_node *node) {
    PyObject *room[T0_ROOM];
    t0_arguments args;
    const bool own = node->a->slot >= 0; /* a variable of the template: a macro, a loop, a joiner */
    assert(own || node->fn); /* any other call was refused while compiling */
    c->where = node;
    PyObject *value = own ? read_name(c, node->a) : NULL, *out = NULL;
    if (own ? !value : PyDict_Contains(c->example, node->a->value)) {
        if (!own) t0_refuse(c, "%U is a field of the example here, not the function: rename it", node->a->value);
        return NULL;
    }
    if (evaluate_arguments(c, node, room, &args)) {
        c->where = node;
        out = own ? t0_call_value(c, node, value, &args) : ((const t0_function *)node->fn)->run(c, &args, node->value);
        free_arguments(&args);
    }
    Py_XDECREF(value);
    if (out && t0_own(c, out) < 0) Py_CLEAR(out);
    return out;
}

static PyObject *evaluate_method(t0_context *c, const t0_node *node) {
    PyObject *self = t0_evaluate(c, node->a), *room[T0_ROOM], *out = NULL;
    t0_arguments args;
    if (!self) return NULL;
    if (evaluate_arguments(c, node, room, &args)) {
        c->where = node;
        out = t0_call_method(c, node, self, &args);
        free_arguments(&args);
    }
    Py_DECREF(self);
    return out;
}

static PyObject *evaluate_compare(t0_context *c, const t0_node *node) {
    PyObject *left = t0_evaluate(c, node->a);
    int holds = left ? 1 : -1;
    for (uint32_t i = 0; holds == 1 && i < node->count; i++) {
        PyObject *right = t0_evaluate(c, node->items[i]->a);
        c->where = node->items[i];
        holds = right ? t0_compare(c, node->items[i]->op, left, right) : -1;
        Py_SETREF(left, right);
    }
    Py_XDECREF(left);
    return holds < 0 ? NULL : PyBool_FromLong(holds);
}

static PyObject *evaluate_binary(t0_context *c, const t0_node *node) {
    PyObject *a = t0_evaluate(c, node->a), *b = a ? t0_evaluate(c, node->b) : NULL, *out = NULL;
    c->where = node;
    if (b) out = t0_binary(c, node->op, a, b);
    Py_XDECREF(a);
    Py_XDECREF(b);
    if (out && t0_own(c, out) < 0) Py_CLEAR(out);
    return out;
}

static PyObject *evaluate_unary(t0_context *c, const t0_node *node) {
    PyObject *a = t0_evaluate(c, node->a), *out = NULL;
    if (!a) return NULL;
    c->where = node;
    if (node->op == OP_NEG) out = PyNumber_Negative(a);
    else if (node->op == OP_POS) out = PyNumber_Positive(a);
    else {
        const int truth = t0_truth(a);
        out = truth < 0 ? NULL : PyBool_FromLong(!truth);
    }
    Py_DECREF(a);
    return out;
}

static PyObject *evaluate_logic(t0_context *c, const t0_node *node) {
    PyObject *a = t0_evaluate(c, node->a);
    const int truth = a ? t0_truth(a) : -1;
    if (truth == (node->kind == T_OR)) return a;
    Py_XDECREF(a);
    return truth < 0 ? NULL : t0_evaluate(c, node->b);
}

static PyObject *evaluate_condition(t0_context *c, const t0_node *node) {
    PyObject *test = t0_evaluate(c, node->b);
    const int truth = test ? t0_truth(test) : -1;
    Py_XDECREF(test);
    if (truth < 0) return NULL;
    if (truth) return t0_evaluate(c, node->a);
    return node->c ? t0_evaluate(c, node->c) : t0_undefined(c, NULL);
}

static PyObject *evaluate_concat(t0_context *c, const t0_node *node) {
    PyObject *texts = PyTuple_New(node->count);
    uint64_t size = 0;
    for (uint32_t i = 0; texts && i < node->count; i++) {
        PyObject *value = t0_evaluate(c, node->items[i]);
        c->where = node;
        PyObject *text = value ? t0_text(c, value) : NULL;
        Py_XDECREF(value);
        if (text) size += (uint64_t)PyUnicode_GET_LENGTH(text);
        if (text) PyTuple_SET_ITEM(texts, i, text);
        else Py_CLEAR(texts);
    }
    PyObject *out = texts && t0_charge_size(c, size) == 0 ? PyUnicode_Join(c->runtime->empty, texts) : NULL;
    Py_XDECREF(texts);
    return out;
}

static PyObject *evaluate_lookup(t0_context *c, const t0_node *node) {
    PyObject *base = t0_evaluate(c, node->a), *key = base && node->kind == T_ITEM ? t0_evaluate(c, node->b) : NULL, *out = NULL;
    c->where = node;
    if (base && node->kind == T_ATTR) out = t0_get_attribute(c, base, node->value, node->attrs);
    else if (key) out = t0_get_item(c, base, key);
    if (out && key && c->notes && t0_note_lookup(c, node, base, key, out) < 0) Py_CLEAR(out);
    Py_XDECREF(base);
    Py_XDECREF(key);
    return out;
}

PyObject *t0_evaluate(t0_context *c, const t0_node *node) {
    if (t0_charge_node(c) < 0) {
        c->where = node;
        return NULL;
    }
    switch ((t0_node_kind)node->kind) {
    case T_CONST: return Py_NewRef(node->value);
    case T_NAME: c->where = node; return read_name(c, node);
    case T_ATTR:
    case T_ITEM: return evaluate_lookup(c, node);
    case T_FILTER: return t0_settle(c, evaluate_filter(c, node));
    case T_METHOD: return t0_settle(c, evaluate_method(c, node));
    case T_COMPARE: return evaluate_compare(c, node);
    case T_LIST: return evaluate_sequence(c, node, true);
    case T_TUPLE: return evaluate_sequence(c, node, false);
    case T_DICT: return evaluate_dict(c, node);
    case T_SLICE: return t0_settle(c, evaluate_slice(c, node));
    case T_CALL: return t0_settle(c, evaluate_call(c, node));
    case T_CAPTURE: return Py_NewRef(c->captured);
    case T_TEST: return evaluate_test(c, node);
    case T_BINARY: return t0_settle(c, evaluate_binary(c, node));
    case T_UNARY: return evaluate_unary(c, node);
    case T_AND:
    case T_OR: return evaluate_logic(c, node);
    case T_COND: return evaluate_condition(c, node);
    case T_CONCAT: return t0_settle(c, evaluate_concat(c, node));
    default: PyErr_SetString(PyExc_SystemError, "not an expression"); return NULL;
    }
}
