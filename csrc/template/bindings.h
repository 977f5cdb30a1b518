/* What a filter, a test, a function or a method name stands for, and which argument is which parameter's. */
#ifndef T0_TEMPLATE_BINDINGS_H
#define T0_TEMPLATE_BINDINGS_H

#include "template/tokens.h"

enum { T0_ARGUMENTS_MAX = 60 }; /* of one call, all told */

typedef struct t0_call_arguments { /* all in scratch memory */
    t0_node **positional; /* [n_positional] */
    PyObject **names;     /* [n_keyword] interned, borrowed */
    t0_node **keyword;    /* [n_keyword] their values */
    uint32_t n_positional, n_keyword;
} t0_call_arguments;

/* node: a T_FILTER or T_TEST whose operand is in place; name: the token that names what it applies. */
t0_status t0_bind_filter(t0_parser *p, t0_node *node, const t0_token *name, const t0_call_arguments *args);
t0_status t0_bind_test(t0_parser *p, t0_node *node, const t0_token *name, const t0_call_arguments *args);
/* *callee, a name or an attribute, becomes the call. */
t0_status t0_bind_call(t0_parser *p, t0_node **callee, const t0_token *at, const t0_call_arguments *args);

#endif
