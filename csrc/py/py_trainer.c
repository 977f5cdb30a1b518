/* The type Trainer: gradients and optimiser steps that change a Model's weights in place.
 *
 * One lock serialises its calls; waiting for it can be stopped by Ctrl-C. A step that is stopped or fails before the
 * optimiser began leaves weights and optimiser state as they were. */
#include "py/py_adapter.h"
#include "py/py_model.h"
#include "py/py_options.h"

#include <pythread.h>

typedef struct t0py_trainer {
    PyObject_HEAD
    t0py_model *model;   /* strong: its weights are trained */
    t0_trainer *trainer; /* owned */
    t0py_adapter *adapter; /* strong: what is trained in the model's place, or NULL */
    PyThread_type_lock lock;
} t0py_trainer;

static size_t weights_of(const t0py_trainer *self) {
    size_t n;
    t0_trainer_tensors(self->trainer, &n);
    return n;
}

/* What a step has written. */
static void count_change(t0py_trainer *self) {
    if (self->adapter) self->adapter->changes++;
    else self->model->changes++;
}

static t0py_state *state_of(t0py_trainer *self) { return t0py_state_of_type(Py_TYPE(self)); }

/* ---- the lock ------------------------------------------------------------------------------------------------------ */

enum { LOCK_WAIT_US = 50 * 1000 };

/* False with an exception set when a signal stopped the wait. */
static bool lock_take(t0py_trainer *self) {
    while (!PyThread_acquire_lock(self->lock, NOWAIT_LOCK)) {
        PyLockStatus got;
        Py_BEGIN_ALLOW_THREADS
        got = PyThread_acquire_lock_timed(self->lock, LOCK_WAIT_US, 0);
        Py_END_ALLOW_THREADS
        if (got == PY_LOCK_ACQUIRED) return true;
        if (PyErr_CheckSignals() != 0) return false;
    }
    return true;
}

/* ---- construction -------------------------------------------------------------------------------------------------- */

/* What Trainer is made from. */
typedef struct trainer_arguments {
    t0py_model *model;     /* borrowed */
    t0py_adapter *adapter; /* borrowed, or NULL */
    t0_trainer_options options;
    bool *frozen, *elsewhere; /* what options point to, or NULL; from PyMem_Calloc */
    Py_ssize_t n_threads;
} trainer_arguments;

/* Of Trainer(model, *, ...) or Trainer(model=model, ...), borrowed; NULL with an exception where there is none. */
static t0py_model *model_among(PyObject *args, PyObject *kwargs, t0py_state *state) {
    const Py_ssize_t n = PyTuple_GET_SIZE(args);
    PyObject *model = kwargs ? t0py_dict_get(kwargs, "model") : NULL;
    if (PyErr_Occurred()) return NULL;
    if (n > 1 || (n == 1 && model)) {
        PyErr_Format(PyExc_TypeError, "Trainer: one model, and options by name; %zd arguments without a name", n);
        return NULL;
    }
    if (n == 1) model = PyTuple_GET_ITEM(args, 0);
    if (model && PyObject_TypeCheck(model, state->model_type)) return (t0py_model *)model;
    PyErr_Format(PyExc_TypeError, "model: %.100s, must be a Model", model ? Py_TYPE(model)->tp_name : "nothing");
    return NULL;
}

static bool take_adapter(PyObject *value, trainer_arguments *out) {
    if (value == Py_None) return true;
    if (!PyObject_TypeCheck(value, out->model->execs.state->adapter_type)) {
        PyErr_Format(PyExc_TypeError, "adapter: %.100s, must be an Adapter", Py_TYPE(value)->tp_name);
        return false;
    }
    out->adapter = (t0py_adapter *)value;
    out->options.adapter = out->adapter->adapter;
    return true;
}

static bool take_argument(PyObject *name, PyObject *value, trainer_arguments *out) {
    if (PyUnicode_CompareWithASCIIString(name, "model") == 0) return true;
    if (PyUnicode_CompareWithASCIIString(name, "adapter") == 0) return take_adapter(value, out);
    const t0_model *model = out->model->model;
    if (PyUnicode_CompareWithASCIIString(name, "freeze") == 0) return t0py_tensors_take(&out->frozen, "freeze", value, model);
    if (PyUnicode_CompareWithASCIIString(name, "elsewhere") == 0) return t0py_tensors_take(&out->elsewhere, "elsewhere", value, model);
    if (PyUnicode_CompareWithASCIIString(name, "threads") != 0) return t0py_options_set(&out->options, name, value);
    out->n_threads = PyNumber_AsSsize_t(value, PyExc_OverflowError);
    return out->n_threads != -1 || !PyErr_Occurred();
}

