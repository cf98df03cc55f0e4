"""One bar for a whole study, with an honest time left.

This module does *not* know how the time left is computed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from shipworthy.records import in_one_line

LINE_EVERY_S = 30.0
"""How often a log is told where the study stands."""


def in_words(seconds: float) -> str:
    """A duration as a person says it, rounded by a twentieth at most: whole minutes would put 100 s off by a fifth.

    Examples
    --------
    >>> in_words(42), in_words(250), in_words(1500), in_words(9000)
    ('42 s', '4.2 min', '25 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.1f} min" if seconds < 600 else f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


@dataclass(slots=True)
class Bar:
    """What is told to the person who waits: a bar on a terminal, a line now and then in a log."""

    console: Console
    progress: Progress
    task: TaskID
    clock: Callable[[], float] = time.monotonic
    said: str = ""
    said_at: float = -LINE_EVERY_S

    def announce(self, folder: str, seconds: float) -> None:
        """Print where the run is kept and how long it should take."""
        self.console.print(f"run folder  {folder}", highlight=False, soft_wrap=True)
        self.console.print(f"expected    {in_words(seconds)}", highlight=False)

    def say(self, sentence: str) -> None:
        """Print what should be known before the wait."""
        self.console.print(in_one_line(sentence), highlight=False, soft_wrap=True, markup=False)

    def show(self, share: float, left_s: float, doing: str) -> None:
        """Move the bar."""
        self.progress.update(self.task, completed=share, left=f"{in_words(left_s)} left", doing=doing)
        if not self.console.is_terminal and (doing != self.said or self.clock() - self.said_at >= LINE_EVERY_S):
            self.said, self.said_at = doing, self.clock()
            self.console.print(f"{share:4.0%}  {doing}, {in_words(left_s)} left", highlight=False)


@contextmanager
def progress_bar(console: Console | None = None) -> Iterator[Bar]:
    """A bar that goes when the block ends; on a stream that is no terminal only the announcement is printed."""
    console = console or Console()
    doing, left = TextColumn("{task.fields[doing]:<24}"), TextColumn("{task.fields[left]}")
    columns = (doing, BarColumn(bar_width=40), TimeElapsedColumn(), left)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield Bar(console, progress, progress.add_task("", total=1.0, doing="planning", left=""))
