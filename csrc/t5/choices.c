/* Inference: targets in the order of their tree of prefixes, and the passes that walk it (see choices.h). */
#include "t5/choices.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>

/* ---- order ---------------------------------------------------------------------------------------------------------- */

/* A target while it is sorted. */
typedef struct word {
    const int32_t *ids; /* [length], borrowed */
    size_t length, target;
} word;

static size_t common(const word *a, const word *b) {
    const size_t most = t0_size_min(a->length, b->length);
    size_t n = 0;
    while (n < most && a->ids[n] == b->ids[n]) n++;
    return n;
}

/* Lexicographic, a prefix first; equal ones by their number, so that the order is one. */
static int compare(const void *left, const void *right) {
    const word *a = left, *b = right;
    const size_t n = common(a, b);
    if (n < a->length && n < b->length) return a->ids[n] < b->ids[n] ? -1 : 1;
    if (a->length != b->length) return a->length < b->length ? -1 : 1;
    return a->target < b->target ? -1 : a->target > b->target;
}

static word word_of(const t0_ragged *targets, size_t t) {
    return (word){targets->ids + targets->offsets[t], (size_t)(targets->offsets[t + 1] - targets->offsets[t]), t};
}

/* Counting sort of targets by source, stable. */
static void order_by_source(t0_choices *c, const int32_t *source_of, size_t n_sources) {
    const size_t n = c->targets->n;
    for (size_t s = 0; s <= n_sources; s++) c->first_of_source[s] = 0;
    for (size_t t = 0; t < n; t++) c->first_of_source[source_of[t] + 1]++;
    for (size_t s = 0; s < n_sources; s++) c->first_of_source[s + 1] += c->first_of_source[s];
    for (size_t t = 0; t < n; t++) c->order[c->first_of_source[source_of[t]]++] = t;
    for (size_t s = n_sources; s > 0; s--) c->first_of_source[s] = c->first_of_source[s - 1];
    c->first_of_source[0] = 0;
    assert(c->first_of_source[n_sources] == n);
}

/* Targets of one source, places first .. end - 1, by their tokens; words: room for as many. */
static void order_by_prefix(t0_choices *c, word *words, size_t first, size_t end) {
    const size_t n = end - first;
    bool sorted = true;
    for (size_t i = 0; i < n; i++) {
        words[i] = word_of(c->targets, c->order[first + i]);
        sorted = sorted && (i == 0 || compare(&words[i - 1], &words[i]) < 0);
    }
    if (!sorted) qsort(words, n, sizeof *words, compare);
    for (size_t i = 0; i < n; i++) {
        c->order[first + i] = words[i].target;
        c->shared[first + i] = i ? common(&words[i - 1], &words[i]) : 0;
    }
}

t0_status t0_choices_order(t0_choices *choices, const t0_ragged *targets, const int32_t *source_of, size_t n_sources, bool apart,
                           t0_error *err) {
    const size_t n = targets->n;
    *choices = (t0_choices){.targets = targets};
    choices->order = t0_alloc(n * sizeof *choices->order);
    choices->first_of_source = t0_alloc((n_sources + 1) * sizeof *choices->first_of_source);
    choices->offsets = t0_alloc((n + 1) * sizeof *choices->offsets);
    choices->shared = t0_alloc_zero(n * sizeof *choices->shared);
    word *words = t0_alloc(n * sizeof *words);
    const bool good = choices->order && choices->first_of_source && choices->offsets && choices->shared && words;
    if (good) {
        order_by_source(choices, source_of, n_sources);
        for (size_t s = 0; s < n_sources && !apart; s++)
            order_by_prefix(choices, words, choices->first_of_source[s], choices->first_of_source[s + 1]);
        choices->offsets[0] = 0;
        for (size_t k = 0; k < n; k++) choices->offsets[k + 1] = choices->offsets[k] + (int64_t)word_of(targets, choices->order[k]).length;
    }
    t0_free(words);
    return good ? T0_OK : t0_fail_memory(err, n * (sizeof *words + 3 * sizeof *choices->order));
}

void t0_choices_free(t0_choices *choices) {
    t0_free(choices->order);
    t0_free(choices->first_of_source);
    t0_free(choices->offsets);
    t0_free(choices->shared);
}

/* ---- chunks --------------------------------------------------------------------------------------------------------- */

typedef struct t0_chunk_label {
    size_t row, token;
    int32_t id;
} label;

static size_t length_of(const t0_choices *choices, size_t k) { return (size_t)(choices->offsets[k + 1] - choices->offsets[k]); }

