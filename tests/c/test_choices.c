/* The tree of prefixes: its rows against a count of different prefixes, its scores against those of targets by themselves. */
#include "check.h"

#include "base/memory.h"
#include "base/random.h"
#include "t5/choices.h"

#include <string.h>

enum { MOST_TARGETS = 300, MOST_TOKENS = 6000, VOCAB = 23 };

static t0_error err;

/* Targets and their sources, owned by the caller. */
typedef struct set {
    int32_t ids[MOST_TOKENS], source_of[MOST_TARGETS], source_ids[64];
    int64_t offsets[MOST_TARGETS + 1], source_offsets[9];
    t0_ragged targets, sources;
} set;

static size_t below(uint64_t seed, uint64_t at, size_t n) { return (size_t)(t0_random_u64(seed, 60, at) % n); }

/* n targets of 1 .. longest tokens out of `letters`, of n_sources sources in no order; few letters give duplicates and prefixes. */
static void fill(set *s, size_t n, size_t longest, size_t letters, size_t n_sources, uint64_t seed) {
    uint64_t at = 0;
    s->offsets[0] = s->source_offsets[0] = 0;
    for (size_t t = 0; t < n; t++) {
        const size_t length = 1 + below(seed, at++, longest);
        for (size_t k = 0; k < length; k++) s->ids[(size_t)s->offsets[t] + k] = (int32_t)(2 + below(seed, at++, letters));
        s->offsets[t + 1] = s->offsets[t] + (int64_t)length;
        s->source_of[t] = (int32_t)below(seed, at++, n_sources);
    }
    for (size_t i = 0; i < n_sources; i++) {
        s->source_offsets[i + 1] = s->source_offsets[i] + 1 + (int64_t)below(seed, at++, 6);
        for (int64_t k = s->source_offsets[i]; k < s->source_offsets[i + 1]; k++) s->source_ids[k] = (int32_t)below(seed, at++, VOCAB);
    }
    s->targets = (t0_ragged){.ids = s->ids, .offsets = s->offsets, .n = n};
    s->sources = (t0_ragged){.ids = s->source_ids, .offsets = s->source_offsets, .n = n_sources};
}

static void the_example_of_choices_h(void) {
    static const int32_t ids[] = {4, 6, 7, 4, 6, 5, 4, 6, 5, 8, 4, 9, 3}; /* set sea seal sun */
    static const int64_t offsets[] = {0, 3, 6, 10, 13}, source_offsets[] = {0, 2};
    static const int32_t source_of[4] = {0}, source[2] = {5, 6};
    const t0_ragged targets = {.ids = ids, .offsets = offsets, .n = 4}, sources = {.ids = source, .offsets = source_offsets, .n = 1};
    static const int64_t paths[] = {0, 1, 2, 0, 1, 2, 3, 0, 1, 4};
    static const int32_t expected_ids[] = {0, 4, 6, 5, 9};
    t0_choices choices;
    t0_chunk chunk;
    CHECK(t0_choices_order(&choices, &targets, source_of, 1, false, &err) == T0_OK);
    CHECK(t0_chunk_allocate(&chunk, &choices, 1));
    CHECK(t0_chunk_fill(&chunk, &choices, &sources, 0, 0, 4, 0, 100) == 4);
    CHECK(choices.order[0] == 1 && choices.order[1] == 2 && choices.order[2] == 0 && choices.order[3] == 3);
    CHECK(chunk.n_rows == 5 && chunk.n_sequences == 3 && chunk.n_labels == 7 && chunk.n_keys == 10 && chunk.most_keys == 4);
    CHECK(memcmp(chunk.key_rows, paths, sizeof paths) == 0 && memcmp(chunk.ids, expected_ids, sizeof expected_ids) == 0);
    CHECK(chunk.queries[1].begin == 3 && chunk.queries[1].end == 4 && chunk.keys[1].begin == 3 && chunk.keys[1].end == 7);
    CHECK(chunk.label_offsets[3] - chunk.label_offsets[2] == 2); /* a and t, behind s e */
    t0_chunk_free(&chunk);
    t0_choices_free(&choices);
}

static size_t length_of(const set *s, size_t t) { return (size_t)(s->offsets[t + 1] - s->offsets[t]); }

/* Whether an earlier target of the same source begins with the first n tokens of t, and has a row behind them. */
static bool was_there(const set *s, size_t t, size_t n) {
    for (size_t u = 0; u < t; u++)
        if (s->source_of[u] == s->source_of[t] && length_of(s, u) > n &&
            memcmp(s->ids + s->offsets[u], s->ids + s->offsets[t], n * sizeof *s->ids) == 0)
            return true;
    return false;
}

static size_t different_prefixes(const set *s) {
    size_t rows = 0;
    for (size_t t = 0; t < s->targets.n; t++)
        for (size_t n = 0; n < length_of(s, t); n++) rows += !was_there(s, t, n);
    return rows;
}

