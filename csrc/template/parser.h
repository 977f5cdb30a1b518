/* What the two halves of the parser share: statements.c (tags) and parser.c (expressions). */
#ifndef T0_TEMPLATE_PARSER_H
#define T0_TEMPLATE_PARSER_H

#include "template/lexer.h"

enum { T0_DEPTH_MAX = 150, T0_BLOCKS_MAX = 400, T0_PAIRS_MAX = 60 }; /* nested expressions; nested blocks and elif branches; parameters */

typedef struct t0_parser {
    t0_lexer lexer;
    t0_token now, ahead;
    bool has_ahead;
    t0_template *template;
    t0_error *err;
    int depth, blocks;
    int macros;      /* open ones */
    uint32_t tokens; /* read so far */
} t0_parser;

t0_status t0_parser_advance(t0_parser *p);
t0_status t0_parser_look(t0_parser *p, t0_token **out);
bool t0_parser_at_name(const t0_parser *p, const char *word);
t0_status t0_parser_expect(t0_parser *p, t0_token_kind kind, const char *what);
t0_status t0_parser_expect_name(t0_parser *p, const char *word);
t0_status t0_parser_fail(t0_parser *p, const char *problem);
t0_node *t0_parser_node(t0_parser *p, t0_node_kind kind, const t0_token *at); /* NULL: no memory */
t0_status t0_parser_sized(t0_parser *p, t0_node *node);                        /* sets depth; fails where too deep */

typedef struct t0_tuple_rule {
    bool target, with_fields, no_condition, parentheses;
    const char *end_word;
} t0_tuple_rule;
t0_status t0_parse_tuple(t0_parser *p, t0_tuple_rule rule, t0_node **out);
t0_status t0_parse_expression(t0_parser *p, bool with_condition, t0_node **out);
t0_status t0_parse_target(t0_parser *p, bool with_fields, const char *end_word, t0_node **out);
t0_status t0_parse_name_target(t0_parser *p, t0_node **out); /* one name to be set */
t0_status t0_parse_filters(t0_parser *p, t0_node **out);     /* at the token before a filter's name: filters over T_CAPTURE */

typedef struct t0_call_arguments {
    t0_node **positional;
    PyObject **names; /* of the keywords */
    t0_node **keyword;
    uint32_t n_positional, n_keyword;
} t0_call_arguments;
t0_status t0_parse_arguments(t0_parser *p, t0_call_arguments *out);
t0_status t0_bind_filter(t0_parser *p, t0_node *node, const t0_token *name, const t0_call_arguments *args);
t0_status t0_bind_test(t0_parser *p, t0_node *node, const t0_token *name, const t0_call_arguments *args);
t0_status t0_bind_call(t0_parser *p, t0_node **callee, const t0_token *at, const t0_call_arguments *args);

/* statements.c */
t0_status t0_parse_body(t0_parser *p, const char *const *end_words, t0_node **out);
/* scope.c: turns names into slots. */
t0_status t0_scope_resolve(t0_template *template, t0_error *err);

#endif
