"""Treatments: when they began, whether and why they ended, and which forms belong to which."""

import pandas as pd
import pytest
from readers_helpers import DEMO, mapped, read_demo, refusal, write
from steps_helpers import calls_of

from alliance.errors import DataError
from alliance.frames import TREATMENTS, check_treatments
from alliance.readers import (
    ReadOptions,
    assign_episodes,
    load,
    read_attendance,
    read_treatments,
    treatments_of,
)
from alliance.readers.episodes import dated_before_first, number_from_one
from alliance.readers.plain import read_series

HEADER = (
    "client_id,episode_id,therapist_id,start_date,status,end_reason,end_reason_source,planned_sessions,"
    "planned_end_date,observed_until\n"
)


def treated(folder, text, *, name="episodes.csv", **options):
    return read_treatments(write(folder, text, name=name), options=ReadOptions(**options))


def refused(folder, text, **options):
    with pytest.raises(DataError) as caught:
        treated(folder, text, **options)
    return str(caught.value)


def test_every_column_is_read(tmp_path):
    found = treated(
        tmp_path,
        HEADER
        + "007,1,T1,2026-01-05,ended,client_unilateral,therapist,12,2026-04-30,2026-06-30\n"
        + "B,1,T2,2026-02-02,ongoing,,,,,2026-06-30\n",
    )
    check_treatments(found)
    assert list(found) == list(TREATMENTS)
    assert found.iloc[0].to_dict() == {
        "case": "007",
        "client": "007",
        "episode": "1",
        "therapist": "T1",
        "start_date": pd.Timestamp("2026-01-05"),
        "status": "ended",
        "end_reason": "client_unilateral",
        "end_reason_source": "therapist",
        "planned_sessions": 12,
        "planned_end_date": pd.Timestamp("2026-04-30"),
        "observed_until": pd.Timestamp("2026-06-30"),
    }
    assert found.loc[1, ["end_reason", "end_reason_source"]].tolist() == ["", ""]
    assert found.loc[1, ["planned_sessions", "planned_end_date"]].isna().all()
    assert [str(kind) for kind in found.dtypes[["start_date", "planned_sessions"]]] == [
        "datetime64[s]",
        "Int64",
    ]


@pytest.mark.parametrize(
    ("column", "word", "code"),
    [
        ("status", "Open", "ongoing"),
        ("status", "in treatment", "ongoing"),
        ("status", "Closed", "ended"),
        ("status", "NA", ""),
        ("end_reason", "Mutual", "mutual_planned"),
        ("end_reason", "dropped out", "client_unilateral"),
        ("end_reason", "Ended by therapist", "therapist_ended"),
        ("end_reason", "moved", "external"),
        ("end_reason", "not known", "unknown"),
        ("end_reason", "none", ""),
        ("end_reason_source", "Clinician", "therapist"),
        ("end_reason_source", "patient", "client"),
        ("end_reason_source", "chart", "record"),
    ],
)
def test_words_are_read_tolerantly(tmp_path, column, word, code):
    cells = {"status": "ended", "end_reason": "", "end_reason_source": "", column: word}
    text = f"case,{','.join(cells)}\nA,{','.join(cells.values())}\n"
    assert treated(tmp_path, text)[column].tolist() == [code]


def test_the_reason_may_be_absent_and_an_end_with_a_reason_has_come(tmp_path):
    assert treated(tmp_path, "case,status\nA,ended\n")["end_reason"].tolist() == [""]
    found = treated(tmp_path, "case,status,end_reason\nA,,mutual\nB,,\n")
    assert found["status"].tolist() == ["ended", ""]


def test_an_ongoing_treatment_of_unknown_reason_is_no_contradiction(tmp_path):
    found = treated(tmp_path, "case,status,end_reason\nA,ongoing,unknown\n")
    assert found[["status", "end_reason"]].to_numpy().tolist() == [["ongoing", ""]]


