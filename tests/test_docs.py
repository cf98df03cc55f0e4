"""What the documents say is so: examples run, and every command that is named exists."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest
import typer

import shipworthy

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "outputs/README.md"]
MODULES = sorted(m.name for m in pkgutil.walk_packages(shipworthy.__path__, "shipworthy.") if not m.name.endswith(".child"))


def text(name: str) -> str:
    """The document."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(document: str, *languages: str) -> list[str]:
    """The fenced blocks of a document in these languages."""
    return [
        body
        for language, body in re.findall(r"^```(\w*)\n(.*?)^```", document, flags=re.MULTILINE | re.DOTALL)
        if language in languages
    ]


def commands(document: str) -> list[str]:
    """Every command line of a document: lines of console blocks, and inline code."""
    shell = "\n".join(blocks(document, "console", "sh", "bash", "powershell"))
    prose = re.sub(r"^```.*?^```", "", document, flags=re.MULTILINE | re.DOTALL)
    return [line.strip().removeprefix("$ ") for line in shell.splitlines()] + re.findall(r"`([^`\n]+)`", prose)


@pytest.mark.parametrize("module", ["shipworthy", *MODULES])
def test_examples_in_docstrings_run(module):
    """Every example in a docstring gives what it shows."""
    result = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


@pytest.mark.parametrize("document", DOCUMENTS)
def test_named_make_targets_exist(document):
    """A document names no make target that the Makefile lacks."""
    targets = set(re.findall(r"^([a-z]+):", text("Makefile"), flags=re.MULTILINE))
    named = {word for line in commands(text(document)) for word in re.findall(r"^make ([a-z]+)", line)}
    assert named <= targets


@pytest.mark.parametrize("document", DOCUMENTS)
def test_named_subcommands_exist(document):
    """A document names no subcommand that `shipworthy` lacks."""
    cli = importlib.import_module("shipworthy.cli")
    (app,) = (value for value in vars(cli).values() if isinstance(value, typer.Typer))
    known = set(typer.main.get_command(app).commands)
    lines = commands(text(document))
    named = {word for line in lines for word in re.findall(r"^(?:\.venv\S*[/\\])?shipworthy(?:\.exe)? ([a-z]+)", line)}
    assert named <= known


@pytest.mark.parametrize("document", DOCUMENTS)
def test_named_files_exist(document):
    """A link in a document leads to a file of this repository."""
    links = re.findall(r"\]\(([^)#:]+)\)", text(document))
    assert [link for link in links if not (ROOT / document).parent.joinpath(link).exists()] == []


def test_python_in_the_readme_uses_what_exists():
    """Python in README.md parses, and takes from `shipworthy` only names that it offers."""
    for block in blocks(text("README.md"), "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "shipworthy":
                assert hasattr(shipworthy, node.attr), node.attr


def test_papermill_in_the_readme_names_what_exists():
    """README.md runs plain papermill on a notebook that exists, with parameters that it knows."""
    from papermill import inspect_notebook

    lines = [line for line in commands(text("README.md")) if re.match(r"(\.venv/bin/)?papermill \S+\.ipynb", line)]
    assert lines != []
    for line in lines:
        notebook = line.split()[1]
        assert set(re.findall(r" -p (\w+)", line)) <= set(inspect_notebook(str(ROOT / notebook)))


def test_ci_runs_what_the_readme_says():
    """The command by which README.md tests is the one that .ci/run runs, after the checks."""
    (block,) = re.findall(r"## Testing\n.*?^```console\n(.*?)^```", text("README.md"), flags=re.MULTILINE | re.DOTALL)
    runs = [line for line in text(".ci/run").splitlines() if re.match(r"make ", line)]
    assert runs == ["make check", block.splitlines()[0].removeprefix("$ ")]


def test_the_changelog_knows_this_version():
    """CHANGELOG.md has an entry for the version that is installed, or gathers what is unreleased."""
    assert re.search(r"^## \[Unreleased\]", text("CHANGELOG.md"), flags=re.MULTILINE)
