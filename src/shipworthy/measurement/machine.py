"""What machine this is, which libraries it holds, and the lock that makes a measurement alone on it.

It does *not* know what is measured, nor change any setting of the machine.
"""

from __future__ import annotations

import getpass
import math
import os
import platform
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any

from shipworthy.records import digest

LIBRARIES = (
    "shipworthy",
    "numpy",
    "scipy",
    "scikit-learn",
    "skops",
    "xgboost-cpu",
    "xgboost",
    "joblib",
    "threadpoolctl",
    "pandas",
)
"""The libraries that train or serve; their versions are a condition of every measurement."""

CPUINFO = Path("/proc/cpuinfo")


@cache
def _processor() -> str:
    """Model of the processor, as the platform names it."""
    with suppress(OSError):
        found = re.search(
            r"^(?:model name|Model|Hardware)\s*:\s*(.+)$", CPUINFO.read_text(encoding="utf-8", errors="replace"), re.MULTILINE
        )
        if found:
            return found.group(1).strip()
    return os.environ.get("PROCESSOR_IDENTIFIER", "") or platform.processor() or platform.machine() or "unknown"


def usable_cores() -> tuple[int, ...]:
    """Numbers of the cores that this process may run on: its affinity where the platform knows one, else all."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def load_average() -> float:
    """One-minute load average; ``nan`` where the platform has none."""
    try:
        return float(os.getloadavg()[0])
    except (AttributeError, OSError):
        return math.nan


def timer_resolution_ns(n: int = 2000) -> tuple[float, float]:
    """Median and 99th percentile, in ns, of ``n`` back-to-back differences of ``perf_counter_ns``."""
    clock = time.perf_counter_ns
    read = [clock() for _ in range(n + 1)]
    steps = sorted(b - a for a, b in pairwise(read))
    return float(steps[n // 2]), float(steps[math.ceil(0.99 * n) - 1])


def _thread_pools() -> list[dict[str, Any]]:
    """Thread pools (BLAS, OpenMP) of the libraries loaded so far: which, and how many threads."""
    from threadpoolctl import threadpool_info

    return [{k: pool.get(k) for k in ("user_api", "internal_api", "version", "num_threads")} for pool in threadpool_info()]


def _memory_mib() -> float:
    """Installed memory."""
    import psutil

    return round(float(psutil.virtual_memory().total) / 2**20, 1)


def describe_machine() -> dict[str, Any]:
    """All that a reader needs to know of this machine, as plain JSON values.

    Returns
    -------
    dict
        ``processor``; ``logical_cores``, ``physical_cores`` (``None`` where unknown), ``usable_cores``; ``memory_mib``; ``os``;
        ``python``; ``timer_ns_p50`` and ``timer_ns_p99`` of back-to-back readings; ``load_average`` (``None`` where the platform
        has none); ``thread_pools`` loaded in this process; ``fingerprint``; and ``cannot``: a sentence for each thing that this
        platform does not let us measure or fix.
    """
    import psutil

    p50, p99 = timer_resolution_ns()
    load = load_average()
    cannot = []
    if not hasattr(os, "sched_setaffinity"):
        cannot.append("A process cannot be pinned to a core here, so latencies vary more.")
    if math.isnan(load):
        cannot.append("There is no load average here, so a busy machine is not noticed.")
    if not Path("/proc/self/clear_refs").exists():
        cannot.append("Peak memory cannot be reset here (no /proc): it is read through psutil and labelled so.")
    return {
        "processor": _processor(),
        "architecture": platform.machine(),
        "logical_cores": os.cpu_count() or 1,
        "physical_cores": psutil.cpu_count(logical=False),
        "usable_cores": len(usable_cores()),
        "memory_mib": _memory_mib(),
        "os": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "timer_ns_p50": p50,
        "timer_ns_p99": p99,
        "load_average": None if math.isnan(load) else load,
        "thread_pools": _thread_pools(),
        "fingerprint": machine_fingerprint(),
        "cannot": cannot,
    }


def machine_fingerprint() -> str:
    """16 hex digits that stay the same while processor model, cores, installed memory and operating system do.

    Memory counts in whole GiB: what a virtual machine reports may move by a page. Load and free memory do not count.
    """
    gib = round(_memory_mib() / 1024)
    return digest(
        _processor(), platform.machine(), os.cpu_count(), len(usable_cores()), gib, platform.system(), platform.release()
    )


def library_versions() -> dict[str, str]:
    """Version of Python and of each installed library of :data:`LIBRARIES`, by distribution name.

    Read once in a process: it is part of the identity of every unit, and a plan has thousands.
    """
    return dict(_library_versions(tuple(sys.path)))


@cache
def _library_versions(search_path: tuple[str, ...]) -> dict[str, str]:
    del search_path  # part of the cache's key only: what is installed depends on it
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def allowed_packages(needs: frozenset[str]) -> tuple[str, ...]:
    """Import names that an environment made to serve would hold: scikit-learn, skops, what they require, and ``needs``.

    Parameters
    ----------
    needs : frozenset of str
        Import names that the artefact mentions, such as ``"xgboost"``.

    Returns
    -------
    tuple of str
        Sorted. Found through the requirements that the installed distributions declare, extras apart.
    """
    return _allowed_packages(needs, tuple(sys.path))


@cache
def _allowed_packages(needs: frozenset[str], search_path: tuple[str, ...]) -> tuple[str, ...]:
    from packaging.requirements import Requirement

    del search_path  # part of the cache's key only: what is installed depends on it
    todo = ["numpy", "scikit-learn", "skops", "annotated-types"]
    if "xgboost" in needs:
        todo += ["xgboost", "xgboost-cpu"]
    if not CPUINFO.exists():
        todo.append("psutil")
    brought_by = metadata.packages_distributions() if needs - {"xgboost"} else {}
    todo += [distribution for name in sorted(needs) for distribution in brought_by.get(name, ())]
    names, seen = {"shipworthy", *needs}, set[str]()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        for file in distribution.files or ():
            first = file.parts[0]
            if first not in {"..", "."} and not first.endswith((".dist-info", ".data", ".libs", ".pth")):
                names.add(first.split(".")[0])
        for line in distribution.requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                todo.append(requirement.name)
    return tuple(sorted(name for name in names if name.isidentifier()))


PATIENCE_S = 2.0
"""Waiting for the machine longer than this is worth a sentence."""


class _Block(threading.local):
    """How often this thread has entered :func:`exclusive`, and the cores that were chosen since it did."""

    def __init__(self) -> None:
        self.depth = 0
        self.cores: dict[int, tuple[int, ...]] = {}


_block = _Block()


def least_busy_cores(count: int) -> tuple[int, ...]:
    """The ``count`` usable cores with the most idle time over 50 ms; empty where they would be all or cannot be chosen.

    Inside :func:`exclusive` they are chosen once and kept to its end: two cores of one machine differ, and candidates that are
    compared must run on the same.
    """
    if count in _block.cores:
        return _block.cores[count]
    import psutil

    cores = usable_cores()
    if not hasattr(os, "sched_setaffinity") or count >= len(cores) > 1:
        return ()
    before = psutil.cpu_times(percpu=True)
    time.sleep(0.05)
    idle = [after.idle - first.idle for first, after in zip(before, psutil.cpu_times(percpu=True), strict=False)]
    chosen = tuple(sorted(sorted(cores, key=lambda c: (idle[c] if c < len(idle) else 0.0, c), reverse=True)[:count]))
    if _block.depth:
        _block.cores[count] = chosen
    return chosen


@contextmanager
def exclusive(notify: Callable[[str], None] | None = None) -> Iterator[float]:
    """Hold the machine for one measurement; whoever else wants to measure waits.

    One lock per user in the temporary folder. It may be entered again inside itself, so an experiment can hold it over many
    rounds; it ends with the process that holds it. Another user's studies are not kept away: the load average on each
    measurement shows them.

    Parameters
    ----------
    notify : callable, optional
        Told a sentence, once, when the machine is not free within two seconds.

    Yields
    ------
    float
        Seconds that were spent waiting.
    """
    from filelock import FileLock, Timeout

    try:
        user = re.sub(r"\W", "_", getpass.getuser())
    except (KeyError, OSError, ImportError):  # a container without an entry for its user
        user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    # A singleton, so that entering again in the same thread counts up instead of waiting for itself.
    lock = FileLock(Path(tempfile.gettempdir()) / f"shipworthy-measuring-{user}.lock", is_singleton=True)
    began = time.monotonic()
    try:
        lock.acquire(timeout=PATIENCE_S)
    except Timeout:
        if notify is not None:
            notify("waiting for another measurement on this machine to end")
        lock.acquire()
    waited = time.monotonic() - began
    _block.depth += 1
    try:
        yield waited
    finally:
        _block.depth -= 1
        if not _block.depth:
            _block.cores.clear()
        lock.release()
