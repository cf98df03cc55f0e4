"""Measures how a saved artefact serves: starts a fresh child for each round, guards it, and gathers what it reports.

One round is one child (``child.py``): it imports, loads, answers, and reports raw values. Whatever happens to the child, the
round ends with measurements: those that it reported, and for the rest the reason why there are none.

This module does *not* know which latency is too much, nor how the artefact was made.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from shipworthy.measurement.children import Key, conditions_of, importable, read_report, reason, run_child
from shipworthy.measurement.machine import (
    exclusive,
    least_busy_cores,
    load_average,
)
from shipworthy.records import Conditions, Measurement, MeasuringPlan, OwnModule, ScenarioName

CHILD = Path(__file__).with_name("child.py")
ITEMISED = 10
"""Queries of each round whose parts are timed too, after the timed loop and apart from it."""

PARTS_OF_A_QUERY = ("build_ms", "preprocess_ms", "model_ms", "rest_ms")

_Scenario = ScenarioName | Literal["none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingJob:
    """One round of serving one artefact.

    Parameters
    ----------
    candidate, dataset : str
        For the record.
    artefact : Path
        As written by ``artefacts.save``.
    queries : Path
        A JSON list of raw queries (dicts). The timed ones of a round follow those of the round before; when there are too few
        they come again, and the conditions say so.
    plan : MeasuringPlan
    seed : int
        Of the study, for the record.
    round_index : int
        From 0. Batches are measured in round 0 only: they are many rows already, and the time goes to single queries.
    profile : {"lean", "full"}
        ``lean``: the child finds only the standard library and what the artefact needs; ``full``: the whole environment.
    factory : str
        A seam for tests: ``"module:function"`` that is called with the path of the artefact and returns the model, in place of
        ``artefacts.load``. Planted models of known service time cannot be artefacts, since those hold no foreign class.
    sys_path : tuple of str
        Where the factory's module is.
    """

    candidate: str
    dataset: str
    artefact: Path
    queries: Path
    plan: MeasuringPlan
    seed: int = 0
    round_index: int = 0
    profile: Literal["lean", "full"] = "lean"
    factory: str = ""
    sys_path: tuple[str, ...] = ()
    own: OwnModule | None = None


def _share(plan: MeasuringPlan, round_index: int) -> tuple[int, int]:
    """First timed query of a round and how many: as even as can be, at least one."""
    each, left = divmod(plan.queries, plan.rounds)
    first = round_index * each + min(round_index, left)
    return first, max(1, each + (round_index < left))


def _expected(job: ServingJob) -> list[Key]:
    """Everything that a whole round reports."""
    keys: list[Key] = [(q, "none", 0) for q in ("import_ms", "load_ms", "first_call_ms", "memory_mib")]
    keys += [(q, "single_stream", 1) for q in ("latency_ms", "throughput_rows_s", "cpu_ms", *PARTS_OF_A_QUERY)]
    keys += [("peak_memory_mib", "none", 1)]
    for size in _batch_sizes(job):
        keys += [("latency_ms", "multi_stream", size), ("peak_memory_mib", "none", size)]
    if job.round_index == 0:
        keys += [("throughput_rows_s", "offline", max(job.plan.batch_sizes))]
    return keys


def _batch_sizes(job: ServingJob) -> tuple[int, ...]:
    """Batch sizes of this round, ascending; one row at a time is the single stream and not asked for twice."""
    return tuple(sorted(set(job.plan.batch_sizes))) if job.round_index == 0 else ()


def measure_round(job: ServingJob) -> tuple[Measurement, ...]:
    """Measure one round in one fresh child, alone on the machine.

    Parameters
    ----------
    job : ServingJob

    Returns
    -------
    tuple of Measurement
        ``latency_ms`` (single stream; batches as multi stream), its parts of some queries (``build_ms``, ``preprocess_ms``,
        ``model_ms``, ``rest_ms``), ``cpu_ms``, ``throughput_rows_s`` (single stream; offline with the largest batch),
        ``import_ms``, ``load_ms``, ``first_call_ms``, ``memory_mib``, ``peak_memory_mib`` by batch size and, in round 0,
        ``size_mib``. Where the child gave no values, the
        measurement has none and says why: a crash, a hang or a kill is a finding about the candidate, not an error of ours.

    Notes
    -----
    Memory is resident memory above that of the same interpreter with the queries in memory and nothing imported;
    ``memory_mib`` after the first call and the warm-up, the peak of batch size 1 during them, and of a larger one during its own
    calls. Before each of these, rubbish is collected and free memory given back to the system, so that no figure holds what
    earlier work left; a peak is at least the ``memory_mib`` of its round. The peak of importing and loading is in the note of
    the peak of batch size 1.

    The garbage collector is off while steady answers are timed and on before; what is alive is frozen after loading, and again
    before the timed loop.

    The calls of a batch size end before ``batch_repeats`` once they have taken ``batch_limit_s`` and two were timed; the
    conditions then say so, and whether the first call is one of the two.
    """
    with exclusive(), tempfile.TemporaryDirectory(prefix="shipworthy-") as folder:
        plan, (first, count) = job.plan, _share(job.plan, job.round_index)
        cores, load = least_busy_cores(plan.threads), load_average()
        result = Path(folder) / "report.jsonl"
        ending = run_child(
            CHILD,
            {
                "artefact": str(job.artefact.absolute()),
                "queries": str(job.queries.absolute()),
                "result": str(result),
                **importable(job.artefact, job.factory, job.own, job.sys_path),
                "profile": job.profile,
                "factory": job.factory,
                "cores": cores,
                "threads": plan.threads,
                "warm_up": plan.warm_up,
                "first_query": first,
                "n_queries": count,
                "itemised": ITEMISED,
                "batch_sizes": _batch_sizes(job),
                "batch_repeats": plan.batch_repeats,
                "batch_limit_s": plan.batch_limit_s,
                "time_limit_s": plan.time_limit_s,
            },
            plan.threads,
            plan.time_limit_s,
        )
        values, facts, wrong = read_report(result)
    failure = reason(ending, facts, wrong, plan.time_limit_s)
    conditions = conditions_of(facts, threads=plan.threads, seed=job.seed, profile=job.profile, load_average=load)
    out = []
    for key in _expected(job):
        given, why = values.get(key, ()), ""
        if not given:
            why = failure or "the model does not show its steps, so its parts cannot be timed"
        elif any(math.isnan(v) for v in given):
            given, why = (), str(facts.get("memory_how", "not a number"))
        out.append(_measurement(job, key, given, _under(job, key, conditions, facts, len(given)), why))
    if job.round_index == 0:
        out.append(_measurement(job, ("size_mib", "none", 0), *_size_mib(job.artefact, conditions)))
    return tuple(out)


def _under(job: ServingJob, key: Key, conditions: Conditions, facts: dict[str, Any], n: int) -> Conditions:
    """The conditions of one quantity of ``n`` values."""
    quantity, scenario, batch_size = key
    steady = scenario != "none" or (quantity == "peak_memory_mib" and batch_size > 1)
    notes, rows = [], facts.get("rows")
    if quantity.endswith("memory_mib"):
        notes.append(str(facts.get("memory_how", "")))
    loading = facts.get("loading_peak_mib")
    if (quantity, batch_size) == ("peak_memory_mib", 1) and isinstance(loading, float) and not math.isnan(loading):
        notes.append(f"importing and loading reached {loading:.0f} MiB")
    first_counts = batch_size > 1 and facts.get(f"first call of {batch_size} counts") is True
    if 0 < n < job.plan.batch_repeats and batch_size > 1 and scenario != "none":
        limit = f"all its calls together are given {job.plan.batch_limit_s:.3g} s, or as long as two take"
        notes.append(f"timed {n} times and not {job.plan.batch_repeats}: {limit}" + (", the first among them" * first_counts))
    asked = job.plan.queries if batch_size <= 1 else batch_size * (job.plan.batch_repeats + 1)
    if isinstance(rows, int) and steady and asked > rows:
        notes.append(f"{asked} rows asked for, {rows} different ones given, so rows come again")
    warm_up = (job.plan.warm_up if batch_size <= 1 else int(not first_counts)) if steady else 0
    known: _Scenario = scenario  # type: ignore[assignment]  # _expected names only scenarios that exist
    return replace(
        conditions,
        scenario=known,
        batch_size=batch_size,
        warm_up=job.plan.warm_up if quantity == "memory_mib" else warm_up,  # what it holds after them
        garbage_collector="off" if steady else "on",
        note="; ".join(n for n in notes if n),
    )


def _measurement(job: ServingJob, key: Key, values: tuple[float, ...], conditions: Conditions, failure: str = "") -> Measurement:
    return Measurement(
        candidate=job.candidate,
        dataset=job.dataset,
        quantity=key[0],
        values=values,
        round_index=(job.round_index,) * len(values),
        conditions=conditions,
        failure=failure,
    )


def _size_mib(artefact: Path, conditions: Conditions) -> tuple[tuple[float, ...], Conditions, str]:
    from shipworthy import artefacts

    try:
        return (artefacts.size_mib(artefact),), conditions, ""
    except OSError as error:
        return (), conditions, f"the artefact cannot be read: {error}"
