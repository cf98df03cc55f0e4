"""The front, its knee and volume, a budget's best, and what each member is worth: against plain definitions and known games."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipworthy import simulation
from shipworthy.records import InputError, Predictions
from shipworthy.simulation import MemberCost


def costs_of(names, seed=0):
    """Some plausible costs."""
    rng = np.random.default_rng(seed)
    return [MemberCost(n, *rng.uniform(0.2, 3, 2), 0.1, 1.0, rng.uniform(110, 200), rng.uniform(1, 50)) for n in names]


def table_of(members_that_vote, n=7, seed=0, **settings):
    """A table with costs."""
    votes = simulation.line_up(members_that_vote(n, 60, seed=seed), "binary")
    return simulation.every_subset(votes, costs=costs_of(votes.names, seed), n_jobs=1, **settings)


def beaten(points):
    """Which points another beats, by the definition."""
    return np.array([bool(((points <= p).all(axis=1) & (points < p).any(axis=1)).any()) for p in points])


@given(seed=st.integers(0, 10_000), columns=st.sampled_from([2, 3]), values=st.sampled_from([3, 6, 1000]))
def test_the_front_is_what_nothing_beats(seed, columns, values):
    """With many ties or none, in two columns or three, the front is the definition's, equal points included."""
    points = np.random.default_rng(seed).integers(0, values, (60, columns)).astype(float)
    assert set(simulation.pareto_front(points).tolist()) == set(np.flatnonzero(~beaten(points)).tolist())


def test_the_front_of_many_points_is_what_nothing_beats():
    """Also where good points strike out others first, the front is the definition's."""
    points = np.random.default_rng(0).integers(0, 400, (3000, 3)).astype(float)
    assert set(simulation.pareto_front(points).tolist()) == set(np.flatnonzero(~beaten(points)).tolist())


@given(seed=st.integers(0, 10_000), columns=st.sampled_from([2, 3]))
def test_the_hypervolume_is_the_count_of_beaten_cells(seed, columns):
    """On whole numbers, the volume is the number of unit cells that some point beats."""
    points = np.random.default_rng(seed).integers(0, 9, (8, columns)).astype(float)
    cells = np.stack(np.meshgrid(*[np.arange(7)] * columns, indexing="ij"), axis=-1).reshape(-1, columns)
    counted = sum(bool((points <= cell).all(axis=1).any()) for cell in cells)
    assert simulation.hypervolume(points, np.full(columns, 7.0)) == counted


def test_the_knee_is_where_the_curve_bends():
    """On a front with an elbow the knee is the elbow, whatever the units; on a straight line it is the first point."""
    curve = np.array([[0, 100.0], [1, 40.0], [2, 10.0], [6, 6.0], [20, 0.0]])
    assert simulation.knee(curve) == 2
    assert simulation.knee(curve * np.array([1000, 0.01])) == 2
    assert simulation.knee(np.array([[0.0, 2.0], [1.0, 1.0], [2.0, 0.0]])) == 0


def test_the_frontier_of_a_table_is_what_nothing_beats(members_that_vote):
    """No subset beats one on the frontier on out-of-fold loss, latency and memory; every other one is beaten."""
    table = table_of(members_that_vote)
    found = set(simulation.frontier(table, "accuracy").tolist())
    points = simulation.objectives(table, "accuracy")[1:]
    assert found == {int(i) + 1 for i in np.flatnonzero(~beaten(points))}


@given(seed=st.integers(0, 1000), limit=st.floats(1, 20), looser=st.floats(0, 10), memory=st.floats(120, 500))
def test_a_looser_budget_never_gives_a_worse_pick(members_that_vote, seed, limit, looser, memory):
    """The out-of-fold loss of the best within a budget does not rise when the budget does; each pick keeps its budget."""
    table = table_of(members_that_vote, 5, seed=seed)
    try:
        tight = simulation.best_within(table, "log_loss", latency_ms=limit, memory_mib=memory)
    except InputError:
        served = table.costs()
        assert not ((served.latency_ms[1:] <= limit) & (served.memory_mib[1:] <= memory)).any()
        return
    loose = simulation.best_within(table, "log_loss", latency_ms=limit + looser, memory_mib=memory + looser)
    assert loose.oof <= tight.oof
    assert tight.latency_ms <= limit
    assert tight.memory_mib <= memory


