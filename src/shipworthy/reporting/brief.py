"""What to do, data set by data set: what to ship, why in a sentence, and what would have to be found out where nobody can tell.

Everything in it stands in a verdict, a pick, a record or a sum of money that is there; nothing is averaged over data sets.

This module does *not* know how an answer is found, or what the page around it looks like.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shipworthy.records import QUANTITIES, RequirementVerdict, Study, Verdict
from shipworthy.reporting.deciding import deciding_reason, gain_words, nearest, sentences_of, study_at
from shipworthy.reporting.tables import comparison_table
from shipworthy.reporting.wording import bounded, number

if TYPE_CHECKING:
    from shipworthy.reporting.content import ReportContent

ANSWERS = ("ship", "do not ship", "cannot tell")
AS_IT_IS = "If the gain stays as it is, "
"""How two sentences of one verdict begin alike; once is enough."""
UNDECIDED_SHOWN = 3
"""Of the limits that nobody is shown to keep; all are in the section on requirements."""


@dataclass(frozen=True, slots=True)
class Brief:
    """What to do on one data set at one level of what is swept.

    Parameters
    ----------
    title : str
        The data set, and the level if anything is swept.
    headline : str
        What to ship, in a sentence.
    why : str
        What decides on the ensemble that is best out of fold, in a sentence with the figures; empty where none was judged.
    choice : str
        Why the candidate is the pick of the requirements, in a sentence; empty where nothing is picked, or an ensemble ships.
    find_out : tuple of str
        What would have to be found out for an answer where there is none, a sentence each.
    counts : dict of str to int
        How many ensembles have which answer.
    """

    title: str
    headline: str
    why: str
    choice: str
    find_out: tuple[str, ...]
    counts: Mapping[str, int]


def brief(content: ReportContent, dataset: str, level: str) -> Brief:
    """What to do on one data set at one level.

    Parameters
    ----------
    content : ReportContent
    dataset, level : str

    Returns
    -------
    Brief
    """
    verdicts = [v for v in content.verdicts if (v.dataset, v.level) == (dataset, level)]
    pick = next((p for p in content.picks if (p["dataset"], p["level"]) == (dataset, level)), None)
    table = _costs(content, dataset, level)
    verdicts = _best_first(verdicts, table, content.study.metric)
    by_answer = {answer: [v for v in verdicts if v.answer == answer] for answer in ANSWERS}
    chosen = pick["requirements"]["candidate"] if pick else None
    money = next((m for m in content.money if (m["dataset"], m["level"]) == (dataset, level)), {})
    told = next(iter(by_answer["ship"] or verdicts), None)
    study = study_at(content.study, level)
    undecided = [] if chosen else _undecided(content.requirement_verdicts, dataset, level)
    return Brief(
        title=f"{dataset} ({level})" if level else dataset,
        headline=_headline(by_answer, chosen, pick),
        why=_why(told, study, table, money, len(verdicts)) if told else "",
        choice=sentences_of(pick["requirements"]["reason"])[0] if pick and not by_answer["ship"] else "",
        find_out=(*_find_out(by_answer["cannot tell"]), *undecided),
        counts={answer: len(found) for answer, found in by_answer.items() if found},
    )


Costs = Mapping[str, Mapping[Any, Any]]
"""Scores and costs of the candidates, by name and column of the comparison."""


def _costs(content: ReportContent, dataset: str, level: str) -> Costs:
    """What was recorded of each candidate; empty where nothing was."""
    records = content.records
    if not len(records) or not ((records["dataset"] == dataset) & (records["level"] == level)).any():
        return {}
    table = comparison_table(records, dataset, content.study.metric, level=level)
    return {str(row["candidate"]): row for row in table.to_dict("records")}


def _best_first(verdicts: Sequence[Verdict], table: Costs, metric: str) -> list[Verdict]:
    """By out-of-fold score: whoever were named by their scores on test rows would be flattered by them."""
    sign = -1.0 if QUANTITIES[metric].greater_is_better else 1.0

    def key(verdict: Verdict) -> tuple[bool, float, str]:
        score = sign * float(table.get(verdict.candidate, {}).get(f"{metric}_oof", math.nan))
        return math.isnan(score), 0.0 if math.isnan(score) else score, verdict.candidate

    return sorted(verdicts, key=key)


def _headline(by_answer: Mapping[str, Sequence[Verdict]], chosen: str | None, pick: Mapping[str, Any] | None) -> str:
    ships, unknown = by_answer["ship"], by_answer["cannot tell"]
    n = sum(map(len, by_answer.values()))
    if len(ships) == 1:
        return f"Ship {ships[0].candidate}, an ensemble that is shown to be worth it."
    if ships:
        names = ", ".join(v.candidate for v in ships)
        return f"Ship one of {names}: each is shown to be worth it; they were not held against each other."
    held = next((v for found in by_answer.values() for v in found if v.candidate == chosen), None)
    if held is not None:
        return f"Cannot tell: the requirements would ship {chosen}, an ensemble whose verdict is “{held.answer}”."
    if chosen is None:
        why = sentences_of(pick["requirements"]["reason"])[0] if pick else "No candidate was trained, scored and measured."
        return f"Nothing can be told to ship. {why}"
    return f"Ship {chosen}{_of_ensembles([v.candidate for v in unknown], n)}"


def _of_ensembles(unknown: Sequence[str], n: int) -> str:
    """What is said of the ensembles, none of which ships, beside what does."""
    if not n:
        return ". No ensemble was judged."
    if not unknown:
        return ", and no ensemble." if n == 1 else f", and none of the {n} ensembles."
    whom = "the one ensemble" if n == 1 else f"all {n} ensembles" if len(unknown) == n else f"{len(unknown)} of {n} ensembles"
    return f" for now. Cannot tell of {whom}: {', '.join(unknown)}."


def _why(verdict: Verdict, study: Study, table: Costs, money: Mapping[str, Any], n: int) -> str:
    """What decided on an ensemble, its gain, and what it costs beside the baseline that decides."""
    because = deciding_reason(verdict, study)
    of_all = "of those that ship" if verdict.answer == "ship" else f"of the {n} ensembles"
    who = f"{verdict.candidate}, {of_all} the best out of fold," if n > 1 else verdict.candidate
    compared = nearest(verdict.comparisons)
    if compared is None:
        return f"{who.removesuffix(',')}: {because}."
    gain = gain_words(compared)
    said = because if gain in because else f"{because}; it {gain}"
    beside = [_beside(table, verdict.candidate, compared.baseline, *column) for column in COLUMNS]
    costs = [words for words in (*beside, _money(table, money, verdict.candidate, compared.baseline)) if words]
    return f"{who} {said}{': ' if costs else ''}{', '.join(costs)}."


COLUMNS = (("p99_ms", "p99 {} ms against {}"), ("memory_mib", "{} MiB against {}"))
"""What an ensemble costs beside its baseline, by column of the comparison."""


def _beside(table: Costs, ours: str, theirs: str, column: str, words: str) -> str:
    if not {ours, theirs} <= set(table):
        return ""
    values = [_digits(table, name, column) for name in (ours, theirs)]
    return words.format(*values) if all(values) else ""


def _digits(table: Costs, name: str, column: str) -> str:
    """A cost with no more digits than its interval allows; empty where it was not measured."""
    value, low, high = (float(table[name][f"{column}{end}"]) for end in ("", "_low", "_high"))
    return "" if math.isnan(value) else bounded(value, low, high)[0]


def _money(table: Costs, money: Mapping[str, Any], ours: str, theirs: str) -> str:
    """What an ensemble is worth more in a month where the value of answers is declared; else the prices of serving."""
    for even in money.get("break_even", ()):
        if (even["challenger"], even["baseline"]) == (ours, theirs) and "gain_usd_month" in even:
            value, low, high = (f"{even[key]:+,.0f}" for key in ("gain_usd_month", "gain_low", "gain_high"))
            return f"an estimated {value} USD a month beside it ({low} to {high})"
    if not {ours, theirs} <= set(table):
        return ""
    prices = [float(table[name]["usd_per_million"]) for name in (ours, theirs)]
    if any(map(math.isnan, prices)):
        return ""
    return f"an estimated {number(prices[0], 2)} USD per million queries against {number(prices[1], 2)}"


def _find_out(unknown: Sequence[Verdict]) -> list[str]:
    """What would tell of the ensemble that is best out of fold of those of which nobody can tell."""
    for verdict in unknown:
        needed = verdict.would_tell
        if needed:
            others = [v.candidate for v in unknown if v is not verdict]
            more = f" What would tell of {', '.join(others)} stands with the verdicts." if others else ""
            said = "; ".join((s.removeprefix(AS_IT_IS) if i else s).removesuffix(".") for i, s in enumerate(needed))
            return [f"To tell of {verdict.candidate}: {said[:1].lower()}{said[1:]}.{more}"]
    return [f"{v.candidate}: {sentences_of(v.reason)[0]}" for v in unknown[:1]]


def _undecided(requirements: Sequence[RequirementVerdict], dataset: str, level: str) -> list[str]:
    """Limits that candidates are not shown to keep, and why, where nothing can be shipped for them."""
    here = [r for r in requirements if (r.dataset, r.level) == (dataset, level) and r.hard]
    barred = {r.candidate for r in here if r.outcome == "missed"}
    open_ = [r for r in here if r.outcome == "undecided" and r.candidate not in barred]
    return [f"{r.candidate} on “{r.requirement}”: {r.reason}." for r in open_[:UNDECIDED_SHOWN]]
