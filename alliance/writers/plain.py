"""One row a form: CSV and Parquet."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from alliance.writers import Study, writer
from alliance.writers.cells import delimited
from alliance.writers.study import TEXTS, all_forms

if TYPE_CHECKING:
    import pandas as pd


@writer("csv", title="CSV, one row a form", suffix=".csv")
def write_csv(study: Study) -> dict[str, bytes]:
    """Return one CSV file: case session date therapist rater, scale where there are several, q1 to qk."""
    return {f"{study.name}.csv": delimited(all_forms(study))}


@writer("parquet", title="Parquet, one row a form", suffix=".parquet")
def write_parquet(study: Study) -> dict[str, bytes]:
    """Return one Parquet file, columns as in CSV: texts, days, whole numbers where the form has no others."""
    import pyarrow as pa
    from pyarrow import parquet

    frame = all_forms(study)
    whole = {"session", "n_missing", *_whole_items(study)}
    columns = {str(name): _typed(frame[name], whole=name in whole) for name in frame.columns}
    out = io.BytesIO()
    parquet.write_table(pa.table(columns), out)
    return {f"{study.name}.parquet": out.getvalue()}


def _whole_items(study: Study) -> set[str]:
    """Return the items that no form answers with anything but whole numbers."""
    names = {item for scale in study.scales.values() for item in scale.items}
    return names - {item for scale in study.scales.values() if not scale.whole for item in scale.items}


def _typed(column: pd.Series[Any], *, whole: bool) -> Any:
    import numpy as np
    import pyarrow as pa

    from alliance import arrow

    if column.name in TEXTS:
        texts = column.to_numpy(dtype=object)
        return pa.array(texts, type=pa.string(), mask=texts == "")
    values = column.to_numpy()
    if not whole or values.dtype.kind != "f":
        return arrow.column(values)
    missing = np.isnan(values)
    return arrow.column(np.where(missing, 0, values).astype(np.int64), missing)
