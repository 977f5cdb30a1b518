/* What every part of the parser does with tokens and nodes: take a token, look one ahead, say what was expected, make a
 * node, gather the items of one. */
#ifndef T0_TEMPLATE_TOKENS_H
#define T0_TEMPLATE_TOKENS_H

#include "template/lexer.h"
#include "template/template.h"

enum { T0_DEPTH_MAX = 150 }; /* levels of an expression: of its text and of its tree */

typedef struct t0_parser {
    t0_lexer lexer;
    t0_token now, ahead;
    bool has_ahead;
    t0_template *template; /* borrowed: what is being compiled */
    t0_error *err;
    uint8_t adds;          /* bits of t0_added: filters at the end of every print */
    uint8_t n_added;       /* tokens of those filters that were handed out at this end */
    t0_token_kind last;    /* of the lexer's newest token */
    bool bare;             /* that is the end of a print, behind a comma, where no filter can stand */
    t0_token held;         /* the end of a print, while n_added > 0 */
    int depth, blocks;     /* open expressions; open tags and elif branches */
    int macros;            /* open ones */
    uint32_t tokens;       /* read so far */
} t0_parser;

t0_status t0_parser_advance(t0_parser *p);
t0_status t0_parser_look(t0_parser *p, t0_token **out); /* the token after `now`; borrowed until the next advance */
static inline bool t0_token_is_name(const t0_token *token, const char *word) {
    return token->kind == K_NAME && PyUnicode_CompareWithASCIIString(token->value, word) == 0;
}
static inline bool t0_parser_at_name(const t0_parser *p, const char *word) { return t0_token_is_name(&p->now, word); }
t0_status t0_parser_expect(t0_parser *p, t0_token_kind kind, const char *what);
t0_status t0_parser_expect_name(t0_parser *p, const char *word);
t0_status t0_parser_fail(t0_parser *p, const char *problem);                     /* at `now`, which it names */

/* A new node of the template, at a token; its depth is 1, everything else cleared. */
t0_status t0_parser_node(t0_parser *p, t0_node_kind kind, const t0_token *at, t0_node **out);
t0_status t0_parser_room(t0_parser *p, t0_node *node,
                         uint32_t n); /* sets node->items to room for n and one more, not cleared; count stays */
t0_status t0_parser_sized(t0_parser *p, t0_node *node);            /* sets depth from a, b, c and items; fails where too deep */

/* A growing list of nodes in the template's scratch memory; a cleared one is empty. */
typedef struct t0_items {
    t0_node **data; /* [count]; items may be NULL */
    uint32_t count, capacity;
} t0_items;
t0_status t0_items_add(t0_parser *p, t0_items *list, t0_node *item);
t0_status t0_items_keep(t0_parser *p, const t0_items *list, t0_node *node); /* copies the list into node->items, with its count */

#endif
