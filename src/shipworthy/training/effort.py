"""Counts what a fitted model does for one query and what it holds, so that a price can be put on both before anything is timed.

A count is the same on every machine and at every try, which a timing is not: what is chosen by it is chosen again after a kill.
How a count becomes milliseconds is a rough law: each estimator that is asked costs a call from Python, whatever it does; each
tree of a forest a smaller one; numbers that must be gone through cost by the million. It orders members as measurement does where
they differ much, and says nothing of those that are near.

This module does *not* know how long anything takes, nor what a millisecond is worth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from shipworthy.records import Estimator

CALL_MS = 0.2
TREE_MS = 0.035
"""Of one tree in a forest, which scikit-learn asks one by one."""
MILLION_NUMBERS_MS = 0.4
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Effort:
    """What a fitted model does for one query, and holds.

    Parameters
    ----------
    calls : int
        Estimators that are asked, each step of a pipeline one, those inside a forest apart.
    trees : int
        Of forests: asked one by one.
    numbers : int
        That may be gone through for one query: coefficients, stored rows, and of a tree its depth.
    size_bytes : int
        Of all arrays, trees and boosters.
    """

    calls: int
    trees: int
    numbers: int
    size_bytes: int

    @property
    def latency_ms(self) -> float:
        """A rough estimate of the latency of one query (ms), from counts alone.

        Examples
        --------
        >>> Effort(calls=5, trees=100, numbers=2_000, size_bytes=0).latency_ms
        4.5008
        """
        return CALL_MS * self.calls + TREE_MS * self.trees + MILLION_NUMBERS_MS * self.numbers / 1e6

    @property
    def memory_mib(self) -> float:
        """What the model's own numbers take (MiB); libraries, which members share, are not counted."""
        return self.size_bytes / MIB


def effort_of(model: Estimator) -> Effort:
    """Count the effort of a fitted model.

    Parameters
    ----------
    model : Estimator
        Fitted; of scikit-learn's kind.

    Returns
    -------
    Effort
    """
    counter = _Counter()
    counter.count(model, in_forest=False)
    return Effort(counter.calls, counter.trees, counter.numbers, counter.size_bytes)


class _Counter:
    """Goes through whatever a fitted model holds, each thing once."""

    def __init__(self) -> None:
        self.calls = self.trees = self.numbers = self.size_bytes = 0
        # Kept alive, so that nothing else can have its id.
        self._seen: dict[int, Any] = {}

    def count(self, part: Any, *, in_forest: bool) -> None:
        """Count a part and what it holds."""
        if id(part) in self._seen:
            return
        self._seen[id(part)] = part
        if isinstance(part, np.ndarray) and part.dtype != object:
            self.size_bytes += part.nbytes
            self.numbers += 0 if in_forest else part.size
        elif type(part).__name__ == "Tree" and hasattr(part, "node_count"):
            self.size_bytes += sum(a.nbytes for a in part.__getstate__().values() if isinstance(a, np.ndarray))
            self.numbers += int(part.max_depth)
        elif hasattr(part, "get_booster"):
            booster = part.get_booster()
            self.calls += 1
            self.numbers += booster.num_boosted_rounds() * int(part.get_params().get("max_depth") or 6)
            self.size_bytes += len(booster.save_raw("ubj"))
        else:
            self._count_within(part, in_forest=in_forest)

    def _count_within(self, part: Any, *, in_forest: bool) -> None:
        """Count an estimator, and whatever else holds parts."""
        held: Iterable[Any] = ()
        if isinstance(part, Mapping):
            held = part.values()
        elif isinstance(part, list | tuple | np.ndarray):
            held = list(part.ravel()) if isinstance(part, np.ndarray) else part
        elif hasattr(part, "get_params") and not isinstance(part, type):
            tree = hasattr(part, "tree_")
            if tree and in_forest:
                self.trees += 1
            else:
                self.calls += 1
            in_forest |= tree or (hasattr(part, "estimators_") and not hasattr(type(part), "named_estimators"))
            settings = part.get_params(deep=False).keys() - {"steps"}
            held = [value for name, value in vars(part).items() if name not in settings]
        elif type(part).__module__.startswith("sklearn.") and hasattr(part, "__dict__"):
            held = vars(part).values()
        for each in held:
            self.count(each, in_forest=in_forest)