/* False with an exception set; out->frozen and out->elsewhere are the caller's to free, whatever is returned. */
static bool take_arguments(PyObject *args, PyObject *kwargs, t0py_state *state, trainer_arguments *out) {
    *out = (trainer_arguments){.model = model_among(args, kwargs, state), .options = t0py_options_default(), .n_threads = 1};
    if (!out->model) return false;
    PyObject *name, *value;
    for (Py_ssize_t at = 0; kwargs && PyDict_Next(kwargs, &at, &name, &value);)
        if (!take_argument(name, value, out)) return false;
    out->options.frozen = out->frozen;
    out->options.elsewhere = out->elsewhere;
    if (out->adapter && (out->frozen || out->elsewhere)) {
        PyErr_SetString(PyExc_ValueError, "freeze, elsewhere: beside an adapter the model's tensors are frozen, all of them");
        return false;
    }
    return t0py_threads_valid(state, out->n_threads);
}

/* A Trainer of the model without the core's part. */
static t0py_trainer *trainer_alloc(PyTypeObject *type, t0py_model *model, t0py_adapter *adapter) {
    t0py_trainer *self = (t0py_trainer *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    self->model = (t0py_model *)Py_NewRef((PyObject *)model);
    self->adapter = (t0py_adapter *)Py_XNewRef((PyObject *)adapter);
    self->lock = PyThread_allocate_lock();
    if (self->lock) return self;
    Py_DECREF(self);
    PyErr_NoMemory();
    return NULL;
}

static PyObject *trainer_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    t0py_state *state = t0py_state_of_type(type);
    trainer_arguments a = {.frozen = NULL};
    t0py_trainer *self = state && take_arguments(args, kwargs, state, &a) ? trainer_alloc(type, a.model, a.adapter) : NULL;
    t0_error err;
    t0_status status = T0_OK;
    if (self) {
        Py_BEGIN_ALLOW_THREADS
        status = t0_trainer_new(&self->trainer, a.model->model, &a.options, a.model->execs.kernels, (size_t)a.n_threads, &err);
        Py_END_ALLOW_THREADS
    }
    PyMem_Free(a.frozen);
    PyMem_Free(a.elsewhere);
    if (status == T0_OK) return (PyObject *)self;
    self->trainer = NULL;
    Py_DECREF(self);
    return t0py_raise(state, &err);
}

static void trainer_dealloc(PyObject *object) {
    t0py_trainer *self = (t0py_trainer *)object;
    PyTypeObject *type = Py_TYPE(object);
    if (self->trainer) t0_trainer_free(self->trainer);
    if (self->lock) PyThread_free_lock(self->lock);
    Py_XDECREF(self->model);
    Py_XDECREF(self->adapter);
    type->tp_free(object);
    Py_DECREF(type);
}

/* ---- steps ---------------------------------------------------------------------------------------------------------- */

/* Gradients of the batch, then, with a learning rate, the optimiser. */
static PyObject *run_step(t0py_trainer *self, const t0py_ragged *sources, const t0py_ragged *targets, unsigned long long step,
                          const float *learning_rate) {
    if (sources->batch.n != targets->batch.n)
        return PyErr_Format(PyExc_ValueError, "%zd targets for %zd sources: there must be one for each", (Py_ssize_t)targets->batch.n,
                            (Py_ssize_t)sources->batch.n);
    if (!lock_take(self)) return NULL;
    t0_step_result result = {0};
    t0_error err;
    t0py_interrupt stop;
    const t0_poll poll = t0py_poll(&stop);
    t0_status status;
    Py_BEGIN_ALLOW_THREADS
    status = t0_trainer_gradients(self->trainer, &result, &sources->batch, &targets->batch, step, &poll, &err);
    if (status == T0_OK && learning_rate) status = t0_trainer_apply(self->trainer, &result, *learning_rate, step, NULL, NULL, &err);
    Py_END_ALLOW_THREADS
    if (learning_rate) count_change(self);
    PyThread_release_lock(self->lock);
    if (status != T0_OK) return t0py_raise(state_of(self), &err);
    if (learning_rate) return Py_BuildValue("dd", result.loss, result.grad_norm);
    return Py_BuildValue("dnn", result.loss, (Py_ssize_t)result.source_tokens, (Py_ssize_t)result.target_tokens);
}

