/* What the compiled template (py_template.c) and the prompt's quick path (py_prompt.c) share. */
#ifndef T0_PY_TEMPLATE_H
#define T0_PY_TEMPLATE_H

#include "py/py.h"

#include "template/render.h"

typedef struct t0py_template {
    PyObject_HEAD
    t0_template compiled;
    t0_runtime *runtime; /* strong */
    PyObject *source;
    uint64_t max_steps;
    size_t max_output;
} t0py_template;

/* One rendering, as text or, where `parts`, split at ||| with the separators of the data escaped (promptsource's apply).
 * example: a dict. answer_choices: a list, None, or NULL. Of options, seed, index and pick are read. NULL: exception set. */
PyObject *t0py_template_render(t0py_template *self, const t0_render_options *options, PyObject *example, PyObject *answer_choices,
                               bool parts);

#endif
