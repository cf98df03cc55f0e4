"""Executes a notebook with papermill and says truthfully how it went.

What papermill alone gets wrong is settled here: names and types are checked first; a ``SystemExit``, a dead kernel and a
time limit are failures that name their cell; paths may hold braces; the executed copy is valid JSON and appears at once.

It does *not* know what a notebook is for, nor what to do when one fails.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shipworthy.notebooks.interface import check_parameters
from shipworthy.notebooks.shelf import read, to_json, write
from shipworthy.records import InputError

if TYPE_CHECKING:
    from shipworthy.notebooks.engine import Session

# They belong to the process that starts a kernel, not to the kernel: with its parent's backend a figure would not be shown.
_NOT_INHERITED = ("MPLBACKEND", "JPY_SESSION_NAME", "JPY_PARENT_PID", "JPY_INTERRUPT_EVENT", "IPY_INTERRUPT_EVENT")


@dataclass(frozen=True, slots=True)
class NotebookError:
    """Where and how a notebook failed.

    Parameters
    ----------
    notebook : str
        File name of the source.
    cell : int
        Place of the cell in the source, text cells counted, from 1; 0 if no cell had begun.
    first_line : str
        First line of the cell; empty if no cell had begun.
    ename, evalue : str
        Name and message of the exception. ``Timeout``, ``Overdue``, ``Cancelled``, ``DeadKernelError`` and ``KernelStartError``
        come from outside the cell.
    """

    notebook: str
    cell: int
    first_line: str
    ename: str
    evalue: str

    def sentence(self) -> str:
        """The failure in words.

        Examples
        --------
        >>> NotebookError("01_train.ipynb", 4, "fit(rows)", "ValueError", "no rows").sentence()
        '01_train.ipynb, cell 4 (`fit(rows)`): ValueError: no rows'
        """
        where = f", cell {self.cell} (`{self.first_line}`)" if self.cell else ""
        return f"{self.notebook}{where}: {self.ename}" + (f": {self.evalue}" if self.evalue else "")


@dataclass(frozen=True, slots=True)
class Execution:
    """How one execution of a notebook went.

    Parameters
    ----------
    ok : bool
        Whether every cell ran to its end.
    seconds : float
        Wall time, starting and stopping the kernel included.
    error : NotebookError or None
        ``None`` exactly when ``ok``.
    """

    ok: bool
    seconds: float
    error: NotebookError | None


def execute(
    source: Path,
    target: Path,
    values: Mapping[str, Any],
    *,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 0,
    on_cell: Callable[[int, int], None] | None = None,
    cancel: threading.Event | None = None,
    watch: Callable[[], str] | None = None,
) -> Execution:
    """Execute a notebook with papermill in a fresh kernel of this very interpreter.

    The kernel starts in the target's folder, reads no configuration of the user's IPython and keeps no history. It ends with
    the call, however the call ends; if this process is killed, it goes by itself within a few seconds. Several threads may
    execute at once.

    Parameters
    ----------
    source : Path
        The notebook; it is only read.
    target : Path
        Where the executed copy is written, also when a cell failed, complete or not at all. Missing folders are made.
    values : mapping of str to value
        Parameters; see :func:`check_parameters`.
    environment : mapping of str to str, optional
        Environment variables of the kernel, over those of this process.
    timeout_s : float
        Seconds for the whole execution; 0 means no limit.
    on_cell : callable, optional
        Called with the count of code cells done and of all code cells, in the thread that called ``execute``.
    cancel : threading.Event, optional
        Setting it from another thread ends the execution, and the kernel with all its children, within about 0.1 s.
    watch : callable, optional
        Asked ten times a second. A sentence ends the execution as ``cancel`` does, with an error ``Overdue`` that says it; an
        empty one lets it go on.

    Returns
    -------
    Execution
        A failing notebook is a result, not an exception.

    Raises
    ------
    InputError
        For anything wrong with the source or the values: before a kernel is started.
    KeyboardInterrupt
        As it came; the kernel is killed first, and no target is written. Python raises it in the main thread only: who
        executes in other threads sets ``cancel``.
    OSError
        If the target cannot be written.
    """
    started = time.perf_counter()
    checked = check_parameters(source, values)
    node = read(source)
    if target.exists() and target.samefile(source):
        raise InputError(f"The executed copy of {source} would overwrite it: give another target.")
    if not timeout_s >= 0:
        raise InputError(f"timeout_s must be 0 (no limit) or more, not {timeout_s!r}.")
    target.parent.mkdir(parents=True, exist_ok=True)

    from shipworthy.notebooks.engine import Session

    session = Session(
        source=source.name,
        target=target.name,
        cwd=target.parent.resolve(),
        environment={k: v for k, v in os.environ.items() if k not in _NOT_INHERITED} | dict(environment or {}),
        deadline=started + timeout_s if timeout_s else float("inf"),
        timeout_s=timeout_s,
        cancel=cancel or threading.Event(),
        watch=watch or (lambda: ""),
        on_cell=on_cell or (lambda _done, _total: None),
    )
    _run(node, checked, session)
    if session.notebook is not None:
        write(to_json(session.notebook), target)
    return Execution(ok=session.failure is None, seconds=time.perf_counter() - started, error=session.failure)


def _run(node: Any, values: dict[str, Any], session: Session) -> None:
    """Run papermill here, or in a thread of its own where an event loop is running (a notebook that runs a study)."""
    from shipworthy.notebooks.engine import run

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        run(node, values, session)
        return
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(run, node, values, session)
        try:
            future.result()
        except KeyboardInterrupt:
            session.cancel.set()
            raise
