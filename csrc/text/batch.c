/* Encoding many texts: contiguous chunks of about equal bytes, each into a buffer of its own, joined at the end. */
#include "text/parts.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

enum {
    CHUNKS_PER_THREAD = 4,
    POLL_TEXTS = 32,
    COPIED = 1 << 20 /* bytes between two polls */,
    NEAR = 4 /* texts ahead */,
    FETCHED = 512 /* bytes of each */
};

typedef struct chunk {
    size_t begin, end; /* texts */
    t0_buffer ids;
    size_t at;    /* bytes of all ids before */
    t0_error err; /* err.status: how it went */
} chunk;

typedef struct batch {
    t0_encoder *encoders;
    const t0_bytes *texts;
    t0_batch_rule rule;
    int64_t *lengths; /* [n] ids of each text */
    chunk *chunks;
    uint8_t *joined; /* the ids of all chunks */
    const t0_poll *poll;   /* the caller's */
    t0_poll first, others; /* of worker 0, the thread that made the call, which alone may ask the caller's; of the others */
    bool interrupted;      /* the caller's poll has said stop; worker 0's */
    atomic_bool stop;      /* for whatever reason */
} batch;

static bool caller_stops(void *context) {
    batch *b = context;
    if (!b->interrupted && t0_poll_stops(b->poll)) {
        b->interrupted = true;
        atomic_store(&b->stop, true);
    }
    return b->interrupted;
}

static bool is_stopped(void *context) { return atomic_load_explicit(&((batch *)context)->stop, memory_order_relaxed); }

static t0_status encode_text(batch *b, t0_encoder *encoder, t0_buffer *ids, size_t i, const t0_poll *poll, t0_error *err) {
    const size_t before = ids->size;
    const int32_t start = encoder->tokenizer->start_id;
    if (b->rule.add_eos && start >= 0 && !t0_buffer_add(ids, &start, sizeof start)) return t0_fail_memory(err, 2 * ids->size);
    T0_TRY(t0_encode_parts(encoder, b->texts[i], b->rule.sentinels, ids, poll, err));
    const int32_t eos = encoder->tokenizer->eos_id;
    if (b->rule.add_eos && !t0_buffer_add(ids, &eos, sizeof eos)) return t0_fail_memory(err, 2 * ids->size);
    size_t n = (ids->size - before) / sizeof(int32_t);
    if (n > b->rule.max_length) n = b->rule.max_length;
    ids->size = before + n * sizeof(int32_t);
    b->lengths[i] = (int64_t)n;
    return T0_OK;
}

/* Asks for a text that will be read soon: short texts lie anywhere in memory. */
static void fetch(t0_bytes text) {
    for (size_t at = 0; at < text.size && at < FETCHED; at += 64) __builtin_prefetch(text.data + at);
}

static void encode_chunk(void *context, size_t index, size_t worker) {
    batch *b = context;
    chunk *c = &b->chunks[index];
    const t0_poll *poll = worker == 0 ? &b->first : &b->others;
    size_t bytes = 0; /* about one byte of ids for a byte of English */
    for (size_t i = c->begin; i < c->end; i++) bytes += b->texts[i].size + sizeof(int32_t);
    c->err.status = t0_buffer_reserve(&c->ids, bytes) ? T0_OK : t0_fail_memory(&c->err, bytes);
    for (size_t i = c->begin; i < c->end && c->err.status == T0_OK; i++) {
        if (is_stopped(b)) return;
        if (i + NEAR < c->end) fetch(b->texts[i + NEAR]);
        if (i % POLL_TEXTS == 0 && t0_poll_stops(poll)) t0_fail_stopped(&c->err);
        else c->err.status = encode_text(b, &b->encoders[worker], &c->ids, i, poll, &c->err);
    }
    if (c->err.status != T0_OK) atomic_store(&b->stop, true);
}

