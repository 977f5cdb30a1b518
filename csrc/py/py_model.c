/* The type Model: weights and inference. Arrays in and out; text is Python's business.
 *
 * A batch is two arrays: ids (int32 [N], all sequences end to end) and offsets (int64 [n + 1], from 0 to N). The GIL is
 * released while the core computes; any number of threads may call one model at once. */
#include "py/py_model.h"

#include "py/py_adapter.h"
#include "py/py_options.h"

/* ---- construction ------------------------------------------------------------------------------------------------ */

/* A number type of packed weights, and 'float32-flat'. */
static bool storage_named(const char *name, bool *packed, t0_dtype *dtype) {
    *packed = strcmp(name, "float32-flat") != 0;
    *dtype = T0_FLOAT32;
    return !*packed || t0py_dtype_named(name, dtype);
}

/* Makes self->model; panels: a block to borrow, or None. */
static bool make_model(t0py_model *self, const t0_config *config, const char *dtype_name, PyObject *panels) {
    bool packed;
    t0_dtype dtype;
    if (!storage_named(dtype_name, &packed, &dtype)) return false;
    if (panels != Py_None && !packed) {
        PyErr_SetString(PyExc_ValueError, "panels: only for packed models");
        return false;
    }
    if (panels != Py_None && PyObject_GetBuffer(panels, &self->panels, PyBUF_SIMPLE) < 0) return false;
    const uint8_t *memory = panels != Py_None ? self->panels.buf : NULL;
    const size_t size = panels != Py_None ? (size_t)self->panels.len : 0;
    t0_error err;
    t0_status status;
    Py_BEGIN_ALLOW_THREADS
    status = packed ? t0_model_new_packed(&self->model, config, dtype, memory, size, &err) : t0_model_new(&self->model, config, &err);
    Py_END_ALLOW_THREADS
    if (status == T0_OK) return true;
    self->model = NULL;
    t0py_raise(self->execs.state, &err);
    return false;
}

static PyObject *model_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"config", "kernels", "dtype", "panels", NULL};
    PyObject *dict, *panels = Py_None;
    const char *kernels_name = NULL, *dtype = "float32-flat";
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!|zsO:Model", names, &PyDict_Type, &dict, &kernels_name, &dtype, &panels)) return NULL;
    t0_config config;
    const t0_kernels *kernels = t0py_kernels_named(kernels_name);
    if (!kernels || !t0py_config_from_dict(dict, &config)) return NULL;
    t0py_model *self = (t0py_model *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    self->execs = (t0py_execs){.state = t0py_state_of_type(type), .kernels = kernels};
    if (make_model(self, &config, dtype, panels)) return (PyObject *)self;
    Py_DECREF(self);
    return NULL;
}

static void model_dealloc(PyObject *object) {
    t0py_model *self = (t0py_model *)object;
    PyTypeObject *type = Py_TYPE(object);
    t0py_execs_free(&self->execs);
    t0_model_free(self->model);
    if (self->panels.obj) PyBuffer_Release(&self->panels);
    type->tp_free(object);
    Py_DECREF(type);
}

/* ---- inference ---------------------------------------------------------------------------------------------------- */

/* The inputs of a call, with their adapters. */
static bool take_sources(t0py_model *self, t0py_ragged *sources, PyObject *ids, PyObject *offsets, PyObject *adapters) {
    return t0py_ragged_take(sources, ids, offsets, "source") && t0py_ragged_adapt(sources, adapters, self->execs.state, self->model);
}

/* What one of the calls below computes: inputs are borrowed, results lie in arrays of the right size. */
typedef struct model_call {
    const t0_model *model;
    const t0_ragged *sources, *targets; /* targets: of logits and score; of logits the decoder's inputs */
    const int32_t *source_of;           /* score: [targets] */
    bool apart;                         /* score: no shared rows */
    const t0_generation *options;       /* generate */
    float *floats;                      /* encode: [N, D]; logits: [M, V]; score: [target tokens] */
    double *scores;                     /* score: [targets]; generate: [B] */
    int32_t *ids, *lengths;             /* generate: [B, max_new_tokens], [B] */
} model_call;

