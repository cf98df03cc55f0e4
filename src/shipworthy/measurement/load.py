"""Puts a saved artefact under load in fresh child processes: MLPerf's four scenarios, and the highest rate that keeps a limit.

The rules are LoadGen's: a run ends when a minimum duration *and* a minimum count are reached; in the server scenario queries
arrive at random moments that were drawn beforehand, and latency counts from when a query was due; a percentile is said to keep a
limit only where the counts allow it at 99 % (early stopping). What is measured so is measured by LoadGen's rules, on one machine
and for less long than MLPerf asks: it is not an MLPerf result.

This module does *not* know which limit matters, what a rate is worth, or how to predict one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt

from shipworthy.measurement.children import conditions_of, importable, read_report, reason, run_child
from shipworthy.measurement.machine import exclusive, least_busy_cores, load_average
from shipworthy.records import Conditions, Floats, InputError, Measurement, OwnModule, RequirementOutcome, Scenario

LOAD_CHILD = Path(__file__).with_name("load_child.py")
CONFIDENCE = 0.99
"""Of what is said of a percentile: MLPerf's."""
NEAR = 1.1
"""Two rates that differ by less are one answer: the search ends."""
CERTAIN_OVERLOAD = 0.98
"""No queue is stable at a utilisation of 1; the search stays below it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One run: how queries arrive, and when it may stop.

    Parameters
    ----------
    scenario : Scenario
    min_count : int
        Queries (calls, where a call has several rows) that are asked at least.
    min_duration_s : float
        Seconds that it lasts at least. In the server scenario both are settled by the schedule, so its count is known before.
    max_duration_s : float
        Nothing is begun later than this.
    """

    scenario: Scenario
    min_count: Annotated[int, Ge(1)] = 700
    min_duration_s: Annotated[float, Ge(0)] = 0.0
    max_duration_s: Annotated[float, Gt(0)] = 60.0

    @property
    def planned(self) -> int:
        """Queries of the schedule, in the server scenario; the least count in the others."""
        if self.scenario.name != "server":
            return self.min_count
        return max(self.min_count, int(np.ceil(self.scenario.rate_per_s * self.min_duration_s)))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadJob:
    """What is put under load, and how its process is set up; the fields mean what they mean in ``ServingJob``."""

    candidate: str
    dataset: str
    artefact: Path
    queries: Path
    threads: int = 1
    warm_up: int = 30
    seed: int = 0
    round_index: int = 0
    profile: Literal["lean", "full"] = "lean"
    time_limit_s: float = 120.0
    factory: str = ""
    sys_path: tuple[str, ...] = ()
    own: OwnModule | None = None


@dataclass(frozen=True, slots=True, eq=False)
class LoadRun:
    """What happened under one load: for every query, in the order in which they were due, three moments.

    Parameters
    ----------
    load : Load
    due_ms, begun_ms, complete_ms : ndarray of float64, shape (n,)
        Milliseconds since the start of the run.
    conditions : Conditions
    candidate, dataset : str
    round_index : int
    failure : str
        Why there are no queries, in a sentence; empty otherwise.
    """

    load: Load
    due_ms: Floats
    begun_ms: Floats
    complete_ms: Floats
    conditions: Conditions
    candidate: str
    dataset: str
    round_index: int = 0
    failure: str = ""

    @property
    def n(self) -> int:
        """Queries that were answered."""
        return int(self.due_ms.size)

    @property
    def whole(self) -> bool:
        """Whether it ended by its own rules, and not because it lasted too long."""
        return not self.failure and self.n >= self.load.planned

    @property
    def service_ms(self) -> Floats:
        """Time from the beginning of each answer to its end: latency without the wait in the queue."""
        return self.complete_ms - self.begun_ms

    @property
    def late_starts_ms(self) -> Floats:
        """How late each answer was begun that found the process idle, in the order in which they were due."""
        free = np.concatenate(([0.0], self.complete_ms[:-1]))
        return np.asarray((self.begun_ms - self.due_ms)[self.due_ms >= free])

    @property
    def late_ms(self) -> float:
        """99th percentile of how late an answer was begun that found the process idle: the health of the measurement itself.

        0 where none did. Tenths of a millisecond are the clock's; more is another process on the core.
        """
        late = self.late_starts_ms
        return float(np.percentile(late, 99)) if late.size else 0.0

    @property
    def overloaded(self) -> bool:
        """Whether queries are due as fast as they are answered, or faster: no queue is stable then, however short the run."""
        return self.load.scenario.rate_per_s * float(self.service_ms.sum()) >= 1000 * CERTAIN_OVERLOAD * self.n > 0

    @property
    def utilisation(self) -> float:
        """Share of the run in which an answer was being made."""
        return float(self.service_ms.sum() / self.complete_ms[-1]) if self.n else float("nan")

    @property
    def rate_per_s(self) -> float:
        """Rows answered per second, from the start to the last answer."""
        return 1000 * self.n * self.load.scenario.batch_size / float(self.complete_ms[-1]) if self.n else float("nan")

    def latency(self) -> Measurement:
        """Milliseconds from when each query was due to its complete answer."""
        return self._measurement("latency_ms", tuple((self.complete_ms - self.due_ms).tolist()))

    def throughput(self) -> Measurement:
        """Rows per second: of each call where one follows the other, of the whole run where queries arrive by themselves."""
        if self.load.scenario.name == "server":
            return self._measurement("throughput_rows_s", (self.rate_per_s,) if self.n else ())
        return self._measurement(
            "throughput_rows_s", tuple((1000 * self.load.scenario.batch_size / np.maximum(self.service_ms, 1e-6)).tolist())
        )

    def _measurement(self, quantity: str, values: tuple[float, ...]) -> Measurement:
        return Measurement(
            self.candidate, self.dataset, quantity, values, (self.round_index,) * len(values), self.conditions, self.failure
        )


