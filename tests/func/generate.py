"""Generates requests for SCHEMA: most make sense, many do not quite, some not at all.

The same seed gives the same requests.  Rows get explicit UUIDs from a small pool, so that two servers that get
the same requests hold the same rows.  Values come from the columns' types, so that a schema may be changed.
"""

import copy
import json
import random

STRINGS = ["", "a", "b", "web", "é", "x y", "true", "red", "0123456789012345678901234567890", "\"q\\", "\t", "a,b"]
INTS = [0, 1, -1, 2, 3, 5, 10, 11, 100, 2**31, 2**63 - 1, -(2**63), 7]
REALS = [0.0, 1.5, -2.25, 1e10, 0.1, 3.0, 123456789.123456789, 1e-7]
JUNK = [None, True, 1, "x", 1.5, [], {}, ["set"], ["set", 1], ["map", [[1]]], ["uuid", "zzz"], ["named-uuid", "9"], ["set", [["set", []]]]]
ARITHMETIC = ["+=", "-=", "*=", "/=", "%="]


def set_of(key, most="unlimited", least=0):
    return {"key": key, "min": least, "max": most}


def map_of(key, value, most="unlimited"):
    return {"key": key, "value": value, "min": 0, "max": most}


def ref(table, kind="strong"):
    return {"type": "uuid", "refTable": table, "refType": kind}


def table(columns, **members):
    return dict({"columns": {c: t if "type" in t and len(t) > 1 and ("mutable" in t or "ephemeral" in t) else {"type": t}
                             for c, t in columns.items()}}, **members)


# Every type, every constraint; strong references in chains and rings, weak ones that may and may not be lost.
SCHEMA = {"name": "T", "version": "1.2.3", "tables": {
    "A": table({
        "name": {"key": {"type": "string", "maxLength": 30}}, "i": {"key": "integer"}, "r": {"key": "real"}, "b": {"key": "boolean"},
        "u": {"key": "uuid"}, "small": set_of({"type": "integer", "minInteger": 1, "maxInteger": 10}, 1),
        "color": set_of({"type": "string", "enum": ["set", ["red", "green", "blue"]]}, 1), "tags": set_of("string"),
        "nums": set_of("integer", 5), "reals": set_of({"type": "real", "minReal": -5, "maxReal": 2e10}, 4), "opts": map_of("string", "string"),
        "imap": map_of("integer", "real", 3), "fixed": {"type": {"key": "string"}, "mutable": False},
        "eph": {"type": {"key": "integer"}, "ephemeral": True}, "strong": set_of(ref("B")), "weak": set_of(ref("A", "weak"))}, isRoot=True),
    "B": table({"k": {"key": "string"}, "v": set_of("integer", 1), "c": set_of(ref("C")), "ring": set_of(ref("B"), 1)}),
    "C": table({"x": {"key": "integer"}, "kind": {"key": {"type": "string", "enum": ["set", ["p", "q"]]}}, "must": {"key": ref("A", "weak")}, "back": map_of(ref("B", "weak"), "string"),
                "named": map_of("string", ref("C", "weak"), 2)}),
    "U": table({"a": {"key": "string"}, "b": {"key": "integer"}, "note": {"key": "string"}}, isRoot=True, indexes=[["a"], ["a", "b"]], maxRows=6),
    "M": table({"text": {"key": {"type": "string", "minLength": 2, "maxLength": 4}}, "level": {"key": {"type": "integer", "enum": ["set", [0, 5, -3]]}},
                "some": set_of({"type": "integer", "maxInteger": 3}, 3, 1), "ids": set_of("uuid", 2), "flags": set_of("boolean", 2),
                "owner": set_of(ref("A"), 1), "opt": set_of("real", 1), "key": set_of("string", 2), "bits": map_of("boolean", "integer", 2)},
               isRoot=True, indexes=[["key"], ["level", "some", "text"]], maxRows=5),
    # What the schema says is not what the server does: a column of weak references can be changed whatever "mutable" says, one
    # that holds rows of no root is written whatever "ephemeral" says.
    "R": table({"real": {"key": {"type": "real", "enum": ["set", [0, 0.5, -2.25]]}}, "owner": set_of(ref("A"), 1), "flag": set_of("boolean", 1),
                "vals": map_of("string", ref("N")), "pairs": map_of(ref("N"), ref("A", "weak")), "both": map_of(ref("A", "weak"), ref("R", "weak"), 3),
                "some": set_of(ref("A", "weak"), "unlimited", 1), "keep": {"type": set_of(ref("N")), "ephemeral": True},
                "ephset": {"type": set_of("string"), "ephemeral": True}, "ephweak": {"type": set_of(ref("A", "weak"), 2), "ephemeral": True},
                "fixset": {"type": set_of(ref("N"), 2), "mutable": False}, "fixweak": {"type": set_of(ref("R", "weak"), 1), "mutable": False},
                "places": map_of({"type": "integer", "minInteger": 1, "maxInteger": 3}, {"type": "string", "enum": ["set", ["red", "a b", "true"]]}),
                "reals": map_of("real", "uuid", 2), "many": set_of({"type": "integer", "minInteger": 0, "maxInteger": 40}, 39, 1)},
               isRoot=True, indexes=[["owner"], ["flag", "places", "many"]]),
    "N": table({"x": {"key": "real"}, "peers": set_of(ref("N"), 2), "mine": map_of("integer", ref("C")), "back": set_of(ref("R", "weak"), 1)}, maxRows=5),
}}


