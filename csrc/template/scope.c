/* Scopes: which variable a name means, decided while compiling exactly as Jinja's idtracking does.
 *
 * A frame is the template, a loop body, a loop's else, a loop's test, or the body of a set block, filter block, with or
 * macro; `if` opens none.
 * Each frame is first read in order, giving every name one symbol with a way to start:
 *
 *     read first                         RESOLVE  the example's value, unless an outer frame has the name
 *     set first, outer frame has it      ALIAS    a copy of the outer value when the frame is entered
 *     set first otherwise                MISSING  until it is set
 *     set in some branches of an if      RESOLVE (or ALIAS), so that the branch not taken sees the example
 *     loop target, `loop`, a name of
 *     with, a macro's parameter          PARAMETER
 *
 * A symbol that is never set in its frame needs no slot: it is name number ~slot of the example. */
#include "template/scope.h"

#include "template/lexer.h"

#include <assert.h>
#include <string.h>

typedef enum load { LOAD_MISSING, LOAD_RESOLVE, LOAD_ALIAS, LOAD_PARAMETER } load;

typedef struct symbol {
    PyObject *name; /* interned */
    int32_t slot;   /* local */
    int32_t from;   /* LOAD_ALIAS */
    uint8_t load;
    bool stored;
} symbol;

typedef struct symbols {
    symbol *items;
    uint32_t count, capacity;
} symbols;

typedef struct frame {
    struct frame *parent;
    symbols names; /* final */
    symbols slots; /* every name that ever got a slot in this frame */
} frame;

typedef struct scope {
    t0_template *template;
    t0_error *err;
    uint64_t work; /* symbols looked at, and COPY_WORK for each one copied */
} scope;

/* Names times branches may be a large number even in a text that is not long: this bounds the time to a fraction of a
 * second and the memory of the copies to some 50 MB. */
enum { WORK_MAX = 1 << 25, COPY_WORK = 64 };

static t0_status check_work(const scope *s, const t0_node *node) {
    if (s->work <= WORK_MAX) return T0_OK;
    return t0_fail_at(s->err, node->line, node->column, "too many names and branches in one template: split it");
}

static symbol *find(scope *s, const symbols *list, PyObject *name) {
    assert(PyUnicode_CHECK_INTERNED(name)); /* the same name is the same object */
    s->work += list->count;
    for (uint32_t i = 0; i < list->count; i++)
        if (list->items[i].name == name) return &list->items[i];
    return NULL;
}

