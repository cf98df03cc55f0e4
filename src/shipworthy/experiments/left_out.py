"""What a run left out to answer within its time budget: kept in the run folder, and told in words.

This module does *not* know how it was decided what to leave out, or how long anything takes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shipworthy.records import InputError, Study

LEFT_OUT_FILE = "left_out.json"
UNDER_LOAD = ("curve", "threads", "rates", "imports", "recipes", "portability")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Which planned units a go left out, by folder name, and in how many minutes it was to answer."""

    minutes: float
    units: frozenset[str]
    sentences: tuple[str, ...]


NOTHING = LeftOut(0.0, frozenset(), ())


def read_left_out(folder: Path) -> LeftOut:
    """What the last go of a run left out; nothing where it had no time budget.

    Parameters
    ----------
    folder : Path
        A run folder.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    path = folder / LEFT_OUT_FILE
    if not path.is_file():
        return NOTHING
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return LeftOut(float(held["minutes"]), frozenset(map(str, held["units"])), tuple(map(str, held["sentences"])))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} cannot be read ({error!r}); run the study again to complete it") from None


def minutes_in_words(minutes: float) -> str:
    """A time budget in words.

    Examples
    --------
    >>> minutes_in_words(5), minutes_in_words(1), minutes_in_words(0.5)
    ('5 minutes', '1 minute', '0.5 minutes')
    """
    return f"{minutes:g} minute{'' if minutes == 1 else 's'}"


def left_out_sentences(study: Study, units: Sequence[Mapping[str, Any]], minutes: float) -> tuple[str, ...]:
    """What was left out, most telling first.

    Parameters
    ----------
    study : Study
    units : sequence of mapping
        Of each planned unit: ``kind``, ``dataset``, ``seed``, ``level``, ``candidate`` and ``left_out``.
    minutes : float

    Returns
    -------
    tuple of str
        Empty where nothing was.
    """
    first = study.seeds[0]
    why = f"Left out to answer within {minutes_in_words(minutes)}"
    gone = [u for u in units if u["left_out"] and u["candidate"] in ("", *study.candidates)]
    at_first = [u for u in gone if u["seed"] == first and u["kind"] not in UNDER_LOAD]
    scores = {_place(u) for u in at_first if u["kind"] == "accuracy"}
    rounds = [u for u in at_first if u["kind"] == "measure" and _scored_place(u, scores)]
    kept = {(_where(u), u["candidate"]) for u in units if u["kind"] == "measure" and not u["left_out"] and u["seed"] == first}
    few = {(_where(u), u["candidate"]) for u in rounds} & kept
    never = {(_where(u), u["candidate"]) for u in rounds} - few
    later = {(_where(u), f"seed {u['seed']}") for u in gone if u["seed"] != first and u["kind"] == "accuracy"}
    unmeasured = {(_where(u), f"seed {u['seed']}") for u in gone if u["seed"] != first and u["kind"] == "measure"} - later
    load = {(_where(u), u["candidate"]) for u in gone if u["kind"] in UNDER_LOAD}
    told = (
        (f"{why}: {{}}.", scores),
        (f"{why} was measuring {{}}: trained and scored, but neither timed nor weighed.", never),
        (f"{why} were further rounds of {{}}: measured, in fewer processes than the study asks for.", few),
        (f"{why}: {{}}. The verdicts there rest on the other seeds.", later),
        (f"{why} was measuring {{}}.", unmeasured),
        (f"{why}, under load: {{}}.", load),
    )
    order = [*study.candidates, *(f"seed {seed}" for seed in study.seeds)]
    return tuple(sentence.format(_listed(found, order, study)) for sentence, found in told if found)


def _where(unit: Mapping[str, Any]) -> str:
    return f"{unit['dataset']} ({unit['level']})" if unit["level"] else str(unit["dataset"])


def _place(unit: Mapping[str, Any]) -> tuple[str, str]:
    return _where(unit), str(unit["candidate"])


def _scored_place(unit: Mapping[str, Any], unscored: Iterable[tuple[str, str]]) -> bool:
    """Whether a candidate was scored where it was to be measured; a level that is swept in the measuring has a longer name."""
    return not any(candidate == unit["candidate"] and _where(unit).startswith(where.rstrip(")")) for where, candidate in unscored)


def _listed(found: Iterable[tuple[str, str]], order: Sequence[str], study: Study) -> str:
    """``stack and knn on adult and flights; knn on breast_cancer``: the things of equal places together."""
    places: dict[str, list[str]] = {}
    for where, what in sorted(found, key=lambda pair: (_rank(pair[0], study.datasets), pair[0])):
        places.setdefault(what, []).append(where)
    together: dict[tuple[str, ...], list[str]] = {}
    for what in sorted(places, key=lambda w: _rank(w, order)):
        together.setdefault(tuple(places[what]), []).append(what)
    return "; ".join(f"{_and(whats)} on {_and(wheres)}" for wheres, whats in together.items())


def _rank(name: str, order: Sequence[str]) -> int:
    return next((i for i, known in enumerate(order) if name == known or name.startswith(f"{known} (")), len(order))


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
