"""The synthetic service: its distributions by their definition, its files, and the command that writes it."""

import stat

import numpy as np
import pandas as pd
import pytest
from service_helpers import cohort_of_drawn, rows_of_drawn, service_rows

from alliance.cli.options import Source
from alliance.cli.treatments import load_study
from alliance.dropout.ends.build import cohort_of
from alliance.dropout.model.rows import rows_of
from alliance.frames import check_appointments, check_treatments
from alliance.readers import ReadOptions
from alliance.scale import load_scale
from alliance.simulate.service import (
    DATA_CUT,
    REASONS,
    service,
    service_frames,
    service_truth,
    session_dates,
)

N = 40_000
DRAWN = service(N, 20)
T = np.arange(1, 21)
CLIENT = np.arange(N)


def expit(logit):
    return 1 / (1 + np.exp(-logit))


def near(found, expected, sd, n, *, errors=4.0):
    """Whether a mean of n draws lies within `errors` standard errors of what it should be."""
    return abs(np.mean(found) - expected) < errors * sd / np.sqrt(n)


def test_levels_hold_a_therapist_and_a_client_part():
    first = DRAWN.therapist_effect[::8]
    assert near(first, 0, 0.35, N / 8)
    assert first.std() == pytest.approx(0.35, rel=4 / np.sqrt(2 * N / 8))
    own = DRAWN.level - DRAWN.therapist_effect
    assert near(own, 0, 0.9, N)
    assert own.std() == pytest.approx(0.9, rel=4 / np.sqrt(2 * N))
    assert abs(np.corrcoef(own, DRAWN.therapist_effect)[0, 1]) < 4 / np.sqrt(N)


def test_slopes_are_normal():
    assert near(DRAWN.slope, 0.04, 0.10, N)
    assert DRAWN.slope.std() == pytest.approx(0.10, rel=4 / np.sqrt(2 * N))


def test_noise_is_stationary_from_the_first_session_on():
    spread = DRAWN.deviation.std(axis=0)
    np.testing.assert_allclose(spread, 0.6 / np.sqrt(1 - 0.09), rtol=4 / np.sqrt(2 * N))
    fresh = DRAWN.deviation[:, 1:] - 0.3 * DRAWN.deviation[:, :-1]
    assert fresh.std() == pytest.approx(0.6, rel=0.003)
    lagged = np.corrcoef(DRAWN.deviation[:, 4], DRAWN.deviation[:, 5])[0, 1]
    assert lagged == pytest.approx(0.3, abs=4 / np.sqrt(N))


def test_the_alliance_is_level_slope_and_noise_and_a_rating_its_clipped_share():
    expected = DRAWN.level[:, None] + DRAWN.slope[:, None] * (T - 1) + DRAWN.deviation
    np.testing.assert_allclose(DRAWN.alliance, expected)
    points = 36 + 2.6 * expected
    assert DRAWN.total.max() == 40
    assert DRAWN.total.min() >= 0
    np.testing.assert_allclose(DRAWN.total, np.minimum(points, 40), atol=0.0500001)
    np.testing.assert_allclose(DRAWN.total * 10, np.rint(DRAWN.total * 10), atol=1e-9)


