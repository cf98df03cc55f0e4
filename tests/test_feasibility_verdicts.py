"""Ship, do not ship, cannot tell: the rule, its properties, and its behaviour on candidates that are the same."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipworthy.feasibility import Evidence, bigger_single, judge, picks, price, requirement_table
from shipworthy.feasibility.reasons import times
from shipworthy.records import Conditions, Interval, Measurement, Prices, Record, Requirement, Study

HERE = Conditions("m", "v", 1, "single_stream", 1, 0, 30, "off", "lean", "0", 0.1)
STUDY = Study(
    name="s",
    question="?",
    datasets=("adult",),
    candidates=("a",),
    smallest_useful_gain=0.005,
    requirements=(
        Requirement(name="fast", quantity="latency_ms", statistic="p99", at_most=50, scenario="single_stream"),
        Requirement(name="small", quantity="memory_mib", at_most=512),
    ),
    prices=Prices(as_of="2026-01-01", source="by hand", vcpu_hour_usd=0.04, gib_hour_usd=0.005),
)


def evidence(name, kind, score, *, oof=None, spread=0.0, ms=1.0, mib=50.0, queries=700, seed=0):
    """A candidate whose resampled scores scatter by ``spread`` around its score."""
    noise = np.random.default_rng(seed).normal(0, 1, 400)
    latency = Measurement(name, "adult", "latency_ms", (ms,) * queries, tuple(i % 2 for i in range(queries)), HERE)
    memory = Measurement(name, "adult", "memory_mib", (mib, mib), (0, 1), replace(HERE, scenario="none", batch_size=0))
    record = Record("adult", name, kind, "roc_auc", "test", score, "", 0, n=2000)
    return Evidence(
        name, kind, "plain", (score if oof is None else oof,), (score,), (score + spread * noise,), (latency, memory), (record,)
    )


def verdict(*candidates, study=STUDY):
    """The verdict for the first ensemble."""
    return judge(
        "adult", "", candidates, study, greater_is_better=True, test_share=0.25, noise_floor=1.1, rng=np.random.default_rng(0)
    )[0]


LOGISTIC = evidence("logistic", "single", 0.85)
BOOST = evidence("boost", "tree_ensemble", 0.90)


def test_a_clear_gain_within_all_requirements_ships():
    """The reason carries gain, interval and cost."""
    found = verdict(LOGISTIC, BOOST, evidence("vote", "ensemble", 0.92, spread=0.002, ms=5.0))
    assert found.answer == "ship"
    assert "gains 0.0200 ROC AUC over boost, the best tree ensemble" in found.reason
    assert "at about 5.0 times the p99 latency (4.5 to 5.5) and about 1.00 times the memory (" in found.reason
    assert ", not told apart from equal). It meets" in found.reason
    assert "It meets all 2 requirements." in found.reason


def test_a_gain_of_exactly_the_smallest_useful_one_ships():
    """At least means at least."""
    study = replace(STUDY, smallest_useful_gain=0.25)
    found = verdict(
        evidence("l", "single", 0.25), evidence("b", "tree_ensemble", 0.5), evidence("v", "ensemble", 0.75), study=study
    )
    assert found.answer == "ship"


def test_a_vote_of_one_member_is_said_to_score_as_that_member_does():
    """Where no resample tells them apart, no interval is recited: it gains nothing, and what it costs is said."""
    boost = evidence("boost", "tree_ensemble", 0.90, spread=0.002, seed=1)
    found = verdict(LOGISTIC, boost, evidence("vote", "ensemble", 0.90, spread=0.002, seed=1))
    assert found.answer == "do not ship"
    copy = "It gains nothing: on every resample of the test rows it scores exactly as boost, the best tree ensemble, at about 1.0"
    assert copy in found.reason


def test_a_gain_over_one_baseline_only_does_not_ship():
    """It has to beat the best tree ensemble too."""
    found = verdict(LOGISTIC, BOOST, evidence("vote", "ensemble", 0.901, spread=0.001))
    assert found.answer == "do not ship"
    assert "below the smallest useful 0.005" in found.reason


def test_a_missed_requirement_does_not_ship_whatever_the_gain():
    """The reason begins with the requirement."""
    found = verdict(LOGISTIC, BOOST, evidence("vote", "ensemble", 0.99, ms=80.0))
    assert found.answer == "do not ship"
    assert found.reason.startswith("It misses 'fast': p99 of 80 ms")
    assert "That is 1.6 times the limit. Cheapest known change: no measured change would make it met; a limit of" in found.reason
    assert "Its gain alone would be enough. Decided by the paired bootstrap on the test rows, at 95 %." in found.reason


def test_a_wide_interval_cannot_tell_and_says_how_many_rows_would():
    """A gain of 0.010 +- 0.0196 needs (0.0196/0.005)^2 times the rows."""
    found = verdict(LOGISTIC, BOOST, evidence("vote", "ensemble", 0.91, spread=0.01))
    gain = found.comparisons[1].gain
    more = int(np.ceil(2000 * (((gain.value - gain.low) / 0.005) ** 2 - 1)))
    assert found.answer == "cannot tell"
    # It is reckoned from a gain that is not known to five digits: the next number of two.
    assert more > 1000
    assert f"about {-(-more // 1000) * 1000:,} more test rows (now 2,000)" in found.reason


def several(name, kind, test_scores, spread=0.0):
    """A candidate with a score for each of several seeds."""
    noise = np.random.default_rng(0).normal(0, 1, 400)
    one = evidence(name, kind, 0.9)
    resampled = tuple(s + spread * noise for s in test_scores)
    return replace(one, oof_scores=tuple(test_scores), test_scores=tuple(test_scores), resampled=resampled)


def test_where_seeds_decided_it_says_how_many_more_seeds_would_tell():
    """So many seeds, and not one fewer, bring Nadeau and Bengio's half-width down to the distance."""
    from scipy.stats import t

    gains = np.array([0.006, 0.010, 0.014])
    base = several("boost", "tree_ensemble", [0.9] * 3)
    reason = verdict(base, several("vote", "ensemble", 0.9 + gains)).reason
    assert "test rows" not in reason
    found = int(re.search(r"about ([\d,]+) more seeds? \(now 3\)", reason).group(1)) + 3

    def half(k):
        return t.ppf(0.975, k - 1) * np.sqrt(1 / k + 0.25) * gains.std(ddof=1)

    assert half(found) <= 0.005 < half(found - 1)


