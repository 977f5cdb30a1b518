/* Splits a template into tokens, as Jinja's lexer does with its default delimiters.
 *
 *     text   up to the next {{ {% {#, white space before it dropped where the tag begins with -
 *     {# #}  comment; {% raw %} ... {% endraw %} text; -%} -}} -#} drop the white space after them
 *     inside a tag: float, integer, name, string, operator, in this order, and the end of the tag only where brackets
 *     are closed, so that {{ {"a": {}} }} ends at the last pair of braces
 *
 * White space is what str.isspace accepts. Numbers are ASCII digits with single _ between digits. */
#include "template/lexer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

t0_status t0_fail_at(t0_error *err, uint32_t line, uint32_t column, const char *format, ...) {
    err->status = T0_ETEMPLATE;
    err->line = (int)line;
    err->column = (int)column;
    const int used = snprintf(err->message, sizeof err->message, "line %u, column %u: ", line, column);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->message + used, sizeof err->message - (size_t)used, format, arguments);
    va_end(arguments);
    return T0_ETEMPLATE;
}

PyObject *t0_keep(PyObject *constants, PyObject *object) {
    assert(PyList_CheckExact(constants));
    if (!object) return NULL;
    const int failed = PyList_Append(constants, object);
    Py_DECREF(object);
    return failed ? NULL : object;
}

static t0_status python_failed(t0_error *err) { return t0_fail(err, T0_EPYTHON, "Python error"); }

t0_status t0_lexer_open(t0_lexer *lexer, PyObject *source, PyObject *constants, t0_error *err) {
    memset(lexer, 0, sizeof *lexer);
    lexer->constants = constants;
    lexer->line = 1;
    lexer->text = PyUnicode_AsUCS4Copy(source);
    if (!lexer->text) return python_failed(err);
    const Py_ssize_t size = PyUnicode_GET_LENGTH(source);
    Py_ssize_t out = 0;
    for (Py_ssize_t i = 0; i < size; i++) {
        const Py_UCS4 c = lexer->text[i];
        if (c == '\r' && i + 1 < size && lexer->text[i + 1] == '\n') continue;
        lexer->text[out++] = c == '\r' ? '\n' : c;
    }
    if (out && lexer->text[out - 1] == '\n') out--;
    lexer->size = out;
    return T0_OK;
}

void t0_lexer_close(t0_lexer *lexer) {
    PyMem_Free(lexer->text);
    lexer->text = NULL;
}

static uint32_t column_of(const t0_lexer *lexer) { return (uint32_t)(lexer->at - lexer->line_start) + 1; }

static Py_UCS4 peek(const t0_lexer *lexer, Py_ssize_t ahead) {
    const Py_ssize_t at = lexer->at + ahead;
    return at < lexer->size ? lexer->text[at] : 0;
}

static void advance(t0_lexer *lexer, Py_ssize_t to) {
    assert(lexer->at <= to && to <= lexer->size);
    for (; lexer->at < to; lexer->at++)
        if (lexer->text[lexer->at] == '\n') {
            lexer->line++;
            lexer->line_start = lexer->at + 1;
        }
}

static void skip_space(t0_lexer *lexer) {
    Py_ssize_t to = lexer->at;
    while (to < lexer->size && Py_UNICODE_ISSPACE(lexer->text[to])) to++;
    advance(lexer, to);
}

static bool matches(const t0_lexer *lexer, Py_ssize_t at, const char *word) {
    for (; *word; word++, at++)
        if (at >= lexer->size || lexer->text[at] != (Py_UCS4)*word) return false;
    return true;
}

static t0_status give_text(t0_lexer *lexer, t0_token *out, Py_ssize_t from, Py_ssize_t to, t0_error *err) {
    out->kind = K_DATA;
    out->value = t0_keep(lexer->constants, PyUnicode_FromKindAndData(PyUnicode_4BYTE_KIND, lexer->text + from, to - from));
    return out->value ? T0_OK : python_failed(err);
}

