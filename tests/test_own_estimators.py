"""Somebody's own estimator by import path: the same contract, refused in a sentence, and what it cannot do is a reason."""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from shipworthy import artefacts, cli, datasets, experiments, training
from shipworthy.candidates import own as own_module
from shipworthy.experiments.arms import make_arm
from shipworthy.experiments.own_ensembles import Declared
from shipworthy.experiments.own_estimators import candidate_in
from shipworthy.experiments.workbench import Workbench
from shipworthy.measurement import ServingJob, measure_round
from shipworthy.records import Costs, Ingredients, InputError, MeasuringPlan, OwnCascade, OwnEstimator, OwnVote
from shipworthy.study import read_study, run_study
from shipworthy.study.schema import as_yaml, parse_study

MODELS = """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, StackingClassifier, StackingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

def stack():
    return StackingClassifier([("a", linear()), ("b", linear(0.01))], cv=StratifiedKFold(3))

def searched_stack():
    return GridSearchCV(make_pipeline(StackingClassifier([("a", linear())], cv=2)), {"stackingclassifier__a__C": [0.1, 1]}, cv=2)

def stack_of_numbers():
    return make_pipeline(StackingRegressor([("a", Ridge())]))

def search():
    return GridSearchCV(linear(), {"C": [0.1, 1.0]}, cv=3, scoring="roc_auc")

def whole_pipeline():
    text = (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_include=object))
    numbers = (make_pipeline(SimpleImputer(), StandardScaler()), make_column_selector(dtype_include=np.number))
    return make_pipeline(make_column_transformer(numbers, text), linear())

def with_categories():
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    text = make_column_selector(dtype_include=object)
    prepared = make_column_transformer((codes, text), remainder="passthrough", verbose_feature_names_out=False)
    return make_pipeline(prepared, HistGradientBoostingClassifier(max_iter=20, categorical_features=[0, 1, 2]))

class Centroids(ClassifierMixin, BaseEstimator):
    def __init__(self, sharpness=1.0, random_state=None, n_jobs=None):
        self.sharpness, self.random_state, self.n_jobs = sharpness, random_state, n_jobs
    def fit(self, X, y):
        X = np.asarray(X)
        self.classes_ = np.unique(y)
        self.centres_ = np.stack([X[y == c].mean(axis=0) for c in self.classes_])
        return self
    def predict_proba(self, X):
        near = -self.sharpness * ((np.asarray(X)[:, None] - self.centres_) ** 2).mean(axis=2)
        said = np.exp(near - near.max(axis=1, keepdims=True))
        return said / said.sum(axis=1, keepdims=True)
    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

class Table(Centroids):
    "Prepares the table itself: it must be one, with text for categories and what is missing missing."
    def fit(self, X, y):
        assert list(X.dtypes.astype(str).unique()) in (["float64"], ["float64", "object"]), X.dtypes
        return super().fit(self.numbers(X), y)
    def numbers(self, X):
        text = [c for c in X if X[c].dtype == object]
        return np.hstack([X.drop(columns=text).fillna(0) / 100, X[text].isna()])
    def predict_proba(self, X):
        return super().predict_proba(self.numbers(X))

class NotANumber(Centroids):
    def predict_proba(self, X):
        return super().predict_proba(X) * np.nan

class OneColumn(Centroids):
    def predict_proba(self, X):
        return super().predict_proba(X)[:, 1]
    def predict(self, X):
        return self.classes_[super().predict_proba(X).argmax(axis=1)]

class Scores(Centroids):
    def predict_proba(self, X):
        return super().predict_proba(X) * 7

class Stubborn(Centroids):
    def fit(self, X, y):
        raise RuntimeError("I will not learn this")

class Unsaveable(Centroids):
    def fit(self, X, y):
        self.secret_ = (n for n in range(3))
        return super().fit(X, y)

def linear(strength=1.0):
    return LogisticRegression(C=strength, max_iter=500)

def numbers(alpha=1.0):
    return Ridge(alpha=alpha)

class Mangles(Centroids):
    def __init__(self, sharpness=1.0):
        self.sharpness = sharpness * 2

class Nothing:
    pass

class NoProbability(BaseEstimator):
    def fit(self, X, y): return self
    def predict(self, X): return X

LEVEL = 3
"""
STUDY = """\
name: own
question: Is mine worth shipping?
datasets: [breast_cancer]
candidates:
  - prior
  - {candidate}
prices: {{as_of: "2026-03", source: a test, vcpu_hour_usd: 0.04, gib_hour_usd: 0.004}}
training: {{max_train_rows: 120, folds: 2}}
measuring: {{queries: 20, rounds: 1, warm_up: 1, batch_sizes: [8], batch_repeats: 1}}
"""
COSTS = Costs(1.0, 1.0, math.nan, "not read")


