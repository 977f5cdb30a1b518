/* Packing (see packed.h): tensor rows come in any order and number, are widened to float, encoded as words and laid in
 * their panel's columns. Up to 32 rows of one panel go together, 256 words at a time, so that panels are written in whole
 * cache lines. */
#include "nn/packed.h"

#include "nn/vectors.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { WORDS = 256, BLOCK = 16, ALIGN = 64 };

/* ---- number types --------------------------------------------------------------------------------------------------- */

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

uint16_t t0_to_bfloat16(float x) {
    const uint32_t bits = bits_of(x), quiet = bits | 0x400000, nearest = bits + 0x7fff + (bits >> 16 & 1);
    return (uint16_t)(((int32_t)(bits & 0x7fffffffu) > 0x7f800000 ? quiet : nearest) >> 16);
}

/* 5 bits of exponent become 8 by a multiplication with 2^112, which puts subnormals right too. */
static float from_float16(uint16_t x) {
    const uint32_t rest = (uint32_t)(x & 0x7fff) << 13, sign = (uint32_t)(x & 0x8000) << 16;
    if (rest >= 0x1f << 23) return float_of(sign | 0x7f800000u | rest);
    return float_of(sign | bits_of(float_of(rest) * 0x1p112f));
}

static void convert(float *y, const void *x, t0_dtype from, size_t n) {
    const uint16_t *half = x;
    if (from == T0_FLOAT32) memcpy(y, x, n * sizeof *y);
    else if (from == T0_BFLOAT16)
        for (size_t i = 0; i < n; i++) y[i] = t0_from_bfloat16(half[i]);
    else
        for (size_t i = 0; i < n; i++) y[i] = from_float16(half[i]);
}

size_t t0_widen(float *y, const void *x, t0_dtype from, size_t n) {
    convert(y, x, from, n);
    return t0_first_not_finite(y, n);
}

/* max|x|. Bit patterns of |x| are ordered as the numbers, and what is not finite stands above. */
static float largest_of(const void *x, t0_dtype from, size_t n) {
    if (from == T0_FLOAT32) {
        const float *values = x;
        int32_t most = 0;
        for (size_t i = 0; i < n; i++) {
            const int32_t size = (int32_t)(bits_of(values[i]) & 0x7fffffffu);
            most = size > most ? size : most;
        }
        return float_of((uint32_t)most);
    }
    const uint16_t *half = x;
    int16_t most = 0;
    for (size_t i = 0; i < n; i++) {
        const int16_t size = (int16_t)(half[i] & 0x7fff);
        most = size > most ? size : most;
    }
    return from == T0_BFLOAT16 ? t0_from_bfloat16((uint16_t)most) : from_float16((uint16_t)most);
}

static size_t element_size(t0_dtype dtype) { return dtype == T0_FLOAT32 ? 4 : dtype == T0_INT8 ? 1 : 2; }

/* ---- layout --------------------------------------------------------------------------------------------------------- */

static size_t body_bytes(const t0_packed *w) {
    if (w->is_table) return t0_size_round(w->out * w->in * element_size(w->dtype), ALIGN);
    return t0_packed_panels(w) * t0_packed_groups(w) * T0_PANEL * sizeof(uint32_t);
}

size_t t0_packed_bytes(const t0_packed *w) {
    const size_t rows = w->dtype == T0_INT8 ? t0_packed_panels(w) * T0_PANEL : 0;
    return body_bytes(w) + rows * (sizeof *w->scale + sizeof *w->sum);
}

void t0_packed_at(t0_packed *w, uint8_t *memory) {
    uint8_t *behind = memory + body_bytes(w);
    assert((uintptr_t)memory % ALIGN == 0 && w->dtype != T0_FLOAT16 && (!w->is_table || w->dtype != T0_INT8));
    w->words = (uint32_t *)(void *)memory;
    if (w->dtype != T0_INT8) return;
    w->scale = (float *)(void *)behind;
    w->sum = (int32_t *)(void *)(behind + t0_packed_panels(w) * T0_PANEL * sizeof *w->scale);
}

