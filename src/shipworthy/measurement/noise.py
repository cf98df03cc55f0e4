"""How much latencies differ by chance: between fresh children of one candidate, and where something disturbed a round.

This module does *not* know how a latency was measured, or which difference matters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from shipworthy.records import Measurement

DISTURBED = ((50.0, "median", 1.5), (99.0, "p99", 3.0))
"""Percentile, its name, and the factor between rounds beyond which one is called disturbed.

Medians of undisturbed fresh processes differ by a few percent, now and then by a third where memory lies badly; half as much
again is another process on the core. A p99 rests on the few slowest queries of a round, and doubles by chance.
"""


def _by_round(m: Measurement, percentile: float) -> list[float]:
    """The percentile (nearest rank) of each round apart."""
    return [replace(m, values=values, round_index=(0,) * len(values)).percentile(percentile) for values in m.rounds()]


def _repeated_single_streams(measurements: Sequence[Measurement]) -> list[Measurement]:
    alike = (m for m in measurements if (m.quantity, m.conditions.scenario) == ("latency_ms", "single_stream"))
    return [m for m in alike if len(set(m.round_index)) > 1]


def noise_floor(measurements: Sequence[Measurement], percentile: float = 50.0) -> float:
    """The ratio of two candidates' latencies that fresh, interleaved children of one and the same candidate show by chance.

    Parameters
    ----------
    measurements : sequence of Measurement
        Combined; only single-stream latencies of at least two rounds count.
    percentile : float
        Of latency: the one that the floor will be applied to. A p99 repeats far worse than a median.

    Returns
    -------
    float
        At least 1: 1.08 says that candidates whose latencies differ by less than 8 % cannot be told apart. Infinite if nothing
        was measured twice.

    Notes
    -----
    ``x[c, r]`` is the logarithm of the percentile of candidate ``c`` in its round ``r``. For every pair of rounds of one
    candidate, ``|x[c, r] - x[c, s]| / sqrt(2)`` is the absolute value of a draw with the standard deviation of one round. Over
    all pairs of all candidates, ``sd = 1.4826 * median`` of these: the median of absolute draws, made consistent for normal
    ones, which a few disturbed rounds do not move. The mean over ``R`` rounds of two candidates that are alike then differs
    with standard deviation ``sd * sqrt(2 / R)``, so the floor is ``exp(1.96 * sd * sqrt(2 / R))``, exceeded by chance in 5 % of
    comparisons. ``R`` is the smallest number of rounds among the candidates. With few candidates and rounds ``sd`` itself is
    uncertain.

    Examples
    --------
    >>> from shipworthy.records import Conditions
    >>> here = Conditions("m", "v", 1, "single_stream", 1, 0, 50, "off", "lean", "0", 0.0)
    >>> round(noise_floor([Measurement("a", "d", "latency_ms", (1.0, 1.0, 1.1, 1.1), (0, 0, 1, 1), here)]), 4)
    1.2163
    """
    from scipy import stats

    draws: list[float] = []
    counts: list[int] = []
    for m in _repeated_single_streams(measurements):
        each = _by_round(m, percentile)
        if min(each) <= 0:  # a clock too coarse to see a query says nothing of ratios
            continue
        counts.append(len(each))
        draws += [abs(math.log(one / other)) / math.sqrt(2) for one, other in combinations(each, 2)]
    if not draws:
        return math.inf
    sd = float(np.median(draws)) / float(stats.norm.ppf(0.75))
    return math.exp(float(stats.norm.ppf(0.975)) * sd * math.sqrt(2 / min(counts)))


def disturbed(measurements: Sequence[Measurement]) -> list[str]:
    """Rounds of single-stream latency that something else seems to have disturbed, a sentence each.

    Parameters
    ----------
    measurements : sequence of Measurement
        Combined; only single-stream latencies of at least two rounds count.

    Returns
    -------
    list of str
        For each round whose median, or else whose p99, differs from the median of its other rounds' by more than the factor in
        :data:`DISTURBED`: candidate, round, both figures, and the highest load average of the rounds. Of two rounds that
        differ, the slower is named. Rounds are counted from 1.
    """
    said = []
    for m in _repeated_single_streams(measurements):
        indices = sorted(set(m.round_index))
        for i, index in enumerate(indices):
            for percentile, name, factor in DISTURBED:
                each = _by_round(m, percentile)
                own, others = each[i], float(np.median(each[:i] + each[i + 1 :]))
                slower, faster = own > factor * others, others > factor * own
                if slower or (faster and len(each) > 2):
                    load = m.conditions.load_average
                    known = "not known on this platform" if math.isnan(load) else f"{load:.1f}"
                    said.append(
                        f"{m.candidate} on {m.dataset}, seed {m.conditions.seed}: round {index + 1} was disturbed, or its others"
                        f" were: its {name} latency is {own:.3g} ms, that of its other rounds {others:.3g} ms"
                        f" (highest load average of its rounds: {known})."
                    )
                    break  # one sentence a round
    return said