def test_further_columns_are_baseline_covariates_as_written(tmp_path):
    found = treated(tmp_path, "case,status,age,Education\nA,ended,031,high\nB,ended,NA,\n")
    assert list(found)[len(TREATMENTS) :] == ["age", "Education"]
    assert found[["age", "Education"]].to_numpy().tolist() == [["031", "high"], ["NA", ""]]


@pytest.mark.parametrize(
    "header",
    [
        "Client,Treatment,Clinician,Start,Treatment status,Reason,Coded by,Planned,Data cut",
        "case,treatment_no,therapist,started,episode_status,termination_reason,end_source,n_planned,cut_date",
        "patient_id,episode,clinician,begin,status,discharge_reason,reason_source,sessions_planned,data_until",
    ],
)
def test_well_known_names_are_taken(tmp_path, header):
    found = treated(tmp_path, f"{header}\nA,1,T1,2026-01-05,closed,moved,chart,12,2026-06-30\n")
    assert found[
        ["case", "episode", "therapist", "status", "end_reason", "end_reason_source"]
    ].to_numpy().tolist() == [["A", "1", "T1", "ended", "external", "record"]]
    assert found.loc[0, "planned_sessions"] == 12
    assert found.loc[0, ["start_date", "observed_until"]].notna().all()


def test_a_second_treatment_is_a_case_of_its_own(tmp_path):
    found = treated(
        tmp_path,
        "client_id,episode_id,status,start_date\nA,1,ended,2026-01-05\nB,1,ended,2026-01-05\nA,2,ongoing,2026-05-04\n",
    )
    assert found[["case", "client", "episode"]].to_numpy().tolist() == [
        ["A/1", "A", "1"], ["B", "B", "1"], ["A/2", "A", "2"],
    ]  # fmt: skip


def test_several_files_are_one_table(tmp_path):
    first = write(tmp_path, "case,status,age\nA,ended,30\n", name="north.csv")
    second = write(tmp_path, "case,status\nB,ongoing\nA,ended\n", name="south.csv")
    found = read_treatments([first, second])
    assert found[["case", "status", "age"]].to_numpy().tolist() == [
        ["A", "ended", "30"],
        ["B", "ongoing", ""],
    ]


def test_rows_that_agree_are_one_treatment_and_blank_cells_say_nothing(tmp_path):
    found = treated(tmp_path, "case,status,end_reason\nA,ended,\nA,ended,mutual\nA,,\n")
    assert found[["case", "status", "end_reason"]].to_numpy().tolist() == [["A", "ended", "mutual_planned"]]


def test_what_cannot_be_used_can_be_left_out(tmp_path):
    found = treated(tmp_path, "case,status\nA,ended\nB,perhaps\n,ended\n", on_error="drop")
    assert found["case"].tolist() == ["A"]


def test_a_mapping_names_the_case(tmp_path):
    found = treated(tmp_path, "Kürzel,status\nA,ended\n", mapping=mapped('[columns]\ncase = "Kürzel"'))
    assert found["case"].tolist() == ["A"]


def test_a_file_with_a_header_only_is_refused(tmp_path):
    assert refused(tmp_path, "case,status\n") == (
        "error: the file has a header and no rows below it\n"
        "  episodes.csv\n"
        "hint: export it again, with one row for each form"
    )


