"""The fresh process in which one round of serving is measured: reads a job on stdin, writes one JSON line per quantity.

It is run as a script, so that nothing but the standard library is in memory when the baseline is read.
The parent keeps the other end of stdin open: when it closes, because the parent ended or was killed, so does this process.

It does *not* know what the figures are compared with, or anything of the rounds beside its own.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import importlib
import importlib.machinery
import importlib.util
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

MIB = 2**20
EXIT_PARENT_GONE = 3
Query = dict[str, Any]
Answer = Callable[[Sequence[Query]], Any]


class MemoryReader:
    """Memory of this process, in MiB: resident now, and the highest since :meth:`reset`.

    Linux: ``VmRSS`` and ``VmHWM`` of ``/proc/self/status``; writing ``5`` to ``/proc/self/clear_refs`` sets ``VmHWM`` back.
    Never ``ru_maxrss``, which is inherited over fork and exec. Windows: psutil's ``rss`` and ``peak_wset``, which cannot be set
    back. Elsewhere: psutil's ``rss``, sampled by a thread.

    Attributes
    ----------
    how : str
        How the peak is read, for the record; it says what cannot be known here.
    baseline : float
        What the idle process held, MiB; set by whoever reads it.
    """

    def __init__(self, status: str = "/proc/self/status", clear: str = "/proc/self/clear_refs") -> None:
        self._status, self._clear = status, clear
        self._process: Any = None
        try:
            self._line("VmHWM:")
            Path(clear).write_text("5", encoding="ascii")
            self.how = "VmHWM, reset through /proc/self/clear_refs"
        except (OSError, StopIteration):
            try:
                import psutil

                self._process = psutil.Process()
                windows = hasattr(self._process.memory_info(), "peak_wset")
                self.how = "psutil peak_wset since the process began" if windows else "psutil rss, sampled every 10 ms"
            except ImportError:
                self.how = "not measured: neither /proc/self/status nor psutil is here"
        self._highest = self.baseline = float("nan")

    def _line(self, key: str) -> float:
        with open(self._status, encoding="ascii", errors="replace") as lines:  # noqa: PTH123 - Path.open builds an object in the window
            return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))

    def now(self) -> float:
        """Resident memory; ``nan`` where it cannot be read."""
        if self.how.startswith("VmHWM"):
            return self._line("VmRSS:")
        return float(self._process.memory_info().rss) / MIB if self._process else float("nan")

    @property
    def samples(self) -> bool:
        """Whether the peak is known only of what runs inside :meth:`sampling`."""
        return self.how.endswith("ms")

    def reset(self) -> None:
        """Forget the highest value so far, where the platform allows."""
        self._highest = self.now()
        if self.how.startswith("VmHWM"):
            Path(self._clear).write_text("5", encoding="ascii")

    def peak(self) -> float:
        """Highest resident memory since :meth:`reset`; ``nan`` where it cannot be known."""
        if self.how.startswith("VmHWM"):
            return self._line("VmHWM:")
        if self.samples:
            return max(self._highest, self.now())
        return float(self._process.memory_info().peak_wset) / MIB if self._process else float("nan")

    @contextlib.contextmanager
    def sampling(self) -> Iterator[None]:
        """Sample resident memory while the block runs, where that is the only way; otherwise do nothing."""
        if not self.samples:
            yield
            return
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.01):
                self._highest = max(self._highest, self.now())

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def give_back() -> bool:
    """Collect rubbish and return free memory to the system, so that memory is read by one rule: what is held, not what was.

    Returns
    -------
    bool
        Whether free memory could be returned: only glibc can be told to.
    """
    gc.collect()
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(AttributeError, OSError):  # a C library other than glibc has nothing to trim
            ctypes.CDLL(None).malloc_trim(0)
            return True
    return False


class LeanFinder(importlib.machinery.PathFinder):
    """Finds only the standard library and what the artefact needs, as in an environment that holds nothing else.

    scikit-learn and XGBoost import pandas and pyarrow where they are installed: 60-130 MiB that a lean service does not hold.
    """

    allowed: frozenset[str] = frozenset()

    @classmethod
    def find_spec(cls, fullname: str, path: Sequence[str] | None = None, target: Any = None) -> Any:
        """As PathFinder, but nothing is found whose first name is not allowed."""
        # _sysconfigdata_<platform> belongs to the standard library, though sys.stdlib_module_names cannot name it.
        if fullname.partition(".")[0] not in cls.allowed and not fullname.startswith("_sysconfigdata_"):
            return None
        return importlib.machinery.PathFinder.find_spec(fullname, path, target)


def single_stream(answer: Answer, queries: Sequence[Query]) -> list[int]:
    """Nanoseconds that each query took, one after the other: the next is due when the last is answered."""
    clock = time.perf_counter_ns
    taken = [0] * len(queries)
    for i, query in enumerate(queries):
        began = clock()
        answer([query])
        taken[i] = clock() - began
    return taken


def _is_ensemble_of_models(model: Any) -> bool:
    """Whether it is a vote, a stack or the like: those, and not forests, have names for their members."""
    return hasattr(type(model), "named_estimators") and hasattr(model, "estimators_")


def itemise(model: Any, query: Query) -> tuple[int, int, int, int]:
    """Nanoseconds spent building rows, preprocessing and in the model, and how many pipelines were found; members are summed.

    The first step of a pipeline builds the row, the last predicts, and all between preprocess. A vote or a stack is the sum of
    its members, each of which turns the query into its own row; what combines their answers, a second layer too, is part of the
    rest. A cascade is the sum of those of its members that the query meets.
    """
    clock = time.perf_counter_ns
    if _is_ensemble_of_models(model):
        members = model.asked([query]) if hasattr(model, "asked") else model.estimators_
        parts = [itemise(member, query) for member in members]
        return sum(p[0] for p in parts), sum(p[1] for p in parts), sum(p[2] for p in parts), sum(p[3] for p in parts)
    steps = getattr(model, "steps", None)
    if steps is None:
        inner = getattr(model, "estimator", None) if type(model).__name__ == "FrozenEstimator" else None
        return itemise(inner, query) if inner is not None else (0, 0, 0, 0)
    began = clock()
    row = steps[0][1].transform([query])
    built = clock()
    for _, step in steps[1:-1]:
        if step is not None and not isinstance(step, str):  # "passthrough" is how scikit-learn spells a step that does nothing
            row = step.transform(row)
    last = steps[-1][1]
    predict = last.predict_proba if hasattr(last, "predict_proba") else last.predict
    prepared = clock()
    predict(row)
    return built - began, prepared - built, clock() - prepared, 1


def set_threads(model: Any, threads: int, seen: set[int]) -> None:
    """Give every fitted part ``threads`` threads: a loaded model keeps the number that it was trained with."""
    if id(model) in seen or not hasattr(model, "__dict__"):
        return
    seen.add(id(model))
    if getattr(model, "n_jobs", threads) not in (threads, None if threads == 1 else threads):
        model.n_jobs = threads
    if hasattr(model, "get_booster"):
        model.get_booster().set_param({"nthread": threads})
    parts = list(getattr(model, "steps", ())) + list(getattr(model, "transformers_", ()))
    fitted = [getattr(model, name, None) for name in ("final_estimator_", "estimator_", "estimator")]
    if _is_ensemble_of_models(model):
        fitted += list(model.estimators_)
    for part in [p[1] for p in parts] + fitted:
        set_threads(part, threads, seen)


class Report:
    """Writes one JSON line per quantity as soon as it is known, so that a later crash loses only what came after."""

    def __init__(self, path: str) -> None:
        self._file = Path(path).open("w", encoding="utf-8")  # noqa: SIM115 - open as long as the process lives

    def stage(self, name: str) -> None:
        """Say what is about to be done, for the reason if it fails."""
        self._write({"stage": name})

    def values(self, quantity: str, values: Sequence[float], scenario: str = "none", batch_size: int = 0) -> None:
        """Hand over all values of one quantity."""
        self._write({"quantity": quantity, "scenario": scenario, "batch_size": batch_size, "values": list(values)})

    def facts(self, facts: dict[str, Any]) -> None:
        """Hand over what is not a measured value."""
        self._write(facts)

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()


def pin(cores: Sequence[int]) -> str:
    """Pin this process to ``cores`` and say so, or say why it is not pinned."""
    if not cores:
        return ""
    if not hasattr(os, "sched_setaffinity"):
        return "not pinned: this platform cannot pin a process"
    try:
        os.sched_setaffinity(0, cores)
    except OSError as error:
        return f"not pinned: {error}"
    return "core " + " and ".join(str(core) for core in cores)


def obtain(job: dict[str, Any], report: Report) -> Any:
    """Import what the artefact needs, then load it; both are timed."""
    report.stage("importing")
    began = time.perf_counter_ns()
    if job["factory"]:
        module, _, name = job["factory"].partition(":")
        factory = getattr(importlib.import_module(module), name)
    else:
        for module in job["modules"]:
            importlib.import_module(module)
        import skops.io

        from shipworthy import artefacts

        assert skops.io  # imported here so that its time is not counted as loading
    report.values("import_ms", [(time.perf_counter_ns() - began) / 1e6])
    report.stage("loading")
    began = time.perf_counter_ns()
    model = (
        factory(Path(job["artefact"])) if job["factory"] else artefacts.load(Path(job["artefact"]), own=tuple(job.get("own", ())))
    )
    report.values("load_ms", [(time.perf_counter_ns() - began) / 1e6])
    return model


def measure_stream(job: dict[str, Any], model: Any, answer: Answer, queries: Sequence[Query], report: Report) -> None:
    """Single-stream latency, its CPU time, and its parts."""
    gc.freeze()  # what is alive now will never be looked through again; the caller has just collected
    gc.disable()
    report.stage("answering one query at a time")
    cpu = time.process_time_ns()
    taken = single_stream(answer, queries)
    cpu = time.process_time_ns() - cpu
    report.values("latency_ms", [t / 1e6 for t in taken], "single_stream", 1)
    report.values("throughput_rows_s", [1e9 * len(taken) / sum(taken)], "single_stream", 1)
    report.values("cpu_ms", [cpu / 1e6 / len(taken)], "single_stream", 1)
    report.stage("timing the parts of a query")
    asked = queries[: job["itemised"]]
    if not asked or not itemise(model, asked[0])[3]:
        return  # it does not show its steps
    # The whole and its parts in turn, so that what slows the machine meets both; the rest is what the parts do not explain.
    pairs = [(single_stream(answer, [query])[0], itemise(model, query)[:3]) for query in asked]
    for i, quantity in enumerate(("build_ms", "preprocess_ms", "model_ms")):
        report.values(quantity, [parts[i] / 1e6 for _, parts in pairs], "single_stream", 1)
    report.values("rest_ms", [max(0, whole - sum(parts)) / 1e6 for whole, parts in pairs], "single_stream", 1)


def measure_batches(
    job: dict[str, Any], answer: Answer, queries: Sequence[Query], memory: MemoryReader, at_rest: float, report: Report
) -> None:
    """Latency and peak memory of each batch size, ascending so that a larger batch cannot hide in a smaller one's memory.

    A peak is never below what the process held at rest (``at_rest``, MiB), which it holds while it answers too. The first call
    warms up, unless it alone takes longer than all calls of its size should: then it counts, and one more is enough.
    """
    rate: list[float] = []
    clock, limit_ns = time.perf_counter_ns, 1e9 * job["batch_limit_s"]
    for size in sorted(job["batch_sizes"]):
        report.stage(f"answering {size} rows at a time")
        # Repeat 0 warms up; every repeat has other rows, until they run out and the first ones come again.
        batches = [[queries[(r * size + i) % len(queries)] for i in range(size)] for r in range(job["batch_repeats"] + 1)]
        give_back()
        memory.reset()
        with memory.sampling():
            began = start = clock()
            answer(batches[0])
            first = clock() - began
        taken = [first] if first > limit_ns else []
        for batch in batches[1 + len(taken) :]:
            if len(taken) >= 2 and clock() - start > limit_ns:
                break
            began = clock()
            answer(batch)
            taken.append(clock() - began)
        report.facts({f"first call of {size} counts": first > limit_ns})
        report.values("latency_ms", [t / 1e6 for t in taken], "multi_stream", size)
        report.values("peak_memory_mib", [_at_least(at_rest, memory.peak() - memory.baseline)], "none", size)
        rate = [1e9 * size / t for t in taken]
    if rate:
        report.values("throughput_rows_s", rate, "offline", max(job["batch_sizes"]))


def _at_least(least: float, value: float) -> float:
    """The larger of the two; what is not known (``nan``) stays so."""
    return max(value, least)  # in this order: no comparison with nan is true, and the first stays


def watch_parent() -> None:
    """End this process when the parent's end of stdin closes."""
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    os._exit(EXIT_PARENT_GONE)


