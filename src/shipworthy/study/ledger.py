"""The ledger of a run: which units and notebooks were planned, tried, done or failed. The runner is its only writer.

This module does *not* know what a unit does; whether one is done is decided by the folder that it handed over.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from shipworthy.records import InputError

FORMAT = 1
# 1: units, notebooks, progress.
SCHEMA = """
create table if not exists units (name text primary key, kind text, arm text, candidate text, round integer, notebook text,
    status text, seconds real, changed real);
create table if not exists notebooks (name text primary key, identity text, status text, attempts integer, seconds real,
    error text, changed real);
create table if not exists progress (run real, elapsed_s real, done_share real, left_s real);
create table if not exists spans (run real, what text, began real, ended real);
"""


class Ledger:
    """SQLite in WAL mode: a kill between two statements leaves the last whole one.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        # isolation_level None: every statement commits by itself. The runner's threads take turns behind one connection.
        self._connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        try:
            self._connection.execute("pragma journal_mode = wal")
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise InputError(f"{path} cannot be read ({error}); remove it, and run the study again") from None
        self._connection.execute("pragma synchronous = normal")
        self._connection.execute(f"pragma user_version = {FORMAT}")
        self._connection.executescript(SCHEMA)
        self.run = time.time()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.close()

    def plan(self, units: Iterable[tuple[str, str, str, str, int, str]]) -> None:
        """Enter units as planned: (name, kind, arm, candidate, round, notebook). Those that are no longer planned go."""
        rows = list(units)
        self._connection.execute("begin immediate")
        kept = {row[0] for row in rows}
        for (name,) in self._connection.execute("select name from units").fetchall():
            if name not in kept:
                self._connection.execute("delete from units where name = ?", (name,))
        self._connection.executemany(
            "insert into units values (?, ?, ?, ?, ?, ?, 'planned', null, strftime('%s')) on conflict (name) do nothing", rows
        )
        self._connection.execute("commit")

    def unit(self, name: str, status: str, seconds: float | None = None) -> None:
        """Note what became of a unit."""
        self._connection.execute(
            "update units set status = ?, seconds = coalesce(?, seconds), changed = ? where name = ?",
            (status, seconds, time.time(), name),
        )

    def notebook_started(self, name: str, identity: str) -> int:
        """Note that a notebook is being tried, and return which attempt this is. Written before it starts."""
        self._connection.execute(
            "insert into notebooks values (?, ?, 'running', 1, null, null, ?) on conflict (name) do update set"
            " identity = excluded.identity, status = 'running', attempts = attempts + 1, error = null,"
            " changed = excluded.changed",
            (name, identity, time.time()),
        )
        return int(self._connection.execute("select attempts from notebooks where name = ?", (name,)).fetchone()[0])

    def notebook_ended(self, name: str, *, ok: bool, seconds: float, error: str = "", cut: bool = False) -> None:
        """Note how a notebook ended; ``cut`` where a time budget ended it."""
        self._connection.execute(
            "update notebooks set status = ?, seconds = ?, error = ?, changed = ? where name = ?",
            ("done" if ok else "cut short" if cut else "failed", seconds, error or None, time.time(), name),
        )

    def notebook_done(self, name: str, identity: str) -> bool:
        """Whether the notebook's last attempt went through, with the same source, parameters and units."""
        row = self._connection.execute("select status, identity from notebooks where name = ?", (name,)).fetchone()
        return bool(row == ("done", identity))

    def progress(self, elapsed_s: float, done_share: float, left_s: float) -> None:
        """Keep what the bar said, so that its honesty can be checked afterwards."""
        self._connection.execute("insert into progress values (?, ?, ?, ?)", (self.run, elapsed_s, done_share, left_s))

    def span(self, what: str, began: float, ended: float) -> None:
        """Keep when a piece of work ran, in seconds since the epoch."""
        self._connection.execute("insert into spans values (?, ?, ?, ?)", (self.run, what, began, ended))
