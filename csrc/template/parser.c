/* Expressions, by recursive descent; precedence from low to high as in Jinja:
 *
 *     a if b else c        right; the else may be missing
 *     or   and   not
 *     == != < <= > >= in, not in      one level, chained as in Python
 *     + -    ~    * / // %    **      all left-associative, ** too
 *     unary - +, then  | filter  and  is test, which take the whole unary term: -x|abs is (-x)|abs
 *     postfix . [] ()
 *
 * The production that a function reads stands over it: 'x' a token, [x] one or none, {x} any number. NAME, STRING, INTEGER
 * and FLOAT are the lexer's. T0_DEPTH_MAX bounds the recursion of this descent. */
#include "template/parser.h"

#include "template/bindings.h"
#include "template/lookup.h"

#include <string.h>

static t0_status make(t0_parser *p, t0_node_kind kind, const t0_token *at, t0_node *a, t0_node *b, t0_node *c, int op, t0_node **out) {
    t0_node *node;
    T0_TRY(t0_parser_node(p, kind, at, &node));
    node->a = a;
    node->b = b;
    node->c = c;
    node->op = (uint8_t)op;
    *out = node;
    return t0_parser_sized(p, node);
}

/* The node with the items of the list. */
static t0_status with_items(t0_parser *p, t0_node *node, const t0_items *list, t0_node **out) {
    T0_TRY(t0_items_keep(p, list, node));
    *out = node;
    return t0_parser_sized(p, node);
}

/* list = '[' [expression {',' expression} [',']] ']' */
static t0_status parse_list(t0_parser *p, t0_node **out) {
    t0_node *node;
    T0_TRY(t0_parser_node(p, T_LIST, &p->now, &node));
    t0_items list = {0};
    T0_TRY(t0_parser_advance(p));
    while (p->now.kind != K_RBRACKET) {
        if (list.count) T0_TRY(t0_parser_expect(p, K_COMMA, "',' or ']'"));
        if (p->now.kind == K_RBRACKET) break;
        t0_node *item;
        T0_TRY(t0_parse_expression(p, true, &item));
        T0_TRY(t0_items_add(p, &list, item));
    }
    T0_TRY(t0_parser_expect(p, K_RBRACKET, "']'"));
    return with_items(p, node, &list, out);
}

/* dict = '{' [expression ':' expression {',' expression ':' expression} [',']] '}' */
static t0_status parse_dict(t0_parser *p, t0_node **out) {
    t0_node *node;
    T0_TRY(t0_parser_node(p, T_DICT, &p->now, &node));
    t0_items list = {0};
    T0_TRY(t0_parser_advance(p));
    while (p->now.kind != K_RBRACE) {
        if (list.count) T0_TRY(t0_parser_expect(p, K_COMMA, "',' or '}'"));
        if (p->now.kind == K_RBRACE) break;
        t0_node *key, *value;
        T0_TRY(t0_parse_expression(p, true, &key));
        T0_TRY(t0_parser_expect(p, K_COLON, "':'"));
        T0_TRY(t0_parse_expression(p, true, &value));
        T0_TRY(t0_items_add(p, &list, key));
        T0_TRY(t0_items_add(p, &list, value));
    }
    T0_TRY(t0_parser_expect(p, K_RBRACE, "'}'"));
    return with_items(p, node, &list, out);
}

static t0_status constant(t0_parser *p, const t0_token *at, PyObject *value, t0_node **out) {
    t0_node *node;
    T0_TRY(t0_parser_node(p, T_CONST, at, &node));
    node->value = value;
    *out = node;
    return T0_OK;
}