def read_job() -> dict[str, Any]:
    """The job: one line of JSON on stdin, read without a buffer, so that the watching thread holds no lock on it."""
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(0, 65536)
        if not piece:
            os._exit(EXIT_PARENT_GONE)
        line += piece
    job: dict[str, Any] = json.loads(line)
    return job


def load_beside(name: str) -> Any:
    """A module of this folder, by its path: the folder itself must not be searched, nor the package imported for it."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def calibrate(report: Report) -> None:
    """Time the calibration kernel in this process, on this core, after everything else."""
    report.stage("timing the calibration kernel")
    report.facts({"calibration_ms": load_beside("calibration").kernel_ms(time.perf_counter_ns)})


def begin() -> tuple[dict[str, Any], Report, list[Query]]:
    """Read the job, guard and pin this process, hide what serving does not need, and read the queries."""
    job = read_job()
    report = Report(job["result"])
    # The thread cannot act while C code holds the interpreter: this clock can.
    faulthandler.dump_traceback_later(job["time_limit_s"] + 5, exit=True)
    threading.Thread(target=watch_parent, daemon=True).start()
    load_beside("confinement").limit_memory()
    report.facts({"pinned": pin(job["cores"])})
    if job["profile"] == "lean":
        LeanFinder.allowed = frozenset(job["allowed"]) | sys.stdlib_module_names
        sys.meta_path[:] = [LeanFinder if f is importlib.machinery.PathFinder else f for f in sys.meta_path]
    sys.path[:0] = job["sys_path"]
    queries: list[Query] = json.loads(Path(job["queries"]).read_bytes())
    if not queries:
        sys.exit("the file of queries holds no rows")
    return job, report, queries


def end(report: Report) -> None:
    """End this process, without the interpreter's own ending: taking a large model apart is slow, and nobody waits for it."""
    report.facts({"done": True})
    os._exit(0)


