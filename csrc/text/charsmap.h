/* The compiled character map of a model: rules "these bytes become those", in a double array. See charsmap.c. */
#ifndef T0_TEXT_CHARSMAP_H
#define T0_TEXT_CHARSMAP_H

#include "base/memory.h"

enum {
    T0_CHARSMAP_MAX = 16 << 20, /* bytes; T5's has 0.3 MB */
    T0_RULE_MAX = 1 << 10       /* bytes that a rule replaces; those of Unicode's forms have up to 20 */
};

typedef struct t0_charsmap {
    uint32_t *units;  /* [n_units], owned; NULL without rules. What can be reached from the root is without cycles and in range. */
    size_t n_units;
    t0_bytes results; /* NUL-terminated replacements, UTF-8, in the model file */
    size_t longest;   /* bytes of the longest rule */
} t0_charsmap;

static inline uint32_t t0_unit_offset(uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }
static inline uint32_t t0_unit_label(uint32_t unit) { return unit & (1u << 31 | 0xFF); }
static inline bool t0_unit_has_leaf(uint32_t unit) { return unit >> 8 & 1; }
static inline bool t0_unit_is_leaf(uint32_t unit) { return unit >> 31; }
static inline uint32_t t0_unit_value(uint32_t unit) { return unit & 0x7FFFFFFF; }

/* `map` is borrowed and begins at this offset of the file. T0_EFORMAT with the offset when it is broken; an empty one has no rules. */
t0_status t0_charsmap_read(t0_charsmap *out, t0_bytes map, size_t offset, t0_error *err);
void t0_charsmap_free(t0_charsmap *map);

#endif