static t0_status encode_work(void *context, t0_exec *exec, const t0_poll *poll, t0_error *err) {
    const model_call *call = context;
    return t0_encode_states(call->model, exec, call->floats, call->sources, poll, err);
}

PyDoc_STRVAR(encode_doc, "encode($self, ids, offsets, threads=1, adapters=None)\n--\n\n"
                         "Encoder states, float32 [N, D], of a ragged batch. adapters: of each sequence its Adapter, or None.");
static PyObject *model_encode(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"ids", "offsets", "threads", "adapters", NULL};
    t0py_model *self = (t0py_model *)object;
    PyObject *ids, *offsets, *adapters = NULL, *out = NULL;
    Py_ssize_t n_threads = 1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|nO:encode", names, &ids, &offsets, &n_threads, &adapters)) return NULL;
    t0py_ragged sources = {0};
    if (take_sources(self, &sources, ids, offsets, adapters)) {
        const npy_intp shape[2] = {PyArray_SIZE(sources.ids), self->model->config.d_model};
        out = PyArray_SimpleNew(2, shape, NPY_FLOAT32);
    }
    if (out) {
        model_call call = {.model = self->model, .sources = &sources.batch, .floats = PyArray_DATA((PyArrayObject *)out)};
        if (!t0py_execs_run(&self->execs, n_threads, encode_work, &call)) Py_CLEAR(out);
    }
    if (out) out = t0py_ragged_strip(&sources, out);
    t0py_ragged_release(&sources);
    return out;
}

static t0_status logits_work(void *context, t0_exec *exec, const t0_poll *poll, t0_error *err) {
    const model_call *call = context;
    return t0_logits(call->model, exec, call->floats, call->sources, call->targets, poll, err);
}

PyDoc_STRVAR(logits_doc, "logits($self, source_ids, source_offsets, decoder_ids, decoder_offsets, threads=1, adapters=None)\n--\n\n"
                         "Logits, float32 [M, V], of decoder inputs taken as they are, one sequence a source.");
static PyObject *model_logits(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"source_ids", "source_offsets", "decoder_ids", "decoder_offsets", "threads", "adapters", NULL};
    t0py_model *self = (t0py_model *)object;
    PyObject *ids, *offsets, *decoder_ids, *decoder_offsets, *adapters = NULL, *out = NULL;
    Py_ssize_t n_threads = 1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO|nO:logits", names, &ids, &offsets, &decoder_ids, &decoder_offsets, &n_threads,
                                     &adapters))
        return NULL;
    t0py_ragged sources = {0}, inputs = {0};
    if (take_sources(self, &sources, ids, offsets, adapters) && t0py_ragged_take(&inputs, decoder_ids, decoder_offsets, "decoder")) {
        const npy_intp shape[2] = {PyArray_SIZE(inputs.ids), self->model->config.vocab_size};
        out = PyArray_SimpleNew(2, shape, NPY_FLOAT32);
    }
    if (out) {
        float *logits = PyArray_DATA((PyArrayObject *)out);
        model_call call = {.model = self->model, .sources = &sources.batch, .targets = &inputs.batch, .floats = logits};
        if (!t0py_execs_run(&self->execs, n_threads, logits_work, &call)) Py_CLEAR(out);
    }
    t0py_ragged_release(&sources);
    t0py_ragged_release(&inputs);
    return out;
}

static t0_status score_work(void *context, t0_exec *exec, const t0_poll *poll, t0_error *err) {
    const model_call *call = context;
    return t0_score(call->model, exec, call->scores, call->floats, call->sources, call->targets, call->source_of, call->apart, poll, err);
}

