"""Choosing members and weights where not every subset can be tried: up to hundreds of members.

Everything is chosen on out-of-fold rows and scored on test rows. Where the exact table can be made too, :func:`price_of_greed`
says what the short cut cost.

This module does *not* know how an ensemble is built from its weights, or what a millisecond is worth: it is told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np

from shipworthy.records import Floats, InputError, Selection
from shipworthy.simulation.costs import Build, CostModel, MemberCost, serve
from shipworthy.simulation.frontier import Pick, pick
from shipworthy.simulation.scoring import TIE, as_loss, check_metric, score, scores
from shipworthy.simulation.subsets import SubsetTable, error_products, usable_cores
from shipworthy.simulation.votes import Votes, true_class_first

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_MEMBERS = 200
SMALLEST_WEIGHT = 1e-4
"""A smaller weight costs a whole member and moves no answer."""
_Convex = tuple[Callable[[Floats], float], Callable[[Floats], Floats], float]


@dataclass(frozen=True, slots=True)
class PricedCosts:
    """What members cost, and how much of the metric one is willing to pay for it.

    Parameters
    ----------
    costs : tuple of MemberCost
        One for each member, in the order of the votes.
    per_ms, per_mib : float
        Loss of the metric that a millisecond of latency or a mebibyte of memory is worth; 0 only reports them.
    model : CostModel
    build : Build
    """

    costs: tuple[MemberCost, ...]
    per_ms: float = 0.0
    per_mib: float = 0.0
    model: CostModel = field(default_factory=CostModel)
    build: Build = field(default_factory=Build)

    def of(self, membership: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Latency and memory of ensembles, shape (n_ensembles, n_members) -> two of (n_ensembles,)."""
        served = serve(self.costs, membership, model=self.model, build=self.build)
        return served.latency_ms, served.memory_mib

    def penalty(self, membership: NDArray[np.bool_]) -> Floats:
        """What ensembles are charged, in the metric's unit; what is charged nothing need not be known.

        Raises
        ------
        InputError
            If what is charged is not known of a member.
        """
        for charge, what, known in (
            (self.per_ms, "latency", [c.latency_ms for c in self.costs]),
            (self.per_mib, "memory", [c.memory_mib for c in self.costs]),
        ):
            if charge and (unknown := [c.name for c, cost in zip(self.costs, known, strict=True) if not math.isfinite(cost)]):
                raise InputError(f"the {what} of {unknown[0]} is not known, so it cannot be charged: measure it or leave it out")
        latency, memory = self.of(membership)
        charged = np.zeros(len(membership))
        if self.per_ms:
            charged += self.per_ms * latency
        if self.per_mib:
            charged += self.per_mib * memory
        return charged


class _Extensions:
    """Out-of-fold loss of what is chosen with any one more member; its threads end with the ``with`` block."""

    def __init__(self, votes: Votes, metric: str, n_jobs: int | None) -> None:
        _check_members(votes)
        self.metric = check_metric(metric, votes.task, ranking=True)
        self.rows, self.n_jobs = votes.oof, usable_cores(n_jobs)
        self.pool = ThreadPoolExecutor(self.n_jobs)
        if metric in {"brier", "rmse"}:
            self.products = error_products(votes.oof, votes.task)
        elif metric in {"log_loss", "accuracy"}:
            self.ordered, self.loses = true_class_first(votes.oof, alone=metric == "log_loss")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.pool.shutdown()

    def start(self) -> Floats:
        """The sum of no members."""
        if self.metric in {"brier", "rmse"}:
            return np.zeros(0)
        return np.zeros((self.rows.said if self.metric == "roc_auc" else self.ordered).shape[1:])

    def add(self, sums: Floats, member: int) -> Floats:
        """The sum with one more member."""
        if self.metric in {"brier", "rmse"}:
            return sums
        return np.asarray(sums + (self.rows.said if self.metric == "roc_auc" else self.ordered)[member])

    def losses(self, sums: Floats, counts: NDArray[np.int64]) -> Floats:
        """Loss with each member added once more, shape (n_members,); ``counts`` says how often each is in ``sums``."""
        size = int(counts.sum()) + 1
        if self.metric in {"brier", "rmse"}:
            now = counts @ self.products
            squared = np.maximum(now @ counts + 2 * now + np.diag(self.products), 0) / size**2
            return np.sqrt(squared) if self.metric == "rmse" else np.asarray(squared)
        n = len(counts)
        if self.metric == "roc_auc":
            ranked = self.pool.map(lambda j: score("roc_auc", self.rows.y, sums + self.rows.said[j]), range(n))
            return -np.fromiter(ranked, np.float64, n)
        return self._compiled(sums, float(size), n)

    def _compiled(self, sums: Floats, size: float, n: int) -> Floats:
        from shipworthy.simulation import kernels

        log_sums, rights = np.empty(n), np.empty(n, np.int64)
        likely = self.metric == "log_loss"

        def part(first: int, last: int) -> None:
            kernels.score_extensions(sums, self.ordered, self.loses, size, likely, first, last, log_sums, rights)

        edges = np.linspace(0, n, min(n, self.n_jobs) + 1).astype(int).tolist()
        for _ in self.pool.map(part, edges[:-1], edges[1:]):
            pass
        n_rows = len(self.rows.y)
        return math.log(size) - log_sums / n_rows if likely else -rights / n_rows


