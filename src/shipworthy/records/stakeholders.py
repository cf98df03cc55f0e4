"""What came of hearing all stakeholders: vetoes, rankings, regret, the compromise and what would move it.

This module does *not* know what a stakeholder wants, how a ranking or a regret is found, or how it is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shipworthy.records.terms import RequirementOutcome

EVERYBODY = "the study"
"""Whose vetoes the requirements of the study are: they bind whatever is shipped, whoever wishes for it."""


@dataclass(frozen=True, slots=True)
class Veto:
    """A veto that a candidate misses, or is not shown to meet."""

    stakeholder: str
    candidate: str
    requirement: str
    outcome: RequirementOutcome
    reason: str


@dataclass(frozen=True, slots=True)
class Rating:
    """How one stakeholder sees one candidate."""

    stakeholder: str
    candidate: str
    score: float
    """0: worst in all that they value of the candidates that nobody vetoes; 1: best in all. A vetoed one may lie beyond."""
    usd_month: float
    """The same in US dollars a month; ``nan`` where weights were stated."""
    rank: int
    """1 is best; equals share a rank; 0 where something that they value was not measured."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What one stakeholder would ship."""

    stakeholder: str
    first: str
    """Of all that they do not veto themselves; empty where there is none."""
    vetoed_by: tuple[str, ...]
    """Who vetoes that."""
    pick: str
    """Of all that nobody vetoes; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Regret:
    """What one stakeholder loses, against their own pick, if a candidate ships that nobody vetoes."""

    stakeholder: str
    shipped: str
    share: float
    """Of the step from a candidate that is worst in all that they value to one that is best in all."""
    usd_month: float
    """The same in US dollars a month; ``nan`` where weights were stated."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Kendall's tau-b between the rankings of two stakeholders: 1 the same order, -1 the opposite; ``nan`` if undefined."""

    one: str
    other: str
    tau: float


@dataclass(frozen=True, slots=True)
class Compromise:
    """The candidate whose worst regret is the smallest, of those that nobody vetoes."""

    candidate: str
    regret: float
    """Of the stakeholder who loses most: a share, or US dollars a month where everybody states money."""
    worst_off: str
    unproven: tuple[str, ...] = ()
    """Vetoes that it is not shown to meet, each as ``stakeholder: requirement``."""


@dataclass(frozen=True, slots=True)
class Move:
    """A change of one number, or the lifting of one veto, from which on the compromise is another candidate."""

    kind: Literal["weight", "value", "veto"]
    whose: str
    """The stakeholder who weighs or vetoes, or the candidate that was measured."""
    what: str
    """The quantity, or the requirement that is lifted."""
    before: float
    after: float
    size: float
    """Of a weight, its change; of money or a value, its change as a share of what is at stake; ``nan`` for a veto."""
    becomes: str
    """The new compromise."""
    doubtful: bool = False
    """Whether the changed value still lies within the interval of the measured one."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """What came of hearing all stakeholders on one data set at one level of what is swept."""

    dataset: str
    level: str
    in_money: bool
    """Whether everybody states money, so that regrets are compared in US dollars a month and not as shares."""
    stakeholders: tuple[str, ...]
    """Who ranks the candidates; who only vetoes, or values what was not measured, is not among them."""
    candidates: tuple[str, ...]
    survivors: tuple[str, ...]
    """Those that nobody is shown to veto and everybody can rate."""
    ratings: tuple[Rating, ...]
    vetoes: tuple[Veto, ...]
    choices: tuple[Choice, ...]
    regrets: tuple[Regret, ...]
    agreements: tuple[Agreement, ...]
    compromise: Compromise | None
    proven: Compromise | None
    """The compromise among those that are shown to meet every veto."""
    moves: tuple[Move, ...]
    """Weights, values, vetoes, the smallest change of each first."""
    notes: tuple[str, ...]
    """What could not be heard, a sentence each."""

    def rating(self, stakeholder: str, candidate: str) -> Rating:
        """How that stakeholder sees that candidate.

        Raises
        ------
        KeyError
            If there is no such rating.
        """
        for rating in self.ratings:
            if (rating.stakeholder, rating.candidate) == (stakeholder, candidate):
                return rating
        raise KeyError((stakeholder, candidate))

    def regret(self, stakeholder: str, shipped: str) -> float:
        """What that stakeholder loses if that candidate ships, in the unit in which regrets are compared.

        Raises
        ------
        KeyError
            If there is no such regret, because the candidate is vetoed or not rated.
        """
        for regret in self.regrets:
            if (regret.stakeholder, regret.shipped) == (stakeholder, shipped):
                return regret.usd_month if self.in_money else regret.share
        raise KeyError((stakeholder, shipped))

    def vetoers(self, candidate: str) -> tuple[str, ...]:
        """Who is shown to veto a candidate."""
        found = (v.stakeholder for v in self.vetoes if v.candidate == candidate and v.outcome == "missed")
        return tuple(dict.fromkeys(found))
