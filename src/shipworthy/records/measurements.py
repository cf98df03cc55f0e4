"""Raw values with the conditions they hold under, and the statistics that may be stated of them.

This module does *not* know how a value was taken, or whether it is good enough.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Literal

from shipworthy.records.terms import ScenarioName


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a measurement holds under. Two measurements may be compared only if :meth:`comparable` says so."""

    machine: str
    """Fingerprint of processor model, cores, memory and operating system."""
    versions: str
    """Versions of Python and of the libraries that did the work."""
    threads: int
    scenario: ScenarioName | Literal["none"]
    batch_size: int
    seed: int
    warm_up: int
    """Calls made and thrown away before the first value."""
    garbage_collector: Literal["on", "off"]
    profile: str
    """``lean``: only what the artefact needs could be imported; ``full``: whatever the environment holds."""
    pinned: str
    """The processor that the process was pinned to, or why it was not."""
    load_average: float
    """One-minute load average when the measurement began; ``nan`` where the platform has none."""
    note: str = ""
    """What else a reader should know: rows used more than once, how memory was read, rounds that failed."""
    rate_per_s: float = 0.0
    """Queries that arrive in a second, in the server scenario; 0 in the others."""
    calibration_ms: float = 0.0
    """Time of the calibration kernel in the same process; 0 where it was not taken."""
    recipe: str = ""
    """The timing recipe of another system that was replayed; empty for a measurement of our own."""
    artefact: str = ""
    """Fingerprint of the artefact that was loaded and measured; empty where none was noted."""

    def comparable(self, other: Conditions) -> bool:
        """Whether machine, versions, threads and profile are the same."""
        return (self.machine, self.versions, self.threads, self.profile) == (
            other.machine,
            other.versions,
            other.threads,
            other.profile,
        )

    def as_dict(self) -> dict[str, Any]:
        """The fields as a plain dict, for JSON."""
        return asdict(self)


@cache
def _highest_over(n: int, q: float, confidence: float) -> int:
    """The most values that may exceed a limit while ``P(value <= limit) >= q`` still holds with ``confidence``; -1 if none."""
    from scipy.stats import binom

    # With k values over the limit, the claim fails to hold with probability at most P(Binomial(n, 1-q) <= k).
    k = int(binom.ppf(1 - confidence, n, 1 - q))
    while k >= 0 and binom.cdf(k, n, 1 - q) > 1 - confidence:
        k -= 1
    return k


@dataclass(frozen=True, slots=True)
class PercentileBound:
    """What may be said of a percentile: the observed value, and bounds that hold with the stated confidence.

    ``low`` is ``-inf`` or ``high`` is ``inf`` where there are too few values to say.
    """

    observed: float
    low: float
    high: float
    confidence: float
    n: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """Raw repeated values of one quantity, its unit, and the conditions they hold under.

    Parameters
    ----------
    candidate, dataset : str
    quantity : str
        A key of :data:`QUANTITIES`.
    values : tuple of float
        Every value, in the order in which it was taken. Empty when ``failure`` is given.
    round_index : tuple of int
        For each value, the interleaved round (one fresh child each) that it comes from.
    conditions : Conditions
    failure : str
        Why there are no values, in a sentence; empty otherwise.

    Examples
    --------
    >>> here = Conditions("m", "v", 1, "single_stream", 1, 0, 50, "off", "lean", "0", 0.0)
    >>> m = Measurement("xgboost", "adult", "latency_ms", tuple(float(i) for i in range(1, 460)), (0,) * 459, here)
    >>> m.percentile(50)
    230.0
    >>> m.percentile_bound(99, confidence=0.99).high
    459.0
    """

    candidate: str
    dataset: str
    quantity: str
    values: tuple[float, ...]
    round_index: tuple[int, ...]
    conditions: Conditions
    failure: str = ""

    def percentile(self, q: float) -> float:
        """The smallest observed value that at least ``q`` percent of the values do not exceed (nearest rank).

        Raises
        ------
        ValueError
            If there are no values.
        """
        if not self.values:
            msg = f"{self.quantity} of {self.candidate} on {self.dataset} has no values: {self.failure}"
            raise ValueError(msg)
        ordered = sorted(self.values)
        return ordered[max(0, math.ceil(q * len(ordered) / 100) - 1)]

    def percentile_bound(self, q: float, confidence: float = 0.99) -> PercentileBound:
        """Distribution-free one-sided bounds on a percentile from order statistics.

        The upper bound is the value that MLPerf LoadGen's early stopping would let us state: for p99 at 99 % it needs
        459 values (none above it) or 662 (one above it). Values are taken as independent.

        Parameters
        ----------
        q : float
            Percentile, between 0 and 100.
        confidence : float
            Of each side on its own.

        Returns
        -------
        PercentileBound
        """
        ordered = sorted(self.values)
        n = len(ordered)
        over = _highest_over(n, q / 100, confidence)
        under = _highest_over(n, 1 - q / 100, confidence)
        return PercentileBound(
            observed=self.percentile(q),
            low=ordered[under] if under >= 0 else -math.inf,
            high=ordered[n - 1 - over] if over >= 0 else math.inf,
            confidence=confidence,
            n=n,
        )

    def rounds(self) -> tuple[tuple[float, ...], ...]:
        """The values of each round apart, in order of the rounds."""
        return tuple(
            tuple(v for v, r in zip(self.values, self.round_index, strict=True) if r == index)
            for index in sorted(set(self.round_index))
        )


@dataclass(frozen=True, slots=True)
class Record:
    """One tidy row of ``records.parquet``: one statistic of one quantity, with its interval where it has one."""

    dataset: str
    candidate: str
    kind: str
    quantity: str
    statistic: str
    value: float
    unit: str
    seed: int
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    route: str = "plain"
    scenario: str = "none"
    batch_size: int = 0
    group: str = ""
    factor: str = ""
    level: str = ""
    conditions: str = "{}"


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with the two ends of its interval at ``confidence``."""

    value: float
    low: float
    high: float
    confidence: float
    how: str
    """The method, named so that a sceptic can repeat it."""
