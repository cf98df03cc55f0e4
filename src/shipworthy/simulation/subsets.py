"""Every subset of the members as a uniform vote, exactly: its metrics on out-of-fold and test rows, and what it costs.

Nothing is a table of text: everything is an array whose index is the subset, bit ``i`` set where member ``i`` is in it. Squared
errors need no pass over the rows: that of a mean of predictions is a quadratic form in the members' mean products of errors.

This module does *not* know which subset anybody should choose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from shipworthy.records import Floats, InputError, Ints, Task
from shipworthy.simulation.costs import Build, CostModel, MemberCost, Served, serve
from shipworthy.simulation.scoring import METRICS, TIE, as_loss, check_metric, of_nothing, score
from shipworthy.simulation.votes import Rows, RowsName, Votes, true_class_first

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_MEMBERS = 20
"""2**20 subsets: 8 MiB for each array."""
LOW = 12
"""Members taken in all ways by one piece of work; whatever the number of threads, a piece is the same."""
AT_ONCE = 1 << 16
"""Subsets whose costs are worked out at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class SubsetTable:
    """Every subset of the members; the index of each array is the subset.

    Parameters
    ----------
    names : tuple of str
        Members; bit ``i`` of a subset stands for ``names[i]``.
    task : str
    oof, test : mapping of str to ndarray of float64, shape (2**n_members,)
        By metric. Index 0, the vote of nothing, holds the value of the best constant prediction.
    served : Served or None
        What each subset is predicted to cost, in arrays of that shape; None where no costs were given.
    usd : ndarray of float64 or None
        Estimated price of a million queries.
    """

    names: tuple[str, ...]
    task: Task
    oof: Mapping[str, Floats]
    test: Mapping[str, Floats]
    served: Served | None = None
    usd: Floats | None = None

    @property
    def n_members(self) -> int:
        """How many members there are."""
        return len(self.names)

    def members(self, subset: int) -> tuple[str, ...]:
        """Names of the members of a subset.

        Examples
        --------
        >>> SubsetTable(("a", "b", "c"), "binary", {}, {}).members(0b101)
        ('a', 'c')
        """
        return tuple(n for i, n in enumerate(self.names) if subset >> i & 1)

    def subset(self, names: Sequence[str]) -> int:
        """The index of the subset of these members.

        Raises
        ------
        InputError
            For a name that is no member.

        Examples
        --------
        >>> SubsetTable(("a", "b", "c"), "binary", {}, {}).subset(["c", "a"])
        5
        """
        if strays := [n for n in names if n not in self.names]:
            raise InputError(f"{strays[0]!r} is no member: choose among {', '.join(self.names)}")
        return sum(1 << self.names.index(n) for n in set(names))

    def values(self, metric: str, which: RowsName) -> Floats:
        """A metric of every subset, on the out-of-fold rows or on the test rows.

        Raises
        ------
        InputError
            If the task does not have the metric, or the table was made without it.
        """
        held = self.oof if which == "oof" else self.test
        if check_metric(metric, self.task) not in held:
            raise InputError(f"the table does not hold {metric!r}: choose one of {', '.join(held)}, or ask every_subset for it")
        return held[metric]

    def costs(self) -> Served:
        """What each subset is predicted to cost.

        Raises
        ------
        InputError
            If no costs were given.
        """
        if self.served is None:
            raise InputError("the table knows no latency or memory: give every_subset the costs of its members")
        return self.served


