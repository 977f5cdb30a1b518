/* Training and inference: the check of a ragged batch; after it, layers may index tables and rows without asking again. */
#include "t5/t5.h"

static t0_status check_length(const t0_ragged *batch, size_t i, const char *what, t0_error *err) {
    const int64_t start = batch->offsets[i], end = batch->offsets[i + 1];
    if (end > start) return T0_OK;
    return t0_fail(err, T0_EVALUE, "%s: sequence %zu has offsets %lld to %lld: it must have at least one token", what, i, (long long)start,
                   (long long)end);
}

static t0_status check_ids(const t0_ragged *batch, size_t i, const char *what, int32_t vocab_size, t0_error *err) {
    const int64_t start = batch->offsets[i], end = batch->offsets[i + 1];
    const t0_adapter *adapter = batch->adapters ? batch->adapters[i] : NULL;
    const int64_t limit = vocab_size + (adapter ? (int64_t)adapter->n_prompts : 0);
    for (int64_t n = start; n < end; n++)
        if (batch->ids[n] < 0 || batch->ids[n] >= limit)
            return t0_fail(err, T0_EVALUE, "%s: sequence %zu, position %lld: id %d is not in the vocabulary of %d", what, i,
                           (long long)(n - start), batch->ids[n], vocab_size);
    return T0_OK;
}

static t0_status check_begin(const t0_ragged *batch, const char *what, t0_error *err) {
    if (batch->n > INT32_MAX) return t0_fail(err, T0_EVALUE, "%s: %zu sequences: at most %d", what, batch->n, INT32_MAX);
    if (batch->offsets[0] == 0) return T0_OK;
    return t0_fail(err, T0_EVALUE, "%s: offsets begin with %lld: they must begin with 0", what, (long long)batch->offsets[0]);
}

t0_status t0_ragged_check_offsets(const t0_ragged *batch, const char *what, t0_error *err) {
    T0_TRY(check_begin(batch, what, err));
    for (size_t i = 0; i < batch->n; i++) T0_TRY(check_length(batch, i, what, err));
    return T0_OK;
}

t0_status t0_ragged_check(const t0_ragged *batch, const char *what, int32_t vocab_size, t0_error *err) {
    T0_TRY(check_begin(batch, what, err));
    for (size_t i = 0; i < batch->n; i++) {
        T0_TRY(check_length(batch, i, what, err));
        T0_TRY(check_ids(batch, i, what, vocab_size, err));
    }
    return T0_OK;
}
