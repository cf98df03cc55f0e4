"""Keeps notebooks in the form in which they are committed, and derives exercises from solutions.

In that form a notebook has no outputs, no counts, no metadata but the kernel's name and the cells' tags, and cell ids that
number the cells: two people who run and strip the same notebook get the same bytes.

It does *not* know whether a notebook runs.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from shipworthy.notebooks.shelf import folder, read, to_json, write
from shipworthy.records import InputError

EXERCISE, SOLUTION = "exercise", "solution"
# What papermill adds to an executed copy: its parameters, and the banners around a cell that failed.
_PAPERMILL_TAGS = ("injected-parameters", "papermill-error-cell-tag")
_KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def strip(path: Path) -> str:
    """The text of a notebook as it is committed.

    Parameters
    ----------
    path : Path
        The notebook, executed or not.

    Returns
    -------
    str
        JSON, the same for every copy with the same sources and tags.

    Raises
    ------
    InputError
        If the file is no valid notebook.
    """
    return to_json(_stripped(read(path)))


def is_stripped(path: Path) -> bool:
    """Whether a notebook's file is exactly what :func:`strip` makes of it.

    Parameters
    ----------
    path : Path

    Returns
    -------
    bool

    Raises
    ------
    InputError
        If the file is no valid notebook.
    """
    return strip(path) == path.read_text(encoding="utf-8")


def strip_file(path: Path) -> bool:
    """Strip a notebook in place.

    Parameters
    ----------
    path : Path

    Returns
    -------
    bool
        Whether the file had to be changed.

    Raises
    ------
    InputError
        If the file is no valid notebook.
    """
    text = strip(path)
    if text == path.read_text(encoding="utf-8"):
        return False
    write(text, path)
    return True


def derive_exercise(solution: Path) -> str:
    """The exercise that belongs to an authored solution: the same notebook without its cells tagged ``solution``.

    The title says that it is an exercise. Cells tagged ``exercise`` (where the answer goes) and ``check`` stay.

    Parameters
    ----------
    solution : Path
        The authored notebook.

    Returns
    -------
    str
        The exercise's text, stripped: the same bytes every time.

    Raises
    ------
    InputError
        If the notebook has no title, no cell tagged ``solution`` or none tagged ``exercise``.
    """
    from nbstripout import strip_output

    node = read(solution)
    for tag in (SOLUTION, EXERCISE):
        if not any(tag in cell.metadata.get("tags", []) for cell in node.cells):
            raise InputError(f"{solution.name} has no cell tagged {tag!r}: an exercise cannot be derived from it.")
    title = re.compile(r"^# (?:Solution: )?", re.MULTILINE)
    if not node.cells or node.cells[0].cell_type != "markdown" or not title.search(node.cells[0].source):
        raise InputError(f"{solution.name} has no title: its first cell must be text with a line that starts with '# '.")
    node.cells[0].source = title.sub("# Exercise: ", node.cells[0].source, count=1)
    node = strip_output(node, keep_output=False, keep_count=False, keep_id=False, drop_tagged_cells=[SOLUTION])
    return to_json(_stripped(node))


def write_exercises() -> tuple[Path, ...]:
    """Make ``workshop/exercises`` agree with ``workshop/solutions``: write what differs, delete what has no solution.

    Returns
    -------
    tuple of Path
        The files that had to be written or deleted; none when the exercises were current.

    Raises
    ------
    InputError
        If an exercise cannot be derived from a solution.
    """
    solutions, exercises = folder() / "workshop" / "solutions", folder() / "workshop" / "exercises"
    wanted = {exercises / s.name: derive_exercise(s) for s in sorted(solutions.glob("*.ipynb"))}
    changed = []
    for target, text in wanted.items():
        if not target.is_file() or target.read_text(encoding="utf-8") != text:
            write(text, target)
            changed.append(target)
    for stale in sorted(set(exercises.glob("*.ipynb")) - set(wanted)):
        stale.unlink()
        changed.append(stale)
    return tuple(changed)


def _stripped(node: Any) -> Any:
    """The notebook in its committed form."""
    from nbstripout import strip_output

    for cell in node.cells:
        # Only tags mean something; the rest is how one person's editor looked. Without it nbstripout keeps no output either.
        tags = [tag for tag in cell.metadata.get("tags", []) if tag != "keep_output"]
        cell["metadata"] = type(node)({"tags": tags} if tags else {})
    kernel = dict(node.metadata.get("kernelspec", _KERNEL))
    if kernel.get("name") == _KERNEL["name"]:
        kernel = _KERNEL
    node["metadata"] = type(node)({"kernelspec": {key: kernel.get(key, "") for key in _KERNEL}})
    for tag in _PAPERMILL_TAGS:
        # One tag a call: given several, nbstripout 0.9.1 drops only the cells that carry the last one.
        node = strip_output(node, keep_output=False, keep_count=False, keep_id=False, drop_tagged_cells=[tag])
    node["nbformat_minor"] = 5
    return node
