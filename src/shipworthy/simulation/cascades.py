"""Cascades on paper: members asked in order, stopping once one is confident enough, for every order and every threshold.

Nothing is replayed. With the rows sorted by the first member's confidence, what any threshold answers early is a prefix, so one
running sum has all thresholds. Thresholds are chosen on out-of-fold rows; test rows then meet those same thresholds. By agreement
there is nothing to choose: an answer stands as soon as a second member gives it, so that two members are always asked.

This module does *not* know how a cascade is deployed, or how its members were measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

from shipworthy.records import ConfidenceName, Floats, InputError, Ints, Measurement
from shipworthy.simulation.scoring import TIE
from shipworthy.simulation.votes import Rows, Votes

if TYPE_CHECKING:
    from numpy.typing import NDArray

DRAWS = 2000
"""Latencies drawn of each member; those of a cascade's later stages are sums of independent draws."""


@dataclass(frozen=True, slots=True, eq=False)
class PairCascade:
    """One member first and another for what it leaves, at every threshold; all arrays have shape (n_thresholds,).

    Parameters
    ----------
    members : tuple of str
        Who is asked first, and who then.
    thresholds : ndarray of float64
        The first member's answer stands where it is at least so confident; ``inf`` first, where it never is, then every
        confidence that an out-of-fold row had, falling.
    early, early_test : ndarray of float64
        Share of rows that the first member answers.
    accuracy, accuracy_test : ndarray of float64
    mean_ms, percentile_ms : ndarray of float64
        Latency at the out-of-fold shares.
    """

    members: tuple[str, str]
    thresholds: Floats
    early: Floats
    early_test: Floats
    accuracy: Floats
    accuracy_test: Floats
    mean_ms: Floats
    percentile_ms: Floats


@dataclass(frozen=True, slots=True, eq=False)
class TripleCascade:
    """Three members in order, on a grid of two thresholds; arrays have shape (n_first, n_second).

    ``first`` and ``second`` hold the thresholds, falling; ``early`` is the share that the first member answers, ``later`` that of
    the second. All else is as in :class:`PairCascade`. By agreement the grid has one place: the first answers nothing alone, and
    the second what the first had answered too.
    """

    members: tuple[str, str, str]
    first: Floats
    second: Floats
    early: Floats
    later: Floats
    accuracy: Floats
    accuracy_test: Floats
    mean_ms: Floats
    percentile_ms: Floats
    how: ConfidenceName = "margin"


@dataclass(frozen=True, slots=True)
class CascadePick:
    """A cascade that was chosen on out-of-fold rows: its members, their thresholds, and what became of it on test rows.

    ``thresholds`` is empty by agreement. ``early`` is the share of rows for which no member more was asked than always is: the
    first, or by agreement the first two. ``optimism`` is by how much its accuracy is lower on test rows.
    """

    members: tuple[str, ...]
    thresholds: tuple[float, ...]
    early: float
    accuracy: float
    accuracy_test: float
    optimism: float
    mean_ms: float
    percentile_ms: float


def latency_samples(names: Iterable[str], measurements: Iterable[Measurement], rng: np.random.Generator) -> dict[str, Floats]:
    """Single-stream latencies of members, drawn anew so that they are as many of each and in no order.

    Parameters
    ----------
    names : iterable of str
    measurements : iterable of Measurement
        Of one data set.
    rng : numpy Generator

    Returns
    -------
    dict of str to ndarray of float64, shape (2000,)
        Milliseconds.

    Raises
    ------
    InputError
        If a member was not measured.
    """
    pooled: dict[str, list[float]] = {}
    for m in measurements:
        if m.quantity == "latency_ms" and m.conditions.scenario == "single_stream":
            pooled.setdefault(m.candidate, []).extend(m.values)
    names = list(names)
    if unknown := [n for n in names if not pooled.get(n)]:
        raise InputError(f"the single-stream latency of {unknown[0]} was not measured: measure it first")
    return {n: rng.choice(np.array(pooled[n]), DRAWS) for n in names}


