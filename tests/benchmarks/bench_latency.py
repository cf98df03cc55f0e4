"""Our single-stream latency beside pyperf's, on the same artefact and the same rows.

Both measure in fresh processes on one thread; pyperf asks one function in a loop and divides, we time every query apart.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import Result, main, missing_peer, peer_python

from shipworthy import candidates, datasets, training
from shipworthy.measurement import ServingJob, measure_costs, measure_round
from shipworthy.records import MeasuringPlan

NAMES = ("logistic_regression", "random_forest", "xgboost")
PAIRS = 3
PEER = '''
"""Asks an artefact one query after the other; pyperf decides how often."""
import itertools
import json
import os
from pathlib import Path

import pyperf

from shipworthy import artefacts

folder = Path(os.environ["SHIPWORTHY_BENCH"])
model = artefacts.load(folder / "artefact.skops")
queries = itertools.cycle(json.loads((folder / "queries.json").read_text()))
runner = pyperf.Runner(processes=1, values=10, warmups=2, min_time=0.05)
runner.bench_func("query", lambda: model.predict_proba([next(queries)]))
'''


def _peer_p50_ms(folder: Path, packages: str) -> float:
    script, result = folder / "peer.py", folder / "peer.json"
    script.write_text(PEER, encoding="utf-8")
    result.unlink(missing_ok=True)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, "SHIPWORTHY_BENCH": str(folder), "PYTHONPATH": packages}
    inherited = f"--inherit-environ={','.join([*threads, 'SHIPWORTHY_BENCH', 'PYTHONPATH'])}"
    command = [sys.executable, str(script), "--quiet", inherited, "-o", str(result)]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    runs = json.loads(result.read_text(encoding="utf-8"))["benchmarks"][0]["runs"]
    return 1000 * statistics.median(v for run in runs for v in run.get("values", ()))


def measure() -> list[Result]:
    """Fit three candidates on real rows, and ask each in turn by us and by pyperf."""
    peer = peer_python("pyperf")
    if peer is None:
        return [missing_peer("pyperf")]
    asked = subprocess.run([peer, "-c", "import pyperf; print(pyperf.__path__[0])"], check=True, capture_output=True, text=True)
    packages = str(Path(asked.stdout.strip()).parent)
    dataset = datasets.load("adult", max_train_rows=2000, max_test_rows=1000)
    how = f"adult, 350 raw queries a round; median of {PAIRS} pairs in turn, each in a fresh process on one thread"
    results = []
    for name in NAMES:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            training.fit(candidates.get(name), dataset, folder=folder, random_state=0, search_trials=1, meter=measure_costs)
            (folder / "queries.json").write_text(json.dumps(dataset.queries(dataset.split.test)), encoding="utf-8")
            plan = MeasuringPlan(queries=350, rounds=1, batch_sizes=(64,), batch_repeats=1)
            job = ServingJob(
                candidate=name, dataset="adult", artefact=folder / "artefact.skops", queries=folder / "queries.json", plan=plan
            )
            ratios, ours = [], []
            for _ in range(PAIRS):
                mine = next(m for m in measure_round(job) if m.quantity == "latency_ms").percentile(50)
                ours.append(mine)
                ratios.append(mine / _peer_p50_ms(folder, packages))
        results.append(Result(name=f"{name}: p50 of one query", value=statistics.median(ours), unit="ms", how=how))
        results.append(
            Result(name=f"{name}: ours / pyperf", value=statistics.median(ratios), unit="", how=how, peer="pyperf bench_func")
        )
    return results


if __name__ == "__main__":
    main("Single-stream latency", measure)
