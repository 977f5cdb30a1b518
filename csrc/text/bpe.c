/* Joining pairs, as SentencePiece (src/bpe_model.cc) and the tokenizers package (models/bpe/word.rs) do:
 *
 *     offer every pair of neighbours that the table has
 *     take the offer of lowest rank, of equals the leftmost; join it if both halves are still as they were; offer the two new pairs
 *
 * Offers wait in a binary heap, ordered by rank << 32 | place: n symbols cost n log n steps, whatever the text. Up to FEW symbols, which is
 * what words have, the ranks of all pairs stand in a row instead, and the lowest is looked for in it: the same order, for an offer that
 * outlives its pair is not taken, and a pair that lives has its offer. */
#include "text/bpe.h"

#include <assert.h>
#include <string.h>

enum { FEW = 48 };

void t0_bpe_free(t0_bpe *bpe) {
    t0_free(bpe->pairs);
    t0_trie_free(&bpe->characters);
    *bpe = (t0_bpe){0};
}

t0_status t0_bpe_table(t0_bpe *out, const t0_pair *pairs, size_t n, t0_error *err) {
    size_t size = 16;
    while (size < 2 * n) size *= 2;
    out->pairs = t0_alloc(size * sizeof *pairs);
    if (!out->pairs) return t0_fail_memory(err, size * sizeof *pairs);
    memset(out->pairs, 0xFF, size * sizeof *pairs); /* keys of T0_NO_PAIR */
    out->mask = size - 1;
    for (size_t i = 0; i < n; i++) {
        uint64_t hash = pairs[i].key * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 32;
        size_t at = hash & out->mask;
        while (out->pairs[at].key != T0_NO_PAIR && out->pairs[at].key != pairs[i].key) at = (at + 1) & out->mask;
        out->pairs[at] = pairs[i];
    }
    return T0_OK;
}

t0_status t0_bpe_characters(t0_bpe *out, const t0_trie_key *keys, size_t n, t0_error *err) {
    for (size_t i = 0; i < 256; i++) out->bytes[i] = T0_NO_SYMBOL;
    for (size_t i = 0; i < n; i++)
        if (keys[i].size == 1) out->bytes[keys[i].text[0]] = keys[i].value;
    return t0_trie_build(&out->characters, keys, n, err);
}

typedef struct offer {
    uint64_t order; /* rank << 32 | left */
    uint32_t both, size;
} offer;

