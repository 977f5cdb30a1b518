/* Encoding by pairs: the text, normalised, is cut into words; each is made of symbols, which are joined (bpe.c), and gives its ids.
 *
 *     words     SentencePiece joins over the whole text. Where no piece holds a U+2581 behind another character, nothing is joined across
 *               such a place, and there it is cut: the same ids. The hub's tokenizers are cut as they say (t0_split), and with
 *               ignore_merges nowhere else: a part might be a piece that no merge makes.
 *     symbols   the longest user-defined symbol here, which is joined to nothing; else one character; of bytes one byte
 *
 * A word's ids depend on the word alone, so they are remembered (words.h), but for words with <unk>, which melts into its neighbours.
 *
 * SentencePiece may join to a piece that is unused, and takes it apart again at the end: into the halves of which it was last *offered*
 * anywhere in the text. Where a model has such pieces, the whole text is one word, and the halves are noted down. */
#include "text/bytelevel.h"
#include "text/pretokens.h"
#include "text/sink.h"

/* A word while it is encoded. */
typedef struct word {
    t0_sink *out;
    t0_bytes text; /* encoder->normal */
    size_t begin, end;
    t0_error *err;
} word;

static bool unused_rejoin(const t0_tokenizer *tok) { return tok->spiece.kind == T0_MODEL_BPE && tok->has_unused; }

static size_t end_of_word(const t0_tokenizer *tok, t0_bytes text, size_t begin) {
    const t0_split split = tok->spiece.hub.split;
    if (split == T0_SPLIT_WORDS) return t0_pretoken_end(text, begin);
    if (split == T0_SPLIT_NONE && (tok->spiece.kind == T0_MODEL_BYTE_LEVEL || tok->spiece.hub.ignore_merges)) return text.size;
    if (split == T0_SPLIT_NONE) return tok->bpe.words_apart && !unused_rejoin(tok) ? t0_word_end(text.data, begin, text.size) : text.size;
    const bool mark = t0_is_space_mark(text.data + begin, text.size - begin);
    const size_t at = begin + (mark ? T0_SPACE_MARK_SIZE : 1);
    for (size_t i = at; i < text.size; i++)
        if (t0_is_space_mark(text.data + i, text.size - i)) return i;
    return text.size;
}

static bool add_symbol(word *w, uint32_t id, size_t begin, size_t end, bool frozen) {
    const t0_symbol symbol = {.id = id, .begin = (uint32_t)begin, .size = (uint32_t)(end - begin), .frozen = frozen};
    return t0_buffer_add(&w->out->encoder->symbols, &symbol, sizeof symbol);
}

/* What stands for a character, or a byte, that is no symbol: bytes, <unk>, or nothing. */
static bool add_unknown(word *w, size_t begin, size_t end) {
    const t0_tokenizer *tok = w->out->encoder->tokenizer;
    if (tok->spiece.kind == T0_MODEL_BPE) return add_symbol(w, T0_NO_SYMBOL, begin, end, false);
    if (tok->spiece.byte_fallback) {
        for (size_t i = begin; i < end; i++)
            if (!add_symbol(w, (uint32_t)tok->byte_ids[w->text.data[i]], i, i + 1, false)) return false;
        return true;
    }
    return tok->spiece.hub.drop_unknown || tok->unk_id < 0 || add_symbol(w, (uint32_t)tok->unk_id, begin, end, false);
}

/* The symbol at `at`; *end: its end. */
static bool next_symbol(word *w, size_t at, size_t *end) {
    const t0_tokenizer *tok = w->out->encoder->tokenizer;
    const uint8_t *text = w->text.data + at;
    const size_t left = w->end - at;
    if (tok->spiece.kind == T0_MODEL_BYTE_LEVEL) {
        *end = at + 1;
        const uint32_t id = tok->bpe.bytes[*text];
        return id == T0_NO_SYMBOL ? add_unknown(w, at, *end) : add_symbol(w, id, at, *end, false);
    }
    size_t walked;
    const size_t user = tok->user.nodes ? t0_trie_longest(&tok->user, (t0_bytes){text, left}, &walked) : 0;
    if (user) {
        *end = at + user;
        return add_symbol(w, t0_trie_find(&tok->user, (t0_bytes){text, user}), at, *end, true);
    }
    const size_t size = t0_size_min(t0_utf8_promised(*text), left);
    *end = at + size;
    uint32_t id = T0_NO_SYMBOL;
    if (size == 1) id = tok->bpe.bytes[*text];
    else if ((id = t0_trie_find(&tok->bpe.characters, (t0_bytes){text, size})) == T0_TRIE_NONE) id = T0_NO_SYMBOL;
    return id == T0_NO_SYMBOL ? add_unknown(w, at, *end) : add_symbol(w, id, at, *end, false);
}

