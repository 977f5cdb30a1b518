/* The Model type's weights: tensors as arrays, rows in, the packed block, random first values. */
#include "py/py_model.h"

#include <assert.h>
#include <math.h>

PyObject *t0py_float_view(PyObject *owner, float *data, int ndim, const npy_intp *shape, bool writable) {
    const int flags = writable ? NPY_ARRAY_CARRAY : NPY_ARRAY_CARRAY_RO;
    PyObject *view = PyArray_New(&PyArray_Type, ndim, shape, NPY_FLOAT32, NULL, data, 0, flags, NULL);
    if (!view) return NULL;
    if (PyArray_SetBaseObject((PyArrayObject *)view, Py_NewRef(owner)) == 0) return view;
    Py_DECREF(view);
    return NULL;
}

static const t0_tensor *tensor_named(const t0_model *model, PyObject *name) {
    const char *text = PyUnicode_AsUTF8(name);
    if (!text) return NULL;
    const t0_tensor *tensor = t0_model_find(model, text);
    if (!tensor) PyErr_Format(PyExc_KeyError, "no tensor %R in this model; tensors() lists them", name);
    return tensor;
}

PyObject *t0py_tensor_view(PyObject *owner, const t0_model *model, float *block, PyObject *name, bool writable) {
    const t0_tensor *tensor = tensor_named(model, name);
    if (!tensor) return NULL;
    assert(!model->packed && tensor->offset + tensor->rows * tensor->columns <= model->n_weights);
    const npy_intp shape[2] = {(npy_intp)tensor->rows, (npy_intp)tensor->columns};
    const int skip = tensor->is_vector ? 1 : 0;
    return t0py_float_view(owner, block + tensor->offset, 2 - skip, shape + skip, writable);
}

const char t0py_tensors_doc[] = "tensors($self)\n--\n\nList of (name, shape), in the order of memory. Names are the hub's.";
PyObject *t0py_model_tensors(PyObject *object, PyObject *unused) {
    (void)unused;
    const t0_model *model = ((t0py_model *)object)->model;
    PyObject *list = PyList_New((Py_ssize_t)model->n_tensors);
    for (size_t i = 0; list && i < model->n_tensors; i++) {
        const t0_tensor *tensor = &model->tensors[i];
        PyObject *item = tensor->is_vector ? Py_BuildValue("s(n)", tensor->name, (Py_ssize_t)tensor->columns)
                                           : Py_BuildValue("s(nn)", tensor->name, (Py_ssize_t)tensor->rows, (Py_ssize_t)tensor->columns);
        if (item) PyList_SET_ITEM(list, (Py_ssize_t)i, item);
        else Py_CLEAR(list);
    }
    return list;
}

/* A packed tensor as a new array of floats. */
static PyObject *unpacked(const t0_model *model, PyObject *name) {
    const t0_tensor *tensor = tensor_named(model, name);
    if (!tensor) return NULL;
    const npy_intp shape[2] = {(npy_intp)tensor->rows, (npy_intp)tensor->columns};
    const int skip = tensor->is_vector ? 1 : 0;
    PyObject *array = PyArray_SimpleNew(2 - skip, shape + skip, NPY_FLOAT32);
    if (!array) return NULL;
    float *rows = PyArray_DATA((PyArrayObject *)array);
    Py_BEGIN_ALLOW_THREADS
    for (size_t r = 0; r < tensor->rows; r++) t0_model_get(rows + r * tensor->columns, model, tensor, r);
    Py_END_ALLOW_THREADS
    PyArray_CLEARFLAGS((PyArrayObject *)array, NPY_ARRAY_WRITEABLE);
    return array;
}

const char t0py_tensor_doc[] = "tensor($self, name, /)\n--\n\nRead-only float32 array of a weight: a view that keeps the model alive, or "
                               "of a packed model a copy.";
PyObject *t0py_model_tensor(PyObject *object, PyObject *name) {
    const t0_model *model = ((t0py_model *)object)->model;
    if (!model->packed) return t0py_tensor_view(object, model, model->weights, name, false);
    return unpacked(model, name);
}

const char t0py_writable_doc[] = "_writable($self, name, /)\n--\n\nThe same view, writable: at once, for this call counts as the change.";
PyObject *t0py_model_writable(PyObject *object, PyObject *name) {
    const t0_model *model = ((t0py_model *)object)->model;
    if (model->packed) return PyErr_Format(PyExc_ValueError, "a packed model has no writable tensors; put() gives it rows");
    ((t0py_model *)object)->changes++;
    return t0py_tensor_view(object, model, model->weights, name, true);
}

static bool owns_weights(const t0_model *model) {
    if (model->borrowed) PyErr_SetString(PyExc_ValueError, "the weights lie in a buffer of someone else's and are only read");
    return !model->borrowed;
}

/* The number type of an array of weights, or false with TypeError set. */
static bool source_type(PyArrayObject *array, t0_dtype *from) {
    switch (PyArray_TYPE(array)) {
    case NPY_FLOAT32: *from = T0_FLOAT32; return true;
    case NPY_FLOAT16: *from = T0_FLOAT16; return true;
    case NPY_UINT16: *from = T0_BFLOAT16; return true;
    default: PyErr_SetString(PyExc_TypeError, "rows: must be float32, float16, or uint16 for the bits of bfloat16"); return false;
    }
}

