"""Candidates under load, from units to a page: a small real run, and what is worked out from it."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest

from shipworthy import experiments, reporting
from shipworthy.experiments import latency_and_throughput as load
from shipworthy.records import Conditions, LoadPlan, Measurement, Prices, Study
from shipworthy.study.plan import LOAD, plan_study
from shipworthy.study.schema import parse_study

pytestmark = pytest.mark.alone

PLAN = LoadPlan(
    candidates=("xgboost",),
    curve_batch_sizes=(1, 8, 64),
    curve_calls=2,
    curve_rows=16,
    curve_rounds=1,
    load_queries=40,
    rate_trials=1,
)
RATE = 200.0


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """XGBoost on a few rows, measured alone and under load in a folder of its own."""
    folder = tmp_path_factory.mktemp("lab")
    bench = experiments.Workbench(folder, notify=lambda _: None)
    training = {"max_train_rows": 200, "folds": 2, "search_trials": 1}
    measuring = {"queries": 40, "rounds": 2, "warm_up": 5, "batch_sizes": (16,), "batch_repeats": 1}
    arm = experiments.make_arm("breast_cancer", training=training, measuring=measuring)
    experiments.measure_latency_and_memory(bench, arm, ["xgboost"])
    experiments.measure_under_load(bench, arm, ["xgboost"], PLAN, rate_per_s=RATE)
    truth = experiments.measurements_of(bench, arm, "xgboost")
    return bench, arm, experiments.under_load(bench, arm, ["xgboost"], PLAN, rate_per_s=RATE, truth=truth)


def test_everything_is_there_after_one_run(loaded):
    """Curve, law, threads, rates, recipes, imports and portability of a real candidate, and nothing missing."""
    _, _, found = loaded
    assert found.missing == ()
    assert [row["batch_size"] for row in found.curve] == [1, 8, 64]
    assert all(0 < row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"] for row in found.curve)
    assert [row["candidate"] for row in found.laws] == ["xgboost"]
    assert found.rates[0]["rate_per_s"] == RATE
    assert found.rates[0]["n"] == 40
    assert found.rates[0]["outcome"] in {"undecided", "missed"}  # 40 queries cannot show that p99 keeps a limit
    assert {t.recipe for t in found.told} >= {"h2o", "mljar", "sklearn_atomic"}
    assert found.imports[0]["full_memory_mib"] > 0
    assert found.portability[0]["where"] == "one core"
    assert found.portability[0]["kernel_ms"] > 0
    assert "on another machine is unknown" in found.portability_sentence or len(found.portability) < 2


def test_the_moments_of_every_trial_are_kept(loaded):
    """Due, begun and complete of each query: whoever doubts a percentile can work it out again."""
    bench, arm, found = loaded
    (unit,) = (u for u in load.units_under_load(bench, arm, ["xgboost"], PLAN, RATE) if u.kind == "rates")
    due, begun, complete = np.load(bench.part(unit) / "moments.npz")["trial0"]
    assert due.size == 40
    assert (begun >= due).all()
    assert np.percentile(complete - due, 50, method="inverted_cdf") == pytest.approx(found.rates[0]["p50_ms"])


def test_a_second_run_makes_nothing_again(loaded, monkeypatch):
    """Every unit is done: no process is started."""
    bench, arm, _ = loaded
    monkeypatch.setattr("shipworthy.measurement.run_loads", lambda *_: pytest.fail("a process was started"))
    experiments.measure_under_load(bench, arm, ["xgboost"], PLAN, rate_per_s=RATE)


def test_it_becomes_records_that_a_requirement_can_ask_for(loaded):
    """The server scenario at the traffic has percentiles; the highest rate has its bracket; the full memory is there too."""
    bench, arm, found = loaded
    measured = load.traffic_measurements(bench, arm, ["xgboost"], PLAN, rate_per_s=RATE)
    records = load.load_records([found], measured, {"xgboost": "tree_ensemble"})
    by_key = {(r.quantity, r.scenario, r.statistic): r for r in records}
    assert by_key["latency_ms", "server", "p99"].n == 40
    highest = by_key["throughput_rows_s", "server", "value"]
    assert (highest.low, highest.high) == (found.highest[0]["met"], found.highest[0]["not_met"])
    assert by_key["full_memory_mib", "none", "mean"].value == found.imports[0]["full_memory_mib"]


def test_it_can_be_drawn(loaded):
    """Figures carry a finding and a description, and the table a row for the candidate."""
    _, _, found = loaded
    curve = reporting.batch_curve(found.curve, "breast_cancer", found.ranking)
    rates = reporting.latency_by_rate(found.rates, found.highest, "breast_cancer", limit_ms=found.limit_ms)
    assert "xgboost" in curve.description
    assert "xgboost at 200/s" in rates.description
    assert 'role="img"' in rates.svg()
    rows = {"highest": found.highest, "rates": found.rates, "laws": found.laws, "imports": found.imports}
    assert list(reporting.load_table(rate_per_s=RATE, **rows).index) == ["xgboost"]


def test_what_was_not_made_is_said(loaded):
    """A candidate that was never put under load is missing, in sentences, and the others stay."""
    bench, arm, _ = loaded
    found = experiments.under_load(bench, arm, ["xgboost"], replace(PLAN, load_queries=41), rate_per_s=RATE, truth=())
    assert found.missing == ("rates xgboost on breast_cancer, seed 0 was not made.",)
    assert found.curve


def test_on_one_core_it_is_said_that_threads_were_not_measured(loaded):
    """The default is the most threads that were tried where it was measured; one of one core is no choice, and no silence."""
    bench, arm, found = loaded
    (unit,) = (u for u in load.units_under_load(bench, arm, ["xgboost"], PLAN, RATE) if u.kind == "threads")
    measured = [experiments.latency_and_memory.measurement_from(row) for row in bench.read(unit, "measurements.json")]
    alone = [m for m in measured if m.conditions.threads == 1]
    assert [m.conditions.batch_size for m in alone] == [1, 64]
    assert load._said_of_threads(["xgboost"], alone) == [
        "The machine lets a process use one core, so what more threads do could not be measured."
    ]
    assert load._said_of_threads(["xgboost"], []) == []
    several = [replace(m, conditions=replace(m.conditions, threads=n)) for n in (1, 64) for m in alone]
    assert all("xgboost" in sentence for sentence in load._said_of_threads(["xgboost"], several))
    assert found.threads


def test_a_size_that_is_slow_leaves_time_for_the_others(monkeypatch):
    """No size of a curve may take the whole limit of its process: what a slow candidate answered by then is kept."""
    from shipworthy import measurement

    asked = []
    monkeypatch.setattr(measurement, "run_loads", lambda _, loads: asked.extend(loads) or [])
    job = measurement.LoadJob(candidate="c", dataset="d", artefact=None, queries=None, time_limit_s=60)
    assert load._curve(job, PLAN) == []
    assert sum(one.max_duration_s for one in asked) == pytest.approx(48)


def test_a_queue_that_only_the_end_kept_short_states_no_latency():
    """At a traffic that is more than can be answered, a short run that kept the limit is a reason and not a value."""
    from shipworthy.measurement import Load, LoadRun, judge_rate
    from shipworthy.records import Scenario

    due = np.arange(100.0)
    here = Conditions("m", "v", 1, "server", 1, 0, 5, "off", "lean", "core 0", 0.1, rate_per_s=1000.0)
    asked = Load(scenario=Scenario(name="server", rate_per_s=1000.0), min_count=100)
    run = LoadRun(asked, due, due, due + 1.25, here, "vote", "adult")
    latency, throughput = load._at_traffic(run, judge_rate(run, 50, 5.0))
    assert latency.values == throughput.values == ()
    assert latency.failure == "1,000 queries arrive in a second and 800 can be answered, so the queue grows as long as they do"
    assert load._at_traffic(run, judge_rate(run, 50, 1.0))[0].values  # missed: what was seen stands


def place(where, p50, kernel):
    """A single stream whose median is given, in a process whose kernel took so long."""
    here = Conditions("m", "v", 1, "single_stream", 1, 0, 5, "off", "lean", "core 0", 0.1, where, calibration_ms=kernel)
    return Measurement("vote", "adult", "latency_ms", (p50,), (0,), here)


def test_how_far_a_time_carries_by_hand():
    """2 ms on a free core and 6 ms on a loaded one, where the kernel takes 1 and 2.5: 3 times in ms, 1.2 in kernels."""
    said = load.portability_sentence([place("one core", 2.0, 1.0), place("a loaded one", 6.0, 2.5)])
    assert said == (
        "The median of vote differs by 3.00 times in milliseconds and 1.20 times in units of the calibration kernel between "
        "one core, a loaded one; how far it would differ on another machine is unknown."
    )
    assert "is not known" in load.portability_sentence([place("one core", 2.0, 1.0)])


def test_filling_a_batch_by_hand():
    """At 10/s the first of 5 rows waits 400 ms for the last, and then 3 + 5 x 0.2 ms for the call."""
    (row,) = experiments.filling_rows({"fixed_ms": 3.0, "per_row_ms": 0.2}, [5], 10.0)
    assert (row["fill_ms"], row["call_ms"], row["first_row_ms"]) == (400.0, 4.0, 404.0)
    assert row["rows_s"] == 1250.0


def test_the_books_ten_requests():
    """The mean of the ten is 390 ms, the median 100, and the figure says so."""
    figure = reporting.why_a_mean_lies([100, 102, 100, 100, 99, 104, 110, 90, 3000, 95])
    assert figure.finding.startswith("The mean says 390 ms, which none of the 10 requests took: half took 100 ms or less")
    with pytest.raises(ValueError, match="at least two numbers above 0"):
        reporting.why_a_mean_lies([1.0, math.nan])


STUDY = Study(
    name="loaded",
    question="?",
    datasets=("breast_cancer", "adult"),
    candidates=("prior", "xgboost"),
    seeds=(3, 4),
    prices=Prices(as_of="2026-03", source="a test", vcpu_hour_usd=0.04, gib_hour_usd=0.004),
    sweep={"queries": (40, 50)},
    load=LoadPlan(candidates=("xgboost",), datasets=("adult",)),
)


def test_a_study_is_put_under_load_once_a_data_set(tmp_path):
    """With its first seed, whatever is swept in the measuring; exclusive, and each unit with an expected time."""
    plan = plan_study(experiments.Workbench(tmp_path), STUDY)
    (step,) = (s for s in plan.exclusive if s.notebook == LOAD)
    assert (step.arm.dataset, step.arm.seed, step.arm.factor) == ("adult", 3, "")
    assert step.exclusive
    assert {u.kind for u in step.units} == {"curve", "threads", "rates", "imports", "recipes", "portability"}
    assert all(plan.seconds[u.name] > 0 for u in step.units)
    nobody = plan_study(experiments.Workbench(tmp_path), replace(STUDY, load=LoadPlan()))
    assert not any(s.notebook == LOAD for s in nobody.exclusive)


@pytest.mark.parametrize(
    ("load_plan", "said"),
    [
        ({"candidates": ["stack"]}, "load.candidates: 'stack' is not among the study's candidates; name some of the study's own"),
        ({"datasets": ["flights"]}, "load.datasets: 'flights' is not among the study's datasets"),
        ({"curve_batch_sizes": [1, 2]}, "curve_batch_sizes"),
        ({"latency_limit_ms": 0}, "latency_limit_ms"),
        ({"nonsense": 1}, "nonsense is not a field that exists"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_with_its_line(load_plan, said):
    """In one sentence with file, line, field and remedy."""
    text = json.dumps(json.loads(json.dumps(asdict(STUDY))) | {"load": load_plan}, indent=1)
    with pytest.raises(ValueError, match=r"study\.yaml, line \d+") as refused:
        parse_study(text, "study.yaml")
    assert said in str(refused.value)
