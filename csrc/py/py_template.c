/* The type _core.Template: one compiled template, over csrc/template. t0native/prompts/prompt.py documents its use.
 *
 * A template never changes after it is compiled, so threads share it; a rendering holds the GIL throughout. */
#include "py/py_template.h"

#include <assert.h>
#include <string.h>

static bool budgets_valid(Py_ssize_t steps, Py_ssize_t output, Py_ssize_t memory, double seconds) {
    if (steps < 1 || output < 1 || memory < 1 || output > 1 << 30)
        PyErr_Format(PyExc_ValueError, "max_steps %zd, max_output %zd, max_memory %zd: at least 1, and max_output at most %d", steps,
                     output, memory, 1 << 30);
    else if (!(seconds >= 0) || seconds > 1e9)
        PyErr_SetString(PyExc_ValueError, "max_seconds: above 0 and at most 1e9, or None for no limit");
    else return true;
    return false;
}

static PyObject *template_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"source", "truncate", "highlight", "max_steps", "max_output", "max_memory", "max_seconds", NULL};
    PyObject *source, *seconds = Py_None;
    int truncates = 0, highlights = 0;
    Py_ssize_t max_steps = 1000000, max_output = 4000000, max_memory = 64000000;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "U|$ppnnnO:Template", names, &source, &truncates, &highlights, &max_steps, &max_output,
                                     &max_memory, &seconds))
        return NULL;
    const double max_seconds = seconds == Py_None ? 0 : PyFloat_AsDouble(seconds);
    if (PyErr_Occurred() || !budgets_valid(max_steps, max_output, max_memory, seconds == Py_None || max_seconds > 0 ? max_seconds : -1))
        return NULL;
    t0py_state *state = t0py_state_of_type(type);
    t0py_template *self = state ? (t0py_template *)type->tp_alloc(type, 0) : NULL;
    if (!self) return NULL;
    self->runtime = (t0_runtime *)Py_NewRef(state->template_runtime);
    self->source = Py_NewRef(source);
    self->budgets = (t0_render_options){.max_steps = (uint64_t)max_steps,
                                        .max_output = (size_t)max_output,
                                        .max_memory = (size_t)max_memory,
                                        .max_seconds = max_seconds};
    t0_error err = {.status = T0_OK};
    const unsigned adds = (truncates ? T0_ADD_TRUNCATE : 0u) | (highlights ? T0_ADD_HIGHLIGHT : 0u);
    if (t0_template_compile(&self->compiled, source, adds, &err) == T0_OK) return (PyObject *)self;
    t0py_raise(state, &err);
    Py_DECREF(self);
    return NULL;
}

static int template_traverse(PyObject *object, visitproc visit, void *arg) {
    t0py_template *self = (t0py_template *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->runtime);
    Py_VISIT(self->compiled.constants);
    return 0;
}

static int template_clear(PyObject *object) {
    Py_CLEAR(((t0py_template *)object)->runtime); /* the constants are text and numbers: no cycle passes through them */
    return 0;
}

