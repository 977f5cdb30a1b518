/* Training and inference: cutting a ragged batch into groups, and how many rows are worth holding. Only csrc/t5 includes this.
 *
 * A group is a run of consecutive sequences whose tokens fit a bound, or a single longer one. Each sequence depends on
 * itself alone, so where the cuts fall changes memory and speed, never a result. */
#ifndef T0_T5_GROUPS_H
#define T0_T5_GROUPS_H

#include "nn/exec.h"
#include "t5/model.h"

enum {
    T0_PASS_ROWS_LEAST = 256,  /* rows of a pass: enough to make good use of a weight that was fetched ... */
    T0_PASS_ROWS_MOST = 2048,  /* ... and of a small model no more than the caches like */
    T0_CROSS_FLOATS = 1 << 25, /* cross-attention keys and values held at a time when scoring: 128 MB ... */
    T0_HELD_FLOATS = 1 << 27,  /* ... and when generating, where every step reads all weights, with the tokens': 512 MB */
    T0_LOGIT_FLOATS = 1 << 22  /* logits held at a time: 16 MB */
};

/* The end of the group that begins with sequence `first`: offsets[end] - offsets[first] <= max_tokens, or end == first + 1. */
size_t t0_group_end(const int64_t *offsets, size_t n, size_t first, size_t max_tokens);

/* local[i] = offsets[first + i] - offsets[first], i <= end - first. */
void t0_group_offsets(int64_t *local, const int64_t *offsets, size_t first, size_t end);
/* ranges[i]: the rows of sequence first + i, counted from those of sequence `first`. */
void t0_group_ranges(t0_range *ranges, const int64_t *offsets, size_t first, size_t end);
/* Tokens of the longest of sequences first .. end - 1; 0 where there is none. */
size_t t0_group_longest(const int64_t *offsets, size_t first, size_t end);

/* Rows of one encoder or decoder pass over several sequences: so few that a sub-layer takes some 50 ms at most, since a
 * call can be stopped between two of them. */
size_t t0_pass_rows(const t0_model *model);

/* Most source tokens of a group whose cross-attention keys and values are held together. */
size_t t0_source_tokens(const t0_model *model);

/* Most source and new tokens whose keys and values are held together when generating. */
size_t t0_held_tokens(const t0_model *model);

/* Rows of logits computed at a time, at least 1 and at most n_rows. */
size_t t0_logit_rows(const t0_model *model, size_t n_rows);

#endif
