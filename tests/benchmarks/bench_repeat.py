"""Measures the same candidates twice: where the first time tells two of them apart, the second must say the same.

No peer: of the systems that we know none states how far its timings repeat.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from pathlib import Path

import numpy as np
from harness import Result, main

from shipworthy import candidates, datasets, feasibility, training
from shipworthy.measurement import ServingJob, combine, measure_costs, measure_round, noise_floor
from shipworthy.records import Measurement, MeasuringPlan

NAMES = ("prior", "logistic_regression", "decision_tree", "random_forest", "xgboost")
PLAN = MeasuringPlan(queries=460, rounds=2, batch_sizes=(64,), batch_repeats=1)


def _measure(folder: Path) -> dict[str, Measurement]:
    """Single-stream latencies as the quick study takes them, rounds interleaved."""
    rounds: dict[str, list[tuple[Measurement, ...]]] = {}
    for r in range(PLAN.rounds):
        for name in NAMES:
            job = ServingJob(
                candidate=name,
                dataset="adult",
                artefact=folder / name / "artefact.skops",
                queries=folder / "queries.json",
                plan=PLAN,
                round_index=r,
            )
            rounds.setdefault(name, []).append(measure_round(job))
    combined = {name: combine(measured) for name, measured in rounds.items()}
    return {
        name: next(m for m in found if (m.quantity, m.conditions.scenario) == ("latency_ms", "single_stream"))
        for name, found in combined.items()
    }


def measure() -> list[Result]:
    """Fit on real rows, measure all twice, and count the pairs that change places beyond the floor."""
    dataset = datasets.load("adult", max_train_rows=2000, max_test_rows=1000)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name in NAMES:
            (folder / name).mkdir()
            where = {"folder": folder / name, "random_state": 0, "search_trials": 1, "meter": measure_costs}
            training.fit(candidates.get(name), dataset, **where)
        (folder / "queries.json").write_text(json.dumps(dataset.queries(dataset.split.test)), encoding="utf-8")
        first, second = _measure(folder), _measure(folder)
    rng = np.random.default_rng(0)
    floor = noise_floor(list(first.values()), 99)
    told, changed = 0, 0
    for one, other in itertools.combinations(NAMES, 2):
        ratio = feasibility.ratio_interval(first[one], first[other], 99, floor, 0.95, rng=rng)
        if ratio.low <= 1 <= ratio.high:
            continue
        told += 1
        again = second[one].percentile(99) / second[other].percentile(99)
        changed += (ratio.value > 1) != (again > 1)
    how = f"adult, {len(NAMES)} candidates measured twice, {PLAN.queries} queries in {PLAN.rounds} interleaved rounds each time"
    return [
        Result(name="noise floor at p99 of the first measurement", value=floor, unit="times", how=how),
        Result(name="pairs told apart at p99, of 10", value=told, unit="", how=how),
        Result(name="of these, pairs that changed places", value=changed, unit="", how=how, target="0", holds=changed == 0),
    ]


if __name__ == "__main__":
    main("Repeats", measure)
