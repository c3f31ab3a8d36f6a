/* cli/list.c: rows of a table on the screen.
 *
 * One transaction answers a list: a select of the columns needed and no more, and a
 * select of the names of each table that those columns refer to.  No other process is
 * asked, so the cost is that of the rows shown. */
#include "cli/list_i.h"

#include "cli/watch_i.h"

/* What a list of a table shows: always, and with `-o wide`. */
static const struct {
    const char *table, *columns, *wide;
} usual[] = {
    { "cluster", "name,uuid,memory_overcommit,host_reserve", NULL },
    { "hostnode", "name,state,hypervisors,cpus,mem,mem_free,maintenance",
      "ip,cpu_model,version,uid,observed_at,error" },
    { "metapool", "name,type,target_path,autostart",
      "source_hosts,source_devices,source_format" },
    { "pool",
      "name,hostnode,state,state_since,autostart,capacity,allocation,available,error",
      "refreshed_at,warnings" },
    { "volume", "name,pool,format,capacity,allocation,state", "filepath,vm,backing,error" },
    { "vm", "name,status,hostnode,vcpu,mem,autostart",
      "state,uuid,source,observed_at,error" },
    { "preset", "name,mem,vcpu,vsize",
      "networks,inbound,outbound,cputune,blkiotune,firmware" },
    { "vmi", "name,kind,kernel,initrd,cmdline", "volume,os" },
    { "job", "_uuid,kind,state,progress,message,created_at",
      "target,source,hostnode,asked_by,bytes_done,bytes_total,ends_at,started_at,ended_at,"
      "result,error" },
    { "network", "name,type,bridge,subnet,subnet6,dhcp,main",
      "gateway,gateway6,nic,vlan,mtu,dns" },
    { "hostnode_network", "hostnode,network,state,bridge,error",
      "observed_at,needrestart" },
    { "iface", "vm,network,mac,model,antispoof", "inbound,outbound,target" },
    { "iprange", "network,first,last,prefix,gateway,dns", NULL },
    { "ip", "address,vm,network,iface,domain", "family" },
    { "device", "vm,type,targetdev,volume,controller", "filepath,boot_order,cache" },
    { "alarm", "kind,object_table,since,text", "object,hostnode" },
};

static bool
is_hidden(const struct table_schema *table, const char *column)
{
    return str_eq(column, "_version") || str_eq(column, "external_ids") ||
           (str_eq(table->name, "secret") && str_eq(column, "value"));
}

/* All columns a person may want, the naming one first. */
static const char *
all_columns(struct cli *cli, const struct table_schema *table)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    const char *name = names_column(table);
    buf_str(&b, name ? name : "_uuid");
    for (size_t i = N_SPECIAL_COLUMNS; i < table->n_columns; i++) {
        const char *column = table->columns[i].name;
        if (!is_hidden(table, column) && !str_eq(column, name)) {
            buf_printf(&b, ",%s", column);
        }
    }
    return arena_str(&cli->arena, buf_cstr(&b));
}

static void
usual_columns(struct cli *cli, struct list *l)
{
    for (size_t i = 0; i < N_ELEMS(usual) && !l->columns; i++) {
        if (str_eq(usual[i].table, l->table->name) && !l->vertical) {
            l->columns = usual[i].columns;
            l->wide = usual[i].wide;
        }
    }
    if (!l->columns) {
        l->columns = all_columns(cli, l->table);
        if (l->vertical && names_column(l->table)) {
            l->columns = arena_printf(&cli->arena, "%s,_uuid", l->columns);
        }
    }
}

struct err *
list_columns(struct cli *cli, const struct table_schema *table, const char *comma_list,
             const struct column ***ret, size_t *ret_n)
{
    struct strvec names = STRVEC_INIT;
    strvec_split(&names, comma_list, ", ");
    const struct column **columns =
        arena_zalloc(&cli->arena, (names.n + 1) * sizeof *columns);
    struct err *e = names.n ? NULL : err_new(ERR_SYNTAX, "no columns are named");
    for (size_t i = 0; i < names.n && !e; i++) {
        e = db_column(table, names.v[i], &columns[i]);
    }
    *ret = columns;
    *ret_n = names.n;
    strvec_done(&names);
    return e;
}

static const struct table_schema *
ref_table(const struct column *column)
{
    return base_type_ref(&column->type.key) != REF_NONE ? column->type.key.uuid.ref_table
                                                        : NULL;
}

