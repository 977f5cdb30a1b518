/* What a template may change: only containers that it made itself.
 *
 * They are noted in a hash set with open addressing, with references, so that an address in the set always means the same
 * object. Capacity is a power of two, at most half of it used. */
#include "template/owned.h"

#include <assert.h>
#include <string.h>

static size_t home(const t0_owned *owned, PyObject *container) {
    assert(owned->capacity && !(owned->capacity & (owned->capacity - 1)));
    return ((uintptr_t)container >> 4) * 11400714819323198485u & (owned->capacity - 1);
}

static void place(t0_owned *owned, PyObject *container) {
    assert(owned->used < owned->capacity);
    size_t i = home(owned, container);
    while (owned->slots[i]) i = (i + 1) & (owned->capacity - 1);
    owned->slots[i] = container;
}

bool t0_owns(const t0_context *c, PyObject *container) {
    if (!c->owned.capacity) return false;
    for (size_t i = home(&c->owned, container); c->owned.slots[i]; i = (i + 1) & (c->owned.capacity - 1))
        if (c->owned.slots[i] == container) return true;
    return false;
}

int t0_own_container(t0_context *c, PyObject *container) {
    if (t0_owns(c, container)) return 0;
    t0_owned *owned = &c->owned;
    if (2 * (owned->used + 1) > owned->capacity) {
        const t0_owned old = *owned;
        owned->capacity = old.capacity ? old.capacity * 2 : 16;
        owned->slots = PyMem_Calloc(owned->capacity, sizeof *owned->slots);
        if (!owned->slots) {
            *owned = old;
            PyErr_NoMemory();
            return -1;
        }
        for (size_t i = 0; i < old.capacity; i++)
            if (old.slots[i]) place(owned, old.slots[i]);
        PyMem_Free(old.slots);
    }
    place(owned, Py_NewRef(container));
    owned->used++;
    return 0;
}

void t0_owned_free(t0_owned *owned) {
    for (size_t i = 0; i < owned->capacity; i++) Py_XDECREF(owned->slots[i]);
    PyMem_Free(owned->slots);
    memset(owned, 0, sizeof *owned);
}
