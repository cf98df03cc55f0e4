"""Tables, figures and the report: the only room that draws.

What it shows is handed to it as plain data; the same data gives the same bytes.

This room does *not* know how a number came about, whether it is good enough, or where a report is kept.
"""

from __future__ import annotations

from shipworthy.reporting.cards import dataset_card, dataset_facts
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
from shipworthy.reporting.page import build_report, verdict_cards
from shipworthy.reporting.tables import comparison_table, results_table

__all__ = [
    "Report",
    "ReportContent",
    "ReportFigure",
    "accuracy_against_cost",
    "accuracy_intervals",
    "accuracy_table",
    "build_report",
    "comparison_table",
    "cost_per_row",
    "dataset_card",
    "dataset_facts",
    "facts_table",
    "gain_intervals",
    "latency_distribution",
    "pareto_front",
    "pick_cards",
    "requirement_matrix",
    "results_table",
    "serving_table",
    "verdict_cards",
    "wide_table",
]
