"""`alliance check` with episodes and appointments: which definitions of dropout the data support."""

import json

import pytest
from test_cli import CLINIC, DATA, OK, USAGE, write

from alliance.cli.options import Source
from alliance.cli.treatments import load_study, outcome_of
from alliance.errors import DataError
from alliance.readers import ReadOptions
from alliance.scale import load_scale

EPISODES = (
    "client_id,episode_id,therapist_id,start_date,status,end_reason,end_reason_source,planned_sessions,"
    "observed_until,age",
    "A,1,T1,2026-01-05,ended,client_unilateral,therapist,8,2026-06-30,31",
    "A,2,T1,2026-04-06,ended,mutual_planned,therapist,2,2026-06-30,31",
    "B,1,T1,2026-01-05,ended,unknown,,8,2026-06-30,40",
    "C,1,T2,2026-01-05,ended,moved,record,8,2026-06-30,25",
    "D,1,T2,2026-01-05,ongoing,,,8,2026-06-30,52",
    "E,1,T2,2026-06-01,ongoing,,,8,2026-06-30,60",
)
BOOK = (
    "case,date,attendance",
    "A,2026-01-05,attended",
    "A,2026-01-12,no_show",
    "A,2026-04-06,attended",
    "A,2026-04-13,attended",
    "B,2026-01-05,attended",
    "B,2026-01-12,attended",
    "C,2026-01-05,attended",
    "D,2026-01-05,attended",
    "E,2026-06-22,attended",
    "E,2026-07-06,scheduled",
)
FORMS = (
    "case,session,date,q1,q2,q3,q4",
    "A,1,2026-01-05,9,9,9,9",
    "A,2,2026-04-06,9,9,9,8",
    "A,3,2026-04-13,9,9,9,9",
    "B,1,2026-01-05,9,9,9,9",
    "B,2,2026-01-12,8,9,9,9",
    "C,1,2026-01-05,9,9,9,9",
    "D,1,2026-01-05,9,9,9,9",
    "E,1,2026-06-22,9,9,9,9",
)


@pytest.fixture
def study(tmp_path):
    return (
        write(tmp_path / "ratings.csv", *FORMS),
        "--episodes",
        write(tmp_path / "episodes.csv", *EPISODES),
        "--attendance",
        write(tmp_path / "book.csv", *BOOK),
    )


def test_check_tells_which_definitions_the_data_support(command, study):
    done = command("check", *study, "--scale", "srs")
    assert done.code == OK
    assert done.out.split("\n\n", 1)[1] == (
        "6 treatments of 5 clients\n"
        "\n"
        "dropout by every definition, in treatments\n"
        "\n"
        "definition    dropout  planned  competing  ongoing  excluded  why\n"
        "unilateral          1        2          1        1         1  1 to be confirmed\n"
        "therapist           1        1          1        1         2  1 to be confirmed;\n"
        "                                                              1 why the\n"
        "                                                              treatment ended is\n"
        "                                                              not known\n"
        "missed_last         1        2          1        1         1  1 to be confirmed\n"
        "lt_k                3        0          1        1         1  1 to be confirmed\n"
        "incomplete          2        1          1        1         1  1 to be confirmed\n"
        "no_rci              -        -          -        -         -  not supported: no\n"
        "                                                              outcome measure\n"
        "                                                              with a\n"
        "                                                              reliable-change\n"
        "                                                              value\n"
        "median_split        1        2          1        1         1  1 to be confirmed\n"
        "\n"
        "1 ongoing treatment long not seen with nothing booked: confirm the status\n"
        "(--presumed exclude)\n"
        "\n"
        "life table by 'unilateral': ended by the client alone, as recorded; where the\n"
        "reason is unknown, by the last appointment\n"
        "\n"
        "session  at_risk  events  hazard  survival\n"
        "      1        4       1    0.25      0.75\n"
    )


