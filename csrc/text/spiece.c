/* Reader of SentencePiece model files: protobuf wire format, one pass, no recursion.
 *
 *     message   = field*                     field = key value       key = varint(number << 3 | wire type)
 *     wire type   0 varint   1 eight bytes   2 varint n, then n bytes   5 four bytes, little endian
 *
 *     ModelProto       1 piece*  2 trainer  3 normaliser  5 denormaliser  200 hub
 *     piece            1 text  2 score (float)  3 type
 *     trainer          3 model type  24 whitespace as suffix  35 byte fallback  44 unk surface  47 eos name  48 pad name
 *     normaliser       2 charsmap  3 add dummy prefix  4 remove extra whitespaces  5 escape whitespaces
 *     hub              1 kind  2 merges  3 split  4 ignore merges  5 fuse unknown  6 prefix once  7 prefix first  8 strip first  9 start
 *                      10 drop unknown
 *
 * Field 200 lies where SentencePiece leaves room for others' fields: there t0native keeps tokenizers of the hub that SentencePiece cannot
 * express (t0native/text/spiecefile.py writes it).
 * (github.com/google/sentencepiece, src/sentencepiece_model.proto.) As in protobuf, the last value of a repeated scalar
 * wins, a repeated message is merged, unknown fields are skipped. Groups (wire types 3 and 4) are refused. */
#include "text/spiece.h"

#include "text/utf8.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* The bytes of all pieces: the trie takes up to 26 times as much while it is built. T5's pieces are 0.2 MB, mT5's 2 MB. */
enum { PIECES_MAX = 16 << 20 };

enum { WIRE_VARINT = 0, WIRE_EIGHT = 1, WIRE_BYTES = 2, WIRE_FOUR = 5 };

/* A message being read: bytes [at, end) of the file. */
typedef struct reader {
    const uint8_t *file;
    size_t at, end;
    t0_error *err;
} reader;

typedef struct field {
    size_t offset; /* of its key */
    uint32_t number;
    unsigned wire;
    uint64_t value;  /* varint, or the four or eight bytes */
    size_t at, size; /* the bytes of wire type 2 */
} field;

static t0_status read_varint(reader *in, uint64_t *out) {
    const size_t start = in->at;
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (in->at == in->end) return t0_fail(in->err, T0_EFORMAT, "offset %zu: the message ends inside a number", start);
        const uint8_t byte = in->file[in->at++];
        if (shift == 63 && byte > 1) break;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80)) {
            *out = value;
            return T0_OK;
        }
    }
    return t0_fail(in->err, T0_EFORMAT, "offset %zu: a number of more than 64 bits", start);
}

static t0_status read_fixed(reader *in, size_t size, uint64_t *out) {
    if (in->end - in->at < size)
        return t0_fail(in->err, T0_EFORMAT, "offset %zu: %zu bytes left, a number needs %zu", in->at, in->end - in->at, size);
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) value |= (uint64_t)in->file[in->at + i] << (8 * i);
    in->at += size;
    *out = value;
    return T0_OK;
}

static t0_status read_field(reader *in, field *out) {
    uint64_t key, size;
    *out = (field){.offset = in->at};
    T0_TRY(read_varint(in, &key));
    if (key >> 3 == 0 || key >> 3 > 0x1FFFFFFF)
        return t0_fail(in->err, T0_EFORMAT, "offset %zu: field number %llu", out->offset, (unsigned long long)(key >> 3));
    out->number = (uint32_t)(key >> 3);
    out->wire = key & 7;
    switch (out->wire) {
    case WIRE_VARINT: return read_varint(in, &out->value);
    case WIRE_EIGHT: return read_fixed(in, 8, &out->value);
    case WIRE_FOUR: return read_fixed(in, 4, &out->value);
    case WIRE_BYTES:
        T0_TRY(read_varint(in, &size));
        if (size > in->end - in->at)
            return t0_fail(in->err, T0_EFORMAT, "offset %zu: field %u claims %llu bytes, %zu are left", out->offset, out->number,
                           (unsigned long long)size, in->end - in->at);
        out->at = in->at;
        out->size = (size_t)size;
        in->at += (size_t)size;
        return T0_OK;
    default: return t0_fail(in->err, T0_EFORMAT, "offset %zu: wire type %u", out->offset, out->wire);
    }
}

