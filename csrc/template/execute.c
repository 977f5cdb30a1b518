/* Statements: printing, if, for, set, with, macro and blocks that become a value. */
#include "template/execute.h"

#include "template/budget.h"
#include "template/evaluate.h"
#include "template/loop.h"
#include "template/macro.h"
#include "template/notes.h"
#include "template/operators.h"

#include <assert.h>

enum { TRUNCATE_LENGTH = 2048, TRUNCATE_LEEWAY = 5, TRUNCATE_HEAD = TRUNCATE_LENGTH - 3 };

static int add(t0_context *c, PyObject *text, Py_ssize_t to) {
    if ((uint64_t)c->out->size + (uint64_t)to > c->max_output)
        return t0_refuse(c, "an output of more than %zu characters: raise max_output", c->max_output);
    return t0_charge(c, (uint64_t)to / 64) < 0 ? -1 : t0_writer_add(c->out, text, 0, to);
}

/* The template's own text: its separators are marked where that is asked for. Text inside a set block is a value. */
static int add_own(t0_context *c, PyObject *text) {
    if (c->out == c->marked && t0_writer_mark(c->out, text) < 0) return -1;
    return add(c, text, PyUnicode_GET_LENGTH(text));
}

/* text | truncate(2048), of more than 2053 characters: cut at the last blank of its first 2045, and "...". */
static int add_truncated(t0_context *c, PyObject *text) {
    assert(PyUnicode_GET_LENGTH(text) > TRUNCATE_LENGTH + TRUNCATE_LEEWAY);
    Py_ssize_t end = PyUnicode_FindChar(text, ' ', 0, TRUNCATE_HEAD, -1);
    if (end < 0) end = TRUNCATE_HEAD;
    PyObject *dots = PyUnicode_FromString("...");
    const int status = dots && add(c, text, end) == 0 ? add(c, dots, 3) : -1;
    Py_XDECREF(dots);
    return status;
}

static int add_cut(t0_context *c, const t0_node *node, PyObject *text) {
    const Py_ssize_t size = PyUnicode_GET_LENGTH(text);
    if (!node->truncates || size <= TRUNCATE_LENGTH + TRUNCATE_LEEWAY) return add(c, text, size);
    if (node->truncates == 2) t0_note_cut(c);
    return add_truncated(c, text);
}

static int print(t0_context *c, const t0_node *node) {
    if (node->a->kind == T_NAME) { /* most prints: the text of a variable, which stays where it is meanwhile */
        PyObject *value = t0_peek_name(c, node->a);
        if (value && PyUnicode_CheckExact(value)) return t0_charge_node(c) < 0 ? -1 : add_cut(c, node, value);
        if (PyErr_Occurred()) return -1;
    }
    PyObject *value = t0_evaluate(c, node->a);
    if (!value) return -1;
    c->where = node;
    const bool cuts_itself = node->truncates && PyUnicode_Check(value) && PyUnicode_GET_LENGTH(value) > TRUNCATE_LENGTH + TRUNCATE_LEEWAY;
    PyObject *text = cuts_itself ? PyUnicode_FromObject(value) : t0_text(c, value); /* truncate takes a str as it is, a subclass too */
    Py_DECREF(value);
    if (!text) return -1;
    const int status = add_cut(c, node, text);
    Py_DECREF(text);
    return status;
}

static int execute_if(t0_context *c, const t0_node *node) {
    PyObject *test = t0_evaluate(c, node->a);
    const int truth = test ? t0_truth(test) : -1;
    Py_XDECREF(test);
    return truth < 0 ? -1 : t0_execute(c, truth ? node->b : node->c);
}

/* One item at a time: 1 and a new reference, 0 at the end. */
static int next_item(t0_context *c, const t0_loop_parts *parts, PyObject *loop, PyObject *iterator, PyObject **item) {
    return loop ? t0_loop_next(c, loop, item) : t0_source_next(c, parts, iterator, item);
}

