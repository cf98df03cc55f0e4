"""Hears the stakeholders: who vetoes what, how each ranks the candidates, what each loses under another's pick, the compromise.

A veto that is *missed* takes the candidate out of the running. One that is *undecided* does not, for nobody has shown a reason;
but a compromise that rests on it is called not shown to meet it, and the compromise among those that are shown to meet every
veto is named beside it. Accuracies are read out of fold, as baselines are: what is chosen by test rows is flattered by them.

This module does *not* know who the stakeholders are, or how a requirement is judged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from shipworthy.feasibility.compromise import Bools, Panel, value_moves, weight_moves
from shipworthy.feasibility.requirements import ACCURACIES, AT_MOST_ONE, TIMES_OF_A_QUERY, assess, check_requirement
from shipworthy.records import (
    EVERYBODY,
    QUANTITIES,
    Agreement,
    Choice,
    Compromise,
    Hearing,
    InputError,
    Measurement,
    Move,
    Rating,
    Record,
    Regret,
    Requirement,
    RequirementVerdict,
    Stakeholder,
    Veto,
)

SUMS_TO_ONE = 1e-6
DOLLARS = "USD"
ALREADY_MONTHLY = ("usd_month", "usd_per_month")
"""Quantities that end so are US dollars a month already: a unit of them is worth one."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of a quantity for a candidate, with its interval; ``nan`` where it has none."""

    value: float
    low: float = math.nan
    high: float = math.nan


def check_stakeholders(stakeholders: Sequence[Stakeholder]) -> None:
    """Refuse stakeholders whose wishes cannot be added up or met.

    Parameters
    ----------
    stakeholders : sequence of Stakeholder

    Raises
    ------
    InputError
        If there is none, two have one name, or :func:`check_stakeholder` refuses one.
    """
    if not stakeholders:
        raise InputError("the study names no stakeholders; add at least one under `stakeholders`")
    seen: set[str] = set()
    for stakeholder in stakeholders:
        if stakeholder.name in seen:
            raise InputError(f"two stakeholders are called {stakeholder.name!r}; give each a name of their own")
        seen.add(stakeholder.name)
        check_stakeholder(stakeholder)


def check_stakeholder(stakeholder: Stakeholder) -> None:
    """Refuse a stakeholder whose wishes cannot be added up or met.

    Parameters
    ----------
    stakeholder : Stakeholder

    Raises
    ------
    InputError
        If the name is taken by the study itself, weights and money are mixed or neither they nor vetoes are given, a quantity is
        unknown, a weight is negative or no number, weights do not sum to 1, money is counted twice or converted, or a veto could
        not be decided or met.
    """
    name = f"stakeholder {stakeholder.name!r}"
    if stakeholder.name == EVERYBODY:
        raise InputError(f"{name}: is what the requirements of the study go by; choose another name")
    weights, money = stakeholder.weights, stakeholder.usd_month_per_unit
    if weights and money:
        raise InputError(f"{name}: mixes weights with usd_month_per_unit, which cannot be added up; state one of them")
    if not weights and not money and not stakeholder.vetoes:
        raise InputError(f"{name}: states nothing; give weights, usd_month_per_unit or vetoes")
    field = "weights" if weights else "usd_month_per_unit"
    for quantity, worth in stakeholder.worth.items():
        if quantity not in QUANTITIES:
            raise InputError(
                f"{name}: {field} name the unknown quantity {quantity!r}; the quantities are {', '.join(QUANTITIES)}"
            )
        if not math.isfinite(worth) or worth < 0:
            remedy = "the better direction is known, so state it as a number of at least 0"
            raise InputError(f"{name}: {field} give {quantity} {worth:g}; {remedy}")
    total = sum(stakeholder.worth.values())
    if weights and abs(total - 1) > SUMS_TO_ONE:
        raise InputError(f"{name}: the weights sum to {total:g}, not to 1; mend them so that they do")
    if money:
        _check_money(name, money)
    _check_vetoes(name, stakeholder.vetoes)


def _check_vetoes(name: str, vetoes: Sequence[Requirement]) -> None:
    if len({v.name for v in vetoes}) < len(vetoes):
        raise InputError(f"{name}: two vetoes have the same name; give each its own")
    for veto in vetoes:
        try:
            check_requirement(veto)
        except InputError as error:
            raise InputError(f"{name}: {error}") from None


def _check_numbers(where: str, values: Mapping[str, float]) -> None:
    for quantity, worth in values.items():
        if quantity not in QUANTITIES:
            raise InputError(f"{where} name the unknown quantity {quantity!r}; the quantities are {', '.join(QUANTITIES)}")
        if not math.isfinite(worth) or worth < 0:
            remedy = "the better direction is known, so state it as a number of at least 0"
            raise InputError(f"{where} give {quantity} {worth:g}; {remedy}")


