"""The compromise that leaves the worst-off stakeholder least to regret, and the smallest change that would move it.

Every quantity runs from 0 (worst) to 1 (best) over the candidates in the running; a stakeholder's score is the weighted sum.
Money is turned into the same: a stakeholder's dollars are divided by those between a candidate that is worst in all that they
value and one that is best in all. The regret of a candidate is the score of the stakeholder's pick less its own; the compromise
has the smallest worst regret (Savage's minimax regret).

Along a change of one weight or one value each score is a fraction of straight lines, so the points at which two worst regrets
meet are roots of a quadratic, of a line where the scale does not move. They are solved for, not searched.

This module does *not* know whose weights these are, or how a value was measured.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shipworthy.records import Floats, Move

Bools = NDArray[np.bool_]
TIE = 1e-12
"""Regrets that differ by less, as a share of the largest, are equal."""
STEP = 1e-9
"""Of the way: how near to a meeting of two lines their order just after it is looked up."""
FAR = 10.0
"""A value is moved by at most so many times the candidates' spread, a rate in money by so many times all that is at stake."""


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """What every stakeholder makes of every candidate, as arrays.

    Parameters
    ----------
    stakeholders, candidates, quantities : tuple of str
        S, C and Q names.
    values : ndarray, shape (Q, C)
        The greater the better: what is better smaller has its sign turned. ``nan`` where nothing was measured.
    worth : ndarray, shape (S, Q)
        Weights, each row summing to 1, or US dollars a month for a unit.
    money : ndarray of bool, shape (S,)
        Which rows of ``worth`` are in dollars.
    running : ndarray of bool, shape (C,)
        The candidates that may ship: the scale runs from the worst to the best of these. All of them are measured.

    Examples
    --------
    Two stakeholders who want opposite things of three candidates; the middle one hurts neither more than 0.4:

    >>> values = np.array([[0.0, 0.6, 1.0], [1.0, 0.6, 0.0]])
    >>> panel = Panel(("a", "b"), ("x", "y", "z"), ("p", "q"), values, np.eye(2), np.zeros(2, bool), np.ones(3, bool))
    >>> panel.regrets().round(2).tolist()
    [[1.0, 0.4, 0.0], [0.0, 0.4, 1.0]]
    >>> panel.decide()
    1
    """

    stakeholders: tuple[str, ...]
    candidates: tuple[str, ...]
    quantities: tuple[str, ...]
    values: Floats
    worth: Floats
    money: Bools
    running: Bools

    @property
    def in_money(self) -> bool:
        """Whether every stakeholder states money: regrets are then compared in US dollars a month."""
        return bool(self.money.all()) and len(self.money) > 0

    def scale(self) -> tuple[Floats, Floats]:
        """Of each quantity the worst value and the way to the best, of those in the running; of all where fewer than two are."""
        among = self.values[:, self.running] if self.running.sum() > 1 else self.values
        among = np.where(np.isfinite(among).any(axis=1, keepdims=True), among, 0.0)
        low: Floats = np.nanmin(among, axis=1)
        return low, np.nanmax(among, axis=1) - low

    def scores(self) -> Floats:
        """Shape (S, C): 0 for the worst in all, 1 for the best in all; ``nan`` where something valued was not measured."""
        low, span = self.scale()
        worth = np.where(self.money[:, None], self.worth * span, self.worth)
        whole = worth.sum(axis=1, keepdims=True)
        worth = np.divide(worth, whole, out=np.zeros_like(worth), where=whole > 0)
        placed = np.divide(self.values - low[:, None], span[:, None], out=np.zeros_like(self.values), where=span[:, None] > 0)
        return self._where_rated(worth @ np.nan_to_num(placed))

    def usd(self) -> Floats:
        """Shape (S, C): US dollars a month, ``nan`` for those who state weights. Only differences mean something."""
        return np.where(self.money[:, None], self._where_rated(self.worth @ np.nan_to_num(self.values)), np.nan)

    def _where_rated(self, scores: Floats) -> Floats:
        lacking = (self.worth > 0).astype(float) @ ~np.isfinite(self.values) > 0
        return np.where(lacking, np.nan, scores)

    def regrets(self, *, in_money: bool | None = None) -> Floats:
        """Shape (S, C): the score of each stakeholder's pick less that of the candidate; ``nan`` for one not in the running."""
        scores = self.usd() if (self.in_money if in_money is None else in_money) else self.scores()
        running = np.where(self.running, scores, np.nan)
        if not self.running.any():
            return running
        regrets: Floats = running[:, self.running].max(axis=1, keepdims=True) - running
        return regrets

    def decide(self) -> int | None:
        """The compromise, as an index; of equals the one with the smaller mean regret, then the first by name."""
        if not self.running.any() or not self.stakeholders:
            return None
        regrets = self.regrets()
        worst = regrets.max(axis=0)
        tied = worst <= np.nanmin(worst) + TIE * max(1.0, float(np.nanmax(worst)))
        mean = regrets.mean(axis=0).round(12)
        return min(np.flatnonzero(tied).tolist(), key=lambda c: (mean[c], self.candidates[c]))


