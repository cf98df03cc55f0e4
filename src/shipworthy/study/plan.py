"""Plans a study: which notebook runs with which parameters, which units it hands over, and how long that should take.

This module does *not* know how a notebook is executed or where its results lie.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from shipworthy.experiments.accuracy import accuracy_units
from shipworthy.experiments.arms import Arm, arms_of, members_in, study_at, task_of
from shipworthy.experiments.latency_and_throughput import loaded_arms, units_under_load
from shipworthy.experiments.own_ensembles import Declared
from shipworthy.experiments.simulated import GUESSES, asked_of, simulate_unit, simulated_arms
from shipworthy.experiments.workbench import Unit, Workbench
from shipworthy.records import Study
from shipworthy.simulation.subsets import MOST_MEMBERS

TRAIN = "01_train_single_models"
BUILD = "02_build_ensembles"
ACCURACY = "03_compare_accuracy"
MEASURE = "04_measure_latency_and_memory"
LOAD = "05_latency_and_throughput"
SIMULATE = "08_simulate_ensembles"


STAKEHOLDERS = "06_stakeholders"
REPORT = "feasibility_report"

KERNEL_S = 4.0
"""Seconds for a kernel to start, import and write its notebook."""

JUDGED_S = 0.5
"""Seconds of judging and reporting for each candidate of an arm."""

FIT_S = {
    "prior": 0.1,
    "logistic_regression": 0.14,
    "ridge": 0.12,
    "naive_bayes": 0.13,
    "knn": 1.5,
    "mlp": 0.95,
    "glass_box": 1.7,
    "extra_trees": 0.5,
    "hist_gradient_boosting": 0.25,
    "xgboost_large": 0.3,
    "decision_tree": 0.1,
    "random_forest": 0.7,
    "xgboost": 0.25,
    "xgboost_tuned": 2.8,
}
"""Seconds of one fit on 8,000 rows with 8 search trials, its predictions included, beside another worker."""

ASSEMBLE_S = {
    "two_layer_stack": 9.0,
    "greedy": 1.0,
    "greedy_cost": 0.1,
}
"""Seconds beyond those that any ensemble takes, on as many rows: of a choice the search for it, of a second layer
its fits, and those of first layers that keep its out-of-fold score honest."""

QUERY_MS = {
    "prior": 0.1,
    "logistic_regression": 2.0,
    "ridge": 2.0,
    "naive_bayes": 2.1,
    "knn": 3.4,
    "mlp": 1.6,
    "glass_box": 1.1,
    "extra_trees": 4.6,
    "hist_gradient_boosting": 1.5,
    "xgboost_large": 1.25,
    "decision_tree": 1.0,
    "random_forest": 4.5,
    "xgboost": 1.2,
    "xgboost_tuned": 1.2,
}
"""Milliseconds of one query; an ensemble of models costs the sum of its members and a fifth more."""

CHOSEN = 3
"""Members that an ensemble which may choose among many takes, or thereabouts."""
SIMULATE_S = 2.2
"""Seconds to simulate the ensembles of a few members, to compile the loops included."""

SUBSET_S, PAIR_ROW_S, CLASSES_SUBSET_ROW_S = 2e-6, 5e-7, 7e-9
"""What each subset adds, each row of each pair of members, and, of several classes, each row of each subset. Points on two
cores, everything included: of four classes, 16 members and 5,000 rows 3.3 s, 20 and 2,000 15.9, which this follows to a tenth;
binary, 12 and 5,000 0.7 s, 20 and 500 2.2, 20 and 5,000 3.3, to which it adds up to two seconds of compiling."""

CHILD_S = 1.15
"""Seconds of a measuring child apart from its queries: start, imports, load, memory."""

ITEMISED_TWICE = 20
"""Queries of a round that are asked beside the timed ones: ten whole, and again in parts."""

CALL_ROW_S = 0.00003
"""Seconds of one row in a call of thousands, the turning of a dict into a row included."""

SLOW_ROW_S = {"knn": 0.0006}
"""The same of those that look through all their training rows for each: 8,000."""

TWO_THREADS = 6.0
"""How many times as long a query takes while a second thread waits for work on a second core."""

NUMBERS_ONLY = 0.5
"""A data set of few rows with numbers only costs about half as much to query."""

# Means of the quick study on adult and flights, alone on two cores of the machine that this was written on, where
# SPEED_KERNEL_S was measured too. The first done units correct them, so they matter for the first minute only.
SPEED_KERNEL_S = 0.009


def machine_slowness(clock: Callable[[], float] = time.perf_counter) -> float:
    """How many times slower than where the figures above were measured: a fixed piece of Python, the best of five.

    The same machine differs from itself by a quarter within minutes, so what is nearer than a half counts as equal.

    Examples
    --------
    >>> machine_slowness() > 0
    True
    """
    best = float("inf")
    for _ in range(5):
        began = clock()
        table = {i: str(i) for i in range(60_000)}
        sum(len(v) for v in table.values() if v.endswith("7"))
        sorted(table.values())
        best = min(best, clock() - began)
    ratio = best / SPEED_KERNEL_S
    return ratio if abs(math.log(ratio)) > math.log(1.5) else 1.0


@dataclass(frozen=True, slots=True)
class Step:
    """One execution of a notebook: its parameters, the units that it hands over, and what it must wait for.

    Parameters
    ----------
    notebook : str
    arm : Arm or None
        ``None`` for the notebooks at the end, which look at all arms.
    values : mapping
        Parameters of the notebook.
    units : tuple of Unit
    exclusive : bool
        Nothing else of the study may run meanwhile: the step times things.
    """

    notebook: str
    arm: Arm | None
    values: Mapping[str, Any]
    units: tuple[Unit, ...]
    exclusive: bool = False

    @property
    def name(self) -> str:
        """Name of the executed notebook, below ``notebooks/``, without its ending."""
        return f"{self.arm.key}/{self.notebook}" if self.arm else self.notebook

    def only(self, names: Container[str]) -> Step | None:
        """The step with these units alone, and with their candidates alone in its parameters; ``None`` where none is left."""
        units = tuple(u for u in self.units if u.name in names)
        kept = {u.candidate for u in units} - {""}
        if self.arm is None or len(units) == len(self.units):
            return self
        if not kept:
            return None
        field = "ensembles" if "ensembles" in self.values else "candidates"
        chosen = [name for name in self.values[field] if name in kept]
        return replace(self, units=units, values={**self.values, field: chosen})


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of a study: chains that may run side by side, then exclusive steps one by one, then what looks at all of it."""

    study: Study
    chains: tuple[tuple[Step, ...], ...]
    exclusive: tuple[Step, ...]
    last: Step
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Expected seconds of each unit, by name."""
    before_last: tuple[Step, ...] = ()
    """Looks at all arms, as the last does, and runs just before it."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, in the order in which one worker would take them."""
        return (*(s for chain in self.chains for s in chain), *self.exclusive, *self.before_last, self.last)

    def only(self, names: Container[str]) -> Plan:
        """The plan with these units alone; steps that have none left are gone."""
        chains = [tuple(s for step in chain if (s := step.only(names)) is not None) for chain in self.chains]
        exclusive = tuple(s for step in self.exclusive if (s := step.only(names)) is not None)
        measured = {(s.arm.key, u.candidate) for s in exclusive if s.arm for u in s.units if u.kind == "measure"}
        looks = tuple(s for step in self.before_last if (s := self._of_what_is_measured(step, measured)) is not None)
        return replace(self, chains=tuple(chain for chain in chains if chain), exclusive=exclusive, before_last=looks)

    def _of_what_is_measured(self, step: Step, measured: Container[tuple[str, str]]) -> Step | None:
        """A step that looks at one arm, of the candidates that are measured there; ``None`` where no two can be put together."""
        if step.arm is None:
            return step
        known = Declared.of(self.study)
        chosen = [name for name in step.values["candidates"] if (step.arm.key, name) in measured]
        members = [name for name in chosen if name not in GUESSES and not known.candidate(name).members]
        return replace(step, values={**step.values, "candidates": chosen}) if len(members) > 1 else None

    @property
    def judging_s(self) -> float:
        """Seconds of the notebooks that look at all arms, and of writing the report."""
        scored = sum(unit.kind == "accuracy" for chain in self.chains for step in chain for unit in step.units)
        return JUDGED_S * scored + sum(2 * KERNEL_S for _ in (*self.before_last, self.last))


