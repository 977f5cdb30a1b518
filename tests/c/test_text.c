/* The text core: broken model files, failing allocations, long texts. What ids are right is tested against
 * sentencepiece in tests/test_tokenizer.py; here nothing may crash, leak or read outside (run under the sanitizers). */
#include "check.h"
#include "text_models.h"

#include "base/random.h"
#include "text/parts.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ------------------------------------------------------------------------------------ a small model file */

/* A character map with the one rule A -> "bc": double array of darts-clone, then the results. */
static void add_charsmap(t0_buffer *out) {
    enum { UNITS = 512 };
    static uint8_t map[4 + 4 * UNITS + 4];
    uint32_t unit[UNITS];
    for (size_t i = 0; i < UNITS; i++) unit[i] = 1u << 31; /* a label that equals no byte */
    unit[0] = 256u << 10;                                     /* children of the root at 256 ^ c */
    unit[256 ^ 'A'] = (uint32_t)'A' | 1u << 8 | (64u << 10);  /* a leaf at (256 ^ 'A') ^ 64 */
    unit[(256 ^ 'A') ^ 64] = 1u << 31 | 1;                    /* the result begins at 1 */
    const uint32_t size = 4 * UNITS;
    memcpy(map, &size, 4);
    memcpy(map + 4, unit, size);
    memcpy(map + 4 + size, "\0bc", 4);
    t0_buffer spec = {0};
    add_bytes(&spec, 2, map, sizeof map);
    add_bytes(out, 3, spec.data, spec.size);
    t0_buffer_free(&spec);
}

/* Whether small_model has no user-defined symbol, so that texts are encoded word by word. */
static bool by_words;

static t0_buffer small_model(void) {
    t0_buffer out = {0}, trainer = {0};
    add_piece(&out, "<pad>", 0, T0_PIECE_CONTROL);
    add_piece(&out, "</s>", 0, T0_PIECE_CONTROL);
    add_piece(&out, "<unk>", 0, T0_PIECE_UNKNOWN);
    add_piece(&out, "\xE2\x96\x81", -2, T0_PIECE_NORMAL);
    add_piece(&out,
              "\xE2\x96\x81"
              "ab",
              -3, T0_PIECE_NORMAL);
    add_piece(&out, "a", -3, T0_PIECE_NORMAL);
    add_piece(&out, "b", -3.5f, T0_PIECE_NORMAL);
    add_piece(&out, "bc", -4, T0_PIECE_NORMAL);
    add_piece(&out, "\xC3\xA9", -5, T0_PIECE_NORMAL);
    add_piece(&out, "[x]", 0, by_words ? T0_PIECE_NORMAL : T0_PIECE_USER);
    add_piece(&out, "zz", -3, T0_PIECE_UNUSED);
    for (int byte = 0; byte < 256; byte++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)byte);
        add_piece(&out, name, 0, T0_PIECE_BYTE);
    }
    add_number(&trainer, 35, 1);
    add_bytes(&out, 2, trainer.data, trainer.size);
    add_charsmap(&out);
    t0_buffer_free(&trainer);
    return out;
}

/* Loads, encodes a few texts, decodes all ids. Whether it loaded. */
static bool exercise(t0_bytes file, t0_error *err) {
    static const char *const texts[] = {"", " ", "ab A [x] \xC3\xA9", "\xF0\x9F\x98\x80z", "\xFF\xE2\x96", "  a\tb ", "AAAb"};
    t0_tokenizer *tok = NULL;
    if (t0_tokenizer_new(&tok, file, 3, NULL, 0, err) != T0_OK) return false;
    t0_encoder encoder = {.tokenizer = tok};
    t0_buffer ids = {0}, text = {0}, spans = {0};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const t0_bytes in = {(const uint8_t *)texts[i], strlen(texts[i])};
        if (t0_encode(&encoder, in, &ids, NULL, err) != T0_OK) break;
        if (t0_encode_spans(&encoder, in, &spans, NULL, err) != T0_OK) break;
    }
    t0_tokenizer_decode(tok, (const int32_t *)ids.data, ids.size / 4, true, &text, NULL, err);
    for (int32_t id = 0; id < (int32_t)tok->spiece.n_pieces + 4; id++) t0_tokenizer_decode(tok, &id, 1, id % 2, &text, NULL, err);
    t0_encoder_free(&encoder);
    t0_buffer_free(&ids);
    t0_buffer_free(&text);
    t0_buffer_free(&spans);
    t0_tokenizer_free(tok);
    return true;
}

