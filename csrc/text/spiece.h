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

/* How pieces are made of a text. The first two are SentencePiece's model types. */
typedef enum t0_model_kind {
    T0_MODEL_UNIGRAM = 1,
    T0_MODEL_BPE = 2,        /* pairs of pieces are joined, those first whose joint piece has the best score: bpe_scores.c */
    T0_MODEL_MERGES = 3,     /* pairs are joined by a list of merges, over characters */
    T0_MODEL_BYTE_LEVEL = 4, /* the same over bytes, of words that a regular expression cuts out: pretokens.c */
    T0_MODEL_BYTES = 5       /* each byte is a piece */
} t0_model_kind;

/* Where texts are cut before merges: never, before each U+2581, or by GPT-2's regular expression. */
typedef enum t0_split { T0_SPLIT_NONE, T0_SPLIT_MARKS, T0_SPLIT_WORDS } t0_split;

/* What the hub's tokenizers have and SentencePiece's file has no field for; all zero there. */
typedef struct t0_hub_spec {
    t0_bytes merges;     /* [12 n] n merges, the first of them first: ids of left, right and both, uint32, little endian */
    t0_split split;
    bool ignore_merges;  /* a word that is a piece is one piece, whatever the merges say */
    bool fuse_unknown;   /* neighbouring unknown characters are one <unk> */
    bool prefix_once;    /* no dummy prefix in front of a space */
    bool prefix_first;   /* nor anywhere but at the beginning of the whole text */
    bool drop_unknown;   /* what is no symbol is left out, and is no <unk> */
    bool strip_first;    /* a decoded text loses one space at its beginning */
    uint32_t start;      /* 1 + the id that is put before a text together with the end token behind it; 0: none */
} t0_hub_spec;

typedef struct t0_spiece {
    t0_piece *pieces; /* [n_pieces], owned */
    size_t n_pieces;
    t0_normal_spec normal, denormal;
    t0_model_kind kind;
    t0_hub_spec hub;
    bool byte_fallback, whitespace_suffix;
    t0_bytes unk_surface;          /* what <unk> decodes to */
    t0_bytes eos_piece, pad_piece; /* names of the control pieces */
} t0_spiece;

static inline bool t0_has_merges(const t0_spiece *spiece) { return spiece->kind == T0_MODEL_MERGES || spiece->kind == T0_MODEL_BYTE_LEVEL; }

/* `file` is borrowed. T0_EFORMAT with the offset when the content is broken or a model of another kind. */
t0_status t0_spiece_read(t0_spiece *out, t0_bytes file, t0_error *err);
void t0_spiece_free(t0_spiece *spiece);

/* Whether the piece holds a U+2581 behind another character: else a text may be cut before such a mark, and no piece is cut. */
bool t0_crosses_words(const t0_piece *piece);

#endif
