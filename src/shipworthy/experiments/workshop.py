"""Checks for the workshop's exercises: a wrong attempt is answered with a hint, never with the answer.

This module does *not* know how an exercise is derived from its solution.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from shipworthy.records import Conditions, Measurement

ASKED_TOGETHER = 100
"""Answers that the page of the exercise needs."""


class NotYetError(AssertionError):
    """An exercise that is not solved yet; the message is a hint. A notebook shows the hint alone, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        """What IPython prints in place of a traceback."""
        return [f"Not yet. {self}"]


def _number(answer: Any) -> float:
    """The attempt as a number, or the hint that it is none."""
    if answer is ...:
        raise NotYetError("Replace the three dots by your answer, and run the cell again.")
    try:
        number = float(answer)
    except (TypeError, ValueError):
        raise NotYetError(f"The answer is one number, not {type(answer).__name__}.") from None
    if not math.isfinite(number):
        raise NotYetError("The answer is a finite number. Is something divided by zero?")
    return number


def _same(number: float, other: float) -> bool:
    return math.isclose(number, other, rel_tol=1e-3, abs_tol=1e-9)


def _same_share(number: float, other: float) -> bool:
    """Whether two shares are the same to two decimals, as a person would round: 1 %, or 0.005, whichever is more."""
    # The last digits of a sum of floats must not refuse 0.635 for 0.64.
    return math.isclose(number, other, rel_tol=0.01, abs_tol=0.005 + 1e-9)


def _check(
    answer: Any,
    expected: float,
    hints: Sequence[tuple[Callable[[float], bool], str]],
    right: str,
    same: Callable[[float, float], bool] = _same,
) -> str:
    number = _number(answer)
    if same(number, expected):
        return f"Right. {right}"
    for applies, hint in hints:
        if applies(number):
            raise NotYetError(hint)
    raise NotYetError(f"{number:g} is {'too small' if number < expected else 'too large'}.")


def _near(value: float, same: Callable[[float, float], bool] = _same) -> Callable[[float], bool]:
    return lambda number: same(number, value)


def _as_measurement(waits_ms: Sequence[float]) -> Measurement:
    here = Conditions("exercise", "", 1, "single_stream", 1, 0, 0, "on", "full", "no", math.nan)
    return Measurement("exercise", "exercise", "latency_ms", tuple(float(w) for w in waits_ms), (0,) * len(waits_ms), here)


def check_share_slower_than_mean(answer: Any, waits_ms: Sequence[float]) -> str:
    """Check which share of the requests waited longer than the mean.

    Parameters
    ----------
    answer : any
        The attempt; a number between 0 and 1.
    waits_ms : sequence of float
        Milliseconds.

    Returns
    -------
    str
        That it is right, and what to make of it.

    Raises
    ------
    NotYetError
        With a hint.

    Examples
    --------
    >>> check_share_slower_than_mean(0.1, [100, 102, 100, 100, 99, 104, 110, 90, 3000, 95])
    'Right. The mean describes nobody: 9 of 10 requests were faster, and the rest far slower.'
    """
    waits = [float(w) for w in waits_ms]
    mean = sum(waits) / len(waits)
    slower = sum(w > mean for w in waits)
    hints = (
        (_near(1 - slower / len(waits), _same_share), "That is the share that was faster. Which way does your comparison point?"),
        (_near(slower), "That is a count. A share is a count divided by how many there are."),
        (_near(100 * slower / len(waits), _same_share), "That is in percent. Give a share between 0 and 1."),
        (lambda n: not 0 <= n <= 1, "A share lies between 0 and 1."),
    )
    faster = len(waits) - slower
    right = f"The mean describes nobody: {faster} of {len(waits)} requests were faster, and the rest far slower."
    return _check(answer, slower / len(waits), hints, right, _same_share)


def check_p90(answer: Any, waits_ms: Sequence[float]) -> str:
    """Check the 90th percentile by nearest rank: a wait that somebody really had.

    Parameters
    ----------
    answer : any
        The attempt, in milliseconds.
    waits_ms : sequence of float

    Returns
    -------
    str

    Raises
    ------
    NotYetError
        With a hint.
    """
    import numpy as np

    measured = _as_measurement(waits_ms)
    hints = (
        (_near(max(waits_ms)), "That is the slowest of all. Nine in ten must not exceed the p90; one may."),
        (
            _near(float(np.percentile(waits_ms, 90))),
            "That lies between two waits: nobody had it. NumPy interpolates; ask it for method='inverted_cdf'.",
        ),
        (_near(measured.percentile(10)), "That is the p10. Did you sort from slow to fast?"),
        (_near(sorted(waits_ms)[-3]), "One place too low: counting starts at 0 in Python, ranks start at 1."),
    )
    return _check(
        answer, measured.percentile(90), hints, "Nine in ten waited no longer than this, and somebody waited just this."
    )


def check_page_meets_tail(answer: Any) -> str:
    """Check how likely a page that needs a hundred answers is to meet at least one of the slowest in a hundred.

    Parameters
    ----------
    answer : any
        The attempt; a probability.

    Returns
    -------
    str

    Raises
    ------
    NotYetError
        With a hint.

    Examples
    --------
    >>> check_page_meets_tail(0.63) == check_page_meets_tail(1 - 0.99**100)
    True
    >>> check_page_meets_tail(0.37)
    Traceback (most recent call last):
    ...
    shipworthy.experiments.workshop.NotYetError: That is the chance that no answer is slow. You want the other case.
    """
    spared = 0.99**ASKED_TOGETHER
    hints = (
        (_near(spared, _same_share), "That is the chance that no answer is slow. You want the other case."),
        (_near(1.0, _same_share), "Adding up 1 % a hundred times counts pages twice that meet two slow answers."),
        (_near(0.01), "That is the chance for one answer. The page needs a hundred."),
        (_near(100 * (1 - spared), _same_share), "That is in percent. Give a probability between 0 and 1."),
    )
    return _check(answer, 1 - spared, hints, "Nearly two pages in three. The tail is not rare for who asks often.", _same_share)


def check_tail_factor(answer: Any, waits_ms: Sequence[float]) -> str:
    """Check how many times the median wait the p99 is.

    Parameters
    ----------
    answer : any
        The attempt; a factor.
    waits_ms : sequence of float

    Returns
    -------
    str

    Raises
    ------
    NotYetError
        With a hint.
    """
    measured = _as_measurement(waits_ms)
    p50, p99 = measured.percentile(50), measured.percentile(99)
    mean = sum(waits_ms) / len(waits_ms)
    hints = (
        (_near(p99), "That is the p99 itself. Divide it by the median."),
        (_near(p50 / p99), "Upside down: the p99 is the larger one."),
        (_near(p99 / mean), "You divided by the mean. The median is the p50."),
        (_near(max(waits_ms) / p50), "That is the slowest of all over the median. The p99 leaves one in a hundred out."),
    )
    # Interpolated percentiles differ a little from ranked ones; both are the right idea here.
    number = _number(answer)
    if abs(number - p99 / p50) <= 0.02 * p99 / p50:
        answer = p99 / p50
    right = f"One in a hundred waits at least {p99 / p50:.1f} times as long as the middle one."
    return _check(answer, p99 / p50, hints, right)