/* The body of score once the batches are taken. */
static PyObject *score_batches(t0py_model *self, const t0py_ragged *sources, const t0py_ragged *targets, PyObject *source_of, bool apart,
                               Py_ssize_t n_threads) {
    PyArrayObject *owner = t0py_private_copy(source_of, NPY_INT32, "source_of");
    const npy_intp n_targets = (npy_intp)targets->batch.n, n_tokens = PyArray_SIZE(targets->ids);
    PyObject *scores = owner ? PyArray_SimpleNew(1, &n_targets, NPY_FLOAT64) : NULL;
    PyObject *token_scores = scores ? PyArray_SimpleNew(1, &n_tokens, NPY_FLOAT32) : NULL;
    PyObject *out = NULL;
    if (token_scores && PyArray_SIZE(owner) != n_targets) {
        PyErr_Format(PyExc_ValueError, "source_of: %zd entries for %zd targets", (Py_ssize_t)PyArray_SIZE(owner), (Py_ssize_t)n_targets);
    } else if (token_scores) {
        model_call call = {.model = self->model,
                           .sources = &sources->batch,
                           .targets = &targets->batch,
                           .source_of = PyArray_DATA(owner),
                           .apart = apart};
        call.scores = PyArray_DATA((PyArrayObject *)scores);
        call.floats = PyArray_DATA((PyArrayObject *)token_scores);
        if (t0py_execs_run(&self->execs, n_threads, score_work, &call)) out = PyTuple_Pack(2, scores, token_scores);
    }
    Py_XDECREF(owner);
    Py_XDECREF(scores);
    Py_XDECREF(token_scores);
    return out;
}

PyDoc_STRVAR(
    score_doc,
    "score($self, source_ids, source_offsets, target_ids, target_offsets, source_of, threads=1, adapters=None, apart=False)\n--\n\n"
    "(scores float64 [targets], token scores float32 [target tokens]): log-likelihoods of targets, "
    "each given its source. apart: targets of one source share no work; for tests, the same bits.");
static PyObject *model_score(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"source_ids", "source_offsets", "target_ids", "target_offsets", "source_of", "threads",
                            "adapters",   "apart",          NULL};
    PyObject *ids, *offsets, *target_ids, *target_offsets, *source_of, *adapters = NULL;
    Py_ssize_t n_threads = 1;
    int apart = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOO|nOp:score", names, &ids, &offsets, &target_ids, &target_offsets, &source_of,
                                     &n_threads, &adapters, &apart))
        return NULL;
    t0py_ragged sources = {0}, targets = {0};
    PyObject *out = NULL;
    if (take_sources((t0py_model *)object, &sources, ids, offsets, adapters) &&
        t0py_ragged_take(&targets, target_ids, target_offsets, "target"))
        out = score_batches((t0py_model *)object, &sources, &targets, source_of, apart, n_threads);
    t0py_ragged_release(&sources);
    t0py_ragged_release(&targets);
    return out;
}

static t0_status generate_work(void *context, t0_exec *exec, const t0_poll *poll, t0_error *err) {
    const model_call *call = context;
    return t0_generate(call->model, exec, call->ids, call->lengths, call->scores, call->sources, call->options, poll, err);
}

/* The body of generate once the batch is taken. */
static PyObject *generate_batch(t0py_model *self, const t0py_ragged *sources, const t0_generation *options, Py_ssize_t n_threads) {
    const npy_intp shape[2] = {(npy_intp)sources->batch.n, options->max_new_tokens > 0 ? options->max_new_tokens : 0};
    PyObject *ids = PyArray_ZEROS(2, shape, NPY_INT32, 0);
    PyObject *lengths = ids ? PyArray_ZEROS(1, shape, NPY_INT32, 0) : NULL;
    PyObject *scores = lengths ? PyArray_ZEROS(1, shape, NPY_FLOAT64, 0) : NULL;
    PyObject *out = NULL;
    if (scores) {
        model_call call = {.model = self->model, .sources = &sources->batch, .options = options};
        call.ids = PyArray_DATA((PyArrayObject *)ids);
        call.lengths = PyArray_DATA((PyArrayObject *)lengths);
        call.scores = PyArray_DATA((PyArrayObject *)scores);
        if (t0py_execs_run(&self->execs, n_threads, generate_work, &call)) out = PyTuple_Pack(3, ids, lengths, scores);
    }
    Py_XDECREF(ids);
    Py_XDECREF(lengths);
    Py_XDECREF(scores);
    return out;
}

