"""Turns records into answers: intervals, met or missed, money, and whether an ensemble is worth shipping.

Pure functions of what they are given; NumPy and SciPy only.

This room does *not* know how a number was measured, where it is kept, or how it will be shown.
"""

from __future__ import annotations

from shipworthy.feasibility.breakeven import BreakEven, break_even
from shipworthy.feasibility.economics import check_economics, money_problems, usd_per_million
from shipworthy.feasibility.flips import Contender, Flip, Panel, Place, VerdictMap, flip_sentence
from shipworthy.feasibility.public import (
    Bought,
    PublicPlace,
    bought_by_compute,
    place_among_public,
    public_ensembles,
    sample_of,
)
from shipworthy.feasibility.requirements import assess, check_requirement, queries_needed
from shipworthy.feasibility.statistics import corrected_resampled_t, gain_interval, paired_gain, ratio_interval
from shipworthy.feasibility.value import (
    Answers,
    Case,
    best_threshold,
    draw_terms,
    expected_terms,
    join_terms,
    make_case,
    mean_terms,
    money_of,
    month,
    resample_means,
    resample_shares,
)
from shipworthy.feasibility.verdicts import Evidence, judge, picks, price, requirement_table

__all__ = [
    "Answers",
    "Bought",
    "BreakEven",
    "Case",
    "Contender",
    "Evidence",
    "Flip",
    "Panel",
    "Place",
    "PublicPlace",
    "VerdictMap",
    "assess",
    "best_threshold",
    "bought_by_compute",
    "break_even",
    "check_economics",
    "check_requirement",
    "corrected_resampled_t",
    "draw_terms",
    "expected_terms",
    "flip_sentence",
    "gain_interval",
    "join_terms",
    "judge",
    "make_case",
    "mean_terms",
    "money_of",
    "money_problems",
    "month",
    "paired_gain",
    "picks",
    "place_among_public",
    "price",
    "public_ensembles",
    "queries_needed",
    "ratio_interval",
    "requirement_table",
    "resample_means",
    "resample_shares",
    "sample_of",
    "usd_per_million",
]
