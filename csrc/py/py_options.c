/* Values of Python as what the core takes: names of kernel sets and number types, configurations. */
#include "py/py_options.h"

/* ---- names -------------------------------------------------------------------------------------------------------- */

const t0_kernels *t0py_kernels_named(const char *name) {
    const t0_kernels *kernels = name ? t0_kernels_find(name) : t0_kernels_best();
    if (!kernels) {
        PyErr_Format(PyExc_ValueError, "kernels '%s': there is no such set; t0native.kernels.all() lists them", name);
        return NULL;
    }
    if (!t0_kernels_available(kernels)) {
        PyErr_Format(PyExc_ValueError, "kernels '%s': this processor cannot run them; t0native.kernels.available() lists those it can",
                     name);
        return NULL;
    }
    return kernels;
}

bool t0py_dtype_named(const char *name, t0_dtype *dtype) {
    static const char *const NAMES[] = {"float32", "bfloat16", "int8"};
    static const t0_dtype DTYPES[] = {T0_FLOAT32, T0_BFLOAT16, T0_INT8};
    for (size_t i = 0; i < sizeof DTYPES / sizeof *DTYPES; i++)
        if (strcmp(name, NAMES[i]) == 0) {
            *dtype = DTYPES[i];
            return true;
        }
    PyErr_Format(PyExc_ValueError, "dtype '%s': must be 'float32', 'bfloat16' or 'int8'", name);
    return false;
}

/* ---- configuration ------------------------------------------------------------------------------------------------ */

static bool config_int(PyObject *dict, const char *name, int32_t *out) {
    PyObject *value = PyDict_GetItemString(dict, name);
    if (!value) {
        PyErr_Format(PyExc_KeyError, "configuration: missing %s", name);
        return false;
    }
    const long number = PyLong_AsLong(value);
    if (number == -1 && PyErr_Occurred()) return false;
    if (number < INT32_MIN || number > INT32_MAX) {
        PyErr_Format(PyExc_ValueError, "configuration: %s %ld does not fit 32 bits", name, number);
        return false;
    }
    *out = (int32_t)number;
    return true;
}

static bool config_float(PyObject *dict, const char *name, float *out) {
    PyObject *value = PyDict_GetItemString(dict, name);
    if (!value) {
        PyErr_Format(PyExc_KeyError, "configuration: missing %s", name);
        return false;
    }
    const double number = PyFloat_AsDouble(value);
    if (number == -1.0 && PyErr_Occurred()) return false;
    *out = (float)number;
    return true;
}

static bool config_rest(PyObject *dict, t0_config *out) {
    PyObject *tied = PyDict_GetItemString(dict, "tie_word_embeddings"), *proj = PyDict_GetItemString(dict, "feed_forward_proj");
    if (!tied || !proj || !PyUnicode_Check(proj)) {
        PyErr_SetString(PyExc_KeyError, "configuration: missing tie_word_embeddings or feed_forward_proj");
        return false;
    }
    const int is_tied = PyObject_IsTrue(tied);
    if (is_tied < 0) return false;
    out->tied = is_tied == 1;
    out->gated = PyUnicode_CompareWithASCIIString(proj, "gated-gelu") == 0;
    if (!out->gated && PyUnicode_CompareWithASCIIString(proj, "relu") != 0) {
        PyErr_Format(PyExc_ValueError, "configuration: feed_forward_proj %R: must be 'gated-gelu' or 'relu'", proj);
        return false;
    }
    return true;
}

bool t0py_config_from_dict(PyObject *dict, t0_config *out) {
    memset(out, 0, sizeof *out);
    return config_int(dict, "vocab_size", &out->vocab_size) && config_int(dict, "d_model", &out->d_model) &&
           config_int(dict, "d_kv", &out->d_kv) && config_int(dict, "d_ff", &out->d_ff) &&
           config_int(dict, "num_layers", &out->n_layers) && config_int(dict, "num_decoder_layers", &out->n_decoder_layers) &&
           config_int(dict, "num_heads", &out->n_heads) && config_int(dict, "relative_attention_num_buckets", &out->n_buckets) &&
           config_int(dict, "relative_attention_max_distance", &out->max_distance) && config_int(dict, "pad_token_id", &out->pad_id) &&
           config_int(dict, "eos_token_id", &out->eos_id) && config_int(dict, "decoder_start_token_id", &out->decoder_start_id) &&
           config_float(dict, "layer_norm_epsilon", &out->norm_epsilon) && config_float(dict, "dropout_rate", &out->dropout) &&
           config_rest(dict, out);
}