def _with_members(arm: Arm, names: Iterable[str]) -> list[str]:
    """The names and, before each ensemble, its members in the task of the arm."""
    ordered: dict[str, None] = {}
    for name in names:
        for member in (*members_in(arm, name), name):
            ordered[member] = None
    return list(ordered)


def plan_study(bench: Workbench, study: Study) -> Plan:
    """Lay out the steps of a study.

    Parameters
    ----------
    bench : Workbench
        Of the run folder; it says which identity each unit must have.
    study : Study

    Returns
    -------
    Plan

    Raises
    ------
    InputError
        If the study sweeps what cannot be swept.
    """
    names = list(study.candidates)
    chains: dict[str, tuple[Step, ...]] = {}
    exclusive: list[Step] = []
    seconds: dict[str, float] = {}
    for arm in arms_of(study):
        trained = arm.as_trained()
        everything = _with_members(arm, names)
        ensembles = [n for n in everything if members_in(arm, n)]
        singles = [n for n in everything if n not in ensembles]
        there = {"seed": arm.seed, "run_folder": str(bench.folder.resolve()), **asdict(arm.training)}
        rows = {"dataset": arm.dataset, **there, "factor": trained.factor, "level": trained.level}
        judged = {"metric": study.metric, "confidence": study.confidence}
        fits = {n: bench.fit_unit(arm, n) for n in everything}
        scored = tuple(accuracy_units(bench, arm, names, study.metric, study.confidence))
        chain = [Step(TRAIN, trained, {**rows, "candidates": singles}, tuple(fits[n] for n in singles))]
        if ensembles:
            chain.append(Step(BUILD, trained, {**rows, "ensembles": ensembles}, tuple(fits[n] for n in ensembles)))
        chain.append(Step(ACCURACY, trained, {**rows, **judged, "candidates": names}, scored))
        # What is swept in the measuring alone shares one chain.
        chains.setdefault(trained.key, tuple(chain))
        how = {**asdict(arm.measuring), "batch_sizes": list(arm.measuring.batch_sizes), "confidence": study.confidence}
        measuring = arm.as_measured()
        swept = {"factor": measuring.factor, "level": measuring.level}
        measured = (bench.queries_unit(arm), *bench.measure_units(arm, names))
        # What is swept in the load or the judging alone is measured once.
        if measuring.key not in {step.arm.key for step in exclusive if step.arm}:
            values = {**rows, **swept, **how, "candidates": names}
            exclusive.append(Step(MEASURE, measuring, values, measured, exclusive=True))
        for unit in (*fits.values(), *scored, *measured):
            seconds[unit.name] = expected_seconds(unit)
    for arm in loaded_arms(study):
        there = {"dataset": arm.dataset, "seed": arm.seed, "run_folder": str(bench.folder.resolve()), **asdict(arm.training)}
        asked = study_at(study, arm)
        units = tuple(units_under_load(bench, arm, study.load.candidates, asked.load, asked.traffic_queries_s))
        values = {**there, "factor": arm.factor, "level": arm.level, "candidates": list(study.load.candidates)}
        exclusive.append(Step(LOAD, arm, values, units, exclusive=True))
        seconds |= {unit.name: expected_load_seconds(unit, asked) for unit in units}
    on_paper: list[Step] = []
    for arm in simulated_arms(study):
        there = {"dataset": arm.dataset, "seed": arm.seed, "run_folder": str(bench.folder.resolve()), **asdict(arm.training)}
        unit = simulate_unit(bench, arm, names, asked_of(study, arm))
        values = {**there, "factor": arm.factor, "level": arm.level, "candidates": names, **asdict(study.simulation)}
        on_paper.append(Step(SIMULATE, arm, values, (unit,)))
        n_members = sum(n not in GUESSES and not members_in(arm, n) for n in names)
        n_rows = sum(expected_rows(arm)) / 2  # out of fold and on test rows
        seconds[unit.name] = expected_simulation_s(n_members, n_rows, several_classes=task_of(arm) == "multiclass")
    last = Step(REPORT, None, {"run_folder": str(bench.folder.resolve())}, ())
    heard = (Step(STAKEHOLDERS, None, {"run_folder": str(bench.folder.resolve())}, ()),) if study.stakeholders else ()
    # The longest chain first: two workers then end at about the same time.
    longest = sorted(chains.values(), key=lambda c: -sum(seconds[u.name] for s in c for u in s.units))
    return Plan(study, tuple(longest), tuple(exclusive), last, seconds, (*on_paper, *heard))


