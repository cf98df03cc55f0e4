"""Turns records into answers: intervals, met or missed, money, and whether an ensemble is worth shipping.

Pure functions of what they are given; NumPy and SciPy only.

This room does *not* know how a number was measured, where it is kept, or how it will be shown.
"""

from __future__ import annotations

from shipworthy.feasibility.bigger_single import bigger_single
from shipworthy.feasibility.breakeven import BreakEven, break_even
from shipworthy.feasibility.changes import cheapest_change, requirement_table, weighted_score
from shipworthy.feasibility.contradictions import check_requirements
from shipworthy.feasibility.economics import check_economics, money_problems, usd_per_million
from shipworthy.feasibility.equivalence import correlated_t
from shipworthy.feasibility.evidence import Evidence
from shipworthy.feasibility.flips import Contender, Flip, Panel, Place, VerdictMap, flip_sentence
from shipworthy.feasibility.picks import picks, price
from shipworthy.feasibility.power import Spread, power_of_gain
from shipworthy.feasibility.public import Bought, PublicPlace, bought_by_compute, place_among_public, public_ensembles, sample_of
from shipworthy.feasibility.requirements import assess, check_requirement, queries_needed, times_off
from shipworthy.feasibility.seeds import Overlap, overlap_of
from shipworthy.feasibility.sizes import (
    THOUSANDTH,
    Enough,
    SizePrice,
    SizeStep,
    counted,
    enough,
    price_sentence,
    size_prices,
    size_steps,
)
from shipworthy.feasibility.stakeholders import (
    Reading,
    check_stakeholder,
    check_stakeholders,
    hear,
    judge_vetoes,
    read_values,
    valued,
)
from shipworthy.feasibility.statistics import corrected_resampled_t, family_confidence, gain_interval, paired_gain, ratio_interval
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
from shipworthy.feasibility.verdicts import family_size, judge

__all__ = [
    "THOUSANDTH",
    "Answers",
    "Bought",
    "BreakEven",
    "Case",
    "Contender",
    "Enough",
    "Evidence",
    "Flip",
    "Overlap",
    "Panel",
    "Place",
    "PublicPlace",
    "Reading",
    "SizePrice",
    "SizeStep",
    "Spread",
    "VerdictMap",
    "assess",
    "best_threshold",
    "bigger_single",
    "bought_by_compute",
    "break_even",
    "cheapest_change",
    "check_economics",
    "check_requirement",
    "check_requirements",
    "check_stakeholder",
    "check_stakeholders",
    "corrected_resampled_t",
    "correlated_t",
    "counted",
    "draw_terms",
    "enough",
    "expected_terms",
    "family_confidence",
    "family_size",
    "flip_sentence",
    "gain_interval",
    "hear",
    "join_terms",
    "judge",
    "judge_vetoes",
    "make_case",
    "mean_terms",
    "money_of",
    "money_problems",
    "month",
    "overlap_of",
    "paired_gain",
    "picks",
    "place_among_public",
    "power_of_gain",
    "price",
    "price_sentence",
    "public_ensembles",
    "queries_needed",
    "ratio_interval",
    "read_values",
    "requirement_table",
    "resample_means",
    "resample_shares",
    "sample_of",
    "size_prices",
    "size_steps",
    "times_off",
    "usd_per_million",
    "valued",
    "weighted_score",
]
