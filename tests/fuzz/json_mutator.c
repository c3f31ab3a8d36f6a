/* tests/fuzz/json_mutator.c: for targets whose input is JSON: changes values, not bytes.
 *
 * A changed byte mostly makes a text that is no JSON, which only tries the parser, again and again.  Here
 * most changes take the text apart, move, copy, drop or replace values and names, and print it again;
 * every fourth is libFuzzer's own, so that broken texts come too.  Names and strings come from the text
 * itself or from the words below.  Linked to a target, it is found by its name. */
#include "base/str.h"
#include "json/json.h"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n_bytes, size_t max_bytes,
                               unsigned int seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t n_a, const uint8_t *b, size_t n_b,
                                 uint8_t *out, size_t max_out, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t n_bytes, size_t max_bytes);

/* What a place may be replaced by, as JSON. */
static const char *const leaves[] = {
    "0",
    "1",
    "-1",
    "2",
    "7",
    "9223372036854775807",
    "-9223372036854775808",
    "4294967296",
    "1.5",
    "-0.1",
    "1e308",
    "true",
    "false",
    "null",
    "\"\"",
    "\"a\"",
    "\"x\"",
    "\"abcd\"",
    "\"\xc3\xa9\"",
    "\"\xff\"",
    "[]",
    "{}",
    "[\"set\",[]]",
    "[\"set\",[1,2]]",
    "[\"set\",[\"a\",\"b\"]]",
    "[\"map\",[]]",
    "[\"map\",[[\"a\",1],[\"b\",2]]]",
    "[\"map\",[[1,\"a\"]]]",
    "[\"named-uuid\",\"r\"]",
    "[\"named-uuid\",\"c\"]",
    "[\"uuid\",\"00000000-0000-0000-0000-000000000000\"]",
    "[\"uuid\",\"00000000-0000-0000-0000-000000000001\"]",
    "[\"uuid\",\"00000000-0000-0000-0000-000000000002\"]",
    "[[\"k\",\"==\",1]]",
    "[[\"_uuid\",\"==\",[\"uuid\",\"00000000-0000-0000-0000-000000000001\"]]]",
    "[false]",
    "[true]",
};

static const char *const words[] = {
    "==",         "!=",         "<",         "<=",      ">",          ">=",
    "includes",   "excludes",   "+=",        "-=",      "*=",         "/=",
    "%=",         "insert",     "delete",    "select",  "update",     "mutate",
    "wait",       "commit",     "abort",     "comment", "assert",     "_uuid",
    "_version",   "op",         "table",     "row",     "rows",       "where",
    "columns",    "mutations",  "uuid-name", "uuid",    "named-uuid", "set",
    "map",        "until",      "timeout",   "sort",    "durable",    "lock",
    "initial",    "modify",     "new",       "old",     "name",       "type",
    "key",        "value",      "min",       "max",     "unlimited",  "enum",
    "minInteger", "maxInteger", "minReal",   "maxReal", "minLength",  "maxLength",
    "refTable",   "refType",    "weak",      "strong",  "mutable",    "ephemeral",
    "isRoot",     "maxRows",    "indexes",   "integer", "real",       "boolean",
    "string",     "method",     "params",    "id",      "result",     "error",
};

/* Of the input and of what the mutation makes. */
struct tree {
    struct arena arena;
    struct json root;
    struct json **nodes; /* Every value, the outermost first. */
    size_t n_nodes, n_room;
    uint64_t random;
};

static uint32_t
draw(struct tree *t, uint32_t n)
{
    t->random = t->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t) (t->random >> 33) % n;
}

static void
collect(struct tree *t, struct json *j)
{
    if (t->n_nodes == t->n_room) {
        t->n_room = t->n_room ? 2 * t->n_room : 64;
        t->nodes = xrealloc(t->nodes, t->n_room * sizeof(*t->nodes));
    }
    t->nodes[t->n_nodes++] = j;
    for (uint32_t i = 0; i < j->n && j->type == JSON_ARRAY; i++) {
        collect(t, &j->elems[i]);
    }
    for (uint32_t i = 0; i < j->n && j->type == JSON_OBJECT; i++) {
        collect(t, &j->members[i].value);
    }
}

static bool
tree_init(struct tree *t, const uint8_t *data, size_t n_bytes, unsigned int seed)
{
    *t = (struct tree){ .arena = ARENA_INIT, .random = seed };
    struct err *e = json_parse(&t->arena, (const char *) data, n_bytes, &t->root);
    if (e) {
        err_free(e);
        return false;
    }
    collect(t, &t->root);
    return true;
}

static void
tree_done(struct tree *t)
{
    free(t->nodes);
    arena_done(&t->arena);
}

static struct json
new_leaf(struct tree *t)
{
    struct json j;
    struct err *e = json_parse_str(&t->arena, leaves[draw(t, N_ELEMS(leaves))], &j);
    ASSERT(!e);
    return j;
}

/* A copy of some value of 'from', or something new. */
static struct json
any_value(struct tree *t, const struct tree *from)
{
    return draw(t, 3) ? json_copy(&t->arena, from->nodes[draw(t, (uint32_t) from->n_nodes)])
                      : new_leaf(t);
}

