"""What a notebook calls: each experiment composes the rooms and answers one question.

This package does *not* know how notebooks are executed or studies planned.
"""

from __future__ import annotations

from shipworthy.experiments.accuracy import compare_accuracy, out_of_fold_scores, paired_gains
from shipworthy.experiments.arms import Arm, arms_of, make_arm, members_of
from shipworthy.experiments.ensembles import build_ensembles, kinds, member_correlations
from shipworthy.experiments.feasibility import Assessment, assess, lab_study
from shipworthy.experiments.latency_and_memory import different_rows, measure_latency_and_memory, samples_of
from shipworthy.experiments.single_models import describe_rows, train_single_models
from shipworthy.experiments.workbench import UnitsFailedError, Workbench, outputs_folder
from shipworthy.records import InputError, MeasuringPlan, TrainingPlan

__all__ = [
    "Arm",
    "Assessment",
    "InputError",
    "MeasuringPlan",
    "TrainingPlan",
    "UnitsFailedError",
    "Workbench",
    "arms_of",
    "assess",
    "build_ensembles",
    "compare_accuracy",
    "describe_rows",
    "different_rows",
    "kinds",
    "lab_study",
    "make_arm",
    "measure_latency_and_memory",
    "member_correlations",
    "members_of",
    "out_of_fold_scores",
    "outputs_folder",
    "paired_gains",
    "samples_of",
    "train_single_models",
]
