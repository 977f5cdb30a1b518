/* Reads a character map and proves that a walk along it ends.
 *
 *     charsmap         uint32 size of the array in bytes | the array | results, each ended by NUL           all little endian
 *     unit of a node   bits 0-7 label, 8 has a leaf, 9 offset is shifted by 8, 10-30 offset, 31 is a leaf
 *     unit of a leaf   bits 0-30 value: where the result begins
 *     from node p      child = p ^ offset(p) ^ c, which counts if its label (bits 0-7 and 31) is c; leaf = p ^ offset(p)
 *
 * (darts-clone by Susumu Yata.) Like subtrees are stored once, so the array is a graph. With base(p) = p ^ offset(p), node u is a
 * child of exactly the nodes whose base is  u ^ label(u):  the graph's points are the bases, and
 *
 *     longest(b) = max over nodes u with  u ^ label(u) = b  of    1 where u has a leaf,   1 + longest(base(u)) where that is not 0
 *
 * found depth first, each base once, in time and memory linear in the array. A base that is met below itself is a cycle. Results are
 * UTF-8, so that a normalised text is: what no rule takes stays a character or becomes U+FFFD. */
#include "text/charsmap.h"

#include "text/utf8.h"

#include <assert.h>
#include <string.h>

#define NONE UINT32_MAX

enum { BLOCK = 256 }; /* u ^ label(u) lies in the block of u */

/* longest(b) before it is known. */
#define UNSEEN UINT32_MAX
#define OPEN (UINT32_MAX - 1)

/* A base on the way from the root. */
typedef struct frame {
    uint32_t base, node; /* node: the next child to look at, or NONE */
    uint32_t longest;    /* of the children seen */
} frame;

typedef struct checker {
    const t0_charsmap *map;
    size_t array_at;    /* of the array in the file */
    uint32_t *first;    /* [n_units, rounded up to BLOCK] a base's first child, or NONE */
    uint32_t *next;     /* [n_units] another child of the same base, or NONE */
    uint32_t *longest;  /* as first; UNSEEN, OPEN or known */
    t0_buffer stack;    /* frame */
    t0_error *err;
} checker;

static uint32_t base_of(const checker *c, uint32_t node) { return node ^ t0_unit_offset(c->map->units[node]); }

static void link_children(checker *c, size_t n_bases) {
    for (size_t b = 0; b < n_bases; b++) c->first[b] = NONE;
    for (size_t b = 0; b < n_bases; b++) c->longest[b] = UNSEEN;
    for (uint32_t u = 0; u < c->map->n_units; u++) {
        const uint32_t unit = c->map->units[u];
        c->next[u] = NONE;
        if (t0_unit_is_leaf(unit)) continue;
        const uint32_t base = u ^ t0_unit_label(unit);
        assert(base < n_bases);
        c->next[u] = c->first[base];
        c->first[base] = u;
    }
}

static t0_status broken(const checker *c, uint32_t node, const char *what) {
    return t0_fail(c->err, T0_EFORMAT, "offset %zu: node %u of the character map %s", c->array_at + 4 * (size_t)node, node, what);
}

/* Puts the children of `node` on the stack where they are not known yet. */
static t0_status enter(checker *c, uint32_t node) {
    const uint32_t base = base_of(c, node);
    if (base >= c->map->n_units) return broken(c, node, "leads out of its array");
    if (c->longest[base] == OPEN) return broken(c, node, "leads back to where it comes from: the map has a cycle");
    if (c->longest[base] != UNSEEN) return T0_OK;
    const frame f = {base, c->first[base], 0};
    c->longest[base] = OPEN;
    return t0_buffer_add(&c->stack, &f, sizeof f) ? T0_OK : t0_fail_memory(c->err, 2 * c->stack.size);
}

static t0_status check_leaf(const checker *c, uint32_t node) {
    const uint32_t base = base_of(c, node);
    if (base >= c->map->n_units || !t0_unit_is_leaf(c->map->units[base])) return broken(c, node, "claims a result and has none");
    const size_t at = t0_unit_value(c->map->units[base]);
    if (at >= c->map->results.size) return broken(c, node, "has its result behind the last one");
    if ((c->map->results.data[at] & 0xC0) == 0x80) return broken(c, node, "has a result that begins inside a character");
    return T0_OK;
}

