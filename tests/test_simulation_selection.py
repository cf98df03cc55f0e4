"""Selecting from many members, and what a short cut costs beside the exact best."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipworthy import simulation
from shipworthy.records import InputError, Predictions
from shipworthy.simulation import Build, MemberCost, PricedCosts
from shipworthy.simulation.scoring import as_loss, score


def costs_of(votes, *, seed=0):
    """Some plausible costs."""
    rng = np.random.default_rng(seed)
    return tuple(
        MemberCost(n, rng.uniform(0.2, 4), rng.uniform(0, 2), 0.1, rng.uniform(0.2, 4), rng.uniform(110, 200), rng.uniform(1, 50))
        for n in votes.names
    )


def naive_greedy(votes, metric, steps):
    """Caruana's algorithm, written down plainly: which members, in order, and the loss after each."""
    order, losses = [], []
    for _ in range(steps):
        tried = [
            as_loss(metric, score(metric, votes.oof.y, votes.oof.said[[*order, i]].mean(axis=0))) for i in range(votes.n_members)
        ]
        order.append(int(np.argmin(tried)))
        losses.append(min(tried))
    best = int(np.argmin(losses))
    return np.bincount(order[: best + 1], minlength=votes.n_members) / (best + 1), losses[best]


@pytest.mark.parametrize(
    ("metric", "n_classes"), [("log_loss", 2), ("log_loss", 3), ("brier", 2), ("brier", 3), ("roc_auc", 2), ("rmse", 1)]
)
def test_greedy_selection_is_caruanas(members_that_vote, metric, n_classes):
    """For each metric, members and weights are those of the algorithm written down plainly."""
    task = {1: "regression", 2: "binary", 3: "multiclass"}[n_classes]
    votes = simulation.line_up(members_that_vote(7, 120, n_classes, seed=3), task)
    weights, loss = naive_greedy(votes, metric, 15)
    chosen = simulation.greedy(votes, metric, steps=15)
    assert chosen.members == tuple(n for n, w in zip(votes.names, weights, strict=True) if w)
    assert chosen.weights == pytest.approx(weights[weights > 0])
    assert as_loss(metric, chosen.oof[metric]) == pytest.approx(loss, abs=1e-12)


def test_greedy_by_accuracy_reaches_what_the_plain_algorithm_reaches(members_that_vote):
    """By accuracy ties are many, and are broken for members that are in already; the first step is the best single member."""
    votes = simulation.line_up(members_that_vote(6, 100, 3, coarse=True), "multiclass")
    single = simulation.greedy(votes, "accuracy", steps=1)
    assert single.oof["accuracy"] == max(score("accuracy", votes.oof.y, s) for s in votes.oof.said)
    chosen = simulation.greedy(votes, "accuracy", steps=12)
    assert chosen.oof["accuracy"] >= single.oof["accuracy"]
    mean = np.average(votes.test.said[list(votes.positions(chosen.members))], axis=0, weights=chosen.weights)
    assert chosen.test["accuracy"] == pytest.approx(score("accuracy", votes.test.y, mean))


@given(seed=st.integers(0, 1000))
def test_copies_of_a_member_are_not_collected(members_that_vote, seed):
    """Offered the best member three times over, greedy takes one of the copies: rounding must not enlarge the ensemble."""
    one = members_that_vote(1, 60, seed=seed)["m0"]
    votes = simulation.line_up({"a": one, "b": one, "c": one}, "binary")
    assert simulation.greedy(votes, "log_loss", steps=8, n_jobs=1).members == ("a",)