static t0_status make_symbols(word *w) {
    t0_encoder *e = w->out->encoder;
    e->symbols.size = 0;
    for (size_t at = w->begin; at < w->end;) {
        if (!next_symbol(w, at, &at)) return t0_fail_memory(w->err, 2 * e->symbols.size);
        if (t0_meter_stops(&e->meter, 8)) return t0_fail_stopped(w->err);
    }
    if (e->symbols.size / sizeof(t0_symbol) < INT32_MAX) return T0_OK;
    return t0_fail(w->err, T0_EVALUE, "a text of %zu symbols: at most %d; encode it in parts", e->symbols.size / sizeof(t0_symbol),
                   INT32_MAX - 1);
}

/* Room for as many entries as bytes in [begin, end), each of which may become a piece. */
static t0_status make_room(word *w) {
    t0_buffer *target = w->out->ids ? w->out->ids : w->out->spans;
    const size_t room = (w->end - w->begin) * (w->out->ids ? sizeof(int32_t) : sizeof(t0_span));
    return t0_buffer_reserve(target, room) ? T0_OK : t0_fail_memory(w->err, target->size + room);
}

/* The id of a symbol that is left. */
static void put_symbol(word *w, uint32_t id, size_t begin, size_t end) {
    const t0_tokenizer *tok = w->out->encoder->tokenizer;
    if (id >= tok->spiece.n_pieces) id = (uint32_t)tok->unk_id; /* of SentencePiece's alone, which has one */
    if (t0_has_merges(&tok->spiece) && !tok->spiece.hub.fuse_unknown) w->out->encoder->after_unk = false;
    t0_put(w->out, (int32_t)id, begin, end);
}

/* A symbol that may be unused: its halves, and theirs. */
static t0_status put_halves(word *w, const t0_symbol *symbol) {
    typedef struct part {
        uint32_t id, begin, end;
    } part;
    t0_encoder *e = w->out->encoder;
    const t0_spiece *spiece = &e->tokenizer->spiece;
    const t0_halves *halves = (const t0_halves *)e->halves.data;
    part next = {symbol->id, symbol->begin, symbol->begin + symbol->size};
    e->heap.size = 0; /* a stack of parts to come */
    for (;;) {
        const bool piece = next.id < spiece->n_pieces, whole = next.end - next.begin <= t0_utf8_promised(w->text.data[next.begin]);
        if (symbol->frozen || !piece || whole || spiece->pieces[next.id].type != T0_PIECE_UNUSED) {
            put_symbol(w, next.id, next.begin, next.end);
            if (e->heap.size == 0) return T0_OK;
            e->heap.size -= sizeof next;
            memcpy(&next, e->heap.data + e->heap.size, sizeof next);
        } else {
            const t0_halves cut = halves[next.id]; /* offered in this text, as every joined piece */
            const uint32_t size = cut.left < spiece->n_pieces ? spiece->pieces[cut.left].size
                                                              : (uint32_t)t0_utf8_promised(w->text.data[next.begin]);
            const part right = {cut.right, next.begin + size, next.end};
            assert(right.begin < right.end);
            if (!t0_buffer_add(&e->heap, &right, sizeof right)) return t0_fail_memory(w->err, 2 * e->heap.size);
            next = (part){cut.left, next.begin, right.begin};
        }
        if (t0_meter_stops(&e->meter, 4)) return t0_fail_stopped(w->err);
    }
}

/* The id of a word that is a piece as it stands, or -1. */
static t0_status whole_piece(word *w, int32_t *id) {
    t0_encoder *e = w->out->encoder;
    const t0_tokenizer *tok = e->tokenizer;
    t0_bytes text = {w->text.data + w->begin, w->end - w->begin};
    *id = -1;
    if (tok->spiece.kind == T0_MODEL_BYTE_LEVEL) {
        if (text.size > tok->model.longest) return T0_OK; /* a letter has a byte at least */
        e->heap.size = 0;
        for (size_t i = 0; i < text.size; i++) {
            uint8_t letter[2];
            const size_t size = t0_byte_letter(text.data[i], letter);
            if (!t0_buffer_add(&e->heap, letter, size)) return t0_fail_memory(w->err, 2 * e->heap.size);
        }
        text = (t0_bytes){e->heap.data, e->heap.size};
    }
    const uint32_t found = t0_trie_find(&tok->model.trie, text);
    if (found != T0_TRIE_NONE) *id = (int32_t)found;
    return T0_OK;
}

