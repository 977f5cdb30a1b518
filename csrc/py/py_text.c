/* The type _core.Tokenizer: strings in, ids out, over csrc/text. t0native/text/tokenizer.py documents it.
 *
 * A tokenizer never changes, so threads share it; what a call needs beside it (an encoder) comes from a small stack of
 * idle ones that only threads with the GIL touch. */
#include "py/py_texts.h"

#include "text/parts.h"

#include <assert.h>
#include <string.h>

enum { MAX_IDLE = 8, SMALL_BATCH = 1 << 15 /* bytes: below, threads cost more than they bring */ };

typedef struct tokenizer_object {
    PyObject_HEAD
    t0_tokenizer *tokenizer; /* owned */
    PyObject *model;         /* the file's bytes, which `tokenizer` points into */
    PyObject *added;         /* tuple of (text, id, flags), into whose texts it points too */
    t0_encoder idle[MAX_IDLE];
    int n_idle;
} tokenizer_object;

static PyObject *raise_here(tokenizer_object *self, const t0_error *err) {
    t0py_state *state = t0py_state_of_type(Py_TYPE(self));
    return state ? t0py_raise(state, err) : NULL;
}

static t0_encoder take_encoder(tokenizer_object *self) {
    assert(PyGILState_Check());
    if (self->n_idle > 0) return self->idle[--self->n_idle];
    return (t0_encoder){.tokenizer = self->tokenizer};
}

static void give_encoder(tokenizer_object *self, t0_encoder *encoder) {
    assert(PyGILState_Check());
    if (self->n_idle < MAX_IDLE && t0_encoder_size(encoder) < (4 << 20)) self->idle[self->n_idle++] = *encoder;
    else t0_encoder_free(encoder);
}

/* The number `id`, of which many equal ones are one object where there is a table known[n_known], cleared at first. */
static PyObject *number_of(int32_t id, PyObject **known, size_t n_known) {
    if ((size_t)id >= n_known) return PyLong_FromLong(id);
    if (!known[id]) known[id] = PyLong_FromLong(id);
    return Py_XNewRef(known[id]);
}

/* n_pieces: of the vocabulary. */
static PyObject *ids_to_list(const t0_buffer *ids, size_t n_pieces) {
    assert(ids->size % sizeof(int32_t) == 0);
    const Py_ssize_t n = (Py_ssize_t)(ids->size / sizeof(int32_t));
    const int32_t *id = (const int32_t *)ids->data;
    PyObject **known = (size_t)n > n_pieces ? PyMem_Calloc(n_pieces, sizeof *known) : NULL; /* a long list is also sooner freed so */
    const size_t n_known = known ? n_pieces : 0;
    PyObject *list = PyList_New(n);
    for (Py_ssize_t i = 0; list && i < n; i++) {
        PyObject *number = t0py_interrupted(i) ? NULL : number_of(id[i], known, n_known);
        if (!number) Py_CLEAR(list);
        else PyList_SET_ITEM(list, i, number);
    }
    for (size_t i = 0; i < n_known; i++) Py_XDECREF(known[i]);
    PyMem_Free(known);
    return list;
}

PyDoc_STRVAR(encode_doc, "encode($self, text, add_eos=False, errors='strict', sentinels=False)\n--\n\n"
                         "The ids of a text, as a list.\n\n"
                         "text: str, or bytes of UTF-8.  add_eos: add the end-of-sequence id.  errors: 'strict' raises\n"
                         "ValueError for a lone surrogate or malformed bytes, 'replace' takes U+FFFD for them.\n"
                         "sentinels: take <extra_id_k> in the text for the sentinel; otherwise it is text like any other.\n"
                         "Unigram segmentation: Kudo 2018, section 3.2; pairs: Sennrich et al. 2016, section 3.2.\n\n"
                         ">>> tok = t0.mini.tokenizer()\n"
                         ">>> [tok.id_to_piece(id) for id in tok.encode('a cat', add_eos=True)]\n['▁a', '▁cat', '</s>']\n");
