#!/usr/bin/python3
"""Is every column of a schema explained?

    doc_check.py SCHEMA.ovsschema SCHEMA.md

The document has a section `## TABLE` a table, in it a paragraph a column that begins

    `column` (want; name; may be unset). Text.

with the column's kind: want, fact or ref.  Both directions are checked, so that a column that
left the schema leaves the document too, and so is the order, so that one can be read beside
the other.  Prints what is wrong as FILE:LINE and exits 1; 2 if it cannot read its input.
"""

import json
import re
import sys

COLUMN = re.compile(r"^`(\w+)` \((want|fact|ref)[;)]")
LOOKS_LIKE_COLUMN = re.compile(r"^`(\w+)` \(")
MIN_WORDS = 2  # After the parenthesis: less is not an explanation.


def paragraphs(lines):
    """Yields (line number, text) of each paragraph."""
    start, held = 0, []
    for number, line in enumerate(lines + [""], 1):
        if line.strip():
            start = start if held else number
            held.append(line.strip())
        elif held:
            yield start, " ".join(held)
            held = []


def read_document(path):
    """Returns ({table: (line, [(line, column, words)])}, complaints)."""
    tables, complaints, current = {}, [], None
    with open(path, encoding="utf-8") as f:
        for line, text in paragraphs(f.read().split("\n")):
            if text.startswith("## "):
                current = text[3:].strip().strip("`")
                if current in tables:
                    complaints.append(f"{path}:{line}: table {current} a second time")
                tables[current] = (line, [])
            elif LOOKS_LIKE_COLUMN.match(text):
                match = COLUMN.match(text)
                if not match or current is None:
                    complaints.append(f"{path}:{line}: say want, fact or ref, below a table")
                    continue
                words = len(text.partition("). ")[2].split())
                tables[current][1].append((line, match.group(1), words))
    return tables, complaints


def compare(schema, tables, schema_path, path):
    """Yields complaints."""
    for name in tables:
        if name not in schema["tables"]:
            yield f"{path}:{tables[name][0]}: no table {name} in {schema_path}"
    for name, table in schema["tables"].items():
        if name not in tables:
            yield f"{path}:1: table {name} has no section"
            continue
        at, columns = tables[name]
        found = [column for _, column, _ in columns]
        for line, column, words in columns:
            if column not in table["columns"]:
                yield f"{path}:{line}: no column {name}.{column} in {schema_path}"
            elif found.count(column) > 1:
                yield f"{path}:{line}: {name}.{column} more than once"
            elif words < MIN_WORDS:
                yield f"{path}:{line}: {name}.{column} is named but not explained"
        for column in table["columns"]:
            if column not in found:
                yield f"{path}:{at}: {name}.{column} has no paragraph"
        if sorted(found) == sorted(table["columns"]) and found != list(table["columns"]):
            yield f"{path}:{at}: {name}: not in the order of {schema_path}"


def main(argv):
    if len(argv) != 3:
        print(__doc__.split("\n\n")[1].strip(), file=sys.stderr)
        return 2
    schema_path, path = argv[1:]
    try:
        with open(schema_path, encoding="utf-8") as f:
            schema = json.load(f)
        tables, complaints = read_document(path)
    except (OSError, ValueError) as e:
        print(f"doc_check: {e}", file=sys.stderr)
        return 2
    complaints += compare(schema, tables, schema_path, path)
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