static void small_model_gives_the_ids_worked_out_by_hand(void) {
    t0_buffer file = small_model();
    t0_tokenizer *tok = NULL;
    t0_error err = {0};
    CHECK(t0_tokenizer_new(&tok, (t0_bytes){file.data, file.size}, 3, NULL, 0, &err) == T0_OK);
    if (!tok) return;
    t0_encoder encoder = {.tokenizer = tok};
    t0_buffer ids = {0};
    const char text[] = "ab  A[x]\xF0\x9F\x98\x80"; /* ▁ab | ▁ bc | [x] | four bytes */
    CHECK(t0_encode(&encoder, (t0_bytes){(const uint8_t *)text, strlen(text)}, &ids, NULL, &err) == T0_OK);
    const int32_t expected[] = {4, 3, 7, 9, 11 + 0xF0, 11 + 0x9F, 11 + 0x98, 11 + 0x80};
    CHECK(ids.size == sizeof expected && memcmp(ids.data, expected, sizeof expected) == 0);
    CHECK(tok->normalizer.by_words == by_words && tok->model.marks_lead);
    CHECK(tok->eos_id == 1 && tok->pad_id == 0 && tok->unk_id == 2);
    CHECK(t0_tokenizer_id(tok, (t0_bytes){(const uint8_t *)"zz", 2}) == 10);
    CHECK(t0_tokenizer_id(tok, (t0_bytes){(const uint8_t *)"zzz", 3}) == -1);
    t0_buffer out = {0};
    CHECK(t0_tokenizer_decode(tok, expected, 8, false, &out, NULL, &err) == T0_OK);
    CHECK(out.size == 12 && memcmp(out.data, "ab bc[x]\xF0\x9F\x98\x80", 12) == 0);
    t0_buffer_free(&out);
    t0_buffer_free(&ids);
    t0_encoder_free(&encoder);
    t0_tokenizer_free(tok);
    t0_buffer_free(&file);
}

static void every_truncation_is_refused_or_works(void) {
    t0_buffer file = small_model();
    size_t refused = 0;
    for (size_t size = 0; size < file.size; size++) {
        uint8_t *exact = malloc(size ? size : 1); /* so that the sanitizer sees a read past the end */
        memcpy(exact, file.data, size);
        t0_error err = {0};
        if (!exercise((t0_bytes){exact, size}, &err)) {
            refused++;
            CHECK(err.status == T0_EFORMAT && err.message[0] != 0);
        }
        free(exact);
    }
    CHECK(refused > file.size / 2);
    t0_buffer_free(&file);
}

static void every_flipped_byte_is_refused_or_works(void) {
    static const uint8_t masks[] = {0x01, 0x80, 0xFF};
    t0_buffer file = small_model();
    size_t refused = 0;
    for (size_t at = 0; at < file.size; at++) {
        for (size_t m = 0; m < sizeof masks; m++) {
            file.data[at] ^= masks[m];
            t0_error err = {0};
            if (!exercise((t0_bytes){file.data, file.size}, &err)) {
                refused++;
                CHECK(err.status == T0_EFORMAT && err.message[0] != 0);
            }
            file.data[at] ^= masks[m];
        }
    }
    CHECK(refused > 1000);
    t0_buffer_free(&file);
}

static void random_damage_is_refused_or_works(void) {
    t0_buffer file = small_model();
    uint8_t *copy = malloc(file.size);
    for (uint64_t round = 0; round < 4000; round++) {
        memcpy(copy, file.data, file.size);
        for (uint64_t k = 0; k < 1 + round % 5; k++) {
            const uint64_t bits = t0_random_u64(7, 1, round * 8 + k);
            copy[(bits >> 8) % file.size] = (uint8_t)bits;
        }
        t0_error err = {0};
        exercise((t0_bytes){copy, file.size}, &err);
    }
    CHECK(true);
    free(copy);
    t0_buffer_free(&file);
}

