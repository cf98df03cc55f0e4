"""Every subset as a uniform vote: what scikit-learn says of a voting ensemble of the same members."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.ensemble import VotingClassifier, VotingRegressor
from sklearn.preprocessing import LabelEncoder

from shipworthy import simulation
from shipworthy.candidates.choosers import weighted_vote
from shipworthy.records import Ingredients, InputError, Predictions
from shipworthy.simulation.subsets import subset_sizes

CATALOGUED = ("knn", "random_forest", "extra_trees")


class Reciter(ClassifierMixin, BaseEstimator):
    """A fitted classifier that says of row number i what it is told to say."""

    def __init__(self, said):
        self.said = said

    def predict_proba(self, X):
        """What it was told."""
        return self.said[X]


class Number(RegressorMixin, BaseEstimator):
    """A fitted regressor that says of row number i what it is told to say."""

    def __init__(self, said):
        self.said = said

    def predict(self, X):
        """What it was told."""
        return self.said[X, 0]


def voting(said, names, n_classes):
    """scikit-learn's ensemble of these members; which rows it is asked is their number."""
    fitted = [(Number if n_classes == 1 else Reciter)(said[n].oof) for n in names]
    if n_classes == 1:
        ensemble = VotingRegressor([(n, f) for n, f in zip(names, fitted, strict=True)])
    else:
        ensemble = VotingClassifier([(n, f) for n, f in zip(names, fitted, strict=True)], voting="soft")
        ensemble.le_ = LabelEncoder().fit(np.arange(n_classes))
        ensemble.classes_ = ensemble.le_.classes_
    ensemble.estimators_ = fitted
    return ensemble


@pytest.mark.parametrize("coarse", [False, True], ids=["smooth", "ties and zeros"])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_every_subset_is_what_scikit_learn_says(members_that_vote, n_classes, coarse):
    """Log loss, accuracy, Brier score and ROC AUC of random subsets equal VotingClassifier's by scikit-learn's metrics."""
    said = members_that_vote(13, 600, n_classes, coarse=coarse)
    votes = simulation.line_up(said, "binary" if n_classes == 2 else "multiclass")
    table = simulation.every_subset(votes)
    chosen = np.random.default_rng(1).choice(np.arange(1, 1 << 13), 60, replace=False)
    ranked = simulation.roc_auc(votes, chosen, "oof")
    y, labels = said["m0"].oof_y, list(range(n_classes))
    for subset, auc in zip(chosen.tolist(), ranked, strict=True):
        ensemble = voting(said, table.members(subset), n_classes)
        p, answers = ensemble.predict_proba(np.arange(len(y))), ensemble.predict(np.arange(len(y)))
        column = p[:, 1] if n_classes == 2 else p
        assert table.oof["log_loss"][subset] == pytest.approx(metrics.log_loss(y, p, labels=labels), abs=1e-9)
        assert table.oof["accuracy"][subset] == pytest.approx(metrics.accuracy_score(y, answers), abs=1e-12)
        assert table.oof["brier"][subset] == pytest.approx(metrics.brier_score_loss(y, column, labels=labels), abs=1e-9)
        assert auc == pytest.approx(metrics.roc_auc_score(y, column, multi_class="ovr", labels=labels), abs=1e-9)


def test_regression_subsets_are_what_scikit_learn_says(members_that_vote):
    """The root mean squared error of every subset equals VotingRegressor's, without a pass over the rows for each."""
    said = members_that_vote(6, 150, 1)
    table = simulation.every_subset(simulation.line_up(said, "regression"))
    y = said["m0"].oof_y
    for subset in range(1, 1 << 6):
        answers = voting(said, table.members(subset), 1).predict(np.arange(len(y)))
        assert table.oof["rmse"][subset] == pytest.approx(metrics.root_mean_squared_error(y, answers), abs=1e-9)


