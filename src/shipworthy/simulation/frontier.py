"""The ensembles that no other beats on accuracy, latency and memory at once: the front, its knee, its volume, a budget's best.

This module does *not* know what a millisecond or a mebibyte is worth to anybody.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from shipworthy.records import Floats, InputError, Ints
from shipworthy.simulation.scoring import as_loss, without_rounding
from shipworthy.simulation.subsets import SubsetTable, best_subset
from shipworthy.simulation.votes import ROWS

if TYPE_CHECKING:
    from numpy.typing import NDArray

PIVOTS = 24
"""Good points whose victims are struck out before the rest is sorted."""


@dataclass(frozen=True, slots=True)
class Pick:
    """A subset that was chosen on out-of-fold rows, and what it turned out to be on test rows.

    Parameters
    ----------
    subset : int
    members : tuple of str
    metric : str
    oof, test : float
        The metric where it was chosen, and where it is scored.
    optimism : float
        By how much it is worse on test rows; above 0 it looked better than it is.
    usual_optimism : float
        The median of the same over all subsets that might have been chosen: what the rows do, not the choosing.
    regret : float
        By how much the test rows' own favourite among them is better on test rows: the price of not knowing.
    latency_ms, latency_low_ms, latency_high_ms, memory_mib : float
    sentence : str
    """

    subset: int
    members: tuple[str, ...]
    metric: str
    oof: float
    test: float
    optimism: float
    usual_optimism: float
    regret: float
    latency_ms: float
    latency_low_ms: float
    latency_high_ms: float
    memory_mib: float
    sentence: str


def pareto_front(points: Floats) -> Ints:
    """Which points no other beats: at least as small in every column and smaller in one. Equal points all stay.

    Parameters
    ----------
    points : ndarray of float64, shape (n, 2) or (n, 3)
        Smaller is better. A point with ``nan`` is left out.

    Returns
    -------
    ndarray of int, shape (n_front,)
        Positions, by the first column, then the second, then the third.

    Examples
    --------
    >>> pareto_front(np.array([[1.0, 9.0], [2.0, 2.0], [2.0, 3.0], [9.0, 1.0]]))
    array([0, 1, 3])
    """
    places = np.flatnonzero(~np.isnan(points).any(axis=1))
    three = np.column_stack([points, np.zeros(len(points))]) if points.shape[1] == 2 else points
    places = places[_not_struck_out(three[places])]
    places = places[np.lexsort((places, *three[places].T[::-1]))]
    # A staircase in the second and third column of all points that are as good in the first: second ascending, third descending.
    seconds: list[float] = []
    thirds: list[float] = []
    front = []
    last: tuple[float, float, float] | None = None
    for place, point in zip(places.tolist(), map(tuple, three[places].tolist()), strict=True):
        if point != last:
            _, b, c = point
            below = bisect_right(seconds, b)
            if below and thirds[below - 1] <= c:
                continue
            start = bisect_left(seconds, b)
            end = start
            while end < len(seconds) and thirds[end] >= c:
                end += 1
            seconds[start:end], thirds[start:end] = [b], [c]
            last = point
        front.append(place)
    return np.array(front, dtype=np.int64)


def _not_struck_out(points: Floats) -> Ints:
    """Positions of what a few good points leave: most of a million subsets are beaten by any one of them."""
    left = np.arange(len(points))
    scaled = points - points.min(axis=0, initial=np.inf)
    top = scaled.max(axis=0, initial=0.0)
    scaled = scaled / np.where(top > 0, top, 1.0)
    weights = np.random.default_rng(0).dirichlet(np.ones(points.shape[1]), PIVOTS)
    for weight in weights:
        if len(left) < 1000:
            break
        pivot = points[left[(scaled[left] @ weight).argmin()]]
        here = points[left]
        beaten = (here >= pivot).all(axis=1) & (here > pivot).any(axis=1)
        left = left[~beaten]
    return left


def hypervolume(points: Floats, reference: Floats) -> float:
    """Volume of what the points beat, up to a reference point that is bad in every column.

    Parameters
    ----------
    points : ndarray of float64, shape (n, 2) or (n, 3)
        Smaller is better; those beyond the reference count for nothing.
    reference : ndarray of float64, shape (2,) or (3,)

    Returns
    -------
    float
        In the product of the columns' units. Source: Zitzler and Thiele (1998), "Multiobjective optimization using evolutionary
        algorithms", who call it the size of the space covered.

    Examples
    --------
    >>> hypervolume(np.array([[1.0, 2.0], [2.0, 1.0]]), np.array([3.0, 3.0]))
    3.0
    """
    inside = points[(points < reference).all(axis=1)]
    if not len(inside):
        return 0.0
    if points.shape[1] == 2:
        order = inside[np.lexsort((inside[:, 1], inside[:, 0]))]
        lowest = np.minimum.accumulate(order[:, 1])
        widths = np.diff(np.append(order[:, 0], reference[0]))
        return float(widths @ (reference[1] - lowest))
    inside = inside[pareto_front(inside)]
    levels = np.unique(inside[:, 2])
    depths = np.diff(np.append(levels, reference[2]))
    areas = [hypervolume(inside[inside[:, 2] <= level][:, :2], reference[:2]) for level in levels]
    return float(depths @ np.array(areas))


def knee(points: Floats) -> int:
    """The point of a front where giving up a little in one column no longer buys much in the others.

    Every column is scaled so that the front runs from 0 to 1; the knee bulges most towards the ideal point from the plane
    through the ends. Source: Das (1999), "On characterizing the 'knee' of the Pareto curve".

    Parameters
    ----------
    points : ndarray of float64, shape (n, 2) or (n, 3)
        A front; smaller is better.

    Returns
    -------
    int
        Its position; the first of equals.

    Examples
    --------
    >>> knee(np.array([[0.0, 10.0], [1.0, 1.0], [10.0, 0.0]]))
    1
    """
    low, high = points.min(axis=0), points.max(axis=0)
    scaled = (points - low) / np.where(high > low, high - low, 1.0)
    return int(scaled.sum(axis=1).argmin())


def objectives(table: SubsetTable, metric: str) -> Floats:
    """Out-of-fold loss, latency and memory of every subset, shape (2**n_members, 3), smaller is better; ``nan`` of nothing.

    What rounding alone tells apart is the same loss: a member does not lose to a vote of its copies that takes longer.
    """
    served = table.costs()
    loss = without_rounding(as_loss(metric, table.values(metric, "oof")))
    points = np.column_stack([loss, served.latency_ms, served.memory_mib])
    points[0] = np.nan
    return points


def frontier(table: SubsetTable, metric: str) -> Ints:
    """The subsets that no other beats on the out-of-fold metric, latency and memory at once; the best metric first.

    Parameters
    ----------
    table : SubsetTable
        With costs.
    metric : str

    Returns
    -------
    ndarray of int
        Subsets.

    Raises
    ------
    InputError
        If the metric is not in the table, or the table has no costs, or the latency or memory of a member is not known.
    """
    points = objectives(table, metric)
    if np.isnan(points[1:]).any():
        raise InputError("the latency or memory of a member is not known, so there is no front: measure all members")
    return pareto_front(points)


def pick(table: SubsetTable, metric: str, allowed: NDArray[np.bool_] | None = None) -> Pick:
    """The best subset on out-of-fold rows, among those allowed, with how much it disappoints on test rows.

    Parameters
    ----------
    table : SubsetTable
    metric : str
    allowed : ndarray of bool, shape (2**n_members,), optional

    Returns
    -------
    Pick

    Raises
    ------
    InputError
        If the metric is not in the table, or nothing is allowed.
    """
    chosen = best_subset(table, metric, allowed)
    may = np.ones(1 << table.n_members, bool) if allowed is None else allowed.copy()
    may[0] = False
    loss = [as_loss(metric, table.values(metric, which)) for which in ROWS]
    gap = loss[1] - loss[0]
    served = table.served
    costs = [math.nan] * 4
    if served is not None:
        arrays = (served.latency_ms, served.latency_low_ms, served.latency_high_ms, served.memory_mib)
        costs = [float(values[chosen]) for values in arrays]
    members = table.members(chosen)
    return Pick(
        subset=chosen,
        members=members,
        metric=metric,
        oof=float(table.oof[metric][chosen]),
        test=float(table.test[metric][chosen]),
        optimism=float(gap[chosen]),
        usual_optimism=float(np.median(gap[may])),
        regret=float(loss[1][chosen] - loss[1][may].min()),
        latency_ms=costs[0],
        latency_low_ms=costs[1],
        latency_high_ms=costs[2],
        memory_mib=costs[3],
        sentence=f"build {' + '.join(members)}",
    )


def best_within(
    table: SubsetTable, metric: str, *, latency_ms: float = math.inf, memory_mib: float = math.inf, sure: bool = False
) -> Pick:
    """What to build with a budget: the best subset on out-of-fold rows that is predicted to keep both limits.

    Parameters
    ----------
    table : SubsetTable
        With costs.
    metric : str
    latency_ms, memory_mib : float
        The budget.
    sure : bool
        Judge by the high end of the predictions; ensembles of an uncalibrated law then never fit.

    Returns
    -------
    Pick
        Its sentence says what to build.

    Raises
    ------
    InputError
        If nothing fits; it names the least that is needed.
    """
    served = table.costs()
    time, memory = (served.latency_high_ms, served.memory_high_mib) if sure else (served.latency_ms, served.memory_mib)
    allowed = (time <= latency_ms) & (memory <= memory_mib)
    allowed[0] = False
    limits = [f"{limit:g} {unit}" for limit, unit in ((latency_ms, "ms"), (memory_mib, "MiB")) if math.isfinite(limit)]
    budget = f"with a budget of {' and '.join(limits)}" if limits else "with any budget"
    if not allowed.any():
        raise InputError(
            f"nothing can be built {budget}: the fastest ensemble takes {np.nanmin(time[1:]):.3g} ms "
            f"and the smallest {np.nanmin(memory[1:]):.3g} MiB"
        )
    chosen = pick(table, metric, allowed)
    return replace(chosen, sentence=f"{budget}, {chosen.sentence}")