def greedy(
    votes: Votes,
    metric: str,
    *,
    steps: int = 100,
    replacement: bool = True,
    priced: PricedCosts | None = None,
    n_jobs: int | None = None,
) -> Selection:
    """Add the member that helps most, again and again; the best of all steps is kept.

    Source: Caruana, Niculescu-Mizil, Crew and Ksikes (2004), "Ensemble selection from libraries of models".

    Parameters
    ----------
    votes : Votes
        Of at most 200 members.
    metric : str
        ROC AUC is admitted, and needs a sort for each member and step.
    steps : int
        How many members are added at most.
    replacement : bool
        Whether a member may be added again, which gives it weight.
    priced : PricedCosts, optional
        Costs that are charged against the metric, once for each member that is in.
    n_jobs : int, optional
        Threads; left out, as many as there are usable cores. The results are the same.

    Returns
    -------
    Selection
        Of equals, a member that is in already, then the first one; and the earliest step.

    Raises
    ------
    InputError
        For a metric that the task does not have, too many members, or no steps.
    """
    _check_costs(votes, priced)
    if steps < 1:
        raise InputError(f"steps must be at least 1, not {steps}")
    counts = np.zeros(votes.n_members, np.int64)
    best, kept = math.inf, counts
    with _Extensions(votes, metric, n_jobs) as extensions:
        sums = extensions.start()
        for _ in range(steps if replacement else min(steps, votes.n_members)):
            objective = extensions.losses(sums, counts)
            if priced is not None:
                objective = objective + priced.penalty((counts > 0) | np.eye(votes.n_members, dtype=bool))
            if not replacement:
                objective = np.where(counts > 0, math.inf, objective)
            chosen = _first_of_least(objective, counts)
            counts = counts.copy()
            counts[chosen] += 1
            sums = extensions.add(sums, chosen)
            if _beats(float(objective[chosen]), best):
                best, kept = float(objective[chosen]), counts
    way = "with replacement" if replacement else "without replacement"
    return _selection(
        votes, metric, kept / kept.sum(), f"greedy {way}, {int(kept.sum())} of {steps} steps{_charged(priced)}", priced
    )


def beam(
    votes: Votes,
    metric: str,
    *,
    width: int = 8,
    most: int = 12,
    priced: PricedCosts | None = None,
    n_jobs: int | None = None,
) -> Selection:
    """Grow uniform votes of one member, two, three; of each size the ``width`` best are grown further.

    Parameters
    ----------
    votes : Votes
        Of at most 200 members.
    metric : str
    width : int
        With a width of 1 it is greedy without replacement.
    most : int
        Members that a vote may have.
    priced : PricedCosts, optional
    n_jobs : int, optional

    Returns
    -------
    Selection
        The best vote of any size.

    Raises
    ------
    InputError
        As from :func:`greedy`, or for a beam without width or members.
    """
    _check_costs(votes, priced)
    if width < 1 or most < 1:
        raise InputError(f"a beam needs a width and a size of at least 1, not {width} and {most}")
    n = votes.n_members
    best, kept = math.inf, 0
    with _Extensions(votes, metric, n_jobs) as extensions:
        front: list[tuple[int, Floats]] = [(0, extensions.start())]
        for _ in range(min(most, n)):
            ranked = _grown(extensions, front, n, priced)[:width]
            front = [(members, extensions.add(sums, i)) for _, members, i, sums in ranked]
            if _beats(ranked[0][0], best):
                best, kept = ranked[0][:2]
    weights = np.array([kept >> i & 1 for i in range(n)]) / kept.bit_count()
    return _selection(
        votes, metric, weights, f"beam search of width {width} up to {min(most, n)} members{_charged(priced)}", priced
    )