/* The rest of adjacent strings, joined to the first at once: one by one would take quadratic time and memory. */
static t0_status join_strings(t0_parser *p, PyObject *pieces, PyObject **text) {
    t0_status status = PyList_Append(pieces, *text) < 0 ? T0_EPYTHON : T0_OK;
    while (status == T0_OK && p->now.kind == K_STRING) status = PyList_Append(pieces, p->now.value) < 0 ? T0_EPYTHON : t0_parser_advance(p);
    PyObject *empty = status == T0_OK ? PyUnicode_New(0, 0) : NULL;
    *text = empty ? t0_keep(p->template->constants, PyUnicode_Join(empty, pieces)) : NULL;
    Py_XDECREF(empty);
    if (*text) return T0_OK;
    return status == T0_OK || status == T0_EPYTHON ? t0_fail(p->err, T0_EPYTHON, "Python error") : status;
}

/* string = STRING {STRING} */
static t0_status parse_string(t0_parser *p, t0_node **out) {
    const t0_token first = p->now;
    PyObject *text = first.value;
    T0_TRY(t0_parser_advance(p));
    if (p->now.kind == K_STRING) {
        PyObject *pieces = PyList_New(0);
        if (!pieces) return t0_fail(p->err, T0_EPYTHON, "Python error");
        const t0_status status = join_strings(p, pieces, &text);
        Py_DECREF(pieces);
        T0_TRY(status);
    }
    return constant(p, &first, text, out);
}

/* name = NAME ['.' NAME]      the field only where with_fields; true, false and none are constants */
static t0_status parse_name(t0_parser *p, bool with_fields, t0_node **out) {
    const t0_token name = p->now;
    T0_TRY(t0_parser_advance(p));
    if (t0_token_is_name(&name, "true") || t0_token_is_name(&name, "True")) return constant(p, &name, Py_True, out);
    if (t0_token_is_name(&name, "false") || t0_token_is_name(&name, "False")) return constant(p, &name, Py_False, out);
    if (t0_token_is_name(&name, "none") || t0_token_is_name(&name, "None")) return constant(p, &name, Py_None, out);
    if (t0_token_is_name(&name, "self")) return t0_fail_at(p->err, name.line, name.column, "the name self is reserved: rename the field");
    if (p->macros && (t0_token_is_name(&name, "caller") || t0_token_is_name(&name, "varargs") || t0_token_is_name(&name, "kwargs")))
        return t0_fail_at(p->err, name.line, name.column, "caller, varargs and kwargs are not supported in a macro: name the parameters");
    const bool field = with_fields && p->now.kind == K_DOT;
    t0_node *node;
    T0_TRY(t0_parser_node(p, field ? T_FIELD : T_NAME, &name, &node));
    node->value = name.value;
    if (field) {
        T0_TRY(t0_parser_advance(p));
        if (p->now.kind != K_NAME) return t0_parser_fail(p, "expected a name after '.'");
        t0_node *base;
        T0_TRY(t0_parser_node(p, T_NAME, &name, &base));
        base->value = name.value;
        node->a = base;
        node->value = p->now.value;
        T0_TRY(t0_parser_advance(p));
    }
    *out = node;
    return T0_OK;
}

/* primary = name | string | INTEGER | FLOAT | '(' tuple ')' | list | dict */
static t0_status parse_primary(t0_parser *p, bool with_fields, t0_node **out) {
    const t0_token token = p->now;
    switch (token.kind) {
    case K_NAME: return parse_name(p, with_fields, out);
    case K_STRING: return parse_string(p, out);
    case K_INTEGER:
    case K_FLOAT: T0_TRY(t0_parser_advance(p)); return constant(p, &token, token.value, out);
    case K_LPAREN:
        T0_TRY(t0_parser_advance(p));
        T0_TRY(t0_parse_tuple(p, (t0_tuple_rule){.parentheses = true}, out));
        return t0_parser_expect(p, K_RPAREN, "')'");
    case K_LBRACKET: return parse_list(p, out);
    case K_LBRACE: return parse_dict(p, out);
    default: return t0_parser_fail(p, "expected an expression");
    }
}

static bool at_slice_end(const t0_parser *p) { return p->now.kind == K_RBRACKET || p->now.kind == K_COMMA || p->now.kind == K_COLON; }