PROBLEMS = [
    pytest.param(
        "case,status\nA,ended\nB,perhaps\n",
        "error: 1 status is no known word\n"
        "  episodes.csv, line 3: case B, status = perhaps\n"
        "hint: use ongoing or ended",
        id="status",
    ),
    pytest.param(
        "case,status,Reason\nA,ended,bored\nB,ended,angry\n",
        "error: 2 end_reasons are no known words\n"
        "  episodes.csv, line 2: case A, Reason (end_reason) = bored\n"
        "  episodes.csv, line 3: case B, Reason (end_reason) = angry\n"
        "hint: use mutual_planned, client_unilateral, therapist_ended, external or unknown",
        id="end_reason",
    ),
    pytest.param(
        "case,status,end_reason_source\nA,ended,guess\n",
        "error: 1 end_reason_source is no known word\n"
        "  episodes.csv, line 2: case A, end_reason_source = guess\n"
        "hint: use therapist, client or record",
        id="source",
    ),
    pytest.param(
        "case,status\n,ended\n",
        "error: 1 treatment without a case\n  episodes.csv, line 2: no case\nhint: say whose treatment it is",
        id="no case",
    ),
    pytest.param(
        "case,status,planned_sessions\nA,ended,0\nB,ended,ten\nC,ended,2.5\nD,ended,12.0\n",
        "error: 3 planned numbers of sessions are no whole numbers of 1 or more\n"
        "  episodes.csv, line 2: case A, planned_sessions = 0\n"
        "  episodes.csv, line 3: case B, planned_sessions = ten\n"
        "  episodes.csv, line 4: case C, planned_sessions = 2.5\n"
        "hint: leave it empty where no number was planned",
        id="planned sessions",
    ),
    pytest.param(
        "case,status,start_date\nA,ended,soon\n",
        "error: 1 cell is no date in the format of its column\n"
        "  episodes.csv, line 2: case A, start_date = soon\n"
        "hint: write all dates of the column in one way, such as 2026-01-31, or say --date-format dmy or mdy",
        id="no date",
    ),
    pytest.param(
        "case,status,start\nA,ended,03/04/2026\n",
        "error: the dates in column 'start' can be read day first and month first\n"
        "  episodes.csv\n"
        "hint: say --date-format dmy or --date-format mdy",
        id="ambiguous dates",
    ),
    pytest.param(
        "case,status,end_reason\nA,ongoing,mutual\n",
        "error: 1 ongoing treatment has a reason of its end\n"
        "  episodes.csv, line 2: case A, end_reason = mutual\n"
        "hint: correct the status, or take end_reason out",
        id="ongoing with a reason",
    ),
    pytest.param(
        "case,status,start_date,observed_until\nA,ended,2026-02-02,2026-02-01\nB,ended,2026-02-02,2026-02-02\n",
        "error: 1 treatment starts after the data were cut off\n"
        "  episodes.csv, line 2: case A, observed_until = 2026-02-01\n"
        "hint: correct start_date or observed_until",
        id="cut before the start",
    ),
    pytest.param(
        "case,status,start_date,planned_end_date\nA,ended,2026-02-02,2026-02-01\n",
        "error: 1 treatment starts after its planned end\n"
        "  episodes.csv, line 2: case A, planned_end_date = 2026-02-01\n"
        "hint: correct start_date or planned_end_date",
        id="planned end before the start",
    ),
    pytest.param(
        "case,status,start_date\nA,ended,2026-01-05\nA,ended,2026-05-04\n",
        "error: 1 treatment is there more than once, and the rows differ\n"
        "  episodes.csv, line 2: case A\n"
        "  episodes.csv, line 3: case A\n"
        "hint: correct the file; a second treatment of a client needs an episode_id of its own",
        id="rows that differ",
    ),
    pytest.param(
        "case,status,therapist\nA,ended,T1\nA,ended,T2\n",
        "error: 1 treatment is there more than once, and the rows differ\n"
        "  episodes.csv, line 2: case A\n"
        "  episodes.csv, line 3: case A\n"
        "hint: correct the file; a second treatment of a client needs an episode_id of its own",
        id="two therapists",
    ),
    pytest.param(
        "case,episode,status\nA,1,ended\nA,,ended\n",
        "error: 1 row of a client with several treatments does not say which one\n"
        "  episodes.csv, line 3: case A\n"
        "hint: give each treatment its own episode_id",
        id="no episode",
    ),
    pytest.param(
        "name_of_form,reason\nx,moved\n",
        "error: no column says whose treatment it is\n"
        "  episodes.csv, columns: name_of_form, reason\n"
        "hint: name the column case or client_id\n"
        "error: no column says whether a treatment has ended\n"
        "  episodes.csv, columns: name_of_form, reason\n"
        "hint: add a column status, with ongoing or ended",
        id="neither case nor status",
    ),
    pytest.param(
        "case,client_id,status,start,begin\nA,A,ended,2026-01-05,2026-01-05\n",
        "error: 2 columns could be the start_date: 'start', 'begin'\n"
        "  episodes.csv\n"
        "hint: rename all but the right one",
        id="two columns for one role",
    ),
]