def test_eight_clients_share_a_therapist_and_a_frailty():
    assert np.bincount(DRAWN.therapist).tolist() == [8] * (N // 8)
    grouped = DRAWN.frailty.reshape(-1, 8)
    assert (grouped == grouped[:, :1]).all()
    assert grouped[:, 0].std() == pytest.approx(0.45, rel=4 / np.sqrt(2 * N / 8))


def test_frailty_can_be_the_clients_own_or_nobodys():
    own = service(400, 3, frailty_of="client").frailty
    assert len(set(own)) == 400
    assert (service(400, 3, frailty_sd=0.0).frailty == 0).all()


def test_no_shows_follow_their_logit_and_never_come_before_the_first_session():
    assert not DRAWN.no_show[:, 0].any()
    chance = expit(-2.4 - 0.35 * DRAWN.alliance[:, 1:])
    assert near(DRAWN.no_show[:, 1:] - chance, 0, np.sqrt(chance.mean()), chance.size)
    weak = DRAWN.alliance[:, 1:] < -1
    assert near((DRAWN.no_show[:, 1:] - chance)[weak], 0, np.sqrt(chance[weak].mean()), weak.sum())


def test_blank_ratings_follow_their_logit():
    chance = expit(-2.6 - 0.5 * DRAWN.deviation + 0.6 * DRAWN.no_show)
    for where in (DRAWN.deviation < -0.5, DRAWN.deviation > 0.5, DRAWN.no_show):
        assert near((DRAWN.blank - chance)[where], 0, np.sqrt(chance[where].mean()), where.sum())


def test_the_hazard_has_the_stated_slopes():
    logit = (
        -2.9
        - 0.55 * np.log(T)
        - 0.45 * DRAWN.level[:, None]
        - 0.60 * (DRAWN.alliance - DRAWN.level[:, None])
        + 0.80 * DRAWN.no_show
        + DRAWN.frailty[:, None]
    )
    np.testing.assert_allclose(DRAWN.hazard, expit(logit))


def test_who_is_at_risk_drops_out_as_often_as_the_hazard_says():
    final = DRAWN.last[:, None] == T
    at_risk = DRAWN.attended & (DRAWN.planned[:, None] > T) & ~(final & DRAWN.ongoing[:, None])
    event = final & DRAWN.dropout[:, None]
    assert not (event & ~at_risk).any()
    for where in (T == 1, T == 5, DRAWN.no_show, DRAWN.alliance < -1):
        rows = at_risk & where
        chance = DRAWN.hazard[rows]
        assert near(event[rows] - chance, 0, np.sqrt(np.mean(chance)), rows.sum())


def test_planned_sessions_are_uniform_from_8_to_20():
    share = np.bincount(DRAWN.planned)[8:] / N
    assert len(share) == 13
    np.testing.assert_allclose(share, 1 / 13, atol=4 * np.sqrt(1 / 13 / N))


def test_a_tenth_is_censored():
    first = DRAWN.ongoing & (DRAWN.last == 1)
    chance = 0.1 / (DRAWN.planned - 1)
    assert near(first - chance, 0, np.sqrt(chance.mean()), N)


def test_censoring_comes_anywhere_before_the_last_planned_session_and_hides_what_came_next():
    drawn = service(N, 4, censored=1.0)
    assert not (drawn.end == REASONS.index("mutual_planned")).any()
    assert (drawn.last < drawn.planned).all()
    chance = 1 / (drawn.planned - 1)
    assert near((drawn.ongoing & (drawn.last == 1)) - chance, 0, np.sqrt(chance.mean()), N)
    rows = rows_of_drawn(drawn)
    hazard = drawn.hazard[rows.case, rows.session - 1]
    for where in (rows.session == 1, rows.session > 4):
        assert near((rows.y - hazard)[where], 0, np.sqrt(hazard[where].mean()), where.sum())


def test_an_end_is_planned_exactly_when_all_planned_sessions_were_attended():
    np.testing.assert_array_equal(DRAWN.last == DRAWN.planned, REASONS.index("mutual_planned") == DRAWN.end)
    assert set(DRAWN.end) == {0, 1, 2}


def test_half_of_the_dropouts_missed_one_more_appointment_and_nobody_else():
    assert not (DRAWN.last_missed & ~DRAWN.dropout).any()
    assert near(DRAWN.last_missed[DRAWN.dropout], 0.5, 0.5, DRAWN.dropout.sum())


def test_other_ends_come_as_often_as_asked_for():
    drawn = service(N, 5, competing=0.02, censored=0.0)
    other = drawn.end > REASONS.index("client_unilateral")
    first = (drawn.last == 1) & other
    # At session 1: a chance of .02 among those who do not drop out there.
    assert near(first, 0.02 * (1 - drawn.hazard[:, 0].mean()), np.sqrt(0.02), N)
    by_therapist = (drawn.end == REASONS.index("therapist_ended"))[other]
    assert near(by_therapist, 3 / 8, 0.5, other.sum())


def test_more_clients_change_none_of_the_earlier_ones():
    small, large = service(13, 6), service(50, 6)
    for name, values in vars(small).items():
        np.testing.assert_array_equal(values, getattr(large, name)[:13], err_msg=name)


def test_another_seed_gives_another_service():
    assert not np.array_equal(service(20, 1).total, service(20, 2).total)


def test_nobody_is_a_service_too():
    drawn = service(0, 1)
    assert drawn.total.shape == (0, 20)
    assert [len(frame) for frame in service_frames(drawn)] == [0, 0, 0]


def test_a_frailty_of_nobody_known_is_refused():
    with pytest.raises(ValueError, match=r"^frailty_of must be 'therapist' or 'client', got 'clinic'$"):
        service(5, 1, frailty_of="clinic")


def test_an_empty_caseload_is_refused():
    with pytest.raises(ValueError, match=r"^clients_per_therapist must be 1 or more, got 0$"):
        service(5, 1, clients_per_therapist=0)


# What the published run of this generator showed, within the chance of both runs


@pytest.mark.parametrize(
    ("what", "published", "tolerance"),
    [
        # 4,000 clients each; a tolerance is three standard errors of a run of 4,000, and the rounding
        pytest.param("dropouts of closed", 0.31, 0.027, id="dropouts of closed treatments"),
        pytest.param("rows", 39618 / 4000, 0.25, id="sessions a client with one planned after"),
        pytest.param("base", 0.071, 0.007, id="dropout within three sessions"),
        pytest.param("mean", 36.6, 0.15, id="mean rating"),
        pytest.param("sd", 2.9, 0.1, id="spread of ratings"),
        pytest.param("at 40", 0.19, 0.017, id="ratings at the maximum"),
        pytest.param("at most 36", 0.40, 0.03, id="ratings at or below 36"),
        pytest.param("sem", 1.20, 0.02, id="error of measurement from neighbours"),
    ],
)
def test_summary_figures_are_those_of_the_published_run(what, published, tolerance):
    rows = rows_of_drawn(DRAWN)
    rated = np.where(DRAWN.attended & ~DRAWN.blank, DRAWN.total, np.nan)
    seen = rated[np.isfinite(rated)]
    steps = np.diff(rated, axis=1)
    found = {
        "dropouts of closed": DRAWN.dropout.sum() / (~DRAWN.ongoing).sum(),
        "rows": len(rows) / N,
        "base": np.nanmean(rows.fate),
        "mean": seen.mean(),
        "sd": seen.std(),
        "at 40": (seen > 39.95).mean(),
        "at most 36": (seen < 36.05).mean(),
        "sem": np.sqrt(np.nanmean(steps**2) / 2),
    }
    assert found[what] == pytest.approx(published, abs=tolerance)


def area(score, event):
    """Share of pairs of an event and no event in which the event scores higher; ties count half."""
    rank = pd.Series(score).rank().to_numpy()
    n = event.sum()
    return (rank[event].sum() - n * (n + 1) / 2) / (n * (len(event) - n))


def test_the_true_hazard_and_the_latest_rating_order_clients_as_published():
    # Published: .754 and .686, one run of 4,000 clients, whose standard errors are .007 and .010.
    rows = rows_of_drawn(DRAWN)
    known = np.isfinite(rows.fate)
    hazard = DRAWN.hazard[rows.case, rows.session - 1]
    assert area(hazard[known], rows.fate[known] == 1) == pytest.approx(0.754, abs=0.021)
    rated = known & np.isfinite(rows.rating)
    assert area(-rows.rating[rated], rows.fate[rated] == 1) == pytest.approx(0.686, abs=0.03)


# The tables


@pytest.fixture(scope="module")
def small():
    return service(300, 7, competing=0.01)


@pytest.fixture(scope="module")
def frames(small):
    return service_frames(small, seed=7)


def test_treatments_hold_what_a_clinic_records(small, frames):
    treatments, _, _ = frames
    assert treatments.columns.tolist() == [
        *("client_id", "episode_id", "therapist_id", "start_date", "status", "end_reason"),
        *("end_reason_source", "planned_sessions", "observed_until", "synthetic"),
    ]
    assert treatments["client_id"].is_unique
    assert (treatments["status"] == "ongoing").tolist() == small.ongoing.tolist()
    reasons = np.array(["", "mutual_planned", "client_unilateral", "therapist_ended", "external"])
    assert treatments["end_reason"].tolist() == reasons[small.end].tolist()
    assert set(treatments["end_reason_source"][treatments["status"] == "ongoing"]) == {""}
    assert treatments["planned_sessions"].tolist() == small.planned.tolist()
    assert (treatments["synthetic"] == "true").all()
    named = {"client_id": "client", "episode_id": "episode", "therapist_id": "therapist"}
    whole = treatments.rename(columns=named).assign(case=treatments["client_id"], planned_end_date=pd.NaT)
    check_treatments(whole)


def test_every_attended_session_has_a_row_of_ratings(small, frames):
    _, _, ratings = frames
    assert len(ratings) == small.last.sum()
    assert (ratings.groupby("case", sort=False)["session"].max().to_numpy() == small.last).all()
    items = ratings[["q1", "q2", "q3", "q4"]].to_numpy()
    case, place = np.nonzero(small.attended)
    np.testing.assert_array_equal(np.isnan(items).all(axis=1), small.blank[case, place])
    np.testing.assert_array_equal(np.isnan(items).any(axis=1), small.blank[case, place])
    answered = ~np.isnan(items[:, 0])
    total = np.rint(items[answered] * 10).sum(axis=1)
    np.testing.assert_array_equal(total, np.rint(small.total[case, place][answered] * 10))


def test_answers_are_tenths_within_the_form_and_differ_within_it(frames):
    items = frames[2][["q1", "q2", "q3", "q4"]].dropna().to_numpy()
    assert items.min() >= 0
    assert items.max() == 10
    np.testing.assert_allclose(items * 10, np.rint(items * 10), atol=1e-9)
    assert (items.std(axis=1) > 0).mean() > 0.7
    spread = items[items.sum(axis=1) < 38].mean(axis=0)
    np.testing.assert_allclose(spread, spread.mean(), atol=0.1)


def test_appointments_are_weekly_and_a_missed_one_takes_a_week(small, frames):
    _, appointments, _ = frames
    check_appointments(appointments)
    first = appointments["case"] != appointments["case"].shift()
    weeks = appointments["date"].diff().dt.days
    assert (weeks[~first] == 7).all()
    missed = appointments["attendance"] == "no_show"
    assert appointments["session"].isna().tolist() == (appointments["attendance"] != "attended").tolist()
    before = (small.no_show & small.attended).sum(axis=1)
    count = missed.groupby(appointments["case"]).sum().to_numpy()
    np.testing.assert_array_equal(count, before + small.last_missed)
    final = appointments.groupby("case").last()["attendance"]
    assert (final == "no_show").tolist() == small.last_missed.tolist()
    assert (final == "scheduled").tolist() == small.ongoing.tolist()


def test_who_is_ongoing_came_in_the_last_week_and_all_others_ended_long_before(small):
    dates = session_dates(small, 7)
    final = dates[np.arange(300), small.last - 1]
    age = (DATA_CUT - final).astype(int)
    assert set(age[small.ongoing]) <= set(range(7))
    assert age[~small.ongoing].min() >= 35
    assert age[~small.ongoing].max() < 35 + 7 + 400


def test_truth_says_what_was_drawn(small):
    truth = service_truth(small)
    assert truth["dropout"].tolist() == small.dropout.tolist()
    assert truth["hazard_at_last"][4] == small.hazard[4, small.last[4] - 1]
    assert (truth["synthetic"] == "true").all()


# The rows and the cohort that tests use, held beside plain loops


def test_rows_are_those_of_a_plain_loop(small):
    rows = rows_of_drawn(small)
    place = 0
    for client in range(300):
        ratings = []
        for session in range(1, small.last[client] + 1):
            at = client, session - 1
            rating = None if small.blank[at] else small.total[at]
            earlier = [each for each in ratings if each is not None]
            ratings.append(rating)
            final = session == small.last[client]
            if session == small.planned[client] or (final and small.ongoing[client]):
                continue
            assert (rows.case[place], rows.session[place]) == (client, session)
            known = [each for each in ratings if each is not None]
            mean = sum(known) / len(known) if known else np.nan
            change = rating - sum(earlier) / len(earlier) if earlier and rating is not None else 0
            np.testing.assert_allclose(
                [rows.mean_rating[place], rows.change[place]], [mean, change], atol=1e-9
            )
            assert rows.missing[place] == (rating is None)
            assert rows.y[place] == (final and small.dropout[client])
            assert rows.other[place] == (final and small.end[client] > 2)
            window = min(3, small.planned[client] - session)
            assert rows.window[place] == window
            ends_inside = small.last[client] < session + window
            expected = float(ends_inside and small.dropout[client])
            unknown = ends_inside and small.ongoing[client]
            np.testing.assert_equal(rows.fate[place], np.nan if unknown else expected)
            place += 1
    assert place == len(rows)


def test_a_cohort_holds_the_same_sessions(small):
    rows, cohort = rows_of_drawn(small), cohort_of_drawn(small)
    visits = cohort.visits
    assert (visits.status[rows.visit] == 0).all()
    np.testing.assert_array_equal(visits.case[rows.visit], rows.case)
    np.testing.assert_array_equal(visits.session[rows.visit], rows.session)
    np.testing.assert_array_equal(visits.rating[rows.visit], rows.rating)
    np.testing.assert_array_equal(cohort.day[rows.visit], rows.day)
    missed = (visits.status[np.maximum(rows.visit - 1, 0)] == 1) & (rows.session > 1)
    np.testing.assert_array_equal(missed, rows.no_shows == 1)
    assert (visits.status == 1).sum() == (small.no_show & small.attended).sum() + small.last_missed.sum()


def test_rows_of_two_calls_are_equal():
    once, again = service_rows(30, 1), service_rows(30, 1)
    np.testing.assert_array_equal(once.rating, again.rating)
    assert len(once) > 200


# The command


def test_the_command_writes_owner_only_tables_and_says_they_are_synthetic(command, tmp_path):
    done = command("simulate", "--service", "--cases", 12, "--seed", 3, "-o", tmp_path / "service")
    assert (done.code, done.out) == (0, "")
    assert done.err == "these data are synthetic: no client, no therapist and no session in them is real\n"
    files = sorted((tmp_path / "service").iterdir())
    assert [file.name for file in files] == ["appointments.csv", "episodes.csv", "ratings.csv"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    for file in files:
        assert (pd.read_csv(file, dtype=str)["synthetic"] == "true").all()
    episodes = pd.read_csv(tmp_path / "service" / "episodes.csv", dtype=str)
    assert len(episodes) == 12
    assert episodes["observed_until"].unique().tolist() == ["2026-06-30"]


def test_the_tables_read_back_are_the_cohort_that_was_drawn(command, tmp_path):
    command("simulate", "--service", "--cases", 80, "--seed", 3, "-o", tmp_path)
    source = Source(form=load_scale("srs"), scales=None, options=ReadOptions())
    data = load_study(
        [tmp_path / "ratings.csv"],
        source,
        episodes=[tmp_path / "episodes.csv"],
        attendance=[tmp_path / "appointments.csv"],
    )
    assert data.synthetic
    cohort = cohort_of(data.scores, data.form, treatments=data.treatments, appointments=data.appointments)
    drawn = service(80, 3)
    found, expected = rows_of(cohort), rows_of_drawn(drawn)
    assert cohort.cases.tolist() == [f"C{number:02d}" for number in range(1, 81)]
    for name in ("case", "session", "window", "y", "other", "fate", "no_shows", "missing"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    for name in ("rating", "mean_rating", "change"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-9, err_msg=name)
    np.testing.assert_array_equal(
        found.day, session_dates(drawn, 3)[found.case, found.session - 1].astype(int)
    )
    assert (found.therapist == expected.case // 8).all()


def test_equal_seeds_give_equal_bytes(command, tmp_path):
    for name in ("a", "b"):
        command("simulate", "--service", "--cases", 9, "--seed", 3, "--with-truth", "-o", tmp_path / name)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_truth_is_written_only_when_asked_for_and_an_old_one_goes(command, tmp_path):
    command("simulate", "--service", "--cases", 3, "--with-truth", "-o", tmp_path)
    assert (tmp_path / "truth.csv").exists()
    done = command("simulate", "--service", "--cases", 3, "--seed", 1, "-o", tmp_path, "--force")
    assert done.code == 0
    assert not (tmp_path / "truth.csv").exists()


def test_existing_tables_stay(command, tmp_path):
    (tmp_path / "ratings.csv").write_text("mine")
    done = command("simulate", "--service", "--cases", 3, "-o", tmp_path)
    assert done.code == 2
    assert done.err == (
        f"error: 1 of the files to write exist\n  {tmp_path / 'ratings.csv'}\nhint: --force overwrites them\n"
    )
    assert (tmp_path / "ratings.csv").read_text() == "mine"
    assert not (tmp_path / "episodes.csv").exists()


@pytest.mark.parametrize("output", [[], ["-o", "-"]], ids=["none", "standard output"])
def test_a_service_needs_a_folder(command, output):
    done = command("simulate", "--service", *output)
    assert done.code == 2
    assert done.err == (
        "error: --service writes several files and needs a folder for them\nhint: add -o FOLDER\n"
    )


@pytest.mark.parametrize("option", ["--scale", "--raters"])
def test_a_service_takes_no_forms_of_its_own(command, tmp_path, option):
    done = command("simulate", "--service", "-o", tmp_path / "new", option, "srs")
    assert done.code == 2
    assert done.err == (
        f"error: {option} does not go with --service\n"
        f"hint: leave {option} out: a service is simulated with the SRS of clients\n"
    )
    assert not (tmp_path / "new").exists()