def _grown(
    extensions: _Extensions, front: Sequence[tuple[int, Floats]], n: int, priced: PricedCosts | None
) -> list[tuple[float, int, int, Floats]]:
    """Every vote of one member more: its objective, its members, who came last, and the sum without the last; best first."""
    grown: dict[int, tuple[float, int, int, Floats]] = {}
    for members, sums in front:
        counts = np.array([members >> i & 1 for i in range(n)], dtype=np.int64)
        objective = extensions.losses(sums, counts)
        if priced is not None:
            objective = objective + priced.penalty((counts > 0) | np.eye(n, dtype=bool))
        for i in np.flatnonzero(counts == 0).tolist():
            larger = members | 1 << i
            grown.setdefault(larger, (float(objective[i]), larger, i, sums))
    return sorted(grown.values(), key=lambda vote: vote[:2])


def _beats(objective: float, best: float) -> bool:
    """Whether an objective is less by more than rounding: a vote that holds a copy besides is no better, and costs more."""
    return objective < best and not math.isclose(objective, best, rel_tol=TIE)


def _first_of_least(objective: Floats, counts: NDArray[np.int64]) -> int:
    """The member with the smallest objective; where rounding alone decides, one that is in already keeps the ensemble small."""
    least = objective.min()
    equal = np.flatnonzero(objective <= least + 1e-12 * max(1.0, abs(least)))
    return int(min(equal, key=lambda i: (counts[i] == 0, i)))


def top_vote(votes: Votes, metric: str, size: int, *, priced: PricedCosts | None = None) -> Selection:
    """The uniform vote of the members that are best alone: what a sceptic would try first.

    Parameters
    ----------
    votes : Votes
    metric : str
    size : int
        How many members vote.
    priced : PricedCosts, optional
        Only reported.

    Returns
    -------
    Selection

    Raises
    ------
    InputError
        For a metric that the task does not have, or a size that the members do not admit.
    """
    check_metric(metric, votes.task, ranking=True)
    if not 1 <= size <= votes.n_members:
        raise InputError(f"size must be from 1 to {votes.n_members}, the number of members, not {size}")
    alone = [as_loss(metric, score(metric, votes.oof.y, said)) for said in votes.oof.said]
    weights = np.zeros(votes.n_members)
    weights[np.argsort(alone, kind="stable")[:size]] = 1 / size
    return _selection(votes, metric, weights, f"uniform vote of the {size} best alone", priced)