@pytest.mark.parametrize(("text", "message"), PROBLEMS)
def test_what_is_wrong_is_said_with_file_and_line(tmp_path, text, message):
    assert refused(tmp_path, text) == message


def test_everything_wrong_with_all_files_is_said_at_once(tmp_path):
    first = write(tmp_path, "case,status\nA,perhaps\nB,ended\n", name="north.csv")
    second = write(tmp_path, "case,status,start_date\nB,ongoing,soon\nB,ongoing,\n", name="south.csv")
    with pytest.raises(DataError) as caught:
        read_treatments([first, second])
    assert str(caught.value) == (
        "error: 1 status is no known word\n"
        "  north.csv, line 2: case A, status = perhaps\n"
        "hint: use ongoing or ended\n"
        "error: 1 cell is no date in the format of its column\n"
        "  south.csv, line 2: case B, start_date = soon\n"
        "hint: write all dates of the column in one way, such as 2026-01-31, or say --date-format dmy or "
        "mdy\n"
        "error: 1 treatment is there more than once, and the rows differ\n"
        "  north.csv, line 3: case B\n"
        "  south.csv, line 3: case B\n"
        "hint: correct the file; a second treatment of a client needs an episode_id of its own"
    )


STUDY = "case,session,date,status,end_reason,therapist,q1,q2,q3\n"


def test_a_study_file_says_itself_how_its_treatments_ended(tmp_path):
    text = (
        STUDY
        + "A,1,2026-01-01,ended,,T1,1,2,3\nA,2,2026-01-08,ended,mutual,T2,1,2,3\n"
        + "B,1,2026-01-01,ongoing,,T1,1,2,3\n"
    )
    found = treatments_of(read_demo(tmp_path, text))
    assert list(found) == list(TREATMENTS)
    assert found[["case", "client", "therapist", "status", "end_reason"]].to_numpy().tolist() == [
        ["A", "A", "T1", "ended", "mutual_planned"],
        ["B", "B", "T1", "ongoing", ""],
    ]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("case,session,q1,q2,q3\nA,1,1,2,3\n", id="no such column"),
        pytest.param("case,session,status,q1,q2,q3\nA,1,complete,1,2,3\n", id="a status of something else"),
    ],
)
def test_a_study_file_that_does_not_say_gives_nothing(tmp_path, text):
    assert treatments_of(read_demo(tmp_path, text)) is None


def test_a_status_alone_is_enough_if_all_its_words_are_known(tmp_path):
    found = treatments_of(read_demo(tmp_path, "case,session,status,q1,q2,q3\nA,1,open,1,2,3\nA,2,,1,2,3\n"))
    assert found[["case", "status"]].to_numpy().tolist() == [["A", "ongoing"]]


def test_a_study_file_whose_rows_differ_is_refused(tmp_path):
    text = STUDY + "A,1,2026-01-01,ended,mutual,T1,1,2,3\nA,2,2026-01-08,ended,moved,T1,1,2,3\n"
    loaded = read_demo(tmp_path, text)
    with pytest.raises(DataError) as caught:
        treatments_of(loaded, name="study.csv")
    assert str(caught.value) == (
        "error: 1 treatment is there more than once, and the rows differ\n"
        "  study.csv, line 2: case A\n"
        "  study.csv, line 3: case A\n"
        "hint: correct the file; a second treatment of a client needs an episode_id of its own"
    )


TWO = (
    "client_id,episode_id,start_date,status\nA,1,2026-01-05,ended\nA,2,2026-05-04,ongoing\n"
    "B,1,2026-01-05,ended\n"
)


def forms_with(tmp_path, text, table=TWO, **options):
    known = treated(tmp_path, table)
    return load(write(tmp_path, text), DEMO, options=ReadOptions(**options), treatments=known)


