/* Tags: if, for, set, filter, with, macro, print; everything else that Jinja has is refused here with its name and place.
 *
 *     {% if t %} .. {% elif t %} .. {% else %} .. {% endif %}
 *     {% for target in iter [if test] [recursive] %} .. {% else %} .. {% endfor %}
 *     {% set target = value %}     {% set name [| filters] %} .. {% endset %}     target: name, ns.name, or a tuple of them
 *     {% filter filters %} .. {% endfilter %}     {% with name = value, .. %} .. {% endwith %}
 *     {% macro name(parameter, parameter = default) %} .. {% endmacro %}     {% print value, .. %}
 *
 * Productions as in parser.c, whose tuple, target, expression and filters are used. */
#include "template/statements.h"

#include "template/compile.h"
#include "template/parser.h"

#include <stdio.h>
#include <string.h>

enum { BLOCKS_MAX = 400, NAMES_MAX = 120 }; /* nested blocks and elif branches; nodes of one tag: pairs of name and value */

static t0_status end_tag(t0_parser *p) { return t0_parser_expect(p, K_BLOCK_END, "'%}'"); }

/* block = [':'] '%}' body '{%' end_word      the tag is open and its expressions are read */
static t0_status parse_block(t0_parser *p, const char *const *end_words, t0_node **out) {
    if (p->now.kind == K_COLON) T0_TRY(t0_parser_advance(p));
    T0_TRY(end_tag(p));
    T0_TRY(t0_parse_body(p, end_words, out));
    if (p->now.kind != K_END) return T0_OK;
    char problem[80];
    snprintf(problem, sizeof problem, "a block is not closed: expected {%% %s %%}", end_words[0]);
    return t0_parser_fail(p, problem);
}

/* if = 'if' tuple block {'elif' tuple block} ['else' block]      a block's end_word: elif, else or endif */
static t0_status parse_if(t0_parser *p, t0_node **out) {
    static const char *const ends[] = {"endif", "elif", "else", NULL};
    static const char *const last[] = {"endif", NULL};
    t0_node **link = out;
    const int blocks = p->blocks;
    for (;;) {
        if (++p->blocks > BLOCKS_MAX) return t0_parser_fail(p, "more than 400 elif branches and nested blocks: use a dict");
        t0_node *node;
        T0_TRY(t0_parser_node(p, T_IF, &p->now, &node));
        T0_TRY(t0_parser_advance(p));
        T0_TRY(t0_parse_tuple(p, (t0_tuple_rule){.no_condition = true}, &node->a));
        T0_TRY(parse_block(p, ends, &node->b));
        *link = node;
        link = &node->c;
        if (!t0_parser_at_name(p, "elif")) break;
    }
    if (t0_parser_at_name(p, "else")) {
        T0_TRY(t0_parser_advance(p));
        T0_TRY(parse_block(p, last, link));
    }
    p->blocks = blocks;
    return t0_parser_advance(p);
}

static t0_status add_parts(t0_parser *p, t0_node *node) {
    t0_loop_parts *parts = t0_template_get(p->template, sizeof *parts);
    if (!parts) return t0_fail_memory(p->err, sizeof *parts);
    memset(parts, 0, sizeof *parts);
    parts->loop_slot = T0_NO_SLOT;
    node->loop = parts;
    return T0_OK;
}

/* for = 'for' target 'in' tuple ['if' expression] ['recursive'] block ['else' block] */
static t0_status parse_for(t0_parser *p, t0_node **out) {
    static const char *const ends[] = {"endfor", "else", NULL};
    static const char *const last[] = {"endfor", NULL};
    t0_node *node;
    T0_TRY(t0_parser_node(p, T_FOR, &p->now, &node));
    *out = node;
    T0_TRY(add_parts(p, node));
    T0_TRY(t0_parser_advance(p));
    T0_TRY(t0_parse_target(p, false, "in", &node->loop->target));
    T0_TRY(t0_parser_expect_name(p, "in"));
    T0_TRY(t0_parse_tuple(p, (t0_tuple_rule){.no_condition = true, .end_word = "recursive"}, &node->loop->iter));
    if (t0_parser_at_name(p, "if")) {
        T0_TRY(t0_parser_advance(p));
        T0_TRY(t0_parse_expression(p, true, &node->loop->test));
    }
    node->loop->recursive = t0_parser_at_name(p, "recursive");
    if (node->loop->recursive) T0_TRY(t0_parser_advance(p));
    T0_TRY(parse_block(p, ends, &node->loop->body));
    if (t0_parser_at_name(p, "else")) {
        T0_TRY(t0_parser_advance(p));
        T0_TRY(parse_block(p, last, &node->loop->otherwise));
    }
    return t0_parser_advance(p);
}

