/* Calls: what the name of a filter, a test, a function or a method stands for.
 *
 * Everything is bound while compiling, from the allow-lists: keyword arguments get their positions, the inner filter of
 * map('name') and the inner test of select('name') become nodes, and an unknown name is refused with its place. */
#include "template/bindings.h"

#include "template/allowed.h"

#include <assert.h>
#include <string.h>

static t0_status fail_name(t0_parser *p, const t0_token *at, const char *what, PyObject *name, const char *remedy) {
    const char *text = PyUnicode_AsUTF8(name);
    if (!text) PyErr_Clear(); /* a lone surrogate */
    return t0_fail_at(p->err, at->line, at->column, "%s '%.60s' %s", what, text ? text : "?", remedy);
}

static PyObject *keyword_of(const t0_call_arguments *args, const char *name, t0_node **value) {
    for (uint32_t i = 0; i < args->n_keyword; i++)
        if (PyUnicode_CompareWithASCIIString(args->names[i], name) == 0) {
            *value = args->keyword[i];
            return args->names[i];
        }
    return NULL;
}

/* Positions of the named parameters; items[i] stays NULL where nothing is given. */
static t0_status bind_parameters(t0_parser *p, t0_node *node, const t0_token *at, const t0_filter *filter, const t0_call_arguments *args) {
    uint32_t n = 0;
    while (n < 5 && filter->parameters[n]) n++;
    if (filter->flags & T0_CALL_ANY_COUNT) n = args->n_positional;
    if (args->n_positional > n) return fail_name(p, at, "filter", node->value, "got too many arguments");
    node->count = n;
    T0_TRY(t0_parser_room(p, node, n));
    for (uint32_t i = 0; i < n; i++) node->items[i] = i < args->n_positional ? args->positional[i] : NULL;
    for (uint32_t k = 0; k < args->n_keyword; k++) {
        uint32_t i = 0;
        while (i < n && (filter->flags & T0_CALL_ANY_COUNT || PyUnicode_CompareWithASCIIString(args->names[k], filter->parameters[i]) != 0))
            i++;
        if (i == n) return fail_name(p, at, "unknown keyword argument", args->names[k], "of a filter");
        if (node->items[i]) return fail_name(p, at, "argument", args->names[k], "is given twice");
        node->items[i] = args->keyword[k];
    }
    for (uint32_t i = 0; i < filter->required; i++)
        if (i >= n || !node->items[i]) return fail_name(p, at, "filter", node->value, "lacks an argument");
    return T0_OK;
}

/* Remembers a name whose absence the template provides for. */
static t0_status note_guarded(t0_parser *p, const t0_node *operand) {
    t0_template *template = p->template;
    const uint32_t n = template->n_guarded;
    if (!operand || operand->kind != T_NAME) return T0_OK;
    for (uint32_t i = 0; i < n; i++)
        if (template->guarded[i] == operand->value) return T0_OK;
    PyObject **names = t0_template_grown(template, template->guarded, n);
    if (!names) return t0_fail_memory(p->err, 2 * n * sizeof *names);
    template->guarded = names;
    names[template->n_guarded++] = operand->value;
    return T0_OK;
}

static bool is_one_of(PyObject *name, const char *a, const char *b) {
    return PyUnicode_CompareWithASCIIString(name, a) == 0 || PyUnicode_CompareWithASCIIString(name, b) == 0;
}

static bool is_text(const t0_node *node) { return node && node->kind == T_CONST && PyUnicode_Check(node->value); }

/* map, select, reject, selectattr, rejectattr: the inner filter or test becomes node->b, an attribute items[0]. */
static t0_status bind_lazy(t0_parser *p, t0_node *node, const t0_token *at, t0_call_arguments args) {
    const bool is_map = PyUnicode_CompareWithASCIIString(node->value, "map") == 0;
    const t0_filter *filter = node->fn;
    t0_node *attribute;
    if (is_map && !args.n_positional && keyword_of(&args, "attribute", &attribute)) {
        node->fn = &t0_filter_map_attribute;
        return bind_parameters(p, node, at, node->fn, &args);
    }
    T0_TRY(t0_parser_room(p, node, 1));
    if (filter == &t0_filter_selectattr || filter == &t0_filter_rejectattr) {
        if (!args.n_positional) return fail_name(p, at, "filter", node->value, "needs the name of an attribute");
        node->items[0] = args.positional[0];
        node->count = 1;
        args.positional++;
        args.n_positional--;
    }
    if (!args.n_positional)
        return is_map || args.n_keyword ? fail_name(p, at, "filter", node->value, "needs a name in quotes first") : T0_OK;
    if (!is_text(args.positional[0])) return fail_name(p, at, "filter", node->value, "takes a constant name in quotes only");
    t0_token name = *at;
    name.value = args.positional[0]->value;
    args.positional++;
    args.n_positional--;
    t0_node *inner;
    T0_TRY(t0_parser_node(p, is_map ? T_FILTER : T_TEST, at, &inner));
    node->b = inner;
    return is_map ? t0_bind_filter(p, inner, &name, &args) : t0_bind_test(p, inner, &name, &args);
}