def confidence(said: Floats, how: ConfidenceName) -> Floats:
    """How sure one member is of its answer, from 0 to 1.

    Parameters
    ----------
    said : ndarray of float64, shape (n_classes, n_rows)
    how : {"margin", "entropy"}
        The most likely class's probability less the next one's; or 1 less the entropy over its largest value.

    Returns
    -------
    ndarray of float64, shape (n_rows,)

    Raises
    ------
    InputError
        For "agreement", which takes more than one member.

    Examples
    --------
    >>> confidence(np.array([[0.5, 0.9], [0.5, 0.1]]), "margin")
    array([0. , 0.8])
    """
    from shipworthy.deployables import sureness

    if how not in {"margin", "entropy"}:
        raise InputError(
            f"confidence cannot be by {how!r} of one member: choose margin or entropy; agreement takes three members or more"
        )
    return sureness(said.T, how)


def pair_cascades(
    votes: Votes, latencies: Mapping[str, Floats], *, how: ConfidenceName = "margin", percentile: float = 99
) -> dict[tuple[str, str], PairCascade]:
    """Every ordered pair of members at every threshold.

    Parameters
    ----------
    votes : Votes
        Of a classification.
    latencies : mapping of str to ndarray of float64, shape (n_draws,)
        Of each member, as from :func:`latency_samples`; the same number of each, drawn independently.
    how : {"margin", "entropy"}
    percentile : float
        Of the latency.

    Returns
    -------
    dict
        By the pair.

    Raises
    ------
    InputError
        For a regression, a member without latencies, or agreement, which takes two members before the last.
    """
    return {c.members: c for c in each_pair_cascade(votes, latencies, how=how, percentile=percentile)}


def each_pair_cascade(
    votes: Votes, latencies: Mapping[str, Floats], *, how: ConfidenceName = "margin", percentile: float = 99
) -> Iterator[PairCascade]:
    """As :func:`pair_cascades`, one after the other: all together take four numbers for each pair and out-of-fold row.

    Parameters
    ----------
    votes, latencies, how, percentile
        As for :func:`pair_cascades`.

    Yields
    ------
    PairCascade

    Raises
    ------
    InputError
        As from :func:`pair_cascades`.
    """
    check_cascades(votes, latencies)
    right = [_right(rows) for rows in (votes.oof, votes.test)]
    for a, first in enumerate(votes.names):
        sure, sure_test = (confidence(rows.said[a], how) for rows in (votes.oof, votes.test))
        order, ends, thresholds = _falling(sure)
        order_test = np.argsort(-sure_test, kind="stable")
        ends_test = np.searchsorted(-sure_test[order_test], -thresholds, side="right")
        early, early_test = ends / len(sure), ends_test / len(sure_test)
        by_first = [_prefix(r[a], o)[e] for r, o, e in zip(right, (order, order_test), (ends, ends_test), strict=True)]
        for b, second in enumerate(votes.names):
            if a == b:
                continue
            accuracy = []
            for r, o, e, mine in zip(right, (order, order_test), (ends, ends_test), by_first, strict=True):
                others = _prefix(r[b], o)
                accuracy.append((mine + others[-1] - others[e]) / len(o))
            both = latencies[first] + latencies[second]
            yield PairCascade(
                members=(first, second),
                thresholds=thresholds,
                early=early,
                early_test=early_test,
                accuracy=accuracy[0],
                accuracy_test=accuracy[1],
                mean_ms=latencies[first].mean() + (1 - early) * latencies[second].mean(),
                percentile_ms=_two_stage_percentile(latencies[first], both, early, percentile),
            )


