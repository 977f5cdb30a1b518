/* Values of Python as what the core takes: names of kernel sets and number types, configurations, options of a training.
 *
 * Here a value is brought into its kind, and one of another kind refused (TypeError):
 *
 *     NAME VALUE: must be KIND          dropout 'x': must be a number
 *
 * Ranges are judged by the core alone (csrc/t5/limits.c). A number too large for its kind is out of every range (ValueError); floats
 * become an infinity, which the core refuses. */
#include "py/py_options.h"

#include <assert.h>
#include <math.h>
#include <string.h>

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

/* Which of the names [n] a text is; -1 with an exception, ValueError listing them as `wanted`. */
static Py_ssize_t find_name(const char *name, PyObject *value, const char *const *names, size_t n, const char *wanted) {
    if (!PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s %.100R: must be text", name, value);
        return -1;
    }
    for (size_t i = 0; i < n; i++)
        if (PyUnicode_CompareWithASCIIString(value, names[i]) == 0) return (Py_ssize_t)i;
    PyErr_Format(PyExc_ValueError, "%s %.100R: must be %s", name, value, wanted);
    return -1;
}

/* ---- numbers ------------------------------------------------------------------------------------------------------ */

/* A new reference to an int of Python, or NULL with an exception: true and false are no numbers. */
static PyObject *whole_number(const char *name, PyObject *value) {
    PyObject *number = PyBool_Check(value) || !PyIndex_Check(value) ? NULL : PyNumber_Index(value);
    if (!number && !PyErr_Occurred()) PyErr_Format(PyExc_TypeError, "%s %.100R: must be a whole number", name, value);
    return number;
}

/* A number as text, or what there is to say of one that Python does not print. */
static PyObject *shown(PyObject *number) {
    PyObject *text = PyObject_Repr(number);
    if (text || !PyErr_ExceptionMatches(PyExc_ValueError)) return text;
    PyErr_Clear();
    return PyUnicode_FromString("of thousands of digits");
}

/* Sets ValueError for a number that does not fit its kind. */
static void refuse_number(const char *name, PyObject *number, const char *wanted) {
    PyObject *text = shown(number);
    if (text) PyErr_Format(PyExc_ValueError, "%s %.40U: must be %s", name, text, wanted);
    Py_XDECREF(text);
}

static bool read_float(const char *name, PyObject *value, float *out) {
    if (PyBool_Check(value) || !PyNumber_Check(value) || PyComplex_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s %.100R: must be a number", name, value);
        return false;
    }
    double number = PyFloat_AsDouble(value);
    if (number == -1.0 && PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) return false;
        PyErr_Clear();
        number = (double)INFINITY;
    }
    *out = (float)number;
    return true;
}

static bool read_count(const char *name, PyObject *value, uint64_t *out) {
    PyObject *number = whole_number(name, value);
    if (!number) return false;
    *out = PyLong_AsUnsignedLongLong(number);
    const bool fits = *out != UINT64_MAX || !PyErr_Occurred();
    if (!fits) {
        PyErr_Clear();
        refuse_number(name, number, "a whole number of 64 bits, at least 0");
    }
    Py_DECREF(number);
    return fits;
}

/* ---- configuration ------------------------------------------------------------------------------------------------ */

/* The value of a key, borrowed; NULL with an exception where there is none. */
static PyObject *config_value(PyObject *dict, const char *name) {
    PyObject *value = t0py_dict_get(dict, name);
    if (!value && !PyErr_Occurred()) PyErr_Format(PyExc_KeyError, "configuration: missing %s", name);
    return value;
}

/* "configuration: NAME", for messages. */
typedef struct config_name {
    char text[64];
} config_name;

static const char *name_in(config_name *room, const char *name) {
    PyOS_snprintf(room->text, sizeof room->text, "configuration: %s", name);
    return room->text;
}

