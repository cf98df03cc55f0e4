"""Runs a study from its file to its report.

This module does *not* know what the notebooks compute, or how progress is drawn.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shipworthy import notebooks
from shipworthy.experiments.arms import arms_of, check_candidate, check_metric, check_wish, wishes
from shipworthy.experiments.feasibility import assess
from shipworthy.experiments.left_out import LEFT_OUT_FILE, left_out_sentences, read_left_out
from shipworthy.experiments.own_ensembles import Declared
from shipworthy.experiments.stakeholders import hear_stakeholders, read_hearings, save_hearings
from shipworthy.experiments.workbench import (
    FAILURES,
    PARTS,
    PLAN_FILE,
    Unit,
    Workbench,
    as_json,
    package_digest,
    write_atomically,
    write_json,
)
from shipworthy.measurement.confinement import free_mib
from shipworthy.records import InputError, Study
from shipworthy.study.folder import (
    CARDS_FILE,
    ENVIRONMENT_FILE,
    STUDY_FILE,
    Run,
    find_or_make,
    link_or_copy,
    locked,
    point_latest,
    taken_back,
    writable,
)
from shipworthy.study.ledger import Ledger
from shipworthy.study.plan import STAKEHOLDERS, Plan, plan_study
from shipworthy.study.report import write_report
from shipworthy.study.runner import Runner, default_workers
from shipworthy.study.schema import as_yaml, read_study
from shipworthy.study.subset import subset_of


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: its folder, opened for reading; what failed in it, and what there was no time for, a sentence each."""

    run: Run
    failed: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    """Why units failed, as it is told in what failed and in what is missing."""


def commit_of_sources() -> str:
    """The commit that the package's sources lie at, with ``+changes`` if they differ from it; empty outside a checkout."""
    root = Path(__file__).parents[3]
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        return ""
    asked = (["rev-parse", "HEAD"], ["status", "--porcelain", "--", "src", "notebooks"])
    # Git would else write what it learnt into its index; where it cannot, on a full disk, its lock stays behind in the checkout.
    ask = [git, "--no-optional-locks", "-C", str(root)]
    answers = [subprocess.run([*ask, *a], capture_output=True, text=True, check=False, timeout=30) for a in asked]
    if any(a.returncode for a in answers):
        return ""
    return answers[0].stdout.strip() + ("+changes" if answers[1].stdout.strip() else "")


def _note_environment(folder: Path, study: Study, now: dict[str, Any]) -> None:
    """Write what this go runs on, and keep which goes on other versions, sources or machines came before."""
    earlier: list[Any] = []
    if (folder / ENVIRONMENT_FILE).is_file():
        try:
            before = Run(folder, study).environment()
        except InputError as error:
            # The damaged file is about to be replaced; that it was damaged is kept.
            before = {"began": str(error)}
        if _same_place(before, now):
            return
        earlier = [*before.get("earlier goes", []), f"{before.get('began', 'unknown')} {before.get('commit', '')}".strip()]
    write_atomically(folder / ENVIRONMENT_FILE, as_json({**now, "earlier goes": earlier}))


