"""Where the verdict flips: traffic x latency limit x price x margin, who wins in each cell, and the nearest flip from here.

An ensemble *wins* a cell if it meets the limit and is worth more than the baseline in nearly all draws; the *baseline* wins if
nearly none of the draws has the ensemble ahead, or the ensemble misses the limit. Who stands for either side is chosen on
out-of-fold rows at the declared place, of those who keep the limit, and is scored on test rows.

This module does *not* know how a latency was measured, or what the map looks like when it is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from shipworthy.feasibility.breakeven import margin_line
from shipworthy.feasibility.value import Terms, month
from shipworthy.records import Economics, Floats, Interval, Ints, Prices

Winner = Literal["ensemble", "baseline", "cannot tell", "nothing meets the limit"]
WINNERS: tuple[Winner, ...] = ("ensemble", "baseline", "cannot tell", "nothing meets the limit")
Axis = Literal["traffic", "latency limit", "price", "margin"]
FURTHEST = 1e4
"""Traffic is looked at up to this factor away."""
STEPS = 400
HAIR = 1e-9
"""A border is crossed by this much to see what lies beyond."""


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """A candidate on the map: its drawn terms, what it may be chosen by, and its p99 latency.

    Parameters
    ----------
    terms : Terms
        Drawn together with the other contenders'.
    chosen_by : Terms
        Expected, on out-of-fold rows.
    p99_ms : Interval
        With the bounds by which a limit is met or missed.
    """

    terms: Terms
    chosen_by: Terms
    p99_ms: Interval

    @property
    def name(self) -> str:
        """The candidate's."""
        return self.terms.case.candidate

    @property
    def is_ensemble(self) -> bool:
        """Whether it is an ensemble of models."""
        return self.terms.case.kind == "ensemble"

    def keeps(self, limit_ms: float) -> Literal["met", "undecided", "missed"]:
        """How it stands to a limit on the p99."""
        if self.p99_ms.high <= limit_ms:
            return "met"
        return "missed" if self.p99_ms.low > limit_ms else "undecided"


@dataclass(frozen=True, slots=True)
class Place:
    """A point of the map: queries a second, p99 limit (ms, infinite for none), price factor, and what a right answer earns."""

    traffic_queries_s: float
    limit_ms: float
    price_factor: float
    margin_usd: float


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """The map at one limit and one price: winners by traffic and margin, and the borders between them.

    Parameters
    ----------
    limit_ms, price_factor : float
    ensemble, baseline : str
        Who stands for either side; empty where nobody keeps the limit.
    traffic_queries_s : ndarray, shape (n_traffic,)
    margin_usd : ndarray, shape (n_margins,)
    winners : ndarray of int, shape (n_traffic, n_margins)
        Positions in :data:`WINNERS`.
    border_traffic_queries_s : ndarray, shape (n_points,)
    pays_from, baseline_until : ndarray, shape (n_points,)
        Margins: from the one on the ensemble wins, up to the other the baseline does; ``nan`` where there is no such margin.
    """

    limit_ms: float
    price_factor: float
    ensemble: str
    baseline: str
    traffic_queries_s: Floats
    margin_usd: Floats
    winners: Ints
    border_traffic_queries_s: Floats
    pays_from: Floats
    baseline_until: Floats


@dataclass(frozen=True, slots=True)
class Flip:
    """The nearest change of one thing that changes the verdict.

    Parameters
    ----------
    axis : {"traffic", "latency limit", "price", "margin"}
    now, at : float
        Where it is, and where the verdict flips.
    factor : float
        ``at / now``.
    winner : str
        Who wins beyond.
    """

    axis: Axis
    now: float
    at: float
    factor: float
    winner: Winner


