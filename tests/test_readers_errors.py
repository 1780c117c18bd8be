"""What a person reads when a file cannot be used: whole messages, all problems at once."""

import pytest
from readers_helpers import DEMO, forms_of, mapped, read_demo, refusal, write

from alliance.errors import DataError, ScaleError, StoreError
from alliance.readers import load

HEADER = "case,session,q1,q2,q3\n"


def test_answers_outside_the_range_are_named_with_line_case_session_and_item(tmp_path):
    assert refusal(tmp_path, HEADER + "C07,3,1,8,2\nC07,4,2,3,0\n") == (
        "error: 2 answers outside 1 to 7, the range of 'demo'\n"
        "  line 2: case C07, session 3, q2 = 8\n"
        "  line 3: case C07, session 4, q3 = 0\n"
        "hint: leave an unanswered item empty, or declare its code with --missing, such as --missing 99"
    )


def test_a_foreign_column_name_stands_before_the_item(tmp_path):
    assert "\n  line 2: case C07, session 3, wa2 (q2) = 8\n" in refusal(
        tmp_path, "client,session,wa1,wa2,wa3\nC07,3,1,8,2\n"
    )


def test_all_problems_are_reported_at_once_grouped_by_kind(tmp_path):
    text = HEADER + "C01,1,1,often?,2\n,2,1,1,1\nC01,two,1,1,1\nC01,3,1.5,2,9\n"
    assert refusal(tmp_path, text) == (
        "error: 1 form without a case\n"
        "  line 3: no case, session 2\n"
        "hint: say whose form it is; a mapping can fill a column down (fill_down)\n"
        "error: 1 session is no whole number\n"
        "  line 4: case C01, session = two\n"
        "hint: number the sessions 1, 2, 3, or leave the column out of a mapping to number them by date\n"
        "error: 1 answer is no number and no known word\n"
        "  line 2: case C01, session 1, q2 = often?\n"
        "hint: give each word its number under [answers] in a mapping, or declare it with --missing\n"
        "error: 1 answer outside 1 to 7, the range of 'demo'\n"
        "  line 5: case C01, session 3, q3 = 9\n"
        "hint: leave an unanswered item empty, or declare its code with --missing, such as --missing 99\n"
        "error: 1 answer is no whole number, and 'demo' has no other answers\n"
        "  line 5: case C01, session 3, q1 = 1.5\n"
        "hint: correct the cell, or leave it empty"
    )


def test_five_places_are_shown_and_the_rest_counted(tmp_path):
    rows = "".join(f"C01,{n},9,1,1\n" for n in range(1, 9))
    told = refusal(tmp_path, HEADER + rows)
    assert "  line 6: case C01, session 5, q1 = 9\n  and 3 more\n" in told


def test_dropping_scores_the_rest_and_lists_every_rejected_cell(tmp_path):
    text = HEADER + "C01,1,1,8,2\n,2,1,1,1\nC01,x,1,1,1\nC01,3,1,2,3\n"
    loaded = read_demo(tmp_path, text, on_error="drop")
    assert loaded.responses["demo"][["session", "q1", "q3"]].to_numpy().tolist() == [[1, 1, 2], [3, 1, 3]]
    assert loaded.responses["demo"]["q2"].isna().tolist() == [True, False]
    assert loaded.rejected.assign(session=[1, 2, 0]).astype(str).to_numpy().tolist() == [
        ["2", "C01", "1", "client", "q2", "8", "out of range"],
        ["3", "", "2", "client", "", "", "no case"],
        ["4", "C01", "0", "client", "session", "x", "no session number"],
    ]
    assert loaded.rejected["session"].isna().tolist() == [False, False, True]


def test_nothing_rejected_gives_an_empty_frame_with_the_same_columns(tmp_path):
    rejected = read_demo(tmp_path, HEADER + "C01,1,1,2,3\n").rejected
    assert rejected.empty
    assert list(rejected) == ["line", "case", "session", "rater", "item", "value", "problem"]


def test_two_columns_that_could_be_the_case_ask_for_a_mapping(tmp_path):
    assert refusal(tmp_path, "client,patient_id,session,q1,q2,q3\nA,B,1,1,2,3\n") == (
        "error: 2 columns could be the case: 'client', 'patient_id'\n"
        'hint: say which in a mapping: [columns] case = "client"'
    )


def test_an_exact_name_wins_over_a_well_known_one(tmp_path):
    forms = forms_of(tmp_path, "client,case,session,q1,q2,q3\nA,B,1,1,2,3\n")
    assert forms["case"].tolist() == ["B"]


