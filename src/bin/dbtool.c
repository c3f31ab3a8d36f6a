/* bin/dbtool.c: work on database files without a server; man page docs/man/byre-dbtool.1.
 * Commands and words are ovsdb-tool's where it has them. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/fs.h"
#include "data/schema.h"
#include "data/vmmgr_schema.h"
#include "dbserver/dbfile.h"
#include "journal/journal.h"

#define SCHEMA_MAX_BYTES ((size_t) (16 * MIB))

struct flags {
    bool if_not_exists, cut, more;
};

static void
db_close(struct journal **journal)
{
    journal_close(TAKE(*journal));
}

/* The canonical text of a schema: from a file, or Byre's own. */
static MUST_CHECK struct err *
read_schema(const char *path, struct schema **ret)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    if (!path) {
        return schema_parse_text(vmmgr_schema_text, strlen(vmmgr_schema_text), ret);
    }
    TRY(fs_read(path, SCHEMA_MAX_BYTES, &text));
    return err_wrap(schema_parse_text(text.data, text.n, ret), "schema %s", path);
}

static struct err *
do_create(const struct flags *f, char **argv)
{
    CLEANUP(schema_drop) struct schema *schema = NULL;
    CLEANUP(buf_done) struct buf text = BUF_INIT;

    if (f->if_not_exists && fs_exists(argv[0])) {
        return NULL;
    }
    TRY(read_schema(argv[1], &schema));
    schema_print(schema, &text);
    return err_wrap(journal_create(argv[0], buf_cstr(&text)), "create database %s",
                    argv[0]);
}

/* Opens and replays.  Damage is left to the caller to judge. */
static MUST_CHECK struct err *
open_db(const char *path, int flags, struct journal **ret_journal, struct db **ret_db)
{
    CLEANUP(db_close) struct journal *journal = NULL;
    TRY(journal_open(path, flags, &journal));
    TRY(dbfile_replay(journal, ret_db));
    *ret_journal = TAKE(journal);
    return NULL;
}

static struct err *
do_check(const struct flags *f UNUSED, char **argv)
{
    CLEANUP(db_close) struct journal *journal = NULL;
    CLEANUP(db_drop) struct db *db = NULL;
    TRY(open_db(argv[0], JOURNAL_READ_ONLY, &journal, &db));

    struct db_figures figures;
    const struct journal_damage *d = journal_damage(journal);
    db_figures(db, &figures);
    printf("%s: database %s, %" PRIu64 " good transactions, %" PRIu64 " rows, %" PRId64
           " good bytes\n",
           argv[0], db_schema(db)->name, journal_n_records(journal) - 1, figures.n_rows,
           journal_size(journal));
    if (!d->why) {
        return NULL;
    } else if (d->torn) {
        return err_hint(err_new(ERR_SYNTAX,
                                "torn at offset %" PRId64 ": the last %" PRId64
                                " bytes are no whole transaction: %s",
                                d->offset, d->n_bytes, err_text(d->why)),
                        "nothing: the server moves them aside with its first write");
    }
    return err_hint(err_new(ERR_SYNTAX,
                            "damaged at offset %" PRId64 " of %" PRId64
                            " bytes, and good transactions follow: %s",
                            d->offset, d->offset + d->n_bytes, err_text(d->why)),
                    "restore a copy, or keep what is before the damage with: "
                    "byre-dbtool compact --cut %s",
                    argv[0]);
}

static struct err *
do_compact(const struct flags *f, char **argv)
{
    CLEANUP(db_close) struct journal *journal = NULL;
    CLEANUP(db_drop) struct db *db = NULL;
    TRY(open_db(argv[0], 0, &journal, &db));

    int64_t before = journal_size(journal);
    if (f->cut) {
        journal_allow_cut(journal);
    }
    TRY(dbfile_compact(journal, db, "compacted by byre-dbtool"));
    printf("%s: %" PRId64 " bytes before, %" PRId64 " after\n", argv[0], before,
           journal_size(journal));
    return NULL;
}

static void
show_rows(const struct json *record)
{
    for (uint32_t t = 0; t < record->n; t++) {
        const struct json_member *table = &record->members[t];
        if (table->name[0] == '_' || table->value.type != JSON_OBJECT) {
            continue;
        }
        for (uint32_t r = 0; r < table->value.n; r++) {
            const struct json_member *row = &table->value.members[r];
            CLEANUP(free_drop) char *text = json_text(&row->value, JSON_SORTED);
            printf("  table %s row %s: %s\n", table->name, row->name,
                   row->value.type == JSON_NULL ? "deleted" : text);
        }
    }
}

static void
show_transaction(uint64_t number, const struct json *record, bool more)
{
    const char *comment = json_get_string(record, "_comment");
    int64_t date_ms;

    printf("record %" PRIu64 ":", number);
    if (json_get_int(record, "_date", &date_ms)) {
        date_ms *= date_ms < INT64_C(1) << 32 ? 1000 : 1; /* Ancient files have seconds. */
        time_t seconds = (time_t) (date_ms / 1000);
        struct tm tm;
        char text[32];
        if (gmtime_r(&seconds, &tm) &&
            strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm)) {
            printf(" %s.%03d", text, (int) (date_ms % 1000));
        }
    }
    if (comment) {
        CLEANUP(buf_done) struct buf quoted = BUF_INIT;
        json_print_string(comment, strlen(comment), &quoted);
        printf(" %s", buf_cstr(&quoted));
    }
    putchar('\n');
    if (more) {
        show_rows(record);
    }
}

