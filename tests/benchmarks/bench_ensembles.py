"""Candidate ensembles scored in a second, beside AutoGluon's ensemble selection on the same predictions in the same run.

AutoGluon scores one candidate after the other with one metric; every subset here is scored with three metrics at once. Both are
compiled or warmed up before they are timed, and take turns.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from harness import Result, at_most, main, missing_peer, peer_python

from shipworthy import simulation
from shipworthy.records import Predictions

ROUNDS = 3
MEMBERS, ROWS = 16, 10_000
GREEDY_MEMBERS, GREEDY_ROWS, GREEDY_STEPS = 25, 50_000, 100
PEER_STEPS = 20
PEER = '''
"""Times AutoGluon's ensemble selection; prints seconds, the loss that it reached and its weights, for each job."""
import json
import sys
import time

import numpy as np
from autogluon.core.metrics import accuracy, log_loss
from autogluon.core.models.greedy_ensemble.ensemble_selection import EnsembleSelection

metrics = {"accuracy": accuracy, "log_loss": log_loss}
out = []
for path, metric, steps in json.loads(sys.argv[1]):
    data = np.load(path)
    predictions = list(data["positive"])
    EnsembleSelection(1, "binary", metrics[metric]).fit(predictions, data["y"])
    chosen = EnsembleSelection(steps, "binary", metrics[metric])
    start = time.perf_counter()
    chosen.fit(predictions, data["y"])
    out.append((time.perf_counter() - start, float(chosen.train_score_), list(map(float, chosen.weights_))))
print(json.dumps(out))
'''
EXACT = f'''
"""Scores 2**20 subsets in a process of its own; prints seconds and the most memory that it held."""
import sys
import time

import numpy as np

sys.path.insert(0, {str(Path(__file__).parent)!r})
from bench_ensembles import votes_of
from shipworthy import simulation

