"""Kills a small study at random moments, lets it go on each time, and compares what it ends with to an undisturbed run.

    python tests/chaos.py --kills 50

The study trains, assembles, scores, measures, simulates, judges and reports. Each kill is of a fresh run, at a moment drawn
evenly over what an undisturbed one takes, or over the part of it in which there is a kernel, or a measuring child, to kill.

What is killed, with SIGKILL: the runner alone, everything at once, a notebook's kernel, or a measuring child; Windows has no
signals, so there a process is terminated. A run that does not end well by itself is started again. Two lanes of runs go on side
by side, each with temporary files of its own, so that a lane does not wait for the other's measurements; in one folder two
runs are started at once, and the second must be refused. Exits with 1 and says what differs if a completed run is not what it
should be.

It does not know what the numbers mean; ``test_study_run.py`` runs it briefly.
"""
# ruff: noqa: T201 - a script speaks by printing

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import psutil

STUDY = """\
name: chaos
question: Does it end as it should, whatever happens on the way?
datasets: [breast_cancer]
candidates: [logistic_regression, naive_bayes, {name: pair, weights: {logistic_regression: 0.5, naive_bayes: 0.5}}]
requirements:
  - {name: answers in time, quantity: latency_ms, statistic: p99, at_most: 50, scenario: single_stream}
  - {name: fits in memory, quantity: peak_memory_mib, statistic: max, at_most: 1024}
prices: {as_of: "2026-03", source: a test, vcpu_hour_usd: 0.04, gib_hour_usd: 0.004}
training: {max_train_rows: 200, folds: 3, search_trials: 1}
measuring: {queries: 60, rounds: 2, warm_up: 5, batch_sizes: [16], batch_repeats: 2}
"""
KINDS = ("runner", "kernel", "child", "everything")
SIGNS = {"kernel": "ipykernel_launcher", "child": "child.py"}
MARK = "SHIPWORTHY_CHAOS"
COMMAND = [sys.executable, "-c", "from shipworthy.cli import main; main()"]

# Columns whose values depend on the clock or on what else the machine did; all others must be equal.
OF_THE_CLOCK = {
    "serving.csv": ("value", "low", "high", "conditions"),
    "training.csv": ("value",),
    # skops writes memory addresses into artefacts, so their fingerprints differ where nothing else does.
    "requirements.csv": ("outcome", "observed", "low", "high", "reason", "times_off", "change", "artefact"),
    "verdicts.csv": ("answer", "reason", "p99_ratio", "memory_ratio"),
    "members.csv": ("_mib",),
    "public.csv": ("time_multiple", "sentence"),
    "flips.csv": ("at", "factor", "winner"),
    "verdict_map.csv": ("winner",),
    # Each cell is a score and a latency; the scores are those of accuracy.csv, which is compared to the byte.
    "scores.csv": ("breast_cancer",),
    "results.csv": ("answer", "_ms", "_s", "_mib", "usd"),
    "comparison.csv": ("_ms", "_s", "_mib", "usd"),
    "simulated.csv": ("_ms", "_mib", "usd_per_million"),
}
MEASURED = ("comparison.csv", "results.csv")
"""Where no column may be empty that is not in an undisturbed run."""
# What lies on a front, or within a limit, is the clock's to say as well: there, of the same thing the same must be said.
CHOSEN_BY_THE_CLOCK = {"simulated.csv": ["dataset", "kind", "what", "members", "line"]}


