/* Values of Python as what the core takes. */
#ifndef T0_PY_OPTIONS_H
#define T0_PY_OPTIONS_H

#include "py/support.h"
#include "t5/t5.h"

const t0_kernels *t0py_kernels_named(const char *name); /* NULL name: the best; NULL with ValueError set where it cannot run here */
bool t0py_dtype_named(const char *name, t0_dtype *dtype); /* false with ValueError set for a name that is none */

/* The configuration that Config.core() gives; false with an exception set. Ranges are not judged. */
bool t0py_config_from_dict(PyObject *dict, t0_config *out);

/* Options of a training: the defaults, and one by its keyword. False with an exception set for an unknown keyword or a value of
 * another kind; ranges are not judged. */
t0_trainer_options t0py_options_default(void);
bool t0py_options_set(t0_trainer_options *out, PyObject *name, PyObject *value);
/* Flags [n_tensors] of the tensors named, from PyMem_Calloc; false with an exception set, which begins with `what`, for what names none. */
bool t0py_tensors_take(bool **out, const char *what, PyObject *names, const t0_model *model);

#endif
