/* The types of values that live inside one rendering, made once a module, and what else every rendering needs. */
#include "template/runtime.h"

#include "template/helper.h"
#include "template/lazy.h"
#include "template/loop.h"
#include "template/macro.h"
#include "template/values.h"

static int runtime_traverse(PyObject *self, visitproc visit, void *arg) {
    t0_runtime *r = (t0_runtime *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(r->TemplateError);
    Py_VISIT(r->empty);
    Py_VISIT(r->round);
    Py_VISIT(r->copy);
    Py_VISIT(r->number);
    Py_VISIT(r->answer_choices);
    Py_VISIT(r->undefined_type);
    Py_VISIT(r->namespace_type);
    Py_VISIT(r->loop_type);
    Py_VISIT(r->lazy_type);
    Py_VISIT(r->macro_type);
    Py_VISIT(r->helper_type);
    Py_VISIT(r->group_type);
    return 0;
}

static int runtime_clear(PyObject *self) {
    t0_runtime *r = (t0_runtime *)self;
    Py_CLEAR(r->TemplateError);
    Py_CLEAR(r->empty);
    Py_CLEAR(r->round);
    Py_CLEAR(r->copy);
    Py_CLEAR(r->number);
    Py_CLEAR(r->answer_choices);
    Py_CLEAR(r->undefined_type);
    Py_CLEAR(r->namespace_type);
    Py_CLEAR(r->loop_type);
    Py_CLEAR(r->lazy_type);
    Py_CLEAR(r->macro_type);
    Py_CLEAR(r->helper_type);
    Py_CLEAR(r->group_type);
    return 0;
}

static void runtime_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    runtime_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Spec runtime_spec = {
    "t0native._core.TemplateRuntime", sizeof(t0_runtime), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    (PyType_Slot[]){{Py_tp_dealloc, runtime_dealloc}, {Py_tp_traverse, runtime_traverse}, {Py_tp_clear, runtime_clear}, {0, NULL}}};

static PyTypeObject *new_type(PyType_Spec *spec) { return (PyTypeObject *)PyType_FromSpec(spec); }

PyObject *t0_runtime_new(PyObject *TemplateError) {
    PyTypeObject *type = new_type(&runtime_spec);
    t0_runtime *r = type ? (t0_runtime *)type->tp_alloc(type, 0) : NULL;
    Py_XDECREF(type);
    if (!r) return NULL;
    PyObject *numbers = PyImport_ImportModule("numbers"), *copy = numbers ? PyImport_ImportModule("copy") : NULL;
    r->TemplateError = Py_NewRef(TemplateError);
    r->round = copy ? PyMapping_GetItemString(PyEval_GetBuiltins(), "round") : NULL;
    r->number = numbers ? PyObject_GetAttrString(numbers, "Number") : NULL;
    r->copy = copy ? PyObject_GetAttrString(copy, "copy") : NULL;
    Py_XDECREF(numbers);
    Py_XDECREF(copy);
    r->empty = PyUnicode_New(0, 0);
    r->answer_choices = PyUnicode_InternFromString("answer_choices");
    r->undefined_type = new_type(t0_undefined_spec());
    r->namespace_type = new_type(t0_namespace_spec());
    r->loop_type = new_type(t0_loop_spec());
    r->lazy_type = new_type(t0_lazy_spec());
    r->macro_type = new_type(t0_macro_spec());
    r->helper_type = new_type(t0_helper_spec());
    r->group_type = (PyTypeObject *)PyType_FromSpecWithBases(t0_group_spec(), (PyObject *)&PyTuple_Type);
    const bool types = r->undefined_type && r->namespace_type && r->loop_type && r->lazy_type && r->macro_type && r->helper_type &&
                       r->group_type;
    if (r->round && r->copy && r->number && r->empty && r->answer_choices && types) return (PyObject *)r;
    Py_DECREF(r);
    return NULL;
}
