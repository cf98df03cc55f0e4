"""Stakeholders: vetoes, rankings, regret and the compromise, worked on paper; and what would move it, against asking again."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from shipworthy.feasibility import Reading, check_stakeholders, hear, judge_vetoes, read_values
from shipworthy.feasibility.compromise import Panel, value_moves, weight_moves
from shipworthy.records import (
    EVERYBODY,
    QUANTITIES,
    Conditions,
    InputError,
    Measurement,
    Record,
    Requirement,
    RequirementVerdict,
    Stakeholder,
)

NAMES = ("line", "boost", "vote")
# On paper: three candidates, two quantities. The step in ROC AUC is 0.90 to 0.95, in latency 9 ms down to 1 ms.
SEEN = {
    ("line", "roc_auc"): 0.90, ("boost", "roc_auc"): 0.94, ("vote", "roc_auc"): 0.95,
    ("line", "latency_ms"): 1.0, ("boost", "latency_ms"): 3.0, ("vote", "latency_ms"): 9.0,
}  # fmt: skip
RESEARCH = Stakeholder(name="research", weights={"roc_auc": 1.0})
OPS = Stakeholder(name="ops", weights={"latency_ms": 0.75, "roc_auc": 0.25})
FAST = Requirement(name="fast", quantity="latency_ms", statistic="p99", at_most=5, scenario="single_stream")


def readings(seen=None):
    """Values without intervals."""
    return {key: Reading(value) for key, value in (seen or SEEN).items()}


def verdict(candidate, outcome, requirement="fast"):
    """A judged requirement; only its outcome matters here."""
    return RequirementVerdict(requirement, candidate, "adult", outcome, 9.0, 8.0, 10.0, 5.0, 700, f"{candidate} {outcome}")


def shares(hearing):
    """Regrets by stakeholder and shipped candidate."""
    return {(r.stakeholder, r.shipped): r.share for r in hearing.regrets}


# On paper -------------------------------------------------------------------------------------------------------------------


def test_scores_and_ranks_by_hand():
    """Research sees 0, 0.8 and 1. Ops sees .75*1 + .25*0 = .75, .75*.75 + .25*.8 = .7625 and .75*0 + .25*1 = .25."""
    found = hear("adult", [RESEARCH, OPS], NAMES, readings(), [])
    assert [found.rating("research", n).score for n in NAMES] == pytest.approx([0, 0.8, 1])
    assert [found.rating("ops", n).score for n in NAMES] == pytest.approx([0.75, 0.7625, 0.25])
    assert [found.rating("research", n).rank for n in NAMES] == [3, 2, 1]
    assert [found.rating("ops", n).rank for n in NAMES] == [2, 1, 3]


def test_regret_and_compromise_by_hand():
    """If vote ships, ops loses .7625 - .25 = .5125; if boost ships, research loses .2 and ops nothing: boost it is."""
    found = hear("adult", [RESEARCH, OPS], NAMES, readings(), [])
    assert [(c.stakeholder, c.first, c.pick) for c in found.choices] == [("research", "vote", "vote"), ("ops", "boost", "boost")]
    expected = {("research", "line"): 1.0, ("research", "boost"): 0.2, ("research", "vote"): 0.0}
    expected |= {("ops", "line"): 0.0125, ("ops", "boost"): 0.0, ("ops", "vote"): 0.5125}
    assert shares(found) == pytest.approx(expected)
    assert (found.compromise.candidate, found.compromise.worst_off) == ("boost", "research")
    assert found.compromise.regret == pytest.approx(0.2)
    assert found.proven == found.compromise


def test_kendalls_tau_by_hand():
    """Research orders vote, boost, line; ops boost, line, vote: one pair of three agrees, so tau is (1 - 2) / 3."""
    (agreement,) = hear("adult", [RESEARCH, OPS], NAMES, readings(), []).agreements
    assert agreement.tau == pytest.approx(-1 / 3)


def test_a_missed_veto_takes_the_candidate_out_and_the_scale_with_it():
    """Without vote the step in ROC AUC is .90 to .94 and in latency 3 to 1: research now has 0 and 1, ops .75 and .25."""
    found = hear("adult", [RESEARCH, OPS], NAMES, readings(), [("ops", verdict("vote", "missed"))])
    assert found.survivors == ("line", "boost")
    assert found.vetoers("vote") == ("ops",)
    assert found.choices[0].first == "vote"
    assert found.choices[0].vetoed_by == ("ops",)
    assert found.choices[0].pick == "boost"
    assert shares(found) == pytest.approx(
        {("research", "line"): 1, ("research", "boost"): 0, ("ops", "line"): 0, ("ops", "boost"): 0.5}
    )
    assert found.compromise.candidate == "boost"
    # A vetoed candidate is rated on the same scale, beyond its ends: (.95 - .90) / .04, and (3 - 9) / 2 of the latency.
    assert found.rating("research", "vote").score == pytest.approx(1.25)
    assert found.rating("ops", "vote").score == pytest.approx(0.75 * -3 + 0.25 * 1.25)


def test_an_undecided_veto_leaves_the_candidate_in_and_is_said():
    """Boost stays the compromise though it is not shown to be fast; of those that are, vote costs the worst-off least."""
    found = hear("adult", [RESEARCH, OPS], NAMES, readings(), [("ops", verdict("boost", "undecided"))])
    assert found.survivors == NAMES
    assert found.compromise.candidate == "boost"
    assert found.compromise.unproven == ("ops: fast",)
    # Between line and vote alone: research 0 and 1, ops .75 and .25, so research would lose 1 with line, ops .5 with vote.
    assert (found.proven.candidate, found.proven.regret, found.proven.worst_off) == ("vote", pytest.approx(0.5), "ops")


def test_nobody_picks_what_they_veto_themselves():
    """Research vetoes its own favourite: its first choice is the next, and it is no longer there for anybody."""
    found = hear("adult", [RESEARCH, OPS], NAMES, readings(), [("research", verdict("vote", "missed"))])
    assert (found.choices[0].first, found.choices[0].vetoed_by) == ("boost", ())


def test_when_everything_is_vetoed_nobodys_pick_survives_and_it_is_said_who_vetoes_what():
    """No compromise, no regret; the rankings are still there, and whoever is barred by one veto alone would ship without it."""
    judged = [
        ("ops", verdict("vote", "missed")),
        ("legal", verdict("line", "missed", "x")),
        ("legal", verdict("boost", "missed")),
    ]
    found = hear("adult", [RESEARCH, OPS], NAMES, readings(), judged)
    assert (found.survivors, found.compromise, found.proven, found.regrets) == ((), None, None, ())
    assert [c.pick for c in found.choices] == ["", ""]
    assert found.rating("research", "vote").rank == 1
    assert "Nobody's pick survives" in found.notes[0]
    assert "line by legal; boost by legal; vote by ops" in found.notes[0]
    assert {(m.whose, m.what, m.becomes) for m in found.moves} == {
        ("ops", "fast", "vote"), ("legal", "x", "line"), ("legal", "fast", "boost"),
    }  # fmt: skip


def test_a_veto_that_nothing_meets_is_named():
    """One requirement bars all three."""
    found = hear("adult", [RESEARCH, OPS], NAMES, readings(), [("ops", verdict(n, "missed")) for n in NAMES])
    assert "No candidate meets the veto 'fast' of ops." in found.notes


def test_requirements_of_the_study_bind_everybody():
    """They bar a candidate as a stakeholder's veto does, under the study's own name."""
    found = hear("adult", [RESEARCH, OPS], NAMES, readings(), [(EVERYBODY, verdict("vote", "missed"))])
    assert found.vetoers("vote") == (EVERYBODY,)
    assert found.choices[0].pick == "boost"


def test_lifting_a_veto_is_a_move_where_it_changes_the_compromise():
    """Once boost is barred, vote is the compromise (ops loses .5, research nothing); with the veto lifted it is boost."""
    found = hear("adult", [RESEARCH, OPS], NAMES, readings(), [("ops", verdict("boost", "missed"))])
    assert found.compromise.candidate == "vote"
    assert [(m.whose, m.what, m.becomes) for m in found.moves if m.kind == "veto"] == [("ops", "fast", "boost")]


def test_a_weight_that_moves_the_compromise_by_hand():
    """Research alone against speed alone: boost until research gives speed so much that it prefers what ops prefers.

    With weight w on speed, research sees line w, boost .75w + .8(1-w), vote 1-w. With line its regret is then the larger of
    .8 - 1.05w and 1 - 2w; that falls below the .25 that ops loses with boost once w passes .55/1.05.
    """
    speed = Stakeholder(name="ops", weights={"latency_ms": 1.0})
    found = hear("adult", [RESEARCH, speed], NAMES, readings(), [])
    assert found.compromise.candidate == "boost"
    (move,) = [m for m in found.moves if m.kind == "weight" and m.whose == "research"]
    assert (move.what, move.before, move.becomes) == ("latency_ms", 0.0, "line")
    assert move.after == pytest.approx(0.55 / 1.05)
    assert move.size == pytest.approx(0.55 / 1.05)


def test_a_value_that_moves_the_compromise_by_hand():
    """Boost costs ops (x - 1)/8 at x ms. At .8 < (x - 1)/8 < 1 line and vote still cost 1: only when slowest is boost not better.

    Its ROC AUC is what moves it: research loses (.95 - y)/.05 with boost; below 0.90 the scale goes on from y, boost loses 1, and
    line then loses less. So y = 0.90, four fifths of the spread away.
    """
    speed = Stakeholder(name="ops", weights={"latency_ms": 1.0})
    found = hear("adult", [RESEARCH, speed], NAMES, readings(), [])
    moves = {(m.whose, m.what): m for m in found.moves if m.kind == "value"}
    assert moves[("boost", "roc_auc")].after == pytest.approx(0.90)
    assert moves[("boost", "roc_auc")].size == pytest.approx(0.8)
    assert moves[("boost", "latency_ms")].after == pytest.approx(9.0)
    # Vote is no compromise before ops loses less with it than the .25 with boost, whose own place on the scale moves too.
    assert moves[("vote", "latency_ms")].becomes == "vote"


def test_a_change_within_the_interval_of_a_value_is_doubtful():
    """If the interval of boost's ROC AUC holds the value at which the compromise changes, the compromise is in doubt."""
    speed = Stakeholder(name="ops", weights={"latency_ms": 1.0})
    for low, doubtful in ((0.89, True), (0.91, False)):
        wide = readings() | {("boost", "roc_auc"): Reading(0.94, low, 0.99)}
        found = hear("adult", [RESEARCH, speed], NAMES, wide, [])
        (move,) = [m for m in found.moves if (m.whose, m.what) == ("boost", "roc_auc")]
        assert move.doubtful is doubtful


