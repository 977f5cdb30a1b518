/* Text, printed expressions and tags. */
#ifndef T0_TEMPLATE_STATEMENTS_H
#define T0_TEMPLATE_STATEMENTS_H

#include "template/tokens.h"

/* All up to the template's end, or up to a tag named in end_words (NULL ends them; NULL: none), which is then `now`. */
t0_status t0_parse_body(t0_parser *p, const char *const *end_words, t0_node **out);

#endif
