"""Costs, requirements that differ by data set, group and weight, how far off a limit is, and what would change it."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipworthy.feasibility import (
    Evidence,
    assess,
    check_requirement,
    check_requirements,
    judge,
    picks,
    requirement_table,
    times_off,
    weighted_score,
)
from shipworthy.feasibility.power import queries_to_tell
from shipworthy.records import Conditions, InputError, Interval, Measurement, Prices, Record, Requirement, Study

HERE = Conditions("m", "v", 1, "single_stream", 1, 0, 30, "off", "lean", "0", 0.1, artefact="aaaa")
P99 = Requirement(name="fast", quantity="latency_ms", statistic="p99", at_most=50, scenario="single_stream")
SMALL = Requirement(name="small", quantity="peak_memory_mib", statistic="max", at_most=512)
AUC = Requirement(name="good", quantity="roc_auc", at_least=0.9)
STUDY = Study(
    name="s",
    question="?",
    datasets=("adult", "flights"),
    candidates=("a",),
    smallest_useful_gain=0.005,
    prices=Prices(as_of="2026-01-01", source="by hand", vcpu_hour_usd=0.04, gib_hour_usd=0.005),
)


def timed(name, ms, quantity="latency_ms", n=700, **conditions):
    """Equal values in two rounds."""
    return Measurement(name, "adult", quantity, (float(ms),) * n, tuple(i % 2 for i in range(n)), replace(HERE, **conditions))


def evidence(name, kind, score, ms=1.0, *, mib=50.0, metric="roc_auc", more=(), artefacts=("aaaa",), route="plain"):
    """A candidate whose score has no chance in it."""
    memory = timed(name, mib, "memory_mib", 2, scenario="none", batch_size=0)
    record = Record("adult", name, kind, metric, "test", score, "", 0, score, score, n=2000)
    scores = (score,), (score,), (np.full(400, score),)
    return Evidence(name, kind, route, *scores, (timed(name, ms), memory, *more), (record,), artefacts)


def judged(*candidates, study=STUDY, floor=1.1, greater=True):
    """The verdict for the first ensemble."""
    rng = np.random.default_rng(0)
    return judge("adult", "", candidates, study, greater_is_better=greater, test_share=0.25, noise_floor=floor, rng=rng)[0]


LOGISTIC, BOOST = evidence("logistic", "single", 0.85), evidence("boost", "tree_ensemble", 0.9)
ORDER = ["do not ship", "cannot tell", "ship"]


# Costs -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "answer", "words"),
    [
        (
            4.0,
            "do not ship",
            "About 5.0 (4.5 to 5.5) times the p99 latency of logistic is more than the largest tolerable 4 times.",
        ),
        (5.2, "cannot tell", "cannot be told from the largest tolerable 5.2 times"),
        (6.0, "ship", "It keeps to the largest tolerable 6 times the p99 latency of logistic and of boost."),
    ],
)
def test_a_cost_is_held_against_the_largest_tolerable_one(limit, answer, words):
    """Five times the p99, known to a factor of 1.1: wholly above 4, around 5.2, wholly below 6."""
    vote = evidence("vote", "ensemble", 0.95, 5.0)
    found = judged(LOGISTIC, BOOST, vote, study=replace(STUDY, largest_latency_ratio=limit))
    assert (found.answer, words in found.reason) == (answer, True), found.reason
    memory = judged(LOGISTIC, BOOST, replace_memory(vote, 250.0), study=replace(STUDY, largest_memory_ratio=limit), floor=1.0)
    assert memory.answer == ("do not ship" if limit < 5 else "ship")


def replace_memory(e, mib):
    """The same candidate with another memory."""
    return replace(e, measurements=(e.measurements[0], timed(e.candidate, mib, "memory_mib", 2, scenario="none", batch_size=0)))


def test_a_cost_must_be_tolerable_against_both_baselines():
    """Twice the boost's p99 is tolerable, ten times the line's is not."""
    candidates = evidence("line", "single", 0.85, 1.0), evidence("boost", "tree_ensemble", 0.9, 5.0)
    found = judged(*candidates, evidence("vote", "ensemble", 0.95, 10.0), study=replace(STUDY, largest_latency_ratio=3.0))
    assert found.answer == "do not ship"
    assert "of line is more than" in found.reason
    assert "of boost is more than" not in found.reason


def test_a_cost_that_was_not_measured_cannot_be_tolerated():
    """No measurement, no claim."""
    bare = replace(evidence("vote", "ensemble", 0.95), measurements=())
    found = judged(LOGISTIC, BOOST, bare, study=replace(STUDY, largest_latency_ratio=3.0))
    assert found.answer == "cannot tell"
    assert "is not known (latency_ms of vote was not measured)" in found.reason


def test_how_many_queries_would_tell_a_cost_by_hand():
    """A ratio of 4 up to 16 against a limit of 8, no noise: half the logarithm, so four times the queries."""
    ratio = Interval(4.0, 1.0, 16.0, 0.95, "by hand")
    assert queries_to_tell(ratio, 8.0, (4.0, 4.0), 1.0, 100).more == 300
    # Noise of a factor of 2 reaches the limit by itself, and so do rounds that differ by that much.
    assert math.isinf(queries_to_tell(ratio, 8.0, (4.0, 4.0), 2.0, 100).more)
    assert math.isinf(queries_to_tell(ratio, 8.0, (4.0, 8.0), 1.0, 100).more)


@settings(max_examples=40)
@given(st.floats(0.5, 20), st.floats(1, 4), st.floats(1, 12), st.floats(0.89, 0.95))
def test_tolerating_more_never_turns_ship_into_anything_worse(limit, factor, ms, score):
    """A looser cost limit moves answers one way only."""
    candidates = LOGISTIC, BOOST, evidence("vote", "ensemble", score, ms)
    strict, loose = (
        ORDER.index(judged(*candidates, study=replace(STUDY, largest_latency_ratio=x)).answer) for x in (limit, limit * factor)
    )
    assert loose >= strict


@settings(max_examples=40)
@given(st.floats(1e-4, 0.1), st.floats(1, 10), st.floats(0.85, 0.99), st.sampled_from([None, 3.0]))
def test_a_wider_smallest_useful_gain_never_turns_do_not_ship_into_ship(margin, factor, score, largest):
    """With costs declared or not, asking for more gain moves answers one way only."""
    candidates = LOGISTIC, BOOST, evidence("vote", "ensemble", score, 2.0)
    studies = [replace(STUDY, smallest_useful_gain=m, largest_latency_ratio=largest) for m in (margin, margin * factor)]
    before, after = (ORDER.index(judged(*candidates, study=s).answer) for s in studies)
    assert after <= before


@pytest.mark.parametrize("metric", ["rmse", "mae", "log_loss"])
def test_a_metric_that_is_better_when_smaller_is_judged_the_other_way_round(metric):
    """An error of 3 against 5 and 4 gains 2 and 1."""
    study = replace(STUDY, metric=metric, smallest_useful_gain=0.5)
    sides = [("line", "single", 5.0), ("boost", "tree_ensemble", 4.0), ("vote", "ensemble", 3.0)]
    found = judged(*(evidence(*side, metric=metric) for side in sides), study=study, greater=False)
    assert found.answer == "ship"
    assert [c.gain.value for c in found.comparisons] == [2.0, 1.0]
    worse = judged(*(evidence(n, k, 8 - s, metric=metric) for n, k, s in sides), study=study, greater=False)
    assert worse.answer == "do not ship"


# Requirements ----------------------------------------------------------------------------------------------------------------


def test_a_requirement_that_names_a_data_set_is_judged_there_alone():
    """On adult it is not in the table, does not veto, and is not asked of a pick."""
    study = replace(STUDY, requirements=(replace(P99, dataset="flights", at_most=1e-6), replace(P99, name="here")))
    candidates = [LOGISTIC, BOOST, evidence("vote", "ensemble", 0.95)]
    table = requirement_table("adult", candidates, study)
    assert {r.requirement for r in table} == {"here"}
    assert judged(*candidates, study=study).answer == "ship"
    assert picks("adult", "", candidates, table, study)["requirements"]["candidate"] == "vote"


def test_a_requirement_of_a_group_is_judged_by_the_records_of_that_group():
    """The group's own score decides, not that of all rows; without a record of it nothing does."""
    women = replace(AUC, group="Female")
    records = [
        Record("adult", "vote", "ensemble", "roc_auc", "test", v, "", 0, v, v, n=9, group=g)
        for v, g in ((0.95, ""), (0.8, "Female"))
    ]
    assert assess(women, "vote", "adult", [], records).outcome == "missed"
    assert assess(AUC, "vote", "adult", [], records).outcome == "met"
    alone = assess(women, "vote", "adult", [], records[:1])
    assert (alone.outcome, alone.reason) == ("undecided", "ROC AUC was not measured for the group 'Female'")


