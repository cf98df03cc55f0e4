"""The three tasks end to end: who says that it can do a task does it, from the fit to the verdict; the others are refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import StackingClassifier, StackingRegressor
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import PredefinedSplit

from shipworthy import artefacts, candidates, datasets, experiments, training
from shipworthy.experiments.arms import check_candidate, check_metric
from shipworthy.experiments.money import answers_of
from shipworthy.measurement import accuracy
from shipworthy.records import HOURS_A_MONTH, Costs, Economics, Ingredients, InputError
from shipworthy.study.schema import parse_study

SAMPLES = {
    "digits": {"max_train_rows": 300, "max_test_rows": 150, "folds": 3},
    "catsup": {"max_train_rows": 400, "max_test_rows": 150, "folds": 3},
    "diamonds": {"max_train_rows": 400, "max_test_rows": 200, "folds": 3},
}
ABLE = [(d, n) for d in SAMPLES for n in candidates.names() if datasets.task(d) in candidates.get(n).tasks]
COSTS = Costs(1.5, 1.25, math.nan, "not read")
STUDY = """\
name: {dataset}
question: Which?
datasets: [{dataset}]
candidates: [{candidates}]
metric: {metric}
prices: {{as_of: "2026-03", source: a test, vcpu_hour_usd: 0.04, gib_hour_usd: 0.004}}
"""


def meter(work):
    """Does the work and invents its cost."""
    return work(), COSTS


@pytest.fixture(name="trained", scope="module")
def trained_candidates(tmp_path_factory):
    """Every candidate that can, trained on a sample of every data set; ensembles assembled from their members."""
    found = {}
    for name, limits in SAMPLES.items():
        data, own = datasets.load(name, **limits), {}
        able = [candidates.get(n) for d, n in ABLE if d == name]
        # What chooses its members takes them all here: how it chooses is in test_ensembles.py.
        for candidate in sorted(able, key=lambda c: bool(c.members)):
            folder = tmp_path_factory.mktemp(f"{name}-{candidate.name}")
            settings = {"folder": folder, "random_state": 3, "meter": meter}
            if candidate.members:
                own[candidate.name] = training.assemble(candidate, own, data, **settings)
            else:
                keep = candidate.name in candidates.bagged()
                own[candidate.name] = training.fit(candidate, data, search_trials=2, keep_folds=keep, **settings)
        found[name] = data, own
    return found


def build(name, data):
    """An unfitted candidate."""
    return candidates.get(name).build(Ingredients(data.task, data.numeric, data.categorical, 3))


def training_rows(data):
    """Features and target of the training rows."""
    return data.X.iloc[data.split.train], data.y[data.split.train]


@pytest.mark.parametrize(("dataset", "name"), ABLE)
def test_who_can_do_a_task_beats_the_prior_by_every_metric(trained, dataset, name):
    """What is said out of fold and of the test has the task's shape, and its proper scores are better than the prior's."""
    data, own = trained[dataset]
    said, prior = own[name].predictions, own["prior"].predictions
    columns = max(1, len(data.classes))
    assert said.oof.shape == (len(data.split.train), columns)
    assert said.test.shape == (len(data.split.test), columns)
    # Not log loss: a leaf of one class states a probability of zero, and one such mistake costs without bound.
    for metric in ("accuracy", "brier") if data.classes else ("rmse", "mae", "r2"):
        for y, ours, theirs in ((said.oof_y, said.oof, prior.oof), (said.test_y, said.test, prior.test)):
            better = accuracy.score(metric, y, ours) - accuracy.score(metric, y, theirs)
            assert (better if metric in {"accuracy", "r2"} else -better) > 0 or name == "prior"


@pytest.mark.parametrize(("dataset", "name"), ABLE)
def test_an_artefact_answers_queries_of_every_task(trained, dataset, name):
    """What is loaded answers raw queries as the model answered the table, through JSON and back."""
    data, own = trained[dataset]
    model = artefacts.load(own[name].artefact)
    queries = json.loads(json.dumps(data.queries(data.split.test[:20])))
    said = model.predict_proba(queries) if data.classes else np.asarray(model.predict(queries))[:, None]
    np.testing.assert_allclose(said, own[name].predictions.test[:20], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dataset", SAMPLES)
def test_an_assembled_stack_equals_one_fitted_whole_in_every_task(trained, dataset):
    """scikit-learn's own stack, fitted whole with the same folds, says the same of every test row."""
    data, own = trained[dataset]
    whole = clone(build("stack", data)).set_params(cv=PredefinedSplit(data.split.fold))
    assert isinstance(whole, StackingClassifier if data.classes else StackingRegressor)
    whole.fit(*training_rows(data))
    X = data.X.iloc[data.split.test]
    said = whole.predict_proba(X) if data.classes else whole.predict(X)[:, None]
    np.testing.assert_allclose(said, own["stack"].predictions.test, rtol=1e-9)


