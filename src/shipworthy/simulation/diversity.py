"""Why averaging helps, and when it hurts: how strong the members are against how much they differ.

For squared errors it is an identity, not a rule of thumb. What the mean of some members gets wrong is what a member gets wrong on
average, less how far the members lie from their mean (Krogh and Vedelsby 1995, "Neural network ensembles, cross validation, and
active learning"):

.. code-block:: text

    error of the mean = mean error of the members - ambiguity

The ambiguity needs no truth: it is how much the members differ, and it is never below 0. So a mean is never worse than its
average member. It is worse than its *best* member exactly where the ambiguity is smaller than what the average member is behind
the best.

Errors here are Brier scores, or squared errors of a regression.

This module does *not* know how a member was trained, or what serving one more would cost.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shipworthy.records import Floats, InputError, Task
from shipworthy.simulation.subsets import MOST_MEMBERS, error_products, mean_squared_error, subset_sizes, subset_sums
from shipworthy.simulation.votes import Rows, RowsName, Votes

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Diversity:
    """Every uniform vote of the members by strength and diversity; the index of each array is the subset.

    Parameters
    ----------
    names : tuple of str
        Members; bit ``i`` of a subset stands for ``names[i]``.
    error : ndarray of float64, shape (2**n_members,)
        Brier score, or mean squared error, of the mean of the members.
    mean_member, best_member : ndarray of float64, shape (2**n_members,)
        The same of a member, on average and at best.
    ambiguity : ndarray of float64, shape (2**n_members,)
        How far the members lie from their mean, squared, on average. Index 0, the vote of nothing, is ``nan`` everywhere.
    """

    names: tuple[str, ...]
    error: Floats
    mean_member: Floats
    best_member: Floats
    ambiguity: Floats

    @property
    def behind(self) -> Floats:
        """How far the average member is behind the best one: what averaging must make up for."""
        return self.mean_member - self.best_member

    @property
    def gain(self) -> Floats:
        """What the mean gains over its best member; below 0, averaging hurts."""
        return self.best_member - self.error

    def members(self, subset: int) -> tuple[str, ...]:
        """Names of the members of a subset."""
        return tuple(n for i, n in enumerate(self.names) if subset >> i & 1)

    def most_hurt(self) -> int:
        """The vote that is furthest behind its best member; the smaller, then the first, of equals."""
        several = np.flatnonzero(subset_sizes(len(self.names)) > 1)
        return int(min(several.tolist(), key=lambda s: (self.gain[s], s.bit_count(), s)))


@dataclass(frozen=True, slots=True)
class Pair:
    """Two members: how alike they err, and what their mean is worth.

    Parameters
    ----------
    one, other : str
    error_correlation : float
        Pearson correlation of their errors, over rows and classes; ``nan`` where one of them never varies.
    disagreement : float
        Share of the rows of which exactly one is right (Skalak 1996); ``nan`` for a regression.
    q_statistic : float
        Yule's Q of being right: 1 where they are right on the same rows, -1 where on opposite ones, 0 where independent (Kuncheva
        and Whitaker 2003, "Measures of diversity in classifier ensembles"); ``nan`` where a table of it has no odds.
    ambiguity, behind, gain : float
        As in :class:`Diversity`.
    """

    one: str
    other: str
    error_correlation: float
    disagreement: float
    q_statistic: float
    ambiguity: float
    behind: float
    gain: float


@dataclass(frozen=True, slots=True, eq=False)
class Averaging:
    """Members that are alike but for chance, such as the trees of a forest: what a mean of ``n`` of them scores.

    Over all ways to take ``n`` of the members, the error of their mean is on average

    .. code-block:: text

        error(n) = limit + (single - limit) / n

    so the share ``1 - 1/n`` of all that can be gained is gained with ``n`` members: half with two, nine tenths with ten.

    Parameters
    ----------
    single : float
        Error of one member, on average: strength.
    limit : float
        What no number of such members gets below: the mean product of two members' errors.
    running : ndarray of float64, shape (n_members,)
        Error of the mean of the first 1, 2, ... members.
    """

    single: float
    limit: float
    running: Floats

    @property
    def alike(self) -> float:
        """The share of one member's error that a second one shares, and that averaging cannot take away."""
        return self.limit / self.single if self.single > 0 else math.nan

    def at(self, n: int) -> float:
        """The error of a mean of ``n`` members, on average over all ways to take them."""
        return self.limit + (self.single - self.limit) / n

    def enough(self, useful: float) -> int:
        """The fewest members after which all that is left to gain, by any number more, is less than ``useful``.

        Examples
        --------
        >>> Averaging(0.09, 0.05, np.array([0.09])).enough(0.001)
        41
        """
        return max(1, math.floor(round((self.single - self.limit) / useful, 9)) + 1)


