/* The kinds of tokenizers beside unigram: broken model files, failing allocations, long words. What ids are right is tested against their
 * libraries in tests/test_tokenizer_kinds.py; here nothing may crash, leak or read outside (run under the sanitizers). */
#include "check.h"
#include "text_models.h"

#include "base/random.h"
#include "text/parts.h"

#include <stdlib.h>
#include <time.h>

static t0_model_kind kind; /* of small_model */
static bool unused;        /* BPE with a piece that is taken apart again */

static void add_merge(t0_buffer *out, uint32_t left, uint32_t right, uint32_t both) {
    const uint32_t merge[] = {left, right, both};
    for (size_t i = 0; i < 3; i++)
        for (unsigned byte = 0; byte < 4; byte++) t0_buffer_add(out, &(uint8_t){(uint8_t)(merge[i] >> (8 * byte))}, 1);
}

static void add_byte_pieces(t0_buffer *out) {
    char name[8];
    for (int byte = 0; byte < 256; byte++) {
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)byte);
        add_piece(out, name, 0, T0_PIECE_BYTE);
    }
}

/* 0 <pad>, 1 </s>, 2 <unk>, 3 a, 4 b, 5 ab, 6 ba, 7 aba, 8 U+2581 (of bytes its letter), then bytes where there are such */
static t0_buffer small_model(void) {
    t0_buffer out = {0}, trainer = {0}, merges = {0}, hub = {0};
    static const char *const pieces[] = {"a", "b", "ab", "ba", "aba"};
    add_piece(&out, "<pad>", 0, T0_PIECE_CONTROL);
    add_piece(&out, "</s>", 0, T0_PIECE_CONTROL);
    add_piece(&out, "<unk>", 0, T0_PIECE_UNKNOWN);
    for (size_t i = 0; i < 5 && kind != T0_MODEL_BYTES; i++)
        add_piece(&out, pieces[i], -(float)i, unused && i == 2 ? T0_PIECE_UNUSED : T0_PIECE_NORMAL);
    if (kind != T0_MODEL_BYTES) add_piece(&out, kind == T0_MODEL_BYTE_LEVEL ? "\xC4\xA0" : "\xE2\x96\x81", -9, T0_PIECE_NORMAL);
    if (kind != T0_MODEL_BYTE_LEVEL) {
        add_byte_pieces(&out);
        add_number(&trainer, 35, 1);
    }
    add_number(&trainer, 3, kind == T0_MODEL_BPE ? 2 : 1);
    add_bytes(&out, 2, trainer.data, trainer.size);
    if (kind != T0_MODEL_BPE) {
        add_number(&hub, 1, kind);
        add_merge(&merges, 3, 4, 5);
        add_merge(&merges, 5, 3, 7);
        if (kind != T0_MODEL_BYTES) add_bytes(&hub, 2, merges.data, merges.size);
        add_number(&hub, 3, kind == T0_MODEL_BYTE_LEVEL ? T0_SPLIT_WORDS : T0_SPLIT_MARKS);
        add_number(&hub, 4, 1);
        add_number(&hub, 8, 1);
        add_number(&hub, 9, 1);
        add_bytes(&out, 200, hub.data, hub.size);
    }
    t0_buffer_free(&trainer);
    t0_buffer_free(&merges);
    t0_buffer_free(&hub);
    return out;
}

/* Loads, encodes a few texts twice and with places, decodes all ids. */
static t0_status exercise(t0_bytes file, t0_error *err) {
    static const char *const texts[] = {"",
                                        " ",
                                        "ab aba 12's \xC3\xA9",
                                        "\xF0\x9F\x98\x80z",
                                        "\xFF\xE2\x96",
                                        "  a\tb ",
                                        "AAAb",
                                        "aaabababababababababababababababababababababababababababababababab"};
    static const t0_added_token added = {.text = {(const uint8_t *)"<x>", 3}, .id = 400, .flags = T0_ADDED_LSTRIP};
    t0_tokenizer *tok = NULL;
    T0_TRY(t0_tokenizer_new(&tok, file, 3, &added, 1, err));
    t0_encoder encoder = {.tokenizer = tok};
    t0_buffer ids = {0}, text = {0}, spans = {0};
    t0_status status = T0_OK;
    for (size_t i = 0; i < 2 * sizeof texts / sizeof *texts && status == T0_OK; i++) {
        const t0_bytes in = {(const uint8_t *)texts[i / 2], strlen(texts[i / 2])};
        const size_t before = ids.size;
        status = t0_encode(&encoder, in, &ids, NULL, err);
        spans.size = 0;
        if (status == T0_OK) status = t0_encode_spans(&encoder, in, &spans, NULL, err);
        const t0_span *span = (const t0_span *)spans.data;
        const int32_t *id = (const int32_t *)(ids.data + before);
        if (status == T0_OK) CHECK((ids.size - before) / 4 == spans.size / sizeof *span);
        for (size_t k = 0; status == T0_OK && k < spans.size / sizeof *span; k++)
            CHECK(span[k].id == id[k] && span[k].begin <= span[k].end && span[k].end <= encoder.normal.size &&
                  span[k].origin_end <= in.size);
    }
    if (status == T0_OK) status = t0_tokenizer_decode(tok, (const int32_t *)ids.data, ids.size / 4, true, &text, NULL, err);
    for (int32_t id = 0; status == T0_OK && id < (int32_t)tok->spiece.n_pieces + 4; id++)
        status = t0_tokenizer_decode(tok, &id, 1, id % 2, &text, NULL, err);
    t0_encoder_free(&encoder);
    t0_buffer_free(&ids);
    t0_buffer_free(&text);
    t0_buffer_free(&spans);
    t0_tokenizer_free(tok);
    return status;
}

