"""Puts the rounds of a candidate together, and states their statistics with intervals.

This module does *not* know how a value was taken, or which is too much.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from shipworthy.records import QUANTITIES, Measurement, Record, ScenarioName, Statistic

_Scenario = ScenarioName | Literal["none"]


def combine(rounds: Sequence[Sequence[Measurement]]) -> tuple[Measurement, ...]:
    """Put the rounds of one candidate together: one measurement for each quantity, scenario and batch size.

    Parameters
    ----------
    rounds : sequence of sequences of Measurement
        As from :func:`measure_round`.

    Returns
    -------
    tuple of Measurement
        All values in order, with their rounds. ``pinned`` and ``note`` list what differs between rounds; ``load_average`` is
        the highest. A round that failed is counted in ``note``; if more than half of them failed there are no values.
    """
    groups: dict[tuple[Any, ...], list[Measurement]] = {}
    for m in (m for measured in rounds for m in measured):
        alike = replace(m.conditions, pinned="", load_average=0.0, note="", calibration_ms=0.0)
        groups.setdefault((m.candidate, m.dataset, m.quantity, alike), []).append(m)
    return tuple(_combined(group) for group in groups.values())


def _combined(group: Sequence[Measurement]) -> Measurement:
    good, failed = [m for m in group if not m.failure], [m for m in group if m.failure]
    notes = list(dict.fromkeys(m.conditions.note for m in group if m.conditions.note))
    if failed:
        notes.append(f"{len(failed)} of {len(group)} rounds failed: {failed[0].failure}")
    loads = [m.conditions.load_average for m in group if not math.isnan(m.conditions.load_average)]
    conditions = replace(
        group[0].conditions,
        pinned=", ".join(dict.fromkeys(m.conditions.pinned for m in group)),
        load_average=max(loads, default=math.nan),
        note="; ".join(notes),
    )
    units = [m.conditions.calibration_ms for m in group if m.conditions.calibration_ms > 0]
    conditions = replace(conditions, calibration_ms=float(np.median(units)) if units else 0.0)
    kept = good if 2 * len(failed) <= len(group) else []
    return replace(
        group[0],
        values=tuple(v for m in kept for v in m.values),
        round_index=tuple(r for m in kept for r in m.round_index),
        conditions=conditions,
        failure="" if kept else notes[-1],
    )


def _percentile(m: Measurement, q: float, confidence: float) -> tuple[float, float, float]:
    bound = m.percentile_bound(q, (1 + confidence) / 2)
    each = [replace(m, values=values, round_index=(0,) * len(values)).percentile(q) for values in m.rounds()]
    return bound.observed, max(0.0, min(bound.low, *each, bound.observed)), max(bound.high, *each, bound.observed)


def _mean(m: Measurement, confidence: float) -> tuple[float, float, float]:
    """Mean, and Student's interval widened to the rounds' means; with one value a round, the range of the rounds."""
    from scipy import stats

    values, each = np.asarray(m.values), [float(np.mean(values)) for values in m.rounds()]
    mean, n = float(values.mean()), len(values)
    if n == 1:
        return mean, math.nan, math.nan
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1) * values.std(ddof=1) / math.sqrt(n)) if n > len(each) else 0.0
    return mean, max(0.0, min(mean - half, *each)), max(mean + half, *each)


def _throughput(latency: Measurement, confidence: float) -> tuple[float, float, float]:
    """Rows a second from the times of single calls: rows in all over seconds in all, with the interval of the mean latency."""
    rows = 1000.0 * max(1, latency.conditions.batch_size)
    mean, low, high = _mean(latency, confidence)
    if math.isnan(low):
        return rows / mean, math.nan, math.nan
    return rows / mean, rows / high, rows / low if low > 0 else math.inf


def _latency_behind(m: Measurement, measurements: Sequence[Measurement]) -> Measurement | None:
    """The latencies that a throughput was made from: the same calls, of the same candidate under the same conditions."""
    if m.quantity != "throughput_rows_s" or not m.values:
        return None
    scenario: _Scenario = "multi_stream" if m.conditions.scenario == "offline" else m.conditions.scenario
    sought = (m.candidate, m.dataset, "latency_ms", scenario, m.conditions.batch_size, m.conditions.seed)

    def key(o: Measurement) -> tuple[str, str, str, str, int, int]:
        return o.candidate, o.dataset, o.quantity, o.conditions.scenario, o.conditions.batch_size, o.conditions.seed

    found = (o for o in measurements if o.values and key(o) == sought)
    return next(found, None)


def serving_records(measurements: Sequence[Measurement], *, kind: str, route: str, confidence: float) -> list[Record]:
    """Statistics of combined measurements, with intervals where there is something to make one from.

    Parameters
    ----------
    measurements : sequence of Measurement
        As from :func:`combine`. Those without values give one record of statistic ``mean`` whose value is ``nan``.
    kind, route : str
        Of the candidate.
    confidence : float
        Of the two-sided intervals.

    Returns
    -------
    list of Record
        For times of single queries and batches ``p50``, ``p95``, ``p99``, ``mean`` and ``max``; for all else ``mean`` and
        ``max``. ``n`` counts values, ``conditions`` is the JSON of the conditions.

    Notes
    -----
    The interval of a percentile is that of its order statistics, which takes queries as independent, *widened* to the lowest
    and highest value among the rounds: identical fresh processes were seen to differ by up to 2.6 times. Where there are too
    few values to state an end, it is 0 or infinite. The interval of a mean of times is Student's, widened likewise.

    Throughput is made from the times of the calls, in the single stream and offline: all rows over all seconds, with the ends
    of the mean latency's interval, so ``n`` counts calls (queries, or batches offline).

    The interval of every other mean with one value a round (``cpu_ms``, ``import_ms``, ``load_ms``, ``first_call_ms``,
    ``memory_mib``, ``peak_memory_mib``) is the *range of the rounds*, which states no confidence; with one value in all there
    is none. A maximum has none.
    """
    out = []
    for m in measurements:
        timed = m.conditions.scenario in {"single_stream", "multi_stream", "server"} and m.quantity in {
            "latency_ms",
            "build_ms",
            "preprocess_ms",
            "model_ms",
            "rest_ms",
        }
        statistics: tuple[Statistic, ...] = ("p50", "p95", "p99", "mean", "max") if timed else ("mean", "max")
        for statistic in statistics if m.values else ("mean",):
            value = low = high = math.nan
            n, calls = len(m.values), _latency_behind(m, measurements)
            if calls and statistic == "mean":
                (value, low, high), n = _throughput(calls, confidence), len(calls.values)
            elif m.values and statistic == "mean":
                value, low, high = _mean(m, confidence)
            elif m.values and statistic == "max":
                value = max(m.values)
            elif m.values:
                value, low, high = _percentile(m, float(statistic[1:]), confidence)
            out.append(
                Record(
                    dataset=m.dataset,
                    candidate=m.candidate,
                    kind=kind,
                    quantity=m.quantity,
                    statistic=statistic,
                    value=value,
                    unit=QUANTITIES[m.quantity].unit,
                    seed=m.conditions.seed,
                    low=low,
                    high=high,
                    n=n,
                    route=route,
                    scenario=m.conditions.scenario,
                    batch_size=m.conditions.batch_size,
                    conditions=_conditions_json(m),
                )
            )
    return out


def _conditions_json(m: Measurement) -> str:
    """Conditions as JSON that any reader takes: what is not a number is null."""
    facts = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in m.conditions.as_dict().items()}
    return json.dumps(facts | ({"failure": m.failure} if m.failure else {}), sort_keys=True)
