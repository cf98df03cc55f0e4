"""Ship, do not ship, or cannot tell: every ensemble against the best single model *and* the best tree ensemble.

The rule, in full. *Ship*: every requirement is met, and the gain's interval begins at or above the smallest useful gain against
both. *Do not ship*: a requirement is missed, or the gain's interval ends below the smallest useful gain against either.
Anything else is *cannot tell*, with what would tell. Baselines are chosen on out-of-fold rows, never on test rows.

This module does *not* know how anything was trained, measured or scored, or what a gain is worth in money.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from shipworthy.feasibility.economics import usd_per_million
from shipworthy.feasibility.requirements import MEMORY_REPEATS_TO, assess
from shipworthy.feasibility.statistics import gain_interval, ratio_interval
from shipworthy.records import (
    QUANTITIES,
    Answer,
    Comparison,
    Floats,
    Interval,
    Kind,
    Measurement,
    Record,
    RequirementVerdict,
    Study,
    Verdict,
)

Role = Literal["best single", "best tree ensemble"]
ROLES: tuple[tuple[Role, Kind], ...] = (("best single", "single"), ("best tree ensemble", "tree_ensemble"))
ROUNDS_OF_A_SEED = 1_000_000
"""More rounds than any seed has."""
HOPELESS = 1000
"""Where more than this many times the test rows would be needed, saying so is more use than the number."""
MOST_SEEDS = 1000
"""More seeds than anybody trains."""
SAME_PRICE = 1.25
"""Prices are estimates: those within this factor of the cheapest, or within the noise floor where that is wider, are ties."""
SIMPLEST_FIRST: tuple[Kind, ...] = ("single", "tree_ensemble", "ensemble")


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """All that is known of one candidate on one data set at one level of what is swept.

    Parameters
    ----------
    candidate : str
    kind : {"single", "tree_ensemble", "ensemble"}
    route : str
    oof_scores, test_scores : tuple of float
        One score a seed in the study's metric, in the same order of seeds for every candidate; empty if it was not trained.
    resampled : tuple of ndarray, each of shape (n_resamples,)
        Scores on resamples of the test rows, one array a seed; the same resamples for every candidate.
    measurements : tuple of Measurement
    records : tuple of Record
    """

    candidate: str
    kind: Kind
    route: str
    oof_scores: tuple[float, ...]
    test_scores: tuple[float, ...]
    resampled: tuple[Floats, ...]
    measurements: tuple[Measurement, ...]
    records: tuple[Record, ...]

    @property
    def oof(self) -> float:
        """Mean out-of-fold score over the seeds; ``nan`` if there is none."""
        return float(np.mean(self.oof_scores)) if self.oof_scores else math.nan


def requirement_table(dataset: str, evidence: Sequence[Evidence], study: Study, *, level: str = "") -> list[RequirementVerdict]:
    """Every requirement of the study against every candidate, in the order in which both are given."""
    return [
        assess(requirement, e.candidate, dataset, e.measurements, e.records, level=level)
        for e in evidence
        for requirement in study.requirements
    ]


def price(evidence: Evidence, study: Study) -> float:
    """Estimated US dollars a million queries, from mean CPU time and memory; ``nan`` if either was not measured.

    Where CPU time of a query was not measured, the mean single-stream latency stands for it.
    """
    times = [_pooled(evidence, quantity, scenario="single_stream") for quantity in ("cpu_ms", "latency_ms")]
    time = next((m for m in times if m is not None and m.values), None)
    memory = _pooled(evidence, "memory_mib")
    if time is None or memory is None or not memory.values:
        return math.nan
    cpu_ms, memory_mib = float(np.mean(time.values)), float(np.mean(memory.values))
    return usd_per_million(cpu_ms, memory_mib, study.prices, study.traffic_queries_s)


def judge(
    dataset: str,
    level: str,
    evidence: Sequence[Evidence],
    study: Study,
    *,
    greater_is_better: bool,
    test_share: float,
    noise_floor: float,
    rng: np.random.Generator,
) -> list[Verdict]:
    """One verdict for every ensemble, in the order of the evidence.

    Parameters
    ----------
    dataset, level : str
    evidence : sequence of Evidence
        Every candidate of the study, the ensembles among them.
    study : Study
        Declares the metric, the smallest useful gain, the confidence and the requirements.
    greater_is_better : bool
        Of the study's metric.
    test_share : float
        ``n_test / n_train``.
    noise_floor : float
        At least 1: the factor by which a candidate's p99 differed from itself.
    rng : numpy.random.Generator
        For the bootstrap of latency ratios.

    Returns
    -------
    list of Verdict

    Raises
    ------
    ValueError
        If candidates do not have the same seeds or resamples, or measurements may not be compared.
    """
    baselines = [(role, _best([e for e in evidence if e.kind == kind], greater_is_better)) for role, kind in ROLES]
    p99 = _Cost("latency_ms", "single_stream", 99, noise_floor)
    memory_mib = _Cost("memory_mib", "", 50, 1 + MEMORY_REPEATS_TO)
    verdicts = []
    for ensemble in (e for e in evidence if e.kind == "ensemble"):
        n_rows = _test_rows(ensemble, study.metric)
        comparisons: list[Comparison] = []
        if ensemble.test_scores:
            for role, baseline in baselines:
                if baseline is not None:
                    gain = gain_interval(
                        ensemble.resampled,
                        baseline.resampled,
                        ensemble.test_scores,
                        baseline.test_scores,
                        greater_is_better=greater_is_better,
                        test_share=test_share,
                        confidence=study.confidence,
                        n_rows=n_rows,
                    )
                    latency = _ratio(ensemble, baseline, p99, study.confidence, rng)
                    memory = _ratio(ensemble, baseline, memory_mib, study.confidence, rng)
                    comparisons.append(
                        Comparison(ensemble.candidate, baseline.candidate, role, study.metric, gain, latency, memory)
                    )
        requirements = tuple(requirement_table(dataset, [ensemble], study, level=level))
        answer, reason = _answer(ensemble, comparisons, requirements, study, _Sample(n_rows, test_share))
        verdicts.append(Verdict(dataset, level, ensemble.candidate, answer, reason, tuple(comparisons), requirements))
    return verdicts


def picks(
    dataset: str,
    level: str,
    evidence: Sequence[Evidence],
    requirements: Sequence[RequirementVerdict],
    study: Study,
    *,
    noise_floor: float = 1.0,
) -> dict[str, Any]:
    """What a benchmark-chaser would ship, and what the requirements would.

    The requirements take the cheapest of those that are near the best. Prices that differ by less than :data:`SAME_PRICE`, or by
    less than the noise floor where that is wider, are ties: the simplest kind wins (single, tree ensemble, ensemble), then the
    best out-of-fold score, then the first by name.

    Parameters
    ----------
    dataset, level : str
    evidence : sequence of Evidence
    requirements : sequence of RequirementVerdict
        From :func:`requirement_table`; those of other data sets and levels are passed over.
    study : Study
        Its metric says which direction is better.
    noise_floor : float
        At least 1: the factor by which a candidate's latency differed from itself; infinite or ``nan`` if unknown, and then
        :data:`SAME_PRICE` alone decides.

    Returns
    -------
    dict
        ``dataset``, ``level``, and under ``benchmark_chaser`` and ``requirements`` a dict of ``candidate`` (``None`` where
        nothing qualifies) and ``reason`` (a sentence). Ready for JSON.

    Raises
    ------
    ValueError
        If a candidate was not judged by every requirement of the study, or the noise floor is below 1.
    """
    if noise_floor < 1:
        raise ValueError(f"noise_floor is a factor of at least 1, not {noise_floor!r}")
    greater_is_better = QUANTITIES[study.metric].greater_is_better
    chosen = {"dataset": dataset, "level": level}
    best = _best(evidence, greater_is_better)
    if best is None:
        nothing = {"candidate": None, "reason": f"No candidate was scored on {dataset}."}
        return chosen | {"benchmark_chaser": nothing, "requirements": dict(nothing)}
    chaser = {
        "candidate": best.candidate,
        "reason": f"{best.candidate} has the best out-of-fold {_label(study)} ({best.oof:.4f}), whatever it costs.",
    }
    here = [r for r in requirements if r.dataset == dataset and r.level in ("", level)]
    for e in evidence:
        if {r.requirement for r in here if r.candidate == e.candidate} != {r.name for r in study.requirements}:
            raise ValueError(f"{e.candidate} was not judged by every requirement on {dataset}: pass all of requirement_table")
    required = _required(evidence, here, study, noise_floor, greater_is_better=greater_is_better)
    return chosen | {"benchmark_chaser": chaser, "requirements": required}


def _label(study: Study) -> str:
    return QUANTITIES[study.metric].label


def _required(
    evidence: Sequence[Evidence],
    requirements: Sequence[RequirementVerdict],
    study: Study,
    noise_floor: float,
    *,
    greater_is_better: bool,
) -> dict[str, Any]:
    outcomes = {e.candidate: {r.outcome for r in requirements if r.candidate == e.candidate} for e in evidence}
    able = [e for e in evidence if outcomes[e.candidate] <= {"met"}]
    missed = [e.candidate for e in evidence if "missed" in outcomes[e.candidate]]
    unsure = [e.candidate for e in evidence if "undecided" in outcomes[e.candidate] and e.candidate not in missed]
    aside = f" Missing a requirement: {', '.join(missed)}." if missed else ""
    aside += f" Undecided on one, which counts as not met: {', '.join(unsure)}." if unsure else ""
    best = _best(able, greater_is_better)
    if best is None:
        return {"candidate": None, "reason": f"No candidate was shown to meet every requirement.{aside}"}
    near = [e for e in able if _shortfall(best.oof, e.oof, greater_is_better) <= study.smallest_useful_gain]
    priced = sorted(((usd, e) for e in near if not math.isnan(usd := price(e, study))), key=lambda p: (p[0], p[1].candidate))
    if not priced:
        return {"candidate": None, "reason": f"None could be priced of {', '.join(e.candidate for e in near)}.{aside}"}
    known = not (math.isnan(noise_floor) or math.isinf(noise_floor))
    tolerance = max(noise_floor, SAME_PRICE) if known else SAME_PRICE
    cheapest = priced[0][0]
    tied = [e for usd, e in priced if usd <= tolerance * cheapest]
    chosen = min(tied, key=lambda e: (SIMPLEST_FIRST.index(e.kind), -e.oof if greater_is_better else e.oof, e.candidate))
    usd = next(p for p, e in priced if e is chosen)
    met = "shown to meet every requirement" if study.requirements else "scored (the study declares no requirement)"
    near_best = (
        f"of those {met}, at an out-of-fold {_label(study)} within {study.smallest_useful_gain:g} of their best, "
        f"{best.candidate} with {best.oof:.4f}"
    )
    if len(tied) == 1:
        reason = f"{chosen.candidate} is the cheapest (an estimated {usd:.2g} USD per million queries) {near_best}."
    else:
        equals = ", ".join(e.candidate for e in tied if e is not chosen)
        reason = (
            f"{chosen.candidate} (an estimated {usd:.2g} USD per million queries) is among the cheapest {near_best}. "
            f"Prices within {tolerance:.3g} times the cheapest are ties, here with {equals}; "
            "of ties the simplest kind wins, then the best score."
        )
    others = ", ".join(e.candidate for _, e in priced if e not in tied)
    reason += f" Also near, but dearer: {others}." if others else ""
    return {"candidate": chosen.candidate, "reason": reason + aside}


def _shortfall(best: float, other: float, greater_is_better: bool) -> float:
    return best - other if greater_is_better else other - best


def _best(evidence: Sequence[Evidence], greater_is_better: bool) -> Evidence | None:
    """The best by mean out-of-fold score; of equals, the first by name."""
    scored = [e for e in evidence if not math.isnan(e.oof)]
    return min(scored, key=lambda e: (-e.oof if greater_is_better else e.oof, e.candidate), default=None)


def _test_rows(evidence: Evidence, metric: str) -> int:
    return max((r.n for r in evidence.records if (r.quantity, r.statistic) == (metric, "test")), default=0)


def _pooled(evidence: Evidence, quantity: str, scenario: str = "") -> Measurement | None:
    """One measurement of all seeds, whose rounds stay apart; a failure of any seed is the whole's."""
    found = [m for m in evidence.measurements if m.quantity == quantity and scenario in ("", m.conditions.scenario)]
    if scenario:
        found = [m for m in found if m.conditions.batch_size == 1]
    if not found:
        return None
    failed = [m for m in found if m.failure or not m.values]
    if failed:
        return failed[0]
    first = found[0]
    for other in found[1:]:
        if not first.conditions.comparable(other.conditions):
            raise ValueError(f"{quantity} of {evidence.candidate} was measured under conditions that differ: measure it again")
    # A round of one seed pairs with the same round of the same seed on the other side: seed and round become one number.
    return replace(
        first,
        values=tuple(v for m in found for v in m.values),
        round_index=tuple(m.conditions.seed * ROUNDS_OF_A_SEED + r for m in found for r in m.round_index),
    )


