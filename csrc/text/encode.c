/* Encoding: normalise, cut into words where no piece can reach across, search each, write the ids.
 *
 * Two ways, the same ids:
 *   whole text   normalise all of it, then cut before U+2581. Serves every model, and gives places.
 *   by words     where each word is normalised by itself (t0_normalizer.by_words) and no piece holds an inner U+2581:
 *                ASCII words between spaces are looked up in the cache as they stand (words.c); the rest is normalised
 *                from gap to gap. A text that holds U+2581 itself takes the first way.
 *
 * Cutting before U+2581 changes no id: with words_apart every path of the search passes through the cut, and the score
 * at the cut is carried on (see unigram.c). It keeps the search table in the cache and its size that of a word.
 *
 * As SentencePiece does: neighbouring <unk> melt into one; with byte_fallback each becomes the pieces of its bytes instead. */
#include "text/sink.h"

#include <math.h>

enum { POLL_BYTES = 1 << 16 }; /* between two polls along words that cost about the same a byte */

void t0_encoder_free(t0_encoder *encoder) {
    t0_buffer_free(&encoder->normal);
    t0_buffer_free(&encoder->offsets);
    t0_buffer_free(&encoder->best);
    t0_buffer_free(&encoder->symbols);
    t0_buffer_free(&encoder->heap);
    t0_buffer_free(&encoder->halves);
    t0_words_free(&encoder->words);
}

size_t t0_encoder_size(const t0_encoder *encoder) {
    return encoder->normal.capacity + encoder->offsets.capacity + encoder->best.capacity + encoder->symbols.capacity +
           encoder->heap.capacity + encoder->halves.capacity + (encoder->words.slots ? T0_WORD_SLOTS * sizeof(t0_word) : 0);
}

static const t0_normalizer *normalizer_of(const t0_encoder *e) { return e->normalizer ? e->normalizer : &e->tokenizer->normalizer; }

/* Turns the links from the end into links from the beginning, in place: best[s].start becomes the end of the piece at s.
 * False when the meter's poll asked to stop. */
static bool reverse_path(t0_best *best, size_t size, t0_meter *meter) {
    uint32_t end = (uint32_t)size, id = best[size].id, start = best[size].start;
    for (;;) {
        assert(start < end); /* every end is reached, character by character if need be */
        const t0_best before = best[start];
        best[start].start = end;
        best[start].id = id;
        if (start == 0) return true;
        if (t0_meter_stops(meter, 1)) return false;
        end = start;
        id = before.id;
        start = before.start;
    }
}

static t0_status encode_word(t0_sink *out, size_t begin, size_t end, float *score, t0_error *err) {
    t0_encoder *e = out->encoder;
    const size_t size = end - begin;
    e->best.size = 0;
    if (!t0_buffer_reserve(&e->best, (size + 1) * sizeof(t0_best))) return t0_fail_memory(err, (size + 1) * sizeof(t0_best));
    t0_buffer *target = out->ids ? out->ids : out->spans;
    const size_t room = size * (out->ids ? sizeof(int32_t) : sizeof(t0_span));
    if (!t0_buffer_reserve(target, room)) return t0_fail_memory(err, target->size + room);
    t0_best *best = (t0_best *)e->best.data;
    if (!t0_unigram_search(&e->tokenizer->model, (t0_bytes){e->normal.data + begin, size}, *score, best, &e->meter))
        return t0_fail_stopped(err);
    *score = best[size].score;
    if (!reverse_path(best, size, &e->meter)) return t0_fail_stopped(err);
    for (size_t at = 0; at < size; at = best[at].start) {
        t0_put(out, (int32_t)best[at].id, begin + at, begin + best[at].start);
        if (t0_meter_stops(&e->meter, 1)) return t0_fail_stopped(err);
    }
    return T0_OK;
}

static t0_status encode_normal(t0_sink *out, t0_error *err) {
    t0_encoder *e = out->encoder;
    const size_t size = e->normal.size;
    float score = 0.0f;
    e->after_unk = false;
    for (size_t begin = 0; begin < size;) {
        const size_t end = e->tokenizer->model.words_apart ? t0_word_end(e->normal.data, begin, size) : size;
        T0_TRY(encode_word(out, begin, end, &score, err));
        begin = end;
    }
    return T0_OK;
}

