"""Says whether a candidate keeps a requirement: met, missed, or undecided, with the reason in a sentence.

A percentile is judged by distribution-free bounds at 99 %, whatever confidence the study asks of accuracies: enough queries, or
no claim. What a requirement leaves open (scenario, batch size, seed) must hold everywhere it was measured: the worst decides.

This module does *not* know how queries were sent, or what a missed requirement means for shipping.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shipworthy.records import (
    QUANTITIES,
    InputError,
    Measurement,
    Quantity,
    Record,
    Requirement,
    RequirementOutcome,
    RequirementVerdict,
)

PERCENTILE_CONFIDENCE = 0.99
"""MLPerf LoadGen's early stopping: 459 queries with none over the limit, or 662 with one, before a p99 is met."""
MEMORY_REPEATS_TO = 0.005
"""Memory of fresh children repeats to 0.5 %; a limit closer than that is not decided by one reading."""
ACCURACIES = ("log_loss", "brier", "roc_auc", "average_precision", "accuracy", "calibration_error", "rmse", "mae", "r2")
TIMES_OF_A_QUERY = ("latency_ms", "cpu_ms", "build_ms", "preprocess_ms", "model_ms", "rest_ms")
AT_MOST_ONE = ("roc_auc", "average_precision", "accuracy", "r2")
UNITS_OF_A_SERVICE = ("ms", "s", "rows/s", "MiB", "USD")
"""Of quantities that a service has once, for all groups of rows together."""
OTHER_UNITS = ("ns", "us", "ms", "s", "min", "kib", "kb", "mib", "mb", "gib", "gb", "rows_s", "queries_s", "rps", "qps")
_WORST_FIRST: tuple[RequirementOutcome, ...] = ("missed", "undecided", "met")


def check_requirement(requirement: Requirement) -> None:
    """Refuse a requirement that no measurement could decide.

    Parameters
    ----------
    requirement : Requirement

    Raises
    ------
    InputError
        If the quantity is unknown, both limits or none are given, the limit points the wrong way or cannot be reached, a
        percentile is asked of an accuracy, the time of a query is limited without a scenario, or a group is asked of what a
        service has one of.
    """
    name, quantity = f"requirement {requirement.name!r}", requirement.quantity
    known = _known(name, quantity)
    if requirement.group and known.unit in UNITS_OF_A_SERVICE:
        raise InputError(f"{name}: {quantity} is not measured by group; leave group out, or limit an accuracy of the group")
    if (requirement.at_most is None) == (requirement.at_least is None):
        raise InputError(f"{name}: give exactly one of at_most and at_least")
    better, side = ("greater", "at_least") if known.greater_is_better else ("smaller", "at_most")
    if getattr(requirement, side) is None:
        raise InputError(f"{name}: {quantity} is better when it is {better}, so limit it with {side}")
    if not math.isfinite(requirement.limit):
        raise InputError(f"{name}: {side} must be a finite number, not {requirement.limit!r}")
    if side == "at_most" and requirement.limit <= 0:
        raise InputError(f"{name}: {quantity} is never below 0, so at_most must be above 0, not {requirement.limit:g}")
    if quantity in AT_MOST_ONE and requirement.limit > 1:
        raise InputError(f"{name}: {quantity} is never above 1, so at_least {requirement.limit:g} cannot be met")
    if quantity in ACCURACIES and requirement.statistic != "mean":
        raise InputError(
            f"{name}: {quantity} is one number for all test rows, so its statistic is 'mean', not {requirement.statistic!r}"
        )
    if quantity in TIMES_OF_A_QUERY and requirement.scenario == "none":
        raise InputError(f"{name}: {quantity} depends on how queries arrive; name a scenario, for example single_stream")


def _known(name: str, quantity: str) -> Quantity:
    if quantity in QUANTITIES:
        return QUANTITIES[quantity]
    if meant := measured_in(quantity):
        raise InputError(f"{name}: {quantity!r} mixes units: here it is {meant}, so give its limit in {QUANTITIES[meant].unit}")
    raise InputError(f"{name}: unknown quantity {quantity!r}; the quantities are {', '.join(QUANTITIES)}")


def measured_in(quantity: str) -> str:
    """The quantity that a name with another unit means; empty if there is none.

    Examples
    --------
    >>> measured_in("latency_s"), measured_in("memory_gib"), measured_in("speed")
    ('latency_ms', 'memory_mib', '')
    """
    stems = [quantity.removesuffix(f"_{unit}") for unit in OTHER_UNITS if quantity.endswith(f"_{unit}")]
    endings = ("_ms", "_s", "_rows_s", "_mib")
    return next((f"{stem}{end}" for stem in stems for end in endings if f"{stem}{end}" in QUANTITIES), "")


