/* Texts that Python gives, as UTF-8: one str or bytes, or many of them, or a string array in Arrow's memory. */
#ifndef T0_PY_TEXTS_H
#define T0_PY_TEXTS_H

#include "py/py.h"

/* Well-formed UTF-8 of a str or bytes. owner: NULL, or bytes that hold it (to be released by the caller). */
typedef struct t0py_text {
    t0_bytes bytes;
    PyObject *owner;
} t0py_text;

/* item: the text's place in a batch, for messages, or -1. replace: U+FFFD for what is no character; else ValueError. */
int t0py_text_view(PyObject *text, bool replace, Py_ssize_t item, t0py_text *out);

/* "strict" or "replace". */
int t0py_parse_errors(const char *errors, bool *replace);

/* Views of many texts, good until t0py_texts_free (which needs the GIL, as t0py_texts_view does). */
typedef struct t0py_texts {
    t0_bytes *texts; /* [n] owned */
    size_t n, total; /* total: bytes of all texts */
    PyObject *owners; /* list of what the views point into, or NULL */
} t0py_texts;

/* source: a sequence of str or bytes, or whatever gives a string array by Arrow's PyCapsule interface, which is not copied.
 * *out was zero. -1 with an exception, and then t0py_texts_free is still due. */
int t0py_texts_view(t0py_texts *out, PyObject *source, bool replace);
void t0py_texts_free(t0py_texts *texts);

/* For py_arrow.c. 1: `source` gave a string array. 0: it has no such interface. -1: an exception. */
int t0py_arrow_view(t0py_texts *out, PyObject *source, bool replace);
int t0py_texts_reserve(t0py_texts *out, size_t n);           /* room for n more */
int t0py_texts_add(t0py_texts *out, t0_bytes text, bool replace); /* there is room */
int t0py_texts_keep(t0py_texts *out, PyObject *owner);       /* takes the reference; NULL: -1 */

#endif