static bool step_number_valid(unsigned long long step) {
    if (step >= 1) return true;
    PyErr_SetString(PyExc_ValueError, "step 0: steps count from 1");
    return false;
}

/* A batch's arrays; of an adapter, whose prompts come before each source, with them. */
static bool take_batch(t0py_trainer *self, t0py_ragged *sources, t0py_ragged *targets, PyObject *const arrays[4]) {
    if (!t0py_ragged_take(sources, arrays[0], arrays[1], "source") || !t0py_ragged_take(targets, arrays[2], arrays[3], "target"))
        return false;
    if (!self->adapter) return true;
    PyObject *one = PyTuple_Pack(1, (PyObject *)self->adapter);
    PyObject *all = one ? PySequence_Repeat(one, (Py_ssize_t)sources->batch.n) : NULL;
    const bool good = all && t0py_ragged_adapt(sources, all, state_of(self), self->model->model);
    Py_XDECREF(one);
    Py_XDECREF(all);
    return good;
}

static PyObject *take_and_run(t0py_trainer *self, PyObject *const arrays[4], unsigned long long step, const float *learning_rate) {
    t0py_ragged sources = {0}, targets = {0};
    PyObject *out = NULL;
    if (step_number_valid(step) && take_batch(self, &sources, &targets, arrays))
        out = run_step(self, &sources, &targets, step, learning_rate);
    t0py_ragged_release(&sources);
    t0py_ragged_release(&targets);
    return out;
}

PyDoc_STRVAR(gradients_doc, "gradients($self, source_ids, source_offsets, target_ids, target_offsets, step)\n--\n\n"
                            "Forward and backward: afterwards gradient(name) is d(mean loss)/d(weight). Returns (loss, source tokens, "
                            "target tokens).");
static PyObject *trainer_gradients(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"source_ids", "source_offsets", "target_ids", "target_offsets", "step", NULL};
    PyObject *arrays[4];
    unsigned long long step;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOK:gradients", names, &arrays[0], &arrays[1], &arrays[2], &arrays[3], &step))
        return NULL;
    return take_and_run((t0py_trainer *)object, arrays, step, NULL);
}

PyDoc_STRVAR(step_doc, "step($self, source_ids, source_offsets, target_ids, target_offsets, learning_rate, step)\n--\n\n"
                       "gradients, then apply: one training step, whole or not at all. Returns (loss, norm of the gradients).");
static PyObject *trainer_step(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"source_ids", "source_offsets", "target_ids", "target_offsets", "learning_rate", "step", NULL};
    PyObject *arrays[4];
    float learning_rate;
    unsigned long long step;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOfK:step", names, &arrays[0], &arrays[1], &arrays[2], &arrays[3], &learning_rate,
                                     &step))
        return NULL;
    return take_and_run((t0py_trainer *)object, arrays, step, &learning_rate);
}

/* Squared norms [n_tensors], a new reference; NULL with an exception for anything else. None is none: *out is then NULL. */
static bool take_norms(t0py_trainer *self, PyObject *value, PyArrayObject **out) {
    *out = NULL;
    if (!value || value == Py_None) return true;
    const npy_intp n = (npy_intp)t0_trainer_tensors(self->trainer, NULL);
    *out = t0py_array(value, NPY_FLOAT64, 1, "norms");
    if (!*out || PyArray_SIZE(*out) == n) return *out != NULL;
    PyErr_Format(PyExc_ValueError, "norms: %zd, must be those of %zd tensors", (Py_ssize_t)PyArray_SIZE(*out), (Py_ssize_t)n);
    Py_CLEAR(*out);
    return false;
}

PyDoc_STRVAR(apply_doc,
             "apply($self, learning_rate, step, abandon=False, norms=None)\n--\n\n"
             "Clips and applies the gradients; returns their norm before clipping. abandon: what a signal's handler raises ends it "
             "in the midst, and weights and state are those of no step; without, signals wait until the end. norms: squared norms of "
             "all tensors, where they are not to be measured here.");