def test_a_file_without_case_order_and_items_says_all_three(tmp_path):
    assert refusal(tmp_path, "name,comment\nA,fine\n") == (
        "error: no column says whose form it is\n"
        "  columns: name, comment\n"
        'hint: name the column case, or say which it is in a mapping: [columns] case = "…"\n'
        "error: no column says in which order the forms were filled in\n"
        "hint: add a session number or a date, or say in a mapping which column it is\n"
        "error: no columns hold the 3 items of 'demo'\n"
        "hint: name them q1 to q3, or write a mapping; `alliance check FILE --write-map` drafts one"
    )


def test_a_wide_file_is_told_its_pattern(tmp_path):
    told = refusal(tmp_path, "case,a1_s1,a2_s1,a3_s1,a1_s2,a2_s2,a3_s2\nA,1,2,3,1,2,3\n")
    assert told.endswith('say so in a mapping: pattern = "a{item}_s{session}"')


def test_two_groups_that_could_be_the_items_are_refused(tmp_path):
    told = refusal(tmp_path, "case,session,a1,a2,a3,b1,b2,b3\nA,1,1,2,3,1,2,3\n")
    assert told == (
        "error: 2 groups of columns could be the items; they start with 'a1', 'b1'\n"
        'hint: say which in a mapping, one line for each item: [columns] q1 = "…"'
    )


def test_answers_beyond_the_last_item_mean_another_form(tmp_path):
    told = refusal(tmp_path, "case,session,q1,q2,q3,q4\nA,1,1,2,3,4\n")
    assert told == (
        "error: the form 'demo' has 3 items, and the file also answers q4\n"
        "hint: name the right form with --scale, or rename the columns that are no items"
    )


def test_a_row_with_too_many_cells_is_refused(tmp_path):
    told = refusal(tmp_path, HEADER + "C01,1,1,2,3,4\n")
    assert told == (
        "error: 1 row with more cells than the header has columns\n"
        "  line 2: 6 cells for 5 columns\n"
        "hint: put a cell that holds the delimiter in quotation marks"
    )


def test_a_short_row_is_filled_up_with_unanswered_items(tmp_path):
    forms = forms_of(tmp_path, HEADER + "C01,1,5\nC01,2,1,2,3\n")
    assert forms["q1"].tolist() == [5, 1]
    assert forms[["q2", "q3"]].isna().all(axis=1).tolist() == [True, False]


