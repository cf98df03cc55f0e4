"""Ensembles of models that the catalogue holds on their own too.

Built here they are unfitted and fit their members; training assembles the same objects from members that are fitted already.

This family does *not* know how good its members are: choosing members is another room's work.
"""

from __future__ import annotations

from typing import get_args

from shipworthy.records import Candidate, Estimator, Ingredients, Task

MEMBERS = ("logistic_regression", "random_forest", "xgboost")
"""Three different families: members that err alike gain little from a vote."""
REGRESSORS = ("ridge", "random_forest", "xgboost")
"""The same families where a number is asked for."""


def _members(ingredients: Ingredients) -> list[tuple[str, Estimator]]:
    from shipworthy.candidates import get

    names = REGRESSORS if ingredients.task == "regression" else MEMBERS
    return [(name, get(name).build(ingredients)) for name in names]


def _soft_vote(ingredients: Ingredients) -> Estimator:
    from sklearn.ensemble import VotingClassifier, VotingRegressor

    if ingredients.task == "regression":
        return VotingRegressor(_members(ingredients), n_jobs=ingredients.n_jobs)
    return VotingClassifier(_members(ingredients), voting="soft", flatten_transform=False, n_jobs=ingredients.n_jobs)


def _stack(ingredients: Ingredients) -> Estimator:
    from sklearn.ensemble import StackingClassifier, StackingRegressor
    from sklearn.linear_model import LinearRegression, LogisticRegression

    if ingredients.task == "regression":
        return StackingRegressor(
            _members(ingredients), final_estimator=LinearRegression(), cv=5, passthrough=False, n_jobs=ingredients.n_jobs
        )
    return StackingClassifier(
        _members(ingredients),
        final_estimator=LogisticRegression(max_iter=1000, random_state=ingredients.random_state),
        cv=5,  # when it is fitted whole; assembled, it takes the data set's own folds
        stack_method="predict_proba",
        passthrough=False,
        n_jobs=ingredients.n_jobs,
    )


CANDIDATES = (
    Candidate(
        "soft_vote",
        "ensemble",
        "The plain mean of its members' probabilities, or of the numbers that they predict.",
        _soft_vote,
        MEMBERS,
        REGRESSORS,
        tasks=get_args(Task),
    ),
    Candidate(
        "stack",
        "ensemble",
        "A logistic (or linear) regression on what its members say, fitted on what they said of rows that they had not seen.",
        _stack,
        MEMBERS,
        REGRESSORS,
        tasks=get_args(Task),
    ),
)