/* The score of all that was written: known up to ids[0, at), all of which are the cache's from there on. */
typedef struct tally {
    float score, bound; /* bound: nothing below the magnitude of the score of all ids */
    size_t at;          /* bytes */
} tally;

static void settle(tally *t, const t0_encoder *e, const t0_buffer *ids) {
    const float *scores = e->tokenizer->model.scores;
    const int32_t *id = (const int32_t *)ids->data;
    assert(t->at <= ids->size && t->at % sizeof *id == 0);
    for (size_t i = t->at / sizeof *id; i < ids->size / sizeof *id; i++) t->score += scores[id[i]];
    t->at = ids->size;
    t->bound = fabsf(t->score);
}

/* encode_word, where the words before may have come from the cache. */
static t0_status encode_counted(t0_sink *out, size_t begin, size_t end, tally *t, t0_error *err) {
    settle(t, out->encoder, out->ids);
    T0_TRY(encode_word(out, begin, end, &t->score, err));
    t->at = out->ids->size;
    t->bound = fabsf(t->score);
    return T0_OK;
}

/* A word that waits for its slot of the cache, which is being fetched. */
typedef struct waiting {
    t0_word_key key;
    t0_word *set;
    size_t begin, end; /* in the text, or in encoder->normal with the mark in front */
} waiting;

enum { AHEAD = 16, BLOCK = 64 };

/* T0_WORD_MAX bytes can be read at `text`, the word's first one. */
static inline waiting wait_for(const t0_encoder *e, const uint8_t *text, size_t begin, size_t end) {
    waiting w = {.key = t0_word_key_of(text, end - begin), .begin = begin, .end = end};
    w.set = t0_word_set(&e->words, &w.key);
    __builtin_prefetch(w.set);
    return w;
}

/* A remembered word that holds <unk>: neighbouring ones melt into one id, so its score is counted at once. */
static void put_unknown(t0_encoder *e, t0_buffer *ids, const t0_word *word, tally *t) {
    t0_sink out = {e, ids, NULL};
    settle(t, e, ids);
    for (size_t i = 0; i < word->n_ids; i++) {
        t0_put(&out, word->ids[i], 0, 0);
        t->score += e->tokenizer->model.scores[word->ids[i]];
    }
    t->at = ids->size;
    t->bound = fabsf(t->score);
}

/* The ids of U+2581 + word by the cache: whether it could. There is room for T0_WORD_IDS. */
static inline bool put_known(t0_encoder *e, t0_buffer *ids, const waiting *w, tally *t) {
    const t0_word *word = t0_word_find(w->set, &w->key);
    if (!word) word = t0_word_learn(&e->words, &e->tokenizer->model, &w->key, w->set);
    if (t->bound > word->limit) {
        settle(t, e, ids);
        if (t->bound > word->limit) return false;
    }
    if (word->most == 0) {
        put_unknown(e, ids, word, t);
        return true;
    }
    assert(ids->capacity - ids->size >= sizeof word->ids);
    memcpy(ids->data + ids->size, word->ids, sizeof word->ids);
    ids->size += word->n_ids * sizeof(int32_t);
    t->bound += word->most;
    e->after_unk = false;
    return true;
}

static inline bool room_for_word(t0_buffer *ids) {
    const size_t size = T0_WORD_IDS * sizeof(int32_t);
    return ids->capacity - ids->size >= size || t0_buffer_reserve(ids, size);
}

/* The words of encoder->normal, each with its mark in front. */
static t0_status encode_marked(t0_sink *out, tally *t, t0_error *err) {
    t0_encoder *e = out->encoder;
    if (!t0_buffer_reserve(&e->normal, T0_WORD_MAX)) return t0_fail_memory(err, e->normal.size * 2); /* keys read on */
    memset(e->normal.data + e->normal.size, 0, T0_WORD_MAX);
    const t0_bytes normal = {e->normal.data, e->normal.size};
    for (size_t begin = 0; begin < normal.size;) {
        const size_t end = t0_word_end(normal.data, begin, normal.size);
        assert(t0_is_space_mark(normal.data + begin, end - begin));
        bool known = false;
        if (end - begin <= T0_SPACE_MARK_SIZE + T0_WORD_MAX) {
            if (!room_for_word(out->ids)) return t0_fail_memory(err, out->ids->size * 2);
            const waiting w = wait_for(e, normal.data + begin + T0_SPACE_MARK_SIZE, begin + T0_SPACE_MARK_SIZE, end);
            known = put_known(e, out->ids, &w, t);
        }
        if (!known) T0_TRY(encode_counted(out, begin, end, t, err));
        if (t0_meter_stops(&e->meter, end - begin)) return t0_fail_stopped(err);
        begin = end;
    }
    return T0_OK;
}

