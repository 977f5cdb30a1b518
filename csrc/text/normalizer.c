/* The normaliser of SentencePiece (src/normalizer.cc), byte for byte.
 *
 *     next character   1. the longest user-defined symbol here, unchanged
 *                      2. the longest rule of the map here, replaced by its result (which may be empty)
 *                      3. one well-formed character, unchanged          4. one other byte, replaced by U+FFFD
 *     spaces           removed at both ends and doubled ones merged (remove_extra_whitespaces),
 *                      one put in front, or behind with whitespace_suffix (add_dummy_prefix), written as U+2581 (escape_whitespaces)
 *
 * The map: charsmap.c. Its rules begin with any byte, user-defined symbols too, so a place of the text may cost as many steps as the
 * longest of them has bytes: the meter counts steps, not places. */
#include "text/normalizer.h"

#include "text/utf8.h"

#include <assert.h>
#include <string.h>

/* A rule may put any number of bytes for one: the result may have so many for each byte of the text, and so many more. */
enum { GROWTH_MAX = 64, GROWTH_FREE = 1 << 20 };

enum { MAX_RULES = 32 }; /* of the rules that match at one place, SentencePiece looks at so many of the shortest */

/* One piece of the text and what becomes of it. */
typedef struct step {
    size_t consumed;
    t0_bytes result;
    size_t work; /* bytes looked at */
} step;

static size_t longest_rule(const t0_charsmap *map, t0_bytes in, uint32_t *value, size_t *walked) {
    size_t longest = 0, found = 0, i = 0;
    const size_t most = in.size < map->longest ? in.size : map->longest;
    uint32_t position = map->units ? t0_unit_offset(map->units[0]) : 0;
    for (; i < most && found < MAX_RULES; i++) {
        position ^= in.data[i];
        if (position >= map->n_units) break;
        const uint32_t unit = map->units[position];
        if (t0_unit_label(unit) != in.data[i]) break;
        position ^= t0_unit_offset(unit);
        assert(position < map->n_units); /* charsmap.c has been everywhere */
        if (!t0_unit_has_leaf(unit)) continue;
        *value = t0_unit_value(map->units[position]);
        longest = i + 1;
        found++;
    }
    *walked = i;
    return longest;
}

static t0_bytes rule_result(const t0_charsmap *map, uint32_t value) {
    assert(value < map->results.size); /* as charsmap.c has checked, and that the results end with NUL */
    const uint8_t *begin = map->results.data + value, *end = memchr(begin, 0, map->results.size - value);
    assert(end);
    return (t0_bytes){begin, (size_t)(end - begin)};
}

static step next_step(const t0_normalizer *nm, t0_bytes in) {
    assert(in.size);
    size_t along_user = 0, along_rules;
    const size_t user = nm->user->nodes ? t0_trie_longest(nm->user, in, &along_user) : 0;
    if (user) return (step){user, {in.data, user}, along_user};
    uint32_t value = 0;
    const size_t rule = longest_rule(&nm->map, in, &value, &along_rules);
    const size_t work = 1 + along_user + along_rules;
    if (rule) {
        const t0_bytes result = rule_result(&nm->map, value);
        return (step){rule, result, work + result.size};
    }
    const size_t length = t0_utf8_length(in.data, in.size);
    if (length) return (step){length, {in.data, length}, work};
    return (step){1, {(const uint8_t *)"\xEF\xBF\xBD", 3}, work};
}

static bool is_space(t0_bytes text) { return text.size == 1 && text.data[0] == ' '; }

typedef struct writer {
    t0_buffer *out, *offsets;
    bool escape;
    size_t max; /* bytes of *out */
    t0_meter *meter;
    bool too_long, stopped;
} writer;

static writer writer_of(t0_bytes text, t0_buffer *out, t0_buffer *offsets, bool escape, t0_meter *meter) {
    const size_t most = text.size > (INT32_MAX - GROWTH_FREE) / GROWTH_MAX ? INT32_MAX : text.size * GROWTH_MAX + GROWTH_FREE;
    return (writer){out, offsets, escape, most, meter, false, false};
}

/* Counts work; false when the call is to stop. */
static inline bool goes_on(writer *w, size_t work) {
    w->stopped = t0_meter_stops(w->meter, work);
    return !w->stopped;
}

/* goes_on, once there is enough to tell. */
static inline bool tell(writer *w, size_t *work) {
    if (__builtin_expect(*work < T0_METER_STEPS, 1)) return true;
    const size_t done = *work;
    *work = 0;
    return goes_on(w, done);
}

static t0_status failed(const writer *w, t0_bytes text, t0_error *err) {
    if (w->stopped) return t0_fail_stopped(err);
    if (!w->too_long) return t0_fail_memory(err, 2 * w->out->capacity);
    return t0_fail(err, T0_EVALUE, "a text of %zu bytes becomes more than %zu by the model's rules: encode it in parts", text.size, w->max);
}

