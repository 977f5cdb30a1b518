/* The type _core.Prompt: what a call of Prompt.apply or Prompt.choices does nearly always, without a step in Python.
 *
 *     apply(example [, seed=, index=])     example a dict, printed values cut, choices drawn at random, every ||| splits
 *         choices  = answer_choices rendered and split, or those that never vary
 *         parts    = template rendered with them and split
 *     _noted(example, seed, index, truncate)      the same with notes: (parts, choices or None, notes of choices, notes of parts)
 *     anything else, and every error       handed to the subclass in t0native/prompts/prompt.py: _apply, _choices, _note, _explained
 *
 * The subclass compiles, and says so once with _prepare; until then every call is handed on. */
#include "py/py_template.h"

#include <assert.h>

typedef struct prompt_object {
    PyObject_HEAD
    t0py_template *cut;     /* strong; NULL: not prepared */
    t0py_template *choices; /* strong; NULL: the prompt has no answer choices */
    PyObject *fixed;        /* strong list of str: the choices where they never vary, else NULL; never changed */
    uint64_t key;           /* of the prompt's id, for random choices */
    t0py_state *state;      /* of the module, which the type keeps alive */
} prompt_object;

enum { HANDED_ON = 1 };

static int prompt_traverse(PyObject *object, visitproc visit, void *arg) {
    prompt_object *self = (prompt_object *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->cut);
    Py_VISIT(self->choices);
    Py_VISIT(self->fixed);
    return 0;
}

static int prompt_clear(PyObject *object) {
    prompt_object *self = (prompt_object *)object;
    Py_CLEAR(self->cut);
    Py_CLEAR(self->choices);
    Py_CLEAR(self->fixed);
    return 0;
}

static void prompt_dealloc(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    prompt_clear(object);
    type->tp_free(object);
    Py_DECREF(type);
}

PyDoc_STRVAR(prepare_doc,
             "_prepare($self, cut, choices, fixed, key, /)\n--\n\n"
             "The compiled templates (choices: None where there are none), the choices that never vary or None, the id's number.");
static PyObject *prompt_prepare(PyObject *object, PyObject *args) {
    prompt_object *self = (prompt_object *)object;
    t0py_state *state = t0py_state_of_type(Py_TYPE(object));
    PyObject *cut, *choices, *fixed;
    unsigned long long key;
    if (!state || !PyArg_ParseTuple(args, "O!OOK:_prepare", state->template_type, &cut, &choices, &fixed, &key)) return NULL;
    if ((choices != Py_None && !PyObject_TypeCheck(choices, state->template_type)) || (fixed != Py_None && !PyList_CheckExact(fixed)))
        return PyErr_Format(PyExc_TypeError, "choices: a Template or None; fixed: a list or None");
    self->key = key;
    self->state = state;
    Py_XSETREF(self->choices, choices == Py_None ? NULL : (t0py_template *)Py_NewRef(choices));
    Py_XSETREF(self->fixed, fixed == Py_None ? NULL : Py_NewRef(fixed));
    Py_XSETREF(self->cut, (t0py_template *)Py_NewRef(cut));
    Py_RETURN_NONE;
}

/* Lets the subclass replace the TemplateError that is set by one with the prompt's name. Returns NULL. */
static PyObject *explain(PyObject *object, bool of_choices) {
    assert(PyErr_Occurred());
    if (!PyErr_ExceptionMatches(((prompt_object *)object)->state->TemplateError)) return NULL;
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    PyObject *named = PyObject_CallMethod(object, "_explained", "Oi", error, of_choices);
    if (named) PyErr_SetObject((PyObject *)Py_TYPE(named), named);
    Py_XDECREF(named);
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(trace);
    return NULL;
}

/* shape: T0PY_PARTS, or T0PY_NOTED_PARTS. */
static PyObject *varying_choices(prompt_object *self, PyObject *example, t0py_shape shape) {
    const t0_render_options options = {.pick = T0_PICK_RANDOM};
    PyObject *choices = t0py_template_render(self->choices, &options, example, NULL, shape);
    return choices ? choices : explain((PyObject *)self, true);
}

/* The choices that never vary, a new reference: a list of its own where the template may change it. */
static PyObject *fixed_choices(const prompt_object *self) {
    return self->cut->compiled.mutates ? PyList_GetSlice(self->fixed, 0, PyList_GET_SIZE(self->fixed)) : Py_NewRef(self->fixed);
}