static void every_failing_allocation_is_reported(void) {
    t0_buffer file = small_model();
    const char text[] = "ab A [x] \xC3\xA9 b b b";
    bool whole = false;
    for (long n = 0; n < 400 && !whole; n++) {
        t0_tokenizer *tok = NULL;
        t0_error err = {0};
        t0_buffer ids = {0}, out = {0};
        t0_alloc_fail_after(n);
        t0_status status = t0_tokenizer_new(&tok, (t0_bytes){file.data, file.size}, 3, NULL, 0, &err);
        t0_encoder encoder = {.tokenizer = tok};
        if (status == T0_OK) status = t0_encode(&encoder, (t0_bytes){(const uint8_t *)text, strlen(text)}, &ids, NULL, &err);
        if (status == T0_OK) status = t0_tokenizer_decode(tok, (const int32_t *)ids.data, ids.size / 4, false, &out, NULL, &err);
        t0_alloc_fail_after(-1);
        CHECK(status == T0_OK || status == T0_ENOMEM);
        whole = status == T0_OK;
        t0_encoder_free(&encoder);
        t0_buffer_free(&ids);
        t0_buffer_free(&out);
        t0_tokenizer_free(tok);
    }
    CHECK(whole);
    t0_buffer_free(&file);
}

/* "<s>" takes the white space behind it along, "A" is looked for after the rules, which make "bc" of it, "b" stands alone. */
static const t0_added_token added[] = {
    {.text = {(const uint8_t *)"<s>", 3}, .id = 300, .flags = T0_ADDED_RSTRIP | T0_ADDED_SPECIAL},
    {.text = {(const uint8_t *)"A", 1}, .id = 301, .flags = T0_ADDED_NORMALIZED},
    {.text = {(const uint8_t *)"b", 1}, .id = 302, .flags = T0_ADDED_SINGLE_WORD},
    {.text = {(const uint8_t *)"<go>", 4}, .id = 303, .flags = T0_ADDED_CONTROL},
};
enum { N_ADDED = sizeof added / sizeof *added };

static bool parts_are(t0_encoder *encoder, const char *text, bool sentinels, const int32_t *expected, size_t size) {
    t0_buffer ids = {0}, spans = {0}, normal = {0};
    t0_error err = {0};
    const t0_bytes in = {(const uint8_t *)text, strlen(text)};
    bool fine = t0_encode_parts(encoder, in, sentinels, &ids, NULL, &err) == T0_OK && ids.size == size &&
                (!size || !memcmp(ids.data, expected, size));
    fine &= t0_encode_parts_spans(encoder, in, sentinels, &spans, &normal, NULL, &err) == T0_OK;
    const t0_span *span = (const t0_span *)spans.data;
    for (size_t i = 0; fine && i < spans.size / sizeof *span; i++)
        fine = span[i].id == expected[i] && span[i].begin <= span[i].end && span[i].end <= normal.size && span[i].origin_end <= in.size;
    t0_buffer_free(&ids);
    t0_buffer_free(&spans);
    t0_buffer_free(&normal);
    return fine;
}

static void added_tokens_give_the_ids_worked_out_by_hand(void) {
    t0_buffer file = small_model();
    t0_tokenizer *tok = NULL;
    t0_error err = {0};
    CHECK(t0_tokenizer_new(&tok, (t0_bytes){file.data, file.size}, 3, added, N_ADDED, &err) == T0_OK);
    if (!tok) return;
    t0_encoder encoder = {.tokenizer = tok};
    const int32_t first[] = {4, 300, 301, 4, 302}, second[] = {3, 5, 268, 302}, third[] = {300, 300};
    CHECK(parts_are(&encoder, "ab <s>  bcab b", false, first, sizeof first));
    CHECK(parts_are(&encoder, "a<extra_id_1>b", true, second, sizeof second));
    CHECK(parts_are(&encoder, "<s>\xE3\x80\x80<s> \t", false, third, sizeof third));
    CHECK(parts_are(&encoder, "", true, first, 0));
    t0_buffer out = {0};
    const int32_t ids[] = {4, 300, 301, 302, 303};
    CHECK(t0_tokenizer_decode(tok, ids, 5, false, &out, NULL, &err) == T0_OK && out.size == 5 && !memcmp(out.data, "abbcb", 5));
    out.size = 0;
    CHECK(t0_tokenizer_decode(tok, ids, 5, true, &out, NULL, &err) == T0_OK && out.size == 12 && !memcmp(out.data, "ab<s>bcb<go>", 12));
    t0_buffer_free(&out);
    t0_encoder_free(&encoder);
    t0_tokenizer_free(tok);
    t0_buffer_free(&file);
}

