"""What a kernel prints: read as it comes, so that nobody waits for a full pipe; kept within bounds; and put together.

What Python prints reaches us as messages. What goes past Python (``os.write``, a C library, a child process) does not: ipykernel
would read it in a thread of the kernel, which is held up for ever where native code fills the pipe while it holds the
interpreter's lock (https://github.com/ipython/ipykernel/pull/752). So it comes through a pipe that *this* process reads.

nbclient puts streams together with a regular expression whose time grows with the square of a line's length: minutes for a
line of a million characters, in which nothing can end it. :func:`together` does the same in one pass.

This module does *not* know what a cell is for, or when a kernel starts and ends.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from itertools import pairwise
from types import TracebackType
from typing import Any, Self

MOST_PAST_PYTHON = 500_000
"""Bytes that are kept of what one cell prints past Python: half of them its first, half its last."""
_CHUNK = 65_536


class Ends:
    r"""The first and the last of many bytes, and how many were left out between them.

    Parameters
    ----------
    most : int
        Bytes that are kept; half of them from either end.

    Examples
    --------
    >>> ends = Ends(4)
    >>> ends.add(b"abcdefg")
    >>> print(ends.text())
    ab
    [3 bytes that were printed past Python are left out here]
    fg
    """

    def __init__(self, most: int = MOST_PAST_PYTHON) -> None:
        self._first, self._last, self._half, self.left_out = bytearray(), bytearray(), most // 2, 0

    def add(self, said: bytes) -> None:
        """Take in what comes next."""
        room = self._half - len(self._first)
        self._first += said[:room]
        self._last += said[room:]
        # Cut now and then, not each time: moving half a million bytes for every line would take longer than reading it.
        if len(self._last) > 2 * self._half + _CHUNK:
            self._cut()

    def _cut(self) -> None:
        over = max(0, len(self._last) - self._half)
        del self._last[:over]
        self.left_out += over

    def text(self) -> str:
        """What was kept, with a sentence where something is missing."""
        self._cut()
        first, last = (part.decode("utf-8", errors="replace") for part in (self._first, self._last))
        if not self.left_out:
            return (self._first + self._last).decode("utf-8", errors="replace")
        return f"{first}\n[{self.left_out:,} bytes that were printed past Python are left out here]\n{last}"


class Drain:
    """A pipe for a process to print into, which a thread of ours empties as fast as it fills.

    Used as a context manager. A process that prints after its end gets an error, as with any closed pipe.

    Parameters
    ----------
    most : int
        Bytes kept between two calls of :meth:`take`.

    Examples
    --------
    >>> with Drain() as drain:
    ...     _ = os.write(drain.end, b"hello")
    ...     drain.take()
    'hello'
    """

    def __init__(self, most: int = MOST_PAST_PYTHON) -> None:
        self._most = most
        # What we write ourselves to learn that all before it was read; nobody else can come by it.
        self._mark = os.urandom(16)
        self._kept, self._taken, self._asked = Ends(most), "", threading.Event()
        self._closing = False

    def __enter__(self) -> Self:
        self._source, self.end = os.pipe()
        self._thread = threading.Thread(target=self._read, name="printed", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._closing = True
        self.take()
        self._thread.join()
        os.close(self._source)
        os.close(self.end)

    def take(self) -> str:
        """All that was printed up to now, within bounds; the next call begins anew."""
        self._asked.clear()
        os.write(self.end, self._mark)
        self._asked.wait()
        return self._taken

    def _read(self) -> None:
        held = b""
        while True:
            held += os.read(self._source, _CHUNK)
            at = held.find(self._mark)
            if at < 0:
                # The mark may have come in part.
                sure = len(held) - len(self._mark) + 1
                if sure > 0:
                    self._kept.add(held[:sure])
                    held = held[sure:]
                continue
            self._kept.add(held[:at])
            held = held[at + len(self._mark) :]
            self._taken, self._kept = self._kept.text(), Ends(self._most)
            closing = self._closing
            self._asked.set()
            if closing:
                return


def together(outputs: Sequence[Any]) -> list[Any]:
    """Outputs with each stream in one piece, where it first appeared, stdout before stderr where they meet.

    What a carriage return or a backspace would have wiped out on a terminal is gone, so that a progress bar is one line.

    Parameters
    ----------
    outputs : sequence of output nodes
        Of one cell. Streams among them are changed.

    Returns
    -------
    list of output nodes
    """
    kept: list[Any] = []
    texts: dict[str, list[str]] = {}
    for output in outputs:
        if output["output_type"] != "stream":
            kept.append(output)
            continue
        if output["name"] not in texts:
            kept.append(output)
        texts.setdefault(output["name"], []).append(output["text"])
    for output in kept:
        if output["output_type"] == "stream":
            output["text"] = as_seen("".join(texts[output["name"]]))
    for i, (one, other) in enumerate(pairwise(kept)):
        if [o.get("name") for o in (one, other) if o["output_type"] == "stream"] == ["stderr", "stdout"]:
            kept[i : i + 2] = [other, one]
            break
    return kept


def as_seen(text: str) -> str:
    r"""Text as a terminal leaves it: what stands before a carriage return, or one backspace, is overwritten.

    Parameters
    ----------
    text : str

    Returns
    -------
    str

    Examples
    --------
    >>> as_seen("10 %\r50 %\rdone\nab\bc\r\n")
    'done\nac\r\n'
    """
    # A carriage return at the end of a line moves nothing that is written over.
    return "\n".join(_line(line) for line in text.split("\n"))


def _line(line: str) -> str:
    line = line[line.rfind("\r", 0, max(0, len(line) - 1)) + 1 :]
    if "\b" not in line:
        return line
    seen: list[str] = []
    for character in line:
        if character != "\b":
            seen.append(character)
        elif seen:
            seen.pop()
    return "".join(seen)
