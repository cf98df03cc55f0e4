"""Puts tables and figures together into one page, and the same in Markdown.

Whatever comes from data (names above all) is escaped by the templates; only our own SVG and style sheet are trusted.

This module does *not* know where the page is written, or how a number was judged.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from typing import TYPE_CHECKING, Any, TypeVar

from shipworthy.records import QUANTITIES, RequirementVerdict, Study, Verdict
from shipworthy.reporting import figures, load, matrix, money, tables
from shipworthy.reporting import picks as budgets
from shipworthy.reporting.brief import brief
from shipworthy.reporting.content import Report, ReportContent
from shipworthy.reporting.deciding import deciding_reason
from shipworthy.reporting.makeup import make_up, members_table
from shipworthy.reporting.protocol import levels_of, measured_conditions, protocol
from shipworthy.reporting.stakeholders import hearing_sections, stakeholder_frames, veto_sentences
from shipworthy.reporting.sweeps import sweep_view
from shipworthy.reporting.wording import (
    KIND_WORDS,
    bayes_lines,
    bounded,
    cell,
    cost,
    costs_declared,
    free_file,
    label,
    number,
    percent,
    place_part,
    requirement_sentence,
    rounded,
    score,
    times,
    times_the_limit,
)

if TYPE_CHECKING:
    import jinja2
    import pandas as pd

Thing = TypeVar("Thing")
ROWS_ON_THE_PAGE = 300
"""A longer table of results is cut on the page and whole in ``results.csv``."""
OPEN_CARDS = 3
"""So many verdicts fit below each other in a notebook with all that carries them."""


def build_report(content: ReportContent) -> Report:
    """The report of a study, in every form.

    Parameters
    ----------
    content : ReportContent

    Returns
    -------
    Report
        The same content gives the same bytes.

    Raises
    ------
    ValueError
        If there are records, but not of what a verdict speaks of.
    """
    study, records = content.study, content.records
    places = _Places(study)
    verdicts = places.sort(content.verdicts, lambda v: (v.dataset, v.level))
    requirements = places.sort(content.requirement_verdicts, lambda v: (v.dataset, v.level))
    csv = tables.csv_tables(records, study, verdicts, requirements)
    for name in ("comparison.csv", "results.csv"):
        rows = places.sort(enumerate(csv[name].to_dict("records")), lambda row: (row[1]["dataset"], row[1]["level"]))
        csv[name] = csv[name].iloc[[position for position, _ in rows]].reset_index(drop=True)
    if len(made_of := members_table(records)):
        csv |= {"members.csv": made_of}
    if content.loads:
        csv |= {"curve.csv": load.curve_table(content.loads), "rates.csv": load.rate_table(content.loads)}
    if content.simulations:
        csv["simulated.csv"] = budgets.simulation_frame(content.simulations)
    if content.money:
        csv |= {"verdict_map.csv": money.map_table(content.money), "flips.csv": money.flip_table(content.money)}
        csv |= {"break_even.csv": money.break_even_table(content.money), "public.csv": money.public_table(content.money)}
    drawn: dict[str, str] = {}
    picks = places.sort(content.picks, lambda p: (p["dataset"], p["level"]))
    parts = places.sort(set(zip(records["dataset"], records["level"], strict=True)), lambda place: place)
    csv["scores.csv"] = matrix.score_matrix(records, study.metric, parts, content.verdicts)
    judged = {*((v.dataset, v.level) for v in verdicts), *((p["dataset"], p["level"]) for p in picks)}
    sections = [_section(content, dataset, level, drawn) for dataset, level in parts]
    hearings = places.sort(content.hearings, lambda h: (h.dataset, h.level))
    heard = hearing_sections(hearings, study.stakeholders, drawn)
    csv |= stakeholder_frames(hearings)
    results = csv["results.csv"].to_dict("records")
    view: dict[str, Any] = {
        "study": study,
        "costs_declared": costs_declared(study),
        "verdicts": _told(verdicts, study),
        "open_cards": False,
        "counts": {
            answer: sum(v.answer == answer for v in content.verdicts) for answer in ("ship", "do not ship", "cannot tell")
        },
        "briefs": [brief(content, *place) for place in places.sort(judged, lambda place: place)],
        "picks": picks,
        "vetoes": veto_sentences(hearings),
        "hearings": heard,
        "requirements": [_requirement_rows(part, study) for part in _by_place(requirements)],
        "sections": sections,
        "loads": load.load_view(places.sort(content.loads, lambda found: (found["dataset"], found["level"])), drawn),
        "simulations": budgets.simulation_view(places.sort(content.simulations, lambda f: (f["dataset"], f["level"])), drawn),
        "money": money.money_view(places.sort(content.money, lambda m: (m["dataset"], m["level"])), records, drawn),
        "unsure": budgets.UNSURE,
        "sweeps": sweep_view(study, records, drawn),
        "matrix": matrix.matrix_view(csv["scores.csv"]),
        "results": _result_rows(results[:ROWS_ON_THE_PAGE], study.metric),
        "results_left_out": max(0, len(results) - ROWS_ON_THE_PAGE),
        "protocol": protocol(study, records, picks),
        "conditions": measured_conditions(records),
        "missing": content.missing,
        "nothing_missing": _nothing_missing(study, records),
        "left_out": content.left_out,
        "environment": _flat(content.environment),
        "timings": _shares(content.timings),
        "study_yaml": _yaml(study),
        "metric": study.metric,
        "datasets": content.datasets,
        "meanings": [
            (q.label, q.unit, q.meaning) for q in QUANTITIES.values() if len(records) and q.name in set(records["quantity"])
        ],
    }
    trusted = {"style": _template("report.css"), "svg": drawn}
    html = template_environment(autoescape=True).from_string(_template("report.html.j2")).render(**view, **trusted)
    markdown = template_environment(autoescape=False).from_string(_template("report.md.j2")).render(**view)
    return Report(html, markdown, {name: tables.harmless(table) for name, table in csv.items()}, drawn)


def verdict_cards(verdicts: Sequence[Verdict], study: Study) -> str:
    """The verdicts as HTML for a notebook: of each a line with its answer and what decided, which opens to all that carries it.

    Parameters
    ----------
    verdicts : sequence of Verdict
    study : Study
        Declares what they were judged by.

    Returns
    -------
    str
        Whole in itself, its style included; names are escaped. A few are open from the start.
    """
    source = '<style>{{ style }}</style><div class="shipworthy">{% include "cards.html.j2" %}</div>'
    view = {"verdicts": _told(verdicts, study), "open_cards": len(verdicts) <= OPEN_CARDS, "style": _template("report.css")}
    return template_environment(autoescape=True).from_string(source).render(**view)


def _told(verdicts: Sequence[Verdict], study: Study) -> list[tuple[Verdict, str]]:
    """Each verdict with the reason that decided it."""
    return [(v, deciding_reason(v, study)) for v in verdicts]


def _template(name: str) -> str:
    return (resources.files("shipworthy.reporting") / "templates" / name).read_text(encoding="utf-8")


def template_environment(*, autoescape: bool) -> jinja2.Environment:
    """The templates with the filters that they use; ``autoescape`` is off for Markdown alone."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=autoescape,  # noqa: S701 - off for Markdown only, whose template escapes each value by its own filter
        loader=jinja2.FunctionLoader(_template),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "number": number,
        "score": score,
        "times": times,
        "is_finite": math.isfinite,
        "rounded": lambda interval: rounded(interval.value, interval.low, interval.high),
        "label": label,
        "bayes_lines": bayes_lines,
        "percent": percent,
        "factor": times_the_limit,
        "is_off": lambda value: value > 1,
        "md": _markdown,
        "slug": lambda text: text.replace(" ", "-"),
    }
    return environment


