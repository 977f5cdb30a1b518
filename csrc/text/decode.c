/* Decoding, as the library does that the model was made with. SentencePiece (SentencePieceProcessor::Decode):
 *
 *     control piece, sentinel    nothing, or its name with `special`; so a special added token
 *     other added token          its text
 *     <unk>                      the model's unk_surface
 *     byte pieces                neighbours together are UTF-8; each malformed byte becomes U+FFFD
 *     any other piece            its text, U+2581 written as ' '
 *     at the beginning           one U+2581 of the first text is dropped (add_dummy_prefix), or one of each piece until
 *                                some text appears (remove_extra_whitespaces)
 * and then the denormaliser's rules, when the model has some.
 *
 * The hub's tokenizers leave out what is special first, <unk> too, and what was apart stands together then:
 *
 *     byte-level     the bytes of all letters (bytelevel.c) are UTF-8; whoever reads the text replaces what is malformed
 *     merges         U+2581 as ' '; byte pieces together are UTF-8 as a whole, or each U+FFFD; one ' ' in front goes (strip_first)
 *     bytes          the bytes are UTF-8; what is malformed is left out */
#include "text/bytelevel.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

#include <stdio.h>
#include <string.h>

typedef struct decoder {
    const t0_tokenizer *tok;
    t0_buffer *out;
    size_t begin;    /* where this text starts in out */
    bool at_start;   /* a leading U+2581 is still to be dropped */
    bool dropped;    /* the last piece lost one */
    bool special;
    t0_meter meter;
    t0_error *err;
} decoder;

static bool add_marked(t0_buffer *out, t0_bytes piece) {
    if (!t0_buffer_reserve(out, piece.size)) return false;
    for (size_t i = 0; i < piece.size;) {
        const bool mark = t0_is_space_mark(piece.data + i, piece.size - i);
        out->data[out->size++] = mark ? ' ' : piece.data[i];
        i += mark ? T0_SPACE_MARK_SIZE : 1;
    }
    return true;
}

static bool add_name(decoder *d, int32_t id) {
    const size_t n = d->tok->spiece.n_pieces, extra = d->tok->n_extra;
    char name[40];
    if (!d->special) return true;
    if ((size_t)id < n) return t0_buffer_add(d->out, d->tok->spiece.pieces[id].text, d->tok->spiece.pieces[id].size);
    if ((size_t)id < n + extra) snprintf(name, sizeof name, "<extra_id_%zu>", t0_tokenizer_sentinel_of(d->tok, id));
    else snprintf(name, sizeof name, "<id_%d>", id);
    return t0_buffer_add(d->out, name, strlen(name));
}

/* A text as pieces have it; the U+2581 that the dummy prefix brought is dropped. */
static bool add_text(decoder *d, t0_bytes text) {
    const t0_normal_spec *normal = &d->tok->spiece.normal;
    if (d->at_start && (normal->add_dummy_prefix || normal->remove_extra_whitespaces) && t0_is_space_mark(text.data, text.size)) {
        text.data += T0_SPACE_MARK_SIZE;
        text.size -= T0_SPACE_MARK_SIZE;
        d->dropped = !normal->remove_extra_whitespaces;
    }
    return add_marked(d->out, text);
}

static bool add_added(decoder *d, const t0_added_token *token) {
    const bool hidden = token->flags & (T0_ADDED_SPECIAL | T0_ADDED_CONTROL) && !d->special;
    return hidden || add_marked(d->out, token->shown);
}

static bool add_piece(decoder *d, int32_t id) {
    const t0_spiece *spiece = &d->tok->spiece;
    const t0_added_token *added = t0_added_by_id(&d->tok->added, id);
    if (d->dropped || d->out->size > d->begin) d->at_start = false;
    d->dropped = false;
    if (added) return add_added(d, added);
    if ((size_t)id >= spiece->n_pieces || spiece->pieces[id].type == T0_PIECE_CONTROL) return add_name(d, id);
    if (spiece->pieces[id].type == T0_PIECE_UNKNOWN) return t0_buffer_add(d->out, spiece->unk_surface.data, spiece->unk_surface.size);
    return add_text(d, (t0_bytes){spiece->pieces[id].text, spiece->pieces[id].size});
}

enum { CHARACTER_MAX = 4 }; /* bytes */

/* The characters of the byte pieces from ids[*at] on; a byte that belongs to none becomes U+FFFD. */
static t0_status add_bytes(decoder *d, const int32_t *ids, size_t n, size_t *at) {
    uint8_t window[CHARACTER_MAX]; /* what comes next: enough to tell what character begins there */
    size_t have = 0;
    for (;;) {
        int byte;
        while (have < CHARACTER_MAX && *at < n && (byte = t0_tokenizer_byte(d->tok, ids[*at])) >= 0) {
            window[have++] = (uint8_t)byte;
            ++*at;
        }
        if (have == 0) return T0_OK;
        const size_t length = t0_utf8_length(window, have), used = length ? length : 1;
        const bool fine = length ? t0_buffer_add(d->out, window, length) : t0_buffer_add(d->out, "\xEF\xBF\xBD", 3);
        if (!fine) return t0_fail_memory(d->err, 2 * d->out->size);
        have -= used;
        memmove(window, window + used, have);
        if (t0_meter_stops(&d->meter, used)) return t0_fail_stopped(d->err);
    }
}

static inline bool is_byte(const t0_tokenizer *tok, int32_t id) {
    return (size_t)id < tok->spiece.n_pieces && tok->spiece.pieces[id].type == T0_PIECE_BYTE;
}