static bool ids_are(const t0_tokenizer *tok, const char *text, const int32_t *expected, size_t n) {
    t0_encoder encoder = {.tokenizer = tok};
    t0_buffer ids = {0};
    t0_error err = {0};
    const bool fine = t0_encode(&encoder, (t0_bytes){(const uint8_t *)text, strlen(text)}, &ids, NULL, &err) == T0_OK &&
                      ids.size == n * sizeof *expected && memcmp(ids.data, expected, ids.size) == 0;
    t0_buffer_free(&ids);
    t0_encoder_free(&encoder);
    return fine;
}

static void small_models_give_the_ids_worked_out_by_hand(void) {
    t0_buffer file = small_model();
    t0_tokenizer *tok = NULL;
    t0_error err = {0};
    CHECK(t0_tokenizer_new(&tok, (t0_bytes){file.data, file.size}, 3, NULL, 0, &err) == T0_OK);
    if (!tok) return;
    CHECK(tok->spiece.kind == kind && tok->eos_id == 1 && tok->unk_id == 2 && tok->start_id == (kind == T0_MODEL_BPE ? -1 : 0));
    /* ab joins before ba, and aba of ab and a; with ab unused it is taken apart again; U+2581 in front */
    if (kind == T0_MODEL_BPE && !unused) CHECK(ids_are(tok, "abab", (const int32_t[]){8, 5, 5}, 3));
    if (kind == T0_MODEL_BPE && unused) CHECK(ids_are(tok, "abab", (const int32_t[]){8, 3, 4, 3, 4}, 5));
    if (kind == T0_MODEL_MERGES) CHECK(ids_are(tok, "aba c", (const int32_t[]){8, 7, 8, 9 + 'c'}, 4));
    if (kind == T0_MODEL_BYTE_LEVEL) CHECK(ids_are(tok, "aba ab", (const int32_t[]){8, 7, 8, 5}, 4));
    if (kind == T0_MODEL_BYTES) CHECK(ids_are(tok, " a\xC3\xA9", (const int32_t[]){3 + ' ', 3 + 'a', 3 + 0xC3, 3 + 0xA9}, 4));
    CHECK(t0_tokenizer_sentinel_of(tok, t0_tokenizer_sentinel_id(tok, 2)) == 2);
    t0_tokenizer_free(tok);
    t0_buffer_free(&file);
}

static void every_truncation_and_flip_is_refused_or_works(void) {
    static const uint8_t masks[] = {0x01, 0x80, 0xFF};
    t0_buffer file = small_model();
    size_t refused = 0;
    for (size_t at = 0; at < file.size; at += 1 + at % 3) {
        uint8_t *exact = malloc(at ? at : 1); /* so that the sanitizer sees a read past the end */
        memcpy(exact, file.data, at);
        t0_error err = {0};
        if (exercise((t0_bytes){exact, at}, &err) != T0_OK) CHECK(err.status == T0_EFORMAT && ++refused);
        free(exact);
        for (size_t m = 0; m < sizeof masks; m++) {
            file.data[at] ^= masks[m];
            err = (t0_error){0};
            if (exercise((t0_bytes){file.data, file.size}, &err) != T0_OK) CHECK(err.status == T0_EFORMAT && ++refused);
            file.data[at] ^= masks[m];
        }
    }
    CHECK(refused > 50);
    t0_buffer_free(&file);
}

