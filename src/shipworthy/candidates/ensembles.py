"""Ensembles of models that the catalogue holds on their own too.

Built here they are unfitted and fit their members; training assembles the same objects from members that are fitted already.

This family does *not* know how good its members are: choosing members is another room's work.
"""

from __future__ import annotations

from shipworthy.records import Candidate, Estimator, Ingredients

MEMBERS = ("logistic_regression", "random_forest", "xgboost")
"""Three different families: members that err alike gain little from a vote."""


def _members(ingredients: Ingredients) -> list[tuple[str, Estimator]]:
    from shipworthy.candidates import get

    return [(name, get(name).build(ingredients)) for name in MEMBERS]


def _soft_vote(ingredients: Ingredients) -> Estimator:
    from sklearn.ensemble import VotingClassifier

    return VotingClassifier(_members(ingredients), voting="soft", flatten_transform=False, n_jobs=ingredients.n_jobs)


def _stack(ingredients: Ingredients) -> Estimator:
    from sklearn.ensemble import StackingClassifier
    from sklearn.linear_model import LogisticRegression

    return StackingClassifier(
        _members(ingredients),
        final_estimator=LogisticRegression(max_iter=1000, random_state=ingredients.random_state),
        cv=5,  # when it is fitted whole; assembled, it takes the data set's own folds
        stack_method="predict_proba",
        passthrough=False,
        n_jobs=ingredients.n_jobs,
    )


CANDIDATES = (
    Candidate("soft_vote", "ensemble", "The plain mean of its members' probabilities.", _soft_vote, MEMBERS),
    Candidate(
        "stack",
        "ensemble",
        "A logistic regression on its members' probabilities, fitted on what they said of rows that they had not seen.",
        _stack,
        MEMBERS,
    ),
)