/* subscript = expression | [expression] ':' [expression] [':' [expression]] */
static t0_status parse_subscript(t0_parser *p, const t0_token *at, t0_node *base, t0_node **out) {
    t0_node *part[3] = {NULL, NULL, NULL};
    if (p->now.kind != K_COLON) {
        T0_TRY(t0_parse_expression(p, true, &part[0]));
        if (p->now.kind != K_COLON) return make(p, T_ITEM, at, base, part[0], NULL, 0, out);
    }
    for (int i = 1; i < 3 && p->now.kind == K_COLON; i++) {
        T0_TRY(t0_parser_advance(p));
        if (!at_slice_end(p)) T0_TRY(t0_parse_expression(p, true, &part[i]));
    }
    t0_node *node;
    T0_TRY(t0_parser_node(p, T_SLICE, at, &node));
    t0_items list = {0};
    for (int i = 0; i < 3; i++) T0_TRY(t0_items_add(p, &list, part[i]));
    node->a = base;
    return with_items(p, node, &list, out);
}

/* brackets = subscript {',' expression} ']'      after the '['; several make a tuple */
static t0_status parse_brackets(t0_parser *p, const t0_token *at, t0_node **out) {
    t0_node *base = *out;
    if (p->now.kind == K_RBRACKET) return t0_parser_fail(p, "expected an index");
    T0_TRY(parse_subscript(p, at, base, out));
    if (p->now.kind != K_COMMA) return t0_parser_expect(p, K_RBRACKET, "']'");
    if ((*out)->kind == T_SLICE) return t0_parser_fail(p, "several slices in one index are not supported");
    t0_node *tuple;
    T0_TRY(t0_parser_node(p, T_TUPLE, at, &tuple));
    t0_items list = {0};
    T0_TRY(t0_items_add(p, &list, (*out)->b));
    while (p->now.kind != K_RBRACKET) {
        T0_TRY(t0_parser_expect(p, K_COMMA, "',' or ']'"));
        t0_node *item;
        T0_TRY(t0_parse_expression(p, true, &item));
        T0_TRY(t0_items_add(p, &list, item));
    }
    T0_TRY(t0_parser_expect(p, K_RBRACKET, "']'"));
    T0_TRY(with_items(p, tuple, &list, &tuple));
    return make(p, T_ITEM, at, base, tuple, NULL, 0, out);
}

/* dot = NAME | INTEGER      after the '.' */
static t0_status parse_dot(t0_parser *p, const t0_token *at, t0_node **out) {
    const t0_token name = p->now;
    T0_TRY(t0_parser_advance(p));
    if (name.kind == K_INTEGER) {
        t0_node *index;
        T0_TRY(constant(p, &name, name.value, &index));
        return make(p, T_ITEM, at, *out, index, NULL, 0, out);
    }
    if (name.kind != K_NAME) return t0_fail_at(p->err, name.line, name.column, "expected a name or a number after '.'");
    if (PyUnicode_READ_CHAR(name.value, 0) == '_')
        return t0_fail_at(p->err, name.line, name.column, "attributes that begin with _ are not reachable: use [\"%.60s\"] for a key",
                          PyUnicode_AsUTF8(name.value));
    T0_TRY(make(p, T_ATTR, &name, *out, NULL, NULL, 0, out));
    (*out)->value = name.value;
    const int64_t types = t0_attribute_types(name.value);
    if (types < 0) return t0_fail(p->err, T0_EPYTHON, "attributes");
    (*out)->attrs = (uint32_t)types;
    return T0_OK;
}

static t0_status make_room(t0_parser *p, t0_call_arguments *out) {
    const size_t size = T0_ARGUMENTS_MAX * sizeof(void *);
    memset(out, 0, sizeof *out);
    out->positional = t0_arena_get(&p->template->scratch, size);
    out->keyword = t0_arena_get(&p->template->scratch, size);
    out->names = t0_arena_get(&p->template->scratch, size);
    return out->positional && out->keyword && out->names ? T0_OK : t0_fail_memory(p->err, size);
}

