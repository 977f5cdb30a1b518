/* Model files made up field by field: each is refused with a message, or loads and then encodes and decodes without a fault.
 *
 *     fuzz_models [first] [count]      seeds first .. first + count - 1, a model each; another first goes on from there
 *
 *     model     pieces of every kind with shared beginnings and equal texts, scores from NaN to 0, maps of characters that are right,
 *               cyclic, shared or cut, a denormaliser, switches, fields repeated, unknown, out of order; then bytes changed, cut, put in
 *     texts     of the model's own pieces, and others; with added tokens and sentinels
 *     held      the ids of encode are those of encode again (from the cache of words), of spans, and of a batch; spans cover the normalised
 *               text one after another and lie in the text; every piece has an id of its own kind; decoding never fails
 *
 * Meant for the sanitizers (make -C tests/c fuzz). A fault, an assert or a difference names the seed, which makes the same model again. */
#include "varint.h"

#include "base/random.h"
#include "text/parts.h"
#include "text/utf8.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static unsigned long long seed_now; /* for the message of a crash */

void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void tell_seed(void) {
    char line[64];
    const int n = snprintf(line, sizeof line, "seed %llu\n", seed_now);
    if (n > 0 && write(2, line, (size_t)n) < 0) return;
}

static void on_abort(int number) {
    tell_seed();
    signal(number, SIG_DFL);
    raise(number);
}

#define HOLD(condition)                                                                    \
    do {                                                                                   \
        if (!(condition)) {                                                                \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);      \
            abort();                                                                       \
        }                                                                                  \
    } while (0)

/* ------------------------------------------------------------------------------------ choices */

typedef struct maker {
    uint64_t state;
    unsigned faults; /* of 1,000 places, so many are wrong */
    unsigned user_share, score_kind;
    bool with_bytes;
    t0_buffer file;
    t0_bytes piece[80]; /* texts of pieces, in `texts` */
    size_t n_pieces;
    t0_buffer texts;    /* reserved once, so that views stay */
} maker;

