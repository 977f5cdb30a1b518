/* UTF-8, as SentencePiece walks it. */
#ifndef T0_TEXT_UTF8_H
#define T0_TEXT_UTF8_H

#include "base/memory.h"

#include <assert.h>

/* Length that the first byte promises; a continuation byte counts as 1. */
static inline size_t t0_utf8_promised(uint8_t first) { return first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4; }

/* Length of the well-formed character at `at` with n >= 1 bytes left, or 0: no surrogates, nothing over-long. */
static inline size_t t0_utf8_length(const uint8_t *at, size_t n) {
    assert(n >= 1);
    const uint8_t a = at[0];
    if (a < 0x80) return 1;
    if (a < 0xC2 || a > 0xF4) return 0;
    const size_t length = t0_utf8_promised(a);
    if (n < length || (at[1] & 0xC0) != 0x80) return 0;
    if (length == 2) return 2;
    if ((at[2] & 0xC0) != 0x80) return 0;
    if (length == 3) {
        if (a == 0xE0 && at[1] < 0xA0) return 0;
        if (a == 0xED && at[1] > 0x9F) return 0;
        return 3;
    }
    if ((at[3] & 0xC0) != 0x80) return 0;
    if (a == 0xF0 && at[1] < 0x90) return 0;
    if (a == 0xF4 && at[1] > 0x8F) return 0;
    return 4;
}

/* Where the first byte lies that belongs to no well-formed character, or text.size. */
static inline size_t t0_utf8_broken(t0_bytes text) {
    size_t i = 0;
    while (i < text.size) {
        uint64_t eight = 0x80;
        if (text.size - i >= 8) __builtin_memcpy(&eight, text.data + i, 8);
        if (!(eight & 0x8080808080808080u)) { /* ASCII */
            i += 8;
            continue;
        }
        const size_t length = t0_utf8_length(text.data + i, text.size - i);
        if (length == 0) break;
        i += length;
    }
    return i;
}

static inline bool t0_utf8_valid(t0_bytes text) { return t0_utf8_broken(text) == text.size; }

/* U+2581, which stands for a space inside pieces. */
#define T0_SPACE_MARK "\xE2\x96\x81"
enum { T0_SPACE_MARK_SIZE = 3 };

static inline bool t0_is_space_mark(const uint8_t *at, size_t n) { return n >= 3 && at[0] == 0xE2 && at[1] == 0x96 && at[2] == 0x81; }

#endif
