"""Put candidates under load: by batch size, by threads, by arrival rate, with all imports, and as other systems would time them.

This experiment does *not* know which latency is too much, nor how anything is drawn.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shipworthy.experiments.arms import Arm, arms_of, make_arm, study_at
from shipworthy.experiments.ensembles import ensure_trained, loading_takes
from shipworthy.experiments.latency_and_memory import draw_queries, measurement_from
from shipworthy.experiments.workbench import Unit, Workbench, nan_for_null, write_json
from shipworthy.records import QUANTITIES, Floats, LoadPlan, Measurement, RecipeFinding, Record, Scenario, Study, Told

if TYPE_CHECKING:
    from shipworthy.measurement import BatchLaw, LoadJob, LoadRun, RateTrial

Work = Callable[[Path], None]
TRAINING_ROWS = 10_000
"""Rows that AutoGluon's recipe takes at most from those that were trained on."""
PORTABLE_QUERIES = 100
"""Single queries in each place; only their medians are compared."""
SHARE_OF_LIMIT = 0.8
"""Of a process's time limit that its calls may take in all; the rest is for importing, loading and warming up."""
FEW_CALLS = 1.1
"""Medians of a few calls of many rows are no better known than this, however quiet single queries were."""
UNKNOWN_FLOOR = 1.25
"""Between medians, where none was measured: identical processes were seen to differ by as much."""
BUSY = "while True: pass"
"""A neighbour on the same core."""


def open_load(
    bench: Workbench,
    dataset: str,
    seed: int,
    *,
    candidates: Sequence[str],
    training: Mapping[str, Any],
    factor: str,
    level: str,
    load: LoadPlan,
    rate_per_s: float,
    roles: Mapping[str, Sequence[str]] | None = None,
) -> tuple[Arm, LoadPlan, float]:
    """The arm, the plan and the rate of the traffic: as the study of the run folder declares them, else as given.

    Parameters
    ----------
    bench : Workbench
    dataset, seed, candidates, training, factor, level, roles
        As for :func:`~shipworthy.experiments.make_arm`; they say which arm of the study, whose files are known by name.
    load : LoadPlan
    rate_per_s : float

    Returns
    -------
    tuple of Arm, LoadPlan and float

    Raises
    ------
    InputError
        In one sentence, for the first name that does not exist or value that is out of range.
    """
    study = bench.study()
    measuring = asdict(study.measuring) if study else {}
    arm = make_arm(
        dataset,
        seed,
        candidates=candidates,
        training=training,
        measuring=measuring,
        factor=factor,
        level=level,
        roles=roles,
        run_folder=str(bench.folder),
    )
    if study is None:
        return arm, load, rate_per_s
    asked = study_at(study, arm)
    return arm, asked.load, asked.traffic_queries_s


def loaded_arms(study: Study) -> list[Arm]:
    """The arms of a study that are put under load: its first seed, on the data sets that the plan names.

    What is swept in the measuring alone is not swept here: the plan's own sizes and threads take its place.
    """
    if not study.load.candidates:
        return []
    found: dict[str, Arm] = {}
    for arm in arms_of(study):
        loaded = replace(arm.as_loaded(), measuring=study.measuring)
        if arm.seed == study.seeds[0] and arm.dataset in (study.load.datasets or study.datasets):
            found.setdefault(loaded.key, loaded)
    return list(found.values())


def units_under_load(bench: Workbench, arm: Arm, names: Sequence[str], plan: LoadPlan, rate_per_s: float) -> list[Unit]:
    """Every unit of the experiment, in the order in which it is done: curves interleaved by round, then candidate by candidate.

    Parameters
    ----------
    bench : Workbench
    arm : Arm
    names : sequence of str
    plan : LoadPlan
    rate_per_s : float
        The rate at which queries will really arrive: the first that is tried.

    Returns
    -------
    list of Unit
    """
    sizes = (plan.curve_batch_sizes, plan.curve_calls, plan.curve_rows)
    rates = (plan.load_queries, plan.load_seconds, plan.rate_trials, plan.latency_limit_ms, rate_per_s)
    curves = [bench.load_unit("curve", arm, name, sizes, r) for r in range(plan.curve_rounds) for name in names]
    apart = [
        unit
        for name in names
        for unit in (
            bench.load_unit("threads", arm, name, sizes),
            bench.load_unit("rates", arm, name, rates),
            bench.load_unit("imports", arm, name, ()),
            bench.load_unit("recipes", arm, name, (TRAINING_ROWS,)),
        )
    ]
    return [*curves, *apart, bench.load_unit("portability", arm, names[0], (PORTABLE_QUERIES,))]