def weight_moves(panel: Panel, fixed: frozenset[str] = frozenset()) -> list[Move]:
    """For every stakeholder and quantity, the smallest change of the weight from which on the compromise is another.

    A weight's change is made up for by all other weights of the stakeholder, in proportion. A rate in money changes alone.

    Parameters
    ----------
    panel : Panel
    fixed : frozenset of str
        Quantities that are money already, whose rate is no judgement.

    Returns
    -------
    list of Move
        The smallest change first. Whatever no change moves is left out.
    """
    chosen = panel.decide()
    if chosen is None:
        return []
    still = _still(panel)
    moves = []
    for s, who in enumerate(panel.stakeholders):
        for q, quantity in enumerate(panel.quantities):
            way = None if panel.money[s] and quantity in fixed else _way_of_weight(panel, s, q)
            if way is None:
                continue
            before, found = float(panel.worth[s, q]), []
            for sign, last in ((1.0, way.up), (-1.0, before)):
                lines = still.changed(s, sign * way.slope, sign * way.widening)
                if (hit := _first_change(lines, last, _index(panel, chosen))) is not None:
                    found.append((hit[0], sign, hit[1]))
            if found:
                change, sign, becomes = min(found)
                name = _running(panel)[becomes]
                moves.append(Move("weight", who, quantity, before, before + sign * change, change * way.unit, name))
    return sorted(moves, key=lambda m: (m.size, m.whose, m.what))


@dataclass(frozen=True, slots=True, eq=False)
class _Way:
    """How scores go with a weight: their slope, that of what they are divided by, how far up, and the size of a unit."""

    slope: Floats
    widening: float
    up: float
    unit: float


def _way_of_weight(panel: Panel, s: int, q: int) -> _Way | None:
    """``None`` where a change of the weight can change nothing, or nothing could make up for it."""
    low, span = panel.scale()
    before, values = float(panel.worth[s, q]), panel.values[q, panel.running]
    if panel.money[s]:
        stake = float(panel.worth[s] @ span)
        if span[q] == 0 or stake == 0:
            return None
        unit = float(span[q]) / stake
        if panel.in_money:
            return _Way(values, 0.0, FAR / unit, unit)
        # Where the quantity is all that is at stake, a share of it is the same at any rate.
        alone = stake - before * span[q] <= TIE * stake
        return None if alone else _Way(values - low[q], float(span[q]), FAR / unit, unit)
    if before > 1 - TIE:
        return None
    placed = (values - low[q]) / span[q] if span[q] > 0 else np.zeros_like(values)
    return _Way((placed - panel.scores()[s, panel.running]) / (1 - before), 0.0, 1 - before, 1.0)


