/* The type Adapter: small tensors beside a model's. Which tensor of which file is which is Python's business. */
#include "py/py_adapter.h"

#include "py/py_model.h"
#include "py/py_options.h"

#include <assert.h>
#include <string.h>

/* ---- construction ------------------------------------------------------------------------------------------------ */

static const char *const PARTS[] = {"q",       "k",    "v",    "o",  "cross_q", "cross_k", "cross_v",
                                    "cross_o", "wi_0", "wi_1", "wo", "head",    "prompts"};
static const char *const ROLES[] = {"lora_A", "lora_B", "in", "out", "prompt"};

static int named(const char *what, const char *name, const char *const *names, int n) {
    for (int i = 0; i < n; i++)
        if (strcmp(name, names[i]) == 0) return i;
    PyErr_Format(PyExc_ValueError, "%s '%s': there is none of this name", what, name);
    return -1;
}

static bool take_spec(t0_adapter_spec *spec, PyObject *item) {
    const char *part, *role;
    int decoder;
    Py_ssize_t block, rows, columns;
    if (!PyTuple_Check(item)) {
        PyErr_SetString(PyExc_TypeError, "an adapter's tensor: must be a tuple");
        return false;
    }
    if (!PyArg_ParseTuple(item, "spnssnnf", &spec->name, &decoder, &block, &part, &role, &rows, &columns, &spec->scale)) return false;
    const int part_number = named("part", part, PARTS, T0_PROMPTS + 1), role_number = named("role", role, ROLES, T0_PROMPT + 1);
    if (part_number < 0 || role_number < 0) return false;
    if (block < 0 || rows < 0 || columns < 0 || ((role_number == T0_PROMPT) != (part_number == T0_PROMPTS))) {
        PyErr_Format(PyExc_ValueError, "%s: block %zd, shape [%zd, %zd]", spec->name, block, rows, columns);
        return false;
    }
    spec->decoder = decoder;
    spec->part = (t0_part)part_number;
    spec->role = (t0_role)role_number;
    spec->block = (size_t)block;
    spec->rows = (size_t)rows;
    spec->columns = (size_t)columns;
    return true;
}

/* Makes self->adapter of a tuple of tuples. */
static bool make_adapter(t0py_adapter *self, t0py_state *state, const t0_config *config, PyObject *list) {
    const Py_ssize_t n = PyTuple_GET_SIZE(list);
    t0_adapter_spec *specs = PyMem_Calloc((size_t)n + 1, sizeof *specs);
    if (!specs) return PyErr_NoMemory() != NULL;
    bool good = true;
    for (Py_ssize_t i = 0; good && i < n; i++) good = take_spec(&specs[i], PyTuple_GET_ITEM(list, i));
    t0_error err;
    if (good && t0_adapter_new(&self->adapter, config, specs, (size_t)n, &err) != T0_OK) good = t0py_raise(state, &err) != NULL;
    PyMem_Free(specs);
    return good;
}

static PyObject *adapter_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"config", "tensors", NULL};
    PyObject *dict, *tensors;
    t0_config config;
    t0_error err;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!O:Adapter", names, &PyDict_Type, &dict, &tensors)) return NULL;
    if (!t0py_config_from_dict(dict, &config)) return NULL;
    t0py_state *state = t0py_state_of_type(type);
    if (t0_config_check(&config, T0_FLOAT32, &err) != T0_OK) return t0py_raise(state, &err);
    PyObject *list = PySequence_Tuple(tensors);
    t0py_adapter *self = list ? (t0py_adapter *)type->tp_alloc(type, 0) : NULL;
    if (self && !make_adapter(self, state, &config, list)) Py_CLEAR(self);
    Py_XDECREF(list);
    return (PyObject *)self;
}

static void adapter_dealloc(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    t0_adapter_free(((t0py_adapter *)object)->adapter);
    type->tp_free(object);
    Py_DECREF(type);
}

/* ---- tensors ------------------------------------------------------------------------------------------------------ */

PyObject *t0py_adapter_view(PyObject *owner, const t0_adapter *adapter, float *block, PyObject *name, bool writable) {
    const char *text = PyUnicode_AsUTF8(name);
    if (!text) return NULL;
    for (size_t i = 0; i < adapter->n_tensors; i++) {
        const t0_tensor *tensor = &adapter->tensors[i];
        const npy_intp shape[2] = {(npy_intp)tensor->rows, (npy_intp)tensor->columns};
        if (strcmp(tensor->name, text) == 0) return t0py_float_view(owner, block + tensor->offset, 2, shape, writable);
    }
    return PyErr_Format(PyExc_KeyError, "no tensor %R in this adapter; tensors() lists them", name);
}

