/* Added tokens, as the tokenizers package (its AddedVocabulary) finds them:
 *
 *     at each place   the longest token that begins there, the leftmost place first; then on from its end
 *     single_word     one beside a character of a word is passed over, with its bytes
 *     lstrip, rstrip  the white space at that side becomes part of it
 *     normalized      these are looked for later, between the others, in what the character map makes of the text
 *
 * What lies between is encoded as texts of their own: parts.c. */
#include "text/added.h"

#include "text/letters.h"
#include "text/utf8.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static int by_id(const void *a, const void *b) {
    const int32_t x = ((const t0_added_token *)a)->id, y = ((const t0_added_token *)b)->id;
    return (x > y) - (x < y);
}

static t0_status check_tokens(const t0_added *added, t0_error *err) {
    size_t total = 0;
    for (size_t i = 0; i < added->n; i++) {
        const t0_added_token *token = &added->tokens[i];
        if (token->text.size == 0 || token->text.size > T0_ADDED_MAX_TEXT)
            return t0_fail(err, T0_EFORMAT, "added token %d: %zu bytes, must be 1 to %d", token->id, token->text.size, T0_ADDED_MAX_TEXT);
        if (!t0_utf8_valid(token->text)) return t0_fail(err, T0_EFORMAT, "added token %d is not UTF-8", token->id);
        if ((total += token->text.size) > T0_ADDED_MAX_BYTES)
            return t0_fail(err, T0_EFORMAT, "added tokens of more than %d bytes in all", T0_ADDED_MAX_BYTES);
        if (token->id < 0) return t0_fail(err, T0_EFORMAT, "added token %d: an id is at least 0", token->id);
        if (i > 0 && added->tokens[i - 1].id == token->id) return t0_fail(err, T0_EFORMAT, "two added tokens have the id %d", token->id);
    }
    return T0_OK;
}

/* Sets the trie of keys[n], whose values are places in tokens. */
static t0_status build_set(const t0_added *added, t0_added_set *set, t0_trie_key *keys, size_t n, t0_error *err) {
    t0_trie_sort(keys, n);
    for (size_t i = 0; i < n; i++) {
        const bool twice = i > 0 && keys[i - 1].size == keys[i].size && memcmp(keys[i - 1].text, keys[i].text, keys[i].size) == 0;
        if (twice)
            return t0_fail(err, T0_EFORMAT, "the added tokens %d and %d are the same text", added->tokens[keys[i - 1].value].id,
                           added->tokens[keys[i].value].id);
        set->begins[keys[i].text[0]] = true;
    }
    return t0_trie_build(&set->trie, keys, n, err);
}

static bool is_normalized(const t0_added_token *token) { return (token->flags & T0_ADDED_NORMALIZED) != 0; }

/* The keys of the tokens that are looked for in this form; *n of them. */
static void keys_of(const t0_added *added, bool normalized, t0_trie_key *keys, size_t *n) {
    *n = 0;
    for (size_t i = 0; i < added->n; i++) {
        const t0_added_token *token = &added->tokens[i];
        if (token->flags & T0_ADDED_CONTROL || is_normalized(token) != normalized) continue;
        keys[(*n)++] = (t0_trie_key){token->text.data, (uint32_t)token->text.size, (uint32_t)i};
    }
}

/* Puts what the rules make of the keys' texts in their place. */
static t0_status normalize_keys(t0_added *added, const t0_normalizer *rules, t0_trie_key *keys, size_t n, t0_error *err) {
    t0_buffer text = {0};
    t0_meter unasked = {0};
    t0_status status = T0_OK;
    for (size_t i = 0; i < n && status == T0_OK; i++) {
        status = t0_normalize(rules, (t0_bytes){keys[i].text, keys[i].size}, &text, NULL, &unasked, err);
        if (status != T0_OK) break;
        if (text.size > T0_ADDED_MAX_BYTES - added->patterns.size)
            status = t0_fail(err, T0_EFORMAT, "added tokens of more than %d bytes in all after normalisation", T0_ADDED_MAX_BYTES);
        else if (text.size == 0)
            status = t0_fail(err, T0_EFORMAT, "of the added token %d nothing is left after normalisation", added->tokens[keys[i].value].id);
        else if (!t0_buffer_add(&added->patterns, text.data, text.size)) status = t0_fail_memory(err, added->patterns.size * 2);
        keys[i].size = (uint32_t)text.size;
    }
    t0_buffer_free(&text);
    size_t at = 0; /* the buffer has stopped moving */
    for (size_t i = 0; i < n && status == T0_OK; at += keys[i++].size) {
        keys[i].text = added->patterns.data + at;
        added->tokens[keys[i].value].shown = (t0_bytes){keys[i].text, keys[i].size};
    }
    return status;
}

