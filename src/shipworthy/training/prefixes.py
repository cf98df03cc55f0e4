"""Smaller ensembles of trees out of a large one: the first trees of a forest, or of a booster, are a model of their own.

A tree of a forest draws its randomness before the next one does, and a booster grows its next tree on what the earlier ones
left over. So the first ``n`` trees of a large model *are* the model that is fitted with ``n`` trees and the same seed, bit for
bit: what it says, on test rows and out of fold, costs no further fit. :func:`grow` fits each size anew all the same, once,
because that is how its costs are measured, and compares.

This module does *not* know how many trees are enough.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from shipworthy import artefacts
from shipworthy.records import Candidate, Dataset, Estimator, Floats, Ingredients, InputError, Ints, Trained
from shipworthy.training.fitting import ARTEFACT, Meter, TrainingError, predictions, rehearse

ROUNDING = 1e-6
"""Single precision of a booster's probabilities: what a prefix may differ from its own fit."""


def shorten(estimator: Estimator, n_trees: int) -> Estimator:
    """The first trees of a fitted forest or booster, as a model of its own; nothing is fitted.

    Parameters
    ----------
    estimator : Estimator
        A fitted pipeline that ends in a scikit-learn forest or in XGBoost. It is not changed; the trees are shared.
    n_trees : int
        How many trees, or, of a booster, rounds: with more than two classes a round grows one tree for each class.

    Returns
    -------
    Estimator

    Raises
    ------
    InputError
        If it does not end in such a model, or has fewer trees.
    """
    model = _trees_of(estimator)
    if not 1 <= n_trees <= model.n_estimators:
        raise InputError(f"n_trees must be from 1 to {model.n_estimators}, the trees that were fitted, not {n_trees}")
    short = copy.copy(model)
    if hasattr(model, "estimators_"):
        short.estimators_ = model.estimators_[:n_trees]
    else:
        short._Booster = model.get_booster()[:n_trees]  # noqa: SLF001 - there is no public way to give XGBoost its rounds
    short.set_params(n_estimators=n_trees)
    whole = copy.copy(estimator)
    whole.steps = [*estimator.steps[:-1], (estimator.steps[-1][0], short)]
    return whole


def each_tree(estimator: Estimator, dataset: Dataset, positions: Ints) -> Iterator[Floats]:
    """What each tree of a fitted forest says alone, one after the other.

    Parameters
    ----------
    estimator : Estimator
        A fitted pipeline that ends in a scikit-learn forest.
    dataset : Dataset
    positions : ndarray of int, shape (n,)
        Rows of the data set.

    Yields
    ------
    ndarray of float64, shape (n, n_classes), or (n, 1) for regression

    Raises
    ------
    InputError
        If it is no forest: the trees of a booster say nothing alone.
    """
    model = _trees_of(estimator)
    if not hasattr(model, "estimators_"):
        raise InputError(f"the trees of {type(model).__name__} say nothing alone: ask a forest")
    # Trees compare in single precision; cast once, not once a tree.
    prepared = np.asarray(_prepared(estimator, dataset, positions), dtype=np.float32)
    for tree in model.estimators_:
        said = tree.predict_proba(prepared) if hasattr(tree, "predict_proba") else tree.predict(prepared).reshape(-1, 1)
        yield np.asarray(said, dtype=np.float64)


def staged(estimator: Estimator, dataset: Dataset, positions: Ints, sizes: Sequence[int]) -> Mapping[int, Floats]:
    """What the first ``n`` trees say, for every size, in one pass.

    Parameters
    ----------
    estimator : Estimator
        A fitted pipeline that ends in a scikit-learn forest or in XGBoost.
    dataset : Dataset
    positions : ndarray of int, shape (n,)
    sizes : sequence of int
        Ascending.

    Returns
    -------
    mapping of int to ndarray of float64, shape (n, n_classes), or (n, 1) for regression
    """
    model = _trees_of(estimator)
    said: dict[int, Floats] = {}
    if hasattr(model, "estimators_"):
        total: Any = 0.0
        for n, tree in enumerate(each_tree(estimator, dataset, positions), start=1):
            total = total + tree
            if n in sizes:
                said[n] = total / n
        return said
    prepared = _prepared(estimator, dataset, positions)
    ask = model.predict_proba if hasattr(model, "predict_proba") else model.predict
    for n in sizes:
        answer = np.asarray(ask(prepared, iteration_range=(0, n)), dtype=np.float64)
        said[n] = answer.reshape(len(answer), -1)
    return said