static PyObject *trainer_apply(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"learning_rate", "step", "abandon", "norms", NULL};
    t0py_trainer *self = (t0py_trainer *)object;
    float learning_rate;
    unsigned long long step;
    int abandon = 0;
    PyObject *given = NULL;
    PyArrayObject *norms;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "fK|pO:apply", names, &learning_rate, &step, &abandon, &given)) return NULL;
    if (!step_number_valid(step) || !take_norms(self, given, &norms)) return NULL;
    t0_step_result result = {0};
    t0_error err;
    t0py_interrupt stop;
    const t0_poll poll = t0py_poll(&stop);
    t0_status status = T0_OK;
    const bool locked = lock_take(self);
    if (locked) {
        Py_BEGIN_ALLOW_THREADS
        status = t0_trainer_apply(self->trainer, &result, learning_rate, step, norms ? PyArray_DATA(norms) : NULL, abandon ? &poll : NULL,
                                  &err);
        Py_END_ALLOW_THREADS
        count_change(self);
        PyThread_release_lock(self->lock);
    }
    Py_XDECREF(norms);
    if (!locked) return NULL;
    return status == T0_OK ? PyFloat_FromDouble(result.grad_norm) : t0py_raise(state_of(self), &err);
}

/* ---- shares of a batch ---------------------------------------------------------------------------------------------- */

/* A writable float32 array [n_weights] in C order, borrowed; None is NULL. False with an exception set. */
static bool take_block(t0py_trainer *self, PyObject *value, float **out) {
    *out = NULL;
    if (!value || value == Py_None) return true;
    const npy_intp n = (npy_intp)weights_of(self);
    PyArrayObject *array = (PyArrayObject *)value;
    if (PyArray_Check(value) && PyArray_TYPE(array) == NPY_FLOAT32 && PyArray_NDIM(array) == 1 && PyArray_SIZE(array) == n &&
        PyArray_ISCARRAY(array)) {
        *out = PyArray_DATA(array);
        return true;
    }
    PyErr_Format(PyExc_ValueError, "out: must be a writable float32 array of %zd numbers, one behind another", (Py_ssize_t)n);
    return false;
}

static PyObject *run_share(t0py_trainer *self, const t0py_ragged *sources, const t0py_ragged *targets, t0_range examples,
                           unsigned long long step, float *out) {
    double loss = 0.0;
    t0_error err;
    t0py_interrupt stop;
    const t0_poll poll = t0py_poll(&stop);
    t0_status status;
    if (!lock_take(self)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    status = t0_trainer_share(self->trainer, out, &loss, &sources->batch, &targets->batch, examples, step, &poll, &err);
    Py_END_ALLOW_THREADS
    PyThread_release_lock(self->lock);
    return status == T0_OK ? PyFloat_FromDouble(loss) : t0py_raise(state_of(self), &err);
}

PyDoc_STRVAR(share_doc, "share($self, source_ids, source_offsets, target_ids, target_offsets, step, begin, end, out=None)\n--\n\n"
                        "The share of examples begin .. end - 1 in the gradients of the batch's mean loss, written into out, float32 "
                        "[n_weights] in the order of the tensor table, or into the trainer's own block. Returns their share in that loss.");
static PyObject *trainer_share(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"source_ids", "source_offsets", "target_ids", "target_offsets", "step", "begin", "end", "out", NULL};
    t0py_trainer *self = (t0py_trainer *)object;
    PyObject *arrays[4], *block = NULL, *result = NULL;
    unsigned long long step;
    Py_ssize_t begin, end;
    float *out;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOKnn|O:share", names, &arrays[0], &arrays[1], &arrays[2], &arrays[3], &step, &begin,
                                     &end, &block))
        return NULL;
    t0py_ragged sources = {0}, targets = {0};
    if (begin < 0 || end < 0) return PyErr_Format(PyExc_ValueError, "examples %zd to %zd: they count from 0", begin, end);
    if (step_number_valid(step) && take_block(self, block, &out) && take_batch(self, &sources, &targets, arrays))
        result = run_share(self, &sources, &targets, (t0_range){(size_t)begin, (size_t)end}, step, out);
    t0py_ragged_release(&sources);
    t0py_ragged_release(&targets);
    return result;
}

/* The next of the vectors that are summed: a writable float32 array in C order, of n numbers; the first one's number becomes n. */
static bool take_part(PyObject *value, float **out, npy_intp *n, bool first) {
    PyArrayObject *array = (PyArrayObject *)value;
    if (PyArray_Check(value) && PyArray_TYPE(array) == NPY_FLOAT32 && PyArray_NDIM(array) == 1 && PyArray_ISCARRAY(array) &&
        (first || PyArray_SIZE(array) == *n)) {
        *n = PyArray_SIZE(array);
        *out = PyArray_DATA(array);
        return true;
    }
    PyErr_SetString(PyExc_ValueError, "parts: must be writable float32 arrays, each of as many numbers, one behind another");
    return false;
}

