"""How far to go in size: what each step from one size to the next gains, what it costs, and from where on it is not worth it.

A size is a number of trees or of members. Three answers, each a sentence: what the rows have shown of the smallest useful gain;
what a thousandth of the metric costs at each step; and, where somebody has said what it is worth, the size at which the next
thousandth costs more.

This module does *not* know what is being counted, or how an accuracy or a cost was measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shipworthy.feasibility.statistics import family_confidence, paired_gain
from shipworthy.records import QUANTITIES, Floats, InputError, Interval

THOUSANDTH = 0.001
DOLLAR = 1.0
"""A step that costs less a month is as good as free (USD)."""


@dataclass(frozen=True, slots=True)
class SizeStep:
    """From one size to the next larger one.

    Parameters
    ----------
    start, end : int
    gain : Interval
        What the step gains on test rows, paired; positive is better.
    best : int
        The larger size that is best out of fold.
    left : Interval
        What going all the way from ``start`` to ``best`` gains on test rows.
    """

    start: int
    end: int
    gain: Interval
    best: int
    left: Interval


@dataclass(frozen=True, slots=True)
class Enough:
    """How far a useful gain goes.

    Parameters
    ----------
    shown_to : int or None
        The end of the last step that is shown to gain the smallest useful gain.
    enough_from : int or None
        The size from which on all that is left is shown to be less.
    sentence : str
    """

    shown_to: int | None
    enough_from: int | None
    sentence: str


@dataclass(frozen=True, slots=True)
class SizePrice:
    """What a step costs in a month, and what a thousandth of the metric then costs; estimates.

    Parameters
    ----------
    start, end : int
    extra_usd_month : Interval
        What the larger size costs more, to serve, to wait for and to retrain.
    usd_per_thousandth : float
        For each thousandth that the step gained on test rows; infinite where it gained none.
    at_least_usd : float
        The same if the step gains as much as the high end of its interval; infinite where even that is nothing.
    net_usd_month : Interval
        What is left after the costs, where the worth of a thousandth was said; ``nan`` otherwise.
    """

    start: int
    end: int
    extra_usd_month: Interval
    usd_per_thousandth: float
    at_least_usd: float
    net_usd_month: Interval


def size_steps(
    sizes: Sequence[int],
    oof: Sequence[float],
    test: Sequence[float],
    resampled: Floats,
    *,
    greater_is_better: bool,
    confidence: float,
    n_rows: int = 0,
) -> tuple[SizeStep, ...]:
    """What each step to the next size gains on test rows, and what all later ones together would.

    Parameters
    ----------
    sizes : sequence of int
        Ascending, at least two.
    oof, test : sequence of float
        The metric at each size. Sizes are compared with the one that is best *out of fold*, so that no test row chooses it.
    resampled : ndarray of float64, shape (n_sizes, n_resamples)
        The metric at each size on the same resamples of the test rows.
    greater_is_better : bool
    confidence : float
        Of all intervals together: each is made wider for the number of steps (Bonferroni).
    n_rows : int
        Test rows, for ``how``.

    Returns
    -------
    tuple of SizeStep

    Raises
    ------
    InputError
        If there are fewer than two sizes, or they do not ascend.
    """
    if len(sizes) < 2 or list(sizes) != sorted(set(sizes)):
        raise InputError(f"sizes must be at least two, ascending, not {list(sizes)}: there is no step otherwise")
    each = family_confidence(confidence, 2 * (len(sizes) - 1))

    def gain(larger: int, smaller: int) -> Interval:
        return paired_gain(
            resampled[larger],
            resampled[smaller],
            test[larger],
            test[smaller],
            greater_is_better=greater_is_better,
            confidence=each,
            n_rows=n_rows,
        )

    good = np.array(oof) if greater_is_better else -np.array(oof)
    steps = []
    for i in range(len(sizes) - 1):
        best = i + 1 + int(good[i + 1 :].argmax())
        steps.append(SizeStep(sizes[i], sizes[i + 1], gain(i + 1, i), sizes[best], gain(best, i)))
    return tuple(steps)


def enough(steps: Sequence[SizeStep], useful: float, *, metric: str, what: str) -> Enough:
    """Up to where steps are shown to gain something useful, and from where on all the rest is shown not to.

    Parameters
    ----------
    steps : sequence of SizeStep
    useful : float
        The smallest gain that somebody would notice, in the metric.
    metric, what : str
        For the sentence: a quantity's name, and what is counted, in the plural.

    Returns
    -------
    Enough

    Examples
    --------
    >>> sure = Interval(0.02, 0.01, 0.03, 0.95, "by hand")
    >>> none = Interval(0.0, -0.0002, 0.0002, 0.95, "by hand")
    >>> steps = [SizeStep(1, 10, sure, 100, sure), SizeStep(10, 100, none, 100, none)]
    >>> print(enough(steps, 0.001, metric="log_loss", what="trees").sentence)
    Steps are shown to gain 0.001 log loss up to 10 trees; from 10 trees on, all that is left to gain is shown to be less.
    """
    label = QUANTITIES[metric].label
    shown = [s.end for s in steps if s.gain.low >= useful]
    small = [s.left.high < useful for s in steps]
    from_here = [s.start for i, s in enumerate(steps) if all(small[i:])]
    shown_to, enough_from = (max(shown) if shown else None), (min(from_here) if from_here else None)
    if shown_to == steps[-1].end:
        last = f"The step to {counted(shown_to, what)}, the most that were looked at, is still shown to gain {useful:g} {label}."
        return Enough(shown_to, enough_from, last)
    first = f"No step is shown to gain {useful:g} {label}"
    if shown_to:
        first = f"Steps are shown to gain {useful:g} {label} up to {counted(shown_to, what)}"
    if enough_from:
        rest = f"from {counted(enough_from, what)} on, all that is left to gain is shown to be less"
        if shown_to and shown_to < enough_from:
            rest += "; in between, the rows cannot tell"
    else:
        rest = f"beyond {counted(shown_to or steps[0].start, what)} these rows cannot tell whether as much is left to gain"
    return Enough(shown_to, enough_from, f"{first}; {rest}.")


def size_prices(
    steps: Sequence[SizeStep],
    costs: Floats,
    drawn_costs: Floats,
    *,
    worth: Floats | None = None,
    drawn_worth: Floats | None = None,
    confidence: float,
) -> tuple[SizePrice, ...]:
    """What each step costs in a month, what a thousandth of the metric costs there, and what is left of its worth.

    Parameters
    ----------
    steps : sequence of SizeStep
        Of all sizes, ascending.
    costs : ndarray of float64, shape (n_sizes,)
        What each size costs in a month (USD), at expected values.
    drawn_costs : ndarray of float64, shape (n_sizes, n_draws)
        The same, drawn together.
    worth, drawn_worth : ndarray of float64, of the same shapes, optional
        What each size is worth in a month; left out where nobody said.
    confidence : float

    Returns
    -------
    tuple of SizePrice
    """
    how = f"{drawn_costs.shape[1]:,} draws; an estimate"
    unknown = Interval(math.nan, math.nan, math.nan, confidence, "nobody said what a gain is worth")
    out = []
    for i, step in enumerate(steps):
        extra = float(costs[i + 1] - costs[i])
        drawn = drawn_costs[i + 1] - drawn_costs[i]
        net = unknown
        if worth is not None and drawn_worth is not None:
            more = float(worth[i + 1] - worth[i])
            net = _central(more - extra, drawn_worth[i + 1] - drawn_worth[i] - drawn, confidence, how)
        each, least = (_per_thousandth(extra, gain) for gain in (step.gain.value, step.gain.high))
        out.append(SizePrice(step.start, step.end, _central(extra, drawn, confidence, how), each, least, net))
    return tuple(out)


def price_sentence(prices: Sequence[SizePrice], *, metric: str, what: str, at: int, worth: str = "") -> str:
    """Where the next thousandth costs more than it is worth; or, where nobody said what it is worth, what it costs.

    Parameters
    ----------
    prices : sequence of SizePrice
    metric, what : str
        As in :func:`enough`.
    at : int
        Where nobody said what a gain is worth: the size from which on the first step that costs anything is priced.
    worth : str
        How the worth was said, as the beginning of a sentence; empty where it was not.

    Returns
    -------
    str

    Examples
    --------
    >>> extra, none = Interval(30.0, 30.0, 30.0, 0.95, ""), Interval(math.nan, math.nan, math.nan, 0.95, "")
    >>> price_sentence([SizePrice(10, 20, extra, 60.0, 15.0, none)], metric="log_loss", what="trees", at=10)
    'Going from 10 to 20 trees costs an estimated 30.00 USD more a month: 15.00 USD or more for each 0.001 of log loss.'
    """
    label = QUANTITIES[metric].label
    if not worth:
        step = next((p for p in prices if p.start >= at and p.extra_usd_month.value >= DOLLAR), None)
        if step is None:
            return f"Beyond {counted(at, what)} no step costs an estimated dollar more a month, so no price stops it."
        extra = _usd(step.extra_usd_month.value)
        text = f"Going from {step.start:,} to {counted(step.end, what)} costs an estimated {extra} more a month"
        if math.isinf(step.at_least_usd):
            return f"{text}, and gains nothing for it."
        return f"{text}: {_usd(step.at_least_usd)} or more for each 0.001 of {label}."
    pays = [p.end for p in prices if p.net_usd_month.low > 0]
    fails = [all(q.net_usd_month.high < 0 for q in prices[i:]) for i in range(len(prices))]
    first = next((p.start for p, failed in zip(prices, fails, strict=True) if failed), None)
    shown = f"going on is shown to pay up to {counted(max(pays), what)}" if pays else "no step is shown to pay"
    if first is not None:
        return f"{worth}, {shown}, and from {counted(first, what)} on the next 0.001 costs more than it is worth: an estimate."
    return f"{worth}, {shown}; from where on it no longer pays cannot be told: an estimate."


def counted(n: int, what: str) -> str:
    """A number of things that are named in the plural.

    Examples
    --------
    >>> counted(1, "trees"), counted(2000, "trees")
    ('1 tree', '2,000 trees')
    """
    return f"{n:,} {what.removesuffix('s') if n == 1 else what}"


def _per_thousandth(extra: float, gain: float) -> float:
    """What a thousandth costs where so much is gained."""
    if gain <= 0:
        return math.inf if extra >= 0 else math.nan
    return extra / (gain / THOUSANDTH)


def _central(value: float, drawn: Floats, confidence: float, how: str) -> Interval:
    low, high = (float(x) for x in np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2]))
    return Interval(value, min(low, value), max(high, value), confidence, how)


def _usd(amount: float) -> str:
    """Dollars, with cents where they count."""
    if 0 < amount < 0.005:
        return "less than a cent"
    return f"{amount:,.2f} USD" if abs(amount) < 100 else f"{amount:,.0f} USD"
