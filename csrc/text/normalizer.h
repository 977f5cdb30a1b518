/* SentencePiece's normaliser: rules of a compiled character map, and what happens to spaces. See normalizer.c. */
#ifndef T0_TEXT_NORMALIZER_H
#define T0_TEXT_NORMALIZER_H

#include "text/charsmap.h"
#include "text/spiece.h"
#include "text/trie.h"

#include <assert.h>

typedef struct t0_normalizer {
    t0_charsmap map;
    const t0_trie *user; /* user-defined symbols pass untouched; borrowed, may be empty */
    bool add_dummy_prefix, remove_extra_whitespaces, escape_whitespaces, whitespace_suffix;
    uint8_t kind[256]; /* t0_byte_kind */
    bool common_kinds; /* all of '!' to '~' are plain */
    bool by_words;     /* each word becomes U+2581 and its own result, so that words can be normalised one by one */
} t0_normalizer;

/* What a byte becomes wherever another ASCII character, or the end, follows it. */
typedef enum t0_byte_kind {
    T0_BYTE_OTHER, /* see the rules */
    T0_BYTE_PLAIN, /* itself, '!' to '~' */
    T0_BYTE_SPACE  /* ' ' */
} t0_byte_kind;

/* Whether text[at] is an ASCII space that nothing behind it can combine with. */
static inline bool t0_is_gap(const t0_normalizer *normalizer, t0_bytes text, size_t at) {
    assert(at < text.size);
    return normalizer->kind[text.data[at]] == T0_BYTE_SPACE && (at + 1 == text.size || text.data[at + 1] < 0x80);
}

t0_status t0_normalizer_new(t0_normalizer *out, const t0_normal_spec *spec, bool whitespace_suffix, const t0_trie *user, t0_error *err);
void t0_normalizer_free(t0_normalizer *normalizer);

/* Appends nothing, sets: *out becomes the normalised text.
 * offsets, when not NULL, becomes uint32 [out->size + 1]: the place in `text` that each normalised byte comes from.
 * T0_EVALUE where the rules make too much of the text; T0_EINTERRUPT when the meter's poll asks to stop. */
t0_status t0_normalize(const t0_normalizer *normalizer, t0_bytes text, t0_buffer *out, t0_buffer *offsets, t0_meter *meter, t0_error *err);

/* With by_words: normalises from *at, which is not a gap, to the next gap or the end, and moves *at there. *out becomes
 * words, each with its U+2581 in front; empty when nothing is left of the text. */
t0_status t0_normalize_words(const t0_normalizer *normalizer, t0_bytes text, size_t *at, t0_buffer *out, t0_meter *meter, t0_error *err);

#endif