def run_loads(job: LoadJob, loads: Sequence[Load]) -> tuple[LoadRun, ...]:
    """Load the artefact in one fresh child, and put it under each load in turn, alone on the machine.

    Parameters
    ----------
    job : LoadJob
    loads : sequence of Load

    Returns
    -------
    tuple of LoadRun
        One a load. What the child did not live to do has a ``failure`` instead: a crash, a hang or a kill is a finding about the
        candidate, and later loads of the same child fail with it.

    Raises
    ------
    InputError
        If there is no load, or a server scenario without a rate.
    """
    if not loads:
        raise InputError("loads: name at least one")
    orders = [_order(job, i, load) for i, load in enumerate(loads)]
    with exclusive(), tempfile.TemporaryDirectory(prefix="shipworthy-") as folder:
        cores, busy = least_busy_cores(job.threads), load_average()
        result = Path(folder) / "report.jsonl"
        asked = {
            "artefact": str(job.artefact.absolute()),
            "queries": str(job.queries.absolute()),
            "result": str(result),
            **importable(job.artefact, job.factory, job.own, job.sys_path),
            "profile": job.profile,
            "factory": job.factory,
            "cores": cores,
            "threads": job.threads,
            "warm_up": job.warm_up,
            "loads": orders,
            "time_limit_s": job.time_limit_s,
        }
        ending = run_child(LOAD_CHILD, asked, job.threads, job.time_limit_s)
        _, facts, wrong = read_report(result)
    failure = reason(ending, facts, wrong, job.time_limit_s)
    here = conditions_of(facts, threads=job.threads, seed=job.seed, profile=job.profile, load_average=busy)
    here = replace(here, warm_up=job.warm_up, garbage_collector="off")
    return tuple(_run(job, load, facts.get(f"log {i}"), here, failure) for i, load in enumerate(loads))


def _order(job: LoadJob, position: int, load: Load) -> dict[str, object]:
    """A load as the child reads it. The moments of a server scenario are drawn here, each load from a stream of its own."""
    scenario = load.scenario
    order: dict[str, object] = {
        "scenario": scenario.name,
        "batch_size": scenario.batch_size,
        "limit_s": load.max_duration_s,
        "min_count": load.min_count,
        "min_duration_s": load.min_duration_s,
        "first_query": position * load.min_count * scenario.batch_size,
    }
    if scenario.name == "server":
        if scenario.rate_per_s <= 0:
            raise InputError("loads: a server scenario needs rate_per_s above 0, the queries that arrive in a second")
        rng = np.random.default_rng([job.seed, job.round_index, position, 6])
        order["due_ns"] = (1e9 * scenario.arrivals(rng, load.planned)).astype(np.int64).tolist()
    return order


