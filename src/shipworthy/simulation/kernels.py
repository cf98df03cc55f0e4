"""The compiled loops: log loss and accuracy of very many votes. Importing this module imports Numba.

Sums are taken in the order of the members and divided as NumPy's mean divides, so a tie here is a tie in scikit-learn's
``VotingClassifier``. That is why a subset is built from the one that lacks its last member, one addition each, and not by
adding and taking away along a Gray code: as few additions, and no rounding drifts from one subset to the next.

This module does *not* know what a row, a member or a metric means to anybody.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numba import njit

from shipworthy.records import Floats

if TYPE_CHECKING:
    from numpy.typing import NDArray

_Function = TypeVar("_Function", bound=Callable[..., Any])

EPS = 2.0**-52
LANES = 128
BLOCK = 8 * LANES
"""Rows worked on at a time: the sums and votes that four subsets need stay in the first-level cache. A lane takes the product of
8 rows at first, because compilers vectorise no longer loop, and of 16 before its exponent is taken out: 16 * 52 binary digits
are fewer than the 1022 that a number has, so it cannot vanish."""
HALF = LANES // 2
MANTISSA = (1 << 52) - 1
ONE = 1023 << 52
LOG_2 = math.log(2.0)
NEAR = 1e-12
"""Means that differ by more are told apart by their sums too, and by sums of differences."""


def _compiled(function: _Function) -> _Function:
    """The function as machine code, kept on disk for later processes where there is a place for it."""
    try:
        return cast("_Function", njit(nogil=True, cache=True, error_model="numpy")(function))
    except RuntimeError:
        # Neither beside this file nor in the user's cache may Numba write: each process then compiles anew, some seconds long.
        return cast("_Function", njit(nogil=True, error_model="numpy")(function))


@_compiled
def _multiply_four(sums: Floats, second: Floats, last: Floats, size: float, lanes: Floats) -> None:
    """Products over rows, lane by lane, of the votes of four subsets: ``sums``, with ``last``, with ``second``, with both.

    Votes are cut off as scikit-learn cuts off their mean. ``size`` is how many votes are in ``sums``. What is added is never
    stored: the arithmetic is cheap, and memory is not.
    """
    low, low_1, low_2 = EPS * size, EPS * (size + 1), EPS * (size + 2)
    for i in range(LANES):
        none = one = other = both = 1.0
        for step in range(BLOCK // LANES):
            r = step * LANES + i
            q, q_last, q_second = sums[r], sums[r] + last[r], sums[r] + second[r]
            q_both = q_second + last[r]
            # Conditional expressions, because max would have to mind NaN and would not be vectorised.
            none *= q if q > low else low  # noqa: FURB136
            one *= q_last if q_last > low_1 else low_1  # noqa: FURB136
            other *= q_second if q_second > low_1 else low_1  # noqa: FURB136
            both *= q_both if q_both > low_2 else low_2  # noqa: FURB136
        lanes[0, i], lanes[1, i], lanes[2, i], lanes[3, i] = none, one, other, both


@_compiled
def _multiply(sums: Floats, size: float, lanes: Floats) -> None:
    """Products over rows, lane by lane, of votes, cut off likewise."""
    low = EPS * size
    for i in range(LANES):
        product = 1.0
        for step in range(BLOCK // LANES):
            q = sums[step * LANES + i]
            product *= q if q > low else low  # noqa: FURB136
        lanes[i] = product


@_compiled
def _gather(lanes: Floats, products: Floats, exponents: NDArray[np.int64], index: int) -> None:
    """Multiply each row of lanes into ``products * 2.0**exponents``, from ``index`` on; the products stay between 1 and 2.

    So one logarithm is enough for all rows. It takes all lanes, because to slice an array costs as much as the work on the slice.
    """
    bits, kept = lanes.view(np.int64), products.view(np.int64)
    for k in range(lanes.shape[0]):
        exponent = -1023 * (HALF + 1)
        for i in range(HALF):
            lanes[k, i] *= lanes[k, i + HALF]
        for i in range(HALF):
            exponent += bits[k, i] >> 52
            bits[k, i] = (bits[k, i] & MANTISSA) | ONE
        half = HALF
        while half > 8:
            half //= 2
            for i in range(half):
                lanes[k, i] *= lanes[k, i + half]
        left = (lanes[k, 0] * lanes[k, 1]) * (lanes[k, 2] * lanes[k, 3])
        right = (lanes[k, 4] * lanes[k, 5]) * (lanes[k, 6] * lanes[k, 7])
        products[index + k] *= left * right
        exponents[index + k] += exponent + (kept[index + k] >> 52)
        kept[index + k] = (kept[index + k] & MANTISSA) | ONE


@_compiled
def _load(votes: Floats, start: int, part: Floats, nothing: Floats) -> None:
    """A block of rows of all members into ``part``, and the sum of no votes into ``nothing``.

    Where there is no row, zeros are added to a one: a factor of 1 whoever votes.
    """
    n_members, n_classes, n_rows = votes.shape
    for c in range(n_classes):
        for r in range(BLOCK):
            nothing[c, r] = 0.0 if start + r < n_rows else 1.0
        for j in range(n_members):
            for r in range(BLOCK):
                part[j, c, r] = votes[j, c, start + r] if start + r < n_rows else 0.0


@_compiled
def _add(source: Floats, votes: Floats, target: Floats) -> None:
    """``source`` and the votes of one member on a block of rows, into ``target``."""
    for c in range(votes.shape[0]):
        for r in range(votes.shape[1]):
            target[c, r] = source[c, r] + votes[c, r]


@_compiled
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


@_compiled
def _right_clearly(
    sums: Floats, second: Floats, last: Floats, width: int, size: float, rights: NDArray[np.int64], index: int
) -> bool:
    """Add up the right answers of four subsets of two classes; nothing, and False, where a tie may be among them.

    ``second`` and ``last`` are by how much the members prefer the wrong class.
    """
    near, near_1, near_2 = NEAR * size, NEAR * (size + 1), NEAR * (size + 2)
    none = one = other = both = close = 0
    for r in range(width):
        lead = sums[1, r] - sums[0, r]
        lead_last, lead_second = lead + last[r], lead + second[r]
        lead_both = lead_second + last[r]
        none += lead < -near
        one += lead_last < -near_1
        other += lead_second < -near_1
        both += lead_both < -near_2
        close += (abs(lead) <= near) | (abs(lead_last) <= near_1) | (abs(lead_second) <= near_1) | (abs(lead_both) <= near_2)
    if close:
        return False
    rights[index] += none
    rights[index + 1] += one
    rights[index + 2] += other
    rights[index + 3] += both
    return True


@_compiled
def _right_of_four(
    sums: Floats,
    second: Floats,
    last: Floats,
    loses: NDArray[np.uint8],
    size: float,
    scratch: Floats,
    beaten: NDArray[np.uint8],
    rights: NDArray[np.int64],
    index: int,
) -> None:
    """Add up the right answers of four subsets, ties as they are; ``scratch`` has room for two sums."""
    width = loses.shape[1]
    rights[index] += _right(sums, loses, width, size, beaten)
    _add(sums, last, scratch[0])
    rights[index + 1] += _right(scratch[0], loses, width, size + 1, beaten)
    _add(sums, second, scratch[1])
    rights[index + 2] += _right(scratch[1], loses, width, size + 1, beaten)
    _add(scratch[1], last, scratch[0])
    rights[index + 3] += _right(scratch[0], loses, width, size + 2, beaten)


@_compiled
def _lowest(bits: int) -> int:
    """Place of the lowest bit that is set; one is."""
    place = 0
    while not (bits >> place) & 1:
        place += 1
    return place


@_compiled
def _count(bits: int) -> int:
    """How many bits are set."""
    count = 0
    while bits:
        count += 1
        bits &= bits - 1
    return count


@_compiled
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
        How many of the last members are taken in all ways; at least 2.
    likely, answers : bool
        Whether the likelihood and the right answers are asked for.
    prefix : int
        Which of the others are in: its highest bit is the first member.
    log_sums, rights : ndarray, shape (2**low,)
        The one is written to, the other added to; the last member is the lowest bit of the index. The likelihood is of sums of
        votes: what the logarithm of the number of votes takes off is the caller's to take off.
    """
    n_members, n_classes, n_rows = votes.shape
    sums, part = np.empty((low + 1, n_classes, BLOCK)), np.empty((n_members, n_classes, BLOCK))
    lanes, prefers, beaten = np.empty((4, LANES)), np.empty((2, BLOCK)), np.empty(BLOCK, np.uint8)
    products, exponents = np.ones(1 << low), np.zeros(1 << low, np.int64)
    before = _count(prefix)
    second, last = part[n_members - 2], part[n_members - 1]
    for start in range(0, n_rows, BLOCK):
        width = min(BLOCK, n_rows - start)
        _load(votes, start, part, sums[low])
        for j in range(n_members - low):
            if (prefix >> (n_members - low - 1 - j)) & 1:
                _add(sums[low], part[j], sums[low])
        beats = loses[:, start : start + width]
        for r in range(BLOCK):
            prefers[0, r] = second[n_classes - 1, r] - second[0, r]
            prefers[1, r] = last[n_classes - 1, r] - last[0, r]
        for index in range(0, 1 << low, 4):
            place, size = low, float(before + _count(index))
            if index:
                # The latest subset whose last member is that of the parent is the parent: its sums are still there.
                place, parent = _lowest(index), index & (index - 1)
                above = _lowest(parent) if parent else low
                _add(sums[above], part[n_members - 1 - place], sums[place])
            four = sums[place]
            if likely:
                _multiply_four(four[0], second[0], last[0], size, lanes)
                _gather(lanes, products, exponents, index)
            if answers and not (n_classes == 2 and _right_clearly(four, prefers[0], prefers[1], width, size, rights, index)):
                # No parent's sums are in the places of the last two members.
                _right_of_four(four, second, last, beats, size, sums[:2], beaten, rights, index)
    for index in range(1 << low):
        log_sums[index] = exponents[index] * LOG_2 + math.log(products[index])


