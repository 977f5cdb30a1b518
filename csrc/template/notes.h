/* What a rendering met that its text does not show: the text stays Jinja2's, the notes lie beside it. */
#ifndef T0_TEMPLATE_NOTES_H
#define T0_TEMPLATE_NOTES_H

#include "template/context.h"

typedef enum t0_note_kind {
    T0_NOTE_CUT,          /* a printed value was cut at 2,048 characters, which the compiler was asked to add */
    T0_NOTE_UNDEFINED,    /* what has no value was made a text: it is empty */
    T0_NOTE_OUT_OF_RANGE, /* the same, and it is an item that a sequence does not have */
    T0_NOTE_NEGATIVE,     /* an item was taken from the end of a sequence, and the template does not spell that out */
    T0_NOTE_NONE,         /* None was made a text */
    T0_NOTE_NAN           /* nan or what pandas has for it was made a text */
} t0_note_kind;

/* One note. Objects are strong; NULL: there is none. */
typedef struct t0_note {
    t0_note_kind kind;
    Py_ssize_t at;    /* characters that the template had printed by then */
    PyObject *of;     /* the name of what was indexed, a str */
    PyObject *key;    /* the index, or the name that has no value: a str, int, float, bool or None */
    PyObject *field;  /* the name that the index, or what was printed, is made from, a str */
    Py_ssize_t size;  /* of what was indexed; -1: not a sequence */
} t0_note;

enum { T0_NOTES_FIRST = 8, T0_NOTES_LAST = 8 }; /* so many of the first and of the last are kept: input and target both have theirs */

typedef struct t0_notes {
    t0_note items[T0_NOTES_FIRST + T0_NOTES_LAST]; /* the last ones as a ring */
    uint32_t count;                                /* of all that were made */
    bool cut;                                      /* one at least is T0_NOTE_CUT */
} t0_notes;

void t0_notes_clear(t0_notes *notes);

/* Each does nothing where the rendering keeps no notes. */
void t0_note_cut(t0_context *c);
/* T_ITEM: item = base[key]. -1: memory ran out, or a signal came. */
int t0_note_lookup(t0_context *c, const t0_node *node, PyObject *base, PyObject *key, PyObject *item);
void t0_note_printed(t0_context *c, PyObject *value, PyObject *text); /* text = str(value), value no text; at c->where */

#endif
