/* The extension module t0native._core: multi-phase initialisation, module state and exceptions. Nothing of the binding calls up into it. */
#define T0PY_MODULE
#include "py/support.h"

#include "base/cpu.h"
#include "base/random.h"

PyDoc_STRVAR(random_bits_doc, "random_bits(seed, purpose, first, n)\n--\n\n"
                              "n uint64 values of the counter-based generator at (seed, purpose, first + i): the same on any machine.");
static PyObject *random_bits(PyObject *module, PyObject *args) {
    (void)module;
    unsigned long long seed, purpose, first;
    Py_ssize_t n;
    if (!PyArg_ParseTuple(args, "KKKn:random_bits", &seed, &purpose, &first, &n)) return NULL;
    if (n < 0) return PyErr_Format(PyExc_ValueError, "n %zd: at least 0", n);
    npy_intp shape[1] = {n};
    PyArrayObject *out = (PyArrayObject *)PyArray_SimpleNew(1, shape, NPY_UINT64);
    if (!out) return NULL;
    uint64_t *bits = PyArray_DATA(out);
    t0py_interrupt interrupt;
    const t0_poll poll = t0py_poll(&interrupt);
    bool stopped = false;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; i < n && !stopped; i++) {
        bits[i] = t0_random_u64(seed, purpose, first + (uint64_t)i);
        if (i % 65536 == 65535) stopped = t0_poll_stops(&poll);
    }
    Py_END_ALLOW_THREADS
    if (stopped) Py_CLEAR(out);
    return (PyObject *)out;
}

PyDoc_STRVAR(cpu_count_doc, "cpu_count()\n--\n\nProcessors that this process may run on.");
static PyObject *cpu_count(PyObject *module, PyObject *unused) {
    (void)module;
    (void)unused;
    return PyLong_FromLong(t0_cpu_count());
}

static PyMethodDef functions[] = {
    {"random_bits", random_bits, METH_VARARGS, random_bits_doc},
    {"cpu_count", cpu_count, METH_NOARGS, cpu_count_doc},
    {0},
};

static PyObject *add_exception(PyObject *module, const char *name, const char *doc, PyObject *bases) {
    char qualified[64];
    PyOS_snprintf(qualified, sizeof qualified, "t0native.%s", name);
    PyObject *exception = PyErr_NewExceptionWithDoc(qualified, doc, bases, NULL);
    if (exception && PyModule_AddObjectRef(module, name, exception) < 0) Py_CLEAR(exception);
    return exception;
}

static PyObject *add_error(PyObject *module, PyObject *base, const char *name, const char *doc, PyObject *builtin) {
    PyObject *bases = PyTuple_Pack(2, base, builtin);
    PyObject *exception = bases ? add_exception(module, name, doc, bases) : NULL;
    Py_XDECREF(bases);
    return exception;
}

static int add_exceptions(PyObject *module, t0py_state *state) {
    state->Error = add_exception(module, "Error", "Base of the errors that t0native defines.", NULL);
    if (!state->Error) return -1;
    state->FormatError = add_error(module, state->Error, "FormatError", "The content of a file is broken.", PyExc_ValueError);
    state->TemplateError = add_error(module, state->Error, "TemplateError",
                                     "A template cannot be compiled or rendered; see line and column.", PyExc_ValueError);
    state->NumericError = add_error(module, state->Error, "NumericError", "A number is not finite.", PyExc_ArithmeticError);
    return state->FormatError && state->TemplateError && state->NumericError ? 0 : -1;
}

/* Purposes of random_bits that Python draws for. */
static int add_purposes(PyObject *module) {
    if (PyModule_AddIntConstant(module, "RANDOM_INIT", T0_RANDOM_INIT) < 0) return -1;
    if (PyModule_AddIntConstant(module, "RANDOM_MIXTURE", T0_RANDOM_MIXTURE) < 0) return -1;
    if (PyModule_AddIntConstant(module, "RANDOM_ROW", T0_RANDOM_ROW) < 0) return -1;
    if (PyModule_AddIntConstant(module, "RANDOM_SAMPLE", T0_RANDOM_SAMPLE) < 0) return -1;
    return PyModule_AddIntConstant(module, "RANDOM_BOOTSTRAP", T0_RANDOM_BOOTSTRAP);
}

/* In CPython's words for an interpreter with its own lock, which it keeps out by the slots below; this keeps out those that share one
 * too: the polls of calls (support.c) come back to the main interpreter's thread state, and NumPy loads once a process. */
static int check_interpreter(void) {
    if (PyInterpreterState_Get() == PyInterpreterState_Main()) return 0;
    PyErr_SetString(PyExc_ImportError, "module t0native._core does not support loading in subinterpreters");
    return -1;
}

static int module_exec(PyObject *module) {
    if (check_interpreter() < 0) return -1;
    if (PyArray_ImportNumPyAPI() < 0) return -1;
    t0py_state *state = t0py_state_of(module);
    if (add_exceptions(module, state) < 0 || add_purposes(module) < 0) return -1;
    if (t0py_text_exec(module, state) < 0) return -1;
    if (t0py_template_exec(module, state) < 0 || t0py_prompt_exec(module, state) < 0) return -1;
    if (t0py_options_exec(module) < 0) return -1;
    if (t0py_model_exec(module, state) < 0 || t0py_decoder_exec(module, state) < 0) return -1;
    if (t0py_adapter_exec(module, state) < 0 || t0py_trainer_exec(module, state) < 0 || t0py_plan_exec(module) < 0) return -1;
    return t0py_bench_exec(module);
}

static int module_traverse(PyObject *module, visitproc visit, void *arg) {
    t0py_state *state = t0py_state_of(module);
    Py_VISIT(state->Error);
    Py_VISIT(state->FormatError);
    Py_VISIT(state->TemplateError);
    Py_VISIT(state->NumericError);
    Py_VISIT(state->answer_choices);
    Py_VISIT(state->template_runtime);
    Py_VISIT(state->tokenizer_type);
    Py_VISIT(state->template_type);
    Py_VISIT(state->model_type);
    Py_VISIT(state->trainer_type);
    Py_VISIT(state->decoder_type);
    Py_VISIT(state->adapter_type);
    return 0;
}

static int module_clear(PyObject *module) {
    t0py_state *state = t0py_state_of(module);
    Py_CLEAR(state->Error);
    Py_CLEAR(state->FormatError);
    Py_CLEAR(state->TemplateError);
    Py_CLEAR(state->NumericError);
    Py_CLEAR(state->answer_choices);
    Py_CLEAR(state->template_runtime);
    Py_CLEAR(state->tokenizer_type);
    Py_CLEAR(state->template_type);
    Py_CLEAR(state->model_type);
    Py_CLEAR(state->trainer_type);
    Py_CLEAR(state->decoder_type);
    Py_CLEAR(state->adapter_type);
    return 0;
}

static void module_free(void *module) { module_clear(module); }

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED}, /* as NumPy's own modules */
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_USED}, /* until the evaluator of templates is shown free of races without it */
#endif
    {0, NULL},
};

struct PyModuleDef t0py_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "t0native._core",
    .m_doc = "The C core of t0native: tokenizer, templates, T5. Use the package t0native, which documents it.",
    .m_size = sizeof(t0py_state),
    .m_methods = functions,
    .m_slots = slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__core(void) { return PyModuleDef_Init(&t0py_module); }
