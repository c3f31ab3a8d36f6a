/* store/backend/table.c: a table of partitions, as parted(8) tells it.
 *
 * `parted --script --json DEVICE unit B print free` tells the table, its partitions and what is
 * free; the last byte is included, and "path" is the device with its links resolved:
 *   {"disk": {"path": "/dev/sdc", "size": "536870912B", "label": "msdos", "partitions": [
 *     {"number": 1, "start": "1048576B", "end": "20971519B", "type": "primary"},
 *     {"number": 2, "start": "20971520B", "end": "419430399B", "type": "extended"},
 *     {"number": 0, "start": "52428800B", "end": "419430399B", "type": "free"}, ...]}} */
#include "store/backend/table_i.h"

#include "base/str.h"
#include "json/json.h"
#include "store/code.h"

#define ALIGN_BYTES MIB
#define MAX_PARTITIONS 1024

/* "1048576B" */
static int64_t
bytes_of(const struct json *object, const char *member)
{
    const char *text = json_get_string(object, member);
    uint64_t value;
    CLEANUP(free_drop) char *digits = str_dup(text ? text : "");
    size_t n = strlen(digits);
    if (n && digits[n - 1] == 'B') {
        digits[n - 1] = '\0';
    }
    return str_to_u64(digits, &value) && value < INT64_MAX ? (int64_t) value : -1;
}

static struct err *
part_read(const struct json *j, struct part *ret)
{
    const char *type = json_get_string(j, "type");
    int64_t number = 0;
    json_get_int(j, "number", &number);
    *ret = (struct part){
        .kind = str_eq(type, "free")       ? PART_FREE
                : str_eq(type, "extended") ? PART_EXTENDED
                : str_eq(type, "logical")  ? PART_LOGICAL
                                           : PART_PRIMARY,
        .number = (int) clamp64(number, 0, INT32_MAX),
        .start = bytes_of(j, "start"),
        .end = bytes_of(j, "end") + 1,
    };
    if (ret->start < 0 || ret->end <= ret->start) {
        return err_new(ERR_SYNTAX, "parted tells of a partition from nowhere");
    }
    return NULL;
}

const struct part *
table_extended(const struct table *t)
{
    for (size_t i = 0; i < t->n; i++) {
        if (t->parts[i].kind == PART_EXTENDED) {
            return &t->parts[i];
        }
    }
    return NULL;
}

struct err *
table_read(struct arena *arena, const struct plan_seen *seen, struct table *ret)
{
    const char *text = strchr(plan_seen_text(seen, "parted"), '{');
    struct json *j = ARENA_NEW(arena, struct json);
    if (!text) {
        return err_new(ERR_SYNTAX, "parted printed no table");
    }
    TRY(err_wrap(json_parse_str(arena, text, j), "what parted printed"));
    const struct json *disk = json_is(j, JSON_OBJECT) ? json_get(j, "disk") : NULL;
    if (!json_is(disk, JSON_OBJECT) || !json_get_string(disk, "path") ||
        !json_get_string(disk, "label")) {
        return err_new(ERR_SYNTAX, "parted printed no disk");
    }
    const struct json *parts = json_get(disk, "partitions");
    *ret = (struct table){ json_get_string(disk, "path"), json_get_string(disk, "label"),
                           NULL, 0 };
    size_t n = json_is(parts, JSON_ARRAY) ? parts->n : 0;
    if (n > MAX_PARTITIONS) {
        return err_new(ERR_CONSTRAINT, "the disk has more than %d partitions",
                       MAX_PARTITIONS);
    }
    ret->parts = arena_zalloc(arena, (n + 1) * sizeof *ret->parts);
    for (size_t i = 0; i < n; i++) {
        if (!json_is(&parts->elems[i], JSON_OBJECT)) {
            return err_new(ERR_SYNTAX, "parted printed no partition");
        }
        TRY(part_read(&parts->elems[i], &ret->parts[ret->n++]));
    }
    const struct part *extended = table_extended(ret);
    for (size_t i = 0; i < n && extended; i++) {
        struct part *p = &ret->parts[i];
        p->inside =
            p->kind == PART_FREE && p->start >= extended->start && p->end <= extended->end;
    }
    return NULL;
}

int64_t
table_align_up(int64_t x, int64_t unit)
{
    return (int64_t) div_up((uint64_t) x, (uint64_t) unit) * unit;
}

struct err *
table_place(const struct table *t, enum part_kind kind, int64_t size, int64_t *ret_start)
{
    int64_t best = INT64_MAX, largest = 0;
    for (size_t i = 0; i < t->n; i++) {
        const struct part *p = &t->parts[i];
        if (p->kind != PART_FREE || p->inside != (kind == PART_LOGICAL)) {
            continue;
        }
        /* A logical one has a record of its own before it. */
        int64_t start = table_align_up(
            max64(p->start + (kind == PART_LOGICAL), ALIGN_BYTES), ALIGN_BYTES);
        largest = max64(largest, p->end - start);
        if (p->end - start >= size && p->end - p->start < best) {
            best = p->end - p->start;
            *ret_start = start;
        }
    }
    if (best < INT64_MAX) {
        return NULL;
    }
    CLEANUP(free_drop) char *text = str_from_bytes(largest);
    struct err *e =
        err_tag(err_new(ERR_NO_SPACE, "no large enough free extent"), VE_INTERNAL);
    return err_hint(e, "the largest that is free takes %" PRId64 " bytes (%s)", largest,
                    text);
}

static bool
has_number(const struct table *t, int number)
{
    for (size_t i = 0; i < t->n; i++) {
        if (t->parts[i].kind != PART_FREE && t->parts[i].number == number) {
            return true;
        }
    }
    return false;
}

int
table_next_number(const struct table *t, enum part_kind kind)
{
    int number = kind == PART_LOGICAL ? TABLE_DOS_PRIMARIES + 1 : 1;
    while (has_number(t, number)) {
        number++;
    }
    return number;
}