static PyObject *tokenizer_encode(PyObject *object, PyObject *args, PyObject *kwargs) {
    tokenizer_object *self = (tokenizer_object *)object;
    static char *names[] = {"text", "add_eos", "errors", "sentinels", NULL};
    PyObject *text;
    int add_eos = 0, sentinels = 0;
    const char *errors = "strict";
    bool replace;
    t0py_text view;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|psp:encode", names, &text, &add_eos, &errors, &sentinels)) return NULL;
    if (t0py_parse_errors(errors, &replace) < 0 || t0py_text_view(text, replace, -1, &view) < 0) return NULL;
    t0_encoder encoder = take_encoder(self);
    t0_buffer ids = {0};
    int64_t offsets[2];
    t0_error err = {0};
    t0_status status;
    t0py_interrupt interrupt;
    const t0_poll poll = t0py_poll(&interrupt);
    const t0_batch_rule rule = {add_eos != 0, sentinels != 0, SIZE_MAX};
    Py_BEGIN_ALLOW_THREADS
    status = t0_encode_batch(&encoder, NULL, &view.bytes, 1, rule, &ids, offsets, &poll, &err);
    Py_END_ALLOW_THREADS
    give_encoder(self, &encoder);
    PyObject *out = status == T0_OK ? ids_to_list(&ids, self->tokenizer->spiece.n_pieces) : raise_here(self, &err);
    t0_buffer_free(&ids);
    Py_XDECREF(view.owner);
    return out;
}

/* Views of a list of texts, or of a string array in Arrow's memory. *out is empty; -1 with an exception, and then t0py_texts_free is
 * still due. */
static int view_texts(t0py_texts *out, PyObject *source, bool replace) {
    if (PyUnicode_Check(source) || PyBytes_Check(source)) {
        PyErr_Format(PyExc_TypeError, "texts: one %.20s, must be a sequence of texts; encode takes one text", Py_TYPE(source)->tp_name);
        return -1;
    }
    if (PyList_Check(source) || PyTuple_Check(source)) return t0py_sequence_view(out, source, replace);
    const int known = t0py_arrow_view(out, source, replace);
    return known ? (known < 0 ? -1 : 0) : t0py_sequence_view(out, source, replace);
}

/* A batch on its way through encode_batch. */
typedef struct batch_call {
    t0py_texts source;
    t0_encoder encoders[T0_MAX_THREADS];
    size_t threads;
    t0_buffer ids;
} batch_call;

static t0_status run_batch(batch_call *call, t0_batch_rule rule, int64_t *offsets, const t0_poll *poll, t0_error *err) {
    t0_pool *pool = NULL;
    if (call->threads > 1) T0_TRY(t0_pool_new(&pool, call->threads, err));
    const t0_status status = t0_encode_batch(call->encoders, pool, call->source.texts, call->source.n, rule, &call->ids, offsets, poll,
                                             err);
    t0_pool_free(pool);
    return status;
}

static void free_ids(PyObject *capsule) { t0_free(PyCapsule_GetPointer(capsule, NULL)); }

/* The ids as an array that has taken their memory over; NULL with an exception. */
static PyObject *adopt(t0_buffer *ids) {
    npy_intp n = (npy_intp)(ids->size / sizeof(int32_t));
    if (n == 0) return PyArray_SimpleNew(1, &n, NPY_INT32);
    PyObject *owner = PyCapsule_New(ids->data, NULL, free_ids);
    if (!owner) return NULL;
    PyObject *array = PyArray_SimpleNewFromData(1, &n, NPY_INT32, ids->data);
    *ids = (t0_buffer){0}; /* the capsule's from here on */
    if (array && PyArray_SetBaseObject((PyArrayObject *)array, owner) == 0) return array; /* which has taken the capsule */
    if (!array) Py_DECREF(owner);
    Py_XDECREF(array);
    return NULL;
}

