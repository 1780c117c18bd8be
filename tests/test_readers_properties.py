"""What must hold for any study: order, identifiers, strange columns, and how a number is written."""

import csv
import io
import tempfile
from pathlib import Path

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from readers_helpers import DEMO

from alliance.readers import ReadOptions, load

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

IDS = st.one_of(
    st.sampled_from(
        ["007", "7", "07", "1E5", "NA", "null", "2024-03", "1.0", "-", "=A1", "nan", "a,b", 'say "x"', "Ü"]
    ),
    st.text(st.characters(categories=("L", "N", "P"), codec="utf-8"), min_size=1, max_size=8).filter(
        # an apostrophe before a formula is taken off; what a failed formula shows is no code
        lambda text: not text.startswith("'") and not text.startswith("#")
    ),
)
ANSWERS = st.one_of(st.just(""), st.integers(1, 7).map(str))
STUDIES = st.dictionaries(
    st.tuples(IDS, st.integers(0, 40)), st.tuples(ANSWERS, ANSWERS, ANSWERS), min_size=1, max_size=12
)


def as_csv(header, rows):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()


def read_text(text, **options):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.csv"
        path.write_bytes(text.encode("utf-8"))
        return load(path, DEMO, options=ReadOptions(**options)).responses["demo"]


def rows_of(study):
    return [[case, session, *answers] for (case, session), answers in study.items()]


def as_dict(forms):
    cells = forms[["q1", "q2", "q3"]].map(lambda answer: "" if pd.isna(answer) else str(int(answer)))
    keys = zip(forms["case"], forms["session"], strict=True)
    return dict(zip(keys, map(tuple, cells.to_numpy().tolist()), strict=True))


HEADER = ["case", "session", "q1", "q2", "q3"]


@QUICK
@given(study=STUDIES)
def test_what_goes_in_comes_out_with_ids_as_they_were(study):
    assert as_dict(read_text(as_csv(HEADER, rows_of(study)))) == study


@QUICK
@given(study=STUDIES, data=st.data())
def test_the_order_of_rows_means_nothing_where_sessions_have_numbers(study, data):
    rows = data.draw(st.permutations(rows_of(study)))
    assert as_dict(read_text(as_csv(HEADER, rows))) == study


@QUICK
@given(study=STUDIES, data=st.data())
def test_the_order_of_columns_means_nothing(study, data):
    places = data.draw(st.permutations(range(5)))
    table = [[row[place] for place in places] for row in [HEADER, *rows_of(study)]]
    assert as_dict(read_text(as_csv(table[0], table[1:]))) == study


@QUICK
@given(
    study=STUDIES,
    comment=st.text(st.characters(categories=("L", "N", "P", "Zs"), codec="utf-8"), max_size=20),
)
def test_a_column_nobody_knows_changes_nothing(study, comment):
    rows = [[comment, *row, f"{comment}\n{comment}"] for row in rows_of(study)]
    assert as_dict(read_text(as_csv(["remark", *HEADER, "comment"], rows))) == study


@QUICK
@given(study=STUDIES)
def test_a_row_repeated_word_for_word_changes_nothing(study):
    rows = rows_of(study)
    assert as_dict(read_text(as_csv(HEADER, [*rows, *rows]))) == study


@QUICK
@given(study=STUDIES)
def test_one_answer_a_row_gives_the_same_forms(study):
    rows = [
        [case, session, f"q{item}", answer]
        for (case, session), answers in study.items()
        for item, answer in enumerate(answers, 1)
    ]
    assert as_dict(read_text(as_csv(["case", "session", "item", "value"], rows))) == study


@QUICK
@given(study=STUDIES, bad=st.sampled_from(["8", "0", "2-3", "?", "1.5", "-1"]))
def test_a_bad_answer_never_becomes_a_number(study, bad):
    rows = rows_of(study)
    rows[0][2] = bad
    found = as_dict(read_text(as_csv(HEADER, rows), on_error="drop"))
    key = next(iter(study))
    assert found[key] == ("", *study[key][1:])
    assert {k: v for k, v in found.items() if k != key} == {k: v for k, v in study.items() if k != key}
