/* What the binding needs: compiling a template, one rendering of it, the runtime, the writer, and the names of functions. */
#ifndef T0_TEMPLATE_RENDER_H
#define T0_TEMPLATE_RENDER_H

#include "template/allowed.h"
#include "template/compile.h"
#include "template/context.h"
#include "template/notes.h"

typedef struct t0_render_options {
    bool escapes; /* hide ||| in the example's strings behind the marker */
    bool marks;   /* mark in `out` where ||| stands in the template's own text */
    t0_notes *notes; /* borrowed, cleared by the caller before and after; NULL: none are kept */
    int pick;     /* T0_PICK_... */
    uint64_t seed, index, max_steps;
    size_t max_output, max_memory;
    double max_seconds; /* 0: no limit */
} t0_render_options;

/* Renders into `out` (open and empty). example: a dict, borrowed, never changed; answer_choices: borrowed, a list being the
 * template's to change; NULL: not given.
 * -1 with TemplateError (line, column), MemoryError or the signal's exception set. */
int t0_render(const t0_template *template, t0_runtime *runtime, const t0_render_options *options, PyObject *example,
              PyObject *answer_choices, t0_writer *out);

#endif
