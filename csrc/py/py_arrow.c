/* String arrays in Arrow's memory (its C data interface, handed over in PyCapsules), read in place.
 *
 *     __arrow_c_array__()    (capsule "arrow_schema", capsule "arrow_array")     one array
 *     __arrow_c_stream__()   capsule "arrow_array_stream"                        arrays of one type, one after another
 *
 *     format       u z    buffers: validity, int32 offsets [n + 1], bytes        (string, binary)
 *                  U Z    the same with int64 offsets                            (large_string, large_binary)
 *                  vu vz  validity, views [n], any number of bytes buffers, int64 sizes of these
 *     view         int32 size | 12 bytes of text, or 4 of its beginning, int32 buffer, int32 place
 *     validity     bit i: text i is not null; no buffer: none is
 *
 * Entries [offset, offset + length) count. (arrow.apache.org, "The Arrow C data interface".) An array is moved out of its capsule, as
 * the interface wants it, so that nobody else gives its memory back while it is read; release == NULL: somebody has taken it already.
 *
 * What is checked: names of capsules, what was consumed, that the counts of buffers, children, entries and nulls fit the format and
 * each other, that a buffer is there where entries need it, offsets that ascend, views within the sizes that are told and with the
 * beginning of their text, UTF-8. What cannot be: that pointers and the sizes of views' buffers are true, and how long buffers are
 * otherwise, of which the interface says nothing. Whoever hands an array over vouches for these. */
#include "py/py_texts.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct ArrowSchema {
    const char *format, *name, *metadata;
    int64_t flags, n_children;
    struct ArrowSchema **children, *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
} ArrowSchema;

typedef struct ArrowArray {
    int64_t length, null_count, offset, n_buffers, n_children;
    const void **buffers;
    struct ArrowArray **children, *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
} ArrowArray;

typedef struct ArrowArrayStream {
    int (*get_schema)(struct ArrowArrayStream *, ArrowSchema *);
    int (*get_next)(struct ArrowArrayStream *, ArrowArray *);
    const char *(*get_last_error)(struct ArrowArrayStream *);
    void (*release)(struct ArrowArrayStream *);
    void *private_data;
} ArrowArrayStream;

typedef enum layout { NO_TEXT, OFFSETS_32, OFFSETS_64, VIEWS } layout;

static int raise_value(const char *message) {
    PyErr_SetString(PyExc_ValueError, message);
    return -1;
}

/* NO_TEXT with an exception. */
static layout layout_of(const ArrowSchema *schema) {
    const char *f = schema->format;
    if (!schema->release) raise_value("texts: the Arrow schema was consumed already; ask its owner for another");
    else if (!f) raise_value("texts: the Arrow schema has no format: it is broken");
    else if (schema->dictionary) PyErr_SetString(PyExc_TypeError, "texts: a dictionary-encoded Arrow array; cast it to string first");
    else if (strcmp(f, "+s") == 0) PyErr_SetString(PyExc_TypeError, "texts: an Arrow table; give one of its columns");
    else if (strcmp(f, "u") && strcmp(f, "z") && strcmp(f, "U") && strcmp(f, "Z") && strcmp(f, "vu") && strcmp(f, "vz"))
        PyErr_Format(PyExc_TypeError, "texts: an Arrow array of format \"%.20s\"; must be of strings or binary", f);
    else if (schema->n_children != 0) raise_value("texts: an Arrow schema of strings with children: it is broken");
    else return *f == 'v' ? VIEWS : *f == 'u' || *f == 'z' ? OFFSETS_32 : OFFSETS_64;
    return NO_TEXT;
}

static int broken(size_t item, const char *what) {
    PyErr_Format(PyExc_ValueError, "texts[%zu]: %s: the Arrow array is broken", item, what);
    return -1;
}

static int64_t offset_at(const uint8_t *offsets, layout kind, int64_t i) { /* which need not be aligned */
    int32_t narrow;
    int64_t wide;
    if (kind == OFFSETS_64) {
        memcpy(&wide, offsets + 8 * i, sizeof wide);
        return wide;
    }
    memcpy(&narrow, offsets + 4 * i, sizeof narrow);
    return narrow;
}

