"""Where an ensemble's gain and cost stand among those of public tasks: bulk time against bulk time, and never anything else.

The facts ship with the package, and say in ``data/SOURCE.md`` where they come from.

This module does *not* know how the ensemble that is placed was measured; it is told whether its time ratio is one in bulk.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

import numpy as np

from shipworthy.records import Floats, InputError

BEST = "best_quality"
"""AutoGluon's preset for accuracy at any cost."""
LONGEST_MIN = 240
SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class PublicEnsemble:
    """One ensemble on one public task: what it cut off the error, and at what multiple of the time. As ``SOURCE.md`` has it."""

    task: str
    type: Literal["binary", "multiclass", "regression"]
    metric: str
    preset: str
    budget_min: int
    members: float
    error_cut: float
    p_value: float
    time_multiple: float
    train_s: float
    train_s_single: float


@dataclass(frozen=True, slots=True)
class PublicPlace:
    """Where one ensemble stands: shares of the sample below it, ties counted half.

    Parameters
    ----------
    candidate, baseline : str
    sample : str
        The sample in words: preset, budget, types of task.
    n : int
        Its size.
    error_cut, time_multiple : float
    error_cut_rank, time_multiple_rank : float
        Per cent of the sample with a smaller one; ``nan`` where it is not known.
    sentence : str
    """

    candidate: str
    baseline: str
    sample: str
    n: int
    error_cut: float
    time_multiple: float
    error_cut_rank: float
    time_multiple_rank: float
    sentence: str


@dataclass(frozen=True, slots=True)
class Bought:
    """What a longer training budget bought on the tasks that both budgets finished: medians over tasks."""

    preset: str
    short_min: int
    long_min: int
    n: int
    error_cut_short: float
    error_cut_long: float
    time_multiple_short: float
    time_multiple_long: float
    better_on: float
    """Share of the tasks on which the longer budget has the lower error."""
    sentence: str


@cache
def public_ensembles() -> tuple[PublicEnsemble, ...]:
    """The public facts, read from the package.

    Returns
    -------
    tuple of PublicEnsemble

    Examples
    --------
    >>> len({row.task for row in public_ensembles()})
    102
    """
    text = (resources.files("shipworthy.feasibility") / "data" / "public_ensembles.csv").read_text(encoding="utf-8")
    return tuple(
        PublicEnsemble(
            task=f"{row['openml_task']} {row['task']}",
            type=row["type"],  # type: ignore[arg-type]  # a test reads every row
            metric=row["metric"],
            preset=row["preset"],
            budget_min=int(row["budget_min"]),
            members=float(row["members"]),
            error_cut=float(row["error_cut"]),
            p_value=float(row["p_value"]),
            time_multiple=float(row["time_multiple"]),
            train_s=float(row["train_s"]),
            train_s_single=float(row["train_s_single"]),
        )
        for row in csv.DictReader(io.StringIO(text))
    )


def sample_of(preset: str = BEST, budget_min: int = LONGEST_MIN, task_type: str = "") -> tuple[PublicEnsemble, ...]:
    """The public ensembles of one preset and budget.

    Parameters
    ----------
    preset : str
    budget_min : int
    task_type : str
        ``binary``, ``multiclass`` or ``regression``; left empty, all.

    Returns
    -------
    tuple of PublicEnsemble

    Raises
    ------
    InputError
        If there are none, naming what there is.
    """
    rows = public_ensembles()
    found = tuple(r for r in rows if (r.preset, r.budget_min) == (preset, budget_min) and task_type in ("", r.type))
    if not found:
        there = ", ".join(f"{p} with {b} min" for p, b in sorted({(r.preset, r.budget_min) for r in rows}))
        raise InputError(
            f"no public ensemble is {preset!r} with {budget_min} min on {task_type or 'any'} tasks; there are {there}"
        )
    return found


def in_words(preset: str, budget_min: int, task_type: str, n: int) -> str:
    """The sample in words.

    Examples
    --------
    >>> in_words("best_quality", 240, "binary", 41)
    '41 public binary tasks (AutoGluon 1.0, best_quality, 240 minutes of training)'
    """
    kind = f"{task_type} " if task_type else ""
    return f"{n} public {kind}tasks (AutoGluon 1.0, {preset}, {budget_min} minutes of training)"


def rank(values: Floats, value: float) -> float:
    """Per cent of values below one, ties counted half; ``nan`` of ``nan``.

    Examples
    --------
    >>> rank(np.array([1.0, 2.0, 3.0, 4.0]), 2.0)
    37.5
    """
    from scipy.stats import percentileofscore

    return math.nan if math.isnan(value) else float(percentileofscore(values, value, kind="mean"))


