/* Tokens, one and one ahead, and the nodes that are made of them.
 *
 *     depth(node) = 1 + the greatest of its children's, at most T0_DEPTH_MAX: it bounds the evaluator's recursion */
#include "template/tokens.h"

#include "template/compile.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* The tokens of the added filters, in order; value: a name, or the number of a K_INTEGER. */
static const struct {
    uint8_t added, kind;
    const char *value;
} added_tokens[] = {{T0_ADD_TRUNCATE, K_PIPE, NULL},       {T0_ADD_TRUNCATE, K_NAME, "string"}, {T0_ADD_TRUNCATE, K_PIPE, NULL},
                    {T0_ADD_TRUNCATE, K_NAME, "truncate"}, {T0_ADD_TRUNCATE, K_LPAREN, NULL},   {T0_ADD_TRUNCATE, K_INTEGER, "2048"},
                    {T0_ADD_TRUNCATE, K_RPAREN, NULL},     {T0_ADD_HIGHLIGHT, K_PIPE, NULL},    {T0_ADD_HIGHLIGHT, K_NAME, "highlight"}};
enum { ADDED_TOKENS = sizeof added_tokens / sizeof *added_tokens };

/* The next token that is added before the end of a print, then that end. They stand where the end does. */
static t0_status next_added(t0_parser *p, t0_token *out) {
    while (p->n_added < ADDED_TOKENS && !(p->adds & added_tokens[p->n_added].added)) p->n_added++;
    *out = p->held;
    if (p->n_added == ADDED_TOKENS) {
        p->n_added = 0;
        return T0_OK;
    }
    const char *const value = added_tokens[p->n_added].value;
    out->kind = (t0_token_kind)added_tokens[p->n_added++].kind;
    out->added = true;
    if (!value) return T0_OK;
    PyObject *const object = out->kind == K_NAME ? PyUnicode_InternFromString(value) : PyLong_FromString(value, NULL, 10);
    out->value = t0_keep(p->template->constants, object);
    return out->value ? T0_OK : t0_fail(p->err, T0_EPYTHON, "Python error");
}

static t0_status next_token(t0_parser *p, t0_token *out) {
    if (p->n_added) return next_added(p, out);
    T0_TRY(t0_lexer_next(&p->lexer, out, p->err));
    const t0_token_kind last = p->last;
    p->last = out->kind;
    p->bare = out->kind == K_PRINT_END && last == K_COMMA;
    if (out->kind != K_PRINT_END || !p->adds || p->bare) return T0_OK;
    p->held = *out;
    return next_added(p, out);
}

t0_status t0_parser_advance(t0_parser *p) {
    if (++p->tokens % 4096 == 0 && PyErr_CheckSignals() < 0) return t0_fail(p->err, T0_EPYTHON, "Python error");
    if (p->has_ahead) {
        p->now = p->ahead;
        p->has_ahead = false;
        return T0_OK;
    }
    return next_token(p, &p->now);
}

t0_status t0_parser_look(t0_parser *p, t0_token **out) {
    if (!p->has_ahead) {
        T0_TRY(next_token(p, &p->ahead));
        p->has_ahead = true;
    }
    *out = &p->ahead;
    return T0_OK;
}

t0_status t0_parser_fail(t0_parser *p, const char *problem) {
    if (p->now.kind == K_END) return t0_fail_at(p->err, p->now.line, p->now.column, "%s, but the template ends here", problem);
    const char *found = p->now.kind == K_NAME ? PyUnicode_AsUTF8(p->now.value) : NULL;
    if (found) return t0_fail_at(p->err, p->now.line, p->now.column, "%s, found '%.60s'", problem, found);
    return t0_fail_at(p->err, p->now.line, p->now.column, "%s", problem);
}

t0_status t0_parser_expect(t0_parser *p, t0_token_kind kind, const char *what) {
    if (p->now.kind == kind) return t0_parser_advance(p);
    char problem[80];
    snprintf(problem, sizeof problem, "expected %s", what);
    return t0_parser_fail(p, problem);
}

t0_status t0_parser_expect_name(t0_parser *p, const char *word) {
    if (t0_parser_at_name(p, word)) return t0_parser_advance(p);
    char problem[80];
    snprintf(problem, sizeof problem, "expected '%s'", word);
    return t0_parser_fail(p, problem);
}

t0_status t0_parser_node(t0_parser *p, t0_node_kind kind, const t0_token *at, t0_node **out) {
    t0_node *node = t0_template_get(p->template, sizeof *node);
    if (!node) return t0_fail_memory(p->err, sizeof *node);
    memset(node, 0, sizeof *node);
    node->kind = (uint8_t)kind;
    node->line = at->line;
    node->column = at->column;
    node->slot = T0_NO_SLOT;
    node->depth = 1;
    *out = node;
    return T0_OK;
}

t0_status t0_parser_room(t0_parser *p, t0_node *node, uint32_t n) {
    const size_t size = ((size_t)n + 1) * sizeof *node->items;
    node->items = t0_template_get(p->template, size);
    return node->items ? T0_OK : t0_fail_memory(p->err, size);
}

t0_status t0_parser_sized(t0_parser *p, t0_node *node) {
    unsigned depth = 0;
    t0_node *const children[3] = {node->a, node->b, node->c};
    for (int i = 0; i < 3; i++)
        if (children[i] && children[i]->depth > depth) depth = children[i]->depth;
    for (uint32_t i = 0; i < node->count; i++)
        if (node->items[i] && node->items[i]->depth > depth) depth = node->items[i]->depth;
    if (depth >= T0_DEPTH_MAX)
        return t0_fail_at(p->err, node->line, node->column, "an expression of more than %d levels: split it with {%% set %%}",
                          T0_DEPTH_MAX);
    node->depth = (uint16_t)(depth + 1);
    return T0_OK;
}

t0_status t0_items_add(t0_parser *p, t0_items *list, t0_node *item) {
    assert(list->count <= list->capacity);
    if (list->count == list->capacity) {
        const uint32_t capacity = list->capacity ? list->capacity * 2 : 8;
        t0_node **data = t0_arena_get(&p->template->scratch, capacity * sizeof *data);
        if (!data) return t0_fail_memory(p->err, capacity * sizeof *data);
        if (list->count) memcpy(data, list->data, list->count * sizeof *data);
        list->data = data;
        list->capacity = capacity;
    }
    list->data[list->count++] = item;
    return T0_OK;
}

t0_status t0_items_keep(t0_parser *p, const t0_items *list, t0_node *node) {
    T0_TRY(t0_parser_room(p, node, list->count));
    if (list->count) memcpy(node->items, list->data, list->count * sizeof *node->items);
    node->count = list->count;
    return T0_OK;
}
