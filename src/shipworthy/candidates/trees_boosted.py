"""Boosted trees: as they come, and tuned.

This family does *not* know the rows on which it will be judged: a search sees only the rows that it is given to fit.
"""

from __future__ import annotations

from typing import get_args

from shipworthy.candidates.pipelines import for_trees
from shipworthy.records import Candidate, Estimator, Ingredients, Task


def _xgboost(ingredients: Ingredients) -> Estimator:
    from xgboost import XGBClassifier, XGBRegressor

    booster = XGBRegressor if ingredients.task == "regression" else XGBClassifier
    model = booster(
        n_estimators=200,
        learning_rate=0.1,
        max_depth=5,
        subsample=0.8,
        tree_method="hist",
        n_jobs=ingredients.n_jobs,
        random_state=ingredients.random_state,
    )
    return for_trees(ingredients, model)


def _xgboost_tuned(ingredients: Ingredients) -> Estimator:
    from scipy.stats import loguniform, randint, uniform
    from sklearn.model_selection import KFold, RandomizedSearchCV, StratifiedKFold

    regression = ingredients.task == "regression"
    # Trees and learning rate are drawn apart, so that the search also finds small, quick models where they do as well.
    settings = {
        "model__n_estimators": randint(60, 301),
        "model__learning_rate": loguniform(0.03, 0.2),
        "model__max_depth": randint(2, 8),
        "model__min_child_weight": loguniform(1, 20),
        "model__subsample": uniform(0.6, 0.4),
        "model__colsample_bytree": uniform(0.5, 0.5),
        "model__reg_lambda": loguniform(0.3, 30),
    }
    return RandomizedSearchCV(
        _xgboost(ingredients),
        settings,
        n_iter=ingredients.search_trials,
        scoring="neg_root_mean_squared_error" if regression else "neg_log_loss",
        cv=(KFold if regression else StratifiedKFold)(3, shuffle=True, random_state=ingredients.random_state),
        refit=True,
        error_score="raise",
        random_state=ingredients.random_state,
    )


CANDIDATES = (
    Candidate(
        "xgboost",
        "tree_ensemble",
        "200 boosted trees of depth 5 at XGBoost's usual settings, not tuned.",
        _xgboost,
        tasks=get_args(Task),
    ),
    Candidate(
        "xgboost_tuned",
        "tree_ensemble",
        "XGBoost whose settings a random search chose by log loss (of a number, RMSE) in three folds of the training rows.",
        _xgboost_tuned,
        tasks=get_args(Task),
    ),
)
