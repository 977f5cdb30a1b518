/* A tokenizer: text -> ids and back, with the ids of the library that the model was made with.
 *
 *     text --normalise--> bytes --segment--> pieces --> ids        one t0_encoder a thread
 *
 * Its kind (t0_model_kind) says how: unigram (unigram.c), by pairs (bpe.c, encode_bpe.c), or a byte an id.
 *
 * Ids: [0, n_pieces) the pieces of the file, then n_extra sentinels, the last of them first:
 * <extra_id_k> = n_pieces + n_extra - 1 - k  (T5's rule); of bytes n_pieces + k (ByT5's on the hub).
 * Added tokens (added.h) have the ids that they come with. */
#ifndef T0_TEXT_TOKENIZER_H
#define T0_TEXT_TOKENIZER_H

#include "base/pool.h"
#include "text/added.h"
#include "text/bpe.h"
#include "text/normalizer.h"
#include "text/unigram.h"
#include "text/words.h"

enum { T0_TEXT_MAX = 1 << 30 }; /* bytes of one text */

typedef struct t0_tokenizer {
    t0_spiece spiece;
    t0_unigram model; /* none of bytes; of pairs its trie alone is used */
    t0_bpe bpe;       /* of pairs */
    t0_trie user; /* the user-defined symbols */
    t0_normalizer normalizer, denormalizer;
    t0_normalizer rules, spaces; /* the two halves of `normalizer`: its map alone, its spaces alone; with normalised added tokens */
    t0_normalizer bare;          /* `normalizer` without its dummy prefix; of T0_MODEL_MERGES */
    t0_added added;
    uint32_t *reserved; /* [n_reserved] ids of unknown, control and byte pieces, sorted by text; owned */
    size_t n_reserved, n_extra;
    bool has_unused; /* some piece is unused */
    int32_t unk_id, eos_id, pad_id; /* -1 where the model has none; unk_id: those of the hub alone may have none */
    int32_t start_id;               /* what goes before a text with add_eos, or -1 */
    int32_t byte_ids[256];          /* with byte_fallback */
} t0_tokenizer;

/* `file` and the texts of added[n_added] are borrowed and must outlive the tokenizer. The tokenizer never changes: threads may share it. */
t0_status t0_tokenizer_new(t0_tokenizer **out, t0_bytes file, size_t n_extra, const t0_added_token *added, size_t n_added, t0_error *err);
void t0_tokenizer_free(t0_tokenizer *tokenizer);

/* The id of sentinel k, below n_extra. */
int32_t t0_tokenizer_sentinel_id(const t0_tokenizer *tokenizer, size_t k);
/* k of the sentinel `id`, in [n_pieces, n_pieces + n_extra). */
size_t t0_tokenizer_sentinel_of(const t0_tokenizer *tokenizer, int32_t id);

/* The id of a piece or an added token, or -1. Not for sentinels. */
int32_t t0_tokenizer_id(const t0_tokenizer *tokenizer, t0_bytes piece);

/* Whether `text` begins with <extra_id_k>, k below n_extra and without leading zeros: bytes of that name, and *id; or 0. */
size_t t0_tokenizer_sentinel(const t0_tokenizer *tokenizer, t0_bytes text, int32_t *id);

/* Writes the text of ids[n] to the end of `out` (UTF-8 for the models that SentencePiece trains).
 * Control pieces, sentinels, special added tokens and higher ids are left out; with `special` they are written as their names.
 * T0_EVALUE for a negative id. */
t0_status t0_tokenizer_decode(const t0_tokenizer *tokenizer, const int32_t *ids, size_t n, bool special, t0_buffer *out,
                              const t0_poll *poll, t0_error *err);

/* The byte that a byte piece stands for, or -1 for any other id. */
int t0_tokenizer_byte(const t0_tokenizer *tokenizer, int32_t id);

/* One piece of an encoded text. */
typedef struct t0_span {
    int32_t id;
    uint32_t begin, end;     /* in the normalised text */
    uint32_t origin, origin_end; /* in the text that was given, bytes */
} t0_span;

/* What encoding needs beside the tokenizer; one call at a time. */
typedef struct t0_encoder {
    const t0_tokenizer *tokenizer;   /* borrowed */
    const t0_normalizer *normalizer; /* in the place of the tokenizer's own: of texts that went through a part of it; NULL: none */
    t0_buffer normal, offsets, best;
    t0_buffer symbols, heap, halves; /* of pairs: t0_symbol; working memory; t0_halves of every piece */
    t0_words words;
    t0_meter meter; /* its poll is the running call's */
    bool inside;    /* the text to be encoded is a part of one, and not its beginning */
    bool after_unk; /* the last id is <unk>: a following one melts into it */
} t0_encoder;

/* A cleared t0_encoder with its tokenizer set is ready. */
void t0_encoder_free(t0_encoder *encoder);
size_t t0_encoder_size(const t0_encoder *encoder); /* bytes held */

/* Writes the ids of `text` (UTF-8; a byte of no character counts as U+FFFD) to the end of `ids`: int32. Added tokens and sentinels in it are text: see parts.h. */
t0_status t0_encode(t0_encoder *encoder, t0_bytes text, t0_buffer *ids, const t0_poll *poll, t0_error *err);

/* How a batch is encoded. */
typedef struct t0_batch_rule {
    bool add_eos; /* the end token behind, and start_id in front; T0_EVALUE where the model has no such piece */
    bool sentinels; /* <extra_id_k> in a text is that sentinel, and what lies between is encoded as texts of their own */
    size_t max_length; /* ids kept of a text; the end-of-sequence id is added before the cut */
} t0_batch_rule;

/* Writes the ids of texts[n], one after another, to the end of `ids` (int32, empty before), and where each text's begin
 * and end to offsets[n + 1]. encoders: one for each thread of the pool. The ids do not depend on the pool. */
t0_status t0_encode_batch(t0_encoder *encoders, t0_pool *pool, const t0_bytes *texts, size_t n, t0_batch_rule rule, t0_buffer *ids,
                          int64_t *offsets, const t0_poll *poll, t0_error *err);

/* t0_encode with places: t0_span to the end of `spans`. encoder->normal then holds the normalised text. */
t0_status t0_encode_spans(t0_encoder *encoder, t0_bytes text, t0_buffer *spans, const t0_poll *poll, t0_error *err);

#endif
