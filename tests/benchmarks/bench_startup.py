"""How long a person waits before `shipworthy` says a word, beside the commands that they would use instead.

Wall and CPU seconds are medians of 7 fresh processes; the commands take turns.
"""

from __future__ import annotations

import sys

from harness import Result, at_most, command_beside_python, main, time_commands

HOW = "median of 7 fresh processes, interleaved with the peers, after one that is not counted"


def measure() -> list[Result]:
    """Time the command, the import and the peers, and compare."""
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import shipworthy": [sys.executable, "-c", "import shipworthy"],
        "shipworthy --help": [command_beside_python("shipworthy"), "--help"],
        "papermill --help": [command_beside_python("papermill"), "--help"],
        "jupyter --version": [command_beside_python("jupyter"), "--version"],
    }
    taken = dict(zip(commands, time_commands(list(commands.values())), strict=True))
    ours, imported = taken["shipworthy --help"], taken["import shipworthy"]
    results = [
        at_most("shipworthy --help, wall", ours.wall_s, 0.5, "s", how=HOW),
        at_most(
            "import shipworthy, wall",
            imported.wall_s - taken["python -c pass"].wall_s,
            0.3,
            "s",
            how=f"{HOW}; less an idle Python",
        ),
        Result(name="shipworthy --help, CPU", value=ours.cpu_s, unit="s", how=HOW),
        Result(name="import shipworthy, CPU", value=imported.cpu_s, unit="s", how=f"{HOW}; the whole process"),
    ]
    for peer in ("papermill --help", "jupyter --version"):
        results += [
            Result(name=f"{peer}, wall", value=taken[peer].wall_s, unit="s", how=HOW),
            Result(
                name="shipworthy / peer, wall",
                value=ours.wall_s / taken[peer].wall_s,
                unit="",
                peer=peer,
                how="shipworthy --help / peer, of medians",
            ),
            Result(
                name="shipworthy / peer, CPU",
                value=ours.cpu_s / taken[peer].cpu_s,
                unit="",
                peer=peer,
                how="shipworthy --help / peer, of medians",
            ),
        ]
    return results


if __name__ == "__main__":
    main("Starting up", measure)