def column_type(schema, table, column):
    t = schema["tables"][table]["columns"][column]["type"]
    return t if isinstance(t, dict) else {"key": t}


def base(t):
    return t if isinstance(t, dict) else {"type": t}


class Generator:
    def __init__(self, seed, schema=SCHEMA, n_uuids=24):
        self.r = random.Random(seed)
        self.schema = schema
        self.uuids = ["%08x-0000-4000-8000-%012x" % (self.r.getrandbits(32), i) for i in range(n_uuids)]
        self.names = ["row%d" % i for i in range(6)]
        self.live = {}  # Table -> UUIDs of rows, when the caller knows: references then find something.

    def some(self, probability):
        return self.r.random() < probability

    # Values.

    def uuid(self, of=None):
        if self.names and self.some(0.12):
            return ["named-uuid", self.r.choice(self.names)]
        live = self.live.get(of)
        return ["uuid", self.r.choice(live if live and self.some(0.8) else self.uuids)]

    def atom(self, b, risky):
        kind = b["type"]
        if "enum" in b:
            return self.r.choice(b["enum"][1] if not risky else b["enum"][1] + (["pink"] if kind == "string" else [2]))
        if kind == "uuid":
            return self.uuid(b.get("refTable"))
        if kind == "boolean":
            return self.some(0.5)
        if kind == "string":
            least, most = b.get("minLength", 0), b.get("maxLength", 999)
            good = [s for s in STRINGS + ["ab", "éé", "four"] if least <= len(s) <= most]
            return self.r.choice(STRINGS if risky else good)
        limits = ("minInteger", "maxInteger") if kind == "integer" else ("minReal", "maxReal")
        pool = INTS if kind == "integer" else REALS + INTS[:8]
        good = [n for n in pool + [4, 9] if b.get(limits[0], n) <= n <= b.get(limits[1], n)]
        return self.r.choice(pool if risky else good)

    def value(self, t, risky=True):
        """A value of the type; a risky one may be refused."""
        r = self.r
        if risky and self.some(0.06):
            return r.choice(JUNK)
        least, most = t.get("min", 1), t.get("max", 1)
        most = min(4, most) if most != "unlimited" else 4
        n = r.choice([least, least, 1, 1, 2, 3, most])
        n = n + r.choice([0, 0, 1]) if risky else max(least, min(n, most))
        keys = []
        for _ in range(3 * n):
            key = self.atom(base(t["key"]), risky)
            if len(keys) < n and (key not in keys or (risky and self.some(0.1))):
                keys.append(key)
        while len(keys) < least and not risky:  # A small domain: the default fits, or nothing does.
            keys.append(self.atom(base(t["key"]), False))
        if "value" in t:
            return ["map", [[k, self.atom(base(t["value"]), risky)] for k in keys]]
        if len(keys) == 1 and self.some(0.7):
            return keys[0]
        return ["set", keys]

    def columns(self, table):
        return list(self.schema["tables"][table]["columns"]) if table in self.schema["tables"] else ["name"]

    def column_value(self, table, column, risky=True):
        if column in ("_uuid", "_version"):
            return self.uuid(table)
        return self.value(column_type(self.schema, table, column), risky) if table in self.schema["tables"] else 1

    def table(self):
        return self.r.choice("AAAABBCUUMMRRRN") if self.some(0.985) else "Z"

    def must(self, table):
        """Columns whose default the schema refuses."""
        return {"M": ["text"], "C": ["must", "kind"], "R": ["some"]}.get(table, [])

    def row(self, table, without=(), most=5, whole=False):
        columns = [c for c in self.columns(table) if c not in without]
        picked = self.r.sample(columns, min(len(columns), self.r.randint(0, most)))
        if whole and self.some(0.9):
            picked += [c for c in self.must(table) if c in columns and c not in picked]
        # At most one may be refused: which error comes first is a matter of the server's hash function.
        risky = self.r.choice(picked) if picked and self.some(0.3) else None
        row = {c: self.column_value(table, c, c == risky) for c in picked}
        if not risky and self.some(0.02):
            row["bogus"] = 1
        if self.some(0.01) and not {"fixed", "fixset"} & set(row):  # Which immutable column is named is left to chance.
            row["_version"] = ["uuid", self.uuids[0]]
        return row

    def clause(self, table, risky=True):
        r = self.r
        if risky and self.some(0.03):
            return r.choice([True, False, [], ["name"], ["name", "==", 1, 2], "x", ["bogus", "==", 1], ["name", "~", "a"]])
        if self.some(0.4):
            return ["_uuid", r.choice(["==", "==", "==", "!=", "includes", "excludes"]), self.uuid(table) if self.some(0.2) else
                    ["uuid", r.choice(self.live.get(table) or self.uuids)]]
        column = r.choice(self.columns(table))
        function = r.choice(["==", "==", "!=", "includes", "excludes", "<", ">=", ">", "<="])
        if function[0] in "<>" and (not risky or self.some(0.7)) and table in self.schema["tables"]:
            numbers = [c for c in self.columns(table) if self.is_number(table, c, ordered=True)]
            if not numbers:
                return True
            return [r.choice(numbers), function, self.atom({"type": "integer"}, False)]
        return [column, function, self.column_value(table, column, risky and self.some(0.3))]

    def where(self, table):
        return [self.clause(table) for _ in range(self.r.choice([0, 1, 1, 1, 1, 2]))]

    def is_uuid(self, table, column):
        t = column_type(self.schema, table, column) if table in self.schema["tables"] else {"key": "string"}
        return "uuid" in [base(b)["type"] for b in (t["key"], t.get("value", "string"))]

    def is_number(self, table, column, ordered=False):
        """'ordered': one that takes any number after < and >."""
        t = column_type(self.schema, table, column)
        b = base(t["key"])
        return b["type"] in ("integer", "real") and not (ordered and (len(b) > 1 or t.get("max", 1) != 1 or "value" in t))

    def mutation(self, table):
        r = self.r
        columns = self.columns(table)
        if table not in self.schema["tables"]:
            return [columns[0], "+=", 1]
        if self.some(0.45):
            numbers = [c for c in columns if self.is_number(table, c) and "value" not in column_type(self.schema, table, c)]
            column = r.choice(numbers if numbers and self.some(0.95) else columns)
            argument = r.choice([1, 2, 0, -1, 3, 10, 1.5, -7, 2**63 - 1]) if self.some(0.95) else r.choice(JUNK)
            operator = r.choice(ARITHMETIC)
            if operator == "*=" and argument in (0, -1, -7):
                argument = 2  # ovsdb-server dies of a negative number times 0, and negative times negative wraps around.
            return [column, operator, argument]
        if self.some(0.94):
            column = r.choice([c for c in columns if self.schema["tables"][table]["columns"][c]["type"] != "string"] or columns)
            operator = r.choice(["insert", "delete"])
            t = column_type(self.schema, table, column)
            if operator == "delete" and self.some(0.5):
                t = {"key": t["key"], "min": 0, "max": "unlimited"}
            return [column, operator, self.value(t, self.some(0.2))]
        return r.choice([[], ["name"], ["bogus", "+=", 1], ["i", "^=", 1], ["name", "+=", 1], ["_uuid", "+=", 1], ["fixed", "insert", "x"]])

    def columns_arg(self, table, risky=True):
        r = self.r
        columns = r.sample(self.columns(table), r.randint(0, len(self.columns(table))))
        if self.some(0.3):
            columns.append("_uuid")
        if risky and self.some(0.03):
            return r.choice([["name", "name"], ["bogus"], "x", [1], None])
        return columns

    # Operations.

    def select(self, table):
        op = {"op": "select", "table": table, "where": self.where(table)}
        if self.some(0.7):
            op["columns"] = self.columns_arg(table)
        elif self.some(0.3):  # All columns, so that the order of rows can be seen.
            columns = [c for c in self.columns(table) if not self.is_uuid(table, c)]  # The order of random UUIDs is none.
            op["sort"] = self.r.sample(columns, min(len(columns), self.r.randint(1, 3)))
        return op

    def wait(self, table):
        r = self.r
        if self.some(0.3):  # Is there such a row?
            return {"op": "wait", "timeout": 0, "table": table, "where": self.where(table), "columns": [], "until": r.choice(["==", "!="]), "rows": []}
        return {"op": "wait", "timeout": r.choice([0, 0, 0, 0, -1]), "table": table, "where": self.where(table),
                "until": r.choice(["==", "!=", "!="] + (["~"] if self.some(0.1) else [])),
                "rows": [self.row(table) for _ in range(r.choice([0, 1, 1, 2]))], "columns": self.columns_arg(table)}

    def op(self):
        r = self.r
        table = self.table()
        kind = r.choices(["insert", "update", "mutate", "delete", "select", "wait", "comment", "commit", "abort", "assert", "junk"],
                         [32, 14, 16, 8, 12, 8, 2, 1, 0.4, 0.7, 3])[0]
        if kind == "insert":
            op = {"op": "insert", "table": table, "row": self.row(table, whole=True)}
            if table in "BCN" or self.some(0.3):
                op["uuid-name"] = r.choice(self.names)
            if self.some(0.93):
                op["uuid"] = r.choice(self.uuids)
        elif kind == "update":
            op = {"op": "update", "table": table, "where": self.where(table),
                  "row": self.row(table, without=() if self.some(0.1) else ("fixed",), most=3)}
        elif kind == "mutate":
            op = {"op": "mutate", "table": table, "where": self.where(table),
                  "mutations": [self.mutation(table) for _ in range(r.choice([0, 1, 1, 1, 2]))]}
        elif kind == "delete":
            op = {"op": "delete", "table": table, "where": self.where(table) or [self.clause(table)]}
        elif kind == "select":
            op = self.select(table)
        elif kind == "wait":
            op = self.wait(table)
        elif kind == "comment":
            op = {"op": "comment", "comment": r.choice(STRINGS)}
        elif kind == "commit":
            op = {"op": "commit", "durable": r.choice([False, False, True])}
        elif kind == "abort":
            op = {"op": "abort"}
        elif kind == "assert":
            op = {"op": "assert", "lock": r.choice(["lk", "other", "9"])}
        else:
            return r.choice([None, 1, {}, {"op": "bogus"}, {"op": 1}, {"op": "insert"}, {"op": "insert", "table": "A", "row": []},
                             {"op": "insert", "table": "A", "row": {}, "uuid": "zz"}, {"op": "select", "table": "A"},
                             {"op": "insert", "table": "A", "row": {}, "uuid-name": "9x"}, {"op": "delete", "table": "9", "where": []},
                             {"op": "comment", "comment": 5}, {"op": "commit"}, {"op": "wait", "table": "A", "where": [], "until": "=="},
                             {"op": "select", "table": "A", "where": [], "sort": ["bogus"]}, {"op": "select", "table": "A", "where": [], "sort": 1}])
        if self.some(0.015):
            op["extra"] = 1
        if self.some(0.01) and kind != "wait":  # Without a timeout it would wait for ever.
            op.pop(r.choice(list(op)))
        return op

    def transaction(self):
        n = self.r.choice([0, 1, 1, 1, 1, 2, 2, 3, 5]) if self.some(0.98) else self.r.randint(6, 40)
        return [self.op() for _ in range(n)]

    def parked(self):
        """A transaction that may have to wait for somebody else's."""
        r = self.r
        table = r.choice("AABUU")
        clause = ["a", "==", r.choice(STRINGS)] if table == "U" else ["_uuid", "==", ["uuid", r.choice(self.uuids)]]
        wait = {"op": "wait", "table": table, "where": [clause], "columns": r.choice([[], ["_uuid"]]), "until": r.choice(["==", "!="]), "rows": []}
        return [self.op()] * self.some(0.3) + [wait] + [self.op() for _ in range(r.choice([0, 1, 2]))]

    # Other methods.

    def request(self, table, risky):
        """A monitor's request for one table."""
        request = {}
        if self.some(0.8):
            request["columns"] = self.columns_arg(table, risky)
        if self.some(0.3):
            request["select"] = {kind: self.some(0.5) for kind in ("initial", "insert", "delete", "modify") if self.some(0.5)}
        return request

    def condition(self, table, risky=True):
        names, self.names = self.names, []  # There are none outside of transactions.
        clauses = self.clauses(table, risky)
        self.names = names
        return clauses

    def clauses(self, table, risky):
        n = self.r.choice([0, 1, 1, 2, 3, 6, 15])
        if self.some(0.5):  # Clauses that can be found by an index.
            column = self.r.choice(self.columns(table) + ["_uuid"])
            return [[column, "==", self.column_value(table, column, risky and self.some(0.05))] for _ in range(n)]
        return [self.clause(table, risky) for _ in range(n)]

    def monitor(self, name):
        """(method, params)"""
        r = self.r
        method = r.choice(["monitor", "monitor_cond", "monitor_cond", "monitor_cond_since"])
        requests = {}
        tables = r.sample(sorted(self.schema["tables"]), r.choice([1, 1, 2, 3]))
        risky = r.choice(tables)  # Which table's error is told is left to chance.
        for t in tables:
            request = self.request(t, t == risky)
            if method != "monitor" and self.some(0.6):
                request["where"] = self.condition(t, t == risky and "columns" not in request)
            requests[t] = request
            if self.some(0.3):
                columns = self.columns(t)
                r.shuffle(columns)
                second = {"columns": columns[2:4], "select": {r.choice(["modify", "insert", "delete"]): False}}
                if "where" in request:
                    second["where"] = request["where"]  # If they differ, ovsdb-server takes either.
                requests[t] = [dict(request, columns=columns[:2]), second]
        params = ["T", name, requests]
        if method == "monitor_cond_since":
            params.append(r.choice(["00000000-0000-0000-0000-000000000000"] * 9 + [1, "x"]))
        if self.some(0.02):
            params = r.choice([params[:2] if method != "monitor" else ["nope", 1, {}], params + [1], ["T", name, []], ["T", name, {"ZZ": {}}]])
        return method, params

    def monitor_change(self, name, tables):
        """'tables': what the monitor has.  Only one of them if it may be refused: ovsdb-server keeps half of it then."""
        changes = {t: [{"where": self.condition(t)}] for t in self.r.sample(sorted(tables), min(len(tables), 1))}
        if self.some(0.05):
            changes = self.r.choice([{"ZZ": [{"where": []}]}, {"U": 5}, [], {"A": [{"where": 5}]}, {"A": [{"where": [], "columns": ["i"]}]}])
        new_name = name if self.some(0.8) else "%s'" % name
        return "monitor_cond_change", [name, new_name, changes]

    def method(self):
        """(method, params) of a request that changes nothing, or little."""
        return self.r.choice([
            ("list_dbs", []), ("get_schema", ["T"]), ("get_schema", []), ("get_schema", [1]), ("get_schema", ["nope"]), ("bogus", []),
            ("get_schema", ["_Server"]), ("transact", ["_Server", {"op": "select", "table": "Database", "where": [["name", "==", "T"]],
                                                                   "columns": ["name", "model", "connected", "leader", "cid", "sid", "index"]}]),
            ("transact", ["_Server", {"op": "insert", "table": "Database", "row": {}}]), ("transact", ["_Server", {"op": "commit", "durable": False}]),
            ("transact", []), ("transact", ["nope"]), ("transact", [7]), ("lock", []), ("lock", ["9"]),
            ("lock", [5]), ("unlock", ["x"]), ("monitor_cancel", [77]), ("monitor_cancel", []), ("convert", ["T"]), ("convert", []), ("convert", ["T", 5]),
            ("convert", ["T", {"name": "Z", "tables": {}}]), ("convert", ["T", {"name": "T", "tables": {"A": {}}}]), ("convert", ["_Server", SCHEMA]),
            ("monitor", ["T", 99, []]), ("monitor", ["T", 99, {"ZZ": {}}]), ("monitor", ["T", 99, {"A": {"columns": ["bogus"]}}]),
            ("monitor", ["T", 99, {"A": {"columns": ["i", "i"]}}]), ("monitor", ["T", 99, {"A": {"columns": 5}}]), ("monitor", ["T", 99, {"A": 1}]),
            ("monitor", ["T", 99, {"A": {"where": []}}]), ("monitor", ["T", 99, {"A": [{"columns": ["i"]}, {"columns": ["i"]}]}]),
            ("monitor", ["T", 99, {"A": {"select": {"initial": 1}}}]), ("monitor", ["T", 99, {"A": {"select": {"bogus": True}}}]),
            ("monitor", ["nope", 1, {}]), ("monitor_cond", ["T", 98]), ("monitor_cond", ["T", 98, {"A": {"where": 5}}]),
            ("monitor_cond", ["T", 98, {"A": {"where": [["bogus", "==", 1]]}}]), ("monitor_cond", ["T", 98, {"A": {"where": [["i", "==", "x"]]}}]),
            ("monitor_cond_since", ["T", 97, {}]), ("monitor_cond_change", [77, 77, {}]), ("monitor_cond_change", [1]),
            ("set_db_change_aware", []), ("set_db_change_aware", [1]), ("set_db_change_aware", [True]),
        ])

    def lock(self):
        return self.r.choice(["lock", "lock", "steal", "unlock", "unlock"]), [self.r.choice(["lk", "other"])]

    def converted(self):
        """Another schema of the same database, or the same again."""
        r = self.r
        schema = copy.deepcopy(SCHEMA)
        for _ in range(r.choice([0, 1, 1, 2])):
            table = schema["tables"][r.choice("ABUMRN")]
            columns = table["columns"]
            column = r.choice(sorted(columns))
            t = columns[column]["type"]
            change = r.choice(["drop", "widen", "narrow", "type", "add", "rows"])
            if change == "drop" and len(columns) > 1 and not any(column in i for i in table.get("indexes", [])):
                del columns[column]
            elif change == "widen" and "value" not in t:
                columns[column]["type"] = dict(t, max="unlimited", min=0)
            elif change == "narrow":
                columns[column]["type"] = dict(t, max=1)
            elif change == "type" and base(t["key"])["type"] in ("integer", "real"):
                columns[column]["type"] = dict(t, key=r.choice(["integer", "real"]))
            elif change == "rows":
                table["maxRows"] = r.choice([1, 3, 8])
            else:
                columns["extra"] = {"type": {"key": "integer"}}
        schema["version"] = "1.%d.%d" % (r.randint(0, 9), r.randint(0, 9))
        return schema


def spelled(r, value):
    """The JSON text of a value, now and then as few write it; it means the same."""
    style = r.choice([0, 0, 0, 1, 2, 3])
    if style < 3:
        return json.dumps(value, ensure_ascii=style != 1, indent="\t" if style == 2 else None)
    return odd(r, value)


def odd(r, value):
    if isinstance(value, dict):  # The last one of a name counts.
        return "{%s}" % ", ".join(("%s:[0]," % json.dumps(k) if r.random() < 0.03 else "") + json.dumps(k) + " : " + odd(r, v) for k, v in value.items())
    if isinstance(value, list):
        return "[%s\r\n]" % ",".join(odd(r, v) for v in value)
    if isinstance(value, int) and not isinstance(value, bool):
        return r.choice(["%d", "%d", "%d.0", "%d.00e+00", "%d0E-1"] if value else ["%d", "-%d", "%de77"]) % value
    if isinstance(value, str) and r.random() < 0.3:
        return '"%s"' % "".join("\\u%04X" % ord(c) if ord(c) < 0x10000 else c for c in value)
    return json.dumps(value)
