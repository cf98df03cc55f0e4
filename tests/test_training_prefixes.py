"""Smaller ensembles of trees out of a large one: the first trees are the model that is fitted with so many."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shipworthy import artefacts, candidates, datasets, training
from shipworthy.measurement import measure_costs
from shipworthy.records import Ingredients, InputError

SIZES = (1, 3, 8)


@pytest.fixture(scope="module", params=["breast_cancer", "digits", "cells"])
def dataset(request):
    """Few rows with two classes, with ten, and with text as well as numbers."""
    return datasets.load(request.param, seed=0, max_train_rows=250, max_test_rows=80, folds=2)


def fitted(name, dataset, n):
    """The candidate with so many trees, fitted by scikit-learn's or XGBoost's own fit, and what it says of the test rows."""
    ingredients = Ingredients(task=dataset.task, numeric=dataset.numeric, categorical=dataset.categorical, random_state=5)
    train, test = dataset.split.train, dataset.split.test
    model = candidates.get(name).build(ingredients).set_params(model__n_estimators=n)
    model.fit(dataset.X.iloc[train], dataset.y[train])
    return model, model.predict_proba(dataset.X.iloc[test])


@pytest.mark.parametrize("name", ["random_forest", "xgboost"])
def test_a_prefix_is_the_model_that_is_fitted_with_so_many_trees(name, dataset, tmp_path):
    """Shortened, staged, saved and loaded, the first n trees say bit for bit what a fit with n trees and the same seed says."""
    large, whole = fitted(name, dataset, 8)
    X = dataset.X.iloc[dataset.split.test]
    said = training.staged(large, dataset, dataset.split.test, SIZES)
    for n in SIZES:
        _, own = fitted(name, dataset, n)
        short = training.shorten(large, n)
        artefacts.save(short, tmp_path / f"{n}.skops")
        loaded = artefacts.load(tmp_path / f"{n}.skops")
        assert np.array_equal(said[n], own)
        assert np.array_equal(short.predict_proba(X), own)
        assert np.array_equal(loaded.predict_proba(X), own)
        assert loaded.steps[-1][1].n_estimators == n
    assert np.array_equal(large.predict_proba(X), whole)
    assert not np.array_equal(said[1], whole)


def test_a_regression_has_prefixes_too():
    """Of a number, the first trees of a forest and of a booster predict what a fit with so many predicts."""
    dataset = datasets.load("diamonds", seed=0, max_train_rows=200, max_test_rows=50, folds=2)
    ingredients = Ingredients(task=dataset.task, numeric=dataset.numeric, categorical=dataset.categorical)
    X, y = dataset.X.iloc[dataset.split.train], dataset.y[dataset.split.train]
    for name in ("random_forest", "xgboost"):
        large, small = (candidates.get(name).build(ingredients).set_params(model__n_estimators=n).fit(X, y) for n in (6, 2))
        said = training.staged(large, dataset, dataset.split.test, (2, 6))
        expected = small.predict(dataset.X.iloc[dataset.split.test])
        assert said[2].shape == (50, 1)
        assert np.array_equal(said[2][:, 0], expected)


def test_growing_hands_over_every_size(tmp_path):
    """Each size has its own predictions, artefact and measured costs; out of fold it is what a fit without the fold says."""
    dataset = datasets.load("breast_cancer", seed=0, max_train_rows=200, max_test_rows=60, folds=2)
    forest = candidates.get("random_forest")
    grown = training.grow(forest, dataset, SIZES, folder=tmp_path, random_state=5, meter=measure_costs)
    assert [t.candidate for t in grown] == ["random_forest-1", "random_forest-3", "random_forest-8"]
    for n, trained in zip(SIZES, grown, strict=True):
        assert trained.notes == {"n_trees": n, "what": "trees", "prefix_difference": 0.0}
        assert trained.costs.cpu_s > 0
        assert Path(trained.artefact).is_file()
        assert np.array_equal(trained.predictions.test, fitted("random_forest", dataset, n)[1])
    train, fold = dataset.split.train, dataset.split.fold
    ingredients = Ingredients(task="binary", numeric=dataset.numeric, categorical=(), random_state=5)
    other = forest.build(ingredients).set_params(model__n_estimators=3)
    other.fit(dataset.X.iloc[train[fold != 1]], dataset.y[train[fold != 1]])
    expected = other.predict_proba(dataset.X.iloc[train[fold == 1]])
    assert np.array_equal(grown[1].predictions.oof[fold == 1], expected)


def test_the_mean_of_the_trees_is_the_forest(dataset):
    """What each tree says alone has the forest's probabilities as its mean; the trees of a booster say nothing alone."""
    forest, said = fitted("random_forest", dataset, 8)
    alone = list(training.each_tree(forest, dataset, dataset.split.test))
    assert len(alone) == 8
    assert np.allclose(np.mean(alone, axis=0), said, rtol=0, atol=1e-12)
    booster, _ = fitted("xgboost", dataset, 2)
    with pytest.raises(InputError, match=r"the trees of XGBClassifier say nothing alone: ask a forest"):
        next(training.each_tree(booster, dataset, dataset.split.test))


def test_what_has_no_trees_or_too_few_is_a_sentence(dataset, tmp_path):
    """A model without trees, sizes that do not ascend, and more trees than there are: each is one clear sentence."""
    grow = {"folder": tmp_path, "random_state": 0, "meter": measure_costs}
    with pytest.raises(InputError, match="logistic_regression has no number of trees: choose a forest or a booster"):
        training.grow(candidates.get("logistic_regression"), dataset, (1, 2), **grow)
    for sizes in ((), (2, 1), (0, 1), (1, 1)):
        with pytest.raises(InputError, match="sizes must ascend from 1 or more"):
            training.grow(candidates.get("random_forest"), dataset, sizes, **grow)
    forest, _ = fitted("random_forest", dataset, 2)
    with pytest.raises(InputError, match="n_trees must be from 1 to 2, the trees that were fitted, not 3"):
        training.shorten(forest, 3)
    assert list(tmp_path.iterdir()) == []
