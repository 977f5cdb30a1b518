/* Aligned blocks from posix_memalign; arena and buffer are built on them, so all can be made to fail.
 *
 *     arena block: header, padding to T0_ALIGN, size bytes of which the first `used` are handed out */
#define _GNU_SOURCE
#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The countdown of a test. Beside the lock around OpenBLAS (nn/blas.c), the only mutable global of the core. */
static long fail_countdown = -1;

void t0_alloc_fail_after(long countdown) { fail_countdown = countdown; }

static bool test_wants_failure(void) {
    if (fail_countdown < 0) return false;
    if (fail_countdown == 0) return true;
    fail_countdown--;
    return false;
}

void *t0_alloc(size_t size) {
    if (test_wants_failure() || size > SIZE_MAX / 2) return NULL;
    void *block = NULL;
    return posix_memalign(&block, T0_ALIGN, size ? size : 1) == 0 ? block : NULL;
}

void *t0_alloc_zero(size_t size) {
    void *block = t0_alloc(size);
    if (block) memset(block, 0, size);
    return block;
}

void *t0_realloc(void *block, size_t old_size, size_t size) {
    void *moved = t0_alloc(size);
    if (!moved) return NULL;
    if (block) memcpy(moved, block, old_size < size ? old_size : size);
    free(block);
    return moved;
}

void t0_free(void *block) { free(block); }

#if defined(__SANITIZE_ADDRESS__)
/* AddressSanitizer knows the ends of the allocator's blocks alone. */
void *t0_map_zero(size_t size) { return t0_alloc_zero(size); }

void t0_unmap(void *block, size_t size) {
    (void)size;
    t0_free(block);
}
#else
void *t0_map_zero(size_t size) {
    if (test_wants_failure() || size > SIZE_MAX / 2) return NULL;
    void *block = mmap(NULL, size ? size : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) return NULL;
#if defined(MADV_HUGEPAGE)
    madvise(block, size, MADV_HUGEPAGE); /* a wish: weights in small pages are read at the rate of page tables, half of the memory's */
#endif
    return block;
}

void t0_unmap(void *block, size_t size) {
    if (block) munmap(block, size ? size : 1);
}
#endif

struct t0_arena_block {
    t0_arena_block *older;
    size_t size, used; /* of the bytes behind the header */
};

enum { HEADER = (sizeof(t0_arena_block) + T0_ALIGN - 1) / T0_ALIGN * T0_ALIGN, MIN_BLOCK = 1 << 16 };

static t0_arena_block *block_new(size_t size) {
    const size_t room = size > MIN_BLOCK ? size : MIN_BLOCK;
    t0_arena_block *block = room > SIZE_MAX - HEADER ? NULL : t0_alloc(HEADER + room);
    if (block) *block = (t0_arena_block){.size = room};
    return block;
}

/* From the newest block, or a new one. */
void *t0_arena_get(t0_arena *arena, size_t size) {
    if (size > SIZE_MAX - T0_ALIGN) return NULL;
    size = t0_size_round(size, T0_ALIGN);
    if (!arena->newest || arena->newest->size - arena->newest->used < size) {
        t0_arena_block *block = block_new(size);
        if (!block) return NULL;
        block->older = arena->newest;
        arena->newest = block;
    }
    void *out = (uint8_t *)arena->newest + HEADER + arena->newest->used;
    arena->newest->used += size;
    assert((uintptr_t)out % T0_ALIGN == 0 && arena->newest->used <= arena->newest->size);
    return out;
}

void t0_arena_free(t0_arena *arena) {
    for (t0_arena_block *block = arena->newest; block;) {
        t0_arena_block *older = block->older;
        t0_free(block);
        block = older;
    }
    *arena = (t0_arena){0};
}

bool t0_buffer_reserve(t0_buffer *buffer, size_t more) {
    assert(buffer->size <= buffer->capacity);
    if (buffer->capacity - buffer->size >= more) return true;
    size_t need;
    if (!t0_size_add(buffer->size, more, &need)) return false;
    size_t capacity = buffer->capacity < SIZE_MAX / 4 ? buffer->capacity * 2 : buffer->capacity;
    if (capacity < need) capacity = need;
    if (capacity < 64) capacity = 64;
    uint8_t *data = t0_realloc(buffer->data, buffer->size, capacity);
    if (!data) return false;
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

bool t0_buffer_add(t0_buffer *buffer, const void *data, size_t size) {
    if (!t0_buffer_reserve(buffer, size)) return false;
    if (size) memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    return true;
}

t0_status t0_buffer_add_long(t0_buffer *buffer, const void *data, size_t size, t0_meter *meter, t0_error *err) {
    enum { PART = 1 << 20 };
    if (!t0_buffer_reserve(buffer, size)) return t0_fail_memory(err, size);
    for (size_t at = 0; at < size; at += PART) {
        const size_t part = t0_size_min(PART, size - at);
        memcpy(buffer->data + buffer->size, (const uint8_t *)data + at, part);
        buffer->size += part;
        if (t0_meter_stops(meter, part)) return t0_fail_stopped(err);
    }
    return T0_OK;
}

void t0_buffer_free(t0_buffer *buffer) {
    t0_free(buffer->data);
    *buffer = (t0_buffer){0};
}
