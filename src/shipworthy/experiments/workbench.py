"""Where the units of a run are kept: each is done or absent, and known by a hash of all that decides its result.

A unit is written into a folder beside its place and renamed when it is whole, so a kill loses the unit in flight and nothing
else. Its identity hashes the package's sources, the notebook's source, the parameters, the data set's fingerprint and the
identities of the units that it builds on; a measurement's also hashes the machine.

This module does *not* know what a unit computes, in which order units run, or what a notebook is.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, astuple, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from shipworthy.experiments.arms import Arm, members_in
from shipworthy.experiments.left_out import LeftOut, read_left_out
from shipworthy.records import DataFile, Dataset, InputError, Study, TrainingPlan, digest

PARTS = "parts"
FAILURES = "failures"
PLAN_FILE = "plan.json"
TIME_LEFT_FILE = "time_left.json"
"""Says to a notebook that times things when it must have ended, where the study has a time budget."""
NOTEBOOK_OF = {
    "train": "01_train_single_models",
    "assemble": "02_build_ensembles",
    "accuracy": "03_compare_accuracy",
    "queries": "04_measure_latency_and_memory",
    "measure": "04_measure_latency_and_memory",
    "curve": "05_latency_and_throughput",
    "threads": "05_latency_and_throughput",
    "rates": "05_latency_and_throughput",
    "imports": "05_latency_and_throughput",
    "recipes": "05_latency_and_throughput",
    "portability": "05_latency_and_throughput",
    "grow": "07_how_many_members",
    "size": "07_how_many_members",
    "simulate": "08_simulate_ensembles",
    "assess": "feasibility_report",
}
"""The notebook whose source is part of a unit's identity."""


FITS = frozenset({"train", "assemble"})
"""Kinds of units that fit something, and that the limits of a study are for; measuring children have their own."""
LONGEST_ERROR = 2000
"""Characters of an error that are kept: a message may hold a whole table."""


def outputs_folder() -> Path:
    """Where runs are written: ``SHIPWORTHY_OUTPUTS``, else ``outputs`` of the checkout we stand in, else ``./outputs``."""
    if chosen := os.environ.get("SHIPWORTHY_OUTPUTS"):
        return Path(chosen)
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "notebooks").is_dir() and (folder / "pyproject.toml").is_file():
            return folder / "outputs"
    return here / "outputs"


@cache
def package_digest() -> str:
    """16 hex digits of SHA-256 over every Python source of the package, paths included."""
    root = Path(__file__).parents[1]
    sources = sorted(p for p in root.rglob("*.py") if "_notebooks" not in p.parts)
    return digest(*((p.relative_to(root).as_posix(), p.read_text(encoding="utf-8")) for p in sources))


@dataclass(frozen=True, slots=True)
class Unit:
    """A resumable step: what it does, for which arm and candidate, and the identity that decides whether it is done."""

    kind: str
    arm: Arm
    candidate: str
    identity: str
    round_index: int = -1

    @property
    def name(self) -> str:
        """Name of the folder that the unit hands over."""
        which = "" if self.round_index < 0 else f"-r{self.round_index}"
        who = f"-{self.candidate}" if self.candidate else ""
        return f"{self.kind}-{self.arm.key}{who}{which}-{self.identity[:10]}"

    @property
    def title(self) -> str:
        """The unit in words."""
        which = "" if self.round_index < 0 else f", round {self.round_index + 1}"
        return f"{self.kind} {self.candidate or 'all'} on {self.arm.title}{which}"


class UnitAbandonedError(RuntimeError):
    """The unit failed before in this go, and is not tried again before the next. The message says why."""


class UnitsFailedError(RuntimeError):
    """Some units of a notebook failed; the others are done. The message names each with its error."""


