"""A list as of a day, and a model in use: what the future may not tell, and when a model steps back."""

import io
import json
import re

import numpy as np
import pandas as pd
import pytest

from alliance.cli.modelling import RiskSet, _by_policy
from alliance.dropout import local_norms, risk
from alliance.dropout.ends.fates import known_on
from alliance.dropout.model.bundle import bundle_of, changed, to_bytes
from alliance.dropout.model.hazard import FitSettings, fit
from alliance.dropout.model.listing import firing
from alliance.dropout.model.rows import rows_of
from alliance.dropout.visits import Appointments, Ratings, visits_of
from alliance.frames import ATTENDANCE, TREATMENTS
from alliance.scale import load_scale

SRS = load_scale("srs")
DAY = np.datetime64("2026-03-02", "D")
ATTENDED, NO_SHOW, SCHEDULED = (ATTENDANCE.index(name) for name in ("attended", "no_show", "scheduled"))


def forms(*, days, totals, case="C1"):
    keys = {"therapist": "T1", "rater": "client", "n_missing": 0, "note": ""}
    numbers = range(1, len(days) + 1)
    frame = pd.DataFrame({"case": case, "session": list(numbers), "date": pd.to_datetime(days), **keys})
    parts = dict.fromkeys(SRS.subscales, frame["session"] * np.nan)
    return frame.assign(total=[float(total) for total in totals], **parts)


def test_a_list_as_of_a_day_is_that_of_the_data_of_that_day():
    days = ["2026-02-02", "2026-02-09", "2026-02-16", "2026-03-02", "2026-03-09"]
    whole = forms(days=days, totals=[38, 38, 38, 37.5, 20])
    cut = whole[whole["date"] <= "2026-03-02"]
    as_of = risk(whole, SRS, sem=1.2, today=pd.Timestamp("2026-03-02").date())
    then = risk(cut, SRS, sem=1.2, today=pd.Timestamp("2026-03-02").date())
    pd.testing.assert_frame_equal(as_of, then)
    assert as_of.loc[0, "level"] == "NO_FLAG"
    assert risk(whole, SRS, sem=1.2).loc[0, "level"] == "REVIEW"


def test_norms_as_of_a_day_hold_no_later_rating():
    early = pd.concat([forms(days=["2026-02-02"], totals=[30 + n % 5], case=f"C{n}") for n in range(50)])
    late = pd.concat([forms(days=["2026-04-02"], totals=[10], case=f"D{n}") for n in range(50)])
    both = pd.concat([early, late], ignore_index=True)
    until = pd.Timestamp("2026-03-02").date()
    assert local_norms(both, SRS, until=until).p16 == local_norms(early, SRS).p16
    assert local_norms(both, SRS).p16 != local_norms(early, SRS).p16


def test_later_appointments_are_booked_and_undated_ones_stay():
    day = np.array(["2026-02-23", "2026-03-02", "2026-03-03", "NaT"], dtype="datetime64[D]")
    given = Appointments(
        case=np.zeros(4, dtype=int),
        session=np.full(4, np.nan),
        date=day,
        status=np.array([ATTENDED, NO_SHOW, ATTENDED, ATTENDED]),
    )
    none = Ratings(case=np.zeros(0, int), session=np.zeros(0, int), rating=np.zeros(0))
    known = visits_of(none, given, n_cases=1, until=DAY.item())
    assert known.status.tolist() == [ATTENDED, NO_SHOW, ATTENDED]
    assert known.next_booked.tolist() == [(DAY + 1).astype(int)]
    assert visits_of(none, given, n_cases=1).status.tolist() == [ATTENDED, NO_SHOW, ATTENDED, ATTENDED]


