"""Takes some of a study's candidates, data sets and seeds: a study of its own, with a run folder of its own.

This module does *not* know how a study is read, planned or run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import get_args

from shipworthy.experiments.own_ensembles import Declared, fit_for_library
from shipworthy.records import InputError, Study, Task


def subset_of(study: Study, *, candidates: Sequence[str] = (), datasets: Sequence[str] = (), seeds: Sequence[int] = ()) -> Study:
    """The same question about fewer things.

    Parameters
    ----------
    study : Study
    candidates, datasets : sequence of str
        Names of the study's own; empty means all. The members of an ensemble come with it, for it is held against them.
    seeds : sequence of int
        Likewise.

    Returns
    -------
    Study
        Its names in the order of the study. What the study declares of others is left out of it.

    Raises
    ------
    InputError
        For a name that the study does not have.

    Examples
    --------
    >>> from shipworthy.study.schema import read_study
    >>> subset_of(read_study("quick"), candidates=["soft_vote"], datasets=["adult"]).candidates
    ('logistic_regression', 'random_forest', 'xgboost', 'soft_vote')
    """
    for field, asked, there in (
        ("candidate", candidates, study.candidates),
        ("dataset", datasets, study.datasets),
        ("seed", list(map(str, seeds)), tuple(map(str, study.seeds))),
    ):
        for name in asked:
            if name not in there:
                near = get_close_matches(name, there, n=1)
                hint = f"did you mean {near[0]}? " if near else ""
                raise InputError(f"--{field}: {name!r:.60} is not in the study {study.name}; {hint}it has {', '.join(there)}")
    names = _with_members(study, candidates)
    chosen = tuple(d for d in study.datasets if not datasets or d in datasets)
    load = study.load
    loaded = tuple(d for d in load.datasets if d in chosen)
    loads = tuple(c for c in load.candidates if c in names) if loaded or not load.datasets else ()
    return replace(
        study,
        candidates=names,
        datasets=chosen,
        seeds=tuple(s for s in study.seeds if not seeds or s in seeds),
        files=tuple(f for f in study.files if f.name in chosen),
        votes=tuple(v for v in study.votes if v.name in names),
        cascades=tuple(c for c in study.cascades if c.name in names),
        estimators=tuple(e for e in study.estimators if e.name in names),
        load=replace(load, candidates=loads, datasets=loaded if loads else ()),
        requirements=tuple(r for r in study.requirements if any(r.judges(d) for d in chosen)),
        stakeholders=tuple(
            replace(s, vetoes=tuple(v for v in s.vetoes if any(v.judges(d) for d in chosen))) for s in study.stakeholders
        ),
    )


def _with_members(study: Study, asked: Sequence[str]) -> tuple[str, ...]:
    """The study's candidates that were asked for, and those that they are made of."""
    if not asked:
        return study.candidates
    known, wanted = Declared.of(study), list(asked)
    library = tuple(dict.fromkeys(m for task in get_args(Task) for m in fit_for_library(known, task)))
    for name in wanted:
        found = known.candidate(name)
        parts = (*found.members, *found.regressors, *(library if found.choosing else ()))
        wanted += [m for m in parts if m in study.candidates and m not in wanted]
    return tuple(name for name in study.candidates if name in wanted)