static t0_status encode_word(word *w) {
    t0_encoder *e = w->out->encoder;
    const t0_tokenizer *tok = e->tokenizer;
    T0_TRY(make_room(w));
    if (tok->spiece.hub.ignore_merges) {
        int32_t id;
        T0_TRY(whole_piece(w, &id));
        if (id >= 0) {
            put_symbol(w, (uint32_t)id, w->begin, w->end);
            return T0_OK;
        }
    }
    T0_TRY(make_symbols(w));
    const size_t n = e->symbols.size / sizeof(t0_symbol);
    t0_symbol *symbols = (t0_symbol *)e->symbols.data;
    t0_halves *halves = unused_rejoin(tok) ? (t0_halves *)e->halves.data : NULL;
    T0_TRY(t0_bpe_join(&tok->bpe, symbols, n, &e->heap, halves, &e->meter, w->err));
    for (int32_t i = n ? 0 : -1; i >= 0; i = symbols[i].next) {
        const t0_symbol *s = &symbols[i];
        if (halves) T0_TRY(put_halves(w, s));
        else put_symbol(w, s->id, s->begin, s->begin + s->size);
        if (t0_meter_stops(&e->meter, 2)) return t0_fail_stopped(w->err);
    }
    return T0_OK;
}

/* The key of a word, with its U+2581 apart, or of size 0 where it is too long for one. T0_WORD_MAX bytes can be read behind the text. */
static t0_word_key key_of(const word *w) {
    const uint8_t *text = w->text.data + w->begin;
    size_t size = w->end - w->begin;
    const bool marked = t0_is_space_mark(text, size);
    if (marked) {
        text += T0_SPACE_MARK_SIZE;
        size -= T0_SPACE_MARK_SIZE;
    }
    if (size > T0_WORD_MAX) return (t0_word_key){.size = 0};
    t0_word_key key = t0_word_key_of(text, size);
    if (marked) key.size += 2 * T0_WORD_MAX;
    return key;
}

/* Notes down that the word's ids are those from `before` on, where they fit and hold no <unk>. */
static void remember(const word *w, t0_word *set, const t0_word_key *key, size_t before) {
    const t0_encoder *e = w->out->encoder;
    const int32_t *ids = (const int32_t *)(w->out->ids->data + before);
    const size_t n = (w->out->ids->size - before) / sizeof *ids;
    if (n == 0 || n > T0_WORD_IDS) return;
    for (size_t i = 0; i < n; i++)
        if (ids[i] == e->tokenizer->unk_id) return;
    t0_word *slot = t0_word_slot(set);
    *slot = (t0_word){.size = (uint8_t)key->size, .n_ids = (uint8_t)n};
    memcpy(slot->text, key->text, sizeof slot->text);
    memcpy(slot->ids, ids, n * sizeof *ids);
}

/* A word that may be remembered. */
static t0_status encode_known(word *w) {
    t0_encoder *e = w->out->encoder;
    t0_buffer *ids = w->out->ids;
    const t0_word_key key = key_of(w);
    if (key.size == 0) return encode_word(w);
    t0_word *set = t0_word_set(&e->words, &key);
    const t0_word *known = t0_word_find(set, &key);
    if (!known) {
        const size_t before = ids->size;
        const bool after_unk = e->after_unk;
        T0_TRY(encode_word(w));
        if (!after_unk) remember(w, set, &key, before);
        return T0_OK;
    }
    if (ids->capacity - ids->size < sizeof known->ids && !t0_buffer_reserve(ids, sizeof known->ids))
        return t0_fail_memory(w->err, 2 * ids->size);
    memcpy(ids->data + ids->size, known->ids, sizeof known->ids);
    ids->size += known->n_ids * sizeof(int32_t);
    e->after_unk = false;
    return T0_OK;
}

static t0_status prepare(t0_encoder *e, bool remembers, t0_error *err) {
    const t0_tokenizer *tok = e->tokenizer;
    if (remembers && !t0_words_begin(&e->words, &tok->model, false)) return t0_fail_memory(err, T0_WORD_SLOTS * sizeof(t0_word));
    const size_t halves = unused_rejoin(tok) ? tok->spiece.n_pieces * sizeof(t0_halves) : 0;
    if (!t0_buffer_reserve(&e->halves, halves)) return t0_fail_memory(err, halves);
    if (!t0_buffer_reserve(&e->normal, T0_WORD_MAX)) return t0_fail_memory(err, e->normal.size * 2); /* keys read on */
    memset(e->normal.data + e->normal.size, 0, T0_WORD_MAX);
    return T0_OK;
}

t0_status t0_encode_pairs(t0_sink *out, t0_error *err) {
    t0_encoder *e = out->encoder;
    const t0_tokenizer *tok = e->tokenizer;
    const bool remembers = out->ids && !unused_rejoin(tok);
    T0_TRY(prepare(e, remembers, err));
    const t0_bytes text = {e->normal.data, e->normal.size};
    e->after_unk = false;
    for (size_t begin = 0; begin < text.size;) {
        word w = {out, text, begin, end_of_word(tok, text, begin), err};
        if (tok->spiece.hub.split != T0_SPLIT_NONE) e->after_unk = false;
        T0_TRY(remembers ? encode_known(&w) : encode_word(&w));
        if (t0_meter_stops(&e->meter, w.end - w.begin)) return t0_fail_stopped(err);
        begin = w.end;
    }
    return T0_OK;
}