static t0_status run_with_added(t0_bytes file, t0_buffer *ids, t0_error *err) {
    t0_tokenizer *tok = NULL;
    t0_buffer spans = {0}, normal = {0};
    const char text[] = "ab <s> A bcab<extra_id_0> b";
    const t0_bytes in = {(const uint8_t *)text, strlen(text)};
    t0_status status = t0_tokenizer_new(&tok, file, 3, added, N_ADDED, err);
    t0_encoder encoder = {.tokenizer = tok};
    if (status == T0_OK) status = t0_encode_parts(&encoder, in, true, ids, NULL, err);
    if (status == T0_OK) status = t0_encode_parts_spans(&encoder, in, true, &spans, &normal, NULL, err);
    t0_encoder_free(&encoder);
    t0_buffer_free(&spans);
    t0_buffer_free(&normal);
    t0_tokenizer_free(tok);
    return status;
}

static void every_failing_allocation_with_added_tokens_is_reported(void) {
    t0_buffer file = small_model();
    bool whole = false;
    for (long n = 0; n < 600 && !whole; n++) {
        t0_buffer ids = {0};
        t0_error err = {0};
        t0_alloc_fail_after(n);
        const t0_status status = run_with_added((t0_bytes){file.data, file.size}, &ids, &err);
        t0_alloc_fail_after(-1);
        CHECK(status == T0_OK || status == T0_ENOMEM);
        whole = status == T0_OK;
        t0_buffer_free(&ids);
    }
    CHECK(whole);
    t0_buffer_free(&file);
}

static double encode_seconds(const t0_tokenizer *tok, const char *unit, size_t size) {
    t0_buffer text = {0}, ids = {0};
    t0_error err = {0};
    while (text.size < size) t0_buffer_add(&text, unit, strlen(unit));
    t0_encoder encoder = {.tokenizer = tok};
    const clock_t start = clock();
    CHECK(t0_encode(&encoder, (t0_bytes){text.data, text.size}, &ids, NULL, &err) == T0_OK);
    const double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    CHECK(ids.size / 4 <= 3 * text.size + 3); /* a byte that is no UTF-8 becomes the three of U+FFFD */
    t0_encoder_free(&encoder);
    t0_buffer_free(&ids);
    t0_buffer_free(&text);
    return seconds;
}

static void a_megabyte_of_anything_takes_linear_time(void) {
    static const char *const units[] = {"b", " ", "\xF0\x9F\x98\x80", "\xE2\x96\x81", "\xFF", "ab ", "A", "[x]", "[x"};
    t0_buffer file = small_model();
    t0_tokenizer *tok = NULL;
    t0_error err = {0};
    CHECK(t0_tokenizer_new(&tok, (t0_bytes){file.data, file.size}, 3, NULL, 0, &err) == T0_OK);
    for (size_t i = 0; tok && i < sizeof units / sizeof *units; i++) CHECK(encode_seconds(tok, units[i], 1 << 20) < 5.0);
    t0_tokenizer_free(tok);
    t0_buffer_free(&file);
}

static bool stop_at_third(void *context) { return ++*(int *)context >= 3; }