def _run(job: LoadJob, load: Load, log: object, here: Conditions, failure: str) -> LoadRun:
    scenario = load.scenario
    conditions = replace(here, scenario=scenario.name, batch_size=scenario.batch_size, rate_per_s=scenario.rate_per_s)
    try:
        moments = np.array(log if log is not None else [], dtype=np.float64).reshape(-1, 3) / 1e6
    except (ValueError, TypeError):
        moments, failure = np.empty((0, 3)), failure or "the serving process wrote moments that are no numbers"
    why = "" if len(moments) else failure or "no query was answered before the run had lasted too long"
    return LoadRun(
        load, moments[:, 0], moments[:, 1], moments[:, 2], conditions, job.candidate, job.dataset, job.round_index, why
    )


@dataclass(frozen=True, slots=True)
class RateTrial:
    """One rate that was tried: what was asked, what came of it, and what may be said."""

    rate_per_s: float
    n: int
    over: int
    """Queries beyond the limit; those that were never answered count as beyond it."""
    p50_ms: float
    p99_ms: float
    at_most_ms: float
    """Upper bound of the percentile at 99 %; infinite where the count allows none."""
    utilisation: float
    outcome: RequirementOutcome


@dataclass(frozen=True, slots=True)
class RateSearch:
    """The highest rate of arriving queries at which a percentile was shown to keep its limit.

    Parameters
    ----------
    percentile, limit_ms : float
    trials : tuple of RateTrial
        In the order in which they were tried.
    runs : tuple of LoadRun
        The raw moments of each trial.
    failure : str
        Why the search ended before its end, in a sentence; empty otherwise.
    """

    percentile: float
    limit_ms: float
    trials: tuple[RateTrial, ...]
    runs: tuple[LoadRun, ...]
    failure: str = ""

    @property
    def highest(self) -> float:
        """The highest rate that was met and below every rate that was not; 0 if none was."""
        met = [t.rate_per_s for t in self.trials if t.outcome == "met" and t.rate_per_s < self.lowest_not_met]
        return max(met, default=0.0)

    @property
    def lowest_not_met(self) -> float:
        """The lowest rate that was missed or undecided; infinite if every one was met."""
        return min((t.rate_per_s for t in self.trials if t.outcome != "met"), default=float("inf"))

    def sentence(self, candidate: str) -> str:
        """What was found, in words."""
        limit = f"p{self.percentile:g} under {self.limit_ms:g} ms"
        if self.failure and not self.highest:
            return f"{candidate}: no rate was found, because {self.failure}."
        if not self.highest:
            lowest = _rate(self.lowest_not_met)
            return f"{candidate} was not shown to keep {limit} at {lowest} queries/s, the lowest rate tried."
        text = f"{candidate} keeps {limit} at {_rate(self.highest)} queries/s"
        if self.failure:
            return f"{text}; the search ended there, because {self.failure}."
        if self.lowest_not_met == float("inf"):
            return f"{text}, the highest rate tried."
        worst = min((t for t in self.trials if t.outcome != "met"), key=lambda t: t.rate_per_s)
        how = "misses it" if worst.outcome == "missed" else "is not shown to"
        return f"{text}, and {how} at {_rate(self.lowest_not_met)}."


def _rate(per_s: float) -> str:
    """Queries a second: whole above a hundred, three digits below."""
    return f"{per_s:,.0f}" if per_s >= 100 else f"{per_s:.3g}"


def judge_rate(run: LoadRun, percentile: float, limit_ms: float) -> RateTrial:
    """What one run in the server scenario says of a limit, by LoadGen's early stopping.

    A run that lasted too long to be whole is *missed*: its queue grew faster than it was served. Where the queries would not even
    have arrived by then, it says nothing of those that are absent, and is *undecided* if the others kept the limit. One that
    kept the limit only because it ended before its queue had grown is *undecided*. Latencies in a queue come in clumps, so the
    counts say a little more than they should; LoadGen's do too.
    """
    latency = run.latency()
    bound = latency.percentile_bound(percentile, CONFIDENCE)
    values = np.array(latency.values)
    outcome: RequirementOutcome = "met" if bound.high <= limit_ms else "missed" if bound.low > limit_ms else "undecided"
    absent = 0 if _arrives_too_slowly(run.load) else max(0, run.load.planned - run.n)
    if not run.whole:
        outcome = "missed" if absent or outcome == "missed" else "undecided"
    elif outcome == "met" and run.overloaded:
        outcome = "undecided"
    return RateTrial(
        rate_per_s=run.load.scenario.rate_per_s,
        n=run.n,
        over=int((values > limit_ms).sum()) + absent,
        p50_ms=latency.percentile(50),
        p99_ms=bound.observed,
        at_most_ms=bound.high,
        utilisation=run.utilisation,
        outcome=outcome,
    )


