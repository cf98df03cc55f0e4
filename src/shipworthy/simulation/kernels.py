"""The compiled loops: log loss and accuracy of very many votes. Importing this module imports Numba.

Sums are taken in the order of the members and divided as NumPy's mean divides, so a tie here is a tie in scikit-learn's
``VotingClassifier``. That is why a subset is built from the one that lacks its last member, one addition each, and not by
adding and taking away along a Gray code: as few additions, and no rounding drifts from one subset to the next.

This module does *not* know what a row, a member or a metric means to anybody.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from shipworthy.records import Floats

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 512
"""Rows worked on at a time: the partial sums of twenty members and two classes then stay in the second-level cache."""
EPS = 2.0**-52
TOGETHER = 16
"""Probabilities multiplied before one logarithm is taken: 16 * 52 binary digits are fewer than the 1022 that there are."""


@njit(nogil=True, cache=True, error_model="numpy")
def _log_sum(sums: Floats, width: int, size: float) -> float:
    """Sum over rows of the logarithm of the mean probability of the true class, cut off as scikit-learn cuts off."""
    total = 0.0
    low, high, share = EPS * size, (1.0 - EPS) * size, 1.0 / size
    full = width - width % TOGETHER
    for start in range(0, full, TOGETHER):
        product = 1.0
        for r in range(start, start + TOGETHER):
            # Conditional expressions, because min and max would have to mind NaN and would not be vectorised.
            q = sums[r] if sums[r] > low else low  # noqa: FURB136
            q = q if q < high else high  # noqa: FURB136
            product *= q * share
        total += math.log(product)
    for r in range(full, width):
        total += math.log(min(max(sums[r], low), high) * share)
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def _right(sums: Floats, loses: NDArray[np.uint8], width: int, size: float, beaten: NDArray[np.uint8]) -> int:
    """How many rows have the true class, first in ``sums``, as the first of the most likely ones."""
    beaten[:width] = 0
    for c in range(1, sums.shape[0]):
        for r in range(width):
            mine, other = sums[0, r] / size, sums[c, r] / size
            beaten[r] |= (other > mine) | ((other == mine) & (loses[c - 1, r] != 0))
    wrong = 0
    for r in range(width):
        wrong += beaten[r]
    return width - wrong


@njit(nogil=True, cache=True, error_model="numpy")
def _lowest(bits: int) -> int:
    """Place of the lowest bit that is set; one is."""
    place = 0
    while not (bits >> place) & 1:
        place += 1
    return place


@njit(nogil=True, cache=True, error_model="numpy")
def _count(bits: int) -> int:
    """How many bits are set."""
    count = 0
    while bits:
        count += 1
        bits &= bits - 1
    return count


@njit(nogil=True, cache=True, error_model="numpy")
def _add(source: Floats, votes: Floats, start: int, width: int, target: Floats) -> None:
    """``source`` and the votes of one member on a block of rows, into ``target``."""
    for c in range(votes.shape[0]):
        mine = votes[c, start : start + width]
        for r in range(width):
            target[c, r] = source[c, r] + mine[r]


@njit(nogil=True, cache=True, error_model="numpy")
def score_subsets(
    votes: Floats, loses: NDArray[np.uint8], low: int, prefix: int, log_sums: Floats, rights: NDArray[np.int64]
) -> None:
    """Log-likelihood and number of right answers of all subsets that take the members of ``prefix`` among the first ones.

    Parameters
    ----------
    votes : ndarray of float64, shape (n_members, n_classes, n_rows)
        The true class of each row comes first.
    loses : ndarray of uint8, shape (n_classes - 1, n_rows)
        1 where the class in this place wins a tie with the true class.
    low : int
        How many of the last members are taken in all ways.
    prefix : int
        Which of the others are in: its highest bit is the first member.
    log_sums, rights : ndarray, shape (2**low,)
        Added to; the last member is the lowest bit of the index.
    """
    n_members, n_classes, n_rows = votes.shape
    sums = np.empty((low + 1, n_classes, BLOCK))
    beaten = np.empty(BLOCK, np.uint8)
    before = _count(prefix)
    for start in range(0, n_rows, BLOCK):
        width = min(BLOCK, n_rows - start)
        sums[low] = 0.0
        for j in range(n_members - low):
            if (prefix >> (n_members - low - 1 - j)) & 1:
                _add(sums[low], votes[j], start, width, sums[low])
        part = loses[:, start : start + width]
        if before:
            log_sums[0] += _log_sum(sums[low, 0], width, float(before))
            rights[0] += _right(sums[low], part, width, float(before), beaten)
        for index in range(1, 1 << low):
            bit = _lowest(index)
            # The latest subset whose last member is that of the parent is the parent: its sums are still there.
            parent = index & (index - 1)
            above = _lowest(parent) if parent else low
            size = float(before + _count(index))
            _add(sums[above], votes[n_members - 1 - bit], start, width, sums[bit])
            log_sums[index] += _log_sum(sums[bit, 0], width, size)
            rights[index] += _right(sums[bit], part, width, size, beaten)


@njit(nogil=True, cache=True, error_model="numpy")
def score_extensions(
    chosen: Floats,
    votes: Floats,
    loses: NDArray[np.uint8],
    size: float,
    first: int,
    last: int,
    likely: bool,
    log_sums: Floats,
    rights: NDArray[np.int64],
) -> None:
    """Log-likelihood or number of right answers of what is chosen with one more member, for members ``first`` to ``last``.

    Parameters
    ----------
    chosen : ndarray of float64, shape (n_classes, n_rows)
        Sum of what is chosen already.
    votes, loses : ndarray
        As for :func:`score_subsets`.
    size : float
        How many votes the sum will then hold.
    likely : bool
        Whether the likelihood is asked for; else the right answers are.
    log_sums, rights : ndarray, shape (n_members,)
        Written to.
    """
    n_classes, n_rows = chosen.shape
    sums = np.empty((n_classes, BLOCK))
    beaten = np.empty(BLOCK, np.uint8)
    needed = 1 if likely else n_classes
    for j in range(first, last):
        total, count = 0.0, 0
        for start in range(0, n_rows, BLOCK):
            width = min(BLOCK, n_rows - start)
            for c in range(needed):
                for r in range(width):
                    sums[c, r] = chosen[c, start + r] + votes[j, c, start + r]
            if likely:
                total += _log_sum(sums[0], width, size)
            else:
                count += _right(sums, loses[:, start : start + width], width, size, beaten)
        log_sums[j], rights[j] = total, count