static void a_long_call_stops_when_asked(void) {
    static const char *const units[] = {"b", "b ", "\xF0\x9F\x98\x80",
                                        "\xE2\x96\x81"
                                        "b"};
    t0_buffer file = small_model();
    t0_tokenizer *tok = NULL;
    t0_error err = {0};
    CHECK(t0_tokenizer_new(&tok, (t0_bytes){file.data, file.size}, 3, NULL, 0, &err) == T0_OK);
    for (size_t i = 0; tok && i < sizeof units / sizeof *units; i++) {
        t0_buffer text = {0}, ids = {0};
        while (text.size < 1 << 20) t0_buffer_add(&text, units[i], strlen(units[i]));
        t0_encoder encoder = {.tokenizer = tok};
        int asked = 0;
        const t0_poll poll = {stop_at_third, &asked};
        CHECK(t0_encode(&encoder, (t0_bytes){text.data, text.size}, &ids, &poll, &err) == T0_EINTERRUPT && asked == 3);
        ids.size = 0; /* and the encoder is as good as before */
        CHECK(t0_encode(&encoder, (t0_bytes){(const uint8_t *)"ab", 2}, &ids, NULL, &err) == T0_OK && ids.size == 4);
        t0_encoder_free(&encoder);
        t0_buffer_free(&ids);
        t0_buffer_free(&text);
    }
    t0_tokenizer_free(tok);
    t0_buffer_free(&file);
}

/* A piece of `a`, as long as a piece may be, and one `a`. */
static t0_buffer model_of_a_long_piece(t0_piece_type type) {
    t0_buffer out = {0};
    char *text = malloc(T0_SPIECE_MAX_PIECE);
    memset(text, 'a', T0_SPIECE_MAX_PIECE - 1);
    text[T0_SPIECE_MAX_PIECE - 1] = 0;
    add_piece(&out, "<unk>", 0, T0_PIECE_UNKNOWN);
    add_piece(&out, "\xE2\x96\x81", -1, T0_PIECE_NORMAL);
    add_piece(&out, "a", -1, T0_PIECE_NORMAL);
    add_piece(&out, text, -1, type);
    free(text);
    return out;
}

/* Polls come by work: 40,000 places of 40,000 steps are 800 million, of which two polls' worth are done. */
static void a_long_piece_stops_when_asked(void) {
    for (int type = T0_PIECE_NORMAL; type <= T0_PIECE_USER; type += T0_PIECE_USER - T0_PIECE_NORMAL) {
        t0_buffer file = model_of_a_long_piece((t0_piece_type)type), text = {0}, ids = {0};
        t0_tokenizer *tok = NULL;
        t0_error err = {0};
        CHECK(t0_tokenizer_new(&tok, (t0_bytes){file.data, file.size}, 3, NULL, 0, &err) == T0_OK);
        while (text.size < 40000) t0_buffer_add(&text, "a", 1);
        t0_encoder encoder = {.tokenizer = tok};
        int asked = 0;
        const t0_poll poll = {stop_at_third, &asked};
        const clock_t start = clock();
        CHECK(t0_encode(&encoder, (t0_bytes){text.data, text.size}, &ids, &poll, &err) == T0_EINTERRUPT && asked == 3);
        CHECK((double)(clock() - start) / CLOCKS_PER_SEC < 0.1);
        asked = 0;
        CHECK(t0_encode_spans(&encoder, (t0_bytes){text.data, text.size}, &ids, &poll, &err) == T0_EINTERRUPT && asked == 3);
        t0_encoder_free(&encoder);
        t0_buffer_free(&ids);
        t0_buffer_free(&text);
        t0_tokenizer_free(tok);
        t0_buffer_free(&file);
    }
}

static void decoding_stops_when_asked(void) {
    t0_buffer file = small_model(), ids = {0}, out = {0};
    t0_tokenizer *tok = NULL;
    t0_error err = {0};
    CHECK(t0_tokenizer_new(&tok, (t0_bytes){file.data, file.size}, 3, NULL, 0, &err) == T0_OK);
    for (int32_t id = 5; id < 12; id += 6) { /* a piece; a byte */
        int asked = 0;
        const t0_poll poll = {stop_at_third, &asked};
        ids.size = out.size = 0;
        while (ids.size < 1 << 21) t0_buffer_add(&ids, &id, sizeof id);
        CHECK(t0_tokenizer_decode(tok, (const int32_t *)ids.data, ids.size / 4, false, &out, &poll, &err) == T0_EINTERRUPT && asked == 3);
    }
    t0_buffer_free(&out);
    t0_buffer_free(&ids);
    t0_tokenizer_free(tok);
    t0_buffer_free(&file);
}

