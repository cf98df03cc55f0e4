"""Strength against diversity: an identity for squared errors, what two members share, and the law of averaging."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from shipworthy import simulation
from shipworthy.records import InputError, Predictions

TASKS = {1: "regression", 2: "binary", 3: "multiclass"}


@given(seed=st.integers(0, 10_000), n_members=st.integers(2, 5), n_classes=st.sampled_from([1, 2, 3]))
def test_the_error_of_a_mean_is_that_of_its_members_less_their_ambiguity(members_that_vote, seed, n_members, n_classes):
    """Krogh and Vedelsby's identity holds for every subset, with an ambiguity that was computed without the truth."""
    votes = simulation.line_up(members_that_vote(n_members, 30, n_classes, seed=seed), TASKS[n_classes])
    found = simulation.diversity(votes, "oof")
    scale = float(found.mean_member[1:].max())
    assert np.allclose(found.error[1:], (found.mean_member - found.ambiguity)[1:], rtol=0, atol=1e-12 * max(1.0, scale))
    assert (found.ambiguity[1:] >= -1e-15).all()
    assert (found.error[1:] <= found.mean_member[1:] + 1e-12 * max(1.0, scale)).all()
    assert np.allclose(found.gain[1:], (found.ambiguity - found.behind)[1:], rtol=0, atol=1e-12 * max(1.0, scale))
    assert np.isnan(found.error[0])


@pytest.mark.parametrize("n_classes", [1, 2, 3])
def test_each_part_is_what_scikit_learn_says(members_that_vote, n_classes):
    """Of every subset, the mean's Brier score (or squared error), its members' mean and their best are scikit-learn's."""
    said = members_that_vote(4, 80, n_classes, seed=3)
    found = simulation.diversity(simulation.line_up(said, TASKS[n_classes]), "test")
    y = said["m0"].test_y

    def error(p):
        if n_classes == 1:
            return metrics.mean_squared_error(y, p[:, 0])
        return metrics.brier_score_loss(y, p[:, 1] if n_classes == 2 else p, labels=list(range(n_classes)))

    alone = {name: error(p.test) for name, p in said.items()}
    for subset in range(1, 16):
        names = found.members(subset)
        mean = np.mean([said[n].test for n in names], axis=0)
        assert found.error[subset] == pytest.approx(error(mean), abs=1e-12)
        assert found.mean_member[subset] == pytest.approx(np.mean([alone[n] for n in names]), abs=1e-12)
        assert found.best_member[subset] == pytest.approx(min(alone[n] for n in names), abs=1e-12)


def test_averaging_with_a_copy_of_the_base_rate_hurts():
    """A strong member and one that always says one half: the vote loses to the strong one, by as much as worked by hand."""
    y = np.array([0, 1, 0, 1])
    strong = np.array([[0.9, 0.1], [0.1, 0.9], [0.9, 0.1], [0.1, 0.9]])
    half = np.full((4, 2), 0.5)
    rows = np.arange(4)
    said = {n: Predictions(rows, y, p, rows, y, p) for n, p in (("strong", strong), ("half", half))}
    found = simulation.diversity(simulation.line_up(said, "binary"), "oof")
    # Errors 0.1, 0.5 and 0.3: squares 0.01, 0.25 and 0.09.
    assert found.error[1:] == pytest.approx([0.01, 0.25, 0.09])
    assert found.ambiguity[3] == pytest.approx(0.04)
    assert found.behind[3] == pytest.approx(0.12)
    assert found.gain[3] == pytest.approx(-0.08)
    assert found.members(found.most_hurt()) == ("strong", "half")


