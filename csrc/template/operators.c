/* Values: printing, truth, lists out of iterables, arithmetic, comparison and random choice, each by CPython's own
 * routines after its cost is charged. What could grow without bound is bounded first: texts by max_output, integers by
 * INTEGER_BITS_MAX, formats by their widths. */
#include "template/operators.h"

#include "template/attempts.h"
#include "template/budget.h"
#include "template/notes.h"
#include "template/subclass.h"
#include "template/values.h"

#include "base/random.h"

#include <assert.h>

enum { INTEGER_BITS_MAX = 20000, WIDTH_DIGITS_MAX = 5 };

PyObject *t0_text(t0_context *c, PyObject *value) {
    if (PyUnicode_CheckExact(value)) return Py_NewRef(value);
    if (t0_is_undefined(c, value)) {
        t0_note_printed(c, value, c->runtime->empty);
        return Py_NewRef(c->runtime->empty);
    }
    const bool plain = PyLong_CheckExact(value) || PyBool_Check(value) || (!c->notes && (PyFloat_CheckExact(value) || value == Py_None));
    if (plain) return PyObject_Str(value);
    if (PyIter_Check(value) && Py_TYPE(value) != c->runtime->lazy_type) {
        PyErr_Format(PyExc_TypeError, "a %s cannot be printed: put |list or |join after it", Py_TYPE(value)->tp_name);
        return NULL;
    }
    if (t0_charge_print(c, value) < 0) return NULL;
    PyObject *text = PyObject_Str(value);
    if (text && c->notes) t0_note_printed(c, value, text);
    if (text && t0_charge_size(c, (uint64_t)PyUnicode_GET_LENGTH(text)) < 0) Py_CLEAR(text);
    return text;
}

PyObject *t0_soft_text(t0_context *c, PyObject *value) { return PyUnicode_Check(value) ? PyUnicode_FromObject(value) : t0_text(c, value); }

/* The steps of a list of `size` items: the list alone, or also the items, where they are made for it. */
static uint64_t list_steps(PyObject *iterable, uint64_t size) {
    if (PyRange_Check(iterable)) return 1 + size / 2;
    const bool wide = PyUnicode_CheckExact(iterable) && PyUnicode_KIND(iterable) != PyUnicode_1BYTE_KIND;
    return wide ? 1 + size : 1 + size / 8;
}

PyObject *t0_list(t0_context *c, PyObject *iterable) {
    const bool sized = PyList_CheckExact(iterable) || PyTuple_CheckExact(iterable) || PyUnicode_CheckExact(iterable) ||
                       PyRange_Check(iterable) || PyDict_CheckExact(iterable);
    if (sized) {
        const Py_ssize_t size = PyObject_Size(iterable);
        if (size < 0 || t0_charge(c, list_steps(iterable, (uint64_t)size)) < 0) return NULL;
        return PySequence_List(iterable);
    }
    PyObject *iterator = PyObject_GetIter(iterable), *list = iterator ? PyList_New(0) : NULL, *item;
    while (list && (item = PyIter_Next(iterator))) {
        if (t0_charge(c, 1) < 0 || PyList_Append(list, item) < 0) Py_CLEAR(list);
        Py_DECREF(item);
    }
    Py_XDECREF(iterator);
    if (PyErr_Occurred()) Py_CLEAR(list);
    return list;
}

static PyObject *call_text_method(PyObject *text, const char *name) {
    PyObject *method = PyUnicode_InternFromString(name);
    PyObject *out = method ? PyObject_CallMethodNoArgs(text, method) : NULL;
    Py_XDECREF(method);
    return out;
}

PyObject *t0_lower_key(t0_context *c, PyObject *value) {
    if (!PyUnicode_Check(value)) return Py_NewRef(value);
    return t0_charge(c, (uint64_t)PyUnicode_GET_LENGTH(value) / 64) < 0 ? NULL : t0_settle(c, call_text_method(value, "lower"));
}

int t0_truth(PyObject *value) {
    if (value == Py_True) return 1;
    if (value == Py_False || value == Py_None) return 0;
    return PyObject_IsTrue(value);
}

