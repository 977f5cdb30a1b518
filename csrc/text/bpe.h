/* Byte-pair encoding (Sennrich et al. 2016): neighbouring symbols are joined, the best pair first, until no pair is left. See bpe.c. */
#ifndef T0_TEXT_BPE_H
#define T0_TEXT_BPE_H

#include "text/spiece.h"
#include "text/trie.h"

#define T0_NO_SYMBOL 0xFFFFFFFFu /* of what is in no pair */

/* left, right -> both: an entry of the table of pairs. */
typedef struct t0_pair {
    uint64_t key;  /* left << 32 | right; T0_NO_PAIR: an empty entry */
    uint32_t rank; /* the lowest goes first */
    uint32_t both;
} t0_pair;
#define T0_NO_PAIR UINT64_MAX

/* Symbols are ids of pieces; and from n_pieces on characters that are no piece but begin or end one. */
typedef struct t0_bpe {
    t0_pair *pairs; /* [mask + 1], a hash table with linear probing, owned */
    size_t mask;    /* a power of two, less 1 */
    t0_trie characters;        /* the symbol of each character that has one */
    uint32_t bytes[256];       /* the symbol of each ASCII character, or of a byte where pieces are made of bytes; T0_NO_SYMBOL */
    size_t n_pieces;
    bool words_apart; /* nothing joins across a U+2581 that follows another character */
} t0_bpe;

/* The pairs of a T0_MODEL_BPE (bpe_scores.c), or of a list of merges (merges.c). T0_EFORMAT where merges lie about the pieces. */
t0_status t0_bpe_of_scores(t0_bpe *out, const t0_spiece *spiece, t0_error *err);
t0_status t0_bpe_of_merges(t0_bpe *out, const t0_spiece *spiece, t0_error *err);
void t0_bpe_free(t0_bpe *bpe);

/* Makes the table of pairs[n], which may hold a key twice: the later wins. */
t0_status t0_bpe_table(t0_bpe *out, const t0_pair *pairs, size_t n, t0_error *err);
/* Makes characters, and bytes of ASCII, of keys[n], one character each, sorted, none twice. */
t0_status t0_bpe_characters(t0_bpe *out, const t0_trie_key *keys, size_t n, t0_error *err);

/* The pair of two symbols, or NULL. */
static inline const t0_pair *t0_bpe_pair(const t0_bpe *bpe, uint32_t left, uint32_t right) {
    const uint64_t key = (uint64_t)left << 32 | right;
    uint64_t hash = key * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 32;
    for (size_t i = hash & bpe->mask; bpe->pairs[i].key != T0_NO_PAIR; i = (i + 1) & bpe->mask)
        if (bpe->pairs[i].key == key) return &bpe->pairs[i];
    return NULL;
}

typedef struct t0_symbol {
    uint32_t id, begin, size; /* size: bytes; 0: joined to the one before */
    int32_t before, next;     /* neighbours, or -1 */
    bool frozen;              /* is joined to nothing */
} t0_symbol;

/* What a piece was last offered to be joined of; [n_pieces] of them, see t0_bpe_join. */
typedef struct t0_halves {
    uint32_t left, right;
} t0_halves;

/* Joins symbols[n], n below INT32_MAX, whose neighbours are set here. What is left is linked from symbols[0] on. heap: working memory.
 * halves: NULL, or where each piece that a pair gave is noted down. T0_EINTERRUPT when the meter's poll asks to stop. */
t0_status t0_bpe_join(const t0_bpe *bpe, t0_symbol *symbols, size_t n, t0_buffer *heap, t0_halves *halves, t0_meter *meter, t0_error *err);

#endif
