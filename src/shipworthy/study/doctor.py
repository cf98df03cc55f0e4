"""Examines the machine and the installation: what can be measured here, what is missing, and how to get it.

This module does *not* know what any study needs beyond what every study needs.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement as Dependency

from shipworthy.experiments.workbench import outputs_folder
from shipworthy.records import InputError

INSTALL = "python -m pip install -c constraints.txt -e ."


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: whether it is as it should be, and what was found, with the remedy where it is not."""

    what: str
    ok: bool
    found: str


def _dependencies() -> list[Finding]:
    """Every dependency that applies here: its version, or how to get it."""
    findings = []
    for line in importlib.metadata.requires("shipworthy") or []:
        wanted = Dependency(line)
        if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            findings.append(Finding(wanted.name, False, f"is not installed; {INSTALL}"))
            continue
        fits = wanted.specifier.contains(version, prereleases=True)
        findings.append(Finding(wanted.name, fits, version if fits else f"{version} is not {wanted.specifier}; {INSTALL}"))
    return findings


def _data() -> list[Finding]:
    """Whether every data set can be read."""
    from shipworthy import datasets

    findings = []
    for name in datasets.names():
        try:
            findings.append(Finding(f"data set {name}", True, f"fingerprint {datasets.fingerprint(name)}"))
        except InputError as error:
            findings.append(Finding(f"data set {name}", False, str(error)))
    return findings


def _outputs() -> Finding:
    folder = outputs_folder()
    above = next(p for p in (folder, *folder.parents) if p.exists())
    try:
        with tempfile.TemporaryFile(dir=above):
            free = shutil.disk_usage(above).free / 2**30
    except OSError as error:
        remedy = "set SHIPWORTHY_OUTPUTS to a folder that can"
        return Finding("outputs", False, f"{folder} cannot be written ({error.strerror}); {remedy}")
    enough = free >= 1
    return Finding("outputs", enough, f"{folder}, {free:.0f} GiB free" + ("" if enough else "; free at least 1 GiB"))


def _in_words(value: Any) -> str:
    """A fact about the machine on one line."""
    if isinstance(value, dict):
        return ", ".join(f"{str(k).replace('_', ' ')} {v}" for k, v in value.items() if v is not None) or "none"
    if isinstance(value, list | tuple):
        return "; ".join(_in_words(v) for v in value) or "none"
    return (
        f"{value:,.4g}"
        if isinstance(value, float) and value < 10_000
        else f"{value:,.0f}"
        if isinstance(value, float)
        else str(value)
    )


def examine() -> list[Finding]:
    """Look at everything that a study needs.

    Returns
    -------
    list of Finding
    """
    from shipworthy import notebooks
    from shipworthy.measurement.machine import describe_machine

    machine = describe_machine()
    supported = (3, 11) <= sys.version_info[:2] <= (3, 13)
    version = sys.version.split()[0]
    findings = [Finding("Python", supported, version if supported else f"{version}; install Python 3.11, 3.12 or 3.13")]
    for key, value in machine.items():
        what = "cannot be measured here" if key == "cannot" else str(key).replace("_", " ")
        findings.append(Finding(what, True, _in_words(value)))
    threads = {k: v for k, v in os.environ.items() if k.endswith("_NUM_THREADS")}
    shown = ", ".join(f"{k}={v}" for k, v in sorted(threads.items()))
    findings.append(Finding("threads set outside", True, shown or "none; a study sets one thread a fit by itself"))
    findings.append(_outputs())
    try:
        findings.append(Finding("notebooks", True, str(Path(notebooks.folder()))))
    except InputError as error:
        findings.append(Finding("notebooks", False, str(error)))
    return [*findings, *_dependencies(), *_data()]
