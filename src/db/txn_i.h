/* db/txn_i.h: what a running transaction remembers, and the passes of its commit. */
#ifndef DB_TXN_I_H
#define DB_TXN_I_H 1

#include "base/arena.h"
#include "db/table_i.h"

/* What became of one index node of a row. */
struct index_step {
    bool was_in; /* Before the transaction, with 'old_hash'. */
    bool is_in;
    uint32_t old_hash;
};

/* What a transaction did to one row.  In its arena. */
struct change {
    struct row *row;
    struct change *next;          /* In txn's list, oldest first. */
    struct change *next_in_table; /* In table's 'changes', newest first. */
    bool inserted, deleted;       /* Both: it never was. */
    bool gone;                    /* Undone again: the row is as it was. */
    bool is_kept;                 /* The history has the row, which was deleted. */
    bool stale; /* In table's 'stale': its index nodes are not those of its values. */
    struct change *next_stale;
    struct index_step *index_steps; /* schema->n_indexes; NULL while untouched. */
    uint64_t old_version;
    uint64_t *pruned;    /* Bit per field: weak_prune() is through with it.  NULL: none. */
    uint64_t *changed;   /* Bit per field: 'saved' holds what it was.  NULL if inserted. */
    struct datum *saved; /* Per field; those with a bit are owned. */
};

struct ref_step {
    struct row *row;
    int32_t delta;
};

struct txn {
    struct db *db;
    struct arena arena;
    struct change *first, **last;
    VEC(struct ref_step) ref_steps; /* What was done to n_refs, for undoing. */
    VEC(struct row *) orphans;      /* Rows whose n_refs fell to 0. */
    struct symtab symbols;
    struct buf comment;
    struct buf record;
    bool durable;
    struct uuid id; /* Of the state that it makes; zero: not known yet. */
};

static inline bool
change_has(const struct change *ch, size_t field)
{
    return ch->changed && ch->changed[field / 64] >> (field % 64) & 1;
}

/* Did it change the column?  All columns of a row that came or went. */
static inline bool
change_touches(const struct change *ch, size_t field)
{
    return ch->inserted || ch->deleted || change_has(ch, field);
}

/* Nothing is left of it: passes skip it. */
static inline bool
change_is_void(const struct change *ch)
{
    return ch->gone || (ch->inserted && ch->deleted);
}

/* The value before the transaction, borrowed, if need be in 'room'.  Not for inserted rows. */
static inline const struct datum *
change_old(const struct change *ch, size_t field, struct datum *room)
{
    return change_has(ch, field) ? &ch->saved[field] : row_field(ch->row, field, room);
}

static inline const struct datum *
change_old_cell(const struct change *ch, const struct column *c, struct datum *room)
{
    if (c->index == COLUMN_VERSION) {
        *room = (struct datum){ .n = 1, .one.uuid = row_version_uuid(ch->old_version) };
        return room;
    }
    return c->index == COLUMN_UUID ? row_get(ch->row, c, room)
                                   : change_old(ch, c->index - N_SPECIAL_COLUMNS, room);
}

#define TXN_FOR_EACH(var, txn)                                                             \
    for (struct change *var = (txn)->first; var; var = var->next)                          \
        if (!change_is_void(var))

/* txn.c: doing and undoing. */
struct txn *txn_begin(struct db *);
struct row *txn_insert(struct txn *, struct table *, const struct uuid *);
void txn_set(struct txn *, struct row *, size_t field, struct datum); /* Takes the datum. */
/* The field of a row that has a change has another value now: for who changes it in place. */
void txn_touch(struct row *, size_t field);
void txn_delete(struct txn *, struct row *);
void txn_undo(struct txn *);   /* As before; frees the transaction. */
void txn_finish(struct txn *); /* Keeps the changes; frees the transaction. */
void txn_drop_spare(struct db *);

/* commit.c: the pipeline. */
struct err *commit_prepare(struct txn *) MUST_CHECK;
bool commit_is_empty(const struct txn *);

/* The passes, in their files. */
/* refs.c: what a column of references loses and gains.  Keys are sorted on both sides: only the
 * differences cost a look-up. */
struct ref_keys {
    const struct datum *old, *new;
    uint32_t i, j;
    const struct uuid *to; /* Found by ref_keys_next()... */
    bool added;            /* ... in 'new' alone, else in 'old' alone. */
};
bool ref_keys_next(struct ref_keys *);
struct err *refs_count(struct txn *) MUST_CHECK;   /* refs.c: strong references. */
struct err *refs_collect(struct txn *) MUST_CHECK; /* refs.c: rows nobody refers to. */
struct err *weak_prune(struct txn *) MUST_CHECK;   /* weak.c: references to missing rows. */
void weak_commit(struct txn *);                    /* weak.c: the reverse index. */
void weak_forget(struct db *);
struct err *index_check(struct txn *) MUST_CHECK; /* index.c: uniqueness. */
/* A row with these values will come: so much earlier, so much less to wait for memory. */
void index_prefetch(const struct table *, const struct cells *);
void index_touch(struct change *); /* Its values changed, or it came or went. */
void index_flush(struct table *);  /* All nodes are those of the current values. */
void index_undo(struct change *);
uint32_t index_hash(const struct index_schema *, const struct datum **values);

/* record.c: the journal's text. */
void record_print(struct txn *, const struct db_ctx *);

#endif /* db/txn_i.h */
