"""Bags of one model a fold, as AutoGluon builds them: the mean of models that were each fitted without one fold.

Nothing is fitted on all rows. What each model says of the rows that it did not see is the bag's out-of-fold prediction, honest by
construction; assembled, the models are those that gave their member its own.

This family does *not* know which folds: built here it makes five, assembled it takes the data set's own.
"""

from __future__ import annotations

from functools import partial
from typing import get_args

from shipworthy.records import Candidate, Estimator, Ingredients, Task


def _bag(ingredients: Ingredients, member: str, regressor: str) -> Estimator:
    from shipworthy.candidates import get
    from shipworthy.deployables import BaggedClassifier, BaggedRegressor

    if ingredients.task == "regression":
        return BaggedRegressor(get(regressor).build(ingredients))
    return BaggedClassifier(get(member).build(ingredients))


CANDIDATES = (
    Candidate(
        "bagged_logistic",
        "ensemble",
        "The mean of one logistic regression a fold, each fitted without its fold; of a number, of ridge regressions.",
        partial(_bag, member="logistic_regression", regressor="ridge"),
        ("logistic_regression",),
        ("ridge",),
        tasks=get_args(Task),
        bagged=True,
    ),
    Candidate(
        "bagged_xgboost",
        "ensemble",
        "The mean of one XGBoost model a fold, each fitted without its fold.",
        partial(_bag, member="xgboost", regressor="xgboost"),
        ("xgboost",),
        ("xgboost",),
        tasks=get_args(Task),
        bagged=True,
    ),
)
