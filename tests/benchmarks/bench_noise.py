"""How often identical candidates are called different: real child processes, interleaved as in a study.

Eight candidates that are one and the same make 28 pairs; eight such studies make 224, of which the first 200 count. No peer:
of the systems that we know none states a noise floor.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from pathlib import Path

import numpy as np
from harness import Result, main

from shipworthy import feasibility
from shipworthy.measurement import ServingJob, combine, measure_round, noise_floor
from shipworthy.records import Measurement, MeasuringPlan

STUDIES, CANDIDATES, ROUNDS, PAIRS, AT_MOST = 8, 8, 3, 200, 16
PLAN = MeasuringPlan(queries=300, rounds=ROUNDS, warm_up=10, batch_sizes=(2,), batch_repeats=1)


def _study(folder: Path, index: int) -> list[Measurement]:
    """Single-stream latencies of candidates that are all the same, their rounds interleaved."""
    rounds: dict[str, list[tuple[Measurement, ...]]] = {}
    for r in range(ROUNDS):
        for name in map(str, range(CANDIDATES)):
            job = ServingJob(
                candidate=name,
                dataset="rows",
                artefact=folder / "none.skops",
                queries=folder / "queries.json",
                plan=PLAN,
                seed=index,
                round_index=r,
                factory="planted_load:constant_short",
                sys_path=(str(Path(__file__).resolve().parents[1]),),
            )
            rounds.setdefault(name, []).append(measure_round(job))
    found = [m for measured in rounds.values() for m in combine(measured)]
    return [m for m in found if (m.quantity, m.conditions.scenario) == ("latency_ms", "single_stream")]


def measure() -> list[Result]:
    """Count the pairs whose ratio's interval does not hold 1."""
    rng = np.random.default_rng(0)
    different, pairs, floors = {50: 0, 99: 0}, 0, []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "queries.json").write_text(json.dumps([{"row": i} for i in range(400)]), encoding="utf-8")
        for index in range(STUDIES):
            latencies = _study(folder, index)
            floor = {q: noise_floor(latencies, q) for q in different}
            floors.append(floor)
            for one, other in itertools.combinations(latencies, 2):
                if pairs == PAIRS:
                    break
                pairs += 1
                for q in different:
                    ratio = feasibility.ratio_interval(one, other, q, floor[q], 0.95, rng=rng)
                    different[q] += not ratio.low <= 1 <= ratio.high
    how = f"{pairs} pairs of a planted 0.2 ms, {ROUNDS} interleaved fresh children each, in {STUDIES} studies of {CANDIDATES}"
    results = []
    for q, count in different.items():
        median = float(np.median([floor[q] for floor in floors]))
        results += [
            Result(
                name=f"identical pairs called different at p{q}",
                value=count,
                unit="",
                how=how,
                target=f"at most {AT_MOST}",
                holds=count <= AT_MOST,
            ),
            Result(name=f"noise floor at p{q}, median of the studies", value=median, unit="times", how=how),
        ]
    return results


if __name__ == "__main__":
    main("Noise", measure)
