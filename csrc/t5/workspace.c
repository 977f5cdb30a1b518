/* Workspaces and carvers (see workspace.h). A piece of n floats takes n rounded up to whole units of T0_ALIGN bytes. */
#include "t5/workspace.h"

#include <assert.h>

/* From this size on a workspace is pages of its own, large ones where the system has them. */
enum { MAPPED_FLOATS = 1 << 21 };

t0_status t0_workspace_reserve(t0_workspace *workspace, size_t n_floats, t0_error *err) {
    if (n_floats <= workspace->capacity) return T0_OK;
    if (n_floats > SIZE_MAX / 2 / sizeof(float)) return t0_fail_memory(err, SIZE_MAX);
    const size_t size = n_floats * sizeof(float);
    float *data = n_floats < MAPPED_FLOATS ? t0_alloc(size) : t0_map_zero(size);
    if (!data) return t0_fail_memory(err, size);
    t0_workspace_free(workspace);
    workspace->data = data;
    workspace->capacity = n_floats;
    return T0_OK;
}

void t0_workspace_free(t0_workspace *workspace) {
    if (workspace->capacity < MAPPED_FLOATS) t0_free(workspace->data);
    else t0_unmap(workspace->data, workspace->capacity * sizeof(float));
    *workspace = (t0_workspace){0};
}

float *t0_carve(t0_carver *carver, size_t rows, size_t columns) {
    const size_t unit = T0_ALIGN / sizeof(float);
    assert((uintptr_t)carver->base % T0_ALIGN == 0 && (carver->used % unit == 0 || carver->used == SIZE_MAX));
    float *piece = carver->base ? carver->base + carver->used : NULL;
    size_t size, end;
    if (!t0_size_mul(rows, columns, &size) || size > SIZE_MAX - unit || !t0_size_add(carver->used, t0_size_round(size, unit), &end)) {
        carver->used = SIZE_MAX;
        return NULL;
    }
    carver->used = end;
    return piece;
}

void *t0_carve_items(t0_carver *carver, size_t n, size_t size) { return t0_carve(carver, n, t0_size_units(size, sizeof(float))); }
