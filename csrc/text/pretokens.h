/* Where byte-level tokenizers cut a text into words. See pretokens.c. */
#ifndef T0_TEXT_PRETOKENS_H
#define T0_TEXT_PRETOKENS_H

#include "base/memory.h"

/* The end of the word that begins at `at`, below text.size, where a word begins; above `at`. */
size_t t0_pretoken_end(t0_bytes text, size_t at);

/* The code point of the character at `at`, and its bytes; a byte that belongs to no well-formed one is U+FFFD, of one byte. */
uint32_t t0_character_at(t0_bytes text, size_t at, size_t *length);

#endif
