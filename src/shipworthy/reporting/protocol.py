"""How a study was measured, in plain words: from its plan, and from the conditions that its records carry.

This module does *not* know the page, or what the numbers were.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from shipworthy.records import Study
from shipworthy.reporting.wording import number

if TYPE_CHECKING:
    import pandas as pd

SHOWN = {"threads", "warm_up", "garbage_collector", "profile", "pinned", "machine", "versions", "note"}
AGAIN = re.compile(r"(\d+) rows asked for, (\d+) different ones given")


def levels_of(study: Study) -> list[str]:
    """The levels of what is swept, in the study's order; one empty level where nothing is."""
    return ["; ".join(str(value) for value in values) for values in itertools.product(*study.sweep.values())]


def protocol(study: Study, records: pd.DataFrame, picks: Sequence[Mapping[str, Any]]) -> list[str]:
    """How it was measured, a sentence or two each.

    Parameters
    ----------
    study : Study
    records : DataFrame
        Their ``conditions`` say how busy the machine was, and which rows came again.
    picks : sequence of mapping
        Each may carry the ``noise_floor`` of its data set and level.

    Returns
    -------
    list of str
    """
    plan, training, prices = study.measuring, study.training, study.prices
    train = f"at most {training.max_train_rows:,}" if training.max_train_rows else "all"
    test = f"at most {training.max_test_rows:,}" if training.max_test_rows else "all"
    seeds = f"{'seeds' if len(study.seeds) > 1 else 'seed'} {', '.join(map(str, study.seeds))}"
    threads = f"{plan.threads} thread{'s' if plan.threads > 1 else ''}"
    batches = ", ".join(f"{b:,}" for b in plan.batch_sizes)
    swept = [f"Swept: {name} = {', '.join(f'{v:g}' for v in values)}." for name, values in study.sweep.items()]
    rows = (
        f"Candidates were trained on {train} training rows and scored on {test} test rows, with {seeds}. "
        f"Out-of-fold scores come from {training.folds} folds: they choose baselines and picks, and test rows never do. "
        "Ensembles are assembled from members already fitted."
    )
    gains = (
        f"Gains are paired on the same test rows, with {100 * study.confidence:g} % intervals, which hold over all ensembles of "
        "a data set together (Bonferroni): with one seed by the paired bootstrap, with several by the corrected resampled t "
        "(Nadeau and Bengio 2003), as far as they share rows. "
        "Test rows that belong together (of one day or household, or identical) were drawn together "
        "in every resample. Limits were tested on the saved artefacts, each known by its fingerprint. "
        f"The smallest useful gain of {study.smallest_useful_gain:g} was declared before anything ran."
    )
    serving = (
        f"{_answered(records, plan.queries)} of one raw row, one at a time, over {plan.rounds} interleaved "
        f"round{'s' if plan.rounds > 1 else ''}. Every round was a fresh child process that could import only what serving "
        f"needs, with {threads}, after {plan.warm_up} warm-up calls that were thrown away, the garbage collector off meanwhile. "
        "Nothing of this study ran beside a timed window. "
        "Latency runs from a query being due to its answer being complete, preprocessing included."
    )
    costs = (
        f"Batches of {batches} rows were answered {plan.batch_repeats} times each; a size whose calls took longer than "
        f"{plan.batch_limit_s:.3g} s together was answered less often, and twice at least. "
        "Import, load and first call are separate numbers, each from a fresh process. "
        "Memory is what the serving process needs above an idle interpreter."
    )
    rule = (
        "A p99 limit counts as met, at 99 % confidence, only after 459 queries with none over it, or 662 with one; "
        "with fewer it is undecided. A ratio of latencies is taken within rounds, and its interval is widened by how much a "
        "candidate differed from itself in fresh processes."
    )
    money = (
        f"Prices are those of {prices.as_of} ({prices.source}), at {study.traffic_queries_s:g} queries a second: an estimate. "
        "CPU time is paid as it is used; memory is held all the time, by as many copies as the traffic keeps busy."
    )
    return [rows, gains, serving, *_rows_again(records, study), costs, rule, *_quiet(records, picks), money, *swept]


