"""The verdicts in words: one sentence for each thing that they rest on.

This module does *not* know the answer: it is given what was found, and says it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from shipworthy.feasibility.power import Needed
from shipworthy.records import QUANTITIES, Comparison, Interval, Kind, RequirementVerdict, Study

Cost = Literal["latency", "memory"]
COST_WORDS: dict[Cost, str] = {"latency": "p99 latency", "memory": "memory"}


def gain_sentence(c: Comparison, margin: float) -> str:
    """A comparison in words: the gain, how it stands to the smallest useful one, and what it costs."""
    gain, metric = c.gain, QUANTITIES[c.metric].label
    baseline = f"{c.baseline}, the {c.baseline_role}{' model' if c.baseline_role == 'best single' else ''}"
    if math.isnan(gain.low):
        return f"Its gain in {metric} over {baseline} has no interval ({gain.how})."
    costs = [words for words in (times(c.latency_ratio, "p99 latency"), times(c.memory_ratio, "memory")) if words]
    at = f", at {' and '.join(costs)}" if costs else ""
    if gain.value == gain.low == gain.high == 0:
        # An ensemble that chose one member is that member: no interval is needed to say so.
        return f"It gains nothing: on every resample of the test rows it scores exactly as {baseline}{at}."
    side = "at or above" if gain.low >= margin else "below" if gain.high < margin else "around"
    text = f"It gains {gain.value:.4f} {metric} over" if gain.value >= 0 else f"It loses {-gain.value:.4f} {metric} to"
    text += f" {baseline} ({gain.low:+.4f} to {gain.high:+.4f}, {side} the smallest useful {margin:g})"
    return f"{text}{at}."


def rival_sentence(candidate: str, kind: Kind, its: float, score: float, metric: str) -> str:
    """That a candidate which was not the best out of fold is better on test rows than an ensemble that would else ship."""
    what = "single model" if kind == "single" else "tree ensemble"
    return (
        f"But {candidate}, a {what} that others beat out of fold, scores better than it on test rows ({its:.4f} against "
        f"{score:.4f} {QUANTITIES[metric].label}): more folds, training rows or seeds would tell which baseline it has to beat."
    )


def dear_sentence(c: Comparison, cost: Cost, ratio: Interval, limit: float) -> str:
    """That a cost is shown to be more than the largest tolerable one."""
    what = COST_WORDS[cost]
    return f"{_sized(ratio)} times the {what} of {c.baseline} is more than the largest tolerable {limit:g} times."


def unsure_cost_sentence(c: Comparison, cost: Cost, ratio: Interval, limit: float, needed: Needed | None) -> str:
    """That a cost cannot be told from the largest tolerable one, and what would tell."""
    what = f"{COST_WORDS[cost]} of {c.baseline}"
    if math.isnan(ratio.value):
        return f"Whether it keeps to {limit:g} times the {what} is not known ({ratio.how})."
    text = f"{_sized(ratio)} times the {what} cannot be told from the largest tolerable {limit:g} times"
    if needed is None:
        return f"{text}, as the noise is not known; two or more rounds would tell it."
    if math.isinf(needed.more):
        return f"{text}: that is within what rounds differ by anyway, so no number of {needed.things} would tell."
    return f"{text}. If it stays as it is, about {about(needed.more)} more {needed.things} (now {needed.now:,}) would tell."


def _sized(ratio: Interval) -> str:
    """A ratio with its ends, to begin a sentence."""
    known = math.isfinite(ratio.low) and math.isfinite(ratio.high)
    half = (ratio.high - ratio.low) / 2 if known else 0.0
    if not known:
        return f"About {_rounded(ratio.value, ratio.value, half)}"
    value, low, high = (_rounded(x, ratio.value, half) for x in (ratio.value, ratio.low, ratio.high))
    return f"About {value} ({low} to {high})"


def needed_sentence(c: Comparison, needed: Needed | None) -> str:
    """What would narrow the interval enough if the gain stays as it is: test rows or seeds, by what set its near end."""
    over = f"over {c.baseline}"
    if needed is None:
        return f"Scores on more test rows would be needed {over}."
    more, now = needed.more, needed.now
    if needed.things == "seeds":
        if math.isinf(more):
            return (
                f"No number of seeds would tell {over}, as their training rows overlap: the gain is too near to the smallest "
                "useful gain for how much it differs from seed to seed. A larger data set might tell."
            )
        return f"If the gain stays as it is, about {more:,.0f} more seed{'s' if more > 1 else ''} (now {now}) would tell {over}."
    if math.isinf(more):
        return f"The gain {over} is so near to the smallest useful gain that no realistic number of test rows would tell."
    if not now:
        return f"If the gain stays as it is, about {max(more, 1):.1f} times as many test rows would tell {over}."
    return f"If the gain stays as it is, about {about(more)} more test rows (now {now:,}) would tell {over}."


def power_sentence(comparisons: Sequence[Comparison], margin: float) -> str:
    """How likely a gain of twice the smallest useful one would have been shown; empty if that is not known."""
    known = [c for c in comparisons if not math.isnan(c.power)]
    if not known:
        return ""
    each = " and ".join(f"{_percent(c.power)} over {c.baseline}" for c in known)
    return f"A true gain of {2 * margin:g}, twice the smallest useful one, would have been shown with a power of about {each}."


def bayes_sentence(comparisons: Sequence[Comparison]) -> str:
    """What the Bayesian correlated t-test says, where there is one; it decides nothing."""
    said = [
        f"over {c.baseline} worse {_percent(e.worse)}, practically equivalent {_percent(e.equivalent)}, "
        f"better {_percent(e.better)}"
        for c in comparisons
        if not math.isnan((e := c.equivalence).worse)
    ]
    return f"Beside it, not deciding, the Bayesian correlated t-test: {'; '.join(said)}." if said else ""


def weighted_sentence(requirements: Sequence[RequirementVerdict], score: float) -> str:
    """How the weighted requirements came out; empty if there are none."""
    weighted = [r for r in requirements if not r.hard]
    if not weighted:
        return ""
    kept = [r for r in weighted if r.outcome == "met"]
    others = ", ".join(f"{r.requirement!r} is {r.outcome}" for r in weighted if r.outcome != "met")
    plural = "s" if len(weighted) > 1 else ""
    text = f"Of {len(weighted)} weighted requirement{plural} it meets {len(kept)}, by weight {_percent(score)}"
    return f"{text} ({others})." if others else f"{text}."


def missed_sentence(r: RequirementVerdict) -> str:
    """That a hard requirement is missed: why, by how much, and the cheapest known change."""
    off = f" That is {factor(r.times_off)} times the limit." if r.times_off > 1 and math.isfinite(r.times_off) else ""
    change = f" Cheapest known change: {r.change}." if r.change else ""
    return f"It misses {r.requirement!r}: {r.reason}.{off}{change}"


def about(count: float) -> str:
    """A count that is reckoned from an estimate, up to two digits: that many or a little more.

    Examples
    --------
    >>> about(7), about(99), about(495), about(357_743)
    ('7', '99', '500', '360,000')
    """
    step = 10 ** max(0, math.floor(math.log10(max(count, 1))) - 1)
    return f"{math.ceil(count / step) * step:,}"


def factor(value: float) -> str:
    """How far off, to two digits, never rounded down to 1.

    Examples
    --------
    >>> factor(1.004), factor(1.6), factor(23.4), factor(123.4)
    ('1.01', '1.6', '23', '123')
    """
    if value < 1.05:
        return f"{max(1.01, math.ceil(value * 100) / 100):g}"
    return f"{value:.2g}" if value < 100 else f"{value:,.0f}"


def deciding_words(n_seeds: int, confidence: float, family: int, study: Study, n_pieces: int = 0) -> str:
    """The one test that decides on the gain, named, with its confidence, and with the number of pieces where they are few."""
    test = "paired bootstrap on the test rows" if n_seeds == 1 else "corrected resampled t (Nadeau and Bengio 2003)"
    test += f" (which make only {n_pieces} pieces that belong together, such as groups or days)" if n_pieces else ""
    whole = f": {100 * study.confidence:g} % over {family} comparisons that could ship (Bonferroni)" if family > 1 else ""
    return f"{test}, at {100 * confidence:.4g} %{whole}"


def _percent(share: float) -> str:
    """A probability in percent, without a certainty that nobody has.

    Examples
    --------
    >>> _percent(0.128), _percent(0.9999), _percent(0.00001)
    ('13 %', 'over 99 %', 'under 1 %')
    """
    if 0 < share < 0.005:
        return "under 1 %"
    return "over 99 %" if 0.995 < share < 1 else f"{100 * share:.0f} %"


def times(ratio: Interval, what: str) -> str:
    """A ratio in words, with no more digits than its interval allows; it says so where it does not tell the two apart."""
    if math.isnan(ratio.value):
        return ""
    if math.isinf(ratio.high) or math.isnan(ratio.low) or math.isnan(ratio.high):
        return f"about {_rounded(ratio.value, ratio.value, 0.0)} times the {what} (measured once, so the noise is not known)"
    half = (ratio.high - ratio.low) / 2
    value, low, high = (_rounded(x, ratio.value, half) for x in (ratio.value, ratio.low, ratio.high))
    apart = "" if ratio.low > 1 or ratio.high < 1 else ", not told apart from equal"
    return f"about {value} times the {what} ({low} to {high}{apart})"


def _rounded(number: float, value: float, half: float) -> str:
    """A positive number to the place of the leading digit of the half-width: at most three digits of the value, at least one.

    Examples
    --------
    >>> [_rounded(x, 7.83, 4.2) for x in (7.83, 0.31, 12.4)], _rounded(1.309, 1.309, 0.011), _rounded(783.0, 783.0, 90.0)
    (['8', '0.3', '12'], '1.31', '780')
    """
    size = math.floor(math.log10(value))
    place = max(size - 2, min(size, math.floor(math.log10(half)) if half > 0 else size - 1))
    place = min(place, math.floor(math.log10(number)))
    return f"{round(number, -place):,.{max(0, -place)}f}"