static PyObject *adapter_view(PyObject *object, PyObject *name, bool writable) {
    const t0_adapter *adapter = ((t0py_adapter *)object)->adapter;
    return t0py_adapter_view(object, adapter, adapter->weights, name, writable);
}

PyDoc_STRVAR(tensor_doc, "tensor($self, name, /)\n--\n\nRead-only float32 view [rows, columns] of a tensor.");
static PyObject *adapter_tensor(PyObject *object, PyObject *name) { return adapter_view(object, name, false); }

PyDoc_STRVAR(writable_doc, "_writable($self, name, /)\n--\n\nThe same view, writable.");
static PyObject *adapter_writable(PyObject *object, PyObject *name) {
    ((t0py_adapter *)object)->changes++;
    return adapter_view(object, name, true);
}

PyDoc_STRVAR(tensors_doc, "tensors($self)\n--\n\nList of (name, shape), in the order of memory.");
static PyObject *adapter_tensors(PyObject *object, PyObject *unused) {
    (void)unused;
    const t0_adapter *adapter = ((t0py_adapter *)object)->adapter;
    PyObject *list = PyList_New((Py_ssize_t)adapter->n_tensors);
    for (size_t i = 0; list && i < adapter->n_tensors; i++) {
        const t0_tensor *tensor = &adapter->tensors[i];
        PyObject *item = Py_BuildValue("s(nn)", tensor->name, (Py_ssize_t)tensor->rows, (Py_ssize_t)tensor->columns);
        if (item) PyList_SET_ITEM(list, (Py_ssize_t)i, item);
        else Py_CLEAR(list);
    }
    return list;
}

PyDoc_STRVAR(block_doc, "block($self)\n--\n\nRead-only view of all tensors, float32, in the order of memory, with the gaps between them.");
static PyObject *adapter_block(PyObject *object, PyObject *unused) {
    (void)unused;
    const t0_adapter *adapter = ((t0py_adapter *)object)->adapter;
    const npy_intp n = (npy_intp)adapter->n_weights;
    return t0py_float_view(object, adapter->weights, 1, &n, false);
}

/* ---- batches ------------------------------------------------------------------------------------------------------ */

static size_t prompts_of(const t0_adapter *adapter) { return adapter ? adapter->n_prompts : 0; }

/* Fills batch->adapters from a tuple of Adapter or None. */
static bool take_adapters(t0py_ragged *batch, t0py_state *state, const t0_model *model) {
    const Py_ssize_t n = PyTuple_GET_SIZE(batch->owners);
    if ((size_t)n != batch->batch.n) {
        PyErr_Format(PyExc_ValueError, "adapters: %zd for %zu sequences", n, batch->batch.n);
        return false;
    }
    batch->adapters = PyMem_Calloc((size_t)n + 1, sizeof *batch->adapters);
    if (!batch->adapters) return PyErr_NoMemory() != NULL;
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *one = PyTuple_GET_ITEM(batch->owners, i);
        if (one == Py_None) continue;
        if (!PyObject_TypeCheck(one, state->adapter_type)) {
            PyErr_Format(PyExc_TypeError, "adapters: %.100R is none", one);
            return false;
        }
        batch->adapters[i] = ((t0py_adapter *)one)->adapter;
        if (!t0_adapter_fits(batch->adapters[i], &model->config)) {
            PyErr_SetString(PyExc_ValueError, "an adapter of a model of another shape");
            return false;
        }
    }
    batch->batch.adapters = batch->adapters;
    return true;
}

/* The batch with each sequence's prompts, `more` in all, before its ids. */
static bool insert_prompts(t0py_ragged *batch, const t0_model *model, npy_intp more) {
    const npy_intp n_ids = PyArray_SIZE(batch->ids) + more, n_offsets = PyArray_SIZE(batch->offsets);
    PyArrayObject *ids = (PyArrayObject *)PyArray_SimpleNew(1, &n_ids, NPY_INT32);
    PyArrayObject *offsets = (PyArrayObject *)PyArray_SimpleNew(1, &n_offsets, NPY_INT64);
    if (!ids || !offsets) {
        Py_XDECREF(ids);
        Py_XDECREF(offsets);
        return false;
    }
    int32_t *to = PyArray_DATA(ids);
    int64_t *ends = PyArray_DATA(offsets), at = 0;
    ends[0] = 0;
    for (size_t i = 0; i < batch->batch.n; i++) {
        const size_t n = prompts_of(batch->adapters[i]);
        const int64_t begin = batch->batch.offsets[i], length = batch->batch.offsets[i + 1] - begin;
        for (size_t k = 0; k < n; k++) to[at++] = model->config.vocab_size + (int32_t)k;
        if (length > 0) memcpy(to + at, batch->batch.ids + begin, (size_t)length * sizeof *to);
        ends[i + 1] = at += length;
    }
    Py_SETREF(batch->ids, ids);
    Py_SETREF(batch->offsets, offsets);
    batch->batch.ids = to;
    batch->batch.offsets = ends;
    return true;
}