/* Each place adds at most its tokens' number of rows, labels and keys. */
bool t0_chunk_allocate(t0_chunk *c, const t0_choices *choices, size_t n_sources) {
    const size_t n = choices->targets->n, tokens = (size_t)choices->offsets[n];
    size_t longest = 0;
    for (size_t k = 0; k < n; k++) longest = t0_size_max(longest, length_of(choices, k));
    *c = (t0_chunk){0};
    c->ids = t0_alloc(tokens * sizeof *c->ids);
    c->queries = t0_alloc(n * sizeof *c->queries);
    c->keys = t0_alloc(n * sizeof *c->keys);
    c->key_rows = t0_alloc(tokens * sizeof *c->key_rows);
    c->cross_queries = t0_alloc(n_sources * sizeof *c->cross_queries);
    c->cross_keys = t0_alloc(n_sources * sizeof *c->cross_keys);
    c->label_offsets = t0_alloc((tokens + 1) * sizeof *c->label_offsets);
    c->labels = t0_alloc(tokens * sizeof *c->labels);
    c->tokens = t0_alloc(tokens * sizeof *c->tokens);
    c->path = t0_alloc(longest * sizeof *c->path);
    c->found = t0_alloc(tokens * sizeof *c->found);
    return c->ids && c->queries && c->keys && c->key_rows && c->cross_queries && c->cross_keys && c->label_offsets && c->labels &&
           c->tokens && c->path && c->found;
}

void t0_chunk_free(t0_chunk *c) {
    t0_free(c->ids);
    t0_free(c->queries);
    t0_free(c->keys);
    t0_free(c->key_rows);
    t0_free(c->cross_queries);
    t0_free(c->cross_keys);
    t0_free(c->label_offsets);
    t0_free(c->labels);
    t0_free(c->tokens);
    t0_free(c->path);
    t0_free(c->found);
}

/* Rows that place k, of the same source and chunk as k - 1, has in common with it. */
static size_t kept_rows(const t0_choices *choices, size_t k) {
    const size_t shared = choices->shared[k], before = length_of(choices, k - 1) - 1, own = length_of(choices, k) - 1;
    return t0_size_min(shared, t0_size_min(before, own)) + 1;
}

/* Place k behind what the chunk holds, whose path has `kept` rows of it. */
static void add_place(t0_chunk *c, const t0_choices *choices, size_t k, size_t kept, int32_t start_id) {
    const word y = word_of(choices->targets, choices->order[k]);
    const size_t begin = c->n_rows, first_key = c->n_keys;
    for (size_t n = kept; n < y.length; n++) {
        c->path[n] = c->n_rows;
        c->ids[c->n_rows++] = n ? y.ids[n - 1] : start_id;
    }
    for (size_t n = choices->shared[k]; n < y.length; n++)
        c->found[c->n_labels++] = (label){c->path[n], (size_t)choices->offsets[k] + n, y.ids[n]};
    if (c->n_rows == begin) return;
    for (size_t n = 0; n < y.length; n++) c->key_rows[c->n_keys++] = (int64_t)c->path[n];
    c->queries[c->n_sequences] = (t0_range){begin, c->n_rows};
    c->keys[c->n_sequences++] = (t0_range){first_key, c->n_keys};
    c->most_keys = t0_size_max(c->most_keys, y.length);
}

/* Labels by row: a counting sort. */
static void sort_labels(t0_chunk *c) {
    for (size_t row = 0; row <= c->n_rows; row++) c->label_offsets[row] = 0;
    for (size_t i = 0; i < c->n_labels; i++) c->label_offsets[c->found[i].row + 1]++;
    for (size_t row = 0; row < c->n_rows; row++) c->label_offsets[row + 1] += c->label_offsets[row];
    for (size_t i = 0; i < c->n_labels; i++) {
        const size_t at = (size_t)c->label_offsets[c->found[i].row]++;
        c->labels[at] = c->found[i].id;
        c->tokens[at] = c->found[i].token;
    }
    for (size_t row = c->n_rows; row > 0; row--) c->label_offsets[row] = c->label_offsets[row - 1];
    c->label_offsets[0] = 0;
}

/* Rows from `begin` on are those of a source whose encoder states are `states` of the group's. */
static void add_cross(t0_chunk *c, size_t begin, t0_range states) {
    c->cross_queries[c->n_cross] = (t0_range){begin, c->n_rows};
    c->cross_keys[c->n_cross++] = states;
    c->most_sources = t0_size_max(c->most_sources, states.end - states.begin);
}

size_t t0_chunk_fill(t0_chunk *c, const t0_choices *choices, const t0_ragged *sources, int32_t start_id, size_t first, size_t last,
                     size_t first_source, size_t most_rows) {
    const int64_t *offsets = sources->offsets;
    c->n_rows = c->n_sequences = c->n_cross = c->n_labels = c->n_keys = c->most_keys = c->most_sources = 0;
    size_t k = first;
    bool room = true;
    for (size_t source = first_source; k < last && room; source++) {
        const size_t end = t0_size_min(choices->first_of_source[source + 1], last), begin = c->n_rows, first_place = k;
        for (; k < end; k++) {
            const size_t kept = k == first_place ? 0 : kept_rows(choices, k);
            room = k == first || c->n_rows + length_of(choices, k) - kept <= most_rows;
            if (!room) break;
            add_place(c, choices, k, kept, start_id);
        }
        if (k > first_place)
            add_cross(c, begin,
                      (t0_range){(size_t)(offsets[source] - offsets[first_source]), (size_t)(offsets[source + 1] - offsets[first_source])});
    }
    sort_labels(c);
    assert(k > first && c->n_rows <= (size_t)choices->offsets[choices->targets->n] && c->n_sequences <= choices->targets->n);
    return k;
}