/* A number of 64 bits. HANDED_ON where it is none. */
static int read_number(PyObject *value, uint64_t *out) {
    if (!PyLong_CheckExact(value)) return HANDED_ON;
    *out = PyLong_AsUnsignedLongLong(value);
    if (!PyErr_Occurred()) return 0;
    PyErr_Clear();
    return HANDED_ON;
}

/* The arguments behind the example: 0; HANDED_ON where they ask for more than the quick path does. */
static int read_numbers(PyObject *const *args, Py_ssize_t n, PyObject *names, t0_render_options *out) {
    if (n != 1) return HANDED_ON;
    for (Py_ssize_t i = 0; names && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i), *value = args[n + i];
        const bool seed = PyUnicode_CompareWithASCIIString(name, "seed") == 0;
        if (!seed && PyUnicode_CompareWithASCIIString(name, "index") != 0) return HANDED_ON;
        if (read_number(value, seed ? &out->seed : &out->index) != 0) return HANDED_ON;
    }
    return 0;
}

static PyObject *hand_on(PyObject *object, const char *method, PyObject *const *args, Py_ssize_t n, PyObject *names) {
    PyObject *run = PyObject_GetAttrString(object, method);
    PyObject *out = run ? PyObject_Vectorcall(run, args, (size_t)n, names) : NULL;
    Py_XDECREF(run);
    return out;
}

/* Whether all keys of a dict are texts, as those of keyword arguments must be. */
static bool names_are_text(PyObject *example) {
    if (PyArg_ValidateKeywordArguments(example)) return true;
    PyErr_Clear();
    return false;
}

PyDoc_STRVAR(
    apply_doc,
    "apply($self, example, truncate=True, highlight_variables=False, seed=0, index=0, pick=None, separator='rendered')\n--\n\n"
    "The rendered parts between the separators |||, as promptsource's Template.apply gives them.\n\n"
    "truncate: printed values are cut at 2,048 characters, between words.  highlight_variables: printed values are put\n"
    "into a <span>.  seed (0 to 2**64 - 1), index (the row's number, or its id as a text): of random choices.  pick: \"first\" or \"last\" "
    "instead of a random choice.\n"
    "separator: \"rendered\" splits at every ||| of the rendered text, where those of text fields are hidden first, as\n"
    "promptsource does (a ||| inside a list or an answer choice then splits); \"template\" only at those of the template's text.\n"
    "Raises ConfigError for an argument out of its range, DataError for an example with the key answer_choices or one that is no\n"
    "text, TemplateError where the rendering fails.\n\n"
    ">>> Prompt(\"upper\", \"{{ text | upper }}? ||| yes\").apply({\"text\": \"is it\"})\n"
    "['IS IT?', 'yes']\n");
static PyObject *prompt_apply(PyObject *object, PyObject *const *args, Py_ssize_t n, PyObject *names) {
    prompt_object *self = (prompt_object *)object;
    t0_render_options options = {.pick = T0_PICK_RANDOM};
    if (!self->cut || read_numbers(args, n, names, &options) != 0 || !PyDict_CheckExact(args[0]))
        return hand_on(object, "_apply", args, n, names);
    const int reserved = PyDict_Contains(args[0], self->state->answer_choices);
    if (reserved < 0) return NULL;
    if (reserved || !names_are_text(args[0])) return hand_on(object, "_apply", args, n, names);
    PyObject *choices = NULL;
    if (self->fixed) choices = fixed_choices(self);
    else if (self->choices) choices = varying_choices(self, args[0], T0PY_PARTS);
    if (!choices && self->choices) return NULL;
    options.seed ^= self->key;
    PyObject *parts = t0py_template_render(self->cut, &options, args[0], choices ? choices : Py_None, T0PY_PARTS);
    Py_XDECREF(choices);
    return parts ? parts : explain(object, false);
}

PyDoc_STRVAR(choices_doc,
             "choices($self, example, /)\n--\n\n"
             "The answer choices of an example, or None where the prompt has no answer_choices expression. Raises TemplateError.\n\n"
             ">>> Prompt(\"who\", \"{{ text }} ||| {{ a }}\", \"{{ a }} ||| {{ b }}\").choices({\"a\": \"Anna\", \"b\": \"Ben\"})\n"
             "['Anna', 'Ben']\n");
