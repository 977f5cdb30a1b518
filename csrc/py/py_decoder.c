/* The type Decoder: a model at work on some inputs, a row of tokens a step. One lock: a second thread waits. */
#include "py/py_model.h"

#include "t5/decoder.h"

typedef struct t0py_decoder {
    PyObject_HEAD
    t0py_model *model;   /* strong */
    t0_decoder *decoder; /* owned */
    Py_ssize_t n_threads;
    PyThread_type_lock lock;
} t0py_decoder;

const char t0py_decoder_doc[] = "decoder($self, ids, offsets, threads=1)\n--\n\n"
                                "A Decoder of the ragged inputs, which are encoded now.";
PyObject *t0py_model_decoder(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"ids", "offsets", "threads", NULL};
    t0py_model *model = (t0py_model *)object;
    PyObject *ids, *offsets;
    Py_ssize_t n_threads = 1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|n:decoder", names, &ids, &offsets, &n_threads)) return NULL;
    t0py_state *state = t0py_state_of_type(Py_TYPE(object));
    t0py_ragged sources = {0};
    t0py_decoder *self = NULL;
    t0_exec *exec = NULL;
    if (!state || !t0py_ragged_take(&sources, ids, offsets, "source")) goto end;
    self = (t0py_decoder *)state->decoder_type->tp_alloc(state->decoder_type, 0);
    if (!self) goto end;
    self->model = (t0py_model *)Py_NewRef(object);
    self->n_threads = n_threads;
    self->lock = PyThread_allocate_lock();
    if (!self->lock) PyErr_NoMemory();
    if (!self->lock || !(exec = t0py_exec_take(model, n_threads))) {
        Py_CLEAR(self);
        goto end;
    }
    t0py_interrupt stop;
    const t0_poll poll = t0py_poll(&stop);
    t0_error err;
    t0_status status;
    Py_BEGIN_ALLOW_THREADS
    status = t0_decoder_new(&self->decoder, model->model, exec, &sources.batch, &poll, &err);
    Py_END_ALLOW_THREADS
    if (!t0py_call_ends(model, exec, status, &err)) Py_CLEAR(self);
end:
    t0py_ragged_release(&sources);
    return (PyObject *)self;
}

static void decoder_dealloc(PyObject *object) {
    t0py_decoder *self = (t0py_decoder *)object;
    PyTypeObject *type = Py_TYPE(object);
    t0_decoder_free(self->decoder);
    if (self->lock) PyThread_free_lock(self->lock);
    Py_XDECREF(self->model);
    type->tp_free(object);
    Py_DECREF(type);
}

/* The three arrays of a step, of one length. */
typedef struct step_arrays {
    PyArrayObject *ids, *source_of, *parents; /* strong */
    npy_intp n;
} step_arrays;

static bool take_arrays(step_arrays *at, PyObject *ids, PyObject *source_of, PyObject *parents) {
    at->ids = t0py_private_copy(ids, NPY_INT32, "ids");
    at->source_of = at->ids ? t0py_private_copy(source_of, NPY_INT32, "source_of") : NULL;
    at->parents = at->source_of ? t0py_private_copy(parents, NPY_INT64, "parents") : NULL;
    if (!at->parents) return false;
    at->n = PyArray_SIZE(at->ids);
    if (PyArray_SIZE(at->source_of) == at->n && PyArray_SIZE(at->parents) == at->n) return true;
    PyErr_Format(PyExc_ValueError, "%zd ids, %zd source_of, %zd parents: there must be as many of each", (Py_ssize_t)at->n,
                 (Py_ssize_t)PyArray_SIZE(at->source_of), (Py_ssize_t)PyArray_SIZE(at->parents));
    return false;
}

/* Runs the step with the lock held; rows and logits are arrays of the right size. */
static bool run_step(t0py_decoder *self, const step_arrays *at, PyObject *rows, PyObject *logits) {
    t0_exec *exec = t0py_exec_take(self->model, self->n_threads);
    if (!exec) return false;
    const int32_t *ids = PyArray_DATA(at->ids), *source_of = PyArray_DATA(at->source_of);
    const int64_t *parents = PyArray_DATA(at->parents);
    float *out = PyArray_DATA((PyArrayObject *)logits);
    int64_t *numbers = PyArray_DATA((PyArrayObject *)rows);
    t0py_interrupt stop;
    const t0_poll poll = t0py_poll(&stop);
    t0_error err;
    t0_status status;
    Py_BEGIN_ALLOW_THREADS
    PyThread_acquire_lock(self->lock, WAIT_LOCK);
    const size_t first = t0_decoder_rows(self->decoder);
    status = t0_decoder_step(self->decoder, exec, out, (size_t)at->n, ids, source_of, parents, &poll, &err);
    PyThread_release_lock(self->lock);
    for (npy_intp i = 0; i < at->n; i++) numbers[i] = (int64_t)first + i;
    Py_END_ALLOW_THREADS
    return t0py_call_ends(self->model, exec, status, &err);
}

PyDoc_STRVAR(step_doc, "step($self, ids, source_of, parents)\n--\n\n"
                       "Adds a row for each of ids (int32 [n]), which continues row parents[i] (int64 [n]; -1: begins) of input source_of[i]\n"
                       "(int32 [n]). Returns the rows' numbers, int64 [n], and logits of what follows each, float32 [n, V].");
static PyObject *decoder_step(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"ids", "source_of", "parents", NULL};
    t0py_decoder *self = (t0py_decoder *)object;
    PyObject *ids, *source_of, *parents, *rows = NULL, *logits = NULL, *out = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO:step", names, &ids, &source_of, &parents)) return NULL;
    step_arrays at = {0};
    if (take_arrays(&at, ids, source_of, parents)) {
        const npy_intp shape[2] = {at.n, self->model->model->config.vocab_size};
        rows = PyArray_SimpleNew(1, shape, NPY_INT64);
        logits = rows ? PyArray_SimpleNew(2, shape, NPY_FLOAT32) : NULL;
        if (logits && run_step(self, &at, rows, logits)) out = PyTuple_Pack(2, rows, logits);
    }
    Py_XDECREF(rows);
    Py_XDECREF(logits);
    Py_XDECREF(at.ids);
    Py_XDECREF(at.source_of);
    Py_XDECREF(at.parents);
    return out;
}

static PyObject *decoder_rows(PyObject *object, void *unused) {
    (void)unused;
    return PyLong_FromSize_t(t0_decoder_rows(((t0py_decoder *)object)->decoder));
}

static PyMethodDef decoder_methods[] = {
    {"step", (PyCFunction)(void (*)(void))decoder_step, METH_VARARGS | METH_KEYWORDS, step_doc},
    {0},
};

static PyGetSetDef decoder_properties[] = {{"rows", decoder_rows, NULL, "Rows so far.", NULL}, {0}};

PyDoc_STRVAR(decoder_type_doc, "A model at work on some inputs; Model.decoder makes one.");
static PyType_Slot decoder_slots[] = {
    {Py_tp_doc, (void *)decoder_type_doc},
    {Py_tp_dealloc, decoder_dealloc},
    {Py_tp_methods, decoder_methods},
    {Py_tp_getset, decoder_properties},
    {0, NULL},
};

static PyType_Spec decoder_spec = {
    .name = "t0native._core.Decoder",
    .basicsize = sizeof(t0py_decoder),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = decoder_slots,
};

int t0py_decoder_exec(PyObject *module, t0py_state *state) {
    state->decoder_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &decoder_spec, NULL);
    return state->decoder_type ? PyModule_AddType(module, state->decoder_type) : -1;
}
