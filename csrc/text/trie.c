/* Builds the double array of trie.h, depth first, without recursion (a key may be 64 KB long).
 *
 * The children of a node need a base with  base ^ c  free for every label c and the base itself unused. Candidates come
 * from the list of free nodes of the last OPEN_BLOCKS blocks; when none fits, a new block does. Older blocks are closed,
 * so the search per node is bounded and the build linear. */
#include "text/trie.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 256, OPEN_BLOCKS = 16 };

/* The keys that share the first `depth` bytes, which lead to `node`. */
typedef struct range {
    uint32_t begin, end, depth, node;
} range;

typedef struct builder {
    const t0_trie_key *keys;
    t0_buffer nodes;       /* t0_trie_node */
    t0_buffer links;       /* link, one a node */
    t0_buffer stack;       /* range */
    uint32_t first_free;   /* 0: none; node 0 is the root and never free */
    t0_error *err;
} builder;

/* A node of the list of free nodes; base_used says that some node has this index as its base. */
typedef struct link {
    uint32_t next, previous;
    bool is_free, base_used;
} link;

static t0_trie_node *node_at(const builder *b, uint32_t i) { return (t0_trie_node *)b->nodes.data + i; }
static link *link_at(const builder *b, uint32_t i) { return (link *)b->links.data + i; }
static size_t node_count(const builder *b) { return b->nodes.size / sizeof(t0_trie_node); }

static void take(builder *b, uint32_t i) {
    link *l = link_at(b, i);
    if (!l->is_free) return;
    l->is_free = false;
    if (l->previous) link_at(b, l->previous)->next = l->next;
    else b->first_free = l->next;
    if (l->next) link_at(b, l->next)->previous = l->previous;
}

static t0_status add_block(builder *b) {
    const size_t first = node_count(b);
    if (first + BLOCK > UINT32_MAX / 2) return t0_fail(b->err, T0_EFORMAT, "a vocabulary of more than %zu trie nodes", first);
    if (!t0_buffer_reserve(&b->nodes, BLOCK * sizeof(t0_trie_node)) || !t0_buffer_reserve(&b->links, BLOCK * sizeof(link)))
        return t0_fail_memory(b->err, 2 * b->links.size);
    b->nodes.size += BLOCK * sizeof(t0_trie_node);
    b->links.size += BLOCK * sizeof(link);
    if (first / BLOCK > OPEN_BLOCKS) { /* block 0 is not in the list */
        const size_t oldest = first - (size_t)OPEN_BLOCKS * BLOCK;
        for (size_t i = oldest; i < oldest + BLOCK; i++) take(b, (uint32_t)i);
    }
    for (size_t i = first + BLOCK; i-- > first;) {
        *node_at(b, (uint32_t)i) = (t0_trie_node){.tag = (uint32_t)T0_TRIE_NONE << 9 | T0_TRIE_FREE};
        *link_at(b, (uint32_t)i) = (link){.is_free = first > 0};
        if (first == 0) continue;
        link_at(b, (uint32_t)i)->next = b->first_free;
        if (b->first_free) link_at(b, b->first_free)->previous = (uint32_t)i;
        b->first_free = (uint32_t)i;
    }
    return T0_OK;
}

static bool fits(const builder *b, uint32_t base, const uint8_t *labels, size_t n) {
    if (link_at(b, base)->base_used) return false;
    for (size_t i = 0; i < n; i++)
        if (!link_at(b, base ^ labels[i])->is_free) return false;
    return true;
}

static t0_status find_base(builder *b, const uint8_t *labels, size_t n, uint32_t *out) {
    for (uint32_t slot = b->first_free; slot; slot = link_at(b, slot)->next) {
        *out = slot ^ labels[0];
        if (fits(b, *out, labels, n)) return T0_OK;
    }
    *out = (uint32_t)node_count(b);
    return add_block(b);
}

/* Gives `parent` its value and its children, and pushes their ranges. */
static t0_status expand(builder *b, range parent) {
    uint8_t labels[BLOCK];
    size_t n = 0;
    const t0_trie_key *keys = b->keys;
    if (keys[parent.begin].size == parent.depth) { /* a prefix of the others sorts first */
        node_at(b, parent.node)->tag = keys[parent.begin].value << 9 | (node_at(b, parent.node)->tag & 0x1FF);
        parent.begin++;
    }
    if (parent.begin == parent.end) return T0_OK;
    for (uint32_t i = parent.begin; i < parent.end; i++) {
        const uint8_t c = keys[i].text[parent.depth]; /* rises with i: check_keys */
        assert(n == 0 || labels[n - 1] <= c);
        if (n == 0 || labels[n - 1] != c) labels[n++] = c;
    }
    uint32_t base, begin = parent.begin;
    T0_TRY(find_base(b, labels, n, &base));
    node_at(b, parent.node)->base = base;
    link_at(b, base)->base_used = true;
    if (!t0_buffer_reserve(&b->stack, n * sizeof(range))) return t0_fail_memory(b->err, 2 * b->stack.size);
    for (size_t k = 0; k < n; k++) {
        uint32_t end = begin;
        while (end < parent.end && keys[end].text[parent.depth] == labels[k]) end++;
        const range child = {begin, end, parent.depth + 1, base ^ labels[k]};
        take(b, child.node);
        node_at(b, child.node)->tag = (uint32_t)T0_TRIE_NONE << 9 | labels[k];
        t0_buffer_add(&b->stack, &child, sizeof child); /* reserved above */
        begin = end;
    }
    return T0_OK;
}

