"""Independent writers of tables: delimited text in many dialects, workbooks, Parquet, Arrow and SPSS."""

import csv
import datetime
import io
import tempfile
import tomllib
from pathlib import Path

from alliance.readers.mapping import parse_mapping
from fuzz.truth import N_ITEMS, NO_ANSWER, WORDS, Written

ITEMS = [f"q{n}" for n in range(1, N_ITEMS + 1)]


def mapped(text):
    return parse_mapping(tomllib.loads(text), origin="map.toml")


def as_csv(rows, delimiter=",", quoting=csv.QUOTE_MINIMAL, ending="\n"):
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=ending).writerows(rows)
    return out.getvalue()


def encoded(random, text, encodings=("utf-8", "utf-8-sig", "utf-16", "cp1252")):
    """Return the text in one of the encodings that can hold it."""
    while True:
        try:
            return text.encode(random.choice(encodings))
        except UnicodeEncodeError:
            continue


def dressed(random, rows):
    """Return the rows with harmless disturbances: order, columns nobody asked for, blanks around cells."""
    header, *body = rows
    body = random.sample(body, len(body))
    width = len(header)
    if random.random() < 0.5:
        header, body = (
            [*header, "remark"],
            [[*row, random.choice(["", "late", "a\nb", '"', "5", ";,"])] for row in body],
        )
    if random.random() < 0.3:
        header, body = [*header, "arm"], [[*row, random.choice(["x", "y"])] for row in body]
    places = random.sample(range(len(header)), len(header))
    blank = random.choice(["", "", " ", "  "])
    return [
        [row[place] if place >= width else blank + row[place] + blank for place in places]
        for row in [header, *body]
    ]


def cell(random, answer, missing=NO_ANSWER):
    return random.choice(missing) if answer is None else str(answer)


def day(date, style="iso"):
    return {"iso": date.isoformat(), "dmy": f"{date:%d.%m.%Y}", "mdy": f"{date:%m/%d/%Y}"}[style]


def long_rows(random, study, style="iso"):
    """Return one row a form, header first."""
    rows = [["case", "session", "date", *ITEMS]]
    for (case, session), (date, answers) in study.items():
        number = random.choice(["{}", "{}", "{}.0", "0{}"]).format(session)
        rows.append([case, number, day(date, style), *(cell(random, answer) for answer in answers)])
    return rows


def plain_csv(random, study):
    style = random.choice(["iso", "dmy", "mdy"])
    rows = dressed(random, long_rows(random, study, style))
    delimiter = random.choice(",;\t|")
    text = as_csv(
        rows, delimiter, random.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), random.choice(["\n", "\r\n"])
    )
    plain = style == "iso" or (style == "dmy" and random.random() < 0.5)
    said = {} if plain else {"date_format": style}
    dress = random.random()
    if dress < 0.2:
        text = f"sep={delimiter}\n{text}"
    elif dress < 0.4:
        text = f"Study of the alliance\n\n{text}"
    elif dress < 0.6:
        place = [cell.strip() for cell in rows[0]].index("case")
        text = f"{text}\n{delimiter * place}Total\n"
    return Written(raw=encoded(random, text), said=said)


def one_answer_a_row(random, study):
    rows = [["case", "session", "date", "item", "value"]]
    for (case, session), (date, answers) in study.items():
        rows += [[case, str(session), day(date), f"q{n}", cell(random, a)] for n, a in enumerate(answers, 1)]
    return Written(raw=encoded(random, as_csv(dressed(random, rows), random.choice(",;\t"))))


def wide(random, study):
    sessions = range(1, 1 + max(session for _, session in study))
    rows = [["case", *(f"wa{n}_s{s}" for s in sessions for n in range(1, N_ITEMS + 1))]]
    for case in dict.fromkeys(case for case, _ in study):
        own = [study.get((case, s), (None, (None,) * N_ITEMS))[1] for s in sessions]
        rows.append([case, *(cell(random, answer, ("", "NA")) for answers in own for answer in answers)])
    mapping = mapped('pattern = "wa{item}_s{session}"')
    return Written(raw=encoded(random, as_csv(dressed(random, rows))), said={"mapping": mapping}, dated=False)


def counted_from_zero(random, study):
    rows = long_rows(random, study)
    for row in rows[1:]:
        row[3:] = [str(int(cell) - 1) if cell.isdigit() else random.choice(["", "-9"]) for cell in row[3:]]
    said = {"mapping": mapped("shift = 1\nmissing = [-9]")}
    return Written(raw=encoded(random, as_csv(dressed(random, rows))), said=said)


def in_words(random, study):
    rows = long_rows(random, study)
    for row in rows[1:]:
        row[3:] = [WORDS[int(cell) - 1] if cell.isdigit() else "" for cell in row[3:]]
    return Written(raw=encoded(random, as_csv(dressed(random, rows))))


def workbook(random, study):
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    for _ in range(random.choice([0, 0, 2])):
        sheet.append(["Alliance study"])
    sheet.append(["case", "session", "date", *ITEMS])
    for (case, session), (date, answers) in study.items():
        when = random.choice([date, datetime.datetime.combine(date, datetime.time(15, 6)), date.isoformat()])
        cells = [
            random.choice([None, "NA"]) if a is None else random.choice([a, float(a), str(a)])
            for a in answers
        ]
        sheet.append([None, random.choice([session, str(session)]), when, *cells])
        whose = sheet.cell(sheet.max_row, 1, case)
        whose.data_type = "s"
    if random.random() < 0.5:
        book.create_sheet("Notes").append(["nothing"])
    out = io.BytesIO()
    book.save(out)
    return Written(raw=out.getvalue(), suffix=".xlsx")


def columns_of(random, study):
    """Return the columns of a typed file, name → values; codes are texts, numbers whole or real."""
    whole = random.random() < 0.5
    found = {
        "case": [case for case, _ in study],
        "session": [session if whole else float(session) for _, session in study],
        "date": [date for date, _ in study.values()],
    }
    for place, name in enumerate(ITEMS):
        cells = [answers[place] for _, answers in study.values()]
        found[name] = [None if a is None else a if whole else float(a) for a in cells]
    return found


def parquet(random, study):
    import pyarrow as pa
    from pyarrow import parquet as pq

    table = pa.table(columns_of(random, study))
    table = table.select(random.sample(table.column_names, table.num_columns))
    out = io.BytesIO()
    pq.write_table(table, out, compression=random.choice(["NONE", "snappy"]))
    return Written(raw=out.getvalue(), suffix=".parquet")


def feather(random, study):
    import pyarrow as pa

    table = pa.table(columns_of(random, study))
    out = io.BytesIO()
    with random.choice([pa.ipc.new_file, pa.ipc.new_stream])(out, table.schema) as writer:
        writer.write_table(table)
    return Written(raw=out.getvalue(), suffix=".arrow")


def spss(random, study):
    import pandas as pd
    import pyreadstat

    columns = columns_of(random, study)
    coded = random.random() < 0.5
    for name in ITEMS:
        columns[name] = [(99.0 if coded else None) if a is None else float(a) for a in columns[name]]
    frame = pd.DataFrame(
        {
            name: pd.Series(cells, dtype="float64" if name in ITEMS else None)
            for name, cells in columns.items()
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.sav"
        pyreadstat.write_sav(frame, path, missing_ranges={key: [99] for key in ITEMS} if coded else None)
        return Written(raw=path.read_bytes(), suffix=".sav")
