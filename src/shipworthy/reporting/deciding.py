"""Each verdict in one line: the candidate, the answer, and the one reason that decided.

The answer is taken as it was given. Of everything that a verdict rests on, the reason is that which the answer would not stand
without: a missed requirement before a gain, a gain before a cost.

This module does *not* know how an answer is found.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import replace

from shipworthy.records import Comparison, Interval, Study, Verdict
from shipworthy.reporting.wording import label, rounded


def study_at(study: Study, level: str) -> Study:
    """The study as it is judged at a level of what is swept: what is declared there has its value.

    Parameters
    ----------
    study : Study
    level : str
        As in a verdict; one that the study does not sweep leaves it as it is.

    Returns
    -------
    Study
    """
    for values in itertools.product(*study.sweep.values()):
        if study.sweep and level == "; ".join(map(str, values)):
            chosen = dict(zip(study.sweep, values, strict=True))
            return replace(
                study,
                smallest_useful_gain=chosen.get("smallest_useful_gain", study.smallest_useful_gain),
                largest_latency_ratio=chosen.get("largest_latency_ratio", study.largest_latency_ratio),
                largest_memory_ratio=chosen.get("largest_memory_ratio", study.largest_memory_ratio),
            )
    return study


def sentences_of(reason: str) -> list[str]:
    """The sentences of a reason; a point within a number or a name ends none.

    Examples
    --------
    >>> sentences_of("It gains 0.5 over v1.2. About 20 more rows would tell.")
    ['It gains 0.5 over v1.2.', 'About 20 more rows would tell.']
    """
    return re.split(r"(?<=\.)\s+(?=[A-Z])", reason)


def nearest(comparisons: tuple[Comparison, ...]) -> Comparison | None:
    """The comparison that decides on the gain: both baselines must be beaten, so that over which least is gained."""
    known = [c for c in comparisons if not math.isnan(c.gain.low)]
    return min(known, key=lambda c: (c.gain.high, c.gain.value), default=None)


def gain_words(comparison: Comparison) -> str:
    """A gain or a loss with its interval."""
    gain = comparison.gain
    if gain.value == gain.low == gain.high == 0:
        return f"gains nothing: on every resample it scores as {comparison.baseline} does"
    verb, joint = ("gains", "over") if gain.value >= 0 else ("loses", "to")
    text = f"{verb} {abs(gain.value):.4f} {label(comparison.metric)} {joint} {comparison.baseline}"
    return f"{text} ({gain.low:+.4f} to {gain.high:+.4f})" if not math.isnan(gain.low) else f"{text} (no interval)"


def deciding_reason(verdict: Verdict, study: Study) -> str:
    """The one reason that decided a verdict, as a clause without its full stop.

    Parameters
    ----------
    verdict : Verdict
    study : Study
        Declares the smallest useful gain and the largest tolerable costs.

    Returns
    -------
    str
        Where the parts of the verdict do not show it, as where something was left out, the sentence that does.
    """
    declared = study_at(study, verdict.level)
    reasons = {"ship": _shipping, "do not ship": _barring, "cannot tell": _open}[verdict.answer]
    found = next(reasons(verdict, declared), "")
    if found:
        return found
    sentences = sentences_of(verdict.reason)
    doubt = next((s for s in sentences if s.startswith("But ")), sentences[0])
    return doubt.removeprefix("But ").removesuffix(".")


def _shipping(verdict: Verdict, study: Study) -> Iterator[str]:
    decides = nearest(verdict.comparisons)
    if decides is not None:
        hard = sum(r.hard for r in verdict.requirements)
        kept = (
            "" if not hard else ", and it meets the one requirement" if hard == 1 else f", and it meets all {hard} requirements"
        )
        yield f"{gain_words(decides)}, at least the useful {study.smallest_useful_gain:g}{kept}"


def _barring(verdict: Verdict, study: Study) -> Iterator[str]:
    missed = [r for r in verdict.requirements if r.hard and r.outcome == "missed"]
    if missed:
        worst = max(missed, key=lambda r: r.times_off if math.isfinite(r.times_off) else 0.0)
        others = [r.requirement for r in missed if r is not worst]
        also = f"; it also misses {', '.join(map(repr, others))}" if others else ""
        yield f"misses {worst.requirement!r}: {worst.reason}{also}"
    decides = nearest(verdict.comparisons)
    if decides is not None and decides.gain.high < study.smallest_useful_gain:
        nothing = decides.gain.low == decides.gain.high == 0
        yield gain_words(decides) + ("" if nothing else f", below the useful {study.smallest_useful_gain:g}")
    for comparison, ratio, what, limit in _costs(verdict, study):
        if ratio.low > limit:
            yield f"takes {_times(ratio)} the {what} of {comparison.baseline}, over the largest tolerable {limit:g} times"


def _open(verdict: Verdict, study: Study) -> Iterator[str]:
    margin = study.smallest_useful_gain
    unknown = [c for c in verdict.comparisons if math.isnan(c.gain.low)]
    decides = nearest(verdict.comparisons)
    if unknown:
        yield f"its gain over {unknown[0].baseline} has no interval: {unknown[0].gain.how}"
    if decides is not None and decides.gain.low < margin:
        yield f"{gain_words(decides)}: whether it gains {margin:g} is open"
    for comparison, ratio, what, limit in _costs(verdict, study):
        if math.isnan(ratio.value):
            yield f"whether it keeps to {limit:g} times the {what} of {comparison.baseline} is not known: {ratio.how}"
        elif not ratio.high <= limit:
            yield (
                f"{_times(ratio)} the {what} of {comparison.baseline} cannot be told from the largest tolerable {limit:g} times"
            )
    for r in verdict.requirements:
        if r.hard and r.outcome == "undecided":
            yield f"undecided is {r.requirement!r}: {r.reason}"


def _costs(verdict: Verdict, study: Study) -> Iterator[tuple[Comparison, Interval, str, float]]:
    """Each ratio of costs for which a largest tolerable one is declared, with that limit."""
    for c in verdict.comparisons:
        if study.largest_latency_ratio is not None:
            yield c, c.latency_ratio, "p99 latency", study.largest_latency_ratio
        if study.largest_memory_ratio is not None:
            yield c, c.memory_ratio, "memory", study.largest_memory_ratio


def _times(ratio: Interval) -> str:
    value, low, high = rounded(ratio.value, ratio.low, ratio.high)
    return (
        f"{value} times ({low} to {high})" if math.isfinite(ratio.low) and math.isfinite(ratio.high) else f"about {value} times"
    )


def verdict_line(verdict: Verdict, study: Study) -> str:
    """A verdict in one line, for a terminal.

    Parameters
    ----------
    verdict : Verdict
    study : Study

    Returns
    -------
    str
    """
    level = f" ({verdict.level})" if verdict.level else ""
    return f"{verdict.answer.upper():<12} {verdict.candidate} on {verdict.dataset}{level}: {deciding_reason(verdict, study)}"