def named(frame):
    return frame[["case", "session"]].to_numpy().tolist()


def test_forms_go_to_the_latest_treatment_that_had_started(tmp_path):
    text = (
        "case,session,date,q1,q2,q3\nA,1,2026-01-05,1,2,3\nA,2,2026-05-03,1,2,3\nA,1,2026-05-04,1,2,3\n"
        "A,2,2026-06-01,1,2,3\nB,1,2026-06-01,1,2,3\nZ,1,2020-01-01,1,2,3\n"
    )
    loaded = forms_with(tmp_path, text)
    assert named(loaded.responses["demo"]) == [
        ["A/1", 1], ["A/1", 2], ["A/2", 1], ["A/2", 2], ["B", 1], ["Z", 1],
    ]  # fmt: skip


def test_an_episode_column_goes_before_the_date(tmp_path):
    text = "case,episode,session,date,q1,q2,q3\nA,2,1,2026-06-01,1,2,3\nA,1,2,2026-06-01,1,2,3\n"
    assert named(forms_with(tmp_path, text).responses["demo"]) == [["A/2", 1], ["A/1", 2]]


def test_numbers_that_run_on_start_from_one_in_each_treatment(tmp_path):
    text = (
        "case,session,date,q1,q2,q3\nA,1,2026-01-05,1,2,3\nA,3,2026-01-19,1,2,3\nA,4,2026-05-04,1,2,3\n"
        "A,6,2026-05-18,1,2,3\n"
    )
    assert named(forms_with(tmp_path, text).responses["demo"]) == [
        ["A/1", 1],
        ["A/1", 3],
        ["A/2", 1],
        ["A/2", 3],
    ]


def test_numbers_of_their_own_stay(tmp_path):
    text = "case,session,date,q1,q2,q3\nA,3,2026-01-19,1,2,3\nA,3,2026-05-18,1,2,3\n"
    assert named(forms_with(tmp_path, text).responses["demo"]) == [["A/1", 3], ["A/2", 3]]


def test_the_first_treatment_is_never_moved_and_each_is_asked_for_itself(tmp_path):
    table = TWO + "A,3,2026-09-07,ongoing\n"
    text = (
        "case,session,date,q1,q2,q3\nA,2,2026-01-19,1,2,3\nA,3,2026-05-18,1,2,3\nA,4,2026-05-25,1,2,3\n"
        "A,2,2026-09-14,1,2,3\n"
    )
    assert named(forms_with(tmp_path, text, table).responses["demo"]) == [
        ["A/1", 2], ["A/2", 1], ["A/2", 2], ["A/3", 2],
    ]  # fmt: skip


def test_sessions_without_numbers_are_numbered_by_date_in_each_treatment(tmp_path):
    text = "case,date,q1,q2,q3\nA,2026-06-01,1,2,3\nA,2026-01-12,1,2,3\nA,2026-05-04,1,2,3\n"
    assert named(forms_with(tmp_path, text).responses["demo"]) == [["A/2", 1], ["A/2", 2], ["A/1", 1]]


def test_without_an_episodes_file_an_episode_column_keeps_two_treatments_apart(tmp_path):
    text = (
        "case,episode_id,session,q1,q2,q3\nA,1,1,1,2,3\nA,1,2,1,2,3\nA,2,1,7,7,7\nA,2,2,7,7,6\nB,1,1,1,2,3\n"
    )
    loaded = read_demo(tmp_path, text)
    assert named(loaded.responses["demo"]) == [["A/1", 1], ["A/1", 2], ["A/2", 1], ["A/2", 2], ["B", 1]]
    assert loaded.notes[0] == "1 client has more than one episode, each a case of its own, such as A/1"
    assert loaded.cases.to_numpy().tolist() == [["A/1", "A", "1"], ["A/2", "A", "2"], ["B", "B", "1"]]