@_compiled
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
    sums, lanes, beaten = np.ones((n_classes, BLOCK)), np.empty((1, LANES)), np.empty(BLOCK, np.uint8)
    for j in range(first, last):
        product, exponent, count = np.ones(1), np.zeros(1, np.int64), 0
        for start in range(0, n_rows, BLOCK):
            width = min(BLOCK, n_rows - start)
            if width < BLOCK:
                sums[:] = 1.0
            for c in range(n_classes):
                now, more, then = chosen[c, start : start + width], votes[j, c, start : start + width], sums[c]
                for r in range(width):
                    then[r] = now[r] + more[r]
            if likely:
                _multiply(sums[0], size, lanes[0])
                _gather(lanes, product, exponent, 0)
            else:
                count += _right(sums, loses[:, start : start + width], width, size, beaten)
        log_sums[j], rights[j] = exponent[0] * LOG_2 + math.log(product[0]), count


@_compiled
def _at_most(falls: Floats, value: float) -> int:
    """How many of rising values are at most ``value``."""
    low, high = 0, falls.shape[0]
    while low < high:
        middle = (low + high) // 2
        if falls[middle] <= value:
            low = middle + 1
        else:
            high = middle
    return low


@_compiled
def mixture(stages: Floats, shares: Floats, wanted: float) -> float:
    """The least value of any stage up to which a share ``wanted`` of their mixture lies.

    Parameters
    ----------
    stages : ndarray of float64, shape (n_stages, n_draws)
        Each rising.
    shares : ndarray of float64, shape (n_stages,)
    wanted : float
        From 0 to 1.
    """
    n_stages, n_draws = stages.shape
    least = np.inf
    for s in range(n_stages):
        # What is never asked sets no value.
        low, high = 0, n_draws if shares[s] > 0 else 0
        while low < high:
            middle = (low + high) // 2
            below = 0.0
            for t in range(n_stages):
                below += shares[t] * _at_most(stages[t], stages[s, middle])
            if below >= wanted * n_draws:
                high = middle
            else:
                low = middle + 1
        if shares[s] > 0 and low < n_draws:
            least = min(least, stages[s, low])
    return least