static bool config_number(PyObject *dict, const t0_config_number *number, t0_config *out) {
    config_name room;
    PyObject *value = config_value(dict, number->name);
    PyObject *whole = value ? whole_number(name_in(&room, number->name), value) : NULL;
    if (!whole) return false;
    int overflow;
    const long long wide = PyLong_AsLongLongAndOverflow(whole, &overflow);
    const bool fits = !overflow && wide >= INT32_MIN && wide <= INT32_MAX;
    const int32_t kept = fits ? (int32_t)wide : 0;
    if (!fits) {
        char wanted[128];
        PyOS_snprintf(wanted, sizeof wanted, "a whole number from %d to %d", (int)number->least, (int)number->most);
        refuse_number(room.text, whole, wanted);
    }
    Py_DECREF(whole);
    memcpy((char *)out + number->offset, &kept, sizeof kept);
    return fits;
}

static bool config_float(PyObject *dict, const char *name, float *out) {
    config_name room;
    PyObject *value = config_value(dict, name);
    return value && read_float(name_in(&room, name), value, out);
}

static bool config_flag(PyObject *dict, const char *name, bool *out) {
    PyObject *value = config_value(dict, name);
    if (!value) return false;
    if (!PyBool_Check(value)) {
        PyErr_Format(PyExc_TypeError, "configuration: %s %.100R: must be true or false", name, value);
        return false;
    }
    *out = value == Py_True;
    return true;
}

/* Names of the hub's activations for each f that there is; "gated-" before one means the gated form, where T5's "gelu" is the
 * tanh form. */
static const struct projection {
    const char *name;
    t0_activation f, gated;
} PROJECTIONS[] = {
    {"relu", T0_RELU, T0_RELU},
    {"gelu", T0_GELU, T0_GELU_NEW},
    {"gelu_new", T0_GELU_NEW, T0_GELU_NEW},
    {"silu", T0_SILU, T0_SILU},
    {"swish", T0_SILU, T0_SILU},
    {"gelu_python", T0_GELU, T0_GELU},
    {"gelu_pytorch_tanh", T0_GELU_NEW, T0_GELU_NEW},
    {"gelu_fast", T0_GELU_NEW, T0_GELU_NEW},
};

static bool config_projection(PyObject *value, t0_config *out) {
    static const char GATED[] = "gated-";
    if (!PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError, "configuration: feed_forward_proj %.100R: must be text", value);
        return false;
    }
    Py_ssize_t size = 0;
    const char *text = PyUnicode_AsUTF8AndSize(value, &size);
    if (!text && !PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) return false;
    PyErr_Clear(); /* a lone surrogate: no name */
    if (text && strlen(text) != (size_t)size) text = NULL; /* nor is one with a NUL in it */
    out->gated = text && strncmp(text, GATED, strlen(GATED)) == 0;
    for (size_t i = 0; text && i < sizeof PROJECTIONS / sizeof *PROJECTIONS; i++)
        if (strcmp(text + (out->gated ? strlen(GATED) : 0), PROJECTIONS[i].name) == 0) {
            out->activation = out->gated ? PROJECTIONS[i].gated : PROJECTIONS[i].f;
            return true;
        }
    PyErr_Format(
        PyExc_ValueError,
        "configuration: feed_forward_proj %.100R: must be 'relu', 'gelu', 'gelu_new' or 'silu', or one of these behind 'gated-', as "
        "'gated-gelu'",
        value);
    return false;
}

static bool config_rest(PyObject *dict, t0_config *out) {
    if (!config_flag(dict, "tie_word_embeddings", &out->tied) || !config_flag(dict, "scale_decoder_outputs", &out->scaled) ||
        !config_flag(dict, "relative_attention_every_layer", &out->bias_every_layer) ||
        !config_flag(dict, "encoder_only", &out->encoder_only))
        return false;
    PyObject *projection = config_value(dict, "feed_forward_proj");
    return projection && config_projection(projection, out);
}