/* An ASCII word that the cache cannot serve. */
static t0_status encode_plain(t0_sink *out, t0_bytes text, size_t begin, size_t end, tally *t, t0_error *err) {
    t0_buffer *normal = &out->encoder->normal;
    normal->size = 0;
    if (!t0_buffer_add(normal, T0_SPACE_MARK, T0_SPACE_MARK_SIZE)) return t0_fail_memory(err, T0_SPACE_MARK_SIZE);
    T0_TRY(t0_buffer_add_long(normal, text.data + begin, end - begin, &out->encoder->meter, err));
    return encode_counted(out, 0, normal->size, t, err);
}

/* A walk along a text, word by word; the last few ASCII words wait in `queue`. */
typedef struct walk {
    t0_sink out;
    t0_bytes text;
    size_t tail_at;             /* text[tail_at ..] is repeated in tail, followed by zeros: so reads may go past the end */
    uint8_t tail[2 * T0_WORD_MAX];
    size_t block;               /* bit i of plain: text[block + i] is a plain byte; unset beyond the end */
    uint64_t plain;
    tally tally;
    size_t n;
    waiting queue[AHEAD];
} walk;

static void walk_begin(walk *w, t0_sink out, t0_bytes text) {
    const size_t copied = text.size < T0_WORD_MAX ? text.size : T0_WORD_MAX;
    w->out = out;
    w->text = text;
    w->tail_at = text.size - copied;
    memset(w->tail, 0, sizeof w->tail);
    if (copied) memcpy(w->tail, text.data + w->tail_at, copied);
    w->block = SIZE_MAX / 2; /* none yet: no place of a text lies in it */
    w->plain = 0;
    w->tally = (tally){.at = out.ids->size};
    w->n = 0;
}

/* Where T0_WORD_MAX bytes from text[at] on can be read, at <= text.size. */
static inline const uint8_t *peek(const walk *w, size_t at) {
    assert(at <= w->text.size);
    return at < w->tail_at ? w->text.data + at : w->tail + (at - w->tail_at);
}

/* Which of eight bytes are '!' to '~', as bits; exact, for no sum below leaves its byte. */
static inline uint64_t plain_of_eight(const uint8_t *bytes) {
    const uint64_t ones = 0x0101010101010101u;
    uint64_t x;
    memcpy(&x, bytes, sizeof x);
    const uint64_t low = x & 0x7F * ones;
    const uint64_t plain = (low + 0x5F * ones) & ~(low + ones) & ~x & 0x80 * ones;
    return (plain >> 7) * 0x0102040810204080u >> 56;
}

static inline bool by_eights(const t0_normalizer *nm) { return nm->common_kinds && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__; }

/* Sets block = at, and plain. */
static void see_block(walk *w, const t0_normalizer *nm, size_t at) {
    assert(at < w->text.size);
    const size_t left = w->text.size - at;
    const uint8_t *bytes = w->text.data + at;
    uint8_t end[BLOCK] = {0};
    if (left < BLOCK) bytes = memcpy(end, bytes, left);
    w->block = at;
    w->plain = 0;
    for (size_t i = 0; i < BLOCK && by_eights(nm); i += 8) w->plain |= plain_of_eight(bytes + i) << i;
    for (size_t i = 0; i < BLOCK && !by_eights(nm) && i < left; i++) w->plain |= (uint64_t)(nm->kind[bytes[i]] == T0_BYTE_PLAIN) << i;
}

/* The end of the run of plain bytes that begins at `at`, below text.size. */
static inline size_t plain_end(walk *w, const t0_normalizer *nm, size_t at) {
    for (;;) {
        const size_t seen = at - w->block;
        if (seen < BLOCK) {
            const uint64_t ends = ~(w->plain >> seen); /* never 0 but for a block of plain bytes alone */
            const size_t run = ends ? (size_t)__builtin_ctzll(ends) : BLOCK;
            if (seen + run < BLOCK) return at + run;
            if (seen == 0) at += BLOCK;
        }
        if (at >= w->text.size) return w->text.size;
        see_block(w, nm, at);
    }
}

