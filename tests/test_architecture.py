"""The rules of the house: who may import whom, how large a module grows, what it must say, what is never committed."""

from __future__ import annotations

import ast
import importlib
import io
import json
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
NOTEBOOKS = sorted(p for p in (ROOT / "notebooks").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
HEAVY = ("pandas", "sklearn", "xgboost", "matplotlib", "seaborn", "papermill", "pyarrow", "scipy", "skops", "numba")


def relative(path: Path) -> str:
    """The path as a test id."""
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    """The parsed module."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def docstring_lines(module: ast.Module) -> set[int]:
    """The lines that docstrings fill, and the strings that document an attribute below it."""
    return {
        line
        for node in ast.walk(module)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def lines_of_code(text: str) -> int:
    """How many lines hold code: neither blank, nor only a comment, nor part of a docstring."""
    idle = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    code = {
        line
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in idle
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(code - docstring_lines(ast.parse(text)))


def imported(module: ast.Module) -> set[str]:
    """The top-level packages that a module imports anywhere, in functions too; imports for types alone do not count."""
    typed = {
        inner
        for node in ast.walk(module)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    found = set()
    for node in ast.walk(module):
        if node in typed:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def public_definitions(module: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Public functions and classes of a module, and the public methods of its public classes."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in module.body:
        if isinstance(node, kinds) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from (inner for inner in node.body if isinstance(inner, kinds) and not inner.name.startswith("_"))


def tracked_files() -> list[Path]:
    """What is committed, or would be: tracked files, and untracked ones that git does not ignore."""
    try:
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"git cannot list the files of this folder ({error}); run the tests in a clone made with `git clone`")
    return [path for name in answer.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_imports_run_one_way():
    """import-linter finds no import that goes up or across rooms, and no module that the plan of the house does not name."""
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True, no_logo=True))"
    command = [sys.executable, "-c", code]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_no_module_passes_400_lines_of_code(path):
    """A module that outgrows 400 lines of code has two jobs, and is split."""
    assert lines_of_code(path.read_text(encoding="utf-8")) <= 400


def test_lines_of_code_ignores_docstrings_comments_and_blank_lines():
    """The counter counts what a reader must follow, and each line of a statement that spans several."""
    text = '"""Doc.\n\nMore.\n"""\n\n# why\nx = [\n    1,\n]  # here\n\n\ndef f():\n    """Doc."""\n    return """a\nb"""\n'
    assert lines_of_code(text) == 6


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_module_ends_its_docstring_with_what_it_does_not_know(path):
    """The last sentence of every module's docstring draws its border: it says what the module does *not* know."""
    doc = ast.get_docstring(tree(path)) or ""
    last = re.split(r"(?<=\.)\s+", doc.strip())[-1]
    assert re.search(r"\b(not|nothing|never)\b", last), f"the docstring ends with {last!r}"
    assert last.endswith(".")


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_public_things_are_documented_and_take_no_bag_of_arguments(path):
    """Every public function, class and method has a summary that is a sentence, and names every argument that it takes."""
    module = tree(path)
    # A method of a class that inherits has the signature of what it overrides.
    overrides = {inner for outer in ast.walk(module) if isinstance(outer, ast.ClassDef) and outer.bases for inner in outer.body}
    for node in public_definitions(module):
        doc = ast.get_docstring(node) or ""
        assert doc.split("\n\n")[0].rstrip().endswith("."), f"the docstring of {node.name} needs a summary that ends in a period"
        if not isinstance(node, ast.ClassDef) and node not in overrides:
            assert node.args.kwarg is None, f"{node.name} takes a bag of keyword arguments: name them"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_names_say_what_is_inside(path):
    """No module is called after its lack of a subject."""
    empty = {"utils", "util", "helpers", "helper", "common", "base", "core", "manager", "misc"}
    assert not empty & {part.removesuffix(".py").strip("_") for part in path.relative_to(ROOT / "src").parts}


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_only_notebooks_knows_papermill_and_only_reporting_draws(path):
    """Papermill is behind one door, and figures are drawn in one room."""
    names, where = imported(tree(path)), path.relative_to(ROOT / "src" / "shipworthy").parts[0]
    assert "papermill" not in names or where in {"notebooks", "notebooks.py"}
    assert not {"matplotlib", "seaborn", "altair"} & names or where == "reporting"


@pytest.mark.parametrize("module", ["shipworthy", "shipworthy.cli"])
def test_importing_the_door_imports_nothing_heavy(module):
    """`import shipworthy` and the command start light: what is heavy is imported where it is used."""
    code = f"import sys, {module}; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.split() == []


def test_what_is_committed_names_no_index_and_no_machine():
    """No tracked file holds the address of a package index or a path of somebody's machine."""
    # The words are put together here, so that this file does not hold them.
    hosts = ["py" + "pi.org", "python" + "hosted.org", "index" + "-url", "find" + "-links", "trusted" + "-host"]
    places = [
        "/ro" + "ot/",
        "/ho" + "me/(?!me/|you/)",
        "/Us" + "ers/(?!me/|you/)",
        "/wo" + "rk/",
        "/opt/whe" + "els",
        r"C:\\Us" + "ers",
    ]
    forbidden = re.compile("|".join([*map(re.escape, hosts), *(rf"(?<![\w.]){p}" for p in places)]))
    found = []
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # An image holds no text.
        for number, line in enumerate(text.splitlines(), start=1):
            found += [f"{relative(path)}:{number}: {hit.group()}" for hit in forbidden.finditer(line)]
    assert found == []


def test_what_is_committed_is_small():
    """No data set, model or executed notebook is committed: no tracked file passes 512 KiB."""
    assert [relative(p) for p in tracked_files() if p.stat().st_size > 512 * 1024] == []


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_no_test_is_skipped_without_a_reason(path):
    """Every skip and expected failure says why, and so how to make it run."""
    skips = re.compile(r"pytest\.(mark\.)?(skip|skipif|xfail|importorskip)")
    explained = set()
    for call in (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        by_position = name in {"pytest.skip", "pytest.xfail", "pytest.mark.skip"} and call.args
        if skips.fullmatch(name) and (by_position or any(k.arg == "reason" for k in call.keywords)):
            explained.add(call.func.lineno)
    named = {n.lineno for n in ast.walk(tree(path)) if isinstance(n, ast.Attribute) and skips.fullmatch(ast.unparse(n))}
    assert named - explained == set(), f"{path.name}: a skip without a reason in these lines"


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_every_test_reads_as_a_claim(path):
    """Every test says in one sentence what it shows."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            doc = ast.get_docstring(node) or ""
            assert doc.split("\n\n")[0].rstrip().endswith("."), f"{path.name}:{node.lineno}: {node.name} has no sentence"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=relative)
def test_committed_notebooks_hold_no_outputs(path):
    """A committed notebook is a question, not an answer: no outputs, no counts, and nothing that papermill left behind."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert not {"papermill", "language_info", "widgets"} & notebook["metadata"].keys()
    for cell in notebook["cells"]:
        assert not {"papermill", "execution"} & cell["metadata"].keys()
        assert "injected-parameters" not in cell["metadata"].get("tags", [])
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


@pytest.mark.parametrize(
    "room", ["", "candidates", "datasets", "experiments", "feasibility", "measurement", "records", "reporting", "simulation"]
)
def test_a_room_offers_what_it_says_it_offers(room):
    """Every name in ``__all__`` is there: a notebook that asks for it must not be the first to find out."""
    module = importlib.import_module(f"shipworthy.{room}".rstrip("."))
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