/* Bits of an int, -1 with an exception set. */
static long long bits_of(PyObject *value) {
    int overflow;
    long long small = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (!overflow) {
        long long bits = 0;
        for (unsigned long long rest = small < 0 ? 0ull - (unsigned long long)small : (unsigned long long)small; rest; rest >>= 1) bits++;
        return bits;
    }
    PyObject *bits = call_text_method(value, "bit_length");
    const long long out = bits ? PyLong_AsLongLong(bits) : -1;
    Py_XDECREF(bits);
    return out;
}

int t0_check_integer(t0_context *c, PyObject *value) {
    assert(PyLong_Check(value));
    int overflow;
    PyLong_AsLongLongAndOverflow(value, &overflow);
    const long long bits = overflow ? bits_of(value) : 0;
    return bits < 0 ? -1 : bits > INTEGER_BITS_MAX ? t0_refuse(c, "an integer of more than %d bits", INTEGER_BITS_MAX) : 0;
}

static int check_integers(t0_context *c, int op, PyObject *a, PyObject *b) {
    const long long left = bits_of(a), right = bits_of(b);
    if (left < 0 || right < 0) return -1;
    if (op != OP_POW) return left + right > INTEGER_BITS_MAX ? t0_refuse(c, "an integer of more than %d bits", INTEGER_BITS_MAX) : 0;
    if (left <= 1) return 0; /* 0, 1, -1 to any power */
    int overflow;
    const long long power = PyLong_AsLongLongAndOverflow(b, &overflow);
    if (overflow < 0 || (!overflow && power <= INTEGER_BITS_MAX / left)) return 0;
    return t0_refuse(c, "an integer of more than %d bits", INTEGER_BITS_MAX);
}

/* A sequence times a number: charged before it is made. */
static int check_repeat(t0_context *c, PyObject *sequence, PyObject *times) {
    if (!PyLong_Check(times)) return 0;
    const Py_ssize_t size = PyObject_Size(sequence);
    if (size < 0 && PyErr_ExceptionMatches(PyExc_TypeError)) return PyErr_Clear(), 0; /* an array of no dimension: a number */
    int overflow;
    const long long n = PyLong_AsLongLongAndOverflow(times, &overflow);
    if (size <= 0 || (n <= 0 && overflow <= 0)) return size < 0 ? -1 : 0;
    if (overflow || n > (long long)c->max_output || (uint64_t)n * (uint64_t)size > 8 * (uint64_t)c->max_output)
        return t0_refuse(c, "a repetition of more than %zu items: raise max_output", c->max_output);
    const uint64_t total = (uint64_t)n * (uint64_t)size;
    return PyUnicode_Check(sequence) ? t0_charge_size(c, total) : t0_charge(c, 1 + total / 8);
}

/* Refuses what a % format could blow up: * and widths or precisions of more than WIDTH_DIGITS_MAX digits. Their sum
 * goes to *total, the number of fields to *n_fields. */
static int check_format(t0_context *c, PyObject *format, uint64_t *total, uint64_t *n_fields) {
    const Py_ssize_t size = PyUnicode_GET_LENGTH(format);
    *total = (uint64_t)size;
    *n_fields = 0;
    for (Py_ssize_t i = 0; i < size; i++) {
        if (PyUnicode_READ_CHAR(format, i) != '%') continue;
        int digits = 0;
        uint64_t width = 0;
        ++*n_fields;
        for (i++; i < size; i++) {
            const Py_UCS4 now = PyUnicode_READ_CHAR(format, i);
            digits = now >= '0' && now <= '9' ? digits + 1 : 0;
            if (!digits) *total += width;
            width = digits ? 10 * width + (now - '0') : 0;
            if (now == '*' || digits > WIDTH_DIGITS_MAX)
                return t0_refuse(c, "a %% format with * or a width of more than %d digits", WIDTH_DIGITS_MAX);
            if (now == '(')
                while (i + 1 < size && PyUnicode_READ_CHAR(format, i) != ')') i++;
            else if (!(digits || now == '.' || now == '-' || now == '+' || now == ' ' || now == '#' || now == 'l' || now == 'h' ||
                       now == 'L'))
                break;
        }
    }
    return 0;
}

