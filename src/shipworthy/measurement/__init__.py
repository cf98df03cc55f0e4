"""Measures accuracy, the costs of a piece of work, and how an artefact serves in a clean process, alone on the machine.

It does *not* know what is good enough, nor how anything was trained.
"""

from __future__ import annotations

from shipworthy.measurement.accuracy import accuracy_records, bootstrap_weights, metrics_for, resampled_scores, score
from shipworthy.measurement.costs import measure_costs
from shipworthy.measurement.curve import BatchLaw, Overtaking, fit_batch_law, overtakings, ranking_sentence, thread_sentences
from shipworthy.measurement.energy import watt_hours_per_million
from shipworthy.measurement.load import Load, LoadJob, LoadRun, RateSearch, RateTrial, find_highest_rate, judge_rate, run_loads
from shipworthy.measurement.machine import describe_machine, exclusive, library_versions, machine_fingerprint
from shipworthy.measurement.noise import disturbed, noise_floor
from shipworthy.measurement.recipes import RECIPES, Recipe
from shipworthy.measurement.replaying import RecipeJob, compare_told, replay
from shipworthy.measurement.serving import ServingJob, measure_round
from shipworthy.measurement.summaries import combine, serving_records

__all__ = [
    "RECIPES",
    "BatchLaw",
    "Load",
    "LoadJob",
    "LoadRun",
    "Overtaking",
    "RateSearch",
    "RateTrial",
    "Recipe",
    "RecipeJob",
    "ServingJob",
    "accuracy_records",
    "bootstrap_weights",
    "combine",
    "compare_told",
    "describe_machine",
    "disturbed",
    "exclusive",
    "find_highest_rate",
    "fit_batch_law",
    "judge_rate",
    "library_versions",
    "machine_fingerprint",
    "measure_costs",
    "measure_round",
    "metrics_for",
    "noise_floor",
    "overtakings",
    "ranking_sentence",
    "replay",
    "resampled_scores",
    "run_loads",
    "score",
    "serving_records",
    "thread_sentences",
    "watt_hours_per_million",
]