static t0_status expect(const reader *in, const field *f, unsigned wire, const char *name) {
    if (f->wire == wire) return T0_OK;
    return t0_fail(in->err, T0_EFORMAT, "offset %zu: %s has wire type %u, must be %u", f->offset, name, f->wire, wire);
}

static t0_status get_bool(const reader *in, const field *f, const char *name, bool *out) {
    T0_TRY(expect(in, f, WIRE_VARINT, name));
    *out = f->value != 0;
    return T0_OK;
}

static t0_status get_bytes(const reader *in, const field *f, const char *name, t0_bytes *out) {
    T0_TRY(expect(in, f, WIRE_BYTES, name));
    *out = (t0_bytes){in->file + f->at, f->size};
    return T0_OK;
}

static t0_status get_text(const reader *in, const field *f, const char *name, t0_bytes *out) {
    T0_TRY(get_bytes(in, f, name, out));
    if (!t0_utf8_valid(*out)) return t0_fail(in->err, T0_EFORMAT, "offset %zu: %s is not UTF-8", f->at, name);
    return T0_OK;
}

static reader enter(const reader *in, const field *f) { return (reader){in->file, f->at, f->at + f->size, in->err}; }

static t0_status piece_text(const reader *in, const field *f, t0_piece *out) {
    t0_bytes text;
    T0_TRY(get_text(in, f, "a piece", &text));
    if (text.size > T0_SPIECE_MAX_PIECE)
        return t0_fail(in->err, T0_EFORMAT, "offset %zu: a piece of %zu bytes, at most %d", f->at, text.size, T0_SPIECE_MAX_PIECE);
    out->text = text.data;
    out->size = (uint32_t)text.size;
    return T0_OK;
}

static t0_status piece_score(const reader *in, const field *f, t0_piece *out) {
    T0_TRY(expect(in, f, WIRE_FOUR, "the score of a piece"));
    const uint32_t bits = (uint32_t)f->value;
    memcpy(&out->score, &bits, sizeof bits);
    return T0_OK;
}

static t0_status piece_type(const reader *in, const field *f, t0_piece *out) {
    T0_TRY(expect(in, f, WIRE_VARINT, "the type of a piece"));
    if (f->value < T0_PIECE_NORMAL || f->value > T0_PIECE_BYTE)
        return t0_fail(in->err, T0_EFORMAT, "offset %zu: piece type %llu, must be 1 to 6", f->offset, (unsigned long long)f->value);
    out->type = (t0_piece_type)f->value;
    return T0_OK;
}

static t0_status check_piece(const reader *in, size_t start, size_t number, const t0_piece *piece) {
    if (piece->size == 0) return t0_fail(in->err, T0_EFORMAT, "offset %zu: piece %zu has no text", start, number);
    if (fabsf(piece->score) <= T0_SPIECE_MAX_SCORE) return T0_OK;
    return t0_fail(in->err, T0_EFORMAT, "offset %zu: piece %zu, \"%.*s\", has the score %g; must be a number from %g to %g", start, number,
                   piece->size < 100 ? (int)piece->size : 100, (const char *)piece->text, (double)piece->score,
                   -(double)T0_SPIECE_MAX_SCORE, (double)T0_SPIECE_MAX_SCORE);
}

/* number: its place among the pieces. */
static t0_status read_piece(reader in, size_t number, t0_piece *out) {
    const size_t start = in.at;
    *out = (t0_piece){.type = T0_PIECE_NORMAL};
    while (in.at < in.end) {
        field f;
        T0_TRY(read_field(&in, &f));
        if (f.number == 1) T0_TRY(piece_text(&in, &f, out));
        if (f.number == 2) T0_TRY(piece_score(&in, &f, out));
        if (f.number == 3) T0_TRY(piece_type(&in, &f, out));
    }
    return check_piece(&in, start, number, out);
}

static t0_status get_number(const reader *in, const field *f, const char *name, uint64_t least, uint64_t most, uint64_t *out) {
    T0_TRY(expect(in, f, WIRE_VARINT, name));
    if (f->value < least || f->value > most)
        return t0_fail(in->err, T0_EFORMAT, "offset %zu: %s %llu, must be %llu to %llu", f->offset, name, (unsigned long long)f->value,
                       (unsigned long long)least, (unsigned long long)most);
    *out = f->value;
    return T0_OK;
}

