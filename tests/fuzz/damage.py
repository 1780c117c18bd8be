"""Ways in which a file goes wrong: cut off, flipped, re-typed, re-encoded, its table or tree rearranged."""

import csv
import io
import json
import zipfile

NASTY_BYTES = (
    b'"', b'""', b"'", b"\0", b"\r", b"\n", b"\r\n", b"\n\n", b"\t", b",", b";", b"|", b"\x1b[31m", b"\x85",
    b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\0\0", b"\xed\xa0\x80", b"\xc3", b"\xff", b"\x1a",
    b"sep=;\n", b"#", b"[", b"]", b"{", b"}", b":", b"=", b".", b"-", b"0", b"9" * 400, b"0" * 5000,
    b"1e999", b"NaN", b"null", b"true", b"PAR1", b"PK\x03\x04", b"\x1f\x8b",
)  # fmt: skip
NASTY_CELLS = (
    "", " ", "\0", "a\0", "\x1b[31m", "\u202e1", "\x85", "\u2028", "\ufeff", "\ud7ff\ue000", "e\u0301", "ß",
    "İ", '"', '""', "'", "=1+1", "+1", "-1", "@x", "1e5", "007", "NA", "nan", "None", "inf", "-inf",
    "1e999", "9" * 400, "9" * 5000, "0" * 5000, "1." + "0" * 5000, "٣", "²", "½", "4,0", "4.", ".5", "3-4",
    "4 (often)", "2026-01-05", "05.01.2026", "13/13/2026", "0000-00-00", "9999-12-31", "2026-01-05T99:99",
    "true", "yes", "no", "attended", "ongoing", "ended", "x\ny", "a,b;c\td|e", "case", "session", "q1",
    "q2", "date", "rater", "scale", "item", "value", "wai-sr", "/dev/zero", "../x.toml", "[", "{item}",
    "{session}", "redcap_repeat_instance", "redcap_event_name", "ali_1", "ali_01", "total", "A1", "A5",
    "x" * 3000,
)  # fmt: skip
JSON_VALUES = (
    None, True, False, 0, 1, -1, 4.5, 10**30, float("inf"), float("nan"), "", "x", "4", "P001", "\ud800",
    "\0", [], {}, [[]], [None], {"": None}, [{}], {"answer": []}, {"valueInteger": 4}, "9" * 5000,
)  # fmt: skip
ENCODINGS = (
    "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "cp1252", "latin-1", "cp850",
    "cp037", "utf-7", "shift_jis",
)  # fmt: skip
DELIMITERS = (",", ";", "\t", "|", ":", " ", "\0")


def bytes_of(random, raw, others=()):
    """Return the bytes with one to three pieces of damage."""
    for _ in range(random.randint(1, 3)):
        raw = random.choice(BYTE_DAMAGE)(random, raw, others)
    return raw


def _place(random, raw):
    """Return a place in the bytes, often beside a line break, a quotation mark or a delimiter."""
    sign = random.choice([None, b"\n", b'"', b",", b";", b"\t", b"{", b"["])
    found = raw.find(sign, random.randint(0, max(len(raw) - 1, 0))) if sign else -1
    return found + random.randint(0, 1) if found >= 0 else random.randint(0, len(raw))


def _cut(random, raw, others):
    return raw[: _place(random, raw)]


def _cut_front(random, raw, others):
    return raw[_place(random, raw) :]


def _flip(random, raw, others):
    if not raw:
        return raw
    place = random.randrange(len(raw))
    return raw[:place] + bytes([raw[place] ^ (1 << random.randrange(8))]) + raw[place + 1 :]


def _insert(random, raw, others):
    place = _place(random, raw)
    return raw[:place] + random.choice(NASTY_BYTES) + raw[place:]


def _replace(random, raw, others):
    start, end = sorted((_place(random, raw), _place(random, raw)))
    return raw[:start] + random.choice(NASTY_BYTES) + raw[min(end, start + random.choice([1, 8, 100])) :]


def _repeat(random, raw, others):
    start, end = sorted((_place(random, raw), _place(random, raw)))
    return raw[:end] + raw[start:end] + raw[end:]


def _splice(random, raw, others):
    other = random.choice(others) if others else raw
    return raw[: _place(random, raw)] + other[_place(random, other) :]


def _reencode(random, raw, others):
    return raw.decode("utf-8", errors="replace").encode(random.choice(ENCODINGS), errors="replace")


def _other_delimiter(random, raw, others):
    old, new = random.choice(DELIMITERS).encode(), random.choice(DELIMITERS).encode()
    return raw.replace(old, new)


BYTE_DAMAGE = (
    _cut, _cut_front, _flip, _flip, _insert, _insert, _replace, _repeat, _splice, _reencode, _other_delimiter,
)  # fmt: skip


