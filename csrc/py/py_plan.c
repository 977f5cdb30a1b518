/* Plans: bytes that a training takes, told before anything is made. No number is computed here: the core lays the training out, with
 * sizes alone, for the outline of a model and the lengths of a batch. */
#include "py/py_options.h"

#include <string.h>

/* What training_bytes is given. */
typedef struct plan_arguments {
    t0_config config;
    t0_trainer_options options;
    PyObject *lengths[2], *freeze; /* borrowed; of sources and of targets; a sequence of names, or NULL */
    Py_ssize_t n_threads;
} plan_arguments;

static bool take_option(PyObject *name, PyObject *value, plan_arguments *a) {
    if (PyUnicode_CompareWithASCIIString(name, "freeze") == 0) {
        a->freeze = value;
        return true;
    }
    if (PyUnicode_CompareWithASCIIString(name, "threads") != 0) return t0py_options_set(&a->options, name, value);
    a->n_threads = PyNumber_AsSsize_t(value, PyExc_OverflowError);
    return a->n_threads != -1 || !PyErr_Occurred();
}

/* False with an exception set. */
static bool take_arguments(PyObject *args, PyObject *kwargs, t0py_state *state, plan_arguments *a) {
    PyObject *dict, *name, *value;
    *a = (plan_arguments){.options = t0py_options_default(), .n_threads = 1};
    if (!PyArg_ParseTuple(args, "O!OO:training_bytes", &PyDict_Type, &dict, &a->lengths[0], &a->lengths[1])) return false;
    for (Py_ssize_t at = 0; kwargs && PyDict_Next(kwargs, &at, &name, &value);)
        if (!take_option(name, value, a)) return false;
    return t0py_config_from_dict(dict, &a->config) && t0py_threads_valid(state, a->n_threads);
}

/* Lengths [n] as the offsets [n + 1] of a batch without ids, from PyMem_Malloc; false with an exception set. */
static bool take_lengths(PyObject *value, const char *name, int64_t **offsets, t0_ragged *batch) {
    PyArrayObject *lengths = t0py_array(value, NPY_INT64, 1, name);
    const npy_intp n = lengths ? PyArray_SIZE(lengths) : 0;
    *offsets = lengths ? PyMem_Malloc(((size_t)n + 1) * sizeof **offsets) : NULL;
    bool good = *offsets != NULL;
    if (lengths && !good) PyErr_NoMemory();
    if (good) (*offsets)[0] = 0;
    for (npy_intp i = 0; good && i < n; i++) {
        const int64_t length = ((const int64_t *)PyArray_DATA(lengths))[i];
        good = length >= 1 && length <= INT32_MAX;
        if (good) (*offsets)[i + 1] = (*offsets)[i] + length;
        else
            PyErr_Format(PyExc_ValueError, "%s: example %zd has %lld tokens: must be from 1 to %d", name, (Py_ssize_t)i, (long long)length,
                         INT32_MAX);
    }
    Py_XDECREF(lengths);
    *batch = (t0_ragged){.offsets = *offsets, .n = (size_t)n};
    return good;
}

/* The plan of the outline: false with an exception set. */
static bool plan(t0_training_bytes *out, plan_arguments *a, t0_model *outline, const t0_ragged batch[2], t0py_state *state) {
    bool *frozen = NULL;
    t0_error err;
    t0_status status;
    if (a->freeze && !t0py_tensors_take(&frozen, "freeze", a->freeze, outline)) return false;
    a->options.frozen = frozen;
    Py_BEGIN_ALLOW_THREADS
    status = t0_trainer_plan(out, outline, &a->options, (size_t)a->n_threads, &batch[0], &batch[1], &err);
    Py_END_ALLOW_THREADS
    PyMem_Free(frozen);
    if (status != T0_OK) t0py_raise(state, &err);
    return status == T0_OK;
}

PyDoc_STRVAR(training_bytes_doc,
             "training_bytes(config, source_lengths, target_lengths, /, **options)\n--\n\n"
             "Bytes that Trainer(Model(config), **options) takes beside the weights: {'gradients', 'states', 'activations'}, the\n"
             "latter for a batch of examples with these numbers of tokens; 'tokens', no bytes, says how many are worked on at once.");
static PyObject *training_bytes(PyObject *module, PyObject *args, PyObject *kwargs) {
    t0py_state *state = t0py_state_of(module);
    plan_arguments a;
    int64_t *offsets[2] = {NULL, NULL};
    t0_ragged batch[2];
    t0_training_bytes bytes;
    t0_model *outline = NULL;
    t0_error err;
    bool good = take_arguments(args, kwargs, state, &a) && take_lengths(a.lengths[0], "source_lengths", &offsets[0], &batch[0]) &&
                take_lengths(a.lengths[1], "target_lengths", &offsets[1], &batch[1]);
    if (good && t0_model_outline(&outline, &a.config, false, T0_FLOAT32, &err) != T0_OK) {
        t0py_raise(state, &err);
        good = false;
    }
    good = good && plan(&bytes, &a, outline, batch, state);
    t0_model_free(outline);
    PyMem_Free(offsets[0]);
    PyMem_Free(offsets[1]);
    if (!good) return NULL;
    return Py_BuildValue("{s:n,s:n,s:n,s:n}", "gradients", (Py_ssize_t)bytes.gradients, "states", (Py_ssize_t)bytes.states, "activations",
                         (Py_ssize_t)bytes.activations, "tokens", (Py_ssize_t)bytes.tokens);
}

static PyMethodDef functions[] = {
    {"training_bytes", T0PY_METHOD(training_bytes), METH_VARARGS | METH_KEYWORDS, training_bytes_doc},
    {0},
};

int t0py_plan_exec(PyObject *module) { return PyModule_AddFunctions(module, functions); }