def test_a_form_of_the_day_itself_is_known():
    ratings = Ratings(
        case=np.zeros(2, dtype=int),
        session=np.array([1, 2]),
        rating=np.array([38.0, 30.0]),
        date=np.array([DAY, DAY + 1]),
        side=np.zeros(2, dtype=int),
        not_on_track=np.array([0.0, 1.0]),
        parts={"bond": np.array([1.0, 2.0])},
    )
    known = visits_of(ratings, n_cases=1, until=DAY.item())
    assert known.rating.tolist() == [38.0]
    assert known.not_on_track.tolist() == [0.0]
    assert known.parts["bond"].tolist() == [1.0]


def treatment(case, *, status="ended", reason="client_unilateral", until="2026-12-31"):
    source = "therapist" if reason else ""
    return dict(
        zip(
            TREATMENTS,
            [case, case, "", "T1", pd.NaT, status, reason, source, 8.0, pd.NaT, pd.Timestamp(until)],
            strict=True,
        )
    )


def test_what_was_known_on_a_day():
    scores = pd.concat(
        [
            forms(days=["2026-02-23", "2026-03-02"], totals=[38, 38], case="seen that day"),
            forms(days=["2026-02-23", "2026-03-03"], totals=[38, 38], case="form the day after"),
            forms(days=["2026-02-23"], totals=[38], case="appointment the day after"),
            forms(days=[None], totals=[38], case="without a date"),
        ],
        ignore_index=True,
    )
    names = list(dict.fromkeys(scores["case"]))
    treatments = pd.DataFrame([treatment(name) for name in names])
    treatments.loc[0, "observed_until"] = pd.Timestamp("2026-02-28")
    appointments = pd.DataFrame(
        {
            "case": ["seen that day", "appointment the day after"],
            "session": pd.array([2, 2], dtype="Int64"),
            "date": pd.to_datetime(["2026-03-02", "2026-03-03"]),
            "attendance": ["attended", "attended"],
        }
    )
    known, table, booked = known_on(DAY.item(), scores, treatments, appointments)
    assert known["case"].value_counts().to_dict() == {
        "seen that day": 2,
        "form the day after": 1,
        "appointment the day after": 1,
        "without a date": 1,
    }
    assert table["status"].tolist() == ["ended", "ongoing", "ongoing", "ended"]
    assert table["end_reason"].tolist() == ["client_unilateral", "", "", "client_unilateral"]
    assert table["end_reason_source"].tolist() == ["therapist", "", "", "therapist"]
    assert table["observed_until"].dt.strftime("%m-%d").tolist() == ["02-28", "03-02", "03-02", "03-02"]
    assert booked["attendance"].tolist() == ["attended", "scheduled"]
    assert known_on(DAY.item(), scores, None, None)[1:] == (None, None)


@pytest.mark.parametrize("with_model", [False, True], ids=["rules", "model"])
def test_analyze_and_risk_agree_on_a_list_as_of_a_day(command, study, model, tmp_path, with_model):
    more = ("--today", "2026-03-20", "--sem", "1.2", *(("--risk-model", model) if with_model else ()))
    listed = command("risk", *study, *more, "--format", "csv")
    folder = tmp_path / "out"
    done = command("analyze", *study, *more, "-o", folder, "--limit", "0")
    told = " ".join(done.out.split())
    assert "Note: the risk list is as of 2026-03-20: forms dated later are not in it" in told
    both = [
        pd.read_csv(source).set_index("case") for source in (io.StringIO(listed.out), folder / "risk.csv")
    ]
    columns = ["session", "level", "points", "reasons", "prompts", "n_ratings", *(["p_next"] * with_model)]
    pd.testing.assert_frame_equal(both[0][columns], both[1].loc[both[0].index, columns])
    assert both[0]["session"].max() == 6
    assert both[0]["session"].min() == 2


def test_analyze_says_nothing_of_a_day_after_all_forms(command, study, tmp_path):
    done = command("analyze", *study, "--today", "2027-03-20", "-o", tmp_path / "out", "--limit", "0")
    assert "the risk list is as of" not in " ".join(done.out.split())


