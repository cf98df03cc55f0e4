"""What a notebook calls: each experiment composes the rooms and answers one question.

This package does *not* know how notebooks are executed or studies planned.
"""

from __future__ import annotations

from shipworthy.experiments.accuracy import compare_accuracy, out_of_fold_scores, paired_gains
from shipworthy.experiments.arms import Arm, arms_of, make_arm, members_of
from shipworthy.experiments.assessment import Assessment
from shipworthy.experiments.ensembles import build_ensembles, kinds, made_of, member_correlations
from shipworthy.experiments.feasibility import assess, lab_study
from shipworthy.experiments.guesses import make_guess, score_compromise, score_furthest, score_ships
from shipworthy.experiments.how_many_members import (
    SizePlan,
    Sizes,
    count_members,
    count_trees,
    grow_trees,
    measure_sizes,
    open_sizes,
    save_sizes,
    size_table,
    size_view,
)
from shipworthy.experiments.latency_and_memory import (
    different_rows,
    energy,
    latency_pairs,
    measure_latency_and_memory,
    measurements_of,
    samples_of,
)
from shipworthy.experiments.latency_and_throughput import UnderLoad, filling_rows, measure_under_load, open_load, under_load
from shipworthy.experiments.simulate import Simulation, simulate_ensembles
from shipworthy.experiments.simulated import Simulated, open_simulation, simulation_of
from shipworthy.experiments.single_models import describe_rows, train_single_models
from shipworthy.experiments.stakeholders import RESEARCH, hear_stakeholders, read_hearings, save_hearings, stakeholder_study
from shipworthy.experiments.why_averaging import Alike, Why, trees_alone, why_averaging
from shipworthy.experiments.workbench import UnitsFailedError, Workbench, outputs_folder
from shipworthy.records import InputError, LoadPlan, MeasuringPlan, TrainingPlan

__all__ = [
    "RESEARCH",
    "Alike",
    "Arm",
    "Assessment",
    "InputError",
    "LoadPlan",
    "MeasuringPlan",
    "Simulated",
    "Simulation",
    "SizePlan",
    "Sizes",
    "TrainingPlan",
    "UnderLoad",
    "UnitsFailedError",
    "Why",
    "Workbench",
    "arms_of",
    "assess",
    "build_ensembles",
    "compare_accuracy",
    "count_members",
    "count_trees",
    "describe_rows",
    "different_rows",
    "energy",
    "filling_rows",
    "grow_trees",
    "hear_stakeholders",
    "kinds",
    "lab_study",
    "latency_pairs",
    "made_of",
    "make_arm",
    "make_guess",
    "measure_latency_and_memory",
    "measure_sizes",
    "measure_under_load",
    "measurements_of",
    "member_correlations",
    "members_of",
    "open_load",
    "open_simulation",
    "open_sizes",
    "out_of_fold_scores",
    "outputs_folder",
    "paired_gains",
    "read_hearings",
    "samples_of",
    "save_hearings",
    "save_sizes",
    "score_compromise",
    "score_furthest",
    "score_ships",
    "simulate_ensembles",
    "simulation_of",
    "size_table",
    "size_view",
    "stakeholder_study",
    "train_single_models",
    "trees_alone",
    "under_load",
    "why_averaging",
]
