"""The notebooks of the suite: finds, checks, executes and keeps them tidy, and derives exercises from solutions.

The only part of shipworthy that touches papermill, nbclient and nbstripout. A notebook's *parameters cell* is its
interface: one literal assignment a line, with the type as a plain annotation and the help as the trailing comment::

    dataset: str = "adult"  # Data set (one of: breast_cancer, adult, flights)
    max_train_rows: int = 2000  # Rows to train on, 0 = all (0 to 1000000)
    candidates: list[str] = ["xgboost", "stack"]  # Candidates to compare

A help that holds ``(A to B)`` bounds a number, ends included; ``(one of: a, b)`` lists the only values allowed. In a list,
both hold for every element. Everything is refused before a kernel starts.

It does *not* know what a notebook computes, nor in which order a study runs them.
"""

from __future__ import annotations

from shipworthy.notebooks.execution import Execution, NotebookError, execute
from shipworthy.notebooks.interface import Parameter, check_injected, check_parameters, parameters
from shipworthy.notebooks.shelf import folder, names, path, source_digest, title
from shipworthy.notebooks.structure import check_structure
from shipworthy.notebooks.upkeep import derive_exercise, is_stripped, strip, strip_file, write_exercises

__all__ = [
    "Execution",
    "NotebookError",
    "Parameter",
    "check_injected",
    "check_parameters",
    "check_structure",
    "derive_exercise",
    "execute",
    "folder",
    "is_stripped",
    "names",
    "parameters",
    "path",
    "source_digest",
    "strip",
    "strip_file",
    "title",
    "write_exercises",
]