@pytest.mark.parametrize(("task", "n_classes", "metric"), [("binary", 2, "log_loss"), ("regression", 1, "rmse")])
def test_copies_do_not_fill_a_short_cut(members_that_vote, task, n_classes, metric):
    """No part of what greedy without replacement or a beam chose among copies scores the same but for rounding."""
    for seed in range(40):
        said = members_that_vote(2, 200, n_classes, seed=seed)
        copied = {"a": said["m0"], "b": said["m1"], "a2": said["m0"], "a3": said["m0"], "b2": said["m1"]}
        votes = simulation.line_up(copied, task)
        table = simulation.every_subset(votes)
        for chosen in (simulation.greedy(votes, metric, replacement=False), simulation.beam(votes, metric)):
            whole = table.subset(chosen.members)
            parts = [part for part in range(1, whole) if part & whole == part]
            assert not np.isclose(table.oof[metric][parts], table.oof[metric][whole], rtol=1e-13, atol=0).any(), chosen.members


@pytest.mark.parametrize(("task", "n_classes", "metric"), [("binary", 2, "log_loss"), ("regression", 1, "rmse")])
def test_a_wide_beam_finds_the_exact_best(members_that_vote, task, n_classes, metric):
    """Wide enough to hold all votes of a size, the beam is exhaustive, and its price of greed is nothing; width 1 is greedy."""
    votes = simulation.line_up(members_that_vote(6, 80, n_classes, seed=5), task)
    table = simulation.every_subset(votes)
    wide = simulation.beam(votes, metric, width=30, most=6)
    greed = simulation.price_of_greed(table, wide)
    assert wide.members == greed.exact.members
    assert greed.gap_oof == pytest.approx(0, abs=1e-9)
    assert greed.gap_test == pytest.approx(0, abs=1e-9)
    narrow = simulation.beam(votes, metric, width=1, most=6)
    assert narrow.members == simulation.greedy(votes, metric, replacement=False).members
    assert simulation.price_of_greed(table, narrow).gap_oof >= -1e-12


@given(seed=st.integers(0, 1000))
def test_uniform_short_cuts_never_beat_the_exact_best(members_that_vote, seed):
    """Greedy without replacement, a beam and the top members are uniform votes, so on out-of-fold rows none beats the table."""
    votes = simulation.line_up(members_that_vote(5, 40, seed=seed), "binary")
    table = simulation.every_subset(votes, n_jobs=1)
    for short_cut in (
        simulation.greedy(votes, "log_loss", replacement=False, n_jobs=1),
        simulation.beam(votes, "log_loss", width=2, most=3, n_jobs=1),
        simulation.top_vote(votes, "log_loss", 3),
    ):
        assert simulation.price_of_greed(table, short_cut).gap_oof >= -1e-12


def test_the_price_of_greed_has_its_sign_for_metrics_to_maximise(members_that_vote):
    """By accuracy too, a gap above 0 says that the short cut is worse; within its own budget the exact best costs no more."""
    votes = simulation.line_up(members_that_vote(8, 100, seed=2), "binary")
    costs = costs_of(votes)
    table = simulation.every_subset(votes, costs=costs)
    top = simulation.top_vote(votes, "accuracy", 4, priced=PricedCosts(costs))
    free = simulation.price_of_greed(table, top)
    assert free.gap_oof == pytest.approx(free.exact.oof - top.oof["accuracy"])
    bound = simulation.price_of_greed(table, top, same_budget=True)
    assert 0 <= bound.gap_oof <= free.gap_oof
    assert bound.gap_ms >= 0
    assert bound.gap_mib >= 0
    with pytest.raises(InputError, match="the selection knows no latency or memory"):
        simulation.price_of_greed(table, simulation.top_vote(votes, "accuracy", 4), same_budget=True)


