"""Writes the report of a run from its folder alone.

This module does *not* know how a table or a figure looks.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

from shipworthy.experiments.latency_and_memory import WAITS
from shipworthy.experiments.left_out import read_left_out
from shipworthy.experiments.stakeholders import read_hearings
from shipworthy.experiments.workbench import write_atomically
from shipworthy.records import InputError
from shipworthy.study.folder import CARDS_FILE, Run


def _ask(folder: Path, question: str) -> list[tuple[Any, ...]]:
    """Read from the ledger; nothing where there is none.

    Raises
    ------
    InputError
        If the ledger is no ledger.
    """
    ledger = folder / "ledger.sqlite"
    if not ledger.is_file():
        return []
    # A folder that may not be written cannot hold SQLite's lock files; such a ledger does not change either.
    mode = "mode=ro" if os.access(folder, os.W_OK) else "immutable=1"
    try:
        with closing(sqlite3.connect(f"{ledger.resolve().as_uri()}?{mode}", uri=True)) as connection:
            return connection.execute(question).fetchall()
    except sqlite3.DatabaseError as error:
        raise InputError(f"{ledger} cannot be read ({error}); remove it, and run the study again to complete it") from None


def read_missing(folder: Path) -> list[str]:
    """Notebooks whose last attempt failed, a sentence each, from the ledger."""
    rows = _ask(folder, "select name, error from notebooks where status = 'failed' order by name")
    return [f"Notebook {name} failed: {error}" for name, error in rows]


def read_cards(folder: Path) -> list[dict[str, Any]]:
    """What the data sets are, for their cards; empty for a run of before there were cards.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    path = folder / CARDS_FILE
    if not path.is_file():
        return []
    fields = {"name", "task", "shape", "balance", "columns", "columns_left_out", "facts", "guesses", "checks", "traps"}
    try:
        cards = json.loads(path.read_text(encoding="utf-8"))
        whole = isinstance(cards, list) and all(isinstance(c, dict) and fields <= set(c) for c in cards)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); run the study again to complete it") from None
    if not whole:
        raise InputError(f"{path} does not describe data sets; run the study again to complete it")
    return list(cards)


def read_timings(folder: Path) -> dict[str, float]:
    """Wall seconds by what they were spent on, over all goes of a run.

    Parameters
    ----------
    folder : Path
        A run folder.

    Returns
    -------
    dict of str to float
        ``training`` (also assembling), ``measuring`` (also accuracy), ``waiting`` (for another measurement on the machine; left
        out where there was none), and ``all else``: kernels, imports, papermill, writing. A moment in which something was
        trained or measured counts as that, whatever else went on; empty without a ledger.
    """
    goes = _ask(folder, "select min(began), max(ended) from spans group by run")
    if not goes:
        return {}
    wall = sum(ended - began for began, ended in goes)
    units = [_read_unit(p) for p in sorted((folder / "parts").glob("*/unit.json"))]
    if not units:
        return {}
    # Units of a go that was killed ran outside every span that was noted.
    units = [u for u in units if any(began <= u["began"] <= ended for began, ended in goes)]
    trained = [(u["began"], u["began"] + u["seconds"]) for u in units if u["kind"] in {"train", "assemble"}]
    measured = [(u["began"], u["began"] + u["seconds"]) for u in units if u["kind"] not in {"train", "assemble"}]
    training, either = covered(trained), covered([*trained, *measured])
    waited = _waited(folder, goes)
    waiting = {"waiting": waited} if waited else {}
    return {"training": training, "measuring": either - training, **waiting, "all else": max(0.0, wall - either - waited)}


def _waited(folder: Path, goes: list[tuple[Any, ...]]) -> float:
    """Seconds for which measuring waited until another measurement on the machine had ended."""
    path = folder / WAITS
    if not path.is_file():
        return 0.0
    try:
        waits = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return sum(float(w["seconds"]) for w in waits if any(began <= w["began"] <= ended for began, ended in goes))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} cannot be read ({error!r}); remove it") from None


def _read_unit(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return {"kind": str(facts["kind"]), "began": float(facts["began"]), "seconds": float(facts["seconds"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} cannot be read ({error!r}); remove its folder, and run the study again") from None


def covered(spans: list[tuple[float, float]]) -> float:
    """Length of the union of intervals."""
    covered, reached = 0.0, -math.inf
    for began, ended in sorted(spans):
        covered += max(0.0, ended - max(began, reached))
        reached = max(reached, ended)
    return covered


def write_report(run: Run) -> Path:
    """Write ``report.html``, ``report.md``, ``tables/`` and ``figures/`` from what lies in the run folder.

    Parameters
    ----------
    run : Run

    Returns
    -------
    Path
        The HTML report.

    Raises
    ------
    InputError
        If a file of the run is missing or not readable.
    """
    from shipworthy import reporting

    assessment = run.assessment()
    content = reporting.ReportContent(
        study=run.study,
        records=assessment.records,
        samples=assessment.samples,
        verdicts=list(assessment.verdicts),
        requirement_verdicts=list(assessment.requirements),
        picks=list(assessment.picks),
        environment=run.environment(),
        missing=[*assessment.missing, *read_missing(run.folder)],
        timings=read_timings(run.folder),
        hearings=read_hearings(run.folder) if run.study.stakeholders else (),
        money=list(assessment.money),
        loads=[{f.name: getattr(found, f.name) for f in fields(found)} for found in assessment.loads],
        simulations=[{f.name: getattr(found, f.name) for f in fields(found)} for found in assessment.simulations],
        datasets=read_cards(run.folder),
        left_out=read_left_out(run.folder).sentences,
    )
    report = reporting.build_report(content)
    for name, table in report.tables.items():
        write_atomically(run.folder / "tables" / name, table.to_csv(index=False, lineterminator="\n"))
    for name, svg in report.figures.items():
        write_atomically(run.folder / "figures" / name, svg)
    write_atomically(run.folder / "report.md", report.markdown)
    write_atomically(run.report, report.html)
    return run.report
