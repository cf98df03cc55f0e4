"""Measure what serving costs: each candidate in fresh child processes, in interleaved rounds, alone on the machine.

This experiment does *not* know which cost is too much.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shipworthy.experiments.arms import Arm
from shipworthy.experiments.ensembles import ensure_trained, loading_takes
from shipworthy.experiments.workbench import Workbench, record_rows, write_json
from shipworthy.records import Candidate, Conditions, Measurement

if TYPE_CHECKING:
    import pandas as pd

ITEMISED_AND_WARM_UP = 400
"""Rows beyond the timed queries: warm-up and itemised calls use rows of their own."""

WAITS = "waits.jsonl"
"""File of a run folder with a line for each time that measuring waited for another measurement on the machine to end."""


def draw_queries(bench: Workbench, arm: Arm) -> Callable[[Path], None]:
    """The work of an arm's unit of queries: raw test rows in random order, as many as its measuring plan asks for at once."""

    def work(folder: Path) -> None:
        dataset = bench.dataset(arm)
        plan, test = arm.measuring, dataset.split.test
        # A batch is answered once to warm up and then ``batch_repeats`` times, each time with other rows where there are as many.
        batches = {size: size * (plan.batch_repeats + 1) for size in plan.batch_sizes}
        wanted = max(plan.queries + ITEMISED_AND_WARM_UP, *batches.values())
        # Different rows, in random order; a data set with fewer test rows than queries is gone through again.
        order = np.random.default_rng([arm.seed, 4]).permutation(len(test))[:wanted]
        queries = dataset.queries(test[order])
        (folder / "queries.json").write_text(json.dumps(queries, allow_nan=False), encoding="utf-8")
        in_batches = {str(size): min(asked, len(order)) for size, asked in batches.items()}
        facts = {"queries": plan.queries, "different_rows": min(plan.queries, len(order)), "test_rows": len(test)}
        write_json(folder / "facts.json", {**facts, "different_rows_in_batches": in_batches})
        write_json(folder / "records.json", [])

    return work


def different_rows(bench: Workbench, arm: Arm) -> int:
    """How many different test rows the single queries of an arm were made from; the number of queries where all differ.

    Parameters
    ----------
    bench : Workbench
        Its queries of the arm are drawn.
    arm : Arm

    Returns
    -------
    int
    """
    return int(bench.read(bench.queries_unit(arm), "facts.json")["different_rows"])


def _measure(bench: Workbench, arm: Arm, candidate: Candidate, round_index: int) -> Callable[[Path], None]:
    def work(folder: Path) -> None:
        from shipworthy import artefacts, training
        from shipworthy.measurement import serving

        trained = training.load(bench.part(bench.fit_unit(arm, candidate.name)))
        job = serving.ServingJob(
            candidate=candidate.name,
            dataset=arm.dataset,
            artefact=Path(trained.artefact),
            queries=bench.part(bench.queries_unit(arm)) / "queries.json",
            plan=arm.measuring,
            seed=arm.seed,
            round_index=round_index,
            own=loading_takes(arm, trained),
        )
        # The child loads the saved file: its fingerprint says later which artefact the limits were tested on.
        loaded = artefacts.fingerprint(job.artefact)
        measured = [replace(m, conditions=replace(m.conditions, artefact=loaded)) for m in serving.measure_round(job)]
        write_json(folder / "measurements.json", [asdict(m) for m in measured])
        write_json(folder / "records.json", [])

    return work


def measurement_from(row: dict[str, Any]) -> Measurement:
    """A measurement as it was before it was written to JSON."""
    conditions: dict[str, Any] = {k: float("nan") if v is None else v for k, v in row["conditions"].items()}
    values = {"values": tuple(row["values"]), "round_index": tuple(row["round_index"])}
    return Measurement(**{**row, **values, "conditions": Conditions(**conditions)})


def measurements_of(bench: Workbench, arm: Arm, name: str) -> tuple[Measurement, ...]:
    """All measurements of a candidate in an arm, its rounds put together; empty where a round is missing.

    Rounds that were left out for want of time are not missing: there are fewer values, and their count says so.
    """
    from shipworthy.measurement import summaries

    units = bench.measure_units(arm, [name])
    if not all(bench.done(u) for u in units):
        left_out = bench.left_out().units
        units = [u for u in units if u.name not in left_out]
        if not units or not all(bench.done(u) for u in units):
            return ()
    return summaries.combine([[measurement_from(row) for row in bench.read(u, "measurements.json")] for u in units])