/* (ids, offsets), or NULL with an exception. */
static PyObject *encode_views(tokenizer_object *self, batch_call *call, t0_batch_rule rule) {
    assert(call->threads >= 1 && call->threads <= T0_MAX_THREADS);
    npy_intp n_offsets = (npy_intp)call->source.n + 1;
    PyObject *offsets = PyArray_SimpleNew(1, &n_offsets, NPY_INT64);
    if (!offsets) return NULL;
    for (size_t i = 0; i < call->threads; i++) call->encoders[i] = take_encoder(self);
    t0_error err = {0};
    t0_status status;
    t0py_interrupt interrupt;
    const t0_poll poll = t0py_poll(&interrupt);
    int64_t *offset_data = PyArray_DATA((PyArrayObject *)offsets);
    Py_BEGIN_ALLOW_THREADS
    status = run_batch(call, rule, offset_data, &poll, &err);
    Py_END_ALLOW_THREADS
    for (size_t i = 0; i < call->threads; i++) give_encoder(self, &call->encoders[i]);
    PyObject *ids = status == T0_OK ? adopt(&call->ids) : raise_here(self, &err);
    PyObject *out = ids ? PyTuple_Pack(2, ids, offsets) : NULL;
    Py_XDECREF(ids);
    Py_DECREF(offsets);
    return out;
}

PyDoc_STRVAR(encode_arrays_doc,
             "encode_arrays($self, texts, add_eos=False, max_length=None, threads=1, errors='strict', sentinels=False)\n--\n\n"
             "(ids int32 [N], offsets int64 [B + 1]) of B texts: encode_batch without the Ragged.\n\n"
             ">>> ids, offsets = t0.mini.tokenizer().encode_arrays(['Anna', '', 'tea'])\n"
             ">>> offsets.tolist()\n[0, 1, 1, 2]\n");
static PyObject *tokenizer_encode_arrays(PyObject *object, PyObject *args, PyObject *kwargs) {
    tokenizer_object *self = (tokenizer_object *)object;
    static char *names[] = {"texts", "add_eos", "max_length", "threads", "errors", "sentinels", NULL};
    PyObject *texts, *limit = Py_None;
    int add_eos = 0, sentinels = 0;
    Py_ssize_t threads = 1, max_length = -1;
    const char *errors = "strict";
    bool replace;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|pOnsp:encode_arrays", names, &texts, &add_eos, &limit, &threads, &errors, &sentinels))
        return NULL;
    if (t0py_parse_errors(errors, &replace) < 0) return NULL;
    if (limit != Py_None) {
        max_length = PyNumber_AsSsize_t(limit, NULL); // a number beyond any text's length is that of no text
        if (max_length == -1 && PyErr_Occurred()) return NULL;
        if (max_length < 0) return PyErr_Format(PyExc_ValueError, "max_length %zd: at least 0", max_length);
    }
    t0py_state *state = t0py_state_of_type(Py_TYPE(self));
    if (!state || !t0py_threads_valid(state, threads)) return NULL;
    batch_call *call = PyMem_Calloc(1, sizeof *call);
    if (!call) return PyErr_NoMemory();
    PyObject *out = NULL;
    if (view_texts(&call->source, texts, replace) == 0) {
        call->threads = call->source.total < SMALL_BATCH || call->source.n < 2 ? 1 : (size_t)threads;
        out = encode_views(self, call, (t0_batch_rule){add_eos != 0, sentinels != 0, limit == Py_None ? SIZE_MAX : (size_t)max_length});
    }
    t0py_texts_free(&call->source);
    t0_buffer_free(&call->ids);
    PyMem_Free(call);
    return out;
}

/* An array of the ids of a sequence, as t0py_array makes it, in slices, between which signals are looked at: of a list of millions NumPy's
 * own conversion takes seconds. */
static PyArrayObject *ids_of(PyObject *value) {
    enum { SLICE = 1 << 18 };
    const bool sliced = PyList_CheckExact(value) || PyTuple_CheckExact(value) ||
                        (PyArray_CheckExact(value) && PyArray_NDIM((PyArrayObject *)value) == 1);
    if (!sliced || PyObject_Size(value) <= SLICE) return t0py_array(value, NPY_INT32, 1, "ids");
    PyObject *source = PyList_CheckExact(value) ? PyList_AsTuple(value) : Py_NewRef(value); /* which no other thread can shorten */
    npy_intp n = source ? PyObject_Size(source) : -1;
    PyArrayObject *out = n < 0 ? NULL : (PyArrayObject *)PyArray_SimpleNew(1, &n, NPY_INT32);
    for (npy_intp at = 0; out && at < n; at += SLICE) {
        PyObject *slice = PyErr_CheckSignals() < 0 ? NULL : PySequence_GetSlice(source, at, n - at < SLICE ? n : at + SLICE);
        PyArrayObject *part = slice ? t0py_array(slice, NPY_INT32, 1, "ids") : NULL;
        assert(!part || PyArray_SIZE(part) == (n - at < SLICE ? n - at : SLICE));
        if (part) memcpy((int32_t *)PyArray_DATA(out) + at, PyArray_DATA(part), (size_t)PyArray_NBYTES(part));
        else Py_CLEAR(out);
        Py_XDECREF(part);
        Py_XDECREF(slice);
    }
    Py_XDECREF(source);
    return out;
}

