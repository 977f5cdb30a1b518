/* What the compiled template (py_template.c) and the prompt's quick path (py_prompt.c) share. */
#ifndef T0_PY_TEMPLATE_H
#define T0_PY_TEMPLATE_H

#include "py/support.h"

#include "template/render.h"

typedef struct t0py_template {
    PyObject_HEAD
    t0_template compiled;
    t0_runtime *runtime; /* strong */
    PyObject *source;
    t0_render_options budgets; /* max_...; the rest is unset */
} t0py_template;

/* What a rendering becomes: a text; parts between the ||| that it holds, those of the data being escaped meanwhile
 * (promptsource's apply); parts between the ||| of the template's own text; or
 * the first kind of parts with the notes of the rendering, (parts, notes). */
typedef enum t0py_shape { T0PY_TEXT, T0PY_PARTS, T0PY_OWN_PARTS, T0PY_NOTED_PARTS } t0py_shape;

/* One rendering. example: a dict. answer_choices: a list, None, or NULL. Of options, seed, index and pick are read.
 * NULL: exception set. */
PyObject *t0py_template_render(t0py_template *self, const t0_render_options *options, PyObject *example, PyObject *answer_choices,
                               t0py_shape shape);

#endif
