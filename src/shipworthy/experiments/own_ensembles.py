"""What a study names: the candidates that an ensemble may choose among, and ensembles and estimators of the study's own.

This module does *not* know how an ensemble is chosen or assembled.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shipworthy.experiments.own_estimators import candidate_in
from shipworthy.records import Candidate, OwnCascade, OwnEstimator, OwnVote, Study, Task

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
    estimators : tuple of OwnEstimator
    """

    candidates: tuple[str, ...] = ()
    ensembles: tuple[OwnVote | OwnCascade, ...] = ()
    estimators: tuple[OwnEstimator, ...] = ()

    @classmethod
    def of(cls, study: Study) -> Declared:
        """What a study names."""
        return cls(study.candidates, (*study.votes, *study.cascades), study.estimators)

    def definition(self, name: str) -> str:
        """All that decides what a candidate of the study's own is, as text; empty for one of the catalogue."""
        from shipworthy.candidates.own import source_digest

        estimator = next((source_digest(e) for e in self.estimators if e.name == name), "")
        return estimator or next((repr(e) for e in self.ensembles if e.name == name), "")

    def candidate(self, name: str) -> Candidate:
        """A candidate by its name: of the study's own, or of the catalogue.

        Raises
        ------
        InputError
            If there is none, or one of the study's own cannot be.
        """
        from shipworthy import candidates

        ensemble = next((e for e in self.ensembles if e.name == name), None)
        if ensemble is not None:
            return candidates.declared(
                ensemble, {m: candidate_in(m, self.estimators) for m in ensemble.members if m in self._own}
            )
        found = candidate_in(name, self.estimators)
        if found.choosing is None or not self._own:
            return found
        return candidates.among(found, [candidate_in(own, self.estimators) for own in self._own])

    @property
    def _own(self) -> tuple[str, ...]:
        """Names of the own estimators."""
        return tuple(e.name for e in self.estimators)

    def imports(self, name: str) -> bool:
        """Whether to know a candidate, one of somebody's own estimators must be imported."""
        from shipworthy import candidates

        ensemble = next((e for e in self.ensembles if e.name == name), None)
        if ensemble is not None:
            return not set(ensemble.members).isdisjoint(self._own)
        chooses = name in candidates.names() and candidates.get(name).choosing is not None
        return name in self._own or (chooses and bool(self._own))


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
    estimators = TypeAdapter(tuple[OwnEstimator, ...]).validate_python(held.get("estimators", ()))
    return Declared(tuple(held.get("candidates", ())), (*votes, *cascades), estimators)
