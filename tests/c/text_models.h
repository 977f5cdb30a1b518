/* Parts of model files for tests of the text core: the protobuf fields of csrc/text/spiece.c. */
#ifndef T0_TEST_TEXT_MODELS_H
#define T0_TEST_TEXT_MODELS_H

#include "varint.h"

#include "text/tokenizer.h"

#include <string.h>

static inline void add_bytes(t0_buffer *out, unsigned number, const void *data, size_t size) {
    add_varint(out, number << 3 | 2);
    add_varint(out, size);
    t0_buffer_add(out, data, size);
}

static inline void add_number(t0_buffer *out, unsigned number, uint64_t value) {
    add_varint(out, number << 3);
    add_varint(out, value);
}

static inline void add_piece(t0_buffer *out, const char *text, float score, t0_piece_type type) {
    t0_buffer piece = {0};
    add_bytes(&piece, 1, text, strlen(text));
    add_varint(&piece, 2 << 3 | 5);
    t0_buffer_add(&piece, &score, 4);
    add_number(&piece, 3, type);
    add_bytes(out, 1, piece.data, piece.size);
    t0_buffer_free(&piece);
}

#endif