def rows_of(raw):
    """Return the cells of a text file as any program would cut them, by whichever delimiter cuts most."""
    text = raw.decode("utf-16" if raw[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig", errors="replace")
    delimiter = max(",;\t", key=text.count)
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def table_of(random, rows):
    """Return a table with one to three pieces of damage."""
    rows = [list(row) for row in rows]
    for _ in range(random.randint(1, 3)):
        random.choice(TABLE_DAMAGE)(random, rows)
    return rows


def _some(random, rows):
    return random.choice([row for row in rows if row] or [[""]])


def _column(random, rows):
    return random.randrange(max(max(map(len, rows), default=1), 1))


def _drop_row(random, rows):
    if rows:
        rows.pop(random.choice([0, random.randrange(len(rows))]))


def _double_row(random, rows):
    if rows:
        rows.insert(random.randrange(len(rows)), list(random.choice(rows)))


def _shuffle_rows(random, rows):
    body = rows[1:]
    random.shuffle(body)
    rows[1:] = body


def _drop_column(random, rows):
    at = _column(random, rows)
    for row in rows:
        del row[at : at + 1]


def _double_column(random, rows):
    at, to = _column(random, rows), _column(random, rows)
    for row in rows:
        row[to:to] = row[at : at + 1]


def _swap_columns(random, rows):
    one, two = _column(random, rows), _column(random, rows)
    for row in rows:
        if max(one, two) < len(row):
            row[one], row[two] = row[two], row[one]


def _put_cell(random, rows):
    row = _some(random, rows)
    row[random.randrange(len(row))] = random.choice(NASTY_CELLS)


def _put_column(random, rows):
    at, word = _column(random, rows), random.choice(NASTY_CELLS)
    for row in rows[1:]:
        if at < len(row):
            row[at] = random.choice([word, word, row[at], random.choice(NASTY_CELLS)])


def _rename(random, rows):
    if rows and rows[0]:
        rows[0][random.randrange(len(rows[0]))] = random.choice(NASTY_CELLS)


def _longer_row(random, rows):
    _some(random, rows).extend([random.choice(NASTY_CELLS)] * random.randint(1, 3))


def _shorter_row(random, rows):
    row = _some(random, rows)
    del row[random.randrange(len(row)) :]


def _strange_row(random, rows):
    strange = [random.choice(NASTY_CELLS) for _ in range(random.randint(0, 3))]
    rows.insert(random.randint(0, len(rows)), strange)


def _huge_cell(random, rows):
    row = _some(random, rows)
    row[random.randrange(len(row))] = (
        random.choice(["0", "9", "1 ", "a1", "\u0345\u0315", "-", "(", "2026-01-01 1"]) * 20_000
    )


TABLE_DAMAGE = (
    _drop_row, _double_row, _shuffle_rows, _drop_column, _double_column, _swap_columns, _put_cell, _put_cell,
    _put_column, _rename, _rename, _longer_row, _shorter_row, _strange_row, _huge_cell,
)  # fmt: skip


def as_text(random, rows):
    """Return a table as bytes of text, by some program's habits."""
    out = io.StringIO()
    quoting = random.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    ending = random.choice(["\n", "\r\n", "\r"])
    csv.writer(out, delimiter=random.choice(",;\t|"), quoting=quoting, lineterminator=ending).writerows(rows)
    encoding = random.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252"])
    return out.getvalue().encode(encoding, errors="replace")


def tree_of(random, tree):
    """Return a JSON tree with one to three pieces of damage."""
    tree = json.loads(json.dumps(tree))
    for _ in range(random.randint(1, 3)):
        nodes = [(tree, key) for key in _keys(tree)]
        for node, key in nodes:
            nodes.extend((node[key], inner) for inner in _keys(node[key]))
        if not nodes:
            return random.choice(JSON_VALUES)
        node, key = random.choice(nodes)
        random.choice(TREE_DAMAGE)(random, node, key, random.choice(nodes))
    return tree


def _keys(node):
    return list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []


def _other_value(random, node, key, other):
    node[key] = random.choice(JSON_VALUES)


def _no_value(random, node, key, other):
    del node[key]


def _wrapped(random, node, key, other):
    value = node[key]
    for _ in range(random.choice([1, 1, 300])):
        value = random.choice([[value], {"item": [value]}, {"x": value}])
    node[key] = value


def _value_of_another(random, node, key, other):
    node[key] = json.loads(json.dumps(other[0][other[1]]))


TREE_DAMAGE = (_other_value, _other_value, _no_value, _wrapped, _value_of_another)


def as_json(random, tree):
    """Return a tree as bytes of JSON, one resource a line where it is a list."""
    if isinstance(tree, list):
        return b"\n".join(json.dumps(each).encode() for each in tree)
    return json.dumps(
        tree, indent=random.choice([None, 1]), ensure_ascii=random.choice([True, False])
    ).encode("utf-8", errors="surrogatepass")


def workbook_of(random, raw, others=()):
    """Return a workbook with the XML of one of its parts damaged."""
    with zipfile.ZipFile(io.BytesIO(raw)) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    name = random.choice(sorted(parts))
    parts[name] = bytes_of(random, parts[name])
    if random.random() < 0.2:
        parts.pop(random.choice(sorted(parts)))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as book:
        for each, content in parts.items():
            book.writestr(each, content)
    return out.getvalue()
