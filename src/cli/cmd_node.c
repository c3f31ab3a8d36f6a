/* cli/cmd_node.c: hosts of the cluster. */
#include <unistd.h>

#include "base/clock.h"
#include "cli/agent_i.h"
#include "cli/list_i.h"
#include "cli/node_i.h"

#define PROBE_MS 60000 /* The agent runs a probe guest, under emulation if need be. */

/* The host's short name as a name of the data model: "host1.example.org" -> "host1". */
static const char *
own_name(struct cli *cli)
{
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    host[strcspn(host, ".")] = '\0';
    return str_is_name(host) ? arena_str(&cli->arena, host) : "node1";
}

static struct err *
already_there(struct cli *cli, const char *name, const char *uid, bool *ret_known)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array();
    struct json results;
    *ret_known = false;
    json_add(a, &ops, q_select(a, "hostnode", json_array(), "_uuid,name,uid"));
    TRY(db_transact(cli, &ops, &results));
    const struct json *rows = q_rows(&results, 0);
    for (uint32_t i = 0; i < rows->n; i++) {
        const char *its_name = row_string(&rows->elems[i], "name");
        if (str_eq(row_string(&rows->elems[i], "uid"), uid)) {
            *ret_known = true;
            return str_eq(name, its_name)
                       ? NULL
                       : err_hint(err_new(ERR_EXISTS,
                                          "this host is in the cluster already, as %s",
                                          its_name),
                                  "byre node info %s", its_name);
        } else if (str_eq(its_name, name)) {
            return err_hint(
                err_new(ERR_EXISTS, "there is already a node \"%s\", another host", name),
                "byre node add OTHER-NAME");
        }
    }
    return NULL;
}

static struct err *
cmd_add(struct cli *cli, const struct args *args)
{
    struct arena *a = &cli->arena;
    const char *name = args->pos.n ? args->pos.v[0] : own_name(cli);
    struct json request = json_object();
    struct json probe;
    struct uuid uuid;
    bool known;

    TRY(fail_unless_name("node", name));
    json_put(a, &request, "method", json_string_ref("probe"));
    TRY(err_wrap(
        agent_call(cli, &request, -1, clock_mono_ms() + PROBE_MS, "probe", &probe, NULL),
        "probe of this host"));
    const char *uid = json_get_string(&probe, "uid");
    if (!uid) {
        return err_new(ERR_UNSUPPORTED, "the agent's probe does not tell this host's UUID");
    }
    TRY(already_there(cli, name, uid, &known));
    if (known && !args_has(args, "if-not-exists")) {
        return err_hint(err_new(ERR_EXISTS, "this host is in the cluster already"),
                        "byre node info %s", name);
    } else if (known) {
        return NULL;
    }
    struct json row = json_object();
    json_put(a, &row, "name", json_string(a, name));
    json_put(a, &row, "uid", json_string(a, uid));
    json_put(a, &row, "status", json_bool(true));
    if (args_has(args, "ip")) {
        json_put(a, &row, "ip", json_string(a, args_get(args, "ip")));
    }
    change_insert(cli, "hostnode", row, &uuid);
    change_await_state(cli, GOAL_ONLINE, "hostnode", &uuid,
                       arena_printf(a, "node %s", name), "online");
    return NULL;
}

static struct err *
cmd_list(struct cli *cli, const struct args *args)
{
    return list_noun(cli, args, "hostnode");
}

static struct err *
cmd_info(struct cli *cli, const struct args *args)
{
    return info_noun(cli, args, "hostnode", NULL);
}

static struct err *
cmd_maintenance(struct cli *cli, const struct args *args)
{
    struct named_list nodes = VEC_INIT;
    const char *word = args->pos.v[args->pos.n - 1];
    bool on = str_eq(word, "on");
    if (!on && !str_eq(word, "off")) {
        return err_hint(err_new(ERR_SYNTAX, "maintenance is on or off, not \"%s\"", word),
                        "byre node maintenance NAME on");
    }
    if (args_has(args, "evacuate") && (!on || args->pos.n != 2)) {
        return err_hint(err_new(ERR_SYNTAX, "one host at a time is evacuated"),
                        "byre node maintenance NAME on --evacuate");
    }
    struct err *e =
        names_match(cli, "hostnode", args->pos.v, args->pos.n - 1, "_uuid", &nodes);
    struct json row = json_object();
    json_put(&cli->arena, &row, "maintenance", json_bool(on));
    for (size_t i = 0; i < nodes.n && !e; i++) {
        change_update(cli, "hostnode", &nodes.v[i].uuid, row);
        if (args_has(args, "evacuate")) {
            e = node_evacuate(cli, args, &nodes.v[i]);
        }
    }
    VEC_DONE(&nodes);
    return e;
}

