/* Adafactor (Shazeer & Stern 2018); the rule stands in nn/optimizer.h.
 *
 * Factored state: r[rows], c[columns]. With R_i = 1 / sqrt(r_i / mean r), C_j = 1 / sqrt(c_j):  u_ij = g_ij R_i C_j.
 * Passes over the tensor: sums of squares of rows and of columns; sum of u^2 and of w^2; the update. Sums are in double,
 * over a fixed number of parts whose totals are added in order. */
#include "nn/optimizer.h"

#include "nn/vectors.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { PARTS = 64, COLUMNS = 4096 /* at a time: rows are read in long runs */, RUN = 512 /* kept in the first cache */ };
enum { WATCHED_ROWS = 256 /* summed between two questions whether to stop */ };

typedef struct adafactor {
    t0_exec *exec;
    const t0_kernels *kernels;
    float *w, *row, *column, *v;
    const float *g;
    size_t rows, columns, n, parts, width; /* width: columns of a task that sums columns */
    float b, epsilon1, factor;
    double mean_row;
    double sum_w[PARTS], sum_u[PARTS];
} adafactor;

static bool is_factored(const t0_adafactor *s, size_t rows, size_t columns) {
    return rows >= s->min_factored && columns >= s->min_factored;
}

size_t t0_adafactor_state_size(const t0_adafactor *s, size_t rows, size_t columns) {
    return is_factored(s, rows, columns) ? rows + columns : rows * columns;
}

static void update_rows(void *context, size_t index, size_t worker) {
    adafactor *s = context;
    if (t0_exec_stops(s->exec, worker)) return;
    const t0_range rows = t0_range_of(s->rows, s->parts, index);
    for (size_t i = rows.begin; i < rows.end; i++) {
        const double mean = s->kernels->sum_squares_double(s->g + i * s->columns, s->columns) / (double)s->columns + s->epsilon1;
        s->row[i] = s->b * s->row[i] + (1.0f - s->b) * (float)mean;
    }
}

static void update_columns(void *context, size_t index, size_t worker) {
    adafactor *s = context;
    const size_t begin = index * s->width, n = s->columns - begin < s->width ? s->columns - begin : s->width;
    double sum[COLUMNS];
    for (size_t j = 0; j < n; j++) sum[j] = 0.0;
    for (size_t i = 0; i < s->rows; i++) {
        if (i % WATCHED_ROWS == 0 && t0_exec_stops(s->exec, worker)) return;
        s->kernels->add_squares(sum, s->g + i * s->columns + begin, n);
    }
    for (size_t j = 0; j < n; j++) {
        const double mean = sum[j] / (double)s->rows + s->epsilon1;
        s->column[begin + j] = s->b * s->column[begin + j] + (1.0f - s->b) * (float)mean;
    }
}

/* 1 / sqrt of a run of at most COLUMNS column moments. */
static void invert_columns(float *out, const float *column, size_t n) {
    for (size_t j = 0; j < n; j++) out[j] = 1.0f / sqrtf(column[j]);
}

static float row_factor(const adafactor *s, size_t i) { return 1.0f / sqrtf((float)(s->row[i] / s->mean_row)); }

/* u of a run of row i: columns begin + j on, of the n from begin on that `inverse` is of. Returns how many. */
static size_t take_run(float *u, const adafactor *s, const float *inverse, size_t i, size_t begin, size_t j, size_t n) {
    const size_t run = n - j < RUN ? n - j : RUN;
    s->kernels->scale_mul(u, s->g + i * s->columns + begin + j, inverse + j, row_factor(s, i), run);
    return run;
}

/* Factored: sums of u^2 and w^2 of some rows. */
static void measure_rows(void *context, size_t index, size_t worker) {
    adafactor *s = context;
    if (t0_exec_stops(s->exec, worker)) return;
    const t0_range rows = t0_range_of(s->rows, s->parts, index);
    double sum_u = 0.0, sum_w = 0.0;
    float inverse[COLUMNS], u[RUN];
    for (size_t begin = 0; begin < s->columns; begin += COLUMNS) {
        const size_t n = s->columns - begin < COLUMNS ? s->columns - begin : COLUMNS;
        invert_columns(inverse, s->column + begin, n);
        for (size_t i = rows.begin; i < rows.end; i++) {
            const float *w = s->w + i * s->columns + begin;
            for (size_t j = 0; j < n; j += RUN) {
                const size_t run = take_run(u, s, inverse, i, begin, j, n);
                sum_u += s->kernels->sum_squares_double(u, run);
                sum_w += s->kernels->sum_squares_double(w + j, run);
            }
        }
    }
    s->sum_u[index] = sum_u;
    s->sum_w[index] = sum_w;
}

