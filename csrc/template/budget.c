/* Budgets: one count of steps pays for time and memory alike.
 *
 *     a node 1     a string 1 + characters/64     a list 1 + items/8
 *
 * So a step that is not a node's stands for 64 bytes; what is freed is not given back. Costs are charged before the work.
 * The clock, which would make results depend on the machine, is asked only where max_seconds is set. */
#include "template/budget.h"

#include "template/values.h"

#include <assert.h>
#include <stdarg.h>
#include <time.h>

/* A thread that waits for the interpreter asks for it after 5 ms in which nobody let go of it; whoever lets go more often
 * and takes it back at once is never asked, and starves all others. So rather seldom: 2^20 steps take 20 ms or more. */
enum { STEP_BYTES = 64, SIGNAL_STEPS = 1 << 12, YIELD_STEPS = 1 << 20, TREE_DEPTH_MAX = 200 };

/* Ints beyond 61 bits can be chosen to hash alike, and ranges of them: a dict of n such keys takes n^2 comparisons. */
enum { COLLISION_STEPS = 256 };

int t0_refuse(t0_context *c, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    PyErr_FormatV(c->runtime->TemplateError, format, arguments);
    va_end(arguments);
    return -1;
}

static int spend(t0_context *c, uint64_t steps) {
    c->steps += steps;
    return c->steps > c->max_steps ? t0_refuse(c, "more than %llu steps: raise max_steps", (unsigned long long)c->max_steps) : 0;
}

static double clock_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int refuse_time(t0_context *c) {
    PyObject *seconds = PyFloat_FromDouble(c->max_seconds);
    if (seconds) t0_refuse(c, "more than %S seconds: raise max_seconds", seconds);
    Py_XDECREF(seconds);
    return -1;
}

static uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* Steps until the next of: signals, max_steps, max_memory. */
static void plan_pause(t0_context *c) {
    assert(c->nodes <= c->steps && c->steps <= c->max_steps && c->steps - c->nodes <= c->max_memory / STEP_BYTES);
    const uint64_t memory = c->max_memory / STEP_BYTES - (c->steps - c->nodes);
    c->pause = c->steps + smaller(SIGNAL_STEPS, smaller(c->max_steps - c->steps, memory));
}

void t0_budget_open(t0_context *c) {
    if (c->max_seconds > 0) c->deadline = clock_seconds() + c->max_seconds;
    plan_pause(c);
}

/* Now and then also lets signals and other threads have their turn: no borrowed reference into the example may be held. */
int t0_pause(t0_context *c) {
    if (spend(c, 0) < 0) return -1;
    if (c->steps - c->nodes > c->max_memory / STEP_BYTES) return t0_refuse(c, "more than %zu bytes of memory: raise max_memory", c->max_memory);
    if (c->deadline > 0 && clock_seconds() > c->deadline) return refuse_time(c);
    plan_pause(c);
    if (c->steps - c->yielded >= YIELD_STEPS) {
        c->yielded = c->steps;
        Py_BEGIN_ALLOW_THREADS
        Py_END_ALLOW_THREADS
    }
    return PyErr_CheckSignals();
}

int t0_charge_size(t0_context *c, uint64_t characters) {
    if (characters > c->max_output)
        return t0_refuse(c, "a text of %llu characters, at most %llu: raise max_output", (unsigned long long)characters, (unsigned long long)c->max_output);
    return t0_charge(c, characters / 64);
}

PyObject *t0_settle_wide(t0_context *c, PyObject *text) {
    const uint64_t extra = (uint64_t)PyUnicode_GET_LENGTH(text) * (PyUnicode_KIND(text) - 1); /* bytes beyond one a character */
    if (t0_charge(c, extra / 64) < 0) Py_CLEAR(text);
    return text;
}

int t0_charge_replace(t0_context *c, PyObject *text, PyObject *old, PyObject *new) {
    assert(PyUnicode_Check(text) && PyUnicode_Check(old) && PyUnicode_Check(new));
    const uint64_t size = (uint64_t)PyUnicode_GET_LENGTH(text), from = (uint64_t)PyUnicode_GET_LENGTH(old), to = (uint64_t)PyUnicode_GET_LENGTH(new);
    const uint64_t most = size + (from ? size / from : size + 1) * to;
    if (to <= from || most <= c->max_output) return t0_charge(c, size / 64);
    const Py_ssize_t hits = from ? PyUnicode_Count(text, old, 0, PY_SSIZE_T_MAX) : (Py_ssize_t)size + 1;
    return hits < 0 ? -1 : t0_charge_size(c, size + (uint64_t)hits * (to - from));
}

static int weigh_int(t0_context *c, PyObject *value) {
    int overflow;
    const long long small = PyLong_AsLongLongAndOverflow(value, &overflow);
    return overflow || small >= 1LL << 60 || small <= -(1LL << 60) ? spend(c, COLLISION_STEPS) : 0;
}

/* A comparison reads a text; its repr may make ten characters of one. */
static int weigh_text(t0_context *c, PyObject *value, bool printed) {
    const uint64_t size = (uint64_t)PyUnicode_GET_LENGTH(value);
    return spend(c, !printed ? size / 256 : PyUnicode_KIND(value) == PyUnicode_1BYTE_KIND ? size / 16 : size / 6);
}

static int weigh(t0_context *c, PyObject *value, int depth, bool printed) {
    if (PyUnicode_CheckExact(value)) return weigh_text(c, value, printed);
    if (PyLong_CheckExact(value)) return weigh_int(c, value);
    if (PyRange_Check(value)) return spend(c, COLLISION_STEPS);
    const bool list = PyList_CheckExact(value), tuple = PyTuple_Check(value);
    if (Py_TYPE(value) == c->runtime->namespace_type) return weigh(c, t0_namespace_attributes(value), depth, printed);
    if (PyDictViewSet_Check(value) || PyDictValues_Check(value)) {
        PyObject *items = PySequence_List(value);
        const int status = items ? weigh(c, items, depth, printed) : -1;
        Py_XDECREF(items);
        return status;
    }
    if (!list && !tuple && !PyDict_CheckExact(value)) return 0;
    if (depth == TREE_DEPTH_MAX) return t0_refuse(c, "a value nested more than %d deep", TREE_DEPTH_MAX);
    if (!list && !tuple) {
        if (spend(c, 1 + (uint64_t)PyDict_GET_SIZE(value) / 4) < 0) return -1;
        PyObject *key, *item;
        Py_ssize_t at = 0;
        while (PyDict_Next(value, &at, &key, &item))
            if (weigh(c, key, depth + 1, printed) < 0 || weigh(c, item, depth + 1, printed) < 0) return -1;
        return 0;
    }
    const Py_ssize_t size = list ? PyList_GET_SIZE(value) : PyTuple_GET_SIZE(value);
    if (spend(c, 1 + (uint64_t)size / 8) < 0) return -1;
    for (Py_ssize_t i = 0; i < size; i++)
        if (weigh(c, list ? PyList_GET_ITEM(value, i) : PyTuple_GET_ITEM(value, i), depth + 1, printed) < 0) return -1;
    return 0;
}

int t0_charge_tree(t0_context *c, PyObject *value) { return weigh(c, value, 0, false) < 0 ? -1 : t0_charge(c, 0); }
int t0_charge_print(t0_context *c, PyObject *value) { return weigh(c, value, 0, true) < 0 ? -1 : t0_charge(c, 0); }