PyDoc_STRVAR(generate_doc, "generate($self, source_ids, source_offsets, max_new_tokens, min_new_tokens=0, threads=1, adapters=None)\n--\n\n"
                           "(ids int32 [B, max_new_tokens], lengths int32 [B], log-likelihoods float64 [B]): the most likely next "
                           "token, again and again. Lengths count the end token where it was reached.");
static PyObject *model_generate(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"source_ids", "source_offsets", "max_new_tokens", "min_new_tokens", "threads", "adapters", NULL};
    PyObject *ids, *offsets, *adapters = NULL;
    int most, least = 0;
    Py_ssize_t n_threads = 1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOi|inO:generate", names, &ids, &offsets, &most, &least, &n_threads, &adapters))
        return NULL;
    t0py_ragged sources = {0};
    PyObject *out = NULL;
    const t0_generation options = {.max_new_tokens = most, .min_new_tokens = least};
    if (take_sources((t0py_model *)object, &sources, ids, offsets, adapters))
        out = generate_batch((t0py_model *)object, &sources, &options, n_threads);
    t0py_ragged_release(&sources);
    return out;
}

/* ---- the type ----------------------------------------------------------------------------------------------------- */

static PyObject *model_kernels(PyObject *object, void *unused) {
    (void)unused;
    return PyUnicode_FromString(((t0py_model *)object)->execs.kernels->name);
}

static PyObject *model_parameters(PyObject *object, void *unused) {
    (void)unused;
    return PyLong_FromSize_t(((t0py_model *)object)->model->n_weights);
}

static PyMethodDef model_methods[] = {
    {"tensors", t0py_model_tensors, METH_NOARGS, t0py_tensors_doc},
    {"tensor", t0py_model_tensor, METH_O, t0py_tensor_doc},
    {"_writable", t0py_model_writable, METH_O, t0py_writable_doc},
    {"put", t0py_model_put, METH_VARARGS, t0py_put_doc},
    {"panels", t0py_model_panels, METH_NOARGS, t0py_panels_doc},
    {"init", T0PY_METHOD(t0py_model_init), METH_VARARGS | METH_KEYWORDS, t0py_init_doc},
    {"find_nonfinite", t0py_model_find_nonfinite, METH_NOARGS, t0py_find_nonfinite_doc},
    {"encode", T0PY_METHOD(model_encode), METH_VARARGS | METH_KEYWORDS, encode_doc},
    {"logits", T0PY_METHOD(model_logits), METH_VARARGS | METH_KEYWORDS, logits_doc},
    {"score", T0PY_METHOD(model_score), METH_VARARGS | METH_KEYWORDS, score_doc},
    {"generate", T0PY_METHOD(model_generate), METH_VARARGS | METH_KEYWORDS, generate_doc},
    {"decoder", T0PY_METHOD(t0py_model_decoder), METH_VARARGS | METH_KEYWORDS, t0py_decoder_doc},
    {0},
};

static PyObject *model_dtype(PyObject *object, void *unused) {
    (void)unused;
    const t0_model *model = ((t0py_model *)object)->model;
    return PyUnicode_FromString(model->dtype == T0_INT8 ? "int8" : model->dtype == T0_BFLOAT16 ? "bfloat16" : "float32");
}