static t0_status read_hub_field(const reader *in, const field *f, t0_spiece *out) {
    t0_hub_spec *hub = &out->hub;
    uint64_t number = 0;
    switch (f->number) {
    case 1:
        T0_TRY(get_number(in, f, "the kind of a model", T0_MODEL_MERGES, T0_MODEL_BYTES, &number));
        out->kind = (t0_model_kind)number;
        return T0_OK;
    case 2:
        T0_TRY(get_bytes(in, f, "merges", &hub->merges));
        if (hub->merges.size % 12 == 0) return T0_OK;
        return t0_fail(in->err, T0_EFORMAT, "offset %zu: merges of %zu bytes, must be 12 each", f->offset, hub->merges.size);
    case 3:
        T0_TRY(get_number(in, f, "split", T0_SPLIT_NONE, T0_SPLIT_WORDS, &number));
        hub->split = (t0_split)number;
        return T0_OK;
    case 4: return get_bool(in, f, "ignore_merges", &hub->ignore_merges);
    case 5: return get_bool(in, f, "fuse_unk", &hub->fuse_unknown);
    case 6: return get_bool(in, f, "prefix_once", &hub->prefix_once);
    case 7: return get_bool(in, f, "prefix_first", &hub->prefix_first);
    case 8: return get_bool(in, f, "strip_first", &hub->strip_first);
    case 9:
        T0_TRY(get_number(in, f, "start", 0, INT32_MAX, &number));
        hub->start = (uint32_t)number;
        return T0_OK;
    case 10: return get_bool(in, f, "drop_unknown", &hub->drop_unknown);
    default: return T0_OK;
    }
}

static t0_status read_hub(reader in, t0_spiece *out) {
    while (in.at < in.end) {
        field f;
        T0_TRY(read_field(&in, &f));
        T0_TRY(read_hub_field(&in, &f, out));
    }
    return T0_OK;
}

/* *type: SentencePiece's model type. */
static t0_status read_trainer(reader in, t0_spiece *out, int *type) {
    while (in.at < in.end) {
        field f;
        T0_TRY(read_field(&in, &f));
        switch (f.number) {
        case 3:
            T0_TRY(expect(&in, &f, WIRE_VARINT, "model_type"));
            *type = f.value > 1000 ? 1000 : (int)f.value;
            break;
        case 24: T0_TRY(get_bool(&in, &f, "treat_whitespace_as_suffix", &out->whitespace_suffix)); break;
        case 35: T0_TRY(get_bool(&in, &f, "byte_fallback", &out->byte_fallback)); break;
        case 44: T0_TRY(get_text(&in, &f, "unk_surface", &out->unk_surface)); break;
        case 47: T0_TRY(get_text(&in, &f, "eos_piece", &out->eos_piece)); break;
        case 48: T0_TRY(get_text(&in, &f, "pad_piece", &out->pad_piece)); break;
        default: break;
        }
    }
    return T0_OK;
}

static t0_status read_normalizer(reader in, t0_normal_spec *out) {
    while (in.at < in.end) {
        field f;
        T0_TRY(read_field(&in, &f));
        switch (f.number) {
        case 2:
            T0_TRY(get_bytes(&in, &f, "precompiled_charsmap", &out->charsmap));
            out->charsmap_offset = f.at;
            break;
        case 3: T0_TRY(get_bool(&in, &f, "add_dummy_prefix", &out->add_dummy_prefix)); break;
        case 4: T0_TRY(get_bool(&in, &f, "remove_extra_whitespaces", &out->remove_extra_whitespaces)); break;
        case 5: T0_TRY(get_bool(&in, &f, "escape_whitespaces", &out->escape_whitespaces)); break;
        default: break;
        }
    }
    return T0_OK;
}

/* Counts the pieces (so that their table is allocated once) and checks the outermost level. */
static t0_status count_pieces(reader in, size_t *out) {
    while (in.at < in.end) {
        field f;
        T0_TRY(read_field(&in, &f));
        if (f.number <= 5 || f.number == 200) T0_TRY(expect(&in, &f, WIRE_BYTES, "a field of the model"));
        if (f.number == 1) ++*out;
    }
    return T0_OK;
}

