/* The type Decoder: a model at work on some inputs, a row of tokens a step. One lock: a second thread waits. */
#include "py/py_adapter.h"
#include "py/py_model.h"

#include "t5/decoder.h"

typedef struct t0py_decoder {
    PyObject_HEAD
    t0py_model *model;   /* strong */
    t0_decoder *decoder; /* owned; borrows adapters */
    PyObject *adapters;  /* strong: a tuple that holds them, or NULL */
    Py_ssize_t n_threads;
    PyThread_type_lock lock;
} t0py_decoder;

/* A Decoder of the model without the core's part. */
static t0py_decoder *decoder_alloc(t0py_model *model, Py_ssize_t n_threads) {
    PyTypeObject *type = model->execs.state->decoder_type;
    t0py_decoder *self = (t0py_decoder *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    self->model = (t0py_model *)Py_NewRef((PyObject *)model);
    self->n_threads = n_threads;
    self->lock = PyThread_allocate_lock();
    if (self->lock) return self;
    Py_DECREF(self);
    PyErr_NoMemory();
    return NULL;
}

typedef struct begin_call {
    t0py_decoder *self;
    const t0_ragged *sources;
} begin_call;

static t0_status begin_work(void *context, t0_exec *exec, const t0_poll *poll, t0_error *err) {
    const begin_call *call = context;
    return t0_decoder_new(&call->self->decoder, call->self->model->model, exec, call->sources, poll, err);
}

const char t0py_decoder_doc[] = "decoder($self, ids, offsets, threads=1, adapters=None)\n--\n\n"
                                "A Decoder of the ragged inputs, which are encoded now.";
PyObject *t0py_model_decoder(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"ids", "offsets", "threads", "adapters", NULL};
    t0py_model *model = (t0py_model *)object;
    PyObject *ids, *offsets, *adapters = NULL;
    Py_ssize_t n_threads = 1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|nO:decoder", names, &ids, &offsets, &n_threads, &adapters)) return NULL;
    t0py_ragged sources = {0};
    const bool taken = t0py_ragged_take(&sources, ids, offsets, "source") &&
                       t0py_ragged_adapt(&sources, adapters, model->execs.state, model->model);
    t0py_decoder *self = taken ? decoder_alloc(model, n_threads) : NULL;
    if (self) {
        self->adapters = Py_XNewRef(sources.owners);
        begin_call call = {self, &sources.batch};
        if (!t0py_execs_run(&model->execs, n_threads, begin_work, &call)) Py_CLEAR(self);
    }
    t0py_ragged_release(&sources);
    return (PyObject *)self;
}

static void decoder_dealloc(PyObject *object) {
    t0py_decoder *self = (t0py_decoder *)object;
    PyTypeObject *type = Py_TYPE(object);
    t0_decoder_free(self->decoder);
    if (self->lock) PyThread_free_lock(self->lock);
    Py_XDECREF(self->model);
    Py_XDECREF(self->adapters);
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

typedef struct step_call {
    t0py_decoder *self;
    const step_arrays *at;
    int64_t *rows; /* [n] out */
    float *logits; /* [n, V] out */
} step_call;

/* The step, with the decoder's lock held. */
static t0_status step_work(void *context, t0_exec *exec, const t0_poll *poll, t0_error *err) {
    const step_call *call = context;
    const step_arrays *at = call->at;
    t0_decoder *decoder = call->self->decoder;
    PyThread_acquire_lock(call->self->lock, WAIT_LOCK);
    const size_t first = t0_decoder_rows(decoder);
    const t0_status status = t0_decoder_step(decoder, exec, call->logits, (size_t)at->n, PyArray_DATA(at->ids), PyArray_DATA(at->source_of),
                                             PyArray_DATA(at->parents), poll, err);
    PyThread_release_lock(call->self->lock);
    for (npy_intp i = 0; i < at->n; i++) call->rows[i] = (int64_t)first + i;
    return status;
}

/* rows and logits are arrays of the right size. */
static bool run_step(t0py_decoder *self, const step_arrays *at, PyObject *rows, PyObject *logits) {
    step_call call = {self, at, PyArray_DATA((PyArrayObject *)rows), PyArray_DATA((PyArrayObject *)logits)};
    return t0py_execs_run(&self->model->execs, self->n_threads, step_work, &call);
}

PyDoc_STRVAR(step_doc,
             "step($self, ids, source_of, parents)\n--\n\n"
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
    {"step", T0PY_METHOD(decoder_step), METH_VARARGS | METH_KEYWORDS, step_doc},
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