/* How many whole rows of the tensor the array has from first_row on; -1 with ValueError set where they do not fit. */
static Py_ssize_t rows_in(PyArrayObject *array, const t0_tensor *tensor, Py_ssize_t first_row) {
    const npy_intp columns = PyArray_NDIM(array) > 0 ? PyArray_DIM(array, PyArray_NDIM(array) - 1) : 0;
    const npy_intp rows = PyArray_NDIM(array) == 1 ? 1 : PyArray_NDIM(array) == 2 ? PyArray_DIM(array, 0) : -1;
    if (columns == (npy_intp)tensor->columns && rows >= 0 && first_row >= 0 && rows <= (npy_intp)tensor->rows - first_row) return rows;
    PyErr_Format(PyExc_ValueError, "rows: %zd rows of %zd from row %zd on do not fit %s, [%zu, %zu]", (Py_ssize_t)rows, (Py_ssize_t)columns,
                 first_row, tensor->name, tensor->rows, tensor->columns);
    return -1;
}

const char
    t0py_put_doc[] = "put($self, name, first_row, rows, /)\n--\n\n"
                     "Takes rows of a tensor, from first_row on: [n, columns] (or one row) of float32, float16, or uint16 for bfloat16.\n"
                     "They are converted and packed at once, in any order. Returns None, or (index, value) of the first element of rows\n"
                     "that is not finite.";
PyObject *t0py_model_put(PyObject *object, PyObject *args) {
    t0py_model *self = (t0py_model *)object;
    t0_model *model = self->model;
    PyObject *name, *value;
    Py_ssize_t first_row;
    if (!PyArg_ParseTuple(args, "UnO:put", &name, &first_row, &value) || !owns_weights(model)) return NULL;
    const t0_tensor *tensor = tensor_named(model, name);
    if (!tensor) return NULL;
    PyArrayObject *array = (PyArrayObject *)PyArray_FROM_OF(value, NPY_ARRAY_CARRAY_RO | NPY_ARRAY_NOTSWAPPED);
    t0_dtype from;
    Py_ssize_t n = -1;
    size_t bad = SIZE_MAX;
    if (!array || !source_type(array, &from) || (n = rows_in(array, tensor, first_row)) < 0) {
        Py_XDECREF(array);
        return NULL;
    }
    const void *data = PyArray_DATA(array);
    Py_BEGIN_ALLOW_THREADS
    bad = t0_model_put(model, tensor, (size_t)first_row, (size_t)n, data, from);
    Py_END_ALLOW_THREADS
    self->changes++;
    float x = 0.0f;
    if (bad != SIZE_MAX) t0_widen(&x, (const char *)data + bad * (from == T0_FLOAT32 ? 4 : 2), from, 1);
    Py_DECREF(array);
    if (bad == SIZE_MAX) Py_RETURN_NONE;
    return Py_BuildValue("nd", (Py_ssize_t)bad, (double)x);
}

const char t0py_panels_doc[] = "panels($self)\n--\n\n"
                               "The packed block, uint8 [nbytes], read-only: what Model(..., panels=) takes. It keeps the model alive.";
PyObject *t0py_model_panels(PyObject *object, PyObject *unused) {
    (void)unused;
    const t0_model *model = ((t0py_model *)object)->model;
    if (!model->packed) return PyErr_Format(PyExc_ValueError, "a flat model has no panels");
    const npy_intp size = (npy_intp)model->n_bytes;
    PyObject *view = PyArray_New(&PyArray_Type, 1, &size, NPY_UINT8, NULL, model->block, 0, NPY_ARRAY_CARRAY_RO, NULL);
    if (view && PyArray_SetBaseObject((PyArrayObject *)view, Py_NewRef(object)) == 0) return view;
    Py_XDECREF(view);
    return NULL;
}

typedef struct init_call {
    t0_model *model;
    t0_init kind;
    uint64_t seed;
} init_call;

static t0_status init_work(void *context, t0_exec *exec, const t0_poll *poll, t0_error *err) {
    const init_call *call = context;
    return t0_model_init(call->model, exec, call->kind, call->seed, poll, err);
}

const char t0py_init_doc[] = "init($self, kind='t5', seed=0, threads=1)\n--\n\n"
                             "Fills the weights at random: kind 't5' or 'matching'. Counter-based: the same everywhere.";
PyObject *t0py_model_init(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"kind", "seed", "threads", NULL};
    t0py_model *self = (t0py_model *)object;
    const char *kind = "t5";
    unsigned long long seed = 0;
    Py_ssize_t n_threads = 1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|sKn:init", names, &kind, &seed, &n_threads)) return NULL;
    const bool matching = strcmp(kind, "matching") == 0;
    if (!matching && strcmp(kind, "t5") != 0) return PyErr_Format(PyExc_ValueError, "initializer '%s': must be 't5' or 'matching'", kind);
    if (!owns_weights(self->model)) return NULL;
    init_call call = {self->model, matching ? T0_INIT_MATCHING : T0_INIT_T5, seed};
    const bool done = t0py_execs_run(&self->execs, n_threads, init_work, &call);
    self->changes++;
    if (!done) return NULL;
    Py_RETURN_NONE;
}

const char t0py_find_nonfinite_doc[] = "find_nonfinite($self)\n--\n\n"
                                       "(tensor name, flat index, value) of the first weight that is not finite, or None.";
PyObject *t0py_model_find_nonfinite(PyObject *object, PyObject *unused) {
    (void)unused;
    const t0_model *model = ((t0py_model *)object)->model;
    const t0_tensor *tensor;
    size_t i = 0;
    if (model->packed) return PyErr_Format(PyExc_ValueError, "a packed model tells of weights that are not finite when put() gets them");
    Py_BEGIN_ALLOW_THREADS
    tensor = t0_model_find_nonfinite(model);
    while (tensor && i + 1 < tensor->rows * tensor->columns && isfinite(model->weights[tensor->offset + i])) i++;
    Py_END_ALLOW_THREADS
    if (!tensor) Py_RETURN_NONE;
    return Py_BuildValue("snd", tensor->name, (Py_ssize_t)i, (double)model->weights[tensor->offset + i]);
}