def _answered(records: pd.DataFrame, asked: int) -> str:
    """How many single queries were answered: as many as were asked for only where every record says so."""
    timed = records[
        (records["quantity"] == "latency_ms") & (records["scenario"] == "single_stream") & (records["batch_size"] == 1)
    ]
    counts = set(timed["n"].astype(int)) if len(timed) else set()
    if counts == {asked}:
        return f"Each candidate that was measured answered {asked:,} queries"
    if not counts:
        return f"Candidates were to answer {asked:,} queries"
    fewest, most = min(counts), max(counts)
    span = f"{fewest:,}" if fewest == most else f"from {fewest:,} to {most:,}"
    return f"Candidates answered {span} queries ({asked:,} were asked for)"


def _conditions_of(records: pd.DataFrame) -> Iterator[tuple[str, dict[str, Any]]]:
    """Data set and conditions of every measurement, each pair once."""
    if records.empty:
        return
    for dataset, text in records[["dataset", "conditions"]].drop_duplicates().itertuples(index=False):
        yield str(dataset), json.loads(text or "{}")


def _rows_again(records: pd.DataFrame, study: Study) -> list[str]:
    """For each data set that had fewer different rows than were asked for, how many rows were used more than once."""
    given: dict[str, dict[bool, tuple[int, int]]] = {}
    for dataset, conditions in _conditions_of(records):
        single = conditions.get("scenario") == "single_stream" and conditions.get("batch_size") == 1
        for asked, different in AGAIN.findall(str(conditions.get("note") or "")):
            known = given.setdefault(dataset, {})
            known[single] = max(known.get(single, (0, 0)), (int(asked), int(different)))
    sentences = []
    for dataset in sorted(given, key=lambda d: (study.datasets.index(d) if d in study.datasets else len(study.datasets), d)):
        parts = []
        for single, (asked, different) in sorted(given[dataset].items(), reverse=True):
            things = f"{asked:,} single queries" if single else f"batches with {asked:,} rows in all"
            parts.append(f"{things} were made of {different:,} different rows")
        sentences.append(f"On {dataset} rows came again: {', and '.join(parts)}.")
    return sentences


def _quiet(records: pd.DataFrame, picks: Sequence[Mapping[str, Any]]) -> list[str]:
    """How busy the machine was while it was measured, and by how much a candidate differed from itself."""
    loads = [c["load_average"] for _, c in _conditions_of(records) if isinstance(c.get("load_average"), int | float)]
    sentences = []
    if loads:
        sentences.append(
            f"The highest one-minute load average when a measurement began was {number(max(loads), 2)}; "
            "it counts everything that ran on the machine, what had just trained included."
        )
    floors = []
    for pick in picks:
        floor = pick.get("noise_floor")
        place = str(pick["dataset"]) + (f" ({pick['level']})" if pick["level"] else "")
        known = isinstance(floor, int | float) and math.isfinite(floor)
        floors.append(f"{place} {f'{floor:.3g}' if known else 'not known, as too few rounds were measured'}")
    if any("noise_floor" in pick for pick in picks):
        sentences.append(
            "The noise floor, the factor by which the p99 of one and the same candidate differed between fresh processes: "
            f"{'; '.join(floors)}."
        )
    return sentences


def measured_conditions(records: pd.DataFrame) -> list[tuple[str, str]]:
    """What the latency records say of their conditions; several values where they differ."""
    if records.empty:
        return []
    timed = records[(records["quantity"] == "latency_ms") & (records["scenario"] == "single_stream")]
    found: dict[str, set[str]] = {}
    for _, conditions in _conditions_of(timed):
        for key, value in conditions.items():
            if key in SHOWN and value not in (None, ""):
                found.setdefault(key, set()).add(str(value))
    return [(key.replace("_", " "), "; ".join(sorted(values))) for key, values in sorted(found.items())]