bool t0py_ragged_adapt(t0py_ragged *batch, PyObject *adapters, t0py_state *state, const t0_model *model) {
    if (!adapters || adapters == Py_None) return true;
    batch->owners = PySequence_Tuple(adapters);
    if (!batch->owners || !take_adapters(batch, state, model)) return false;
    npy_intp more = 0;
    for (size_t i = 0; i < batch->batch.n; i++) more += (npy_intp)prompts_of(batch->adapters[i]);
    return more == 0 || insert_prompts(batch, model, more);
}

PyObject *t0py_ragged_strip(const t0py_ragged *batch, PyObject *rows) {
    npy_intp more = 0;
    for (size_t i = 0; batch->adapters && i < batch->batch.n; i++) more += (npy_intp)prompts_of(batch->adapters[i]);
    if (more == 0) return rows;
    PyArrayObject *all = (PyArrayObject *)rows;
    const npy_intp shape[2] = {PyArray_DIM(all, 0) - more, PyArray_DIM(all, 1)};
    PyObject *out = PyArray_SimpleNew(2, shape, NPY_FLOAT32);
    const float *from = PyArray_DATA(all);
    float *to = out ? PyArray_DATA((PyArrayObject *)out) : NULL;
    const size_t width = (size_t)shape[1];
    for (size_t i = 0; out && i < batch->batch.n; i++) {
        const size_t begin = (size_t)batch->batch.offsets[i] + prompts_of(batch->adapters[i]);
        const size_t n = (size_t)batch->batch.offsets[i + 1] - begin;
        memcpy(to, from + begin * width, n * width * sizeof *to);
        to += n * width;
    }
    Py_DECREF(rows);
    return out;
}

/* ---- the type ----------------------------------------------------------------------------------------------------- */

static PyObject *adapter_parameters(PyObject *object, void *unused) {
    (void)unused;
    const t0_adapter *adapter = ((t0py_adapter *)object)->adapter;
    size_t n = 0;
    for (size_t i = 0; i < adapter->n_tensors; i++) n += adapter->tensors[i].rows * adapter->tensors[i].columns;
    return PyLong_FromSize_t(n);
}

static PyObject *adapter_changes(PyObject *object, void *unused) {
    (void)unused;
    return PyLong_FromSize_t(((t0py_adapter *)object)->changes);
}

static PyMethodDef adapter_methods[] = {
    {"tensors", adapter_tensors, METH_NOARGS, tensors_doc},
    {"tensor", adapter_tensor, METH_O, tensor_doc},
    {"_writable", adapter_writable, METH_O, writable_doc},
    {"block", adapter_block, METH_NOARGS, block_doc},
    {0},
};

static PyGetSetDef adapter_properties[] = {
    {"parameters", adapter_parameters, NULL, "Number of its weights.", NULL},
    {"changes", adapter_changes, NULL, "How often they were written: while it stays, so do they.", NULL},
    {0},
};

PyDoc_STRVAR(
    adapter_doc,
    "Adapter(config, tensors)\n--\n\n"
    "Small tensors beside those of models of this configuration, cleared. tensors: tuples (name, decoder, block, part, role, rows,\n"
    "columns, scale); parts: q k v o cross_q ... wi_0 wi_1 wo head prompts; roles: lora_A lora_B in out prompt.");
static PyType_Slot adapter_slots[] = {
    {Py_tp_doc, (void *)adapter_doc}, {Py_tp_new, adapter_new},           {Py_tp_dealloc, adapter_dealloc},
    {Py_tp_methods, adapter_methods}, {Py_tp_getset, adapter_properties}, {0, NULL},
};

static PyType_Spec adapter_spec = {
    .name = "t0native._core.Adapter",
    .basicsize = sizeof(t0py_adapter),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = adapter_slots,
};

int t0py_adapter_exec(PyObject *module, t0py_state *state) {
    state->adapter_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &adapter_spec, NULL);
    return state->adapter_type ? PyModule_AddType(module, state->adapter_type) : -1;
}
