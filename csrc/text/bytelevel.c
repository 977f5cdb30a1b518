/* GPT-2's letters for bytes (Radford et al. 2019, section 2.2):
 *
 *     '!' to '~', 0xA1 to 0xAC, 0xAE to 0xFF     the character of that number
 *     the other 68, ascending                    U+0100, U+0101, ...  (so ' ' is U+0120)
 *
 * A token's text is its bytes' letters in a row. The hub's decoder takes a token apart so, added ones too, and leaves as it is one that
 * has another character. */
#include "text/bytelevel.h"

#include "text/pretokens.h"

static bool is_itself(unsigned byte) { return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD); }

/* How many bytes below this one are not themselves. */
static unsigned others_below(unsigned byte) {
    if (byte < '!') return byte;
    return byte < 0xA1 ? '!' + (byte - 0x7F) : '!' + (0xA1 - 0x7F);
}

size_t t0_byte_letter(uint8_t byte, uint8_t out[2]) {
    const unsigned c = is_itself(byte) ? byte : 0x100 + others_below(byte);
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    out[0] = (uint8_t)(0xC0 | c >> 6);
    out[1] = (uint8_t)(0x80 | (c & 0x3F));
    return 2;
}

/* The byte of a letter, or -1. */
static int byte_of(uint32_t c) {
    if (c < 0x100) return is_itself(c) ? (int)c : -1;
    const uint32_t place = c - 0x100;
    if (place < '!') return (int)place;
    if (place < '!' + (0xA1 - 0x7F)) return (int)(place - '!' + 0x7F);
    return place == '!' + (0xA1 - 0x7F) ? 0xAD : -1;
}

bool t0_add_letters_bytes(t0_buffer *out, t0_bytes piece) {
    const size_t before = out->size;
    if (!t0_buffer_reserve(out, piece.size)) return false;
    for (size_t at = 0, length; at < piece.size; at += length) {
        const int byte = byte_of(t0_character_at(piece, at, &length));
        if (byte < 0) {
            out->size = before;
            return t0_buffer_add(out, piece.data, piece.size);
        }
        out->data[out->size++] = (uint8_t)byte;
    }
    return true;
}
