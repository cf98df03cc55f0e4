"""The question as it is declared before anything runs: what is compared, how deeply, against which limits and prices.

This module does *not* know how a study is read, planned or answered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Le, Len, Lt, MaxLen, MinLen

from shipworthy.records.candidates import OwnEstimator
from shipworthy.records.data import DataFile
from shipworthy.records.economics import Economics
from shipworthy.records.quantities import QUANTITIES
from shipworthy.records.selections import OwnCascade, OwnVote
from shipworthy.records.terms import FORBID_UNKNOWN, Floats, ScenarioName, Statistic


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """How queries arrive; MLPerf Inference's four.

    ``single_stream``: the next query is due when the last is answered; ``multi_stream``: ``batch_size`` rows at a time;
    ``server``: Poisson arrivals at ``rate_per_s``; ``offline``: everything at once.
    """

    __pydantic_config__ = FORBID_UNKNOWN
    name: ScenarioName
    batch_size: Annotated[int, Ge(1)] = 1
    rate_per_s: Annotated[float, Ge(0), Lt(math.inf)] = 0.0

    def arrivals(self, rng: np.random.Generator, n: int) -> Floats:
        """Seconds after the start at which each of ``n`` queries is due.

        All zeros unless the scenario is ``server``: there, the cumulated exponential gaps of a Poisson process.

        Raises
        ------
        ValueError
            If the scenario is ``server`` and its rate is zero.
        """
        if self.name != "server":
            return np.zeros(n)
        if self.rate_per_s <= 0:
            msg = "a server scenario needs rate_per_s above 0"
            raise ValueError(msg)
        return np.cumsum(rng.exponential(1 / self.rate_per_s, n))


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """A limit on one statistic of one quantity under one scenario.

    Exactly one of ``at_most`` and ``at_least`` is given. What is left out (``scenario``, ``batch_size``, ``dataset``) is open,
    and must hold everywhere. ``group`` asks for the rows of one group alone. Without a ``weight`` the requirement is hard: who
    misses it is not shipped. With one it forbids nothing, and counts that much in a candidate's weighted score.
    """

    __pydantic_config__ = FORBID_UNKNOWN
    name: Annotated[str, Len(1, 200)]
    quantity: str
    statistic: Statistic = "mean"
    at_most: Annotated[float, Lt(math.inf)] | None = None
    at_least: Annotated[float, Gt(-math.inf)] | None = None
    scenario: ScenarioName | Literal["none"] = "none"
    batch_size: Annotated[int, Ge(1)] | None = None
    dataset: str = ""
    group: str = ""
    weight: Annotated[float, Gt(0), Lt(math.inf)] | None = None

    @property
    def limit(self) -> float:
        """The number that must be kept."""
        limit = self.at_most if self.at_most is not None else self.at_least
        if limit is None:
            msg = f"requirement {self.name!r} gives neither at_most nor at_least"
            raise ValueError(msg)
        return limit

    def judges(self, dataset: str) -> bool:
        """Whether the requirement speaks of a data set: of any, unless it names one."""
        return self.dataset in ("", dataset)

    def sentence(self) -> str:
        """The requirement in words.

        Examples
        --------
        >>> Requirement(name="p99", quantity="latency_ms", statistic="p99", at_most=50, scenario="single_stream").sentence()
        'p99 latency_ms at most 50 ms (single_stream)'
        """
        unit = QUANTITIES[self.quantity].unit if self.quantity in QUANTITIES else ""
        side = "at most" if self.at_most is not None else "at least"
        where: list[str] = [self.scenario] if self.scenario != "none" else []
        where += [f"batch size {self.batch_size:,}"] if self.batch_size else []
        where += [f"group {self.group}"] if self.group else []
        where += [f"on {self.dataset}"] if self.dataset else []
        where += [f"weight {self.weight:g}"] if self.weight is not None else []
        said = f"{self.statistic} {self.quantity} {side} {self.limit:g} {unit}".rstrip()
        return f"{said} ({', '.join(where)})" if where else said


@dataclass(frozen=True, slots=True, kw_only=True)
class Stakeholder:
    """Somebody who has a say: what is worth how much to them, and what they will not have.

    What a stakeholder values is stated by weights *or* in money, so that it can be added up; one who only vetoes states neither.

    Parameters
    ----------
    name : str
    wants : str
        The goal in a few words, for the report.
    weights : dict of str to float
        Quantity to weight, at least 0, together 1. A weight is of the whole step from the worst to the best candidate.
    usd_month_per_unit : dict of str to float
        Quantity to the US dollars a month that one unit of it is worth, at least 0, in the direction that is better: 20 for
        ``latency_ms`` says that a millisecond less is worth 20 dollars a month.
    vetoes : tuple of Requirement
        Whatever misses one of them must not ship.
    """

    __pydantic_config__ = FORBID_UNKNOWN
    name: Annotated[str, Len(1, 200)]
    wants: Annotated[str, MaxLen(2000)] = ""
    weights: dict[str, float] = field(default_factory=dict)
    usd_month_per_unit: dict[str, float] = field(default_factory=dict)
    vetoes: tuple[Requirement, ...] = ()

    @property
    def worth(self) -> dict[str, float]:
        """What each quantity is worth to them, by weight or in money; empty for one who only vetoes."""
        return self.weights or self.usd_month_per_unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Dated prices, in US dollars. They are assumptions: everything computed from them is labelled an estimate."""

    __pydantic_config__ = FORBID_UNKNOWN
    as_of: str
    source: str
    vcpu_hour_usd: Annotated[float, Ge(0), Lt(math.inf)]
    gib_hour_usd: Annotated[float, Ge(0), Lt(math.inf)]
    request_usd: Annotated[float, Ge(0), Lt(math.inf)] = 0.0
    currency: str = "USD"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """How much is trained. ``max_train_rows`` or ``max_test_rows`` of 0 means all rows."""

    __pydantic_config__ = FORBID_UNKNOWN
    max_train_rows: Annotated[int, Ge(0)] = 0
    max_test_rows: Annotated[int, Ge(0)] = 0
    folds: Annotated[int, Ge(2), Le(20)] = 5
    search_trials: Annotated[int, Ge(1), Le(1000)] = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one fit may take. What exceeds it fails with a reason, and the study goes on without it.

    Parameters
    ----------
    time_limit_s : float
        Of one candidate's training: all its fits together.
    memory_limit_mib : int
        Beyond what the process held before; also of a process that serves. 0 means what is free when it begins.
    """

    __pydantic_config__ = FORBID_UNKNOWN
    time_limit_s: Annotated[float, Gt(0), Le(604_800)] = 3600.0
    memory_limit_mib: Annotated[int, Ge(0), Le(2**30)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuringPlan:
    """How deeply serving is measured.

    ``queries`` is the count per candidate over all ``rounds``: it is fixed, not a duration, so that a repeated run has the
    same counts; only the calls of a batch size that takes seconds end by the clock (``batch_limit_s``). Each round is a fresh
    child process; the rounds of all candidates are interleaved.
    """

    __pydantic_config__ = FORBID_UNKNOWN
    queries: Annotated[int, Ge(20), Le(1_000_000)] = 700
    rounds: Annotated[int, Ge(1), Le(50)] = 2
    warm_up: Annotated[int, Ge(0), Le(10_000)] = 30
    batch_sizes: Annotated[tuple[Annotated[int, Ge(1), Le(1_000_000)], ...], MinLen(1)] = (64, 4096)
    batch_repeats: Annotated[int, Ge(1), Le(10_000)] = 5
    threads: Annotated[int, Ge(1), Le(1024)] = 1
    time_limit_s: Annotated[float, Gt(0), Le(86_400)] = 120.0

    @property
    def batch_limit_s(self) -> float:
        """Seconds after which the calls of one batch size end, if two were timed: a third for each repeat that is asked for.

        A call of seconds is known from two; of one that alone takes longer than the limit, the first call counts.
        """
        return self.batch_repeats / 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """How deeply the candidates that are named are measured under load, by batch size and by threads.

    Parameters
    ----------
    candidates : tuple of str
        Nothing is measured under load where this is empty.
    datasets : tuple of str
        Empty means all of the study.
    curve_batch_sizes : tuple of int
        Rows in one call.
    curve_calls, curve_rows : int
        Each size is called at least so often, and often enough to answer so many rows.
    curve_rounds : int
        Fresh processes a candidate, interleaved.
    load_queries : int
        Arrivals of each rate that is tried; 662 is the fewest that allow one query over a p99 limit.
    load_seconds : float
        Least duration of each rate that is tried, beside the count.
    rate_trials : int
        Rates that are tried at most.
    latency_limit_ms : float
        That p99 must keep, counted from when a query was due.
    """

    __pydantic_config__ = FORBID_UNKNOWN
    candidates: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    curve_batch_sizes: Annotated[tuple[Annotated[int, Ge(1), Le(1_000_000)], ...], MinLen(3)] = (
        1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096,
    )  # fmt: skip
    curve_calls: Annotated[int, Ge(1), Le(10_000)] = 5
    curve_rows: Annotated[int, Ge(1), Le(1_000_000)] = 128
    curve_rounds: Annotated[int, Ge(1), Le(50)] = 2
    load_queries: Annotated[int, Ge(20), Le(1_000_000)] = 662
    load_seconds: Annotated[float, Ge(0), Le(3600)] = 0.0
    rate_trials: Annotated[int, Ge(1), Le(20)] = 3
    latency_limit_ms: Annotated[float, Gt(0), Le(1_000_000)] = 50.0

    def calls(self, batch_size: int) -> int:
        """Calls of one round with so many rows each."""
        return max(self.curve_calls, -(-self.curve_rows // batch_size))


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationPlan:
    """How the ensembles that a study simulates are assumed to be built; those of the catalogue run on one core, one by one.

    Parameters
    ----------
    cores : int
        On which members run at once.
    share_preprocessing : bool
        Whether a row is preprocessed once for all members.
    """

    __pydantic_config__ = FORBID_UNKNOWN
    cores: Annotated[int, Ge(1), Le(1024)] = 1
    share_preprocessing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """The whole question in one object.

    ``largest_latency_ratio`` and ``largest_memory_ratio`` say how many times the p99 latency and the memory of either baseline
    are tolerable; left out, only the requirements limit what an ensemble may cost.

    ``sweep`` names fields of :class:`TrainingPlan`, :class:`MeasuringPlan`, :class:`LoadPlan` or of what is judged, and lists the
    values to try; every combination is an arm of its own, and the one table of results has a row for each. ``datasets`` are
    names; those of somebody's own files are described in ``files``. ``candidates`` are names too; those of somebody's own
    ensembles and estimators are described in ``votes``, ``cascades`` and ``estimators``. ``within_minutes`` is a time budget:
    what does not fit is left out, and said. It is no part of what names a run: a later go without it completes the same one.
    """

    __pydantic_config__ = FORBID_UNKNOWN
    name: Annotated[str, MinLen(1)]
    question: Annotated[str, Len(1, 2000)]
    datasets: Annotated[tuple[str, ...], MinLen(1)]
    candidates: Annotated[tuple[str, ...], MinLen(1)]
    seeds: Annotated[tuple[Annotated[int, Ge(0), Le(2**31 - 1)], ...], MinLen(1)] = (0,)
    metric: str = "roc_auc"
    smallest_useful_gain: Annotated[float, Gt(0), Lt(math.inf)] = 0.005
    largest_latency_ratio: Annotated[float, Gt(0), Lt(math.inf)] | None = None
    largest_memory_ratio: Annotated[float, Gt(0), Lt(math.inf)] | None = None
    confidence: Annotated[float, Gt(0.5), Lt(1)] = 0.95
    requirements: tuple[Requirement, ...] = ()
    traffic_queries_s: Annotated[float, Gt(0), Lt(math.inf)] = 10.0
    prices: Prices
    economics: Economics | None = None
    training: TrainingPlan = TrainingPlan()
    measuring: MeasuringPlan = MeasuringPlan()
    load: LoadPlan = LoadPlan()
    simulation: SimulationPlan = SimulationPlan()
    limits: Limits = Limits()
    files: tuple[DataFile, ...] = ()
    votes: tuple[OwnVote, ...] = ()
    cascades: tuple[OwnCascade, ...] = ()
    estimators: tuple[OwnEstimator, ...] = ()
    sweep: dict[str, Annotated[tuple[int | float, ...], MinLen(1)]] = field(default_factory=dict)
    stakeholders: tuple[Stakeholder, ...] = ()
    within_minutes: Annotated[float, Gt(0), Lt(math.inf)] | None = None
