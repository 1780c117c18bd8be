"""One row an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alliance.writers import Study, writer
from alliance.writers.cells import delimited
from alliance.writers.study import forms_of, in_order, score_names

if TYPE_CHECKING:
    import pandas as pd


@writer("long", title="CSV, one row an answer", suffix=".csv")
def write_long(study: Study) -> dict[str, bytes]:
    """Return one CSV file: case session date therapist rater scale item value.

    An unanswered item has a row with an empty value, so that a form left blank is not lost. A score is one
    more row, under its own name.
    """
    import pandas as pd

    parts = [_answers(study, name) for name in study.responses]
    together = in_order(pd.concat(parts, ignore_index=True), study)
    return {f"{study.name}.csv": delimited(together)}


def _answers(study: Study, name: str) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    from alliance.frames import KEYS

    forms = forms_of(study, name)
    cells = [*study.scales[name].items, *(each for each in score_names(study, name) if each != "note")]
    rows = forms[list(KEYS)].loc[np.repeat(forms.index, len(cells))].reset_index(drop=True)
    values = forms[cells].to_numpy(dtype=float).ravel()
    named = pd.DataFrame({"scale": name, "item": np.tile(cells, len(forms)), "value": values})
    said = forms[["synthetic"]].loc[np.repeat(forms.index, len(cells))] if study.synthetic else forms[[]]
    return pd.concat([rows, named, said.reset_index(drop=True)], axis=1)
