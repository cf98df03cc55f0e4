"""Ensembles that choose, bag, layer and ask in turn: each is the real thing, and was chosen without a look at a test row."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.ensemble import StackingClassifier, StackingRegressor, VotingClassifier, VotingRegressor
from sklearn.model_selection import PredefinedSplit
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from shipworthy import artefacts, candidates, experiments, simulation, training
from shipworthy.deployables import Cascade, sureness
from shipworthy.experiments.choosing import choose
from shipworthy.experiments.own_ensembles import Declared
from shipworthy.measurement.child import itemise
from shipworthy.records import Choosing, Ingredients, InputError, OwnCascade, OwnVote, Study
from shipworthy.study.schema import as_yaml, parse_study

SAMPLES = {
    "breast_cancer": {"max_train_rows": 150, "max_test_rows": 100, "folds": 3},
    "catsup": {"max_train_rows": 200, "max_test_rows": 100, "folds": 3},
    "diamonds": {"max_train_rows": 200, "max_test_rows": 100, "folds": 3},
}
ON = pytest.mark.parametrize("dataset", SAMPLES)
CHOOSERS = ("uniform_topk", "greedy", "greedy_cost")
BAGS = ("bagged_logistic", "bagged_xgboost")


def declared_for(dataset):
    """A vote and, of classes, a cascade that a study declares."""
    first = "ridge" if dataset == "diamonds" else "logistic_regression"
    vote = OwnVote(name="mine", weights={"xgboost": 3.0, first: 1.0})
    cascade = OwnCascade(name="in_turn", members=(first, "random_forest", "xgboost"), thresholds=(0.9, 0.5))
    agreed = OwnCascade(name="agreed", members=(first, "knn", "random_forest", "xgboost"), confidence="agreement")
    return Declared(ensembles=(vote,) if dataset == "diamonds" else (vote, cascade, agreed))


class Built:
    """A data set whose ensembles have all been built, and what they are made of."""

    def __init__(self, dataset, folder):
        self.bench = experiments.Workbench(folder, notify=[].append)
        self.arm = experiments.make_arm(dataset, 3, training=SAMPLES[dataset], declared=declared_for(dataset))
        self.data = self.bench.dataset(self.arm)
        self.own = [e.name for e in self.arm.declared.ensembles]
        self.names = [*CHOOSERS, *BAGS, "two_layer_stack", *self.own]
        self.table = experiments.build_ensembles(self.bench, self.arm, self.names)

    def trained(self, name):
        """A trained candidate."""
        return training.load(self.bench.part(self.bench.fit_unit(self.arm, name)))

    def shipped(self, name):
        """What was saved of it."""
        return artefacts.load(Path(self.trained(name).artefact))

    def template(self, name, **changed):
        """An unfitted candidate, as it was built here."""
        data = self.data
        given = Ingredients(data.task, data.numeric, data.categorical, 3, n_classes=len(data.classes), **changed)
        return self.arm.declared.candidate(name).build(given)

    def rows(self, part):
        """Features and target of the training or test rows."""
        positions = getattr(self.data.split, part)
        return self.data.X.iloc[positions], self.data.y[positions]

    def say(self, model, X):
        """What a model says of rows."""
        return model.predict_proba(X) if self.data.classes else np.asarray(model.predict(X))[:, None]


@pytest.fixture(name="built", scope="module")
def built_ensembles(tmp_path_factory):
    """Every data set, built once."""
    found = {}

    def build(dataset):
        if dataset not in found:
            found[dataset] = Built(dataset, tmp_path_factory.mktemp(dataset))
        return found[dataset]

    return build


@ON
@pytest.mark.parametrize("name", [*CHOOSERS, "mine"])
def test_a_weighted_vote_equals_scikit_learns_fitted_whole(built, dataset, name):
    """VotingClassifier or VotingRegressor of the chosen members, fitted on the training rows with the chosen weights, says it."""
    here = built(dataset)
    weights = here.trained(name).notes["weights"]
    assert sum(weights.values()) == pytest.approx(1)
    assert min(weights.values()) > 0
    members = [(m, here.template(m)) for m in weights]
    given = list(weights.values())
    whole = (
        VotingClassifier(members, voting="soft", weights=given) if here.data.classes else VotingRegressor(members, weights=given)
    )
    whole.fit(*here.rows("train"))
    X = here.rows("test")[0]
    np.testing.assert_allclose(here.say(whole, X), here.trained(name).predictions.test, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(here.say(here.shipped(name), X), here.trained(name).predictions.test, rtol=1e-12, atol=1e-15)


def test_an_ensemble_of_models_that_a_search_found_is_saved_without_the_searches(tmp_path):
    """A vote and a cascade of what two searches shipped say what those models say, and hold no search: none could be saved."""
    members = ("xgboost_tuned", "xgboost_large")
    vote, layers = (
        OwnVote(name="mine", weights=dict.fromkeys(members, 1.0)),
        OwnCascade(name="turn", members=members, thresholds=(0.9,)),
    )
    rows = {**SAMPLES["breast_cancer"], "search_trials": 1}
    arm = experiments.make_arm("breast_cancer", 3, training=rows, declared=Declared(ensembles=(vote, layers)))
    bench = experiments.Workbench(tmp_path, notify=[].append)
    experiments.build_ensembles(bench, arm, ["mine", "turn"])
    said = {n: training.load(bench.part(bench.fit_unit(arm, n))).predictions.test for n in (*members, "mine", "turn")}
    np.testing.assert_allclose(said["mine"], (said["xgboost_tuned"] + said["xgboost_large"]) / 2)
    sure = sureness(said["xgboost_tuned"], "margin") >= 0.9
    np.testing.assert_allclose(said["turn"], np.where(sure[:, None], said["xgboost_tuned"], said["xgboost_large"]))


@ON
@pytest.mark.parametrize("name", CHOOSERS)
def test_a_choice_is_simulations_own_and_is_made_anew_for_every_fold(built, dataset, name):
    """Selection on the out-of-fold rows gives the shipped weights; on the rows of other folds those that weigh a fold."""
    here = built(dataset)
    library = experiments.members_of(here.arm, [name])
    assert "prior" not in library
    said = {m: here.trained(m).predictions for m in library}
    metric = "log_loss" if here.data.classes else "rmse"
    asked = candidates.get(name).choosing
    fold, expected = here.data.split.fold, np.full_like(said[library[0]].oof, np.nan)
    for held_out in range(-1, 3):
        kept = fold != held_out
        rows = {m: replace(p, oof_rows=p.oof_rows[kept], oof_y=p.oof_y[kept], oof=p.oof[kept]) for m, p in said.items()}
        votes = simulation.line_up(rows, here.data.task)
        if name == "uniform_topk":
            tried = [simulation.top_vote(votes, metric, k) for k in range(2, len(library) + 1)]
            picked = min(tried, key=lambda s: s.oof[metric])
        else:
            price = None
            if name == "greedy_cost":
                efforts = [training.effort_of(here.shipped(m)) for m in library]
                least = min(simulation.top_vote(votes, metric, 1).oof[metric], math.inf)
                costs = tuple(
                    simulation.MemberCost(m, e.latency_ms, 0, math.nan, math.nan, e.memory_mib, math.nan)
                    for m, e in zip(library, efforts, strict=True)
                )
                law = simulation.CostModel(base_memory_mib=0.0)
                price = simulation.PricedCosts(costs, asked.ms_share * least, asked.mib_share * least, model=law)
            picked = simulation.greedy(votes, metric, steps=asked.steps, priced=price)
        weights = dict(zip(picked.members, picked.weights, strict=True))
        if held_out < 0:
            assert here.trained(name).notes["weights"] == pytest.approx(weights)
        else:
            rows_of = ~kept
            expected[rows_of] = sum(w * said[m].oof[rows_of] for m, w in weights.items())
    np.testing.assert_allclose(here.trained(name).predictions.oof, expected, rtol=1e-9, atol=1e-12)


@ON
def test_no_test_row_has_a_say_in_what_is_chosen(built, dataset):
    """With every prediction of a test row spoilt, and its truth, the same members and weights are chosen."""
    here = built(dataset)
    library = {m: here.trained(m) for m in experiments.members_of(here.arm, ["greedy"])}
    spoilt = {
        m: replace(t, predictions=replace(t.predictions, test=np.full_like(t.predictions.test, np.nan)))
        for m, t in library.items()
    }
    for name in CHOOSERS:
        asked = candidates.get(name).choosing
        assert choose(asked, spoilt, here.data).weights == here.trained(name).notes["weights"]


def test_a_higher_price_never_buys_more(built):
    """As the price of a millisecond and a mebibyte rises, the estimated cost of what greedy takes does not."""
    here = built("breast_cancer")
    library = {m: here.trained(m) for m in experiments.members_of(here.arm, ["greedy"])}
    efforts = {m: training.effort_of(artefacts.load(Path(t.artefact))) for m, t in library.items()}
    spent = []
    for price in (0.0, 0.002, 0.05, 5.0):
        chosen = choose(Choosing("greedy", 30, price, price / 10), library, here.data)
        spent.append(sum(efforts[m].latency_ms for m in chosen.weights))
    assert spent == sorted(spent, reverse=True)
    cheapest = min(efforts.values(), key=lambda e: e.latency_ms)
    assert spent[-1] <= 2 * cheapest.latency_ms < spent[0]


def test_effort_is_counted_and_not_timed(built):
    """What is loaded again has the same effort; a hundred trees are asked one by one, and more rows in memory weigh more."""
    here = built("breast_cancer")
    for name in ("logistic_regression", "random_forest", "xgboost"):
        assert training.effort_of(here.shipped(name)) == training.effort_of(here.shipped(name))
    forest, linear = (training.effort_of(here.shipped(n)) for n in ("random_forest", "logistic_regression"))
    assert forest.trees == 100
    assert linear.trees == 0
    assert forest.latency_ms > linear.latency_ms
    nodes = sum(t.tree_.__getstate__()["nodes"].nbytes for t in here.shipped("random_forest").steps[-1][1].estimators_)
    assert forest.memory_mib * 2**20 > nodes > linear.memory_mib * 2**20


@ON
@pytest.mark.parametrize("name", BAGS)
def test_a_bag_is_the_models_that_gave_its_member_its_out_of_fold_predictions(built, dataset, name):
    """Fitted whole on the same folds it says the same of test rows; its out-of-fold predictions are its member's."""
    here = built(dataset)
    whole = here.template(name).set_params(cv=PredefinedSplit(here.data.split.fold)).fit(*here.rows("train"))
    said = here.trained(name).predictions
    np.testing.assert_array_equal(here.say(whole, here.rows("test")[0]), said.test)
    (member,) = experiments.members_of(here.arm, [name])
    np.testing.assert_array_equal(here.trained(member).predictions.oof, said.oof)
    assert here.trained(name).notes["models"] == len(here.shipped(name).estimators_) == 3
    for k, model in enumerate(here.shipped(name).estimators_):
        held_out = here.data.split.fold == k
        X = here.rows("train")[0][held_out]
        np.testing.assert_allclose(here.say(model, X), said.oof[held_out], rtol=1e-12)


