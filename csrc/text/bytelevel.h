/* The letters that stand for bytes in the pieces of byte-level tokenizers. See bytelevel.c. */
#ifndef T0_TEXT_BYTELEVEL_H
#define T0_TEXT_BYTELEVEL_H

#include "base/memory.h"

/* The letter of a byte in UTF-8, two bytes at most, to out; how many. */
size_t t0_byte_letter(uint8_t byte, uint8_t out[2]);

/* Writes the bytes that a piece's letters stand for, or the piece itself where one of its characters is no such letter. False when there is
 * no memory. */
bool t0_add_letters_bytes(t0_buffer *out, t0_bytes piece);

#endif
