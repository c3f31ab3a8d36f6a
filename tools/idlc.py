#!/usr/bin/python3
"""Makes C from a database schema.

    idlc.py rows SCHEMA PREFIX.h PREFIX.c    typed rows, see src/replica/typed.h
    idlc.py text SCHEMA FILE.c               the schema's text as `const char vmmgr_schema_text[]`

Nothing that it makes is committed; meson calls it.  Exits 1 with a message for a schema that has
no C form (two columns whose names collide, a table that is no identifier).
"""

import json
import re
import sys

KEYWORDS = set("""auto break case char const continue default do double else enum extern float for
goto if inline int long register restrict return short signed sizeof static struct switch typedef
union unsigned void volatile while base""".split())  # "base" is the struct's own first field.

SCALARS = {  # JSON type -> (required: kind, C type), (optional: kind, C type)
    "string": (("TYPED_STRING", "const char *"), ("TYPED_OPT_STRING", "const char *")),
    "integer": (("TYPED_INT", "int64_t "), ("TYPED_OPT_INT", "struct typed_int ")),
    "real": (("TYPED_REAL", "double "), ("TYPED_OPT_REAL", "struct typed_real ")),
    "boolean": (("TYPED_BOOL", "bool "), ("TYPED_OPT_BOOL", "struct typed_bool ")),
    "uuid": (("TYPED_UUID", "struct uuid "), ("TYPED_UUID", "struct uuid ")),
}


class Column:
    def __init__(self, name, schema):
        self.name = name
        self.c_name = name + "_" if name in KEYWORDS else name
        kind = schema["type"]
        if isinstance(kind, str):
            kind = {"key": kind}
        key = kind["key"] if isinstance(kind["key"], dict) else {"type": kind["key"]}
        value = kind.get("value")
        n_min, n_max = kind.get("min", 1), kind.get("max", 1)
        self.ref_table = key.get("refTable") if n_max == 1 and value is None else None
        if value is not None:
            self.kind, self.c_type = "TYPED_MAP", "struct typed_map "
        elif n_max != 1:
            self.kind, self.c_type = "TYPED_SET", "struct typed_set "
        else:
            self.kind, self.c_type = SCALARS[key["type"]][0 if n_min else 1]
        self.comment = describe(key, value, n_min, n_max)


def describe(key, value, n_min, n_max):
    """What the C type does not show: "optional, -> pool", "a map of string to string"."""
    words = []
    if value is not None:
        value = value if isinstance(value, str) else value["type"]
        words.append(f"{key['type']} to {value}")
    elif n_max != 1:
        words.append(f"of {key['type']}")
    elif n_min == 0:
        words.append("optional")
    if "refTable" in key:
        words.append(f"{'weak ' if key.get('refType') == 'weak' else ''}-> {key['refTable']}")
    if "enum" in key:
        choices = key["enum"]
        choices = choices[1] if isinstance(choices, list) and choices[0] == "set" else [choices]
        words.append("|".join(str(c) for c in choices))
    return ", ".join(words)


class Table:
    def __init__(self, name, schema):
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            sys.exit(f"idlc: table {name}: no identifier")
        self.name = name
        self.columns = [Column(n, c) for n, c in sorted(schema["columns"].items())]
        c_names = [c.c_name for c in self.columns]
        if len(set(c_names)) != len(c_names):
            sys.exit(f"idlc: table {name}: two columns have the same name in C")
        self.references = [c for c in self.columns if c.ref_table]


HEAD = """/* {file}: typed rows of the database {database}, made by tools/idlc.py.  See replica/typed.h. */
"""

DECLARATIONS = """
/* Table {t}. */
struct row_{t} {{
    struct replica_row base;
{fields}}};
enum row_{t}_field {{
{enums}}};
extern const struct row_class row_{t}_class;
/* All columns if 'columns' is NULL. */
void row_{t}_watch(struct replica *, const char *const *columns);
struct row_{t} *row_{t}_find(const struct replica *, const struct uuid *); /* Or NULL. */
struct replica_table *row_{t}_table(const struct replica *);               /* Or NULL. */
bool row_{t}_changed(const struct replica_change *, enum row_{t}_field);
static inline struct row_{t} *
row_{t}_of(const struct replica_row *r)
{{
    return (struct row_{t} *) (uintptr_t) r;
}}
"""