def _check_money(name: str, money: Mapping[str, float]) -> None:
    if not any(money.values()):
        raise InputError(f"{name}: usd_month_per_unit gives every quantity 0; state what one of them is worth")
    in_dollars = [q for q in money if QUANTITIES[q].unit.startswith(DOLLARS)]
    if len(in_dollars) > 1:
        both = " and ".join(in_dollars[:2])
        raise InputError(f"{name}: usd_month_per_unit counts money twice, as {both}; keep one of them")
    for quantity in in_dollars:
        if quantity.endswith(ALREADY_MONTHLY) and money[quantity] != 1:
            raise InputError(f"{name}: {quantity} is in US dollars a month already, so usd_month_per_unit must give it 1")


def valued(stakeholders: Sequence[Stakeholder]) -> tuple[str, ...]:
    """The quantities that anybody values, in the order in which they are first named."""
    return tuple(dict.fromkeys(q for s in stakeholders for q, worth in s.worth.items() if worth > 0))


def read_values(records: Iterable[Record], quantities: Sequence[str]) -> dict[tuple[str, str], Reading]:
    """The one value of each quantity by which candidates are ranked.

    An accuracy is its out-of-fold score, with an interval as wide as that on the test rows; a latency is the p99 of single
    queries, a peak the highest over all batch sizes; all else is a mean. Where several conditions were measured the worst counts,
    as for requirements; seeds are averaged.

    Parameters
    ----------
    records : iterable of Record
        Of one data set at one level.
    quantities : sequence of str

    Returns
    -------
    dict of (candidate, quantity) to Reading
        What was not measured is left out.
    """
    wanted = set(quantities)
    kept: dict[tuple[str, str], dict[int, list[Record]]] = {}
    tested: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for r in records:
        if r.quantity not in wanted or r.group or not math.isfinite(r.value):
            continue
        if r.quantity in ACCURACIES and r.statistic == "test":
            tested.setdefault((r.candidate, r.quantity), []).append((r.value - r.low, r.high - r.value))
        if _counts(r):
            kept.setdefault((r.candidate, r.quantity), {}).setdefault(r.seed, []).append(r)
    found = {}
    for key, seeds in kept.items():
        greater = QUANTITIES[key[1]].greater_is_better
        worst = [(min if greater else max)(of_seed, key=lambda r: r.value) for of_seed in seeds.values()]
        value = float(np.mean([r.value for r in worst]))
        low, high = (float(np.mean([getattr(r, end) for r in worst])) for end in ("low", "high"))
        if key in tested:
            below, above = np.mean(tested[key], axis=0).tolist()
            low, high = value - below, value + above
        found[key] = Reading(value, low, high)
    return found


def _counts(r: Record) -> bool:
    """Whether a record is the statistic by which its quantity is ranked."""
    if r.quantity in ACCURACIES:
        return r.statistic == "oof"
    if r.quantity in TIMES_OF_A_QUERY:
        statistic = ("p99",) if r.quantity == "latency_ms" else ("mean",)
        return r.statistic in statistic and r.scenario == "single_stream" and r.batch_size <= 1
    if r.quantity == "peak_memory_mib":
        return r.statistic == "max"
    return r.statistic in ("mean", "value", "estimate")


def judge_vetoes(
    stakeholders: Sequence[Stakeholder],
    candidate: str,
    dataset: str,
    measurements: Sequence[Measurement],
    records: Sequence[Record],
    *,
    level: str = "",
) -> list[tuple[str, RequirementVerdict]]:
    """Every veto of every stakeholder against one candidate, judged as requirements are.

    Parameters
    ----------
    stakeholders : sequence of Stakeholder
    candidate, dataset : str
    measurements : sequence of Measurement
    records : sequence of Record
    level : str

    Returns
    -------
    list of (str, RequirementVerdict)
        The name of the stakeholder beside each.
    """
    return [
        (s.name, assess(veto, candidate, dataset, measurements, records, level=level)) for s in stakeholders for veto in s.vetoes
    ]