@pytest.mark.parametrize("n_rows", [2, 31, 1024, 1025])
def test_blocks_of_rows_leave_no_row_out(members_that_vote, n_rows):
    """Whether the rows fill a block, fall short or spill over, the log loss is NumPy's."""
    said = members_that_vote(3, n_rows)
    table = simulation.every_subset(simulation.line_up(said, "binary"), metrics=["log_loss"])
    y = said["m0"].test_y
    expected = -np.log(np.mean([p.test for p in said.values()], axis=0)[np.arange(n_rows), y]).mean()
    assert table.test["log_loss"][0b111] == pytest.approx(expected, abs=1e-12)
    assert set(table.oof) == {"log_loss"}


def test_a_tie_in_one_block_of_rows_is_settled_there(members_that_vote):
    """Where some rows have ties and most have none, the accuracies of all subsets are scikit-learn's."""
    said = members_that_vote(5, 2500)
    flat = np.arange(1500, 1510)
    for n, predictions in said.items():
        predictions.oof[flat] = 0.25 + 0.5 * (int(n[1:]) % 2), 0.75 - 0.5 * (int(n[1:]) % 2)
    table = simulation.every_subset(simulation.line_up(said, "binary"), metrics=["accuracy"])
    y = said["m0"].oof_y
    for subset in range(1, 1 << 5):
        answers = voting(said, table.members(subset), 2).predict(np.arange(len(y)))
        assert table.oof["accuracy"][subset] == metrics.accuracy_score(y, answers)


def test_probabilities_near_zero_do_not_vanish_in_a_product(members_that_vote):
    """Thousands of rows that every member calls impossible have scikit-learn's log loss: no product of them underflows."""
    said = members_that_vote(3, 5000)
    y = said["m0"].oof_y
    wrong = np.eye(2)[1 - y]
    said = {n: replace(p, oof=np.where(np.arange(5000)[:, None] % 7 > 0, wrong, p.oof)) for n, p in said.items()}
    table = simulation.every_subset(simulation.line_up(said, "binary"), metrics=["log_loss"])
    for subset in range(1, 8):
        p = voting(said, table.members(subset), 2).predict_proba(np.arange(5000))
        assert table.oof["log_loss"][subset] == pytest.approx(metrics.log_loss(y, p), abs=1e-9)


def test_one_member_alone_is_a_table_of_two(members_that_vote):
    """The table of a single member holds the vote of nothing and the member, as the table of more does."""
    votes = simulation.line_up(members_that_vote(3, 60), "binary")
    alone, table = simulation.every_subset(votes.only(("m1",))), simulation.every_subset(votes)
    for metric, values in alone.oof.items():
        assert values.tolist() == pytest.approx(table.oof[metric][[0b000, 0b010]].tolist(), abs=1e-12), metric


CHOOSE = """
import numpy as np

from shipworthy import simulation
from shipworthy.records import Predictions

y = np.array([0, 1, 1, 0])
members = [np.array([0.2, 0.7, 0.4, 0.1]), np.array([0.4, 0.3, 0.9, 0.2])]
said = {f"m{i}": Predictions(np.arange(4), y, np.c_[1 - p, p], np.arange(4), y, np.c_[1 - p, p]) for i, p in enumerate(members)}
votes = simulation.line_up(said, "binary")
print(simulation.greedy(votes, "accuracy", steps=3).oof["accuracy"])
"""


