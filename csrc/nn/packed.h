/* Weight matrices packed for inference: one panel layout for every number type and kernel set.
 *
 *     W[out, in] (the hub's: y = x W^T)  ->  panels [ceil(out / 32)][K][32][g] of elements,  K = ceil(in / g)
 *
 *               panel p, o = 32 p: 32 rows of W, each a column of words                     row n of x
 *     k = 0     | w[o, 0..g)  | w[o+1, 0..g)  | ...                 | w[o+31, 0..g)  |      | x[n, 0..g)  |
 *     k = 1     | w[o, g..2g) | w[o+1, g..2g) | ...    128 bytes    | w[o+31, g..2g) |      | x[n, g..2g) |
 *       :       |      :      |       :       |                     |       :        |      |      :      |
 *     K - 1     | w[o, ..in)  | w[o+1, ..in)  | ...                 | w[o+31, ..in)  |      | x[n, ..in)  |
 *
 *     a word    bits 31 .. 0, the lowest first in memory
 *     float32   |               w[o,k]                |   g = 1
 *     bfloat16  |     w[o,2k+1]     |     w[o,2k]     |   g = 2
 *     int8      |w[o,4k+3]|w[o,4k+2]|w[o,4k+1]|w[o,4k]|   g = 4
 *
 * so that a step of any product is "32 words of 4 bytes times one word of x": one loop, one instruction changed. Rows and
 * columns beyond the matrix are zeros. int8 is symmetric: row o holds round(w * 127 / max|w|) and scale[o] = max|w| / 127;
 * sum[o] is the sum of its integers, which kernels with unsigned activations take off again. A row that holds what is not
 * finite gets scale NaN, so that it cannot pass for a number.
 *
 * A table is the other form: rows end to end, for looking embeddings up. The layout is a file's too (little-endian words). */
#ifndef T0_NN_PACKED_H
#define T0_NN_PACKED_H

#include "base/status.h"

typedef enum t0_dtype { T0_FLOAT32, T0_BFLOAT16, T0_INT8, T0_FLOAT16 } t0_dtype; /* T0_FLOAT16: of sources only */

enum { T0_PANEL = 32, T0_INT8_DEPTH = 1 << 16 /* most columns for which int32 sums of int8 products cannot overflow */ };

typedef struct t0_packed {
    t0_dtype dtype;
    bool is_table;
    size_t out, in;
    uint32_t *words; /* panels or rows, borrowed */
    float *scale;    /* int8: [ceil32(out)], behind the panels */
    int32_t *sum;    /* int8: [ceil32(out)] */
} t0_packed;

/* Where tensor rows go in a matrix: row r of the tensor is row first + r of the matrix, or with `step` 2 of every second
 * panel, `first` being 0 or 1: wi_0 and wi_1 take turns, so that a gate's two factors lie side by side. */
typedef struct t0_packed_place {
    size_t first, step;
} t0_packed_place;

static inline size_t t0_packed_group(t0_dtype dtype) { return dtype == T0_INT8 ? 4 : dtype == T0_BFLOAT16 ? 2 : 1; }
static inline size_t t0_packed_groups(const t0_packed *w) { return t0_size_units(w->in, t0_packed_group(w->dtype)); }
static inline size_t t0_packed_panels(const t0_packed *w) { return t0_size_units(w->out, T0_PANEL); }
static inline const uint32_t *t0_packed_panel(const t0_packed *w, size_t j) { return w->words + j * t0_packed_groups(w) * T0_PANEL; }

/* Bytes of a matrix with everything that belongs to it, a multiple of 64. dtype, is_table, out and in are set. */
size_t t0_packed_bytes(const t0_packed *w);
void t0_packed_at(t0_packed *w, uint8_t *memory); /* memory: 64-aligned, that many bytes, zeros before the first put */

/* Converts n rows of a tensor, [n, in] of the type `from`, from its row `first_row` on. Returns the index in src of the
 * first element that is not finite, or SIZE_MAX. */
size_t t0_packed_put(t0_packed *w, t0_packed_place place, size_t first_row, size_t n, const void *src, t0_dtype from);
/* row[in] = row `r` of the tensor as floats. */
void t0_packed_get(float *row, const t0_packed *w, t0_packed_place place, size_t r);

/* y[i] = x[i] as a float, x of type float32, float16 or bfloat16; returns the first that is not finite, or n. */
size_t t0_widen(float *y, const void *x, t0_dtype from, size_t n);
/* The nearest bfloat16, ties to even; NaN stays NaN. */
uint16_t t0_to_bfloat16(float x);
static inline float t0_from_bfloat16(uint16_t x) {
    union {
        uint32_t bits;
        float value;
    } u = {(uint32_t)x << 16};
    return u.value;
}

#endif
