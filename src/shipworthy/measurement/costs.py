"""What a piece of work costs while it runs in this process: wall seconds, CPU seconds, peak memory.

It does *not* know what the work is, nor whether anything else shares the machine.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from typing import TypeVar

from shipworthy.measurement.child import MemoryReader, give_back
from shipworthy.records import Costs

T = TypeVar("T")

LEAST_MIB = 0.1
"""A smaller rise of memory is not published: some two dozen pages are what any piece of work may find free or touch by chance."""


def _cpu_s() -> float:
    """CPU seconds of this process (all its threads) and of its children that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def measure_costs(work: Callable[[], T]) -> tuple[T, Costs]:
    """Do the work and say what it cost.

    Parameters
    ----------
    work : callable
        Called once, without arguments. What it raises passes through.

    Returns
    -------
    result : T
        What ``work`` returned.
    costs : Costs
        ``wall_s`` from ``perf_counter``; ``cpu_s`` of this process with all its threads, and of those of its children that
        ended meanwhile (Windows does not count children); ``memory_mib`` is the highest resident memory while working less the
        resident memory before. What earlier work left free is given back to the system first, where the C library can (glibc's
        ``malloc_trim``): memory that was taken again would not be seen. ``memory_how`` says how it was read and whether it was
        given back; ``memory_mib`` is ``nan`` where it cannot be read, or cannot be told from nothing (:data:`LEAST_MIB`).

    Examples
    --------
    >>> total, costs = measure_costs(lambda: sum(range(1000)))
    >>> total, costs.wall_s > 0
    (499500, True)
    """
    memory = MemoryReader()
    trimmed = give_back()
    memory.reset()
    before = memory.now()
    cpu, wall = _cpu_s(), time.perf_counter()
    with memory.sampling():
        result = work()
    wall, cpu = time.perf_counter() - wall, _cpu_s() - cpu
    peak = memory.peak() - before
    how = memory.how
    if not math.isnan(peak):
        if not memory.samples and not how.startswith("VmHWM"):
            how += ": it may stem from before this work"
        if not trimmed:
            how += "; this platform cannot be told to take back what earlier work left free"
        if peak < LEAST_MIB:
            peak = math.nan
            how += f"; less than {LEAST_MIB:g} MiB: too little to tell, or it reused memory of earlier work; run it alone to know"
    return result, Costs(wall_s=wall, cpu_s=cpu, memory_mib=peak, memory_how=how)
