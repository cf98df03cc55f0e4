"""Turns records into answers: intervals, met or missed, money, and whether an ensemble is worth shipping.

Pure functions of what they are given; NumPy and SciPy only.

This room does *not* know how a number was measured, where it is kept, or how it will be shown.
"""

from __future__ import annotations

from shipworthy.feasibility.economics import usd_per_million
from shipworthy.feasibility.requirements import assess, check_requirement, queries_needed
from shipworthy.feasibility.stakeholders import (
    Reading,
    check_stakeholder,
    check_stakeholders,
    hear,
    judge_vetoes,
    read_values,
    valued,
)
from shipworthy.feasibility.statistics import corrected_resampled_t, gain_interval, paired_gain, ratio_interval
from shipworthy.feasibility.verdicts import Evidence, judge, picks, price, requirement_table

__all__ = [
    "Evidence",
    "Reading",
    "assess",
    "check_requirement",
    "check_stakeholder",
    "check_stakeholders",
    "corrected_resampled_t",
    "gain_interval",
    "hear",
    "judge",
    "judge_vetoes",
    "paired_gain",
    "picks",
    "price",
    "queries_needed",
    "ratio_interval",
    "read_values",
    "requirement_table",
    "usd_per_million",
    "valued",
]