# In money -------------------------------------------------------------------------------------------------------------------


def test_money_by_hand():
    """At 100 USD a ms less and 20,000 an AUC more: line -100 + 18,000, boost -300 + 18,800, vote -900 + 19,000."""
    sales = Stakeholder(name="sales", usd_month_per_unit={"latency_ms": 100, "roc_auc": 20_000})
    ops = Stakeholder(name="ops", usd_month_per_unit={"latency_ms": 50})
    found = hear("adult", [sales, ops], NAMES, readings(), [])
    assert found.in_money
    assert [found.rating("sales", n).usd_month for n in NAMES] == pytest.approx([17_900, 18_500, 18_100])
    assert [found.regret("sales", n) for n in NAMES] == pytest.approx([600, 0, 400])
    assert [found.regret("ops", n) for n in NAMES] == pytest.approx([0, 100, 400])
    assert (found.compromise.candidate, found.compromise.worst_off) == ("boost", "ops")
    assert found.compromise.regret == pytest.approx(100)


def test_money_beside_weights_becomes_the_share_of_what_is_at_stake():
    """8 ms at 100 and 0.05 AUC at 20,000 are 800 + 1,000 USD at stake: losing 400 is a share of 2/9."""
    sales = Stakeholder(name="sales", usd_month_per_unit={"latency_ms": 100, "roc_auc": 20_000})
    found = hear("adult", [sales, RESEARCH], NAMES, readings(), [])
    assert not found.in_money
    assert shares(found)["sales", "vote"] == pytest.approx(400 / 1800)
    assert shares(found)["sales", "line"] == pytest.approx(600 / 1800)
    assert math.isnan(next(r.usd_month for r in found.regrets if r.stakeholder == "research"))


