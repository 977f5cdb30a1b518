/* The same products with both operands rounded to bfloat16 and sums in float32, for sets that multiply bfloat16:
 *
 *     C[i,j] (+)= sum_k bf16(A[i,k]) bf16(B[k,j]),   in blocks of <= 768 of k, each summed in order
 *
 *     for each block of <= 768 of k
 *       for each <= 1024 rows                A as bfloat16s, [rows][k] with a gap behind each row
 *         for each block of <= 256 columns   B as panels [k / 2][32] of words, two bfloat16s of one column in a word
 *           for each tile of rows, each panel: nn/kernels.h's tile
 *
 * An odd k is filled up with a zero. Operands are rounded as they are copied; master weights and results stay floats. */
#include "nn/gemm.h"
#include "nn/packed.h"

#include <assert.h>
#include <string.h>

enum {
    DEPTH = 768,
    PAIRS = DEPTH / 2,          /* words of a row */
    ROW = T0_HALF_ROW,
    COLUMNS = 256,
    GROUP = 192,                /* rows that are turned together */
    TURNED = T0_PANEL,          /* words of depth that a turned A is copied by */
    EARLY = 4,                  /* pairs of rows before theirs */
    LINE = 16,                  /* floats of a cache line */
    SIDE = T0_PANEL * ROW       /* room for what is being turned: 32 rows of words, or twice [TURNED][GROUP] */
};
_Static_assert(SIDE + PAIRS * COLUMNS + T0_GEMM_TILE * T0_PANEL <= T0_GEMM_SCRATCH, "a worker's scratch holds a block");
_Static_assert(PAIRS <= ROW && 2 * TURNED * GROUP <= SIDE, "rows and what is turned find room");

typedef struct block {
    const t0_kernels *kernels;
    uint32_t *panels, *rows, *side; /* [COLUMNS / 32][PAIRS][32]; [T0_HALF_ROWS][ROW]; [SIDE] */
    float *tile;                    /* [T0_GEMM_TILE][32] */
    size_t k, pairs;
} block;

static block place(t0_exec *exec, size_t worker, size_t k) {
    assert(k <= DEPTH);
    float *scratch = t0_exec_scratch(exec, worker);
    block b = {.kernels = t0_exec_kernels(exec), .rows = t0_exec_halves(exec, worker), .k = k, .pairs = t0_size_units(k, 2)};
    b.panels = (uint32_t *)(void *)scratch;
    b.side = b.panels + PAIRS * COLUMNS;
    b.tile = scratch + PAIRS * COLUMNS + SIDE;
    return b;
}

/* Asks the memory for n floats before their turn. */
static void fetch(const float *x, size_t n) {
    for (size_t i = 0; i < n; i += LINE) __builtin_prefetch(x + i, 0, 2);
}

/* A row of words from k floats that lie in a row. */
static void take_row(const block *b, uint32_t *words, const float *x) {
    uint16_t *halves = (uint16_t *)(void *)words;
    b->kernels->dense->to_bfloat16(halves, x, b->k);
    if (b->k % 2) halves[b->k] = 0;
}

/* Any strides: one word, of the first two of k floats that lie `step` apart. */
static uint32_t word_of(const float *x, size_t step, size_t k) {
    const uint32_t low = t0_to_bfloat16(x[0]);
    return k > 1 ? low | (uint32_t)t0_to_bfloat16(x[step]) << 16 : low;
}

/* The block's panels from columns that lie in rows of memory: `width` floats of a row at a time, which memory gives faster than
 * panels one by one. */
static void pack_rows(const block *b, t0_operand from, size_t width) {
    for (size_t pair = 0; pair < b->pairs; pair++) {
        const float *low = from.data + 2 * pair * from.row, *high = 2 * pair + 1 < b->k ? low + from.row : NULL;
        for (size_t row = 2 * (pair + EARLY); row < 2 * (pair + EARLY + 1) && row < b->k; row++) fetch(from.data + row * from.row, width);
        for (size_t j = 0; j < width; j += T0_PANEL) {
            uint32_t *to = b->panels + j * b->pairs + pair * T0_PANEL;
            const size_t n = t0_size_min(width - j, T0_PANEL);
            b->kernels->dense->pair_bfloat16(to, low + j, high ? high + j : NULL, n);
            memset(to + n, 0, (T0_PANEL - n) * sizeof *to);
        }
    }
}

/* One panel of columns that lie in columns, or anyhow; `width` of them used. */
static void pack_panel(const block *b, uint32_t *panel, t0_operand from, size_t width) {
    if (from.row == 1 && b->kernels->nr == T0_PANEL) {
        for (size_t j = 0; j < width; j++) take_row(b, b->side + j * ROW, from.data + j * from.column);
        b->kernels->pack_transposed((float *)(void *)panel, (const float *)(const void *)b->side, ROW, b->pairs, width);
        return;
    }
    for (size_t pair = 0; pair < b->pairs; pair++, panel += T0_PANEL) {
        for (size_t j = 0; j < width; j++) panel[j] = word_of(from.data + j * from.column + 2 * pair * from.row, from.row, b->k - 2 * pair);
        memset(panel + width, 0, (T0_PANEL - width) * sizeof *panel);
    }
}

