"""One row a case and rater, the sessions side by side, and the mapping that reads it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alliance.writers import Study, writer
from alliance.writers.cells import delimited
from alliance.writers.study import SYNTHETIC, forms_of, score_names

if TYPE_CHECKING:
    import pandas as pd


@writer("wide", title="CSV, one row a case, with its mapping", suffix=".csv")
def write_wide(study: Study) -> dict[str, bytes]:
    """Return a CSV file for each form and the mapping to read it: ID.csv and ID.map.toml.

    The columns of session 3 begin with `ID_s3_`: date, therapist where it changes within a course, and q1 to
    qk. Where a form was handed in blank, `ID_s3_rater` says that it is there.
    """
    files: dict[str, bytes] = {}
    for name in study.responses:
        layout = _Layout.of(study, name)
        files[f"{name}.csv"] = delimited(layout.table())
        files[f"{name}.map.toml"] = layout.mapping()
    return files


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """How the forms of one scale are laid out: the row of each, and what stands beside its items."""

    name: str
    forms: pd.DataFrame
    row: Any
    items: tuple[str, ...]
    scores: tuple[str, ...]
    by_session: tuple[str, ...]
    synthetic: bool

    @classmethod
    def of(cls, study: Study, name: str) -> _Layout:
        forms, items = forms_of(study, name), study.scales[name].items
        courses = forms.groupby(["case", "rater"], sort=False)
        told = {
            "date": forms["date"].notna().any(),
            "therapist": (forms["therapist"] != courses["therapist"].transform("first")).any(),
            "rater": forms[list(items)].isna().all(axis=1).any(),
        }
        return cls(
            name=name,
            forms=forms,
            row=courses.ngroup(),
            items=items,
            scores=score_names(study, name),
            by_session=tuple(role for role, wanted in told.items() if wanted),
            synthetic=study.synthetic,
        )

    def table(self) -> pd.DataFrame:
        """Return the table: one row a case and rater."""
        import pandas as pd

        fixed = [
            role for role in ("case", "rater", "therapist") if role not in self.by_session or role == "rater"
        ]
        parts = [self.forms.groupby(self.row)[fixed].first()]
        for session, forms in self.forms.groupby("session"):
            wanted = [*self.by_session, *self.items, *self.scores]
            side = forms.set_index(self.row[forms.index])[wanted]
            parts.append(side.rename(columns={each: f"{self.name}_s{session}_{each}" for each in wanted}))
        if self.synthetic:
            parts.append(pd.DataFrame({"synthetic": SYNTHETIC}, index=parts[0].index))
        return pd.concat(parts, axis=1)

    def mapping(self) -> bytes:
        """Return the mapping, as TOML."""
        import tomli_w

        named = {role: f"{self.name}_s{{session}}_{role}" for role in self.by_session}
        table = {
            "scale": self.name,
            "header_row": 1,
            "pattern": f"{self.name}_s{{session}}_q{{item}}",
            "columns": {"case": "case", "rater": "rater", **named},
        }
        return tomli_w.dumps(table).encode()