def _arrives_too_slowly(load: Load) -> bool:
    """Whether the queries of a load take longer to arrive than it may last."""
    return load.planned > load.scenario.rate_per_s * load.max_duration_s


def find_highest_rate(
    job: LoadJob,
    *,
    percentile: float,
    limit_ms: float,
    load: Load,
    predict: Callable[[Floats], float],
    first: float = 0.0,
    trials: int = 5,
    probe: int = 200,
) -> RateSearch:
    """Search for the highest rate of a Poisson stream at which a percentile of latency keeps a limit.

    Service times come from the run at ``first``, or without one from a short single stream; ``predict`` makes a guess from
    them. Rates are tried, each in a fresh child, a step up while they are met and down while they are not, and halved between,
    until the highest that is met and the lowest that is not are within 10 %, or the trials are used up.

    Parameters
    ----------
    job : LoadJob
    percentile : float
        Between 0 and 100; MLPerf's server scenario asks for 99.
    limit_ms : float
    load : Load
        Of each trial; its scenario's rate is put in.
    predict : callable
        ``predict(service_ms) -> queries/s``: a guess, from service times in milliseconds. A bad one costs trials, not truth.
    first : float
        A rate that is tried before all others, queries/s: the one that the service will really meet, also where it is more than
        can be answered, since that is what will happen; 0 for none.
    trials : int
    probe : int
        Queries of the single stream; none is asked where ``first`` is given.

    Returns
    -------
    RateSearch
    """
    tried: list[RateTrial] = []
    runs: list[LoadRun] = []
    failure, rate = "", first
    if not first > 0:
        single = Load(scenario=Scenario(name="single_stream"), min_count=probe, max_duration_s=load.max_duration_s)
        (alone,) = run_loads(job, [single])
        if alone.failure:
            return RateSearch(percentile, limit_ms, (), (), alone.failure)
        guess, highest = _guess(alone, predict)
        rate = guess
    while len(tried) < trials:
        scenario = Scenario(name="server", rate_per_s=rate)
        (run,) = run_loads(replace(job, round_index=len(tried)), [replace(load, scenario=scenario)])
        if run.failure:
            failure = run.failure
            break
        if first > 0 and not runs:
            guess, highest = _guess(run, predict)
        runs.append(run)
        tried.append(judge_rate(run, percentile, limit_ms))
        if not run.whole and tried[-1].outcome == "undecided":
            # At a lower rate fewer still would arrive in that time.
            lasts = f"in the {load.max_duration_s:g} s that a run may last"
            failure = f"{lasts} {run.n} of {run.load.planned} queries arrive at {_rate(rate)} queries/s, too few to tell"
            break
        following = _next_rate(RateSearch(percentile, limit_ms, tuple(tried), ()), guess, highest)
        if not following:
            break
        rate = following
    return RateSearch(percentile, limit_ms, tuple(tried), tuple(runs), failure)


def _guess(run: LoadRun, predict: Callable[[Floats], float]) -> tuple[float, float]:
    """The rate that the service times of a run promise, and the highest worth trying."""
    capacity = 1000 / float(run.service_ms.mean())
    highest = CERTAIN_OVERLOAD * capacity
    return min(max(predict(run.service_ms), 0.02 * capacity), highest), highest


def _next_rate(found: RateSearch, guess: float, highest: float) -> float:
    """The rate to try next; 0 where the search has ended."""
    low, high = found.highest, found.lowest_not_met
    if low and high <= NEAR * low:
        return 0.0
    inside = low * NEAR**0.5 < guess < high / NEAR**0.5
    if inside and all(abs(t.rate_per_s / guess - 1) > 1e-9 for t in found.trials):
        return guess
    if not low:
        return high / 1.5
    if high == float("inf"):
        return min(1.3 * low, highest) if low < 0.97 * highest else 0.0
    return float(np.sqrt(low * high))