def test_pairs_are_what_numpy_and_the_definitions_say(members_that_vote):
    """Correlation is NumPy's, disagreement and Yule's Q are those of the two-by-two table, gains those of the whole table."""
    said = members_that_vote(4, 120, 2, seed=9)
    votes = simulation.line_up(said, "binary")
    found = simulation.diversity(votes, "oof")
    y = said["m0"].oof_y
    pairs = simulation.pairs(votes, "oof")
    assert len(pairs) == 6
    assert [p.gain for p in pairs] == sorted((p.gain for p in pairs), reverse=True)
    for p in pairs:
        one, other = said[p.one].oof, said[p.other].oof
        errors = [q[:, 1] - y for q in (one, other)]
        assert p.error_correlation == pytest.approx(np.corrcoef(*errors)[0, 1])
        right = [q.argmax(axis=1) == y for q in (one, other)]
        a, b, c, d = ((right[0] == i) & (right[1] == j) for i, j in ((1, 1), (0, 0), (1, 0), (0, 1)))
        a, b, c, d = (int(x.sum()) for x in (a, b, c, d))
        assert p.disagreement == (c + d) / 120
        assert p.q_statistic == pytest.approx((a * b - c * d) / (a * b + c * d))
        subset = sum(1 << votes.names.index(n) for n in (p.one, p.other))
        assert (p.ambiguity, p.behind, p.gain) == pytest.approx(
            (found.ambiguity[subset], found.behind[subset], found.gain[subset])
        )


def test_what_has_no_odds_has_no_statistic(members_that_vote):
    """Two members that are always right have no Q and no correlation; a regression has neither disagreement nor Q."""
    y = np.array([0, 1, 1])
    sure = np.eye(2)[y]
    told = Predictions(np.arange(3), y, sure, np.arange(3), y, sure)
    (pair,) = simulation.pairs(simulation.line_up({"a": told, "b": told}, "binary"), "oof")
    assert math.isnan(pair.q_statistic)
    assert math.isnan(pair.error_correlation)
    assert pair.disagreement == 0
    numbers = simulation.pairs(simulation.line_up(members_that_vote(2, 30, 1), "regression"), "oof")
    assert math.isnan(numbers[0].disagreement)
    assert math.isfinite(numbers[0].error_correlation)


@given(seed=st.integers(0, 10_000), n_classes=st.sampled_from([1, 2, 3]))
def test_the_law_of_averaging_is_the_mean_over_all_ways_to_take_members(members_that_vote, seed, n_classes):
    """For every n, limit + (single - limit) / n is the mean error of all subsets of n members, exactly."""
    said = members_that_vote(5, 25, n_classes, seed=seed)
    votes = simulation.line_up(said, TASKS[n_classes])
    found = simulation.diversity(votes, "oof")
    law = simulation.averaging([p.oof for p in said.values()], said["m0"].oof_y, TASKS[n_classes])
    scale = max(1.0, law.single)
    for n in range(1, 6):
        subsets = [sum(1 << i for i in chosen) for chosen in itertools.combinations(range(5), n)]
        assert law.at(n) == pytest.approx(found.error[subsets].mean(), abs=1e-11 * scale)
    firsts = [found.error[(1 << n) - 1] for n in range(1, 6)]
    assert np.allclose(law.running, firsts, rtol=0, atol=1e-11 * scale)
    assert law.alike == law.limit / law.single


@given(single=st.floats(0.01, 1), share=st.floats(0, 1), useful=st.floats(1e-4, 0.1))
def test_enough_members_leave_less_than_what_is_useful(single, share, useful):
    """With as many members as are said to be enough, less than the useful gain is left; with one fewer, as much or more is."""
    law = simulation.Averaging(single, single * share, np.array([single]))
    n = law.enough(useful)
    assert law.at(n) - law.limit < useful * (1 + 1e-6)
    if n > 1:
        assert law.at(n - 1) - law.limit >= useful * (1 - 1e-6)


def test_one_member_or_too_many_are_refused(members_that_vote):
    """Averaging takes two; the exact table stops at 20."""
    with pytest.raises(InputError, match="averaging takes at least two members, not 1"):
        simulation.averaging([np.ones((3, 1))], np.ones(3), "regression")
    votes = simulation.line_up(members_that_vote(21, 5), "binary")
    with pytest.raises(InputError, match="at most 20 members is looked at, not of 21"):
        simulation.diversity(votes, "oof")


def test_some_of_the_votes_are_those_of_the_members_alone(members_that_vote):
    """Votes of some members are what lining these up alone gives, in the order in which they are named."""
    said = members_that_vote(4, 30, 3)
    some = simulation.line_up(said, "multiclass").only(("m3", "m1"))
    alone = simulation.line_up({n: said[n] for n in ("m3", "m1")}, "multiclass")
    assert some.names == alone.names
    assert np.array_equal(some.oof.said, alone.oof.said)
    assert np.array_equal(some.test.said, alone.test.said)
    with pytest.raises(InputError, match="'knn' is no member"):
        some.only(("knn",))