def main() -> None:
    """Measure one round."""
    job, report, queries = begin()
    n = len(queries)
    timed = [queries[(job["first_query"] + i) % n] for i in range(job["n_queries"])]
    memory = MemoryReader()
    report.facts({"rows": n, "memory_how": memory.how})
    give_back()
    memory.baseline = memory.now()

    memory.reset()
    model = obtain(job, report)
    if not memory.samples:  # a sampling thread would be in the way of the clock that loading is timed by
        report.facts({"loading_peak_mib": memory.peak() - memory.baseline})
    set_threads(model, job["threads"], set())
    answer: Answer = model.predict_proba if hasattr(model, "predict_proba") else model.predict

    report.stage("answering the first query")
    give_back()
    gc.freeze()  # looking through all that was imported takes 60 ms, each time that rubbish is collected
    memory.reset()
    began = time.perf_counter_ns()
    answer([timed[0]])
    report.values("first_call_ms", [(time.perf_counter_ns() - began) / 1e6])
    report.stage("warming up")
    with memory.sampling():
        for i in range(job["warm_up"]):
            answer([queries[-1 - i % n]])
    # Before the timed loop: while the garbage collector is off, rubbish in cycles piles up that a service would not hold.
    give_back()
    at_rest = memory.now() - memory.baseline
    report.values("memory_mib", [at_rest])
    report.values("peak_memory_mib", [_at_least(at_rest, memory.peak() - memory.baseline)], "none", 1)
    measure_stream(job, model, answer, timed, report)
    measure_batches(job, answer, queries, memory, at_rest, report)
    calibrate(report)
    end(report)


if __name__ == "__main__":
    main()
