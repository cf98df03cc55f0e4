"""The machine and the costs of work: described on any platform, stable where they must be, and labelled where they cannot be."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from shipworthy.measurement import child, costs, machine

pytestmark = pytest.mark.alone


def test_the_description_is_plain_json_and_agrees_with_psutil():
    """All facts survive JSON, and memory and cores are what psutil counts."""
    told = machine.describe_machine()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["memory_mib"] == pytest.approx(psutil.virtual_memory().total / 2**20, abs=0.1)
    assert told["logical_cores"] == psutil.cpu_count()
    assert 1 <= told["usable_cores"] <= told["logical_cores"]
    assert 0 <= told["timer_ns_p50"] <= told["timer_ns_p99"]


def test_a_platform_without_proc_affinity_and_load_says_so(monkeypatch, tmp_path):
    """Where nothing but the standard library answers, the description has what is left and a sentence for what is not."""
    for name in ("sched_getaffinity", "sched_setaffinity", "getloadavg"):
        monkeypatch.delattr(os, name, raising=False)
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "absent")
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    machine._processor.cache_clear()
    told = machine.describe_machine()
    machine._processor.cache_clear()
    assert told["processor"]
    assert told["usable_cores"] == 1
    assert told["load_average"] is None
    assert any("pinned" in sentence for sentence in told["cannot"])
    assert any("load average" in sentence for sentence in told["cannot"])
    assert machine.usable_cores() == (0,)
    assert math.isnan(machine.load_average())


def test_the_fingerprint_ignores_load_and_free_memory(monkeypatch):
    """It is the same again under load, and another one with another processor."""
    first = machine.machine_fingerprint()
    monkeypatch.setattr(os, "getloadavg", lambda: (99.0, 99.0, 99.0), raising=False)
    ballast = bytearray(2**26)
    assert machine.machine_fingerprint() == first
    del ballast
    monkeypatch.setattr(machine, "_processor", lambda: "another")
    assert machine.machine_fingerprint() != first


def test_versions_are_those_that_are_imported():
    """The versions on record are those of the modules in memory."""
    told = machine.library_versions()
    assert told["numpy"] == np.__version__
    assert told["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")


def test_versions_are_read_once(monkeypatch):
    """Every unit's identity holds them, so asking again reads nothing, and what one caller does to its answer no other sees."""
    told = machine.library_versions()
    monkeypatch.setattr(machine.metadata, "version", lambda name: pytest.fail(f"{name} was read again"))
    machine.library_versions().clear()
    assert machine.library_versions() == told


def test_a_lean_environment_holds_what_serving_requires_and_no_more():
    """scikit-learn's and skops' requirements are allowed; pandas, plots and notebooks are not; XGBoost only on demand."""
    plain = set(machine.allowed_packages(frozenset()))
    assert {"sklearn", "numpy", "scipy", "skops", "joblib", "threadpoolctl", "shipworthy"} <= plain
    assert not {"pandas", "pyarrow", "matplotlib", "IPython", "pytest", "xgboost"} & plain
    assert "xgboost" in machine.allowed_packages(frozenset({"xgboost"}))