static t0_status build(t0_added *added, const t0_normalizer *rules, t0_trie_key *keys, t0_error *err) {
    size_t n;
    T0_TRY(check_tokens(added, err));
    keys_of(added, false, keys, &n);
    T0_TRY(build_set(added, &added->raw, keys, n, err));
    keys_of(added, true, keys, &n);
    if (n == 0) return T0_OK;
    assert(rules);
    T0_TRY(normalize_keys(added, rules, keys, n, err));
    return build_set(added, &added->normal, keys, n, err);
}

t0_status t0_added_new(t0_added *out, const t0_added_token *tokens, size_t n, const t0_normalizer *rules, t0_error *err) {
    *out = (t0_added){.n = n};
    if (n == 0) return T0_OK;
    if (n > T0_ADDED_MAX_TOKENS) return t0_fail(err, T0_EFORMAT, "%zu added tokens, at most %d", n, T0_ADDED_MAX_TOKENS);
    out->tokens = t0_alloc(n * sizeof *tokens);
    t0_trie_key *keys = t0_alloc(n * sizeof *keys);
    t0_status status = T0_OK;
    if (!keys || !out->tokens) status = t0_fail_memory(err, n * sizeof *tokens);
    else {
        memcpy(out->tokens, tokens, n * sizeof *tokens);
        for (size_t i = 0; i < n; i++) out->tokens[i].shown = out->tokens[i].text;
        qsort(out->tokens, n, sizeof *tokens, by_id);
        status = build(out, rules, keys, err);
    }
    t0_free(keys);
    return status;
}

static void free_set(t0_added_set *set) { t0_trie_free(&set->trie); }

void t0_added_free(t0_added *added) {
    free_set(&added->raw);
    free_set(&added->normal);
    t0_buffer_free(&added->patterns);
    t0_free(added->tokens);
    *added = (t0_added){0};
}

const t0_added_token *t0_added_by_id(const t0_added *added, int32_t id) {
    size_t low = 0, high = added->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (added->tokens[middle].id == id) return &added->tokens[middle];
        if (added->tokens[middle].id < id) low = middle + 1;
        else high = middle;
    }
    return NULL;
}

const t0_added_token *t0_added_longest(const t0_added *added, const t0_added_set *set, bool sentinels, t0_bytes text, size_t *size,
                                       size_t *walked) {
    const t0_trie_node *nodes = set->trie.nodes;
    const t0_added_token *found = NULL;
    uint32_t node = 0;
    size_t i = 0;
    assert(text.size);
    *walked = 0;
    if (!set->begins[text.data[0]]) return NULL;
    assert(nodes); /* a set in which something begins */
    for (; i < text.size && t0_trie_step(nodes, &node, text.data[i]); i++) {
        const uint32_t place = t0_trie_value(nodes, node);
        if (place == T0_TRIE_NONE) continue;
        const t0_added_token *token = &added->tokens[place];
        if (token->flags & T0_ADDED_SENTINEL && !sentinels) continue;
        found = token;
        *size = i + 1;
    }
    *walked = i;
    return found;
}

/* The well-formed character whose first byte is at[0]. */
static uint32_t code_point(const uint8_t *at, size_t length) {
    static const uint8_t mask[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    assert(length >= 1 && length < sizeof mask && t0_utf8_length(at, length) == length);
    uint32_t c = at[0] & mask[length];
    for (size_t i = 1; i < length; i++) c = c << 6 | (at[i] & 0x3F);
    return c;
}

/* The character before text[end]; *begin: where it begins. */
static uint32_t character_before(t0_bytes text, size_t end, size_t *begin) {
    assert(end > 0);
    *begin = end - 1;
    while (*begin > 0 && (text.data[*begin] & 0xC0) == 0x80) --*begin;
    return code_point(text.data + *begin, end - *begin);
}

static uint32_t character_at(t0_bytes text, size_t begin, size_t *length) {
    assert(begin < text.size);
    *length = t0_utf8_promised(text.data[begin]);
    assert(*length <= text.size - begin); /* well-formed */
    return code_point(text.data + begin, *length);
}

bool t0_added_alone(t0_bytes text, size_t begin, size_t end) {
    size_t place;
    if (begin > 0 && t0_is_word_character(character_before(text, begin, &place))) return false;
    return end == text.size || !t0_is_word_character(character_at(text, end, &place));
}

size_t t0_added_space_before(t0_bytes text, size_t first, size_t end) {
    size_t begin;
    if (end < first) return first;
    while (end > first && t0_is_white_space(character_before(text, end, &begin))) end = begin;
    return end;
}

size_t t0_added_space_behind(t0_bytes text, size_t begin) {
    size_t length;
    while (begin < text.size && t0_is_white_space(character_at(text, begin, &length))) begin += length;
    return begin;
}
