/* Groups of consecutive sequences (see groups.h). */
#include "t5/groups.h"

#include <assert.h>

size_t t0_group_end(const int64_t *offsets, size_t n, size_t first, size_t max_tokens) {
    assert(first < n);
    size_t end = first + 1;
    while (end < n && (size_t)(offsets[end + 1] - offsets[first]) <= max_tokens) end++;
    return end;
}

void t0_group_offsets(int64_t *local, const int64_t *offsets, size_t first, size_t end) {
    for (size_t i = first; i <= end; i++) local[i - first] = offsets[i] - offsets[first];
}

void t0_group_ranges(t0_range *ranges, const int64_t *offsets, size_t first, size_t end) {
    for (size_t i = first; i < end; i++)
        ranges[i - first] = (t0_range){(size_t)(offsets[i] - offsets[first]), (size_t)(offsets[i + 1] - offsets[first])};
}

size_t t0_group_longest(const int64_t *offsets, size_t first, size_t end) {
    size_t longest = 0;
    for (size_t i = first; i < end; i++) longest = t0_size_max(longest, (size_t)(offsets[i + 1] - offsets[i]));
    return longest;
}

size_t t0_pass_rows(const t0_model *model) {
    const double multiplications = 2.5e9, a_row = (double)model->config.d_model * model->config.d_ff * (model->config.gated ? 2 : 1);
    const double rows = multiplications / a_row;
    return rows < T0_PASS_ROWS_LEAST ? T0_PASS_ROWS_LEAST : rows > T0_PASS_ROWS_MOST ? T0_PASS_ROWS_MOST : (size_t)rows;
}

size_t t0_source_tokens(const t0_model *model) {
    const size_t a_row = t0_cross_size(model, 1);
    const size_t rows = T0_CROSS_FLOATS / a_row, most = t0_pass_rows(model);
    return rows < most ? rows : most;
}

size_t t0_held_tokens(const t0_model *model) {
    const size_t rows = T0_HELD_FLOATS / t0_cross_size(model, 1);
    return rows > 0 ? rows : 1;
}

size_t t0_logit_rows(const t0_model *model, size_t n_rows) {
    const size_t fitting = T0_LOGIT_FLOATS / (size_t)model->config.vocab_size;
    const size_t rows = fitting > 0 ? fitting : 1;
    return rows < n_rows ? rows : n_rows;
}
