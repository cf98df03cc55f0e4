"""The stack that wins competitions: a second layer of whole models, which see the columns and what the first layer says of a row.

The second layer learns from what the first said of rows that it had not seen; its models vote alike. They are the catalogue's
own, built for the wider rows, so each prepares its rows itself: that is part of what two layers cost.

This family does *not* know which models would make a better layer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from shipworthy.records import Candidate, Estimator, Ingredients, Task

FIRST_LAYER = ("logistic_regression", "random_forest", "xgboost")
FIRST_LAYER_OF_REGRESSORS = ("ridge", "random_forest", "xgboost")
SECOND_LAYER = ("logistic_regression", "xgboost")
SECOND_LAYER_OF_REGRESSORS = ("ridge", "xgboost")


def _says(ingredients: Ingredients, names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the columns that the first layer adds: the second class's probability alone where there are two."""
    if ingredients.task == "regression":
        return tuple(f"first layer: {name}" for name in names)
    first = 1 if ingredients.n_classes == 2 else 0
    return tuple(f"first layer: {name}, class {k}" for name in names for k in range(first, ingredients.n_classes))


def _two_layers(ingredients: Ingredients) -> Estimator:
    from sklearn.ensemble import VotingClassifier, VotingRegressor

    from shipworthy.candidates import get
    from shipworthy.deployables import LayeredClassifier, LayeredRegressor

    regression = ingredients.task == "regression"
    names = FIRST_LAYER_OF_REGRESSORS if regression else FIRST_LAYER
    says = _says(ingredients, names)
    wider = replace(ingredients, numeric=(*ingredients.numeric, *says))
    first = [(name, get(name).build(ingredients)) for name in names]
    second = [(name, get(name).build(wider)) for name in (SECOND_LAYER_OF_REGRESSORS if regression else SECOND_LAYER)]
    if regression:
        return LayeredRegressor(first, VotingRegressor(second, n_jobs=ingredients.n_jobs), says)
    vote = VotingClassifier(second, voting="soft", flatten_transform=False, n_jobs=ingredients.n_jobs)
    return LayeredClassifier(first, vote, says)


CANDIDATES = (
    Candidate(
        "two_layer_stack",
        "ensemble",
        "A vote of a linear model and XGBoost on the columns and on what three models said of each row out of fold.",
        _two_layers,
        FIRST_LAYER,
        FIRST_LAYER_OF_REGRESSORS,
        tasks=get_args(Task),
    ),
)
