"""Where the suite's notebooks lie, and how one is read from and written to disk.

It does *not* know what a cell means: only that a notebook is a list of cells.
"""

from __future__ import annotations

import json
import uuid
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any

from shipworthy.records import InputError, digest


def folder() -> Path:
    """Where the suite's notebooks are.

    Returns
    -------
    Path
        ``notebooks/`` of the checkout where the package is installed from one in editable mode, else the packaged copy.

    Raises
    ------
    InputError
        If neither exists: the installation is incomplete.
    """
    package = Path(str(resources.files("shipworthy")))
    checkout = package.parent.parent / "notebooks"
    if package.parent.name == "src" and checkout.is_dir():
        return checkout
    packaged = package / "_notebooks"
    if packaged.is_dir():
        return packaged
    raise InputError(f"The notebooks are neither in {checkout} nor in {packaged}: install shipworthy again.")


def names() -> tuple[str, ...]:
    """The notebooks of the suite, sorted: file names without ``.ipynb``, the workshop's left out.

    Returns
    -------
    tuple of str
    """
    return tuple(sorted(p.stem for p in folder().glob("*.ipynb")))


def path(name: str) -> Path:
    """The file of one notebook of the suite.

    Parameters
    ----------
    name : str
        One of :func:`names`, or ``workshop/exercises/`` or ``workshop/solutions/`` and the name of a notebook there.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If there is no such notebook; the message lists those of the suite.
    """
    known = names()
    room, _, stem = name.rpartition("/")
    workshop = room in {"workshop/exercises", "workshop/solutions"} and (folder() / room / f"{stem}.ipynb").is_file()
    if name not in known and not workshop:
        raise InputError(f"There is no notebook {name!r}{suggestion(name, known)}; notebooks are: {', '.join(known) or 'none'}.")
    return folder() / f"{name}.ipynb"


def title(name: str) -> str:
    """The question that a notebook of the suite asks: its first heading.

    Parameters
    ----------
    name : str
        One of :func:`names`.

    Returns
    -------
    str
    """
    lines = str(read(path(name)).cells[0].source).splitlines()
    return next(line[2:].strip() for line in lines if line.startswith("# "))


def source_digest(name: str) -> str:
    """Identity of what a notebook does: a hash of the kinds and sources of its cells, and of nothing else.

    Outputs, execution counts, cell ids and metadata do not matter, so that running a notebook in JupyterLab changes nothing.

    Parameters
    ----------
    name : str
        One of :func:`names`.

    Returns
    -------
    str
        Sixteen hex digits.

    Raises
    ------
    InputError
        If there is no such notebook, or its file is no notebook.
    """
    return digest(*((cell.cell_type, cell.source) for cell in read(path(name)).cells))


def suggestion(name: object, known: tuple[str, ...]) -> str:
    """``", did you mean 'x'?"`` where a known name is close, else nothing."""
    close = get_close_matches(str(name), known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def read(notebook: Path) -> Any:
    """The notebook as an nbformat 4 ``NotebookNode``, valid and with an id on every cell.

    Raises
    ------
    InputError
        If the file cannot be read or is no valid notebook.
    """
    import nbformat

    library: Any = nbformat  # It is typed in part only.
    try:
        text = notebook.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"The notebook {notebook} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"The notebook {notebook} is not text in UTF-8: is it really a notebook?") from error
    try:
        # Not nbformat.reads: it logs what is wrong and carries on, and it warns of missing ids.
        node = library.v4.upgrade(library.convert(library.reader.reads(text), 4))
        ids = [cell.get("id") for cell in node.cells]
        if None in ids or len(set(ids)) < len(ids):
            for number, cell in enumerate(node.cells):
                cell["id"] = str(number)
        library.validate(node)
    except (nbformat.ValidationError, AttributeError, KeyError, TypeError, ValueError) as error:
        reason = str(error).split("\n", 1)[0][:200]
        raise InputError(f"{notebook} is not a valid notebook: {reason}") from error
    return node


def write(text: str, target: Path) -> None:
    """Write text at once or not at all: beside the target, then renamed over it. Lines end as they do in the text.

    Raises
    ------
    OSError
        If the folder cannot be made or written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.parent / f".{target.stem[:40]}-{uuid.uuid4().hex}.part"
    try:
        # A lone surrogate (a cell may print one) has no UTF-8, but \\udXXX is what JSON would write for it.
        beside.write_bytes(text.encode("utf-8", errors="backslashreplace"))
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def to_json(node: Any) -> str:
    """The notebook as valid JSON with sorted keys, one line a source line and a newline at the end.

    NaN and infinity, which JSON has not, become null.
    """
    import nbformat

    library: Any = nbformat  # It is typed in part only.
    try:
        json.dumps(node, allow_nan=False)
    except ValueError:
        node = library.from_dict(json.loads(json.dumps(node), parse_constant=lambda _: None))
    return str(library.v4.writes_json(node)).rstrip("\n") + "\n"