static t0_status append(scope *s, symbols *list, symbol added) {
    if (list->count == list->capacity) {
        const uint32_t capacity = list->capacity ? list->capacity * 2 : 8;
        symbol *items = t0_arena_get(&s->template->scratch, capacity * sizeof *items);
        if (!items) return t0_fail_memory(s->err, capacity * sizeof *items);
        if (list->count) memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = added;
    return T0_OK;
}

static t0_status copy_symbols(scope *s, symbols *out, const symbols *from) {
    const size_t size = from->count * sizeof *from->items;
    s->work += (uint64_t)COPY_WORK * from->count;
    *out = (symbols){t0_arena_get(&s->template->scratch, size), from->count, from->count};
    if (!out->items) return t0_fail_memory(s->err, size);
    if (size) memcpy(out->items, from->items, size);
    return T0_OK;
}

/* The example's name number as a slot (negative). */
static t0_status global_slot(scope *s, PyObject *name, int32_t *out) {
    t0_template *template = s->template;
    uint32_t i = 0;
    while (i < template->n_names && template->names[i] != name) i++;
    s->work += i;
    if (i == template->n_names) {
        PyObject **names = t0_template_grown(template, template->names, i);
        if (!names) return t0_fail_memory(s->err, 2 * i * sizeof *names);
        template->names = names;
        names[template->n_names++] = name;
    }
    *out = ~(int32_t)i;
    return T0_OK;
}

/* The slot that reads `name` from inside `f`, or T0_NO_SLOT where no frame knows the name. */
static t0_status outer_slot(scope *s, const frame *f, PyObject *name, int32_t *out) {
    for (; f; f = f->parent) {
        const symbol *known = find(s, &f->names, name);
        if (!known) continue;
        if (known->load == LOAD_RESOLVE && !known->stored) return global_slot(s, name, out);
        *out = known->slot;
        return T0_OK;
    }
    *out = T0_NO_SLOT;
    return T0_OK;
}

static t0_status define(scope *s, frame *f, symbols *now, PyObject *name, load how, int32_t from, bool stored) {
    const symbol *slot = find(s, &f->slots, name);
    symbol added = {name, slot ? slot->slot : (int32_t)s->template->n_slots, from, (uint8_t)how, stored};
    if (!slot) {
        s->template->n_slots++;
        T0_TRY(append(s, &f->slots, added));
    }
    symbol *known = find(s, now, name);
    if (!known) return append(s, now, added);
    *known = added;
    return T0_OK;
}

static t0_status note_load(scope *s, frame *f, symbols *now, PyObject *name) {
    if (find(s, now, name)) return T0_OK;
    int32_t outer;
    T0_TRY(outer_slot(s, f->parent, name, &outer));
    return outer == T0_NO_SLOT ? define(s, f, now, name, LOAD_RESOLVE, T0_NO_SLOT, false) : T0_OK;
}

static t0_status note_store(scope *s, frame *f, symbols *now, PyObject *name) {
    symbol *known = find(s, now, name);
    if (known) {
        known->stored = true;
        return T0_OK;
    }
    int32_t outer;
    T0_TRY(outer_slot(s, f->parent, name, &outer));
    return define(s, f, now, name, outer == T0_NO_SLOT ? LOAD_MISSING : LOAD_ALIAS, outer, true);
}

static t0_status note_expression(scope *s, frame *f, symbols *now, const t0_node *node) {
    if (!node) return T0_OK;
    T0_TRY(check_work(s, node));
    if (node->kind == T_NAME) return note_load(s, f, now, node->value);
    T0_TRY(note_expression(s, f, now, node->kind == T_COND ? node->b : node->a)); /* the order of evaluation does not matter */
    T0_TRY(note_expression(s, f, now, node->kind == T_COND ? node->a : node->b));
    T0_TRY(note_expression(s, f, now, node->c));
    for (uint32_t i = 0; i < node->count; i++) T0_TRY(note_expression(s, f, now, node->items[i]));
    return T0_OK;
}

static t0_status note_target(scope *s, frame *f, symbols *now, const t0_node *node, bool parameter) {
    T0_TRY(check_work(s, node));
    if (node->kind == T_FIELD) return note_load(s, f, now, node->a->value);
    if (node->kind == T_NAME)
        return parameter ? define(s, f, now, node->value, LOAD_PARAMETER, T0_NO_SLOT, true) : note_store(s, f, now, node->value);
    for (uint32_t i = 0; i < node->count; i++) T0_TRY(note_target(s, f, now, node->items[i], parameter));
    return T0_OK;
}

static t0_status note_body(scope *s, frame *f, symbols *now, const t0_node *node);

/* The symbols of a branch into those after the `if`. */
static t0_status merge(scope *s, symbols *now, const symbols *branch) {
    for (uint32_t k = 0; k < branch->count; k++) {
        const symbol *const new = &branch->items[k];
        symbol *known = find(s, now, new->name);
        if (!known) T0_TRY(append(s, now, *new));
        else {
            const bool stored = known->stored || new->stored;
            *known = *new;
            known->stored = stored;
        }
    }
    return T0_OK;
}

/* Both branches start from the same symbols; what either sets may be missing afterwards. */
static t0_status note_if(scope *s, frame *f, symbols *now, const t0_node *node) {
    T0_TRY(note_expression(s, f, now, node->a));
    symbols branch[2] = {0};
    const t0_node *const bodies[2] = {node->b, node->c};
    for (int i = 0; i < 2; i++) {
        if (!bodies[i]) continue; /* changes nothing */
        T0_TRY(check_work(s, node));
        T0_TRY(copy_symbols(s, &branch[i], now));
        T0_TRY(note_body(s, f, &branch[i], bodies[i]));
    }
    if (!node->b && !node->c) return T0_OK;
    symbols before;
    T0_TRY(copy_symbols(s, &before, now));
    for (int i = 0; i < 2; i++) T0_TRY(merge(s, now, &branch[i]));
    for (uint32_t k = 0; k < now->count; k++) {
        symbol *const known = &now->items[k];
        const symbol *const old = find(s, &before, known->name);
        if (!known->stored || (old && old->stored)) continue;
        T0_TRY(outer_slot(s, f->parent, known->name, &known->from));
        known->load = known->from == T0_NO_SLOT ? LOAD_RESOLVE : LOAD_ALIAS;
    }
    return T0_OK;
}

static t0_status note_body(scope *s, frame *f, symbols *now, const t0_node *node) {
    for (; node; node = node->next) {
        if (node->kind == T_PRINT) T0_TRY(note_expression(s, f, now, node->a));
        else if (node->kind == T_IF) T0_TRY(note_if(s, f, now, node));
        else if (node->kind == T_FOR) T0_TRY(note_expression(s, f, now, node->loop->iter));
        else if (node->kind == T_SET) {
            T0_TRY(note_expression(s, f, now, node->b));
            T0_TRY(note_target(s, f, now, node->a, false));
        } else if (node->kind == T_SETBLOCK && node->a) T0_TRY(note_target(s, f, now, node->a, false));
        else if (node->kind == T_SETBLOCK) T0_TRY(note_expression(s, f, now, node->c));
        else if (node->kind == T_MACRO) T0_TRY(note_target(s, f, now, node->a, false));
        else if (node->kind == T_WITH)
            for (uint32_t i = 1; i < node->count; i += 2) T0_TRY(note_expression(s, f, now, node->items[i]));
    }
    return T0_OK;
}

/* What entering the frame must do, from its final symbols. */
static t0_status frame_inits(scope *s, const frame *f, t0_slot_init **out, uint32_t *n) {
    *n = 0;
    *out = t0_template_get(s->template, (f->names.count + 1) * sizeof **out);
    if (!*out) return t0_fail_memory(s->err, f->names.count * sizeof **out);
    for (uint32_t i = 0; i < f->names.count; i++) {
        const symbol *const known = &f->names.items[i];
        if (known->load == LOAD_PARAMETER || (known->load == LOAD_RESOLVE && !known->stored)) continue;
        t0_slot_init *init = &(*out)[(*n)++];
        init->slot = known->slot;
        init->from = known->load == LOAD_ALIAS ? known->from : T0_NO_SLOT;
        if (known->load == LOAD_RESOLVE) T0_TRY(global_slot(s, known->name, &init->from));
    }
    return T0_OK;
}

static t0_status bind_name(scope *s, const frame *f, t0_node *node) {
    T0_TRY(check_work(s, node));
    T0_TRY(outer_slot(s, f, node->value, &node->slot));
    return T0_OK;
}

static t0_status bind_expression(scope *s, const frame *f, t0_node *node) {
    if (!node) return T0_OK;
    if (node->kind == T_NAME) return bind_name(s, f, node);
    T0_TRY(bind_expression(s, f, node->a));
    T0_TRY(bind_expression(s, f, node->b));
    T0_TRY(bind_expression(s, f, node->c));
    for (uint32_t i = 0; i < node->count; i++) T0_TRY(bind_expression(s, f, node->items[i]));
    if (node->kind != T_CALL || node->fn || node->a->slot >= 0) return T0_OK;
    return t0_fail_at(s->err, node->a->line, node->a->column,
                      "function '%.60s' does not exist: a template may call range, zip, dict, namespace, joiner, cycler and its own macros",
                      PyUnicode_AsUTF8(node->a->value));
}

static t0_status bind_body(scope *s, frame *f, t0_node *node);

static t0_status clone_target(scope *s, const t0_node *node, t0_node **out) {
    t0_node *copy = t0_template_get(s->template, sizeof *copy);
    if (!copy) return t0_fail_memory(s->err, sizeof *copy);
    *copy = *node;
    *out = copy;
    if (!node->count) return T0_OK;
    copy->items = t0_template_get(s->template, node->count * sizeof *copy->items);
    if (!copy->items) return t0_fail_memory(s->err, node->count * sizeof *copy->items);
    for (uint32_t i = 0; i < node->count; i++) T0_TRY(clone_target(s, node->items[i], &copy->items[i]));
    return T0_OK;
}

static bool target_has(const t0_node *node, const char *name) {
    if (node->kind == T_NAME) return PyUnicode_CompareWithASCIIString(node->value, name) == 0;
    if (node->kind == T_TUPLE)
        for (uint32_t i = 0; i < node->count; i++)
            if (target_has(node->items[i], name)) return true;
    return false;
}

static bool expression_reads_loop(scope *s, const t0_node *node) {
    if (!node) return false;
    s->work++;
    if (node->kind == T_NAME) return PyUnicode_CompareWithASCIIString(node->value, "loop") == 0;
    if (expression_reads_loop(s, node->a) || expression_reads_loop(s, node->b) || expression_reads_loop(s, node->c)) return true;
    for (uint32_t i = 0; i < node->count; i++)
        if (expression_reads_loop(s, node->items[i])) return true;
    return false;
}

/* Does the body mention `loop`? It also refuses an assignment to it. */
static t0_status body_reads_loop(scope *s, const t0_node *node, bool *reads) {
    for (; node; node = node->next) {
        s->work++;
        T0_TRY(check_work(s, node));
        if ((node->kind == T_SET || node->kind == T_SETBLOCK || node->kind == T_MACRO) && node->a && target_has(node->a, "loop"))
            return t0_fail_at(s->err, node->line, node->column, "the name loop cannot be set inside a loop: use another name");
        if (node->kind == T_IF) {
            *reads = *reads || expression_reads_loop(s, node->a);
            T0_TRY(body_reads_loop(s, node->b, reads));
            T0_TRY(body_reads_loop(s, node->c, reads));
        } else if (node->kind == T_FOR) {
            const t0_loop_parts *parts = node->loop;
            if (target_has(parts->target, "loop"))
                return t0_fail_at(s->err, node->line, node->column, "the name loop cannot be a loop's target: use another name");
            *reads = *reads || expression_reads_loop(s, parts->iter) || expression_reads_loop(s, parts->test);
            T0_TRY(body_reads_loop(s, parts->body, reads));
            T0_TRY(body_reads_loop(s, parts->otherwise, reads));
        } else {
            *reads = *reads || expression_reads_loop(s, node->a) || expression_reads_loop(s, node->b) || expression_reads_loop(s, node->c);
            for (uint32_t i = 0; i < node->count; i++) *reads = *reads || expression_reads_loop(s, node->items[i]);
            if (node->loop) T0_TRY(body_reads_loop(s, node->loop->body, reads));
        }
    }
    return T0_OK;
}

static t0_status bind_test(scope *s, frame *f, t0_loop_parts *parts) {
    frame test = {.parent = f};
    T0_TRY(clone_target(s, parts->target, &parts->test_target));
    T0_TRY(note_target(s, &test, &test.names, parts->test_target, true));
    T0_TRY(note_expression(s, &test, &test.names, parts->test));
    T0_TRY(bind_expression(s, &test, parts->test_target));
    T0_TRY(bind_expression(s, &test, parts->test));
    return frame_inits(s, &test, &parts->test_inits, &parts->n_test_inits);
}

static t0_status bind_loop_body(scope *s, frame *f, t0_loop_parts *parts, bool reads_loop) {
    frame body = {.parent = f};
    if (reads_loop) {
        PyObject *const name = t0_keep(s->template->constants, PyUnicode_InternFromString("loop"));
        if (!name) return t0_fail(s->err, T0_EPYTHON, "Python error");
        T0_TRY(define(s, &body, &body.names, name, LOAD_PARAMETER, T0_NO_SLOT, true));
        parts->loop_slot = find(s, &body.names, name)->slot;
    }
    T0_TRY(note_target(s, &body, &body.names, parts->target, true));
    T0_TRY(note_body(s, &body, &body.names, parts->body));
    T0_TRY(bind_expression(s, &body, parts->target));
    T0_TRY(bind_body(s, &body, parts->body));
    return frame_inits(s, &body, &parts->inits, &parts->n_inits);
}

static t0_status bind_for(scope *s, frame *f, t0_node *node) {
    t0_loop_parts *const parts = node->loop;
    parts->first = s->template->n_slots;
    T0_TRY(bind_expression(s, f, parts->iter));
    if (target_has(parts->target, "loop"))
        return t0_fail_at(s->err, node->line, node->column, "the name loop cannot be a loop's target: use another name");
    bool reads = parts->recursive;
    T0_TRY(body_reads_loop(s, parts->body, &reads));
    if (parts->otherwise) {
        bool unused = false;
        T0_TRY(body_reads_loop(s, parts->otherwise, &unused));
    }
    if (parts->test) T0_TRY(bind_test(s, f, parts));
    T0_TRY(bind_loop_body(s, f, parts, reads));
    if (parts->otherwise) {
        frame otherwise = {.parent = f};
        T0_TRY(note_body(s, &otherwise, &otherwise.names, parts->otherwise));
        T0_TRY(bind_body(s, &otherwise, parts->otherwise));
        T0_TRY(frame_inits(s, &otherwise, &parts->else_inits, &parts->n_else_inits));
    }
    parts->end = s->template->n_slots;
    return T0_OK;
}

/* The body of a set block, filter block, with or macro, whose frame already knows its parameters. */
static t0_status bind_block(scope *s, frame *inner, t0_loop_parts *parts) {
    T0_TRY(note_body(s, inner, &inner->names, parts->body));
    T0_TRY(bind_body(s, inner, parts->body));
    return frame_inits(s, inner, &parts->inits, &parts->n_inits);
}

static t0_status bind_capture(scope *s, frame *f, t0_node *node) {
    frame inner = {.parent = f};
    if (node->a) T0_TRY(bind_expression(s, f, node->a));
    T0_TRY(note_body(s, &inner, &inner.names, node->loop->body));
    T0_TRY(note_expression(s, &inner, &inner.names, node->c));
    T0_TRY(bind_expression(s, &inner, node->c));
    return bind_block(s, &inner, node->loop);
}

static t0_status bind_with(scope *s, frame *f, t0_node *node) {
    frame inner = {.parent = f};
    for (uint32_t i = 0; i < node->count; i += 2) {
        T0_TRY(bind_expression(s, f, node->items[i + 1]));
        T0_TRY(note_target(s, &inner, &inner.names, node->items[i], true));
        T0_TRY(bind_expression(s, &inner, node->items[i]));
    }
    return bind_block(s, &inner, node->loop);
}

/* Defaults belong to the body: one may read the parameters before it. */
static t0_status bind_macro(scope *s, frame *f, t0_node *node) {
    frame inner = {.parent = f};
    T0_TRY(bind_expression(s, f, node->a));
    node->loop->first = s->template->n_slots;
    for (uint32_t i = 0; i < node->count; i += 2) T0_TRY(note_target(s, &inner, &inner.names, node->items[i], true));
    for (uint32_t i = 1; i < node->count; i += 2) T0_TRY(note_expression(s, &inner, &inner.names, node->items[i]));
    T0_TRY(bind_block(s, &inner, node->loop));
    for (uint32_t i = 0; i < node->count; i++) T0_TRY(bind_expression(s, &inner, node->items[i]));
    node->loop->end = s->template->n_slots;
    return T0_OK;
}

static t0_status bind_body(scope *s, frame *f, t0_node *node) {
    for (; node; node = node->next) {
        if (node->kind == T_PRINT) T0_TRY(bind_expression(s, f, node->a));
        else if (node->kind == T_IF) {
            T0_TRY(bind_expression(s, f, node->a));
            T0_TRY(bind_body(s, f, node->b));
            T0_TRY(bind_body(s, f, node->c));
        } else if (node->kind == T_FOR) T0_TRY(bind_for(s, f, node));
        else if (node->kind == T_SET) {
            T0_TRY(bind_expression(s, f, node->b));
            T0_TRY(bind_expression(s, f, node->a));
        } else if (node->kind == T_SETBLOCK) T0_TRY(bind_capture(s, f, node));
        else if (node->kind == T_WITH) T0_TRY(bind_with(s, f, node));
        else if (node->kind == T_MACRO) T0_TRY(bind_macro(s, f, node));
    }
    return T0_OK;
}

t0_status t0_scope_resolve(t0_template *template, t0_error *err) {
    scope s = {.template = template, .err = err};
    frame top = {0};
    T0_TRY(note_body(&s, &top, &top.names, template->body));
    T0_TRY(bind_body(&s, &top, template->body));
    return frame_inits(&s, &top, &template->inits, &template->n_inits);
}
