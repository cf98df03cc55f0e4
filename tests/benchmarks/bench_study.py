"""Where the time of the study `quick` goes, whether its time left was honest, and what a notebook costs beside plain papermill.

One fresh run of the study, then one of its notebooks, whose units are all done, executed by us and by plain papermill in turn.
"""

from __future__ import annotations

import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import Result, at_most, command_beside_python, main

from shipworthy import notebooks, open_run
from shipworthy.study.report import covered, read_timings

REPEATS = 5
LOAD = ("curve", "threads", "rates", "imports", "recipes", "portability")
"""Kinds of units that put candidates under load: measuring too, and counted in its share."""
SHARES_MIN = {
    "train": (4.0, ("train", "assemble")),
    "measure": (4.0, ("accuracy", "queries", "measure", *LOAD)),
    "simulate": (0.5, ("simulate",)),
    "routes": (1.0, ("route",)),
    "mess and drift": (2.5, ("mess", "drift")),
    "fairness and explanations": (1.5, ("fairness", "explain")),
    "verdict and report": (0.5, ()),
}
"""Wall minutes that each part of the study may take, and the kinds of units that it is made of."""
ENDGAME_S = 15.0
"""In the last seconds a quarter of the time left is less than a poll and a kernel's start; there the error may be this share."""


def measure() -> list[Result]:
    """Run the study, read its ledger, and time one notebook both ways."""
    with tempfile.TemporaryDirectory() as outputs:
        command = [command_beside_python("shipworthy"), "run", "quick", "--fresh", "--outputs", outputs]
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=sys.stderr)
        wall = time.perf_counter() - began
        folder = open_run(Path(outputs) / "quick").folder
        return [*_study(folder, wall), *_notebook(folder)]


def _study(folder: Path, wall: float) -> list[Result]:
    how = "one fresh `shipworthy run quick`, nothing else running"
    spent = read_timings(folder)
    # What comes before the first notebook and after the last belongs to the overhead too.
    outside = wall - sum(spent.values())
    overhead = (spent["all else"] + outside) / wall
    results = [
        at_most("the study, wall", wall, 900, "s", how=how),
        at_most("neither training nor measuring", 100 * overhead, 15, "%", how=f"{how}; share of the wall time"),
    ]
    for what in ("training", "measuring"):
        results.append(Result(name=what, value=100 * spent[what] / wall, unit="%", how=f"{how}; share of the wall time"))
    results += _shares(folder, how)
    with sqlite3.connect(folder / "ledger.sqlite") as ledger:
        said = ledger.execute("select elapsed_s, left_s from progress order by elapsed_s").fetchall()
    ended = said[-1][0] + said[-1][1]
    errors = [abs(left - (ended - elapsed)) / (ended - elapsed) for elapsed, left in said if ended - elapsed > ENDGAME_S]
    honest = f"{how}; |said - true| / true time left, once a second, until {ENDGAME_S:g} s before the end"
    return [
        *results,
        at_most("time left, median error", 100 * statistics.median(errors), 25, "%", how=honest),
        at_most("time left, 90th percentile of the error", 100 * _p90(errors), 25, "%", how=honest),
        at_most("time left, error of the first answer", 100 * errors[0], 25, "%", how=honest),
    ]


def _shares(folder: Path, how: str) -> list[Result]:
    """Wall minutes of each part of the study beside its share; a part that has no unit yet took none."""
    units = [json.loads(p.read_text(encoding="utf-8")) for p in sorted((folder / "parts").glob("*/unit.json"))]
    with sqlite3.connect(folder / "ledger.sqlite") as ledger:
        spans = ledger.execute("select what, began, ended from spans").fetchall()
    known = {kind for _, kinds in SHARES_MIN.values() for kind in kinds}
    if strange := {u["kind"] for u in units} - known:
        msg = f"no share of the study holds units of the kind {', '.join(sorted(strange))}: add it to SHARES_MIN"
        raise RuntimeError(msg)
    results = []
    for part, (share, kinds) in SHARES_MIN.items():
        times = [(u["began"], u["began"] + u["seconds"]) for u in units if u["kind"] in kinds]
        if not kinds:
            # Notebooks that look at all arms have no arm in their name.
            times = [(began, ended) for what, began, ended in spans if "/" not in what]
        minutes = covered(times) / 60
        results.append(at_most(f"share: {part}", minutes, share, "min", how=f"{how}; wall time in which any of it ran"))
    for part, kinds in {"every candidate by itself": ("queries", "measure"), "under load": LOAD}.items():
        minutes = sum(u["seconds"] for u in units if u["kind"] in kinds) / 60
        results.append(Result(name=f"within measure: {part}", value=minutes, unit="min", how=f"{how}; part of that share"))
    fixed = f"{how}; part of that share: two fresh processes a candidate import, load and answer 460 queries"
    return [*results, Result(name="within measure: what the rules fix", value=_fixed_minutes(folder), unit="min", how=fixed)]


def _fixed_minutes(folder: Path) -> float:
    """Minutes of cold starts and of single streams: no way of measuring that keeps their number is faster."""
    seconds = 0.0
    for path in (folder / "parts").glob("measure-*/measurements.json"):
        for m in json.loads(path.read_text(encoding="utf-8")):
            once = m["quantity"] in {"import_ms", "load_ms", "first_call_ms"}
            if once or (m["quantity"], m["conditions"]["scenario"]) == ("latency_ms", "single_stream"):
                seconds += sum(m["values"]) / 1000
    return seconds / 60


def _p90(values: list[float]) -> float:
    return statistics.quantiles(values, n=10)[8]


def _notebook(folder: Path) -> list[Result]:
    source = notebooks.path("03_compare_accuracy")
    executed = folder / "notebooks" / "breast_cancer-s0" / "03_compare_accuracy.ipynb"
    given = json.loads(executed.read_text(encoding="utf-8"))["metadata"]["papermill"]["parameters"]
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "parameters.yaml"
        file.write_text(json.dumps(given), encoding="utf-8")
        peer = [command_beside_python("papermill"), str(source), str(Path(scratch) / "peer.ipynb"), "-f", str(file)]
        ours, theirs = [], []
        for _ in range(REPEATS + 1):
            ours.append(notebooks.execute(source, Path(scratch) / "ours.ipynb", given).seconds)
            began = time.perf_counter()
            subprocess.run([*peer, "--no-progress-bar"], check=True, capture_output=True)
            theirs.append(time.perf_counter() - began)
    how = f"03_compare_accuracy with nothing left to do; medians of {REPEATS} in turn, after one that is not counted"
    mine, other = statistics.median(ours[1:]), statistics.median(theirs[1:])
    return [
        Result(name="a notebook of a study, wall", value=mine, unit="s", how=how),
        Result(name="the same by plain papermill, wall", value=other, unit="s", how=how, peer="papermill IN OUT"),
        Result(name="ours / plain papermill", value=mine / other, unit="", how=how, peer="papermill IN OUT"),
    ]


if __name__ == "__main__":
    main("The study quick", measure)