def every_subset(
    votes: Votes,
    *,
    metrics: Sequence[str] | None = None,
    costs: Sequence[MemberCost] | None = None,
    model: CostModel | None = None,
    build: Build | None = None,
    price: Callable[[float, float], float] | None = None,
    n_jobs: int | None = None,
) -> SubsetTable:
    """Score all uniform votes of the members, and say what each would cost to serve.

    Parameters
    ----------
    votes : Votes
        Of at most 20 members.
    metrics : sequence of str, optional
        Left out, log loss, accuracy and Brier score; or, of a regression, the root mean squared error.
    costs : sequence of MemberCost, optional
        One for each member, in the same order.
    model : CostModel, optional
        As calibrated on real composites; left out, one that was calibrated on none.
    build : Build, optional
        How the ensembles would be built; left out, one member after another on one core.
    price : callable, optional
        ``price(cpu_ms, memory_mib)`` gives US dollars for a million queries.
    n_jobs : int, optional
        Threads; left out, as many as there are usable cores. The results are the same, bit for bit.

    Returns
    -------
    SubsetTable

    Raises
    ------
    InputError
        For no members or more than 20, a metric that the task does not have, costs that do not fit the members, or a price
        without costs.

    Notes
    -----
    One addition for each subset, row and class, and one logarithm for each subset.
    """
    n = votes.n_members
    if not n:
        raise InputError("the exact table takes at least one member, and there is none: name more trained candidates")
    if n > MOST_MEMBERS:
        raise InputError(f"the exact table takes at most {MOST_MEMBERS} members, not {n}: choose fewer, or select greedily")
    chosen = METRICS[votes.task] if metrics is None else tuple(check_metric(m, votes.task) for m in metrics)
    oof, test = (_scored(rows, votes.task, chosen, n_jobs) for rows in (votes.oof, votes.test))
    for metric in chosen:
        oof[metric][0], test[metric][0] = of_nothing(votes, metric)
    served = None
    usd = None
    if costs is not None:
        served = _served(votes, costs, model or CostModel(), build or Build())
    if price is not None:
        if served is None:
            raise InputError("a price needs the costs of the members: give every_subset both")
        usd = np.fromiter(map(price, served.cpu_ms.tolist(), served.memory_mib.tolist()), np.float64, 1 << n)
    return SubsetTable(votes.names, votes.task, oof, test, served, usd)


def subset_sums(values: Floats) -> Floats:
    """Sum of the values of each subset's members, shape (n,) -> (2**n,).

    Examples
    --------
    >>> subset_sums(np.array([1.0, 10.0]))
    array([ 0.,  1., 10., 11.])
    """
    out = np.zeros(1 << len(values))
    for i, value in enumerate(values):
        np.add(out[: 1 << i], value, out=out[1 << i : 2 << i])
    return out


def subset_sizes(n: int) -> Floats:
    """How many members each subset has, shape (2**n,)."""
    return subset_sums(np.ones(n))


def roc_auc(votes: Votes, subsets: Sequence[int] | Ints, which: RowsName, *, n_jobs: int | None = None) -> Floats:
    """ROC AUC of the uniform votes of some subsets; of more than two classes, the mean of one against the rest.

    It needs a sort for each, so it is for a frontier, or for all subsets of a dozen members.

    Parameters
    ----------
    votes : Votes
        Of a classification.
    subsets : sequence of int
        0, the vote of nothing, has 0.5.
    which : {"oof", "test"}
    n_jobs : int, optional
        As for :func:`every_subset`.

    Returns
    -------
    ndarray of float64, shape (len(subsets),)

    Raises
    ------
    InputError
        For a regression, or a subset with members that there are not.
    """
    check_metric("roc_auc", votes.task, ranking=True)
    if strays := [s for s in map(int, subsets) if not 0 <= s < 1 << votes.n_members]:
        raise InputError(
            f"{strays[0]} is no subset of {votes.n_members} members: give numbers from 0 to {(1 << votes.n_members) - 1}"
        )
    rows = votes.rows(which)

    def one(subset: int) -> float:
        if not subset:
            return 0.5
        chosen = [i for i in range(votes.n_members) if subset >> i & 1]
        return score("roc_auc", rows.y, rows.said[chosen].mean(axis=0))

    with ThreadPoolExecutor(usable_cores(n_jobs)) as pool:
        return np.fromiter(pool.map(one, map(int, subsets)), np.float64, len(subsets))


def best_subset(table: SubsetTable, metric: str, allowed: NDArray[np.bool_] | None = None) -> int:
    """The subset that is best on out-of-fold rows; of equals, but for rounding, the faster, then the smaller.

    Parameters
    ----------
    table : SubsetTable
    metric : str
    allowed : ndarray of bool, shape (2**n_members,), optional
        Which may be chosen; the vote of nothing never is.

    Raises
    ------
    InputError
        If none may be chosen, or the table does not hold the metric.
    """
    loss = np.array(as_loss(metric, table.values(metric, "oof")), dtype=np.float64)
    loss[0] = np.inf
    if allowed is not None:
        loss[~allowed] = np.inf
    least = loss.min()
    if not np.isfinite(least):
        raise InputError("no subset may be chosen: allow more latency or memory")
    best = np.flatnonzero(loss <= least + TIE * abs(least))
    sizes = subset_sizes(table.n_members)[best]
    latency = table.served.latency_ms[best] if table.served else sizes
    return int(best[np.lexsort((best, sizes, latency))[0]])


