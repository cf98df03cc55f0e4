"""What a run was judged to be, as it is kept in the run folder: records, raw values, verdicts, money and load.

This module does *not* know how anything was judged.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from shipworthy.experiments.arms import sentence
from shipworthy.experiments.latency_and_throughput import UnderLoad
from shipworthy.experiments.simulated import Simulated
from shipworthy.experiments.workbench import as_json, nan_for_null, write_atomically
from shipworthy.records import InputError, Record, RequirementVerdict, Study, Verdict

if TYPE_CHECKING:
    import pandas as pd

SAMPLE_COLUMNS = ("dataset", "candidate", "seed", "level", "quantity", "scenario", "batch_size", "round", "value")
"""Of ``samples.parquet``: one raw value a row."""


Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True)
class Assessment:
    """Everything that a report is made of, from one run folder."""

    study: Study
    records: pd.DataFrame
    samples: pd.DataFrame
    verdicts: tuple[Verdict, ...]
    requirements: tuple[RequirementVerdict, ...]
    picks: tuple[dict[str, Any], ...]
    missing: tuple[str, ...]
    money: tuple[dict[str, Any], ...] = ()
    """What a report shows of the money of each data set and level, as from ``money_of_place``."""
    loads: tuple[UnderLoad, ...] = ()
    """What was found under load, one for each data set that was put under it."""
    simulations: tuple[Simulated, ...] = ()
    """Ensembles on paper, one for each arm whose ensembles were simulated."""

    @property
    def datasets(self) -> tuple[str, ...]:
        """The study's data sets of which anything was recorded."""
        recorded = set(self.records["dataset"])
        return tuple(name for name in self.study.datasets if name in recorded)

    def save(self, folder: Path) -> None:
        """Write the records and samples as Parquet, and verdicts, money and load as JSON, each file whole or not at all."""
        for name, frame in (("records.parquet", self.records), ("samples.parquet", self.samples)):
            beside = folder / f".{name}.{os.getpid()}"
            frame.to_parquet(beside, index=False)
            beside.replace(folder / name)
        judged = {
            "verdicts": [asdict(v) for v in self.verdicts],
            "requirements": [asdict(r) for r in self.requirements],
            "picks": list(self.picks),
            "missing": list(self.missing),
        }
        loads = [asdict(found) for found in self.loads]
        simulations = [asdict(found) for found in self.simulations]
        for name, value in (
            ("verdicts.json", judged),
            ("money.json", list(self.money)),
            ("load.json", loads),
            ("simulation.json", simulations),
        ):
            write_atomically(folder / name, as_json(value))


def read_assessment(folder: Path, study: Study) -> Assessment:
    """An assessment as it was saved.

    Raises
    ------
    InputError
        Naming the file that is missing or not as it was written.
    """
    from pydantic import TypeAdapter, ValidationError

    judged = read_judged(folder)
    try:
        verdicts = TypeAdapter(tuple[Verdict, ...]).validate_python(nan_for_null(judged["verdicts"]))
        requirements = TypeAdapter(tuple[RequirementVerdict, ...]).validate_python(nan_for_null(judged["requirements"]))
        picks = TypeAdapter(tuple[dict[str, Any], ...]).validate_python(judged["picks"])
        picks = tuple({**pick, "noise_floor": nan_for_null(pick.get("noise_floor"))} for pick in picks)
        missing = TypeAdapter(tuple[str, ...]).validate_python(judged["missing"])
    except ValidationError as error:
        raise InputError(f"{sentence(error, str(folder / 'verdicts.json'))}; run the study again to complete it") from None
    records = _read_parquet(folder / "records.parquet", Record.__slots__)
    return Assessment(
        study,
        records,
        _read_parquet(folder / "samples.parquet", SAMPLE_COLUMNS),
        verdicts,
        requirements,
        picks,
        missing,
        read_money(folder),
        read_loads(folder),
        read_simulations(folder),
    )


def read_money(folder: Path) -> tuple[dict[str, Any], ...]:
    """The contents of ``money.json``; nothing where the run was made before there was one.

    Raises
    ------
    InputError
        If it is no JSON, or not a list of data sets.
    """
    path = folder / "money.json"
    if not path.is_file():
        return ()
    held = _read_json(path)
    if not isinstance(held, list) or not all(isinstance(m, dict) and {"dataset", "level", "declared"} <= m.keys() for m in held):
        raise InputError(f"{path} does not hold the money of each data set; run the study again to complete it")
    # Nothing stands for a map where there is no ensemble to draw one of; it is no number that is not known.
    return tuple({**m, "map": m["map"] if isinstance(m.get("map"), dict) else None} for m in held)


def read_loads(folder: Path) -> tuple[UnderLoad, ...]:
    """The contents of ``load.json``; nothing where the run was made before there was one.

    Raises
    ------
    InputError
        If it is no JSON, or not what was found under load.
    """
    return _read_all(folder / "load.json", UnderLoad)


def read_simulations(folder: Path) -> tuple[Simulated, ...]:
    """The contents of ``simulation.json``; nothing where the run was made before there was one.

    Raises
    ------
    InputError
        If it is no JSON, or not what was simulated.
    """
    return _read_all(folder / "simulation.json", Simulated)


def _read_json(path: Path) -> Any:
    """What a file of a run holds, or the sentence that it cannot be read."""
    try:
        return nan_for_null(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); run the study again to complete it") from None


def _read_all(path: Path, kind: type[Kept]) -> tuple[Kept, ...]:
    """What a list of one kind of thing was written as; none where there is no file."""
    from pydantic import TypeAdapter, ValidationError

    if not path.is_file():
        return ()
    adapter: TypeAdapter[tuple[Kept, ...]] = TypeAdapter(tuple[kind, ...])  # type: ignore[valid-type]  # known when it runs
    try:
        return adapter.validate_python(_read_json(path))
    except ValidationError as error:
        raise InputError(f"{sentence(error, str(path))}; run the study again to complete it") from None


def _read_parquet(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); run the study again to complete it") from None
    if lacking := [c for c in columns if c not in frame.columns]:
        raise InputError(f"{path} lacks the column {lacking[0]!r}; run the study again to complete it")
    return frame


def read_judged(folder: Path) -> dict[str, Any]:
    """The contents of ``verdicts.json``.

    Raises
    ------
    InputError
        If it is missing, no JSON, or lacks a part.
    """
    path = folder / "verdicts.json"
    try:
        judged = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); run the study again to complete it") from None
    parts = ("verdicts", "requirements", "picks", "missing")
    if not isinstance(judged, dict) or any(not isinstance(judged.get(part), list) for part in parts):
        raise InputError(f"{path} does not hold {', '.join(parts)}; run the study again to complete it")
    fields = {"dataset", "level", "benchmark_chaser", "requirements"}
    if not all(isinstance(pick, dict) and fields <= set(pick) for pick in judged["picks"]):
        raise InputError(f"{path}: a pick lacks one of {', '.join(sorted(fields))}; run the study again to complete it")
    return judged