def _markdown(value: object) -> str:
    """A value as Markdown text: no table cell ends early, no tag begins, no line breaks."""
    text = " ".join(str(value).split())
    for character, safe in (
        ("&", "&amp;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ("\\", "\\\\"),
        ("|", "\\|"),
        ("`", "\\`"),
        ("[", "\\["),
        ("*", "\\*"),
    ):
        text = text.replace(character, safe)
    return text


class _Places:
    """The order of the study: its data sets, and of each the levels in the order in which they are swept."""

    def __init__(self, study: Study) -> None:
        self._datasets = {name: i for i, name in enumerate(study.datasets)}
        self._levels = {level: i for i, level in enumerate(levels_of(study))}

    def sort(self, things: Iterable[Thing], place: Callable[[Thing], tuple[str, str]]) -> list[Thing]:
        """Things in that order; those of one place stay as they are, and a place that the study does not name comes last."""

        def key(thing: Thing) -> tuple[object, ...]:
            dataset, level = place(thing)
            known = self._datasets.get(dataset, len(self._datasets)), self._levels.get(level, len(self._levels))
            return known[0], dataset, known[1], tables.level_order(level)

        return sorted(things, key=key)


def _by_place(verdicts: Sequence[RequirementVerdict]) -> list[list[RequirementVerdict]]:
    places: dict[tuple[str, str], list[RequirementVerdict]] = {}
    for verdict in verdicts:
        places.setdefault((verdict.dataset, verdict.level), []).append(verdict)
    return list(places.values())


def _section(content: ReportContent, dataset: str, level: str, drawn: dict[str, str]) -> dict[str, Any]:
    """One data set at one level: its comparison and its figures; the figures are put into ``drawn``."""
    study, records = content.study, content.records
    table = tables.comparison_table(records, dataset, study.metric, level=level)
    here = records[(records["dataset"] == dataset) & (records["level"] == level)]
    kinds = dict(zip(here["candidate"], here["kind"], strict=True))
    latency_limit, memory_limit = _limit(study, "latency_ms"), _limit(study, "memory_mib")
    factor = min(here["factor"])
    shown = {
        "accuracy_against_p99": figures.accuracy_against_cost(
            records, dataset, "latency_ms", study.metric, level=level, limit=latency_limit, verdicts=content.verdicts
        ),
        "accuracy_against_memory": figures.accuracy_against_cost(
            records, dataset, "memory_mib", study.metric, level=level, limit=memory_limit, verdicts=content.verdicts
        ),
        "latency_distribution": figures.latency_distribution(
            content.samples, dataset, kinds=kinds, level=level, limit=latency_limit
        ),
    }
    place = place_part(dataset, level)
    entries = []
    for name, figure in shown.items():
        file = free_file(drawn, f"{place}-{name}.svg")
        drawn[file] = figure.svg()
        entries.append({"file": file, "finding": figure.finding})
    columns = [c for c in tables.COSTS if table[c.name].notna().any()]
    rows = [_comparison_row(row, study.metric, columns) for row in table.to_dict("records")]
    title = f"{dataset} ({factor} = {level})" if level else dataset
    return {"title": title, "columns": columns, "rows": rows, "figures": entries, "made_of": make_up(here)}


def _comparison_row(row: Mapping[Any, Any], metric: str, columns: Sequence[tables.Column]) -> dict[str, Any]:
    low, high = row[f"{metric}_low"], row[f"{metric}_high"]
    return {
        "candidate": row["candidate"],
        "kind": row["kind"],
        "kind_words": KIND_WORDS[row["kind"]],
        "score": score(row[metric]),
        "interval": f"{score(low)} to {score(high)}" if low == low and high == high else "",  # noqa: PLR0124 - nan differs from itself
        "oof": score(row[f"{metric}_oof"]),
        "costs": [_cost_cell(row, c) for c in columns],
    }


def _cost_cell(row: Mapping[Any, Any], column: tables.Column) -> dict[str, str]:
    """A cost; of a percentile far out also its interval, and no digit that this does not allow."""
    value = row[column.name]
    if column.statistics != ("p99",):
        return {"value": cost(value), "interval": ""}
    low, high = row[f"{column.name}_low"], row[f"{column.name}_high"]
    shown, *ends = bounded(value, low, high)
    return {"value": shown, "interval": f"{ends[0]} to {ends[1]}" if math.isfinite(low + high) else ""}


def _limit(study: Study, quantity: str) -> float | None:
    """The limit that a figure draws: on the p99 of single queries, or on memory."""
    for requirement in study.requirements:
        fits = requirement.statistic == "p99" and requirement.scenario == "single_stream" if quantity == "latency_ms" else True
        if requirement.quantity == quantity and fits and requirement.at_most is not None:
            return requirement.at_most
    return None


def _requirement_rows(verdicts: Sequence[RequirementVerdict], study: Study) -> dict[str, Any]:
    """The requirements of one data set and level: candidates by requirements, and the reasons of what is not met."""
    names = list(dict.fromkeys(v.requirement for v in verdicts))
    rows: dict[str, dict[str, RequirementVerdict]] = {}
    for v in verdicts:
        rows.setdefault(v.candidate, {})[v.requirement] = v
    unmet = {v.requirement for v in verdicts if v.outcome != "met"}
    unmet |= {n for n in names if any(n not in found for found in rows.values())}
    title = verdicts[0].dataset + (f" ({verdicts[0].level})" if verdicts[0].level else "")

    def table(shown: Sequence[str]) -> dict[str, Any]:
        sentences = {r.name: requirement_sentence(r) for r in study.requirements}
        return {
            "columns": [{"name": n, "sentence": sentences.get(n, ""), "unit": _unit(study, n)} for n in shown],
            "rows": [{"candidate": c, "cells": [found.get(n) for n in shown]} for c, found in rows.items()],
        }

    kept = [n for n in names if n not in unmet]
    return {
        "title": title,
        "kept": _kept(title, kept, len(names), [v for v in verdicts if v.requirement in kept], study, len(rows)),
        "unmet": table([n for n in names if n in unmet]) if unmet else None,
        "whole": table(names) if kept else None,
        "open": [v for v in verdicts if v.outcome != "met"],
    }


def _kept(
    title: str, kept: Sequence[str], n: int, verdicts: Sequence[RequirementVerdict], study: Study, n_candidates: int
) -> str:
    """One sentence on the requirements that every candidate meets, and who comes nearest to a limit."""
    if not kept:
        return ""
    # Who failed before it was measured is judged by no requirement.
    who = (
        f"All {n_candidates} candidates that were judged meet" if n_candidates > 1 else "The one candidate that was judged meets"
    )
    what = (
        f"all {n} requirements" if len(kept) == n > 1 else "the one requirement" if n == 1 else f"{len(kept)} of {n} requirements"
    )
    text = f"{who} {what} on {title}"
    if len(kept) < n:
        text += f" ({', '.join(kept)})"
    declared = {r.name: r for r in study.requirements}

    def used(v: RequirementVerdict) -> float:
        """Share of the limit that is used up."""
        shares = (v.observed / v.limit, v.limit / v.observed) if v.observed * v.limit > 0 else (0.0, 0.0)
        return shares[declared[v.requirement].at_most is None]

    judged = [v for v in verdicts if v.requirement in declared and math.isfinite(v.observed)]
    if not judged:
        return f"{text}."
    near = max(judged, key=used)
    unit = _unit(study, near.requirement)
    observed = f"{number(near.observed)} {unit}".strip()
    asked = f"{near.requirement} ({requirement_sentence(declared[near.requirement])})"
    return f"{text}; the tightest is {asked}: {near.candidate} with {observed}."


def _unit(study: Study, requirement: str) -> str:
    return next(
        (QUANTITIES[r.quantity].unit for r in study.requirements if r.name == requirement and r.quantity in QUANTITIES), ""
    )


def _result_rows(results: Sequence[Mapping[Any, Any]], metric: str) -> list[dict[str, Any]]:
    return [
        {
            "place": [row["dataset"], row["level"], row["seed"], row["candidate"]],
            "score": score(row[metric]),
            "interval": f"{score(row[f'{metric}_low'])} to {score(row[f'{metric}_high'])}",
            "numbers": [
                cost(row["p50_ms"]),
                bounded(row["p99_ms"], row["p99_ms_low"], row["p99_ms_high"])[0],
                *(cost(row[c]) for c in ("memory_mib", "size_mib", "fit_cpu_s", "usd_per_million")),
            ],
            "answer": row["answer"],
        }
        for row in results
    ]


def _nothing_missing(study: Study, records: pd.DataFrame) -> str:
    """What is said where nothing was reported missing: that all is there only if the records hold it."""
    asked = {(dataset, candidate) for dataset in study.datasets for candidate in study.candidates}
    for quantity in (study.metric, "latency_ms", "memory_mib"):
        held = records[records["quantity"] == quantity]
        asked &= set(zip(held["dataset"], held["candidate"], strict=True))
    if len(asked) == len(study.datasets) * len(set(study.candidates)):
        return "Nothing is missing: every candidate of the study was trained, scored and measured."
    return "Nothing was reported missing, but not every candidate of the study has a score, a latency and a memory on record."


def _flat(environment: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Names and values for reading; an empty list has nothing to say."""
    rows: list[tuple[str, str]] = []
    for key, value in environment.items():
        words = {"cannot": "could not be told"}.get(key, key)
        name = f"{prefix}{words}".replace("_", " ")
        if isinstance(value, Mapping):
            rows += _flat(value, f"{key}: ")
        elif isinstance(value, list | tuple):
            rows += [(name, "; ".join(cell(v) for v in value))] if value else []
        else:
            rows.append((name, "unknown" if value is None or value == "" else cell(value)))
    return rows


def _shares(timings: Mapping[str, float]) -> list[tuple[str, str, str]]:
    total = sum(timings.values())
    return [(name, f"{seconds:,.0f}", f"{100 * seconds / total:.0f}") for name, seconds in timings.items()] if total > 0 else []


def _yaml(study: Study) -> str:
    import yaml

    # Through JSON: tuples become lists, which is how a person writes them.
    text: str = yaml.safe_dump(json.loads(json.dumps(asdict(study))), sort_keys=False, allow_unicode=True, width=110)
    return text
