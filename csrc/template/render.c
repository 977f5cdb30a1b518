/* One whole rendering: its state, its budgets, and the place that an error gets. */
#include "template/render.h"

#include "template/attempts.h"
#include "template/budget.h"
#include "template/evaluate.h"
#include "template/execute.h"
#include "template/owned.h"
#include "template/values.h"

#include <assert.h>
#include <string.h>

/* Cause's own text may fail: then its type alone must do. */
static PyObject *describe(const t0_context *c, PyObject *type, PyObject *cause, unsigned line, unsigned column) {
    const char *name = ((PyTypeObject *)type)->tp_name;
    PyObject *message = type == c->runtime->TemplateError ? PyUnicode_FromFormat("line %u, column %u: %S", line, column, cause)
                                                          : PyUnicode_FromFormat("line %u, column %u: %s: %S", line, column, name, cause);
    if (message || !t0_forgive()) return message;
    return PyUnicode_FromFormat("line %u, column %u: %s", line, column, name);
}

/* Turns the exception that stopped a rendering into a TemplateError with its place; lets signals and memory errors pass. */
static void place_error(const t0_context *c) {
    if (!PyErr_ExceptionMatches(PyExc_Exception) || PyErr_ExceptionMatches(PyExc_MemoryError)) return;
    PyObject *type, *cause, *trace;
    PyErr_Fetch(&type, &cause, &trace);
    PyErr_NormalizeException(&type, &cause, &trace);
    const unsigned line = c->where ? c->where->line : 0, column = c->where ? c->where->column : 0;
    const bool ours = type == c->runtime->TemplateError;
    PyObject *message = describe(c, type, cause, line, column);
    PyObject *error = message ? PyObject_CallOneArg(c->runtime->TemplateError, message) : NULL;
    PyObject *l = PyLong_FromUnsignedLong(line), *k = PyLong_FromUnsignedLong(column);
    if (error && l && k && PyObject_SetAttrString(error, "line", l) == 0 && PyObject_SetAttrString(error, "column", k) == 0) {
        if (!ours) PyException_SetCause(error, Py_NewRef(cause));
        PyErr_SetObject(c->runtime->TemplateError, error);
    }
    Py_XDECREF(message);
    Py_XDECREF(error);
    Py_XDECREF(l);
    Py_XDECREF(k);
    Py_XDECREF(type);
    Py_XDECREF(cause);
    Py_XDECREF(trace);
}

int t0_render(const t0_template *template, t0_runtime *runtime, const t0_render_options *options, PyObject *example,
              PyObject *answer_choices, t0_writer *out) {
    assert(PyDict_Check(example) && !out->size && !out->n_cuts);
    const size_t n = (size_t)template->n_slots + template->n_names;
    PyObject *room[64], **values = n <= 64 ? room : PyMem_Malloc(n * sizeof *values);
    if (!values) {
        PyErr_NoMemory();
        return -1;
    }
    memset(values, 0, n * sizeof *values);
    t0_context c = {.template = template,
                    .runtime = runtime,
                    .example = example,
                    .answer_choices = answer_choices,
                    .escapes = options->escapes,
                    .marked = options->marks ? out : NULL,
                    .notes = options->notes,
                    .locals = values,
                    .globals = values + template->n_slots,
                    .out = out,
                    .main = out,
                    .max_steps = options->max_steps,
                    .max_output = options->max_output,
                    .max_memory = options->max_memory,
                    .max_seconds = options->max_seconds,
                    .stack = __builtin_frame_address(0),
                    .seed = options->seed,
                    .index = options->index,
                    .pick = options->pick};
    t0_budget_open(&c);
    int status = answer_choices && answer_choices != Py_None ? t0_own(&c, answer_choices) : 0;
    if (status == 0) status = t0_enter(&c, template->inits, template->n_inits);
    if (status == 0) status = t0_execute(&c, template->body);
    if (status < 0) place_error(&c);
    for (size_t i = 0; i < n; i++) Py_XDECREF(values[i]);
    if (values != room) PyMem_Free(values);
    if (c.life) c.life->c = NULL;
    t0_life_drop(c.life);
    t0_owned_free(&c.owned);
    return status;
}
