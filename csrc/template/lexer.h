/* Tokens of the template language. The lexer hands out one at a time; the parser looks one ahead. */
#ifndef T0_TEMPLATE_LEXER_H
#define T0_TEMPLATE_LEXER_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "base/status.h"

typedef enum t0_token_kind {
    K_END,
    K_DATA,
    K_PRINT_BEGIN,
    K_PRINT_END,
    K_BLOCK_BEGIN,
    K_BLOCK_END,
    K_NAME,
    K_STRING,
    K_INTEGER,
    K_FLOAT,
    K_ADD,
    K_SUB,
    K_MUL,
    K_DIV,
    K_FLOORDIV,
    K_MOD,
    K_POW,
    K_TILDE,
    K_LBRACKET,
    K_RBRACKET,
    K_LPAREN,
    K_RPAREN,
    K_LBRACE,
    K_RBRACE,
    K_EQ,
    K_NE,
    K_GT,
    K_GE,
    K_LT,
    K_LE,
    K_ASSIGN,
    K_DOT,
    K_COLON,
    K_PIPE,
    K_COMMA,
    K_SEMICOLON
} t0_token_kind;

typedef struct t0_token {
    t0_token_kind kind;
    bool added;           /* by the compiler: it stands in no text */
    PyObject *value;      /* data, names (interned), strings, numbers; owned by `constants` */
    uint32_t line, column;
} t0_token;

enum { T0_BRACKETS_MAX = 200 };

typedef struct t0_lexer {
    Py_UCS4 *text;          /* owned; newlines are \n, one final newline dropped */
    Py_ssize_t size, at;
    Py_ssize_t line_start;  /* offset of the current line */
    uint32_t line;
    enum { LEX_TEXT, LEX_PRINT, LEX_BLOCK } state;
    char brackets[T0_BRACKETS_MAX];
    int n_brackets;
    PyObject *constants;    /* borrowed list that keeps values alive */
} t0_lexer;

t0_status t0_lexer_open(t0_lexer *lexer, PyObject *source, PyObject *constants, t0_error *err);
t0_status t0_lexer_next(t0_lexer *lexer, t0_token *out, t0_error *err);
void t0_lexer_close(t0_lexer *lexer);

/* Fills err with the place and the message. */
t0_status t0_fail_at(t0_error *err, uint32_t line, uint32_t column, const char *format, ...) T0_PRINTF(4, 5);

/* Appends to `constants` and drops the caller's reference: the list keeps the object. NULL stays NULL. */
PyObject *t0_keep(PyObject *constants, PyObject *object);

#endif
