"""Our single-stream latency beside pyperf's and MLPerf LoadGen's, on the same artefact and the same rows.

All measure in fresh processes on one thread, pinned to the core that is least busy when their turn comes, with all that this
environment holds (``profile="full"``). In the lean profile scikit-learn looks for pandas in vain up to ten times a query, which
costs a logistic regression a few per cent and is no difference between the ways of timing; its median is printed beside.
pyperf is told to take each value from one query (``loops=1``): a mean of a loop is no median.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from harness import Result, main, missing_peer, peer_python

from shipworthy import candidates, datasets, training
from shipworthy.measurement import ServingJob, exclusive, measure_costs, measure_round
from shipworthy.measurement.machine import least_busy_cores
from shipworthy.records import Dataset, MeasuringPlan

NAMES = ("logistic_regression", "random_forest", "xgboost")
PAIRS = 5
PEER = '''
"""Asks an artefact one query after the other; pyperf decides how often."""
import itertools
import json
import os
from pathlib import Path

import pyperf

from shipworthy import artefacts

from shipworthy.measurement.child import pin, set_threads

folder = Path(os.environ["SHIPWORTHY_BENCH"])
pin(json.loads(os.environ["SHIPWORTHY_CORES"]))
model = artefacts.load(folder / "artefact.skops")
set_threads(model, 1, set())
queries = itertools.cycle(json.loads((folder / "queries.json").read_text()))
runner = pyperf.Runner(processes=1, values=350, warmups=30, loops=1)
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
from shipworthy.measurement.child import pin, set_threads

folder = Path(os.environ["SHIPWORTHY_BENCH"])
pin(json.loads(os.environ["SHIPWORTHY_CORES"]))
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


def _environment(folder: Path, cores: tuple[int, ...]) -> dict[str, str]:
    """One thread, and what the peers' scripts are told."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return {**threads, "SHIPWORTHY_BENCH": str(folder), "SHIPWORTHY_CORES": json.dumps(cores)}


def _loadgen_p50_ms(folder: Path, cores: tuple[int, ...]) -> float | None:
    """LoadGen's median; ``None`` where it is not installed."""
    if importlib.util.find_spec("mlperf_loadgen") is None:
        return None
    script = folder / "loadgen.py"
    script.write_text(LOADGEN, encoding="utf-8")
    environment = {**os.environ, **_environment(folder, cores)}
    said = subprocess.run([sys.executable, str(script)], check=True, env=environment, capture_output=True, text=True).stdout
    return float(said.split()[-1])


def _agreement(name: str, ratios: list[float], peer: str, how: str) -> Result:
    ratio = statistics.median(ratios)
    target, holds = f"within {100 * NEAR:g} % of 1", abs(ratio - 1) <= NEAR
    return Result(
        name=f"{name}: ours / {peer.split(maxsplit=1)[0]}", value=ratio, unit="", how=how, target=target, holds=holds, peer=peer
    )


def _pyperf_p50_ms(folder: Path, packages: str, cores: tuple[int, ...]) -> float:
    script, result = folder / "peer.py", folder / "peer.json"
    script.write_text(PEER, encoding="utf-8")
    result.unlink(missing_ok=True)
    told = {**_environment(folder, cores), "PYTHONPATH": os.pathsep.join([packages, os.environ.get("PYTHONPATH", "")])}
    environment = {**os.environ, **told}
    inherited = f"--inherit-environ={','.join(told)}"
    command = [sys.executable, str(script), "--quiet", inherited, "-o", str(result)]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    runs = json.loads(result.read_text(encoding="utf-8"))["benchmarks"][0]["runs"]
    return 1000 * statistics.median(v for run in runs for v in run.get("values", ()))


def _p50_ms(job: ServingJob) -> float:
    return next(m for m in measure_round(job) if m.quantity == "latency_ms").percentile(50)


def measure() -> list[Result]:
    """Fit three candidates on real rows, and ask each in turn by us and by pyperf."""
    peer = peer_python("pyperf")
    if peer is None:
        return [missing_peer("pyperf")]
    asked = subprocess.run([peer, "-c", "import pyperf; print(pyperf.__path__[0])"], check=True, capture_output=True, text=True)
    packages = str(Path(asked.stdout.strip()).parent)
    dataset = datasets.load("adult", max_train_rows=2000, max_test_rows=1000)
    how = f"adult, 350 raw queries a round; median of {PAIRS} pairs in turn, each in a fresh process on one thread"
    return [result for name in NAMES for result in _side_by_side(name, dataset, packages, how)]


def _side_by_side(name: str, dataset: Dataset, packages: str, how: str) -> list[Result]:
    """Ask one candidate by us, by pyperf and by LoadGen, in turn."""
    with tempfile.TemporaryDirectory() as scratch, exclusive():
        folder, cores = Path(scratch), least_busy_cores(1)
        training.fit(candidates.get(name), dataset, folder=folder, random_state=0, search_trials=1, meter=measure_costs)
        (folder / "queries.json").write_text(json.dumps(dataset.queries(dataset.split.test)), encoding="utf-8")
        plan = MeasuringPlan(queries=350, rounds=1, batch_sizes=(64,), batch_repeats=1)
        places = {"artefact": folder / "artefact.skops", "queries": folder / "queries.json"}
        full = ServingJob(candidate=name, dataset="adult", plan=plan, profile="full", **places)
        ours, lean, beside_pyperf, beside_loadgen = [], [], [], []
        for turn in range(PAIRS):
            # We go first in one turn and last in the next: a machine that slows down meets all alike.
            mine = _p50_ms(full) if turn % 2 else None
            pyperf, loadgen = _pyperf_p50_ms(folder, packages, cores), _loadgen_p50_ms(folder, cores)
            mine = mine or _p50_ms(full)
            ours.append(mine)
            lean.append(_p50_ms(replace(full, profile="lean")) / mine)
            beside_pyperf.append(mine / pyperf)
            beside_loadgen += [mine / loadgen] if loadgen else []
    return [
        Result(name=f"{name}: p50 of one query", value=statistics.median(ours), unit="ms", how=how),
        Result(name=f"{name}: lean / full", value=statistics.median(lean), unit="", how=how),
        _agreement(name, beside_pyperf, "pyperf bench_func", how),
        _agreement(name, beside_loadgen, "LoadGen single stream", how) if beside_loadgen else missing_peer("mlcommons-loadgen"),
    ]


if __name__ == "__main__":
    main("Single-stream latency", measure)
