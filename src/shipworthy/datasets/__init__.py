"""Real rows by name: with provenance, licence, fingerprint, their traps handled, and a split that does not flatter.

Nothing is downloaded: every table comes from a package that pip installed. One file a data set; each says what it dropped.

This room does *not* know any model, metric or study.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from shipworthy.datasets.checks import check_rows
from shipworthy.datasets.own_files import read_own_file
from shipworthy.datasets.rows import Rows
from shipworthy.datasets.splits import fixed_split, random_split, time_split
from shipworthy.datasets.table_size import check_room
from shipworthy.records import DataFile, Dataset, InputError, Split, Task, digest

__all__ = ["check_room", "describe", "fingerprint", "load", "names", "size", "summary", "task"]


@cache
def _catalogue() -> Mapping[str, Any]:
    """The files of this folder that are data sets: they have a summary, a task and a number of rows."""
    here = (m.name for m in pkgutil.iter_modules(__path__))
    modules = {name: importlib.import_module(f"{__name__}.{name}") for name in sorted(here)}
    found = [(m.N_ROWS, name, m) for name, m in modules.items() if hasattr(m, "SUMMARY")]
    return {name: module for _, name, module in sorted(found, key=lambda entry: entry[:2])}


def names() -> tuple[str, ...]:
    """Names of the data sets, from small to large.

    Examples
    --------
    >>> names()[0], names()[-1]
    ('breast_cancer', 'flights')
    """
    return tuple(_catalogue())


def _module(name: str) -> Any:
    if name not in _catalogue():
        near = get_close_matches(str(name), names(), n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(f"there is no data set {name!r}; {hint}choose from {', '.join(names())}")
    return _catalogue()[name]


def task(name: str | DataFile) -> Task:
    """What is asked of a data set: binary, multiclass or regression; reads no rows, but those of somebody's own file.

    Raises
    ------
    InputError
        If there is no such data set; names those that exist.
    """
    chosen: Task = _rows(name, _stamp(name)).task if isinstance(name, DataFile) else _module(name).TASK
    return chosen


def size(name: str | DataFile) -> int:
    """How many rows a data set has; reads none, but those of somebody's own file.

    Raises
    ------
    InputError
        If there is no such data set; names those that exist.

    Examples
    --------
    >>> size("breast_cancer")
    569
    """
    return len(_rows(name, _stamp(name)).y) if isinstance(name, DataFile) else int(_module(name).N_ROWS)


def summary(name: str | DataFile) -> str:
    """One sentence about a data set; reads no rows.

    Raises
    ------
    InputError
        If there is no such data set; names those that exist.
    """
    if isinstance(name, DataFile):
        return f"Your own file {Path(name.file).name}: what is {name.target}?"
    return str(_module(name).SUMMARY)


def _stamp(name: str | DataFile) -> tuple[int, ...]:
    """What changes when somebody's own file is written again; empty for what comes with a package."""
    if not isinstance(name, DataFile) or not Path(name.file).is_file():
        return ()
    found = Path(name.file).stat()
    return found.st_mtime_ns, found.st_size


# The largest table is 60 MB: the two that were used last stay, so that a notebook which turns from one seed to the next does
# not read them again. They are copied before anyone outside sees them.
@lru_cache(maxsize=2)
def _rows(name: str | DataFile, stamp: tuple[int, ...]) -> Rows:  # noqa: ARG001 - the stamp is there for the cache
    if isinstance(name, DataFile):
        rows = read_own_file(name)
        rows.check(name.name)
        return rows
    module = _module(name)
    found: Rows = module.rows()
    found.check(name, module.N_ROWS)
    return found


def fingerprint(name: str | DataFile) -> str:
    """16 hex digits of SHA-256 over the column names, values and target of all rows of a data set.

    It depends on neither seed nor sample, nor on the versions of pandas and NumPy. Reads the rows once in a process. For
    somebody's own file it also covers what decides the split: time, groups, and the share that is held out.

    Raises
    ------
    InputError
        If there is no such data set; names those that exist.
    """
    return _fingerprint(name, _stamp(name))


@cache
def _checks(name: str | DataFile, stamp: tuple[int, ...]) -> tuple[str, ...]:
    return check_rows(_rows(name, stamp))


@cache
def _fingerprint(name: str | DataFile, stamp: tuple[int, ...]) -> str:
    rows = _rows(name, stamp)
    content = rows.fingerprint()
    if not isinstance(name, DataFile):
        return content
    held_out = () if rows.in_test is None else tuple(rows.in_test.tolist())
    return digest(content, tuple(rows.order.tolist()), held_out, name.test_share, name.time, name.group)