@pytest.mark.parametrize("dataset", SAMPLES)
def test_a_vote_is_the_mean_of_its_members_in_every_task(trained, dataset):
    """Of probabilities, or of the numbers predicted; out of fold and on the test rows."""
    data, own = trained[dataset]
    members = candidates.get("soft_vote").members_for(data.task)
    for rows in ("oof", "test"):
        mean = np.mean([getattr(own[m].predictions, rows) for m in members], axis=0)
        np.testing.assert_allclose(getattr(own["soft_vote"].predictions, rows), mean, rtol=1e-9)


def test_a_stack_of_regressors_is_cross_fitted(trained):
    """Its out-of-fold predictions come from a final estimator that did not see the fold."""
    from sklearn.linear_model import LinearRegression

    data, own = trained["diamonds"]
    meta = np.hstack([own[m].predictions.oof for m in candidates.get("stack").members_for("regression")])
    fold, y = data.split.fold, data.y[data.split.train]
    for held_out in range(3):
        final = LinearRegression().fit(meta[fold != held_out], y[fold != held_out])
        expected = final.predict(meta[fold == held_out])
        np.testing.assert_allclose(own["stack"].predictions.oof[fold == held_out, 0], expected, rtol=1e-9)


def test_the_prior_of_a_regression_is_the_mean(trained):
    """It states the mean of the training rows, and its RMSE is about the standard deviation of the test rows."""
    data, own = trained["diamonds"]
    said = own["prior"].predictions
    np.testing.assert_allclose(said.test, data.y[data.split.train].mean())
    assert root_mean_squared_error(said.test_y, said.test[:, 0]) == pytest.approx(said.test_y.std(), rel=0.05)


def test_a_search_of_a_regression_is_judged_by_its_error(trained):
    """The tuned booster chooses by RMSE where a number is asked for, and by log loss where a class is."""
    scoring = {d: trained[d][1]["xgboost_tuned"].notes["scoring"] for d in SAMPLES}
    assert scoring == {"digits": "neg_log_loss", "catsup": "neg_log_loss", "diamonds": "neg_root_mean_squared_error"}


def test_a_candidate_that_cannot_do_a_task_is_refused_with_those_that_can():
    """One sentence names candidate, task, data set and who can."""
    with pytest.raises(
        InputError, match=r"logistic_regression cannot do regression, the task of diamonds; these can: prior, ridge"
    ):
        check_candidate("logistic_regression", "regression", "diamonds")
    with pytest.raises(
        InputError, match=r"ridge cannot do multiclass, the task of digits; these can: prior, logistic_regression"
    ):
        check_candidate("ridge", "multiclass", "digits")
    for dataset, name in ABLE:
        check_candidate(name, datasets.task(dataset), dataset)


