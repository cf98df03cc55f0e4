"""However a child ends or whatever it writes: under load and with recipes too, a reason on the record and never an exception."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from shipworthy.measurement import (
    Load,
    LoadJob,
    RecipeJob,
    ServingJob,
    load,
    measure_round,
    replay,
    replaying,
    run_loads,
)
from shipworthy.measurement.children import read_report
from shipworthy.records import MeasuringPlan, Scenario

MODELS = '''
import os, signal, sys, time
import numpy as np

class Model:
    def __init__(self, misbehave):
        self.misbehave, self.calls = misbehave, 0
    def predict_proba(self, X):
        self.calls += 1
        if self.calls == 10:
            self.misbehave()
        return np.zeros((len(X), 2))
    predict = predict_proba

def prints():
    for _ in range(128):
        sys.stdout.write("x" * 2**20)
        sys.stderr.write("y" * 2**20)

def takes_all_memory():
    """Of a process that may not have more than a quarter of a GiB beyond what it has."""
    import resource
    held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() if os.path.exists("/proc/self/statm") else 0
    resource.setrlimit(resource.RLIMIT_AS, (held + 2**28, resource.RLIM_INFINITY))
    hoard = []
    while True:
        hoard.append(bytearray(2**24))

def make(misbehave):
    return lambda artefact: Model(misbehave)

killed = make(lambda: os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM)))
exits = make(lambda: sys.exit(5))
hangs = make(lambda: time.sleep(600))
garbage = make(lambda: sys.stderr.buffer.write(bytes(range(128, 256)) * 2**12))
loud, greedy, quiet = make(prints), make(takes_all_memory), make(lambda: None)
'''

needs_signals = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL to end the child with")
needs_limits = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux holds a process to RLIMIT_AS")
ENDINGS = [
    pytest.param("killed", "ended by SIGKILL while", id="killed", marks=needs_signals),
    pytest.param("exits", "ended with status 5 while", id="exits"),
    pytest.param("hangs", "at its limit of 3 s", id="hangs"),
    pytest.param("greedy", "ended with status 1 while", id="out of memory", marks=needs_limits),
]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder with misbehaving models and rows, and a lock of its own."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "misbehaving.py").write_text(MODELS, encoding="utf-8")
    for name in ("queries.json", "training.json"):
        (tmp_path / name).write_text(json.dumps([{"row": i} for i in range(40)]), encoding="utf-8")
    return tmp_path


def under_load(folder: Path, name: str) -> tuple[load.LoadRun, load.LoadRun]:
    """Five queries, which come before the misbehaviour, and thirty, in which it comes."""
    job = LoadJob(
        candidate="planted",
        dataset="rows",
        artefact=folder / "none.skops",
        queries=folder / "queries.json",
        warm_up=2,
        time_limit_s=3 if name == "hangs" else 60,
        factory=f"misbehaving:{name}",
        sys_path=(str(folder),),
    )
    single = Scenario(name="single_stream")
    few, many = run_loads(job, [Load(scenario=single, min_count=5), Load(scenario=single, min_count=30)])
    return few, many


def recipes(folder: Path, name: str, *asked: str):
    """Recipes of which the first asks for 100 single rows."""
    return replay(
        RecipeJob(
            candidate="planted",
            dataset="rows",
            artefact=folder / "none.skops",
            queries=folder / "queries.json",
            training=folder / "training.json",
            recipes=asked,
            factory=f"misbehaving:{name}",
            sys_path=(str(folder),),
            time_limit_s=3 if name == "hangs" else 60,
        )
    )


@pytest.mark.parametrize(("name", "said"), ENDINGS)
def test_a_child_that_ends_under_load_is_a_reason(files, name, said):
    """The load before it stands; the one in which it ended has one sentence."""
    few, many = under_load(files, name)
    assert (few.n, few.failure, many.n) == (5, "", 0)
    assert said in many.failure
    assert "\n" not in many.failure
    assert ("MemoryError" in many.failure) == (name == "greedy")


@pytest.mark.parametrize(("name", "said"), [e for e in ENDINGS if e.id in {"killed", "out of memory"}])
def test_a_child_that_ends_while_recipes_are_replayed_is_a_reason(files, name, said):
    """What was told before stands; out of memory is the failure of one recipe, a kill that of all that come later."""
    first, second = recipes(files, name, "h2o", "amlb_row")
    assert first.values
    assert second.values == ()
    assert ("MemoryError" if name == "greedy" else said) in second.failure


@pytest.mark.parametrize("name", ["loud", "garbage"])
def test_what_a_model_prints_under_load_or_in_a_recipe_breaks_nothing(files, name):
    """256 MiB on stdout and stderr, or bytes that are no text, leave every value."""
    assert [(run.n, run.failure) for run in under_load(files, name)] == [(5, ""), (30, "")]
    assert all(m.values and not m.failure for m in recipes(files, name, "h2o", "amlb_row"))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b"\x00\xff not json\n", "no report in line 1"),
        (b'{"log 0": [1, 2]}\n', "moments that are no numbers"),
        (b'{"log 0": {"a": 1}}\n', "moments that are no numbers"),
        (b"", "though it ended with status 0"),
    ],
)
def test_garbage_in_place_of_a_report_is_a_reason(files, monkeypatch, written, said):
    """Under load and with recipes: what is no report is none, and nothing is raised."""
    fake = files / "fake.py"
    fake.write_text(f"import json\njob = json.loads(input())\nopen(job['result'], 'wb').write({written!r})", encoding="utf-8")
    monkeypatch.setattr(load, "LOAD_CHILD", fake)
    monkeypatch.setattr(replaying, "CHILD", fake)
    few, many = under_load(files, "quiet")
    assert few.n == many.n == 0
    assert said in few.failure or "though it ended with status 0" in few.failure
    assert many.failure
    assert all(m.failure for m in recipes(files, "quiet", "h2o"))


HUGE = '{"quantity": "x", "scenario": "none", "batch_size": 0, "values": [1' + "0" * 400 + "]}"


@pytest.mark.parametrize("line", ["[" * 100_000, HUGE], ids=["nested", "huge"])
def test_a_report_that_no_parser_bears_is_wrong_and_no_exception(tmp_path, line):
    """Nested beyond what Python reads, or a number beyond what a float holds."""
    path = tmp_path / "report.jsonl"
    path.write_text(f'{{"stage": "importing"}}\n{line}\n', encoding="utf-8")
    values, facts, wrong = read_report(path)
    assert (values, facts["stage"]) == ({}, "importing")
    assert "no report in line 2" in wrong


# -- where the platform gives less ---------------------------------------------------------------------------------------------

BARE = """
import builtins, os
for name in ("sched_getaffinity", "sched_setaffinity", "getloadavg"):
    if hasattr(os, name):
        delattr(os, name)
