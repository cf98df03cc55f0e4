"""Which members an ensemble takes, with which weights or thresholds, before anybody builds it.

This module does *not* know how members are chosen, or how an ensemble is assembled from them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, MaxLen, MinLen

from shipworthy.records.quantities import QUANTITIES
from shipworthy.records.terms import FORBID_UNKNOWN

ConfidenceName = Literal["margin", "entropy", "agreement"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnVote:
    """A weighted vote that somebody names in a study, such as one that a simulation picked, to be built for real.

    Parameters
    ----------
    name : str
    weights : dict of str to float
        Of each member, a candidate of the catalogue or an own estimator of the study; only their ratios count.
    """

    __pydantic_config__ = FORBID_UNKNOWN
    name: Annotated[str, MinLen(1)]
    weights: Annotated[dict[str, Annotated[float, Gt(0), Le(1e6)]], MinLen(1)]

    @property
    def members(self) -> tuple[str, ...]:
        """Names of its members."""
        return tuple(self.weights)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCascade:
    """A cascade that somebody names in a study: members asked in order, stopping once one is confident enough.

    Parameters
    ----------
    name : str
    members : tuple of str
        Candidates of the catalogue or own estimators of the study, in the order in which they are asked.
    thresholds : tuple of float
        Of every member but the last: its answer stands where it is at least so confident. None by agreement.
    confidence : {"margin", "entropy", "agreement"}
        The most likely class's probability less the next one's; or 1 less the entropy over its largest value; or an answer
        stands as soon as a second member gives it, so that the first two are always asked, and three members are the fewest.
    """

    __pydantic_config__ = FORBID_UNKNOWN
    name: Annotated[str, MinLen(1)]
    members: Annotated[tuple[str, ...], MinLen(2), MaxLen(10)]
    thresholds: tuple[Annotated[float, Ge(0), Le(2)], ...] = ()
    confidence: ConfidenceName = "margin"