def test_only_a_model_that_may_order_fires():
    columns = {
        "reasons": np.array(["LOW_LEVEL: low (34)", "", ""], dtype=object),
        "level": np.array(["REVIEW", "REVIEW", "WATCH"], dtype=object),
        "model": np.array(["exploratory", "validated", "validated"], dtype=object),
    }
    assert firing(columns) == [("LOW_LEVEL",), ("MODEL",), ()]


@pytest.fixture
def rows_like():
    """Make a risk set of so many rows, none of them a dropout."""
    from service_helpers import service_rows

    whole = service_rows(20, 1)
    calm = whole.take(whole.y == 0)
    return lambda n: calm.take(np.arange(n))


ENDED = "ended,client_unilateral,therapist,12,2026-12-31"
DONE = "ended,mutual_planned,therapist,6,2026-12-31"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """Write a service whose later dropouts had the better ratings: 60 of them, all after 1 March 2026."""
    folder = tmp_path_factory.mktemp("service")
    rng = np.random.default_rng(11)
    forms, visits, episodes = (
        [],
        [],
        [
            "client_id,therapist_id,start_date,status,end_reason,end_reason_source,"
            "planned_sessions,observed_until"
        ],
    )
    for n in range(240):
        start = np.datetime64("2025-01-06" if n < 120 else "2026-03-02")
        leaves = n % 2 == 0
        low = leaves if n < 120 else not leaves
        last = 3 if leaves else 6
        level = (30 if low else 37) + rng.normal(0, 1.5)
        for session in range(1, last + 1):
            day = start + 7 * session
            total = float(np.clip(level + rng.normal(0, 1), 4, 40))
            item = round(total / 4, 1)
            forms.append(f"C{n:03d},{session},{day},T{n % 12:02d},client,{item},{item},{item},{item}")
            visits.append(f"C{n:03d},{session},{day},attended")
        episodes.append(f"C{n:03d},T{n % 12:02d},{start + 7},{ENDED if leaves else DONE}")
    tables = {
        "ratings.csv": ["case,session,date,therapist,rater,q1,q2,q3,q4", *forms],
        "appointments.csv": ["case,session,date,attendance", *visits],
        "episodes.csv": episodes,
    }
    for name, lines in tables.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def study(service):
    beside = ("--episodes", service / "episodes.csv", "--attendance", service / "appointments.csv")
    return (service / "ratings.csv", "--scale", "srs", *beside)


@pytest.fixture(scope="module")
def model(service):
    """Write a model of the first half that claims to have passed all gates."""
    from alliance.cli.modelling import instrument_facts
    from alliance.cli.options import Source
    from alliance.cli.treatments import load_study
    from alliance.dropout.ends.build import cohort_of
    from alliance.readers import ReadOptions

    source = Source(form=SRS, scales=None, options=ReadOptions())
    beside = {"episodes": [service / "episodes.csv"], "attendance": [service / "appointments.csv"]}
    data = load_study([service / "ratings.csv"], source, **beside, quiet=True)
    cohort = cohort_of(data.scores, SRS, treatments=data.treatments, appointments=data.appointments)
    rows = rows_of(cohort)
    first = rows.take(rows.day < np.datetime64("2026-03-01").astype(int))
    fitted = fit(first, FitSettings())
    made = bundle_of(
        fitted, first, cohort, instrument=instrument_facts(SRS), created="2026-03-01", tool_version="0"
    )
    gates = [{"id": f"G{n}", "asks": "", "found": "", "passed": True} for n in range(1, 8)]
    limit = {"value": 0.2, "budget": 0.2, "net_benefit": 0.01}
    path = service / "model.json"
    path.write_bytes(to_bytes(changed(made, status="validated", gates=gates, threshold=limit)))
    return path


DRIFTED = "the model no longer ranks well enough, put it out of use"


