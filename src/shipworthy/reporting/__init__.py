"""Tables, figures and the report: the only room that draws.

What it shows is handed to it as plain data; the same data gives the same bytes.

This room does *not* know how a number came about, whether it is good enough, or where a report is kept.
"""

from __future__ import annotations

from shipworthy.reporting.cards import dataset_card, dataset_facts
from shipworthy.reporting.content import Report, ReportContent
from shipworthy.reporting.deciding import deciding_reason, verdict_line
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
from shipworthy.reporting.members import accuracy_by_size, pair_columns, size_columns, strength_and_diversity, trees_together
from shipworthy.reporting.page import build_report, verdict_cards
from shipworthy.reporting.picks import (
    budget_figure,
    budget_sentence,
    pick_table,
    pick_with_sliders,
    reality_sentence,
    reality_table,
    worth_table,
)
from shipworthy.reporting.recipes import recipe_sentence, told_figure, told_table
from shipworthy.reporting.simulation import (
    cascade_curves,
    cascade_words,
    diminishing_return,
    ensemble_frontier,
    price_of_greed,
    worth_bars,
)
from shipworthy.reporting.stakeholders import (
    agreement_table,
    choice_table,
    compromise_sentence,
    move_sentences,
    rank_heatmap,
    ranking_table,
    regret_heatmap,
    regret_table,
    sentence_list,
    veto_sentences,
    wish_table,
)
from shipworthy.reporting.tables import comparison_table, results_table

__all__ = [
    "Report",
    "ReportContent",
    "ReportFigure",
    "accuracy_against_cost",
    "accuracy_by_size",
    "accuracy_intervals",
    "accuracy_table",
    "agreement_table",
    "batch_curve",
    "budget_figure",
    "budget_sentence",
    "build_report",
    "cascade_curves",
    "cascade_words",
    "choice_table",
    "comparison_table",
    "compromise_sentence",
    "cost_per_row",
    "dataset_card",
    "dataset_facts",
    "deciding_reason",
    "diminishing_return",
    "ensemble_frontier",
    "facts_table",
    "gain_intervals",
    "latency_by_rate",
    "latency_distribution",
    "load_table",
    "move_sentences",
    "pair_columns",
    "pareto_front",
    "pick_cards",
    "pick_table",
    "pick_with_sliders",
    "price_of_greed",
    "rank_heatmap",
    "ranking_table",
    "reality_sentence",
    "reality_table",
    "recipe_sentence",
    "regret_heatmap",
    "regret_table",
    "requirement_matrix",
    "results_table",
    "sentence_list",
    "serving_table",
    "size_columns",
    "strength_and_diversity",
    "told_figure",
    "told_table",
    "trees_together",
    "verdict_cards",
    "verdict_line",
    "veto_sentences",
    "why_a_mean_lies",
    "wide_table",
    "wish_table",
    "worth_bars",
    "worth_table",
]