/* The end of `{% raw %}` or `{% endraw %}` at `at` (its "{%"), or -1; *strips: it asks to drop what precedes it. */
static Py_ssize_t raw_tag(const t0_lexer *lexer, Py_ssize_t at, const char *word, bool *strips, bool *eats) {
    if (!matches(lexer, at, "{%")) return -1;
    at += 2;
    *strips = at < lexer->size && lexer->text[at] == '-';
    if (at < lexer->size && (lexer->text[at] == '-' || lexer->text[at] == '+')) at++;
    while (at < lexer->size && Py_UNICODE_ISSPACE(lexer->text[at])) at++;
    if (!matches(lexer, at, word)) return -1;
    at += (Py_ssize_t)strlen(word);
    while (at < lexer->size && Py_UNICODE_ISSPACE(lexer->text[at])) at++;
    *eats = at < lexer->size && lexer->text[at] == '-';
    if (*eats || (word[0] == 'e' && at < lexer->size && lexer->text[at] == '+')) at++;
    return matches(lexer, at, "%}") ? at + 2 : -1;
}

static Py_ssize_t strip_end(const t0_lexer *lexer, Py_ssize_t from, Py_ssize_t to) {
    while (to > from && Py_UNICODE_ISSPACE(lexer->text[to - 1])) to--;
    return to;
}

/* A raw section whose opening tag ends at `body`: gives its text. */
static t0_status lex_raw(t0_lexer *lexer, Py_ssize_t body, bool eats, t0_token *out, t0_error *err) {
    advance(lexer, body);
    if (eats) skip_space(lexer);
    for (Py_ssize_t at = lexer->at; at < lexer->size; at++) {
        bool strips, eats_after;
        const Py_ssize_t end = raw_tag(lexer, at, "endraw", &strips, &eats_after);
        if (end < 0) continue;
        T0_TRY(give_text(lexer, out, lexer->at, strips ? strip_end(lexer, lexer->at, at) : at, err));
        advance(lexer, end);
        if (eats_after) skip_space(lexer);
        return T0_OK;
    }
    return t0_fail_at(err, out->line, out->column, "{%% raw %%} has no {%% endraw %%}: add it");
}

static t0_status skip_comment(t0_lexer *lexer, t0_error *err) {
    const uint32_t line = lexer->line, column = column_of(lexer);
    Py_ssize_t at = lexer->at + 2;
    if (at < lexer->size && (lexer->text[at] == '-' || lexer->text[at] == '+')) at++;
    const Py_ssize_t start = at; /* in {#-#} the sign belongs to the beginning */
    for (; at < lexer->size; at++) {
        if (!matches(lexer, at, "#}")) continue;
        const bool eats = at > start && lexer->text[at - 1] == '-';
        advance(lexer, at + 2);
        if (eats) skip_space(lexer);
        return T0_OK;
    }
    return t0_fail_at(err, line, column, "comment without end: add #}");
}

/* The next tag at or after `at`: its offset, or size. */
static Py_ssize_t find_tag(const t0_lexer *lexer, Py_ssize_t at) {
    for (; at + 1 < lexer->size; at++)
        if (lexer->text[at] == '{') {
            const Py_UCS4 c = lexer->text[at + 1];
            if (c == '{' || c == '%' || c == '#') return at;
        }
    return lexer->size;
}

/* {{ or {%, where the lexer stands. */
static void begin_tag(t0_lexer *lexer, t0_token *out) {
    const bool block = peek(lexer, 1) == '%';
    out->kind = block ? K_BLOCK_BEGIN : K_PRINT_BEGIN;
    lexer->state = block ? LEX_BLOCK : LEX_PRINT;
    const Py_UCS4 sign = peek(lexer, 2);
    advance(lexer, lexer->at + 2 + (sign == '-' || sign == '+'));
}