static PyObject *prompt_choices(PyObject *object, PyObject *example) {
    prompt_object *self = (prompt_object *)object;
    if (!self->cut || !PyDict_CheckExact(example)) return hand_on(object, "_choices", &example, 1, NULL);
    if (self->fixed) return PyList_GetSlice(self->fixed, 0, PyList_GET_SIZE(self->fixed));
    return self->choices ? varying_choices(self, example, T0PY_PARTS) : Py_NewRef(Py_None);
}

/* (choices or None, their notes), of varying choices or of none. */
static PyObject *noted_choices(prompt_object *self, PyObject *example) {
    if (self->choices && !self->fixed) return varying_choices(self, example, T0PY_NOTED_PARTS);
    return Py_BuildValue("(N())", self->fixed ? fixed_choices(self) : Py_NewRef(Py_None));
}

PyDoc_STRVAR(noted_doc, "_noted($self, example, seed, index, truncate, /)\n--\n\n"
                        "(parts, choices or None, notes of the choices, notes of the parts); notes as Template.noted_parts gives them.");
static PyObject *prompt_noted(PyObject *object, PyObject *const *args, Py_ssize_t n) {
    prompt_object *self = (prompt_object *)object;
    t0_render_options options = {.pick = T0_PICK_RANDOM};
    if (n != 4) return PyErr_Format(PyExc_TypeError, "expected 4 arguments, got %zd", n);
    if (!self->cut || args[3] != Py_True || read_number(args[1], &options.seed) != 0 || read_number(args[2], &options.index) != 0 ||
        !PyDict_CheckExact(args[0]) || !names_are_text(args[0]))
        return hand_on(object, "_note", args, n, NULL);
    const int reserved = PyDict_Contains(args[0], self->state->answer_choices);
    if (reserved != 0) return reserved < 0 ? NULL : hand_on(object, "_note", args, n, NULL);
    PyObject *choices = noted_choices(self, args[0]), *parts = NULL, *out = NULL;
    PyObject *given = choices ? PyTuple_GET_ITEM(choices, 0) : NULL; /* which the template may change */
    PyObject *kept = !given || given == Py_None ? Py_XNewRef(given) : PyList_GetSlice(given, 0, PyList_GET_SIZE(given));
    options.seed ^= self->key;
    if (kept && !(parts = t0py_template_render(self->cut, &options, args[0], given, T0PY_NOTED_PARTS))) explain(object, false);
    if (parts) out = PyTuple_Pack(4, PyTuple_GET_ITEM(parts, 0), kept, PyTuple_GET_ITEM(choices, 1), PyTuple_GET_ITEM(parts, 1));
    Py_XDECREF(parts);
    Py_XDECREF(kept);
    Py_XDECREF(choices);
    return out;
}

static PyMethodDef prompt_methods[] = {
    {"apply", T0PY_METHOD(prompt_apply), METH_FASTCALL | METH_KEYWORDS, apply_doc},
    {"choices", prompt_choices, METH_O, choices_doc},
    {"_noted", T0PY_METHOD(prompt_noted), METH_FASTCALL, noted_doc},
    {"_prepare", prompt_prepare, METH_VARARGS, prepare_doc},
    {0},
};

PyDoc_STRVAR(prompt_doc, "What t0native.prompts.Prompt does in C.");

static PyType_Slot prompt_slots[] = {
    {Py_tp_doc, (void *)prompt_doc}, {Py_tp_dealloc, prompt_dealloc}, {Py_tp_traverse, prompt_traverse},
    {Py_tp_clear, prompt_clear},     {Py_tp_methods, prompt_methods}, {0, NULL},
};

static PyType_Spec prompt_spec = {"t0native._core.Prompt", sizeof(prompt_object), 0,
                                  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE, prompt_slots};

int t0py_prompt_exec(PyObject *module, t0py_state *state) {
    if (!(state->answer_choices = PyUnicode_InternFromString("answer_choices"))) return -1;
    PyObject *type = PyType_FromModuleAndSpec(module, &prompt_spec, NULL);
    const int status = type ? PyModule_AddType(module, (PyTypeObject *)type) : -1;
    Py_XDECREF(type);
    return status;
}
