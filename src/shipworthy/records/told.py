"""What another system's timing recipe says of a candidate, beside what one query really takes.

This module does *not* know how either was measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RecipeKind = Literal["bulk", "one row"]
"""Whether a recipe divides the time of many rows by their number, or times calls of one row."""


@dataclass(frozen=True, slots=True)
class Told:
    """One candidate by one recipe.

    Parameters
    ----------
    dataset, candidate : str
    recipe, title : str
        Key of the recipe, and its name for people.
    kind : {"bulk", "one row"}
    told_ms : float
        Milliseconds a row as the recipe reports them; ``nan`` if it could not be replayed.
    p50_ms, p99_ms : float
        Of single queries, one after the other.
    reason : str
        Why nothing was told; empty otherwise.

    Examples
    --------
    >>> Told("adult", "stack", "h2o", "H2O", "bulk", told_ms=0.5, p50_ms=20.0, p99_ms=25.0).factor
    40.0
    """

    dataset: str
    candidate: str
    recipe: str
    title: str
    kind: RecipeKind
    told_ms: float
    p50_ms: float
    p99_ms: float
    reason: str = ""

    @property
    def factor(self) -> float:
        """How many times as long as told the median query takes; infinite if nothing was told to take any time."""
        return self.p50_ms / self.told_ms if self.told_ms else float("inf")


@dataclass(frozen=True, slots=True)
class RecipeFinding:
    """What would have been concluded from one recipe, and what is so.

    Parameters
    ----------
    dataset : str
    recipe, title : str
    kind : {"bulk", "one row"}
    worst : Told
        The candidate of which it says most wrongly how long one query takes, in either direction.
    pairs : int
        Pairs of candidates whose medians differ by more than the noise floor: only of these is there an order to get wrong.
    flips : tuple of (str, str)
        Of those pairs, the ones that it orders the other way, the one that is really slower and that it puts first named first;
        the furthest apart come first.
    told_fastest, fastest : str
        The fastest candidate by the recipe, and by the median of single queries.
    noise_floor : float
        The ratio beyond which two medians are told apart.
    """

    dataset: str
    recipe: str
    title: str
    kind: RecipeKind
    worst: Told
    pairs: int
    flips: tuple[tuple[str, str], ...]
    told_fastest: str
    fastest: str
    noise_floor: float