def crossings(slope: Floats, cost: Floats, need: int) -> tuple[bool, Floats]:
    """Where the number of draws with ``x * slope > cost`` comes to ``need``, or falls below it, as ``x`` grows from 0.

    Each draw changes sides once, at ``cost / slope``, so the count is known everywhere from these sorted.

    Parameters
    ----------
    slope, cost : ndarray, shape (n,)
    need : int

    Returns
    -------
    at_first : bool
        Whether the count reaches ``need`` just above 0.
    changes : ndarray
        Values of x above 0, ascending, at which that changes.

    Examples
    --------
    Three draws win beyond 1, 2 and 3, so two of them do from 2 on:

    >>> first, changes = crossings(np.array([1.0, 1.0, 1.0]), np.array([1.0, 2.0, 3.0]), 2)
    >>> first, changes.tolist()
    (False, [2.0])
    """
    moving = slope != 0
    at = np.full(len(slope), math.nan)
    at[moving] = cost[moving] / slope[moving]
    rises, falls = (slope > 0) & (at > 0), (slope < 0) & (at > 0)
    begin = int(((slope > 0) & (at <= 0)).sum() + falls.sum() + (~moving & (cost < 0)).sum())
    events = np.concatenate([at[rises], at[falls]])
    signs = np.concatenate([np.ones(int(rises.sum()), int), -np.ones(int(falls.sum()), int)])
    order = np.argsort(events, kind="stable")
    where, last = np.unique(events[order], return_index=True)
    ends = np.append(last[1:], len(events)) - 1
    counts = begin + np.cumsum(signs[order])[ends] if len(events) else np.array([], int)
    state = np.concatenate([[begin >= need], counts >= need])
    return bool(state[0]), where[state[1:] != state[:-1]]


