"""All that is known of a candidate in one place, ready to be judged.

This module does *not* know what it is judged by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from shipworthy.records import Floats, Kind, Measurement, Record

ROUNDS_OF_A_SEED = 1_000_000
"""More rounds than any seed has."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """All that is known of one candidate on one data set at one level of what is swept.

    Parameters
    ----------
    candidate : str
    kind : {"single", "tree_ensemble", "ensemble"}
    route : str
    oof_scores, test_scores : tuple of float
        One score a seed in the study's metric, in the same order of seeds for every candidate; empty if it was not trained.
    resampled : tuple of ndarray, each of shape (n_resamples,)
        Scores on resamples of the test rows, one array a seed; the same resamples for every candidate.
    measurements : tuple of Measurement
    records : tuple of Record
    artefacts : tuple of str
        Fingerprints of the artefacts that would be shipped, one a seed; empty where they are not known. What was measured on
        another one says nothing of them.
    test_clusters : int
        How many different things a seed's test rows belong to, in the seed of fewest: rows, days, households; 0 if not known.
    """

    candidate: str
    kind: Kind
    route: str
    oof_scores: tuple[float, ...]
    test_scores: tuple[float, ...]
    resampled: tuple[Floats, ...]
    measurements: tuple[Measurement, ...]
    records: tuple[Record, ...]
    artefacts: tuple[str, ...] = ()
    test_clusters: int = 0

    @property
    def oof(self) -> float:
        """Mean out-of-fold score over the seeds; ``nan`` if there is none."""
        return float(np.mean(self.oof_scores)) if self.oof_scores else math.nan

    @property
    def test(self) -> float:
        """Mean score on test rows over the seeds; ``nan`` if there is none."""
        return float(np.mean(self.test_scores)) if self.test_scores else math.nan

    def would_ship(self, artefact: str) -> bool:
        """Whether an artefact of this fingerprint is one that would be shipped; nothing is held against what was not noted."""
        return not artefact or not self.artefacts or artefact in self.artefacts


OTHER_ARTEFACT = "it was measured on another artefact than the one that would be shipped; measure it again"


def shortfall(best: float, other: float, *, greater_is_better: bool) -> float:
    """By how much the other score is worse; negative where it is better."""
    return best - other if greater_is_better else other - best


def best_of(evidence: Sequence[Evidence], *, greater_is_better: bool) -> Evidence | None:
    """The best by mean out-of-fold score; of equals, the first by name."""
    scored = [e for e in evidence if not math.isnan(e.oof)]
    return min(scored, key=lambda e: (-e.oof if greater_is_better else e.oof, e.candidate), default=None)


def best_on_test(evidence: Sequence[Evidence], beaten: Evidence, *, greater_is_better: bool) -> Evidence | None:
    """The best on test rows of those that score better there than another candidate does; ``None`` where none does.

    It was chosen on the rows that it is scored on, so its lead flatters it: a reason to doubt, not to decide.
    """
    better = [e for e in evidence if shortfall(e.test, beaten.test, greater_is_better=greater_is_better) > 0]
    return min(better, key=lambda e: (-e.test if greater_is_better else e.test, e.candidate), default=None)


def pooled(evidence: Evidence, quantity: str, scenario: str = "") -> Measurement | None:
    """One measurement of all seeds, whose rounds stay apart; a failure of any seed is the whole's.

    What was measured on an artefact that would not be shipped is a failure too. ``None`` where nothing was measured.

    Raises
    ------
    ValueError
        If the seeds were measured under conditions that differ.
    """
    found = [m for m in evidence.measurements if m.quantity == quantity and scenario in ("", m.conditions.scenario)]
    if scenario:
        found = [m for m in found if m.conditions.batch_size == 1]
    if not found:
        return None
    if foreign := [m for m in found if not evidence.would_ship(m.conditions.artefact)]:
        return replace(foreign[0], values=(), round_index=(), failure=OTHER_ARTEFACT)
    failed = [m for m in found if m.failure or not m.values]
    if failed:
        return failed[0]
    first = found[0]
    for other in found[1:]:
        if not first.conditions.comparable(other.conditions):
            raise ValueError(f"{quantity} of {evidence.candidate} was measured under conditions that differ: measure it again")
    # A round of one seed pairs with the same round of the same seed on the other side: seed and round become one number.
    return replace(
        first,
        values=tuple(v for m in found for v in m.values),
        round_index=tuple(m.conditions.seed * ROUNDS_OF_A_SEED + r for m in found for r in m.round_index),
    )