@given(seed=st.integers(0, 2000))
def test_a_free_member_that_lowers_the_loss_dominates(members_that_vote, seed):
    """Where a member that costs nothing lowers the out-of-fold loss of S, S is beaten, so it is not on the frontier."""
    votes = simulation.line_up(members_that_vote(4, 50, seed=seed), "binary")
    costs = costs_of(votes.names, seed)
    smallest = min(c.memory_mib for c in costs[:3])
    costs[3] = MemberCost("m3", 0.0, 0.0, 0.0, 0.0, smallest, 0.0)
    table = simulation.every_subset(votes, costs=costs, n_jobs=1)
    front = simulation.frontier(table, "log_loss")
    loss, served = table.oof["log_loss"], table.costs()
    for subset in range(1, 8):
        larger = subset | 8
        assert served.latency_ms[larger] == pytest.approx(served.latency_ms[subset])
        assert served.memory_mib[larger] == pytest.approx(served.memory_mib[subset])
        if loss[larger] < loss[subset] and served.latency_ms[larger] <= served.latency_ms[subset]:
            assert subset not in front or served.memory_mib[larger] > served.memory_mib[subset]


@pytest.mark.parametrize("n_classes", [1, 2, 3])
def test_copies_are_not_paid_for(members_that_vote, n_classes):
    """A vote of a member's copies scores as the member but for rounding, and takes longer: neither pick nor front takes it."""
    task = {1: "regression", 2: "binary"}.get(n_classes, "multiclass")
    seen = 0
    for seed in range(20):
        said = members_that_vote(2, 200, n_classes, seed=seed)
        copied = {"a": said["m0"], "a2": said["m0"], "a3": said["m0"], "b": said["m1"]}
        table = simulation.every_subset(simulation.line_up(copied, task), costs=costs_of(list(copied), seed))
        served, copies = table.costs(), [0b1, 0b10, 0b100, 0b11, 0b101, 0b110, 0b111]
        for metric, loss in table.oof.items():
            seen += len(np.unique(loss[copies])) > 1
            front = set(simulation.frontier(table, metric).tolist())
            assert sum(s in front for s in copies[3:]) == 0, "each is slower and larger than the fastest or the smallest copy"
            chosen = simulation.pick(table, metric).subset
            alike = [s for s in range(1, 16) if table.oof[metric][s] == pytest.approx(table.oof[metric][chosen], rel=1e-13)]
            assert served.latency_ms[chosen] == min(served.latency_ms[s] for s in alike)
    assert seen, "rounding told some of them apart"


def test_a_budget_is_answered_in_a_sentence(members_that_vote):
    """The pick says what to build within which budget; where nothing fits, the sentence says what the least would be."""
    table = table_of(members_that_vote)
    chosen = simulation.best_within(table, "log_loss", latency_ms=5, memory_mib=200)
    assert chosen.sentence == f"with a budget of 5 ms and 200 MiB, build {' + '.join(chosen.members)}"
    assert chosen.oof == table.oof["log_loss"][chosen.subset]
    with pytest.raises(InputError, match=r"nothing can be built with a budget of 0.01 ms: the fastest ensemble takes [\d.]+ ms"):
        simulation.best_within(table, "log_loss", latency_ms=0.01)
    sure = simulation.best_within(table, "log_loss", latency_ms=50, sure=True)
    assert len(sure.members) == 1, "an uncalibrated law is sure of single members alone"


def test_unknown_memory_gives_no_front(members_that_vote):
    """A front with a member whose memory nobody measured is refused."""
    votes = simulation.line_up(members_that_vote(3, 20), "binary")
    costs = [replace(c, memory_mib=math.nan) for c in costs_of(votes.names)]
    with pytest.raises(InputError, match="measure all members"):
        simulation.frontier(simulation.every_subset(votes, costs=costs), "log_loss")


@given(seed=st.integers(0, 10_000), n=st.integers(1, 5))
def test_shapley_values_are_the_mean_over_all_orders(seed, n):
    """For random games they equal the definition, and sum to the value of all less that of none."""
    values = np.random.default_rng(seed).normal(size=1 << n)
    expected = np.zeros(n)
    orders = list(permutations(range(n)))
    for order in orders:
        before = 0
        for i in order:
            expected[i] += (values[before | 1 << i] - values[before]) / len(orders)
            before |= 1 << i
    found = simulation.shapley_values(values)
    assert found == pytest.approx(expected)
    assert found.sum() == pytest.approx(values[-1] - values[0])