static t0_status flush(walk *w, t0_error *err) {
    const size_t n = w->n;
    w->n = 0;
    for (size_t i = 0; i < n; i++) {
        const waiting *word = &w->queue[i];
        if (!room_for_word(w->out.ids)) return t0_fail_memory(err, w->out.ids->size * 2);
        if (!put_known(w->out.encoder, w->out.ids, word, &w->tally))
            T0_TRY(encode_plain(&w->out, w->text, word->begin, word->end, &w->tally, err));
    }
    return T0_OK;
}

static bool has_mark(const uint8_t *text, size_t size) {
    for (size_t i = 0; i + T0_SPACE_MARK_SIZE <= size; i++)
        if (t0_is_space_mark(text + i, size - i)) return true;
    return false;
}

/* From *at to the next gap, by the rules. *whole: the text holds a U+2581, nothing is to be taken from here. */
static t0_status encode_by_rules(walk *w, size_t *at, bool *whole, t0_error *err) {
    t0_encoder *e = w->out.encoder;
    const size_t begin = *at;
    T0_TRY(flush(w, err));
    T0_TRY(t0_normalize_words(normalizer_of(e), w->text, at, &e->normal, &e->meter, err));
    *whole = has_mark(w->text.data + begin, *at - begin);
    return *whole ? T0_OK : encode_marked(&w->out, &w->tally, err);
}

static t0_status encode_by_words(walk *w, bool *whole, t0_error *err) {
    const t0_bytes text = w->text;
    const t0_normalizer *nm = normalizer_of(w->out.encoder);
    size_t next_poll = 0;
    for (size_t at = 0; at < text.size && !*whole;) {
        if (at >= next_poll) {
            if (t0_poll_stops(w->out.encoder->meter.poll)) return t0_fail_stopped(err);
            next_poll = at + POLL_BYTES;
        }
        if (t0_is_gap(nm, text, at)) {
            at++;
            continue;
        }
        size_t end = plain_end(w, nm, at);
        const bool plain = end > at && (end == text.size || t0_is_gap(nm, text, end));
        if (plain && end - at <= T0_WORD_MAX) {
            w->queue[w->n++] = wait_for(w->out.encoder, peek(w, at), at, end);
            if (w->n == AHEAD) T0_TRY(flush(w, err));
        } else if (plain) {
            T0_TRY(flush(w, err));
            T0_TRY(encode_plain(&w->out, text, at, end, &w->tally, err));
        } else {
            end = at;
            T0_TRY(encode_by_rules(w, &end, whole, err));
        }
        at = end;
    }
    return flush(w, err);
}

static t0_status check_size(t0_bytes text, t0_error *err) {
    if (text.size <= T0_TEXT_MAX) return T0_OK;
    return t0_fail(err, T0_EVALUE, "a text of %zu bytes: at most %d; encode it in parts", text.size, T0_TEXT_MAX);
}

static t0_status check_normal(const t0_encoder *e, t0_error *err) {
    if (e->normal.size < INT32_MAX) return T0_OK;
    return t0_fail(err, T0_EVALUE, "a text of %zu bytes after normalisation: at most %d; encode it in parts", e->normal.size,
                   INT32_MAX - 1);
}

/* Whether a text of the hub's gets no dummy prefix. */
static bool goes_bare(const t0_encoder *e, t0_bytes text) {
    const t0_hub_spec *hub = &e->tokenizer->spiece.hub;
    if (hub->prefix_first && e->inside) return true;
    return hub->prefix_once && text.size && (text.data[0] == ' ' || t0_is_space_mark(text.data, text.size));
}

/* encoder->normal, where pieces are made of bytes: the text itself. */
static t0_status take_bytes(t0_encoder *e, t0_bytes text, t0_buffer *offsets, t0_error *err) {
    const bool prefix = e->tokenizer->spiece.normal.add_dummy_prefix && text.size && text.data[0] != ' ';
    e->normal.size = 0;
    if (prefix && !t0_buffer_add(&e->normal, " ", 1)) return t0_fail_memory(err, 1);
    T0_TRY(t0_buffer_add_long(&e->normal, text.data, text.size, &e->meter, err));
    if (!offsets) return T0_OK;
    offsets->size = 0;
    for (size_t i = 0; i <= e->normal.size; i++) {
        const uint32_t place = (uint32_t)(prefix && i ? i - 1 : i);
        if (!t0_buffer_add(offsets, &place, sizeof place)) return t0_fail_memory(err, 2 * offsets->size);
        if (t0_meter_stops(&e->meter, 1)) return t0_fail_stopped(err);
    }
    return T0_OK;
}