/* argument = [NAME '='] expression      those with a name last */
static t0_status parse_argument(t0_parser *p, t0_call_arguments *out) {
    if (p->now.kind == K_MUL || p->now.kind == K_POW)
        return t0_parser_fail(p, "* and ** arguments are not supported: write the arguments out");
    if (out->n_positional + out->n_keyword == T0_ARGUMENTS_MAX) return t0_parser_fail(p, "more than 60 arguments");
    t0_token *next = NULL;
    if (p->now.kind == K_NAME) T0_TRY(t0_parser_look(p, &next));
    if (next && next->kind == K_ASSIGN) {
        out->names[out->n_keyword] = p->now.value;
        T0_TRY(t0_parser_advance(p));
        T0_TRY(t0_parser_advance(p));
        return t0_parse_expression(p, true, &out->keyword[out->n_keyword++]);
    }
    if (out->n_keyword) return t0_parser_fail(p, "a plain argument after a keyword argument: put it before");
    return t0_parse_expression(p, true, &out->positional[out->n_positional++]);
}

/* arguments = '(' [argument {',' argument} [',']] ')' */
static t0_status parse_arguments(t0_parser *p, t0_call_arguments *out) {
    T0_TRY(make_room(p, out));
    T0_TRY(t0_parser_expect(p, K_LPAREN, "'('"));
    while (p->now.kind != K_RPAREN) {
        if (out->n_positional + out->n_keyword) {
            T0_TRY(t0_parser_expect(p, K_COMMA, "',' or ')'"));
            if (p->now.kind == K_RPAREN) break;
        }
        T0_TRY(parse_argument(p, out));
    }
    return t0_parser_expect(p, K_RPAREN, "')'");
}

/* call = arguments */
static t0_status parse_call(t0_parser *p, t0_node **out) {
    const t0_token at = p->now;
    t0_call_arguments args;
    T0_TRY(parse_arguments(p, &args));
    return t0_bind_call(p, out, &at, &args);
}

/* postfix = {arguments | '.' dot | '[' brackets} */
static t0_status parse_postfix(t0_parser *p, t0_node **out) {
    for (;;) {
        const t0_token at = p->now;
        if (at.kind == K_LPAREN) {
            T0_TRY(parse_call(p, out));
            continue;
        }
        if (at.kind != K_DOT && at.kind != K_LBRACKET) return T0_OK;
        T0_TRY(t0_parser_advance(p));
        T0_TRY(at.kind == K_DOT ? parse_dot(p, &at, out) : parse_brackets(p, &at, out));
    }
}

/* filter = '|' NAME [arguments] */
static t0_status parse_filter(t0_parser *p, t0_node **out) {
    T0_TRY(t0_parser_advance(p));
    const t0_token name = p->now;
    T0_TRY(t0_parser_expect(p, K_NAME, "the name of a filter"));
    t0_call_arguments args = {0};
    if (p->now.kind == K_LPAREN) T0_TRY(parse_arguments(p, &args));
    t0_node *node;
    T0_TRY(t0_parser_node(p, T_FILTER, &name, &node));
    node->a = *out;
    node->truncates = name.added && args.n_positional; /* of the added ones only truncate has an argument */
    *out = node;
    T0_TRY(t0_bind_filter(p, node, &name, &args));
    return t0_parser_sized(p, node);
}

