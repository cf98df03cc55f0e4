"""A queue with one server, exactly: what Lindley's recursion says of given arrivals and service times.

This module does *not* know whether arrivals or service times were measured or invented.
"""

from __future__ import annotations

import numpy as np

from shipworthy.records import Floats

STEPS = 40
"""Halvings of the interval in which the highest rate is sought: more than floating point can tell apart."""


def lindley(arrivals: Floats, services: Floats) -> Floats:
    """Wait of each customer of a first-come-first-served queue with one server.

    Lindley's recursion (1952): ``wait[i+1] = max(0, wait[i] + service[i] - (arrival[i+1] - arrival[i]))``, solved without a loop:
    the running sum of the increments less its running minimum.

    Parameters
    ----------
    arrivals : ndarray of float64, shape (n,)
        Ascending moments.
    services : ndarray of float64, shape (n,)
        In the same unit.

    Returns
    -------
    ndarray of float64, shape (n,)
        In the same unit.

    Raises
    ------
    ValueError
        If the two differ in length, arrivals descend, or a service takes less than no time.

    Examples
    --------
    Three customers a second apart, each served for 1.5 s: every one waits half a second more than the one before.

    >>> lindley(np.array([0.0, 1.0, 2.0]), np.array([1.5, 1.5, 1.5])).tolist()
    [0.0, 0.5, 1.0]
    """
    if arrivals.shape != services.shape or arrivals.ndim != 1:
        raise ValueError(f"arrivals and services must be as many, not {arrivals.shape} and {services.shape}")
    if arrivals.size == 0:
        return np.zeros(0)
    gaps = np.diff(arrivals)
    if (gaps < 0).any() or (services < 0).any():
        raise ValueError("arrivals must not descend, and no service may take less than no time")
    walk = np.concatenate(([0.0], np.cumsum(services[:-1] - gaps)))
    waits: Floats = walk - np.minimum.accumulate(walk)
    return waits


def sojourn_ms(services_ms: Floats, rate_per_s: float, n: int, rng: np.random.Generator) -> Floats:
    """Latencies that ``n`` queries of a Poisson stream would see, if service times are drawn from those that were measured.

    Parameters
    ----------
    services_ms : ndarray of float64
        Measured; drawn with replacement, so as if one did not depend on the one before.
    rate_per_s : float
    n : int
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    arrivals = np.cumsum(rng.exponential(1000 / rate_per_s, n))
    services = rng.choice(services_ms, n)
    latency: Floats = lindley(arrivals, services) + services
    return latency


def predict_highest_rate(
    services_ms: Floats, *, percentile: float, limit_ms: float, rng: np.random.Generator, n: int = 20_000
) -> float:
    """The highest rate of a Poisson stream at which a percentile of latency should keep a limit: a simulation, not a measurement.

    Gaps and service times are drawn once and the gaps scaled, so that the percentile grows with the rate and bisection is exact.

    Parameters
    ----------
    services_ms : ndarray of float64
        Measured service times.
    percentile, limit_ms : float
    rng : numpy.random.Generator
    n : int
        Customers simulated.

    Returns
    -------
    float
        Queries per second; 0 if the limit is not kept even by a query that meets no other.

    Examples
    --------
    An M/D/1 queue of 1 ms could answer 1,000/s; to keep p99 under 5 ms it may be asked little more than half as many.

    >>> rng = np.random.default_rng(0)
    >>> 450 < predict_highest_rate(np.ones(1), percentile=99, limit_ms=5, rng=rng) < 650
    True
    """
    gaps = rng.exponential(1.0, n)
    services = rng.choice(services_ms, n)
    if float(np.percentile(services, percentile, method="inverted_cdf")) > limit_ms:
        return 0.0

    def kept(rate: float) -> bool:
        latency = lindley(np.cumsum(gaps * 1000 / rate), services) + services
        return float(np.percentile(latency, percentile, method="inverted_cdf")) <= limit_ms

    low, high = 0.0, 1000 / float(services.mean())
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if kept(middle) else (low, middle)
    return low
