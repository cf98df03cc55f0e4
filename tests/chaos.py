"""Kills a small study at random moments, lets it go on each time, and compares what it ends with to an undisturbed run.

    python tests/chaos.py --kills 50

Each kill is of a fresh run, at a moment drawn evenly over what an undisturbed one takes; beside one run a second is started.

What is killed, with SIGKILL: the runner alone, everything at once, a notebook's kernel, or a measuring child; Windows has no
signals, so there a process is terminated. Exits with 1 and says what differs if a completed run is not what it should be.
It does not know what the numbers mean; ``test_study_run.py`` runs it briefly.
"""
# ruff: noqa: T201 - a script speaks by printing

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import psutil

STUDY = """\
name: chaos
question: Does it end as it should, whatever happens on the way?
datasets: [breast_cancer]
candidates: [{candidates}]
requirements:
  - {{name: answers in time, quantity: latency_ms, statistic: p99, at_most: 50, scenario: single_stream}}
  - {{name: fits in memory, quantity: peak_memory_mib, statistic: max, at_most: 1024}}
prices: {{as_of: "2026-03", source: a test, vcpu_hour_usd: 0.04, gib_hour_usd: 0.004}}
training: {{max_train_rows: 200, folds: 3, search_trials: 1}}
measuring: {{queries: 60, rounds: {rounds}, warm_up: 5, batch_sizes: [16], batch_repeats: 2}}
"""
WHOLE = {"candidates": "prior, logistic_regression, random_forest, xgboost, soft_vote", "rounds": 2}
BRIEF = {"candidates": "prior, logistic_regression", "rounds": 2}
KINDS = ("runner", "kernel", "child", "everything")
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
}