static void random_damage_is_refused_or_works(void) {
    t0_buffer file = small_model();
    uint8_t *copy = malloc(file.size);
    for (uint64_t round = 0; round < 1000; round++) {
        memcpy(copy, file.data, file.size);
        for (uint64_t k = 0; k < 1 + round % 5; k++) {
            const uint64_t bits = t0_random_u64(kind, 1, round * 8 + k);
            copy[(bits >> 8) % file.size] = (uint8_t)bits;
        }
        t0_error err = {0};
        if (exercise((t0_bytes){copy, file.size}, &err) != T0_OK) CHECK(err.status == T0_EFORMAT && err.message[0] != 0);
    }
    free(copy);
    t0_buffer_free(&file);
}

static void every_failing_allocation_is_reported(void) {
    t0_buffer file = small_model();
    bool whole = false;
    for (long n = 0; n < 800 && !whole; n++) {
        t0_error err = {0};
        t0_alloc_fail_after(n);
        const t0_status status = exercise((t0_bytes){file.data, file.size}, &err);
        t0_alloc_fail_after(-1);
        CHECK(status == T0_OK || status == T0_ENOMEM);
        whole = status == T0_OK;
    }
    CHECK(whole);
    t0_buffer_free(&file);
}

static bool stop_at_third(void *context) { return ++*(int *)context >= 3; }

/* A megabyte of one word takes n log n steps, and stops when asked. */
static void a_long_word_takes_no_quadratic_time(void) {
    static const char *const units[] = {"a", "ab", "b", " ", "\xF0\x9F\x98\x80", "\xE2\x96\x81", "aab", "\xFF"};
    t0_buffer file = small_model();
    t0_tokenizer *tok = NULL;
    t0_error err = {0};
    CHECK(t0_tokenizer_new(&tok, (t0_bytes){file.data, file.size}, 3, NULL, 0, &err) == T0_OK);
    for (size_t i = 0; tok && i < sizeof units / sizeof *units; i++) {
        t0_buffer text = {0}, ids = {0};
        while (text.size < 1 << 20) t0_buffer_add(&text, units[i], strlen(units[i]));
        t0_encoder encoder = {.tokenizer = tok};
        const clock_t start = clock();
        CHECK(t0_encode(&encoder, (t0_bytes){text.data, text.size}, &ids, NULL, &err) == T0_OK);
        CHECK((double)(clock() - start) / CLOCKS_PER_SEC < 5.0);
        int asked = 0;
        const t0_poll poll = {stop_at_third, &asked};
        ids.size = 0;
        CHECK(t0_encode(&encoder, (t0_bytes){text.data, text.size}, &ids, &poll, &err) == T0_EINTERRUPT && asked == 3);
        t0_encoder_free(&encoder);
        t0_buffer_free(&ids);
        t0_buffer_free(&text);
    }
    t0_tokenizer_free(tok);
    t0_buffer_free(&file);
}

static void merges_that_lie_are_refused(void) {
    static const struct {
        uint32_t merge[3];
        unsigned cut; /* bytes left of it */
        const char *message;
    } wrong[] = {
        {{3, 4, 6}, 12, "are not the halves"},
        {{3, 4, 1000}, 12, "are not the halves"},
        {{0xFFFFFFFF, 4, 5}, 12, "are not the halves"},
        {{3, 4, 5}, 11, "merges of 11 bytes, must be"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        t0_buffer file, hub = {0}, merges = {0};
        kind = T0_MODEL_BYTE_LEVEL;
        file = small_model();
        add_merge(&merges, wrong[i].merge[0], wrong[i].merge[1], wrong[i].merge[2]);
        add_bytes(&hub, 2, merges.data, wrong[i].cut);
        add_bytes(&file, 200, hub.data, hub.size); /* the last value of a field wins */
        t0_error err = {0};
        CHECK(exercise((t0_bytes){file.data, file.size}, &err) == T0_EFORMAT && strstr(err.message, wrong[i].message));
        t0_buffer_free(&file);
        t0_buffer_free(&hub);
        t0_buffer_free(&merges);
    }
}

int main(void) {
    for (int round = 0; round < 5; round++) {
        kind = round == 4 ? T0_MODEL_BPE : (t0_model_kind)(T0_MODEL_BPE + round);
        unused = round == 4;
        printf("kind %d%s\n", (int)kind, unused ? ", an unused piece" : "");
        T0_RUN(small_models_give_the_ids_worked_out_by_hand);
        T0_RUN(every_truncation_and_flip_is_refused_or_works);
        T0_RUN(random_damage_is_refused_or_works);
        T0_RUN(every_failing_allocation_is_reported);
        T0_RUN(a_long_word_takes_no_quadratic_time);
    }
    unused = false;
    T0_RUN(merges_that_lie_are_refused);
    return t0_report();
}