def value_moves(panel: Panel, signs: Mapping[str, int], intervals: Mapping[tuple[str, str], tuple[float, float]]) -> list[Move]:
    """For every candidate and quantity, the smallest change of the value from which on the compromise is another.

    The scale moves along, as it would if the study were run again; the vetoes stay. A value does not cross 0, and what is never
    above 1 stays there.

    Parameters
    ----------
    panel : Panel
    signs : mapping of str to int
        Of each quantity: 1 where greater is better, -1 where its sign was turned, 0 where greater is better and 1 is the most.
    intervals : mapping of (candidate, quantity) to (low, high)
        Of the measured values, in their own direction.

    Returns
    -------
    list of Move
        The smallest share of the candidates' spread first. Whatever no change moves is left out.
    """
    chosen = panel.decide()
    if chosen is None or panel.running.sum() < 2:
        return []
    moves = []
    _, span = panel.scale()
    for q, quantity in enumerate(panel.quantities):
        sign = signs[quantity] or 1
        for c in np.flatnonzero(panel.running).tolist():
            before = float(panel.values[q, c])
            found = []
            for way in (1.0, -1.0):
                for start, last, lines in _regions(panel, q, c, way, most=1.0 if signs[quantity] == 0 else np.inf):
                    if (hit := _first_change(lines, last, _index(panel, chosen))) is not None:
                        found.append((abs(start + way * hit[0] - before), start + way * hit[0], hit[1]))
                        break
            if found:
                change, after, becomes = min(found)
                low, high = intervals.get((panel.candidates[c], quantity), (np.nan, np.nan))
                spread = float(span[q]) or abs(before) or 1.0
                doubtful = bool(low <= sign * after <= high)
                name = _running(panel)[becomes]
                moves.append(
                    Move("value", panel.candidates[c], quantity, sign * before, sign * after, change / spread, name, doubtful)
                )
    return sorted(moves, key=lambda m: (m.size, m.whose, m.what))


def _running(panel: Panel) -> list[str]:
    return [name for name, running in zip(panel.candidates, panel.running, strict=True) if running]


def _index(panel: Panel, chosen: int) -> int:
    """Of a candidate, among those in the running."""
    return int(panel.running[:chosen].sum())


@dataclass(frozen=True, slots=True, eq=False)
class _Lines:
    """Scores along a change ``t``: ``(above + above_t t) / (below + below_t t)``; candidates in the running only.

    Shapes (S, n), (S, n), (S,) and (S,).
    """

    above: Floats
    above_t: Floats
    below: Floats
    below_t: Floats

    def changed(self, s: int, slope: Floats, widening: float) -> _Lines:
        above_t, below_t = self.above_t.copy(), self.below_t.copy()
        above_t[s], below_t[s] = slope, widening
        return replace(self, above_t=above_t, below_t=below_t)


def _still(panel: Panel) -> _Lines:
    """The scores as they are: nothing changes along ``t``."""
    low, span = panel.scale()
    n = (len(panel.stakeholders), int(panel.running.sum()))
    if panel.in_money:
        return _Lines(panel.usd()[:, panel.running], np.zeros(n), np.ones(n[0]), np.zeros(n[0]))
    above, below = panel.scores()[:, panel.running], np.ones(n[0])
    for s in np.flatnonzero(panel.money):
        if stake := float(panel.worth[s] @ span):
            above[s], below[s] = panel.usd()[s, panel.running] - panel.worth[s] @ low, stake
    return _Lines(above, np.zeros(n), below, np.zeros(n[0]))


def _regions(panel: Panel, q: int, c: int, way: float, most: float) -> Iterator[tuple[float, float, _Lines]]:
    """The way of one value, cut where it becomes or ceases to be the worst or the best: start, length and scores of each part."""
    row = panel.values[q, panel.running]
    others = np.delete(row, _index(panel, c))
    low, high, spread = float(others.min()), float(others.max()), float(np.ptp(row)) or abs(float(row[0])) or 1.0
    ends = {-1.0: low - FAR * spread, 1.0: min(high + FAR * spread, most)}
    if (row >= 0).all():
        ends[-1.0] = max(0.0, ends[-1.0])
    if (row <= 0).all():
        ends[1.0] = min(0.0, ends[1.0])
    before = float(panel.values[q, c])
    cuts = [before, *sorted((v for v in {low, high} if (v - before) * way > 0), reverse=way < 0)]
    cuts = [v for v in cuts if (ends[way] - v) * way > 0] + [ends[way]]
    for start, end in itertools.pairwise(cuts):
        last, middle = abs(end - start), (start + end) / 2
        bottom = (start, way) if middle < low else (low, 0.0)
        top = (start, way) if middle > high else (high, 0.0)
        if last > 0 and (middle < low or middle > high or high > low):
            yield start, last, _moving(panel, q, c, (start, way), bottom, top)