def measure_under_load(bench: Workbench, arm: Arm, names: Sequence[str], plan: LoadPlan, *, rate_per_s: float) -> None:
    """Make every unit that is not done, alone on the machine.

    Parameters
    ----------
    bench : Workbench
    arm : Arm
    names : sequence of str
        The candidates; the first is the one whose times are also taken on two cores and on a loaded one.
    plan : LoadPlan
    rate_per_s : float

    Raises
    ------
    UnitsFailedError
        After the last unit, if any failed.
    """
    from shipworthy.measurement import exclusive

    ensure_trained(bench, arm, names)
    bench.make(bench.queries_unit(arm), draw_queries(bench, arm))
    waiting = [u for u in units_under_load(bench, arm, names, plan, rate_per_s) if not bench.done(u)]
    if waiting:
        with exclusive(bench.notify):
            bench.make_all((u, _work(bench, arm, u, plan, rate_per_s)) for u in waiting)


def _job(bench: Workbench, arm: Arm, unit: Unit) -> LoadJob:
    from shipworthy import training
    from shipworthy.measurement import LoadJob

    trained = training.load(bench.part(bench.fit_unit(arm, unit.candidate)))
    return LoadJob(
        candidate=unit.candidate,
        dataset=arm.dataset,
        artefact=Path(trained.artefact),
        queries=bench.part(bench.queries_unit(arm)) / "queries.json",
        threads=arm.measuring.threads,
        warm_up=arm.measuring.warm_up,
        seed=arm.seed,
        round_index=max(0, unit.round_index),
        time_limit_s=arm.measuring.time_limit_s,
        own=loading_takes(arm, trained),
    )


