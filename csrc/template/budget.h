/* Costs: each is charged as steps, before the work; -1 with TemplateError set when a budget is used up. */
#ifndef T0_TEMPLATE_BUDGET_H
#define T0_TEMPLATE_BUDGET_H

#include "template/context.h"

void t0_budget_open(t0_context *c); /* max_... are set */
int t0_pause(t0_context *c);
static inline int t0_charge(t0_context *c, uint64_t steps) {
    c->steps += steps;
    return c->steps <= c->pause ? 0 : t0_pause(c);
}
static inline int t0_charge_node(t0_context *c) {
    c->nodes++;
    return t0_charge(c, 1);
}
int t0_charge_size(t0_context *c, uint64_t characters); /* before a string of this length is made */
int t0_charge_tree(t0_context *c, PyObject *value);     /* before a value is compared or hashed */
int t0_charge_print(t0_context *c, PyObject *value);    /* before a container is printed */
int t0_charge_replace(t0_context *c, PyObject *text, PyObject *old,
                      PyObject *new); /* three str: before every `old` in `text` becomes `new` */

PyObject *t0_settle_wide(t0_context *c, PyObject *text);
static inline PyObject *t0_settle(t0_context *c, PyObject *out) { /* the rest of the price of a text just made; passes `out` on, NULL too */
    return !out || !PyUnicode_CheckExact(out) || PyUnicode_KIND(out) == PyUnicode_1BYTE_KIND ? out : t0_settle_wide(c, out);
}

int t0_refuse(t0_context *c, const char *format, ...); /* sets TemplateError, as PyErr_Format does; always -1 */

#endif
