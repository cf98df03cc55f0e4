"""Writes a trained candidate into its folder and reads it back: arrays without pickle, the rest as JSON.

The same candidate is written as the same bytes, whenever and wherever.

This module does *not* know what lies in the folder besides.
"""

from __future__ import annotations

import json
import math
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from shipworthy.records import Costs, InputError, Predictions, Trained

PREDICTIONS = "predictions.npz"
TRAINED = "trained.json"


def save(trained: Trained, folder: Path) -> None:
    """Write predictions, costs and notes beside the artefact.

    Parameters
    ----------
    trained : Trained
        Its artefact lies in ``folder``, or in a folder below: the path is stored relative to it, so the folder may be moved.
    folder : Path

    Raises
    ------
    InputError
        If the artefact lies elsewhere.
    """
    try:
        artefact = Path(trained.artefact).resolve().relative_to(folder.resolve())
    except ValueError as error:
        raise InputError(
            f"the artefact {trained.artefact} does not lie in {folder}; save what was trained where it was trained"
        ) from error
    # NumPy dates every member of the archive 1980-01-01, so equal arrays make equal files.
    arrays = {f.name: array for f in fields(Predictions) if (array := getattr(trained.predictions, f.name)) is not None}
    np.savez(folder / PREDICTIONS, allow_pickle=False, **arrays)
    costs = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(trained.costs).items()}
    facts = {"candidate": trained.candidate, "artefact": artefact.as_posix(), "costs": costs, "notes": dict(trained.notes)}
    (folder / TRAINED).write_text(json.dumps(facts, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def load(folder: Path) -> Trained:
    """Read what :func:`save` wrote.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    Trained
        With the artefact's path as seen from here.

    Raises
    ------
    InputError
        If the folder holds no trained candidate, or a damaged one.
    """
    try:
        facts: dict[str, Any] = json.loads((folder / TRAINED).read_text(encoding="utf-8"))
        with np.load(folder / PREDICTIONS, allow_pickle=False) as arrays:
            # Rows that stand for themselves have no clusters, and older folders kept none.
            there = [f.name for f in fields(Predictions) if f.name in arrays or f.default is MISSING]
            said = Predictions(**{name: arrays[name] for name in there})
        kept: dict[str, Any] = {k: math.nan if v is None else v for k, v in facts["costs"].items()}
        return Trained(facts["candidate"], said, str(folder / facts["artefact"]), Costs(**kept), facts["notes"])
    except FileNotFoundError as error:
        raise InputError(
            f"{folder} holds no trained candidate: {Path(str(error.filename)).name} is missing; train it first"
        ) from error
    except Exception as error:
        # Damage shows in as many ways as a file has bytes; each of them means the same to the reader.
        raise InputError(f"{folder} holds a damaged candidate ({type(error).__name__}: {error}); train it again") from error