def meter(work):
    """Does the work and invents its cost."""
    return work(), COSTS


@pytest.fixture(name="folder")
def folder_with_models(tmp_path):
    """A folder with a module of estimators, as it would lie beside a study file."""
    (tmp_path / "my_models.py").write_text(MODELS)
    yield tmp_path
    sys.modules.pop("my_models", None)
    sys.path[:] = [p for p in sys.path if p != str(tmp_path)]


def described(folder, name, **more):
    """An own estimator of the module."""
    return OwnEstimator(estimator=f"my_models:{name}", name="mine", folder=str(folder), **more)


def write(folder, candidate):
    """A study file with one candidate of its own."""
    path = folder / "own.yaml"
    path.write_text(STUDY.format(candidate=candidate))
    return path


def refusal(folder, candidate):
    """The sentence by which a study is refused before it begins."""
    with pytest.raises(InputError) as caught:
        read_study(str(write(folder, candidate)))
    said = str(caught.value)
    assert said.count("\n") == 0
    assert "own.yaml, line 6: candidates.1" in said
    return said


@pytest.mark.parametrize(
    ("name", "preprocess"),
    [
        ("Centroids", True),
        ("linear", True),
        ("Table", False),
        ("stack", True),
        ("search", True),
        ("searched_stack", True),
        ("whole_pipeline", False),
        ("with_categories", False),
    ],
)
def test_an_own_estimator_keeps_the_contract(folder, name, preprocess, tmp_path):
    """Class or factory, prepared or given the table: categories and missing values, table and queries alike, saved whole."""
    candidate = candidate_in("mine", [described(folder, name, preprocess=preprocess)])
    data = datasets.load("adult", max_train_rows=400, max_test_rows=150)
    (tmp_path / "out").mkdir()
    trained = training.fit(candidate, data, folder=tmp_path / "out", random_state=3, search_trials=1, meter=meter)
    said = trained.predictions.test
    np.testing.assert_allclose(said.sum(axis=1), 1)
    assert roc_auc_score(trained.predictions.test_y, said[:, 1]) > 0.6
    loaded = artefacts.load(tmp_path / "out" / training.ARTEFACT, own=("my_models",))
    queries = json.loads(json.dumps(data.queries(data.split.test[:20])))
    np.testing.assert_allclose(loaded.predict_proba(queries), said[:20], rtol=1e-9)
    alone = np.vstack([loaded.predict_proba([q]) for q in queries])
    np.testing.assert_allclose(alone, said[:20], rtol=1e-9)
    strange = loaded.predict_proba([queries[0] | dict.fromkeys(data.categorical, "never seen"), {}])
    np.testing.assert_allclose(strange.sum(axis=1), 1)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("NotANumber", "60 of 60 of its predictions are not finite"),
        ("OneColumn", r"predictions of shape \(60,\), not \(60, 2\): one for each row and class"),
        ("Scores", "no probabilities .*calibrate it"),
    ],
)
def test_what_says_no_predictions_fails_in_training(folder, name, said, tmp_path):
    """It has its reason there, and does not take down what compares, votes or simulates with the others."""
    candidate = candidate_in("mine", [described(folder, name)])
    data = datasets.load("breast_cancer", max_train_rows=120, max_test_rows=50, folds=2)
    (tmp_path / "out").mkdir()
    with pytest.raises(training.TrainingError, match=f"its out-of-fold predictions failed: ValueError: .*{said}"):
        training.fit(candidate, data, folder=tmp_path / "out", random_state=3, search_trials=1, meter=meter)


