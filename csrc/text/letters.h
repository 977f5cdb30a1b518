/* Characters of words and of white space. See letters.c. */
#ifndef T0_TEXT_LETTERS_H
#define T0_TEXT_LETTERS_H

#include <stdbool.h>
#include <stdint.h>

bool t0_is_word_character(uint32_t c);
bool t0_is_white_space(uint32_t c);

#endif
