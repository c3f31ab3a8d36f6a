/* bin/dbtool_facts.c: short answers about files and versions. */
#include <fcntl.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "bin/dbtool_i.h"

enum fact { FACT_NAME, FACT_VERSION, FACT_CKSUM };

static void
print_fact(const struct schema *schema, enum fact fact)
{
    puts(fact == FACT_NAME      ? schema->name
         : fact == FACT_VERSION ? schema->version
                                : schema->cksum);
}

static struct err *
fact_of_db(const char *path, enum fact fact)
{
    CLEANUP(schema_drop) struct schema *schema = NULL;
    TRY(tool_schema_of(tool_db(path), &schema));
    print_fact(schema, fact);
    return NULL;
}

static struct err *
fact_of_schema(const char *path, enum fact fact)
{
    CLEANUP(schema_drop) struct schema *schema = NULL;
    TRY(tool_schema(path, &schema));
    print_fact(schema, fact);
    return NULL;
}

struct err *
tool_db_name(struct tool *t UNUSED, const char **args)
{
    if (tool_is_cluster(tool_db(args[0]))) {
        return tool_cluster_name(tool_db(args[0]));
    }
    return fact_of_db(args[0], FACT_NAME);
}

struct err *
tool_db_version(struct tool *t UNUSED, const char **args)
{
    return fact_of_db(args[0], FACT_VERSION);
}

struct err *
tool_db_cksum(struct tool *t UNUSED, const char **args)
{
    return fact_of_db(args[0], FACT_CKSUM);
}

struct err *
tool_schema_name(struct tool *t UNUSED, const char **args)
{
    return fact_of_schema(args[0], FACT_NAME);
}

struct err *
tool_schema_version(struct tool *t UNUSED, const char **args)
{
    return fact_of_schema(args[0], FACT_VERSION);
}

struct err *
tool_schema_cksum(struct tool *t UNUSED, const char **args)
{
    return fact_of_schema(args[0], FACT_CKSUM);
}

/* The word behind "OVSDB" in the file's first line tells its kind. */
static struct err *
is_of_kind(struct tool *t, const char *path, const char *kind)
{
    char head[16] = "";
    CLEANUP(fd_done) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_io(errno, "%s: open failed", path);
    } else if (read(fd, head, sizeof head - 1) < 0) {
        return err_io(errno, "%s: read failed", path);
    } else if (!str_starts(head, "OVSDB JSON ") && !str_starts(head, "OVSDB CLUSTER ")) {
        return err_new(ERR_SYNTAX, "%s: unexpected file format", path);
    }
    t->status = str_starts(head + strlen("OVSDB "), kind) ? 0 : TOOL_NO;
    return NULL;
}

struct err *
tool_db_is_standalone(struct tool *t, const char **args)
{
    return is_of_kind(t, args[0], "JSON ");
}

struct err *
tool_db_is_clustered(struct tool *t, const char **args)
{
    return is_of_kind(t, args[0], "CLUSTER ");
}

struct err *
tool_needs_conversion(struct tool *t UNUSED, const char **args)
{
    CLEANUP(schema_drop) struct schema *have = NULL;
    CLEANUP(schema_drop) struct schema *want = NULL;
    TRY(tool_schema_of(tool_db(args[0]), &have));
    TRY(tool_schema(args[1], &want));
    puts(schema_eq(have, want) ? "no" : "yes");
    return NULL;
}

struct version {
    uint64_t part[3];
};

static MUST_CHECK struct err *
version_parse(const char *text, struct version *ret)
{
    CLEANUP(strvec_done) struct strvec parts = STRVEC_INIT;
    if (!schema_version_is_valid(text)) {
        return err_new(ERR_SYNTAX, "%s: not an OVSDB version number in format x.y.z", text);
    }
    strvec_split(&parts, text, ".");
    for (size_t i = 0; i < N_ELEMS(ret->part); i++) {
        if (!str_to_u64(parts.v[i], &ret->part[i])) {
            return err_new(ERR_SYNTAX, "%s: a number in it is too large", text);
        }
    }
    return NULL;
}

/* a OP b, as a bit per outcome: 1 less, 2 equal, 4 greater. */
static const struct {
    const char *name;
    int holds;
} operators[] = {
    { "<", 1 }, { "<=", 3 }, { "==", 2 }, { ">=", 6 }, { ">", 4 }, { "!=", 5 },
};

struct err *
tool_compare_versions(struct tool *t, const char **args)
{
    struct version a, b;
    TRY(version_parse(args[0], &a));
    TRY(version_parse(args[2], &b));

    int outcome = 2;
    for (size_t i = 0; i < N_ELEMS(a.part) && outcome == 2; i++) {
        outcome = a.part[i] < b.part[i] ? 1 : a.part[i] > b.part[i] ? 4 : 2;
    }
    for (size_t i = 0; i < N_ELEMS(operators); i++) {
        if (str_eq(operators[i].name, args[1])) {
            t->status = operators[i].holds & outcome ? 0 : TOOL_NO;
            return NULL;
        }
    }
    return err_hint(err_new(ERR_SYNTAX, "%s: not a relational operator", args[1]),
                    "use one of < <= == >= > !=");
}