def test_types_of_ones_own_are_loaded_only_where_the_study_names_them(folder, tmp_path):
    """The file cannot ask for trust: without the module's name, or with another, it is refused."""
    candidate = candidate_in("mine", [described(folder, "Centroids")])
    data = datasets.load("breast_cancer", max_train_rows=120)
    trained = training.fit(candidate, data, folder=tmp_path, random_state=3, search_trials=1, meter=meter)
    for own in ((), ("my_model",), ("other",)):
        with pytest.raises(InputError, match=r"not trusted \(my_models\.Centroids\)"):
            artefacts.load(tmp_path / training.ARTEFACT, own=own)
    assert trained.candidate == "mine"


def test_seed_threads_and_parameters_reach_it(folder):
    """What the study gives is kept; seed and threads are set where it has parameters for them."""
    given = Ingredients("binary", ("a",), (), random_state=11)
    model = candidate_in("mine", [described(folder, "Centroids", parameters={"sharpness": 2.5})]).build(given)
    assert {k: model.get_params()[f"model__{k}"] for k in ("sharpness", "random_state", "n_jobs")} == {
        "sharpness": 2.5,
        "random_state": 11,
        "n_jobs": 1,
    }
    fixed = candidate_in("mine", [described(folder, "Centroids", parameters={"random_state": 5})]).build(given)
    assert fixed.get_params()["model__random_state"] == 5


def test_tasks_are_those_that_its_methods_allow(folder):
    """predict_proba means classes, a regressor means numbers, and a study of another task is refused."""
    assert candidate_in("mine", [described(folder, "Centroids")]).tasks == ("binary", "multiclass")
    assert candidate_in("mine", [described(folder, "numbers")]).tasks == ("regression",)
    for name in ("stack", "searched_stack", "search"):
        assert candidate_in("mine", [described(folder, name)]).tasks == ("binary", "multiclass")
    assert candidate_in("mine", [described(folder, "stack_of_numbers")]).tasks == ("regression",)


KINDS = {
    "linear": "single",
    "search": "single",
    "stack": "ensemble",
    "searched_stack": "ensemble",
    "with_categories": "tree_ensemble",
    "boosted": "tree_ensemble",
    "bag_of_trees": "tree_ensemble",
    "bag_of_lines": "ensemble",
    "vote": "ensemble",
    "calibrated_forest": "tree_ensemble",
    "target_on_another_scale": "tree_ensemble",
    "Centroids": "single",
}
MORE = """
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier, VotingClassifier
from xgboost import XGBClassifier, XGBRFRegressor
def boosted(): return XGBClassifier()
def bag_of_trees(): return BaggingClassifier()
def bag_of_lines(): return make_pipeline(StandardScaler(), BaggingClassifier(linear()))
def vote(): return VotingClassifier([("a", linear()), ("b", linear())], voting="soft")
def calibrated_forest(): return CalibratedClassifierCV(RandomForestClassifier())
def target_on_another_scale(): return TransformedTargetRegressor(XGBRFRegressor())
"""


def test_the_kind_is_guessed_by_type_unless_the_study_says_it(folder):
    """A stack or a vote is an ensemble to be judged, a forest or a booster a baseline, whatever lies around it."""
    (folder / "my_models.py").write_text(MODELS + MORE)
    assert {name: candidate_in("mine", [described(folder, name)]).kind for name in KINDS} == KINDS
    assert candidate_in("mine", [described(folder, "linear", kind="ensemble")]).kind == "ensemble"


def test_a_search_ships_its_best_and_answers_as_it_did(folder, tmp_path):
    """What is saved holds no search and no scoring, and says what the search itself says, fitted on the same rows."""
    data = datasets.load("breast_cancer", max_train_rows=200, folds=2)
    candidate = candidate_in("mine", [described(folder, "search")])
    trained = training.fit(candidate, data, folder=tmp_path, random_state=3, search_trials=1, meter=meter)
    shipped = artefacts.load(Path(trained.artefact), own=("my_models",))
    assert type(shipped.steps[-1][1]).__name__ == "LogisticRegression"
    given = Ingredients("binary", data.numeric, data.categorical, random_state=3)
    whole = candidate.build(given).fit(data.X.iloc[data.split.train], data.y[data.split.train])
    assert whole.steps[-1][1].best_params_["C"] == shipped.steps[-1][1].C
    np.testing.assert_array_equal(whole.predict_proba(data.X.iloc[data.split.test]), trained.predictions.test)