static PyObject *model_packed(PyObject *object, void *unused) {
    (void)unused;
    return PyBool_FromLong(((t0py_model *)object)->model->packed);
}

static PyObject *model_nbytes(PyObject *object, void *unused) {
    (void)unused;
    return PyLong_FromSize_t(((t0py_model *)object)->model->n_bytes);
}

static PyObject *model_changes(PyObject *object, void *unused) {
    (void)unused;
    return PyLong_FromSize_t(((t0py_model *)object)->changes);
}

static PyGetSetDef model_properties[] = {
    {"kernels", model_kernels, NULL, "Name of the kernel set.", NULL},
    {"dtype", model_dtype, NULL, "Number type of products: float32, bfloat16 or int8.", NULL},
    {"packed", model_packed, NULL, "True for a packed model: inference alone, its weights cannot be trained.", NULL},
    {"nbytes", model_nbytes, NULL, "Bytes of weights.", NULL},
    {"parameters", model_parameters, NULL, "Number of weights.", NULL},
    {"changes", model_changes, NULL, "How often weights were written: while it stays, so do they.", NULL},
    {0},
};

PyDoc_STRVAR(model_doc, "Model(config, kernels=None, dtype='float32-flat', panels=None)\n--\n\n"
                        "A T5 with cleared weights. config: dict as Config.core() gives it. dtype: 'float32-flat' (can be trained), or\n"
                        "'float32', 'bfloat16', 'int8' (packed for inference). panels: a buffer with what panels() of such a model gave;\n"
                        "it is used where it lies.");
static PyType_Slot model_slots[] = {
    {Py_tp_doc, (void *)model_doc}, {Py_tp_new, model_new},           {Py_tp_dealloc, model_dealloc},
    {Py_tp_methods, model_methods}, {Py_tp_getset, model_properties}, {0, NULL},
};

static PyType_Spec model_spec = {
    .name = "t0native._core.Model",
    .basicsize = sizeof(t0py_model),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = model_slots,
};

PyDoc_STRVAR(kernels_doc, "kernels()\n--\n\nList of (name, available here) of the kernel sets, the portable one first.");
static PyObject *list_kernels(PyObject *module, PyObject *unused) {
    (void)module;
    (void)unused;
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list && t0_kernels_at(i); i++) {
        const t0_kernels *kernels = t0_kernels_at(i);
        PyObject *item = Py_BuildValue("sO", kernels->name, t0_kernels_available(kernels) ? Py_True : Py_False);
        if (!item || PyList_Append(list, item) < 0) Py_CLEAR(list);
        Py_XDECREF(item);
    }
    return list;
}

PyDoc_STRVAR(model_bytes_doc, "model_bytes(config, dtype, /)\n--\n\nBytes that the weights of Model(config, dtype=dtype) take.");
static PyObject *model_bytes(PyObject *module, PyObject *args) {
    PyObject *dict;
    const char *name;
    t0_config config;
    bool packed;
    t0_dtype dtype;
    t0_error err;
    size_t bytes = 0;
    if (!PyArg_ParseTuple(args, "O!s:model_bytes", &PyDict_Type, &dict, &name)) return NULL;
    if (!storage_named(name, &packed, &dtype) || !t0py_config_from_dict(dict, &config)) return NULL;
    if (t0_model_bytes(&bytes, &config, packed, dtype, &err) != T0_OK) return t0py_raise(t0py_state_of(module), &err);
    return PyLong_FromSize_t(bytes);
}

static PyMethodDef module_functions[] = {
    {"kernels", list_kernels, METH_NOARGS, kernels_doc}, {"model_bytes", model_bytes, METH_VARARGS, model_bytes_doc}, {0}};

int t0py_model_exec(PyObject *module, t0py_state *state) {
    state->model_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &model_spec, NULL);
    if (!state->model_type || PyModule_AddType(module, state->model_type) < 0) return -1;
    return PyModule_AddFunctions(module, module_functions);
}