def test_without_an_episodes_file_numbers_that_run_on_start_from_one_too(tmp_path):
    text = (
        "case,episode,session,attendance,q1,q2,q3\nA,x,1,attended,1,2,3\nA,y,2,attended,1,2,3\n"
        "A,y,3,no_show,,,\n"
    )
    loaded = read_demo(tmp_path, text)
    assert named(loaded.responses["demo"]) == [["A/x", 1], ["A/y", 1]]
    assert named(loaded.appointments) == [["A/x", 1], ["A/y", 1], ["A/y", 2]]


def test_one_answer_a_row_is_kept_apart_by_episode_too(tmp_path):
    rows = [f"A,{episode},1,q{item},{item + episode}" for episode in (1, 2) for item in (1, 2, 3)]
    loaded = read_demo(tmp_path, "\n".join(["case,episode,session,item,value", *rows]) + "\n")
    assert loaded.responses["demo"][["case", "q1", "q3"]].to_numpy().tolist() == [
        ["A/1", 2, 4],
        ["A/2", 3, 5],
    ]


def test_a_row_that_does_not_say_which_of_several_episodes_is_refused(tmp_path):
    assert refusal(tmp_path, "case,episode,session,q1,q2,q3\nA,1,1,1,2,3\nA,2,1,1,2,3\nA,,2,1,2,3\n") == (
        "error: 1 row of a client with several treatments does not say which one\n"
        "  line 4: case A\n"
        "hint: fill in the column episode, or give start dates with --episodes"
    )


PLACES = [
    pytest.param(
        "case,session,q1,q2,q3\nA,1,1,2,3\nA,2,1,2,3\n",
        TWO,
        "error: 2 rows of clients with several treatments say neither which one nor when\n"
        "  line 2: case A\n"
        "  line 3: case A\n"
        "hint: add a column episode, or the date",
        id="neither episode nor date",
    ),
    pytest.param(
        "case,episode,session,q1,q2,q3\nA,3,1,1,2,3\nB,2,1,1,2,3\n",
        TWO,
        "error: 2 rows name episodes that are not among the treatments of their clients\n"
        "  line 2: case A, episode = 3\n"
        "  line 3: case B, episode = 2\n"
        "hint: correct the episode, or add the treatment to the episodes file",
        id="an episode nobody knows",
    ),
    pytest.param(
        "case,session,date,q1,q2,q3\nA,1,2026-01-04,1,2,3\nB,1,2026-01-04,1,2,3\nB,2,2026-01-05,1,2,3\n",
        TWO,
        "error: 2 rows are dated before the treatment starts\n"
        "  line 2: case A, date = 2026-01-04\n"
        "  line 3: case B, date = 2026-01-04\n"
        "hint: correct the date, or start_date: the day of the first appointment of the treatment",
        id="before the start",
    ),
    pytest.param(
        "case,session,date,q1,q2,q3\nA,1,2026-01-05,1,2,3\n",
        "client_id,episode_id,start_date,status\nA,1,,ended\nA,2,2026-05-04,ongoing\n",
        "error: 1 row of a client whose treatments have no start_date to tell them apart\n"
        "  line 2: case A\n"
        "hint: add start_date to the episodes file, or a column episode here",
        id="no start date",
    ),
]


@pytest.mark.parametrize(("text", "table", "message"), PLACES)
def test_a_form_that_cannot_be_placed_is_refused(tmp_path, text, table, message):
    with pytest.raises(DataError) as caught:
        forms_with(tmp_path, text, table)
    assert str(caught.value) == message


def test_a_form_that_cannot_be_placed_can_be_left_out(tmp_path):
    text = "case,session,date,q1,q2,q3\nB,1,2026-01-04,1,2,3\nB,2,2026-01-05,1,2,3\n"
    loaded = forms_with(tmp_path, text, on_error="drop")
    assert named(loaded.responses["demo"]) == [["B", 2]]
    assert loaded.rejected[["line", "case", "item", "value", "problem"]].to_numpy().tolist() == [
        [2, "B", "date", "2026-01-04", "before the treatment"]
    ]


