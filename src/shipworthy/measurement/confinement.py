"""Confines a piece of work: how much memory its process may still take, and how much it may print.

Imported by measuring children too, so nothing but the standard library is needed here.

This module does *not* know what the work is, or how long it may take.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

MEMORY_VARIABLE = "SHIPWORTHY_MEMORY_LIMIT_MIB"
"""Environment variable that a study sets for its kernels and their children: MiB, or 0 for what is free."""
MOST_PRINTED = 65_536
"""Characters that one piece of work may print to each of stdout and stderr; the rest is counted and dropped."""
MIB = 2**20


def _field(path: str, key: str) -> float:
    """A field of a file under /proc, in MiB; ``inf`` where there is none."""
    try:
        with Path(path).open(encoding="ascii", errors="replace") as lines:
            return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))
    except (OSError, StopIteration):
        return float("inf")


def _number(path: str) -> float:
    """The number that a file of the control group holds, in MiB; ``inf`` where there is none, or it says ``max``."""
    try:
        return int(Path(path).read_text(encoding="ascii")) / MIB
    except (OSError, ValueError):
        return float("inf")


def _inactive_mib(path: str) -> float:
    """Files that the control group has cached and does not use, in MiB; 0 where nothing says."""
    try:
        lines = Path(path).read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / MIB for line in lines if line.startswith("inactive_file ")), 0.0)


def free_mib() -> float:
    """Memory that this process could still be given without swapping, in MiB; ``inf`` where nothing says.

    What the system calls available, or what the container's limit leaves, whichever is less.

    Examples
    --------
    >>> free_mib() > 0
    True
    """
    group = "/sys/fs/cgroup/memory."
    left = float("inf")
    if (most := _number(f"{group}max")) < left:
        # Files that are cached and not in use go first, so they count as free.
        left = most - _number(f"{group}current") + _inactive_mib(f"{group}stat")
    return max(1.0, min(_field("/proc/meminfo", "MemAvailable:"), left))


def limit_memory() -> Callable[[], None]:
    """Hold this process to the limit that :data:`MEMORY_VARIABLE` names, beyond what it holds now.

    On Linux, by ``RLIMIT_DATA``: what asks for more gets a ``MemoryError``. Should the system run short all the same, it is also
    told to end this process first, and not the one that runs the study. Elsewhere, and where the variable is not set, nothing is
    limited.

    Returns
    -------
    callable
        Takes the limit away again.
    """
    asked = os.environ.get(MEMORY_VARIABLE, "")
    if sys.platform != "linux" or not asked:
        return lambda: None
    import resource

    with contextlib.suppress(OSError):  # a container may forbid it
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    before = resource.getrlimit(resource.RLIMIT_DATA)
    most = _field("/proc/self/status", "VmData:") + (float(asked) or free_mib())
    if most == float("inf"):
        return lambda: None
    hard = before[1]
    limit = int(most * MIB) if hard == resource.RLIM_INFINITY else min(int(most * MIB), hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    return lambda: resource.setrlimit(resource.RLIMIT_DATA, before)


class Mouthful(io.TextIOBase):
    """Hands on the first characters that are written to it, and counts the others.

    Parameters
    ----------
    stream : text stream
    most : int
        Characters.
    """

    def __init__(self, stream: io.TextIOBase, most: int = MOST_PRINTED) -> None:
        self._stream, self._left, self.dropped = stream, most, 0

    def write(self, text: str) -> int:
        """Write what there is still room for."""
        kept = text[: self._left]
        self._left -= len(kept)
        self.dropped += len(text) - len(kept)
        if kept:
            self._stream.write(kept)
        return len(text)

    def flush(self) -> None:
        """Flush the stream behind."""
        self._stream.flush()

    def writable(self) -> bool:
        """Whether it can be written to: yes."""
        return True

    def isatty(self) -> bool:
        """Whether a person reads along: a progress bar need not be drawn for nobody."""
        return False

    def end(self) -> None:
        """Say how much was dropped, if anything was."""
        if self.dropped:
            self._stream.write(f"\n[{self.dropped:,} more characters were printed here, and dropped]\n")


@contextlib.contextmanager
def confined(*, memory: bool) -> Iterator[None]:
    """Hold what runs inside to :data:`MOST_PRINTED` characters of what Python prints, and to the memory limit if so asked."""
    lift = limit_memory() if memory else lambda: None
    out, err = Mouthful(sys.stdout), Mouthful(sys.stderr)  # type: ignore[arg-type]  # IPython's streams are no TextIOBase
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            yield
    finally:
        lift()
        for stream in (out, err):
            stream.end()
