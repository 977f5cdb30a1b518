/* Which containers the template made: a template may change those alone. */
#ifndef T0_TEMPLATE_OWNED_H
#define T0_TEMPLATE_OWNED_H

#include "template/context.h"

int t0_own_container(t0_context *c, PyObject *container); /* -1: MemoryError is set */
static inline int t0_own(t0_context *c, PyObject *made) { /* notes a container that the template made; anything else passes */
    const bool noted = c->template->mutates && (PyList_CheckExact(made) || PyDict_CheckExact(made));
    return noted ? t0_own_container(c, made) : 0;
}
bool t0_owns(const t0_context *c, PyObject *container);
void t0_owned_free(t0_owned *owned);

#endif