static void plan(batch *b, size_t n_texts, size_t n_chunks) {
    size_t total = 0, before = 0, next = 0;
    for (size_t i = 0; i < n_texts; i++) total += b->texts[i].size + 1;
    for (size_t k = 0; k < n_chunks; k++) {
        b->chunks[k].begin = next;
        const size_t goal = total / n_chunks * (k + 1);
        while (next < n_texts && (before < goal || k + 1 == n_chunks)) before += b->texts[next++].size + 1;
        b->chunks[k].end = next;
    }
}

static void copy_chunk(void *context, size_t index, size_t worker) {
    batch *b = context;
    const chunk *c = &b->chunks[index];
    const t0_poll *poll = worker == 0 ? &b->first : &b->others;
    for (size_t at = 0; at < c->ids.size && !t0_poll_stops(poll); at += COPIED)
        memcpy(b->joined + c->at + at, c->ids.data + at, t0_size_min(COPIED, c->ids.size - at));
}

/* How the encoding went. A worker that was told to stop is not the cause. */
static t0_status outcome(const batch *b, size_t n_chunks, t0_error *err) {
    if (b->interrupted) return t0_fail_stopped(err);
    for (size_t k = 0; k < n_chunks; k++) {
        const t0_error *own = &b->chunks[k].err;
        if (own->status == T0_OK || own->status == T0_EINTERRUPT) continue;
        if (err) *err = *own;
        return own->status;
    }
    assert(!is_stopped((void *)(uintptr_t)b)); /* nobody has, without a cause */
    return T0_OK;
}

static t0_status join(batch *b, t0_pool *pool, size_t n_chunks, t0_buffer *ids, t0_error *err) {
    size_t size = 0;
    T0_TRY(outcome(b, n_chunks, err));
    for (size_t k = 0; k < n_chunks; k++) {
        b->chunks[k].at = size;
        size += b->chunks[k].ids.size;
    }
    if (n_chunks == 1 && !ids->data) { /* nothing to join */
        *ids = b->chunks[0].ids;
        b->chunks[0].ids = (t0_buffer){0};
        return T0_OK;
    }
    if (!t0_buffer_reserve(ids, size)) return t0_fail_memory(err, size);
    b->joined = ids->data;
    t0_pool_run_polled(pool, copy_chunk, b, n_chunks, &b->first);
    if (b->interrupted) return t0_fail_stopped(err);
    ids->size = size;
    return T0_OK;
}

static void lengths_to_offsets(int64_t *offsets, size_t n) {
    int64_t at = 0;
    for (size_t i = 0; i <= n; i++) {
        const int64_t length = i < n ? offsets[i] : 0;
        offsets[i] = at;
        at += length;
    }
}

t0_status t0_encode_batch(t0_encoder *encoders, t0_pool *pool, const t0_bytes *texts, size_t n, t0_batch_rule rule, t0_buffer *ids,
                          int64_t *offsets, const t0_poll *poll, t0_error *err) {
    if (rule.add_eos && encoders[0].tokenizer->eos_id < 0)
        return t0_fail(err, T0_EVALUE, "add_eos: the model has no control piece \"%.*s\"",
                       (int)encoders[0].tokenizer->spiece.eos_piece.size, (const char *)encoders[0].tokenizer->spiece.eos_piece.data);
    assert(ids->size == 0);
    const size_t threads = t0_pool_size(pool), n_chunks = threads == 1 ? 1 : threads * CHUNKS_PER_THREAD;
    batch b = {.encoders = encoders, .texts = texts, .rule = rule, .lengths = offsets, .poll = poll};
    b.first = (t0_poll){caller_stops, &b};
    b.others = (t0_poll){is_stopped, &b};
    b.chunks = t0_alloc_zero(n_chunks * sizeof *b.chunks);
    if (!b.chunks) return t0_fail_memory(err, n_chunks * sizeof *b.chunks);
    plan(&b, n, n_chunks);
    t0_pool_run_polled(pool, encode_chunk, &b, n_chunks, &b.first);
    const t0_status status = join(&b, pool, n_chunks, ids, err);
    for (size_t k = 0; k < n_chunks; k++) t0_buffer_free(&b.chunks[k].ids);
    t0_free(b.chunks);
    if (status == T0_OK) lengths_to_offsets(offsets, n);
    return status;
}