static void template_dealloc(PyObject *object) {
    t0py_template *self = (t0py_template *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    t0_template_clear(&self->compiled);
    Py_CLEAR(self->runtime);
    Py_CLEAR(self->source);
    type->tp_free(object);
    Py_DECREF(type);
}

/* A note as (kind, part, of, size, key, field); None where there is nothing. */
static PyObject *note_tuple(const t0_note *note, const t0_writer *out) {
    static const char *const kinds[] = {"cut", "undefined", "out of range", "negative", "none", "nan"};
    PyObject *const size = note->size < 0 ? Py_NewRef(Py_None) : PyLong_FromSsize_t(note->size);
    return Py_BuildValue("(snONOO)", kinds[note->kind], t0_writer_part_of(out, note->at), note->of ? note->of : Py_None, size,
                         note->key ? note->key : Py_None, note->field ? note->field : Py_None);
}

/* The kept notes in the order in which they were made. */
static PyObject *notes_tuple(const t0_notes *notes, const t0_writer *out) {
    const uint32_t most = T0_NOTES_FIRST + T0_NOTES_LAST, n = notes->count < most ? notes->count : most;
    PyObject *tuple = PyTuple_New((Py_ssize_t)n);
    for (uint32_t i = 0; tuple && i < n; i++) {
        const uint32_t turned = notes->count <= most || i < T0_NOTES_FIRST
                                    ? i
                                    : T0_NOTES_FIRST + (notes->count - most + i - T0_NOTES_FIRST) % T0_NOTES_LAST;
        PyObject *note = note_tuple(&notes->items[turned], out);
        if (note) PyTuple_SET_ITEM(tuple, (Py_ssize_t)i, note);
        else Py_CLEAR(tuple);
    }
    return tuple;
}

static PyObject *shape_text(const t0_writer *out, const t0_notes *notes, t0py_shape shape) {
    if (shape == T0PY_TEXT) return t0_writer_text(out, 0, out->size);
    if (shape == T0PY_OWN_PARTS) return t0_writer_marked_parts(out);
    PyObject *parts = t0_writer_parts(out), *beside = NULL, *both = NULL;
    if (shape == T0PY_PARTS || !parts) return parts;
    if ((beside = notes_tuple(notes, out))) both = PyTuple_Pack(2, parts, beside);
    Py_DECREF(parts);
    Py_XDECREF(beside);
    return both;
}

PyObject *t0py_template_render(t0py_template *self, const t0_render_options *options, PyObject *example, PyObject *answer_choices,
                               t0py_shape shape) {
    assert(PyGILState_Check() && PyDict_Check(example));
    t0_render_options all = self->budgets;
    t0_notes notes;
    if (shape == T0PY_NOTED_PARTS) memset(&notes, 0, sizeof notes);
    all.escapes = shape == T0PY_PARTS || shape == T0PY_NOTED_PARTS;
    all.marks = shape == T0PY_OWN_PARTS;
    all.notes = shape == T0PY_NOTED_PARTS ? &notes : NULL;
    all.seed = options->seed;
    all.index = options->index;
    all.pick = options->pick;
    char room[4096];
    t0_writer out = t0_writer_open(room, sizeof room);
    PyObject *result = NULL;
    if (t0_render(&self->compiled, self->runtime, &all, example, answer_choices, &out) == 0) result = shape_text(&out, all.notes, shape);
    if (all.notes) t0_notes_clear(all.notes);
    t0_writer_close(&out);
    return result;
}

/* (example, answer_choices, seed, index, pick), all but the first optional. */
static int read_options(PyObject *const *args, Py_ssize_t n, t0_render_options *out) {
    if (n < 1 || n > 5) {
        PyErr_Format(PyExc_TypeError, "expected 1 to 5 arguments, got %zd", n);
        return -1;
    }
    if (!PyDict_Check(args[0])) {
        PyErr_Format(PyExc_TypeError, "example: %.100s, must be a dict", Py_TYPE(args[0])->tp_name);
        return -1;
    }
    *out = (t0_render_options){.pick = T0_PICK_RANDOM};
    if (n > 2) out->seed = PyLong_AsUnsignedLongLongMask(args[2]);
    if (n > 3 && !PyErr_Occurred()) out->index = PyLong_AsUnsignedLongLongMask(args[3]);
    if (n > 4 && !PyErr_Occurred()) out->pick = (int)PyLong_AsLong(args[4]);
    if (PyErr_Occurred()) return -1;
    if (out->pick >= T0_PICK_RANDOM && out->pick <= T0_PICK_LAST) return 0;
    PyErr_SetString(PyExc_ValueError, "pick: 0 random, 1 first, 2 last");
    return -1;
}

static PyObject *render(PyObject *self, PyObject *const *args, Py_ssize_t n, t0py_shape shape) {
    t0_render_options options;
    if (read_options(args, n, &options) < 0) return NULL;
    return t0py_template_render((t0py_template *)self, &options, args[0], n > 1 ? args[1] : NULL, shape);
}

PyDoc_STRVAR(render_doc, "render($self, example, answer_choices=None, seed=0, index=0, pick=0, /)\n--\n\n"
                         "The rendered text, as Jinja gives it. answer_choices, where given, shadows the example's key.");
static PyObject *template_render(PyObject *self, PyObject *const *args, Py_ssize_t n) { return render(self, args, n, T0PY_TEXT); }

PyDoc_STRVAR(parts_doc, "parts($self, example, answer_choices=None, seed=0, index=0, pick=0, /)\n--\n\n"
                        "The text split at ||| as promptsource does: a ||| inside a string field does not split.");
static PyObject *template_parts(PyObject *self, PyObject *const *args, Py_ssize_t n) { return render(self, args, n, T0PY_PARTS); }

PyDoc_STRVAR(own_parts_doc, "own_parts($self, example, answer_choices=None, seed=0, index=0, pick=0, /)\n--\n\n"
                            "The text split at the ||| of the template itself: none that comes from a value splits.");
static PyObject *template_own_parts(PyObject *self, PyObject *const *args, Py_ssize_t n) { return render(self, args, n, T0PY_OWN_PARTS); }

PyDoc_STRVAR(noted_parts_doc,
             "noted_parts($self, example, answer_choices=None, seed=0, index=0, pick=0, /)\n--\n\n"
             "(parts, notes): what parts gives, and what the rendering met that the text does not show, a tuple of\n"
             "(kind, part, of, size, key, field) as t0native.prompts.prompt.Note has them; of many notes the first and the last 8.");
static PyObject *template_noted_parts(PyObject *self, PyObject *const *args, Py_ssize_t n) {
    return render(self, args, n, T0PY_NOTED_PARTS);
}

static bool is_guarded(const t0_template *compiled, PyObject *name) {
    for (uint32_t i = 0; i < compiled->n_guarded; i++)
        if (compiled->guarded[i] == name) return true;
    return false;
}

static PyObject *names_tuple(const t0_template *compiled, bool guarded_only) {
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list && i < compiled->n_names; i++) {
        PyObject *name = compiled->names[i];
        if (t0_function_find(name) || (guarded_only && !is_guarded(compiled, name))) continue;
        if (PyList_Append(list, name) < 0) Py_CLEAR(list);
    }
    PyObject *names = list ? PyList_AsTuple(list) : NULL;
    Py_XDECREF(list);
    return names;
}

