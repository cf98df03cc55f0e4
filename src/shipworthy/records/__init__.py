"""The frozen records that the rooms exchange, with the few statistics that belong to them.

Every number that shipworthy prints was carried by one of these.
They hold plain types, arrays and tuples, and import nothing heavier than NumPy.
Units are in the names: ``_ms`` milliseconds, ``_mib`` mebibytes (2**20 bytes), ``_s`` seconds.

This module does *not* know how anything is loaded, fitted, timed, judged or drawn.
"""

from __future__ import annotations

from shipworthy.records.candidates import Candidate, Choosing, Costs, Ingredients, OwnEstimator, OwnModule, Trained
from shipworthy.records.data import MANY_CLUSTERS, DataFile, Dataset, Predictions, Roles, Split, few_clusters
from shipworthy.records.economics import HOURS_A_MONTH, Amount, Economics, expected
from shipworthy.records.measurements import Conditions, Interval, Measurement, PercentileBound, Record
from shipworthy.records.quantities import QUANTITIES, Quantity
from shipworthy.records.selections import ConfidenceName, OwnCascade, OwnVote, Selection
from shipworthy.records.stakeholders import EVERYBODY, Agreement, Choice, Compromise, Hearing, Move, Rating, Regret, Veto
from shipworthy.records.study import (
    Limits,
    LoadPlan,
    MeasuringPlan,
    Prices,
    Requirement,
    Scenario,
    SimulationPlan,
    Stakeholder,
    Study,
    TrainingPlan,
)
from shipworthy.records.terms import (
    FORBID_UNKNOWN,
    Answer,
    Estimator,
    Floats,
    InputError,
    Ints,
    Kind,
    RequirementOutcome,
    ScenarioName,
    Statistic,
    Task,
    digest,
    in_one_line,
)
from shipworthy.records.told import RecipeFinding, RecipeKind, Told
from shipworthy.records.verdicts import Comparison, Equivalence, RequirementVerdict, Verdict

__all__ = [
    "EVERYBODY",
    "FORBID_UNKNOWN",
    "HOURS_A_MONTH",
    "MANY_CLUSTERS",
    "QUANTITIES",
    "Agreement",
    "Amount",
    "Answer",
    "Candidate",
    "Choice",
    "Choosing",
    "Comparison",
    "Compromise",
    "Conditions",
    "ConfidenceName",
    "Costs",
    "DataFile",
    "Dataset",
    "Economics",
    "Equivalence",
    "Estimator",
    "Floats",
    "Hearing",
    "Ingredients",
    "InputError",
    "Interval",
    "Ints",
    "Kind",
    "Limits",
    "LoadPlan",
    "Measurement",
    "MeasuringPlan",
    "Move",
    "OwnCascade",
    "OwnEstimator",
    "OwnModule",
    "OwnVote",
    "PercentileBound",
    "Predictions",
    "Prices",
    "Quantity",
    "Rating",
    "RecipeFinding",
    "RecipeKind",
    "Record",
    "Regret",
    "Requirement",
    "RequirementOutcome",
    "RequirementVerdict",
    "Roles",
    "Scenario",
    "ScenarioName",
    "Selection",
    "SimulationPlan",
    "Split",
    "Stakeholder",
    "Statistic",
    "Study",
    "Task",
    "Told",
    "Trained",
    "TrainingPlan",
    "Verdict",
    "Veto",
    "digest",
    "expected",
    "few_clusters",
    "in_one_line",
]
