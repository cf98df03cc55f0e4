"""The catalogue: single models, tree ensembles and ensembles of models, as unfitted scikit-learn estimators.

One file a family. A new file in this folder joins by defining ``CANDIDATES``, a tuple of
:class:`~shipworthy.records.Candidate`, and the contract test then holds it to the same promises as the others.

The catalogue does *not* know any data set, how a candidate is trained or measured, or which one is best.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from typing import get_args

from shipworthy.candidates.choosers import among
from shipworthy.candidates.declared import declared
from shipworthy.records import Candidate, InputError, Kind, Task

__all__ = ["among", "bagged", "declared", "get", "names", "sentence"]


@cache
def _catalogue() -> Mapping[str, Candidate]:
    found: dict[str, Candidate] = {}
    for module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
        for candidate in getattr(importlib.import_module(f"{__name__}.{module}"), "CANDIDATES", ()):
            if candidate.name in found:
                raise ValueError(f"candidates/{module}.py defines {candidate.name!r} a second time; give it another name")
            found[candidate.name] = candidate
    for candidate in found.values():
        if strays := [m for m in (*candidate.members, *candidate.regressors) if m not in found]:
            raise ValueError(f"{candidate.name} has the member {strays[0]!r}, which no file in candidates/ defines")
    kinds = get_args(Kind)
    # From simple to complex; Python's sort keeps the order of the files within a kind.
    return {c.name: c for c in sorted(found.values(), key=lambda c: kinds.index(c.kind))}


def names() -> tuple[str, ...]:
    """Names of all candidates, from simple to complex.

    Examples
    --------
    >>> "stack" in names()
    True
    """
    return tuple(_catalogue())


def get(name: str) -> Candidate:
    """Find a candidate by its name.

    Parameters
    ----------
    name : str

    Returns
    -------
    Candidate

    Raises
    ------
    InputError
        If there is no such candidate; names those that exist.

    Examples
    --------
    >>> get("stack").members
    ('logistic_regression', 'random_forest', 'xgboost')
    """
    catalogue = _catalogue()
    if name not in catalogue:
        near = get_close_matches(str(name), catalogue, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(f"there is no candidate {name!r}; {hint}choose from {', '.join(catalogue)}")
    return catalogue[name]


def sentence(name: str) -> str:
    """What a candidate is, what it can be asked for, and which members it brings: for ``shipworthy list candidates``.

    Examples
    --------
    >>> sentence("soft_vote").partition("predict. ")[2]
    'Of logistic_regression, random_forest and xgboost; of a number, of ridge, random_forest and xgboost.'
    >>> sentence("naive_bayes").endswith("For classes only.")
    True
    """
    candidate = get(name)
    parts = [f"{candidate.kind}: {candidate.summary}"]
    if candidate.members and not candidate.choosing and not candidate.bagged:
        classes, numbers = (f"{', '.join(m[:-1])} and {m[-1]}" for m in (candidate.members, candidate.regressors))
        parts.append(f"Of {classes}; of a number, of {numbers}.")
    if len(candidate.tasks) < len(get_args(Task)):
        parts.append("For numbers only." if candidate.tasks == ("regression",) else "For classes only.")
    return " ".join(parts)


def bagged() -> frozenset[str]:
    """Names of the candidates of which some ensemble holds a model a fold, so that their fold models are worth keeping.

    Examples
    --------
    >>> sorted(bagged())
    ['logistic_regression', 'ridge', 'xgboost']
    """
    return frozenset(m for c in _catalogue().values() if c.bagged for m in (*c.members, *c.regressors))