/* Is it the first column that refers to its table? */
static bool
refers_first(const struct column *const *columns, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (ref_table(columns[k]) == ref_table(columns[i])) {
            return false;
        }
    }
    return ref_table(columns[i]) != NULL;
}

static void
relabel(struct json *cell, const struct labels *labels)
{
    if (cell->type == JSON_STRING) {
        const char *label = labels_get(labels, cell->string);
        *cell = label ? json_string_ref(label) : *cell;
    } else if (cell->type == JSON_ARRAY) {
        for (uint32_t i = 0; i < cell->n; i++) {
            relabel(&cell->elems[i], labels);
        }
    }
}

void
list_cells(struct cli *cli, const struct labels *labels,
           const struct column *const *columns, size_t n, const struct json *row,
           struct json *cells)
{
    for (size_t i = 0; i < n; i++) {
        const struct json *value = json_get(row, columns[i]->name);
        if (value) {
            cells[i] = q_plain(&cli->arena, value, &columns[i]->type);
        }
        if (value && ref_table(columns[i]) && !cli->raw) {
            relabel(&cells[i], labels);
        }
    }
}

/* The columns to fetch: those shown, those of conditions, and the name. */
static const char *
fetched(struct cli *cli, const struct list *l, const struct filter *filter,
        const char *shown)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    const char *name = names_column(l->table);
    buf_printf(&b, "_uuid,%s%s", shown, str_eq(l->table->name, "volume") ? ",pool" : "");
    if (name) {
        buf_printf(&b, ",%s", name);
    }
    filter_columns(filter, &b);
    return arena_str(&cli->arena, buf_cstr(&b));
}

static const char *
label_of(struct cli *cli, const struct list *l, const struct labels *labels,
         const struct json *row)
{
    const char *column = names_column(l->table);
    const char *name = column ? row_string(row, column) : NULL;
    struct uuid uuid = row_uuid(row);
    struct uuid pool;
    if (name && str_eq(l->table->name, "volume") && row_ref(row, "pool", &pool)) {
        const char *prefix = labels_get(labels, UUID_TEXT(&pool));
        return prefix ? arena_printf(&cli->arena, "%s/%s", prefix, name) : name;
    }
    return name ? name : arena_str(&cli->arena, UUID_TEXT(&uuid));
}

/* What the last scan of a pool said of its volumes stays in their rows while the pool cannot be
 * reached; a person is told so. */
static void
mark_unreachable(struct cli *cli, const struct json *pools, const struct json *const *rows,
                 size_t n)
{
    for (size_t i = 0; i < n && pools->n; i++) {
        struct uuid of;
        bool gone = false;
        for (uint32_t k = 0; k < pools->n && row_ref(rows[i], "pool", &of) && !gone; k++) {
            struct uuid pool = row_uuid(&pools->elems[k]);
            gone = uuid_eq(&of, &pool);
        }
        for (uint32_t m = 0; gone && m < rows[i]->n; m++) {
            if (str_eq(rows[i]->members[m].name, "state")) {
                rows[i]->members[m].value = json_string_ref("inaccessible");
            }
        }
    }
}

/* Rows by name come from names_match(), which is one more transaction; all rows from
 * one. */
static struct err *
fetch(struct cli *cli, const struct list *l, const struct filter *filter,
      const char *columns, const struct column *const *shown, size_t n_shown,
      struct labels *labels, const struct json *const **ret_rows, size_t *ret_n)
{
    struct json ops = json_array();
    struct json results;
    struct named_list named = VEC_INIT;
    if (l->n_names) {
        TRY(names_match(cli, l->table->name, l->names, l->n_names, columns, &named));
    }
    json_add(&cli->arena, &ops,
             q_select(&cli->arena, l->table->name,
                      l->n_names ? q_where_uuid(&cli->arena, &(struct uuid){ { 0 } })
                                 : filter_where(cli, filter),
                      columns));
    for (size_t i = 0; i < n_shown; i++) {
        if (refers_first(shown, i) && !cli->raw) {
            labels_ask(cli, ref_table(shown[i]), &ops);
        }
    }
    bool of_volumes = str_eq(l->table->name, "volume") && !cli->raw;
    if (of_volumes) {
        struct json where = json_array();
        json_add(&cli->arena, &where,
                 q_clause(&cli->arena, "state", "==", json_string_ref("inaccessible")));
        json_add(&cli->arena, &ops, q_select(&cli->arena, "pool", where, "_uuid"));
    }
    struct err *e = db_transact(cli, &ops, &results);
    size_t next = 1;
    for (size_t i = 0; i < n_shown && !e; i++) {
        if (refers_first(shown, i) && !cli->raw) {
            labels_read(cli, labels, ref_table(shown[i]), &results, &next);
        }
    }
    const struct json *all = q_rows(&results, 0);
    size_t n = e ? 0 : l->n_names ? named.n : all->n;
    const struct json **rows = arena_alloc(&cli->arena, (n + 1) * sizeof *rows);
    *ret_n = 0;
    for (size_t i = 0; i < n; i++) {
        const struct json *row = l->n_names ? named.v[i].row : &all->elems[i];
        bool test = l->n_names || filter_is_partial(filter);
        if (!test || filter_matches(cli, filter, row)) {
            rows[(*ret_n)++] = row;
        }
    }
    if (of_volumes && !e) {
        mark_unreachable(cli, q_rows(&results, ops.n - 1), rows, *ret_n);
    }
    *ret_rows = rows;
    VEC_DONE(&named);
    return e;
}

