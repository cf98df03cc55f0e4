"""What a million queries cost, from declared prices: an estimate, and labelled so wherever it is shown.

This module does *not* know where prices come from, what a query is worth, or how busy a real fleet is.
"""

from __future__ import annotations

import math

from shipworthy.records import Prices

MILLION = 1_000_000


def usd_per_million(cpu_ms: float, memory_mib: float, prices: Prices, traffic_queries_s: float) -> float:
    """Estimated price in US dollars of answering a million queries at the declared traffic.

    .. code-block:: text

        CPU hours    = 1e6 * cpu_ms / 3.6e6
        wall hours   = 1e6 / traffic_queries_s / 3600
        copies       = ceil(cpu_ms / 1000 * traffic_queries_s), at least 1
        GiB hours    = wall hours * copies * memory_mib / 1024
        USD          = CPU hours * vcpu_hour_usd + GiB hours * gib_hour_usd + 1e6 * request_usd

    CPU time is paid as it is used and memory as it is held, all the time, by as many single-threaded copies as the traffic keeps
    busy. Idle processors, redundancy, network and discounts are not in it: an estimate.

    Parameters
    ----------
    cpu_ms : float
        CPU time of one query in milliseconds; mean single-stream latency stands for it where one thread serves.
    memory_mib : float
        Memory of one serving process; above an idle interpreter it may come out just below 0, which counts as 0.
    prices : Prices
    traffic_queries_s : float
        Queries a second, on average.

    Returns
    -------
    float
        ``nan`` if the CPU time or the memory is ``nan``.

    Raises
    ------
    ValueError
        If the CPU time is negative, a cost is infinite, or the traffic is not above 0.

    Examples
    --------
    3.6 ms are one CPU hour a million; at 100 queries/s a million last 2.78 hours, with 1 GiB held:

    >>> prices = Prices(as_of="2026-01-01", source="worked by hand", vcpu_hour_usd=0.04, gib_hour_usd=0.005)
    >>> round(usd_per_million(3.6, 1024.0, prices, 100.0), 5)
    0.05389
    """
    if not (math.isfinite(traffic_queries_s) and traffic_queries_s > 0):
        raise ValueError(f"traffic_queries_s must be above 0, not {traffic_queries_s!r}")
    memory_mib = 0.0 if memory_mib < 0 else memory_mib
    for name, cost in (("cpu_ms", cpu_ms), ("memory_mib", memory_mib)):
        if cost < 0 or math.isinf(cost):
            raise ValueError(f"{name} must be a finite number of at least 0, not {cost!r}")
    if math.isnan(cpu_ms) or math.isnan(memory_mib):
        return math.nan
    cpu_hours = MILLION * cpu_ms / 3.6e6
    wall_hours = MILLION / traffic_queries_s / 3600
    copies = max(1, math.ceil(cpu_ms / 1000 * traffic_queries_s))
    gib_hours = wall_hours * copies * memory_mib / 1024
    return cpu_hours * prices.vcpu_hour_usd + gib_hours * prices.gib_hour_usd + MILLION * prices.request_usd