@ON
def test_a_stack_of_two_layers_equals_scikit_learns_fitted_whole(built, dataset):
    """StackingClassifier or -Regressor with passthrough, whose final estimator is the second layer, on the same folds."""
    here = built(dataset)
    ours = here.template("two_layer_stack")
    X, y = here.rows("train")
    # scikit-learn hands on what the first layer says and then the columns, as one array.
    names = [*ours.says, *X.columns]
    types = {name: "float64" for name in names if name not in here.data.categorical}
    table = FunctionTransformer(lambda array: pd.DataFrame(array, columns=names).astype(types), check_inverse=False)
    final = Pipeline([("table", table), ("vote", clone(ours.final_estimator))])
    stack = StackingClassifier if here.data.classes else StackingRegressor
    given = {"stack_method": "predict_proba"} if here.data.classes else {}
    whole = stack(ours.estimators, final, cv=PredefinedSplit(here.data.split.fold), passthrough=True, **given).fit(X, y)
    test = here.rows("test")[0]
    np.testing.assert_allclose(here.say(whole, test), here.trained("two_layer_stack").predictions.test, rtol=1e-9, atol=1e-12)
    alone = clone(ours).set_params(cv=PredefinedSplit(here.data.split.fold)).fit(X, y)
    np.testing.assert_array_equal(here.say(alone, test), here.trained("two_layer_stack").predictions.test)


