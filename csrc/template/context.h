/* The state of one rendering. */
#ifndef T0_TEMPLATE_CONTEXT_H
#define T0_TEMPLATE_CONTEXT_H

#include "template/runtime.h"
#include "template/template.h"
#include "template/writer.h"

enum { T0_PICK_RANDOM, T0_PICK_FIRST, T0_PICK_LAST }; /* what choice and random take */

/* Containers that the template made: a hash set. */
typedef struct t0_owned {
    PyObject **slots; /* [capacity] strong or NULL, so that an address in here is never reused */
    size_t used, capacity;
} t0_owned;

/* What a lazy value or a loop knows of its rendering: an object of the example may keep one for longer than that lasts. */
typedef struct t0_life {
    size_t holders;
    unsigned long thread;
    struct t0_context *c; /* NULL once the rendering has ended */
} t0_life;

typedef struct t0_context {
    const t0_template *template;
    t0_runtime *runtime;      /* borrowed */
    PyObject *example;        /* dict; borrowed */
    PyObject *answer_choices; /* borrowed, NULL: not given */
    bool escapes;             /* replace ||| in top-level strings of the example by the marker */
    t0_writer *marked;        /* the writer that marks the template's own |||; NULL: none */
    PyObject **locals;        /* [n_slots] strong, NULL: missing */
    PyObject **globals;       /* [n_names] strong, NULL: not looked up yet */
    t0_writer *out, *main;    /* main: of the rendering; out: that, or of a text that is captured */
    struct t0_notes *notes;   /* borrowed; NULL: none are kept */
    uint64_t steps, max_steps, nodes; /* nodes: the steps that hold no memory */
    uint64_t pause, yielded;  /* steps at which t0_charge does more than count; at the last turn of other threads */
    size_t max_output, max_memory;
    double max_seconds, deadline; /* 0: none; deadline: on the monotonic clock */
    const t0_node *where;     /* the node at work, for messages */
    t0_owned owned;           /* containers the template made; kept only where the template mutates */
    uint64_t seed, index, draws;
    int pick;                 /* T0_PICK_... */
    t0_life *life;            /* NULL until something shares it */
    PyObject *captured;       /* borrowed: the text that a block's filters are applied to */
    const char *stack;        /* where the rendering's stack began */
} t0_context;

#endif
