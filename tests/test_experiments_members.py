"""How many members: trees grown once and asked in fresh processes, members simulated, and why averaging helps or hurts."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from shipworthy import experiments, reporting, training
from shipworthy.experiments.how_many_members import _knee, grow_unit, grown
from shipworthy.records import Economics, InputError

LIBRARY = ["prior", "decision_tree", "logistic_regression"]


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    """A forest of up to five trees and a library of three members on few rows, in a folder of its own."""
    bench = experiments.Workbench(tmp_path_factory.mktemp("members"), notify=[].append)
    plan = experiments.SizePlan(max_trees=5, queries=20, usd_per_thousandth=2.0, traffic_queries_s=50.0)
    training_plan = {"max_train_rows": 150, "folds": 2}
    given = {"candidates": LIBRARY, "forest": "random_forest", "booster": "xgboost", "training": training_plan}
    arm, plan = experiments.open_sizes(bench, "breast_cancer", 0, plan=plan, **given)
    trees = experiments.count_trees(bench, arm, "random_forest", plan)
    simulated = experiments.simulate_ensembles(bench, arm, LIBRARY, metric=plan.metric)
    return bench, arm, plan, trees, simulated, experiments.count_members(bench, arm, simulated, plan)


def test_every_size_is_measured_and_on_record(counted):
    """Accuracy is scikit-learn's, latency and memory were measured in a child, and each size stands on record as a level."""
    bench, arm, plan, trees, _, _ = counted
    assert plan.sizes() == (1, 2, 5)
    assert plan.metric == "brier"
    assert [row["size"] for row in trees.rows] == [1, 2, 5]
    for row, trained in zip(trees.rows, grown(bench, arm, "random_forest", plan), strict=True):
        said = trained.predictions
        assert row["test"] == pytest.approx(brier_score_loss(said.test_y, said.test[:, 1]))
        assert row["low"] <= row["test"] <= row["high"]
        assert 0 < row["p50_ms"] <= row["p99_ms"] <= row["p99_high_ms"]
        assert row["memory_mib"] > 0
        assert row["size_mib"] > 0
    assert trees.rows[2]["size_mib"] > trees.rows[0]["size_mib"]
    records = bench.read(grow_unit(bench, arm, "random_forest", plan))
    assert {r["factor"] for r in records} == {"n_trees"}
    assert [r["level"] for r in records if r["quantity"] == "brier" and r["statistic"] == "test"] == ["1", "2", "5"]
    assert {r["candidate"] for r in records} == {"random_forest"}
    units = {p.name.split("-")[0] for p in (bench.folder / "parts").iterdir()}
    assert {"grow", "size"} <= units


def test_a_second_look_makes_nothing_anew(counted):
    """Counted again, every unit is found; the findings are the same."""
    bench, arm, plan, trees, _, _ = counted
    before = {p.name for p in (bench.folder / "parts").iterdir()}
    again = experiments.count_trees(bench, arm, "random_forest", plan)
    assert again.sentences == trees.sentences
    assert {p.name for p in (bench.folder / "parts").iterdir()} == before


def test_members_are_the_best_of_their_number_out_of_fold(counted):
    """Each size is the subset that is best out of fold, scored on test rows; one alone costs what was measured of it."""
    bench, arm, _, _, simulated, members = counted
    table = simulated.table
    for row in members.rows:
        own = [s for s in range(1, 8) if s.bit_count() == row["size"]]
        assert row["oof"] == pytest.approx(table.oof["brier"][own].min())
        chosen = table.subset(row["members"].split(" + "))
        assert row["test"] == pytest.approx(table.test["brier"][chosen])
        assert row["p99_ms"] == table.costs().latency_ms[chosen]
    assert members.how == "simulated"
    alone = training.load(bench.part(bench.fit_unit(arm, members.rows[0]["members"])))
    assert members.rows[0]["fit_cpu_s"] == alone.costs.cpu_s


def test_findings_are_sentences_about_knee_gain_and_money(counted):
    """Both counts say where the knee is, what is shown of the smallest useful gain, and whether the next step pays."""
    for found in counted[3], counted[5]:
        knee, useful, money = found.sentences
        assert re.match(rf"The knee of {found.candidate} is at \d", knee)
        assert "0.001 Brier score" in useful
        assert money.startswith("If 0.001 of Brier score is worth 2.00 USD a month, ")
        assert found.knee_low <= found.knee <= found.knee_high
        for price, step in zip(found.prices, found.steps, strict=True):
            worth = 2.0 * step.gain.value / 0.001
            assert price.net_usd_month.value == pytest.approx(worth - price.extra_usd_month.value)
            assert price.net_usd_month.low <= price.net_usd_month.value <= price.net_usd_month.high


def test_declared_answers_say_what_a_size_is_worth(counted):
    """With economics and no worth of a thousandth, a step is worth what its additional right answers are declared to earn."""
    bench, arm, plan, _, _, _ = counted
    economics = Economics(correct_usd=(0.01,), threshold="half", draws=200)
    found = experiments.count_trees(bench, arm, "random_forest", replace(plan, usd_per_thousandth=0.0, economics=economics))
    assert found.sentences[2].startswith("By what right and wrong answers are declared to be worth, ")
    said = [t.predictions for t in grown(bench, arm, "random_forest", plan)]
    right = [float(((p.test[:, 1] >= 0.5) == p.test_y).mean()) for p in said]
    queries = plan.traffic_queries_s * 3600 * 730
    for price, before, after in zip(found.prices, right, right[1:], strict=False):
        expected = queries * 0.01 * (after - before) - price.extra_usd_month.value
        assert price.net_usd_month.value == pytest.approx(expected)
    assert len(found.prices) == 2


