/* The pairs of a SentencePiece BPE model. Its file has no merges: SentencePiece joins two neighbours where their texts together are a
 * piece, the best score first, of equals the leftmost. A side of a pair is a piece, or one character of the text, piece or not. So
 *
 *     for each piece of two characters or more:    at each cut of which both sides are symbols: a pair, ranked by the piece's score
 *
 * All prefixes of a piece that are pieces lie on its path in a trie, all suffixes on its path in a trie of the pieces read backwards: the
 * time is linear in the bytes of all pieces. */
#include "text/bpe.h"

#include "text/utf8.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PAIRS_MAX = 1 << 22 }; /* 64 MB of them, and 128 MB of their table; Gemma's 256,000 pieces have 580,000 */

typedef struct scored {
    float score;
    uint32_t id;
} scored;

typedef struct builder {
    const t0_spiece *spiece;
    t0_bpe *out;
    t0_trie forward, backward;
    t0_buffer reversed; /* the texts of all pieces, each backwards */
    uint32_t *ranks;    /* [n_pieces] */
    uint32_t *suffixes; /* [longest + 1] the symbol from each place of a piece to its end */
    t0_trie_key *keys;  /* [3 n_pieces] */
    t0_buffer pairs;    /* t0_pair */
    t0_error *err;
} builder;

static bool is_symbol(const t0_piece *piece) {
    return piece->type == T0_PIECE_NORMAL || piece->type == T0_PIECE_USER || piece->type == T0_PIECE_UNUSED;
}

static size_t first_character(const t0_piece *piece) { return t0_size_min(t0_utf8_promised(piece->text[0]), piece->size); }

static size_t last_character(const t0_piece *piece) {
    size_t n = 1;
    while (n < piece->size && (piece->text[piece->size - n] & 0xC0) == 0x80) n++;
    return n;
}

static int by_score(const void *a, const void *b) {
    const scored *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

/* Equal scores have one rank: then the leftmost pair goes first. */
static t0_status rank_pieces(builder *b) {
    const size_t n = b->spiece->n_pieces;
    scored *order = t0_alloc(n * sizeof *order);
    if (!order) return t0_fail_memory(b->err, n * sizeof *order);
    for (size_t i = 0; i < n; i++) order[i] = (scored){b->spiece->pieces[i].score, (uint32_t)i};
    qsort(order, n, sizeof *order, by_score);
    uint32_t rank = 0;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && order[i].score != order[i - 1].score) rank++;
        b->ranks[order[i].id] = rank;
    }
    t0_free(order);
    return T0_OK;
}

static t0_status build_forward(builder *b) {
    size_t n = 0;
    for (size_t i = 0; i < b->spiece->n_pieces; i++) {
        const t0_piece *piece = &b->spiece->pieces[i];
        if (is_symbol(piece)) b->keys[n++] = (t0_trie_key){piece->text, piece->size, (uint32_t)i};
    }
    t0_trie_sort(b->keys, n);
    return t0_trie_build(&b->forward, b->keys, n, b->err);
}

static t0_status build_backward(builder *b) {
    size_t total = 0, n = 0;
    for (size_t i = 0; i < b->spiece->n_pieces; i++) total += b->spiece->pieces[i].size;
    if (!t0_buffer_reserve(&b->reversed, total)) return t0_fail_memory(b->err, total);
    for (size_t i = 0; i < b->spiece->n_pieces; i++) {
        const t0_piece *piece = &b->spiece->pieces[i];
        if (!is_symbol(piece)) continue;
        uint8_t *text = b->reversed.data + b->reversed.size;
        for (size_t k = 0; k < piece->size; k++) text[k] = piece->text[piece->size - 1 - k];
        b->reversed.size += piece->size;
        b->keys[n++] = (t0_trie_key){text, piece->size, (uint32_t)i};
    }
    t0_trie_sort(b->keys, n);
    return t0_trie_build(&b->backward, b->keys, n, b->err);
}

/* Symbols for the pieces of one character, and for characters that are none but lie at an end of one. */
static t0_status name_characters(builder *b) {
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < b->spiece->n_pieces; i++) {
        const t0_piece *piece = &b->spiece->pieces[i];
        if (!is_symbol(piece)) continue;
        const size_t last = last_character(piece);
        b->keys[n++] = (t0_trie_key){piece->text, (uint32_t)first_character(piece), 0};
        b->keys[n++] = (t0_trie_key){piece->text + piece->size - last, (uint32_t)last, 0};
    }
    t0_trie_sort(b->keys, n);
    uint32_t next = (uint32_t)b->spiece->n_pieces;
    for (size_t i = 0; i < n; i++) {
        t0_trie_key *key = &b->keys[i];
        if (kept && b->keys[kept - 1].size == key->size && memcmp(b->keys[kept - 1].text, key->text, key->size) == 0) continue;
        const uint32_t piece = t0_trie_find(&b->forward, (t0_bytes){key->text, key->size});
        key->value = piece == T0_TRIE_NONE ? next++ : piece;
        b->keys[kept++] = *key;
    }
    if (next >= T0_TRIE_NONE) return t0_fail(b->err, T0_EFORMAT, "%u pieces and characters, at most %d", next, T0_TRIE_NONE - 1);
    return t0_bpe_characters(b->out, b->keys, kept, b->err);
}

