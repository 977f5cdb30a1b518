/* Memory of the core: aligned blocks, a scratch arena, and growable bytes.
 *
 * All of the pure-C core allocates here, so that a test can make the Nth allocation fail.
 * An arena is a chain of blocks; what it hands out stays valid until t0_arena_free. */
#ifndef T0_BASE_MEMORY_H
#define T0_BASE_MEMORY_H

#include "base/status.h"

#define T0_ALIGN 64 /* one cache line, one AVX-512 register */

/* A borrowed view of bytes; never owns, may hold NUL. */
typedef struct t0_bytes {
    const uint8_t *data;
    size_t size;
} t0_bytes;

void *t0_alloc(size_t size);               /* T0_ALIGN-aligned, not cleared; NULL when there is no memory; size 0 gives a block */
void *t0_alloc_zero(size_t size);          /* the same, cleared */
void *t0_realloc(void *block, size_t old_size, size_t size); /* keeps the first min(old_size, size) bytes; on NULL `block` lives on */
void t0_free(void *block);                 /* NULL is fine */

/* Zeroed pages of the system, for large blocks: memory is taken when a page is first written, not now. NULL when there is none. */
void *t0_map_zero(size_t size);
void t0_unmap(void *block, size_t size); /* NULL is fine */

/* Test hook: after `countdown` more allocations every t0_alloc fails; negative: never. Not for use with threads. */
void t0_alloc_fail_after(long countdown);

typedef struct t0_arena_block t0_arena_block;
typedef struct t0_arena {
    t0_arena_block *newest;
} t0_arena;

/* A cleared t0_arena is empty and ready. */
void *t0_arena_get(t0_arena *arena, size_t size); /* T0_ALIGN-aligned, not cleared; NULL when there is no memory */
void t0_arena_free(t0_arena *arena);

/* Growable bytes, owned. A cleared t0_buffer is empty. */
typedef struct t0_buffer {
    uint8_t *data;
    size_t size, capacity;
} t0_buffer;

bool t0_buffer_reserve(t0_buffer *buffer, size_t more); /* false when there is no memory */
bool t0_buffer_add(t0_buffer *buffer, const void *data, size_t size);
/* t0_buffer_add of anything large: T0_EINTERRUPT when the meter's poll asks to stop. */
t0_status t0_buffer_add_long(t0_buffer *buffer, const void *data, size_t size, t0_meter *meter, t0_error *err);
void t0_buffer_free(t0_buffer *buffer);

#endif
