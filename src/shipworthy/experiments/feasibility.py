"""Put accuracy, latency, memory and money side by side, and judge every ensemble against what was declared beforehand.

This experiment does *not* know how the evidence is drawn or written up.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shipworthy.experiments.accuracy import accuracy_units, compare_accuracy
from shipworthy.experiments.arms import Arm, arms_of, check_candidate, check_metric, make_arm, sentence, task_of
from shipworthy.experiments.latency_and_memory import measure_latency_and_memory, measurements_of, samples_of
from shipworthy.experiments.workbench import Workbench, nan_for_null, record_rows, write_json
from shipworthy.records import (
    QUANTITIES,
    Candidate,
    InputError,
    Measurement,
    MeasuringPlan,
    Prices,
    Record,
    Requirement,
    RequirementVerdict,
    Study,
    TrainingPlan,
    Verdict,
)

if TYPE_CHECKING:
    import pandas as pd

    from shipworthy.feasibility import Evidence

DATED_PRICES = Prices(
    as_of="2026-03",
    source="AWS Fargate, Linux on x86, us-east-1, on demand",
    vcpu_hour_usd=0.04048,
    gib_hour_usd=0.004445,
)
"""Used where a notebook is run alone; a study declares its own."""


SAMPLE_COLUMNS = ("dataset", "candidate", "seed", "level", "quantity", "scenario", "batch_size", "round", "value")
"""Of ``samples.parquet``: one raw value a row."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """Everything that a report is made of, from one run folder."""

    study: Study
    records: pd.DataFrame
    samples: pd.DataFrame
    verdicts: tuple[Verdict, ...]
    requirements: tuple[RequirementVerdict, ...]
    picks: tuple[dict[str, Any], ...]
    missing: tuple[str, ...]

    def save(self, folder: Path) -> None:
        """Write ``records.parquet``, ``samples.parquet`` and ``verdicts.json``, each whole or not at all."""
        for name, frame in (("records.parquet", self.records), ("samples.parquet", self.samples)):
            beside = folder / f".{name}.{os.getpid()}"
            frame.to_parquet(beside, index=False)
            beside.replace(folder / name)
        judged = {
            "verdicts": [asdict(v) for v in self.verdicts],
            "requirements": [asdict(r) for r in self.requirements],
            "picks": list(self.picks),
            "missing": list(self.missing),
        }
        beside = folder / f".verdicts.json.{os.getpid()}"
        write_json(beside, judged)
        beside.replace(folder / "verdicts.json")


def lab_study(
    *,
    datasets: Sequence[str],
    candidates: Sequence[str],
    seeds: Sequence[int],
    smallest_useful_gain: float,
    p99_limit_ms: float,
    memory_limit_mib: float,
    queries_per_s: float,
    metric: str = "roc_auc",
    training: TrainingPlan | None = None,
    measuring: MeasuringPlan | None = None,
) -> Study:
    """A small study from the parameters of a notebook that is run alone.

    Parameters
    ----------
    datasets, candidates : sequence of str
    seeds : sequence of int
    smallest_useful_gain : float
        In the metric.
    p99_limit_ms, memory_limit_mib, queries_per_s : float
        Limits on the p99 latency (ms, single-stream), the peak memory (MiB) and the throughput (queries/s).
    metric : str
        The one that decides; every data set's task must have it.
    training : TrainingPlan, optional
    measuring : MeasuringPlan, optional

    Raises
    ------
    InputError
        If a value cannot be.
    """
    from pydantic import TypeAdapter, ValidationError

    study = Study(
        name="lab",
        question="Is this ensemble worth shipping?",
        datasets=tuple(datasets),
        candidates=tuple(candidates),
        seeds=tuple(seeds),
        metric=metric,
        smallest_useful_gain=smallest_useful_gain,
        requirements=(
            Requirement(name="latency", quantity="latency_ms", statistic="p99", at_most=p99_limit_ms, scenario="single_stream"),
            Requirement(name="memory", quantity="peak_memory_mib", statistic="max", at_most=memory_limit_mib),
            Requirement(name="throughput", quantity="throughput_rows_s", at_least=queries_per_s, scenario="single_stream"),
        ),
        prices=DATED_PRICES,
        training=training or TrainingPlan(),
        measuring=measuring or MeasuringPlan(),
    )
    try:
        checked: Study = TypeAdapter(Study).validate_python(asdict(study))
    except ValidationError as error:
        raise InputError(sentence(error, "parameters")) from None
    for dataset in checked.datasets:
        arm = make_arm(dataset, checked.seeds[0], candidates=checked.candidates)
        check_metric(metric, task_of(arm), dataset)
        for name in checked.candidates:
            check_candidate(name, task_of(arm), dataset)
    return checked


def _price_records(records: Sequence[Record], study: Study) -> list[Record]:
    """The estimated price of a million queries for each candidate whose CPU time and memory are known."""
    from shipworthy import feasibility

    found = {(r.candidate, r.quantity): r for r in records if r.quantity in {"cpu_ms", "memory_mib"} and r.statistic == "mean"}
    priced = []
    for (name, quantity), cpu in found.items():
        memory = found.get((name, "memory_mib"))
        if quantity != "cpu_ms" or memory is None or not math.isfinite(cpu.value + memory.value):
            continue

        def usd(cpu_ms: float, memory_mib: float) -> float:
            return feasibility.usd_per_million(cpu_ms, memory_mib, study.prices, study.traffic_queries_s)

        low, value, high = (usd(getattr(cpu, f), memory.value) for f in ("low", "value", "high"))
        unit = QUANTITIES["usd_per_million"].unit
        priced.append(
            replace(cpu, quantity="usd_per_million", statistic="estimate", value=value, low=low, high=high, unit=unit, n=cpu.n)
        )
    return priced


@dataclass(slots=True)
class _Found:
    """What lies in the run folder of the arms of one data set and level."""

    evidence: list[Evidence]
    rows: list[dict[str, Any]]
    missing: list[str]
    test_share: float = math.nan


def _gather(bench: Workbench, study: Study, arms: Sequence[Arm]) -> _Found:
    """Evidence of every candidate that was trained and scored for each seed; what is missing of the others, in sentences."""
    from shipworthy import candidates
    from shipworthy.feasibility import Evidence

    found = _Found([], [], [])
    for name in study.candidates:
        candidate = candidates.get(name)
        rows: list[dict[str, Any]] = []
        scores, resampled = [], []
        measurements: list[Measurement] = []
        for arm in arms:
            if not bench.done(fit := bench.fit_unit(arm, name)):
                found.missing.append(f"{name} was not trained on {arm.title}.")
                continue
            placed = {"factor": arm.factor, "level": arm.level}
            rows += [{**row, **placed} for row in bench.read(fit)]
            unit = accuracy_units(bench, arm, [name], study.metric, study.confidence)[0]
            if bench.done(unit):
                rows += [{**row, **placed} for row in bench.read(unit)]
                scores.append(bench.read(unit, "scores.json"))
                resampled.append(np.load(bench.part(unit) / "resampled.npy"))
            else:
                found.missing.append(f"{name} was not scored on {arm.title}.")
            own = measurements_of(bench, arm, name)
            measurements += own
            rows += _serving_rows(own, candidate, arm, study)
            found.missing += [f"{m.quantity} of {name} on {arm.title}: {m.failure}." for m in own if m.failure]
            if not own:
                found.missing.append(f"{name} was not measured on {arm.title}.")
        found.rows += rows
        if len(scores) == len(arms):
            found.test_share = scores[0]["n_test"] / scores[0]["n_train"]
            oof, test = tuple(s["oof"] for s in scores), tuple(s["test"] for s in scores)
            records = tuple(Record(**nan_for_null(row)) for row in rows)
            found.evidence.append(
                Evidence(name, candidate.kind, candidate.route, oof, test, tuple(resampled), tuple(measurements), records)
            )
    return found


def _serving_rows(measured: Sequence[Measurement], candidate: Candidate, arm: Arm, study: Study) -> list[dict[str, Any]]:
    """Serving and price records of a candidate in an arm, as rows."""
    from shipworthy.measurement import summaries

    if not measured:
        return []
    records = summaries.serving_records(measured, kind=candidate.kind, route=candidate.route, confidence=study.confidence)
    return record_rows([*records, *_price_records(records, study)], arm)


def assess(bench: Workbench, study: Study) -> Assessment:
    """Gather what a run measured, and judge it against the study's smallest useful gain and requirements.

    Parameters
    ----------
    bench : Workbench
        Inside a study only what is there is judged, and what is not is said; alone, what is missing is made first.
    study : Study

    Returns
    -------
    Assessment
    """
    import pandas as pd

    from shipworthy import feasibility
    from shipworthy.measurement import noise

    arms = arms_of(study)
    if not bench.in_study:
        for arm in arms:
            compare_accuracy(bench, arm, study.candidates, metric=study.metric, confidence=study.confidence)
            measure_latency_and_memory(bench, arm, study.candidates, confidence=study.confidence)
    rows: list[dict[str, Any]] = []
    samples: list[pd.DataFrame] = []
    verdicts: list[Verdict] = []
    requirements: list[RequirementVerdict] = []
    picks: list[dict[str, Any]] = []
    missing: list[str] = []
    places: dict[tuple[str, str], list[Arm]] = {}
    for arm in arms:
        places.setdefault((arm.dataset, arm.level), []).append(arm)
    for (dataset, level), alike in places.items():
        found = _gather(bench, study, alike)
        evidence = found.evidence
        rows += found.rows
        missing += found.missing
        samples += [samples_of(bench, arm, study.candidates) for arm in alike]
        if not evidence:
            missing.append(f"Nothing can be judged on {alike[0].title}: no candidate was trained and scored.")
            continue
        measured = [m for e in evidence for m in e.measurements]
        floor = noise.noise_floor(measured, 99)
        missing += noise.disturbed(measured)
        better = QUANTITIES[study.metric].greater_is_better
        judged = feasibility.judge(
            dataset,
            level,
            evidence,
            study,
            greater_is_better=better,
            test_share=found.test_share,
            noise_floor=floor,
            rng=np.random.default_rng([study.seeds[0], 5]),
        )
        table = feasibility.requirement_table(dataset, evidence, study, level=level)
        verdicts += judged
        requirements += table
        picks.append({**feasibility.picks(dataset, level, evidence, table, study, noise_floor=floor), "noise_floor": floor})
    missing += [f"{f['unit']} failed: {f['error']}" for f in bench.failures()]
    columns = [*Record.__slots__]
    records = pd.DataFrame(rows, columns=columns)
    records.insert(0, "study", study.name)
    numbers = ["value", "low", "high"]
    records[numbers] = records[numbers].astype("float64")
    order = ["dataset", "factor", "level", "seed", "candidate", "quantity", "scenario", "batch_size", "statistic"]
    # Records of equal place keep the order of the rounds, so the table is the same however the units were interleaved.
    records = records.sort_values(order, kind="stable", ignore_index=True)
    kept = [s for s in samples if len(s)]
    every = pd.concat(kept, ignore_index=True) if kept else pd.DataFrame(columns=list(SAMPLE_COLUMNS))
    return Assessment(study, records, every, tuple(verdicts), tuple(requirements), tuple(picks), tuple(dict.fromkeys(missing)))


def read_assessment(folder: Path, study: Study) -> Assessment:
    """An assessment as it was saved.

    Raises
    ------
    InputError
        Naming the file that is missing or not as it was written.
    """
    from pydantic import TypeAdapter, ValidationError

    judged = read_judged(folder)
    try:
        verdicts = TypeAdapter(tuple[Verdict, ...]).validate_python(nan_for_null(judged["verdicts"]))
        requirements = TypeAdapter(tuple[RequirementVerdict, ...]).validate_python(nan_for_null(judged["requirements"]))
        picks = TypeAdapter(tuple[dict[str, Any], ...]).validate_python(judged["picks"])
        picks = tuple({**pick, "noise_floor": nan_for_null(pick.get("noise_floor"))} for pick in picks)
        missing = TypeAdapter(tuple[str, ...]).validate_python(judged["missing"])
    except ValidationError as error:
        raise InputError(f"{sentence(error, str(folder / 'verdicts.json'))}; run the study again to complete it") from None
    records = _read_parquet(folder / "records.parquet", Record.__slots__)
    return Assessment(
        study, records, _read_parquet(folder / "samples.parquet", SAMPLE_COLUMNS), verdicts, requirements, picks, missing
    )


def _read_parquet(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); run the study again to complete it") from None
    if lacking := [c for c in columns if c not in frame.columns]:
        raise InputError(f"{path} lacks the column {lacking[0]!r}; run the study again to complete it")
    return frame


def read_judged(folder: Path) -> dict[str, Any]:
    """The contents of ``verdicts.json``.

    Raises
    ------
    InputError
        If it is missing, no JSON, or lacks a part.
    """
    path = folder / "verdicts.json"
    try:
        judged = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); run the study again to complete it") from None
    parts = ("verdicts", "requirements", "picks", "missing")
    if not isinstance(judged, dict) or any(not isinstance(judged.get(part), list) for part in parts):
        raise InputError(f"{path} does not hold {', '.join(parts)}; run the study again to complete it")
    fields = {"dataset", "level", "benchmark_chaser", "requirements"}
    if not all(isinstance(pick, dict) and fields <= set(pick) for pick in judged["picks"]):
        raise InputError(f"{path}: a pick lacks one of {', '.join(sorted(fields))}; run the study again to complete it")
    return judged
