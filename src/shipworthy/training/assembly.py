"""Puts ensembles together from fitted members, which are never fitted again.

A vote's out-of-fold predictions are the mean of its members'. A stack's final estimator is fitted on its members' out-of-fold
predictions, never on what they say of rows that they learnt from; its own out-of-fold predictions come from a final estimator
that was fitted on the other folds. One thing this cannot undo: in those other folds the members had seen the held-out rows. A
nested refit of all members would, at ``folds`` times the cost; with a linear final estimator of a few weights it is not worth it.

This module does *not* know how members were fitted or why they were chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from shipworthy import artefacts
from shipworthy.records import Candidate, Dataset, Estimator, Floats, Ingredients, InputError, Trained
from shipworthy.training.fitting import ARTEFACT, Meter, TrainingError, predict, predictions


def assemble(
    candidate: Candidate, members: Mapping[str, Trained], dataset: Dataset, *, folder: Path, random_state: int, meter: Meter
) -> Trained:
    """Assemble an ensemble from its members' artefacts and save it.

    Parameters
    ----------
    candidate : Candidate
        Its ``build`` returns scikit-learn's voting or stacking classifier, or regressor, of its members.
    members : mapping of str to Trained
        By name; others than those that the candidate names are passed over.
    dataset : Dataset
        The one that the members were trained on, with the same split.
    folder : Path
        Exists; the artefact is written into it.
    random_state : int
        Of the final estimator.
    meter : Meter
        Told to do the assembling, without the loading of members.

    Returns
    -------
    Trained
        Equal to the ensemble fitted whole on the same folds, bit for bit. ``costs`` are those of assembling alone; in
        ``notes``, ``needs_out_of_fold`` says whether a final estimator was fitted on the members' out-of-fold predictions, so
        that their out-of-fold fits are part of what the ensemble costs.

    Raises
    ------
    InputError
        If a member is missing or was trained on other rows.
    TrainingError
        If assembling fails.
    """
    chosen = _matching(candidate, members, dataset)
    ingredients = Ingredients(
        task=dataset.task, numeric=dataset.numeric, categorical=dataset.categorical, random_state=random_state
    )
    try:
        ensemble = candidate.build(ingredients)
        fitted = [artefacts.load(Path(t.artefact)) for t in chosen]
        (shipped, oof), costs = meter(lambda: _put_together(ensemble, fitted, [t.predictions.oof for t in chosen], dataset))
        test = predict(shipped, dataset, dataset.split.test)
        artefacts.save(shipped, folder / ARTEFACT)
    except (Exception, SystemExit) as error:
        raise TrainingError(f"{candidate.name} on {dataset.name}: assembling failed: {type(error).__name__}: {error}") from error
    # Whoever builds it must have its members' out-of-fold predictions only if something was fitted on them.
    notes = {"members": [t.candidate for t in chosen], "needs_out_of_fold": hasattr(shipped, "final_estimator_")}
    return Trained(candidate.name, predictions(dataset, oof, test), str(folder / ARTEFACT), costs, notes)


def _matching(candidate: Candidate, members: Mapping[str, Trained], dataset: Dataset) -> list[Trained]:
    if not candidate.members:
        raise InputError(f"{candidate.name} has no members to be assembled from; fit it instead")
    rows, test_rows = dataset.row_ids[dataset.split.train], dataset.row_ids[dataset.split.test]
    names = candidate.members_for(dataset.task)
    for name in names:
        if name not in members:
            raise InputError(f"{candidate.name} on {dataset.name}: its member {name} is not trained; train it first")
        said = members[name].predictions
        if not (np.array_equal(said.oof_rows, rows) and np.array_equal(said.test_rows, test_rows)):
            raise InputError(
                f"{candidate.name} on {dataset.name}: its member {name} was trained on other rows; train it on this split"
            )
    return [members[name] for name in names]


def _put_together(ensemble: Estimator, fitted: list[Estimator], oof: list[Floats], dataset: Dataset) -> tuple[Estimator, Floats]:
    from sklearn.ensemble import StackingClassifier, StackingRegressor, VotingClassifier, VotingRegressor
    from sklearn.preprocessing import LabelEncoder

    y = dataset.y[dataset.split.train]
    # What scikit-learn's own fit would set. named_estimators_ is left out: it repeats estimators_, and an artefact would
    # describe every member twice.
    ensemble.estimators_ = fitted
    if isinstance(ensemble, VotingRegressor):
        return ensemble, np.average(np.hstack(oof), axis=1, weights=ensemble.weights)[:, None]
    if isinstance(ensemble, StackingRegressor) and not ensemble.passthrough:
        ensemble.stack_method_ = ["predict"] * len(fitted)
        ensemble.final_estimator_, cross_fitted = _final_estimator(ensemble.final_estimator, np.hstack(oof), y, dataset)
        return ensemble, cross_fitted
    encoder = LabelEncoder().fit(y)
    ensemble.classes_ = encoder.classes_
    if isinstance(ensemble, VotingClassifier) and ensemble.voting == "soft":
        ensemble.le_ = encoder
        return ensemble, np.average(np.asarray(oof), axis=0, weights=ensemble.weights)
    if isinstance(ensemble, StackingClassifier) and ensemble.stack_method == "predict_proba" and not ensemble.passthrough:
        ensemble._label_encoder = encoder  # noqa: SLF001 - there is no public way to give a stack its fitted members
        ensemble.stack_method_ = ["predict_proba"] * len(fitted)
        meta = _meta_features(oof)
        ensemble.final_estimator_, cross_fitted = _final_estimator(ensemble.final_estimator, meta, y, dataset)
        return ensemble, cross_fitted
    raise TypeError(f"{type(ensemble).__name__} is neither a soft vote nor a stack on what its members say alone")


def _meta_features(probabilities: list[Floats]) -> Floats:
    """What the final estimator is given: for two classes the second's probability (the first is the rest), else all of them."""
    return np.hstack([p[:, 1:] if p.shape[1] == 2 else p for p in probabilities])


def _final_estimator(template: Any, meta: Floats, y: np.ndarray[Any, Any], dataset: Dataset) -> tuple[Any, Floats]:
    from sklearn.base import clone

    fold = dataset.split.fold
    said = np.full((len(y), max(1, len(dataset.classes))), np.nan)
    for held_out in range(dataset.split.n_folds):
        other = clone(template).fit(meta[fold != held_out], y[fold != held_out])
        asked = meta[fold == held_out]
        said[fold == held_out] = other.predict_proba(asked) if dataset.classes else other.predict(asked)[:, None]
    return clone(template).fit(meta, y), said
