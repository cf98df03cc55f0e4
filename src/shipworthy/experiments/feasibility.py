"""Put accuracy, latency, memory and money side by side, and judge every ensemble against what was declared beforehand.

This experiment does *not* know how the evidence is drawn or written up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shipworthy.experiments.accuracy import accuracy_units, compare_accuracy
from shipworthy.experiments.arms import Arm, arms_of, check_candidate, check_metric, make_arm, sentence, study_at, task_of
from shipworthy.experiments.assessment import SAMPLE_COLUMNS, Assessment
from shipworthy.experiments.latency_and_memory import measure_latency_and_memory, measurements_of, samples_of
from shipworthy.experiments.latency_and_throughput import (
    UnderLoad,
    load_records,
    loaded_arms,
    traffic_measurements,
    under_load,
)
from shipworthy.experiments.left_out import minutes_in_words
from shipworthy.experiments.money import DATED_PRICES, money_of_place
from shipworthy.experiments.own_ensembles import Declared
from shipworthy.experiments.own_files import ENDINGS
from shipworthy.experiments.simulated import simulations_in
from shipworthy.experiments.workbench import Workbench, nan_for_null, record_rows
from shipworthy.records import (
    QUANTITIES,
    Candidate,
    InputError,
    Measurement,
    MeasuringPlan,
    Predictions,
    Record,
    Requirement,
    RequirementVerdict,
    Study,
    TrainingPlan,
    Verdict,
)

if TYPE_CHECKING:
    import pandas as pd

    from shipworthy.feasibility import Evidence, Overlap

BIGGER_SINGLE = "xgboost_large"
"""The candidate that may grow as long as that helps: every ensemble is set beside it where it is in the study."""


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
        if dataset.lower().endswith(ENDINGS):
            remedy = "describe it in a study (README, `Your own data`) and run that"
            raise InputError(f"parameters: datasets names the file {dataset}; {remedy}")
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
    overlap: Overlap | None = None
    """What the seeds have in common, where there are several."""
    without: tuple[str, ...] = ()
    """Candidates that the time budget had no room for."""
    arms: tuple[Arm, ...] = ()
    """Those of the seeds that it had room for."""

    def loaded_as(self, arm: Arm) -> bool:
        """Whether an arm under load speaks of this place; what is swept in the measuring has no place of its own there."""
        here = self.arms[0] if self.arms else None
        return here is not None and here.as_loaded().key == arm.key and here.as_measured().key == here.as_trained().key

    def add(self, records: Sequence[Record], measured: Sequence[Measurement]) -> None:
        """Take in what was found under load."""
        self.rows += record_rows(records, self.arms[0])
        self.evidence[:] = [
            replace(
                e,
                measurements=(*e.measurements, *(m for m in measured if m.candidate == e.candidate)),
                records=(*e.records, *(r for r in records if r.candidate == e.candidate)),
            )
            for e in self.evidence
        ]


def _judged_arms(bench: Workbench, study: Study, arms: Sequence[Arm]) -> tuple[list[Arm], list[str]]:
    """The seeds and candidates of one place that a time budget did not leave out: all where there was none.

    Candidates are compared seed by seed, so a further seed counts where none of the candidates was left out for it.
    """
    left_out = bench.left_out().units

    def scored(arm: Arm, name: str) -> bool:
        units = [bench.fit_unit(arm, name), *accuracy_units(bench, arm, [name], study.metric, study.confidence)]
        return not any(u.name in left_out for u in units)

    names = [name for name in study.candidates if scored(arms[0], name)]
    return [arms[0], *(arm for arm in arms[1:] if all(scored(arm, name) for name in names))], names


def _gather(bench: Workbench, study: Study, arms: Sequence[Arm]) -> _Found:
    """Evidence of every candidate that was trained and scored for each seed; what is missing of the others, in sentences."""
    from shipworthy import artefacts, training
    from shipworthy.feasibility import Evidence, overlap_of

    left_out = bench.left_out().units
    found = _Found([], [], [])
    arms, scored = _judged_arms(bench, study, arms)
    found.arms = tuple(arms)
    found.without = tuple(name for name in study.candidates if name not in scored)
    rows_of: dict[int, Predictions] = {}
    for name in scored:
        candidate = arms[0].candidate(name)
        rows: list[dict[str, Any]] = []
        scores, resampled, shipped, together = [], [], [], []
        measurements: list[Measurement] = []
        for arm in arms:
            if not bench.done(fit := bench.fit_unit(arm, name)):
                found.missing.append(f"{name} was not trained on {arm.title}.")
                continue
            placed = {"factor": arm.factor, "level": arm.level}
            trained = training.load(bench.part(fit))
            rows_of[arm.seed] = trained.predictions
            together.append(trained.predictions.n_test_clusters)
            shipped.append(artefacts.fingerprint(Path(trained.artefact)))
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
            if not own and not any(u.name in left_out for u in bench.measure_units(arm, [name])):
                found.missing.append(f"{name} was not measured on {arm.title}.")
        found.rows += rows
        if len(scores) == len(arms):
            found.test_share = scores[0]["n_test"] / scores[0]["n_train"]
            oof, test = tuple(s["oof"] for s in scores), tuple(s["test"] for s in scores)
            records = tuple(Record(**nan_for_null(row)) for row in rows)
            found.evidence.append(
                Evidence(
                    name,
                    candidate.kind,
                    candidate.route,
                    oof,
                    test,
                    tuple(resampled),
                    tuple(measurements),
                    records,
                    tuple(shipped),
                    min(together),
                )
            )
    if len(rows_of) > 1:
        tested = [p.test_rows if p.test_cluster is None else p.test_cluster for p in rows_of.values()]
        found.overlap = overlap_of(tested, [p.oof_rows for p in rows_of.values()])
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

    arms = arms_of(study)
    if not bench.in_study:
        for arm in arms:
            compare_accuracy(bench, arm, study.candidates, metric=study.metric, confidence=study.confidence)
            measure_latency_and_memory(bench, arm, study.candidates, confidence=study.confidence)
    places: dict[tuple[str, str], list[Arm]] = {}
    for arm in arms:
        places.setdefault((arm.dataset, arm.level), []).append(arm)
    gathered = {place: _gather(bench, study_at(study, alike[0]), alike) for place, alike in places.items()}
    loads = _put_under_load(bench, study, gathered)
    judged = [_judge_place(bench, study_at(study, alike[0]), place, alike, gathered) for place, alike in places.items()]
    samples = [s for alike in places.values() for arm in alike if len(s := samples_of(bench, arm, study.candidates))]
    missing = [said for one in judged for said in one.missing]
    missing += [said for place in loads for said in place.missing]
    simulations, unsimulated = simulations_in(bench, study) if bench.in_study else ((), ())
    missing += unsimulated
    missing += [f"{f['unit']} failed: {f['error']}" for f in bench.failures()]
    missing = [*bench.left_out().sentences, *missing]
    return Assessment(
        study,
        _table([row for one in judged for row in one.rows], study),
        pd.concat(samples, ignore_index=True) if samples else pd.DataFrame(columns=list(SAMPLE_COLUMNS)),
        tuple(v for one in judged for v in one.verdicts),
        tuple(r for one in judged for r in one.requirements),
        tuple(p for one in judged for p in one.picks),
        tuple(dict.fromkeys(missing)),
        tuple(m for one in judged for m in one.money),
        loads,
        simulations,
    )


def _table(rows: Sequence[dict[str, Any]], study: Study) -> pd.DataFrame:
    """All records, in an order that does not depend on how the units were interleaved."""
    import pandas as pd

    records = pd.DataFrame(rows, columns=[*Record.__slots__])
    records.insert(0, "study", study.name)
    numbers = ["value", "low", "high"]
    records[numbers] = records[numbers].astype("float64")
    order = ["dataset", "factor", "level", "seed", "candidate", "quantity", "scenario", "batch_size", "statistic"]
    return records.sort_values(order, kind="stable", ignore_index=True)


def _put_under_load(bench: Workbench, study: Study, gathered: Mapping[tuple[str, str], _Found]) -> tuple[UnderLoad, ...]:
    """What was found under load; its records and latencies join the evidence of their data set and level."""
    from shipworthy import artefacts, training

    loads = []
    for arm in loaded_arms(study):
        asked = study_at(study, arm)
        names, rate = asked.load.candidates, asked.traffic_queries_s
        truth = [m for name in names for m in measurements_of(bench, arm, name)]
        place = under_load(bench, arm, names, asked.load, rate_per_s=rate, truth=truth)
        loads.append(place)
        measured: list[Measurement] = []
        for m in traffic_measurements(bench, arm, names, asked.load, rate_per_s=rate):
            if m.quantity != "latency_ms":
                continue
            loaded = artefacts.fingerprint(Path(training.load(bench.part(bench.fit_unit(arm, m.candidate))).artefact))
            measured.append(replace(m, conditions=replace(m.conditions, artefact=loaded)))
        records = load_records([place], measured, {name: arm.candidate(name).kind for name in names})
        for found in gathered.values():
            if found.loaded_as(arm):
                found.add(records, measured)
    return tuple(loads)


@dataclass(slots=True)
class _Judged:
    """What came of one data set at one level."""

    rows: list[dict[str, Any]]
    missing: list[str]
    verdicts: list[Verdict] = field(default_factory=list)
    requirements: list[RequirementVerdict] = field(default_factory=list)
    picks: list[dict[str, Any]] = field(default_factory=list)
    money: list[dict[str, Any]] = field(default_factory=list)


def _judge_place(
    bench: Workbench,
    study: Study,
    place: tuple[str, str],
    alike: Sequence[Arm],
    gathered: Mapping[tuple[str, str], _Found],
) -> _Judged:
    """Verdicts, requirements, picks and money of one data set at one level."""
    from shipworthy import feasibility
    from shipworthy.measurement import noise

    dataset, level = place
    found = gathered[place]
    evidence = found.evidence
    judged = _Judged(list(found.rows), list(found.missing))
    judged.verdicts = _unmeasured(bench, study, dataset, level, found)
    if not evidence and not found.without:
        judged.missing.append(f"Nothing can be judged on {alike[0].title}: no candidate was trained and scored.")
    if not evidence:
        return judged
    elsewhere = [e for (d, at), other in gathered.items() if d == dataset and at != level for e in other.evidence]
    measured = [m for e in evidence for m in e.measurements]
    floor = noise.noise_floor(measured, 99)
    judged.missing += noise.disturbed(measured)
    verdicts = feasibility.judge(
        dataset,
        level,
        evidence,
        study,
        greater_is_better=QUANTITIES[study.metric].greater_is_better,
        test_share=found.test_share,
        noise_floor=floor,
        rng=np.random.default_rng([study.seeds[0], 5]),
        elsewhere=elsewhere,
        overlap=found.overlap,
    )
    judged.verdicts = [*(hold_back(bench, v, found.without, Declared.of(study)) for v in verdicts), *judged.verdicts]
    table = feasibility.requirement_table(dataset, evidence, study, level=level, elsewhere=elsewhere)
    judged.requirements = table
    asked = replace(study, seeds=tuple(arm.seed for arm in found.arms))
    money = money_of_place(bench, asked, found.arms, evidence, verdicts)
    judged.rows += money.rows
    judged.missing += money.missing
    judged.money.append(money.shown)
    chosen = feasibility.picks(dataset, level, evidence, table, study, noise_floor=floor)
    grown = feasibility.bigger_single(
        BIGGER_SINGLE,
        evidence,
        study,
        noise_floor=noise.noise_floor(measured, 50),
        test_share=found.test_share,
        rng=np.random.default_rng([study.seeds[0], 6]),
        overlap=found.overlap,
    )
    judged.picks.append({**chosen, "noise_floor": floor, "bigger_single": grown})
    return judged


def _unmeasured(bench: Workbench, study: Study, dataset: str, level: str, found: _Found) -> list[Verdict]:
    """Of each ensemble that there was no time for: cannot tell."""
    known = Declared.of(study)
    said = f"It was not measured: it is left out to answer within {minutes_in_words(bench.left_out().minutes)}."
    names = [name for name in found.without if known.candidate(name).kind == "ensemble"]
    return [Verdict(dataset, level, name, "cannot tell", said, (), ()) for name in names]


def hold_back(bench: Workbench, verdict: Verdict, without: Sequence[str], known: Declared | None = None) -> Verdict:
    """A verdict to ship says nothing while a stronger baseline may be among what was left out; the others stand.

    Parameters
    ----------
    bench : Workbench
        Knows the time budget.
    verdict : Verdict
    without : sequence of str
        Candidates of the study that there was no time for on the verdict's data set.

    known : Declared, optional
        What the study names besides candidates of the catalogue.

    Returns
    -------
    Verdict
    """
    rivals = [name for name in without if (known or Declared()).candidate(name).kind != "ensemble"]
    if verdict.answer != "ship" or not rivals:
        return verdict
    within = minutes_in_words(bench.left_out().minutes)
    doubt = f"It would ship, but {', '.join(rivals)}, which it must beat too, is left out to answer within {within}."
    return replace(verdict, answer="cannot tell", reason=f"{doubt} {verdict.reason}")