@pytest.mark.parametrize(("metric", "n_classes"), [("log_loss", 2), ("log_loss", 3), ("brier", 3), ("rmse", 1)])
def test_convex_weights_are_a_minimum(members_that_vote, metric, n_classes):
    """No weights drawn at random, no uniform vote and no greedy weights have a smaller out-of-fold loss."""
    task = {1: "regression", 2: "binary", 3: "multiclass"}[n_classes]
    votes = simulation.line_up(members_that_vote(6, 150, n_classes, seed=4), task)
    best = simulation.convex_weights(votes, metric)
    assert sum(best.weights) == pytest.approx(1)
    rivals = [*np.random.default_rng(0).dirichlet(np.full(6, 0.5), 200), np.full(6, 1 / 6)]
    losses = [score(metric, votes.oof.y, np.average(votes.oof.said, axis=0, weights=w)) for w in rivals]
    losses.append(simulation.greedy(votes, metric, steps=50).oof[metric])
    assert best.oof[metric] <= min(losses) + 1e-6


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e3, 1e6])
def test_convex_weights_do_not_depend_on_the_unit_of_the_target(unit):
    """Prices in dollars, in cents or in millions: the same weights, no worse than any uniform vote, as its own words prove."""
    rng = np.random.default_rng(3)
    y = rng.lognormal(size=300)
    rows = np.arange(300)
    said = {}
    for i, noise in enumerate((0.2, 0.3, 0.5, 0.9)):
        p = unit * (y + rng.normal(scale=noise, size=300))[:, None]
        said[f"m{i}"] = Predictions(rows, unit * y, p, rows, unit * y, p)
    votes = simulation.line_up(said, "regression")
    chosen = simulation.convex_weights(votes, "rmse")
    # The precision of the members, were their errors not correlated by chance.
    expected = np.array([0.2, 0.3, 0.5, 0.9]) ** -2.0
    assert chosen.weights == pytest.approx(expected / expected.sum(), abs=0.05)
    assert chosen.oof["rmse"] <= simulation.every_subset(votes).oof["rmse"][1:].min()
    distance = float(chosen.how.split("at most ")[1].split()[0])
    assert distance < 1e-4 * chosen.oof["rmse"]


def test_convex_weights_find_planted_weights():
    """Of a target that is 0.7 of one prediction and 0.3 of another, the weights come back, and the third member goes."""
    rng = np.random.default_rng(0)
    p = rng.normal(size=(3, 400))
    y = 0.7 * p[0] + 0.3 * p[1]
    rows = np.arange(400)
    said = {f"m{i}": Predictions(rows, y, q[:, None], rows, y, q[:, None]) for i, q in enumerate(p)}
    chosen = simulation.convex_weights(simulation.line_up(said, "regression"), "rmse")
    assert chosen.members == ("m0", "m1")
    assert chosen.weights == pytest.approx((0.7, 0.3), abs=1e-3)


def test_a_price_buys_a_cheaper_ensemble(members_that_vote):
    """Charged more for latency, greedy builds no slower ensembles; charged beyond reason, the fastest member alone."""
    votes = simulation.line_up(members_that_vote(9, 150, seed=6), "binary")
    costs = costs_of(votes)
    chosen = [
        simulation.greedy(votes, "log_loss", steps=20, priced=PricedCosts(costs, per_ms=price)) for price in (0, 0.002, 0.02, 10)
    ]
    assert chosen[0].latency_ms > chosen[2].latency_ms >= chosen[3].latency_ms
    fastest = min(costs, key=lambda c: c.latency_ms)
    assert chosen[3].members == (fastest.name,)
    assert chosen[3].latency_ms == pytest.approx(fastest.latency_ms)
    smallest = min(costs, key=lambda c: c.memory_mib)
    frugal = simulation.beam(votes, "log_loss", most=3, priced=PricedCosts(costs, per_mib=10))
    assert frugal.members == (smallest.name,)
    assert frugal.how.endswith("charged 0 for a ms and 10 for a MiB")


