"""Turns records into answers: intervals, met or missed, money, and whether an ensemble is worth shipping.

Pure functions of what they are given; NumPy and SciPy only.

This room does *not* know how a number was measured, where it is kept, or how it will be shown.
"""

from __future__ import annotations

from shipworthy.feasibility.changes import cheapest_change, requirement_table, weighted_score
from shipworthy.feasibility.contradictions import check_requirements
from shipworthy.feasibility.economics import usd_per_million
from shipworthy.feasibility.equivalence import correlated_t
from shipworthy.feasibility.evidence import Evidence
from shipworthy.feasibility.picks import picks, price
from shipworthy.feasibility.power import Spread, power_of_gain
from shipworthy.feasibility.requirements import assess, check_requirement, queries_needed, times_off
from shipworthy.feasibility.stakeholders import (
    Reading,
    check_stakeholder,
    check_stakeholders,
    hear,
    judge_vetoes,
    read_values,
    valued,
)
from shipworthy.feasibility.statistics import (
    corrected_resampled_t,
    family_confidence,
    gain_interval,
    paired_gain,
    ratio_interval,
)
from shipworthy.feasibility.verdicts import family_size, judge

__all__ = [
    "Evidence",
    "Reading",
    "Spread",
    "assess",
    "cheapest_change",
    "check_requirement",
    "check_requirements",
    "check_stakeholder",
    "check_stakeholders",
    "corrected_resampled_t",
    "correlated_t",
    "family_confidence",
    "family_size",
    "gain_interval",
    "hear",
    "judge",
    "judge_vetoes",
    "paired_gain",
    "picks",
    "power_of_gain",
    "price",
    "queries_needed",
    "ratio_interval",
    "read_values",
    "requirement_table",
    "times_off",
    "usd_per_million",
    "valued",
    "weighted_score",
]
