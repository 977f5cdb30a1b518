/* Attempts that may come to nothing, see the header.
 *
 *     no exception                                      done
 *     MemoryError, and what is no Exception (signals)   stays set
 *     any other                                         means no, and is cleared */
#include "template/attempts.h"

bool t0_forgive(void) {
    if (!PyErr_Occurred()) return true;
    if (!PyErr_ExceptionMatches(PyExc_Exception) || PyErr_ExceptionMatches(PyExc_MemoryError)) return false;
    PyErr_Clear();
    return true;
}