@dataclass(frozen=True, slots=True)
class _Sample:
    """How much the scores rest on: test rows of a seed, and ``n_test / n_train``."""

    n_rows: int
    test_share: float


@dataclass(frozen=True, slots=True)
class _Cost:
    """What a ratio is taken of."""

    quantity: str
    scenario: str
    percentile: float
    noise_floor: float


def _ratio(challenger: Evidence, baseline: Evidence, cost: _Cost, confidence: float, rng: np.random.Generator) -> Interval:
    sides = []
    for side in (challenger, baseline):
        pooled = _pooled(side, cost.quantity, cost.scenario)
        if pooled is None:
            return Interval(math.nan, math.nan, math.nan, confidence, f"{cost.quantity} of {side.candidate} was not measured")
        sides.append(pooled)
    return ratio_interval(sides[0], sides[1], cost.percentile, cost.noise_floor, confidence, rng=rng)


def _answer(
    ensemble: Evidence,
    comparisons: Sequence[Comparison],
    requirements: Sequence[RequirementVerdict],
    study: Study,
    sample: _Sample,
) -> tuple[Answer, str]:
    margin = study.smallest_useful_gain
    missed = [r for r in requirements if r.outcome == "missed"]
    unsure = [r for r in requirements if r.outcome == "undecided"]
    useless = [c for c in comparisons if c.gain.high < margin]
    useful = [c for c in comparisons if c.gain.low >= margin]
    absent = [role for role, _ in ROLES if role not in {c.baseline_role for c in comparisons}]
    sentences = [f"It misses {r.requirement!r}: {r.reason}." for r in missed]
    answer: Answer
    if missed or useless:
        answer = "do not ship"
        sentences += [_sentence(c, margin) for c in useless]
        if not useless and comparisons:
            enough = len(useful) == len(comparisons)
            sentences.append("Its gain alone would be enough." if enough else "Its gain alone would not decide.")
    elif comparisons and len(useful) == len(comparisons) and not unsure:
        answer = "ship"
        sentences += [_sentence(c, margin) for c in comparisons]
        met = {0: "The study declares no requirement.", 1: "It meets the one requirement."}
        sentences.append(met.get(len(requirements), f"It meets all {len(requirements)} requirements."))
    else:
        answer = "cannot tell"
        if not ensemble.test_scores:
            sentences.append("It was not scored.")
        elif not comparisons:
            sentences.append("There is nothing to compare it with: no single model and no tree ensemble was scored.")
        for c in comparisons:
            sentences += [_sentence(c, margin)] + [_what_would_tell(c, margin, sample, len(ensemble.test_scores))] * (
                c not in useful
            )
        sentences += [f"Undecided is {r.requirement!r}: {r.reason}." for r in unsure]
    if comparisons and absent:
        lacking = " and no ".join({"best single": "single model", "best tree ensemble": "tree ensemble"}[role] for role in absent)
        sentences.append(f"The study has no scored {lacking}, so it is compared with what there is.")
    return answer, " ".join(sentences)


