/* Expressions, for the tags that hold them. */
#ifndef T0_TEMPLATE_PARSER_H
#define T0_TEMPLATE_PARSER_H

#include "template/tokens.h"

typedef struct t0_tuple_rule {
    bool target, with_fields, no_condition, parentheses;
    const char *end_word; /* a name that ends the tuple; NULL: none */
} t0_tuple_rule;
t0_status t0_parse_tuple(t0_parser *p, t0_tuple_rule rule, t0_node **out);
t0_status t0_parse_expression(t0_parser *p, bool with_condition, t0_node **out);
t0_status t0_parse_target(t0_parser *p, bool with_fields, const char *end_word, t0_node **out);
t0_status t0_parse_name_target(t0_parser *p, t0_node **out); /* one name to be set */
t0_status t0_parse_filters(t0_parser *p, t0_node **out);     /* at the token before a filter's name: filters over T_CAPTURE */

#endif
