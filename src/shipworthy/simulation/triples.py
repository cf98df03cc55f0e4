"""Cascades of three, every order of every three members: the first threshold on a grid, the second exactly.

Given the first threshold, the rows that remain are a list in the order of the second member's confidence, so one running sum has
every second threshold, and the best of them is kept. The loops are compiled.

This module does *not* know how a cascade is deployed, or how its members were measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

from shipworthy.records import ConfidenceName, Floats, InputError, Ints
from shipworthy.simulation.cascades import CascadePick, check_cascades, confidence, mixture_percentile
from shipworthy.simulation.subsets import usable_cores
from shipworthy.simulation.votes import Rows, Votes

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class ExactTriples:
    """Every ordered three of some members; arrays have shape (n_triples, n_levels), ``members`` is in the same order.

    Parameters
    ----------
    members : tuple of three str each
    first : ndarray of float64
        The first member's thresholds, falling, ``inf`` first.
    second : ndarray of float64
        Of the second member, the threshold with which the cascade is most accurate on out-of-fold rows; of equals, the lowest.
    early, later : ndarray of float64
        Share of out-of-fold rows that the first and that the second answers.
    accuracy, accuracy_test : ndarray of float64
    mean_ms, percentile_ms : ndarray of float64
        Latency at the out-of-fold shares.
    """

    members: tuple[tuple[str, str, str], ...]
    first: Floats
    second: Floats
    early: Floats
    later: Floats
    accuracy: Floats
    accuracy_test: Floats
    mean_ms: Floats
    percentile_ms: Floats

    def best(self, *, mean_ms: float = math.inf, percentile_ms: float = math.inf) -> CascadePick:
        """The most accurate on out-of-fold rows that keeps the limits; of equals the faster on average.

        Raises
        ------
        InputError
            If none keeps them.
        """
        keeps = (self.mean_ms <= mean_ms) & (self.percentile_ms <= percentile_ms)
        if not keeps.any():
            raise InputError(
                f"no cascade of three keeps a mean of {mean_ms:g} ms and a percentile of {percentile_ms:g} ms: allow more latency"
            )
        accuracy = np.where(keeps, self.accuracy, -np.inf)
        equal = np.flatnonzero(accuracy.ravel() >= accuracy.max() - 1e-12)
        triple, level = np.unravel_index(equal[self.mean_ms.ravel()[equal].argmin()], accuracy.shape)
        at = triple, level
        return CascadePick(
            members=self.members[triple],
            thresholds=(float(self.first[at]), float(self.second[at])),
            early=float(self.early[at]),
            accuracy=float(self.accuracy[at]),
            accuracy_test=float(self.accuracy_test[at]),
            optimism=float(self.accuracy[at] - self.accuracy_test[at]),
            mean_ms=float(self.mean_ms[at]),
            percentile_ms=float(self.percentile_ms[at]),
        )


def exact_triples(
    votes: Votes,
    latencies: Mapping[str, Floats],
    *,
    how: ConfidenceName = "margin",
    levels: int = 33,
    percentile: float = 99,
    n_jobs: int | None = None,
) -> ExactTriples:
    """Every ordered three of members at every level of the first threshold, each with its best second threshold.

    Parameters
    ----------
    votes : Votes
        Of a classification, three members at least.
    latencies : mapping of str to ndarray of float64, shape (n_draws,)
        Of each member, as from :func:`latency_samples`.
    how : {"margin", "entropy"}
    levels : int
        Of the first threshold; equally many out-of-fold rows lie between two.
    percentile : float
        Of the latency.
    n_jobs : int, optional
        Threads; left out, as many as there are usable cores. The results are the same.

    Returns
    -------
    ExactTriples

    Raises
    ------
    InputError
        For a regression, fewer than three members or two levels, a member without latencies, or agreement, which has no
        thresholds: that is :func:`triple_cascades`'s.
    """
    from shipworthy.simulation import kernels

    check_cascades(votes, latencies)
    if votes.n_members < 3:
        raise InputError(f"a cascade of three needs three members, not {votes.n_members}: name more, or ask pair_cascades")
    if levels < 2:
        raise InputError(f"levels must be at least 2, not {levels}")
    sure = _sure(votes.oof, how), _sure(votes.test, how)
    orders = _falling(sure[0]), _falling(sure[1])
    right = _right(votes.oof), _right(votes.test)
    draws = np.array([latencies[name] for name in votes.names], dtype=np.float64)
    # Repeated where many rows are equally sure, so that all members have as many; a repeated level answers the same rows.
    shares = np.linspace(1, 0, levels)[1:]
    grid = np.array([[np.inf, *np.quantile(s, shares, method="inverted_cdf")] for s in sure[0]])
    n = votes.n_members
    found, percentiles = np.empty((n, n, n, 5, levels)), np.empty((n, n, n, levels))

    def part(a: int) -> None:
        reached = _reached(sure[0][a], grid[a]), _reached(sure[1][a], grid[a])
        kernels.score_triples(a, grid[a], reached, sure, orders, right, found[a])
        for b, c in permutations((i for i in range(n) if i != a), 2):
            _, early, later, *_ = found[a, b, c]
            shares = np.stack([early, later, np.maximum(1 - early - later, 0.0)])
            percentiles[a, b, c] = mixture_percentile(np.cumsum(draws[[a, b, c]], axis=0), shares, percentile)

    with ThreadPoolExecutor(usable_cores(n_jobs)) as pool:
        list(pool.map(part, range(n)))
    chosen = list(permutations(range(n), 3))
    a, b, c = np.array(chosen).T
    second, early, later, accuracy, accuracy_test = np.moveaxis(found[a, b, c], 1, 0)
    mean = draws.mean(axis=1)[:, None]
    return ExactTriples(
        members=tuple((votes.names[i], votes.names[j], votes.names[k]) for i, j, k in chosen),
        first=grid[a],
        second=second,
        early=early,
        later=later,
        accuracy=accuracy,
        accuracy_test=accuracy_test,
        mean_ms=mean[a] + (1 - early) * mean[b] + np.maximum(1 - early - later, 0.0) * mean[c],
        percentile_ms=percentiles[a, b, c],
    )


def _sure(rows: Rows, how: ConfidenceName) -> Floats:
    return np.array([confidence(said, how) for said in rows.said])


def _falling(sure: Floats) -> Ints:
    """The rows of each member, the surest first."""
    return np.asarray(np.argsort(-sure, axis=1, kind="stable"), dtype=np.int64)


def _right(rows: Rows) -> NDArray[np.int8]:
    return np.asarray(rows.said.argmax(axis=1) == rows.y, dtype=np.int8)


def _reached(sure: Floats, thresholds: Floats) -> Ints:
    """The first threshold, falling, that each confidence reaches."""
    return np.asarray(np.searchsorted(-thresholds, -sure, side="left"), dtype=np.int64)
