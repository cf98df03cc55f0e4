"""A small declared study on real rows, really trained and measured, in which the answers go each way."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipworthy import artefacts, experiments, training
from shipworthy.experiments import Workbench, arms_of
from shipworthy.experiments.feasibility import DATED_PRICES
from shipworthy.records import MeasuringPlan, Requirement, Study, TrainingPlan

STUDY = Study(
    name="each_way",
    question="Does a verdict go each way?",
    datasets=("breast_cancer", "adult", "flights"),
    candidates=("prior", "soft_vote"),  # the weakest baseline that there is
    smallest_useful_gain=0.05,
    requirements=(
        # A hundred queries are enough to show a p95, and none of them takes five seconds.
        Requirement(name="in time", quantity="latency_ms", statistic="p95", at_most=5000, scenario="single_stream"),
        # Nobody answers within a nanosecond.
        Requirement(
            name="at once", quantity="latency_ms", statistic="p95", at_most=1e-6, scenario="single_stream", dataset="adult"
        ),
        # A hundred queries are too few to show a p99, however loose.
        Requirement(
            name="nearly always",
            quantity="latency_ms",
            statistic="p99",
            at_most=5000,
            scenario="single_stream",
            dataset="flights",
        ),
        Requirement(name="tiny", quantity="size_mib", at_most=1e-3, weight=1),
        Requirement(name="fits", quantity="peak_memory_mib", statistic="max", at_most=65536, weight=3),
    ),
    prices=DATED_PRICES,
    training=TrainingPlan(max_train_rows=200, max_test_rows=150, folds=2, search_trials=1),
    measuring=MeasuringPlan(queries=100, rounds=1, warm_up=2, batch_sizes=(8,), batch_repeats=1),
)


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """The study, made and judged in this process, with its bench."""
    bench = Workbench(tmp_path_factory.mktemp("each_way"), [].append)
    return bench, STUDY, experiments.assess(bench, STUDY)


def test_one_ships_one_does_not_and_one_cannot_be_told(judged):
    """The vote ships on breast_cancer, misses a limit that nothing keeps on adult, and was asked too little on flights."""
    found = {v.dataset: v for v in judged[2].verdicts}
    assert {d: v.answer for d, v in found.items()} == {
        "breast_cancer": "ship",
        "adult": "do not ship",
        "flights": "cannot tell",
    }
    assert "It misses 'at once'" in found["adult"].reason
    assert "359 more with none over it would be enough" in found["flights"].reason
    assert "Decided by the paired bootstrap on the test rows, at 95 %." in found["breast_cancer"].reason


def test_weights_do_not_veto_on_real_measurements_either(judged):
    """It ships although it is larger than a thousandth of a mebibyte: three of four parts of the weight are kept."""
    shipped = next(v for v in judged[2].verdicts if v.answer == "ship")
    outcomes = {r.requirement: r.outcome for r in shipped.requirements}
    assert (outcomes["tiny"], outcomes["fits"]) == ("missed", "met")
    assert shipped.weighted_score == 0.75
    tiny = next(r for r in shipped.requirements if r.requirement == "tiny")
    assert tiny.times_off == pytest.approx(tiny.observed / 1e-3)
    assert tiny.times_off > 1
    assert tiny.change


def test_limits_were_tested_on_the_very_file_that_would_be_shipped(judged):
    """Each served limit carries the fingerprint of the saved artefact; another file in its place, and nothing is met."""
    bench, study, assessment = judged
    arm = arms_of(study)[0]
    saved = Path(training.load(bench.part(bench.fit_unit(arm, "soft_vote"))).artefact)
    shipped = next(v for v in assessment.verdicts if v.answer == "ship")
    served = [r for r in shipped.requirements if r.requirement in {"in time", "fits"}]
    assert {r.artefact for r in served} == {artefacts.fingerprint(saved)}
    kept = saved.read_bytes()
    try:
        saved.write_bytes(kept + b"another")
        again = next(v for v in experiments.assess(bench, study).verdicts if v.dataset == shipped.dataset)
    finally:
        saved.write_bytes(kept)
    assert again.answer == "cannot tell"
    assert {r.outcome for r in again.requirements} == {"undecided"}
