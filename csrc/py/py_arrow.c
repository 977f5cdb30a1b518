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
 * Entries [offset, offset + length) count. (arrow.apache.org, "The Arrow C data interface".) Whoever hands an array over
 * vouches for its pointers, as everywhere in Arrow; numbers are checked as far as they can be. */
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

/* NO_TEXT with an exception. */
static layout layout_of(const ArrowSchema *schema) {
    const char *f = schema->format;
    if (schema->dictionary) PyErr_SetString(PyExc_TypeError, "texts: a dictionary-encoded Arrow array; cast it to string first");
    else if (strcmp(f, "u") == 0 || strcmp(f, "z") == 0) return OFFSETS_32;
    else if (strcmp(f, "U") == 0 || strcmp(f, "Z") == 0) return OFFSETS_64;
    else if (strcmp(f, "vu") == 0 || strcmp(f, "vz") == 0) return VIEWS;
    else if (strcmp(f, "+s") == 0) PyErr_SetString(PyExc_TypeError, "texts: an Arrow table; give one of its columns");
    else PyErr_Format(PyExc_TypeError, "texts: an Arrow array of format \"%.20s\"; must be of strings or binary", f);
    return NO_TEXT;
}

static int broken(size_t item, const char *what) {
    PyErr_Format(PyExc_ValueError, "texts[%zu]: %s: the Arrow array is broken", item, what);
    return -1;
}

static int64_t offset_at(const void *offsets, layout kind, int64_t i) {
    return kind == OFFSETS_32 ? ((const int32_t *)offsets)[i] : ((const int64_t *)offsets)[i];
}

/* Entry i of the array, which is not null. */
static int entry(const ArrowArray *array, layout kind, int64_t i, size_t item, t0_bytes *out) {
    assert(kind != NO_TEXT && i >= array->offset && i < array->offset + array->length && array->buffers[1]);
    const uint8_t *views = array->buffers[1];
    if (kind != VIEWS) {
        const int64_t begin = offset_at(views, kind, i), end = offset_at(views, kind, i + 1);
        if (begin < 0 || end < begin || (end > begin && !array->buffers[2])) return broken(item, "offsets that do not ascend");
        *out = (t0_bytes){end > begin ? (const uint8_t *)array->buffers[2] + begin : (const uint8_t *)"", (size_t)(end - begin)};
        return 0;
    }
    int32_t size, place[2];
    memcpy(&size, views + 16 * i, sizeof size);
    if (size < 0) return broken(item, "a negative size");
    *out = (t0_bytes){views + 16 * i + 4, (size_t)size};
    if (size <= 12) return 0;
    memcpy(place, views + 16 * i + 8, sizeof place);
    const int64_t n = array->n_buffers - 3;
    const int64_t *sizes = n > 0 ? array->buffers[array->n_buffers - 1] : NULL;
    if (place[0] < 0 || place[0] >= n || place[1] < 0 || sizes[place[0]] - place[1] < size) return broken(item, "a view beyond its buffer");
    out->data = (const uint8_t *)array->buffers[2 + place[0]] + place[1];
    return 0;
}

static int add_array(t0py_texts *out, const ArrowArray *array, layout kind, bool replace) {
    if (array->length < 0 || array->offset < 0 || array->n_buffers < 3) return broken(out->n, "a negative length or too few buffers");
    if (array->length == 0) return 0;
    if (!array->buffers[1]) return broken(out->n, "no offsets");
    if (t0py_texts_reserve(out, (size_t)array->length) < 0) return -1;
    const uint8_t *valid = array->null_count == 0 ? NULL : array->buffers[0];
    for (int64_t i = array->offset; i < array->offset + array->length; i++) {
        t0_bytes text;
        if (valid && !(valid[i / 8] >> (i % 8) & 1)) {
            PyErr_Format(PyExc_ValueError, "texts[%zu] is null: fill or drop nulls first", out->n);
            return -1;
        }
        if (entry(array, kind, i, out->n, &text) < 0 || t0py_texts_add(out, text, replace) < 0) return -1;
    }
    return 0;
}

static int view_array(t0py_texts *out, PyObject *pair, bool replace) {
    if (t0py_texts_keep(out, pair) < 0) return -1;
    if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) {
        PyErr_SetString(PyExc_TypeError, "texts: __arrow_c_array__ must return two capsules");
        return -1;
    }
    const ArrowSchema *schema = PyCapsule_GetPointer(PyTuple_GET_ITEM(pair, 0), "arrow_schema");
    const ArrowArray *array = schema ? PyCapsule_GetPointer(PyTuple_GET_ITEM(pair, 1), "arrow_array") : NULL;
    const layout kind = array ? layout_of(schema) : NO_TEXT;
    return kind == NO_TEXT ? -1 : add_array(out, array, kind, replace);
}

static void release_array(PyObject *capsule) {
    ArrowArray *array = PyCapsule_GetPointer(capsule, "arrow_array");
    if (array->release) array->release(array);
    free(array);
}

/* The stream's next array in a capsule that releases it; NULL with an exception. *more: it was not the end. */
static ArrowArray *next_array(t0py_texts *out, ArrowArrayStream *stream, bool *more) {
    ArrowArray *array = calloc(1, sizeof *array);
    PyObject *capsule = array ? PyCapsule_New(array, "arrow_array", release_array) : PyErr_NoMemory();
    if (!capsule) free(array);
    if (t0py_texts_keep(out, capsule) < 0) return NULL;
    const int code = stream->get_next(stream, array);
    *more = array->release != NULL;
    if (code == 0) return array;
    const char *why = stream->get_last_error(stream);
    if (!PyErr_Occurred()) PyErr_Format(PyExc_ValueError, "texts: the Arrow stream failed: %.300s", why ? why : strerror(code));
    return NULL;
}

static int view_stream(t0py_texts *out, PyObject *capsule, bool replace) {
    if (t0py_texts_keep(out, capsule) < 0) return -1;
    ArrowArrayStream *stream = PyCapsule_GetPointer(capsule, "arrow_array_stream");
    ArrowSchema schema = {0};
    if (!stream) return -1;
    if (stream->get_schema(stream, &schema) != 0) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "texts: the Arrow stream has no schema");
        return -1;
    }
    const layout kind = layout_of(&schema);
    schema.release(&schema);
    for (bool more = true; kind != NO_TEXT;) {
        const ArrowArray *array = next_array(out, stream, &more);
        if (!array) return -1;
        if (!more) return 0;
        if (add_array(out, array, kind, replace) < 0) return -1;
    }
    return -1;
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