/* In text: data up to the next tag, then (a call later) the beginning of that tag. */
static t0_status lex_text(t0_lexer *lexer, t0_token *out, t0_error *err) {
    for (;;) {
        out->line = lexer->line;
        out->column = column_of(lexer);
        if (lexer->at >= lexer->size) {
            out->kind = K_END;
            return T0_OK;
        }
        const Py_ssize_t tag = find_tag(lexer, lexer->at);
        const bool strips = tag + 2 < lexer->size && lexer->text[tag + 2] == '-';
        const Py_ssize_t end = strips ? strip_end(lexer, lexer->at, tag) : tag;
        if (end > lexer->at) {
            T0_TRY(give_text(lexer, out, lexer->at, end, err));
            advance(lexer, tag);
            return T0_OK;
        }
        advance(lexer, tag);
        if (tag >= lexer->size) continue;
        out->line = lexer->line;
        out->column = column_of(lexer);
        bool unused, eats;
        const Py_ssize_t raw = raw_tag(lexer, tag, "raw", &unused, &eats);
        if (raw >= 0) return lex_raw(lexer, raw, eats, out, err);
        if (lexer->text[tag + 1] != '#') return begin_tag(lexer, out), T0_OK;
        T0_TRY(skip_comment(lexer, err));
    }
}

static bool is_digit(Py_UCS4 c) { return c >= '0' && c <= '9'; }

/* The end of digits with single underscores between them, from `at`; `at` itself where there are none. */
static Py_ssize_t digits_end(const t0_lexer *lexer, Py_ssize_t at) {
    if (at >= lexer->size || !is_digit(lexer->text[at])) return at;
    for (;;) {
        while (at < lexer->size && is_digit(lexer->text[at])) at++;
        if (at + 1 < lexer->size && lexer->text[at] == '_' && is_digit(lexer->text[at + 1])) at++;
        else return at;
    }
}

static Py_ssize_t float_end(const t0_lexer *lexer) {
    if (lexer->at > 0 && lexer->text[lexer->at - 1] == '.') return -1;
    Py_ssize_t at = digits_end(lexer, lexer->at);
    bool is_float = false;
    if (at + 1 < lexer->size && lexer->text[at] == '.' && is_digit(lexer->text[at + 1])) {
        at = digits_end(lexer, at + 1);
        is_float = true;
    }
    if (at < lexer->size && (lexer->text[at] == 'e' || lexer->text[at] == 'E')) {
        Py_ssize_t power = at + 1;
        if (power < lexer->size && (lexer->text[power] == '+' || lexer->text[power] == '-')) power++;
        const Py_ssize_t end = digits_end(lexer, power);
        if (end > power) return end;
    }
    return is_float ? at : -1;
}

static Py_ssize_t integer_end(const t0_lexer *lexer) {
    const Py_ssize_t at = lexer->at;
    const Py_UCS4 second = peek(lexer, 1);
    const int base = second == 'x' || second == 'X' ? 16 : second == 'o' || second == 'O' ? 8 : second == 'b' || second == 'B' ? 2 : 0;
    if (lexer->text[at] != '0') return digits_end(lexer, at);
    Py_ssize_t end = at + (base ? 2 : 1);
    for (;;) {
        const Py_ssize_t place = end < lexer->size && lexer->text[end] == '_' ? end + 1 : end;
        const Py_UCS4 c = place < lexer->size ? lexer->text[place] : 0;
        const int value = is_digit(c)            ? (int)(c - '0')
                          : c >= 'a' && c <= 'f' ? (int)(c - 'a' + 10)
                          : c >= 'A' && c <= 'F' ? (int)(c - 'A' + 10)
                                                 : 99;
        if (value >= (base ? base : 1)) break;
        end = place + 1;
    }
    return base && end == at + 2 ? at + 1 : end;
}

static t0_status lex_number(t0_lexer *lexer, t0_token *out, t0_error *err) {
    Py_ssize_t end = float_end(lexer);
    out->kind = end > 0 ? K_FLOAT : K_INTEGER;
    if (end < 0) end = integer_end(lexer);
    char digits[256];
    size_t n = 0;
    for (Py_ssize_t at = lexer->at; at < end; at++) {
        if (lexer->text[at] == '_') continue;
        if (n + 1 >= sizeof digits) return t0_fail_at(err, out->line, out->column, "a number of more than 255 digits: shorten it");
        digits[n++] = (char)lexer->text[at];
    }
    digits[n] = 0;
    if (out->kind == K_INTEGER) out->value = t0_keep(lexer->constants, PyLong_FromString(digits, NULL, 0));
    else {
        const double value = PyOS_string_to_double(digits, NULL, NULL);
        if (value == -1.0 && PyErr_Occurred()) return python_failed(err);
        out->value = t0_keep(lexer->constants, PyFloat_FromDouble(value));
    }
    if (!out->value) return python_failed(err);
    advance(lexer, end);
    return T0_OK;
}

