/* Cutting texts at added tokens and sentinels:
 *
 *     text    = part? (token part?)*                 tokens of the text as it is given
 *     part    = piece? (token piece?)*               tokens of the part after the rules of the character map: added.c
 *     piece   encoded as a text of its own, with a dummy prefix of its own, as the hub's legacy rule has it
 *
 * Without normalised tokens a part is encoded at once; else its piece has been through the rules, and spaces alone are left to do. */
#include "text/parts.h"

#include "text/utf8.h"

#include <assert.h>
#include <string.h>

enum { SEEK = 1 << 16 }; /* bytes between two polls where no token begins */

/* A walk along one form of a text. */
typedef struct walk {
    const t0_tokenizer *tok;
    const t0_added_set *set;
    t0_bytes text;
    bool sentinels;
    size_t at;   /* where to look on */
    size_t done; /* what lies before belongs to what was found */
    t0_meter *meter;
} walk;

typedef struct found {
    size_t begin, end; /* with the white space that it takes along */
    int32_t id;
} found;

/* The longest token at w->at: its bytes, or 0. *walked: bytes looked at. */
static size_t token_here(const walk *w, int32_t *id, unsigned *flags, size_t *walked) {
    const t0_bytes rest = {w->text.data + w->at, w->text.size - w->at};
    size_t size = 0;
    const t0_added_token *token = t0_added_longest(&w->tok->added, w->set, w->sentinels, rest, &size, walked);
    *flags = token ? token->flags : 0;
    if (token) *id = token->id;
    int32_t sentinel = -1;
    const bool named = w->sentinels && w->set == &w->tok->added.raw;
    const size_t longer = named ? t0_tokenizer_sentinel(w->tok, rest, &sentinel) : 0;
    if (longer <= size || t0_added_by_id(&w->tok->added, sentinel)) return size; /* a file says how that one is found */
    *id = sentinel;
    *flags = 0;
    return longer;
}

/* Moves w->at to the next byte that a token may begin with, or by SEEK: whether there is one. */
static bool seek(walk *w) {
    const size_t stop = w->text.size - w->at > SEEK ? w->at + SEEK : w->text.size;
    for (; w->at < stop; w->at++) {
        const uint8_t first = w->text.data[w->at];
        if (w->set->begins[first] || (w->sentinels && first == '<')) return true;
    }
    return false;
}

/* The next token: *any is false at the end of the text. It may begin in the white space that the last one took along. */
static t0_status next_token(walk *w, found *out, bool *any, t0_error *err) {
    *any = false;
    while (w->at < w->text.size) {
        unsigned flags = 0;
        size_t walked = 0;
        const size_t from = w->at;
        const bool may_begin = seek(w);
        const size_t begin = w->at, end = may_begin ? begin + token_here(w, &out->id, &flags, &walked) : begin;
        if (t0_meter_stops(w->meter, begin - from + 1 + walked)) return t0_fail_stopped(err);
        if (end == begin) {
            w->at += may_begin;
            continue;
        }
        w->at = end;
        if (flags & T0_ADDED_SINGLE_WORD && !t0_added_alone(w->text, begin, end)) continue;
        out->begin = flags & T0_ADDED_LSTRIP ? t0_added_space_before(w->text, w->done, begin) : begin;
        out->end = flags & T0_ADDED_RSTRIP ? t0_added_space_behind(w->text, end > w->done ? end : w->done) : end;
        *any = out->begin < out->end; /* else it is white space that the last one took along */
        if (*any) return T0_OK;
    }
    return T0_OK;
}

/* Where the ids of a text go. */
typedef struct sink {
    t0_encoder *encoder;
    bool sentinels;
    t0_buffer *ids, *spans, *normal; /* ids, or the other two */
    const t0_poll *poll;
    t0_error *err;
} sink;

/* Where bytes of a part lie in the text that was given. */
typedef struct origin {
    size_t begin;           /* of the part */
    const uint32_t *places; /* [bytes + 1] in the part, of what the rules made of it; NULL: as it is */
} origin;

static uint32_t place_of(const origin *from, size_t at) { return (uint32_t)(from->begin + (from->places ? from->places[at] : at)); }

static t0_status put_spans(sink *out, t0_bytes piece, size_t at, const origin *from) {
    const size_t first = out->spans->size / sizeof(t0_span), before = out->normal->size;
    t0_encoder *e = out->encoder;
    T0_TRY(t0_encode_spans(e, piece, out->spans, out->poll, out->err));
    if (e->normal.size > INT32_MAX - before)
        return t0_fail(out->err, T0_EVALUE, "a text of more than %d bytes after normalisation: encode it in parts", INT32_MAX);
    for (size_t i = first; i < out->spans->size / sizeof(t0_span); i++) {
        t0_span *span = (t0_span *)out->spans->data + i;
        span->begin += (uint32_t)before;
        span->end += (uint32_t)before;
        span->origin = place_of(from, at + span->origin);
        span->origin_end = place_of(from, at + span->origin_end);
        if (t0_meter_stops(&e->meter, 1)) return t0_fail_stopped(out->err);
    }
    return t0_buffer_add_long(out->normal, e->normal.data, e->normal.size, &e->meter, out->err);
}

