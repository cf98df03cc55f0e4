"""All rows of a data set before they are split, checked, and known by a fingerprint.

This module does *not* know where the rows come from or how they are split.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shipworthy.datasets.splits import TEST_SHARE
from shipworthy.records import Ints, Roles, Task

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


def identical_rows(X: pd.DataFrame) -> Ints:
    """The number of each row's features among the different ones: rows that are the same in every column have the same.

    By a 64-bit hash of each row: that two different rows of a million meet has a chance of one in forty million, and would cost
    nothing but keeping them together.

    Parameters
    ----------
    X : DataFrame, shape (n_rows, n_features)

    Returns
    -------
    ndarray of int, shape (n_rows,)
        0, 1, ... in the order in which they first occur.
    """
    import pandas as pd

    return pd.factorize(pd.util.hash_pandas_object(X, index=False))[0].astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Every row of a data set, in the order of its source or of time. The fields are those of ``Dataset``.

    ``order`` carries what the split needs and no model may see: the group or the day of each row. ``in_test`` says which rows
    are held out; where it is left out ``test_share`` of them are drawn by chance, whole groups at a time. ``rule`` puts the split
    into words, and ``guesses`` what had to be guessed of a file.
    """

    X: pd.DataFrame
    y: NDArray[Any]
    task: Task
    classes: tuple[str, ...]
    roles: Roles
    provenance: str
    licence: str
    traps: tuple[str, ...]
    order: NDArray[np.int64]
    rule: str = ""
    in_test: NDArray[np.bool_] | None = None
    test_share: float = TEST_SHARE
    guesses: tuple[str, ...] = ()

    @property
    def strata(self) -> NDArray[np.int64] | None:
        """The class of each row; nothing for a regression, whose rows are drawn plainly."""
        return None if self.task == "regression" else self.y

    def check(self, name: str, n_rows: int = 0) -> None:
        """Hold the promises of ``Dataset``, so that a new version of a source cannot break them unseen.

        Parameters
        ----------
        name : str
            Of the data set, for messages.
        n_rows : int
            How many rows there must be; 0 where nothing is promised.

        Raises
        ------
        ValueError
            Naming the data set and what is wrong with it.
        """
        problems = [
            f"column {c!r} is of type {d}"
            for c, d in self.X.dtypes.items()
            if str(d) not in {"float64", "int64", "str", "string"}
        ]
        problems += [
            f"column {c!r} holds an infinity" for c in self.X if self.X[c].dtype == np.float64 and np.isinf(self.X[c]).any()
        ]
        if list(self.X.index) != list(range(len(self.X))) or self.X.columns.has_duplicates:
            problems.append("rows or columns are not numbered and named once each")
        codes = np.unique(self.y)
        if self.task != "regression" and (self.y.dtype != np.int64 or codes.tolist() != list(range(len(self.classes)))):
            problems.append(f"the target holds {codes.tolist()[:5]} of type {self.y.dtype} for the classes {self.classes}")
        if self.task == "regression" and (self.y.dtype != np.float64 or not np.isfinite(self.y).all() or self.classes):
            problems.append(f"the target of a regression is of type {self.y.dtype}, has classes, or holds what is not finite")
        if not len(self.X) == len(self.y) == len(self.order):
            problems.append(f"{len(self.X)} rows have {len(self.y)} targets")
        if self.in_test is not None and not len(self.X) == len(self.in_test) > self.in_test.sum() > 0:
            problems.append("its test rows are all rows or none")
        if n_rows and len(self.X) != n_rows:
            problems.append(f"it has {len(self.X)} rows, not {n_rows}")
        named = (*self.roles.sensitive, *self.roles.price, *self.roles.cost)
        problems += [f"the column {c!r} has a role and does not exist" for c in named if c not in self.X]
        problems += [f"the personal column {c!r} is a feature" for c in self.roles.personal if c in self.X]
        if problems:
            raise ValueError(f"the data set {name} is not as it should be: {problems[0]}")

    def fingerprint(self) -> str:
        """16 hex digits of SHA-256 over column names, values and target.

        Text is hashed as its sorted distinct values and the place of each row's value among them: that is fifty times quicker
        than hashing each cell, and independent of how pandas stores text.
        """
        import pandas as pd

        sha = hashlib.sha256(json.dumps([[str(c) for c in self.X.columns], self.task, list(self.classes)]).encode())
        for name in self.X.columns:
            column = self.X[name]
            if column.dtype.kind in "iuf":
                values = column.to_numpy(dtype="<f8" if column.dtype.kind == "f" else "<i8", copy=True)
                if column.dtype.kind == "f":
                    values[np.isnan(values)] = np.nan  # one bit pattern for all NaNs
                sha.update(column.dtype.kind.encode() + values.tobytes())
            else:
                codes, distinct = pd.factorize(column, sort=True)
                sha.update(json.dumps([str(v) for v in distinct]).encode() + codes.astype("<i4").tobytes())
        sha.update(self.y.astype("<f8" if self.task == "regression" else "<i8").tobytes())
        return sha.hexdigest()[:16]