@dataclass
class Run:
    """One start of the runner, in a session of its own, marked so that whatever it starts can be found."""

    study: Path
    outputs: Path
    temporary: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    def start(self) -> Run:
        """Start it."""
        self.temporary.mkdir(exist_ok=True)
        own = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self.temporary))
        environment = {**os.environ, **own, MARK: self.mark}
        self.said = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - lives as long as the process
        command = [*COMMAND, "run", str(self.study), "--outputs", str(self.outputs)]
        self.process = subprocess.Popen(
            command, env=environment, stdout=self.said, stderr=subprocess.STDOUT, start_new_session=True, cwd=self.outputs.parent
        )
        return self

    def text(self) -> str:
        """What it has printed."""
        self.said.seek(0)
        return self.said.read()

    def left(self) -> list[psutil.Process]:
        """Every living process of this run, whoever its parent is by now."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == self.mark:
                    found.append(process)
        return found

    def family(self, kind: str) -> list[psutil.Process]:
        """Living processes of this run: the runner, kernels, measuring children, or everything."""
        if kind == "everything":
            return self.left()
        found = []
        with suppress(psutil.NoSuchProcess):
            runner = psutil.Process(self.process.pid)
            if kind == "runner":
                return [runner]
            for process in runner.children(recursive=True):
                with suppress(psutil.Error, OSError):
                    if any(SIGNS[kind] in part for part in process.cmdline()):
                        found.append(process)
        return found

    def kill(self, kind: str, age_s: float = 0.0) -> bool:
        """Kill what there is of a kind or will be soon, and no younger child; whether there was any before the run ended."""
        while self.process.poll() is None:
            hit = False
            for process in self.family(kind):
                with suppress(psutil.NoSuchProcess):
                    if kind != "child" or time.time() - process.create_time() >= age_s:
                        process.kill()
                        hit = True
            if hit:
                return True
            time.sleep(0.02)
        return False

    def gone(self, within_s: float) -> bool:
        """Whether nothing of the run is left after a while."""
        until = time.monotonic() + within_s
        while self.left():
            if time.monotonic() > until:
                return False
            time.sleep(0.2)
        return True


def run_folders(outputs: Path) -> list[Path]:
    """The run folders of the study."""
    return sorted(p for p in (outputs / "chaos").iterdir() if p.is_dir() and not p.is_symlink())


def differences_of_table(name: str, plain: Path, killed: Path) -> list[str]:
    """What one table of a completed run has not in common with that of an undisturbed one, a sentence each."""
    if not (plain / "tables" / name).read_text(encoding="utf-8").strip():
        return [f"{name}: is not empty"] * bool((killed / "tables" / name).read_text(encoding="utf-8").strip())
    one, other = (pd.read_csv(folder / "tables" / name) for folder in (plain, killed))
    if keys := CHOSEN_BY_THE_CLOCK.get(name):
        both = one[keys].merge(other[keys]).drop_duplicates()
        one, other = both.merge(one), both.merge(other)
        if both.empty:
            return [f"{name}: has no row in common"]
    if list(one.columns) != list(other.columns) or len(one) != len(other):
        return [f"{name}: {one.shape} is not {other.shape}"]
    lost = [c for c in one.columns if one[c].isna().all() != other[c].isna().all()] if name in MEASURED else []
    same = [c for c in one.columns if not any(piece in c for piece in OF_THE_CLOCK.get(name, ()))]
    order = [c for c in same if one[c].dtype.kind != "f"]
    # The last rows of the comparison are ordered by what was measured.
    one, other = (frame[same].sort_values(order, ignore_index=True) for frame in (one, other))
    found = [f"{name}: column {column} differs" for column in same if not one[column].equals(other[column])]
    return found + [f"{name}: column {column} is empty on one side" for column in lost]


def differences(plain: Path, killed: Path) -> list[str]:
    """What a completed run has not in common with an undisturbed one, a sentence each."""
    tables = sorted(p.name for p in (plain / "tables").iterdir())
    if tables != sorted(p.name for p in (killed / "tables").iterdir()):
        return [f"tables are not {tables}"]
    found = []
    if (plain / "tables" / "accuracy.csv").read_bytes() != (killed / "tables" / "accuracy.csv").read_bytes():
        found.append("accuracy.csv is not byte-identical")
    for name in tables:
        found += differences_of_table(name, plain, killed)
    keys = ["candidate", "quantity", "scenario", "batch_size", "statistic", "unit", "n"]
    one, other = (pd.read_parquet(folder / "records.parquet").groupby(keys).size() for folder in (plain, killed))
    if not one.equals(other):
        found.append("records.parquet: rows, units or counts differ")
    keys = ["candidate", "quantity", "scenario", "batch_size", "round"]
    one, other = (pd.read_parquet(folder / "samples.parquet").groupby(keys).size() for folder in (plain, killed))
    if not one.equals(other):
        found.append("samples.parquet: counts of raw values differ")
    place = ["dataset", "candidate", "seed", "factor", "level", "quantity", "scenario", "batch_size", "statistic", "group"]
    doubled = int(pd.read_parquet(killed / "records.parquet").duplicated(place).sum())
    found += [f"records.parquet: {doubled} rows are doubled"] * bool(doubled)
    with closing(sqlite3.connect(killed / "ledger.sqlite")) as connection:
        units = connection.execute("select name, status from units").fetchall()
    found += ["the ledger does not have every unit once and done"] * (
        sorted(units) != sorted((p.name, "done") for p in (killed / "parts").iterdir())
    )
    half = [p.name for p in (killed / "parts").iterdir() if p.name.startswith(".")]
    found += [f"half-written parts are left: {half}"] * bool(half)
    parts = [sorted(p.name for p in (folder / "parts").iterdir()) for folder in (plain, killed)]
    found += ["parts are not the same units"] * (parts[0] != parts[1])
    strays = [str(p.relative_to(killed)) for p in killed.rglob(".*.*") if p.name != ".lock" and p.parent.name != "parts"]
    found += [f"half-written files are left: {strays}"] * bool(strays)
    told = json.loads((killed / "verdicts.json").read_text(encoding="utf-8"))["missing"]
    # Whether another process disturbed a round is the clock's to say.
    missing = [sentence for sentence in told if " was disturbed, or its others were" not in sentence]
    found += [f"the report misses something: {missing}"] * bool(missing)
    return found


def units_of(outputs: Path) -> tuple[dict[str, bytes], set[str]]:
    """Of the run there: each unit that is done, with what it says of itself, and the units that are in flight."""
    done: dict[str, bytes] = {}
    flying: set[str] = set()
    for part in outputs.glob("chaos/*/parts/*"):
        if part.name.startswith("."):
            flying.add(part.name[1:].rpartition(".")[0])
            continue
        with suppress(OSError):  # handed over, or cleared away, while we look
            done[part.name] = (part / "unit.json").read_bytes()
    return done, flying


def chances_of(plain: Path, began: float) -> dict[str, tuple[float, float]]:
    """When there was something of each kind to kill in an undisturbed run, in seconds after it began (a wall clock's)."""
    with closing(sqlite3.connect(plain / "ledger.sqlite")) as connection:
        spans = [(a - began, b - began) for a, b in connection.execute("select began, ended from spans")]
    measured = [json.loads(p.read_text(encoding="utf-8")) for p in (plain / "parts").glob("measure-*/unit.json")]
    child = (min(u["began"] for u in measured) - began, max(u["began"] + u["seconds"] for u in measured) - began)
    ended = (plain / "report.html").stat().st_mtime - began
    return {
        "runner": (0.2, ended),
        "everything": (0.2, ended),
        "kernel": (min(a for a, _ in spans), max(b for _, b in spans)),
        "child": child,
    }


@dataclass
class Chaos:
    """Kills once a run, goes on, compares; until there were as many kills as were asked for."""

    folder: Path
    seed: int
    kills: int
    lanes: int

    def __post_init__(self) -> None:
        self.study = self.folder / "chaos.yaml"
        self.study.write_text(STUDY, encoding="utf-8")
        self.rows: dict[int, dict[str, object]] = {}
        self.wrong: list[str] = []
        self.runs: list[Run] = []
        self.plain: list[Path] = []
        self.running: set[int] = set()
        self.numbers = itertools.count()
        self.lock = threading.Lock()
        self.began = time.monotonic()

    def start(self, outputs: Path, lane: int) -> Run:
        """Start a run, or go on with it."""
        outputs.mkdir(exist_ok=True)
        self.runs.append(Run(self.study, outputs, self.folder / f"t{lane}").start())
        return self.runs[-1]

    def ended(self, run: Run, why: str) -> Path | None:
        """Let a run end undisturbed; its folder, if it ended well."""
        if code := run.process.wait(300):
            self.wrong.append(f"{why}: ended with exit code {code}: {run.text()[-2000:]}")
            return None
        folders = run_folders(run.outputs)
        if len(folders) != 1:
            self.wrong.append(f"{why}: made {len(folders)} run folders")
        return folders[0]

    def undisturbed(self, lane: int) -> tuple[Path, dict[str, tuple[float, float]]] | None:
        """The run that a lane's killed ones are compared to, and when there was what to kill; beside one, a second is refused."""
        began = time.time()
        run = self.start(self.folder / f"plain{lane}", lane)
        if lane == 0:
            while run.process.poll() is None and not list(run.outputs.glob("chaos/*/parts/*")):
                time.sleep(0.05)
            second = self.start(run.outputs, lane)
            code, said = second.process.wait(120), second.text()
            if code != 2 or said.count("\n") != 1 or "another process is running this study" not in said:
                self.wrong.append(f"a second runner ended with exit code {code}: {said[-500:]}")
        plain = self.ended(run, "undisturbed")
        return (plain, chances_of(plain, began)) if plain else None

    def kill_once(self, number: int, lane: int, plain: Path, chances: dict[str, tuple[float, float]]) -> None:
        """One run that is killed at a moment, and completed; none where it ended before there was anything to kill."""
        rng = random.Random(f"{self.seed}/{number}")
        kind = rng.choice(KINDS)
        after_s, age_s = rng.uniform(*chances[kind]), rng.uniform(0, 0.6)
        outputs = self.folder / f"killed{number}"
        run = self.start(outputs, lane)
        with suppress(subprocess.TimeoutExpired):
            run.process.wait(after_s)
        seen = units_of(outputs)
        began = time.monotonic()
        hit = run.kill(kind, age_s)
        if time.monotonic() - began > 0.2:
            seen = (seen[0], set())  # it had to wait for something to kill: what was in flight then is not known
        # A run whose kernel or child was killed ends by itself, the others are dead.
        code = run.process.wait(300)
        if not hit:
            shutil.rmtree(outputs, ignore_errors=True)
            return
        why = f"kill {number} of {kind} after {after_s:.1f} s"
        wrong = []
        if code not in {0, -9} or "Traceback" in run.text():
            wrong.append(f"exit code {code}: {run.text()[-2000:]}")
        done, flying = seen
        completed = self.ended(run if code == 0 else self.start(outputs, lane), why)
        wrong += differences(plain, completed) if completed else ["it did not complete"]
        again = units_of(outputs)[0]
        redone = [name for name, held in done.items() if again.get(name) != held]
        wrong += [f"units that were done were done again: {redone}"] * bool(redone)
        if not wrong:
            shutil.rmtree(outputs, ignore_errors=True)
        row = {"moment": f"{after_s:.1f} s", "killed": kind, "exit": code, "done then": len(done), "in flight, lost": len(flying)}
        with self.lock:
            self.wrong += [f"{why}: {sentence}" for sentence in wrong]
            self.rows[number] = {**row, "done again": len(redone), "identical": "no" if wrong else "yes"}
            self.tell(f"{kind} at {after_s:.1f} s, {'DIFFERENT' if wrong else 'identical'}")

    def tell(self, what: str) -> None:
        """Say how far it is."""
        taken_s = time.monotonic() - self.began
        left_s = taken_s / len(self.rows) * (self.kills - len(self.rows))
        print(f"{len(self.rows):3d} of {self.kills} kills: {what}; about {left_s / 60:.0f} min left", flush=True)

    def lane(self, lane: int) -> None:
        """Kill, until there were enough; a run that ended unkilled is replaced by another."""
        found = self.undisturbed(lane)
        if found is None:
            return
        self.plain.append(found[0])
        print(
            f"undisturbed: {found[1]['runner'][1]:.0f} s" + ", and a second run in its folder was refused" * (lane == 0),
            flush=True,
        )
        while True:
            with self.lock:
                number = next(self.numbers)
                # What is under way in the other lanes counts, or there would be too many; none is begun in vain for ever.
                enough = len(self.rows) + len(self.running) >= self.kills or number >= 3 * self.kills
                if not enough:
                    self.running.add(number)
            if enough:
                return
            try:
                self.kill_once(number, lane, *found)
            finally:
                with self.lock:
                    self.running.discard(number)

    def go(self) -> None:
        """Everything."""
        with ThreadPoolExecutor(self.lanes) as pool:
            for ended in [pool.submit(self.lane, lane) for lane in range(self.lanes)]:
                ended.result()
        for one, other in itertools.pairwise(self.plain):
            self.wrong += [f"two undisturbed runs: {sentence}" for sentence in differences(one, other)]
        self.wrong += ["processes are left"] * (not all(run.gone(15) for run in self.runs))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lanes", type=int, default=2, help="how many runs go on side by side")
    parser.add_argument("--folder", type=Path, help="where to run it; by default a temporary folder")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as temporary:
        folder = (asked.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        chaos = Chaos(folder, asked.seed, asked.kills, asked.lanes)
        chaos.go()
    print(pd.DataFrame([chaos.rows[number] for number in sorted(chaos.rows)]).to_string(index=False))
    for sentence in chaos.wrong:
        print(f"WRONG: {sentence}")
    print(f"{len(chaos.rows)} kills, {len(chaos.wrong)} differences")
    sys.exit(bool(chaos.wrong) or len(chaos.rows) < asked.kills)


if __name__ == "__main__":
    main()
