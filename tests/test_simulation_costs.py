"""What ensembles that nobody built would cost: worked by hand, planted laws recovered, and errors that are told."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from itertools import combinations

import numpy as np
import pytest

from shipworthy import simulation
from shipworthy.records import Conditions, InputError, Measurement
from shipworthy.simulation import Build, Composite, CostModel, MemberCost, calibrate, member_cost, serve
from shipworthy.simulation.costs import work_ms

A = MemberCost("a", 4.0, 3.0, 1.0, 4.0, 150.0, 10.0)
B = MemberCost("b", 2.0, 4.0, 0.5, 2.0, 130.0, 20.0)
C = MemberCost("c", 3.0, 0.0, 0.25, 3.0, 120.0, 30.0)
EVERY = np.array([[i >> j & 1 for j in range(3)] for i in range(8)], dtype=bool)
ALL = np.ones((1, 3), bool)


def test_work_worked_by_hand():
    """One core: medians add up and tails meet as a root of squares; shared preprocessing is paid once; two cores overlap."""
    costs = (A, B, C)
    assert work_ms(costs, ALL, Build())[0] == pytest.approx(9 + 5)  # 4 + 2 + 3, and the root of 9 + 16 + 0
    assert work_ms(costs, ALL, Build(shared_preprocessing=True))[0] == pytest.approx(9 - 0.75 + 5)
    # Longest first: a to one core, c to the other, then b to the core of c: 4 + 3 against 3 + 2 + 4.
    assert work_ms(costs, ALL, Build(cores=2))[0] == pytest.approx(9)
    assert work_ms(costs, ALL, Build(cores=8))[0] == pytest.approx(7)


def test_costs_of_subsets_worked_by_hand():
    """A single member costs what was measured; nothing costs nothing; the rest follows the law; memory shares its base."""
    model = CostModel(fixed_ms=0.5, per_member_ms=0.25, factor=2.0, base_memory_mib=100, latency_low=0.8, latency_high=1.5)
    served = serve((A, B, C), EVERY, model=model, build=Build())
    assert served.latency_ms[[0, 1, 2, 4]].tolist() == [0, 7, 6, 3]
    assert served.latency_high_ms[[0, 1]].tolist() == [0, 7]
    assert served.latency_ms[3] == pytest.approx(0.5 + 0.5 + 2 * (6 + 5))
    assert served.latency_low_ms[3] == pytest.approx(0.8 * 23)
    assert served.latency_high_ms[3] == pytest.approx(1.5 * 23)
    assert served.memory_mib.tolist() == [0, 150, 130, 180, 120, 170, 150, 200]
    assert served.size_mib.tolist() == [0, 10, 20, 30, 30, 40, 50, 60]
    assert served.cpu_ms.tolist() == [0, 4, 2, 6, 3, 7, 5, 9]
    shared = serve((A, B, C), EVERY, model=model, build=Build(shared_preprocessing=True))
    assert shared.cpu_ms[7] == pytest.approx(9 - 0.75)
    stacked = serve((A, B, C), EVERY[1:2], model=replace(model, stack_ms=3.0), build=Build(stacked=True))
    assert stacked.latency_ms[0] == pytest.approx(0.5 + 0.25 + 3 + 2 * 7)
    assert math.isnan(serve((A, B, C), ALL, model=CostModel(), build=Build()).latency_high_ms[0])


def planted(law, costs, builds, noise=None):
    """Ensembles whose latencies follow a law, perhaps with noise."""
    out = []
    for build in builds:
        for size in (2, 3, 4):
            for members in combinations([c.name for c in costs], size):
                membership = np.array([[c.name in members for c in costs]])
                served = serve(costs, membership, model=law, build=build)
                ratio = 1.0 if noise is None else float(noise())
                out.append(Composite(members, float(served.latency_ms[0]) * ratio, float(served.memory_mib[0]), build))
    return out


def some_members(n, seed=0):
    """Members with costs that differ."""
    rng = np.random.default_rng(seed)
    return tuple(
        MemberCost(f"m{i}", *rng.uniform(0.3, 5, 2), 0.1, 1.0, rng.uniform(120, 300), rng.uniform(1, 9)) for i in range(n)
    )


@pytest.mark.parametrize("shared", [False, True])
def test_a_planted_law_is_recovered(shared):
    """From a hundred ensembles on one core or two, stacked or not, the coefficients come back; a dozen foretell the rest."""
    costs = some_members(5)
    law = CostModel(fixed_ms=0.4, per_member_ms=0.15, stack_ms=0.6, factor=1.3, base_memory_mib=90)
    builds = [Build(cores=c, shared_preprocessing=shared, stacked=s) for c in (1, 2) for s in (False, True)]
    built = planted(law, costs, builds)
    few = [built[i] for i in np.random.default_rng(1).choice(len(built), 12, replace=False)]
    for found, off in ((calibrate(costs, built), 0.006), (calibrate(costs, few), 0.08)):
        for c in built:
            membership = np.array([[m.name in c.members for m in costs]])
            served = serve(costs, membership, model=found, build=c.build)
            assert served.latency_ms[0] == pytest.approx(c.latency_ms, rel=off)
            assert served.memory_mib[0] == pytest.approx(c.memory_mib, rel=1e-9)
    found = calibrate(costs, built)
    for name in ("fixed_ms", "per_member_ms", "stack_ms", "factor", "base_memory_mib"):
        assert getattr(found, name) == pytest.approx(getattr(law, name), rel=0.03, abs=0.04), name
    assert 0.99 < found.latency_low <= 1 <= found.latency_high < 1.01


def test_slow_ensembles_do_not_teach_that_every_ensemble_is_slow():
    """Taught by a few that all take 5.4 ms, whatever their work, a law still says that two fast members make a fast pair."""
    costs = [
        MemberCost(n, p50, 0.0, 0.1, 1.0, 150.0, 1.0) for n, p50 in {"slow": 4.0, "mid": 1.2, "one": 1.1, "two": 1.3}.items()
    ]
    pairs = (("slow", "one"), ("slow", "two"), ("slow", "mid"), ("slow", "one", "two"))
    law = calibrate(costs, [Composite(members, 5.4) for members in pairs])
    predicted = {}
    for members in (("one", "two"), ("slow", "two"), ("slow", "mid", "one", "two")):
        membership = np.array([[c.name in members for c in costs]])
        predicted[members] = float(serve(costs, membership, model=law, build=Build()).latency_ms[0])
    fast, middle, slow = predicted.values()
    assert fast < 0.75 * middle
    assert middle == pytest.approx(5.4, rel=0.05)
    assert slow > 1.1 * middle


def test_the_interval_covers_ensembles_that_it_has_not_seen():
    """With noise of 15 %, the range of left-out ratios of ten ensembles holds about nine elevenths of others."""
    costs = some_members(6, seed=2)
    rng = np.random.default_rng(5)
    law = CostModel(fixed_ms=0.3, per_member_ms=0.1, factor=1.2)
    inside = []
    for _ in range(40):
        built = planted(law, costs, [Build()], noise=lambda: np.exp(rng.normal(0, 0.15)))
        order = rng.permutation(len(built))
        found = calibrate(costs, [built[i] for i in order[:10]])
        for i in order[10:20]:
            membership = np.array([[m.name in built[i].members for m in costs]])
            served = serve(costs, membership, model=found, build=Build())
            inside.append(served.latency_low_ms[0] <= built[i].latency_ms <= served.latency_high_ms[0])
    # Ten of eleven exchangeable ratios: 9/11 at both ends. The ratios share data, so this is about and not exactly.
    assert 0.72 < np.mean(inside) < 0.92
    assert "calibrated on 10 that were measured" in found.sentence()


def test_it_is_no_plain_sum():
    """Where tails are independent, the law is nearer to the simulated percentile of a sum than the sum of percentiles is."""
    rng = np.random.default_rng(0)
    drawn = rng.lognormal(0, 0.7, (4, 100_000))
    costs = tuple(
        MemberCost(f"m{i}", *((q := np.percentile(d, [50, 99]))[0], q[1] - q[0]), 0, 1, 100, 1) for i, d in enumerate(drawn)
    )
    truth = np.percentile(drawn.sum(axis=0), 99)
    law = work_ms(costs, np.ones((1, 4), bool), Build())[0]
    plain = sum(c.latency_ms for c in costs)
    assert abs(law / truth - 1) < 0.15 < plain / truth - 1


def measured(quantity, values, name="a", scenario="single_stream", batch=1, dataset="d"):
    """One measurement."""
    here = Conditions("m", "v", 1, scenario, batch, 0, 0, "off", "lean", "0", 0.0)
    return Measurement(name, dataset, quantity, tuple(values), (0,) * len(values), here)


def test_costs_are_gathered_from_measurements():
    """Rounds are pooled, batches passed over, and preprocessing is the building of the row and the rest of it together."""
    taken = [
        measured("latency_ms", range(1, 51)),
        measured("latency_ms", range(51, 101)),
        measured("latency_ms", [900.0], scenario="multi_stream", batch=64),
        measured("latency_ms", [900.0], name="b"),
        measured("build_ms", [1.0, 2.0, 3.0]),
        measured("preprocess_ms", [4.0]),
        measured("cpu_ms", [8.0, 10.0]),
        measured("memory_mib", [100.0, 104.0], scenario="none", batch=0),
        measured("size_mib", [7.0], scenario="none", batch=0),
    ]
    assert member_cost("a", taken) == MemberCost("a", 50.0, 49.0, 6.0, 9.0, 102.0, 7.0)
    # Of the mean nothing lies above it, and means of members add up whatever their tails do.
    assert member_cost("a", taken, percentile=None) == MemberCost("a", 50.5, 0.0, 6.0, 9.0, 102.0, 7.0)
    means = [replace(member_cost("a", taken, percentile=None), name=name) for name in "ab"]
    served = serve(means, np.ones((1, 2), bool), model=CostModel(), build=Build())
    assert served.latency_ms[0] == pytest.approx(2 * 50.5)
    bare = member_cost("b", taken)
    assert (bare.latency_ms, math.isnan(bare.preprocess_ms), math.isnan(bare.memory_mib)) == (900.0, True, True)
    with pytest.raises(InputError, match="the single-stream latency of c was not measured"):
        member_cost("c", taken)
    with pytest.raises(InputError, match="a was measured on d, e"):
        member_cost("a", [*taken, measured("latency_ms", [1.0], dataset="e")])


def test_the_law_says_how_far_it_was_off():
    """Latency and memory each with the interval of what was left out in turn; no word of memory that nobody measured.

    Of five that are alike, the one not yet seen is the lowest or the highest twice in five times; of three, twice in three.
    """
    law = CostModel(n_composites=4, latency_low=0.9, latency_high=1.25)
    assert "left out of it in turn, they were -10 % to +25 % off what it said. Of other" in law.sentence()
    assert law.sentence().endswith("Of other ensembles like those, about 40 % would be further off.")
    assert "about 67 %" in replace(law, n_composites=2).sentence()
    both = replace(law, memory_low=0.998, memory_high=1.02)
    assert "they were -10 % to +25 % off what it said, and their memory +0 % to +2 %." in both.sentence()


def test_costs_refuse_what_cannot_be():
    """Too few ensembles, a stranger, a single member, an impossible latency, unknown preprocessing, no cores: sentences."""
    costs = (A, B, C)
    pair = Composite(("a", "b"), 9.0)
    for composites, sentence in (
        ([pair], "at least two measured ensembles, not 1"),
        ([pair, Composite(("a", "knn"), 9.0)], "the costs of knn, a member of a \\+ knn, are not known"),
        ([pair, Composite(("a",), 9.0)], "a is no ensemble"),
        ([pair, Composite(("a", "c"), math.nan)], "the latency of a \\+ c must be above 0 ms"),
    ):
        with pytest.raises(InputError, match=sentence):
            calibrate(costs, composites)
    blind = replace(A, preprocess_ms=math.nan)
    with pytest.raises(InputError, match="the preprocessing of a was not timed apart"):
        serve((blind, B), np.ones((1, 2), bool), model=CostModel(), build=Build(shared_preprocessing=True))
    with pytest.raises(InputError, match="cores must be at least 1"):
        Build(cores=0)


def test_the_table_carries_the_costs_of_every_subset(members_that_vote):
    """Latency, memory, size and price of each of 2**17 subsets are those of the law asked for it alone."""
    said = members_that_vote(17, 3)
    votes = simulation.line_up(said, "binary")
    costs = some_members(17)
    model = CostModel(fixed_ms=1.0, factor=1.1, base_memory_mib=80)
    table = simulation.every_subset(votes, costs=costs, model=model, build=Build(cores=2), price=lambda cpu, mib: cpu + 2 * mib)
    for subset in (0, 1, 2**16, 2**17 - 1, 70_001):
        membership = np.array([[bool(subset >> i & 1) for i in range(17)]])
        alone = serve(costs, membership, model=model, build=Build(cores=2))
        for field in fields(alone):
            expected, found = getattr(alone, field.name)[0], getattr(table.costs(), field.name)[subset]
            assert found == pytest.approx(expected, nan_ok=True)
        assert table.usd[subset] == pytest.approx(alone.cpu_ms[0] + 2 * alone.memory_mib[0])
    with pytest.raises(InputError, match="costs must be those of m0"):
        simulation.every_subset(votes, costs=costs[::-1])
