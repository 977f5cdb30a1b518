/* What `t0native bench` asks of the core: peaks and read bandwidth (nn/probe.h) and the rate of products (nn/product.h), by the
 * thread's own processor time, so that other work on the machine does not count. */
#include "py/py_options.h"

#include "nn/probe.h"
#include "nn/product.h"

#include <assert.h>
#include <time.h>

static double processor_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool seconds_valid(double seconds) {
    if (seconds > 0.0 && seconds <= 60.0) return true;
    PyErr_SetString(PyExc_ValueError, "seconds: must be above 0 and at most 60");
    return false;
}

/* Operations a second over `seconds` of processor time; a negative number when the poll stopped it. */
static double rate_of(const t0_probe_rate *probe, double seconds, const t0_poll *poll) {
    enum { ROUNDS = 1 << 14 }; /* some 30 us */
    volatile float sink = probe->run(ROUNDS); /* the clock of a core that was idle rises first */
    const double start = processor_seconds();
    double spent = 0.0;
    size_t calls = 0;
    for (; spent < seconds; spent = processor_seconds() - start, calls++) {
        sink = probe->run(ROUNDS);
        if (t0_poll_stops(poll)) return -1.0;
    }
    (void)sink;
    return (double)calls * ROUNDS * (double)probe->operations / spent;
}

PyDoc_STRVAR(probe_doc, "probe(dtype, kernels=None, seconds=0.05)\n--\n\n"
                        "Operations a second that one thread can do at most, 2 a multiplication with its addition, by its processor time.\n"
                        "dtype: 'float32', 'bfloat16' or 'int8'. None where the kernel set has no instruction of its own for it.");
static PyObject *probe(PyObject *module, PyObject *args, PyObject *kwargs) {
    (void)module;
    static char *names[] = {"dtype", "kernels", "seconds", NULL};
    const char *dtype_name, *kernels_name = NULL;
    double seconds = 0.05;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s|zd:probe", names, &dtype_name, &kernels_name, &seconds)) return NULL;
    const t0_kernels *kernels = t0py_kernels_named(kernels_name);
    t0_dtype dtype;
    if (!kernels || !seconds_valid(seconds) || !t0py_dtype_named(dtype_name, &dtype)) return NULL;
    const t0_probe *found = kernels->probe;
    const t0_probe_rate *chosen = dtype == T0_INT8 ? &found->int8 : dtype == T0_BFLOAT16 ? &found->bfloat16 : &found->float32;
    if (!chosen->run) Py_RETURN_NONE;
    t0py_interrupt interrupt;
    const t0_poll poll = t0py_poll(&interrupt);
    double rate;
    Py_BEGIN_ALLOW_THREADS
    rate = rate_of(chosen, seconds, &poll);
    Py_END_ALLOW_THREADS
    return rate < 0.0 ? NULL : PyFloat_FromDouble(rate);
}

/* The part of a buffer that probes read: 64-aligned, a multiple of 512 bytes. */
static t0_bytes whole_blocks(const Py_buffer *view) {
    enum { BLOCK = 512 };
    const uint8_t *data = view->buf;
    const size_t size = (size_t)view->len, skip = (T0_ALIGN - (uintptr_t)data % T0_ALIGN) % T0_ALIGN;
    return (t0_bytes){data + skip, size > skip ? (size - skip) / BLOCK * BLOCK : 0};
}

/* Bytes a second over whole passes of at least `seconds`; a negative number when the poll stopped it. */
static double read_rate(const t0_probe *found, t0_bytes block, double seconds, const t0_poll *poll) {
    enum { PIECE = 1 << 23 };
    assert((uintptr_t)block.data % T0_ALIGN == 0 && block.size > 0 && block.size % 512 == 0);
    volatile uint64_t sink = 0;
    const double start = processor_seconds();
    double spent = 0.0, bytes = 0.0;
    for (; spent < seconds; spent = processor_seconds() - start, bytes += (double)block.size) {
        for (size_t at = 0; at < block.size; at += PIECE) {
            sink = sink + found->read(block.data + at, block.size - at < PIECE ? block.size - at : PIECE);
            if (t0_poll_stops(poll)) return -1.0;
        }
    }
    (void)sink;
    return bytes / spent;
}

PyDoc_STRVAR(probe_read_doc, "probe_read(data, kernels=None, seconds=0.05)\n--\n\n"
                             "Bytes a second at which one thread reads a buffer from begin to end, over and over, by its processor time.\n"
                             "A buffer some times larger than the caches tells the memory's bandwidth.");
static PyObject *probe_read(PyObject *module, PyObject *args, PyObject *kwargs) {
    (void)module;
    static char *names[] = {"data", "kernels", "seconds", NULL};
    Py_buffer view;
    const char *kernels_name = NULL;
    double seconds = 0.05;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "y*|zd:probe_read", names, &view, &kernels_name, &seconds)) return NULL;
    const t0_kernels *kernels = t0py_kernels_named(kernels_name);
    const t0_bytes block = whole_blocks(&view);
    double rate = -1.0;
    if (kernels && block.size == 0) PyErr_Format(PyExc_ValueError, "data: %zd bytes, at least 1024 are needed", view.len);
    if (kernels && block.size > 0 && seconds_valid(seconds)) {
        t0py_interrupt interrupt;
        const t0_poll poll = t0py_poll(&interrupt);
        Py_BEGIN_ALLOW_THREADS
        rate = read_rate(kernels->probe, block, seconds, &poll);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&view);
    return rate < 0.0 ? NULL : PyFloat_FromDouble(rate);
}

/* ---- products ------------------------------------------------------------------------------------------------------- */

