/* Status codes and error messages of the core.
 *
 * A function that can fail returns a t0_status and takes a t0_error last. The message is written where the fact is
 * known, with the offending values:   return t0_fail(err, T0_EVALUE, "d_model %zu: at least 1", d);
 * A caller forwards with T0_TRY. Kernels and x_forward/x_backward functions return void: they cannot fail, because
 * shapes are checked and buffers sized before. Only csrc/py turns a status into a Python exception. */
#ifndef T0_BASE_STATUS_H
#define T0_BASE_STATUS_H

#include "base/sizes.h"

typedef enum t0_status {
    T0_OK = 0,
    T0_ENOMEM,     /* MemoryError */
    T0_EVALUE,     /* ValueError: an argument is out of its range */
    T0_EFORMAT,    /* FormatError: the content of a file is broken */
    T0_ETEMPLATE,  /* TemplateError: with line and column */
    T0_ENUMERIC,   /* NumericError: a number is not finite */
    T0_EINTERRUPT, /* the poll asked to stop; a Python exception is already set */
    T0_EPYTHON     /* a Python exception is already set (template/ and py/ only) */
} t0_status;

typedef struct t0_error {
    t0_status status;
    int line, column; /* 1-based place in a template; 0 where there is none */
    char message[1000];
} t0_error;

#if defined(__GNUC__)
#define T0_PRINTF(at, first) __attribute__((format(printf, at, first)))
#else
#define T0_PRINTF(at, first)
#endif

/* Writes the message (cut to fit) and returns `status`. err may be NULL. */
t0_status t0_fail(t0_error *err, t0_status status, const char *format, ...) T0_PRINTF(3, 4);

/* T0_ENOMEM with the size that was asked for. */
t0_status t0_fail_memory(t0_error *err, size_t size);

#define T0_TRY(call)                                        \
    do {                                                    \
        const t0_status t0_try_status = (call);             \
        if (t0_try_status != T0_OK) return t0_try_status;   \
    } while (0)

/* Asked now and then by long calls, always on the thread that made the call: true means stop.
 * The callee then undoes what it began and returns T0_EINTERRUPT. A NULL check never stops. */
typedef struct t0_poll {
    bool (*check)(void *context);
    void *context;
} t0_poll;

static inline bool t0_poll_stops(const t0_poll *poll) { return poll && poll->check && poll->check(poll->context); }

/* A poll asked by work done, wherever that is done: for loops whose rounds differ in cost. `work` counts steps of some nanoseconds each
 * since it was asked last, and goes on from loop to loop and from call to call. */
typedef struct t0_meter {
    const t0_poll *poll;
    size_t work;
} t0_meter;

enum { T0_METER_STEPS = 1 << 16 }; /* well below a millisecond */

static inline bool t0_meter_stops(t0_meter *meter, size_t work) {
    meter->work += work;
    if (__builtin_expect(meter->work < T0_METER_STEPS, 1)) return false;
    meter->work = 0;
    return t0_poll_stops(meter->poll);
}

/* T0_EINTERRUPT with its message. */
t0_status t0_fail_stopped(t0_error *err);

#endif
