/* Calls of the core from a model's methods: an exec, batches that no other thread can change, and the one frame around them. */
#ifndef T0_PY_CALLS_H
#define T0_PY_CALLS_H

#include "py/support.h"
#include "t5/t5.h"

enum { T0PY_SPARE_EXECS = 8 };

/* The execs of a model. An exec with its threads is made once and kept for the next call with as many threads. Touched with the
 * GIL held only. */
typedef struct t0py_execs {
    t0py_state *state;                /* of the module, which the owner's type keeps alive */
    const t0_kernels *kernels;        /* constant */
    t0_exec *spare[T0PY_SPARE_EXECS]; /* owned, idle; NULL where empty */
} t0py_execs;
void t0py_execs_free(t0py_execs *execs); /* a cleared one too */

/* What a call computes, without the GIL: `context` has its arguments and its results. */
typedef t0_status (*t0py_work)(void *context, t0_exec *exec, const t0_poll *poll, t0_error *err);

/* The frame: takes an exec of n_threads, lets the GIL go around `work`, which Ctrl-C may stop, and gives the exec back. False with an
 * exception set where the number of threads is refused or the work has failed. */
bool t0py_execs_run(t0py_execs *execs, Py_ssize_t n_threads, t0py_work work, void *context);

/* A ragged batch with the arrays that hold it: private copies, which no other thread can change during the call. */
typedef struct t0py_ragged {
    PyArrayObject *ids, *offsets; /* int32 [N], int64 [n + 1]; strong */
    PyObject *owners;             /* strong: a tuple of Adapter or None, one a sequence; or NULL (py_adapter.h) */
    const t0_adapter **adapters;  /* [n] theirs, or NULL; owned */
    t0_ragged batch;              /* points into them */
} t0py_ragged;

/* False with an exception set when the arrays do not form a batch; `what` names them. A cleared one may be released. */
bool t0py_ragged_take(t0py_ragged *out, PyObject *ids, PyObject *offsets, const char *what);
void t0py_ragged_release(t0py_ragged *ragged);

#endif
