/* From a text to a compiled template. */
#ifndef T0_TEMPLATE_COMPILE_H
#define T0_TEMPLATE_COMPILE_H

#include "base/status.h"
#include "template/template.h"

/* Filters that the compiler adds behind the last term of every print, as promptsource writes them before every }} of the text. */
typedef enum t0_added { T0_ADD_TRUNCATE = 1, T0_ADD_HIGHLIGHT = 2 } t0_added; /* | string | truncate(2048); then | highlight */

/* Compiles `source` (a str); adds: bits of t0_added. T0_ETEMPLATE with line and column, T0_ENOMEM, or T0_EPYTHON; `out` is then cleared. */
t0_status t0_template_compile(t0_template *out, PyObject *source, unsigned adds, t0_error *err);

#endif