DEFINITIONS = """
/* Table {t}. */
static const struct row_field row_{t}_fields[] = {{
{fields}}};
static const char *const row_{t}_columns[] = {{
{columns}    NULL,
}};
const struct row_class row_{t}_class = {{ "{t}", sizeof(struct row_{t}), row_{t}_fields,
    N_ELEMS(row_{t}_fields), row_{t}_columns }};

void
row_{t}_watch(struct replica *r, const char *const *columns)
{{
    replica_watch(r, "{t}", columns ? columns : row_{t}_columns, NULL, &row_{t}_class);
}}

struct row_{t} *
row_{t}_find(const struct replica *r, const struct uuid *uuid)
{{
    return row_{t}_of(replica_find(r, "{t}", uuid));
}}

struct replica_table *
row_{t}_table(const struct replica *r)
{{
    return replica_table(r, "{t}");
}}

bool
row_{t}_changed(const struct replica_change *change, enum row_{t}_field field)
{{
    return typed_changed(change, &row_{t}_class, (int) field);
}}
"""

REFERENCE = """
struct row_{to} *
row_{t}_get_{name}(const struct row_{t} *row)
{{
    return row_{to}_of(replica_find(row->base.table->replica, "{to}", &row->{c_name}));
}}
"""


def row_header(database, tables, path):
    guard = re.sub(r"\W", "_", path.rsplit("/", 1)[-1]).upper()
    out = [HEAD.format(file=path.rsplit("/", 1)[-1], database=database),
           f"#ifndef {guard}\n#define {guard} 1\n\n#include \"replica/typed.h\"\n"]
    for t in tables:
        fields = "".join(
            f"    {c.c_type}{c.c_name};" + (f" /* {c.comment} */" if c.comment else "") + "\n"
            for c in t.columns)
        enums = "".join(f"    ROW_{t.name.upper()}_{c.name.upper()},\n" for c in t.columns)
        out.append(DECLARATIONS.format(t=t.name, fields=fields, enums=enums))
    out.append("\n/* Following references; NULL if there is none, or the table is not watched. */\n")
    for t in tables:
        for c in t.references:
            out.append(f"struct row_{c.ref_table} *row_{t.name}_get_{c.name}"
                       f"(const struct row_{t.name} *);\n")
    out.append("\n#endif\n")
    return "".join(out)


def row_source(database, tables, path, header):
    out = [HEAD.format(file=path.rsplit("/", 1)[-1], database=database),
           f"#include \"replica/{header.rsplit('/', 1)[-1]}\"\n"]
    for t in tables:
        fields = "".join(
            f"    {{ \"{c.name}\", offsetof(struct row_{t.name}, {c.c_name}), {c.kind} }},\n"
            for c in t.columns)
        columns = "".join(f"    \"{c.name}\",\n" for c in t.columns)
        out.append(DEFINITIONS.format(t=t.name, fields=fields, columns=columns))
    for t in tables:
        for c in t.references:
            out.append(REFERENCE.format(t=t.name, to=c.ref_table, name=c.name, c_name=c.c_name))
    return "".join(out)


def c_string(text):
    """One literal a line; C11 only promises 4095 characters, gcc and clang take any number."""
    lines = []
    for line in text.splitlines(keepends=True):
        line = line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        lines.append(f'    "{line}"')
    return "\n".join(lines)


def schema_source(text, name):
    symbol = f"{name}_schema_text"
    return (f"/* The schema of the database {name}, made by tools/idlc.py. */\n"
            f"extern const char {symbol}[];\nconst char {symbol}[] =\n{c_string(text)};\n")


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def main(argv):
    if len(argv) < 4 or (argv[1], len(argv)) not in (("rows", 5), ("text", 4)):
        sys.exit(__doc__)
    with open(argv[2], encoding="utf-8") as f:
        text = f.read()
    schema = json.loads(text)
    if argv[1] == "text":
        write(argv[3], schema_source(text, schema["name"]))
        return
    tables = [Table(n, t) for n, t in sorted(schema["tables"].items())]
    write(argv[3], row_header(schema["name"], tables, argv[3]))
    write(argv[4], row_source(schema["name"], tables, argv[4], argv[3]))


if __name__ == "__main__":
    main(sys.argv)
