"""A plain file of scores: every number kept, every problem named."""

# ruff: noqa: E501  messages are compared as they are printed

import numpy as np
import pytest

from alliance.errors import DataError
from alliance.readers import Mapping, ReadOptions
from alliance.readers.plain import open_file, read_series


def write(folder, *lines):
    path = folder / "scores.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_scores_come_as_they_are_in_the_order_of_the_sessions(tmp_path):
    path = write(
        tmp_path,
        "case,session,date,therapist,rater,total,label",
        "007,2,2026-01-12,T1,client,47.5,1",
        "007,1,2026-01-05,T1,client,48,",
        "007,1,2026-01-05,T1,therapist,44,x",
        "NA,1,,,,-3,",
    )
    found = read_series(path, ["total"], texts=["label"])
    frame = found.frame
    assert list(frame["case"]) == ["007", "007", "007", "NA"]
    assert list(frame["session"]) == [1, 2, 1, 1]
    assert list(frame["rater"]) == ["client", "client", "therapist", "client"]
    assert list(frame["total"]) == [48.0, 47.5, 44.0, -3.0]
    assert list(frame["label"]) == ["", "1", "x", ""]
    assert list(frame.index) == [3, 2, 4, 5]
    assert str(frame["date"].iloc[0].date()) == "2026-01-05"
    assert found.notes == ()


def test_a_decimal_comma_and_words_for_missing_are_understood(tmp_path):
    path = write(tmp_path, "case;session;total", "A;1;47,5", "A;2;NA", "A;3;", "A;4;-99")
    values = read_series(path, ["total"], options=ReadOptions(missing=("-99",))).frame["total"]
    np.testing.assert_array_equal(values, [47.5, np.nan, np.nan, np.nan])


def test_every_problem_is_named_at_once(tmp_path):
    path = write(
        tmp_path,
        "case,session,total",
        "A,1,inf",
        "A,2,-inf",
        "A,3,forty",
        "A,x,40",
        ",5,40",
        "A,6,61",
        "A,7,40",
        "A,7,41",
        "A,,40",
    )
    with pytest.raises(DataError) as caught:
        read_series(path, ["total"], low=12, high=60)
    assert str(caught.value) == (
        "error: 1 form without a case\n"
        "  line 6: no case, session 5, case\n"
        "hint: say whose form it is; a mapping can fill a column down (fill_down)\n"
        "error: 1 form without a session number\n"
        "  line 10: case A, session\n"
        "hint: number the session, or leave out rows that are no forms with skip_cases in a mapping\n"
        "error: 1 session is no whole number\n"
        "  line 5: case A, session = x\n"
        "hint: number the sessions 1, 2, 3, or leave the column out of a mapping to number them by date\n"
        "error: 3 scores are no numbers\n"
        "  line 2: case A, session 1, total = inf\n"
        "  line 3: case A, session 2, total = -inf\n"
        "  line 4: case A, session 3, total = forty\n"
        "hint: leave a session without a score empty, or declare the code with --missing, such as --missing -99\n"
        "error: 1 score outside the given range\n"
        "  line 7: case A, session 6, total = 61\n"
        "hint: correct the score, or --min and --max\n"
        "error: 2 rows give a session that is there twice, and differ\n"
        "  line 8: case A, session 7\n"
        "  line 9: case A, session 7\n"
        "hint: correct the file, or say --keep first or --keep last"
    )


def test_what_cannot_be_used_is_left_out_if_that_is_asked_for(tmp_path):
    path = write(tmp_path, "case,session,total", "A,1,40", "A,2,forty", "A,x,40", "A,3,41")
    frame = read_series(path, ["total"], options=ReadOptions(on_error="drop")).frame
    assert list(frame["session"]) == [1, 2, 3]
    np.testing.assert_array_equal(frame["total"], [40, np.nan, 41])


def test_doubles_are_kept_once_and_differing_ones_are_chosen_by_the_user(tmp_path):
    path = write(tmp_path, "case,session,total", "A,1,40", "A,1,40", "A,2,41", "A,2,42")
    first = read_series(path, ["total"], options=ReadOptions(keep="first"))
    assert list(first.frame["total"]) == [40, 41]
    assert first.notes == (
        "1 row there again with the same scores, kept once: line 3: case A, session 1",
        "2 rows of sessions that are there twice: the first kept",
    )
    last = read_series(path, ["total"], options=ReadOptions(keep="last"))
    assert list(last.frame["total"]) == [40, 42]


def test_without_a_session_number_sessions_are_numbered_by_date(tmp_path):
    path = write(
        tmp_path,
        "case,date,rater,total",
        "A,2026-02-02,client,41",
        "A,2026-01-05,client,40",
        "A,2026-02-02,therapist,30",
    )
    found = read_series(path, ["total"])
    assert list(found.frame["session"]) == [1, 2, 2]
    assert found.notes == ("there is no session number: sessions were numbered by date, within the case",)
    path = write(tmp_path, "case,date,total", "A,2026-02-02,41", "A,,40")
    with pytest.raises(DataError, match="1 form has no date to number its session by"):
        read_series(path, ["total"])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["case,session,totl", "A,1,40"],
            "error: the file has no column 'total'\nhint: did you mean 'totl'?",
        ),
        (
            ["case,session,x", "A,1,40"],
            "error: the file has no column 'total'\nhint: it has case, session, x",
        ),
        (
            ["case,session,total,total", "A,1,40,41"],
            "error: column 'total' is there 2 times\nhint: rename or delete all but the right one",
        ),
        (
            ["who,session,total", "A,1,40"],
            "error: no column says whose score it is\n  columns: who, session, total\nhint: name the column case",
        ),
        (
            ["case,when,total", "A,1,40"],
            "error: no column says in which order the scores were made\nhint: add a session number or a date",
        ),
        (
            ["case,session,date,total", "A,1,05.01.2026x,40"],
            "error: 1 cell is no date in the format of its column\n  line 2: case A, session 1, date = 05.01.2026x\n"
            "hint: write all dates of the column in one way, such as 2026-01-31, or say --date-format dmy or mdy",
        ),
        (
            ["case,session,date,total", "A,1,05/01/2026,40"],
            "error: the dates in column 'date' can be read day first and month first\n"
            "hint: say --date-format dmy or --date-format mdy",
        ),
    ],
    ids=["near name", "no such column", "twice", "no case", "no order", "no date", "two readings of a date"],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path, lines, message):
    with pytest.raises(DataError) as caught:
        read_series(write(tmp_path, *lines), ["total"])
    assert str(caught.value) == message


def test_a_mapping_says_which_column_is_which(tmp_path):
    path = write(tmp_path, "Klient,Nr,total", "A,1,40")
    mapping = Mapping(columns={"case": "Klient", "session": "Nr"}, rater="therapist")
    frame = read_series(path, ["total"], options=ReadOptions(mapping=mapping)).frame
    assert frame[["case", "session", "rater"]].to_numpy().tolist() == [["A", 1, "therapist"]]


def test_a_file_that_was_opened_says_which_columns_it_has_and_is_read_from_there(tmp_path):
    path = write(tmp_path, "case,session,total", "A,1,40")
    opened = open_file(path)
    assert (opened.has("total"), opened.has("bond")) == (True, False)
    path.unlink()
    assert list(read_series(opened, ["total"]).frame["total"]) == [40]
