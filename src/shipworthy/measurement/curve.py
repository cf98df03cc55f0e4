"""What latencies by batch size, and by threads, say: the law of a batch, where one candidate overtakes another, what to set.

A call costs something however few rows it has, and something more for every row: ``latency = fixed + per row x rows``. Where
that law fits, two numbers tell the whole curve.

This module does *not* know how a call was timed, or how many rows a service will be asked at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shipworthy.records import Floats, InputError, Interval, Measurement

DRAWS = 4000
"""Of the fitted parameters, for the interval of a crossing."""
WORTH_SAYING = 1.25
"""A cost of threads below this factor is left unsaid: rounds differ by as much."""


@dataclass(frozen=True, slots=True, eq=False)
class BatchLaw:
    """The fitted law of one candidate: ``latency_ms = fixed_ms + per_row_ms x rows``.

    Parameters
    ----------
    candidate : str
    fixed_ms, per_row_ms : Interval
    r2 : float
        Share of the variance of the logarithms that the law explains.
    worst : float
        The factor, at least 1, by which the law misses the median of the size where it is worst.
    sizes : tuple of int
        Batch sizes that were fitted.
    covariance : ndarray of float64, shape (2, 2)
        Of the two numbers as they were fitted.
    """

    candidate: str
    fixed_ms: Interval
    per_row_ms: Interval
    r2: float
    worst: float
    sizes: tuple[int, ...]
    covariance: Floats

    @property
    def fits(self) -> bool:
        """Whether no median is further from the law than half as much again."""
        return self.worst <= 1.5

    def latency_ms(self, rows: float) -> float:
        """What the law says of a call of so many rows."""
        return self.fixed_ms.value + self.per_row_ms.value * rows

    def sentence(self) -> str:
        """The law in words."""
        fixed, row = self.fixed_ms, self.per_row_ms
        text = (
            f"{self.candidate}: a call costs {fixed.value:.3g} ms ({fixed.low:.3g} to {fixed.high:.3g}) and every row "
            f"{1000 * row.value:.3g} microseconds more ({1000 * row.low:.3g} to {1000 * row.high:.3g})"
        )
        if not self.fits:
            return f"{text}, but the law misses by up to {self.worst:.2g} times: read the curve, not the law."
        off = f"{100 * (self.worst - 1):.0f} %"
        explained = "" if math.isnan(self.r2) else f" and explains {100 * self.r2:.1f} % of the variance"
        return f"{text}; the law is off by at most {off}{explained}."


def _medians(measurements: Sequence[Measurement]) -> list[tuple[int, float]]:
    """Batch size and median latency of each round apart."""
    found = []
    for m in measurements:
        if m.quantity == "latency_ms" and m.conditions.scenario in {"single_stream", "multi_stream"} and m.values:
            found += [(m.conditions.batch_size, float(np.median(values))) for values in m.rounds()]
    return sorted(found)


def fit_batch_law(candidate: str, measurements: Sequence[Measurement], confidence: float = 0.95) -> BatchLaw:
    """Fit the law to the medians of all rounds, by least squares of logarithms: a deviation of 10 % counts alike at every size.

    Parameters
    ----------
    candidate : str
    measurements : sequence of Measurement
        Latencies of at least three batch sizes, of this candidate.
    confidence : float
        Of the intervals of the two numbers: Student's, cut off at 0.

    Returns
    -------
    BatchLaw
        Neither number is below 0. One that the sizes do not show, as the cost per row where all calls take alike, is 0 or
        nearly so, and its interval says up to how much it could be.

    Raises
    ------
    InputError
        If there are fewer than three batch sizes.
    """
    from scipy import optimize, stats

    points = _medians([m for m in measurements if m.candidate == candidate])
    sizes = tuple(sorted({size for size, _ in points}))
    if len(sizes) < 3:
        raise InputError(f"batch_sizes: the law of a batch needs at least three sizes, and {candidate} has {len(sizes)}")
    rows = np.array([size for size, _ in points], dtype=float)
    taken = np.array([ms for _, ms in points])
    parts = np.column_stack([np.ones_like(rows), rows])
    # The share by which a call is missed is nearly the logarithm, and linear: a first guess that is never below 0.
    first, _ = optimize.nnls(parts / taken[:, None], np.ones_like(taken))
    scale = np.array([taken.max(), taken.max() / rows.max()])
    found = optimize.least_squares(
        lambda x: np.log(parts @ (x * scale)) - np.log(taken),
        first / scale,
        jac=lambda x: parts * scale / (parts @ (x * scale))[:, None],
        bounds=(0, np.inf),
        xtol=1e-12,
        ftol=1e-12,
    )
    fitted = np.where(found.x > 1e-9, found.x, 0.0) * scale  # the search comes near its bound and not to it
    left = np.log(taken) - np.log(parts @ fitted)
    # In the two numbers themselves, not in their logarithms: a number that is 0 has no logarithm, and an error none the less.
    slopes = parts / (parts @ fitted)[:, None]
    freedom = max(1, len(taken) - 2)
    covariance = float((left**2).sum()) / freedom * np.linalg.inv(slopes.T @ slopes)
    half = float(stats.t.ppf((1 + confidence) / 2, freedom)) * np.sqrt(np.diag(covariance))
    how = f"least squares of logarithms over {len(taken)} medians of {len(sizes)} batch sizes"
    fixed, per_row = (
        Interval(float(v), max(0.0, float(v - h)), float(v + h), confidence, how) for v, h in zip(fitted, half, strict=True)
    )
    by_size = [abs(float(np.mean(left[rows == size]))) for size in sizes]
    spread = float(((np.log(taken) - np.log(taken).mean()) ** 2).sum())
    r2 = 1 - float((left**2).sum()) / spread if spread > 1e-12 else math.nan
    return BatchLaw(candidate, fixed, per_row, r2, math.exp(max(by_size)), sizes, covariance)


@dataclass(frozen=True, slots=True)
class Overtaking:
    """Where the faster of two candidates changes: ``small`` is faster below ``rows``, ``large`` above."""

    small: str
    large: str
    rows: Interval

    def sentence(self) -> str:
        """In words."""
        return (
            f"{self.large} overtakes {self.small} at {self.rows.value:,.0f} rows a call "
            f"({self.rows.low:,.0f} to {self.rows.high:,.0f})."
        )


def overtakings(laws: Sequence[BatchLaw], *, rng: np.random.Generator, confidence: float = 0.95) -> list[Overtaking]:
    """Every pair of candidates whose laws cross within the sizes that both were measured at.

    Parameters
    ----------
    laws : sequence of BatchLaw
        Those that do not fit are passed over: a crossing read off them would be none.
    rng : numpy.random.Generator
        Draws the parameters within their uncertainty, for the interval.
    confidence : float

    Returns
    -------
    list of Overtaking
        A crossing is given only if more than ``confidence`` of the draws cross at a positive size.
    """
    found = []
    fitting = [law for law in laws if law.fits]
    for i, one in enumerate(fitting):
        for other in fitting[i + 1 :]:
            small, large = sorted((one, other), key=lambda law: law.fixed_ms.value)
            at = _crossing(_numbers(small)[None, :], *_numbers(large))[0]
            reach = min(small.sizes[-1], large.sizes[-1])
            if not 1 < at <= reach:
                continue
            drawn_small, drawn_large = (
                np.maximum(0.0, rng.multivariate_normal(_numbers(law), law.covariance, DRAWS)) for law in (small, large)
            )
            crossings = _crossing(drawn_small, drawn_large[:, 0], drawn_large[:, 1])
            usable = crossings[np.isfinite(crossings) & (crossings > 0)]
            if len(usable) < confidence * DRAWS:
                continue
            low, high = np.quantile(usable, [(1 - confidence) / 2, (1 + confidence) / 2])
            how = f"from both laws; {DRAWS} draws within their uncertainty"
            found.append(
                Overtaking(small.candidate, large.candidate, Interval(float(at), float(low), float(high), confidence, how))
            )
    return sorted(found, key=lambda o: o.rows.value)


def _numbers(law: BatchLaw) -> Floats:
    """Fixed cost and cost per row."""
    return np.array([law.fixed_ms.value, law.per_row_ms.value])


def _crossing(small: Floats, fixed: float | Floats, per_row: float | Floats) -> Floats:
    """Rows at which ``small`` (columns fixed, per row) stops being the faster; not finite or negative where it never does."""
    with np.errstate(divide="ignore", invalid="ignore"):
        rows: Floats = (fixed - small[:, 0]) / (small[:, 1] - per_row)
    return rows


def ranking_sentence(medians: Mapping[str, Mapping[int, float]], noise_floor: float) -> str:
    """Whether the order of the candidates at one row is that in bulk, in words.

    Parameters
    ----------
    medians : mapping of str to mapping of int to float
        Median latency (ms) of each candidate by batch size.
    noise_floor : float
        A factor of at least 1; candidates nearer than that at either end are not called ordered.

    Returns
    -------
    str

    Examples
    --------
    >>> ranking_sentence({"linear": {1: 1.0, 4096: 30.0}, "boosted": {1: 2.0, 4096: 10.0}}, 1.1)[:57]
    'The order at one row is not that in bulk: linear is faste'
    """
    sizes = sorted(set.intersection(*(set(by_size) for by_size in medians.values()))) if medians else []
    if len(medians) < 2 or len(sizes) < 2:
        return "There are too few candidates or batch sizes to compare an order."
    one, bulk = sizes[0], sizes[-1]
    flips = []
    names = sorted(medians, key=lambda name: medians[name][one])
    for i, fast in enumerate(names):
        for slow in names[i + 1 :]:
            apart = medians[slow][one] / medians[fast][one]
            turned = medians[fast][bulk] / medians[slow][bulk]
            if apart > noise_floor and turned > noise_floor:
                flips.append((apart * turned, fast, slow))
    if not flips:
        return f"The order of the candidates at {_rows(one)} is the same at {_rows(bulk)}, as far as the noise lets it be told."
    _, fast, slow = max(flips)
    more = f" ({len(flips)} pairs change places)" if len(flips) > 1 else ""
    at_one = f"{medians[fast][one]:.3g} against {medians[slow][one]:.3g} ms"
    at_bulk = f"{medians[slow][bulk]:.3g} against {medians[fast][bulk]:.3g} ms"
    return (
        f"The order at one row is not that in bulk: {fast} is faster at {_rows(one)} ({at_one}), "
        f"{slow} at {_rows(bulk)} ({at_bulk}){more}."
    )


def _rows(n: int) -> str:
    return f"{n:,} row{'' if n == 1 else 's'}"


def thread_sentences(candidate: str, measurements: Sequence[Measurement], default: int) -> list[str]:
    """What the number of threads does to a candidate, and what to set, a sentence for each batch size.

    Parameters
    ----------
    candidate : str
    measurements : sequence of Measurement
        Latencies of this candidate at several thread counts and batch sizes.
    default : int
        Threads that the libraries would use if nothing were said: all usable cores.

    Returns
    -------
    list of str
        Empty where only one thread count was measured.
    """
    p99: dict[int, dict[int, float]] = {}
    for m in measurements:
        c = m.conditions
        if (
            (m.candidate, m.quantity) == (candidate, "latency_ms")
            and m.values
            and c.scenario in {"single_stream", "multi_stream"}
        ):
            p99.setdefault(c.batch_size, {})[c.threads] = float(
                np.median([np.percentile(v, 99, method="inverted_cdf") for v in m.rounds()])
            )
    said = []
    for size, by_threads in sorted(p99.items()):
        if len(by_threads) < 2 or default not in by_threads:
            continue
        best = min(by_threads, key=lambda t: (by_threads[t], t))
        factor = by_threads[default] / by_threads[best]
        where = f"{candidate}, {_rows(size)} a call"
        figures = f"p99 {by_threads[default]:.3g} ms against {by_threads[best]:.3g} ms"
        if best != default and factor > WORTH_SAYING:
            said.append(f"{where}: the default of {default} threads costs {factor:.2g} times at p99 ({figures}); set {best}.")
        elif best == default and 1 in by_threads and by_threads[1] / by_threads[best] > WORTH_SAYING:
            gain = by_threads[1] / by_threads[best]
            figures = f"p99 {by_threads[best]:.3g} ms against {by_threads[1]:.3g} ms"
            said.append(f"{where}: {default} threads are {gain:.2g} times as fast as one at p99 ({figures}); keep them.")
        else:
            said.append(f"{where}: the number of threads makes no difference worth a setting; one leaves the others free.")
    return said
