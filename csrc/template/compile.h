/* From a text to a compiled template. */
#ifndef T0_TEMPLATE_COMPILE_H
#define T0_TEMPLATE_COMPILE_H

#include "base/status.h"
#include "template/template.h"

/* Compiles `source` (a str). T0_ETEMPLATE with line and column, T0_ENOMEM, or T0_EPYTHON; `out` is then cleared. */
t0_status t0_template_compile(t0_template *out, PyObject *source, t0_error *err);

#endif
