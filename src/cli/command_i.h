/* cli/command_i.h: the table of commands and what a parsed command line looks like.
 *
 * Grammar.  byre [OPTION...] COMMAND [ARG...] [-- COMMAND [ARG...]]...
 *           COMMAND is NOUN VERB ("vm start"; a verb may have two words, "vm snapshot create") or
 *           a generic VERB ("list"); options may stand anywhere.  Commands joined by "--" must all be changes; they are one transaction.
 * A command is one row of one cmd_*.c; nothing else needs an edit to add one. */
#ifndef CLI_COMMAND_I_H
#define CLI_COMMAND_I_H 1

#include "base/base.h"
#include "base/str.h"
#include "base/vec.h"

struct cli;
struct args;

struct opt_spec {
    const char *name; /* Without "--". */
    const char *arg;  /* What its value is called in help; NULL: a flag. */
    const char *help; /* One line. */
    const char
        *complete; /* What completes its value: a table, or words "a|b|c"; or NULL. */
    char letter;   /* 0: none. */
};

enum command_flags {
    CMD_CHANGE = 1,  /* Adds to the transaction; may be joined by "--". */
    CMD_LIST = 2,    /* Takes -c, --where, --sort, --no-headers, -w. */
    CMD_OFFLINE = 4, /* Needs no database. */
    CMD_HIDDEN = 8,  /* Not in the overview of help. */
};

struct command {
    const char *noun; /* NULL: a generic verb. */
    const char *verb; /* One word, or two. */
    const char *args; /* "NAME... [FILE]": for help, and how many are allowed. */
    const char *help; /* One line. */
    struct err *(*run)(struct cli *, const struct args *);
    int flags;
    const struct opt_spec *opts; /* Ends with a NULL name; NULL: none. */
    const char *complete; /* A word per positional, the last one repeats: a table's name
                                    ("vm"), "table", "row", "column", "file", words "on|off". */
    const char *more;     /* Examples and details for `--help`, whole lines; or NULL. */
};

/* All commands, nouns first, each file's in its order.  Ends with a NULL verb. */
const struct command *command_at(size_t i); /* NULL behind the last. */
extern const struct command cmds_cluster[], cmds_node[], cmds_pool[], cmds_vol[],
    cmds_image[], cmds_preset[], cmds_vmi[], cmds_vm[], cmds_vm_parts[], cmds_network[],
    cmds_ip[], cmds_job[], cmds_stats[], cmds_top[], cmds_table[], cmds_help[];

/* "vm start", "list".  Caller frees. */
char *command_name(const struct command *);
/* How many positionals 'c' takes; *ret_max is SIZE_MAX without a limit. */
void command_arity(const struct command *c, size_t *ret_min, size_t *ret_max);
/* Finds the command that 'words' begin with.  ERR_SYNTAX with a suggestion.  *ret_used:
 * words that are its name. */
struct err *command_find(const struct strvec *words, const struct command **ret,
                         size_t *ret_used) MUST_CHECK;
extern const struct opt_spec opts_global[], opts_list[];

struct opt_value {
    const struct opt_spec *spec;
    char *value; /* NULL for a flag. */
};

/* One command as it was typed. */
struct args {
    const struct command *command; /* NULL: only options were given. */
    struct strvec pos;
    VEC(struct opt_value) opts;
};

void args_done(struct args *);
/* Parses one command's words.  With 'lenient' nothing is missing or too much and unknown
 * options are skipped: for completion and for `--help`. */
struct err *args_parse(struct args *, char *const *words, size_t n_words,
                       bool lenient) MUST_CHECK;
bool args_has(const struct args *, const char *opt);
const char *args_get(const struct args *,
                     const char *opt); /* The last one's value, or NULL. */
/* The i-th value of a repeated option, or NULL. */
const char *args_nth(const struct args *, const char *opt, size_t i);
/* Numbers; absent leaves *ret alone.  ERR_SYNTAX names the option. */
struct err *args_int(const struct args *, const char *opt, int64_t min, int64_t max,
                     int64_t *ret) MUST_CHECK;
/* "1G", "512MiB"; without a suffix in units of 'unit' bytes. */
struct err *args_size(const struct args *, const char *opt, int64_t unit,
                      int64_t *ret_bytes) MUST_CHECK;
struct err *parse_size(const char *what, const char *text, int64_t unit,
                       int64_t *ret_bytes) MUST_CHECK;

#endif /* cli/command_i.h */