def _work(bench: Workbench, arm: Arm, unit: Unit, plan: LoadPlan, rate_per_s: float) -> Work:
    """What a unit does, by its kind."""

    def curve(folder: Path) -> None:
        _keep(folder, _curve(_job(bench, arm, unit), plan))

    def threads(folder: Path) -> None:
        from shipworthy.measurement.machine import usable_cores

        job, counts = _job(bench, arm, unit), range(1, len(usable_cores()) + 1)
        sizes = tuple({1, 64, max(plan.curve_batch_sizes)})
        few = replace(plan, curve_batch_sizes=sizes, curve_rows=max(1, plan.curve_rows // 2))
        _keep(folder, [m for n in counts for m in _curve(replace(job, threads=n), few)])

    def rates(folder: Path) -> None:
        _rates(folder, _job(bench, arm, unit), plan, rate_per_s)

    def imports(folder: Path) -> None:
        _keep(folder, _with_all_imports(_job(bench, arm, unit), arm))

    def recipes(folder: Path) -> None:
        _keep(folder, _recipes(folder, bench, arm, _job(bench, arm, unit)))

    def portability(folder: Path) -> None:
        _keep(folder, _portability(_job(bench, arm, unit)))

    kinds = {"curve": curve, "threads": threads, "rates": rates, "imports": imports, "recipes": recipes}
    return (kinds | {"portability": portability})[unit.kind]


def _keep(folder: Path, measurements: Sequence[Measurement]) -> None:
    write_json(folder / "measurements.json", [asdict(m) for m in measurements])
    write_json(folder / "records.json", [])


def _curve(job: LoadJob, plan: LoadPlan) -> list[Measurement]:
    """Latencies of each batch size, ascending; one row at a time is the single stream."""
    from shipworthy.measurement import Load, run_loads

    loads = [
        Load(
            scenario=Scenario(name="single_stream" if size == 1 else "multi_stream", batch_size=size),
            min_count=plan.calls(size),
            # Fewer calls of a slow size are worth more than none: the process itself is stopped at its limit.
            max_duration_s=SHARE_OF_LIMIT * job.time_limit_s / len(plan.curve_batch_sizes),
        )
        for size in sorted(plan.curve_batch_sizes)
    ]
    return [run.latency() for run in run_loads(job, loads)]


def _rates(folder: Path, job: LoadJob, plan: LoadPlan, rate_per_s: float) -> None:
    """The search for the highest rate; every moment of every trial is kept."""
    from shipworthy.measurement import Load, find_highest_rate
    from shipworthy.simulation import predict_highest_rate

    rng = np.random.default_rng([job.seed, 7])

    def predict(services_ms: Floats) -> float:
        return predict_highest_rate(services_ms, percentile=99, limit_ms=plan.latency_limit_ms, rng=rng)

    load = Load(
        scenario=Scenario(name="server", rate_per_s=rate_per_s),
        min_count=plan.load_queries,
        min_duration_s=plan.load_seconds,
        max_duration_s=job.time_limit_s / 2,
    )
    found = find_highest_rate(
        job,
        percentile=99,
        limit_ms=plan.latency_limit_ms,
        load=load,
        predict=predict,
        first=rate_per_s,
        trials=plan.rate_trials,
    )
    moments = {f"trial{i}": np.stack([r.due_ms, r.begun_ms, r.complete_ms]) for i, r in enumerate(found.runs)}
    np.savez_compressed(folder / "moments.npz", allow_pickle=False, **moments)
    facts = {"highest": found.highest, "lowest_not_met": found.lowest_not_met, "failure": found.failure}
    facts |= {"sentence": found.sentence(job.candidate), "trials": [asdict(t) for t in found.trials]}
    write_json(folder / "rates.json", facts)
    at_traffic = [(r, t) for r, t in zip(found.runs, found.trials, strict=True) if t.rate_per_s == rate_per_s]
    _keep(folder, [m for r, t in at_traffic for m in _at_traffic(r, t)])


def _at_traffic(run: LoadRun, trial: RateTrial) -> list[Measurement]:
    """Latency and throughput of a run at the rate of the traffic; no values where only its end kept its queue short."""
    measured = [run.latency(), run.throughput()]
    if not (run.overloaded and trial.outcome == "undecided"):
        return measured
    rates = f"{trial.rate_per_s:,.0f} queries arrive in a second and {1000 / float(run.service_ms.mean()):,.0f} can be answered"
    return [replace(m, values=(), round_index=(), failure=f"{rates}, so the queue grows as long as they do") for m in measured]


def _with_all_imports(job: LoadJob, arm: Arm) -> list[Measurement]:
    """Memory of a process that finds everything that the notebook environment holds, under a name of its own."""
    from shipworthy.measurement import ServingJob, measure_round

    plan = replace(arm.measuring, queries=20, rounds=1, batch_sizes=(1,), batch_repeats=1)
    asked = ServingJob(
        candidate=job.candidate,
        dataset=job.dataset,
        artefact=job.artefact,
        queries=job.queries,
        plan=plan,
        seed=job.seed,
        profile="full",
        own=job.own,
    )
    return [replace(m, quantity="full_memory_mib") for m in measure_round(asked) if m.quantity == "memory_mib"]


def _recipes(folder: Path, bench: Workbench, arm: Arm, job: LoadJob) -> list[Measurement]:
    """What each recipe of another system tells of the artefact."""
    from shipworthy.measurement import RecipeJob, replay

    dataset = bench.dataset(arm)
    training = folder / "training.json"
    training.write_text(json.dumps(dataset.queries(dataset.split.train[:TRAINING_ROWS]), allow_nan=False), encoding="utf-8")
    try:
        asked = RecipeJob(
            candidate=job.candidate,
            dataset=job.dataset,
            artefact=job.artefact,
            queries=job.queries,
            training=training,
            threads=job.threads,
            time_limit_s=job.time_limit_s,
            seed=job.seed,
            own=job.own,
        )
        return list(replay(asked))
    finally:
        training.unlink()  # rows of the data set; they are where they were


@contextmanager
def _busy_neighbour(cores: Sequence[int]) -> Iterator[None]:
    """Somebody else's process, on the core that is timed on where the platform can pin one."""
    import psutil

    with subprocess.Popen([sys.executable, "-c", BUSY]) as neighbour:
        try:
            with suppress(AttributeError, psutil.Error, OSError):  # macOS cannot pin: it then is wherever the system puts it
                psutil.Process(neighbour.pid).cpu_affinity(list(cores))
            yield
        finally:
            neighbour.kill()


def _portability(job: LoadJob) -> list[Measurement]:
    """The same single stream on one core, on all, and on a core with a busy neighbour; the note says which."""
    from shipworthy.measurement import Load, run_loads
    from shipworthy.measurement.machine import least_busy_cores, usable_cores

    single = Scenario(name="single_stream")
    load = Load(scenario=single, min_count=PORTABLE_QUERIES, max_duration_s=SHARE_OF_LIMIT * job.time_limit_s)
    found = []

    def time(where: str, *, round_index: int, threads: int = 1) -> None:
        (run,) = run_loads(replace(job, round_index=round_index, threads=threads), [load])
        latency = run.latency()
        found.append(replace(latency, conditions=replace(latency.conditions, note=where)))

    time("one core", round_index=0)
    if len(usable_cores()) > 1:
        several = len(usable_cores())
        time(f"{several} cores with {several} threads", round_index=1, threads=several)
    with _busy_neighbour(least_busy_cores(1) or usable_cores()[:1]):
        time("a core with a busy neighbour", round_index=2)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class UnderLoad:
    """What was found under load in one arm, ready for tables, figures and a page.

    Rows are plain dicts, so that they go to JSON and back; what is not there yet is left out, and said in ``missing``.
    """

    dataset: str
    seed: int
    level: str
    noise_floor: float
    limit_ms: float
    rate_per_s: float
    curve: tuple[dict[str, Any], ...] = ()
    """``candidate``, ``batch_size``, ``calls``, ``p50_ms``, ``p95_ms``, ``p99_ms``, ``rows_s``."""
    laws: tuple[dict[str, Any], ...] = ()
    """``candidate``, ``fixed_ms``, ``per_row_ms``, ``fits``, ``sentence``."""
    overtakings: tuple[str, ...] = ()
    ranking: str = ""
    threads: tuple[str, ...] = ()
    rates: tuple[dict[str, Any], ...] = ()
    """A trial a row: ``candidate`` and the fields of ``RateTrial``."""
    highest: tuple[dict[str, Any], ...] = ()
    """``candidate``, ``met``, ``not_met`` (queries/s), ``sentence``."""
    told: tuple[Told, ...] = ()
    findings: tuple[RecipeFinding, ...] = ()
    portability: tuple[dict[str, Any], ...] = ()
    """``where``, ``p50_ms``, ``kernel_ms``, ``p50_in_kernels``."""
    portability_sentence: str = ""
    imports: tuple[dict[str, Any], ...] = ()
    """``candidate``, ``full_memory_mib``."""
    missing: tuple[str, ...] = ()


def under_load(
    bench: Workbench, arm: Arm, names: Sequence[str], plan: LoadPlan, *, rate_per_s: float, truth: Sequence[Measurement]
) -> UnderLoad:
    """Gather what the units of one arm found.

    Parameters
    ----------
    bench : Workbench
    arm : Arm
    names : sequence of str
    plan : LoadPlan
    rate_per_s : float
    truth : sequence of Measurement
        Single-stream latencies of the candidates, which the recipes are held against; they also give the noise floor.

    Returns
    -------
    UnderLoad
    """
    from shipworthy import measurement

    units = units_under_load(bench, arm, names, plan, rate_per_s)
    missing = [f"{u.title} was not made." for u in units if not bench.done(u) and u.name not in bench.left_out().units]
    read: dict[tuple[str, str], list[tuple[Measurement, ...]]] = {}
    for unit in (u for u in units if bench.done(u)):
        measured = tuple(measurement_from(row) for row in bench.read(unit, "measurements.json"))
        read.setdefault((unit.kind, unit.candidate), []).append(measured)
        missing += [f"{m.quantity} of {m.candidate} ({unit.kind}): {m.failure}." for m in measured if m.failure]

    def of_kind(kind: str) -> list[Measurement]:
        return [m for n in names for found in read.get((kind, n), []) for m in found if m.values]

    curves = {n: measurement.combine(rounds) for n in names if (rounds := read.get(("curve", n)))}
    floor = measurement.noise_floor(truth, 50)
    laws = [measurement.fit_batch_law(n, curve) for n, curve in curves.items() if sum(bool(m.values) for m in curve) >= 3]
    crossings = measurement.overtakings(laws, rng=np.random.default_rng([arm.seed, 8]))
    medians = {n: {m.conditions.batch_size: m.percentile(50) for m in curve if m.values} for n, curve in curves.items()}
    told = of_kind("recipes")
    rows, findings = measurement.compare_told(told, truth, measurement.noise_floor(truth)) if told else ((), ())
    searches = {u.candidate: bench.read(u, "rates.json") for u in units if u.kind == "rates" and bench.done(u)}
    portable = of_kind("portability")
    return UnderLoad(
        dataset=arm.dataset,
        seed=arm.seed,
        level=arm.level,
        noise_floor=floor,
        limit_ms=plan.latency_limit_ms,
        rate_per_s=rate_per_s,
        curve=tuple(_curve_row(m) for curve in curves.values() for m in curve if m.values),
        laws=tuple(_law_row(law) for law in laws),
        overtakings=tuple(c.sentence() for c in crossings),
        ranking=measurement.ranking_sentence(medians, max(floor, FEW_CALLS) if math.isfinite(floor) else UNKNOWN_FLOOR),
        threads=tuple(_said_of_threads(names, of_kind("threads"))),
        rates=tuple({"candidate": n, **trial} for n, found in searches.items() for trial in nan_for_null(found["trials"])),
        highest=tuple(_highest_row(n, nan_for_null(found)) for n, found in searches.items()),
        told=tuple(rows),
        findings=tuple(findings),
        portability=tuple(_portable_row(m) for m in portable),
        portability_sentence=portability_sentence(portable),
        imports=tuple({"candidate": m.candidate, "full_memory_mib": float(np.mean(m.values))} for m in of_kind("imports")),
        missing=tuple(missing),
    )


def _said_of_threads(names: Sequence[str], measured: Sequence[Measurement]) -> list[str]:
    """What threads do to each candidate; the most that were tried are all cores of the machine that it was measured on."""
    from shipworthy.measurement import thread_sentences

    most = max((m.conditions.threads for m in measured), default=0)
    if most == 1:
        return ["The machine lets a process use one core, so what more threads do could not be measured."]
    return [s for name in names for s in thread_sentences(name, measured, most)]


def _law_row(law: BatchLaw) -> dict[str, Any]:
    facts = {"candidate": law.candidate, "fixed_ms": law.fixed_ms.value, "per_row_ms": law.per_row_ms.value}
    return {**facts, "fits": law.fits, "sentence": law.sentence()}


def _highest_row(name: str, found: Mapping[str, Any]) -> dict[str, Any]:
    return {"candidate": name, "met": found["highest"], "not_met": found["lowest_not_met"], "sentence": found["sentence"]}


def load_records(found: Sequence[UnderLoad], measured: Sequence[Measurement], kinds: Mapping[str, str]) -> list[Record]:
    """The records that requirements, prices and tables read: the server scenario at the traffic, the highest rate, all imports.

    Parameters
    ----------
    found : sequence of UnderLoad
    measured : sequence of Measurement
        Of the server scenario at the traffic, as from :func:`traffic_measurements`.
    kinds : mapping of str to str
        Kind of each candidate.

    Returns
    -------
    list of Record
        Beside the percentiles at the traffic: ``throughput_rows_s`` under ``server``, statistic ``value``: the highest rate that
        was met, from there (``low``) to the lowest that was not (``high``); and ``full_memory_mib``.
    """
    from shipworthy.measurement import serving_records

    records = [r for m in measured for r in serving_records([m], kind=kinds[m.candidate], route="plain", confidence=0.95)]
    records = [r for r in records if r.quantity == "latency_ms"]
    for place in found:
        for row in place.highest:
            n = sum(t["n"] for t in place.rates if t["candidate"] == row["candidate"])
            made = _record(place, row["candidate"], kinds, "throughput_rows_s", "value", row["met"])
            records.append(replace(made, low=row["met"], high=row["not_met"], n=n, scenario="server", batch_size=1))
        records += [
            _record(place, row["candidate"], kinds, "full_memory_mib", "mean", row["full_memory_mib"]) for row in place.imports
        ]
    return records


def _record(place: UnderLoad, name: str, kinds: Mapping[str, str], quantity: str, statistic: str, value: float) -> Record:
    unit = QUANTITIES[quantity].unit
    return Record(place.dataset, name, kinds[name], quantity, statistic, value, unit, place.seed, n=1)


def traffic_measurements(
    bench: Workbench, arm: Arm, names: Sequence[str], plan: LoadPlan, *, rate_per_s: float
) -> tuple[Measurement, ...]:
    """Latencies in the server scenario at the rate of the traffic, of the candidates that were put under load."""
    units = [u for u in units_under_load(bench, arm, names, plan, rate_per_s) if u.kind == "rates" and bench.done(u)]
    return tuple(measurement_from(row) for u in units for row in bench.read(u, "measurements.json"))


def _curve_row(m: Measurement) -> dict[str, Any]:
    size = m.conditions.batch_size
    mean = float(np.mean(m.values))
    facts = {"candidate": m.candidate, "batch_size": size, "calls": len(m.values)}
    return {
        **facts,
        "p50_ms": m.percentile(50),
        "p95_ms": m.percentile(95),
        "p99_ms": m.percentile(99),
        "rows_s": 1000 * size / mean,
    }


def _portable_row(m: Measurement) -> dict[str, Any]:
    kernel, p50 = m.conditions.calibration_ms, m.percentile(50)
    return {
        "where": m.conditions.note,
        "p50_ms": p50,
        "kernel_ms": kernel,
        "p50_in_kernels": p50 / kernel if kernel else math.nan,
    }


def portability_sentence(measurements: Sequence[Measurement]) -> str:
    """How far the same latency moves between one core, two and a loaded one: in milliseconds, and in units of the kernel.

    Parameters
    ----------
    measurements : sequence of Measurement
        Single streams of one candidate, each with the time of the calibration kernel in its conditions.

    Returns
    -------
    str
    """
    rows = [_portable_row(m) for m in measurements if m.values and m.conditions.calibration_ms > 0]
    if len(rows) < 2:
        return "Times were not taken in more than one place, so how far they carry is not known."
    ms, units = ([row[k] for row in rows] for k in ("p50_ms", "p50_in_kernels"))
    spread = {"milliseconds": max(ms) / min(ms), "units of the calibration kernel": max(units) / min(units)}
    said = " and ".join(f"{factor:.2f} times in {what}" for what, factor in spread.items())
    where = ", ".join(row["where"] for row in rows)
    name = measurements[0].candidate
    return f"The median of {name} differs by {said} between {where}; how far it would differ on another machine is unknown."


def filling_rows(law: Mapping[str, float], sizes: Sequence[int], rate_per_s: float) -> list[dict[str, float]]:
    """What waiting for a batch costs: the first of its rows waits until the last has come, and then for the whole batch.

    Parameters
    ----------
    law : mapping
        ``fixed_ms`` and ``per_row_ms`` of a candidate.
    sizes : sequence of int
    rate_per_s : float
        Queries that arrive in a second, one by one.

    Returns
    -------
    list of dict
        For each size: the mean time to fill it, ``(rows - 1) / rate``; the time of the call by the law; what the first row waits
        in all; and the rows a second that one process could answer if batches were always full.

    Examples
    --------
    >>> filling_rows({"fixed_ms": 1.0, "per_row_ms": 0.01}, [1, 11], 100.0)[1]["first_row_ms"]
    101.11
    """
    rows = []
    for size in sizes:
        fill, call = 1000 * (size - 1) / rate_per_s, law["fixed_ms"] + law["per_row_ms"] * size
        rows.append({"rows": size, "fill_ms": fill, "call_ms": call, "first_row_ms": fill + call, "rows_s": 1000 * size / call})
    return rows
