"""What serving costs, from declared prices: an estimate, and labelled so wherever it is shown.

Two bills. *As used* (:func:`usd_per_million`): CPU time is paid by the query, as with functions in a cloud. *Held*
(:func:`serving_usd_month`): whole copies are held for the busiest time, and for when one fails, and are idle for the rest.

This module does *not* know where prices come from, what a query is worth, or how busy a real fleet is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields

import numpy as np

from shipworthy.records import HOURS_A_MONTH, Economics, Floats, InputError, Prices

MILLION = 1_000_000
SECONDS_A_MONTH = 3600 * HOURS_A_MONTH


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


def money_problems(economics: Economics | None, prices: Prices) -> list[tuple[tuple[str, ...], str]]:
    """What keeps the money of a study from being added up: a currency that is not the US dollar, a range upside down.

    Parameters
    ----------
    economics : Economics or None
    prices : Prices

    Returns
    -------
    list of (tuple of str, str)
        The place of each field, and what is wrong with it.
    """
    found: list[tuple[tuple[str, ...], str]] = []
    for where, currency in (("prices", prices.currency), ("economics", economics.currency if economics else "USD")):
        if currency != "USD":
            problem = f"all money of a study is in USD, not {currency!r:.20}; convert the amounts and write USD"
            found.append(((where, "currency"), problem))
    for field in fields(economics) if economics else ():
        value = getattr(economics, field.name)
        named: dict[tuple[str, ...], tuple[float, ...]] = {("economics", field.name): value} if isinstance(value, tuple) else {}
        if isinstance(value, Mapping):
            named = {("economics", field.name, str(key)): amount for key, amount in value.items()}
        upside_down = [(place, amount) for place, amount in named.items() if list(amount) != sorted(amount)]
        found += [(p, f"a range runs from low to high, not {list(amount)}; turn it round") for p, amount in upside_down]
    return found


def check_economics(economics: Economics | None, prices: Prices) -> None:
    """Refuse money that cannot be added up.

    Parameters
    ----------
    economics : Economics or None
    prices : Prices

    Raises
    ------
    InputError
        For the first of :func:`money_problems`.
    """
    for place, problem in money_problems(economics, prices):
        raise InputError(f"{'.'.join(place)}: {problem}")


def copies(traffic_queries_s: float | Floats, capacity_queries_s: float | Floats, economics: Economics) -> Floats:
    """How many copies are held: what the busiest time needs, at least one, and the spare ones.

    .. code-block:: text

        copies = max(1, ceil(traffic * peak_over_mean / capacity)) + spare_copies

    Parameters
    ----------
    traffic_queries_s : float or ndarray
        Queries a second, on average.
    capacity_queries_s : float or ndarray
        What one copy can keep up with.
    economics : Economics

    Returns
    -------
    ndarray

    Examples
    --------
    >>> float(copies(100.0, 150.0, Economics(peak_over_mean=3.0, spare_copies=1)))
    3.0
    """
    # Rounded before it is rounded up: 0.1 * 3 / 0.3 is a hair above 1, and still one copy.
    needed = np.ceil(np.round(np.asarray(traffic_queries_s) * economics.peak_over_mean / capacity_queries_s, 9))
    held: Floats = np.maximum(1.0, needed) + economics.spare_copies
    return held


def copy_hour_usd(vcpus: float, memory_mib: float, prices: Prices, economics: Economics) -> float:
    """Price of holding one copy for an hour: its processors, its memory and that of the server around it.

    Examples
    --------
    >>> prices = Prices(as_of="2026-01", source="worked by hand", vcpu_hour_usd=0.04, gib_hour_usd=0.005)
    >>> copy_hour_usd(1.0, 924.0, prices, Economics(copy_memory_mib=100.0))
    0.045
    """
    gib = (max(memory_mib, 0.0) + economics.copy_memory_mib) / 1024
    return vcpus * prices.vcpu_hour_usd + gib * prices.gib_hour_usd


def serving_usd_month(
    traffic_queries_s: float | Floats,
    capacity_queries_s: float | Floats,
    copy_usd_hour: float,
    prices: Prices,
    economics: Economics,
) -> Floats:
    """Estimated bill of a month of serving, whole copies held all the time, requests paid one by one.

    .. code-block:: text

        USD = copies * 730 * copy_usd_hour + traffic * 2,628,000 * request_usd

    Parameters
    ----------
    traffic_queries_s, capacity_queries_s : float or ndarray
    copy_usd_hour : float
        As from :func:`copy_hour_usd`.
    prices : Prices
    economics : Economics

    Returns
    -------
    ndarray

    Examples
    --------
    Three copies at 4 cents an hour:

    >>> prices = Prices(as_of="2026-01", source="worked by hand", vcpu_hour_usd=0.04, gib_hour_usd=0.0)
    >>> round(float(serving_usd_month(100.0, 150.0, 0.04, prices, Economics())), 2)
    87.6
    """
    held = copies(traffic_queries_s, capacity_queries_s, economics) * HOURS_A_MONTH * copy_usd_hour
    return np.asarray(held + np.asarray(traffic_queries_s) * SECONDS_A_MONTH * prices.request_usd)


def training_usd_month(fit_cpu_s: float, prices: Prices, economics: Economics) -> float:
    """Estimated bill of a month of retraining: the CPU time of one fit, as often as it is fitted again.

    Examples
    --------
    An hour of CPU time four times a month at 4 cents:

    >>> prices = Prices(as_of="2026-01", source="worked by hand", vcpu_hour_usd=0.04, gib_hour_usd=0.0)
    >>> training_usd_month(3600.0, prices, Economics(retrainings_per_month=4))
    0.16
    """
    return fit_cpu_s / 3600 * economics.retrainings_per_month * prices.vcpu_hour_usd
