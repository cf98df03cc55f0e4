"""Ensembles that somebody declares in a study by name: weighted votes and cascades, of the catalogue's candidates and their own.

This family does *not* know who declares them, or why with these weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import get_args

from shipworthy.candidates.choosers import NONE, weighted_vote
from shipworthy.records import Candidate, Estimator, Ingredients, InputError, OwnCascade, OwnModule, OwnVote, Task


def declared(described: OwnVote | OwnCascade, own: Mapping[str, Candidate] = NONE) -> Candidate:
    """The candidate that a description asks for.

    Parameters
    ----------
    described : OwnVote or OwnCascade
    own : mapping of str to Candidate
        Somebody's own estimators, which may be members too.

    Returns
    -------
    Candidate
        It can do what all its members can; a cascade needs classes to be sure of.

    Raises
    ------
    InputError
        If its name is taken, a member does not exist or is an ensemble of models, members have no task in common, or a
        cascade's thresholds are not one fewer than its members; by agreement, if it has thresholds or fewer than three members.

    Examples
    --------
    >>> declared(OwnVote(name="pick", weights={"xgboost": 3, "ridge": 1})).tasks
    ('regression',)
    """
    from shipworthy.candidates import get, names

    if described.name in names():
        raise InputError(f"a candidate called {described.name} comes with shipworthy; give yours another name")
    if repeated := [m for m in described.members if described.members.count(m) > 1]:
        raise InputError(f"{described.name} names its member {repeated[0]} twice; name it once")
    members = [own.get(name) or get(name) for name in described.members]
    loading = OwnModule.together(m.own for m in members)
    if nested := [m.name for m in members if m.members]:
        raise InputError(
            f"{described.name} has the member {nested[0]}, an ensemble itself; name single models and tree ensembles"
        )
    tasks = tuple(task for task in get_args(Task) if all(task in m.tasks for m in members))
    if not tasks:
        able = "; ".join(f"{m.name}: {', '.join(m.tasks)}" for m in members)
        raise InputError(f"{described.name} has members that no task has in common ({able}); name members that do the same")
    if isinstance(described, OwnVote):
        total = sum(described.weights.values())
        shares = {name: weight / total for name, weight in described.weights.items()}
        shown = ", ".join(f"{share:.2f} {name}" for name, share in shares.items())
        summary, build = f"A weighted vote that the study declares: {shown}.", partial(_vote, weights=shares, own=own)
        return Candidate(
            described.name, "ensemble", summary, build, described.members, described.members, tasks=tasks, own=loading
        )
    tasks = tuple(task for task in tasks if task != "regression")
    summary = f"A cascade that the study declares: {_steps(described)}."
    build = partial(_cascade, described=described, own=own)
    return Candidate(described.name, "ensemble", summary, build, described.members, described.members, tasks=tasks, own=loading)


def _steps(described: OwnCascade) -> str:
    """Who is asked when, in words, of a cascade that can be."""
    members, thresholds = described.members, described.thresholds
    if described.confidence == "agreement":
        if thresholds:
            raise InputError(f"{described.name} goes by agreement and has {len(thresholds)} thresholds; leave them out")
        if len(members) < 3:
            raise InputError(
                f"{described.name} goes by agreement and would ask both its members of every row; "
                f"name three or more, or choose margin or entropy"
            )
        return f"{members[0]} and {members[1]}, then {', '.join(members[2:])} until two members agree"
    if len(thresholds) != len(members) - 1:
        raise InputError(
            f"{described.name} asks {len(members)} members and has {len(thresholds)} thresholds; "
            f"give one for each member but the last"
        )
    steps = ", then ".join(f"{m} at {t:g}" for m, t in zip(members, thresholds, strict=False))
    return f"{steps}, else {members[-1]} (by {described.confidence})"


def _vote(ingredients: Ingredients, weights: dict[str, float], own: Mapping[str, Candidate]) -> Estimator:
    return weighted_vote(replace(ingredients, weights=weights), own)


def _cascade(ingredients: Ingredients, described: OwnCascade, own: Mapping[str, Candidate]) -> Estimator:
    from shipworthy.candidates import get
    from shipworthy.deployables import Cascade

    members = [(name, (own.get(name) or get(name)).build(ingredients)) for name in described.members]
    return Cascade(members, described.thresholds, described.confidence)