static t0_status read_model(reader in, t0_spiece *out, int *type) {
    size_t i = 0, total = 0;
    while (in.at < in.end) {
        field f;
        T0_TRY(read_field(&in, &f));
        switch (f.number) {
        case 1:
            assert(i < out->n_pieces); /* counted by count_pieces */
            T0_TRY(read_piece(enter(&in, &f), i, &out->pieces[i]));
            if ((total += out->pieces[i++].size) > PIECES_MAX)
                return t0_fail(in.err, T0_EFORMAT, "offset %zu: pieces of more than %d bytes in all", f.offset, PIECES_MAX);
            break;
        case 2: T0_TRY(read_trainer(enter(&in, &f), out, type)); break;
        case 3: T0_TRY(read_normalizer(enter(&in, &f), &out->normal)); break;
        case 5: T0_TRY(read_normalizer(enter(&in, &f), &out->denormal)); break;
        case 200: T0_TRY(read_hub(enter(&in, &f), out)); break;
        default: break;
        }
    }
    return T0_OK;
}

static t0_status check_type(int type, t0_error *err) {
    static const char *const names[] = {"of no type", "unigram", "BPE", "word", "character"};
    if (type == T0_MODEL_UNIGRAM || type == T0_MODEL_BPE) return T0_OK;
    if (type < 0 || type > 4) return t0_fail(err, T0_EFORMAT, "model type %d: only unigram and BPE models (types 1, 2) can be read", type);
    return t0_fail(err, T0_EFORMAT, "a model of type %d (%s): only unigram and BPE models (types 1, 2) can be read", type, names[type]);
}

static t0_bytes literal(const char *text) { return (t0_bytes){(const uint8_t *)text, strlen(text)}; }

t0_status t0_spiece_read(t0_spiece *out, t0_bytes file, t0_error *err) {
    static const t0_normal_spec defaults = {.add_dummy_prefix = true, .remove_extra_whitespaces = true, .escape_whitespaces = true};
    *out = (t0_spiece){.normal = defaults, .denormal = defaults, .unk_surface = literal(" \xE2\x81\x87 ")};
    if (file.size > T0_SPIECE_MAX_FILE) return t0_fail(err, T0_EFORMAT, "a model of %zu bytes, at most %d", file.size, T0_SPIECE_MAX_FILE);
    const reader whole = {file.data, 0, file.size, err};
    T0_TRY(count_pieces(whole, &out->n_pieces));
    if (out->n_pieces == 0) return t0_fail(err, T0_EFORMAT, "no pieces: not a SentencePiece model (%zu bytes)", file.size);
    if (out->n_pieces > T0_SPIECE_MAX_PIECES)
        return t0_fail(err, T0_EFORMAT, "%zu pieces, at most %d", out->n_pieces, T0_SPIECE_MAX_PIECES);
    const size_t size = out->n_pieces * sizeof *out->pieces;
    out->pieces = t0_alloc(size);
    if (!out->pieces) return t0_fail_memory(err, size);
    int type = T0_MODEL_UNIGRAM;
    T0_TRY(read_model(whole, out, &type));
    if (out->eos_piece.size == 0) out->eos_piece = literal("</s>");
    if (out->pad_piece.size == 0) out->pad_piece = literal("<pad>");
    T0_TRY(check_type(type, err));
    if (out->kind == 0) out->kind = (t0_model_kind)type;
    if (out->hub.merges.size && !t0_has_merges(out))
        return t0_fail(err, T0_EFORMAT, "merges, but a model of the kind %d has none", (int)out->kind);
    return T0_OK;
}

void t0_spiece_free(t0_spiece *spiece) {
    t0_free(spiece->pieces);
    *spiece = (t0_spiece){0};
}

bool t0_crosses_words(const t0_piece *piece) {
    for (size_t i = 1; i < piece->size; i++) {
        const bool mark = t0_is_space_mark(piece->text + i, piece->size - i);
        if (mark && !(i >= T0_SPACE_MARK_SIZE && t0_is_space_mark(piece->text + i - T0_SPACE_MARK_SIZE, T0_SPACE_MARK_SIZE))) return true;
    }
    return false;
}