/* Worker 1 has the long text; the caller, which has none, asks while it waits. */
static void a_batch_stops_when_the_caller_only_waits(void) {
    t0_buffer file = model_of_a_long_piece(T0_PIECE_NORMAL), text = {0}, ids = {0};
    t0_tokenizer *tok = NULL;
    t0_pool *pool = NULL;
    t0_error err = {0};
    CHECK(t0_tokenizer_new(&tok, (t0_bytes){file.data, file.size}, 3, NULL, 0, &err) == T0_OK);
    CHECK(t0_pool_new(&pool, 2, &err) == T0_OK);
    while (text.size < 65536) t0_buffer_add(&text, "a", 1);
    const t0_bytes texts[] = {{text.data, 1}, {text.data, text.size}};
    t0_encoder encoders[] = {{.tokenizer = tok}, {.tokenizer = tok}};
    int64_t offsets[3];
    int asked = 0;
    const t0_poll poll = {stop_at_third, &asked};
    const t0_batch_rule rule = {.max_length = SIZE_MAX};
    const clock_t start = clock();
    CHECK(t0_encode_batch(encoders, pool, texts, 2, rule, &ids, offsets, &poll, &err) == T0_EINTERRUPT && asked == 3);
    CHECK((double)(clock() - start) / CLOCKS_PER_SEC < 0.5);
    t0_pool_free(pool);
    for (int i = 0; i < 2; i++) t0_encoder_free(&encoders[i]);
    t0_buffer_free(&ids);
    t0_buffer_free(&text);
    t0_tokenizer_free(tok);
    t0_buffer_free(&file);
}

static void many_added_tokens_stop_when_asked(void) {
    t0_buffer file = small_model(), text = {0}, ids = {0};
    t0_tokenizer *tok = NULL;
    t0_error err = {0};
    CHECK(t0_tokenizer_new(&tok, (t0_bytes){file.data, file.size}, 3, added, N_ADDED, &err) == T0_OK);
    while (text.size < 1 << 20) t0_buffer_add(&text, "<s>", 3);
    t0_encoder encoder = {.tokenizer = tok};
    int asked = 0;
    const t0_poll poll = {stop_at_third, &asked};
    CHECK(t0_encode_parts(&encoder, (t0_bytes){text.data, text.size}, false, &ids, &poll, &err) == T0_EINTERRUPT && asked == 3);
    t0_encoder_free(&encoder);
    t0_buffer_free(&ids);
    t0_buffer_free(&text);
    t0_tokenizer_free(tok);
    t0_buffer_free(&file);
}

static void added_tokens_that_clash_are_refused(void) {
    const t0_added_token twice[][2] = {
        {{.text = {(const uint8_t *)"x", 1}, .id = 300}, {.text = {(const uint8_t *)"x", 1}, .id = 301}},
        {{.text = {(const uint8_t *)"x", 1}, .id = 300}, {.text = {(const uint8_t *)"y", 1}, .id = 300}},
        {{.text = {(const uint8_t *)"x", 1}, .id = -1}, {.text = {(const uint8_t *)"y", 1}, .id = 300}},
        {{.text = {(const uint8_t *)"x", 0}, .id = 299}, {.text = {(const uint8_t *)"y", 1}, .id = 300}},
        {{.text = {(const uint8_t *)"\xFF", 1}, .id = 299}, {.text = {(const uint8_t *)"y", 1}, .id = 300}},
        {{.text = {(const uint8_t *)"A", 1}, .id = 299, .flags = T0_ADDED_NORMALIZED},
         {.text = {(const uint8_t *)"bc", 2}, .id = 300, .flags = T0_ADDED_NORMALIZED}},
    };
    t0_buffer file = small_model();
    for (size_t i = 0; i < sizeof twice / sizeof *twice; i++) {
        t0_tokenizer *tok = NULL;
        t0_error err = {0};
        CHECK(t0_tokenizer_new(&tok, (t0_bytes){file.data, file.size}, 3, twice[i], 2, &err) == T0_EFORMAT && !tok && err.message[0]);
    }
    t0_buffer_free(&file);
}