def test_what_a_module_imports_from_beside_the_study_is_part_of_it(folder, tmp_path):
    """An edit of it makes another unit and is run; its types are trusted. A folder of runs, and an installed package, are not."""
    (folder / "my_steps.py").write_text(
        "from my_constants import LEVEL\n" + MODELS.replace("LEVEL = 3", "").replace("=1.0", "=LEVEL")
    )
    (folder / "my_constants.py").write_text("LEVEL = 1.0\n")
    (folder / "my_models.py").write_text(
        "import outputs_of_runs, numpy, my_steps\ndef made():\n    return my_steps.Centroids()\n"
    )
    (folder / "outputs_of_runs").mkdir()
    (folder / "outputs_of_runs" / "run.py").write_text("raise RuntimeError")
    own = described(folder, "made")
    before = own_module.source_digest(own)
    (folder / "outputs_of_runs" / "run.py").write_text("raise RuntimeError('another run')")
    assert own_module.source_digest(own) == before
    try:
        candidate = candidate_in("mine", [own])
        assert candidate.own.trusted == ("my_models", "my_steps", "my_constants")
        data = datasets.load("breast_cancer", max_train_rows=120, folds=2)
        trained = training.fit(candidate, data, folder=tmp_path, random_state=3, search_trials=1, meter=meter)
        artefacts.load(Path(trained.artefact), own=candidate.own.trusted)
        (folder / "my_constants.py").write_text("LEVEL = 9.0\n")
        assert own_module.source_digest(own) != before
        again = candidate_in("mine", [own]).build(Ingredients("binary", ("a",), ()))
        assert again.get_params()["model__sharpness"] == 9.0
    finally:
        for name in ("my_steps", "my_constants", "outputs_of_runs"):
            sys.modules.pop(name, None)


def test_another_package_is_trusted_where_the_study_names_it(folder, tmp_path_factory, monkeypatch):
    """A function may return an installed package's estimator: refused with the remedy, saved and loaded with it."""
    tmp_path = tmp_path_factory.mktemp("elsewhere")
    (tmp_path / "their_package.py").write_text(MODELS)
    monkeypatch.syspath_prepend(tmp_path)
    (folder / "my_models.py").write_text("import their_package\ndef made():\n    return their_package.Centroids()\n")
    data = datasets.load("breast_cancer", max_train_rows=120, folds=2)
    try:
        plain, trusting = (
            candidate_in("mine", [described(folder, "made", **more)]) for more in ({}, {"trust": ("their_package",)})
        )
        with pytest.raises(
            training.TrainingError, match=r"their_package\.Centroids, which is not trusted; .* trust: \[their_package\]"
        ):
            training.fit(plain, data, folder=tmp_path, random_state=3, search_trials=1, meter=meter)
        trained = training.fit(trusting, data, folder=tmp_path, random_state=3, search_trials=1, meter=meter)
        assert trusting.own.trusted == ("my_models", "their_package")
        loaded = artefacts.load(Path(trained.artefact), own=trusting.own.trusted)
        np.testing.assert_array_equal(loaded.predict_proba(data.X.iloc[data.split.test]), trained.predictions.test)
    finally:
        sys.modules.pop("their_package", None)
    for name in ("os", "their_package.deeper"):
        with pytest.raises(InputError, match=f"is to trust '{name}', which is no package beside Python's own"):
            candidate_in("mine", [described(folder, "made", trust=(name,))])


def test_an_edit_makes_another_unit_and_is_imported_anew(folder, tmp_path):
    """The identity of the unit that trains it changes with its source, its parameters and nothing else; the new source is run."""
    bench = Workbench(tmp_path, notify=lambda _: None)

    def unit(**more):
        return bench.fit_unit(
            make_arm("breast_cancer", declared=Declared(estimators=(described(folder, "Centroids", **more),))), "mine"
        ).identity

    before = unit()
    assert unit() == before
    assert unit(parameters={"sharpness": 3.0}) != before
    candidate_in("mine", [described(folder, "Centroids")])
    (folder / "my_models.py").write_text(MODELS.replace("sharpness=1.0, random", "sharpness=7.0, random"))
    assert unit() != before
    model = candidate_in("mine", [described(folder, "Centroids")]).build(Ingredients("binary", ("a",), ()))
    assert model.get_params()["model__sharpness"] == 7.0


