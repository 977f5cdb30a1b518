/* Tests: `x is name(arguments)`, and the named tests of select and reject. */
#include "template/allowed.h"
#include "template/attempts.h"
#include "template/attribute.h"
#include "template/budget.h"
#include "template/helper.h"
#include "template/lookup.h"
#include "template/operators.h"
#include "template/values.h"

#define TEST(name) static int is_##name(t0_context *c, PyObject *value, const t0_arguments *args)

TEST(defined) { return (void)args, !t0_is_undefined(c, value); }
TEST(undefined) { return (void)args, t0_is_undefined(c, value); }
TEST(none) { return (void)c, (void)args, value == Py_None; }
TEST(true) { return (void)c, (void)args, value == Py_True; }
TEST(false) { return (void)c, (void)args, value == Py_False; }
TEST(boolean) { return (void)c, (void)args, PyBool_Check(value); }
TEST(integer) { return (void)c, (void)args, PyLong_Check(value) && !PyBool_Check(value); }
TEST(float) { return (void)c, (void)args, PyFloat_Check(value); }
TEST(number) { /* NumPy's, fractions and decimals too */
    (void)args;
    if (PyLong_Check(value) || PyFloat_Check(value) || PyComplex_Check(value)) return 1;
    return PyObject_IsSubclass((PyObject *)Py_TYPE(value), c->runtime->number); /* __class__ of the value could be code */
}
TEST(string) { return (void)c, (void)args, PyUnicode_Check(value); }
TEST(mapping) { return (void)c, (void)args, PyDict_Check(value); }
/* Whether a call on the value came to something; where it did not, its exception is no error of the template. */
static int answers(PyObject *result) {
    Py_XDECREF(result);
    return result ? 1 : t0_forgive() ? 0 : -1;
}
TEST(iterable) {
    (void)args;
    if (t0_is_undefined(c, value)) return 1;
    return t0_type_of(c, value) == T0_TYPE_OTHER ? answers(PyObject_GetIter(value)) : Py_TYPE(value)->tp_iter != NULL;
}
TEST(sequence) { /* has a length and items */
    (void)args;
    if (t0_is_undefined(c, value)) return 1;
    const PyTypeObject *type = Py_TYPE(value);
    const bool items = (type->tp_as_sequence && type->tp_as_sequence->sq_item) ||
                       (type->tp_as_mapping && type->tp_as_mapping->mp_subscript);
    const bool sized = PyObject_Size(value) >= 0;
    return t0_forgive() ? sized && items : -1;
}
TEST(callable) {
    (void)args;
    const PyTypeObject *type = Py_TYPE(value);
    return type == c->runtime->macro_type || type == c->runtime->loop_type || t0_is_joiner(c, value) || PyCallable_Check(value);
}
TEST(escaped) { /* has __html__ */
    (void)args;
    PyObject *name = PyUnicode_InternFromString("__html__");
    int has = name ? t0_has_attribute(value, name) : -1;
    if (has > 0 && t0_is_dynamic(Py_TYPE(value)))
        has = t0_refuse(c, "whether a %s is escaped is known to code of its own alone", Py_TYPE(value)->tp_name);
    Py_XDECREF(name);
    return has;
}
/* Is it a name at all? Jinja looks it up in a dict, so that it must hash. */
static int names(t0_context *c, PyObject *value) {
    if (PyUnicode_Check(value)) return 1;
    return t0_charge_tree(c, value) < 0 || PyObject_Hash(value) == -1 ? -1 : 0;
}
TEST(filter) {
    const int name = ((void)args, names(c, value));
    return name <= 0 ? name : t0_filter_find(value) || t0_filter_is_jinja(value);
}
TEST(test) {
    const int name = ((void)args, names(c, value));
    return name <= 0 ? name : t0_test_find(value) != NULL;
}
TEST(sameas) { return (void)c, value == args->items[0]; }

