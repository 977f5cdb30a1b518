/* A set of byte strings as a double array: from node n, byte c leads to node  base[n] ^ c  if that node's label is c.
 *
 * No two nodes with children share a base, so the label alone says whether a child is the parent's own (Aoe 1989).
 * Node 0 is the root. The array is made of whole blocks of 256 nodes, so base ^ c is always inside; block 0 holds no
 * child, and nodes without children have base 0. */
#ifndef T0_TEXT_TRIE_H
#define T0_TEXT_TRIE_H

#include "base/memory.h"

enum {
    T0_TRIE_NONE = 0x7FFFFF, /* no key ends here */
    T0_TRIE_FREE = 0x1FF     /* the label of a node that is no child: equals no byte */
};

typedef struct t0_trie_node {
    uint32_t base;
    uint32_t tag; /* value << 9 | label */
} t0_trie_node;

typedef struct t0_trie {
    t0_trie_node *nodes; /* [n_nodes], owned; NULL for an empty set */
    size_t n_nodes;
} t0_trie;

typedef struct t0_trie_key {
    const uint8_t *text; /* [size], borrowed while building */
    uint32_t size;       /* at least 1 */
    uint32_t value;      /* below T0_TRIE_NONE */
} t0_trie_key;

/* Sorts bytewise; a prefix comes first. */
void t0_trie_sort(t0_trie_key *keys, size_t n);
/* T0_EFORMAT when two of the sorted keys are equal; the values are named as numbers of pieces. */
t0_status t0_trie_check_distinct(const t0_trie_key *keys, size_t n, t0_error *err);
/* keys[n]: T0_EFORMAT when two are equal, T0_EVALUE when they are not sorted, or one is empty or has a value out of range. */
t0_status t0_trie_build(t0_trie *out, const t0_trie_key *keys, size_t n, t0_error *err);
void t0_trie_free(t0_trie *trie);

/* One step down: false when there is no such child. */
static inline bool t0_trie_step(const t0_trie_node *nodes, uint32_t *node, uint8_t c) {
    const uint32_t child = nodes[*node].base ^ c;
    if ((nodes[child].tag & 0x1FF) != c) return false;
    *node = child;
    return true;
}

static inline uint32_t t0_trie_value(const t0_trie_node *nodes, uint32_t node) { return nodes[node].tag >> 9; }

/* The value of exactly this text, or T0_TRIE_NONE. */
uint32_t t0_trie_find(const t0_trie *trie, t0_bytes text);
/* The length of the longest key that `text` begins with, or 0. *walked becomes the number of bytes looked at. */
size_t t0_trie_longest(const t0_trie *trie, t0_bytes text, size_t *walked);

#endif
