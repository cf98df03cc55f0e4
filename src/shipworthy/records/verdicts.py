"""The answers: met, missed or undecided for a requirement; ship, do not ship or cannot tell for a candidate.

This module does *not* know how an answer is found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from shipworthy.records.measurements import Interval
from shipworthy.records.terms import Answer, RequirementOutcome


@dataclass(frozen=True, slots=True)
class RequirementVerdict:
    """Whether one candidate keeps one requirement on one data set, with what was observed and why it may be said."""

    requirement: str
    candidate: str
    dataset: str
    outcome: RequirementOutcome
    observed: float
    low: float
    high: float
    limit: float
    n: int
    """Values that it was judged by, over all conditions that the requirement leaves open."""
    reason: str
    level: str = ""
    """Level of what is swept, as in :class:`Verdict`."""
    times_off: float = math.nan
    """The factor by which the limit is passed: above 1 it is not kept, below 1 the rest is room; ``nan`` if not observed."""
    change: str = ""
    """The cheapest known change that would make it met, in a sentence without its full stop; empty where it is met."""
    weight: float = math.nan
    """What it counts for if it is no veto; ``nan`` for a hard requirement."""
    artefact: str = ""
    """Fingerprints of the artefacts that were measured; empty where it was judged by predictions, or none was noted."""

    @property
    def hard(self) -> bool:
        """Whether missing it forbids shipping."""
        return math.isnan(self.weight)


@dataclass(frozen=True, slots=True)
class Equivalence:
    """How probable it is that a challenger is worse, practically equivalent or better: printed, never deciding.

    The three probabilities add up to 1; they are ``nan`` where there are none, and ``how`` says why.
    """

    worse: float
    equivalent: float
    better: float
    region: float
    """Half-width of the region of practical equivalence, in the metric."""
    how: str


_NOT_ASKED = Equivalence(math.nan, math.nan, math.nan, math.nan, "not looked at here")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A challenger against one baseline: gain in the metric (positive is better), latency and memory ratios."""

    challenger: str
    baseline: str
    baseline_role: Literal["best single", "best tree ensemble", "best out of fold"]
    metric: str
    gain: Interval
    latency_ratio: Interval
    memory_ratio: Interval
    equivalence: Equivalence = _NOT_ASKED
    power: float = math.nan
    """Probability that a true gain of twice the smallest useful one would have been shown; ``nan`` if not known."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one candidate on one data set, with everything that it rests on."""

    dataset: str
    level: str
    candidate: str
    answer: Answer
    reason: str
    comparisons: tuple[Comparison, ...]
    requirements: tuple[RequirementVerdict, ...]
    deciding_test: str = ""
    """Name of the one test that decided on the gain, with its confidence."""
    family: int = 1
    """Comparisons on this data set that could end in "ship", over which the confidence holds."""
    power: float = math.nan
    """The smallest of the comparisons' powers: both baselines must be beaten, so it is no larger than this."""
    weighted_score: float = math.nan
    """Share, by weight, of the weighted requirements that are met; ``nan`` if there are none."""
    would_tell: tuple[str, ...] = ()
    """The sentences of the reason that say what is open and what would tell; empty where the answer is given."""