def test_loops_are_compiled_where_nothing_is_kept_yet(tmp_path):
    """With an empty folder for compiled code, a selection works, and leaves its code there for the next process."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", CHOOSE], capture_output=True, text=True, env=environment, check=False
    )
    assert (answer.stdout, answer.stderr) == ("1.0\n", "")
    assert list(tmp_path.rglob("kernels.score_extensions*"))


def test_loops_are_compiled_where_nothing_can_be_kept(tmp_path):
    """Installed where neither the package's folder nor the user's can be written, a selection works all the same."""
    package, nowhere = tmp_path / "shipworthy", tmp_path / "nowhere"
    shutil.copytree(Path(simulation.__file__).parents[1], package, ignore=shutil.ignore_patterns("__pycache__"))
    # Files where folders would be made: they stop the administrator too, who may write what is read-only.
    for file in (nowhere, package / "simulation" / "__pycache__"):
        file.touch()
    homes = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "USERPROFILE"), str(nowhere))
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"} | homes
    environment |= {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", CHOOSE], capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
    )
    assert (answer.stdout, answer.stderr) == ("1.0\n", "")


def test_threads_do_not_change_a_bit(members_that_vote):
    """With one thread and with three the tables are the same, bit for bit."""
    votes = simulation.line_up(members_that_vote(14, 700), "binary")
    one, three = (simulation.every_subset(votes, n_jobs=n) for n in (1, 3))
    assert all(np.array_equal(one.oof[m], three.oof[m]) for m in one.oof)


def test_a_vote_of_nothing_is_the_best_constant(members_that_vote):
    """Index 0 holds what the base rates, or the mean, of the out-of-fold rows would score."""
    said = members_that_vote(2, 300, 3)
    table = simulation.every_subset(simulation.line_up(said, "multiclass"))
    y, test_y = said["m0"].oof_y, said["m0"].test_y
    rates = np.bincount(y) / len(y)
    assert table.oof["log_loss"][0] == pytest.approx(-(rates * np.log(rates)).sum())
    assert table.test["log_loss"][0] == pytest.approx(
        metrics.log_loss(test_y, np.tile(rates, (len(test_y), 1)), labels=[0, 1, 2])
    )
    assert table.oof["accuracy"][0] == rates.max()
    numbers = members_that_vote(2, 300, 1)
    regression = simulation.every_subset(simulation.line_up(numbers, "regression"))
    assert regression.oof["rmse"][0] == pytest.approx(numbers["m0"].oof_y.std())


@given(seed=st.integers(0, 10_000), copies=st.integers(2, 5), n_classes=st.sampled_from([2, 3]))
def test_a_vote_of_copies_is_the_copy(members_that_vote, seed, copies, n_classes):
    """However many copies of one member vote, log loss, accuracy and Brier score are the member's."""
    one = members_that_vote(1, 40, n_classes, seed=seed)["m0"]
    votes = simulation.line_up({f"copy{i}": one for i in range(copies)}, "binary" if n_classes == 2 else "multiclass")
    table = simulation.every_subset(votes, n_jobs=1)
    for metric, values in table.oof.items():
        assert np.allclose(values[1:], values[1], rtol=0, atol=1e-12), metric


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("weights", [(1, 1, 1), (0.25, 0.5, 0.25), (0.2, 0.2, 0.6)])
def test_a_tie_of_a_weighted_vote_is_one_when_it_is_built(members_that_vote, n_classes, weights):
    """Of members that say tenths, what is scored of weights is the accuracy of the vote that a study builds with them."""
    said = members_that_vote(3, 2000, n_classes, coarse=True)
    votes = simulation.line_up(said, "binary" if n_classes == 2 else "multiclass")
    shares = np.array(weights) / sum(weights)
    ingredients = Ingredients(numeric=(), categorical=(), task=votes.task, weights=dict(zip(CATALOGUED, shares, strict=True)))
    declared = weighted_vote(ingredients)
    built = voting(said, list(said), n_classes)
    built.weights = declared.weights
    answers = built.predict(np.arange(2000))
    assert simulation.scores(votes, shares)[0]["accuracy"] == metrics.accuracy_score(said["m0"].oof_y, answers)
    if len(set(weights)) == 1:
        assert simulation.every_subset(votes).oof["accuracy"][0b111] == metrics.accuracy_score(said["m0"].oof_y, answers)


@given(seed=st.integers(0, 10_000))
def test_the_order_of_members_does_not_matter(members_that_vote, seed):
    """Members named in another order give the same scores to the same sets of names."""
    said = members_that_vote(4, 50, seed=seed)
    table = simulation.every_subset(simulation.line_up(said, "binary"), n_jobs=1)
    turned = simulation.every_subset(simulation.line_up(dict(reversed(said.items())), "binary"), n_jobs=1)
    for subset in range(1, 16):
        there = turned.subset(table.members(subset))
        assert turned.oof["log_loss"][there] == pytest.approx(table.oof["log_loss"][subset], abs=1e-12)


