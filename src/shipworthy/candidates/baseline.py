"""The baseline that every candidate must beat to have learnt anything.

This family does *not* look at a feature.
"""

from __future__ import annotations

from shipworthy.candidates.pipelines import bare
from shipworthy.records import Candidate, Estimator, Ingredients


def _prior(ingredients: Ingredients) -> Estimator:
    from sklearn.dummy import DummyClassifier

    return bare(ingredients, DummyClassifier(strategy="prior", random_state=ingredients.random_state))


CANDIDATES = (Candidate("prior", "single", "States each class's share of the training rows, whatever it is asked.", _prior),)
