"""Watches the unit that a notebook has in flight: ends it at its time limit, and tries again after a kernel has died.

A kernel that dies once is made good. What kills it every time, or never ends, is written down as the unit's failure, and the
notebook goes on with its other units.

This module does *not* know how a notebook is executed, or what a unit computes.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from shipworthy.experiments.workbench import FITS, Unit, Workbench
from shipworthy.notebooks import NotebookError
from shipworthy.study.plan import Step

LOOK_EVERY_S = 0.5


class Watch:
    """The watch over one step.

    Parameters
    ----------
    bench : Workbench
    step : Step
    limit_s : float
        Seconds that one unit may take.
    clock : callable
        Seconds; only differences count.
    """

    def __init__(self, bench: Workbench, step: Step, limit_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.bench, self.limit_s, self.clock = bench, limit_s, clock
        self.units = step.units
        self.watched = [u for u in step.units if u.kind in FITS]
        self._seen: dict[str, float] = {}
        self._looked = float("-inf")
        self._lost: set[str] = set()
        self._overdue: Unit | None = None

    def overdue(self) -> str:
        """Why the execution must end; empty as long as it may go on. Looks only every half second."""
        now = self.clock()
        if not self.watched or now - self._looked < LOOK_EVERY_S:
            return ""
        self._looked = now
        flying = self.bench.in_flight(self.watched)
        self._seen = {u.name: self._seen.get(u.name, now) for u in flying}
        for unit in flying:
            if now - self._seen[unit.name] > self.limit_s:
                self._overdue = unit
                return f"it took longer than the {self.limit_s:g} s that limits.time_limit_s allows one fit"
        return ""

    def again(self, error: NotebookError) -> bool:
        """Whether the notebook should be executed once more, now that it has ended with an error.

        Parameters
        ----------
        error : NotebookError

        Returns
        -------
        bool
        """
        self._seen = {}
        if error.ename == "UnitsFailedError":
            return False  # its other units are done, and the failed ones have their reasons
        if self._overdue is not None:
            self.bench.abandon(self._overdue, error.evalue)
            self._overdue = None
            return True
        flying = self.bench.in_flight(self.units)
        if not flying:
            first = "" not in self._lost
            self._lost.add("")
            return first and error.ename in {"DeadKernelError", "KernelStartError"}
        for unit in flying:
            if unit.name in self._lost:
                why = ", as a system does that runs out of memory" if "SIGKILL" in error.evalue else ""
                self.bench.abandon(unit, f"twice it ended the process that it ran in ({error.ename}: {error.evalue}{why})")
            else:
                self.bench.clear(unit)
                self._lost.add(unit.name)
        return True