/* What still lives there, in words; NULL: nothing. */
static struct err *
refuse_if_used(struct cli *cli, const struct named *node)
{
    static const char *const tables[] = { "vm", "pool" };
    struct arena *a = &cli->arena;
    struct json ops = json_array();
    struct json results;
    for (size_t i = 0; i < N_ELEMS(tables); i++) {
        struct json where = json_array();
        json_add(a, &where, q_clause(a, "hostnode", "==", q_uuid(a, &node->uuid)));
        json_add(a, &ops, q_select(a, tables[i], where, "name"));
    }
    TRY(db_transact(cli, &ops, &results));
    for (size_t i = 0; i < N_ELEMS(tables); i++) {
        const struct json *rows = q_rows(&results, i);
        if (rows->n) {
            struct err *e = err_new(ERR_BUSY, "%s %s and %u more are on it", tables[i],
                                    row_string(&rows->elems[0], "name"), rows->n - 1);
            if (rows->n == 1) {
                err_free(e);
                e = err_new(ERR_BUSY, "%s %s is on it", tables[i],
                            row_string(&rows->elems[0], "name"));
            }
            e = err_wrap(e, "node %s", node->label);
            return err_hint(e, "byre list %s --where hostnode=%s", tables[i], node->label);
        }
    }
    return NULL;
}

/* What it said of networks goes with it. */
static struct err *
forget_networks(struct cli *cli, const struct named *node)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array();
    struct json results;
    struct json where = json_array();
    json_add(a, &where, q_clause(a, "hostnode", "==", q_uuid(a, &node->uuid)));
    json_add(a, &ops, q_select(a, "hostnode_network", where, "_uuid"));
    TRY(db_transact(cli, &ops, &results));
    const struct json *rows = q_rows(&results, 0);
    for (uint32_t i = 0; i < rows->n; i++) {
        struct uuid uuid = row_uuid(&rows->elems[i]);
        change_delete(cli, "hostnode_network", &uuid);
    }
    return NULL;
}

static struct err *
cmd_remove(struct cli *cli, const struct args *args)
{
    struct named_list nodes = VEC_INIT;
    struct err *e = names_match(cli, "hostnode", args->pos.v, args->pos.n, "_uuid", &nodes);
    for (size_t i = 0; i < nodes.n && !e; i++) {
        e = refuse_if_used(cli, &nodes.v[i]);
        if (!e) {
            e = forget_networks(cli, &nodes.v[i]);
        }
        if (!e) {
            change_delete(cli, "hostnode", &nodes.v[i].uuid);
        }
    }
    VEC_DONE(&nodes);
    return e;
}

static const struct opt_spec opts_add[] = {
    { "ip", "ADDRESS", "under which other hosts reach it" },
    { "if-not-exists", NULL, "a host that is in the cluster already is no error" },
    { NULL },
};

static const struct opt_spec opts_maintenance[] = {
    { "evacuate", NULL, "move its machines to other hosts" },
    { "to", "NODE", "to this one", "hostnode" },
    { "copy-storage", NULL, "copy the disks that lie in pools of this host alone" },
    { NULL },
};

static const struct opt_spec opts_memory[] = {
    { "with", "SIZE", "would one guest more, of this memory, be admitted?" },
    { NULL },
};

const struct command cmds_node[] = {
    { "node", "add", "[NAME]", "takes this host into the cluster", cmd_add, CMD_CHANGE,
      opts_add, NULL,
      "Asks this host's agent what it is and can (a probe guest runs), and waits until the\n"
      "agent has taken charge.  NAME: the host's own name.\n" },
    { "node", "list", "[NAME...]", "hosts, and how they are", cmd_list, CMD_LIST, NULL,
      "hostnode" },
    { "node", "info", "NAME...", "all that is known of a host", cmd_info, 0, NULL,
      "hostnode" },
    { "node", "maintenance", "NAME... on|off", "whether it takes new machines",
      cmd_maintenance, CMD_CHANGE, opts_maintenance, "hostnode on|off",
      "byre node maintenance n1 on --evacuate moves its machines to the hosts with most memory left,\n"
      "two at a time; what cannot move stays, and is told with its reason.\n" },
    { "node", "memory", "[NAME...]",
      "what is promised to guests, and whether that is sound", node_memory, 0, opts_memory,
      "hostnode",
      "Adds up guests, their overhead and the host's reserve, and tells the ratio, the swap\n"
      "that it needs, and the verdict by the cluster's memory_overcommit.  --with 8G asks for one\n"
      "guest more; exit status 1 if it is refused.\n" },
    { "node", "remove", "NAME...", "takes an empty host out of the cluster", cmd_remove,
      CMD_CHANGE, NULL, "hostnode" },
    { NULL },
};