def _sentence(c: Comparison, margin: float) -> str:
    """A comparison in words: the gain, how it stands to the smallest useful one, and what it costs."""
    gain, metric = c.gain, QUANTITIES[c.metric].label
    baseline = f"{c.baseline}, the {c.baseline_role}{' model' if c.baseline_role == 'best single' else ''}"
    if math.isnan(gain.low):
        return f"Its gain in {metric} over {baseline} has no interval ({gain.how})."
    side = "at or above" if gain.low >= margin else "below" if gain.high < margin else "around"
    text = f"It gains {gain.value:.4f} {metric} over" if gain.value >= 0 else f"It loses {-gain.value:.4f} {metric} to"
    text += f" {baseline} ({gain.low:+.4f} to {gain.high:+.4f}, {side} the smallest useful {margin:g})"
    costs = [words for words in (_times(c.latency_ratio, "p99 latency"), _times(c.memory_ratio, "memory")) if words]
    return text + (f", at {' and '.join(costs)}" if costs else "") + "."


def _times(ratio: Interval, what: str) -> str:
    """A ratio in words, with no more digits than its interval allows; it says so where it does not tell the two apart."""
    if math.isnan(ratio.value):
        return ""
    if math.isinf(ratio.high) or math.isnan(ratio.low) or math.isnan(ratio.high):
        return f"about {_rounded(ratio.value, ratio.value, 0.0)} times the {what} (measured once, so the noise is not known)"
    half = (ratio.high - ratio.low) / 2
    value, low, high = (_rounded(x, ratio.value, half) for x in (ratio.value, ratio.low, ratio.high))
    apart = "" if ratio.low > 1 or ratio.high < 1 else ", not told apart from equal"
    return f"about {value} times the {what} ({low} to {high}{apart})"