static PyObject *template_names(PyObject *object, void *unused) {
    return (void)unused, names_tuple(&((t0py_template *)object)->compiled, false);
}
static PyObject *template_guarded(PyObject *object, void *unused) {
    return (void)unused, names_tuple(&((t0py_template *)object)->compiled, true);
}

static PyObject *template_source(PyObject *object, void *unused) { return (void)unused, Py_NewRef(((t0py_template *)object)->source); }
static PyObject *template_random(PyObject *object, void *unused) {
    return (void)unused, PyBool_FromLong(((t0py_template *)object)->compiled.random);
}

static PyMethodDef template_methods[] = {
    {"render", T0PY_METHOD(template_render), METH_FASTCALL, render_doc},
    {"parts", T0PY_METHOD(template_parts), METH_FASTCALL, parts_doc},
    {"noted_parts", T0PY_METHOD(template_noted_parts), METH_FASTCALL, noted_parts_doc},
    {"own_parts", T0PY_METHOD(template_own_parts), METH_FASTCALL, own_parts_doc},
    {0},
};

static PyGetSetDef template_properties[] = {
    {"names", template_names, NULL, "Names that the template reads from the example, in order of appearance.", NULL},
    {"guarded", template_guarded, NULL, "Those of names that `is defined`, `is undefined` or default is asked about: they may be missing.",
     NULL},
    {"source", template_source, NULL, "The template's text.", NULL},
    {"random", template_random, NULL, "Whether choice or random occurs.", NULL},
    {0},
};

PyDoc_STRVAR(template_doc,
             "Template(source, *, truncate=False, highlight=False, max_steps=1000000, max_output=4000000, max_memory=64000000,\n"
             "         max_seconds=None)\n--\n\n"
             "A compiled prompt template: Jinja without whatever reaches beyond the example.\n\n"
             "truncate: `| string | truncate(2048)`, and highlight: `| highlight` behind it, at the end of every print.\n"
             "Raises TemplateError with line and column for what it does not support.");

static PyType_Slot template_slots[] = {
    {Py_tp_doc, (void *)template_doc},   {Py_tp_new, template_new},
    {Py_tp_dealloc, template_dealloc},   {Py_tp_traverse, template_traverse},
    {Py_tp_clear, template_clear},       {Py_tp_methods, template_methods},
    {Py_tp_getset, template_properties}, {0, NULL},
};

static PyType_Spec template_spec = {"t0native._core.Template", sizeof(t0py_template), 0,
                                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE, template_slots};

int t0py_template_exec(PyObject *module, t0py_state *state) {
    state->template_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &template_spec, NULL);
    if (!state->template_type || !(state->template_runtime = t0_runtime_new(state->TemplateError))) return -1;
    return PyModule_AddType(module, state->template_type);
}
