"""Finds a candidate by its name: one of somebody's own estimators that the study describes, or one of the catalogue.

This module does *not* know how an estimator is imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from shipworthy.experiments.own_files import NAME
from shipworthy.records import Candidate, InputError, OwnEstimator


def candidate_in(name: str, own: Sequence[OwnEstimator]) -> Candidate:
    """The candidate of a name.

    Parameters
    ----------
    name : str
    own : sequence of OwnEstimator
        Those that the study describes; they come first.

    Returns
    -------
    Candidate

    Raises
    ------
    InputError
        If there is none of that name, or the estimator behind it cannot be used.
    """
    from shipworthy import candidates
    from shipworthy.candidates.own import make

    described = next((o for o in own if o.name == name), None)
    return candidates.get(name) if described is None else make(described)


def own_estimators(run_folder: str) -> tuple[OwnEstimator, ...]:
    """The estimators that the study of a run folder describes; none without a study."""
    study = Path(run_folder) / "study.yaml"
    if not run_folder or not study.is_file():
        return ()
    import yaml
    from pydantic import TypeAdapter

    held = yaml.safe_load(study.read_text(encoding="utf-8")).get("estimators", [])
    return TypeAdapter(tuple[OwnEstimator, ...]).validate_python(held)


def named(described: OwnEstimator) -> OwnEstimator:
    """The description with a name that can name a folder.

    Raises
    ------
    InputError
        If its name cannot, or is that of a candidate that comes with the package.
    """
    from shipworthy import candidates

    name = described.name or described.estimator.rpartition(":")[2]
    if not NAME.fullmatch(name):
        raise InputError(f"{name!r:.80} cannot name a candidate; add a name of letters, digits, _ and - (64 at most)")
    if name in candidates.names():
        raise InputError(f"a candidate called {name} comes with shipworthy; add another name")
    return replace(described, name=name)
