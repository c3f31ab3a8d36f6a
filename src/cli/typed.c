/* cli/typed.c: a selected row as one of the generated structs.  It is a replica's row
 * without a replica: a table of its own and nothing that keeps it current. */
#include "cli/typed_i.h"

#include "data/datum.h"

struct replica_row *
typed_row_new(struct cli *cli, const struct row_class *class, const struct json *json)
{
    const struct table_schema *schema = schema_find_table(cli->schema, class->table);
    ASSERT(schema);
    struct replica_table *table = NEW(struct replica_table);
    table->schema = schema;
    table->class = class;
    table->fields = xcalloc(class->n_fields, sizeof *table->fields);
    for (size_t i = 0; i < class->n_fields; i++) {
        const struct column *c = schema_find_column(schema, class->fields[i].name);
        table->fields[i] = c && typed_fits(class->fields[i].kind, &c->type) ? c : NULL;
    }

    struct replica_row *row = xcalloc(1, class->n_bytes);
    row->table = table;
    row->uuid = row_uuid(json);
    row->columns = xcalloc(schema->n_columns, sizeof *row->columns);
    for (size_t i = N_SPECIAL_COLUMNS; i < schema->n_columns; i++) {
        const struct column *c = &schema->columns[i];
        const struct json *value = json_get(json, c->name);
        struct err *e =
            value ? datum_parse(&row->columns[i], &c->type, value, NULL, DATUM_SIZED)
                  : NULL;
        if (!value || e) {
            datum_default(&row->columns[i], &c->type);
        }
        err_free(e);
    }
    typed_fill(row);
    return row;
}

void
typed_row_free(struct replica_row *row)
{
    if (!row) {
        return;
    }
    const struct table_schema *schema = row->table->schema;
    for (size_t i = N_SPECIAL_COLUMNS; i < schema->n_columns; i++) {
        datum_done(&row->columns[i], &schema->columns[i].type);
    }
    free(row->columns);
    free(row->table->fields);
    free(row->table);
    free(row);
}

void
typed_row_drop(struct replica_row **row)
{
    typed_row_free(*row);
    *row = NULL;
}
