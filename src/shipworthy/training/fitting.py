"""Fits one candidate: on all training rows, then out-of-fold.

The fit that is shipped comes first: what out-of-fold fits leave free would hide what it needs.

This module does *not* know how an ensemble is put together from fitted members.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from shipworthy import artefacts
from shipworthy.records import Candidate, Costs, Dataset, Estimator, Floats, Ingredients, Ints, Predictions, Trained

T = TypeVar("T")

ARTEFACT = "artefact.skops"
"""Name of the artefact in the folder of a trained candidate."""

REHEARSED = 100
"""Rows of each class, or of a regression, that a rehearsal fits."""

INNER_FOLDS = 3
"""Folds, at most, in which a search compares settings."""
ROUNDING = 1e-4
"""What single precision may leave of a sum of probabilities."""


class Meter(Protocol):
    """Does a piece of work and says what it cost."""

    def __call__(self, work: Callable[[], T], /) -> tuple[T, Costs]:
        """Return the result of ``work()`` and its costs."""


class TrainingError(RuntimeError):
    """A candidate could not be trained. The message names the candidate, the data set, the step and the cause."""


def fold_artefacts(folder: Path, n_folds: int) -> list[Path]:
    """Where the models that were fitted without one fold lie, in the order of the folds, if they were kept."""
    return [folder / f"fold{k}.skops" for k in range(n_folds)]


def fit(
    candidate: Candidate,
    dataset: Dataset,
    *,
    folder: Path,
    random_state: int,
    search_trials: int,
    meter: Meter,
    keep_folds: bool = False,
) -> Trained:
    """Fit a candidate and save its artefact.

    A candidate that searches (scikit-learn's search estimators) does so anew within every fold, so its out-of-fold predictions
    owe nothing to the rows that they are about. Its inner folds are made of the data set's own, so that rows which belong
    together (identical ones, those of one day) are never parted by them either. What is shipped is the best estimator alone,
    not the search around it.

    Parameters
    ----------
    candidate : Candidate
    dataset : Dataset
    folder : Path
        Exists; the artefact is written into it.
    random_state : int
    search_trials : int
        How many settings a tuned candidate may try.
    meter : Meter
        Told to do the final fit, first, and then the out-of-fold fits, with their predictions.
    keep_folds : bool
        Save the models of the out-of-fold fits too, of which a bag can be made; named as by :func:`fold_artefacts`.

    Returns
    -------
    Trained
        ``costs`` are those of the final fit. In ``notes``: ``oof_cpu_s`` and ``oof_wall_s``, what the out-of-fold fits cost; of
        a search also ``best``, ``scoring``, ``trials`` and ``inner_folds``.

    Raises
    ------
    TrainingError
        If any fit fails.
    """
    ingredients = Ingredients(
        task=dataset.task,
        numeric=dataset.numeric,
        categorical=dataset.categorical,
        random_state=random_state,
        search_trials=search_trials,
        n_classes=len(dataset.classes),
    )
    step = "building it"
    kept: list[Estimator] = []
    try:
        template = candidate.build(ingredients)
        step = "its final fit"
        everything = np.arange(len(dataset.split.train))
        first, inner = with_inner_folds(template, dataset, everything)
        X, y = dataset.X.iloc[dataset.split.train], dataset.y[dataset.split.train]
        rehearse(template, X, y)
        fitted, costs = meter(lambda: first.fit(X, y))
        costs = replace(costs, memory_how=f"{costs.memory_how}; after a rehearsal on few rows")
        shipped = without_search(fitted)
        step = "its out-of-fold predictions"
        (oof, inner_oof), oof_costs = meter(lambda: _out_of_fold(template, dataset, kept if keep_folds else None))
        step = "its test predictions"
        test = predict(shipped, dataset, dataset.split.test)
        step = "saving it"
        artefacts.save(shipped, folder / ARTEFACT, candidate.own.trusted if candidate.own else ())
        for model, path in zip(kept, fold_artefacts(folder, len(kept)), strict=True):
            artefacts.save(model, path)
    except (Exception, SystemExit) as error:
        raise TrainingError(f"{candidate.name} on {dataset.name}: {step} failed: {type(error).__name__}: {error}") from error
    notes = {**_search_notes(fitted), "oof_cpu_s": oof_costs.cpu_s, "oof_wall_s": oof_costs.wall_s}
    if inner:
        notes["inner_folds"] = {"final fit": inner, "out-of-fold fits": inner_oof}
    return Trained(candidate.name, predictions(dataset, oof, test), str(folder / ARTEFACT), costs, notes)


def rehearse(template: Estimator, X: Any, y: Any) -> None:
    """Prepare all rows, and fit and ask a copy on few, so that the metered fit finds the process as any later fit would.

    The first fit in a process also pays for modules imported on the way, for code paged in, and for the pools of small objects
    which Python keeps: 2-10 MiB that made a candidate's memory depend on what had been fitted before. A search rehearses the
    estimator that it searches over, and its scoring.
    """
    from sklearn.base import clone

    copy = clone(getattr(template, "estimator", template))
    alike = [np.arange(len(y))] if y.dtype.kind == "f" else [np.flatnonzero(y == c) for c in np.unique(y)]
    few = np.unique(np.concatenate([rows[:REHEARSED] for rows in alike]))[: 20 * REHEARSED]
    if hasattr(template, "estimator") and hasattr(template, "scoring"):
        from sklearn.model_selection import cross_validate

        cross_validate(copy, X.iloc[few], y[few], cv=2, scoring=template.scoring, error_score="raise")
    copy.fit(X.iloc[few], y[few])
    for _, step in getattr(copy, "steps", ())[:-1]:
        X = step.transform(X)
    if hasattr(copy, "steps"):
        copy.steps[-1][1].predict(X)


def predictions(dataset: Dataset, oof: Floats, test: Floats) -> Predictions:
    """What was said of the rows of a data set, with their ids and the truth."""
    train = dataset.split.train
    return Predictions(
        oof_rows=dataset.row_ids[train],
        oof_y=dataset.y[train],
        oof=oof,
        test_rows=dataset.row_ids[dataset.split.test],
        test_y=dataset.y[dataset.split.test],
        test=test,
        test_cluster=dataset.split.cluster,
    )


def predict(estimator: Estimator, dataset: Dataset, positions: Ints) -> Floats:
    """What a fitted estimator says of some rows.

    Returns
    -------
    ndarray of float64, shape (n, n_classes), or (n, 1) for regression

    Raises
    ------
    ValueError
        If the estimator does not know every class of the data set, or says what is no prediction: not one for each row and
        class, not finite, or no probabilities. One that did would fail later, in what compares it with the others.
    """
    X = dataset.X.iloc[positions]
    if dataset.task == "regression":
        return _checked(np.asarray(estimator.predict(X), dtype=np.float64).reshape(-1, 1), (len(X), 1))
    known = [int(c) for c in estimator.classes_]
    if known != list(range(len(dataset.classes))):
        raise ValueError(f"it met only the classes {known} of {len(dataset.classes)}; give it more rows")
    said = _checked(np.asarray(estimator.predict_proba(X), dtype=np.float64), (len(X), len(known)))
    if len(said) and (said.min() < -ROUNDING or said.max() > 1 + ROUNDING or np.abs(said.sum(axis=1) - 1).max() > ROUNDING):
        raise ValueError("what predict_proba gives are no probabilities (0 to 1, together 1 in each row); calibrate it")
    return said


def _checked(said: Floats, shape: tuple[int, int]) -> Floats:
    if said.shape != shape:
        raise ValueError(f"it gives predictions of shape {said.shape}, not {shape}: one for each row and class")
    if bad := int((~np.isfinite(said)).any(axis=1).sum()):
        raise ValueError(f"{bad:,} of {len(said):,} of its predictions are not finite")
    return said


def with_inner_folds(template: Estimator, dataset: Dataset, places: Ints) -> tuple[Estimator, str]:
    """A fresh copy of an estimator that is to be fitted on the training rows at ``places``, and how a search in it parts them.

    A search (an estimator with ``cv`` and ``refit``) is given inner folds made of the data set's: the distinct fold numbers at
    hand are counted through modulo three. The data set's folds keep together what belongs together, so these do too. Where
    fewer than two are left, or an inner fold would lack a class, the search's own folds stay, which know of no groups.
    """
    from sklearn.base import clone

    estimator = clone(template)
    if not {"cv", "refit"} <= set(estimator.get_params(deep=False)):
        return estimator, ""
    from sklearn.model_selection import PredefinedSplit

    distinct, rank = np.unique(dataset.split.fold[places], return_inverse=True)
    if len(distinct) < 2:
        return estimator, "the search's own: one fold of the data set is left, which cannot be parted by its folds"
    inner, y = rank % INNER_FOLDS, dataset.y[dataset.split.train][places]
    held_out = [inner == k for k in range(min(len(distinct), INNER_FOLDS))]
    if dataset.classes and any(len(np.unique(y[side])) < len(dataset.classes) for h in held_out for side in (h, ~h)):
        return estimator, "the search's own: made of the data set's folds, one would lack a class"
    estimator.set_params(cv=PredefinedSplit(inner))
    return (
        estimator,
        f"{len(held_out)}, made of {len(distinct)} folds of the data set, so rows that belong together stay together",
    )


def _out_of_fold(template: Estimator, dataset: Dataset, kept: list[Estimator] | None) -> tuple[Floats, str]:
    """Predictions of every training row by a copy fitted without its fold, and how a search in the copies parted its rows.

    The copies are put into ``kept``, if it is given; a copy that searched, by its best.
    """
    inner: list[str] = []
    train, fold = dataset.split.train, dataset.split.fold
    said = np.full((len(train), max(1, len(dataset.classes))), np.nan)
    for held_out in range(dataset.split.n_folds):
        seen = train[fold != held_out]
        copy, how = with_inner_folds(template, dataset, np.flatnonzero(fold != held_out))
        inner.append(how)
        fitted = copy.fit(dataset.X.iloc[seen], dataset.y[seen])
        said[fold == held_out] = predict(fitted, dataset, train[fold == held_out])
        if kept is not None:
            kept.append(without_search(fitted))
    return said, "; ".join(dict.fromkeys(inner))


def without_search(fitted: Estimator) -> Estimator:
    """What is shipped of a fitted estimator: of a search its best alone, also where it is the last step of a pipeline.

    What a search tried, and by what, is nothing that an answer needs.
    """
    found = getattr(fitted, "best_estimator_", fitted)
    steps = getattr(found, "steps", ())
    if not steps or not hasattr(steps[-1][1], "best_estimator_"):
        return found
    from sklearn.pipeline import Pipeline

    return Pipeline([*steps[:-1], (steps[-1][0], steps[-1][1].best_estimator_)])


def _search_notes(fitted: Estimator) -> dict[str, Any]:
    """Which settings a search chose and what it tried, as plain values; empty for an estimator that does not search."""
    if not hasattr(fitted, "cv_results_"):
        return {}
    results = fitted.cv_results_
    trials = [
        {**_plain(settings), "score": float(score)}
        for settings, score in zip(results["params"], results["mean_test_score"], strict=True)
    ]
    return {"best": _plain(fitted.best_params_), "scoring": str(fitted.scoring), "trials": trials}


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings under their last name, as values that JSON can hold."""
    return {
        name.rpartition("__")[2]: value.item() if isinstance(value, np.generic) else value for name, value in settings.items()
    }
