"""Takes the ensembles that are described among a study's candidates out into fields of their own.

This module does *not* know whether the members that a description names exist.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shipworthy.experiments.own_files import NAME
from shipworthy.records import InputError

VOTES, CASCADES = "votes", "cascades"


def describe_ensembles(values: dict[str, Any], where: str, line_of: Callable[[tuple[Any, ...]], int]) -> dict[str, list[int]]:
    """Put a name in the place of each ensemble that is described, and the description into ``votes`` or ``cascades``.

    Parameters
    ----------
    values : dict
        The study as it was written; changed in place. Descriptions of other things are left as they are.
    where : str
        Name of the file, for messages.
    line_of : callable
        The line of a field.

    Returns
    -------
    dict of str to list of int
        Of each field the places in ``candidates`` that its descriptions had; -1 for those that were not described there.

    Raises
    ------
    InputError
        If a description lacks a name that can name a folder, or a field is no list.
    """
    # Those that a resolved study lists already come first, and have no place among the candidates.
    places: dict[str, list[int]] = {}
    for field in (VOTES, CASCADES):
        held = values.get(field, [])
        if not isinstance(held, list):
            raise InputError(f"{where}, line {line_of((field,))}: {field} must be a list, such as [a, b], not {held!r:.60}")
        places[field] = [-1] * len(held)
    entries = values.get("candidates")
    if not isinstance(entries, list) or not all(isinstance(values.get(field) or [], list) for field in places):
        return places  # the types of a study say what is wrong
    for place, entry in enumerate(entries):
        if not isinstance(entry, dict) or not {"weights", "cascade"} & set(entry):
            continue
        name = entry.get("name")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            line = f"{where}, line {line_of(('candidates', place))}"
            raise InputError(
                f"{line}: candidates.{place}.name {name!r:.60} cannot name an ensemble; "
                f"give it a name of letters, digits, _ and - (64 at most)"
            )
        field, one = (VOTES, dict(entry)) if "weights" in entry else (CASCADES, _cascade(entry))
        entries[place] = name
        values[field] = [*values.get(field, []), one]
        places[field].append(place)
    return places


def _cascade(entry: dict[str, Any]) -> dict[str, Any]:
    """A cascade as it is kept: its members, and a list of thresholds where one was given alone."""
    one = {key: value for key, value in entry.items() if key not in {"cascade", "threshold"}}
    one["members"] = entry["cascade"]
    if "threshold" in entry:
        one["thresholds"] = [entry["threshold"]]
    return one
