"""The experiment around the measuring: which rows are sent, what a wait leaves behind, and what an ensemble costs."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from shipworthy import candidates
from shipworthy.experiments import ensembles, latency_and_memory
from shipworthy.experiments.arms import make_arm
from shipworthy.experiments.workbench import Workbench
from shipworthy.measurement import machine
from shipworthy.records import Conditions, Costs, Measurement, Predictions, Trained

pytestmark = pytest.mark.alone


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """An empty run folder, with a lock of its own."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = tmp_path / "run"
    (folder / "parts").mkdir(parents=True)
    told = []
    found = Workbench(folder, notify=told.append)
    found.told = told
    return found


def small_arm(dataset, **measuring):
    """A cheap arm."""
    training = {"max_train_rows": 200, "max_test_rows": 150, "folds": 3, "search_trials": 1}
    plan = {"queries": 20, "rounds": 1, "warm_up": 2, "batch_sizes": [16], "batch_repeats": 2} | measuring
    return make_arm(dataset, training=training, measuring=plan)


@pytest.mark.parametrize(
    ("queries", "size", "different", "in_batches"), [(20, 16, 20, 48), (20, 40, 20, 120), (700, 64, 150, 150)]
)
def test_as_many_different_rows_are_drawn_as_there_are(bench, queries, size, different, in_batches):
    """Queries and every repeat of a batch have rows of their own while the test rows last, and their number is on record."""
    arm = small_arm("breast_cancer", queries=queries, batch_sizes=[size])
    unit = bench.queries_unit(arm)
    bench.make(unit, latency_and_memory.draw_queries(bench, arm))
    drawn = bench.read(unit, "queries.json")
    assert len({json.dumps(q) for q in drawn}) == len(drawn) >= max(different, in_batches)
    assert latency_and_memory.different_rows(bench, arm) == different
    assert bench.read(unit, "facts.json")["different_rows_in_batches"] == {str(size): in_batches}