def expected_seconds(unit: Unit) -> float:
    """What a unit should take on the machine that the figures above were measured on."""
    arm = unit.arm
    n_train, n_test = expected_rows(arm)
    # What is small costs what a fit costs at the least.
    rows = max(0.2, n_train / 8000)
    if unit.kind == "train":
        tuned = arm.training.search_trials / 8 if unit.candidate.endswith("_tuned") else 1.0
        return 0.1 + FIT_S.get(unit.candidate, 1.0) * tuned * rows * (arm.training.folds + 1)
    if unit.kind == "assemble":
        return 0.6 + (0.2 + ASSEMBLE_S.get(unit.candidate, 0.0)) * rows
    if unit.kind == "accuracy":
        return max(0.05, 0.3 * n_test / 10_000)
    if unit.kind == "measure":
        asked = arm.measuring.queries / arm.measuring.rounds + arm.measuring.warm_up + ITEMISED_TWICE
        slow_row_s = SLOW_ROW_S.get(unit.candidate, 0.0) * rows
        batches_s = _expected_batches_s(arm, slow_row_s) if unit.round_index == 0 else 0.0
        return CHILD_S + asked * expected_query_ms(unit) / 1000 + batches_s
    return 0.5


def expected_simulation_s(n_members: int, n_rows: float, *, several_classes: bool) -> float:
    """What simulating the ensembles of some members on some rows should take: all subsets of twenty at most.

    Examples
    --------
    >>> round(expected_simulation_s(4, 500, several_classes=False), 1)
    2.2
    >>> round(expected_simulation_s(20, 5000, several_classes=False), 1)
    5.3
    """
    n_subsets = 2.0 ** min(n_members, MOST_MEMBERS)
    classes_s = CLASSES_SUBSET_ROW_S * n_subsets * n_rows if several_classes else 0.0
    return SIMULATE_S + SUBSET_S * n_subsets + PAIR_ROW_S * n_members**2 * n_rows + classes_s


