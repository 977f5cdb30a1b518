/* The unigram language model of pieces (Kudo 2018) and its best segmentation. See unigram.c. */
#ifndef T0_TEXT_UNIGRAM_H
#define T0_TEXT_UNIGRAM_H

#include "text/spiece.h"
#include "text/trie.h"

typedef struct t0_unigram {
    t0_trie trie;     /* of the pieces that text can become: normal and user-defined ones */
    float *scores;    /* [n_pieces] what Viterbi adds, owned; unk_score at unk_id */
    float unk_score, largest; /* largest: the greatest magnitude of any score */
    uint32_t unk_id;  /* UINT32_MAX: of a model that never searches */
    size_t longest;   /* bytes of the longest piece, or 4, a character, if that is more */
    bool words_apart; /* no piece holds a U+2581 behind another character: segments may be cut before the mark */
    bool marks_lead;  /* no piece holds a U+2581 anywhere but at its beginning: each word may be cut off */
} t0_unigram;

#define T0_REBASE_SCORE 100000.0f /* beyond it, either way, scores are counted anew; see unigram.c */

t0_status t0_unigram_new(t0_unigram *out, const t0_spiece *spiece, uint32_t unk_id, t0_error *err);
void t0_unigram_free(t0_unigram *model);

/* The best segmentation that ends before byte i of a segment. */
typedef struct t0_best {
    float score;
    uint32_t id;    /* of its last piece */
    uint32_t start; /* where that begins; T0_UNREACHED when nothing ends here */
} t0_best;
enum { T0_UNREACHED = 0xFFFFFFFF };

/* Fills best[0 .. text.size] (the caller's, text.size + 1 long); best[0].score is the score of all that came before.
 * False when the meter's poll asked to stop: it counts the steps along pieces, of which a start may have as many as the longest has bytes. */
bool t0_unigram_search(const t0_unigram *model, t0_bytes text, float score_before, t0_best *best, t0_meter *meter);

#endif
