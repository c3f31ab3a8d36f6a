"""Generates requests for the schema in conftest.py: most make sense, many do not quite, some not at all.

The same seed gives the same requests.  Rows get explicit UUIDs from a small pool, so that two servers that get
the same requests hold the same rows.
"""

import random

STRINGS = ["", "a", "b", "web", "é", "x y", "true", "red", "0123456789012345678901234567890", "\"q\\", "\t", "a,b"]
INTS = [0, 1, -1, 2, 3, 5, 10, 11, 100, 2**31, 2**63 - 1, -(2**63), 7]
REALS = [0.0, 1.5, -2.25, 1e10, 0.1, 3.0, 123456789.123456789, 1e-7]
JUNK = [None, True, 1, "x", 1.5, [], {}, ["set"], ["set", 1], ["map", [[1]]], ["uuid", "zzz"], ["named-uuid", "9"], ["set", [["set", []]]]]


class Generator:
    def __init__(self, seed, n_uuids=24):
        self.r = random.Random(seed)
        self.uuids = ["%08x-0000-4000-8000-%012x" % (self.r.getrandbits(32), i) for i in range(n_uuids)]
        self.names = ["row%d" % i for i in range(6)]
        self.used_names = []

    # Values.

    def uuid(self):
        r = self.r
        if r.random() < 0.12:
            return ["named-uuid", r.choice(self.names)]
        return ["uuid", r.choice(self.uuids)]

    def set_of(self, atom, most=4, risky=True):
        n = self.r.choice([0, 1, 1, 2, 3, most])
        atoms = [atom() for _ in range(n)]
        if n == 1 and self.r.random() < 0.5:
            return atoms[0]
        if not risky or self.r.random() < 0.85:
            unique = []
            for a in atoms:
                if a not in unique:
                    unique.append(a)
            atoms = unique
        return ["set", atoms]

    def map_of(self, key, value, most=4):
        pairs = {}
        for _ in range(self.r.randint(0, most)):
            pairs[key()] = value()
        return ["map", [[k, v] for k, v in pairs.items()]]

    def value(self, table, column, risky=True):
        """A value for the column; a risky one may be refused."""
        r = self.r
        if risky and r.random() < 0.06:
            return r.choice(JUNK)
        string = lambda: r.choice(STRINGS)
        number = lambda: r.choice(INTS)
        real = lambda: r.choice(REALS + INTS[:8])
        pick = lambda good, bad: lambda: r.choice(good + bad if risky else good)
        makers = {
            "name": pick([s for s in STRINGS if len(s) <= 30], STRINGS), "i": number, "r": real, "b": lambda: r.choice([True, False]),
            "u": self.uuid,
            "small": pick([["set", []], 1, 5, 10, ["set", [3]]], [0, 11, ["set", [1, 2]]]),
            "color": pick([["set", []], "red", "green", "blue"], ["pink"]),
            "tags": lambda: self.set_of(string, risky=risky),
            "nums": lambda: self.set_of(number, 6 if risky else 5, risky),
            "opts": lambda: self.map_of(string, string), "imap": lambda: self.map_of(number, real, 4 if risky else 3),
            "fixed": string, "eph": number,
            "strong": lambda: self.set_of(self.uuid, risky=risky), "weak": lambda: self.set_of(self.uuid, risky=risky),
            "k": string, "v": lambda: r.choice([["set", []], 1, 2, 3]),
            "a": lambda: r.choice("pqrstuvw"), "note": string,
        }
        if table == "U" and column == "b":
            return r.choice([1, 2, 3])
        maker = makers.get(column)
        return maker() if maker else 1

    COLUMNS = {
        "A": ["name", "i", "r", "b", "u", "small", "color", "tags", "nums", "opts", "imap", "fixed", "eph", "strong", "weak"],
        "B": ["k", "v"],
        "U": ["a", "b", "note"],
    }

    def table(self):
        return self.r.choice("AAAABUU") if self.r.random() > 0.02 else "Z"

    def columns(self, table):
        return self.COLUMNS.get(table, ["name"])

    def row(self, table, without=(), most=5):
        columns = [c for c in self.columns(table) if c not in without]
        picked = self.r.sample(columns, min(len(columns), self.r.randint(0, most)))
        # At most one may be refused: which error comes first is a matter of the server's hash function.
        risky = self.r.choice(picked) if picked and self.r.random() < 0.3 else None
        row = {c: self.value(table, c, c == risky) for c in picked}
        if not risky and self.r.random() < 0.02:
            row["bogus"] = 1
        if self.r.random() < 0.01:
            row["_version"] = ["uuid", self.uuids[0]]
        return row

    def clause(self, table):
        r = self.r
        x = r.random()
        if x < 0.03:
            return r.choice([True, False, [], ["name"], ["name", "==", 1, 2], "x", ["bogus", "==", 1], ["name", "~", "a"]])
        if x < 0.45:
            return ["_uuid", r.choice(["==", "==", "==", "!=", "includes"]), ["uuid", r.choice(self.uuids)]]
        column = r.choice(self.columns(table))
        function = r.choice(["==", "==", "!=", "includes", "excludes", "<", ">=", ">", "<="])
        return [column, function, self.value(table, column)]

    def where(self, table):
        return [self.clause(table) for _ in range(self.r.choice([0, 1, 1, 1, 1, 2]))]

    def mutation(self, table):
        r = self.r
        column = r.choice(self.columns(table))
        x = r.random()
        if x < 0.45:
            column = r.choice([c for c in self.columns(table) if c in ("i", "r", "nums", "small", "imap", "eph", "b", "v")] or [column])
            argument = r.choice([1, 2, 0, -1, 3, 10, 1.5, -7]) if r.random() < 0.95 else r.choice(JUNK)
            operator = r.choice(["+=", "-=", "*=", "/=", "%="])
            if operator == "*=" and argument in (0, -1, -7):
                argument = 2  # ovsdb-server dies of a negative number times 0, and negative times negative wraps around.
            return [column, operator, argument]
        if x < 0.97:
            column = r.choice([c for c in self.columns(table) if c in ("tags", "nums", "opts", "imap", "strong", "weak", "color", "small", "v")] or [column])
            operator = r.choice(["insert", "delete"])
            value = self.value(table, column)
            if operator == "delete" and column in ("opts", "imap") and r.random() < 0.5:
                value = self.set_of(lambda: r.choice(STRINGS if column == "opts" else INTS))
            return [column, operator, value]
        return r.choice([[], ["name"], ["bogus", "+=", 1], ["i", "^=", 1], ["name", "+=", 1], ["_uuid", "+=", 1], ["fixed", "insert", "x"]])

    def columns_arg(self, table):
        r = self.r
        columns = r.sample(self.columns(table), r.randint(0, len(self.columns(table))))
        if r.random() < 0.3:
            columns.append("_uuid")
        if r.random() < 0.03:
            return r.choice([["name", "name"], ["bogus"], "x", [1], None])
        return columns

    # Operations.

    def op(self):
        r = self.r
        table = self.table()
        kind = r.choices(["insert", "update", "mutate", "delete", "select", "wait", "comment", "commit", "abort", "assert", "junk"],
                         [30, 14, 14, 8, 12, 8, 2, 1, 0.4, 0.5, 3])[0]
        if kind == "insert":
            op = {"op": "insert", "table": table, "row": self.row(table)}
            if table == "B" or r.random() < 0.3:
                op["uuid-name"] = r.choice(self.names)
            if r.random() < 0.93:
                op["uuid"] = r.choice(self.uuids)
        elif kind == "update":
            op = {"op": "update", "table": table, "where": self.where(table),
                  "row": self.row(table, without=() if r.random() < 0.1 else ("fixed",), most=3)}
        elif kind == "mutate":
            op = {"op": "mutate", "table": table, "where": self.where(table),
                  "mutations": [self.mutation(table) for _ in range(r.choice([0, 1, 1, 1, 2]))]}
        elif kind == "delete":
            op = {"op": "delete", "table": table, "where": self.where(table) or [self.clause(table)]}
        elif kind == "select":
            op = {"op": "select", "table": table, "where": self.where(table)}
            if r.random() < 0.7:
                op["columns"] = self.columns_arg(table)
        elif kind == "wait":
            columns = self.columns_arg(table)
            op = {"op": "wait", "timeout": r.choice([0, 0, 0, 0, -1]), "table": table, "where": self.where(table),
                  "until": r.choice(["==", "!=", "!="] + (["~"] if r.random() < 0.1 else [])),
                  "rows": [self.row(table) for _ in range(r.choice([0, 1, 1, 2]))], "columns": columns}
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
                             {"op": "comment", "comment": 5}, {"op": "commit"}, {"op": "wait", "table": "A", "where": [], "until": "=="}])
        if r.random() < 0.015:
            op["extra"] = 1
        if r.random() < 0.01 and kind != "wait":  # Without a timeout it would wait for ever.
            op.pop(r.choice(list(op)))
        return op

    def transaction(self):
        return [self.op() for _ in range(self.r.choice([0, 1, 1, 1, 1, 2, 2, 3, 5]))]

    def method(self):
        """(method, params) other than transact."""
        r = self.r
        return r.choice([
            ("list_dbs", []), ("get_schema", ["T"]), ("get_schema", []), ("get_schema", [1]), ("get_schema", ["nope"]), ("bogus", []),
            ("echo", [1, {"a": None}]), ("transact", []), ("transact", ["nope"]), ("transact", [7]), ("lock", ["lk"]), ("lock", []), ("lock", ["9"]),
            ("lock", [5]), ("steal", ["lk"]), ("unlock", ["lk"]), ("unlock", ["x"]), ("monitor_cancel", [77]), ("monitor_cancel", []),
            ("monitor", ["T", 99, []]), ("monitor", ["T", 99, {"ZZ": {}}]), ("monitor", ["T", 99, {"A": {"columns": ["bogus"]}}]),
            ("monitor", ["T", 99, {"A": {"columns": ["i", "i"]}}]), ("monitor", ["T", 99, {"A": {"columns": 5}}]), ("monitor", ["T", 99, {"A": 1}]),
            ("monitor", ["T", 99, {"A": {"where": []}}]), ("monitor", ["T", 99, {"A": [{"columns": ["i"]}, {"columns": ["i"]}]}]),
            ("monitor", ["T", 99, {"A": {"select": {"initial": 1}}}]), ("monitor", ["T", 99, {"A": {"select": {"bogus": True}}}]),
            ("monitor", ["T", "v1", {}]), ("monitor", ["nope", 1, {}]), ("monitor_cond", ["T", 98]), ("monitor_cond", ["T", 98, {"A": {"where": 5}}]),
            ("monitor_cond", ["T", 98, {"A": {"where": [["bogus", "==", 1]]}}]), ("monitor_cond", ["T", 98, {"A": {"where": [["i", "==", "x"]]}}]),
            ("set_db_change_aware", []), ("set_db_change_aware", [1]), ("set_db_change_aware", [True]),
        ])
