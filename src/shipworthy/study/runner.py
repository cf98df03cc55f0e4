"""Runs a planned study: notebooks side by side, then the measuring ones alone, then the report.

This module does *not* know what a notebook computes; a unit is done when its folder is there.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path

from shipworthy import notebooks
from shipworthy.experiments.arms import members_in
from shipworthy.experiments.left_out import minutes_in_words
from shipworthy.experiments.simulated import nothing_to_simulate, simulated_unit
from shipworthy.experiments.workbench import PARTS, TIME_LEFT_FILE, Unit, Workbench, package_digest, write_json
from shipworthy.measurement.confinement import MEMORY_VARIABLE
from shipworthy.records import InputError, Limits, digest
from shipworthy.study.budget import fit_into
from shipworthy.study.ledger import Ledger
from shipworthy.study.plan import SIMULATE, TRAIN, Plan, Step, expected_wall_seconds, machine_slowness
from shipworthy.study.watch import Watch

POLL_S = 0.25
PRIOR_S = 3.0
"""How many expected seconds of a kind must be done before what they really took outweighs the expectation."""

# One thread a fit: units run side by side instead, and a result does not depend on how many cores there are.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")


class InterruptedRunError(KeyboardInterrupt):
    """The user interrupted the run. What was done is kept, and the next run goes on from there."""


@dataclass(slots=True)
class Clockwork:
    """What the progress bar is drawn from: which units are done and how their times compare with what was expected."""

    plan: Plan
    bench: Workbench
    workers: int
    whole: Plan = field(init=False)
    """The plan before a time budget took anything away."""
    done: dict[str, float] = field(default_factory=dict)
    executed: set[str] = field(default_factory=set)
    fresh: set[str] = field(default_factory=set)
    slowness: float = field(default_factory=machine_slowness)

    def __post_init__(self) -> None:
        self.whole = self.plan

    def look(self) -> list[tuple[str, float]]:
        """Find the units that were handed over since the last look, each with its seconds."""
        there = {p.name for p in (self.bench.folder / PARTS).iterdir()} if (self.bench.folder / PARTS).is_dir() else set()
        new = []
        for step in self.whole.steps:
            for unit in step.units:
                if unit.name in there and unit.name not in self.done:
                    seconds = float(self.bench.read(unit, "unit.json")["seconds"])
                    self.done[unit.name] = seconds
                    new.append((unit.name, seconds))
        return new

    def left_s(self) -> float:
        """Wall seconds that are left."""
        return expected_wall_seconds(self.plan, self.workers, [*self.done, *self.executed], *self.corrections())

    def corrections(self) -> tuple[dict[str, float], float]:
        """How many times longer than expected each kind of unit takes, and all else.

        Each kind of unit is corrected by what units of it really took, drawn towards the machine's slowness while little is
        known; a kind of which nothing is known, by what all the others took.
        """
        expected: dict[str, float] = defaultdict(lambda: PRIOR_S)
        taken: dict[str, float] = defaultdict(lambda: PRIOR_S * self.slowness)
        # As a tuple: the threads that execute notebooks ask too, while news come in.
        for name in tuple(self.fresh):
            for kind in (name.split("-", 1)[0], ""):
                expected[kind] += self.plan.seconds.get(name, 0.0)
                taken[kind] += self.done[name]
        scale = {kind: taken[kind] / expected[kind] for kind in expected}
        slowness = scale.pop("", self.slowness)
        return scale, slowness


def step_identity(step: Step) -> str:
    """Hash of the package, the notebook's source, its parameters and the units that it hands over."""
    units = tuple(u.name for u in step.units)
    return digest(package_digest(), notebooks.source_digest(step.notebook), repr(sorted(step.values.items())), units)


def step_done(bench: Workbench, ledger: Ledger, step: Step) -> bool:
    """Whether a step may be skipped: its notebook went through, its copy is there, and so are all its units."""
    if not executed_copy(bench.folder, step).is_file() or not all(bench.done(u) for u in step.units):
        return False
    return ledger.notebook_done(step.name, step_identity(step))


def executed_copy(folder: Path, step: Step) -> Path:
    """Where the executed notebook of a step lies."""
    return folder / "notebooks" / f"{step.name}.ipynb"


