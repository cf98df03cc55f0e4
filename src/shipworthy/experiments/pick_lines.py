"""A pick in the words of a study file: the line that builds it, and a threshold in as few digits as decide the same.

This module does *not* know how a pick was chosen, or what it would cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_FLOOR, Context
from typing import Any

import numpy as np

from shipworthy.records import Floats


def pick_line(pick: Mapping[str, Any]) -> str:
    """The line that builds a pick for real, under ``candidates`` of a study.

    Examples
    --------
    >>> pick_line({"name": "mine", "members": ["xgboost", "random_forest"], "weights": [0.6, 0.4]})
    '- {name: mine, weights: {xgboost: 0.6, random_forest: 0.4}}'
    >>> pick_line({"name": "fast", "members": ["decision_tree", "xgboost"], "thresholds": [0.8], "confidence": "margin"})
    '- {name: fast, cascade: [decision_tree, xgboost], threshold: 0.8, confidence: margin}'
    >>> pick_line({"name": "sure", "members": ["knn", "ridge", "xgboost"], "thresholds": [], "confidence": "agreement"})
    '- {name: sure, cascade: [knn, ridge, xgboost], confidence: agreement}'
    """
    if pick.get("confidence"):
        limits = [str(t) for t in pick["thresholds"]]
        limit = f"threshold: {limits[0]}, " if len(limits) == 1 else f"thresholds: [{', '.join(limits)}], " if limits else ""
        asked = ", ".join(pick["members"])
        return f"- {{name: {pick['name']}, cascade: [{asked}], {limit}confidence: {pick['confidence']}}}"
    if len(pick["members"]) == 1:
        return f"- {pick['members'][0]}"
    weights = ", ".join(f"{m}: {w:g}" for m, w in zip(pick["members"], pick["weights"], strict=True))
    return f"- {{name: {pick['name']}, weights: {{{weights}}}}}"


def written_threshold(thresholds: Floats, place: int) -> float:
    """A threshold in as few digits, six at least, as are answered early by it the same out-of-fold rows.

    It is rounded down: were it above the confidence that it stands for, all rows of that confidence would be passed on.
    """
    exact = float(thresholds[place])
    below = float(thresholds[place + 1]) if place + 1 < len(thresholds) else -np.inf
    for digits in range(6, 18):
        short = float(Context(prec=digits, rounding=ROUND_FLOOR).create_decimal_from_float(exact))
        if short > below:
            return short
    return exact
