/* bin/dbtool.c: work on database files without a server; man page docs/man/byre-dbtool.1.
 * Commands, words and exit statuses are ovsdb-tool's where it has them. */
#include <getopt.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/when.h"
#include "base/str.h"
#include "bin/dbtool_i.h"
#include "data/vmmgr_schema.h"

#define SCHEMA_MAX_BYTES ((size_t) (16 * MIB))
#define DEFAULT_DB "/var/lib/byre/db/vmmgr.db"

void
db_close(struct journal **journal)
{
    journal_close(TAKE(*journal));
}

const char *
tool_db(const char *path)
{
    return path ? path : DEFAULT_DB;
}

struct err *
tool_schema(const char *path, struct schema **ret)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    if (!path) {
        return schema_parse_text(vmmgr_schema_text, strlen(vmmgr_schema_text), ret);
    }
    TRY(err_wrap(fs_read(path, SCHEMA_MAX_BYTES, &text), "failed to read schema"));
    return err_wrap(schema_parse_text(text.data, text.n, ret), "schema %s", path);
}

struct err *
tool_schema_of(const char *path, struct schema **ret)
{
    CLEANUP(db_close) struct journal *journal = NULL;
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json record;
    bool more;

    TRY(journal_open(path, JOURNAL_READ_ONLY, &journal));
    TRY(journal_read(journal, &arena, &record, &more));
    return err_wrap(schema_parse(&record, ret), "%s: the schema", path);
}

struct err *
tool_open(const char *path, int flags, struct journal **ret_journal, struct db **ret_db)
{
    CLEANUP(db_close) struct journal *journal = NULL;
    TRY(journal_open(path, flags, &journal));
    TRY(dbfile_replay(journal, ret_db));
    *ret_journal = TAKE(journal);
    return NULL;
}

struct err *
tool_open_good(const char *path, int flags, struct journal **ret_journal,
               struct db **ret_db)
{
    CLEANUP(db_close) struct journal *journal = NULL;
    CLEANUP(db_drop) struct db *db = NULL;
    TRY(tool_open(path, flags, &journal, &db));
    const struct journal_damage *d = journal_damage(journal);
    if (d->why) {
        return err_hint(err_new(ERR_SYNTAX, "%s", err_text(d->why)),
                        "see: byre-dbtool check %s", path);
    }
    *ret_journal = TAKE(journal);
    *ret_db = TAKE(db);
    return NULL;
}

static struct err *
do_create(struct tool *t, const char **args)
{
    CLEANUP(schema_drop) struct schema *schema = NULL;
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    const char *path = tool_db(args[0]);

    if (t->if_not_exists && fs_exists(path)) {
        return NULL;
    }
    TRY(tool_schema(args[1], &schema));
    schema_print(schema, &text);
    return err_wrap(journal_create(path, buf_cstr(&text)), "create database %s", path);
}

static struct err *
do_check(struct tool *t UNUSED, const char **args)
{
    CLEANUP(db_close) struct journal *journal = NULL;
    CLEANUP(db_drop) struct db *db = NULL;
    const char *path = tool_db(args[0]);
    TRY(tool_open(path, JOURNAL_READ_ONLY, &journal, &db));

    struct db_figures figures;
    const struct journal_damage *d = journal_damage(journal);
    db_figures(db, &figures);
    printf("%s: database %s, %" PRIu64 " good transactions, %" PRIu64 " rows, %" PRId64
           " good bytes\n",
           path, db_schema(db)->name, journal_n_records(journal) - 1, figures.n_rows,
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
                    path);
}

static const struct command {
    const char *name, *args, *help;
    int min_args, max_args; /* At most TOOL_ARGS_MAX. */
    tool_fn *run;
} commands[] = {
    /* clang-format off */
    { "create", "[DB [SCHEMA]]", "a new database file (Byre's own schema unless given)", 0, 2, do_create },
    { "check", "[DB]", "read all of it; tell whether and where it is damaged", 0, 1, do_check },
    { "compact", "[DB [DST]]", "keep the rows, forget how they came about", 0, 2, tool_compact },
    { "convert", "[DB [SCHEMA [DST]]]", "put the rows under another schema", 0, 3, tool_convert },
    { "needs-conversion", "[DB [SCHEMA]]", "say yes if its schema differs, else no", 0, 2, tool_needs_conversion },
    { "show-log", "[DB]", "the transactions: when, why, by whom; with -m which rows, -mm what", 0, 1, tool_show_log },
    { "history", "[DB [TABLE [ROW]]]", "who changed what and when, also what compaction took out", 0, 3, tool_history },
    { "query", "[DB] TXN", "run a transaction that only reads", 1, 2, tool_query },
    { "transact", "[DB] TXN", "run a transaction", 1, 2, tool_transact },
    { "db-name", "[DB]", "the database's name", 0, 1, tool_db_name },
    { "db-version", "[DB]", "its schema's version", 0, 1, tool_db_version },
    { "db-cksum", "[DB]", "its schema's checksum", 0, 1, tool_db_cksum },
    { "db-is-standalone", "DB", "exit status 0 for yes, 2 for no", 1, 1, tool_db_is_standalone },
    { "db-is-clustered", "DB", "exit status 0 for yes, 2 for no", 1, 1, tool_db_is_clustered },
    { "db-cid", "DB", "the cluster's ID, of a clustered database's file", 1, 1, tool_db_cid },
    { "db-sid", "DB", "the server's ID in it", 1, 1, tool_db_sid },
    { "db-local-address", "DB", "the server's address in it", 1, 1, tool_db_local_address },
    { "create-cluster", "DB CONTENTS LOCAL", "the first member's file, from a schema or a database file", 3, 3, tool_create_cluster },
    { "join-cluster", "DB NAME LOCAL REMOTE...", "a further member's file", 4, TOOL_ARGS_MAX, tool_join_cluster },
    { "check-cluster", "DB...", "do the members' files fit each other?", 1, TOOL_ARGS_MAX, tool_check_cluster },
    { "cluster-to-standalone", "DB CLUSTER-DB", "the content of a member's file in a new file of its own", 2, 2, tool_cluster_to_standalone },
    { "schema-name", "[SCHEMA]", "the name in a schema file", 0, 1, tool_schema_name },
    { "schema-version", "[SCHEMA]", "its version", 0, 1, tool_schema_version },
    { "schema-cksum", "[SCHEMA]", "its checksum", 0, 1, tool_schema_cksum },
    { "compare-versions", "A OP B", "exit status 0 if the relation holds, else 2", 3, 3, tool_compare_versions },
    /* clang-format on */
};

