/* tests/fuzz/fuzz_replica.c: what a server sends to a client: table updates of either kind.
 *
 * The input is a JSON array: an object in it is an update, an array of one object a monitor's reply (all
 * rows).  The replica's events must tell the whole truth: who copies what they say must have the
 * same rows, before and after.  And a reply makes the same rows whatever was there before it. */
#include "base/str.h"
#include "data/vmmgr_schema.h"
#include "replica/replica_i.h"
#include "replica/vmmgr_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

/* With typed rows, without, and only some columns. */
static const struct row_class *const classes[] = { &row_vm_class, &row_volume_class,
                                                   &row_pool_class, &row_hostnode_class };

struct fuzz {
    struct replica r;
    struct watch watches[N_ELEMS(classes) + 1];
    struct map shadow; /* "table uuid" to the row's text, as the events tell it. */
};

static char *
row_text(const struct replica_row *row)
{
    const struct table_schema *schema = row->table->schema;
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    buf_str(&text, "");
    for (size_t i = 0; i < schema->n_columns; i++) {
        datum_print_text(&row->columns[i], &schema->columns[i].type, &text);
        buf_char(&text, ';');
    }
    return str_dup(buf_cstr(&text));
}

static char *
row_key(const struct replica_row *row)
{
    return str_dupf("%s %s", row->table->schema->name, UUID_TEXT(&row->uuid));
}

static bool
has_changes(const struct replica_change *c)
{
    size_t n_words = (c->row->table->schema->n_columns + 63) / 64;
    uint64_t any = 0;
    for (size_t i = 0; i < n_words; i++) {
        any |= c->changed[i];
    }
    return any != 0;
}

static void
on_changed(void *aux, const struct replica_change *c)
{
    struct fuzz *f = aux;
    CLEANUP(free_drop) char *key = row_key(c->row);
    if (c->kind == REPLICA_MODIFIED) {
        ASSERT(c->old && has_changes(c));
        ASSERT(map_get(&f->shadow, key));
    }
    if (c->kind == REPLICA_INSERTED) {
        ASSERT(!c->old);
        ASSERT(!map_get(&f->shadow, key));
    }
    if (c->kind == REPLICA_DELETED) {
        char *text = map_remove(&f->shadow, key);
        ASSERT(text);
        free(text);
    } else {
        free(map_put(&f->shadow, key, row_text(c->row)));
    }
}

static const struct replica_events events = { .changed = on_changed };

static void
fuzz_init(struct fuzz *f, struct schema *schema)
{
    static const char *const some[] = { "name", "warnings", NULL };
    *f = (struct fuzz){ 0 };
    f->r.events = &events;
    f->r.aux = f;
    f->r.schema = schema;
    for (size_t i = 0; i < N_ELEMS(classes); i++) {
        f->watches[i].class = classes[i];
        map_put(&f->r.watches, classes[i]->table, &f->watches[i]);
    }
    f->watches[N_ELEMS(classes)].some_columns = true;
    for (size_t i = 0; some[i]; i++) {
        strvec_add(&f->watches[N_ELEMS(classes)].columns, some[i]);
    }
    map_put(&f->r.watches, "metapool", &f->watches[N_ELEMS(classes)]);
    tables_update(&f->r);
}

static void
fuzz_done(struct fuzz *f)
{
    struct batch b;
    batch_init(&b, &f->r);
    MAP_FOR_EACH (entry, &f->r.tables) {
        batch_clear(&b, entry->value);
    }
    batch_finish(&b);
    ASSERT(map_count(&f->shadow) == 0);
    map_done(&f->shadow);
    tables_free(&f->r);
    strvec_done(&f->watches[N_ELEMS(classes)].columns);
    map_done(&f->r.watches);
}

static void
check_shadow(const struct fuzz *f)
{
    size_t n = 0;
    MAP_FOR_EACH (entry, &f->r.tables) {
        const struct replica_table *t = entry->value;
        REPLICA_FOR_EACH (row, t) {
            CLEANUP(free_drop) char *key = row_key(row);
            CLEANUP(free_drop) char *text = row_text(row);
            const char *told = map_get(&f->shadow, key);
            ASSERT(told && strcmp(told, text) == 0);
            n++;
        }
    }
    ASSERT(n == map_count(&f->shadow));
}

static bool
apply(struct fuzz *f, const struct json *updates, bool all)
{
    struct batch b;
    batch_init(&b, &f->r);
    struct err *e = all ? batch_sync(&b, updates) : batch_updates(&b, updates);
    batch_finish(&b);
    bool ok = !e;
    err_free(e);
    check_shadow(f);
    return ok;
}

static void
check_same(const struct fuzz *a, const struct fuzz *b)
{
    ASSERT(map_count(&a->shadow) == map_count(&b->shadow));
    MAP_FOR_EACH (entry, &a->shadow) {
        const char *other = map_get(&b->shadow, entry->key);
        ASSERT(other && strcmp(other, entry->value) == 0);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    static struct schema *schema;
    struct json j;
    struct fuzz f;
    if (!schema) {
        struct err *e =
            schema_parse_text(vmmgr_schema_text, strlen(vmmgr_schema_text), &schema);
        ASSERT(!e);
    }
    struct err *e = json_parse(&arena, (const char *) data, n_bytes, &j);
    if (e || j.type != JSON_ARRAY) {
        err_free(e);
        return 0;
    }
    fuzz_init(&f, schema);
    JSON_FOR_EACH (element, &j) {
        if (element->type != JSON_ARRAY) {
            apply(&f, element, false);
        } else if (element->n == 1 && apply(&f, &element->elems[0], true)) {
            struct fuzz fresh;
            fuzz_init(&fresh, schema);
            if (apply(&fresh, &element->elems[0], true)) {
                check_same(&f, &fresh);
            }
            fuzz_done(&fresh);
        }
    }
    fuzz_done(&f);
    return 0;
}