def triple_cascades(
    votes: Votes,
    latencies: Mapping[str, Floats],
    *,
    how: ConfidenceName = "margin",
    levels: int = 17,
    percentile: float = 99,
) -> dict[tuple[str, str, str], TripleCascade]:
    """Every ordered triple of members, on a grid of both thresholds.

    Parameters
    ----------
    votes, latencies, percentile
        As for :func:`pair_cascades`.
    how : {"margin", "entropy", "agreement"}
        By agreement the first two are always asked, and their answer stands where they agree.
    levels : int
        Thresholds of each member: equally many out-of-fold rows lie between two. All pairs of all thresholds would be the number
        of rows squared.

    Returns
    -------
    dict
        By the triple.

    Raises
    ------
    InputError
        As from :func:`pair_cascades`; or for fewer than three members, or fewer than two levels.
    """
    check_cascades(votes, latencies)
    if votes.n_members < 3:
        raise InputError(f"a cascade of three needs three members, not {votes.n_members}: name more, or ask pair_cascades")
    if levels < 2:
        raise InputError(f"levels must be at least 2, not {levels}")
    right = [_right(rows) for rows in (votes.oof, votes.test)]
    answers = [rows.said.argmax(axis=1) for rows in (votes.oof, votes.test)]
    single = how != "agreement"
    sure = [[confidence(s, how) for s in rows.said] for rows in (votes.oof, votes.test)] if single else []
    grids = [_levels(s, levels) for s in sure[0]] if single else []
    out: dict[tuple[str, str, str], TripleCascade] = {}
    for a, b in permutations(range(votes.n_members), 2):
        if single:
            first, second = grids[a], grids[b]
            places = [(_place(s[a], first), _place(s[b], second)) for s in sure]
        else:
            first, second = np.array([np.inf]), np.array([1.0])
            places = [(np.ones(len(n[a]), np.int64), np.where(n[a] == n[b], 0, 1)) for n in answers]
        shape = len(first), len(second)
        stages = [_Stages(*place, shape) for place in places]
        shares = stages[0].shares(np.ones(len(votes.oof.y)), np.ones(len(votes.oof.y)))
        for c in (c for c in range(votes.n_members) if c not in {a, b}):
            accuracy = [s.shares(r[a], r[b]).sum(axis=0) + s.last(r[c]) for s, r in zip(stages, right, strict=True)]
            names = (votes.names[a], votes.names[b], votes.names[c])
            asked = np.cumsum([latencies[n] for n in names], axis=0)
            weights = np.stack([*shares, 1 - shares.sum(axis=0)])
            out[names] = TripleCascade(
                members=names,
                first=first,
                second=second,
                early=shares[0],
                later=shares[1],
                accuracy=accuracy[0],
                accuracy_test=accuracy[1],
                mean_ms=np.tensordot(asked.mean(axis=1), weights, axes=1),
                percentile_ms=mixture_percentile(asked, weights.reshape(3, -1), percentile).reshape(shape),
                how=how,
            )
    return out


def best_cascade(
    cascades: Iterable[PairCascade | TripleCascade], *, mean_ms: float = math.inf, percentile_ms: float = math.inf
) -> CascadePick:
    """The most accurate cascade on out-of-fold rows that keeps the limits; of equals the faster on average.

    Parameters
    ----------
    cascades : iterable of PairCascade or TripleCascade
    mean_ms, percentile_ms : float
        Limits of the latency.

    Returns
    -------
    CascadePick

    Raises
    ------
    InputError
        If none keeps them.
    """
    held = list(cascades)

    def accuracy_of(cascade: PairCascade | TripleCascade) -> Floats:
        keeps = (cascade.mean_ms <= mean_ms) & (cascade.percentile_ms <= percentile_ms)
        return np.where(keeps, cascade.accuracy, -np.inf).ravel()

    top = max((float(accuracy_of(cascade).max()) for cascade in held), default=-math.inf)
    best: tuple[float, PairCascade | TripleCascade, int] | None = None
    for cascade in held if math.isfinite(top) else []:
        # Shares of rows were added up, so equals may differ by rounding.
        equal = np.flatnonzero(accuracy_of(cascade) >= top - TIE)
        means = cascade.mean_ms.ravel()[equal]
        if len(equal) and (best is None or means.min() < best[0]):
            best = float(means.min()), cascade, int(equal[means.argmin()])
    if best is None:
        raise InputError(
            f"no cascade keeps a mean of {mean_ms:g} ms and a percentile of {percentile_ms:g} ms: allow more latency"
        )
    _, cascade, place = best
    settled = cascade.early
    if isinstance(cascade, PairCascade):
        thresholds: tuple[float, ...] = (float(cascade.thresholds[place]),)
    elif cascade.how == "agreement":
        thresholds, settled = (), cascade.later
    else:
        i, j = np.unravel_index(place, cascade.accuracy.shape)
        thresholds = float(cascade.first[i]), float(cascade.second[j])
    early, accuracy_oof, accuracy_test, mean, high = (
        float(v.ravel()[place])
        for v in (settled, cascade.accuracy, cascade.accuracy_test, cascade.mean_ms, cascade.percentile_ms)
    )
    return CascadePick(cascade.members, thresholds, early, accuracy_oof, accuracy_test, accuracy_oof - accuracy_test, mean, high)


