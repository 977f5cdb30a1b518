/* The memory of a compiled template: a chain of blocks that are freed at once.
 *
 *     block = next, used, size, data[size]      a piece that does not fit the newest block begins another one
 *
 * Nodes lie in the order of the text, so that a rendering walks forwards through them. */
#include "template/template.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

typedef struct t0_template_block {
    struct t0_template_block *next;
    size_t used, size; /* bytes of data */
    max_align_t data[];
} block;

enum { BLOCK_SIZE = 2000 };

void *t0_template_get(t0_template *template, size_t size) {
    size = (size + sizeof(void *) - 1) / sizeof(void *) * sizeof(void *);
    block *newest = template->blocks;
    assert(!newest || newest->used <= newest->size);
    if (!newest || newest->size - newest->used < size) {
        const size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        newest = PyMem_Malloc(sizeof *newest + room);
        if (!newest) return NULL;
        *newest = (block){template->blocks, 0, room};
        template->blocks = newest;
    }
    void *out = (char *)newest->data + newest->used;
    newest->used += size;
    return out;
}

void *t0_template_grown(t0_template *template, void *array, uint32_t n) {
    assert(!n || array);
    if (n & (n - 1)) return array;
    void *const grown = t0_template_get(template, (n ? 2 * (size_t)n : 1) * sizeof(void *));
    if (grown && n) memcpy(grown, array, n * sizeof(void *));
    return grown;
}

void t0_template_clear(t0_template *template) {
    while (template->blocks) {
        block *const next = template->blocks->next;
        PyMem_Free(template->blocks);
        template->blocks = next;
    }
    t0_arena_free(&template->scratch);
    Py_CLEAR(template->constants);
    memset(template, 0, sizeof *template);
}