@dataclass
class Run:
    """One start of the runner, in a session of its own, marked so that whatever it starts can be found."""

    study: Path
    outputs: Path
    extra: tuple[str, ...] = ()
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    def start(self) -> Run:
        """Start it."""
        environment = {**os.environ, MARK: self.mark}
        self.said = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - lives as long as the process
        command = [*COMMAND, "run", str(self.study), "--outputs", str(self.outputs), *self.extra]
        self.process = subprocess.Popen(
            command, env=environment, stdout=self.said, stderr=subprocess.STDOUT, start_new_session=True, cwd=self.outputs.parent
        )
        return self

    def text(self) -> str:
        """What it has printed."""
        self.said.seek(0)
        return self.said.read()

    def family(self, kind: str = "everything") -> list[psutil.Process]:
        """Living processes of this run: the runner, kernels, measuring children, or all."""
        sign = {"kernel": "ipykernel_launcher", "child": "child.py"}.get(kind, "")
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.status() == psutil.STATUS_ZOMBIE or process.environ().get(MARK) != self.mark:
                    continue
                if kind == "runner" and process.pid != self.process.pid:
                    continue
                if any(sign in part for part in process.cmdline()):
                    found.append(process)
        return found

    def kill(self, kind: str, after_s: float, age_s: float = 0.0) -> bool:
        """Kill at a moment, and nothing younger than ``age_s``; whether there was anything to kill before the run had ended."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(after_s)
        while self.process.poll() is None:
            hit = False
            for process in self.family(kind):
                with suppress(psutil.NoSuchProcess):
                    if kind != "child" or time.time() - process.create_time() >= age_s:
                        process.kill()
                        hit = True
            if hit:
                return True
            time.sleep(0.01)
        return False

    def gone(self, within_s: float) -> bool:
        """Whether nothing of the run is left after a while."""
        until = time.monotonic() + within_s
        while self.family():
            if time.monotonic() > until:
                return False
            time.sleep(0.2)
        return True


def run_folders(outputs: Path) -> list[Path]:
    """The run folders of the study."""
    return sorted(p for p in (outputs / "chaos").iterdir() if p.is_dir() and not p.is_symlink())


def differences(plain: Path, killed: Path) -> list[str]:
    """What a completed run has not in common with an undisturbed one, a sentence each."""
    found = []
    tables = sorted(p.name for p in (plain / "tables").iterdir())
    if tables != sorted(p.name for p in (killed / "tables").iterdir()):
        return [f"tables are not {tables}"]
    if (plain / "tables" / "accuracy.csv").read_bytes() != (killed / "tables" / "accuracy.csv").read_bytes():
        found.append("accuracy.csv is not byte-identical")
    for name in tables:
        if not (plain / "tables" / name).read_text(encoding="utf-8").strip():
            # A study without ensembles has no verdicts.
            found += [f"{name}: is not empty"] * bool((killed / "tables" / name).read_text(encoding="utf-8").strip())
            continue
        one, other = (pd.read_csv(folder / "tables" / name) for folder in (plain, killed))
        if list(one.columns) != list(other.columns) or len(one) != len(other):
            found.append(f"{name}: {one.shape} is not {other.shape}")
            continue
        same = [c for c in one.columns if not any(piece in c for piece in OF_THE_CLOCK.get(name, ()))]
        order = [c for c in same if one[c].dtype.kind != "f"]
        # The last rows of the comparison are ordered by what was measured.
        one, other = (frame[same].sort_values(order, ignore_index=True) for frame in (one, other))
        for column in same:
            if not one[column].equals(other[column]):
                found.append(f"{name}: column {column} differs")
        empty = [c for c in one.columns if one[c].isna().all() != other[c].isna().all()]
        found += [f"{name}: column {c} is empty on one side" for c in empty]
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


@dataclass
class Chaos:
    """Kills once a run, goes on, compares; until there were as many kills as were asked for."""

    folder: Path
    seed: int
    brief: bool

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.study = self.folder / "chaos.yaml"
        self.study.write_text(STUDY.format(**(BRIEF if self.brief else WHOLE)), encoding="utf-8")
        self.rows: list[dict[str, object]] = []
        self.wrong: list[str] = []
        self.runs: list[Run] = []

    def start(self, outputs: Path) -> Run:
        """Start a run, or go on with it."""
        outputs.mkdir(exist_ok=True)
        self.runs.append(Run(self.study, outputs).start())
        return self.runs[-1]

    def complete(self, outputs: Path, why: str) -> Path | None:
        """Let the study end undisturbed."""
        run = self.start(outputs)
        if code := run.process.wait(300):
            self.wrong.append(f"{why}: ended with exit code {code}: {run.text()[-2000:]}")
            return None
        folders = run_folders(outputs)
        if len(folders) != 1:
            self.wrong.append(f"{why}: made {len(folders)} run folders")
        return folders[0]

    def second_runner(self, outputs: Path) -> str:
        """Start the same study in the same folder while it runs; what is wrong with how that was refused, or nothing."""
        second = Run(self.study, outputs).start()
        code, said = second.process.wait(120), second.text()
        if code == 2 and said.count("\n") == 1 and "another process is running this study" in said:
            return ""
        return f"a second runner ended with exit code {code}: {said[-500:]}"

    def kill_once(self, plain: Path, lasts_s: float, number: int) -> bool:
        """One run that is killed at a moment, and completed; whether it lived long enough to be killed."""
        kind, after_s = self.rng.choice(KINDS), self.rng.uniform(0.2, lasts_s)
        outputs = self.folder / f"killed{number}"
        run = self.start(outputs)
        with suppress(subprocess.TimeoutExpired):
            run.process.wait(after_s)
        seen = units_of(outputs)
        began = time.monotonic()
        hit = run.kill(kind, 0.0, self.rng.uniform(0, 0.6))
        if time.monotonic() - began > 0.2:
            seen = ({**seen[0]}, set())  # it had to wait for something to kill: what was in flight then is not known
        # A run whose kernel or child was killed ends by itself, the others are dead.
        code = run.process.wait(300)
        if not hit:
            shutil.rmtree(outputs, ignore_errors=True)
            return False
        why = f"kill {number} of {kind} after {after_s:.1f} s"
        if code not in {0, -9} or "Traceback" in run.text():
            self.wrong.append(f"{why}: exit code {code}: {run.text()[-2000:]}")
        done, flying = seen
        completed = self.complete(outputs, why)
        found = differences(plain, completed) if completed else ["it did not complete"]
        redone = [name for name, held in done.items() if units_of(outputs)[0].get(name) != held]
        found += [f"units that were done were done again: {redone}"] * bool(redone)
        self.wrong += [f"{why}: {sentence}" for sentence in found]
        moment = f"{after_s:.1f} s"
        row = {"moment": moment, "killed": kind, "exit": code, "done then": len(done), "in flight, lost": len(flying)}
        self.rows.append({**row, "done again": len(redone), "identical": "no" if found else "yes"})
        print(self.rows[-1], flush=True)
        shutil.rmtree(outputs, ignore_errors=bool(found))
        return True

    def go(self, kills: int) -> None:
        """Everything."""
        began = time.monotonic()
        outputs = self.folder / "plain"
        first = self.start(outputs)
        while first.process.poll() is None and not list(outputs.glob("chaos/*/parts/*")):
            time.sleep(0.05)
        if said := self.second_runner(outputs):
            self.wrong.append(said)
        if code := first.process.wait(300):
            self.wrong.append(f"undisturbed: ended with exit code {code}: {first.text()[-2000:]}")
            return
        (plain,) = run_folders(outputs)
        lasts_s = time.monotonic() - began
        print(f"undisturbed but for a second runner, which was refused: {lasts_s:.1f} s", flush=True)
        number = 0
        while len(self.rows) < kills and number < 3 * kills:
            self.kill_once(plain, lasts_s, number)
            number += 1
        self.wrong += ["processes are left"] * (not all(run.gone(15) for run in self.runs))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--whole", action="store_true", help="five candidates instead of two")
    parser.add_argument("--folder", type=Path, help="where to run it; by default a temporary folder")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as temporary:
        folder = (asked.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        chaos = Chaos(folder, asked.seed, not asked.whole)
        chaos.go(asked.kills)
    print(pd.DataFrame(chaos.rows).to_string(index=False))
    for sentence in chaos.wrong:
        print(f"WRONG: {sentence}")
    print(f"{len(chaos.rows)} kills, {len(chaos.wrong)} differences")
    sys.exit(bool(chaos.wrong) or len(chaos.rows) < asked.kills)


if __name__ == "__main__":
    main()