def grow(
    candidate: Candidate, dataset: Dataset, sizes: Sequence[int], *, folder: Path, random_state: int, meter: Meter
) -> tuple[Trained, ...]:
    """Fit a forest or a booster of the largest size, and hand over every smaller one as well.

    Parameters
    ----------
    candidate : Candidate
        Its ``build`` returns a pipeline that ends in a scikit-learn forest or in XGBoost.
    dataset : Dataset
    sizes : sequence of int
        Numbers of trees, ascending.
    folder : Path
        Exists; for each size an artefact is written into a folder below, named by :func:`sized`.
    random_state : int
    meter : Meter
        Told to do a fit of each size on all training rows.

    Returns
    -------
    tuple of Trained
        One for each size, named by :func:`sized`. ``costs`` are measured, not divided: each size was fitted once more for them.
        ``notes`` holds ``n_trees``, ``what`` is counted (trees, or rounds of a booster with several trees each) and
        ``prefix_difference``, the largest difference on test rows between what the prefix says and what that fit says.

    Raises
    ------
    InputError
        If the candidate has no number of trees, or the sizes do not ascend from 1 or more.
    TrainingError
        If a fit fails, or a prefix is not what was fitted with so many trees.
    """
    if not sizes or list(sizes) != sorted(set(sizes)) or sizes[0] < 1:
        raise InputError(f"sizes must ascend from 1 or more, not {list(sizes)}: name each number of trees once")
    ingredients = Ingredients(
        task=dataset.task, numeric=dataset.numeric, categorical=dataset.categorical, random_state=random_state
    )
    template = candidate.build(ingredients)
    if "n_estimators" not in getattr(template, "steps", [("", template)])[-1][1].get_params():
        raise InputError(f"{candidate.name} has no number of trees: choose a forest or a booster")
    try:
        return _grown(candidate, template, dataset, tuple(sizes), folder, meter)
    except InputError:
        raise
    except Exception as error:
        raise TrainingError(f"{candidate.name} on {dataset.name}: growing it failed: {type(error).__name__}: {error}") from error


def sized(name: str, n_trees: int) -> str:
    """Name of a candidate with so many trees.

    Examples
    --------
    >>> sized("random_forest", 500)
    'random_forest-500'
    """
    return f"{name}-{n_trees}"


def _grown(
    candidate: Candidate, template: Estimator, dataset: Dataset, sizes: tuple[int, ...], folder: Path, meter: Meter
) -> tuple[Trained, ...]:
    train, fold, test = dataset.split.train, dataset.split.fold, dataset.split.test
    X, y = dataset.X.iloc[train], dataset.y[train]
    rehearse(_with(template, 2), X, y)
    # The largest first: the first fit in a process is the slowest, and the smallest would show it most.
    fits = [meter(partial(_with(template, n).fit, X, y)) for n in reversed(sizes)][::-1]
    largest = fits[-1][0]
    said = staged(largest, dataset, test, sizes)
    oof = {n: np.full((len(train), max(1, len(dataset.classes))), np.nan) for n in sizes}
    for held_out in range(dataset.split.n_folds):
        copied = _with(template, sizes[-1]).fit(dataset.X.iloc[train[fold != held_out]], y[fold != held_out])
        for n, answers in staged(copied, dataset, train[fold == held_out], sizes).items():
            oof[n][fold == held_out] = answers
    # A booster of more than two classes grows one tree for each class in a round.
    what = "trees" if len(dataset.classes) < 3 or hasattr(_trees_of(largest), "estimators_") else "rounds"
    out = []
    for n, (fitted, costs) in zip(sizes, fits, strict=True):
        difference = float(np.abs(staged(fitted, dataset, test, (n,))[n] - said[n]).max())
        if difference > ROUNDING * max(1.0, float(np.abs(said[n]).max())):
            raise ValueError(f"its first {n} trees differ by {difference:.2g} from a fit with {n} trees and the same seed")
        path = folder / sized(candidate.name, n) / ARTEFACT
        path.parent.mkdir()
        artefacts.save(shorten(largest, n), path)
        notes = {"n_trees": n, "what": what, "prefix_difference": difference}
        cost = replace(costs, memory_how=f"{costs.memory_how}; after a rehearsal on few rows")
        out.append(Trained(sized(candidate.name, n), predictions(dataset, oof[n], said[n]), str(path), cost, notes))
    return tuple(out)


def _with(template: Estimator, n_trees: int) -> Estimator:
    from sklearn.base import clone

    estimator = clone(template)
    _trees_of(estimator).set_params(n_estimators=n_trees)
    return estimator


def _trees_of(estimator: Estimator) -> Any:
    model = estimator.steps[-1][1] if getattr(estimator, "steps", None) else estimator
    if not hasattr(model, "n_estimators") or not hasattr(estimator, "steps"):
        raise InputError(f"{type(model).__name__} has no number of trees: choose a pipeline that ends in a forest or a booster")
    return model


def _prepared(estimator: Estimator, dataset: Dataset, positions: Ints) -> Any:
    return estimator[:-1].transform(dataset.X.iloc[positions])