def one_cascade(
    votes: Votes,
    latencies: Mapping[str, Floats],
    members: Sequence[str],
    thresholds: Sequence[float],
    *,
    how: ConfidenceName = "margin",
    percentile: float = 99,
) -> CascadePick:
    """What one cascade of any length would do: the prediction that one which was built is held against.

    Parameters
    ----------
    votes, latencies, percentile
        As for :func:`pair_cascades`.
    members : sequence of str
        At least two, in the order in which they are asked; at least three by agreement.
    thresholds : sequence of float
        One for each member but the last; none by agreement.
    how : {"margin", "entropy", "agreement"}

    Returns
    -------
    CascadePick
        Latencies at the out-of-fold shares.

    Raises
    ------
    InputError
        As from :func:`pair_cascades`, or if the thresholds do not fit the members.
    """
    from shipworthy.deployables import repeats

    check_cascades(votes, latencies)
    agree = how == "agreement"
    if agree and len(members) < 3:
        raise InputError(
            f"a cascade of {len(members)} by agreement asks all its members of every row: name three or more, or choose margin"
        )
    if agree and thresholds:
        raise InputError(f"a cascade by agreement has no thresholds, and {len(thresholds)} are given: leave them out")
    if len(members) < 2 or (not agree and len(thresholds) != len(members) - 1):
        raise InputError(
            f"a cascade of {len(members)} by {how} cannot have {len(thresholds)} thresholds: give one for each but the last"
        )
    places = votes.positions(tuple(members))
    shares, accuracies = [], []
    for rows in (votes.oof, votes.test):
        stage = np.full(len(rows.y), len(places) - 1)
        said = [rows.said[place].T for place in places]
        for i in reversed(range(len(places) - 1)):
            stage[repeats(said[: i + 1]) if agree else confidence(said[i].T, how) >= thresholds[i]] = i
        shares.append(np.bincount(stage, minlength=len(places)) / len(stage))
        right = np.array([rows.said[place].argmax(axis=0) == rows.y for place in places])
        accuracies.append(float(right[stage, np.arange(len(stage))].mean()))
    asked = np.cumsum([latencies[name] for name in members], axis=0)
    return CascadePick(
        members=tuple(members),
        thresholds=tuple(map(float, thresholds)),
        early=float(shares[0][int(agree)]),
        accuracy=accuracies[0],
        accuracy_test=accuracies[1],
        optimism=accuracies[0] - accuracies[1],
        mean_ms=float(asked.mean(axis=1) @ shares[0]),
        percentile_ms=float(mixture_percentile(asked, shares[0][:, None], percentile)[0]),
    )


def mixture_percentile(stages: Floats, shares: Floats, percentile: float) -> Floats:
    """Percentile (nearest rank) of a latency that is each stage's with some probability.

    Parameters
    ----------
    stages : ndarray of float64, shape (n_stages, n_draws)
    shares : ndarray of float64, shape (n_stages, n)
        They sum to 1 over the stages.
    percentile : float

    Returns
    -------
    ndarray of float64, shape (n,)

    Examples
    --------
    >>> mixture_percentile(np.array([[1.0, 2.0], [10.0, 20.0]]), np.array([[1.0, 0.5], [0.0, 0.5]]), 99)
    array([ 2., 20.])
    """
    from shipworthy.simulation import kernels

    values = np.empty(shares.shape[1])
    kernels.mixtures(np.sort(stages, axis=1), np.ascontiguousarray(shares, np.float64), percentile / 100 - 1e-12, values)
    return values


def _two_stage_percentile(first: Floats, both: Floats, early: Floats, percentile: float) -> Floats:
    """As :func:`mixture_percentile`, by one look-up for each share: the share from which each value is enough only falls."""
    values = np.sort(np.concatenate([first, both]))
    of_first, of_both = (np.searchsorted(np.sort(s), values, side="right") / len(s) for s in (first, both))
    wanted = percentile / 100 - 1e-12
    gap = of_first - of_both
    needed = np.where(of_both >= wanted, -np.inf, np.inf)
    np.divide(wanted - of_both, gap, out=needed, where=(gap > 0) & (of_both < wanted))
    falling = np.minimum.accumulate(needed)
    return np.asarray(values[np.minimum(np.searchsorted(-falling, -early, side="left"), len(values) - 1)])