/* The str of UTF-8, in parts, between which signals are looked at. A byte that is no character's becomes U+FFFD. */
static PyObject *text_of(const t0_buffer *text) {
    enum { PART = 1 << 22 };
    if (text->size <= PART) return PyUnicode_DecodeUTF8((const char *)text->data, (Py_ssize_t)text->size, "replace");
    PyObject *parts = PyList_New(0), *nothing = PyUnicode_New(0, 0), *out = NULL;
    size_t at = 0;
    while (parts && nothing && at < text->size && PyErr_CheckSignals() == 0) {
        size_t end = text->size - at > PART ? at + PART : text->size;
        while (end < text->size && (text->data[end] & 0xC0) == 0x80) end++; /* not inside a character */
        PyObject *part = PyUnicode_DecodeUTF8((const char *)text->data + at, (Py_ssize_t)(end - at), "replace");
        const bool kept = part && PyList_Append(parts, part) == 0;
        Py_XDECREF(part);
        if (!kept) break;
        at = end;
    }
    if (parts && nothing && at == text->size) out = PyUnicode_Join(nothing, parts);
    Py_XDECREF(nothing);
    Py_XDECREF(parts);
    return out;
}

PyDoc_STRVAR(decode_doc, "decode($self, ids, skip_special=True)\n--\n\n"
                         "The text of a sequence of ids.\n\n"
                         "Pad, end of sequence, other control pieces, sentinels and ids beyond the vocabulary (a model's\n"
                         "table may be larger) are left out; with skip_special=False they appear by name, the last kind\n"
                         "as <id_N>. Everything else is SentencePiece's own decoding. ValueError for a negative id.\n\n"
                         ">>> tok = t0.mini.tokenizer()\n"
                         ">>> tok.decode(tok.encode('Anna keeps a cat.', add_eos=True))\n'anna keeps a cat.'\n"
                         ">>> tok.decode(tok.encode('tea', add_eos=True), skip_special=False)\n'tea</s>'\n");
static PyObject *tokenizer_decode(PyObject *object, PyObject *args, PyObject *kwargs) {
    tokenizer_object *self = (tokenizer_object *)object;
    static char *names[] = {"ids", "skip_special", NULL};
    PyObject *value;
    int skip_special = 1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|p:decode", names, &value, &skip_special)) return NULL;
    PyArrayObject *ids = ids_of(value);
    if (!ids) return NULL;
    t0py_interrupt interrupt;
    const t0_poll poll = t0py_poll(&interrupt);
    t0_buffer text = {0};
    t0_error err = {0};
    t0_status status;
    Py_BEGIN_ALLOW_THREADS
    status = t0_tokenizer_decode(self->tokenizer, PyArray_DATA(ids), (size_t)PyArray_SIZE(ids), !skip_special, &text, &poll, &err);
    Py_END_ALLOW_THREADS
    Py_DECREF(ids);
    PyObject *out = status == T0_OK ? text_of(&text) : raise_here(self, &err);
    t0_buffer_free(&text);
    return out;
}

static PyObject *span_text(tokenizer_object *self, const t0_buffer *normal, const t0_span *span) {
    const t0_spiece *spiece = &self->tokenizer->spiece;
    const t0_piece *piece = (size_t)span->id < spiece->n_pieces ? &spiece->pieces[span->id] : NULL;
    if (piece && (piece->type == T0_PIECE_BYTE || spiece->kind == T0_MODEL_BYTE_LEVEL))
        return PyUnicode_DecodeUTF8((const char *)piece->text, piece->size, "replace");
    return PyUnicode_DecodeUTF8((const char *)normal->data + span->begin, (Py_ssize_t)(span->end - span->begin), "replace");
}