def test_a_weighted_requirement_counts_but_does_not_veto():
    """Missed with weight 1, met with weight 3: it ships, with 75 %; the same limit without a weight forbids it."""
    soft = (replace(P99, name="very fast", at_most=0.5, weight=1.0), replace(P99, weight=3.0))
    candidates = LOGISTIC, BOOST, evidence("vote", "ensemble", 0.95)
    found = judged(*candidates, study=replace(STUDY, requirements=soft))
    assert (found.answer, found.weighted_score) == ("ship", 0.75)
    assert "Of 2 weighted requirements it meets 1, by weight 75 % ('very fast' is missed)." in found.reason
    hard = judged(*candidates, study=replace(STUDY, requirements=(replace(soft[0], weight=None), soft[1])))
    assert (hard.answer, hard.weighted_score) == ("do not ship", 1.0)
    table = requirement_table("adult", candidates, replace(STUDY, requirements=soft))
    assert picks("adult", "", candidates, table, replace(STUDY, requirements=soft))["requirements"]["candidate"] == "vote"
    assert math.isnan(weighted_score([]))


@pytest.mark.parametrize(
    ("requirement", "observed", "factor"),
    [
        (P99, 75.0, 1.5),
        (P99, 25.0, 0.5),
        (AUC, 0.6, 1.5),
        (AUC, 0.0, math.inf),
        (replace(AUC, quantity="r2", at_least=0.5), -1.0, math.inf),
        (replace(AUC, quantity="r2", at_least=-1.0), -2.0, 2.0),
        (replace(AUC, quantity="r2", at_least=-1.0), 0.5, 0.0),
        (P99, math.nan, math.nan),
    ],
)
def test_how_far_off_by_hand(requirement, observed, factor):
    """Observed over an upper limit, a lower limit over observed."""
    assert times_off(requirement, observed) == pytest.approx(factor, nan_ok=True)


