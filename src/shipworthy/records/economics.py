"""What answers are worth, what mistakes, waiting, machines and people cost: declared, in US dollars, before anything runs.

This module does *not* know what any candidate earns or costs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen

from shipworthy.records.terms import FORBID_UNKNOWN

Amount = Annotated[tuple[Annotated[float, Ge(0), Lt(math.inf)], ...], MinLen(1), MaxLen(3)]
"""``[x]`` is known, ``[low, high]`` is anything between (uniform), ``[low, likely, high]`` a guess (triangular)."""
HOURS_A_MONTH = 730.0
"""A twelfth of 365 days."""


def expected(amount: tuple[float, ...]) -> float:
    """The mean of an :data:`Amount`: of one, two or three numbers, it is their mean.

    The mean of a triangular distribution is ``(low + likely + high) / 3``, that of a uniform one ``(low + high) / 2``.

    Examples
    --------
    >>> expected((3.0,)), expected((1.0, 3.0)), expected((1.0, 2.0, 6.0))
    (3.0, 2.0, 3.0)
    """
    return math.fsum(amount) / len(amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class Economics:
    """The money in the question. All of it is assumed: whatever is computed from it is an estimate, and labelled so.

    Parameters
    ----------
    currency : str
        Of every amount here; only ``"USD"`` is accepted, as the prices are in US dollars.
    correct_usd : amount
        What one right answer earns.
    false_positive_usd, false_negative_usd : amount
        What one wrong answer costs where there are two classes; the second class is the positive one.
    wrong_usd : amount
        What one wrong answer costs where there are more classes.
    wrong_class_usd : dict of str to amount
        The same for rows whose true class is the one named, in place of ``wrong_usd``.
    absolute_error_usd : amount
        For regression: what a unit of absolute error costs.
    per_100_ms_usd : amount
        What is lost with each query for every 100 ms that its answer takes.
    threshold : {"out_of_fold", "half"}
        Where a probability becomes a positive answer: where it earned most on out-of-fold rows, or at one half.
    price_factor : amount
        Multiplies every price of the study, for discounts and doubts.
    peak_over_mean : float
        Load of the busiest time over the mean load: copies are held for the peak and idle for the rest.
    most_utilisation : float
        Share of its time that a copy may be busy, where no highest sustainable rate was measured.
    spare_copies : int
        Copies beyond those that the peak needs (1 for N+1).
    copy_memory_mib : float
        Memory of a copy before the model is in it: interpreter and server.
    retrainings_per_month : float
    upkeep_hours_per_part : amount
        Hours of a person each month for each part that can fail: one for a single model or a tree ensemble; for an ensemble of
        models its members and what joins them.
    person_hour_usd : amount
    draws : int
        How often the uncertain inputs are drawn.
    """

    __pydantic_config__ = FORBID_UNKNOWN
    currency: str = "USD"
    correct_usd: Amount = (0.0,)
    false_positive_usd: Amount = (0.0,)
    false_negative_usd: Amount = (0.0,)
    wrong_usd: Amount = (0.0,)
    wrong_class_usd: dict[str, Amount] = field(default_factory=dict)
    absolute_error_usd: Amount = (0.0,)
    per_100_ms_usd: Amount = (0.0,)
    threshold: Literal["out_of_fold", "half"] = "out_of_fold"
    price_factor: Amount = (1.0,)
    peak_over_mean: Annotated[float, Ge(1), Lt(math.inf)] = 3.0
    most_utilisation: Annotated[float, Gt(0), Le(1)] = 0.7
    spare_copies: Annotated[int, Ge(0), Le(1000)] = 1
    copy_memory_mib: Annotated[float, Ge(0), Lt(math.inf)] = 100.0
    retrainings_per_month: Annotated[float, Ge(0), Lt(math.inf)] = 1.0
    upkeep_hours_per_part: Amount = (0.0,)
    person_hour_usd: Amount = (0.0,)
    draws: Annotated[int, Ge(100), Le(100_000)] = 2000