class _Stages:
    """Which rows each of the first two members answers, at all levels of both thresholds at once.

    A row in place ``i`` is answered at level ``i`` and beyond; a place past the last level is never answered there.
    """

    def __init__(self, first: Ints, second: Ints, shape: tuple[int, int]) -> None:
        self.first, self.n, self.shape = first, len(first), shape
        self.cell = first * (shape[1] + 1) + second

    def _counts(self, weights: Floats) -> Floats:
        rows, columns = self.shape[0] + 1, self.shape[1] + 1
        return np.asarray(np.bincount(self.cell, weights, minlength=rows * columns).reshape(rows, columns) / self.n)

    def shares(self, of_first: Floats, of_second: Floats) -> Floats:
        """Weighted share that the first and the second member answer, shape (2, n_first, n_second)."""
        early = np.cumsum(np.bincount(self.first, of_first, minlength=self.shape[0] + 1) / self.n)[:-1]
        # Rows past level i of the first, and up to level j of the second.
        passed = _after(self._counts(of_second), axis=0)
        return np.stack([np.broadcast_to(early[:, None], self.shape), np.cumsum(passed, axis=1)[:, :-1]])

    def last(self, weights: Floats) -> Floats:
        """Weighted share that neither answers, shape (n_first, n_second)."""
        return _after(_after(self._counts(weights), axis=0), axis=1)


def _after(counts: Floats, axis: int) -> Floats:
    """For each place but the last, the sum over all later places."""
    total = counts.sum(axis=axis, keepdims=True) - np.cumsum(counts, axis=axis)
    return np.asarray(np.delete(total, -1, axis=axis))


def _falling(sure: Floats) -> tuple[Ints, Ints, Floats]:
    """Rows by falling confidence; how many each threshold answers; and the thresholds, ``inf`` first."""
    order = np.argsort(-sure, kind="stable")
    falling = sure[order]
    ends = np.append(np.flatnonzero(np.diff(falling)) + 1, len(sure))
    return order, np.concatenate([[0], ends]), np.concatenate([[np.inf], falling[ends - 1]])


def _levels(sure: Floats, levels: int) -> Floats:
    """Thresholds between which equally many rows lie, ``inf`` first; the last answers everything."""
    shares = np.linspace(1, 0, levels)[1:]
    return np.concatenate([[np.inf], np.unique(np.quantile(sure, shares, method="inverted_cdf"))[::-1]])


def _place(sure: Floats, thresholds: Floats) -> Ints:
    """The first threshold, falling, that a confidence reaches."""
    return np.searchsorted(-thresholds, -sure, side="left").astype(np.int64)


def _prefix(values: NDArray[np.float64], order: Ints) -> Floats:
    """Sums of the first 0, 1, 2, ... values in an order."""
    return np.asarray(np.concatenate([[0.0], np.cumsum(values[order])]))


def _right(rows: Rows) -> Floats:
    """Where each member is right, shape (n_members, n_rows), as 0.0 and 1.0."""
    return np.asarray(rows.said.argmax(axis=1) == rows.y, dtype=np.float64)


def check_cascades(votes: Votes, latencies: Mapping[str, Floats]) -> None:
    """Refuse a regression, a single member, and latencies that are not of all members, not equally many, or no numbers.

    Raises
    ------
    InputError
        Likewise.
    """
    if votes.task == "regression":
        raise InputError("a cascade needs classes to be sure of, and this is a regression: compare votes instead")
    if votes.n_members < 2:
        raise InputError(f"a cascade needs two members to ask in turn, not {votes.n_members}: name more trained candidates")
    if unknown := [n for n in votes.names if n not in latencies]:
        raise InputError(f"the latency of {unknown[0]} is not given: measure it, and pass what latency_samples returns")
    if len({len(latencies[n]) for n in votes.names}) > 1:
        raise InputError("members have different numbers of latencies: pass what latency_samples returns")
    if unknown := [n for n in votes.names if not len(latencies[n]) or not np.isfinite(latencies[n]).all()]:
        raise InputError(f"the latencies of {unknown[0]} are none, or not all finite: measure it again, or leave it out")