/* All bases below the root's; with a depth for each. */
static t0_status walk(checker *c) {
    T0_TRY(enter(c, 0));
    while (c->stack.size) {
        frame *top = (frame *)(c->stack.data + c->stack.size) - 1;
        const uint32_t node = top->node;
        if (node == NONE) {
            c->longest[top->base] = top->longest;
            c->stack.size -= sizeof *top;
            continue;
        }
        const uint32_t base = base_of(c, node);
        if (base >= c->map->n_units || c->longest[base] == UNSEEN || c->longest[base] == OPEN) {
            T0_TRY(enter(c, node)); /* and the node is looked at again; `top` may have moved */
            continue;
        }
        if (t0_unit_has_leaf(c->map->units[node])) T0_TRY(check_leaf(c, node));
        const uint32_t below = c->longest[base];
        const uint32_t reach = below ? below + 1 : t0_unit_has_leaf(c->map->units[node]);
        if (reach > top->longest) top->longest = reach;
        top->node = c->next[node];
    }
    return T0_OK;
}

/* Sets map->longest; T0_EFORMAT for a cycle, a place outside, or a rule that is too long. */
static t0_status check(t0_charsmap *map, size_t array_at, t0_error *err) {
    const size_t n_bases = t0_size_round(map->n_units, BLOCK);
    uint32_t *tables = t0_alloc((2 * n_bases + map->n_units) * sizeof *tables);
    if (!tables) return t0_fail_memory(err, (2 * n_bases + map->n_units) * sizeof *tables);
    checker c = {map, array_at, tables, tables + 2 * n_bases, tables + n_bases, {0}, err};
    link_children(&c, n_bases);
    t0_status status = walk(&c);
    if (status == T0_OK) map->longest = c.longest[base_of(&c, 0)];
    if (status == T0_OK && map->longest > T0_RULE_MAX)
        status = t0_fail(err, T0_EFORMAT, "offset %zu: a rule of the character map replaces %zu bytes, at most %d", array_at, map->longest,
                         T0_RULE_MAX);
    t0_buffer_free(&c.stack);
    t0_free(tables);
    return status;
}

static uint32_t load32(const uint8_t *at) { return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24; }

t0_status t0_charsmap_read(t0_charsmap *out, t0_bytes map, size_t offset, t0_error *err) {
    *out = (t0_charsmap){0};
    if (map.size == 0) return T0_OK;
    if (map.size <= 4 || map.size > T0_CHARSMAP_MAX)
        return t0_fail(err, T0_EFORMAT, "offset %zu: a character map of %zu bytes, must be 5 to %d", offset, map.size, T0_CHARSMAP_MAX);
    const size_t size = load32(map.data);
    if (size >= map.size || size % 4 != 0 || size == 0)
        return t0_fail(err, T0_EFORMAT, "offset %zu: a trie of %zu bytes in a character map of %zu", offset, size, map.size);
    if (map.size - 4 <= size || map.data[map.size - 1] != 0)
        return t0_fail(err, T0_EFORMAT, "offset %zu: the results of the character map do not end with NUL", offset + 4 + size);
    out->results = (t0_bytes){map.data + 4 + size, map.size - 4 - size};
    const size_t wrong = t0_utf8_broken(out->results);
    if (wrong < out->results.size)
        return t0_fail(err, T0_EFORMAT, "offset %zu: a result of the character map is not UTF-8", offset + 4 + size + wrong);
    out->units = t0_alloc(size);
    if (!out->units) return t0_fail_memory(err, size);
    out->n_units = size / 4;
    for (size_t i = 0; i < out->n_units; i++) out->units[i] = load32(map.data + 4 + 4 * i);
    return check(out, offset + 4, err);
}

void t0_charsmap_free(t0_charsmap *map) {
    t0_free(map->units);
    *map = (t0_charsmap){0};
}
