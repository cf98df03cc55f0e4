"""Breast cancer (Wisconsin diagnostic): the small, clean control on which no ensemble pays.

This file does *not* know how the rows are split beyond naming the rule.
"""

from __future__ import annotations

import numpy as np

from shipworthy.datasets.rows import Rows
from shipworthy.records import Roles, Task

TASK: Task = "binary"
N_ROWS = 569
SUMMARY = "569 biopsies by 30 measurements of cell nuclei: malignant or benign. Small and clean; a linear model is hard to beat."
RULE = "By chance, 70 % train and 30 % test, stratified by class; folds stratified by class."


def rows() -> Rows:
    """Read the rows."""
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer(as_frame=True)
    return Rows(
        X=bunch.data,
        y=bunch.target.to_numpy(np.int64),
        task=TASK,
        classes=tuple(str(c) for c in bunch.target_names),
        roles=Roles(),
        provenance="Wolberg, Street and Mangasarian, University of Wisconsin, 1995; UCI; shipped by scikit-learn.",
        licence="Shipped within scikit-learn (BSD-3-Clause), which states no terms for the data; not checked at UCI.",
        traps=(
            "171 test rows: a difference of .01 in AUC is within chance, whatever the models.",
            "Columns come in threes (mean, error, worst) that repeat each other; single coefficients mean little.",
        ),
        order=np.arange(len(bunch.data), dtype=np.int64),
        rule=RULE,
    )