/* set = 'set' target ('=' tuple | ['|' filters] block) */
static t0_status parse_set(t0_parser *p, t0_node **out) {
    static const char *const ends[] = {"endset", NULL};
    t0_node *node;
    T0_TRY(t0_parser_node(p, T_SET, &p->now, &node));
    *out = node;
    T0_TRY(t0_parser_advance(p));
    T0_TRY(t0_parse_target(p, true, NULL, &node->a));
    if (p->now.kind == K_ASSIGN) {
        T0_TRY(t0_parser_advance(p));
        return t0_parse_tuple(p, (t0_tuple_rule){0}, &node->b);
    }
    node->kind = T_SETBLOCK;
    T0_TRY(add_parts(p, node));
    if (p->now.kind == K_PIPE) T0_TRY(t0_parse_filters(p, &node->c));
    T0_TRY(parse_block(p, ends, &node->loop->body));
    return t0_parser_advance(p);
}

/* filter_block = 'filter' filters block */
static t0_status parse_filter_block(t0_parser *p, t0_node **out) {
    static const char *const ends[] = {"endfilter", NULL};
    t0_node *node;
    T0_TRY(t0_parser_node(p, T_SETBLOCK, &p->now, &node));
    *out = node;
    T0_TRY(add_parts(p, node));
    T0_TRY(t0_parse_filters(p, &node->c));
    T0_TRY(parse_block(p, ends, &node->loop->body));
    return t0_parser_advance(p);
}

static t0_status add_to_tag(t0_parser *p, t0_items *list, t0_node *item) {
    return list->count == NAMES_MAX ? t0_parser_fail(p, "more than 60 names in one tag") : t0_items_add(p, list, item);
}

/* with = 'with' [target '=' expression {',' target '=' expression}] block */
static t0_status parse_with(t0_parser *p, t0_node **out) {
    static const char *const ends[] = {"endwith", NULL};
    t0_node *node;
    T0_TRY(t0_parser_node(p, T_WITH, &p->now, &node));
    *out = node;
    T0_TRY(t0_parser_advance(p));
    T0_TRY(add_parts(p, node));
    t0_items pairs = {0};
    while (p->now.kind != K_BLOCK_END) {
        t0_node *target, *value;
        if (pairs.count) T0_TRY(t0_parser_expect(p, K_COMMA, "',' or '%}'"));
        T0_TRY(t0_parse_target(p, false, NULL, &target));
        T0_TRY(t0_parser_expect(p, K_ASSIGN, "'='"));
        T0_TRY(t0_parse_expression(p, true, &value));
        T0_TRY(add_to_tag(p, &pairs, target));
        T0_TRY(add_to_tag(p, &pairs, value));
    }
    T0_TRY(t0_items_keep(p, &pairs, node));
    T0_TRY(parse_block(p, ends, &node->loop->body));
    return t0_parser_advance(p);
}

/* parameters = '(' [NAME ['=' expression] {',' NAME ['=' expression]}] ')'      those with a default last */
static t0_status parse_parameters(t0_parser *p, t0_node *node) {
    t0_items pairs = {0};
    T0_TRY(t0_parser_expect(p, K_LPAREN, "'('"));
    while (p->now.kind != K_RPAREN) {
        t0_node *target, *value = NULL;
        if (pairs.count) T0_TRY(t0_parser_expect(p, K_COMMA, "',' or ')'"));
        T0_TRY(t0_parse_name_target(p, &target));
        if (p->now.kind == K_ASSIGN) {
            T0_TRY(t0_parser_advance(p));
            T0_TRY(t0_parse_expression(p, true, &value));
        } else if (pairs.count && pairs.data[pairs.count - 1])
            return t0_parser_fail(p, "a parameter without a default after one with a default");
        for (uint32_t i = 0; i < pairs.count; i += 2)
            if (pairs.data[i]->value == target->value) return t0_parser_fail(p, "a parameter is named twice");
        T0_TRY(add_to_tag(p, &pairs, target));
        T0_TRY(add_to_tag(p, &pairs, value));
    }
    T0_TRY(t0_items_keep(p, &pairs, node));
    return t0_parser_expect(p, K_RPAREN, "')'");
}

/* macro = 'macro' NAME parameters block */
static t0_status parse_macro(t0_parser *p, t0_node **out) {
    static const char *const ends[] = {"endmacro", NULL};
    t0_node *node;
    T0_TRY(t0_parser_node(p, T_MACRO, &p->now, &node));
    *out = node;
    p->macros++;
    T0_TRY(t0_parser_advance(p));
    T0_TRY(t0_parse_name_target(p, &node->a));
    T0_TRY(add_parts(p, node));
    T0_TRY(parse_parameters(p, node));
    T0_TRY(parse_block(p, ends, &node->loop->body));
    p->macros--;
    return t0_parser_advance(p);
}