def usable_cores(n_jobs: int | None) -> int:
    """The threads that are asked for, or one for each core that this process may use."""
    if n_jobs is not None:
        if n_jobs < 1:
            raise InputError(f"n_jobs must be at least 1, not {n_jobs}; leave it out to use every core")
        return n_jobs
    from joblib import cpu_count

    return int(cpu_count())


def _scored(rows: Rows, task: Task, metrics: Sequence[str], n_jobs: int | None) -> dict[str, Floats]:
    found = _counted(rows, metrics, n_jobs) if {"log_loss", "accuracy"} & set(metrics) else {}
    if {"brier", "rmse"} & set(metrics):
        squared = mean_squared_error(error_products(rows, task))
        found |= {"rmse": np.sqrt(squared)} if task == "regression" else {"brier": squared}
    return {m: found[m] for m in metrics}


def _counted(rows: Rows, metrics: Sequence[str], n_jobs: int | None) -> dict[str, Floats]:
    from shipworthy.simulation import kernels

    likely, answers = "log_loss" in metrics, "accuracy" in metrics
    ordered, loses = true_class_first(rows, alone=not answers)
    n = len(ordered)
    if n == 1:
        # The loops take two members at a time; the second is then not asked about.
        ordered = np.repeat(ordered, 2, axis=0)
    low = min(len(ordered), LOW)
    pieces = 1 << (len(ordered) - low)
    log_sums, rights = np.empty((pieces, 1 << low)), np.zeros((pieces, 1 << low), np.int64)
    alike = map(repeat, (ordered, loses, low, likely, answers))
    with ThreadPoolExecutor(usable_cores(n_jobs)) as pool:
        # Consumed, so that an exception in a thread is raised here.
        for _ in pool.map(kernels.score_subsets, *alike, range(pieces), log_sums, rights):
            pass
    # The loops number the first member highest; here it is the lowest bit.
    turned = subset_sums(np.exp2(np.arange(n, dtype=np.float64)[::-1])).astype(np.int64)
    n_rows = len(rows.y)
    sizes = np.maximum(subset_sizes(n), 1)
    return {"log_loss": np.log(sizes) - log_sums.ravel()[turned] / n_rows, "accuracy": rights.ravel()[turned] / n_rows}


def error_products(rows: Rows, task: Task) -> Floats:
    """Mean over rows of the products of every two members' errors, summed over classes, shape (n_members, n_members).

    With weights ``w`` that sum to 1, ``w @ products @ w`` is the mean squared error, or the Brier score, of the weighted vote.
    """
    classes = range(1, 2) if task == "binary" else range(rows.said.shape[1])
    products = np.zeros((len(rows.said), len(rows.said)))
    for c in classes:
        truth = rows.y if task == "regression" else rows.y == c
        errors = rows.said[:, c] - truth
        products += errors @ errors.T
    return products / len(rows.y)


def mean_squared_error(products: Floats) -> Floats:
    """Mean squared error of every subset's mean from the products of errors, shape (n, n) -> (2**n,); 0 of nothing."""
    n = len(products)
    total = np.zeros(1 << n)
    for i in range(n):
        half = 1 << i
        total[half : 2 * half] = total[:half] + products[i, i] + 2 * subset_sums(products[i, :i])
    sizes = subset_sizes(n)
    sizes[0] = 1
    # Rounding may leave less than nothing of members that are always right.
    return np.maximum(total, 0) / sizes**2


def _served(votes: Votes, costs: Sequence[MemberCost], model: CostModel, build: Build) -> Served:
    if tuple(c.name for c in costs) != votes.names:
        raise InputError(
            f"costs must be those of {', '.join(votes.names)}, in this order, not of {', '.join(c.name for c in costs)}"
        )
    n = votes.n_members
    parts = []
    for start in range(0, 1 << n, AT_ONCE):
        subsets = np.arange(start, min(start + AT_ONCE, 1 << n))
        parts.append(serve(costs, (subsets[:, None] >> np.arange(n) & 1).astype(bool), model=model, build=build))
    return Served.concatenate(parts)
