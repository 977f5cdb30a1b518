/* Viterbi search over pieces, exactly as SentencePiece 0.2.3:
 *
 *     best[e] = max over pieces p = text[s, e) of  best[s] + score(p)            in float32, the first of equals wins
 *
 * Starts s run over characters in order, for each the ends e upwards. Where no piece covers just the first character,
 * that character becomes <unk> with  min over normal pieces of score - 10.  A user-defined piece of n bytes scores
 * (n - 1) / 10. Additions follow the text from its beginning, and where |best[s]| exceeds 100000 all scores are
 * counted from there on: so near-ties fall as they do there. A segment starts with the score of all before it. */
#include "text/unigram.h"

#include "text/utf8.h"

#include <assert.h>
#include <float.h>
#include <math.h>

#define UNK_PENALTY 10.0f

static bool in_trie(const t0_piece *piece) { return piece->type == T0_PIECE_NORMAL || piece->type == T0_PIECE_USER; }

static void set_scores(t0_unigram *out, const t0_spiece *spiece) {
    float least = FLT_MAX;
    for (size_t i = 0; i < spiece->n_pieces; i++) {
        const t0_piece *piece = &spiece->pieces[i];
        if (piece->type == T0_PIECE_NORMAL && piece->score < least) least = piece->score;
    }
    out->unk_score = least - UNK_PENALTY;
    out->largest = fabsf(out->unk_score);
    for (size_t i = 0; i < spiece->n_pieces; i++) {
        const t0_piece *piece = &spiece->pieces[i];
        out->scores[i] = piece->type == T0_PIECE_USER ? (float)(piece->size * 0.1 - 0.1) : piece->score;
        if (in_trie(piece)) out->largest = fmaxf(out->largest, fabsf(out->scores[i]));
    }
    if (out->unk_id < spiece->n_pieces) out->scores[out->unk_id] = out->unk_score;
}

static bool has_inner_mark(const t0_piece *piece) {
    for (size_t i = 1; i < piece->size; i++)
        if (t0_is_space_mark(piece->text + i, piece->size - i)) return true;
    return false;
}

/* Keys of all pieces that are not reserved, sorted; *n of them. */
static void sort_pieces(const t0_spiece *spiece, t0_trie_key *keys, size_t *n) {
    *n = 0;
    for (size_t i = 0; i < spiece->n_pieces; i++) {
        const t0_piece *piece = &spiece->pieces[i];
        if (in_trie(piece) || piece->type == T0_PIECE_UNUSED) keys[(*n)++] = (t0_trie_key){piece->text, piece->size, (uint32_t)i};
    }
    t0_trie_sort(keys, *n);
}

static t0_status build_trie(t0_unigram *out, const t0_spiece *spiece, t0_trie_key *keys, t0_error *err) {
    size_t n, kept = 0;
    sort_pieces(spiece, keys, &n);
    if (n == 0) return t0_fail(err, T0_EFORMAT, "every piece is unknown, control or a byte: no text has ids by this model");
    T0_TRY(t0_trie_check_distinct(keys, n, err));
    for (size_t i = 0; i < n; i++) {
        const t0_piece *piece = &spiece->pieces[keys[i].value];
        if (!in_trie(piece)) continue;
        keys[kept++] = keys[i];
        if (piece->size > out->longest) out->longest = piece->size;
        out->words_apart &= !t0_crosses_words(piece);
        out->marks_lead &= !has_inner_mark(piece);
    }
    return t0_trie_build(&out->trie, keys, kept, err);
}

t0_status t0_unigram_new(t0_unigram *out, const t0_spiece *spiece, uint32_t unk_id, t0_error *err) {
    *out = (t0_unigram){.unk_id = unk_id, .longest = 4, .words_apart = true, .marks_lead = true};
    const size_t n = spiece->n_pieces;
    out->scores = t0_alloc(n * sizeof *out->scores);
    t0_trie_key *keys = t0_alloc(n * sizeof *keys);
    t0_status status = T0_OK;
    if (!keys || !out->scores) status = t0_fail_memory(err, n * sizeof *keys);
    else {
        set_scores(out, spiece);
        status = build_trie(out, spiece, keys, err);
    }
    t0_free(keys);
    return status;
}

void t0_unigram_free(t0_unigram *model) {
    t0_trie_free(&model->trie);
    t0_free(model->scores);
    *model = (t0_unigram){0};
}

static inline void offer(t0_best *best, float score, uint32_t id, uint32_t start) {
    if (best->start == T0_UNREACHED || score > best->score) *best = (t0_best){score, id, start};
}

/* Counts the scores of best[start .. reached] from best[start]; how many. */
static size_t rebase(t0_best *best, size_t start, size_t reached) {
    const float base = best[start].score;
    assert(start <= reached && (start == 0 || best[start].start != T0_UNREACHED));
    for (size_t i = start; i <= reached; i++) best[i].score -= base;
    return reached - start;
}

bool t0_unigram_search(const t0_unigram *model, t0_bytes text, float score_before, t0_best *best, t0_meter *meter) {
    const t0_trie_node *nodes = model->trie.nodes;
    const size_t size = text.size;
    assert(size < T0_UNREACHED);
    best[0] = (t0_best){score_before, 0, T0_UNREACHED};
    size_t reached = 0, cleared = 0, work = 0;
    for (size_t start = 0; start < size;) {
        const size_t furthest = model->longest < size - start ? start + model->longest : size;
        while (cleared < furthest) best[++cleared] = (t0_best){0.0f, 0, T0_UNREACHED};
        if (fabsf(best[start].score) > T0_REBASE_SCORE) work += rebase(best, start, reached);
        const float before = best[start].score;
        const size_t promised = t0_utf8_promised(text.data[start]);
        const size_t next = promised < size - start ? start + promised : size;
        bool covered = false;
        uint32_t node = 0;
        size_t i = start;
        for (; i < size && nodes && t0_trie_step(nodes, &node, text.data[i]); i++) {
            const uint32_t id = t0_trie_value(nodes, node);
            if (id == T0_TRIE_NONE) continue;
            offer(&best[i + 1], before + model->scores[id], id, (uint32_t)start);
            covered |= i + 1 == next;
            if (i + 1 > reached) reached = i + 1;
        }
        if (!covered) offer(&best[next], before + model->unk_score, model->unk_id, (uint32_t)start);
        if (next > reached) reached = next;
        work += i - start + 1;
        start = next;
        if (work < T0_METER_STEPS) continue;
        if (t0_meter_stops(meter, work)) return false;
        work = 0;
    }
    return !t0_meter_stops(meter, work);
}