/* Charges for the values of a format and adds their texts to *total. Each field of a dict's may print the longest one. */
static int charge_values(t0_context *c, PyObject *values, uint64_t n_fields, uint64_t *total) {
    const uint64_t before = c->steps;
    if (t0_charge_print(c, values) < 0) return -1;
    if (PyUnicode_Check(values)) *total += (uint64_t)PyUnicode_GET_LENGTH(values);
    for (Py_ssize_t i = 0; PyTuple_Check(values) && i < PyTuple_GET_SIZE(values); i++)
        if (PyUnicode_Check(PyTuple_GET_ITEM(values, i))) *total += (uint64_t)PyUnicode_GET_LENGTH(PyTuple_GET_ITEM(values, i));
    if (!PyDict_Check(values)) return 0;
    uint64_t longest = 0;
    PyObject *key, *value;
    for (Py_ssize_t at = 0; PyDict_Next(values, &at, &key, &value);)
        if (PyUnicode_Check(value) && (uint64_t)PyUnicode_GET_LENGTH(value) > longest) longest = (uint64_t)PyUnicode_GET_LENGTH(value);
    *total += n_fields * longest;
    return t0_charge(c, n_fields * (c->steps - before));
}

static int check_remainder(t0_context *c, PyObject *a, PyObject *b) {
    if (!PyUnicode_Check(a)) return PyLong_Check(a) && PyLong_Check(b) ? check_integers(c, OP_MOD, a, b) : 0;
    uint64_t total, n_fields;
    if (check_format(c, a, &total, &n_fields) < 0 || charge_values(c, b, n_fields, &total) < 0) return -1;
    return t0_charge_size(c, total);
}

static int check_sum(t0_context *c, PyObject *a, PyObject *b) {
    if (PyLong_Check(a) && PyLong_Check(b)) return t0_check_integer(c, a) < 0 ? -1 : t0_check_integer(c, b);
    if (PyUnicode_Check(a) && PyUnicode_Check(b))
        return t0_charge_size(c, (uint64_t)PyUnicode_GET_LENGTH(a) + (uint64_t)PyUnicode_GET_LENGTH(b));
    if (!PySequence_Check(a) || !PySequence_Check(b) || PyDict_Check(a)) return 0;
    const Py_ssize_t left = PyObject_Size(a), right = left < 0 ? -1 : PyObject_Size(b);
    if (right < 0) return t0_forgive() ? 0 : -1;
    return t0_charge(c, 1 + (uint64_t)(left + right) / 8);
}

/* a % b, where the fields of a text may name items of a dict. */
static PyObject *remainder_of(t0_context *c, PyObject *a, PyObject *b) {
    PyObject *values = PyUnicode_Check(a) ? t0_unchanging(c, b) : Py_NewRef(b);
    PyObject *out = values ? PyNumber_Remainder(a, values) : NULL;
    Py_XDECREF(values);
    return out;
}

PyObject *t0_binary(t0_context *c, int op, PyObject *a, PyObject *b) {
    if (op == OP_ADD && check_sum(c, a, b) < 0) return NULL;
    if (op == OP_SUB && PyLong_Check(a) && PyLong_Check(b) && check_sum(c, a, b) < 0) return NULL;
    if (op == OP_MOD && check_remainder(c, a, b) < 0) return NULL;
    if (op == OP_MUL && PySequence_Check(a) && check_repeat(c, a, b) < 0) return NULL;
    if (op == OP_MUL && PySequence_Check(b) && check_repeat(c, b, a) < 0) return NULL;
    if ((op == OP_MUL || op == OP_POW || op == OP_FLOORDIV) && PyLong_Check(a) && PyLong_Check(b) && check_integers(c, op, a, b) < 0)
        return NULL;
    assert(op >= OP_ADD && op <= OP_POW);
    PyObject *out = NULL;
    switch (op) {
    case OP_ADD: out = PyNumber_Add(a, b); break;
    case OP_SUB: out = PyNumber_Subtract(a, b); break;
    case OP_MUL: out = PyNumber_Multiply(a, b); break;
    case OP_DIV: out = PyNumber_TrueDivide(a, b); break;
    case OP_FLOORDIV: out = PyNumber_FloorDivide(a, b); break;
    case OP_MOD: out = remainder_of(c, a, b); break;
    default: out = PyNumber_Power(a, b, Py_None); break;
    }
    if (op == OP_MOD && out && PyUnicode_Check(out) && t0_charge_size(c, (uint64_t)PyUnicode_GET_LENGTH(out)) < 0) Py_CLEAR(out);
    return out;
}

