"""Let an ensemble choose its members by what they said out of fold: simulation selects, training assembles.

No test row is looked at. The choice is made on all out-of-fold rows, for what is shipped, and once more for each fold on the
rows of the others, so that the ensemble's own out-of-fold predictions owe nothing to the rows that they are about. What they
still owe: the members of the other folds had seen these rows.

This experiment does *not* know how a selection is searched for, or how an ensemble is put together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shipworthy.records import Choosing, Dataset, Predictions, Selection, Trained

if TYPE_CHECKING:
    from shipworthy.simulation import PricedCosts, Votes


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was chosen.

    Parameters
    ----------
    weights : mapping of str to float
        Of the members that the ensemble takes, each above 0; they sum to 1.
    fold_weights : tuple of mapping
        The same for each fold, chosen on the others.
    notes : mapping
        ``chosen_by`` in words; of a priced choice ``price``, the estimates that members were charged for.
    """

    weights: Mapping[str, float]
    fold_weights: tuple[Mapping[str, float], ...]
    notes: Mapping[str, Any]


def choose(choosing: Choosing, library: Mapping[str, Trained], dataset: Dataset, trusted: tuple[str, ...] = ()) -> Chosen:
    """Choose members and weights.

    Parameters
    ----------
    choosing : Choosing
    library : mapping of str to Trained
        At least two, trained on the data set's split.
    dataset : Dataset
    trusted : tuple of str
        Modules of the user's own whose types members may hold, as for ``artefacts.load``.

    Returns
    -------
    Chosen

    Raises
    ------
    InputError
        If members cannot vote together.
    """
    costs = _estimates(library, trusted) if choosing.priced else {}
    everywhere = np.ones(len(dataset.split.train), dtype=bool)
    final = _select(choosing, library, dataset, everywhere, costs)
    folds = [_select(choosing, library, dataset, dataset.split.fold != k, costs) for k in range(dataset.split.n_folds)]
    notes: dict[str, Any] = {"chosen_by": f"{final.metric} out of fold, {final.how}"}
    if costs:
        notes["price"] = {name: {"latency_ms": ms, "memory_mib": mib} for name, (ms, mib) in costs.items()}
        notes["price"]["how"] = (
            "estimated from counts of calls, trees and numbers; nothing was timed, so the choice can be repeated"
        )
    return Chosen(_weights(final), tuple(_weights(s) for s in folds), notes)


def _weights(selection: Selection) -> dict[str, float]:
    return dict(zip(selection.members, selection.weights, strict=True))


def _estimates(library: Mapping[str, Trained], trusted: tuple[str, ...]) -> dict[str, tuple[float, float]]:
    """Estimated milliseconds and mebibytes of each member."""
    from shipworthy import artefacts, training

    efforts = {name: training.effort_of(artefacts.load(Path(t.artefact), trusted)) for name, t in library.items()}
    return {name: (effort.latency_ms, effort.memory_mib) for name, effort in efforts.items()}


def _select(
    choosing: Choosing,
    library: Mapping[str, Trained],
    dataset: Dataset,
    rows: np.ndarray[Any, Any],
    costs: Mapping[str, tuple[float, float]],
) -> Selection:
    """Select on some of the training rows; those stand for the test rows too, which are not to be looked at."""
    from shipworthy import simulation

    metric = "log_loss" if dataset.classes else "rmse"
    votes = simulation.line_up({name: _part(t.predictions, rows) for name, t in library.items()}, dataset.task)
    if choosing.way == "top":
        sizes = range(2, min(choosing.steps, votes.n_members) + 1)
        return min((simulation.top_vote(votes, metric, size) for size in sizes), key=lambda s: s.oof[metric])
    priced = _priced(choosing, votes, metric, costs) if costs else None
    return simulation.greedy(votes, metric, steps=choosing.steps, priced=priced)


def _part(said: Predictions, rows: np.ndarray[Any, Any]) -> Predictions:
    kept = said.oof_rows[rows], said.oof_y[rows], said.oof[rows]
    return replace(said, oof_rows=kept[0], oof_y=kept[1], oof=kept[2], test_rows=kept[0], test_y=kept[1], test=kept[2])


def _priced(choosing: Choosing, votes: Votes, metric: str, costs: Mapping[str, tuple[float, float]]) -> PricedCosts:
    """The price as shares of the loss of the member that is best alone; memory adds up, for it is the members' own."""
    from shipworthy import simulation

    least = simulation.top_vote(votes, metric, 1).oof[metric]
    members = tuple(
        simulation.MemberCost(name, costs[name][0], 0.0, math.nan, math.nan, costs[name][1], math.nan) for name in votes.names
    )
    law = simulation.CostModel(base_memory_mib=0.0)
    return simulation.PricedCosts(members, choosing.ms_share * least, choosing.mib_share * least, model=law)