def test_one_quantity_in_money_is_that_quantity_with_all_the_weight():
    """Whatever a millisecond is worth, if nothing else is worth anything: the same scores."""
    scores = []
    for wish in ({"weights": {"latency_ms": 1}}, {"usd_month_per_unit": {"latency_ms": 37}}):
        found = hear("adult", [Stakeholder(name="ops", **wish), RESEARCH], NAMES, readings(), [])
        scores.append([found.rating("ops", n).score for n in NAMES])
    assert scores[0] == pytest.approx(scores[1])


# What cannot be heard -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weights": {"roc_auc": 0.5, "latency_ms": 0.4}}, "weights sum to 0.9, not to 1"),
        ({"weights": {"roc_auc": 1.5, "latency_ms": -0.5}}, "weights give latency_ms -0.5"),
        ({"weights": {"roc_auc": math.nan}}, "weights give roc_auc nan"),
        ({"weights": {"speed": 1.0}}, "weights name the unknown quantity 'speed'; the quantities are log_loss"),
        ({"weights": {}}, "states nothing; give weights, usd_month_per_unit or vetoes"),
        ({"usd_month_per_unit": {"latency_ms": 5}}, "mixes weights with usd_month_per_unit"),
        ({"weights": {}, "usd_month_per_unit": {"latency_ms": 0}}, "gives every quantity 0"),
        ({"weights": {}, "usd_month_per_unit": {"latency_ms": -5}}, "usd_month_per_unit give latency_ms -5"),
        ({"weights": {}, "usd_month_per_unit": {"speed": 5}}, "usd_month_per_unit name the unknown quantity 'speed'"),
        ({"vetoes": (FAST, FAST)}, "two vetoes have the same name"),
        ({"vetoes": (replace(FAST, at_most=0.0),)}, "requirement 'fast': latency_ms is never below 0"),
        (
            {"vetoes": (Requirement(name="perfect", quantity="roc_auc", at_least=1.5),)},
            "requirement 'perfect': roc_auc is never above 1, so at_least 1.5 cannot be met",
        ),
        ({"name": EVERYBODY}, "choose another name"),
    ],
)
def test_wishes_that_cannot_be_added_up_are_refused_in_one_sentence(change, words):
    """The sentence names the stakeholder, what is wrong and the remedy."""
    with pytest.raises(InputError, match=words) as refused:
        check_stakeholders([replace(OPS, **change)])
    assert str(refused.value).startswith(f"stakeholder {change.get('name', 'ops')!r}: ")
    assert "\n" not in str(refused.value)