def _execute(bench: Workbench, ledger: Ledger, step: Step, limits: Limits, cancel: threading.Event, limit_s: float = 0.0) -> str:
    """Execute one step, in at most so many seconds (0: any), and again where its kernel died or a unit took too long.

    Returns what went wrong in a sentence, or nothing.
    """
    if cancel.is_set():
        return ""
    began = time.time()
    watch = Watch(bench, step, limits.time_limit_s)
    outputs = str(bench.folder.resolve().parents[1])
    environment = {**ONE_THREAD, "SHIPWORTHY_OUTPUTS": outputs, MEMORY_VARIABLE: str(limits.memory_limit_mib)}
    result, cut = None, False
    while result is None or (result.error and not cut and not cancel.is_set() and watch.again(result.error)):
        ledger.notebook_started(step.name, step_identity(step))
        result = notebooks.execute(
            notebooks.path(step.notebook),
            executed_copy(bench.folder, step),
            step.values,
            environment=environment,
            # What an earlier try took is gone from the budget.
            timeout_s=max(1.0, limit_s - (time.time() - began)) if limit_s > 0 else 0.0,
            cancel=cancel,
            watch=watch.overdue,
        )
        # What a time budget cuts short has not failed: it is left out, and that is said elsewhere.
        cut = limit_s > 0 and result.error is not None and result.error.ename == "Timeout"
    error = result.error.sentence() if result.error and not cut else ""
    if not cancel.is_set():
        ledger.notebook_ended(step.name, ok=result.ok, seconds=result.seconds, error=error, cut=cut)
        ledger.span(f"notebook {step.name}", began, time.time())
    return f"{step.arm.title}: {error}" if error and step.arm else error


