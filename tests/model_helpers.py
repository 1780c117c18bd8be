"""A dropout model whose probabilities can be worked by hand, and files to apply it to."""

import contextlib
import csv
import io
import json
import sys

import numpy as np
import pytest
from service_helpers import service_cohort

from alliance.cli import main
from alliance.dropout.model.bundle import bundle_of, changed, to_bytes
from alliance.dropout.model.design import Reference
from alliance.dropout.model.hazard import FitSettings, HazardModel, SideModel, Term
from alliance.dropout.model.rows import rows_of
from alliance.scale import load_scale
from alliance.simulate import to_csv
from alliance.simulate.service import service, service_frames

TABLES = ("episodes.csv", "appointments.csv", "ratings.csv")
SRS = load_scale("srs")
GATES = [{"id": f"G{place}", "asks": "a", "found": "b", "passed": True} for place in range(1, 8)]
TERMS = (
    # name, words, coefficient, centre, scale, lowest and highest in training
    ("log_session", "number of sessions attended (logarithm)", -0.5, 0.0, 1.0, 0.0, 3.0),
    ("level", "mean rating so far", -1.0, 36.0, 4.0, 24.0, 40.0),
    ("change", "latest rating against the mean of the earlier ones", -0.8, 0.0, 4.0, -8.0, 8.0),
    ("no_shows", "appointments missed without notice since the session before", 0.5, 0.0, 1.0, 0.0, 1.0),
    ("missing", "no rating for this session", 0.25, 0.0, 1.0, 0.0, 1.0),
)
DRAWN = service_cohort(30, 1)


def hand_model():
    """logit h = -2 - .5 log t - (mean - 36) / 4 - .8 change / 4 + .5 no-shows + .25 missing.

    Within three sessions: logit = -1 - (mean - 36) / 4.
    """
    names = ("name", "words", "coef", "centre", "scale", "low", "high")
    terms = tuple(Term(**dict(zip(names, row, strict=True)), se=0.1) for row in TERMS)
    return HazardModel(
        settings=FitSettings(),
        reference=Reference(mean=36.0, sd=4.0),
        terms=terms,
        intercept=-2.0,
        covariance=np.eye(6),
        n_rows=1000, n_events=80, n_cases=400, n_clients=400, n_therapists=30,
        sessions=(1, 20),
        landmark=SideModel(intercept=-1.0, terms=(terms[1],), link="logit", n_rows=900, n_events=150),
    )  # fmt: skip


def hand_bundle(*, threshold=0.2, gates=GATES, definition="unilateral", last_date="2025-12-31"):
    """The model above as a bundle; with `gates` passed it is validated."""
    tested = {
        "gates": gates,
        "threshold": None if threshold is None else {"value": threshold, "budget": 0.2, "net_benefit": 0.01},
        "drf1": {"auc": 0.6},
    }
    instrument = {"id": SRS.id, "scoring_version": SRS.sha256, "low": 0, "high": 40}
    bundle = bundle_of(
        hand_model(), rows_of(DRAWN), DRAWN,
        instrument=instrument, created="2026-01-02", tool_version="1.2.3", validation=tested,
    )  # fmt: skip
    training = {**bundle.content["training"], "n_cases": 400, "n_dropouts": 80, "last_date": last_date}
    told = {**bundle.content["definition"], "id": definition}
    told["settings"] = {"k": 3, "grace_days": 30, "presumed": "exclude"}
    return changed(bundle, training=training, definition=told)


def exploratory():
    """The same model with a gate that it did not pass."""
    return hand_bundle(gates=[*GATES[:-1], {**GATES[-1], "passed": False}])


def save(path, bundle):
    path.write_bytes(to_bytes(bundle))
    return path


def content_of(path):
    return json.loads(path.read_text(encoding="utf-8"))


def expit(logit):
    return 1 / (1 + np.exp(-logit))


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def alliance(*arguments):
    """Run the command line outside a test function; it has to succeed."""
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as out:
        patch.setattr(sys, "argv", ["alliance", *map(str, arguments)])
        hook = sys.excepthook
        with contextlib.redirect_stderr(io.StringIO()) as err, pytest.raises(SystemExit) as ended:
            main()
        sys.excepthook = hook
    assert not ended.value.code, err.getvalue()
    return out.getvalue()


def make_service(folder, n, seed, **options):
    """Write the tables of a service and return the arguments that name them."""
    folder.mkdir(exist_ok=True)
    for name, frame in zip(TABLES, service_frames(service(n, seed, **options), seed), strict=True):
        (folder / name).write_text(to_csv(frame), encoding="utf-8")
    return arguments_of(folder)


def arguments_of(folder):
    return (
        folder / "ratings.csv", "--scale", "srs", "--episodes", folder / "episodes.csv",
        "--attendance", folder / "appointments.csv",
    )  # fmt: skip


def change(path, edit):
    """Write the rows of a CSV file anew, each as `edit` returns it."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [edit(row) for row in csv.DictReader(file)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def make_today(folder):
    """A list of today that can be worked by hand: A and B are ongoing, C has ended, D was never rated."""
    folder.mkdir()
    write(
        folder / "ratings.csv",
        "case,session,date,q1,q2,q3,q4",
        "A,1,2026-01-05,9,9,9,9",
        "B,1,2026-01-05,9,9,9,9",
        "B,2,2026-01-12,8,8,8,8",
        "C,1,2026-01-05,6,6,6,6",
    )
    write(
        folder / "episodes.csv",
        "client_id,episode_id,start_date,status,end_reason,planned_sessions,observed_until",
        "A,1,2026-01-05,ongoing,,8,2026-01-20",
        "B,1,2026-01-05,ongoing,,8,2026-01-20",
        "C,1,2026-01-05,ended,mutual_planned,8,2026-01-20",
        "D,1,2026-01-05,ongoing,,8,2026-01-20",
    )
    write(
        folder / "appointments.csv",
        "case,date,attendance",
        "A,2026-01-05,attended",
        "B,2026-01-05,attended",
        "B,2026-01-12,attended",
        "C,2026-01-05,attended",
        "D,2026-01-05,attended",
    )
    return arguments_of(folder)