static PyObject *spans_to_python(tokenizer_object *self, const t0_buffer *normal, const t0_buffer *spans) {
    const Py_ssize_t n = (Py_ssize_t)(spans->size / sizeof(t0_span));
    const t0_span *span = (const t0_span *)spans->data;
    PyObject *list = PyList_New(n);
    for (Py_ssize_t i = 0; list && i < n; i++) {
        PyObject *text = t0py_interrupted(i) ? NULL : span_text(self, normal, &span[i]);
        PyObject *entry = text ? Py_BuildValue("(NiII)", text, (int)span[i].id, (unsigned)span[i].origin, (unsigned)span[i].origin_end)
                               : NULL;
        if (!entry) Py_CLEAR(list);
        else PyList_SET_ITEM(list, i, entry);
    }
    if (!list) return NULL;
    PyObject *whole = text_of(normal);
    PyObject *out = whole ? PyTuple_Pack(2, whole, list) : NULL;
    Py_XDECREF(whole);
    Py_DECREF(list);
    return out;
}

PyDoc_STRVAR(spans_doc, "spans($self, text, errors='strict')\n--\n\n"
                        "(normalised text, [(piece, id, begin, end), ...]): begin and end count bytes of the text's UTF-8.\n\n"
                        ">>> t0.mini.tokenizer().spans('a cat')\n('▁a▁cat', [('▁a', ..., 0, 1), ('▁cat', ..., 1, 5)])\n");
static PyObject *tokenizer_spans(PyObject *object, PyObject *args, PyObject *kwargs) {
    tokenizer_object *self = (tokenizer_object *)object;
    static char *names[] = {"text", "errors", NULL};
    PyObject *text;
    const char *errors = "strict";
    bool replace;
    t0py_text view;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|s:spans", names, &text, &errors)) return NULL;
    if (t0py_parse_errors(errors, &replace) < 0 || t0py_text_view(text, replace, -1, &view) < 0) return NULL;
    t0_encoder encoder = take_encoder(self);
    t0_buffer spans = {0}, normal = {0};
    t0_error err = {0};
    t0_status status;
    t0py_interrupt interrupt;
    const t0_poll poll = t0py_poll(&interrupt);
    Py_BEGIN_ALLOW_THREADS
    status = t0_encode_parts_spans(&encoder, view.bytes, false, &spans, &normal, &poll, &err);
    Py_END_ALLOW_THREADS
    PyObject *out = status == T0_OK ? spans_to_python(self, &normal, &spans) : raise_here(self, &err);
    give_encoder(self, &encoder);
    t0_buffer_free(&spans);
    t0_buffer_free(&normal);
    Py_XDECREF(view.owner);
    return out;
}

PyDoc_STRVAR(id_to_piece_doc, "id_to_piece($self, id, /)\n--\n\nThe text of a piece or an added token, or <extra_id_k> of a sentinel. "
                              "ValueError for any other id.\n\n"
                              ">>> tok = t0.mini.tokenizer()\n>>> tok.id_to_piece(tok.eos_id)\n'</s>'\n");
static PyObject *tokenizer_id_to_piece(PyObject *object, PyObject *value) {
    const t0_tokenizer *tok = ((tokenizer_object *)object)->tokenizer;
    const Py_ssize_t id = PyNumber_AsSsize_t(value, PyExc_OverflowError);
    if (id == -1 && PyErr_Occurred()) return NULL;
    const Py_ssize_t n = (Py_ssize_t)tok->spiece.n_pieces, total = n + (Py_ssize_t)tok->n_extra;
    const t0_added_token *added = id >= total && id <= INT32_MAX ? t0_added_by_id(&tok->added, (int32_t)id) : NULL;
    if (added) return PyUnicode_DecodeUTF8((const char *)added->text.data, (Py_ssize_t)added->text.size, "replace");
    if (id < 0 || id >= total) return PyErr_Format(PyExc_ValueError, "id %zd: must be at least 0 and below %zd", id, total);
    if (id >= n) return PyUnicode_FromFormat("<extra_id_%zu>", t0_tokenizer_sentinel_of(tok, (int32_t)id));
    return PyUnicode_DecodeUTF8((const char *)tok->spiece.pieces[id].text, tok->spiece.pieces[id].size, "replace");
}

