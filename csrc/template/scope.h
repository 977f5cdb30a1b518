/* Turns the names of a parsed template into slots. */
#ifndef T0_TEMPLATE_SCOPE_H
#define T0_TEMPLATE_SCOPE_H

#include "base/status.h"
#include "template/template.h"

t0_status t0_scope_resolve(t0_template *template, t0_error *err);

#endif