/* `a in b` where b is an iterator, or a range searched for something that is not an int: item by item. */
static int iterates_to(t0_context *c, PyObject *a, PyObject *b) {
    PyObject *iterator = PyObject_GetIter(b), *item;
    int found = iterator ? 0 : -1;
    while (found == 0 && (item = PyIter_Next(iterator))) {
        found = t0_charge(c, 1) < 0 || t0_charge_tree(c, item) < 0 ? -1 : PyObject_RichCompareBool(item, a, Py_EQ);
        Py_DECREF(item);
    }
    Py_XDECREF(iterator);
    return found == 0 && PyErr_Occurred() ? -1 : found;
}

static int contains(t0_context *c, PyObject *a, PyObject *b) {
    if (t0_charge_tree(c, a) < 0 || t0_charge_tree(c, b) < 0) return -1;
    if (PyIter_Check(b) || (PyRange_Check(b) && !PyLong_CheckExact(a) && !PyBool_Check(a))) return iterates_to(c, a, b);
    if (PyUnicode_CheckExact(a) && PyUnicode_CheckExact(b)) { /* the search may compare a short text at every place */
        const uint64_t needle = (uint64_t)PyUnicode_GET_LENGTH(a), slow = needle < 100 ? 1 + needle / 16 : 7;
        if (t0_charge(c, (uint64_t)PyUnicode_GET_LENGTH(b) / 64 * slow) < 0) return -1;
    }
    return PySequence_Contains(b, a);
}

int t0_compare(t0_context *c, int op, PyObject *a, PyObject *b) {
    static const int python[] = {[OP_EQ] = Py_EQ, [OP_NE] = Py_NE, [OP_LT] = Py_LT, [OP_LE] = Py_LE, [OP_GT] = Py_GT, [OP_GE] = Py_GE};
    if (op == OP_IN || op == OP_NOT_IN) {
        const int found = contains(c, a, b);
        return found < 0 ? -1 : found == (op == OP_IN);
    }
    if (PyUnicode_CheckExact(a) && PyUnicode_CheckExact(b) && (op == OP_EQ || op == OP_NE)) {
        bool same = PyUnicode_GET_LENGTH(a) == PyUnicode_GET_LENGTH(b);
        if (same && t0_charge_tree(c, a) < 0) return -1;
        same = same && PyUnicode_Compare(a, b) == 0;
        return same == (op == OP_EQ);
    }
    assert(op >= OP_EQ && op <= OP_GE);
    if (t0_charge_tree(c, a) < 0 || t0_charge_tree(c, b) < 0) return -1;
    PyObject *out = PyObject_RichCompare(a, b, python[op]);
    const int truth = out ? PyObject_IsTrue(out) : -1;
    Py_XDECREF(out);
    return truth;
}

PyObject *t0_pick(t0_context *c, PyObject *sequence) {
    assert(c->pick >= T0_PICK_RANDOM && c->pick <= T0_PICK_LAST);
    const Py_ssize_t n = PyObject_Size(sequence);
    if (n < 0) return NULL;
    if (n == 0) {
        PyErr_SetString(PyExc_IndexError, "cannot choose from an empty sequence");
        return NULL;
    }
    Py_ssize_t at = c->pick == T0_PICK_LAST ? n - 1 : 0;
    if (c->pick == T0_PICK_RANDOM) {
        const uint64_t bits = t0_random_u64(c->seed, T0_RANDOM_TEMPLATE | c->draws++ << 8, c->index);
        at = (Py_ssize_t)((unsigned __int128)bits * (uint64_t)n >> 64);
    }
    PyObject *index = PyLong_FromSsize_t(at);
    PyObject *item = index ? t0_item_of(c, sequence, index) : NULL;
    Py_XDECREF(index);
    return item;
}