def test_a_metric_that_a_task_lacks_is_refused_with_those_that_it_has():
    """One sentence names metric, task, data set and the metrics to choose from."""
    with pytest.raises(
        InputError, match=r"'roc_auc' is no metric for regression, the task of diamonds; choose one of rmse, mae, r2"
    ):
        check_metric("roc_auc", "regression", "diamonds")
    with pytest.raises(
        InputError, match=r"'average_precision' is no metric for multiclass, the task of digits; choose one of log_loss"
    ):
        check_metric("average_precision", "multiclass", "digits")


@pytest.mark.parametrize(
    ("dataset", "metric", "names", "said"),
    [
        (
            "diamonds",
            "roc_auc",
            "prior",
            r"my\.yaml, line 5: metric: 'roc_auc' is no metric for regression, the task of diamonds",
        ),
        ("diamonds", "rmse", "prior, logistic_regression", r"line 4: candidates\.1: logistic_regression cannot do regression"),
        ("breast_cancer", "r2", "prior", "line 5: metric: 'r2' is no metric for binary, the task of breast_cancer"),
        ("adult", "roc_auc", "ridge", "line 4: candidates.0: ridge cannot do binary, the task of adult"),
    ],
)
def test_a_study_that_mixes_task_metric_and_candidates_is_refused_by_line(dataset, metric, names, said):
    """Before any row is read, with file, line and field."""
    with pytest.raises(InputError, match=said):
        parse_study(STUDY.format(dataset=dataset, metric=metric, candidates=names), "my.yaml")


@pytest.mark.parametrize(
    ("dataset", "metric"), [("diamonds", "rmse"), ("diamonds", "r2"), ("digits", "accuracy"), ("catsup", "log_loss")]
)
def test_a_study_of_every_task_is_admitted(dataset, metric):
    """Each task has candidates and metrics."""
    study = parse_study(STUDY.format(dataset=dataset, metric=metric, candidates="prior, random_forest, soft_vote"), "my.yaml")
    assert study.metric == metric


@pytest.mark.parametrize(("dataset", "metric"), [("diamonds", "rmse"), ("digits", "accuracy")])
def test_from_training_to_verdict_in_every_task(dataset, metric, tmp_path, monkeypatch):
    """A study of few rows is trained, scored, measured and judged alone; a lower error counts as a gain."""
    monkeypatch.setenv("SHIPWORTHY_OUTPUTS", str(tmp_path))
    bench = experiments.Workbench.open()
    names = ["prior", "decision_tree", "random_forest", "soft_vote"]
    study = experiments.lab_study(
        datasets=[dataset],
        candidates=names,
        seeds=[0],
        metric=metric,
        smallest_useful_gain=0.001,
        p99_limit_ms=1000,
        memory_limit_mib=2000,
        queries_per_s=0.001,
        training=experiments.TrainingPlan(max_train_rows=200, max_test_rows=100, folds=2),
        measuring=experiments.MeasuringPlan(queries=20, rounds=1, warm_up=0, batch_sizes=(8,), batch_repeats=2),
    )
    found = experiments.assess(bench, study)
    (verdict,) = found.verdicts
    assert verdict.candidate == "soft_vote"
    assert verdict.answer in {"ship", "do not ship", "cannot tell"}
    scores = found.records[(found.records["quantity"] == metric) & (found.records["statistic"] == "test")]
    value = scores.set_index("candidate")["value"]
    baseline = verdict.comparisons[0].baseline
    sign = 1 if metric == "accuracy" else -1
    assert verdict.comparisons[0].gain.value == pytest.approx(sign * (value["soft_vote"] - value[baseline]))
    assert set(scores["candidate"]) == set(names)


def test_data_sets_without_a_metric_in_common_are_no_one_study():
    """Whichever metric is named, it would be wrong for one of them; the remedy is to part them."""
    text = STUDY.format(dataset="breast_cancer, diamonds", metric="rmse", candidates="prior")
    with pytest.raises(InputError, match="line 5: metric: no metric fits the tasks of all data sets here; give each"):
        parse_study(text.replace("name: breast_cancer, diamonds", "name: both"), "my.yaml")


