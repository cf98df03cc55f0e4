"""Tables, figures and the report: the only room that draws.

What it shows is handed to it as plain data; the same data gives the same bytes.

This room does *not* know how a number came about, whether it is good enough, or where a report is kept.
"""

from __future__ import annotations

from shipworthy.reporting.content import Report, ReportContent
from shipworthy.reporting.figures import ReportFigure, accuracy_against_cost, latency_distribution, pareto_front
from shipworthy.reporting.lessons import (
    accuracy_intervals,
    accuracy_table,
    cost_per_row,
    facts_table,
    gain_intervals,
    pick_cards,
    requirement_matrix,
    serving_table,
    wide_table,
)
from shipworthy.reporting.load import batch_curve, latency_by_rate, load_table, why_a_mean_lies
from shipworthy.reporting.page import build_report, verdict_cards
from shipworthy.reporting.recipes import recipe_sentence, told_figure, told_table
from shipworthy.reporting.tables import comparison_table, results_table

__all__ = [
    "Report",
    "ReportContent",
    "ReportFigure",
    "accuracy_against_cost",
    "accuracy_intervals",
    "accuracy_table",
    "batch_curve",
    "build_report",
    "comparison_table",
    "cost_per_row",
    "facts_table",
    "gain_intervals",
    "latency_by_rate",
    "latency_distribution",
    "load_table",
    "pareto_front",
    "pick_cards",
    "recipe_sentence",
    "requirement_matrix",
    "results_table",
    "serving_table",
    "told_figure",
    "told_table",
    "verdict_cards",
    "why_a_mean_lies",
    "wide_table",
]