def test_weights_may_miss_1_by_rounding_alone():
    """Three thirds to seven digits are 1; to three digits they are not."""
    for third, fits in ((0.3333333, True), (0.333, False)):
        stakeholder = replace(OPS, weights={"roc_auc": third, "latency_ms": third, "size_mib": third})
        if fits:
            check_stakeholders([stakeholder])
        else:
            with pytest.raises(InputError, match=r"sum to 0\.999"):
                check_stakeholders([stakeholder])


def test_nobody_and_somebody_twice_are_refused():
    """At least one stakeholder, each with a name of their own."""
    with pytest.raises(InputError, match="names no stakeholders"):
        hear("adult", [], NAMES, readings(), [])
    with pytest.raises(InputError, match="two stakeholders are called 'ops'"):
        check_stakeholders([OPS, RESEARCH, OPS])


def test_money_is_not_counted_twice_or_converted(monkeypatch):
    """Two quantities in dollars overlap, and what is in dollars a month already is worth one a unit."""
    quantity = replace(QUANTITIES["usd_per_million"], name="net_value_usd_month", unit="USD/month", greater_is_better=True)
    monkeypatch.setattr("shipworthy.feasibility.stakeholders.QUANTITIES", {**QUANTITIES, "net_value_usd_month": quantity})
    boss = Stakeholder(name="boss", usd_month_per_unit={"net_value_usd_month": 1})
    check_stakeholders([boss])
    with pytest.raises(InputError, match="in US dollars a month already, so usd_month_per_unit must give it 1"):
        check_stakeholders([replace(boss, usd_month_per_unit={"net_value_usd_month": 2})])
    with pytest.raises(InputError, match="counts money twice, as net_value_usd_month and usd_per_million"):
        check_stakeholders([replace(boss, usd_month_per_unit={"net_value_usd_month": 1, "usd_per_million": 260})])


