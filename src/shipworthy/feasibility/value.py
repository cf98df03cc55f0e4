"""What a candidate earns and costs in a month, with an interval from drawing what is uncertain: an estimate throughout.

.. code-block:: text

    net value = queries a month * (value of answers - value lost to waiting) - price factor * (serving + retraining) - upkeep

Candidates are drawn together: the same prices, values and test rows for all, so that differences between them are paired.

This module does *not* know where answers were scored, how latencies were measured, or which candidate should ship.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from shipworthy.feasibility.economics import (
    MILLION,
    SECONDS_A_MONTH,
    copy_hour_usd,
    serving_usd_month,
    training_usd_month,
)
from shipworthy.records import Amount, Economics, Floats, Interval, Ints, Prices, Record, expected

CORRECT, FALSE_POSITIVE, FALSE_NEGATIVE, ABSOLUTE_ERROR, WRONG = (
    "correct",
    "false positive",
    "false negative",
    "absolute error",
    "wrong: ",
)
QUARTER = 4
"""Clouds sell processors by the quarter."""
CELLS_AT_ONCE = 4_000_000
"""Clusters times resamples whose weights are held at once: 64 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """How often a candidate's answers came out in each way, on test rows, and on resamples of them.

    Parameters
    ----------
    outcomes : tuple of str
        ``correct``, ``false positive`` and ``false negative``; or ``correct`` and ``wrong: <true class>`` for each class; or
        ``absolute error`` alone.
    shares : ndarray, shape (n_outcomes,)
        Share of the rows; or the mean absolute error.
    resampled : ndarray, shape (n_resamples, n_outcomes)
        The same on bootstrap resamples, which are the same for every candidate.
    oof_shares : ndarray, shape (n_outcomes,)
        The same on out-of-fold rows: what may be chosen by.
    n : int
        Test rows.
    how : str
        Where a probability becomes an answer, in words.
    """

    outcomes: tuple[str, ...]
    shares: Floats
    resampled: Floats
    oof_shares: Floats
    n: int
    how: str

    @property
    def correct(self) -> float:
        """Share of right answers; ``nan`` for regression."""
        return float(self.shares[0]) if self.outcomes[0] == CORRECT else math.nan


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One candidate as the money sees it.

    Parameters
    ----------
    candidate, kind : str
    latency_ms : Interval
        Mean latency of a single query.
    capacity_queries_s : Interval
        What one copy keeps up with; ``how`` says where it is from.
    vcpus : float
        Processors that a copy holds.
    memory_mib, fit_cpu_s : float
    parts : int
        Parts that can fail.
    answers : Answers or None
    """

    candidate: str
    kind: str
    latency_ms: Interval
    capacity_queries_s: Interval
    vcpus: float
    memory_mib: float
    fit_cpu_s: float
    parts: int
    answers: Answers | None = None


def _interval(record: Record, how: str, scale: float = 1.0) -> Interval:
    low, high = (x if math.isfinite(x) else record.value for x in (record.low, record.high))
    return Interval(scale * record.value, scale * low, scale * high, math.nan, how)


def make_case(
    candidate: str, kind: str, parts: int, records: Iterable[Record], economics: Economics, answers: Answers | None = None
) -> Case | None:
    """A case from the records of one candidate, data set, seed and level.

    The capacity is the highest sustainable rate that was measured (``throughput_rows_s`` of scenario ``server``); without one, a
    copy that is busy for ``most_utilisation`` of the time at the mean single-stream latency. A copy holds one processor, or as
    many as a query keeps busy, to the quarter.

    Parameters
    ----------
    candidate, kind : str
    parts : int
    records : iterable of Record
    economics : Economics
    answers : Answers, optional

    Returns
    -------
    Case or None
        ``None`` where latency or memory was not measured.
    """
    found: dict[tuple[str, str], Record] = {}
    for r in records:
        if (
            math.isfinite(r.value)
            and not r.group
            and r.statistic in ("mean", "value")
            and (r.scenario != "single_stream" or r.batch_size == 1)
        ):
            key = (r.quantity, r.scenario)
            if key not in found or r.value > found[key].value:
                found[key] = r
    latency, memory = found.get(("latency_ms", "single_stream")), found.get(("memory_mib", "none"))
    if latency is None or memory is None or latency.value <= 0:
        return None
    cpu, server = found.get(("cpu_ms", "single_stream")), found.get(("throughput_rows_s", "server"))
    if server is not None and server.value > 0:
        capacity = _interval(server, "the highest sustainable rate that was measured")
    else:
        how = f"1 / mean latency, at most {100 * economics.most_utilisation:g} % busy, as no sustainable rate was measured"
        time = _interval(latency, how)
        rate = 1000 * economics.most_utilisation
        low = time.low if time.low > 0 else time.value
        capacity = Interval(rate / time.value, rate / time.high, rate / low, math.nan, how)
    busy = cpu.value / latency.value if cpu is not None else 1.0
    fit = next((found[key] for key in found if key[0] == "fit_cpu_s"), None)
    return Case(
        candidate=candidate,
        kind=kind,
        latency_ms=_interval(latency, "mean single-stream latency"),
        capacity_queries_s=capacity,
        vcpus=max(1.0, round(busy * QUARTER) / QUARTER),
        memory_mib=memory.value,
        fit_cpu_s=fit.value if fit is not None else math.nan,
        parts=parts,
        answers=answers,
    )


def resample_shares(
    codes: Sequence[Ints], n_outcomes: int, n_resamples: int, rng: np.random.Generator, cluster: Ints | None = None
) -> list[Floats]:
    """Bootstrap shares of the outcomes of several candidates on the same rows, all on the same resamples.

    Without clusters, rows on which every candidate came out alike are interchangeable, so their counts are drawn at once: a
    multinomial draw over the kinds of rows *is* the bootstrap over rows.

    Parameters
    ----------
    codes : sequence of ndarray of int, each of shape (n_rows,)
        Outcome of each row, one array a candidate.
    n_outcomes, n_resamples : int
    rng : numpy.random.Generator
    cluster : ndarray of int, shape (n_rows,), optional
        What each row belongs to: whole clusters are drawn then, as for the verdicts.

    Returns
    -------
    list of ndarray, each of shape (n_resamples, n_outcomes)
    """
    if cluster is None:
        kinds, counts = np.unique(np.stack(codes, axis=1), axis=0, return_counts=True)
        n = int(counts.sum())
        drawn = rng.multinomial(n, counts / n, size=n_resamples) / n
        return [drawn @ np.eye(n_outcomes)[kinds[:, i]] for i in range(kinds.shape[1])]
    shares = _clustered_means(np.hstack([np.eye(n_outcomes)[code] for code in codes]), cluster, n_resamples, rng)
    return np.split(shares, len(codes), axis=1)


def resample_means(
    errors: Sequence[Floats], n_resamples: int, rng: np.random.Generator, cluster: Ints | None = None
) -> list[Floats]:
    """Bootstrap means of several candidates' errors on the same rows, all on the same resamples.

    Parameters
    ----------
    errors : sequence of ndarray, each of shape (n_rows,)
    n_resamples : int
    rng : numpy.random.Generator
    cluster : ndarray of int, shape (n_rows,), optional
        What each row belongs to: whole clusters are drawn then, as for the verdicts.

    Returns
    -------
    list of ndarray, each of shape (n_resamples, 1)
    """
    table = np.stack(errors, axis=1)
    means = _clustered_means(table, np.arange(len(table)) if cluster is None else cluster, n_resamples, rng)
    return np.split(means, len(errors), axis=1)


def _clustered_means(table: Floats, cluster: Ints, n_resamples: int, rng: np.random.Generator) -> Floats:
    """Means over rows of each column where whole clusters are drawn, as many as there are; shape (n_resamples, n_columns).

    A resample has as many rows as its clusters bring (Davison and Hinkley 1997, section 3.8).
    """
    _, member = np.unique(cluster, return_inverse=True)
    k = int(member.max()) + 1
    sums = np.zeros((k, table.shape[1] + 1))
    np.add.at(sums, member, np.hstack([table, np.ones((len(table), 1))]))
    totals = np.empty((n_resamples, sums.shape[1]))
    step = max(1, CELLS_AT_ONCE // k)
    for start in range(0, n_resamples, step):
        part = totals[start : start + step]
        times = np.stack([np.bincount(rng.integers(0, k, k), minlength=k) for _ in part])
        part[:] = times.astype(np.float64) @ sums
    return np.asarray(totals[:, :-1] / totals[:, -1:])


def best_threshold(positive: Floats, y: Ints, economics: Economics) -> float:
    """The threshold on the probability of the positive class at which answers would have earned most, at expected values.

    Parameters
    ----------
    positive : ndarray, shape (n_rows,)
        Out-of-fold probabilities of the positive class.
    y : ndarray of int, shape (n_rows,)
        1 for the positive class.
    economics : Economics

    Returns
    -------
    float
        A row counts as positive from the threshold on. Halfway between two probabilities that were said; of thresholds that
        earn the same, the one nearest to one half.

    Examples
    --------
    A missed positive costs ten times a false alarm, so even a doubtful row is called positive:

    >>> economics = Economics(false_positive_usd=(1.0,), false_negative_usd=(10.0,))
    >>> round(best_threshold(np.array([0.1, 0.2, 0.6, 0.8]), np.array([0, 1, 0, 1]), economics), 9)
    0.15
    """
    right = expected(economics.correct_usd)
    alarm, miss = expected(economics.false_positive_usd), expected(economics.false_negative_usd)
    said, at = np.unique(positive, return_inverse=True)
    is_positive = np.bincount(at, weights=y == 1, minlength=len(said))
    is_negative = np.bincount(at, weights=y != 1, minlength=len(said))
    # Threshold k calls positive whatever is said[k] or more; threshold len(said) calls nothing positive.
    above = np.concatenate([np.cumsum(is_positive[::-1])[::-1], [0]]), np.concatenate([np.cumsum(is_negative[::-1])[::-1], [0]])
    below = is_positive.sum() - above[0], is_negative.sum() - above[1]
    earned = right * (above[0] + below[1]) - alarm * above[1] - miss * below[0]
    edges = np.concatenate([[said[0] / 2], (said[1:] + said[:-1]) / 2, [max((said[-1] + 1) / 2, np.nextafter(said[-1], 2))]])
    best = np.isclose(earned, earned.max(), rtol=1e-12, atol=0)
    return float(min(edges[best], key=lambda edge: abs(edge - 0.5)))


def worth(outcome: str, amounts: Mapping[str, Floats]) -> Floats:
    """What one answer of this outcome earns (USD), negative where it costs; ``amounts`` as from :func:`draw_amounts`."""
    if outcome == CORRECT:
        return amounts["correct_usd"]
    if outcome.startswith(WRONG):
        own = f"wrong_class_usd.{outcome.removeprefix(WRONG)}"
        return -amounts[own if own in amounts else "wrong_usd"]
    return -amounts[
        {FALSE_POSITIVE: "false_positive_usd", FALSE_NEGATIVE: "false_negative_usd"}.get(outcome, "absolute_error_usd")
    ]


def _named(economics: Economics) -> dict[str, Amount]:
    """Every amount by name, in the order of the fields."""
    fields = [
        *("correct_usd", "false_positive_usd", "false_negative_usd", "wrong_usd", "absolute_error_usd", "per_100_ms_usd"),
        *("price_factor", "upkeep_hours_per_part", "person_hour_usd"),
    ]
    named: dict[str, Amount] = {name: getattr(economics, name) for name in fields}
    return named | {f"wrong_class_usd.{key}": economics.wrong_class_usd[key] for key in sorted(economics.wrong_class_usd)}


def draw(low: float, likely: float | None, high: float, u: Floats) -> Floats:
    """Values by inverting the distribution function: triangular, or uniform where nothing is likely.

    Parameters
    ----------
    low, high : float
    likely : float or None
    u : ndarray
        Uniform on [0, 1).

    Examples
    --------
    >>> draw(0.0, 1.0, 2.0, np.array([0.0, 0.5, 0.875])).tolist(), draw(2.0, None, 4.0, np.array([0.5])).tolist()
    ([0.0, 1.0, 1.5], [3.0])
    """
    if likely is None or high <= low:
        return low + (high - low) * u
    rise = (likely - low) / (high - low)
    left = low + np.sqrt(u * (high - low) * (likely - low))
    right = high - np.sqrt((1 - u) * (high - low) * (high - likely))
    return np.where(u < rise, left, right)


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """A candidate's month, taken apart so that traffic, margin and price can be changed; arrays hold one entry a draw.

    ``net = queries * (margin * per_margin - wrong - delay) - factor * machines - upkeep``, by the names below.

    Parameters
    ----------
    case : Case
    per_margin : ndarray, shape (n,)
        Right answers a query; for regression less the mean absolute error.
    margin : ndarray, shape (n,)
        What a right answer earns, or a unit of absolute error costs.
    wrong, delay : ndarray, shape (n,)
        What wrong answers cost a query, and what waiting does.
    capacity_queries_s : ndarray, shape (n,)
    copy_usd_hour, request_usd, training_usd : float
        Prices at factor 1.
    factor, upkeep : ndarray, shape (n,)
    """

    case: Case
    per_margin: Floats
    margin: Floats
    wrong: Floats
    delay: Floats
    capacity_queries_s: Floats
    copy_usd_hour: float
    request_usd: float
    training_usd: float
    factor: Floats
    upkeep: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Month:
    """A month of a candidate, in US dollars; each of shape (n,), one entry a draw."""

    answers: Floats
    delay: Floats
    serving: Floats
    training: Floats
    upkeep: Floats

    @property
    def net(self) -> Floats:
        """Answers less everything else."""
        return self.answers - self.delay - self.serving - self.training - self.upkeep


def _terms(
    case: Case,
    shares: Floats | None,
    drawn: Mapping[str, Floats],
    latency: Floats,
    capacity: Floats,
    economics: Economics,
    prices: Prices,
) -> Terms:
    n = len(latency)
    per_margin, margin, wrong = np.full(n, math.nan), np.full(n, math.nan), np.full(n, math.nan)
    if case.answers is not None and shares is not None:
        first = case.answers.outcomes[0]
        margin = drawn["correct_usd" if first == CORRECT else "absolute_error_usd"]
        per_margin = shares[:, 0] if first == CORRECT else -shares[:, 0]
        parts = [-worth(name, drawn) * shares[:, i] for i, name in enumerate(case.answers.outcomes) if i]
        wrong = np.sum(parts, axis=0) if parts else np.zeros(n)
    return Terms(
        case=case,
        per_margin=per_margin,
        margin=margin,
        wrong=wrong,
        delay=drawn["per_100_ms_usd"] * latency / 100,
        capacity_queries_s=capacity,
        copy_usd_hour=copy_hour_usd(case.vcpus, case.memory_mib, prices, economics),
        request_usd=prices.request_usd,
        training_usd=training_usd_month(case.fit_cpu_s, prices, economics),
        factor=drawn["price_factor"],
        upkeep=case.parts * drawn["upkeep_hours_per_part"] * drawn["person_hour_usd"],
    )


def expected_terms(case: Case, economics: Economics, prices: Prices, *, out_of_fold: bool = False) -> Terms:
    """The terms at expected inputs: one entry, nothing drawn.

    Parameters
    ----------
    case : Case
    economics : Economics
    prices : Prices
    out_of_fold : bool
        With the answers on out-of-fold rows: to choose by, where test rows must not.
    """
    drawn = {name: np.array([expected(amount)]) for name, amount in _named(economics).items()}
    shares = None if case.answers is None else (case.answers.oof_shares if out_of_fold else case.answers.shares)[None, :]
    latency, capacity = np.array([case.latency_ms.value]), np.array([case.capacity_queries_s.value])
    return _terms(case, shares, drawn, latency, capacity, economics, prices)


def draw_terms(cases: Sequence[Case], economics: Economics, prices: Prices, rng: np.random.Generator) -> list[Terms]:
    """Draw what is uncertain: declared ranges, resampled answers, and latency and capacity within their measured intervals.

    Amounts and resamples are the same for every case; a measured interval is drawn as a triangle over its ends and its value.

    Parameters
    ----------
    cases : sequence of Case
    economics : Economics
    prices : Prices
    rng : numpy.random.Generator

    Returns
    -------
    list of Terms
        One a case, in their order, each with ``economics.draws`` entries.
    """
    n = economics.draws
    drawn: dict[str, Floats] = {}
    for name, amount in _named(economics).items():
        drawn[name] = draw(amount[0], amount[1] if len(amount) == 3 else None, amount[-1], rng.random(n))
    which = rng.random(n)
    terms = []
    for case in cases:
        latency, capacity = (draw(m.low, m.value, m.high, rng.random(n)) for m in (case.latency_ms, case.capacity_queries_s))
        shares = None
        if case.answers is not None:
            shares = case.answers.resampled[(which * len(case.answers.resampled)).astype(int)]
        terms.append(_terms(case, shares, drawn, latency, capacity, economics, prices))
    return terms


def join_terms(several: Sequence[Terms]) -> Terms:
    """The terms of one candidate under several seeds, put together: draws side by side, prices of a copy on average.

    Parameters
    ----------
    several : sequence of Terms
        One a seed, at least one.

    Returns
    -------
    Terms
    """
    arrays = ("per_margin", "margin", "wrong", "delay", "capacity_queries_s", "factor", "upkeep")
    numbers = ("copy_usd_hour", "training_usd")
    changed: dict[str, Any] = {name: np.concatenate([getattr(t, name) for t in several]) for name in arrays}
    changed |= {name: float(np.mean([getattr(t, name) for t in several])) for name in numbers}
    return replace(several[0], **changed)


def mean_terms(several: Sequence[Terms]) -> Terms:
    """The mean of one candidate's expected terms over several seeds: one entry."""
    joined = join_terms(several)
    arrays = ("per_margin", "margin", "wrong", "delay", "capacity_queries_s", "factor", "upkeep")
    means: dict[str, Any] = {name: np.array([float(np.mean(getattr(joined, name)))]) for name in arrays}
    return replace(joined, **means)


