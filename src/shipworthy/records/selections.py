"""Which members an ensemble takes and with which weights, before anybody builds it.

This module does *not* know how members are chosen, or how an ensemble is assembled from weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from shipworthy.records.quantities import QUANTITIES


@dataclass(frozen=True, slots=True)
class Selection:
    """An ensemble on paper: the weighted mean of what its members say.

    Parameters
    ----------
    members : tuple of str
        Names of the candidates, each once.
    weights : tuple of float
        One for each member, above 0; they sum to 1.
    metric : str
        The one that was chosen by, on out-of-fold rows.
    oof, test : mapping of str to float
        Every metric of the ensemble on out-of-fold rows, where it was chosen, and on test rows, where it is scored.
    how : str
        The way it was chosen, in words for the report.
    latency_ms, memory_mib : float
        What serving it is predicted to cost; ``nan`` where nobody said what its members cost.

    Examples
    --------
    >>> chosen = Selection(("a", "b"), (0.5, 0.5), "log_loss", {"log_loss": 0.30}, {"log_loss": 0.32}, "by hand")
    >>> round(chosen.optimism, 3)
    0.02
    """

    members: tuple[str, ...]
    weights: tuple[float, ...]
    metric: str
    oof: Mapping[str, float]
    test: Mapping[str, float]
    how: str
    latency_ms: float = math.nan
    memory_mib: float = math.nan

    @property
    def optimism(self) -> float:
        """By how much the metric is worse on test rows than on the rows it was chosen on; above 0 it looked better than it is."""
        sign = -1.0 if QUANTITIES[self.metric].greater_is_better else 1.0
        return sign * (self.test[self.metric] - self.oof[self.metric])