def test_who_values_what_was_not_measured_is_said_and_their_vetoes_still_count():
    """No candidate has a size: that stakeholder has no ranking, and a candidate without a latency cannot be the compromise."""
    keeper = Stakeholder(name="keeper", weights={"size_mib": 1.0}, vetoes=(FAST,))
    lawyer = Stakeholder(name="lawyer", vetoes=(FAST,))
    seen = {k: v for k, v in SEEN.items() if k != ("boost", "latency_ms")}
    found = hear("adult", [RESEARCH, OPS, keeper, lawyer], NAMES, readings(seen), [("keeper", verdict("vote", "missed"))])
    assert found.stakeholders == ("research", "ops")
    assert found.notes[0] == "keeper values size_mib, measured of no candidate, so has no ranking here."
    assert found.notes[1] == "lawyer states no wishes, only vetoes, so has no ranking."
    assert found.notes[2] == "Not everybody can rate boost: something that they value was not measured."
    assert found.survivors == ("line",)
    assert (found.rating("ops", "boost").rank, found.rating("research", "boost").rank) == (0, 2)


def test_one_candidate_and_nobody_who_ranks_are_no_errors():
    """A single candidate is its own compromise without regret; vetoes alone make no compromise."""
    alone = hear("adult", [RESEARCH, OPS], ["line"], readings(), [])
    assert (alone.compromise.candidate, alone.compromise.regret) == ("line", 0)
    assert math.isnan(alone.agreements[0].tau)
    assert alone.moves == ()
    silent = hear("adult", [Stakeholder(name="legal", vetoes=(FAST,))], NAMES, {}, [("legal", verdict("vote", "missed"))])
    assert (silent.compromise, silent.ratings, silent.vetoers("vote")) == (None, (), ("legal",))


# Where the values come from -------------------------------------------------------------------------------------------------


def record(quantity, statistic, value, **more):
    """A record of ``vote``; its interval is a tenth to each side where it has one."""
    ends = {"low": value - 0.1, "high": value + 0.1} if statistic != "oof" else {}
    return Record(**{"dataset": "adult", "candidate": "vote", "kind": "ensemble", "quantity": quantity, "statistic": statistic,
                     "value": value, "unit": "", "seed": 0, **ends, **more})  # fmt: skip