simulation.every_subset(votes_of(2, 100))
votes = votes_of(20, {ROWS}, test_rows=100)
start = time.perf_counter()
simulation.every_subset(votes, n_jobs=2)
seconds = time.perf_counter() - start
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
print(seconds, peak / 1024)
'''


def votes_of(members: int, rows: int, *, test_rows: int = 0, seed: int = 0) -> simulation.Votes:
    """Binary predictions of members that err apart and differ in skill."""
    rng = np.random.default_rng(seed)
    n = rows + (test_rows or rows)
    y = rng.integers(0, 2, n)
    hard = rng.normal(size=n)
    said = {}
    for member in range(members):
        logit = (2 * y - 1) * rng.uniform(0.3, 1.2) + hard + rng.normal(size=n)
        positive = 1 / (1 + np.exp(-logit))
        p = np.column_stack([1 - positive, positive])
        said[f"m{member}"] = Predictions(np.arange(rows), y[:rows], p[:rows], np.arange(rows, n), y[rows:], p[rows:])
    return simulation.line_up(said, "binary")


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _keep(votes: simulation.Votes, path: Path) -> str:
    np.savez(path, positive=votes.oof.said[:, 1], y=votes.oof.y)
    return str(path)


def _beside_peer(python: Path) -> list[Result]:
    small, large = votes_of(MEMBERS, ROWS, test_rows=100), votes_of(GREEDY_MEMBERS, GREEDY_ROWS, test_rows=100)
    ours: list[list[float]] = []
    theirs: list[list[tuple[float, float, list[float]]]] = []
    with tempfile.TemporaryDirectory() as scratch:
        few, many = _keep(small, Path(scratch) / "small.npz"), _keep(large, Path(scratch) / "large.npz")
        jobs = [(few, "accuracy", PEER_STEPS), (few, "log_loss", PEER_STEPS), (many, "log_loss", GREEDY_STEPS)]
        simulation.every_subset(votes_of(2, 100))
        reached = simulation.greedy(large, "log_loss", steps=1)
        for _ in range(ROUNDS):
            taken = [_seconds(lambda m=m: simulation.every_subset(small, metrics=m)) for m in (["accuracy"], ["log_loss"], None)]
            start = time.perf_counter()
            reached = simulation.greedy(large, "log_loss", steps=GREEDY_STEPS)
            ours.append([*taken, time.perf_counter() - start])
            answer = subprocess.run([python, "-c", PEER, json.dumps(jobs)], capture_output=True, text=True, check=True)
            theirs.append(json.loads(answer.stdout.splitlines()[-1]))
    by_accuracy, by_log_loss, by_all, greedily = (statistics.median(values) for values in zip(*ours, strict=True))
    how = (
        f"{MEMBERS} members x {ROWS:,} rows, binary; medians of {ROUNDS} rounds in turn; "
        f"ours scores all {1 << MEMBERS:,} subsets, AutoGluon {PEER_STEPS} steps of {MEMBERS} candidates"
    )
    everything = (1 << MEMBERS) / by_all
    results = [Result(name="ensembles a second, three metrics at once", value=everything, unit="1/s", how=how)]
    for place, metric, seconds, target in ((0, "accuracy", by_accuracy, 100), (1, "log loss", by_log_loss, 20)):
        rate = (1 << MEMBERS) / seconds
        peer_rate = PEER_STEPS * MEMBERS / statistics.median(r[place][0] for r in theirs)
        results.append(Result(name=f"ensembles a second, by {metric}", value=rate, unit="1/s", how=how))
        results.append(Result(name=f"AutoGluon's, by {metric}", value=peer_rate, unit="1/s", how=how, peer="AutoGluon"))
        results.append(_at_least(f"ours / AutoGluon's, by {metric}", rate / peer_rate, target, how))
    how = (
        f"greedy by log loss, {GREEDY_MEMBERS} members x {GREEDY_ROWS:,} rows x {GREEDY_STEPS} steps on the same predictions; "
        f"medians of {ROUNDS} rounds in turn; reached {reached.oof['log_loss']:.6f}, AutoGluon {theirs[-1][2][1]:.6f}"
    )
    results.append(Result(name="greedy selection", value=greedily, unit="s", how=how))
    weights = dict(zip(reached.members, reached.weights, strict=True))
    apart = max(abs(weights.get(m, 0.0) - w) for m, w in zip(large.names, theirs[-1][2][2], strict=True))
    results.append(at_most("largest difference of a weight from AutoGluon's", apart, 1e-9, "", how=how, peer="AutoGluon"))
    results.append(_at_least("AutoGluon's seconds / ours", statistics.median(r[2][0] for r in theirs) / greedily, 5, how))
    return results


def _at_least(name: str, value: float, target: float, how: str) -> Result:
    return Result(
        name=name, value=value, unit="", how=how, peer="AutoGluon", target=f"at least {target:g}", holds=value >= target
    )


def measure() -> list[Result]:
    """Score subsets, select greedily and replay cascades; AutoGluon beside the first two."""
    python = peer_python("autogluon")
    results = [missing_peer("autogluon")] if python is None else _beside_peer(python)
    answer = subprocess.run([sys.executable, "-c", EXACT], capture_output=True, text=True, check=True)
    seconds, peak = map(float, answer.stdout.split())
    how = f"2**20 subsets x {ROWS:,} rows by log loss, accuracy and Brier score, two threads, in a process of its own"
    results.append(at_most("every subset of 20 members", seconds, 60, "s", how=how))
    results.append(at_most("its peak memory, the interpreter included", peak, 2048, "MiB", how=how))
    votes = votes_of(MEMBERS, ROWS)
    rng = np.random.default_rng(0)
    latencies = {name: rng.lognormal(sigma=0.5, size=2000) for name in votes.names}
    taken = statistics.median(_seconds(lambda: simulation.pair_cascades(votes, latencies)) for _ in range(ROUNDS))
    how = f"{MEMBERS * (MEMBERS - 1)} ordered pairs x {ROWS:,} out-of-fold and {ROWS:,} test rows; median of {ROUNDS}"
    results.append(at_most("all pairs at all thresholds", taken, 1, "s", how=how))
    return results


if __name__ == "__main__":
    main("Ensembles on paper", measure)