/* x | format(a = 1): x | string % {"a": 1} */
static t0_status bind_format(t0_parser *p, t0_node *node, const t0_token *at, const t0_call_arguments *args) {
    if (args->n_positional) return fail_name(p, at, "filter", node->value, "takes arguments with names, or without, not both");
    t0_node *text;
    T0_TRY(t0_parser_node(p, T_FILTER, at, &text));
    t0_node *values;
    T0_TRY(t0_parser_node(p, T_DICT, at, &values));
    text->a = node->a;
    text->fn = t0_filter_string;
    text->value = node->value;
    T0_TRY(t0_parser_room(p, values, 2 * args->n_keyword));
    for (uint32_t i = 0; i < args->n_keyword; i++) {
        t0_node *key;
        T0_TRY(t0_parser_node(p, T_CONST, at, &key));
        key->value = args->names[i];
        values->items[values->count++] = key;
        values->items[values->count++] = args->keyword[i];
    }
    node->kind = T_BINARY;
    node->op = OP_MOD;
    node->a = text;
    node->b = values;
    T0_TRY(t0_parser_sized(p, text));
    return t0_parser_sized(p, values);
}

t0_status t0_bind_filter(t0_parser *p, t0_node *node, const t0_token *name, const t0_call_arguments *args) {
    assert(node->kind == T_FILTER);
    const t0_filter *filter = t0_filter_find(name->value);
    if (!filter)
        return fail_name(p, name, "filter", name->value,
                         t0_filter_is_jinja(name->value) ? "is not supported here: rewrite the prompt without it"
                                                         : "does not exist: see the documentation for the list");
    node->value = name->value;
    node->fn = filter;
    if (filter->flags & T0_CALL_RANDOM) p->template->random = true;
    if (is_one_of(name->value, "default", "d")) T0_TRY(note_guarded(p, node->a));
    if (filter->flags & T0_CALL_LAZY) return bind_lazy(p, node, name, *args);
    if (filter == t0_filter_format && args->n_keyword && node->a) return bind_format(p, node, name, args);
    return bind_parameters(p, node, name, filter, args);
}

t0_status t0_bind_test(t0_parser *p, t0_node *node, const t0_token *name, const t0_call_arguments *args) {
    assert(node->kind == T_TEST);
    const t0_test *test = t0_test_find(name->value);
    if (!test) return fail_name(p, name, "test", name->value, "does not exist or is not supported");
    if (args->n_keyword || args->n_positional != test->count)
        return fail_name(p, name, "test", name->value, "got a wrong number of arguments");
    if (is_one_of(name->value, "defined", "undefined")) T0_TRY(note_guarded(p, node->a));
    node->value = name->value;
    node->fn = test;
    node->count = args->n_positional;
    T0_TRY(t0_parser_room(p, node, node->count));
    if (node->count) memcpy(node->items, args->positional, node->count * sizeof *node->items);
    return T0_OK;
}

/* items = positional then keyword values; names as one tuple, NULL where there are none. */
static t0_status join_arguments(t0_parser *p, t0_node *node, const t0_call_arguments *args, PyObject **names) {
    node->count = args->n_positional + args->n_keyword;
    T0_TRY(t0_parser_room(p, node, node->count));
    *names = NULL;
    if (args->n_positional) memcpy(node->items, args->positional, args->n_positional * sizeof *node->items);
    if (!args->n_keyword) return T0_OK;
    memcpy(node->items + args->n_positional, args->keyword, args->n_keyword * sizeof *node->items);
    *names = t0_keep(p->template->constants, PyTuple_New(args->n_keyword));
    if (!*names) return t0_fail(p->err, T0_EPYTHON, "Python error");
    for (uint32_t i = 0; i < args->n_keyword; i++) {
        for (uint32_t j = 0; j < i; j++)
            if (args->names[i] == args->names[j])
                return t0_fail_at(p->err, node->line, node->column, "keyword argument '%.60s' is given twice",
                                  PyUnicode_AsUTF8(args->names[i]));
        PyTuple_SET_ITEM(*names, i, Py_NewRef(args->names[i]));
    }
    return T0_OK;
}

static t0_status bind_function(t0_parser *p, t0_node **callee, const t0_token *at, const t0_call_arguments *args) {
    t0_node *const target = *callee, *node;
    const t0_function *function = t0_function_find(target->value);
    if (function && args->n_keyword && !(function->flags & T0_CALL_KEYWORDS))
        return fail_name(p, at, "function", target->value, "takes no keyword arguments");
    T0_TRY(t0_parser_node(p, T_CALL, at, &node));
    node->a = target;
    node->fn = function;
    T0_TRY(join_arguments(p, node, args, &node->value));
    *callee = node;
    return t0_parser_sized(p, node);
}

static t0_status bind_method(t0_parser *p, t0_node **callee, const t0_token *at, const t0_call_arguments *args) {
    t0_node *const target = *callee, *node;
    PyObject *names;
    const t0_method *method = t0_method_find(target->value);
    if (!method) return fail_name(p, at, "method", target->value, "does not exist or may not be called from a template");
    if (method->flags & T0_CALL_MUTATES) p->template->mutates = true;
    t0_token name = *at;
    name.line = target->line;
    name.column = target->column;
    T0_TRY(t0_parser_node(p, T_METHOD, &name, &node));
    node->a = target->a;
    node->value = target->value;
    node->attrs = target->attrs;
    node->fn = method;
    T0_TRY(join_arguments(p, node, args, &names));
    if (names) {
        if (!(method->flags & T0_CALL_KEYWORDS)) return fail_name(p, at, "method", target->value, "takes no keyword arguments here");
        T0_TRY(t0_parser_node(p, T_CONST, at, &node->b));
        node->b->value = names;
    }
    *callee = node;
    return t0_parser_sized(p, node);
}

t0_status t0_bind_call(t0_parser *p, t0_node **callee, const t0_token *at, const t0_call_arguments *args) {
    if ((*callee)->kind == T_NAME) return bind_function(p, callee, at, args);
    if ((*callee)->kind == T_ATTR) return bind_method(p, callee, at, args);
    return t0_fail_at(p->err, at->line, at->column, "only functions, macros and methods can be called, by their names");
}