def load(name: str | DataFile, *, seed: int = 0, max_train_rows: int = 0, max_test_rows: int = 0, folds: int = 5) -> Dataset:
    """Load a data set with its split.

    Parameters
    ----------
    name : str or DataFile
        A name from :func:`names`, or somebody's own file.
    seed : int
        Of the split where it is random, and of the samples.
    max_train_rows, max_test_rows : int
        Draw at most so many rows, without replacement; 0 means all.
    folds : int
        At least 2.

    Returns
    -------
    Dataset
        With only the sampled rows; ``row_ids`` says which they are.

    Raises
    ------
    InputError
        If there is no such data set, or too few rows are asked for to hold every class in every fold.

    Examples
    --------
    >>> data = load("breast_cancer", max_train_rows=100)
    >>> data.X.shape, len(data.split.train), len(data.split.test)
    ((271, 30), 100, 171)
    """
    for field, value, least in (
        ("seed", seed, 0),
        ("max_train_rows", max_train_rows, 0),
        ("max_test_rows", max_test_rows, 0),
        ("folds", folds, 2),
    ):
        if value < least:
            raise InputError(f"{field} must be at least {least}, not {value}")
    rows = _rows(name, _stamp(name))
    try:
        split = _split(rows, seed=seed, max_train_rows=max_train_rows, max_test_rows=max_test_rows, folds=folds)
    except InputError as error:
        raise (InputError(f"{name.file}: {error}") if isinstance(name, DataFile) else error) from None
    kept = np.sort(np.concatenate([split.train, split.test]))
    y = rows.y[kept]
    y.flags.writeable = False
    return Dataset(
        name=name.name if isinstance(name, DataFile) else name,
        X=rows.X.iloc[kept].reset_index(drop=True),
        y=y,
        task=rows.task,
        classes=rows.classes,
        roles=rows.roles,
        provenance=rows.provenance,
        licence=rows.licence,
        traps=rows.traps,
        fingerprint=fingerprint(name),
        row_ids=kept,
        split=replace(split, train=np.searchsorted(kept, split.train), test=np.searchsorted(kept, split.test)),
        guesses=rows.guesses,
        checks=_checks(name, _stamp(name)),
    )


def _split(rows: Rows, *, seed: int, max_train_rows: int, max_test_rows: int, folds: int) -> Split:
    """By time where rows have one, else as the source holds rows out, else by chance."""
    limits: dict[str, Any] = {"max_train_rows": max_train_rows, "max_test_rows": max_test_rows, "folds": folds}
    limits |= {"seed": seed, "rule": rows.rule}
    declared = bool(rows.roles.group)
    if rows.in_test is None:
        return random_split(rows.strata, rows.order, declared=declared, test_share=rows.test_share, **limits)
    if rows.roles.time:
        return time_split(rows.strata, rows.order, rows.in_test, **limits)
    return fixed_split(rows.strata, rows.order, rows.in_test, declared=declared, **limits)


def describe(dataset: Dataset) -> dict[str, Any]:
    """A data set's card: what a reader should know before believing a number from it.

    Parameters
    ----------
    dataset : Dataset

    Returns
    -------
    dict
        Plain values: rows, features by type, share of each class in training and test rows, share of missing cells by column
        (only where there are any), roles, split rule, provenance, licence, traps and fingerprint.
    """
    missing = dataset.X.isna().mean()
    return {
        "name": dataset.name,
        "summary": summary(dataset.name) if dataset.name in names() else dataset.provenance,
        "task": dataset.task,
        "train rows": len(dataset.split.train),
        "test rows": len(dataset.split.test),
        "numeric features": len(dataset.numeric),
        "other features": len(dataset.categorical),
        "share of classes": {
            part: {name: float(np.mean(dataset.y[where] == code)) for code, name in enumerate(dataset.classes)}
            for part, where in (("train", dataset.split.train), ("test", dataset.split.test))
        },
        "share missing": {str(c): float(share) for c, share in missing[missing > 0].items()},
        "time": dataset.roles.time,
        "sensitive": list(dataset.roles.sensitive),
        "split": dataset.split.rule,
        "provenance": dataset.provenance,
        "licence": dataset.licence,
        "traps": list(dataset.traps),
        "fingerprint": dataset.fingerprint,
    }