def test_what_is_saved_can_be_read_and_drawn(counted, tmp_path):
    """The folder's file holds every size and finding as JSON; figures have a finding, an alt text and a line for each size."""
    _, _, _, trees, _, members = counted
    experiments.save_sizes(tmp_path, [trees, members])
    held = json.loads((tmp_path / "members.json").read_text(encoding="utf-8"))
    assert [h["candidate"] for h in held] == ["random_forest", "vote of members"]
    assert [row["size"] for row in held[1]["rows"]] == [1, 2, 3]
    for found in trees, members:
        figure = reporting.accuracy_by_size([experiments.size_view(found)])
        assert figure.svg().startswith("<svg")
        assert "breast_cancer" in figure.finding
        assert figure.description.count("Brier score") == len(found.rows)
        table = reporting.size_columns(experiments.size_view(found))
        assert len(table) == len(found.rows)
    assert "which" not in reporting.size_columns(experiments.size_view(trees))
    assert "p50 (ms) (simulated)" not in reporting.size_columns(experiments.size_view(members))


def test_averaging_with_the_prior_hurts_and_weights_repair_it(counted):
    """The vote that hurts most holds the prior; test rows show that it hurts, and that weights without it repair it."""
    bench, arm, _, _, simulated, _ = counted
    why = experiments.why_averaging(bench, arm, simulated.votes)
    assert "prior" in why.hurt.members
    assert why.hurt.lost.low > 0
    assert why.hurt.repaired.low > 0
    assert why.hurt.weights["prior"] < 0.1
    assert sum(why.hurt.weights.values()) == pytest.approx(1)
    assert why.everyone.members == simulated.table.names
    said = {n: training.load(bench.part(bench.fit_unit(arm, n))).predictions for n in why.hurt.members}
    y = said["prior"].test_y
    vote = brier_score_loss(y, np.mean([p.test[:, 1] for p in said.values()], axis=0))
    assert why.hurt.lost.value == pytest.approx(vote - brier_score_loss(y, said[why.hurt.best].test[:, 1]))
    votes = why.votes()
    assert len(votes) == 4
    assert votes["gain"].is_monotonic_decreasing
    figure = reporting.strength_and_diversity(votes, "breast_cancer", why.error, why.sentence())
    assert figure.description.count("diversity") == 4
    assert re.match(r"\d of 4 votes", why.sentence())
    pairs = reporting.pair_columns(why.pair_table())
    assert list(pairs["gain over the better one"]) == sorted(pairs["gain over the better one"], key=float, reverse=True)


def test_trees_alone_are_worse_than_together(counted):
    """The forest's own error is the last of the running means; one tree alone is worse, and the figure says all three."""
    bench, arm, plan, trees, _, _ = counted
    alike = experiments.trees_alone(bench, arm, "random_forest", plan)
    assert alike.averaging.running[-1] == pytest.approx(trees.rows[-1]["test"])
    assert alike.averaging.single > alike.averaging.running[-1] >= alike.averaging.limit
    means = alike.averaging
    figure = reporting.trees_together(means.running, means.single, means.limit, alike.error, alike.sentence)
    assert figure.finding.startswith("A tree of random_forest alone has a Brier score of ")
    with pytest.raises(InputError, match="the trees of XGBClassifier say nothing alone"):
        experiments.trees_alone(bench, arm, "xgboost", plan)


def test_the_knee_is_where_the_line_bends():
    """A line with one corner has its knee there; a size that is worse than a smaller one is never the knee."""
    assert _knee([1, 10, 20, 100], np.array([1.0, 0.1, 0.09, 0.05])) == 10
    assert _knee([1, 2, 3], np.array([0.1, 0.2, 0.3])) == 1
    assert _knee([1, 10, 50, 100], np.array([1.0, 0.1, 0.5, 0.05])) == 10


BAD = [
    ({"forest": "logistic_regression"}, "forest names logistic_regression, which is no ensemble of trees"),
    ({"booster": "nope"}, "there is no candidate 'nope'"),
    ({"plan": experiments.SizePlan(metric="r2")}, "'r2' is no metric for binary"),
    ({"plan": experiments.SizePlan(metric="roc_auc")}, "'roc_auc' cannot be simulated"),
    ({"candidates": ["ridge"]}, "ridge cannot do binary"),
]


@pytest.mark.parametrize(("values", "reason"), BAD, ids=lambda v: str(v)[:30])
def test_what_cannot_be_counted_is_refused_before_any_work(values, reason, tmp_path):
    """A forest that is none, a candidate or a metric that cannot be: one sentence, and nothing is made."""
    bench = experiments.Workbench(tmp_path, notify=[].append)
    given = {"candidates": LIBRARY, "forest": "random_forest", "booster": "xgboost", "training": {}}
    given |= {"plan": experiments.SizePlan(), **values}
    with pytest.raises(InputError, match=re.escape(reason)) as refused:
        experiments.open_sizes(bench, "breast_cancer", 0, **given)
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []
