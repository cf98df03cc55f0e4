"""What each member is worth: its fair share of everything that all subsets show, and what leaving it out would change.

This module does *not* know how the table came about, or whether a member should go.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shipworthy.records import QUANTITIES, Floats, InputError
from shipworthy.simulation.scoring import as_loss, check_metric
from shipworthy.simulation.subsets import SubsetTable, subset_sizes


@dataclass(frozen=True, slots=True)
class MemberWorth:
    """One member's share, and what an ensemble would be without it.

    Parameters
    ----------
    name : str
    gain : float
        Shapley value in the metric, turned so that above 0 is better; the members' values sum to what the vote of all gains over
        the best constant prediction.
    latency_ms, memory_mib, usd : float
        Shapley values of the costs; ``nan`` where the table does not know them.
    without_metric : float
        Change of the metric, in its own direction, if the ensemble lacked the member.
    without_latency, without_memory, without_usd : float
        Change of the costs, as a share: -0.31 is 31 % less.
    sentence : str
        Such as ``without knn: -0.0002 ROC AUC, -31 % p99``.
    """

    name: str
    gain: float
    latency_ms: float
    memory_mib: float
    usd: float
    without_metric: float
    without_latency: float
    without_memory: float
    without_usd: float
    sentence: str


def shapley_values(values: Floats) -> Floats:
    """Each member's Shapley value in a game that gives every subset a value.

    Parameters
    ----------
    values : ndarray of float64, shape (2**n_members,)
        By subset, bit ``i`` set where member ``i`` is in it.

    Returns
    -------
    ndarray of float64, shape (n_members,)
        The mean, over all orders in which members may join, of what each adds. They sum to the value of all less that of none.
        Source: Shapley (1953), "A value for n-person games".

    Raises
    ------
    InputError
        If the number of values is no power of two.

    Examples
    --------
    Two gloves, one left (member 0) and two right: a pair is worth 1.

    >>> pairs = np.array([0, 0, 0, 1, 0, 1, 0, 1], dtype=float)
    >>> shapley_values(pairs).round(4)
    array([0.6667, 0.1667, 0.1667])
    """
    n = len(values).bit_length() - 1
    if n < 0 or len(values) != 1 << n:
        raise InputError(f"Shapley values need a value for every subset, a power of two, not {len(values)}")
    weights = np.array([1 / (n * math.comb(n - 1, size)) for size in range(n)])
    sizes = subset_sizes(n).astype(np.int64)
    shares = []
    for i in range(n):
        with_it = values.reshape(-1, 2, 1 << i)
        before = sizes.reshape(-1, 2, 1 << i)[:, 0]
        shares.append(float(np.sum(weights[before] * (with_it[:, 1] - with_it[:, 0]))))
    return np.array(shares)


def member_worth(
    table: SubsetTable,
    metric: str,
    *,
    values: Floats | None = None,
    ensemble: Sequence[str] | None = None,
    also: Mapping[str, Mapping[int, float]] | None = None,
    percentile: float = 99,
) -> tuple[MemberWorth, ...]:
    """What each member is worth in accuracy, milliseconds, mebibytes and money.

    Parameters
    ----------
    table : SubsetTable
    metric : str
        On test rows.
    values : ndarray of float64, shape (2**n_members,), optional
        The metric of every subset where the table does not hold it, as from :func:`~shipworthy.simulation.roc_auc`.
    ensemble : sequence of str, optional
        The one that members are left out of, at least two; by default, the vote of all.
    also : mapping of str to mapping of int to float, optional
        Other metrics that the sentences begin with: by name, the value of the ensemble and of each subset that lacks one member.
    percentile : float
        Of the latencies in the table, for the sentences.

    Returns
    -------
    tuple of MemberWorth
        The most useful first. Members outside ``ensemble`` have a share but no sentence, and ``nan`` for what leaving them out
        does.

    Raises
    ------
    InputError
        If the metric is not known, the values are not one for each subset, or the ensemble has fewer than two members.
    """
    if values is None:
        if metric not in table.test:
            raise InputError(f"the table does not hold {metric!r}: give its values, or choose one of {', '.join(table.test)}")
        values = table.test[metric]
    check_metric(metric, table.task, ranking=True)
    if len(values) != 1 << table.n_members:
        raise InputError(f"give a value of {metric} for each of {1 << table.n_members} subsets, not {len(values)}")
    whole = table.subset(table.names if ensemble is None else ensemble)
    if whole.bit_count() < 2:
        raise InputError("a member can be left out of an ensemble of two or more: name more members")
    served = table.served
    unknown = np.full(1 << table.n_members, np.nan)
    latency, memory = (unknown, unknown) if served is None else (served.latency_ms, served.memory_mib)
    usd = unknown if table.usd is None else table.usd
    shares = [shapley_values(v) for v in (-as_loss(metric, values), latency, memory, usd)]
    out = []
    for i, name in enumerate(table.names):
        change, ratios, sentence = math.nan, [math.nan] * 3, ""
        if whole >> i & 1:
            rest = whole & ~(1 << i)
            change = float(values[rest] - values[whole])
            ratios = [float(v[rest] / v[whole] - 1) for v in (latency, memory, usd)]
            changes = {m: by_subset[rest] - by_subset[whole] for m, by_subset in (also or {}).items()}
            sentence = _sentence(name, {**changes, metric: change}, ratios, percentile)
        gain, share_ms, share_mib, share_usd = (float(s[i]) for s in shares)
        out.append(MemberWorth(name, gain, share_ms, share_mib, share_usd, change, ratios[0], ratios[1], ratios[2], sentence))
    return tuple(sorted(out, key=lambda w: (-w.gain, w.name)))


def _sentence(name: str, changes: Mapping[str, float], ratios: Sequence[float], percentile: float) -> str:
    # A sign before nothing would be read.
    told = {metric: f"{change:+.4f}" if abs(change) >= 0.00005 else "0.0000" for metric, change in changes.items()}
    parts = [f"{change} {QUANTITIES[metric].label}" for metric, change in told.items()]
    whats = (f"p{percentile:g}", "memory", "price")
    parts += [f"{round(100 * ratio):+d} % {what}" for ratio, what in zip(ratios, whats, strict=True) if not math.isnan(ratio)]
    return f"without {name}: {', '.join(parts)}"
