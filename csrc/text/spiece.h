/* The content of a SentencePiece model file ("spiece.model"), read from the protobuf wire format.
 *
 * Only views: every t0_bytes below points into the file's bytes, which must outlive the t0_spiece. */
#ifndef T0_TEXT_SPIECE_H
#define T0_TEXT_SPIECE_H

#include "base/memory.h"

enum {
    T0_SPIECE_MAX_FILE = 256 << 20, /* bytes */
    T0_SPIECE_MAX_PIECE = 64 << 10, /* bytes of one piece */
    T0_SPIECE_MAX_PIECES = (1 << 23) - 2
};

/* A search adds scores, and counts them anew as it goes (unigram.c): two ends that it compares lie no further apart than a piece is long,
 * 65,536 bytes, so that sums stay below 2^18 times this and finite. */
#define T0_SPIECE_MAX_SCORE 1e30f

typedef enum t0_piece_type {
    T0_PIECE_NORMAL = 1,
    T0_PIECE_UNKNOWN = 2, /* exactly one */
    T0_PIECE_CONTROL = 3, /* <pad>, </s>: never made from text, invisible in decoded text */
    T0_PIECE_USER = 4,    /* always one piece, passes the normaliser untouched */
    T0_PIECE_UNUSED = 5,  /* has an id, is never made from text */
    T0_PIECE_BYTE = 6     /* <0x00> ... <0xFF> */
} t0_piece_type;

typedef struct t0_piece {
    const uint8_t *text; /* [size] UTF-8, not empty */
    uint32_t size;
    float score; /* natural logarithm of the probability; at most T0_SPIECE_MAX_SCORE either way */
    t0_piece_type type;
} t0_piece;

typedef struct t0_normal_spec {
    t0_bytes charsmap;         /* empty: no rules */
    size_t charsmap_offset;    /* of charsmap in the file, for messages */
    bool add_dummy_prefix;
    bool remove_extra_whitespaces;
    bool escape_whitespaces; /* ' ' becomes U+2581 */
} t0_normal_spec;

typedef struct t0_spiece {
    t0_piece *pieces; /* [n_pieces], owned */
    size_t n_pieces;
    t0_normal_spec normal, denormal;
    int model_type; /* 1: unigram */
    bool byte_fallback, whitespace_suffix;
    t0_bytes unk_surface;          /* what <unk> decodes to */
    t0_bytes eos_piece, pad_piece; /* names of the control pieces */
} t0_spiece;

/* `file` is borrowed. T0_EFORMAT with the offset when the content is broken or not a unigram model. */
t0_status t0_spiece_read(t0_spiece *out, t0_bytes file, t0_error *err);
void t0_spiece_free(t0_spiece *spiece);

#endif
