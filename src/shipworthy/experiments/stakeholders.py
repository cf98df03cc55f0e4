"""Hear everybody who has a say on the candidates of a run: what each would ship, who vetoes it, and what all can live with.

This experiment does *not* know how a compromise is found, or how it is drawn.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from shipworthy.experiments.arms import Arm, arms_of, sentence
from shipworthy.experiments.assessment import Assessment
from shipworthy.experiments.feasibility import lab_study
from shipworthy.experiments.latency_and_memory import measurements_of
from shipworthy.experiments.workbench import Workbench, as_json, nan_for_null, write_atomically
from shipworthy.records import (
    EVERYBODY,
    Hearing,
    InputError,
    Measurement,
    Record,
    Requirement,
    RequirementVerdict,
    Stakeholder,
    Study,
    TrainingPlan,
)

HEARINGS_FILE = "stakeholders.json"
RESEARCH = "research"
WANTS = {
    RESEARCH: "the best score on the benchmark",
    "ML engineering": "the item that the user will pick, from a model that is soon trained again",
    "sales": "the likeliest buyers at the top of the list",
    "product": "an answer at once, and a good one",
    "platform": "fewer, simpler, stabler models",
    "legal": "probabilities that mean what they say",
    "the manager": "margin",
}
"""The seven who are heard where a notebook is run alone; a study names its own."""


def stakeholder_study(
    *,
    datasets: Sequence[str],
    candidates: Sequence[str],
    seeds: Sequence[int],
    weights: Mapping[str, Mapping[str, float]],
    p99_limit_ms: float,
    memory_limit_mib: float,
    worst_roc_auc: float,
    training: TrainingPlan | None = None,
) -> Study:
    """A small study with stakeholders from the parameters of a notebook that is run alone.

    Its requirements are left to the stakeholders: each is somebody's veto.

    Parameters
    ----------
    datasets, candidates : sequence of str
    seeds : sequence of int
    weights : mapping of str to mapping of str to float
        For each stakeholder, what a quantity weighs; together 1. One without weights only vetoes.
    p99_limit_ms, memory_limit_mib, worst_roc_auc : float
        What product, platform and ML engineering veto.
    training : TrainingPlan, optional

    Returns
    -------
    Study

    Raises
    ------
    InputError
        If a value cannot be.
    """
    from shipworthy import datasets as rows
    from shipworthy import feasibility
    from shipworthy.measurement import accuracy

    within = f"within {p99_limit_ms:g} ms"
    vetoes = {
        "ML engineering": Requirement(name="better than guessing", quantity="roc_auc", at_least=worst_roc_auc),
        "product": Requirement(
            name=within, quantity="latency_ms", statistic="p99", at_most=p99_limit_ms, scenario="single_stream"
        ),
        "platform": Requirement(name="fits beside others", quantity="peak_memory_mib", statistic="max", at_most=memory_limit_mib),
    }
    stakeholders = tuple(
        Stakeholder(
            name=name,
            wants=WANTS.get(name, ""),
            weights=dict(given),
            vetoes=(vetoes[name],) if name in vetoes else (),
        )
        for name, given in weights.items()
    )
    feasibility.check_stakeholders(stakeholders)
    # Nobody ranks by it, but a study has one: where the rows have no ROC AUC, the first that they do have.
    known = [accuracy.metrics_for(rows.task(name)) for name in datasets if name in rows.names()]
    common = [m for m in ("roc_auc", *(known[0] if known else ())) if all(m in one for one in known)]
    if not common:
        raise InputError("parameters: datasets names tasks that have no metric in common; name the data sets of one task")
    study = lab_study(
        datasets=datasets,
        candidates=candidates,
        seeds=seeds,
        smallest_useful_gain=0.005,
        metric=common[0],
        p99_limit_ms=p99_limit_ms,
        memory_limit_mib=memory_limit_mib,
        queries_per_s=1.0,
        training=training,
    )
    return replace(study, requirements=(), stakeholders=stakeholders)


def hear_stakeholders(bench: Workbench, assessment: Assessment) -> tuple[Hearing, ...]:
    """Hear the stakeholders of an assessed study on every data set and level.

    Parameters
    ----------
    bench : Workbench
        Holds the raw values by which percentiles are judged.
    assessment : Assessment
        Its study names the stakeholders; its records hold what they value. The requirements of the study count as vetoes that
        bind everybody.

    Returns
    -------
    tuple of Hearing
        One for each data set and level of which anything was recorded.

    Raises
    ------
    InputError
        If the study names no stakeholders, or they cannot be heard.
    """
    from shipworthy import feasibility

    study = assessment.study
    feasibility.check_stakeholders(study.stakeholders)
    places: dict[tuple[str, str], list[Arm]] = {}
    for arm in arms_of(study):
        places.setdefault((arm.dataset, arm.level), []).append(arm)
    hearings = []
    for (dataset, level), arms in places.items():
        frame = assessment.records
        frame = frame[(frame["dataset"] == dataset) & (frame["level"] == level)]
        rows = frame[list(Record.__slots__)].itertuples(index=False, name=None)
        records = [Record(*row) for row in rows]
        present = {r.candidate for r in records}
        candidates = [n for n in study.candidates if n in present]
        if not candidates:
            continue
        judged: list[tuple[str, RequirementVerdict]] = [
            (EVERYBODY, v) for v in assessment.requirements if (v.dataset, v.level) == (dataset, level)
        ]
        for name in candidates:
            measured: list[Measurement] = [m for arm in arms for m in measurements_of(bench, arm, name)]
            judged += feasibility.judge_vetoes(study.stakeholders, name, dataset, measured, records, level=level)
        readings = feasibility.read_values(records, feasibility.valued(study.stakeholders))
        hearings.append(feasibility.hear(dataset, study.stakeholders, candidates, readings, judged, level=level))
    return tuple(hearings)


def save_hearings(folder: Path, hearings: Sequence[Hearing]) -> None:
    """Write ``stakeholders.json``, whole or not at all.

    Parameters
    ----------
    folder : Path
        A run folder.
    hearings : sequence of Hearing
    """
    write_atomically(folder / HEARINGS_FILE, as_json({"hearings": [asdict(h) for h in hearings]}))


def read_hearings(folder: Path) -> tuple[Hearing, ...]:
    """Hearings as they were saved.

    Parameters
    ----------
    folder : Path
        A run folder.

    Returns
    -------
    tuple of Hearing

    Raises
    ------
    InputError
        Naming the file, if it is missing or not as it was written.
    """
    from pydantic import TypeAdapter, ValidationError

    path = folder / HEARINGS_FILE
    try:
        held: Any = json.loads(path.read_text(encoding="utf-8"))["hearings"]
        # Null stands for nan in a number and for nothing in the two compromises.
        rows = [{**nan_for_null(h), "compromise": h["compromise"], "proven": h["proven"]} for h in held]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} cannot be read ({error!r}); run the study again to complete it") from None
    try:
        return TypeAdapter(tuple[Hearing, ...]).validate_python(rows)
    except ValidationError as error:
        raise InputError(f"{sentence(error, str(path))}; run the study again to complete it") from None
