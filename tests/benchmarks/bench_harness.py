"""What the measuring itself costs: microseconds that our loops add to a query that takes no time, beside an empty loop.

No peer: the figure is a bound on ourselves.
"""

from __future__ import annotations

import statistics
import time

from harness import Result, at_most, main

from shipworthy.measurement import child, load_child

N = 20_000
REPEATS = 7


def _nothing(_: object) -> None:
    """A model that takes no time."""


def _per_query_us(loop: object) -> float:
    """Median over repeats of the microseconds that a loop of so many queries takes, each."""
    taken = []
    for _ in range(REPEATS):
        began = time.perf_counter_ns()
        loop()  # type: ignore[operator]
        taken.append((time.perf_counter_ns() - began) / N / 1000)
    return statistics.median(taken)


def measure() -> list[Result]:
    """Time the closed and the open loop on a model that does nothing, less an empty loop that calls it."""
    queries = [{}] * N
    due = [0] * N

    def bare() -> None:
        for query in queries:
            _nothing([query])

    empty = _per_query_us(bare)
    how = (
        f"{N:,} queries of a model that does nothing, median of {REPEATS} turns, less a loop that only calls it ({empty:.2f} us)"
    )
    stream = statistics.median(child.single_stream(_nothing, queries)) / 1000
    closed = _per_query_us(lambda: child.single_stream(_nothing, queries)) - empty
    opened = _per_query_us(lambda: load_child.open_loop(_nothing, queries, due, 10**15)) - empty
    return [
        at_most("added to a latency by the single stream", stream, 2, "us", how="median of what it reports for such a query"),
        at_most("added to a query by the single stream's loop", closed, 2, "us", how=how),
        at_most("added to a query by the open loop, none waited for", opened, 2, "us", how=how),
    ]


if __name__ == "__main__":
    main("What measuring adds", measure)
