/* Texts that Python gives, as UTF-8: one str or bytes, or many of them, or a string array in Arrow's memory. */
#ifndef T0_PY_TEXTS_H
#define T0_PY_TEXTS_H

#include "py/support.h"

/* Well-formed UTF-8 of a str or bytes. owner: NULL, or bytes that hold it (to be released by the caller). */
typedef struct t0py_text {
    t0_bytes bytes;
    PyObject *owner;
} t0py_text;

/* item: the text's place in a batch, for messages, or -1. replace: U+FFFD for what is no character; else ValueError. */
int t0py_text_view(PyObject *text, bool replace, Py_ssize_t item, t0py_text *out);

/* "strict" or "replace". */
int t0py_parse_errors(const char *errors, bool *replace);

/* Views of many texts, good until t0py_texts_free (which needs the GIL, as all that fill them do). A cleared one is empty. */
typedef struct t0py_texts {
    t0_bytes *texts; /* [n] owned, with room for `room` */
    size_t n, room, total; /* total: bytes of all texts */
    PyObject *owners; /* list of what the views point into, or NULL */
} t0py_texts;

int t0py_texts_reserve(t0py_texts *out, size_t n);                /* room for n more */
int t0py_texts_add(t0py_texts *out, t0_bytes text, bool replace); /* there is room */
int t0py_texts_keep(t0py_texts *out, PyObject *owner);            /* takes the reference; NULL: -1 */
void t0py_texts_free(t0py_texts *texts);

/* Two sources of texts for an empty *out. -1 with an exception, and then t0py_texts_free is still due.
 * t0py_sequence_view: a sequence of str or bytes. 0 where all is well.
 * t0py_arrow_view (py_arrow.c): whatever gives a string array by Arrow's PyCapsule interface, which is not copied. 1: `source` gave
 * one. 0: it has no such interface. */
int t0py_sequence_view(t0py_texts *out, PyObject *source, bool replace);
int t0py_arrow_view(t0py_texts *out, PyObject *source, bool replace);

#endif