def convex_weights(votes: Votes, metric: str, *, priced: PricedCosts | None = None) -> Selection:
    """The weights, none below 0 and summing to 1, that no others beat on the out-of-fold rows.

    Parameters
    ----------
    votes : Votes
        Of at most 200 members.
    metric : {"log_loss", "brier", "rmse"}
        Those that are convex in the weights.
    priced : PricedCosts, optional
        Only reported.

    Returns
    -------
    Selection
        ``how`` states how far the weights may be from the best: the loss is convex, so its slope proves it (the gap of Frank and
        Wolfe). Weights below 0.0001 are dropped.

    Raises
    ------
    InputError
        For another metric, or too many members.
    """
    from scipy.optimize import minimize

    if metric == "accuracy":
        raise InputError("accuracy is not convex in the weights: optimise log_loss or brier, or select greedily")
    check_metric(metric, votes.task)
    _check_members(votes)
    n = votes.n_members
    loss, slope, unit = _likelihood(votes) if metric == "log_loss" else _squares(votes)
    simplex = {"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(len(w))}
    start = np.full(n, 1 / n)
    found = minimize(
        loss,
        start,
        jac=slope,
        bounds=[(0, 1)] * n,
        constraints=[simplex],
        method="SLSQP",
        options={"maxiter": 300, "ftol": 1e-12},
    )
    weights = np.where(found.x < SMALLEST_WEIGHT, 0.0, found.x)
    weights /= weights.sum()
    gradient = slope(weights)
    # Rounding may leave less than nothing of a target that is met.
    reached, gap = unit * max(0.0, loss(weights)), unit * max(0.0, float(weights @ gradient - gradient.min()))
    if metric == "rmse":
        gap = math.sqrt(reached) - math.sqrt(max(reached - gap, 0.0))
    how = f"convex weights by {metric}, at most {gap:.1e} from the best possible"
    return _selection(votes, metric, weights, how, priced)


def _likelihood(votes: Votes) -> _Convex:
    """The loss, its slope, and the unit that both are in."""
    rows = votes.oof
    stated = np.ascontiguousarray(rows.said[:, rows.y, np.arange(len(rows.y))])
    lowest = 2.0**-52

    def loss(w: Floats) -> float:
        return float(-np.log(np.maximum(w @ stated, lowest)).mean())

    def slope(w: Floats) -> Floats:
        return np.asarray(-(stated @ (1 / np.maximum(w @ stated, lowest))) / len(rows.y))

    return loss, slope, 1.0


def _squares(votes: Votes) -> _Convex:
    """Likewise; the unit is the members' own mean squared error, because the search stops too soon at numbers far from 1."""
    products = error_products(votes.oof, votes.task)
    unit = float(np.diag(products).mean()) or 1.0
    scaled = products / unit
    return (lambda w: float(w @ scaled @ w)), (lambda w: 2 * scaled @ w), unit


@dataclass(frozen=True, slots=True)
class PriceOfGreed:
    """What a short cut cost beside the best uniform vote of any subset.

    ``gap_oof`` and ``gap_test`` are the selection's loss of the metric less the exact one's: above 0, greed cost something. Below
    0 is possible: weights can do what uniform votes cannot, and on test rows luck can. ``gap_ms`` and ``gap_mib`` are the
    selection's costs less the exact one's; ``nan`` where they are not known.
    """

    selection: Selection
    exact: Pick
    gap_oof: float
    gap_test: float
    gap_ms: float
    gap_mib: float


def price_of_greed(table: SubsetTable, selection: Selection, *, same_budget: bool = False) -> PriceOfGreed:
    """Compare a selection with the best subset that there is.

    Parameters
    ----------
    table : SubsetTable
        Of the same members, or of the best of them where there are more than a table takes.
    selection : Selection
        Chosen by a metric that the table holds.
    same_budget : bool
        Compare with the best subset that costs no more latency and memory than the selection; the table and the selection must
        then know their costs.

    Returns
    -------
    PriceOfGreed

    Raises
    ------
    InputError
        If the table does not hold the metric, or costs are needed and not known.
    """
    allowed = None
    if same_budget:
        served = table.costs()
        if math.isnan(selection.latency_ms + selection.memory_mib):
            raise InputError("the selection knows no latency or memory: give the selection its members' costs")
        # Its own members cost what it costs; rounding must not rule them out.
        slack = 1 + 1e-9
        allowed = (served.latency_ms <= selection.latency_ms * slack) & (served.memory_mib <= selection.memory_mib * slack)
    exact = pick(table, selection.metric, allowed)
    oof, test = selection.oof[selection.metric] - exact.oof, selection.test[selection.metric] - exact.test
    return PriceOfGreed(
        selection=selection,
        exact=exact,
        gap_oof=as_loss(selection.metric, oof),
        gap_test=as_loss(selection.metric, test),
        gap_ms=selection.latency_ms - exact.latency_ms,
        gap_mib=selection.memory_mib - exact.memory_mib,
    )


def _check_members(votes: Votes) -> None:
    if not votes.n_members:
        raise InputError("a selection chooses among members, and there is none: name more trained candidates")
    if votes.n_members > MOST_MEMBERS:
        raise InputError(f"a selection takes at most {MOST_MEMBERS} members, not {votes.n_members}: leave the worst out")


def _check_costs(votes: Votes, priced: PricedCosts | None) -> None:
    if priced is not None and tuple(c.name for c in priced.costs) != votes.names:
        raise InputError(f"costs must be those of {', '.join(votes.names)}, in this order: gather them anew")


def _charged(priced: PricedCosts | None) -> str:
    if priced is None or not (priced.per_ms or priced.per_mib):
        return ""
    return f", charged {priced.per_ms:g} for a ms and {priced.per_mib:g} for a MiB"


def _selection(votes: Votes, metric: str, weights: Floats, how: str, priced: PricedCosts | None) -> Selection:
    oof, test = scores(votes, weights)
    chosen = np.flatnonzero(weights > 0).tolist()
    latency, memory = math.nan, math.nan
    if priced is not None:
        _check_costs(votes, priced)
        times, sizes = priced.of((weights > 0)[None])
        latency, memory = float(times[0]), float(sizes[0])
    names: Sequence[str] = votes.names
    return Selection(
        members=tuple(names[i] for i in chosen),
        weights=tuple(float(weights[i]) for i in chosen),
        metric=metric,
        oof=oof,
        test=test,
        how=how,
        latency_ms=latency,
        memory_mib=memory,
    )