def _same_place(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether two goes had the same machine, versions and sources. Load and free memory differ from minute to minute."""
    here = before.get("machine")
    if not isinstance(here, dict) or here.get("fingerprint") != now["machine"]["fingerprint"]:
        return False
    return (before.get("versions"), before.get("commit")) == (now["versions"], now["commit"])


def _readable(run: Run) -> bool:
    """Whether the judgement of a run is there and whole."""
    try:
        run.assessment()
    except InputError:
        return False
    return True


def _check_rows(study: Study, where: str) -> list[dict[str, Any]]:
    """What each data set is, for its card; refused, before anything is written, is what cannot be split, asked or scored.

    Raises
    ------
    InputError
        Naming the file (``where``), the data set, and what cannot be.
    """
    from shipworthy import datasets, reporting

    cards: dict[str, dict[str, Any]] = {}
    for arm in arms_of(study):
        plan = arm.training
        rows = {"max_train_rows": plan.max_train_rows, "max_test_rows": plan.max_test_rows, "folds": plan.folds}
        try:
            if arm.source and arm.dataset not in cards:
                datasets.check_room(Path(arm.source.file), max_rows=arm.source.max_rows, free_mib=free_mib())
            dataset = datasets.load(arm.rows, seed=arm.seed, **rows)
        except InputError as error:
            raise InputError(f"{where}: on {arm.title}: {error}") from None
        try:
            check_metric(study.metric, dataset.task, arm.dataset)
            for name in study.candidates:
                check_candidate(name, dataset.task, arm.dataset, arm.declared)
            for _, quantity in wishes(study, arm.dataset):
                check_wish(quantity, dataset.task, arm.dataset)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        if arm.dataset not in cards:
            cards[arm.dataset] = reporting.dataset_facts(dataset)
    return list(cards.values())


def _said_of_own(study: Study, cards: Sequence[Mapping[str, Any]]) -> list[str]:
    """What whoever brought a file or an estimator should hear before they wait: what was guessed, and found in the rows."""
    from shipworthy.reporting.wording import KIND_WORDS

    own, known = {file.name for file in study.files}, Declared.of(study)
    said = [
        f"{card['name']}: {sentence}" for card in cards if card["name"] in own for sentence in (*card["guesses"], *card["checks"])
    ]
    for estimator in (e for e in study.estimators if not e.kind):
        kind = KIND_WORDS[known.candidate(estimator.name).kind]
        said.append(f"{estimator.name}: It is taken for a thing of the kind {kind}, by its type; `kind` in the study decides.")
    return said


def _write_plan(folder: Path, workers: int, go: str) -> None:
    digests = {name: notebooks.source_digest(name) for name in notebooks.names()}
    beside = folder / f".{PLAN_FILE}"
    write_json(beside, {"workers": workers, "go": go, "package": package_digest(), "notebooks": digests})
    beside.replace(folder / PLAN_FILE)


def _tidy(folder: Path, plan: Plan) -> None:
    """Take away what killed predecessors left half-written, and the failures of units that are no longer planned."""
    for half in (folder / PARTS).glob(".*"):
        shutil.rmtree(half, ignore_errors=True)
    planned = {u.name for step in plan.steps for u in step.units}
    for failure in (folder / FAILURES).glob("*.json"):
        if failure.stem not in planned:
            failure.unlink()


def _collect(bench: Workbench, plan: Plan) -> None:
    """Show the artefacts and predictions of the planned units under names that a person can guess."""
    for unit in (u for step in plan.steps for u in step.units if u.kind in {"train", "assemble"}):
        part = bench.part(unit)
        for name, room, ending in (("artefact.skops", "artefacts", "skops"), ("predictions.npz", "predictions", "npz")):
            target = bench.folder / room / unit.arm.key / f"{unit.candidate}.{ending}"
            if (part / name).is_file():
                link_or_copy(part / name, target)
            else:
                # A candidate that failed this time must not show what an earlier go left.
                target.unlink(missing_ok=True)


def _heard(run: Run) -> bool:
    """Whether what came of hearing the stakeholders is there and whole."""
    try:
        read_hearings(run.folder)
    except InputError:
        return False
    return True


def _note_left_out(folder: Path, study: Study, plan: Plan, gone: Sequence[Unit]) -> None:
    """Keep what was left out, for those who judge; nothing where nothing was."""
    names = {u.name for u in gone}
    minutes = study.within_minutes or 0.0
    told = [
        {"kind": u.kind, "dataset": u.arm.dataset, "seed": u.arm.seed, "level": u.arm.level, "candidate": u.candidate}
        | {"left_out": u.name in names}
        for step in plan.steps
        for u in step.units
    ]
    sentences = left_out_sentences(study, told, minutes)
    write_atomically(folder / LEFT_OUT_FILE, as_json({"minutes": minutes, "units": sorted(names), "sentences": list(sentences)}))


def run_study(
    study: str,
    *,
    workers: int | None = None,
    fresh: bool = False,
    within_minutes: float | None = None,
    candidates: Sequence[str] = (),
    datasets: Sequence[str] = (),
    seeds: Sequence[int] = (),
    outputs: str | Path | None = None,
    announce: Callable[[str, float], None] | None = None,
    say: Callable[[str], None] | None = None,
    show: Callable[[float, float, str], None] | None = None,
) -> Outcome:
    """Run a study, or go on with it where it was left.

    Parameters
    ----------
    study : str
        ``quick``, ``full`` or the path of a study file.
    workers : int, optional
        How many notebooks may train side by side; by default one for each core, four at most. Results do not depend on it.
    fresh : bool
        Start a new run folder even where one of the same study exists.
    within_minutes : float, optional
        A time budget, in the place of the study's own: what does not fit is left out, and said. A later go without one completes
        the same run.
    candidates, datasets, seeds : sequence
        Some of the study's own; empty means all. An ensemble brings its members. What is left has a run folder of its own.
    outputs : path, optional
        Where run folders are made; by default ``outputs``.
    announce : callable, optional
        Told the run folder and the expected seconds before anything starts.
    say : callable, optional
        Told then, in a sentence each, what was guessed of the study's own files and estimators, and what was found in the rows.
    show : callable, optional
        Told the share that is done, the seconds that are left and what is being done, several times a second.

    Returns
    -------
    Outcome

    Raises
    ------
    InputError
        Before any work, for whatever cannot be run; later, if the run folder can no longer be written.
    KeyboardInterrupt
        On Ctrl-C; what was done is kept.
    """
    from shipworthy.measurement.machine import describe_machine, library_versions

    began = time.monotonic()
    question = subset_of(read_study(study), candidates=candidates, datasets=datasets, seeds=seeds)
    if within_minutes is not None:
        if not 0 < within_minutes < math.inf:
            raise InputError(f"--within-minutes must be above 0, not {within_minutes:g}")
        question = replace(question, within_minutes=within_minutes)
    chosen = default_workers() if workers is None else workers
    if chosen < 1:
        raise InputError(f"--workers must be 1 or more, not {chosen}")
    # A chain a data set and seed: more workers than chains would have nothing to do.
    chosen = min(chosen, len(arms_of(question)))
    now = datetime.now(UTC)
    cards = _check_rows(question, study)
    folder, continued = find_or_make(question, outputs, fresh=fresh, now=now)
    # A disk that is full is no refusal: what was written there stays, and the run goes on from it.
    with locked(folder), writable(folder), taken_back(folder, outputs, continued=continued):
        write_atomically(folder / STUDY_FILE, as_yaml(question))
        write_atomically(folder / CARDS_FILE, as_json(cards))
        (folder / PARTS).mkdir(exist_ok=True)
        _write_plan(folder, chosen, f"{now.isoformat()} {os.getpid()}")
        bench = Workbench(folder, notify=lambda _sentence: None)
        plan = plan_study(bench, question)
        _tidy(folder, plan)
        (folder / LEFT_OUT_FILE).unlink(missing_ok=True)
        here = {"machine": describe_machine(), "versions": library_versions(), "commit": commit_of_sources(), "workers": chosen}
        _note_environment(folder, question, {"began": now.isoformat(timespec="seconds"), **here})
        with Ledger(folder / "ledger.sqlite") as ledger:
            runner = Runner(
                plan,
                bench,
                ledger,
                chosen,
                show or (lambda _share, _left, _doing: None),
                ends=began + 60 * question.within_minutes if question.within_minutes else math.inf,
                note_left_out=lambda gone: _note_left_out(folder, question, plan, gone),
            )
            if announce:
                announce(str(folder), runner.left_s)
            if say:
                for sentence in _said_of_own(question, cards):
                    say(sentence)
            failed = runner.run()
        _tidy(folder, plan)
        _collect(bench, plan)
        if any(plan.last.notebook in f for f in failed) or not _readable(Run(folder, question)):
            # The notebook that shows the judgement failed; the judgement itself is still owed.
            assess(bench, question).save(folder)
        run = Run(folder, question)
        if question.stakeholders and (any(STAKEHOLDERS in f for f in failed) or not _heard(run)):
            save_hearings(folder, hear_stakeholders(bench, run.assessment()))
        write_report(run)
        point_latest(folder)
    reasons = tuple(str(failure["error"]) for failure in bench.failures())
    return Outcome(run, tuple(failed), read_left_out(folder).sentences, reasons)