def test_check_tells_the_same_as_json(command, study):
    done = command("check", *study, "--scale", "srs", "--format", "json", "--dropout-def", "incomplete")
    found = json.loads(done.out)
    assert list(found) == ["schema", "source", "lane", "problems", "dropout"]
    dropout = found["dropout"]
    by_id = {each["id"]: each for each in dropout["definitions"]}
    assert by_id["unilateral"]["counts"] == {
        "ongoing": 1, "dropout": 1, "planned": 2, "competing": 1, "excluded": 1,
    }  # fmt: skip
    assert by_id["no_rci"]["lacks"] == ["no outcome measure with a reliable-change value"]
    assert by_id["no_rci"]["supported"] is False
    assert (dropout["treatments"], dropout["clients"], dropout["presumed"]) == (6, 5, 1)
    assert dropout["synthetic"] is False
    assert dropout["definition"] == "incomplete"
    assert dropout["agreement"][0] == {"first": "unilateral", "second": "therapist", "n": 2, "kappa": 1.0}
    # At risk after session 1: A/1, A/2, B and C; after session 2: B.
    assert [[row["session"], row["at_risk"], row["events"]] for row in dropout["life_table"]] == [
        [1, 4, 1],
        [2, 1, 1],
    ]


@pytest.mark.parametrize(("policy", "at_risk", "events"), [("dropout", 5, 2), ("censor", 4, 1)])
def test_presumed_treatments_enter_the_life_table_as_asked(command, study, policy, at_risk, events):
    done = command("check", *study, "--scale", "srs", "--presumed", policy, "--format", "json")
    first = json.loads(done.out)["dropout"]["life_table"][0]
    assert (first["at_risk"], first["events"]) == (at_risk, events)


def test_check_says_why_there_is_no_life_table_and_warns(command, study):
    done = command("check", *study, "--scale", "srs", "--dropout-def", "no_rci")
    assert done.code == OK
    assert done.out.endswith(
        "\n\nno life table: the data cannot tell dropout by 'no_rci': no outcome measure with\n"
        "a reliable-change value\n"
    )
    done = command("check", *study, "--scale", "srs", "--dropout-def", "median_split")
    assert done.out.endswith(
        "\n\nwarning: median_split calls about half of any sample dropouts, however\n"
        "treatments ended; use it to replicate older studies only\n"
    )


def test_a_study_file_that_says_itself_how_treatments_ended_needs_no_other(command):
    done = command("check", CLINIC)
    assert done.code == OK
    assert (
        "12 treatments of 12 clients; where no row says otherwise, the data are taken to\nreach 2024-12-24"
        in done.out
    )
    assert "life table by 'unilateral'" in done.out


def test_without_any_word_on_ends_check_is_what_it_was(command, study):
    done = command("check", study[0], "--scale", "srs")
    assert "dropout" not in done.out
    done = command("check", study[0], "--scale", "srs", "--format", "json")
    assert json.loads(done.out) == {"schema": 1, "source": None, "lane": "fast", "problems": []}
    done = command("check", study[0], "--scale", "srs", *study[3:])
    assert done.err == "note: nothing says how treatments ended: --episodes FILE names a file that does\n"


def test_a_file_of_other_forms_is_not_asked_how_treatments_ended(command, tmp_path):
    items = ",".join(f"q{number}" for number in range(1, 10))
    file = write(
        tmp_path / "phq.csv", f"case,session,status,end_reason,{items}", "A,1,ended,mutual," + "1," * 8 + "1"
    )
    done = command("check", file, "--scale", "phq-9")
    assert done.code == OK
    assert "dropout" not in done.out


def test_cases_without_a_row_in_the_episodes_file_are_told(command, tmp_path, study):
    few = write(tmp_path / "few.csv", EPISODES[0], *EPISODES[1:4])
    done = command("check", study[0], "--scale", "srs", "--episodes", few)
    assert done.err == "note: 3 cases have no row in the episodes file: C, D, E\n"


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        pytest.param(
            ("--dropout-def", "quit"),
            USAGE,
            "error: unknown dropout definition 'quit'\n"
            "hint: known: incomplete, lt_k, median_split, missed_last, no_rci, therapist, unilateral\n",
            id="definition",
        ),
        pytest.param(
            ("--presumed", "maybe"),
            USAGE,
            "error: presumed is one of exclude, dropout, censor, got 'maybe'\n"
            "hint: exclude leaves them out until their status is confirmed\n",
            id="presumed",
        ),
    ],
)
def test_an_option_that_cannot_be_is_refused(command, study, given, code, message):
    done = command("check", *study, "--scale", "srs", *given)
    assert (done.code, done.err, done.out) == (code, message, "")