def test_neither_layer_says_anything_of_rows_that_it_learnt_from(built):
    """Out-of-fold predictions come from a second layer without the fold, told by first layers without it and the row's own."""
    here = built("diamonds")
    ours, fold = here.template("two_layer_stack"), here.data.split.fold
    X, y = here.rows("train")
    said = [here.trained(m).predictions.oof for m, _ in ours.estimators]
    assert [c for c in ours.extend(X, said).columns if c not in X.columns] == list(ours.says)
    for k in range(3):
        told = [np.copy(p) for p in said]
        for other in {0, 1, 2} - {k}:
            seen, rows = (fold != k) & (fold != other), fold == other
            for column, (_, model) in zip(told, ours.estimators, strict=True):
                column[rows, 0] = clone(model).fit(X[seen], y[seen]).predict(X[rows])
        second = clone(ours.final_estimator).fit(ours.extend(X, told)[fold != k], y[fold != k])
        expected = second.predict(ours.extend(X, said)[fold == k])
        np.testing.assert_allclose(here.trained("two_layer_stack").predictions.oof[fold == k, 0], expected, rtol=1e-12)
    with pytest.raises(ValueError, match="says 1 numbers of a row, not the 3 it was built for"):
        ours.extend(X, [y])


@pytest.mark.parametrize("dataset", ["breast_cancer", "catsup"])
def test_a_cascade_answers_as_the_first_member_that_is_sure(built, dataset):
    """Row by row: the first member above its threshold, else the last; asked together or one at a time, and out of fold."""
    here = built(dataset)
    described = here.arm.declared.ensembles[1]
    members = [here.trained(m).predictions for m in described.members]
    for which in ("oof", "test"):
        expected = []
        for said in zip(*(getattr(p, which) for p in members), strict=True):
            sure = [np.sort(p)[-1] - np.sort(p)[-2] >= t for p, t in zip(said, described.thresholds, strict=False)]
            expected.append(said[sure.index(True) if True in sure else -1])
        np.testing.assert_allclose(getattr(here.trained("in_turn").predictions, which), expected, rtol=1e-9, atol=1e-12)
    shipped, queries = here.shipped("in_turn"), here.data.queries(here.data.split.test[:30])
    alone = np.vstack([shipped.predict_proba([q]) for q in queries])
    np.testing.assert_allclose(alone, here.trained("in_turn").predictions.test[:30], rtol=1e-9, atol=1e-12)
    lengths = {len(shipped.asked([q])) for q in queries}
    assert 1 in lengths
    assert lengths <= {1, 2, 3}
    assert here.trained("in_turn").notes["thresholds"] == [0.9, 0.5]
    assert here.trained("in_turn").notes["confidence"] == "margin"