def place_among_public(
    candidate: str,
    baseline: str,
    error_cut: float,
    time_multiple: float,
    *,
    bulk: bool,
    task_type: str = "",
    preset: str = BEST,
    budget_min: int = LONGEST_MIN,
) -> PublicPlace:
    """Where an ensemble stands among the public ones.

    Parameters
    ----------
    candidate, baseline : str
    error_cut : float
        Relative: ``1 - error / error of the baseline``, of 1 - ROC AUC, log loss or RMSE as AMLB has it for the type of task.
    time_multiple : float
        Prediction time over that of the baseline.
    bulk : bool
        Whether that is of many rows at once. The public figures are, so a ratio of single queries is not ranked.
    task_type, preset, budget_min : str, str, int
        The sample; see :func:`sample_of`.

    Returns
    -------
    PublicPlace
    """
    rows = sample_of(preset, budget_min, task_type)
    cuts, multiples = np.array([r.error_cut for r in rows]), np.array([r.time_multiple for r in rows])
    sample = in_words(preset, budget_min, task_type, len(rows))
    known = bulk and math.isfinite(time_multiple)
    by_cut, by_time = rank(cuts, error_cut), rank(multiples, time_multiple) if known else math.nan
    if math.isnan(error_cut):
        sentence = f"What {candidate} cuts off the error of {baseline} is not known, so it has no place among {sample}."
    else:
        median = f"where the median cut is {100 * float(np.median(cuts)):.1f} %"
        if error_cut >= 0:
            sentence = (
                f"{candidate} cuts {100 * error_cut:.1f} % off the error of {baseline}, more than on {by_cut:.0f} % of {sample}"
            )
        else:
            # It is the cut that is ranked: a rank of 0 says that no ensemble there added as much.
            sentence = (
                f"{candidate} adds {-100 * error_cut:.1f} % to the error of {baseline}, which is better than on "
                f"{by_cut:.0f} % of {sample}"
            )
        sentence += f", {median}"
        if known:
            sentence += (
                f"; in bulk it takes {time_multiple:.3g} times as long, more than on {by_time:.0f} %, "
                f"where the median is {float(np.median(multiples)):.3g} times."
            )
        elif bulk:
            sentence += "; its time in bulk was not measured."
        else:
            sentence += (
                "; the public times are of whole test sets in bulk and only single queries were timed here, which are another "
                "thing, so the times are not compared."
            )
    return PublicPlace(
        candidate, baseline, sample, len(rows), error_cut, time_multiple if known else math.nan, by_cut, by_time, sentence
    )


def bought_by_compute(preset: str = BEST, short_min: int = 5, long_min: int = LONGEST_MIN, task_type: str = "") -> Bought:
    """What a longer training budget bought on public tasks: medians over the tasks that both budgets finished.

    Parameters
    ----------
    preset : str
    short_min, long_min : int
    task_type : str

    Returns
    -------
    Bought

    Raises
    ------
    InputError
        If there are no such ensembles.
    """
    short = {r.task: r for r in sample_of(preset, short_min, task_type)}
    long = {r.task: r for r in sample_of(preset, long_min, task_type)}
    both = sorted(short.keys() & long.keys())

    def median(rows: dict[str, PublicEnsemble], field: Literal["error_cut", "time_multiple"]) -> float:
        return float(np.median([getattr(rows[t], field) for t in both]))

    cuts = median(short, "error_cut"), median(long, "error_cut")
    times = median(short, "time_multiple"), median(long, "time_multiple")
    # Both cuts are relative to the same single model of the task, so the greater cut is the lower error.
    better = float(np.mean([long[t].error_cut > short[t].error_cut for t in both]))
    sentence = (
        f"There, {long_min / short_min:.0f} times the training budget ({long_min} instead of {short_min} minutes) raised the "
        f"median cut of the error from {100 * cuts[0]:.1f} to {100 * cuts[1]:.1f} %, and the median time multiple from "
        f"{times[0]:.3g} to {times[1]:.3g}, on the {len(both)} tasks that both finished; on {100 * better:.0f} % of them the "
        "longer was better."
    )
    return Bought(preset, short_min, long_min, len(both), *cuts, *times, better, sentence)


def scatter(rows: Sequence[PublicEnsemble]) -> tuple[Floats, Floats]:
    """Time multiples and error cuts of a sample, for a figure.

    Returns
    -------
    time_multiple, error_cut : ndarray, shape (n,)
    """
    return np.array([r.time_multiple for r in rows]), np.array([r.error_cut for r in rows])
