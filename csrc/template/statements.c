/* Tags: if, for, set, filter, with, macro, print; everything else that Jinja has is refused here with its name and place.
 *
 *     {% if t %} .. {% elif t %} .. {% else %} .. {% endif %}
 *     {% for target in iter [if test] [recursive] %} .. {% else %} .. {% endfor %}
 *     {% set target = value %}     {% set name [| filters] %} .. {% endset %}     target: name, ns.name, or a tuple of them
 *     {% filter filters %} .. {% endfilter %}     {% with name = value, .. %} .. {% endwith %}
 *     {% macro name(parameter, parameter = default) %} .. {% endmacro %}     {% print value, .. %} */
#include "template/calls.h"
#include "template/parser.h"

#include <string.h>

#define NEW(node, kind, at)                      \
    t0_node *node = t0_parser_node(p, kind, at); \
    if (!node) return T0_ENOMEM

static t0_status end_tag(t0_parser *p) { return t0_parser_expect(p, K_BLOCK_END, "'%}'"); }

/* The tag is open and its expressions are read: its end, then the body up to one of end_words. */
static t0_status parse_block(t0_parser *p, const char *const *end_words, t0_node **out) {
    if (p->now.kind == K_COLON) T0_TRY(t0_parser_advance(p));
    T0_TRY(end_tag(p));
    T0_TRY(t0_parse_body(p, end_words, out));
    if (p->now.kind != K_END) return T0_OK;
    char problem[80];
    snprintf(problem, sizeof problem, "a block is not closed: expected {%% %s %%}", end_words[0]);
    return t0_parser_fail(p, problem);
}

