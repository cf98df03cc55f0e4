"""The answers: met, missed or undecided for a requirement; ship, do not ship or cannot tell for a candidate.

This module does *not* know how an answer is found.
"""

from __future__ import annotations

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