static int run_loop(t0_context *c, const t0_node *node, PyObject *iterable, long depth0) {
    const t0_loop_parts *const parts = node->loop;
    PyObject *iterator = PyObject_GetIter(iterable), *loop = NULL, *item;
    int status = iterator ? 0 : -1;
    if (status == 0 && parts->test) status = t0_enter(c, parts->test_inits, parts->n_test_inits);
    if (status == 0 && parts->loop_slot != T0_NO_SLOT && !(loop = t0_loop_new(c, node, iterable, iterator, depth0))) status = -1;
    bool some = false;
    int more = 0;
    while (status == 0 && (more = next_item(c, parts, loop, iterator, &item)) > 0) {
        some = true;
        if (loop) Py_XSETREF(c->locals[parts->loop_slot], Py_NewRef(loop));
        status = t0_assign(c, parts->target, item) < 0 || t0_enter(c, parts->inits, parts->n_inits) < 0 ? -1 : 0;
        Py_DECREF(item);
        if (status == 0) status = t0_execute(c, parts->body);
    }
    if (more < 0) status = -1;
    Py_XDECREF(iterator);
    Py_XDECREF(loop);
    if (status < 0 || some || !parts->otherwise) return status;
    return t0_enter(c, parts->else_inits, parts->n_else_inits) < 0 ? -1 : t0_execute(c, parts->otherwise);
}

static int execute_for(t0_context *c, const t0_node *node) {
    PyObject *iterable = t0_evaluate(c, node->loop->iter);
    c->where = node;
    const int status = iterable ? run_loop(c, node, iterable, 0) : -1;
    Py_XDECREF(iterable);
    return status;
}

static int execute_set(t0_context *c, const t0_node *node) {
    PyObject *value = t0_evaluate(c, node->b);
    if (!value) return -1;
    c->where = node;
    const int status = t0_assign(c, node->a, value);
    Py_DECREF(value);
    return status;
}

PyObject *t0_capture(t0_context *c, const t0_node *body, PyObject *iterable, long depth0) {
    char room[256];
    t0_writer inner = t0_writer_open(room, sizeof room), *const outer = c->out;
    c->out = &inner;
    const int status = iterable ? run_loop(c, body, iterable, depth0) : t0_execute(c, body);
    c->out = outer;
    PyObject *text = status == 0 ? t0_writer_text(&inner, 0, inner.size) : NULL;
    t0_writer_close(&inner);
    return text;
}

/* What a filter block gives must be a text. */
static int print_filtered(t0_context *c, PyObject *value) {
    if (PyUnicode_Check(value)) return add(c, value, PyUnicode_GET_LENGTH(value));
    PyErr_Format(PyExc_TypeError, "a filter block must give a text, not %s: add |string", Py_TYPE(value)->tp_name);
    return -1;
}

/* set block: the body's text, filtered, becomes a value; filter block: it is printed. */
static int execute_setblock(t0_context *c, const t0_node *node) {
    PyObject *text = t0_enter(c, node->loop->inits, node->loop->n_inits) < 0 ? NULL : t0_capture(c, node->loop->body, NULL, 0);
    if (text && node->c) {
        PyObject *const outer = c->captured;
        c->captured = text;
        PyObject *filtered = t0_evaluate(c, node->c);
        c->captured = outer;
        Py_SETREF(text, filtered);
    }
    if (!text) return -1;
    c->where = node;
    const int status = node->a ? t0_assign(c, node->a, text) : print_filtered(c, text);
    Py_DECREF(text);
    return status;
}

static int execute_with(t0_context *c, const t0_node *node) {
    if (t0_enter(c, node->loop->inits, node->loop->n_inits) < 0) return -1;
    for (uint32_t i = 0; i < node->count; i += 2) {
        PyObject *value = t0_evaluate(c, node->items[i + 1]);
        const int status = value ? t0_assign(c, node->items[i], value) : -1;
        Py_XDECREF(value);
        if (status < 0) return -1;
    }
    return t0_execute(c, node->loop->body);
}

static int execute_macro(t0_context *c, const t0_node *node) {
    PyObject *macro = t0_macro_new(c, node);
    const int status = macro ? t0_assign(c, node->a, macro) : -1;
    Py_XDECREF(macro);
    return status;
}

int t0_execute(t0_context *c, const t0_node *node) {
    for (; node; node = node->next) {
        int status;
        c->where = node;
        if (t0_charge_node(c) < 0) return -1;
        switch ((t0_node_kind)node->kind) {
        case T_TEXT: status = add_own(c, node->value); break;
        case T_PRINT: status = print(c, node); break;
        case T_IF: status = execute_if(c, node); break;
        case T_FOR: status = execute_for(c, node); break;
        case T_SET: status = execute_set(c, node); break;
        case T_WITH: status = execute_with(c, node); break;
        case T_MACRO: status = execute_macro(c, node); break;
        default:
            assert(node->kind == T_SETBLOCK);
            status = execute_setblock(c, node);
            break;
        }
        if (status < 0) return -1;
    }
    return 0;
}
