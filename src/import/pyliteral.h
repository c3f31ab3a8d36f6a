/* import/pyliteral.h: Python's literals, read and never evaluated.
 *
 * Shape.   None, True, False, integers (also 0x1f, 0755, 12L), floats, strings ('...', "...", three quotes, with u, b and r before;
 *          adjacent ones are one), lists, tuples and sets as arrays, set([...]), dicts as objects (keys that are numbers become
 *          text).  That is what ast.literal_eval() takes, and Python 2's ways of printing.
 * Broken.  Files that were copied from a slide or a web page have strings broken over lines: the line end within a
 *          string of single quotes is dropped together with the blanks around it, as no path or option has any there.
 * Text.    Results are UTF-8.  A byte string that is none is taken for Latin-1.
 * Limits.  Depth, and the bytes of the text, below.  Errors are ERR_SYNTAX and name the line. */
#ifndef IMPORT_PYLITERAL_H
#define IMPORT_PYLITERAL_H 1

#include "base/arena.h"
#include "json/json.h"

#define PYLITERAL_MAX_BYTES (1 * MIB)
#define PYLITERAL_MAX_DEPTH 64
#define PYLITERAL_MAX_MEMBERS 4096 /* Of one dict. */
#define PYLITERAL_MAX_BREAKS 64    /* Line ends in one string of single quotes. */

/* One literal and nothing else.  'what' names the text in errors. */
struct err *pyliteral_parse(struct arena *, const char *what, const char *text,
                            size_t n_bytes, struct json *ret) MUST_CHECK;

/* A file of assignments, "name = literal", with comments; as an object.  Of a name that is assigned twice the last
 * value counts.  Anything else (a call, an import, an operator) is refused: it would have to be run. */
struct err *pyliteral_file(struct arena *, const char *what, const char *text,
                           size_t n_bytes, struct json *ret) MUST_CHECK;

#endif /* import/pyliteral.h */