/* Writes `text` with spaces escaped; all of it comes from `place`. */
static bool write(writer *w, t0_bytes text, size_t place) {
    w->too_long = w->out->size + text.size > w->max;
    if (w->too_long) return false;
    if (!t0_buffer_reserve(w->out, text.size * T0_SPACE_MARK_SIZE)) return false;
    const size_t start = w->out->size;
    for (size_t i = 0; i < text.size; i++) {
        if (w->escape && text.data[i] == ' ') {
            memcpy(w->out->data + w->out->size, T0_SPACE_MARK, T0_SPACE_MARK_SIZE);
            w->out->size += T0_SPACE_MARK_SIZE;
        } else w->out->data[w->out->size++] = text.data[i];
    }
    if (!w->offsets) return true;
    const uint32_t place32 = (uint32_t)place;
    for (size_t i = start; i < w->out->size; i++)
        if (!t0_buffer_add(w->offsets, &place32, sizeof place32)) return false;
    return true;
}

/* Removes spaces at the end; *consumed becomes the place of the first that went. False when the call is to stop. */
static bool trim_end(writer *w, size_t *consumed) {
    const t0_bytes space = {(const uint8_t *)(w->escape ? T0_SPACE_MARK : " "), w->escape ? T0_SPACE_MARK_SIZE : 1};
    t0_buffer *out = w->out;
    while (out->size >= space.size && memcmp(out->data + out->size - space.size, space.data, space.size) == 0) {
        out->size -= space.size;
        if (!goes_on(w, 1)) return false;
        if (!w->offsets) continue;
        *consumed = ((uint32_t *)w->offsets->data)[out->size];
        w->offsets->size = out->size * sizeof(uint32_t);
    }
    return true;
}

enum { RUN_MAX = 1 << 16 }; /* bytes at once */

/* The length of the run of plain ASCII at the start of `in`, without a last one that something else may combine with. */
static size_t plain_run(const t0_normalizer *nm, t0_bytes in) {
    const size_t most = in.size < RUN_MAX ? in.size : RUN_MAX;
    size_t n = 0;
    while (n < most && nm->kind[in.data[n]] == T0_BYTE_PLAIN) n++;
    if (n > 0 && n < in.size && in.data[n] >= 0x80) n--;
    return n;
}

/* From *consumed to the end, or with to_gap to the next gap. *ends_in_space: of what was written, or nothing was. */
static bool write_body(const t0_normalizer *nm, writer *w, t0_bytes text, size_t *consumed, bool to_gap, bool *ends_in_space) {
    bool after_space = nm->remove_extra_whitespaces;
    size_t work = 0; /* not told yet */
    while (*consumed < text.size && !(to_gap && t0_is_gap(nm, text, *consumed))) {
        const t0_bytes rest = {text.data + *consumed, text.size - *consumed};
        const size_t run = w->offsets ? 0 : plain_run(nm, rest);
        if (run) {
            if (!t0_buffer_add(w->out, rest.data, run)) return false;
            work += run;
            *consumed += run;
            after_space = false;
            if (!tell(w, &work)) return false;
            continue;
        }
        step s = next_step(nm, rest);
        while (after_space && s.result.size && s.result.data[0] == ' ') {
            s.result.data++;
            s.result.size--;
        }
        if (s.result.size) {
            if (!write(w, s.result, *consumed)) return false;
            after_space = nm->remove_extra_whitespaces && s.result.data[s.result.size - 1] == ' ';
        }
        *consumed += s.consumed;
        work += s.work;
        if (!tell(w, &work)) return false;
    }
    *ends_in_space = after_space;
    return goes_on(w, work);
}

static bool normalize(const t0_normalizer *nm, writer *w, t0_bytes text) {
    const t0_bytes space = {(const uint8_t *)" ", 1};
    size_t consumed = 0;
    while (nm->remove_extra_whitespaces && consumed < text.size) {
        const step s = next_step(nm, (t0_bytes){text.data + consumed, text.size - consumed});
        if (!is_space(s.result)) break;
        consumed += s.consumed;
        if (!goes_on(w, s.work)) return false;
    }
    if (consumed < text.size) {
        if (nm->add_dummy_prefix && !nm->whitespace_suffix && !write(w, space, consumed)) return false;
        bool ends_in_space = false;
        if (!write_body(nm, w, text, &consumed, false, &ends_in_space)) return false;
        if (nm->remove_extra_whitespaces && !trim_end(w, &consumed)) return false;
        if (nm->add_dummy_prefix && nm->whitespace_suffix && !write(w, space, consumed)) return false;
    }
    const uint32_t end = (uint32_t)consumed;
    return !w->offsets || t0_buffer_add(w->offsets, &end, sizeof end);
}

