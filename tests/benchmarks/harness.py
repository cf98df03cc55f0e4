"""What every benchmark prints, and how a command is timed.

A benchmark measures one topic beside a peer, in one run on one machine, and states a target where we have one.
With ``--json`` it prints a list of ``{"name", "value", "unit", "target", "holds", "peer", "how"}``; without, a table.
A peer that is not installed is a reason, not a pass: its line has no value, and ``how`` says how to get it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One line: a value, what it should be, and how it came about.

    ``holds`` is None where there is no target, or no value. ``peer`` names what the value was measured beside.
    """

    name: str
    value: float | None
    unit: str
    how: str
    target: str = ""
    holds: bool | None = None
    peer: str = ""


@dataclass(frozen=True, slots=True)
class Timing:
    """Medians over fresh processes."""

    wall_s: float
    cpu_s: float


def at_most(name: str, value: float, limit: float, unit: str, *, how: str, peer: str = "") -> Result:
    """A result whose target is an upper limit."""
    return Result(
        name=name, value=value, unit=unit, how=how, peer=peer, target=f"at most {limit:g} {unit}".rstrip(), holds=value <= limit
    )


def time_commands(commands: Sequence[Sequence[str]], repeats: int = 7) -> list[Timing]:
    """Wall and CPU seconds of commands, each in fresh processes, interleaved so that a busy moment meets them all alike.

    The first round warms the disk cache and is thrown away.

    Raises
    ------
    RuntimeError
        If a command fails; with what it said.
    """
    taken: list[list[tuple[float, float]]] = [[] for _ in commands]
    for _ in range(repeats + 1):
        for command, values in zip(commands, taken, strict=True):
            before, start = os.times(), time.perf_counter()
            answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            wall, after = time.perf_counter() - start, os.times()
            if answer.returncode:
                msg = f"{' '.join(command)} failed: {answer.stderr.strip()[-300:]}"
                raise RuntimeError(msg)
            cpu = after.children_user + after.children_system - before.children_user - before.children_system
            values.append((wall, cpu))
    return [Timing(statistics.median(w for w, _ in values[1:]), statistics.median(c for _, c in values[1:])) for values in taken]


def command_beside_python(name: str) -> str:
    """The path of a command that was installed beside this Python."""
    found = [p for suffix in ("", ".exe") if (p := Path(sys.executable).with_name(name + suffix)).exists()]
    if not found:
        msg = f"{name} is not beside {sys.executable}: run `make environment`"
        raise RuntimeError(msg)
    return str(found[0])


def peer_python(name: str) -> Path | None:
    """The Python of a peer's own environment; None until ``make peers`` has built it."""
    found = [p for part in ("bin/python", "Scripts/python.exe") if (p := ROOT / ".peers" / name / part).exists()]
    return found[0] if found else None


def missing_peer(name: str) -> Result:
    """The line for a peer that is not installed."""
    return Result(name=f"{name} (not measured)", value=None, unit="", how=f"{name} is not installed: run `make peers`", peer=name)


def show(title: str, results: Sequence[Result]) -> None:
    """Print results as a table, and below it once how each came about."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE)
    hows = list(dict.fromkeys(r.how for r in results))
    for column in ("what", "value", "target", "holds", "beside", "how"):
        table.add_column(column, justify="right" if column == "value" else "left")
    for r in results:
        value = "-" if r.value is None else f"{r.value:.3g} {r.unit}".rstrip()
        table.add_row(
            r.name, value, r.target, {True: "yes", False: "NO", None: ""}[r.holds], r.peer, f"({hows.index(r.how) + 1})"
        )
    console = Console(highlight=False)
    console.print(table)
    for number, how in enumerate(hows, start=1):
        console.print(f"({number}) {how}")


def main(title: str, measure: Callable[[], list[Result]]) -> None:
    """Measure, then print JSON or a table. Exit code 1 if a target does not hold."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    arguments = parser.parse_args()
    results = measure()
    if arguments.json:
        print(json.dumps([asdict(r) for r in results], indent=2))  # noqa: T201 - the output of a benchmark
    else:
        show(title, results)
    sys.exit(1 if any(r.holds is False for r in results) else 0)