def _moving(
    panel: Panel, q: int, c: int, value: tuple[float, float], bottom: tuple[float, float], top: tuple[float, float]
) -> _Lines:
    """The scores while one value, and with it perhaps an end of its scale, moves along ``t``."""
    at, at_t = panel.values[q, panel.running].copy(), np.zeros(int(panel.running.sum()))
    at[_index(panel, c)], at_t[_index(panel, c)] = value
    span, span_t = top[0] - bottom[0], top[1] - bottom[1]
    worth = panel.worth.copy()
    worth[:, q] = 0.0
    low, spans = panel.scale()
    placed = np.divide(panel.values - low[:, None], spans[:, None], out=np.zeros_like(panel.values), where=spans[:, None] > 0)[
        :, panel.running
    ]
    still = _still(panel)
    above, above_t, below, below_t = (a.copy() for a in (still.above, still.above_t, still.below, still.below_t))
    for s, w in enumerate(panel.worth[:, q].tolist()):
        if w == 0:
            continue
        if panel.in_money:
            above[s], above_t[s] = worth[s] @ panel.values[:, panel.running] + w * at, w * at_t
        elif panel.money[s]:
            rest = worth[s] @ (panel.values[:, panel.running] - low[:, None])
            above[s], above_t[s] = rest + w * (at - bottom[0]), w * (at_t - bottom[1])
            below[s], below_t[s] = worth[s] @ spans + w * span, w * span_t
        else:
            rest = worth[s] @ placed
            above[s], above_t[s] = rest * span + w * (at - bottom[0]), rest * span_t + w * (at_t - bottom[1])
            below[s], below_t[s] = span, span_t
    return _Lines(above, above_t, below, below_t)


def _first_change(lines: _Lines, last: float, current: int) -> tuple[float, int] | None:
    """The first ``t`` from which on another candidate has the smallest worst regret, and which; ``None`` if none has by ``last``.

    The worst regret of a candidate is the highest of its pieces, one for each stakeholder and each candidate that they might
    rather have. Between two meetings of pieces nothing changes order, so each stretch is judged by its middle.
    """
    n = lines.above.shape[1]
    a = (lines.above[:, :, None] - lines.above[:, None, :]).transpose(2, 0, 1).reshape(n, -1)
    b = (lines.above_t[:, :, None] - lines.above_t[:, None, :]).transpose(2, 0, 1).reshape(n, -1)
    d, e = (np.broadcast_to(np.repeat(x, n), a.shape) for x in (lines.below, lines.below_t))
    each, t = np.arange(n), 0.0
    # At the very end a span may have shrunk to nothing, so it is not looked up.
    while (probe := t + STEP * last) < last * (1 - STEP):
        top = ((a + b * probe) / (d + e * probe)).argmax(axis=1)
        leaders = tuple(x[each, top] for x in (a, b, d, e))
        own = tuple(x[:, None] for x in leaders)
        meetings = np.concatenate(
            [
                _meetings(own, (a, b, d, e)).ravel(),
                _meetings(tuple(x[current] for x in leaders), leaders).ravel(),
            ]
        )
        later = meetings[(meetings > probe) & (meetings < last)]
        upto = float(later.min()) if later.size else last
        middle = (t + upto) / 2
        worst = ((a + b * middle) / (d + e * middle)).max(axis=1)
        best = int(worst.argmin())
        if worst[best] < worst[current] - TIE * max(1.0, float(worst.max())):
            return t, best
        t = upto
    return None


def _meetings(one: tuple[Floats, ...], other: tuple[Floats, ...]) -> Floats:
    """Where two fractions of straight lines are equal: the roots of a quadratic, two along the first axis; ``nan`` if none."""
    (a, b, d, e), (f, g, h, k) = one, other
    square, line, still = b * k - g * e, a * k + b * h - f * e - g * d, a * h - f * d
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        straight = -still / line
        # The stable form of the two roots: no difference of nearly equal numbers.
        half = -0.5 * (line + np.copysign(np.sqrt(line * line - 4 * square * still), line))
        first = np.where(square == 0, straight, half / square)
        second = np.where(square == 0, np.nan, still / half)
    return np.stack([first, second])