static t0_status add_ids(decoder *d, const int32_t *ids, size_t n) {
    for (size_t i = 0; i < n;) {
        const size_t from = d->out->size;
        if (ids[i] < 0) return t0_fail(d->err, T0_EVALUE, "ids[%zu] is %d: an id is at least 0", i, ids[i]);
        if (is_byte(d->tok, ids[i])) T0_TRY(add_bytes(d, ids, n, &i));
        else if (!add_piece(d, ids[i++])) return t0_fail_memory(d->err, 2 * d->out->size);
        if (t0_meter_stops(&d->meter, 1 + d->out->size - from)) return t0_fail_stopped(d->err);
    }
    return T0_OK;
}

/* Whether the hub leaves this id out unless names are asked for. */
static bool is_special(const t0_tokenizer *tok, int32_t id) {
    const t0_added_token *added = t0_added_by_id(&tok->added, id);
    if (added) return (added->flags & (T0_ADDED_SPECIAL | T0_ADDED_CONTROL)) != 0;
    if ((size_t)id >= tok->spiece.n_pieces) return true;
    const t0_piece_type type = tok->spiece.pieces[id].type;
    return type == T0_PIECE_CONTROL || type == T0_PIECE_UNKNOWN;
}

static bool add_hub_token(decoder *d, int32_t id) {
    const t0_spiece *spiece = &d->tok->spiece;
    const t0_added_token *added = t0_added_by_id(&d->tok->added, id);
    if (!added && (size_t)id >= spiece->n_pieces) return add_name(d, id);
    const t0_bytes text = added ? added->text : (t0_bytes){spiece->pieces[id].text, spiece->pieces[id].size};
    if (spiece->kind == T0_MODEL_BYTE_LEVEL) return t0_add_letters_bytes(d->out, text);
    return spiece->kind == T0_MODEL_MERGES ? add_marked(d->out, text) : t0_buffer_add(d->out, text.data, text.size);
}

/* Ends the run of byte pieces that begins at *run of `out`, SIZE_MAX: none. */
static bool end_run(decoder *d, size_t *run) {
    const size_t begin = *run;
    *run = SIZE_MAX;
    if (begin == SIZE_MAX) return true;
    const size_t n = d->out->size - begin;
    if (t0_utf8_valid((t0_bytes){d->out->data + begin, n})) return true;
    d->out->size = begin;
    for (size_t i = 0; i < n; i++)
        if (!t0_buffer_add(d->out, "\xEF\xBF\xBD", 3)) return false;
    return true;
}

static t0_status add_hub_ids(decoder *d, const int32_t *ids, size_t n) {
    size_t run = SIZE_MAX;
    const bool merges = d->tok->spiece.kind == T0_MODEL_MERGES;
    for (size_t i = 0; i < n; i++) {
        const size_t from = d->out->size;
        if (ids[i] < 0) return t0_fail(d->err, T0_EVALUE, "ids[%zu] is %d: an id is at least 0", i, ids[i]);
        bool fine = true;
        const int byte = t0_tokenizer_byte(d->tok, ids[i]);
        if (byte >= 0) {
            const uint8_t one = (uint8_t)byte;
            if (merges && run == SIZE_MAX) run = from;
            fine = t0_buffer_add(d->out, &one, 1);
        } else if (d->special || !is_special(d->tok, ids[i])) fine = end_run(d, &run) && add_hub_token(d, ids[i]);
        if (!fine) return t0_fail_memory(d->err, 2 * d->out->size);
        if (t0_meter_stops(&d->meter, 1 + d->out->size - t0_size_min(from, d->out->size))) return t0_fail_stopped(d->err);
    }
    return end_run(d, &run) ? T0_OK : t0_fail_memory(d->err, 2 * d->out->size);
}

/* Leaves out of what was written the bytes of no character. */
static t0_status keep_well_formed(decoder *d) {
    uint8_t *text = d->out->data;
    size_t kept = d->begin;
    for (size_t at = d->begin; at < d->out->size;) {
        const size_t length = t0_utf8_length(text + at, d->out->size - at);
        memmove(text + kept, text + at, length);
        kept += length;
        at += length ? length : 1;
        if (t0_meter_stops(&d->meter, 1)) return t0_fail_stopped(d->err);
    }
    d->out->size = kept;
    return T0_OK;
}

static t0_status decode_hub(decoder *d, const int32_t *ids, size_t n) {
    T0_TRY(add_hub_ids(d, ids, n));
    if (d->tok->spiece.kind == T0_MODEL_BYTES) return keep_well_formed(d);
    if (d->tok->spiece.hub.strip_first && d->out->size > d->begin && d->out->data[d->begin] == ' ') {
        memmove(d->out->data + d->begin, d->out->data + d->begin + 1, d->out->size - d->begin - 1);
        d->out->size--;
    }
    return T0_OK;
}

static t0_status denormalize(decoder *d) {
    t0_buffer text = {0}, *out = d->out;
    const t0_bytes raw = {out->data ? out->data + d->begin : NULL, out->size - d->begin};
    t0_status status = t0_normalize(&d->tok->denormalizer, raw, &text, NULL, &d->meter, d->err);
    out->size = d->begin;
    if (status == T0_OK) status = t0_buffer_add_long(out, text.data, text.size, &d->meter, d->err);
    t0_buffer_free(&text);
    return status;
}

t0_status t0_tokenizer_decode(const t0_tokenizer *tok, const int32_t *ids, size_t n, bool special, t0_buffer *out, const t0_poll *poll,
                              t0_error *err) {
    decoder d = {.tok = tok, .out = out, .begin = out->size, .at_start = true, .special = special, .meter = {poll, 0}, .err = err};
    if (tok->spiece.kind > T0_MODEL_BPE) return decode_hub(&d, ids, n);
    T0_TRY(add_ids(&d, ids, n));
    return tok->denormalizer.map.units ? denormalize(&d) : T0_OK;
}