static t0_status parse_if(t0_parser *p, t0_node **out) {
    static const char *const ends[] = {"endif", "elif", "else", NULL};
    static const char *const last[] = {"endif", NULL};
    t0_node **link = out;
    const int blocks = p->blocks;
    for (;;) {
        if (++p->blocks > T0_BLOCKS_MAX) return t0_parser_fail(p, "more than 400 elif branches and nested blocks: use a dict");
        NEW(node, T_IF, &p->now);
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

static t0_loop_parts *new_parts(t0_parser *p) {
    t0_loop_parts *parts = t0_template_get(p->template, sizeof *parts);
    if (!parts) {
        t0_fail_memory(p->err, sizeof *parts);
        return NULL;
    }
    memset(parts, 0, sizeof *parts);
    parts->loop_slot = T0_NO_SLOT;
    return parts;
}

static t0_status parse_for(t0_parser *p, t0_node **out) {
    static const char *const ends[] = {"endfor", "else", NULL};
    static const char *const last[] = {"endfor", NULL};
    NEW(node, T_FOR, &p->now);
    *out = node;
    if (!(node->loop = new_parts(p))) return T0_ENOMEM;
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

static t0_status parse_set(t0_parser *p, t0_node **out) {
    static const char *const ends[] = {"endset", NULL};
    NEW(node, T_SET, &p->now);
    *out = node;
    T0_TRY(t0_parser_advance(p));
    T0_TRY(t0_parse_target(p, true, NULL, &node->a));
    if (p->now.kind == K_ASSIGN) {
        T0_TRY(t0_parser_advance(p));
        return t0_parse_tuple(p, (t0_tuple_rule){0}, &node->b);
    }
    node->kind = T_SETBLOCK;
    if (!(node->loop = new_parts(p))) return T0_ENOMEM;
    if (p->now.kind == K_PIPE) T0_TRY(t0_parse_filters(p, &node->c));
    T0_TRY(parse_block(p, ends, &node->loop->body));
    return t0_parser_advance(p);
}

/* The filters of the tag begin with a name, as if a | stood before it. */
static t0_status parse_filter_block(t0_parser *p, t0_node **out) {
    static const char *const ends[] = {"endfilter", NULL};
    NEW(node, T_SETBLOCK, &p->now);
    *out = node;
    if (!(node->loop = new_parts(p))) return T0_ENOMEM;
    T0_TRY(t0_parse_filters(p, &node->c));
    T0_TRY(parse_block(p, ends, &node->loop->body));
    return t0_parser_advance(p);
}

static t0_status add_item(t0_parser *p, t0_node *node, t0_node *item) {
    if (node->count == 2 * T0_PAIRS_MAX) return t0_parser_fail(p, "more than 60 names in one tag");
    t0_node **items = t0_template_grown(p->template, node->items, node->count);
    if (!items) return t0_fail_memory(p->err, 2 * node->count * sizeof *items);
    node->items = items;
    items[node->count++] = item;
    return T0_OK;
}

static t0_status parse_with(t0_parser *p, t0_node **out) {
    static const char *const ends[] = {"endwith", NULL};
    NEW(node, T_WITH, &p->now);
    *out = node;
    T0_TRY(t0_parser_advance(p));
    if (!(node->loop = new_parts(p))) return T0_ENOMEM;
    while (p->now.kind != K_BLOCK_END) {
        t0_node *target, *value;
        if (node->count) T0_TRY(t0_parser_expect(p, K_COMMA, "',' or '%}'"));
        T0_TRY(t0_parse_target(p, false, NULL, &target));
        T0_TRY(t0_parser_expect(p, K_ASSIGN, "'='"));
        T0_TRY(t0_parse_expression(p, true, &value));
        T0_TRY(add_item(p, node, target));
        T0_TRY(add_item(p, node, value));
    }
    T0_TRY(parse_block(p, ends, &node->loop->body));
    return t0_parser_advance(p);
}

static t0_status parse_parameters(t0_parser *p, t0_node *node) {
    T0_TRY(t0_parser_expect(p, K_LPAREN, "'('"));
    while (p->now.kind != K_RPAREN) {
        t0_node *target, *value = NULL;
        if (node->count) T0_TRY(t0_parser_expect(p, K_COMMA, "',' or ')'"));
        T0_TRY(t0_parse_name_target(p, &target));
        if (p->now.kind == K_ASSIGN) {
            T0_TRY(t0_parser_advance(p));
            T0_TRY(t0_parse_expression(p, true, &value));
        } else if (node->count && node->items[node->count - 1]) return t0_parser_fail(p, "a parameter without a default after one with a default");
        for (uint32_t i = 0; i < node->count; i += 2)
            if (node->items[i]->value == target->value) return t0_parser_fail(p, "a parameter is named twice");
        T0_TRY(add_item(p, node, target));
        T0_TRY(add_item(p, node, value));
    }
    return t0_parser_expect(p, K_RPAREN, "')'");
}

static t0_status parse_macro(t0_parser *p, t0_node **out) {
    static const char *const ends[] = {"endmacro", NULL};
    NEW(node, T_MACRO, &p->now);
    *out = node;
    p->macros++;
    T0_TRY(t0_parser_advance(p));
    T0_TRY(t0_parse_name_target(p, &node->a));
    if (!(node->loop = new_parts(p))) return T0_ENOMEM;
    T0_TRY(parse_parameters(p, node));
    T0_TRY(parse_block(p, ends, &node->loop->body));
    p->macros--;
    return t0_parser_advance(p);
}

/* {% print a, b %} prints what {{ a }}{{ b }} prints. */
static t0_status parse_print_tag(t0_parser *p, t0_node **out) {
    NEW(node, T_PRINT, &p->now);
    NEW(texts, T_CONCAT, &p->now);
    T0_TRY(t0_parser_advance(p));
    while (p->now.kind != K_BLOCK_END) {
        t0_node *value;
        if (texts->count) T0_TRY(t0_parser_expect(p, K_COMMA, "',' or '%}'"));
        T0_TRY(t0_parse_expression(p, true, &value));
        T0_TRY(add_item(p, texts, value));
    }
    node->a = texts;
    *out = node;
    return t0_parser_sized(p, texts);
}

static t0_status refuse_tag(t0_parser *p) {
    static const char *const known[] = {"include", "import", "from", "extends", "block", "call", "autoescape", "do", "trans", "break", "continue", "debug", NULL};
    for (int i = 0; known[i]; i++)
        if (t0_parser_at_name(p, known[i]))
            return t0_fail_at(p->err, p->now.line, p->now.column, "the tag {%% %s %%} is not supported in a prompt: rewrite it with if, for, set or macro", known[i]);
    return t0_parser_fail(p, "unknown tag");
}

static t0_status parse_statement(t0_parser *p, t0_node **out) {
    if (++p->blocks > T0_BLOCKS_MAX) return t0_parser_fail(p, "more than 400 nested blocks");
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
    node->truncates = 1;
}

static t0_status parse_print(t0_parser *p, t0_node **out) {
    NEW(node, T_PRINT, &p->now);
    T0_TRY(t0_parser_advance(p));
    T0_TRY(t0_parse_tuple(p, (t0_tuple_rule){0}, &node->a));
    join_truncation(node);
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

t0_status t0_parse_body(t0_parser *p, const char *const *end_words, t0_node **out) {
    t0_node **link = out;
    *out = NULL;
    while (p->now.kind != K_END) {
        t0_node *node = NULL;
        if (p->now.kind == K_DATA) {
            node = t0_parser_node(p, T_TEXT, &p->now);
            if (!node) return T0_ENOMEM;
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

t0_status t0_template_compile(t0_template *out, PyObject *source, t0_error *err) {
    memset(out, 0, sizeof *out);
    t0_parser p = {.template = out, .err = err};
    out->constants = PyList_New(0);
    if (!out->constants) return t0_fail(err, T0_EPYTHON, "Python error");
    t0_status status = t0_lexer_open(&p.lexer, source, out->constants, err);
    if (status == T0_OK) status = t0_parser_advance(&p);
    if (status == T0_OK) status = t0_parse_body(&p, NULL, &out->body);
    if (status == T0_OK) status = t0_scope_resolve(out, err);
    t0_lexer_close(&p.lexer);
    t0_arena_free(&out->scratch);
    if (status != T0_OK) t0_template_clear(out);
    return status;
}

typedef struct t0_block {
    struct t0_block *next;
    size_t used, size;
    max_align_t data[];
} t0_block;

enum { BLOCK_SIZE = 2000 };

void *t0_template_get(t0_template *template, size_t size) {
    size = (size + sizeof(void *) - 1) / sizeof(void *) * sizeof(void *);
    t0_block *block = template->blocks;
    if (!block || block->size - block->used < size) {
        const size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        block = PyMem_Malloc(sizeof *block + room);
        if (!block) return NULL;
        *block = (t0_block){template->blocks, 0, room};
        template->blocks = block;
    }
    void *out = (char *)block->data + block->used;
    block->used += size;
    return out;
}

void *t0_template_grown(t0_template *template, void *array, uint32_t n) {
    if (n & (n - 1)) return array;
    void *const grown = t0_template_get(template, (n ? 2 * (size_t)n : 1) * sizeof(void *));
    if (grown && n) memcpy(grown, array, n * sizeof(void *));
    return grown;
}

void t0_template_clear(t0_template *template) {
    while (template->blocks) {
        t0_block *const next = template->blocks->next;
        PyMem_Free(template->blocks);
        template->blocks = next;
    }
    t0_arena_free(&template->scratch);
    Py_CLEAR(template->constants);
    memset(template, 0, sizeof *template);
}
