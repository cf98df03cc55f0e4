"""What a comparison could have shown, and how much more would tell: rows, seeds or queries.

All from the spread that was observed, so an estimate, as every power after the fact is.

This module does *not* know what was answered, or how it is put into words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from shipworthy.feasibility.seeds import Overlap, SeedError
from shipworthy.feasibility.statistics import normal_quantile, row_error
from shipworthy.records import Floats, Interval

HOPELESS = 1000
"""Where more than this many times the test rows or queries would be needed, saying so is more use than the number."""
MOST_SEEDS = 1000
"""More seeds than anybody trains."""
GRID = 2000
"""Points at which a chi-squared distribution is summed: the power is then exact to about 0.0005."""


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """What the width of a gain's interval comes from.

    Parameters
    ----------
    gains : ndarray, shape (n_seeds,)
        Gain of each seed; positive is better.
    row_error : float
        Standard error that the chance in the test rows makes, mean over the seeds; ``nan`` if it is not known.
    n_rows : int
        Test rows of a seed; 0 where it is not known.
    test_share : float
        ``n_test / n_train``.
    overlap : Overlap, optional
        What several seeds have in common; left out, that of splits drawn anew from one set of rows.
    """

    gains: Floats
    row_error: float
    n_rows: int
    test_share: float
    overlap: Overlap | None = None

    @classmethod
    def of(
        cls,
        challenger: Sequence[Floats],
        baseline: Sequence[Floats],
        gains: Sequence[float],
        n_rows: int,
        test_share: float,
        overlap: Overlap | None = None,
    ) -> Spread:
        """The spread of a comparison, from both sides' scores on the same resamples, an array a seed."""
        errors = [row_error(c - b) for c, b in zip(challenger, baseline, strict=True)]
        return cls(np.asarray(gains, dtype=np.float64), float(np.mean(errors)), n_rows, test_share, overlap)

    @property
    def over_seeds(self) -> SeedError:
        """Squared standard errors of the mean gain over several seeds."""
        return SeedError.of(self.gains, self.row_error, self.test_share, self.overlap or Overlap.of_resplits(self.test_share))


def power_of_gain(spread: Spread, gain: float, margin: float, confidence: float) -> float:
    """Probability that the interval of a true ``gain`` begins at or above ``margin``.

    Parameters
    ----------
    spread : Spread
        As observed; it is taken for the true one.
    gain, margin : float
        In the metric.
    confidence : float
        Of the two-sided interval that decides.

    Returns
    -------
    float
        One seed: ``Phi((gain - margin) / row_error - z)``. Several: the same over the estimates of the error between seeds that
        there may be (a non-central t where they share no test rows). ``nan`` if the spread is not known.

    Examples
    --------
    A gain 2.8 standard errors above the margin is shown four times out of five at 95 %:

    >>> round(power_of_gain(Spread(np.array([0.01]), 0.001, 500, 0.25), 0.0128, 0.01, 0.95), 2)
    0.8
    """
    if math.isnan(spread.row_error) or spread.gains.size < 2:
        return _by_rows(spread.row_error, gain - margin, confidence)
    return _by_seeds(spread.over_seeds, gain - margin, confidence)


def _by_rows(error: float, distance: float, confidence: float) -> float:
    if math.isnan(error):
        return math.nan
    if error == 0:
        return float(distance >= 0)
    return NormalDist().cdf(distance / error - normal_quantile((1 + confidence) / 2))


def _by_seeds(found: SeedError, distance: float, confidence: float) -> float:
    """``P(Z * error + distance > half)`` for standard normal ``Z``, over quantiles of the chi-squared that the spread follows."""
    from scipy.special import ndtr
    from scipy.stats import chi2

    if found.error == 0:
        return float(distance >= 0)
    ratios = np.sqrt(chi2.ppf((np.arange(GRID) + 0.5) / GRID, found.df) / found.df)
    return float(ndtr((distance - found.half_width(confidence, ratios)) / found.error).mean())


@dataclass(frozen=True, slots=True)
class Needed:
    """How many more of something would tell; ``more`` is infinite where no realistic number would."""

    things: str
    """``"test rows"``, ``"seeds"`` or ``"queries"``."""
    more: float
    now: int


def rows_or_seeds_needed(gain: Interval, spread: Spread, margin: float) -> Needed:
    """What would bring the near end of the interval to the smallest useful gain, if the gain stays as it is.

    Parameters
    ----------
    gain : Interval
        That decided, with finite ends.
    spread : Spread
    margin : float
        The smallest useful gain, which the interval straddles.

    Returns
    -------
    Needed
        Seeds where the spread between seeds makes most of the half-width, test rows where the chance in those that are shared
        does. It shrinks with the root of the number of rows; over seeds, to what they share.
    """
    distance = abs(gain.value - margin)
    above = gain.value > margin
    half = gain.value - gain.low if above else gain.high - gain.value
    if (k := spread.gains.size) > 1:
        by_seeds = replace(spread.over_seeds, shared=0.0)
        if 2 * float(by_seeds.half_width(gain.confidence)) ** 2 > half**2:
            return Needed("seeds", _more_seeds(spread, distance, gain.confidence), k)
    times = (half / distance) ** 2 if distance > 0 else math.inf
    rows = spread.n_rows
    return Needed("test rows", math.inf if times > HOPELESS else math.ceil(rows * (times - 1)) if rows else times, rows)


def _more_seeds(spread: Spread, distance: float, confidence: float) -> float:
    from scipy.stats import t

    n_seeds, found = spread.gains.size, spread.over_seeds
    k = np.arange(n_seeds, MOST_SEEDS + 1)
    variance = float(spread.gains.var(ddof=1))
    between = found.between + variance * (1 / k - 1 / n_seeds)
    tail = (1 + confidence) / 2
    halves = np.sqrt(t.ppf(tail, k - 1) ** 2 * between + normal_quantile(tail) ** 2 * found.shared)
    enough = k[halves <= distance] if len(k) else k
    return float(max(int(enough[0]) - n_seeds, 1)) if len(enough) else math.inf


def queries_to_tell(ratio: Interval, limit: float, reach: tuple[float, float], noise_floor: float, n: int) -> Needed:
    """How many more queries would tell a ratio of costs from the largest tolerable one, if the percentiles stay as they are.

    Parameters
    ----------
    ratio : Interval
        With finite ends, that straddles the limit.
    limit : float
        The largest tolerable ratio.
    reach : tuple of float
        Smallest and largest ratio observed in a round: queries narrow the interval within a round, never how rounds differ.
    noise_floor : float
        At least 1; queries do not lower it either.
    n : int
        Queries of a side so far.

    Returns
    -------
    Needed
        Infinite where the limit lies within what queries do not narrow.
    """
    above = limit > ratio.value
    end, farthest = (ratio.high, max(reach[1], ratio.value)) if above else (ratio.low, min(reach[0], ratio.value))
    fixed = abs(math.log(farthest / ratio.value)) + math.log(noise_floor)
    room = abs(math.log(limit / ratio.value)) - fixed
    half = abs(math.log(end / ratio.value)) - fixed
    times = (half / room) ** 2 if room > 0 else math.inf
    return Needed("queries", math.inf if times > HOPELESS else max(1, math.ceil(n * (times - 1))), n)