/* print_tag = 'print' [expression {',' expression}]      prints what {{ a }}{{ b }} prints */
static t0_status parse_print_tag(t0_parser *p, t0_node **out) {
    t0_node *node;
    T0_TRY(t0_parser_node(p, T_PRINT, &p->now, &node));
    t0_node *texts;
    T0_TRY(t0_parser_node(p, T_CONCAT, &p->now, &texts));
    t0_items list = {0};
    T0_TRY(t0_parser_advance(p));
    while (p->now.kind != K_BLOCK_END) {
        t0_node *value;
        if (list.count) T0_TRY(t0_parser_expect(p, K_COMMA, "',' or '%}'"));
        T0_TRY(t0_parse_expression(p, true, &value));
        T0_TRY(add_to_tag(p, &list, value));
    }
    T0_TRY(t0_items_keep(p, &list, texts));
    node->a = texts;
    *out = node;
    return t0_parser_sized(p, texts);
}

static t0_status refuse_tag(t0_parser *p) {
    static const char *const known[] = {"include", "import", "from",  "extends",  "block", "call", "autoescape",
                                        "do",      "trans",  "break", "continue", "debug", NULL};
    for (int i = 0; known[i]; i++)
        if (t0_parser_at_name(p, known[i]))
            return t0_fail_at(p->err, p->now.line, p->now.column,
                              "the tag {%% %s %%} is not supported in a prompt: rewrite it with if, for, set or macro", known[i]);
    return t0_parser_fail(p, "unknown tag");
}

/* statement = '{%' (if | for | set | filter_block | with | macro | print_tag) '%}'      after the '{%' */
static t0_status parse_statement(t0_parser *p, t0_node **out) {
    if (++p->blocks > BLOCKS_MAX) return t0_parser_fail(p, "more than 400 nested blocks");
    t0_status status;
    if (t0_parser_at_name(p, "if")) status = parse_if(p, out);
    else if (t0_parser_at_name(p, "for")) status = parse_for(p, out);
    else if (t0_parser_at_name(p, "set")) status = parse_set(p, out);
    else if (t0_parser_at_name(p, "filter")) status = parse_filter_block(p, out);
    else if (t0_parser_at_name(p, "with")) status = parse_with(p, out);
    else if (t0_parser_at_name(p, "macro")) status = parse_macro(p, out);
    else if (t0_parser_at_name(p, "print")) status = parse_print_tag(p, out);
    else status = p->now.kind == K_NAME ? refuse_tag(p) : t0_parser_fail(p, "expected the name of a tag");
    T0_TRY(status);
    p->blocks--;
    return end_tag(p);
}

static bool is_filter(const t0_node *node, const char *name) {
    return node->kind == T_FILTER && PyUnicode_CompareWithASCIIString(node->value, name) == 0;
}

/* `x | string | truncate(2048)`, which promptsource adds to every printed value, becomes one step. */
static void join_truncation(t0_node *node) {
    t0_node *const cut = node->a;
    if (!is_filter(cut, "truncate") || !is_filter(cut->a, "string")) return;
    for (uint32_t i = 1; i < cut->count; i++)
        if (cut->items[i]) return;
    if (!cut->items[0] || cut->items[0]->kind != T_CONST || !PyLong_CheckExact(cut->items[0]->value)) return;
    if (PyLong_AsLong(cut->items[0]->value) != 2048) {
        PyErr_Clear();
        return;
    }
    node->a = cut->a->a;
    node->truncates = cut->truncates ? 2 : 1;
}

/* print = '{{' tuple '}}' */
static t0_status parse_print(t0_parser *p, t0_node **out) {
    t0_node *node;
    T0_TRY(t0_parser_node(p, T_PRINT, &p->now, &node));
    T0_TRY(t0_parser_advance(p));
    T0_TRY(t0_parse_tuple(p, (t0_tuple_rule){0}, &node->a));
    join_truncation(node);
    if (p->bare && p->adds & T0_ADD_TRUNCATE) node->truncates = 2;
    *out = node;
    if (node->a->kind == T_CONST && PyUnicode_CheckExact(node->a->value) && PyUnicode_GET_LENGTH(node->a->value) <= 2048) {
        node->kind = T_TEXT;
        node->value = node->a->value;
    }
    return t0_parser_expect(p, K_PRINT_END, "'}}'");
}

static bool at_end_word(const t0_parser *p, const char *const *end_words) {
    for (; end_words && *end_words; end_words++)
        if (t0_parser_at_name(p, *end_words)) return true;
    return false;
}

/* body = {TEXT | print | statement} */
t0_status t0_parse_body(t0_parser *p, const char *const *end_words, t0_node **out) {
    t0_node **link = out;
    *out = NULL;
    while (p->now.kind != K_END) {
        t0_node *node = NULL;
        if (p->now.kind == K_DATA) {
            T0_TRY(t0_parser_node(p, T_TEXT, &p->now, &node));
            node->value = p->now.value;
            T0_TRY(t0_parser_advance(p));
        } else if (p->now.kind == K_PRINT_BEGIN) T0_TRY(parse_print(p, &node));
        else {
            T0_TRY(t0_parser_advance(p));
            if (at_end_word(p, end_words)) return T0_OK;
            T0_TRY(parse_statement(p, &node));
        }
        *link = node;
        link = &node->next;
    }
    return T0_OK;
}