def test_members_that_do_the_same_are_worth_the_same(members_that_vote):
    """Copies have equal shares in everything; all shares sum to what all members together gain and cost."""
    said = members_that_vote(4, 80)
    said["m3"] = said["m1"]
    votes = simulation.line_up(said, "binary")
    costs = costs_of(votes.names)
    costs[3] = replace(costs[1], name="m3")
    table = simulation.every_subset(votes, costs=costs, price=lambda cpu, mib: cpu + mib)
    worth = {w.name: w for w in simulation.member_worth(table, "log_loss")}
    for field in ("gain", "latency_ms", "memory_mib", "usd", "without_metric", "without_latency"):
        assert getattr(worth["m1"], field) == pytest.approx(getattr(worth["m3"], field)), field
    loss = table.test["log_loss"]
    assert sum(w.gain for w in worth.values()) == pytest.approx(loss[0] - loss[-1])
    assert sum(w.latency_ms for w in worth.values()) == pytest.approx(table.costs().latency_ms[-1])
    assert sum(w.memory_mib for w in worth.values()) == pytest.approx(table.costs().memory_mib[-1])


def test_leaving_a_member_out_is_told_in_a_sentence(members_that_vote):
    """Without a member, the metric and the costs change as the table says; ROC AUC comes from its own values."""
    said = members_that_vote(4, 100)
    votes = simulation.line_up(said, "binary")
    table = simulation.every_subset(votes, costs=costs_of(votes.names))
    ranked = simulation.roc_auc(votes, range(16), "test")
    assert ranked[0] == 0.5
    worth = {w.name: w for w in simulation.member_worth(table, "roc_auc", values=ranked, ensemble=["m0", "m2", "m3"])}
    latency, memory = table.costs().latency_ms, table.costs().memory_mib
    changes = ranked[0b1100] - ranked[0b1101], latency[0b1100] / latency[0b1101] - 1, memory[0b1100] / memory[0b1101] - 1
    expected = f"without m0: {changes[0]:+.4f} ROC AUC, {round(100 * changes[1]):+d} % p99, {round(100 * changes[2]):+d} % memory"
    assert worth["m0"].sentence == expected
    assert worth["m1"].sentence == ""
    both = {w.name: w for w in simulation.member_worth(table, "log_loss", also={"roc_auc": dict(enumerate(ranked))})}
    lost = table.test["log_loss"][0b1110] - table.test["log_loss"][0b1111]
    ranks = ranked[0b1110] - ranked[0b1111]
    assert both["m0"].sentence.startswith(f"without m0: {ranks:+.4f} ROC AUC, {lost:+.4f} log loss, ")
    level = {subset: 0.7 - 1e-5 * (subset == 0b1110) for subset in range(16)}
    unmoved = {w.name: w for w in simulation.member_worth(table, "log_loss", also={"roc_auc": level})}
    assert unmoved["m0"].sentence.startswith("without m0: 0.0000 ROC AUC, "), "no sign before nothing"
    assert math.isnan(worth["m1"].without_metric)
    assert sum(w.gain for w in worth.values()) == pytest.approx(ranked[-1] - 0.5)
    with pytest.raises(InputError, match="the table does not hold 'roc_auc'"):
        simulation.member_worth(table, "roc_auc")
    with pytest.raises(InputError, match="an ensemble of two or more"):
        simulation.member_worth(table, "log_loss", ensemble=["m0"])
    with pytest.raises(InputError, match="a power of two, not 3"):
        simulation.shapley_values(np.zeros(3))


def test_a_useless_member_is_worth_less_than_nothing():
    """Two good members and one that says the opposite of the truth: its share of the gain is below 0, and it is ranked last."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    rows = np.arange(300)
    said = {}
    for name, sense in (("good", 1), ("better", 2), ("liar", -2)):
        p = 1 / (1 + np.exp(-sense * (2 * y - 1) - rng.normal(size=300)))
        both = np.column_stack([1 - p, p])
        said[name] = Predictions(rows, y, both, rows, y, both)
    worth = simulation.member_worth(simulation.every_subset(simulation.line_up(said, "binary")), "log_loss")
    assert [w.name for w in worth] == ["better", "good", "liar"]
    assert worth[-1].gain < 0 < worth[0].gain
    assert worth[-1].without_metric < 0