@settings(max_examples=60)
@given(st.floats(0.01, 1000), st.floats(0.01, 1000), st.floats(1, 5), st.booleans())
def test_what_is_missed_is_off_by_more_than_1_and_loosening_never_turns_met_into_missed(value, limit, factor, upper):
    """For both directions of a limit."""
    facts = {"name": "r", "quantity": "latency_ms" if upper else "throughput_rows_s", "scenario": "single_stream"}
    sides = [{"at_most": limit}, {"at_most": limit * factor}] if upper else [{"at_least": limit}, {"at_least": limit / factor}]
    measured = [timed("vote", value, facts["quantity"], 10)]
    tight, loose = (assess(Requirement(**facts, **side), "vote", "adult", measured, []) for side in sides)
    assert tight.outcome != "missed" or tight.times_off > 1
    assert not (tight.outcome == "met" and loose.outcome != "met")
    assert loose.times_off <= tight.times_off * (1 + 1e-12)


def test_what_was_measured_on_another_artefact_is_not_called_met():
    """Neither a limit nor a tolerable cost is kept by a file that would not be shipped; the record says which was measured."""
    own = assess(P99, "vote", "adult", [timed("vote", 1.0)], [], artefacts=("aaaa",))
    assert (own.outcome, own.artefact) == ("met", "aaaa")
    other = assess(P99, "vote", "adult", [timed("vote", 1.0)], [], artefacts=("bbbb",))
    assert (other.outcome, other.artefact) == ("undecided", "aaaa")
    assert "measured on artefact aaaa, which is not the one to be shipped" in other.reason
    mean = replace(P99, statistic="mean")
    record = Record("adult", "vote", "ensemble", "latency_ms", "mean", 1.0, "ms", 0, 1.0, 1.0, 9, scenario="single_stream")
    record = replace(record, batch_size=1, conditions=json.dumps({"artefact": "aaaa"}))
    assert assess(mean, "vote", "adult", [], [record], artefacts=("bbbb",)).outcome == "undecided"
    vote = evidence("vote", "ensemble", 0.95, artefacts=("bbbb",))
    found = judged(LOGISTIC, BOOST, vote, study=replace(STUDY, largest_latency_ratio=9.0))
    assert found.answer == "cannot tell"
    assert "another artefact" in found.reason


# The cheapest known change ---------------------------------------------------------------------------------------------------


def change(requirement, *candidates, elsewhere=(), study=STUDY):
    """What would make the first candidate meet the one requirement."""
    study = replace(study, requirements=(requirement,))
    return requirement_table("adult", candidates, study, elsewhere=elsewhere)[0].change


def test_a_smaller_batch_is_the_first_change_looked_for():
    """Memory is too much at 4,096 rows at a time, and enough at 64; a candidate that fits is not even looked at."""
    peaks = [
        timed("vote", mib, "peak_memory_mib", 2, scenario="none", batch_size=b) for b, mib in ((1, 90), (64, 300), (4096, 900))
    ]
    boost = evidence(
        "boost", "tree_ensemble", 0.95, more=(timed("boost", 9, "peak_memory_mib", 2, scenario="none", batch_size=1),)
    )
    assert change(SMALL, evidence("vote", "ensemble", 0.95, more=peaks), boost) == "a batch size of 64 meets it"
    fixed = replace(SMALL, batch_size=4096)
    said = change(fixed, evidence("vote", "ensemble", 0.95, more=peaks))
    assert said == "a batch size of 64 in place of 4,096 meets it"