PyDoc_STRVAR(kind_of_doc,
             "kind_of($self, id, /)\n--\n\nWhat SentencePiece takes the piece `id` for: 'normal', 'unknown', 'control', 'user', "
             "'unused' or 'byte'. ValueError outside [0, n_pieces).\n\n"
             ">>> tok = t0.mini.tokenizer()\n>>> tok.kind_of(tok.eos_id)\n'control'\n");
static PyObject *tokenizer_kind_of(PyObject *object, PyObject *value) {
    static const char *const names[] = {NULL, "normal", "unknown", "control", "user", "unused", "byte"};
    const t0_spiece *spiece = &((tokenizer_object *)object)->tokenizer->spiece;
    const Py_ssize_t id = PyNumber_AsSsize_t(value, PyExc_OverflowError);
    if (id == -1 && PyErr_Occurred()) return NULL;
    if (id < 0 || (size_t)id >= spiece->n_pieces)
        return PyErr_Format(PyExc_ValueError, "id %zd: must be at least 0 and below n_pieces, %zu", id, spiece->n_pieces);
    return PyUnicode_FromString(names[spiece->pieces[id].type]);
}

static PyObject *id_or_none(int32_t id) {
    if (id < 0) Py_RETURN_NONE;
    return PyLong_FromLong(id);
}

PyDoc_STRVAR(piece_to_id_doc,
             "piece_to_id($self, piece, /)\n--\n\nThe id of a piece, sentinel or added token; unk_id for a text that is none.\n\n"
             ">>> t0.mini.tokenizer().piece_to_id('</s>')\n1\n");
static PyObject *tokenizer_piece_to_id(PyObject *object, PyObject *piece) {
    const t0_tokenizer *tok = ((tokenizer_object *)object)->tokenizer;
    t0py_text view;
    if (t0py_text_view(piece, false, -1, &view) < 0) return NULL;
    int32_t id = t0_tokenizer_id(tok, view.bytes), sentinel;
    if (id < 0 && t0_tokenizer_sentinel(tok, view.bytes, &sentinel) == view.bytes.size && view.bytes.size) id = sentinel;
    Py_XDECREF(view.owner);
    return id_or_none(id >= 0 ? id : tok->unk_id);
}

PyDoc_STRVAR(sentinel_doc, "sentinel($self, k, /)\n--\n\nThe id of <extra_id_k>: n_pieces + extra_ids - 1 - k, T5's rule; of bytes "
                           "n_pieces + k, ByT5's on the hub.\n"
                           "ValueError outside [0, extra_ids).\n\n"
                           ">>> tok = t0.Tokenizer.from_bytes(t0.mini.tokenizer().model_bytes, extra_ids=100)\n"
                           ">>> tok.sentinel(0) == tok.vocab_size - 1\nTrue\n");
static PyObject *tokenizer_sentinel(PyObject *object, PyObject *value) {
    const t0_tokenizer *tok = ((tokenizer_object *)object)->tokenizer;
    const Py_ssize_t k = PyNumber_AsSsize_t(value, PyExc_OverflowError);
    if (k == -1 && PyErr_Occurred()) return NULL;
    if (k < 0 || (size_t)k >= tok->n_extra)
        return PyErr_Format(PyExc_ValueError, "sentinel %zd: must be at least 0 and below extra_ids, %zu", k, tok->n_extra);
    return PyLong_FromLong(t0_tokenizer_sentinel_id(tok, (size_t)k));
}