@_compiled
def mixtures(stages: Floats, shares: Floats, wanted: float, values: Floats) -> None:
    """As :func:`mixture`, of each column of ``shares``, into ``values``."""
    for i in range(shares.shape[1]):
        values[i] = mixture(stages, shares[:, i], wanted)


@_compiled
def _still_asked(order: NDArray[np.int64], place: NDArray[np.int64], level: int, asked: NDArray[np.int64]) -> int:
    """The rows, in an order, that a level of the first threshold leaves to others; returns how many."""
    n = 0
    for r in order:
        if place[r] > level:
            asked[n] = r
            n += 1
    return n


@_compiled
def _early(right: NDArray[np.int8], place: NDArray[np.int64], level: int) -> int:
    """How many answers of the first member are right and given at a level."""
    count = 0
    for r in range(place.shape[0]):
        count += right[r] * (place[r] <= level)
    return count


@_compiled
def _best_second(asked: NDArray[np.int64], sure: Floats, second: NDArray[np.int8], last: NDArray[np.int8]) -> tuple[int, int]:
    """How many answers are right with the best second threshold, of rows by falling confidence, and how many the second gives.

    Of equals the lowest threshold: the more the second answers, the less the third is waited for.
    """
    gain = best = answered = by_last = 0
    for k in range(asked.shape[0]):
        r = asked[k]
        gain += second[r] - last[r]
        by_last += last[r]
        if gain >= best and (k == asked.shape[0] - 1 or sure[r] != sure[asked[k + 1]]):
            best, answered = gain, k + 1
    return by_last + best, answered