def machines_usd_month(terms: Terms, traffic_queries_s: float, economics: Economics, prices: Prices) -> Floats:
    """Serving and retraining of a month at price factor 1; shape (n,)."""
    serving = serving_usd_month(traffic_queries_s, terms.capacity_queries_s, terms.copy_usd_hour, prices, economics)
    return serving + terms.training_usd


def month(terms: Terms, traffic_queries_s: float, economics: Economics, prices: Prices) -> Month:
    """What a candidate earns and costs in a month at this traffic.

    Parameters
    ----------
    terms : Terms
    traffic_queries_s : float
    economics : Economics
    prices : Prices

    Returns
    -------
    Month
    """
    queries = SECONDS_A_MONTH * traffic_queries_s
    serving = serving_usd_month(traffic_queries_s, terms.capacity_queries_s, terms.copy_usd_hour, prices, economics)
    return Month(
        answers=queries * (terms.margin * terms.per_margin - terms.wrong),
        delay=queries * terms.delay,
        serving=terms.factor * serving,
        training=terms.factor * terms.training_usd,
        upkeep=terms.upkeep,
    )


def money_of(
    cases: Sequence[Case],
    economics: Economics,
    prices: Prices,
    traffic_queries_s: float,
    confidence: float,
    rng: np.random.Generator,
) -> list[dict[str, Interval]]:
    """Estimated money of each case, by quantity, at expected inputs with an interval from the draws.

    Parameters
    ----------
    cases : sequence of Case
    economics : Economics
    prices : Prices
    traffic_queries_s : float
    confidence : float
        Of the central interval of the draws.
    rng : numpy.random.Generator

    Returns
    -------
    list of dict of str to Interval
        For each case ``usd_per_million`` (of the held copies), ``usd_per_month``, ``training_usd_month`` and
        ``upkeep_usd_month``; with answers also ``answers_usd_month``, ``delay_usd_month`` and ``net_value_usd_month``.
    """
    sampled = draw_terms(cases, economics, prices, rng)
    million = MILLION / (SECONDS_A_MONTH * traffic_queries_s)
    out = []
    for case, terms in zip(cases, sampled, strict=True):
        point = month(expected_terms(case, economics, prices), traffic_queries_s, economics, prices)
        cloud = month(terms, traffic_queries_s, economics, prices)
        pairs = {
            "usd_per_million": (point.serving * million, cloud.serving * million),
            "usd_per_month": (point.serving, cloud.serving),
            "training_usd_month": (point.training, cloud.training),
            "upkeep_usd_month": (point.upkeep, cloud.upkeep),
        }
        if case.answers is not None:
            pairs |= {"answers_usd_month": (point.answers, cloud.answers), "delay_usd_month": (point.delay, cloud.delay)}
            pairs |= {"net_value_usd_month": (point.net, cloud.net)}
        how = f"{economics.draws:,} draws of what is uncertain; an estimate"
        out.append({name: summary(value, values, confidence, how) for name, (value, values) in pairs.items()})
    return out


def summary(value: Floats, values: Floats, confidence: float, how: str) -> Interval:
    """A value at expected inputs, with the central interval of its draws, widened to the value where that lies outside."""
    tail = (1 - confidence) / 2
    point = float(np.ravel(value)[0])
    low, high = (float(x) for x in np.quantile(np.broadcast_to(values, np.shape(values) or (1,)), [tail, 1 - tail]))
    return Interval(point, min(low, point), max(high, point), confidence, how)
