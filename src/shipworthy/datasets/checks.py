"""A look at rows before anyone believes a score from them: duplicates, single columns that tell the answer, and row order.

It warns and changes nothing. Leaks are looked for in a sample where there are many rows or columns; the sentence says so.

This module does *not* know what the columns mean, so it cannot know whether a strong column is a leak or a good feature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from shipworthy.datasets.rows import Rows, identical_rows
from shipworthy.records import Ints

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

SAMPLED_ROWS = 10_000
SAMPLED_COLUMNS = 200
TELLING = 0.95
"""A column that alone predicts the target this well is said: AUC, accuracy, or R2."""
RANGES = 50
"""Into so many ranges of equal count a column of numbers is cut."""
NEARLY_ALWAYS = 0.85
"""So is a value whose rows are of one class this often, where that class has less than half of this share of all rows."""
FEWEST_ROWS = 20
"""Rows that a value must have for that."""
SORTED = 0.5
"""Neighbours differ this much more rarely than by chance: the rows are in order of the target."""


def check_rows(rows: Rows) -> tuple[str, ...]:
    """Look for duplicates, leaks and an order that tells the target.

    Parameters
    ----------
    rows : Rows
        Of a whole data set.

    Returns
    -------
    tuple of str
        A sentence for each thing found; empty where there is none.
    """
    found = [*_duplicates(rows), *_order(rows)]
    rng = np.random.default_rng(0)
    n, columns = len(rows.X), list(rows.X.columns)
    sampled = np.sort(rng.choice(n, SAMPLED_ROWS, replace=False)) if n > SAMPLED_ROWS else np.arange(n)
    chosen = columns if len(columns) <= SAMPLED_COLUMNS else list(rng.choice(columns, SAMPLED_COLUMNS, replace=False))
    where = f" (in a sample of {len(sampled):,} rows)" if n > SAMPLED_ROWS else ""
    first = rng.random(len(sampled)) < 0.5
    X, y = rows.X.iloc[sampled], rows.y[sampled]
    for name in chosen:
        found += [f"{finding}{where}: {question}" for finding, question in _telling(str(name), X[name], y, rows, first)]
    return tuple(found)


def _duplicates(rows: Rows) -> list[str]:
    alike = identical_rows(rows.X)
    n = len(alike) - (int(alike.max()) + 1)
    if not n:
        return []
    if rows.in_test is not None:
        twins = np.intersect1d(alike[rows.in_test], alike[~rows.in_test])
        kept = f"{int(np.isin(alike[rows.in_test], twins).sum()):,} test rows have a twin that trains" if len(twins) else ""
    else:
        # Whether the split keeps twins together: each set of identical rows lies within one group.
        apart = len(np.unique(np.column_stack([alike, rows.order]), axis=0)) > len(np.unique(alike))
        kept = "the split may part them" if apart else ""
    return [f"{n:,} rows repeat another row's features: {kept or 'the split keeps identical rows together'}."]


def _order(rows: Rows) -> list[str]:
    """Whether the order of the rows, as they lie or within a group, tells the target."""
    if rows.roles.group and rows.strata is not None and not rows.roles.time:
        several, grouped = 0, 0
        placed = np.argsort(rows.order, kind="stable")
        for own in np.split(rows.strata[placed], np.flatnonzero(np.diff(rows.order[placed])) + 1):
            kinds = len(np.unique(own))
            # Two rows of two classes are grouped whatever their order.
            if len(own) > kinds > 1:
                several += 1
                grouped += _runs(own) == kinds
        if several >= FEWEST_ROWS and grouped > NEARLY_ALWAYS * several:
            how_many = f"{grouped:,} of {several:,} groups"
            what = f"Rows are sorted by target within {rows.roles.group} ({how_many})"
            return [f"{what}: what is computed from the rows before tells the answer."]
    y = rows.y
    shuffled = np.random.default_rng(0).permutation(y)
    if rows.strata is not None:
        by_chance, there = _runs(shuffled), _runs(y)
        tells = there < SORTED * by_chance
    else:
        tells = bool(np.median(np.abs(np.diff(y))) < SORTED * np.median(np.abs(np.diff(shuffled))))
    return ["Rows lie in order of the target, or nearly: no split by position, and no row number as a feature."] if tells else []


def _runs(values: NDArray[Any]) -> int:
    return 1 + int((values[1:] != values[:-1]).sum())


def _telling(name: str, column: pd.Series[Any], y: NDArray[Any], rows: Rows, first: NDArray[np.bool_]) -> list[tuple[str, str]]:
    """What one column alone tells of the target: by averages of one half of the rows, asked of the other."""
    import pandas as pd

    numeric = column.dtype.kind in "iuf"
    codes = column.to_numpy(np.float64) if numeric else pd.factorize(column)[0].astype(np.float64)
    if len(np.unique(codes[first])) < 2 or len(np.unique(y[first])) < 2:
        return []
    score, how = _alone(codes, y, rows, first)
    if score >= TELLING:
        return [(f"Column {name} alone predicts the target with {how} {score:.2f}", "is it known before the answer?")]
    missing = column.isna().to_numpy()
    said = _of_one_class(f"{name} is missing", missing, y, rows)
    if not numeric:
        _, labels = pd.factorize(column)
        if len(labels) <= FEWEST_ROWS:
            for code in range(len(labels)):
                # The value itself is not shown: it may be a person's.
                said += _of_one_class(f"{name} has one of its {len(labels)} values", codes == code, y, rows)
    return said[:1]


def _alone(codes: NDArray[np.float64], y: NDArray[Any], rows: Rows, first: NDArray[np.bool_]) -> tuple[float, str]:
    """Score of the mean target in each of up to fifty ranges of the column, missing cells apart, and the metric's name."""
    from sklearn.metrics import accuracy_score, r2_score, roc_auc_score

    known = codes[first & ~np.isnan(codes)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, RANGES + 1)[1:-1])) if len(known) else np.zeros(0)
    place = np.where(np.isnan(codes), len(edges) + 1, np.searchsorted(edges, codes, side="right"))
    truth = y[:, None].astype(np.float64) if rows.strata is None else np.eye(len(rows.classes))[y]
    count = np.bincount(place[first], minlength=len(edges) + 2)[:, None]
    total = np.stack([np.bincount(place[first], weights=t, minlength=len(edges) + 2) for t in truth[first].T], axis=1)
    # A tenth of a row of the average is mixed into each range, so that an empty one says the average.
    said = ((total + 0.1 * truth[first].mean(axis=0)) / (count + 0.1))[place[~first]]
    told = y[~first]
    if rows.strata is None:
        return float(r2_score(told, said[:, 0])), "R2"
    if rows.task == "binary" and len(np.unique(told)) == 2:
        return float(roc_auc_score(told, said[:, 1])), "AUC"
    return float(accuracy_score(told, said.argmax(axis=1))), "accuracy"


def _of_one_class(what: str, where: NDArray[np.bool_], y: Ints, rows: Rows) -> list[tuple[str, str]]:
    """The finding on rows that are nearly always of a class which is rare elsewhere."""
    count = int(where.sum())
    if rows.strata is None or not FEWEST_ROWS <= count < len(y):
        return []
    shares = np.bincount(y[where], minlength=len(rows.classes)) / count
    code = int(shares.argmax())
    base = float(np.mean(y == code))
    if shares[code] < NEARLY_ALWAYS or base > NEARLY_ALWAYS / 2:
        return []
    rare = f"{shares[code]:.0%} of {count:,} rows are {rows.classes[code]} ({base:.0%} of all)"
    return [(f"Where {what}, {rare}", "does it come with the answer?")]
