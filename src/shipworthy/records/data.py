"""Rows with what their columns mean, how they are split, and what a fitted candidate said of them.

This module does *not* know where rows come from, or who predicts them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Le, MinLen

from shipworthy.records.terms import FORBID_UNKNOWN, Floats, Ints, Task

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Roles:
    """What the columns of a data set mean beyond being features; empty where there is none.

    ``time`` orders the rows and ``group`` names rows that belong together: neither is a feature. ``sensitive`` columns are
    features that may be reported by group. ``personal`` ones never leave the data set: they are no features, so that no report,
    sample or artefact can hold a value of them. ``price`` and ``cost`` are features that hold money: one column for the row, or
    one for each class in the order of the classes (what a choice of that class pays).
    """

    time: str = ""
    group: str = ""
    sensitive: tuple[str, ...] = ()
    personal: tuple[str, ...] = ()
    price: tuple[str, ...] = ()
    cost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """Somebody's own rows: a CSV or Parquet file, what is to be predicted, and what its columns mean.

    Parameters
    ----------
    file : str
        Path of the file.
    target : str
        The column to predict.
    name : str
        How the data set is called; left out, the file's name without its ending.
    task : str
        ``binary``, ``multiclass`` or ``regression``; left out, it is guessed from the target, and said.
    time, group, sensitive, personal, price, cost
        Columns by role, as in :class:`Roles`.
    drop : tuple of str
        Columns that are no features: names, and whatever is known too late.
    text : tuple of str
        Columns to be read as text although they hold numbers, such as codes.
    missing : tuple of str
        Cells that hold no value, beside the empty ones and the usual marks: ``unknown``, ``-999``.
    test_share : float
        Share of the rows that is held out: the latest where there is a time, whole groups where there is a group.
    max_rows : int
        Of a file with more rows a sample of so many is drawn by chance, and said; 0 means that all are read.
    """

    __pydantic_config__ = FORBID_UNKNOWN
    file: Annotated[str, MinLen(1)]
    target: Annotated[str, MinLen(1)]
    name: str = ""
    task: Literal["", "binary", "multiclass", "regression"] = ""
    time: str = ""
    group: str = ""
    sensitive: tuple[str, ...] = ()
    personal: tuple[str, ...] = ()
    price: tuple[str, ...] = ()
    cost: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    test_share: Annotated[float, Ge(0.05), Le(0.9)] = 0.3
    max_rows: Annotated[int, Ge(0)] = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Which rows train, which test, and in which fold each training row is held out.

    Parameters
    ----------
    train : ndarray of int, shape (n_train,)
        Positions in the data set, ascending.
    test : ndarray of int, shape (n_test,)
        Positions in the data set, ascending; disjoint from ``train``.
    fold : ndarray of int, shape (n_train,)
        For each entry of ``train``, the fold (0, 1, ...) in which it is predicted by a model that did not see it.
    rule : str
        How rows were assigned, in a sentence for the report.
    cluster : ndarray of int, shape (n_test,), optional
        For each entry of ``test``, what it belongs to: a day, a household, its identical rows. Rows of one cluster are no
        independent evidence, so a resample takes all of them or none. ``None``: every row stands for itself.
    """

    train: Ints
    test: Ints
    fold: Ints
    rule: str
    cluster: Ints | None = None

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return int(self.fold.max()) + 1


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Real rows with a target, where they come from, and how they are split. Treat as read-only.

    Parameters
    ----------
    name : str
    X : DataFrame, shape (n_rows, n_features)
        Features only, index 0..n_rows-1. Numeric columns are float64 or int64, all others hold str or missing.
    y : ndarray, shape (n_rows,)
        int64 class codes 0..n_classes-1, or float64 for regression. Not writeable.
    task : {"binary", "multiclass", "regression"}
    classes : tuple of str
        Names of the class codes, in order; empty for regression.
    roles : Roles
    provenance, licence : str
        Who collected the rows and which distribution brings them; under what terms.
    traps : tuple of str
        What goes wrong with these rows if one is careless, and what was done about it, a sentence each.
    fingerprint : str
        16 hex digits of SHA-256 over the column names, values and target of *all* rows.
    row_ids : ndarray of int, shape (n_rows,)
        Position of each row in the unsampled data set, so that a sample can be traced.
    split : Split
    guesses : tuple of str
        What had to be guessed of somebody's own file, a sentence each.
    checks : tuple of str
        What a look at duplicates, leaks and row order found, a sentence each.
    """

    name: str
    X: pd.DataFrame
    y: NDArray[Any]
    task: Task
    classes: tuple[str, ...]
    roles: Roles
    provenance: str
    licence: str
    traps: tuple[str, ...]
    fingerprint: str
    row_ids: Ints
    split: Split
    guesses: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()

    @property
    def numeric(self) -> tuple[str, ...]:
        """Names of the numeric columns, in order."""
        return tuple(c for c in self.X.columns if self.X[c].dtype.kind in "iuf")

    @property
    def categorical(self) -> tuple[str, ...]:
        """Names of all other columns, in order."""
        return tuple(c for c in self.X.columns if self.X[c].dtype.kind not in "iuf")

    def queries(self, positions: Ints) -> list[dict[str, float | int | str | None]]:
        """Raw rows as they would arrive at a service: plain values, a missing one is ``None``.

        Parameters
        ----------
        positions : ndarray of int, shape (n,)

        Returns
        -------
        list of dict, length n
        """
        part = self.X.iloc[positions]
        columns = [[None if gone else v for v, gone in zip(part[c].tolist(), part[c].isna(), strict=True)] for c in part.columns]
        return [dict(zip(part.columns, row, strict=True)) for row in zip(*columns, strict=True)]


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What a fitted candidate said of rows that it did not train on.

    Parameters
    ----------
    oof_rows, test_rows : ndarray of int, shape (n_train,) and (n_test,)
        ``Dataset.row_ids`` of the rows.
    oof_y, test_y : ndarray, shape (n_train,) and (n_test,)
        The truth, coded as in ``Dataset.y``.
    oof, test : ndarray of float64, shape (n, n_classes) or (n, 1) for regression
        Probabilities, or predicted values. ``oof`` is out-of-fold.
    test_cluster : ndarray of int, shape (n_test,), optional
        What each test row belongs to, as in :class:`Split`.
    """

    oof_rows: Ints
    oof_y: NDArray[Any]
    oof: Floats
    test_rows: Ints
    test_y: NDArray[Any]
    test: Floats
    test_cluster: Ints | None = None

    @property
    def n_test_clusters(self) -> int:
        """How many different things the test rows belong to; each row to itself where nothing else is said."""
        return len(self.test_rows) if self.test_cluster is None else len(np.unique(self.test_cluster))


