"""The baseline that every candidate must beat to have learnt anything.

This family does *not* look at a feature.
"""

from __future__ import annotations

from typing import get_args

from shipworthy.candidates.pipelines import bare
from shipworthy.records import Candidate, Estimator, Ingredients, Task


def _prior(ingredients: Ingredients) -> Estimator:
    from sklearn.dummy import DummyClassifier, DummyRegressor

    if ingredients.task == "regression":
        return bare(ingredients, DummyRegressor(strategy="mean"))
    return bare(ingredients, DummyClassifier(strategy="prior", random_state=ingredients.random_state))


CANDIDATES = (
    Candidate(
        "prior",
        "single",
        "States each class's share of the training rows (of a number, their mean), whatever it is asked.",
        _prior,
        tasks=get_args(Task),
    ),
)
