/* GPT-2's regular expression, by hand: the first of these that matches, as much of it as there is, and on from its end
 *
 *     's|'t|'re|'ve|'m|'ll|'d         a contraction's end
 *      ?\p{L}+                        letters, with one space before them
 *      ?\p{N}+                        numbers
 *      ?[^\s\p{L}\p{N}]+              anything else but white space
 *     \s+(?!\S)                       white space, without its last character where something follows
 *     \s+                             that last character
 *
 * (Radford et al. 2019.) Each character falls into one of four categories, and so every
 * text is covered. Time is linear in the word, plus one character of look-ahead. */
#include "text/pretokens.h"

#include "text/categories.h"
#include "text/utf8.h"

#include <assert.h>

uint32_t t0_character_at(t0_bytes text, size_t at, size_t *length) {
    static const uint8_t mask[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    assert(at < text.size);
    const size_t n = t0_utf8_length(text.data + at, text.size - at);
    *length = n ? n : 1;
    if (n == 0) return 0xFFFD;
    uint32_t c = text.data[at] & mask[n];
    for (size_t i = 1; i < n; i++) c = c << 6 | (text.data[at + i] & 0x3F);
    return c;
}

static t0_category category_of_ascii(uint8_t c) {
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') return T0_CATEGORY_LETTER;
    if (c >= '0' && c <= '9') return T0_CATEGORY_NUMBER;
    return c == ' ' || (c >= '\t' && c <= '\r') ? T0_CATEGORY_SPACE : T0_CATEGORY_OTHER;
}

static inline t0_category category_at(t0_bytes text, size_t at, size_t *length) {
    *length = 1;
    if (text.data[at] < 0x80) return category_of_ascii(text.data[at]);
    return t0_category_of(t0_character_at(text, at, length));
}

/* The bytes of a contraction's end at `at`, with its apostrophe, or 0. */
static size_t contraction(t0_bytes text, size_t at) {
    if (text.data[at] != '\'' || at + 1 == text.size) return 0;
    const uint8_t first = text.data[at + 1], second = at + 2 < text.size ? text.data[at + 2] : 0;
    if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
    const bool two = ((first == 'r' || first == 'v') && second == 'e') || (first == 'l' && second == 'l');
    return two ? 3 : 0;
}

/* The end of the characters of one category from `at` on; *last: where the last of them begins. */
static size_t run_end(t0_bytes text, size_t at, t0_category category, size_t *last) {
    size_t length;
    *last = at;
    while (at < text.size && category_at(text, at, &length) == category) {
        *last = at;
        at += length;
    }
    return at;
}

size_t t0_pretoken_end(t0_bytes text, size_t at) {
    assert(at < text.size);
    const size_t short_end = contraction(text, at);
    size_t length, last;
    if (short_end) return at + short_end;
    t0_category category = category_at(text, at, &length);
    if (category != T0_CATEGORY_SPACE) return run_end(text, at, category, &last);
    if (text.data[at] == ' ' && at + 1 < text.size) {
        category = category_at(text, at + 1, &length);
        if (category != T0_CATEGORY_SPACE) return run_end(text, at + 1, category, &last);
    }
    const size_t end = run_end(text, at, T0_CATEGORY_SPACE, &last);
    return end == text.size || last == at ? end : last;
}
