/* Added tokens: texts beside the pieces of a model that are one token each, as the hub's tokenizers have them. See added.c. */
#ifndef T0_TEXT_ADDED_H
#define T0_TEXT_ADDED_H

#include "text/normalizer.h"
#include "text/trie.h"

enum {
    T0_ADDED_MAX_TEXT = 1 << 10,   /* bytes of one */
    T0_ADDED_MAX_BYTES = 16 << 20, /* of all texts: the trie takes up to 26 times as much while it is built */
    T0_ADDED_MAX_TOKENS = 1 << 16
};

typedef enum t0_added_flag {
    T0_ADDED_SPECIAL = 1,     /* left out of decoded text unless its name is asked for */
    T0_ADDED_NORMALIZED = 2,  /* looked for in the text after the rules of the character map, as itself after them */
    T0_ADDED_LSTRIP = 4,      /* takes the white space before it along */
    T0_ADDED_RSTRIP = 8,      /* takes the white space behind it along */
    T0_ADDED_SINGLE_WORD = 16, /* not beside a character of a word */
    T0_ADDED_SENTINEL = 32,   /* found only where sentinels are asked for */
    T0_ADDED_CONTROL = 64,    /* never made from text: it has an id and a name */
    T0_ADDED_FLAGS = 127
} t0_added_flag;

typedef struct t0_added_token {
    t0_bytes text; /* 1 to T0_ADDED_MAX_TEXT bytes of UTF-8, borrowed for the life of the tokenizer */
    int32_t id;
    unsigned flags; /* t0_added_flag, or'ed */
    t0_bytes shown; /* its text when it is decoded: of a normalised one what the rules make of it; set by t0_added_new */
} t0_added_token;

/* Tokens that are looked for in one form of the text. */
typedef struct t0_added_set {
    t0_trie trie;     /* values: places in tokens */
    bool begins[256]; /* whether some token begins with the byte */
} t0_added_set;

typedef struct t0_added {
    t0_added_token *tokens; /* [n] by ascending id, owned */
    size_t n;
    t0_added_set raw, normal; /* the tokens of the text as it is given; those of the normalised text */
    t0_buffer patterns;       /* of normal: the tokens' texts after the rules */
} t0_added;

/* rules: what a character map makes of a text, and nothing of spaces; NULL without normalised tokens. T0_EFORMAT where a text
 * is empty, too long, no UTF-8 or there twice, where two have one id, or are one text after the rules. */
t0_status t0_added_new(t0_added *out, const t0_added_token *tokens, size_t n, const t0_normalizer *rules, t0_error *err);
void t0_added_free(t0_added *added);

const t0_added_token *t0_added_by_id(const t0_added *added, int32_t id); /* or NULL */

/* The longest token that `text`, which is not empty, begins with, or NULL; *size: its bytes there; *walked: bytes looked at. */
const t0_added_token *t0_added_longest(const t0_added *added, const t0_added_set *set, bool sentinels, t0_bytes text, size_t *size,
                                       size_t *walked);

/* Below, texts are well-formed UTF-8, and their places lie between characters. */

/* Whether text[begin, end) stands apart: no character of a word before it and none behind. */
bool t0_added_alone(t0_bytes text, size_t begin, size_t end);
/* Where the white space that ends at text[end] begins, not before `first` even where that is behind it; where that which begins at text[begin] ends. */
size_t t0_added_space_before(t0_bytes text, size_t first, size_t end);
size_t t0_added_space_behind(t0_bytes text, size_t begin);

#endif
