"""Votes that choose their members, and with which weights, among all that a study trains.

The choice is made on out-of-fold predictions when the ensemble is assembled, by whoever owns selection. Built here before that,
everything that may be chosen votes alike.

This family does *not* know how good a member is, nor how it is found out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import get_args

from shipworthy.records import Candidate, Choosing, Estimator, Ingredients, OwnModule, Task

LIBRARY = ("logistic_regression", "decision_tree", "random_forest", "xgboost")
"""What may be chosen where no study names at least two single models or tree ensembles of its own; the prior never is."""
LIBRARY_OF_REGRESSORS = ("ridge", "decision_tree", "random_forest", "xgboost")
GREEDY_STEPS = 50
MOST_OF_THE_BEST = 5
MS_SHARE = 0.005
"""A millisecond is worth half a percent of the best member's loss: ten of them, a twentieth of it."""
MIB_SHARE = 0.0005


NONE: Mapping[str, Candidate] = MappingProxyType({})


def weighted_vote(ingredients: Ingredients, own: Mapping[str, Candidate] = NONE) -> Estimator:
    """An unfitted vote of the members that the ingredients weigh; without any, of the whole library alike.

    Parameters
    ----------
    ingredients : Ingredients
    own : mapping of str to Candidate
        Members that are not of the catalogue.

    Returns
    -------
    estimator
        scikit-learn's soft vote, or its vote of regressors.
    """
    from sklearn.ensemble import VotingClassifier, VotingRegressor

    from shipworthy.candidates import get

    regression = ingredients.task == "regression"
    names = list(ingredients.weights) or list(LIBRARY_OF_REGRESSORS if regression else LIBRARY)
    members = [(name, (own.get(name) or get(name)).build(ingredients)) for name in names]
    weights = list(ingredients.weights.values()) or None
    if weights and len(set(weights)) == 1:
        # The plain mean, to the last bit: a tie of what members say in tenths is one in every mean, and in few weighted ones.
        weights = None
    if regression:
        return VotingRegressor(members, weights=weights, n_jobs=ingredients.n_jobs)
    return VotingClassifier(members, voting="soft", weights=weights, flatten_transform=False, n_jobs=ingredients.n_jobs)


def among(candidate: Candidate, own: Sequence[Candidate]) -> Candidate:
    """A vote of the catalogue that may choose somebody's own estimators too.

    Parameters
    ----------
    candidate : Candidate
        Chooses its members.
    own : sequence of Candidate

    Returns
    -------
    Candidate
    """
    build = partial(weighted_vote, own={c.name: c for c in own})
    return replace(candidate, build=build, own=OwnModule.together(c.own for c in own))


CANDIDATES = (
    Candidate(
        "uniform_topk",
        "ensemble",
        f"The plain mean of the 2 to {MOST_OF_THE_BEST} members that are best alone out of fold; how many is chosen there too.",
        weighted_vote,
        LIBRARY,
        LIBRARY_OF_REGRESSORS,
        tasks=get_args(Task),
        choosing=Choosing("top", MOST_OF_THE_BEST),
    ),
    Candidate(
        "greedy",
        "ensemble",
        "A weighted vote: again and again the member that helps most out of fold is added, and may be added anew (Caruana 2004).",
        weighted_vote,
        LIBRARY,
        LIBRARY_OF_REGRESSORS,
        tasks=get_args(Task),
        choosing=Choosing("greedy", GREEDY_STEPS),
    ),
    Candidate(
        "greedy_cost",
        "ensemble",
        f"As greedy, but an estimated millisecond must save {MS_SHARE:.1%} of the best member's loss, a MiB {MIB_SHARE:.2%}.",
        weighted_vote,
        LIBRARY,
        LIBRARY_OF_REGRESSORS,
        tasks=get_args(Task),
        choosing=Choosing("greedy", GREEDY_STEPS, MS_SHARE, MIB_SHARE),
    ),
)