def hear(
    dataset: str,
    stakeholders: Sequence[Stakeholder],
    candidates: Sequence[str],
    readings: Mapping[tuple[str, str], Reading],
    judged: Sequence[tuple[str, RequirementVerdict]],
    *,
    level: str = "",
) -> Hearing:
    """Rank, veto, regret and compromise.

    Parameters
    ----------
    dataset : str
    stakeholders : sequence of Stakeholder
    candidates : sequence of str
    readings : mapping of (candidate, quantity) to Reading
        From :func:`read_values`.
    judged : sequence of (str, RequirementVerdict)
        Vetoes, from :func:`judge_vetoes`; the requirements of the study under the name :data:`~shipworthy.records.EVERYBODY`.
    level : str

    Returns
    -------
    Hearing

    Raises
    ------
    InputError
        If the stakeholders cannot be heard (see :func:`check_stakeholders`).

    Examples
    --------
    Speed is all to one, accuracy to the other; the middle candidate costs neither of them everything:

    >>> both = [Stakeholder(name="ops", weights={"latency_ms": 1}), Stakeholder(name="research", weights={"roc_auc": 1})]
    >>> seen = {("line", "latency_ms"): 1, ("line", "roc_auc"): 0.90, ("boost", "latency_ms"): 3, ("boost", "roc_auc"): 0.94}
    >>> seen |= {("vote", "latency_ms"): 9, ("vote", "roc_auc"): 0.95}
    >>> found = hear("adult", both, ["line", "boost", "vote"], {k: Reading(v) for k, v in seen.items()}, [])
    >>> found.compromise.candidate, found.compromise.worst_off, round(found.compromise.regret, 2)
    ('boost', 'ops', 0.25)
    """
    check_stakeholders(stakeholders)
    names = tuple(candidates)
    vetoes = tuple(Veto(owner, v.candidate, v.requirement, v.outcome, v.reason) for owner, v in judged if v.outcome != "met")
    barred = {v.candidate for v in vetoes if v.outcome == "missed"}
    ranking, notes = _who_ranks(stakeholders, names, readings)
    panel = _panel(ranking, names, readings)
    rated: Bools = np.array(np.isfinite(panel.scores()).all(axis=0), dtype=bool)
    unrated = [n for n, r in zip(names, rated, strict=True) if not r]
    notes += [f"Not everybody can rate {n}: something that they value was not measured." for n in unrated]

    running = rated & np.array([n not in barred for n in names], dtype=bool)
    panel = replace(panel, running=running)
    if not running.any() and barred:
        who = {n: dict.fromkeys(v.stakeholder for v in vetoes if v.outcome == "missed" and v.candidate == n) for n in names}
        said = "; ".join(f"{n} by {', '.join(by)}" for n, by in who.items() if by)
        notes.append(f"Nobody's pick survives, for every candidate that could be rated is vetoed: {said}.")
    notes += _unmeetable(names, vetoes)
    unproven = {v.candidate for v in vetoes if v.outcome == "undecided"}
    signs = {q: 0 if q in AT_MOST_ONE else 1 if QUANTITIES[q].greater_is_better else -1 for q in panel.quantities}
    intervals = {key: (r.low, r.high) for key, r in readings.items()}
    fixed = frozenset(q for q in panel.quantities if q.endswith(ALREADY_MONTHLY))
    return Hearing(
        dataset=dataset,
        level=level,
        in_money=panel.in_money,
        stakeholders=panel.stakeholders,
        candidates=names,
        survivors=tuple(n for n, r in zip(names, running, strict=True) if r),
        ratings=_ratings(panel),
        vetoes=vetoes,
        choices=_choices(panel, vetoes),
        regrets=_regrets(panel),
        agreements=_agreements(panel),
        compromise=_compromise(panel, vetoes),
        proven=_compromise(replace(panel, running=running & np.array([n not in unproven for n in names], dtype=bool)), vetoes),
        moves=(*weight_moves(panel, fixed), *value_moves(panel, signs, intervals), *_lifted(panel, rated, vetoes)),
        notes=tuple(notes),
    )


def _who_ranks(
    stakeholders: Sequence[Stakeholder], candidates: Sequence[str], readings: Mapping[tuple[str, str], Reading]
) -> tuple[list[Stakeholder], list[str]]:
    """Those who value something that was measured of at least one candidate, and a sentence for each of the others."""
    ranking, notes = [], []
    for s in stakeholders:
        absent = [q for q in valued([s]) if not any((c, q) in readings for c in candidates)]
        if not s.worth:
            notes.append(f"{s.name} states no wishes, only vetoes, so has no ranking.")
        elif absent:
            notes.append(f"{s.name} values {' and '.join(absent)}, measured of no candidate, so has no ranking here.")
        else:
            ranking.append(s)
    return ranking, notes


def _unmeetable(candidates: Sequence[str], vetoes: Sequence[Veto]) -> list[str]:
    """Vetoes that bar every candidate, a sentence each."""
    barred: dict[tuple[str, str], set[str]] = {}
    for v in vetoes:
        if v.outcome == "missed":
            barred.setdefault((v.stakeholder, v.requirement), set()).add(v.candidate)
    return [f"No candidate meets the veto {what!r} of {who}." for (who, what), of in barred.items() if of == set(candidates)]


