"""Puts ensembles together from fitted members, which are never fitted again.

A vote's out-of-fold predictions are the mean of its members'; where its weights were chosen, each fold is weighed by what was
chosen on the others. A stack's final estimator, or second layer, is fitted on its members' out-of-fold predictions, never on what
they say of rows that they learnt from; its own out-of-fold predictions come from one that was fitted on the other folds. In those
other folds the members had seen the held-out rows. With a few weights to learn that makes no difference that could be measured;
a second layer of whole models reads the answers back from it, so for one :mod:`~shipworthy.training.second_layer` fits anew. A
bag is the models that were fitted without one fold, so its out-of-fold predictions are its member's. Weights and thresholds that
somebody declares may owe something to any rows.

This module does *not* know how members were fitted or why they were chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shipworthy import artefacts
from shipworthy.records import Candidate, Dataset, Estimator, Floats, Ingredients, InputError, Trained
from shipworthy.training.fitting import ARTEFACT, Meter, TrainingError, fold_artefacts, predict, predictions
from shipworthy.training.second_layer import held_out_answers

Weights = Mapping[str, float]


def assemble(
    candidate: Candidate,
    members: Mapping[str, Trained],
    dataset: Dataset,
    *,
    folder: Path,
    random_state: int,
    meter: Meter,
    weights: Weights | None = None,
    fold_weights: Sequence[Weights] = (),
) -> Trained:
    """Assemble an ensemble from its members' artefacts and save it.

    Parameters
    ----------
    candidate : Candidate
        Its ``build`` returns scikit-learn's voting or stacking classifier, or regressor, or one of our deployables.
    members : mapping of str to Trained
        By name; others than those that the candidate names, or that have a weight, are passed over.
    dataset : Dataset
        The one that the members were trained on, with the same split.
    folder : Path
        Exists; the artefact is written into it.
    random_state : int
        Of the final estimator.
    meter : Meter
        Told to do the assembling, without the loading of members.
    weights : mapping of str to float, optional
        Of a vote whose members were chosen: those that it takes, each above 0.
    fold_weights : sequence of mapping
        What was chosen for each fold on the rows of the others; left out, ``weights`` hold for all folds.

    Returns
    -------
    Trained
        Equal to the ensemble fitted whole on the same folds, bit for bit. ``costs`` are those of assembling alone. In ``notes``:
        ``members``; ``weights`` of a vote; ``models``, how many fitted models it holds; and ``needs_out_of_fold``, whether
        anything was learnt from the members' out-of-fold predictions, so that their out-of-fold fits are part of what the
        ensemble costs; ``asks_all``, whether every query meets every model; ``thresholds`` and ``confidence`` of a cascade; of a
        second layer ``oof_cpu_s`` and ``oof_wall_s``, what its out-of-fold predictions took, which nobody needs to ship it.

    Raises
    ------
    InputError
        If a member is missing or was trained on other rows.
    TrainingError
        If assembling fails.
    """
    names = tuple(weights or candidate.members_for(dataset.task))
    for_folds = [_matching(candidate, tuple(chosen), members, dataset) for chosen in fold_weights]
    chosen = _matching(candidate, names, members, dataset)
    ingredients = Ingredients(
        task=dataset.task,
        numeric=dataset.numeric,
        categorical=dataset.categorical,
        random_state=random_state,
        n_classes=len(dataset.classes),
        weights=weights or {},
    )
    more: dict[str, Any] = {}
    trusted = candidate.own.trusted if candidate.own else ()
    try:
        ensemble = candidate.build(ingredients)
        unfitted = [model for _, model in getattr(ensemble, "estimators", ())]
        ensemble = _of_what_is_shipped(ensemble)
        fitted = [artefacts.load(path, trusted) for t in chosen for path in _parts(candidate, t, dataset)]
        said = [t.predictions.oof for t in chosen]
        (shipped, own), costs = meter(lambda: _put_together(ensemble, fitted, said, dataset))
        if own is not None:
            oof = own
        else:
            oof, oof_costs = meter(lambda: held_out_answers(ensemble, unfitted, said, dataset))
            more = {"oof_cpu_s": oof_costs.cpu_s, "oof_wall_s": oof_costs.wall_s}
        if fold_weights:
            oof = _weighed_by_fold(fold_weights, for_folds, dataset)
        test = predict(shipped, dataset, dataset.split.test)
        artefacts.save(shipped, folder / ARTEFACT, trusted)
    except (Exception, SystemExit) as error:
        raise TrainingError(f"{candidate.name} on {dataset.name}: assembling failed: {type(error).__name__}: {error}") from error
    final = getattr(shipped, "final_estimator_", None)
    notes: dict[str, Any] = {"members": [t.candidate for t in chosen], **more}
    notes["models"] = len(fitted) + len(getattr(final, "estimators_", ()))
    if hasattr(shipped, "weights") and not candidate.bagged:
        given = shipped.weights or [1.0] * len(chosen)
        notes["weights"] = {t.candidate: w / sum(given) for t, w in zip(chosen, given, strict=True)}
    # A cascade asks some of its members of some queries.
    notes["asks_all"] = not hasattr(shipped, "thresholds")
    if not notes["asks_all"]:
        notes |= {"thresholds": list(shipped.thresholds), "confidence": shipped.confidence}
    # Whoever builds it must have its members' out-of-fold predictions only if something was learnt from them.
    notes["needs_out_of_fold"] = final is not None or bool(fold_weights) or candidate.bagged
    return Trained(candidate.name, predictions(dataset, oof, test), str(folder / ARTEFACT), costs, notes)


def _of_what_is_shipped(ensemble: Estimator) -> Estimator:
    """The ensemble without searches in its list of unfitted members: what a search found is shipped, and not how it searched."""
    if hasattr(ensemble, "estimators"):
        ensemble.estimators = [(name, e.estimator if hasattr(e, "refit") else e) for name, e in ensemble.estimators]
    return ensemble


def _matching(candidate: Candidate, names: tuple[str, ...], members: Mapping[str, Trained], dataset: Dataset) -> list[Trained]:
    if not candidate.members:
        raise InputError(f"{candidate.name} has no members to be assembled from; fit it instead")
    rows, test_rows = dataset.row_ids[dataset.split.train], dataset.row_ids[dataset.split.test]
    for name in names:
        if name not in members:
            raise InputError(f"{candidate.name} on {dataset.name}: its member {name} is not trained; train it first")
        said = members[name].predictions
        if not (np.array_equal(said.oof_rows, rows) and np.array_equal(said.test_rows, test_rows)):
            raise InputError(
                f"{candidate.name} on {dataset.name}: its member {name} was trained on other rows; train it on this split"
            )
    return [members[name] for name in names]


def _parts(candidate: Candidate, member: Trained, dataset: Dataset) -> list[Path]:
    """The artefacts that an ensemble takes of a member: the one that was fitted on all rows, or for a bag those of its folds."""
    if not candidate.bagged:
        return [Path(member.artefact)]
    paths = fold_artefacts(Path(member.artefact).parent, dataset.split.n_folds)
    if absent := [p for p in paths if not p.is_file()]:
        raise InputError(f"{member.candidate} kept no fold model {absent[0].name}; train it again, and let it keep them")
    return paths


def _weighed_by_fold(fold_weights: Sequence[Weights], chosen: Sequence[Sequence[Trained]], dataset: Dataset) -> Floats:
    """Each fold as weighed by what was chosen on the others."""
    said = np.full((len(dataset.split.train), max(1, len(dataset.classes))), np.nan)
    for held_out, (weights, members) in enumerate(zip(fold_weights, chosen, strict=True)):
        rows = dataset.split.fold == held_out
        said[rows] = np.average([t.predictions.oof[rows] for t in members], axis=0, weights=list(weights.values()))
    return said


def _put_together(
    ensemble: Estimator, fitted: list[Estimator], oof: list[Floats], dataset: Dataset
) -> tuple[Estimator, Floats | None]:
    """The ensemble with its members, and its out-of-fold predictions: ``None`` of two layers, which take further fits."""
    from sklearn.ensemble import StackingClassifier, StackingRegressor, VotingClassifier, VotingRegressor
    from sklearn.preprocessing import LabelEncoder

    y = dataset.y[dataset.split.train]
    # What scikit-learn's own fit would set. named_estimators_ is left out: it repeats estimators_, and an artefact would
    # describe every member twice.
    ensemble.estimators_ = fitted
    if (own := _our_own(ensemble, oof, dataset)) is not None:
        return own
    if isinstance(ensemble, VotingRegressor):
        return ensemble, np.average(np.hstack(oof), axis=1, weights=ensemble.weights)[:, None]
    if isinstance(ensemble, StackingRegressor) and not ensemble.passthrough:
        ensemble.stack_method_ = ["predict"] * len(fitted)
        meta = np.hstack(oof)
        ensemble.final_estimator_, cross_fitted = _final_estimator(ensemble.final_estimator, meta, y, dataset)
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


def _our_own(ensemble: Estimator, oof: list[Floats], dataset: Dataset) -> tuple[Estimator, Floats | None] | None:
    """Finish one of our deployables, whose members are fitted, as :func:`_put_together` does; ``None`` for any other ensemble."""
    from sklearn.base import clone

    from shipworthy.deployables import BaggedClassifier, BaggedRegressor, Cascade, LayeredClassifier, LayeredRegressor

    if not isinstance(ensemble, BaggedClassifier | BaggedRegressor | Cascade | LayeredClassifier | LayeredRegressor):
        return None
    y = dataset.y[dataset.split.train]
    if dataset.classes:
        ensemble.classes_ = np.unique(y)
    if isinstance(ensemble, BaggedClassifier | BaggedRegressor):
        return ensemble, oof[0]
    if isinstance(ensemble, Cascade):
        return ensemble, ensemble.combine(oof)
    # The second layer learns from the columns and from what the first said out of fold.
    wider = ensemble.extend(dataset.X.iloc[dataset.split.train], oof)
    ensemble.final_estimator_ = clone(ensemble.final_estimator).fit(wider, y)
    del ensemble.final_estimator_.named_estimators_
    return ensemble, None


def _meta_features(probabilities: list[Floats]) -> Floats:
    """What the final estimator is given: for two classes the second's probability (the first is the rest), else all of them."""
    return np.hstack([p[:, 1:] if p.shape[1] == 2 else p for p in probabilities])


def _final_estimator(template: Any, meta: Floats, y: np.ndarray[Any, Any], dataset: Dataset) -> tuple[Any, Floats]:
    """Fit what comes last on an array of features: on all rows, and for each fold on the others."""
    from sklearn.base import clone

    fold = dataset.split.fold
    said = np.full((len(y), max(1, len(dataset.classes))), np.nan)
    for held_out in range(dataset.split.n_folds):
        other = clone(template).fit(meta[fold != held_out], y[fold != held_out])
        asked = meta[fold == held_out]
        said[fold == held_out] = other.predict_proba(asked) if dataset.classes else other.predict(asked)[:, None]
    return clone(template).fit(meta, y), said
