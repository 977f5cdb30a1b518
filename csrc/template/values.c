/* Values that live inside one rendering.
 *
 *     undefined    prints nothing, is false, has length 0, iterates over nothing, equals only another undefined value; every
 *                  other use raises
 *     namespace    attributes that a template may set: {% set ns.x = 1 %}
 *     group        of groupby: a tuple (grouper, list) whose parts have these names
 *     life         what such a value knows of its rendering: shared by all of them, freed with the last */
#include "template/values.h"

#include <assert.h>

typedef struct undefined {
    PyObject_HEAD
    PyObject *name;            /* what was looked up: a str, an int, or NULL */
    PyObject *of, *key, *field; /* of t0_note; NULL unless notes are kept: str, and a key without parts, so that no cycle can arise */
    Py_ssize_t size;
} undefined;

static PyObject *undefined_raise(PyObject *self) {
    PyObject *name = ((undefined *)self)->name;
    if (name) PyErr_Format(PyExc_RuntimeError, "%R is undefined", name);
    else PyErr_SetString(PyExc_RuntimeError, "the value is undefined");
    return NULL;
}

static void undefined_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    undefined *const value = (undefined *)self;
    Py_XDECREF(value->name);
    Py_XDECREF(value->of);
    Py_XDECREF(value->key);
    Py_XDECREF(value->field);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *undefined_binary(PyObject *a, PyObject *b) { return undefined_raise(Py_TYPE(a)->tp_dealloc == undefined_dealloc ? a : b); }
static PyObject *undefined_power(PyObject *a, PyObject *b, PyObject *unused) {
    (void)unused;
    return undefined_binary(a, b);
}
static PyObject *undefined_unary(PyObject *self) { return undefined_raise(self); }
static int undefined_bool(PyObject *self) { return (void)self, 0; }
static Py_ssize_t undefined_length(PyObject *self) { return (void)self, 0; }
static PyObject *undefined_item(PyObject *self, PyObject *key) { return (void)key, undefined_raise(self); }
static PyObject *undefined_str(PyObject *self) { return (void)self, PyUnicode_New(0, 0); }
static PyObject *undefined_repr(PyObject *self) { return (void)self, PyUnicode_FromString("Undefined"); }
static Py_hash_t undefined_hash(PyObject *self) { return (Py_hash_t)((uintptr_t)Py_TYPE(self) >> 4); }
static PyObject *undefined_call(PyObject *self, PyObject *args, PyObject *kwargs) {
    return (void)args, (void)kwargs, undefined_raise(self);
}

static PyObject *undefined_iter(PyObject *self) {
    (void)self;
    PyObject *nothing = PyTuple_New(0);
    PyObject *iterator = nothing ? PyObject_GetIter(nothing) : NULL;
    Py_XDECREF(nothing);
    return iterator;
}

static PyObject *undefined_compare(PyObject *a, PyObject *b, int op) {
    if (op == Py_EQ) return PyBool_FromLong(Py_TYPE(a) == Py_TYPE(b));
    if (op == Py_NE) return PyBool_FromLong(Py_TYPE(a) != Py_TYPE(b));
    return undefined_raise(a);
}

PyType_Spec *t0_undefined_spec(void) {
    static PyType_Slot slots[] = {{Py_tp_dealloc, undefined_dealloc},    {Py_tp_str, undefined_str},
                                  {Py_tp_repr, undefined_repr},          {Py_tp_hash, undefined_hash},
                                  {Py_tp_iter, undefined_iter},          {Py_tp_richcompare, undefined_compare},
                                  {Py_nb_bool, undefined_bool},          {Py_mp_length, undefined_length},
                                  {Py_mp_subscript, undefined_item},     {Py_nb_add, undefined_binary},
                                  {Py_nb_subtract, undefined_binary},    {Py_nb_multiply, undefined_binary},
                                  {Py_nb_true_divide, undefined_binary}, {Py_nb_floor_divide, undefined_binary},
                                  {Py_nb_remainder, undefined_binary},   {Py_nb_power, undefined_power},
                                  {Py_nb_negative, undefined_unary},     {Py_nb_positive, undefined_unary},
                                  {Py_nb_int, undefined_unary},          {Py_nb_float, undefined_unary},
                                  {Py_tp_call, undefined_call},          {0, NULL}};
    static PyType_Spec spec = {"t0native._core.Undefined", sizeof(undefined), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                               slots};
    return &spec;
}