static void the_trie_finds_exactly_its_keys(void) {
    enum { N = 3000 };
    static uint8_t text[N][8];
    static t0_trie_key keys[N];
    for (size_t i = 0; i < N; i++) {
        const uint64_t bits = t0_random_u64(3, 2, i);
        keys[i] = (t0_trie_key){text[i], 1 + (uint32_t)(bits >> 60) % 8, (uint32_t)i};
        for (size_t k = 0; k < 8; k++) text[i][k] = (uint8_t)(bits >> (7 * k)) % (i % 3 ? 5 : 256);
    }
    t0_trie_sort(keys, N);
    size_t n = 0;
    for (size_t i = 0; i < N; i++)
        if (n == 0 || keys[n - 1].size != keys[i].size || memcmp(keys[n - 1].text, keys[i].text, keys[i].size) != 0) keys[n++] = keys[i];
    t0_trie trie;
    t0_error err = {0};
    CHECK(t0_trie_build(&trie, keys, n, &err) == T0_OK);
    for (size_t i = 0; i < n; i++) CHECK(t0_trie_find(&trie, (t0_bytes){keys[i].text, keys[i].size}) == keys[i].value);
    for (size_t i = 0; i < 20000; i++) {
        uint8_t probe[3];
        const uint64_t bits = t0_random_u64(4, 2, i);
        for (size_t k = 0; k < 3; k++) probe[k] = (uint8_t)(bits >> (8 * k)) % (i % 2 ? 6 : 256);
        uint32_t expected = T0_TRIE_NONE;
        for (size_t k = 0; k < n; k++)
            if (keys[k].size == 3 && memcmp(keys[k].text, probe, 3) == 0) expected = keys[k].value;
        CHECK(t0_trie_find(&trie, (t0_bytes){probe, 3}) == expected);
    }
    t0_trie_free(&trie);
}

static void the_trie_refuses_keys_out_of_order(void) {
    static const uint8_t text[] = "xyxz";
    const struct {
        t0_trie_key keys[2];
        t0_status status;
    } wrong[] = {
        {{{text, 2, 4}, {text, 2, 5}}, T0_EFORMAT},             /* "xy" twice; the bytes behind them differ not */
        {{{text, 1, 4}, {text + 2, 1, 5}}, T0_EFORMAT},         /* "x" twice; the bytes behind them differ */
        {{{text + 2, 2, 4}, {text, 2, 5}}, T0_EVALUE},          /* "xz" before "xy" */
        {{{text, 2, 4}, {text, 1, 5}}, T0_EVALUE},              /* a prefix behind what it begins */
        {{{text, 0, 4}, {text, 1, 5}}, T0_EVALUE},              /* an empty key */
        {{{text, 1, 4}, {text, 2, T0_TRIE_NONE}}, T0_EVALUE},   /* a value that says "none" */
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        t0_trie trie;
        t0_error err = {0};
        CHECK(t0_trie_build(&trie, wrong[i].keys, 2, &err) == wrong[i].status);
        CHECK(trie.nodes == NULL && err.message[0] != 0);
    }
}

int main(void) {
    for (int round = 0; round < 2; round++) {
        by_words = round == 1;
        printf("%s\n", by_words ? "word by word" : "whole text");
        T0_RUN(small_model_gives_the_ids_worked_out_by_hand);
        T0_RUN(every_truncation_is_refused_or_works);
        T0_RUN(every_flipped_byte_is_refused_or_works);
        T0_RUN(random_damage_is_refused_or_works);
        T0_RUN(every_failing_allocation_is_reported);
        T0_RUN(added_tokens_give_the_ids_worked_out_by_hand);
        T0_RUN(every_failing_allocation_with_added_tokens_is_reported);
        T0_RUN(many_added_tokens_stop_when_asked);
        T0_RUN(added_tokens_that_clash_are_refused);
        T0_RUN(a_megabyte_of_anything_takes_linear_time);
        T0_RUN(a_long_call_stops_when_asked);
        T0_RUN(decoding_stops_when_asked);
    }
    T0_RUN(a_long_piece_stops_when_asked);
    T0_RUN(a_batch_stops_when_the_caller_only_waits);
    T0_RUN(the_trie_finds_exactly_its_keys);
    T0_RUN(the_trie_refuses_keys_out_of_order);
    return t0_report();
}
