"""Fits candidates on a data set's split, and assembles ensembles from members that are fitted already.

A candidate is fitted once for each fold, to say what it thinks of rows that it did not see, and once on all training rows, to
be shipped. Both are metered apart; the last is saved, and of some the others too, for bags.

This room does *not* know which candidates or data sets exist, how a cost is read, or what a prediction is worth.
"""

from __future__ import annotations

from shipworthy.training.assembly import assemble
from shipworthy.training.effort import Effort, effort_of
from shipworthy.training.fitting import ARTEFACT, Meter, TrainingError, fit
from shipworthy.training.prefixes import each_tree, grow, shorten, sized, staged
from shipworthy.training.storage import load, save

__all__ = [
    "ARTEFACT",
    "Effort",
    "Meter",
    "TrainingError",
    "assemble",
    "each_tree",
    "effort_of",
    "fit",
    "grow",
    "load",
    "save",
    "shorten",
    "sized",
    "staged",
]
