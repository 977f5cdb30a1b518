/* Notes of a rendering.
 *
 *     a[k]            a sequence, no item at k: the undefined value remembers a, k and the size, until it is made a text
 *                     a sequence, k < 0, not written as -1: negative, at once
 *     text of a value undefined, None, nan
 *
 * A note keeps the number of characters that stood in the rendering's own text, not in a captured one: from it follows the
 * part, input or target. */
#include "template/notes.h"

#include "template/attempts.h"
#include "template/values.h"

#include <assert.h>
#include <math.h>

static void free_note(t0_note *note) {
    Py_CLEAR(note->of);
    Py_CLEAR(note->key);
    Py_CLEAR(note->field);
}

void t0_notes_clear(t0_notes *notes) {
    for (uint32_t i = 0; i < T0_NOTES_FIRST + T0_NOTES_LAST; i++) free_note(&notes->items[i]);
    notes->count = 0;
}

/* Takes the references of `note`. */
static void add(t0_context *c, t0_note note) {
    t0_notes *const notes = c->notes;
    const uint32_t n = notes->count++, slot = n < T0_NOTES_FIRST ? n : T0_NOTES_FIRST + (n - T0_NOTES_FIRST) % T0_NOTES_LAST;
    free_note(&notes->items[slot]);
    note.at = c->main->size;
    notes->items[slot] = note;
    notes->cut = notes->cut || note.kind == T0_NOTE_CUT;
}

/* The name at the root of an expression, borrowed, or NULL: of `a.b[0]|lower - 1` it is a. */
static PyObject *root_name(const t0_node *node) {
    while (node) {
        switch ((t0_node_kind)node->kind) {
        case T_NAME: return node->value;
        case T_PRINT:
        case T_FILTER:
        case T_ATTR:
        case T_ITEM:
        case T_SLICE:
        case T_METHOD:
        case T_UNARY:
        case T_BINARY: node = node->a; break;
        default: return NULL;
        }
    }
    return NULL;
}

void t0_note_cut(t0_context *c) {
    if (c->notes && !(c->notes->cut && c->notes->count > T0_NOTES_FIRST))
        add(c, (t0_note){.kind = T0_NOTE_CUT, .field = Py_XNewRef(root_name(c->where)), .size = -1});
}

/* A number or None of a type of Python's own that equals the key; NULL, perhaps with an exception, where there is none. */
static PyObject *plain_key(PyObject *key) {
    if (key == Py_None || PyBool_Check(key) || PyLong_CheckExact(key) || PyFloat_CheckExact(key) || PyUnicode_CheckExact(key))
        return Py_NewRef(key);
    PyObject *plain = PyUnicode_Check(key) ? PyUnicode_FromObject(key)
                      : PyFloat_Check(key) ? PyFloat_FromDouble(PyFloat_AS_DOUBLE(key))
                      : PyIndex_Check(key) ? PyNumber_Index(key)
                                           : NULL;
    return plain;
}

/* The places of a sequence, or -1, perhaps with an exception: a text is none here, a mapping has keys. */
static Py_ssize_t places_of(PyObject *base) {
    if (PyList_CheckExact(base)) return PyList_GET_SIZE(base);
    if (PyUnicode_Check(base) || PyDict_Check(base) || !PySequence_Check(base)) return -1;
    return PyObject_Size(base);
}

static bool is_written(const t0_node *index) { return index->kind == T_CONST || (index->kind == T_UNARY && index->a->kind == T_CONST); }

/* Also where it raises an exception, which stays. */
static bool is_negative(PyObject *key) { return PyIndex_Check(key) && !PyBool_Check(key) && PyNumber_AsSsize_t(key, NULL) < 0; }

int t0_note_lookup(t0_context *c, const t0_node *node, PyObject *base, PyObject *key, PyObject *item) {
    assert(node->kind == T_ITEM);
    if (!c->notes || is_written(node->b)) return 0;
    const bool missing = t0_is_undefined(c, item);
    if (missing && Py_REFCNT(item) > 1) return 0; /* an undefined value that lay in `base` tells its own origin */
    if (!missing && (!is_negative(key) || PyErr_Occurred())) return t0_forgive() ? 0 : -1;
    const Py_ssize_t size = places_of(base);
    if (!t0_forgive()) return -1;
    if (size < 0 && !missing) return 0;
    PyObject *const plain = t0_is_undefined(c, key) ? NULL : plain_key(key);
    if (!t0_forgive()) return -1;
    PyObject *const of = base == c->answer_choices ? c->runtime->answer_choices : root_name(node->a);
    const t0_note note = {T0_NOTE_NEGATIVE, 0, Py_XNewRef(of), plain, Py_XNewRef(root_name(node->b)), size};
    if (missing) t0_undefined_remember(item, note.of, note.key, note.field, note.size);
    else add(c, note);
    return 0;
}

/* What was made a text: the operand of a print or of the filters over it. */
static const t0_node *printed(const t0_node *node) {
    while (node && (node->kind == T_PRINT || node->kind == T_FILTER)) node = node->a;
    return node;
}

static bool is_gap(PyObject *text) {
    static const char *const gaps[] = {"nan", "NaN", "NaT", "<NA>", NULL};
    for (int i = 0; gaps[i]; i++)
        if (PyUnicode_CompareWithASCIIString(text, gaps[i]) == 0) return true;
    return false;
}

void t0_note_printed(t0_context *c, PyObject *value, PyObject *text) {
    if (!c->notes) return;
    if (t0_is_undefined(c, value)) {
        t0_note note = {T0_NOTE_UNDEFINED, 0, NULL, NULL, NULL, -1};
        t0_undefined_recall(value, &note.of, &note.key, &note.field, &note.size);
        if (note.size >= 0) note.kind = T0_NOTE_OUT_OF_RANGE;
        if (!note.field) note.field = Py_XNewRef(root_name(c->where));
        add(c, note);
        return;
    }
    if (PyUnicode_Check(value) || PyUnicode_GET_LENGTH(text) > 4) return;
    const t0_node *const what = printed(c->where);
    if (value == Py_None && what && (what->kind == T_METHOD || what->kind == T_CONST)) return; /* append gives None; `none` is written */
    if (value != Py_None && !is_gap(text)) return;
    add(c, (t0_note){value == Py_None ? T0_NOTE_NONE : T0_NOTE_NAN, 0, NULL, NULL, Py_XNewRef(root_name(what)), -1});
}