static bool is_name_char(Py_UCS4 c) {
    if (c < 128) return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (Py_UNICODE_ISALNUM(c)) return true;
    PyObject *both = PyUnicode_FromFormat("a%c", (int)c); /* a combining mark may continue a name */
    const bool continues = both && PyUnicode_IsIdentifier(both) == 1;
    Py_XDECREF(both);
    return continues;
}

static t0_status lex_name(t0_lexer *lexer, t0_token *out, t0_error *err) {
    Py_ssize_t end = lexer->at;
    while (end < lexer->size && is_name_char(lexer->text[end])) end++;
    out->kind = K_NAME;
    PyObject *name = PyUnicode_FromKindAndData(PyUnicode_4BYTE_KIND, lexer->text + lexer->at, end - lexer->at);
    if (!name) return python_failed(err);
    PyUnicode_InternInPlace(&name);
    out->value = t0_keep(lexer->constants, name);
    if (!out->value) return python_failed(err);
    if (PyUnicode_IsIdentifier(out->value) != 1)
        return t0_fail_at(err, out->line, out->column, "invalid character in a name: use letters, digits and _");
    advance(lexer, end);
    return T0_OK;
}

/* Escapes as Python's unicode_escape codec reads them; a backslash before any other character stays. */
static PyObject *unescape(PyObject *raw) {
    PyObject *ascii = PyUnicode_AsEncodedString(raw, "ascii", "backslashreplace");
    if (!ascii) return NULL;
    const char *in = PyBytes_AS_STRING(ascii);
    const Py_ssize_t size = PyBytes_GET_SIZE(ascii);
    PyObject *out = NULL;
    char *clean = PyMem_Malloc((size_t)size * 2 + 1);
    if (clean) {
        Py_ssize_t n = 0;
        for (Py_ssize_t i = 0; i < size; i++) {
            clean[n++] = in[i];
            if (in[i] != '\\' || i + 1 == size) continue;
            if (strchr("\n\\'\"abfnrtv01234567xNuU", in[i + 1])) clean[n++] = in[++i];
            else clean[n++] = '\\'; /* an unknown escape: keeping the backslash without the codec's warning */
        }
        out = PyUnicode_DecodeUnicodeEscape(clean, n, "strict");
        PyMem_Free(clean);
    } else PyErr_NoMemory();
    Py_DECREF(ascii);
    return out;
}

static t0_status lex_string(t0_lexer *lexer, t0_token *out, t0_error *err) {
    const Py_UCS4 quote = lexer->text[lexer->at];
    Py_ssize_t end = lexer->at + 1;
    bool plain = true;
    while (end < lexer->size && lexer->text[end] != quote) {
        plain = plain && lexer->text[end] != '\\';
        end += lexer->text[end] == '\\' ? 2 : 1;
    }
    if (end >= lexer->size) return t0_fail_at(err, out->line, out->column, "a string without end: close it with %c", (char)quote);
    PyObject *text = PyUnicode_FromKindAndData(PyUnicode_4BYTE_KIND, lexer->text + lexer->at + 1, end - lexer->at - 1);
    if (text && !plain) Py_SETREF(text, unescape(text));
    if (!text && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
        PyErr_Clear();
        return t0_fail_at(err, out->line, out->column, "a broken \\x, \\u, \\U or \\N escape in a string");
    }
    out->kind = K_STRING;
    if (text) PyUnicode_InternInPlace(&text);
    out->value = t0_keep(lexer->constants, text);
    if (!out->value) return python_failed(err);
    advance(lexer, end + 1);
    return T0_OK;
}

