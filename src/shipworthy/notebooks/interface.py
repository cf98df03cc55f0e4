"""The parameters cell of a notebook as an interface: what may be given, of which type, in which range.

papermill itself injects any name and any type, so that a misspelt parameter changes nothing and a name can carry code.
Here a value reaches a kernel only after its name, type, range and choice were checked.

It does *not* know what a parameter is for.
"""

from __future__ import annotations

import ast
import io
import math
import re
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shipworthy.notebooks.shelf import path as shelf_path
from shipworthy.notebooks.shelf import read, suggestion
from shipworthy.records import InputError

SCALARS: Mapping[str, type] = {"bool": bool, "int": int, "float": float, "str": str}
_NUMBER = r"[-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"\(\s*({_NUMBER}) to ({_NUMBER})\s*\)")
_CHOICES = re.compile(r"\(one of: ([^()]*)\)")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One line of a parameters cell.

    Parameters
    ----------
    name : str
    type : str
        ``bool``, ``int``, ``float``, ``str``, or ``list[...]`` and ``dict[str, ...]`` of them.
    default : bool, int, float, str, list or dict
    help : str
        The trailing comment; ``(A to B)`` in it is a range, ``(one of: a, b)`` the choices.
    """

    name: str
    type: str
    default: Any
    help: str


def parameters(path: Path) -> tuple[Parameter, ...]:
    """The parameters that a notebook declares, in the order of its parameters cell.

    The cell is parsed, never executed.

    Parameters
    ----------
    path : Path
        The notebook.

    Returns
    -------
    tuple of Parameter

    Raises
    ------
    InputError
        If the notebook has no cell tagged ``parameters`` or more than one, or the cell holds anything but assignments of
        literals, one a line, each agreeing with its annotation, range and choices. The message names notebook and line.
    """
    cells = [cell for cell in read(path).cells if "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1 or cells[0].cell_type != "code":
        what = "no" if not cells else "more than one" if len(cells) > 1 else "a text"
        raise InputError(f"{path.name} has {what} cell tagged 'parameters': tag exactly one code cell.")
    return _declared(str(cells[0].source), path)


def _declared(source: str, path: Path) -> tuple[Parameter, ...]:
    """The parameters that a parameters cell declares; ``path`` names the notebook in messages."""
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        raise _refuse(path, error.lineno or 1, f"is not Python ({error.msg})") from error
    comments = _comments(source)
    found: dict[str, Parameter] = {}
    last_line = 0
    for statement in statements:
        line = statement.lineno
        if line <= last_line:
            raise _refuse(path, line, "holds two statements: write one assignment a line")
        last_line = statement.end_lineno or line
        parameter = _parameter(statement, comments.get(last_line, ""), path)
        if parameter.name in found:
            raise _refuse(path, line, f"assigns {parameter.name!r} a second time")
        found[parameter.name] = parameter
    return tuple(found.values())


def check_parameters(path: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values for a notebook's parameters, checked and made plain.

    Parameters
    ----------
    path : Path
        The notebook.
    values : mapping of str to value
        What to set; what is left out keeps its default. NumPy scalars become Python's, tuples lists, and an int given for
        a float a float.

    Returns
    -------
    dict
        Only the names that were given, in their order.

    Raises
    ------
    InputError
        For a name that the notebook does not declare (the message lists those that it does), a value of another type, out
        of its range or not among its choices, NaN, infinity, or a key that is no string.
    """
    return _checked(path, parameters(path), values)


def check_injected(name: str, namespace: Mapping[str, Any]) -> None:
    """Refuse, in the first cell after the parameters, what plain papermill let through: call it with ``globals()``.

    papermill puts what it was given into a cell of its own after the parameters cell, whatever its name and type. The two
    cells are read from IPython's input history, so a copy of a notebook with parameters of its own is held to its own.

    Parameters
    ----------
    name : str
        The notebook's name in the suite, for messages and for when its parameters cell has not been run.
    namespace : mapping of str to value
        The notebook's ``globals()``.

    Raises
    ------
    InputError
        As :func:`check_parameters`.

    Examples
    --------
    >>> check_injected("00_tour", {"dataset": "adult", "seed": 3})
    """
    history = [str(cell) for cell in namespace.get("In", ())]
    injected = next((i for i, cell in enumerate(history) if cell.startswith("# Parameters\n")), 0)
    where = Path(f"{name}.ipynb")
    if injected:
        declared = _declared(history[injected - 1], where)
        given = [
            t.id
            for s in ast.parse(history[injected]).body
            if isinstance(s, ast.Assign)
            for t in s.targets
            if isinstance(t, ast.Name)
        ]
    else:
        declared, given = parameters(shelf_path(name)), []
    known = [p.name for p in declared if p.name in namespace]
    _checked(where, declared, {n: namespace[n] for n in dict.fromkeys([*known, *given])})