def test_where_no_number_of_seeds_would_tell_it_says_so():
    """The overlap of training rows leaves an interval that no seeds narrow."""
    base = several("boost", "tree_ensemble", [0.9] * 3)
    reason = verdict(base, several("vote", "ensemble", 0.9 + np.array([-0.014, 0.006, 0.026]))).reason
    assert "No number of seeds would tell over boost" in reason


def test_where_the_test_rows_decided_over_several_seeds_it_asks_for_rows():
    """The bootstrap was wider than the spread of the seeds."""
    base = several("boost", "tree_ensemble", [0.9] * 3)
    found = verdict(base, several("vote", "ensemble", [0.909, 0.910, 0.911], spread=0.01))
    assert "by a paired bootstrap" in found.comparisons[0].gain.how
    assert "more test rows (now 2,000)" in found.reason


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ((7.83, 3.9, 12.3), "about 8 times the p99 (4 to 12)"),
        ((1.309, 1.3, 1.32), "about 1.31 times the p99 (1.30 to 1.32)"),
        ((1.2, 0.8, 1.7), "about 1.2 times the p99 (0.8 to 1.7, not told apart from equal)"),
        ((3.14, 0.0, np.inf), "about 3.1 times the p99 (measured once, so the noise is not known)"),
    ],
)
def test_a_ratio_has_no_more_digits_than_its_interval_allows(ends, words):
    """The half-width's leading digit is the last that is told."""
    assert times(Interval(*ends, 0.95, "by hand"), "p99") == words


def test_too_few_queries_cannot_tell_and_say_how_many_more():
    """One hundred queries need 359 more."""
    found = verdict(LOGISTIC, BOOST, evidence("vote", "ensemble", 0.95, queries=100))
    assert found.answer == "cannot tell"
    assert "359 more with none over it" in found.reason


