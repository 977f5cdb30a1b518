/* From a text to a template: tokens (lexer.c), the tree (statements.c, parser.c, bindings.c), slots for names (scope.c). */
#include "template/compile.h"

#include "template/scope.h"
#include "template/statements.h"
#include "template/tokens.h"

#include <assert.h>
#include <string.h>

t0_status t0_template_compile(t0_template *out, PyObject *source, unsigned adds, t0_error *err) {
    assert(PyUnicode_Check(source) && adds <= (T0_ADD_TRUNCATE | T0_ADD_HIGHLIGHT));
    memset(out, 0, sizeof *out);
    t0_parser p = {.template = out, .err = err, .adds = (uint8_t)adds};
    out->constants = PyList_New(0);
    if (!out->constants) return t0_fail(err, T0_EPYTHON, "Python error");
    t0_status status = t0_lexer_open(&p.lexer, source, out->constants, err);
    if (status == T0_OK) status = t0_parser_advance(&p);
    if (status == T0_OK) status = t0_parse_body(&p, NULL, &out->body);
    if (status == T0_OK) status = t0_scope_resolve(out, err);
    t0_lexer_close(&p.lexer);
    t0_arena_free(&out->scratch);
    if (status != T0_OK) t0_template_clear(out);
    return status;
}
