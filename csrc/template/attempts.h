/* Attempts that may come to nothing: what an object of a row raises where it is asked for a length, an item or an index. */
#ifndef T0_TEMPLATE_ATTEMPTS_H
#define T0_TEMPLATE_ATTEMPTS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

/* Clears the exception of an attempt, if there is one. False, and it stays, where memory ran out or a signal came. */
bool t0_forgive(void);

#endif