/* text[begin, end) of what the walk goes along, between tokens. */
static t0_status put_piece(sink *out, t0_bytes text, size_t begin, size_t end, const origin *from) {
    const t0_bytes piece = {text.data + begin, end - begin};
    out->encoder->inside = from->begin + begin > 0;
    const t0_status status = out->ids ? t0_encode(out->encoder, piece, out->ids, out->poll, out->err) : put_spans(out, piece, begin, from);
    out->encoder->inside = false;
    return status;
}

static t0_status put_token(sink *out, t0_bytes text, const found *token, const origin *from) {
    bool fine;
    if (out->ids) fine = t0_buffer_add(out->ids, &token->id, sizeof token->id);
    else {
        const size_t begin = out->normal->size, size = token->end - token->begin;
        const t0_span span = {token->id, (uint32_t)begin, (uint32_t)(begin + size), place_of(from, token->begin),
                              place_of(from, token->end)};
        fine = t0_buffer_add(out->normal, text.data + token->begin, size) && t0_buffer_add(out->spans, &span, sizeof span);
    }
    return fine ? T0_OK : t0_fail_memory(out->err, 2 * (out->ids ? out->ids->size : out->spans->size));
}

/* A part whose rules are done: text is what they made of it. */
static t0_status put_normal(sink *out, t0_bytes text, const origin *from) {
    const t0_tokenizer *tok = out->encoder->tokenizer;
    assert(t0_utf8_valid(text)); /* as what the rules make of well-formed text is */
    walk w = {.tok = tok, .set = &tok->added.normal, .text = text, .sentinels = out->sentinels, .meter = &out->encoder->meter};
    found token;
    bool any;
    for (;;) {
        T0_TRY(next_token(&w, &token, &any, out->err));
        if (!any) break;
        if (token.begin > w.done) T0_TRY(put_piece(out, text, w.done, token.begin, from));
        T0_TRY(put_token(out, text, &token, from));
        w.done = token.end;
    }
    return w.done < text.size ? put_piece(out, text, w.done, text.size, from) : T0_OK;
}

/* text[begin, end) of the text as it was given, between its tokens. */
static t0_status put_part(sink *out, t0_bytes text, size_t begin, size_t end) {
    const t0_tokenizer *tok = out->encoder->tokenizer;
    origin from = {0, NULL};
    if (!tok->added.normal.trie.nodes) return put_piece(out, text, begin, end, &from);
    t0_buffer mapped = {0}, places = {0};
    const t0_bytes part = {text.data + begin, end - begin};
    t0_status status = t0_normalize(&tok->rules, part, &mapped, out->ids ? NULL : &places, &out->encoder->meter, out->err);
    from = (origin){begin, out->ids ? NULL : (const uint32_t *)places.data};
    out->encoder->normalizer = &tok->spaces;
    if (status == T0_OK) status = put_normal(out, (t0_bytes){mapped.data, mapped.size}, &from);
    out->encoder->normalizer = NULL;
    t0_buffer_free(&mapped);
    t0_buffer_free(&places);
    return status;
}

static t0_status put_text(sink *out, t0_bytes text) {
    if (text.size > T0_TEXT_MAX)
        return t0_fail(out->err, T0_EVALUE, "a text of %zu bytes: at most %d; encode it in parts", text.size, T0_TEXT_MAX);
    const t0_tokenizer *tok = out->encoder->tokenizer;
    const origin whole = {0, NULL};
    assert(t0_utf8_valid(text));
    walk w = {.tok = tok, .set = &tok->added.raw, .text = text, .sentinels = out->sentinels, .meter = &out->encoder->meter};
    found token;
    bool any;
    out->encoder->meter.poll = out->poll;
    for (;;) {
        T0_TRY(next_token(&w, &token, &any, out->err));
        if (!any) break;
        if (token.begin > w.done) T0_TRY(put_part(out, text, w.done, token.begin));
        T0_TRY(put_token(out, text, &token, &whole));
        w.done = token.end;
    }
    return w.done < text.size ? put_part(out, text, w.done, text.size) : T0_OK;
}

t0_status t0_encode_parts(t0_encoder *encoder, t0_bytes text, bool sentinels, t0_buffer *ids, const t0_poll *poll, t0_error *err) {
    const bool whole = encoder->tokenizer->added.n == 0 && !sentinels;
    if (whole) return t0_encode(encoder, text, ids, poll, err);
    sink out = {.encoder = encoder, .sentinels = sentinels, .ids = ids, .poll = poll, .err = err};
    return put_text(&out, text);
}

t0_status t0_encode_parts_spans(t0_encoder *encoder, t0_bytes text, bool sentinels, t0_buffer *spans, t0_buffer *normal,
                                const t0_poll *poll, t0_error *err) {
    sink out = {.encoder = encoder, .sentinels = sentinels, .spans = spans, .normal = normal, .poll = poll, .err = err};
    assert(normal->size == 0);
    return put_text(&out, text);
}
