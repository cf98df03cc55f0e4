"""Linear models.

This family does *not* know interactions between columns, unless they are given to it as columns.
"""

from __future__ import annotations

from shipworthy.candidates.pipelines import for_linear
from shipworthy.records import Candidate, Estimator, Ingredients


def _logistic_regression(ingredients: Ingredients) -> Estimator:
    from sklearn.linear_model import LogisticRegression

    return for_linear(ingredients, LogisticRegression(max_iter=1000, random_state=ingredients.random_state))


def _ridge(ingredients: Ingredients) -> Estimator:
    from sklearn.linear_model import Ridge

    return for_linear(ingredients, Ridge(random_state=ingredients.random_state))


CANDIDATES = (
    Candidate(
        "logistic_regression",
        "single",
        "Linear log-odds with an L2 penalty: numbers scaled, categories as indicators, medians for what is missing.",
        _logistic_regression,
    ),
    Candidate(
        "ridge",
        "single",
        "A linear regression with an L2 penalty, prepared as the logistic one: what it is to classes, this is to numbers.",
        _ridge,
        tasks=("regression",),
    ),
)