static uint64_t next(maker *m) { /* splitmix64 */
    uint64_t z = m->state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static unsigned below(maker *m, unsigned n) { return (unsigned)(next(m) >> 33) % n; }
static bool chance(maker *m, unsigned of_thousand) { return below(m, 1000) < of_thousand; }
static bool fault(maker *m) { return chance(m, m->faults); }

static const char *const atoms[] = {"a",
                                    "b",
                                    "ab",
                                    "c",
                                    "\xE2\x96\x81",
                                    "\xE2\x96\x81",
                                    "\xC3\xA9",
                                    "\xE6\x97\xA5",
                                    "\xF0\x9F\x98\x80",
                                    " ",
                                    "<",
                                    ">",
                                    "1",
                                    "e",
                                    "\xCC\x81",
                                    "A",
                                    "\xEF\xBC\xA1",
                                    "\xE3\x80\x80",
                                    "\t",
                                    "<s>",
                                    "aa",
                                    "."};
static const char *const bad_atoms[] = {"\xFF", "\xE2\x96", "\xC3", "\x80", "\xED\xA0\x80", "\xC0\x80", "\xF0\x9F"};
static const char *const names[] = {"<unk>", "<pad>", "</s>", "<s>", "<0x41>", "<extra_id_0>", "<extra_id_1>"};
#define PICK(m, list) (list)[below(m, sizeof(list) / sizeof *(list))]

static void add_text(t0_buffer *out, const char *text) { t0_buffer_add(out, text, strlen(text)); }

static void add_atoms(maker *m, t0_buffer *out, unsigned most) {
    for (unsigned n = 1 + below(m, most); n > 0; n--) add_text(out, PICK(m, atoms));
    if (fault(m)) add_text(out, PICK(m, bad_atoms));
    if (chance(m, 10)) t0_buffer_add(out, "", 1); /* NUL */
}

/* ------------------------------------------------------------------------------------ protobuf */

static void add_bytes(maker *m, t0_buffer *out, unsigned number, const void *data, size_t size) {
    add_varint(out, number << 3 | 2);
    add_varint(out, fault(m) ? size + below(m, 4) : size); /* a length that lies */
    t0_buffer_add(out, data, size);
}

static void add_number(maker *m, t0_buffer *out, unsigned number, uint64_t value) {
    add_varint(out, number << 3 | (fault(m) ? below(m, 8) : 0));
    add_varint(out, fault(m) ? next(m) : value);
}

static void add_float(t0_buffer *out, unsigned number, float value) {
    add_varint(out, number << 3 | 5);
    t0_buffer_add(out, &value, 4);
}

/* A field that nobody knows, of any wire type. */
static void add_unknown(maker *m, t0_buffer *out) {
    const unsigned number = 50 + below(m, 1000);
    const uint64_t value = next(m);
    switch (below(m, 4)) {
    case 0: add_number(m, out, number, value); break;
    case 1:
        add_varint(out, number << 3 | 1);
        t0_buffer_add(out, &value, 8);
        break;
    case 2: add_bytes(m, out, number, &value, below(m, 9)); break;
    default: add_float(out, number, 1.0f); break;
    }
}

/* ------------------------------------------------------------------------------------ pieces */

static float score_of(maker *m) {
    static const float few[] = {-1.0f, -2.0f, -2.0f, -3.0f, -0.5f, 0.0f};
    static const float far[] = {1e30f, -1e30f, -1e29f, 99999.0f, -100001.0f, 1e5f, -3e7f, 1e-42f, -0.0f, -33333.3f};
    static const float wrong[] = {INFINITY, -INFINITY, NAN, -2e38f, 1.1e30f, 3.4e38f};
    if (fault(m)) return PICK(m, wrong);
    if (m->score_kind == 0) return PICK(m, few);
    if (m->score_kind == 1) return -(float)(below(m, 1 << 20)) / 65536.0f - 0.01f;
    if (m->score_kind == 2) return PICK(m, far);
    return below(m, 4) ? PICK(m, few) : PICK(m, far);
}

static bool is_taken(const maker *m, t0_bytes text) {
    for (size_t i = 0; i < m->n_pieces; i++)
        if (m->piece[i].size == text.size && memcmp(m->piece[i].data, text.data, text.size) == 0) return true;
    return false;
}

/* A text for a piece at the end of m->texts. */
static t0_bytes piece_text(maker *m) {
    t0_buffer *t = &m->texts;
    const size_t begin = t->size;
    const unsigned kind = below(m, 20);
    if (kind < 8 && m->n_pieces) { /* shares its beginning */
        const t0_bytes other = m->piece[below(m, (unsigned)m->n_pieces)];
        t0_buffer_add(t, other.data, other.size < 400 ? other.size : 400);
    }
    if (kind == 8) add_text(t, PICK(m, names));
    else if (kind == 9) {
        const unsigned n = chance(m, 30) ? 2000 : 1 + below(m, 40);
        const char *atom = PICK(m, atoms);
        for (unsigned i = 0; i < n; i++) add_text(t, atom);
    } else if (!(kind < 8 && fault(m))) add_atoms(m, t, 4); /* else it equals another */
    for (unsigned tries = 0; tries < 20 && is_taken(m, (t0_bytes){t->data + begin, t->size - begin}) && !fault(m); tries++)
        add_text(t, PICK(m, atoms));
    if (fault(m)) t->size = begin; /* empty */
    return (t0_bytes){t->data + begin, t->size - begin};
}

static void add_piece(maker *m, t0_bytes text, float score, uint64_t type) {
    t0_buffer piece = {0};
    if (chance(m, 20)) add_unknown(m, &piece);
    if (chance(m, 20)) add_bytes(m, &piece, 1, "first", 5); /* the last one wins */
    if (chance(m, 30)) add_float(&piece, 2, score);
    if (!fault(m)) add_bytes(m, &piece, 1, text.data, text.size);
    if (!chance(m, 30)) add_float(&piece, 2, score);
    if (type != T0_PIECE_NORMAL || chance(m, 300)) add_number(m, &piece, 3, type);
    if (chance(m, 20)) add_unknown(m, &piece);
    add_bytes(m, &m->file, 1, piece.data, piece.size);
    t0_buffer_free(&piece);
}

static void add_named(maker *m, const char *name, uint64_t type) {
    const t0_bytes text = {(const uint8_t *)name, strlen(name)};
    if (m->n_pieces < sizeof m->piece / sizeof *m->piece && type != T0_PIECE_BYTE) m->piece[m->n_pieces++] = text;
    add_piece(m, text, 0.0f, type);
}

static uint64_t type_of(maker *m) {
    if (fault(m)) return below(m, 9);
    if (chance(m, m->user_share)) return T0_PIECE_USER;
    const unsigned kind = below(m, 20);
    return kind == 0 ? T0_PIECE_UNUSED : kind == 1 ? T0_PIECE_CONTROL : T0_PIECE_NORMAL;
}

static void add_pieces(maker *m) {
    const unsigned n = 1 + below(m, chance(m, 100) ? 60 : 14), unknown_at = below(m, n);
    if (chance(m, 800)) add_named(m, "<pad>", T0_PIECE_CONTROL);
    if (chance(m, 800)) add_named(m, "</s>", T0_PIECE_CONTROL);
    for (unsigned i = 0; i < n; i++) {
        if (i == unknown_at && !fault(m)) add_named(m, fault(m) ? "</s>" : "<unk>", T0_PIECE_UNKNOWN);
        const t0_bytes text = piece_text(m);
        if (m->n_pieces < sizeof m->piece / sizeof *m->piece) m->piece[m->n_pieces++] = text;
        add_piece(m, text, score_of(m), type_of(m));
    }
    for (unsigned byte = 0; byte < 256 && m->with_bytes; byte++) {
        char name[8];
        snprintf(name, sizeof name, fault(m) ? "<0x%02x>" : "<0x%02X>", byte);
        if (!fault(m)) add_named(m, name, T0_PIECE_BYTE);
    }
}

/* ------------------------------------------------------------------------------------ character maps */

enum { NODES = 48, UNITS = 2048 };

/* A trie of rules: node 0 is the root. */
typedef struct rules {
    uint8_t label[NODES];
    int parent[NODES], value[NODES]; /* value: where the result begins, or -1 */
    uint32_t base[NODES], place[NODES];
    int n;
} rules;

static int child_of(const rules *r, int node, uint8_t label) {
    for (int i = 1; i < r->n; i++)
        if (r->parent[i] == node && r->label[i] == label) return i;
    return -1;
}

static void add_rule(maker *m, rules *r, t0_buffer *results) {
    t0_buffer key = {0};
    add_atoms(m, &key, chance(m, 50) ? 12 : 2);
    int node = 0;
    for (size_t i = 0; i < key.size && r->n < NODES && key.data[i]; i++) {
        int child = child_of(r, node, key.data[i]);
        if (child < 0) {
            child = r->n++;
            r->label[child] = key.data[i];
            r->parent[child] = node;
            r->value[child] = -1;
        }
        node = child;
    }
    t0_buffer_free(&key);
    if (node == 0) return;
    r->value[node] = (int)results->size;
    if (chance(m, 150)) r->value[node] = 0; /* the empty result */
    else add_atoms(m, results, chance(m, 30) ? 200 : 2);
    t0_buffer_add(results, "", 1);
}

static bool place_children(const rules *r, uint32_t *units, bool *used, int node, uint32_t base) {
    const uint32_t free_unit = 1u << 31;
    if (used[base] || (r->value[node] >= 0 && units[base] != free_unit)) return false;
    for (int i = 1; i < r->n; i++)
        if (r->parent[i] == node && units[base ^ r->label[i]] != free_unit) return false;
    return true;
}

/* The double array; the order of nodes is that of their making, parents first. *n_units in whole blocks of 256. */
static void compile(maker *m, rules *r, uint32_t *units, size_t *n_units) {
    bool used[UNITS] = {false};
    uint32_t high = 256;
    for (size_t i = 0; i < UNITS; i++) units[i] = 1u << 31;
    units[0] = 0; /* taken */
    r->place[0] = 0;
    for (int node = 0; node < r->n; node++) {
        uint32_t base = 256 + below(m, 64);
        while (base < UNITS - 1 && !place_children(r, units, used, node, base)) base++;
        used[base] = true;
        r->base[node] = base;
        for (int i = 1; i < r->n; i++)
            if (r->parent[i] == node) units[r->place[i] = base ^ r->label[i]] = r->label[i];
        const bool leaf = r->value[node] >= 0;
        if (leaf) units[base] = 1u << 31 | (uint32_t)r->value[node] | 1u << 30; /* taken; the mark goes below */
        units[r->place[node]] = r->label[node] * (node > 0) | (uint32_t)leaf << 8 | (r->place[node] ^ base) << 10;
        if (base >= high) high = base + 1;
    }
    for (int node = 0; node < r->n; node++)
        if (r->value[node] >= 0) units[r->base[node]] &= ~(1u << 30);
    *n_units = ((size_t)high + 255) / 256 * 256;
}

/* Nodes that lead elsewhere: shared subtrees, cycles, places outside. */
static void redirect(maker *m, const rules *r, uint32_t *units) {
    const int from = (int)below(m, (unsigned)r->n), to = (int)below(m, (unsigned)r->n);
    const uint32_t base = chance(m, 800) ? r->base[to] : (uint32_t)next(m) % (2 * UNITS);
    units[r->place[from]] = (units[r->place[from]] & 0x1FF) | (r->place[from] ^ base) << 10 | chance(m, 100) << 9;
}

static void add_charsmap(maker *m, t0_buffer *spec) {
    rules r = {.n = 1, .value = {-1}};
    uint32_t units[UNITS];
    size_t n_units;
    t0_buffer map = {0}, results = {0};
    t0_buffer_add(&results, "", 1);
    for (unsigned n = 1 + below(m, 8); n > 0; n--) add_rule(m, &r, &results);
    compile(m, &r, units, &n_units);
    if (chance(m, 150)) redirect(m, &r, units);
    if (fault(m)) units[below(m, (unsigned)n_units)] ^= 1u << below(m, 32);
    if (fault(m))
        for (size_t i = 0; i < n_units; i++) units[i] = (uint32_t)next(m) >> below(m, 24);
    uint32_t size = (uint32_t)(4 * n_units);
    if (fault(m)) size += below(m, 9) - 4;
    if (fault(m)) results.data[results.size - 1] = 'x';
    t0_buffer_add(&map, &size, 4);
    t0_buffer_add(&map, units, 4 * n_units);
    t0_buffer_add(&map, results.data, results.size);
    if (fault(m)) map.size = below(m, (unsigned)map.size);
    add_bytes(m, spec, 2, map.data, map.size);
    t0_buffer_free(&map);
    t0_buffer_free(&results);
}

static void add_normalizer(maker *m, unsigned number, unsigned map_share) {
    t0_buffer spec = {0};
    for (unsigned k = 3; k <= 5; k++)
        if (chance(m, 300)) add_number(m, &spec, k, chance(m, 400));
    if (chance(m, map_share)) add_charsmap(m, &spec);
    if (chance(m, 30)) add_unknown(m, &spec);
    add_bytes(m, &m->file, number, spec.data, spec.size);
    t0_buffer_free(&spec);
}

static void add_trainer(maker *m) {
    t0_buffer trainer = {0};
    if (chance(m, 300)) add_number(m, &trainer, 3, fault(m) ? below(m, 6) : 1);
    if (chance(m, 100)) add_number(m, &trainer, 24, chance(m, 800));
    if (m->with_bytes != fault(m)) add_number(m, &trainer, 35, 1);
    if (chance(m, 100)) add_bytes(m, &trainer, 44, "\xE2\x96\x81?", 4);
    if (chance(m, 100)) add_bytes(m, &trainer, 47, "<pad>", 5);
    if (chance(m, 50)) add_unknown(m, &trainer);
    add_bytes(m, &m->file, 2, trainer.data, trainer.size);
    t0_buffer_free(&trainer);
}

/* Bytes changed, cut off or put in. */
static void damage(maker *m) {
    t0_buffer *f = &m->file;
    for (unsigned n = below(m, 4); n > 0 && f->size; n--) {
        const size_t at = next(m) % f->size;
        switch (below(m, 4)) {
        case 0: f->data[at] ^= (uint8_t)(1u << below(m, 8)); break;
        case 1: f->data[at] = (uint8_t)next(m); break;
        case 2: f->size = at; break;
        default: memmove(f->data + at, f->data + at + 1, f->size - at - 1); f->size--;
        }
    }
}

static void make_model(maker *m, uint64_t seed) {
    static const unsigned shares[] = {0, 0, 2, 2, 10, 60};
    *m = (maker){.state = t0_random_u64(seed, 1, 0)};
    m->faults = PICK(m, shares);
    m->user_share = chance(m, 500) ? 0 : 200;
    m->score_kind = below(m, 4);
    m->with_bytes = chance(m, 60);
    t0_buffer_reserve(&m->texts, 1 << 20);
    if (chance(m, 500)) add_trainer(m);
    add_pieces(m);
    if (chance(m, 700)) add_normalizer(m, 3, 500);
    if (chance(m, 30)) add_normalizer(m, 3, 100); /* merged with the first */
    if (chance(m, 150)) add_normalizer(m, 5, 900);
    if (m->with_bytes || chance(m, 300)) add_trainer(m);
    if (chance(m, 50)) add_unknown(m, &m->file);
    if (m->faults > 2 && chance(m, 400)) damage(m);
}

/* ------------------------------------------------------------------------------------ what a loaded model does */

static void add_model_text(maker *m, t0_buffer *out) {
    const size_t begin = out->size;
    const bool repeat = chance(m, 200);
    const unsigned one = m->n_pieces ? below(m, (unsigned)m->n_pieces) : 0;
    for (unsigned n = below(m, 12); n > 0; n--) {
        const t0_bytes piece = m->piece[repeat ? one : below(m, (unsigned)m->n_pieces)];
        const unsigned kind = below(m, 8);
        if (kind == 0) add_text(out, " ");
        else if (kind == 1) add_text(out, PICK(m, atoms));
        else if (kind == 2) add_text(out, PICK(m, names));
        else if (t0_utf8_valid(piece)) t0_buffer_add(out, piece.data, piece.size);
    }
    for (size_t i = begin; i + T0_SPACE_MARK_SIZE <= out->size && !chance(m, 200); i++) { /* written as spaces, most of them */
        if (!t0_is_space_mark(out->data + i, out->size - i)) continue;
        out->data[i] = ' ';
        memmove(out->data + i + 1, out->data + i + T0_SPACE_MARK_SIZE, out->size - i - T0_SPACE_MARK_SIZE);
        out->size -= T0_SPACE_MARK_SIZE - 1;
    }
}

typedef struct trial {
    const t0_tokenizer *tok;
    t0_encoder encoder;
    t0_buffer ids, again, spans, normal, text;
} trial;

/* The spans of `text` follow one another and say the ids of t->ids. */
static void hold_spans(const trial *t, t0_bytes text) {
    const t0_span *span = (const t0_span *)t->spans.data;
    const int32_t *id = (const int32_t *)t->ids.data;
    const size_t n = t->spans.size / sizeof *span;
    HOLD(n == t->ids.size / sizeof *id);
    for (size_t i = 0; i < n; i++) {
        HOLD(span[i].id == id[i]);
        HOLD(span[i].begin == (i ? span[i - 1].end : 0) && span[i].begin <= span[i].end && span[i].end <= t->normal.size);
        HOLD(span[i].origin <= span[i].origin_end && span[i].origin_end <= text.size);
    }
    HOLD(n == 0 || span[n - 1].end == t->normal.size);
}

static bool may_fail(t0_status status) { return status == T0_OK || status == T0_EVALUE; } /* rules that make too much of a text */

static void try_text(trial *t, t0_bytes text, bool sentinels) {
    t0_error err = {0};
    t->ids.size = t->again.size = t->spans.size = t->normal.size = t->text.size = 0;
    const t0_status status = t0_encode_parts(&t->encoder, text, sentinels, &t->ids, NULL, &err);
    HOLD(may_fail(status));
    if (status != T0_OK) return;
    HOLD(t0_encode_parts(&t->encoder, text, sentinels, &t->again, NULL, &err) == T0_OK);
    HOLD(t->again.size == t->ids.size && (!t->ids.size || memcmp(t->again.data, t->ids.data, t->ids.size) == 0));
    HOLD(t0_encode_parts_spans(&t->encoder, text, sentinels, &t->spans, &t->normal, NULL, &err) == T0_OK);
    hold_spans(t, text);
    for (int special = 0; special < 2; special++)
        HOLD(may_fail(t0_tokenizer_decode(t->tok, (const int32_t *)t->ids.data, t->ids.size / 4, special, &t->text, NULL, &err)));
    HOLD(t0_utf8_valid((t0_bytes){t->text.data, t->text.size}));
}

static void try_batch(trial *t, const t0_bytes *texts, size_t n) {
    int64_t offsets[16];
    t0_buffer ids = {0};
    t0_error err = {0};
    const t0_batch_rule rule = {t->tok->eos_id >= 0, true, 9};
    const t0_status status = t0_encode_batch(&t->encoder, NULL, texts, n, rule, &ids, offsets, NULL, &err);
    HOLD(may_fail(status));
    for (size_t i = 0; i < n && status == T0_OK; i++) HOLD(offsets[i] <= offsets[i + 1] && offsets[i + 1] - offsets[i] <= 9);
    HOLD(status != T0_OK || (size_t)offsets[n] == ids.size / 4);
    t0_buffer_free(&ids);
}

static void try_pieces(trial *t) {
    t0_error err = {0};
    const t0_spiece *spiece = &t->tok->spiece;
    for (size_t i = 0; i < spiece->n_pieces; i++) {
        const t0_bytes text = {spiece->pieces[i].text, spiece->pieces[i].size};
        const int32_t id = t0_tokenizer_id(t->tok, text), self = (int32_t)i;
        HOLD(id >= 0 && (size_t)id < spiece->n_pieces && spiece->pieces[id].size == text.size);
        HOLD(memcmp(spiece->pieces[id].text, text.data, text.size) == 0);
        HOLD(may_fail(t0_tokenizer_decode(t->tok, &self, 1, i % 2, &t->text, NULL, &err)));
    }
    const int32_t wrong = -1;
    HOLD(t0_tokenizer_decode(t->tok, &wrong, 1, true, &t->text, NULL, &err) == T0_EVALUE);
}

static void try_tokenizer(maker *m, const t0_tokenizer *tok) {
    enum { TEXTS = 5 };
    trial t = {.tok = tok, .encoder = {.tokenizer = tok}};
    t0_buffer all = {0};
    size_t begin[TEXTS + 1] = {0};
    t0_bytes texts[TEXTS];
    for (size_t i = 0; i < TEXTS; i++) {
        add_model_text(m, &all);
        begin[i + 1] = all.size;
    }
    for (size_t i = 0; i < TEXTS; i++) texts[i] = (t0_bytes){all.data ? all.data + begin[i] : NULL, begin[i + 1] - begin[i]};
    for (size_t i = 0; i < TEXTS; i++) try_text(&t, texts[i], i % 2);
    try_batch(&t, texts, TEXTS);
    try_pieces(&t);
    t0_encoder_free(&t.encoder);
    t0_buffer_free(&t.ids);
    t0_buffer_free(&t.again);
    t0_buffer_free(&t.spans);
    t0_buffer_free(&t.normal);
    t0_buffer_free(&t.text);
    t0_buffer_free(&all);
}

/* Added tokens of texts in *texts; how many. */
static size_t make_added(maker *m, t0_added_token *added, size_t most, t0_buffer *texts) {
    const size_t n = chance(m, 250) ? 1 + below(m, (unsigned)most) : 0;
    t0_buffer_reserve(texts, 1 << 12);
    for (size_t i = 0; i < n; i++) {
        const size_t begin = texts->size;
        add_atoms(m, texts, 3);
        if (fault(m)) texts->size = begin;
        const unsigned flags = below(m, 2) ? below(m, T0_ADDED_FLAGS + 1) : below(m, 2) ? T0_ADDED_NORMALIZED | T0_ADDED_SINGLE_WORD : 0;
        added[i] = (t0_added_token){.text = {texts->data + begin, texts->size - begin},
                                    .id = 1000 + (int32_t)i - (int32_t)fault(m),
                                    .flags = flags};
    }
    return n;
}

/* One seed: whether its model loads. */
static bool run(uint64_t seed) {
    maker m;
    t0_added_token added[3];
    t0_buffer texts = {0};
    make_model(&m, seed);
    const size_t n_added = make_added(&m, added, 3, &texts);
    uint8_t *exact = malloc(m.file.size ? m.file.size : 1); /* so that the sanitizer sees a read past the end */
    HOLD(exact);
    if (m.file.size) memcpy(exact, m.file.data, m.file.size);
    t0_tokenizer *tok = NULL;
    t0_error err = {0};
    const t0_status status = t0_tokenizer_new(&tok, (t0_bytes){exact, m.file.size}, below(&m, 4), added, n_added, &err);
    HOLD((status == T0_OK) == (tok != NULL));
    HOLD(status == T0_OK || (may_fail(status) && err.status == status && err.message[0]) || (status == T0_EFORMAT && err.message[0]));
    if (tok) try_tokenizer(&m, tok);
    t0_tokenizer_free(tok);
    free(exact);
    t0_buffer_free(&texts);
    t0_buffer_free(&m.file);
    t0_buffer_free(&m.texts);
    return status == T0_OK;
}

int main(int argc, char **argv) {
    const unsigned long long first = argc > 1 ? strtoull(argv[1], NULL, 10) : 0, count = argc > 2 ? strtoull(argv[2], NULL, 10) : 2000;
    unsigned long long loaded = 0;
    const clock_t start = clock();
    if (__sanitizer_set_death_callback) __sanitizer_set_death_callback(tell_seed);
    signal(SIGABRT, on_abort);
    for (unsigned long long i = 0; i < count; i++) {
        seed_now = first + i;
        loaded += run(seed_now);
        if ((i + 1) % 10000 != 0 && i + 1 != count) continue;
        const double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        printf("%llu models, %llu loaded, %.0f a second; next seed %llu\n", i + 1, loaded, (double)(i + 1) / (seconds > 0 ? seconds : 1),
               first + i + 1);
        fflush(stdout);
    }
    return loaded < count / 10; /* models that all are refused would test nothing */
}
