"""The run folder: finds or makes it, keeps others out while it is written, and opens it for reading.

This module does *not* know how its contents were computed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shipworthy.experiments.assessment import Assessment, read_assessment, read_judged
from shipworthy.experiments.workbench import outputs_folder, write_atomically
from shipworthy.records import InputError, Study
from shipworthy.study.schema import parse_study, study_digest

if TYPE_CHECKING:
    import pandas as pd

STUDY_FILE = "study.yaml"
ENVIRONMENT_FILE = "environment.json"
CARDS_FILE = "datasets.json"
LEAST_FREE_MIB = 20
"""With less, not even a small study could write what it finds."""
RUN_NAME = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")


def outputs_of(study: Study, outputs: str | Path | None) -> Path:
    """The folder that holds the runs of a study."""
    return (Path(outputs) if outputs else outputs_folder()) / study.name


def find_or_make(study: Study, outputs: str | Path | None, *, fresh: bool, now: datetime) -> tuple[Path, bool]:
    """The newest folder of the same resolved study, or a new one.

    Parameters
    ----------
    study : Study
    outputs : path or None
        ``None`` for the default.
    fresh : bool
        Always make a new one.
    now : datetime
        Names a new folder, in UTC.

    Returns
    -------
    folder : Path
    continued : bool

    Raises
    ------
    InputError
        If the folder cannot be written.
    """
    above = outputs_of(study, outputs)
    ending = study_digest(study)
    # Something the user would lose by our writing to it would have to match the whole pattern.
    there = sorted(p for p in above.glob(f"*-{ending}") if RUN_NAME.fullmatch(p.name)) if above.is_dir() else []
    if there and not fresh:
        folder, continued = there[-1], True
    else:
        folder, continued = above / f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{ending}", False
        if folder.exists():
            raise InputError(f"{folder} was made within this very second; wait a second and run again")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        if not continued:
            _remove_empty(folder, Path(outputs) if outputs else outputs_folder())
        raise InputError(f"{folder} cannot be written ({error.strerror}); choose another with --outputs") from None
    if (free := shutil.disk_usage(folder).free / 2**20) < LEAST_FREE_MIB:
        if not continued:
            _remove_empty(folder, Path(outputs) if outputs else outputs_folder())
        raise InputError(f"{folder} has {free:.0f} MiB free, and a run needs {LEAST_FREE_MIB} at least; make room there")
    return folder, continued


def _remove_empty(folder: Path, up_to: Path) -> None:
    """Take back the folders that were made on the way to one that could not be."""
    for path in (folder, *folder.parents):
        if path == up_to or not path.is_relative_to(up_to) or not path.is_dir() or any(path.iterdir()):
            return
        path.rmdir()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other runners out of a run folder. The lock goes with the process, however that ends.

    Raises
    ------
    InputError
        If another process is running the study.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(f"another process is running this study in {folder}; wait for it, or use --fresh") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def taken_back(folder: Path, outputs: str | Path | None, *, continued: bool) -> Iterator[None]:
    """Take back a new run folder, and those made on the way to it, where the run is refused before any notebook began.

    Parameters
    ----------
    folder : Path
        As :func:`find_or_make` gave it, and locked.
    outputs : path or None
    continued : bool
        The folder was there before, so it stays.
    """
    try:
        yield
    except InputError:
        if not continued and not (folder / "notebooks").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _remove_empty(folder.parent, Path(outputs) if outputs else outputs_folder())
        raise


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Say in a sentence where a run folder can no longer be written: the disk is full, or was taken away.

    Raises
    ------
    InputError
        In the place of what the system or the ledger said.
    """
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        what = getattr(error, "filename", None) or folder
        why = getattr(error, "strerror", None) or str(error)
        remedy = "what was done is kept: make room there, and run the same command to go on"
        raise InputError(f"{what} cannot be written ({why}); {remedy}") from error


def point_latest(folder: Path) -> None:
    """Let ``latest`` beside the run point to it: a link where the platform allows one, else ``latest.txt``."""
    link = folder.parent / "latest"
    beside = folder.parent / f".latest.{os.getpid()}"
    try:
        beside.symlink_to(folder.name, target_is_directory=True)
        beside.replace(link)
    except OSError:
        # Windows gives links only to administrators and developers; the text file says the same.
        beside.unlink(missing_ok=True)
        write_atomically(folder.parent / "latest.txt", f"{folder.name}\n")


