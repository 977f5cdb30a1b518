/* The frame of a call: an exec taken, the GIL let go around the work, the exec given back. And ragged batches from arrays. */
#include "py/py_calls.h"

#include <assert.h>

/* ---- execs -------------------------------------------------------------------------------------------------------- */

/* An exec of this many threads, for one call. NULL with an exception set. */
static t0_exec *exec_take(t0py_execs *execs, Py_ssize_t n_threads) {
    assert(PyGILState_Check());
    if (!t0py_threads_valid(execs->state, n_threads)) return NULL;
    for (size_t i = 0; i < T0PY_SPARE_EXECS; i++) {
        t0_exec *exec = execs->spare[i];
        if (exec && t0_exec_threads(exec) == (size_t)n_threads) {
            execs->spare[i] = NULL;
            return exec;
        }
    }
    t0_exec *exec = NULL;
    t0_error err;
    if (t0_exec_new(&exec, execs->kernels, (size_t)n_threads, false, &err) == T0_OK) return exec;
    t0py_raise(execs->state, &err);
    return NULL;
}

static void exec_give_back(t0py_execs *execs, t0_exec *exec) {
    assert(PyGILState_Check());
    for (size_t i = 0; i < T0PY_SPARE_EXECS; i++)
        if (!execs->spare[i]) {
            execs->spare[i] = exec;
            return;
        }
    t0_exec_free(exec);
}

void t0py_execs_free(t0py_execs *execs) {
    for (size_t i = 0; i < T0PY_SPARE_EXECS; i++) t0_exec_free(execs->spare[i]);
}

bool t0py_execs_run(t0py_execs *execs, Py_ssize_t n_threads, t0py_work work, void *context) {
    t0_exec *exec = exec_take(execs, n_threads);
    if (!exec) return false;
    t0py_interrupt stop;
    const t0_poll poll = t0py_poll(&stop);
    t0_error err;
    t0_status status;
    Py_BEGIN_ALLOW_THREADS
    status = work(context, exec, &poll, &err);
    Py_END_ALLOW_THREADS
    exec_give_back(execs, exec);
    if (status != T0_OK) t0py_raise(execs->state, &err);
    return status == T0_OK;
}

/* ---- batches ------------------------------------------------------------------------------------------------------ */

bool t0py_ragged_take(t0py_ragged *out, PyObject *ids, PyObject *offsets, const char *what) {
    char name[64];
    PyOS_snprintf(name, sizeof name, "%s ids", what);
    out->ids = t0py_private_copy(ids, NPY_INT32, name);
    PyOS_snprintf(name, sizeof name, "%s offsets", what);
    out->offsets = out->ids ? t0py_private_copy(offsets, NPY_INT64, name) : NULL;
    if (!out->offsets) return false;
    const npy_intp n_ids = PyArray_SIZE(out->ids), n_offsets = PyArray_SIZE(out->offsets);
    const int64_t *at = PyArray_DATA(out->offsets);
    bool good = n_offsets >= 1 && at[0] == 0 && at[n_offsets - 1] == n_ids;
    for (npy_intp i = 1; good && i < n_offsets; i++) good = at[i - 1] <= at[i];
    if (!good) {
        PyErr_Format(PyExc_ValueError, "%s: must rise from 0 to the number of ids, %zd", name, (Py_ssize_t)n_ids);
        return false;
    }
    out->batch = (t0_ragged){.ids = PyArray_DATA(out->ids), .offsets = at, .n = (size_t)n_offsets - 1};
    return true;
}

void t0py_ragged_release(t0py_ragged *ragged) {
    Py_CLEAR(ragged->ids);
    Py_CLEAR(ragged->offsets);
    Py_CLEAR(ragged->owners);
    PyMem_Free(ragged->adapters);
    ragged->adapters = NULL;
}