def _checked(path: Path, parameters_of_cell: tuple[Parameter, ...], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values held to what a parameters cell declares; ``path`` names the notebook in messages."""
    declared = {p.name: p for p in parameters_of_cell}
    checked: dict[str, Any] = {}
    for name, value in values.items():
        if not isinstance(name, str) or name not in declared:
            known = ", ".join(declared) or "none"
            hint = suggestion(name, tuple(declared))
            raise InputError(f"{path.name} has no parameter {name!r}{hint}; its parameters are: {known}.")
        parameter = declared[name]
        try:
            checked[name] = _conform(value, ast.parse(parameter.type, mode="eval").body, name)
            _within(checked[name], parameter.help, name)
        except _UnfitError as error:
            raise InputError(f"{path.name}: {error}.") from error
    return checked


class _UnfitError(ValueError):
    """A value does not fit; the message is a sentence without its subject's notebook and without its full stop."""


def _refuse(path: Path, line: int, why: str) -> InputError:
    return InputError(f"{path.name}, parameters cell, line {line} {why}.")


def _comments(source: str) -> dict[int, str]:
    """The comment of each line that has one, without its mark."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("#").strip() for t in tokens if t.type == tokenize.COMMENT}


def _parameter(statement: ast.stmt, comment: str, path: Path) -> Parameter:
    line = statement.lineno
    annotation: ast.expr | None = None
    if isinstance(statement, ast.AnnAssign):
        target: ast.expr = statement.target
        annotation, given = statement.annotation, statement.value
    elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target, given = statement.targets[0], statement.value
    else:
        raise _refuse(path, line, "is no assignment: a parameters cell holds only `name: type = literal  # help`")
    if not isinstance(target, ast.Name) or given is None:
        raise _refuse(path, line, "must give one name one value: `name: type = literal  # help`")
    try:
        default = ast.literal_eval(given)
    except (ValueError, TypeError) as error:
        raise _refuse(path, line, f"gives {target.id!r} something that is not a literal") from error
    try:
        kind = annotation if annotation is not None else ast.parse(_infer(default, target.id), mode="eval").body
        default = _conform(default, kind, f"the default of {target.id}")
        _within(default, comment, f"the default of {target.id}")
    except _UnfitError as error:
        raise _refuse(path, line, f"cannot be used: {error}") from error
    return Parameter(target.id, ast.unparse(kind), default, comment)


def _infer(default: Any, name: str) -> str:
    """The type of an unannotated default."""
    if type(default).__name__ in SCALARS:
        return type(default).__name__
    if isinstance(default, list | dict) and default:
        kinds = {_infer(v, name) for v in (default if isinstance(default, list) else default.values())}
        if len(kinds) == 1:
            return f"list[{kinds.pop()}]" if isinstance(default, list) else f"dict[str, {kinds.pop()}]"
    raise _UnfitError(f"{name} needs an annotation of bool, int, float, str, or list[...] or dict[str, ...] of them")


def _conform(value: Any, kind: ast.expr, where: str) -> Any:
    """The value as a plain one of the annotated type; ``where`` names it in the message of refusal."""
    if isinstance(value, np.generic):
        value = value.item()
    match kind:
        case ast.Name(id=name) if name in SCALARS:
            return _scalar(value, name, where)
        case ast.Subscript(value=ast.Name(id="list"), slice=inner):
            if not isinstance(value, list | tuple):
                raise _UnfitError(_mismatch(value, kind, where))
            return [_conform(v, inner, f"{where}[{i}]") for i, v in enumerate(value)]
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[ast.Name(id="str"), inner])):
            if not isinstance(value, Mapping):
                raise _UnfitError(_mismatch(value, kind, where))
            if not all(isinstance(k, str) for k in value):
                raise _UnfitError(f"the keys of {where} must be strings")
            return {_scalar(k, "str", where): _conform(v, inner, f"{where}[{k!r}]") for k, v in value.items()}
    raise _UnfitError(
        f"{where} is annotated {ast.unparse(kind)!r}; annotate it with bool, int, float, str, or list[...] or dict[str, ...]"
    )


def _mismatch(value: Any, kind: ast.expr, where: str) -> str:
    return f"{where} must be {ast.unparse(kind)}, not {type(value).__name__} ({value!r:.60})"


def _scalar(value: Any, name: str, where: str) -> bool | int | float | str:
    """The value as exactly the scalar type named: subclasses (enumerations) lose what they add, bool is no int."""
    wrong = _UnfitError(f"{where} must be {name}, not {type(value).__name__} ({value!r:.60})")
    if isinstance(value, bool) != (name == "bool"):
        raise wrong
    if name == "bool":
        return bool(value)
    if name == "str" and isinstance(value, str):
        text = str.__str__(value)
        if not text.isascii() and text != text.encode("utf-8", errors="ignore").decode():
            raise _UnfitError(f"{where} holds half a character (a lone surrogate), which no file can hold")
        return text
    if name == "int" and isinstance(value, int):
        return int(value)
    if name == "float" and isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError as error:
            raise wrong from error
        if not math.isfinite(number):
            raise _UnfitError(f"{where} is {number}, which JSON cannot hold: give a finite number")
        return number
    raise wrong


def _within(value: Any, comment: str, where: str) -> None:
    """Hold a checked value, or each element of one, to the range and the choices that its help declares."""
    if isinstance(value, list | dict):
        for key, element in enumerate(value) if isinstance(value, list) else value.items():
            _within(element, comment, f"{where}[{key!r}]")
        return
    if bounds := _RANGE.search(comment):
        low, high = (float(b) for b in bounds.groups())
        if isinstance(value, str | bool):
            raise _UnfitError(f"{where} is {type(value).__name__} and cannot have the range {bounds.group()}")
        if not low <= value <= high:
            raise _UnfitError(f"{where} is {value!r}, out of its range {bounds.group()}")
    if choices := _CHOICES.search(comment):
        allowed = [choice.strip() for choice in choices.group(1).split(",")]
        if str(value) not in allowed:
            raise _UnfitError(f"{where} is {value!r}; it must be one of: {', '.join(allowed)}")