static int text_test(t0_context *c, PyObject *value, const char *method) {
    PyObject *text = t0_text(c, value), *name = PyUnicode_InternFromString(method);
    const bool ready = text && name && t0_charge(c, (uint64_t)PyUnicode_GET_LENGTH(text) / 64) == 0;
    PyObject *out = ready ? PyObject_CallMethodNoArgs(text, name) : NULL;
    const int truth = out ? out == Py_True : -1;
    Py_XDECREF(text);
    Py_XDECREF(name);
    Py_XDECREF(out);
    return truth;
}
TEST(lower) { return (void)args, text_test(c, value, "islower"); }
TEST(upper) { return (void)args, text_test(c, value, "isupper"); }

static int remainder_is(t0_context *c, PyObject *value, PyObject *divisor, long wanted) {
    if (t0_is_undefined(c, value)) return t0_raise_undefined(value);
    PyObject *rest = t0_binary(c, OP_MOD, value, divisor), *number = rest ? PyLong_FromLong(wanted) : NULL;
    const int same = number ? PyObject_RichCompareBool(rest, number, Py_EQ) : -1;
    Py_XDECREF(rest);
    Py_XDECREF(number);
    return same;
}
TEST(divisibleby) { return remainder_is(c, value, args->items[0], 0); }
static int parity(t0_context *c, PyObject *value, long wanted) {
    PyObject *two = PyLong_FromLong(2);
    const int same = two ? remainder_is(c, value, two, wanted) : -1;
    Py_XDECREF(two);
    return same;
}
TEST(odd) { return (void)args, parity(c, value, 1); }
TEST(even) { return (void)args, parity(c, value, 0); }

TEST(in) { return t0_compare(c, OP_IN, value, args->items[0]); }
TEST(eq) { return t0_compare(c, OP_EQ, value, args->items[0]); }
TEST(ne) { return t0_compare(c, OP_NE, value, args->items[0]); }
TEST(lt) { return t0_compare(c, OP_LT, value, args->items[0]); }
TEST(le) { return t0_compare(c, OP_LE, value, args->items[0]); }
TEST(gt) { return t0_compare(c, OP_GT, value, args->items[0]); }
TEST(ge) { return t0_compare(c, OP_GE, value, args->items[0]); }

static const t0_test tests[] = {
    {"defined", is_defined, 0},
    {"undefined", is_undefined, 0},
    {"none", is_none, 0},
    {"true", is_true, 0},
    {"false", is_false, 0},
    {"boolean", is_boolean, 0},
    {"integer", is_integer, 0},
    {"float", is_float, 0},
    {"number", is_number, 0},
    {"string", is_string, 0},
    {"mapping", is_mapping, 0},
    {"iterable", is_iterable, 0},
    {"sequence", is_sequence, 0},
    {"callable", is_callable, 0},
    {"escaped", is_escaped, 0},
    {"filter", is_filter, 0},
    {"test", is_test, 0},
    {"sameas", is_sameas, 1},
    {"lower", is_lower, 0},
    {"upper", is_upper, 0},
    {"divisibleby", is_divisibleby, 1},
    {"odd", is_odd, 0},
    {"even", is_even, 0},
    {"in", is_in, 1},
    {"==", is_eq, 1},
    {"eq", is_eq, 1},
    {"equalto", is_eq, 1},
    {"!=", is_ne, 1},
    {"ne", is_ne, 1},
    {">", is_gt, 1},
    {"gt", is_gt, 1},
    {"greaterthan", is_gt, 1},
    {">=", is_ge, 1},
    {"ge", is_ge, 1},
    {"<", is_lt, 1},
    {"lt", is_lt, 1},
    {"lessthan", is_lt, 1},
    {"<=", is_le, 1},
    {"le", is_le, 1},
};

const t0_test *t0_test_find(PyObject *name) {
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        if (PyUnicode_CompareWithASCIIString(name, tests[i].name) == 0) return &tests[i];
    return NULL;
}
