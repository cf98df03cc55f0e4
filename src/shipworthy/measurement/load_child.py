"""The fresh process in which an artefact is put under load: one of MLPerf's scenarios, or calls of many sizes.

Run as a script like ``child.py``, whose machinery it takes by path. It writes, for every query or call, when it was due, when it
was begun and when it was complete, so that whoever doubts a percentile can work it out again.

It does *not* know which latency is too much; of a limit it is told only how many queries may pass it.
"""

from __future__ import annotations

import gc
import importlib.util
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Query = dict[str, Any]
Answer = Callable[[Sequence[Query]], Any]
Log = list[tuple[int, int, int]]

SPIN_NS = 1_500_000
"""The last part of a wait is spun away: a sleeping process is woken up to a millisecond late."""


def _child() -> Any:
    spec = importlib.util.spec_from_file_location("child", Path(__file__).with_name("child.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def wait_until(due: int, clock: Callable[[], int], sleep: Callable[[float], None] = time.sleep) -> int:
    """Wait for a moment, sleeping while it is far and spinning when it is near; the moment at which the wait ended."""
    now = clock()
    while due - now > SPIN_NS:
        sleep((due - now - SPIN_NS) / 1e9)
        now = clock()
    while now < due:
        now = clock()
    return now


def closed_loop(answer: Answer, batches: Sequence[Sequence[Query]], stop: Callable[[int, int], bool]) -> Log:
    """Ask for one batch after the other: the next is due when the last is answered.

    Parameters
    ----------
    answer : callable
    batches : sequence of sequences of dict
        Gone through again where they are too few.
    stop : callable
        ``stop(count, elapsed_ns)`` says, after each, whether it was the last.

    Returns
    -------
    list of (due, begun, complete)
        Nanoseconds since the first was due. Due and begun are the same.
    """
    clock, log, i = time.perf_counter_ns, [], 0
    start = clock()
    began = start
    while True:
        answer(batches[i % len(batches)])
        ended = clock()
        log.append((began - start, began - start, ended - start))
        i += 1
        if stop(i, ended - start):
            return log
        began = clock()


def open_loop(answer: Answer, queries: Sequence[Query], due_ns: Sequence[int], limit_ns: int) -> Log:
    """Ask each query when it is due, or, if the last is not answered by then, as soon as it is.

    The schedule was made beforehand and waits for nobody, so a query that had to queue is charged with its wait: latency counts
    from when the query was *due*. A closed loop would have hidden it ("coordinated omission").

    Parameters
    ----------
    answer : callable
    queries : sequence of dict
        Gone through again where they are too few.
    due_ns : sequence of int
        When each is due, nanoseconds after the start, ascending.
    limit_ns : int
        Nothing is begun later than this: a service that cannot keep up would let the queue grow for ever.

    Returns
    -------
    list of (due, begun, complete)
        Nanoseconds since the start; shorter than the schedule if the limit was reached.
    """
    clock, log = time.perf_counter_ns, []
    start = clock()
    for i, due in enumerate(due_ns):
        began = wait_until(start + due, clock)
        if began - start > limit_ns:
            break
        answer([queries[i % len(queries)]])
        log.append((due, began - start, clock() - start))
    return log


def stop_rule(min_count: int, min_duration_ns: float, limit_ns: float) -> Callable[[int, int], bool]:
    """LoadGen's rule: the last is asked when both the least count and the least duration are reached, or the limit is."""
    return lambda count, elapsed: elapsed >= limit_ns or (count >= min_count and elapsed >= min_duration_ns)


def run(job: dict[str, Any], answer: Answer, queries: Sequence[Query], report: Any) -> None:
    """Do every load of the job, one after the other, and report each as soon as it is done."""
    for position, load in enumerate(job["loads"]):
        name, size = load["scenario"], load["batch_size"]
        report.stage(f"under load: {name}, {size} at a time")
        if name == "server":
            log = open_loop(answer, queries, load["due_ns"], int(load["limit_s"] * 1e9))
        else:
            first = load["first_query"]
            several = range(max(1, min(load["min_count"], -(-len(queries) // size)))) if name != "offline" else range(1)
            batches = [[queries[(first + b * size + i) % len(queries)] for i in range(size)] for b in several]
            answer(batches[-1])  # a batch of this size for the first time allocates
            log = closed_loop(answer, batches, stop_rule(load["min_count"], load["min_duration_s"] * 1e9, load["limit_s"] * 1e9))
        report.facts({f"log {position}": log})


def main() -> None:
    """Load the artefact, warm up, and put it under load."""
    child = _child()
    job, report, queries = child.begin()
    model = child.obtain(job, report)
    child.set_threads(model, job["threads"], set())
    answer: Answer = model.predict_proba if hasattr(model, "predict_proba") else model.predict
    report.stage("warming up")
    for i in range(job["warm_up"]):
        answer([queries[-1 - i % len(queries)]])
    gc.collect()
    gc.freeze()
    gc.disable()
    run(job, answer, queries, report)
    child.calibrate(report)
    child.end(report)


if __name__ == "__main__":
    main()
