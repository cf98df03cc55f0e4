"""Boosted trees: as they come, tuned, and as large as helps.

This family does *not* know the rows on which it will be judged: a search sees only the rows that it is given to fit.
"""

from __future__ import annotations

from typing import get_args

from shipworthy.candidates.pipelines import for_trees
from shipworthy.records import Candidate, Estimator, Ingredients, Task

MOST_TREES = 2000


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


def _hist_gradient_boosting(ingredients: Ingredients) -> Estimator:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    boosting = HistGradientBoostingRegressor if ingredients.task == "regression" else HistGradientBoostingClassifier
    # It has no n_jobs: OpenMP decides, which a study and its measuring processes hold to their threads by OMP_NUM_THREADS.
    # Told which columns are categories it would encode them once more, by functions that no artefact may hold.
    model = boosting(
        max_iter=100,
        learning_rate=0.1,
        max_leaf_nodes=31,
        l2_regularization=1.0,
        early_stopping=False,  # it would hold out rows at random, those of one day or household on both sides
        random_state=ingredients.random_state,
    )
    return for_trees(ingredients, model, fill_empty=True)


def _xgboost_large(ingredients: Ingredients) -> Estimator:
    from shipworthy.candidates.early_stopping import StoppedEarly

    few = _xgboost(ingredients)
    few.set_params(model__learning_rate=0.05, model__max_depth=6, model__colsample_bytree=0.5, model__min_child_weight=3)
    return StoppedEarly(few, most_trees=MOST_TREES, patience=50, random_state=ingredients.random_state)


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
    Candidate(
        "hist_gradient_boosting",
        "tree_ensemble",
        "scikit-learn's boosted trees on binned columns: 100 rounds of 31 leaves at most.",
        _hist_gradient_boosting,
        tasks=get_args(Task),
    ),
    Candidate(
        "xgboost_large",
        "tree_ensemble",
        f"The bigger single: as many boosted trees, up to {MOST_TREES:,}, as help on held-out training rows, fitted on all.",
        _xgboost_large,
        tasks=get_args(Task),
    ),
)