/* test = 'is' ['not'] NAME [arguments | primary postfix] */
static t0_status parse_test(t0_parser *p, t0_node **out) {
    T0_TRY(t0_parser_advance(p));
    const bool negated = t0_parser_at_name(p, "not");
    if (negated) T0_TRY(t0_parser_advance(p));
    const t0_token name = p->now;
    T0_TRY(t0_parser_expect(p, K_NAME, "the name of a test"));
    t0_call_arguments args = {0};
    t0_node *only = NULL;
    const t0_token_kind kind = p->now.kind;
    if (kind == K_LPAREN) T0_TRY(parse_arguments(p, &args));
    else if (kind == K_STRING || kind == K_INTEGER || kind == K_FLOAT || kind == K_LBRACKET || kind == K_LBRACE ||
             (kind == K_NAME && !t0_parser_at_name(p, "else") && !t0_parser_at_name(p, "or") && !t0_parser_at_name(p, "and"))) {
        if (t0_parser_at_name(p, "is")) return t0_parser_fail(p, "tests cannot be chained");
        T0_TRY(parse_primary(p, false, &only));
        T0_TRY(parse_postfix(p, &only));
        t0_items list = {0};
        T0_TRY(t0_items_add(p, &list, only));
        args.positional = list.data;
        args.n_positional = 1;
    }
    t0_node *node;
    T0_TRY(t0_parser_node(p, T_TEST, &name, &node));
    node->a = *out;
    *out = node;
    T0_TRY(t0_bind_test(p, node, &name, &args));
    T0_TRY(t0_parser_sized(p, node));
    return negated ? make(p, T_UNARY, &name, node, NULL, NULL, OP_NOT, out) : T0_OK;
}

/* unary = (('-' | '+') unary | primary) postfix {filter | test | arguments}      the braces only where with_filter */
static t0_status parse_unary(t0_parser *p, bool with_filter, t0_node **out) {
    const t0_token token = p->now;
    if (++p->depth > T0_DEPTH_MAX)
        return t0_fail_at(p->err, token.line, token.column, "more than %d levels: split the expression with {%% set %%}", T0_DEPTH_MAX);
    if (token.kind == K_SUB || token.kind == K_ADD) {
        T0_TRY(t0_parser_advance(p));
        t0_node *operand;
        T0_TRY(parse_unary(p, false, &operand));
        T0_TRY(make(p, T_UNARY, &token, operand, NULL, NULL, token.kind == K_SUB ? OP_NEG : OP_POS, out));
    } else T0_TRY(parse_primary(p, false, out));
    T0_TRY(parse_postfix(p, out));
    while (with_filter) {
        if (p->now.kind == K_PIPE) T0_TRY(parse_filter(p, out));
        else if (t0_parser_at_name(p, "is")) T0_TRY(parse_test(p, out));
        else if (p->now.kind == K_LPAREN) T0_TRY(parse_call(p, out));
        else break;
    }
    p->depth--;
    return T0_OK;
}

/* pow = unary {'**' unary} */
static t0_status parse_pow(t0_parser *p, t0_node **out) {
    T0_TRY(parse_unary(p, true, out));
    while (p->now.kind == K_POW) {
        const t0_token at = p->now;
        t0_node *right;
        T0_TRY(t0_parser_advance(p));
        T0_TRY(parse_unary(p, true, &right));
        T0_TRY(make(p, T_BINARY, &at, *out, right, NULL, OP_POW, out));
    }
    return T0_OK;
}

/* product = pow {('*' | '/' | '//' | '%') pow} */
static t0_status parse_product(t0_parser *p, t0_node **out) {
    T0_TRY(parse_pow(p, out));
    for (;;) {
        const t0_token at = p->now;
        const int op = at.kind == K_MUL        ? OP_MUL
                       : at.kind == K_DIV      ? OP_DIV
                       : at.kind == K_FLOORDIV ? OP_FLOORDIV
                       : at.kind == K_MOD      ? OP_MOD
                                               : -1;
        if (op < 0) return T0_OK;
        t0_node *right;
        T0_TRY(t0_parser_advance(p));
        T0_TRY(parse_pow(p, &right));
        T0_TRY(make(p, T_BINARY, &at, *out, right, NULL, op, out));
    }
}

/* concat = product {'~' product} */
static t0_status parse_concat(t0_parser *p, t0_node **out) {
    const t0_token at = p->now;
    T0_TRY(parse_product(p, out));
    if (p->now.kind != K_TILDE) return T0_OK;
    t0_items list = {0};
    T0_TRY(t0_items_add(p, &list, *out));
    while (p->now.kind == K_TILDE) {
        T0_TRY(t0_parser_advance(p));
        T0_TRY(parse_product(p, out));
        T0_TRY(t0_items_add(p, &list, *out));
    }
    t0_node *node;
    T0_TRY(t0_parser_node(p, T_CONCAT, &at, &node));
    return with_items(p, node, &list, out);
}