bool t0py_config_from_dict(PyObject *dict, t0_config *out) {
    assert(PyDict_Check(dict));
    memset(out, 0, sizeof *out);
    const t0_config_number *number;
    for (size_t i = 0; (number = t0_config_number_at(i)); i++)
        if (!config_number(dict, number, out)) return false;
    return config_float(dict, "layer_norm_epsilon", &out->norm_epsilon) && config_float(dict, "dropout_rate", &out->dropout) &&
           config_rest(dict, out);
}

/* ---- options of a training ------------------------------------------------------------------------------------------ */

typedef enum option_kind { NUMBER, FLAG, COUNT, OPTIMIZER, PRECISION } option_kind;

static const struct option {
    const char *name;
    option_kind kind;
    size_t offset; /* in t0_trainer_options, of a float, bool or uint64_t */
} OPTIONS[] = {
    {"optimizer", OPTIMIZER, 0},
    {"beta1", NUMBER, offsetof(t0_trainer_options, beta1)},
    {"beta2", NUMBER, offsetof(t0_trainer_options, beta2)},
    {"epsilon", NUMBER, offsetof(t0_trainer_options, epsilon)},
    {"weight_decay", NUMBER, offsetof(t0_trainer_options, weight_decay)},
    {"momentum", NUMBER, offsetof(t0_trainer_options, momentum)},
    {"scale_parameter", FLAG, offsetof(t0_trainer_options, scale_parameter)},
    {"step_offset", COUNT, offsetof(t0_trainer_options, step_offset)},
    {"clip", NUMBER, offsetof(t0_trainer_options, clip_norm)},
    {"dropout", NUMBER, offsetof(t0_trainer_options, dropout)},
    {"label_smoothing", NUMBER, offsetof(t0_trainer_options, label_smoothing)},
    {"adapter_dropout", NUMBER, offsetof(t0_trainer_options, adapter_dropout)},
    {"z_loss", NUMBER, offsetof(t0_trainer_options, z_loss)},
    {"recompute", FLAG, offsetof(t0_trainer_options, recompute)},
    {"broadcast_dropout", FLAG, offsetof(t0_trainer_options, broadcast_dropout)},
    {"seed", COUNT, offsetof(t0_trainer_options, seed)},
    {"precision", PRECISION, 0},
};

t0_trainer_options t0py_options_default(void) {
    return (t0_trainer_options){.optimizer = T0_ADAFACTOR, .beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f, .scale_parameter = true};
}

static bool set_flag(PyObject *value, bool *out) {
    const int truth = PyObject_IsTrue(value);
    *out = truth == 1;
    return truth >= 0;
}

static bool set_optimizer(PyObject *value, t0_trainer_options *out) {
    static const char *const NAMES[] = {[T0_ADAFACTOR] = "adafactor", [T0_ADAMW] = "adamw", [T0_SGD] = "sgd"};
    const Py_ssize_t found = find_name("optimizer", value, NAMES, sizeof NAMES / sizeof *NAMES, "'adafactor', 'adamw' or 'sgd'");
    if (found >= 0) out->optimizer = (t0_optimizer_kind)found;
    return found >= 0;
}

static bool set_precision(PyObject *value, t0_trainer_options *out) {
    static const char *const NAMES[] = {"float32", "bfloat16"};
    const Py_ssize_t found = find_name("precision", value, NAMES, 2, "'float32' or 'bfloat16'");
    out->bfloat16 = found == 1;
    return found >= 0;
}

bool t0py_options_set(t0_trainer_options *out, PyObject *name, PyObject *value) {
    for (size_t i = 0; PyUnicode_Check(name) && i < sizeof OPTIONS / sizeof *OPTIONS; i++) {
        const struct option *option = &OPTIONS[i];
        void *place = (char *)out + option->offset;
        if (PyUnicode_CompareWithASCIIString(name, option->name) != 0) continue;
        switch (option->kind) {
        case NUMBER: return read_float(option->name, value, place);
        case FLAG: return set_flag(value, place);
        case COUNT: return read_count(option->name, value, place);
        case OPTIMIZER: return set_optimizer(value, out);
        case PRECISION: return set_precision(value, out);
        }
    }
    PyErr_Format(PyExc_TypeError, "%.100R is not an option of a training", name);
    return false;
}