@dataclass(frozen=True, slots=True, eq=False)
class VerdictMap:
    """Who wins at any place, for one data set.

    Parameters
    ----------
    contenders : sequence of Contender
    here : Place
        As declared. Sides are chosen here, and draws of price factor and margin give way to the place's.
    economics : Economics
    prices : Prices
    confidence : float
    """

    contenders: Sequence[Contender]
    here: Place
    economics: Economics
    prices: Prices
    confidence: float

    @property
    def _draws(self) -> int:
        return len(self.contenders[0].terms.factor)

    @property
    def _surely(self) -> int:
        """So many draws must have the ensemble ahead before it wins."""
        return math.ceil((1 + self.confidence) / 2 * self._draws)

    @property
    def _hardly(self) -> int:
        """With so many draws the baseline is no longer sure to win."""
        return math.floor((1 - self.confidence) / 2 * self._draws) + 1

    def sides(self, limit_ms: float) -> tuple[Contender | None, Contender | None]:
        """The ensemble and the baseline that stand for their sides under a limit; ``None`` where all of a side miss it.

        Those that meet it come before those that may; of these the one with the highest net value out of fold, at the declared
        traffic, price and margin.
        """

        def net(contender: Contender) -> float:
            terms = contender.chosen_by
            here = replace(terms, factor=np.array([self.here.price_factor]), margin=np.array([self.here.margin_usd]))
            value = float(month(here, self.here.traffic_queries_s, self.economics, self.prices).net[0])
            return -math.inf if math.isnan(value) else value

        chosen: list[Contender | None] = []
        for ensembles in (True, False):
            able = [c for c in self.contenders if c.is_ensemble == ensembles and c.keeps(limit_ms) != "missed"]
            chosen.append(min(able, key=lambda c: (c.keeps(limit_ms) != "met", -net(c), c.name), default=None))
        return chosen[0], chosen[1]

    def winner(self, place: Place) -> Winner:
        """Who wins at a place, from all draws."""
        ensemble, baseline = self.sides(place.limit_ms)
        ahead = 0
        if ensemble is not None and baseline is not None:
            line = self._line_of(ensemble, baseline, place.traffic_queries_s, place.price_factor)
            ahead = int((place.margin_usd * line[0] > line[1]).sum())
        return self._decide(ensemble, baseline, place.limit_ms, ahead)

    def _decide(self, ensemble: Contender | None, baseline: Contender | None, limit_ms: float, ahead: int) -> Winner:
        """From who keeps the limit, and in how many draws the ensemble is ahead."""
        if ensemble is None and baseline is None:
            return "nothing meets the limit"
        able = [c is not None and c.keeps(limit_ms) == "met" for c in (ensemble, baseline)]
        if ensemble is None:
            return "baseline" if able[1] else "cannot tell"
        if baseline is None:
            return "ensemble" if able[0] else "cannot tell"
        if ahead >= self._surely and able[0]:
            return "ensemble"
        if ahead < self._hardly and able[1]:
            return "baseline"
        return "cannot tell"

    def panel(
        self, limit_ms: float, price_factor: float, traffic_queries_s: Floats, margin_usd: Floats, border_points: int = 160
    ) -> Panel:
        """One panel of the map: a winner for each traffic and margin, cell by cell, and the borders in closed form.

        Parameters
        ----------
        limit_ms, price_factor : float
        traffic_queries_s, margin_usd : ndarray
            Ascending.
        border_points : int
            Traffics at which the borders are computed.

        Returns
        -------
        Panel
        """
        ensemble, baseline = self.sides(limit_ms)
        winners = np.empty((len(traffic_queries_s), len(margin_usd)), dtype=np.int64)
        for i, traffic in enumerate(traffic_queries_s):
            ahead = np.zeros(len(margin_usd), dtype=np.int64)
            if ensemble is not None and baseline is not None:
                line = self._line_of(ensemble, baseline, float(traffic), price_factor)
                ahead = (margin_usd[:, None] * line[0] > line[1]).sum(axis=1)
            for j, n in enumerate(ahead):
                winners[i, j] = WINNERS.index(self._decide(ensemble, baseline, limit_ms, int(n)))
        along = np.geomspace(traffic_queries_s[0], traffic_queries_s[-1], border_points)
        borders = np.array([self.borders(float(t), limit_ms, price_factor) for t in along])
        return Panel(
            limit_ms=limit_ms,
            price_factor=price_factor,
            ensemble=ensemble.name if ensemble else "",
            baseline=baseline.name if baseline else "",
            traffic_queries_s=traffic_queries_s,
            margin_usd=margin_usd,
            winners=winners,
            border_traffic_queries_s=along,
            pays_from=borders[:, 0],
            baseline_until=borders[:, 1],
        )

    def borders(self, traffic_queries_s: float, limit_ms: float, price_factor: float) -> tuple[float, float]:
        """The margin from which the ensemble wins, and the one up to which the baseline does, at one traffic.

        Each draw has its own break-even margin, ``cost / slope``; the borders are those of them that so many draws lie below.

        Returns
        -------
        pays_from, baseline_until : float
            ``nan`` where there is no such margin, or none of the two sides keeps the limit.
        """
        ensemble, baseline = self.sides(limit_ms)
        if ensemble is None or baseline is None:
            return math.nan, math.nan
        slope, cost = self._line_of(ensemble, baseline, traffic_queries_s, price_factor)
        out = []
        for need, side, from_here_on in ((self._surely, ensemble, True), (self._hardly, baseline, False)):
            first, changes = crossings(slope, cost, need)
            last = bool(len(changes) % 2) != first
            known = side.keeps(limit_ms) == "met" and len(changes) and (last if from_here_on else not first)
            out.append(float(changes[-1] if from_here_on else changes[0]) if known else math.nan)
        return out[0], out[1]

    def flips(self) -> tuple[Flip, ...]:
        """For each of the four, the nearest value at which the verdict here is another; the nearest of all comes first.

        Margin, price and limit have closed forms. Traffic is searched, up and down to a factor of 10,000, and then bisected.

        Returns
        -------
        tuple of Flip
            Without those that do not flip it.
        """
        now = self.winner(self.here)
        found = [
            self._nearest("margin", self.here.margin_usd, self._changes_of_margin(), now),
            self._nearest("price", self.here.price_factor, self._changes_of_price(), now),
            self._nearest("latency limit", self.here.limit_ms, self._changes_of_limit(), now),
            self._nearest("traffic", self.here.traffic_queries_s, self._changes_of_traffic(now), now),
        ]
        flips = [f for f in found if f is not None]
        return tuple(sorted(flips, key=lambda f: abs(math.log(f.factor))))

    def at(self, axis: Axis, value: float) -> Place:
        """The declared place with one of the four changed."""
        field = {
            "traffic": "traffic_queries_s",
            "latency limit": "limit_ms",
            "price": "price_factor",
            "margin": "margin_usd",
        }[axis]
        return replace(self.here, **{field: value})

    def _nearest(self, axis: Axis, start: float, changes: Sequence[float], now: Winner) -> Flip | None:
        if not (0 < start < math.inf):
            return None
        for value in sorted((c for c in changes if 0 < c < math.inf), key=lambda c: abs(math.log(c / start))):
            up = value >= start
            beyond = self.winner(self.at(axis, value * (1 + HAIR) if up else value * (1 - HAIR)))
            if beyond != now:
                return Flip(axis, start, value, value / start, beyond)
        return None

    def _line_of(self, ensemble: Contender, baseline: Contender, traffic: float, factor: float) -> tuple[Floats, Floats]:
        return margin_line(ensemble.terms, baseline.terms, traffic, self.economics, self.prices, factor)

    def _line(self, price_factor: float) -> tuple[Floats, Floats] | None:
        ensemble, baseline = self.sides(self.here.limit_ms)
        if ensemble is None or baseline is None:
            return None
        return self._line_of(ensemble, baseline, self.here.traffic_queries_s, price_factor)

    def _changes_of_margin(self) -> list[float]:
        line = self._line(self.here.price_factor)
        if line is None:
            return []
        return [float(x) for need in (self._surely, self._hardly) for x in crossings(*line, need)[1]]

    def _changes_of_price(self) -> list[float]:
        """The difference is linear in the price factor too: what it is without machines, less the factor times the machines."""
        free, whole = self._line(0.0), self._line(1.0)
        if free is None or whole is None:
            return []
        without = self.here.margin_usd * free[0] - free[1]
        machines = whole[1] - free[1]
        return [float(x) for need in (self._surely, self._hardly) for x in crossings(-machines, -without, need)[1]]

    def _changes_of_limit(self) -> list[float]:
        return [x for c in self.contenders for x in (c.p99_ms.low, c.p99_ms.high)]

    def _changes_of_traffic(self, now: Winner) -> list[float]:
        found = []
        for direction in (1, -1):
            before = 1.0
            for step in range(1, STEPS + 1):
                factor = FURTHEST ** (direction * step / STEPS)
                if self._with_traffic(factor) != now:
                    found.append(self.here.traffic_queries_s * self._bisect(before, factor, now))
                    break
                before = factor
        return found

    def _with_traffic(self, factor: float) -> Winner:
        return self.winner(self.at("traffic", self.here.traffic_queries_s * factor))

    def _bisect(self, same: float, other: float, now: Winner) -> float:
        """The factor nearest to 1 at which the verdict is another, to a ten-thousandth."""
        while abs(math.log(other / same)) > 1e-4:
            middle = math.sqrt(same * other)
            same, other = (middle, other) if self._with_traffic(middle) == now else (same, middle)
        return other


def flip_sentence(now: Winner, flips: Sequence[Flip]) -> str:
    """What would have to change least for the verdict to be another, in words.

    Parameters
    ----------
    now : str
    flips : sequence of Flip
        The nearest first.
    """
    said = {
        "ensemble": "the ensemble wins",
        "baseline": "the baseline wins",
        "cannot tell": "it cannot be told who wins",
        "nothing meets the limit": "nothing meets the limit",
    }
    if not flips:
        return f"As declared {said[now]}, and no change of traffic, latency limit, price or margin alone alters that."
    near = flips[0]
    unit = {"traffic": "queries a second", "latency limit": "ms", "price": "times the price", "margin": "USD a right answer"}
    where = f"at {near.at:.3g} {unit[near.axis]} ({near.factor:.3g} times what it is)"
    return f"As declared {said[now]}. The nearest flip is in the {near.axis}: {where} {said[near.winner]}."