static PyObject *get_vocab_size(PyObject *object, void *unused) {
    (void)unused;
    const t0_tokenizer *tok = ((tokenizer_object *)object)->tokenizer;
    const size_t n = tok->spiece.n_pieces + tok->n_extra, last = tok->added.n ? (size_t)tok->added.tokens[tok->added.n - 1].id : 0;
    return PyLong_FromSize_t(last >= n ? last + 1 : n);
}
static PyObject *get_added(PyObject *object, void *unused) {
    (void)unused;
    return Py_NewRef(((tokenizer_object *)object)->added);
}
static PyObject *get_n_pieces(PyObject *object, void *unused) {
    (void)unused;
    return PyLong_FromSize_t(((tokenizer_object *)object)->tokenizer->spiece.n_pieces);
}
static PyObject *get_extra_ids(PyObject *object, void *unused) {
    (void)unused;
    return PyLong_FromSize_t(((tokenizer_object *)object)->tokenizer->n_extra);
}
static PyObject *get_pad_id(PyObject *object, void *unused) {
    (void)unused;
    return id_or_none(((tokenizer_object *)object)->tokenizer->pad_id);
}
static PyObject *get_eos_id(PyObject *object, void *unused) {
    (void)unused;
    return id_or_none(((tokenizer_object *)object)->tokenizer->eos_id);
}
static PyObject *get_unk_id(PyObject *object, void *unused) {
    (void)unused;
    return id_or_none(((tokenizer_object *)object)->tokenizer->unk_id);
}
static PyObject *get_start_id(PyObject *object, void *unused) {
    (void)unused;
    return id_or_none(((tokenizer_object *)object)->tokenizer->start_id);
}
static PyObject *get_kind(PyObject *object, void *unused) {
    (void)unused;
    static const char *const names[] = {NULL, "unigram", "BPE", "merges", "byte-level BPE", "bytes"};
    return PyUnicode_FromString(names[((tokenizer_object *)object)->tokenizer->spiece.kind]);
}
static PyObject *get_merges(PyObject *object, void *unused) {
    (void)unused;
    const t0_bytes merges = ((tokenizer_object *)object)->tokenizer->spiece.hub.merges;
    return PyBytes_FromStringAndSize((const char *)merges.data, (Py_ssize_t)merges.size);
}
static PyObject *get_model_bytes(PyObject *object, void *unused) {
    (void)unused;
    return Py_NewRef(((tokenizer_object *)object)->model);
}

/* Views of the added tokens of a tuple of (text, id, flags), in tokens[size of the tuple]. */
static int view_added(PyObject *added, t0_added_token *tokens) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(added); i++) {
        PyObject *item = PyTuple_GET_ITEM(added, i);
        const char *text;
        Py_ssize_t size;
        int id, flags;
        if (!PyTuple_CheckExact(item)) {
            PyErr_Format(PyExc_TypeError, "added[%zd]: %.100s, must be (text, id, flags)", i, Py_TYPE(item)->tp_name);
            return -1;
        }
        if (!PyArg_ParseTuple(item, "s#ii:added", &text, &size, &id, &flags)) return -1;
        if (flags < 0 || flags > T0_ADDED_FLAGS) {
            PyErr_Format(PyExc_ValueError, "added[%zd]: flags %d, must be 0 to %d", i, flags, T0_ADDED_FLAGS);
            return -1;
        }
        tokens[i] = (t0_added_token){.text = {(const uint8_t *)text, (size_t)size}, .id = id, .flags = (unsigned)flags};
    }
    return 0;
}

/* Builds self->tokenizer of what self holds; -1 with an exception. */
static int build_tokenizer(tokenizer_object *self, t0py_state *state, Py_ssize_t extra_ids) {
    const t0_bytes file = {(const uint8_t *)PyBytes_AS_STRING(self->model), (size_t)PyBytes_GET_SIZE(self->model)};
    const size_t n = (size_t)PyTuple_GET_SIZE(self->added);
    t0_added_token *tokens = PyMem_Calloc(n + 1, sizeof *tokens);
    if (!tokens) PyErr_NoMemory();
    t0_error err = {0};
    t0_status status = T0_OK;
    const bool viewed = tokens && view_added(self->added, tokens) == 0;
    if (viewed) {
        Py_BEGIN_ALLOW_THREADS
        status = t0_tokenizer_new(&self->tokenizer, file, (size_t)extra_ids, tokens, n, &err);
        Py_END_ALLOW_THREADS
    }
    PyMem_Free(tokens);
    if (viewed && status == T0_OK) return 0;
    if (viewed) t0py_raise(state, &err);
    return -1;
}

