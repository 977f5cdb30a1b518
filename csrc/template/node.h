/* The compiled form of a template: a tree of nodes in a few small blocks, names already turned into slots.
 *
 * Statements are linked by `next`. Expressions use a, b, c and items[count] as the table below says. Every Python
 * object that a node names is owned by the template's `constants` list; nodes borrow.
 *
 *     T_TEXT     value = str                           T_CALL    a = name, fn = function (NULL: none of that name), items, value = keyword names
 *     T_PRINT    a = expression                        T_METHOD  a = object, value = name, items, b->value = keyword names
 *     T_IF       a = test, b = then, c = else          T_FILTER  a = operand, fn = filter, items (NULL: not given)
 *     T_FOR      loop = parts                          T_TEST    a = operand, fn = predicate, items
 *     T_SET      a = target, b = value                 T_COMPARE a = first, items = operands, each with op
 *     T_SETBLOCK loop (body), a = target (NULL: print), T_BINARY  op, a, b         T_UNARY  op, a
 *                c = filters over T_CAPTURE, or NULL
 *     T_WITH     loop (body), items = target, value, ..
 *     T_MACRO    loop (body), a = target, items = parameter, default (or NULL), .., first, end = its local slots
 *     T_CONST    value      T_NAME slot, value         T_AND/T_OR a, b             T_COND   a if b else c (c may be NULL)
 *     T_LIST/T_TUPLE/T_CONCAT items                    T_ATTR    a, value = name   T_ITEM   a, b
 *     T_DICT     items = key, value, key, ...          T_SLICE   a, items[3] (NULL: not given)
 *     T_FIELD    slot, value = attribute (a target)
 */
#ifndef T0_TEMPLATE_NODE_H
#define T0_TEMPLATE_NODE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>

typedef enum t0_node_kind {
    T_TEXT,
    T_PRINT,
    T_IF,
    T_FOR,
    T_SET,
    T_SETBLOCK,
    T_WITH,
    T_MACRO,
    T_CONST,
    T_NAME,
    T_FIELD,
    T_LIST,
    T_TUPLE,
    T_DICT,
    T_ATTR,
    T_ITEM,
    T_SLICE,
    T_CALL,
    T_METHOD,
    T_FILTER,
    T_TEST,
    T_COMPARE,
    T_BINARY,
    T_UNARY,
    T_AND,
    T_OR,
    T_COND,
    T_CONCAT,
    T_CAPTURE
} t0_node_kind;

typedef enum t0_operator {
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_FLOORDIV,
    OP_MOD,
    OP_POW,
    OP_NEG,
    OP_POS,
    OP_NOT,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_IN,
    OP_NOT_IN
} t0_operator;

typedef struct t0_node t0_node;
typedef struct t0_loop_parts t0_loop_parts;

struct t0_node {
    uint8_t kind, op;
    uint8_t
        truncates; /* T_PRINT: 1: print `a` through string | truncate(2048), 2: the same, and the compiler added it; T_FILTER: 1: added */
    uint16_t depth;         /* 1 + that of the deepest child */
    int32_t slot;           /* >= 0: local; < 0: name number ~slot of the example */
    uint32_t line, column;  /* 1-based */
    uint32_t count, attrs;  /* items; T_ATTR, T_METHOD: bit set of the built-in types that have this attribute */
    PyObject *value;        /* borrowed */
    t0_node *a, *b, *c, *next;
    t0_node **items;
    const void *fn;
    t0_loop_parts *loop;
};

/* What a frame does to one local slot when it is entered: take the example's value, another slot's, or nothing. */
typedef struct t0_slot_init {
    int32_t slot, from; /* from: a slot as in t0_node; T0_NO_SLOT: clear it */
} t0_slot_init;
#define T0_NO_SLOT INT32_MIN

typedef struct t0_loop_parts {
    t0_node *target, *iter, *test, *body, *otherwise;
    t0_node *test_target;        /* the target again, with the slots of the test's own frame */
    int32_t loop_slot;           /* of `loop`; T0_NO_SLOT where the body does not read it */
    t0_slot_init *inits, *test_inits, *else_inits;
    uint32_t n_inits, n_test_inits, n_else_inits;
    uint32_t first, end;         /* all local slots of a macro or a loop: a call of itself needs them anew */
    bool recursive;
} t0_loop_parts;

#endif
