"""Measures how a saved artefact serves: starts a fresh child for each round, guards it, and gathers what it reports.

One round is one child (``child.py``): it imports, loads, answers, and reports raw values. Whatever happens to the child, the
round ends with measurements: those that it reported, and for the rest the reason why there are none.

This module does *not* know which latency is too much, nor how the artefact was made.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from shipworthy.measurement.machine import (
    allowed_packages,
    exclusive,
    least_busy_cores,
    library_versions,
    load_average,
    machine_fingerprint,
)
from shipworthy.records import Conditions, Measurement, MeasuringPlan, ScenarioName

CHILD = Path(__file__).with_name("child.py")
ITEMISED = 100
"""Queries of each round whose parts are timed too, after the timed loop and apart from it."""
KEPT_STDERR = 2000
MAX_REPORT_BYTES = 2**28
ALLOWED_ROOTS = frozenset({"numpy", "scipy", "sklearn", "xgboost", "shipworthy"})
"""Only modules of these packages are imported because an artefact mentions them: an artefact must not choose what runs."""

_Scenario = ScenarioName | Literal["none"]
_Key = tuple[str, str, int]  # quantity, scenario, batch size


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingJob:
    """One round of serving one artefact.

    Parameters
    ----------
    candidate, dataset : str
        For the record.
    artefact : Path
        As written by ``artefacts.save``.
    queries : Path
        A JSON list of raw queries (dicts). The timed ones of a round follow those of the round before; when there are too few
        they come again, and the conditions say so.
    plan : MeasuringPlan
    seed : int
        Of the study, for the record.
    round_index : int
        From 0. Batches are measured in round 0 only: they are many rows already, and the time goes to single queries.
    profile : {"lean", "full"}
        ``lean``: the child finds only the standard library and what the artefact needs; ``full``: the whole environment.
    factory : str
        A seam for tests: ``"module:function"`` that is called with the path of the artefact and returns the model, in place of
        ``artefacts.load``. Planted models of known service time cannot be artefacts, since those hold no foreign class.
    sys_path : tuple of str
        Where the factory's module is.
    """

    candidate: str
    dataset: str
    artefact: Path
    queries: Path
    plan: MeasuringPlan
    seed: int = 0
    round_index: int = 0
    profile: Literal["lean", "full"] = "lean"
    factory: str = ""
    sys_path: tuple[str, ...] = ()


def _share(plan: MeasuringPlan, round_index: int) -> tuple[int, int]:
    """First timed query of a round and how many: as even as can be, at least one."""
    each, left = divmod(plan.queries, plan.rounds)
    first = round_index * each + min(round_index, left)
    return first, max(1, each + (round_index < left))


def _expected(job: ServingJob) -> list[_Key]:
    """Everything that a whole round reports."""
    keys: list[_Key] = [(q, "none", 0) for q in ("import_ms", "load_ms", "first_call_ms", "memory_mib")]
    keys += [(q, "single_stream", 1) for q in ("latency_ms", "throughput_rows_s", "cpu_ms", "build_ms", "preprocess_ms")]
    keys += [("peak_memory_mib", "none", 1)]
    for size in _batch_sizes(job):
        keys += [("latency_ms", "multi_stream", size), ("peak_memory_mib", "none", size)]
    if job.round_index == 0:
        keys += [("throughput_rows_s", "offline", max(job.plan.batch_sizes))]
    return keys


def _batch_sizes(job: ServingJob) -> tuple[int, ...]:
    """Batch sizes of this round, ascending; one row at a time is the single stream and not asked for twice."""
    return tuple(sorted(set(job.plan.batch_sizes))) if job.round_index == 0 else ()


def _modules_in(artefact: Path) -> tuple[str, ...]:
    """Modules that a skops file mentions, of the allowed packages, read from its schema; empty if it cannot be read."""
    try:
        with zipfile.ZipFile(artefact) as archive:
            todo: list[Any] = [json.loads(archive.read("schema.json"))]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return ()  # the child will fail to load it and say why
    found = set()
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            found.add(node.get("__module__"))
            todo.extend(node.values())
        elif isinstance(node, list):
            todo.extend(node)
    return tuple(sorted(m for m in found if isinstance(m, str) and m.partition(".")[0] in ALLOWED_ROOTS))


def _environment(threads: int) -> dict[str, str]:
    """The child's environment: ours, with threads fixed and without what would change how Python runs."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON") or k in {"PYTHONPATH", "PYTHONHOME"}}
    names = ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR")
    fixed = {f"{name}_NUM_THREADS": str(threads) for name in names}
    fixed |= {"VECLIB_MAXIMUM_THREADS": str(threads), "LOKY_MAX_CPU_COUNT": str(threads), "OMP_DYNAMIC": "FALSE"}
    return kept | fixed | {"PYTHONHASHSEED": "0"}


@dataclass(frozen=True, slots=True)
class _Ending:
    """How a child ended: exit status (``None``: it was stopped at the limit) and the end of what it wrote to stderr."""

    status: int | None
    stderr: str