def test_appointments_are_placed_in_the_same_way(tmp_path):
    path = write(
        tmp_path,
        "case,date,attendance\nA,2026-01-05,attended\nA,2026-05-04,no_show\nA,2026-05-11,attended\nB,2026-01-05,attended\n",
        name="dates.csv",
    )
    found = read_attendance(path, treatments=treated(tmp_path, TWO))
    assert found[["case", "attendance"]].to_numpy().tolist() == [
        ["A/1", "attended"], ["A/2", "no_show"], ["A/2", "attended"], ["B", "attended"],
    ]  # fmt: skip


def frame_of(*rows):
    frame = pd.DataFrame(rows, columns=["case", "episode", "session", "date"])
    frame.index = pd.Index(range(2, 2 + len(rows)), name="line")
    return frame.assign(date=pd.to_datetime(frame["date"]), session=frame["session"].astype("Int64"))


def test_frames_are_assigned_together(tmp_path):
    # The first session of the second treatment has an appointment and no form: both start from that one.
    known = treated(tmp_path, TWO)
    forms = frame_of(("A", "", 1, "2026-01-05"), ("A", "", 4, "2026-05-11"), ("B", "", 1, "2026-01-05"))
    book = frame_of(("A", "1", 1, None), ("A", "2", 3, None), ("A", "2", 4, None), ("A", "2", None, None))
    found = assign_episodes([forms, book], known)
    assert named(found[0]) == [["A/1", 1], ["A/2", 2], ["B", 1]]
    assert found[1]["case"].tolist() == ["A/1", "A/2", "A/2", "A/2"]
    assert found[1]["session"].tolist()[:3] == [1, 1, 2]
    assert pd.isna(found[1]["session"].iloc[3])
    assert "episode" not in found[0]
    assert found[0].index.tolist() == [2, 3, 4]
    assert named(forms) == [["A", 1], ["A", 4], ["B", 1]]


def test_frames_that_are_named_already_stay(tmp_path):
    forms = frame_of(("A/2", "", 1, "2026-05-11"), ("A/1", "", 1, "2026-01-05"))
    assert named(assign_episodes([forms], treated(tmp_path, TWO))[0]) == [["A/2", 1], ["A/1", 1]]


def test_rows_of_frames_that_cannot_be_placed_are_refused_with_their_label(tmp_path):
    forms = frame_of(("A", "", 1, None), ("A", "9", 1, None), ("A/2", "", 1, "2026-05-03"))
    with pytest.raises(DataError) as caught:
        assign_episodes([forms], treated(tmp_path, TWO))
    assert str(caught.value) == (
        "error: 1 row of a client with several treatments says neither which one nor when\n"
        "  line 2: case A, session 1\n"
        "hint: add a column episode, or the date\n"
        "error: 1 row names an episode that is not among the treatments of its client\n"
        "  line 3: case A, session 1, episode = 9\n"
        "hint: correct the episode, or add the treatment to the episodes file\n"
        "error: 1 row is dated before the treatment starts\n"
        "  line 4: case A/2, session 1, date = 2026-05-03\n"
        "hint: correct the date, or start_date: the day of the first appointment of the treatment"
    )


def test_numbers_are_in_the_order_of_the_starts_where_these_are_known():
    # The later treatment has the lower numbers, so nothing runs on.
    frame = frame_of(("A/1", "", 4, None), ("A/1", "", 5, None), ("A/2", "", 1, None))
    behind = pd.DataFrame(
        {"case": ["A/1", "A/2"], "client": "A", "start_date": pd.to_datetime(["2026-01-05", "2026-05-04"])}
    )
    assert named(number_from_one([frame], behind)[0]) == [["A/1", 4], ["A/1", 5], ["A/2", 1]]
    undated = number_from_one([frame], behind.drop(columns="start_date"))[0]
    assert named(undated) == [["A/1", 1], ["A/1", 2], ["A/2", 1]]