static PyObject *tokenizer_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"model_bytes", "extra_ids", "added", NULL};
    PyObject *model, *added = NULL;
    Py_ssize_t extra_ids = 100;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "S|nO!:Tokenizer", names, &model, &extra_ids, &PyTuple_Type, &added)) return NULL;
    if (extra_ids < 0) return PyErr_Format(PyExc_ValueError, "extra_ids %zd: at least 0", extra_ids);
    t0py_state *state = t0py_state_of_type(type);
    tokenizer_object *self = state ? (tokenizer_object *)type->tp_alloc(type, 0) : NULL;
    if (!self) return NULL;
    self->model = Py_NewRef(model);
    self->added = added ? Py_NewRef(added) : PyTuple_New(0);
    if (self->added && build_tokenizer(self, state, extra_ids) == 0) return (PyObject *)self;
    Py_DECREF(self);
    return NULL;
}

static void tokenizer_dealloc(PyObject *object) {
    tokenizer_object *self = (tokenizer_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    while (self->n_idle > 0) t0_encoder_free(&self->idle[--self->n_idle]);
    t0_tokenizer_free(self->tokenizer);
    Py_XDECREF(self->model);
    Py_XDECREF(self->added);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyMethodDef tokenizer_methods[] = {
    {"encode", T0PY_METHOD(tokenizer_encode), METH_VARARGS | METH_KEYWORDS, encode_doc},
    {"encode_arrays", T0PY_METHOD(tokenizer_encode_arrays), METH_VARARGS | METH_KEYWORDS, encode_arrays_doc},
    {"decode", T0PY_METHOD(tokenizer_decode), METH_VARARGS | METH_KEYWORDS, decode_doc},
    {"spans", T0PY_METHOD(tokenizer_spans), METH_VARARGS | METH_KEYWORDS, spans_doc},
    {"id_to_piece", tokenizer_id_to_piece, METH_O, id_to_piece_doc},
    {"kind_of", tokenizer_kind_of, METH_O, kind_of_doc},
    {"piece_to_id", tokenizer_piece_to_id, METH_O, piece_to_id_doc},
    {"sentinel", tokenizer_sentinel, METH_O, sentinel_doc},
    {0},
};

static PyGetSetDef tokenizer_attributes[] = {
    {"vocab_size", get_vocab_size, NULL, "Ids: pieces, sentinels, and up to the last added token.", NULL},
    {"n_pieces", get_n_pieces, NULL, "Pieces in the model file.", NULL},
    {"extra_ids", get_extra_ids, NULL, "Sentinels behind the pieces.", NULL},
    {"pad_id", get_pad_id, NULL, "Id of the padding piece, or None.", NULL},
    {"eos_id", get_eos_id, NULL, "Id of the end-of-sequence piece, or None.", NULL},
    {"unk_id", get_unk_id, NULL, "Id of the unknown piece, or None.", NULL},
    {"start_id", get_start_id, NULL, "Id that add_eos puts before a text, or None.", NULL},
    {"kind", get_kind, NULL, "'unigram', 'BPE', 'merges', 'byte-level BPE' or 'bytes'.", NULL},
    {"merges", get_merges, NULL, "Merges, three uint32 each: left, right and both.", NULL},
    {"model_bytes", get_model_bytes, NULL, "The model file's bytes.", NULL},
    {"added", get_added, NULL, "Added tokens as they were given: (text, id, flags).", NULL},
    {0},
};

PyDoc_STRVAR(tokenizer_doc,
             "Tokenizer(model_bytes, extra_ids=100, added=())\n--\n\nA tokenizer of a SentencePiece model; see t0native.Tokenizer.");

static PyType_Slot tokenizer_slots[] = {
    {Py_tp_new, tokenizer_new},           {Py_tp_dealloc, tokenizer_dealloc}, {Py_tp_methods, tokenizer_methods},
    {Py_tp_getset, tokenizer_attributes}, {Py_tp_doc, (void *)tokenizer_doc}, {0, NULL},
};

static PyType_Spec tokenizer_spec = {
    .name = "t0native._core.Tokenizer",
    .basicsize = sizeof(tokenizer_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = tokenizer_slots,
};

int t0py_text_exec(PyObject *module, t0py_state *state) {
    state->tokenizer_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &tokenizer_spec, NULL);
    if (!state->tokenizer_type) return -1;
    return PyModule_AddType(module, state->tokenizer_type);
}