def test_a_package_counts_as_a_whole_and_two_studies_may_name_their_modules_alike(tmp_path):
    """A change in any file of the package counts; a module of the same name in another folder is another module."""
    for study, level in (("a", 1), ("b", 2)):
        package = tmp_path / study / "my_package"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        (package / "level.py").write_text(f"LEVEL = {level}")
        (package / "models.py").write_text(
            "from sklearn.linear_model import LogisticRegression\nfrom my_package.level import LEVEL\n"
            "def make():\n    return LogisticRegression(C=LEVEL)\n"
        )
    owns = {s: OwnEstimator(estimator="my_package.models:make", name="mine", folder=str(tmp_path / s)) for s in ("a", "b")}
    try:
        built = {
            s: candidate_in("mine", [o]).build(Ingredients("binary", ("a",), ())).get_params()["model__C"]
            for s, o in owns.items()
        }
        assert built == {"a": 1, "b": 2}
        before = own_module.source_digest(owns["a"])
        (tmp_path / "a" / "my_package" / "level.py").write_text("LEVEL = 9")
        assert own_module.source_digest(owns["a"]) != before
        again = candidate_in("mine", [owns["a"]]).build(Ingredients("binary", ("a",), ()))
        assert again.get_params()["model__C"] == 9
    finally:
        for name in [m for m in sys.modules if m.partition(".")[0] == "my_package"]:
            del sys.modules[name]
        sys.path[:] = [p for p in sys.path if not p.startswith(str(tmp_path))]


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        ('"my_models:Nothing"', "is no scikit-learn estimator: it has no fit and no predict and no get_params"),
        ('"my_models:Absent"', "has no 'Absent'; name a class or a function"),
        ('"my_models:LEVEL"', "is a int; name a class, or a function"),
        ('"my_models:Mangles"', "cannot be cloned"),
        ('"not_there.models:Model"', "the module 'not_there' of not_there.models:Model is neither in"),
        ('"my_models.deeper:Model"', "my_models.deeper cannot be imported (ModuleNotFoundError"),
        ('{estimator: "my_models:Centroids", parameters: {sharp: 1}}', "cannot be made (TypeError"),
        ('{estimator: "my_models:Centroids", name: "../../etc"}', "cannot name a candidate"),
        ('{estimator: "my_models:Centroids", name: prior}', "a candidate called prior comes with shipworthy; add another name"),
        ('{estimator: "os:system", name: mine, parameters: {command: "false"}}', "names a part of Python itself"),
        ('{estimator: "../evil:Model", name: mine}', "is no import path; write module:name"),
        ("{name: mine}", "estimator is missing or no text; give the import path"),
        ('{estimator: "my_models:Centroids", preproces: true}', "preproces is not a field that exists"),
        ('{estimator: "my_models:Centroids", kind: huge}', "kind"),
    ],
)  # fmt: skip
def test_what_is_no_estimator_is_refused_before_anything_is_written(folder, candidate, said):
    """One sentence with file, line, field and remedy."""
    assert said in refusal(folder, candidate)


@pytest.mark.parametrize(
    "code", ["raise RuntimeError('no')", "import sys; sys.exit(3)", "def broken(:", "import not_installed_at_all"]
)
def test_a_module_that_cannot_be_imported_is_refused(folder, code):
    """Whatever it does while it is imported, the study is refused in a sentence, and may be mended and read again."""
    (folder / "my_models.py").write_text(code)
    assert "my_models cannot be imported" in refusal(folder, '"my_models:Model"')
    (folder / "my_models.py").write_text(MODELS)
    assert read_study(str(write(folder, '"my_models:Centroids"'))).candidates == ("prior", "Centroids")


