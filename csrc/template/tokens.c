/* Tokens, one and one ahead, and the nodes that are made of them.
 *
 *     depth(node) = 1 + the greatest of its children's, at most T0_DEPTH_MAX: it bounds the evaluator's recursion */
#include "template/tokens.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

t0_status t0_parser_advance(t0_parser *p) {
    if (++p->tokens % 4096 == 0 && PyErr_CheckSignals() < 0) return t0_fail(p->err, T0_EPYTHON, "Python error");
    if (p->has_ahead) {
        p->now = p->ahead;
        p->has_ahead = false;
        return T0_OK;
    }
    return t0_lexer_next(&p->lexer, &p->now, p->err);
}

t0_status t0_parser_look(t0_parser *p, t0_token **out) {
    if (!p->has_ahead) {
        T0_TRY(t0_lexer_next(&p->lexer, &p->ahead, p->err));
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