/* sum = concat {('+' | '-') concat} */
static t0_status parse_sum(t0_parser *p, t0_node **out) {
    T0_TRY(parse_concat(p, out));
    while (p->now.kind == K_ADD || p->now.kind == K_SUB) {
        const t0_token at = p->now;
        t0_node *right;
        T0_TRY(t0_parser_advance(p));
        T0_TRY(parse_concat(p, &right));
        T0_TRY(make(p, T_BINARY, &at, *out, right, NULL, at.kind == K_ADD ? OP_ADD : OP_SUB, out));
    }
    return T0_OK;
}

/* Takes a comparison operator if one stands here; *op = -1 otherwise. */
static t0_status take_comparison(t0_parser *p, int *op) {
    static const int8_t of_kind[] = {[K_EQ] = OP_EQ, [K_NE] = OP_NE, [K_GT] = OP_GT, [K_GE] = OP_GE, [K_LT] = OP_LT, [K_LE] = OP_LE};
    *op = -1;
    if (p->now.kind >= K_EQ && p->now.kind <= K_LE) *op = of_kind[p->now.kind];
    else if (t0_parser_at_name(p, "in")) *op = OP_IN;
    else if (t0_parser_at_name(p, "not")) {
        t0_token *next;
        T0_TRY(t0_parser_look(p, &next));
        if (t0_token_is_name(next, "in")) {
            *op = OP_NOT_IN;
            T0_TRY(t0_parser_advance(p));
        }
    }
    return *op < 0 ? T0_OK : t0_parser_advance(p);
}

/* compare = sum {('==' | '!=' | '<' | '<=' | '>' | '>=' | 'in' | 'not' 'in') sum} */
static t0_status parse_compare(t0_parser *p, t0_node **out) {
    const t0_token at = p->now;
    T0_TRY(parse_sum(p, out));
    t0_items list = {0};
    for (;;) {
        int op;
        T0_TRY(take_comparison(p, &op));
        if (op < 0) break;
        const t0_token operand_at = p->now;
        t0_node *right, *operand;
        T0_TRY(parse_sum(p, &right));
        T0_TRY(make(p, T_COMPARE, &operand_at, right, NULL, NULL, op, &operand));
        T0_TRY(t0_items_add(p, &list, operand));
    }
    if (!list.count) return T0_OK;
    t0_node *node;
    T0_TRY(t0_parser_node(p, T_COMPARE, &at, &node));
    node->a = *out;
    return with_items(p, node, &list, out);
}

/* not = 'not' not | compare */
static t0_status parse_not(t0_parser *p, t0_node **out) {
    if (!t0_parser_at_name(p, "not")) return parse_compare(p, out);
    const t0_token at = p->now;
    if (++p->depth > T0_DEPTH_MAX) return t0_fail_at(p->err, at.line, at.column, "more than %d levels of not", T0_DEPTH_MAX);
    T0_TRY(t0_parser_advance(p));
    t0_node *operand;
    T0_TRY(parse_not(p, &operand));
    p->depth--;
    return make(p, T_UNARY, &at, operand, NULL, NULL, OP_NOT, out);
}

/* or = and {'or' and}      and = not {'and' not} */
static t0_status parse_logic(t0_parser *p, bool is_or, t0_node **out) {
    T0_TRY(is_or ? parse_logic(p, false, out) : parse_not(p, out));
    while (t0_parser_at_name(p, is_or ? "or" : "and")) {
        const t0_token at = p->now;
        t0_node *right;
        T0_TRY(t0_parser_advance(p));
        T0_TRY(is_or ? parse_logic(p, false, &right) : parse_not(p, &right));
        T0_TRY(make(p, is_or ? T_OR : T_AND, &at, *out, right, NULL, 0, out));
    }
    return T0_OK;
}