enum { MOST_PARTS = 16 }; /* more than a tree of t0native/training/lots.py is high */

/* The chain of `parts`, a sequence; x: [MOST_PARTS] where its vectors are told. */
static bool take_chain(PyObject *parts, float **x, t0_chain *out) {
    const Py_ssize_t n_parts = PySequence_Fast_GET_SIZE(parts);
    npy_intp n = 0;
    if (n_parts < 1 || n_parts > MOST_PARTS)
        return PyErr_Format(PyExc_ValueError, "parts: %zd, must be 1 to %d", n_parts, MOST_PARTS), false;
    for (Py_ssize_t i = 0; i < n_parts; i++)
        if (!take_part(PySequence_Fast_GET_ITEM(parts, i), &x[i], &n, i == 0)) return false;
    out->x = x;
    out->n_parts = (size_t)n_parts;
    out->n = (size_t)n;
    return true;
}

PyDoc_STRVAR(sum_doc, "sum($self, parts, rounded=False, root=True, aside=False)\n--\n\n"
                      "parts[0] becomes parts[0] + (parts[1] + ( ... + parts[-1])), float32 [n] each. rounded: to bfloat16 each sum and, "
                      "before it is added, the last part; but of the root of a tree the whole. aside: on the calling thread, while "
                      "another one may be in share(): one such call at a time.");
static PyObject *trainer_sum(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"parts", "rounded", "root", "aside", NULL};
    t0py_trainer *self = (t0py_trainer *)object;
    PyObject *given;
    int rounded = 0, root = 1, aside = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|ppp:sum", names, &given, &rounded, &root, &aside)) return NULL;
    PyObject *parts = PySequence_Fast(given, "parts: must be a sequence of arrays");
    float *x[MOST_PARTS];
    t0_chain chain = {.rounded = rounded, .root = root};
    t0_error err;
    t0py_interrupt stop;
    const t0_poll poll = t0py_poll(&stop);
    t0_status status = T0_OK;
    const bool taken = parts && take_chain(parts, x, &chain) && (aside || lock_take(self));
    if (taken) {
        Py_BEGIN_ALLOW_THREADS
        status = t0_trainer_sum(self->trainer, &chain, aside, aside ? NULL : &poll, &err);
        Py_END_ALLOW_THREADS
        if (!aside) PyThread_release_lock(self->lock);
    }
    Py_XDECREF(parts);
    if (!taken) return NULL;
    if (status != T0_OK) return t0py_raise(state_of(self), &err);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(tell_final_doc, "tell_final($self)\n--\n\nThe next share() tells which gradients are final while it runs: final_from.");