static const struct {
    char text[3];
    uint8_t kind;
} operators[] = {{"//", K_FLOORDIV}, {"**", K_POW},     {"==", K_EQ},    {"!=", K_NE},    {">=", K_GE},    {"<=", K_LE},
                 {"+", K_ADD},       {"-", K_SUB},      {"/", K_DIV},    {"*", K_MUL},    {"%", K_MOD},    {"~", K_TILDE},
                 {"[", K_LBRACKET},  {"]", K_RBRACKET}, {"(", K_LPAREN}, {")", K_RPAREN}, {"{", K_LBRACE}, {"}", K_RBRACE},
                 {">", K_GT},        {"<", K_LT},       {"=", K_ASSIGN}, {".", K_DOT},    {":", K_COLON},  {"|", K_PIPE},
                 {",", K_COMMA},     {";", K_SEMICOLON}};

/* Keeps the stack of open brackets. */
static t0_status balance(t0_lexer *lexer, const t0_token *token, t0_error *err) {
    const t0_token_kind kind = token->kind;
    const char closes = kind == K_LBRACE ? '}' : kind == K_LPAREN ? ')' : kind == K_LBRACKET ? ']' : 0;
    if (closes) {
        if (lexer->n_brackets == T0_BRACKETS_MAX)
            return t0_fail_at(err, token->line, token->column, "more than %d brackets open: nest less", T0_BRACKETS_MAX);
        lexer->brackets[lexer->n_brackets++] = closes;
        return T0_OK;
    }
    const char closed = kind == K_RBRACE ? '}' : kind == K_RPAREN ? ')' : kind == K_RBRACKET ? ']' : 0;
    if (!closed) return T0_OK;
    if (lexer->n_brackets == 0) return t0_fail_at(err, token->line, token->column, "unexpected '%c': nothing is open", closed);
    const char expected = lexer->brackets[--lexer->n_brackets];
    if (expected == closed) return T0_OK;
    return t0_fail_at(err, token->line, token->column, "unexpected '%c', expected '%c'", closed, expected);
}

/* The end of the tag, if it stands here. */
static bool lex_end(t0_lexer *lexer, t0_token *out) {
    if (lexer->n_brackets) return false;
    const bool block = lexer->state == LEX_BLOCK;
    const Py_UCS4 sign = peek(lexer, 0);
    const bool eats = sign == '-', keeps = block && sign == '+';
    const Py_ssize_t at = lexer->at + (eats || keeps);
    if (!matches(lexer, at, block ? "%}" : "}}")) return false;
    out->kind = block ? K_BLOCK_END : K_PRINT_END;
    advance(lexer, at + 2);
    if (eats) skip_space(lexer);
    lexer->state = LEX_TEXT;
    return true;
}

t0_status t0_lexer_next(t0_lexer *lexer, t0_token *out, t0_error *err) {
    memset(out, 0, sizeof *out);
    if (lexer->state == LEX_TEXT) return lex_text(lexer, out, err);
    for (;;) {
        out->line = lexer->line;
        out->column = column_of(lexer);
        if (lexer->at >= lexer->size) {
            out->kind = K_END;
            return T0_OK;
        }
        if (lex_end(lexer, out)) return T0_OK;
        if (!Py_UNICODE_ISSPACE(lexer->text[lexer->at])) break;
        skip_space(lexer);
    }
    const Py_UCS4 c = lexer->text[lexer->at];
    if (is_digit(c)) return lex_number(lexer, out, err);
    if (is_name_char(c)) return lex_name(lexer, out, err);
    if (c == '"' || c == '\'') return lex_string(lexer, out, err);
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (!matches(lexer, lexer->at, operators[i].text)) continue;
        out->kind = (t0_token_kind)operators[i].kind;
        advance(lexer, lexer->at + (Py_ssize_t)strlen(operators[i].text));
        return balance(lexer, out, err);
    }
    return t0_fail_at(err, out->line, out->column, "unexpected character U+%04X", (unsigned)c);
}