/* The text of a view of more than 12 bytes, `size` of them. */
static int long_view(const ArrowArray *array, const uint8_t *view, int32_t size, size_t item, t0_bytes *out) {
    int32_t place[2];
    int64_t room;
    memcpy(place, view + 8, sizeof place);
    const int64_t n = array->n_buffers - 3;
    const uint8_t *sizes = array->buffers[array->n_buffers - 1];
    if (place[0] < 0 || place[0] >= n || place[1] < 0) return broken(item, "a view beyond its buffer");
    if (!sizes) return broken(item, "no sizes of the views' buffers");
    memcpy(&room, sizes + 8 * (size_t)place[0], sizeof room);
    const uint8_t *data = array->buffers[2 + place[0]];
    if (!data || room < place[1] || room - place[1] < size) return broken(item, "a view beyond its buffer");
    if (memcmp(data + place[1], view + 4, 4) != 0) return broken(item, "a view that does not begin as its text does");
    *out = (t0_bytes){data + place[1], (size_t)size};
    return 0;
}

/* Entry i of the array, which is not null. */
static int entry(const ArrowArray *array, layout kind, int64_t i, size_t item, t0_bytes *out) {
    assert(kind != NO_TEXT && i >= array->offset && i - array->offset < array->length && array->buffers[1]);
    const uint8_t *views = array->buffers[1];
    if (kind != VIEWS) {
        const int64_t begin = offset_at(views, kind, i), end = offset_at(views, kind, i + 1);
        if (begin < 0 || end < begin || (end > begin && !array->buffers[2])) return broken(item, "offsets that do not ascend");
        if ((uint64_t)end > PTRDIFF_MAX) return broken(item, "offsets beyond what memory can hold");
        *out = (t0_bytes){end > begin ? (const uint8_t *)array->buffers[2] + begin : (const uint8_t *)"", (size_t)(end - begin)};
        return 0;
    }
    int32_t size;
    memcpy(&size, views + 16 * i, sizeof size);
    if (size < 0) return broken(item, "a negative size");
    if (size > 12) return long_view(array, views + 16 * i, size, item, out);
    *out = (t0_bytes){views + 16 * i + 4, (size_t)size};
    return 0;
}

/* Whether the numbers of an array fit its format and each other. item: of its first text. */
static int check_array(const ArrowArray *array, layout kind, size_t item) {
    assert(kind != NO_TEXT);
    const int64_t width = kind == VIEWS ? 16 : kind == OFFSETS_64 ? 8 : 4;
    if (array->n_buffers < 3 || array->n_buffers > (kind == VIEWS ? INT32_MAX : 3) || !array->buffers)
        return broken(item, "too few buffers, or too many");
    if (array->n_children != 0 || array->dictionary) return broken(item, "children or a dictionary, which its format has not");
    if (array->length < 0 || array->offset < 0) return broken(item, "a negative length or offset");
    if (array->length > INT64_MAX - array->offset || array->offset + array->length >= PTRDIFF_MAX / width)
        return broken(item, "a length and offset beyond what memory can hold");
    if (array->null_count < -1 || array->null_count > array->length || (array->null_count > 0 && !array->buffers[0]))
        return broken(item, "a number of nulls that cannot be");
    if (array->length > 0 && !array->buffers[1]) return broken(item, kind == VIEWS ? "no views" : "no offsets");
    return 0;
}

static int add_array(t0py_texts *out, const ArrowArray *array, layout kind, bool replace) {
    const size_t first = out->n;
    if (check_array(array, kind, first) < 0 || t0py_texts_reserve(out, (size_t)array->length) < 0) return -1;
    const uint8_t *valid = array->buffers[0];
    for (int64_t k = 0; k < array->length; k++) {
        const int64_t i = array->offset + k;
        t0_bytes text;
        if (valid && !(valid[i / 8] >> (i % 8) & 1)) {
            PyErr_Format(PyExc_ValueError, "texts[%zu] is null: fill or drop nulls first", out->n);
            return -1;
        }
        if (entry(array, kind, i, out->n, &text) < 0 || t0py_texts_add(out, text, replace) < 0) return -1;
    }
    return array->null_count > 0 ? broken(first, "a number of nulls, and no text that is null") : 0;
}

static void release_array(PyObject *capsule) {
    ArrowArray *array = PyCapsule_GetPointer(capsule, "arrow_array");
    if (array->release) array->release(array);
    free(array);
}

/* Room for an array, in a capsule that releases it, which *out keeps; NULL with an exception. */
static ArrowArray *new_array(t0py_texts *out) {
    ArrowArray *array = calloc(1, sizeof *array);
    PyObject *capsule = array ? PyCapsule_New(array, "arrow_array", release_array) : PyErr_NoMemory();
    if (!capsule) free(array);
    return t0py_texts_keep(out, capsule) < 0 ? NULL : array;
}