def test_subsets_and_names_lead_to_each_other(members_that_vote):
    """A subset's members lead back to it, and its size is their number."""
    table = simulation.every_subset(simulation.line_up(members_that_vote(5, 20), "binary"), n_jobs=1)
    for subset in range(32):
        assert table.subset(table.members(subset)) == subset
        assert subset_sizes(5)[subset] == len(table.members(subset))
    with pytest.raises(InputError, match="'knn' is no member: choose among m0"):
        table.subset(["knn"])


def test_a_member_that_is_certain_and_wrong_costs_what_scikit_learn_says():
    """A probability of zero for the true class is cut off where scikit-learn cuts it off, also when every member says so."""
    y = np.array([0, 1, 1, 0])
    sure = np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    said = Predictions(np.arange(4), y, sure, np.arange(4), y, sure)
    table = simulation.every_subset(simulation.line_up({"a": said, "b": said}, "binary"))
    assert table.oof["log_loss"][0b11] == pytest.approx(metrics.log_loss(y, sure), abs=1e-12)


def broken(said, name, **changes):
    """The members with one of them changed."""
    return {**said, name: replace(said[name], **changes)}


def test_bad_predictions_are_refused_in_a_sentence(members_that_vote):
    """NaN, other rows, another truth, one class, one member or none, and what is no probability: each is one clear sentence."""
    said = members_that_vote(3, 30)
    gone = said["m1"].oof.copy()
    gone[4] = np.nan
    ones = np.ones(30, np.int64)
    cases = [
        ({}, "at least two members to vote, not 0"),
        ({"m0": said["m0"]}, "at least two members to vote, not 1"),
        (broken(said, "m1", oof=gone), "m1 has 1 of 30 oof predictions that are not finite: train it again or leave it out"),
        (broken(said, "m2", test_rows=said["m2"].test_rows + 1), "m2 and m0 did not predict the same test rows"),
        (broken(said, "m2", oof_y=1 - said["m2"].oof_y), "m2 and m0 did not predict the same oof rows"),
        (broken(said, "m2", oof=said["m2"].oof[:-1]), "m2 has oof predictions of shape"),
        (broken(said, "m0", test_y=ones), "the test rows hold a single class"),
        (broken(said, "m0", oof_y=2 * said["m0"].oof_y), "hold classes other than 0 to 1"),
        (broken(said, "m1", test=2 * said["m1"].test), "m1 states test predictions that are no probabilities"),
        (broken(said, "m1", oof=said["m1"].oof[:, :1]), "m1 states 1 columns of oof predictions"),
    ]
    for given_, sentence in cases:
        with pytest.raises(InputError, match=sentence) as error:
            simulation.line_up(given_, "binary")
        assert "\n" not in str(error.value)
    four = members_that_vote(2, 30, 4)
    with pytest.raises(InputError, match="m1 states 5 columns of oof predictions and m0 4: train on one target"):
        simulation.line_up(broken(four, "m1", oof=np.full((30, 5), 0.2)), "multiclass")
    with pytest.raises(InputError, match="a regression has one"):
        simulation.line_up(said, "regression")
    numbers = members_that_vote(2, 30, 1)
    targets = numbers["m0"].test_y.copy()
    targets[3] = np.inf
    for name in numbers:
        numbers = broken(numbers, name, test_y=targets)
    with pytest.raises(InputError, match="1 of 30 targets of the test rows are not finite: drop these rows"):
        simulation.line_up(numbers, "regression")


@pytest.mark.parametrize(("n_classes", "written"), [(2, bool), (2, np.float64), (4, np.float64), (4, np.int8), (4, np.uint64)])
def test_class_codes_may_be_written_as_any_number(members_that_vote, n_classes, written):
    """Codes written as 0.0 and 1.0, in a byte or as false and true give the table of the same codes as whole numbers."""
    said = members_that_vote(3, 60, n_classes)
    task = "binary" if n_classes == 2 else "multiclass"
    other = {n: replace(p, oof_y=p.oof_y.astype(written), test_y=p.test_y.astype(written)) for n, p in said.items()}
    table, same = (simulation.every_subset(simulation.line_up(s, task)) for s in (said, other))
    for metric, values in table.oof.items():
        assert np.array_equal(values, same.oof[metric]), metric
    halves = {n: replace(p, oof_y=p.oof_y / 2) for n, p in said.items()}
    with pytest.raises(InputError, match="the oof rows hold classes other than 0 to"):
        simulation.line_up(halves, task)


