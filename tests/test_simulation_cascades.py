"""Cascades from sorted confidences: a hand-worked case, and a replay row by row."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipworthy import simulation
from shipworthy.records import Conditions, InputError, Measurement, Predictions
from shipworthy.simulation.cascades import _two_stage_percentile, mixture_percentile


def draws(votes, n=300, seed=0):
    """Latencies of members."""
    rng = np.random.default_rng(seed)
    return {name: rng.lognormal(i / 4, 0.6, n) for i, name in enumerate(votes.names)}


def test_a_cascade_worked_by_hand():
    """Four rows: the quick member is sure and right of two, sure and wrong of one, unsure of one; the slow one is right."""
    y = np.array([1, 1, 0, 0])
    quick = np.array([[0.05, 0.95], [0.2, 0.8], [0.1, 0.9], [0.45, 0.55]])
    slow = np.array([[0.3, 0.7], [0.3, 0.7], [0.7, 0.3], [0.7, 0.3]])
    rows = np.arange(4)
    said = {"quick": Predictions(rows, y, quick, rows, y, quick), "slow": Predictions(rows, y, slow, rows, y, slow)}
    votes = simulation.line_up(said, "binary")
    cascade = simulation.pair_cascades(votes, {"quick": np.full(10, 1.0), "slow": np.full(10, 9.0)})["quick", "slow"]
    # Margins of the quick member: 0.9, 0.6, 0.8, 0.1. Falling: row 0 (right), row 2 (wrong), row 1 (right), row 3 (wrong).
    assert cascade.thresholds == pytest.approx([np.inf, 0.9, 0.8, 0.6, 0.1])
    assert cascade.early.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert cascade.accuracy.tolist() == [1, 1, 0.75, 0.75, 0.5]
    assert cascade.mean_ms == pytest.approx([10, 7.75, 5.5, 3.25, 1])
    assert cascade.percentile_ms.tolist() == [10, 10, 10, 10, 1]
    best = simulation.best_cascade([cascade], mean_ms=8)
    assert (best.members, best.accuracy, best.thresholds) == (("quick", "slow"), 1, pytest.approx((0.9,)))
    assert simulation.best_cascade([cascade], percentile_ms=2).early == 1
    with pytest.raises(InputError, match=r"no cascade keeps a mean of 0\.5 ms"):
        simulation.best_cascade([cascade], mean_ms=0.5)


@pytest.mark.parametrize(("how", "coarse"), [("margin", True), ("margin", False), ("entropy", False)])
def test_every_threshold_is_what_a_replay_gives(members_that_vote, how, coarse):
    """Share, accuracy and mean latency at each threshold equal a replay of all rows, out-of-fold and test, ties included."""
    votes = simulation.line_up(members_that_vote(3, 60, 3, coarse=coarse), "multiclass")
    latencies = draws(votes)
    for (first, second), cascade in simulation.pair_cascades(votes, latencies, how=how).items():
        a, b = votes.positions((first, second))
        assert len(cascade.thresholds) == len(np.unique(simulation.confidence(votes.oof.said[a], how))) + 1
        for i, threshold in enumerate(cascade.thresholds):
            for rows, early, accuracy in (
                (votes.oof, cascade.early, cascade.accuracy),
                (votes.test, cascade.early_test, cascade.accuracy_test),
            ):
                stays = simulation.confidence(rows.said[a], how) >= threshold
                answers = np.where(stays, rows.said[a].argmax(axis=0), rows.said[b].argmax(axis=0))
                assert early[i] == pytest.approx(stays.mean())
                assert accuracy[i] == pytest.approx(np.mean(answers == rows.y))
        expected = latencies[first].mean() + (1 - cascade.early) * latencies[second].mean()
        assert cascade.mean_ms == pytest.approx(expected)


@pytest.mark.parametrize("how", ["margin", "agreement"])
def test_triples_are_what_a_replay_gives(members_that_vote, how):
    """Shares and accuracies of three members on the whole grid of thresholds equal a replay of all rows."""
    votes = simulation.line_up(members_that_vote(3, 80), "binary")
    cascades = simulation.triple_cascades(votes, draws(votes), how=how, levels=5)
    assert len(cascades) == 6
    for names, cascade in cascades.items():
        a, b, c = votes.positions(names)
        for rows, accuracy in ((votes.oof, cascade.accuracy), (votes.test, cascade.accuracy_test)):
            answers = rows.said.argmax(axis=1)
            if how == "margin":
                sure_a, sure_b = (simulation.confidence(rows.said[m], how) for m in (a, b))
            else:
                sure_a, sure_b = np.zeros(len(rows.y)), (answers[a] == answers[b]).astype(float)
            for i, first in enumerate(cascade.first):
                for j, second in enumerate(cascade.second):
                    early = sure_a >= first
                    later = ~early & (sure_b >= second)
                    said = np.where(early, answers[a], np.where(later, answers[b], answers[c]))
                    assert accuracy[i, j] == pytest.approx(np.mean(said == rows.y))
                    if rows is votes.oof:
                        assert cascade.early[i, j] == pytest.approx(early.mean())
                        assert cascade.later[i, j] == pytest.approx(later.mean())


@pytest.mark.parametrize(("how", "coarse"), [("margin", True), ("margin", False), ("entropy", False)])
def test_no_second_threshold_is_better_than_the_one_that_is_found(members_that_vote, how, coarse):
    """At each first threshold, trying every second one row by row finds nothing more accurate, nor as accurate and faster."""
    votes = simulation.line_up(members_that_vote(3, 60, 3, coarse=coarse), "multiclass")
    latencies = draws(votes)
    found = simulation.exact_triples(votes, latencies, how=how, levels=5)
    assert len(set(found.members)) == 6
    for t, names in enumerate(found.members):
        a, b, c = votes.positions(names)
        right = votes.oof.said.argmax(axis=1) == votes.oof.y
        sure = [simulation.confidence(s, how) for s in votes.oof.said]
        for i, first in enumerate(found.first[t]):
            stays = sure[a] >= first
            tried = {}
            for second in (np.inf, *np.unique(sure[b])):
                then = ~stays & (sure[b] >= second)
                tried[second] = np.where(stays, right[a], np.where(then, right[b], right[c])).mean(), then.mean()
            assert found.accuracy[t, i] == pytest.approx(max(share for share, _ in tried.values()))
            assert found.later[t, i] == pytest.approx(
                max(n for share, n in tried.values() if share == pytest.approx(found.accuracy[t, i]))
            )
            one = simulation.one_cascade(votes, latencies, names, [first, found.second[t, i]], how=how)
            assert [one.early, one.accuracy, one.accuracy_test, one.mean_ms, one.percentile_ms] == pytest.approx(
                [getattr(found, k)[t, i] for k in ("early", "accuracy", "accuracy_test", "mean_ms", "percentile_ms")]
            )
    best = found.best()
    assert best.accuracy == found.accuracy.max()
    grid = simulation.best_cascade(simulation.triple_cascades(votes, latencies, how=how, levels=5).values())
    assert best.accuracy >= grid.accuracy - 1e-12
    assert found.best(mean_ms=best.mean_ms * 0.9).mean_ms <= best.mean_ms * 0.9
    with pytest.raises(InputError, match="no cascade of three keeps a mean of 0 ms"):
        found.best(mean_ms=0)


def test_the_ends_of_a_cascade_are_its_members(members_that_vote):
    """Never sure, the first member leaves everything to the second; always sure, it answers alone, as fast as alone."""
    votes = simulation.line_up(members_that_vote(2, 100), "binary")
    latencies = draws(votes)
    cascade = simulation.pair_cascades(votes, latencies)["m0", "m1"]
    alone = [np.mean(s.argmax(axis=0) == votes.oof.y) for s in votes.oof.said]
    assert [cascade.accuracy[0], cascade.accuracy[-1]] == pytest.approx([alone[1], alone[0]])
    assert (cascade.early[0], cascade.early[-1]) == (0, 1)
    assert cascade.percentile_ms[-1] == np.percentile(latencies["m0"], 99, method="inverted_cdf")
    both = latencies["m0"] + latencies["m1"]
    assert cascade.percentile_ms[0] == np.percentile(both, 99, method="inverted_cdf")


@given(seed=st.integers(0, 10_000), percentile=st.sampled_from([50, 95, 99]))
def test_percentiles_of_mixtures_are_those_of_pooled_values(seed, percentile):
    """With shares that are whole numbers of copies, the percentile is NumPy's of the pooled copies, by either way."""
    rng = np.random.default_rng(seed)
    first = rng.lognormal(size=20)
    both = first + rng.lognormal(size=20)
    early = np.arange(11) / 10
    expected = [
        np.percentile(np.concatenate([np.tile(first, n), np.tile(both, 10 - n)]), percentile, method="inverted_cdf")
        for n in range(11)
    ]
    assert _two_stage_percentile(first, both, early, percentile) == pytest.approx(expected)
    shares = np.stack([early, 1 - early])
    assert mixture_percentile(np.stack([first, both]), shares, percentile) == pytest.approx(expected)