def test_a_form_before_the_first_attended_session_is_found():
    forms = frame_of(("A", "", 1, "2026-01-04"), ("A", "", 2, "2026-01-05"), ("B", "", 1, "2020-01-01"))
    book = pd.DataFrame(
        {
            "case": ["A", "A", "B", "B"],
            "session": pd.array([None] * 4, dtype="Int64"),
            "date": pd.to_datetime(["2026-01-01", "2026-01-05", "2026-01-01", None]),
            "attendance": ["no_show", "attended", "attended", "attended"],
        }
    )
    # B: one attended session has no date, so nobody knows which was the first.
    assert dated_before_first(forms, book).tolist() == [True, False, False]


def test_work_does_not_grow_with_the_number_of_cases():
    def calls(n):
        case = [f"C{client}/{number}" for client in range(n) for number in (1, 2)]
        behind = pd.DataFrame({"case": case, "client": [each.split("/")[0] for each in case]})
        forms = pd.DataFrame({"case": case, "session": pd.array([1, 2] * n, dtype="Int64")})
        dated = forms.assign(date=pd.Timestamp("2026-01-05"), attendance="attended")
        return (
            calls_of(lambda: number_from_one([forms], behind)),
            calls_of(lambda: dated_before_first(dated, dated)),
        )

    few, many = calls(400), calls(2000)
    assert many[0] < few[0] + 200
    assert many[1] < few[1] + 200


def test_several_attendance_files_are_one_in_the_order_of_their_dates(tmp_path):
    first = write(
        tmp_path, "case,date,attendance\nA,2026-01-05,attended\nA,2026-01-19,no_show\n", name="a.csv"
    )
    second = write(
        tmp_path, "case,date,attendance\nB,2026-01-05,attended\nA,2026-01-12,attended\n", name="b.csv"
    )
    found = read_attendance([first, second])
    assert found[["case", "attendance"]].to_numpy().tolist() == [
        ["A", "attended"], ["A", "attended"], ["A", "no_show"], ["B", "attended"],
    ]  # fmt: skip


def test_an_appointment_in_two_files_is_refused_with_both(tmp_path):
    first = write(tmp_path, "case,date,attendance\nA,2026-01-05,attended\n", name="a.csv")
    second = write(
        tmp_path, "case,date,attendance\nB,2026-01-05,attended\nA,2026-01-05,no_show\n", name="b.csv"
    )
    with pytest.raises(DataError) as caught:
        read_attendance([first, second])
    assert str(caught.value) == (
        "error: appointments are there in more than one file\n"
        "  a.csv, line 2: case A\n"
        "  b.csv, line 3: case A\n"
        "hint: leave out one of the files, or the rows they share"
    )


def test_all_attendance_files_are_read_before_anything_is_refused(tmp_path):
    first = write(tmp_path, "case,date,attendance\nA,2026-01-05,perhaps\n", name="a.csv")
    second = write(tmp_path, "case,date\nB,2026-01-05\n", name="b.csv")
    with pytest.raises(DataError) as caught:
        read_attendance([first, second])
    assert str(caught.value) == (
        "error: 1 attendance is no known word\n"
        "  a.csv, line 2: case A, attendance = perhaps\n"
        "hint: use attended, no_show, cancel_client_late, cancel_client, cancel_clinic or scheduled\n"
        f"error: '{second}' has no column attendance or attended\n"
        "  b.csv\n"
        "hint: add one, with attended, no_show, cancel_client_late, cancel_client, cancel_clinic, scheduled"
    )


def test_a_plain_file_of_scores_keeps_two_treatments_apart_too(tmp_path):
    path = write(tmp_path, "case,episode,session,total\nA,1,1,30\nA,2,1,20\nB,1,1,25\n")
    found = read_series(path, ["total"])
    assert found.frame[["case", "session", "total"]].to_numpy().tolist() == [
        ["A/1", 1, 30], ["A/2", 1, 20], ["B", 1, 25],
    ]  # fmt: skip
    assert found.notes == ("1 client has more than one episode, each a case of its own, such as A/1",)


def test_a_column_of_episodes_that_is_asked_for_is_a_score(tmp_path):
    path = write(tmp_path, "case,episode,session\nA,1,1\nA,2,2\n")
    assert read_series(path, ["episode"]).frame["case"].tolist() == ["A", "A"]