def test_no_members_are_refused(members_that_vote):
    """A vote of nobody, of a member twice, and the table, the choice and the cascade of too few are sentences."""
    votes = simulation.line_up(members_that_vote(3, 20), "binary")
    with pytest.raises(InputError, match="a vote of no members says nothing: choose among m0, m1, m2"):
        votes.only(())
    with pytest.raises(InputError, match="'m1' is named twice: name each member once"):
        votes.only(("m0", "m1", "m1"))
    with pytest.raises(InputError, match="'m9' is no member"):
        votes.only(("m9",))
    nobody = replace(votes, names=())
    with pytest.raises(InputError, match="takes at least one member, and there is none"):
        simulation.every_subset(nobody)
    for choose in (simulation.greedy, simulation.beam, simulation.convex_weights):
        with pytest.raises(InputError, match="a selection chooses among members, and there is none"):
            choose(nobody, "brier")
    alone = votes.only(("m0",))
    for cascades in (simulation.pair_cascades, simulation.triple_cascades, simulation.exact_triples):
        with pytest.raises(InputError, match="a cascade needs two members to ask in turn, not 1"):
            cascades(alone, {"m0": np.ones(5)})
    with pytest.raises(InputError, match="Shapley values need a value for every subset"):
        simulation.shapley_values(np.array([]))
    with pytest.raises(InputError, match="8 is no subset of 3 members: give numbers from 0 to 7"):
        simulation.roc_auc(votes, [8], "oof")


def test_a_table_is_not_asked_for_what_it_does_not_hold(members_that_vote):
    """Whoever asks a table of accuracies for a log loss is told what it holds, wherever the question is put."""
    votes = simulation.line_up(members_that_vote(3, 20), "binary")
    costs = [simulation.MemberCost(n, 1.0, 0.0, 0.0, 1.0, 100.0, 1.0) for n in votes.names]
    table = simulation.every_subset(votes, metrics=["accuracy"], costs=costs)
    chosen = simulation.greedy(votes, "log_loss", steps=3)
    for ask in (
        lambda: simulation.pick(table, "log_loss"),
        lambda: simulation.best_within(table, "log_loss", latency_ms=5),
        lambda: simulation.frontier(table, "log_loss"),
        lambda: simulation.best_subset(table, "log_loss"),
        lambda: simulation.member_worth(table, "log_loss"),
        lambda: simulation.price_of_greed(table, chosen),
    ):
        with pytest.raises(InputError, match=r"the table does not hold 'log_loss'.*accuracy"):
            ask()
    with pytest.raises(InputError, match="give a value of brier for each of 8 subsets, not 3"):
        simulation.member_worth(table, "brier", values=np.ones(3))


def test_too_many_members_and_strange_metrics_are_refused(members_that_vote):
    """The exact table stops at 20 members, and each task has its own metrics."""
    votes = simulation.line_up(members_that_vote(21, 5), "binary")
    with pytest.raises(InputError, match="at most 20 members, not 21: choose fewer, or select greedily"):
        simulation.every_subset(votes)
    few = simulation.line_up(members_that_vote(2, 5), "binary")
    with pytest.raises(InputError, match="'rmse' cannot be simulated for a binary task here: choose one of log_loss"):
        simulation.every_subset(few, metrics=["rmse"])
    with pytest.raises(InputError, match="n_jobs must be at least 1"):
        simulation.every_subset(few, n_jobs=0)
    with pytest.raises(InputError, match="a price needs the costs"):
        simulation.every_subset(few, price=lambda cpu, memory: cpu + memory)
    with pytest.raises(InputError, match="knows no latency or memory"):
        simulation.every_subset(few).costs()
    with pytest.raises(InputError, match="cannot be simulated for a regression"):
        simulation.roc_auc(simulation.line_up(members_that_vote(2, 5, 1), "regression"), [1], "oof")