static void sift_up(offer *heap, size_t i) {
    const offer moved = heap[i];
    for (; i > 0 && heap[(i - 1) / 2].order > moved.order; i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
    heap[i] = moved;
}

/* Puts `moved` where heap[0] was, of n. */
static void sift_down(offer *heap, size_t n, offer moved) {
    size_t i = 0;
    for (size_t child = 1; child < n; child = 2 * i + 1) {
        if (child + 1 < n && heap[child + 1].order < heap[child].order) child++;
        if (heap[child].order >= moved.order) break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = moved;
}

static const t0_pair *pair_of(const t0_bpe *bpe, const t0_symbol *symbols, int32_t left, int32_t right) {
    if (left < 0 || right < 0 || symbols[left].frozen || symbols[right].frozen) return NULL;
    if (symbols[left].id == T0_NO_SYMBOL || symbols[right].id == T0_NO_SYMBOL) return NULL;
    return t0_bpe_pair(bpe, symbols[left].id, symbols[right].id);
}

/* Offers the pair at `left`, where it is one; false when there is no memory. */
static bool make_offer(const t0_bpe *bpe, const t0_symbol *symbols, int32_t left, t0_buffer *heap, t0_halves *halves) {
    const int32_t right = left < 0 ? -1 : symbols[left].next;
    const t0_pair *pair = pair_of(bpe, symbols, left, right);
    if (!pair) return true;
    const offer made = {(uint64_t)pair->rank << 32 | (uint32_t)left, pair->both, symbols[left].size + symbols[right].size};
    if (!t0_buffer_add(heap, &made, sizeof made)) return false;
    sift_up((offer *)heap->data, heap->size / sizeof made - 1);
    if (halves) halves[pair->both] = (t0_halves){symbols[left].id, symbols[right].id};
    return true;
}

static offer take_best(t0_buffer *heap) {
    offer *offers = (offer *)heap->data;
    const offer best = offers[0];
    heap->size -= sizeof best;
    const size_t n = heap->size / sizeof best;
    if (n) sift_down(offers, n, offers[n]);
    return best;
}

static void join(t0_symbol *symbols, int32_t left, uint32_t both) {
    t0_symbol *a = &symbols[left], *b = &symbols[a->next];
    a->id = both;
    a->size += b->size;
    a->next = b->next;
    if (b->next >= 0) symbols[b->next].before = left;
    b->size = 0;
}

static t0_status join_by_heap(const t0_bpe *bpe, t0_symbol *symbols, size_t n, t0_buffer *heap, t0_halves *halves, t0_meter *meter,
                              t0_error *err) {
    heap->size = 0;
    for (size_t i = 0; i + 1 < n; i++) {
        if (!make_offer(bpe, symbols, (int32_t)i, heap, halves)) return t0_fail_memory(err, 2 * heap->size);
        if (t0_meter_stops(meter, 8)) return t0_fail_stopped(err);
    }
    while (heap->size) {
        const offer best = take_best(heap);
        const int32_t left = (int32_t)(uint32_t)best.order;
        if (t0_meter_stops(meter, 16)) return t0_fail_stopped(err);
        const t0_symbol *a = &symbols[left];
        if (a->size == 0 || a->next < 0 || a->size + symbols[a->next].size != best.size) continue;
        join(symbols, left, best.both);
        const bool offered = make_offer(bpe, symbols, a->before, heap, halves) && make_offer(bpe, symbols, left, heap, halves);
        if (!offered) return t0_fail_memory(err, 2 * heap->size);
    }
    return T0_OK;
}

typedef struct few {
    uint32_t rank[FEW], both[FEW]; /* of the pair that begins at each symbol; UINT32_MAX: none */
} few;

static void rank_at(few *f, const t0_bpe *bpe, const t0_symbol *symbols, int32_t left) {
    if (left < 0) return;
    const t0_pair *pair = pair_of(bpe, symbols, left, symbols[left].next);
    f->rank[left] = pair ? pair->rank : UINT32_MAX;
    f->both[left] = pair ? pair->both : 0;
}

static void join_few(const t0_bpe *bpe, t0_symbol *symbols, size_t n) {
    few f;
    assert(n <= FEW);
    for (size_t i = 0; i < n; i++) rank_at(&f, bpe, symbols, (int32_t)i);
    for (;;) {
        size_t best = 0;
        for (size_t i = 1; i < n; i++)
            if (f.rank[i] < f.rank[best]) best = i;
        if (n == 0 || f.rank[best] == UINT32_MAX) return;
        f.rank[symbols[best].next] = UINT32_MAX;
        join(symbols, (int32_t)best, f.both[best]);
        rank_at(&f, bpe, symbols, symbols[best].before);
        rank_at(&f, bpe, symbols, (int32_t)best);
    }
}

t0_status t0_bpe_join(const t0_bpe *bpe, t0_symbol *symbols, size_t n, t0_buffer *heap, t0_halves *halves, t0_meter *meter, t0_error *err) {
    assert(n < INT32_MAX);
    for (size_t i = 0; i < n; i++) {
        symbols[i].before = (int32_t)i - 1;
        symbols[i].next = i + 1 < n ? (int32_t)i + 1 : -1;
    }
    if (n > FEW || halves) return join_by_heap(bpe, symbols, n, heap, halves, meter, err);
    join_few(bpe, symbols, n);
    return t0_meter_stops(meter, n * n) ? t0_fail_stopped(err) : T0_OK;
}