def test_a_quote_that_is_never_closed_is_named_by_its_line(tmp_path):
    told = refusal(tmp_path, HEADER + 'C01,1,1,2,3\nC01,2,"1,2,3\nC01,3,1,2,3\n')
    assert told == (
        "error: a quotation mark is opened and not closed\n"
        "  line 3: in the record that starts here\n"
        "hint: write a quotation mark inside a quoted cell twice, or save the file again from its program"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "the file is empty", id="no bytes"),
        pytest.param(b" \n\n", "the file is empty", id="only blanks"),
        pytest.param(b'{"resourceType": "Bundle"}', "the file holds no QuestionnaireResponse", id="FHIR"),
        pytest.param(b'[{"case": "C01"}]', "JSON that is no FHIR is not read", id="JSON"),
        pytest.param(
            b"$FL2@(#) SPSS", "the file looks like one of SPSS, and cannot be opened as such", id="SPSS"
        ),
        pytest.param(b"\x1f\x8b\x08\x00", "the file is compressed", id="gzip"),
        pytest.param(
            b"PK\x03\x04not a workbook",
            "the file looks like a workbook, and cannot be opened as one",
            id="zip",
        ),
        pytest.param(b"PAR1 no", "the file looks like Parquet, and cannot be opened as such", id="Parquet"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_words(tmp_path, content, message):
    with pytest.raises(DataError) as caught:
        load(write(tmp_path, content), DEMO)
    assert caught.value.troubles[0].what == message


def test_a_file_that_is_not_there_is_no_data_error(tmp_path):
    with pytest.raises(StoreError) as caught:
        load(tmp_path / "no.csv", DEMO)
    assert caught.value.troubles[0].what == f"cannot read '{tmp_path / 'no.csv'}': No such file or directory"


def test_a_header_without_rows_has_no_forms(tmp_path):
    told = refusal(tmp_path, HEADER)
    assert told == (
        "error: the file has a header and no rows below it\nhint: export it again, with one row for each form"
    )


def test_an_unknown_form_in_the_scale_column_is_a_scale_error(tmp_path):
    path = write(tmp_path, "case,session,scale,q1,q2,q3\nC01,1,wai-rs,1,2,3\n")
    with pytest.raises(ScaleError, match="unknown scale 'wai-rs'"):
        load(path, None)


def test_without_a_scale_anywhere_the_form_must_be_named(tmp_path):
    path = write(tmp_path, HEADER + "C01,1,1,2,3\n")
    with pytest.raises(DataError) as caught:
        load(path, None)
    assert str(caught.value) == (
        "error: nothing says which form was filled in\n"
        "hint: name it with --scale, or add a column scale with its id"
    )


def test_a_scale_column_without_the_form_is_refused(tmp_path):
    told = refusal(tmp_path, "case,session,scale,q1,q2,q3\nC01,1,ors,1,2,3\n")
    assert told == "error: the file has no form 'demo'\nhint: its scale column says ors"


def test_doubles_that_differ_are_refused_with_both_lines(tmp_path):
    told = refusal(tmp_path, HEADER + "C01,1,1,2,3\nC01,1,1,2,4\n")
    assert told == (
        "error: 2 rows give a session that is there twice, and differ\n"
        "  line 2: case C01, session 1\n"
        "  line 3: case C01, session 1\n"
        "hint: correct the file, or say --keep first or --keep last"
    )


def test_equal_answers_on_different_days_are_no_exact_double(tmp_path):
    text = "case,session,date,q1,q2,q3\nC01,1,2026-01-01,4,4,4\nC01,1,2026-01-08,4,4,4\n"
    assert refusal(tmp_path, text).startswith(
        "error: 2 rows give a session that is there twice, and differ\n"
    )


def test_two_answers_to_one_item_are_refused_where_a_row_is_an_answer(tmp_path):
    told = refusal(tmp_path, "case,session,item,value\nC01,1,q1,3\nC01,1,q1,4\nC01,1,q2,4\nC01,1,q3,4\n")
    assert told == (
        "error: 2 answers are there twice, and differ\n"
        "  line 2: case C01, session 1, q1 = 3\n"
        "  line 3: case C01, session 1, q1 = 4\n"
        "hint: correct the file, or say --keep first or --keep last"
    )


@pytest.mark.parametrize(("keep", "answer"), [("first", 3), ("last", 4)])
def test_keep_settles_two_answers_to_one_item(tmp_path, keep, answer):
    text = "case,session,item,value\nC01,1,q1,3\nC01,1,q1,4\nC01,1,q2,4\nC01,1,q3,4\n"
    loaded = read_demo(tmp_path, text, keep=keep)
    assert loaded.responses["demo"]["q1"].tolist() == [answer]
    assert loaded.notes == (
        f"of 1 answer given twice in different ways the {keep} was kept: line 2: case C01, session 1, q1",
    )


def test_a_form_without_session_number_is_refused_and_an_empty_row_is_not(tmp_path):
    told = refusal(tmp_path, HEADER + "C01,1,1,2,3\nC01,,1,2,3\nMean,,,,\n")
    assert told == (
        "error: 1 form without a session number\n"
        "  line 3: case C01\n"
        "hint: number the session, or leave out rows that are no forms with skip_cases in a mapping"
    )


def test_a_row_that_is_no_form_is_told_and_never_a_case(tmp_path):
    loaded = read_demo(tmp_path, HEADER + "C01,1,1,2,3\nMean,,,,\n")
    assert loaded.responses["demo"]["case"].tolist() == ["C01"]
    assert loaded.notes == (
        "rows with neither a session number nor an answer were not read as forms: line 3",
    )


def test_a_blank_form_is_kept_with_no_answers(tmp_path):
    forms = forms_of(tmp_path, HEADER + "C01,1,1,2,3\nC01,2,,,\n")
    assert forms["session"].tolist() == [1, 2]
    assert forms.loc[3, ["q1", "q2", "q3"]].isna().all()


def test_no_message_shows_other_cells_of_the_row(tmp_path):
    told = refusal(tmp_path, "case,session,name,q1,q2,q3\nC01,1,Erika Mustermann,9,2,x\n")
    assert "Erika" not in told


def test_a_mapped_column_that_is_not_there_is_named_with_the_nearest(tmp_path):
    told = refusal(tmp_path, HEADER + "C01,1,1,2,3\n", mapping=mapped('[columns]\nsession = "sesion"'))
    assert told == (
        "error: there is no column 'sesion'\n"
        "  mapping: session\n"
        "hint: did you mean 'session'? correct the mapping"
    )