static void apply_rows(void *context, size_t index, size_t worker) {
    adafactor *s = context;
    if (t0_exec_stops(s->exec, worker)) return;
    const t0_range rows = t0_range_of(s->rows, s->parts, index);
    float inverse[COLUMNS], u[RUN];
    for (size_t begin = 0; begin < s->columns; begin += COLUMNS) {
        const size_t n = s->columns - begin < COLUMNS ? s->columns - begin : COLUMNS;
        invert_columns(inverse, s->column + begin, n);
        for (size_t i = rows.begin; i < rows.end; i++) {
            float *w = s->w + i * s->columns + begin;
            for (size_t j = 0; j < n; j += RUN) {
                const size_t run = take_run(u, s, inverse, i, begin, j, n);
                s->kernels->axpy(w + j, -s->factor, u, run);
            }
        }
    }
}

/* Not factored: the moments, and sums of u^2 and w^2 of a run of elements. */
static void update_elements(void *context, size_t index, size_t worker) {
    adafactor *s = context;
    if (t0_exec_stops(s->exec, worker)) return;
    const t0_range part = t0_range_of(s->n, s->parts, index);
    const size_t n = part.end - part.begin;
    s->sum_u[index] = s->kernels->adafactor_moment(s->v + part.begin, s->g + part.begin, n, s->b, s->epsilon1);
    s->sum_w[index] = s->kernels->sum_squares_double(s->w + part.begin, n);
}

static void apply_elements(void *context, size_t index, size_t worker) {
    adafactor *s = context;
    if (t0_exec_stops(s->exec, worker)) return;
    const t0_range part = t0_range_of(s->n, s->parts, index);
    s->kernels->adafactor_apply(s->w + part.begin, s->v + part.begin, s->g + part.begin, part.end - part.begin, s->factor);
}

/* lr max(epsilon2, rms w) / max(1, rms u / clip), from the sums of the parts. */
static float step_factor(const adafactor *a, const t0_adafactor *s) {
    double sum_u = 0.0, sum_w = 0.0;
    for (size_t i = 0; i < a->parts; i++) {
        sum_u += a->sum_u[i];
        sum_w += a->sum_w[i];
    }
    const double rms_u = sqrt(sum_u / (double)a->n), rms_w = sqrt(sum_w / (double)a->n);
    const double scale = s->scale_parameter ? fmax(s->epsilon2, rms_w) : 1.0;
    return (float)(s->learning_rate * scale / fmax(1.0, rms_u / s->clip));
}

void t0_adafactor_step(t0_exec *exec, const t0_adafactor *s, float *w, float *state, const float *g, size_t rows, size_t columns,
                       uint64_t step) {
    const bool factored = is_factored(s, rows, columns);
    adafactor a = {.exec = exec, .kernels = t0_exec_kernels(exec), .w = w, .g = g, .rows = rows, .columns = columns, .n = rows * columns};
    assert(step >= 1);
    if (a.n == 0) return;
    a.b = (float)(1.0 - pow((double)step, -(double)s->decay));
    a.epsilon1 = s->epsilon1;
    const size_t items = factored ? rows : a.n;
    a.parts = items < PARTS ? items : PARTS;
    if (factored) {
        a.row = state;
        a.column = state + rows;
        t0_exec_run(exec, update_rows, &a, a.parts);
        a.width = t0_size_units(columns, t0_exec_threads(exec));
        if (a.width > COLUMNS) a.width = COLUMNS;
        t0_exec_run(exec, update_columns, &a, t0_size_units(columns, a.width));
        a.mean_row = t0_mean(a.row, rows);
    } else {
        a.v = state;
    }
    t0_exec_run(exec, factored ? measure_rows : update_elements, &a, a.parts);
    a.factor = step_factor(&a, s);
    t0_exec_run(exec, factored ? apply_rows : apply_elements, &a, a.parts);
}
