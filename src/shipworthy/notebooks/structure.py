"""What every notebook of the suite looks like, so that a reader who knows one knows them all.

Title as a question, parameters, one import cell that also checks them, short cells that call the package, "What to notice".
These are rules of form, checked without running anything.

It does *not* know whether a notebook is right.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from shipworthy.notebooks.interface import parameters
from shipworthy.notebooks.shelf import read
from shipworthy.notebooks.upkeep import is_stripped
from shipworthy.records import InputError

MAX_CODE_CELLS = 15
MAX_LINES = 15
MAX_IMPORTS = 18
"""Lines of the import cell, which also checks what the parameters say."""
MAX_PARAMETERS = 24
"""Lines of the parameters cell, which is a table to look things up in, not code to follow."""
_FENCE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.MULTILINE | re.DOTALL)
_ABSOLUTE = re.compile(r"/[A-Za-z]|[A-Za-z]:[\\/]|~[/\\]|\\\\\w")
# In prose a slash is common ("and/or", URLs), so only the folders that a machine really has count.
_ABSOLUTE_IN_TEXT = re.compile(r"(?<![\w:/.~-])(?:/(?:home|Users|root|tmp|var|opt|mnt|srv|work|etc|usr)/|[A-Z]:\\|~/)")


def check_structure(path: Path) -> list[str]:
    """How a notebook departs from the form that all share.

    Parameters
    ----------
    path : Path
        The notebook. One that lies in a folder ``workshop`` may define functions and classes.

    Returns
    -------
    list of str
        One sentence a departure, naming the cell by its place (text cells counted, from 1); empty for a notebook in form.

    Raises
    ------
    InputError
        If the file is no valid notebook.
    """
    node = read(path)
    cells = list(enumerate(node.cells, start=1))
    code = [(number, str(cell.source)) for number, cell in cells if cell.cell_type == "code"]
    text = [(number, _FENCE.sub("", str(cell.source))) for number, cell in cells if cell.cell_type == "markdown"]
    found = [*_title(text), *_parameters_cell(path, node), *_budgets(code), *_prose(text)]
    for number, source in code:
        try:
            tree = ast.parse(source)
        except SyntaxError as error:
            found.append(f"Cell {number} is not plain Python: {error.msg} (line {error.lineno}).")
            continue
        found += _code_cell(
            number, tree, may_import=number == _second(code), may_define="workshop" in path.resolve().parts[-3:-1]
        )
    if node.metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("The kernel must be 'python3', which every Jupyter has.")
    if not is_stripped(path):
        found.append("It is not stripped: outputs, counts or an editor's metadata are left in it.")
    return found


def _second(code: list[tuple[int, str]]) -> int:
    """The number of the second code cell: the imports. The first holds the parameters."""
    return code[1][0] if len(code) > 1 else 0


def _title(text: list[tuple[int, str]]) -> list[str]:
    titles = [(number, line) for number, source in text for line in source.splitlines() if line.startswith("# ")]
    if len(titles) != 1:
        return [f"It has {len(titles)} titles (lines that start with '# '): it must have one."]
    number, line = titles[0]
    found = [] if number == 1 else [f"The title is in cell {number}: it belongs in the first."]
    if not line.rstrip().endswith("?"):
        found.append(f"The title {line[2:].strip()!r} is not a question: end it with '?'.")
    return found


def _parameters_cell(path: Path, node: Any) -> list[str]:
    try:
        parameters(path)
    except InputError as error:
        return [str(error)]
    code = [cell for cell in node.cells if cell.cell_type == "code"]
    if "parameters" not in code[0].metadata.get("tags", []):
        return ["The parameters cell must be the first code cell."]
    if len(code) < 2 or not any(line.startswith(("import ", "from ")) for line in str(code[1].source).splitlines()):
        return ["The code cell after the parameters must be the import cell."]
    return []


def _budgets(code: list[tuple[int, str]]) -> list[str]:
    found = [] if len(code) <= MAX_CODE_CELLS else [f"It has {len(code)} code cells: at most {MAX_CODE_CELLS}."]
    for place, (number, source) in enumerate(code):
        most = (MAX_PARAMETERS, MAX_IMPORTS, MAX_LINES)[min(place, 2)]
        if (lines := len(source.splitlines())) > most:
            found.append(f"Cell {number} has {lines} lines: at most {most}.")
    return found


def _prose(text: list[tuple[int, str]]) -> list[str]:
    found = [f"Cell {number} names an absolute path." for number, source in text if _ABSOLUTE_IN_TEXT.search(source)]
    if not any(re.search(r"^#{2,6} What to notice\b", source, re.MULTILINE) for _, source in text):
        found.append("It has no heading 'What to notice'.")
    return found


def _code_cell(number: int, tree: ast.Module, *, may_import: bool, may_define: bool) -> list[str]:
    found = []
    nodes = list(ast.walk(tree))
    if not may_import and any(isinstance(n, ast.Import | ast.ImportFrom) for n in nodes):
        found.append(f"Cell {number} imports: all imports belong in the cell after the parameters.")
    if not may_define and any(isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda) for n in nodes):
        found.append(f"Cell {number} defines a function or class: code lives in the package, notebooks call it.")
    strings = (n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str))
    if any(_ABSOLUTE.match(s) for s in strings):
        found.append(f"Cell {number} names an absolute path.")
    return found