static struct err *
do_show_log(const struct flags *f, char **argv)
{
    CLEANUP(db_close) struct journal *journal = NULL;
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(schema_drop) struct schema *schema = NULL;
    struct json record;
    bool more;

    TRY(journal_open(argv[0], JOURNAL_READ_ONLY, &journal));
    TRY(journal_read(journal, &arena, &record, &more));
    TRY(schema_parse(&record, &schema));
    printf("record 0: \"%s\" schema, version=\"%s\", cksum=\"%s\"\n", schema->name,
           schema->version, schema->cksum);
    for (uint64_t i = 1;; i++) {
        arena_reset(&arena);
        TRY(journal_read(journal, &arena, &record, &more));
        if (!more) {
            break;
        }
        show_transaction(i, &record, f->more);
    }
    const struct journal_damage *d = journal_damage(journal);
    return d->why ? err_hint(
                        err_new(ERR_SYNTAX, "stopped at the damage: %s", err_text(d->why)),
                        "see: byre-dbtool check %s", argv[0])
                  : NULL;
}

static MUST_CHECK struct err *
schema_of(const char *path, struct schema **ret)
{
    CLEANUP(db_close) struct journal *journal = NULL;
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json record;
    bool more;

    TRY(journal_open(path, JOURNAL_READ_ONLY, &journal));
    TRY(journal_read(journal, &arena, &record, &more));
    return err_wrap(schema_parse(&record, ret), "%s: the schema", path);
}

static struct err *
do_db_name(const struct flags *f UNUSED, char **argv)
{
    CLEANUP(schema_drop) struct schema *schema = NULL;
    TRY(schema_of(argv[0], &schema));
    puts(schema->name);
    return NULL;
}

static struct err *
do_db_version(const struct flags *f UNUSED, char **argv)
{
    CLEANUP(schema_drop) struct schema *schema = NULL;
    TRY(schema_of(argv[0], &schema));
    puts(schema->version);
    return NULL;
}

static const struct command {
    const char *name, *args, *help;
    int min_args, max_args;
    struct err *(*run)(const struct flags *,
                       char **argv); /* argv[max_args - 1] may be NULL. */
} commands[] = {
    { "create", "DB [SCHEMA]", "a new database file (Byre's own schema unless given)", 1, 2,
      do_create },
    { "check", "DB", "read all of it; tell whether and where it is damaged", 1, 1,
      do_check },
    { "compact", "DB", "keep the rows, forget how they came about", 1, 1, do_compact },
    { "show-log", "DB", "the transactions: when, why, by whom; with -m what", 1, 1,
      do_show_log },
    { "db-name", "DB", "the database's name", 1, 1, do_db_name },
    { "db-version", "DB", "the schema's version", 1, 1, do_db_version },
};

static void
print_usage(FILE *to)
{
    fputs("usage: byre-dbtool [OPTION]... COMMAND [ARG]...\n", to);
    for (size_t i = 0; i < N_ELEMS(commands); i++) {
        fprintf(to, "  %-10s %-12s %s\n", commands[i].name, commands[i].args,
                commands[i].help);
    }
    fputs(
        "options: --if-not-exists (create), --cut (compact: drop what is behind damage; it is\n"
        "         saved beside the file), -m, --more (show-log), -h, --help, -V, --version\n",
        to);
}

static struct flags
parse_options(int argc, char **argv)
{
    static const struct option options[] = {
        { "if-not-exists", no_argument, NULL, 'i' }, { "cut", no_argument, NULL, 'c' },
        { "more", no_argument, NULL, 'm' },          { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },       { NULL, 0, NULL, 0 },
    };
    struct flags f = { false, false, false };
    int c;

    while ((c = getopt_long(argc, argv, "mhV", options, NULL)) != -1) {
        switch (c) {
        case 'i': f.if_not_exists = true; break;
        case 'c': f.cut = true; break;
        case 'm': f.more = true; break;
        case 'h': print_usage(stdout); exit(0);
        case 'V': puts("byre-dbtool " BYRE_VERSION); exit(0);
        default: print_usage(stderr); exit(2);
        }
    }
    return f;
}

int
main(int argc, char **argv)
{
    struct flags f = parse_options(argc, argv);
    const struct command *c = NULL;

    for (size_t i = 0; i < N_ELEMS(commands) && optind < argc; i++) {
        c = strcmp(commands[i].name, argv[optind]) == 0 ? &commands[i] : c;
    }
    int n_args = argc - optind - 1;
    if (!c || n_args < c->min_args || n_args > c->max_args) {
        print_usage(stderr);
        return 2;
    }
    CLEANUP(err_drop) struct err *e = c->run(&f, argv + optind + 1);
    if (!e) {
        return 0;
    }
    const char *what = err_what(e), *next = err_next(e);
    fflush(stdout);
    fprintf(stderr, "byre-dbtool: %s\n", *what ? what : err_text(e));
    if (*what) {
        fprintf(stderr, "why:  %s\n", err_why(e));
    }
    if (next) {
        fprintf(stderr, "next: %s\n", next);
    }
    return 1;
}