def test_the_lock_can_be_entered_again_but_not_by_another_process(monkeypatch, tmp_path):
    """Inside itself it passes; another process waits until it is left."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    mark = tmp_path / "entered"
    code = f"import pathlib, shipworthy.measurement.machine as m\nwith m.exclusive(): pathlib.Path({str(mark)!r}).touch()"
    with machine.exclusive():
        with machine.exclusive():
            other = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"TEMP": str(tmp_path), "TMP": str(tmp_path)})
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(1.0)
        assert not mark.exists()
    assert other.wait(30) == 0
    assert mark.exists()


def test_whoever_waits_is_told_once_and_how_long_it_took(monkeypatch, tmp_path):
    """A wait beyond the patience is one sentence, and its seconds are handed over; no wait is silent and short."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(machine, "PATIENCE_S", 0.2)
    told = []
    code = (
        "import tempfile, time, sys\n"
        f"tempfile.tempdir = {str(tmp_path)!r}\n"
        "import shipworthy.measurement.machine as m\n"
        "with m.exclusive():\n    print('in', flush=True)\n    time.sleep(1)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "in\n"
        with machine.exclusive(told.append) as waited:
            assert waited > 0.2
            with machine.exclusive(told.append) as again:
                assert again < 0.2
    assert told == ["waiting for another measurement on this machine to end"]


def test_cores_are_chosen_once_for_all_rounds_of_a_block(monkeypatch, tmp_path):
    """Inside one block the same cores are given, however busy they become; the next block chooses anew."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(os, "sched_setaffinity", lambda *_: None, raising=False)
    monkeypatch.setattr(machine, "usable_cores", lambda: (0, 1, 2))
    idlest = [0]
    reading = [0]

    def times(percpu):
        assert percpu
        reading[0] += 1
        gained = 1.0 if reading[0] % 2 == 0 else 0.0
        return [type("T", (), {"idle": gained * (core == idlest[0])}) for core in range(3)]

    monkeypatch.setattr(psutil, "cpu_times", times)
    with machine.exclusive():
        assert machine.least_busy_cores(1) == (0,)
        idlest[0] = 2
        with machine.exclusive():
            assert machine.least_busy_cores(1) == (0,)
        assert machine.least_busy_cores(1) == (0,)
    with machine.exclusive():
        assert machine.least_busy_cores(1) == (2,)
    idlest[0] = 1
    assert machine.least_busy_cores(1) == (1,)


def test_a_rise_of_memory_that_cannot_be_told_from_nothing_is_not_published():
    """Work that holds nothing has no number of MiB, and the record says what might be behind it."""
    _, spent = costs.measure_costs(lambda: None)
    assert math.isnan(spent.memory_mib)
    assert "run it alone to know" in spent.memory_how


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(),
    reason="only Linux lets a process reset its own memory peak (/proc/self/clear_refs)",
)
def test_memory_that_earlier_work_left_free_is_seen_again():
    """Small blocks that were freed before would be taken again unseen; they are given back first."""

    def work():
        return [bytearray(60_000) for _ in range(1000)]

    work()
    _, spent = costs.measure_costs(work)
    assert 50 <= spent.memory_mib <= 70


def test_costs_count_cpu_and_not_sleep():
    """Sleeping costs wall time only; computing costs both."""
    _, slept = costs.measure_costs(lambda: time.sleep(0.2))
    assert slept.wall_s >= 0.2
    assert slept.cpu_s < 0.1

    def burn():
        until = time.process_time() + 0.2
        while time.process_time() < until:
            pass
        return "burnt"

    result, burnt = costs.measure_costs(burn)
    assert result == "burnt"
    assert burnt.cpu_s >= 0.2
    assert burnt.wall_s >= 0.95 * burnt.cpu_s


def test_costs_count_the_cpu_of_children_that_ended():
    """CPU time that a child process spent is part of the work's."""
    code = "import time\nwhile time.process_time() < 0.3: pass"
    _, spent = costs.measure_costs(lambda: subprocess.run([sys.executable, "-c", code], check=True))
    if os.name == "posix":
        assert spent.cpu_s >= 0.25  # its own clock and the system's differ by a few ticks


@pytest.mark.parametrize("how", ["here", "sampled"])
def test_peak_memory_is_that_of_the_work(monkeypatch, how):
    """64 MiB held while working and given back are seen, and a second piece of work does not inherit them."""
    if how == "sampled":
        monkeypatch.setattr(costs, "MemoryReader", lambda: child.MemoryReader("/absent", "/absent"))

    def work():
        held = np.ones(8 * 2**20)
        time.sleep(0.1)
        return float(held[0])

    _, first = costs.measure_costs(work)
    _, second = costs.measure_costs(lambda: time.sleep(0.05))
    assert 60 <= first.memory_mib <= 80
    assert not second.memory_mib >= 8
    assert ("sampled" in first.memory_how) == (how == "sampled" or not Path("/proc/self/clear_refs").exists())


def test_memory_that_cannot_be_read_is_nan_with_a_reason(monkeypatch):
    """Without /proc and without psutil the costs say that memory was not measured."""
    monkeypatch.setitem(sys.modules, "psutil", None)
    monkeypatch.setattr(costs, "MemoryReader", lambda: child.MemoryReader("/absent", "/absent"))
    _, spent = costs.measure_costs(lambda: None)
    assert math.isnan(spent.memory_mib)
    assert "not measured" in spent.memory_how


def test_what_the_work_raises_passes_through():
    """An error of the work is the caller's to see."""
    with pytest.raises(ZeroDivisionError):
        costs.measure_costs(lambda: 1 / 0)