def _panel(stakeholders: Sequence[Stakeholder], names: tuple[str, ...], readings: Mapping[tuple[str, str], Reading]) -> Panel:
    """The arrays; nobody is out of the running yet."""
    quantities, nothing = valued(stakeholders), Reading(math.nan)
    sign = np.array([1.0 if QUANTITIES[q].greater_is_better else -1.0 for q in quantities])
    values = np.array([[readings.get((c, q), nothing).value for c in names] for q in quantities])
    values = values.reshape(len(quantities), len(names))
    worth = np.array([[s.worth.get(q, 0.0) for q in quantities] for s in stakeholders])
    worth = worth.reshape(len(stakeholders), len(quantities))
    money = np.array([bool(s.usd_month_per_unit) for s in stakeholders], dtype=bool)
    worth = np.where(money[:, None], worth, worth / np.where(money, 1.0, worth.sum(axis=1))[:, None])
    everyone = np.ones(len(names), dtype=bool)
    return Panel(tuple(s.name for s in stakeholders), names, quantities, sign[:, None] * values, worth, money, everyone)


def _ratings(panel: Panel) -> tuple[Rating, ...]:
    """Equal scores share the better rank."""
    scores, usd = panel.scores(), panel.usd()
    found = []
    for s, who in enumerate(panel.stakeholders):
        for c, name in enumerate(panel.candidates):
            score = float(scores[s, c])
            rank = 0 if math.isnan(score) else 1 + int((scores[s] > score).sum())
            found.append(Rating(who, name, score, float(usd[s, c]), rank))
    return tuple(found)


def _choices(panel: Panel, vetoes: Sequence[Veto]) -> tuple[Choice, ...]:
    """Equals go by name."""
    scores = panel.scores()
    by: dict[str, dict[str, None]] = {}
    for v in vetoes:
        if v.outcome == "missed":
            by.setdefault(v.candidate, {})[v.stakeholder] = None

    def best(s: int, allowed: Sequence[bool]) -> str:
        found = [(-scores[s, c], name) for c, name in enumerate(panel.candidates) if allowed[c] and np.isfinite(scores[s, c])]
        return min(found)[1] if found else ""

    choices = []
    for s, who in enumerate(panel.stakeholders):
        first = best(s, [who not in by.get(name, {}) for name in panel.candidates])
        choices.append(Choice(who, first, tuple(by.get(first, {})), best(s, panel.running.tolist())))
    return tuple(choices)


def _regrets(panel: Panel) -> tuple[Regret, ...]:
    share, usd = panel.regrets(in_money=False), panel.regrets(in_money=True)
    return tuple(
        Regret(who, name, float(share[s, c]), float(usd[s, c]))
        for s, who in enumerate(panel.stakeholders)
        for c, name in enumerate(panel.candidates)
        if panel.running[c]
    )


def _agreements(panel: Panel) -> tuple[Agreement, ...]:
    """Over the candidates that both can rate, vetoed or not."""
    from scipy.stats import kendalltau

    scores = panel.scores()
    found = []
    for i, one in enumerate(panel.stakeholders):
        for j in range(i + 1, len(panel.stakeholders)):
            both = np.isfinite(scores[i]) & np.isfinite(scores[j])
            a, b = scores[i, both], scores[j, both]
            defined = both.sum() > 1 and np.ptp(a) > 0 and np.ptp(b) > 0
            tau = float(kendalltau(a, b).statistic) if defined else math.nan
            found.append(Agreement(one, panel.stakeholders[j], tau))
    return tuple(found)


def _compromise(panel: Panel, vetoes: Sequence[Veto]) -> Compromise | None:
    chosen = panel.decide()
    if chosen is None:
        return None
    regrets = panel.regrets()[:, chosen]
    name, worst = panel.candidates[chosen], int(regrets.argmax())
    unproven = tuple(f"{v.stakeholder}: {v.requirement}" for v in vetoes if v.candidate == name and v.outcome == "undecided")
    return Compromise(name, float(regrets[worst]), panel.stakeholders[worst], unproven)


def _lifted(panel: Panel, rated: Bools, vetoes: Sequence[Veto]) -> list[Move]:
    """The vetoes without which, one at a time, the compromise would be another."""
    now = panel.decide()
    missed = [v for v in vetoes if v.outcome == "missed"]
    moves = []
    for who, what in dict.fromkeys((v.stakeholder, v.requirement) for v in missed):
        barred = {v.candidate for v in missed if (v.stakeholder, v.requirement) != (who, what)}
        running = rated & np.array([n not in barred for n in panel.candidates], dtype=bool)
        then = replace(panel, running=running).decide()
        if then is not None and then != now:
            moves.append(Move("veto", who, what, math.nan, math.nan, math.nan, panel.candidates[then]))
    return moves