def test_a_wait_for_the_machine_is_told_and_noted(bench, tmp_path, monkeypatch):
    """Measuring while another process holds the machine says so once, and leaves one line with its seconds."""
    monkeypatch.setattr(machine, "PATIENCE_S", 0.3)
    arm = small_arm("breast_cancer")
    ensembles.ensure_trained(bench, arm, ["prior"])
    code = (
        f"import tempfile, time\ntempfile.tempdir = {str(tmp_path)!r}\nimport shipworthy.measurement.machine as m\n"
        "with m.exclusive():\n    print('in', flush=True)\n    time.sleep(2)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "in\n"
        latency_and_memory.measure_latency_and_memory(bench, arm, ["prior"])
    assert bench.told.count("waiting for another measurement on this machine to end") == 1
    (line,) = (bench.folder / latency_and_memory.WAITS).read_text(encoding="utf-8").splitlines()
    assert 0.3 < json.loads(line)["seconds"] < 30
    latency_and_memory.measure_latency_and_memory(bench, small_arm("breast_cancer", queries=21), ["prior"])
    assert len((bench.folder / latency_and_memory.WAITS).read_text(encoding="utf-8").splitlines()) == 1


def trained(cpu, wall, memory, **notes):
    """A candidate that cost so much."""
    nothing = Predictions(*[None] * 6)
    return Trained("c", nothing, "a", Costs(wall, cpu, memory, "read"), notes)


def test_a_stack_costs_its_members_out_of_fold_fits_and_a_vote_does_not():
    """CPU and wall seconds of the members' out-of-fold fits are added where a final estimator was fitted on them."""
    members = {
        "one": trained(1.0, 2.0, 5.0, oof_cpu_s=10.0, oof_wall_s=20.0),
        "two": trained(3.0, 4.0, math.nan, oof_cpu_s=30.0, oof_wall_s=40.0),
    }
    stack = ensembles._with_members(trained(0.5, 0.5, 1.0, needs_out_of_fold=True, members=["one", "two"]), members)
    vote = ensembles._with_members(trained(0.5, 0.5, 1.0, needs_out_of_fold=False, members=["one", "two"]), members)
    assert (stack.cpu_s, stack.wall_s, stack.memory_mib) == (44.5, 66.5, 5.0)
    assert (vote.cpu_s, vote.wall_s) == (4.5, 6.5)
    assert "not known of two" in stack.memory_how
    members["one"] = trained(1.0, math.nan, 5.0, oof_cpu_s=10.0, oof_wall_s=None)
    assert math.isnan(
        ensembles._with_members(trained(0.5, 0.5, 1.0, needs_out_of_fold=True, members=["one", "two"]), members).wall_s
    )


def test_a_trained_stack_is_dearer_than_a_vote_of_the_same_members(bench):
    """End to end, the stack's CPU seconds exceed those of the vote by the members' out-of-fold fits."""
    arm = small_arm("breast_cancer")
    ensembles.ensure_trained(bench, arm, ["stack", "soft_vote"])
    from shipworthy import training

    found = {
        n: training.load(bench.part(bench.fit_unit(arm, n))) for n in ("stack", "soft_vote", *candidates.get("stack").members)
    }
    out_of_fold = sum(found[m].notes["oof_cpu_s"] for m in candidates.get("stack").members)
    final = sum(found[m].costs.cpu_s for m in candidates.get("stack").members)
    assert out_of_fold > 0
    assert found["stack"].costs.cpu_s >= final + out_of_fold
    assert final <= found["soft_vote"].costs.cpu_s < final + out_of_fold


def streams(rng, names, *, scale=1.0, rounds=3):
    """Single streams of candidates that are all the same, in fresh processes that differ by 5 % as wholes."""
    here = Conditions("m", "v", 1, "single_stream", 1, 0, 30, "off", "lean", "core 0", 0.1)
    found = []
    for name in names:
        values, index = [], []
        for r in range(rounds):
            values += (scale * rng.lognormal(0, 0.05) * rng.lognormal(0, 0.2, 200)).tolist()
            index += [r] * 200
        found.append(Measurement(name, "adult", "latency_ms", tuple(values), tuple(index), here))
    return found


def test_identical_candidates_are_hardly_ever_called_different():
    """Of 200 candidates that are the same as the one that they stand against, at most 16 are called slower: 5 % and chance."""
    rng = np.random.default_rng(8)
    told = [latency_and_memory.latency_pairs(streams(rng, "abcde")) for _ in range(50)]
    assert sum(len(frame) for frame in told) == 200
    assert sum((frame["verdict"] == "slower").sum() for frame in told) <= 16


def test_a_candidate_twice_as_slow_is_called_slower():
    """A real difference stands far above the floor, and its interval holds what was planted."""
    rng = np.random.default_rng(9)
    frame = latency_and_memory.latency_pairs([*streams(rng, "abc"), *streams(rng, "d", scale=2.0)])
    slow = frame[frame["candidate"] == "d"].iloc[0]
    assert slow["verdict"] == "slower"
    assert slow["low"] < 2 < slow["high"]
    assert latency_and_memory.latency_pairs(streams(rng, "a")).empty


def test_energy_is_an_estimate_from_cpu_seconds():
    """By hand: 3.6 ms a query are 3.6 CPU seconds a thousand and one CPU hour a million: 1, 4 and 10 Wh at 1, 4 and 10 W."""
    rows = [("vote", "cpu_ms", "mean", 7.2), ("tree", "cpu_ms", "mean", 3.6), ("tree", "latency_ms", "mean", 9.0)]
    frame = latency_and_memory.energy(pd.DataFrame(rows, columns=["candidate", "quantity", "statistic", "value"]))
    assert frame["candidate"].tolist() == ["tree", "vote"]
    assert frame.iloc[0, 1:].tolist() == [3.6, 1.0, 4.0, 10.0]
