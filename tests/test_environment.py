"""One list of dependencies: pyproject.toml, constraints.txt and environment.yml say the same, for every system and Python."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import tomllib
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
from rattler import MatchSpec, solve
from rattler.exceptions import SolverError

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")
PINS = [Requirement(line.split("#")[0]) for line in CONSTRAINTS.splitlines() if line.split("#")[0].strip()]
DECLARED = [
    Requirement(text) for texts in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()) for text in texts
]
SYSTEMS = {
    "linux": {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"},
    "macos": {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix", "platform_machine": "arm64"},
    "windows": {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt", "platform_machine": "AMD64"},
}
PYTHONS = ("3.11.2", "3.11.14", "3.12.1", "3.13.0")
WORLDS = [pytest.param(system, python, id=f"{system}-{python}") for system in SYSTEMS for python in PYTHONS]


def world(system: str, python: str) -> dict[str, str]:
    """The environment in which markers are evaluated."""
    release = ".".join(python.split(".")[:2])
    return {
        "python_version": release,
        "python_full_version": python,
        "implementation_version": python,
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        **SYSTEMS[system],
    }


def holds(requirement: Requirement, where: dict[str, str], extras: frozenset[str] = frozenset()) -> bool:
    """Whether a requirement applies in a world, asked for with some extras."""
    return requirement.marker is None or any(requirement.marker.evaluate({**where, "extra": e}) for e in (extras or {""}))


def pins_in(where: dict[str, str]) -> dict[str, list[Version]]:
    """The pins that apply in a world, by canonical name."""
    found: dict[str, list[Version]] = {}
    for pin in PINS:
        if holds(pin, where):
            (specifier,) = pin.specifier
            found.setdefault(canonicalize_name(pin.name), []).append(Version(specifier.version))
    return found


def environment_file() -> dict:
    """The parsed environment.yml."""
    return yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))


def conda_specs() -> list[str]:
    """What environment.yml asks of conda itself."""
    return [entry for entry in environment_file()["dependencies"] if isinstance(entry, str)]


@pytest.mark.parametrize(("system", "python"), WORLDS)
def test_every_declared_dependency_has_one_pin_that_satisfies_it(system, python):
    """On each system and Python, what pyproject.toml asks for is pinned once, to a version that it accepts."""
    where = world(system, python)
    pins = pins_in(where)
    assert [name for name, versions in pins.items() if len(versions) != 1] == []
    for dependency in DECLARED:
        if holds(dependency, where):
            name = canonicalize_name(dependency.name)
            assert name in pins, f"{dependency} has no pin: compile constraints.txt again (CONTRIBUTING.md says how)"
            assert pins[name][0] in dependency.specifier, f"{dependency} is pinned to {pins[name][0]}"


@pytest.mark.parametrize(("system", "python"), WORLDS)
def test_the_pins_are_complete_and_hold_nothing_else(system, python):
    """Following what installed packages themselves require, all that would be installed is pinned, and nothing more."""
    where = world(system, python)
    pins = pins_in(where)
    waiting = [(canonicalize_name(d.name), frozenset(d.extras)) for d in DECLARED if holds(d, where)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras = item = waiting.pop()
        if item in seen:
            continue
        seen.add(item)
        try:
            required = distribution(name).requires or []
        except PackageNotFoundError:
            continue  # For another system: its pin is checked, what it requires cannot be read here.
        needed = [r for r in map(Requirement, required) if holds(r, where, extras)]
        waiting += [(canonicalize_name(r.name), frozenset(r.extras)) for r in needed]
    assert {name for name, _ in seen} - pins.keys() == set()
    here = {canonicalize_name(pin.name) for pin in PINS if installed(pin.name)}
    assert (pins.keys() & here) - {name for name, _ in seen} == set()


def installed(name: str) -> str:
    """The installed version; empty if there is none."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def test_what_is_installed_here_is_what_is_pinned():
    """The environment that runs these tests holds every pinned package in the pinned version."""
    pinned = {name: pin for name, (pin,) in pins_in(default_environment()).items()}
    found = {name: Version(installed(name)) for name in pinned if installed(name)}
    assert found == pinned, "`make` installs the pins again once .venv/.installed is deleted"


