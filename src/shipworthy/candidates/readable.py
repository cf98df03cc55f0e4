"""A glass box: a model whose whole reasoning a person can read, and that still bends with the data.

This family does *not* know how its tables are drawn for a reader.
"""

from __future__ import annotations

from typing import get_args

from shipworthy.candidates.pipelines import category_places, for_trees
from shipworthy.records import Candidate, Estimator, Ingredients, Task

PAIRS = 5
"""Tables of two columns: more than a handful, and nobody reads them. By default it would be three times the columns."""
MOST_COLUMNS_IN_PAIRS = 100
"""With more columns there are too many pairs to look through: 306,936 of the pixels of a small image."""
BAGS = 2
COLUMN_ROUNDS = 40_000
"""Rounds times columns, at most: what keeps hundreds of columns within a minute."""
MOST_ROUNDS = 1000


def _glass_box(ingredients: Ingredients) -> Estimator:
    from shipworthy.deployables import GlassBoxClassifier, GlassBoxRegressor

    n_columns = len(ingredients.numeric) + len(ingredients.categorical)
    # A pair's table for each of many classes cannot be shown on paper, so there it is no glass box.
    pairs = 0 if ingredients.task == "multiclass" or n_columns > MOST_COLUMNS_IN_PAIRS else PAIRS
    box = GlassBoxRegressor if ingredients.task == "regression" else GlassBoxClassifier
    model = box(
        category_places(ingredients),
        interactions=pairs,
        outer_bags=BAGS,
        max_rounds=max(10, min(MOST_ROUNDS, COLUMN_ROUNDS // n_columns)),
        n_jobs=ingredients.n_jobs,
        random_state=ingredients.random_state,
    )
    return for_trees(ingredients, model)


CANDIDATES = (
    Candidate(
        "glass_box",
        "single",
        f"An explainable boosting machine: a curve a column and {PAIRS} pairs of columns at most, added up, to be read.",
        _glass_box,
        tasks=get_args(Task),
    ),
)