@pytest.mark.parametrize("dataset", ["breast_cancer", "catsup"])
def test_a_cascade_by_agreement_answers_what_two_members_answer(built, dataset):
    """Row by row: the member that first repeats an answer, else the last; on paper too it is as accurate and settles as many."""
    here = built(dataset)
    members = here.arm.declared.ensembles[2].members
    said = {m: here.trained(m).predictions for m in members}
    assert here.trained("agreed").notes["confidence"] == "agreement"
    paper = simulation.one_cascade(
        simulation.line_up(said, here.data.task), {m: np.ones(5) for m in members}, members, (), how="agreement"
    )
    for which, foretold in (("oof", paper.accuracy), ("test", paper.accuracy_test)):
        expected, asked = [], []
        for row in zip(*(getattr(p, which) for p in said.values()), strict=True):
            answers = [int(p.argmax()) for p in row]
            repeating = [i for i in range(len(row) - 1) if answers[i] in answers[:i]]
            asked.append(repeating[0] if repeating else len(row) - 1)
            expected.append(row[asked[-1]])
        here_said = here.trained("agreed").predictions
        np.testing.assert_allclose(getattr(here_said, which), expected, rtol=1e-9, atol=1e-12)
        right = getattr(here_said, which).argmax(axis=1) == getattr(here_said, f"{which}_y")
        assert right.mean() == pytest.approx(foretold, abs=1e-6)
        if which == "oof":
            assert np.mean(np.array(asked) == 1) == pytest.approx(paper.early, abs=1e-6)
    shipped, queries = here.shipped("agreed"), here.data.queries(here.data.split.test[:30])
    np.testing.assert_allclose(
        np.vstack([shipped.predict_proba([q]) for q in queries]), here_said.test[:30], rtol=1e-9, atol=1e-12
    )
    assert [len(shipped.asked([q])) for q in queries] == [place + 1 for place in asked[:30]]


