"""Our single-stream latency beside pyperf's and MLPerf LoadGen's, on the same artefact and the same rows.

All measure in fresh processes on one thread; pyperf asks one function in a loop and divides, LoadGen and we time every query.
"""

from __future__ import annotations

import importlib.util
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

LOADGEN = '''
"""Puts an artefact under LoadGen's single stream; prints its median in milliseconds."""
import json
import os
from pathlib import Path

import mlperf_loadgen as lg
import numpy as np

from shipworthy import artefacts
from shipworthy.measurement.child import set_threads

folder = Path(os.environ["SHIPWORTHY_BENCH"])
model = artefacts.load(folder / "artefact.skops")
set_threads(model, 1, set())
queries = json.loads((folder / "queries.json").read_text())
done = np.zeros(1, dtype=np.float32)
for query in queries[-30:]:
    model.predict_proba([query])

def issue(samples):
    for sample in samples:
        model.predict_proba([queries[sample.index % len(queries)]])
        lg.QuerySamplesComplete([lg.QuerySampleResponse(sample.id, done.ctypes.data, done.itemsize)])

settings, logs, out = lg.TestSettings(), lg.LogSettings(), lg.LogOutputSettings()
settings.scenario, settings.mode = lg.TestScenario.SingleStream, lg.TestMode.PerformanceOnly
settings.single_stream_expected_latency_ns = 1_000_000
settings.min_query_count, settings.min_duration_ms, settings.max_duration_ms = 350, 500, 20_000
out.outdir = str(folder)
logs.log_output, logs.enable_trace = out, False
sut = lg.ConstructSUT(issue, lambda: None)
qsl = lg.ConstructQSL(len(queries), len(queries), lambda _: None, lambda _: None)
lg.StartTestWithLogSettings(sut, qsl, settings, logs, "")
lg.DestroyQSL(qsl)
lg.DestroySUT(sut)
line = next(x for x in (folder / "mlperf_log_summary.txt").read_text().splitlines() if x.startswith("50.00 percentile"))
print(int(line.split(":")[1]) / 1e6)
'''
NEAR = 0.05
"""How far our median may be from a peer's."""


def _loadgen_p50_ms(folder: Path) -> float | None:
    """LoadGen's median; ``None`` where it is not installed."""
    if importlib.util.find_spec("mlperf_loadgen") is None:
        return None
    script = folder / "loadgen.py"
    script.write_text(LOADGEN, encoding="utf-8")
    environment = {
        **os.environ,
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
        "SHIPWORTHY_BENCH": str(folder),
    }
    said = subprocess.run([sys.executable, str(script)], check=True, env=environment, capture_output=True, text=True).stdout
    return float(said.split()[-1])


def _agreement(name: str, ratios: list[float], peer: str, how: str) -> Result:
    ratio = statistics.median(ratios)
    target, holds = f"within {100 * NEAR:g} % of 1", abs(ratio - 1) <= NEAR
    return Result(
        name=f"{name}: ours / {peer.split(maxsplit=1)[0]}", value=ratio, unit="", how=how, target=target, holds=holds, peer=peer
    )


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
            ratios, beside, ours = [], [], []
            for _ in range(PAIRS):
                mine = next(m for m in measure_round(job) if m.quantity == "latency_ms").percentile(50)
                ours.append(mine)
                ratios.append(mine / _peer_p50_ms(folder, packages))
                if theirs := _loadgen_p50_ms(folder):
                    beside.append(mine / theirs)
        results.append(Result(name=f"{name}: p50 of one query", value=statistics.median(ours), unit="ms", how=how))
        results.append(_agreement(name, ratios, "pyperf bench_func", how))
        results.append(_agreement(name, beside, "LoadGen single stream", how) if beside else missing_peer("mlcommons-loadgen"))
    return results


if __name__ == "__main__":
    main("Single-stream latency", measure)
