"""Naive Bayes.

Columns tell of each other, which it ignores, so its own probabilities are too near to 0 and 1 by far: on rows that each fit
holds out of itself, a logistic curve learns what they are worth. The order of the rows stays the machine's own for two classes.

This family does *not* predict numbers: it weighs classes, and there is none in a regression.
"""

from __future__ import annotations

from shipworthy.candidates.pipelines import for_linear
from shipworthy.records import Candidate, Estimator, Ingredients

LEAST_VARIANCE = 0.1
"""Added to every variance, of columns whose own is about one: without it a rare category alone would decide."""
CALIBRATION_FOLDS = 3


def _naive_bayes(ingredients: Ingredients) -> Estimator:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.naive_bayes import GaussianNB

    # One machine and one curve are shipped, not one for each fold: a query costs what naive Bayes costs.
    bayes = GaussianNB(var_smoothing=LEAST_VARIANCE)
    model = CalibratedClassifierCV(bayes, method="sigmoid", cv=CALIBRATION_FOLDS, ensemble=False, n_jobs=ingredients.n_jobs)
    return for_linear(ingredients, model, dense=True)


CANDIDATES = (
    Candidate(
        "naive_bayes",
        "single",
        "A bell curve a column and class, multiplied as if columns knew nothing of each other; its probabilities are calibrated.",
        _naive_bayes,
    ),
)