@_compiled
def _later(asked: NDArray[np.int64], sure: Floats, limit: float, second: NDArray[np.int8], last: NDArray[np.int8]) -> int:
    """How many answers are right with this second threshold."""
    count = 0
    for r in asked:
        count += second[r] if sure[r] >= limit else last[r]
    return count


@_compiled
def score_triples(
    first: int,
    thresholds: Floats,
    places: tuple[NDArray[np.int64], NDArray[np.int64]],
    sure: tuple[Floats, Floats],
    orders: tuple[NDArray[np.int64], NDArray[np.int64]],
    right: tuple[NDArray[np.int8], NDArray[np.int8]],
    found: Floats,
) -> None:
    """All cascades of three that begin with one member: at each level of the first threshold, the best second threshold.

    Pairs are of the out-of-fold rows, by which is chosen, and of the test rows.

    Parameters
    ----------
    first : int
        Who is asked first.
    thresholds : ndarray of float64, shape (n_levels,)
        Of that member, falling.
    places : two ndarrays of int64, shape (n_rows,)
        The first level at which it answers a row; ``n_levels`` where none does.
    sure, orders, right : two ndarrays each, shape (n_members, n_rows)
        Each member's confidence, the rows by it, falling, and 1 where the member is right.
    found : ndarray of float64, shape (n_members, n_members, 5, n_levels)
        Written to, by the second and the third: second threshold, share that the first and that the second answers, accuracy
        on both kinds of rows.
    """
    n_members, n_levels = sure[0].shape[0], thresholds.shape[0]
    n, n_test = places[0].shape[0], places[1].shape[0]
    room, room_test = np.empty(n, np.int64), np.empty(n_test, np.int64)
    for b in range(n_members):
        if b == first:
            continue
        for level in range(n_levels):
            asked = room[: _still_asked(orders[0][b], places[0], level, room)]
            asked_test = room_test[: _still_asked(orders[1][b], places[1], level, room_test)]
            early, early_test = _early(right[0][first], places[0], level), _early(right[1][first], places[1], level)
            for c in range(n_members):
                if c not in {first, b}:
                    facts = found[b, c]
                    count, answered = _best_second(asked, sure[0][b], right[0][b], right[0][c])
                    limit = sure[0][b, asked[answered - 1]] if answered else np.inf
                    count_test = _later(asked_test, sure[1][b], limit, right[1][b], right[1][c])
                    facts[0, level], facts[1, level], facts[2, level] = limit, (n - len(asked)) / n, answered / n
                    facts[3, level], facts[4, level] = (early + count) / n, (early_test + count_test) / n_test
