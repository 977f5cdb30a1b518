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

#include <string.h>

enum {
    DEPTH = 768,
    PAIRS = DEPTH / 2,          /* words of a row */
    ROW = T0_HALF_ROW,
    COLUMNS = 256,
    GROUP = 96,                 /* rows that are turned together */
    TURNED = T0_PANEL,          /* words of depth that a turned A is copied by */
    SIDE = T0_PANEL * ROW       /* room for what is being turned: 32 rows of words, or twice [TURNED][GROUP] */
};
_Static_assert(PAIRS * COLUMNS + SIDE + T0_GEMM_TILE * T0_PANEL <= T0_GEMM_SCRATCH, "a worker's scratch holds a block");
_Static_assert(PAIRS <= ROW && 2 * TURNED * GROUP <= SIDE, "rows and what is turned find room");

typedef struct block {
    const t0_kernels *kernels;
    uint32_t *panels, *rows, *side; /* [COLUMNS / 32][PAIRS][32]; [T0_HALF_ROWS][ROW]; [SIDE] */
    float *tile;                    /* [T0_GEMM_TILE][32] */
    size_t k, pairs;
} block;

static block place(t0_exec *exec, size_t worker, size_t k) {
    float *scratch = t0_exec_scratch(exec, worker);
    block b = {.kernels = t0_exec_kernels(exec), .rows = t0_exec_halves(exec, worker), .k = k, .pairs = (k + 1) / 2};
    b.panels = (uint32_t *)(void *)scratch;
    b.side = b.panels + PAIRS * COLUMNS;
    b.tile = scratch + PAIRS * COLUMNS + SIDE;
    return b;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* A row of words from k floats that lie in a row. */
static void take_row(const block *b, uint32_t *words, const float *x) {
    uint16_t *halves = (uint16_t *)(void *)words;
    b->kernels->dense->to_bfloat16(halves, x, b->k);
    if (b->k % 2) halves[b->k] = 0;
}

/* Any strides: one word. */
static uint32_t word_of(const float *x, size_t step, size_t k, size_t pair) {
    const uint32_t low = t0_to_bfloat16(x[2 * pair * step]);
    return 2 * pair + 1 < k ? low | (uint32_t)t0_to_bfloat16(x[(2 * pair + 1) * step]) << 16 : low;
}

/* One panel, `width` columns of it used. */
static void pack_panel(const block *b, uint32_t *panel, t0_operand from, size_t width) {
    const t0_dense_kernels *dense = b->kernels->dense;
    if (from.row == 1 && b->kernels->nr == T0_PANEL) {
        for (size_t j = 0; j < width; j++) take_row(b, b->side + j * ROW, from.data + j * from.column);
        b->kernels->pack_transposed((float *)(void *)panel, (const float *)(const void *)b->side, ROW, b->pairs, width);
        return;
    }
    for (size_t pair = 0; pair < b->pairs; pair++, panel += T0_PANEL) {
        const float *low = from.data + 2 * pair * from.row;
        if (from.column == 1)
            dense->pair_bfloat16(panel, low, 2 * pair + 1 < b->k ? low + from.row : NULL, width);
        else
            for (size_t j = 0; j < width; j++) panel[j] = word_of(from.data + j * from.column, from.row, b->k, pair);
        memset(panel + width, 0, (T0_PANEL - width) * sizeof *panel);
    }
}

/* At most GROUP rows of A whose elements lie far apart, one row's beside the next's: pairs of depth, turned 32 words at a time. */
static void take_turned(const block *b, uint32_t *rows, t0_operand a, size_t m) {
    uint32_t *pairs = b->side, *turned = pairs + TURNED * GROUP;
    for (size_t first = 0; first < b->pairs; first += TURNED) {
        const size_t n = least(b->pairs - first, TURNED);
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
            take_turned(b, b->rows + i * ROW, (t0_operand){a.data + i, 1, a.column}, least(m - i, GROUP));
        return;
    }
    for (size_t i = 0; i < m; i++) {
        if (a.column == 1)
            take_row(b, b->rows + i * ROW, a.data + i * a.row);
        else
            for (size_t pair = 0; pair < b->pairs; pair++) b->rows[i * ROW + pair] = word_of(a.data + i * a.row, a.column, b->k, pair);
    }
}

/* c[m, n] (+)= the rows taken times the panels. */
static void run_tiles(const block *b, float *c, size_t c_stride, size_t m, size_t n, bool add) {
    const size_t most = least(b->kernels->dense->rows_bfloat16, T0_GEMM_TILE), tiles = (m + most - 1) / most;
    for (size_t t = 0; t < tiles; t++) {
        const t0_range rows = t0_range_of(m, tiles, t);
        const uint16_t *a = (const uint16_t *)(const void *)(b->rows + rows.begin * ROW);
        for (size_t j = 0; j < n; j += T0_PANEL) {
            const size_t width = least(n - j, T0_PANEL);
            b->kernels->dense->tile_bfloat16(b->tile, a, 2 * ROW, b->panels + j * b->pairs, b->pairs, rows.end - rows.begin);
            for (size_t i = rows.begin; i < rows.end; i++) {
                float *to = c + i * c_stride + j;
                const float *from = b->tile + (i - rows.begin) * T0_PANEL;
                if (!add)
                    memcpy(to, from, width * sizeof *to);
                else
                    b->kernels->axpy(to, 1.0f, from, width);
            }
        }
    }
}

/* Rows taken already times columns j .. of B, block by block. */
static void run_columns(t0_exec *exec, size_t worker, const block *at, float *c, size_t c_stride, t0_operand b, size_t m, size_t n, bool add) {
    for (size_t j = 0; j < n && !t0_exec_stops(exec, worker); j += COLUMNS) {
        const size_t width = least(n - j, COLUMNS);
        for (size_t e = 0; e < width; e += T0_PANEL) {
            const t0_operand from = {b.data + (j + e) * b.column, b.row, b.column};
            pack_panel(at, at->panels + e * at->pairs, from, least(width - e, T0_PANEL));
        }
        run_tiles(at, c + j, c_stride, m, width, add);
    }
}

void t0_gemm_bfloat16(t0_exec *exec, size_t worker, float *c, size_t c_stride, t0_operand a, t0_operand b, size_t m, size_t n, size_t k, bool add) {
    const size_t blocks = (k + DEPTH - 1) / DEPTH;
    for (size_t i = 0; i < blocks; i++) {
        const t0_range depth = t0_range_of(k, blocks, i);
        const block at = place(exec, worker, depth.end - depth.begin);
        const t0_operand columns = {b.data + depth.begin * b.row, b.row, b.column};
        for (size_t r = 0; r < m; r += T0_HALF_ROWS) {
            const size_t rows = least(m - r, T0_HALF_ROWS);
            take_rows(&at, (t0_operand){a.data + r * a.row + depth.begin * a.column, a.row, a.column}, rows);
            run_columns(exec, worker, &at, c + r * c_stride, c_stride, columns, rows, n, add || i > 0);
        }
    }
}
