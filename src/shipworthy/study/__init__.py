"""The roof: reads a study, plans it, runs it through the notebooks, and keeps its run folder.

This package does *not* know how anything is trained, measured, judged or drawn.
"""

from __future__ import annotations

from shipworthy.study.folder import Run, open_run
from shipworthy.study.launch import Outcome, run_study
from shipworthy.study.report import write_report
from shipworthy.study.schema import builtin_names, read_study, template

__all__ = ["Outcome", "Run", "builtin_names", "open_run", "read_study", "run_study", "template", "write_report"]
