"""Requirements that nothing could meet together.

This module does *not* know any candidate: what contradicts itself is refused before anything is trained.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from shipworthy.records import InputError, Requirement

LOWEST_FIRST = ("p50", "p95", "p99", "max")
"""Statistics of one sample, of which none is below the one before."""


def check_requirements(requirements: Sequence[Requirement]) -> None:
    """Refuse requirements of which two contradict each other.

    Parameters
    ----------
    requirements : sequence of Requirement

    Raises
    ------
    InputError
        For the first pair that nothing could meet: a lower limit above an upper one on the same quantity, where scenario, batch
        size, data set and group overlap (what one leaves open includes what the other names), and the statistic of the lower
        limit is never above that of the upper one. Weighted requirements count too: a score that cannot be had is no score.

    Examples
    --------
    >>> check_requirements([Requirement(name="a", quantity="size_mib", at_most=5), Requirement(name="b", quantity="size_mib",
    ... at_least=10)])
    Traceback (most recent call last):
        ...
    shipworthy.records.terms.InputError: requirements 'a' and 'b' contradict each other: nothing keeps both mean size_mib
    at most 5 MiB and mean size_mib at least 10 MiB; drop one, or mend a limit
    """
    for one, other in itertools.permutations(requirements, 2):
        if one.at_most is not None and other.at_least is not None and _overlap(one, other) and other.at_least > one.at_most:
            first, second = (r for r in requirements if r is one or r is other)
            raise InputError(
                f"requirements {first.name!r} and {second.name!r} contradict each other: nothing keeps both "
                f"{one.sentence()} and {other.sentence()}; drop one, or mend a limit"
            )


def _overlap(upper: Requirement, lower: Requirement) -> bool:
    alike = (upper.quantity, upper.group) == (lower.quantity, lower.group)
    meet = all(
        None in pair or "" in pair or "none" in pair or pair[0] == pair[1]
        for pair in (
            (upper.scenario, lower.scenario),
            (upper.batch_size, lower.batch_size),
            (upper.dataset, lower.dataset),
        )
    )
    return alike and meet and _never_above(lower.statistic, upper.statistic)


def _never_above(lower: str, upper: str) -> bool:
    """Whether one statistic of a sample is never above the other; a mean is at most the largest value."""
    if upper in (lower, "max"):
        return True
    return "mean" not in (lower, upper) and LOWEST_FIRST.index(lower) <= LOWEST_FIRST.index(upper)
