"""Is this ensemble worth shipping? Measured and judged so that a sceptic can re-judge it.

    >>> import shipworthy
    >>> run = shipworthy.run("quick")             # doctest: +SKIP
    >>> run.verdicts()[["candidate", "answer"]]   # doctest: +SKIP

Importing the package imports nothing heavy; it does *not* know anything by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shipworthy.study import Run

__all__ = ["__version__", "open_run", "run"]
__version__ = "0.1.0"


def run(
    study: str = "quick",
    *,
    workers: int | None = None,
    fresh: bool = False,
    within_minutes: float | None = None,
    candidates: Sequence[str] = (),
    datasets: Sequence[str] = (),
    seeds: Sequence[int] = (),
    outputs: str | Path | None = None,
) -> Run:
    """Run a study, or go on with it where it was left; a bar shows the time left.

    Parameters
    ----------
    study : str
        ``quick``, ``full``, or the path of a study file.
    workers : int, optional
        Notebooks that may train side by side; by default one for each core, four at most.
    fresh : bool
        Start a new run folder even where one of the same study exists.
    within_minutes : float, optional
        A time budget: what does not fit is left out, and said in the report.
    candidates, datasets, seeds : sequence
        Some of the study's own; empty means all. An ensemble brings its members.
    outputs : path, optional
        Where run folders are made; by default ``outputs``.

    Returns
    -------
    Run
        With ``records()``, ``predictions()``, ``samples()`` and ``verdicts()`` as DataFrames, and the path of its ``report``.

    Raises
    ------
    InputError
        In one sentence, for whatever cannot be run.
    RuntimeError
        If a notebook failed; the message names notebook, cell and error, and the other units are done.
    """
    from shipworthy.study import run_study
    from shipworthy.study.progress import progress_bar

    with progress_bar() as bar:
        outcome = run_study(
            study,
            workers=workers,
            fresh=fresh,
            within_minutes=within_minutes,
            candidates=candidates,
            datasets=datasets,
            seeds=seeds,
            outputs=outputs,
            announce=bar.announce,
            say=bar.say,
            show=bar.show,
        )
    if outcome.failed:
        raise RuntimeError("; ".join(outcome.failed))
    return outcome.run


def open_run(path: str | Path) -> Run:
    """Open a run folder, or the newest run of a study's folder.

    Parameters
    ----------
    path : path
        Such as ``outputs/quick`` or ``outputs/quick/latest``.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        If there is no run.
    """
    from shipworthy.study import open_run as open_folder

    return open_folder(path)