t0_status t0_normalize(const t0_normalizer *nm, t0_bytes text, t0_buffer *out, t0_buffer *offsets, t0_meter *meter, t0_error *err) {
    out->size = 0;
    if (offsets) offsets->size = 0;
    writer w = writer_of(text, out, offsets, nm->escape_whitespaces, meter);
    const bool whole = t0_buffer_reserve(out, text.size + text.size / 2 + 16) && normalize(nm, &w, text);
    return whole ? T0_OK : failed(&w, text, err);
}

t0_status t0_normalize_words(const t0_normalizer *nm, t0_bytes text, size_t *at, t0_buffer *out, t0_meter *meter, t0_error *err) {
    writer w = writer_of(text, out, NULL, true, meter);
    bool ends_in_space = false;
    assert(nm->by_words && !t0_is_gap(nm, text, *at));
    out->size = 0;
    if (!t0_buffer_add(out, T0_SPACE_MARK, T0_SPACE_MARK_SIZE) || !write_body(nm, &w, text, at, true, &ends_in_space))
        return failed(&w, text, err);
    if (ends_in_space) out->size -= T0_SPACE_MARK_SIZE; /* the next word brings its own; a lone mark stands for nothing */
    return T0_OK;
}

static bool rule_begins(const t0_charsmap *map, uint32_t position, uint8_t c) {
    position ^= c;
    return position < map->n_units && t0_unit_label(map->units[position]) == c;
}

/* What c becomes, alone and before any ASCII character. */
static t0_byte_kind kind_of(const t0_normalizer *nm, uint8_t c) {
    const t0_byte_kind itself = c == ' ' ? T0_BYTE_SPACE : c > ' ' && c <= '~' ? T0_BYTE_PLAIN : T0_BYTE_OTHER;
    if (c >= 0x80) return T0_BYTE_OTHER;
    if (nm->user->nodes) {
        uint32_t node = 0;
        if (t0_trie_step(nm->user->nodes, &node, c)) return T0_BYTE_OTHER;
    }
    const t0_charsmap *map = &nm->map;
    if (!map->units) return itself;
    const uint32_t root = t0_unit_offset(map->units[0]);
    if (!rule_begins(map, root, c)) return itself;
    const uint32_t inner = (root ^ c) ^ t0_unit_offset(map->units[root ^ c]);
    for (uint8_t next = 0; next < 0x80; next++)
        if (rule_begins(map, inner, next)) return T0_BYTE_OTHER;
    const step alone = next_step(nm, (t0_bytes){&c, 1});
    if (alone.result.size != 1) return T0_BYTE_OTHER;
    return alone.result.data[0] == ' ' ? T0_BYTE_SPACE : alone.result.data[0] == c ? itself : T0_BYTE_OTHER;
}

/* Whether some result of a rule holds two spaces in a row or a U+2581, which would blur where words end. */
static bool results_blur_words(t0_bytes results) {
    for (size_t i = 0; i + 1 < results.size; i++) {
        if (results.data[i] == ' ' && results.data[i + 1] == ' ') return true;
        if (t0_is_space_mark(results.data + i, results.size - i)) return true;
    }
    return false;
}

/* Word by word nobody sees the sum of what the rules write, so each result must be within the growth allowed. */
static bool results_are_short(t0_bytes results) {
    size_t length = 0;
    for (size_t i = 0; i < results.size; i++) {
        length = results.data[i] ? length + 1 : 0;
        if (length > GROWTH_MAX) return false;
    }
    return true;
}

t0_status t0_normalizer_new(t0_normalizer *out, const t0_normal_spec *spec, bool whitespace_suffix, const t0_trie *user, t0_error *err) {
    *out = (t0_normalizer){.user = user,
                           .add_dummy_prefix = spec->add_dummy_prefix,
                           .remove_extra_whitespaces = spec->remove_extra_whitespaces,
                           .escape_whitespaces = spec->escape_whitespaces,
                           .whitespace_suffix = whitespace_suffix};
    T0_TRY(t0_charsmap_read(&out->map, spec->charsmap, spec->charsmap_offset, err));
    out->common_kinds = true;
    for (int c = 0; c < 256; c++) {
        out->kind[c] = (uint8_t)kind_of(out, (uint8_t)c);
        out->common_kinds &= (out->kind[c] == T0_BYTE_PLAIN) == (c > ' ' && c <= '~');
    }
    out->by_words = spec->add_dummy_prefix && spec->remove_extra_whitespaces && spec->escape_whitespaces && !whitespace_suffix &&
                    !user->nodes && !results_blur_words(out->map.results) && results_are_short(out->map.results);
    return T0_OK;
}

void t0_normalizer_free(t0_normalizer *normalizer) {
    t0_charsmap_free(&normalizer->map);
    *normalizer = (t0_normalizer){0};
}
