"""What a benchmark-chaser would ship, and what the requirements would.

This module does *not* know whether a gain was shown: it picks, and the verdicts judge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from shipworthy.feasibility.economics import usd_per_million
from shipworthy.feasibility.evidence import Evidence, best_of, pooled, shortfall
from shipworthy.records import QUANTITIES, Kind, RequirementVerdict, Study

SAME_PRICE = 1.25
"""Prices are estimates: those within this factor of the cheapest, or within the noise floor where that is wider, are ties."""
SIMPLEST_FIRST: tuple[Kind, ...] = ("single", "tree_ensemble", "ensemble")


def price(evidence: Evidence, study: Study) -> float:
    """Estimated US dollars a million queries, from mean CPU time and memory; ``nan`` if either was not measured.

    Where CPU time of a query was not measured, the mean single-stream latency stands for it.
    """
    times = [pooled(evidence, quantity, scenario="single_stream") for quantity in ("cpu_ms", "latency_ms")]
    time = next((m for m in times if m is not None and m.values), None)
    memory = pooled(evidence, "memory_mib")
    if time is None or memory is None or not memory.values:
        return math.nan
    cpu_ms, memory_mib = float(np.mean(time.values)), float(np.mean(memory.values))
    return usd_per_million(cpu_ms, memory_mib, study.prices, study.traffic_queries_s)


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

    The requirements take the cheapest of those that keep every hard one and are near the best. Prices that differ by less than
    :data:`SAME_PRICE`, or by less than the noise floor where that is wider, are ties: the simplest kind wins (single, tree
    ensemble, ensemble), then the best out-of-fold score, then the first by name.

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
    best = best_of(evidence, greater_is_better=greater_is_better)
    if best is None:
        nothing = {"candidate": None, "reason": f"No candidate was scored on {dataset}."}
        return chosen | {"benchmark_chaser": nothing, "requirements": dict(nothing)}
    chaser = {
        "candidate": best.candidate,
        "reason": f"{best.candidate} has the best out-of-fold {_label(study)} ({best.oof:.4f}), whatever it costs.",
    }
    here = [r for r in requirements if r.dataset == dataset and r.level in ("", level)]
    asked = {r.name for r in study.requirements if r.judges(dataset)}
    for e in evidence:
        if {r.requirement for r in here if r.candidate == e.candidate} != asked:
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
    outcomes = {e.candidate: {r.outcome for r in requirements if r.candidate == e.candidate and r.hard} for e in evidence}
    able = [e for e in evidence if outcomes[e.candidate] <= {"met"}]
    missed = [e.candidate for e in evidence if "missed" in outcomes[e.candidate]]
    unsure = [e.candidate for e in evidence if "undecided" in outcomes[e.candidate] and e.candidate not in missed]
    aside = f" Missing a requirement: {', '.join(missed)}." if missed else ""
    aside += f" Undecided on one, which counts as not met: {', '.join(unsure)}." if unsure else ""
    best = best_of(able, greater_is_better=greater_is_better)
    if best is None:
        return {"candidate": None, "reason": f"No candidate was shown to meet every requirement.{aside}"}
    near = [e for e in able if shortfall(best.oof, e.oof, greater_is_better=greater_is_better) <= study.smallest_useful_gain]
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