@pytest.mark.parametrize("how", ["margin", "agreement"])
def test_of_equally_accurate_cascades_the_fastest_is_taken(members_that_vote, how):
    """Accuracies are counts of rows, in whatever order shares of them were added up: of equal counts the fastest is chosen."""
    rng = np.random.default_rng(0)
    for seed in range(10):
        votes = simulation.line_up(members_that_vote(4, 70, 2, seed=seed), "binary")
        latencies = {name: rng.lognormal(0.7 * i, 0.6, 200) for i, name in enumerate(votes.names)}
        triples = simulation.triple_cascades(votes, latencies, how=how, levels=9).values()
        accuracy, mean_ms = (np.concatenate([getattr(c, k).ravel() for c in triples]) for k in ("accuracy", "mean_ms"))
        counts = np.round(70 * accuracy)
        chosen = simulation.best_cascade(triples)
        assert np.round(70 * chosen.accuracy) == counts.max()
        assert chosen.mean_ms == mean_ms[counts == counts.max()].min()


def test_pairs_one_after_the_other_take_the_room_of_one(members_that_vote):
    """They are those that all together are, and the most memory that is held is a fraction of what all of them take."""
    votes = simulation.line_up(members_that_vote(8, 3000), "binary")
    latencies = dict.fromkeys(votes.names, np.linspace(1, 2, 50))

    def peak_of(work):
        tracemalloc.start()
        try:
            return work(), tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    best, one_by_one = peak_of(lambda: [c.accuracy.max() for c in simulation.each_pair_cascade(votes, latencies)])
    held, together = peak_of(lambda: simulation.pair_cascades(votes, latencies))
    assert best == [c.accuracy.max() for c in held.values()]
    assert len(held) == 8 * 7
    assert one_by_one < together / 3