def test_a_verdict_keeps_apart_what_would_tell():
    """Of rows for a gain, of queries for a cost and for a limit: whole sentences of the reason; none where it is answered."""
    open_gain = verdict(LOGISTIC, BOOST, evidence("vote", "ensemble", 0.91, spread=0.01))
    (rows,) = open_gain.would_tell
    assert re.fullmatch(r"If the gain stays as it is, about [\d,]+ more test rows \(now 2,000\) would tell over boost\.", rows)
    few = verdict(LOGISTIC, BOOST, evidence("vote", "ensemble", 0.92, spread=0.001, queries=100))
    (queries,) = few.would_tell
    assert queries.startswith("Undecided is 'fast': ")
    dear = replace(STUDY, largest_latency_ratio=5.0)
    (cost,) = verdict(LOGISTIC, BOOST, evidence("vote", "ensemble", 0.99, ms=5.0), study=dear).would_tell[1:]
    assert "times the p99 latency of boost cannot be told from the largest tolerable 5 times" in cost
    for found in (open_gain, few):
        assert all(sentence in found.reason for sentence in found.would_tell)
    for given_ in (0.92, 0.901, 0.5):
        found = verdict(LOGISTIC, BOOST, evidence("vote", "ensemble", given_, spread=0.001))
        assert found.answer != "cannot tell"
        assert found.would_tell == ()


def test_baselines_are_chosen_on_out_of_fold_rows():
    """A single that shines on test rows only is not the baseline."""
    lucky = evidence("lucky", "single", 0.99, oof=0.5)
    found = verdict(LOGISTIC, lucky, BOOST, evidence("vote", "ensemble", 0.92))
    assert [c.baseline for c in found.comparisons] == ["logistic", "boost"]


@pytest.mark.parametrize("lower", [False, True])
def test_what_beats_it_on_test_rows_alone_is_a_doubt(lower):
    """A gain does not ship past a simpler candidate that out-of-fold rows misjudged; one that is worse is no doubt."""
    sign = -1 if lower else 1

    def asked(name, kind, score, oof):
        return evidence(name, kind, sign * score, oof=sign * oof, spread=0.0005)

    def found(other):
        candidates = (asked("l", "single", 0.85, 0.85), asked("b", "tree_ensemble", 0.9, 0.9), asked("v", "ensemble", 0.92, 0.92))
        study = replace(STUDY, metric="log_loss" if lower else "roc_auc")
        rng = np.random.default_rng(0)
        how = {"greater_is_better": not lower, "test_share": 0.25, "noise_floor": 1.1, "rng": rng}
        return judge("adult", "", (*candidates, other), study, **how)[0]

    assert found(asked("near", "single", 0.919, 0.5)).answer == "ship"
    doubted = found(asked("lucky", "single", 0.95, 0.5))
    assert doubted.answer == "cannot tell"
    shown = "(-0.9500 against -0.9200 log loss)" if lower else "(0.9500 against 0.9200 ROC AUC)"
    assert f"But lucky, a single model that others beat out of fold, scores better than it on test rows {shown}" in doubted.reason
    assert found(asked("forest", "tree_ensemble", 0.93, 0.6)).answer == "cannot tell"


def test_without_a_tree_ensemble_it_is_compared_with_what_there_is_and_says_so():
    """The missing comparison is named."""
    found = verdict(LOGISTIC, evidence("vote", "ensemble", 0.92))
    assert found.answer == "ship"
    assert "no scored tree ensemble" in found.reason


def test_alone_an_ensemble_cannot_be_judged():
    """There is nothing to gain over."""
    assert verdict(evidence("vote", "ensemble", 0.92)).answer == "cannot tell"


def test_an_ensemble_that_was_not_trained_cannot_be_judged():
    """A failed unit is no verdict."""
    failed = replace(evidence("vote", "ensemble", 0.92), oof_scores=(), test_scores=(), resampled=())
    found = verdict(LOGISTIC, BOOST, failed)
    assert found.answer == "cannot tell"
    assert "It was not scored." in found.reason


def test_every_ensemble_gets_a_verdict_and_no_other_candidate():
    """One verdict an ensemble, in order."""
    candidates = [LOGISTIC, evidence("stack", "ensemble", 0.9), BOOST, evidence("vote", "ensemble", 0.9)]
    found = judge(
        "adult", "x", candidates, STUDY, greater_is_better=True, test_share=0.2, noise_floor=1.0, rng=np.random.default_rng(0)
    )
    assert [v.candidate for v in found] == ["stack", "vote"]


@settings(max_examples=40, deadline=None)
@given(st.floats(0.5, 0.99), st.floats(0, 0.05), st.floats(1e-6, 0.1))
def test_an_ensemble_identical_to_its_baselines_is_never_shipped(score, spread, margin):
    """A gain of nothing is no gain."""
    twins = [evidence(k, k, score, spread=spread) for k in ("single", "tree_ensemble", "ensemble")]
    assert verdict(*twins, study=replace(STUDY, smallest_useful_gain=margin)).answer == "do not ship"


