"""What ensembles that nobody has built would cost to serve: a law, calibrated on a few that somebody has.

Latency is no plain sum. Medians add up, but slow moments of independent members seldom meet, so what a member's percentile lies
above its median is added as a root of squares; members on several cores overlap; preprocessing may be shared; the ensemble
itself has overhead. Memory is no plain sum either: one process imports a library once.

    latency = fixed + per_member * members + stack * [stacked] + factor * work
    memory  = base + sum of (memory of a member - base)

This module does *not* know how anything was measured, or which cost is acceptable.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from shipworthy.records import Floats, InputError, Measurement

if TYPE_CHECKING:
    from numpy.typing import NDArray

RIDGE = 0.1
"""Pull towards a plain sum without overhead, per unit of relative error squared.

It says what is believed before anything is measured: if ensembles are 5 % off the law, that work inside an ensemble takes what it
takes alone, and that overhead is nothing, give or take 16 % of an ensemble's latency. A few ensembles that happen to be alike in
latency would otherwise teach that work does not matter, and every ensemble would be as fast as they. A dozen outvote it."""


@dataclass(frozen=True, slots=True)
class MemberCost:
    """What serving one member alone was measured to cost, single-stream.

    Parameters
    ----------
    name : str
    p50_ms : float
        Median latency; the mean where that is in question.
    tail_ms : float
        What the percentile in question lies above the median; 0 for the mean, because means add up.
    preprocess_ms : float
        Part of the median that building the row and preprocessing take; ``nan`` where it is not known.
    cpu_ms : float
        CPU time of a query.
    memory_mib, size_mib : float
        Of the serving process, and of the artefact on disk.
    """

    name: str
    p50_ms: float
    tail_ms: float
    preprocess_ms: float
    cpu_ms: float
    memory_mib: float
    size_mib: float

    @property
    def latency_ms(self) -> float:
        """The percentile in question, or the mean."""
        return self.p50_ms + self.tail_ms


def member_cost(name: str, measurements: Iterable[Measurement], *, percentile: float | None = 99) -> MemberCost:
    """Gather a member's costs from its measurements; the rounds are pooled.

    Parameters
    ----------
    name : str
    measurements : iterable of Measurement
        Those of other candidates are passed over.
    percentile : float or None
        Of the latency, such as 99; ``None`` for the mean.

    Returns
    -------
    MemberCost
        What was not measured is ``nan``, but the latency must be there.

    Raises
    ------
    InputError
        If its single-stream latency was not measured, or it was measured on several data sets.
    """
    mine = [m for m in measurements if m.candidate == name and m.conditions.batch_size in {0, 1}]
    if len(on := {m.dataset for m in mine}) > 1:
        raise InputError(f"{name} was measured on {', '.join(sorted(on))}: give the measurements of one data set")
    pooled: dict[str, list[float]] = {}
    for m in mine:
        if m.quantity != "latency_ms" or m.conditions.scenario == "single_stream":
            pooled.setdefault(m.quantity, []).extend(m.values)
    latency = pooled.get("latency_ms")
    if not latency:
        raise InputError(f"the single-stream latency of {name} was not measured: measure it first")

    def middle(quantity: str) -> float:
        return float(np.median(pooled[quantity])) if pooled.get(quantity) else math.nan

    if percentile is None:
        p50 = high = float(np.mean(latency))
    else:
        p50, high = (float(np.percentile(latency, q, method="inverted_cdf")) for q in (50, percentile))
    # Preprocessing is timed apart, so on a busy machine it may come out longer than the whole.
    preprocess = min(middle("build_ms") + middle("preprocess_ms"), p50) if pooled.get("preprocess_ms") else math.nan
    return MemberCost(name, p50, high - p50, preprocess, middle("cpu_ms"), middle("memory_mib"), middle("size_mib"))


@dataclass(frozen=True, slots=True)
class Build:
    """How an ensemble is built: on how many cores its members run, whether preprocessing is shared, whether it is stacked."""

    cores: int = 1
    shared_preprocessing: bool = False
    stacked: bool = False

    def __post_init__(self) -> None:
        """Refuse no cores."""
        if self.cores < 1:
            raise InputError(f"cores must be at least 1, not {self.cores}")

    @property
    def as_built_here(self) -> bool:
        """Whether it is how ensembles are really built: one member after another, each with preprocessing of its own."""
        return self.cores == 1 and not self.shared_preprocessing

    def sentence(self) -> str:
        """How the members of an ensemble are assumed to run.

        Examples
        --------
        >>> Build().sentence()
        'Members of an ensemble are assumed to run one after another on one core, each with preprocessing of its own.'
        >>> Build(cores=4, shared_preprocessing=True).sentence()
        'Members of an ensemble are assumed to run at once on 4 cores, with preprocessing that they share.'
        """
        run = "one after another on one core, " if self.cores == 1 else f"at once on {self.cores} cores, "
        run += "with preprocessing that they share" if self.shared_preprocessing else "each with preprocessing of its own"
        return f"Members of an ensemble are assumed to run {run}."


@dataclass(frozen=True, slots=True)
class Composite:
    """An ensemble that was built and measured: what a :class:`CostModel` is calibrated on.

    ``latency_ms`` is the same percentile as its members'; ``memory_mib`` may be ``nan``.
    """

    members: tuple[str, ...]
    latency_ms: float
    memory_mib: float = math.nan
    build: Build = Build()


@dataclass(frozen=True, slots=True)
class CostModel:
    """The law with its coefficients, and how far it was off on composites that it had not seen.

    Parameters
    ----------
    fixed_ms, per_member_ms, stack_ms : float
        Overhead of any ensemble, of each member in it, and of a final estimator.
    factor : float
        What work takes inside an ensemble over what it takes alone.
    base_memory_mib : float
        Memory that all members hold alike; ``nan`` takes that of the smallest member.
    latency_low, latency_high, memory_low, memory_high : float
        Smallest and largest ratio of measured to predicted, each composite left out of the fit in turn, never narrower than 1
        to 1; ``nan`` where there were no composites to tell.
    n_composites : int
        How many it was calibrated on. Were the next one like them, the interval would miss it once in ``(n + 1) / 2`` times.
    """

    fixed_ms: float = 0.0
    per_member_ms: float = 0.0
    stack_ms: float = 0.0
    factor: float = 1.0
    base_memory_mib: float = math.nan
    latency_low: float = math.nan
    latency_high: float = math.nan
    memory_low: float = math.nan
    memory_high: float = math.nan
    n_composites: int = 0

    def sentence(self) -> str:
        """How far the law may be trusted, in a sentence.

        Examples
        --------
        >>> CostModel().sentence()
        'Costs of ensembles are a law that no measured ensemble has tested: their error is not known.'
        """
        if not self.n_composites:
            return "Costs of ensembles are a law that no measured ensemble has tested: their error is not known."
        memory = ""
        if math.isfinite(self.memory_low):
            memory = f", and their memory {_off(self.memory_low)} to {_off(self.memory_high)}"
        # One more, as likely as any to be the furthest at either end.
        outside = 100 * min(1.0, 2 / (self.n_composites + 1))
        return (
            f"Latencies of ensembles are predicted by a law calibrated on {self.n_composites} that were measured; "
            f"left out of it in turn, they were {_off(self.latency_low)} to {_off(self.latency_high)} off what it said{memory}. "
            f"Of other ensembles like those, about {outside:.0f} % would be further off."
        )


def _off(ratio: float) -> str:
    return f"{round(100 * (ratio - 1)):+d} %"


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """What ensembles are predicted to cost; every field is an array of shape (n_ensembles,).

    The low and high ends are those of the law's error; those of a single member are the measured value itself.
    """

    latency_ms: Floats
    latency_low_ms: Floats
    latency_high_ms: Floats
    memory_mib: Floats
    memory_low_mib: Floats
    memory_high_mib: Floats
    size_mib: Floats
    cpu_ms: Floats

    @classmethod
    def concatenate(cls, parts: Sequence[Served]) -> Served:
        """One after the other."""
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))


def work_ms(costs: Sequence[MemberCost], membership: NDArray[np.bool_], build: Build) -> Floats:
    """The time that the members' own work takes before any overhead, at the percentile of their costs.

    Parameters
    ----------
    costs : sequence of MemberCost, length n_members
    membership : ndarray of bool, shape (n_ensembles, n_members)
    build : Build

    Returns
    -------
    ndarray of float64, shape (n_ensembles,)
        On several cores each member goes, longest first, to the core that is free first (Graham's rule).

    Raises
    ------
    InputError
        If preprocessing is shared and a member's is not known.
    """
    own = np.array([c.p50_ms for c in costs])
    shared = np.zeros(len(membership))
    if build.shared_preprocessing:
        preprocess = _preprocessing(costs)
        own = own - preprocess
        shared = (membership * preprocess).max(axis=1, initial=0.0)
    tail = np.array([c.tail_ms for c in costs])
    cores = min(build.cores, len(costs))
    busy, spread = np.zeros((len(membership), cores)), np.zeros((len(membership), cores))
    every = np.arange(len(membership))
    for i in np.argsort(-own, kind="stable"):
        free = busy.argmin(axis=1) if cores > 1 else 0
        busy[every, free] += own[i] * membership[:, i]
        spread[every, free] += tail[i] ** 2 * membership[:, i]
    return np.asarray(shared + (busy + np.sqrt(spread)).max(axis=1))


def serve(costs: Sequence[MemberCost], membership: NDArray[np.bool_], *, model: CostModel, build: Build) -> Served:
    """Predict what ensembles cost. One member alone, not stacked, costs what it was measured to cost; no member, nothing.

    Parameters
    ----------
    costs : sequence of MemberCost, length n_members
    membership : ndarray of bool, shape (n_ensembles, n_members)
    model : CostModel
    build : Build

    Returns
    -------
    Served

    Raises
    ------
    InputError
        If preprocessing is shared and a member's is not known.
    """
    sizes = membership.sum(axis=1)
    weights = membership.astype(np.float64)
    latency = model.fixed_ms + model.per_member_ms * sizes + model.factor * work_ms(costs, membership, build)
    latency += model.stack_ms * build.stacked
    memory = weights @ np.array([c.memory_mib for c in costs]) - (sizes - 1) * _base(costs, model)
    cpu = weights @ np.array([c.cpu_ms for c in costs])
    if build.shared_preprocessing:
        preprocess = _preprocessing(costs)
        cpu -= weights @ preprocess - (weights * preprocess).max(axis=1, initial=0.0)
    alone = (sizes == 1) & (not build.stacked)
    latency = np.where(alone, weights @ np.array([c.latency_ms for c in costs]), latency)
    for values in (latency, memory, cpu):
        values[sizes == 0] = 0.0

    def end(values: Floats, ratio: float) -> Floats:
        return np.where(alone | (sizes == 0), values, values * ratio)

    return Served(
        latency_ms=latency,
        latency_low_ms=end(latency, model.latency_low),
        latency_high_ms=end(latency, model.latency_high),
        memory_mib=memory,
        memory_low_mib=end(memory, model.memory_low),
        memory_high_mib=end(memory, model.memory_high),
        size_mib=weights @ np.array([c.size_mib for c in costs]),
        cpu_ms=cpu,
    )


def calibrate(costs: Sequence[MemberCost], composites: Sequence[Composite]) -> CostModel:
    """Fit the law to ensembles that were measured, and say how far it is off on those that it has not seen.

    Parameters
    ----------
    costs : sequence of MemberCost
        Of all members of the composites.
    composites : sequence of Composite
        At least two, of at least two members each, or stacked.

    Returns
    -------
    CostModel
        The coefficients, none below 0, have the smallest squared relative error, with a pull towards a plain sum without
        overhead (:data:`RIDGE`), which decides what few composites leave open.

    Raises
    ------
    InputError
        For fewer than two composites, a member without costs, a composite that is one plain member, or a latency that is not
        above 0.
    """
    if len(composites) < 2:
        raise InputError(f"a law of costs needs at least two measured ensembles, not {len(composites)}: build and measure more")
    names = [c.name for c in costs]
    for c in composites:
        title = " + ".join(c.members)
        if strays := [m for m in c.members if m not in names]:
            raise InputError(f"the costs of {strays[0]}, a member of {title}, are not known: measure it alone first")
        if len(c.members) < 2 and not c.build.stacked:
            raise InputError(f"{title or 'an ensemble of nothing'} is no ensemble: calibrate on those of two members or more")
        if not (math.isfinite(c.latency_ms) and c.latency_ms > 0):
            raise InputError(f"the latency of {title} must be above 0 ms, not {c.latency_ms}: measure it again")
    everyone = range(len(composites))
    features = np.vstack([_features(costs, c) for c in composites])
    measured = np.array([c.latency_ms for c in composites])
    unseen = []
    for left_out in everyone:
        kept = [i for i in everyone if i != left_out]
        unseen.append(float(measured[left_out] / (features[left_out] @ _coefficients(features[kept], measured[kept]))))
    fixed, per_member, stack, factor = _coefficients(features, measured).tolist()
    base, memory_low, memory_high = _fitted_base(costs, composites)
    return CostModel(
        fixed_ms=fixed,
        per_member_ms=per_member,
        stack_ms=stack,
        factor=factor,
        base_memory_mib=base,
        latency_low=min(1.0, *unseen),
        latency_high=max(1.0, *unseen),
        memory_low=memory_low,
        memory_high=memory_high,
        n_composites=len(composites),
    )


def _features(costs: Sequence[MemberCost], composite: Composite) -> Floats:
    membership = np.array([[c.name in composite.members for c in costs]])
    work = float(work_ms(costs, membership, composite.build)[0])
    return np.array([1.0, len(composite.members), float(composite.build.stacked), work])


def _coefficients(features: Floats, measured: Floats) -> Floats:
    """Least squares of relative errors, none below 0, with a pull towards a plain sum."""
    from scipy.optimize import nnls

    scale = np.array([measured.mean()] * 3 + [1.0])
    pull = math.sqrt(RIDGE)
    rows = np.vstack([features * scale / measured[:, None], pull * np.eye(4)])
    target = np.concatenate([np.ones(len(measured)), [0.0, 0.0, 0.0, pull]])
    return np.asarray(nnls(rows, target)[0] * scale)


def _base(costs: Sequence[MemberCost], model: CostModel) -> float:
    smallest = min(c.memory_mib for c in costs)
    return smallest if math.isnan(model.base_memory_mib) else min(model.base_memory_mib, smallest)


def _fitted_base(costs: Sequence[MemberCost], composites: Sequence[Composite]) -> tuple[float, float, float]:
    """The base that predicts the measured memories best, and the range of ratios left out in turn."""
    memory = {c.name: c.memory_mib for c in costs}
    known = [c for c in composites if math.isfinite(c.memory_mib + sum(memory[m] for m in c.members)) and len(c.members) > 1]
    if len(known) < 2:
        return math.nan, math.nan, math.nan
    total = np.array([sum(memory[m] for m in c.members) for c in known])
    repeated = np.array([len(c.members) - 1.0 for c in known])
    measured = np.array([c.memory_mib for c in known])
    most = min(memory.values())

    def best(kept: NDArray[np.bool_]) -> float:
        slope = repeated[kept] @ (total - measured)[kept] / (repeated[kept] @ repeated[kept])
        return float(np.clip(slope, 0.0, max(most, 0.0)))

    everyone = np.arange(len(known))
    unseen = [float(measured[i] / (total[i] - repeated[i] * best(everyone != i))) for i in everyone]
    return best(everyone >= 0), min(1.0, *unseen), max(1.0, *unseen)


def _preprocessing(costs: Sequence[MemberCost]) -> Floats:
    if unknown := [c.name for c in costs if math.isnan(c.preprocess_ms)]:
        raise InputError(f"preprocessing cannot be shared: the preprocessing of {unknown[0]} was not timed apart; measure it")
    return np.array([c.preprocess_ms for c in costs])
