"""Energy, from CPU time and an assumption: nothing here is measured at a wall socket.

This module does *not* know what an idle machine, its memory, its cooling or its network draw.
"""

from __future__ import annotations

import math

from shipworthy.records import InputError, Interval

WATTS_PER_CORE = (1.0, 4.0, 10.0)
"""Low, middle and high power (W) of one busy core of a server: an assumption of ours, wide on purpose; give your own figure."""


def watt_hours_per_million(cpu_ms: float, watts: tuple[float, float, float] = WATTS_PER_CORE) -> Interval:
    """Estimated energy of a million predictions: CPU hours times the assumed power of a busy core.

    Parameters
    ----------
    cpu_ms : float
        CPU time of one prediction, milliseconds: so many CPU seconds a thousand.
    watts : tuple of float
        Low, middle and high assumption.

    Returns
    -------
    Interval
        Watt-hours. Its ends are those of the assumption, so it holds at no confidence (``nan``).

    Raises
    ------
    InputError
        If the watts do not ascend or are negative.

    Examples
    --------
    3.6 ms are one CPU hour a million:

    >>> watt_hours_per_million(3.6).value
    4.0
    """
    low, middle, high = watts
    if not 0 <= low <= middle <= high:
        raise InputError(f"watts must ascend from at least 0 (low, middle, high), not {watts!r}")
    hours = cpu_ms / 3.6
    how = f"an estimate: CPU hours times an assumed {low:g} to {high:g} W of a busy core"
    return Interval(hours * middle, hours * low, hours * high, math.nan, how)
