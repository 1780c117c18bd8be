"""How a model does in declared groups; what is too few to say; and never by therapist."""

import numpy as np
import pytest
from validation_helpers import rows_with

from alliance.dropout.validation.fairness import MEASURES, fairness
from alliance.dropout.validation.metrics import Predictions
from alliance.dropout.validation.resampling import draws, groups_of
from alliance.errors import UsageError

NA = np.nan


def judged(y, p, groups, *, therapist=None, threshold=0.3, n_boot=20, case=None):
    n = len(y)
    rows = rows_with(y, np.arange(n), therapist=therapist, case=case)
    found = Predictions(y=rows.y, p=np.asarray(p, dtype=float), session=rows.session)
    units = groups_of(rows, least=10**6)
    return fairness(found, rows, groups, threshold=threshold, units=units, n_boot=n_boot)


def two_groups(events_a=40, others_a=60):
    y = np.concatenate([np.ones(events_a), np.zeros(others_a), np.ones(30), np.zeros(30)])
    half = events_a // 2
    p = np.repeat([0.5, 0.2, 0.2, 0.5, 0.4, 0.1], [half, events_a - half, others_a, 30, 15, 15])
    sex = np.repeat(["a", "b"], [events_a + others_a, 60])
    return y, p, sex


def test_every_group_is_worked_by_hand():
    y, p, sex = two_groups()
    a, b = judged(y, p, {"sex": sex})
    assert (a["group"], a["level"], a["n"], a["events"], a["note"]) == ("sex", "a", 100, 40, "")
    # 20 of 40 events and none of 60 others flagged; predicted 10 + 4 + 12 = 26.
    assert a["oe"] == pytest.approx(40 / 26)
    assert a["auc"] == pytest.approx((20 + 20 / 2) / 40)
    assert a["flag_rate"] == pytest.approx(0.20)
    assert a["ppv"] == pytest.approx(1)
    assert a["miss_rate"] == pytest.approx(0.5)
    # All 30 events and 15 of 30 others flagged; predicted 15 + 6 + 1.5 = 22.5.
    assert (b["level"], b["n"], b["events"]) == ("b", 60, 30)
    assert b["oe"] == pytest.approx(30 / 22.5)
    assert b["auc"] == pytest.approx(1)
    assert b["flag_rate"] == pytest.approx(0.75)
    assert b["ppv"] == pytest.approx(2 / 3)
    assert b["miss_rate"] == pytest.approx(0)


@pytest.mark.parametrize(("place", "there"), [(0, slice(0, 100)), (1, slice(100, 160))])
def test_intervals_are_over_draws_of_whole_groups(place, there):
    y, p, sex = two_groups()
    found = judged(y, p, {"sex": sex}, n_boot=30)[place]
    rates = []
    for weight in draws(groups_of(rows_with(y, np.arange(len(y))), least=10**6), 30, 1, job=3):
        inside = weight[there]
        rates.append((inside * (p[there] >= 0.3)).sum() / inside.sum())
    limits = np.percentile(rates, [2.5, 97.5])
    assert (found["flag_rate_low"], found["flag_rate_high"]) == pytest.approx(tuple(limits))
    assert found["flag_rate_low"] < found["flag_rate"] < found["flag_rate_high"]


@pytest.mark.parametrize(
    ("events", "others", "note"),
    [
        pytest.param(29, 200, "too few", id="29 events"),
        pytest.param(30, 30, "", id="30 and 30"),
        pytest.param(200, 29, "too few", id="29 others"),
        pytest.param(0, 200, "too few", id="no event"),
    ],
)
def test_too_few_say_nothing_at_all(events, others, note):
    y, p, sex = two_groups(events, others)
    found = judged(y, p, {"sex": sex})[0]
    assert found["note"] == note
    numbers = [found["n"], found["events"], *(found[name] for name in MEASURES)]
    assert np.isnan(numbers).all() == (note != "")
    assert set(found) == {
        *("group", "level", "n", "events", "note", "oe", "oe_low", "oe_high", "auc", "auc_low", "auc_high"),
        *("flag_rate", "flag_rate_low", "flag_rate_high", "ppv", "ppv_low", "ppv_high"),
        *("miss_rate", "miss_rate_low", "miss_rate_high"),
    }


@pytest.mark.parametrize("blank", [None, NA, "", " ", "<NA>"])
def test_what_was_not_recorded_is_a_group_of_its_own(blank):
    y, p, sex = two_groups()
    labels = sex.astype(object)
    labels[:100] = blank
    found = judged(y, p, {"sex": labels})
    assert [each["level"] for each in found] == ["b", "not recorded"]


def test_labels_belong_to_cases_and_may_be_numbers():
    y, p, _ = two_groups()
    case = np.arange(len(y))[::-1].copy()
    labels = np.repeat([2, 1], [60, 100])
    found = judged(y, p, {"site": labels}, case=case)
    assert [(each["level"], each["n"]) for each in found] == [("1", 100), ("2", 60)]


def test_without_a_threshold_nothing_is_said_of_flags():
    y, p, sex = two_groups()
    found = judged(y, p, {"sex": sex}, threshold=NA)[0]
    assert np.isnan([found["flag_rate"], found["ppv"], found["miss_rate"]]).all()
    assert found["oe"] == pytest.approx(40 / 26)


def test_several_groupings_come_one_after_the_other():
    y, p, sex = two_groups()
    found = judged(y, p, {"sex": sex, "all": np.full(160, "x")})
    assert [(each["group"], each["level"]) for each in found] == [("sex", "a"), ("sex", "b"), ("all", "x")]


# No table by therapist

REFUSED = (
    "error: '{name}' names the therapists: no table by therapist is made\n"
    "hint: rates of therapists differ by case mix and chance; name groups of clients"
)


@pytest.mark.parametrize("name", ["therapist", "Therapist code"])
def test_a_group_called_therapist_is_refused(name):
    y, p, sex = two_groups()
    with pytest.raises(UsageError) as caught:
        judged(y, p, {name: sex})
    assert str(caught.value) == REFUSED.format(name=name)


def test_a_group_that_is_the_therapist_by_another_word_is_refused():
    y, p, _ = two_groups()
    therapist = np.arange(160) % 4
    with pytest.raises(UsageError) as caught:
        judged(y, p, {"team": np.array(["w", "x", "y", "z"])[therapist]}, therapist=therapist)
    assert str(caught.value) == REFUSED.format(name="team")


@pytest.mark.parametrize(
    ("team", "therapist"),
    [
        pytest.param(np.arange(160) % 2, np.arange(160) % 4, id="two therapists each"),
        pytest.param(np.arange(160) % 4 // 3, np.arange(160) % 4, id="three and one"),
        pytest.param(np.arange(160) % 2, np.arange(160) % 2, id="two therapists may agree by chance"),
        pytest.param(np.arange(160) % 3, np.arange(160) // 60, id="across therapists"),
        pytest.param(np.arange(160) % 4, np.full(160, -1), id="no therapist is known"),
    ],
)
def test_groups_that_only_resemble_therapists_are_not(team, therapist):
    y, p, _ = two_groups()
    assert judged(y, p, {"team": team}, therapist=therapist)