def test_standard_input_cannot_be_read_twice(command, study, monkeypatch):
    import io
    import sys

    class Piped:
        buffer = io.BytesIO(study[0].read_bytes())

    monkeypatch.setattr(sys, "stdin", Piped())
    done = command("check", "-", "--scale", "srs", *study[1:])
    assert done.code == USAGE
    assert done.err == (
        "error: check reads standard input once, and needs a file to look at treatments too\n"
        "hint: write the ratings to a file\n"
    )


def test_a_bad_episodes_file_ends_with_the_data_code(command, tmp_path, study):
    bad = write(tmp_path / "bad.csv", "case,status", "A,perhaps")
    done = command("check", study[0], "--scale", "srs", "--episodes", bad)
    assert done.code == DATA
    assert done.err == (
        "error: 1 status is no known word\n"
        "  bad.csv, line 2: case A, status = perhaps\n"
        "hint: use ongoing or ended\n"
    )


SRS = Source(form=load_scale("srs"), scales=None, options=ReadOptions())


def study_of(study, files=None, source=SRS, **more):
    return load_study(files or [study[0]], source, episodes=[study[2]], attendance=[study[4]], **more)


def test_a_study_is_put_together_by_treatment(study):
    data = study_of(study)
    assert data.form.id == "srs"
    assert data.files == (study[0], study[2], study[4])
    assert data.scores[["case", "session", "total"]].to_numpy().tolist() == [
        ["A/1", 1, 36], ["A/2", 1, 35], ["A/2", 2, 36], ["B", 1, 36], ["B", 2, 35],
        ["C", 1, 36], ["D", 1, 36], ["E", 1, 36],
    ]  # fmt: skip
    assert data.appointments["case"].tolist()[:4] == ["A/1", "A/1", "A/2", "A/2"]
    assert data.treatments["age"].tolist() == ["31", "31", "40", "25", "52", "60"]
    assert data.others == {}
    assert data.synthetic is False
    assert outcome_of(data) is None


def test_forms_and_appointments_are_numbered_from_the_same_session(study, tmp_path):
    # The first session of the second treatment, number 2, has no form.
    book = write(
        tmp_path / "numbered.csv",
        "case,session,date,attendance",
        "A,1,2026-01-05,attended",
        "A,2,2026-04-06,attended",
        "A,3,2026-04-13,attended",
    )
    forms = write(tmp_path / "few.csv", FORMS[0], FORMS[1], FORMS[3])
    data = load_study([forms], SRS, episodes=[study[2]], attendance=[book], quiet=True)
    assert data.scores[["case", "session"]].to_numpy().tolist() == [["A/1", 1], ["A/2", 2]]
    assert data.appointments[["case", "session"]].to_numpy().tolist() == [["A/1", 1], ["A/2", 1], ["A/2", 2]]


def test_several_rating_files_are_put_together(study, tmp_path):
    first = write(tmp_path / "one.csv", FORMS[0], *FORMS[1:5])
    second = write(tmp_path / "two.csv", FORMS[0] + ",synthetic", *(f"{line},true" for line in FORMS[5:]))
    data = study_of(study, [second, first], quiet=True)
    assert data.scores["case"].tolist() == ["B", "B", "C", "D", "E", "A/1", "A/2", "A/2"]
    assert data.scores["session"].tolist() == [1, 2, 1, 1, 1, 1, 1, 2]
    assert data.synthetic is True


def test_a_form_in_two_rating_files_is_refused_with_both(study, tmp_path):
    first = write(tmp_path / "one.csv", FORMS[0], *FORMS[1:6])
    second = write(tmp_path / "two.csv", FORMS[0], *FORMS[5:])
    with pytest.raises(DataError) as caught:
        study_of(study, [first, second], quiet=True)
    assert str(caught.value) == (
        "error: forms are there in more than one file\n"
        "  one.csv, line 6: case B, session 2\n"
        "  two.csv, line 2: case B, session 2\n"
        "hint: leave out one of the files, or number the sessions on through all of them"
    )