static int view_array(t0py_texts *out, PyObject *pair, bool replace) {
    if (t0py_texts_keep(out, pair) < 0) return -1;
    if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2 || !PyCapsule_IsValid(PyTuple_GET_ITEM(pair, 0), "arrow_schema") ||
        !PyCapsule_IsValid(PyTuple_GET_ITEM(pair, 1), "arrow_array")) {
        PyErr_SetString(PyExc_TypeError, "texts: __arrow_c_array__ must return two PyCapsules, \"arrow_schema\" and \"arrow_array\"");
        return -1;
    }
    const ArrowSchema *schema = PyCapsule_GetPointer(PyTuple_GET_ITEM(pair, 0), "arrow_schema");
    ArrowArray *array = PyCapsule_GetPointer(PyTuple_GET_ITEM(pair, 1), "arrow_array");
    const layout kind = layout_of(schema);
    if (kind == NO_TEXT) return -1;
    if (!array->release) return raise_value("texts: the Arrow array was consumed already; ask its owner for another");
    ArrowArray *own = new_array(out);
    if (!own) return -1;
    *own = *array;
    array->release = NULL;
    return add_array(out, own, kind, replace);
}

/* The stream's next array, which *out keeps; NULL with an exception. One that is released: it was the end. */
static ArrowArray *next_array(t0py_texts *out, ArrowArrayStream *stream) {
    ArrowArray *array = new_array(out);
    if (!array || PyErr_CheckSignals() < 0) return NULL; /* a stream may never end */
    const int code = stream->get_next(stream, array);
    if (code == 0) return array;
    array->release = NULL; /* nothing is promised of it */
    const char *why = stream->get_last_error ? stream->get_last_error(stream) : NULL;
    if (!PyErr_Occurred()) PyErr_Format(PyExc_ValueError, "texts: the Arrow stream failed: %.300s", why ? why : strerror(code));
    return NULL;
}

static void release_schema(ArrowSchema *schema) {
    PyObject *type, *value, *trace; /* an exception on its way: a producer may run Python code */
    PyErr_Fetch(&type, &value, &trace);
    if (schema->release) schema->release(schema);
    PyErr_Restore(type, value, trace);
}

/* Of the stream's arrays; NO_TEXT with an exception. */
static layout layout_of_stream(ArrowArrayStream *stream) {
    ArrowSchema schema = {0};
    if (!stream->release || !stream->get_schema || !stream->get_next) {
        raise_value("texts: the Arrow stream was consumed already; ask its owner for another");
        return NO_TEXT;
    }
    if (stream->get_schema(stream, &schema) != 0) {
        if (!PyErr_Occurred()) raise_value("texts: the Arrow stream has no schema");
        return NO_TEXT;
    }
    const layout kind = layout_of(&schema);
    release_schema(&schema);
    return kind;
}

static int view_stream(t0py_texts *out, PyObject *capsule, bool replace) {
    if (t0py_texts_keep(out, capsule) < 0) return -1;
    if (!PyCapsule_IsValid(capsule, "arrow_array_stream")) {
        PyErr_SetString(PyExc_TypeError, "texts: __arrow_c_stream__ must return a PyCapsule \"arrow_array_stream\"");
        return -1;
    }
    ArrowArrayStream *stream = PyCapsule_GetPointer(capsule, "arrow_array_stream");
    const layout kind = layout_of_stream(stream);
    if (kind == NO_TEXT) return -1;
    for (;;) {
        const ArrowArray *array = next_array(out, stream);
        if (!array) return -1;
        if (!array->release) return 0;
        if (add_array(out, array, kind, replace) < 0) return -1;
    }
}

/* What the method returns; NULL without an exception where there is none, or where it lacks a package (pandas without pyarrow). */
static PyObject *call_method(PyObject *source, const char *name) {
    PyObject *given = PyObject_CallMethod(source, name, NULL);
    if (!given && (PyErr_ExceptionMatches(PyExc_AttributeError) || PyErr_ExceptionMatches(PyExc_ImportError))) PyErr_Clear();
    return given;
}

int t0py_arrow_view(t0py_texts *out, PyObject *source, bool replace) {
    assert(out->n == 0 && !out->texts);
    PyObject *given = call_method(source, "__arrow_c_array__");
    if (given) return view_array(out, given, replace) < 0 ? -1 : 1;
    if (PyErr_Occurred()) return -1;
    given = call_method(source, "__arrow_c_stream__");
    if (given) return view_stream(out, given, replace) < 0 ? -1 : 1;
    return PyErr_Occurred() ? -1 : 0;
}