def test_the_command_refuses_what_cannot_do_the_task_and_writes_nothing(folder, monkeypatch, capsys):
    """Exit code 2, and no run folder: it has no predict_proba, which classes need."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["shipworthy", "run", str(write(folder, '"my_models:NoProbability"')), "--outputs", "out"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    said = "NoProbability cannot do binary, the task of breast_cancer: it has no predict_proba (scikit-learn's Calibrated"
    assert said in capsys.readouterr().err
    assert not (folder / "out").exists()


def test_a_resolved_study_is_read_back_without_importing_anything(folder):
    """The report of a run can be rebuilt where the module is gone."""
    study = read_study(str(write(folder, '{estimator: "my_models:linear", name: mine, parameters: {strength: 0.5}}')))
    (folder / "my_models.py").unlink()
    sys.modules.pop("my_models")
    assert parse_study(as_yaml(study), "study.yaml") == study
    assert "my_models" not in sys.modules
    assert study.estimators[0].folder == str(folder.resolve())


def test_a_measuring_process_finds_what_the_module_imports_and_no_more(folder, tmp_path):
    """Lean as for all others, and the module's own imports beside: a query is answered and timed."""
    candidate = candidate_in("mine", [described(folder, "Table", preprocess=False)])
    data = datasets.load("breast_cancer", max_train_rows=120)
    trained = training.fit(candidate, data, folder=tmp_path, random_state=3, search_trials=1, meter=meter)
    (tmp_path / "queries.json").write_text(json.dumps(data.queries(data.split.test[:10])))
    plan = MeasuringPlan(queries=20, rounds=1, warm_up=1, batch_sizes=(4,), batch_repeats=1)
    job = ServingJob(
        candidate="mine",
        dataset="breast_cancer",
        artefact=tmp_path / training.ARTEFACT,
        queries=tmp_path / "queries.json",
        plan=plan,
        own=candidate.own,
    )
    measured = {m.quantity: m for m in measure_round(job) if m.conditions.batch_size <= 1}
    assert trained.candidate == "mine"
    assert [m.failure for m in measured.values() if m.failure] == []
    assert len(measured["latency_ms"].values) == 20


def test_the_example_of_the_readme_works(tmp_path):
    """README.md's module and entry, as they stand there, make a study that is admitted and a candidate that learns."""
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    section = readme.partition("### Your own estimator")[2].partition("\n### ")[0]
    (code,), (entry,) = (re.findall(rf"^```{kind}\n(.*?)^```", section, re.MULTILINE | re.DOTALL) for kind in ("python", "yaml"))
    (tmp_path / "models.py").write_text(code)
    whole = STUDY.format(candidate="HERE").replace("candidates:\n  - prior\n  - HERE\n", entry)
    (tmp_path / "own.yaml").write_text(whole)
    try:
        study = read_study(str(tmp_path / "own.yaml"))
        assert study.candidates == ("prior", "soft_vote", "mine")
        data = datasets.load("breast_cancer", max_train_rows=200)
        candidate = candidate_in("mine", study.estimators)
        trained = training.fit(candidate, data, folder=tmp_path, random_state=3, search_trials=1, meter=meter)
        assert roc_auc_score(trained.predictions.test_y, trained.predictions.test[:, 1]) > 0.9
        assert artefacts.load(tmp_path / training.ARTEFACT)[-1].get_params()["alpha"] == 0.001
    finally:
        sys.modules.pop("models", None)
        sys.path[:] = [p for p in sys.path if p != str(tmp_path)]