def test_accuracy_is_read_out_of_fold_and_latency_as_the_p99_of_single_queries():
    """What is chosen by test rows is flattered by them; batches and means of a latency are another quantity."""
    single = {"scenario": "single_stream", "batch_size": 1}
    found = read_values(
        [
            record("roc_auc", "test", 0.7),
            record("roc_auc", "oof", 0.6),
            record("latency_ms", "mean", 1.0, **single),
            record("latency_ms", "p99", 5.0, **single),
            record("latency_ms", "p99", 50.0, scenario="multi_stream", batch_size=64),
            record("roc_auc", "oof", 0.1, group="women"),
        ],
        ["roc_auc", "latency_ms"],
    )
    reading = found["vote", "roc_auc"]
    assert (reading.value, reading.low, reading.high) == pytest.approx((0.6, 0.5, 0.7))
    assert found["vote", "latency_ms"].value == 5.0
    assert set(found) == {("vote", "roc_auc"), ("vote", "latency_ms")}


def test_of_several_conditions_the_worst_counts_and_seeds_are_averaged():
    """A peak is that of the worst batch size, a throughput that of the slowest scenario, as for a requirement."""
    rows = [record("peak_memory_mib", "max", v, batch_size=b, seed=s) for v, b, s in ((10, 1, 0), (30, 64, 0), (50, 1, 1))]
    rows += [record("throughput_rows_s", "mean", v, scenario=s) for v, s in ((10, "single_stream"), (900, "offline"))]
    found = read_values(rows, ["peak_memory_mib", "throughput_rows_s"])
    assert found["vote", "peak_memory_mib"].value == 40
    assert found["vote", "throughput_rows_s"].value == 10


def test_vetoes_are_judged_as_requirements_are():
    """Seven hundred queries of 9 ms miss a p99 of 5 ms; a hundred of 1 ms leave it undecided."""
    here = Conditions("m", "v", 1, "single_stream", 1, 0, 30, "off", "lean", "0", 0.1)
    for value, n, outcome in ((9.0, 700, "missed"), (1.0, 100, "undecided"), (1.0, 700, "met")):
        measured = Measurement("vote", "adult", "latency_ms", (value,) * n, (0,) * n, here)
        ((owner, judged),) = judge_vetoes([RESEARCH, replace(OPS, vetoes=(FAST,))], "vote", "adult", [measured], [], level="x")
        assert (owner, judged.outcome, judged.level) == ("ops", outcome, "x")


# Properties -----------------------------------------------------------------------------------------------------------------


def panels(seed, *, money="none", n=5, stakeholders=4, quantities=3):
    """A panel of random values and weights; some weights are 0, one candidate may be out of the running."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(0, 10, (quantities, n)) * rng.choice([-1, 1], (quantities, 1))
    worth = rng.uniform(0, 1, (stakeholders, quantities)) * (rng.random((stakeholders, quantities)) < 0.7)
    worth[np.arange(stakeholders), rng.integers(0, quantities, stakeholders)] += 0.2
    in_money = {"none": np.zeros(stakeholders), "all": np.ones(stakeholders), "some": rng.random(stakeholders) < 0.5}[money]
    in_money = in_money.astype(bool)
    worth = np.where(in_money[:, None], worth * 100, worth / worth.sum(axis=1, keepdims=True))
    running = np.ones(n, bool)
    running[rng.integers(0, n)] = rng.random() < 0.5
    names = [tuple(f"{letter}{i}" for i in range(k)) for letter, k in (("s", stakeholders), ("c", n), ("q", quantities))]
    return Panel(*names, values, worth, in_money, running)


SEEDS = st.integers(0, 10**6)
MONEY = st.sampled_from(["none", "some", "all"])


@settings(max_examples=150)
@given(SEEDS, MONEY)
def test_own_picks_cost_nothing_and_the_compromise_costs_the_worst_off_least(seed, money):
    """Each stakeholder's pick has regret 0, no regret is negative, and nobody's worst regret is below the compromise's."""
    panel = panels(seed, money=money)
    regrets = panel.regrets()[:, panel.running]
    assert regrets.min(axis=1) == pytest.approx(np.zeros(len(regrets)))
    assert (regrets >= 0).all()
    worst = regrets.max(axis=0)
    chosen = panel.candidates[panel.decide()]
    running = [c for c, r in zip(panel.candidates, panel.running, strict=True) if r]
    assert worst[running.index(chosen)] <= worst.min() * (1 + 1e-9) + 1e-9


