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

EPS = 2.0**-52
LANES = 32
BLOCK = 16 * LANES
"""Rows worked on at a time: the partial sums of twenty members and two classes then stay in the second-level cache. A lane takes
the product of 16 rows: 16 * 52 binary digits are fewer than the 1022 that a number has, so it cannot vanish."""
MANTISSA = (1 << 52) - 1
ONE = 1023 << 52
LOG_2 = math.log(2.0)
NEAR = 1e-12
"""Means that differ by more are told apart by their sums too."""


@njit(nogil=True, cache=True, error_model="numpy")
def _log_sum(sums: Floats, width: int, size: float, lanes: Floats) -> float:
    """Sum over rows of the logarithm of the votes for the true class, cut off as scikit-learn cuts off their mean.

    One logarithm for a block: products are taken side by side in lanes, and their exponents are added as the integers they are.
    """
    low = EPS * size
    if width == BLOCK:
        for i in range(LANES):
            product = 1.0
            for step in range(BLOCK // LANES):
                # Conditional expressions, because max would have to mind NaN and would not be vectorised.
                q = sums[step * LANES + i]
                product *= q if q > low else low  # noqa: FURB136
            lanes[i] = product
    else:
        lanes[:] = 1.0
        for start in range(0, width, LANES):
            part = sums[start : min(start + LANES, width)]
            for i in range(len(part)):
                lanes[i] *= max(part[i], low)
    bits = lanes.view(np.int64)
    exponents = 0
    for i in range(LANES):
        exponents += (bits[i] >> 52) - 1023
        bits[i] = (bits[i] & MANTISSA) | ONE
    for i in range(8):
        lanes[i] = (lanes[i] * lanes[i + 8]) * (lanes[i + 16] * lanes[i + 24])
    left = (lanes[0] * lanes[1]) * (lanes[2] * lanes[3])
    right = (lanes[4] * lanes[5]) * (lanes[6] * lanes[7])
    return exponents * LOG_2 + math.log(left * right)


@njit(nogil=True, cache=True, error_model="numpy")
def _right(sums: Floats, loses: NDArray[np.uint8], width: int, size: float, beaten: NDArray[np.uint8]) -> int:
    """How many rows have the true class, first in ``sums``, as the first of the most likely ones."""
    wrong = 0
    if sums.shape[0] == 2:
        # Dividing is slow, and can only matter where the two are almost equal.
        close, near = 0, NEAR * size
        for r in range(width):
            lead = sums[1, r] - sums[0, r]
            wrong += lead > near
            close += (lead <= near) & (lead >= -near)
        if not close:
            return width - wrong
        wrong = 0
    beaten[:width] = 0
    for c in range(1, sums.shape[0]):
        for r in range(width):
            mine, other = sums[0, r] / size, sums[c, r] / size
            beaten[r] |= (other > mine) | ((other == mine) & (loses[c - 1, r] != 0))
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
    votes: Floats,
    loses: NDArray[np.uint8],
    low: int,
    likely: bool,
    answers: bool,
    prefix: int,
    log_sums: Floats,
    rights: NDArray[np.int64],
) -> None:
    """Log-likelihood and number of right answers of all subsets that take the members of ``prefix`` among the first ones.

    Parameters
    ----------
    votes : ndarray of float64, shape (n_members, n_classes, n_rows)
        The true class of each row comes first, and is enough for the likelihood.
    loses : ndarray of uint8, shape (n_classes - 1, n_rows)
        1 where the class in this place wins a tie with the true class.
    low : int
        How many of the last members are taken in all ways.
    likely, answers : bool
        Whether the likelihood and the right answers are asked for.
    prefix : int
        Which of the others are in: its highest bit is the first member.
    log_sums, rights : ndarray, shape (2**low,)
        Added to; the last member is the lowest bit of the index. The likelihood is of sums of votes: what the logarithm of the
        number of votes takes off is the caller's to take off.
    """
    n_members, n_classes, n_rows = votes.shape
    sums = np.empty((low + 1, n_classes, BLOCK))
    lanes, beaten = np.empty(LANES), np.empty(BLOCK, np.uint8)
    before = _count(prefix)
    for start in range(0, n_rows, BLOCK):
        width = min(BLOCK, n_rows - start)
        part = loses[:, start : start + width]
        sums[low] = 0.0
        for j in range(n_members - low):
            if (prefix >> (n_members - low - 1 - j)) & 1:
                _add(sums[low], votes[j], start, width, sums[low])
        for index in range(1 << low):
            place = low
            size = float(before + _count(index))
            if index:
                # The latest subset whose last member is that of the parent is the parent: its sums are still there.
                place, parent = _lowest(index), index & (index - 1)
                above = _lowest(parent) if parent else low
                _add(sums[above], votes[n_members - 1 - place], start, width, sums[place])
            if likely:
                log_sums[index] += _log_sum(sums[place, 0], width, size, lanes)
            if answers:
                rights[index] += _right(sums[place], part, width, size, beaten)


@njit(nogil=True, cache=True, error_model="numpy")
def score_extensions(
    chosen: Floats,
    votes: Floats,
    loses: NDArray[np.uint8],
    size: float,
    likely: bool,
    first: int,
    last: int,
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
    first, last : int
    log_sums, rights : ndarray, shape (n_members,)
        Written to.
    """
    n_classes, n_rows = chosen.shape
    sums, lanes, beaten = np.empty((n_classes, BLOCK)), np.empty(LANES), np.empty(BLOCK, np.uint8)
    for j in range(first, last):
        total, count = 0.0, 0
        for start in range(0, n_rows, BLOCK):
            width = min(BLOCK, n_rows - start)
            _add(chosen[:, start : start + width], votes[j], start, width, sums)
            if likely:
                total += _log_sum(sums[0], width, size, lanes)
            else:
                count += _right(sums, loses[:, start : start + width], width, size, beaten)
        log_sums[j], rights[j] = total, count