def test_everything_wrong_with_all_rating_files_is_said_at_once(study, tmp_path):
    first = write(tmp_path / "one.csv", FORMS[0], "B,1,2026-01-05,99,9,9,9")
    second = write(tmp_path / "two.csv", FORMS[0], "B,x,2026-01-05,9,9,9,9")
    with pytest.raises(DataError) as caught:
        study_of(study, [first, second], quiet=True)
    assert str(caught.value) == (
        "error: 1 answer outside 0 to 10, the range of 'srs'\n"
        "  one.csv, line 2: case B, session 1, q1 = 99\n"
        "hint: leave an unanswered item empty, or declare its code with --missing, such as --missing 99\n"
        "error: 1 session is no whole number\n"
        "  two.csv, line 2: case B, session = x\n"
        "hint: number the sessions 1, 2, 3, or leave the column out of a mapping to number them by date"
    )


def test_forms_before_the_first_attended_session_are_refused_or_left_out(study, tmp_path, capsys):
    early = write(tmp_path / "early.csv", FORMS[0], "E,1,2026-06-15,9,9,9,9", "E,2,2026-06-22,9,9,9,9")
    with pytest.raises(DataError) as caught:
        study_of(study, [early], quiet=True)
    assert str(caught.value) == (
        "error: 1 form is dated before the first attended session\n"
        "  early.csv, line 2: case E, session 1, date = 2026-06-15\n"
        "hint: correct the date of the form, or that of the appointment"
    )
    dropping = Source(form=SRS.form, scales=None, options=ReadOptions(on_error="drop"))
    data = study_of(study, [early], dropping)
    assert data.scores["session"].tolist() == [2]
    assert (
        "note: left out, early.csv, line 2: case E, session 1, date = 2026-06-15: before the treatment\n"
        in capsys.readouterr().err
    )


def test_treatments_and_appointments_come_from_the_rating_files_where_no_other_is_named():
    data = load_study([CLINIC], Source(form=None, scales=None, options=ReadOptions()), quiet=True)
    assert data.form.id == "srs"
    assert list(data.others) == ["ors"]
    assert len(data.treatments) == 12
    assert set(data.appointments["attendance"]) >= {"attended", "no_show"}
    assert data.synthetic is True
    assert outcome_of(data).scale.id == "ors"


def test_rating_files_that_disagree_about_an_end_are_refused(tmp_path):
    header = "case,session,status,end_reason,q1,q2,q3,q4"
    first = write(tmp_path / "one.csv", header, "A,1,ended,mutual,9,9,9,9")
    second = write(tmp_path / "two.csv", header, "A,2,ongoing,,9,9,9,9")
    with pytest.raises(DataError) as caught:
        load_study([first, second], SRS, quiet=True)
    assert str(caught.value) == (
        "error: files say different things of how a treatment went\n"
        "  case A\n"
        "hint: correct the files, or name one that holds with --episodes"
    )


def test_appointments_of_several_rating_files_are_counted_once(tmp_path):
    header = "case,session,date,attendance,q1,q2,q3,q4"
    first = write(
        tmp_path / "one.csv", header, "A,1,2026-01-05,attended,9,9,9,9", "A,,2026-01-12,no_show,,,,"
    )
    second = write(
        tmp_path / "two.csv", header, "A,2,2026-01-19,attended,9,9,9,9", "A,,2026-01-12,no_show,,,,"
    )
    data = load_study([first, second], SRS, quiet=True)
    assert data.appointments["attendance"].tolist() == ["attended", "no_show", "attended"]
    assert data.treatments is None


def test_agreement_is_printed_from_ten_treatments_on(command, tmp_path):
    lines = ["case,status,end_reason,end_reason_source"]
    lines += [
        f"C{n:02d},ended,{'client_unilateral' if n < 4 else 'mutual_planned'},therapist" for n in range(10)
    ]
    episodes = tmp_path / "episodes.csv"
    episodes.write_text("\n".join(lines) + "\n", encoding="utf-8")
    forms = [f"C{n:02d},{session},9,9,9,9" for n in range(10) for session in range(1, 3 + n % 2)]
    ratings = tmp_path / "ratings.csv"
    ratings.write_text("\n".join(["case,session,q1,q2,q3,q4", *forms]) + "\n", encoding="utf-8")
    done = command("check", ratings, "--scale", "srs", "--episodes", episodes)
    told = [part for part in done.out.split("\n\n") if part.startswith("agreement of definitions")]
    assert [part.splitlines()[:2] for part in told] == [
        [
            "agreement of definitions (Cohen's kappa, dropout against planned end), from 10 treatments on:",
            "  unilateral, therapist: 1.00 (10 treatments)",
        ]
    ]