@settings(max_examples=60, deadline=None)
@given(st.floats(0.8, 0.99), st.floats(0, 0.02), st.floats(1e-4, 0.05), st.floats(1, 10))
def test_asking_for_more_never_turns_do_not_ship_into_ship(score, spread, margin, factor):
    """A wider smallest useful gain moves answers one way only."""
    order = ["do not ship", "cannot tell", "ship"]
    candidates = (LOGISTIC, BOOST, evidence("vote", "ensemble", score, spread=spread))
    before, after = (
        order.index(verdict(*candidates, study=replace(STUDY, smallest_useful_gain=m)).answer) for m in (margin, margin * factor)
    )
    assert after <= before


def test_of_300_pairs_that_are_equally_good_chance_ships_few():
    """Equally good models, different errors, a tiny margin: the 2.5 % of a 95 % interval, and what chance adds."""
    rng = np.random.default_rng(7)
    study = replace(STUDY, smallest_useful_gain=1e-6, requirements=())
    shipped, n = 0, 300
    for _ in range(300):
        shared = rng.normal(0.9, 0.1, n)
        weights = rng.multinomial(n, np.full(n, 1 / n), size=300)
        candidates = []
        for name, kind in (("boost", "tree_ensemble"), ("vote", "ensemble")):
            rows = shared + rng.normal(0, 0.05, n)
            candidates.append(Evidence(name, kind, "plain", (0.9,), (rows.mean(),), (weights @ rows / n,), (), ()))
        shipped += verdict(*candidates, study=study).answer == "ship"
    assert shipped <= 15


def test_several_seeds_pair_their_rounds():
    """Latency ratios are taken within the same round of the same seed."""
    one = evidence("vote", "ensemble", 0.92, ms=4.0)
    two = evidence("boost", "tree_ensemble", 0.90, ms=2.0)
    both = []
    for e, ms in ((one, 9.0), (two, 3.0)):
        latency, memory = e.measurements
        again = replace(latency, values=(ms,) * 700, conditions=replace(HERE, seed=3))
        twice = {f: getattr(e, f) * 2 for f in ("oof_scores", "test_scores", "resampled")}
        both.append(replace(e, measurements=(latency, again, memory), **twice))
    ratio = verdict(*both).comparisons[0].latency_ratio
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((3, 2 / 1.1, 3 * 1.1))


def test_the_benchmark_chaser_takes_the_best_and_the_requirements_take_the_cheapest_that_is_near():
    """The boost is within 0.005 of vote and cheaper; logistic is cheaper still but too far off; stack is too slow."""
    candidates = [
        LOGISTIC,
        evidence("boost", "tree_ensemble", 0.917, ms=2.0),
        evidence("vote", "ensemble", 0.92, ms=8.0),
        evidence("stack", "ensemble", 0.95, ms=80.0),
    ]
    table = requirement_table("adult", candidates, STUDY)
    found = picks("adult", "", candidates, table, STUDY)
    assert found["benchmark_chaser"]["candidate"] == "stack"
    assert found["requirements"]["candidate"] == "boost"
    assert "Missing a requirement: stack." in found["requirements"]["reason"]
    assert json.loads(json.dumps(found)) == found


def test_prices_that_hardly_differ_are_ties_and_the_simplest_wins():
    """A single model before a tree ensemble before an ensemble, then the best score, then the name; the sentence says so."""
    candidates = [
        evidence("boost", "tree_ensemble", 0.92, ms=1.0),
        evidence("line", "single", 0.918, ms=1.2),
        evidence("tree", "single", 0.917, ms=1.1),
        evidence("vote", "ensemble", 0.92, ms=1.05),
        evidence("stack", "ensemble", 0.92, ms=9.0),
    ]
    table = requirement_table("adult", candidates, STUDY)
    found = picks("adult", "", candidates, table, STUDY)["requirements"]
    assert found["candidate"] == "line"
    assert "within 1.25 times the cheapest are ties, here with boost, vote, tree" in found["reason"]
    assert "Also near, but dearer: stack." in found["reason"]
    assert "within 10 times" in picks("adult", "", candidates, table, STUDY, noise_floor=10)["requirements"]["reason"]
    for unknown in (np.inf, np.nan):
        assert picks("adult", "", candidates, table, STUDY, noise_floor=unknown)["requirements"] == found
    with pytest.raises(ValueError, match="noise_floor"):
        picks("adult", "", candidates, table, STUDY, noise_floor=0.5)


