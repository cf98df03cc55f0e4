"""The verdict-flip map: its borders in closed form agree with trying every cell, and the nearest flip flips."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipworthy.feasibility import Answers, Case, Contender, Place, VerdictMap, draw_terms, expected_terms, flip_sentence
from shipworthy.feasibility.flips import WINNERS, crossings
from shipworthy.records import Economics, Interval, Prices

PRICES = Prices(as_of="2026-01", source="worked by hand", vcpu_hour_usd=0.04, gib_hour_usd=0.0)
ECONOMICS = Economics(correct_usd=(0.001,), upkeep_hours_per_part=(1.0, 3.0), person_hour_usd=(50.0,), draws=300)


def make_map(gain=0.01, spread=0.002, margin=0.001, limit=50.0, p99=(30.0, 35.0), base_p99=(4.0, 5.0), traffic=10.0, seed=0):
    """One single and one ensemble that is ``gain`` better, give or take ``spread``."""
    rng = np.random.default_rng(seed)
    cases = []
    for name, kind, correct, ms, noise in (("b", "single", 0.9, 4.0, 0.0), ("e", "ensemble", 0.9 + gain, 20.0, spread)):
        right = correct + noise * rng.normal(size=200)
        shares = np.array([correct, 1 - correct, 0.0])
        resampled = np.stack([right, 1 - right, np.zeros(200)], axis=1)
        told = Answers(("correct", "false positive", "false negative"), shares, resampled, shares, 1000, "by hand")
        latency = Interval(ms, 0.8 * ms, 1.3 * ms, 0.95, "by hand")
        capacity = Interval(700 / ms, 700 / (1.3 * ms), 700 / (0.8 * ms), 0.95, "by hand")
        cases.append(Case(name, kind, latency, capacity, 1.0, 0.0, 10.0, 1 if kind == "single" else 4, told))
    drawn = draw_terms(cases, ECONOMICS, PRICES, rng)
    bounds = [Interval(high, low, high, 0.99, "by hand") for low, high in (base_p99, p99)]
    chosen = [expected_terms(c, ECONOMICS, PRICES, out_of_fold=True) for c in cases]
    contenders = [Contender(*parts) for parts in zip(drawn, chosen, bounds, strict=True)]
    return VerdictMap(contenders, Place(traffic, limit, 1.0, margin), ECONOMICS, PRICES, 0.95)


@settings(max_examples=25, deadline=None)
@given(
    st.floats(-0.005, 0.03), st.floats(0, 0.01), st.floats(0.1, 1000), st.floats(0.1, 20), st.floats(1e-6, 1.0), st.integers(0, 9)
)
def test_the_border_agrees_with_trying_the_place(gain, spread, traffic, price, margin, seed):
    """On either side of the borders in closed form the place, tried with all draws, has the winner that they say."""
    found = make_map(gain, spread, seed=seed)
    pays_from, baseline_until = found.borders(traffic, 50.0, price)
    place = Place(traffic, 50.0, price, margin)
    if not math.isnan(pays_from):
        assert found.winner(replace(place, margin_usd=pays_from * (1 + 1e-6))) == "ensemble"
        assert found.winner(replace(place, margin_usd=pays_from * (1 - 1e-6))) != "ensemble"
        assert margin <= pays_from or found.winner(place) == "ensemble"
    if not math.isnan(baseline_until):
        assert found.winner(replace(place, margin_usd=baseline_until * (1 - 1e-6))) == "baseline"
        assert found.winner(replace(place, margin_usd=baseline_until * (1 + 1e-6))) != "baseline"
        assert margin >= baseline_until or found.winner(place) == "baseline"


def test_a_panel_is_what_trying_every_cell_gives():
    """The fast way through a panel and the slow one agree in each cell."""
    found = make_map()
    traffic, margin = np.geomspace(0.1, 1000, 7), np.geomspace(1e-5, 0.1, 6)
    panel = found.panel(50.0, 2.0, traffic, margin)
    tried = [[WINNERS.index(found.winner(Place(float(t), 50.0, 2.0, float(v)))) for v in margin] for t in traffic]
    assert panel.winners.tolist() == tried
    assert {"ensemble", "baseline"} <= {WINNERS[w] for w in np.unique(panel.winners)}


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-3, 3), st.integers(-6, 6)), min_size=1, max_size=12),
    st.integers(1, 12),
    st.floats(0.01, 20),
)
def test_crossings_agree_with_counting(lines, need, x):
    """At any x that is no crossing, the number of changes below it says whether enough draws win there."""
    slope, cost = (np.array(v, dtype=float) for v in zip(*lines, strict=True))
    first, changes = crossings(slope, cost, need)
    if len(changes) == 0 or np.abs(changes - x).min() > 1e-6:
        assert (first != bool((changes < x).sum() % 2)) == bool((x * slope > cost).sum() >= need)


def test_limits_decide_by_the_bounds_of_the_p99():
    """The ensemble wins where its bound keeps the limit; where it may miss, nobody knows; where it misses, the baseline wins."""
    found = make_map(gain=0.05)
    place = found.here
    winners = {limit: found.winner(replace(place, limit_ms=limit)) for limit in (35.0, 34.9, 30.0, 29.9, 5.0, 4.5, 3.9)}
    assert winners == {
        35.0: "ensemble",
        34.9: "cannot tell",
        30.0: "cannot tell",
        29.9: "baseline",
        5.0: "baseline",
        4.5: "cannot tell",
        3.9: "nothing meets the limit",
    }


@pytest.mark.parametrize("margin", [1e-6, 0.0005, 0.01])
def test_the_nearest_flips_flip_and_nothing_nearer_does(margin):
    """Just beyond each flip the winner is the one that it names; halfway there nothing has changed; the first is the nearest."""
    found = make_map(margin=margin)
    now, flips = found.winner(found.here), found.flips()
    assert flips
    distances = [abs(math.log(f.factor)) for f in flips]
    assert distances == sorted(distances)
    for flip in flips:
        beyond = flip.at * (1 + 1e-6 if flip.factor > 1 else 1 - 1e-6)
        assert found.winner(found.at(flip.axis, beyond)) == flip.winner != now
        assert found.winner(found.at(flip.axis, flip.now * math.sqrt(flip.factor))) == now
    assert f"in the {flips[0].axis}" in flip_sentence(now, flips)


def test_nothing_flips_what_nothing_can_change():
    """Without a flip the sentence says so."""
    assert "no change of traffic" in flip_sentence("baseline", ())
