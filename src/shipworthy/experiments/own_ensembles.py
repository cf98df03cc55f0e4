"""What a study names: the candidates that an ensemble may choose among, and ensembles of the study's own.

This module does *not* know how an ensemble is chosen or assembled.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shipworthy.records import Candidate, OwnCascade, OwnVote, Study, Task

PRIOR = "prior"
"""Whoever looks at no feature has nothing to add to a vote, however well it calibrates one."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What a study names.

    Parameters
    ----------
    candidates : tuple of str
        In their order; empty outside a study.
    ensembles : tuple of OwnVote or OwnCascade
    """

    candidates: tuple[str, ...] = ()
    ensembles: tuple[OwnVote | OwnCascade, ...] = ()

    @classmethod
    def of(cls, study: Study) -> Declared:
        """What a study names."""
        return cls(study.candidates, (*study.votes, *study.cascades))

    def definition(self, name: str) -> str:
        """All that decides what an ensemble of the study's own is, as text; empty for a candidate of the catalogue."""
        return next((repr(e) for e in self.ensembles if e.name == name), "")

    def candidate(self, name: str) -> Candidate:
        """A candidate by its name: of the study's own, or of the catalogue.

        Raises
        ------
        InputError
            If there is none, or an ensemble of the study's own cannot be.
        """
        from shipworthy import candidates

        own = next((e for e in self.ensembles if e.name == name), None)
        return candidates.declared(own) if own else candidates.get(name)


def fit_for_library(declared: Declared, task: Task) -> tuple[str, ...]:
    """The study's single models and tree ensembles that can do a task, but the prior, in the study's order."""
    found = [declared.candidate(name) for name in declared.candidates if name != PRIOR]
    return tuple(c.name for c in found if c.kind in {"single", "tree_ensemble"} and task in c.tasks)


def declared_in(run_folder: str) -> Declared:
    """What the study of a run folder names; nothing where there is none."""
    path = Path(run_folder) / "study.yaml"
    if not run_folder or not path.is_file():
        return Declared()
    import yaml
    from pydantic import TypeAdapter

    held: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    votes = TypeAdapter(tuple[OwnVote, ...]).validate_python(held.get("votes", ()))
    cascades = TypeAdapter(tuple[OwnCascade, ...]).validate_python(held.get("cascades", ()))
    return Declared(tuple(held.get("candidates", ())), (*votes, *cascades))
