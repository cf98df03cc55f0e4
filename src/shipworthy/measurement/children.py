"""Starts a child process that does one job, guards it, and reads what it reports.

A job is a line of JSON on the child's stdin; the report is a file of JSON lines. Whatever the child does - crash, hang, print
without end, write rubbish - ends in what it reported before that, and one sentence that says why there is no more.

This module does *not* know what a child measures.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import zipfile
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shipworthy.measurement.machine import allowed_packages, library_versions, machine_fingerprint
from shipworthy.records import Conditions, OwnModule

Key = tuple[str, str, int]
"""Quantity, scenario, batch size."""
KEPT_STDERR = 2000
MAX_REPORT_BYTES = 2**28
ALLOWED_ROOTS = frozenset({"numpy", "scipy", "sklearn", "xgboost", "shipworthy"})
"""Only modules of these packages are imported because an artefact mentions them: an artefact must not choose what runs."""


def _modules_in(artefact: Path, roots: frozenset[str] = ALLOWED_ROOTS) -> tuple[str, ...]:
    """Modules that a skops file mentions, of the allowed packages, read from its schema; empty if it cannot be read."""
    try:
        with zipfile.ZipFile(artefact) as archive:
            todo: list[Any] = [json.loads(archive.read("schema.json"))]
    except (OSError, KeyError, ValueError, RecursionError, zipfile.BadZipFile):
        return ()  # the child will fail to load it and say why
    found = set()
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            found.add(node.get("__module__"))
            todo.extend(node.values())
        elif isinstance(node, list):
            todo.extend(node)
    return tuple(sorted(m for m in found if isinstance(m, str) and m.partition(".")[0] in roots))


def importable(
    artefact: Path, factory: str = "", own: OwnModule | None = None, sys_path: tuple[str, ...] = ()
) -> dict[str, tuple[str, ...]]:
    """What a child may import, as part of its job.

    Parameters
    ----------
    artefact : Path
    factory : str
        ``"module:function"`` that stands for the artefact; empty if nothing does.
    own : OwnModule, optional
        What loading an artefact of somebody's own estimators takes.
    sys_path : tuple of str
        Folders that are searched first.

    Returns
    -------
    dict
        ``modules``: those that the artefact mentions, to be imported before it is loaded; ``allowed``: the packages that a lean
        child finds. ``own``: the modules whose types may be built beyond the usual. ``sys_path``: the folders, those of ``own``
        among them.
    """
    modules = () if factory else _modules_in(artefact)
    needs = frozenset(m.partition(".")[0] for m in modules) & {"xgboost"}
    if factory:
        needs |= {factory.partition(":")[0].partition(".")[0]}
    trusted: tuple[str, ...] = ()
    if own is not None:
        trusted, needs = own.trusted, needs | frozenset(own.needs)
        modules = (*modules, *_modules_in(artefact, frozenset(trusted)))
        sys_path = (*sys_path, *own.folders)
    return {"modules": modules, "allowed": allowed_packages(needs), "own": trusted, "sys_path": sys_path}


def _environment(threads: int) -> dict[str, str]:
    """The child's environment: ours, with threads fixed and without what would change how Python runs."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON") or k in {"PYTHONPATH", "PYTHONHOME"}}
    names = ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR")
    fixed = {f"{name}_NUM_THREADS": str(threads) for name in names}
    fixed |= {"VECLIB_MAXIMUM_THREADS": str(threads), "LOKY_MAX_CPU_COUNT": str(threads), "OMP_DYNAMIC": "FALSE"}
    return kept | fixed | {"PYTHONHASHSEED": "0"}


@dataclass(frozen=True, slots=True)
class Ending:
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


def _run_once(script: Path, job: dict[str, Any], threads: int, limit_s: float) -> Ending:
    """Start a child, give it the job, wait for its end, and never longer than the limit."""
    tail: deque[bytes] = deque(maxlen=2)
    with subprocess.Popen(
        # -P: the script's own folder must not be searched, or machine.py there could stand for another module.
        [sys.executable, "-P", str(script)],
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
    return Ending(child.returncode if in_time else None, text)


def run_child(script: Path, job: dict[str, Any], threads: int, limit_s: float) -> Ending:
    """Run a child, and once more if a signal ended it: a stray kill is made good, what kills it every time is a finding.

    Parameters
    ----------
    script : Path
        Run by this interpreter; it reads the job as ``child.read_job`` does.
    job : dict
        Plain JSON. ``result`` is the path of the report that the child writes.
    threads : int
        Of the libraries that serve.
    limit_s : float
        The child is stopped after so many seconds, each time.

    Returns
    -------
    Ending
    """
    ending = _run_once(script, job, threads, limit_s)
    if ending.status is not None and ending.status < 0:
        Path(job["result"]).unlink(missing_ok=True)
        ending = _run_once(script, job, threads, limit_s)
    return ending


def read_report(path: Path) -> tuple[dict[Key, tuple[float, ...]], dict[str, Any], str]:
    """Read what a child reported. Only whole, well-formed lines count.

    Parameters
    ----------
    path : Path

    Returns
    -------
    values : dict of (str, str, int) to tuple of float
        By quantity, scenario and batch size.
    facts : dict
        All else that was reported; of a name that came twice, the last.
    wrong : str
        What is wrong with the report; empty if nothing is.
    """
    values: dict[Key, tuple[float, ...]] = {}
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
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return values, facts, f"wrote something that is no report in line {number}"
    return values, facts, ""


def reason(ending: Ending, facts: dict[str, Any], wrong: str, limit_s: float) -> str:
    """Why a child has not given everything, in one sentence; empty if nothing went wrong.

    Parameters
    ----------
    ending : Ending
    facts, wrong
        As from :func:`read_report`; ``facts["stage"]`` is what the child was about to do last.
    limit_s : float
        The one that it was stopped at.

    Returns
    -------
    str
    """
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


def conditions_of(facts: dict[str, Any], *, threads: int, seed: int, profile: str, load_average: float) -> Conditions:
    """The conditions that all quantities of one child share.

    Parameters
    ----------
    facts : dict
        As from :func:`read_report`; ``facts["pinned"]`` is where the child ran, ``facts["calibration_ms"]`` what the kernel took.
    threads, seed : int
    profile : str
    load_average : float
        Before the child began.

    Returns
    -------
    Conditions
        Of no scenario, without warm-up, the garbage collector on.
    """
    return Conditions(
        machine=machine_fingerprint(),
        versions=", ".join(f"{k} {v}" for k, v in library_versions().items()),
        threads=threads,
        scenario="none",
        batch_size=0,
        seed=seed,
        warm_up=0,
        garbage_collector="on",
        profile=profile,
        pinned=facts.get("pinned") or "not pinned: its threads need every usable core, or this platform cannot pin a process",
        load_average=load_average,
        calibration_ms=float(facts.get("calibration_ms", 0.0)),
    )
