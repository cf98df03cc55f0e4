"""Intervals for two questions: how much better is the challenger, and how many times does it cost.

Gains are paired on the same test rows; ratios of latency are taken within interleaved rounds, so that what slows the machine
slows both sides.

This module does *not* know which candidates are worth comparing or what gain would be enough.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np

from shipworthy.feasibility.seeds import Overlap, SeedError
from shipworthy.records import Conditions, Floats, Interval, Measurement, few_clusters

TAIL = 10
"""Resamples that must lie beyond an end of a percentile interval before the end is taken from them alone."""
RESAMPLES = 2000
"""Bootstrap draws a round for a ratio of percentiles; each is one draw from a beta distribution, so many are cheap."""


def paired_gain(
    challenger_resampled: Floats,
    baseline_resampled: Floats,
    challenger_score: float,
    baseline_score: float,
    *,
    greater_is_better: bool,
    confidence: float,
    n_rows: int = 0,
    n_clusters: int = 0,
) -> Interval:
    """Gain of the challenger with its paired percentile bootstrap interval (Efron and Tibshirani 1993, chapter 13).

    Where fewer than :data:`TAIL` resamples lie beyond an end, as at a confidence that was raised for many comparisons, that end
    is no nearer than that of the normal approximation with the bootstrap's standard error. Resamples of few clusters differ too
    little: of fewer than 50 no end is nearer than by :func:`~shipworthy.records.few_clusters` times as much.

    Parameters
    ----------
    challenger_resampled, baseline_resampled : ndarray, shape (n_resamples,)
        Scores on the same resamples of the test rows, in the same order. A resample without a score on either side (one
        class only, say) is ``nan`` and is left out of both; the interval's ``how`` counts them.
    challenger_score, baseline_score : float
        Scores on the test rows as they are.
    greater_is_better : bool
        If not, the sign is turned, so that a positive gain is always an improvement.
    confidence : float
    n_rows : int
        Number of test rows, for ``how``; 0 where it is not known.
    n_clusters : int
        What whole pieces were resampled: how many there are; 0 where it is not known.

    Returns
    -------
    Interval
        Its ends are ``nan`` where all test rows are of one cluster, for then nothing is known of another one.

    Raises
    ------
    ValueError
        If the two sides were not resampled alike.

    Examples
    --------
    >>> twin = np.linspace(0.7, 0.8, 200)
    >>> round(paired_gain(twin + 0.01, twin, 0.76, 0.75, greater_is_better=True, confidence=0.95).low, 6)
    0.01
    """
    if challenger_resampled.ndim != 1 or challenger_resampled.shape != baseline_resampled.shape:
        raise ValueError(
            f"challenger and baseline must be scored on the same resamples, not on {challenger_resampled.shape} "
            f"and {baseline_resampled.shape}"
        )
    _check_confidence(confidence)
    sign = 1.0 if greater_is_better else -1.0
    differences = sign * (challenger_resampled - baseline_resampled)
    usable = differences[np.isfinite(differences)]
    lost = differences.size - usable.size
    rows = f"{n_rows:,} test rows" if n_rows else "the test rows"
    how = f"paired bootstrap of {rows}, {usable.size:,} resamples" + (f" ({lost:,} without a score left out)" if lost else "")
    value = sign * (challenger_score - baseline_score)
    if n_clusters == 1:
        how = f"all of {rows} belong together, so nothing is known of others"
    if not usable.size or not math.isfinite(value) or n_clusters == 1:
        return Interval(value, math.nan, math.nan, confidence, how)
    low, high = (float(end) for end in np.quantile(usable, [(1 - confidence) / 2, (1 + confidence) / 2]))
    factor = few_clusters(n_clusters, confidence)
    if factor > 1 or usable.size * (1 - confidence) / 2 < TAIL - 1e-9:  # a share of resamples is no exact number
        half = normal_quantile((1 + confidence) / 2) * row_error(usable) * factor
        low, high = min(low, value - half), max(high, value + half)
        law = f"Student's t for the {n_clusters} pieces that they make" if factor > 1 else "the normal approximation's"
        how += f", ends no nearer than {law}"
    return Interval(value, low, high, confidence, how)


def row_error(differences: Floats) -> float:
    """Standard error of a gain that the chance in the test rows makes: the spread of its resamples; ``nan`` without two.

    Parameters
    ----------
    differences : ndarray, shape (n_resamples,)
        Gains on resamples; what is not finite is left out.
    """
    usable = differences[np.isfinite(differences)]
    return float(usable.std(ddof=1)) if usable.size > 1 else math.nan


def normal_quantile(probability: float) -> float:
    """Quantile of the standard normal distribution.

    Examples
    --------
    >>> round(normal_quantile(0.975), 3)
    1.96
    """
    return NormalDist().inv_cdf(probability)


def family_confidence(confidence: float, family: int) -> float:
    """Confidence of each of ``family`` intervals that makes all of them hold together with ``confidence`` (Bonferroni).

    Parameters
    ----------
    confidence : float
    family : int
        Comparisons that could end in "ship", at least 1. That an ensemble must beat two baselines adds none: a claim that needs
        both of two shown is an intersection-union test, whose error is no larger than that of either (Berger 1982).

    Notes
    -----
    Bonferroni and not Holm's step-down procedure, which would ship a little more often: so the interval that is printed is the
    interval that decides, and what one candidate is granted does not depend on how another fared.

    Raises
    ------
    ValueError
        If the confidence does not lie between 0 and 1, or the family is below 1.

    Examples
    --------
    >>> family_confidence(0.95, 1), round(family_confidence(0.95, 20), 6)
    (0.95, 0.9975)
    """
    _check_confidence(confidence)
    if family < 1:
        raise ValueError(f"a family has at least one comparison, not {family!r}")
    return confidence if family == 1 else 1 - (1 - confidence) / family


def corrected_resampled_t(differences: Floats, test_share: float, confidence: float) -> Interval:
    """Mean difference over repeated splits, allowing for the training rows that the splits share (Nadeau and Bengio 2003).

    The variance of the mean of ``k`` differences is taken as ``(1/k + n_test/n_train) * s**2``, with Student's t on ``k - 1``
    degrees of freedom. The naive ``s**2 / k`` would treat overlapping training sets as independent and be too sure.

    Parameters
    ----------
    differences : ndarray, shape (n_seeds,)
        Gain of each seed; positive is better.
    test_share : float
        ``n_test / n_train``.
    confidence : float

    Returns
    -------
    Interval

    Raises
    ------
    ValueError
        If there are fewer than two differences.
    """
    from scipy.stats import t

    _check_confidence(confidence)
    k = differences.size
    if k < 2:
        raise ValueError(f"the corrected resampled t needs at least two seeds, not {k}")
    if not test_share > 0:
        raise ValueError(f"test_share is n_test / n_train and must be above 0, not {test_share!r}")
    value = float(differences.mean())
    error = math.sqrt((1 / k + test_share) * float(differences.var(ddof=1)))
    half = float(t.ppf((1 + confidence) / 2, k - 1)) * error
    return Interval(
        value, value - half, value + half, confidence, f"corrected resampled t over {k} seeds (Nadeau and Bengio 2003)"
    )


def gain_interval(
    challenger_resampled: Sequence[Floats],
    baseline_resampled: Sequence[Floats],
    challenger_scores: Sequence[float],
    baseline_scores: Sequence[float],
    *,
    greater_is_better: bool,
    test_share: float,
    confidence: float,
    n_rows: int = 0,
    n_clusters: int = 0,
    overlap: Overlap | None = None,
) -> Interval:
    """Gain over all seeds, by the test that fits their number; ``how`` names the one that decided.

    One seed: :func:`paired_gain`. Several: the spread between seeds, corrected for the rows that they share as far as they do,
    and the bootstrap's error in as far as they share test rows (:mod:`~shipworthy.feasibility.seeds`). The spread alone would
    miss the chance in test rows that all seeds are tested on, as with a split by time. Of re-splits whose bootstrap shows no
    chance it is :func:`corrected_resampled_t`.

    Parameters
    ----------
    challenger_resampled, baseline_resampled : sequence of ndarray, shape (n_resamples,)
        One array a seed, in the same order of seeds.
    challenger_scores, baseline_scores : sequence of float
        One score a seed.
    greater_is_better : bool
    test_share : float
        ``n_test / n_train``; used with several seeds.
    confidence : float
    n_rows : int
        Test rows of a seed, for ``how``.
    n_clusters : int
        Of a seed's test rows, as for :func:`paired_gain`.
    overlap : Overlap, optional
        What several seeds have in common; left out, that of splits drawn anew from one set of rows.

    Returns
    -------
    Interval

    Raises
    ------
    ValueError
        If there is no seed, or the two sides have different seeds.
    """
    if (
        not challenger_scores
        or len({len(x) for x in (challenger_resampled, baseline_resampled, challenger_scores, baseline_scores)}) > 1
    ):
        raise ValueError("challenger and baseline need the same seeds, at least one")
    single = [
        paired_gain(
            c, b, cs, bs, greater_is_better=greater_is_better, confidence=confidence, n_rows=n_rows, n_clusters=n_clusters
        )
        for c, b, cs, bs in zip(challenger_resampled, baseline_resampled, challenger_scores, baseline_scores, strict=True)
    ]
    if len(single) == 1:
        return single[0]
    if n_clusters == 1:
        return replace(single[0], value=float(np.mean([g.value for g in single])))
    gains = np.array([g.value for g in single])
    errors = [row_error(c - b) for c, b in zip(challenger_resampled, baseline_resampled, strict=True)]
    known = [e * few_clusters(n_clusters, confidence) for e in errors if not math.isnan(e)]
    overlap = overlap or Overlap.of_resplits(test_share)
    error = SeedError.of(gains, float(np.mean(known)) if known else math.nan, test_share, overlap)
    half, value = float(error.half_width(confidence)), float(gains.mean())
    how = f"corrected resampled t over {len(single)} seeds (Nadeau and Bengio 2003)"
    if error.shared > 0:
        how += f", and the chance in the {overlap.test:.0%} of their test rows that they share, by a {single[0].how}"
    return Interval(value, value - half, value + half, confidence, how)


def ratio_interval(
    challenger: Measurement,
    baseline: Measurement,
    percentile: float,
    noise_floor: float,
    confidence: float,
    *,
    rng: np.random.Generator,
) -> Interval:
    """How many times the baseline's percentile the challenger's is.

    The value is the ratio of the two percentiles over all rounds, so that whoever divides the figures of a table gets it too.
    The interval comes from pairs: it unites the bootstrap intervals of the ratio within each interleaved round and the value,
    and is then widened by the noise floor, so it does not narrow because rounds agree.

    Parameters
    ----------
    challenger, baseline : Measurement
        The same quantity, scenario and batch size, under comparable conditions.
    percentile : float
        Between 0 and 100.
    noise_floor : float
        At least 1, infinite if unknown: the factor by which a candidate differed from itself in fresh children. The interval is
        divided and multiplied by it.
    confidence : float
    rng : numpy.random.Generator

    Returns
    -------
    Interval
        All ``nan`` if either side has no values, or values that no ratio can be taken of; ``how`` says why.

    Raises
    ------
    ValueError
        If the two may not be compared (what differs is named), or the noise floor is below 1.
    """
    _check_confidence(confidence)
    if not noise_floor >= 1:
        raise ValueError(f"noise_floor is a factor of at least 1, not {noise_floor!r}")
    for side in (challenger, baseline):
        if not side.values:
            why = side.failure or "it has no values"
            return Interval(
                math.nan, math.nan, math.nan, confidence, f"{side.quantity} of {side.candidate} was not measured: {why}"
            )
        if not all(0 < v < math.inf for v in side.values):
            how = f"{side.quantity} of {side.candidate} has values that are missing or not above 0, so there is no ratio"
            return Interval(math.nan, math.nan, math.nan, confidence, how)
    if differing := _differences(challenger, baseline):
        raise ValueError(f"{challenger.candidate} and {baseline.candidate} may not be compared: {differing} differ")
    common = sorted(set(challenger.round_index) & set(baseline.round_index))
    if not common:
        raise ValueError(f"{challenger.candidate} and {baseline.candidate} have no round in common")
    value = challenger.percentile(percentile) / baseline.percentile(percentile)
    lows, highs = [math.log(value)], [math.log(value)]
    for index in common:
        ours, theirs = (_log_round(m, index) for m in (challenger, baseline))
        seen = _nearest_rank(ours, percentile) - _nearest_rank(theirs, percentile)
        drawn = _resampled_percentile(ours, percentile, rng) - _resampled_percentile(theirs, percentile, rng)
        low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
        lows.append(min(float(low), seen))
        highs.append(max(float(high), seen))
    how = (
        f"ratio of p{percentile:g}; bootstrap intervals of the ratio within each of {len(common)} interleaved rounds, united "
        f"and widened by the noise floor of {noise_floor:.3g}"
    )
    low, high = min(value, math.exp(min(lows))), max(value, math.exp(max(highs)))
    return Interval(value, low / noise_floor, high * noise_floor, confidence, how)


def round_ratios(challenger: Measurement, baseline: Measurement, percentile: float) -> tuple[float, ...]:
    """The ratio of the two percentiles within each round that both were measured in."""
    common = sorted(set(challenger.round_index) & set(baseline.round_index))
    sides = [[_nearest_rank(_log_round(m, r), percentile) for r in common] for m in (challenger, baseline)]
    return tuple(math.exp(ours - theirs) for ours, theirs in zip(*sides, strict=True))


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence!r}")


def _differences(one: Measurement, other: Measurement) -> str:
    """The names of what keeps two measurements from being compared, or an empty string."""
    differing = ["quantity"] * (one.quantity != other.quantity) + ["dataset"] * (one.dataset != other.dataset)
    compared = ["scenario", "batch_size", "garbage_collector"]
    if not one.conditions.comparable(other.conditions):
        compared += ["machine", "versions", "threads", "profile"]
    differing += [name for name in compared if _field(one.conditions, name) != _field(other.conditions, name)]
    return ", ".join(differing)


def _field(conditions: Conditions, name: str) -> object:
    value: object = getattr(conditions, name)
    return value


def _log_round(measurement: Measurement, index: int) -> Floats:
    """Sorted logarithms of one round's values."""
    return np.sort(np.log([v for v, r in zip(measurement.values, measurement.round_index, strict=True) if r == index]))


def _rank(n: int, percentile: float) -> int:
    """Zero-based nearest rank, as in ``Measurement.percentile``."""
    return max(0, math.ceil(percentile / 100 * n) - 1)


def _nearest_rank(ordered: Floats, percentile: float) -> float:
    return float(ordered[_rank(ordered.size, percentile)])


def _resampled_percentile(ordered: Floats, percentile: float, rng: np.random.Generator) -> Floats:
    """The percentile of bootstrap resamples, drawn without drawing the resamples.

    A resample takes the values at ``floor(n * U)`` for ``n`` uniform ``U``; its order statistic of rank ``k`` (from 1) is
    therefore the value at ``floor(n * U_(k))``, and ``U_(k)`` has a Beta(k, n - k + 1) distribution.
    """
    n = ordered.size
    k = _rank(n, percentile) + 1
    at = (n * rng.beta(k, n - k + 1, RESAMPLES)).astype(np.int64)
    resampled: Floats = ordered[np.minimum(at, n - 1)]
    return resampled