/* Of an object or a string of the text, or a word. */
static const char *
any_name(struct tree *t)
{
    const struct json *j = t->nodes[draw(t, (uint32_t) t->n_nodes)];
    if (j->type == JSON_OBJECT && j->n > 0) {
        return arena_str(&t->arena, j->members[draw(t, j->n)].name);
    } else if (j->type == JSON_STRING && draw(t, 2)) {
        return arena_str(&t->arena, j->string);
    }
    return words[draw(t, N_ELEMS(words))];
}

static void
change_array(struct tree *t, struct json *j)
{
    struct json changed = json_array();
    uint32_t what = draw(t, 4), at = draw(t, j->n + 1), other = draw(t, j->n + 1);
    for (uint32_t i = 0; i <= j->n; i++) {
        if (i == at && what == 0) {
            json_add(&t->arena, &changed, any_value(t, t));
        } else if (i == at && what == 1 && other < j->n) {
            json_add(&t->arena, &changed,
                     j->elems[other]); /* Again, or earlier or later. */
        } else if (i == at && what == 2) {
            continue; /* It goes. */
        }
        if (i < j->n) {
            json_add(&t->arena, &changed, j->elems[i]);
        }
    }
    *j = changed;
}

static void
change_object(struct tree *t, struct json *j)
{
    struct json changed = json_object();
    const char *name = any_name(t);
    uint32_t what = draw(t, 3), at = draw(t, j->n + 1);
    for (uint32_t i = 0; i <= j->n; i++) {
        if (i == at && what < 2 && !json_get(&changed, name)) {
            json_put(&t->arena, &changed, name,
                     what == 0 || i == j->n ? any_value(t, t) : j->members[i].value);
        }
        if (i < j->n && (i != at || what == 0) && !json_get(&changed, j->members[i].name)) {
            json_put(&t->arena, &changed, j->members[i].name, j->members[i].value);
        }
    }
    *j = changed;
}

static void
change_string(struct tree *t, struct json *j)
{
    char text[128];
    size_t n = j->n < sizeof text / 2 ? j->n : sizeof text / 2;
    if (draw(t, 2)) {
        *j = json_string(&t->arena, any_name(t));
        return;
    }
    memcpy(text, j->string, n);
    n = LLVMFuzzerMutate((uint8_t *) text, n, sizeof text - 1);
    text[n] = '\0';
    *j = json_string(&t->arena, text); /* Ends at the first NUL. */
}

static void
change(struct tree *t)
{
    struct json *j = t->nodes[draw(t, (uint32_t) t->n_nodes)];
    if (draw(t, 5) == 0) {
        *j = any_value(t, t);
    } else if (j->type == JSON_ARRAY) {
        change_array(t, j);
    } else if (j->type == JSON_OBJECT) {
        change_object(t, j);
    } else if (j->type == JSON_STRING) {
        change_string(t, j);
    } else if (j->type == JSON_INTEGER && draw(t, 2)) {
        *j = json_int((int64_t) ((uint64_t) j->integer + draw(t, 5) - 2));
    } else {
        *j = new_leaf(t);
    }
}

/* 0 if it is too long. */
static size_t
print(const struct tree *t, uint8_t *out, size_t max_bytes)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    json_print(&t->root, 0, &text);
    if (text.n > max_bytes) {
        return 0;
    }
    memcpy(out, text.data, text.n);
    return text.n;
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t n_bytes, size_t max_bytes, unsigned int seed)
{
    struct tree t;
    size_t n = 0;
    if (seed % 4 != 0 && tree_init(&t, data, n_bytes, seed)) {
        for (uint32_t i = draw(&t, 3) + 1; i > 0; i--) {
            change(&t);
            t.n_nodes = 0; /* What was may be gone, or in two places. */
            t.root = json_copy(&t.arena, &t.root);
            collect(&t, &t.root);
        }
        n = print(&t, data, max_bytes);
    }
    if (seed % 4 != 0) {
        tree_done(&t);
    }
    return n ? n : LLVMFuzzerMutate(data, n_bytes, max_bytes);
}

size_t
LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t n_a, const uint8_t *b, size_t n_b,
                          uint8_t *out, size_t max_out, unsigned int seed)
{
    struct tree t, other;
    size_t n = 0;
    bool both = tree_init(&t, a, n_a, seed);
    both = tree_init(&other, b, n_b, seed) && both;
    if (both && t.root.type == JSON_ARRAY && other.root.type == JSON_ARRAY && draw(&t, 2)) {
        for (uint32_t i = 0; i < other.root.n; i++) { /* One after the other. */
            json_add(&t.arena, &t.root, other.root.elems[i]);
        }
        n = print(&t, out, max_out);
    } else if (both) {
        *t.nodes[draw(&t, (uint32_t) t.n_nodes)] = any_value(&t, &other);
        n = print(&t, out, max_out);
    }
    tree_done(&t);
    tree_done(&other);
    return n;
}
