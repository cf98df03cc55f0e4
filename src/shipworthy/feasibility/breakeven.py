"""From where on an ensemble pays against a baseline: in traffic, and in what an answer or a point of accuracy is worth.

At a given traffic the difference of two net values is linear in what a right answer earns, so that border is one division. In
traffic it is linear between the steps at which either side holds one copy more, so those borders are one division a step.

This module does *not* know how sure the numbers are that it is given, or how answers were scored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from shipworthy.feasibility.economics import SECONDS_A_MONTH
from shipworthy.feasibility.value import Terms, machines_usd_month
from shipworthy.records import HOURS_A_MONTH, Economics, Floats, Prices

NEVER = math.inf
MOST_TRAFFIC = 1e6
"""Queries a second up to which steps are looked at one by one."""
MOST_STEPS = 200_000


@dataclass(frozen=True, slots=True)
class BreakEven:
    """Where an ensemble begins to pay against one baseline, at expected inputs; infinite is never.

    Parameters
    ----------
    challenger, baseline : str
    traffic_queries_s : float
        As declared; the margin and the point hold at it.
    gain_usd_month : float
        Net value of the challenger less that of the baseline, at the declared traffic and margin.
    pays_from, pays_for_good_from, pays_until : float
        Queries a second: from where on it pays somewhere, from where on without interruption, and from where on no more.
    margin_from_usd, margin_until_usd : float
        What a right answer must earn at least, and may at most; for regression, what a unit of absolute error costs.
    points : float
        Percentage points of right answers that the challenger has more; ``nan`` for regression.
    usd_per_point_month : float
        What a point of accuracy must be worth in a month; ``nan`` for regression.
    sentences : tuple of str
    """

    challenger: str
    baseline: str
    traffic_queries_s: float
    gain_usd_month: float
    pays_from: float
    pays_for_good_from: float
    pays_until: float
    margin_from_usd: float
    margin_until_usd: float
    points: float
    usd_per_point_month: float
    sentences: tuple[str, ...]


def margin_line(
    challenger: Terms,
    baseline: Terms,
    traffic_queries_s: float,
    economics: Economics,
    prices: Prices,
    factor: float | None = None,
) -> tuple[Floats, Floats]:
    """The difference of two net values as a line in the margin: ``difference = margin * slope - cost``.

    Parameters
    ----------
    challenger, baseline : Terms
        Drawn together, or both expected.
    traffic_queries_s : float
    economics : Economics
    prices : Prices
    factor : float, optional
        In place of the drawn price factor.

    Returns
    -------
    slope, cost : ndarray, shape (n,)
        US dollars a month for a margin of one dollar, and US dollars a month.
    """
    queries = SECONDS_A_MONTH * traffic_queries_s
    slope = queries * (challenger.per_margin - baseline.per_margin)
    money = [machines_usd_month(t, traffic_queries_s, economics, prices) for t in (challenger, baseline)]
    machines = (money[0] - money[1]) * (challenger.factor if factor is None else factor)
    lost = queries * (challenger.wrong + challenger.delay - baseline.wrong - baseline.delay)
    return slope, lost + machines + challenger.upkeep - baseline.upkeep


def pays_between(slope: float, cost: float) -> tuple[float, float]:
    """The margins, of 0 or more, at which ``margin * slope - cost`` is not negative.

    Returns
    -------
    from, until : float
        ``(inf, inf)`` where there are none.

    Examples
    --------
    >>> pays_between(2.0, 6.0), pays_between(2.0, -6.0), pays_between(-2.0, -6.0), pays_between(-2.0, 6.0)
    ((3.0, inf), (0.0, inf), (0.0, 3.0), (inf, inf))
    """
    if slope > 0:
        return max(0.0, cost / slope), math.inf
    if cost > 0:
        return NEVER, math.inf
    return 0.0, cost / slope if slope < 0 else math.inf


def _steps(capacity: float, peak: float, up_to: float) -> Floats:
    """The traffic beyond which one copy more is held."""
    return np.asarray(capacity / peak * np.arange(1, min(MOST_STEPS, int(up_to * peak / capacity) + 1) + 1), dtype=np.float64)


def pays_at(challenger: Terms, baseline: Terms, economics: Economics) -> tuple[float, float, float]:
    """The traffic from which the challenger pays, from which it pays without interruption, and from which it pays no more.

    Between two steps the difference of net values is ``traffic * slope - cost``, with the copies of that step in the cost. It
    crosses zero at most once there, at ``cost / slope``.

    Parameters
    ----------
    challenger, baseline : Terms
        Expected terms: one entry.
    economics : Economics

    Returns
    -------
    pays_from, pays_for_good_from, pays_until : float
        Infinite where never; ``pays_until`` is infinite where it pays for good.
    """
    peak = economics.peak_over_mean
    sides = (challenger, baseline)
    hour = [float(t.factor[0]) * t.copy_usd_hour * HOURS_A_MONTH for t in sides]
    capacity = [float(t.capacity_queries_s[0]) for t in sides]
    earned = [float(t.margin[0] * t.per_margin[0] - t.wrong[0] - t.delay[0]) - float(t.factor[0]) * t.request_usd for t in sides]
    fixed = [
        float(t.upkeep[0] + t.factor[0] * t.training_usd) + h * economics.spare_copies for t, h in zip(sides, hour, strict=True)
    ]
    slope, cost = SECONDS_A_MONTH * (earned[0] - earned[1]), fixed[0] - fixed[1]
    if math.isnan(slope + cost):
        return math.nan, math.nan, math.nan
    # In the long run a copy is held for every capacity / peak of traffic, give or take one.
    in_the_long_run = slope - peak * (hour[0] / capacity[0] - hour[1] / capacity[1])
    up_to = min(MOST_TRAFFIC, *(MOST_STEPS * c / peak for c in capacity))
    ends = np.unique(np.concatenate([[up_to], *(_steps(c, peak, up_to) for c in capacity)]))
    ends = ends[ends <= up_to]
    starts = np.concatenate([[0.0], ends[:-1]])
    middle = (starts + ends) / 2
    held = [np.maximum(1.0, np.ceil(middle * peak / c)) * h for c, h in zip(capacity, hour, strict=True)]
    costs = cost + held[0] - held[1]
    # Of each piece, from the first traffic at which it pays to the last; an empty piece runs backwards.
    if slope > 0:
        first, last = np.maximum(starts, costs / slope), ends
    elif slope < 0:
        first, last = starts, np.minimum(ends, costs / slope)
    else:
        first, last = np.where(costs <= 0, starts, math.inf), ends
    there = first < last
    # Where the steps end, the long run has decided.
    for_good = in_the_long_run > 0 or (in_the_long_run == 0 and bool(there[-1]) and last[-1] >= up_to)
    if not there.any():
        beyond = (cost + hour[0]) / in_the_long_run if in_the_long_run > 0 else NEVER
        return beyond, beyond, math.inf
    pays_from = float(first[there][0])
    if not for_good:
        return pays_from, NEVER, float(last[there][-1])
    interrupted = np.flatnonzero(~there | (first > starts) | (last < ends))
    if len(interrupted) == 0:
        return pays_from, pays_from, math.inf
    at = int(interrupted[-1])
    resumes = float(first[at]) if there[at] and last[at] >= ends[at] else float(ends[at])
    return pays_from, max(resumes, pays_from), math.inf


def break_even(challenger: Terms, baseline: Terms, traffic_queries_s: float, economics: Economics, prices: Prices) -> BreakEven:
    """Where the challenger begins to pay against the baseline.

    Parameters
    ----------
    challenger, baseline : Terms
        As from :func:`~shipworthy.feasibility.value.expected_terms`.
    traffic_queries_s : float
    economics : Economics
    prices : Prices

    Returns
    -------
    BreakEven
    """
    slopes, costs = margin_line(challenger, baseline, traffic_queries_s, economics, prices)
    slope, cost = float(slopes[0]), float(costs[0])
    margin_from, margin_until = pays_between(slope, cost)
    queries = SECONDS_A_MONTH * traffic_queries_s
    classified = challenger.case.answers is not None and challenger.case.answers.outcomes[0] == "correct"
    points = 100 * float(challenger.per_margin[0] - baseline.per_margin[0]) if classified else math.nan
    dearer = cost - queries * float(challenger.wrong[0] - baseline.wrong[0])
    per_point = math.nan
    if classified:
        per_point = pays_between(points, dearer)[0]
    pays_from, for_good, until = pays_at(challenger, baseline, economics)
    found = BreakEven(
        challenger=challenger.case.candidate,
        baseline=baseline.case.candidate,
        traffic_queries_s=traffic_queries_s,
        gain_usd_month=float(challenger.margin[0]) * slope - cost,
        pays_from=pays_from,
        pays_for_good_from=for_good,
        pays_until=until,
        margin_from_usd=margin_from,
        margin_until_usd=margin_until,
        points=points,
        usd_per_point_month=per_point,
        sentences=(),
    )
    sentences = (
        _of_traffic(found),
        _of_margin(found, classified=classified),
        *([_of_points(found, dearer)] if classified else []),
    )
    return BreakEven(**{name: getattr(found, name) for name in BreakEven.__slots__ if name != "sentences"}, sentences=sentences)


def _usd(value: float) -> str:
    return f"{value:,.0f} USD" if abs(value) >= 100 else f"{value:.3g} USD"


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _of_traffic(found: BreakEven) -> str:
    who = f"{found.challenger} against {found.baseline}"
    if math.isinf(found.pays_from):
        return (
            f"At no traffic does {who} pay: what an answer of it is worth more, if anything, does not carry what it costs more."
        )
    if found.pays_from == found.pays_for_good_from == 0:
        return f"At any traffic {who} pays."
    if math.isinf(found.pays_for_good_from):
        begin = "up to" if found.pays_from == 0 else f"from {_rate(found.pays_from)} to"
        return (
            f"In traffic, {who} pays {begin} {_rate(found.pays_until)} queries a second at most; beyond, the machines that it "
            "needs more eat up the gain."
        )
    if math.isclose(found.pays_from, found.pays_for_good_from, rel_tol=1e-9):
        return f"In traffic, {who} pays from {_rate(found.pays_from)} queries a second on."
    return (
        f"In traffic, {who} pays here and there from {_rate(found.pays_from)} queries a second, as copies are whole, and "
        f"without interruption from {_rate(found.pays_for_good_from)} on."
    )


def _of_margin(found: BreakEven, *, classified: bool) -> str:
    what = "a right answer earns" if classified else "a unit of absolute error costs"
    place = f"At {found.traffic_queries_s:g} queries a second {found.challenger}"
    if math.isinf(found.margin_from_usd):
        return f"{place} never pays against {found.baseline}, whatever {what}."
    if math.isfinite(found.margin_until_usd):
        return f"{place} pays against {found.baseline} only while {what} at most {_usd(found.margin_until_usd)}."
    if found.margin_from_usd == 0:
        return f"{place} pays against {found.baseline} whatever {what}."
    return f"{place} pays against {found.baseline} if {what} at least {_usd(found.margin_from_usd)}."


def _of_points(found: BreakEven, dearer: float) -> str:
    if math.isnan(found.points + dearer):
        return "What a point of accuracy must be worth cannot be said, as a cost was not measured."
    unit = "percentage point" if f"{abs(found.points):.3g}" == "1" else "percentage points"
    side = f"{abs(found.points):.3g} {unit} {'more' if found.points >= 0 else 'fewer'} right answers"
    bill = f"for {_usd(abs(dearer))} {'more' if dearer >= 0 else 'less'} a month, waiting included"
    if math.isinf(found.usd_per_point_month):
        return f"It gives {side} {bill}: no value of a point of accuracy pays for that."
    if dearer <= 0:
        return f"It gives {side} {bill}."
    return f"It gives {side} {bill}: a point of accuracy must be worth {_usd(found.usd_per_point_month)} a month."