def test_a_query_of_a_cascade_is_itemised_over_the_members_that_it_meets(built):
    """Where one query's time goes counts those that were asked and no others; a bag's counts all of its folds."""
    here = built("breast_cancer")
    cascade, bag = here.shipped("in_turn"), here.shipped("bagged_logistic")
    for query in here.data.queries(here.data.split.test[:10]):
        assert itemise(cascade, query)[3] == len(cascade.asked([query]))
    assert itemise(bag, query)[3] == 3


@pytest.mark.parametrize("how", ["margin", "entropy"])
@pytest.mark.parametrize("dataset", ["breast_cancer", "catsup"])
def test_a_cascade_on_paper_is_as_accurate_as_the_one_that_is_built(built, dataset, how):
    """Thresholds that simulation picks give, built, the accuracy that it foretold on out-of-fold and on test rows, to 1e-6."""
    here = built(dataset)
    names = ("logistic_regression", "random_forest", "xgboost")
    votes = simulation.line_up({m: here.trained(m).predictions for m in names}, here.data.task)
    latencies = {m: np.array([1.0 + i]) for i, m in enumerate(names)}
    for pair in (("logistic_regression", "xgboost"), ("random_forest", "logistic_regression")):
        paper = simulation.pair_cascades(votes, latencies, how=how)[pair]
        place = len(paper.thresholds) // 2
        built_one = Cascade([(m, None) for m in pair], (float(paper.thresholds[place]),), how)
        for which, foretold in (("oof", paper.accuracy[place]), ("test", paper.accuracy_test[place])):
            said = built_one.combine([getattr(here.trained(m).predictions, which) for m in pair])
            y = getattr(here.trained(pair[0]).predictions, f"{which}_y")
            assert (said.argmax(axis=1) == y).mean() == pytest.approx(foretold, abs=1e-6)


@given(st.lists(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), min_size=1, max_size=8))
def test_sureness_is_simulations_confidence(rows):
    """Margin is the gap between the two largest and entropy that of SciPy, on paper and in what is built."""
    from scipy.stats import entropy

    p = np.array(rows)
    p /= p.sum(axis=1, keepdims=True)
    ordered = np.sort(p, axis=1)
    known = {"margin": ordered[:, -1] - ordered[:, -2], "entropy": 1 - entropy(p, axis=1) / np.log(3)}
    for how, right in known.items():
        np.testing.assert_allclose(sureness(p, how), right, rtol=0, atol=1e-12)
        np.testing.assert_allclose(simulation.confidence(p.T, how), right, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="choose margin or entropy"):
        sureness(p, "agreement")


@ON
def test_every_ensemble_answers_raw_queries_from_its_artefact(built, dataset):
    """Loaded without running what the file says, it answers dicts as it answered the table, and its notes say what is inside."""
    here = built(dataset)
    queries = here.data.queries(here.data.split.test[:15])
    for name in here.names:
        np.testing.assert_allclose(
            here.say(here.shipped(name), queries), here.trained(name).predictions.test[:15], rtol=1e-9, atol=1e-9
        )
    made_of = experiments.made_of(here.bench, here.arm, here.names)
    assert list(made_of.index) == here.names
    assert made_of.loc["mine", "models"] == 2
    assert made_of.loc["mine", "members"].startswith("xgboost .75, ")
    assert made_of.loc["two_layer_stack", "models"] == 5
    rows = pd.DataFrame(here.bench.read(here.bench.fit_unit(here.arm, "greedy")))
    weights = rows[rows["quantity"] == "member_weight"].set_index("group")["value"]
    assert weights.to_dict() == pytest.approx(here.trained("greedy").notes["weights"])
    sizes = rows[rows["quantity"] == "member_size_mib"].set_index("group")["value"]
    assert sizes.loc[weights.index[0]] == artefacts.size_mib(Path(here.trained(weights.index[0]).artefact))