PyObject *t0_undefined(t0_context *c, PyObject *name) {
    PyTypeObject *type = c->runtime->undefined_type;
    undefined *self = (undefined *)type->tp_alloc(type, 0);
    const bool kept = name && (PyUnicode_CheckExact(name) || PyLong_CheckExact(name)); /* a container could hold the value itself */
    if (!self) return NULL;
    self->name = kept ? Py_NewRef(name) : NULL;
    self->size = -1;
    return (PyObject *)self;
}

void t0_undefined_remember(PyObject *value, PyObject *of, PyObject *key, PyObject *field, Py_ssize_t size) {
    undefined *const self = (undefined *)value;
    Py_XSETREF(self->of, of);
    Py_XSETREF(self->key, key);
    Py_XSETREF(self->field, field);
    self->size = size;
}

void t0_undefined_recall(PyObject *value, PyObject **of, PyObject **key, PyObject **field, Py_ssize_t *size) {
    const undefined *const self = (const undefined *)value;
    *of = Py_XNewRef(self->of);
    *key = Py_XNewRef(self->key ? self->key : self->name);
    *field = Py_XNewRef(self->field);
    *size = self->size;
}

int t0_raise_undefined(PyObject *value) {
    undefined_raise(value);
    return -1;
}

/* ---- namespace -------------------------------------------------------------------------------------------------------- */

typedef struct namespace {
    PyObject_HEAD
    PyObject *attributes; /* dict */
} namespace;

static int namespace_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((namespace *)self)->attributes);
    return 0;
}
static int namespace_clear(PyObject *self) {
    Py_CLEAR(((namespace *)self)->attributes);
    return 0;
}
static void namespace_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    namespace_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}
static PyObject *namespace_repr(PyObject *self) { return PyUnicode_FromFormat("<Namespace %R>", ((namespace *)self)->attributes); }

PyType_Spec *t0_namespace_spec(void) {
    static PyType_Slot slots[] = {{Py_tp_dealloc, namespace_dealloc},
                                  {Py_tp_traverse, namespace_traverse},
                                  {Py_tp_clear, namespace_clear},
                                  {Py_tp_repr, namespace_repr},
                                  {0, NULL}};
    static PyType_Spec spec = {"t0native._core.Namespace", sizeof(namespace), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
    return &spec;
}

PyObject *t0_namespace_new(t0_context *c, PyObject *attributes) {
    PyTypeObject *type = c->runtime->namespace_type;
    assert(PyDict_CheckExact(attributes));
    namespace *self = (namespace *)type->tp_alloc(type, 0);
    if (self) self->attributes = Py_NewRef(attributes);
    return (PyObject *)self;
}

PyObject *t0_namespace_attributes(PyObject *value) { return ((namespace *)value)->attributes; }

/* ---- the pairs of groupby --------------------------------------------------------------------------------------------- */

PyObject *t0_group_new(t0_context *c, PyObject *grouper) {
    PyTypeObject *type = c->runtime->group_type;
    PyObject *list = grouper ? PyList_New(0) : NULL, *group = list ? type->tp_alloc(type, 2) : NULL;
    if (!group) {
        Py_XDECREF(list);
        return NULL;
    }
    PyTuple_SET_ITEM(group, 0, Py_NewRef(grouper));
    PyTuple_SET_ITEM(group, 1, list);
    return group;
}

PyObject *t0_group_attribute(PyObject *group, PyObject *name) {
    assert(PyTuple_GET_SIZE(group) == 2);
    if (PyUnicode_CompareWithASCIIString(name, "grouper") == 0) return Py_NewRef(PyTuple_GET_ITEM(group, 0));
    return PyUnicode_CompareWithASCIIString(name, "list") == 0 ? Py_NewRef(PyTuple_GET_ITEM(group, 1)) : NULL;
}

PyType_Spec *t0_group_spec(void) {
    static PyType_Slot slots[] = {{0, NULL}};
    static PyType_Spec spec = {"t0native._core.Group", 0, 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
    return &spec;
}

/* ---- how long a rendering lives -------------------------------------------------------------------------------------- */

t0_life *t0_life_share(t0_context *c) {
    if (!c->life) {
        if (!(c->life = PyMem_Malloc(sizeof *c->life))) return (t0_life *)PyErr_NoMemory();
        *c->life = (t0_life){1, PyThread_get_thread_ident(), c};
    }
    c->life->holders++;
    return c->life;
}

void t0_life_drop(t0_life *life) {
    assert(!life || life->holders);
    if (life && --life->holders == 0) PyMem_Free(life);
}

t0_context *t0_life_context(const t0_life *life) {
    if (life->c && life->thread == PyThread_get_thread_ident()) return life->c;
    PyErr_SetString(PyExc_RuntimeError, "this value belongs to a rendering that has ended, or that runs in another thread");
    return NULL;
}