MANY_CLUSTERS = 50
"""Things that test rows belong to (rows, days, households), from which on resamples of them are as wide as they should be."""


def few_clusters(n_clusters: int, confidence: float) -> float:
    """How many times the bootstrap's standard error, and the normal quantile, too small few clusters make an interval.

    The spread of means of ``k`` clusters drawn ``k`` times is ``sqrt((k - 1) / k)`` of their standard error, which is known with
    ``k - 1`` degrees of freedom (Cameron, Gelbach and Miller 2008). Of three clusters, 95 % intervals of resamples alone hold
    the truth in 70 % of cases.

    Parameters
    ----------
    n_clusters : int
        0 where it is not known.
    confidence : float

    Returns
    -------
    float
        Infinite for one cluster, which says nothing of others; 1 for :data:`MANY_CLUSTERS` or more, and where their number is not
        known.

    Examples
    --------
    >>> few_clusters(122, 0.95), round(few_clusters(3, 0.95), 1)
    (1.0, 2.7)
    """
    from scipy.stats import t

    if n_clusters == 1:
        return math.inf
    if not 0 < n_clusters < MANY_CLUSTERS:
        return 1.0
    tail = (1 + confidence) / 2
    return math.sqrt(n_clusters / (n_clusters - 1)) * float(t.ppf(tail, n_clusters - 1)) / NormalDist().inv_cdf(tail)