def measure_latency_and_memory(bench: Workbench, arm: Arm, names: Sequence[str], *, confidence: float = 0.95) -> pd.DataFrame:
    """Measure latency, throughput, memory, cold start and size of every candidate.

    Parameters
    ----------
    bench : Workbench
    arm : Arm
        Its measuring plan says how many queries, rounds and batches.
    names : sequence of str
    confidence : float
        Of the intervals.

    Returns
    -------
    DataFrame
        Tidy records.
    """
    import pandas as pd

    from shipworthy.measurement import exclusive, summaries
    from shipworthy.measurement.machine import PATIENCE_S

    chosen = {c.name: c for c in ensure_trained(bench, arm, names)}
    bench.make(bench.queries_unit(arm), draw_queries(bench, arm))
    # Who has nothing to measure does not wait for those who have.
    if units := [u for u in bench.measure_units(arm, chosen) if not bench.done(u)]:
        asked = time.time()
        with exclusive(bench.notify) as waited:
            if waited > PATIENCE_S:
                with (bench.folder / WAITS).open("a", encoding="utf-8") as waits:
                    waits.write(json.dumps({"began": asked, "seconds": waited}) + "\n")
            bench.make_all((u, _measure(bench, arm, chosen[u.candidate], u.round_index)) for u in units)
    rows: list[dict[str, Any]] = []
    for name, candidate in chosen.items():
        measured = measurements_of(bench, arm, name)
        records = summaries.serving_records(measured, kind=candidate.kind, route=candidate.route, confidence=confidence)
        rows += record_rows(records, arm)
    return pd.DataFrame(rows)


def samples_of(bench: Workbench, arm: Arm, names: Sequence[str]) -> pd.DataFrame:
    """Raw values of an arm: one row a value, with its quantity, scenario, batch size and round.

    Parameters
    ----------
    bench : Workbench
    arm : Arm
    names : sequence of str

    Returns
    -------
    DataFrame
    """
    import pandas as pd

    frames = []
    for m in (m for name in names for m in measurements_of(bench, arm, name)):
        facts = {"dataset": arm.dataset, "candidate": m.candidate, "seed": arm.seed, "level": arm.level, "quantity": m.quantity}
        facts |= {"scenario": m.conditions.scenario, "batch_size": m.conditions.batch_size}
        raw = m.values  # noqa: PD011 - a Measurement's values, not a DataFrame's
        frames.append(pd.DataFrame({**facts, "round": m.round_index, "value": raw}, index=range(len(raw))))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def latency_pairs(measured: Sequence[Measurement], *, percentile: float = 50.0, confidence: float = 0.95) -> pd.DataFrame:
    """How many times as long each candidate takes as the fastest, and whether the noise lets it be told.

    The noise floor comes first: how far a candidate differs from itself in fresh, interleaved processes. A ratio whose interval,
    widened by it, holds 1 is no difference that anybody may speak of.

    Parameters
    ----------
    measured : sequence of Measurement
        As from :func:`measurements_of`, of several candidates of one arm.
    percentile : float
    confidence : float

    Returns
    -------
    DataFrame
        One row a candidate but the fastest: ``candidate``, ``against``, ``times``, ``low``, ``high``, ``verdict`` (``slower`` or
        ``cannot tell``), ``noise_floor``; slowest last. Empty where fewer than two candidates were measured.
    """
    import pandas as pd

    from shipworthy import feasibility
    from shipworthy.measurement import noise

    streams = [m for m in measured if (m.quantity, m.conditions.scenario) == ("latency_ms", "single_stream") and m.round_index]
    columns = ["candidate", "against", "times", "low", "high", "verdict", "noise_floor"]
    if len(streams) < 2:
        return pd.DataFrame(columns=columns)
    floor = noise.noise_floor(streams, percentile)
    fastest, *others = sorted(streams, key=lambda m: (m.percentile(percentile), m.candidate))
    rows = []
    for other in others:
        rng = np.random.default_rng([other.conditions.seed, 9])
        ratio = feasibility.ratio_interval(other, fastest, percentile, floor, confidence, rng=rng)
        verdict = "slower" if ratio.low > 1 else "cannot tell"
        rows.append((other.candidate, fastest.candidate, ratio.value, ratio.low, ratio.high, verdict, floor))
    return pd.DataFrame(rows, columns=columns)


def energy(records: pd.DataFrame) -> pd.DataFrame:
    """CPU seconds of a thousand predictions, and what energy they would be: an estimate from an assumed power, never measured.

    Parameters
    ----------
    records : DataFrame
        As from :func:`measure_latency_and_memory`.

    Returns
    -------
    DataFrame
        One row a candidate, cheapest first: CPU seconds a thousand single queries, and watt-hours a million of them at the low,
        middle and high power that is assumed of a busy core.
    """
    import pandas as pd

    from shipworthy.measurement import watt_hours_per_million

    cpu = records[(records["quantity"] == "cpu_ms") & (records["statistic"] == "mean")].dropna(subset=["value"])
    rows = []
    for name, cpu_ms in zip(cpu["candidate"], cpu["value"], strict=True):
        wh = watt_hours_per_million(float(cpu_ms))
        # Milliseconds a query are seconds a thousand.
        rows.append((name, float(cpu_ms), wh.low, wh.value, wh.high))
    columns = ["candidate", "CPU s per 1,000", "Wh per million, low", "Wh per million", "Wh per million, high"]
    return pd.DataFrame(rows, columns=columns).sort_values(columns[1], ignore_index=True)
