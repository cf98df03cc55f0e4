"""Every candidate on every data set and swept level: the score, the wait and the answer, side by side.

This module does *not* know the page, or why an answer was given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from shipworthy.records import Verdict
from shipworthy.reporting.tables import KIND_ORDER, comparison_table
from shipworthy.reporting.wording import bounded, score

if TYPE_CHECKING:
    import pandas as pd


def score_matrix(
    records: pd.DataFrame, metric: str, places: Sequence[tuple[str, str]], verdicts: Sequence[Verdict] = ()
) -> pd.DataFrame:
    """One row a candidate, one column a data set and level.

    Parameters
    ----------
    records : DataFrame
        Columns as the fields of :class:`~shipworthy.records.Record`.
    metric : str
    places : sequence of tuple of str
        Data set and level, in the order of the columns.
    verdicts : sequence of Verdict

    Returns
    -------
    DataFrame
        Text: the score on test rows (the mean over the seeds), the p99 latency of a single query, and the answer for what is
        judged. A dash where a candidate was not scored. Candidates are from simple to complex, and by name within a kind.
    """
    import pandas as pd

    answers = {(v.dataset, v.level, v.candidate): v.answer for v in verdicts}
    columns: dict[str, dict[str, str]] = {}
    kinds: dict[str, str] = {}
    for dataset, level in places:
        column = columns.setdefault(f"{dataset}, {level}" if level else dataset, {})
        for row in comparison_table(records, dataset, metric, level=level).to_dict("records"):
            kinds[row["candidate"]] = row["kind"]
            column[row["candidate"]] = _cell(row, metric, answers.get((dataset, level, row["candidate"]), ""))
    names = sorted(kinds, key=lambda name: (KIND_ORDER.index(kinds[name]), name))
    rows = [(name, *(column.get(name, "-") for column in columns.values())) for name in names]
    return pd.DataFrame(rows, columns=["candidate", *columns])


def _cell(row: dict[Any, Any], metric: str, answer: str) -> str:
    if math.isnan(row[metric]):
        return "-"
    wait = "" if math.isnan(row["p99_ms"]) else f"; {bounded(row['p99_ms'], row['p99_ms_low'], row['p99_ms_high'])[0]} ms"
    return f"{score(row[metric])}{wait}" + (f"; {answer}" if answer else "")


def matrix_view(table: pd.DataFrame) -> dict[str, Any]:
    """The table as a template takes it; nothing where one column would only repeat the data set's own section."""
    shown = table if len(table.columns) > 2 else table.iloc[:0]
    return {"columns": [str(c) for c in shown.columns], "data": [list(row) for row in shown.itertuples(index=False, name=None)]}
