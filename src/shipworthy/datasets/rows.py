"""All rows of a data set before they are split, checked, and known by a fingerprint.

This module does *not* know where the rows come from or how they are split.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shipworthy.records import Roles, Task

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Every row of a data set, in the order of its source or of time. The fields are those of ``Dataset``.

    ``order`` carries what the split needs and no model may see: the group or the day of each row.
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

    def check(self, name: str) -> None:
        """Hold the promises of ``Dataset``, so that a new version of a source cannot break them unseen.

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
        if not len(self.X) == len(self.y) == len(self.order):
            problems.append(f"{len(self.X)} rows have {len(self.y)} targets")
        problems += [f"the sensitive column {c!r} does not exist" for c in self.roles.sensitive if c not in self.X]
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
