/* What `t0native bench` asks of the core: peaks and read bandwidth (nn/probe.h), by the thread's own processor time, so that
 * other work on the machine does not count. */
#include "py/py.h"

#include "nn/probe.h"
#include "py/py_model.h"

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

PyDoc_STRVAR(probe_doc, "probe(what, kernels=None, seconds=0.05)\n--\n\n"
                        "Operations a second that one thread can do at most, 2 a multiplication with its addition, by its processor time.\n"
                        "what: 'float32', 'bfloat16' or 'int8'. None where the kernel set has no instruction of its own for it.");
static PyObject *probe(PyObject *module, PyObject *args, PyObject *kwargs) {
    (void)module;
    static char *names[] = {"what", "kernels", "seconds", NULL};
    const char *what, *kernels_name = NULL;
    double seconds = 0.05;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s|zd:probe", names, &what, &kernels_name, &seconds)) return NULL;
    const t0_kernels *kernels = t0py_kernels_named(kernels_name);
    if (!kernels || !seconds_valid(seconds)) return NULL;
    const t0_probe *found = t0_probe_find(kernels->name);
    const t0_probe_rate *chosen = strcmp(what, "float32") == 0    ? &found->float32
                                  : strcmp(what, "bfloat16") == 0 ? &found->bfloat16
                                  : strcmp(what, "int8") == 0     ? &found->int8
                                                                  : NULL;
    if (!chosen) return PyErr_Format(PyExc_ValueError, "what '%s': must be 'float32', 'bfloat16' or 'int8'", what);
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
        rate = read_rate(t0_probe_find(kernels->name), block, seconds, &poll);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&view);
    return rate < 0.0 ? NULL : PyFloat_FromDouble(rate);
}

#define WITH_KEYWORDS(function) ((PyCFunction)(void (*)(void))(function))
static PyMethodDef functions[] = {
    {"probe", WITH_KEYWORDS(probe), METH_VARARGS | METH_KEYWORDS, probe_doc},
    {"probe_read", WITH_KEYWORDS(probe_read), METH_VARARGS | METH_KEYWORDS, probe_read_doc},
    {0},
};

int t0py_bench_exec(PyObject *module) { return PyModule_AddFunctions(module, functions); }