def times_off(requirement: Requirement, observed: float) -> float:
    """The factor by which an observed value passes the limit: above 1 the limit is not kept, below 1 the rest is room.

    ``observed / limit`` for an upper limit and ``limit / observed`` for a lower one; infinite where no factor reaches from one to
    the other, as from nothing to a lower limit. ``nan`` if nothing was observed.

    Examples
    --------
    >>> fast = Requirement(name="fast", quantity="latency_ms", statistic="p99", at_most=50, scenario="single_stream")
    >>> good = Requirement(name="good", quantity="roc_auc", at_least=0.9)
    >>> times_off(fast, 75.0), times_off(good, 0.6), times_off(fast, 25.0)
    (1.5, 1.5, 0.5)
    """
    limit = requirement.limit
    if math.isnan(observed):
        return math.nan
    if requirement.at_most is not None:
        return max(0.0, observed) / limit
    if limit > 0:
        return limit / observed if observed > 0 else math.inf
    # Only an R squared has a lower limit at or below 0.
    if observed >= limit:
        return max(0.0, observed / limit) if limit else 1.0 if observed == 0 else 0.0
    return observed / limit if limit else math.inf


def queries_needed(over: int, percentile: float, confidence: float = PERCENTILE_CONFIDENCE) -> int:
    """The fewest queries of which ``over`` may exceed a limit while the percentile is still shown to keep it.

    The smallest ``n`` with ``P(Binomial(n, 1 - percentile/100) <= over) <= 1 - confidence``.

    Examples
    --------
    >>> queries_needed(0, 99), queries_needed(1, 99)
    (459, 662)
    """
    from scipy.stats import binom

    def enough(n: int) -> bool:
        return bool(binom.cdf(over, n, 1 - percentile / 100) <= 1 - confidence)

    high = over + 1
    while not enough(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


@dataclass(frozen=True, slots=True)
class _Finding:
    outcome: RequirementOutcome
    observed: float
    low: float
    high: float
    n: int
    reason: str

    @property
    def badness(self) -> int:
        return _WORST_FIRST.index(self.outcome)


def assess(
    requirement: Requirement,
    candidate: str,
    dataset: str,
    measurements: Sequence[Measurement],
    records: Sequence[Record],
    *,
    level: str = "",
    artefacts: Sequence[str] = (),
) -> RequirementVerdict:
    """Judge one candidate by one requirement.

    Parameters
    ----------
    requirement : Requirement
    candidate, dataset : str
    measurements : sequence of Measurement
        Raw values; those of other candidates, data sets and quantities are passed over. Percentiles and maxima are judged by
        these alone.
    records : sequence of Record
        Statistics with intervals: a mean is judged by its record where that has an interval, else by the spread of the rounds.
    level : str
        Level of what is swept, carried into the verdict.
    artefacts : sequence of str
        Fingerprints of the artefacts that would be shipped: a limit is not called met or missed by what was measured on another.
        Empty where they are not known.

    Returns
    -------
    RequirementVerdict
        The worst of what was found wherever the requirement leaves scenario, batch size or seed open; ``n`` counts the values
        of all of these together. A bound that cannot be stated is infinite; what was not measured is ``nan``.

    Raises
    ------
    InputError
        If the requirement is unusable (see :func:`check_requirement`).
    """
    check_requirement(requirement)
    subject = [m for m in measurements if (m.candidate, m.dataset) == (candidate, dataset) and _asks(requirement, m)]
    stated = [r for r in records if (r.candidate, r.dataset) == (candidate, dataset) and _states(requirement, r)]
    loaded = dict.fromkeys([m.conditions.artefact for m in subject] + [_artefact_of(r) for r in stated])
    measured_on = tuple(a for a in loaded if a)
    findings: list[_Finding] = []
    if artefacts and (others := [a for a in measured_on if a not in artefacts]):
        findings = [_nothing(f"{_label(requirement)} was measured on artefact {others[0]}, which is not the one to be shipped")]
        subject, stated = [], []
    if requirement.statistic == "mean":
        findings += [_by_interval(requirement, r.value, (r.low, r.high), r.n, "") for r in stated]
        covered = {(r.scenario, r.batch_size, r.seed) for r in stated}
        subject = [
            m
            for m in subject
            if (m.conditions.scenario, m.conditions.batch_size, m.conditions.seed) not in covered or not m.values
        ]
    findings += [_by_values(requirement, m) for m in subject]
    if not findings:
        where = "" if requirement.scenario == "none" else f" under {requirement.scenario}"
        where += "" if requirement.batch_size is None else f" at batch size {requirement.batch_size:,}"
        where += f" for the group {requirement.group!r}" if requirement.group else ""
        findings = [_nothing(f"{_label(requirement)} was not measured{where}")]
    worst = min(findings, key=lambda f: (f.badness, _ease(requirement, f.observed)))
    reason = worst.reason if len(findings) == 1 else f"{worst.reason} (the worst of {len(findings)} conditions measured)"
    return RequirementVerdict(
        requirement=requirement.name,
        candidate=candidate,
        dataset=dataset,
        outcome=worst.outcome,
        observed=worst.observed,
        low=worst.low,
        high=worst.high,
        limit=requirement.limit,
        n=sum(f.n for f in findings),  # not the worst's: which is worst is the clock's to say, and counts must repeat
        reason=reason,
        level=level,
        times_off=times_off(requirement, worst.observed),
        weight=math.nan if requirement.weight is None else requirement.weight,
        artefact=", ".join(measured_on),
    )


def _artefact_of(record: Record) -> str:
    """Fingerprint of the artefact that a record was measured on; empty where none is noted, as of an accuracy."""
    return str(json.loads(record.conditions).get("artefact") or "") if "artefact" in record.conditions else ""


def _asks(requirement: Requirement, measurement: Measurement) -> bool:
    conditions = measurement.conditions
    return (
        measurement.quantity == requirement.quantity
        and requirement.scenario in ("none", conditions.scenario)
        and requirement.batch_size in (None, conditions.batch_size)
    )


def _states(requirement: Requirement, record: Record) -> bool:
    """Whether a record says what a limit on a mean asks, with an interval or as a number without chance in it."""
    if record.quantity != requirement.quantity or record.group != requirement.group or not math.isfinite(record.value):
        return False
    if record.quantity in ACCURACIES:
        return record.statistic in ("test", "mean")
    return (
        record.statistic in ("mean", "value", "estimate")
        and requirement.scenario in ("none", record.scenario)
        and requirement.batch_size in (None, record.batch_size)
        and (math.isfinite(record.low) or record.n <= 1)
    )


def _ease(requirement: Requirement, observed: float) -> float:
    """Smaller is worse for the requirement; what was not observed is worst."""
    if math.isnan(observed):
        return -math.inf
    return observed if requirement.at_least is not None else -observed


def _nothing(reason: str) -> _Finding:
    return _Finding("undecided", math.nan, math.nan, math.nan, 0, reason)


def _unit(requirement: Requirement) -> str:
    unit = QUANTITIES[requirement.quantity].unit
    return f" {unit}" if unit else ""


def _label(requirement: Requirement) -> str:
    return QUANTITIES[requirement.quantity].label


def plain_number(value: float) -> str:
    """Four digits for a sentence, without an exponent where one can be avoided."""
    return f"{value:,.4g}" if not 1e4 <= abs(value) < 1e15 else f"{value:,.0f}"


def _by_values(requirement: Requirement, measurement: Measurement) -> _Finding:
    if measurement.failure or not measurement.values:
        return _nothing(f"{_label(requirement)} was not measured: {measurement.failure or 'there are no values'}")
    values = np.array(measurement.values)
    if not np.isfinite(values).all():
        return _nothing(f"{_label(requirement)} could not be read on this platform")
    if requirement.statistic == "mean":
        return _by_rounds(requirement, measurement)
    if requirement.statistic == "max":
        return _by_maximum(requirement, values)
    return _by_percentile(requirement, measurement, float(requirement.statistic.removeprefix("p")))


def _by_percentile(requirement: Requirement, measurement: Measurement, q: float) -> _Finding:
    bound = measurement.percentile_bound(q, PERCENTILE_CONFIDENCE)
    limit, unit, n = requirement.limit, _unit(requirement), bound.n
    seen = f"{requirement.statistic} of {plain_number(bound.observed)}{unit} over {n:,} {_things(requirement)}"
    sure = f"at {100 * PERCENTILE_CONFIDENCE:g} % confidence"
    values = np.array(measurement.values)
    if requirement.at_most is not None:
        over, beyond, tail = int((values > limit).sum()), "over", q
        met, missed = bound.high <= limit, bound.low > limit
        at_best, at_worst = bound.low, bound.high
        words, side = ("at most", "at least"), ("under", "over")
    else:
        over, beyond, tail = int((values < limit).sum()), "under", 100 - q
        met, missed = bound.low >= limit, bound.high < limit
        at_best, at_worst = bound.high, bound.low
        words, side = ("at least", "at most"), ("over", "under")
    bar = f"the limit of {plain_number(limit)}{unit}"
    if met:
        outcome: RequirementOutcome = "met"
        place = "exactly" if at_worst == limit else side[0]
        reason = f"{seen}; {sure} {words[0]} {plain_number(at_worst)}{unit}, {place} {bar}"
    elif missed:
        outcome = "missed"
        reason = f"{seen}; {sure} {words[1]} {plain_number(at_best)}{unit}, {side[1]} {bar}"
    else:
        outcome = "undecided"
        more = queries_needed(over, tail) - n
        count = "none" if over == 0 else f"{over:,}"
        reason = (
            f"{seen}, {count} of them {beyond} {bar}: too few to say {sure}; {more:,} more with none {beyond} it would be enough"
        )
    return _Finding(outcome, bound.observed, bound.low, bound.high, n, reason)


def _things(requirement: Requirement) -> str:
    return "queries" if requirement.quantity in TIMES_OF_A_QUERY and (requirement.batch_size or 1) == 1 else "values"


def _by_maximum(requirement: Requirement, values: np.ndarray) -> _Finding:
    """A maximum observed over the limit is a miss; one under it is proof only where the quantity hardly varies."""
    unit, limit, n = _unit(requirement), requirement.limit, values.size
    worst = float(values.max() if requirement.at_most is not None else values.min())
    kept = worst <= limit if requirement.at_most is not None else worst >= limit
    word = "largest" if requirement.at_most is not None else "smallest"
    which = f"the {word} of {n:,} {_things(requirement)}" if n > 1 else f"the one {_label(requirement)} measured"
    seen = f"{which} is {plain_number(worst)}{unit}, the limit {plain_number(limit)}{unit}"
    if not kept:
        return _Finding("missed", worst, worst, worst, n, seen)
    if requirement.quantity in TIMES_OF_A_QUERY:
        return _Finding(
            "undecided", worst, math.nan, math.inf, n, f"{seen}; no number of queries bounds the next one, so limit p99 instead"
        )
    source = f"the {word} of {n:,} readings" if n > 1 else "one reading"
    return _by_interval(requirement, worst, _slack(requirement, worst, worst), n, source)


def _by_rounds(requirement: Requirement, measurement: Measurement) -> _Finding:
    """A mean without a record: from the lowest to the highest mean of a round; of one round, from reading to reading."""
    rounds = measurement.rounds()
    means = [float(np.mean(r)) for r in rounds] if len(rounds) > 1 else list(measurement.values)
    interval = _slack(requirement, min(means), max(means))
    readings = f"{len(means):,} reading{'s' if len(means) > 1 else ''} of one round"
    source = f"the means of {len(rounds)} rounds" if len(rounds) > 1 else readings
    return _by_interval(requirement, float(np.mean(means)), interval, len(measurement.values), source)


def _slack(requirement: Requirement, low: float, high: float) -> tuple[float, float]:
    if requirement.quantity.endswith("memory_mib"):
        return low * (1 - MEMORY_REPEATS_TO), high * (1 + MEMORY_REPEATS_TO)
    return low, high


def _by_interval(requirement: Requirement, value: float, interval: tuple[float, float], n: int, source: str) -> _Finding:
    """Judge by an interval; a number that has none stands for itself, but for a score, of which it says that nobody knows it."""
    low, high = interval
    if requirement.quantity in ACCURACIES and (math.isnan(low) or math.isnan(high)):
        why = "its test rows do not tell what chance does to it: too few of a class, or all of one group or day"
        reason = f"{_label(requirement)} of {plain_number(value)}{_unit(requirement)} has no interval, as {why}"
        return _Finding("undecided", value, math.nan, math.nan, n, reason)
    if math.isnan(low) or math.isnan(high):
        low, high = _slack(requirement, value, value)
    unit, limit = _unit(requirement), requirement.limit
    if requirement.at_most is not None:
        met, missed, side = high <= limit, low > limit, "at most"
    else:
        met, missed, side = low >= limit, high < limit, "at least"
    outcome: RequirementOutcome = "met" if met else "missed" if missed else "undecided"
    span = "" if low == high else f" ({plain_number(low)} to {plain_number(high)}{f' over {source}' if source else ''})"
    seen = f"{_label(requirement)} of {plain_number(value)}{unit}{span}"
    bar = f"the limit of {side} {plain_number(limit)}{unit}"
    reason = {
        "met": f"{seen} keeps {bar}",
        "missed": f"{seen} does not keep {bar}",
        "undecided": f"{seen} is too close to {bar} to decide; more rounds or rows would narrow it",
    }[outcome]
    return _Finding(outcome, value, low, high, n, reason)