static t0_status build(builder *b, size_t n) {
    T0_TRY(add_block(b));
    const range root = {0, (uint32_t)n, 0, 0};
    if (!t0_buffer_add(&b->stack, &root, sizeof root)) return t0_fail_memory(b->err, sizeof root);
    while (b->stack.size) {
        range next;
        b->stack.size -= sizeof next;
        memcpy(&next, b->stack.data + b->stack.size, sizeof next);
        T0_TRY(expand(b, next));
    }
    return T0_OK;
}

static int compare_keys(const void *x, const void *y) {
    const t0_trie_key *a = x, *b = y;
    const uint32_t shared = a->size < b->size ? a->size : b->size;
    const int order = memcmp(a->text, b->text, shared);
    if (order != 0) return order;
    return (a->size > b->size) - (a->size < b->size);
}

void t0_trie_sort(t0_trie_key *keys, size_t n) { qsort(keys, n, sizeof *keys, compare_keys); }

t0_status t0_trie_check_distinct(const t0_trie_key *keys, size_t n, t0_error *err) {
    for (size_t i = 1; i < n; i++) {
        const t0_trie_key *a = &keys[i - 1], *b = &keys[i];
        const int order = compare_keys(a, b);
        assert(order <= 0); /* sorted */
        if (order != 0) continue;
        return t0_fail(err, T0_EFORMAT, "pieces %u and %u are both \"%.*s\"", a->value, b->value, a->size < 100 ? (int)a->size : 100,
                       (const char *)a->text);
    }
    return T0_OK;
}

/* What expand relies on: each key ends below its children's labels, and these rise. */
static t0_status check_keys(const t0_trie_key *keys, size_t n, t0_error *err) {
    if (n >= T0_TRIE_NONE) return t0_fail(err, T0_EVALUE, "%zu trie keys: at most %d", n, T0_TRIE_NONE - 1);
    for (size_t i = 0; i < n; i++) {
        if (keys[i].size == 0) return t0_fail(err, T0_EVALUE, "trie key %zu is empty", i);
        if (keys[i].value >= T0_TRIE_NONE)
            return t0_fail(err, T0_EVALUE, "trie key %zu: the value %u, at most %d", i, keys[i].value, T0_TRIE_NONE - 1);
        if (i && compare_keys(&keys[i - 1], &keys[i]) > 0) return t0_fail(err, T0_EVALUE, "trie keys %zu and %zu are not sorted", i - 1, i);
    }
    return t0_trie_check_distinct(keys, n, err);
}

t0_status t0_trie_build(t0_trie *out, const t0_trie_key *keys, size_t n, t0_error *err) {
    *out = (t0_trie){0};
    T0_TRY(check_keys(keys, n, err));
    if (n == 0) return T0_OK;
    builder b = {.keys = keys, .err = err};
    const t0_status status = build(&b, n);
    t0_buffer_free(&b.links);
    t0_buffer_free(&b.stack);
    const size_t size = b.nodes.size;
    assert(status != T0_OK || node_count(&b) % BLOCK == 0);
    t0_trie_node *exact = status == T0_OK ? t0_alloc(size) : NULL;
    if (exact) {
        memcpy(exact, b.nodes.data, size);
        *out = (t0_trie){exact, size / sizeof *exact};
    }
    t0_buffer_free(&b.nodes);
    if (status != T0_OK) return status;
    return exact ? T0_OK : t0_fail_memory(err, size);
}

void t0_trie_free(t0_trie *trie) {
    t0_free(trie->nodes);
    *trie = (t0_trie){0};
}

uint32_t t0_trie_find(const t0_trie *trie, t0_bytes text) {
    if (!trie->nodes || text.size == 0) return T0_TRIE_NONE;
    uint32_t node = 0;
    for (size_t i = 0; i < text.size; i++)
        if (!t0_trie_step(trie->nodes, &node, text.data[i])) return T0_TRIE_NONE;
    return t0_trie_value(trie->nodes, node);
}

size_t t0_trie_longest(const t0_trie *trie, t0_bytes text, size_t *walked) {
    size_t longest = 0, i = 0;
    uint32_t node = 0;
    for (; trie->nodes && i < text.size && t0_trie_step(trie->nodes, &node, text.data[i]); i++)
        if (t0_trie_value(trie->nodes, node) != T0_TRIE_NONE) longest = i + 1;
    *walked = i;
    return longest;
}