bool t0py_tensors_take(bool **out, const char *what, PyObject *names, const t0_model *model) {
    PyObject *fast = PySequence_Fast(names, "");
    if (!fast && PyErr_ExceptionMatches(PyExc_TypeError)) PyErr_Format(PyExc_TypeError, "%s: must be a sequence of names of tensors", what);
    bool *flags = fast ? PyMem_Calloc(model->n_tensors, sizeof *flags) : NULL;
    if (fast && !flags) PyErr_NoMemory();
    for (Py_ssize_t i = 0; flags && i < PySequence_Fast_GET_SIZE(fast); i++) {
        PyObject *item = PySequence_Fast_GET_ITEM(fast, i);
        const char *name = PyUnicode_Check(item) ? PyUnicode_AsUTF8(item) : NULL;
        const t0_tensor *tensor = name ? t0_model_find(model, name) : NULL;
        if (tensor) {
            flags[tensor - model->tensors] = true;
            continue;
        }
        if (!PyErr_Occurred()) PyErr_Format(PyExc_ValueError, "%s: there is no tensor %R", what, item);
        PyMem_Free(flags);
        flags = NULL;
    }
    Py_XDECREF(fast);
    *out = flags;
    return flags != NULL;
}

/* ---- functions of the module ---------------------------------------------------------------------------------------- */

PyDoc_STRVAR(check_config_doc, "check_config(config, /)\n--\n\n"
                               "Whether the core takes a configuration, a dict as Config.core() gives it: "
                               "ValueError tells all that is out of its range.");
static PyObject *check_config(PyObject *module, PyObject *dict) {
    t0_config config;
    t0_error err;
    if (!PyDict_Check(dict)) return PyErr_Format(PyExc_TypeError, "config: %.100s, must be a dict", Py_TYPE(dict)->tp_name);
    if (!t0py_config_from_dict(dict, &config)) return NULL;
    if (t0_config_check(&config, T0_FLOAT32, &err) != T0_OK) return t0py_raise(t0py_state_of(module), &err);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(check_options_doc,
             "check_options(*, optimizer='adafactor', beta1=0.9, beta2=0.999, epsilon=1e-08, weight_decay=0.0, momentum=0.0, "
             "scale_parameter=True, step_offset=0, clip=0.0, dropout=0.0, label_smoothing=0.0, z_loss=0.0, recompute=False, "
             "broadcast_dropout=False, seed=0, precision='float32')\n--\n\n"
             "Whether the core takes these options of a Trainer: ValueError names the first that is out of its range.");
static PyObject *check_options(PyObject *module, PyObject *args, PyObject *kwargs) {
    t0_trainer_options options = t0py_options_default();
    PyObject *name, *value;
    t0_error err;
    if (PyTuple_GET_SIZE(args) > 0) return PyErr_Format(PyExc_TypeError, "check_options: options are given by name");
    for (Py_ssize_t at = 0; kwargs && PyDict_Next(kwargs, &at, &name, &value);)
        if (!t0py_options_set(&options, name, value)) return NULL;
    if (t0_trainer_options_check(&options, &err) != T0_OK) return t0py_raise(t0py_state_of(module), &err);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"check_config", check_config, METH_O, check_config_doc},
    {"check_options", T0PY_METHOD(check_options), METH_VARARGS | METH_KEYWORDS, check_options_doc},
    {0},
};

int t0py_options_exec(PyObject *module) {
    if (PyModule_AddIntConstant(module, "MAX_THREADS", T0_MAX_THREADS) < 0) return -1;
    return PyModule_AddFunctions(module, functions);
}
