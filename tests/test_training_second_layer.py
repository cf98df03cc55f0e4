"""Out-of-fold predictions of a second layer: what is held out takes no part in any layer, so noise stays noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from shipworthy import candidates, training
from shipworthy.deployables import LayeredClassifier, LayeredRegressor
from shipworthy.records import Costs, Dataset, Roles, Split
from shipworthy.training.second_layer import held_out_answers

PLACES = 40
"""Rows of one place have the same features, so that a model may memorise their mean."""


def table(rng, n_train, n_test=0, *, folds, n_classes=2, strength=0.0):
    """Rows at places whose targets are pure noise, but for one column that tells something of them if it has a strength."""
    n = n_train + n_test
    at = rng.normal(size=(PLACES, 2))[rng.integers(0, PLACES, n)]
    tells = rng.normal(size=n)
    if n_classes == 2:
        y = (rng.random(n) < 1 / (1 + np.exp(-strength * tells))).astype(np.int64)
    else:
        y = rng.integers(0, n_classes, n) if n_classes else rng.normal(size=n)
    X = pd.DataFrame({"east": at[:, 0], "north": at[:, 1], "tells": tells})
    rows = np.arange(n)
    split = Split(rows[:n_train], rows[n_train:], rng.permutation(rows[:n_train] % folds), "by chance")
    task = {0: "regression", 2: "binary"}.get(n_classes, "multiclass")
    return Dataset("planted", X, y, task, tuple("abcd"[:n_classes]), Roles(), "made", "none", (), "0" * 16, rows, split)


def two_layers(n_classes):
    """A first layer that memorises what each place said, and a second that knows places apart; both fit at once."""
    place = ColumnTransformer([("place", "passthrough", ["east", "north"])])
    names = ("places", "line")
    says = names if n_classes <= 2 else tuple(f"{name} {k}" for name in names for k in range(n_classes))
    apart = ("apart", OneHotEncoder(handle_unknown="ignore"), ["east"])
    wider = ColumnTransformer([apart, ("rest", StandardScaler(), ["tells", *says])])
    if not n_classes:
        first = [make_pipeline(place, DecisionTreeRegressor(random_state=0)), LinearRegression()]
        return LayeredRegressor(list(zip(names, first, strict=True)), make_pipeline(wider, Ridge()), says)
    first = [make_pipeline(place, DecisionTreeClassifier(random_state=0)), LogisticRegression()]
    return LayeredClassifier(list(zip(names, first, strict=True)), make_pipeline(wider, LogisticRegression()), says)


def said_by(model, X, *, classes):
    """Probabilities, or values as a column."""
    return model.predict_proba(X) if classes else model.predict(X)[:, None]


def first_said(stack, data):
    """What the first layer says of each training row out of fold."""
    X, y, fold = data.X.iloc[data.split.train], data.y[data.split.train], data.split.fold
    said = [np.empty((len(y), max(1, len(data.classes)))) for _ in stack.estimators]
    for k in np.unique(fold):
        for out, (_, model) in zip(said, stack.estimators, strict=True):
            out[fold == k] = said_by(clone(model).fit(X[fold != k], y[fold != k]), X[fold == k], classes=data.classes)
    return said


def ours(stack, data):
    """The out-of-fold predictions of both layers."""
    return held_out_answers(stack, [model for _, model in stack.estimators], first_said(stack, data), data)


def plain(stack, data):
    """The way that AutoGluon and scikit-learn's users know: the second layer alone is fitted without the held-out rows."""
    X, y, fold = data.X.iloc[data.split.train], data.y[data.split.train], data.split.fold
    wider, out = stack.extend(X, first_said(stack, data)), np.empty((len(y), 2))
    for k in np.unique(fold):
        out[fold == k] = clone(stack.final_estimator).fit(wider[fold != k], y[fold != k]).predict_proba(wider[fold == k])
    return out


@pytest.mark.parametrize(("folds", "n_classes"), [(2, 2), (2, 0), (3, 0), (5, 3), (7, 2)])
def test_what_is_said_of_a_fold_owes_nothing_to_its_targets(folds, n_classes):
    """Whatever the targets of one fold are, what is said of its rows is the same to the last bit; that of the others is not."""
    data = table(np.random.default_rng(folds), 240, folds=folds, n_classes=n_classes)
    inside = data.split.fold == 1
    changed = data.y.copy()
    changed[inside] = np.random.default_rng(9).permutation(changed[inside])
    stack = two_layers(n_classes)
    before, after = ours(stack, data), ours(stack, replace(data, y=changed))
    assert np.isfinite(before).all()
    np.testing.assert_array_equal(before[inside], after[inside])
    assert (before[~inside] != after[~inside]).any()


