/* A cache from words to ids that cannot change an id. See words.c. */
#ifndef T0_TEXT_WORDS_H
#define T0_TEXT_WORDS_H

#include "text/unigram.h"

#include <assert.h>

enum {
    T0_WORD_MAX = 24,    /* bytes of a word behind its U+2581 */
    T0_WORD_IDS = 8,     /* ids of a word */
    T0_WORD_WAYS = 4,    /* slots in which a word may lie */
    T0_WORD_SLOTS = 1 << 15
};

typedef struct t0_word {
    uint64_t text[T0_WORD_MAX / 8]; /* padded with zeros */
    uint8_t size, n_ids;            /* size 0: an empty slot, as are all behind it */
    uint16_t most;                  /* adds no more to the magnitude of the score, rounding and all; 0: it holds <unk> */
    float limit;                    /* holds while the score before the word lies in [-limit, limit]; negative: never */
    int32_t ids[T0_WORD_IDS];       /* one <unk> a character */
} t0_word;

typedef struct t0_words {
    t0_word *slots; /* [T0_WORD_SLOTS], owned; NULL until the first word */
    bool unknown;   /* words with <unk> are remembered too */
    float reach;    /* most that the scores of a word can add up to, either way */
} t0_words;

bool t0_words_begin(t0_words *words, const t0_unigram *model, bool unknown); /* false when there is no memory */
void t0_words_free(t0_words *words);

typedef struct t0_word_key {
    uint64_t text[T0_WORD_MAX / 8];
    size_t size;
} t0_word_key;

/* The key of text[size], size <= T0_WORD_MAX; T0_WORD_MAX bytes can be read there. */
static inline t0_word_key t0_word_key_of(const uint8_t *text, size_t size) {
    static const uint8_t mask[2 * T0_WORD_MAX] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
                                                  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    t0_word_key key = {.size = size};
    assert(size <= T0_WORD_MAX);
    uint64_t keep[T0_WORD_MAX / 8];
    __builtin_memcpy(key.text, text, T0_WORD_MAX);
    __builtin_memcpy(keep, mask + T0_WORD_MAX - size, T0_WORD_MAX);
    for (size_t i = 0; i < T0_WORD_MAX / 8; i++) key.text[i] &= keep[i];
    return key;
}

/* The first of the key's T0_WORD_WAYS slots. */
static inline t0_word *t0_word_set(const t0_words *words, const t0_word_key *key) {
    uint64_t hash = key->text[0] * 0x9E3779B97F4A7C15u ^ (key->text[1] + key->size) * 0xC2B2AE3D27D4EB4Fu ^
                    key->text[2] * 0x165667B19E3779F9u;
    hash ^= hash >> 32;
    hash *= 0xD6E8FEB86659FD93u;
    return &words->slots[(hash >> 51) * T0_WORD_WAYS];
}

static inline bool t0_word_is(const t0_word *word, const t0_word_key *key) {
    return word->size == key->size && word->text[0] == key->text[0] && word->text[1] == key->text[1] && word->text[2] == key->text[2];
}

/* The key's slot, which becomes the first of its set, where frequent words are met first; NULL when it is not there. */
static inline t0_word *t0_word_find(t0_word *set, const t0_word_key *key) {
    if (__builtin_expect(t0_word_is(&set[0], key), 1)) return &set[0];
    for (size_t way = 1; way < T0_WORD_WAYS && set[way - 1].size; way++) {
        if (!t0_word_is(&set[way], key)) continue;
        const t0_word found = set[way];
        set[way] = set[0];
        set[0] = found;
        return set;
    }
    return NULL;
}

/* Where a word that is not there goes: the first empty slot of the set, or the last. */
static inline t0_word *t0_word_slot(t0_word *set) {
    size_t way = 0;
    while (way + 1 < T0_WORD_WAYS && set[way].size) way++;
    return &set[way];
}

/* Segments U+2581 + key and remembers it in the first empty slot of the set, or in the last. */
const t0_word *t0_word_learn(const t0_words *words, const t0_unigram *model, const t0_word_key *key, t0_word *set);

#endif
