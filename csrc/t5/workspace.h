/* Training and inference: memory of a pass, sized first, then handed out. Only csrc/t5 includes this.
 *
 * What a pass needs is listed once, in a function that cuts it piece by piece from a carver:
 *
 *     static void carve(places *p, t0_carver *at) {
 *         p->x = t0_carve(at, n, d);
 *         t0_carver early = *at, late = *at;                       what is never needed together shares memory
 *         p->h = t0_carve(&early, n, f);
 *         p->z = t0_carve(&late, n, v);
 *         at->used = t0_size_max(early.used, late.used);
 *     }
 *
 * That function runs twice: first on a cleared carver, which has no memory, gives NULL and only counts, then on the memory.
 *
 *     t0_carver size = {0};
 *     carve(&p, &size);
 *     T0_TRY(t0_workspace_reserve(&workspace, size.used, err));    the one step that can lack memory
 *     t0_carver at = {.base = workspace.data};
 *     carve(&p, &at); */
#ifndef T0_T5_WORKSPACE_H
#define T0_T5_WORKSPACE_H

#include "base/memory.h"

/* A block of floats that only grows, and only between passes; a cleared one is empty. Growing does not
 * keep the content. When there is no memory the old block stays. */
typedef struct t0_workspace {
    float *data; /* [capacity], T0_ALIGN-aligned, owned */
    size_t capacity;
} t0_workspace;

t0_status t0_workspace_reserve(t0_workspace *workspace, size_t n_floats, t0_error *err);
void t0_workspace_free(t0_workspace *workspace);

/* Cuts memory into T0_ALIGN-aligned pieces. `used` sticks at SIZE_MAX on overflow, which t0_workspace_reserve refuses. */
typedef struct t0_carver {
    float *base; /* T0_ALIGN-aligned, borrowed; NULL: only counts */
    size_t used; /* floats */
} t0_carver;

/* The next piece: floats [rows, columns], not cleared; NULL where there is no base. */
float *t0_carve(t0_carver *carver, size_t rows, size_t columns);
/* The next piece for n items of another type, of `size` bytes each. */
void *t0_carve_items(t0_carver *carver, size_t n, size_t size);

#endif
