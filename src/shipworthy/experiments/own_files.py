"""Finds the description of somebody's own file: in a study's run folder by name, or from a notebook's roles by path.

This module does *not* know how a file is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from shipworthy.records import DataFile, InputError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
ENDINGS = (".csv", ".tsv", ".parquet")
LISTS = tuple(f.name for f in fields(DataFile) if str(f.type).startswith("tuple"))


def own_file(dataset: str, roles: Mapping[str, Sequence[str]], run_folder: str = "") -> DataFile | None:
    """The description of the file that a notebook's parameters name; nothing where they name none.

    Parameters
    ----------
    dataset : str
        The name of a file that the study of ``run_folder`` describes, or the path of a file.
    roles : mapping of str to sequence of str
        Fields of :class:`~shipworthy.records.DataFile`, for a path.
    run_folder : str

    Returns
    -------
    DataFile or None

    Raises
    ------
    InputError
        If roles are missing, or are none.
    """
    if run_folder and (Path(run_folder) / "study.yaml").is_file():
        import yaml
        from pydantic import TypeAdapter

        held = yaml.safe_load((Path(run_folder) / "study.yaml").read_text(encoding="utf-8")).get("files", [])
        known = TypeAdapter(tuple[DataFile, ...]).validate_python(held)
        if found := [f for f in known if f.name == dataset]:
            return found[0]
    if not str(dataset).lower().endswith(ENDINGS):
        if roles:
            raise InputError(f"parameters: roles describe a file of your own, and dataset {dataset!r} is none; leave them empty")
        return None
    if strays := [r for r in roles if r not in {f.name for f in fields(DataFile)} - {"file", "test_share", "max_rows"}]:
        raise InputError(f"parameters: roles has no {strays[0]!r}; it has target, task, name, time, group, {', '.join(LISTS)}")
    if not roles.get("target"):
        raise InputError(f"parameters: roles must name the target of {dataset}, as in {{'target': ['late']}}")
    given: dict[str, Any] = {}
    for role, columns in roles.items():
        if role not in LISTS and len(columns) != 1:
            raise InputError(f"parameters: roles gives {role} {len(columns)} values; give it one, in a list")
        given[role] = tuple(columns) if role in LISTS else columns[0]
    return named(DataFile(file=str(Path(dataset).resolve()), **given))


def named(source: DataFile) -> DataFile:
    """The description with a name that can name a folder.

    Raises
    ------
    InputError
        If it has none, or that of a data set that comes with the package.
    """
    from shipworthy import datasets

    # A file may be called anything; what it is called in a study names folders.
    name = source.name or re.sub(r"[^A-Za-z0-9_-]+", "_", Path(source.file).stem).strip("_")
    if not NAME.fullmatch(name):
        raise InputError(f"{name!r:.80} cannot name a data set; add a name of letters, digits, _ and - (64 at most)")
    if name in datasets.names():
        raise InputError(f"a data set called {name} comes with shipworthy; add another name")
    return replace(source, name=name)