@settings(max_examples=100)
@given(SEEDS, st.floats(0.01, 1000), st.integers(0, 2))
def test_the_unit_of_a_quantity_changes_nothing(seed, factor, q):
    """Milliseconds or seconds: weights are of the step from worst to best, so scores, regrets and compromise stay."""
    panel = panels(seed)
    values = panel.values.copy()
    values[q] *= factor
    scaled = replace(panel, values=values)
    assert scaled.scores() == pytest.approx(panel.scores(), nan_ok=True)
    assert scaled.regrets() == pytest.approx(panel.regrets(), nan_ok=True)
    worst = np.sort(panel.regrets()[:, panel.running].max(axis=0))
    assume(worst[1] - worst[0] > 1e-6)
    assert scaled.decide() == panel.decide()


@settings(max_examples=60)
@given(SEEDS, MONEY, st.floats(0.01, 0.99))
def test_a_weight_moves_the_compromise_where_it_is_said_to_and_not_before(seed, money, part):
    """Asked again with the weight part of the way the compromise is the same; just beyond, it is the one that was named."""
    panel = panels(seed, money=money)
    for move in weight_moves(panel)[:6]:
        s, q = panel.stakeholders.index(move.whose), panel.quantities.index(move.what)

        def asked(weight, s=s, q=q):
            worth = panel.worth.copy()
            rest = 1 - worth[s, q]
            if not panel.money[s]:
                worth[s] *= (1 - weight) / rest
            worth[s, q] = weight
            return replace(panel, worth=worth)

        assert_moved(asked, move.before, move.after, move.becomes, part)


@settings(max_examples=60)
@given(SEEDS, MONEY, st.floats(0.01, 0.99))
def test_a_value_moves_the_compromise_where_it_is_said_to_and_not_before(seed, money, part):
    """The same for measured values: the scale is made anew from the changed value, as a new run would."""
    panel = panels(seed, money=money)
    signs = {q: 1 if (row > 0).all() else -1 for q, row in zip(panel.quantities, panel.values, strict=True)}
    for move in value_moves(panel, signs, {})[:6]:
        c, q = panel.candidates.index(move.whose), panel.quantities.index(move.what)

        def asked(value, c=c, q=q, sign=signs[move.what]):
            values = panel.values.copy()
            values[q, c] = sign * value
            return replace(panel, values=values)

        assert_moved(asked, move.before, move.after, move.becomes, part)


def assert_moved(asked, before, after, becomes, part):
    """Not before, and just beyond; a tie at the place itself, or one that is too near to see, is let be."""
    now = asked(before)
    then = asked(before + part * (after - before))
    assert then.decide() == now.decide()
    beyond = asked(after + 1e-6 * (after - before))
    worst = beyond.regrets()[:, beyond.running].max(axis=0)
    running = [c for c, r in zip(beyond.candidates, beyond.running, strict=True) if r]
    assert worst[running.index(becomes)] == pytest.approx(worst.min(), rel=1e-4, abs=1e-6)
    assert worst[running.index(now.candidates[now.decide()])] > worst.min()


@settings(max_examples=40)
@given(SEEDS, MONEY)
def test_no_weight_moves_the_compromise_that_is_not_named(seed, money):
    """Of a stakeholder and quantity without a move, no weight between 0 and 1 changes the compromise."""
    panel = panels(seed, money=money)
    named = {(m.whose, m.what) for m in weight_moves(panel)}
    for s, who in enumerate(panel.stakeholders):
        for q, what in enumerate(panel.quantities):
            if panel.money[s] or (who, what) in named or panel.worth[s, q] > 1 - 1e-9:
                continue
            for weight in np.linspace(0.001, 0.999, 12):
                worth = panel.worth.copy()
                worth[s] *= (1 - weight) / (1 - worth[s, q])
                worth[s, q] = weight
                assert replace(panel, worth=worth).decide() == panel.decide()
