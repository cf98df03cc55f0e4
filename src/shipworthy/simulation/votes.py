"""What members said, checked once and laid out for arithmetic: all members, the same rows, the same truth.

This module does *not* know what is done with the votes, or what serving a member costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from shipworthy.records import Floats, InputError, Predictions, Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

RowsName = Literal["oof", "test"]
ROWS: tuple[RowsName, RowsName] = ("oof", "test")
ROUNDING = 1e-6
"""How far single precision may put a probability above 1; and, a hundred times, the sum of a row beside 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What every member said of the same rows.

    Parameters
    ----------
    y : ndarray, shape (n_rows,)
        Class codes 0..n_classes-1, or targets.
    said : ndarray of float64, shape (n_members, n_classes, n_rows), or (n_members, 1, n_rows) for regression
        Probabilities, or predicted values; rows lie side by side in memory.
    """

    y: NDArray[Any]
    said: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """Members by name, with what each said of the out-of-fold rows and of the test rows."""

    names: tuple[str, ...]
    task: Task
    oof: Rows
    test: Rows

    @property
    def n_members(self) -> int:
        """How many members there are."""
        return len(self.names)

    def rows(self, which: RowsName) -> Rows:
        """The out-of-fold rows or the test rows."""
        return self.oof if which == "oof" else self.test

    def positions(self, names: tuple[str, ...]) -> list[int]:
        """Where these members are among :attr:`names`.

        Raises
        ------
        InputError
            For a name that is no member.
        """
        if strays := [n for n in names if n not in self.names]:
            raise InputError(f"{strays[0]!r} is no member: choose among {', '.join(self.names)}")
        return [self.names.index(n) for n in names]

    def only(self, names: tuple[str, ...]) -> Votes:
        """The votes of these members alone.

        Raises
        ------
        InputError
            For no member, a name that is none, or one that is given twice.
        """
        places = self.positions(names)
        if not names:
            raise InputError(f"a vote of no members says nothing: choose among {', '.join(self.names)}")
        if len(set(names)) < len(names):
            raise InputError(f"{max(names, key=names.count)!r} is named twice: name each member once")
        oof, test = (Rows(rows.y, np.ascontiguousarray(rows.said[places])) for rows in (self.oof, self.test))
        return Votes(names, self.task, oof, test)


def line_up(predictions: Mapping[str, Predictions], task: Task) -> Votes:
    """Check that members can vote together, and lay out what they said.

    Parameters
    ----------
    predictions : mapping of str to Predictions
        By member, in the order in which members are numbered; at least two.
    task : {"binary", "multiclass", "regression"}

    Returns
    -------
    Votes

    Raises
    ------
    InputError
        In one sentence, if there are fewer than two members; if a prediction or a target is not finite, or a prediction no
        probability, or of another number of classes; if members speak of other rows or another truth; or if the rows hold a
        single class.
    """
    if len(predictions) < 2:
        raise InputError(f"a simulation needs at least two members to vote, not {len(predictions)}: name more trained candidates")
    first, reference = next(iter(predictions.items()))
    for name, said in predictions.items():
        for which, rows, y, p in _parts(said):
            _check_values(name, which, p, y, task)
            _, its_rows, its_y, its_p = _parts(reference)[which == "test"]
            if not np.array_equal(rows, its_rows) or not np.array_equal(y, its_y):
                raise InputError(f"{name} and {first} did not predict the same {which} rows: train all members on one split")
            if p.shape[1] != its_p.shape[1]:
                raise InputError(
                    f"{name} states {p.shape[1]} columns of {which} predictions and {first} {its_p.shape[1]}: train on one target"
                )
    laid_out = [
        Rows(_truth(_parts(reference)[i][2], task), np.ascontiguousarray([_parts(p)[i][3].T for p in predictions.values()]))
        for i in (0, 1)
    ]
    return Votes(tuple(predictions), task, *laid_out)


def _parts(said: Predictions) -> tuple[tuple[RowsName, NDArray[Any], NDArray[Any], Floats], ...]:
    return ("oof", said.oof_rows, said.oof_y, said.oof), ("test", said.test_rows, said.test_y, said.test)


def _truth(y: NDArray[Any], task: Task) -> NDArray[Any]:
    """Class codes as numbers that arrays can be asked by, however they were written: 1.0 and true are class 1."""
    return y if task == "regression" else y.astype(np.int64)


def _check_values(name: str, which: str, p: Floats, y: NDArray[Any], task: Task) -> None:
    if p.ndim != 2 or len(p) != len(y) or len(y) == 0:
        raise InputError(f"{name} has {which} predictions of shape {p.shape} for {len(y)} rows: give one line for each row")
    if not np.isfinite(p).all():
        bad = int((~np.isfinite(p)).any(axis=1).sum())
        raise InputError(f"{name} has {bad} of {len(p)} {which} predictions that are not finite: train it again or leave it out")
    if task == "regression":
        if p.shape[1] != 1:
            raise InputError(f"{name} states {p.shape[1]} columns of {which} predictions: a regression has one")
        if not np.isfinite(y).all():
            raise InputError(
                f"{int((~np.isfinite(y)).sum())} of {len(y)} targets of the {which} rows are not finite: drop these rows"
            )
        return
    if p.shape[1] < 2 or (task == "binary" and p.shape[1] != 2):
        raise InputError(f"{name} states {p.shape[1]} columns of {which} predictions: give one for each class of the {task} task")
    if p.min() < 0 or p.max() > 1 + ROUNDING or np.abs(p.sum(axis=1) - 1).max() > 100 * ROUNDING:
        raise InputError(
            f"{name} states {which} predictions that are no probabilities (0 to 1, summing to 1): calibrate it first"
        )
    if len(np.unique(y)) < 2:
        raise InputError(f"the {which} rows hold a single class, so nothing can be told apart: take more rows")
    if not np.isin(y, np.arange(p.shape[1])).all():
        raise InputError(f"the {which} rows hold classes other than 0 to {p.shape[1] - 1}: code them as the data set does")


def true_class_first(rows: Rows, *, alone: bool = False) -> tuple[Floats, NDArray[np.uint8]]:
    """The votes with the true class of each row in the first place, and which of the others win a tie with it.

    Parameters
    ----------
    rows : Rows
        Of a classification.
    alone : bool
        Leave the other classes out.

    Returns
    -------
    tuple of ndarray
        Of float64, shape (n_members, n_classes, n_rows); and of uint8, shape (n_classes - 1, n_rows): 1 where the class in that
        place has a lower code than the true one, because the first of the most likely classes is the answer.
    """
    n_classes = 1 if alone else rows.said.shape[1]
    others = np.array([[c for c in range(n_classes) if c != true] for true in range(n_classes)], dtype=np.int64)
    order = rows.y[None] if alone else np.vstack([rows.y, others[rows.y].T])
    return np.take_along_axis(rows.said, order[None], axis=1), (order[1:] < rows.y).astype(np.uint8)