def _rounded(number: float, value: float, half: float) -> str:
    """A positive number to the place of the leading digit of the half-width: at most three digits of the value, at least one.

    Examples
    --------
    >>> [_rounded(x, 7.83, 4.2) for x in (7.83, 0.31, 12.4)], _rounded(1.309, 1.309, 0.011), _rounded(783.0, 783.0, 90.0)
    (['8', '0.3', '12'], '1.31', '780')
    """
    size = math.floor(math.log10(value))
    place = max(size - 2, min(size, math.floor(math.log10(half)) if half > 0 else size - 1))
    place = min(place, math.floor(math.log10(number)))
    return f"{round(number, -place):,.{max(0, -place)}f}"


def _what_would_tell(c: Comparison, margin: float, sample: _Sample, n_seeds: int) -> str:
    """What would narrow the interval enough if the gain stays as it is: test rows or seeds, by the test that decided."""
    gain, over = c.gain, f"over {c.baseline}"
    if math.isnan(gain.low):
        return f"Scores on more test rows would be needed {over}."
    distance = abs(gain.value - margin)
    half = gain.value - gain.low if gain.value > margin else gain.high - gain.value
    if n_seeds > 1 and gain.how.startswith("corrected resampled t"):
        return _how_many_seeds(half, distance, over, gain.confidence, sample, n_seeds)
    # The half-width shrinks with the root of the number of rows.
    times = (half / distance) ** 2 if distance > 0 else math.inf
    if times > HOPELESS:
        return f"The gain {over} is so near to the smallest useful gain that no realistic number of test rows would tell."
    if not sample.n_rows:
        return f"If the gain stays as it is, about {max(times, 1):.1f} times as many test rows would tell {over}."
    more = math.ceil(sample.n_rows * (times - 1))
    return f"If the gain stays as it is, about {more:,} more test rows (now {sample.n_rows:,}) would tell {over}."


def _how_many_seeds(half: float, distance: float, over: str, confidence: float, sample: _Sample, n_seeds: int) -> str:
    """The corrected resampled t with ``k`` seeds: half-width ``t(k - 1) * sqrt(1/k + share) * s``, which never reaches 0."""
    from scipy.stats import t

    k = np.arange(n_seeds, MOST_SEEDS + 1)
    widths = t.ppf((1 + confidence) / 2, k - 1) * np.sqrt(1 / k + sample.test_share)
    enough = k[half * widths / widths[0] <= distance] if len(k) else k
    if not len(enough):
        return (
            f"No number of seeds would tell {over}, as their training rows overlap: the gain is too near to the smallest useful "
            "gain for how much it differs from seed to seed. A larger data set might tell."
        )
    more = max(int(enough[0]) - n_seeds, 1)
    return f"If the gain stays as it is, about {more:,} more seed{'s' if more > 1 else ''} (now {n_seeds}) would tell {over}."