def test_agreement_of_two_before_the_third(members_that_vote):
    """By agreement the first answers nothing alone; the pick of a triple is what one cascade of these members would do."""
    votes = simulation.line_up(members_that_vote(3, 80), "binary")
    cascade = simulation.triple_cascades(votes, draws(votes), how="agreement")["m0", "m1", "m2"]
    assert cascade.early.tolist() == [[0]]
    best = simulation.best_cascade([cascade])
    alone = simulation.one_cascade(votes, draws(votes), ("m0", "m1", "m2"), (), how="agreement")
    assert best == replace(alone, mean_ms=pytest.approx(alone.mean_ms), accuracy=pytest.approx(alone.accuracy),
                           accuracy_test=pytest.approx(alone.accuracy_test), optimism=pytest.approx(alone.optimism))  # fmt: skip
    assert best.thresholds == ()
    assert best.early == np.mean(votes.oof.said[0].argmax(axis=0) == votes.oof.said[1].argmax(axis=0))
    assert best.optimism == pytest.approx(best.accuracy - best.accuracy_test)


def test_confidence_has_its_ends():
    """A sure member has confidence 1 and one that cannot tell has 0, by margin and by entropy, zeros included."""
    said = np.array([[1.0, 1 / 3, 0.5], [0.0, 1 / 3, 0.5], [0.0, 1 / 3, 0.0]])
    assert simulation.confidence(said, "margin") == pytest.approx([1, 0, 0])
    assert simulation.confidence(said, "entropy") == pytest.approx([1, 0, 1 - math.log(2) / math.log(3)])


