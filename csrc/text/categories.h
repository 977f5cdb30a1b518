/* Letters, numbers and white space, as regular expressions have them. See categories.c. */
#ifndef T0_TEXT_CATEGORIES_H
#define T0_TEXT_CATEGORIES_H

#include <stdint.h>

typedef enum t0_category { T0_CATEGORY_OTHER, T0_CATEGORY_LETTER, T0_CATEGORY_NUMBER, T0_CATEGORY_SPACE } t0_category;

t0_category t0_category_of(uint32_t c);

#endif