class Workbench:
    """The units of one run folder: makes them, finds them, and says which identities they must have.

    Parameters
    ----------
    folder : Path
        The run folder. ``plan.json`` in it, where there is one, holds the digests of the notebooks and how many workers share
        the machine.
    notify : callable
        Told a sentence about every unit as it is made; ``print`` in a notebook.
    """

    def __init__(self, folder: Path, notify: Callable[[str], None] = print) -> None:
        self.folder = folder
        self.notify = notify
        plan = folder / PLAN_FILE
        self._plan: Mapping[str, Any] = json.loads(plan.read_text(encoding="utf-8")) if plan.is_file() else {}
        if self._plan and self._plan["package"] != package_digest():
            raise InputError(f"{folder}: the package's sources changed while the study ran; run the study again")
        self.go = str(self._plan.get("go", ""))
        self._datasets: dict[tuple[str | DataFile, int, TrainingPlan], Dataset] = {}

    @classmethod
    def open(cls, run_folder: str = "") -> Workbench:
        """Open a run folder from a notebook; an empty name means ``outputs/lab``, which is made where it is missing.

        Raises
        ------
        InputError
            If the folder is named but does not exist, or the default one cannot be written.
        """
        if run_folder:
            folder = Path(run_folder)
            if not folder.is_dir():
                raise InputError(f"run_folder: {run_folder!r} is not a folder; leave it empty to work under outputs/lab")
        else:
            folder = outputs_folder() / "lab"
            try:
                (folder / PARTS).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                remedy = "set SHIPWORTHY_OUTPUTS to a folder that can"
                raise InputError(f"{folder} cannot be written ({error.strerror}); {remedy}") from error
        return cls(folder)

    @property
    def shared(self) -> bool:
        """Whether other units train on this machine at the same time, so that a wall time would mean nothing."""
        return int(self._plan.get("workers", 1)) > 1

    @property
    def in_study(self) -> bool:
        """Whether a study made this folder; under ``outputs/lab`` a notebook makes whatever it needs by itself."""
        return bool(self._plan)

    def study(self) -> Study | None:
        """The study that this run belongs to; ``None`` under ``outputs/lab``."""
        path = self.folder / "study.yaml"
        if not path.is_file():
            return None
        import yaml
        from pydantic import TypeAdapter

        study: Study = TypeAdapter(Study).validate_python(yaml.safe_load(path.read_text(encoding="utf-8")))
        return study

    def dataset(self, arm: Arm) -> Dataset:
        """The rows of an arm, loaded once in a process."""
        from shipworthy import datasets

        key = (arm.rows, arm.seed, arm.training)
        if key not in self._datasets:
            self._datasets[key] = datasets.load(
                arm.rows,
                seed=arm.seed,
                max_train_rows=arm.training.max_train_rows,
                max_test_rows=arm.training.max_test_rows,
                folds=arm.training.folds,
            )
        return self._datasets[key]

    # -- identities ----------------------------------------------------------------------------------------------------

    def _unit(self, kind: str, arm: Arm, candidate: str, *parts: object, round_index: int = -1) -> Unit:
        notebook = self._plan.get("notebooks", {}).get(NOTEBOOK_OF[kind], "")
        identity = digest(package_digest(), notebook, kind, arm.dataset, arm.seed, candidate, round_index, *parts)
        return Unit(kind, arm, candidate, identity, round_index)

    def fit_unit(self, arm: Arm, candidate: str) -> Unit:
        """The unit that trains a candidate, or assembles it from the units of its members."""
        from shipworthy import datasets
        from shipworthy.measurement.machine import library_versions

        members = tuple(self.fit_unit(arm, m).identity for m in members_in(arm, candidate))
        rows = (datasets.fingerprint(arm.rows), *astuple(arm.training), sorted(library_versions().items()))
        own = arm.declared.definition(candidate)
        return self._unit("assemble" if members else "train", arm.as_trained(), candidate, *rows, members, own)

    def grow_unit(self, arm: Arm, candidate: str, sizes: tuple[int, ...], confidence: float) -> Unit:
        """The unit that grows a forest or a booster to every size, and scores each with intervals at ``confidence``."""
        return self._unit("grow", arm.as_trained(), candidate, self.fit_unit(arm, candidate).identity, sizes, confidence)

    def accuracy_unit(self, arm: Arm, candidate: str, metric: str, n_resamples: int, confidence: float) -> Unit:
        """The unit that scores a candidate, with intervals."""
        return self._unit(
            "accuracy", arm.as_trained(), candidate, self.fit_unit(arm, candidate).identity, metric, n_resamples, confidence
        )

    def queries_unit(self, arm: Arm) -> Unit:
        """The unit that draws the raw rows which are sent as queries."""
        from shipworthy import datasets

        rows = (datasets.fingerprint(arm.rows), *astuple(arm.training))
        drawn = (arm.measuring.queries, arm.measuring.batch_sizes, arm.measuring.batch_repeats)
        return self._unit("queries", arm.as_measured(), "", *rows, *drawn)

    def measure_unit(self, arm: Arm, candidate: str, round_index: int) -> Unit:
        """The unit that measures one round of a candidate in a fresh child process on this machine."""
        from shipworthy.measurement.machine import library_versions, machine_fingerprint

        built_on = (self.fit_unit(arm, candidate).identity, self.queries_unit(arm).identity)
        parts = (*built_on, *astuple(arm.measuring), machine_fingerprint(), sorted(library_versions().items()))
        return self._unit("measure", arm.as_measured(), candidate, *parts, round_index=round_index)

    def measure_units(self, arm: Arm, names: Iterable[str]) -> list[Unit]:
        """The measuring units in the order in which they run: every candidate once a round, so that drift hits all alike."""
        names = list(names)
        return [self.measure_unit(arm, name, r) for r in range(arm.measuring.rounds) for name in names]

    def load_unit(self, kind: str, arm: Arm, candidate: str, how: tuple[object, ...], round_index: int = -1) -> Unit:
        """A unit that measures a candidate under load on this machine; ``how`` holds what it does beyond the measuring plan."""
        from shipworthy.measurement.machine import library_versions, machine_fingerprint

        built_on = (self.fit_unit(arm, candidate).identity, self.queries_unit(arm).identity)
        machine = (machine_fingerprint(), sorted(library_versions().items()))
        plan = (arm.measuring.threads, arm.measuring.warm_up, arm.measuring.time_limit_s)
        return self._unit(kind, arm, candidate, *built_on, *plan, *how, *machine, round_index=round_index)

    def simulate_unit(self, arm: Arm, names: Iterable[str], how: tuple[object, ...]) -> Unit:
        """The unit that simulates the ensembles of candidates from what they said and what they were measured to cost."""
        names = list(names)
        fits = tuple(self.fit_unit(arm, name).identity for name in names)
        return self._unit("simulate", arm, "", *fits, *(u.identity for u in self.measure_units(arm, names)), *how)

    # -- done or absent ------------------------------------------------------------------------------------------------

    def part(self, unit: Unit) -> Path:
        """The folder that the unit hands over, whether or not it is there."""
        return self.folder / PARTS / unit.name

    def done(self, unit: Unit) -> bool:
        """Whether the unit has been handed over whole."""
        return self.part(unit).is_dir()

    def make(self, unit: Unit, work: Callable[[Path], None], *, clock: Callable[[], float] = time.perf_counter) -> Path:
        """Do a unit's work unless it is done.

        Parameters
        ----------
        unit : Unit
        work : callable
            Writes the unit's files into the empty folder that it is given.
        clock : callable
            Seconds; only differences count.

        Returns
        -------
        Path
            The folder that was handed over.
        """
        from shipworthy.measurement.confinement import confined

        part = self.part(unit)
        failure = self.folder / FAILURES / f"{unit.name}.json"
        if part.is_dir():
            return part
        if self.go and failure.is_file():
            stands = json.loads(failure.read_text(encoding="utf-8"))
            if stands.get("go") == self.go:
                raise UnitAbandonedError(stands["error"])
        # Written beside and renamed: a reader sees the whole unit or none. The process id keeps a dying predecessor apart.
        beside = part.with_name(f".{unit.name}.{os.getpid()}")
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        began = time.time()
        start = clock()
        try:
            with confined(memory=unit.kind in FITS):
                work(beside)
        except (Exception, SystemExit) as error:
            shutil.rmtree(beside, ignore_errors=True)
            said = f"{type(error).__name__}: {error}"[:LONGEST_ERROR]
            self._note_failure(unit, said, traceback.format_exc()[-LONGEST_ERROR:])
            if isinstance(error, SystemExit):
                # A candidate's sys.exit must not end the notebook, which has other units to make.
                raise UnitAbandonedError(said) from error
            raise
        seconds = clock() - start
        facts = {"kind": unit.kind, "arm": unit.arm.key, "candidate": unit.candidate, "round": unit.round_index}
        facts |= {"identity": unit.identity, "began": began, "seconds": seconds, "shared": self.shared}
        write_json(beside / "unit.json", facts)
        try:
            beside.rename(part)
        except OSError:
            # A predecessor that was still dying handed the same unit over first: its result is as good.
            if not part.is_dir():
                raise
            shutil.rmtree(beside)
        failure.unlink(missing_ok=True)
        self.notify(f"{unit.title}: {seconds:.1f} s")
        return part

    def _note_failure(self, unit: Unit, said: str, trace: str = "") -> None:
        """Write down why a unit failed, for the report, and that it is not tried again in this go."""
        failure = self.folder / FAILURES / f"{unit.name}.json"
        reason = {"unit": unit.title, "name": unit.name, "kind": unit.kind, "go": self.go}
        reason |= {"dataset": unit.arm.dataset, "candidate": unit.candidate, "error": said, "traceback": trace}
        write_atomically(failure, as_json(reason))

    def in_flight(self, units: Iterable[Unit]) -> list[Unit]:
        """Those of the units that were begun and are neither handed over nor cleared away."""
        begun = {p.name[1:].rpartition(".")[0] for p in (self.folder / PARTS).glob(".*")}
        return [u for u in units if u.name in begun]

    def clear(self, unit: Unit) -> None:
        """Take away what a unit left half-written; for whoever knows that nobody is at it any more."""
        for half in (self.folder / PARTS).glob(f".{unit.name}.*"):
            shutil.rmtree(half, ignore_errors=True)

    def abandon(self, unit: Unit, why: str) -> None:
        """Give a unit up for this go, with the reason that the report shows."""
        self.clear(unit)
        self._note_failure(unit, why)

    def make_all(self, works: Iterable[tuple[Unit, Callable[[Path], None]]]) -> None:
        """Do every unit, going on past those that fail, and past those that a time budget has no room for.

        Raises
        ------
        UnitsFailedError
            After the last unit, if any failed.
        """
        failed: list[str] = []
        for unit, work in works:
            if not self._time_for(unit):
                self.notify(f"{unit.title}: left out, for it would end after the study must have answered")
                continue
            try:
                self.make(unit, work)
            except Exception as error:  # noqa: BLE001 - one candidate's failure, whatever it is, must not cost the others
                failed.append(f"{unit.title}: {type(error).__name__}: {error}"[:LONGEST_ERROR])
        if failed:
            raise UnitsFailedError("; ".join(failed))

    def _time_for(self, unit: Unit, clock: Callable[[], float] = time.time) -> bool:
        """Whether a unit that times things should end in time; any may where the study has no time budget."""
        path = self.folder / TIME_LEFT_FILE
        if not path.is_file() or self.done(unit):
            return True
        told = json.loads(path.read_text(encoding="utf-8"))
        return bool(clock() + told["seconds"].get(unit.name, 0.0) <= told["ends"])

    def left_out(self) -> LeftOut:
        """What the run left out to answer within its time budget."""
        return read_left_out(self.folder)

    def failures(self) -> list[dict[str, Any]]:
        """What failed and has not been made since, oldest first."""
        # One may be written down late, by a predecessor that was dying while somebody else made the unit.
        held = [p for p in (self.folder / FAILURES).glob("[!.]*.json") if not (self.folder / PARTS / p.stem).is_dir()]
        found = sorted(held, key=lambda p: (p.stat().st_mtime, p.name))
        return [json.loads(p.read_text(encoding="utf-8")) for p in found]

    def read(self, unit: Unit, name: str = "records.json") -> Any:
        """A JSON file that a unit handed over.

        Raises
        ------
        InputError
            If it is damaged, naming the folder to remove.
        """
        path = self.part(unit) / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read ({error}); remove its folder, and run the study again") from None


