/* The text that a rendering prints: one growing buffer of 1, 2 or 4 bytes a character, widened when it must be. */
#ifndef T0_TEMPLATE_WRITER_H
#define T0_TEMPLATE_WRITER_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

typedef struct t0_writer {
    void *data, *room;         /* room: borrowed, where the text begins; data: that, or owned once it has grown */
    Py_ssize_t size, capacity; /* characters */
    int kind;                  /* 1, 2, 4 */
    bool ascii;                /* so are all texts that were added */
    Py_ssize_t *cuts, n_cuts;  /* owned: where marked separators begin */
} t0_writer;

static inline t0_writer t0_writer_open(void *room, Py_ssize_t size) { return (t0_writer){room, room, 0, size, 1, true, NULL, 0}; }
int t0_writer_add(t0_writer *w, PyObject *text, Py_ssize_t from, Py_ssize_t to); /* characters of a str; -1: MemoryError is set */
void t0_writer_close(t0_writer *w);
PyObject *t0_writer_text(const t0_writer *w, Py_ssize_t from, Py_ssize_t to);

/* The parts between the separators |||, stripped of white space, the marker 3ed2... turned back into |||.
 * promptsource unescapes and strips in different orders for parts and for choices; neither | nor the marker is white
 * space, so that both orders give the same text. */
PyObject *t0_writer_parts(const t0_writer *w);

/* Marks every ||| of `text`, which is about to be added. -1: MemoryError is set. */
int t0_writer_mark(t0_writer *w, PyObject *text);
/* The parts between the marked separators, stripped. */
PyObject *t0_writer_marked_parts(const t0_writer *w);

/* How many separators ||| of `w` begin before character `at`: the part in which what came there lies. */
Py_ssize_t t0_writer_part_of(const t0_writer *w, Py_ssize_t at);

/* A str with every ||| replaced by the marker: a new reference, the same object where there is none. */
PyObject *t0_escape_separators(PyObject *text);

#endif
