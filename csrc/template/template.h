/* A compiled template: its tree, the names that it reads, and the memory of both. It never changes once it is compiled. */
#ifndef T0_TEMPLATE_TEMPLATE_H
#define T0_TEMPLATE_TEMPLATE_H

#include "base/memory.h"
#include "template/node.h"

typedef struct t0_template {
    struct t0_template_block *blocks; /* owned; of nodes, in the order of the text: a rendering walks them forwards */
    t0_arena scratch;                 /* only while compiling */
    PyObject *constants;              /* list, strong: all that nodes refer to */
    PyObject **names;                 /* [n_names] read from the example, interned, borrowed from constants */
    uint32_t n_names, n_slots;
    t0_node *body;
    t0_slot_init *inits;              /* [n_inits] of the outermost frame */
    uint32_t n_inits;
    PyObject **guarded;               /* [n_guarded] that `is defined`, `is undefined` or default is asked about; borrowed like `names` */
    uint32_t n_guarded;
    bool mutates;                     /* some method call may change its receiver */
    bool random;                      /* choice or random occurs */
} t0_template;

/* Memory that lives as long as the template, aligned for pointers, not cleared; NULL when there is none. */
void *t0_template_get(t0_template *template, size_t size);
/* An array of n pointers with room for one more: itself, or at each power of two a copy of twice the size; NULL as above. */
void *t0_template_grown(t0_template *template, void *array, uint32_t n);
void t0_template_clear(t0_template *template); /* a cleared template, too */

#endif