class Runner:
    """Executes a plan's steps in their stages, and keeps bar and ledger up to date meanwhile.

    Parameters
    ----------
    plan : Plan
    bench : Workbench
    ledger : Ledger
    workers : int
        How many notebooks may train side by side. Measuring is always alone.
    show : callable
        Told the share that is done (0 to 1, and never less than before), the seconds that are left, and what is being done.
    ends : float
        When all must be done, by the clock: what does not fit is left out. Infinity for no time budget.
    note_left_out : callable
        Told, before anything is judged, which units there was no time for.
    clock : callable
        Seconds; only differences count.

    Raises
    ------
    InputError
        If no part of the study fits into its time budget.
    """

    def __init__(
        self,
        plan: Plan,
        bench: Workbench,
        ledger: Ledger,
        workers: int,
        show: Callable[[float, float, str], None],
        *,
        ends: float = math.inf,
        note_left_out: Callable[[Sequence[Unit]], None] = lambda _units: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.plan, self.bench, self.ledger, self.workers, self.show, self.clock = plan, bench, ledger, workers, show, clock
        self.whole, self.ends, self.note_left_out = plan, ends, note_left_out
        self.works = Clockwork(plan, bench, workers)
        self.cancel = threading.Event()
        self._executing: set[str] = set()
        self._errored: set[str] = set()
        self._needless: set[str] = set()
        self._fitting = threading.Lock()
        self._began = clock()
        self._kept_at = -1.0
        self._share = 0.0
        self._enter_plan()
        self._fit()
        if not any(step.units for step in self.plan.steps):
            raise InputError(self._nothing_fits())

    @property
    def left_s(self) -> float:
        """Wall seconds that the plan should still take; before the first step, what is told to the person who waits."""
        return self.works.left_s()

    def run(self) -> list[str]:
        """Execute every step that is not done.

        Returns
        -------
        list of str
            What failed, a sentence each, naming notebook, cell and error. The other steps went on.

        Raises
        ------
        InterruptedRunError
            On Ctrl-C, after every kernel is gone.
        """
        failed: list[str] = []
        pool = ThreadPoolExecutor(max_workers=self.workers, thread_name_prefix="notebook")
        try:
            for doing, chains in self._stages():
                waiting: set[Future[list[str]]] = {pool.submit(self._chain, c) for c in chains}
                while waiting:
                    ended, waiting = wait(waiting, timeout=POLL_S, return_when=FIRST_COMPLETED)
                    failed += [error for future in ended for error in future.result()]
                    self._tick(doing)
        except KeyboardInterrupt as interrupt:
            self.cancel.set()
            raise InterruptedRunError from interrupt
        except BaseException:
            self.cancel.set()
            raise
        finally:
            # Every kernel is gone before we return: a second run may follow at once.
            pool.shutdown(wait=True, cancel_futures=True)
        left_out = {unit.name for unit in self.left_out()}
        for step in self.whole.steps:
            for unit in step.units:
                if unit.name not in self.works.done:
                    gone = "needless" if unit.name in self._needless else "left out" if unit.name in left_out else "failed"
                    self.ledger.unit(unit.name, gone)
        self.show(1.0, 0.0, "done")
        return failed

    def left_out(self) -> list[Unit]:
        """The units that the time budget has no room for, so far: neither done, nor failed, nor planned any more."""
        if self.ends == math.inf:
            return []
        failed = {str(failure["name"]) for failure in self.bench.failures()}
        broken = {u.name for step in self.plan.steps if step.name in self._errored for u in step.units}
        settled = {*self.works.done, *broken, *self._needless}
        gone = [u for step in self.whole.steps for u in step.units if u.name not in settled]
        return [u for u in gone if u.name not in failed and not self._for_want_of(u, failed)]

    def _for_want_of(self, unit: Unit, failed: set[str]) -> bool:
        """Whether a unit is not there because what it builds on failed."""
        if not unit.candidate:
            return False
        names = (unit.candidate, *members_in(unit.arm, unit.candidate))
        return any(self.bench.fit_unit(unit.arm, name).name in failed for name in names)

    def _fit(self) -> None:
        """Plan what fits into the time that is left, by what has been learnt of how long things take."""
        if self.ends < math.inf:
            left = self.ends - self.clock()
            scale, slowness = self.works.corrections()
            self.plan = fit_into(self.whole, left, self.workers, [*self.works.done, *self.works.executed], scale, slowness)
            self.works.plan = self.plan

    def _nothing_fits(self) -> str:
        scale, slowness = self.works.corrections()
        needs = math.inf
        for minutes in (0.5, 1, 2, 3, 5, 10, 20, 30, 60, 120, 240, 480, 1440):
            found = fit_into(self.whole, 60 * minutes, self.workers, (), scale, slowness)
            if any(step.units for step in found.steps):
                needs = minutes
                break
        remedy = f"about {minutes_in_words(needs)} would do" if needs < math.inf else "leave the time budget out"
        return f"within_minutes: no part of the study can be trained, measured and judged in that time here; {remedy}"

    def _stages(self) -> Iterator[tuple[str, list[Sequence[Step]]]]:
        """What runs side by side, stage by stage. An exclusive step is a stage of its own; so is the report, which needs all."""
        # With a time budget the shortest chain first: what it takes says early how much of the longer ones fits.
        yield "training", list(self.plan.chains if self.ends == math.inf else self.plan.chains[::-1])
        for step in self.whole.exclusive:
            self._fit()
            if planned := [s for s in self.plan.exclusive if s.name == step.name]:
                yield f"measuring {step.arm.dataset if step.arm else ''}", [planned]
        if self.ends < math.inf:
            yield from self._more()
            self.note_left_out(self.left_out())
        yield "judging", [(*self.plan.before_last, self.plan.last)]

    def _more(self) -> Iterator[tuple[str, list[Sequence[Step]]]]:
        """Once more, what was left out and by the pace that was measured fits after all; what failed is not tried again."""
        self._tick("measuring")
        left_out = {u.name for u in self.left_out()}
        self._fit()
        chains = [[s for s in chain if self._waits(s, left_out)] for chain in self.plan.chains]
        if any(chains):
            yield "training more", [chain for chain in chains if chain]
        for step in self.whole.exclusive:
            self._fit()
            if planned := [s for s in self.plan.exclusive if s.name == step.name and self._waits(s, left_out)]:
                yield f"measuring more of {step.arm.dataset if step.arm else 'all'}", [planned]

    def _waits(self, step: Step, among: Container[str]) -> bool:
        """Whether a step has units among these that are not done."""
        return any(unit.name in among and unit.name not in self.works.done for unit in step.units)

    def _enter_plan(self) -> None:
        """Tell the ledger what is planned and what of it is there already."""
        plan, ledger = self.plan, self.ledger
        ledger.plan((u.name, u.kind, u.arm.key, u.candidate, u.round_index, step.name) for step in plan.steps for u in step.units)
        for name, seconds in self.works.look():
            ledger.unit(name, "done", seconds)
        done = {s.name for s in plan.steps if step_done(self.bench, ledger, self._of_what_is_there(s))}
        # A step without an arm looks at all the others, so it is done only where each of them is.
        self.works.executed = done if len(done) == len(plan.steps) else {s.name for s in plan.steps if s.name in done and s.arm}

    def _chain(self, steps: Sequence[Step]) -> list[str]:
        """Execute steps one after another, in a thread; what failed, a sentence each."""
        errors = []
        for planned in steps:
            step = self._possible(planned)
            if step is None or self.cancel.is_set():
                continue
            if step.notebook == SIMULATE and step.arm and nothing_to_simulate(self.bench, step.arm, self.plan.study.candidates):
                # No failure of the study: whatever failed before it has been told, and the report says what is missing.
                self._needless |= {u.name for u in step.units}
                self.works.executed.add(step.name)
                continue
            step = self._of_what_is_there(step)
            # A step without an arm looks at all the others, so it may be skipped only where each of them was.
            looks_at_news = step.arm is None and bool(self._executing)
            if looks_at_news or not step_done(self.bench, self.ledger, step):
                self._executing.add(step.name)
                self._tell_time(step)
                if error := _execute(self.bench, self.ledger, step, self.plan.study.limits, self.cancel, self._limit_s(step)):
                    errors.append(error)
                    self._errored.add(step.name)
            self.works.executed.add(step.name)
            for unit, made in zip(planned.units, step.units, strict=True) if step.notebook == SIMULATE else ():
                if made.name != unit.name and self.bench.done(made):
                    self.works.done[unit.name] = float(self.bench.read(made, "unit.json")["seconds"])
                    self.ledger.unit(unit.name, "done", self.works.done[unit.name])
        return errors

    def _of_what_is_there(self, step: Step) -> Step:
        """The step; one that simulates, with the unit that it makes of the candidates that are there: some may have failed."""
        if step.notebook != SIMULATE or step.arm is None:
            return step
        return replace(step, units=(simulated_unit(self.bench, self.plan.study, step.arm),))

    def _tell_time(self, step: Step) -> None:
        """Write for a notebook that times things by when it must have ended: it begins no unit that would not."""
        path = self.bench.folder / TIME_LEFT_FILE
        if not step.exclusive or self.ends == math.inf:
            path.unlink(missing_ok=True)
            return
        scale, slowness = self.works.corrections()
        seconds = {u.name: self.plan.seconds[u.name] * scale.get(u.kind, slowness) for u in step.units}
        ends = time.time() + self.ends - self.clock() - self.plan.judging_s * slowness
        beside = path.with_name(f".{path.name}")
        write_json(beside, {"ends": ends, "seconds": seconds})
        beside.replace(path)

    def _possible(self, step: Step) -> Step | None:
        """The step, less what there is no time for by now, and what builds on units that were cut short."""
        if self.ends == math.inf or step.arm is None:
            return step
        with self._fitting:
            self._fit()
            planned = [s for s in self.plan.steps if s.name == step.name]
        if not planned:
            return None

        def possible(unit: Unit) -> bool:
            if unit.kind == "train" or not unit.candidate:
                return True
            needed = members_in(unit.arm, unit.candidate) if unit.kind == "assemble" else (unit.candidate,)
            return all(self.bench.done(self.bench.fit_unit(unit.arm, name)) for name in needed)

        return planned[0].only({u.name for u in planned[0].units if possible(u)})

    def _limit_s(self, step: Step) -> float:
        """Seconds after which a step is cut short, so that what must follow it still can; 0 for any."""
        if self.ends == math.inf or step.arm is None:
            return 0.0
        scale, slowness = self.works.corrections()
        after = self.plan.judging_s * slowness
        if step.notebook == TRAIN:
            # What is trained must also be scored and measured; the short steps between may take time from the measuring.
            trained = [s.name for chain in self.plan.chains for s in chain if s.notebook == TRAIN]
            units = [u.name for chain in self.plan.chains for s in chain if s.notebook == TRAIN for u in s.units]
            there = {*self.works.done, *self.works.executed} - {
                s.name for s in self.plan.steps if self._waits(s, {u.name for u in s.units})
            }
            after = expected_wall_seconds(self.plan, self.workers, [*there, *units, *trained], scale, slowness)
        return max(1.0, self.ends - self.clock() - after)

    def _tick(self, doing: str) -> None:
        """Look for news and tell bar and ledger."""
        for name, seconds in self.works.look():
            self.works.fresh.add(name)
            self.ledger.unit(name, "done", seconds)
        left = self.left_s
        elapsed = self.clock() - self._began
        # What has been said is not taken back: where more turns out to be left, the share waits until it is true again.
        self._share = max(self._share, elapsed / (elapsed + left) if elapsed + left > 0 else 1.0)
        self.show(self._share, left, doing)
        if elapsed - self._kept_at >= 1:
            self.ledger.progress(elapsed, self._share, left)
            self._kept_at = elapsed


def default_workers() -> int:
    """How many notebooks train side by side when nothing is said: the cores that we may use, four at most."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(4, usable))