def test_three_folds_are_answered_by_a_first_layer_that_knows_the_third_alone():
    """By hand: to hold out fold 0, fold 1 is answered by what was fitted on fold 2, fold 2 by what was fitted on fold 1."""
    data = table(np.random.default_rng(4), 150, folds=3)
    stack, X, y, fold = two_layers(2), data.X, data.y, data.split.fold
    said = first_said(stack, data)
    told = [p.copy() for p in said]
    for known, answered in ((2, 1), (1, 2)):
        for out, (_, model) in zip(told, stack.estimators, strict=True):
            out[fold == answered] = clone(model).fit(X[fold == known], y[fold == known]).predict_proba(X[fold == answered])
    second = clone(stack.final_estimator).fit(stack.extend(X, told)[fold != 0], y[fold != 0])
    expected = second.predict_proba(stack.extend(X, said)[fold == 0])
    np.testing.assert_array_equal(ours(stack, data)[fold == 0], expected)


def test_noise_scores_one_half_out_of_fold_and_the_plain_way_does_not():
    """Over 6 tables of pure noise the mean ROC AUC is .5 within 3 of its errors; the plain way says above .65 on the same."""
    scores = []
    for seed in range(6):
        data = table(np.random.default_rng(seed), 300, folds=5)
        scores.append([roc_auc_score(data.y, way(two_layers(2), data)[:, 1]) for way in (ours, plain)])
    honest, flattered = np.array(scores).T
    assert abs(honest.mean() - 0.5) < 3 * honest.std(ddof=1) / np.sqrt(len(honest))
    assert flattered.mean() > 0.65


def test_a_planted_gain_is_not_flattered():
    """Out of fold a stack scores what it scores on 2,000 new rows, within error; the plain way says .03 too much or more."""
    optimism = []
    for seed in range(6):
        data = table(np.random.default_rng(seed), 300, 2000, folds=5, strength=1.0)
        stack, train, test = two_layers(2), data.split.train, data.split.test
        X, y = data.X.iloc[train], data.y[train]
        whole = clone(stack.final_estimator).fit(stack.extend(X, first_said(stack, data)), y)
        fitted = [clone(model).fit(X, y).predict_proba(data.X.iloc[test]) for _, model in stack.estimators]
        new = roc_auc_score(data.y[test], whole.predict_proba(stack.extend(data.X.iloc[test], fitted))[:, 1])
        optimism.append([roc_auc_score(y, way(stack, data)[:, 1]) - new for way in (ours, plain)])
    honest, flattered = np.array(optimism).T
    assert abs(honest.mean()) < 2 * honest.std(ddof=1) / np.sqrt(len(honest))
    assert flattered.mean() > 0.03


def test_the_catalogues_two_layers_do_not_find_anything_in_noise(tmp_path):
    """`two_layer_stack`, assembled from its members, is within .1 of one half on 300 rows of noise, and notes what that took."""
    data = table(np.random.default_rng(1), 300, 10, folds=5)

    def meter(work):
        return work(), Costs(1.0, 2.0, 3.0, "made up")

    stack = candidates.get("two_layer_stack")
    members = {}
    for name in stack.members:
        (tmp_path / name).mkdir()
        members[name] = training.fit(
            candidates.get(name), data, folder=tmp_path / name, random_state=0, search_trials=1, meter=meter
        )
    found = training.assemble(stack, members, data, folder=tmp_path, random_state=0, meter=meter)
    assert abs(roc_auc_score(found.predictions.oof_y, found.predictions.oof[:, 1]) - 0.5) < 0.1  # 3 standard errors
    assert (found.costs.cpu_s, found.notes["oof_cpu_s"], found.notes["oof_wall_s"]) == (2.0, 2.0, 1.0)


def test_a_class_that_lives_in_two_folds_alone_does_not_stop_it():
    """Held out, one leaves the other's rows to be answered by a first layer that has seen them, and so knows every class."""
    rng = np.random.default_rng(6)
    data = table(rng, 240, folds=4, n_classes=3)
    y = np.where(data.y == 2, 0, data.y)
    for k in (0, 1):
        y[np.flatnonzero(data.split.fold == k)[:6]] = 2
    data = replace(data, y=y)
    stack = two_layers(3)
    before = ours(stack, data)
    np.testing.assert_allclose(before.sum(axis=1), 1)
    changed = y.copy()
    changed[data.split.fold == 0] = rng.permutation(y[data.split.fold == 0])
    np.testing.assert_array_equal(ours(stack, replace(data, y=changed))[data.split.fold == 0], before[data.split.fold == 0])
