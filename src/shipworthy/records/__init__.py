"""The frozen records that the rooms exchange, with the few statistics that belong to them.

Every number that shipworthy prints was carried by one of these.
They hold plain types, arrays and tuples, and import nothing heavier than NumPy.
Units are in the names: ``_ms`` milliseconds, ``_mib`` mebibytes (2**20 bytes), ``_s`` seconds.

This module does *not* know how anything is loaded, fitted, timed, judged or drawn.
"""

from __future__ import annotations

from shipworthy.records.candidates import Candidate, Costs, Ingredients, Trained
from shipworthy.records.data import DataFile, Dataset, Predictions, Roles, Split
from shipworthy.records.measurements import Conditions, Interval, Measurement, PercentileBound, Record
from shipworthy.records.quantities import QUANTITIES, Quantity
from shipworthy.records.study import MeasuringPlan, Prices, Requirement, Scenario, Study, TrainingPlan
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
)
from shipworthy.records.verdicts import Comparison, RequirementVerdict, Verdict

__all__ = [
    "FORBID_UNKNOWN",
    "QUANTITIES",
    "Answer",
    "Candidate",
    "Comparison",
    "Conditions",
    "Costs",
    "DataFile",
    "Dataset",
    "Estimator",
    "Floats",
    "Ingredients",
    "InputError",
    "Interval",
    "Ints",
    "Kind",
    "Measurement",
    "MeasuringPlan",
    "PercentileBound",
    "Predictions",
    "Prices",
    "Quantity",
    "Record",
    "Requirement",
    "RequirementOutcome",
    "RequirementVerdict",
    "Roles",
    "Scenario",
    "ScenarioName",
    "Split",
    "Statistic",
    "Study",
    "Task",
    "Trained",
    "TrainingPlan",
    "Verdict",
    "digest",
]