/* expression = or {'if' or ['else' expression]}      the braces only where with_condition */
t0_status t0_parse_expression(t0_parser *p, bool with_condition, t0_node **out) {
    if (++p->depth > T0_DEPTH_MAX)
        return t0_fail_at(p->err, p->now.line, p->now.column, "more than %d levels: split the expression with {%% set %%}", T0_DEPTH_MAX);
    T0_TRY(parse_logic(p, true, out));
    while (with_condition && t0_parser_at_name(p, "if")) {
        const t0_token at = p->now;
        t0_node *test, *otherwise = NULL;
        T0_TRY(t0_parser_advance(p));
        T0_TRY(parse_logic(p, true, &test));
        if (t0_parser_at_name(p, "else")) {
            T0_TRY(t0_parser_advance(p));
            T0_TRY(t0_parse_expression(p, true, &otherwise));
        }
        T0_TRY(make(p, T_COND, &at, *out, test, otherwise, 0, out));
    }
    p->depth--;
    return T0_OK;
}

static bool at_tuple_end(const t0_parser *p, const t0_tuple_rule *rule) {
    const t0_token_kind kind = p->now.kind;
    return kind == K_PRINT_END || kind == K_BLOCK_END || kind == K_RPAREN || (rule->end_word && t0_parser_at_name(p, rule->end_word));
}

/* tuple = [item {',' item} [',']]      item = primary in a target, else expression; empty only in parentheses; one without ',' is itself */
t0_status t0_parse_tuple(t0_parser *p, t0_tuple_rule rule, t0_node **out) {
    const t0_token at = p->now;
    t0_items list = {0};
    bool is_tuple = false;
    for (;;) {
        if (list.count) T0_TRY(t0_parser_expect(p, K_COMMA, "','"));
        if (at_tuple_end(p, &rule)) break;
        t0_node *item;
        T0_TRY(rule.target ? parse_primary(p, rule.with_fields, &item) : t0_parse_expression(p, !rule.no_condition, &item));
        T0_TRY(t0_items_add(p, &list, item));
        if (p->now.kind != K_COMMA) break;
        is_tuple = true;
    }
    if (!is_tuple && list.count) {
        *out = list.data[0];
        return T0_OK;
    }
    if (!is_tuple && !rule.parentheses) return t0_parser_fail(p, "expected an expression");
    t0_node *node;
    T0_TRY(t0_parser_node(p, T_TUPLE, &at, &node));
    return with_items(p, node, &list, out);
}

static t0_status check_target(t0_parser *p, const t0_node *node) {
    if (node->kind == T_NAME || node->kind == T_FIELD) return T0_OK;
    if (node->kind != T_TUPLE) return t0_fail_at(p->err, node->line, node->column, "cannot assign to this: use a name");
    for (uint32_t i = 0; i < node->count; i++) T0_TRY(check_target(p, node->items[i]));
    return T0_OK;
}

/* target = tuple      of names, fields and tuples of them */
t0_status t0_parse_target(t0_parser *p, bool with_fields, const char *end_word, t0_node **out) {
    T0_TRY(t0_parse_tuple(p, (t0_tuple_rule){.target = true, .with_fields = with_fields, .end_word = end_word}, out));
    return check_target(p, *out);
}

t0_status t0_parse_name_target(t0_parser *p, t0_node **out) {
    if (p->now.kind != K_NAME) return t0_parser_fail(p, "expected a name");
    T0_TRY(parse_name(p, false, out));
    return check_target(p, *out);
}

/* filters = NAME [arguments] {filter} */
t0_status t0_parse_filters(t0_parser *p, t0_node **out) {
    T0_TRY(t0_parser_node(p, T_CAPTURE, &p->now, out));
    do T0_TRY(parse_filter(p, out));
    while (p->now.kind == K_PIPE);
    return T0_OK;
}
