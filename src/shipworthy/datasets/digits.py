"""Handwritten digits: ten classes, small enough for a lesson.

This file does *not* know who wrote which digit; the source does not say.
"""

from __future__ import annotations

import numpy as np

from shipworthy.datasets.rows import Rows
from shipworthy.records import Roles, Task

TASK: Task = "multiclass"
N_ROWS = 1_797
SUMMARY = "1,797 handwritten digits of 8 x 8 pixels: which of ten? Small, clean, many classes."
RULE = "By chance, 70 % train and 30 % test, stratified by class; folds stratified by class."


def rows() -> Rows:
    """Read the rows."""
    from sklearn.datasets import load_digits

    bunch = load_digits(as_frame=True)
    return Rows(
        X=bunch.data,
        y=bunch.target.to_numpy(np.int64),
        task=TASK,
        classes=tuple(str(c) for c in bunch.target_names),
        roles=Roles(),
        provenance="Alpaydin and Kaynak, Bogazici University, 1998; UCI, the half that tested there; shipped by scikit-learn.",
        licence="Shipped within scikit-learn (BSD-3-Clause), which states no terms for the data; not checked at UCI.",
        traps=(
            (
                "13 people wrote them, about 140 digits each, and the file does not say who: the same hand trains and tests, so "
                "a score says little about the digits of a fourteenth person."
            ),
            "540 test rows in ten classes: a difference of .01 in accuracy is within chance.",
        ),
        order=np.arange(len(bunch.data), dtype=np.int64),
        rule=RULE,
    )
