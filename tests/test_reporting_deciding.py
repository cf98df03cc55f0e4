"""Each verdict in one line: what decided is told, it is what the verdict rests on, and the words agree with the rule."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from shipworthy.feasibility import Evidence, judge
from shipworthy.records import Comparison, Conditions, Interval, Measurement, Prices, Record, Requirement, Study, Verdict
from shipworthy.reporting import deciding_reason, verdict_line
from shipworthy.reporting.deciding import gain_words, study_at

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
    out_of_fold = score if oof is None else oof
    return Evidence(name, kind, "plain", (out_of_fold,), (score,), (score + spread * noise,), (latency, memory), (record,))


def verdict(*candidates, study=STUDY):
    """The verdict for the first ensemble, as it is really judged."""
    rng = np.random.default_rng(0)
    return judge("adult", "", candidates, study, greater_is_better=True, test_share=0.25, noise_floor=1.1, rng=rng)[0]


LOGISTIC = evidence("logistic", "single", 0.85)
BOOST = evidence("boost", "tree_ensemble", 0.90)
SHIPS = evidence("vote", "ensemble", 0.92, spread=0.002, ms=5.0)


def test_what_ships_is_told_with_the_smaller_of_its_gains_and_its_requirements():
    """Both baselines must be beaten, so the gain over boost decides, not the larger one over logistic."""
    said = deciding_reason(verdict(LOGISTIC, BOOST, SHIPS), STUDY)
    assert re.match(r"gains 0\.0200 ROC AUC over boost \(\+0\.01\d\d to \+0\.02\d\d\), at least the useful 0\.005, ", said)
    assert said.endswith("and it meets all 2 requirements")


def test_a_missed_requirement_decides_before_any_gain():
    """The furthest missed is told with what was observed, and the others by name."""
    slow = evidence("vote", "ensemble", 0.80, spread=0.001, ms=80.0, mib=600.0)
    said = deciding_reason(verdict(LOGISTIC, BOOST, slow), STUDY)
    assert said.startswith("misses 'fast': p99 of 80 ms over 700 queries; ")
    assert said.endswith("; it also misses 'small'")
    assert "ROC AUC" not in said


def test_a_gain_that_is_too_small_decides_where_every_requirement_is_met():
    """It is told with its interval, and against the baseline over which least is gained."""
    said = deciding_reason(verdict(LOGISTIC, BOOST, evidence("vote", "ensemble", 0.901, spread=0.001)), STUDY)
    assert re.fullmatch(r"gains 0\.0010 ROC AUC over boost \(-0\.00\d\d to \+0\.00\d\d\), below the useful 0\.005", said)


def test_a_copy_of_its_baseline_gains_nothing():
    """No interval of zeros is recited."""
    boost = evidence("boost", "tree_ensemble", 0.90, spread=0.002, seed=1)
    found = verdict(LOGISTIC, boost, evidence("vote", "ensemble", 0.90, spread=0.002, seed=1))
    assert deciding_reason(found, STUDY) == "gains nothing: on every resample it scores as boost does"


def test_what_cannot_be_told_names_what_is_open():
    """A gain whose interval holds the smallest useful one; where all gains are shown, the requirement that is undecided."""
    wide = verdict(LOGISTIC, BOOST, evidence("vote", "ensemble", 0.91, spread=0.01))
    assert deciding_reason(wide, STUDY).endswith("): whether it gains 0.005 is open")
    few = verdict(LOGISTIC, BOOST, evidence("vote", "ensemble", 0.92, spread=0.001, queries=100))
    assert few.answer == "cannot tell"
    assert deciding_reason(few, STUDY).startswith("undecided is 'fast': p99 of 1 ms over 100 queries")


@pytest.mark.parametrize(
    ("limit", "said"), [(2.0, "over the largest tolerable 2 times"), (5.0, "cannot be told from the largest")]
)
def test_a_cost_decides_where_the_gain_does_not(limit, said):
    """Five times the latency is over twice, and cannot be told from five times."""
    study = replace(STUDY, largest_latency_ratio=limit)
    found = verdict(LOGISTIC, BOOST, SHIPS, study=study)
    assert said in deciding_reason(found, study)
    assert "times (4" in deciding_reason(found, study)


def test_a_doubt_that_only_the_words_tell_is_the_line():
    """Another baseline that is better on test rows, and a rival for which there was no time."""
    rival = evidence("lucky", "single", 0.95, oof=0.80)
    found = verdict(LOGISTIC, BOOST, SHIPS, rival)
    assert found.answer == "cannot tell"
    assert deciding_reason(found, STUDY).startswith("lucky, a single model that others beat out of fold, scores better than it")
    shipped = verdict(LOGISTIC, BOOST, SHIPS)
    doubt = "It would ship, but ridge, which it must beat too, is left out to answer within 5 minutes."
    held = replace(shipped, answer="cannot tell", reason=f"{doubt} {shipped.reason}")
    assert deciding_reason(held, STUDY) == doubt.removesuffix(".")
    unmeasured = Verdict("adult", "", "stack", "cannot tell", "It was not measured.", (), ())
    assert deciding_reason(unmeasured, STUDY) == "It was not measured"


def test_the_line_never_contradicts_the_rule():
    """Over many gains and spreads: at least the useful gain only where it ships, below it only where it does not, open else."""
    rng = np.random.default_rng(0)
    seen = set()
    for seed in range(60):
        score, spread = rng.uniform(0.88, 0.93), rng.uniform(0.0005, 0.01)
        found = verdict(LOGISTIC, BOOST, evidence("vote", "ensemble", score, spread=spread, seed=seed))
        said = deciding_reason(found, STUDY)
        words = {"ship": "at least the useful", "do not ship": "below the useful", "cannot tell": "is open"}
        assert words[found.answer] in said
        assert "\n" not in said
        seen.add(found.answer)
    assert seen == set(words)


def test_a_level_is_judged_by_what_is_declared_there():
    """Where the smallest useful gain is swept, the line of a level names that of the level; of another, the study's own."""
    study = replace(STUDY, sweep={"folds": (3, 5), "smallest_useful_gain": (0.001, 0.05)})
    found = verdict(
        LOGISTIC, BOOST, evidence("vote", "ensemble", 0.901, spread=0.001), study=replace(study, smallest_useful_gain=0.05)
    )
    assert deciding_reason(replace(found, level="3; 0.05"), study).endswith("below the useful 0.05")
    assert study_at(study, "5; 0.001").smallest_useful_gain == 0.001
    assert study_at(study, "").smallest_useful_gain == study_at(STUDY, "7").smallest_useful_gain == 0.005


def test_a_loss_and_a_gain_without_an_interval_are_called_so():
    """The sign is in the verb; an interval that is not known is not made up."""
    unknown = Interval(-0.001, math.nan, math.nan, 0.95, "all rows belong together")
    c = Comparison("vote", "boost", "best tree ensemble", "roc_auc", unknown, unknown, unknown)
    assert gain_words(c) == "loses 0.0010 ROC AUC to boost (no interval)"
    known = replace(c, gain=Interval(-0.001, -0.002, 0.001, 0.95, ""))
    assert gain_words(known) == "loses 0.0010 ROC AUC to boost (-0.0020 to +0.0010)"
    open_ = Verdict("adult", "", "vote", "cannot tell", "Its gain has no interval.", (c,), ())
    assert deciding_reason(open_, STUDY) == "its gain over boost has no interval: all rows belong together"


def test_a_line_names_candidate_place_and_answer():
    """The answer stands first, in capitals; the level of what is swept is named, or two lines would read the same."""
    found = verdict(LOGISTIC, BOOST, SHIPS)
    assert verdict_line(found, STUDY).startswith("SHIP         vote on adult: gains 0.0200")
    assert verdict_line(replace(found, level="4000"), STUDY).startswith("SHIP         vote on adult (4000): gains")
