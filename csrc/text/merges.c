/* The pairs of a list of merges, as the hub's tokenizers have them: merge n joins left and right to both, with the rank n. */
#include "text/bpe.h"
#include "text/bytelevel.h"
#include "text/utf8.h"

#include <string.h>

enum { ENTRY = 12 /* bytes of a merge */ };

static uint32_t number_at(const uint8_t *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* That left and right are the halves of `both`, by their texts: then ids tell the bytes that they stand for. */
static bool are_halves(const t0_spiece *spiece, uint32_t left, uint32_t right, uint32_t both) {
    if (left >= spiece->n_pieces || right >= spiece->n_pieces || both >= spiece->n_pieces) return false;
    const t0_piece *a = &spiece->pieces[left], *b = &spiece->pieces[right], *c = &spiece->pieces[both];
    return c->size == (uint64_t)a->size + b->size && memcmp(c->text, a->text, a->size) == 0 &&
           memcmp(c->text + a->size, b->text, b->size) == 0;
}

static t0_status read_merges(t0_bpe *out, const t0_spiece *spiece, t0_pair *pairs, size_t n, t0_error *err) {
    out->words_apart = true;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *at = spiece->hub.merges.data + i * ENTRY;
        const uint32_t left = number_at(at), right = number_at(at + 4), both = number_at(at + 8);
        if (!are_halves(spiece, left, right, both))
            return t0_fail(err, T0_EFORMAT, "merge %zu: the pieces %u and %u are not the halves of piece %u", i, left, right, both);
        pairs[i] = (t0_pair){(uint64_t)left << 32 | right, (uint32_t)i, both};
        out->words_apart &= !t0_crosses_words(&spiece->pieces[both]);
    }
    return t0_bpe_table(out, pairs, n, err);
}

static bool is_character(const t0_piece *piece) {
    return piece->type == T0_PIECE_NORMAL && t0_utf8_length(piece->text, piece->size) == piece->size;
}

static t0_status read_characters(t0_bpe *out, const t0_spiece *spiece, t0_error *err) {
    t0_trie_key *keys = t0_alloc(spiece->n_pieces * sizeof *keys);
    size_t n = 0;
    if (!keys) return t0_fail_memory(err, spiece->n_pieces * sizeof *keys);
    for (size_t i = 0; i < spiece->n_pieces; i++) {
        const t0_piece *piece = &spiece->pieces[i];
        if (is_character(piece)) keys[n++] = (t0_trie_key){piece->text, piece->size, (uint32_t)i};
    }
    t0_trie_sort(keys, n);
    const t0_status status = t0_bpe_characters(out, keys, n, err);
    t0_free(keys);
    return status;
}

/* bytes: the symbols of the letters, which are characters. */
static void letters_to_bytes(t0_bpe *out) {
    uint32_t of[256];
    for (unsigned byte = 0; byte < 256; byte++) {
        uint8_t letter[2];
        const size_t size = t0_byte_letter((uint8_t)byte, letter);
        const uint32_t found = t0_trie_find(&out->characters, (t0_bytes){letter, size});
        of[byte] = found == T0_TRIE_NONE ? T0_NO_SYMBOL : found;
    }
    memcpy(out->bytes, of, sizeof of);
}

t0_status t0_bpe_of_merges(t0_bpe *out, const t0_spiece *spiece, t0_error *err) {
    const size_t n = spiece->hub.merges.size / ENTRY;
    *out = (t0_bpe){.n_pieces = spiece->n_pieces};
    if (n >= INT32_MAX) return t0_fail(err, T0_EFORMAT, "%zu merges, at most %d", n, INT32_MAX - 1);
    t0_pair *pairs = t0_alloc(n * sizeof *pairs);
    if (!pairs) return t0_fail_memory(err, n * sizeof *pairs);
    const t0_status status = read_merges(out, spiece, pairs, n, err);
    t0_free(pairs);
    if (status != T0_OK) return status;
    T0_TRY(read_characters(out, spiece, err));
    if (spiece->kind == T0_MODEL_BYTE_LEVEL) letters_to_bytes(out);
    return T0_OK;
}