/* The matrix row of tensor row r. */
static size_t row_of(t0_packed_place place, size_t r) {
    assert(place.step < 2 || (place.step == 2 && place.first < 2));
    if (place.step < 2) return place.first + r;
    return (r / T0_PANEL * place.step + place.first) * T0_PANEL + r % T0_PANEL;
}

/* ---- rows in -------------------------------------------------------------------------------------------------------- */

/* Some consecutive rows of one panel: row r's elements at src + r * in, its column in the panel at column + r. */
typedef struct row_run {
    t0_packed *w;
    uint32_t *panel;
    size_t row, column, n;
    const uint8_t *src;
    t0_dtype from;
    float factor[T0_PANEL]; /* int8: 127 / max|w| */
    size_t bad;             /* first element that is not finite */
} row_run;

static const uint8_t *element(const row_run *run, size_t r, size_t i) { return run->src + (r * run->w->in + i) * element_size(run->from); }

/* Notes the first of row r's n elements from i on, x, that is not finite. Of int8 rows the scale has told. */
static void note_bad(row_run *run, size_t r, size_t i, const float *x, size_t n) {
    if (run->w->dtype == T0_INT8 && !isnan(run->w->scale[run->row + r])) return;
    const size_t bad = t0_first_not_finite(x, n), at = r * run->w->in + i + bad;
    if (bad < n && at < run->bad) run->bad = at;
}

/* Scales of the run's rows. A row of subnormals is a row of zeros; one that is not finite has the scale NaN and zeros. */
static void measure(row_run *run) {
    for (size_t r = 0; r < run->n; r++) {
        const float largest = largest_of(element(run, r, 0), run->from, run->w->in), factor = 127.0f / largest;
        const bool usable = t0_is_finite(largest) && largest > 0.0f && t0_is_finite(factor);
        run->factor[r] = usable ? factor : 0.0f;
        run->w->scale[run->row + r] = !t0_is_finite(largest) ? NAN : usable ? largest / 127.0f : 0.0f;
        run->w->sum[run->row + r] = 0;
    }
}

/* Four integers a word: the nearest to x factor, ties to even, as the sum with 1.5 * 2^23 leaves it in the low bits; what is not
 * finite has factor 0 and gives 0. Returns their sum. Written for compilers that make vector code of it. */
static int32_t quantise(uint32_t *words, const float *x, size_t n, float factor) {
    int32_t q[WORDS * 4 + 3], sum = 0;
    for (size_t i = 0; i < n; i++) q[i] = factor > 0.0f ? (int32_t)bits_of(x[i] * factor + 0x1.8p23f) - 0x4b400000 : 0;
    for (size_t i = 0; i < n; i++) sum += q[i];
    for (size_t i = n; i < n + 3; i++) q[i] = 0;
    for (size_t k = 0; k < t0_size_units(n, 4); k++) {
        const int32_t *e = q + 4 * k;
        words[k] = ((uint32_t)e[0] & 0xff) | ((uint32_t)e[1] & 0xff) << 8 | ((uint32_t)e[2] & 0xff) << 16 | (uint32_t)e[3] << 24;
    }
    return sum;
}

/* Words of n elements (the last filled up with zeros). */
static void encode(row_run *run, uint32_t *words, const float *x, size_t n, size_t r) {
    if (run->w->dtype == T0_FLOAT32) {
        memcpy(words, x, n * sizeof *words);
    } else if (run->w->dtype == T0_BFLOAT16) {
        for (size_t k = 0; k < n / 2; k++) words[k] = t0_to_bfloat16(x[2 * k]) | (uint32_t)t0_to_bfloat16(x[2 * k + 1]) << 16;
        if (n % 2) words[n / 2] = t0_to_bfloat16(x[n - 1]);
    } else {
        run->w->sum[run->row + r] += quantise(words, x, n, run->factor[r]);
    }
}

