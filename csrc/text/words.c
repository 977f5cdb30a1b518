/* Why remembered words change no id.
 *
 * A search adds float32 scores from the beginning of the text, so one word may be cut differently behind different
 * texts, where two cuts are nearly equal. Let a word have L bytes, S be the score before it, e(P) the exact sum of the
 * scores of a cut P, f(P) what float32 additions from S make of S + e(P). Rounding is monotone, so the search ends with
 * a cut of largest f. Each of at most L additions errs by at most 2^-24 M, M the largest magnitude met, and so
 *
 *     |f(P) - S - e(P)| <= L 2^-24 M,      M <= |S| + reach.
 *
 * With `margin` = e(best cut) - e(second best), the best cut has the one largest f whenever margin > 2 L 2^-24 M. We ask
 * for twice that, which also covers the double precision in which margin is found:
 *
 *     |S| <= limit = margin / (L 2^-22) - reach
 *
 * A search may also count its scores anew inside a word, where one exceeds T0_REBASE_SCORE. Every place of a word can be
 * reached character by character, so none is further than `reach` from S: limit is kept that far below. Cuts with <unk>
 * are not remembered where it stands for bytes.
 *
 * So |S| need not be known exactly: a word adds at most `most` to it, the sum of the magnitudes of its scores, rounded up
 * to a whole number, and one for rounding (T0_WORD_IDS additions below T0_REBASE_SCORE err by less than 1/16). */
#include "text/words.h"

#include "text/utf8.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { WHOLE = T0_SPACE_MARK_SIZE + T0_WORD_MAX }; /* bytes of the longest word with its mark */

_Static_assert(sizeof(t0_word) == 64, "one cache line a word");
_Static_assert(T0_WORD_SLOTS == T0_WORD_WAYS << (64 - 51), "t0_word_set takes the upper 13 bits");

bool t0_words_begin(t0_words *words, const t0_unigram *model, bool unknown) {
    if (words->slots) return true;
    words->slots = t0_alloc_zero(T0_WORD_SLOTS * sizeof *words->slots);
    words->unknown = unknown;
    words->reach = (WHOLE + 1) * model->largest;
    return words->slots != NULL;
}

void t0_words_free(t0_words *words) {
    t0_free(words->slots);
    *words = (t0_words){0};
}

/* The best two sums of scores of cuts that end at one place, and the last piece of the better. */
typedef struct two_best {
    double first, second;
    uint32_t id, start;
} two_best;

static inline double larger(double a, double b) { return a > b ? a : b; }

/* Without branches, which could not be foretold. */
static inline void offer_two(two_best *best, double first, double second, uint32_t id, uint32_t start) {
    const bool better = first > best->first;
    const double loser = better ? best->first : first;
    best->second = larger(larger(best->second, second), loser);
    best->first = better ? first : best->first;
    best->id = better ? id : best->id;
    best->start = better ? start : best->start;
}

static void search_two(const t0_unigram *model, const uint8_t *text, size_t size, two_best *best) {
    const t0_trie_node *nodes = model->trie.nodes;
    for (size_t i = 0; i <= size; i++) best[i] = (two_best){-HUGE_VAL, -HUGE_VAL, 0, 0};
    best[0].first = 0.0;
    for (size_t start = 0; start < size;) {
        const size_t promised = t0_utf8_promised(text[start]);
        const size_t next = promised < size - start ? start + promised : size;
        const double first = best[start].first, second = best[start].second;
        bool covered = false;
        uint32_t node = 0;
        for (size_t i = start; i < size && nodes && t0_trie_step(nodes, &node, text[i]); i++) {
            const uint32_t id = t0_trie_value(nodes, node);
            if (id == T0_TRIE_NONE) continue;
            const double score = model->scores[id];
            offer_two(&best[i + 1], first + score, second + score, id, (uint32_t)start);
            covered |= i + 1 == next;
        }
        if (!covered) offer_two(&best[next], first + model->unk_score, second + model->unk_score, model->unk_id, (uint32_t)start);
        start = next;
    }
}

/* The scores before the word at which its best cut is sure: [-limit, limit]. Negative: none. */
static float limit_of(const t0_words *words, const two_best *end, size_t size) {
    const double margin = end->first - end->second; /* infinite for an only cut */
    const double limit = fmin(margin / ((double)size * 0x1p-22), T0_REBASE_SCORE - words->reach) - words->reach;
    return limit > 0.0 ? (float)(limit * 0.999) : -1.0f;
}

/* The ids of the best cut of text[size], and their limit; it stays negative where they cannot be remembered. */
static void fill_in(const t0_words *words, const t0_unigram *model, const two_best *best, size_t size, t0_word *out) {
    int32_t ids[WHOLE];
    size_t n = 0;
    bool unknown = false;
    double magnitude = 2.0; /* one to round up, one for rounding */
    for (size_t end = size; end > 0; end = best[end].start) {
        const uint32_t id = best[end].id;
        ids[n++] = (int32_t)id;
        unknown |= id == model->unk_id;
        magnitude += fabs(model->scores[id]);
    }
    out->limit = -1.0f;
    if (n > T0_WORD_IDS || magnitude > UINT16_MAX || (unknown && !words->unknown)) return;
    out->limit = limit_of(words, &best[size], size);
    out->most = unknown ? 0 : (uint16_t)magnitude;
    out->n_ids = (uint8_t)n;
    for (size_t i = 0; i < n; i++) out->ids[i] = ids[n - 1 - i];
}

const t0_word *t0_word_learn(const t0_words *words, const t0_unigram *model, const t0_word_key *key, t0_word *set) {
    uint8_t text[WHOLE];
    two_best best[WHOLE + 1];
    const size_t size = T0_SPACE_MARK_SIZE + key->size;
    assert(key->size >= 1 && key->size <= T0_WORD_MAX && model->trie.n_nodes % 256 == 0);
    memcpy(text, T0_SPACE_MARK, T0_SPACE_MARK_SIZE);
    memcpy(text + T0_SPACE_MARK_SIZE, key->text, key->size);
    search_two(model, text, size, best);
    t0_word *slot = t0_word_slot(set);
    *slot = (t0_word){.size = (uint8_t)key->size};
    memcpy(slot->text, key->text, sizeof slot->text);
    fill_in(words, model, best, size, slot);
    return slot;
}