def test_priced_greedy_minimises_what_it_says(members_that_vote):
    """Its second step is the pair with the best sum of loss and charge among those with its first member."""
    votes = simulation.line_up(members_that_vote(5, 100, seed=1), "binary")
    costs = costs_of(votes)
    priced = PricedCosts(costs, per_ms=0.001, per_mib=0.0001, build=Build(cores=2))
    table = simulation.every_subset(votes, costs=costs, build=Build(cores=2))
    served = table.costs()
    charged = table.oof["log_loss"] + 0.001 * served.latency_ms + 0.0001 * served.memory_mib
    singles = [charged[1 << i] for i in range(5)]
    first = int(np.argmin(singles))
    pairs = {i: charged[1 << first | 1 << i] for i in range(5) if i != first}
    second = min(pairs, key=pairs.__getitem__)
    chosen = simulation.greedy(votes, "log_loss", steps=2, replacement=False, priced=priced)
    expected = {first} if singles[first] <= pairs[second] else {first, second}
    assert set(chosen.members) == {votes.names[i] for i in expected}


def test_two_hundred_members_are_taken(members_that_vote):
    """Greedy, beam and convex weights take 200 members, and refuse 201."""
    votes = simulation.line_up(members_that_vote(200, 60), "binary")
    singles = min(score("log_loss", votes.oof.y, s) for s in votes.oof.said)
    for chosen in (
        simulation.greedy(votes, "log_loss", steps=30),
        simulation.beam(votes, "brier", most=4),
        simulation.convex_weights(votes, "brier"),
    ):
        assert chosen.oof["log_loss"] < singles
        assert math.isclose(sum(chosen.weights), 1)
    more = simulation.line_up(members_that_vote(201, 4), "binary")
    for choose in (simulation.greedy, simulation.beam, simulation.convex_weights):
        with pytest.raises(InputError, match="at most 200 members"):
            choose(more, "brier")


def test_selections_refuse_what_cannot_be(members_that_vote):
    """No steps, no width, a size beyond the members, an unknown or unfit metric, and costs of others are sentences."""
    votes = simulation.line_up(members_that_vote(3, 20), "binary")
    with pytest.raises(InputError, match="steps must be at least 1"):
        simulation.greedy(votes, "log_loss", steps=0)
    with pytest.raises(InputError, match="a beam needs a width"):
        simulation.beam(votes, "log_loss", width=0)
    with pytest.raises(InputError, match="size must be from 1 to 3"):
        simulation.top_vote(votes, "log_loss", 4)
    with pytest.raises(InputError, match="accuracy is not convex"):
        simulation.convex_weights(votes, "accuracy")
    with pytest.raises(InputError, match="'rmse' cannot be simulated"):
        simulation.greedy(votes, "rmse")
    with pytest.raises(InputError, match="costs must be those of m0, m1, m2"):
        simulation.greedy(votes, "log_loss", priced=PricedCosts(costs_of(votes)[:2]))
    unknown = (*costs_of(votes)[:2], replace(costs_of(votes)[2], memory_mib=math.nan))
    for choose in (simulation.greedy, simulation.beam):
        with pytest.raises(InputError, match="the memory of m2 is not known, so it cannot be charged"):
            choose(votes, "log_loss", priced=PricedCosts(unknown, per_mib=0.001))
        assert choose(votes, "log_loss", priced=PricedCosts(unknown, per_ms=0.001)).members, "nobody charges memory"


def test_optimism_is_what_choosing_on_the_same_rows_adds(members_that_vote):
    """Members of pure noise, the best of all votes picked: it looks better than on test rows, and the record says so."""
    said = members_that_vote(16, 60, 2, coarse=True)
    votes = simulation.line_up(said, "binary")
    table = simulation.every_subset(votes)
    chosen = simulation.pick(table, "brier")
    assert chosen.optimism == pytest.approx(chosen.test - chosen.oof)
    assert chosen.optimism > chosen.usual_optimism
    assert chosen.regret >= 0
    best = min(combinations(range(16), 2), key=lambda pair: table.oof["brier"][sum(1 << i for i in pair)])
    assert chosen.oof <= table.oof["brier"][sum(1 << i for i in best)]