static struct err *
sort_rows(struct out_table *out, const struct args *args)
{
    const char *key = args_get(args, "sort");
    if (!key) {
        if (out_find_column(out, "name") >= 0) {
            out_sort(out, "name");
        }
        return NULL;
    }
    if (out_find_column(out, key + (key[0] == '-')) < 0) {
        return err_hint(err_new(ERR_SYNTAX, "--sort %s: that column is not shown", key),
                        "add it to --columns");
    }
    out_sort(out, key);
    return NULL;
}

static struct err *
print_once(struct cli *cli, const struct args *args, const struct list *l,
           const struct filter *filter, const char *shown)
{
    CLEANUP(out_table_done) struct out_table out = OUT_TABLE_INIT;
    CLEANUP(labels_done) struct labels labels = LABELS_INIT;
    const struct column **columns;
    const struct json *const *rows;
    size_t n_columns, n_rows;
    TRY(list_columns(cli, l->table, shown, &columns, &n_columns));
    TRY(fetch(cli, l, filter, fetched(cli, l, filter, shown), columns, n_columns, &labels,
              &rows, &n_rows));
    for (size_t i = 0; i < n_columns; i++) {
        out_add_column(&out, columns[i]->name, unit_of(l->table->name, columns[i]->name),
                       false);
    }
    for (size_t i = 0; i < n_rows; i++) {
        struct json *cells = out_add_row(&out, label_of(cli, l, &labels, rows[i]));
        list_cells(cli, &labels, columns, n_columns, rows[i], cells);
    }
    if (!l->n_names) {
        TRY(sort_rows(&out, args));
    }
    struct out_style style = cli_style(cli, args);
    style.vertical = l->vertical;
    out_print(&out, &style, stdout);
    return NULL;
}

struct err *
list_run(struct cli *cli, const struct args *args, struct list *l)
{
    const char *chosen = args_get(args, "columns");
    l->columns = chosen ? chosen : l->columns;
    if (!l->columns) {
        usual_columns(cli, l);
    }
    const char *shown = l->columns;
    if (l->wide && !chosen && cli->format != OUT_TABLE && cli->format != OUT_NAME) {
        shown = arena_printf(&cli->arena, "%s,%s", l->columns, l->wide);
    }

    struct strvec where = STRVEC_INIT;
    const char *text;
    for (size_t i = 0; i < l->n_where; i++) {
        strvec_add(&where, l->where[i]);
    }
    for (size_t i = 0; (text = args_nth(args, "where", i)); i++) {
        strvec_add(&where, text);
    }
    CLEANUP(filter_drop) struct filter *filter = NULL;
    struct err *e = filter_new(cli, l->table, where.v, where.n, &filter);
    strvec_done(&where);
    if (!e && (l->action || args_has(args, "watch"))) {
        e = watch_run(cli, args, l, filter, shown);
    } else if (!e) {
        e = print_once(cli, args, l, filter, shown);
    }
    return e;
}

struct err *
list_noun(struct cli *cli, const struct args *args, const char *table)
{
    TRY(cli_connect(cli));
    struct list l = { .names = args->pos.v, .n_names = args->pos.n };
    TRY(db_table(cli, table, &l.table));
    return list_run(cli, args, &l);
}

struct err *
info_noun(struct cli *cli, const struct args *args, const char *table, const char *columns)
{
    TRY(cli_connect(cli));
    struct list l = {
        .names = args->pos.v, .n_names = args->pos.n, .columns = columns, .vertical = true
    };
    TRY(db_table(cli, table, &l.table));
    return list_run(cli, args, &l);
}
