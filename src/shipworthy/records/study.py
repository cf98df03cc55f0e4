"""The question as it is declared before anything runs: what is compared, how deeply, against which limits and prices.

This module does *not* know how a study is read, planned or answered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Le, Lt, MinLen

from shipworthy.records.data import DataFile
from shipworthy.records.quantities import QUANTITIES
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

    Exactly one of ``at_most`` and ``at_least`` is given.
    """

    __pydantic_config__ = FORBID_UNKNOWN
    name: Annotated[str, MinLen(1)]
    quantity: str
    statistic: Statistic = "mean"
    at_most: Annotated[float, Lt(math.inf)] | None = None
    at_least: Annotated[float, Gt(-math.inf)] | None = None
    scenario: ScenarioName | Literal["none"] = "none"
    batch_size: Annotated[int, Ge(1)] | None = None

    @property
    def limit(self) -> float:
        """The number that must be kept."""
        limit = self.at_most if self.at_most is not None else self.at_least
        if limit is None:
            msg = f"requirement {self.name!r} gives neither at_most nor at_least"
            raise ValueError(msg)
        return limit

    def sentence(self) -> str:
        """The requirement in words.

        Examples
        --------
        >>> Requirement(name="p99", quantity="latency_ms", statistic="p99", at_most=50, scenario="single_stream").sentence()
        'p99 latency_ms at most 50 ms (single_stream)'
        """
        unit = QUANTITIES[self.quantity].unit if self.quantity in QUANTITIES else ""
        side = "at most" if self.at_most is not None else "at least"
        where = "" if self.scenario == "none" else f" ({self.scenario})"
        return f"{self.statistic} {self.quantity} {side} {self.limit:g} {unit}".rstrip() + where


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Dated prices, in US dollars. They are assumptions: everything computed from them is labelled an estimate."""

    __pydantic_config__ = FORBID_UNKNOWN
    as_of: str
    source: str
    vcpu_hour_usd: Annotated[float, Ge(0), Lt(math.inf)]
    gib_hour_usd: Annotated[float, Ge(0), Lt(math.inf)]
    request_usd: Annotated[float, Ge(0), Lt(math.inf)] = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """How much is trained. ``max_train_rows`` or ``max_test_rows`` of 0 means all rows."""

    __pydantic_config__ = FORBID_UNKNOWN
    max_train_rows: Annotated[int, Ge(0)] = 0
    max_test_rows: Annotated[int, Ge(0)] = 0
    folds: Annotated[int, Ge(2), Le(20)] = 5
    search_trials: Annotated[int, Ge(1), Le(1000)] = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuringPlan:
    """How deeply serving is measured.

    ``queries`` is the count per candidate over all ``rounds``: it is fixed, not a duration, so that a repeated run has the
    same counts. Each round is a fresh child process; the rounds of all candidates are interleaved.
    """

    __pydantic_config__ = FORBID_UNKNOWN
    queries: Annotated[int, Ge(20), Le(1_000_000)] = 700
    rounds: Annotated[int, Ge(1), Le(50)] = 2
    warm_up: Annotated[int, Ge(0), Le(10_000)] = 30
    batch_sizes: Annotated[tuple[Annotated[int, Ge(1), Le(1_000_000)], ...], MinLen(1)] = (64, 4096)
    batch_repeats: Annotated[int, Ge(1), Le(10_000)] = 5
    threads: Annotated[int, Ge(1), Le(1024)] = 1
    time_limit_s: Annotated[float, Gt(0), Le(86_400)] = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """The whole question in one object.

    ``sweep`` names fields of :class:`TrainingPlan` or :class:`MeasuringPlan` and lists the values to try; every combination
    is an arm of its own, and the one table of results has a row for each. ``datasets`` are names; those of somebody's own files
    are described in ``files``.
    """

    __pydantic_config__ = FORBID_UNKNOWN
    name: Annotated[str, MinLen(1)]
    question: str
    datasets: Annotated[tuple[str, ...], MinLen(1)]
    candidates: Annotated[tuple[str, ...], MinLen(1)]
    seeds: Annotated[tuple[Annotated[int, Ge(0), Le(2**31 - 1)], ...], MinLen(1)] = (0,)
    metric: str = "roc_auc"
    smallest_useful_gain: Annotated[float, Gt(0), Lt(math.inf)] = 0.005
    confidence: Annotated[float, Gt(0.5), Lt(1)] = 0.95
    requirements: tuple[Requirement, ...] = ()
    traffic_queries_s: Annotated[float, Gt(0), Lt(math.inf)] = 10.0
    prices: Prices
    training: TrainingPlan = TrainingPlan()
    measuring: MeasuringPlan = MeasuringPlan()
    files: tuple[DataFile, ...] = ()
    sweep: dict[str, Annotated[tuple[int | float, ...], MinLen(1)]] = field(default_factory=dict)
