/* Tables of a tokenizer: ids by text, special ids, byte pieces. */
#include "text/tokenizer.h"

#include "text/utf8.h"

#include <assert.h>
#include <string.h>

static bool is_reserved(const t0_piece *piece) {
    return piece->type == T0_PIECE_UNKNOWN || piece->type == T0_PIECE_CONTROL || piece->type == T0_PIECE_BYTE;
}

static int hex_value(uint8_t c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; }

/* "<0xE2>" -> 0xE2, else -1. */
static int byte_of_piece(const t0_piece *piece) {
    const uint8_t *t = piece->text;
    if (piece->size != 6 || memcmp(t, "<0x", 3) != 0 || t[5] != '>') return -1;
    const int high = hex_value(t[3]), low = hex_value(t[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static t0_status set_byte(t0_tokenizer *tok, size_t id, t0_error *err) {
    const t0_piece *piece = &tok->spiece.pieces[id];
    const int byte = byte_of_piece(piece);
    if (!tok->spiece.byte_fallback) return t0_fail(err, T0_EFORMAT, "piece %zu is a byte, but byte_fallback is off", id);
    if (byte < 0) return t0_fail(err, T0_EFORMAT, "piece %zu is a byte, but not named like <0x00>", id);
    tok->byte_ids[byte] = (int32_t)id;
    return T0_OK;
}

static t0_status find_special(t0_tokenizer *tok, t0_error *err) {
    tok->unk_id = -1;
    for (int i = 0; i < 256; i++) tok->byte_ids[i] = -1;
    for (size_t id = 0; id < tok->spiece.n_pieces; id++) {
        const t0_piece_type type = tok->spiece.pieces[id].type;
        if (type == T0_PIECE_BYTE) T0_TRY(set_byte(tok, id, err));
        tok->has_unused |= type == T0_PIECE_UNUSED;
        if (type != T0_PIECE_UNKNOWN) continue;
        if (tok->unk_id >= 0) return t0_fail(err, T0_EFORMAT, "pieces %d and %zu are both unknown", tok->unk_id, id);
        tok->unk_id = (int32_t)id;
    }
    if (tok->unk_id < 0 && !t0_has_merges(&tok->spiece)) return t0_fail(err, T0_EFORMAT, "no piece has the type unknown");
    for (int i = 0; i < 256 && tok->spiece.byte_fallback; i++)
        if (tok->byte_ids[i] < 0) return t0_fail(err, T0_EFORMAT, "byte_fallback is on, but the piece <0x%02X> is missing", (unsigned)i);
    return T0_OK;
}

/* Sorted keys of the pieces that `wanted` picks; *n of them. The caller frees. NULL when there is no memory. */
static t0_trie_key *sorted_keys(const t0_spiece *spiece, bool (*wanted)(const t0_piece *), size_t *n) {
    t0_trie_key *keys = t0_alloc(spiece->n_pieces * sizeof *keys);
    *n = 0;
    for (size_t i = 0; keys && i < spiece->n_pieces; i++) {
        const t0_piece *piece = &spiece->pieces[i];
        if (wanted(piece)) keys[(*n)++] = (t0_trie_key){piece->text, piece->size, (uint32_t)i};
    }
    if (keys) t0_trie_sort(keys, *n);
    return keys;
}

static t0_status index_reserved(t0_tokenizer *tok, t0_error *err) {
    t0_trie_key *keys = sorted_keys(&tok->spiece, is_reserved, &tok->n_reserved);
    if (!keys) return t0_fail_memory(err, tok->spiece.n_pieces * sizeof *keys);
    const t0_status status = t0_trie_check_distinct(keys, tok->n_reserved, err);
    tok->reserved = t0_alloc(tok->n_reserved * sizeof *tok->reserved);
    for (size_t i = 0; tok->reserved && i < tok->n_reserved; i++) tok->reserved[i] = keys[i].value;
    t0_free(keys);
    if (status != T0_OK) return status;
    return tok->reserved ? T0_OK : t0_fail_memory(err, tok->n_reserved * sizeof *tok->reserved);
}

static bool is_user(const t0_piece *piece) { return piece->type == T0_PIECE_USER; }

static t0_status index_user(t0_tokenizer *tok, t0_error *err) {
    size_t n;
    t0_trie_key *keys = sorted_keys(&tok->spiece, is_user, &n);
    if (!keys) return t0_fail_memory(err, tok->spiece.n_pieces * sizeof *keys);
    const t0_status status = t0_trie_build(&tok->user, keys, n, err);
    t0_free(keys);
    return status;
}

static int32_t control_id(const t0_tokenizer *tok, t0_bytes name) {
    const int32_t id = t0_tokenizer_id(tok, name);
    return id >= 0 && tok->spiece.pieces[id].type == T0_PIECE_CONTROL ? id : -1;
}

/* `normalizer` in two halves, for texts in which added tokens are looked for between the two. */
static t0_status split_normalizer(t0_tokenizer *tok, t0_error *err) {
    const t0_normal_spec *whole = &tok->spiece.normal;
    const t0_normal_spec rules = {.charsmap = whole->charsmap, .charsmap_offset = whole->charsmap_offset};
    t0_normal_spec spaces = *whole;
    spaces.charsmap = (t0_bytes){NULL, 0};
    T0_TRY(t0_normalizer_new(&tok->rules, &rules, false, &tok->user, err));
    return t0_normalizer_new(&tok->spaces, &spaces, tok->spiece.whitespace_suffix, &tok->user, err);
}

static t0_status add_tokens(t0_tokenizer *tok, const t0_added_token *added, size_t n, t0_error *err) {
    bool normalized = false;
    for (size_t i = 0; i < n; i++) normalized |= (added[i].flags & T0_ADDED_NORMALIZED) != 0;
    if (normalized) T0_TRY(split_normalizer(tok, err));
    return t0_added_new(&tok->added, added, n, &tok->rules, err);
}

/* What segments a text, by the model's kind. */
static t0_status build_model(t0_tokenizer *tok, t0_error *err) {
    const t0_model_kind kind = tok->spiece.kind;
    if (kind == T0_MODEL_BYTES) {
        if (!tok->spiece.byte_fallback) return t0_fail(err, T0_EFORMAT, "a model of bytes, but byte_fallback is off");
        return T0_OK;
    }
    T0_TRY(t0_unigram_new(&tok->model, &tok->spiece, (uint32_t)tok->unk_id, err));
    if (kind == T0_MODEL_UNIGRAM) return T0_OK;
    if (kind == T0_MODEL_BPE) return t0_bpe_of_scores(&tok->bpe, &tok->spiece, err);
    T0_TRY(t0_bpe_of_merges(&tok->bpe, &tok->spiece, err));
    t0_normal_spec bare = tok->spiece.normal;
    bare.add_dummy_prefix = false;
    return t0_normalizer_new(&tok->bare, &bare, tok->spiece.whitespace_suffix, &tok->user, err);
}

static t0_status find_start(t0_tokenizer *tok, t0_error *err) {
    const uint32_t start = tok->spiece.hub.start;
    tok->start_id = (int32_t)start - 1;
    if (start <= tok->spiece.n_pieces) return T0_OK;
    return t0_fail(err, T0_EFORMAT, "the id %d goes before a text, but there are %zu pieces", tok->start_id, tok->spiece.n_pieces);
}

static t0_status build(t0_tokenizer *tok, t0_bytes file, t0_error *err) {
    T0_TRY(t0_spiece_read(&tok->spiece, file, err));
    T0_TRY(find_special(tok, err));
    T0_TRY(find_start(tok, err));
    T0_TRY(index_reserved(tok, err));
    T0_TRY(index_user(tok, err));
    T0_TRY(build_model(tok, err));
    T0_TRY(t0_normalizer_new(&tok->normalizer, &tok->spiece.normal, tok->spiece.whitespace_suffix, &tok->user, err));
    static const t0_trie no_user = {0};
    T0_TRY(t0_normalizer_new(&tok->denormalizer, &tok->spiece.denormal, false, &no_user, err));
    tok->eos_id = control_id(tok, tok->spiece.eos_piece);
    tok->pad_id = control_id(tok, tok->spiece.pad_piece);
    return T0_OK;
}

t0_status t0_tokenizer_new(t0_tokenizer **out, t0_bytes file, size_t n_extra, const t0_added_token *added, size_t n_added, t0_error *err) {
    if (n_extra > T0_SPIECE_MAX_PIECES) return t0_fail(err, T0_EVALUE, "extra ids %zu: at most %d", n_extra, T0_SPIECE_MAX_PIECES);
    t0_tokenizer *tok = t0_alloc_zero(sizeof *tok);
    if (!tok) return t0_fail_memory(err, sizeof *tok);
    tok->n_extra = n_extra;
    t0_status status = build(tok, file, err);
    if (status == T0_OK) status = add_tokens(tok, added, n_added, err);
    if (status == T0_OK) *out = tok;
    else t0_tokenizer_free(tok);
    return status;
}

void t0_tokenizer_free(t0_tokenizer *tok) {
    if (!tok) return;
    t0_normalizer_free(&tok->normalizer);
    t0_normalizer_free(&tok->denormalizer);
    t0_normalizer_free(&tok->rules);
    t0_normalizer_free(&tok->spaces);
    t0_added_free(&tok->added);
    t0_normalizer_free(&tok->bare);
    t0_unigram_free(&tok->model);
    t0_bpe_free(&tok->bpe);
    t0_trie_free(&tok->user);
    t0_free(tok->reserved);
    t0_spiece_free(&tok->spiece);
    t0_free(tok);
}

static int compare_text(t0_bytes a, const t0_piece *b) {
    const size_t shared = a.size < b->size ? a.size : b->size;
    const int order = shared ? memcmp(a.data, b->text, shared) : 0;
    return order != 0 ? order : (a.size > b->size) - (a.size < b->size);
}

/* By halving: `reserved` is sorted and its texts are distinct (index_reserved). */
static int32_t reserved_id(const t0_tokenizer *tok, t0_bytes piece) {
    size_t low = 0, high = tok->n_reserved;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = compare_text(piece, &tok->spiece.pieces[tok->reserved[middle]]);
        if (order == 0) return (int32_t)tok->reserved[middle];
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return -1;
}

int t0_tokenizer_byte(const t0_tokenizer *tok, int32_t id) {
    if (id < 0 || (size_t)id >= tok->spiece.n_pieces || tok->spiece.pieces[id].type != T0_PIECE_BYTE) return -1;
    const int byte = byte_of_piece(&tok->spiece.pieces[id]);
    assert(byte >= 0 && tok->byte_ids[byte] == id); /* set_byte */
    return byte;
}

int32_t t0_tokenizer_id(const t0_tokenizer *tok, t0_bytes piece) {
    const int32_t id = reserved_id(tok, piece);
    if (id >= 0) return id;
    const uint32_t found = t0_trie_find(&tok->model.trie, piece);
    if (found != T0_TRIE_NONE) return (int32_t)found;
    for (size_t i = 0; i < tok->spiece.n_pieces && tok->has_unused; i++) { /* unused pieces are in no table */
        const t0_piece *p = &tok->spiece.pieces[i];
        if (p->type == T0_PIECE_UNUSED && compare_text(piece, p) == 0) return (int32_t)i;
    }
    for (size_t i = 0; i < tok->added.n; i++) {
        const t0_bytes text = tok->added.tokens[i].text;
        if (text.size == piece.size && memcmp(text.data, piece.data, text.size) == 0) return tok->added.tokens[i].id;
    }
    return -1;
}

int32_t t0_tokenizer_sentinel_id(const t0_tokenizer *tok, size_t k) {
    assert(k < tok->n_extra);
    return (int32_t)(tok->spiece.n_pieces + (tok->spiece.kind == T0_MODEL_BYTES ? k : tok->n_extra - 1 - k));
}

size_t t0_tokenizer_sentinel_of(const t0_tokenizer *tok, int32_t id) {
    const size_t place = (size_t)id - tok->spiece.n_pieces;
    assert(id >= 0 && place < tok->n_extra);
    return tok->spiece.kind == T0_MODEL_BYTES ? place : tok->n_extra - 1 - place;
}

size_t t0_tokenizer_sentinel(const t0_tokenizer *tok, t0_bytes text, int32_t *id) {
    static const char head[] = "<extra_id_";
    const size_t first = sizeof head - 1;
    if (text.size < first + 2 || memcmp(text.data, head, first) != 0) return 0;
    size_t k = 0, at = first;
    for (; at < text.size && text.data[at] >= '0' && text.data[at] <= '9' && k < tok->n_extra; at++)
        k = k * 10 + (size_t)(text.data[at] - '0');
    const bool leading_zero = text.data[first] == '0' && at > first + 1;
    if (at == first || at == text.size || text.data[at] != '>' || leading_zero || k >= tok->n_extra) return 0;
    *id = t0_tokenizer_sentinel_id(tok, k);
    return at + 1;
}