def test_other_threads_count_where_the_same_artefact_was_measured_with_them():
    """Two threads keep the limit; of another artefact they would say nothing."""
    slow = evidence("vote", "ensemble", 0.95, 80.0)
    twice = replace(slow, measurements=(timed("vote", 30.0, threads=2), timed("vote", 20.0, threads=4)))
    assert change(P99, slow, elsewhere=[twice]) == "2 threads meet it"
    other = replace(slow, measurements=(timed("vote", 30.0, threads=2, artefact="bbbb"),))
    assert "threads" not in change(P99, slow, elsewhere=[other])


def test_another_route_comes_before_another_candidate():
    """The same candidate, compiled, keeps the limit."""
    slow, compiled = (evidence("vote", "ensemble", 0.95, ms, route=r) for ms, r in ((80.0, "plain"), (9.0, "compiled")))
    study = replace(STUDY, requirements=(P99,))
    from shipworthy.feasibility import cheapest_change

    able = [compiled, evidence("boost", "tree_ensemble", 0.95)]
    assert cheapest_change(P99, "adult", slow, able, study) == "the route compiled of the same candidate meets it"


def test_the_cheapest_candidate_that_is_near_enough_is_named():
    """The line is cheapest but too far off, the forest is near but dearer than the boost."""
    slow = evidence("vote", "ensemble", 0.95, 80.0)
    others = (
        evidence("line", "single", 0.9, 0.1),
        evidence("forest", "tree_ensemble", 0.96, 9.0),
        evidence("boost", "tree_ensemble", 0.947),
    )
    assert change(P99, slow, *others) == "boost meets it, and loses only 0.003 ROC AUC out of fold"
    assert change(P99, slow, others[1]) == "forest meets it, and loses no ROC AUC out of fold"


def test_failing_all_the_limit_that_would_be_kept_is_told_and_is_kept():
    """It is rounded to the side on which it holds; where no limit could be shown, nothing is made up."""
    said = change(P99, evidence("vote", "ensemble", 0.95, 87.3123))
    assert said == "no measured change would make it met; a limit of at most 87.4 ms would be met"
    assert change(P99, evidence("vote", "ensemble", 0.95, 87.4)).endswith("at most 87.4 ms would be met")
    assert change(AUC, evidence("vote", "ensemble", 0.8567)).endswith("a limit of at least 0.856 would be met")
    few = replace(evidence("vote", "ensemble", 0.95), measurements=(timed("vote", 80.0, n=100),))
    assert change(P99, few) == "no measured change would make it met"
    assert change(P99, evidence("vote", "ensemble", 0.95, 1.0)) == ""


# What contradicts itself -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({}, True),
        ({"statistic": "p95"}, True),
        ({"statistic": "max"}, False),
        ({"at_least": 5.0}, False),
        ({"scenario": "none"}, True),
        ({"scenario": "offline"}, False),
        ({"dataset": "flights"}, True),
        ({"batch_size": 64}, True),
        ({"group": "Female"}, False),
    ],
)
def test_two_limits_that_nothing_could_meet_are_refused_in_one_sentence(changes, refused):
    """At most 5 and at least 10 of one thing; a limit on a lower percentile binds the higher one, and what is open overlaps."""
    upper = replace(P99, at_most=5.0)
    lower = replace(P99, name="slow", at_most=None, at_least=10.0)
    pair = [replace(lower, **changes), upper]
    if not refused:
        check_requirements(pair)
        return
    with pytest.raises(InputError, match="requirements 'slow' and 'fast' contradict each other") as caught:
        check_requirements(pair)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("quantity", "words"),
    [
        ("latency_s", "it is latency_ms, so give its limit in ms"),
        ("memory_gib", "memory_mib"),
        ("throughput_rps", "throughput_rows_s"),
    ],
)
def test_a_quantity_in_another_unit_is_called_by_its_name(quantity, words):
    """The sentence says which unit is meant here."""
    with pytest.raises(InputError, match="mixes units: here") as caught:
        check_requirement(replace(P99, quantity=quantity))
    assert words in str(caught.value)


def test_a_group_of_what_a_service_has_once_is_refused():
    """There is no p99 of a group of people."""
    with pytest.raises(InputError, match="latency_ms is not measured by group"):
        check_requirement(replace(P99, group="Female"))