def _stop(child: subprocess.Popen[bytes]) -> None:
    """Kill the child and, where it leads a session of its own, whatever it started."""
    if sys.platform != "win32":
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    child.kill()
    child.wait()


def _run_child(job: dict[str, Any], threads: int, limit_s: float) -> _Ending:
    """Start a child, give it the job, wait for its end, and never longer than the limit."""
    tail: deque[bytes] = deque(maxlen=2)
    with subprocess.Popen(
        # -P: the script's own folder must not be searched, or machine.py there could stand for another module.
        [sys.executable, "-P", str(CHILD)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,  # a model may print as much as it likes
        stderr=subprocess.PIPE,
        env=_environment(threads),
        start_new_session=True,  # Ctrl-C reaches us alone, and we stop the child; ignored on Windows
    ) as child:
        assert child.stdin is not None
        assert child.stderr is not None
        stderr, ended = child.stderr.fileno(), threading.Event()

        def drain() -> None:
            with suppress(OSError):
                while piece := os.read(stderr, 65536):
                    tail.append(piece[-KEPT_STDERR:])

        def wait() -> None:
            child.wait()
            ended.set()

        drained = threading.Thread(target=drain, daemon=True)
        drained.start()
        # Waiting with a limit polls; a thread that blocks does not wake up beside the timed window.
        threading.Thread(target=wait, daemon=True).start()
        try:
            with suppress(OSError):  # a child that ended at once reads nothing; its exit status tells why
                child.stdin.write(json.dumps(job).encode() + b"\n")
                child.stdin.flush()
            in_time = ended.wait(limit_s)
        finally:
            _stop(child)
            drained.join(timeout=2)  # something that the child started may still hold its end of the pipe
            with suppress(OSError):
                child.stdin.close()
    text = b"".join(tail).decode("utf-8", "replace")[-KEPT_STDERR:]
    return _Ending(child.returncode if in_time else None, text)


def _run_child_again(job: dict[str, Any], threads: int, limit_s: float) -> _Ending:
    """Run a child, and once more if a signal ended it: a stray kill is made good, what kills it every time is a finding."""
    ending = _run_child(job, threads, limit_s)
    if ending.status is not None and ending.status < 0:
        Path(job["result"]).unlink(missing_ok=True)
        ending = _run_child(job, threads, limit_s)
    return ending


def _read_report(path: Path) -> tuple[dict[_Key, tuple[float, ...]], dict[str, Any], str]:
    """Values by quantity, facts, and what is wrong with the report (empty: nothing). Only whole, well-formed lines count."""
    values: dict[_Key, tuple[float, ...]] = {}
    facts: dict[str, Any] = {}
    if not path.exists():
        return values, facts, "wrote no report"
    if path.stat().st_size > MAX_REPORT_BYTES:
        return values, facts, f"wrote a report of {path.stat().st_size / 2**20:,.0f} MiB, which was not read"
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            row = json.loads(line)
            if "quantity" in row:
                key = (str(row["quantity"]), str(row["scenario"]), int(row["batch_size"]))
                values[key] = tuple(float(v) for v in row["values"])
            else:
                facts.update(row)
        except (ValueError, TypeError, KeyError):
            return values, facts, f"wrote something that is no report in line {number}"
    return values, facts, ""


def _reason(ending: _Ending, facts: dict[str, Any], wrong: str, limit_s: float) -> str:
    """Why a round has not given everything, in one sentence; empty if nothing went wrong."""
    where = f" while {facts['stage']}" if "stage" in facts else " before it began"
    said = [line.strip() for line in ending.stderr.splitlines() if line.strip()]
    last = f": {said[-1][:300]}" if said else ""
    if ending.status is None:
        return f"the serving process was stopped{where}, at its limit of {limit_s:g} s"
    if ending.status < 0:
        name = signal.Signals(-ending.status).name if -ending.status in set(signal.Signals) else f"signal {-ending.status}"
        why = ", as a system does that runs out of memory" if name == "SIGKILL" else ""
        return f"the serving process was ended by {name}{where}{why}"
    if ending.status:
        return f"the serving process ended with status {ending.status}{where}{last}"
    if wrong or not facts.get("done"):
        return f"the serving process {wrong or 'ended'}{where}, though it ended with status 0{last}"
    return ""


def measure_round(job: ServingJob) -> tuple[Measurement, ...]:
    """Measure one round in one fresh child, alone on the machine.

    Parameters
    ----------
    job : ServingJob

    Returns
    -------
    tuple of Measurement
        ``latency_ms`` (single stream; batches as multi stream), ``build_ms`` and ``preprocess_ms`` of some queries, ``cpu_ms``,
        ``throughput_rows_s`` (single stream; offline with the largest batch), ``import_ms``, ``load_ms``, ``first_call_ms``,
        ``memory_mib``, ``peak_memory_mib`` by batch size and, in round 0, ``size_mib``. Where the child gave no values, the
        measurement has none and says why: a crash, a hang or a kill is a finding about the candidate, not an error of ours.

    Notes
    -----
    Memory is resident memory above that of the same interpreter with the queries in memory and nothing imported;
    ``memory_mib`` after the first call and the warm-up, the peak of batch size 1 during them, and of a larger one during its own
    calls. Before each of these, rubbish is collected and free memory given back to the system, so that no figure holds what
    earlier work left; a peak is at least the ``memory_mib`` of its round. The peak of importing and loading is in the note of
    the peak of batch size 1.

    The garbage collector is off while steady answers are timed (what is alive is frozen first) and on before.
    """
    with exclusive(), tempfile.TemporaryDirectory(prefix="shipworthy-") as folder:
        plan, (first, count) = job.plan, _share(job.plan, job.round_index)
        modules = () if job.factory else _modules_in(job.artefact)
        needs = frozenset(m.partition(".")[0] for m in modules) & {"xgboost"}
        if job.factory:
            needs |= {job.factory.partition(":")[0].partition(".")[0]}
        cores, load = least_busy_cores(plan.threads), load_average()
        result = Path(folder) / "report.jsonl"
        ending = _run_child_again(
            {
                "artefact": str(job.artefact.absolute()),
                "queries": str(job.queries.absolute()),
                "result": str(result),
                "modules": modules,
                "allowed": allowed_packages(needs),
                "profile": job.profile,
                "factory": job.factory,
                "sys_path": job.sys_path,
                "cores": cores,
                "threads": plan.threads,
                "warm_up": plan.warm_up,
                "first_query": first,
                "n_queries": count,
                "itemised": ITEMISED,
                "batch_sizes": _batch_sizes(job),
                "batch_repeats": plan.batch_repeats,
                "time_limit_s": plan.time_limit_s,
            },
            plan.threads,
            plan.time_limit_s,
        )
        values, facts, wrong = _read_report(result)
    failure = _reason(ending, facts, wrong, plan.time_limit_s)
    conditions = Conditions(
        machine=machine_fingerprint(),
        versions=", ".join(f"{k} {v}" for k, v in library_versions().items()),
        threads=plan.threads,
        scenario="none",
        batch_size=0,
        seed=job.seed,
        warm_up=0,
        garbage_collector="on",
        profile=job.profile,
        pinned=facts.get("pinned") or "not pinned: its threads need every usable core, or this platform cannot pin a process",
        load_average=load,
    )
    out = []
    for key in _expected(job):
        given, why = values.get(key, ()), ""
        if not given:
            why = failure or "the model does not show its steps, so its parts cannot be timed"
        elif any(math.isnan(v) for v in given):
            given, why = (), str(facts.get("memory_how", "not a number"))
        out.append(_measurement(job, key, given, _under(job, key, conditions, facts), why))
    if job.round_index == 0:
        out.append(_measurement(job, ("size_mib", "none", 0), *_size_mib(job.artefact, conditions)))
    return tuple(out)


def _under(job: ServingJob, key: _Key, conditions: Conditions, facts: dict[str, Any]) -> Conditions:
    """The conditions of one quantity."""
    quantity, scenario, batch_size = key
    steady = scenario != "none" or (quantity == "peak_memory_mib" and batch_size > 1)
    notes, rows = [], facts.get("rows")
    if quantity.endswith("memory_mib"):
        notes.append(str(facts.get("memory_how", "")))
    loading = facts.get("loading_peak_mib")
    if (quantity, batch_size) == ("peak_memory_mib", 1) and isinstance(loading, float) and not math.isnan(loading):
        notes.append(f"importing and loading reached {loading:.0f} MiB")
    asked = job.plan.queries if batch_size <= 1 else batch_size * (job.plan.batch_repeats + 1)
    if isinstance(rows, int) and steady and asked > rows:
        notes.append(f"{asked} rows asked for, {rows} different ones given, so rows come again")
    warm_up = (job.plan.warm_up if batch_size <= 1 else 1) if steady else 0
    known: _Scenario = scenario  # type: ignore[assignment]  # _expected names only scenarios that exist
    return replace(
        conditions,
        scenario=known,
        batch_size=batch_size,
        warm_up=job.plan.warm_up if quantity == "memory_mib" else warm_up,  # what it holds after them
        garbage_collector="off" if steady else "on",
        note="; ".join(n for n in notes if n),
    )


def _measurement(job: ServingJob, key: _Key, values: tuple[float, ...], conditions: Conditions, failure: str = "") -> Measurement:
    return Measurement(
        candidate=job.candidate,
        dataset=job.dataset,
        quantity=key[0],
        values=values,
        round_index=(job.round_index,) * len(values),
        conditions=conditions,
        failure=failure,
    )


def _size_mib(artefact: Path, conditions: Conditions) -> tuple[tuple[float, ...], Conditions, str]:
    from shipworthy import artefacts

    try:
        return (artefacts.size_mib(artefact),), conditions, ""
    except OSError as error:
        return (), conditions, f"the artefact cannot be read: {error}"