def diversity(votes: Votes, which: RowsName) -> Diversity:
    """Strength and diversity of every uniform vote of the members.

    Parameters
    ----------
    votes : Votes
        Of at most 20 members.
    which : {"oof", "test"}

    Returns
    -------
    Diversity

    Raises
    ------
    InputError
        For more than 20 members.
    """
    n = votes.n_members
    if n > MOST_MEMBERS:
        raise InputError(f"every subset of at most {MOST_MEMBERS} members is looked at, not of {n}: choose fewer")
    rows = votes.rows(which)
    products = error_products(rows, votes.task)
    alone = np.diag(products)
    sizes = subset_sizes(n)
    sizes[0] = math.nan
    best = np.full(1 << n, np.inf)
    for i in range(n):
        best[1 << i : 2 << i] = np.minimum(best[: 1 << i], alone[i])
    best[0] = math.nan
    error = mean_squared_error(products)
    error[0] = math.nan
    # From what the members say alone, not as a difference of errors: half the mean squared distance of two members.
    ambiguity = mean_squared_error(_distances(rows, votes.task)) / 2
    ambiguity[0] = math.nan
    return Diversity(votes.names, error, subset_sums(alone) / sizes, best, ambiguity)


def pairs(votes: Votes, which: RowsName) -> tuple[Pair, ...]:
    """Every two members: how alike they err, and what their mean is worth, the most useful pair first.

    Parameters
    ----------
    votes : Votes
    which : {"oof", "test"}

    Returns
    -------
    tuple of Pair
    """
    rows = votes.rows(which)
    products, apart = error_products(rows, votes.task), _distances(rows, votes.task)
    errors = _errors(rows, votes.task)
    spread = errors - errors.mean(axis=1, keepdims=True)
    size = np.sqrt((spread**2).sum(axis=1))
    right = None if votes.task == "regression" else rows.said.argmax(axis=1) == rows.y
    out = []
    for i in range(votes.n_members):
        for j in range(i + 1, votes.n_members):
            correlation = float(spread[i] @ spread[j] / (size[i] * size[j])) if size[i] * size[j] > 0 else math.nan
            disagreement, q = (math.nan, math.nan) if right is None else _agreement(right[i], right[j])
            behind = float(abs(products[i, i] - products[j, j]) / 2)
            ambiguity = float(apart[i, j] / 4)
            names = votes.names[i], votes.names[j]
            out.append(Pair(*names, correlation, disagreement, q, ambiguity, behind, ambiguity - behind))
    return tuple(sorted(out, key=lambda p: (-p.gain, p.one, p.other)))


def averaging(said: Iterable[Floats], y: NDArray[Any], task: Task) -> Averaging:
    """What means of members that are alike score, from what each says alone; they are gone through once.

    Parameters
    ----------
    said : iterable of ndarray, each of shape (n_rows, n_classes), or (n_rows, 1) for regression
        At least two.
    y : ndarray, shape (n_rows,)
        Class codes, or targets.
    task : {"binary", "multiclass", "regression"}

    Returns
    -------
    Averaging

    Raises
    ------
    InputError
        If there are fewer than two members.
    """
    total: Any = 0.0
    alone: list[float] = []
    running: list[float] = []
    for member in said:
        error = _errors(Rows(y, member.T[None]), task)[0]
        total = total + error
        alone.append(float(error @ error) / len(y))
        running.append(float(total @ total) / len(y) / len(alone) ** 2)
    n = len(alone)
    if n < 2:
        raise InputError(f"averaging takes at least two members, not {n}: grow more trees")
    single = float(np.mean(alone))
    # All products of two, less those of a member with itself.
    limit = (n * n * running[-1] - n * single) / (n * (n - 1))
    return Averaging(single, float(limit), np.array(running))


def _columns(task: Task, width: int) -> slice:
    """Of two classes, the second says it all, as in the Brier score from 0 to 1."""
    return slice(1, 2) if task == "binary" else slice(0, width)


def _errors(rows: Rows, task: Task) -> Floats:
    """Errors of every member, classes one after the other, shape (n_members, n_classes * n_rows)."""
    columns = _columns(task, rows.said.shape[1])
    stated = rows.said[:, columns]
    codes = np.arange(rows.said.shape[1])[columns]
    truth = rows.y[None] if task == "regression" else (rows.y[None] == codes[:, None])
    return np.asarray((stated - truth).reshape(len(stated), -1))


def _distances(rows: Rows, task: Task) -> Floats:
    """Mean squared distance of every two members, shape (n_members, n_members)."""
    stated = rows.said[:, _columns(task, rows.said.shape[1])].reshape(len(rows.said), -1)
    return np.array([((stated - own) ** 2).sum(axis=1) for own in stated]) / len(rows.y)


def _agreement(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> tuple[float, float]:
    """Share of rows of which exactly one is right, and Yule's Q."""
    both, neither = float((one & other).sum()), float((~one & ~other).sum())
    first, second = float((one & ~other).sum()), float((~one & other).sum())
    same, apart = both * neither, first * second
    q = (same - apart) / (same + apart) if same + apart > 0 else math.nan
    return (first + second) / len(one), q