def expected_rows(arm: Arm) -> tuple[int, int]:
    """About how many rows train and test: three in ten test in most data sets, and no sample is larger than what it is from."""
    from shipworthy import datasets

    share = arm.source.test_share if arm.source else 0.3
    n = datasets.size(arm.rows)
    train, test = round((1 - share) * n), round(share * n)
    return min(train, arm.training.max_train_rows or train), min(test, arm.training.max_test_rows or test)


def _expected_batches_s(arm: Arm, slow_row_s: float) -> float:
    """What the calls of all batch sizes should take: two at least, and no more than there is time for."""
    plan, row_s = arm.measuring, max(CALL_ROW_S / 3, slow_row_s)
    calls = (row_s * size for size in plan.batch_sizes)
    return sum(max(2 * call, min((plan.batch_repeats + 1) * call, plan.batch_limit_s)) for call in calls)


def expected_query_ms(unit: Unit) -> float:
    """What one query of a unit's candidate should take on the machine that the figures above were measured on."""
    candidate, members = unit.arm.candidate(unit.candidate), members_in(unit.arm, unit.candidate)
    query_ms = sum(QUERY_MS.get(m, 2.0) for m in members or (unit.candidate,)) * (1.2 if members else 1.0)
    if candidate.choosing is not None:
        query_ms *= min(1.0, CHOSEN / len(members))
    if candidate.bagged:
        query_ms *= unit.arm.training.folds
    if unit.candidate == "two_layer_stack":
        query_ms *= 2
    return query_ms * (NUMBERS_ONLY if unit.arm.dataset == "breast_cancer" else 1.0)


def expected_load_seconds(unit: Unit, study: Study) -> float:
    """What a unit under load should take there."""
    load, query_s = study.load, expected_query_ms(unit) / 1000
    per_curve = sum(load.calls(size) * (query_s + size * CALL_ROW_S) for size in load.curve_batch_sizes)
    if unit.kind == "curve":
        return CHILD_S + per_curve
    if unit.kind == "threads":
        alone = 0.5 * load.curve_rows * query_s
        return 3 * CHILD_S + (1 + TWO_THREADS) * alone + 2 * load.curve_calls * max(load.curve_batch_sizes) * CALL_ROW_S
    if unit.kind == "rates":
        arrivals = load.load_queries / study.traffic_queries_s + (load.rate_trials - 1) * 1.3 * load.load_queries * query_s
        return load.rate_trials * CHILD_S + max(arrivals, load.rate_trials * load.load_seconds)
    return {"imports": 2.0, "recipes": 3.4 + 500 * query_s, "portability": 6 * CHILD_S + 900 * query_s}[unit.kind]


def expected_wall_seconds(
    plan: Plan, workers: int, done: Sequence[str] = (), correction: Mapping[str, float] | None = None, slowness: float = 1.0
) -> float:
    """Wall seconds that are left: chains shared out over the workers, then the exclusive steps, then the report.

    Parameters
    ----------
    plan : Plan
    workers : int
    done : sequence of str
        Names of the units that are done, and of the steps that have been executed.
    correction : mapping, optional
        For each kind of unit, how many times longer it takes than expected.
    slowness : float
        The same for what no unit has told of yet, and for kernels.
    """
    gone = set(done)
    scale = correction or {}

    def left(step: Step) -> float:
        if step.name in gone:
            return 0.0
        waiting = [u for u in step.units if u.name not in gone]
        return KERNEL_S * slowness + sum(plan.seconds[u.name] * scale.get(u.kind, slowness) for u in waiting)

    loads = [0.0] * max(1, workers)
    for chain in plan.chains:
        loads[loads.index(min(loads))] += sum(left(step) for step in chain)
    report = 0.0 if plan.last.name in gone else plan.judging_s * slowness
    report += sum(left(step) - KERNEL_S * slowness for step in plan.before_last if step.units and step.name not in gone)
    return max(loads) + sum(left(step) for step in plan.exclusive) + report
