"""Every requirement against every candidate, and the cheapest known change that would make a limit kept.

A change is known if it was measured: nothing here is guessed from a trend.

This module does *not* know what a change would cost to make, beyond the order in which it looks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from shipworthy.feasibility.evidence import Evidence, shortfall
from shipworthy.feasibility.picks import price
from shipworthy.feasibility.requirements import ACCURACIES, assess, plain_number
from shipworthy.records import QUANTITIES, Requirement, RequirementVerdict, Study

NONE_KNOWN = "no measured change would make it met"
DIGITS = 3
"""Significant digits of a limit that is proposed."""


def requirement_table(
    dataset: str, evidence: Sequence[Evidence], study: Study, *, level: str = "", elsewhere: Sequence[Evidence] = ()
) -> list[RequirementVerdict]:
    """Every requirement that speaks of a data set against every candidate, in the order in which both are given.

    Parameters
    ----------
    dataset : str
    evidence : sequence of Evidence
    study : Study
        A requirement of it that names another data set is passed over.
    level : str
        Level of what is swept, carried into the verdicts.
    elsewhere : sequence of Evidence
        Of the same data set at other levels of what is swept: where the same artefact was measured there with other threads.

    Returns
    -------
    list of RequirementVerdict
        What is not met has the cheapest known change (see :func:`cheapest_change`).
    """
    asked = [r for r in study.requirements if r.judges(dataset)]
    found = {
        (e.candidate, r.name): assess(r, e.candidate, dataset, e.measurements, e.records, level=level, artefacts=e.artefacts)
        for e in evidence
        for r in asked
    }
    table = []
    for e in evidence:
        for requirement in asked:
            verdict = found[e.candidate, requirement.name]
            if verdict.outcome != "met":
                able = [
                    other
                    for other in evidence
                    if other is not e
                    and found[other.candidate, requirement.name].outcome == "met"
                    and all(found[other.candidate, r.name].outcome != "missed" for r in asked if r.weight is None)
                ]
                change = cheapest_change(requirement, dataset, e, able, study, elsewhere=elsewhere)
                verdict = replace(verdict, change=change)
            table.append(verdict)
    return table


def weighted_score(verdicts: Sequence[RequirementVerdict]) -> float:
    """Share, by weight, of one candidate's weighted requirements that are met; ``nan`` if there are none.

    Undecided counts as not met: a score is what was shown.

    Examples
    --------
    >>> from shipworthy.records import RequirementVerdict
    >>> one = RequirementVerdict("a", "vote", "adult", "met", 1.0, 1.0, 1.0, 2.0, 9, "", weight=3.0)
    >>> weighted_score([one, replace(one, outcome="missed", weight=1.0), replace(one, outcome="missed", weight=math.nan)])
    0.75
    """
    weighted = [v for v in verdicts if not v.hard]
    total = sum(v.weight for v in weighted)
    return sum(v.weight for v in weighted if v.outcome == "met") / total if weighted else math.nan


def cheapest_change(
    requirement: Requirement,
    dataset: str,
    subject: Evidence,
    able: Sequence[Evidence],
    study: Study,
    *,
    elsewhere: Sequence[Evidence] = (),
) -> str:
    """The cheapest change, of those that were measured, that is shown to make a requirement met.

    Looked for in this order, the first that is there is told. *Another batch size* or *another number of threads*: a setting,
    nothing is trained again and no answer changes. *Another route* of the same candidate: the same model, built another way.
    *Another candidate* that gives up no more than the smallest useful gain; of several the cheapest to serve. Failing all, the
    limit that would be kept is told, as the requirement is then what has to change.

    Parameters
    ----------
    requirement : Requirement
        That the subject does not meet.
    dataset : str
    subject : Evidence
    able : sequence of Evidence
        Other candidates, and other routes of this one, that meet the requirement and miss no hard one.
    study : Study
        Its metric and smallest useful gain say which candidate is near enough; its prices, which is cheapest.
    elsewhere : sequence of Evidence
        As in :func:`requirement_table`.

    Returns
    -------
    str
        A sentence without its full stop.
    """
    for look in (_batch_size, _threads):
        if said := look(requirement, dataset, subject, elsewhere):
            return said
    better = QUANTITIES[study.metric].greater_is_better
    lost = {id(e): shortfall(subject.oof, e.oof, greater_is_better=better) for e in able}
    near = [e for e in able if lost[id(e)] <= study.smallest_useful_gain]
    routes = [e for e in near if e.candidate == subject.candidate]
    if routes:
        return f"the route {_cheapest(routes, study).route} of the same candidate meets it"
    if near:
        other = _cheapest(near, study)
        words = "loses no" if lost[id(other)] <= 0 else f"loses only {lost[id(other)]:.2g}"
        return f"{other.candidate} meets it, and {words} {QUANTITIES[study.metric].label} out of fold"
    return _limit(requirement, dataset, subject)


def _cheapest(evidence: Sequence[Evidence], study: Study) -> Evidence:
    """The one of least price; those without a price come last, and of equals the first by name."""
    priced = {id(e): price(e, study) for e in evidence}
    return min(evidence, key=lambda e: (math.isnan(p := priced[id(e)]), 0.0 if math.isnan(p) else p, e.candidate, e.route))


def _met(requirement: Requirement, dataset: str, subject: Evidence) -> bool:
    measured = subject.measurements
    found = assess(requirement, subject.candidate, dataset, measured, subject.records, artefacts=subject.artefacts)
    return found.outcome == "met"


def _batch_size(requirement: Requirement, dataset: str, subject: Evidence, _: Sequence[Evidence]) -> str:
    """Another batch size that was measured: where one is asked for the nearest, else the largest."""
    if requirement.quantity in ACCURACIES:
        return ""
    own, asked = requirement.scenario, requirement.batch_size
    sizes = {
        m.conditions.batch_size
        for m in subject.measurements
        if m.quantity == requirement.quantity and own in ("none", m.conditions.scenario) and m.conditions.batch_size > 0
    }
    others = sorted(sizes - {asked}, key=lambda size: abs(math.log(size / asked)) if asked else -size)
    if not asked and len(sizes) < 2:
        return ""
    fits = next((s for s in others if _met(replace(requirement, batch_size=s), dataset, subject)), None)
    return "" if fits is None else f"a batch size of {fits:,} {f'in place of {asked:,} ' if asked else ''}meets it"


@dataclass(frozen=True, slots=True)
class _Setting:
    threads: int
    evidence: Evidence


def _settings(requirement: Requirement, subject: Evidence, elsewhere: Sequence[Evidence]) -> Iterator[_Setting]:
    """The same artefacts, measured elsewhere with other threads: the fewest first."""
    mine = [m for m in subject.measurements if m.quantity == requirement.quantity]
    threads = {m.conditions.threads for m in mine}
    models = {m.conditions.artefact for m in mine}
    same = [e for e in elsewhere if (e.candidate, e.route) == (subject.candidate, subject.route)]
    measured = [m for e in same for m in e.measurements if m.conditions.artefact in models]
    for n in sorted({m.conditions.threads for m in measured} - threads):
        there = tuple(m for m in measured if m.conditions.threads == n)
        yield _Setting(n, replace(subject, measurements=there, records=()))


def _threads(requirement: Requirement, dataset: str, subject: Evidence, elsewhere: Sequence[Evidence]) -> str:
    fits = next((s for s in _settings(requirement, subject, elsewhere) if _met(requirement, dataset, s.evidence)), None)
    if fits is None:
        return ""
    return f"{fits.threads} threads meet it" if fits.threads > 1 else "1 thread meets it"


def _limit(requirement: Requirement, dataset: str, subject: Evidence) -> str:
    """The nearest limit of three digits that would be met, judged as any other."""
    found = assess(requirement, subject.candidate, dataset, subject.measurements, subject.records, artefacts=subject.artefacts)
    upper = requirement.at_most is not None
    bound, round_off = (found.high, math.ceil) if upper else (found.low, math.floor)
    if not math.isfinite(bound):
        return NONE_KNOWN
    limit = _outwards(bound, round_off)
    side = "at_most" if upper else "at_least"
    proposed = replace(requirement, at_most=limit if upper else None, at_least=None if upper else limit)
    if (upper and limit <= 0) or not _met(proposed, dataset, subject):
        return NONE_KNOWN
    unit = QUANTITIES[requirement.quantity].unit
    return f"{NONE_KNOWN}; a limit of {side.replace('_', ' ')} {plain_number(limit)}{f' {unit}' if unit else ''} would be met"


def _outwards(bound: float, round_off: Callable[[float], int]) -> float:
    """A bound to three digits, rounded to the side on which it still holds.

    Examples
    --------
    >>> _outwards(87.31, math.ceil), _outwards(0.91289, math.floor), _outwards(50.0, math.ceil)
    (87.4, 0.912, 50.0)
    """
    if bound == 0:
        return 0.0
    decimals = DIGITS - 1 - math.floor(math.log10(abs(bound)))
    near = round(bound, decimals)
    if near == bound:
        return near
    return round(round_off(bound * 10.0**decimals) / 10.0**decimals, max(decimals, 0))