def test_constraints_are_exact_and_name_no_index():
    """Each line of constraints.txt pins one version; none is an option, an address or a path."""
    assert all(len(pin.specifier) == 1 and str(pin.specifier).startswith("==") and not pin.url for pin in PINS)
    assert not re.search(r"(?i)https?:|file:|^\s*-", CONSTRAINTS, flags=re.MULTILINE)
    assert [pin.name for pin in PINS] == sorted(pin.name for pin in PINS)


def test_conda_takes_python_and_pip_and_pip_takes_the_rest_from_the_one_list():
    """environment.yml lists nothing that pyproject.toml and constraints.txt do not decide."""
    *plain, last = environment_file()["dependencies"]
    assert [MatchSpec(spec).name.normalized for spec in plain] == ["python", "pip"]
    assert last == {"pip": ["-c constraints.txt", "-e .[dev]"]}
    assert set(PROJECT["optional-dependencies"]) >= {"dev"}
    assert set(environment_file()) == {"name", "channels", "dependencies"}


def test_conda_and_pip_accept_the_same_pythons():
    """The range of Python in environment.yml is requires-python, and the Makefile's and the classifiers' too."""
    (spec,) = (s for s in conda_specs() if s.startswith("python "))
    wanted = SpecifierSet(PROJECT["requires-python"])
    assert SpecifierSet(spec.removeprefix("python ")) == wanted
    accepted = [f"3.{minor}" for minor in range(30) if f"3.{minor}.5" in wanted]
    named = [c.rsplit(" ", 1)[1] for c in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", c)]
    assert named == accepted
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    ends = re.search(r"\(3, (\d+)\) <= sys.version_info\[:2\] <= \(3, (\d+)\)", makefile).groups()
    assert [f"3.{minor}" for minor in ends] == [accepted[0], accepted[-1]]


def channel(folder: Path) -> str:
    """A channel on disk that holds some Pythons and pips, as conda's format has it; its address."""
    packages = {
        f"{name}-{number}-0.tar.bz2": {
            "name": name,
            "version": number,
            "build": "0",
            "build_number": 0,
            "depends": depends,
            "subdir": "noarch",
            "noarch": "python",
            "sha256": "0" * 64,
            "md5": "0" * 32,
            "size": 1,
        }
        for name, number, depends in [
            *(("python", number, []) for number in ("3.10.19", "3.11.14", "3.12.12", "3.13.9", "3.14.0")),
            ("pip", "26.0", ["python >=3.9"]),
        ]
    }
    for subdir, content in (("noarch", packages), ("linux-64", {})):
        (folder / subdir).mkdir()
        index = {"info": {"subdir": subdir}, "packages": content, "packages.conda": {}, "repodata_version": 1}
        (folder / subdir / "repodata.json").write_text(json.dumps(index), encoding="utf-8")
    return folder.as_uri()


def solved(address: str, specs: list[str]) -> dict[str, str]:
    """What conda's own solver would install."""
    records = asyncio.run(solve([address], [MatchSpec(s) for s in specs], platforms=["linux-64", "noarch"]))
    return {record.name.normalized: str(record.version) for record in records}


def test_the_conda_file_solves(tmp_path):
    """Conda's solver, offline, finds a Python that we support for environment.yml, and refuses a contradiction."""
    address = channel(tmp_path)
    answer = solved(address, conda_specs())
    assert answer["python"] in SpecifierSet(PROJECT["requires-python"])
    assert set(answer) == {"python", "pip"}
    with pytest.raises(SolverError, match="python"):
        solved(address, [*conda_specs(), "python >=3.14"])


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed; README.md has the same commands without it")
def test_make_refuses_a_python_that_is_too_old(tmp_path):
    """Where no Python is new enough, make says in one sentence what it needs and how to name one, and leaves nothing behind."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    command = ["make", "--no-print-directory", "test", "PYTHON=false"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    sentence = answer.stderr.splitlines()[0]
    assert sentence.startswith("Shipworthy needs Python 3.11, 3.12 or 3.13, and none of these is one: false.")
    assert "make test PYTHON=" in sentence
    assert not (tmp_path / ".venv").exists()
