"""Fits a plan into a time budget: what is worth most first, and nothing that will not fit.

The order of worth is that in which a sceptic asks: on every data set the prior, for whoever cannot beat it has learnt nothing;
the linear model and a booster, which an ensemble must beat; the ensemble that the study is about, its own if it describes one;
the glass box, which can be read; then the others, single models, tree ensembles and ensembles in turn, each cheapest first. Then
what else is swept; then further seeds; then load. A candidate comes with its members, and as a whole: trained, scored, measured.

This module does *not* know how a plan is executed, or what time it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import get_args

from shipworthy.experiments.arms import Arm, members_in
from shipworthy.experiments.left_out import UNDER_LOAD
from shipworthy.experiments.own_ensembles import Declared
from shipworthy.records import Kind
from shipworthy.study.plan import Plan, expected_wall_seconds

ASKED_FIRST = (("prior",), ("logistic_regression", "ridge"), ("xgboost", "hist_gradient_boosting", "xgboost_tuned"))
"""What a sceptic holds an ensemble against; of each the first that the study names."""
ASKED_NEXT = ("glass_box",)
"""After the first ensemble."""
USED = 0.92
"""Share of the time left that is planned with: what is expected are medians."""


@dataclass(slots=True)
class _Units:
    """Names of the units of a plan, by what they belong to; an arm by its key as training sees it."""

    fits: dict[tuple[str, str], str] = field(default_factory=dict)
    after: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    load: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    drawn: dict[str, set[str]] = field(default_factory=dict)
    arms: dict[str, Arm] = field(default_factory=dict)

    @classmethod
    def of(cls, plan: Plan) -> _Units:
        """Sort the units of a plan."""
        found = cls()
        for unit in (u for step in plan.steps for u in step.units):
            arm = unit.arm.as_trained()
            place = (arm.key, unit.candidate)
            found.arms.setdefault(arm.key, arm)
            if unit.kind in {"train", "assemble"}:
                found.fits[place] = unit.name
            elif unit.kind == "queries":
                found.drawn.setdefault(arm.key, set()).add(unit.name)
            else:
                (found.load if unit.kind in UNDER_LOAD else found.after).setdefault(place, set()).add(unit.name)
        return found

    def trained(self, key: str, candidate: str) -> set[str]:
        """The units that train a candidate and all that it is made of."""
        members = [self.trained(key, m) for m in members_in(self.arms[key], candidate)]
        return {self.fits[key, candidate]}.union(*members)

    def whole(self, key: str, candidate: str) -> set[str]:
        """The units that train, score and measure a candidate."""
        return self.trained(key, candidate) | self.after.get((key, candidate), set()) | self.drawn.get(key, set())


def fit_into(
    plan: Plan,
    seconds: float,
    workers: int,
    done: Collection[str] = (),
    correction: Mapping[str, float] | None = None,
    slowness: float = 1.0,
) -> Plan:
    """The part of a plan that should be done, judged and reported within so many seconds.

    Parameters
    ----------
    plan : Plan
        All of it.
    seconds : float
        That are left.
    workers, done, correction, slowness
        As for :func:`~shipworthy.study.plan.expected_wall_seconds`.

    Returns
    -------
    Plan
        What is done already is in it, for it costs nothing.
    """
    fitting = _Fitting(plan, seconds, workers, set(done), correction or {}, slowness)
    by_level: dict[str, list[Arm]] = {}
    for arm in fitting.units.arms.values():
        by_level.setdefault(arm.level, []).append(arm)
    for arms in by_level.values():
        fitting.take_first_seed(arms)
    for arms in by_level.values():
        fitting.take_further_seeds(arms)
    fitting.take_load()
    return plan.only(fitting.kept)


@dataclass(slots=True)
class _Fitting:
    """What has been taken into a plan so far."""

    plan: Plan
    seconds: float
    workers: int
    done: set[str]
    correction: Mapping[str, float]
    slowness: float
    units: _Units = field(init=False)
    kept: set[str] = field(init=False)
    chosen: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """The candidates that were taken on a data set at a level."""

    def __post_init__(self) -> None:
        self.units = _Units.of(self.plan)
        self.kept = {u.name for step in self.plan.steps for u in step.units if u.name in self.done}

    def fits(self, more: set[str]) -> bool:
        """Take these units too, if there is time for them."""
        if more <= self.kept:
            return True
        tried = self.plan.only(self.kept | more)
        # A step that was executed is executed again for what it did not hand over.
        again = {step.name for step in tried.steps if any(u.name not in self.done for u in step.units)}
        done = list(self.done - again)
        if expected_wall_seconds(tried, self.workers, done, self.correction, self.slowness) > USED * self.seconds:
            return False
        self.kept |= more
        return True

    def take_first_seed(self, arms: Sequence[Arm]) -> None:
        """Each data set's candidates in turn."""
        first = [arm for arm in arms if arm.seed == self.plan.study.seeds[0]]
        for arm, candidate in _by_turns(self.plan, self.units, first):
            if self.fits(self.units.whole(arm.key, candidate)):
                self.chosen.setdefault((arm.dataset, arm.level), []).append(candidate)

    def take_further_seeds(self, arms: Sequence[Arm]) -> None:
        """A further seed counts only with all the candidates that the first has."""
        for seed in self.plan.study.seeds[1:]:
            for arm in (a for a in arms if a.seed == seed):
                if names := self.chosen.get((arm.dataset, arm.level)):
                    self.fits(set().union(*(self.units.whole(arm.key, name) for name in names)))

    def take_load(self) -> None:
        """One candidate after another; the first that is named carries also what is measured once for all of them."""
        stopped: set[str] = set()
        for (key, candidate), load in self.units.load.items():
            arm = self.units.arms[key]
            there = candidate in self.chosen.get((arm.dataset, arm.level), ())
            if key not in stopped and not (there and self.fits(load | self.units.drawn.get(key, set()))):
                stopped.add(key)


def _by_turns(plan: Plan, units: _Units, arms: Sequence[Arm]) -> Iterator[tuple[Arm, str]]:
    """Each arm's next candidate in turn, until none has any."""
    queues = [[(arm, name) for name in by_worth(plan, units, arm)] for arm in arms]
    for turn in zip_longest(*queues):
        yield from (pair for pair in turn if pair is not None)


def by_worth(plan: Plan, units: _Units, arm: Arm) -> list[str]:
    """The study's candidates, most worth first: those that a sceptic asks for, and then kinds in turn, cheapest first."""
    known, named = Declared.of(plan.study), plan.study.candidates
    own = {e.name for e in (*known.ensembles, *known.estimators)}

    def cost(name: str) -> tuple[bool, float]:
        """What the study describes itself is what it is about."""
        return name not in own, sum(plan.seconds.get(unit, 0.0) for unit in units.whole(arm.key, name))

    kinds = get_args(Kind)
    alike = {kind: sorted((n for n in named if known.candidate(n).kind == kind), key=cost) for kind in kinds}
    first = [next((n for n in names if n in named), "") for names in ASKED_FIRST]
    first += [*alike["ensemble"][:1], *(n for n in ASKED_NEXT if n in named)]
    turns = (name for turn in zip_longest(*alike.values()) for name in turn)
    return [name for name in dict.fromkeys([*first, *turns]) if name]