static void
print_usage(FILE *to)
{
    fputs("usage: byre-dbtool [OPTION]... COMMAND [ARG]...\n", to);
    for (size_t i = 0; i < N_ELEMS(commands); i++) {
        fprintf(to, "  %-21s %-23s %s\n", commands[i].name, commands[i].args,
                commands[i].help);
    }
    fputs(
        "default DB: " DEFAULT_DB "\n"
        "options: --if-not-exists (create), --cut (compact: drop what is behind damage; it is\n"
        "         saved beside the file), -m, --more (show-log, compact), -a, --archive (show-log:\n"
        "         first what compaction took out of the file), --since=TIME and --json (history),\n"
        "         --rbac-role=ROLE (query, transact), --election-timer=MS (create-cluster), --cid=UUID (join-cluster),\n"
        "         -h, --help, -V, --version\n",
        to);
}

static int
print_failure(const struct err *e)
{
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

static int64_t
since_ms(const char *text)
{
    int64_t since_s = 0;
    struct err *e = when_parse(text, clock_wall_ms() / 1000, &since_s);
    if (e) {
        exit(print_failure(err_wrap(e, "--since")));
    }
    return since_s * 1000;
}

static struct tool
parse_options(int argc, char **argv)
{
    static const struct option options[] = {
        { "if-not-exists", no_argument, NULL, 'i' },
        { "cut", no_argument, NULL, 'c' },
        { "more", no_argument, NULL, 'm' },
        { "archive", no_argument, NULL, 'a' },
        { "since", required_argument, NULL, 'S' },
        { "json", no_argument, NULL, 'j' },
        { "rbac-role", required_argument, NULL, 'r' },
        { "cid", required_argument, NULL, 'C' },
        { "election-timer", required_argument, NULL, 'e' },
        { "verbose", optional_argument, NULL, 'v' }, /* ovsdb-tool's; nothing to say. */
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },
        { NULL, 0, NULL, 0 },
    };
    struct tool t = { 0 };
    int c;

    while ((c = getopt_long(argc, argv, "amv::hV", options, NULL)) != -1) {
        switch (c) {
        case 'i': t.if_not_exists = true; break;
        case 'c': t.cut = true; break;
        case 'm': t.more++; break;
        case 'a': t.archive = true; break;
        case 'S': t.since_ms = since_ms(optarg); break;
        case 'j': t.json = true; break;
        case 'r': t.rbac_role = optarg; break;
        case 'C': t.cid = optarg; break;
        case 'e': t.election_ms = strtoll(optarg, NULL, 10); break;
        case 'v': break;
        case 'h': print_usage(stdout); exit(0);
        case 'V': puts("byre-dbtool " BYRE_VERSION); exit(0);
        default: print_usage(stderr); exit(1);
        }
    }
    return t;
}

int
main(int argc, char **argv)
{
    struct tool t = parse_options(argc, argv);
    const char *args[TOOL_ARGS_MAX] = { NULL };
    const struct command *c = NULL;

    for (size_t i = 0; i < N_ELEMS(commands) && optind < argc; i++) {
        c = str_eq(commands[i].name, argv[optind]) ? &commands[i] : c;
    }
    int n_args = argc - optind - 1;
    if (!c || n_args < c->min_args || n_args > c->max_args) {
        print_usage(stderr);
        return 1;
    }
    for (int i = 0; i < n_args; i++) {
        args[i] = argv[optind + 1 + i];
    }
    CLEANUP(err_drop) struct err *e = c->run(&t, args);
    return e ? print_failure(e) : t.status;
}