def test_another_library_is_another_choice(built):
    """A study's own members are chosen among; naming others changes the identity, and a greedy choice beats its best member."""
    here = built("breast_cancer")
    few = Declared(("prior", "logistic_regression", "xgboost", "soft_vote", "greedy"))
    arm = experiments.make_arm("breast_cancer", 3, training=SAMPLES["breast_cancer"], declared=few)
    assert experiments.members_of(arm, ["greedy"]) == ["logistic_regression", "xgboost"]
    assert here.bench.fit_unit(arm, "greedy").identity != here.bench.fit_unit(here.arm, "greedy").identity
    assert here.bench.fit_unit(arm, "xgboost").identity == here.bench.fit_unit(here.arm, "xgboost").identity
    lonely = replace(arm, declared=Declared(("prior", "xgboost", "greedy")))
    assert experiments.members_of(lonely, ["greedy"]) == experiments.members_of(here.arm, ["greedy"])
    library = {m: here.trained(m) for m in experiments.members_of(here.arm, ["greedy"])}
    weights = here.trained("greedy").notes["weights"]
    vote = sum(w * library[m].predictions.oof for m, w in weights.items())
    y = library["xgboost"].predictions.oof_y
    alone = [simulation.scoring.score("log_loss", y, t.predictions.oof.T) for t in library.values()]
    assert simulation.scoring.score("log_loss", y, vote.T) <= min(alone)


STUDY = """\
name: own
question: Is what was picked on paper as good when it is built?
datasets: [breast_cancer]
candidates:
  - logistic_regression
  - {name: pick, weights: {xgboost: 0.6, logistic_regression: 0.4}}
  - xgboost
  - {name: c1, cascade: [logistic_regression, xgboost], threshold: 0.8, confidence: margin}
prices: {as_of: "2026-03", source: a test, vcpu_hour_usd: 0.04, gib_hour_usd: 0.004}
"""


def test_a_study_describes_its_own_ensembles_among_the_candidates():
    """They become names in their places and records of their own; the resolved study is read back as it is."""
    study = parse_study(STUDY, "own.yaml")
    assert study.candidates == ("logistic_regression", "pick", "xgboost", "c1")
    assert study.votes == (OwnVote(name="pick", weights={"xgboost": 0.6, "logistic_regression": 0.4}),)
    assert study.cascades == (OwnCascade(name="c1", members=("logistic_regression", "xgboost"), thresholds=(0.8,)),)
    again = parse_study(as_yaml(study), "again.yaml")
    assert isinstance(again, Study)
    assert again == study
    assert experiments.arms_of(again)[0] == experiments.arms_of(study)[0]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("xgboost: 0.6", "xgbost: 0.6", r"line 6: candidates\.1: there is no candidate 'xgbost'; did you mean xgboost"),
        ("xgboost: 0.6", "stack: 0.6", r"line 6: candidates\.1: pick has the member stack, an ensemble itself"),
        ("xgboost: 0.6", "xgboost: 0", r"line 6: candidates\.1\.weights\.xgboost .*greater than 0"),
        ("xgboost: 0.6", "ridge: 0.6", r"line 6: candidates\.1: pick has members that no task has in common"),
        ("name: pick", "name: stack", r"line 6: candidates\.1: a candidate called stack comes with shipworthy"),
        ("name: pick", "name: my pick", r"line 6: candidates\.1\.name 'my pick' cannot name an ensemble"),
        ("threshold: 0.8", "thresholds: [0.8, 0.1]", r"line 8: candidates\.3: c1 asks 2 members and has 2 thresholds"),
        ("cascade: [logistic_regression, xgboost]", "cascade: [xgboost, xgboost]", "c1 names its member xgboost twice"),
        ("confidence: margin", "confidence: trust", r"line 8: candidates\.3\.confidence"),
        (
            "confidence: margin",
            "confidence: agreement",
            r"line 8: candidates\.3: c1 goes by agreement and has 1 thresholds; leave",
        ),
        (", threshold: 0.8", "", r"line 8: candidates\.3: c1 asks 2 members and has 0 thresholds"),
        (
            "threshold: 0.8, confidence: margin",
            "confidence: agreement",
            r"line 8: candidates\.3: c1 goes by agreement and would ask both its members of every row; name three",
        ),
        ("confidence: margin", "patience: 2", r"line 8: candidates\.3\.patience is not a field that exists"),
        ("name: c1", "name: pick", "names something twice"),
    ],
)
def test_an_ensemble_that_cannot_be_is_refused_by_line(old, new, said):
    """File, line, field and remedy, before any work."""
    with pytest.raises(InputError, match=said):
        parse_study(STUDY.replace(old, new), "own.yaml")
