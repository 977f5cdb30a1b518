/* Where the pieces of a text go while it is encoded; what encode.c and encode_bpe.c share. */
#ifndef T0_TEXT_SINK_H
#define T0_TEXT_SINK_H

#include "text/tokenizer.h"
#include "text/utf8.h"

#include <assert.h>
#include <string.h>

/* The end of the word that begins at `start`: before the next U+2581 that follows another character. */
static inline size_t t0_word_end(const uint8_t *text, size_t start, size_t size) {
    size_t i = start;
    while (i < size && t0_is_space_mark(text + i, size - i)) i += T0_SPACE_MARK_SIZE;
    while (i < size) {
        const uint8_t *mark = memchr(text + i, 0xE2, size - i);
        if (!mark) return size;
        i = (size_t)(mark - text);
        if (i > start && t0_is_space_mark(mark, size - i)) return i;
        i++;
    }
    return size;
}

/* Where the pieces of a word go: int32 ids, or spans. */
typedef struct t0_sink {
    t0_encoder *encoder;
    t0_buffer *ids, *spans; /* one of the two */
} t0_sink;

static inline void t0_put_id(t0_sink *out, int32_t id) {
    assert(out->ids->capacity - out->ids->size >= sizeof id);
    memcpy(out->ids->data + out->ids->size, &id, sizeof id);
    out->ids->size += sizeof id;
}

static inline void t0_put_span(t0_sink *out, int32_t id, size_t begin, size_t end) {
    const t0_span span = {id, (uint32_t)begin, (uint32_t)end, 0, 0};
    assert(out->spans->capacity - out->spans->size >= sizeof span);
    memcpy(out->spans->data + out->spans->size, &span, sizeof span);
    out->spans->size += sizeof span;
}

static inline void t0_put_bytes(t0_sink *out, size_t begin, size_t end) {
    const t0_encoder *e = out->encoder;
    for (size_t i = begin; i < end; i++) {
        const int32_t id = e->tokenizer->byte_ids[e->normal.data[i]];
        if (out->ids) t0_put_id(out, id);
        else t0_put_span(out, id, i, i + 1);
    }
}

/* The piece `id` = normal[begin, end). There is room for end - begin more entries. */
static inline void t0_put(t0_sink *out, int32_t id, size_t begin, size_t end) {
    t0_encoder *e = out->encoder;
    const bool unk = id == e->tokenizer->unk_id;
    if (unk && e->tokenizer->spiece.byte_fallback) t0_put_bytes(out, begin, end);
    else if (unk && e->after_unk) {
        assert(!out->spans || out->spans->size >= sizeof(t0_span));
        if (out->spans) ((t0_span *)(out->spans->data + out->spans->size))[-1].end = (uint32_t)end;
    } else if (out->ids) t0_put_id(out, id);
    else t0_put_span(out, id, begin, end);
    e->after_unk = unk;
}

/* encode_bpe.c: the ids of encoder->normal by pairs. */
t0_status t0_encode_pairs(t0_sink *out, t0_error *err);

#endif
