"""Reads a study file, and says in one sentence what is wrong with it: file, line, field, remedy.

This module does *not* know how a study is planned or run.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import yaml

from shipworthy.experiments import own_estimators
from shipworthy.experiments.arms import arms_of, check_candidate, check_metric, check_wish, sentence, wishes
from shipworthy.experiments.own_ensembles import Declared
from shipworthy.experiments.own_files import LISTS, NAME, named
from shipworthy.records import QUANTITIES, DataFile, InputError, OwnEstimator, Study, Task, digest
from shipworthy.study.described import describe_ensembles

LARGEST_FILE = 1_000_000
COLON = "mapping values are not allowed here"
"""What YAML says of text such as ``question: Which is best: a or b?``."""


class _Loader(yaml.SafeLoader):
    """YAML's safe subset without dates: ``as_of: 2026-03-01`` stays the text that was written."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def builtin_names() -> tuple[str, ...]:
    """Names of the studies that come with the package."""
    return ("quick", "full", "full_multiclass", "full_regression")


def template(file: str) -> str:
    """A commented study to edit, as text."""
    text = resources.files("shipworthy.study").joinpath("builtin/template.yaml").read_text(encoding="utf-8")
    return text.format(file=file)


def read_study(name_or_file: str) -> Study:
    """A built-in study by name, or a study file.

    Parameters
    ----------
    name_or_file : str
        ``quick``, ``full``, or the path of a YAML file.

    Returns
    -------
    Study

    Raises
    ------
    InputError
        In one sentence with file, line and field, for anything that cannot be run.
    """
    if name_or_file in builtin_names():
        text = resources.files("shipworthy.study").joinpath(f"builtin/{name_or_file}.yaml").read_text(encoding="utf-8")
        return parse_study(text, f"{name_or_file}.yaml", usable=True)
    path = Path(name_or_file)
    if path.suffix not in {".yaml", ".yml"}:
        close = difflib.get_close_matches(name_or_file, builtin_names(), n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        built_in = ", ".join(builtin_names())
        raise InputError(f"no study is called {name_or_file!r}: built in are {built_in}; a file must end in .yaml{hint}")
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise InputError(f"{name_or_file}: is larger than a megabyte, which no study is; give the right file")
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise InputError(f"{name_or_file}: no such file; `shipworthy new {name_or_file}` makes one to edit") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{name_or_file}: is not text (byte {error.start} is not UTF-8); give a YAML file") from None
    except OSError as error:
        raise InputError(f"{name_or_file}: cannot be read ({error.strerror}); check the path and its permissions") from None
    return parse_study(text, name_or_file, usable=True)


def _line_of(root: yaml.Node | None, place: tuple[Any, ...]) -> int:
    """The line on which a field stands, or where it would have to be added."""
    node, line = root, 1
    for step in place:
        if isinstance(node, yaml.MappingNode):
            pairs = [(k, v) for k, v in node.value if isinstance(k, yaml.ScalarNode) and k.value == str(step)]
            if not pairs:
                break
            line, node = pairs[0][0].start_mark.line + 1, pairs[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _repeated_key(node: yaml.Node | None) -> yaml.ScalarNode | None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    return key
                seen.add(key.value)
            if (found := _repeated_key(value)) is not None:
                return found
    if isinstance(node, yaml.SequenceNode):
        for value in node.value:
            if (found := _repeated_key(value)) is not None:
                return found
    return None


def _refuse_aliases(text: str, where: str) -> None:
    """A study needs none, and a few lines of them can stand for more values than memory holds."""
    alias = next((t for t in yaml.scan(text, Loader=_Loader) if isinstance(t, yaml.AliasToken)), None)
    if alias is not None:
        line = alias.start_mark.line + 1
        raise InputError(f"{where}, line {line}: uses a YAML alias (*name), which a study does not need; write the value out")


def _compose(text: str, where: str) -> tuple[yaml.Node, Any]:
    """The YAML as nodes, for line numbers, and as plain values."""
    if "\x00" in text:
        raise InputError(f"{where}: is not text (it holds NUL bytes); give a YAML file")
    try:
        _refuse_aliases(text, where)
        root = yaml.compose(text, Loader=_Loader)
        values = yaml.load(text, Loader=_Loader)  # noqa: S506 - the loader is SafeLoader less its dates
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "it holds a character that YAML does not allow"
        remedy = "put text that holds a colon in quotes" if problem == COLON else "mend that line"
        raise InputError(f"{where}{line}: is not YAML ({problem}); {remedy}") from None
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: holds a value that YAML cannot read ({type(error).__name__}); write it plainly") from None
    if root is None or values is None:
        raise InputError(f"{where}: is empty; `shipworthy new my.yaml` makes a study to edit")
    if not isinstance(values, dict):
        raise InputError(f"{where}, line 1: a study is a list of `field: value` lines, not a {type(values).__name__}")
    if (key := _repeated_key(root)) is not None:
        raise InputError(f"{where}, line {key.start_mark.line + 1}: the field {key.value!r} is given twice; keep one")
    return root, values


def parse_study(text: str, where: str, *, usable: bool = False) -> Study:
    """A study from the text of a study file.

    Parameters
    ----------
    text : str
    where : str
        Name of the file, for messages.
    usable : bool
        Whether the study is about to run: somebody's own estimators are then imported and looked at. Reading the study of a run
        that is over runs no code of theirs.

    Raises
    ------
    InputError
        In one sentence with file, line and field.
    """
    from pydantic import TypeAdapter, ValidationError

    root, values = _compose(text, where)
    files = _describe_files(values, where, root)
    described = describe_ensembles(values, where, partial(_line_of, root))
    described["estimators"] = own = _describe_estimators(values, where, root)
    try:
        # Through JSON, in which lists are lists and keys are text: strict validation then refuses "5" for 5.
        # As bytes: half a surrogate pair is refused here, as a UnicodeEncodeError.
        study: Study = TypeAdapter(Study).validate_json(json.dumps(values, ensure_ascii=False).encode(), strict=True)
    except ValidationError as error:
        place = tuple(error.errors(include_url=False)[0]["loc"])
        meant_at = _as_written(place, files, described)
        line = f"{where}, line {_line_of(root, meant_at)}"
        if units := _mixed_units(values, place):
            raise InputError(f"{line}: {units}") from None
        shown, meant = (".".join(str(p) for p in which) for which in (place, meant_at))
        raise InputError(sentence(error, line).replace(f" {shown} ", f" {meant} ", 1)) from None
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: holds a value that is no text, number, list or field ({error}); write it plainly") from None
    for field, problem in _problems(study) or (_unusable(study, own) if usable else ()):
        raise InputError(f"{where}, line {_line_of(root, field)}: {'.'.join(str(p) for p in field)}: {problem}")
    return study


WITH_UNIT = re.compile(r"\s*([-+]?[\d.,]+)\s*([A-Za-z%][A-Za-z/_ ]*)\s*")


def _mixed_units(values: dict[str, Any], place: tuple[Any, ...]) -> str:
    """What is wrong with a limit that was written with a unit, such as ``50 ms``; empty if that is not what is wrong."""
    if len(place) != 3 or place[0] != "requirements" or place[2] not in {"at_most", "at_least"}:
        return ""
    requirement = values["requirements"][place[1]]
    written = WITH_UNIT.fullmatch(str(requirement[place[2]]))
    known = QUANTITIES.get(str(requirement.get("quantity")))
    if written is None or known is None:
        return ""
    unit = f"in {known.unit}" if known.unit else "which has no unit"
    name = ".".join(str(p) for p in place)
    return f"{name}: {requirement[place[2]]!r:.60} mixes a number and a unit; give {known.name}, {unit}, as a number alone"


def _describe_files(values: dict[str, Any], where: str, root: yaml.Node) -> list[int]:
    """Take the files described among the data sets out into ``files``; returns the place in ``datasets`` of each."""
    entries = values.get("datasets")
    if not isinstance(entries, list) or not any(isinstance(e, dict) for e in entries):
        return []
    if not isinstance(held := values.get("files") or [], list):
        return []  # the types of a study say what is wrong
    places, described = [], list(held)
    for place, entry in enumerate(entries):
        if not isinstance(entry, dict):
            continue
        line = _line_of(root, ("datasets", place))
        for field in ("file", "target"):
            if not isinstance(entry.get(field), str) or not entry[field]:
                raise InputError(
                    f"{where}, line {line}: datasets.{place}.{field} is missing or no text; give the {field} of your file"
                )
        one: dict[str, Any] = {k: [v] if k in LISTS and isinstance(v, str) else v for k, v in entry.items()}
        # A path is meant as seen from the study file, and must be found from anywhere afterwards.
        one["file"] = str((Path(where).parent / entry["file"]).resolve())
        try:
            one["name"] = named(DataFile(file=one["file"], target=one["target"], name=str(entry.get("name", "")))).name
        except InputError as error:
            raise InputError(f"{where}, line {line}: datasets.{place}: {error}") from None
        entries[place] = one["name"]
        places.append(place)
        described.append(one)
    values["files"] = described
    return places


def _describe_estimators(values: dict[str, Any], where: str, root: yaml.Node) -> list[int]:
    """Take the estimators described among the candidates out into ``estimators``; the place in ``candidates`` of each.

    A text with a colon is an import path alone.
    """
    entries = values.get("candidates")
    held = values.get("estimators") or []
    if not isinstance(entries, list) or not isinstance(held, list):
        return []  # the types of a study say what is wrong
    places, described = [], list(held)
    for place, entry in enumerate(entries):
        if isinstance(entry, str) and ":" in entry:
            entry = {"estimator": entry}  # noqa: PLW2901 - the same thing in one form
        if not isinstance(entry, dict):
            continue
        line = f"{where}, line {_line_of(root, ('candidates', place))}"
        if not isinstance(entry.get("estimator"), str) or not entry["estimator"]:
            remedy = "give the import path of your own, such as my_package.models:MyModel"
            raise InputError(f"{line}: candidates.{place}.estimator is missing or no text; {remedy}")
        one = {**entry, "folder": str(Path(where).parent.resolve())}
        try:
            one["name"] = own_estimators.named(OwnEstimator(estimator=one["estimator"], name=str(entry.get("name", "")))).name
        except InputError as error:
            raise InputError(f"{line}: candidates.{place}: {error}") from None
        entries[place] = one["name"]
        places.append(place)
        described.append(one)
    if places:
        values["estimators"] = described
    return places


def _unusable(study: Study, own: list[int]) -> list[tuple[tuple[Any, ...], str]]:
    """What is wrong with somebody's own estimators, which are imported to be looked at, and with ensembles of them."""
    found: list[tuple[tuple[Any, ...], str]] = []
    written = len(study.estimators) - len(own)
    for index, described in enumerate(study.estimators):
        field = ("candidates", own[index - written]) if index >= written else ("estimators", index)
        try:
            own_estimators.candidate_in(described.name, study.estimators)
        except InputError as error:
            found.append((field, str(error)))
    declared = Declared.of(study)
    for index, name in enumerate(study.candidates if not found else ()):
        try:
            if declared.imports(name):
                declared.candidate(name)
        except InputError as error:
            found.append((("candidates", index), str(error)))
    return found


def _as_written(place: tuple[Any, ...], files: list[int], ensembles: Mapping[str, list[int]]) -> tuple[Any, ...]:
    """The place of a field in the study as it was written, where files and candidates are described among the names."""
    described = {"files": ("datasets", files), **{field: ("candidates", places) for field, places in ensembles.items()}}
    if len(place) > 1 and place[0] in described and isinstance(place[1], int):
        field, places = described[place[0]]
        if place[1] < len(places) and places[place[1]] >= 0:
            return (field, places[place[1]], *place[2:])
    return place


def _problems(study: Study) -> list[tuple[tuple[Any, ...], str]]:
    """What the types cannot see: names that do not exist, repeats, and things that contradict each other."""
    from shipworthy import datasets, feasibility

    found: list[tuple[tuple[Any, ...], str]] = []

    own, declared = {f.name for f in study.files}, Declared.of(study)

    def check(field: tuple[Any, ...], attempt: Any) -> None:
        try:
            attempt()
        except InputError as error:
            # The field is told already; and a study has no parameters.
            found.append((field, str(error).removeprefix(f"{field[0]}: ").removeprefix("parameters: ")))

    if not NAME.fullmatch(study.name):
        found.append((("name",), f"{study.name!r:.80} cannot name a folder; use letters, digits, _ and - (64 at most)"))
    for index, name in enumerate(study.datasets):
        check(("datasets", index), lambda name=name: None if name in own else datasets.summary(name))
    for index, name in enumerate(study.candidates):
        check(("candidates", index), lambda name=name: None if declared.imports(name) else declared.candidate(name))
    repeated = [f for f in ("datasets", "candidates", "seeds") if len(set(getattr(study, f))) < len(getattr(study, f))]
    found += [((field,), "names something twice; name it once") for field in repeated]
    if study.metric not in _metrics():
        found.append((("metric",), f"{study.metric!r:.80} is no metric; choose one of {', '.join(_metrics())}"))
    check(("requirements",), lambda: feasibility.check_requirements(study.requirements))
    elsewhere = [(i, r.dataset) for i, r in enumerate(study.requirements) if not any(r.judges(d) for d in study.datasets)]
    here = ", ".join(study.datasets)
    found += [
        (("requirements", i, "dataset"), f"{d!r:.80} is no data set of this study; name one of {here}") for i, d in elsewhere
    ]
    for index, requirement in enumerate(study.requirements):
        check(("requirements", index), lambda r=requirement: feasibility.check_requirement(r))
    unused = [e.name for e in declared.ensembles if e.name not in study.candidates]
    found += [(("candidates",), f"lacks {name!r:.80}, which the study describes; name it there") for name in unused]
    names = [r.name for r in study.requirements]
    if len(set(names)) < len(names):
        found.append((("requirements",), "two requirements have the same name; give each its own"))
    found += _load_problems(study)
    found += _stakeholder_problems(study)
    found += feasibility.money_problems(study.economics, study.prices)
    found += [(("sweep", f), "names a value twice; name it once") for f, v in study.sweep.items() if len(set(v)) < len(v)]
    if not found:
        check(("sweep",), lambda: arms_of(study))
        _check_tasks(study, check)
    return found


def _load_problems(study: Study) -> list[tuple[tuple[Any, ...], str]]:
    """Names under ``load`` that the study does not have."""
    found: list[tuple[tuple[Any, ...], str]] = []
    for field, known in (("candidates", study.candidates), ("datasets", study.datasets)):
        if strange := [name for name in getattr(study.load, field) if name not in known]:
            remedy = f"name some of the study's own: {', '.join(known)}"
            found.append((("load", field), f"{strange[0]!r:.80} is not among the study's {field}; {remedy}"))
    return found


def _stakeholder_problems(study: Study) -> list[tuple[tuple[Any, ...], str]]:
    """Wishes that cannot be added up or met, at the line of whose they are; a study may name nobody."""
    from shipworthy import feasibility

    for index in range(len(study.stakeholders)):
        try:
            feasibility.check_stakeholders(study.stakeholders[: index + 1])
        except InputError as error:
            return [(("stakeholders", index), str(error))]
    return []


def _check_tasks(study: Study, check: Callable[[tuple[Any, ...], Callable[[], None]], None]) -> None:
    """Hold metric and candidates to the task of each data set."""
    from shipworthy import datasets

    # What a file asks is known only when it is read, which a run does before it writes anything.
    tasks = {name: datasets.task(name) for name in study.datasets if name not in {f.name for f in study.files}}
    check(("metric",), partial(_check_common, tuple(tasks.values())))
    for name, task in tasks.items():
        check(("metric",), partial(check_metric, study.metric, task, name))
        # What somebody's own estimator can do is known only when it is imported, which reading a study does not.
        declared = Declared.of(study)
        for index, candidate in enumerate(study.candidates):
            if not declared.imports(candidate):
                check(("candidates", index), partial(check_candidate, candidate, task, name, declared))
        for place, quantity in wishes(study, name):
            check(place, partial(check_wish, quantity, task, name))


def _check_common(tasks: tuple[Task, ...]) -> None:
    """Refuse data sets whose tasks have no metric in common: whichever is named, it would be wrong for one of them."""
    if tasks and not set.intersection(*(set(_metrics((task,))) for task in tasks)):
        raise InputError("no metric fits the tasks of all data sets here; give each task a study of its own")


def _metrics(tasks: tuple[Task, ...] = get_args(Task)) -> tuple[str, ...]:
    """The metrics of any of these tasks."""
    from shipworthy.measurement import accuracy

    return tuple(dict.fromkeys(m for task in tasks for m in accuracy.metrics_for(task)))


def as_yaml(study: Study) -> str:
    """The resolved study as a file that :func:`parse_study` reads back to the same study; its last line says that it is whole."""
    plain = json.loads(json.dumps(asdict(study)))
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120, explicit_end=True)


def study_digest(study: Study) -> str:
    """8 hex digits that name the resolved study; in how many minutes it is to answer is no part of what it asks."""
    asked = {field: value for field, value in asdict(study).items() if field != "within_minutes"}
    return digest(json.dumps(asked, sort_keys=True), length=8)