static uint32_t character_symbol(const builder *b, const uint8_t *text, size_t size) {
    const uint32_t found = t0_trie_find(&b->out->characters, (t0_bytes){text, size});
    assert(found != T0_TRIE_NONE); /* name_characters */
    return found;
}

/* suffixes of the piece, from the trie of pieces read backwards. */
static void find_suffixes(builder *b, const t0_piece *piece) {
    const t0_trie_node *nodes = b->backward.nodes;
    uint32_t node = 0;
    size_t depth = 0;
    for (; depth < piece->size && t0_trie_step(nodes, &node, piece->text[piece->size - 1 - depth]); depth++) {
        const uint32_t id = t0_trie_value(nodes, node);
        b->suffixes[piece->size - 1 - depth] = id == T0_TRIE_NONE ? T0_NO_SYMBOL : id;
    }
    for (; depth < piece->size; depth++) b->suffixes[piece->size - 1 - depth] = T0_NO_SYMBOL;
    const size_t last = last_character(piece);
    b->suffixes[piece->size - last] = character_symbol(b, piece->text + piece->size - last, last);
}

static t0_status add_pairs(builder *b, uint32_t id) {
    const t0_piece *piece = &b->spiece->pieces[id];
    const t0_trie_node *nodes = b->forward.nodes;
    const size_t first = first_character(piece);
    uint32_t node = 0;
    if (!is_symbol(piece) || first == piece->size) return T0_OK;
    find_suffixes(b, piece);
    for (size_t i = 0; i + 1 < piece->size && t0_trie_step(nodes, &node, piece->text[i]); i++) {
        const uint32_t value = t0_trie_value(nodes, node), right = b->suffixes[i + 1];
        const uint32_t left = i + 1 == first ? character_symbol(b, piece->text, first) : value == T0_TRIE_NONE ? T0_NO_SYMBOL : value;
        if (left == T0_NO_SYMBOL || right == T0_NO_SYMBOL) continue;
        const t0_pair pair = {(uint64_t)left << 32 | right, b->ranks[id], id};
        if (b->pairs.size / sizeof pair == PAIRS_MAX) return t0_fail(b->err, T0_EFORMAT, "pieces that make more than %d pairs", PAIRS_MAX);
        if (!t0_buffer_add(&b->pairs, &pair, sizeof pair)) return t0_fail_memory(b->err, 2 * b->pairs.size);
    }
    return T0_OK;
}

static t0_status build(builder *b) {
    size_t longest = 0;
    b->out->words_apart = true;
    for (size_t i = 0; i < b->spiece->n_pieces; i++) {
        const t0_piece *piece = &b->spiece->pieces[i];
        longest = t0_size_max(longest, piece->size);
        if (is_symbol(piece)) b->out->words_apart &= !t0_crosses_words(piece);
    }
    const size_t n = b->spiece->n_pieces;
    b->ranks = t0_alloc(n * sizeof *b->ranks);
    b->suffixes = t0_alloc((longest + 1) * sizeof *b->suffixes);
    b->keys = t0_alloc(2 * n * sizeof *b->keys);
    if (!b->ranks || !b->suffixes || !b->keys) return t0_fail_memory(b->err, 2 * n * sizeof *b->keys);
    T0_TRY(rank_pieces(b));
    T0_TRY(build_forward(b));
    T0_TRY(build_backward(b));
    T0_TRY(name_characters(b));
    for (size_t i = 0; i < n; i++) T0_TRY(add_pairs(b, (uint32_t)i));
    return t0_bpe_table(b->out, (const t0_pair *)b->pairs.data, b->pairs.size / sizeof(t0_pair), b->err);
}

t0_status t0_bpe_of_scores(t0_bpe *out, const t0_spiece *spiece, t0_error *err) {
    *out = (t0_bpe){.n_pieces = spiece->n_pieces};
    builder b = {.spiece = spiece, .out = out, .err = err};
    const t0_status status = build(&b);
    t0_trie_free(&b.forward);
    t0_trie_free(&b.backward);
    t0_buffer_free(&b.reversed);
    t0_buffer_free(&b.pairs);
    t0_free(b.ranks);
    t0_free(b.suffixes);
    t0_free(b.keys);
    return status;
}