INFINITIES = {math.inf: "Infinity", -math.inf: "-Infinity"}
"""JSON has none: text stands for them, as a bound that too few values allow no number for."""


def as_json(value: Any) -> str:
    """JSON that every reader accepts: NaN becomes null, infinities become text, keys keep their order."""
    return json.dumps(_finite(value), indent=1, allow_nan=False) + "\n"


def write_atomically(path: Path, text: str) -> None:
    """Write a file beside its place and rename it: whole or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8", newline="\n")
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write a value as :func:`as_json` has it."""
    path.write_text(as_json(value), encoding="utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and math.isinf(value):
        return INFINITIES[value]
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, Mapping):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value


def record_rows(records: Iterable[Any], arm: Arm) -> list[dict[str, Any]]:
    """Records as plain rows that carry the arm's factor and level."""
    return [asdict(replace(r, factor=arm.factor, level=arm.level)) for r in records]


def nan_for_null(value: Any) -> Any:
    """What was written by :func:`as_json`: null stands for NaN, text for the infinities."""
    if value is None:
        return math.nan
    if value in ("Infinity", "-Infinity"):
        return float(value)
    if isinstance(value, dict):
        return {k: nan_for_null(v) for k, v in value.items()}
    if isinstance(value, list):
        return [nan_for_null(v) for v in value]
    return value
