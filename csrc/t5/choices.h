/* Inference: which rows of the decoder the targets of a call need, when those of one source share what they begin with. Only csrc/t5
 * includes this.
 *
 *     decoder inputs of target y[0..T-1]:  start, y[0], ..., y[T-2]         row n predicts y[n]
 *
 * Row n depends on its source and y[0..n-1] alone, so targets of a source that begin alike have their first rows in common: a tree
 * of prefixes whose root is the start token. Targets of a source stand in lexicographic order, which is the order of a walk through
 * that tree: each leaves the path of the one before at some row, keeps what lies above and adds the rest:
 *
 *     kept rows = min(shared tokens, T of the one before - 1, T - 1) + 1
 *
 *     target        rows of its path    sequence of the pass: queries; keys
 *     s e a         0 1 2               0 1 2;  0 1 2
 *     s e a l       0 1 2 3             3;      0 1 2 3
 *     s e t         0 1 2               none: row 2 predicts a and t
 *     s u n         0 1 4               4;      0 1 4
 *
 * The keys of a row are its own prefix, oldest first, whoever else has them: the sums and their order are those of a target by
 * itself, and so are the bits. A tree has never more rows than the targets apart, which share the start row alone; what it costs is
 * the order. */
#ifndef T0_T5_CHOICES_H
#define T0_T5_CHOICES_H

#include "t5/t5.h"

/* Targets ordered by source and, of one source, lexicographically: place k holds target order[k]. */
typedef struct t0_choices {
    const t0_ragged *targets; /* a checked batch, borrowed */
    size_t *order;            /* [n] */
    size_t *first_of_source;  /* [n sources + 1] into order */
    int64_t *offsets;         /* [n + 1] tokens in this order */
    size_t *shared;           /* [n] first tokens that place k has in common with place k - 1, of the same source */
} t0_choices;

/* source_of [n targets], each below n_sources. apart: no target shares a token, in the order they have: the same bits by more rows.
 * T0_ENOMEM. Free it in any case. */
t0_status t0_choices_order(t0_choices *choices, const t0_ragged *targets, const int32_t *source_of, size_t n_sources, bool apart,
                           t0_error *err);
void t0_choices_free(t0_choices *choices);

/* Some consecutive places as one pass of the decoder. Arrays are sized for all of a call. */
typedef struct t0_chunk {
    size_t n_rows, n_sequences, n_cross, n_labels, n_keys, most_keys, most_sources;
    int32_t *ids;                 /* [rows] */
    t0_range *queries, *keys;     /* [sequences] rows; entries of key_rows */
    int64_t *key_rows;            /* [keys of all sequences] */
    t0_range *cross_queries, *cross_keys; /* [sources] rows of the pass; of the group's encoder states */
    int64_t *label_offsets;       /* [rows + 1] */
    int32_t *labels;              /* [labels] by row */
    size_t *tokens;               /* [labels] which token of the call each is, in t0_choices' order */
    size_t *path;                 /* [tokens of the longest target] rows of the place filled last */
    struct t0_chunk_label *found; /* [labels] in order of places */
} t0_chunk;

bool t0_chunk_allocate(t0_chunk *chunk, const t0_choices *choices, size_t n_sources);
void t0_chunk_free(t0_chunk *chunk);
/* Fills the chunk with places first .. and returns where it ends: at `last` or before a place that would bring it over most_rows, but
 * behind at least one. first_source: the group's, at or before that of place `first`; the group's encoder states begin with it. A token
 * that its place shares with the one before gets no label: its score is that one's. */
size_t t0_chunk_fill(t0_chunk *chunk, const t0_choices *choices, const t0_ragged *sources, int32_t start_id, size_t first, size_t last,
                     size_t first_source, size_t most_rows);

#endif