/* Every row's keys are its prefix, by the ids that stand there. */
static void check_keys(const t0_chunk *c) {
    for (size_t b = 0; b < c->n_sequences; b++) {
        const size_t n = c->keys[b].end - c->keys[b].begin, own = c->queries[b].end - c->queries[b].begin;
        CHECK(own > 0 && own <= n && n <= c->most_keys);
        for (size_t i = 0; i < own; i++) CHECK(c->key_rows[c->keys[b].end - own + i] == (int64_t)(c->queries[b].begin + i));
        for (size_t i = c->keys[b].begin + 1; i < c->keys[b].end; i++) CHECK(c->key_rows[i - 1] < c->key_rows[i]);
    }
}

static void rows_are_the_different_prefixes(void) {
    static set s;
    for (uint64_t seed = 0; seed < 40; seed++) {
        t0_choices choices;
        t0_chunk chunk;
        const size_t n = 1 + below(seed, 999, 120), letters = 1 + seed % 4;
        fill(&s, n, 1 + seed % 9, letters, 1 + seed % 8, seed);
        CHECK(t0_choices_order(&choices, &s.targets, s.source_of, s.sources.n, false, &err) == T0_OK);
        CHECK(t0_chunk_allocate(&chunk, &choices, s.sources.n));
        CHECK(t0_chunk_fill(&chunk, &choices, &s.sources, 0, 0, n, 0, MOST_TOKENS) == n);
        CHECK(chunk.n_rows == different_prefixes(&s));
        check_keys(&chunk);
        size_t whole = chunk.n_labels, cut = 0, place = 0;
        for (size_t most = 1 + seed % 11; place < n;) {
            const size_t before = place;
            place = t0_chunk_fill(&chunk, &choices, &s.sources, 0, before, n, 0, most);
            CHECK(place > before && (chunk.n_rows <= most || place == before + 1));
            check_keys(&chunk);
            cut += chunk.n_labels;
        }
        CHECK(whole == cut && whole <= (size_t)s.offsets[n]);
        t0_chunk_free(&chunk);
        t0_choices_free(&choices);
    }
}

static t0_model *model_of(size_t packed, t0_exec *exec) {
    static const t0_config config = {.vocab_size = VOCAB,
                                     .d_model = 24,
                                     .d_kv = 5,
                                     .d_ff = 14,
                                     .n_layers = 1,
                                     .n_decoder_layers = 3,
                                     .n_heads = 3,
                                     .n_buckets = 8,
                                     .max_distance = 20,
                                     .norm_epsilon = 1e-6f,
                                     .gated = true,
                                     .eos_id = 1};
    static const t0_dtype dtypes[] = {T0_FLOAT32, T0_BFLOAT16, T0_INT8};
    t0_model *model = NULL;
    CHECK((packed ? t0_model_new_packed(&model, &config, dtypes[packed - 1], NULL, 0, &err) : t0_model_new(&model, &config, &err)) ==
          T0_OK);
    CHECK(t0_model_init(model, exec, T0_INIT_T5, 7, NULL, &err) == T0_OK);
    return model;
}

static void scores_have_the_bits_of_targets_by_themselves(void) {
    static set s;
    static float together[MOST_TOKENS], apart[MOST_TOKENS];
    double scores[MOST_TARGETS], of_each[MOST_TARGETS];
    for (size_t i = 0; t0_kernels_at(i); i++)
        for (size_t form = 0; form < 4 && t0_kernels_available(t0_kernels_at(i)); form++) {
            t0_exec *exec = NULL;
            CHECK(t0_exec_new(&exec, t0_kernels_at(i), 1 + form % 2, true, &err) == T0_OK);
            t0_model *model = model_of(form, exec);
            for (uint64_t seed = 0; seed < 6; seed++) {
                fill(&s, seed == 5 ? 1 : MOST_TARGETS, seed == 4 ? 20 : 8, 1 + seed, 1 + seed, seed);
                CHECK(t0_score(model, exec, scores, together, &s.sources, &s.targets, s.source_of, false, NULL, &err) == T0_OK);
                CHECK(t0_score(model, exec, of_each, apart, &s.sources, &s.targets, s.source_of, true, NULL, &err) == T0_OK);
                CHECK(memcmp(together, apart, (size_t)s.offsets[s.targets.n] * sizeof *apart) == 0);
                CHECK(memcmp(scores, of_each, s.targets.n * sizeof *scores) == 0);
            }
            t0_model_free(model);
            t0_exec_free(exec);
        }
}

static void order_may_lack_memory(void) {
    static set s;
    fill(&s, 20, 5, 3, 2, 1);
    for (long at = 0; at < 5; at++) {
        t0_choices choices;
        t0_alloc_fail_after(at);
        CHECK(t0_choices_order(&choices, &s.targets, s.source_of, s.sources.n, false, &err) == T0_ENOMEM);
        t0_alloc_fail_after(-1);
        t0_choices_free(&choices);
    }
}

int main(void) {
    T0_RUN(the_example_of_choices_h);
    T0_RUN(rows_are_the_different_prefixes);
    T0_RUN(scores_have_the_bits_of_targets_by_themselves);
    T0_RUN(order_may_lack_memory);
    return t0_report();
}
