"""A fixed piece of work by which times can also be quoted: how many of it one answer takes.

Milliseconds belong to one machine in one moment. The kernel does a little of each thing that serving a model does: a matrix
product (linear models), a walk down trees held in arrays (forests, boosters) and plain Python calls (pipelines). A time divided
by the kernel's, taken in the same process on the same core, moves less when the core is slower or shared.

It does *not* know how well that holds on another machine: between machines the error is unknown.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

REPEATS = 15
"""Of each part; the median counts."""
SIDE = 160
"""Rows and columns of the two matrices."""
DEPTH, WALKS = 8, 150
CALLS = 1500


def _matrix_product() -> Callable[[], object]:
    a = np.random.default_rng(0).standard_normal((SIDE, SIDE))
    return lambda: a @ a


def _tree_walk() -> Callable[[], object]:
    rng = np.random.default_rng(1)
    feature, threshold = rng.integers(0, 16, 2**DEPTH).tolist(), rng.standard_normal(2**DEPTH).tolist()
    rows = rng.standard_normal((WALKS, 16)).tolist()

    def walk() -> int:
        reached = 0
        for row in rows:
            node = 1
            while node < 2**DEPTH:
                node = 2 * node + (row[feature[node]] > threshold[node])
            reached += node
        return reached

    return walk


def _python_calls() -> Callable[[], object]:
    def call(row: dict[str, float], name: str) -> float:
        return row.get(name, 0.0)

    row = {f"column {i}": float(i) for i in range(20)}
    names = [f"column {i % 25}" for i in range(CALLS)]
    return lambda: sum(call(row, name) for name in names)


def kernel_ms(clock: Callable[[], int] = time.perf_counter_ns) -> float:
    """Milliseconds of one unit of work: the sum, over its three parts, of the median of :data:`REPEATS` runs.

    Parameters
    ----------
    clock : callable
        Nanoseconds; only differences count.

    Returns
    -------
    float

    Examples
    --------
    >>> kernel_ms() > 0
    True
    """
    total = 0.0
    for part in (_matrix_product(), _tree_walk(), _python_calls()):
        part()  # warms up: memory and threads of the matrix library
        taken = []
        for _ in range(REPEATS):
            began = clock()
            part()
            taken.append(clock() - began)
        total += sorted(taken)[REPEATS // 2] / 1e6
    return total