def test_a_model_that_no_longer_ranks_orders_no_list(command, study, model):
    done = command("risk", *study, "--risk-model", model, "--format", "json")
    told = done.err.splitlines()
    assert any(line.startswith("note: drift: observed over expected") and DRIFTED in line for line in told)
    assert any("is exploratory and orders nothing" in line for line in told)
    records = json.loads(done.out)
    assert {record["model"]["status"] for record in records if record["model"]} <= {"exploratory"}
    plain = json.loads(command("risk", *study, "--format", "json").out)
    assert [(each["client"], each["level"]) for each in records] == [
        (each["client"], each["level"]) for each in plain
    ]


def test_analyze_says_the_same_of_that_model(command, study, model, tmp_path):
    done = command("analyze", *study, "--risk-model", model, "-o", tmp_path / "out", "--limit", "0")
    text = " ".join(done.out.split())
    assert "Note: drift: observed over expected" in text
    assert DRIFTED in text
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["risk"]["model"]["status"] == "exploratory"


def test_before_the_new_dropouts_the_model_orders_the_list(command, study, model):
    done = command("risk", *study, "--risk-model", model, "--today", "2026-03-10", "--format", "json")
    assert "note: drift: not enough data: 0 of 50 dropouts" in done.err.splitlines()
    assert any("ordered by the model of 2026-03-01" in line for line in done.err.splitlines())


def test_without_ends_drift_is_not_judged(command, study, model):
    done = command("risk", *study[:3], "--risk-model", model, "--format", "csv")
    assert "note: drift is not judged: nothing says how treatments ended" in done.err.splitlines()
    table = pd.read_csv(io.StringIO(done.out), dtype={"case": str})
    by_model = table[(table["level"] == "REVIEW") & (table["p_next"] >= 0.2)]
    assert len(by_model) > 10
    assert (by_model["rules_level"] != "REVIEW").any()


def test_what_only_the_model_reviews_can_be_acknowledged(command, study, model, tmp_path):
    log = tmp_path / "seen.jsonl"
    listed = command("risk", *study[:3], "--risk-model", model, "--format", "csv").out
    table = pd.read_csv(io.StringIO(listed), dtype={"case": str})
    alone = table[(table["level"] == "REVIEW") & (table["reasons"].isna())]["case"].iloc[0]
    words = ("acknowledge", study[0], alone, *study[1:3], "--log", log, "--reason", "spoke about goals")
    refused = command(*words)
    assert (refused.code, refused.out) == (2, "")
    done = command(*words, "--risk-model", model, "--today", "2027-01-04", "--quiet")
    words = rf"{alone}, session \d: MODEL: seen on 2027-01-04: spoke about goals\n"
    assert re.fullmatch(words, done.out)
    shown = command("risk", *study[:3], "--risk-model", model, "--seen", log, "--format", "csv").out
    seen = pd.read_csv(io.StringIO(shown), dtype={"case": str}).set_index("case")["seen"]
    assert seen[alone] == "seen on 2027-01-04: spoke about goals"
    assert seen.drop(alone).isna().all()
    folder = tmp_path / "out"
    command("analyze", *study[:3], "--risk-model", model, "--seen", log, "-o", folder)
    written = pd.read_csv(folder / "risk.csv", dtype={"case": str}).set_index("case")["seen"]
    assert written[alone] == "seen on 2027-01-04: spoke about goals"


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        pytest.param({"exclude": 4, "dropout": 6, "censor": 5}, True, id="presumed dropouts there"),
        pytest.param({"exclude": 4, "dropout": 4, "censor": 4}, False, id="none there"),
    ],
)
def test_presumed_dropouts_stand_side_by_side_where_there_are_any(rows_like, sizes, told):
    study = RiskSet(data=None, cohort=None, rows=None, presumed_as=lambda policy: rows_like(sizes[policy]))
    ways = _by_policy(study)
    assert (ways is not None) == told
    if told:
        assert {policy: len(rows) for policy, rows in ways.items()} == sizes