static PyObject *trainer_tell_final(PyObject *object, PyObject *unused) {
    (void)unused;
    t0py_trainer *self = (t0py_trainer *)object;
    if (!lock_take(self)) return NULL;
    t0_trainer_tell_final(self->trainer);
    PyThread_release_lock(self->lock);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(norms_doc, "norms($self)\n--\n\n"
                        "Squared norms of the gradients, float64 [n_tensors]: 0 of those that are frozen or applied elsewhere.");
static PyObject *trainer_norms(PyObject *object, PyObject *unused) {
    (void)unused;
    t0py_trainer *self = (t0py_trainer *)object;
    const npy_intp n = (npy_intp)t0_trainer_tensors(self->trainer, NULL);
    PyObject *out = PyArray_ZEROS(1, &n, NPY_FLOAT64, 0);
    if (!out || !lock_take(self)) {
        Py_XDECREF(out);
        return NULL;
    }
    t0_error err;
    t0py_interrupt stop;
    const t0_poll poll = t0py_poll(&stop);
    t0_status status;
    double *norms = PyArray_DATA((PyArrayObject *)out);
    Py_BEGIN_ALLOW_THREADS
    status = t0_trainer_norms(self->trainer, norms, &poll, &err);
    Py_END_ALLOW_THREADS
    PyThread_release_lock(self->lock);
    if (status == T0_OK) return out;
    Py_DECREF(out);
    return t0py_raise(state_of(self), &err);
}

PyDoc_STRVAR(check_loss_doc, "check_loss($self, loss, step, /)\n--\n\nNumericError where the batch's loss is not finite.");
static PyObject *trainer_check_loss(PyObject *object, PyObject *args) {
    t0py_trainer *self = (t0py_trainer *)object;
    double loss;
    unsigned long long step;
    t0_error err;
    if (!PyArg_ParseTuple(args, "dK:check_loss", &loss, &step)) return NULL;
    if (t0_trainer_check_loss(self->trainer, loss, step, &err) != T0_OK) return t0py_raise(state_of(self), &err);
    Py_RETURN_NONE;
}

/* ---- gradients and state -------------------------------------------------------------------------------------------- */

static PyObject *gradient_view(t0py_trainer *self, PyObject *name, bool writable) {
    float *block = t0_trainer_gradient_block(self->trainer);
    if (self->adapter) return t0py_adapter_view((PyObject *)self, self->adapter->adapter, block, name, writable);
    return t0py_tensor_view((PyObject *)self, self->model->model, block, name, writable);
}

PyDoc_STRVAR(gradient_doc, "gradient($self, name, /)\n--\n\nRead-only view of a tensor's gradient; the next step overwrites it.");
static PyObject *trainer_gradient(PyObject *object, PyObject *name) {
    t0py_trainer *self = (t0py_trainer *)object;
    return gradient_view(self, name, false);
}

PyDoc_STRVAR(gradient_writable_doc, "_writable_gradient($self, name, /)\n--\n\nThe same view, writable: to give apply other gradients.");
static PyObject *trainer_gradient_writable(PyObject *object, PyObject *name) {
    t0py_trainer *self = (t0py_trainer *)object;
    return gradient_view(self, name, true);
}

PyDoc_STRVAR(block_doc, "block($self)\n--\n\nWritable view of all gradients, float32 [n_weights], in the order of the tensor table.");
static PyObject *trainer_block(PyObject *object, PyObject *unused) {
    (void)unused;
    t0py_trainer *self = (t0py_trainer *)object;
    const npy_intp shape[1] = {(npy_intp)weights_of(self)};
    return t0py_float_view(object, t0_trainer_gradient_block(self->trainer), 1, shape, true);
}

PyDoc_STRVAR(state_doc, "state($self)\n--\n\n"
                        "Read-only view of the optimiser's state, float32 [n], which the next step changes: with the weights and the step "
                        "number, all that resuming needs.");
static PyObject *trainer_state(PyObject *object, PyObject *unused) {
    (void)unused;
    t0py_trainer *self = (t0py_trainer *)object;
    size_t n;
    float *block = t0_trainer_state_block(self->trainer, &n);
    const npy_intp shape[1] = {(npy_intp)n};
    return t0py_float_view(object, block, 1, shape, false);
}

PyDoc_STRVAR(load_state_doc, "load_state($self, state, /)\n--\n\nTakes what state() gave, as a float32 array or its bytes.");
static PyObject *trainer_load_state(PyObject *object, PyObject *value) {
    t0py_trainer *self = (t0py_trainer *)object;
    PyArrayObject *array = NULL;
    Py_buffer bytes = {0};
    const void *data;
    size_t size, n;
    if (PyArray_Check(value)) {
        if (!(array = t0py_array(value, NPY_FLOAT32, 1, "state"))) return NULL;
        data = PyArray_DATA(array);
        size = (size_t)PyArray_NBYTES(array);
    } else {
        if (PyObject_GetBuffer(value, &bytes, PyBUF_SIMPLE) < 0) return NULL;
        data = bytes.buf;
        size = (size_t)bytes.len;
    }
    bool good = false;
    if (lock_take(self)) {
        float *block = t0_trainer_state_block(self->trainer, &n);
        good = size == n * sizeof(float);
        if (good && n > 0) memcpy(block, data, size);
        else if (!good) PyErr_Format(PyExc_ValueError, "state: %zu bytes; this model and optimizer have %zu", size, n * sizeof(float));
        PyThread_release_lock(self->lock);
    }
    Py_XDECREF(array);
    if (bytes.obj) PyBuffer_Release(&bytes);
    if (!good) return NULL;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(state_sizes_doc, "state_sizes($self)\n--\n\nFloats of each tensor's state, in the order of the tensor table.");
static PyObject *trainer_state_sizes(PyObject *object, PyObject *unused) {
    (void)unused;
    const t0py_trainer *self = (const t0py_trainer *)object;
    PyObject *list = PyList_New((Py_ssize_t)t0_trainer_tensors(self->trainer, NULL));
    for (Py_ssize_t i = 0; list && i < PyList_GET_SIZE(list); i++) {
        PyObject *size = PyLong_FromSize_t(t0_trainer_state_size(self->trainer, (size_t)i));
        if (size) PyList_SET_ITEM(list, i, size);
        else Py_CLEAR(list);
    }
    return list;
}

static PyObject *trainer_model(PyObject *object, void *unused) {
    (void)unused;
    return Py_NewRef(((t0py_trainer *)object)->model);
}

/* ---- the type ------------------------------------------------------------------------------------------------------- */

static PyMethodDef trainer_methods[] = {
    {"gradients", T0PY_METHOD(trainer_gradients), METH_VARARGS | METH_KEYWORDS, gradients_doc},
    {"step", T0PY_METHOD(trainer_step), METH_VARARGS | METH_KEYWORDS, step_doc},
    {"apply", T0PY_METHOD(trainer_apply), METH_VARARGS | METH_KEYWORDS, apply_doc},
    {"share", T0PY_METHOD(trainer_share), METH_VARARGS | METH_KEYWORDS, share_doc},
    {"sum", T0PY_METHOD(trainer_sum), METH_VARARGS | METH_KEYWORDS, sum_doc},
    {"tell_final", trainer_tell_final, METH_NOARGS, tell_final_doc},
    {"norms", trainer_norms, METH_NOARGS, norms_doc},
    {"check_loss", trainer_check_loss, METH_VARARGS, check_loss_doc},
    {"state_sizes", trainer_state_sizes, METH_NOARGS, state_sizes_doc},
    {"gradient", trainer_gradient, METH_O, gradient_doc},
    {"_writable_gradient", trainer_gradient_writable, METH_O, gradient_writable_doc},
    {"block", trainer_block, METH_NOARGS, block_doc},
    {"state", trainer_state, METH_NOARGS, state_doc},
    {"load_state", trainer_load_state, METH_O, load_state_doc},
    {0},
};

static PyObject *trainer_workspace(PyObject *object, void *unused) {
    (void)unused;
    return PyLong_FromSize_t(t0_trainer_workspace_bytes(((t0py_trainer *)object)->trainer));
}

static PyObject *trainer_final_from(PyObject *object, void *unused) {
    (void)unused;
    return PyLong_FromSize_t(t0_trainer_final_from(((t0py_trainer *)object)->trainer));
}

static PyGetSetDef trainer_properties[] = {
    {"final_from", trainer_final_from, NULL, "From which number of the block on the gradients of a share that tells it are final.", NULL},
    {"model", trainer_model, NULL, "The model that is trained.", NULL},
    {"workspace_bytes", trainer_workspace, NULL, "Bytes held for activations: as the largest batch so far has needed.", NULL},
    {0},
};

PyDoc_STRVAR(trainer_doc,
             "Trainer(model, *, optimizer='adafactor', beta1=0.9, beta2=0.999, epsilon=1e-08, weight_decay=0.0, momentum=0.0, "
             "scale_parameter=True, step_offset=0, clip=0.0, dropout=0.0, label_smoothing=0.0, z_loss=0.0, freeze=(), elsewhere=(), "
             "recompute=False, broadcast_dropout=False, seed=0, threads=1, precision='float32', "
             "adapter=None, adapter_dropout=0.0)\n--\n\n"
             "Trains a Model's weights in place. freeze: names of tensors that keep their bits; elsewhere: of those that another process "
             "applies. recompute: less memory for more time. "
             "broadcast_dropout: one mask along a sequence, as T5X. adapter: an Adapter that is trained in the model's place.");
static PyType_Slot trainer_slots[] = {
    {Py_tp_doc, (void *)trainer_doc}, {Py_tp_new, trainer_new},           {Py_tp_dealloc, trainer_dealloc},
    {Py_tp_methods, trainer_methods}, {Py_tp_getset, trainer_properties}, {0, NULL},
};

static PyType_Spec trainer_spec = {
    .name = "t0native._core.Trainer",
    .basicsize = sizeof(t0py_trainer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = trainer_slots,
};

int t0py_trainer_exec(PyObject *module, t0py_state *state) {
    state->trainer_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &trainer_spec, NULL);
    if (!state->trainer_type || PyModule_AddType(module, state->trainer_type) < 0) return -1;
    return 0;
}