def test_a_tie_is_only_among_those_that_are_near_the_best():
    """A cheap candidate that is far off neither wins nor sets the tolerance."""
    candidates = [evidence("prior", "single", 0.5, ms=0.01), evidence("boost", "tree_ensemble", 0.92, ms=1.0)]
    found = picks("adult", "", candidates, requirement_table("adult", candidates, STUDY), STUDY)["requirements"]
    assert found["candidate"] == "boost"
    assert "is the cheapest" in found["reason"]
    assert "ROC AUC" in found["reason"]
    assert "roc_auc" not in found["reason"]


def test_undecided_counts_as_not_met_and_the_pick_says_so():
    """Where nothing is shown to meet every requirement, nothing is picked."""
    candidates = [evidence("vote", "ensemble", 0.92, queries=50)]
    found = picks("adult", "", candidates, requirement_table("adult", candidates, STUDY), STUDY)
    assert found["requirements"]["candidate"] is None
    assert "Undecided on one, which counts as not met: vote." in found["requirements"]["reason"]


def test_a_pick_needs_every_requirement_judged():
    """A forgotten verdict is not a met one."""
    with pytest.raises(ValueError, match="not judged by every requirement"):
        picks("adult", "", [BOOST], requirement_table("adult", [BOOST], STUDY)[:1], STUDY)


def test_a_candidate_without_measurements_has_no_price():
    """nan, not zero."""
    assert np.isnan(price(replace(LOGISTIC, measurements=()), STUDY))
    assert price(BOOST, STUDY) > 0


def test_the_verdict_is_the_same_twice():
    """Same evidence, same generator, same words."""
    candidates = (LOGISTIC, BOOST, evidence("vote", "ensemble", 0.92, spread=0.01))
    assert verdict(*candidates) == verdict(*candidates)


def beside(*candidates, floor=1.0):
    """What is said of the bigger single beside the ensembles."""
    rng = np.random.default_rng(0)
    return bigger_single("big", candidates, STUDY, noise_floor=floor, test_share=0.25, rng=rng)


def test_the_bigger_single_is_set_beside_every_ensemble():
    """A third of the latency, by hand; the gain is paired, and its words follow the smallest useful gain."""
    big = evidence("big", "tree_ensemble", 0.915, ms=2.0)
    vote, stack = evidence("vote", "ensemble", 0.92, ms=6.0), evidence("stack", "ensemble", 0.90, ms=4.0)
    one, two = beside(LOGISTIC, big, vote, stack)
    assert (one["ensemble"], two["ensemble"]) == ("vote", "stack")
    assert one["share"] == pytest.approx(1 / 3)
    assert one["gain"] == pytest.approx(-0.005)
    assert one["sentence"].startswith("big takes 0.33 [0.33, 0.33] of vote's p50 latency, and its ROC AUC is 0.0050 worse")
    assert two["share"] == pytest.approx(0.5)
    assert two["sentence"].endswith("its ROC AUC is 0.0150 better [+0.0150, +0.0150]: a useful gain over the ensemble.")
    (equal,) = beside(big, evidence("vote", "ensemble", 0.916, ms=6.0))
    assert equal["sentence"].endswith("no useful difference (smallest useful 0.005).")
    (unsure,) = beside(big, evidence("vote", "ensemble", 0.92, ms=6.0, spread=0.01))
    assert unsure["sentence"].endswith("whether that is a useful difference (0.005) cannot be told.")


def test_the_share_of_the_bigger_single_is_as_wide_as_the_noise():
    """The floor widens the interval; an unknown one is said, and an unmeasured side too; without it nothing is said."""
    big, vote = evidence("big", "tree_ensemble", 0.91, ms=2.0), evidence("vote", "ensemble", 0.92, ms=4.0)
    (wide,) = beside(big, vote, floor=1.25)
    assert (wide["share_low"], wide["share_high"]) == pytest.approx((0.4, 0.625))
    assert "give or take a noise that is not known" in beside(big, vote, floor=np.inf)[0]["sentence"]
    assert beside(big, replace(vote, measurements=()))[0]["sentence"].startswith(
        "How much of vote's p50 latency big takes was not measured"
    )
    assert beside(LOGISTIC, vote) == []