def latency(name, values, scenario="single_stream"):
    """A measurement of latency."""
    here = Conditions("m", "v", 1, scenario, 1, 0, 0, "off", "lean", "0", 0.0)
    return Measurement(name, "d", "latency_ms", values, (0,) * len(values), here)


def test_latencies_are_drawn_from_what_was_measured():
    """Draws are measured single-stream values, the same for the same seed, and independent between members."""
    measured = [latency("a", (1.0, 2.0)), latency("b", (1.0, 2.0)), latency("a", (99.0,), "multi_stream")]
    one, again = (simulation.latency_samples(["a", "b"], measured, np.random.default_rng(3)) for _ in range(2))
    assert set(one["a"]) == {1.0, 2.0}
    assert np.array_equal(one["a"], again["a"])
    assert abs(np.corrcoef(one["a"], one["b"])[0, 1]) < 0.1
    with pytest.raises(InputError, match="the single-stream latency of c was not measured"):
        simulation.latency_samples(["c"], measured, np.random.default_rng(3))


def test_cascades_refuse_what_cannot_be(members_that_vote):
    """A regression, agreement of one or two, a missing latency, unequal latencies, too few members, one level: sentences."""
    votes = simulation.line_up(members_that_vote(2, 20), "binary")
    numbers = simulation.line_up(members_that_vote(2, 20, 1), "regression")
    with pytest.raises(InputError, match="this is a regression"):
        simulation.pair_cascades(numbers, draws(numbers))
    with pytest.raises(InputError, match="agreement takes three members or more"):
        simulation.pair_cascades(votes, draws(votes), how="agreement")
    with pytest.raises(InputError, match="the latency of m1 is not given"):
        simulation.pair_cascades(votes, {"m0": np.ones(3)})
    with pytest.raises(InputError, match="different numbers of latencies"):
        simulation.pair_cascades(votes, {"m0": np.ones(3), "m1": np.ones(4)})
    for none in (np.ones(0), np.full(3, np.nan)):
        with pytest.raises(InputError, match="the latencies of m0 are none, or not all finite"):
            simulation.pair_cascades(votes, {"m0": none, "m1": none})
    with pytest.raises(InputError, match="a cascade of three needs three members, not 2"):
        simulation.triple_cascades(votes, draws(votes))
    for members, thresholds, how, said in (
        (("m0", "m1"), (), "agreement", "a cascade of 2 by agreement asks all its members of every row: name three or more"),
        (("m0", "m1", "m0"), (0.5,), "agreement", "a cascade by agreement has no thresholds, and 1 are given"),
        (("m0", "m1"), (), "margin", "a cascade of 2 by margin cannot have 0 thresholds"),
    ):
        with pytest.raises(InputError, match=said):
            simulation.one_cascade(votes, draws(votes), members, thresholds, how=how)
    three = simulation.line_up(members_that_vote(3, 20), "binary")
    with pytest.raises(InputError, match="levels must be at least 2"):
        simulation.triple_cascades(three, draws(three), levels=1)
    with pytest.raises(InputError, match="levels must be at least 2"):
        simulation.exact_triples(three, draws(three), levels=1)
    with pytest.raises(InputError, match="a cascade of three needs three members, not 2"):
        simulation.exact_triples(votes, draws(votes))
