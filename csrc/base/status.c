/* Errors are written here and nowhere else; see the header for how they travel. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>

t0_status t0_fail(t0_error *err, t0_status status, const char *format, ...) {
    if (!err) return status;
    err->status = status;
    err->line = err->column = 0;
    va_list values;
    va_start(values, format);
    vsnprintf(err->message, sizeof err->message, format, values);
    va_end(values);
    return status;
}

t0_status t0_fail_memory(t0_error *err, size_t size) { return t0_fail(err, T0_ENOMEM, "no memory for %zu bytes", size); }

t0_status t0_fail_stopped(t0_error *err) { return t0_fail(err, T0_EINTERRUPT, "stopped"); }
