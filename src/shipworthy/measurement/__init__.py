"""Measures accuracy, the costs of a piece of work, and how an artefact serves in a clean process, alone on the machine.

It does *not* know what is good enough, nor how anything was trained.
"""

from __future__ import annotations

from shipworthy.measurement.accuracy import accuracy_records, bootstrap_weights, metrics_for, resampled_scores, score
from shipworthy.measurement.costs import measure_costs
from shipworthy.measurement.machine import describe_machine, exclusive, library_versions, machine_fingerprint
from shipworthy.measurement.noise import disturbed, noise_floor
from shipworthy.measurement.recipes import RECIPES, Recipe
from shipworthy.measurement.replaying import RecipeJob, compare_told, replay
from shipworthy.measurement.serving import ServingJob, measure_round
from shipworthy.measurement.summaries import combine, serving_records

__all__ = [
    "RECIPES",
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
    "library_versions",
    "machine_fingerprint",
    "measure_costs",
    "measure_round",
    "metrics_for",
    "noise_floor",
    "replay",
    "resampled_scores",
    "score",
    "serving_records",
]
