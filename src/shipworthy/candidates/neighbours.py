"""Nearest neighbours.

This family does *not* learn anything: it keeps the training rows, and its artefact holds all of them.
"""

from __future__ import annotations

from typing import get_args

from shipworthy.candidates.pipelines import for_linear
from shipworthy.records import Candidate, Estimator, Ingredients, Task

NEIGHBOURS = 20
"""Enough that the shares of the classes among them are worth stating, and few enough for a few hundred rows."""


def _knn(ingredients: Ingredients) -> Estimator:
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    neighbours = KNeighborsRegressor if ingredients.task == "regression" else KNeighborsClassifier
    # A tree's search finds one row's neighbours as it finds those of many; the matrix product of brute force rounds by the batch.
    model = neighbours(n_neighbors=NEIGHBOURS, algorithm="kd_tree", n_jobs=ingredients.n_jobs)
    return for_linear(ingredients, model, dense=True)


CANDIDATES = (
    Candidate(
        "knn",
        "single",
        f"The shares of the classes, or the mean, of the {NEIGHBOURS} nearest training rows, prepared as for the logistic one.",
        _knn,
        tasks=get_args(Task),
    ),
)