def test_an_own_estimator_is_a_member_like_any_other(folder, tmp_path):
    """A vote, a cascade and a greedy choice take it; they say what it says, are trusted as it is, measured and simulated."""
    declared = Declared(
        ("logistic_regression", "mine", "pick", "in_turn", "greedy_cost"),
        (
            OwnVote(name="pick", weights={"mine": 3.0, "logistic_regression": 1.0}),
            OwnCascade(name="in_turn", members=("mine", "logistic_regression"), thresholds=(0.9,)),
        ),
        (described(folder, "Centroids"),),
    )
    bench = Workbench(tmp_path / "run", notify=[].append)
    arm = make_arm(
        "breast_cancer",
        training={"max_train_rows": 120, "folds": 2},
        measuring={"queries": 20, "rounds": 1, "warm_up": 1, "batch_sizes": (4,), "batch_repeats": 1},
        declared=declared,
    )
    alone = ("logistic_regression", "mine", "pick")
    measured = experiments.measure_latency_and_memory(bench, arm, alone)
    assert set(measured["candidate"]) == set(alone)
    experiments.build_ensembles(bench, arm, ("in_turn", "greedy_cost"))
    assert (measured.loc[measured["quantity"] == "latency_ms", "value"] > 0).all()
    units = {name: bench.fit_unit(arm, name) for name in declared.candidates}
    built = {name: training.load(bench.part(unit)) for name, unit in units.items()}
    said = {name: trained.predictions.test for name, trained in built.items()}
    np.testing.assert_allclose(said["pick"], 0.75 * said["mine"] + 0.25 * said["logistic_regression"], rtol=1e-9)
    sure = np.abs(said["mine"][:, 0] - said["mine"][:, 1]) >= 0.9
    np.testing.assert_allclose(said["in_turn"], np.where(sure[:, None], said["mine"], said["logistic_regression"]), rtol=1e-9)
    assert set(built["greedy_cost"].notes["members"]) <= {"mine", "logistic_regression"}
    assert set(built["greedy_cost"].notes["price"]) == {"mine", "logistic_regression", "how"}
    with pytest.raises(InputError, match=r"not trusted \(my_models\.Centroids\)"):
        artefacts.load(Path(built["pick"].artefact))
    simulated = experiments.simulate_ensembles(bench, arm, alone)
    assert set(simulated.table.names) == {"mine", "logistic_regression"}
    assert [b.members for b in simulated.built] == [("mine", "logistic_regression")]
    (folder / "my_models.py").write_text(MODELS.replace("sharpness=1.0, random", "sharpness=7.0, random"))
    assert all(bench.fit_unit(arm, name) != units[name] for name in ("mine", "pick", "in_turn", "greedy_cost"))


def test_an_ensemble_of_ones_own_is_refused_in_a_sentence_or_read_back_without_an_import(folder):
    """Members that no task has in common are refused at their line; a resolved study runs no code of theirs."""
    votes = '"my_models:{}"\n  - logistic_regression\n  - greedy\n  - {{name: pick, weights: {{{}: 1, logistic_regression: 1}}}}'
    with pytest.raises(
        InputError, match=r"line 9: .*pick has members that no task has in common \(NoProbability: regression; log"
    ):
        read_study(str(write(folder, votes.format("NoProbability", "NoProbability"))))
    with pytest.raises(InputError, match="there is no candidate 'Centroid'; "):
        read_study(str(write(folder, votes.format("Centroids", "Centroid"))))
    study = read_study(str(write(folder, votes.format("Centroids", "Centroids"))))
    (folder / "my_models.py").unlink()
    sys.modules.pop("my_models")
    assert parse_study(as_yaml(study), "study.yaml") == study
    assert "my_models" not in sys.modules


@pytest.mark.study
def test_a_study_goes_on_past_what_cannot_be_fitted_or_saved(folder):
    """The good one is trained, measured and scored; the others are reasons in the report, each with what it said."""
    own = '"my_models:Centroids"\n  - "my_models:Stubborn"\n  - "my_models:Unsaveable"'
    said = []
    outcome = run_study(str(write(folder, own)), outputs=folder / "out", workers=1, say=said.append)
    kind = "It is taken for a thing of the kind single model, by its type; `kind` in the study decides."
    assert said == [f"{name}: {kind}" for name in ("Centroids", "Stubborn", "Unsaveable")]
    # One member that learns is none to make ensembles of: that is no failure.
    assert [f.partition(".ipynb")[0].split(": ")[-1] for f in outcome.failed] == ["01_train_single_models"]
    missing = " ".join(outcome.run.assessment().missing)
    assert re.search(r"train Stubborn on breast_cancer, seed 0 failed: .*RuntimeError: I will not learn this", missing)
    assert re.search(r"train Unsaveable on .*saving it failed: ", missing)
    records = outcome.run.records()
    mine = records[records["candidate"] == "Centroids"].set_index("quantity")["value"]
    assert mine["roc_auc"].max() > 0.9
    assert (mine["latency_ms"] > 0).all()
    assert "I will not learn this" in outcome.run.report.read_text(encoding="utf-8")