static void put_run(row_run *run) {
    uint32_t words[T0_PANEL][WORDS + ALIGN / 4]; /* rows that begin in different sets of the cache */
    float x[WORDS * 4];
    const size_t group = t0_packed_group(run->w->dtype);
    if (run->w->dtype == T0_INT8) measure(run);
    for (size_t i = 0; i < run->w->in; i += WORDS * group) {
        const size_t n = run->w->in - i < WORDS * group ? run->w->in - i : WORDS * group;
        for (size_t r = 0; r < run->n; r++) {
            convert(x, element(run, r, i), run->from, n);
            note_bad(run, r, i, x, n);
            encode(run, words[r], x, n, r);
        }
        const size_t n_words = t0_size_units(n, group);
        uint32_t *to = run->panel + i / group * T0_PANEL + run->column;
        for (size_t first = 0; first < n_words; first += BLOCK)
            for (size_t r = 0; r < run->n; r++)
                for (size_t k = first; k < n_words && k < first + BLOCK; k++) to[k * T0_PANEL + r] = words[r][k];
    }
}

/* Rows of a table: no panels. */
static size_t put_table(t0_packed *w, size_t first_row, size_t n, const void *src, t0_dtype from) {
    const size_t count = n * w->in;
    assert(first_row + n <= w->out);
    size_t bad = SIZE_MAX;
    float x[WORDS];
    for (size_t i = 0; i < count; i += WORDS) {
        const size_t part = count - i < WORDS ? count - i : WORDS, at = first_row * w->in + i;
        const size_t found = t0_widen(x, (const uint8_t *)src + i * element_size(from), from, part);
        if (found < part && bad == SIZE_MAX) bad = i + found;
        if (w->dtype == T0_FLOAT32) {
            memcpy(w->words + at, x, part * sizeof *x);
        } else {
            uint16_t *to = (uint16_t *)(void *)w->words + at;
            for (size_t e = 0; e < part; e++) to[e] = t0_to_bfloat16(x[e]);
        }
    }
    return bad;
}

size_t t0_packed_put(t0_packed *w, t0_packed_place place, size_t first_row, size_t n, const void *src, t0_dtype from) {
    assert(from != T0_INT8);
    if (w->is_table) return put_table(w, first_row, n, src, from);
    size_t bad = SIZE_MAX;
    for (size_t r = 0; r < n;) {
        const size_t row = row_of(place, first_row + r), column = row % T0_PANEL;
        assert(row < w->out);
        row_run part = {.w = w, .row = row, .column = column, .from = from, .bad = SIZE_MAX};
        part.panel = w->words + row / T0_PANEL * t0_packed_groups(w) * T0_PANEL;
        part.n = n - r < T0_PANEL - column ? n - r : T0_PANEL - column;
        part.src = (const uint8_t *)src + r * w->in * element_size(from);
        put_run(&part);
        if (part.bad != SIZE_MAX && bad == SIZE_MAX) bad = r * w->in + part.bad;
        r += part.n;
    }
    return bad;
}

/* ---- rows out ------------------------------------------------------------------------------------------------------- */

void t0_packed_get(float *out, const t0_packed *w, t0_packed_place place, size_t r) {
    if (w->is_table) {
        const uint8_t *from = (const uint8_t *)w->words + r * w->in * element_size(w->dtype);
        convert(out, from, w->dtype, w->in);
        return;
    }
    const size_t row = row_of(place, r), group = t0_packed_group(w->dtype);
    const uint32_t *panel = t0_packed_panel(w, row / T0_PANEL) + row % T0_PANEL;
    for (size_t i = 0; i < w->in; i++) {
        const uint32_t word = panel[i / group * T0_PANEL];
        if (w->dtype == T0_FLOAT32) out[i] = float_of(word);
        else if (w->dtype == T0_BFLOAT16) out[i] = t0_from_bfloat16((uint16_t)(word >> i % 2 * 16));
        else out[i] = (float)(int8_t)(uint8_t)(word >> i % 4 * 8) * w->scale[row];
    }
}