os.cpu_count = lambda: 1
_open, _stat = builtins.open, os.stat

def _refuse(path):
    if isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith(("/proc/self/", "/proc/cpuinfo")):
        raise FileNotFoundError(2, "this platform has no /proc", os.fspath(path))

def open(path, *args, **kwargs):
    _refuse(path)
    return _open(path, *args, **kwargs)

def stat(path, *args, **kwargs):
    _refuse(path)
    return _stat(path, *args, **kwargs)

builtins.open, os.stat = open, stat
import io
io.open = open
"""


@pytest.fixture
def bare_platform(files, monkeypatch):
    """Every process started from here, and this one where it asks, has one core, no affinity, no load average, no /proc."""
    from shipworthy.measurement import machine

    (files / "sitecustomize.py").write_text(BARE, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(files), *sys.path))))
    for name in ("sched_getaffinity", "sched_setaffinity", "getloadavg"):
        monkeypatch.delattr(os, name, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    monkeypatch.setattr(machine, "CPUINFO", files / "absent")
    machine._processor.cache_clear()
    machine._allowed_packages.cache_clear()
    yield files
    machine._processor.cache_clear()
    machine._allowed_packages.cache_clear()


def test_a_bare_platform_is_measured_with_what_there_is(bare_platform):
    """In real children: times, memory by sampling and loads are there, and the record says what could not be done."""
    plan = MeasuringPlan(queries=20, rounds=1, warm_up=5, batch_sizes=(4,), batch_repeats=1, time_limit_s=60)
    job = ServingJob(
        candidate="planted",
        dataset="rows",
        artefact=bare_platform / "queries.json",
        queries=bare_platform / "queries.json",
        plan=plan,
        factory="misbehaving:quiet",
        sys_path=(str(bare_platform),),
    )
    measured = {(m.quantity, m.conditions.scenario, m.conditions.batch_size): m for m in measure_round(job)}
    assert len(measured["latency_ms", "single_stream", 1].values) == 20
    assert measured["cpu_ms", "single_stream", 1].values
    conditions = measured["latency_ms", "single_stream", 1].conditions
    assert "this platform cannot pin a process" in conditions.pinned
    assert conditions.load_average != conditions.load_average
    for key in (("memory_mib", "none", 0), ("peak_memory_mib", "none", 1), ("peak_memory_mib", "none", 4)):
        assert measured[key].values or measured[key].failure
        assert "psutil" in (measured[key].conditions.note or measured[key].failure)
    few, many = under_load(bare_platform, "quiet")
    assert (few.n, many.n) == (5, 30)
    assert "this platform cannot pin a process" in many.conditions.pinned
    assert all(m.values for m in recipes(bare_platform, "quiet", "h2o"))