def link_or_copy(source: Path, target: Path) -> None:
    """Show a file at a second place without keeping its bytes twice, where the file system can."""
    if target.exists():
        if target.samefile(source):
            return
        target.unlink()
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder, opened for reading.

    Parameters
    ----------
    folder : Path
    study : Study
        As it was resolved when the run began.
    """

    folder: Path
    study: Study

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.folder / "report.html"

    def records(self) -> pd.DataFrame:
        """Every statistic of every quantity, one row each; the columns are those of ``records.parquet``."""
        return self.assessment().records

    def samples(self) -> pd.DataFrame:
        """Every raw value that was measured while serving, one row each."""
        return self.assessment().samples

    def verdicts(self) -> pd.DataFrame:
        """One row for each ensemble, data set, level and baseline: the answer, its reason, gain and ratios with intervals.

        ``deciding_reason`` is the one thing that decided, in a line; ``reason`` is all that the answer rests on.
        """
        import pandas as pd

        from shipworthy.reporting import deciding_reason

        rows: list[dict[str, Any]] = []
        for v in self.assessment().verdicts:
            facts = {"dataset": v.dataset, "level": v.level, "candidate": v.candidate, "answer": v.answer}
            facts |= {"deciding_reason": deciding_reason(v, self.study), "reason": v.reason}
            for c in v.comparisons:
                row: dict[str, Any] = {**facts, "baseline": c.baseline, "baseline_role": c.baseline_role, "metric": c.metric}
                for name, interval in (("gain", c.gain), ("latency_ratio", c.latency_ratio), ("memory_ratio", c.memory_ratio)):
                    row |= {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
                rows.append({**row, "deciding_test": c.gain.how})
            if not v.comparisons:
                rows.append(facts)
        # Named here, so that a study without a verdict can be asked for the same columns.
        numbers = [f"{name}{end}" for name in ("gain", "latency_ratio", "memory_ratio") for end in ("", "_low", "_high")]
        columns = ["dataset", "level", "candidate", "answer", "deciding_reason", "reason", "baseline", "baseline_role", "metric"]
        return pd.DataFrame(rows, columns=[*columns, *numbers, "deciding_test"])

    def predictions(self) -> pd.DataFrame:
        """What every candidate said of every row that it did not train on.

        Returns
        -------
        DataFrame
            Columns ``arm`` (data set, seed and level), ``candidate``, ``rows`` (``oof`` or ``test``), ``row`` (id in the whole
            data set), ``y`` (code of the truth) and ``p_0``, ``p_1``, ... (probability of each class).
        """
        import numpy as np
        import pandas as pd

        frames = []
        for path in sorted((self.folder / "predictions").glob("*/*.npz")):
            with np.load(path, allow_pickle=False) as held:
                for rows in ("oof", "test"):
                    said = held[rows]
                    frame = pd.DataFrame({"row": held[f"{rows}_rows"], "y": held[f"{rows}_y"]})
                    frame = frame.assign(**{f"p_{k}": said[:, k] for k in range(said.shape[1])})
                    frame.insert(0, "rows", rows)
                    frame.insert(0, "candidate", path.stem)
                    frame.insert(0, "arm", path.parent.name)
                    frames.append(frame)
        nothing = pd.DataFrame(columns=["arm", "candidate", "rows", "row", "y"])
        return pd.concat(frames, ignore_index=True) if frames else nothing

    def picks(self) -> list[dict[str, Any]]:
        """For each data set and level: what a benchmark-chaser would ship, and what the requirements would."""
        return list(read_judged(self.folder)["picks"])

    def assessment(self) -> Assessment:
        """Records, samples and verdicts together."""
        return read_assessment(self.folder, self.study)

    def environment(self) -> dict[str, Any]:
        """The machine and the versions that the run began with."""
        path = self.folder / ENVIRONMENT_FILE
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read ({error}); run the study again to complete it") from None
        if not isinstance(held, dict):
            raise InputError(f"{path} does not describe a machine; run the study again to complete it")
        return held


def _followed(path: Path) -> Path:
    """A path ending in ``latest`` as the run that ``latest.txt`` beside it names, where the platform allows no links."""
    pointer = path.with_name("latest.txt")
    if path.name != "latest" or path.exists() or not pointer.is_file():
        return path
    try:
        name = pointer.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{pointer}: cannot be read ({error}); give the run folder itself") from None
    # Whatever else the file may say, it leads to no other folder.
    return path.with_name(name) if RUN_NAME.fullmatch(name) else path


def open_run(path: str | Path) -> Run:
    """Open a run folder, or the newest run of a study's folder.

    Parameters
    ----------
    path : path
        ``outputs/quick/20261123T120000Z-1a2b3c4d``, ``outputs/quick/latest`` or ``outputs/quick``.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        If there is no run.
    """
    folder = _followed(Path(path))
    try:
        there = folder.is_dir()
    except OSError:  # a name that is too long for the file system
        there = False
    if not there:
        raise InputError(f"{path}: no such folder; give a run folder such as outputs/quick/latest")
    if not (folder / STUDY_FILE).is_file():
        runs = sorted(p for p in folder.iterdir() if RUN_NAME.fullmatch(p.name) and (p / STUDY_FILE).is_file())
        if not runs:
            raise InputError(f"{path}: is no run folder (it has no {STUDY_FILE}); give one such as outputs/quick/latest")
        folder = runs[-1]
    file = folder / STUDY_FILE
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read ({error}); run the study again") from None
    study = parse_study(text, str(file))
    # Half a study may well be a study, with defaults in the place of what was declared.
    if not text.endswith("...\n"):
        raise InputError(f"{file}: is cut short (its last line is not '...'); run the study again")
    return Run(folder, study)
