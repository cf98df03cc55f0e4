"""Ensembles and queues as arithmetic: what members said and cost, turned into what any ensemble of them would do.

Every subset exactly, selections of many members, cascades, what a member is worth, why averaging helps or hurts, what is not
built yet would cost, the front of accuracy against latency and memory, and the queue of one server. Predictions and measurements
in, records out; pure functions; random state is passed in. What is simulated is not measured: :class:`CostModel` says how far off
it was where both exist.

This room does *not* know how a member was trained or measured, how an ensemble is built, or what anybody needs.
"""

from __future__ import annotations

from shipworthy.simulation.cascades import (
    CascadePick,
    PairCascade,
    TripleCascade,
    best_cascade,
    confidence,
    each_pair_cascade,
    latency_samples,
    one_cascade,
    pair_cascades,
    triple_cascades,
)
from shipworthy.simulation.costs import Build, Composite, CostModel, MemberCost, Served, calibrate, member_cost, serve
from shipworthy.simulation.diversity import Averaging, Diversity, Pair, averaging, diversity, pairs
from shipworthy.simulation.frontier import Pick, best_within, frontier, hypervolume, knee, objectives, pareto_front, pick
from shipworthy.simulation.queues import lindley, predict_highest_rate, sojourn_ms
from shipworthy.simulation.scoring import METRICS, check_metric, scores
from shipworthy.simulation.selection import (
    MOST_MEMBERS,
    PricedCosts,
    PriceOfGreed,
    beam,
    convex_weights,
    greedy,
    price_of_greed,
    top_vote,
)
from shipworthy.simulation.subsets import SubsetTable, best_subset, every_subset, roc_auc
from shipworthy.simulation.triples import ExactTriples, exact_triples
from shipworthy.simulation.votes import Votes, line_up
from shipworthy.simulation.worth import MemberWorth, member_worth, shapley_values

__all__ = [
    "METRICS",
    "MOST_MEMBERS",
    "Averaging",
    "Build",
    "CascadePick",
    "Composite",
    "CostModel",
    "Diversity",
    "ExactTriples",
    "MemberCost",
    "MemberWorth",
    "Pair",
    "PairCascade",
    "Pick",
    "PriceOfGreed",
    "PricedCosts",
    "Served",
    "SubsetTable",
    "TripleCascade",
    "Votes",
    "averaging",
    "beam",
    "best_cascade",
    "best_subset",
    "best_within",
    "calibrate",
    "check_metric",
    "confidence",
    "convex_weights",
    "diversity",
    "each_pair_cascade",
    "every_subset",
    "exact_triples",
    "frontier",
    "greedy",
    "hypervolume",
    "knee",
    "latency_samples",
    "lindley",
    "line_up",
    "member_cost",
    "member_worth",
    "objectives",
    "one_cascade",
    "pair_cascades",
    "pairs",
    "pareto_front",
    "pick",
    "predict_highest_rate",
    "price_of_greed",
    "roc_auc",
    "scores",
    "serve",
    "shapley_values",
    "sojourn_ms",
    "top_vote",
    "triple_cascades",
]