/* Makes encoder->normal, and with `offsets` the places that it comes from. */
static t0_status normalize(t0_encoder *e, t0_bytes text, t0_buffer *offsets, t0_error *err) {
    const t0_model_kind kind = e->tokenizer->spiece.kind;
    if (kind == T0_MODEL_BYTE_LEVEL || kind == T0_MODEL_BYTES) T0_TRY(take_bytes(e, text, offsets, err));
    else {
        const bool bare = kind == T0_MODEL_MERGES && goes_bare(e, text);
        T0_TRY(t0_normalize(bare ? &e->tokenizer->bare : normalizer_of(e), text, &e->normal, offsets, &e->meter, err));
    }
    return check_normal(e, err);
}

/* Each byte is an id. */
static t0_status encode_bytes(t0_sink *out, t0_error *err) {
    t0_encoder *e = out->encoder;
    t0_buffer *target = out->ids ? out->ids : out->spans;
    const size_t size = e->normal.size, room = size * (out->ids ? sizeof(int32_t) : sizeof(t0_span));
    if (!t0_buffer_reserve(target, room)) return t0_fail_memory(err, target->size + room);
    for (size_t begin = 0; begin < size; begin += POLL_BYTES) {
        t0_put_bytes(out, begin, t0_size_min(size, begin + POLL_BYTES));
        if (t0_meter_stops(&e->meter, POLL_BYTES)) return t0_fail_stopped(err);
    }
    return T0_OK;
}

static t0_status encode_normalized(t0_sink *out, t0_error *err) {
    switch (out->encoder->tokenizer->spiece.kind) {
    case T0_MODEL_UNIGRAM: return encode_normal(out, err);
    case T0_MODEL_BYTES: return encode_bytes(out, err);
    default: return t0_encode_pairs(out, err);
    }
}

/* Word by word, where each can be normalised by itself. *whole: it could not, and nothing was written. */
static t0_status encode_apart(t0_sink *out, t0_bytes text, bool *whole, t0_error *err) {
    t0_encoder *e = out->encoder;
    const t0_tokenizer *tok = e->tokenizer;
    const size_t before = out->ids->size;
    *whole = !normalizer_of(e)->by_words || !tok->model.marks_lead || tok->spiece.kind != T0_MODEL_UNIGRAM;
    if (*whole) return T0_OK;
    if (!t0_words_begin(&e->words, &tok->model, !tok->spiece.byte_fallback)) return t0_fail_memory(err, T0_WORD_SLOTS * sizeof(t0_word));
    e->after_unk = false;
    walk w;
    walk_begin(&w, *out, text);
    T0_TRY(encode_by_words(&w, whole, err));
    if (*whole) out->ids->size = before;
    return T0_OK;
}

t0_status t0_encode(t0_encoder *e, t0_bytes text, t0_buffer *ids, const t0_poll *poll, t0_error *err) {
    t0_sink out = {e, ids, NULL};
    bool whole = false;
    e->meter.poll = poll;
    T0_TRY(check_size(text, err));
    T0_TRY(encode_apart(&out, text, &whole, err));
    if (!whole) return T0_OK;
    T0_TRY(normalize(e, text, NULL, err));
    return encode_normalized(&out, err);
}

t0_status t0_encode_spans(t0_encoder *e, t0_bytes text, t0_buffer *spans, const t0_poll *poll, t0_error *err) {
    e->meter.poll = poll;
    T0_TRY(check_size(text, err));
    T0_TRY(normalize(e, text, &e->offsets, err));
    const size_t first = spans->size / sizeof(t0_span);
    t0_sink out = {e, NULL, spans};
    T0_TRY(encode_normalized(&out, err));
    const uint32_t *place = (const uint32_t *)e->offsets.data;
    t0_span *span = (t0_span *)spans->data;
    for (size_t i = first; i < spans->size / sizeof(t0_span); i++) {
        span[i].origin = place[span[i].begin];
        span[i].origin_end = place[span[i].end];
        if (t0_meter_stops(&e->meter, 1)) return t0_fail_stopped(err);
    }
    return T0_OK;
}