/* y[rows, out] = x[rows, in] W^T with everything it needs. */
typedef struct bench_product {
    t0_exec *exec;
    t0_packed weights;
    t0_rows rows;
    float *x, *y; /* [rows, in], [rows, out] */
    uint8_t *memory;
    float *row_memory;
} bench_product;

static void product_free(bench_product *p) {
    if (p->exec) t0_exec_free(p->exec);
    t0_unmap(p->memory, t0_packed_bytes(&p->weights));
    t0_free(p->row_memory);
    t0_free(p->x);
    t0_free(p->y);
}

/* Numbers from -1 to 1 that are no pattern to any kernel. */
static void fill(float *x, size_t n, uint32_t seed) {
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)seed * 0x1p-31f;
    }
}

static t0_status product_new(bench_product *p, const t0_kernels *kernels, t0_dtype dtype, size_t rows, size_t in, size_t out,
                             t0_error *err) {
    memset(p, 0, sizeof *p);
    T0_TRY(t0_exec_new(&p->exec, kernels, 1, false, err));
    p->weights = (t0_packed){.dtype = dtype, .out = out, .in = in};
    p->memory = t0_map_zero(t0_packed_bytes(&p->weights)); /* as a model's */
    const t0_dtype row_dtype = t0_rows_dtype(kernels, dtype);
    p->row_memory = t0_alloc(t0_rows_floats(row_dtype, rows, in) * sizeof(float));
    p->x = t0_alloc(rows * in * sizeof(float));
    p->y = t0_alloc(rows * out * sizeof(float));
    if (!p->memory || !p->row_memory || !p->x || !p->y) return t0_fail_memory(err, t0_packed_bytes(&p->weights));
    t0_packed_at(&p->weights, p->memory);
    for (size_t r = 0; r < out; r++) {
        fill(p->x, in, (uint32_t)r);
        t0_packed_put(&p->weights, (t0_packed_place){0, 1}, r, 1, p->x, T0_FLOAT32);
    }
    fill(p->x, rows * in, (uint32_t)out);
    p->rows = t0_rows_at(row_dtype, rows, in, p->row_memory);
    return T0_OK;
}

static t0_status product_rate(bench_product *p, double seconds, double *rate, const t0_poll *poll, t0_error *err) {
    t0_exec_watch(p->exec, poll);
    double start = 0.0, spent = 0.0;
    size_t calls = 0;
    for (bool warm = false; !warm || spent < seconds; warm = true) {
        if (warm && calls == 0) start = processor_seconds();
        t0_rows_fill(p->exec, &p->rows, p->x, p->rows.in);
        t0_product(p->exec, p->y, p->weights.out, p->weights.out, &p->rows, &p->weights, T0_STORE);
        const t0_status status = t0_exec_check(p->exec, err);
        if (status != T0_OK) return t0_exec_unwatch(p->exec, status, err);
        if (!warm) continue;
        calls++;
        spent = processor_seconds() - start;
    }
    *rate = 2.0 * (double)calls * (double)p->rows.n * (double)p->rows.in * (double)p->weights.out / spent;
    return t0_exec_unwatch(p->exec, T0_OK, err);
}

PyDoc_STRVAR(probe_product_doc,
             "probe_product(dtype, rows, inputs, outputs, kernels=None, seconds=0.05)\n--\n\n"
             "Operations a second, by its processor time, at which one thread multiplies `rows` rows of `inputs` floats by a packed\n"
             "matrix of a number type, bringing the rows into that type first. A matrix larger than the caches is read from memory.");
static PyObject *probe_product(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"dtype", "rows", "inputs", "outputs", "kernels", "seconds", NULL};
    enum { MOST = 1 << 20 };
    const char *dtype_name, *kernels_name = NULL;
    Py_ssize_t rows, in, out;
    double seconds = 0.05, rate = 0.0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "snnn|zd:probe_product", names, &dtype_name, &rows, &in, &out, &kernels_name, &seconds))
        return NULL;
    t0_dtype dtype;
    const t0_kernels *kernels = t0py_kernels_named(kernels_name);
    if (!kernels || !seconds_valid(seconds) || !t0py_dtype_named(dtype_name, &dtype)) return NULL;
    if (rows < 1 || in < 1 || out < 1 || rows > MOST || in > T0_INT8_DEPTH || out > MOST)
        return PyErr_Format(PyExc_ValueError, "rows %zd, inputs %zd, outputs %zd: from 1 to %d, %d, %d", rows, in, out, MOST, T0_INT8_DEPTH,
                            MOST);
    t0py_interrupt interrupt;
    const t0_poll poll = t0py_poll(&interrupt);
    bench_product product;
    t0_error err;
    t0_status status;
    Py_BEGIN_ALLOW_THREADS
    status = product_new(&product, kernels, dtype, (size_t)rows, (size_t)in, (size_t)out, &err);
    if (status == T0_OK) status = product_rate(&product, seconds, &rate, &poll, &err);
    product_free(&product);
    Py_END_ALLOW_THREADS
    return status == T0_OK ? PyFloat_FromDouble(rate) : t0py_raise(t0py_state_of(module), &err);
}

static PyMethodDef functions[] = {
    {"probe", T0PY_METHOD(probe), METH_VARARGS | METH_KEYWORDS, probe_doc},
    {"probe_product", T0PY_METHOD(probe_product), METH_VARARGS | METH_KEYWORDS, probe_product_doc},
    {"probe_read", T0PY_METHOD(probe_read), METH_VARARGS | METH_KEYWORDS, probe_read_doc},
    {0},
};

int t0py_bench_exec(PyObject *module) { return PyModule_AddFunctions(module, functions); }
