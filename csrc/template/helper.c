/* joiner and cycler, Jinja's two little helpers of loops.
 *
 *     joiner(text)    called: nothing the first time, then the text
 *     cycler(a, b)    .next() gives the items in turn, .current the one to come, .reset() begins again */
#include "template/helper.h"

#include "template/budget.h"

#include <assert.h>

typedef struct helper {
    PyObject_HEAD
    PyObject *items; /* tuple */
    Py_ssize_t at;
    bool joins, used;
} helper;

PyObject *t0_helper_new(t0_context *c, const t0_arguments *items, bool joins) {
    assert(items->count >= 1);
    helper *self = (helper *)c->runtime->helper_type->tp_alloc(c->runtime->helper_type, 0);
    if (!self) return NULL;
    self->joins = joins;
    self->items = PyTuple_New(items->count);
    for (uint32_t i = 0; self->items && i < items->count; i++) PyTuple_SET_ITEM(self->items, i, Py_NewRef(items->items[i]));
    if (!self->items) Py_CLEAR(self);
    return (PyObject *)self;
}

bool t0_is_joiner(const t0_context *c, PyObject *value) { return Py_TYPE(value) == c->runtime->helper_type && ((helper *)value)->joins; }

PyObject *t0_joiner_call(t0_context *c, PyObject *value, const t0_arguments *args) {
    helper *self = (helper *)value;
    if (args->count) return PyErr_Format(PyExc_TypeError, "a joiner takes no arguments, got %u", args->count);
    PyObject *const text = self->used ? PyTuple_GET_ITEM(self->items, 0) : c->runtime->empty;
    self->used = true;
    return Py_NewRef(text);
}

PyObject *t0_helper_attribute(t0_context *c, PyObject *value, PyObject *name) {
    helper *self = (helper *)value;
    const bool has = PyUnicode_CompareWithASCIIString(name, self->joins ? "sep" : "current") == 0;
    if (has) return Py_NewRef(PyTuple_GET_ITEM(self->items, self->at));
    static const char *const others[] = {"used", "items", "pos", "next", "reset", NULL};
    for (int i = 0; others[i]; i++)
        if (PyUnicode_CompareWithASCIIString(name, others[i]) == 0)
            t0_refuse(c, "a joiner has sep; a cycler has current, next() and reset()");
    return NULL;
}

PyObject *t0_helper_call(PyObject *value, PyObject *name) {
    helper *self = (helper *)value;
    if (self->joins) return PyErr_Format(PyExc_TypeError, "a joiner has no method %U", name);
    assert(self->at < PyTuple_GET_SIZE(self->items));
    PyObject *const now = PyTuple_GET_ITEM(self->items, self->at);
    const bool resets = PyUnicode_CompareWithASCIIString(name, "reset") == 0;
    self->at = resets ? 0 : (self->at + 1) % PyTuple_GET_SIZE(self->items);
    return Py_NewRef(resets ? Py_None : now);
}

static int helper_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((helper *)self)->items);
    return 0;
}

static int helper_clear(PyObject *self) {
    Py_CLEAR(((helper *)self)->items);
    return 0;
}

static void helper_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_TRASHCAN_BEGIN(self, helper_dealloc) /* a cycler may hold a cycler, in a chain of any length */
        helper_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
    Py_TRASHCAN_END
}

static PyObject *helper_repr(PyObject *self) {
    return PyErr_Format(PyExc_TypeError, "%s cannot be printed: call it", Py_TYPE(self)->tp_name);
}

PyType_Spec *t0_helper_spec(void) {
    static PyType_Slot slots[] = {{Py_tp_dealloc, helper_dealloc},
                                  {Py_tp_traverse, helper_traverse},
                                  {Py_tp_clear, helper_clear},
                                  {Py_tp_repr, helper_repr},
                                  {0, NULL}};
    static PyType_Spec spec = {"t0native._core.Helper", sizeof(helper), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
    return &spec;
}
