"""BIDS: a derivative dataset with a phenotype table and its sidecar for each form."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from alliance import __version__
from alliance.writers import Study, writer
from alliance.writers.cells import delimited
from alliance.writers.study import forms_of, score_names

if TYPE_CHECKING:
    import pandas as pd

    from alliance.scale import Scale

BIDS_VERSION = "1.10.0"
MISSING = "n/a"
_DESCRIBED = {
    "case": "Code of the case, where it is more than letters and digits",
    "date": "Date of the session",
    "therapist": "Code of the therapist",
    "rater": "Who filled in the form",
    "scale": "Id of the form",
    "synthetic": "No real person is in it",
}
_SCORE_LABELS = {"n_missing": "Unanswered items", "note": "Note on the scores"}


@writer("bids", title="BIDS phenotype tables", suffix=".tsv")
def write_bids(study: Study) -> dict[str, bytes]:
    """Return dataset_description.json, and phenotype/ID.tsv with phenotype/ID.json for each form.

    A participant is `sub-` and the letters and digits of the case code; the code itself is in a column `case`
    where it has other characters. A session is `ses-` and its number.
    """
    files = {"dataset_description.json": _json(_dataset(study))}
    labels = _participants(case for frame in study.responses.values() for case in frame["case"])
    for name in study.responses:
        table = _table(study, name, labels)
        files[f"phenotype/{name}.tsv"] = delimited(table, delimiter="\t", blank=MISSING)
        files[f"phenotype/{name}.json"] = _json(_sidecar(study, name, list(map(str, table.columns))))
    return files


def _dataset(study: Study) -> dict[str, Any]:
    return {
        "Name": study.name,
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "alliance", "Version": __version__}],
    }


def _participants(cases: Iterable[str]) -> dict[str, str]:
    """Return case → its label of letters and digits, each another; a code that is one already keeps it."""
    codes = list(dict.fromkeys(cases))
    found = {code: code for code in codes if _is_label(code)}
    taken = set(found.values())
    for code in codes:
        short = re.sub(r"[^A-Za-z0-9]", "", code) or "x"
        label, number = short, 1
        while code not in found and label in taken:
            number += 1
            label = f"{short}x{number}"
        taken.add(found.setdefault(code, label))
    return found


def _is_label(code: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9]+", code) is not None


def _table(study: Study, name: str, labels: Mapping[str, str]) -> pd.DataFrame:
    forms = forms_of(study, name)
    forms.insert(0, "participant_id", "sub-" + forms["case"].map(labels))
    forms.insert(1, "session_id", "ses-" + forms["session"].astype(str))
    told = {"session"} | ({"case"} if all(map(_is_label, forms["case"])) else set())
    told |= {"date"} if forms["date"].isna().all() else set()
    told |= {"therapist"} if (forms["therapist"] == "").all() else set()
    return forms.drop(columns=list(told))


def _sidecar(study: Study, name: str, columns: list[str]) -> dict[str, Any]:
    scale = study.scales[name]
    tool = {"Description": scale.name, **({"TermURL": f"https://doi.org/{scale.doi}"} if scale.doi else {})}
    keys = {column: {"Description": _DESCRIBED[column]} for column in columns if column in _DESCRIBED}
    items = {item: _item(study, scale, place) for place, item in enumerate(scale.items, 1)}
    scores = {each: _score(scale, each) for each in score_names(study, name)}
    return {"MeasurementToolMetadata": tool, **keys, **items, **scores}


def _item(study: Study, scale: Scale, place: int) -> dict[str, Any]:
    from alliance.exchange.items import label, shown

    low, high = scale.item_bounds[place - 1]
    words = {} if place in scale.item_ranges else scale.anchors
    levels = {"Levels": {shown(value): text for value, text in sorted(words.items())}} if words else {}
    about = f"Answer as printed, {shown(low)} to {shown(high)}"
    return {"LongName": label(scale, place, study.texts.get(scale.id)), "Description": about, **levels}


def _score(scale: Scale, name: str) -> dict[str, Any]:
    provisional = "" if scale.status == "verified" else "; the key is provisional"
    label = _SCORE_LABELS.get(name, f"{scale.id}: {name}")
    return {"LongName": label, "Description": f"Derived from the answers{provisional}", "Derivative": True}


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode()