def test_who_values_what_a_task_has_not_is_heard_to_have_no_ranking(tmp_path, monkeypatch):
    """A regression has no ROC AUC: research has no ranking, its veto is undecided, and latency alone decides."""
    monkeypatch.setenv("SHIPWORTHY_OUTPUTS", str(tmp_path))
    bench = experiments.Workbench.open()
    weights = {"research": {"roc_auc": 1.0}, "product": {"latency_ms": 1.0}, "ML engineering": {}}
    limits = {"p99_limit_ms": 1000.0, "memory_limit_mib": 2000.0, "worst_roc_auc": 0.6}
    given = {"candidates": ["prior", "ridge"], "seeds": [0], "weights": weights, **limits}
    rows = experiments.TrainingPlan(max_train_rows=200, max_test_rows=100, folds=2)
    study = experiments.stakeholder_study(datasets=["diamonds"], training=rows, **given)
    assert study.metric == "rmse"
    few = experiments.MeasuringPlan(queries=20, rounds=1, warm_up=0, batch_sizes=(8,), batch_repeats=1)
    (hearing,) = experiments.hear_stakeholders(bench, experiments.assess(bench, replace(study, measuring=few)))
    assert hearing.stakeholders == ("product",)
    assert "research values roc_auc, measured of no candidate, so has no ranking here." in hearing.notes
    undecided = {(v.stakeholder, v.outcome) for v in hearing.vetoes if v.requirement == "better than guessing"}
    assert undecided == {("ML engineering", "undecided")}
    with pytest.raises(InputError, match="tasks that have no metric in common"):
        experiments.stakeholder_study(datasets=["diamonds", "adult"], **given)


@pytest.mark.parametrize(("dataset", "task", "outcomes"), [("diamonds", "regression", 1), ("digits", "multiclass", 11)])
def test_money_counts_answers_by_the_rules_of_the_task(dataset, task, outcomes, tmp_path, monkeypatch):
    """A regression is paid by its absolute error, several classes by the true class; each stands among its own public tasks."""
    monkeypatch.setenv("SHIPWORTHY_OUTPUTS", str(tmp_path))
    bench = experiments.Workbench.open()
    metric = {"regression": "rmse", "multiclass": "log_loss"}[task]
    names = ["prior", "decision_tree", "random_forest", "soft_vote"]
    limits = {"p99_limit_ms": 1000.0, "memory_limit_mib": 2000.0, "queries_per_s": 0.001, "smallest_useful_gain": 0.001}
    study = experiments.lab_study(
        datasets=[dataset],
        candidates=names,
        seeds=[0],
        metric=metric,
        training=experiments.TrainingPlan(max_train_rows=200, max_test_rows=100, folds=2),
        measuring=experiments.MeasuringPlan(queries=20, rounds=1, warm_up=0, batch_sizes=(8,), batch_repeats=1),
        **limits,
    )
    economics = Economics(correct_usd=(0.01,), wrong_usd=(0.02,), absolute_error_usd=(0.001,), draws=200)
    found = experiments.assess(bench, replace(study, economics=economics))
    (money,) = found.money
    assert [p["task_type"] for p in money["public"]] == [task]
    arm = experiments.arms_of(study)[0]
    said = {n: training.load(bench.part(bench.fit_unit(arm, n))).predictions for n in names}
    answers = answers_of(said, bench.dataset(arm).classes, economics, np.random.default_rng(0))
    assert {len(a.outcomes) for a in answers.values()} == {outcomes}
    earned = found.records[found.records["quantity"] == "answers_usd_month"].set_index("candidate")["value"]
    rates = np.array([-0.001]) if task == "regression" else np.array([0.01, *[-0.02] * 10])
    month = study.traffic_queries_s * 3600 * HOURS_A_MONTH
    for name in names:
        assert earned[name] == pytest.approx(month * float(answers[name].shares @ rates))