static void pack_columns(const block *b, t0_operand from, size_t width) {
    if (from.column == 1) pack_rows(b, from, width);
    else
        for (size_t j = 0; j < width; j += T0_PANEL) {
            const t0_operand columns = {from.data + j * from.column, from.row, from.column};
            pack_panel(b, b->panels + j * b->pairs, columns, t0_size_min(width - j, T0_PANEL));
        }
}

/* At most GROUP rows of A whose elements lie far apart, one row's beside the next's: pairs of depth, turned 32 words at a time. */
static void take_turned(const block *b, uint32_t *rows, t0_operand a, size_t m) {
    uint32_t *pairs = b->side, *turned = pairs + TURNED * GROUP;
    for (size_t first = 0; first < b->pairs; first += TURNED) {
        const size_t n = t0_size_min(b->pairs - first, TURNED);
        for (size_t pair = 0; pair < n; pair++) {
            const size_t k = 2 * (first + pair);
            const float *low = a.data + k * a.column;
            b->kernels->dense->pair_bfloat16(pairs + pair * GROUP, low, k + 1 < b->k ? low + a.column : NULL, m);
        }
        b->kernels->pack_transposed((float *)(void *)turned, (const float *)(const void *)pairs, GROUP, m, n);
        for (size_t i = 0; i < m; i++) memcpy(rows + i * ROW + first, turned + i * T0_PANEL, n * sizeof *turned);
    }
}

static void take_rows(const block *b, t0_operand a, size_t m) {
    if (a.row == 1 && a.column != 1 && b->kernels->nr == T0_PANEL) {
        for (size_t i = 0; i < m; i += GROUP)
            take_turned(b, b->rows + i * ROW, (t0_operand){a.data + i, 1, a.column}, t0_size_min(m - i, GROUP));
        return;
    }
    for (size_t i = 0; i < m; i++) {
        const float *row = a.data + i * a.row;
        if (a.column == 1) take_row(b, b->rows + i * ROW, row);
        else
            for (size_t pair = 0; pair < b->pairs; pair++)
                b->rows[i * ROW + pair] = word_of(row + 2 * pair * a.column, a.column, b->k - 2 * pair);
    }
}

/* c[m, n] (+)= the rows taken times the panels. */
static void run_tiles(const block *b, float *c, size_t c_stride, size_t m, size_t n, bool add) {
    const size_t most = t0_size_min(b->kernels->dense->rows_bfloat16, T0_GEMM_TILE), tiles = t0_size_units(m, most);
    for (size_t t = 0; t < tiles; t++) {
        const t0_range rows = t0_range_of(m, tiles, t);
        const uint16_t *a = (const uint16_t *)(const void *)(b->rows + rows.begin * ROW);
        for (size_t j = 0; j < n; j += T0_PANEL) {
            const size_t width = t0_size_min(n - j, T0_PANEL);
            for (size_t i = rows.begin; i < rows.end; i++) fetch(c + i * c_stride + j, width);
            b->kernels->dense->tile_bfloat16(b->tile, a, 2 * ROW, b->panels + j * b->pairs, b->pairs, rows.end - rows.begin);
            for (size_t i = rows.begin; i < rows.end; i++) {
                float *to = c + i * c_stride + j;
                const float *from = b->tile + (i - rows.begin) * T0_PANEL;
                if (!add) memcpy(to, from, width * sizeof *to);
                else b->kernels->axpy(to, 1.0f, from, width);
            }
        }
    }
}

/* Rows taken already times columns j .. of B, block by block. */
static void run_columns(t0_exec *exec, size_t worker, const block *at, float *c, size_t c_stride, t0_operand b, size_t m, size_t n,
                        bool add) {
    for (size_t j = 0; j < n && !t0_exec_stops(exec, worker); j += COLUMNS) {
        const size_t width = t0_size_min(n - j, COLUMNS);
        pack_columns(at, (t0_operand){b.data + j * b.column, b.row, b.column}, width);
        run_tiles(at, c + j, c_stride, m, width, add);
    }
}

void t0_gemm_bfloat16(t0_exec *exec, size_t worker, float *c, size_t c_stride, t0_operand a, t0_operand b, size_t m, size_t n, size_t k,
                      bool add) {
    const size_t blocks = t0_size_units(k, DEPTH);
    assert(k >= 1 && t0_exec_halves(exec, worker) && t0_exec_kernels(exec)->dense->tile_bfloat16);
    for (size_t i = 0; i < blocks; i++) {
        const t0_range depth = t0_range_of(k, blocks, i);
        const block at = place(exec, worker, depth.end - depth.begin);
        const t0_operand columns = {b.data + depth.begin * b.row, b.row, b.column};
        for (size_t r = 0; r < m; r += T0_HALF_ROWS) {
            const size_t rows = t0_size_min(m - r, T0_HALF_ROWS);
            take_rows(&at, (t0_operand){a.data + r * a.row + depth.begin * a.column, a.row, a.column}, rows);
            run_columns(exec, worker, &at, c + r * c_stride, c_stride, columns, rows, n, add || i > 0);
        }
    }
}
