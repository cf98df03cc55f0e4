"""One tree, and forests of them.

This family does *not* know boosting.
"""

from __future__ import annotations

from typing import get_args

from shipworthy.candidates.pipelines import for_trees
from shipworthy.records import Candidate, Estimator, Ingredients, Task


def _decision_tree(ingredients: Ingredients) -> Estimator:
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    tree = DecisionTreeRegressor if ingredients.task == "regression" else DecisionTreeClassifier
    # Pruned before it grows: leaves of twenty rows give probabilities that are worth stating.
    model = tree(max_depth=8, min_samples_leaf=20, random_state=ingredients.random_state)
    return for_trees(ingredients, model)


def _random_forest(ingredients: Ingredients) -> Estimator:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    forest = RandomForestRegressor if ingredients.task == "regression" else RandomForestClassifier
    model = forest(n_estimators=100, min_samples_leaf=3, n_jobs=ingredients.n_jobs, random_state=ingredients.random_state)
    return for_trees(ingredients, model)


def _extra_trees(ingredients: Ingredients) -> Estimator:
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    trees = ExtraTreesRegressor if ingredients.task == "regression" else ExtraTreesClassifier
    model = trees(n_estimators=100, min_samples_leaf=3, n_jobs=ingredients.n_jobs, random_state=ingredients.random_state)
    return for_trees(ingredients, model)


CANDIDATES = (
    Candidate(
        "decision_tree",
        "single",
        "One tree of depth at most 8 whose leaves hold at least 20 training rows.",
        _decision_tree,
        tasks=get_args(Task),
    ),
    Candidate(
        "random_forest",
        "tree_ensemble",
        "The mean of 100 deep trees, each grown on a bootstrap of the rows.",
        _random_forest,
        tasks=get_args(Task),
    ),
    Candidate(
        "extra_trees",
        "tree_ensemble",
        "The mean of 100 deep trees on all rows, whose thresholds are drawn by chance: smoother than a forest, and larger.",
        _extra_trees,
        tasks=get_args(Task),
    ),
)
